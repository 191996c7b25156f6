"""Imports and exports of thousands that are killed, throttled, and lose their server: nothing is lost and nothing made twice."""

import base64
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import requests

import python_device
from server import Server

LINES = 4_000


class World:
    """A server of its own, a file of many lines, and the command that imports it."""

    def __init__(self, binary, *arguments):
        self.binary, self.server = binary, Server(binary, *arguments)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-many-"))

    def file(self, name, lines):
        path = self.folder / name
        rows = [f"many-{number},{base64.b64encode(f'key of {number:>20}'.encode()).decode()}" for number in range(lines)]
        path.write_text("registrationId,primaryKey\n" + "\n".join(rows) + "\n")
        return path

    def command(self, *words):
        return [self.binary, *words, "--state", self.server.folder / "state"]

    def json(self, *words):
        done = subprocess.run([*self.command(*words), "--json"], capture_output=True, text=True, timeout=110, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    def killed(self, path, *words):
        """Starts a command and kills it once the file at `path` tells of some progress."""
        process = subprocess.Popen(self.command(*words, "--quiet"), cwd=self.folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (path.exists() and path.read_text().count("\n") > 1):
            assert process.poll() is None and time.monotonic() < deadline, "it ended before it could be killed"
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL

    def restart_server(self):
        """Kills the server and starts it again a second later, in its folder and on its ports."""
        self.server.process.kill()
        self.server.process.wait()
        time.sleep(1)
        with open(self.server.log_path, "ab") as log:
            self.server.process = subprocess.Popen(self.server.process.args, stdout=log, stderr=log)

    def stop(self):
        if self.server.is_alive():
            self.server.stop()
        self.server.remove()


def with_world(binary, case, *arguments):
    world = World(binary, *arguments)
    try:
        case(world)
    finally:
        world.stop()


def killed_import_goes_on(world):
    path = world.file("devices.csv", LINES)
    journal = pathlib.Path(str(path) + ".journal")
    world.killed(journal, "enrollment", "import", path, "--in-flight", "1")
    told, _ = world.json("enrollment", "import", path)
    counts = told["counts"]
    assert 0 < told["resumedAfter"] < LINES, told
    assert counts["lines"] == LINES and counts["failed"] == 0 and counts["created"] + counts["unchanged"] == LINES, told
    assert not journal.exists()
    exported = world.folder / "out.csv"
    assert world.json("enrollment", "export", exported, "--keys")[0]["exported"] == LINES
    wanted = [line.strip().split(",") for line in open(path)][1:]
    there = [line.strip().split(",") for line in open(exported)][1:]
    assert sorted(wanted) == sorted([row[0], row[2]] for row in there), "what is exported is not what was imported"
    path.write_text(path.read_text() + "more,\n")
    journal.write_text('{"version":1,"bytes":1,"head":"","service":"x","collection":"enrollments"}\n')
    done = subprocess.run(world.command("enrollment", "import", path), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "the input has changed since" in done.stderr and "--restart" in done.stderr, done.stderr


def killed_export_goes_on(world):
    path = world.file("devices.csv", LINES)
    world.json("enrollment", "import", path)
    out = world.folder / "out.jsonl"
    out.write_text("what was there before\n")
    mark = world.folder / "out.jsonl.part.mark"
    process = subprocess.Popen(world.command("enrollment", "export", out, "--keys", "--quiet", "--in-flight", "2"), cwd=world.folder, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL and out.read_text() == "what was there before\n", "a half export has taken the file's place"
    told, _ = world.json("enrollment", "export", out, "--keys", "--resume")
    assert told["exported"] == LINES, told
    ids = [json.loads(line)["registrationId"] for line in open(out)]
    assert len(ids) == len(set(ids)) == LINES, "lines are lost or doubled"
    assert not mark.exists() and not (world.folder / "out.jsonl.part").exists()


def server_that_restarts(world):
    path = world.file("devices.csv", LINES)
    journal = pathlib.Path(str(path) + ".journal")
    process = subprocess.Popen([*world.command("enrollment", "import", path, "--json", "--in-flight", "2")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (journal.exists() and journal.read_text().count("\n") > 1):
        assert process.poll() is None
        time.sleep(0.005)
    world.restart_server()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    counts = json.loads(out)["counts"]
    assert counts["created"] + counts["unchanged"] == LINES and counts["failed"] == 0, counts


def throttled(world):
    """The rate is used up by other calls; the import waits as long as it is told and takes everything."""
    host, token = python_device.sas_token(world.server.service)
    with requests.Session() as session:
        for _ in range(1_500):
            answer = session.get(
                f"https://{host}/enrollments/nobody?api-version=2021-10-01", headers={"authorization": token}, verify=world.server.trust)
            if answer.status_code == 429:
                break
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1, answer.status_code
    path, began = world.file("devices.csv", 500), time.monotonic()
    counts = world.json("enrollment", "import", path)[0]["counts"]
    assert counts["created"] == 500 and time.monotonic() - began >= 1, counts


def full(world):
    """A file that is half good: the errors stand in the order of lines, whatever order answers come in."""
    rows = [f"half-{number},{'a2V5LW9mLTE2LWJ5dGVzLQ==' if number % 2 else 'c2hvcnQ='}" for number in range(600)]
    path = world.folder / "half.csv"
    path.write_text("registrationId,primaryKey\n" + "\n".join(rows) + "\n")
    done = subprocess.run([*world.command("enrollment", "import", path), "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and json.loads(done.stdout)["counts"]["failed"] == 300, done.stderr
    lines = [json.loads(line)["line"] for line in open(str(path) + ".errors.jsonl")]
    assert lines == list(range(2, 602, 2)), lines[:10]
    assert os.stat(str(path) + ".errors.jsonl").st_mode & 0o077 == 0


def all_cases(binary):
    cases = [
        ("an import that is killed goes on, and is exported as it was", killed_import_goes_on, ()),
        ("an export that is killed goes on, and takes its name when it is whole", killed_export_goes_on, ()),
        ("an import outlives its server's restart", server_that_restarts, ()),
        ("an import waits where it is throttled", throttled, ("--limits", "dps")),
        ("errors of half a file, in the order of its lines", full, ()),
    ]
    return [(name, lambda case=case, more=more: with_world(binary, case, *more)) for name, case, more in cases]
