//! From an inner destination to the Child SAs that may carry it.
//!
//! Selectors become prefixes (an odd range becomes several), prefixes live in a hash map per address family, and a
//! look-up asks once per prefix length in use, the longest first. A hundred thousand virtual addresses are one length:
//! one question. Pairs that share a prefix are asked from the most preferred to the least.

use core::hash::Hash;
use core::net::IpAddr;

use hashbrown::HashMap;

use crate::limits::{MAX_PAIRS_PER_PREFIX, MAX_ROUTES_PER_PAIR};
use crate::{InstallError, Selector};

/// Index of a pair in the table.
pub(crate) type Slot = u32;

#[derive(Default)]
pub(crate) struct Routes {
    v4: PrefixMap<u32>,
    v6: PrefixMap<u128>,
}

impl Routes {
    /// Add a pair as the most preferred owner of its prefixes. On error nothing changed.
    pub(crate) fn add(&mut self, remote: &[Selector], slot: Slot) -> Result<(), InstallError> {
        let prefixes = prefixes_of(remote)?;
        if prefixes.iter().any(|prefix| self.owners(*prefix).len() >= MAX_PAIRS_PER_PREFIX) {
            return Err(InstallError::PrefixCrowded);
        }
        for prefix in prefixes {
            match prefix {
                Prefix::V4(bits, len) => self.v4.add(bits, len, slot),
                Prefix::V6(bits, len) => self.v6.add(bits, len, slot),
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, remote: &[Selector], slot: Slot) {
        for prefix in prefixes_of(remote).unwrap_or_default() {
            match prefix {
                Prefix::V4(bits, len) => self.v4.remove(bits, len, slot),
                Prefix::V6(bits, len) => self.v6.remove(bits, len, slot),
            }
        }
    }

    /// The first owner of the longest prefix around `destination` for which `carries` holds.
    pub(crate) fn find(&self, destination: IpAddr, carries: impl Fn(Slot) -> bool) -> Option<Slot> {
        match destination {
            IpAddr::V4(v4) => self.v4.find(v4.into(), carries),
            IpAddr::V6(v6) => self.v6.find(v6.into(), carries),
        }
    }

    fn owners(&self, prefix: Prefix) -> &[Slot] {
        match prefix {
            Prefix::V4(bits, len) => self.v4.owners(bits, len),
            Prefix::V6(bits, len) => self.v6.owners(bits, len),
        }
    }
}

/// Address bits and how many of them count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Prefix {
    V4(u32, u8),
    V6(u128, u8),
}

/// Each prefix once.
fn prefixes_of(remote: &[Selector]) -> Result<Vec<Prefix>, InstallError> {
    let mut prefixes = Vec::with_capacity(remote.len());
    for selector in remote {
        match (selector.first(), selector.last()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let (first, last) = (u32::from(first).into(), u32::from(last).into());
                cut(first, last, 32, |bits, len| prefixes.push(Prefix::V4(bits as u32, len)));
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                cut(first.into(), last.into(), 128, |bits, len| prefixes.push(Prefix::V6(bits, len)));
            }
            // `Selector` holds one family.
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
        }
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    if prefixes.len() > MAX_ROUTES_PER_PAIR {
        return Err(InstallError::TooManyRoutes);
    }
    Ok(prefixes)
}

/// Cut a range into the fewest prefixes: each step takes the largest block that starts at `first` and fits.
fn cut(first: u128, last: u128, width: u8, mut emit: impl FnMut(u128, u8)) {
    let mut next = Some(first);
    while let Some(first) = next.filter(|first| *first <= last) {
        let aligned = first.trailing_zeros().min(width.into());
        let fitting = match (last - first).checked_add(1) {
            Some(count) => count.ilog2(),
            None => u128::BITS,
        };
        let host_bits = aligned.min(fitting);
        emit(first, width - host_bits as u8);
        next = 1u128.checked_shl(host_bits).and_then(|block| first.checked_add(block));
    }
}

/// Prefixes of one family.
struct PrefixMap<A> {
    owners: HashMap<(A, u8), Owners>,
    /// How many prefixes have each length.
    lengths: Vec<u32>,
    /// The lengths in use, longest first.
    used: Vec<u8>,
}

impl<A> Default for PrefixMap<A> {
    fn default() -> Self {
        PrefixMap { owners: HashMap::new(), lengths: vec![0; size_of::<A>() * 8 + 1], used: Vec::new() }
    }
}

impl<A: Address> PrefixMap<A> {
    fn find(&self, address: A, carries: impl Fn(Slot) -> bool) -> Option<Slot> {
        let around = self.used.iter().map(|len| self.owners(address.masked(*len), *len));
        around.flat_map(|owners| owners.iter().rev()).copied().find(|slot| carries(*slot))
    }

    fn owners(&self, bits: A, len: u8) -> &[Slot] {
        self.owners.get(&(bits, len)).map_or(&[], Owners::as_slice)
    }

    fn add(&mut self, bits: A, len: u8, slot: Slot) {
        if let Some(owners) = self.owners.get_mut(&(bits, len)) {
            owners.push(slot);
            return;
        }
        self.owners.insert((bits, len), Owners::One(slot));
        self.lengths[usize::from(len)] += 1;
        if self.lengths[usize::from(len)] == 1 {
            self.used.push(len);
            self.used.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    fn remove(&mut self, bits: A, len: u8, slot: Slot) {
        let Some(owners) = self.owners.get_mut(&(bits, len)) else { return };
        if owners.remove(slot) {
            return;
        }
        self.owners.remove(&(bits, len));
        self.lengths[usize::from(len)] -= 1;
        if self.lengths[usize::from(len)] == 0 {
            self.used.retain(|used| *used != len);
        }
    }
}

/// Pairs that share a prefix, the most preferred last. Nearly always one, so it is 16 bytes and no allocation.
enum Owners {
    One(Slot),
    Several(Box<[Slot]>),
}

impl Owners {
    fn as_slice(&self) -> &[Slot] {
        match self {
            Owners::One(slot) => core::slice::from_ref(slot),
            Owners::Several(slots) => slots,
        }
    }

    fn push(&mut self, slot: Slot) {
        *self = Owners::Several([self.as_slice(), &[slot]].concat().into());
    }

    /// False if nobody is left.
    fn remove(&mut self, slot: Slot) -> bool {
        let left: Vec<Slot> = self.as_slice().iter().copied().filter(|owner| *owner != slot).collect();
        match left[..] {
            [] => return false,
            [one] => *self = Owners::One(one),
            [..] => *self = Owners::Several(left.into()),
        }
        true
    }
}

trait Address: Copy + Eq + Hash {
    fn masked(self, len: u8) -> Self;
}

impl Address for u32 {
    fn masked(self, len: u8) -> u32 {
        self & !u32::MAX.checked_shr(len.into()).unwrap_or(0)
    }
}

impl Address for u128 {
    fn masked(self, len: u8) -> u128 {
        self & !u128::MAX.checked_shr(len.into()).unwrap_or(0)
    }
}
