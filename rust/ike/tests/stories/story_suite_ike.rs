//! What peers test of replacing and deleting an IKE SA, as stories of ours: collisions, and messages that come late, in another
//! order, or not at all (RFC 7296 sections 2.8.2 and 2.25). The plain ones are in `story_rekey_ike.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::crypto::IkeSuite;
use mobike_ike::event::DownReason;
use stage::children::{assert_pairs, deletes};
use stage::{CLIENT, Command, ExchangeType, Fate, GATEWAY, HostId, NotifyType, Pair, Which, ms, secs};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

fn rekey(pair: &mut Pair, who: HostId) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::Rekey { sa });
}

/// One IKE SA at each end, the same one, replaced so often; the Child SA of the beginning is untouched, and nothing was told
/// of any other.
#[track_caller]
fn assert_one_ike_sa(pair: &Pair, times: usize) {
    assert_pairs(pair, &["story"]);
    assert_eq!(pair.client().rekeys().last(), pair.gateway().rekeys().last());
    for host in [pair.client(), pair.gateway()] {
        assert_eq!((host.rekeys().len(), host.ups().len(), host.downs()), (times, 1, vec![]), "{}", host.name);
        assert_eq!((host.installs().len(), host.child_downs().len()), (1, 0), "{}: children move once", host.name);
        assert_eq!(host.engine.population().ike_sas, 1, "{}", host.name);
    }
}

/// It can be asked on, from both ends.
fn assert_it_works(pair: &mut Pair) {
    for who in [CLIENT, GATEWAY] {
        let before = pair.host(who).checked().len();
        pair.probe(who, None);
        pair.settle();
        assert_eq!(pair.host(who).checked().len(), before + 1);
    }
}

fn suites(names: &[&str]) -> Vec<IkeSuite> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Both ends have two groups, each in an order of its own.
fn with_another_group(seed: u64) -> Pair {
    let (x25519, p256) = ("aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp256");
    Pair::new(seed)
        .client_profile(|profile| profile.ike_suites = suites(&[x25519, p256]))
        .gateway_profile(|profile| profile.ike_suites = suites(&[p256, x25519]))
        .established()
}

// IKE rekey: regular.
#[test]
fn regular() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(1).established();
        rekey(&mut pair, who);
        pair.settle();
        assert_one_ike_sa(&pair, 1);
        assert_it_works(&mut pair);
        assert_eq!(pair.said(|told| told.asks(INFORM) && deletes(told)).count(), 1);
    }
}

// A request that comes twice; a group that only one end likes best. (Wrong KE group: `story_rekey_refused.rs`.)
#[test]
fn a_request_that_comes_twice_makes_one_ike_sa() {
    let mut pair = with_another_group(2);
    pair.net.plan(Which::of(CLIENT).request(CREATE), Fate::Twice(ms(30)));
    rekey(&mut pair, CLIENT);
    pair.settle();
    assert_one_ike_sa(&pair, 1);
    assert_it_works(&mut pair);
}

// IKE rekey: collision decided by nonces; and dropped requests, answers and Deletes in it, in any combination.
#[test]
fn both_at_once_whatever_is_lost() {
    for seed in 0..64_u64 {
        let mut pair = Pair::new(100 + seed).established();
        let of = |who| [Which::of(who).request(CREATE), Which::of(who).answer(CREATE), Which::of(who).request(INFORM)];
        pair.net.lose_those(seed, [CLIENT, GATEWAY].into_iter().flat_map(of));
        rekey(&mut pair, CLIENT);
        rekey(&mut pair, GATEWAY);
        pair.run_for(secs(60));
        let times = pair.client().rekeys().len();
        assert!((1..=2).contains(&times), "no endless retry: {times}");
        assert_one_ike_sa(&pair, times);
        assert_it_works(&mut pair);
    }
}

// IKE rekey: collision, wrong KE; delayed retry.
#[test]
fn both_at_once_with_a_late_copy_of_each_message_in_turn() {
    for late in 0..6 {
        for seed in 0..4 {
            let mut pair = with_another_group(200 + seed);
            let who = if late < 3 { CLIENT } else { GATEWAY };
            let which = match late % 3 {
                0 => Which::of(who).request(CREATE),
                1 => Which::of(who).answer(CREATE),
                _ => Which::of(who).request(INFORM),
            };
            pair.net.plan(which, Fate::Late(secs(2)));
            rekey(&mut pair, CLIENT);
            rekey(&mut pair, GATEWAY);
            pair.run_for(secs(60));
            let times = pair.client().rekeys().len();
            assert!((1..=2).contains(&times), "{late} {seed}: {times}");
            assert_one_ike_sa(&pair, times);
            assert_it_works(&mut pair);
        }
    }
}

// IKE rekey: delayed response; the peer deletes the old SA before the answer is seen.
#[test]
fn the_end_of_the_old_one_before_the_answer_is_seen_is_no_end() {
    for seed in 300..320 {
        // Both ask; the gateway's answer is late, and what it says of the old IKE SA is not.
        let mut pair = Pair::new(seed).established();
        pair.net.plan(Which::of(GATEWAY).answer(CREATE), Fate::Late(ms(700)));
        rekey(&mut pair, CLIENT);
        rekey(&mut pair, GATEWAY);
        pair.run_for(secs(60));
        assert_one_ike_sa(&pair, pair.client().rekeys().len());
        assert_it_works(&mut pair);
    }
}

// IKE rekey: dropped request; delayed request -> TEMP_FAIL; delayed request then delete.
#[test]
fn a_request_that_comes_after_the_peer_is_through_is_put_off_and_not_asked_again() {
    for late in [15, 25, 45, 200] {
        let mut pair = Pair::new(400 + late).established();
        pair.net.plan(Which::of(CLIENT).request(CREATE), Fate::Late(ms(late)));
        rekey(&mut pair, CLIENT);
        rekey(&mut pair, GATEWAY);
        pair.run_for(secs(120));
        assert_one_ike_sa(&pair, pair.client().rekeys().len());
        assert!(pair.client().rekeys().len() <= 2);
        assert_it_works(&mut pair);
    }
}

// IKE rekey: against delete (TEMP_FAIL, SA gone).
#[test]
fn replacing_and_deleting_at_once_deletes() {
    for (rekeys, closes) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT)] {
        let mut pair = Pair::new(500).established();
        rekey(&mut pair, rekeys);
        pair.close(closes);
        pair.settle();
        assert!(pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE)).count() > 0);
        let asker = pair.host(rekeys);
        assert_eq!(asker.downs().len(), 1);
        assert!(matches!(asker.downs()[0].1, DownReason::PeerDeleted));
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.rekeys().len(), host.live_children().len()), (0, 0), "{}", host.name);
            assert_eq!((host.engine.population().ike_sas, host.engine.population().child_sas), (0, 0));
        }
    }
}

// IKE rekey: dropped delete.
#[test]
fn a_lost_delete_of_the_old_one_is_repeated() {
    let mut pair = Pair::new(600).established();
    pair.net.lose(Which::of(CLIENT).request(INFORM).that(deletes).times(3));
    rekey(&mut pair, CLIENT);
    pair.settle();
    assert_one_ike_sa(&pair, 1);
    assert!(pair.said(|told| told.from == CLIENT && deletes(told) && told.arrived()).count() >= 1);
    assert_it_works(&mut pair);
}

// IKE delete: regular; both ends at once.
#[test]
fn deleting_from_one_end_or_both_leaves_nothing() {
    for both in [false, true] {
        let mut pair = Pair::new(700).established();
        pair.close(CLIENT);
        if both {
            pair.close(GATEWAY);
        }
        pair.settle();
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.downs().len(), host.child_downs().len()), (1, 1), "{}", host.name);
            assert_eq!((host.engine.population().ike_sas, host.engine.population().child_sas), (0, 0), "{}", host.name);
        }
        assert_eq!(pair.client().child_downs()[0].1, DownReason::WithIkeSa);
        let expected = if both { 2 } else { 1 };
        assert_eq!(pair.said(|told| told.asks(INFORM) && deletes(told)).count(), expected);
    }
}
