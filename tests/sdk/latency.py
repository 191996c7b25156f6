#!/usr/bin/env python3
"""Time from connect to assigned, by SDK and transport: the median of 20 devices each.

    target/venv/bin/python tests/sdk/latency.py target/release/usher [--count 20] [--json FILE]
"""

import argparse
import json
import os
import statistics
import sys

# Paths on the command line are the caller's.
CALLED_FROM = os.getcwd()
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    server = Server(os.path.join(CALLED_FROM, options.binary))
    rows = []
    try:
        enroller = Enroller(server)
        for client, attestation, transport in cases.all_cells():
            if attestation not in ATTESTATIONS or cases.reason_not_to_run(client, attestation, transport):
                continue
            times = measure(server, enroller, client, attestation, transport, options.count)
            row = {"client": client, "attestation": cases.ATTESTATIONS[attestation], "transport": transport,
                   "median_ms": round(statistics.median(times), 1), "max_ms": round(max(times), 1), "count": len(times)}
            rows.append(row)
            print("{client:36} {attestation:40} {transport:8} median {median_ms:7.1f} ms  max {max_ms:7.1f} ms".format(**row), flush=True)
    finally:
        server.stop()
    server.remove()
    if options.json:
        with open(os.path.join(CALLED_FROM, options.json), "w") as out:
            json.dump(rows, out, indent=1)
    sys.stdout.flush()
    # Some SDK threads do not end by themselves.
    os._exit(0)


if __name__ == "__main__":
    main()
