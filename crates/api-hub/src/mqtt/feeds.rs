//! What a device has subscribed to, and whether it acknowledges what it gets.

use usher_hub_embedded::hub::{Session, Subscription};
use usher_mqtt::packet::Qos;

use super::topic::Feed;

/// A device's subscriptions, at most one per feed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Feeds(Vec<(Feed, Qos, String)>);

impl Feeds {
    /// The subscriptions of a kept session.
    pub fn restore(session: &Session, device_id: &str) -> Self {
        let mut feeds = Self::default();
        for subscription in &session.subscriptions {
            let qos = if subscription.acknowledged { Qos::AtLeastOnce } else { Qos::AtMostOnce };
            feeds.add(&subscription.filter, qos, device_id);
        }
        feeds
    }

    /// The form that is kept.
    pub fn session(&self) -> Session {
        let kept = |(_, qos, filter): &(Feed, Qos, String)| Subscription { filter: filter.clone(), acknowledged: *qos != Qos::AtMostOnce };
        Session { subscriptions: self.0.iter().map(kept).collect() }
    }

    /// Subscribes; gives the quality granted, `None` where the hub has no such topic for this device. A topic subscribed to anew
    /// takes the new quality (MQTT 3.1.1 section 3.8.4).
    pub fn add(&mut self, filter: &str, qos: Qos, device_id: &str) -> Option<Qos> {
        let feed = Feed::parse(filter, device_id)?;
        let granted = qos.min(Qos::AtLeastOnce);
        self.0.retain(|(known, ..)| *known != feed);
        self.0.push((feed, granted, filter.to_owned()));
        Some(granted)
    }

    /// Unsubscribes.
    pub fn remove(&mut self, filter: &str, device_id: &str) {
        let feed = Feed::parse(filter, device_id);
        self.0.retain(|(known, ..)| Some(*known) != feed);
    }

    /// The quality of a feed, where the device is subscribed to it.
    pub fn qos(&self, feed: Feed) -> Option<Qos> {
        self.0.iter().find(|(known, ..)| *known == feed).map(|(_, qos, _)| *qos)
    }
}
