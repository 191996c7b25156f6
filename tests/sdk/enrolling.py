"""Devices for the table's cells, and the enrollments that admit them, made through Azure's own service SDK."""

import base64
import hashlib
import hmac
import os

import certificates
from server import node


def b64(data):
    return base64.b64encode(data).decode()


def derived(group_key, registration_id):
    return hmac.new(group_key, registration_id.encode(), hashlib.sha256).digest()


class Device:
    """A device: who it is, what it proves that with, and what its twin must say."""

    def __init__(self, registration_id, desired, hub, key=None, identity=None, tpm=False):
        self.id, self.desired, self.hub, self.key, self.identity, self.tpm = registration_id, desired, hub, key, identity, tpm

    @property
    def key_text(self):
        return b64(self.key) if self.key else None

    def node_job(self, server, transport):
        job = {"host": server.host, "idScope": server.id_scope, "registrationId": self.id, "transport": transport, "hub": server.hub}
        if self.tpm:
            return job | {"tpm": True}
        if self.key:
            return job | {"key": self.key_text}
        return job | {"cert": self.identity.chain_pem, "certKey": self.identity.key_pem}


class Enroller:
    """Makes groups once and individual enrollments as they are needed."""

    def __init__(self, server):
        self.server = server
        self.hub = server.manifest["hubs"][0]["hostName"]
        self.group_key = os.urandom(32)
        self.factory, self.other = certificates.Factory("conformance"), certificates.Factory("other")
        groups = [
            self.group("key-group", self.symmetric(self.group_key)),
            self.group("x509-root", self.signing(self.factory.root)),
            self.group("x509-intermediate", self.signing(self.other.site)),
        ]
        self.send(groups=groups)

    def send(self, **what):
        answer = node(self.server, "enroll.js", {"service": self.server.service, **what})
        if not answer["ok"]:
            raise RuntimeError(f"enrolling: {answer}")

    @staticmethod
    def symmetric(key):
        return {"type": "symmetricKey", "symmetricKey": {"primaryKey": b64(key), "secondaryKey": b64(key)}}

    @staticmethod
    def signing(identity):
        return {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": identity.pem}}}}

    @staticmethod
    def group(name, attestation):
        twin = {"tags": {}, "properties": {"desired": {"group": name}}}
        return {"enrollmentGroupId": name, "attestation": attestation, "initialTwin": twin, "provisioningStatus": "enabled"}

    def individual(self, registration_id, attestation, **more):
        desired = {"cell": registration_id}
        twin = {"tags": {}, "properties": {"desired": desired}}
        enrollment = {"registrationId": registration_id, "attestation": attestation, "initialTwin": twin} | more
        self.send(enrollments=[enrollment])
        return desired

    def device(self, client, attestation, transport):
        name = f"{'py' if 'PyPI' in client else 'node'}-{attestation}-{transport}"
        return self.make(name, attestation)

    def make(self, name, attestation):
        if attestation == "key":
            key = os.urandom(32)
            return Device(name, self.individual(name, self.symmetric(key)), self.hub, key=key)
        if attestation == "key-group":
            return Device(name, {"group": "key-group"}, self.hub, key=derived(self.group_key, name))
        if attestation == "x509":
            identity = certificates.make(name, kind="rsa" if name.startswith("node") else "ec")
            client = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": identity.pem}}}}
            return Device(name, self.individual(name, client), self.hub, identity=identity)
        if attestation == "x509-root":
            return Device(name, {"group": "x509-root"}, self.hub, identity=self.factory.device(name))
        if attestation == "x509-intermediate":
            return Device(name, {"group": "x509-intermediate"}, self.hub, identity=self.other.device(name))
        if attestation == "tpm":
            keys = node(self.server, "tpm_keys.js", {})
            if not keys["ok"]:
                raise RuntimeError(f"the TPM: {keys}")
            attestation = {"type": "tpm", "tpm": {"endorsementKey": keys["endorsementKey"]}}
            return Device(name, self.individual(name, attestation), self.hub, tpm=True)
        raise ValueError(attestation)
