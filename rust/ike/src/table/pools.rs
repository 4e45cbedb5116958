//! Inner addresses on lease. Connections whose pools have one name lease from it together; any other pool is its
//! connection's own. The lowest free address is given; a pool that is sticky keeps one for whoever had it.
//!
//! ```text
//! range     one family, by offset from its first address: what is free, what is leased
//! memory    who had which, and until when it is kept
//! ```

mod memory;
mod range;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::sync::Arc;

use hashbrown::HashMap;

use self::range::Range;
use crate::Nanos;
use crate::id::{Identity, ProfileId};
use crate::profile::Pool;

/// The leases of all pools.
#[derive(Debug, Default)]
pub struct Pools {
    by_key: HashMap<Key, Leases>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Own(ProfileId),
    Shared(Arc<str>),
}

#[derive(Debug, Default)]
struct Leases {
    v4: Range,
    v6: Range,
}

/// Who leases, and where.
#[derive(Debug, Clone, Copy)]
pub struct Lessee<'a> {
    /// Under which standing orders.
    pub profile: ProfileId,
    /// Their pool.
    pub pool: &'a Pool,
    /// Who the peer proved to be.
    pub who: &'a Identity,
}

impl Pools {
    /// Lease an IPv4 address, or an IPv6 address: the one that this peer had, if it is kept for it; else `wanted`, if it is
    /// free; else the lowest free one; else the one that is kept longest for somebody who is gone. With `succeeds`, this
    /// peer's other IKE SAs are about to end: it gets what they have.
    pub fn lease(
        &mut self,
        now: Nanos,
        lessee: Lessee<'_>,
        v6: bool,
        wanted: Option<IpAddr>,
        succeeds: bool,
    ) -> Option<IpAddr> {
        let (first, last) = span(lessee.pool, v6)?;
        let size = last.checked_sub(first)?.saturating_add(1);
        let range = self.range(lessee, v6);
        range.begin_at(first);
        let wanted = wanted.filter(|address| lessee.pool.holds(*address));
        let wanted = wanted.and_then(|address| range.offset(first, bits(address)));
        let offset = range.lease(now, lessee, size, wanted, succeeds)?;
        Some(address(v6, first + u128::from(offset)))
    }

    /// An SA comes back that holds this address. `false` if somebody else has it by now. One that is no more in the pool
    /// is nobody else's to get.
    pub fn retake(&mut self, lessee: Lessee<'_>, address: IpAddr) -> bool {
        if !lessee.pool.holds(address) {
            return true;
        }
        // Offsets beyond 64 bits are never leased.
        self.place(lessee, address).is_some_and(|(range, offset)| range.retake(lessee, offset))
    }

    /// Somebody else decided that this peer has this address. `false` if it is leased to another; that it was kept for one
    /// does not count. One that is not in the pool is not ours to judge.
    pub fn claim(&mut self, lessee: Lessee<'_>, address: IpAddr) -> bool {
        self.place(lessee, address).is_none_or(|(range, offset)| range.claim(lessee, offset))
    }

    /// This peer goes on with what another IKE SA of its, which is about to end, has leased: both have it for a moment.
    /// `false` if it is none of the pool's.
    pub fn share(&mut self, lessee: Lessee<'_>, address: IpAddr) -> bool {
        self.place(lessee, address).is_some_and(|(range, offset)| range.share(lessee, offset))
    }

    /// Take a lease back. The pool is the one it was made from.
    pub fn give_back(&mut self, lessee: Lessee<'_>, address: IpAddr) {
        if let Some((range, offset)) = self.place(lessee, address) {
            range.give_back(lessee, offset);
        }
    }

    /// This peer had this address so long ago: it is kept for it, unless it is leased, or was had too long ago.
    pub fn remember(&mut self, now: Nanos, lessee: Lessee<'_>, address: IpAddr, ago: Duration) {
        let left = lessee.pool.sticky.saturating_sub(ago);
        if let Some((range, offset)) = self.place(lessee, address)
            && !left.is_zero()
        {
            range.remember(lessee.who, offset, now + left);
        }
    }

    /// Where an address of the pool is. The pool of an older IKE SA may have another range than that of a new one.
    fn place(&mut self, lessee: Lessee<'_>, address: IpAddr) -> Option<(&mut Range, u64)> {
        let (first, _) = span(lessee.pool, address.is_ipv6()).filter(|_| lessee.pool.holds(address))?;
        let range = self.range(lessee, address.is_ipv6());
        let offset = range.offset(first, bits(address))?;
        Some((range, offset))
    }

    fn range(&mut self, lessee: Lessee<'_>, v6: bool) -> &mut Range {
        let key = lessee.pool.shared.clone().map_or(Key::Own(lessee.profile), Key::Shared);
        let leases = self.by_key.entry(key).or_default();
        if v6 { &mut leases.v6 } else { &mut leases.v4 }
    }
}

/// First and last address as numbers.
fn span(pool: &Pool, v6: bool) -> Option<(u128, u128)> {
    match v6 {
        false => pool.v4.map(|(first, last)| (first.to_bits().into(), last.to_bits().into())),
        true => pool.v6.map(|(first, last)| (first.to_bits(), last.to_bits())),
    }
}

fn address(v6: bool, bits: u128) -> IpAddr {
    match u32::try_from(bits) {
        Ok(bits) if !v6 => Ipv4Addr::from_bits(bits).into(),
        _ => Ipv6Addr::from_bits(bits).into(),
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests;
