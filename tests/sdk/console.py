#!/usr/bin/env python3
"""The web console in a real Chromium, as operators use it, with devices by Azure's Python SDK. Pictures of it for the documentation:

    target/venv/bin/python tests/sdk/console.py target/release/usher --pictures docs/images
"""

import base64
import json
import os
import pathlib
import sys
import time

import requests
from selenium.webdriver.common.keys import Keys

import certificates
import python_device
from browser import Browser

COOKIE = "__Host-usher-console"
# Every page with a title, as the cases leave them behind.
PAGES = {
    "/": "Services", "/s/dev": "dev", "/s/dev/enrollments": "Enrollments", "/s/dev/enrollment/by-keyboard": "by-keyboard", "/s/dev/new-group": "New group",
    "/s/dev/groups": "Groups", "/s/dev/import": "Import", "/s/dev/live": "Live", "/s/dev/registrations": "Registrations", "/s/dev/trends": "Trends",
    "/s/dev/hubs": "Hubs", "/s/dev/access": "Access", "/s/dev/device/console-refused": "console-refused",
}


class Console:
    def __init__(self, server):
        self.server, self.url = server, server.manifest["console"]
        self.token = server.manifest["management"]["token"]
        self.browser = Browser(self.url + "console/")

    def api(self, method, path, session=None, **more):
        return (session or requests).request(method, f"{self.url}console/api/{path}", verify=self.server.trust, timeout=15, **more)

    def session(self):
        """A session of a client that is no browser."""
        session = requests.Session()
        answer = self.api("POST", "session", session, json={"token": self.token})
        assert answer.status_code == 200, answer.text
        session.headers["x-usher-csrf"] = answer.json()["csrf"]
        return session

    def key_of(self, device):
        path = f"services/dev/api/enrollments/{device}/attestationmechanism?api-version=2021-10-01"
        return self.api("POST", path, self.session()).json()["symmetricKey"]["primaryKey"]

    # -- cases

    def root_leads_here(self):
        page = requests.get(self.url, headers={"accept": "text/html,*/*"}, verify=self.server.trust, timeout=15)
        assert page.url == self.url + "console/" and "default-src 'none'" in page.headers["content-security-policy"], page.url
        assert requests.get(self.url, verify=self.server.trust, timeout=15).status_code == 404, "programs are told what they were told before"

    def wrong_and_right_token(self):
        browser = self.browser
        browser.go("/")
        browser.fill("Admin token", "guess")
        browser.press(Keys.ENTER)
        browser.says("This token does not open the management API.")
        assert not browser.driver.get_cookie(COOKIE), "a wrong token gave a session"
        browser.fill("Admin token", self.token)
        browser.press(Keys.ENTER)
        browser.until(lambda: browser.title() == "Services", "the services")
        cookie = browser.driver.get_cookie(COOKIE)
        assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict" and cookie["path"] == "/", cookie
        stored = browser.script("return JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie")
        assert self.token not in browser.driver.page_source + stored, "the token stays in the page"

    def locked(self):
        """Without a session nothing is told; without the token against forgery nothing is done; another site is sent away."""
        paths = ["services/dev/counts", "services/dev/feed", "services/dev/find?kind=enrollment", "services/dev/api/enrollments/x?api-version=1",
                 "management/subscriptions?api-version=1"]
        for path in paths:
            assert self.api("GET", path).status_code == 401, path
            assert self.api("GET", path, cookies={COOKIE: "0" * 64}).status_code == 401, path
        session = self.session()
        for path in paths:
            assert self.api("GET", path, session).status_code in (200, 404), path
        delete = "services/dev/api/enrollments/nobody?api-version=2021-10-01"
        assert self.api("DELETE", delete, session).status_code == 404
        assert self.api("DELETE", delete, session, headers={"origin": "https://evil.example"}).status_code == 403
        assert self.api("DELETE", delete, session, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert self.api("DELETE", delete, session, headers={"x-usher-csrf": "0" * 64}).status_code == 403
        del session.headers["x-usher-csrf"]
        assert self.api("DELETE", delete, session).status_code == 403
        assert self.api("POST", "session", data="token=" + self.token).status_code == 403, "a form of another site must not sign in"

    def by_keyboard(self):
        browser = self.browser
        browser.go("/s/dev/enrollments", "Enrollments")
        browser.tab_to("New enrollment")
        browser.press(Keys.ENTER)
        browser.until(lambda: browser.title() == "New enrollment", "the form")
        browser.tab_to("Registration ID")
        browser.press("by-keyboard")
        browser.tab_to("Tags")
        browser.press('{"site": "Lyon"}')
        browser.tab_to("Create")
        browser.press(Keys.ENTER)
        browser.until(lambda: browser.title() == "by-keyboard", "the new enrollment")
        found = self.api("GET", "services/dev/api/enrollments/by-keyboard?api-version=2021-10-01", self.session()).json()
        assert found["initialTwin"]["tags"] == {"site": "Lyon"} and found["provisioningStatus"] == "enabled", found

    def device_in_the_feed(self):
        browser = self.browser
        browser.go("/s/dev/live", "Live")
        result, _ = python_device.provision(self.server, "by-keyboard", self.key_of("by-keyboard"))
        assert result.status == "assigned"
        line = browser.find("details[data-device=by-keyboard]")
        browser.until(lambda: "assigned" in line.text, "the word assigned")
        line.find_element("css selector", "summary").click()
        for words in ("idScope", "token.signature", "allocation.policy", "Tracking ID"):
            browser.says(words)
        browser.click("All kept attempts of by-keyboard")
        browser.until(lambda: browser.title() == "by-keyboard", "the device's page")
        browser.says("Nothing: the device is on its hub.")

    def refused_device(self):
        browser = self.browser
        session = self.session()
        document = {"registrationId": "console-refused", "attestation": {"type": "symmetricKey"}}
        put = self.api("PUT", "services/dev/api/enrollments/console-refused?api-version=2021-10-01", session, json=document)
        assert put.status_code == 200, put.text
        browser.go("/s/dev/live", "Live")
        self.refused("console-refused", key=base64.b64encode(os.urandom(32)).decode())
        browser.find("details[data-device=console-refused]")
        browser.go("/s/dev/device/console-refused", "console-refused")
        failed = browser.find(".checks li.failed")
        assert "TokenSignature" in failed.text and "neither key" in failed.text, failed.text
        browser.says("Check that the device signs with the base64-decoded key of its enrollment")

    def refused(self, device, **how):
        try:
            python_device.provision(self.server, device, **how)
        except Exception:
            return
        raise AssertionError("it was not refused")

    def bad_certificate(self):
        """Which certificate of the chain failed."""
        browser = self.browser
        self.refused("console-old", identity=certificates.Factory("console").device("console-old", days=(-10, -3)))
        browser.until(lambda: self.kept("console-old"), "the attempt")
        browser.go("/s/dev/device/console-old", "console-old")
        failed = browser.find(".checks li.failed").text
        assert "console-old" in failed or "expired" in failed or "group" in failed, failed

    def kept(self, device):
        path = f"management{self.server.manifest['management']['resourceId']}/attempts/{device}?api-version=2021-10-15"
        return self.api("GET", path, self.session()).json()["attempts"]

    def conflict(self):
        """Somebody else saves in between."""
        browser = self.browser
        browser.go("/s/dev/enrollment/by-keyboard", "by-keyboard")
        session, path = self.session(), "services/dev/api/enrollments/by-keyboard?api-version=2021-10-01"
        document = self.api("GET", path, session).json()
        other = self.api("PUT", path, session, json=document | {"deviceId": "other"})
        assert other.status_code == 200, other.text
        browser.fill("Device ID", "mine")
        browser.click("Save")
        browser.says("Somebody else has changed this since you opened it.")
        browser.click("Load what is stored")
        browser.until(lambda: browser.script("return [...document.querySelectorAll('input')].some(i => i.value === 'other')"), "the stored device ID")
        browser.fill("Device ID", "mine")
        browser.click("Save")
        browser.says("Saved.")
        assert self.api("GET", path, session).json()["deviceId"] == "mine"

    def switched_off(self):
        browser = self.browser
        browser.go("/s/dev/enrollment/by-keyboard", "by-keyboard")
        browser.click("Disable")
        browser.says("its devices are turned away")
        self.refused("by-keyboard", key=self.key_of("by-keyboard"))
        browser.click("Enable")
        browser.until(lambda: any(one.text == "Disable" for one in browser.all("button")), "the button Disable")

    def imported(self):
        browser, file = self.browser, self.server.folder / "many.csv"
        lines = [f'import-{n},,"{{""line"": {n}}}"' for n in range(1, 36)]
        lines[16] = "bad/id,,"
        file.write_text("registrationId,primaryKey,tags\n" + "\n".join(lines) + "\n")
        browser.go("/s/dev/import", "Import")
        browser.find("input[type=file]").send_keys(str(file))
        browser.click("Import", "form")
        browser.says("Finished: 34 lines done, 1 failed.")
        errors = browser.find(".scroll table").text
        assert "18" in errors and "bad/id" in errors, errors
        browser.go("/s/dev/enrollments", "Enrollments")
        browser.fill("ID begins with", "IMPORT-3")
        browser.press(Keys.ENTER)
        # 3, 30, 31, 32, 33, 34, 35
        browser.says("7 enrollments shown")
        assert browser.all("td.key")[0].text == "import-3", "what is called exactly so comes first"
        found = self.api("GET", "services/dev/find?kind=enrollment&prefix=import-&limit=10", self.session()).json()
        assert len(found["items"]) == 10 and found["continuation"], found

    def services_and_hubs(self):
        browser = self.browser
        browser.go("/", "Services")
        browser.click("New service")
        browser.fill("Name", "console-made")
        browser.click("Create", "dialog")
        browser.until(lambda: browser.title() == "Hubs", "the new service's hubs")
        browser.says("No hub is linked")
        browser.click("Link a hub", ".head")
        browser.fill("Connection string", "HostName=localhost")
        browser.click("Link", "dialog")
        browser.says("in this process")
        browser.click("Change")
        browser.fill("Weight", "7")
        browser.click("Save", "dialog")
        browser.until(lambda: "7" in [one.text for one in browser.all("td")], "the weight 7")
        made = next(one for one in self.api("GET", "management/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Devices/provisioningServices"
                    "?api-version=2021-10-15", self.session()).json()["value"] if one["name"] == "console-made")
        assert made["properties"]["iotHubs"][0]["allocationWeight"] == 7, made
        browser.go("/", "Services")
        row = browser.until(lambda: next((one for one in browser.all("tr") if "console-made" in one.text), None), "its row")
        row.find_element("css selector", "button.bad").click()
        browser.fill("Type console-made to confirm", "console-made")
        browser.click("Delete", "dialog")
        browser.says("console-made is deleted.")
        browser.until(lambda: not any("console-made" in one.text for one in browser.all("tr")), "the row's end")

    def keys_on_demand(self):
        """No key of a policy reaches the browser before somebody asks to see it."""
        browser, key = self.browser, self.server.service.split("SharedAccessKey=")[1]
        browser.go("/s/dev/access", "Access")
        assert key not in browser.driver.page_source
        browser.click("Show policies and keys")
        browser.says(key)

    def every_page(self):
        """Sees every page in both colour schemes and both widths: nothing sticks out, and axe-core finds nothing serious."""
        browser = self.browser
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            for width in (360, 1280):
                browser.size(width, 800)
                for fragment, title in PAGES.items():
                    browser.go(fragment, title)
                    for opened in browser.all("details:not([open]) > summary")[:1]:
                        browser.script("arguments[0].click()", opened)
                    assert not browser.overflow(), f"{fragment} at {width}: {browser.overflow()}"
                    ground = browser.script("return getComputedStyle(document.body).backgroundColor")
                    assert (int(ground[4:].split(",")[0]) > 128) == (scheme == "light"), ground
                    # What axe finds does not hang on the width but for what is shown; both are looked at in one scheme.
                    if scheme == "dark" or width == 360:
                        assert not (found := browser.axe()), f"{fragment} at {width} in {scheme}: {found}"
        browser.size(1280, 900)
        browser.scheme("light")

    def dialogs(self):
        browser = self.browser
        browser.size(360, 800)
        for fragment, title, word in [("/", "Services", "New service"), ("/s/dev/hubs", "Hubs", "Link a hub")]:
            browser.go(fragment, title)
            browser.click(word)
            browser.find("dialog[open]")
            assert not browser.overflow() and not (found := browser.axe()), found
            browser.press(Keys.ESCAPE)
            browser.until(lambda: not browser.all("dialog"), "the dialog's end")
        browser.click("Link a hub")
        browser.go("/s/dev/access", "Access")
        assert not browser.all("dialog"), "a dialog stays when its page is left"
        browser.size(1280, 900)

    def session_ends_while_working(self):
        browser = self.browser
        browser.go("/s/dev/new-enrollment", "New enrollment")
        browser.fill("Registration ID", "typed-before")
        browser.driver.delete_cookie(COOKIE)
        browser.click("Create")
        browser.says("Your session is over.")
        browser.fill("Admin token", self.token)
        browser.press(Keys.ENTER)
        browser.until(lambda: browser.title() == "typed-before", "the enrollment that was typed before")

    def signed_out(self):
        browser = self.browser
        browser.go("/", "Services")
        cookie = browser.driver.get_cookie(COOKIE)["value"]
        assert self.api("GET", "services/dev/counts", cookies={COOKIE: cookie}).status_code == 200
        browser.click("Sign out")
        browser.says("Admin token")
        assert not browser.driver.get_cookie(COOKIE)
        assert self.api("GET", "services/dev/counts", cookies={COOKIE: cookie}).status_code == 401, "the old cookie still counts"

    def nothing_in_the_log(self):
        complaints = self.browser.gather_log()
        assert not complaints, complaints
        log = self.server.log()
        assert self.token not in log, "the admin token is in the server's log"

    def written_down(self):
        """Changes stand in the audit log, with who and from where."""
        log = self.api("GET", "management/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Devices/auditLog"
                       "?api-version=2021-10-15&limit=500", self.session()).json()
        found = [entry for entry in log["value"] if "/enrollments/by-keyboard" in json.dumps(entry)]
        assert found and all("administrator" in json.dumps(entry) and entry["entry"]["address"] in ("127.0.0.1", "::1") for entry in found), log

    def throttled(self):
        for _ in range(20):
            answer = self.api("POST", "session", json={"token": "guess"})
        assert answer.status_code == 429 and "Wait" in answer.json()["next"], answer.text
        right = self.api("POST", "session", json={"token": self.token})
        assert right.status_code == 429, "a throttled address must not go on guessing"
        self.browser.close()


def all_cases(server):
    console = Console(server)
    return [
        ("a browser at / is led to it", console.root_leads_here),
        ("a wrong token, then the right one", console.wrong_and_right_token),
        ("locked: sessions, forgery, other sites", console.locked),
        ("an enrollment by the keyboard alone", console.by_keyboard),
        ("a device appears, and its explanation", console.device_in_the_feed),
        ("a refused device shows the failed check", console.refused_device),
        ("an expired certificate", console.bad_certificate),
        ("a conflict is explained", console.conflict),
        ("disabled and enabled", console.switched_off),
        ("an import with one bad line, and a search", console.imported),
        ("services and hubs", console.services_and_hubs),
        ("keys on demand", console.keys_on_demand),
        ("every page: widths, schemes, axe-core", console.every_page),
        ("dialogs on a phone", console.dialogs),
        ("a session that ends while working", console.session_ends_while_working),
        ("signed out", console.signed_out),
        ("no complaints of the browser", console.nothing_in_the_log),
        ("changes are in the audit log", console.written_down),
        ("guessing is slowed down", console.throttled),
    ]


# -- pictures

SHOTS = [
    ("/s/dev", "dev", "overview", "light", 1280),
    ("/s/dev/device/press-8", "press-8", "device", "light", 1280),
    ("/s/dev/trends", "Trends", "trends", "dark", 1280),
    ("/s/dev/enrollments", "Enrollments", "phone", "light", 360),
    ("/s/dev/live", "Live", "phone-live", "dark", 360),
]

def pictures(console, folder):
    browser, session = console.browser, console.session()
    api = "services/dev/api"
    for n in range(1, 13):
        console.api("PUT", f"{api}/enrollments/press-{n}?api-version=2021-10-01", session, json={
            "registrationId": f"press-{n}", "attestation": {"type": "symmetricKey"}, "initialTwin": {"tags": {"hall": n % 3}, "properties": {"desired": {}}},
            "provisioningStatus": "disabled" if n == 5 else "enabled"})
    for n in (1, 2, 3, 4, 6, 7, 9):
        python_device.provision(console.server, f"press-{n}", console.key_of(f"press-{n}"))
    for device in ("press-5", "press-8", "press-11"):
        console.refused(device, key=console.key_of(device) if device == "press-5" else base64.b64encode(os.urandom(32)).decode())
    browser.scheme("light")
    browser.go("/")
    browser.fill("Admin token", console.token)
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.title() == "Services", "the services")
    for fragment, title, name, scheme, width in SHOTS:
        browser.scheme(scheme)
        browser.size(width, 860 if width > 400 else 740)
        browser.go(fragment, title)
        time.sleep(0.7)
        browser.script("document.activeElement.blur()")
        browser.picture(folder / f"console-{name}.png")


def main():
    from server import Server
    binary, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[sys.argv.index("--pictures") + 1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    server = Server(binary)
    console = Console(server)
    try:
        pictures(console, folder)
        print(json.dumps(console.browser.gather_log()))
    finally:
        console.browser.close()
        server.stop()
        server.remove()
    os._exit(0)


if __name__ == "__main__":
    main()
