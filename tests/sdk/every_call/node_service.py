"""azure-iot-provisioning-service for Node: every method once right and once wrong. The calls are node/every_call.js; judged is here."""

from every_call.data_plane import BEARER, INVALID, NOT_FOUND, STALE, WRONG_KEY, judge
from server import node

# What the wrong call of each method is refused with.
REFUSALS = {
    "fromConnectionString": WRONG_KEY,
    "fromTokenCredential": BEARER,
    "createOrUpdateIndividualEnrollment": STALE,
    "getIndividualEnrollment": NOT_FOUND,
    "getIndividualEnrollmentAttestationMechanism": NOT_FOUND,
    "createIndividualEnrollmentQuery": INVALID,
    "deleteIndividualEnrollment": STALE,
    "createOrUpdateEnrollmentGroup": INVALID,
    "getEnrollmentGroup": NOT_FOUND,
    "getEnrollmentGroupAttestationMechanism": NOT_FOUND,
    "createEnrollmentGroupQuery": INVALID,
    "deleteEnrollmentGroup": STALE,
    "runBulkEnrollmentOperation": INVALID,
    "createEnrollmentGroupDeviceRegistrationStateQuery": WRONG_KEY,
    "getDeviceRegistrationState": NOT_FOUND,
    "deleteDeviceRegistrationState": STALE,
}


def all_cases(server):
    """Cases as (name, function)."""
    job = {"service": server.service, "host": server.host, "idScope": server.id_scope}
    answer = node(server, "every_call.js", job, timeout=90)
    if "methods" not in answer:
        raise RuntimeError(f"every_call.js: {answer}")
    client = f"azure-iot-provisioning-service {answer['version']}"
    found = [(f"{client}: every public method is tried", lambda: is_complete(answer))]
    for method, expected in REFUSALS.items():
        found.append((f"{client}: {method}, right and wrong", lambda m=method, e=expected: both(server, answer["calls"][m], m, e)))
    return found


def is_complete(answer):
    methods, tried = set(answer["methods"]), set(REFUSALS)
    assert methods, "no method was found"
    assert methods == tried == set(answer["calls"]), f"never called: {methods - tried}; not there: {tried - methods}"


def both(server, told, method, expected):
    assert told["right"] is None, told["right"]
    assert method in told["called"]["right"] and method in told["called"]["wrong"], told["called"]
    wrong = told["wrong"]
    assert "status" in wrong, wrong
    judge(server, expected, wrong)
