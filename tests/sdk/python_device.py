"""A device with Azure's Python SDK: provisions, connects to its hub, and does all that a device does there."""

import base64
import hashlib
import hmac
import json
import os
import tempfile
import threading
import time
import urllib.parse

import requests
from azure.iot.device import IoTHubDeviceClient, Message, MethodResponse, ProvisioningDeviceClient, X509
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties


def sas_token(connection_string):
    parts = dict(part.split("=", 1) for part in connection_string.split(";"))
    resource, expiry = urllib.parse.quote(parts["HostName"], safe=""), int(time.time()) + 600
    mac = hmac.new(base64.b64decode(parts["SharedAccessKey"]), f"{resource}\n{expiry}".encode(), hashlib.sha256)
    signature = urllib.parse.quote(base64.b64encode(mac.digest()), safe="")
    return parts["HostName"], f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={parts['SharedAccessKeyName']}"


class Files:
    """A certificate chain and its key as files, which the SDK wants."""

    def __init__(self, identity):
        self.paths = []
        for text in (identity.chain_pem, identity.key_pem):
            handle, path = tempfile.mkstemp(suffix=".pem")
            os.write(handle, text.encode())
            os.close(handle)
            self.paths.append(path)

    def x509(self):
        return X509(cert_file=self.paths[0], key_file=self.paths[1])

    def remove(self):
        for path in self.paths:
            os.remove(path)


def provision(server, registration_id, key=None, identity=None, websockets=False, id_scope=None, payload=None):
    """Returns the SDK's registration result and the milliseconds that `register` took."""
    common = dict(
        provisioning_host=server.host, registration_id=registration_id, id_scope=id_scope or server.id_scope,
        server_verification_cert=open(server.trust).read(), websockets=websockets)
    files = Files(identity) if identity else None
    try:
        if key:
            client = ProvisioningDeviceClient.create_from_symmetric_key(symmetric_key=key, **common)
        else:
            client = ProvisioningDeviceClient.create_from_x509_certificate(x509=files.x509(), **common)
        if payload is not None:
            client.provisioning_payload = payload
        started = time.perf_counter()
        result = client.register()
        return result, (time.perf_counter() - started) * 1000
    finally:
        if files:
            files.remove()


def live(server, place, key=None, identity=None, websockets=False):
    """Connects to the assigned hub and does all that a device does there; returns what was seen."""
    common = dict(hostname=place.assigned_hub, device_id=place.device_id, server_verification_cert=open(server.trust).read(), websockets=websockets)
    files = Files(identity) if identity else None
    if key:
        device = IoTHubDeviceClient.create_from_symmetric_key(symmetric_key=key, **common)
    else:
        device = IoTHubDeviceClient.create_from_x509_certificate(x509=files.x509(), **common)
    try:
        device.connect()
        seen = {"desired": device.get_twin()["desired"]}
        manager = IoTHubRegistryManager.from_connection_string(server.hub)
        device.send_message(Message(json.dumps({"from": place.device_id})))
        seen["telemetry"] = telemetry(server, place.device_id)
        assert seen["telemetry"] == [{"from": place.device_id}], f"telemetry {seen['telemetry']}"
        device.patch_twin_reported_properties({"seen": place.device_id})
        seen["reported"] = manager.get_twin(place.device_id).properties.reported
        seen["patched"] = hear(device, "on_twin_desired_properties_patch_received", lambda: manager.update_twin(
            place.device_id, Twin(properties=TwinProperties(desired={"patched": place.device_id})), "*"))["patched"]
        assert seen["patched"] == place.device_id, f"patched {seen['patched']}"
        device.on_method_request_received = lambda request: device.send_method_response(
            MethodResponse.create_from_method_request(request, 200, {"echo": request.payload}))
        time.sleep(0.3)
        method = CloudToDeviceMethod(method_name="blink", payload=7, response_timeout_in_seconds=10)
        seen["method"] = manager.invoke_device_method(place.device_id, method).payload
        seen["heard"] = hear(device, "on_message_received", lambda: send_to_device(server, place.device_id)).data.decode()
        return seen
    finally:
        device.shutdown()
        if files:
            files.remove()


def live_briefly(server, place, identity):
    """Connects to the assigned hub by a certificate, reads the twin and leaves."""
    files = Files(identity)
    device = IoTHubDeviceClient.create_from_x509_certificate(
        x509=files.x509(), hostname=place.assigned_hub, device_id=place.device_id, server_verification_cert=open(server.trust).read())
    try:
        device.connect()
        return device.get_twin()
    finally:
        device.shutdown()
        files.remove()


def hear(device, handler, cause):
    """What a handler is called with after `cause`."""
    heard, box = threading.Event(), []
    setattr(device, handler, lambda value: (box.append(value), heard.set()))
    time.sleep(0.3)
    cause()
    if not heard.wait(10):
        raise TimeoutError(handler)
    return box[0]


def telemetry(server, device_id):
    """Bodies of what came from the device. Azure's SDKs read these from Event Hubs; usher's hub tells them over REST."""
    host, token = sas_token(server.hub)
    response = requests.get(
        f"https://{host}/usher/telemetry", params={"deviceId": device_id}, verify=server.trust, headers={"authorization": token})
    response.raise_for_status()
    return [message["body"] for message in response.json()]


def send_to_device(server, device_id):
    host, token = sas_token(server.hub)
    response = requests.post(
        f"https://{host}/messages/deviceBound?api-version=2021-04-12", data=b"hello device", verify=server.trust,
        headers={"authorization": token, "iothub-to": f"/devices/{device_id}/messages/deviceBound"})
    response.raise_for_status()
