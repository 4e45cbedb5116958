//! The rest of what peers test of rekeys: several key exchanges with messages that are late, Deletes that are late or lost
//! beside a rekey, and peers that delete what is not theirs to delete. Others are in `story_suite_ike.rs`,
//! `story_suite_child.rs` and `story_follow_up.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::event::DownReason;
use mobike_ike::{ChildId, Sends};
use stage::children::{assert_pairs, deletes, suites};
use stage::{CLIENT, Command, ExchangeType, Fate, GATEWAY, HostId, NotifyType, Pair, Profile, Which, ms, secs};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const FOLLOW: ExchangeType = ExchangeType::IKE_FOLLOWUP_KE;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;
const IKE: &str = "aes256gcm16-prfsha384-x25519-ke1_ecp384";
const ESP: &str = "aes256gcm16-x25519-ke1_ecp384";

fn other(who: HostId) -> HostId {
    if who == CLIENT { GATEWAY } else { CLIENT }
}

fn several(seed: u64) -> Pair {
    let set = |profile: &mut Profile| {
        profile.ike_suites = vec![IKE.parse().unwrap()];
        profile.esp_suites = suites(&[ESP]);
    };
    Pair::new(seed).client_profile(set).gateway_profile(set).established()
}

fn rekey(pair: &mut Pair, who: HostId) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::Rekey { sa });
}

fn rekey_child(pair: &mut Pair, who: HostId) -> ChildId {
    let child = pair.host(who).child("story");
    pair.order(who, Command::RekeyChild { child });
    child
}

/// Nobody lost the IKE SA, both have the same keys for it, and both can ask on it.
#[track_caller]
fn assert_ike_works(pair: &mut Pair) {
    assert_eq!(pair.client().rekeys().last(), pair.gateway().rekeys().last());
    for who in [CLIENT, GATEWAY] {
        assert_eq!((pair.host(who).downs(), pair.host(who).engine.population().ike_sas), (vec![], 1));
        let before = pair.host(who).checked().len();
        pair.probe(who, None);
        pair.settle();
        assert_eq!(pair.host(who).checked().len(), before + 1);
    }
}

/// One of the newest kind at each end, which sends at both.
#[track_caller]
fn assert_one_child(pair: &mut Pair) {
    assert_pairs(pair, &["story"]);
    for host in [pair.client(), pair.gateway()] {
        let live = host.live_children();
        let sends = |id: &ChildId| {
            host.installs().iter().any(|(child, install)| child == id && !matches!(install.sends, Sends::Never { .. }))
        };
        assert!(live.iter().all(sends), "{}", host.name);
    }
    assert_ike_works(pair);
}

/// Each message of two that ask at once, late by less than its repetition and by more.
fn each_message_late(mut story: impl FnMut(u64, Which, u64)) {
    for (seed, late) in [5, 15, 25, 45, 700, 2_000].into_iter().enumerate() {
        for who in [CLIENT, GATEWAY] {
            for exchange in [CREATE, FOLLOW] {
                story(seed as u64, Which::of(who).request(exchange), late);
                story(seed as u64, Which::of(who).answer(exchange), late);
            }
        }
    }
}

// IKE rekey: collision with several key exchanges; delayed request, delayed response.
#[test]
fn both_replace_the_ike_sa_with_several_key_exchanges_and_each_message_is_late_in_turn() {
    each_message_late(|seed, which, late| {
        let mut pair = several(100 + seed);
        pair.net.plan(which, Fate::Late(ms(late)));
        rekey(&mut pair, CLIENT);
        rekey(&mut pair, GATEWAY);
        pair.run_for(secs(120));
        let times = pair.client().rekeys().len();
        assert!((1..=2).contains(&times), "no endless retry: {times}");
        assert_one_child(&mut pair);
        assert_eq!((pair.client().installs().len(), pair.client().child_downs().len()), (1, 0), "it moves once");
    });
}

// Child rekey: the same.
#[test]
fn both_replace_the_child_sa_with_several_key_exchanges_and_each_message_is_late_in_turn() {
    each_message_late(|seed, which, late| {
        let mut pair = several(200 + seed);
        pair.net.plan(which, Fate::Late(ms(late)));
        rekey_child(&mut pair, CLIENT);
        rekey_child(&mut pair, GATEWAY);
        pair.run_for(secs(120));
        assert_one_child(&mut pair);
    });
}

// Child rekey: wrong KE ahead of several key exchanges, from either end.
#[test]
fn another_first_group_is_tried_ahead_of_further_key_exchanges() {
    for who in [CLIENT, GATEWAY] {
        let (wide, narrow) =
            (["aes256gcm16-x25519-ke1_ecp384", "aes256gcm16-ecp256-ke1_ecp384"], ["aes256gcm16-ecp256-ke1_ecp384"]);
        let ours = |profile: &mut Profile| profile.esp_suites = suites(&wide);
        let theirs = |profile: &mut Profile| profile.esp_suites = suites(&narrow);
        let pair = Pair::new(300);
        let mut pair = match who == CLIENT {
            true => pair.client_profile(ours).gateway_profile(theirs).established(),
            false => pair.client_profile(theirs).gateway_profile(ours).established(),
        };
        let old = rekey_child(&mut pair, who);
        pair.settle();
        assert_eq!(pair.said(|told| told.carries(NotifyType::INVALID_KE_PAYLOAD)).count(), 1);
        assert_eq!(pair.said(|told| told.asks(FOLLOW)).count(), 1, "both key exchanges");
        assert!(!pair.host(who).live_children().contains(&old));
        assert_one_child(&mut pair);
    }
}

// IKE rekey: against a Delete that is lost, so that who replaces it hears TEMPORARY_FAILURE first.
#[test]
fn a_delete_that_comes_after_the_refusal_still_deletes_the_ike_sa() {
    for (rekeys, lost) in [(CLIENT, 1), (GATEWAY, 1), (CLIENT, 3), (GATEWAY, 3)] {
        let mut pair = Pair::new(400).established();
        pair.net.lose(Which::of(other(rekeys)).request(INFORM).that(deletes).times(lost));
        rekey(&mut pair, rekeys);
        pair.close(other(rekeys));
        pair.run_for(ms(100));
        let refused = pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE) && told.arrived()).count();
        assert_eq!((refused, pair.host(rekeys).downs().len()), (1, 0), "it hears that first");
        pair.run_for(secs(60));
        assert!(matches!(pair.host(rekeys).downs()[0].1, DownReason::PeerDeleted));
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.rekeys().len(), host.downs().len(), host.child_downs().len()), (0, 1, 1), "{}", host.name);
            assert_eq!((host.engine.population().ike_sas, host.engine.population().child_sas), (0, 0));
        }
    }
}

/// One end replaces the Child SA, the other deletes it at once, and this becomes of a message.
#[track_caller]
fn replaced_against_deleted(seed: u64, rekeys: HostId, which: Which, fate: Fate) {
    let mut pair = Pair::new(seed).established();
    pair.net.plan(which, fate);
    rekey_child(&mut pair, rekeys);
    let child = pair.host(other(rekeys)).child("story");
    pair.order(other(rekeys), Command::CloseChild { child });
    pair.run_for(secs(120));
    assert_pairs(&pair, &[]);
    assert_ike_works(&mut pair);
    for host in [pair.client(), pair.gateway()] {
        assert_eq!(host.installs().len(), host.child_downs().len(), "{}: whatever came up is gone", host.name);
    }
}

// Child rekey against delete: the Delete lost, the rekey lost, the answer to the rekey late.
#[test]
fn a_child_sa_that_is_deleted_stays_deleted_whatever_is_lost_or_late_beside() {
    for rekeys in [CLIENT, GATEWAY] {
        let deletes_it = other(rekeys);
        replaced_against_deleted(500, rekeys, Which::of(deletes_it).request(INFORM), Fate::Lose);
        replaced_against_deleted(501, rekeys, Which::of(rekeys).request(CREATE), Fate::Lose);
        for late in [15, 45, 700] {
            replaced_against_deleted(502, rekeys, Which::of(deletes_it).answer(CREATE), Fate::Late(ms(late)));
            replaced_against_deleted(503, rekeys, Which::of(deletes_it).request(INFORM), Fate::Late(ms(late)));
            replaced_against_deleted(504, rekeys, Which::of(rekeys).answer(INFORM), Fate::Late(ms(late)));
        }
    }
}

// Child rekey: collision with a late answer or a late request, and one end deletes what it has beside; the one who answered
// deletes the old pair, which is not its to delete.
#[test]
fn a_collision_ends_with_one_pair_or_none_whoever_deletes_what_in_it() {
    for wait in [5, 15, 25, 35, 45, 900] {
        for closes in [CLIENT, GATEWAY] {
            for late in [None, Some(Which::of(CLIENT).answer(CREATE)), Some(Which::of(CLIENT).request(CREATE))] {
                let mut pair = Pair::new(600 + wait).established();
                if let Some(which) = late {
                    pair.net.plan(which, Fate::Late(ms(700)));
                }
                let old = rekey_child(&mut pair, CLIENT);
                rekey_child(&mut pair, GATEWAY);
                pair.run_for(ms(wait));
                let theirs = pair.host(closes).child("story");
                let child = if closes == CLIENT { old } else { theirs };
                pair.order(closes, Command::CloseChild { child });
                pair.run_for(secs(120));
                let live = pair.client().live_children().len();
                assert!(live <= 1, "{wait}");
                assert_pairs(&pair, &["story"][..live]);
                assert_ike_works(&mut pair);
            }
        }
    }
}
