"""A headless Chromium (Debian's, with its driver) in which the console is used as people use it."""

import contextlib
import pathlib
import shutil
import tempfile
import time

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# A page is there when a person would stop waiting.
WAIT_S = 15
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-default-apps", "--no-default-browser-check",
    "--ignore-certificate-errors", "--force-device-scale-factor=1", "--lang=en",
]
AXE = pathlib.Path(__file__).parent / "node/node_modules/axe-core/axe.min.js"


class Browser:
    def __init__(self, base):
        self.base = base
        self.profile = tempfile.mkdtemp(prefix="usher-chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in [*FLAGS, f"--user-data-dir={self.profile}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(30)
        self.driver.set_script_timeout(60)
        self.size(1280, 900)
        self.complaints = []

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    # -- looking

    def go(self, fragment, title=None):
        """Opens a page of the console by what stands behind its `#`."""
        self.driver.get(f"{self.base}#{fragment}")
        if title:
            self.until(lambda: self.title() == title, f"the page {title}")

    def title(self):
        return self.script("return document.querySelector('h1')?.textContent ?? ''")

    def text(self):
        return self.script("return document.body.innerText")

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def find(self, selector):
        return self.until(lambda: next(iter(self.all(selector)), None), selector)

    def until(self, holds, what):
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            # A page may be drawn anew between finding a part of it and looking at it.
            with contextlib.suppress(StaleElementReferenceException):
                found = holds()
                if found:
                    return found
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come; the page says: {self.text()[:1500]}")

    def says(self, words):
        return self.until(lambda: words in self.text(), f"the words {words!r}")

    # -- doing

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, words, most=60):
        """Moves the focus by the tab key to what is called so; it must be seen where the focus is."""
        for _ in range(most):
            if self.focused() == words:
                outline = self.script("const s = getComputedStyle(document.activeElement); return s.outlineStyle + ' ' + s.outlineWidth")
                assert outline.startswith("solid") and not outline.endswith(" 0px"), f"{words} has the focus and does not show it: {outline}"
                return
            self.press(Keys.TAB)
        raise AssertionError(f"the tab key does not lead to {words!r}")

    def focused(self):
        """What the focused element is called: its label, else its text."""
        return self.script(
            "const e = document.activeElement; return (e.labels?.[0]?.firstChild?.textContent ?? e.getAttribute('aria-label') ?? e.innerText ?? '').trim()")

    def click(self, words, within="body"):
        """Clicks the button or link of this text."""
        found = self.until(
            lambda: next((one for one in self.all(f"{within} button, {within} a, {within} summary") if one.is_displayed() and one.text.strip() == words), None),
            f"a button {words}")
        self.script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", found)

    def fill(self, label, text):
        field = self.until(
            lambda: self.script(
                "return [...document.querySelectorAll('label')].filter(l => l.firstChild?.textContent === arguments[0] && l.control)"
                ".map(l => l.control).findLast(c => c.offsetParent) ?? null", label),
            f"a field {label}")
        field.clear()
        field.send_keys(text)

    # -- judging

    def size(self, width, height):
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def scheme(self, name):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": name}, {"name": "prefers-reduced-motion", "value": "reduce"}]})

    def overflow(self):
        """By how many pixels the page is wider than the window, and what sticks out."""
        return self.script(
            "const w = document.documentElement.clientWidth, over = document.documentElement.scrollWidth - w;"
            "return over > 0 ? [over, [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > w + 1)"
            ".slice(0, 5).map(e => e.tagName + '.' + e.getAttribute('class'))] : null")

    def axe(self):
        """Serious and critical findings of axe-core."""
        self.script(AXE.read_text())
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations), e => done([{impact: 'critical', id: String(e), nodes: []}]))")
        return [f"{one['id']}: {[node['html'][:160] + ' ' + node.get('failureSummary', '')[:200] for node in one['nodes'][:3]]}"
                for one in found if one["impact"] in ("serious", "critical")]

    def gather_log(self):
        """What the browser complained about, but for answers that a case meant to get."""
        entries = [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        self.complaints += [entry["message"] for entry in entries if "Failed to load resource" not in entry["message"]]
        return self.complaints

    def picture(self, path):
        self.driver.save_screenshot(str(path))
