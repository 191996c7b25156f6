//! Sessions: begin and end (section 2.5).

use super::{Connection, Session};
use crate::{
    codec::performative::{AmqpError, Begin, End, Performative},
    event::{Close, Event, LinkId},
};

impl Connection {
    /// Begins a session from this side; the peer's answer only has to come before its links'. `None` if there are too many.
    pub fn begin(&mut self) -> Option<u16> {
        let channel = self.free_channel()?;
        let session = Session::new(channel);
        self.send_begin(session);
        Some(channel)
    }

    fn send_begin(&mut self, session: Session) {
        let begin = session.to_begin(self.handle_max());
        self.write(session.channel, &Performative::Begin(begin));
        self.sessions.push(session);
    }

    fn handle_max(&self) -> u32 {
        u32::try_from(self.limits.links).unwrap_or(u32::MAX).saturating_sub(1)
    }

    fn free_channel(&self) -> Option<u16> {
        (0..self.limits.sessions).find(|channel| self.sessions.iter().all(|session| session.channel != *channel))
    }

    pub(super) fn session_mut(&mut self, channel: u16) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.channel == channel)
    }

    pub(super) fn handle_begin(&mut self, remote: u16, begin: &Begin) -> Result<(), Close> {
        if self.sessions.iter().any(|session| session.remote_channel == Some(remote)) {
            return Err(Close::Unexpected("a second begin on a channel"));
        }
        if let Some(answered) = begin.remote_channel {
            let session = self.session_mut(answered).filter(|session| session.remote_channel.is_none());
            session.ok_or(Close::Unexpected("an answer to a begin that was not sent"))?.begun(remote, begin);
            return Ok(());
        }
        if remote >= self.limits.sessions {
            return Err(Close::TooMany("sessions"));
        }
        let channel = self.free_channel().filter(|channel| *channel <= self.peer.channel_max);
        let mut session = Session::new(channel.ok_or(Close::TooMany("sessions"))?);
        session.begun(remote, begin);
        self.send_begin(session);
        Ok(())
    }

    /// The peer's end takes the session's links with it.
    pub(super) fn handle_end(&mut self, channel: u16, error: Option<AmqpError>) -> Result<(), Close> {
        let links: Vec<LinkId> = self.links.iter().filter(|(_, link)| link.channel == channel).map(|(id, _)| *id).collect();
        for link in links {
            self.forget_link(link, error.clone());
        }
        self.sessions.retain(|session| session.channel != channel);
        self.write(channel, &Performative::End(End { error: None }));
        Ok(())
    }

    /// Ends every session that both sides have begun. The answers are not awaited: what follows is the end of the connection.
    pub(super) fn send_ends(&mut self) {
        let begun = self.sessions.iter().filter(|session| session.remote_channel.is_some());
        let channels: Vec<u16> = begun.map(|session| session.channel).collect();
        for channel in channels {
            self.write(channel, &Performative::End(End { error: None }));
        }
    }

    /// Drops a link that the peer has ended, and tells the driver unless that had ended it first.
    pub(super) fn forget_link(&mut self, id: LinkId, error: Option<AmqpError>) {
        let Some(link) = self.links.remove(&id) else { return };
        if link.state != super::link::LinkState::Detaching {
            self.events.push_back(Event::Detached { link: id, error });
        }
    }
}
