#!/usr/bin/env python3
"""Time from connect to assigned, by SDK and transport: the median of 20 devices each.

    target/venv/bin/python tests/sdk/latency.py target/release/usher [--count 20] [--json]
"""

import argparse
import json
import os
import statistics
import sys

BINARY = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.getcwd())

import cases  # noqa: E402
import python_device  # noqa: E402
from enrolling import Enroller  # noqa: E402
from server import Server, node  # noqa: E402

ATTESTATIONS = ["key", "x509-root"]


def measure(server, enroller, client, attestation, transport, count):
    times = []
    for n in range(count):
        device = enroller.make(f"{'py' if client == cases.PYTHON else 'node'}-time-{attestation}-{transport}-{n}", attestation)
        if client == cases.PYTHON:
            result, ms = python_device.provision(server, device.id, device.key_text, device.identity, transport == "mqtt-ws")
            assert result.status == "assigned"
        else:
            answer = node(server, "device.js", device.node_job(server, transport) | {"provisionOnly": True})
            assert answer["ok"], answer
            ms = answer["ms"]
        times.append(ms)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    server = Server(BINARY)
    rows = []
    try:
        enroller = Enroller(server)
        for client in (cases.PYTHON, cases.NODE):
            for attestation in ATTESTATIONS:
                for transport in cases.TRANSPORTS:
                    if cases.reason_not_to_run(client, attestation, transport):
                        continue
                    times = measure(server, enroller, client, attestation, transport, options.count)
                    row = {"client": client, "attestation": cases.ATTESTATIONS[attestation], "transport": transport,
                           "median_ms": round(statistics.median(times), 1), "max_ms": round(max(times), 1), "count": len(times)}
                    rows.append(row)
                    if not options.json:
                        print("{client:36} {attestation:40} {transport:8} median {median_ms:7.1f} ms  max {max_ms:7.1f} ms".format(**row), flush=True)
    finally:
        server.stop()
        server.remove()
    if options.json:
        print(json.dumps(rows))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
