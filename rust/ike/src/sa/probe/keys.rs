//! The keys that seal probes: those of the IKE SA in use, and for a while those before them.
//!
//! Probes take no place in the window, so nothing tells when the peer has the keys of a rekey: whoever answered that has
//! them first. It goes on with the old ones until the peer has used the new ones; otherwise a lost answer would look like
//! silence on every pair.

use crate::crypto::Role;
use crate::sa::channel::Channel;
use crate::sa::established::Established;
use crate::sa::probe::replay::Replay;
use crate::wire::Header;

/// Keys, and what must not begin anew with them.
#[derive(Debug)]
pub struct ProbeKeys {
    /// Seals nothing but probes.
    pub channel: Channel,
    /// Of the latest probe that we sent. Each has its own, whatever pair it takes.
    pub number: u32,
    /// Of the peer's.
    pub replay: Replay,
}

impl ProbeKeys {
    fn of(sa: &Established) -> Option<ProbeKeys> {
        let Channel { spis, role, .. } = sa.channel;
        let channel = Channel::new(spis, role, sa.channel.keys().for_probes(spis).ok()?);
        Some(ProbeKeys { channel, number: 0, replay: Replay::default() })
    }

    fn fits(&self, header: &Header) -> bool {
        let spis = self.channel.spis;
        (header.initiator_spi, header.responder_spi) == (spis.initiator, spis.responder)
    }
}

/// All that an SA has.
#[derive(Debug)]
pub struct KeyRing {
    /// Of the IKE SA in use, when it was used last.
    pub newest: ProbeKeys,
    /// Those before, until the peer has used the newest.
    before: Option<Box<ProbeKeys>>,
}

impl KeyRing {
    /// Of an SA that has not probed yet.
    pub fn of(sa: &Established) -> Option<KeyRing> {
        Some(KeyRing::from(ProbeKeys::of(sa)?))
    }

    /// Are the newest keys those of this IKE SA? It may have others since it probed last.
    pub fn is_of(&self, sa: &Established) -> bool {
        self.newest.channel.spis == sa.channel.spis
    }

    /// Of a rekeyed SA: new keys, and numbers begin anew.
    pub fn keep_up(&mut self, sa: &Established) -> Option<()> {
        if !self.is_of(sa) {
            let old = core::mem::replace(&mut self.newest, ProbeKeys::of(sa)?);
            self.before = Some(Box::new(old));
        }
        Some(())
    }

    /// Those that the peer has for certain. Who asked for a rekey has the answer of a peer that has them.
    pub fn sending(&mut self) -> &mut ProbeKeys {
        match &mut self.before {
            Some(before) if self.newest.channel.role == Role::Responder => before,
            _ => &mut self.newest,
        }
    }

    /// Those that a message with this header is sealed with.
    pub fn opening(&mut self, header: &Header) -> Option<&mut ProbeKeys> {
        let before = self.before.as_deref_mut();
        [Some(&mut self.newest), before].into_iter().flatten().find(|keys| keys.fits(header))
    }

    /// An authentic probe with this header came.
    pub fn heard(&mut self, header: &Header) {
        if self.newest.fits(header) {
            self.confirmed();
        }
    }

    /// The peer has the newest keys.
    pub fn confirmed(&mut self) {
        self.before = None;
    }
}

impl From<ProbeKeys> for KeyRing {
    fn from(newest: ProbeKeys) -> KeyRing {
        KeyRing { newest, before: None }
    }
}
