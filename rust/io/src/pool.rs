//! Every shard leases from its own part of a pool, so that no two lease the same address and none has to ask another.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use mobike_ike::Profile;
use mobike_ike::profile::Pool;

/// The profile as this shard shall have it.
pub(crate) fn profile_of_shard(profile: &Arc<Profile>, shard: u8, shards: u8) -> Arc<Profile> {
    if shards == 1 || (profile.pool.is_none() && profile.named_pools.is_empty()) {
        return Arc::clone(profile);
    }
    let mut own = Profile::clone(profile);
    own.pool = own.pool.map(|pool| pool_of_shard(&pool, shard, shards));
    own.named_pools = own.named_pools.iter().map(|pool| pool_of_shard(pool, shard, shards)).collect();
    Arc::new(own)
}

fn pool_of_shard(pool: &Pool, shard: u8, shards: u8) -> Pool {
    let v4 = pool.v4.and_then(|(first, last)| {
        let (first, last) = part(first.to_bits().into(), last.to_bits().into(), shard, shards)?;
        Some((Ipv4Addr::from_bits(first as u32), Ipv4Addr::from_bits(last as u32)))
    });
    let v6 = pool.v6.and_then(|(first, last)| {
        let (first, last) = part(first.to_bits(), last.to_bits(), shard, shards)?;
        Some((Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last)))
    });
    Pool { v4, v6, ..pool.clone() }
}

/// Part number `shard` of `shards` equal ones; the last takes what is left over. `None` if there is nothing in it.
fn part(first: u128, last: u128, shard: u8, shards: u8) -> Option<(u128, u128)> {
    let (shard, shards) = (u128::from(shard), u128::from(shards));
    // A range of all 2^128 addresses counts one short, which nobody will miss.
    let count = last.checked_sub(first)?.saturating_add(1);
    let each = count / shards;
    let begin = first + each * shard;
    let end = if shard + 1 == shards { last } else { (begin + each).checked_sub(1)? };
    (begin <= end).then_some((begin, end))
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn the_parts_of_a_pool_are_the_whole_pool_without_overlap() {
        for (count, shards) in [(1u128, 1u8), (2, 4), (7, 3), (256, 16), (1000, 7)] {
            let mut next = 10;
            for shard in 0..shards {
                let Some((first, last)) = part(10, 10 + count - 1, shard, shards) else { continue };
                assert_eq!(first, next, "{count} addresses, part {shard} of {shards}");
                next = last + 1;
            }
            assert_eq!(next, 10 + count);
        }
    }
}
