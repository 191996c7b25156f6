"""A real PostgreSQL on a free port and in a folder of its own, which can be killed and started again."""

import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_MAX_S = 30


def programs():
    """Where the server's programs are: the newest of Debian's, which are not in the path, else those that are."""
    debian = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    found = debian[-1] if debian else shutil.which("initdb")
    if not found:
        raise RuntimeError("PostgreSQL is needed: apt-get install postgresql")
    return pathlib.Path(found).parent


def is_running(process):
    """Whether a process is there and not only waits to be taken off the list."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][:1] not in ("Z", "X", "")
    except OSError:
        return False


class Postgres:
    """A server with one database and one user, both named usher."""

    def __init__(self):
        self.prepare()
        self.initialize()
        self.start()
        self.run("createdb", *self.where(), "usher")

    def prepare(self):
        """A folder and a port."""
        self.programs = programs()
        # PostgreSQL does not run as root.
        self.account = None
        if os.geteuid() == 0:
            names = [entry.pw_name for entry in pwd.getpwall()]
            self.account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-postgres-"))
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None

    def initialize(self):
        self.run("initdb", "-D", self.folder / "data", "-U", "usher", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")

    @property
    def address(self):
        return f"postgres://usher@127.0.0.1:{self.port}/usher?sslmode=disable"

    def where(self):
        return "-h", "127.0.0.1", "-p", str(self.port), "-U", "usher"

    def identity(self):
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}

    def run(self, program, *arguments, check=True):
        return subprocess.run([self.programs / program, *arguments], check=check, capture_output=True, cwd=self.folder, **self.identity())

    def start(self):
        command = [self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder, "-c", "listen_addresses=127.0.0.1"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self.identity())
        deadline = time.monotonic() + START_MAX_S
        while self.run("pg_isready", "-q", *self.where(), check=False).returncode:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("PostgreSQL does not start:\n" + (self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def kill(self):
        """SIGKILL for the server and every process of it."""
        if self.process is None:
            return
        # Halted first, so that it starts no more processes.
        self.process.send_signal(signal.SIGSTOP)
        listed = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        self.process.send_signal(signal.SIGKILL)
        for child in listed:
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None
        # Whoever still holds the shared memory keeps the next start from succeeding.
        deadline = time.monotonic() + 10
        while any(is_running(child) for child in listed) and time.monotonic() < deadline:
            time.sleep(0.01)

    def ask(self, statement):
        """What an administrator's statement answers: bare values, a row a line; None where nothing answers."""
        answer = self.run("psql", *self.where(), "-Atqc", statement, "usher", check=False)
        return None if answer.returncode else answer.stdout.decode().strip()

    def dump(self):
        return self.run("pg_dump", *self.where(), "usher").stdout

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
