"""Bad input, by real clients and by raw sockets: refused in the service's own shape, logged by tracking ID, and the server lives."""

import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import struct
import tempfile
import time
import urllib.parse

import certificates
import python_device
from enrolling import Enroller
from server import node
from tpm import Tpm

API = "api-version=2019-03-31"


def all_cases(server):
    world = World(server)
    cases = [(name.replace("_", " "), getattr(world, name)) for name in dir(world) if name.startswith("a_")]
    return [(name[2:], alive_after(server, work)) for name, work in cases]


def alive_after(server, work):
    def check():
        work()
        assert server.is_alive(), "the server died"
    return check


class World:
    def __init__(self, server):
        self.server, self.enroller = server, Enroller(server)
        self.key = os.urandom(32)
        self.enroller.individual("bad-device", Enroller.symmetric(self.key))

    # -- devices by Azure's SDKs

    def refused_by_python(self, expected, check, **settings):
        """The Python SDK must fail, and the log must name the check under a tracking ID."""
        before = len(self.server.log())
        try:
            python_device.provision(self.server, **settings)
        except Exception as error:
            text = f"{error} {error.__cause__}"
            assert expected in text, text
        else:
            raise AssertionError("it was provisioned")
        self.logged(before, check)

    def refused_by_node(self, expected, check, transport, **settings):
        before = len(self.server.log())
        job = {"host": self.server.host, "idScope": self.server.id_scope, "transport": transport, "hub": self.server.hub, "provisionOnly": True}
        answer = node(self.server, "device.js", job | settings)
        assert not answer["ok"], "it was provisioned"
        assert expected in json.dumps(answer), answer
        self.logged(before, check)

    def logged(self, before, check, tracking_id=""):
        for _ in range(50):
            lines = [line for line in self.server.log()[before:].splitlines() if check in line and tracking_id in line and "tracking_id" in line]
            if lines:
                return lines[0]
            time.sleep(0.02)
        raise AssertionError(f"no log line names {check!r}:\n{self.server.log()[before:]}")

    def a_wrong_key(self):
        self.refused_by_python("401", "TokenSignature", registration_id="bad-device", key=base64.b64encode(b"0" * 32).decode())
        for transport in ("https", "mqtt", "mqtt-ws"):
            self.refused_by_node("Unauthorized", "TokenSignature", transport, registrationId="bad-device", key=base64.b64encode(b"0" * 32).decode())

    def a_wrong_ID_scope(self):
        key = base64.b64encode(self.key).decode()
        self.refused_by_python("401", "idScope.unknown", registration_id="bad-device", key=key, id_scope="0neNOBODY")
        self.refused_by_node("Unauthorized", "idScope.unknown", "https", registrationId="bad-device", key=key, idScope="0neNOBODY")

    def a_registration_ID_that_is_not_enrolled(self):
        key = base64.b64encode(self.key).decode()
        self.refused_by_python("401", "TokenSignature", registration_id="nobody", key=key)
        self.refused_by_node("Unauthorized", "TokenSignature", "mqtt", registrationId="nobody", key=key)

    def a_registration_ID_that_breaks_the_rules(self):
        key = base64.b64encode(self.key).decode()
        self.refused_by_node("400", "InvalidId", "https", registrationId="_bad_", key=key)
        self.refused_by_python("", "mqtt.connect", registration_id="bad id!", key=key)

    def a_certificate_of_another_CA(self):
        stranger = certificates.Factory("stranger").device("bad-x509")
        self.refused_by_python("401", "enrollment.none", registration_id="bad-x509", identity=stranger)
        self.refused_by_node("Unauthorized", "enrollment.none", "https", registrationId="bad-x509", cert=stranger.chain_pem, certKey=stranger.key_pem)

    def a_certificate_whose_name_is_another_devices(self):
        identity = self.enroller.factory.device("somebody-else")
        self.refused_by_python("401", "CommonName", registration_id="bad-x509", identity=identity)

    def a_certificate_signed_by_a_CA_of_the_enrolled_name_but_another_key(self):
        impostor = certificates.Factory("conformance").device("bad-x509")
        self.refused_by_python("401", "IssuerSignature", registration_id="bad-x509", identity=impostor)

    def a_certificate_that_has_expired(self):
        self.refused_by_python("401", "Expired", registration_id="bad-old", identity=self.enroller.factory.device("bad-old", days=(-9, -2)))

    def a_certificate_that_is_not_valid_yet(self):
        self.refused_by_python("401", "NotYetValid", registration_id="bad-new", identity=self.enroller.factory.device("bad-new", days=(2, 9)))

    def a_chain_without_its_intermediates(self):
        identity = self.enroller.factory.device("bad-short")
        identity.above = []
        self.refused_by_python("401", "", registration_id="bad-short", identity=identity)

    def a_disabled_enrollment(self):
        self.enroller.individual("bad-disabled", Enroller.symmetric(self.key), provisioningStatus="disabled")
        self.refused_by_python("", "enrollment.disabled", registration_id="bad-disabled", key=base64.b64encode(self.key).decode())

    # -- raw TLS

    def connect(self, port, identity=None, key_of=None):
        context = ssl.create_default_context(cafile=self.server.trust)
        if identity:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain, tempfile.NamedTemporaryFile("w", suffix=".pem") as key:
                chain.write(identity.chain_pem)
                key.write((key_of or identity).key_pem)
                chain.flush()
                key.flush()
                context.load_cert_chain(chain.name, key.name)
        raw = socket.create_connection((self.server.host, port), timeout=15)
        return context.wrap_socket(raw, server_hostname=self.server.host)

    def http(self, method, path, body=b"", headers=None, identity=None):
        """Status, headers and body of one raw HTTPS exchange."""
        with self.connect(self.server.manifest["device"]["https"], identity) as tls:
            head = {"Host": self.server.host, "Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"} | (headers or {})
            lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in head.items()]
            tls.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            data = b""
            try:
                while chunk := tls.recv(65536):
                    data += chunk
            except (ConnectionError, ssl.SSLError):
                pass
        head, _, body = data.partition(b"\r\n\r\n")
        status, *rest = head.decode().split("\r\n")
        return int(status.split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}, body

    def refused_by_http(self, status, check, method, path, **request):
        """The service's error shape, with a log line under the same tracking ID that names the check."""
        before = len(self.server.log())
        got, headers, body = self.http(method, path, **request)
        assert got == status, f"{got}: {body}"
        error = json.loads(body)
        assert set(error) >= {"errorCode", "trackingId", "message", "timestampUtc"}, error
        assert error["errorCode"] // 1000 == status, error
        assert headers.get("x-ms-error-code"), headers
        self.logged(before, check, error["trackingId"])

    def path(self, device="bad-device", tail="/register", scope=None):
        return f"/{scope or self.server.id_scope}/registrations/{device}{tail}?{API}"

    def token(self, device="bad-device", expiry=None, key=None, scope=None):
        resource = urllib.parse.quote(f"{scope or self.server.id_scope}/registrations/{device}", safe="")
        expiry = int(expiry or time.time() + 600)
        mac = hmac.new(key or self.key, f"{resource}\n{expiry}".encode(), hashlib.sha256)
        return f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(base64.b64encode(mac.digest()), safe='')}&se={expiry}&skn=registration"

    def auth(self, **of):
        return {"Authorization": self.token(**of)}

    def a_token_that_has_expired(self):
        self.refused_by_http(401, "TokenExpiry", "PUT", self.path(), body=b"{}", headers=self.auth(expiry=time.time() - 4000))

    def a_token_for_another_device(self):
        self.refused_by_http(401, "TokenResource", "PUT", self.path(), body=b"{}", headers=self.auth(device="other"))

    def a_token_that_is_malformed(self):
        for token in ("SharedAccessSignature sr=x", "Bearer x", "SharedAccessSignature sr=a&sr=a&sig=b&se=c", "SharedAccessSignature " + "x" * 5000):
            self.refused_by_http(401, "TokenForm", "PUT", self.path(), body=b"{}", headers={"Authorization": token})

    def a_request_that_shows_nothing(self):
        self.refused_by_http(401, "attestation.kind", "PUT", self.path(), body=b"{}")
        self.refused_by_http(401, "evidence.none", "PUT", self.path(device="nobody"), body=b"{}")

    def a_body_that_is_too_large(self):
        self.refused_by_http(413, "BodyTooLarge", "PUT", self.path(), body=b" " * 200_000, headers=self.auth())
        self.refused_by_http(413, "BodyTooLarge", "PUT", self.path(), body=b" " * 2_000_000, headers=self.auth())

    def a_body_that_is_not_JSON(self):
        for body in (b"{", b"[]", b"\xff\xfe", b'{"registrationId":"other"}', b"[" * 5000):
            self.refused_by_http(400, "body.", "PUT", self.path(), body=body, headers=self.auth())

    def a_request_without_an_API_version(self):
        self.refused_by_http(400, "ApiVersionMissing", "PUT", self.path().split("?")[0], body=b"{}", headers=self.auth())

    def a_wrong_verb_or_path(self):
        self.refused_by_http(405, "MethodNotAllowed", "DELETE", self.path(), headers=self.auth())
        self.refused_by_http(404, "PathNotFound", "GET", "/nowhere", headers=self.auth())

    def a_poll_of_another_devices_operation(self):
        status, _, body = self.http("PUT", self.path(), body=b"{}", headers=self.auth())
        operation = json.loads(body)["operationId"]
        assert status == 202, body
        self.enroller.individual("bad-second", Enroller.symmetric(self.key))
        self.http("PUT", self.path(device="bad-second"), body=b"{}", headers=self.auth(device="bad-second"))
        tail = f"/operations/{operation}"
        self.refused_by_http(404, "operation.unknown", "GET", self.path(device="bad-second", tail=tail), headers=self.auth(device="bad-second"))
        self.refused_by_http(401, "TokenResource", "GET", self.path(tail=tail), headers=self.auth(device="bad-second"))

    def a_certificate_whose_key_is_not_proven(self):
        identity, other = self.enroller.factory.device("bad-proof"), certificates.make("bad-proof")
        # OpenSSL itself refuses a pair that does not fit, so the mismatch is made where only the server can see it.
        try:
            self.connect(self.server.manifest["device"]["https"], identity, key_of=other)
        except ssl.SSLError as error:
            assert "MISMATCH" in str(error).upper(), error
        else:
            raise AssertionError("the pair was taken")
        before = len(self.server.log())
        assert certificate_without_key(self.server, identity), "a certificate was taken without its key"
        assert "registration accepted" not in self.server.log()[before:]

    # -- TPM

    def tpm_keys(self):
        """The software TPM's public keys, its device enrolled."""
        if not hasattr(self, "keys"):
            tpm = Tpm()
            self.keys = node(self.server, "tpm_keys.js", {})
            tpm.stop()
            assert self.keys["ok"], self.keys
            self.enroller.individual("bad-tpm", {"type": "tpm", "tpm": {"endorsementKey": self.keys["endorsementKey"]}})
        return self.keys

    def show_tpm(self, status, check, device="bad-tpm", ek=None, srk=None, **request):
        keys = self.tpm_keys()
        tpm = {"endorsementKey": ek or keys["endorsementKey"], "storageRootKey": srk or keys["storageRootKey"]}
        self.refused_by_http(status, check, "PUT", self.path(device=device), body=json.dumps({"tpm": tpm}).encode(), **request)

    def a_TPM_that_is_not_enrolled(self):
        self.show_tpm(404, "enrollment.none", device="nobody-tpm")

    def a_TPM_with_another_endorsement_key(self):
        self.show_tpm(401, "EndorsementKey", ek=self.tpm_keys()["storageRootKey"])

    def a_TPM_key_that_is_tampered_with(self):
        raw = base64.b64decode(self.tpm_keys()["storageRootKey"])
        for bent in (raw[:-1], raw + b"x", b"\xff\xff" + raw[2:], raw[:9] + bytes([raw[9] ^ 0x12]) + raw[10:], b""):
            self.show_tpm(401, "TpmKeyForm", srk=base64.b64encode(bent or b"\0").decode())
        self.show_tpm(400, "body.tpm", srk="not base64!")

    def a_TPM_token_not_signed_by_the_challenges_key(self):
        keys = self.tpm_keys()
        self.show_tpm(401, "tpm.challenge", headers=self.auth(device="bad-tpm"))
        tpm = {"endorsementKey": keys["endorsementKey"], "storageRootKey": keys["storageRootKey"]}
        status, _, body = self.http("PUT", self.path(device="bad-tpm"), body=json.dumps({"tpm": tpm}).encode())
        challenge = json.loads(body)
        assert status == 401 and challenge["keyName"] == "registration" and "status" not in challenge, challenge
        again = json.loads(self.http("PUT", self.path(device="bad-tpm"), body=json.dumps({"tpm": tpm}).encode())[2])
        assert again["authenticationKey"] != challenge["authenticationKey"], "a challenge was sent twice"
        self.show_tpm(401, "TokenSignature", headers=self.auth(device="bad-tpm", key=base64.b64decode(challenge["authenticationKey"])[:32]))

    # -- raw AMQP

    def amqp(self, data, wait=1.5):
        """Sends bytes and returns all that came until the server closed or the time passed."""
        with self.connect(self.server.manifest["device"]["amqps"]) as tls:
            tls.sendall(data)
            tls.settimeout(wait)
            got = b""
            try:
                while chunk := tls.recv(65536):
                    got += chunk
            except TimeoutError:
                return got, False
            except (ConnectionError, ssl.SSLError):
                pass
            return got, True

    def closed_by_amqp(self, data, wait=1.5):
        before = len(self.server.log())
        got, closed = self.amqp(data, wait)
        assert closed, f"the connection was left open: {got}"
        self.logged(before, "amqp.")

    def a_frame_that_lies_about_its_size(self):
        bare = b"AMQP\x00\x01\x00\x00"
        for frame in (b"\xff\xff\xff\xff\x02\x00\x00\x00", b"\x00\x00\x00\x04\x02\x00\x00\x00", b"\x00\x00\x00\x10\xff\x00\x00\x00" + b"x" * 8):
            self.closed_by_amqp(bare + frame)
        # A list that says it has four thousand million elements.
        self.closed_by_amqp(bare + b"\x00\x00\x00\x14\x02\x00\x00\x00\x00\x53\x10\xd0\xff\xff\xff\xff\xff\xff\xff\xff")

    def a_stream_that_is_not_AMQP(self):
        self.closed_by_amqp(b"GET / HTTP/1.1\r\n\r\n")

    def a_SASL_response_before_the_choice(self):
        self.closed_by_amqp(b"AMQP\x03\x01\x00\x00" + b"\x00\x00\x00\x10\x02\x01\x00\x00\x00\x53\x43\xc0\x03\x01\xa0\x00")

    def a_peer_that_says_nothing(self):
        self.closed_by_amqp(b"", wait=30)

    def a_link_to_another_devices_address(self):
        import uamqp
        before = len(self.server.log())
        user = f"{self.server.id_scope}/registrations/bad-device"
        auth = uamqp.authentication.SASLPlain(self.server.host, user, self.token(), verify=self.server.trust)
        address = f"amqps://{self.server.host}/{self.server.id_scope}/registrations/somebody-else"
        client = uamqp.SendClient(address, auth=auth, error_policy=uamqp.errors.ErrorPolicy(max_retries=0))
        try:
            client.send_message(uamqp.Message(b"{}"))
        except Exception as error:
            assert "UnauthorizedAccess" in str(error) and "trackingId" in str(error), error
        else:
            raise AssertionError("the link was taken")
        finally:
            client.close()
        self.logged(before, "amqp.address")

    # -- raw MQTT

    def mqtt(self, *packets, identity=None):
        """Sends packets and returns all bytes that came until the server closed or a second passed."""
        with self.connect(self.server.manifest["device"]["mqtts"], identity) as tls:
            for packet in packets:
                tls.sendall(packet)
            tls.settimeout(1.5)
            data = b""
            try:
                while chunk := tls.recv(65536):
                    data += chunk
            except TimeoutError:
                return data, False
            except (ConnectionError, ssl.SSLError):
                pass
            return data, True

    def hello(self, device="bad-device"):
        return connect_packet(device, f"{self.server.id_scope}/registrations/{device}/{API}", self.token(device))

    def closed_by_mqtt(self, check, *packets):
        before = len(self.server.log())
        data, closed = self.mqtt(*packets)
        assert closed, f"the connection was left open: {data}"
        self.logged(before, check)
        return data

    def a_PUBLISH_before_CONNECT(self):
        assert self.closed_by_mqtt("mqtt.protocol", publish("$dps/registrations/PUT/iotdps-register/?$rid=1", b"{}")) == b""

    def a_second_CONNECT(self):
        self.closed_by_mqtt("mqtt.protocol", self.hello(), self.hello())

    def a_SUBSCRIBE_outside_of_dps(self):
        self.closed_by_mqtt("mqtt.filter", self.hello(), subscribe("#"))
        self.closed_by_mqtt("mqtt.filter", self.hello(), subscribe("$dps/registrations/res/200/#"))

    def a_PUBLISH_outside_of_dps(self):
        self.closed_by_mqtt("mqtt.topic", self.hello(), publish("devices/bad-device/messages/events/", b"x"))
        self.closed_by_mqtt("mqtt.topic", self.hello(), publish("$dps/registrations/PUT/iotdps-register/?$rid=a$b", b"x"))

    def a_packet_that_is_too_large(self):
        self.closed_by_mqtt("mqtt.protocol", self.hello(), b"\x30\xff\xff\xff\x7f" + b"x" * 1000)

    def a_malformed_packet(self):
        self.closed_by_mqtt("mqtt.protocol", b"\x10\x0c\x00\x04HTTP\x04\x02\x00\x00\x00\x00")
        self.closed_by_mqtt("mqtt.protocol", self.hello(), b"\xf0\x00")

    def a_client_ID_that_is_not_the_registration_ID(self):
        before = len(self.server.log())
        user = f"{self.server.id_scope}/registrations/bad-device/{API}"
        data, closed = self.mqtt(connect_packet("somebody", user, self.token()))
        assert data == b"\x20\x02\x00\x02" and closed, (data, closed)
        self.logged(before, "mqtt.connect")

    def a_malformed_body_over_MQTT(self):
        before = len(self.server.log())
        data, _ = self.mqtt(self.hello(), subscribe("$dps/registrations/res/#"), publish("$dps/registrations/PUT/iotdps-register/?$rid=1", b"{"))
        assert b"$dps/registrations/res/400/?$rid=1" in data, data
        error = json.loads(data[data.index(b"{"):])
        assert error["errorCode"] // 1000 == 400 and error["trackingId"], error
        self.logged(before, "body.json", error["trackingId"])

    def a_body_too_large_over_MQTT(self):
        before = len(self.server.log())
        data, _ = self.mqtt(
            self.hello(), subscribe("$dps/registrations/res/#"), publish("$dps/registrations/PUT/iotdps-register/?$rid=1", b" " * 120_000))
        assert b"$dps/registrations/res/413/?$rid=1" in data, data
        self.logged(before, "BodyTooLarge")


def text(value):
    return struct.pack("!H", len(value.encode())) + value.encode()


def packet(first, body):
    length, digits = len(body), b""
    while True:
        digit, length = length % 128, length // 128
        digits += bytes([digit | (0x80 if length else 0)])
        if not length:
            return bytes([first]) + digits + body


def connect_packet(client_id, user, password):
    return packet(0x10, text("MQTT") + b"\x04\xc2\x00\x3c" + text(client_id) + text(user) + text(password))


def publish(topic, payload):
    return packet(0x30, text(topic) + payload)


def subscribe(filter_):
    return packet(0x82, b"\x00\x01" + text(filter_) + b"\x01")


def certificate_without_key(server, identity):
    """Presents a certificate in TLS 1.2 with a signature by another key. OpenSSL's own client does it, with a doctored pair check."""
    import subprocess
    other = certificates.make("whoever")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("cert", identity.chain_pem), ("key", other.key_pem)):
            with open(f"{folder}/{name}", "w") as out:
                out.write(content)
        port = server.manifest["device"]["https"]
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{server.host}:{port}", "-CAfile", server.trust, "-cert", f"{folder}/cert", "-key", f"{folder}/key"],
            input=b"", capture_output=True, timeout=20)
    return done.returncode != 0
