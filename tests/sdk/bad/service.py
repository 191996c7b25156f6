"""Bad requests to the service API, written by hand: what Azure's SDKs never send."""

import base64
import hashlib
import hmac
import json
import time
import urllib.parse

from bad.world import World

VERSION = "api-version=2021-10-01"


class Service(World):
    """Each is answered with the service's error."""

    def operator(self, host=None, expiry=None, policy=None):
        parts = dict(part.split("=", 1) for part in self.server.service.split(";"))
        resource = urllib.parse.quote(host or parts["HostName"], safe="")
        expiry = int(time.time() + 600 if expiry is None else expiry)
        mac = hmac.new(base64.b64decode(parts["SharedAccessKey"]), f"{resource}\n{expiry}".encode(), hashlib.sha256)
        signature = urllib.parse.quote(base64.b64encode(mac.digest()), safe="")
        return {"Authorization": f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={policy or parts['SharedAccessKeyName']}"}

    def refused_operator(self, status, check, method="GET", path="/enrollments/x", body=b"", headers=None, version=VERSION):
        self.refused_by_http(status, check, method, f"{path}?{version}", body=body, headers=self.operator() if headers is None else headers)

    def a_service_call_without_a_valid_token(self):
        for headers in ({}, {"Authorization": "Bearer x"}, self.operator(expiry=1), self.operator(host="other.example"), self.operator(policy="nobody"), self.auth()):
            self.refused_operator(401, "", headers=headers)

    def a_service_document_that_is_not_one(self):
        for body in (b"", b"{", b"[]", b"[" * 5000, b'{"registrationId":"other","attestation":{"type":"symmetricKey"}}', b'{"registrationId":"x"}', b"\xff"):
            self.refused_operator(400, "", "PUT", body=body)

    def a_service_document_that_is_too_large(self):
        self.refused_operator(413, "", "PUT", body=b" " * 1_100_000)

    def a_service_call_of_a_wrong_verb_or_path(self):
        self.refused_operator(405, "", "PATCH", body=b"{}")
        self.refused_operator(404, "", "GET", path="/enrollments/x/nothing")

    def a_service_query_with_a_forged_continuation(self):
        query = json.dumps({"query": "SELECT * FROM enrollments"}).encode()
        for token in ("x", "AAAA", "%00", "9" * 4000):
            self.refused_operator(400, "", "POST", path="/enrollments/query", body=query, headers=self.operator() | {"x-ms-continuation": token})
        for size in ("x", "9" * 40):
            self.refused_operator(400, "", "POST", path="/enrollments/query", body=query, headers=self.operator() | {"x-ms-max-item-count": size})
