//! A client and a server wired together in memory, and a peer whose frames are made by hand.

#![allow(clippy::unwrap_used, dead_code)]

use bytes::{Bytes, BytesMut};
use usher_amqp::{
    client::{self, Sasl},
    codec::{
        frame::{Frame, FrameKind, FrameReader, ProtocolHeader, encode_frame},
        performative::{Attach, Begin, Flow, Open, Performative, Role, Terminus, Transfer},
        types::Map,
    },
    event::{Close, Event},
    limits::Limits,
    server,
};

pub fn server(limits: Limits) -> server::Session {
    server::Session::new(server::Options { container_id: "usher".into(), mechanisms: vec!["PLAIN".into(), "TPM".into()], limits }, 0)
}

pub fn client(sasl: Sasl, limits: Limits) -> client::Session {
    let options = client::Options {
        container_id: "device".into(),
        hostname: Some("localhost".into()),
        sasl_hostname: Some("0ne/registrations/r1".into()),
        sasl,
        limits,
    };
    client::Session::connect(options, 0)
}

pub fn link(role: Role, name: &str) -> client::Link {
    let properties = Map::new().with(usher_amqp::codec::types::Symbol::from("com.microsoft:api-version"), "2021-06-01");
    client::Link { role, name: name.into(), address: "0ne/registrations/r1".into(), properties }
}

/// Both ends, and how many bytes travel at a time.
pub struct Wire {
    pub client: client::Session,
    pub server: server::Session,
    pub piece: usize,
    pub to_server: Vec<u8>,
}

impl Wire {
    pub fn new(sasl: Sasl) -> Self {
        Self::with(sasl, Limits::default(), Limits::default())
    }

    pub fn with(sasl: Sasl, client_limits: Limits, server_limits: Limits) -> Self {
        Self { client: client(sasl, client_limits), server: server(server_limits), piece: usize::MAX, to_server: Vec::new() }
    }

    /// Carries bytes both ways until neither end has any.
    pub fn run(&mut self) {
        loop {
            let (up, down) = (self.client.poll_transmit(), self.server.poll_transmit());
            if up.is_none() && down.is_none() {
                return;
            }
            let (up, down) = (up.unwrap_or_default(), down.unwrap_or_default());
            self.to_server.extend_from_slice(&up);
            up.chunks(self.piece).for_each(|piece| self.server.handle_bytes(piece, 0));
            down.chunks(self.piece).for_each(|piece| self.client.handle_bytes(piece, 0));
        }
    }

    pub fn server_event(&mut self) -> Event {
        self.run();
        self.server.poll_event().expect("the server has something to say")
    }

    pub fn client_event(&mut self) -> Event {
        self.run();
        self.client.poll_event().expect("the client has something to say")
    }

    pub fn quiet(&mut self) {
        self.run();
        assert_eq!(self.server.poll_event(), None);
        assert_eq!(self.client.poll_event(), None);
    }
}

/// A client that sends whatever a test wants.
pub struct RawPeer {
    pub server: server::Session,
    reader: FrameReader,
}

impl RawPeer {
    /// A peer without SASL whose header is answered.
    pub fn bare(limits: Limits) -> Self {
        let mut peer = Self { server: server(limits), reader: FrameReader::default() };
        peer.bytes(ProtocolHeader::Amqp.bytes());
        peer.collect();
        assert_eq!(peer.reader.header(), Some(*ProtocolHeader::Amqp.bytes()));
        peer
    }

    /// As above, with open and begin done.
    pub fn begun(limits: Limits) -> Self {
        let mut peer = Self::bare(limits);
        peer.say(0, &Performative::Open(open()));
        peer.say(0, &Performative::Begin(begin()));
        assert!(matches!(peer.server.poll_event(), Some(Event::Open { .. })));
        assert!(matches!(peer.heard()[..], [Performative::Open(_), Performative::Begin(_)]));
        peer
    }

    /// As above, with a link that is agreed to.
    pub fn attached(limits: Limits, role: Role) -> Self {
        let mut peer = Self::begun(limits);
        peer.say(0, &Performative::Attach(Box::new(attach(role, 0))));
        let Some(Event::Attached(attached)) = peer.server.poll_event() else { panic!("no link") };
        peer.server.accept_attach(attached.link);
        peer.heard();
        peer
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.server.handle_bytes(bytes, 0);
    }

    pub fn say(&mut self, channel: u16, performative: &Performative) {
        self.say_with(channel, performative, &[]);
    }

    pub fn say_with(&mut self, channel: u16, performative: &Performative, payload: &[u8]) {
        let (mut body, mut out) = (BytesMut::new(), BytesMut::new());
        performative.encode(&mut body);
        encode_frame(FrameKind::Amqp, channel, &[&body, payload], &mut out);
        self.bytes(&out);
    }

    fn collect(&mut self) {
        while let Some(bytes) = self.server.poll_transmit() {
            self.reader.feed(&bytes);
        }
    }

    /// The frames that the server wrote.
    pub fn frames(&mut self) -> Vec<Frame> {
        self.collect();
        std::iter::from_fn(|| self.reader.frame(1 << 20).unwrap()).collect()
    }

    /// The performatives that the server wrote.
    pub fn heard(&mut self) -> Vec<Performative> {
        self.frames().into_iter().map(|frame| Performative::decode(frame.body).unwrap().0).collect()
    }

    /// Why the connection has ended.
    pub fn closed(&mut self) -> Option<Close> {
        std::iter::from_fn(|| self.server.poll_event()).find_map(|event| match event {
            Event::Closed(why) => Some(why),
            _ => None,
        })
    }
}

pub fn open() -> Open {
    Open {
        container_id: "raw".into(),
        hostname: Some("localhost:5671".into()),
        max_frame_size: 65536,
        channel_max: 10,
        idle_time_out_ms: None,
        properties: Map::new(),
    }
}

pub fn begin() -> Begin {
    Begin { remote_channel: None, next_outgoing_id: 0, incoming_window: 100, outgoing_window: 100, handle_max: 255 }
}

pub fn attach(role: Role, handle: u32) -> Attach {
    Attach {
        name: format!("link {handle}"),
        handle,
        role,
        snd_settle_mode: 0,
        rcv_settle_mode: 0,
        source: Some(Terminus::source("from")),
        target: Some(Terminus::target("to")),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        max_message_size: 0,
        properties: Map::new(),
    }
}

pub fn transfer(delivery_id: u32, more: bool) -> Performative {
    let delivery_tag = Some(Bytes::copy_from_slice(&delivery_id.to_be_bytes()));
    Performative::Transfer(Transfer { handle: 0, delivery_id: Some(delivery_id), delivery_tag, more, ..Transfer::default() })
}

pub fn credit(delivery_count: u32, link_credit: u32) -> Flow {
    Flow {
        next_incoming_id: Some(0),
        incoming_window: 100,
        outgoing_window: 100,
        handle: Some(0),
        delivery_count: Some(delivery_count),
        link_credit: Some(link_credit),
        ..Flow::default()
    }
}
