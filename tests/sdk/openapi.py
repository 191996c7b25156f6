"""docs/openapi.json against the running server, by schemathesis: what is answered is what the document says, and never a 5xx.

Also alone, against a server that runs already:

    python tests/sdk/openapi.py STATE_FOLDER
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
import urllib.parse
import urllib.request
import ssl

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "openapi.json"
# Always the same requests, so that a failure can be looked into.
SEED = 20260601
EXAMPLES = 3
TIME_MAX_S = 110
# What is checked of each answer. Left out: that whatever breaks the schema is refused (SDKs send what the schema does not know, and are
# let), that whatever fits it is taken (an enrollment has rules that no schema says), and that Allow lists what one path of the document has
# (`query` is an ID too, so /enrollments/query is two of them).
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "unsupported_method", "ignored_auth", "use_after_free",
          "ensure_resource_availability"]
DEVICE = "openapi-1"


def all_cases(server):
    """Cases as (name, function)."""
    return [
        ("the service API answers as docs/openapi.json says", lambda: service_api(server)),
        ("the device API answers as docs/openapi.json says", lambda: device_api(server)),
        ("the document is served", lambda: served(server)),
    ]


def sas(resource, key, policy):
    expiry = int(time.time()) + 3600
    signed = f"{urllib.parse.quote(resource, safe='')}\n{expiry}".encode()
    signature = base64.b64encode(hmac.new(base64.b64decode(key), signed, hashlib.sha256).digest()).decode()
    return (f"SharedAccessSignature sr={urllib.parse.quote(resource, safe='')}&sig={urllib.parse.quote(signature, safe='')}"
            f"&se={expiry}&skn={policy}")


def endpoint(server):
    """The service's URL, and a token for it."""
    parts = dict(part.split("=", 1) for part in server.service.split(";"))
    token = sas(parts["HostName"].split(":")[0], parts["SharedAccessKey"], parts["SharedAccessKeyName"])
    return f"https://{parts['HostName']}", token


def call(server, method, path, body=None, token=None):
    url, owner = endpoint(server)
    request = urllib.request.Request(f"{url}{path}", method=method, data=body and json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", token or owner)
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=server.trust), timeout=15) as answer:
        return answer.read()


def service_api(server):
    _, token = endpoint(server)
    check(server, json.loads(DOCUMENT.read_text()), token, lambda path: not path.startswith("/{idScope}"))


def device_api(server):
    """For one device that is enrolled, whose names stand in the document as the only ones."""
    key = base64.b64encode(os.urandom(32)).decode()
    enrollment = {"registrationId": DEVICE, "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}}
    call(server, "PUT", f"/enrollments/{DEVICE}?api-version=2021-10-01", enrollment)
    token = sas(f"{server.id_scope}/registrations/{DEVICE}", key, "registration")
    path = f"/{server.id_scope}/registrations/{DEVICE}"
    told = json.loads(call(server, "PUT", f"{path}/register?api-version=2021-06-01", {"registrationId": DEVICE}, token))
    document = json.loads(DOCUMENT.read_text())
    parameters = document["components"]["parameters"]
    for name, value in {"idScope": server.id_scope, "registrationId": DEVICE, "operationId": told["operationId"]}.items():
        parameters[name]["schema"] = {"type": "string", "enum": [value]}
    check(server, document, token, lambda path: path.startswith("/{idScope}"))


def served(server):
    assert json.loads(call(server, "GET", "/openapi.json")) == json.loads(DOCUMENT.read_text())


def check(server, document, token, wanted):
    document["paths"] = {path: item for path, item in document["paths"].items() if wanted(path)}
    url, _ = endpoint(server)
    hold(url, server.trust, document, token)


def hold(url, trust, document, token, examples=EXAMPLES):
    """Holds what is served at the URL to the document."""
    with tempfile.TemporaryDirectory(prefix="usher-openapi-") as folder:
        schema = pathlib.Path(folder) / "openapi.json"
        schema.write_text(json.dumps(document))
        command = [
            pathlib.Path(sys.executable).with_name("schemathesis"), "run", schema, "--url", url, "--header", f"Authorization:{token}",
            "--tls-verify", trust, "--checks", ",".join(CHECKS), "--seed", str(SEED), "--max-examples", str(examples),
            "--continue-on-failure", "--request-timeout", "20", "--warnings", "off",
        ]
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=TIME_MAX_S)
        if done.returncode != 0:
            raise AssertionError("schemathesis:\n" + done.stdout[-12_000:] + done.stderr[-2_000:])


def running(state):
    """A server that was started elsewhere, as far as these cases need it."""
    state = pathlib.Path(state)
    manifest = json.loads((state / "dev.json").read_text())
    return types.SimpleNamespace(
        manifest=manifest, trust=str(state.resolve() / manifest["trust"]), id_scope=manifest["idScope"],
        service=manifest["service"]["connectionString"])


if __name__ == "__main__":
    for title, case in all_cases(running(sys.argv[1])):
        begun = time.monotonic()
        case()
        print(f"passed in {time.monotonic() - begun:.1f} s: {title}", flush=True)
