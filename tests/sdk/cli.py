"""usher's own commands against a running server, right and wrong: what they make, Azure's service SDK reads and Azure's device SDK uses."""

import base64
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

from azure.core.exceptions import HttpResponseError
from azure.iot.deviceprovisioning import DeviceProvisioningClient

import certificates
import python_device
from enrolling import b64, derived

# A public area that is whole as far as an enrollment goes: two bytes of size, then as many.
EK = b64(b"\x00\x08" + b"endorsed")


class Cli:
    """The commands, as a user of `usher dev` runs them."""

    def __init__(self, server):
        self.server, self.binary, self.state = server, server.process.args[0], server.folder / "state"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usher-cli-"))
        self.sdk = DeviceProvisioningClient.from_connection_string(server.service, connection_verify=server.trust)
        self.hub = server.manifest["hubs"][0]["hostName"]

    def run(self, *words, state=True, env=None, stdin=None):
        place = ["--state", self.state] if state else []
        return subprocess.run(
            [self.binary, *words, *place], capture_output=True, text=True, timeout=60, cwd=self.folder, input=stdin, env=dict(os.environ, **(env or {})))

    def text(self, *words, **options):
        done = self.run(*words, **options)
        assert done.returncode == 0, (words, done.returncode, done.stderr)
        return done.stdout

    def json(self, *words, **options):
        return json.loads(self.text(*words, "--json", **options))

    def refused(self, words, told, code=1, **options):
        done = self.run(*words, **options)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        assert told in done.stderr, (words, told, done.stderr)
        if code == 1:
            what, _, following = done.stderr.strip().partition("\n  ")
            assert what.startswith("usher: ") and following, ("it says not what to do next", done.stderr)
        return done.stderr

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)


def symmetric_key(cli):
    made = cli.json("enrollment", "create", "cli-key", "--symmetric-key", "generate", "--keys", "--twin", '{"tags":{"a":1},"desired":{"line":7}}')
    keys = made["attestation"]["symmetricKey"]
    there = cli.sdk.enrollment.get("cli-key")
    assert there["initialTwin"] == {"tags": {"a": 1}, "properties": {"desired": {"line": 7}}}, there
    assert cli.sdk.enrollment.get_attestation_mechanism("cli-key")["symmetricKey"]["primaryKey"] == keys["primaryKey"]
    assert cli.json("enrollment", "keys", "cli-key") == keys
    result, _ = python_device.provision(cli.server, "cli-key", keys["primaryKey"])
    assert result.status == "assigned"
    shown = cli.json("registration", "show", "cli-key")
    assert (shown["status"], shown["deviceId"]) == ("assigned", "cli-key"), shown
    assert result.registration_state.assigned_hub in cli.text("enrollment", "list", "--query", "SELECT * WHERE registrationId = 'cli-key'")
    assert any(state["registrationId"] == "cli-key" for state in cli.json("registration", "list", "--top", "10000"))
    cli.refused(["registration", "delete", "cli-key", "--etag", "0000000000000001"], "412")
    cli.text("registration", "delete", "cli-key", "--etag", shown["etag"])
    cli.refused(["registration", "show", "cli-key"], "has no registration")


def certificate(cli):
    identity = certificates.make("cli-cert")
    pem = cli.file("cli-cert.pem", identity.pem)
    cli.text("enrollment", "create", "cli-cert", "--certificate", pem, "--device-id", "another-name", "--hub", cli.hub, "--allocation", "static")
    there = cli.sdk.enrollment.get("cli-cert")
    assert (there["deviceId"], there["iotHubs"], there["allocationPolicy"]) == ("another-name", [cli.hub], "static"), there
    result, _ = python_device.provision(cli.server, "cli-cert", identity=identity)
    assert result.registration_state.device_id == "another-name"
    shown = cli.text("enrollment", "show", "cli-cert")
    assert there["attestation"]["x509"]["clientCertificates"]["primary"]["info"]["sha256Thumbprint"] in shown, shown


def uploaded_authority(cli):
    factory = certificates.Factory("cli-factory")
    pem, key = cli.file("root.pem", factory.root.pem), cli.file("root.key", factory.root.key_pem)
    wrong = cli.file("wrong.key", certificates.make("wrong").key_pem)
    assert cli.json("certificate", "upload", "cli-root", pem)["properties"]["isVerified"] is False
    cli.refused(["certificate", "prove", "cli-root", "--key", wrong], "not that of the uploaded certificate")
    cli.refused(["certificate", "prove", "cli-root", "--key", pem], "cannot be read")
    cli.refused(["certificate", "prove", "cli-rot", "--key", key], "is cli-root meant?")
    assert cli.json("certificate", "prove", "cli-root", "--key", key)["properties"]["isVerified"] is True
    assert "cli-root" in cli.text("certificate", "list") and cli.json("certificate", "show", "CLI-ROOT")["name"] == "cli-root"
    cli.text("group", "create", "cli-line", "--ca-reference", "cli-root", "--reprovision", "reset", "--edge=false")
    there = cli.sdk.enrollment_group.get("cli-line")
    assert there["attestation"]["x509"]["caReferences"]["primary"] == "cli-root", there
    assert there["reprovisionPolicy"] == {"updateHubAssignment": True, "migrateDeviceData": False}, there
    result, _ = python_device.provision(cli.server, "cli-of-line", identity=factory.device("cli-of-line"))
    assert result.status == "assigned"
    listed = cli.json("registration", "list", "--group", "cli-line")
    assert [state["registrationId"] for state in listed] == ["cli-of-line"], listed
    cli.refused(["certificate", "delete", "cli-root"], "refers to this certificate")
    cli.refused(["registration", "list", "--group", "cli-lime"], "is cli-line meant?")
    cli.text("group", "delete", "cli-line")
    cli.text("certificate", "delete", "cli-root")


def proof_by_openssl(cli):
    """The way where the CA's key is elsewhere, by the commands that `generate-code` shows."""
    factory = certificates.Factory("cli-elsewhere")
    cli.file("ca.pem", factory.root.pem)
    cli.file("ca.key", factory.root.key_pem)
    cli.text("certificate", "upload", "cli-far", "ca.pem")
    shown = cli.text("certificate", "generate-code", "cli-far")
    commands = [line.strip() for line in shown.splitlines() if line.strip().startswith("openssl")]
    subprocess.run("set -e\n" + "\n".join(commands), shell=True, check=True, cwd=cli.folder, capture_output=True)
    cli.refused(["certificate", "verify", "cli-far", "ca.pem"], "answered 4")
    assert cli.json("certificate", "verify", "cli-far", "proof.pem")["properties"]["isVerified"] is True
    cli.refused(["certificate", "delete", "cli-far", "--etag", "0000000000000001"], "412")
    cli.text("certificate", "delete", "cli-far")


def group_key(cli):
    cli.text("group", "create", "cli-keys", "--symmetric-key", b64(b"k" * 32), "--secondary-key", b64(b"s" * 32))
    result, _ = python_device.provision(cli.server, "cli-derived", b64(derived(b"k" * 32, "cli-derived")))
    assert result.status == "assigned"
    cli.text("group", "disable", "cli-keys")
    assert cli.sdk.enrollment_group.get("cli-keys")["provisioningStatus"] == "disabled"
    cli.text("group", "enable", "cli-keys")
    keys = cli.json("group", "keys", "cli-keys")
    assert keys == {"primaryKey": b64(b"k" * 32), "secondaryKey": b64(b"s" * 32)}, "a change of the status changed the keys"
    cli.text("group", "update", "cli-keys", "--webhook", "https://chooser.example/api?code=1")
    there = cli.sdk.enrollment_group.get("cli-keys")
    assert there["customAllocationDefinition"] == {"webhookUrl": "https://chooser.example/api?****", "apiVersion": "2021-10-01"}, there
    cli.text("group", "update", "cli-keys", "--allocation", "geo-latency", "--hub", cli.hub)
    there = cli.sdk.enrollment_group.get("cli-keys")
    assert there["allocationPolicy"] == "geoLatency" and "customAllocationDefinition" not in there and there["iotHubs"] == [cli.hub], there
    cli.text("group", "delete", "cli-keys")


def tpm(cli):
    cli.text("enrollment", "create", "cli-tpm", "--tpm-ek", EK)
    assert cli.sdk.enrollment.get("cli-tpm")["attestation"]["tpm"]["endorsementKey"] == EK
    cli.refused(["enrollment", "keys", "cli-tpm"], "has no symmetric keys")


def etags(cli):
    made = cli.json("enrollment", "create", "cli-etag", "--symmetric-key")
    keys = cli.json("enrollment", "keys", "cli-etag")
    changed = cli.json("enrollment", "update", "cli-etag", "--device-id", "x", "--etag", made["etag"])
    assert changed["etag"] != made["etag"] and cli.json("enrollment", "keys", "cli-etag") == keys
    for words in (["update", "cli-etag", "--edge"], ["disable", "cli-etag"], ["delete", "cli-etag"]):
        cli.refused(["enrollment", *words, "--etag", made["etag"]], "412")
    assert "deviceId" not in cli.json("enrollment", "update", "cli-etag", "--device-id=")
    assert cli.json("enrollment", "delete", "cli-etag") == {"deleted": "cli-etag"}


def odd_names(cli):
    for name in ("a:b.c_d-", "A" * 128, "query", "1"):
        cli.text("enrollment", "create", name, "--symmetric-key")
        assert cli.json("enrollment", "show", name)["registrationId"] == cli.sdk.enrollment.get(name)["registrationId"] == name
        cli.text("enrollment", "delete", name)
    for name in ("a/../b", "a b", "é", "a%2Fb", "x" * 129):
        cli.refused(["enrollment", "create", name, "--symmetric-key"], "400")
        cli.refused(["enrollment", "show", name], "")


def whole_documents(cli):
    document = {"attestation": {"type": "symmetricKey"}, "initialTwin": {"properties": {"desired": {"a": 1}}}, "optionalDeviceInformation": {"b": 2}}
    cli.text("enrollment", "create", "cli-json", "--from-json", "-", "--status", "disabled", stdin=json.dumps(document))
    there = cli.sdk.enrollment.get("cli-json")
    assert there["optionalDeviceInformation"] == {"b": 2} and there["provisioningStatus"] == "disabled", there
    told = cli.json("enrollment", "show", "cli-json")
    told["deviceId"] = "changed-by-hand"
    cli.text("enrollment", "update", "cli-json", "--from-json", cli.file("cli.json", json.dumps(told)))
    assert cli.sdk.enrollment.get("cli-json")["deviceId"] == "changed-by-hand"
    cli.text("enrollment", "delete", "cli-json")


def policies(cli):
    def factory():
        told = cli.json("service", "keys", "dev", "--policy", "factory")[0]
        host = cli.server.service.split(";")[0]
        return f"{host};SharedAccessKeyName=factory;SharedAccessKey={told['primaryKey']}"

    cli.text("service", "keys", "dev", "--policy", "factory", "--right", "enrollment-read")
    reader = factory()
    sdk = DeviceProvisioningClient.from_connection_string(reader, connection_verify=cli.server.trust)
    sdk.enrollment.get("cli-key")
    by = ["--connection-string", reader]
    cli.text("enrollment", "list", *by)
    cli.refused(["enrollment", "create", "cli-not", "--symmetric-key", *by], "holds the right")
    cli.text("service", "keys", "dev", "--policy", "factory", "--right", "enrollment-read", "--right", "enrollment-write")
    cli.text("enrollment", "list", env={"USHER_CONNECTION_STRING": factory()})
    cli.text("service", "keys", "dev", "--policy", "factory", "--regenerate", "both")
    cli.refused(["enrollment", "list", *by], "401")
    with contextlib.suppress(HttpResponseError):
        sdk.enrollment.get("cli-key")
        raise AssertionError("the old key still opens the service")
    cli.refused(["service", "keys", "dev", "--policy", "factori", "--regenerate", "both"], "is factory meant?")
    cli.text("service", "keys", "dev", "--policy", "factory", "--delete")
    assert [policy["keyName"] for policy in cli.json("service", "keys", "dev")] == ["provisioningserviceowner"]


def ways_to_the_service(cli):
    management = cli.server.manifest["management"]
    far = ["--url", management["url"], "--trust", cli.server.trust]
    assert isinstance(cli.json("enrollment", "list", *far, env={"USHER_TOKEN": management["token"]}, state=False), list)
    by_string = ["--connection-string", cli.server.service, "--trust", cli.server.trust]
    assert isinstance(cli.json("group", "list", *by_string, state=False), list)
    cli.refused(["group", "list", "--connection-string", cli.server.service], "--trust", state=False)
    cli.refused(["group", "list"], "Start `usher dev`", state=False)
    cli.refused(["group", "list", "--connection-string", "HostName=localhost"], "no SharedAccessKeyName")
    gone = cli.server.service.replace("localhost", "localhost:1")
    cli.refused(["group", "list", "--connection-string", gone, "--trust", cli.server.trust], "Is the server running", state=False)


def what_sdks_make(cli):
    for number in range(3):
        key = b64(os.urandom(32))
        cli.sdk.enrollment.create_or_update(f"by-sdk-{number}", {
            "registrationId": f"by-sdk-{number}", "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}})
        assert cli.json("enrollment", "show", f"by-sdk-{number}", "--keys")["attestation"]["symmetricKey"]["primaryKey"] == key
    shown = cli.run("enrollment", "list", "--top", "2")
    assert len(shown.stdout.splitlines()) == 4 and "There are more" in shown.stderr, (shown.stdout, shown.stderr)
    for number in range(3):
        cli.text("enrollment", "delete", f"by-sdk-{number}")


WRONG = [
    # what is said, the exit code, what is told
    ("enrollment show cli-keyy", 1, "is cli-key meant?"),
    ("enrollment update nobody-like-this --edge", 1, "there is no enrollment"),
    ("enrollment delete nobody-like-this", 1, "`usher enrollment list`"),
    ("enrollment create cli-key --symmetric-key", 1, "enrollment cli-key already"),
    ("enrollment create cli-new", 1, "--symmetric-key, --certificate"),
    ("group create cli-new", 1, "--ca, --ca-reference"),
    ("enrollment create cli-new --symmetric-key c2hvcnQ=", 1, "400004"),
    ("enrollment create cli-new --symmetric-key --hub nowhere.example", 1, "not linked"),
    ("enrollment create cli-new --symmetric-key --allocation static", 1, "exactly one hub"),
    ("enrollment create cli-new --certificate nowhere.pem", 1, "cannot read nowhere.pem"),
    ("enrollment create cli-new --symmetric-key --etag 1", 1, "--etag"),
    ("enrollment update cli-key", 1, "as wished already"),
    ("enrollment list --query DELETE", 1, "SELECT"),
    ("enrollment import nowhere.csv", 1, "cannot read nowhere.csv"),
    ("enrollment import nowhere.txt", 1, "--format csv"),
    ("enrollment export nowhere/x.csv", 1, "cannot write"),
    ("enrollment list --service plant", 1, "no provisioning service plant"),
    ("registration show nobody-like-this", 1, "usher explain"),
    ("certificate upload x nowhere.pem", 1, "cannot read nowhere.pem"),
    ("certificate generate-code nothing", 1, "it has none"),
    ("enrollment crate x", 2, "'create'"),
    ("enrollment create x --symetric-key", 2, "--symmetric-key"),
    ("enrollment create x --symmetric-key --certificate a", 2, "cannot be used with"),
    ("enrollment list --top 0", 2, "1..=100000"),
    ("completions tcsh", 2, "possible values"),
    ("man --to /proc/nowhere", 1, "cannot write"),
]


def wrong(cli):
    for line, code, told in WRONG:
        words = line.split(" ")
        cli.refused(words, told, code, state=words[0] not in ("man", "completions") and code != 2)


def files_of_many(cli):
    """All kinds in one CSV; what is exported and imported elsewhere is the same."""
    identity = certificates.make("many-x509")
    cli.file("many-x509.pem", identity.pem)
    twin = '"{""tags"":{""n"":""é,""},\n""properties"":{""desired"":{""a"":1}}}"'
    csv = "\n".join([
        "registrationId,attestation,primaryKey,certificate,endorsementKey,deviceId,hub,reprovision,status,edge,twin",
        f"many-key,,{b64(b'k' * 32)},,,many-dev,{cli.hub},keep,disabled,true,{twin}",
        "many-x509,,,many-x509.pem,,,,,,,",
        f"many-tpm,tpm,,,{EK},,,,,,",
        "many-short,,c2hvcnQ=,,,,,,,,",
        "many-none,,,,,,,,,,",
        "many-missing,,,nowhere.pem,,,,,,,",
        "many-generated,symmetricKey,,,,,,,,,",
    ]) + "\n"
    path = cli.file("many.csv", csv)
    assert "5 lines can be read, 2 cannot" in cli.run("enrollment", "import", path, "--check").stdout
    stderr = cli.refused(["enrollment", "import", path], "3 lines were not taken", 3)
    assert "nothing is made twice" in stderr
    errors = [json.loads(line) for line in open(path + ".errors.jsonl")]
    assert [error["line"] for error in errors] == [6, 7, 8], errors
    assert errors[0]["errorCode"] == 400004 and errors[0]["id"] == "many-short" and "nowhere.pem" in errors[2]["error"], errors
    assert not os.path.exists(path + ".journal"), "the journal of a finished import is left"
    there = cli.sdk.enrollment.get("many-key")
    assert there["initialTwin"]["tags"] == {"n": "é,"} and there["deviceId"] == "many-dev" and there["capabilities"] == {"iotEdge": True}, there
    again = cli.run("enrollment", "import", path, "--json")
    assert json.loads(again.stdout)["counts"] == {"lines": 7, "created": 0, "unchanged": 4, "updated": 0, "failed": 3}, again.stdout
    changed = cli.file("changed.csv", f"registrationId,primaryKey\nmany-key,{b64(b'k' * 32)}\n")
    cli.refused(["enrollment", "import", changed], "1 lines were not taken", 3)
    assert "differs in deviceId, iotHubs" in open(changed + ".errors.jsonl").read()
    assert cli.json("enrollment", "import", changed, "--update")["counts"]["updated"] == 1
    assert "deviceId" not in cli.sdk.enrollment.get("many-key")
    chosen = ["--query", "SELECT * FROM enrollments WHERE registrationId = 'many-key' OR registrationId = 'many-tpm' OR registrationId = 'many-generated'"]
    for name in ("out.csv", "out.jsonl"):
        assert cli.json("enrollment", "export", name, "--keys", *chosen)["exported"] == 3
        assert oct((cli.folder / name).stat().st_mode & 0o777) == "0o600" and not (cli.folder / (name + ".part")).exists()
        for device in ("many-key", "many-tpm", "many-generated"):
            cli.text("enrollment", "delete", device)
        assert cli.json("enrollment", "import", name)["counts"]["created"] == 3
        before, _ = sorted(open(cli.folder / name)), cli.text("enrollment", "export", "again-" + name, "--keys", *chosen)
        assert sorted(open(cli.folder / ("again-" + name))) == before
    piped = cli.text("enrollment", "export", "-", "--format", "jsonl", "--query", "SELECT * WHERE registrationId = 'many-x509'")
    assert json.loads(piped)["registrationId"] == "many-x509" and "registrationState" not in json.loads(piped)
    assert "1 there already" in cli.text("enrollment", "import", "-", "--format", "jsonl", stdin=piped)
    groups = cli.file("groups.jsonl", json.dumps({"enrollmentGroupId": "many-group", "attestation": {"type": "symmetricKey"}}) + "\n")
    assert cli.json("group", "import", groups)["counts"]["created"] == 1
    cli.text("group", "delete", "many-group")


def completions(cli):
    """Sourced in a real bash, which is asked what it would complete."""
    script = cli.file("completions.bash", cli.text("completions", "bash", state=False))
    for words, expected in (("usher enr", "enrollment"), ("usher enrollment cre", "create"), ("usher enrollment create x --symm", "--symmetric-key"),
                            ("usher certificate gen", "generate-code")):
        typed = words.split(" ")
        ask = (f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _usher usher {typed[-1]} {typed[-2]}; "
               'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", ask], capture_output=True, text=True, timeout=20, check=True)
        assert done.stdout.split() == [expected], (words, done.stdout, done.stderr)
    for shell, word in (("zsh", "#compdef usher"), ("fish", "complete -c usher"), ("powershell", "Register-ArgumentCompleter")):
        assert word in cli.text("completions", shell, state=False)


def manual(cli):
    """mandoc finds nothing to mend, and renders each page with its name, its options and its exit codes."""
    cli.text("man", "--to", "man", state=False)
    pages = sorted((cli.folder / "man").glob("*.1"))
    assert len(pages) > 50, pages
    linted = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True, timeout=60)
    assert linted.returncode == 0, linted.stdout[:2000]
    shown = subprocess.run(["mandoc", "-T", "utf8", cli.folder / "man" / "usher-enrollment-create.1"], capture_output=True, text=True, check=True)
    # Bold is written as a letter, a step back, and the letter again.
    plain = re.sub(".\b", "", shown.stdout)
    for word in ("usher enrollment create", "--symmetric-key", "EXIT STATUS", "Examples"):
        assert word in plain, (word, plain)


def beginning(cli):
    assert "usher dev" in cli.text(state=False) and "Usage:" in cli.text("--help", state=False)


def all_cases(server):
    cli = Cli(server)
    cases = [
        ("a symmetric key: made, read by the SDK, used by a device, its registration shown and forgotten", symmetric_key),
        ("a device's certificate, on one hub under another name", certificate),
        ("a CA certificate uploaded, proved with its key in one command, referred to", uploaded_authority),
        ("a CA certificate proved by the commands that are shown for OpenSSL", proof_by_openssl),
        ("a group key, disabled and enabled, with webhook and without", group_key),
        ("a TPM's endorsement key", tpm),
        ("changes under ETags keep the keys", etags),
        ("IDs with odd characters", odd_names),
        ("whole documents from standard input and files", whole_documents),
        ("access policies: made, limited, regenerated, deleted", policies),
        ("the service by dev.json, connection string, environment, management API", ways_to_the_service),
        ("what the SDK makes is shown", what_sdks_make),
        ("what is wrong is told with what to do, and the exit code", wrong),
        ("files of many, there and back", files_of_many),
        ("completions in a real bash", completions),
        ("manual pages without a warning", manual),
        ("usher alone tells how to begin", beginning),
    ]
    return [(name, lambda case=case: case(cli)) for name, case in cases]
