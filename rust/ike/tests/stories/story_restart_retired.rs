//! Stories of hosts that end and begin again right after an IKE SA was replaced: what still comes on the old one is served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::crypto::IkeSuite;
use stage::children::assert_pairs;
use stage::{CLIENT, Command, ExchangeType, GATEWAY, HostId, Pair, Which, ms, secs};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const FOLLOW: ExchangeType = ExchangeType::IKE_FOLLOWUP_KE;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

fn other(who: HostId) -> HostId {
    if who == CLIENT { GATEWAY } else { CLIENT }
}

fn rekey(pair: &mut Pair, who: HostId) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::Rekey { sa });
}

/// One new IKE SA, the same at both ends, with the Child SA, and nothing that waits.
#[track_caller]
fn assert_replaced(pair: &mut Pair, what: &str) {
    assert_eq!(pair.client().rekeys().last(), pair.gateway().rekeys().last(), "{what}");
    for who in [CLIENT, GATEWAY] {
        let host = pair.host(who);
        assert_eq!((host.rekeys().len(), host.downs()), (1, vec![]), "{what}: {}", host.name);
        let before = host.checked().len();
        pair.probe(who, None);
        pair.settle();
        assert_eq!(pair.host(who).checked().len(), before + 1, "{what}");
    }
    assert_pairs(pair, &["story"]);
}

#[test]
fn the_answer_that_made_it_is_given_again_by_who_began_again() {
    for asks in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(1).established();
        // CREATE_CHILD_SA { SA, Ni, KEi } --> <-- { SA, Nr, KEr }, lost
        pair.net.lose(Which::of(other(asks)).answer(CREATE));
        rekey(&mut pair, asks);
        pair.run_for(ms(100));
        pair.restart(other(asks));
        pair.settle();
        let answers: Vec<_> = pair.said(|told| told.answers(CREATE)).map(|told| told.bytes.clone()).collect();
        assert!(answers.len() == 2 && answers[0] == answers[1], "the same octets");
        assert_replaced(&mut pair, "answer");
    }
}

#[test]
fn the_same_of_the_last_of_several_key_exchanges() {
    let hybrid = || -> Vec<IkeSuite> { vec!["aes256gcm16-prfsha384-x25519-ke1_mlkem768".parse().unwrap()] };
    for asks in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(2)
            .client_profile(|profile| profile.ike_suites = hybrid())
            .gateway_profile(|profile| profile.ike_suites = hybrid())
            .established();
        // IKE_FOLLOWUP_KE { KEi(1) } --> <-- { KEr(1) }, lost
        pair.net.lose(Which::of(other(asks)).answer(FOLLOW).always());
        rekey(&mut pair, asks);
        pair.run_for(ms(200));
        pair.restart(other(asks));
        pair.net.no_more_plans();
        pair.settle();
        assert_replaced(&mut pair, "follow-up");
    }
}

#[test]
fn a_delete_of_the_old_one_goes_on_with_the_same_octets() {
    for asks in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(3).established();
        // HDR(old), SK { D } -->, lost
        pair.net.lose(Which::of(asks).request(INFORM));
        rekey(&mut pair, asks);
        pair.run_for(ms(100));
        pair.restart(asks);
        pair.settle();
        let deletes: Vec<_> = pair.said(|told| told.from == asks && told.asks(INFORM)).collect();
        assert!(deletes.len() == 2 && deletes[0].bytes == deletes[1].bytes);
        assert_replaced(&mut pair, "delete");
        pair.run_for(secs(60));
        assert_eq!(pair.said(|told| told.copies_before > 1).count(), 0, "and it is over");
    }
}

#[test]
fn whenever_either_end_begins_again_and_whatever_is_lost_there_is_one_in_the_end() {
    for asks in [CLIENT, GATEWAY] {
        for restarts in [CLIENT, GATEWAY] {
            for lost in 0..16u32 {
                for wait in [5, 15, 25, 35, 45, 120] {
                    let mut pair = Pair::new(4).established();
                    for (bit, which) in [
                        (1, Which::of(asks).request(CREATE)),
                        (2, Which::of(other(asks)).answer(CREATE)),
                        (4, Which::of(asks).request(INFORM)),
                        (8, Which::of(other(asks)).answer(INFORM)),
                    ] {
                        if lost & bit != 0 {
                            pair.net.lose(which);
                        }
                    }
                    rekey(&mut pair, asks);
                    pair.run_for(ms(wait));
                    pair.restart(restarts);
                    pair.settle();
                    assert_replaced(
                        &mut pair,
                        &format!("{asks:?} asks, {restarts:?} restarts, {lost} lost, {wait} ms"),
                    );
                }
            }
        }
    }
}

#[test]
fn a_crash_right_after_it_was_written_down_is_no_worse() {
    for asks in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(5).established();
        pair.net.lose(Which::of(other(asks)).answer(CREATE).times(3));
        rekey(&mut pair, asks);
        pair.run_for(ms(100));
        let parked = pair.parked(other(asks));
        pair.rules_for_a_crash();
        pair.crash(other(asks), &parked);
        pair.run_for(secs(60));
        assert_eq!(pair.client().rekeys().last(), pair.gateway().rekeys().last());
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.rekeys().len(), host.downs()), (1, vec![]), "{}", host.name);
        }
    }
}

#[test]
fn it_is_forgotten_when_its_time_is_over() {
    let mut pair = Pair::new(6).established();
    pair.net.lose(Which::of(CLIENT).request(INFORM).always());
    rekey(&mut pair, CLIENT);
    pair.run_for(ms(100));
    let parked = |pair: &Pair| pair.parked(GATEWAY)[0].len();
    let before = parked(&pair);
    pair.restart(GATEWAY);
    assert_eq!(parked(&pair), before, "the old one is there");
    pair.run_for(secs(179));
    assert_eq!(parked(&pair), before);
    pair.run_for(secs(2));
    assert!(parked(&pair) < before, "three minutes after the restart it is not");
}
