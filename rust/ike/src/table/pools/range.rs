//! One range of addresses, by offset from its first. A pool may get another range while addresses of it are leased: those keep
//! their places, so that nobody gets what somebody has.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::Lessee;
use super::memory::Memory;
use crate::Nanos;
use crate::id::{Identity, ProfileId};

/// Everything from `fresh` on was never given out, but for what is `held`. What is kept in memory counts as given out.
#[derive(Debug, Default)]
pub struct Range {
    /// What offsets count from.
    first: Option<u128>,
    fresh: u64,
    returned: BTreeSet<u64>,
    /// Beyond `fresh`, and leased: by SAs that were resumed, or to peers that asked for it.
    held: BTreeSet<u64>,
    memory: Memory,
    /// Of a sticky pool: who uses which. One that uses several has the latest here.
    used: HashMap<Identity, (ProfileId, u64)>,
    /// Leases of one address beside the first: a peer's new SA and the old one that is about to end.
    shared: HashMap<u64, u32>,
    /// Given back since anybody leased. They are kept from the next lease on, for it knows the time.
    left: Vec<(Identity, u64)>,
}

impl Range {
    /// The offset of an address. It counts from the first address of the range; from `first`, if nobody said that yet.
    pub fn offset(&mut self, first: u128, address: u128) -> Option<u64> {
        address.checked_sub(*self.first.get_or_insert(first)).and_then(|offset| u64::try_from(offset).ok())
    }

    /// From now on the range begins here. What is leased or kept below it is nobody's to get any more.
    pub fn begin_at(&mut self, first: u128) {
        let before = self.first.replace(first).unwrap_or(first);
        if before == first {
            return;
        }
        let moved = |offset: u64| {
            let address = before.checked_add(offset.into())?;
            address.checked_sub(first).and_then(|offset| u64::try_from(offset).ok())
        };
        let leased = (0..self.fresh).filter(|offset| !self.returned.contains(offset)).chain(self.held.iter().copied());
        self.held = leased.filter_map(moved).collect();
        self.fresh = 0;
        self.returned.clear();
        self.memory.shift(moved);
        let used = self.used.drain();
        self.used = used.filter_map(|(who, (profile, offset))| Some((who, (profile, moved(offset)?)))).collect();
        self.shared = self.shared.drain().filter_map(|(offset, more)| Some((moved(offset)?, more))).collect();
        self.left = self.left.drain(..).filter_map(|(who, offset)| Some((who, moved(offset)?))).collect();
        self.pass_held();
    }

    /// See [`super::Pools::lease`].
    pub fn lease(
        &mut self,
        now: Nanos,
        lessee: Lessee<'_>,
        size: u128,
        wanted: Option<u64>,
        succeeds: bool,
    ) -> Option<u64> {
        if lessee.pool.sticky.is_zero() {
            return self.take(size, wanted);
        }
        self.settle(now, lessee);
        let offset = match self.of_same_peer(lessee, wanted, succeeds) {
            Some(offset) => {
                *self.shared.entry(offset).or_default() += 1;
                offset
            }
            None => {
                let kept = self.kept(lessee.who, size).or_else(|| self.take(size, wanted));
                kept.or_else(|| self.oldest(size))?
            }
        };
        self.used.insert(lessee.who.clone(), (lessee.profile, offset));
        Some(offset)
    }

    /// It is leased already. `false` if we leased it to somebody else.
    pub fn retake(&mut self, lessee: Lessee<'_>, offset: u64) -> bool {
        let sticky = !lessee.pool.sticky.is_zero();
        let same_peer = self.used.get(lessee.who) == Some(&(lessee.profile, offset));
        let taken = self.hold(offset) || (sticky && self.memory.take_this(lessee.who, offset));
        if !taken && same_peer {
            *self.shared.entry(offset).or_default() += 1;
        }
        if taken && sticky {
            self.used.insert(lessee.who.clone(), (lessee.profile, offset));
        }
        taken || same_peer
    }

    /// See [`super::Pools::claim`].
    pub fn claim(&mut self, lessee: Lessee<'_>, offset: u64) -> bool {
        // Whoever left it last has no more right to it.
        let left = self.left.iter().position(|(_, left)| *left == offset);
        if let Some(left) = left {
            self.left.swap_remove(left);
            self.free(offset);
        } else if self.memory.give_up(offset) {
            self.free(offset);
        }
        self.retake(lessee, offset)
    }

    /// See [`super::Pools::share`].
    pub fn share(&mut self, lessee: Lessee<'_>, offset: u64) -> bool {
        if !self.is_leased(offset) {
            return false;
        }
        *self.shared.entry(offset).or_default() += 1;
        if !lessee.pool.sticky.is_zero() {
            self.used.insert(lessee.who.clone(), (lessee.profile, offset));
        }
        true
    }

    /// A lease is over.
    pub fn give_back(&mut self, lessee: Lessee<'_>, offset: u64) {
        if let Some(more) = self.shared.get_mut(&offset) {
            *more -= 1;
            if *more == 0 {
                self.shared.remove(&offset);
            }
            return;
        }
        if self.used.get(lessee.who).is_some_and(|(_, used)| *used == offset) {
            self.used.remove(lessee.who);
        }
        match lessee.pool.sticky.is_zero() {
            true => self.free(offset),
            false if self.is_leased(offset) => self.left.push((lessee.who.clone(), offset)),
            false => {}
        }
    }

    /// Keep an address for a peer, unless it is leased.
    pub fn remember(&mut self, who: &Identity, offset: u64, until: Nanos) {
        if self.hold(offset)
            && let Some(displaced) = self.memory.keep(who, offset, until)
        {
            self.free(displaced);
        }
    }

    fn of_same_peer(&self, lessee: Lessee<'_>, wanted: Option<u64>, succeeds: bool) -> Option<u64> {
        let (profile, offset) = self.used.get(lessee.who)?;
        (*profile == lessee.profile && (succeeds || wanted == Some(*offset))).then_some(*offset)
    }

    fn settle(&mut self, now: Nanos, lessee: Lessee<'_>) {
        while let Some(offset) = self.memory.expired(now) {
            self.free(offset);
        }
        let until = now + lessee.pool.sticky;
        for (who, offset) in core::mem::take(&mut self.left) {
            if let Some(displaced) = self.memory.keep(&who, offset, until) {
                self.free(displaced);
            }
        }
    }

    /// What is kept for this peer. The range may have become shorter meanwhile.
    fn kept(&mut self, who: &Identity, size: u128) -> Option<u64> {
        let kept = self.memory.take(who)?;
        if u128::from(kept) < size {
            return Some(kept);
        }
        self.free(kept);
        None
    }

    /// What is kept longest for somebody who is gone.
    fn oldest(&mut self, size: u128) -> Option<u64> {
        loop {
            let oldest = self.memory.oldest()?;
            if u128::from(oldest) < size {
                return Some(oldest);
            }
            self.free(oldest);
        }
    }

    /// A free one: `wanted`, or the lowest.
    fn take(&mut self, size: u128, wanted: Option<u64>) -> Option<u64> {
        if let Some(wanted) = wanted.filter(|wanted| u128::from(*wanted) < size && self.hold(*wanted)) {
            return Some(wanted);
        }
        if let Some(lowest) = self.returned.first().copied().filter(|lowest| u128::from(*lowest) < size) {
            self.returned.remove(&lowest);
            return Some(lowest);
        }
        self.pass_held();
        (u128::from(self.fresh) < size).then(|| {
            self.fresh += 1;
            self.fresh - 1
        })
    }

    /// Take exactly this one. `false` if it is not free.
    fn hold(&mut self, offset: u64) -> bool {
        let taken = if offset < self.fresh { self.returned.remove(&offset) } else { self.held.insert(offset) };
        self.pass_held();
        taken
    }

    fn is_leased(&self, offset: u64) -> bool {
        if offset < self.fresh { !self.returned.contains(&offset) } else { self.held.contains(&offset) }
    }

    fn pass_held(&mut self) {
        while self.held.remove(&self.fresh) {
            self.fresh += 1;
        }
    }

    fn free(&mut self, offset: u64) {
        if offset < self.fresh {
            self.returned.insert(offset);
        } else {
            self.held.remove(&offset);
        }
        while self.fresh > 0 && self.returned.remove(&(self.fresh - 1)) {
            self.fresh -= 1;
        }
    }
}
