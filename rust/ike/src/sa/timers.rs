//! When a request is sent again, and when it is given up (RFC 7296 section 2.1).

use core::time::Duration;

use crate::Nanos;
use crate::crypto::{Random, Role};
use crate::profile::Retransmit;

/// The clock of one unanswered request.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// First transmission over any path: silence is measured from here, however often we look for a path that works.
    pub asked: Nanos,
    /// First transmission over the present path.
    pub started: Nanos,
    /// Latest transmission.
    pub sent: Nanos,
    /// When it is due again.
    pub next: Nanos,
    /// Transmissions over the present path.
    pub tries: u32,
    interval: Duration,
    /// It is, or was, repeated in a hurry.
    hurried: bool,
    /// Repetitions still to be sent so, this long apart.
    quick: u8,
    pace: Duration,
    /// The latest transmission did not leave this host, nor did so many others.
    stuck: bool,
    stuck_times: u8,
}

impl Retry {
    /// Sent for the first time, or for the first time over a new path.
    #[must_use]
    pub fn begin(now: Nanos, policy: &Retransmit, random: &mut impl Random) -> Retry {
        let interval = policy.initial.max(SHORTEST);
        Retry {
            asked: now,
            started: now,
            sent: now,
            next: now + jitter(interval, policy, random),
            tries: 1,
            interval,
            hurried: false,
            quick: 0,
            pace: Duration::ZERO,
            stuck: false,
            stuck_times: 0,
        }
    }

    /// Sent for the first time over a new path that we chose.
    #[must_use]
    pub fn elsewhere(&self, now: Nanos, policy: &Retransmit, random: &mut impl Random) -> Retry {
        Retry { asked: self.asked, ..Retry::begin(now, policy, random) }
    }

    /// Sent by who held the SA before us; again when it is our turn to speak.
    #[must_use]
    pub fn resumed(now: Nanos, turn: Nanos, policy: &Retransmit, random: &mut impl Random) -> Retry {
        Retry { next: turn, ..Retry::begin(now, policy, random) }
    }

    /// Sent once more.
    pub fn again(&mut self, now: Nanos, policy: &Retransmit, random: &mut impl Random) {
        self.tries += 1;
        self.sent = now;
        if core::mem::take(&mut self.stuck) {
            self.next = now + jitter(if self.quick > 0 { self.pace } else { self.interval }, policy, random);
            return;
        }
        if self.quick > 1 {
            self.quick -= 1;
            self.next = now + jitter(self.pace, policy, random);
            return;
        }
        self.quick = 0;
        let grown = self.interval.saturating_mul(policy.factor_percent.max(100).into()) / 100;
        self.interval = grown.min(policy.max_interval.max(SHORTEST));
        self.next = now + jitter(self.interval, policy, random);
    }

    /// There is somebody after all: once more now, and from here on the waits begin anew. `false` if it was sent a moment ago,
    /// and its turn comes soon: so it is never sent much more often than at first.
    pub fn revive(&mut self, now: Nanos, policy: &Retransmit, random: &mut impl Random) -> bool {
        let first = policy.initial.max(SHORTEST);
        if now.since(self.sent) < first && self.next.since(self.sent) <= 2 * first {
            return false;
        }
        self.tries += 1;
        self.sent = now;
        self.interval = first;
        self.next = now + jitter(first, policy, random);
        true
    }

    /// Repeat it so many times in quick succession. `false` if that was done already.
    pub fn hurry(&mut self, now: Nanos, pace: Duration, times: u8) -> bool {
        if self.hurried {
            return false;
        }
        self.hurried = true;
        self.quick = times;
        self.pace = pace.max(SHORTEST);
        // One that was sent just now waits its turn; one that waits already is repeated at once.
        self.next = self.next.min((self.sent + self.pace).max(now));
        true
    }

    /// The latest transmission did not leave this host: it is none, and another follows soon. So a few times, for a way that
    /// comes a little later than the address it begins at.
    pub fn stuck(&mut self, now: Nanos) {
        if self.stuck || self.stuck_times == STUCK_TIMES {
            return;
        }
        self.stuck = true;
        self.stuck_times += 1;
        self.tries = self.tries.saturating_sub(1);
        self.next = self.next.min(now + STUCK_PACE);
    }

    /// The latest transmission did not leave this host.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// There is data for the peer: do not wait longer than this for the next repetition. `true` if that is earlier than before.
    pub fn no_later(&mut self, now: Nanos, longest: Duration) -> bool {
        let sooner = (self.sent + longest).max(now);
        let is_sooner = sooner < self.next;
        self.next = self.next.min(sooner);
        is_sooner
    }

    /// Sent so often over the present path that somebody who is there would have answered.
    #[must_use]
    pub fn is_in_vain(&self) -> bool {
        self.tries >= IN_VAIN
    }

    /// It is answered now: how long that took at least, and at most. The same if it was never repeated.
    #[must_use]
    pub fn took(&self, now: Nanos) -> (Duration, Duration) {
        (now.since(self.sent), now.since(self.started))
    }

    /// Was it repeated in a hurry?
    #[must_use]
    pub fn is_hurried(&self) -> bool {
        self.hurried
    }

    /// No more hurry.
    pub fn calm_down(&mut self, now: Nanos) {
        if self.hurried {
            self.hurried = false;
            self.quick = 0;
            self.next = now + self.interval;
        }
    }
}

/// No profile makes us send more often than this.
const SHORTEST: Duration = Duration::from_millis(10);

/// What did not leave this host is sent again after this time, so often: half a second in all.
/// Transmissions: the second may have been on its way when a slow answer left.
const IN_VAIN: u32 = 3;
const STUCK_PACE: Duration = Duration::from_millis(25);
const STUCK_TIMES: u8 = 20;

/// How long the peer is asked in vain before it counts as dead.
#[must_use]
pub fn patience(policy: &Retransmit, role: Role) -> Duration {
    match role {
        Role::Initiator => policy.give_up_initiator,
        // RFC 4555 section 3.11.
        Role::Responder => policy.give_up_responder.max(Retransmit::RESPONDER_FLOOR),
    }
}

fn jitter(interval: Duration, policy: &Retransmit, random: &mut impl Random) -> Duration {
    let percent = u64::from(policy.jitter_percent.min(50));
    if percent == 0 {
        return interval;
    }
    let moved = 100 - percent + random.next_u64() % (2 * percent + 1);
    interval.saturating_mul(moved as u32) / 100
}
