#!/usr/bin/env python3
"""Three nodes of `usher serve` on one PostgreSQL. Devices register at any node and poll at any other, an operator enrolls at any node,
while nodes and the database are killed with SIGKILL again and again and started anew.

    target/venv/bin/python tests/sdk/nodes.py target/release/usher [--seconds 20] [--seed N]

At the end: every registration and every enrollment that was acknowledged is there, once, with the ETag that was told (or that of a newer
operation of the same device, where it provably sent one: ledger.py); the meter shows no operation twice; a dump of the database holds no
ID, key, host name or twin value. Where a promise was broken, all that is known of the device is shown, and the nodes' logs are kept.
"""

import argparse
import base64
import collections
import http.client
import ipaddress
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
import traceback
import uuid

import paho.mqtt.client as paho
from azure.iot.device import ProvisioningDeviceClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes

import certificates
import leaks
import ledger
from enrolling import b64, derived
from kills import sas
from ledger import bare
from postgres import Postgres

# Addresses of their own, so that each node has the ports that SDKs fix.
NODES = ("127.0.9.1", "127.0.9.2", "127.0.9.3")
# One more, which may join.
SPARE = "127.0.9.4"
SERVICE, SCOPE, HOST, HUBS = "fabrik-nord", "0ne0F00BA25", "service.fabrik-nord.example", ("hub-ost.example", "hub-west.example")
GROUP, TWIN = "presslinie-sieben", "doppelgaenger-blau"
SERVICE_API, DEVICE_API = "api-version=2021-10-01", "api-version=2019-03-31"
RESOURCE = "/subscriptions/{}/resourceGroups/usher/providers/Microsoft.Devices/provisioningServices/{}"
# A device or operator that gets no answer asks another node; all nodes and the database being down for a moment is no reason to give up.
PATIENCE_S = 40


KILLS_MIN = 5
# Longest time that a device polls one operation: the node that takes it over may be killed in turn, and so may the next.
ENDED_S = 100
# Longest time until an operation whose node was killed is finished by another: its lease and the look for such, with room.
TAKEOVER_S = 45


class Broken(AssertionError):
    """A promise that was not kept; to which device, if it was one."""

    def __init__(self, what, device=None):
        super().__init__(what)
        self.device = device


class Installation:
    """The database, the nodes, and the files that all of them share. `nodes` are those that clients ask; they may change meanwhile."""

    def __init__(self, binary, database=None):
        self.binary, self.folder = binary, pathlib.Path(tempfile.mkdtemp(prefix="usher-nodes-"))
        self.database, self.nodes = database or Postgres(), list(NODES)
        self.admin, self.processes, self.pages_read = os.urandom(32).hex(), {}, 0
        self.trust = self.write("chain.pem", self.certificate())
        self.write("master.key", b64(os.urandom(32)))
        self.write("admin-token", self.admin)
        self.tls = ssl.create_default_context(cafile=self.trust)
        self.tls.check_hostname = True
        for node in (*NODES, SPARE):
            self.write(f"{node}.toml", self.config(node))
        # All at once: each finds an empty database.
        for node in NODES:
            self.start(node, wait=False)
        for node in NODES:
            self.wait(node)
        status, keys = self.management(f"{RESOURCE.format(uuid.UUID(int=0), SERVICE)}/listkeys")
        if status != 200:
            raise Broken(f"listkeys: {status} {keys}")
        self.owner = keys["value"][0]

    def write(self, name, text):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return str(path)

    def certificate(self):
        identity = certificates.make("usher nodes")
        names = [x509.IPAddress(ipaddress.ip_address(node)) for node in (*NODES, SPARE)] + [x509.DNSName(HOST)]
        issued = x509.CertificateBuilder(
            issuer_name=identity.certificate.subject, subject_name=identity.certificate.subject, public_key=identity.key.public_key(),
            serial_number=identity.certificate.serial_number, not_valid_before=identity.certificate.not_valid_before_utc,
            not_valid_after=identity.certificate.not_valid_after_utc)
        issued = issued.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(identity.key, hashes.SHA256())
        identity.certificate = issued
        self.write("key.pem", identity.key_pem)
        return identity.pem

    def config(self, node):
        hubs = "".join(f"[[service.hubs]]\nembedded = \"{hub}\"\n" for hub in HUBS)
        return f"""
device_host = "{NODES[0]}"
drain_seconds = 5
limits = "none"
embedded_hubs = {json.dumps(HUBS)}
[listen]
addresses = ["{node}"]
[tls]
certificate = "{self.folder}/chain.pem"
key = "{self.folder}/key.pem"
[store]
address = "{self.database.address}"
[master_key]
file = "{self.folder}/master.key"
[admin]
token_file = "{self.folder}/admin-token"
[service]
name = "{SERVICE}"
id_scope = "{SCOPE}"
host_name = "{HOST}"
{hubs}"""

    def start(self, node, wait=True):
        (self.folder / f"{node}.ready").unlink(missing_ok=True)
        command = [self.binary, "serve", "--config", self.folder / f"{node}.toml", "--ready-file", self.folder / f"{node}.ready"]
        with open(self.folder / f"{node}.log", "ab") as log:
            self.processes[node] = subprocess.Popen(command, stdout=log, stderr=log)
        if wait:
            self.wait(node)

    def wait(self, node):
        deadline = time.monotonic() + 45
        while not (self.folder / f"{node}.ready").exists():
            if self.processes[node].poll() is not None or time.monotonic() > deadline:
                raise Broken(f"{node} does not start:\n" + self.log(node)[-3000:])
            time.sleep(0.01)

    def logs(self):
        return {node: self.log(node) for node in self.processes}

    def log(self, node):
        return (self.folder / f"{node}.log").read_text(errors="replace")

    def kill(self, node):
        self.processes[node].send_signal(signal.SIGKILL)
        self.processes[node].wait()

    def call(self, node, method, path, body=None, headers=()):
        """One request on a connection of its own: status, headers, and the answer's JSON."""
        connection = http.client.HTTPSConnection(node, 443, timeout=30, context=self.tls)
        try:
            sent = {"Content-Type": "application/json"} | dict(headers)
            connection.request(method, path, body if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
        finally:
            connection.close()

    def management(self, path, method="POST", node=NODES[0]):
        status, _, answer = self.call(node, method, f"{path}?api-version=2022-02-05", None, {"Authorization": f"Bearer {self.admin}"})
        return status, answer

    def service(self, node, method, path, body=None, headers=()):
        token = sas(HOST, self.owner["primaryKey"], self.owner["keyName"])
        return self.call(node, method, f"{path}?{SERVICE_API}", body, {"Host": HOST, "Authorization": token, **dict(headers)})

    def everything(self, path):
        """All pages of a query, each page at another node."""
        found, after, pages = [], None, 0
        while True:
            headers = {"x-ms-max-item-count": "50"} | ({"x-ms-continuation": after} if after else {})
            status, got, page = self.service(self.nodes[pages % len(self.nodes)], "POST", path, {"query": "select *"}, headers)
            if status != 200:
                raise Broken(f"{path}: {status} {page}")
            self.pages_read += 1
            found, pages, after = found + page, pages + 1, got.get("x-ms-continuation")
            if not after:
                return found

    def end(self, node):
        """Ends a node as an operator does; returns its exit code."""
        self.processes[node].send_signal(signal.SIGTERM)
        return self.processes[node].wait(timeout=20)

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return [process.wait(timeout=20) for process in self.processes.values()]

    def remove(self, keep_logs=False):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        self.database.remove()
        if keep_logs:
            print(f"the nodes' logs, whole, are in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Load:
    """Devices and an operator, until told to stop; what they were told."""

    def __init__(self, installation, seed):
        self.at, self.random, self.key = installation, random.Random(seed), os.urandom(32)
        self.stop, self.ledger, self.enrolled = threading.Event(), ledger.Ledger(), {}
        self.tally, self.broken = collections.Counter(), []
        self.enroll_tries, self.enrolled_at = 0, []
        ledger.watch(self.ledger)
        self.until_answered(lambda node: self.enroll_group(node))

    @property
    def registered(self):
        """What each device that has registered was told."""
        return self.ledger.told

    def enroll_group(self, node):
        self.enroll_tries += 1
        keys = {"primaryKey": b64(self.key), "secondaryKey": b64(self.key)}
        body = {
            "enrollmentGroupId": GROUP, "attestation": {"type": "symmetricKey", "symmetricKey": keys},
            "initialTwin": {"tags": {"art": TWIN}, "properties": {"desired": {"farbe": TWIN}}}}
        return self.at.service(node, "PUT", f"/enrollmentGroups/{GROUP}", body)

    def until_answered(self, ask):
        """Asks any node, then any other, until one answers for good."""
        deadline, last = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < deadline:
            try:
                last = ask(self.random.choice(self.at.nodes))
                if last[0] < 429:
                    return last
                self.tally[f"answered {last[0]}, asked again"] += 1
            except (OSError, http.client.HTTPException, ValueError, TimeoutError) as error:
                last = error
                self.tally["no answer, asked another node"] += 1
            time.sleep(0.1)
        raise Broken(f"no node answers: {last}")

    def run(self, work, name):
        """A thread that does `work` with one new device or enrollment after the other."""
        def loop():
            number = 0
            try:
                while not self.stop.is_set():
                    work(f"{name}-{number:05}")
                    number += 1
            except BaseException as error:  # Shown by whoever waits.
                self.broken.append(f"{name}: {type(error).__name__}: {error}")
        thread = threading.Thread(target=loop, name=name)
        thread.start()
        return thread

    def token(self, device):
        return sas(f"{SCOPE}/registrations/{device}", b64(derived(self.key, device)), "registration")

    def https_device(self, device):
        headers, body = {"Authorization": self.token(device)}, {"registrationId": device}
        path = f"/{SCOPE}/registrations/{device}"

        def register(node):
            self.ledger.register_sent(device, f"PUT to {node}")
            return self.at.call(node, "PUT", f"{path}/register?{DEVICE_API}", body, headers)
        _, _, answer = self.until_answered(register)
        self.poll_until_assigned(device, answer, lambda operation: self.until_answered(
            lambda node: self.at.call(node, "GET", f"{path}/operations/{operation}?{DEVICE_API}", None, headers))[2])
        self.tally["registered over HTTPS"] += 1

    def mqtt_device(self, device):
        ask = lambda topic, body="": self.until_answered(lambda node: MqttVisit(self.at, node, device, self.token(device)).ask(topic, body))[2]
        answer = ask("PUT/iotdps-register/?$rid=1", json.dumps({"registrationId": device}))
        self.poll_until_assigned(device, answer, lambda operation: ask(f"GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}"))
        self.tally["registered over MQTT"] += 1

    def poll_until_assigned(self, device, answer, poll):
        """Polls once at least, each time at any node."""
        if "operationId" not in answer:
            raise Broken(f"{device} was refused: {answer}")
        polled = poll(answer["operationId"])
        deadline = time.monotonic() + ENDED_S
        while polled.get("status") == "assigning" and time.monotonic() < deadline:
            time.sleep(0.2)
            polled = poll(answer["operationId"])
        if polled.get("status") != "assigned":
            raise Broken(f"{device}: registered {answer}, polled {polled}")
        self.ledger.was_told(device, polled["operationId"], polled["registrationState"])

    def sdk_device(self, device):
        """Azure's SDK, which gives up on a broken connection; the device then tries another node."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            client = ProvisioningDeviceClient.create_from_symmetric_key(
                provisioning_host=self.random.choice(self.at.nodes), registration_id=device, id_scope=SCOPE,
                symmetric_key=b64(derived(self.key, device)), server_verification_cert=pathlib.Path(self.at.trust).read_text())
            try:
                result = client.register()
            except Exception:  # The SDK has many words for it.
                self.tally["the SDK asked another node"] += 1
                time.sleep(0.2)
                continue
            if result.status != "assigned":
                raise Broken(f"{device}: {result}")
            state = result.registration_state
            self.ledger.was_told(device, result.operation_id, {
                "etag": state.etag, "assignedHub": state.assigned_hub, "deviceId": state.device_id,
                "createdDateTimeUtc": state.created_date_time, "lastUpdatedDateTimeUtc": state.last_update_date_time})
            self.tally["registered by Azure's SDK"] += 1
            return
        raise Broken(f"{device}: Azure's SDK gets through to no node")

    def enroll(self, name):
        keys = {"primaryKey": b64(os.urandom(32)), "secondaryKey": b64(os.urandom(32))}
        twin = {"tags": {}, "properties": {"desired": {"farbe": TWIN}}}
        body = {"registrationId": name, "attestation": {"type": "symmetricKey", "symmetricKey": keys}, "initialTwin": twin}

        def put(node):
            self.enroll_tries += 1
            return self.at.service(node, "PUT", f"/enrollments/{name}", body)
        status, _, answer = self.until_answered(put)
        if status != 200:
            raise Broken(f"enrolling {name}: {status} {answer}")
        self.enrolled[name] = answer["etag"]
        self.enrolled_at.append(time.time())
        self.tally["enrolled"] += 1
        time.sleep(0.05)


class MqttVisit:
    """One question over MQTT: status, headers (none) and the answer's JSON."""

    def __init__(self, installation, node, device, token):
        self.node, self.answer, self.done = node, None, threading.Event()
        self.client = paho.Client(client_id=device, protocol=paho.MQTTv311)
        self.client.tls_set_context(installation.tls)
        self.client.username_pw_set(f"{SCOPE}/registrations/{device}/{DEVICE_API}&ClientVersion=raw", token)

    def ask(self, topic, body):
        client = self.client
        client.on_connect = lambda *_: client.subscribe("$dps/registrations/res/#", 1)
        client.on_subscribe = lambda *_: client.publish(f"$dps/registrations/{topic}", body, 1)
        client.on_message = lambda _client, _data, message: (setattr(self, "answer", message), self.done.set())
        client.on_disconnect = lambda *_: self.done.set()
        try:
            client.connect(self.node, 8883, keepalive=30)
            client.loop_start()
            if not self.done.wait(25) or self.answer is None:
                raise TimeoutError(f"no answer over MQTT from {self.node}")
            status = int(self.answer.topic.split("/")[3])
            return status, {}, json.loads(self.answer.payload)
        finally:
            client.disconnect()
            client.loop_stop()


def trial(binary, seconds=20, seed=None):
    seed = seed if seed is not None else int(time.time())
    installation, load, broken = Installation(binary), None, True
    try:
        load = Load(installation, seed)
        threads = [load.run(load.https_device, f"geraet-h{n}") for n in range(3)]
        threads += [load.run(load.mqtt_device, f"geraet-m{n}") for n in range(2)]
        # Several: an SDK may wait long for a node that was killed under it.
        threads += [load.run(load.sdk_device, f"geraet-s{n}") for n in range(3)] + [load.run(load.enroll, "einzeln")]
        kill_again_and_again(installation, load, seconds, random.Random(seed))
        load.stop.set()
        for thread in threads:
            thread.join(ENDED_S + 20)
        ledger.end_all()
        if load.broken or any(thread.is_alive() for thread in threads):
            raise Broken(f"seed {seed}: {load.broken or 'a device does not end'}")
        check_enough(load, ["registered over HTTPS", "registered over MQTT", "registered by Azure's SDK"], {"enrolled": 10, "nodes killed": KILLS_MIN})
        check_all(installation, load)
        print(f"  seed {seed}: {dict(load.tally)}", flush=True)
        broken = False
    except Broken as error:
        show(error, installation, load)
        raise
    finally:
        if load:
            load.stop.set()
        ledger.end_all()
        installation.remove(keep_logs=broken)


def show(error, installation, load):
    """All that is known of a broken promise."""
    logs = installation.logs()
    if load and error.device:
        print(f"--- {error.device} ---\n{load.ledger.story(error.device, logs)}")
    for node, log in logs.items():
        print(f"--- {node} ---\n{log[-2500:]}")


def kill_again_and_again(installation, load, seconds, chance):
    """Nodes all the time, the database twice, each started again after a moment. On a busy machine it goes on until enough were killed."""
    started, database_at = time.monotonic(), [seconds * 0.3, seconds * 0.65]
    while ((now := time.monotonic() - started) < seconds or load.tally["nodes killed"] < KILLS_MIN) and not load.broken:
        if database_at and now > database_at[0]:
            database_at.pop(0)
            installation.database.kill()
            time.sleep(chance.uniform(0.1, 0.8))
            installation.database.start()
            load.tally["database killed"] += 1
        node = chance.choice(NODES)
        installation.kill(node)
        load.tally["nodes killed"] += 1
        time.sleep(chance.uniform(0.05, 0.4))
        installation.start(node)
        time.sleep(chance.uniform(0.1, 0.6))


def check_enough(load, kinds, others):
    """`kinds` of registrations, three of each; `others` as often as they say."""
    if any(load.tally[what] < least for what, least in ({kind: 3 for kind in kinds} | others).items()):
        raise Broken(f"too little happened to prove anything: {dict(load.tally)}")


def check_all(installation, load):
    """Everything that was acknowledged is there, once; then the nodes are ended."""
    check_records(installation, load)
    check_meter(installation, load)
    check_dump(installation, load)
    codes = installation.stop()
    if any(codes):
        raise Broken(f"exit codes after SIGTERM: {codes}")
    if panics := [node for node, log in installation.logs().items() if "panicked" in log]:
        raise Broken(f"panics in the logs of {panics}")


def check_records(installation, load):
    kept = ended_registrations(installation)
    accepted = ledger.operations(installation.logs())
    for device in load.registered:
        if device not in kept:
            raise Broken(f"{device} was told that it is assigned, and has no registration", device)
        if why := load.ledger.disagreement(device, kept[device], accepted[device]):
            raise Broken(why, device)
        told = load.registered[device]
        if bare(told["etag"]) != bare(kept[device]["etag"]):
            load.tally["registered again after the answer"] += 1
    enrollments = installation.everything("/enrollments/query")
    etags = {enrollment["registrationId"]: enrollment["etag"] for enrollment in enrollments}
    if len(etags) != len(enrollments):
        raise Broken("enrollments listed twice")
    for name, etag in load.enrolled.items():
        if etags.get(name) != etag:
            raise Broken(f"enrollment {name} was told ETag {etag}, there is {etags.get(name)}")


def ended_registrations(installation):
    """All registrations, once none is under way any more."""
    deadline = time.monotonic() + TAKEOVER_S
    while True:
        states = installation.everything(f"/registrations/{GROUP}/query")
        once = collections.Counter(state["registrationId"] for state in states)
        if doubled := [name for name, times in once.items() if times > 1]:
            raise Broken(f"registrations listed twice: {doubled[:5]}", doubled[0])
        unfinished = [state["registrationId"] for state in states if state["status"] != "assigned"]
        if not unfinished:
            return {state["registrationId"]: state for state in states}
        if time.monotonic() > deadline:
            raise Broken(f"not ended: {unfinished[:5]}", unfinished[0])
        time.sleep(1)


def check_meter(installation, load):
    """Each operation that ended well is counted; none is counted more often than it was asked for."""
    ended = ledger.operations(installation.logs(), status="assigned")
    for device, told in load.registered.items():
        ended[device].add(told["operationId"])
    others = installation.pages_read + len(load.enrolled) + 1
    least = sum(map(len, ended.values())) + others
    most = load.ledger.registers_sent() + load.enroll_tries + installation.pages_read
    deadline = time.monotonic() + 10
    # What a client sent at the last moment may still be on its way.
    while len(readings := {read_meter(installation, node) for node in installation.nodes}) > 1 and time.monotonic() < deadline:
        time.sleep(0.5)
    if len(readings) != 1 or not least <= max(readings) <= most:
        raise Broken(f"the meter shows {readings}; {least} operations ended well, {most} were asked for")


def read_meter(installation, node):
    status, _, text = installation.call(node, "GET", "/metrics", None, {"Authorization": f"Bearer {installation.admin}"})
    lines = [line for line in text.splitlines() if line.startswith("usher_operations_total{")] if status == 200 else []
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines)


def check_dump(installation, load):
    """Nothing of what was given to usher is readable in the database, in whatever form."""
    dump = installation.database.dump()
    rows = dump.count(b"\\\\x")
    if rows < len(load.registered) + len(load.enrolled):
        raise Broken(f"the dump has {rows} binary values: it does not hold what was written")
    device, enrollment = next(iter(load.registered)), next(iter(load.enrolled))
    words = [SERVICE, SCOPE, HOST, GROUP, TWIN, *HUBS, device, enrollment, "geraet-", "einzeln-", "provisioningserviceowner"]
    keys = [load.key, base64.b64decode(installation.owner["primaryKey"]), bytes.fromhex(installation.admin)]
    leaks.check({"dump": leaks.unhexed(dump)}, words + keys + [b64(key) for key in keys] + [installation.admin], 100_000)


def all_cases(binary):
    return [("three nodes on one PostgreSQL, all of them killed again and again", lambda: trial(binary))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=os.path.abspath)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    finish(lambda: trial(given.binary, given.seconds, given.seed))


def finish(work):
    """Ends the process with the verdict: some SDK threads do not end by themselves."""
    started, code = time.monotonic(), 0
    try:
        work()
        print(f"nothing lost, doubled or readable, in {time.monotonic() - started:.0f} s")
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
