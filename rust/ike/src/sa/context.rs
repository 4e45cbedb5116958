//! What all SAs of an engine share and an exchange may use: chance, outboxes, counters, standing orders, leases.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::counters::Counters;
use crate::crypto::{IkeSuite, SeededRandom, Spis};
use crate::event::{Comparison, Event, NoticeKind, cut};
use crate::id::{ProfileId, SaId};
use crate::profile::{Childless, Profile};
use crate::proofs::Authority;
use crate::redirect::TurnAway;
use crate::sa::channel::Unopened;
use crate::sa::child::Children;
use crate::sa::exchange::reauth::Wishes;
use crate::sa::probe::Budgets;
use crate::sa::told::Events;
use crate::table::debts::Debts;
use crate::table::half_open::HalfOpenTable;
use crate::table::identities::Identities;
use crate::table::parking::Parking;
use crate::table::pools::Pools;
use crate::table::room::Room;
use crate::table::tickets::{Mint, Purse};
use crate::wire;
use crate::{Nanos, Path, Settings, Transmit};

/// Shared by all SAs of one engine.
pub struct Context {
    /// What the engine was made with.
    pub settings: Settings,
    /// All chance comes from here.
    pub random: SeededRandom,
    /// Totals.
    pub counters: Counters,
    /// Facts for the control plane.
    pub events: Events,
    /// Datagrams to send.
    pub transmits: VecDeque<Transmit>,
    /// Scratch for messages under construction.
    pub buffer: Vec<u8>,
    /// Standing orders.
    pub profiles: BTreeMap<ProfileId, Arc<Profile>>,
    /// Every IKE suite of a profile that accepts peers, in the order of the profiles.
    pub accepted_suites: Vec<IkeSuite>,
    /// A profile that accepts peers has an end that signs.
    pub accepts_signatures: bool,
    /// One of them has a PPK.
    pub accepts_ppk: bool,
    /// One of them takes peers that want no Child SA with IKE_AUTH.
    pub accepts_childless: bool,
    /// Authorities that such profiles trust, for CERTREQ.
    pub accepted_authorities: Vec<Authority>,
    /// Questions that wait for the control plane.
    pub parking: Parking,
    /// For fragments of messages.
    pub room: Room,
    /// What we tell peers about in IKE_AUTH.
    pub local_addresses: Arc<[IpAddr]>,
    /// Child SA pairs.
    pub children: Children,
    /// Inner addresses on lease.
    pub pools: Pools,
    /// Who is connected.
    pub identities: Identities,
    /// Responder SAs before IKE_AUTH.
    pub half_open: HalfOpenTable,
    /// What strangers from one prefix owe.
    pub debts: Debts,
    /// SAs whose peer says that they are dead; the engine looks closer and closes them.
    pub replaced: Vec<u32>,
    /// Reauthentication: what concerns two IKE SAs.
    pub reauth: Wishes,
    /// Those who ask for an IKE SA are sent on to another gateway.
    pub turn_away: Option<Arc<TurnAway>>,
    /// Gives tickets out, and takes them back.
    pub mint: Mint,
    /// Tickets of gateways, for IKE SAs that are gone.
    pub purse: Purse,
    /// Those that were taken up again by a ticket: the engine ends what is left of them.
    pub taken_up: Vec<Spis>,
    /// IKE SAs that are over, and whose Delete is still on its way.
    pub closing: u32,
    /// Keys of puzzles that may be tried before others have their turn.
    pub keys_left: u32,
    /// What path probes may cost.
    pub probes: Budgets,
    notices: NoticeBudget,
    /// Errors told to strangers.
    errors: NoticeBudget,
}

impl Context {
    /// Nothing known yet.
    pub fn new(settings: Settings, random: SeededRandom) -> Context {
        let children = Children::new(settings.max_sas);
        Context {
            settings,
            random,
            counters: Counters::default(),
            events: Events::default(),
            transmits: VecDeque::new(),
            buffer: Vec::with_capacity(1024),
            profiles: BTreeMap::new(),
            accepted_suites: Vec::new(),
            accepts_signatures: false,
            accepts_ppk: false,
            accepts_childless: false,
            accepted_authorities: Vec::new(),
            parking: Parking::default(),
            room: Room::default(),
            local_addresses: Arc::from([]),
            children,
            pools: Pools::default(),
            identities: Identities::default(),
            half_open: HalfOpenTable::default(),
            debts: Debts::default(),
            replaced: Vec::new(),
            reauth: Wishes::default(),
            turn_away: None,
            mint: Mint::default(),
            purse: Purse::default(),
            taken_up: Vec::new(),
            closing: 0,
            keys_left: 0,
            probes: Budgets::default(),
            notices: NoticeBudget { until: Nanos(0), left: 0 },
            errors: NoticeBudget { until: Nanos(0), left: 0 },
        }
    }

    /// Put out a message. One in fragments has them one behind the other, each with its header (RFC 7383): so it is kept,
    /// repeated and answered with as one, and only here it becomes datagrams.
    pub fn send(&mut self, path: Path, bytes: Arc<[u8]>) {
        self.send_pieces(path, bytes, false);
    }

    /// The same once more over the same path, for there is no answer yet.
    pub fn send_again(&mut self, path: Path, bytes: Arc<[u8]>) {
        self.counters.retransmissions += 1;
        self.send_pieces(path, bytes, true);
    }

    fn send_pieces(&mut self, path: Path, bytes: Arc<[u8]>, again: bool) {
        let whole = wire::length_of(&bytes).is_none_or(|length| length >= bytes.len());
        if whole {
            return self.put_out(path, bytes, again);
        }
        let mut rest = &bytes[..];
        while let Some((piece, behind)) = wire::length_of(rest).and_then(|length| rest.split_at_checked(length)) {
            self.counters.fragments_sent += 1;
            self.put_out(path, Arc::from(piece), again);
            rest = behind;
        }
    }

    fn put_out(&mut self, path: Path, bytes: Arc<[u8]>, again: bool) {
        self.counters.sent += 1;
        self.counters.sent_octets += bytes.len() as u64;
        self.transmits.push_back(Transmit { path, bytes, keepalive: false, again });
    }

    /// Say one line to people, unless too much was said already.
    pub fn notice(&mut self, now: Nanos, about: About, kind: NoticeKind, text: impl FnOnce() -> String) {
        self.refusal(now, about, kind, || (text(), None));
    }

    /// The same of something that was refused, with what was asked for beside what is taken.
    pub fn refusal(
        &mut self,
        now: Nanos,
        about: About,
        kind: NoticeKind,
        say: impl FnOnce() -> (String, Option<Comparison>),
    ) {
        self.refusal_as(now, about, kind, |_| say());
    }

    /// The same where that needs a look at the standing orders.
    pub fn refusal_as(
        &mut self,
        now: Nanos,
        about: About,
        kind: NoticeKind,
        say: impl FnOnce(&Context) -> (String, Option<Comparison>),
    ) {
        if self.notices.spend(now) {
            let (text, compared) = say(self);
            let (text, compared) = (cut(text, LONGEST_NOTICE), compared.map(Box::new));
            self.events.push_back(Event::Notice { kind, path: about.path, sa: about.sa, text, compared });
        } else {
            self.counters.notices_suppressed += 1;
        }
    }

    /// May one more stranger hear what is wrong with its request?
    pub fn may_tell_strangers(&mut self, now: Nanos) -> bool {
        self.errors.spend(now)
    }

    /// A message that could not be opened was dropped.
    pub fn count_unopened(&mut self, why: Unopened) {
        match why {
            Unopened::Malformed => self.counters.dropped_malformed += 1,
            Unopened::Fragment => self.counters.dropped_fragment += 1,
            Unopened::Waiting => self.counters.fragments_kept += 1,
            Unopened::BadIcv => self.counters.dropped_bad_icv += 1,
        }
    }

    /// Are these still the standing orders, or what they are for one peer?
    #[must_use]
    pub fn is_in_force(&self, id: ProfileId, profile: &Profile) -> bool {
        self.profiles.get(&id).is_some_and(|known| known.generation == profile.generation)
    }

    /// Profiles may have changed: what do strangers get to choose from?
    pub fn refresh_accepted(&mut self) {
        /// A name of 20 octets each, in an answer to anybody.
        const MOST_AUTHORITIES: usize = 16;
        let accepting = || self.profiles.values().filter(|profile| profile.accepts);
        self.accepts_childless = accepting().any(|profile| profile.childless != Childless::Never);
        self.accepts_ppk = accepting().any(|profile| profile.ppk.is_some());
        self.accepts_signatures = accepting().any(|profile| profile.proofs.sign());
        let mut authorities = Vec::new();
        for authority in accepting().flat_map(|profile| profile.proofs.authorities()) {
            if !authorities.contains(authority) && authorities.len() < MOST_AUTHORITIES {
                authorities.push(*authority);
            }
        }
        let mut suites = Vec::new();
        for suite in accepting().flat_map(|profile| &profile.ike_suites) {
            if !suites.contains(suite) {
                suites.push(*suite);
            }
        }
        self.accepted_suites = suites;
        self.accepted_authorities = authorities;
    }
}

/// Octets of a notice, beyond what people read of one line: thousands are kept for readers, so none may grow with what a
/// peer sends.
const LONGEST_NOTICE: usize = 1024;

/// What a notice is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct About {
    /// Where it happened.
    pub path: Option<Path>,
    /// To whom.
    pub sa: Option<SaId>,
}

/// A stranger may not fill the log: so many notices in so long, the rest is only counted.
const NOTICES: u32 = 64;
const NOTICE_PERIOD: Duration = Duration::from_secs(1);

struct NoticeBudget {
    until: Nanos,
    left: u32,
}

impl NoticeBudget {
    fn spend(&mut self, now: Nanos) -> bool {
        if now >= self.until {
            *self = NoticeBudget { until: now + NOTICE_PERIOD, left: NOTICES };
        }
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }
}
