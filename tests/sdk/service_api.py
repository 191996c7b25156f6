"""The service API by Azure's Python service SDK: each call once right and once wrong."""

import base64
import os

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.iot.deviceprovisioning import DeviceProvisioningClient

import python_device
from enrolling import Enroller, b64, derived


def operator(server, key=None):
    """The SDK's client, with the service's own key or a wrong one."""
    connection_string = server.service
    if key:
        connection_string = connection_string.rsplit("SharedAccessKey=", 1)[0] + "SharedAccessKey=" + key
    return DeviceProvisioningClient.from_connection_string(connection_string, connection_verify=server.trust)


def refused(status, work, kind=HttpResponseError):
    """The call must fail with the status."""
    try:
        work()
    except kind as error:
        assert error.status_code == status, f"{error.status_code}: {error}"
    else:
        raise AssertionError("it was not refused")


def individual(registration_id, **more):
    return {"registrationId": registration_id, "attestation": Enroller.symmetric(os.urandom(32))} | more


def group(name, key=None, **more):
    return {"enrollmentGroupId": name, "attestation": Enroller.symmetric(key or os.urandom(32))} | more


def individuals(server):
    api = operator(server).enrollment
    made = api.create_or_update("py-1", individual("py-1", deviceId="other"))
    got = api.get("PY-1")
    assert (got["registrationId"], got["deviceId"], got["etag"]) == ("py-1", "other", made["etag"]), got
    changed = api.create_or_update("py-1", individual("py-1", provisioningStatus="disabled"), if_match=made["etag"])
    assert changed["provisioningStatus"] == "disabled" and changed["etag"] != made["etag"], changed
    refused(412, lambda: api.create_or_update("py-1", individual("py-1"), if_match=made["etag"]))
    refused(412, lambda: api.delete("py-1", if_match=made["etag"]))
    refused(400, lambda: api.create_or_update("py-1", individual("another")))
    api.delete("py-1", if_match=changed["etag"])
    refused(404, lambda: api.get("py-1"), ResourceNotFoundError)
    refused(404, lambda: api.delete("py-1"), ResourceNotFoundError)


def groups(server):
    api = operator(server).enrollment_group
    made = api.create_or_update("py-group", group("py-group"))
    assert api.get("py-group")["etag"] == made["etag"]
    changed = api.create_or_update("py-group", group("py-group", provisioningStatus="disabled"), if_match=made["etag"])
    assert api.get("py-group")["provisioningStatus"] == "disabled"
    refused(412, lambda: api.create_or_update("py-group", group("py-group"), if_match=made["etag"]))
    refused(412, lambda: api.delete("py-group", if_match=made["etag"]))
    refused(400, lambda: api.create_or_update("py-group", group("another")))
    api.delete("py-group", if_match=changed["etag"])
    refused(404, lambda: api.get("py-group"), ResourceNotFoundError)


def mechanisms(server):
    client = operator(server)
    client.enrollment.create_or_update("py-keys", {"registrationId": "py-keys", "attestation": {"type": "symmetricKey"}})
    client.enrollment_group.create_or_update("py-keys", {"enrollmentGroupId": "py-keys", "attestation": {"type": "symmetricKey"}})
    for api in (client.enrollment, client.enrollment_group):
        keys = api.get_attestation_mechanism("py-keys")["symmetricKey"]
        assert keys["primaryKey"] != keys["secondaryKey"] and len(base64.b64decode(keys["primaryKey"])) >= 32
        api.delete("py-keys")
        refused(404, lambda api=api: api.get_attestation_mechanism("py-keys"), ResourceNotFoundError)


def queries(server):
    client = operator(server)
    found = [(client.enrollment, "SELECT * FROM enrollments", individual, "registrationId"),
             (client.enrollment_group, "SELECT * FROM enrollmentGroups", group, "enrollmentGroupId")]
    for api, query, make, name_of in found:
        names = [f"py-page-{n}" for n in range(5)]
        for name in names:
            api.create_or_update(name, make(name))
        pages = [list(page) for page in api.query({"query": query}, top=2).by_page()]
        assert all(len(page) <= 2 for page in pages), [len(page) for page in pages]
        told = [item[name_of] for page in pages for item in page]
        assert sorted(name for name in told if name.startswith("py-page-")) == names, told
        refused(400, lambda api=api: list(api.query({"query": "DELETE everything"})))
        for name in names:
            api.delete(name)


def bulk(server):
    api = operator(server).enrollment
    enrollments = [individual("py-bulk-1"), individual("py-bulk-2")]
    for mode in ("create", "update", "delete"):
        assert api.run_bulk_operation({"mode": mode, "enrollments": enrollments})["isSuccessful"] is True, mode
    refused(404, lambda: api.get("py-bulk-1"), ResourceNotFoundError)
    again = api.run_bulk_operation({"mode": "update", "enrollments": enrollments})
    assert again["isSuccessful"] is False and {error["registrationId"] for error in again["errors"]} == {"py-bulk-1", "py-bulk-2"}, again
    refused(400, lambda: api.run_bulk_operation({"mode": "create", "enrollments": [individual(f"py-many-{n}") for n in range(11)]}))


def registrations(server):
    """Three devices register by a group; their registrations are read, listed by pages and deleted."""
    client, key = operator(server), os.urandom(32)
    client.enrollment_group.create_or_update("py-registered", group("py-registered", key))
    names = [f"py-registered-{n}" for n in range(3)]
    for name in names:
        result, _ = python_device.provision(server, name, key=b64(derived(key, name)))
        assert result.status == "assigned"
    api = client.device_registration_state
    state = api.get(names[0])
    assert (state["registrationId"], state["status"], state["assignedHub"]) == (names[0], "assigned", server.manifest["hubs"][0]["hostName"]), state
    pages = [list(page) for page in api.query("py-registered", top=2).by_page()]
    assert all(len(page) <= 2 for page in pages), [len(page) for page in pages]
    assert sorted(item["registrationId"] for page in pages for item in page) == names, pages
    refused(412, lambda: api.delete(names[0], if_match='"stale"'))
    api.delete(names[0], if_match=state["etag"])
    refused(404, lambda: api.get(names[0]), ResourceNotFoundError)
    refused(404, lambda: api.delete(names[0]), ResourceNotFoundError)


def wrong_key(server):
    client = operator(server, key=b64(b"0" * 32))
    for api in (client.enrollment, client.enrollment_group, client.device_registration_state):
        refused(401, lambda api=api: api.get("py-1"), ClientAuthenticationError)


PYTHON_SERVICE = {
    "individual: create, get, update by ETag, delete": individuals,
    "group: create, get, update by ETag, delete": groups,
    "generated keys, told by the attestation mechanism": mechanisms,
    "query with pages, bad query": queries,
    "bulk: create, update, delete, what is not there, too many": bulk,
    "registration: get, query by group, delete by ETag": registrations,
    "a wrong key is refused": wrong_key,
}
