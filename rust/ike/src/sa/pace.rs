//! How often the moves of a peer are followed.
//!
//! Each UPDATE_SA_ADDRESSES is answered, and the IKE SA goes along: the answer has to leave. What follows from it, a check
//! of return routability and a move of all IPsec SAs, costs more than the request did. A peer that moves very often is
//! therefore followed in steps, and in each step to where it is then.

use core::time::Duration;

use crate::Nanos;

/// Moves followed at once after a calm time: both links of a host that come and go together, a few times over.
const BURST: u8 = 8;
/// And then one in so long.
const EVERY: Duration = Duration::from_millis(250);
/// A notice says so again after so long.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What people read.
pub const WHY: &str = "the peer moves too often: its IPsec SAs follow four times a second at most";

/// One peer's moves.
#[derive(Debug)]
pub struct Pace {
    left: u8,
    filled_at: Nanos,
    /// When the latest move that waits is followed.
    due: Nanos,
    told_at: Option<Nanos>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { left: BURST, filled_at: Nanos(0), due: Nanos::NEVER, told_at: None }
    }
}

/// When a move is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// At once.
    Now,
    /// Later, together with all that come until then.
    Later {
        /// When.
        at: Nanos,
        /// People were not told so lately.
        first: bool,
    },
}

impl Turn {
    /// When; a moment of the past for now.
    #[must_use]
    pub fn at(self) -> Nanos {
        match self {
            Turn::Now => Nanos(0),
            Turn::Later { at, .. } => at,
        }
    }
}

impl Pace {
    /// A move: follow it now?
    pub fn ask(&mut self, now: Nanos) -> Turn {
        self.refill(now);
        if self.left > 0 {
            self.left -= 1;
            self.due = Nanos::NEVER;
            return Turn::Now;
        }
        self.due = self.due.min(self.filled_at + EVERY);
        let first = self.told_at.is_none_or(|told| now.since(told) >= TELL_EVERY);
        if first {
            self.told_at = Some(now);
        }
        Turn::Later { at: self.due, first }
    }

    /// When a move that waits is to be followed.
    #[must_use]
    pub fn due(&self) -> Nanos {
        self.due
    }

    /// The peer is where it says: nothing waits.
    pub fn settle(&mut self) {
        self.due = Nanos::NEVER;
    }

    /// Does a move wait to be followed?
    #[must_use]
    pub fn waits(&self) -> bool {
        self.due != Nanos::NEVER
    }

    /// One does, and its time has come.
    #[must_use]
    pub fn waiting() -> Pace {
        Pace { due: Nanos(0), ..Pace::default() }
    }

    /// Is one due now? Then it counts as followed.
    pub fn is_due(&mut self, now: Nanos) -> bool {
        if self.due > now {
            return false;
        }
        self.due = Nanos::NEVER;
        self.refill(now);
        self.left = self.left.saturating_sub(1);
        true
    }

    fn refill(&mut self, now: Nanos) {
        let gone = now.since(self.filled_at).as_nanos() / EVERY.as_nanos();
        let steps = u8::try_from(gone).unwrap_or(u8::MAX);
        if steps >= BURST - self.left {
            self.left = BURST;
            self.filled_at = now;
        } else {
            self.left += steps;
            self.filled_at = self.filled_at + EVERY * u32::from(steps);
        }
    }
}
