//! Stories of crashes: keys changed after the SA was written down, and whoever was resumed does not know.
#![allow(clippy::unwrap_used, reason = "a story that cannot go on fails")]

use crate::stage;

use std::collections::BTreeSet;
use std::sync::Arc;

use mobike_ike::engine::Population;
use mobike_ike::event::DownReason;
use mobike_ike::park::{ResumeError, Standing};
use mobike_ike::wire::probe::PATH_PROBE;
use mobike_ike::{Extensions, Generation};
use stage::{
    CLIENT, Command, ExchangeType, GATEWAY, HostId, LTE, NotifyType, PROFILE, Pair, Settings, WAN, WIFI, Which, ms,
    secs,
};

const NOT_FOUND: NotifyType = NotifyType::CHILD_SA_NOT_FOUND;
const NO_MORE: NotifyType = NotifyType::NO_ADDITIONAL_SAS;

fn rekey_child(pair: &mut Pair, who: HostId) {
    let live = pair.host(who).live_children();
    let child = live[live.len() - 1];
    pair.order(who, Command::RekeyChild { child });
}

fn watch_both(pair: &mut Pair) {
    let sa = pair.client().sa();
    let paths = Arc::from([Pair::path(WIFI, WAN), Pair::path(LTE, WAN)]);
    pair.order(CLIENT, Command::Watch { sa, paths, interval: secs(1) });
}

#[test]
fn probes_with_keys_that_were_new_when_it_was_written_down_repeat_neither_number_nor_iv() {
    // Rekeyed; written down before the first probe with the new keys; some probes -->  ; a crash; more probes -->
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(1)
            .client_profile(|profile| profile.extensions = Extensions::ALL)
            .gateway_profile(|profile| profile.extensions = Extensions::ALL)
            .established();
        watch_both(&mut pair);
        pair.run_for(secs(5));
        let sa = pair.client().sa();
        pair.order(CLIENT, Command::Rekey { sa });
        pair.run_for(ms(150));
        let parked = pair.parked(who);
        let begin = pair.now;
        pair.run_for(secs(3));
        pair.rules_for_a_crash();
        pair.crash(who, &parked);
        watch_both(&mut pair);
        pair.run_for(secs(3));
        let (mut numbers, mut ivs, mut count) = (BTreeSet::new(), BTreeSet::new(), 0);
        for told in pair.said(|told| told.from == who && told.asks(PATH_PROBE) && told.at >= begin) {
            count += 1;
            numbers.insert(told.header().expect("a header").message_id);
            ivs.insert(told.bytes[32..40].to_vec());
        }
        assert!(count > 8, "{who:?}: {count}");
        assert_eq!((numbers.len(), ivs.len()), (count, count), "{who:?}");
    }
}

#[test]
fn after_a_crash_the_peer_is_tested_and_then_the_child_sa_gets_new_keys() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(1).established();
        let parked = pair.parked(who);
        let old = pair.host(who).live_children();
        pair.crash(who, &parked);
        pair.settle();
        let new = pair.host(who).live_children();
        assert!(new.len() == 1 && new != old, "{who:?}");
        for host in &pair.hosts {
            assert_eq!(host.engine.population().child_sas, 1, "{}", host.name);
            assert!(host.downs().is_empty(), "{}", host.name);
        }
    }
}

#[test]
fn a_peer_that_does_not_answer_after_a_crash_is_not_asked_for_keys() {
    let mut pair = Pair::new(1).established();
    let parked = pair.parked(CLIENT);
    pair.net.unplug(WAN);
    pair.rules_for_a_crash();
    pair.crash(CLIENT, &parked);
    pair.run_for(secs(60));
    assert!(matches!(pair.client().downs()[..], [(_, DownReason::PeerSilent(_))]));
    assert_eq!(pair.said(|told| told.asks(stage::ExchangeType::CREATE_CHILD_SA)).count(), 0);
}

#[test]
fn who_forgot_the_newest_child_sa_in_a_crash_makes_another() {
    // Rekeyed after it was written down -->  ; a crash; REKEY_SA(old) -->  <-- CHILD_SA_NOT_FOUND
    // a pair from scratch -->  <-- SA, Nr, ..
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(2).established();
        let parked = pair.parked(who);
        rekey_child(&mut pair, if who == CLIENT { GATEWAY } else { CLIENT });
        pair.settle();
        pair.crash(who, &parked);
        pair.settle();
        assert_eq!(pair.said(|told| told.carries(NOT_FOUND)).count(), 1, "{who:?}");
        assert_eq!(pair.said(|told| told.carries(NO_MORE)).count(), 0, "{who:?}");
        assert_eq!(pair.host(who).engine.population().child_sas, 1, "{who:?}");
        for host in &pair.hosts {
            // The peer keeps what we forgot until it is old.
            assert!((1..=2).contains(&host.engine.population().child_sas), "{}", host.name);
            assert_eq!(host.downs(), [], "{}", host.name);
        }
    }
}

#[test]
fn who_forgot_the_newest_child_sa_in_a_crash_ends_the_ike_sa_if_the_peer_has_room_for_one_only() {
    // .. a pair from scratch -->  <-- NO_ADDITIONAL_SAS; Delete -->
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(2)
            .client_profile(|profile| profile.plan.at_most = 1)
            .gateway_profile(|profile| profile.plan.at_most = 1)
            .established();
        let parked = pair.parked(who);
        rekey_child(&mut pair, if who == CLIENT { GATEWAY } else { CLIENT });
        pair.settle();
        pair.crash(who, &parked);
        pair.settle();
        assert_eq!(pair.said(|told| told.carries(NOT_FOUND)).count(), 1, "{who:?}");
        assert_eq!(pair.said(|told| told.carries(NO_MORE)).count(), 1, "{who:?}");
        for host in &pair.hosts {
            assert_eq!(host.engine.population().ike_sas, 0, "{}: it can be set up anew", host.name);
            assert_eq!(host.downs().len(), 1, "{}", host.name);
        }
    }
}

#[test]
fn who_crashed_makes_a_child_sa_from_scratch_for_a_peer_that_has_lost_its_own() {
    // Rekeyed after it was written down; a crash of the gateway; REKEY_SA(newest) -->  <-- CHILD_SA_NOT_FOUND
    // a pair from scratch -->  <-- SA, Nr, ..
    let mut pair = Pair::new(3).established();
    let parked = pair.parked(GATEWAY);
    rekey_child(&mut pair, CLIENT);
    pair.settle();
    // What it asks itself gets lost for a while.
    pair.net.lose(Which::of(GATEWAY).request(stage::ExchangeType::INFORMATIONAL).times(3));
    pair.rules_for_a_crash();
    pair.crash(GATEWAY, &parked);
    rekey_child(&mut pair, CLIENT);
    pair.settle();
    assert!(pair.said(|told| told.carries(NOT_FOUND)).count() > 0);
    for host in &pair.hosts {
        assert!(host.downs().is_empty(), "{}", host.name);
        assert_eq!(host.engine.population().child_sas, 1, "{}", host.name);
    }
}

#[test]
fn a_delete_of_what_the_peer_had_replaced_before_the_crash_leaves_no_sa_without_a_child() {
    // REKEY_SA -->  <-- SA, Nr; a crash of who answered; Delete(old) -->  <-- Delete(old): none is left there
    let mut pair = Pair::new(4).established();
    let parked = pair.parked(GATEWAY);
    pair.net.lose(Which::of(CLIENT).request(stage::ExchangeType::INFORMATIONAL));
    rekey_child(&mut pair, CLIENT);
    pair.run_for(ms(150));
    pair.crash(GATEWAY, &parked);
    pair.settle();
    let alive = pair.hosts.iter().all(|host| host.engine.population().child_sas >= 1);
    let over = pair.hosts.iter().all(|host| host.engine.population().ike_sas == 0);
    assert!(alive || over, "either there is a pair at both ends, or there is nothing");
}

#[test]
fn who_forgot_the_newest_ike_keys_in_a_crash_learns_it_from_the_repeated_answer() {
    // CREATE_CHILD_SA for the IKE SA -->  <-- answer, and a crash before the Delete of the old one; test -->  <-- the same
    let mut pair = Pair::new(5).established();
    let parked = pair.parked(CLIENT);
    pair.net.lose(Which::of(CLIENT).request(stage::ExchangeType::INFORMATIONAL));
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::Rekey { sa });
    pair.run_for(ms(30));
    pair.rules_for_a_crash();
    pair.crash(CLIENT, &parked);
    pair.run_for(secs(2));
    assert!(matches!(pair.client().downs()[..], [(_, DownReason::KeysLost)]), "{:?}", pair.client().downs());
}

#[test]
fn an_ike_sa_that_was_replaced_before_a_crash_is_not_found_alive_after_it() {
    // Written down; rekeyed; the old one deleted, or not yet, and its answers lost; a crash; tests on the old one -->  nothing
    for who in [CLIENT, GATEWAY] {
        for deleted in [true, false] {
            let mut pair = Pair::new(3).established();
            let parked = pair.parked(who);
            let other = if who == CLIENT { GATEWAY } else { CLIENT };
            let sa = pair.host(who).sa();
            if !deleted {
                pair.net.lose(Which::of(who).request(stage::ExchangeType::INFORMATIONAL));
            }
            pair.order(who, Command::Rekey { sa });
            pair.run_for(ms(200));
            pair.rules_for_a_crash();
            pair.crash(who, &parked);
            // Not even the answer that would tell.
            pair.net.lose(Which::of(other).answer(stage::ExchangeType::CREATE_CHILD_SA).always());
            let begin = pair.now;
            pair.run_for(secs(20));
            let answers = |told: &stage::Told| told.answers(stage::ExchangeType::INFORMATIONAL) && told.at > begin;
            assert_eq!(pair.said(|told| told.from == other && answers(told)).count(), 0, "{who:?} deleted {deleted}");
            let tests = |told: &stage::Told| told.asks(stage::ExchangeType::INFORMATIONAL) && told.at > begin;
            assert!(pair.said(|told| told.from == other && tests(told)).count() > 2, "it tests the one in use");
            pair.run_for(secs(120));
            assert_eq!(pair.client().engine.population().ike_sas, 0, "the client gives up: it can make another one");
        }
    }
}

#[test]
fn keys_that_may_have_been_used_before_a_crash_are_not_made_once_more() {
    // CREATE_CHILD_SA { SA, N, KE } -->   written down   <-- answered, and used   a crash
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(1).established();
        let sa = pair.client().sa();
        pair.order(who, Command::Rekey { sa });
        let parked = pair.parked(who);
        pair.settle();
        assert_eq!(pair.host(who).count("ike_sas_rekeyed"), 1);
        pair.reboot(who, Settings::default());
        let profile = Arc::new(pair.profile_of(who));
        pair.order(who, Command::SetProfile { id: PROFILE, profile });
        assert_eq!(pair.resume(who, &parked, Standing::Doubtful).unwrap_err(), ResumeError::KeysInDoubt);
        assert_eq!(pair.host(who).engine.population(), Population::default());
    }
}

#[test]
fn what_is_tried_after_a_crash_and_lost_is_repeated_though_later_ids_are_answered() {
    // Rekeyed, with windows of 4; two tests -->  <-- answers; a crash; tests 0 to 3 are lost, 4 and 5 are answered -->
    for lost in 1..8 {
        let mut pair = Pair::new(7).windows(4).established();
        let sa = pair.gateway().sa();
        pair.order(GATEWAY, Command::Rekey { sa });
        pair.settle();
        let parked = pair.parked(GATEWAY);
        for _ in 0..2 {
            pair.probe(GATEWAY, None);
            pair.settle();
        }
        pair.rules_for_a_crash();
        pair.net.lose(Which::of(GATEWAY).request(stage::ExchangeType::INFORMATIONAL).times(lost));
        pair.crash(GATEWAY, &parked);
        pair.run_for(secs(20));
        let probe = pair.probe(GATEWAY, None);
        pair.settle();
        assert_eq!(pair.gateway().checked().last().map(|(_, generation)| *generation), Some(probe), "{lost} lost");
    }
}

#[test]
fn however_far_the_peer_is_ahead_of_a_crash_it_is_caught_up_with() {
    // With windows of 4 it repeats its four newest answers: from 31 on of those that are tried, or only some, or none.
    for ahead in [3, 30, 34, 35, 36, 37, 38, 60, 100] {
        let mut pair = Pair::new(7).windows(4).established();
        let parked = pair.parked(GATEWAY);
        for _ in 0..ahead {
            pair.probe(GATEWAY, None);
            pair.settle();
        }
        pair.rules_for_a_crash();
        pair.crash(GATEWAY, &parked);
        let sa = pair.client().sa();
        for _ in 0..30 {
            // The client is there, and asks for something now and then.
            pair.order(CLIENT, Command::Probe { sa, path: None, generation: Generation(0) });
            pair.run_for(secs(1));
        }
        let probe = pair.probe(GATEWAY, None);
        pair.settle();
        assert_eq!(pair.gateway().checked().last().map(|(_, generation)| *generation), Some(probe), "{ahead} ahead");
        assert_eq!(pair.client().downs(), [], "{ahead} ahead");
    }
}

#[test]
fn a_delete_of_what_was_replaced_finds_a_client_that_forgot_of_it_wherever_it_asks_from() {
    // <-- CREATE_CHILD_SA { SA, .. }    moves with the new keys    a crash: asks on the old IKE SA from where it was before
    let mut pair = Pair::new(1).established();
    let parked = pair.parked(CLIENT);
    // The Delete of the old one; return routability is tested under the id 0.
    pair.net.lose(Which::of(GATEWAY).request(ExchangeType::INFORMATIONAL).id(1).always());
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::Rekey { sa });
    pair.run_for(ms(100));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(500));
    assert_eq!(pair.gateway().path().remote.ip(), LTE);
    pair.net.no_more_plans();
    pair.net.blackhole_both(LTE, WAN);
    pair.rules_for_a_crash();
    pair.crash(CLIENT, &parked);
    pair.run_for(secs(10));
    let ended: Vec<_> = pair.client().downs().into_iter().map(|(_, why)| why).collect();
    assert_eq!(ended, [DownReason::PeerDeleted]);
}
