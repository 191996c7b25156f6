"""Checks the engine's server side with Qpid Proton, against examples/echo.rs. Not part of `cargo test`: it needs Proton for Python.

cargo run -p usher-amqp --example echo -- 15672
python3 crates/amqp/tests/proton/echo.py 15672
"""

import os
import sys

import proton
from proton import Message, symbol
from proton.utils import BlockingConnection, LinkDetached, SendException

PORT = sys.argv[1] if len(sys.argv) > 1 else "5672"


def connect(user=None, **options):
    url = f"amqp://{user}127.0.0.1:{PORT}" if user else f"amqp://127.0.0.1:{PORT}"
    return BlockingConnection(url, timeout=10, **options)


def echo(connection, sizes):
    receiver, sender = connection.create_receiver("echo"), connection.create_sender("echo")
    for size in sizes:
        body = os.urandom(size)
        sender.send(Message(body=body, inferred=True, correlation_id=f"id {size}", properties={"iotdps-operation-type": "iotdps-register"}))
        back = receiver.receive(timeout=10)
        receiver.accept()
        assert bytes(back.body) == body, size
        assert back.correlation_id == f"id {size}"
        assert back.properties == {"iotdps-operation-type": "iotdps-register"}
    return sender


def plain():
    connection = connect("device:secret@", sasl_enabled=True, allowed_mechs="PLAIN", allow_insecure_mechs=True)
    echo(connection, [0, 1, 300, 65_536, 100 * 1024])
    connection.close()


def bare():
    connection = connect(sasl_enabled=False)
    echo(connection, [0, 1, 300, 65_536, 100 * 1024])
    connection.close()


def small_frames():
    connection = connect(sasl_enabled=False, max_frame_size=512)
    echo(connection, [10, 100 * 1024])
    connection.close()


def wrong_password():
    try:
        connect("device:wrong@", sasl_enabled=True, allowed_mechs="PLAIN", allow_insecure_mechs=True)
    except proton.ConnectionException:
        return
    raise AssertionError("a wrong password was taken")


def refused_link():
    connection = connect(sasl_enabled=False)
    for attach in (connection.create_sender, connection.create_receiver):
        try:
            attach("refused")
        except LinkDetached as error:
            assert "amqp:not-found" in str(error) and "404201" in str(error), error
        else:
            raise AssertionError("the link was not refused")
    connection.close()


def rejected_message():
    connection = connect(sasl_enabled=False)
    sender = connection.create_sender("echo")
    delivery = sender.link.send(Message(subject="reject", body="x"))
    connection.wait(lambda: delivery.remote_state != 0)
    assert delivery.remote_state == proton.Delivery.REJECTED
    condition = delivery.remote.condition
    assert condition.name == "com.microsoft:device-container-throttled", condition
    assert condition.description == '{"errorCode":429001}'
    assert condition.info == {symbol("retry-after"): 3}
    try:
        sender.send(Message(subject="reject", body="x"))
    except SendException:
        connection.close()
        return
    raise AssertionError("the message was taken")


CHECKS = [plain, bare, small_frames, wrong_password, refused_link, rejected_message]
failed = 0
for check in CHECKS:
    try:
        check()
        print("ok     ", check.__name__)
    except Exception as error:  # every check is told of
        failed += 1
        print("FAILED ", check.__name__, type(error).__name__, error)
print(f"{len(CHECKS) - failed} of {len(CHECKS)} hold with Qpid Proton {'.'.join(map(str, proton.VERSION))}")
sys.exit(1 if failed else 0)
