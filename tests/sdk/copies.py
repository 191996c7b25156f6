#!/usr/bin/env python3
"""Backups, restores and moves between stores: an installation is copied while devices register with it, and Azure's SDKs must find in
the copy what they were told before.

    target/venv/bin/python tests/sdk/copies.py target/release/usher
"""

import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import keys
import python_device
from enrolling import Enroller, b64, derived
from kills import DEVICE_API, sas
from postgres import Postgres
from server import Server
from service_api import operator

GROUP, THREADS, SINGLES = "copied", 3, 5
# Under load, before the backup is asked for and after it.
LOAD_S = 0.7


class Load:
    """Devices that register, each once, until told to stop; and the ETag that each was told."""

    def __init__(self, server, key):
        self.server, self.key, self.told, self.next, self.stopping = server, key, {}, iter(range(1_000_000)), threading.Event()
        self.tls = ssl.create_default_context(cafile=server.trust)
        self.threads = [threading.Thread(target=self.work) for _ in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.stopping.is_set():
            device = f"c{next(self.next):05}"
            scope = self.server.id_scope
            token = sas(f"{scope}/registrations/{device}", b64(derived(self.key, device)), "registration")
            connection = http.client.HTTPSConnection(self.server.host, 443, timeout=20, context=self.tls)
            connection.request("PUT", f"/{scope}/registrations/{device}/register?{DEVICE_API}", json.dumps({"registrationId": device}),
                               {"Authorization": token, "Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            connection.close()
            if answer.get("status") == "assigned":
                self.told[device] = answer["registrationState"]["etag"].strip('"')

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class World:
    """An installation with enrollments and registrations, and places for its copies."""

    def __init__(self, binary):
        self.binary, self.folder = binary, pathlib.Path(tempfile.mkdtemp(prefix="usher-copies-"))
        self.key, self.single_key = os.urandom(32), os.urandom(32)
        self.server, self.database = Server(binary, state=self.folder / "first"), None
        service = operator(self.server)
        service.enrollment_group.create_or_update(GROUP, {"enrollmentGroupId": GROUP, "attestation": Enroller.symmetric(self.key)})
        for n in range(SINGLES):
            service.enrollment.create_or_update(f"single-{n}", {
                "registrationId": f"single-{n}", "attestation": Enroller.symmetric(self.single_key),
                "initialTwin": {"tags": {}, "properties": {"desired": {"born": n}}}})
        python_device.provision(self.server, "single-0", b64(self.single_key))

    # -- the commands

    def usher(self, *arguments, fails=None):
        """What a command says as JSON; or, where it must fail, that it names why."""
        done = subprocess.run([self.binary, *map(str, arguments), *([] if fails else ["--json"])], capture_output=True, text=True, timeout=90)
        if fails:
            assert done.returncode == 1 and fails in done.stderr, f"{arguments}: {done.returncode} {done.stdout}{done.stderr}"
            assert len(done.stderr.strip().splitlines()) >= 2, f"what to do next is missing: {done.stderr}"
            return None
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def listed(self, server):
        """Every enrollment and registration that the service SDK lists, with its ETag."""
        service, query = operator(server), {"query": "select *"}
        found = {("group", each["enrollmentGroupId"]): each["etag"] for each in service.enrollment_group.query(query)}
        found |= {("single", each["registrationId"]): each["etag"] for each in service.enrollment.query(query)}
        states = list(service.device_registration_state.query(GROUP))
        found |= {("state", each["registrationId"]): each["etag"].strip('"') for each in states}
        state = service.device_registration_state.get("single-0")
        return found | {("state", "single-0"): state["etag"].strip('"')}

    # -- cases

    def backup_under_load(self):
        load = Load(self.server, self.key)
        time.sleep(LOAD_S)
        before = dict(load.told)
        taken = self.usher("backup", "--state", self.server.state, "--to", self.folder / "loaded.backup")
        time.sleep(LOAD_S)
        load.stop()
        assert len(load.told) > len(before) > 0, "there was no load"
        assert taken["records"] > 0 and not taken["masterKeyInside"] and taken["store"] == "embedded", taken
        mode = (self.folder / "loaded.backup").stat().st_mode & 0o777
        assert mode == 0o600, oct(mode)
        raw = (self.folder / "loaded.backup").read_bytes()
        key = (self.server.state / "master.key").read_text().strip()
        for secret in (b"single-0", b"localhost", GROUP.encode(), b"c00000", key.encode(), self.server.manifest["management"]["token"].encode()):
            assert secret not in raw, f"{secret} stands in the backup"
        self.before, self.told = before, dict(load.told)
        # With nothing going on, twice the same.
        running = self.usher("backup", "--state", self.server.state, "--to", self.folder / "running.backup")
        checked = self.usher("check", "--state", self.server.state, "--against", self.folder / "running.backup")
        assert checked["equal"] and checked["opened"] and checked["digest"] == running["digest"] != taken["digest"], (checked, running)
        self.expected = self.listed(self.server)
        for device, etag in load.told.items():
            assert self.expected["state", device] == etag, device
        assert self.server.stop() == 0
        assert not (self.server.state / "store" / "backup.sock").exists()
        assert self.usher("backup", "--state", self.server.state, "--to", self.folder)["file"].endswith("Z.backup"), "of a stopped server"
        self.quiet = self.usher("backup", "--state", self.server.state, "--to", self.folder / "quiet.backup")

    def refusals(self):
        quiet, empty = self.folder / "quiet.backup", self.folder / "never"
        raw, key = quiet.read_bytes(), self.server.state / "master.key"
        other = self.folder / "other.key"
        other.touch(mode=0o600)
        other.write_text(b64(os.urandom(32)))
        bad = self.folder / "bad.backup"
        for text, why in ((raw[:-1], "ends too early"), (raw[:len(raw) // 2], "ends too early"), (raw + b"x", "something follows"),
                          (raw[:len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1:], "damaged"), (b"PK", "no backup")):
            bad.write_bytes(text)
            self.usher("restore", "--from", bad, "--to", empty, "--master-key", key, fails=why)
            self.usher("check", "--from", bad, fails=why)
        self.usher("restore", "--from", quiet, "--to", empty, fails="does not hold its master key")
        self.usher("restore", "--from", quiet, "--to", empty, "--master-key", other, fails="master key")
        self.usher("restore", "--from", quiet, "--to", self.folder / "second", "--master-key", other, fails="master key")
        assert not empty.exists() and not (self.folder / "second").exists(), "something was written"
        self.usher("backup", "--state", self.server.state, "--to", quiet, fails="is there already")
        self.usher("backup", "--state", empty, "--to", bad, fails="there is no store")
        assert self.usher("check", "--from", quiet)["opened"] is False

    def restored_from_load(self):
        """What was acknowledged before the backup is in it; nothing is in it that the source never had."""
        state = self.folder / "loaded"
        self.usher("restore", "--from", self.folder / "loaded.backup", "--to", state, "--master-key", self.server.state / "master.key")
        server = Server(self.binary, state=state)
        try:
            found = self.listed(server)
            for device, etag in self.before.items():
                assert found["state", device] == etag, f"{device} was acknowledged before the backup"
            for kind, name in found:
                assert (kind, name) in self.expected, f"{kind} {name} was never there"
        finally:
            server.stop()
        server.remove()

    def restored(self):
        """A new folder has the same, for SDKs and devices too."""
        state = self.folder / "restored"
        key = self.server.state / "master.key"
        done = self.usher("restore", "--from", self.folder / "quiet.backup", "--to", state, "--master-key", key)
        assert done["digest"] == self.quiet["digest"] and done["written"] and done["opened"], done
        assert self.usher("check", "--state", state, "--against", self.folder / "quiet.backup")["equal"]
        again = self.usher("restore", "--from", self.folder / "quiet.backup", "--to", state, "--master-key", key)
        assert not again["written"], again
        self.same(state)
        self.usher("restore", "--from", self.folder / "quiet.backup", "--to", state, "--master-key", key, fails="is not empty")
        self.usher("check", "--state", state, "--against", self.folder / "quiet.backup", fails="holds something else")

    def same(self, state):
        """A server on this copy tells operators and devices what the first one told them."""
        server = Server(self.binary, state=state)
        try:
            manifest, first = server.manifest, self.server.manifest
            assert {**manifest, "device": 0} == {**first, "device": 0}, "dev.json differs"
            assert pathlib.Path(server.trust).read_bytes() == pathlib.Path(self.server.trust).read_bytes(), "another dev CA"
            assert self.listed(server) == self.expected
            result, _ = python_device.provision(server, "single-0", b64(self.single_key))
            assert result.status == "assigned" and result.registration_state.device_id == "single-0", result
            device = sorted(self.told)[0]
            result, _ = python_device.provision(server, device, b64(derived(self.key, device)))
            assert (result.status, result.registration_state.assigned_hub) == ("assigned", "localhost"), result
            self.usher("migrate", "--from", state, "--to", self.folder / "nowhere", fails="is in use")
            self.usher("restore", "--from", self.folder / "quiet.backup", "--to", state, fails="is in use")
        finally:
            server.stop()
        server.remove()

    def key_inside(self):
        with_key = self.folder / "whole.backup"
        taken = self.usher("backup", "--state", self.server.state, "--to", with_key, "--with-master-key")
        assert taken["masterKeyInside"] and taken["digest"] == self.quiet["digest"], taken
        self.usher("restore", "--from", with_key, "--to", self.folder / "alone")
        assert self.usher("check", "--state", self.folder / "alone")["digest"] == self.quiet["digest"]

    def sql(self, text):
        done = self.database.run("psql", "-q", "-t", "-A", *self.database.where(), "-v", "ON_ERROR_STOP=1", "-c", text, "usher")
        return done.stdout.decode().strip()

    def to_postgres(self):
        """Killed in the middle: whatever writes counters is held up, so that the middle can be met."""
        self.database = Postgres()
        address, key = self.database.address, self.server.state / "master.key"
        self.usher("check", "--store", address)
        self.sql("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NEW; END';"
                 "CREATE TRIGGER hold BEFORE INSERT ON usher_counters FOR EACH ROW EXECUTE FUNCTION hold()")
        half = subprocess.Popen([self.binary, "migrate", "--from", self.server.state, "--to", address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not int(self.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'usher' AND wait_event = 'PgSleep'")):
            assert time.monotonic() < deadline and half.poll() is None, "the copy does not come to its counters"
            time.sleep(0.1)
        self.usher("migrate", "--from", self.folder / "loaded", "--to", address, fails="is in use")
        half.send_signal(signal.SIGKILL)
        half.wait()
        # The database itself notices a dead client only after a while.
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'usher%'")
        self.sql("DROP TRIGGER hold ON usher_counters; DROP FUNCTION hold")
        self.usher("check", "--store", address, fails="has not ended")
        self.usher("migrate", "--from", self.folder / "loaded", "--to", address, fails="half filled with something else")
        done = self.usher("migrate", "--from", self.server.state, "--to", address)
        assert done["resumed"] and done["digest"] == self.quiet["digest"], done
        checked = self.usher("check", "--store", address, "--master-key", key, "--against", self.folder / "quiet.backup")
        assert checked["equal"] and checked["opened"], checked
        assert not self.usher("migrate", "--from", self.server.state, "--to", address)["written"]
        self.usher("migrate", "--from", self.folder / "loaded", "--to", address, fails="not empty")

    def and_back(self):
        state, key = self.folder / "back", self.server.state / "master.key"
        address = self.database.address
        taken = self.usher("backup", "--store", address, "--master-key", key, "--to", self.folder / "database.backup")
        assert taken["store"] == "postgres" and taken["digest"] == self.quiet["digest"], taken
        done = self.usher("migrate", "--from", address, "--to", state, "--master-key", key)
        assert done["digest"] == self.quiet["digest"] and done["opened"], done
        self.same(state)

    def end(self):
        assert "panicked" not in self.server.log()
        if self.database:
            self.database.remove()
        self.server.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def keys_in_force(binary):
    """Backups before, amid and after the master key moves from a file into a real token, and what restores each."""
    with keys.world(binary, False) as at:
        one, token, folder = at.file("one"), at.token(), at.folder
        config = folder / "node-0.toml"

        def usher(*arguments, fails=None):
            done = at.usher(*map(str, arguments), *([] if fails else ["--json"]), check=False)
            if fails:
                assert done.returncode == 1 and fails in done.stderr, f"{arguments}: {done.returncode} {done.stdout}{done.stderr}"
                return None
            assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
            return json.loads(done.stdout)

        def backup(name, *more, **fails):
            return usher("backup", "--config", config, "--to", folder / f"{name}.backup", *more, **fails)

        at.configure(one)
        at.start()
        at.enroll_group()
        at.register("node-0", "geraet-1")
        backup("before")
        at.reload_all(one, token)
        at.reload_all(token, one)
        at.manage("PUT", f"{keys.RESOURCE}/neben", {"location": "local", "sku": {"name": "S1", "capacity": 1}, "properties": {}})
        backup("amid")
        backup("never", "--with-master-key", fails="in a token")
        assert at.keys("rotate")["rewrapped"] == 2
        at.reload_all(token)
        after = backup("after")
        assert at.stop() == [0]
        # Which keys open which.
        one_file = folder / "one.key"
        assert usher("check", "--from", folder / "before.backup", "--master-key", one_file)["opened"]
        assert usher("check", "--from", folder / "after.backup", "--config", config)["opened"]
        for name, keys_of in (("before", ("--config", config)), ("amid", ("--config", config)), ("amid", ("--master-key", one_file)),
                              ("after", ("--master-key", one_file))):
            usher("check", "--from", folder / f"{name}.backup", *keys_of, fails="not the one these records were sealed under")
        at.configure(token, one)
        assert usher("check", "--from", folder / "amid.backup", "--config", config)["opened"]
        # A place gets nothing that its keys do not open.
        at.configure(token)
        text = config.read_text()
        at.write("second.toml", text.replace(f"embedded:{folder}/store", f"embedded:{folder}/second"))
        second = folder / "second.toml"
        usher("restore", "--from", folder / "before.backup", "--to", second, "--master-key", one_file, fails="another master key")
        usher("restore", "--from", folder / "after.backup", "--to", folder / "state", fails="does not hold its master key")
        usher("migrate", "--from", config, "--to", folder / "state", fails="in a token")
        assert not (folder / "second").exists() and not (folder / "state").exists(), "something was written"
        done = usher("restore", "--from", folder / "after.backup", "--to", second)
        assert done["digest"] == after["digest"] and done["opened"], done
        config.write_text(second.read_text())
        at.start()
        at.register("node-0", "geraet-1")
        at.register("node-0", "geraet-2")
        assert at.stop() == [0]


def all_cases(binary):
    """Cases as (name, function); they share one installation, which the last one removes."""
    world = World(binary)
    return [
        ("a backup while devices register, readable by nobody; of a stopped server too", world.backup_under_load),
        ("damaged, cut and foreign backups, wrong keys and places are refused before anything is written", world.refusals),
        ("what was acknowledged before a backup under load is in it", world.restored_from_load),
        ("restored to a new folder: same dev CA, ETags and answers; the SDK's devices register again", world.restored),
        ("a backup with the master key restores alone", world.key_inside),
        ("moved to PostgreSQL, killed in the middle, brought to its end, and equal", world.to_postgres),
        ("a backup of PostgreSQL, and back to a folder, with the same ETags", world.and_back),
        ("the master key moves into a token: each backup needs the keys that wrapped it", lambda: keys_in_force(binary)),
        ("no panic; everything is removed", world.end),
    ]


def main():
    failed = 0
    for name, work in all_cases(os.path.abspath(sys.argv[1])):
        started = time.monotonic()
        try:
            work()
            print(f"passed: {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAILED: {name}: {error}", flush=True)
    sys.stdout.flush()
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
