#!/usr/bin/env python3
"""Unmodified Azure SDKs against a running usher: the conformance table, the service and hub APIs, and bad input.

    target/venv/bin/python tests/sdk/run.py target/release/usher [--json FILE] [--only devices|apis|bad]
"""

import argparse
import base64
import json
import os
import sys
import traceback

os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.getcwd())

import apis  # noqa: E402
import bad  # noqa: E402
import cases  # noqa: E402
import management  # noqa: E402
from enrolling import Enroller  # noqa: E402
from server import Server, node  # noqa: E402
from tpm import Tpm  # noqa: E402


def run_cell(server, enroller, client, attestation, transport):
    """Provisions one device and lives its first minutes; returns what was measured."""
    device = enroller.device(client, attestation, transport)
    if client == cases.PYTHON:
        import python_device
        websockets = transport == "mqtt-ws"
        result, ms = python_device.provision(server, device.id, device.key_text, device.identity, websockets)
        expect(result.status == "assigned", f"status {result.status}")
        place = result.registration_state
        expect((place.assigned_hub, place.device_id) == (device.hub, device.id), f"assigned to {place.assigned_hub} as {place.device_id}")
        seen = python_device.live(server, place, device.key_text, device.identity, websockets)
    else:
        answer = node(server, "device.js", device.node_job(server, transport))
        expect(answer["ok"], answer.get("error", "") + " " + answer.get("stack", ""))
        ms, seen, place = answer["ms"], answer, answer["place"]
        expect((place["assignedHub"], place["deviceId"]) == (device.hub, device.id), f"assigned: {place}")
    desired = {name: value for name, value in seen["desired"].items() if not name.startswith("$")}
    expect(desired == device.desired, f"twin {desired}, not {device.desired}")
    expect(seen["reported"].get("seen") == device.id, f"reported {seen['reported']}")
    expect(seen["method"] == {"echo": 7}, f"method {seen['method']}")
    expect(seen["heard"] == "hello device", f"message {seen['heard']}")
    return ms


def expect(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def device_table(server):
    enroller, tpm = Enroller(server), Tpm()
    rows = []
    for client, attestation, transport in cases.all_cells():
        reason = cases.reason_not_to_run(client, attestation, transport)
        row = {"client": client, "attestation": cases.ATTESTATIONS[attestation], "transport": transport}
        if reason:
            rows.append(row | {"result": reason})
            continue
        try:
            rows.append(row | {"result": "passed", "ms": round(run_cell(server, enroller, client, attestation, transport), 1)})
        except Exception as error:  # one cell must not hide the others
            rows.append(row | {"result": "FAILED", "why": f"{type(error).__name__}: {error}"})
            traceback.print_exc()
        print(f"  {rows[-1]['result']}: {client}, {row['attestation']}, {transport}", flush=True)
    tpm.stop()
    return rows


def print_table(rows):
    head = ["client", "attestation", "transport", "result", "ms"]
    cells = [[str(row.get(name, "")) for name in head] for row in rows]
    widths = [max(len(name), *(len(row[n]) for row in cells)) for n, name in enumerate(head)]
    for row in [head, ["-" * width for width in widths], *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    for row in rows:
        if "why" in row:
            print(f"FAILED {row['client']}, {row['attestation']}, {row['transport']}: {row['why']}")


def run_named(title, found):
    """Runs functions as named cases."""
    rows = []
    for name, work in found:
        try:
            work()
            rows.append({"case": f"{title}: {name}", "result": "passed"})
        except Exception as error:
            rows.append({"case": f"{title}: {name}", "result": "FAILED", "why": f"{type(error).__name__}: {error}"})
            traceback.print_exc()
        print(f"  {rows[-1]['result']}: {title}: {name}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--only", choices=["devices", "apis", "bad"])
    options = parser.parse_args()
    binary = options.binary if os.path.isabs(options.binary) else os.path.join("..", "..", options.binary)
    server = Server(os.path.abspath(binary))
    print(f"usher dev was ready in {server.ready_ms:.0f} ms; resident memory idle {server.rss_kib() / 1024:.1f} MiB", flush=True)
    rows, others = [], []
    try:
        if options.only in (None, "devices"):
            rows = device_table(server)
            print_table(rows)
        if options.only in (None, "apis"):
            others += run_named("API", apis.all_cases(server))
            others += run_named("API", management.all_cases(server))
        if options.only in (None, "bad"):
            others += run_named("bad input", bad.all_cases(server))
        code = server.stop()
        others += run_named("server", [("SIGTERM ends it with exit code 0", lambda: expect(code == 0, f"exit code {code}"))])
        others += run_named("server", [("no panic in its log", lambda: expect("panicked" not in server.log(), "it panicked"))])
    finally:
        if server.is_alive():
            server.stop()
    ran = [row for row in rows + others if row["result"] in ("passed", "FAILED")]
    failed = [row for row in ran if row["result"] == "FAILED"]
    for row in failed:
        print(f"FAILED: {row}")
    if failed:
        print("--- the end of the server's log ---", *server.log().splitlines()[-40:], sep="\n")
    else:
        server.remove()
    if options.json:
        with open(options.json, "w") as out:
            json.dump({"devices": rows, "others": others}, out, indent=1)
    print(f"{len(ran) - len(failed)} passed, {len(failed)} failed")
    sys.stdout.flush()
    # Some SDK threads do not end by themselves.
    os._exit(1 if failed else 0)


def b64(data):
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    main()
