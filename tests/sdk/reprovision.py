"""A device that registers again, by Azure's SDKs: it moves, keeps or loses its twin, stays, or is refused, as its enrollment says."""

import os
import time

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties

import python_device
from enrolling import Enroller, b64
from server import Server
from service_api import operator

HOME, AWAY = "localhost", "127.0.0.2"
ARGUMENTS = ["--bind", "127.0.0.1", "--bind", AWAY, "--hub", HOME, "--hub", AWAY]


class Device:
    """One device with its enrollment, and both hubs to look at."""

    def __init__(self, server, registration_id, **enrollment):
        self.server, self.id, self.key = server, registration_id, os.urandom(32)
        self.service = operator(server)
        self.managers = {hub["hostName"]: IoTHubRegistryManager.from_connection_string(hub["connectionString"]) for hub in server.manifest["hubs"]}
        self.enroll(**enrollment)

    def enroll(self, hub=HOME, migrate=True, move=True, status="enabled", device_id=None, color="initial"):
        enrollment = {
            "registrationId": self.id, "attestation": Enroller.symmetric(self.key), "provisioningStatus": status,
            "allocationPolicy": "static", "iotHubs": [hub],
            "initialTwin": {"tags": {"line": "7"}, "properties": {"desired": {"color": color}}},
            "reprovisionPolicy": {"updateHubAssignment": move, "migrateDeviceData": migrate},
        }
        self.service.enrollment.create_or_update(self.id, enrollment | ({"deviceId": device_id} if device_id else {}))

    def provision(self, hub, substatus, device_id=None):
        """Registers; the device must be on `hub` and nowhere else."""
        result, _ = python_device.provision(self.server, self.id, b64(self.key))
        state = result.registration_state
        assert (result.status, state.assigned_hub, state.sub_status) == ("assigned", hub, substatus), f"{result.status} {state}"
        assert state.device_id == (device_id or self.id), state
        for name in self.managers:
            assert (name == hub) == bool(self.twin(name, state.device_id)), f"{state.device_id} on {name}"
        if device_id and device_id != self.id:
            assert not any(self.twin(name, self.id) for name in self.managers), "the old ID is left behind"
        return state

    def twin(self, hub, device_id=None):
        try:
            return self.managers[hub].get_twin(device_id or self.id)
        except Exception as error:
            assert "404" in str(error) or "Not Found" in str(error), error
            return None

    def expect_twin(self, hub, color, tag, device_id=None):
        twin = self.twin(hub, device_id)
        assert (twin.properties.desired["color"], twin.tags["line"]) == (color, tag), twin

    def live(self, hub):
        """The years on a hub: an operator has changed the twin."""
        self.managers[hub].update_twin(self.id, Twin(tags={"line": "8"}, properties=TwinProperties(desired={"color": "lived"})), "*")


def refused(device, word):
    """The SDK must fail, and say why in this word."""
    try:
        python_device.provision(device.server, device.id, b64(device.key))
    except Exception as error:
        assert word in f"{error} {error.__cause__}", f"{error} {error.__cause__}"
    else:
        raise AssertionError("it was provisioned")


def moves_with_its_twin(server):
    device = Device(server, "re-move")
    device.provision(HOME, "initialAssignment")
    device.expect_twin(HOME, "initial", "7")
    device.live(HOME)
    device.enroll(hub=AWAY)
    device.provision(AWAY, "deviceDataMigrated")
    device.expect_twin(AWAY, "lived", "8")
    device.enroll(hub=HOME)
    device.provision(HOME, "reprovisionedToInitialAssignment")
    device.expect_twin(HOME, "lived", "8")


def moves_and_is_reset(server):
    device = Device(server, "re-reset", migrate=False)
    device.provision(HOME, "initialAssignment")
    device.live(HOME)
    device.enroll(hub=AWAY, migrate=False, color="second")
    device.provision(AWAY, "deviceDataReset")
    device.expect_twin(AWAY, "second", "7")
    device.live(AWAY)
    device.provision(AWAY, "deviceDataReset")
    device.expect_twin(AWAY, "second", "7")


def never_moves(server):
    device = Device(server, "re-never", move=False)
    device.provision(HOME, "initialAssignment")
    device.live(HOME)
    device.enroll(hub=AWAY, move=False)
    device.provision(HOME, "initialAssignment")
    device.expect_twin(HOME, "lived", "8")


def gets_another_device_id(server):
    device = Device(server, "re-name")
    device.provision(HOME, "initialAssignment")
    device.live(HOME)
    device.enroll(device_id="re-named")
    device.provision(HOME, "deviceDataMigrated", device_id="re-named")
    device.expect_twin(HOME, "lived", "8", device_id="re-named")


def is_disabled_and_enabled(server):
    device = Device(server, "re-disable")
    device.provision(HOME, "initialAssignment")
    device.enroll(status="disabled")
    refused(device, "disabled")
    assert device.twin(HOME), "disabling an enrollment took the device off its hub"
    device.enroll()
    device.provision(HOME, "initialAssignment")


def is_unenrolled(server):
    device = Device(server, "re-delete")
    device.provision(HOME, "initialAssignment")
    device.service.enrollment.delete(device.id)
    refused(device, "401")
    assert device.twin(HOME), "deleting an enrollment took the device off its hub"


def has_its_registration_deleted(server):
    device = Device(server, "re-forget")
    first = device.provision(HOME, "initialAssignment")
    device.live(HOME)
    device.service.device_registration_state.delete(device.id)
    assert device.twin(HOME), "deleting a registration took the device off its hub"
    time.sleep(0.01)
    again = device.provision(HOME, "initialAssignment")
    assert again.created_date_time > first.created_date_time, "the registration is the old one"
    device.expect_twin(HOME, "lived", "8")


CASES = [moves_with_its_twin, moves_and_is_reset, never_moves, gets_another_device_id, is_disabled_and_enabled, is_unenrolled,
         has_its_registration_deleted]


def all_cases(binary):
    """Needs a server of its own, with two hubs, once the main one is stopped: SDKs fix the ports."""
    server = Server(binary, *ARGUMENTS)
    cases = [(f"a device that {case.__name__.replace('_', ' ')}", lambda case=case: case(server)) for case in CASES]
    return cases + [("SIGTERM ends it", lambda: server.stop() == 0 and server.remove())]
