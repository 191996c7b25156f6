"""The service API and the hub's REST, each documented call once right and once wrong, by Azure's own SDKs."""

import base64
import os

import service_api
from server import node


def all_cases(server):
    """Cases as (name, function)."""
    found = []
    for script in ("service_api.js", "hub_api.js"):
        job = {"service": server.service, "hub": server.hub, "host": server.host, "idScope": server.id_scope}
        answer = node(server, script, job, timeout=120)
        if "cases" not in answer:
            raise RuntimeError(f"{script}: {answer}")
        found += [(f"{script}: {case['name']}", failing(case)) for case in answer["cases"]]
    for package, works in (("azure-iot-deviceprovisioning", service_api.PYTHON_SERVICE), ("azure-iot-hub", PYTHON_HUB)):
        found += [(f"{package} (PyPI): {name}", lambda work=work: work(server)) for name, work in works.items()]
    return found


def failing(case):
    def check():
        if not case["ok"]:
            raise AssertionError(case["error"])
    return check


def manager(server):
    from azure.iot.hub import IoTHubRegistryManager
    return IoTHubRegistryManager.from_connection_string(server.hub)


def refused(work):
    """The SDK's exception for a refused call."""
    try:
        work()
    except Exception as error:  # msrest raises HttpOperationError, its own class
        return error
    raise AssertionError("it was not refused")


def create_get_delete(server):
    hub, keys = manager(server), [base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
    made = hub.create_device_with_sas("api-1", keys[0], keys[1], "enabled")
    assert made.authentication.symmetric_key.primary_key == keys[0]
    assert hub.get_device("api-1").etag == made.etag
    hub.delete_device("api-1")
    assert refused(lambda: hub.get_device("api-1")).response.status_code == 404


def update_device(server):
    hub = manager(server)
    made = hub.create_device_with_x509("api-2", "A" * 40, "B" * 40, "enabled")
    updated = hub.update_device_with_x509("api-2", made.etag, "C" * 40, "D" * 40, "disabled")
    assert (updated.status, updated.authentication.x509_thumbprint.primary_thumbprint) == ("disabled", "C" * 40)
    assert refused(lambda: hub.update_device_with_x509("api-2", made.etag, "E" * 40, "F" * 40, "enabled")).response.status_code == 412
    hub.delete_device("api-2")


def twins(server):
    from azure.iot.hub.models import Twin, TwinProperties
    hub = manager(server)
    hub.create_device_with_certificate_authority("api-3", "enabled")
    patched = hub.update_twin("api-3", Twin(tags={"floor": 1}, properties=TwinProperties(desired={"a": 1, "b": {"c": 2}})))
    assert patched.tags == {"floor": 1} and patched.properties.desired["b"] == {"c": 2}
    patched = hub.update_twin("api-3", Twin(properties=TwinProperties(desired={"a": None})), patched.etag)
    assert "a" not in patched.properties.desired
    replaced = hub.replace_twin("api-3", Twin(tags={}, properties=TwinProperties(desired={"only": True})), patched.etag)
    assert replaced.tags in ({}, None) and replaced.properties.desired["only"] is True
    assert refused(lambda: hub.update_twin("api-3", Twin(tags={"x": 1}), '"stale"')).response.status_code == 412
    hub.delete_device("api-3")


def query_and_statistics(server):
    from azure.iot.hub.models import QuerySpecification
    hub = manager(server)
    for n in range(5):
        hub.create_device_with_sas(f"query-{n}", base64.b64encode(os.urandom(32)).decode(), base64.b64encode(os.urandom(32)).decode(), "enabled")
    first = hub.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), None, 2)
    assert len(first.items) == 2 and first.continuation_token
    second = hub.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), first.continuation_token, 2)
    assert {item.device_id for item in first.items}.isdisjoint(item.device_id for item in second.items)
    assert hub.get_device_registry_statistics().total_device_count >= 5
    assert refused(lambda: hub.query_iot_hub(QuerySpecification(query="DROP TABLE devices"))).response.status_code == 400
    for n in range(5):
        hub.delete_device(f"query-{n}")


def certificate_authority(server):
    """A device that the hub knows by its CA alone: the CA is uploaded, the device connects with a certificate below it."""
    import requests
    import certificates
    import python_device
    from azure.iot.device import IoTHubDeviceClient
    factory = certificates.Factory("hub CA")
    host, token = python_device.sas_token(server.hub)
    uploaded = requests.put(
        f"https://{host}/usher/certificates/factory", data=factory.root.pem.encode(), verify=server.trust,
        headers={"authorization": token, "content-type": "application/x-pem-file"})
    assert uploaded.status_code in (200, 201, 204), uploaded.text
    hub = manager(server)
    hub.create_device_with_certificate_authority("api-ca", "enabled")
    for identity, admitted in ((factory.device("api-ca"), True), (certificates.Factory("stranger").device("api-ca"), False)):
        files = python_device.Files(identity)
        device = IoTHubDeviceClient.create_from_x509_certificate(
            files.x509(), hostname=host, device_id="api-ca", server_verification_cert=open(server.trust).read(), connection_retry=False)
        why = None
        try:
            device.connect()
            was_admitted = device.get_twin()["desired"]["$version"] >= 1
        except Exception as error:
            was_admitted, why = False, error
        finally:
            device.shutdown()
            files.remove()
        # Judged out here, where the judgement itself is not taken for the device's refusal.
        assert was_admitted == admitted, why if admitted else "a stranger's certificate was taken"
    hub.delete_device("api-ca")


def wrong_key(server):
    from azure.iot.hub import IoTHubRegistryManager
    parts = server.hub.rsplit("SharedAccessKey=", 1)[0] + "SharedAccessKey=" + base64.b64encode(b"0" * 32).decode()
    hub = IoTHubRegistryManager.from_connection_string(parts)
    assert refused(lambda: hub.get_device("api-1")).response.status_code == 401


def method_offline(server):
    from azure.iot.hub.models import CloudToDeviceMethod
    hub = manager(server)
    hub.create_device_with_sas("api-4", base64.b64encode(os.urandom(32)).decode(), base64.b64encode(os.urandom(32)).decode(), "enabled")
    assert refused(lambda: hub.invoke_device_method("api-4", CloudToDeviceMethod(method_name="m"))).response.status_code == 404
    hub.delete_device("api-4")


PYTHON_HUB = {
    "create, get, delete": create_get_delete,
    "update by ETag": update_device,
    "twin: patch, null, replace, stale ETag": twins,
    "query with pages, statistics, bad query": query_and_statistics,
    "a device by its CA, and a stranger": certificate_authority,
    "a wrong key is refused": wrong_key,
    "a method of a device that is offline": method_offline,
}
