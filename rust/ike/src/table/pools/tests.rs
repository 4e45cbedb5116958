use core::net::IpAddr;
use core::time::Duration;

use super::memory::MOST_REMEMBERED;
use super::{Lessee, Pools};
use crate::Nanos;
use crate::id::{Identity, ProfileId};
use crate::profile::Pool;

const HOUR: Duration = Duration::from_secs(3600);

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn pool(first: u8, last: u8, sticky: Duration) -> Pool {
    Pool { v4: Some(([10, 0, 0, first].into(), [10, 0, 0, last].into())), sticky, ..Pool::default() }
}

fn name(name: &str) -> Identity {
    Identity::Fqdn(name.into())
}

/// One pool, its peers by name, and a clock.
struct House {
    pools: Pools,
    pool: Pool,
    profile: ProfileId,
    now: Nanos,
}

impl House {
    fn new(pool: Pool) -> House {
        House { pools: Pools::default(), pool, profile: ProfileId(1), now: Nanos(0) }
    }

    fn with<T>(&mut self, who: &str, act: impl FnOnce(&mut Pools, Lessee<'_>, Nanos) -> T) -> T {
        let lessee = Lessee { profile: self.profile, pool: &self.pool, who: &name(who) };
        act(&mut self.pools, lessee, self.now)
    }

    fn lease(&mut self, who: &str) -> Option<IpAddr> {
        self.lease_as(who, None, false)
    }

    fn lease_as(&mut self, who: &str, wanted: Option<IpAddr>, succeeds: bool) -> Option<IpAddr> {
        let v6 = self.pool.v4.is_none();
        self.with(who, |pools, lessee, now| pools.lease(now, lessee, v6, wanted, succeeds))
    }

    fn give_back(&mut self, who: &str, address: IpAddr) {
        self.with(who, |pools, lessee, _| pools.give_back(lessee, address));
    }

    fn retake(&mut self, who: &str, address: IpAddr) -> bool {
        self.with(who, |pools, lessee, _| pools.retake(lessee, address))
    }

    fn remember(&mut self, who: &str, address: IpAddr, ago: Duration) {
        self.with(who, |pools, lessee, now| pools.remember(now, lessee, address, ago));
    }
}

#[test]
fn an_address_that_comes_back_with_its_sa_is_leased_to_nobody_else() {
    let mut house = House::new(pool(5, 9, Duration::ZERO));
    for last in [7, 5] {
        assert!(house.retake("a", ip(last)));
        assert!(!house.retake("a", ip(last)), "it has it already");
    }
    assert!(house.retake("a", ip(200)), "the pool was another one then");
    assert_eq!([house.lease("a"), house.lease("a")], [Some(ip(6)), Some(ip(8))]);
    house.give_back("a", ip(7));
    house.give_back("a", ip(200));
    assert_eq!([house.lease("a"), house.lease("a"), house.lease("a")], [Some(ip(7)), Some(ip(9)), None]);
    assert!(!house.retake("a", ip(6)), "leased meanwhile");
}

#[test]
fn gives_the_lowest_free_address_and_stops_at_the_last() {
    let mut house = House::new(pool(5, 7, Duration::ZERO));
    let all = [house.lease("a"), house.lease("b"), house.lease("c"), house.lease("d")];
    assert_eq!(all, [Some(ip(5)), Some(ip(6)), Some(ip(7)), None]);
    house.give_back("b", ip(6));
    house.give_back("a", ip(5));
    house.give_back("a", ip(200));
    assert_eq!(house.lease_as("e", Some(ip(6)), false), Some(ip(6)));
    assert_eq!(house.lease_as("f", Some(ip(6)), false), Some(ip(5)));
    assert_eq!(house.lease("g"), None);
}

#[test]
fn whoever_asks_for_a_free_address_gets_it_and_nobody_gets_it_twice() {
    let mut house = House::new(pool(5, 9, Duration::ZERO));
    assert_eq!(house.lease_as("a", Some(ip(8)), false), Some(ip(8)));
    assert_eq!(house.lease_as("b", Some(ip(8)), false), Some(ip(5)));
    assert_eq!(house.lease_as("c", Some(ip(200)), false), Some(ip(6)), "not ours to give");
    assert_eq!([house.lease("d"), house.lease("e"), house.lease("f")], [Some(ip(7)), Some(ip(9)), None]);
}

#[test]
fn a_sticky_pool_gives_a_peer_what_it_had_and_others_what_was_nobodys() {
    let mut house = House::new(pool(5, 8, HOUR));
    assert_eq!([house.lease("a"), house.lease("b")], [Some(ip(5)), Some(ip(6))]);
    house.give_back("a", ip(5));
    assert_eq!(house.lease_as("c", Some(ip(5)), false), Some(ip(7)), "it is kept for another");
    assert_eq!(house.lease("a"), Some(ip(5)));
    house.give_back("a", ip(5));
    house.give_back("b", ip(6));
    assert_eq!(house.lease("d"), Some(ip(8)));
    // Nothing is free any more: whoever is gone longest loses what was kept.
    assert_eq!(house.lease("e"), Some(ip(5)));
    assert_eq!(house.lease("b"), Some(ip(6)), "others keep theirs");
    assert_eq!(house.lease("a"), None);
}

#[test]
fn an_address_is_kept_for_so_long_and_then_it_is_anybodys() {
    let mut house = House::new(pool(5, 9, HOUR));
    house.lease("a");
    house.give_back("a", ip(5));
    assert_eq!(house.lease("b"), Some(ip(6)), "the time counts from here");
    house.now = house.now + HOUR - Duration::from_nanos(1);
    assert_eq!(house.lease("c"), Some(ip(7)));
    house.now = house.now + Duration::from_nanos(1);
    assert_eq!(house.lease("d"), Some(ip(5)));
    assert_eq!(house.lease("a"), Some(ip(8)));
}

#[test]
fn a_peer_that_replaces_its_sa_goes_on_with_its_address() {
    let mut house = House::new(pool(5, 9, HOUR));
    assert_eq!(house.lease("a"), Some(ip(5)));
    // Its other SAs end, or it asks for what it has: both SAs have it for a moment.
    assert_eq!(house.lease_as("a", None, true), Some(ip(5)));
    assert_eq!(house.lease_as("a", Some(ip(5)), false), Some(ip(5)));
    for _ in 0..2 {
        house.give_back("a", ip(5));
        assert_eq!(house.lease_as("b", Some(ip(5)), true), Some(ip(6)), "it is leased");
        house.give_back("b", ip(6));
    }
    // Beside an SA that stays it gets another one; a stranger never gets it.
    assert_eq!(house.lease("a"), Some(ip(7)));
    house.profile = ProfileId(2);
    house.pool.shared = None;
    assert_eq!(house.lease_as("a", Some(ip(5)), true), Some(ip(5)), "another connection has its own pool");
}

#[test]
fn connections_that_share_a_pool_lease_from_it_together() {
    let mut house = House::new(Pool { shared: Some("all".into()), ..pool(5, 6, HOUR) });
    assert_eq!(house.lease("a"), Some(ip(5)));
    house.profile = ProfileId(2);
    // The SA under the other orders does not end with this.
    assert_eq!(house.lease_as("a", Some(ip(5)), true), Some(ip(6)));
    assert_eq!(house.lease("b"), None);
    house.give_back("a", ip(6));
    house.profile = ProfileId(1);
    house.give_back("a", ip(5));
    assert_eq!(house.lease("a"), Some(ip(5)), "the one that it left last");
    assert_eq!(house.lease("b"), Some(ip(6)));
}

#[test]
fn what_is_remembered_at_start_is_kept_for_the_rest_of_its_time() {
    let mut house = House::new(pool(5, 9, HOUR));
    assert!(house.retake("busy", ip(6)));
    house.remember("a", ip(5), HOUR / 2);
    house.remember("late", ip(8), HOUR);
    house.remember("thief", ip(6), Duration::ZERO);
    house.remember("far", ip(200), Duration::ZERO);
    assert_eq!(house.lease("b"), Some(ip(7)));
    assert_eq!(house.lease("late"), Some(ip(8)));
    assert_eq!(house.lease("thief"), Some(ip(9)));
    assert_eq!(house.lease("c"), Some(ip(5)), "nothing else is left");
    house.give_back("c", ip(5));
    house.give_back("busy", ip(6));
    assert_eq!(house.lease("busy"), Some(ip(6)), "a resumed SA counts like any other");
    // And with half of the time gone already, the rest is half.
    let mut house = House::new(pool(5, 6, HOUR));
    house.remember("a", ip(5), HOUR / 2);
    house.now = house.now + HOUR / 2;
    assert_eq!(house.lease("b"), Some(ip(5)));
}

#[test]
fn two_resumed_sas_of_one_peer_may_have_one_address_and_of_two_may_not() {
    let mut house = House::new(pool(5, 9, HOUR));
    assert!(house.retake("a", ip(5)) && house.retake("a", ip(5)));
    assert!(!house.retake("b", ip(5)));
    house.give_back("a", ip(5));
    assert_eq!(house.lease_as("b", Some(ip(5)), false), Some(ip(6)));
}

#[test]
fn an_address_that_somebody_else_decided_on_is_taken_unless_it_is_leased() {
    let mut house = House::new(pool(5, 9, HOUR));
    let claim =
        |house: &mut House, who: &str, last: u8| house.with(who, |pools, lessee, _| pools.claim(lessee, ip(last)));
    assert!(claim(&mut house, "a", 7) && claim(&mut house, "a", 200));
    assert!(!claim(&mut house, "b", 7), "it is leased");
    assert_eq!(house.lease("c"), Some(ip(5)));
    house.give_back("c", ip(5));
    assert!(claim(&mut house, "d", 5), "what c just left");
    house.give_back("d", ip(5));
    assert_eq!(house.lease("e"), Some(ip(6)));
    assert!(claim(&mut house, "f", 5), "what is kept for d");
    assert_eq!(house.lease("d"), Some(ip(8)));
    house.give_back("f", ip(5));
    assert_eq!(house.lease("f"), Some(ip(5)));
}

#[test]
fn memory_has_a_limit_and_so_have_names() {
    let v6 = Some(("fd00::".parse().unwrap(), "fd00::ffff:ffff".parse().unwrap()));
    let mut house = House::new(Pool { v6, sticky: HOUR, ..Pool::default() });
    let first = house.lease("0").unwrap();
    house.give_back("0", first);
    for n in 1..=MOST_REMEMBERED {
        let who = n.to_string();
        let leased = house.lease(&who).unwrap();
        house.give_back(&who, leased);
    }
    let long = "x".repeat(256);
    let leased = house.lease(&long).unwrap();
    assert_eq!(leased, first, "who came first is forgotten");
    house.give_back(&long, leased);
    assert_eq!(house.lease("z"), Some(leased), "who is called so is not remembered");
}

/// A pool gets another range while addresses are leased: nobody gets what somebody has.
#[test]
fn a_range_that_begins_elsewhere_keeps_what_is_leased() {
    for sticky in [Duration::ZERO, HOUR] {
        let mut house = House::new(pool(10, 20, sticky));
        let (a, b) = (house.lease("a").unwrap(), house.lease("b").unwrap());
        assert_eq!((a, b), (ip(10), ip(11)));
        // Grown at its front: the lowest free ones, and then those behind what is leased.
        let old = core::mem::replace(&mut house.pool, pool(9, 20, sticky));
        assert_eq!((house.lease("c"), house.lease("d")), (Some(ip(9)), Some(ip(12))));
        // What an IKE SA had under the older orders it gives back under those.
        let new = core::mem::replace(&mut house.pool, old);
        house.give_back("a", a);
        house.pool = new;
        assert_eq!((house.lease("a"), house.lease("e")), (Some(ip(10)), Some(ip(13))));
    }
}

#[test]
fn a_range_that_became_shorter_gives_nothing_beyond_its_end() {
    for sticky in [Duration::ZERO, HOUR] {
        let mut house = House::new(pool(1, 4, sticky));
        let all: Vec<IpAddr> = ["a", "b", "c", "d"].iter().map(|who| house.lease(who).unwrap()).collect();
        let old = core::mem::replace(&mut house.pool, pool(1, 2, sticky));
        let new = core::mem::replace(&mut house.pool, old);
        house.give_back("c", all[2]);
        house.give_back("d", all[3]);
        house.pool = new;
        assert_eq!(house.lease("e"), None);
        // Nor to whoever had it.
        assert_eq!(house.lease("d"), None);
        house.give_back("b", all[1]);
        assert_eq!(house.lease("f"), Some(ip(2)));
    }
}

#[test]
fn a_range_that_moved_on_leaves_behind_what_is_below_it() {
    let mut house = House::new(pool(1, 4, Duration::ZERO));
    let a = house.lease("a").unwrap();
    house.lease("b");
    let old = core::mem::replace(&mut house.pool, pool(2, 5, Duration::ZERO));
    assert_eq!(house.lease("c"), Some(ip(3)), "the second is leased");
    let new = core::mem::replace(&mut house.pool, old);
    house.give_back("a", a);
    house.pool = new;
    assert_eq!((house.lease("d"), house.lease("e"), house.lease("f")), (Some(ip(4)), Some(ip(5)), None));
}
