#!/usr/bin/env python3
"""Unmodified Azure SDKs against a running usher: the conformance table, the service and hub APIs, and bad input.

    target/venv/bin/python tests/sdk/run.py target/release/usher [--json FILE] [--only devices|apis|bad|explain|console|apart|remote|az|cli]
"""

import argparse
import contextlib
import functools
import json
import os
import signal
import sys
import traceback

# Paths on the command line are the caller's.
CALLED_FROM = os.getcwd()
os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.getcwd())

import apis  # noqa: E402
import audit  # noqa: E402
import az  # noqa: E402
import bad  # noqa: E402
import cases  # noqa: E402
import docs  # noqa: E402
import cli  # noqa: E402
import cli_many  # noqa: E402
import console  # noqa: E402
import copies  # noqa: E402
import every_call  # noqa: E402
import explain  # noqa: E402
import front  # noqa: E402
import keys  # noqa: E402
import ha  # noqa: E402
import latency_policy  # noqa: E402
import management  # noqa: E402
import metrics  # noqa: E402
import mosquitto_hub  # noqa: E402
import nodes  # noqa: E402
import remote_hubs  # noqa: E402
import oidc  # noqa: E402
import openapi  # noqa: E402
import packages  # noqa: E402
import openapi_management  # noqa: E402
import reprovision  # noqa: E402
import signing_requests  # noqa: E402
import tenants  # noqa: E402
import terraform  # noqa: E402
import throttling  # noqa: E402
import webhook  # noqa: E402
from enrolling import Enroller  # noqa: E402
from server import Server, node  # noqa: E402
from tpm import Tpm  # noqa: E402


# No case takes longer, unless something hangs: the slowest waits half a minute for the server to lose patience with a silent peer.
CASE_MAX_S = 120
# How far a cell came; each is a column of the table.
PROVISIONED, TWIN = "provisioned", "hub twin"


class TooLong(BaseException):
    """Not an Exception, so that no case takes it for a refusal."""


@contextlib.contextmanager
def limited():
    """Ends a case that hangs, by a signal to the main thread, which all cases run in."""
    def stop(_signal, _frame):
        raise TooLong(f"it took longer than {CASE_MAX_S} s")
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(CASE_MAX_S)
    try:
        yield
    finally:
        signal.alarm(0)


def run_cell(server, enroller, client, attestation, transport, row):
    """Provisions one device and lives its first minutes; writes how far it came into the row."""
    device = enroller.device(client, attestation, transport)
    if client == cases.PYTHON:
        import python_device
        websockets = transport == "mqtt-ws"
        result, ms = python_device.provision(server, device.id, device.key_text, device.identity, websockets)
        expect(result.status == "assigned", f"status {result.status}")
        place = result.registration_state
        expect_place(row, device, ms, place.assigned_hub, place.device_id)
        seen = python_device.live(server, place, device.key_text, device.identity, websockets)
    else:
        seen = node(server, "device.js", device.node_job(server, transport))
        why = seen.get("error", "") + " " + seen.get("stack", "")
        expect("place" in seen, why)
        expect_place(row, device, seen["ms"], seen["place"]["assignedHub"], seen["place"]["deviceId"])
        expect(seen["ok"], why)
    desired = {name: value for name, value in seen["desired"].items() if not name.startswith("$")}
    expect(desired == device.desired, f"twin {desired}, not {device.desired}")
    row[TWIN] = "as enrolled"
    expect(seen["reported"].get("seen") == device.id, f"reported {seen['reported']}")
    expect(seen["method"] == {"echo": 7}, f"method {seen['method']}")
    expect(seen["heard"] == "hello device", f"message {seen['heard']}")


def expect_place(row, device, ms, hub, device_id):
    expect((hub, device_id) == (device.hub, device.id), f"assigned to {hub} as {device_id}")
    row[PROVISIONED], row["ms"] = "yes", round(ms, 1)


def expect(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def device_table(server):
    enroller, tpm, rows = Enroller(server), Tpm(), []
    try:
        for client, attestation, transport in cases.all_cells():
            row = {"client": client, "attestation": cases.ATTESTATIONS[attestation], "transport": transport}
            rows.append(row)
            row["result"] = cases.reason_not_to_run(client, attestation, transport)
            if row["result"]:
                continue
            judge(row, lambda cell=(client, attestation, transport), row=row: run_cell(server, enroller, *cell, row))
            print(f"  {row['result']}: {client}, {row['attestation']}, {transport}", flush=True)
    finally:
        tpm.stop()
    return rows


def judge(row, work):
    """Runs a case and writes its result into the row: one that fails must not hide the others."""
    try:
        with limited():
            work()
        row["result"] = "passed"
    except (Exception, TooLong) as error:
        row |= {"result": "FAILED", "why": f"{type(error).__name__}: {error}"}
        traceback.print_exc()


def print_table(rows):
    head = ["client", "attestation", "transport", PROVISIONED, TWIN, "ms", "result"]
    cells = [[str(row.get(name, "-")) for name in head] for row in rows]
    widths = [max(len(name), *(len(row[n]) for row in cells)) for n, name in enumerate(head)]
    for row in [head, ["-" * width for width in widths], *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def run_named(title, find):
    """Runs the named cases that `find` gives; where it gives none for an error, that is the failed case."""
    rows, found = [], []
    preparing = {"case": f"{title}: preparing"}
    judge(preparing, lambda: found.extend(find()))
    if preparing["result"] == "FAILED" or not found:
        rows.append(preparing | {"result": "FAILED"})
    for name, work, *given in found:
        row = {"case": f"{title}: {name}"}
        rows.append(row)
        judge(row, functools.partial(work, *(given[0] if given else ())))
        print(f"  {row['result']}: {row['case']}", flush=True)
    return rows


# Cases that need servers of their own, which they start once the main one is stopped: SDKs fix the ports.
APART = {
    "re-provisioning": reprovision,
    "latency": latency_policy,
    "allocation webhook": webhook,
    "Mosquitto": mosquitto_hub,
    "limits": throttling,
    "many nodes": nodes,
    "master keys": keys,
    "high availability": ha,
    "OIDC": oidc,
    "in front": front,
    "documents": docs,
    "packages": packages,
    "many enrollments": cli_many,
    "copies": copies,
    "signing requests": signing_requests,
}


def run_all(server, binary, only, rows, others):
    if only in (None, "devices"):
        rows += device_table(server)
        print_table(rows)
        for what, why in cases.NOT_AVAILABLE.items():
            print(f"not available: {what}: {why}")
    if only in (None, "apis"):
        others += run_named("API", lambda: apis.all_cases(server))
        others += run_named("API", lambda: management.all_cases(server))
        others += run_named("API", lambda: metrics.all_cases(server))
        others += run_named("API", lambda: audit.all_cases(server, binary))
        others += run_named("API", lambda: tenants.all_cases(server))
        others += run_named("OpenAPI", lambda: openapi.all_cases(server))
        others += run_named("OpenAPI", lambda: openapi_management.all_cases(server))
        others += run_named("Terraform's requests", lambda: terraform.all_cases(server))
        others += run_named("every call", lambda: every_call.all_cases(server))
    if only in (None, "bad"):
        others += run_named("bad input", lambda: bad.all_cases(server))
    if only in (None, "explain"):
        others += run_named("explain", lambda: explain.all_cases(server))
    if only in (None, "cli"):
        others += run_named("commands", lambda: cli.all_cases(server))
    if only in (None, "console"):
        others += run_named("console", lambda: console.all_cases(server))
    if only == "az":
        others += run_named("azure-cli", lambda: az.all_cases(server))
    code = server.stop()
    others += run_named("server", lambda: [
        ("SIGTERM ends it with exit code 0", lambda: expect(code == 0, f"exit code {code}")),
        ("no panic in its log", lambda: expect("panicked" not in server.log(), "it panicked")),
    ])
    if only in (None, "apart", "cli"):
        for title, module in APART.items():
            if only == "cli" and module is not cli_many:
                continue
            others += run_named(title, lambda module=module: module.all_cases(binary))


def remote(binary, others):
    """Two ushers; after the first run's server has stopped, whose ports one of them needs."""
    worlds = []

    def cases_of_a_new_world():
        worlds.append(remote_hubs.World(binary))
        return remote_hubs.all_cases(worlds[0])
    try:
        ran = run_named("remote hub", cases_of_a_new_world)
    finally:
        for world in worlds:
            world.stop()
    others += ran
    for world in worlds:
        if any(row["result"] == "FAILED" for row in ran):
            print(f"--- the end of the near usher's log, whole in {world.near.log_path} ---", *world.near.log().splitlines()[-60:], sep="\n")
        else:
            world.remove()


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--only", choices=["devices", "apis", "bad", "explain", "console", "apart", "remote", "az", "cli"])
    given = parser.parse_args()
    given.binary = os.path.join(CALLED_FROM, given.binary)
    given.json = given.json and os.path.join(CALLED_FROM, given.json)
    return given


def main():
    given = options()
    # A run that is stopped takes its server along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    server = Server(given.binary)
    print(f"usher dev was ready in {server.ready_ms:.0f} ms; resident memory idle {server.rss_kib() / 1024:.1f} MiB", flush=True)
    rows, others = [], []
    try:
        run_all(server, given.binary, given.only, rows, others)
    except Exception as error:
        others.append({"case": "the run itself", "result": "FAILED", "why": f"{type(error).__name__}: {error}"})
        traceback.print_exc()
    finally:
        if server.is_alive():
            server.stop()
    if given.only in (None, "remote"):
        remote(given.binary, others)
    ran = [row for row in rows + others if row["result"] in ("passed", "FAILED")]
    failed = [row for row in ran if row["result"] == "FAILED"]
    if failed:
        print(f"--- the end of the server's log, whole in {server.log_path} ---", *server.log().splitlines()[-40:], sep="\n")
    else:
        server.remove()
    for row in failed:
        print(f"FAILED: {row}")
    if given.json:
        with open(given.json, "w") as out:
            json.dump({"ready_ms": round(server.ready_ms), "devices": rows, "others": others}, out, indent=1)
    print(f"{len(ran) - len(failed)} passed, {len(failed)} failed")
    sys.stdout.flush()
    sys.stderr.flush()
    # Some SDK threads do not end by themselves.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
