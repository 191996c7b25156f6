"""`/metrics` as Prometheus reads it, by its own Python parser, and the meter in it."""

import os
import ssl
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

import python_device
from enrolling import Enroller, b64


def scrape(server, token=None):
    request = urllib.request.Request(f"https://{server.host}:{server.manifest['device']['https']}/metrics")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=server.trust), timeout=15) as answer:
        assert answer.headers["content-type"].startswith("application/openmetrics-text"), answer.headers["content-type"]
        return {family.name: family for family in text_string_to_metric_families(answer.read().decode())}


def operations(server):
    family = scrape(server, server.manifest["management"]["token"])["usher_operations"]
    counted = [sample for sample in family.samples if sample.name == "usher_operations_total"]
    assert {sample.labels["service"] for sample in counted} == {server.manifest["management"]["resourceId"].rsplit("/", 1)[1]}
    return sum(sample.value for sample in counted)


def meter(server):
    """One operation for a successful registration, none for a refused one."""
    key, before = os.urandom(32), operations(server)
    Enroller(server).individual("metered", Enroller.symmetric(key))
    enrolled = operations(server)
    assert enrolled > before, "enrolling was not counted"
    python_device.provision(server, "metered", b64(key))
    assert operations(server) == enrolled + 1, "a registration was not counted once"
    try:
        python_device.provision(server, "metered", b64(os.urandom(32)))
    except Exception:
        pass
    assert operations(server) == enrolled + 1, "a refused registration was counted"


def locked(server):
    """Without the token nothing is told."""
    for token in (None, "wrong"):
        try:
            scrape(server, token)
        except urllib.error.HTTPError as error:
            assert error.code == 401 and "usher_" not in error.read().decode()
        else:
            raise AssertionError("metrics without a token")


def all_cases(server):
    return [("metrics count each operation once", lambda: meter(server)), ("metrics need the token", lambda: locked(server))]
