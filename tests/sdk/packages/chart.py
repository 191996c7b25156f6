"""The Helm chart: linted and rendered by helm itself, judged by the schemas of Kubernetes, and its configuration served by a real node."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import kubernetes_validate
import yaml

from enrolling import b64
from postgres import Postgres

from . import helm
from .running import get, self_signed, wait_until

CHART = pathlib.Path(__file__).parents[3] / "packaging" / "helm" / "usher"
# The oldest and the newest whose schemas the judge carries.
KUBERNETES = ("1.25", "1.37")
EVERYTHING = (
    "autoscaling.enabled=true", "networkPolicy.enabled=true", "serviceMonitor.enabled=true", "store.caConfigMap=db-ca",
    "serviceDomain=dps.example.com", "service.annotations.example=yes")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def rendered(binary):
    program = helm.program()
    run(program, "lint", "--strict", CHART)
    plain = objects(run(program, "template", "factory", CHART))
    every = [part for setting in EVERYTHING for part in ("--set", setting)]
    full = objects(run(program, "template", "factory", CHART, *every))
    kinds = {item["kind"] for item in full}
    assert kinds == {
        "ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", "ServiceMonitor"}, kinds
    for item in plain + full:
        # Prometheus' own kinds are no part of Kubernetes.
        for version in KUBERNETES if item["kind"] != "ServiceMonitor" else ():
            kubernetes_validate.validate(item, version, strict=True)
    refused = subprocess.run([program, "template", CHART, "--set", "replicaCount=0"], capture_output=True, text=True)
    assert refused.returncode and "replicaCount" in refused.stderr, refused
    no_secrets(plain)
    serve(binary, next(item for item in full if item["kind"] == "ConfigMap")["data"]["usher.toml"], full)


def objects(text):
    return [item for item in yaml.safe_load_all(text) if item]


def no_secrets(items):
    assert not any(item["kind"] == "Secret" for item in items), "the chart must not make secrets of its values"


def serve(binary, config, items):
    """Starts a node with the rendered configuration and the deployment's variables, on a real PostgreSQL."""
    container = next(item for item in items if item["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-chart-"))
    database = Postgres()
    try:
        certificate, key = self_signed(folder, "dps.example.com")
        config = config.replace("/etc/usher/tls/tls.crt", str(certificate)).replace("/etc/usher/tls/tls.key", str(key))
        # The pod has ports of its own; this machine may not.
        config += "\n[listen]\naddresses = [\"127.0.0.1\"]\nhttps = 0\nmqtts = 0\namqps = 0\n"
        (folder / "usher.toml").write_text(config)
        secrets = {
            "USHER_STORE": database.address, "USHER_DB_PASSWORD": "unused", "USHER_MASTER_KEY": b64(os.urandom(32)),
            "USHER_ADMIN_TOKEN": os.urandom(32).hex()}
        assert {entry["name"] for entry in container["env"]} == set(secrets), container["env"]
        arguments = [str(folder / "usher.toml") if part == "/etc/usher/usher.toml" else part for part in container["args"]]
        with open(folder / "log", "wb") as log:
            node = subprocess.Popen([binary, *arguments, "--ready-file", folder / "ready"], env=os.environ | secrets, stdout=log, stderr=log)
        try:
            wait_until((folder / "ready").exists, node, folder / "log")
            port = json.loads((folder / "ready").read_text())["https"]
            for name in ("startupProbe", "livenessProbe", "readinessProbe"):
                status = get(port, "dps.example.com", certificate, container[name]["httpGet"]["path"])
                assert status == 200, f"{name}: {status}"
        finally:
            node.terminate()
            assert node.wait(timeout=30) == 0
    finally:
        database.remove()
        shutil.rmtree(folder, ignore_errors=True)
