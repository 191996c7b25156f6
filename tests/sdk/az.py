"""Unmodified azure-cli against usher: registers the cloud, logs in, and runs `az iot dps` through the life of a service.

It runs only where it is asked for, since azure-cli has 700 MB:

    python3 -m venv target/az && target/az/bin/pip install -r tests/sdk/requirements-az.txt
    target/venv/bin/python tests/sdk/run.py target/release/usher --only az

Also alone, against a server that runs already, on whatever ports:

    python3 tests/sdk/az.py STATE_FOLDER

`az` is taken from USHER_AZ, else from target/az, else from the path.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CLIENT = "00000000-0000-0000-0000-0000000000ad"
TENANT = "00000000-0000-0000-0000-000000000000"
SERVICE = ["--dps-name", "plant-az", "-g", "works"]
NOBODY = ["--dps-name", "nobody", "-g", "works"]
COMMAND_MAX_S = 120


def find_az():
    own = pathlib.Path(__file__).resolve().parents[2] / "target/az/bin/az"
    found = os.environ.get("USHER_AZ") or (str(own) if own.exists() else shutil.which("az"))
    if not found:
        raise RuntimeError("azure-cli is not installed; see the beginning of tests/sdk/az.py")
    return found


class Az:
    """azure-cli with settings of its own, in a temporary folder."""

    def __init__(self, manifest, trust):
        self.management, self.az = manifest["management"], find_az()
        self.folder = tempfile.TemporaryDirectory(prefix="usher-az-")
        self.env = dict(os.environ, AZURE_CONFIG_DIR=self.folder.name + "/cfg", REQUESTS_CA_BUNDLE=trust,
                        AZURE_CORE_COLLECT_TELEMETRY="false", AZURE_CORE_NO_COLOR="true")
        self.env.pop("PYTHONPATH", None)
        self.right, self.wrong = set(), set()

    def command(self, arguments):
        """The command's name: the words before its first option."""
        words = []
        for word in arguments:
            if word.startswith("-"):
                break
            words.append(word)
        return " ".join(words)

    def run(self, *arguments):
        done = subprocess.run([self.az, *arguments], env=self.env, text=True, capture_output=True, timeout=COMMAND_MAX_S)
        return done.returncode, done.stdout, done.stderr

    def __call__(self, *arguments):
        """The answer of a command that must succeed."""
        code, out, err = self.run(*arguments)
        # Secrets stand among the arguments of a log-in.
        assert code == 0, f"az {' '.join(arguments[:3])}: {err[-800:]}"
        self.right.add(self.command(arguments))
        return json.loads(out) if out.strip() else None

    def fails(self, *arguments):
        """What a command that must fail says."""
        code, _, err = self.run(*arguments)
        assert code != 0, f"az {' '.join(arguments[:3])} succeeded"
        self.wrong.add(self.command(arguments))
        return err

    def refuses(self, word, *arguments):
        """A command that must fail, and what it must say for it."""
        err = self.fails(*arguments)
        assert word in err, f"az {' '.join(arguments[:4])}: not {word}: {err[-800:]}"

    def path(self, name):
        return f"{self.folder.name}/{name}"

    # The cases, in their order: each goes on from the one before.

    def registers_the_cloud(self):
        self("cloud", "register", "--name", "usher", "--endpoint-resource-manager", self.management["url"])
        self("cloud", "set", "--name", "usher")
        endpoints = self("cloud", "show", "--query", "endpoints")
        assert endpoints["activeDirectory"] == endpoints["resourceManager"] == self.management["url"], endpoints
        self("config", "set", "core.instance_discovery=false")

    def login(self, secret, client=CLIENT):
        return ["login", "--service-principal", "--username", client, "--password", secret, "--tenant", TENANT]

    def refuses_a_wrong_secret(self):
        assert "Client or secret is wrong" in self.fails(*self.login("wrong"))
        assert "Client or secret is wrong" in self.fails(*self.login(self.management["token"], "00000000-0000-0000-0000-000000000001"))

    def logs_in(self):
        accounts = self(*self.login(self.management["token"]))
        assert [(account["tenantId"], account["state"]) for account in accounts] == [(TENANT, "Enabled")]

    def makes_and_changes_a_service(self):
        made = self("iot", "dps", "create", "-n", "plant-az", "-g", "works", "-l", "local")
        assert made["properties"]["provisioningState"] == "Succeeded" and made["properties"]["idScope"]
        changed = self("iot", "dps", "update", "-n", "plant-az", "-g", "works", "--set", "tags.line=3", "properties.allocationPolicy=GeoLatency")
        assert changed["tags"] == {"line": "3"} and changed["properties"]["allocationPolicy"] == "GeoLatency"
        assert self("iot", "dps", "show", "-n", "plant-az", "-g", "works")["properties"]["idScope"] == made["properties"]["idScope"]
        assert "plant-az" in [found["name"] for found in self("iot", "dps", "list")]
        assert "ResourceNotFound" in self.fails("iot", "dps", "show", "-n", "nobody", "-g", "works")

    def links_hubs(self):
        hub = "HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0"
        self("iot", "dps", "linked-hub", "create", *SERVICE, "--connection-string", hub)
        one = [*SERVICE, "--linked-hub", "localhost"]
        assert self("iot", "dps", "linked-hub", "show", *one)["name"] == "localhost"
        self("iot", "dps", "linked-hub", "update", *one, "--allocation-weight", "5")
        listed = self("iot", "dps", "linked-hub", "list", *SERVICE)
        assert [(found["name"], found["allocationWeight"]) for found in listed] == [("localhost", 5)], listed
        self("iot", "dps", "linked-hub", "delete", *one)
        assert self("iot", "dps", "linked-hub", "list", *SERVICE) == []

    def keeps_policies(self):
        one = [*SERVICE, "--pn", "reader"]
        self("iot", "dps", "policy", "create", *one, "-r", "EnrollmentRead")
        key = self("iot", "dps", "policy", "show", *one)["primaryKey"]
        changed = self("iot", "dps", "policy", "update", *one, "-r", "EnrollmentRead", "EnrollmentWrite")
        assert changed["rights"] == "EnrollmentRead, EnrollmentWrite" and changed["primaryKey"] == key
        self("iot", "dps", "policy", "delete", *one)
        assert [policy["keyName"] for policy in self("iot", "dps", "policy", "list", *SERVICE)] == ["provisioningserviceowner"]

    def certificate(self, verb, *more, etag=True):
        last = ["--etag", self.etag] if etag else []
        told = self("iot", "dps", "certificate", verb, *SERVICE, "-n", "ca", *more, *last)
        self.etag = (told or {}).get("etag")
        return told

    def keeps_and_verifies_certificates(self):
        ca, key, proof = self.path("ca.pem"), self.path("ca.key"), self.path("proof.pem")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", ca, "-subj", "/CN=az CA", "-days", "2",
                "-addext", "basicConstraints=critical,CA:true")
        assert not self.certificate("create", "-p", ca, etag=False)["properties"]["isVerified"]
        code = self.certificate("generate-verification-code")["properties"]["verificationCode"]
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", self.path("proof.key"), "-out", self.path("proof.csr"), "-subj", f"/CN={code}")
        openssl("x509", "-req", "-in", self.path("proof.csr"), "-CA", ca, "-CAkey", key, "-set_serial", "7", "-out", proof, "-days", "1")
        self.certificate("show", etag=False)
        assert self.certificate("verify", "-p", proof)["properties"]["isVerified"]
        self.certificate("update", "-p", ca)
        self.certificate("delete")
        assert self("iot", "dps", "certificate", "list", *SERVICE) == {"value": []}

    def keeps_groups(self):
        name = ["-n", "az-group"]
        assert self("group", "exists", *name) is False
        assert self("group", "create", *name, "-l", "local", "--tags", "site=north")["properties"]["provisioningState"] == "Succeeded"
        assert self("group", "exists", *name) is True and self("group", "show", *name)["tags"] == {"site": "north"}
        assert {"az-group", "works"} <= {found["name"] for found in self("group", "list")}
        self.refuses("ResourceGroupNotEmpty", "group", "delete", "-n", "works", "--yes")
        self("group", "delete", *name, "--yes")
        self.refuses("ResourceGroupNotFound", "group", "show", *name)

    def refuses_what_is_wrong_about_a_service(self):
        self.refuses("InvalidResourceGroup", "iot", "dps", "list", "-g", "dot.")
        self.refuses("is taken", "iot", "dps", "create", "-n", "plant-az", "-g", "works", "-l", "local")
        self.refuses("publicNetworkAccess", "iot", "dps", "update", "-n", "plant-az", "-g", "works", "--set",
                     "properties.publicNetworkAccess=Disabled")
        self.refuses("nobody", "iot", "dps", "delete", "-n", "nobody")

    def refuses_what_is_wrong_about_hubs(self):
        masked = "HostName=new.example;SharedAccessKeyName=a;SharedAccessKey=****"
        hub, nobody = ["iot", "dps", "linked-hub"], ["--linked-hub", "nobody.example"]
        self.refuses("not linked yet", *hub, "create", *SERVICE, "--connection-string", masked, "-l", "local")
        self.refuses("nobody", *hub, "list", *NOBODY)
        for verb, more in (("show", []), ("update", ["--allocation-weight", "2"]), ("delete", [])):
            self.refuses("nobody.example", *hub, verb, *SERVICE, *nobody, *more)

    def refuses_what_is_wrong_about_policies(self):
        policy, nobody = ["iot", "dps", "policy"], ["--pn", "nobody"]
        self.refuses("ResourceNotFound", *policy, "list", *NOBODY)
        self.refuses("ResourceNotFound", *policy, "show", *SERVICE, *nobody)
        self.refuses("provisioningserviceowner", *policy, "create", *SERVICE, "--pn", "provisioningserviceowner", "-r", "EnrollmentRead")
        self.refuses("nobody", *policy, "update", *SERVICE, *nobody, "-r", "EnrollmentRead")
        self.refuses("nobody", *policy, "delete", *SERVICE, *nobody)

    def refuses_what_is_wrong_about_certificates(self):
        certificate, stale = ["iot", "dps", "certificate"], ["--etag", "0123456789abcdef"]
        ca, rubbish = self.path("ca.pem"), self.path("rubbish.pem")
        pathlib.Path(rubbish).write_text("no certificate")
        one = [*SERVICE, "-n", "kept"]
        self(*certificate, "create", *one, "-p", ca)
        self.refuses("InvalidCertificate", *certificate, "create", *SERVICE, "-n", "rubbish", "-p", rubbish)
        self.refuses("ResourceNotFound", *certificate, "list", *NOBODY)
        self.refuses("ResourceNotFound", *certificate, "show", *SERVICE, "-n", "nobody")
        for verb, more in (("update", ["-p", ca]), ("generate-verification-code", []), ("verify", ["-p", ca]), ("delete", [])):
            self.refuses("PreconditionFailed", *certificate, verb, *one, *stale, *more)

    def leaves_no_command_out(self):
        """Every command of azure-cli's own was called both ways."""
        python = pathlib.Path(self.az).resolve().with_name("python")
        script = pathlib.Path(__file__).with_name("az_commands.py")
        done = subprocess.run([python, script], env=self.env, text=True, capture_output=True, timeout=COMMAND_MAX_S)
        assert done.returncode == 0, done.stderr[-800:]
        commands = set(json.loads(done.stdout))
        assert len(commands) > 15, commands
        assert not (never := commands - self.right), f"never called rightly: {sorted(never)}"
        assert not (never := commands - self.wrong), f"never called wrongly: {sorted(never)}"

    def deletes_the_service(self):
        self("iot", "dps", "delete", "-n", "plant-az", "-g", "works")
        assert "plant-az" not in [found["name"] for found in self("iot", "dps", "list")]
        self("logout")
        assert "az login" in self.fails("iot", "dps", "list")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def all_cases(server):
    """Cases as (name, function), against a running server."""
    return cases(Az(server.manifest, server.trust))


def cases(az):
    return [
        ("az cloud register, set, show", az.registers_the_cloud),
        ("az login with a wrong secret or client", az.refuses_a_wrong_secret),
        ("az login", az.logs_in),
        ("az iot dps create, update, show, list", az.makes_and_changes_a_service),
        ("az group create, exists, show, list, delete", az.keeps_groups),
        ("az iot dps linked-hub", az.links_hubs),
        ("az iot dps policy", az.keeps_policies),
        ("az iot dps certificate", az.keeps_and_verifies_certificates),
        ("az iot dps, wrong", az.refuses_what_is_wrong_about_a_service),
        ("az iot dps linked-hub, wrong", az.refuses_what_is_wrong_about_hubs),
        ("az iot dps policy, wrong", az.refuses_what_is_wrong_about_policies),
        ("az iot dps certificate, wrong", az.refuses_what_is_wrong_about_certificates),
        ("az iot dps delete, az logout", az.deletes_the_service),
        ("every command of az iot dps, both ways", az.leaves_no_command_out),
    ]


def main():
    state = pathlib.Path(sys.argv[1])
    manifest = json.loads((state / "dev.json").read_text())
    failed = 0
    for name, work in cases(Az(manifest, str(state / manifest["trust"]))):
        try:
            work()
            print(f"passed: {name}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED: {name}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
