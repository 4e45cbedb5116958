//! Stories of windows wider than one: SET_WINDOW_SIZE, and what arrives out of order then.

use crate::stage;

use stage::{CLIENT, ExchangeType, Fate, GATEWAY, HostId, LTE, NotifyType, Pair, WAN, WAN2, WIFI, Which, ms, secs};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;

/// Both ends serve four requests at a time.
fn wide() -> Pair {
    let four = |profile: &mut stage::Profile| profile.window = 4;
    let mut pair = Pair::new(1).client_profile(four).gateway_profile(four);
    pair.allow_window(4);
    pair.established()
}

fn unanswered(pair: &Pair, who: HostId) -> usize {
    pair.requests_of(who).len()
}

// req: M-W
#[test]
fn both_ends_say_how_wide_their_window_is_and_use_the_peers() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = wide();
        for _ in 0..6 {
            pair.probe(who, None);
        }
        assert_eq!(unanswered(&pair, who), 4);
        pair.settle();
        assert_eq!(pair.host(who).checked().len(), 6);
    }
    let pair = Pair::new(1).established();
    assert!(pair.said(|told| told.carries(NotifyType::SET_WINDOW_SIZE)).next().is_none(), "one goes without saying");
}

// req: M-W, M3.5-5
#[test]
fn an_older_update_that_arrives_after_a_newer_one_gets_a_normal_answer_and_changes_nothing() {
    // N(UPDATE..) 2 from lte (late) -->   N(UPDATE..) 3 to wan2 -->   2 arrives
    let mut pair = wide();
    pair.net.plan(Which::of(CLIENT).request(INFO).id(2), Fate::Late(ms(300)));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(5));
    pair.net.lose(Which::of(CLIENT).request(INFO).id(2));
    let newest = pair.order_move(Pair::path(WIFI, WAN2));
    pair.run_for(ms(200));
    assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN2).reversed());
    pair.run_for(secs(5));
    assert_eq!(pair.gateway().count("updates_stale"), 1);
    assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN2).reversed());
    assert_eq!(pair.gateway().peer_moves().len(), 1);
    let answered = pair.said(|told| told.from == GATEWAY && told.answers(INFO));
    let answer = answered.into_iter().find(|told| told.header().is_some_and(|header| header.message_id == 2));
    assert!(answer.is_some_and(|told| told.carries(NotifyType::NAT_DETECTION_SOURCE_IP)), "as any update");
    assert_eq!(pair.client().moved(), [(Pair::path(WIFI, WAN2), newest)]);
}

// req: M-W, M3.6-2, D6.4-1
#[test]
fn an_older_list_that_arrives_after_a_newer_one_is_answered_and_ignored() {
    let mut pair = wide();
    pair.net.plan(Which::of(CLIENT).request(INFO).id(2), Fate::Late(ms(300)));
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.announce(CLIENT, &[WIFI], None);
    pair.run_for(ms(450));
    let none: &[core::net::IpAddr] = &[];
    assert_eq!(pair.gateway().peer_lists(), [none]);
    let answers = pair.said(|told| told.from == GATEWAY && told.answers(INFO)).count();
    assert_eq!(answers, 2);
}

// req: D6.2-1
#[test]
fn a_probe_into_the_void_holds_up_no_update() {
    let mut pair = wide();
    pair.net.unplug(LTE);
    pair.probe(CLIENT, Some(Pair::path(LTE, WAN)));
    pair.order_move(Pair::path(WIFI, WAN2));
    pair.run_for(ms(100));
    assert_eq!(pair.client().moved().len(), 1);
}
