//! Stories of moving, told to two of our engines: the plain move, and each way it can go wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use core::net::SocketAddr;

use mobike_ike::event::DownReason;
use mobike_ike::profile::ReturnRoutability;
use stage::{
    CLIENT, Command, ExchangeType, Fate, GATEWAY, Generation, LTE, Nat, Pair, Path, WAN, WAN2, WIFI, Which, ip, ms,
    secs,
};

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

fn moved_together(pair: &Pair, path: Path) {
    assert_eq!(pair.client().path(), path, "{}", pair.arrows());
    assert_eq!(pair.gateway().path(), path.reversed(), "{}", pair.arrows());
}

// req: M3.5-3, M3.5-7, M3.7-1, M3.7-5
#[test]
fn a_move_is_told_answered_proven_and_reported_at_both_ends() {
    let mut pair = Pair::new(1).established();
    let path = Pair::path(LTE, WAN);
    let generation = pair.order_move(path);
    pair.settle();
    assert_eq!(pair.client().moved(), [(path, generation)]);
    assert_eq!(pair.gateway().peer_moves(), [(path.reversed(), true)]);
    moved_together(&pair, path);
    assert_eq!((pair.gateway().count("cookie2_sent"), pair.gateway().count("cookie2_passed")), (1, 1));
}

#[test]
fn return_routability_may_come_after_or_not_at_all() {
    for (policy, reports) in [
        (ReturnRoutability::After, vec![false, true]),
        (ReturnRoutability::Never, vec![true]),
        (ReturnRoutability::Before, vec![true]),
    ] {
        let mut pair = Pair::new(2).gateway_profile(|profile| profile.return_routability = policy).established();
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        let verified: Vec<bool> = pair.gateway().peer_moves().iter().map(|(_, verified)| *verified).collect();
        assert_eq!(verified, reports, "{policy:?}");
    }
}

// req: M3.5-3
#[test]
fn a_lost_update_or_a_lost_answer_is_repeated_with_the_same_bytes() {
    for which in [Which::of(CLIENT).request(INFORMATIONAL), Which::of(GATEWAY).answer(INFORMATIONAL)] {
        let mut pair = Pair::new(3).established();
        pair.net.lose(which);
        let path = Pair::path(LTE, WAN);
        pair.order_move(path);
        pair.settle();
        pair.run_for(secs(2));
        moved_together(&pair, path);
        let updates: Vec<_> = pair.said(|told| told.from == CLIENT && told.asks(INFORMATIONAL)).collect();
        assert_eq!(updates.len(), 2);
        assert_eq!(updates[0].bytes, updates[1].bytes);
        assert_eq!(pair.gateway().count("updates_taken"), 1);
    }
}

// req: M3.5-3
#[test]
fn an_outstanding_request_goes_on_from_the_new_address_before_the_update() {
    // INFORMATIONAL(probe) over wifi --> lost; the same bytes over lte -->; then UPDATE_SA_ADDRESSES
    let mut pair = Pair::new(4).established();
    pair.net.unplug(WIFI);
    pair.probe(CLIENT, None);
    let path = Pair::path(LTE, WAN);
    pair.order_move(path);
    pair.settle();
    let asked: Vec<_> = pair.said(|told| told.from == CLIENT && told.asks(INFORMATIONAL)).collect();
    assert_eq!(asked[0].bytes, asked[1].bytes);
    assert_eq!((asked[0].path.local.ip(), asked[1].path.local.ip()), (WIFI, LTE));
    assert_eq!(pair.client().checked(), [], "an answer to a request from two addresses proves neither");
    moved_together(&pair, path);
}

// req: M3.5-4
#[test]
fn the_answer_to_an_overtaken_update_is_not_believed_and_a_new_update_follows() {
    let mut pair = Pair::new(5).established();
    // the first update arrives late, after the phone went on
    pair.net.plan(Which::of(CLIENT).request(INFORMATIONAL), Fate::Late(ms(300)));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(50));
    let last = pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    pair.run_for(secs(3));
    assert_eq!(pair.client().moved(), [(Pair::path(WIFI, WAN), last)], "{}", pair.arrows());
    moved_together(&pair, Pair::path(WIFI, WAN));
    assert_eq!(pair.client().count("moves_overtaken"), 1);
}

// req: M3.7-4
#[test]
fn a_move_there_and_back_again_still_asks_anew() {
    let mut pair = Pair::new(6).established();
    pair.net.lose(Which::of(GATEWAY).answer(INFORMATIONAL).times(2));
    pair.order_move(Pair::path(LTE, WAN));
    pair.order_move(Pair::path(WIFI, WAN));
    let last = pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    pair.run_for(secs(5));
    assert_eq!(pair.client().moved(), [(Pair::path(LTE, WAN), last)], "{}", pair.arrows());
    moved_together(&pair, Pair::path(LTE, WAN));
}

// req: M3.8-3
#[test]
fn a_probe_from_another_address_moves_nothing_and_is_answered_where_it_came_from() {
    let mut pair = Pair::new(7).established();
    let other = Pair::path(LTE, WAN2);
    let generation = pair.probe(CLIENT, Some(other));
    pair.settle();
    assert_eq!(pair.client().checked(), [(other, generation)]);
    moved_together(&pair, Pair::path(WIFI, WAN));
    assert_eq!(pair.gateway().peer_moves(), []);
}

// req: D6.2-1
#[test]
fn a_probe_of_a_dead_path_ends_on_the_current_one_and_says_that_the_path_is_silent() {
    let mut pair = Pair::new(8).established();
    pair.net.unplug(LTE);
    pair.probe(CLIENT, Some(Pair::path(LTE, WAN)));
    pair.run_for(secs(10));
    assert_eq!(pair.client().checked(), []);
    assert_eq!(pair.client().silences(), [(Pair::path(LTE, WAN), 3)]);
    assert_eq!(pair.client().alive().len(), 1);
    let generation = pair.probe(CLIENT, None);
    pair.settle();
    assert_eq!(pair.client().checked(), [(Pair::path(WIFI, WAN), generation)]);
}

// req: M3.6-1, M3.6-5
#[test]
fn a_list_replaces_the_whole_list_before() {
    let mut pair = Pair::new(9).established();
    pair.announce(CLIENT, &[WIFI, LTE, ip("2001:db8::1")], None);
    pair.settle();
    pair.order_move_with(Pair::path(LTE, WAN), Some(&[WIFI, LTE]));
    pair.settle();
    pair.announce(CLIENT, &[LTE], None);
    pair.settle();
    let none: &[core::net::IpAddr] = &[];
    assert_eq!(pair.gateway().peer_lists(), [&[LTE, ip("2001:db8::1")][..], &[WIFI], none]);
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    pair.settle();
    assert_eq!(pair.client().peer_lists(), [&[WAN2]]);
}

// req: M3.5-9, D5.2-1
#[test]
fn moving_behind_a_nat_and_out_again_is_seen() {
    let inside = ip("10.0.0.7");
    let mut pair = Pair::new(10).established();
    pair.net.nats.push(Nat::new(ip("192.0.2.99"), &[inside]));
    pair.hosts[CLIENT.0].addresses.push(("lan", inside));
    pair.order_move(Pair::path(inside, WAN));
    pair.settle();
    assert!(pair.client().moved_nat().unwrap().we_are_behind);
    assert!(pair.gateway().peer_move_nat().unwrap().peer_is_behind);
    assert_eq!(pair.gateway().path().remote.ip(), ip("192.0.2.99"));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert!(!pair.client().moved_nat().unwrap().any() && !pair.gateway().peer_move_nat().unwrap().any());
}

#[test]
fn a_responder_does_not_move_the_ike_sa() {
    let mut pair = Pair::new(11).established();
    let sa = pair.gateway().sa();
    let path = Pair::path(LTE, WAN).reversed();
    pair.order(GATEWAY, Command::Move { sa, path, generation: Generation(1), addresses: None });
    pair.settle();
    assert_eq!(pair.gateway().refused(), [(path, Generation(1))]);
    moved_together(&pair, Pair::path(WIFI, WAN));
}

// req: M3.11-1
#[test]
fn a_dead_peer_is_given_up_by_the_client_in_two_minutes_and_by_the_gateway_in_five() {
    let mut pair = Pair::new(12)
        .client_profile(|profile| profile.liveness = secs(30))
        .gateway_profile(|profile| profile.liveness = secs(30))
        .established();
    let since = pair.now;
    pair.net.unplug(WIFI);
    pair.run_for(secs(200));
    let [(_, DownReason::PeerSilent(_))] = pair.client().downs()[..] else { panic!("{:?}", pair.client().downs()) };
    assert_eq!(pair.gateway().downs(), []);
    pair.run_for(secs(200));
    let [(_, DownReason::PeerSilent(span))] = pair.gateway().downs()[..] else { panic!("the gateway keeps trying") };
    assert!(span >= secs(300), "{span:?} {since:?}");
    assert_eq!(pair.gateway().engine.population().child_sas, 0);
}

#[test]
fn liveness_asks_only_a_silent_peer() {
    let mut pair = Pair::new(13).client_profile(|profile| profile.liveness = secs(30)).established();
    pair.run_for(secs(100));
    assert_eq!(pair.said(|told| told.asks(INFORMATIONAL)).count(), 3);
    assert_eq!(pair.client().alive().len(), 1);
}

#[test]
fn closing_tells_the_peer_and_leaves_nothing_at_either_end() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(14).established();
        pair.close(who);
        pair.settle();
        let other = if who == CLIENT { GATEWAY } else { CLIENT };
        assert!(matches!(pair.host(who).downs()[..], [(_, DownReason::Ordered(_))]));
        assert!(matches!(pair.host(other).downs()[..], [(_, DownReason::PeerDeleted)]));
        for host in [pair.client(), pair.gateway()] {
            assert_eq!(host.engine.population(), mobike_ike::engine::Population::default());
            assert!(host.live_children().is_empty());
        }
    }
}

#[test]
fn a_closed_child_is_gone_at_both_ends_and_the_ike_sa_lives() {
    let mut pair = Pair::new(15).established();
    let child = pair.client().live_children()[0];
    pair.order(CLIENT, Command::CloseChild { child });
    pair.settle();
    assert!(pair.client().live_children().is_empty() && pair.gateway().live_children().is_empty());
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    assert_eq!(pair.gateway().engine.population().child_sas, 0);
}

#[test]
fn an_order_for_an_sa_that_is_gone_does_nothing() {
    let mut pair = Pair::new(16).established();
    let sa = pair.close(CLIENT);
    pair.settle();
    let path = Pair::path(LTE, WAN);
    pair.order(CLIENT, Command::Move { sa, path, generation: Generation(1), addresses: None });
    assert_eq!(pair.client().count("stale_commands"), 1);
}

#[test]
fn octets_of_anybody_change_nothing() {
    // every message of an established pair once more, with one bit flipped or cut short, from a stranger's address
    let mut pair = Pair::new(17).established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    let heard: Vec<Vec<u8>> = pair.said(|_| true).map(|told| told.bytes.clone()).collect();
    let events = (pair.client().trace().len(), pair.gateway().trace().len());
    let from = |port: u16| SocketAddr::from(([100, 64, 0, 1], port));
    for bytes in &heard {
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let path = Path { local: SocketAddr::new(WAN, 4500), remote: from(4500) };
            pair.inject(GATEWAY, path, &flipped);
            pair.inject(GATEWAY, path, &bytes[..at]);
            let path = Path { local: SocketAddr::new(LTE, 4500), remote: from(4500) };
            pair.inject(CLIENT, path, &flipped);
            pair.inject(CLIENT, path, &bytes[..at]);
        }
    }
    let quiet = |host: &stage::Host, before: usize| {
        host.trace()[before..].iter().filter(|line| !line.contains("Notice")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(quiet(pair.client(), events.0), Vec::<String>::new());
    assert_eq!(quiet(pair.gateway(), events.1), Vec::<String>::new());
    moved_together(&pair, Pair::path(LTE, WAN));
    pair.run_for(secs(40));
    assert_eq!(pair.gateway().engine.population().half_open, 0);
}
