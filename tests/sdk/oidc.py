"""Tokens of an OpenID Connect issuer at the management API: an issuer of Python's own, with keys and signatures by another library than
usher's, that changes its keys while usher runs.

Also alone: target/venv/bin/python tests/sdk/oidc.py target/release/usher
"""

import base64
import hashlib
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

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
        self.codes, self.grants = {}, {}
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.startswith("/realm/authorize?"):
                    self.send_response(302)
                    self.send_header("location", issuer.authorize(dict(urllib.parse.parse_qsl(self.path.split("?", 1)[1]))))
                    self.end_headers()
                    return
                found = issuer.document(self.path)
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                told = issuer.exchange(form) if self.path == "/realm/token" else None
                self.send_response(200 if told else 400)
                self.end_headers()
                self.wfile.write(json.dumps(told or {"error": "invalid_grant"}).encode())

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/realm"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def document(self, path):
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": self.url + "/keys",
                    "authorization_endpoint": self.url + "/authorize", "token_endpoint": self.url + "/token"}
        if path == "/realm/keys":
            self.asked += 1
            return {"keys": [key.jwk() for key in self.keys]}
        return None

    def authorize(self, asked):
        """Somebody logs in, who is let in at once; the code is for one exchange (RFC 6749 section 4.1, RFC 7636)."""
        assert asked["response_type"] == "code" and asked["client_id"] == AUDIENCE and asked["code_challenge_method"] == "S256", asked
        assert asked["scope"] == "openid" and asked["redirect_uri"] == "https://localhost/console/api/oidc/return", asked
        code = b64url(os.urandom(16))
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urllib.parse.urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form):
        asked = self.codes.pop(form.get("code"), None)
        challenge = b64url(hashlib.sha256(form["code_verifier"].encode()).digest())
        if not asked or form["grant_type"] != "authorization_code" or asked["code_challenge"] != challenge:
            return None
        if (form["redirect_uri"], form["client_id"]) != (asked["redirect_uri"], AUDIENCE):
            return None
        return {"token_type": "Bearer", "id_token": self.keys[0].token(self.claims(**{"nonce": asked["nonce"]} | self.grants))}

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

    def console(self):
        """The console signs in at the issuer by code and PKCE, and is told apart from who only comes by."""
        session = requests.Session()
        session.verify = self.server.trust
        base = self.server.manifest["console"] + "console/"
        assert session.get(base + "api/session").json() == {"signedIn": False, "issuer": True}
        page = session.get(base + "api/oidc", timeout=20)
        assert page.url == base and [step.status_code for step in page.history] == [302, 302, 302], (page.url, page.history)
        assert session.get(base + "api/session").json()["signedIn"] is True
        back = page.history[2].url
        for other, address in [(requests.Session(), back), (session, back)]:
            again = other.get(address, verify=self.server.trust, timeout=20)
            assert again.url.endswith("?sign-in=failed"), "a code that was used, or comes to another browser, opens nothing"
        for grants in ({"roles": ["reader"]}, {"nonce": "other"}, {"aud": "other"}):
            self.issuer.grants, stranger = grants, requests.Session()
            assert stranger.get(base + "api/oidc", verify=self.server.trust, timeout=20).url.endswith("?sign-in=failed"), grants
            assert not stranger.get(base + "api/session", verify=self.server.trust).json()["signedIn"], grants
        self.issuer.grants = {}

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
        ("the console signs in at the issuer, by code and PKCE", world.console),
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
