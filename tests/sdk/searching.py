#!/usr/bin/env python3
"""How long the console's lists and searches take over many enrollments; the store is filled first.

    target/venv/bin/python tests/sdk/searching.py target/release/usher [--records 1000000]
"""

import argparse
import itertools
import os
import threading
import time

import requests

from server import Server

WRITERS = 8


class Console:
    def __init__(self, server):
        self.server, self.base = server, server.manifest["console"] + "console/api/"

    def session(self):
        session = requests.Session()
        session.verify = self.server.trust
        answer = session.post(self.base + "session", json={"token": self.server.manifest["management"]["token"]})
        session.headers["x-usher-csrf"] = answer.json()["csrf"]
        return session

    def fill(self, records):
        numbers = itertools.count(0, 10)

        def write():
            session = self.session()
            while (first := next(numbers)) < records:
                items = [{"registrationId": f"press-{n:07d}", "attestation": {"type": "symmetricKey"}} for n in range(first, first + 10)]
                answer = session.post(
                    self.base + "services/dev/api/enrollments?api-version=2021-10-01", json={"mode": "create", "enrollments": items})
                assert answer.json()["isSuccessful"], answer.text
        writers = [threading.Thread(target=write) for _ in range(WRITERS)]
        for step in (threading.Thread.start, threading.Thread.join):
            for writer in writers:
                step(writer)

    def find(self, session, **query):
        return session.get(self.base + "services/dev/find", params={"kind": "enrollment", "limit": 50, **query}).json()

    def median(self, what, session, **query):
        took = []
        for _ in range(5):
            began = time.monotonic()
            found = self.find(session, **query)
            took.append((time.monotonic() - began) * 1000)
        print(f"{what}: {sorted(took)[2]:.1f} ms; {len(found['items'])} found, {found['lookedAt']} looked at", flush=True)
        return found

    def everything(self, session, prefix):
        began, requests_made, found, continuation = time.monotonic(), 0, 0, None
        while requests_made == 0 or continuation:
            page = self.find(session, prefix=prefix, **({"continuation": continuation} if continuation else {}))
            requests_made, found, continuation = requests_made + 1, found + len(page["items"]), page["continuation"]
        print(f"everything that begins with {prefix}: {time.monotonic() - began:.2f} s; {requests_made} requests, {found} found", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--records", type=int, default=100_000)
    given = parser.parse_args()
    server = Server(os.path.abspath(given.binary))
    try:
        console, began = Console(server), time.monotonic()
        console.fill(given.records)
        print(f"{given.records} enrollments made in {time.monotonic() - began:.0f} s", flush=True)
        session = console.session()
        first = console.median("first page", session)
        console.median("second page", session, continuation=first["continuation"])
        console.median("a whole ID", session, prefix=f"press-{given.records // 2:07d}")
        console.median("one request of a search that finds nothing", session, prefix="nobody")
        console.everything(session, f"press-{given.records // 2:07d}"[:-2])
        print(f"resident memory {server.rss_kib() / 1024:.0f} MiB")
    finally:
        server.stop()
        server.remove()


if __name__ == "__main__":
    main()
