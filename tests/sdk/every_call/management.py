"""azure-mgmt-iothubprovisioningservices: every operation once right and once wrong, whichever version is installed.

Version 1.1.0 is what azure-cli brings; 2.1.0 is generated anew, with other signatures for certificates and bodies of newer API versions.
"""

import base64
import importlib.metadata
import inspect

from azure.core import MatchConditions
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError

import certificates
from every_call.ledger import Ledger, Suite, check_in_log, public_methods

PACKAGE = "azure-mgmt-iothubprovisioningservices"
GROUPS = {"iot_dps_resource": "IotDpsResourceOperations", "dps_certificate": "DpsCertificateOperations", "operations": "Operations"}
# The service that the cases make and change, beside the one that is there.
NAME, GROUP = "every-call", "every-call-group"


class Token:
    def __init__(self, token):
        self.token = token

    def get_token(self, *_scopes, **_options):
        return AccessToken(self.token, 4_000_000_000)


class Calls:
    """The right and the wrong call of each operation."""

    def __init__(self, server):
        from azure.mgmt.iothubprovisioningservices import IotDpsClient
        self.server, self.ledger = server, Ledger()
        self.is_new = int(importlib.metadata.version(PACKAGE).split(".")[0]) >= 2
        endpoint = server.manifest["management"]
        _, _, subscription, _, self.group, *_, self.name = endpoint["resourceId"].split("/")
        self.here = (self.name, self.group)

        def client(token):
            made = IotDpsClient(Token(token), subscription, base_url=endpoint["url"], connection_verify=server.trust)
            return {name: self.ledger.watch(getattr(made, name), kind) for name, kind in GROUPS.items()}
        self.good, self.bad = client(endpoint["token"]), client("wrong")
        self.resource, self.certificate = self.good["iot_dps_resource"], self.good["dps_certificate"]
        self.factory = certificates.Factory("every call")

    def refused(self, status, code, work):
        """The call must fail with this status and code, and the log must name the same check."""
        try:
            work()
        except HttpResponseError as error:
            told = error.error.code if error.error else None
            assert (error.status_code, told) == (status, code), f"{error.status_code} {told}: {error.message}"
            check_in_log(self.server, error.response.headers["x-ms-request-id"], code)
        else:
            raise AssertionError("it was not refused")

    def missing(self, work):
        self.refused(404, "ResourceNotFound", work)

    # Of the installation.

    def operations_list(self):
        names = [operation.name for operation in self.good["operations"].list()]
        assert "Microsoft.Devices/provisioningServices/listKeys/action" in names, names

    def operations_list_wrong(self):
        self.refused(401, "AuthenticationFailed", lambda: list(self.bad["operations"].list()))

    def check_name(self):
        check = self.resource.check_provisioning_service_name_availability
        assert check({"name": "a-free-name"}).name_available is True
        taken = check({"name": self.name})
        assert (taken.name_available, taken.reason) == (False, "AlreadyExists"), taken
        assert check({"name": "-"}).reason == "Invalid"

    def check_name_wrong(self):
        bad = self.bad["iot_dps_resource"]
        self.refused(401, "AuthenticationFailed", lambda: bad.check_provisioning_service_name_availability({"name": "a-free-name"}))

    # Of services.

    def get(self):
        one = self.resource.get(*self.here)
        assert (one.name, one.properties.id_scope, one.properties.state) == (self.name, self.server.id_scope, "Active"), one
        assert one.properties.service_operations_host_name in self.server.service and one.sku.name == "S1"

    def create_or_update(self):
        made = self.resource.begin_create_or_update(GROUP, NAME, {
            "location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "tags": {"made": "here"}, "properties": {}}).result()
        assert made.properties.provisioning_state == "Succeeded" and made.tags == {"made": "here"}
        made.properties.allocation_policy = "GeoLatency"
        made.properties.iot_hubs.append({"connectionString": self.server.hub, "location": "westeurope", "allocationWeight": 7})
        changed = self.resource.begin_create_or_update(GROUP, NAME, made).result()
        assert (changed.properties.allocation_policy, changed.properties.id_scope) == ("GeoLatency", made.properties.id_scope)
        assert [hub.allocation_weight for hub in changed.properties.iot_hubs] == [7] and changed.etag != made.etag

    def create_or_update_wrong(self):
        body = {"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "properties": {"allocationPolicy": "Custom"}}
        self.refused(400, "BadRequest", lambda: self.resource.begin_create_or_update(GROUP, NAME, body).result())
        moved = {"location": "elsewhere", "sku": {"name": "S1", "capacity": 1}, "properties": {}}
        self.refused(409, "Conflict", lambda: self.resource.begin_create_or_update(GROUP, NAME, moved).result())

    def update(self):
        tagged = self.resource.begin_update(GROUP, NAME, {"tags": {"line": "3"}}).result()
        assert (tagged.tags, tagged.properties.allocation_policy) == ({"line": "3"}, "GeoLatency"), tagged

    def list_by_subscription(self):
        assert {one.name for one in self.resource.list_by_subscription()} >= {self.name, NAME}

    def list_by_subscription_wrong(self):
        self.refused(401, "AuthenticationFailed", lambda: list(self.bad["iot_dps_resource"].list_by_subscription()))

    def list_by_group(self):
        assert [one.name for one in self.resource.list_by_resource_group(GROUP)] == [NAME]
        assert list(self.resource.list_by_resource_group("nobodys-group")) == []

    def list_by_group_wrong(self):
        self.refused(400, "InvalidResourceGroup", lambda: list(self.resource.list_by_resource_group("dot.")))

    def operation_result(self):
        etag = self.resource.get(NAME, GROUP).etag
        assert self.resource.get_operation_result(etag, GROUP, NAME, asyncinfo="true").status == "Succeeded"

    def skus(self):
        assert [sku.name for sku in self.resource.list_valid_skus(*self.here)] == ["S1"]

    def keys(self):
        policies = {policy.key_name: policy for policy in self.resource.list_keys(*self.here)}
        assert policies["provisioningserviceowner"].primary_key in self.server.service

    def key(self):
        policy = self.resource.list_keys_for_key_name(self.name, "provisioningserviceowner", self.group)
        assert policy.primary_key in self.server.service and policy.rights.startswith("ServiceConfig, ")

    def key_wrong(self):
        self.missing(lambda: self.resource.list_keys_for_key_name(self.name, "nobody", self.group))

    def delete(self):
        """The last of all: the service goes, its certificates with it; what is gone may be deleted again."""
        self.resource.begin_delete(NAME, GROUP).result()
        self.missing(lambda: self.resource.get(NAME, GROUP))
        self.resource.begin_delete(NAME, GROUP).result()

    def delete_wrong(self):
        self.refused(401, "AuthenticationFailed", lambda: self.bad["iot_dps_resource"].begin_delete(*self.here).result())
        self.get()

    # Of private endpoints: there are none.

    def private_links(self):
        assert not self.resource.list_private_link_resources(self.group, self.name).value

    def private_connections(self):
        assert list(self.resource.list_private_endpoint_connections(self.group, self.name)) == []

    def no_private_link(self):
        self.missing(lambda: self.resource.get_private_link_resources(self.group, self.name, "iotDps"))

    def no_private_connection(self):
        self.missing(lambda: self.resource.get_private_endpoint_connection(self.group, self.name, "mine"))

    def no_new_private_connection(self):
        body = {"properties": {"privateLinkServiceConnectionState": {"status": "Approved", "description": "mine"}}}
        begin = self.resource.begin_create_or_update_private_endpoint_connection
        self.refused(400, "PrivateEndpointsNotSupported", lambda: begin(self.group, self.name, "mine", body).result())

    def nothing_to_disconnect(self):
        begin = self.resource.begin_delete_private_endpoint_connection
        self.missing(lambda: begin(self.group, self.name, "mine").result())

    # Of certificates, in the order of their life.

    def if_match(self, etag):
        return {"etag": etag, "match_condition": MatchConditions.IfNotModified} if self.is_new else {"if_match": etag}

    def body(self, pem, is_verified=None):
        inner = {"certificate": base64.b64encode(pem.encode()).decode()}
        if is_verified is not None:
            inner["isVerified"] = is_verified
        return {"properties": inner} if self.is_new else inner

    def at(self, certificate="factory", service=NAME):
        return {"resource_group_name": GROUP, "provisioning_service_name": service, "certificate_name": certificate}

    def upload(self):
        made = self.certificate.create_or_update(**self.at(), certificate_description=self.body(self.factory.root.pem))
        assert (made.name, made.properties.subject, made.properties.is_verified) == ("factory", "CN=every call root", False), made

    def upload_wrong(self):
        rubbish = self.body("no certificate")
        self.refused(400, "InvalidCertificate", lambda: self.certificate.create_or_update(**self.at("x"), certificate_description=rubbish))
        again, stale = self.body(self.factory.root.pem), self.if_match("0123456789abcdef")
        self.refused(412, "PreconditionFailed", lambda: self.certificate.create_or_update(**self.at(), certificate_description=again, **stale))

    def read(self):
        found = self.certificate.get(**self.at())
        assert len(found.properties.thumbprint) == 40 and found.etag and not found.properties.is_verified
        assert found.properties.certificate, "the certificate itself is told"

    def certificate_list(self):
        assert [found.name for found in self.certificate.list(GROUP, NAME).value] == ["factory"]

    def code(self):
        etag = self.certificate.get(**self.at()).etag
        coded = self.certificate.generate_verification_code(**self.at(), **self.if_match(etag))
        assert len(coded.properties.verification_code) == 48 and coded.etag != etag

    def code_wrong(self):
        call = self.certificate.generate_verification_code
        self.refused(412, "PreconditionFailed", lambda: call(**self.at(), **self.if_match("0123456789abcdef")))

    def proof(self, issuer):
        """A verification by this issuer's key, of the code that stands now."""
        coded = self.certificate.generate_verification_code(**self.at(), **self.if_match(self.certificate.get(**self.at()).etag))
        proof = certificates.make(coded.properties.verification_code, issuer=issuer)
        request = {"certificate": base64.b64encode(proof.pem.encode()).decode()}
        return self.certificate.verify_certificate(**self.at(), request=request, **self.if_match(coded.etag))

    def verify(self):
        assert self.proof(self.factory.root).properties.is_verified is True
        assert self.certificate.get(**self.at()).properties.is_verified is True

    def verify_wrong(self):
        stranger = certificates.Factory("every call").root
        self.refused(400, "BadRequest", lambda: self.proof(stranger))

    def certificate_delete(self):
        self.certificate.delete(**self.at(), **self.if_match(self.certificate.get(**self.at()).etag))
        self.missing(lambda: self.certificate.get(**self.at()))
        self.upload()

    def certificate_delete_wrong(self):
        self.refused(412, "PreconditionFailed", lambda: self.certificate.delete(**self.at(), **self.if_match("0123456789abcdef")))

    def table(self):
        """Operation to (right, wrong), in the order in which they can be called."""
        absent = "every-call-nobody"
        resource = {
            "check_provisioning_service_name_availability": (self.check_name, self.check_name_wrong),
            "get": (self.get, lambda: self.missing(lambda: self.resource.get(absent, GROUP))),
            "begin_create_or_update": (self.create_or_update, self.create_or_update_wrong),
            "begin_update": (self.update, lambda: self.missing(lambda: self.resource.begin_update(GROUP, absent, {"tags": {}}).result())),
            "list_by_subscription": (self.list_by_subscription, self.list_by_subscription_wrong),
            "list_by_resource_group": (self.list_by_group, self.list_by_group_wrong),
            "get_operation_result": (self.operation_result, lambda: self.missing(
                lambda: self.resource.get_operation_result("0123456789abcdef", GROUP, NAME, asyncinfo="true"))),
            "list_valid_skus": (self.skus, lambda: self.missing(lambda: list(self.resource.list_valid_skus(absent, GROUP)))),
            "list_keys": (self.keys, lambda: self.missing(lambda: list(self.resource.list_keys(absent, GROUP)))),
            "list_keys_for_key_name": (self.key, self.key_wrong),
            "list_private_link_resources": (self.private_links, lambda: self.missing(
                lambda: self.resource.list_private_link_resources(GROUP, absent))),
            "list_private_endpoint_connections": (self.private_connections, lambda: self.missing(
                lambda: self.resource.list_private_endpoint_connections(GROUP, absent))),
        }
        certificate = {
            "create_or_update": (self.upload, self.upload_wrong),
            "get": (self.read, lambda: self.missing(lambda: self.certificate.get(**self.at("nobody")))),
            "list": (self.certificate_list, lambda: self.missing(lambda: self.certificate.list(GROUP, absent))),
            "generate_verification_code": (self.code, self.code_wrong),
            "verify_certificate": (self.verify, self.verify_wrong),
            "delete": (self.certificate_delete, self.certificate_delete_wrong),
        }
        return (
            {"Operations.list": (self.operations_list, self.operations_list_wrong)}
            | {f"IotDpsResourceOperations.{name}": both for name, both in resource.items()}
            | {f"DpsCertificateOperations.{name}": both for name, both in certificate.items()}
            | {"IotDpsResourceOperations.begin_delete": (self.delete, self.delete_wrong)}
        )

    def refused_always(self):
        """What usher refuses on purpose; there is no right call."""
        return {
            "get_private_link_resources": ("there are no private links", self.no_private_link),
            "get_private_endpoint_connection": ("there are no private endpoints", self.no_private_connection),
            "begin_create_or_update_private_endpoint_connection": ("there are no private endpoints", self.no_new_private_connection),
            "begin_delete_private_endpoint_connection": ("there are no private endpoints", self.nothing_to_disconnect),
        }


def public_operations():
    from azure.mgmt.iothubprovisioningservices import operations
    kinds = [kind for _, kind in inspect.getmembers(operations, inspect.isclass)]
    return {f"{kind.__name__}.{name}" for kind in kinds for name in public_methods(kind)}


def all_cases(server):
    """Cases as (name, function)."""
    calls = Calls(server)
    client = f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"
    refused = {f"IotDpsResourceOperations.{name}": both for name, both in calls.refused_always().items()}
    reasons = {name: reason for name, (reason, _) in refused.items()}
    suite = Suite(client, calls.ledger, public_operations(), calls.table(), reasons)
    return suite.cases() + [(f"{client}: {name} is refused: {reason}", work) for name, (reason, work) in refused.items()]
