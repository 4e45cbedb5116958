//! One pair of addresses as probes see it: each direction by itself, round-trip time, loss.
//!
//! ```text
//! forward    identifiers that we sent here, and that the peer told as heard, over whatever pair it said so
//! backward   whatever of the peer came in here
//! ```
//!
//! Forward fails when a few polls in a row are told nowhere as heard, a few more where some are lost all the time.
//! Backward fails when as many were heard there and their echoes are missing, or when nothing comes for long. Either works
//! again after a few signs in a row, so that a pair that flaps is not taken for one that works.

use core::time::Duration;

use crate::event::PairSeen;
use crate::{Nanos, Path};

/// Identifiers of ours that are remembered for each pair.
const REMEMBERED: usize = 8;

/// Signs in a row after which a direction that failed works again.
const RECOVERED: u8 = 3;

/// Polls without a sign after which a direction fails, where none are usually lost.
const FEWEST_MISSES: u8 = 3;
/// And no more than this, however many are.
const MOST_MISSES: u8 = 8;
/// For every so many lost out of a thousand, one miss more is forgiven.
const FORGIVEN_PERMILLE: u16 = 60;

/// Until a round trip was measured, an echo has so long.
const UNKNOWN_PATIENCE: Duration = Duration::from_millis(500);
/// No echo is missed sooner, however near the peer is.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);
/// Nor waited for longer.
const MOST_PATIENCE: Duration = Duration::from_secs(2);
/// Beside its round trip an echo may be late by so much: the peer serves others too.
const LEAST_LATENESS: Duration = Duration::from_millis(20);

/// A poll that left so long after our echo should tell that this came.
const TOLD_WITHIN: Duration = Duration::from_millis(300);

/// What is known of a pair is told again this often though nothing is new, so that nobody takes it for old.
const RETOLD: Duration = Duration::from_secs(30);
/// Numbers that drift are told no more often than this.
const DRIFT_TOLD: Duration = Duration::from_secs(1);

/// A pair.
#[derive(Debug)]
pub struct Place {
    /// Which.
    pub path: Path,
    /// The control plane wants to know about it. If not, the peer does.
    pub ordered: bool,
    /// When to poll it next.
    pub next: Nanos,
    /// The peer's latest identifier that came here, and when; 0: none ever.
    pub heard: (u64, Nanos),
    /// When the peer last told an identifier as heard that had been sent nowhere but here: it receives here.
    pub proven: Option<Nanos>,
    /// Polls of ours since the peer was last heard here.
    pub polls_unheard: u8,
    sent: [Sent; REMEMBERED],
    turn: u8,
    forward: Way,
    backward: Way,
    rtt: RoundTrip,
    losses: Losses,
    told: Option<(PairSeen, Nanos)>,
}

/// An identifier of ours.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    id: u64,
    at: Nanos,
    kind: Kind,
    /// The peer told it as heard.
    listed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// Nothing, or nothing that is waited for any more.
    #[default]
    Settled,
    /// Its echo is awaited.
    Poll,
    /// Its echo did not come.
    Missed,
    /// The peer's next poll should tell it.
    Echo,
}

impl Place {
    /// Nothing is known of it.
    #[must_use]
    pub fn new(path: Path, now: Nanos) -> Place {
        Place {
            path,
            ordered: false,
            next: now,
            heard: (0, Nanos(0)),
            proven: None,
            polls_unheard: 0,
            sent: [Sent::default(); REMEMBERED],
            turn: 0,
            forward: Way::default(),
            backward: Way::default(),
            rtt: RoundTrip::default(),
            losses: Losses::default(),
            told: None,
        }
    }

    /// When something is to be done or judged here.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        let patience = self.patience();
        let awaited = self.sent.iter().filter(|sent| sent.kind == Kind::Poll).map(|sent| sent.at + patience);
        awaited.min().unwrap_or(Nanos::NEVER).min(self.next)
    }

    /// When the latest poll left that still awaits its echo.
    #[must_use]
    pub fn awaits_since(&self) -> Option<Nanos> {
        self.sent.iter().filter(|sent| sent.kind == Kind::Poll).map(|sent| sent.at).max()
    }

    /// How long an echo may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.rtt.patience()
    }

    /// Is it known not to work at all?
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.ways() == (Some(false), Some(false))
    }

    /// Is one direction known to fail?
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.forward.works == Some(false) || self.backward.works == Some(false)
    }

    /// Forward and backward. Where the peer does not hear us it does not answer, so that the way back counts as working
    /// only if it says something of its own accord.
    fn ways(&self) -> (Option<bool>, Option<bool>) {
        let unasked = self.forward.works != Some(false) || self.polls_unheard < FEWEST_MISSES;
        (self.forward.works, self.backward.works.map(|works| works && unasked))
    }

    /// A poll leaves.
    pub fn polled(&mut self, now: Nanos, id: u64) {
        self.polls_unheard = self.polls_unheard.saturating_add(1);
        self.remember(Sent { id, at: now, kind: Kind::Poll, listed: false });
    }

    /// An echo leaves.
    pub fn echoed(&mut self, now: Nanos, id: u64) {
        self.remember(Sent { id, at: now, kind: Kind::Echo, listed: false });
    }

    fn remember(&mut self, sent: Sent) {
        self.sent[usize::from(self.turn)] = sent;
        self.turn = (self.turn + 1) % REMEMBERED as u8;
    }

    /// Something of the peer came in here.
    pub fn on_heard(&mut self, now: Nanos, id: u64) {
        self.heard = (id, now);
        self.polls_unheard = 0;
        self.backward.sign();
    }

    /// The peer told an identifier as heard. `false` if it was not sent here, is forgotten, or was told before.
    pub fn on_listed(&mut self, now: Nanos, id: u64) -> bool {
        let limit = self.losses.forgiven();
        let Some(sent) = self.sent.iter_mut().find(|sent| sent.id == id && !sent.listed) else { return false };
        sent.listed = true;
        match sent.kind {
            Kind::Missed => self.backward.miss(limit),
            Kind::Echo => sent.kind = Kind::Settled,
            Kind::Poll | Kind::Settled => {}
        }
        self.proven = Some(now);
        self.forward.sign();
        true
    }

    /// The peer says that it is not there any more: what it proved is no proof now, and what it may still tell as heard from
    /// before proves nothing.
    pub fn disprove(&mut self) {
        self.proven = None;
        self.sent = [Sent::default(); REMEMBERED];
    }

    /// The echo of a poll of ours came in here. `false` if that was no poll of this pair, or had its echo before.
    pub fn on_echo(&mut self, now: Nanos, id: u64) -> bool {
        let awaited = |kind| matches!(kind, Kind::Poll | Kind::Missed);
        let polled = self.sent.iter_mut().find(|sent| sent.id == id && awaited(sent.kind));
        let Some(sent) = polled else { return false };
        if sent.kind == Kind::Poll {
            self.losses.note(false);
        }
        // One that comes too late was counted as lost, and still tells how long the way is.
        sent.kind = Kind::Settled;
        self.rtt.measured(now.since(sent.at));
        true
    }

    /// A poll of the peer came in here and says nothing of the echo before: that was lost.
    pub fn on_poll(&mut self, now: Nanos) {
        let limit = self.losses.forgiven();
        for sent in &mut self.sent {
            if sent.kind == Kind::Echo && sent.at + TOLD_WITHIN <= now {
                sent.kind = Kind::Settled;
                self.forward.miss(limit);
            }
        }
    }

    /// Polls whose time is up are missed. `true` if there were any. The peer says something here within `silence`, whether
    /// it hears us or not.
    pub fn judge(&mut self, now: Nanos, silence: Duration) -> bool {
        let (patience, limit) = (self.patience(), self.losses.forgiven());
        let mut missed = false;
        for sent in &mut self.sent {
            if sent.kind != Kind::Poll || sent.at + patience > now {
                continue;
            }
            sent.kind = Kind::Missed;
            missed = true;
            self.losses.note(true);
            if sent.listed {
                self.backward.miss(limit);
            } else {
                self.forward.miss(limit);
            }
        }
        if missed && self.forward.works == Some(false) && self.heard.1 + silence <= now {
            self.backward.fail();
        }
        missed
    }

    /// What is to be told now, if anything is new.
    pub fn news(&mut self, now: Nanos) -> Option<PairSeen> {
        let (Some(forward), Some(backward)) = self.ways() else { return None };
        if self.forward.recovers() || self.backward.recovers() {
            return None;
        }
        let seen = PairSeen { forward, backward, rtt: self.rtt.smoothed(), loss_permille: self.losses.permille() };
        let worth_it = match self.told {
            // Nobody asked about it, and nothing is wrong.
            None => self.ordered || !(forward && backward),
            Some((told, at)) => {
                (told.forward, told.backward) != (forward, backward)
                    || (self.ordered && now >= at + DRIFT_TOLD && (drifted(&seen, &told) || now >= at + RETOLD))
            }
        };
        if worth_it {
            self.told = Some((seen, now));
        }
        worth_it.then_some(seen)
    }
}

/// Do the numbers differ enough from what was told to be worth telling?
fn drifted(seen: &PairSeen, told: &PairSeen) -> bool {
    /// Differences in loss below this are chance.
    const LOSS: u16 = 100;
    /// Differences in time below this decide nothing.
    const TIME: Duration = Duration::from_millis(5);
    let slower = match (seen.rtt, told.rtt) {
        (Some(now), Some(before)) => now.abs_diff(before) > TIME.max(before / 4),
        (now, before) => now.is_some() != before.is_some(),
    };
    // Who waits for a pair to be good again need not wait until it is told anyway.
    let cleared = seen.loss_permille == 0 && told.loss_permille > 0;
    slower || cleared || seen.loss_permille.abs_diff(told.loss_permille) >= LOSS
}

/// One direction.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    /// `None`: nobody can say yet.
    works: Option<bool>,
    misses: u8,
    signs: u8,
}

impl Way {
    fn sign(&mut self) {
        self.misses = 0;
        self.signs = self.signs.saturating_add(1);
        if self.works.is_none() || self.signs >= RECOVERED {
            self.works = Some(true);
        }
    }

    fn miss(&mut self, limit: u8) {
        self.signs = 0;
        self.misses = self.misses.saturating_add(1);
        if self.misses >= limit {
            self.fail();
        }
    }

    /// It failed, and there are signs again, but not enough yet to say so.
    fn recovers(self) -> bool {
        self.works == Some(false) && self.signs > 0
    }

    fn fail(&mut self) {
        self.signs = 0;
        self.works = Some(false);
    }
}

/// Smoothed as RFC 6298 section 2 does; microseconds, 0 while nothing was measured.
#[derive(Debug, Clone, Copy, Default)]
struct RoundTrip {
    smoothed: u32,
    varies: u32,
}

impl RoundTrip {
    fn measured(&mut self, sample: Duration) {
        let sample = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX).max(1);
        if self.smoothed == 0 {
            *self = RoundTrip { smoothed: sample, varies: sample / 2 };
            return;
        }
        let off = self.smoothed.abs_diff(sample);
        self.varies = (self.varies - self.varies / 4).saturating_add(off / 4);
        self.smoothed = (self.smoothed - self.smoothed / 8).saturating_add(sample / 8).max(1);
    }

    fn smoothed(self) -> Option<Duration> {
        (self.smoothed != 0).then(|| micros(self.smoothed))
    }

    fn patience(self) -> Duration {
        let lateness = (4 * micros(self.varies)).max(LEAST_LATENESS);
        self.smoothed().map_or(UNKNOWN_PATIENCE, |rtt| (rtt + lateness).clamp(LEAST_PATIENCE, MOST_PATIENCE))
    }
}

const fn micros(count: u32) -> Duration {
    Duration::from_micros(count as u64)
}

/// The last polls: which had an echo.
#[derive(Debug, Clone, Copy, Default)]
struct Losses {
    /// A bit for each, set where there was none; the latest is the lowest.
    lost: u32,
    known: u8,
    /// Out of a thousand, when an echo last came: the run of misses that is judged now does not excuse itself.
    before: u16,
}

impl Losses {
    fn note(&mut self, lost: bool) {
        self.lost = self.lost << 1 | u32::from(lost);
        self.known = (self.known + 1).min(u32::BITS as u8);
        if !lost {
            self.before = self.permille();
        }
    }

    /// Of fewer polls than this, one that was lost says nothing about the pair.
    const ENOUGH: u8 = 16;

    /// As if those that are missing to be enough had not been lost: a pair that was begun with too early is not one that
    /// loses half.
    fn permille(self) -> u16 {
        let known = u32::from(self.known.max(Losses::ENOUGH));
        (self.lost.count_ones() * 1000 / known) as u16
    }

    /// Misses in a row that make a direction fail.
    fn forgiven(self) -> u8 {
        let usual = if self.known < Losses::ENOUGH { 0 } else { self.before / FORGIVEN_PERMILLE };
        (FEWEST_MISSES + usual.min(u16::from(MOST_MISSES)) as u8).min(MOST_MISSES)
    }
}
