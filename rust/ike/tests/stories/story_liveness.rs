//! Stories of ends: deletes, dead peers, and how long each end is patient.

use crate::stage;

use mobike_ike::engine::Population;
use mobike_ike::event::DownReason;
use stage::{CLIENT, Command, ExchangeType, Fate, GATEWAY, LTE, Pair, WAN, WIFI, Which, ms, secs};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;
const NOTHING: Population = Population { ike_sas: 0, half_open: 0, child_sas: 0 };

#[test]
fn either_end_may_close_the_ike_sa_and_both_forget_it() {
    // INFORMATIONAL { D } -->  <-- answer
    for (closer, other) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT)] {
        let mut pair = Pair::new(1).established();
        pair.close(closer);
        pair.settle();
        assert_eq!(pair.told.len(), 6);
        assert!(matches!(pair.host(closer).downs()[0].1, DownReason::Ordered(_)));
        assert_eq!(pair.host(other).downs()[0].1, DownReason::PeerDeleted);
        assert!(pair.hosts.iter().all(|host| host.engine.population() == NOTHING));
        assert!(pair.hosts.iter().all(|host| host.child_downs()[0].1 == DownReason::WithIkeSa));
    }
}

#[test]
fn both_ends_close_the_ike_sa_at_once() {
    // INFORMATIONAL { D } -->
    //                      <-- INFORMATIONAL { D }    they cross
    let mut pair = Pair::new(1).established();
    pair.close(CLIENT);
    pair.close(GATEWAY);
    pair.settle();
    for host in &pair.hosts {
        assert_eq!(host.downs().len(), 1, "{}", host.name);
        assert_eq!(host.engine.population(), NOTHING, "{}", host.name);
    }
}

#[test]
fn a_lost_delete_is_repeated_and_a_lost_answer_does_no_harm() {
    for which in [Which::of(CLIENT).request(INFO), Which::of(GATEWAY).answer(INFO)] {
        let mut pair = Pair::new(1).established();
        pair.net.lose(which);
        pair.close(CLIENT);
        pair.run_for(secs(60));
        assert!(pair.hosts.iter().all(|host| host.downs().len() == 1 && host.engine.population() == NOTHING));
        assert!(pair.client().engine.poll_timeout().is_none());
    }
}

#[test]
fn closing_towards_a_dead_peer_is_reported_at_once_and_ends_by_itself() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    pair.close(CLIENT);
    assert_eq!(pair.client().downs().len(), 1);
    pair.run_for(secs(30));
    assert_eq!(pair.client().engine.population(), NOTHING);
    assert_eq!(pair.client().downs().len(), 1);
}

#[test]
fn a_child_sa_may_be_closed_alone() {
    // INFORMATIONAL { D(ESP, our spi) } -->  <-- answer { D(ESP, its spi) }
    for (closer, other) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT)] {
        let mut pair = Pair::new(1).established();
        let child = pair.host(closer).live_children()[0];
        pair.order(closer, Command::CloseChild { child });
        pair.settle();
        assert!(matches!(pair.host(closer).child_downs()[0].1, DownReason::Ordered(_)));
        assert_eq!(pair.host(other).child_downs()[0].1, DownReason::PeerDeleted);
        for host in &pair.hosts {
            assert_eq!(host.engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 0 });
        }
        pair.probe(closer, None);
        pair.settle();
        assert_eq!(pair.host(closer).checked().len(), 1, "the IKE SA works on");
    }
}

#[test]
fn both_ends_close_the_child_sa_at_once() {
    let mut pair = Pair::new(1).established();
    for id in [CLIENT, GATEWAY] {
        let child = pair.host(id).live_children()[0];
        pair.order(id, Command::CloseChild { child });
    }
    pair.settle();
    for host in &pair.hosts {
        assert_eq!((host.child_downs().len(), host.alive().len()), (1, 1), "{}", host.name);
    }
}

#[test]
fn orders_for_what_is_gone_do_nothing_and_are_counted() {
    let mut pair = Pair::new(1).established();
    let child = pair.client().live_children()[0];
    pair.close(CLIENT);
    pair.settle();
    let said = pair.told.len();
    pair.close(CLIENT);
    pair.order(CLIENT, Command::CloseChild { child });
    pair.order_move(Pair::path(LTE, WAN));
    pair.probe(CLIENT, None);
    pair.announce(CLIENT, &[WIFI], None);
    assert_eq!((pair.told.len(), pair.client().count("stale_commands")), (said, 5));
}

#[test]
fn a_quiet_peer_is_tested_and_a_living_one_stays() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(30)).established();
    let before = pair.told.len();
    pair.run_for(secs(95));
    let tests = pair.requests_of(CLIENT);
    assert_eq!(tests.len(), 3, "every 30 seconds");
    assert!(tests.iter().all(|told| told.contents.as_ref().is_some_and(|contents| contents.payloads.is_empty())));
    assert_eq!(pair.told.len(), before + 6);
    assert_eq!(pair.client().alive().len(), 1);
}

#[test]
fn word_from_the_peer_puts_the_next_test_off() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(30)).established();
    pair.run_for(secs(20));
    pair.probe(GATEWAY, None);
    pair.run_for(secs(25));
    assert!(pair.requests_of(CLIENT).is_empty());
}

#[test]
fn a_dead_gateway_is_noticed_by_silence_and_given_up() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(10)).established();
    pair.net.unplug(WAN);
    pair.run_for(secs(200));
    let silences = pair.client().silences();
    assert!(silences.len() > 3, "each repetition from the second on");
    assert_eq!(silences[0], (Pair::path(WIFI, WAN), 3));
    assert!(silences.windows(2).all(|two| two[1].1 == two[0].1 + 1));
    assert!(matches!(pair.client().downs()[0].1, DownReason::PeerSilent(span) if span >= secs(120)));
    assert_eq!(pair.client().engine.population(), NOTHING);
}

#[test]
fn a_dead_gateway_is_given_up_however_many_links_are_tried() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(10)).established();
    pair.net.unplug(WAN);
    for turn in 0..20 {
        pair.run_for(secs(10));
        if pair.client().downs().is_empty() {
            pair.order_move(Pair::path(if turn % 2 == 0 { LTE } else { WIFI }, WAN));
        }
    }
    assert!(matches!(pair.client().downs()[0].1, DownReason::PeerSilent(span) if span >= secs(120)));
    assert_eq!(pair.client().engine.population(), NOTHING);
}

// req: M3.11-1
#[test]
fn a_gateway_keeps_trying_for_five_minutes_before_it_gives_a_client_up() {
    let mut pair = Pair::new(1)
        .gateway_profile(|profile| {
            profile.liveness = secs(10);
            profile.retransmit.give_up_responder = secs(20);
        })
        .established();
    pair.net.unplug(WIFI);
    pair.run_for(secs(305));
    assert_eq!(pair.gateway().alive().len(), 1, "the first test left after ten seconds");
    assert!(pair.requests_of(GATEWAY).len() > 10);
    pair.run_for(secs(30));
    assert!(matches!(pair.gateway().downs()[0].1, DownReason::PeerSilent(span) if span >= secs(300)));
}

// req: M3.5-1
#[test]
fn silence_moves_nothing_by_itself() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(10)).established();
    pair.net.blackhole_both(WIFI, WAN);
    pair.run_for(secs(60));
    assert!(pair.said(|told| told.from == CLIENT).all(|told| told.path.local.ip() == WIFI));
    assert!(!pair.client().silences().is_empty() && pair.client().moved().is_empty());
}

#[test]
fn waits_between_repetitions_grow_up_to_a_limit_and_the_octets_stay() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    pair.probe(CLIENT, None);
    pair.run_for(secs(110));
    let tries: Vec<_> = pair.requests_of(CLIENT);
    assert!(tries.len() > 8);
    assert!(tries.iter().all(|told| told.bytes == tries[0].bytes));
    let waits: Vec<_> = tries.windows(2).map(|two| two[1].at.since(two[0].at)).collect();
    assert!(waits[0] >= ms(490) && waits[0] <= ms(520), "{:?}", waits[0]);
    assert!(waits.windows(2).all(|two| two[1] + ms(20) >= two[0]), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= secs(20) + ms(20)), "{waits:?}");
}

#[test]
fn a_peer_back_from_the_dead_in_time_is_taken_back() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(10)).established();
    pair.net.unplug(WAN);
    pair.run_for(secs(60));
    pair.net.heal();
    pair.run_for(secs(60));
    assert!(pair.client().downs().is_empty());
    assert!(pair.said(|told| told.from == GATEWAY && told.answers(INFO)).count() > 0);
}

#[test]
fn a_delete_that_comes_twice_finds_nobody_the_second_time() {
    let mut pair = Pair::new(1).established();
    pair.net.plan(Which::of(CLIENT).request(INFO), Fate::Twice(secs(1)));
    pair.close(CLIENT);
    pair.settle();
    pair.run_for(secs(2));
    assert_eq!(pair.gateway().count("dropped_unknown_spi"), 1);
}
