//! Stories of message ids: what is answered again, what waits, what is too old or too new.

use crate::stage;

use mobike_ike::crypto::Role;
use stage::{CLIENT, ExchangeType, Fate, Forged, GATEWAY, LTE, NotifyType, Outcome, Pair, WAN, WIFI, Which, ms, secs};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;

// req: M-W
#[test]
fn a_repeated_request_is_answered_from_the_cache_to_where_this_copy_came_from() {
    let mut pair = Pair::new(1).established();
    pair.probe(CLIENT, None);
    pair.settle();
    let request = pair.requests_of(CLIENT)[0].bytes.clone();
    let first = pair.said(|told| told.answers(INFO)).next().map(|told| told.bytes.clone());
    let elsewhere = Pair::path(LTE, WAN);
    // the same request again, from lte -->
    pair.replay(elsewhere.local, elsewhere.remote, &request);
    pair.settle();
    let again = pair.said(|told| told.answers(INFO)).last().map(|told| (told.path, told.bytes.clone()));
    assert_eq!(again, first.map(|bytes| (elsewhere.reversed(), bytes)));
    assert_eq!(pair.gateway().count("repeats_answered"), 1);
    assert_eq!(pair.client().count("dropped_unasked_answer"), 1, "the client has what it asked for");
    assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN).reversed());
}

#[test]
fn a_late_copy_of_an_answer_is_ignored() {
    let mut pair = Pair::new(1).established();
    pair.net.plan(Which::of(GATEWAY).answer(INFO), Fate::Twice(secs(3)));
    pair.probe(CLIENT, None);
    pair.settle();
    assert_eq!((pair.client().checked().len(), pair.client().count("dropped_unasked_answer")), (1, 1));
}

#[test]
fn an_answer_to_an_older_request_does_not_settle_a_newer_one() {
    // request 2 -->  <-- answer 2 (late, once more)   request 3 --> (lost)
    let mut pair = Pair::new(1).established();
    pair.net.plan(Which::of(GATEWAY).answer(INFO), Fate::Twice(ms(100)));
    pair.probe(CLIENT, None);
    pair.run_for(ms(30));
    pair.net.lose(Which::of(CLIENT).request(INFO).id(3).times(2));
    pair.probe(CLIENT, None);
    pair.run_for(ms(200));
    assert_eq!(pair.client().checked().len(), 1);
    pair.settle();
    assert_eq!(pair.client().checked().len(), 2);
}

// req: M-W, D6.2-1
#[test]
fn requests_wait_for_the_window_and_leave_in_order() {
    let mut pair = Pair::new(1).established();
    let ordered: Vec<_> = (0..5).map(|_| pair.probe(CLIENT, None)).collect();
    assert_eq!(pair.requests_of(CLIENT).len(), 1);
    pair.settle();
    let answered: Vec<_> = pair.client().checked().into_iter().map(|(_, generation)| generation).collect();
    assert_eq!(answered, ordered);
    let ids: Vec<_> =
        pair.requests_of(CLIENT).iter().filter_map(|told| told.header()).map(|header| header.message_id).collect();
    assert_eq!(ids, [2, 3, 4, 5, 6]);
}

#[test]
fn only_so_many_requests_wait_for_a_silent_peer() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    for _ in 0..20 {
        pair.probe(CLIENT, None);
    }
    assert_eq!(pair.client().count("commands_refused"), 3, "one is out and sixteen wait");
    assert!(!pair.client().notices().is_empty());
}

#[test]
fn both_ends_may_ask_at_the_same_time() {
    let mut pair = Pair::new(1).established();
    pair.probe(CLIENT, None);
    pair.probe(GATEWAY, None);
    pair.settle();
    assert_eq!((pair.client().checked().len(), pair.gateway().checked().len()), (1, 1));
    assert_eq!(pair.told.len(), 8);
}

#[test]
fn a_request_too_old_or_too_new_gets_no_answer() {
    let mut pair = Pair::new(1).established();
    pair.probe(CLIENT, None);
    pair.probe(CLIENT, None);
    pair.settle();
    let old = pair.requests_of(CLIENT)[0].bytes.clone();
    let new = pair.forge(Forged { sender: Role::Initiator, exchange: INFO, id: 5, response: false }, &[]);
    let said = pair.told.len();
    for bytes in [old, new] {
        pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    }
    assert_eq!((pair.gateway().count("dropped_outside_window"), pair.told.len()), (2, said));
}

#[test]
fn answers_are_remembered_for_minutes_and_then_forgotten() {
    let mut pair = Pair::new(1).established();
    pair.probe(CLIENT, None);
    pair.settle();
    let request = pair.requests_of(CLIENT)[0].bytes.clone();
    let back = Pair::path(WIFI, WAN).reversed();
    pair.run_for(secs(100));
    pair.inject(GATEWAY, back, &request);
    assert_eq!(pair.gateway().count("repeats_answered"), 1);
    pair.run_for(secs(400));
    pair.inject(GATEWAY, back, &request);
    assert_eq!(pair.gateway().count("dropped_forgotten_repeat"), 1);
    assert_eq!(pair.gateway().count("repeats_answered"), 1);
}

#[test]
fn an_unknown_exchange_is_answered_so_that_the_window_moves_on() {
    let mut pair = Pair::new(1).established();
    let strange = Forged { sender: Role::Initiator, exchange: ExchangeType(77), id: 2, response: false };
    let bytes = pair.forge(strange, &[]);
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    assert_eq!(pair.gateway().count("unknown_requests"), 1);
    let answer = pair.told.last().and_then(|told| told.header());
    assert!(answer.is_some_and(|header| header.flags.response && header.message_id == 2));
}

#[test]
fn a_request_for_a_child_sa_without_a_word_is_refused_and_the_ike_sa_lives() {
    let mut pair = Pair::new(1).established();
    let rekey = Forged { sender: Role::Initiator, exchange: ExchangeType::CREATE_CHILD_SA, id: 2, response: false };
    let bytes = pair.forge(rekey, &[]);
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    assert!(pair.told.last().is_some_and(|told| told.carries(NotifyType::INVALID_SYNTAX)));
    assert_eq!(pair.gateway().alive().len(), 1);
}

#[test]
fn a_fragment_is_dropped_since_nobody_agreed_to_them() {
    let mut pair = Pair::new(1).established();
    let mut bytes = pair.forge(Forged { sender: Role::Initiator, exchange: INFO, id: 2, response: false }, &[]);
    bytes[16] = 53;
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    let dropped = pair.gateway().count("dropped_fragment") + pair.gateway().count("dropped_malformed");
    assert_eq!(dropped, 1);
}

#[test]
fn what_the_network_loses_is_told_as_lost() {
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(CLIENT).request(INFO));
    pair.probe(CLIENT, None);
    pair.settle();
    assert_eq!(pair.requests_of(CLIENT)[0].outcome, Outcome::Lost("story"));
    assert_eq!(pair.requests_of(CLIENT)[1].copies_before, 1);
}
