//! Stories of ESP that comes from where nobody expects it: a NAT that forgot, a thief, a gateway that missed an update.

use crate::stage;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use mobike_ike::wire::Payload;
use mobike_ike::{Prefix, Traffic};
use stage::{
    CLIENT, ExchangeType, Fate, Forged, GATEWAY, LTE, Nat, NotifyType, Pair, Path, Role, WAN, WAN2, WIFI, Which, ip,
    ms, secs,
};

/// What others see of the client.
fn outside() -> IpAddr {
    ip("198.18.0.1")
}

fn behind_nat() -> Pair {
    let mut pair = Pair::new(1);
    pair.net.nats.push(Nat::new(outside(), &[WIFI, LTE]));
    let mut pair = pair.established();
    pair.run_for(secs(10));
    pair
}

fn stray(path: Path) -> Traffic {
    Traffic { elsewhere: Some(path), ..Traffic::default() }
}

/// The NAT forgets the client, whose next ESP packet reaches the gateway over this path.
fn rebind(pair: &mut Pair, inside: IpAddr) -> Path {
    let now = pair.now;
    pair.net.nats[0].flush();
    let seen = pair.net.nats[0].seen_as(now, SocketAddr::new(inside, 4500));
    Path::udp(SocketAddr::new(WAN, 4500), seen)
}

fn checks(pair: &Pair) -> usize {
    pair.requests_of(GATEWAY).iter().filter(|told| told.carries(NotifyType::COOKIE2)).count()
}

// req: M3.8-4
#[test]
fn a_gateway_follows_a_rebound_nat_once_the_client_has_proved_that_it_is_there() {
    let mut pair = behind_nat();
    let before = pair.gateway().path();
    let path = rebind(&mut pair, WIFI);
    pair.note(GATEWAY, stray(path));
    // HDR, SK { N(COOKIE2), N(NAT_DETECTION_*) } over the new path, and nothing has moved yet
    let asked = pair.requests_of(GATEWAY).into_iter().next_back().expect("a check").clone();
    assert_eq!(asked.path, path);
    assert!(asked.carries(NotifyType::COOKIE2) && asked.carries(NotifyType::NAT_DETECTION_DESTINATION_IP));
    assert_eq!(pair.gateway().path(), before);
    pair.settle();
    assert_eq!(pair.gateway().peer_moves(), [(path, true)]);
    assert!(pair.gateway().peer_move_nat().is_some_and(|nat| nat.peer_is_behind));
    assert_eq!(pair.client().count("updates_sent"), 0, "no update was needed");
    // What the gateway asks from now on arrives.
    pair.probe(GATEWAY, None);
    pair.run_for(ms(100));
    assert_eq!(pair.gateway().checked().len(), 1);
}

// req: M3.8-4
#[test]
fn the_client_begins_the_repair_too_when_its_test_tells_that_it_is_seen_elsewhere() {
    let mut pair = behind_nat();
    pair.run_for(secs(5));
    let path = rebind(&mut pair, WIFI);
    // Its data gets no echo; the test says why (section 3.8), and the control plane answers with an update.
    pair.note(CLIENT, Traffic { sent: true, ..Traffic::default() });
    pair.run_for(secs(1));
    assert_eq!(pair.client().nat_changes().len(), 1);
    assert!(pair.gateway().peer_moves().is_empty(), "the test itself moves nothing");
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    assert_eq!(pair.gateway().peer_moves(), [(path, true)]);
}

// req: M3.8-4, M3.8-3
#[test]
fn ike_from_a_new_source_is_a_test_and_moves_nothing() {
    let mut pair = behind_nat();
    rebind(&mut pair, WIFI);
    pair.probe(CLIENT, None);
    pair.probe(CLIENT, Some(Pair::path(LTE, WAN)));
    pair.settle();
    assert_eq!(pair.client().checked().len(), 2);
    assert_eq!((pair.gateway().peer_moves().len(), checks(&pair)), (0, 0));
}

// req: M3.8-4
#[test]
fn esp_that_a_thief_sends_on_from_elsewhere_moves_nothing_and_costs_little() {
    let mut pair = behind_nat();
    let before = pair.gateway().path();
    let thief = Path { remote: "203.0.113.66:4500".parse().expect("an address"), ..before };
    let said = pair.told.len();
    for _ in 0..6_000 {
        pair.note(GATEWAY, stray(thief));
        pair.run_for(ms(10));
    }
    pair.settle();
    assert!(pair.gateway().peer_moves().is_empty());
    assert_eq!(
        (pair.gateway().alive().len(), pair.client().alive().len()),
        (1, 1),
        "a check that fails closes nothing"
    );
    let copies = pair.said(|told| told.path == thief).count();
    assert!((1..=24).contains(&copies), "a minute of theft: {copies} packets to the thief");
    assert!(pair.told.len() - said < 80, "{}", pair.told.len() - said);
    pair.probe(GATEWAY, None);
    pair.run_for(ms(100));
    assert_eq!(pair.gateway().checked().len(), 1, "the window is open");
}

// req: M3.8-4
#[test]
fn a_source_that_flaps_is_followed_ever_more_rarely_and_a_quiet_one_at_once() {
    let mut pair = behind_nat();
    let follow = |pair: &mut Pair, every: Duration, times: usize| {
        let before = pair.gateway().peer_moves().len();
        for _ in 0..times {
            let path = rebind(pair, WIFI);
            pair.note(GATEWAY, stray(path));
            pair.run_for(every);
        }
        pair.gateway().peer_moves().len() - before
    };
    assert_eq!(follow(&mut pair, secs(150), 5), 5);
    let flapping = follow(&mut pair, secs(2), 40);
    assert!((4..=8).contains(&flapping), "{flapping} in 80 seconds");
    pair.run_for(secs(150));
    assert_eq!(follow(&mut pair, secs(150), 1), 1);
    assert!(checks(&pair) <= 5 + 8 + 1);
}

// req: M3.8-4, M3.5-6
#[test]
fn an_address_that_policy_forbids_is_neither_asked_nor_adopted() {
    let mut pair = Pair::new(1)
        .gateway_profile(|profile| profile.paths.remote = vec![Prefix::new(outside(), 32), Prefix::new(WIFI, 24)]);
    pair.net.nats.push(Nat::new(outside(), &[WIFI]));
    pair.net.nats.push(Nat::new(ip("198.18.0.9"), &[WIFI]));
    let mut pair = pair.established();
    pair.run_for(secs(10));
    pair.net.nats.remove(0);
    let other = Path { remote: "198.18.0.9:10000".parse().expect("an address"), ..pair.gateway().path() };
    pair.note(GATEWAY, stray(other));
    pair.settle();
    assert_eq!((pair.gateway().peer_moves().len(), checks(&pair)), (0, 0));
    assert!(pair.said(|told| told.path == other).next().is_none());
}

// req: M3.8-4
#[test]
fn only_what_a_nat_can_change_is_followed() {
    // A peer that is behind no NAT moves by UPDATE_SA_ADDRESSES only; nor does a NAT change where the packet went to.
    let mut open = Pair::new(1).established();
    open.run_for(secs(10));
    open.note(GATEWAY, stray(Pair::path(LTE, WAN).reversed()));
    let mut natted = behind_nat();
    let path = rebind(&mut natted, WIFI);
    natted.note(GATEWAY, stray(Path { local: SocketAddr::new(WAN2, 4500), ..path }));
    for mut pair in [open, natted] {
        pair.settle();
        assert_eq!((pair.gateway().peer_moves().len(), checks(&pair)), (0, 0));
    }
}

// req: M3.8-4, M3.12-1
#[test]
fn late_esp_of_the_path_before_an_update_does_not_bring_the_gateway_back() {
    let mut pair = behind_nat();
    let before = pair.gateway().path();
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(50));
    assert_eq!(pair.gateway().peer_moves().len(), 1);
    for _ in 0..20 {
        pair.note(GATEWAY, stray(before));
        pair.run_for(ms(100));
    }
    pair.settle();
    assert_eq!(pair.gateway().peer_moves().len(), 1);
    assert_eq!(checks(&pair), 1, "the check of the update alone");
}

// req: M3.8-4, M3.12-1
#[test]
fn a_nat_that_forgets_right_after_a_move_is_followed_at_once_and_two_moves_bring_nobody_back() {
    let mut pair = behind_nat();
    let first = pair.gateway().path();
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    let second = pair.gateway().path();
    pair.order_move(Pair::path(WIFI, WAN2));
    pair.run_for(ms(100));
    assert_eq!(pair.gateway().peer_moves().len(), 2);
    let local = pair.gateway().path().local;
    for late in [first, second] {
        pair.note(GATEWAY, stray(Path { local, ..late }));
        pair.note(GATEWAY, stray(late));
        pair.run_for(ms(100));
    }
    pair.settle();
    assert_eq!(pair.gateway().peer_moves().len(), 2, "late ESP of the paths before");
    let seen = rebind(&mut pair, WIFI).remote;
    let rebound = Path { remote: seen, ..pair.gateway().path() };
    pair.note(GATEWAY, stray(rebound));
    pair.run_for(ms(100));
    assert_eq!(pair.gateway().peer_moves().len(), 3);
    assert_eq!(pair.gateway().path().remote, seen);
}

// req: M3.8-4
#[test]
fn an_update_that_comes_meanwhile_wins() {
    let mut pair = behind_nat();
    let path = rebind(&mut pair, WIFI);
    pair.net.plan(Which::of(CLIENT).answer(ExchangeType::INFORMATIONAL), Fate::Late(ms(300)));
    pair.note(GATEWAY, stray(path));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    let after = pair.gateway().path();
    assert_ne!(after, path);
    assert_eq!(pair.gateway().peer_moves(), [(after, true)]);
}

// req: M3.8-4, M3.7-3
#[test]
fn a_wrong_cookie_from_where_the_esp_comes_closes_the_ike_sa() {
    let mut pair = behind_nat();
    let path = rebind(&mut pair, WIFI);
    pair.net.lose(Which::of(CLIENT).answer(ExchangeType::INFORMATIONAL));
    pair.note(GATEWAY, stray(path));
    let id = pair.requests_of(GATEWAY)[0].header().expect("a header").message_id;
    let wrong = Forged { sender: Role::Initiator, exchange: ExchangeType::INFORMATIONAL, id, response: true };
    let message = pair.forge(wrong, &[Payload::notify(NotifyType::COOKIE2, &[7; 16])]);
    pair.inject(GATEWAY, path, &message);
    assert!(pair.gateway().alive().is_empty());
}

// req: M3.8-4
#[test]
fn a_request_that_waits_on_the_dead_mapping_does_not_keep_the_repair_waiting() {
    let mut pair = behind_nat();
    let path = rebind(&mut pair, WIFI);
    pair.probe(GATEWAY, None);
    pair.run_for(ms(200));
    pair.note(GATEWAY, stray(path));
    pair.run_for(ms(200));
    assert_eq!(pair.gateway().peer_moves(), [(path, true)]);
    assert!(pair.gateway().checked().is_empty(), "an answer to what went over two paths proves neither");
}

// req: M3.8-4
#[test]
fn a_repair_whose_first_messages_are_lost_still_happens() {
    let mut pair = behind_nat();
    let path = rebind(&mut pair, WIFI);
    pair.net.lose(Which::of(GATEWAY).request(ExchangeType::INFORMATIONAL).times(4));
    for _ in 0..100 {
        pair.note(GATEWAY, stray(path));
        pair.run_for(ms(100));
    }
    assert_eq!(pair.gateway().peer_moves(), [(path, true)]);
}

// req: D5.5-3, M3.12-1
#[test]
fn a_client_that_gets_esp_from_elsewhere_tests_and_then_updates() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(60)).established();
    pair.run_for(secs(5));
    let elsewhere = stray(Pair::path(WIFI, WAN2));
    pair.note(CLIENT, elsewhere);
    pair.run_for(ms(100));
    let tests = pair.requests_of(CLIENT).len();
    assert_eq!((tests, pair.client().count("updates_sent")), (1, 0), "a test first");
    // The path works, so the gateway must have missed an update: it is told again, and nothing else moves.
    for _ in 0..50 {
        pair.note(CLIENT, elsewhere);
        pair.run_for(ms(100));
    }
    assert_eq!(pair.client().count("updates_sent"), 1);
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN));
    assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN).reversed());
}

// req: D5.5-3, M3.12-1
#[test]
fn esp_from_elsewhere_is_no_sign_of_life() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(60)).established();
    pair.run_for(secs(5));
    pair.net.unplug(WAN);
    for _ in 0..100 {
        pair.note(CLIENT, stray(Pair::path(WIFI, WAN2)));
        pair.run_for(ms(50));
    }
    assert!(!pair.client().silences().is_empty(), "the path in use is silent, whatever comes from elsewhere");
    assert_eq!(pair.client().count("updates_sent"), 0, "that is for the control plane to decide");
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN));
}
