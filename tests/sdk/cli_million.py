#!/usr/bin/env python3
"""Imports and exports of many enrollments, measured: how many requests in flight help, a run that is killed half-way, and whether what is
exported is what was imported. Ports are free ones, so it may run beside other servers.

    target/venv/bin/python tests/sdk/cli_million.py target/release/usher [--lines 1000000]
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


def write(path, prefix, lines):
    with open(path, "w") as out:
        out.write("registrationId,primaryKey\n")
        for number in range(lines):
            name = f"{prefix}-{number}"
            out.write(f"{name},{base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()}\n")


class World:
    def __init__(self, binary, folder):
        self.binary, self.folder, self.state = binary, folder, folder / "state"
        ports = [word for name in ("https", "mqtts", "amqps") for word in (f"--{name}-port", "0")]
        self.server = subprocess.Popen([binary, "dev", "--state", self.state, *ports, "--log", "off"], stdout=subprocess.DEVNULL)
        while not (self.state / "dev.json").exists():
            time.sleep(0.02)

    def start(self, *words):
        return subprocess.Popen([self.binary, *words, "--state", self.state, "--quiet"], stdout=subprocess.PIPE, text=True)

    def run(self, *words):
        """Runs a command to its end; gives what it tells, how long it took, and the most memory it had, in MiB."""
        began, process = time.monotonic(), self.start(*words, "--json")
        told = json.load(process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, status
        return told, time.monotonic() - began, usage.ru_maxrss / 1024

    def memory(self):
        status = pathlib.Path(f"/proc/{self.server.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def in_flight(world, lines):
    for number in (1, 4, 16, 32, 64):
        path = world.folder / f"flight-{number}.csv"
        write(path, f"flight-{number}", lines)
        _, seconds, _ = world.run("enrollment", "import", path, "--in-flight", str(number))
        print(f"{lines:,} lines with {number} in flight: {lines / seconds:,.0f} a second", flush=True)


def killed_half_way(world, path, lines):
    """Imports half, kills it, and finishes."""
    journal, process = pathlib.Path(f"{path}.journal"), world.start("enrollment", "import", path)
    began = time.monotonic()
    while True:
        marks = journal.read_text().splitlines()[1:] if journal.exists() else []
        if marks and json.loads(marks[-1] if marks[-1].endswith("}") else marks[-2])["place"]["line"] > lines / 2:
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    first = time.monotonic() - began
    told, seconds, memory = world.run("enrollment", "import", path)
    counts = told["counts"]
    assert counts["lines"] == counts["created"] + counts["unchanged"] == lines, told
    rate = lines / (first + seconds)
    print(f"{lines:,} imported with a kill half-way: {first + seconds:.0f} s, {rate:,.0f} a second, client {memory:.0f} MiB; after the kill "
          f"{told['resumedAfter']:,} were known as done, {counts['unchanged']:,} were found and compared", flush=True)


def compare(source, export, wanted, found):
    """Compares columns, sorted by the machine's sort, so that no memory is needed."""
    def sorted_columns(path, columns):
        return subprocess.run(
            f"tail -n +2 {path} | cut -d, -f{columns} | LC_ALL=C sort -S 200M | sha256sum", shell=True, check=True, capture_output=True, text=True).stdout
    assert sorted_columns(source, wanted) == sorted_columns(export, found), "what is exported is not what was imported"
    print("the export is the import, line by line", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--lines", type=int, default=1_000_000)
    given = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-million-"))
    world = World(os.path.abspath(given.binary), folder)
    try:
        write(folder / "devices.csv", "million", given.lines)
        killed_half_way(world, folder / "devices.csv", given.lines)
        for name, words, wanted, found in (("without keys", [], "1", "1"), ("with keys", ["--keys"], "1,2", "1,3")):
            told, seconds, memory = world.run("enrollment", "export", folder / "out.csv", *words)
            assert told["exported"] == given.lines
            print(f"{given.lines:,} exported {name}: {seconds:.0f} s, {given.lines / seconds:,.0f} a second, client {memory:.0f} MiB", flush=True)
            compare(folder / "devices.csv", folder / "out.csv", wanted, found)
        print(f"server: at most {world.memory():.0f} MiB", flush=True)
        in_flight(world, max(given.lines // 50, 1_000))
    finally:
        world.server.terminate()
        world.server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
