"""The management API by Azure's own management SDK: each call that is served once right and once wrong."""

import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.mgmt.iothubprovisioningservices import IotDpsClient


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

    def wrong(self):
        refused(ResourceNotFoundError, lambda: self.client().iot_dps_resource.get("nobody", self.group))
        refused(ResourceNotFoundError, lambda: self.client().iot_dps_resource.get(self.name, "another-group"))
        refused(ResourceNotFoundError, lambda: self.client().iot_dps_resource.list_keys_for_key_name(self.name, "nobody", self.group))
        refused(ClientAuthenticationError, lambda: self.client("wrong").iot_dps_resource.get(self.name, self.group))
        url = self.endpoint["url"] + self.endpoint["resourceId"] + "?api-version=2021-10-15"
        assert requests.get(url, verify=self.server.trust).status_code == 401
        refusal = requests.put(url, verify=self.server.trust, json={}, headers={"authorization": f"Bearer {self.endpoint['token']}"})
        assert refusal.status_code == 405 and refusal.json()["error"]["code"] == "MethodNotAllowed"


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
        ("azure-mgmt-iothubprovisioningservices: what is not there, without the token, changes", management.wrong),
    ]
