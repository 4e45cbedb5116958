//! Who had which address of a range, and until when it is kept.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::Nanos;
use crate::id::Identity;

/// Peers that one range remembers; those that are gone longest are forgotten first.
pub const MOST_REMEMBERED: usize = 65_536;

/// Octets of an identity that is remembered: a peer may call itself whatever fits a message.
const LONGEST: usize = 255;

/// Addresses that nobody uses and that are kept for somebody.
#[derive(Debug, Default)]
pub struct Memory {
    of: HashMap<Identity, (Nanos, u64)>,
    /// By when they are forgotten; of those with one deadline the lower address first.
    queue: BTreeMap<(Nanos, u64), Identity>,
}

impl Memory {
    /// Keep it for this peer. What is to be given up for that.
    pub fn keep(&mut self, who: &Identity, offset: u64, until: Nanos) -> Option<u64> {
        if who.with_data(<[u8]>::len) > LONGEST {
            return Some(offset);
        }
        let before = self.take(who);
        let displaced = before.or_else(|| if self.of.len() >= MOST_REMEMBERED { self.oldest() } else { None });
        self.of.insert(who.clone(), (until, offset));
        self.queue.insert((until, offset), who.clone());
        displaced.filter(|displaced| *displaced != offset)
    }

    /// Offsets count from elsewhere: each is another one now, or nobody's.
    pub fn shift(&mut self, moved: impl Fn(u64) -> Option<u64>) {
        let kept = self.of.drain().filter_map(|(who, (until, offset))| Some((who, (until, moved(offset)?))));
        self.of = kept.collect();
        self.queue = self.of.iter().map(|(who, place)| (*place, who.clone())).collect();
    }

    /// What is kept for this peer; it is not kept any more.
    pub fn take(&mut self, who: &Identity) -> Option<u64> {
        let key = self.of.remove(who)?;
        self.queue.remove(&key);
        Some(key.1)
    }

    /// The same, if it is this one.
    pub fn take_this(&mut self, who: &Identity, offset: u64) -> bool {
        let is_it = self.of.get(who).is_some_and(|(_, kept)| *kept == offset);
        is_it && self.take(who).is_some()
    }

    /// Whoever it is kept for: it is not kept any more. `false` if it is not.
    pub fn give_up(&mut self, offset: u64) -> bool {
        // Rare, and there are not that many: no index by address is kept for it.
        let who = self.queue.iter().find(|((_, kept), _)| *kept == offset).map(|(_, who)| who.clone());
        who.is_some_and(|who| self.take(&who).is_some())
    }

    /// What is kept, and would be forgotten first; it is not kept any more.
    pub fn oldest(&mut self) -> Option<u64> {
        let ((_, offset), who) = self.queue.pop_first()?;
        self.of.remove(&who);
        Some(offset)
    }

    /// One whose time is over.
    pub fn expired(&mut self, now: Nanos) -> Option<u64> {
        let (until, _) = self.queue.first_key_value()?.0;
        if *until <= now { self.oldest() } else { None }
    }
}
