"""The newest management SDK, which cannot be installed beside the one that azure-cli brings: a process with it in its path runs the same
cases (every_call/management.py) and tells how each went.

    pip install --no-deps --target target/azure-mgmt-2 -r tests/sdk/requirements-mgmt-2.txt
"""

import json
import os
import pathlib
import subprocess
import sys
import types


FOLDER = pathlib.Path(__file__).resolve().parents[3] / "target" / "azure-mgmt-2"
TIME_MAX_S = 90


def all_cases(server):
    """Cases as (name, function)."""
    if not (FOLDER / "azure").is_dir():
        raise RuntimeError(f"{FOLDER} is missing; see the beginning of {__file__}")
    sdk = str(pathlib.Path(__file__).resolve().parents[1])
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(FOLDER), sdk]))
    job = {"manifest": server.manifest, "trust": server.trust, "log": str(server.log_path)}
    done = subprocess.run([sys.executable, "-m", "every_call.management_2"], cwd=sdk, env=env, input=json.dumps(job), text=True,
                          capture_output=True, timeout=TIME_MAX_S)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not rows:
        raise RuntimeError(f"{done.stdout[-500:]}{done.stderr[-1500:]}")
    return [(row["case"], lambda row=row: failing(row)) for row in rows]


def failing(row):
    if row["why"]:
        raise AssertionError(row["why"])


def main():
    from every_call import management
    job = json.load(sys.stdin)
    manifest = job["manifest"]
    log = pathlib.Path(job["log"])
    server = types.SimpleNamespace(
        manifest=manifest, trust=job["trust"], id_scope=manifest["idScope"], service=manifest["service"]["connectionString"],
        hub=manifest["hubs"][0]["connectionString"], log=lambda: log.read_text(errors="replace"))
    for name, work in management.all_cases(server):
        try:
            work()
            why = None
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        print(json.dumps({"case": name, "why": why}), flush=True)


if __name__ == "__main__":
    main()
