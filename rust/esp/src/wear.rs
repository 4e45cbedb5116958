//! How much a pair may carry: at a soft limit it should be replaced, at a hard one nothing more goes through it (RFC 4301
//! section 4.4.2.1). Each direction counts for itself; the one that has carried more decides.

use crate::EspEvent;
use crate::pair::{Pair, Tally};

/// So much in a direction; zero means any amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    /// Octets of inner packets.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

/// What one pair may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Then it should be replaced.
    pub soft: Volume,
    /// Then it carries nothing more.
    pub hard: Volume,
}

/// The limits of a pair, and what was told of them. Most pairs have none, and pay eight octets.
#[derive(Default)]
pub(crate) struct Wear(Option<Box<Limited>>);

#[derive(Default)]
struct Limited {
    limits: Limits,
    told: Told,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Told {
    #[default]
    Nothing,
    Worn,
    Spent,
}

impl Volume {
    fn is_reached_by(self, bytes: u64, packets: u64) -> bool {
        (self.bytes != 0 && bytes >= self.bytes) || (self.packets != 0 && packets >= self.packets)
    }
}

impl Wear {
    pub(crate) fn new(limits: Limits) -> Wear {
        let limited = limits != Limits::default();
        Wear(limited.then(|| Box::new(Limited { limits, told: Told::Nothing })))
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.as_deref().map(|limited| limited.limits).unwrap_or_default()
    }

    /// It carries nothing more.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.as_deref().is_some_and(|limited| limited.told == Told::Spent)
    }

    /// What is to be told now and was not told before.
    fn see(&mut self, tally: &Tally) -> Option<Told> {
        let Limited { limits, told } = self.0.as_deref_mut()?;
        let reached = |limit: Volume| {
            limit.is_reached_by(tally.bytes_in, tally.packets_in)
                || limit.is_reached_by(tally.bytes_out, tally.packets_out)
        };
        let seen = match (reached(limits.hard), reached(limits.soft)) {
            (true, _) => Told::Spent,
            (false, true) => Told::Worn,
            (false, false) => Told::Nothing,
        };
        let is_news = seen > *told;
        *told = seen.max(*told);
        is_news.then_some(seen)
    }
}

impl Pair {
    /// A packet was carried: is there something to tell?
    pub(crate) fn wear(&mut self) -> Option<EspEvent> {
        match self.wear.see(&self.tally)? {
            Told::Nothing => None,
            Told::Worn => Some(EspEvent::Worn { id: self.id }),
            Told::Spent => Some(EspEvent::Spent { id: self.id }),
        }
    }
}
