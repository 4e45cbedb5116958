//! What replacing an IKE SA or a Child SA needs beside the SA itself. Most of the time there is nothing.
//!
//! ```text
//! the IKE SA in use        Established: channel, requests, answers
//! asked                    our CREATE_CHILD_SA that is to replace it
//! rival                    what the peer made meanwhile by asking the same (RFC 7296 section 2.8.2)
//! coming                   what the peer makes by several key exchanges, and the next one has not come
//! retired                  IKE SAs of the same two ends that only wait for their end
//! ```
//!
//! All of them sit in one place of the table and have one name outside; the SPIs of a message say which it is for.

pub mod park;
pub mod series;

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::children::ChildNumber;
use crate::crypto::{CryptoError, Ephemeral, IkeSuite, KeMethod, Nonces, Random, Role, SeededRandom, Spis};
use crate::id::ChildId;
use crate::sa::channel::{Channel, Outgoing};
use crate::sa::child::Reserved;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::first_child::Founding;
use crate::sa::rekeying::series::{ChildHalf, Coming, IkeHalf, Link};
use crate::sa::timers::{Retry, patience};
use crate::sa::window::{Answers, Ask, Outstanding};
use crate::selector::Selector;
use crate::wire::{Delete, ExchangeType, Header, Payload};
use crate::{Nanos, Path};

/// What is under way, and what is left over.
#[derive(Debug, Default)]
pub struct Rekeying {
    /// We ask for another IKE SA.
    pub ike: Option<IkeAsked>,
    /// The peer did too.
    pub rival: Option<Rival>,
    /// We ask for another Child SA.
    pub child: Option<ChildAsked>,
    /// The peer makes these by several key exchanges.
    pub coming: Vec<Coming>,
    /// Child SAs of the profile to be opened after it.
    pub to_open: VecDeque<ChildNumber>,
    /// Not before then.
    pub open_at: Nanos,
    /// It came up without a Child SA, and asks for its first.
    pub founding: Option<Founding>,
    /// What waits for its end, oldest first.
    pub retired: Vec<Retired>,
    /// Rekeys of the IKE SA refused in a row.
    pub refused: u8,
    /// The same of Child SAs.
    pub child_refused: u8,
    /// Child SAs to be opened that the peer put off, in a row.
    pub open_refused: u8,
    /// Attempts at reauthentication that came to nothing.
    pub reauth_failed: u8,
}

/// Our half of the next IKE SA.
#[derive(Debug)]
pub struct IkeAsked {
    /// Our SPI.
    pub spi: u64,
    /// Our nonce.
    pub nonce: [u8; Nonces::FRESH_LEN],
    /// Where our key pair comes from.
    pub seed: Seed,
    /// Our key pair: of CREATE_CHILD_SA, or of the additional key exchange that is under way.
    pub ephemeral: Ephemeral,
    /// Requests made anew because the peer wants another key exchange.
    pub renewals: u8,
    /// The peer has agreed, and more key exchanges are to be done; how it names them.
    pub half: Option<Box<(IkeHalf, Link)>>,
}

/// What a key pair is made from: it can be written down, and made again.
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Of these octets.
    #[must_use]
    pub fn new(octets: [u8; 32]) -> Seed {
        Seed(Zeroizing::new(octets))
    }

    /// A fresh one.
    pub fn fresh(random: &mut impl Random) -> Seed {
        let mut octets = Zeroizing::new([0; 32]);
        random.fill(&mut *octets);
        Seed(octets)
    }

    /// The key pair: always the same.
    pub fn ephemeral(&self, method: KeMethod) -> Result<Ephemeral, CryptoError> {
        Ephemeral::generate(method, &mut SeededRandom::new(*self.0))
    }

    fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Our half of the next Child SA.
#[derive(Debug)]
pub struct ChildAsked {
    /// Which Child SA of the profile.
    pub number: ChildNumber,
    /// The pair it replaces; none if it is a new one.
    pub replaces: Option<ChildId>,
    /// Its place and our SPI.
    pub reserved: Reserved,
    /// Our nonce.
    pub nonce: [u8; Nonces::FRESH_LEN],
    /// Our key pair, if it gets a key exchange of its own.
    pub ephemeral: Option<Ephemeral>,
    /// Our side and the peer's, as proposed.
    pub proposed: (Vec<Selector>, Vec<Selector>),
    /// The pair that the peer made meanwhile for the same purpose, and the lowest nonce of its exchange.
    pub rival: Option<(ChildId, Box<[u8]>)>,
    /// Requests made anew because the peer wants another key exchange.
    pub renewals: u8,
    /// The pair it replaces was closed by order meanwhile.
    pub unwanted: bool,
    /// SPIs that the peer has deleted meanwhile and that we do not know: ours may be among them, if its answer is late.
    pub deleted: Vec<u32>,
    /// The peer has agreed, and more key exchanges are to be done; how it names them.
    pub half: Option<Box<(ChildHalf, Link)>>,
}

/// The IKE SA that a rekey of the peer made while ours is unanswered.
#[derive(Debug)]
pub struct Rival {
    /// It.
    pub fresh: Fresh,
    /// The lowest nonce of its exchange.
    pub lowest: Box<[u8]>,
}

/// An IKE SA that a rekey made.
#[derive(Debug)]
pub struct Fresh {
    /// Its keys.
    pub channel: Channel,
    /// The peer's requests on it.
    pub answers: Answers,
    /// Its algorithms.
    pub suite: IkeSuite,
}

/// An IKE SA that was replaced, or never came into use.
#[derive(Debug)]
pub struct Retired {
    /// Its keys.
    pub channel: Channel,
    /// Its algorithms.
    pub suite: IkeSuite,
    /// The peer's requests on it.
    pub answers: Answers,
    /// Message id of the newest UPDATE_SA_ADDRESSES on it.
    pub last_update: Option<u32>,
    /// Message id of the newest list of addresses on it.
    pub last_list: Option<u32>,
    /// The peer's newest request when it had another one in use: with a higher id it has only a Delete to send.
    pub newest: Option<u32>,
    /// The peer has deleted it: whatever else it asks here is asked by a process that has forgotten that.
    pub buried: bool,
    /// Our Delete, if it is ours to delete.
    pub farewell: Option<Outstanding>,
    /// Forgotten then.
    pub until: Nanos,
}

/// When something is to be replaced.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// The IKE SA.
    pub ike: Nanos,
    /// The first of its Child SAs.
    pub children: Nanos,
    /// The IKE SA is over.
    pub ike_end: Nanos,
    /// The first of its Child SAs is.
    pub children_end: Nanos,
    /// We prove who we are anew.
    pub reauth: Nanos,
    /// The peer has not done so in time.
    pub proof_over: Nanos,
    /// The peer was sent on to another gateway, and has ended it by then.
    pub sent_on: Nanos,
    /// But nothing ends before then.
    pub spared_until: Nanos,
    /// Another IKE SA has taken its place, so its end is near.
    pub superseded: bool,
}

impl Lifetimes {
    /// Never.
    pub const UNLIMITED: Lifetimes = Lifetimes {
        ike: Nanos::NEVER,
        children: Nanos::NEVER,
        ike_end: Nanos::NEVER,
        children_end: Nanos::NEVER,
        reauth: Nanos::NEVER,
        proof_over: Nanos::NEVER,
        sent_on: Nanos::NEVER,
        spared_until: Nanos(0),
        superseded: false,
    };

    /// When something ends.
    #[must_use]
    pub fn end(&self) -> Nanos {
        self.ike_end.min(self.children_end).max(self.spared_until)
    }
}

/// A peer that replaced an IKE SA deletes the old one at once, and repeats that for some minutes.
pub const LINGER: Duration = Duration::from_secs(180);

/// After the peer has deleted a retired one, repetitions of that are answered this long.
const ECHO: Duration = Duration::from_secs(30);

/// One replaced, one lost in a collision, and one more of a peer that is slow to delete.
const MOST_RETIRED: usize = 3;

impl Fresh {
    /// Nothing was said on it yet.
    #[must_use]
    pub fn new(channel: Channel, suite: IkeSuite, window: u8) -> Fresh {
        Fresh { channel, answers: Answers::new(0, window.into()), suite }
    }

    /// It does not come into use.
    #[must_use]
    pub fn retire(self, until: Nanos) -> Retired {
        let Fresh { channel, answers, suite } = self;
        Retired {
            channel,
            suite,
            answers,
            last_update: None,
            last_list: None,
            newest: None,
            buried: false,
            farewell: None,
            until,
        }
    }
}

impl Rekeying {
    fn deadline(&self) -> Nanos {
        let due = |retired: &Retired| {
            let again = retired.farewell.as_ref().map_or(Nanos::NEVER, |delete| delete.retry.next);
            retired.until.min(again)
        };
        let opens = self.child.is_none() && !self.to_open.is_empty();
        let open_at = if opens { self.open_at } else { Nanos::NEVER };
        let coming = self.coming.iter().map(|coming| coming.until);
        self.retired.iter().map(due).chain(coming).min().unwrap_or(Nanos::NEVER).min(open_at)
    }

    fn is_over(&self) -> bool {
        self.ike.is_none()
            && self.rival.is_none()
            && self.child.is_none()
            && self.coming.is_empty()
            && self.to_open.is_empty()
            && self.founding.is_none()
            && self.retired.is_empty()
            && self.refused == 0
            && self.child_refused == 0
            && self.open_refused == 0
            && self.reauth_failed == 0
    }

    /// Is this Child SA of the profile about to be opened?
    #[must_use]
    pub fn opens(&self, number: ChildNumber) -> bool {
        let asked = self.child.as_ref().is_some_and(|asked| asked.replaces.is_none() && asked.number == number);
        asked || self.to_open.contains(&number)
    }

    fn lines(&mut self) -> impl Iterator<Item = (&mut Channel, &mut Answers)> {
        let rival = self.rival.as_mut().map(|rival| (&mut rival.fresh.channel, &mut rival.fresh.answers));
        let retired = self.retired.iter_mut().map(|retired| (&mut retired.channel, &mut retired.answers));
        rival.into_iter().chain(retired)
    }
}

impl Established {
    /// The state of rekeying, made if there is none.
    pub fn rekeying(&mut self) -> &mut Rekeying {
        self.rekeying.get_or_insert_default()
    }

    /// Give its memory back if nothing is under way.
    pub fn tidy_rekeying(&mut self) {
        if self.rekeying.as_ref().is_some_and(|rekeying| rekeying.is_over()) {
            self.rekeying = None;
        }
    }

    /// Is the IKE SA with these SPIs the one in use?
    #[must_use]
    pub fn is_in_use(&self, spis: Spis) -> bool {
        self.channel.spis == spis
    }

    /// The IKE SA with these SPIs: the one in use or another.
    pub fn line(&mut self, spis: Spis) -> Option<(&mut Channel, &mut Answers)> {
        if self.channel.spis == spis {
            return Some((&mut self.channel, &mut self.answers));
        }
        self.rekeying.as_mut()?.lines().find(|(channel, _)| channel.spis == spis)
    }

    /// Is a message with this header for one of its IKE SAs?
    #[must_use]
    pub fn is_addressed_by(&self, header: &Header) -> bool {
        let fits = |channel: &Channel| {
            header.initiator_spi == channel.spis.initiator
                && header.responder_spi == channel.spis.responder
                && header.flags.initiator == (channel.role == Role::Responder)
        };
        let others = || {
            self.rekeying.as_ref().is_some_and(|rekeying| {
                rekeying.rival.as_ref().is_some_and(|rival| fits(&rival.fresh.channel))
                    || rekeying.retired.iter().any(|retired| fits(&retired.channel))
            })
        };
        fits(&self.channel) || others()
    }

    /// Wait for the end of an IKE SA that is not in use (any more).
    pub fn retire(&mut self, retired: Retired) {
        let all = &mut self.rekeying().retired;
        all.push(retired);
        if all.len() > MOST_RETIRED {
            all.remove(0);
        }
    }

    /// The same, and delete it: `id` is the next message id of ours on it.
    pub fn retire_and_delete(&mut self, ctx: &mut Context, now: Nanos, mut retired: Retired, id: u32) {
        let message = Outgoing { exchange: ExchangeType::INFORMATIONAL, id, response: false };
        let sealed =
            retired.channel.seal(&mut ctx.buffer, message, |writer| writer.push(&Payload::Delete(Delete::IkeSa)));
        let Ok(bytes) = sealed else {
            ctx.counters.dropped_crypto += 1;
            return;
        };
        let (path, generation, policy) = (self.path, self.generation, self.profile.retransmit);
        ctx.send(path, Arc::clone(&bytes));
        let retry = Retry::begin(now, &policy, &mut ctx.random);
        retired.farewell =
            Some(Outstanding { id, ask: Ask::DeleteIke, bytes, path, generation, retry, many_paths: false, sent: 1 });
        retired.until = now + patience(&policy, self.part);
        self.retire(retired);
    }

    /// The peer has deleted a retired one.
    pub fn bury(&mut self, now: Nanos, spis: Spis) {
        self.keys_are_common();
        let retired = self.rekeying.iter_mut().flat_map(|rekeying| &mut rekeying.retired);
        for retired in retired.filter(|retired| retired.channel.spis == spis) {
            (retired.buried, retired.farewell) = (true, None);
            retired.until = retired.until.min(now + ECHO);
        }
    }

    /// When rekeying wants to be woken.
    #[must_use]
    pub fn rekeying_at(&self) -> Nanos {
        let left_over = self.rekeying.as_ref().map_or(Nanos::NEVER, |rekeying| rekeying.deadline());
        let due = self.due.ike.min(self.due.children).min(self.due.end()).min(self.due.reauth).min(self.due.proof_over);
        let due = due.min(self.due.sent_on);
        let due = if self.is_closing() { Nanos::NEVER } else { due };
        left_over.min(due)
    }

    /// Time has passed: repeat Deletes, forget what is over.
    pub fn tend_retired(&mut self, ctx: &mut Context, now: Nanos) {
        let Some(rekeying) = self.rekeying.as_mut() else { return };
        rekeying.retired.retain(|retired| retired.until > now);
        let farewells = rekeying.retired.iter_mut().filter_map(|retired| retired.farewell.as_mut());
        for delete in farewells.filter(|delete| delete.retry.next <= now) {
            delete.retry.again(now, &self.profile.retransmit, &mut ctx.random);
            delete.sent_again();
            ctx.send_again(delete.path, Arc::clone(&delete.bytes));
        }
        self.tidy_rekeying();
    }

    /// The SA moved: Deletes of retired ones go on from there.
    pub fn re_aim_retired(&mut self, ctx: &mut Context, now: Nanos, path: Path) {
        let policy = self.profile.retransmit;
        let retired = self.rekeying.iter_mut().flat_map(|rekeying| &mut rekeying.retired);
        for delete in retired.filter_map(|retired| retired.farewell.as_mut()) {
            delete.many_paths |= delete.path != path;
            delete.path = path;
            delete.retry = delete.retry.elsewhere(now, &policy, &mut ctx.random);
            delete.sent_again();
            ctx.counters.retransmissions += 1;
            ctx.send(path, Arc::clone(&delete.bytes));
        }
    }
}
