#!/usr/bin/env python3
"""High availability on one machine: three PostgreSQL servers, of which two confirm each commit, and nodes of `usher serve` that know all
three addresses. The primary is killed with SIGKILL again and again, a standby is promoted, the killed server rejoins; nodes are killed,
one joins, one leaves, all are restarted one after the other; meanwhile devices register and an operator enrolls.

    target/venv/bin/python tests/sdk/ha.py target/release/usher [--failovers 2] [--seed N]

At the end: everything that was acknowledged is there, once, as nodes.py has it, and all three servers hold the same.
"""

import argparse
import os
import random
import statistics
import threading
import time

import ledger
from cluster import Cluster
from nodes import ENDED_S, SPARE, Broken, Installation, Load, check_all, check_enough, finish, show

# Longest time without an acknowledgement around a failover that passes: a request's patience with the database, and a retry.
OUTAGE_MAX_S = 30


class NodeKiller:
    """Kills nodes, one at a time, until told to stop; whoever changes nodes otherwise holds the lock."""

    def __init__(self, installation, load, chance):
        self.at, self.load, self.chance = installation, load, chance
        self.lock, self.stop, self.failed = threading.Lock(), threading.Event(), None
        self.thread = threading.Thread(target=self.run, name="killer")
        self.thread.start()

    def run(self):
        try:
            while not self.stop.wait(self.chance.uniform(0.5, 1.5)):
                with self.lock:
                    node = self.chance.choice(self.at.nodes)
                    self.at.kill(node)
                    self.load.tally["nodes killed"] += 1
                    time.sleep(self.chance.uniform(0.05, 0.4))
                    # It may have to wait for a primary; others go on meanwhile.
                    self.at.start(node)
        except Exception as error:
            self.failed = error

    def end(self):
        self.stop.set()
        self.thread.join(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Whatever happens: it would start nodes in the way of later tests.
        self.end()
        if self.failed:
            raise self.failed


def trial(binary, failovers=2, seed=None):
    seed = seed if seed is not None else int(time.time())
    chance, load, broken = random.Random(seed), None, True
    installation = Installation(binary, Cluster())
    try:
        load = Load(installation, seed)
        threads = [load.run(load.https_device, f"geraet-h{n}") for n in range(6)]
        threads += [load.run(load.mqtt_device, f"geraet-m{n}") for n in range(3)] + [load.run(load.enroll, "einzeln")]
        killed_at = disturb(installation, load, chance, failovers)
        load.stop.set()
        stopped_at = time.time()
        for thread in threads:
            thread.join(ENDED_S + 20)
        ledger.end_all()
        if load.broken or any(thread.is_alive() for thread in threads):
            raise Broken(f"seed {seed}: {load.broken or 'a device does not end'}")
        check_enough(load, ["registered over HTTPS", "registered over MQTT"],
                     {"enrolled": 10, "nodes killed": 1, "primary killed, standby promoted": failovers})
        check_copies(installation.database)
        check_all(installation, load)
        silent = outages(load, killed_at, stopped_at)
        print(f"  seed {seed}: {dict(load.tally)}; no acknowledgement for {statistics.median(silent):.1f} s in the median of "
              f"{len(silent)} kills of a primary, {max(silent):.1f} s at most ({', '.join(f'{s:.1f}' for s in silent)})", flush=True)
        if max(silent) > OUTAGE_MAX_S:
            raise Broken(f"no acknowledgement for {max(silent):.1f} s after a failover")
        broken = False
    except Broken as error:
        show(error, installation, load)
        raise
    finally:
        if load:
            load.stop.set()
        ledger.end_all()
        installation.remove(keep_logs=broken)


def disturb(installation, load, chance, failovers):
    """All that goes wrong, in an order that covers each kind early; returns when the primary was killed."""
    cluster, killed_at = installation.database, []
    time.sleep(1)
    rolling_restart(installation, load)
    # From here on, a device whose node was killed at the wrong moment polls until the operation's lease has ended.
    with NodeKiller(installation, load, chance) as killer:
        for round in range(failovers):
            if load.broken or killer.failed:
                break
            if round == failovers - 1:
                # So that the leases of its victims end meanwhile.
                killer.end()
            time.sleep(chance.uniform(0.5, 2))
            killed_at.append(time.time())
            # Every other time the primary has written what no standby has, and shows it once more before it dies for good.
            cut_off, comeback = (chance.uniform(0.2, 0.6), chance.uniform(0.0, 2.0)) if round % 2 else (0.0, 0.0)
            old = cluster.fail_over(cut_off, comeback)
            load.tally["primary killed, standby promoted"] += 1
            time.sleep(chance.uniform(0.5, 2))
            old.rejoin(cluster.primary)
            cluster.wait_for_standbys()
            with killer.lock:
                if round == 0:
                    installation.start(SPARE)
                    installation.nodes.append(SPARE)
                    load.tally["nodes joined"] += 1
                if round == 1:
                    leave(installation, load, installation.nodes[0])
            if round % 3 == 1:
                killed_at.append(time.time())
                cluster.restart_in_place(chance.uniform(0.2, 0.6))
                load.tally["primary killed and restarted"] += 1
                cluster.wait_for_standbys()
        time.sleep(1)
    return killed_at


def rolling_restart(installation, load):
    """All nodes, one after the other, under load."""
    for node in list(installation.nodes):
        if code := installation.end(node):
            raise Broken(f"{node} ended with {code} after SIGTERM")
        installation.start(node)
        load.tally["nodes restarted"] += 1


def leave(installation, load, node):
    """A node ends for good while clients still ask it for a moment."""
    if code := installation.end(node):
        raise Broken(f"{node} ended with {code} after SIGTERM")
    time.sleep(0.3)
    installation.nodes.remove(node)
    load.tally["nodes left"] += 1


def outages(load, killed_at, stopped_at):
    """The longest time without an acknowledged registration or enrollment after each kill of a primary and before the next, in seconds."""
    acknowledged = sorted([told["at"] for told in load.registered.values()] + load.enrolled_at)
    found = []
    for at, end in zip(killed_at, killed_at[1:] + [stopped_at]):
        times = [at] + [time for time in acknowledged if at < time < end]
        found.append(max((later - earlier for earlier, later in zip(times, times[1:])), default=end - at))
    return found


def check_copies(cluster):
    """All three servers hold the same, once the load has ended."""
    deadline = time.monotonic() + 30
    while len(contents := {cluster.contents(member) for member in cluster.members}) > 1:
        if time.monotonic() > deadline:
            raise Broken(f"the servers differ: {contents}")
        time.sleep(0.5)


def all_cases(binary):
    return [("three PostgreSQL servers and three nodes; primaries and nodes killed, nodes joining and leaving", lambda: trial(binary))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=os.path.abspath)
    parser.add_argument("--failovers", type=int, default=2)
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    finish(lambda: trial(given.binary, given.failovers, given.seed))


if __name__ == "__main__":
    main()
