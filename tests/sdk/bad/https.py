"""Bad requests to the device API over HTTPS, written by hand."""

import ssl
import time

from enrolling import Enroller

from bad.world import World, read_to_end


class Https(World):
    """Each is answered with the service's error."""

    def a_token_that_has_expired(self):
        self.refused_by_http(401, "TokenExpiry", "PUT", self.path(), body=b"{}", headers=self.auth(expiry=time.time() - 4000))
        self.refused_by_http(401, "TokenExpiry", "PUT", self.path(), body=b"{}", headers=self.auth(expiry=0))

    def a_token_of_a_clock_that_is_skewed(self):
        # A clock that is a minute late makes tokens that look expired, within what is tolerated.
        status, _, body = self.http("PUT", self.path(), body=b"{}", headers=self.auth(expiry=time.time() - 60))
        assert status == 202, body
        self.refused_by_http(401, "TokenExpiry", "PUT", self.path(), body=b"{}", headers=self.auth(expiry=time.time() - 400))

    def a_token_for_another_device(self):
        self.refused_by_http(401, "TokenResource", "PUT", self.path(), body=b"{}", headers=self.auth(device="other"))

    def a_token_for_another_services_scope(self):
        self.refused_by_http(401, "TokenResource", "PUT", self.path(), body=b"{}", headers=self.auth(scope="0neOTHER"))
        self.refused_by_http(401, "idScope.unknown", "PUT", self.path(scope="0neOTHER"), body=b"{}", headers=self.auth(scope="0neOTHER"))

    def a_token_that_is_malformed(self):
        for token in ("SharedAccessSignature sr=x", "Bearer x", "SharedAccessSignature sr=a&sr=a&sig=b&se=c", "SharedAccessSignature " + "x" * 5000,
                      self.token().replace("&se=", "&se=9"), self.token().replace("&sig=", "&sig=%zz"), "SharedAccessSignature"):
            self.refused_by_http(401, "Token", "PUT", self.path(), body=b"{}", headers={"Authorization": token})

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
        operation = self.operation_of("bad-device")
        self.enroller.individual("bad-second", Enroller.symmetric(self.key))
        self.operation_of("bad-second")
        tail = f"/operations/{operation}"
        self.refused_by_http(404, "operation.unknown", "GET", self.path(device="bad-second", tail=tail), headers=self.auth(device="bad-second"))
        self.refused_by_http(401, "TokenResource", "GET", self.path(tail=tail), headers=self.auth(device="bad-second"))

    def a_head_that_is_not_HTTP(self):
        port = self.server.manifest["device"]["https"]
        for head in (b"\x00" * 200, b"GET\r\n\r\n", b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000):
            with self.connect(port) as stream:
                try:
                    stream.sendall(head)
                except (ConnectionError, ssl.SSLError):
                    pass  # It may have seen enough before all was sent.
                data, closed = read_to_end(stream, wait=15)
                assert closed and (not data or b" 4" in data[:16]), data[:200]
