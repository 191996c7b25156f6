"""Bad AMQP: frames by hand, and a link to another device by Microsoft's own AMQP library."""

import uamqp

from bad.world import World, read_to_end

BARE, SASL = b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"


class Amqp(World):
    """Each ends with a closed connection or a refused link."""

    def closed_by_amqp(self, data, wait=1.5):
        before = len(self.server.log())
        with self.connect(self.server.manifest["device"]["amqps"]) as stream:
            stream.sendall(data)
            got, closed = read_to_end(stream, wait)
        assert closed, f"the connection was left open: {got}"
        self.logged(before, "amqp.")

    def a_frame_that_lies_about_its_size(self):
        for frame in (b"\xff\xff\xff\xff\x02\x00\x00\x00", b"\x00\x00\x00\x04\x02\x00\x00\x00", b"\x00\x00\x00\x10\xff\x00\x00\x00" + b"x" * 8):
            self.closed_by_amqp(BARE + frame)
        # A list that says it has four thousand million elements.
        self.closed_by_amqp(BARE + b"\x00\x00\x00\x14\x02\x00\x00\x00\x00\x53\x10\xd0\xff\xff\xff\xff\xff\xff\xff\xff")

    def a_stream_that_is_not_AMQP(self):
        self.closed_by_amqp(b"GET / HTTP/1.1\r\n\r\n")

    def a_SASL_response_before_the_choice(self):
        self.closed_by_amqp(SASL + b"\x00\x00\x00\x10\x02\x01\x00\x00\x00\x53\x43\xc0\x03\x01\xa0\x00")

    def a_peer_that_says_nothing(self):
        self.closed_by_amqp(b"", wait=30)

    def a_link_to_another_devices_address(self):
        before = len(self.server.log())
        user = f"{self.server.id_scope}/registrations/bad-device"
        auth = uamqp.authentication.SASLPlain(self.server.host, user, self.token(), verify=self.server.trust)
        address = f"amqps://{self.server.host}/{self.server.id_scope}/registrations/somebody-else"
        client = uamqp.SendClient(address, auth=auth, error_policy=uamqp.errors.ErrorPolicy(max_retries=0))
        try:
            client.send_message(uamqp.Message(b"{}"))
        except Exception as error:
            assert "UnauthorizedAccess" in str(error) and "trackingId" in str(error), error
        else:
            raise AssertionError("the link was taken")
        finally:
            client.close()
        self.logged(before, "amqp.address")
