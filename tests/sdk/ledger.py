"""What devices sent and what they were told, kept beside a load, so that its check can be exact.

A register message can reach the service more often than a device is answered: a client that lost its connection sends it again, and one of
Azure's SDK that its device gave up on comes back by itself ten seconds later and registers once more, when the device has long registered
through a new client. That is a newer operation of the same device, and gives the registration a new ETag. So each message is counted as it
goes out, and a registration that says something else than its device was told is only excused by a second message that a node took.
"""

import collections
import re
import threading
import time
import weakref

import paho.mqtt.client as paho

# What `registration accepted` and `operation taken over` in a node's log say.
LOGGED = re.compile(r"registration_id=(\S+) (?:.*?status=\"(\w+)\" )?.*?operation_id=(\S+)")


class Ledger:
    """One trial's. Devices are named by registration ID; times are of the machine's clock, as in the logs."""

    def __init__(self):
        self.sent, self.told = collections.defaultdict(list), {}

    def register_sent(self, device, how):
        self.sent[device].append((time.time(), how))

    def was_told(self, device, operation, state):
        """`state` as the service spells it, what is asked of it at least: etag, assignedHub, deviceId and the two times."""
        self.told[device] = {"at": time.time(), "operationId": operation} | state

    def registers_sent(self):
        return sum(len(times) for times in self.sent.values())

    def disagreement(self, device, found, accepted):
        """Why `found`, the registration that the service has, is not what the device was told; None where it is, or where the device
        was taken on again since. `accepted` are the operations of this device that nodes logged."""
        told = self.told[device]
        for name in ("assignedHub", "deviceId", "createdDateTimeUtc"):
            if bare(told[name]) != bare(found[name]):
                return f"{device} was told {name} {told[name]}, and its registration says {found[name]}"
        if bare(told["etag"]) == bare(found["etag"]):
            return None
        differs = f"{device} was told ETag {told['etag']}, and its registration has {found['etag']}"
        if len(self.sent[device]) < 2:
            return f"{differs}, though it sent one register message only"
        if not accepted - {told["operationId"]}:
            return f"{differs}, and no node took a second register message"
        if not bare(told["lastUpdatedDateTimeUtc"]) < bare(found["lastUpdatedDateTimeUtc"]):
            return f"{differs}, which is no newer"
        return None

    def story(self, device, logs):
        """All that is known of a device, in order of time."""
        lines = [f"sent {at:.3f} {how}" for at, how in self.sent[device]] + [f"told {self.told.get(device)}"]
        for node, log in logs.items():
            lines += [f"{node} {line}" for line in log.splitlines() if f"={device} " in line]
        return "\n".join(lines)


def bare(text):
    return text.strip('"')


def operations(logs, status=None):
    """The operations that nodes logged, by device; those only that had this status then, if one is given."""
    found = collections.defaultdict(set)
    for log in logs.values():
        for line in log.splitlines():
            logged = LOGGED.search(line)
            if logged and status in (None, logged[2]):
                found[logged[1]].add(logged[3])
    return found


PLAIN = paho.Client


class Watched(PLAIN):
    """paho's client, which the SDK uses too, telling the ledger of each register message that goes out, repetitions included."""

    ledger, living, lock = None, weakref.WeakSet(), threading.Lock()
    # Its trial is over: whoever gave it up must not come back by it.
    over = False

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.on_log = self.note
        with Watched.lock:
            Watched.living.add(self)

    def note(self, _client, _userdata, _level, text):
        if Watched.ledger and text.startswith("Sending PUBLISH") and "/iotdps-register/" in text:
            Watched.ledger.register_sent(self._client_id.decode(), text.split(", '")[0])

    def connect(self, *arguments, **options):
        if self.over:
            raise ConnectionRefusedError("the trial is over")
        return super().connect(*arguments, **options)


def watch(ledger):
    """From now on, all MQTT clients of this process tell this ledger."""
    paho.Client, Watched.ledger = Watched, ledger


def end_all():
    """Ends all MQTT clients that were watched, those given up by their devices too, which would come back otherwise. Later ones are
    as they always are."""
    paho.Client, Watched.ledger = PLAIN, None
    with Watched.lock:
        living = list(Watched.living)
        Watched.living.clear()
    for client in living:
        client.over = True
        client.disconnect()
