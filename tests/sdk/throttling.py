"""A server with the cloud's limits (`--limits dps`): who asks too often or sends too much is told so in each transport's own way, and
Azure's SDKs wait and get there.

Also alone, against a server that runs already:

    python tests/sdk/throttling.py STATE_FOLDER
"""

import concurrent.futures
import json
import os
import queue
import ssl
import sys
import time

import paho.mqtt.client
import requests

import openapi
import python_device
from enrolling import b64
from server import Server, node
from service_api import operator

API = "api-version=2021-06-01"
POLLS, MESSAGE_BYTES, OPERATIONS = 5, 96 * 1024, 1000
# More than the limit, and than what it grows by while they are sent.
ATTEMPTS = 3 * OPERATIONS


def all_cases(binary):
    """Cases as (name, function); they share one server, which the last one stops."""
    server = Server(binary, "--limits", "dps")
    return cases(server) + [("the server ends", lambda: expect(server.stop() == 0, "exit code") or server.remove())]


def cases(server):
    # Operations come last but one: enrolling is one of them.
    return [
        ("HTTPS: a device that polls too often", lambda: https_polls(server)),
        ("MQTT: a device that polls too often", lambda: mqtt_polls(server)),
        ("AMQP: a device that polls too often", lambda: amqp_polls(server)),
        ("HTTPS: the largest message, and one byte more", lambda: https_sizes(server)),
        ("MQTT: the largest message, and one byte more", lambda: mqtt_sizes(server)),
        ("too many registrations: the device SDK waits and is provisioned", lambda: registrations(server)),
        ("too many operations: the service SDK waits and is answered", lambda: operations(server)),
    ]


def expect(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


class Device:
    """An enrolled device and its token."""

    def __init__(self, server, registration_id):
        self.server, self.id, self.key = server, registration_id, b64(os.urandom(32))
        keys = {"primaryKey": self.key, "secondaryKey": self.key}
        enrollment = {"registrationId": self.id, "attestation": {"type": "symmetricKey", "symmetricKey": keys}}
        openapi.call(server, "PUT", f"/enrollments/{self.id}?api-version=2021-10-01", enrollment)
        self.token = openapi.sas(f"{server.id_scope}/registrations/{self.id}", self.key, "registration")
        self.session = requests.Session()
        self.session.verify = server.trust
        self.session.headers["Authorization"] = self.token

    def https(self, method, path, body=b"{}"):
        device = self.server.manifest["device"]
        url = f"https://{device['host']}:{device['https']}/{self.server.id_scope}/registrations/{self.id}{path}?{API}"
        return self.session.request(method, url, data=body, timeout=20)

    def mqtt(self):
        return Mqtt(self)


class Mqtt:
    """A device's connection by a plain MQTT client."""

    def __init__(self, device):
        self.answers, here = queue.Queue(), device.server.manifest["device"]
        self.client = paho.mqtt.client.Client(client_id=device.id, protocol=paho.mqtt.client.MQTTv311)
        self.client.username_pw_set(f"{device.server.id_scope}/registrations/{device.id}/{API}", device.token)
        self.client.tls_set_context(ssl.create_default_context(cafile=device.server.trust))
        self.client.on_message = lambda _client, _data, message: self.answers.put((message.topic, json.loads(message.payload)))
        self.client.on_connect = lambda client, *_: client.subscribe("$dps/registrations/res/#", 1)
        self.client.connect(here["host"], here["mqtts"])
        self.client.loop_start()

    def ask(self, topic, body=b"{}"):
        self.client.publish(f"$dps/registrations/{topic}", body, qos=1)
        return self.answers.get(timeout=20)

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def https_polls(server):
    device = Device(server, "polls-https")
    operation = device.https("PUT", "/register").json()["operationId"]
    ends = [device.https("GET", f"/operations/{operation}") for _ in range(POLLS + 1)]
    expect([end.status_code for end in ends] == [200] * POLLS + [429], ends)
    refused = ends[-1]
    expect(refused.headers["retry-after"] in ("1", "2") and refused.json()["errorCode"] == 429001, refused.text)
    time.sleep(int(refused.headers["retry-after"]))
    expect(device.https("GET", f"/operations/{operation}").status_code == 200, "it was told to come back now")


def mqtt_polls(server):
    device = Device(server, "polls-mqtt")
    mqtt = device.mqtt()
    operation = mqtt.ask("PUT/iotdps-register/?$rid=1")[1]["operationId"]
    ends = [mqtt.ask(f"GET/iotdps-get-operationstatus/?$rid={n}&operationId={operation}") for n in range(POLLS + 1)]
    mqtt.end()
    topics = [topic for topic, _ in ends]
    expect(all(topic.startswith("$dps/registrations/res/200/") for topic in topics[:-1]), topics)
    expect(topics[-1] in [f"$dps/registrations/res/429/?$rid={POLLS}&retry-after={s}" for s in (1, 2)], topics[-1])
    expect(ends[-1][1]["errorCode"] == 429001, ends[-1])


def amqp_polls(server):
    device = Device(server, "polls-amqp")
    here = server.manifest["device"]
    job = {"host": here["host"], "port": here["amqps"], "idScope": server.id_scope, "id": device.id, "token": device.token, "polls": POLLS + 1}
    told = node(server, "amqp_polls.js", job)
    expect(told["ok"] and len(told["ends"]) == POLLS + 2, told)
    expect(all(end.get("accepted") for end in told["ends"][:-1]), told)
    refused = told["ends"][-1]
    expect(refused["condition"] == "com.microsoft:device-container-throttled" and refused["description"]["errorCode"] == 429001, refused)
    expect(refused["info"]["retry-after"] in (1, 2) and refused["info"]["Retry-After"] == refused["info"]["retry-after"], refused)


def padded(size):
    """A register body of this size."""
    return b"{}" + b" " * (size - 2)


def https_sizes(server):
    device = Device(server, "sizes-https")
    expect(device.https("PUT", "/register", padded(MESSAGE_BYTES)).status_code == 202, "the largest")
    refused = device.https("PUT", "/register", padded(MESSAGE_BYTES + 1))
    expect((refused.status_code, refused.json()["errorCode"]) == (413, 413001), refused.text)


def mqtt_sizes(server):
    mqtt = Device(server, "sizes-mqtt").mqtt()
    topic, _ = mqtt.ask("PUT/iotdps-register/?$rid=1", padded(MESSAGE_BYTES))
    expect("/res/20" in topic, topic)
    topic, body = mqtt.ask("PUT/iotdps-register/?$rid=2", padded(MESSAGE_BYTES + 1))
    mqtt.end()
    expect("/res/413/" in topic and body["errorCode"] == 413001, (topic, body))


def until_refused(ask, at_once=8):
    """Asks until one answer is 429; returns it and how many were let through."""
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for start in range(0, ATTEMPTS, 100):
            ends = list(pool.map(lambda _: ask(), range(100)))
            passed += sum(end.status_code < 300 for end in ends)
            refused = [end for end in ends if end.status_code == 429]
            expect(len(refused) + sum(end.status_code < 300 for end in ends) == 100, {end.status_code for end in ends})
            if refused:
                return refused[-1], passed
    raise AssertionError(f"{ATTEMPTS} requests were let through")


def registrations(server):
    devices = [Device(server, f"rate-{n}") for n in range(8)]

    def ask():
        device = devices.pop()
        try:
            return device.https("PUT", "/register")
        finally:
            devices.append(device)

    other, begun = Device(server, "rate-sdk"), time.monotonic()
    refused, passed = until_refused(ask)
    grown = (time.monotonic() - begun) * OPERATIONS / 60
    expect(OPERATIONS - 50 <= passed <= OPERATIONS + grown + 1, f"{passed} were let through")
    expect(refused.json()["errorCode"] == 429001 and 1 <= int(refused.headers["retry-after"]) <= 60, refused.text)
    result, ms = python_device.provision(server, other.id, other.key)
    expect(result.status == "assigned", result.status)
    print(f"    {passed} registrations, then 429; Azure's Python SDK was provisioned after {ms:.0f} ms", flush=True)


def operations(server):
    url, token = openapi.endpoint(server)
    session = requests.Session()
    session.verify, session.headers["Authorization"] = server.trust, token
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=8))
    refused, passed = until_refused(lambda: session.get(f"{url}/enrollments/rate-sdk?api-version=2021-10-01", timeout=20))
    expect(refused.json()["errorCode"] == 429001 and 1 <= int(refused.headers["retry-after"]) <= 60, refused.text)
    begun = time.monotonic()
    found = operator(server).enrollment.get("rate-sdk")
    expect(found["registrationId"] == "rate-sdk", found)
    print(f"    {passed} operations, then 429; Azure's Python service SDK was answered after {time.monotonic() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    there = openapi.running(sys.argv[1])
    there.host = there.manifest["device"]["host"]
    os.environ["REQUESTS_CA_BUNDLE"] = there.trust
    there.node_env = dict(os.environ, NODE_EXTRA_CA_CERTS=there.trust)
    for title, case in cases(there):
        case()
        print(f"passed: {title}", flush=True)
