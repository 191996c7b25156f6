"""The packages, each by the tool that its users have: helm and the Kubernetes schemas, dpkg and lintian, an image builder, systemd."""

from . import chart, debian


def all_cases(binary):
    return [
        ("the Helm chart is rendered, holds to the Kubernetes schemas, and its node starts", chart.rendered, (binary,)),
        ("the Debian package is installed, serves a device from its container, upgraded and purged", debian.installed, (binary,)),
        ("the systemd unit is sound and hardened", debian.unit, ()),
    ]
