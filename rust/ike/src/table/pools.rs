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
        let wanted = wanted.and_then(|address| offset(lessee.pool, address));
        let offset = self.range(lessee, v6).lease(now, lessee, size, wanted, succeeds)?;
        Some(address(v6, first + u128::from(offset)))
    }

    /// An SA comes back that holds this address. `false` if somebody else has it by now. One that is no more in the pool
    /// is nobody else's to get.
    pub fn retake(&mut self, lessee: Lessee<'_>, address: IpAddr) -> bool {
        if !lessee.pool.holds(address) {
            return true;
        }
        // Offsets beyond 64 bits are never leased.
        offset(lessee.pool, address).is_some_and(|offset| self.range(lessee, address.is_ipv6()).retake(lessee, offset))
    }

    /// Somebody else decided that this peer has this address. `false` if it is leased to another; that it was kept for one
    /// does not count. One that is not in the pool is not ours to judge.
    pub fn claim(&mut self, lessee: Lessee<'_>, address: IpAddr) -> bool {
        match offset(lessee.pool, address) {
            Some(offset) => self.range(lessee, address.is_ipv6()).claim(lessee, offset),
            None => true,
        }
    }

    /// This peer goes on with what another IKE SA of its, which is about to end, has leased: both have it for a moment.
    /// `false` if it is none of the pool's.
    pub fn share(&mut self, lessee: Lessee<'_>, address: IpAddr) -> bool {
        offset(lessee.pool, address).is_some_and(|offset| self.range(lessee, address.is_ipv6()).share(lessee, offset))
    }

    /// Take a lease back. The pool is the one it was made from.
    pub fn give_back(&mut self, lessee: Lessee<'_>, address: IpAddr) {
        if let Some(offset) = offset(lessee.pool, address) {
            self.range(lessee, address.is_ipv6()).give_back(lessee, offset);
        }
    }

    /// This peer had this address so long ago: it is kept for it, unless it is leased, or was had too long ago.
    pub fn remember(&mut self, now: Nanos, lessee: Lessee<'_>, address: IpAddr, ago: Duration) {
        let left = lessee.pool.sticky.saturating_sub(ago);
        if let Some(offset) = offset(lessee.pool, address)
            && !left.is_zero()
        {
            self.range(lessee, address.is_ipv6()).remember(lessee.who, offset, now + left);
        }
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

/// Where in the pool an address lies.
fn offset(pool: &Pool, address: IpAddr) -> Option<u64> {
    let (first, last) = span(pool, address.is_ipv6())?;
    let bits = match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    };
    bits.checked_sub(first).filter(|_| bits <= last).and_then(|offset| u64::try_from(offset).ok())
}

#[cfg(test)]
mod tests;
