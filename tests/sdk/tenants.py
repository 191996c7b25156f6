"""Two provisioning services in one server: what belongs to one opens nothing of the other. By Azure's own SDKs."""

import contextlib
import os
import socket
from unittest import mock

import requests
from azure.core.exceptions import HttpResponseError
from azure.iot.deviceprovisioning import DeviceProvisioningClient

import python_device
import service_api
from enrolling import Enroller, b64, derived
from management import Management

# The same device ID in both services, so that only service and key tell the two devices apart.
TWIN = "twin-of-two-tenants"


class Tenant:
    """A service with a client for its operator."""

    def __init__(self, server, host, id_scope, policy, key):
        self.server, self.host, self.id_scope, self.policy, self.key = server, host, id_scope, policy, key

    @property
    def connection_string(self):
        return f"HostName={self.host};SharedAccessKeyName={self.policy};SharedAccessKey={self.key}"

    def operator(self):
        return DeviceProvisioningClient.from_connection_string(self.connection_string, connection_verify=self.server.trust)

    def token(self):
        return python_device.sas_token(self.connection_string)[1]

    def call(self, token, method="GET", path="/enrollments/" + TWIN):
        """The status of a plain request to this service's host."""
        return requests.request(
            method, f"https://{self.host}{path}?api-version=2021-10-01", verify=self.server.trust, headers={"authorization": token}).status_code


class TwoTenants:
    def __init__(self, server):
        self.server, self.management = server, Management(server)
        parts = dict(part.split("=", 1) for part in server.service.split(";"))
        self.a = Tenant(server, parts["HostName"], server.id_scope, parts["SharedAccessKeyName"], parts["SharedAccessKey"])
        resource = self.management.client().iot_dps_resource
        made = resource.begin_create_or_update("tenants", "tenant-b", {
            "location": "westeurope", "sku": {"name": "S1", "capacity": 1},
            "properties": {"iotHubs": [{"connectionString": server.hub, "location": "westeurope"}]}}).result()
        owner = resource.list_keys_for_key_name("tenant-b", "provisioningserviceowner", "tenants")
        self.b = Tenant(server, made.properties.service_operations_host_name, made.properties.id_scope, owner.key_name, owner.primary_key)
        self.keys = {}
        for tenant in (self.a, self.b):
            self.keys[tenant] = os.urandom(32)
            # Both services assign to one hub, where the devices need names of their own.
            enrollment = {"registrationId": TWIN, "deviceId": f"{TWIN}-{tenant.id_scope}", "attestation": Enroller.symmetric(self.keys[tenant])}
            with names_of_this_machine():
                tenant.operator().enrollment.create_or_update(TWIN, enrollment)

    def provision(self, scope_of, key_of):
        return python_device.provision(self.server, TWIN, key=b64(self.keys[key_of]), id_scope=scope_of.id_scope)[0]

    def each_by_its_own(self):
        for tenant in (self.a, self.b):
            result = self.provision(tenant, tenant)
            assert result.registration_state.device_id == f"{TWIN}-{tenant.id_scope}"
            told = tenant.operator().enrollment.get(TWIN)
            assert told["deviceId"] == f"{TWIN}-{tenant.id_scope}"

    def keys_of_the_other(self):
        for scope_of, key_of in ((self.a, self.b), (self.b, self.a)):
            refused("401", lambda: self.provision(scope_of, key_of))

    def group_keys_of_the_other(self):
        key = os.urandom(32)
        group = {"enrollmentGroupId": "only-in-b", "attestation": Enroller.symmetric(key)}
        self.b.operator().enrollment_group.create_or_update("only-in-b", group)
        member = b64(derived(key, "member-of-b"))
        result, _ = python_device.provision(self.server, "member-of-b", key=member, id_scope=self.b.id_scope)
        assert result.status == "assigned"
        refused("401", lambda: python_device.provision(self.server, "member-of-b", key=member, id_scope=self.a.id_scope))
        service_api.refused(404, lambda: self.a.operator().enrollment_group.get("only-in-b"))
        service_api.refused(404, lambda: self.a.operator().device_registration_state.get("member-of-b"))
        listed = [group["enrollmentGroupId"] for group in self.a.operator().enrollment_group.query({"query": "SELECT * FROM enrollmentGroups"})]
        assert "only-in-b" not in listed

    def tokens_of_the_other(self):
        for own, other in ((self.a, self.b), (self.b, self.a)):
            assert own.call(own.token()) == 200
            assert own.call(other.token()) == 401, "another service's token"
            stolen_name = Tenant(self.server, own.host, own.id_scope, other.policy, other.key)
            assert own.call(stolen_name.token()) == 401, "this service's resource signed with the other's key"
            for method, path in (("PUT", "/enrollments/x"), ("DELETE", f"/enrollments/{TWIN}"), ("POST", "/enrollments/query"),
                                 ("POST", "/enrollments"), ("DELETE", f"/registrations/{TWIN}")):
                assert own.call(other.token(), method, path) == 401, f"{method} {path}"

    def tokens_of_another_door(self):
        """Management is the installation's administrator's; its token opens no service, and no service's token opens it."""
        assert self.b.call(f"Bearer {self.management.endpoint['token']}") == 401
        url = self.management.endpoint["url"] + self.management.endpoint["resourceId"] + "?api-version=2021-10-15"
        for tenant in (self.a, self.b):
            for method in ("GET", "PUT", "DELETE"):
                answer = requests.request(method, url, verify=self.server.trust, headers={"authorization": tenant.token()})
                assert answer.status_code == 401, method

    def a_deleted_tenant(self):
        self.management.client().iot_dps_resource.begin_delete("tenant-b", "tenants").result()
        refused("401", lambda: self.provision(self.b, self.b))
        assert self.b.call(self.b.token()) == 401
        assert self.provision(self.a, self.a).status == "assigned"


def refused(expected, work):
    """The SDK must fail with the service's own error."""
    try:
        result = work()
    except HttpResponseError as error:
        assert str(error.status_code) == expected, error
    except Exception as error:
        assert expected in f"{error} {error.__cause__}", f"{error} {error.__cause__}"
    else:
        raise AssertionError(f"it was not refused: {result}")


@contextlib.contextmanager
def names_of_this_machine():
    """Names under `localhost` lead to this machine (RFC 6761 section 6.3); not every system's resolver knows that."""
    ask = socket.getaddrinfo

    def answer(host, *more, **named):
        return ask("127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host, *more, **named)
    with mock.patch("socket.getaddrinfo", answer):
        yield


def all_cases(server):
    two = TwoTenants(server)

    def case(work):
        def run():
            with names_of_this_machine():
                work()
        return run
    return [(f"two tenants: {name}", case(work)) for name, work in (
        ("the same device ID in both, each by its own key and scope", two.each_by_its_own),
        ("the other's device key, with this scope", two.keys_of_the_other),
        ("a device of the other's group; its records are not seen here", two.group_keys_of_the_other),
        ("the other's service token, and this resource signed with the other's key", two.tokens_of_the_other),
        ("service tokens at the management API and the reverse", two.tokens_of_another_door),
        ("a deleted tenant is out of reach at once, the other goes on", two.a_deleted_tenant),
    )]
