"""Three real PostgreSQL servers: one primary, two standbys that it waits for (any one of them), and who is promoted when it dies.

What a cluster's keeper (Patroni, pg_auto_failover, ...) does is done here step by step, by the rules of docs/postgres.md: the old primary is
gone for certain before another is promoted; of all standbys that may have confirmed a commit, the most advanced one is.
"""

import concurrent.futures
import os
import shutil
import signal
import subprocess
import time

from postgres import Postgres

NAMES = ("eins", "zwei", "drei")
SETTINGS = {
    "wal_log_hints": "on", "wal_keep_size": "1GB", "recovery_init_sync_method": "syncfs",
    "wal_receiver_timeout": "3s", "wal_sender_timeout": "3s", "wal_retrieve_retry_interval": "200ms",
}
# A commit is acknowledged when it is on two servers. Set once there are three: the first would wait for ever.
SYNCHRONOUS = {"synchronous_standby_names": "ANY 1 (*)"}
CATCH_UP_S = 60


class Member(Postgres):
    """One server."""

    def __init__(self, name):
        self.prepare()
        self.name = name

    def configure(self, settings):
        """In the file, which copies take along, and pg_rewind's own recovery reads."""
        with open(self.folder / "data" / "postgresql.conf", "a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def source(self, primary):
        return f"host=127.0.0.1 port={primary.port} user=usher application_name={self.name}"

    def copy(self, primary):
        """Begins as a copy of the primary. Copies are not synced to the disk: no test takes away the machine's power."""
        self.run("pg_basebackup", "-D", self.folder / "data", "-d", self.source(primary), "-c", "fast", "-X", "stream", "-R", "--no-sync")
        self.start()

    def follow(self, primary):
        """A running standby turns to another primary."""
        self.ask(f"ALTER SYSTEM SET primary_conninfo = '{self.source(primary)}'")
        self.ask("SELECT pg_reload_conf()")

    def rejoin(self, primary):
        """A killed primary comes back as a standby, without what nobody else has; as a new copy, where it cannot be rewound."""
        # Without one, its control file names the old time line still, and pg_rewind of PostgreSQL 15 finds nothing to do.
        primary.ask("CHECKPOINT")
        rewound = self.run("pg_rewind", "--target-pgdata", self.folder / "data", "--source-server",
                           self.source(primary) + " dbname=usher", "-R", "--no-sync", check=False)
        if rewound.returncode:
            shutil.rmtree(self.folder / "data")
            return self.copy(primary)
        self.start()
        self.follow(primary)

    def position(self):
        """How far its log reaches, in bytes."""
        last = "SELECT greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0')) - '0/0'::pg_lsn"
        return int(self.ask(last))

    def receivers(self):
        """The processes that take the log from the primary."""
        listed = subprocess.run(["pgrep", "-P", str(self.process.pid), "-f", "walreceiver"], capture_output=True, text=True)
        return [int(process) for process in listed.stdout.split()]


class Cluster:
    """Stands where nodes.py has one server."""

    def __init__(self):
        self.members = [Member(name) for name in NAMES]
        self.primary = self.members[0]
        self.primary.initialize()
        self.primary.configure(SETTINGS)
        self.primary.start()
        self.primary.run("createdb", *self.primary.where(), "usher")
        with concurrent.futures.ThreadPoolExecutor() as both:
            list(both.map(lambda standby: standby.copy(self.primary), self.standbys()))
        for member in self.members:
            member.configure(SYNCHRONOUS)
            member.ask("SELECT pg_reload_conf()")
        self.wait_for_standbys()

    @property
    def address(self):
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"postgres://usher@{hosts}/usher?sslmode=disable&target_session_attrs=read-write"

    def standbys(self):
        return [member for member in self.members if member is not self.primary]

    def wait_for_standbys(self):
        """Until both follow and have all that the primary had when this was asked."""
        written = self.primary.ask("SELECT pg_current_wal_lsn()")
        following = f"SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn >= '{written}'"
        deadline = time.monotonic() + CATCH_UP_S
        while self.primary.ask(following) != str(len(self.members) - 1):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the standbys do not catch up with {written}: {self.primary.ask('TABLE pg_stat_replication')}")
            time.sleep(0.05)

    def cut_off(self, seconds):
        """Both standbys receive nothing for a moment: the primary writes what it may not acknowledge."""
        halted = [process for standby in self.standbys() for process in standby.receivers()]
        signal_all(halted, signal.SIGSTOP)
        time.sleep(seconds)
        return halted

    def fail_over(self, cut_off_s=0.0, comeback_s=0.0):
        """The primary is killed, cut off from its standbys before where told so, and then comes back once more for a moment, with what
        nobody else has, where told so; the most advanced standby takes its place. Returns the old one, which is down."""
        halted = self.cut_off(cut_off_s) if cut_off_s else []
        old, heirs = self.primary, self.standbys()
        old.kill()
        if comeback_s:
            old.start()
            time.sleep(comeback_s)
            old.kill()
        signal_all(halted, signal.SIGCONT)
        # What is still on its way from the dead primary counts as received once the receiver has ended.
        deadline = time.monotonic() + 10
        while any(heir.receivers() for heir in heirs) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.primary = max(heirs, key=Member.position)
        self.primary.run("pg_ctl", "promote", "-w", "-D", self.primary.folder / "data")
        for standby in heirs:
            if standby is not self.primary:
                standby.follow(self.primary)
        return old

    def restart_in_place(self, cut_off_s):
        """The primary is killed while it is cut off, and comes back as the primary, with what nobody else has."""
        halted = self.cut_off(cut_off_s)
        self.primary.kill()
        self.primary.start()
        time.sleep(cut_off_s)
        signal_all(halted, signal.SIGCONT)

    def contents(self, member):
        return member.ask("SELECT count(*), md5(string_agg(tenant || key::text || etag, ',' ORDER BY tenant, key)) FROM usher_records")

    def dump(self):
        return self.primary.dump()

    def remove(self):
        for member in self.members:
            member.remove()


def signal_all(processes, number):
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            pass
