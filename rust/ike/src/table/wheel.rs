//! A hierarchical timing wheel with the clock as an argument: one deadline per place.
//!
//! Time is cut into ticks of about a millisecond. Level 0 has a bucket for each of the next 64 ticks, level 1 for each of
//! the next 64 spans of 64 ticks, and so on. A place is linked into the bucket of its deadline; when the wheel reaches a
//! bucket above level 0, what is in it moves down. Arming, re-arming and disarming cost a few memory accesses whatever
//! the number of timers. A timer never fires early, and at most a tick late.

use crate::Nanos;

/// 2^20 ns, about 1.05 ms: far below any retransmission interval.
const TICK_SHIFT: u32 = 20;
const LEVEL_BITS: u32 = 6;
const BUCKETS: usize = 1 << LEVEL_BITS;
/// 7 levels of 6 bits: 2^42 ticks, about 146 years.
const LEVELS: usize = 7;
const LAST_TICK: u64 = (1 << (LEVEL_BITS as u64 * LEVELS as u64)) - 1;

const NONE: u32 = u32::MAX;
const UNLINKED: u16 = u16::MAX;
const CHUNK: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Node {
    tick: u64,
    prev: u32,
    next: u32,
    bucket: u16,
}

const IDLE: Node = Node { tick: 0, prev: NONE, next: NONE, bucket: UNLINKED };

/// The wheel.
#[derive(Debug)]
pub struct Wheel {
    /// Every tick up to this one has been looked at.
    at: u64,
    heads: Box<[u32; LEVELS * BUCKETS]>,
    /// A bit per bucket that is not empty.
    occupied: [u64; LEVELS],
    nodes: Vec<Box<[Node; CHUNK]>>,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel { at: 0, heads: Box::new([NONE; LEVELS * BUCKETS]), occupied: [0; LEVELS], nodes: Vec::new() }
    }
}

impl Wheel {
    /// Wake `place` at `deadline`, and no longer when it was to wake before. [`Nanos::NEVER`] disarms.
    pub fn arm(&mut self, place: u32, deadline: Nanos) {
        if deadline == Nanos::NEVER {
            return self.disarm(place);
        }
        while self.nodes.len() <= place as usize / CHUNK {
            self.nodes.push(Box::new([IDLE; CHUNK]));
        }
        let tick = deadline.0.div_ceil(1 << TICK_SHIFT).clamp(self.at + 1, LAST_TICK);
        if self.node(place).bucket != UNLINKED {
            if self.node(place).tick == tick {
                return;
            }
            self.unlink(place);
        }
        self.link(place, tick);
    }

    /// Let `place` sleep.
    pub fn disarm(&mut self, place: u32) {
        if self.nodes.get(place as usize / CHUNK).is_some_and(|chunk| chunk[place as usize % CHUNK].bucket != UNLINKED)
        {
            self.unlink(place);
        }
    }

    /// When `advance` has something to do; not later than the earliest deadline's tick.
    #[must_use]
    pub fn next(&self) -> Option<Nanos> {
        self.next_bucket().map(|(_, _, tick)| Nanos(tick << TICK_SHIFT))
    }

    /// Everything whose time has come by `now`, in no particular order within a tick.
    pub fn advance(&mut self, now: Nanos, due: &mut Vec<u32>) {
        let until = now.0 >> TICK_SHIFT;
        while let Some((level, bucket, tick)) = self.next_bucket()
            && tick <= until
        {
            self.at = tick;
            let mut place = core::mem::replace(&mut self.heads[level * BUCKETS + bucket], NONE);
            self.occupied[level] &= !(1 << bucket);
            while place != NONE {
                let node = *self.node(place);
                *self.node_mut(place) = IDLE;
                if node.tick <= tick {
                    due.push(place);
                } else {
                    self.link(place, node.tick);
                }
                place = node.next;
            }
        }
        self.at = self.at.max(until.min(LAST_TICK - 1));
    }

    /// The first bucket that is not empty: level, index, and the first tick it stands for.
    fn next_bucket(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|bits| *bits != 0)?;
        let bucket = self.occupied[level].trailing_zeros() as usize;
        let shift = LEVEL_BITS * level as u32;
        let above = self.at >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
        Some((level, bucket, above | (bucket as u64) << shift))
    }

    fn link(&mut self, place: u32, tick: u64) {
        // The highest digit in which the deadline differs from now is the level it waits on.
        let level = ((u64::BITS - 1 - (tick ^ self.at).leading_zeros()) / LEVEL_BITS) as usize;
        let bucket = (tick >> (LEVEL_BITS * level as u32)) as usize % BUCKETS;
        let index = level * BUCKETS + bucket;
        let head = core::mem::replace(&mut self.heads[index], place);
        *self.node_mut(place) = Node { tick, prev: NONE, next: head, bucket: index as u16 };
        if head != NONE {
            self.node_mut(head).prev = place;
        }
        self.occupied[level] |= 1 << bucket;
    }

    fn unlink(&mut self, place: u32) {
        let Node { prev, next, bucket, .. } = core::mem::replace(self.node_mut(place), IDLE);
        if next != NONE {
            self.node_mut(next).prev = prev;
        }
        if prev != NONE {
            self.node_mut(prev).next = next;
            return;
        }
        let index = usize::from(bucket);
        self.heads[index] = next;
        if next == NONE {
            self.occupied[index / BUCKETS] &= !(1 << (index % BUCKETS));
        }
    }

    fn node(&self, place: u32) -> &Node {
        &self.nodes[place as usize / CHUNK][place as usize % CHUNK]
    }

    fn node_mut(&mut self, place: u32) -> &mut Node {
        &mut self.nodes[place as usize / CHUNK][place as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{TICK_SHIFT, Wheel};
    use crate::Nanos;

    #[derive(Debug, Clone)]
    enum Step {
        Arm(u32, u64),
        Disarm(u32),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let span = (0u32..45).prop_flat_map(|bits| 0..=(1u64 << bits));
        prop_oneof![
            (0u32..600, span.clone()).prop_map(|(place, after)| Step::Arm(place, after)),
            (0u32..600).prop_map(Step::Disarm),
            span.prop_map(Step::Pass),
        ]
    }

    proptest! {
        #[test]
        fn wakes_whom_a_sorted_map_would_wake(start in 0u64..1 << 60, steps in prop::collection::vec(step(), 1..200)) {
            let (mut wheel, mut model, mut now) = (Wheel::default(), BTreeMap::new(), start);
            wheel.advance(Nanos(now), &mut Vec::new());
            for step in steps {
                match step {
                    Step::Arm(place, after) => {
                        wheel.arm(place, Nanos(now + after));
                        model.insert(place, (now + after).div_ceil(1 << TICK_SHIFT).max((now >> TICK_SHIFT) + 1));
                    }
                    Step::Disarm(place) => {
                        wheel.disarm(place);
                        model.remove(&place);
                    }
                    Step::Pass(span) => {
                        now += span;
                        let mut due = Vec::new();
                        wheel.advance(Nanos(now), &mut due);
                        due.sort_unstable();
                        let expected: Vec<u32> =
                            model.iter().filter(|(_, tick)| **tick <= now >> TICK_SHIFT).map(|(place, _)| *place).collect();
                        expected.iter().for_each(|place| { model.remove(place); });
                        prop_assert_eq!(due, expected);
                    }
                }
                let earliest = model.values().min().map(|tick| Nanos(tick << TICK_SHIFT));
                prop_assert_eq!(wheel.next().is_some(), earliest.is_some());
                prop_assert!(wheel.next() <= earliest || earliest.is_none());
            }
        }
    }
}
