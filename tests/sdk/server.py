"""Starts `usher dev` on the standard ports, as SDKs demand, and stops it again."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time


class Server:
    """A running `usher dev` with a state folder of its own."""

    def __init__(self, binary, *arguments):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-sdk-"))
        self.log_path = self.folder / "log"
        started = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [binary, "dev", "--state", self.folder / "state", *arguments], stdout=log, stderr=log)
        manifest = self.folder / "state" / "dev.json"
        while not manifest.exists():
            if self.process.poll() is not None or time.monotonic() - started > 30:
                raise SystemExit("usher dev did not start:\n" + self.log_path.read_text())
            time.sleep(0.005)
        self.ready_ms = (time.monotonic() - started) * 1000
        self.manifest = json.loads(manifest.read_text())
        self.trust = str(self.folder / "state" / self.manifest["trust"])
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


NODE_FOLDER = pathlib.Path(__file__).parent / "node"


def node(server, script, job, timeout=90):
    """Runs a Node script with a job on standard input; it answers with one JSON line, its last."""
    done = subprocess.run(
        ["node", script], cwd=NODE_FOLDER, env=server.node_env, input=json.dumps(job), text=True, capture_output=True, timeout=timeout)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{script}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return json.loads(lines[-1])
