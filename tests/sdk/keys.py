#!/usr/bin/env python3
"""Master keys: in files and in a real PKCS#11 token (SoftHSM), rotated while devices register, with `usher serve` killed amid it; and what
can be read at rest.

    target/venv/bin/python tests/sdk/keys.py target/release/usher
"""

import base64
import collections
import contextlib
import glob
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import certificates
import leaks
from enrolling import b64, derived
from kills import sas
from postgres import Postgres

SERVICE, SCOPE, HOST, HUB = "werk-sued", "0ne0CAFE123", "service.werk-sued.example", "hub-sued.example"
GROUP, TWIN = "fraeslinie-neun", "doppelgaenger-gruen"
RESOURCE = f"/subscriptions/{uuid.UUID(int=0)}/resourceGroups/usher/providers/Microsoft.Devices/provisioningServices"
DEVICE_API, SERVICE_API, MANAGEMENT_API = "api-version=2019-03-31", "api-version=2021-10-01", "api-version=2022-02-05"
PIN, WRONG_PIN = "geheim-2718", "falsch-3141"
# Services besides the first, so that a rotation takes long enough to be killed.
MORE_SERVICES = 24


def pkcs11_module():
    for pattern in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so"):
        if found := glob.glob(pattern):
            return found[0]
    raise RuntimeError("SoftHSM is needed: apt-get install softhsm2")


class World:
    """A store, its nodes, keys in files and a token."""

    def __init__(self, binary, on_postgres, nodes=1):
        self.binary, self.folder = binary, pathlib.Path(tempfile.mkdtemp(prefix="usher-keys-"))
        self.database = Postgres() if on_postgres else None
        self.nodes, self.processes, self.ports = [f"node-{n}" for n in range(nodes)], {}, {}
        self.admin, self.group_key = os.urandom(32).hex(), os.urandom(32)
        identity = certificates.make("usher keys", hosts=["localhost", "*.localhost"])
        self.trust = self.write("chain.pem", identity.pem)
        self.write("key.pem", identity.key_pem)
        self.write("admin-token", self.admin)
        for name in ("one", "two"):
            self.write(f"{name}.key", b64(os.urandom(32)))
        self.tls = ssl.create_default_context(cafile=self.trust)
        self.make_token()
        # Where usher looks for its programs' answers too.
        self.client = dict(self.environment, USHER_TOKEN=self.admin)

    def write(self, name, text):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return str(path)

    def make_token(self):
        (self.folder / "tokens").mkdir()
        config = self.write("softhsm2.conf", f"directories.tokendir = {self.folder}/tokens\nlog.level = ERROR\n")
        self.environment = dict(os.environ, SOFTHSM2_CONF=config)
        self.write("pin", PIN)
        self.write("wrong-pin", WRONG_PIN)
        for token in ("usher", "tresor"):
            subprocess.run(
                ["softhsm2-util", "--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", "amtmann-99"],
                check=True, capture_output=True, env=self.environment)
        self.usher("keys", "make", "--module", pkcs11_module(), "--token", "usher", "--key", "master", "--pin-file", self.folder / "pin")

    def file(self, name):
        return f'file = "{self.folder}/{name}.key"'

    def token(self, **other):
        said = {"module": pkcs11_module(), "token": "usher", "key": "master", "pin_file": f"{self.folder}/pin"} | other
        return "pkcs11 = { " + ", ".join(f'{name} = "{value}"' for name, value in said.items()) + " }"

    def configure(self, current, *others):
        """Writes every node's configuration."""
        store = self.database.address if self.database else f"embedded:{self.folder}/store"
        listed = ", ".join("{ " + other + " }" for other in others)
        for node in self.nodes:
            self.write(f"{node}.toml", f"""
device_host = "localhost"
drain_seconds = 5
limits = "none"
embedded_hubs = ["{HUB}"]
[listen]
addresses = ["127.0.0.1"]
https = 0
mqtts = 0
amqps = 0
[tls]
certificate = "{self.folder}/chain.pem"
key = "{self.folder}/key.pem"
[store]
address = "{store}"
[master_key]
{current}
others = [{listed}]
[admin]
token_file = "{self.folder}/admin-token"
[service]
name = "{SERVICE}"
id_scope = "{SCOPE}"
host_name = "{HOST}"
[[service.hubs]]
embedded = "{HUB}"
""")

    def start(self):
        for node in self.nodes:
            ready = self.folder / f"{node}.ready"
            ready.unlink(missing_ok=True)
            command = [self.binary, "serve", "--config", self.folder / f"{node}.toml", "--ready-file", ready]
            with open(self.folder / f"{node}.log", "ab") as log:
                self.processes[node] = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)
        for node in self.nodes:
            deadline = time.monotonic() + 60
            while not (ready := self.folder / f"{node}.ready").exists():
                if self.processes[node].poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{node} does not start:\n" + self.log(node)[-3000:])
                time.sleep(0.02)
            self.ports[node] = json.loads(ready.read_text())["https"]

    def refusal(self):
        """What the first node says instead of starting."""
        node = self.nodes[0]
        command = [self.binary, "serve", "--config", self.folder / f"{node}.toml", "--ready-file", self.folder / "never"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.environment)
        assert done.returncode == 1 and not (self.folder / "never").exists(), done
        assert PIN not in done.stderr and WRONG_PIN not in done.stderr, "the PIN is shown"
        return done.stderr

    def reload(self, node):
        """Tells a node to read its master keys anew, and waits until it has."""
        done, refused = "master keys taken over", "were not taken over"
        before = [self.log(node).count(word) for word in (done, refused)]
        self.processes[node].send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while self.log(node).count(done) == before[0]:
            assert self.log(node).count(refused) == before[1] and time.monotonic() < deadline, self.log(node)[-2000:]
            time.sleep(0.05)

    def reload_all(self, *keys):
        self.configure(*keys)
        for node in self.nodes:
            self.reload(node)

    def log(self, node):
        return (self.folder / f"{node}.log").read_text(errors="replace")

    def stop(self, how=signal.SIGTERM):
        for process in self.processes.values():
            process.send_signal(how)
        codes = [process.wait(timeout=30) for process in self.processes.values()]
        self.processes.clear()
        return codes

    def remove(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        if self.database:
            self.database.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def usher(self, *arguments, check=True):
        environment = getattr(self, "client", self.environment)
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True, timeout=90, env=environment)
        if check and done.returncode:
            raise AssertionError(f"usher {arguments}: {done.stdout}{done.stderr}")
        return done

    def keys(self, *command, node=None, check=True):
        """`usher keys …` against a node."""
        port = self.ports[node or self.nodes[0]]
        done = self.usher("keys", *command, "--url", f"https://localhost:{port}", "--trust", self.trust, "--json", check=check)
        return json.loads(done.stdout) if done.returncode == 0 else done

    def wrapped(self):
        """How many tenants each master key wraps, by where the key is; those that wrap none left out."""
        listed = self.keys("list")["value"]
        return {(key["origin"] or "unknown").split("/")[-1]: key["tenants"] for key in listed if key["tenants"]}

    def call(self, node, method, path, body=None, headers=()):
        connection = http.client.HTTPSConnection("localhost", self.ports[node], timeout=30, context=self.tls)
        try:
            sent = {"Content-Type": "application/json"} | dict(headers)
            connection.request(method, path, body if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
        finally:
            connection.close()

    def manage(self, method, path, body=None):
        answer = self.call(self.nodes[0], method, f"{path}?{MANAGEMENT_API}", body, {"Authorization": f"Bearer {self.admin}"})
        assert answer[0] < 300, answer
        return answer[1]

    def enroll_group(self):
        self.owner = self.manage("POST", f"{RESOURCE}/{SERVICE}/listkeys")["value"][0]
        keys = {"primaryKey": b64(self.group_key), "secondaryKey": b64(self.group_key)}
        body = {
            "enrollmentGroupId": GROUP, "attestation": {"type": "symmetricKey", "symmetricKey": keys},
            "initialTwin": {"tags": {"art": TWIN}, "properties": {"desired": {"farbe": TWIN}}}}
        headers = {"Host": HOST, "Authorization": sas(HOST, self.owner["primaryKey"], self.owner["keyName"])}
        status, answer = self.call(self.nodes[0], "PUT", f"/enrollmentGroups/{GROUP}?{SERVICE_API}", body, headers)
        assert status == 200, answer

    def register(self, node, device):
        token = sas(f"{SCOPE}/registrations/{device}", b64(derived(self.group_key, device)), "registration")
        path, headers = f"/{SCOPE}/registrations/{device}", {"Authorization": token}
        status, answer = self.call(node, "PUT", f"{path}/register?{DEVICE_API}", {"registrationId": device}, headers)
        deadline = time.monotonic() + 30
        while status < 300 and answer.get("status") == "assigning" and time.monotonic() < deadline:
            time.sleep(0.1)
            status, answer = self.call(node, "GET", f"{path}/operations/{answer['operationId']}?{DEVICE_API}", None, headers)
        state = answer.get("registrationState", {}) if isinstance(answer, dict) else {}
        assert status == 200 and state.get("assignedHub") == HUB or answer.get("status") == "assigned", (device, status, answer)

    def words(self):
        """What must not be readable at rest."""
        keys = [self.group_key, base64.b64decode(self.owner["primaryKey"]), base64.b64decode(self.owner["secondaryKey"])]
        keys += [base64.b64decode((self.folder / f"{name}.key").read_text()) for name in ("one", "two")]
        return secrets_of(keys) + [self.admin, PIN, TWIN, "farbe", SERVICE, SCOPE, HOST, HUB, GROUP, "geraet-", "provisioningserviceowner"]


def secrets_of(keys):
    return keys + [b64(key) for key in keys]


@contextlib.contextmanager
def world(*arguments, **more):
    made = World(*arguments, **more)
    try:
        yield made
    except BaseException:
        for node in made.processes:
            print(f"--- {node} ---\n{made.log(node)[-2500:]}")
        raise
    finally:
        made.remove()


class Load:
    """Devices that register one after the other, each once; the first that fails ends it."""

    def __init__(self, at, threads=3):
        self.at, self.over, self.broken, self.done = at, threading.Event(), [], collections.Counter()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(threads)]

    def run(self, thread):
        number = 0
        while not self.over.is_set():
            node = self.at.nodes[number % len(self.at.nodes)]
            try:
                self.at.register(node, f"geraet-{thread}-{number:05}")
            except BaseException as error:
                self.broken.append(f"{node}: {type(error).__name__}: {error}")
                return
            self.done[node] += 1
            number += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def more(self, count=10):
        """Waits until so many more have registered."""
        wanted, deadline = sum(self.done.values()) + count, time.monotonic() + 60
        while sum(self.done.values()) < wanted:
            assert not self.broken and time.monotonic() < deadline, self.broken
            time.sleep(0.02)


def in_a_token(binary, on_postgres):
    """A store that is begun under a key in a token, and opened again after a restart."""
    with world(binary, on_postgres) as at:
        at.configure(at.token())
        at.start()
        at.enroll_group()
        at.register(at.nodes[0], "geraet-vorher")
        assert at.stop() == [0]
        at.start()
        at.register(at.nodes[0], "geraet-vorher")
        at.register(at.nodes[0], "geraet-nachher")
        assert at.wrapped() == {"token usher, key master": 2}, at.wrapped()
        assert at.stop() == [0]
        at.configure(at.file("one"))
        assert "not the one these records were sealed under" in at.refusal()


def mistakes(binary):
    """What an operator reads who got something wrong."""
    with world(binary, False) as at:
        def said(**other):
            at.configure(at.token(**other))
            return at.refusal()
        assert "/no/such.so" in said(module="/no/such.so")
        why = said(token="ushre")
        assert "no token ushre" in why and "tresor" in why and "usher" in why, why
        why = said(key="meister")
        assert "no secret key meister" in why and "there are master" in why, why
        why = said(pin_file=f"{at.folder}/wrong-pin")
        assert "refused the PIN" in why and "not tried again" in why and "may be left" in why, why
        done = at.usher("keys", "make", "--module", pkcs11_module(), "--token", "usher", "--key", "master", "--pin-file", at.folder / "pin", check=False)
        assert done.returncode == 1 and "already" in done.stderr, done
        at.configure(at.file("one"))
        for node in at.nodes:
            text = (at.folder / f"{node}.toml").read_text()
            at.write(f"{node}.toml", "require_fips = true\n" + text)
        assert json.loads(at.usher("keys", "module", "--json").stdout)["fips"] or "require_fips" in at.refusal()


def rotated_twice_under_load(binary, on_postgres):
    """File, other file, token; the earlier key is taken out of the configuration each time, and nothing fails."""
    with world(binary, on_postgres, nodes=2 if on_postgres else 1) as at:
        at.configure(at.file("one"))
        at.start()
        at.enroll_group()
        one, two, token = at.file("one"), at.file("two"), at.token()
        with Load(at) as load:
            load.more()
            for old, new, name in ((one, two, "two.key"), (two, token, "token usher, key master")):
                at.reload_all(old, new)
                load.more()
                at.reload_all(new, old)
                load.more()
                told = at.keys("rotate", node=at.nodes[-1])
                assert (told["rewrapped"], told["already"]) == (2, 0), told
                assert at.keys("rotate")["already"] == 2
                assert at.wrapped() == {name: 2}, at.wrapped()
                assert at.keys("renew", "--service", SERVICE)["dataKeys"] >= 2
                load.more()
                at.reload_all(new)
                load.more()
            # A key without which something does not open is not given up by mistake.
            at.configure(one)
            at.processes[at.nodes[0]].send_signal(signal.SIGHUP)
            load.more(30)
        assert not load.broken, load.broken
        assert "were not taken over" in at.log(at.nodes[0])
        assert all(load.done[node] > 10 for node in at.nodes), load.done
        at.configure(token)
        assert not any(at.stop())
        for name in ("one", "two"):
            (at.folder / f"{name}.key").rename(at.folder / f"{name}.gone")
        at.start()
        at.register(at.nodes[-1], "geraet-0-00000")
        for name in ("one", "two"):
            (at.folder / f"{name}.gone").rename(at.folder / f"{name}.key")
        nothing_readable(at)


def nothing_readable(at):
    """In the stopped store, journal and all, or the dump; and no secret in the logs."""
    assert not any(at.stop())
    words = at.words()
    if at.database:
        blobs = {"dump": leaks.unhexed(at.database.dump())}
    else:
        blobs = leaks.read_folder(at.folder / "store")
    size = leaks.check(blobs, words, 20_000)
    logs = {node: at.log(node).encode() for node in at.nodes}
    leaks.check(logs, words[:words.index("farbe")], 500)
    assert leaks.found(logs, [SERVICE]) or leaks.found(logs, ["ready"]), "the logs are not the nodes' own"
    print(f"    {size / 1e6:.1f} MB searched for {len(words)} words", flush=True)


def killed_amid(binary, on_postgres):
    """SIGKILL while much is being wrapped anew: all of it opens with either key, and the next rotation ends it."""
    with world(binary, on_postgres) as at:
        at.configure(at.file("one"))
        at.start()
        at.enroll_group()
        for n in range(MORE_SERVICES):
            body = {"location": "local", "sku": {"name": "S1", "capacity": 1}, "properties": {}}
            at.manage("PUT", f"{RESOURCE}/nebenwerk-{n:02}", body)
        total, amid = MORE_SERVICES + 2, False
        keys, after = [(at.file("one"), "one.key"), (at.token(), "token usher, key master")], 0.05
        for _ in range(12):
            (old, _), (new, name) = keys
            at.configure(new, old)
            at.reload(at.nodes[0])
            rotating = threading.Thread(target=at.keys, args=("rotate",), kwargs={"check": False})
            rotating.start()
            time.sleep(after)
            at.stop(signal.SIGKILL)
            rotating.join()
            at.start()
            found = at.wrapped()
            assert sum(found.values()) == total, found
            amid = len(found) == 2
            after *= 1.5 if found.get(name, 0) == 0 else 0.6
            at.register(at.nodes[0], "geraet-amid")
            if amid:
                told = at.keys("rotate")
                assert told["rewrapped"] + told["already"] == total and told["already"] == found[name], (told, found)
                assert at.wrapped() == {name: total}, at.wrapped()
                at.configure(new)
                at.stop()
                at.start()
                at.register(at.nodes[0], "geraet-danach")
                return
            if name in found:
                keys.reverse()
        raise AssertionError("no kill hit a rotation")


def readable_in_dev(binary):
    """`usher dev`: all that lies in its folder but what is meant to be there."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-keys-dev-"))
    ports = [argument for name in ("https", "mqtts", "amqps") for argument in (f"--{name}-port", "0")]
    device, key, key_group = "geraet-daheim", os.urandom(32), os.urandom(32)
    try:
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen([binary, "dev", "--state", folder / "state", *ports], stdout=log, stderr=log)
        while not (folder / "state" / "dev.json").exists():
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
        dev = json.loads((folder / "state" / "dev.json").read_text())
        owner = dict(pair.split("=", 1) for pair in dev["service"]["connectionString"].split(";"))
        tls = ssl.create_default_context(cafile=folder / "state" / dev["trust"])
        body = {
            "registrationId": device, "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": b64(key), "secondaryKey": b64(key_group)}},
            "initialTwin": {"tags": {}, "properties": {"desired": {"farbe": TWIN}}}}
        host = owner["HostName"].split(":")[0]
        connection = http.client.HTTPSConnection("localhost", dev["device"]["https"], timeout=30, context=tls)
        headers = {"Content-Type": "application/json", "Authorization": sas(host, owner["SharedAccessKey"], owner["SharedAccessKeyName"])}
        connection.request("PUT", f"/enrollments/{device}?{SERVICE_API}", json.dumps(body), headers)
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        master = base64.b64decode((folder / "state" / "master.key").read_text())
        words = secrets_of([key, key_group, base64.b64decode(owner["SharedAccessKey"]), master])
        words += [device, TWIN, "farbe", dev["management"]["token"], dev["idScope"], "provisioningserviceowner", "BEGIN PRIVATE KEY"]
        leaks.check(leaks.read_folder(folder / "state", meant=("master.key", "dev.json", "ca.pem")), words, 2_000)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def all_cases(binary):
    stores = (("embedded store", False), ("PostgreSQL", True))
    cases = [(f"in a token, {name}", lambda on=on: in_a_token(binary, on)) for name, on in stores]
    cases += [("mistakes are told", lambda: mistakes(binary))]
    cases += [(f"rotated twice under load, then nothing readable, {name}", lambda on=on: rotated_twice_under_load(binary, on)) for name, on in stores]
    cases += [(f"killed amid a rotation, {name}", lambda on=on: killed_amid(binary, on)) for name, on in stores]
    return cases + [("usher dev's folder shows nothing", lambda: readable_in_dev(binary))]


def main():
    binary, only = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    for name, work in all_cases(binary):
        if only in name:
            started = time.monotonic()
            work()
            print(f"  {name}: {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
