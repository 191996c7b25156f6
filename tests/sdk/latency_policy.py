"""Allocation by lowest latency: clients of different networks land on different hubs, by a table and by an MMDB file.

The networks are loopback's own: Azure's Python SDK comes from 127.0.0.1 and from ::1, curl from any address of 127.0.0.0/8.
"""

import base64
import json
import os
import pathlib
import subprocess
import tempfile

from azure.iot.deviceprovisioning import DeviceProvisioningClient
from mmdb_writer import MMDBWriter
from netaddr import IPSet

import python_device
from bad.world import World
from server import Server

# Both names are in every dev certificate and resolve on every machine.
WEST, EAST = "127.0.0.1", "localhost"
TABLE = f"""
[networks]
"127.0.0.1/32" = "plant-west"
"::1/128" = {{ "{EAST}" = 4, "{WEST}" = 40 }}
"127.0.0.2/32" = {{ region = "plant-west", east = 2 }}

[regions.plant-west]
"{WEST}" = 5
east = 50

[regions.plant-east]
"{WEST}" = 60
"{EAST}" = 6

[mmdb]
file = "regions.mmdb"
field = "site.region"
"""


def write_mmdb(path):
    """Regions by address: one by the operator's own member, one by country, which is the same as a hub's region."""
    writer = MMDBWriter(6, "usher-test", languages=["en"], ipv4_compatible=True, description="regions of loopback")
    writer.insert_network(IPSet(["127.0.1.0/24"]), {"site": {"region": "plant-east"}, "country": {"iso_code": "west"}})
    writer.insert_network(IPSet(["127.0.2.0/24"]), {"country": {"iso_code": "WEST"}, "continent": {"code": "plant-east"}})
    writer.to_db_file(str(path))


class Latency:
    """A server with a latency table, and devices that are allocated by it."""

    def __init__(self, binary):
        self.binary = binary
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-latency-"))
        (self.folder / "latency.toml").write_text(TABLE)
        write_mmdb(self.folder / "regions.mmdb")
        self.server = Server(binary, "--hub", f"{WEST}=west", "--hub", f"{EAST}=east", "--latency", self.folder / "latency.toml")
        self.keys = {}

    def enroll(self, device, hubs=(), **extra):
        """Enrolls a device with a key of its own."""
        self.keys[device] = os.urandom(32)
        key = base64.b64encode(self.keys[device]).decode()
        enrollment = {
            "registrationId": device,
            "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}} | extra
        if hubs:
            enrollment["iotHubs"] = list(hubs)
        service = DeviceProvisioningClient.from_connection_string(self.server.service, connection_verify=self.server.trust)
        service.enrollment.create_or_update(device, enrollment)
        return key

    def by_sdk(self, device, host, **extra):
        """The hub that Azure's SDK is assigned when it connects to an address, and so from it."""
        key, usual = self.enroll(device, **{"allocationPolicy": "geoLatency"} | extra), self.server.host
        self.server.host = host
        try:
            return python_device.provision(self.server, device, key)[0].registration_state.assigned_hub
        finally:
            self.server.host = usual

    def by_curl(self, device, source):
        """The hub that a device is assigned which comes from an address of loopback."""
        self.enroll(device, allocationPolicy="geoLatency")
        token = World.token(self, device=device, key=self.keys[device])
        path = f"/{self.server.id_scope}/registrations/{device}/register?api-version=2019-03-31"
        port = self.server.manifest["device"]["https"]
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "20", "--interface", source, "--cacert", self.server.trust, "-X", "PUT", "-d", "{}",
             "-H", "content-type: application/json", "-H", f"authorization: {token}", f"https://127.0.0.1:{port}{path}"],
            check=True, capture_output=True, text=True)
        return json.loads(done.stdout)["registrationState"]["assignedHub"]

    def networks(self):
        for n in range(4):
            assert self.by_sdk(f"west-{n}", "127.0.0.1") == WEST
            assert self.by_sdk(f"east-{n}", "::1") == EAST
            assert self.by_curl(f"own-{n}", "127.0.0.2") == EAST

    def regions_by_mmdb(self):
        for n in range(4):
            assert self.by_curl(f"member-{n}", "127.0.1.7") == EAST
            assert self.by_curl(f"country-{n}", "127.0.2.7") == WEST

    def an_enrollments_hubs(self):
        assert self.by_sdk("bound", "127.0.0.1", hubs=[EAST]) == EAST

    def the_services_policy(self):
        """Enrollments that say nothing follow the service's policy."""
        done = subprocess.run(
            [self.binary, "service", "update", "dev", "--allocation", "geo-latency", "--state", self.server.folder / "state"],
            capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        for n in range(4):
            assert self.by_sdk(f"service-west-{n}", "127.0.0.1", allocationPolicy=None) == WEST
            assert self.by_sdk(f"service-east-{n}", "::1", allocationPolicy=None) == EAST

    def nothing_known(self):
        """Hubs in the server's own process tie, and ties are spread."""
        assert {self.by_curl(f"unknown-{n}", "127.0.9.9") for n in range(12)} == {WEST, EAST}

    def bad_table(self):
        bad = self.folder / "bad.toml"
        bad.write_text('[networks]\n"127.0.0.1/33" = "x"\n')
        done = subprocess.run(
            [self.binary, "dev", "--state", self.folder / "state", "--latency", bad], capture_output=True, text=True, timeout=30)
        assert done.returncode == 1 and "line 2" in done.stderr and "10.1.0.0/16" in done.stderr, done.stderr

    def stop(self):
        code = self.server.stop()
        assert code == 0, f"exit code {code}"


def all_cases(binary):
    latency = Latency(binary)
    return [
        ("two networks, two hubs (azure-iot-device, curl)", latency.networks),
        ("regions by MMDB", latency.regions_by_mmdb),
        ("an enrollment's own hubs", latency.an_enrollments_hubs),
        ("the service's own policy", latency.the_services_policy),
        ("nothing known: spread", latency.nothing_known),
        ("a bad table names line and mend", latency.bad_table),
        ("SIGTERM ends it with exit code 0", latency.stop),
    ]
