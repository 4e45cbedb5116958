//! The door: the Child SAs of one shard.
//!
//! Inbound SPIs are found through a hash map of `u32` to slot rather than by the slot bits of the SPI: it costs twelve
//! bytes and a few nanoseconds, takes SPIs of any layout, and cannot be made sparse by whoever chooses them.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::limits::{CONTEXT_IDLE, MAX_PAIRS, TRIM_AT_LEAST, TRIM_EVERY, TRIM_TURNS};
use crate::pair::Pair;
use crate::route::{Routes, Slot};
use crate::totals::TableCounters;
use crate::{Counters, EspEvent, Flow, GroupId, Install, InstallError, Nanos, OuterPath, SaPairId, UnknownPair};

/// The Child SAs of one shard. See the crate's own page.
#[derive(Default)]
pub struct EspTable {
    pairs: Vec<Option<Box<Pair>>>,
    free: Vec<Slot>,
    by_id: HashMap<SaPairId, Slot>,
    by_spi: HashMap<u32, Slot>,
    /// First pair of each group; the rest hang on it.
    groups: HashMap<GroupId, Slot>,
    routes: Routes,
    /// Pairs that hold a cipher context, in no order.
    warm: Vec<Slot>,
    trim_next: usize,
    /// Pairs to look at in each turn of this round through the warm ones.
    trim_share: usize,
    trim_at: Option<Nanos>,
    pub(crate) events: VecDeque<EspEvent>,
    pub(crate) totals: TableCounters,
}

impl EspTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> EspTable {
        EspTable::default()
    }

    /// Make a pair ready in both directions. Of the pairs that could carry a packet on equally specific selectors the
    /// one installed last does; see [`EspTable::prefer`].
    ///
    /// # Errors
    /// Says what is wrong; then nothing changed.
    pub fn install(&mut self, install: &Install<'_>) -> Result<(), InstallError> {
        install.check()?;
        if self.by_id.contains_key(&install.id) {
            return Err(InstallError::IdInUse);
        }
        if self.by_spi.contains_key(&install.inbound.spi) {
            return Err(InstallError::SpiInUse(install.inbound.spi));
        }
        let slot = self.free_slot()?;
        if let Err(refused) = self.routes.add(install.remote, slot) {
            self.free.push(slot);
            return Err(refused);
        }
        let parked = self.is_parked(install.group);
        let mut pair = Pair::new(install);
        pair.parked = parked;
        self.pairs[slot as usize] = Some(pair);
        self.by_id.insert(install.id, slot);
        self.by_spi.insert(install.inbound.spi, slot);
        self.link_group(slot, install.group);
        Ok(())
    }

    /// Forget a pair and wipe its keys. Returns what it had seen last.
    ///
    /// # Errors
    /// If there is no such pair.
    pub fn remove(&mut self, id: SaPairId) -> Result<Counters, UnknownPair> {
        let slot = self.by_id.remove(&id).ok_or(UnknownPair(id))?;
        self.unlink_group(slot);
        self.forget_warm(slot);
        let pair = self.pairs[slot as usize].take().ok_or(UnknownPair(id))?;
        self.by_spi.remove(&pair.inbound.spi);
        self.routes.remove(pair.selectors.remote(), slot);
        self.free.push(slot);
        Ok(pair.counters())
    }

    /// Forget all pairs of a group. Returns how many there were.
    pub fn remove_group(&mut self, group: GroupId) -> usize {
        let ids: Vec<SaPairId> = self.group_slots(group).filter_map(|slot| Some(self.pair(slot)?.id)).collect();
        ids.into_iter().filter(|id| self.remove(*id).is_ok()).count()
    }

    /// Move a pair: from now on its packets take this path (RFC 4555 section 3.5). Nothing else changes.
    ///
    /// # Errors
    /// If there is no such pair.
    pub fn set_outer(&mut self, id: SaPairId, outer: OuterPath) -> Result<(), UnknownPair> {
        let slot = self.slot(id).ok_or(UnknownPair(id))?;
        self.pair_mut(slot).ok_or(UnknownPair(id))?.outer = outer;
        Ok(())
    }

    /// Move all pairs of a group. Returns how many there are.
    pub fn set_group_outer(&mut self, group: GroupId, outer: OuterPath) -> usize {
        let mut moved = 0;
        let mut next = self.groups.get(&group).copied();
        while let Some(pair) = next.and_then(|slot| self.pair_mut(slot)) {
            pair.outer = outer;
            pair.parked = false;
            next = pair.group_next;
            moved += 1;
        }
        moved
    }

    /// The peer of a group is away: its packets are opened, none are sealed for it until the group is moved. Returns how
    /// many pairs there are.
    pub fn park_group(&mut self, group: GroupId) -> usize {
        let slots: Vec<Slot> = self.group_slots(group).collect();
        slots.iter().filter_map(|slot| self.pair_mut(*slot).map(|pair| pair.parked = true)).count()
    }

    /// Is the peer of this group away?
    #[must_use]
    pub fn is_parked(&self, group: GroupId) -> bool {
        self.group_slots(group).filter_map(|slot| self.pair(slot)).any(|pair| pair.parked)
    }

    /// The pairs of a group, the newest first.
    pub fn group(&self, group: GroupId) -> impl Iterator<Item = SaPairId> + '_ {
        self.group_slots(group).filter_map(|slot| Some(self.pair(slot)?.id))
    }

    /// Use this pair before others with equally specific selectors, as if it were installed last. After a rekey this
    /// keeps packets on the old pair until the peer has shown that it knows the new one (RFC 7296 section 2.8).
    ///
    /// # Errors
    /// If there is no such pair.
    pub fn prefer(&mut self, id: SaPairId) -> Result<(), UnknownPair> {
        let slot = self.slot(id).ok_or(UnknownPair(id))?;
        let pair = self.pairs[slot as usize].as_deref().ok_or(UnknownPair(id))?;
        self.routes.remove(pair.selectors.remote(), slot);
        // There was room for it a line ago.
        self.routes.add(pair.selectors.remote(), slot).map_err(|_| UnknownPair(id))
    }

    /// Which pair carries this plain packet?
    #[must_use]
    pub fn route(&self, inner: &[u8]) -> Option<SaPairId> {
        let flow = Flow::parse(inner).ok()?;
        Some(self.pair(self.route_flow(&flow)?)?.id)
    }

    /// Where a pair's packets go.
    #[must_use]
    pub fn outer(&self, id: SaPairId) -> Option<OuterPath> {
        Some(self.pair(self.slot(id)?)?.outer)
    }

    /// The pair that receives on an SPI.
    #[must_use]
    pub fn by_inbound_spi(&self, spi: u32) -> Option<SaPairId> {
        Some(self.pair(self.spi_slot(spi)?)?.id)
    }

    /// What a pair has seen.
    #[must_use]
    pub fn counters(&self, id: SaPairId) -> Option<Counters> {
        Some(self.pair(self.slot(id)?)?.counters())
    }

    /// What was dropped, over all pairs that are or were.
    #[must_use]
    pub fn totals(&self) -> TableCounters {
        self.totals
    }

    /// Pairs installed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no pair is installed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Pairs that hold a cipher context now.
    #[must_use]
    pub fn warm(&self) -> usize {
        self.warm.len()
    }

    /// The next fact for the control plane.
    pub fn poll_event(&mut self) -> Option<EspEvent> {
        self.events.pop_front()
    }

    /// Is there a fact for the control plane?
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// When [`EspTable::handle_timeout`] has work: giving back idle cipher contexts.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Nanos> {
        self.trim_at
    }

    /// Give back cipher contexts unused for [`CONTEXT_IDLE`]. Looks at a part of the warm pairs only, so a turn is never
    /// long; early calls do nothing.
    pub fn handle_timeout(&mut self, now: Nanos) {
        if self.trim_at.is_none_or(|due| now < due) {
            return;
        }
        let before = Nanos(now.0.saturating_sub(CONTEXT_IDLE.as_nanos() as u64));
        if self.trim_next >= self.warm.len() {
            self.trim_next = 0;
            self.trim_share = TRIM_AT_LEAST;
        }
        // Shares grow with the list but not shrink with it, else the last contexts would never be reached.
        self.trim_share = self.trim_share.max(self.warm.len().div_ceil(TRIM_TURNS));
        for _ in 0..self.trim_share {
            let Some(&slot) = self.warm.get(self.trim_next) else { break };
            let still_warm = self.pair_mut(slot).is_some_and(|pair| {
                pair.cool(before);
                pair.is_warm()
            });
            if still_warm {
                self.trim_next += 1;
            } else {
                self.forget_warm(slot);
            }
        }
        self.trim_at = (!self.warm.is_empty()).then(|| now.plus(TRIM_EVERY));
    }
}

/// Look-ups for `seal` and `open`.
impl EspTable {
    pub(crate) fn slot(&self, id: SaPairId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn spi_slot(&self, spi: u32) -> Option<Slot> {
        self.by_spi.get(&spi).copied()
    }

    pub(crate) fn pair(&self, slot: Slot) -> Option<&Pair> {
        self.pairs.get(slot as usize)?.as_deref()
    }

    pub(crate) fn pair_mut(&mut self, slot: Slot) -> Option<&mut Pair> {
        self.pairs.get_mut(slot as usize)?.as_deref_mut()
    }

    pub(crate) fn route_flow(&self, flow: &Flow) -> Option<Slot> {
        let carries = |slot| self.pair(slot).is_some_and(|pair| pair.selectors.admit_outbound(flow));
        self.routes.find(flow.destination, carries)
    }

    /// Note that a pair has built a cipher context.
    pub(crate) fn note_warm(&mut self, now: Nanos, slot: Slot) {
        let at = self.warm.len() as u32;
        let Some(pair) = self.pair_mut(slot) else { return };
        if pair.warm_at.is_none() && pair.is_warm() {
            pair.warm_at = Some(at);
            self.warm.push(slot);
            self.trim_at = self.trim_at.or_else(|| Some(now.plus(TRIM_EVERY)));
        }
    }
}

/// Bookkeeping.
impl EspTable {
    fn free_slot(&mut self) -> Result<Slot, InstallError> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        if self.pairs.len() >= MAX_PAIRS {
            return Err(InstallError::TableFull);
        }
        self.pairs.push(None);
        Ok((self.pairs.len() - 1) as Slot)
    }

    fn forget_warm(&mut self, slot: Slot) {
        let Some(at) = self.pair_mut(slot).and_then(|pair| pair.warm_at.take()) else { return };
        self.warm.swap_remove(at as usize);
        if let Some(&moved) = self.warm.get(at as usize)
            && let Some(pair) = self.pair_mut(moved)
        {
            pair.warm_at = Some(at);
        }
    }

    fn group_slots(&self, group: GroupId) -> impl Iterator<Item = Slot> + '_ {
        core::iter::successors(self.groups.get(&group).copied(), |slot| self.pair(*slot)?.group_next)
    }

    fn link_group(&mut self, slot: Slot, group: GroupId) {
        let next = self.groups.insert(group, slot);
        if let Some(pair) = self.pair_mut(slot) {
            pair.group_next = next;
        }
        if let Some(pair) = next.and_then(|next| self.pair_mut(next)) {
            pair.group_prev = Some(slot);
        }
    }

    fn unlink_group(&mut self, slot: Slot) {
        let Some(pair) = self.pair(slot) else { return };
        let (group, prev, next) = (pair.group, pair.group_prev, pair.group_next);
        if let Some(pair) = next.and_then(|next| self.pair_mut(next)) {
            pair.group_prev = prev;
        }
        match (prev.and_then(|prev| self.pair_mut(prev)), next) {
            (Some(pair), next) => pair.group_next = next,
            (None, Some(next)) => _ = self.groups.insert(group, next),
            (None, None) => _ = self.groups.remove(&group),
        }
    }
}
