"""Tokens of an OpenID Connect issuer at the management API: an issuer of Python's own, with keys and signatures by another library than
usher's, that changes its keys while usher runs.

Also alone: target/venv/bin/python tests/sdk/oidc.py target/release/usher
"""

import base64
import http.server
import json
import os
import sys
import threading
import time

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from server import Server

AUDIENCE, ROLE = "usher-test", "usher-admin"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, length):
    return b64url(value.to_bytes(length, "big"))


class Key:
    """A signing key; its algorithm is its kind's."""

    def __init__(self, kid, kind):
        self.kid, self.kind = kid, kind
        self.private = rsa.generate_private_key(65537, 2048) if kind == "RS256" else ec.generate_private_key(ec.SECP256R1())

    def jwk(self):
        numbers = self.private.public_key().public_numbers()
        head = {"kid": self.kid, "use": "sig", "alg": self.kind}
        if self.kind == "RS256":
            return head | {"kty": "RSA", "n": number(numbers.n, 256), "e": number(numbers.e, 3)}
        return head | {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}

    def token(self, claims):
        parts = [{"alg": self.kind, "kid": self.kid, "typ": "JWT"}, claims]
        signed = ".".join(b64url(json.dumps(part).encode()) for part in parts)
        if self.kind == "RS256":
            signature = self.private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = utils.decode_dss_signature(self.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return f"{signed}.{b64url(signature)}"


class Issuer:
    """Publishes its description and keys on this machine, and counts how often the keys are asked for."""

    def __init__(self):
        self.keys, self.asked = [Key("r1", "RS256"), Key("e1", "ES256")], 0
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = issuer.document(self.path)
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/realm"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def document(self, path):
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": self.url + "/keys"}
        if path == "/realm/keys":
            self.asked += 1
            return {"keys": [key.jwk() for key in self.keys]}
        return None

    def claims(self, **changed):
        now = int(time.time())
        return {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "roles": [ROLE], "iat": now, "nbf": now, "exp": now + 600} | changed


class World:
    def __init__(self, binary):
        self.issuer = Issuer()
        self.server = Server(binary, "--oidc-issuer", self.issuer.url, "--oidc-audience", AUDIENCE, "--oidc-claim", f"roles={ROLE}")
        self.url = self.server.manifest["management"]["url"] + "/subscriptions?api-version=2021-10-15"

    def answer(self, token):
        told = requests.get(self.url, headers={"Authorization": f"Bearer {token}"}, verify=self.server.trust, timeout=20)
        return told.status_code, told.json().get("error", {}).get("code")

    def opens(self):
        for key in self.issuer.keys:
            assert self.answer(key.token(self.issuer.claims())) == (200, None), key.kind
        assert self.issuer.asked == 1, self.issuer.asked
        assert self.answer(self.server.manifest["management"]["token"]) == (200, None), "the admin token stays good"

    def refuses(self):
        key, now = self.issuer.keys[0], int(time.time())
        for changed, expected in [
            ({"iss": "http://elsewhere.example"}, (401, "InvalidAuthenticationToken")),
            ({"aud": "other"}, (401, "InvalidAuthenticationTokenAudience")),
            ({"exp": now - 120}, (401, "ExpiredAuthenticationToken")),
            ({"nbf": now + 120}, (401, "InvalidAuthenticationToken")),
            ({"roles": ["reader"]}, (403, "AuthorizationFailed")),
            ({"padding": "x" * 20_000}, (401, "InvalidAuthenticationToken")),
        ]:
            assert self.answer(key.token(self.issuer.claims(**changed))) == expected, changed
        forged = Key(key.kid, "RS256").token(self.issuer.claims())
        assert self.answer(forged) == (401, "InvalidAuthenticationToken")
        assert self.issuer.asked == 1, "none of them asks the issuer"

    def follows_new_keys(self):
        self.issuer.keys = [Key("e2", "ES256")]
        token, tries, status = self.issuer.keys[0].token(self.issuer.claims()), 0, 0
        until = time.monotonic() + 40
        while status != 200 and time.monotonic() < until:
            tries, (status, _) = tries + 1, self.answer(token)
            time.sleep(0 if status == 200 else 0.5)
        assert status == 200, "new keys must be found in half a minute"
        assert self.issuer.asked == 2, f"{self.issuer.asked} fetches for {tries} tries"

    def end(self):
        log = self.server.log()
        assert self.server.stop() == 0
        assert "eyJ" not in log, "a token stands in the log"
        self.issuer.http.shutdown()
        self.server.remove()


def all_cases(binary):
    """Cases as (name, function); they share one server, which the last one stops."""
    world = World(binary)
    return [
        ("tokens of the issuer open the management API", world.opens),
        ("wrong tokens are refused by name", world.refuses),
        ("new keys are found, with half a minute between fetches", world.follows_new_keys),
        ("no token in the log; the server ends", world.end),
    ]


def main():
    failed = 0
    for name, work in all_cases(os.path.abspath(sys.argv[1])):
        try:
            work()
            print(f"passed: {name}", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAILED: {name}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
