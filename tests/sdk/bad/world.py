"""What all bad-input cases share: refusals by Azure's SDKs, raw TLS and HTTP, tokens, and the log that must name the failed check."""

import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import tempfile
import time
import urllib.parse

import python_device
from enrolling import Enroller
from server import node

API = "api-version=2019-03-31"
# The members of the service's error (docs/protocol/errors.md).
ERROR_MEMBERS = {"errorCode", "trackingId", "message", "timestampUtc"}


class World:
    """A server, one device enrolled with a key, and the ways to reach it."""

    def __init__(self, server):
        self.server, self.enroller = server, Enroller(server)
        self.key = os.urandom(32)
        self.enroller.individual("bad-device", Enroller.symmetric(self.key))

    # -- devices by Azure's SDKs

    def refused_by_python(self, expected, check, **settings):
        """The Python SDK must fail, and the log must name the check under a tracking ID."""
        before = len(self.server.log())
        try:
            result, _ = python_device.provision(self.server, **settings)
        except Exception as error:
            text = f"{error} {error.__cause__}"
        else:
            text = f"status {result.status}"
            assert result.status != "assigned", "it was provisioned"
        assert expected in text, text
        self.logged(before, check)

    def refused_by_node(self, expected, check, transport, **settings):
        """The Node SDK must fail likewise."""
        before = len(self.server.log())
        job = {"host": self.server.host, "idScope": self.server.id_scope, "transport": transport, "hub": self.server.hub, "provisionOnly": True}
        answer = node(self.server, "device.js", job | settings)
        assert not answer["ok"], "it was provisioned"
        assert expected in json.dumps(answer), answer
        self.logged(before, check)

    def logged(self, before, check, tracking_id=""):
        """The log line, written since `before`, that names the check under the tracking ID."""
        for _ in range(50):
            for line in self.server.log()[before:].splitlines():
                if f'check="{check}' in line and f"tracking_id={tracking_id}" in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no log line names {check!r} of {tracking_id!r}:\n{self.server.log()[before:]}")

    # -- raw TLS and HTTP

    def connect(self, port, identity=None, key_pem=None, version=None):
        context = ssl.create_default_context(cafile=self.server.trust)
        if version:
            context.minimum_version = context.maximum_version = version
        if identity:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain, tempfile.NamedTemporaryFile("w", suffix=".pem") as key:
                chain.write(identity.chain_pem)
                key.write(key_pem or identity.key_pem)
                chain.flush()
                key.flush()
                context.load_cert_chain(chain.name, key.name)
        raw = socket.create_connection((self.server.host, port), timeout=15)
        return context.wrap_socket(raw, server_hostname=self.server.host)

    def http(self, method, path, body=b"", headers=None, **tls):
        """Status, headers and body of one raw HTTPS exchange."""
        with self.connect(self.server.manifest["device"]["https"], **tls) as stream:
            head = {"Host": self.server.host, "Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"} | (headers or {})
            lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in head.items()]
            try:
                stream.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            except (ConnectionError, ssl.SSLError):
                pass  # A server that has seen enough answers before all is sent; the answer must be there.
            data, _ = read_to_end(stream, wait=15)
        head, _, body = data.partition(b"\r\n\r\n")
        status, *rest = head.decode().split("\r\n")
        return int(status.split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}, body

    def refused_by_http(self, status, check, method, path, **request):
        """The service's error shape, with a log line under the same tracking ID that names the check."""
        before = len(self.server.log())
        got, headers, body = self.http(method, path, **request)
        assert got == status, f"{got}: {body}"
        error = self.error_of(body, status)
        assert headers.get("x-ms-error-code"), headers
        assert headers["content-type"].startswith("application/json"), headers
        self.logged(before, check, error["trackingId"])
        return error

    @staticmethod
    def error_of(body, status):
        """The service's error, complete and of the status."""
        error = json.loads(body)
        assert set(error) >= ERROR_MEMBERS, error
        assert error["errorCode"] // 1000 == status and error["trackingId"] and error["message"], error
        assert time.strptime(error["timestampUtc"][:19], "%Y-%m-%dT%H:%M:%S"), error
        return error

    # -- what a device says

    def path(self, device="bad-device", tail="/register", scope=None):
        return f"/{scope or self.server.id_scope}/registrations/{device}{tail}?{API}"

    def token(self, device="bad-device", expiry=None, key=None, scope=None):
        resource = urllib.parse.quote(f"{scope or self.server.id_scope}/registrations/{device}", safe="")
        expiry = int(time.time() + 600 if expiry is None else expiry)
        mac = hmac.new(key or self.key, f"{resource}\n{expiry}".encode(), hashlib.sha256)
        return f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(base64.b64encode(mac.digest()), safe='')}&se={expiry}&skn=registration"

    def auth(self, **of):
        return {"Authorization": self.token(**of)}

    def operation_of(self, device):
        """Registers over HTTPS and returns the operation's ID."""
        status, _, body = self.http("PUT", self.path(device=device), body=b"{}", headers=self.auth(device=device))
        assert status == 202, body
        return json.loads(body)["operationId"]


def read_to_end(stream, wait):
    """All that comes until the peer closes or nothing comes for `wait` seconds; and whether it closed."""
    stream.settimeout(wait)
    data = b""
    try:
        while chunk := stream.recv(65536):
            data += chunk
    except TimeoutError:
        return data, False
    except (ConnectionError, ssl.SSLError):
        pass
    return data, True
