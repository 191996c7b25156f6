//! Which links a device has, and where they lead.

use usher_amqp::event::LinkId;

use super::address::Node;

/// Where a link leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Tokens to the hub.
    Tokens,
    /// What became of tokens, to the device.
    TokenAnswers,
    /// To the hub.
    ToHub(Node),
    /// To the device.
    ToDevice(Node),
}

/// The links of a connection. As many as the engine allows.
#[derive(Default, Debug)]
pub struct Links(Vec<(LinkId, Place)>);

impl Links {
    /// Adds a link.
    pub fn add(&mut self, link: LinkId, place: Place) {
        self.0.push((link, place));
    }

    /// Removes a link.
    pub fn remove(&mut self, link: LinkId) {
        self.0.retain(|(known, _)| *known != link);
    }

    /// Where a link leads.
    pub fn place(&self, link: LinkId) -> Option<Place> {
        self.0.iter().find(|(known, _)| *known == link).map(|(_, place)| *place)
    }

    /// The newest link to a place: a client that attaches anew may not have given up its old link yet.
    pub fn to(&self, place: Place) -> Option<LinkId> {
        self.0.iter().rev().find(|(_, known)| *known == place).map(|(link, _)| *link)
    }

    /// How many lead to a place.
    pub fn count(&self, place: Place) -> usize {
        self.0.iter().filter(|(_, known)| *known == place).count()
    }
}
