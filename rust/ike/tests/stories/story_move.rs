//! Stories of moving: RFC 4555 section 3.5, with every message lost, late, doubled or overtaken.

use crate::stage;

use mobike_ike::crypto::Role;
use mobike_ike::wire::Payload;
use stage::{
    CLIENT, Command, ExchangeType, Fate, Forged, GATEWAY, Generation, LTE, NotifyType, Pair, WAN, WAN2, WIFI, Which,
    ip, ms, secs,
};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;
const UPDATE: NotifyType = NotifyType::UPDATE_SA_ADDRESSES;

/// Both ends agree where the IKE SA is, and nothing was lost on the way there.
#[track_caller]
fn agree(pair: &Pair, local: core::net::IpAddr, remote: core::net::IpAddr) {
    let path = Pair::path(local, remote);
    assert_eq!(pair.client().path(), path, "client");
    assert_eq!(pair.gateway().path(), path.reversed(), "gateway");
    for host in &pair.hosts {
        assert_eq!((host.alive().len(), host.live_children().len()), (1, 1), "{}", host.name);
        assert!(host.child_downs().is_empty(), "{}: the Child SAs live through it", host.name);
    }
}

// req: M3.5-3, M3.5-7, D5.3-1
#[test]
fn the_gateway_follows_the_client_to_its_other_uplink() {
    // INFORMATIONAL { N(UPDATE_SA_ADDRESSES), N(NATD).. } from lte -->  <-- answer
    //                                              <-- INFORMATIONAL { N(COOKIE2), .. }   answer -->
    let mut pair = Pair::new(1).established();
    let generation = pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    agree(&pair, LTE, WAN);
    assert_eq!(pair.client().moved(), [(Pair::path(LTE, WAN), generation)]);
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)]);
    assert_eq!(pair.told.len(), 8);
    assert!(pair.requests_of(CLIENT)[0].carries(UPDATE));
    assert!(pair.requests_of(CLIENT)[0].carries(NotifyType::NAT_DETECTION_SOURCE_IP));
}

// req: M3.5-3
#[test]
fn the_update_leaves_in_the_same_instant_as_the_order() {
    let mut pair = Pair::new(1).established();
    let now = pair.now;
    pair.order_move(Pair::path(LTE, WAN));
    assert_eq!(pair.requests_of(CLIENT).first().map(|told| told.at), Some(now));
}

// req: D3-2
#[test]
fn the_client_may_move_to_the_gateways_other_address() {
    let mut pair = Pair::new(1).established();
    pair.order_move(Pair::path(WIFI, WAN2));
    pair.settle();
    agree(&pair, WIFI, WAN2);
}

// req: D3-2
#[test]
fn from_ipv4_to_ipv6_and_back() {
    let mut pair = Pair::new(1).established();
    let (mine, theirs) = (ip("2001:db8:1::1"), ip("2001:db8:2::1"));
    pair.hosts[CLIENT.0].addresses.push(("wifi6", mine));
    pair.hosts[GATEWAY.0].addresses.push(("wan6", theirs));
    pair.order_move(Pair::path(mine, theirs));
    pair.settle();
    agree(&pair, mine, theirs);
    assert!(pair.client().moved_nat().is_some_and(|nat| !nat.any()));
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    agree(&pair, WIFI, WAN);
}

// req: D3-1
#[test]
fn break_before_make_the_old_uplink_is_gone_when_the_move_is_ordered() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WIFI);
    pair.run_for(secs(5));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    agree(&pair, LTE, WAN);
}

// req: M-W
#[test]
fn each_lost_message_of_a_move_is_made_good() {
    let every = [
        Which::of(CLIENT).request(INFO).carrying(UPDATE),
        Which::of(GATEWAY).answer(INFO),
        Which::of(GATEWAY).request(INFO).carrying(NotifyType::COOKIE2),
        Which::of(CLIENT).answer(INFO).carrying(NotifyType::COOKIE2),
    ];
    for (index, which) in every.into_iter().enumerate() {
        let mut pair = Pair::new(1).established();
        pair.net.lose(which);
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        agree(&pair, LTE, WAN);
        let again = pair.client().count("retransmissions") + pair.gateway().count("retransmissions");
        assert_eq!(again, 1, "message {index}");
        assert_eq!((pair.client().moved().len(), pair.gateway().peer_moves().len()), (1, 1), "message {index}");
        assert_eq!(pair.gateway().count("updates_taken"), 1, "message {index}");
        assert!(pair.said(|told| told.from == CLIENT && told.asks(INFO)).all(|told| told.path.local.ip() == LTE));
    }
}

// req: M-W
#[test]
fn duplicates_of_every_message_of_a_move_change_nothing() {
    for later in [ms(1), ms(15), ms(600), secs(4)] {
        let mut pair = Pair::new(1).established();
        pair.net.plan(Which::of(CLIENT).always(), Fate::Twice(later));
        pair.net.plan(Which::of(GATEWAY).always(), Fate::Twice(later));
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        agree(&pair, LTE, WAN);
        assert_eq!((pair.client().moved().len(), pair.gateway().peer_moves().len()), (1, 1));
    }
}

// req: M-W
#[test]
fn a_late_answer_counts_once() {
    let mut pair = Pair::new(1).established();
    pair.net.plan(Which::of(GATEWAY).answer(INFO), Fate::Late(secs(2)));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    agree(&pair, LTE, WAN);
    assert_eq!(pair.client().moved().len(), 1);
    assert_eq!(pair.client().count("dropped_unasked_answer"), 1);
}

// req: M3.5-4, M3.7-4
#[test]
fn a_second_move_while_the_first_waits_makes_the_first_answer_mean_nothing() {
    // N(UPDATE) from lte -->  (lost)   the same octets from wifi to wan2 -->  <-- answer   a fresh N(UPDATE) -->
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(CLIENT).request(INFO).leaving(LTE).always());
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    let second = pair.order_move(Pair::path(WIFI, WAN2));
    pair.settle();
    agree(&pair, WIFI, WAN2);
    assert_eq!(pair.client().moved(), [(Pair::path(WIFI, WAN2), second)]);
    assert_eq!(pair.client().count("moves_overtaken"), 1);
    let updates = pair.requests_of(CLIENT);
    assert_eq!(updates.len(), 3);
    assert_eq!(updates[0].bytes, updates[1].bytes);
    assert_ne!(updates[1].bytes, updates[2].bytes);
}

// req: M3.5-4
#[test]
fn the_answer_to_the_older_update_may_arrive_after_the_newer_decision() {
    let mut pair = Pair::new(1).established();
    pair.net.set_latency(GATEWAY, ms(200));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    // the answer to the first update is in the air
    let second = pair.order_move(Pair::path(LTE, WAN2));
    pair.settle();
    agree(&pair, LTE, WAN2);
    assert_eq!(pair.client().moved(), [(Pair::path(LTE, WAN2), second)]);
}

// req: M3.5-4
#[test]
fn back_to_where_it_was_before_the_first_answer_came() {
    let mut pair = Pair::new(1).established();
    pair.order_move(Pair::path(LTE, WAN));
    let back = pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    agree(&pair, WIFI, WAN);
    assert_eq!(pair.client().moved(), [(Pair::path(WIFI, WAN), back)]);
}

// req: M3.7-4
#[test]
fn there_and_back_and_there_again_still_asks_anew() {
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(GATEWAY).answer(INFO).times(2));
    pair.order_move(Pair::path(LTE, WAN));
    pair.order_move(Pair::path(WIFI, WAN));
    let last = pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    agree(&pair, LTE, WAN);
    assert_eq!(pair.client().moved(), [(Pair::path(LTE, WAN), last)]);
}

// req: D3-3
#[test]
fn a_flapping_link_ends_where_the_last_order_says_without_a_storm() {
    let mut pair = Pair::new(1).established();
    for flap in 0..21 {
        pair.order_move(Pair::path(if flap % 2 == 0 { LTE } else { WIFI }, WAN));
        pair.run_for(ms(3));
    }
    pair.settle();
    agree(&pair, LTE, WAN);
    assert_eq!(pair.client().moved().last().map(|moved| moved.1), Some(Generation(21)));
    assert!(pair.told.len() < 150, "{} messages", pair.told.len());
}

// req: M3.5-5
#[test]
fn an_old_update_that_turns_up_again_changes_nothing() {
    let mut pair = Pair::new(1).established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    let updates: Vec<_> = pair.requests_of(CLIENT).iter().map(|told| told.bytes.clone()).collect();
    assert_eq!(updates.len(), 2);
    let moves = pair.gateway().peer_moves();
    // both updates once more, from lte -->
    for bytes in &updates {
        let from = Pair::path(LTE, WAN);
        pair.replay(from.local, from.remote, bytes);
        pair.settle();
    }
    assert_eq!(pair.gateway().peer_moves(), moves);
    agree(&pair, WIFI, WAN);
    let gateway = pair.gateway();
    assert_eq!((gateway.count("dropped_outside_window"), gateway.count("repeats_answered")), (1, 1));
    assert_eq!(gateway.count("updates_taken"), 2);
    // where its requests go is unchanged, too
    pair.probe(GATEWAY, None);
    assert_eq!(pair.told.last().map(|told| told.path.remote.ip()), Some(WIFI));
}

// req: M3.5-3, M3.7-4
#[test]
fn an_unanswered_request_goes_on_from_the_new_path_with_the_same_octets() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WIFI);
    pair.probe(CLIENT, None);
    pair.run_for(ms(100));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    agree(&pair, LTE, WAN);
    let requests = pair.requests_of(CLIENT);
    assert_eq!(requests.len(), 3);
    assert_eq!((requests[0].path.local.ip(), requests[1].path.local.ip()), (WIFI, LTE));
    assert_eq!(requests[0].bytes, requests[1].bytes);
    assert!(requests[2].carries(UPDATE));
    assert!(pair.client().checked().is_empty(), "it went over two paths and proves neither");
}

// req: M3.5-7
#[test]
fn what_the_gateway_still_asks_follows_the_client() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WIFI);
    pair.probe(GATEWAY, None);
    pair.run_for(ms(100));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    agree(&pair, LTE, WAN);
    let requests = pair.requests_of(GATEWAY);
    assert_eq!(requests[0].bytes, requests[1].bytes);
    assert_eq!((requests[0].path.remote.ip(), requests[1].path.remote.ip()), (WIFI, LTE));
    assert_eq!(pair.gateway().peer_moves().len(), 1);
}

#[test]
fn a_move_in_the_instant_of_establishment() {
    let mut pair = Pair::new(1);
    pair.connect_over(&[(WIFI, WAN)]);
    assert!(pair.run_until(secs(5), |world| !world.host(CLIENT).ups().is_empty()));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    agree(&pair, LTE, WAN);
}

#[test]
fn a_move_while_copies_of_ike_auth_are_still_about() {
    let mut pair = Pair::new(1);
    pair.net.plan(Which::of(CLIENT).request(ExchangeType::IKE_AUTH), Fate::Twice(ms(70)));
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(45));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    agree(&pair, LTE, WAN);
}

#[test]
fn an_update_nobody_answers_is_reported_and_another_path_saves_the_ike_sa() {
    let mut pair = Pair::new(1).established();
    pair.net.blackhole_both(LTE, WAN);
    let first = pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(secs(10));
    let silences = pair.client().silences();
    assert!(silences.len() >= 2 && silences.iter().all(|(path, _)| *path == Pair::path(LTE, WAN)));
    assert!(pair.client().moved().is_empty());
    let second = pair.order_move(Pair::path(LTE, WAN2));
    pair.settle();
    agree(&pair, LTE, WAN2);
    assert_ne!(first, second);
    assert_eq!(pair.client().moved(), [(Pair::path(LTE, WAN2), second)]);
}

// req: M3.5-8
#[test]
fn unacceptable_addresses_is_never_taken_for_success() {
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(GATEWAY).answer(INFO).always());
    let generation = pair.order_move(Pair::path(LTE, WAN));
    let refusal = Forged { sender: Role::Responder, exchange: INFO, id: 2, response: true };
    let bytes = pair.forge(refusal, &[Payload::notify(NotifyType::UNACCEPTABLE_ADDRESSES, &[])]);
    pair.inject(CLIENT, Pair::path(LTE, WAN), &bytes);
    assert_eq!(pair.client().refused(), [(Pair::path(LTE, WAN), generation)]);
    assert!(pair.client().moved().is_empty());
    // the next pair is tried as if nothing had happened
    pair.net.no_more_plans();
    let next = pair.order_move(Pair::path(LTE, WAN2));
    pair.settle();
    assert_eq!(pair.client().moved(), [(Pair::path(LTE, WAN2), next)]);
}

// req: M3.8-3, M3.10-1
#[test]
fn a_probe_from_elsewhere_is_answered_and_moves_nothing() {
    let mut pair = Pair::new(1).established();
    let generation = pair.probe(CLIENT, Some(Pair::path(LTE, WAN2)));
    pair.settle();
    assert_eq!(pair.client().checked(), [(Pair::path(LTE, WAN2), generation)]);
    agree(&pair, WIFI, WAN);
    assert!(pair.gateway().peer_moves().is_empty());
    pair.probe(GATEWAY, None);
    assert_eq!(pair.told.last().map(|told| told.path), Some(Pair::path(WIFI, WAN).reversed()));
}

// req: D6.2-1
#[test]
fn a_probe_of_a_dead_path_goes_home_after_a_while_and_proves_nothing() {
    let mut pair = Pair::new(1).established();
    pair.net.blackhole_both(LTE, WAN);
    pair.probe(CLIENT, Some(Pair::path(LTE, WAN)));
    pair.settle();
    assert!(pair.client().checked().is_empty());
    assert_eq!(pair.client().silences(), [(Pair::path(LTE, WAN), 3)], "the dead path is named");
    let tries = pair.requests_of(CLIENT);
    assert_eq!(tries.last().map(|told| told.path), Some(Pair::path(WIFI, WAN)));
    assert!(tries.iter().all(|told| told.bytes == tries[0].bytes));
    assert!(tries.len() <= 4);
    agree(&pair, WIFI, WAN);
}

// req: D6.2-1
#[test]
fn a_move_does_not_wait_for_a_probe_that_hangs() {
    let mut pair = Pair::new(1).established();
    pair.net.blackhole_both(LTE, WAN);
    pair.probe(CLIENT, Some(Pair::path(LTE, WAN)));
    pair.run_for(ms(50));
    let begun = pair.now;
    pair.order_move(Pair::path(WIFI, WAN2));
    assert!(pair.run_until(ms(100), |world| !world.host(CLIENT).moved().is_empty()));
    assert!(pair.now.since(begun) <= ms(50));
}

// req: M3.5-7
#[test]
fn only_the_initiator_moves_the_ike_sa() {
    let mut pair = Pair::new(1).established();
    let (sa, path, generation) = (pair.gateway().sa(), Pair::path(WIFI, WAN2).reversed(), Generation(9));
    pair.order(GATEWAY, Command::Move { sa, path, generation, addresses: None });
    assert_eq!(pair.gateway().refused(), [(path, generation)]);
    // INFORMATIONAL { N(UPDATE_SA_ADDRESSES) } by the responder from wan2: answered, not obeyed
    let update = Forged { sender: Role::Responder, exchange: INFO, id: 0, response: false };
    let bytes = pair.forge(update, &[Payload::notify(UPDATE, &[])]);
    pair.inject(CLIENT, Pair::path(WIFI, WAN2), &bytes);
    assert_eq!(pair.client().count("updates_unexpected"), 1);
    assert!(pair.told.last().is_some_and(|told| told.answers(INFO) && told.path == Pair::path(WIFI, WAN2)));
    agree(&pair, WIFI, WAN);
}

#[test]
fn closing_in_the_middle_of_a_move_closes() {
    let mut pair = Pair::new(1).established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.close(CLIENT);
    pair.settle();
    pair.run_for(secs(20));
    for host in &pair.hosts {
        assert_eq!((host.downs().len(), host.engine.population().ike_sas), (1, 0), "{}", host.name);
    }
}

#[test]
fn the_gateway_closing_while_the_client_moves_is_heard_on_the_new_path() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WIFI);
    pair.close(GATEWAY);
    pair.run_for(ms(300));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(secs(30));
    assert_eq!(pair.client().downs().len(), 1);
    assert_eq!(pair.gateway().engine.population().ike_sas, 0);
}

#[test]
fn many_moves_one_after_the_other_leave_no_trace_but_the_last() {
    let mut pair = Pair::new(1).established();
    let places = [(LTE, WAN), (LTE, WAN2), (WIFI, WAN2), (WIFI, WAN)];
    for round in 0..40 {
        let (local, remote) = places[round % 4];
        pair.order_move(Pair::path(local, remote));
        pair.settle();
        agree(&pair, local, remote);
    }
    assert_eq!(pair.client().moved().len(), 40);
    assert_eq!(pair.gateway().count("cookie2_passed"), 40);
    assert_eq!(pair.client().count("retransmissions"), 0);
}

#[test]
fn an_order_older_than_one_obeyed_is_counted_and_does_nothing() {
    let mut pair = Pair::new(1).established();
    let sa = pair.client().sa();
    let older = pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.settle();
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    pair.settle();
    let said = pair.told.len();
    pair.order(CLIENT, Command::Move { sa, path: Pair::path(WIFI, WAN), generation: older, addresses: None });
    pair.order(CLIENT, Command::Probe { sa, path: None, generation: older });
    pair.order(CLIENT, Command::Announce { sa, addresses: [WIFI].into(), path: None, generation: older });
    let gateways = pair.gateway().sa();
    pair.order(GATEWAY, Command::Announce { sa: gateways, addresses: [WAN2].into(), path: None, generation: older });
    pair.settle();
    agree(&pair, LTE, WAN);
    assert_eq!((pair.told.len(), pair.client().count("stale_commands")), (said, 3));
    assert_eq!(pair.gateway().count("stale_commands"), 1);
}
