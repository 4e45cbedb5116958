//! The only door: `handle_*` in, `poll_*` out. One mutation, then drain events before transmits.

mod commands;
mod datagram;
mod orders;
pub mod park;
mod reauth;
mod resume;
mod streams;
mod unreachable;

pub use unreachable::Quoted;

use crate::Nanos;
use crate::counters::Counters;
use crate::crypto::SeededRandom;
use crate::crypto::capture::KeysInTheClear;
use crate::engine::park::Keeping;
use crate::event::{DownReason, Event};
use crate::id::{MAX_SLOTS, SaId};
use crate::profile::Unique;
use crate::sa::context::Context;
use crate::sa::exchange::{auth_initiator, auth_responder, expire, init_initiator, intermediate_initiator, repair};
use crate::sa::told::Told;
use crate::sa::trace::Exchange;
use crate::sa::watch::Traffic;
use crate::sa::{Sa, established};
use crate::settings::Settings;
use crate::table::cookie_gate::CookieGate;
use crate::table::slab::Slab;
use crate::table::wheel::Wheel;
use crate::transmit::Transmit;

/// Keys of puzzles tried in one `handle_timeout`, whoever solves them: a few milliseconds in which nothing else is done.
const KEYS_AT_A_TIME: u32 = 4_096;

/// Many IKE SAs, without sockets, threads, clock or OS randomness.
pub struct Engine {
    table: Slab<Sa>,
    wheel: Wheel,
    gate: CookieGate,
    ctx: Context,
    keeping: Keeping,
    /// Scratch for `handle_timeout`.
    due: Vec<u32>,
}

impl Engine {
    /// An engine whose every random choice follows from `seed`; take it from the operating system.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32]) -> Engine {
        Engine {
            table: Slab::new(settings.max_sas.min(MAX_SLOTS)),
            wheel: Wheel::default(),
            gate: CookieGate::default(),
            ctx: Context::new(settings, SeededRandom::new(seed)),
            keeping: Keeping::default(),
            due: Vec::new(),
        }
    }

    /// The next fact. Drain these before transmits: a Child SA is installed before its answer leaves.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.poll_told().map(|(event, _)| event)
    }

    /// The same with the exchange that it came of.
    pub fn poll_told(&mut self) -> Option<Told> {
        self.ctx.events.pop_front()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.ctx.transmits.pop_front()
    }

    /// When `handle_timeout` wants to be called; `None` if nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Nanos> {
        self.wheel.next()
    }

    /// `poll_timeout` has passed.
    pub fn handle_timeout(&mut self, now: Nanos) {
        let mut due = core::mem::take(&mut self.due);
        self.ctx.keys_left = KEYS_AT_A_TIME;
        self.wheel.advance(now, &mut due);
        for place in due.drain(..) {
            self.wake(now, place);
        }
        self.due = due;
    }

    /// What the data plane saw of an IKE SA's ESP. Costs a look into the table; call it once per SA and batch.
    pub fn note_traffic(&mut self, now: Nanos, sa: SaId, traffic: Traffic) {
        let Some(place) = self.place_of(sa) else { return };
        let Some(Sa::Established(sa)) = self.table.get_mut(place) else { return };
        self.keeping.note(place, sa);
        let watched = sa.note_traffic(&mut self.ctx, now, traffic);
        let asked = traffic.elsewhere.is_some_and(|path| repair::on_stray_esp(sa, &mut self.ctx, now, path));
        if watched || asked {
            self.wheel.arm(place, sa.deadline());
        }
    }

    fn wake(&mut self, now: Nanos, place: u32) {
        let Some(sa) = self.table.get_mut(place) else { return };
        let ctx = &mut self.ctx;
        if sa.deadline() > now {
            ctx.counters.idle_wakeups += 1;
        } else {
            ctx.events.come_of(sa.sets_up_by());
            match sa {
                Sa::AwaitInitAnswer(_) => init_initiator::on_timeout(sa, ctx, now),
                Sa::AwaitAuth(_) => auth_responder::on_timeout(sa, ctx, now),
                Sa::AwaitIntermediateAnswer(_) => intermediate_initiator::on_timeout(sa, ctx, now),
                Sa::AwaitAuthAnswer(_) => auth_initiator::on_timeout(sa, ctx, now),
                Sa::Established(_) => established::on_timeout(sa, ctx, now),
                Sa::Ended => {}
            }
        }
        self.settle(now, place);
    }

    /// After anything happened to an SA: clear its place or arm its timer. What this does to others comes of no exchange of theirs.
    fn settle(&mut self, now: Nanos, place: u32) {
        self.ctx.events.come_of(None);
        match self.table.get_mut(place) {
            None => {}
            Some(Sa::Ended) => {
                self.table.remove(place);
                self.wheel.disarm(place);
            }
            Some(sa) => {
                self.wheel.arm(place, sa.deadline());
                if let Sa::Established(sa) = sa {
                    self.keeping.note(place, sa);
                }
            }
        }
        if !self.ctx.replaced.is_empty() {
            self.close_replaced(now, place);
        }
        if !self.ctx.reauth.is_empty() {
            self.reauthenticate(now);
        }
        while let Some(spis) = self.ctx.taken_up.pop() {
            self.end_what_was_before(now, spis);
        }
    }

    /// The peer of the newcomer at `place` has no other IKE SA with us: it says so (INITIAL_CONTACT), or may have none and is
    /// told so.
    fn close_replaced(&mut self, now: Nanos, place: u32) {
        let suspects = core::mem::take(&mut self.ctx.replaced);
        let Some(Sa::Established(newcomer)) = self.table.get(place) else { return };
        let (identity, policy, from) = (newcomer.identity(), newcomer.profile.unique, newcomer.path.remote);
        for suspect in suspects.into_iter().filter(|suspect| *suspect != place) {
            let Some(sa) = self.table.get_mut(suspect) else { continue };
            if let Sa::Established(older) = sa
                && older.identity() == identity
            {
                match policy {
                    // From the same place it is the same peer, which makes the new one before it breaks the old one.
                    Unique::Replace if older.path.remote == from => expire::supersede(older, now),
                    Unique::Replace => older.close(&mut self.ctx, now, DownReason::Replaced),
                    Unique::AsPeerSays | Unique::Keep | Unique::Never => {
                        established::end(sa, &mut self.ctx, DownReason::Replaced);
                    }
                }
                self.settle(now, suspect);
            }
        }
    }

    /// Octets of fragments that wait for others (RFC 7383).
    #[must_use]
    pub fn fragments_held(&self) -> u64 {
        self.ctx.room.held()
    }

    /// IKE SAs that are over, as was told, and whose peers have yet to say that they know.
    #[must_use]
    pub fn closing(&self) -> u32 {
        self.ctx.closing
    }

    /// Has it given out this SPI of ESP? Its Child SA is agreed, or about to be.
    #[must_use]
    pub fn expects_esp(&self, spi: u32) -> bool {
        self.ctx.children.has_given_out(spi)
    }

    /// Totals since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.ctx.counters
    }

    /// How many of what there are now.
    #[must_use]
    pub fn population(&self) -> Population {
        Population {
            ike_sas: self.table.len(),
            half_open: self.ctx.half_open.len(),
            child_sas: self.ctx.children.len(),
        }
    }

    /// The keys of an IKE SA in the clear, as a line of Wireshark's `ikev2_decryption_table`. Whoever holds it can read
    /// and forge the SA's messages: for captures that an operator asked for, and for tests.
    #[must_use]
    pub fn export_keys(&self, sa: SaId) -> Option<String> {
        let channel = match self.table.get(self.place_of(sa)?)? {
            Sa::AwaitIntermediateAnswer(sa) => sa.channel(),
            Sa::AwaitAuthAnswer(sa) => sa.channel(),
            Sa::Established(sa) => &sa.channel,
            Sa::AwaitInitAnswer(_) | Sa::AwaitAuth(_) | Sa::Ended => return None,
        };
        Some(KeysInTheClear::i_know_this_breaks_confidentiality(channel.keys()).wireshark_line(channel.spis))
    }

    /// What the ends of an established IKE SA said of late, in the order in which it ended, and what is unanswered behind
    /// that; none if it is not there.
    #[must_use]
    pub fn exchanges(&self, sa: SaId) -> Option<Vec<Exchange>> {
        match self.table.get(self.place_of(sa)?)? {
            Sa::Established(sa) => Some(sa.trace.all(sa.requests.outstanding()).collect()),
            _ => None,
        }
    }

    /// Where an SA sits, if it still lives.
    fn place_of(&self, sa: SaId) -> Option<u32> {
        let alive = sa.shard() == self.ctx.settings.shard && self.table.generation(sa.slot()) == Some(sa.generation());
        alive.then_some(sa.slot())
    }
}

/// How many of what an engine holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Population {
    /// IKE SAs in any state.
    pub ike_sas: u32,
    /// Those of them that a stranger asked for and nobody authenticated yet.
    pub half_open: u32,
    /// Child SA pairs, those being agreed included.
    pub child_sas: u32,
}
