//! Is the path alive? Told by the data that takes it, and asked only where data goes out and nothing comes back.
//!
//! ```text
//! ESP in on the agreed path     life: the liveness timer starts anew, nothing is sent
//! ESP out, ESP in within 3 round trips + floor       nothing is sent
//! ESP out, nothing in           a liveness test now, repeated quickly; PathSilent after the second repetition
//! ESP in, or an answer, later   PathHeard: the control plane is told that the path lives after all
//! the test is answered          a stream that goes one way only: the next test waits longer, up to four times as long
//! ```
//!
//! no answer                     the control plane looks for another path: what is asked there is repeated quickly, too
//! ESP out, still no answer      a repetition every few seconds, where idle SAs wait longer
//!
//! Only the initiator hurries: it is the one who can move (RFC 4555 section 3.11).

use core::time::Duration;

use crate::crypto::Role;
use crate::event::Event;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::repeat::SILENT_TRIES;
use crate::sa::window::{Ask, Outstanding};
use crate::{Nanos, Path};

/// ESP of one IKE SA since the last time it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// An authenticated packet came in on the agreed outer addresses (RFC 4555 section 3.12).
    pub heard: bool,
    /// A packet went out.
    pub sent: bool,
    /// Another authenticated packet came in over this path, which is not the agreed one.
    pub elsewhere: Option<Path>,
}

/// What is known of the path in use.
#[derive(Debug)]
pub struct Watch {
    /// Smoothed round-trip time, in microseconds; 0 while none was measured on this path.
    srtt: u32,
    /// The same of the path before.
    srtt_before: u32,
    /// `srtt` is not measured, but what is likely: the latest request was repeated.
    doubtful: bool,
    /// The path before fell silent, and the peer has not yet answered an update from another.
    searching: bool,
    /// ESP went out then, and none came in since.
    unheard_since: Nanos,
    /// Tests answered since ESP last came in.
    answered: u8,
    /// The control plane was told of silence on it, and of nothing else since.
    pub told_silent: bool,
}

/// Assumed until one is measured: across a continent.
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_millis(100);
/// So many times longer than was thought do answers take of which one after the other came after a repetition.
const GROWS: u32 = 4;
/// While data goes out, an unanswered request is repeated at least this often.
const WITH_DATA: Duration = Duration::from_secs(4);
/// Quick repetitions of the first test: within half a second at the usual pace of a twelfth of one.
const QUICK: u8 = 6;
/// And of what is asked on each other path while one is searched.
pub const QUICK_ELSEWHERE: u8 = 3;
/// And of a return routability check: the peer's traffic waits for it, but a gateway sends many at a time.
const QUICK_CHECK: u8 = 2;
/// Apart so far at least where somebody says that a path is dead, however seldom silence of the data may be asked about.
const NEWS_PACE: Duration = Duration::from_millis(80);
/// So many times longer than elsewhere is silence borne on a TCP path: its first repetitions take a second.
const STREAM_CALM: u32 = 4;
/// What came in speaks for its path so long, where nothing has gone out in vain since.
const SPEAKS_FOR: Duration = Duration::from_secs(2);
/// Tests of a stream that goes one way only become this many doublings rarer.
const MOST_DOUBLINGS: u8 = 2;

impl Watch {
    /// Nothing seen; `round_trip` as measured while setting up: at least, and at most.
    #[must_use]
    pub fn new(round_trip: Option<(Duration, Duration)>) -> Watch {
        let mut watch = Watch {
            srtt: 0,
            srtt_before: 0,
            doubtful: false,
            searching: false,
            unheard_since: Nanos::NEVER,
            answered: 0,
            told_silent: false,
        };
        if let Some((least, most)) = round_trip {
            watch.measured(least, most);
        }
        watch
    }

    /// One exchange took so long: as long as least and most are the same, smoothed as RFC 6298 section 2 does.
    ///
    /// Else its request was repeated, and any copy may have been the one that was answered. What was thought stands, if it
    /// can be true: a copy was lost. Where that happens to one request after the other, an answer takes a few times longer
    /// than was thought: whoever repeats too early never measures anything, and would take a long way for a silent one for
    /// ever.
    fn measured(&mut self, least: Duration, most: Duration) {
        let micros = |span: Duration| u32::try_from(span.as_micros()).unwrap_or(u32::MAX).max(1);
        let (least, most) = (micros(least), micros(most));
        if least < most {
            let grows = if self.doubtful { GROWS } else { 1 };
            self.srtt = micros(grows * self.round_trip()).clamp(least, most);
            self.doubtful = true;
            return;
        }
        self.srtt = match self.srtt {
            before if before > 0 && !self.doubtful => (before - before / 8).saturating_add(most / 8).max(1),
            _ => most,
        };
        self.doubtful = false;
    }

    /// Smoothed round-trip time of the path in use; of the one before, while nothing is known of this one.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        match (self.srtt, self.srtt_before) {
            (0, 0) => UNKNOWN_ROUND_TRIP,
            (0, known) | (known, _) => Duration::from_micros(known.into()),
        }
    }

    /// An answer that takes longer than this has been lost, or was never sent; none came so far is no sign of that before.
    #[must_use]
    pub fn answer_within(&self) -> Duration {
        self.round_trip() * 3 / 2
    }

    /// Nobody knows yet how long an answer takes here.
    #[must_use]
    pub fn is_guessing(&self) -> bool {
        self.srtt == 0
    }
}

impl Established {
    /// ESP came or went. `true` if it may have to be woken earlier than before.
    pub fn note_traffic(&mut self, ctx: &mut Context, now: Nanos, traffic: Traffic) -> bool {
        let sooner = traffic.sent && self.wait_no_longer(now);
        if self.is_moving() {
            // The data plane is not where the IKE SA is: its packets say nothing about the new path.
            return sooner;
        }
        if traffic.heard {
            self.heard = now;
            self.watch.unheard_since = Nanos::NEVER;
            self.watch.answered = 0;
            self.calm_down(now);
            self.tell_alive(ctx);
            return false;
        }
        if traffic.sent && self.hurries() && self.watch.unheard_since == Nanos::NEVER {
            self.watch.unheard_since = now;
            return true;
        }
        sooner
    }

    /// Data wants out, and the peer is the one who could end the outage by an answer: ask every few seconds, however long
    /// the waits have grown meanwhile.
    fn wait_no_longer(&mut self, now: Nanos) -> bool {
        if self.part != Role::Initiator || self.is_closing() {
            return false;
        }
        let mut sooner = false;
        for request in self.requests.outstanding_mut() {
            sooner |= request.retry.no_later(now, WITH_DATA);
        }
        sooner
    }

    /// When data that gets no echo becomes suspicious.
    #[must_use]
    pub fn suspect_at(&self) -> Nanos {
        let Watch { unheard_since, answered, .. } = self.watch;
        let asking = || self.requests.outstanding().iter().any(|request| request.retry.is_hurried());
        if unheard_since == Nanos::NEVER || !self.hurries() || asking() {
            return Nanos::NEVER;
        }
        unheard_since + self.bearable() * (1 << answered.min(MOST_DOUBLINGS))
    }

    /// So long data may be without echo.
    fn bearable(&self) -> Duration {
        (self.profile.paths.detection_floor + 3 * self.watch.round_trip()) * self.calm()
    }

    /// Do data or an answer speak for the path in use, of which path probes last heard at `probed`? Not once data goes out
    /// in vain.
    #[must_use]
    pub fn is_heard_otherwise(&self, now: Nanos, probed: Nanos) -> bool {
        let Watch { unheard_since, answered, .. } = self.watch;
        // Whoever was asked about it before has waited for so long already.
        let in_vain = unheard_since != Nanos::NEVER && (answered > 0 || unheard_since + self.bearable() <= now);
        !self.is_moving() && !in_vain && self.heard > probed && self.heard + SPEAKS_FOR > now
    }

    /// Data gets no echo: ask for a sign of life, quickly. A request that is out already will do.
    pub fn suspect(&mut self, ctx: &mut Context, now: Nanos) {
        if self.suspect_at() > now {
            return;
        }
        ctx.counters.paths_suspected += 1;
        if self.requests.is_idle() {
            self.ask(ctx, now, Ask::Liveness);
        }
        let pace = self.pace();
        let here = self.path;
        let mut fresh = false;
        for request in self.requests.outstanding_mut().iter_mut().filter(|request| request.path == here) {
            fresh |= request.retry.hurry(now, pace, QUICK);
        }
        if !fresh {
            // Everything unanswered is about another path, and answers will come or be given up there.
            self.watch.unheard_since = now;
        }
    }

    /// Path probes ask instead, which cost no place in the window: give them as long again, and ever longer while they find
    /// that the path works.
    pub fn leave_to_probes(&mut self, now: Nanos) {
        self.watch.unheard_since = now;
        self.watch.answered = self.watch.answered.saturating_add(1);
    }

    /// An answer came over the path in use.
    pub fn note_answer(&mut self, ctx: &mut Context, now: Nanos, request: &Outstanding) {
        if request.path != self.path {
            return;
        }
        self.heard = now;
        if !request.many_paths {
            self.tell_alive(ctx);
            let (least, most) = request.retry.took(now);
            self.watch.measured(least, most);
        }
        if self.watch.unheard_since != Nanos::NEVER {
            self.watch.unheard_since = Nanos::NEVER;
            self.watch.answered = self.watch.answered.saturating_add(1);
        }
    }

    /// The path is another one: nothing is known about it.
    pub fn forget_path(&mut self) {
        let Watch { srtt, srtt_before, searching, .. } = self.watch;
        let srtt_before = if srtt == 0 { srtt_before } else { srtt };
        self.watch = Watch { srtt_before, searching, ..Watch::new(None) };
    }

    /// The control plane chose another path. Was that because this one is silent?
    pub fn note_search(&mut self) {
        let silent = |request: &Outstanding| request.retry.is_hurried() || request.retry.tries >= SILENT_TRIES;
        self.watch.searching |= self.hurries() && self.requests.outstanding().iter().any(silent);
    }

    /// The peer has answered an update.
    pub fn end_search(&mut self) {
        self.watch.searching = false;
    }

    /// How far quick repetitions are apart, if this is the time for such.
    #[must_use]
    pub fn search_pace(&self) -> Option<Duration> {
        self.watch.searching.then(|| self.pace())
    }

    /// What traffic waits for is repeated a few times in quick succession: how far apart, how often.
    #[must_use]
    pub fn haste(&self, ask: &Ask) -> Option<(Duration, u8)> {
        match ask {
            Ask::Update { .. } => self.search_pace().map(|pace| (pace, QUICK_ELSEWHERE)),
            Ask::Check { .. } | Ask::Repair { .. } => Some((self.pace(), QUICK_CHECK)),
            Ask::Liveness | Ask::Probe { .. } | Ask::Announce { .. } | Ask::Away { .. } => None,
            Ask::RekeyIke | Ask::MakeChild | Ask::FollowIke | Ask::FollowChild => None,
            Ask::Redirect { .. } | Ask::Sync { .. } | Ask::DeleteIke | Ask::DeleteChild { .. } => None,
        }
    }

    /// Whatever is unanswered over this path is repeated in quick succession.
    pub fn hurry_on(&mut self, now: Nanos, path: Path) {
        let pace = (2 * self.watch.round_trip()).max(NEWS_PACE);
        for request in self.requests.outstanding_mut().iter_mut().filter(|request| request.path == path) {
            request.retry.hurry(now, pace, QUICK);
        }
    }

    fn pace(&self) -> Duration {
        (2 * self.watch.round_trip()).max(self.profile.paths.detection_floor / 3) * self.calm()
    }

    /// A stream repeats what is lost, and all behind it waits: nothing is said by a pause of that length.
    fn calm(&self) -> u32 {
        if self.path.is_stream() { STREAM_CALM } else { 1 }
    }

    /// The control plane believes that the path is silent: it is not.
    fn tell_alive(&mut self, ctx: &mut Context) {
        if core::mem::take(&mut self.watch.told_silent) && !self.is_closing() {
            ctx.events.push_back(Event::PathHeard { sa: self.id, path: self.path });
        }
    }

    fn hurries(&self) -> bool {
        let floor = self.profile.paths.detection_floor;
        self.part == Role::Initiator
            && self.speaks_mobike()
            && !floor.is_zero()
            && !self.is_closing()
            && !self.is_away()
    }

    /// Is an UPDATE of ours unanswered?
    #[must_use]
    pub fn is_moving(&self) -> bool {
        let moves = |ask: &Ask| matches!(ask, Ask::Update { .. });
        self.requests.asks(moves)
    }

    /// The path carries data after all: what was asked in a hurry has time.
    fn calm_down(&mut self, now: Nanos) {
        for request in self.requests.outstanding_mut() {
            request.retry.calm_down(now);
        }
    }
}
