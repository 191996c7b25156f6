"""The audit log: every change by Azure's own SDKs is in it with who and from where, and a look at the whole of it shows that it is whole."""

import json
import subprocess

from azure.iot.deviceprovisioning import DeviceProvisioningClient

from enrolling import b64
from management import Management


def usher(binary, server, *arguments):
    done = subprocess.run([binary, "audit", *arguments, "--json", "--state", server.folder / "state"], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else done.stderr


def entries(binary, server):
    code, page = usher(binary, server, "list", "--limit", "200")
    assert code == 0, page
    return [link["entry"] for link in page["value"]]


def changes_are_told(server, binary, device="geprueft"):
    service = DeviceProvisioningClient.from_connection_string(server.service)
    key = b64(bytes(32))
    enrollment = {"registrationId": device, "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}}
    service.enrollment.create_or_update(device, enrollment)
    service.enrollment.get_attestation_mechanism(device)
    service.enrollment.get(device)
    service.enrollment.delete(device)
    try:
        service.enrollment.delete(device)
    except Exception:
        pass
    found = [entry for entry in entries(binary, server) if f"/enrollments/{device}" in entry["action"]]
    told = [(entry["action"], entry["phase"]) for entry in reversed(found)]
    path, mechanism = f"/enrollments/{device}", f"/enrollments/{device}/attestationmechanism"
    wanted = [(f"PUT {path}", 200), (f"POST {mechanism}", 200), (f"DELETE {path}", 204), (f"DELETE {path}", 404)]
    assert told == [pair for action, status in wanted for pair in ((action, "begun"), (action, {"ended": status}))], told
    assert all(entry["actor"] == {"policy": "provisioningserviceowner"} and entry["address"].endswith("1") for entry in found), found
    assert key not in json.dumps(found), "a key is in the log"


def management_is_told(server, binary):
    management = Management(server)
    list(management.client().iot_dps_resource.list_keys(management.name, management.group))
    last = next(entry for entry in entries(binary, server) if entry["action"].endswith("/listkeys"))
    assert last["actor"] == "administrator" and last["service"] == management.name and last["phase"] == {"ended": 200}, last


def the_log_is_whole(server, binary):
    code, first = usher(binary, server, "verify")
    assert code == 0 and first["whole"] and first["entries"] > 0, first
    changes_are_told(server, binary, "nochmals-geprueft")
    code, later = usher(binary, server, "verify", "--digest", first["digest"])
    assert code == 0 and later["whole"] and later["entries"] > first["entries"], later
    code, why = usher(binary, server, "verify", "--digest", "0" * 64)
    assert code == 1 and "cut off" in json.dumps(why), why


def all_cases(server, binary):
    return [
        ("each change is in the audit log, with who, from where and what came of it", lambda: changes_are_told(server, binary)),
        ("so are the administrator's", lambda: management_is_told(server, binary)),
        ("the audit log proves that it is whole", lambda: the_log_is_whole(server, binary)),
    ]
