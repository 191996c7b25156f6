"""What the cases of the service API's clients share: enrollments to send, devices to register, refusals to judge."""

import base64
import os

import python_device
from every_call.ledger import check_in_log

# What a refusal carries, and the check that the log names for it.
NOT_FOUND = (404, 404201, "NotFound")
STALE = (412, 412001, "PreconditionFailed")
INVALID = (400, 400004, "InvalidBody")
INVALID_ID = (400, 400005, "InvalidId")
WRONG_KEY = (401, 401000, "token.signature")
BEARER = (401, 401000, "token.kind")


def b64(data):
    return base64.b64encode(data).decode()


def symmetric(key=None):
    key = b64(key or os.urandom(32))
    return {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": b64(os.urandom(32))}}


def individual(name, **more):
    return {"registrationId": name, "attestation": symmetric()} | more


def group(name, key=None, **more):
    return {"enrollmentGroupId": name, "attestation": symmetric(key)} | more


def with_wrong_key(connection_string):
    return connection_string.rsplit("SharedAccessKey=", 1)[0] + "SharedAccessKey=" + b64(b"0" * 32)


def register(server, name, key):
    """A device of a group's registers by the key that follows from the group's."""
    import hashlib
    import hmac
    own = b64(hmac.new(key, name.encode(), hashlib.sha256).digest())
    result, _ = python_device.provision(server, name, key=own)
    assert result.status == "assigned", result.status


def judge(server, expected, told):
    """A refusal's status, error code and tracking ID, against what is expected of it; the log must name the check."""
    status, code, check = expected
    assert (told["status"], told["errorCode"]) == (status, code), f"{told}, expected {expected}"
    check_in_log(server, told["trackingId"], check)
