#!/usr/bin/env python3
"""An allocation webhook: chooses the hub of each device that registers under a custom allocation policy.

Copy it and change `allocate`. It needs Python alone, no packages, and serves usher and Azure DPS alike:

    python3 webhook.py --port 7071 --key s3cret                        # plain HTTP on this machine only
    python3 webhook.py --port 7443 --key s3cret --cert chain.pem --cert-key key.pem --bind 0.0.0.0

Enroll with it:

    "allocationPolicy": "custom",
    "customAllocationDefinition": {"webhookUrl": "http://localhost:7071/api/allocate?code=s3cret", "apiVersion": "2021-10-01"}

Rules worth knowing:
- The same device may be asked about again, after a crash or a lost answer: decide from the request, and let asking twice do no harm.
- 200 with an iotHubHostName of the request's linkedHubs is a decision. 429 and 500 and above mean "ask again later" (ten times,
  with growing pauses). Anything else turns the device away.
- Answer within 15 seconds.
"""

import argparse
import hmac
import http.server
import json
import ssl
import sys
import urllib.parse

# The largest request that is read, in bytes: the service's messages have at most 96 KB, an enrollment and a device's payload included.
REQUEST_BYTES_MAX = 512 * 1024


class TurnedAway(Exception):
    """The device gets no hub. The text is for the log of whoever asked."""


def allocate(request):
    """Decides for one device; `request` and the returned value are the JSON documents of the contract."""
    device = request["deviceRuntimeContext"]
    hubs = request["linkedHubs"]
    # What the device sent along when it registered; not every device sends something.
    payload = device.get("payload") or {}

    # Devices are told apart by how their ID begins, or by what they say of themselves: change this to your own rule. Here the presses
    # go to the last hub, all others to the first.
    model = payload.get("model", "unknown") if isinstance(payload, dict) else "unknown"
    registration_id = device["registrationId"]
    if registration_id.startswith("scrap-"):
        raise TurnedAway(f"{registration_id} is to be scrapped")
    is_press = registration_id.startswith("press-") or model == "press"
    hub = hubs[-1] if is_press else hubs[0]

    answer = {
        "iotHubHostName": hub,
        # For the device itself: the registration result carries it as its payload.
        "payload": {"line": "presses" if is_press else "others", "model": model},
    }
    # Where the device is new, or is reset, this twin takes the place of the enrollment's. Leave it out to keep the enrollment's.
    # A device that was assigned before also has currentIotHubHostName and currentDeviceId.
    if "currentIotHubHostName" not in device:
        answer["initialTwin"] = {
            "tags": {"model": model},
            "properties": {"desired": {"intervalSeconds": 10 if is_press else 60}},
        }
    return answer


def respond(body, given_key, key):
    """From a request's body and function key to status and answer. A function of Azure can return the same: see function_app.py."""
    if key and not hmac.compare_digest(given_key.encode(), key.encode()):
        return 401, {"message": "The function key (?code=…) is not this webhook's."}
    try:
        return 200, allocate(json.loads(body))
    except TurnedAway as why:
        return 400, {"message": str(why)}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as why:
        return 400, {"message": f"This is not an allocation request: {type(why).__name__}: {why}"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A client that stops in the middle of a request is let go.
    timeout = 10

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if not 0 < length <= REQUEST_BYTES_MAX:
            self.close_connection = True
            return self.answer(413, {"message": f"A request has 1 to {REQUEST_BYTES_MAX} bytes."})
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.answer(*respond(self.rfile.read(length), query.get("code", [""])[0], self.server.key))

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *values):
        # The request line carries the function key: only the status is logged.
        print(f"{self.client_address[0]} {self.command} {urllib.parse.urlsplit(self.path).path}: {values[1] if len(values) > 1 else ''}", flush=True)


class Server(http.server.ThreadingHTTPServer):
    # Connections that may wait to be accepted: devices come in crowds after a power cut.
    request_queue_size = 128

    def handle_error(self, request, client_address):
        print(f"{client_address[0]}: {sys.exc_info()[1]}", file=sys.stderr, flush=True)


def serve(bind, port, key=None, cert=None, cert_key=None):
    """A server that is ready to `serve_forever`; `port` 0 takes any free one."""
    server = Server((bind, port), Handler)
    server.key = key
    if cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, cert_key)
        # Handshakes are done by the connection's own thread: a client that does not speak must not stop the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on [default: 127.0.0.1]")
    parser.add_argument("--port", type=int, default=7071)
    parser.add_argument("--key", help="function key that must stand in the URL (?code=KEY)")
    parser.add_argument("--cert", help="certificate chain, PEM: serve HTTPS")
    parser.add_argument("--cert-key", help="its private key, PEM")
    given = parser.parse_args()
    server = serve(given.bind, given.port, given.key, given.cert, given.cert_key)
    scheme = "https" if given.cert else "http"
    print(f"allocating at {scheme}://{given.bind}:{server.server_address[1]}/api/allocate", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
