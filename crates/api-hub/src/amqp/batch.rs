//! Batches of telemetry: each data section is a whole message.
//!
//! .NET sends them where the application asks for it, C always (azure-iot-sdk-csharp: iothub/device/src/Transport/AmqpIot/
//! AmqpIotSendingLink.cs; azure-iot-sdk-c: iothub_client/src/iothubtransport_amqp_telemetry_messenger.c).

use usher_amqp::codec::message::{Body, Message};
use usher_hub_embedded::Fault;

/// The message format of a batch.
pub const FORMAT: u32 = 0x8001_3700;

/// Gives the messages of a batch one by one, or the message that is none. Ends with the first that is not taken. How many there can be
/// is bounded by the bytes that the link takes; they are never all in memory.
pub fn each(message: &Message, mut take: impl FnMut(&Message) -> Result<(), Fault>) -> Result<(), Fault> {
    if message.format != FORMAT {
        return take(message);
    }
    let Body::Data(sections) = &message.body else {
        return Err(Fault::invalid("A batch must be made of data sections."));
    };
    sections.iter().try_for_each(|section| {
        let part = Message::decode_any_order(section.clone());
        take(&part.map_err(|why| Fault::invalid(format!("A message of the batch cannot be read: {why}.")))?)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use usher_amqp::codec::types::{Map, Symbol};

    use super::*;

    fn batch(parts: Vec<Bytes>) -> Message {
        Message { format: FORMAT, body: Body::Data(parts), ..Message::default() }
    }

    fn bodies(message: &Message) -> Result<Vec<Bytes>, Fault> {
        let mut bodies = Vec::new();
        each(message, |part| {
            bodies.push(part.data_bytes().unwrap());
            Ok(())
        })?;
        Ok(bodies)
    }

    #[test]
    fn each_section_is_a_message_and_a_plain_message_is_itself() {
        let parts = ["one", "", "three"];
        let encoded = parts.iter().map(|text| Message::data(*text).encode()).collect();
        assert_eq!(bodies(&batch(encoded)).unwrap(), parts.map(Bytes::from));
        assert_eq!(bodies(&Message::data("alone")).unwrap(), ["alone"]);
        assert!(bodies(&batch(Vec::new())).unwrap().is_empty());
    }

    #[test]
    fn annotations_may_stand_behind_properties_but_nothing_twice() {
        let properties = Message { application_properties: Map::new().with("unit", "C"), ..Message::default() }.encode();
        let annotations = Message { message_annotations: Map::new().with(Symbol::from("x"), "y"), ..Message::default() }.encode();
        let data = Message::data("21").encode();
        let part = Bytes::from([&properties[..], &annotations, &data].concat());
        let mut seen = Vec::new();
        each(&batch(vec![part]), |part| {
            seen.push(part.clone());
            Ok(())
        })
        .unwrap();
        let [message] = &seen[..] else { panic!("one message") };
        assert_eq!(message.application_properties.get_str("unit"), Some("C"));
        assert_eq!(message.message_annotations.get_str("x"), Some("y"));
        let twice = Bytes::from([&properties[..], &properties, &data].concat());
        assert!(bodies(&batch(vec![twice])).is_err());
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        assert!(bodies(&batch(vec![Bytes::from_static(b"no message")])).is_err());
        assert!(bodies(&Message { format: FORMAT, body: Body::Value("text".into()), ..Message::default() }).is_err());
        assert!(bodies(&Message { format: FORMAT, ..Message::default() }).is_err());
    }
}
