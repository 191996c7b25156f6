"""What a user does around a package: a certificate by openssl, waiting for a start, a probe."""

import http.client
import socket
import ssl
import subprocess
import time

START_MAX_S = 40


def self_signed(folder, name):
    """A certificate and its key, both PEM files."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "basicConstraints=critical,CA:false", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def wait_until(done, process, log):
    deadline = time.monotonic() + START_MAX_S
    while not done():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError("it does not start:\n" + log.read_text(errors="replace")[-3000:])
        time.sleep(0.02)


def get(port, name, certificate, path):
    """The status of one GET on loopback, TLS checked against the name."""
    trust = ssl.create_default_context(cafile=str(certificate))
    with trust.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname=name) as stream:
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(stream)
        answer.begin()
        return answer.status
