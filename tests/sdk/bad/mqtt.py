"""Bad MQTT, packet by packet."""

import struct

from enrolling import Enroller

from bad.world import API, World, read_to_end

REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid="
ANSWERS = "$dps/registrations/res/#"


class Mqtt(World):
    """Each ends with a refusal in CONNACK, a closed connection, or the service's error on the answer topic."""

    def mqtt(self, *packets):
        """Sends packets and returns all bytes that came until the server closed or a second passed."""
        with self.connect(self.server.manifest["device"]["mqtts"]) as stream:
            for packet_ in packets:
                stream.sendall(packet_)
            return read_to_end(stream, wait=1.5)

    def hello(self, device="bad-device", token=None):
        return connect_packet(device, f"{self.server.id_scope}/registrations/{device}/{API}", self.token(device) if token is None else token)

    def closed_by_mqtt(self, check, *packets):
        before = len(self.server.log())
        data, closed = self.mqtt(*packets)
        assert closed, f"the connection was left open: {data}"
        self.logged(before, check)
        return data

    def refused_by_mqtt(self, status, check, *packets):
        """The service's error on the answer topic, under the request's ID."""
        before = len(self.server.log())
        data, _ = self.mqtt(*packets)
        assert f"$dps/registrations/res/{status}/?$rid=1".encode() in data, data
        error = self.error_of(data[data.index(b"{"):], status)
        self.logged(before, check, error["trackingId"])

    def a_PUBLISH_before_CONNECT(self):
        assert self.closed_by_mqtt("mqtt.protocol", publish(REGISTER + "1", b"{}")) == b""

    def a_second_CONNECT(self):
        self.closed_by_mqtt("mqtt.protocol", self.hello(), self.hello())

    def a_SUBSCRIBE_outside_of_dps(self):
        self.closed_by_mqtt("mqtt.filter", self.hello(), subscribe("#"))
        self.closed_by_mqtt("mqtt.filter", self.hello(), subscribe("$dps/registrations/res/200/#"))

    def a_PUBLISH_outside_of_dps(self):
        self.closed_by_mqtt("mqtt.topic", self.hello(), publish("devices/bad-device/messages/events/", b"x"))
        self.closed_by_mqtt("mqtt.topic", self.hello(), publish(REGISTER + "a$b", b"x"))

    def a_packet_that_is_too_large(self):
        self.closed_by_mqtt("mqtt.protocol", self.hello(), b"\x30\xff\xff\xff\x7f" + b"x" * 1000)

    def a_malformed_packet(self):
        self.closed_by_mqtt("mqtt.protocol", b"\x10\x0c\x00\x04HTTP\x04\x02\x00\x00\x00\x00")
        self.closed_by_mqtt("mqtt.protocol", self.hello(), b"\xf0\x00")
        self.closed_by_mqtt("mqtt.protocol", self.hello(), b"\x30\xff\xff\xff\xff\x01")

    def a_client_ID_that_is_not_the_registration_ID(self):
        before = len(self.server.log())
        user = f"{self.server.id_scope}/registrations/bad-device/{API}"
        data, closed = self.mqtt(connect_packet("somebody", user, self.token()))
        assert data == b"\x20\x02\x00\x02" and closed, (data, closed)
        self.logged(before, "mqtt.connect")

    def a_malformed_or_expired_token_over_MQTT(self):
        for token, check in (("SharedAccessSignature sr=x", "TokenForm"), ("x", "TokenForm"), ("", ""), (self.token(expiry=1), "TokenExpiry")):
            self.refused_by_mqtt(401, check, self.hello(token=token), subscribe(ANSWERS), publish(REGISTER + "1", b"{}"))

    def a_malformed_body_over_MQTT(self):
        self.refused_by_mqtt(400, "body.json", self.hello(), subscribe(ANSWERS), publish(REGISTER + "1", b"{"))

    def a_body_too_large_over_MQTT(self):
        self.refused_by_mqtt(413, "BodyTooLarge", self.hello(), subscribe(ANSWERS), publish(REGISTER + "1", b" " * 120_000))

    def a_poll_of_another_devices_operation_over_MQTT(self):
        self.enroller.individual("bad-third", Enroller.symmetric(self.key))
        operation = self.operation_of("bad-device")
        self.operation_of("bad-third")
        poll = publish(f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId={operation}", b"")
        self.refused_by_mqtt(404, "operation.unknown", self.hello("bad-third"), subscribe(ANSWERS), poll)


def text(value):
    return struct.pack("!H", len(value.encode())) + value.encode()


def packet(first, body):
    length, digits = len(body), b""
    while True:
        digit, length = length % 128, length // 128
        digits += bytes([digit | (0x80 if length else 0)])
        if not length:
            return bytes([first]) + digits + body


def connect_packet(client_id, user, password):
    return packet(0x10, text("MQTT") + b"\x04\xc2\x00\x3c" + text(client_id) + text(user) + text(password))


def publish(topic, payload):
    return packet(0x30, text(topic) + payload)


def subscribe(filter_):
    return packet(0x82, b"\x00\x01" + text(filter_) + b"\x01")
