"""What Terraform's provider azurerm asks for, request by request: log-in, resource group, service, certificate, shared access policy.

The provider itself cannot be installed from the package registries that the tests use. These are the requests that it was seen to send
(docs/terraform.md), with its headers, and of each answer the members that its code reads.
"""

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request

import certificates

SUBSCRIPTION = TENANT = "00000000-0000-0000-0000-000000000000"
CLIENT = "00000000-0000-0000-0000-0000000000ad"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/terraform"
SERVICE = f"{GROUP}/providers/Microsoft.Devices/provisioningServices/tf-plant"
DPS, GROUPS, PROVIDERS = "2022-02-05", "2023-07-01", "2022-09-01"
HUB = {"allocationWeight": 2, "applyAllocationPolicy": True, "location": "local",
       "connectionString": "HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0"}


class Provider:
    """azurerm, as far as its requests go."""

    def __init__(self, server):
        self.url, self.admin = server.manifest["management"]["url"], server.manifest["management"]["token"]
        self.context, self.token = ssl.create_default_context(cafile=server.trust), None
        self.factories = [certificates.Factory("terraform"), certificates.Factory("terraform")]

    def send(self, method, path, version=DPS, body=None, if_match=None):
        """Status and JSON of an answer."""
        data = json.dumps(body).encode() if body is not None else (b"" if method == "POST" else None)
        request = urllib.request.Request(f"{self.url}{path}?api-version={version}", method=method, data=data)
        request.add_header("Content-Type", "application/json; charset=utf-8")
        request.add_header("Odata-Version", "4.0")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if if_match is not None:
            request.add_header("If-Match", if_match)
        return self.answer(request)

    def answer(self, request):
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=15) as answer:
                return answer.status, self.read(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, self.read(refusal)

    @staticmethod
    def read(answer):
        text = answer.read()
        # The provider polls for provisioningState only where the answer is JSON, and waits where it cannot tell.
        assert not text or answer.headers["Content-Type"].startswith("application/json"), answer.headers
        assert not any(answer.headers.get(name) for name in ("Location", "Azure-AsyncOperation")), "nothing is to be polled"
        return json.loads(text) if text else None

    def finds(self, method, path, **options):
        status, body = self.send(method, path, **options)
        assert status == 200, (status, body)
        return body

    # The cases, in their order: each goes on from the one before.

    def metadata(self):
        """go-azure-sdk refuses a cloud without these, or whose tenant is not `common`, and azurerm one without storage and key vault."""
        told = self.finds("GET", "/metadata/endpoints", version=PROVIDERS)
        log_in = told["authentication"]
        assert told["name"] and told["name"] != "AzureStackCloud" and told["microsoftGraphResourceId"]
        assert told["resourceManager"] == log_in["loginEndpoint"] == self.url and log_in["audiences"], told
        assert (log_in["tenant"], log_in["identityProvider"]) == ("common", "AAD"), log_in
        assert told["suffixes"]["storage"] and told["suffixes"]["keyVaultDns"]

    def log_in(self, secret):
        form = {"client_id": CLIENT, "client_secret": secret, "grant_type": "client_credentials", "scope": f"{self.url}/.default"}
        body = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(f"{self.url}/{TENANT}/oauth2/v2.0/token", method="POST", data=body)
        request.add_header("Content-Type", "application/x-www-form-urlencoded")
        return self.answer(request)

    def logs_in(self):
        assert self.log_in("wrong")[0] == 401
        status, told = self.log_in(self.admin)
        assert status == 200 and told["token_type"] == "Bearer" and told["expires_in"] > 0, told
        claims = json.loads(base64.urlsafe_b64decode(told["access_token"].split(".")[1] + "=="))
        # Without `oid` it would ask Microsoft Graph who it is; `scp` would make it a user.
        assert (claims["oid"], claims["appid"], claims["tid"]) == (CLIENT, CLIENT, TENANT) and "scp" not in claims, claims
        self.token = told["access_token"]

    def providers(self):
        found = self.finds("GET", f"/subscriptions/{SUBSCRIPTION}/providers", version=PROVIDERS)["value"]
        states = {one["namespace"]: one["registrationState"] for one in found}
        assert states["Microsoft.Devices"] == "Registered", states
        assert all(one["id"] and isinstance(one["resourceTypes"], list) for one in found)

    def makes_the_group(self):
        assert self.send("GET", GROUP, version=GROUPS)[0] == 404, "else the provider wants it to be imported"
        status, made = self.send("PUT", GROUP, version=GROUPS, body={"location": "local", "tags": {}})
        assert status == 201 and made["properties"]["provisioningState"] == "Succeeded", made
        for _ in range(3):
            assert self.finds("GET", GROUP, version=GROUPS)["location"] == "local"
        changed = self.finds("PATCH", GROUP, version=GROUPS, body={"tags": {"a": "1"}})
        assert (changed["name"], changed["tags"]) == ("terraform", {"a": "1"}), changed

    def makes_the_service(self):
        assert self.send("GET", SERVICE)[0] == 404
        body = {"location": "local", "name": "tf-plant", "sku": {"capacity": 1, "name": "S1"}, "tags": {"line": "3"}, "properties": {
            "allocationPolicy": "Hashed", "enableDataResidency": False, "publicNetworkAccess": "Enabled", "iotHubs": [HUB]}}
        status, made = self.send("PUT", SERVICE, body=body)
        assert status == 201 and made["properties"]["provisioningState"] == "Succeeded", made
        self.reads_the_service(made)

    def reads_the_service(self, expected):
        found = self.finds("GET", SERVICE)
        assert found == expected
        properties = found["properties"]
        assert properties["idScope"] and properties["serviceOperationsHostName"] and properties["deviceProvisioningHostName"]
        assert (found["sku"]["name"], found["sku"]["capacity"], properties["publicNetworkAccess"]) == ("S1", 1, "Enabled")
        # To the letter: a key in its place is what the provider takes for no difference.
        masked = HUB["connectionString"].rsplit("=", 1)[0] + "=****"
        assert properties["iotHubs"][0]["connectionString"] == masked, properties["iotHubs"]

    def changes_the_service(self):
        """It reads the whole, changes what differs and writes the whole back, masked key and all."""
        whole = self.finds("GET", SERVICE)
        whole["properties"]["allocationPolicy"] = "GeoLatency"
        whole["properties"]["iotHubs"][0]["allocationWeight"] = 5
        changed = self.finds("PUT", SERVICE, body=whole)
        assert changed["properties"]["allocationPolicy"] == "GeoLatency" and changed["properties"]["iotHubs"][0]["allocationWeight"] == 5
        self.reads_the_service(changed)

    def cannot_close_the_service(self):
        whole = self.finds("GET", SERVICE)
        whole["properties"]["publicNetworkAccess"] = "Disabled"
        status, refused = self.send("PUT", SERVICE, body=whole)
        assert (status, refused["error"]["code"]) == (400, "BadRequest") and "publicNetworkAccess" in refused["error"]["message"]

    def keeps_a_certificate(self):
        path = f"{SERVICE}/certificates/factory"
        in_base64 = [base64.b64encode(factory.root.pem.encode()).decode() for factory in self.factories]
        assert self.send("GET", path, if_match="")[0] == 404
        body = {"properties": {"certificate": in_base64[0], "isVerified": True}}
        assert self.finds("PUT", path, if_match="", body=body)["properties"]["isVerified"] is True
        whole = self.finds("GET", path, if_match="")
        whole["properties"]["certificate"] = in_base64[1]
        whole["properties"]["isVerified"] = False
        changed = self.finds("PUT", path, if_match=whole["etag"], body=whole)
        assert changed["properties"]["isVerified"] is False and changed["properties"]["thumbprint"] != whole["properties"]["thumbprint"]
        assert self.send("PUT", path, if_match=whole["etag"], body=whole)[0] == 412
        etag = self.finds("GET", path, if_match="")["etag"]
        assert etag and self.send("DELETE", path, if_match=etag)[0] == 200

    def policies(self):
        return self.finds("POST", f"{SERVICE}/listKeys")["value"]

    def write_policies(self, policies):
        whole = self.finds("GET", SERVICE)
        whole["properties"]["authorizationPolicies"] = policies
        self.finds("PUT", SERVICE, body=whole)

    def keeps_a_policy(self):
        before = self.policies()
        self.write_policies([*before, {"keyName": "reader", "rights": "EnrollmentRead, RegistrationStatusRead"}])
        made = self.finds("POST", f"{SERVICE}/keys/reader/listKeys")
        assert made["rights"] == "EnrollmentRead, RegistrationStatusRead" and made["primaryKey"] and made["secondaryKey"], made
        assert self.policies()[0] == before[0], "the others keep their keys"
        self.write_policies(before)
        assert self.send("POST", f"{SERVICE}/keys/reader/listKeys")[0] == 404

    def deletes_all(self):
        assert self.send("DELETE", GROUP, version=GROUPS)[0] == 409
        assert self.send("DELETE", SERVICE) == (200, None)
        assert self.send("GET", SERVICE)[0] == 404
        assert self.finds("GET", f"{GROUP}/resources", version=GROUPS)["value"] == []
        assert self.send("DELETE", GROUP, version=GROUPS) == (200, None)
        assert self.send("GET", GROUP, version=GROUPS)[0] == 404


def all_cases(server):
    """Cases as (name, function)."""
    provider = Provider(server)
    return [
        ("the cloud's metadata", provider.metadata),
        ("log-in, wrong and right", provider.logs_in),
        ("resource providers", provider.providers),
        ("azurerm_resource_group is made and changed", provider.makes_the_group),
        ("azurerm_iothub_dps is made", provider.makes_the_service),
        ("azurerm_iothub_dps is changed", provider.changes_the_service),
        ("azurerm_iothub_dps without public access is refused", provider.cannot_close_the_service),
        ("azurerm_iothub_dps_certificate is made, changed, deleted", provider.keeps_a_certificate),
        ("azurerm_iothub_dps_shared_access_policy is made, deleted", provider.keeps_a_policy),
        ("all is deleted", provider.deletes_all),
    ]
