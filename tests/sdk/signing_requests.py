"""Certificates for signing requests: devices put a `csr` into their register request, by plain clients and by `usher device`, and go to
their hub with what they were issued, by Azure's own SDK. The authority is one that usher made, one brought along, and one asked by EST.

Also alone:

    unshare -n … python tests/sdk/run.py BINARY --only apart
"""

import base64
import contextlib
import http.server
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time

import requests
from azure.core.exceptions import HttpResponseError
from azure.iot.device.exceptions import CredentialError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

import certificates
import openapi
import python_device
import throttling
from enrolling import b64, derived
from server import Server
from service_api import operator

API = "api-version=2025-07-01-preview"
USER, PASSWORD = "usher", "password-that-nobody-may-see"


def all_cases(binary):
    """Cases as (name, function); they share one server, which the last one stops."""
    bed = Bed(binary)
    return [
        ("HTTPS, a request by openssl: the SDK connects with the certificate", lambda: by_https(bed)),
        ("MQTT, RSA: the SDK connects with the certificate", lambda: by_mqtt(bed)),
        ("usher device over AMQP and WebSockets saves key and chain; the SDK connects with them", lambda: by_tool(bed)),
        ("a group's devices, and a policy taken away under the enrollment's ETag", lambda: by_group(bed)),
        ("requests that break a rule are refused, and explained", lambda: refusals(bed)),
        ("a CA brought along, with a root above it", lambda: imported(bed)),
        ("hubs that tell devices by the authority, which is put there", lambda: by_authority(bed)),
        ("an authority asked by EST, after an outage", lambda: by_est(bed)),
        ("an authority that refuses", lambda: est_refuses(bed)),
        ("a policy is listed, changed and deleted; no secret is told or logged", lambda: managed(bed)),
        ("the server ends", bed.end),
    ]


def expect(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


class Bed(contextlib.ExitStack):
    """A server with an authority `made` for it, and an EST server."""

    def __init__(self, binary):
        super().__init__()
        self.binary, self.server = binary, Server(binary)
        self.folder = self.enter_context(tempfile.TemporaryDirectory(prefix="usher-csr-"))
        self.ca("create", "made", "--validity-days", "7", "--subject", "plant CA")
        self.est = Est(self)

    def usher(self, *arguments, **more):
        done = subprocess.run([self.binary, *arguments], text=True, capture_output=True, timeout=60, **more)
        expect(done.returncode == 0, f"usher {arguments[0]} {arguments[1]}: {done.stderr}")
        return done.stdout

    def ca(self, *arguments, **more):
        told = self.usher("ca", *arguments, "--state", str(self.server.folder / "state"), "--json", **more)
        return json.loads(told) if told.strip() else None

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def end(self):
        code = self.server.stop()
        self.close()
        expect(code == 0, f"exit code {code}")
        self.server.remove()


class Device:
    """An enrolled device with its onboarding key."""

    def __init__(self, bed, registration_id, policy):
        self.server, self.id, self.key = bed.server, registration_id, b64(os.urandom(32))
        enrollment = {
            "registrationId": self.id, "credentialPolicyName": policy,
            "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": self.key, "secondaryKey": self.key}}}
        told = operator(self.server).enrollment.create_or_update(self.id, enrollment)
        expect(told["credentialPolicyName"] == policy, f"enrolled as {told}")

    @property
    def token(self):
        return openapi.sas(f"{self.server.id_scope}/registrations/{self.id}", self.key, "registration")

    def https(self, method, path, body=None):
        here = self.server.manifest["device"]
        url = f"https://{here['host']}:{here['https']}/{self.server.id_scope}/registrations/{self.id}{path}?{API}"
        headers = {"Authorization": self.token}
        return requests.request(method, url, json=body, headers=headers, verify=self.server.trust, timeout=20)

    def register(self, csr):
        """Registers and polls; returns the operation as it ended."""
        answer = self.https("PUT", "/register", {"registrationId": self.id, "csr": csr})
        expect(answer.status_code == 202, f"{answer.status_code} {answer.text}")
        operation = answer.json()
        deadline = time.monotonic() + 60
        while operation["status"] == "assigning" and time.monotonic() < deadline:
            expect("issuedCertificateChain" not in operation["registrationState"], "a chain before the device is on its hub")
            time.sleep(1)
            operation = self.https("GET", f"/operations/{operation['operationId']}").json()
        return operation


def request_of(key, name):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    return b64(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def p384():
    return ec.generate_private_key(ec.SECP384R1())


def issued(operation, key, name, length):
    """The identity that an operation issued, judged by another library than usher's."""
    expect(operation["status"] == "assigned", f"{operation}")
    chain = [x509.load_der_x509_certificate(base64.b64decode(der)) for der in operation["registrationState"]["issuedCertificateChain"]]
    expect(len(chain) == length, f"{len(chain)} certificates")
    leaf = chain[0]
    expect(leaf.public_key() == key.public_key(), "it is for another key")
    expect(leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == name, f"it is for {leaf.subject}")
    for below, above in zip(chain, [*chain[1:], chain[-1]]):
        below.verify_directly_issued_by(above)
    expect(chain[-1].subject == chain[-1].issuer, "the chain does not end at a root")
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    expect(x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in usage, f"it is for {usage}")
    return certificates.Identity(leaf, key, [certificates.Identity(above, None) for above in chain[1:]])


class Place:
    """What the SDK's registration result would say."""

    def __init__(self, operation):
        self.assigned_hub, self.device_id = (operation["registrationState"][name] for name in ("assignedHub", "deviceId"))


def by_https(bed):
    device, files = Device(bed, "csr-https", "made"), [os.path.join(bed.folder, name) for name in ("o.key", "o.csr")]
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-subj", f"/CN={device.id}",
         "-keyout", files[0], "-outform", "DER", "-out", files[1]], check=True, capture_output=True)
    with open(files[0], "rb") as key, open(files[1], "rb") as csr:
        key, csr = serialization.load_pem_private_key(key.read(), None), b64(csr.read())
    operation = device.register(csr)
    identity = issued(operation, key, device.id, 2)
    days = identity.certificate.not_valid_after_utc - identity.certificate.not_valid_before_utc
    expect(days.days == 7, f"valid for {days}")
    python_device.live(bed.server, Place(operation), identity=identity)
    again = device.https("GET", f"/operations/{operation['operationId']}").json()
    expect(again["registrationState"]["issuedCertificateChain"] == operation["registrationState"]["issuedCertificateChain"], "two chains")
    looked_up = device.https("POST", "", {"registrationId": device.id})
    expect(looked_up.status_code == 200 and "issuedCertificateChain" not in looked_up.json(), looked_up.text)
    asked = device.https("POST", "", {"registrationId": device.id, "csr": csr})
    expect((asked.status_code, asked.json()["errorCode"]) == (400, 400006), asked.text)
    told = operator(bed.server).device_registration_state.get(device.id)
    expect("issuedCertificateChain" not in told, f"told to an operator: {told}")


def by_mqtt(bed):
    device, key = Device(bed, "csr-mqtt", "made"), rsa.generate_private_key(65537, 2048)
    mqtt = throttling.Mqtt(device)
    try:
        body = json.dumps({"registrationId": device.id, "csr": request_of(key, device.id)}).encode()
        topic, operation = mqtt.ask("PUT/iotdps-register/?$rid=1", body)
        expect(topic.startswith("$dps/registrations/res/200/"), f"{topic} {operation}")
    finally:
        mqtt.end()
    identity = issued(operation, key, device.id, 2)
    python_device.live(bed.server, Place(operation), identity=identity, websockets=True)


def by_tool(bed):
    state = str(bed.server.folder / "state")
    for transport in ("amqp", "amqp-ws", "mqtt-ws"):
        device, folder = Device(bed, f"csr-{transport}", "made"), os.path.join(bed.folder, transport)
        told = json.loads(bed.usher(
            "device", "provision", "--state", state, "--registration-id", device.id, "--key", device.key, "--transport", transport,
            "--csr", folder, "--twin", "--json"))
        expect(told["twin"] is not None and len(told["registrationState"]["issuedCertificateChain"]) == 2, f"{told}")
        with open(os.path.join(folder, "device.key"), "rb") as key, open(os.path.join(folder, "device.pem"), "rb") as chain:
            key, chain = serialization.load_pem_private_key(key.read(), None), x509.load_pem_x509_certificates(chain.read())
        expect(os.stat(os.path.join(folder, "device.key")).st_mode & 0o077 == 0, "others may read the key")
        identity = certificates.Identity(chain[0], key, [certificates.Identity(chain[1], None)])
        place = {"registrationState": {"assignedHub": told["hub"], "deviceId": told["deviceId"]}}
        python_device.live(bed.server, Place(place), identity=identity)


def by_group(bed):
    client, group_key = operator(bed.server), os.urandom(32)
    group = {
        "enrollmentGroupId": "csr-group", "credentialPolicyName": "made",
        "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": b64(group_key), "secondaryKey": b64(group_key)}}}
    group = client.enrollment_group.create_or_update("csr-group", group)
    device, key = Device.__new__(Device), ec.generate_private_key(ec.SECP256R1())
    device.server, device.id = bed.server, "csr-of-group"
    device.key = b64(derived(group_key, device.id))
    first = issued(device.register(request_of(key, device.id)), key, device.id, 2)
    second = device.register(request_of(key, device.id))
    renewed = issued(second, key, device.id, 2)
    expect(first.certificate.serial_number != renewed.certificate.serial_number, "the same certificate again")
    for identity in (first, renewed):
        # The one before is good until the next registration: a device may have to go on with it.
        python_device.live_briefly(bed.server, Place(second), identity)
    without = {name: value for name, value in group.items() if name not in ("credentialPolicyName", "etag")}
    with contextlib.suppress(HttpResponseError):
        client.enrollment_group.create_or_update("csr-group", without, if_match='"bm9uZQ=="')
        raise AssertionError("it was changed under a stale ETag")
    told = client.enrollment_group.create_or_update("csr-group", without, if_match=group["etag"])
    expect("credentialPolicyName" not in told, f"{told}")
    refused(device, request_of(key, device.id), "no credential policy")
    with contextlib.suppress(HttpResponseError):
        client.enrollment_group.create_or_update("csr-group", without | {"credentialPolicyName": "none-such"})
        raise AssertionError("it names a policy that is not there")


def refused(device, csr, why):
    answer = device.https("PUT", "/register", {"registrationId": device.id, "csr": csr})
    expect((answer.status_code, answer.json()["errorCode"]) == (400, 400006), f"{answer.status_code} {answer.text}")
    expect(answer.headers["x-ms-error-code"] == "CsrRefused" and why in answer.json()["message"], answer.text)


def refusals(bed):
    bed.ca("create", "p384-only", "--key-type", "P-384")
    device, key = Device(bed, "csr-refused", "p384-only"), p384()
    good = base64.b64decode(request_of(key, device.id))
    refused(device, request_of(key, "another"), "common name")
    refused(device, request_of(ec.generate_private_key(ec.SECP256R1()), device.id), "the credential policy allows P-384")
    refused(device, request_of(rsa.generate_private_key(65537, 1024), device.id), "RSA of 1024 bits")
    refused(device, b64(good[:-1] + bytes([good[-1] ^ 1])), "signature")
    refused(device, "-----BEGIN CERTIFICATE REQUEST-----\n" + b64(good), "PEM")
    refused(device, b64(good + b"x"), "PKCS#10")
    refused(device, "A" * 20_000, "larger")
    explained = bed.usher("explain", device.id, "--state", str(bed.server.folder / "state"))
    expect("400006" in explained and "common name" in explained and "csr.commonName" in explained, explained)
    issued(device.register(b64(good)), key, device.id, 2)


def imported(bed):
    root = certificates.make("bought root", ca=True)
    issuing = certificates.make("bought issuing CA", issuer=root, ca=True, kind="rsa")
    chain, key = bed.file("chain.pem", issuing.pem + root.pem), bed.file("issuing.key", issuing.key_pem)
    told = bed.ca("create", "bought", "--chain", chain, "--key", key)
    expect("PRIVATE" not in json.dumps(told), "the key is told")
    device, own = Device(bed, "csr-imported", "bought"), p384()
    operation = device.register(request_of(own, device.id))
    identity = issued(operation, own, device.id, 3)
    expect(identity.above[-1].certificate == root.certificate, "it does not lead to the root")
    python_device.live_briefly(bed.server, Place(operation), identity)
    mismatched = subprocess.run(
        [bed.binary, "ca", "create", "mismatched", "--chain", chain, "--key", bed.file("other.key", root.key_pem), "--state",
         str(bed.server.folder / "state")], text=True, capture_output=True, timeout=60)
    expect(mismatched.returncode != 0 and "not that of" in mismatched.stderr, mismatched.stderr)


def by_authority(bed):
    bed.ca("create", "on-hub", "--hub-authentication", "ca")
    device, key = Device(bed, "csr-by-ca", "on-hub"), p384()
    operation = device.register(request_of(key, device.id))
    identity = issued(operation, key, device.id, 2)
    try:
        python_device.live_briefly(bed.server, Place(operation), identity)
        raise AssertionError("the hub does not know the authority, and lets the device in")
    except CredentialError:
        pass
    host, token = python_device.sas_token(bed.server.hub)
    pem = bed.usher("ca", "show", "on-hub", "--pem", "--state", str(bed.server.folder / "state"))
    url = f"https://{host}/usher/certificates/on-hub"
    requests.put(url, data=pem.encode(), verify=bed.server.trust, headers={"authorization": token}).raise_for_status()
    python_device.live_briefly(bed.server, Place(operation), identity)


class Est:
    """An EST server (RFC 7030, simpleenroll) by Python's own HTTPS server and `cryptography`, which fails as it is told first."""

    def __init__(self, bed):
        self.root = certificates.make("EST root", ca=True)
        self.issuing = certificates.make("EST issuing CA", issuer=self.root, ca=True)
        self.failures, self.seen = [], []
        identity = certificates.make("est", issuer=self.root, hosts=["localhost"])
        self.trust = bed.file("est-root.pem", self.root.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(bed.file("est.pem", identity.chain_pem), bed.file("est.key", identity.key_pem))
        est = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = est.answer(self.path, self.headers, body)
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(answer))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bed.callback(server.server_close)
        bed.callback(server.shutdown)
        self.url = f"https://localhost:{server.server_address[1]}"

    def answer(self, path, headers, body):
        self.seen.append(path)
        basic = "Basic " + b64(f"{USER}:{PASSWORD}".encode())
        if headers["Authorization"] != basic:
            return 401, {"WWW-Authenticate": 'Basic realm="est"'}, b""
        if path != "/.well-known/est/simpleenroll" or headers["Content-Type"] != "application/pkcs10":
            return 404, {}, b""
        if self.failures:
            return self.failures.pop()
        csr = x509.load_der_x509_csr(base64.b64decode(body))
        expect(csr.is_signature_valid, "the request is not signed by its key")
        now = certificates.datetime.datetime.now(certificates.datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(csr.subject).issuer_name(self.issuing.certificate.subject)
            .public_key(csr.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - certificates.DAY).not_valid_after(now + 3 * certificates.DAY)
            .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False))
        leaf = builder.sign(self.issuing.key, hashes.SHA256())
        message = pkcs7.serialize_certificates([self.issuing.certificate, leaf], serialization.Encoding.DER)
        return 200, {"Content-Type": "application/pkcs7-mime; smime-type=certs-only"}, base64.encodebytes(message)


def create_est(bed, name):
    root = bed.file("est-above.pem", bed.est.root.pem)
    return bed.ca("create", name, "--est", bed.est.url, "--est-user", USER, "--est-password", "-", "--est-trust", bed.est.trust,
                  "--chain", root, input=PASSWORD + "\n")


def by_est(bed):
    told = create_est(bed, "outside")
    expect(PASSWORD not in json.dumps(told), "the password is told")
    device, key = Device(bed, "csr-est", "outside"), p384()
    bed.est.failures = [(503, {"Retry-After": "1"}, b"")]
    operation = device.register(request_of(key, device.id))
    identity = issued(operation, key, device.id, 3)
    expect(len(bed.est.seen) == 2, f"asked at {bed.est.seen}")
    expect(identity.above[-1].certificate == bed.est.root.certificate, "it does not lead to the root")
    python_device.live_briefly(bed.server, Place(operation), identity)


def est_refuses(bed):
    device, key = Device(bed, "csr-est-refused", "outside"), p384()
    bed.est.failures = [(400, {"Content-Type": "text/plain"}, b"no such profile")]
    operation = device.register(request_of(key, device.id))
    state = operation["registrationState"]
    expect((operation["status"], state["errorCode"]) == ("failed", 400212), f"{operation}")
    expect("no such profile" in state["errorMessage"], f"{state}")
    explained = bed.usher("explain", device.id, "--state", str(bed.server.folder / "state"))
    expect("no such profile" in explained, explained)
    issued(device.register(request_of(key, device.id)), key, device.id, 3)


def managed(bed):
    names = {policy["name"] for policy in bed.ca("list")}
    expect({"made", "p384-only", "bought", "outside"} <= names, f"{names}")
    changed = bed.ca("update", "p384-only", "--validity-days", "90")["properties"]["certificate"]["leafCertificateConfiguration"]
    expect(changed == {"validityPeriodInDays": 90, "keyTypes": ["P-384"]}, f"{changed}")
    pem = bed.usher("ca", "show", "made", "--pem", "--state", str(bed.server.folder / "state"))
    expect(x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string() == "CN=plant CA", pem)
    bed.ca("delete", "p384-only", "--yes")
    expect("p384-only" not in {policy["name"] for policy in bed.ca("list")}, "it is still there")
    key = p384()
    device = Device(bed, "csr-gone", "made")
    operator(bed.server).enrollment.create_or_update(
        device.id, {"registrationId": device.id, "credentialPolicyName": "bought", "attestation": {
            "type": "symmetricKey", "symmetricKey": {"primaryKey": device.key, "secondaryKey": device.key}}})
    bed.ca("delete", "bought", "--yes")
    refused(device, request_of(key, device.id), "is not there")
    log = bed.server.log()
    expect(PASSWORD not in log and "PRIVATE KEY" not in log and "panicked" not in log, "a secret, or a panic, in the log")
