"""A fault injector in front of a hub's HTTPS: passes requests on, or answers as a hub in trouble would."""

import datetime
import http.client
import http.server
import ipaddress
import ssl
import tempfile
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def certificate_for(address):
    """A self-signed certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "faulty hub")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256()))
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(encoding).decode(), private.decode()


class FaultyHub:
    """Listens on a free port of `address`, in front of port 443 there."""

    def __init__(self, address, upstream_trust):
        self.upstream_trust, self.address = upstream_trust, address
        self.certificate, key = certificate_for(address)
        # While `answer` is set, every request gets this status and these headers; while `late_s` is, answers come so much later.
        self.answer, self.late_s, self.seen = None, 0, []
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
            pair.write(self.certificate + key)
            pair.flush()
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(pair.name)
        handler = type("Handler", (Handler,), {"faulty": self})
        self.server = http.server.ThreadingHTTPServer((address, 0), handler)
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    faulty = None

    def log_message(self, *_):
        pass

    def serve(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.faulty.seen.append((time.monotonic(), f"{self.command} {self.path.split('?')[0]}"))
        if self.faulty.answer:
            return self.tell(*self.faulty.answer, b"")
        late_s = self.faulty.late_s
        try:
            answer = self.pass_on(body)
        except OSError:
            answer = (502, {}, b"")
        time.sleep(late_s)
        try:
            self.tell(*answer)
        except OSError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = serve

    def pass_on(self, body):
        tls = ssl.create_default_context(cafile=self.faulty.upstream_trust)
        upstream = http.client.HTTPSConnection(self.faulty.address, 443, context=tls, timeout=10)
        try:
            # The host that was asked stays in the headers: it is the one that the token names.
            upstream.request(self.command, self.path, body, dict(self.headers))
            response = upstream.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            upstream.close()

    def tell(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
