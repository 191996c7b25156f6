"""Devices by Azure's SDKs that must not get in."""

import base64

import certificates
from enrolling import Enroller

from bad.world import World

WRONG = base64.b64encode(b"0" * 32).decode()
# What the Node SDK makes of a refusal, by transport. Over AMQP it passes on the peer's condition.
NODE_REFUSALS = {
    "https": "Unauthorized", "mqtt": "Unauthorized", "mqtt-ws": "Unauthorized",
    "amqp": "amqp:unauthorized-access", "amqp-ws": "amqp:unauthorized-access",
}


class Devices(World):
    """Refusals as an owner of a device meets them."""

    def good_key(self):
        return base64.b64encode(self.key).decode()

    def a_wrong_key(self):
        for websockets in (False, True):
            self.refused_by_python("401", "TokenSignature", registration_id="bad-device", key=WRONG, websockets=websockets)
        for transport, refusal in NODE_REFUSALS.items():
            self.refused_by_node(refusal, "TokenSignature", transport, registrationId="bad-device", key=WRONG)

    def a_wrong_ID_scope(self):
        key = self.good_key()
        self.refused_by_python("401", "idScope.unknown", registration_id="bad-device", key=key, id_scope="0neNOBODY")
        for transport, refusal in NODE_REFUSALS.items():
            self.refused_by_node(refusal, "idScope.unknown", transport, registrationId="bad-device", key=key, idScope="0neNOBODY")

    def a_registration_ID_that_is_not_enrolled(self):
        self.refused_by_python("401", "TokenSignature", registration_id="nobody", key=self.good_key())
        self.refused_by_node("Unauthorized", "TokenSignature", "mqtt", registrationId="nobody", key=self.good_key())

    def a_registration_ID_that_breaks_the_rules(self):
        self.refused_by_node("400", "InvalidId", "https", registrationId="_bad_", key=self.good_key())
        self.refused_by_python("", "mqtt.connect", registration_id="bad id!", key=self.good_key())

    def a_certificate_of_another_CA(self):
        stranger = certificates.Factory("stranger").device("bad-x509")
        self.refused_by_python("401", "enrollment.none", registration_id="bad-x509", identity=stranger)
        for transport, refusal in NODE_REFUSALS.items():
            self.refused_by_node(
                refusal, "enrollment.none", transport, registrationId="bad-x509", cert=stranger.chain_pem, certKey=stranger.key_pem)

    def a_certificate_whose_name_is_another_devices(self):
        identity = self.enroller.factory.device("somebody-else")
        self.refused_by_python("401", "CommonName", registration_id="bad-x509", identity=identity)

    def a_certificate_signed_by_a_CA_of_the_enrolled_name_but_another_key(self):
        impostor = certificates.Factory("conformance").device("bad-x509")
        self.refused_by_python("401", "IssuerSignature", registration_id="bad-x509", identity=impostor)

    def a_certificate_that_has_expired(self):
        self.refused_by_python("401", "Expired", registration_id="bad-old", identity=self.enroller.factory.device("bad-old", days=(-9, -2)))

    def a_certificate_that_is_not_valid_yet(self):
        self.refused_by_python("401", "NotYetValid", registration_id="bad-new", identity=self.enroller.factory.device("bad-new", days=(2, 9)))

    def a_chain_without_its_intermediates(self):
        identity = self.enroller.factory.device("bad-short")
        identity.above = []
        self.refused_by_python("401", "enrollment.none", registration_id="bad-short", identity=identity)

    def a_chain_with_a_gap(self):
        identity = self.enroller.factory.device("bad-gap")
        identity.above = identity.above[1:]
        self.refused_by_python("401", "", registration_id="bad-gap", identity=identity)

    def a_disabled_enrollment(self):
        self.enroller.individual("bad-disabled", Enroller.symmetric(self.key), provisioningStatus="disabled")
        self.refused_by_python("disabled", "enrollment.disabled", registration_id="bad-disabled", key=self.good_key())
