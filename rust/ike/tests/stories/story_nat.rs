//! Stories of NATs: behind one, out again, renumbered, forgotten.

use crate::stage;

use core::net::IpAddr;
use core::time::Duration;

use stage::{CLIENT, GATEWAY, LTE, Nat, NotifyType, Pair, WAN, WIFI, ip, ms, secs};

fn outside() -> IpAddr {
    ip("198.18.0.1")
}

/// The client's second uplink is behind a NAT.
fn lte_behind_nat() -> Pair {
    let mut pair = Pair::new(1);
    pair.net.nats.push(Nat::new(outside(), &[LTE]));
    pair.established()
}

/// The client's only uplink is behind a NAT, and the client tests its peer every so often.
fn all_behind_nat(liveness: Duration) -> Pair {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = liveness);
    pair.net.nats.push(Nat::new(outside(), &[WIFI]));
    pair.established()
}

// req: M3.5-9, D5.2-1
#[test]
fn moving_behind_a_nat_and_out_again_turns_encapsulation_and_keepalives_on_and_off() {
    let mut pair = lte_behind_nat();
    assert!(!pair.client().up().nat.any());
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    let (mine, theirs) = (pair.client().moved_nat(), pair.gateway().peer_move_nat());
    assert!(mine.is_some_and(|nat| nat.we_are_behind && !nat.peer_is_behind));
    assert!(theirs.is_some_and(|nat| nat.peer_is_behind && !nat.we_are_behind));
    assert_eq!(pair.gateway().path().remote.ip(), outside(), "the address from the header, not from the client");
    pair.run_for(secs(181));
    assert_eq!(pair.client().count("keepalives_sent"), 3);
    assert!(pair.said(|told| told.keepalive).all(|told| told.path == Pair::path(LTE, WAN)));
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    assert!(pair.client().moved_nat().is_some_and(|nat| !nat.any()));
    assert!(pair.gateway().peer_move_nat().is_some_and(|nat| !nat.any()));
    let sent = pair.client().count("keepalives_sent");
    pair.run_for(secs(300));
    assert_eq!(pair.client().count("keepalives_sent"), sent);
}

/// An UPDATE from one address of the client's goes nowhere, and is repeated from the other.
fn writes_for_one_and_repeats_from_other(pair: &mut Pair, one: IpAddr, other: IpAddr) {
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.settle();
    pair.net.blackhole_both(one, WAN);
    pair.order_move(Pair::path(one, WAN));
    pair.run_for(ms(50));
    pair.order_move(Pair::path(other, WAN));
    pair.settle();
}

// req: M3.5-4, M3.5-9
#[test]
fn an_update_that_was_written_for_another_address_of_the_client_tells_of_no_nat() {
    // It is repeated octet for octet from wherever the client goes meanwhile, hashes of the first address inside. Another
    // update follows; until then encapsulation would be turned on in vain, which costs what is on its way.
    let mut pair = Pair::new(1).established();
    writes_for_one_and_repeats_from_other(&mut pair, LTE, WIFI);
    let seen = pair.gateway().peer_move_nats();
    assert!(!seen.is_empty() && seen.iter().all(|nat| !nat.any()), "{seen:?}");
    assert_eq!(pair.gateway().count("updates_taken"), 2, "the one that was written for the other address counts too");
}

// req: M3.5-9
#[test]
fn an_update_that_was_written_for_another_address_and_comes_through_a_nat_tells_of_it() {
    let mut pair = lte_behind_nat();
    writes_for_one_and_repeats_from_other(&mut pair, WIFI, LTE);
    let seen = pair.gateway().peer_move_nats();
    assert!(!seen.is_empty() && seen.iter().all(|nat| nat.peer_is_behind), "{seen:?}");
}

// req: M3.8-2
#[test]
fn a_renumbered_nat_is_noticed_by_the_next_test_and_repaired_by_an_update() {
    let mut pair = all_behind_nat(secs(30));
    let before = pair.gateway().path().remote;
    pair.run_for(secs(95));
    assert!(pair.client().nat_changes().is_empty());
    pair.net.nats[0].flush();
    assert!(pair.run_until(secs(40), |world| !world.host(CLIENT).nat_changes().is_empty()));
    assert!(pair.gateway().peer_moves().is_empty(), "a liveness test moves nothing");
    pair.order_move(Pair::path(WIFI, WAN));
    pair.run_for(ms(100));
    let after = pair.gateway().path().remote;
    assert_eq!((after.ip(), after == before), (outside(), false));
    pair.probe(GATEWAY, None);
    pair.run_for(ms(100));
    assert_eq!(pair.gateway().checked().len(), 1, "the gateway's side works again");
}

// req: M3.8-2
#[test]
fn a_nat_renumbered_right_after_establishment_is_noticed_too() {
    let mut pair = all_behind_nat(secs(30));
    pair.net.nats[0].flush();
    pair.run_for(secs(35));
    assert_eq!(pair.client().nat_changes().len(), 1);
}

// req: M3.8-2
#[test]
fn only_a_client_behind_a_nat_asks_how_it_is_seen_when_it_tests_the_peer() {
    let asks = |pair: &Pair| {
        let tests = pair.requests_of(CLIENT);
        (!tests.is_empty(), tests.iter().all(|told| told.carries(NotifyType::NAT_DETECTION_SOURCE_IP)))
    };
    let mut behind = all_behind_nat(secs(30));
    behind.run_for(secs(40));
    assert_eq!(asks(&behind), (true, true));
    let mut open = Pair::new(1).client_profile(|profile| profile.liveness = secs(30)).established();
    open.run_for(secs(40));
    assert_eq!(asks(&open), (true, false));
}

// req: A5.3-4
#[test]
fn keepalives_hold_the_mapping_and_without_them_it_dies() {
    for (keepalive, reached) in [(secs(60), 1), (Duration::ZERO, 0)] {
        let mut pair = Pair::new(1).client_profile(|profile| profile.nat_keepalive = keepalive);
        pair.net.nats.push(Nat::new(outside(), &[WIFI]));
        let mut pair = pair.established();
        pair.run_for(secs(600));
        pair.probe(GATEWAY, None);
        pair.run_for(secs(5));
        assert_eq!(pair.gateway().checked().len(), reached);
    }
}

// req: D5.2-2
#[test]
fn a_gateway_behind_a_fixed_nat_accepts_moves() {
    let mut pair = Pair::new(1);
    pair.net.nats.push(Nat::one_to_one(outside(), WAN));
    pair.connect_over(&[(WIFI, outside())]);
    pair.settle();
    assert!(pair.client().up().nat.peer_is_behind && pair.gateway().up().nat.we_are_behind);
    pair.order_move(Pair::path(LTE, outside()));
    pair.settle();
    assert_eq!(pair.client().path(), Pair::path(LTE, outside()));
    assert_eq!(pair.gateway().path(), Pair::path(LTE, WAN).reversed());
    assert!(pair.gateway().peer_move_nat().is_some_and(|nat| nat.we_are_behind && !nat.peer_is_behind));
}

// req: M3.8-1
#[test]
fn nat_detection_in_a_probe_is_answered_in_kind_for_the_path_it_came_over() {
    let mut pair = all_behind_nat(secs(30));
    pair.run_for(secs(40));
    let answer = pair.said(|told| told.from == GATEWAY).last();
    assert!(answer.is_some_and(|told| told.carries(NotifyType::NAT_DETECTION_DESTINATION_IP)));
}

#[test]
fn both_behind_nats_of_their_own() {
    let public = ip("198.18.0.2");
    let mut pair = Pair::new(1);
    pair.net.nats.push(Nat::new(outside(), &[WIFI, LTE]));
    pair.net.nats.push(Nat::one_to_one(public, WAN));
    pair.connect_over(&[(WIFI, public)]);
    pair.settle();
    let nat = pair.client().up().nat;
    assert!(nat.we_are_behind && nat.peer_is_behind);
    pair.order_move(Pair::path(LTE, public));
    pair.settle();
    assert_eq!(pair.gateway().peer_moves().len(), 1);
    assert_eq!(pair.client().moved().len(), 1);
}
