//! Stories of what waits behind a silence: a peer that speaks again gets what it has not answered at once, and a Delete
//! does not wait for the next step of a back-off.

use crate::stage;

use mobike_ike::event::DownReason;
use mobike_ike::wire::Header;
use stage::{CLIENT, ExchangeType, GATEWAY, Nanos, Pair, Told, WAN, WIFI, Which, ms, secs};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;

/// The gateway tests its peer, which is silent for a minute: by then the test is repeated every half a minute or so.
fn unanswered(pair: Pair) -> Pair {
    let mut pair = pair.gateway_profile(|profile| profile.liveness = secs(10)).established();
    pair.net.unplug(WIFI);
    pair.run_for(secs(60));
    pair.net.plug(WIFI);
    assert!(pair.gateway().engine.poll_timeout().is_some_and(|due| due > pair.now + secs(2)), "it waits for long");
    pair
}

fn copies_since(pair: &Pair, since: Nanos) -> usize {
    pair.said(|told: &Told| told.from == GATEWAY && told.asks(INFO) && told.at >= since).count()
}

#[test]
fn who_speaks_again_gets_what_it_has_not_answered_at_once() {
    // <-- INFORMATIONAL { }     unanswered
    // INFORMATIONAL { }  -->    something new
    // <-- the answer, and the request again
    let mut pair = unanswered(Pair::new(1));
    let begin = pair.now;
    pair.probe(CLIENT, None);
    pair.run_for(ms(200));
    assert_eq!(copies_since(&pair, begin), 1);
    assert_eq!(pair.gateway().count("revived"), 1);
    pair.close(GATEWAY);
    pair.run_for(ms(200));
    assert_eq!(pair.client().downs()[0].1, DownReason::PeerDeleted, "its window was open");
}

#[test]
fn who_answers_one_request_gets_the_others_of_a_wide_window_at_once() {
    let mut pair = Pair::new(1).windows(4).established();
    pair.allow_window(4);
    pair.probe(GATEWAY, None);
    pair.settle();
    pair.net.unplug(WIFI);
    for _ in 0..3 {
        pair.probe(GATEWAY, None);
        pair.run_for(secs(3));
    }
    pair.run_for(secs(60));
    pair.net.plug(WIFI);
    let begin = pair.now;
    assert!(pair.run_until(secs(60), |world| world.host(GATEWAY).checked().len() == 2), "one has its turn");
    assert!(pair.now > begin + secs(1), "after some time");
    pair.run_for(ms(100));
    assert_eq!((pair.gateway().checked().len(), pair.gateway().count("revived")), (4, 2), "and the others with it");
}

#[test]
fn an_end_repeats_what_its_delete_waits_for() {
    // <-- INFORMATIONAL { }     unanswered
    // <-- the same again        the gateway is told to end
    // the answer -->
    // <-- INFORMATIONAL { D }
    let mut pair = unanswered(Pair::new(1));
    assert_eq!(pair.gateway().engine.closing(), 0);
    pair.close(GATEWAY);
    assert_eq!((pair.gateway().downs().len(), pair.gateway().engine.closing()), (1, 1), "told, and not yet over");
    pair.run_for(ms(300));
    assert_eq!(pair.client().downs()[0].1, DownReason::PeerDeleted);
    assert_eq!((pair.gateway().engine.closing(), pair.gateway().engine.population().ike_sas), (0, 0));
}

#[test]
fn what_closes_is_counted_until_it_is_gone_however_it_goes() {
    for fate in ["answered", "silent", "crossing", "forgotten"] {
        let mut pair = Pair::new(1).established();
        if fate == "silent" || fate == "forgotten" {
            pair.net.unplug(WAN);
        }
        let sa = pair.close(CLIENT);
        if fate == "crossing" {
            pair.close(GATEWAY);
        }
        assert_eq!(pair.client().engine.closing(), 1, "{fate}");
        if fate == "forgotten" {
            pair.hosts[CLIENT.0].engine.forget(sa);
        } else {
            pair.run_for(secs(11));
        }
        assert!(pair.client().engine.closing() == 0 && pair.client().engine.population().ike_sas == 0, "{fate}");
        assert!(fate != "crossing" || pair.gateway().engine.closing() == 0);
    }
}

#[test]
fn who_was_resumed_gets_it_too_when_it_speaks() {
    // The client dies, and comes back with what it knew: what it asks then brings the gateway's request.
    for agree in [false, true] {
        let mut pair = Pair::new(1)
            .client_profile(|profile| profile.message_id_sync = agree)
            .gateway_profile(|profile| profile.message_id_sync = agree)
            .gateway_profile(|profile| profile.liveness = secs(10))
            .established();
        let parked = pair.parked(CLIENT);
        pair.net.unplug(WIFI);
        pair.run_for(secs(60));
        pair.net.plug(WIFI);
        let begin = pair.now;
        pair.crash(CLIENT, &parked);
        assert!(pair.run_until(secs(1), |world| world.host(GATEWAY).count("revived") == 1), "agree: {agree}");
        pair.run_for(secs(1));
        let heard = pair.said(|told| told.from == CLIENT && told.answers(INFO) && told.at >= begin).count();
        assert!(heard > 0, "agree: {agree}");
        pair.close(GATEWAY);
        pair.run_for(secs(1));
        assert_eq!(pair.client().downs()[0].1, DownReason::PeerDeleted, "agree: {agree}");
    }
}

#[test]
fn who_says_much_and_answers_nothing_gets_little_more_than_a_first_back_off_would_send() {
    // The client's requests pass, and the gateway's do not.
    let mut pair = Pair::new(1).gateway_profile(|profile| profile.liveness = secs(10)).established();
    pair.net.lose(Which::of(GATEWAY).request(INFO).always());
    pair.run_for(secs(11));
    let begin = pair.now;
    for _ in 0..100 {
        pair.probe(CLIENT, None);
        pair.run_for(ms(100));
    }
    let copies = copies_since(&pair, begin);
    assert!((10..=25).contains(&copies), "within ten seconds, at half a second each: {copies}");
}

#[test]
fn repetitions_and_forgeries_bring_nothing() {
    let mut pair = unanswered(Pair::new(1));
    pair.probe(CLIENT, None);
    pair.run_for(ms(200));
    pair.net.lose(Which::of(CLIENT).always());
    let mut old = pair.requests_of(CLIENT).last().expect("a request").bytes.to_vec();
    pair.run_for(secs(120));
    let begin = pair.now;
    let path = Pair::path(WAN, WIFI);
    pair.inject(GATEWAY, path, &old);
    let last = old.len() - 1;
    let id = Header::parse(&old).expect("a header").message_id + 1;
    old[20..24].copy_from_slice(&id.to_be_bytes());
    pair.inject(GATEWAY, path, &old);
    old[last] ^= 1;
    pair.inject(GATEWAY, path, &old);
    assert_eq!(copies_since(&pair, begin), 0);
}
