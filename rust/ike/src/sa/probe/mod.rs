//! Path probes: what is known of every pair, all the time, outside the request window (docs/extensions/path-probes.md).
//!
//! ```text
//! initiator   HDR(PATH_PROBE, n), SK' { N(poll, id, heard..) }   -->        over each pair that is watched
//! responder                                <--   HDR(PATH_PROBE, m), SK' { N(echo, id, heard..) }   the same way back
//! either      HDR(PATH_PROBE, n), SK' { N(poll, ..) }            -->        where the other has fallen silent
//! ```
//!
//! The protocol of draft-ietf-multi6-failure-detection-00 section 5.4: each end says what it heard, so that both learn
//! which pairs work in which direction. Nothing here moves an SA; [`Event::PairSeen`] tells, the control plane decides.
//!
//! `place` knows one pair, `keys` what seals, `replay` what came already, `budget` what may be spent. A peer that did not offer the
//! extension never sees a probe, and its own messages never come here.

pub mod budget;
mod inbound;
mod keys;
mod park;
pub mod place;
pub mod replay;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use crate::crypto::{Random, SeededRandom};
use crate::event::{Event, NoticeKind};
use crate::sa::channel::Outgoing;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::probe::budget::Budget;
use crate::sa::probe::keys::KeyRing;
use crate::sa::probe::place::Place;
use crate::wire::probe::{MOST_HEARD, PATH_PROBE, PROBE, Probe};
use crate::wire::{Extensions, Payload};
use crate::{Nanos, Path};

pub use inbound::on_message;

/// Pairs of one SA that are probed: as many as one probe can tell of.
pub const MOST_PLACES: usize = MOST_HEARD;

/// Polls that all SAs of an engine send in a second.
pub const POLLS_PER_SECOND: u32 = 2_000;
/// Echoes that all SAs of an engine send in a second: about a tenth of a core.
pub const ECHOES_PER_SECOND: u32 = 20_000;
/// Echoes that one SA sends in a second, whatever its peer wants.
const ECHOES_PER_SA: u32 = 64;

/// No pair is polled more often, whatever the control plane says.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
/// A pair that does not work at all is polled so many times less often.
const DEAD_FACTOR: u32 = 4;
/// But never less often than this, unless that was ordered.
const DEAD_INTERVAL: Duration = Duration::from_secs(10);
/// A failed pair on which a sign came is polled again so soon, to see whether it works.
const CONFIRM: Duration = Duration::from_millis(100);

/// What the peer polls no more is polled by us only so many times where it never proved that it receives: somebody else
/// may live there.
const MOST_UNPROVEN: u8 = 3;
/// Elsewhere so many times without a sign, here or in what the peer says on other pairs.
const MOST_UNHEARD: u8 = 10;
/// In intervals of the peer: its polls of a pair are missed then, and we begin.
const MISSED_PERCENT: u32 = 250;
/// In intervals of who polls: so long without anything from the peer means that nothing of it gets through.
const SILENCE_PERCENT: u32 = 350;

/// An identifier that came so long ago is told no more, and a proof as old proves nothing.
const FRESH: Duration = Duration::from_secs(10);

/// What probes of one SA need. It is there from the first probe on, and for as long as the keys: the numbers of both
/// directions must not begin anew with them.
#[derive(Debug)]
pub struct Probing {
    keys: KeyRing,
    /// How often the control plane wants each pair polled; zero: not at all.
    interval: Duration,
    /// The peer asks for no more polls of a pair than one in this time.
    least: Duration,
    /// How often the peer polls each pair; zero: not at all.
    peer_interval: Duration,
    places: Vec<Place>,
    echoes: Budget,
}

/// What all SAs of an engine may spend on probes.
#[derive(Debug)]
pub struct Budgets {
    polls: Budget,
    echoes: Budget,
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets { polls: Budget::new(POLLS_PER_SECOND), echoes: Budget::new(ECHOES_PER_SECOND) }
    }
}

impl Budgets {
    /// What peers are asked to leave between two polls of a pair: nothing, while there is enough for all.
    fn least_interval(&self, now: Nanos) -> Duration {
        match self.echoes.percent_spent(now) {
            0..50 => Duration::ZERO,
            50..80 => Duration::from_secs(4),
            _ => Duration::from_secs(16),
        }
    }
}

impl Probing {
    fn new(sa: &Established) -> Option<Probing> {
        Some(Probing {
            keys: KeyRing::of(sa)?,
            interval: Duration::ZERO,
            least: Duration::ZERO,
            peer_interval: Duration::ZERO,
            places: Vec::new(),
            echoes: Budget::new(ECHOES_PER_SA),
        })
    }

    /// What an SA that never probed would begin with; `None` if it never will.
    pub fn unused(sa: &Established) -> Option<Probing> {
        if sa.extensions.has(Extensions::PATH_PROBES) { Probing::new(sa) } else { None }
    }

    /// Its keys are those of this IKE SA, which may have others since it probed last.
    pub fn is_of(&self, sa: &Established) -> bool {
        self.keys.is_of(sa)
    }

    fn deadline(&self) -> Nanos {
        self.places.iter().map(Place::deadline).min().unwrap_or(Nanos::NEVER)
    }

    /// Watch these pairs, and no others.
    fn watch(&mut self, now: Nanos, paths: &[Path], interval: Duration) {
        self.interval = if interval.is_zero() { interval } else { interval.max(SHORTEST_INTERVAL) };
        let paths = if interval.is_zero() { &[] } else { &paths[..paths.len().min(MOST_PLACES)] };
        self.places.retain(|place| paths.contains(&place.path) || (!place.ordered && place.heard.1 + FRESH > now));
        for place in &mut self.places {
            place.ordered = paths.contains(&place.path);
        }
        for path in paths {
            let known = self.places.iter().position(|place| place.path == *path);
            let index = known.or_else(|| self.make_room(now, *path));
            if let Some(place) = index.and_then(|index| self.places.get_mut(index)) {
                place.ordered = true;
                place.next = place.next.min(now + self.interval);
            }
        }
    }

    /// Where the pair is from now on. Pairs that nobody ordered give way, the one without a sign for longest first.
    fn make_room(&mut self, now: Nanos, path: Path) -> Option<usize> {
        if self.places.len() < MOST_PLACES {
            self.places.push(Place::new(path, now));
            return Some(self.places.len() - 1);
        }
        let unordered = self.places.iter().enumerate().filter(|(_, place)| !place.ordered);
        let (index, _) = unordered.min_by_key(|(_, place)| place.heard.1)?;
        self.places[index] = Place::new(path, now);
        Some(index)
    }

    /// When a pair is polled after it was polled just now.
    fn next_poll(&self, place: &Place, now: Nanos, random: &mut SeededRandom) -> Nanos {
        if !place.ordered {
            let lives = place.proven.is_some() && self.places.iter().any(|place| place.heard.1 + FRESH > now);
            let in_vain = place.is_dead() && place.polls_unheard >= MOST_UNHEARD;
            let worth_it = place.polls_unheard < MOST_UNPROVEN || (lives && !in_vain);
            let pause = self.peer_interval.max(self.least).max(CONFIRM);
            return if worth_it { now + jitter(pause, random) } else { Nanos::NEVER };
        }
        let usual = self.pace().max(place.patience() / 4);
        let pause = if place.is_dead() { usual.max((DEAD_FACTOR * usual).min(DEAD_INTERVAL)) } else { usual };
        now + jitter(pause, random)
    }

    /// How often each pair is polled: as ordered, and as the peer can bear.
    fn pace(&self) -> Duration {
        if self.interval.is_zero() { self.interval } else { self.interval.max(self.least) }
    }

    /// Poll all that are watched now.
    fn hurry(&mut self, now: Nanos) {
        for place in self.places.iter_mut().filter(|place| place.ordered) {
            if place.awaits_since().is_none_or(|since| now.since(since) >= CONFIRM) {
                place.next = now;
            }
        }
    }

    /// Send one over the pair at `index`.
    fn send(&mut self, ctx: &mut Context, now: Nanos, index: usize, echo: bool) {
        let id = ctx.random.next_u64().max(1);
        let Some(number) = self.keys.sending().number.checked_add(1) else { return };
        let Some(path) = self.places.get(index).map(|place| place.path) else { return };
        let probe = Probe {
            echo,
            interval: self.pace(),
            least: ctx.probes.least_interval(now),
            id,
            heard: self.heard_lately(now, index),
        };
        let message = Outgoing { exchange: PATH_PROBE, id: number, response: false };
        let data = probe.to_bytes();
        let keys = self.keys.sending();
        let sealed = keys.channel.seal(&mut ctx.buffer, message, |writer| writer.push(&Payload::notify(PROBE, &data)));
        let Ok(bytes) = sealed else {
            ctx.counters.dropped_crypto += 1;
            return;
        };
        keys.number = number;
        let place = &mut self.places[index];
        if echo {
            ctx.counters.probe_echoes_sent += 1;
            place.echoed(now, id);
        } else {
            ctx.counters.probe_polls_sent += 1;
            place.polled(now, id);
        }
        ctx.send(path, bytes);
    }

    /// The peer's latest identifier on each pair, that of the pair in question first.
    fn heard_lately(&self, now: Nanos, first: usize) -> [u64; MOST_HEARD] {
        let mut heard = [0; MOST_HEARD];
        let fresh = |place: &&Place| place.heard.1 + FRESH > now && place.heard.0 != 0;
        let others = self.places.iter().enumerate().filter(|(index, _)| *index != first).map(|(_, place)| place);
        let all = self.places.get(first).into_iter().chain(others).filter(fresh);
        for (slot, place) in heard.iter_mut().zip(all) {
            *slot = place.heard.0;
        }
        heard
    }
}

/// Up to a tenth earlier or later, so that many SAs do not poll in step.
fn jitter(span: Duration, random: &mut SeededRandom) -> Duration {
    span * (900 + (random.next_u64() % 201) as u32) / 1000
}

impl Established {
    /// Did both ends offer the extension, and is there anything to learn for?
    #[must_use]
    pub fn probes(&self) -> bool {
        self.extensions.has(Extensions::PATH_PROBES) && !self.is_closing() && !self.is_away()
    }

    /// When probes have to be sent or judged.
    #[must_use]
    pub fn probes_at(&self) -> Nanos {
        self.probing.as_ref().filter(|_| self.probes()).map_or(Nanos::NEVER, |probing| probing.deadline())
    }

    /// Has the peer proved a short time ago that it receives there? It told an identifier that nobody can guess and that
    /// was sent nowhere else: what RFC 4555 section 3.7 wants of COOKIE2.
    #[must_use]
    pub fn is_proven(&self, path: Path, now: Nanos) -> bool {
        let place = self.probing.iter().flat_map(|probing| &probing.places).find(|place| place.path == path);
        self.probes() && place.and_then(|place| place.proven).is_some_and(|at| at + FRESH > now)
    }

    /// Where the peer has been heard, as probes saw it.
    pub fn probed_ends_of_peer(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.probing.iter().flat_map(|probing| &probing.places).map(|place| place.path.remote)
    }

    /// The peer has left these addresses. Should it come back, it proves anew that it receives there.
    pub fn disprove(&mut self, left: impl Fn(IpAddr) -> bool) {
        let places = self.probing.iter_mut().flat_map(|probing| &mut probing.places);
        places.filter(|place| left(place.path.remote.ip())).for_each(Place::disprove);
    }

    fn take_probing(&mut self) -> Option<Box<Probing>> {
        if !self.probes() {
            return None;
        }
        let mut probing = match self.probing.take() {
            Some(probing) => probing,
            None => Box::new(Probing::new(self)?),
        };
        probing.keys.keep_up(self)?;
        Some(probing)
    }

    /// The IKE SA has new keys now: probes get some as well.
    pub fn renew_probes(&mut self) {
        if let Some(mut probing) = self.probing.take()
            && probing.keys.keep_up(self).is_some()
        {
            self.probing = Some(probing);
        }
    }

    /// The peer has shown that it has the keys of the IKE SA in use.
    pub fn keys_are_common(&mut self) {
        if let Some(probing) = &mut self.probing {
            probing.keys.confirmed();
        }
    }

    /// What is new; `true` if that is about the path in use.
    fn tell(&mut self, ctx: &mut Context, now: Nanos, probing: &mut Probing) -> bool {
        let mut in_use = false;
        for place in &mut probing.places {
            if place.path == self.path && place.is_dead() && self.is_heard_otherwise(now, place.heard.1) {
                // Nobody answers polls, and data comes back: it is the peer's daemon that is away, and not the path.
                continue;
            }
            if let Some(seen) = place.news(now) {
                ctx.events.push_back(Event::PairSeen { sa: self.id, path: place.path, seen });
                in_use |= place.path == self.path;
            }
        }
        in_use
    }
}

/// The control plane wants to know about these pairs.
pub fn order_watch(sa: &mut Established, ctx: &mut Context, now: Nanos, paths: &Arc<[Path]>, interval: Duration) {
    let Some(mut probing) = sa.take_probing() else {
        ctx.notice(now, sa.about(), NoticeKind::NotServed, || {
            "cannot watch pairs: no path probes with this peer".into()
        });
        return;
    };
    // A poll of a stream would say how TCP does, after opening one for it.
    let paths: Vec<Path> = paths.iter().copied().filter(|path| !path.is_stream()).collect();
    probing.watch(now, &paths, interval);
    sa.probing = Some(probing);
}

/// Data spoke for the path in use until now, and speaks no more. `true` if probes had found before that it fails.
pub fn tell_at_last(sa: &mut Established, ctx: &mut Context, now: Nanos) -> bool {
    let Some(mut probing) = sa.take_probing() else { return false };
    let told = sa.tell(ctx, now, &mut probing);
    sa.probing = Some(probing);
    told
}

/// Data gets no echo: which pairs do? `false` if that must be asked otherwise: the path in use is not watched, or is known
/// to fail, and the control plane has found nothing better.
pub fn hurry(sa: &mut Established, now: Nanos) -> bool {
    let (probes, in_use) = (sa.probes(), sa.path);
    let Some(probing) = sa.probing.as_mut().filter(|_| probes) else { return false };
    probing.hurry(now);
    probing.places.iter().any(|place| place.path == in_use && place.ordered && !place.is_broken())
}

/// Time has passed.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.probes_at() > now {
        return;
    }
    let Some(mut probing) = sa.take_probing() else { return };
    judge(&mut probing, sa.path, now);
    for index in 0..probing.places.len() {
        poll_if_due(&mut probing, ctx, now, index);
    }
    sa.tell(ctx, now, &mut probing);
    sa.probing = Some(probing);
}

/// What has no echo by now was lost. It is asked again at once until that is certain; if it is the pair in use, the
/// others are asked too.
fn judge(probing: &mut Probing, in_use: Path, now: Nanos) {
    let mut alarm = false;
    let silence = probing.pace().max(probing.peer_interval) * SILENCE_PERCENT / 100;
    for place in &mut probing.places {
        if place.judge(now, silence) && !place.is_broken() && place.proven.is_some() {
            place.next = now;
            alarm |= place.path == in_use;
        }
    }
    if alarm {
        probing.hurry(now);
    }
}

fn poll_if_due(probing: &mut Probing, ctx: &mut Context, now: Nanos, index: usize) {
    if probing.places[index].next > now {
        return;
    }
    if ctx.probes.polls.spend(now) {
        probing.send(ctx, now, index, false);
    } else {
        ctx.counters.probes_over_budget += 1;
    }
    let next = probing.next_poll(&probing.places[index], now, &mut ctx.random);
    probing.places[index].next = next;
}
