"""Devices provisioned onto another usher's hub: one usher with the service (near), one with the hub (far), a fault injector between them.

Each attestation authenticates differently at the far hub; and whatever befalls it, its devices end up there, once, while devices of the
near hub notice nothing.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

from azure.iot.deviceprovisioning import DeviceProvisioningClient
from azure.iot.hub import IoTHubRegistryManager

import certificates
import metrics
import python_device
from faulty_hub import FaultyHub
from server import Server, node
from tpm import Tpm

# Loopback addresses other than 127.0.0.1 need no setting up, and have the ports that SDKs fix to themselves.
FAR = "127.0.0.32"
# A device of the near hub takes some tens of milliseconds; with the far hub's trouble, it must not take seconds.
NEAR_MEDIAN_MAX_MS = 500
# How long after the end of a fault a device may still wait: the longest cool-down, pause and poll together.
RECOVERY_MAX_S = 40


class Far:
    """The usher with the hub. Can be killed and started again with what it had."""

    def __init__(self, binary):
        self.binary, self.folder = binary, pathlib.Path(tempfile.mkdtemp(prefix="usher-far-"))
        self.start()

    def start(self):
        manifest = self.folder / "state" / "dev.json"
        manifest.unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "dev", "--state", self.folder / "state", "--bind", FAR, "--hub", f"{FAR}=far"], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not manifest.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the far usher did not start:\n" + (self.folder / "log").read_text())
            time.sleep(0.01)
        told = json.loads(manifest.read_text())
        self.hub = next(hub["connectionString"] for hub in told["hubs"] if hub["hostName"] == FAR)
        self.trust = str(self.folder / "state" / told["trust"])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)


class World:
    """Both ushers and what is between them."""

    def __init__(self, binary):
        self.bundle = os.environ.get("REQUESTS_CA_BUNDLE")
        self.far = Far(binary)
        self.between = FaultyHub(FAR, self.far.trust)
        folder = self.far.folder
        (folder / "between.pem").write_text(self.between.certificate)
        self.link_text = self.far.hub.replace(f"HostName={FAR};", f"HostName={FAR}:{self.between.port};")
        link = "far=" + self.link_text
        try:
            self.near = Server(binary, "--link", link, "--hub-trust", str(folder / "between.pem"))
        except BaseException:
            self.between.stop()
            self.far.stop()
            raise
        # Devices talk to both ushers, each with a CA of its own.
        both = folder / "both.pem"
        both.write_text(pathlib.Path(self.near.trust).read_text() + pathlib.Path(self.far.trust).read_text())
        self.near.binary = binary
        self.near.trust = self.trust = os.environ["REQUESTS_CA_BUNDLE"] = str(both)
        self.near.node_env["NODE_EXTRA_CA_CERTS"] = self.near.node_env["REQUESTS_CA_BUNDLE"] = str(both)
        self.hub, self.near_hub = self.far.hub, self.near.manifest["hubs"][0]["hostName"]
        self.service = DeviceProvisioningClient.from_connection_string(self.near.service, connection_verify=self.trust)

    @property
    def registry(self):
        return IoTHubRegistryManager.from_connection_string(self.far.hub)

    def stop(self):
        for end in (self.near.stop, self.between.stop, self.far.stop):
            with contextlib.suppress(Exception):
                end()
        if self.bundle is not None:
            os.environ["REQUESTS_CA_BUNDLE"] = self.bundle

    def remove(self):
        self.near.remove()
        shutil.rmtree(self.far.folder, ignore_errors=True)

    def link(self, connection_string):
        """Gives the far hub's link another connection string, as an operator would."""
        command = [self.near.binary, "hub", "update", FAR, "--connection-string", "-", "--state", self.near.folder / "state"]
        subprocess.run(command, input=connection_string + "\n", text=True, check=True, capture_output=True, timeout=30)

    def enroll(self, name, attestation, hub=FAR):
        self.service.enrollment.create_or_update(name, {
            "registrationId": name, "attestation": attestation, "allocationPolicy": "static", "iotHubs": [hub],
            "initialTwin": {"tags": {"of": name}, "properties": {"desired": {"cell": name}}}})

    def keyed(self, name, hub=FAR):
        """An enrolled device with a key; the key."""
        key = base64.b64encode(os.urandom(32)).decode()
        self.enroll(name, {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}, hub)
        return key

    def near_ms(self, label, count=8):
        """How long devices of the near hub take, in milliseconds."""
        took = []
        for n in range(count):
            name = f"near-{label}-{n}"
            result, ms = python_device.provision(self.near, name, self.keyed(name, self.near_hub))
            assert result.status == "assigned" and result.registration_state.assigned_hub == self.near_hub, result.status
            took.append(ms)
        return statistics.median(took)

    def begin(self, name, key):
        return Registering(self, name, key)

    def check_on_far(self, name, kind):
        """The far hub has the device, with the credential of its kind and its twin."""
        device, twin = self.registry.get_device(name), self.registry.get_twin(name)
        assert device.authentication.type == kind, device.authentication.type
        assert twin.tags == {"of": name}, twin.tags
        desired = {key: value for key, value in twin.properties.desired.items() if not key.startswith("$")}
        assert desired.get("cell") == name, desired


class Registering:
    """A device that registers in the background."""

    def __init__(self, world, name, key):
        self.name, self.result, self.error, self.ended = name, None, None, None

        def register():
            try:
                self.result, _ = python_device.provision(world.near, name, key)
            except Exception as error:
                self.error = error
            self.ended = time.monotonic()

        self.thread = threading.Thread(target=register, daemon=True)
        self.thread.start()

    def is_waiting(self):
        return self.thread.is_alive()

    def assigned(self):
        """Waits for the end; the hub."""
        self.thread.join(RECOVERY_MAX_S)
        assert not self.thread.is_alive(), f"{self.name} still waits"
        assert self.error is None, f"{self.name}: {self.error!r}"
        assert self.result.status == "assigned", f"{self.name}: {self.result.status}"
        return self.result.registration_state.assigned_hub


def attested(world):
    """Every attestation: provisioned by the near usher, made on the far hub, and at home there."""
    def key():
        secret = world.keyed("r-key")
        lives(world, "r-key", "sas", key=secret)

    def thumbprint():
        identity = certificates.make("r-x509")
        world.enroll("r-x509", {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": identity.pem}}}})
        lives(world, "r-x509", "selfSigned", identity=identity)

    def authority():
        factory = certificates.Factory("remote")
        world.service.enrollment_group.create_or_update("r-group", {
            "enrollmentGroupId": "r-group", "allocationPolicy": "static", "iotHubs": [FAR],
            "attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": factory.root.pem}}}},
            "initialTwin": {"tags": {"of": "r-ca"}, "properties": {"desired": {"cell": "r-ca"}}}})
        lives(world, "r-ca", "selfSigned", identity=factory.device("r-ca"))

    def tpm():
        chip = Tpm()
        try:
            keys = node(world.near, "tpm_keys.js", {})
            assert keys["ok"], keys
            world.enroll("r-tpm", {"type": "tpm", "tpm": {"endorsementKey": keys["endorsementKey"]}})
            job = {"host": world.near.host, "idScope": world.near.id_scope, "registrationId": "r-tpm", "transport": "amqp",
                   "hub": world.hub, "tpm": True, "brief": True}
            seen = node(world.near, "device.js", job)
            assert seen.get("ok"), seen
            assert seen["place"]["assignedHub"] == FAR, seen["place"]
            assert seen["desired"]["cell"] == "r-tpm", seen["desired"]
            world.check_on_far("r-tpm", "sas")
        finally:
            chip.stop()

    return [("symmetric key", key), ("X.509, individual", thumbprint), ("X.509, group", authority), ("TPM", tpm)]


def lives(world, name, kind, **credential):
    result, ms = python_device.provision(world.near, name, **credential)
    assert result.status == "assigned", result.status
    place = result.registration_state
    assert (place.assigned_hub, place.device_id) == (FAR, name), place.assigned_hub
    world.check_on_far(name, kind)
    seen = python_device.live(world, place, **credential)
    assert seen["desired"]["cell"] == name and seen["heard"] == "hello device", seen
    print(f"    {name}: on the far hub after {ms:.0f} ms", flush=True)


def killed(world):
    """The far usher is killed: its devices wait and end up assigned; others notice nothing."""
    usual = world.near_ms("usual")
    world.far.kill()
    try:
        waiting = [world.begin(name, world.keyed(name)) for name in ("r-killed-0", "r-killed-1", "r-killed-2")]
        time.sleep(2)
        during = world.near_ms("killed")
        assert all(device.is_waiting() for device in waiting), "a device of a dead hub was told something"
    finally:
        world.far.start()
    back = time.monotonic()
    for device in waiting:
        assert device.assigned() == FAR
        world.check_on_far(device.name, "sas")
    took = max(device.ended for device in waiting) - back
    print(f"    near devices: {usual:.0f} ms, with the far hub dead {during:.0f} ms; far devices assigned {took:.1f} s after it was back")
    assert during < NEAR_MEDIAN_MAX_MS, f"{during} ms"


def in_trouble(world, label, answer, for_s):
    """The far hub answers so for a while. Gives how many requests reached it meanwhile."""
    world.between.answer, world.between.seen = answer, []
    try:
        waiting = [world.begin(name, world.keyed(name)) for name in (f"r-{label}-0", f"r-{label}-1", f"r-{label}-2")]
        until = time.monotonic() + for_s
        during = world.near_ms(label, 5)
        time.sleep(max(0, until - time.monotonic()))
        assert all(device.is_waiting() for device in waiting), "a device was turned away"
        requests = len(world.between.seen)
    finally:
        world.between.answer = None
    for device in waiting:
        assert device.assigned() == FAR
        world.check_on_far(device.name, "sas")
    assert during < NEAR_MEDIAN_MAX_MS, f"{during} ms"
    return requests


def throttled(world):
    """429 with Retry-After holds for every device of the hub."""
    requests = in_trouble(world, "throttled", (429, {"retry-after": "6"}), 5)
    assert requests <= 3, f"{requests} requests in 5 s to a hub that asked for 6 s of patience"


def unauthorized(world):
    """Refused credentials: the devices wait until they are mended, the log says what to do."""
    requests = in_trouble(world, "unauthorized", (401, {}), 8)
    assert requests <= 8, f"{requests} requests in 8 s with credentials that are refused"
    log = world.near.log()
    assert "refuses the service's credentials" in log and "shared access policy" in log, "the log names no mend"


def linked_anew(world):
    """A link with a wrong key: its devices wait, and are assigned once an operator has given it the right one."""
    world.link(world.link_text.split("SharedAccessKey=")[0] + "SharedAccessKey=" + base64.b64encode(b"wrong" * 8).decode())
    try:
        device = world.begin("r-relinked", world.keyed("r-relinked"))
        time.sleep(3)
        assert device.is_waiting(), "the device was turned away"
    finally:
        world.link(world.link_text)
    assert device.assigned() == FAR
    world.check_on_far("r-relinked", "sas")


def faulty(world):
    """500 from the hub: no storm, and everyone is assigned after it."""
    requests = in_trouble(world, "faulty", (500, {}), 8)
    assert requests <= 20, f"{requests} requests in 8 s to a failing hub"


def late(world):
    """The hub does as asked and answers too late: the device is made once, on this hub alone."""
    world.between.late_s = 12
    try:
        device = world.begin("r-late", world.keyed("r-late"))
        time.sleep(6)
    finally:
        world.between.late_s = 0
    assert device.assigned() == FAR
    world.check_on_far("r-late", "sas")
    near = IoTHubRegistryManager.from_connection_string(world.near.hub)
    on_near = [found.device_id for found in near.get_devices(1000)]
    assert not [name for name in on_near if name.startswith("r-")], on_near
    on_far = [found.device_id for found in world.registry.get_devices(1000)]
    assert on_far.count("r-late") == 1 and not [name for name in on_far if name.startswith("near-")], on_far


def measured(world):
    """The metrics tell how the far hub has been doing."""
    calls = metrics.scrape(world.near, world.near.manifest["management"]["token"])["usher_hub_calls"]
    far = {sample.labels["outcome"]: sample.value for sample in calls.samples if sample.labels["hub"] == FAR and sample.name.endswith("_total")}
    assert far["answered"] > 10 and far["failed"] > 5 and far["throttled"] >= 1 and far["not made"] > 5, far


def all_cases(world):
    faults = [
        ("killed and started again", killed), ("throttles", throttled), ("refuses the credentials", unauthorized), ("fails", faulty),
        ("is linked with a wrong key and then anew", linked_anew),
        ("answers too late", late), ("is told in the metrics", measured)]
    cases = [(f"{name} on a remote hub", work) for name, work in attested(world)]
    return cases + [(f"a remote hub {name}", lambda work=work: work(world)) for name, work in faults]
