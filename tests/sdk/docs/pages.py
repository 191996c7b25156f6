"""Runs the commands of a document, block after block, in a folder of its own, as a reader would.

Every block of shell commands is run. Comments, which no reader sees, say what is to be done around a block:

    <!-- run: dev -->              once in a page: `usher dev` runs in .usher/ of the page's folder
    <!-- file: NAME -->            the next block is not commands: it is written to this file
    <!-- background -->            the next block goes on running until the page ends; the ones after it start once it is ready
    <!-- fails -->                 the next block is to end with an error
    <!-- shows: TEXT -->           after a block: its output has this text
    <!-- not run: REASON -->       the next block is left out, and why
    <!-- tested by: FILE -->       the next block is left out, since that test runs the same
"""

import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from server import PORTS, wait_for_ports

from .book import ROOT, documents

SHELL = {"sh", "bash", "console", "shell"}
PART = re.compile(r"^<!-- (run|file|background|fails|shows|not run|tested by)(?:: (.*?))? -->$|^( *)```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# No block of a document takes longer, unless something hangs.
BLOCK_MAX_S = 100


@dataclasses.dataclass
class Block:
    """Commands, or a file."""
    text: str
    language: str
    told: dict
    shows: list


@dataclasses.dataclass
class Page:
    """A document."""
    path: pathlib.Path
    blocks: list
    dev: bool

    @property
    def name(self):
        return str(self.path.relative_to(ROOT))

    def run(self, binary):
        with Reader(pathlib.Path(binary).resolve()) as reader:
            if self.dev:
                reader.start_dev()
            for block in self.blocks:
                try:
                    reader.take(block)
                except AssertionError as error:
                    raise AssertionError(f"{self.name}: {error}") from error


def read(path):
    blocks, told, dev = [], {}, False
    for found in PART.finditer(path.read_text()):
        word, value, indent, language, text = found.groups()
        if word == "run":
            dev = value == "dev"
        elif word == "shows":
            blocks[-1].shows.append(value)
        elif word:
            told[word] = value or ""
        else:
            lines = [line.removeprefix(indent) for line in text.splitlines()]
            if language in SHELL or "file" in told:
                blocks.append(Block("\n".join(lines) + "\n", language, told, []))
            told = {}
    return Page(path, blocks, dev)


def with_commands():
    """Pages of which something is run; a page with a reason that names no file is refused."""
    chosen = []
    for path in documents():
        page = read(path)
        for block in page.blocks:
            test = block.told.get("tested by")
            if test is not None and not (ROOT / test.split()[0].rstrip(",;:")).exists():
                raise AssertionError(f"{page.name} names a test that is not there: {test}")
            if block.told.get("not run") == "":
                raise AssertionError(f"{page.name}: a block is left out without a reason:\n{block.text}")
        if any(not left_out(block) for block in page.blocks):
            chosen.append(page)
    return chosen


def left_out(block):
    return "not run" in block.told or "tested by" in block.told


class Reader:
    """Someone who types what the page says."""

    def __init__(self, binary):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-docs-"))
        self.programs = self.folder / ".programs"
        self.programs.mkdir()
        (self.programs / "usher").symlink_to(binary)
        # Whoever reads as root has no need of it, and may not have it.
        (self.programs / "sudo").write_text("#!/bin/sh\nexec \"$@\"\n")
        (self.programs / "sudo").chmod(0o755)
        path = f"{self.programs}:{pathlib.Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("USHER_", "REQUESTS_"))}
        self.environment |= {"PATH": path, "HOME": str(self.folder), "NODE_PATH": str(ROOT / "tests/sdk/node/node_modules"), "USHER_SOURCE": str(ROOT)}
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_dev(self):
        wait_for_ports(PORTS)
        self.start("usher dev")
        self.wait_for(self.folder / ".usher" / "dev.json")

    def start(self, text):
        log = open(self.folder / ".log", "ab")
        self.running.append(subprocess.Popen(
            ["bash", "-euc", self.script(text)], cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True))

    def wait_for(self, path):
        deadline = time.monotonic() + 40
        while not path.exists():
            assert self.running[-1].poll() is None and time.monotonic() < deadline, (self.folder / ".log").read_text()[-2000:]
            time.sleep(0.02)

    def script(self, text):
        """What was exported, and where one stood, is as the block before left it."""
        kept = self.folder / ".kept"
        return f"[ -e {kept} ] && . {kept}\n{text}\n{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} >{kept}\n"

    def take(self, block):
        if left_out(block):
            return
        if "file" in block.told:
            path = self.folder / block.told["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            return
        if "background" in block.told:
            self.start(block.text)
            if block.told["background"]:
                self.wait_for(self.folder / block.told["background"])
            return
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.script(block.text)], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=BLOCK_MAX_S)
        shown = done.stdout + done.stderr
        assert bool(done.returncode) == ("fails" in block.told), f"exit {done.returncode} of\n{block.text}{shown[-2500:]}"
        for text in block.shows:
            assert text in shown, f"{text!r} is not in the output of\n{block.text}{shown[-2500:]}"
