"""Bad input, by real clients and by raw sockets: refused in the service's own shape, logged by tracking ID, and the server lives."""

from bad.amqp import Amqp
from bad.devices import Devices
from bad.https import Https
from bad.mqtt import Mqtt
from bad.service import Service
from bad.tls import Tls
from bad.tpm import Tpms


class Everything(Devices, Tls, Https, Mqtt, Amqp, Tpms, Service):
    """All cases: each method whose name begins with `a_`."""


def all_cases(server):
    """Cases as (name, function)."""
    world = Everything(server)
    return [(name[2:].replace("_", " "), alive_after(world, getattr(world, name))) for name in dir(world) if name.startswith("a_")]


def alive_after(world, work):
    def check():
        work()
        assert world.server.is_alive(), "the server died"
        # It still does its main job.
        world.operation_of("bad-device")
    return check
