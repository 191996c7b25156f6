"""The management API by Azure's own management SDK: each call that is served once right and once wrong."""

import base64

import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.iothubprovisioningservices import IotDpsClient
from azure.mgmt.iothubprovisioningservices.models import IotHubDefinitionDescription

import certificates
import python_device
import service_api


class Token:
    """A credential that is just a token."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *_scopes, **_options):
        return AccessToken(self.token, 4_000_000_000)


class Management:
    def __init__(self, server):
        self.server = server
        self.endpoint = server.manifest["management"]
        _, _, self.subscription, _, self.group, *_, self.name = self.endpoint["resourceId"].split("/")

    def client(self, token=None):
        return IotDpsClient(Token(token or self.endpoint["token"]), self.subscription, base_url=self.endpoint["url"], connection_verify=self.server.trust)

    def read_and_list(self):
        resource = self.client().iot_dps_resource
        one = resource.get(self.name, self.group)
        assert one.properties.id_scope == self.server.id_scope
        assert [hub.name for hub in one.properties.iot_hubs] == [self.server.manifest["hubs"][0]["hostName"]]
        assert "****" in one.properties.iot_hubs[0].connection_string
        assert [found.name for found in resource.list_by_subscription()] == [self.name]
        assert [found.name for found in resource.list_by_resource_group(self.group)] == [self.name]
        assert [sku.name for sku in resource.list_valid_skus(self.name, self.group)] == ["S1"]

    def keys(self):
        resource = self.client().iot_dps_resource
        policies = list(resource.list_keys(self.name, self.group))
        assert policies[0].primary_key in self.server.service
        one = resource.list_keys_for_key_name(self.name, policies[0].key_name, self.group)
        assert one.primary_key == policies[0].primary_key and "ServiceConfig, " in one.rights

    def name_availability(self):
        resource = self.client().iot_dps_resource
        assert not resource.check_provisioning_service_name_availability({"name": self.name}).name_available
        assert resource.check_provisioning_service_name_availability({"name": "another-one"}).name_available
        assert resource.check_provisioning_service_name_availability({"name": "-"}).reason == "Invalid"

    def life_of_a_service(self):
        """As azure-cli does it: read the whole, change one thing, write the whole back."""
        resource, name, group = self.client().iot_dps_resource, "plant-2", "works"
        made = resource.begin_create_or_update(group, name, {
            "location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "properties": {"enableDataResidency": False}}).result()
        assert made.properties.provisioning_state == "Succeeded" and made.properties.id_scope not in (None, self.server.id_scope)
        assert made.additional_properties["resourcegroup"] == group and made.properties.iot_hubs == []
        assert made.properties.service_operations_host_name.startswith(f"{name}.")
        made.properties.iot_hubs.append(IotHubDefinitionDescription(
            connection_string=self.server.hub, location="westeurope", allocation_weight=3, apply_allocation_policy=True))
        linked = resource.begin_create_or_update(group, name, made).result()
        assert "****" in linked.properties.iot_hubs[0].connection_string
        assert self.server.hub.split("SharedAccessKey=")[1] not in linked.properties.iot_hubs[0].connection_string
        linked.properties.iot_hubs[0].allocation_weight = 5
        linked.properties.allocation_policy = "Static"
        changed = resource.begin_create_or_update(group, name, linked).result()
        assert (changed.properties.iot_hubs[0].allocation_weight, changed.properties.allocation_policy) == (5, "Static")
        policies = list(resource.list_keys(name, group))
        changed.properties.authorization_policies = [*policies, {"keyName": "reader", "rights": "EnrollmentRead"}]
        resource.begin_create_or_update(group, name, changed).result()
        assert {policy.key_name for policy in resource.list_keys(name, group)} == {"provisioningserviceowner", "reader"}
        assert resource.begin_update(group, name, {"tags": {"site": "north"}}).result().tags == {"site": "north"}
        resource.begin_delete(name, group).result()
        refused(ResourceNotFoundError, lambda: resource.get(name, group))
        resource.begin_delete(name, group).result()

    def life_of_a_certificate(self):
        """Uploaded, proved, referred to by a group, replaced under its name, deleted."""
        api, factory = self.client().dps_certificate, certificates.Factory("managed")
        at = (self.group, self.name)
        made = api.create_or_update(*at, "factory", {"certificate": in_base64(factory.root.pem)})
        assert not made.properties.is_verified and made.properties.subject == "CN=managed root"
        coded = api.generate_verification_code("factory", made.etag, *at)
        proof = certificates.make(coded.properties.verification_code, issuer=factory.root)
        stranger = certificates.make(coded.properties.verification_code, issuer=certificates.Factory("managed").root)
        refused(HttpResponseError, lambda: api.verify_certificate("factory", coded.etag, *at, {"certificate": in_base64(stranger.pem)}))
        enrollments = service_api.operator(self.server).enrollment_group
        group = {"enrollmentGroupId": "managed", "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "factory"}}}}
        service_api.refused(400, lambda: enrollments.create_or_update("managed", group))
        verified = api.verify_certificate("factory", coded.etag, *at, {"certificate": in_base64(proof.pem)})
        assert verified.properties.is_verified and api.get("factory", *at).etag == verified.etag
        enrollments.create_or_update("managed", group)
        result, _ = python_device.provision(self.server, "managed-1", identity=factory.device("managed-1"))
        assert result.status == "assigned"
        successor = certificates.Factory("managed")
        api.create_or_update(
            *at, "factory", {"certificate": in_base64(successor.root.pem), "isVerified": True}, if_match=verified.etag)
        result, _ = python_device.provision(self.server, "managed-2", identity=successor.device("managed-2"))
        assert result.status == "assigned"
        refused(Exception, lambda: python_device.provision(self.server, "managed-1", identity=factory.device("managed-1")))
        refused(HttpResponseError, lambda: api.delete(self.group, "*", self.name, "factory"))
        enrollments.delete("managed")
        refused(HttpResponseError, lambda: api.delete(self.group, verified.etag, self.name, "factory"))
        api.delete(self.group, api.get("factory", *at).etag, self.name, "factory")
        assert not api.list(*at).value

    def wrong(self):
        refused(ResourceNotFoundError, lambda: self.client().iot_dps_resource.get("nobody", self.group))
        refused(ResourceNotFoundError, lambda: self.client().iot_dps_resource.get(self.name, "another-group"))
        refused(ResourceNotFoundError, lambda: self.client().iot_dps_resource.list_keys_for_key_name(self.name, "nobody", self.group))
        refused(ClientAuthenticationError, lambda: self.client("wrong").iot_dps_resource.get(self.name, self.group))
        url = self.endpoint["url"] + self.endpoint["resourceId"] + "?api-version=2021-10-15"
        assert requests.get(url, verify=self.server.trust).status_code == 401
        refusal = requests.put(url, verify=self.server.trust, json=[], headers={"authorization": f"Bearer {self.endpoint['token']}"})
        assert refusal.status_code == 400 and refusal.json()["error"]["code"] == "BadRequest"


def in_base64(text):
    return base64.b64encode(text.encode()).decode()


def refused(kind, work):
    try:
        work()
    except kind:
        return
    raise AssertionError("it was not refused")


def all_cases(server):
    management = Management(server)
    return [
        ("azure-mgmt-iothubprovisioningservices: get, list, SKUs", management.read_and_list),
        ("azure-mgmt-iothubprovisioningservices: keys", management.keys),
        ("azure-mgmt-iothubprovisioningservices: name availability", management.name_availability),
        ("azure-mgmt-iothubprovisioningservices: what is not there, without the token, nonsense", management.wrong),
        ("azure-mgmt-iothubprovisioningservices: a service is made, changed, deleted", management.life_of_a_service),
        ("azure-mgmt-iothubprovisioningservices: a CA certificate is proved, referred to, replaced", management.life_of_a_certificate),
    ]
