"""The Debian package and the image made of it: lintian judges it, an image builder installs it with dpkg, an SDK's device is served by it."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from azure.iot.device import ProvisioningDeviceClient

from enrolling import b64
from server import PORTS, wait_for_ports

from .base import archive
from .running import wait_until

ROOT = pathlib.Path(__file__).parents[3]
PACKAGE = ROOT / "target" / "debian" / "usher.deb"
UNIT = ROOT / "packaging" / "systemd" / "usher.service"
# systemd's own score, 0 (locked up) to 10; what has sockets on the network stays above 1.
EXPOSURE_MAX = 20
# The builder without daemon or kernel features, so that it works within a container too.
BUILDER = os.environ | {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def buildah(*command):
    return run("buildah", *command, env=BUILDER).strip()


def unit():
    # The program is not installed on this machine.
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "usher.service"
        copy.write_text(UNIT.read_text().replace("/usr/bin/usher", "/bin/true"))
        run("systemd-analyze", "verify", "--man=no", copy)
        run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", copy)


def installed(binary):
    run("scripts/deb", binary)
    run("lintian", "--fail-on", "error,warning", "--allow-root", "--no-user-dirs", PACKAGE)
    storage = pathlib.Path(tempfile.mkdtemp(prefix="usher-image-"))
    BUILDER["CONTAINERS_STORAGE_CONF"] = str(storage / "storage.conf")
    (storage / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{storage}/run"\ngraphroot = "{storage}/graph"\n')
    try:
        base = buildah("from", "scratch")
        buildah("add", "-q", base, archive(), "/")
        buildah("commit", "-q", "--rm", base, "localhost/base")
        buildah("bud", "-q", "--pull-never", "--build-arg", "BASE=localhost/base", "-f", "packaging/docker/Dockerfile", "-t", "usher", ".")
        container = buildah("from", "--pull-never", "localhost/usher")
        check_image(container)
        (storage / "state").mkdir()
        # The image's volume, from the machine as users give it.
        inside = ["run", "--user", "root", "--volume", f"{storage}/state:/var/lib/usher", container, "--"]
        serve_a_device(container, inside, storage / "state" / "dev")
        upgrade_and_purge(container, inside)
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def check_image(container):
    config = json.loads(buildah("inspect", container))["OCIv1"]["config"]
    assert config["User"] == "usher" and config["Entrypoint"] == ["/usr/bin/usher"], config
    assert set(config["ExposedPorts"]) == {"443", "8883", "5671"} or set(config["ExposedPorts"]) == {"443/tcp", "8883/tcp", "5671/tcp"}, config
    assert buildah("run", container, "--", "usher", "--version").startswith("usher 0.")
    assert buildah("run", container, "--", "stat", "-c", "%U %a", "/var/lib/usher") == "usher 700"
    assert buildah("run", container, "--", "stat", "-c", "%G %a", "/etc/usher") == "usher 750"


def serve_a_device(container, inside, state):
    """The image's own command, and a device of Azure's SDK from outside."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-image-run-"))
    wait_for_ports(PORTS)
    config = json.loads(buildah("inspect", container))["OCIv1"]["config"]
    command = [*config["Entrypoint"], *config["Cmd"]]
    # Ports below 1024 want privileges where the machine has no say in it for containers, as here.
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            ["buildah", *inside, *command], env=BUILDER, stdout=log, stderr=log, start_new_session=True)
    try:
        manifest = state / "dev.json"
        wait_until(manifest.exists, process, folder / "log")
        dev = json.loads(manifest.read_text())
        key = b64(os.urandom(32))
        enroll = buildah(*inside, "usher", "enrollment", "create", "im-behaelter", "--symmetric-key", key, "--state", "/var/lib/usher/dev", "--json")
        assert json.loads(enroll)["registrationId"] == "im-behaelter", enroll
        client = ProvisioningDeviceClient.create_from_symmetric_key(
            provisioning_host=dev["device"]["host"], id_scope=dev["idScope"], registration_id="im-behaelter", symmetric_key=key,
            server_verification_cert=(state / dev["trust"]).read_text())
        result = client.register()
        assert result.status == "assigned", result
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def upgrade_and_purge(container, inside):
    """A second installation keeps all; a purge takes the program and leaves what cannot be made again."""
    buildah("copy", container, PACKAGE, "/tmp/usher.deb")
    buildah(*inside, "dpkg", "-i", "/tmp/usher.deb")
    before = buildah(*inside, "find", "/var/lib/usher", "-name", "master.key")
    assert before, "the state has no key"
    buildah(*inside, "dpkg", "-P", "usher")
    listed = buildah(*inside, "sh", "-c", "command -v usher; find /var/lib/usher -name master.key")
    assert listed == before, listed
