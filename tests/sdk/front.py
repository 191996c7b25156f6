"""What stands in front of a node in production: a real HAProxy with the PROXY protocol, certificates that are replaced, limits of an
address, and the word to stop."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

from azure.iot.device import ProvisioningDeviceClient

from enrolling import b64
from kills import sas
from packages.running import self_signed, wait_until

NAME, SCOPE = "dps.front.example", "0ne0F404D31"
SERVICE_API = "api-version=2021-10-01"
# HAProxy listens here, as devices know it; the node does not.
FRONT, NODE, CLIENT = "127.0.8.1", "127.0.8.2", "127.0.8.77"


class Node:
    """One node on an embedded store."""

    def __init__(self, binary, **listen):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-front-"))
        self.certificate, self.key = self_signed(self.folder, NAME)
        self.admin = os.urandom(32).hex()
        (self.folder / "token").write_text(self.admin)
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in listen.items() if name != "drain_delay_seconds")
        (self.folder / "usher.toml").write_text(f"""
device_host = "{NAME}"
limits = "none"
drain_delay_seconds = {listen.get("drain_delay_seconds", 0)}
embedded_hubs = ["hub.front.example"]
[listen]
addresses = ["{NODE}"]
{lines}
[tls]
certificate = "{self.certificate}"
key = "{self.key}"
[store]
address = "embedded:{self.folder}/store"
[master_key]
file = "{self.folder}/master.key"
[admin]
token_file = "{self.folder}/token"
[service]
name = "front"
id_scope = "{SCOPE}"
host_name = "{NAME}"
hubs = [{{ embedded = "hub.front.example" }}]
""")
        self.log_path = self.folder / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--config", self.folder / "usher.toml", "--ready-file", self.folder / "ready"], stdout=log, stderr=log)
        wait_until((self.folder / "ready").exists, self.process, self.log_path)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def until_logged(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.log():
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{self.log()[-2000:]}"
            time.sleep(0.05)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)
        return code


@contextlib.contextmanager
def running(binary, **listen):
    node = Node(binary, **listen)
    try:
        yield node
    except AssertionError:
        print(node.log()[-2500:])
        raise
    finally:
        code = node.end()
    assert code == 0, f"exit code {code} after SIGTERM"


@contextlib.contextmanager
def haproxy(version):
    """The load balancer as its documentation has it: TCP passed on, and a header of this version."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-haproxy-"))
    header = "send-proxy-v2" if version == 2 else "send-proxy"
    parts = "".join(
        f"frontend f{port}\n  bind {FRONT}:{port}\n  default_backend b{port}\nbackend b{port}\n  server node {NODE}:{port} {header} check\n"
        for port in (443, 8883))
    (folder / "haproxy.cfg").write_text(
        f"global\n  maxconn 200\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n{parts}")
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([program, "-db", "-f", folder / "haproxy.cfg"], stdout=log, stderr=log)
    try:
        wait_until(lambda: can_connect(FRONT, 443), process, folder / "log")
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def ended(connection):
    """Whether the node has closed it, politely or not."""
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def can_connect(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


def call(node, method, path, body=None, headers=(), host=FRONT, source=CLIENT):
    """One request from an address of our choice: status and JSON."""
    trust = ssl.create_default_context(cafile=str(node.certificate))
    plain = socket.create_connection((host, 443), timeout=20, source_address=(source, 0))
    with trust.wrap_socket(plain, server_hostname=NAME) as stream:
        connection = http.client.HTTPSConnection(NAME, timeout=20)
        connection.sock = stream
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json", **dict(headers)})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()


def enroll(node, device, key, host):
    resource = f"/subscriptions/{'0' * 8}-0000-0000-0000-{'0' * 12}/resourceGroups/usher/providers/Microsoft.Devices/provisioningServices/front"
    bearer = {"Authorization": f"Bearer {node.admin}"}
    status, keys = call(node, "POST", f"{resource}/listkeys?api-version=2022-02-05", None, bearer, host)
    assert status == 200, keys
    owner = keys["value"][0]
    body = {"registrationId": device, "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}}
    token = sas(NAME, owner["primaryKey"], owner["keyName"])
    status, answer = call(node, "PUT", f"/enrollments/{device}?{SERVICE_API}", body, {"Authorization": token}, host)
    assert status == 200, answer


def told_addresses(node, device):
    """From where usher says that the device came."""
    environment = os.environ | {"USHER_TOKEN": node.admin}
    done = subprocess.run(
        [node.process.args[0], "explain", device, "--json", "--url", f"https://{NAME}", "--trust", node.certificate], env=environment,
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {attempt["peer"] for attempt in json.loads(done.stdout)["attempts"]}


@contextlib.contextmanager
def resolved():
    """The endpoint's name leads to the load balancer, on this machine, for a while."""
    hosts = pathlib.Path("/etc/hosts")
    before = hosts.read_text()
    hosts.write_text(f"{before}\n{FRONT} {NAME}\n")
    try:
        yield
    finally:
        hosts.write_text(before)


def behind_haproxy(binary):
    for version in (1, 2):
        with running(binary, proxies=["127.0.8.1/32", "127.0.0.1/32"]) as node, haproxy(version), resolved():
            device, key = f"hinter-dem-verteiler-{version}", b64(os.urandom(32))
            enroll(node, device, key, FRONT)
            token = sas(f"{SCOPE}/registrations/{device}", key, "registration")
            status, answer = call(
                node, "PUT", f"/{SCOPE}/registrations/{device}/register?api-version=2021-06-01", {"registrationId": device},
                {"Authorization": token})
            assert status in (200, 202), answer
            client = ProvisioningDeviceClient.create_from_symmetric_key(
                provisioning_host=NAME, registration_id=device, id_scope=SCOPE, symmetric_key=key,
                server_verification_cert=node.certificate.read_text())
            assert client.register().status == "assigned"
            # By HTTPS from an address that was chosen; by the SDK from whichever the system takes towards the load balancer.
            seen = told_addresses(node, device)
            assert CLIENT in seen and NODE not in seen, seen


def only_from_the_balancer(binary):
    """Who is no load balancer is not believed, and a load balancer that says nothing is refused by name."""
    with running(binary, proxies=["127.0.8.1/32"]) as node:
        with socket.create_connection((NODE, 443), timeout=10, source_address=(CLIENT, 0)) as stranger:
            stranger.sendall(b"PROXY TCP4 10.9.9.9 10.0.0.1 5 443\r\n")
            assert stranger.recv(100)[:1] in (b"", b"\x15"), "a stranger's header was taken"
        assert call(node, "GET", "/health", host=NODE)[0] == 200
        with socket.create_connection((NODE, 443), timeout=10, source_address=(FRONT, 0)) as silent:
            silent.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32))
            assert ended(silent)
        node.until_logged("proxy.header")
        assert "10.9.9.9" not in node.log()


def limits_of_an_address(binary):
    with running(binary, connections_per_address=3, new_connections_per_address=50) as node:
        # Connections that say nothing hold their place for the time of a handshake.
        held = [socket.create_connection((NODE, 443), timeout=10, source_address=(CLIENT, 0)) for _ in range(3)]
        time.sleep(0.2)
        with socket.create_connection((NODE, 443), timeout=10, source_address=(CLIENT, 0)) as refused:
            assert ended(refused)
        node.until_logged("address.connections")
        assert call(node, "GET", "/health", host=NODE, source="127.0.8.78")[0] == 200, "another address suffers"
        for connection in held:
            connection.close()
        time.sleep(0.2)
        assert call(node, "GET", "/health", host=NODE)[0] == 200, "places are not given back"
        for _ in range(60):
            can_connect(NODE, 443)
        node.until_logged("address.rate")


def certificate_replaced(binary):
    with running(binary) as node:
        old = served(node)
        # Half of a pair is no pair: the old one stays.
        fresh, key = self_signed(pathlib.Path(tempfile.mkdtemp(dir=node.folder)), NAME)
        os.replace(fresh, node.certificate)
        node.process.send_signal(signal.SIGHUP)
        node.until_logged("tls.files")
        assert served(node) == old
        os.replace(key, node.key)
        node.process.send_signal(signal.SIGHUP)
        node.until_logged("the certificate was replaced")
        assert served(node) != old
        assert call(node, "GET", "/ready", host=NODE)[0] == 200
        # Without the signal it is seen too, a little later.
        fresh, key = self_signed(pathlib.Path(tempfile.mkdtemp(dir=node.folder)), NAME)
        second = served(node)
        os.replace(key, node.key)
        os.replace(fresh, node.certificate)
        deadline = time.monotonic() + 25
        while served(node) == second:
            assert time.monotonic() < deadline, node.log()[-1500:]
            time.sleep(0.3)


def served(node):
    return ssl.get_server_certificate((NODE, 443))


def leaves_slowly(binary):
    """Told to stop, the node says so to load balancers, serves on for a while, and ends with 0."""
    with running(binary, drain_delay_seconds=2) as node:
        assert call(node, "GET", "/ready", host=NODE)[0] == 200
        node.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        status, answer = call(node, "GET", "/ready", host=NODE)
        assert status == 503 and answer == {"status": "about to stop"}, (status, answer)
        assert call(node, "GET", "/health", host=NODE)[0] == 200
        node.process.wait(timeout=20)


def all_cases(binary):
    return [
        ("behind HAProxy with both versions of the PROXY protocol, devices keep their addresses", behind_haproxy, (binary,)),
        ("nobody but the load balancer is believed", only_from_the_balancer, (binary,)),
        ("one address cannot take the places of others", limits_of_an_address, (binary,)),
        ("a certificate is replaced while the node runs", certificate_replaced, (binary,)),
        ("a node leaves in two steps", leaves_slowly, (binary,)),
    ]
