"""Bad TPM keys and tokens, made from a software TPM's good ones."""

import base64
import json
import time
import urllib.parse

from server import node
from tpm import Tpm

from bad.world import World


class Tpms(World):
    """Attestation by TPM over HTTPS."""

    def tpm_keys(self):
        """The software TPM's public keys, its device enrolled."""
        if not hasattr(self, "keys"):
            tpm = Tpm()
            try:
                keys = node(self.server, "tpm_keys.js", {})
            finally:
                tpm.stop()
            assert keys["ok"], keys
            self.enroller.individual("bad-tpm", {"type": "tpm", "tpm": {"endorsementKey": keys["endorsementKey"]}})
            self.keys = keys
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

    def a_TPM_challenge_whose_answer_is_replayed(self):
        """The SDK's own TPM client answers; the token begins one registration, may ask for it again, and nothing else."""
        device = "bad-tpm-replay"
        tpm = Tpm()
        try:
            keys = node(self.server, "tpm_keys.js", {})
            self.enroller.individual(device, {"type": "tpm", "tpm": {"endorsementKey": keys["endorsementKey"]}})
            body = json.dumps({"tpm": {"endorsementKey": keys["endorsementKey"], "storageRootKey": keys["storageRootKey"]}}).encode()
            first, second = (self.answered_by_tpm(device, body) for _ in range(2))
        finally:
            tpm.stop()
        register = lambda token: self.http("PUT", self.path(device=device), body=body, headers={"Authorization": token})  # noqa: E731
        status, _, answer = register(first)
        assert status == 202 and json.loads(answer)["status"] == "assigned", answer
        poll = self.path(device=device, tail=f"/operations/{json.loads(answer)['operationId']}")
        status, _, answer = self.http("GET", poll, headers={"Authorization": first})
        assert status == 200, answer
        replayed = dict(headers={"Authorization": first})
        self.refused_by_http(401, "tpm.challenge.answered", "PUT", self.path(device=device), body=body, **replayed)
        # Another challenge's answer is good, once; from then on the first does not even tell its own operation.
        status, _, answer = register(second)
        assert status == 202, answer
        self.refused_by_http(401, "tpm.challenge.answered", "GET", poll, **replayed)
        self.refused_by_http(401, "tpm.challenge.answered", "PUT", self.path(device=device), body=body, headers={"Authorization": second})

    def answered_by_tpm(self, device, body):
        """A token signed with the key of a new challenge."""
        status, _, answer = self.http("PUT", self.path(device=device), body=body)
        assert status == 401, answer
        resource = urllib.parse.quote(f"{self.server.id_scope}/registrations/{device}", safe="")
        expiry = int(time.time() + 600)
        job = {"authenticationKey": json.loads(answer)["authenticationKey"], "text": f"{resource}\n{expiry}"}
        signed = node(self.server, "tpm_answer.js", job)
        assert signed["ok"], signed
        signature = urllib.parse.quote(signed["signature"], safe="")
        return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=registration"
