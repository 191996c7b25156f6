#!/usr/bin/env python3
"""Kills usher again and again while devices register and move between hubs, and counts what is there afterwards.

    target/venv/bin/python tests/sdk/kills.py target/release/usher [--kills 500] [--seed N]

After each kill the server is started again on the same state, and must have taken over and ended what it had begun. Then:
- what was acknowledged is there, with the very ETag that the device was told;
- each registered device is on the hub it was told, on no other, and kept its twin; no other device is on any hub;
- the meter shows each operation that succeeded, once.
"""

import argparse
import base64
import collections
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from enrolling import b64, derived

HUBS = ("localhost", "127.0.0.2", "127.0.0.3")
DEVICES, THREADS, GROUP = 240, 6, "line"
SERVICE_API, HUB_API, DEVICE_API = "api-version=2021-10-01", "api-version=2021-04-12", "api-version=2019-03-31"
# What is under way at a kill must be ended this long after the next start.
TAKEOVER_MAX_S = 30


class Broken(AssertionError):
    """A promise that was not kept."""


def sas(resource, key, policy=None):
    resource, expiry = urllib.parse.quote(resource, safe=""), int(time.time()) + 3600
    mac = hmac.new(base64.b64decode(key), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    return f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(b64(mac), safe='')}&se={expiry}" + (f"&skn={policy}" if policy else "")


def members(connection_string):
    return dict(pair.split("=", 1) for pair in connection_string.split(";"))


class Usher:
    """The server under test: started, killed and started again on the same state."""

    def __init__(self, binary):
        self.binary, self.folder = binary, pathlib.Path(tempfile.mkdtemp(prefix="usher-kills-"))
        self.state = self.folder / "state"
        self.process = None

    def start(self):
        (self.state / "dev.json").unlink(missing_ok=True)
        hubs = [argument for hub in HUBS for argument in ("--hub", hub)]
        ports = [argument for name in ("https", "mqtts", "amqps") for argument in (f"--{name}-port", "0")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "dev", "--state", self.state, *hubs, *ports], stdout=log, stderr=log)
        started = time.monotonic()
        while not (self.state / "dev.json").exists():
            if self.process.poll() is not None or time.monotonic() - started > 30:
                raise Broken("usher did not start again; see " + str(self.folder / "log"))
            time.sleep(0.005)
        self.manifest = json.loads((self.state / "dev.json").read_text())
        self.tls = ssl.create_default_context(cafile=self.state / self.manifest["trust"])
        return time.monotonic() - started

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def call(self, method, path, body=None, headers=(), host="localhost"):
        """One request on a connection of its own: status, headers and the JSON of the answer."""
        connection = http.client.HTTPSConnection("localhost", self.manifest["device"]["https"], timeout=15, context=self.tls)
        try:
            sent = {"Host": host, "Content-Type": "application/json"} | dict(headers)
            connection.request(method, path, body if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, answer.headers, text
        finally:
            connection.close()

    # -- as an operator

    def service(self, method, path, body=None, headers=()):
        owner = members(self.manifest["service"]["connectionString"])
        token = sas(owner["HostName"].split(":")[0], owner["SharedAccessKey"], owner["SharedAccessKeyName"])
        status, headers, text = self.call(method, f"{path}?{SERVICE_API}", body, {"Authorization": token, **dict(headers)})
        if status >= 300:
            raise Broken(f"{method} {path}: {status} {text}")
        return headers, json.loads(text)

    def allow(self, key, hubs):
        """Enrolls the group anew, with these hubs to choose from."""
        body = {
            "enrollmentGroupId": GROUP, "iotHubs": hubs, "allocationPolicy": "hashed",
            "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": b64(key), "secondaryKey": b64(key)}},
            "initialTwin": {"tags": {}, "properties": {"desired": {"born": "here"}}},
            "reprovisionPolicy": {"updateHubAssignment": True, "migrateDeviceData": True},
        }
        self.service("PUT", f"/enrollmentGroups/{GROUP}", body)

    def registrations(self):
        """Every registration of the group by ID, and how many calls that took."""
        found, calls, after = {}, 0, None
        while True:
            headers, page = self.service("POST", f"/registrations/{GROUP}/query", {}, {"x-ms-continuation": after} if after else {})
            calls += 1
            found |= {state["registrationId"]: state for state in page}
            after = headers.get("x-ms-continuation")
            if not after:
                return found, calls

    def on_hub(self, hub):
        """Every device of a hub, with its desired properties."""
        entry = next(entry for entry in self.manifest["hubs"] if entry["hostName"] == hub)
        owner = members(entry["connectionString"])
        headers = {"Authorization": sas(hub, owner["SharedAccessKey"], owner["SharedAccessKeyName"])}
        status, _, text = self.call("GET", f"/devices?top=1000&{HUB_API}", None, headers, hub)
        if status != 200:
            raise Broken(f"devices of {hub}: {status} {text}")
        return {device["deviceId"] for device in json.loads(text)}

    def twin(self, hub, device):
        entry = next(entry for entry in self.manifest["hubs"] if entry["hostName"] == hub)
        owner = members(entry["connectionString"])
        headers = {"Authorization": sas(hub, owner["SharedAccessKey"], owner["SharedAccessKeyName"])}
        _, _, text = self.call("GET", f"/twins/{device}?{HUB_API}", None, headers, hub)
        return json.loads(text)["properties"]["desired"]

    def operations(self):
        """The meter's reading, all months together."""
        headers = {"Authorization": "Bearer " + self.manifest["management"]["token"]}
        status, _, text = self.call("GET", "/metrics", None, headers)
        lines = [line for line in text.decode().splitlines() if line.startswith("usher_operations_total{")]
        if status != 200 or not lines:
            raise Broken(f"the meter: {status} {text}")
        return sum(int(line.rsplit(" ", 1)[1]) for line in lines)

    # -- as a device

    def register(self, device, key):
        """The device's answer, or `None` where none came."""
        scope = self.manifest["idScope"]
        token = sas(f"{scope}/registrations/{device}", b64(derived(key, device)), "registration")
        try:
            path = f"/{scope}/registrations/{device}/register?{DEVICE_API}"
            status, _, text = self.call("PUT", path, {"registrationId": device}, {"Authorization": token})
            return status, json.loads(text)
        except (OSError, http.client.HTTPException, ValueError):
            return None


class Loop:
    """The rounds, and what each must leave behind."""

    def __init__(self, usher, seed):
        self.usher, self.random, self.key = usher, random.Random(seed), os.urandom(32)
        self.known, self.expected = {}, 0
        self.tally = collections.Counter()

    def round(self, number):
        hubs = self.random.sample(HUBS, self.random.choice((1, 2, 3)))
        self.usher.allow(self.key, hubs)
        self.expected += 1
        acknowledged = self.load_until_killed()
        self.tally["slowest start, ms"] = max(self.tally["slowest start, ms"], round(self.usher.start() * 1000))
        found = self.wait_for_takeover()
        self.check_acknowledged(acknowledged, found)
        self.check_meter(found)
        self.check_hubs(found)
        self.known = found
        self.tally["kills"] += 1

    def load_until_killed(self):
        """Devices register, each once, until the server is gone; what they were told."""
        devices = [f"d{n:03}" for n in range(DEVICES)]
        self.random.shuffle(devices)
        acknowledged, queue = {}, collections.deque(devices)

        def work():
            while queue:
                try:
                    device = queue.popleft()
                except IndexError:
                    return
                answer = self.usher.register(device, self.key)
                if answer is None:
                    return
                acknowledged[device] = answer

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        time.sleep(self.random.uniform(0.01, 0.35))
        self.usher.kill()
        for thread in threads:
            thread.join()
        self.tally["acknowledged"] += len(acknowledged)
        return acknowledged

    def wait_for_takeover(self):
        deadline = time.monotonic() + TAKEOVER_MAX_S
        while True:
            found, calls = self.usher.registrations() if self.known or self.tally else ({}, 0)
            self.expected += calls
            waiting = [name for name, state in found.items() if state["status"] == "assigning"]
            if not waiting:
                return found
            self.tally["taken over"] += len(waiting)
            if time.monotonic() > deadline:
                raise Broken(f"still under way {TAKEOVER_MAX_S} s after the start: {waiting}")
            time.sleep(0.05)

    def check_acknowledged(self, acknowledged, found):
        for device, (status, answer) in acknowledged.items():
            if answer.get("status") != "assigned":
                if answer.get("status") == "assigning":
                    continue
                raise Broken(f"{device} was refused: {status} {answer}")
            told, kept = answer["registrationState"], found.get(device)
            if kept is None:
                raise Broken(f"{device} was told that it is assigned, and has no registration")
            for name in ("etag", "assignedHub", "deviceId", "status"):
                if told[name].strip('"') != kept[name].strip('"'):
                    raise Broken(f"{device} was told {name} {told[name]}, and its registration says {kept[name]}")

    def check_meter(self, found):
        changed = [name for name, state in found.items() if state["etag"] != self.known.get(name, {}).get("etag")]
        failed = [found[name] for name in changed if found[name]["status"] != "assigned"]
        if failed:
            raise Broken(f"registrations ended without an assignment: {failed[:3]}")
        self.tally["moved or new"] += sum(found[name]["assignedHub"] != self.known.get(name, {}).get("assignedHub") for name in changed)
        self.tally["succeeded"] += len(changed)
        self.expected += len(changed)
        counted = self.usher.operations()
        if counted != self.expected:
            raise Broken(f"the meter shows {counted} operations, and {self.expected} succeeded")

    def check_hubs(self, found):
        where = {hub: self.usher.on_hub(hub) for hub in HUBS}
        for hub, devices in where.items():
            should = {state["deviceId"] for state in found.values() if state["assignedHub"] == hub}
            if devices != should:
                raise Broken(f"on {hub}, too many: {sorted(devices - should)}, too few: {sorted(should - devices)}")
        for device in self.random.sample(sorted(found), min(5, len(found))):
            desired = self.usher.twin(found[device]["assignedHub"], device)
            if desired.get("born") != "here":
                raise Broken(f"{device} lost its twin: {desired}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    usher = Usher(given.binary)
    loop = Loop(usher, given.seed)
    print(f"{given.kills} kills, seed {given.seed}", flush=True)
    try:
        usher.start()
        for number in range(given.kills):
            loop.round(number)
            if (number + 1) % max(1, given.kills // 10) == 0:
                print(f"  {dict(loop.tally)}", flush=True)
    except Broken as broken:
        print(f"FAILED after {loop.tally['kills']} kills, seed {given.seed}: {broken}\n  state and log: {usher.folder}")
        sys.exit(1)
    finally:
        usher.kill()
    shutil.rmtree(usher.folder, ignore_errors=True)
    print(f"nothing lost, doubled or orphaned: {dict(loop.tally)}")


if __name__ == "__main__":
    main()
