//! Inner addresses on lease. Each profile has its own pool; the lowest free address is given.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::id::ProfileId;
use crate::profile::Pool;

/// The leases of all profiles.
#[derive(Debug, Default)]
pub struct Pools {
    by_profile: HashMap<ProfileId, Leases>,
}

#[derive(Debug, Default)]
struct Leases {
    v4: Range,
    v6: Range,
}

/// One range, by offset from its first address: everything from `fresh` on was never given out, but for what is `held`.
#[derive(Debug, Default)]
struct Range {
    fresh: u64,
    returned: BTreeSet<u64>,
    /// Beyond `fresh`, and leased: by SAs that were resumed.
    held: BTreeSet<u64>,
}

impl Range {
    fn take(&mut self, size: u128, wanted: Option<u128>) -> Option<u64> {
        if let Some(wanted) = wanted.and_then(|wanted| u64::try_from(wanted).ok())
            && self.returned.remove(&wanted)
        {
            return Some(wanted);
        }
        if let Some(first) = self.returned.pop_first() {
            return Some(first);
        }
        self.pass_held();
        (u128::from(self.fresh) < size).then(|| {
            self.fresh += 1;
            self.fresh - 1
        })
    }

    fn pass_held(&mut self) {
        while self.held.remove(&self.fresh) {
            self.fresh += 1;
        }
    }

    /// It is leased already. `false` if we leased it to somebody else.
    fn retake(&mut self, offset: u64) -> bool {
        let taken = if offset < self.fresh { self.returned.remove(&offset) } else { self.held.insert(offset) };
        self.pass_held();
        taken
    }

    fn give_back(&mut self, offset: u128) {
        let Ok(offset) = u64::try_from(offset) else { return };
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

impl Pools {
    /// Lease an IPv4 address; `wanted` if it was leased before and is free (a client coming back).
    pub fn lease_v4(&mut self, profile: ProfileId, pool: &Pool, wanted: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        let (first, last) = pool.v4?;
        let size = u128::from(last.to_bits().checked_sub(first.to_bits())?) + 1;
        let wanted = wanted.and_then(|address| address.to_bits().checked_sub(first.to_bits())).map(u128::from);
        let offset = self.by_profile.entry(profile).or_default().v4.take(size, wanted)?;
        Some(Ipv4Addr::from_bits(first.to_bits() + u32::try_from(offset).ok()?))
    }

    /// Lease an IPv6 address.
    pub fn lease_v6(&mut self, profile: ProfileId, pool: &Pool, wanted: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
        let (first, last) = pool.v6?;
        let size = last.to_bits().checked_sub(first.to_bits())?.saturating_add(1);
        let wanted = wanted.and_then(|address| address.to_bits().checked_sub(first.to_bits()));
        let offset = self.by_profile.entry(profile).or_default().v6.take(size, wanted)?;
        Some(Ipv6Addr::from_bits(first.to_bits() + u128::from(offset)))
    }

    /// An SA comes back that holds this address. `false` if somebody else has it by now. One that is no more in the pool
    /// is nobody else's to get.
    pub fn retake(&mut self, profile: ProfileId, pool: &Pool, address: IpAddr) -> bool {
        if !pool.holds(address) {
            return true;
        }
        let leases = self.by_profile.entry(profile).or_default();
        let (range, offset) = match (address, pool.v4, pool.v6) {
            (IpAddr::V4(address), Some((first, _)), _) => {
                (&mut leases.v4, u128::from(address.to_bits() - first.to_bits()))
            }
            (IpAddr::V6(address), _, Some((first, _))) => (&mut leases.v6, address.to_bits() - first.to_bits()),
            _ => return true,
        };
        // Offsets beyond 64 bits are never leased.
        u64::try_from(offset).is_ok_and(|offset| range.retake(offset))
    }

    /// Take a lease back. `pool` is the one it was made from.
    pub fn give_back(&mut self, profile: ProfileId, pool: &Pool, address: IpAddr) {
        let Some(leases) = self.by_profile.get_mut(&profile) else { return };
        match (address, pool.v4, pool.v6) {
            (IpAddr::V4(address), Some((first, _)), _) => {
                leases.v4.give_back(u128::from(address.to_bits().wrapping_sub(first.to_bits())));
            }
            (IpAddr::V6(address), _, Some((first, _))) => {
                leases.v6.give_back(address.to_bits().wrapping_sub(first.to_bits()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::Pools;
    use crate::id::ProfileId;
    use crate::profile::Pool;

    #[test]
    fn an_address_that_comes_back_with_its_sa_is_leased_to_nobody_else() {
        let ip = |last| Ipv4Addr::new(10, 0, 0, last);
        let pool = Pool { v4: Some((ip(5), ip(9))), v6: None };
        let (mut pools, profile) = (Pools::default(), ProfileId(1));
        for last in [7, 5] {
            assert!(pools.retake(profile, &pool, ip(last).into()));
            assert!(!pools.retake(profile, &pool, ip(last).into()), "it has it already");
        }
        assert!(pools.retake(profile, &pool, ip(200).into()), "the pool was another one then");
        let mut lease = || pools.lease_v4(profile, &pool, None);
        assert_eq!([lease(), lease()], [Some(ip(6)), Some(ip(8))]);
        pools.give_back(profile, &pool, ip(7).into());
        pools.give_back(profile, &pool, ip(200).into());
        let mut lease = || pools.lease_v4(profile, &pool, None);
        assert_eq!([lease(), lease(), lease()], [Some(ip(7)), Some(ip(9)), None]);
        assert!(!pools.retake(profile, &pool, ip(6).into()), "leased meanwhile");
    }

    #[test]
    fn gives_the_lowest_free_address_and_stops_at_the_last() {
        let ip = |last| Ipv4Addr::new(10, 0, 0, last);
        let pool = Pool { v4: Some((ip(5), ip(7))), v6: None };
        let (mut pools, profile) = (Pools::default(), ProfileId(1));
        let mut lease = |wanted| pools.lease_v4(profile, &pool, wanted);
        assert_eq!([lease(None), lease(None), lease(None), lease(None)], [Some(ip(5)), Some(ip(6)), Some(ip(7)), None]);
        pools.give_back(profile, &pool, ip(6).into());
        pools.give_back(profile, &pool, ip(5).into());
        pools.give_back(profile, &pool, ip(200).into());
        assert_eq!(pools.lease_v4(profile, &pool, Some(ip(6))), Some(ip(6)));
        assert_eq!(pools.lease_v4(profile, &pool, Some(ip(6))), Some(ip(5)));
        assert_eq!(pools.lease_v4(profile, &pool, None), None);
    }
}
