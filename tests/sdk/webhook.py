"""The custom allocation policy by Azure's own SDKs: the sample webhook over HTTPS, and webhooks that fail in every way."""

import contextlib
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import threading
import time

from azure.core.exceptions import ResourceNotFoundError
from azure.iot.deviceprovisioning import DeviceProvisioningClient
from azure.iot.device.exceptions import ClientError, ServiceError
from azure.iot.hub import IoTHubRegistryManager
from msrest.exceptions import HttpOperationError

import cases
import certificates
import python_device
from enrolling import Enroller, b64, derived
from server import Server, node

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "allocation-webhook" / "webhook.py"
# Must stand in no log.
KEY = "function-key-that-nobody-may-see"
API_VERSION = "2021-10-01"
# Longer than usher waits for an answer (15 s), shorter than the time that a case may take.
SLOW_S = 20


class Bed(contextlib.ExitStack):
    """A server with two hubs that trusts a CA of ours, the sample under a certificate of it, and a webhook that fails as it is told."""

    def __init__(self, binary):
        super().__init__()
        factory, files = certificates.Factory("webhooks"), Files(self)
        self.trusted = files.identity(certificates.make("webhook", issuer=factory.root, hosts=["localhost"]))
        self.stranger = files.identity(certificates.make("stranger", hosts=["localhost"]))
        trust = files.write("ca.pem", factory.root.pem)
        self.server = Server(binary, "--hub", "localhost", "--hub", "127.0.0.1", "--webhook-trust", trust)
        self.hubs = {hub["hostName"]: IoTHubRegistryManager.from_connection_string(hub["connectionString"])
                     for hub in self.server.manifest["hubs"]}
        self.enroller = Enroller(self.server)
        self.sample_url = self.start_sample()
        self.scripted = Scripted(self, self.trusted)

    def start_sample(self):
        cert, key = self.trusted
        process = subprocess.Popen(
            [sys.executable, SAMPLE, "--port", "0", "--key", KEY, "--cert", cert, "--cert-key", key], stdout=subprocess.PIPE, text=True)
        self.callback(process.wait)
        self.callback(process.terminate)
        port = process.stdout.readline().rsplit(":", 1)[1].split("/")[0]
        threading.Thread(target=process.stdout.read, daemon=True).start()
        return f"https://localhost:{port}/api/allocate?code={KEY}"

    def end(self):
        """Stops everything; the server's folder stays where its end was not a clean one."""
        code = self.server.stop()
        self.close()
        assert code == 0, f"exit code {code}"
        self.server.remove()

    def enroll(self, registration_id, url, client=cases.PYTHON, **more):
        """An individual enrollment under the custom policy; gives the device's key."""
        key = os.urandom(32)
        self.enroller.individual(registration_id, Enroller.symmetric(key), client, **custom(url), **more)
        return b64(key)

    def provision(self, registration_id, key, payload=None):
        return python_device.provision(self.server, registration_id, key, payload=payload)[0]

    def twin(self, registration_id, hub):
        """The device's twin; it is on that hub and on no other."""
        for other in set(self.hubs) - {hub}:
            try:
                self.hubs[other].get_twin(registration_id)
            except HttpOperationError as error:
                assert error.response.status_code == 404
            else:
                raise AssertionError(f"{registration_id} is on {other} too")
        return self.hubs[hub].get_twin(registration_id)

    def api(self):
        return DeviceProvisioningClient.from_connection_string(self.server.service, connection_verify=self.server.trust)

    def lines(self, registration_id):
        return [line for line in self.server.log().splitlines() if registration_id in line]


class Files:
    """Files in a folder that goes away with the bed."""

    def __init__(self, bed):
        import tempfile
        self.folder = pathlib.Path(bed.enter_context(tempfile.TemporaryDirectory(prefix="usher-webhook-")))

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def identity(self, identity):
        name = identity.certificate.subject.rfc4514_string()
        return self.write(f"{name}.pem", identity.chain_pem), self.write(f"{name}.key", identity.key_pem)


class Scripted:
    """A webhook that answers each device's questions with the next of its outcomes: (status, headers, body) or a function for those."""

    def __init__(self, bed, identity):
        self.outcomes, self.asked = {}, []
        scripted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outcome = scripted.next(request)
                status, headers, body = outcome(request) if callable(outcome) else outcome
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """A client that hangs up is a case of its own, not a fault."""

        http_server = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*identity)
        http_server.socket = context.wrap_socket(http_server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        bed.callback(http_server.server_close)
        bed.callback(http_server.shutdown)
        self.url = f"https://localhost:{http_server.server_address[1]}/api/x?code={KEY}"

    def next(self, request):
        registration_id = request["deviceRuntimeContext"]["registrationId"]
        self.asked.append(registration_id)
        return self.outcomes[registration_id].pop(0)


def custom(url):
    return {"allocationPolicy": "custom", "customAllocationDefinition": {"webhookUrl": url, "apiVersion": API_VERSION}}


def fine(request, **more):
    return 200, {}, json.dumps({"iotHubHostName": request["linkedHubs"][0]} | more).encode()


def equal(found, wanted):
    assert found == wanted, f"{found}, not {wanted}"


def sample_by_python(bed):
    """Enrolled by the npm SDK, a device of the PyPI SDK goes where the sample sends it."""
    key = bed.enroll("press-1", bed.sample_url, cases.NODE)
    for model in ("m1", "m2"):
        result = bed.provision("press-1", key, {"model": model})
        equal(result.status, "assigned")
        place = result.registration_state
        equal((place.assigned_hub, place.device_id), ("127.0.0.1", "press-1"))
        equal(json.loads(place.response_payload), {"line": "presses", "model": model})
        # The twin was set when the device was new, and stays when it returns.
        twin = bed.twin("press-1", "127.0.0.1")
        equal(twin.tags, {"model": "m1"})
        equal(twin.properties.desired["intervalSeconds"], 10)
    told = bed.api().enrollment.get("press-1")
    assert told["customAllocationDefinition"]["webhookUrl"].endswith("/api/allocate?****"), told
    equal(bed.api().device_registration_state.get("press-1")["payload"], {"line": "presses", "model": "m2"})


def sample_by_node(bed):
    """Enrolled by the PyPI SDK as a group, a device of the npm SDK over each transport."""
    group_key = os.urandom(32)
    group = Enroller.group("webhook-group", Enroller.symmetric(group_key)) | custom(bed.sample_url)
    bed.enroller.send(cases.PYTHON, groups=[group])
    for transport in cases.TRANSPORTS:
        name = f"lathe-{transport}"
        job = {"host": bed.server.host, "idScope": bed.server.id_scope, "registrationId": name, "transport": transport,
               "hub": bed.server.hub, "key": b64(derived(group_key, name)), "payload": {"model": "lathe"}, "brief": True}
        seen = node(bed.server, "device.js", job)
        assert seen["ok"], seen
        equal((seen["place"]["assignedHub"], seen["place"]["payload"]), ("localhost", {"line": "others", "model": "lathe"}))
        equal(seen["desired"]["intervalSeconds"], 60)
        bed.twin(name, "localhost")


def sample_turns_away(bed):
    failing(bed, "scrap-1", bed.sample_url, 400207, "status code: 400", 'check="webhook.status"')


def sample_refuses_a_wrong_key(bed):
    wrong = bed.sample_url.replace(KEY, KEY + "-wrong")
    failing(bed, "press-2", wrong, 400209, "status code: 401", 'check="webhook.status"')


def by_certificate(bed):
    """The webhook is shown the certificate of a device that proves itself by one."""
    identity = certificates.make("lathe-x509")
    own = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": identity.pem}}}}
    bed.enroller.individual("lathe-x509", own, **custom(bed.scripted.url))
    contexts = []
    bed.scripted.outcomes["lathe-x509"] = [lambda request: (contexts.append(request["deviceRuntimeContext"]), fine(request))[1]]
    result = python_device.provision(bed.server, "lathe-x509", identity=identity)[0]
    equal(result.status, "assigned")
    from cryptography import x509
    import base64
    shown = x509.load_der_x509_certificate(base64.b64decode(contexts[0]["x509"]["clientCertificate"]))
    equal(shown, identity.certificate)
    equal(contexts[0]["x509"]["certificateInfo"]["subjectName"], "CN=lathe-x509")


def refused(bed, registration_id, key):
    """The SDK must hear from the service that the registration failed."""
    try:
        result = bed.provision(registration_id, key)
    except ClientError as error:
        assert isinstance(error.__cause__, ServiceError) and "failed registration status" in str(error.__cause__), repr(error.__cause__)
    else:
        raise AssertionError(f"it was not refused: {result}")


def failing(bed, registration_id, url, code, message, *logged):
    """The device must be told that it failed, with this code and message, and the log must say why."""
    key = bed.enroll(registration_id, url)
    refused(bed, registration_id, key)
    state = bed.api().device_registration_state.get(registration_id)
    equal((state["status"], state["errorCode"]), ("failed", code))
    assert message in state["errorMessage"], state["errorMessage"]
    lines = [line for line in bed.lines(registration_id) if "registration failed" in line]
    assert any(all(word in line for word in (*logged, "mend=", "operation_id=")) for line in lines), bed.lines(registration_id)
    try:
        bed.api().enrollment.get(registration_id)
    except ResourceNotFoundError:
        raise AssertionError("its enrollment is gone") from None
    for hub in bed.hubs.values():
        try:
            hub.get_twin(registration_id)
        except HttpOperationError as error:
            equal(error.response.status_code, 404)
        else:
            raise AssertionError("it is on a hub")


def wrong_answer(name, outcome, code, message, *logged):
    def case(bed):
        bed.scripted.outcomes[name] = [outcome]
        failing(bed, name, bed.scripted.url, code, message, *logged)
        equal(bed.scripted.asked.count(name), 1)
    return case


def asked_again(name, outcomes, least_s, *logged):
    """A webhook that recovers: the device waits, sees `assigning`, and is assigned."""
    def case(bed):
        bed.scripted.outcomes[name] = [*outcomes, lambda request: fine(request, payload={"asked": "again"})]
        key, started = bed.enroll(name, bed.scripted.url), time.monotonic()
        result = bed.provision(name, key)
        equal((result.status, json.loads(result.registration_state.response_payload)), ("assigned", {"asked": "again"}))
        assert time.monotonic() - started >= least_s, "it did not wait"
        equal(bed.scripted.asked.count(name), len(outcomes) + 1)
        lines = [line for line in bed.lines(name) if "asking again later" in line]
        assert len(lines) == len(outcomes) and all(word in lines[0] for word in logged), bed.lines(name)
        bed.twin(name, "localhost")
    return case


def slow(request):
    time.sleep(SLOW_S)
    return fine(request)


def untrusted(bed):
    stranger = Scripted(bed, bed.stranger)
    failing(bed, "untrusted-1", stranger.url, 400207, "the webhook cannot be asked", 'check="webhook.refused"', "is not trusted", "--webhook-trust")
    equal(stranger.asked, [])


def not_this_machine(bed):
    url = f"http://f.example/api/x?code={KEY}"
    failing(bed, "plain-1", url, 400207, "the webhook cannot be asked", 'check="webhook.refused"', "plain http")


def never_moves(bed):
    """Under `never`, the webhook has the device's own hub to choose from; what it sends is told anew."""
    linked = []

    def last(request):
        linked.append(request["linkedHubs"])
        return 200, {}, json.dumps({"iotHubHostName": request["linkedHubs"][-1], "payload": {"turn": len(linked)}}).encode()

    bed.scripted.outcomes["never-1"] = [last, last]
    key = bed.enroll("never-1", bed.scripted.url, reprovisionPolicy={"updateHubAssignment": False, "migrateDeviceData": False})
    for turn in (1, 2):
        place = bed.provision("never-1", key).registration_state
        equal((place.assigned_hub, json.loads(place.response_payload)), ("127.0.0.1", {"turn": turn}))
    equal([sorted(hubs) for hubs in linked], [["127.0.0.1", "localhost"], ["127.0.0.1"]])


def hub_must_be_linked(bed):
    """Also where the hub is linked, but not one of the enrollment's."""
    bed.scripted.outcomes["other-2"] = [(200, {}, b'{"iotHubHostName": "127.0.0.1"}')]
    key = os.urandom(32)
    bed.enroller.individual("other-2", Enroller.symmetric(key), cases.PYTHON, iotHubs=["localhost"], **custom(bed.scripted.url))
    refused(bed, "other-2", b64(key))
    equal(bed.api().device_registration_state.get("other-2")["errorCode"], 400207)


def key_in_no_log(bed):
    log = bed.server.log()
    assert "the webhook has chosen" in log and "webhook=https://localhost" in log.replace('"', ""), "the log tells of webhooks"
    assert KEY not in log and "code=function" not in log, "the function key is in the log"
    assert "panicked" not in log, "it panicked"


HUB = 'check="webhook.hub"'
CASES = {
    "the sample, enrolled by npm, device by PyPI": sample_by_python,
    "the sample, a group enrolled by PyPI, devices by npm over every transport": sample_by_node,
    "the sample turns a device away": sample_turns_away,
    "the sample refuses a wrong function key": sample_refuses_a_wrong_key,
    "a device's certificate is shown": by_certificate,
    "a device that never moves": never_moves,
    "no hub": wrong_answer("nohub-1", (200, {}, b'{"iotHubHostName": ""}'), 400208, "named no IoT hub", HUB),
    "a hub that is not linked": wrong_answer("other-1", (200, {}, b'{"iotHubHostName": "h.example"}'), 400207, "may not go to", HUB, "h.example"),
    "a linked hub that is not the enrollment's": hub_must_be_linked,
    "not JSON": wrong_answer("html-1", (200, {}, b"<html>"), 400207, "not a JSON object", 'check="webhook.json"'),
    "too large": wrong_answer("large-1", (200, {}, b" " * 300_000), 400207, "too large", 'check="webhook.size"'),
    "a twin too large": wrong_answer(
        "twin-1", lambda request: fine(request, initialTwin={"tags": {"a": "x" * 70_000}}), 400207, "initial twin", 'check="webhook.initialTwin"'),
    "a payload too large": wrong_answer("payload-1", lambda request: fine(request, payload="x" * 95_000), 400207, "payload", 'check="webhook.payload"'),
    "a redirect is not followed": wrong_answer(
        "redirect-1", (307, {"location": f"https://localhost:1/?code={KEY}"}, b""), 400207, "status code: 307", 'check="webhook.status"', "Redirects"),
    "a certificate of a strange CA": untrusted,
    "plain http to another machine": not_this_machine,
    "500, then fine": asked_again("again-500", [(500, {}, b"")], 1, "status 500"),
    "429 with Retry-After, then fine": asked_again("again-429", [(429, {"retry-after": "4"}, b"")], 4, "status 429"),
    "slower than the limit, then fine": asked_again("again-slow", [slow], 15, 'check="webhook.unavailable"', "15000 ms"),
    "the function key stands in no log": key_in_no_log,
}


def all_cases(binary):
    """Needs a server of its own, with two hubs and a CA of ours, once the main one is stopped: SDKs fix the ports."""
    bed = Bed(binary)
    found = [(name, lambda case=case: case(bed)) for name, case in CASES.items()]
    return found + [("SIGTERM ends it", bed.end)]
