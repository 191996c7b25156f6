"""azure-iot-deviceprovisioning: every operation once right and once wrong.

The same operations of its `aio` client send the same requests, as both are generated from one description; they are not called again.
"""

import importlib.metadata
import inspect
import os

from azure.core.exceptions import HttpResponseError

from every_call.data_plane import (
    BEARER, INVALID, INVALID_ID, NOT_FOUND, STALE, WRONG_KEY, group, individual, judge, register, symmetric, with_wrong_key)
from every_call.ledger import Ledger, Suite, public_methods

PACKAGE = "azure-iot-deviceprovisioning"
GROUPS = {
    "enrollment": "EnrollmentOperations", "enrollment_group": "EnrollmentGroupOperations",
    "device_registration_state": "DeviceRegistrationStateOperations",
}


class Token:
    def get_token(self, *_scopes, **_options):
        from azure.core.credentials import AccessToken
        return AccessToken("a bearer token", 4_000_000_000)


class Kind:
    """Individual enrollments or groups: their operations are the same."""

    def __init__(self, calls, api, bad, make, id_member, table):
        self.calls, self.api, self.bad, self.make, self.id_member, self.table = calls, api, bad, make, id_member, table

    def create_or_update(self):
        made = self.api.create_or_update("every", self.make("every", provisioningStatus="disabled"))
        assert (made[self.id_member], made["provisioningStatus"]) == ("every", "disabled") and made["etag"], made
        changed = self.api.create_or_update("every", self.make("every", provisioningStatus="enabled"), if_match=made["etag"])
        assert changed["provisioningStatus"] == "enabled" and changed["etag"] != made["etag"]

    def create_or_update_wrong(self):
        self.calls.refused(STALE, lambda: self.api.create_or_update("every", self.make("every"), if_match='"0123456789abcdef"'))
        self.calls.refused(INVALID_ID, lambda: self.api.create_or_update("every", self.make("another")))
        self.calls.refused(INVALID, lambda: self.api.create_or_update("every", self.make("every", attestation={"type": "none"})))

    def get(self):
        found = self.api.get("EVERY")
        assert found[self.id_member] == "every" and found["createdDateTimeUtc"] and found["attestation"]["type"] == "symmetricKey", found

    def get_wrong(self):
        self.calls.refused(NOT_FOUND, lambda: self.api.get("nobody"))
        self.calls.refused(WRONG_KEY, lambda: self.bad.get("every"))

    def mechanism(self):
        self.api.create_or_update("every-keys", self.make("every-keys", attestation={"type": "symmetricKey"}))
        keys = self.api.get_attestation_mechanism("every-keys")["symmetricKey"]
        assert len(keys["primaryKey"]) >= 44 and keys["primaryKey"] != keys["secondaryKey"]
        self.api.delete("every-keys")

    def mechanism_wrong(self):
        self.calls.refused(NOT_FOUND, lambda: self.api.get_attestation_mechanism("nobody"))

    def query(self):
        names = [f"every-page-{n}" for n in range(3)]
        for name in names:
            self.api.create_or_update(name, self.make(name))
        pages = [list(page) for page in self.api.query({"query": f"SELECT * FROM {self.table}"}, top=2).by_page()]
        assert len(pages) >= 2 and all(len(page) <= 2 for page in pages), [len(page) for page in pages]
        assert {item[self.id_member] for page in pages for item in page} >= set(names)
        for name in names:
            self.api.delete(name)

    def query_wrong(self):
        self.calls.refused(INVALID, lambda: list(self.api.query({"query": "DELETE everything"})))

    def bulk_of(self, mode, names):
        return {"mode": mode, "enrollments" if self.id_member == "registrationId" else "enrollmentGroups": [self.make(name) for name in names]}

    def bulk(self):
        names = ["every-bulk-1", "every-bulk-2"]
        for mode in ("create", "update", "delete"):
            assert self.api.run_bulk_operation(self.bulk_of(mode, names))["isSuccessful"] is True, mode
        again = self.api.run_bulk_operation(self.bulk_of("update", names))
        assert again["isSuccessful"] is False and [error["errorCode"] for error in again["errors"]] == [404201, 404201], again

    def bulk_wrong(self):
        self.calls.refused(INVALID, lambda: self.api.run_bulk_operation(self.bulk_of("create", [f"every-{n}" for n in range(11)])))

    def delete(self):
        self.api.delete("every", if_match=self.api.get("every")["etag"])
        self.calls.refused(NOT_FOUND, lambda: self.api.get("every"))

    def delete_wrong(self):
        made = self.api.create_or_update("every-kept", self.make("every-kept"))
        self.calls.refused(STALE, lambda: self.api.delete("every-kept", if_match='"0123456789abcdef"'))
        assert self.api.get("every-kept")["etag"] == made["etag"]
        self.api.delete("every-kept")
        self.calls.refused(NOT_FOUND, lambda: self.api.delete("every-kept"))

    def rows(self, name):
        return {
            f"{name}.create_or_update": (self.create_or_update, self.create_or_update_wrong),
            f"{name}.get": (self.get, self.get_wrong),
            f"{name}.get_attestation_mechanism": (self.mechanism, self.mechanism_wrong),
            f"{name}.query": (self.query, self.query_wrong),
            f"{name}.run_bulk_operation": (self.bulk, self.bulk_wrong),
            f"{name}.delete": (self.delete, self.delete_wrong),
        }


class Calls:
    def __init__(self, server):
        from azure.iot.deviceprovisioning import DeviceProvisioningClient
        self.server, self.ledger, self.kind = server, Ledger(), DeviceProvisioningClient
        self.factory = self.ledger.watch(DeviceProvisioningClient, "DeviceProvisioningClient")
        self.good = self.watched(self.client(server.service))
        self.bad = self.watched(self.client(with_wrong_key(server.service)))

    def client(self, connection_string):
        return self.factory.from_connection_string(connection_string, connection_verify=self.server.trust)

    def watched(self, client):
        return {name: self.ledger.watch(getattr(client, name), kind) for name, kind in GROUPS.items()}

    def refused(self, expected, work):
        try:
            work()
        except HttpResponseError as error:
            body = error.response.json()
            judge(self.server, expected, {"status": error.status_code} | {name: body[name] for name in ("errorCode", "trackingId")})
        else:
            raise AssertionError("it was not refused")

    def connect(self):
        api = self.client(self.server.service).enrollment
        api.create_or_update("every-connect", individual("every-connect"))
        api.delete("every-connect")

    def connect_wrong(self):
        self.refused(WRONG_KEY, lambda: self.client(with_wrong_key(self.server.service)).enrollment.get("every"))
        host = self.server.service.split("HostName=")[1].split(";")[0]
        bearer = self.kind(host, Token(), connection_verify=self.server.trust)
        self.refused(BEARER, lambda: bearer.enrollment.get("every"))

    # Registrations: three devices of a group.

    def registered(self):
        key = os.urandom(32)
        self.good["enrollment_group"].create_or_update("every-registered", group("every-registered", key))
        names = [f"every-device-{n}" for n in range(3)]
        for name in names:
            register(self.server, name, key)
        return names

    def state(self):
        names = self.registered()
        found = self.good["device_registration_state"].get(names[0].upper())
        hub = self.server.manifest["hubs"][0]["hostName"]
        assert (found["registrationId"], found["status"], found["assignedHub"]) == (names[0], "assigned", hub), found

    def state_query(self):
        pages = [list(page) for page in self.good["device_registration_state"].query("every-registered", top=2).by_page()]
        assert [len(page) for page in pages] == [2, 1], pages
        assert {item["registrationId"] for page in pages for item in page} == {f"every-device-{n}" for n in range(3)}

    def state_delete(self):
        api = self.good["device_registration_state"]
        api.delete("every-device-0", if_match=api.get("every-device-0")["etag"])
        self.refused(NOT_FOUND, lambda: api.get("every-device-0"))

    def state_rows(self):
        name, good, bad = "DeviceRegistrationStateOperations", self.good["device_registration_state"], self.bad["device_registration_state"]
        return {
            f"{name}.get": (self.state, lambda: self.refused(NOT_FOUND, lambda: good.get("nobody"))),
            f"{name}.query": (self.state_query, lambda: self.refused(WRONG_KEY, lambda: list(bad.query("every-registered")))),
            f"{name}.delete": (self.state_delete, lambda: self.refused(
                STALE, lambda: good.delete("every-device-1", if_match='"0123456789abcdef"'))),
        }

    def table(self):
        individuals = Kind(self, self.good["enrollment"], self.bad["enrollment"], individual, "registrationId", "enrollments")
        groups = Kind(self, self.good["enrollment_group"], self.bad["enrollment_group"], group, "enrollmentGroupId", "enrollmentGroups")
        return (
            {"DeviceProvisioningClient.from_connection_string": (self.connect, self.connect_wrong)}
            | individuals.rows("EnrollmentOperations") | groups.rows("EnrollmentGroupOperations") | self.state_rows())


def public_operations():
    from azure.iot.deviceprovisioning import DeviceProvisioningClient, operations
    kinds = [kind for _, kind in inspect.getmembers(operations, inspect.isclass)]
    found = {f"{kind.__name__}.{name}" for kind in kinds for name in public_methods(kind)}
    return found | {f"DeviceProvisioningClient.{name}" for name in public_methods(DeviceProvisioningClient)}


LEFT_OUT = {
    "DeviceProvisioningClient.close": "ends the client's own connections; no request",
    "DeviceProvisioningClient.send_request": "sends whatever request it is given; the operations are what is documented",
}


def all_cases(server):
    """Cases as (name, function)."""
    calls = Calls(server)
    client = f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"
    return Suite(client, calls.ledger, public_operations(), calls.table(), LEFT_OUT).cases()
