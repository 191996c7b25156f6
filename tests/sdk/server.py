"""Starts `usher dev` on the standard ports, as SDKs demand, and stops it again."""

import errno
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time


# The ports that SDKs fix, so that only one such server runs on a machine at a time.
PORTS = (443, 8883, 5671)
PORTS_WAIT_S = 120


class Server:
    """A running `usher dev` with a state folder of its own, or one that is there."""

    def __init__(self, binary, *arguments, state=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-sdk-"))
        self.log_path, self.state = self.folder / "log", state or self.folder / "state"
        wait_for_ports(PORTS)
        started = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [binary, "dev", "--state", self.state, *arguments], stdout=log, stderr=log)
        manifest = self.state / "dev.json"
        while not manifest.exists():
            if self.process.poll() is not None or time.monotonic() - started > 30:
                raise SystemExit("usher dev did not start:\n" + self.log_path.read_text())
            time.sleep(0.005)
        self.ready_ms = (time.monotonic() - started) * 1000
        self.manifest = json.loads(manifest.read_text())
        self.trust = str(self.state / self.manifest["trust"])
        self.id_scope = self.manifest["idScope"]
        self.host = self.manifest["device"]["host"]
        self.service = self.manifest["service"]["connectionString"]
        self.hub = self.manifest["hubs"][0]["connectionString"]
        self.node_env = dict(os.environ, NODE_EXTRA_CA_CERTS=self.trust)
        os.environ["REQUESTS_CA_BUNDLE"] = self.trust

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_alive(self):
        return self.process.poll() is None

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self):
        """Sends SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        return code

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_for_ports(ports):
    """Waits for another run on this machine to give back ports that cannot be chosen."""
    deadline, told = time.monotonic() + PORTS_WAIT_S, False
    while taken := [port for port in ports if not is_free(port)]:
        if time.monotonic() > deadline:
            raise SystemExit(f"ports {taken} are taken by another program; SDKs know no others")
        if not told:
            print(f"waiting for ports {taken}, which another program has", flush=True)
            told = True
        time.sleep(0.5)


def is_free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
        return True
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise


NODE_FOLDER = pathlib.Path(__file__).parent / "node"


def node(server, script, job, timeout=90):
    """Runs a Node script with a job on standard input; it answers with one JSON line, its last."""
    done = subprocess.run(
        ["node", script], cwd=NODE_FOLDER, env=server.node_env, input=json.dumps(job), text=True, capture_output=True, timeout=timeout)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{script}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return json.loads(lines[-1])
