"""Devices for the table's cells, and the enrollments that admit them, made through Azure's own service SDKs."""

import base64
import hashlib
import hmac
import os

from azure.iot.deviceprovisioning import DeviceProvisioningClient

import cases
import certificates
from server import node

# Attestations that admit a device by its group.
BY_GROUP = ("key-group", "x509-root", "x509-intermediate")


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
    """Makes the groups that many devices share once; individual enrollments, and groups of a single cell, as they are needed."""

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

    def send(self, client=cases.NODE, *, enrollments=(), groups=()):
        """Enrolls with the service SDK of the client's own language."""
        if client == cases.PYTHON:
            service = DeviceProvisioningClient.from_connection_string(self.server.service, connection_verify=self.server.trust)
            for enrollment in enrollments:
                service.enrollment.create_or_update(enrollment["registrationId"], enrollment)
            for group in groups:
                service.enrollment_group.create_or_update(group["enrollmentGroupId"], group)
            return
        answer = node(self.server, "enroll.js", {"service": self.server.service, "enrollments": enrollments, "groups": groups})
        if not answer["ok"]:
            raise RuntimeError(f"enrolling: {answer}")

    @staticmethod
    def symmetric(key):
        return {"type": "symmetricKey", "symmetricKey": {"primaryKey": b64(key), "secondaryKey": b64(key)}}

    @staticmethod
    def signing(identity):
        return {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": identity.pem}}}}

    @staticmethod
    def group(name, attestation, desired=None):
        twin = {"tags": {}, "properties": {"desired": desired or {"group": name}}}
        return {"enrollmentGroupId": name, "attestation": attestation, "initialTwin": twin, "provisioningStatus": "enabled"}

    def individual(self, registration_id, attestation, client=cases.NODE, **more):
        desired = {"cell": registration_id}
        twin = {"tags": {}, "properties": {"desired": desired}}
        enrollment = {"registrationId": registration_id, "attestation": attestation, "initialTwin": twin} | more
        self.send(client, enrollments=[enrollment])
        return desired

    def device(self, client, attestation, transport):
        """A cell's device, enrolled so that the desired properties of its twin are no other cell's."""
        name = f"{'py' if client == cases.PYTHON else 'node'}-{attestation}-{transport}"
        if attestation in BY_GROUP:
            return self.device_of_its_own_group(name, attestation, client)
        return self.make(name, attestation, client)

    def device_of_its_own_group(self, name, attestation, client):
        key, factory, desired = os.urandom(32), certificates.Factory(name), {"cell": name}
        admits = {
            "key-group": lambda: self.symmetric(key),
            "x509-root": lambda: self.signing(factory.root),
            "x509-intermediate": lambda: self.signing(factory.site),
        }[attestation]
        self.send(client, groups=[self.group(f"group-of-{name}", admits(), desired)])
        if attestation == "key-group":
            return Device(name, desired, self.hub, key=derived(key, name))
        return Device(name, desired, self.hub, identity=factory.device(name))

    def make(self, name, attestation, client=cases.NODE):
        """A device; one of the shared groups admits it where its attestation is by group."""
        if attestation == "key":
            key = os.urandom(32)
            return Device(name, self.individual(name, self.symmetric(key), client), self.hub, key=key)
        if attestation == "key-group":
            return Device(name, {"group": "key-group"}, self.hub, key=derived(self.group_key, name))
        if attestation == "x509":
            identity = certificates.make(name, kind="rsa" if name.startswith("node") else "ec")
            own = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": identity.pem}}}}
            return Device(name, self.individual(name, own, client), self.hub, identity=identity)
        if attestation == "x509-root":
            return Device(name, {"group": "x509-root"}, self.hub, identity=self.factory.device(name))
        if attestation == "x509-intermediate":
            return Device(name, {"group": "x509-intermediate"}, self.hub, identity=self.other.device(name))
        if attestation == "tpm":
            keys = node(self.server, "tpm_keys.js", {})
            if not keys["ok"]:
                raise RuntimeError(f"the TPM: {keys}")
            attestation = {"type": "tpm", "tpm": {"endorsementKey": keys["endorsementKey"]}}
            return Device(name, self.individual(name, attestation, client), self.hub, tpm=True)
        raise ValueError(attestation)
