"""The table of conformance cases: client, attestation, transport. The one place where they are listed."""

ATTESTATIONS = {
    "key": "symmetric key, individual",
    "key-group": "symmetric key, group",
    "x509": "X.509, individual",
    "x509-root": "X.509, group by root, two intermediates",
    "x509-intermediate": "X.509, group by intermediate",
    "tpm": "TPM 2.0",
}

PYTHON = "azure-iot-device (PyPI)"
NODE = "azure-iot-provisioning-device (npm)"

# What no public client can do, with the reason; printed, never left blank.
IMPOSSIBLE = {
    (PYTHON, "https"): "the Python SDK has no HTTPS transport",
    (PYTHON, "amqp"): "the Python SDK has no AMQP transport",
    (PYTHON, "amqp-ws"): "the Python SDK has no AMQP transport",
    (PYTHON, "tpm"): "the Python SDK has no TPM attestation",
    (NODE, "mqtt", "tpm"): "no SDK does TPM over MQTT",
    (NODE, "mqtt-ws", "tpm"): "no SDK does TPM over MQTT",
}

# Transports and attestations that usher does not serve yet.
NOT_SERVED = set()

# What cannot be tried against usher yet, with the reason; printed, and not counted.
NOT_AVAILABLE = {
    "a cloud-to-device message by azure-iothub (npm) or azure-iot-hub (PyPI)":
        "both send over AMQP, which the embedded hub speaks with devices only; the table's messages are sent by the hub's REST",
}

TRANSPORTS = ["https", "mqtt", "mqtt-ws", "amqp", "amqp-ws"]


def reason_not_to_run(client, attestation, transport):
    """Why a cell is not run: `n/a` with the client's limit, or `not served`; None where it is run."""
    for key in [(client, transport), (client, attestation), (client, transport, attestation)]:
        if key in IMPOSSIBLE:
            return "n/a: " + IMPOSSIBLE[key]
    if attestation in NOT_SERVED or transport in NOT_SERVED:
        return "not served yet"
    return None


def all_cells():
    """Every cell of the table."""
    for client in [PYTHON, NODE]:
        for attestation in ATTESTATIONS:
            for transport in TRANSPORTS:
                yield client, attestation, transport
