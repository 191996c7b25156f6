"""`usher explain`: real refusals and real successes, made by Azure's Python SDK and by curl, told check by check."""

import base64
import json
import os
import subprocess
import time

from azure.iot.deviceprovisioning import DeviceProvisioningClient

import certificates
import python_device
from bad.world import World


class Explain:
    def __init__(self, server):
        self.server, self.secrets = server, []
        self.factory, self.stranger = certificates.Factory("explained"), certificates.Factory("stranger")
        self.service = DeviceProvisioningClient.from_connection_string(server.service, connection_verify=server.trust)
        self.hub = server.manifest["hubs"][0]["hostName"]
        self.service.enrollment_group.create_or_update("explained-line", {
            "enrollmentGroupId": "explained-line", "allocationPolicy": "hashed",
            "attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": self.factory.line.pem}}}}})

    # -- asking

    def run(self, device, *arguments):
        binary, state = self.server.process.args[0], self.server.folder / "state"
        return subprocess.run(
            [binary, "explain", device, "--state", state, *arguments], capture_output=True, text=True, timeout=30, check=True).stdout

    def told(self, device, attempts=1):
        """The explanation, once it has as many attempts: they are written a moment after the device has its answer."""
        deadline = time.monotonic() + 5
        while True:
            text = self.run(device, "--json")
            told = json.loads(text)
            if len(told["attempts"]) >= attempts or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert len(told["attempts"]) == attempts, told
        for secret in self.secrets:
            assert secret not in text, "a secret is told"
        return told

    def attempt(self, device, result, *checks, attempts=1):
        """The newest attempt: its result, and the checks it must have, each as name, whether it passed, and words of its sentence."""
        told = self.told(device, attempts)
        newest = told["attempts"][0]
        assert newest["outcome"]["result"] == result, newest
        assert newest["trackingId"] and newest["peer"] and newest["apiVersion"] and newest["transport"], newest
        for name, passed, words in checks:
            assert any(check["name"] == name and check["passed"] == passed and words in check["detail"] for check in newest["checks"]), (
                name, passed, words, newest["checks"])
        if result == "refused":
            assert not newest["checks"][-1]["passed"] and newest["outcome"]["next"] == told["next"] and told["next"], told
        return newest

    # -- devices

    def enroll(self, device, **extra):
        key = os.urandom(32)
        text = base64.b64encode(key).decode()
        self.secrets.append(text)
        self.service.enrollment.create_or_update(device, {
            "registrationId": device, "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": text, "secondaryKey": text}}} | extra)
        return key

    def refused(self, device, **settings):
        try:
            result, _ = python_device.provision(self.server, device, **settings)
        except Exception:
            return
        assert result.status != "assigned", "it was provisioned"

    def by_curl(self, device, token, scope=None):
        self.secrets.append(token.split("sig=")[1].split("&")[0])
        port = self.server.manifest["device"]["https"]
        path = f"/{scope or self.server.id_scope}/registrations/{device}/register?api-version=2019-03-31"
        subprocess.run(
            ["curl", "-sS", "--max-time", "20", "--cacert", self.server.trust, "-X", "PUT", "-d", "{}", "-H", "content-type: application/json",
             "-H", f"authorization: {token}", f"https://localhost:{port}{path}"], check=True, capture_output=True)

    # -- cases

    def wrong_key(self):
        self.enroll("explain-wrong-key")
        self.refused("explain-wrong-key", key=base64.b64encode(os.urandom(32)).decode())
        newest = self.attempt(
            "explain-wrong-key", "refused", ("idScope", True, self.server.id_scope), ("enrollment", True, "symmetricKey attestation"),
            ("token", True, "expires in"), ("token.resource", True, "explain-wrong-key"), ("TokenSignature", False, "neither key"))
        assert newest["transport"] == "mqtt" and newest["outcome"]["errorCode"] == 401000, newest

    def expired_token(self):
        key = self.enroll("explain-expired")
        self.by_curl("explain-expired", World.token(self, device="explain-expired", expiry=time.time() - 7_300, key=key))
        newest = self.attempt(
            "explain-expired", "refused", ("token", True, "expired 2 h ago"), ("token.signature", True, "matches a key"), ("TokenExpiry", False, "expired"))
        assert "clock" in newest["outcome"]["next"], newest

    def other_scope(self):
        key = self.enroll("explain-scope")
        self.by_curl("explain-scope", World.token(self, device="explain-scope", key=key, scope="0neNOBODY"), scope="0neNOBODY")
        newest = self.attempt("explain-scope", "refused", ("idScope.unknown", False, "0neNOBODY"))
        assert newest["idScope"] == "0neNOBODY", newest

    def wrong_ca(self):
        self.refused("explain-wrong-ca", identity=self.stranger.device("explain-wrong-ca"))
        told = self.attempt(
            "explain-wrong-ca", "refused", ("certificate", True, "'CN=explain-wrong-ca', issued by 'CN=stranger line'"),
            ("certificate", True, "'CN=stranger site', issued by 'CN=stranger root'"), ("enrollment.individual", True, "no individual"),
            ("enrollment.none", False, "no group is enrolled with a CA"))
        assert "group" in told["outcome"]["next"], told

    def expired_certificate(self):
        self.refused("explain-old", identity=self.factory.device("explain-old", days=(-10, -3)))
        self.attempt("explain-old", "refused", ("certificate", False, "expired 3 days ago"), ("enrollment", True, "'explained-line'"), ("Expired", False, ""))

    def disabled(self):
        key = self.enroll("explain-disabled", provisioningStatus="disabled")
        self.refused("explain-disabled", key=base64.b64encode(key).decode())
        self.attempt("explain-disabled", "disabled", ("token.signature", True, "primary key"), ("enrollment.disabled", False, "disabled"))

    def assigned(self, policy, *checks, **extra):
        device = f"explain-{policy}"
        key = self.enroll(device, allocationPolicy=policy, **extra)
        result, _ = python_device.provision(self.server, device, base64.b64encode(key).decode())
        assert result.status == "assigned"
        newest = self.attempt(
            device, "assigned", ("enrollment.enabled", True, ""), ("reprovision", True, "first time"),
            ("allocation.policy", True, f"The enrollment's policy is {policy}"), ("hub", True, self.hub), *checks)
        assert newest["outcome"]["hub"] == self.hub and all(check["passed"] for check in newest["checks"]), newest
        return newest

    def hashed(self):
        self.assigned("hashed", ("allocation.lot", True, "weight 1"), ("allocation", True, "highest lot"))

    def static(self):
        self.assigned("static", ("allocation", True, "first that the enrollment names"), iotHubs=[self.hub])

    def geo_latency(self):
        self.assigned("geoLatency", ("allocation.latency", True, "0 ms (own probe)"), ("allocation", True, "nearest"))

    def by_certificate(self):
        result, _ = python_device.provision(self.server, "explain-x509", identity=self.factory.device("explain-x509"))
        assert result.status == "assigned"
        self.attempt(
            "explain-x509", "assigned", ("enrollment", True, "the group 'explained-line' admits"), ("certificate", True, "The leaf is 'CN=explain-x509'"),
            ("chain", True, "at the enrolled CA 'CN=explained line'"))

    def again(self):
        """Each attempt is kept, newest first, and the re-provisioning rule is told."""
        key = base64.b64encode(self.enroll("explain-again")).decode()
        for _ in range(2):
            python_device.provision(self.server, "explain-again", key)
        self.attempt("explain-again", "assigned", ("reprovision", True, f"was on {self.hub}"), attempts=2)

    def unknown(self):
        told = self.told("explain-nobody", attempts=0)
        assert told["enrollment"] is None and told["registration"] is None and "No attempt" in told["next"], told
        self.enroll("explain-waiting")
        assert "has not come yet" in self.told("explain-waiting", attempts=0)["next"]

    def for_people(self):
        text = self.run("explain-wrong-key")
        for words in ("✓ idScope:", "✗ TokenSignature:", "What to do next: Check that the device signs", "enrolled      individually"):
            assert words in text, text
        missing = subprocess.run(
            [self.server.process.args[0], "explain", "x", "--state", self.server.folder / "none"], capture_output=True, text=True, timeout=30)
        assert missing.returncode == 1 and "usher dev" in missing.stderr, missing
        other = subprocess.run(
            [self.server.process.args[0], "explain", "x", "--service", "nobody", "--state", self.server.folder / "state"],
            capture_output=True, text=True, timeout=30)
        assert other.returncode == 1 and "no provisioning service nobody" in other.stderr, other


def all_cases(server):
    explain = Explain(server)
    return [
        ("wrong key (azure-iot-device)", explain.wrong_key),
        ("expired token (curl)", explain.expired_token),
        ("unknown ID scope (curl)", explain.other_scope),
        ("wrong CA (azure-iot-device)", explain.wrong_ca),
        ("expired certificate (azure-iot-device)", explain.expired_certificate),
        ("disabled enrollment (azure-iot-device)", explain.disabled),
        ("assigned: hashed", explain.hashed),
        ("assigned: static", explain.static),
        ("assigned: geoLatency", explain.geo_latency),
        ("assigned: by certificate", explain.by_certificate),
        ("twice", explain.again),
        ("no attempts", explain.unknown),
        ("for people", explain.for_people),
    ]
