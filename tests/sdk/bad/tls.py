"""Certificates whose key the peer does not hold, and streams that are not TLS."""

import base64
import socket
import ssl

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bad.world import World, read_to_end


class Tls(World):
    """What the handshake alone must refuse."""

    def a_certificate_whose_key_is_not_proven(self):
        identity = self.enroller.factory.device("bad-proof")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            before = len(self.server.log())
            request = dict(body=b"{}", identity=identity, version=version)
            try:
                answer = self.http("PUT", self.path(device="bad-proof"), key_pem=forged_key(identity), **request)
            except (ssl.SSLError, ConnectionError, IndexError, ValueError):
                pass  # An alert, or a connection closed without an answer.
            else:
                raise AssertionError(f"a certificate was taken without its key, {version.name}: {answer}")
            self.logged(before, "tls.keyNotProven")
            assert "bad-proof" not in self.server.log()[before:], self.server.log()[before:]
        # The same certificate with its own key is taken, so it was the key that was missed.
        status, _, body = self.http("PUT", self.path(device="bad-proof"), body=b"{}", identity=identity)
        assert status == 202, body

    def a_stream_that_is_not_TLS(self):
        for port in self.server.manifest["device"].values():
            if not isinstance(port, int):
                continue
            before = len(self.server.log())
            with socket.create_connection((self.server.host, port), timeout=15) as raw:
                raw.sendall(b"PUT / HTTP/1.1\r\n\r\n" + b"\x00" * 4000)
                _, closed = read_to_end(raw, wait=15)
                assert closed, f"port {port} was left open"
            self.logged(before, "tls.notTls")

    def a_device_that_does_not_trust_the_server(self):
        before = len(self.server.log())
        raw = socket.create_connection((self.server.host, self.server.manifest["device"]["https"]), timeout=15)
        try:
            ssl.create_default_context().wrap_socket(raw, server_hostname=self.server.host).close()
        except ssl.SSLCertVerificationError:
            self.logged(before, "tls.serverNotTrusted")
        else:
            raise AssertionError("an empty trust store trusted the server")

    def a_TLS_version_that_is_too_old(self):
        context = ssl.create_default_context(cafile=self.server.trust)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        before = len(self.server.log())
        raw = socket.create_connection((self.server.host, self.server.manifest["device"]["https"]), timeout=15)
        try:
            context.wrap_socket(raw, server_hostname=self.server.host).close()
        except (ssl.SSLError, ConnectionError) as error:
            assert "NO_PROTOCOLS_AVAILABLE" not in str(error), "this machine's OpenSSL cannot offer TLS 1.1: nothing was tried"
        else:
            raise AssertionError("TLS 1.1 was taken")
        self.logged(before, "tls.parameters")


def forged_key(identity):
    """Another key that claims the certificate's public half, so that OpenSSL takes the pair and signs with what it has."""
    other = ec.generate_private_key(ec.SECP256R1())
    der = other.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    point = lambda key: key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)  # noqa: E731
    assert der.count(point(other)) == 1
    forged = base64.encodebytes(der.replace(point(other), point(identity.key))).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{forged}-----END EC PRIVATE KEY-----\n"
