"""A Mosquitto broker as a hub: Azure's SDKs enroll and provision, and Mosquitto's own clients live the device's life on the broker.

Needs mosquitto and mosquitto-clients. The broker is set up as docs/mosquitto.md says.
"""

import contextlib
import glob
import ipaddress
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

from azure.iot.deviceprovisioning import DeviceProvisioningClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes

import certificates
import python_device
from enrolling import b64
from server import Server

# Not localhost, which is the name of usher's own hub.
HOST = "127.0.0.1"
ADMIN, ADMIN_PASSWORD = "admin", "operator"
USHER, USHER_PASSWORD = "usher@broker", "p/ss:w%rd@"
RIGHTS = [
    ("publishClientSend", "$CONTROL/dynamic-security/v1"),
    ("publishClientReceive", "$CONTROL/dynamic-security/v1/response"),
    ("subscribeLiteral", "$CONTROL/dynamic-security/v1/response"),
    ("publishClientSend", "devices/#"),
    ("publishClientReceive", "devices/#"),
    ("subscribePattern", "devices/#"),
    ("unsubscribePattern", "devices/#"),
]


class Broker:
    """Mosquitto with its dynamic-security plugin, on free ports and in a folder of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-broker-"))
        self.port, self.certificate_port = free_port(), free_port()
        self.authority = certificates.make("broker root", ca=True)
        self.factory = certificates.make("device root", ca=True)
        self.trust = self.write("ca.pem", self.authority.pem)
        self.write("device-ca.pem", self.factory.pem)
        self.write_server()
        run("mosquitto_ctrl", "dynsec", "init", self.folder / "dynamic-security.json", ADMIN, ADMIN_PASSWORD)
        self.write("mosquitto.conf", self.configuration())
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([program("mosquitto"), "-c", self.folder / "mosquitto.conf"], stdout=self.log, stderr=self.log)
        wait_for(self.certificate_port)
        self.admit()

    @property
    def link(self):
        quote = lambda text: urllib.parse.quote(text, safe="")
        return f"mosquitto://{quote(USHER)}:{quote(USHER_PASSWORD)}@{HOST}:{self.port}"

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def write_server(self):
        """A certificate that names the broker's address, which the one for devices does not."""
        identity = certificates.make("broker", issuer=self.authority)
        old = identity.certificate
        builder = x509.CertificateBuilder(
            issuer_name=old.issuer, subject_name=old.subject, public_key=old.public_key(), serial_number=old.serial_number,
            not_valid_before=old.not_valid_before_utc, not_valid_after=old.not_valid_after_utc)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
        identity.certificate = builder.add_extension(address, critical=False).sign(self.authority.key, hashes.SHA256())
        self.write("server.pem", identity.pem)
        self.write("server.key", identity.key_pem)

    def configuration(self):
        plugin = glob.glob("/usr/lib/*/mosquitto_dynamic_security.so") + glob.glob("/usr/lib/mosquitto_dynamic_security.so")
        server = f"certfile {self.folder}/server.pem\nkeyfile {self.folder}/server.key\n"
        return "\n".join([
            f"user root\nallow_anonymous false\nplugin {plugin[0]}\nplugin_opt_config_file {self.folder}/dynamic-security.json",
            f"persistence true\npersistence_location {self.folder}/\nautosave_on_changes true\nautosave_interval 1",
            f"listener {self.port} {HOST}\ncafile {self.folder}/ca.pem\n{server}",
            f"listener {self.certificate_port} {HOST}\ncafile {self.folder}/device-ca.pem\n{server}"
            "require_certificate true\nuse_identity_as_username true\n",
        ])

    def admit(self):
        control = ["mosquitto_ctrl", "-h", HOST, "-p", self.port, "--cafile", self.trust, "-u", ADMIN, "-P", ADMIN_PASSWORD, "dynsec"]
        run(*control, "createRole", "usher")
        for kind, topic in RIGHTS:
            run(*control, "addRoleACL", "usher", kind, topic, "allow")
        run(*control, "createClient", USHER, "-p", USHER_PASSWORD)
        run(*control, "addClientRole", USHER, "usher")

    def hear(self, topic, user, password=None, identity=None):
        """The first message on a topic, or None within a second."""
        proof = ["-p", self.port, "-u", user, "-P", password] if password else ["-p", self.certificate_port, *self.files(user, identity)]
        command = ["mosquitto_sub", "-h", HOST, "--cafile", self.trust, *proof, "-i", user, "-t", topic, "-C", "1", "-W", "1"]
        heard = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30).stdout.strip()
        return json.loads(heard) if heard else None

    def publish(self, topic, payload, user, password):
        run("mosquitto_pub", "-h", HOST, "-p", self.port, "--cafile", self.trust, "-u", user, "-P", password, "-i", user, "-q", "1", "-r",
            "-t", topic, "-m", payload)

    def files(self, name, identity):
        return ["--cert", self.write(f"{name}.pem", identity.pem), "--key", self.write(f"{name}.key", identity.key_pem)]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def program(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not found:
        raise SystemExit(f"{name} is missing: apt-get install mosquitto mosquitto-clients")
    return found


def run(name, *arguments):
    done = subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, f"{name}: {done.stdout}{done.stderr}"


def free_port():
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError):
            return socket.create_connection((HOST, port)).close()
        assert time.monotonic() < deadline, "the broker does not start"
        time.sleep(0.02)


def enrollment(registration_id, attestation, desired):
    return {
        "registrationId": registration_id, "attestation": attestation, "iotHubHostName": HOST, "allocationPolicy": "static", "iotHubs": [HOST],
        "initialTwin": {"tags": {"site": "hall 7"}, "properties": {"desired": desired}},
        "reprovisionPolicy": {"updateHubAssignment": True, "migrateDeviceData": False},
    }


def enroll(server, document):
    service = DeviceProvisioningClient.from_connection_string(server.service, connection_verify=server.trust)
    service.enrollment.create_or_update(document["registrationId"], document)


def provision(server, registration_id, **proof):
    result, _ = python_device.provision(server, registration_id, **proof)
    assert result.status == "assigned", result
    place = result.registration_state
    assert (place.assigned_hub, place.device_id) == (HOST, registration_id), (place.assigned_hub, place.device_id)


def by_key(server, broker):
    """Provisioned, the device reads what was enrolled for it and reports; again, its twin is reset, as its enrollment says."""
    name, key = "press-7", b64(os.urandom(32))
    symmetric = {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": b64(os.urandom(32))}}
    desired = {"rate": 5, "net": {"name": "ä"}}
    enroll(server, enrollment(name, symmetric, desired))
    provision(server, name, key=key)
    assert broker.hear(f"devices/{name}/twin/desired", name, key) == {"desired": desired}
    assert broker.hear(f"devices/{name}/twin/tags", USHER, USHER_PASSWORD) == {"tags": {"site": "hall 7"}}
    assert broker.hear(f"devices/{name}/twin/tags", name, key) is None, "a device reads its tags"
    for topic in (f"devices/{name}/twin/reported", f"devices/{name}/messages/events/"):
        broker.publish(topic, '{"seen":1}', name, key)
        assert broker.hear(topic, USHER, USHER_PASSWORD) == {"seen": 1}, topic
    broker.publish(f"devices/{name}/twin/desired", '{"desired":{"rate":9}}', USHER, USHER_PASSWORD)
    provision(server, name, key=key)
    assert broker.hear(f"devices/{name}/twin/desired", name, key) == {"desired": desired}, "the twin was not reset"


def by_certificate(server, broker):
    name = "press-8"
    identity = certificates.make(name, issuer=broker.factory)
    attestation = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": identity.pem}}}}
    enroll(server, enrollment(name, attestation, {"rate": 8}))
    provision(server, name, identity=identity)
    assert broker.hear(f"devices/{name}/twin/desired", name, identity=identity) == {"desired": {"rate": 8}}
    other = certificates.make("press-9", issuer=broker.factory)
    assert broker.hear(f"devices/{name}/twin/desired", name, identity=other) is None, "another device reads its twin"


def tells_no_password(server):
    log = server.log()
    assert USHER_PASSWORD not in log and urllib.parse.quote(USHER_PASSWORD, safe="") not in log


def ends(server, broker):
    """Stops both; what they said is kept where a case needs a look at it."""
    broker.stop()
    assert server.stop() == 0
    server.remove()


def all_cases(binary):
    """Needs a server of its own, with the broker linked."""
    broker = Broker()
    server = Server(binary, "--link", broker.link, "--hub-trust", str(broker.trust))
    return [
        ("a device by its key lives on a Mosquitto broker", lambda: by_key(server, broker)),
        ("a device by its certificate lives on a Mosquitto broker", lambda: by_certificate(server, broker)),
        ("the broker's password is not logged", lambda: tells_no_password(server)),
        ("SIGTERM ends it", lambda: ends(server, broker)),
    ]
