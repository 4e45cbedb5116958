//! What must hold after every step, whatever the story.
//!
//! - One message id and direction of an IKE SA always carries the same octets, whatever path each copy takes (RFC 7296 section 2.1).
//! - A path probe is never repeated: each has a number of its own.
//! - No two messages of one end have the same IV (RFC 5282 section 3), also when it began again in between.
//! - No more requests are unanswered than the peer's window allows (section 2.3).
//! - After a timer was served, the next one lies in the future: no busy loop.
//! - Counters only grow. What is sent leaves from an address the host has, and its length field tells the truth.
//! - Events make sense: up before anything else, nothing after down, each Child SA ends before its IKE SA.

use std::collections::{BTreeMap, BTreeSet};

use mobike_ike::wire::probe::PATH_PROBE;
use mobike_ike::wire::{ExchangeType, Header, NotifyType};
use mobike_ike::{ChildId, Event, Nanos, SaId};

use super::arrows::Told;
use super::host::{Host, HostId};

const SYNC: NotifyType = NotifyType::IKEV2_MESSAGE_ID_SYNC;

/// What one end of one IKE SA calls itself.
type End = (HostId, u64);

/// What was seen so far.
#[derive(Default)]
pub struct Rules {
    octets: BTreeMap<(End, bool, u32, u16), Vec<u8>>,
    probes: BTreeSet<(HostId, u64, u32)>,
    ivs: BTreeMap<(End, [u8; 8]), Vec<u8>>,
    answered: BTreeMap<End, BTreeSet<u32>>,
    /// The widest window that anybody announces; nothing is 1.
    pub window: Option<u32>,
    counters: BTreeMap<HostId, Vec<(&'static str, u64)>>,
    lives: BTreeMap<(HostId, SaId), Life>,
    /// Broken rules, told.
    pub violations: Vec<String>,
}

#[derive(Default)]
struct Life {
    children: BTreeSet<ChildId>,
    over: bool,
}

impl Rules {
    fn broken(&mut self, host: &Host, what: impl core::fmt::Display) {
        self.violations.push(format!("{}: {what}", host.name));
    }

    /// An engine put out a message.
    pub fn sent(&mut self, host: &Host, told: &Told) {
        if !host.addresses.iter().any(|(_, address)| *address == told.path.local.ip()) {
            self.broken(host, format_args!("sent from an address it does not have: {told}"));
        }
        let Some(header) = told.header() else { return };
        if header.length as usize != told.bytes.len() {
            self.broken(host, format_args!("length field of {} says {}", told.title(), header.length));
        }
        if header.exchange == PATH_PROBE {
            if !self.probes.insert((told.from, header.initiator_spi, header.message_id)) {
                self.broken(host, format_args!("a probe number twice: {told}"));
            }
            return;
        }
        // In IKE_SA_INIT a request may change (COOKIE, another key exchange), and nobody is bound by an answer; nor by one to
        // IKE_SESSION_RESUME.
        if matches!(header.exchange, ExchangeType::IKE_SA_INIT | ExchangeType::IKE_SESSION_RESUME) {
            return;
        }
        let end = (told.from, header.initiator_spi);
        // Who forgot an answer in a crash gives another, which makes another IKE SA under the same SPI of the initiator.
        let keys = (told.from, header.initiator_spi ^ header.responder_spi);
        if let Some(said) = told.contents.as_ref().and_then(|contents| contents.notify(SYNC)) {
            // Outside all windows, under the id 0; what comes next has the id that it names.
            let next = said.get(4..8).and_then(|octets| octets.first_chunk()).map_or(0, |id| u32::from_be_bytes(*id));
            let widest = self.window.unwrap_or(1);
            self.answered.entry(end).or_default().extend((1..=widest).map(|back| next.wrapping_sub(back)));
            return self.iv(host, told, keys);
        }
        let key = (end, header.flags.response, header.message_id, told.fragment());
        let before = self.octets.entry(key).or_insert_with(|| told.bytes.clone());
        if *before != told.bytes {
            self.broken(host, format_args!("other octets under the same id: {told}"));
        }
        self.iv(host, told, keys);
        if !header.flags.response {
            self.window(host, told, end, &header);
        }
    }

    /// Behind the header comes SK: four octets, then the IV (RFC 7296 section 3.14); SKF has four more (RFC 7383).
    fn iv(&mut self, host: &Host, told: &Told, end: End) {
        let at = if told.fragment() == 0 { 32 } else { 36 };
        let Some(iv) = told.bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return };
        if *self.ivs.entry((end, *iv)).or_insert_with(|| told.bytes.clone()) != told.bytes {
            self.broken(host, format_args!("an IV is used twice: {told}"));
        }
    }

    /// A host forgot what it said last: it may say something else under the same id.
    pub fn forget_octets(&mut self) {
        self.octets.clear();
        // Whoever is out of step looks for the id that its peer waits for.
        self.window = Some(64);
    }

    /// Another engine goes on with these Child SAs.
    pub fn resumed(&mut self, who: HostId, sa: SaId, children: &[ChildId]) {
        if let Some(life) = self.lives.get_mut(&(who, sa)) {
            life.children = children.iter().copied().collect();
        }
    }

    /// Another engine knows none of them.
    pub fn forget_lives(&mut self, who: HostId) {
        self.lives.retain(|(host, _), _| *host != who);
    }

    /// Another engine counts from the beginning.
    pub fn forget_counters(&mut self, who: HostId) {
        self.counters.remove(&who);
    }

    fn window(&mut self, host: &Host, told: &Told, end: End, header: &Header) {
        let answered = self.answered.get(&end);
        let first = u32::from(header.flags.initiator);
        let Some(bound) = header.message_id.checked_sub(self.window.unwrap_or(1)).filter(|bound| *bound >= first)
        else {
            return;
        };
        if !answered.is_some_and(|ids| ids.contains(&bound)) {
            self.broken(host, format_args!("beyond the window, {bound} is unanswered: {told}"));
        }
    }

    /// An engine got a message.
    pub fn received(&mut self, host: &Host, bytes: &[u8]) {
        if let Ok(header) = Header::peek(bytes)
            && header.flags.response
        {
            self.answered.entry((host.id, header.initiator_spi)).or_default().insert(header.message_id);
        }
    }

    /// An engine reported something.
    pub fn reported(&mut self, host: &Host, event: &Event) {
        let (sa, what) = match event {
            Event::IkeSaUp(up) => {
                if self.lives.insert((host.id, up.sa), Life::default()).is_some() {
                    self.broken(host, format_args!("IKE SA {} came up twice", up.sa));
                }
                return;
            }
            Event::ChildUp { sa, .. } => (*sa, "ChildUp"),
            Event::ChildDown { sa, .. } => (*sa, "ChildDown"),
            Event::ChildFailed { sa, .. } => (*sa, "ChildFailed"),
            Event::IkeSaDown { sa, .. } => (*sa, "IkeSaDown"),
            Event::IkeSaRekeyed { sa, .. } => (*sa, "IkeSaRekeyed"),
            Event::Moved { sa, .. } => (*sa, "Moved"),
            Event::MoveRefused { sa, .. } => (*sa, "MoveRefused"),
            Event::PathSilent { sa, .. } => (*sa, "PathSilent"),
            Event::PathChecked { sa, .. } => (*sa, "PathChecked"),
            Event::PairSeen { sa, .. } => (*sa, "PairSeen"),
            Event::PathHeard { sa, .. } => (*sa, "PathHeard"),
            Event::PeerMoved { sa, .. } => (*sa, "PeerMoved"),
            Event::PeerAddresses { sa, .. } => (*sa, "PeerAddresses"),
            Event::NatChanged { sa, .. } => (*sa, "NatChanged"),
            Event::Away { sa, .. } => (*sa, "Away"),
            Event::AwayRefused { sa, .. } => (*sa, "AwayRefused"),
            Event::PeerAway { sa, .. } => (*sa, "PeerAway"),
            Event::Redirected { sa, .. } => (*sa, "Redirected"),
            Event::ConnectFailed { .. } | Event::Notice { .. } | Event::Authorise(_) | Event::Eap(_) => return,
        };
        let Some(life) = self.lives.get_mut(&(host.id, sa)).filter(|life| !life.over) else {
            return self.broken(host, format_args!("{what} of IKE SA {sa}, which is not up"));
        };
        let wrong = match event {
            Event::ChildUp { child, .. } => !life.children.insert(*child),
            Event::ChildDown { child, .. } => !life.children.remove(child),
            Event::IkeSaDown { .. } => {
                life.over = true;
                !life.children.is_empty()
            }
            _ => false,
        };
        if wrong {
            self.broken(host, format_args!("{what} of IKE SA {sa} does not fit its Child SAs"));
        }
    }

    /// An engine did something and was drained.
    pub fn after(&mut self, host: &Host, timer_at: Option<Nanos>) {
        let mut now = Vec::new();
        host.engine.counters().each(|name, value| now.push((name, value)));
        if let Some(before) = self.counters.get(&host.id) {
            let shrunk = before.iter().zip(&now).find(|(before, now)| now.1 < before.1).map(|(before, _)| before.0);
            if let Some(name) = shrunk {
                self.broken(host, format_args!("counter {name} shrank"));
            }
        }
        self.counters.insert(host.id, now);
        if let (Some(served), Some(next)) = (timer_at, host.engine.poll_timeout())
            && next <= served
        {
            self.broken(host, format_args!("timer served at {} wants to be served again at {}", served.0, next.0));
        }
    }
}
