"""docs/openapi-management.json against the running server, by schemathesis: what is answered is what the document says, and never a 5xx.

Also alone, against a server that runs already:

    python tests/sdk/openapi_management.py STATE_FOLDER
"""

import json
import pathlib
import ssl
import sys
import time
import urllib.error
import urllib.request

import openapi

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "openapi-management.json"
# What is made and deleted again and again, apart from the service that other cases use.
GROUP, NAMES = "openapi", ["openapi-1", "openapi-2"]
# Fewer than for the other APIs: there are more paths, and most answers are told by them.
EXAMPLES = 1
# The only values of these: with names at random nothing would ever be found.
VALUES = {"group": [GROUP, "openapi-absent"], "name": NAMES, "key": ["provisioningserviceowner", "absent"], "certificate": ["ca", "other"],
          "policy": ["default", "other"], "namespace": ["Microsoft.Devices", "Microsoft.Absent"]}


def all_cases(server):
    """Cases as (name, function)."""
    return [
        ("the management API answers as docs/openapi-management.json says", lambda: management_api(server)),
        ("the management API's document is served", lambda: served(server)),
    ]


def call(server, method, path, body=None):
    """A request with the admin token; what is answered to it, whatever the status."""
    endpoint = server.manifest["management"]
    request = urllib.request.Request(f"{endpoint['url']}{path}", method=method, data=body and json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {endpoint['token']}")
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=server.trust), timeout=15) as answer:
            return answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.read()


def management_api(server):
    endpoint, document = server.manifest["management"], json.loads(DOCUMENT.read_text())
    for name, values in VALUES.items():
        document["components"]["parameters"][name]["schema"] = {"type": "string", "enum": values}
    subscription = endpoint["resourceId"].split("/")[2]
    of_group = f"/subscriptions/{subscription}/resourceGroups/{GROUP}"
    places = [f"{of_group}/providers/Microsoft.Devices/provisioningServices/{name}?api-version=2022-02-05" for name in NAMES]
    call(server, "PUT", places[0], {"location": "local", "properties": {}})
    try:
        openapi.hold(endpoint["url"], server.trust, document, f"Bearer {endpoint['token']}", EXAMPLES)
    finally:
        for place in [*places, *(place.replace(GROUP + "/", "openapi-absent/") for place in places)]:
            call(server, "DELETE", place)
        for group in (of_group, of_group.replace(GROUP, "openapi-absent")):
            call(server, "DELETE", f"{group}?api-version=2023-07-01")


def served(server):
    url, context = server.manifest["management"]["url"], ssl.create_default_context(cafile=server.trust)
    with urllib.request.urlopen(f"{url}/openapi-management.json", context=context, timeout=15) as answer:
        assert json.load(answer) == json.loads(DOCUMENT.read_text())


if __name__ == "__main__":
    for title, case in all_cases(openapi.running(sys.argv[1])):
        begun = time.monotonic()
        case()
        print(f"passed in {time.monotonic() - begun:.1f} s: {title}", flush=True)
