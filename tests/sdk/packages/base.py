#!/usr/bin/env python3
"""A small Debian, to install the package into. Kept, since it is fetched from Debian's archive, which takes a minute."""

import os
import pathlib
import subprocess

BASE = pathlib.Path(__file__).parents[3] / "target" / "base-bookworm.tar"


def archive():
    """The archive, made where it is not there."""
    if not BASE.exists():
        part = f"{BASE}.part"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", "--include=ca-certificates", "bookworm", part], check=True)
        os.replace(part, BASE)
    return BASE


if __name__ == "__main__":
    print(archive())
