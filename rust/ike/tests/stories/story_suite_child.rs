//! What peers test of replacing, deleting and making Child SAs, as stories of ours (RFC 7296 sections 2.8.1 and 2.25). The plain
//! ones are in `story_rekey_child.rs` and `story_children.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::event::DownReason;
use mobike_ike::{ChildId, Sends};
use stage::children::{assert_pairs, deletes, suites};
use stage::{CLIENT, Command, ExchangeType, Fate, GATEWAY, HostId, NotifyType, Pair, Which, ms, secs};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

fn rekey(pair: &mut Pair, who: HostId) -> ChildId {
    let child = pair.host(who).child("story");
    pair.order(who, Command::RekeyChild { child });
    child
}

fn close(pair: &mut Pair, who: HostId) {
    let child = pair.host(who).child("story");
    pair.order(who, Command::CloseChild { child });
}

/// Nothing went wrong for longer than a moment.
#[track_caller]
fn assert_calm(pair: &Pair) {
    for host in [pair.client(), pair.gateway()] {
        assert_eq!(host.downs(), [], "{}", host.name);
    }
}

// Child rekey: wrong KE collision; several delays.
#[test]
fn both_at_once_with_keys_of_their_own_and_late_messages() {
    for late in 0..6 {
        for seed in 0..4 {
            let both = |profile: &mut stage::Profile| {
                profile.esp_suites = suites(&["aes256gcm16-x25519", "aes256gcm16-ecp256"]);
            };
            let other = |profile: &mut stage::Profile| {
                profile.esp_suites = suites(&["aes256gcm16-ecp256", "aes256gcm16-x25519"]);
            };
            let mut pair = Pair::new(100 + seed).client_profile(both).gateway_profile(other).established();
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
            assert_pairs(&pair, &["story"]);
            assert_calm(&pair);
        }
    }
}

// Child rekey: wrong KE, from either end at once: each begins with a group that the other does not have.
#[test]
fn both_at_once_with_a_group_that_the_other_refuses() {
    for seed in 0..8 {
        let mut pair = Pair::new(150 + seed)
            .client_profile(|profile| profile.esp_suites = suites(&["aes256gcm16-x25519", "aes256gcm16-ecp256"]))
            .gateway_profile(|profile| profile.esp_suites = suites(&["aes256gcm16-ecp256"]))
            .established();
        rekey(&mut pair, CLIENT);
        rekey(&mut pair, GATEWAY);
        pair.run_for(secs(60));
        assert!(pair.said(|told| told.carries(NotifyType::INVALID_KE_PAYLOAD)).count() >= 1);
        assert_pairs(&pair, &["story"]);
        assert_calm(&pair);
    }
}

// Child rekey: the responder ignores a soft expire of what was replaced.
#[test]
fn an_order_for_a_pair_that_the_peer_has_just_replaced_ends_with_one_pair() {
    for wait in [12, 22, 32] {
        let mut pair = Pair::new(200 + wait).established();
        let old = pair.gateway().child("story");
        rekey(&mut pair, CLIENT);
        pair.net.lose(Which::of(CLIENT).request(INFORM));
        pair.run_for(ms(wait));
        pair.order(GATEWAY, Command::RekeyChild { child: old });
        pair.run_for(secs(60));
        assert_pairs(&pair, &["story"]);
        assert_calm(&pair);
    }
}

// Child rekey: the responder handles a hard expire: it deletes the old pair before who asked does.
#[test]
fn the_old_pair_deleted_by_the_one_who_answered_is_simply_gone() {
    for wait in [12, 22, 32] {
        let mut pair = Pair::new(300 + wait).established();
        let old = pair.gateway().child("story");
        rekey(&mut pair, CLIENT);
        pair.net.lose(Which::of(CLIENT).request(INFORM));
        pair.run_for(ms(wait));
        pair.order(GATEWAY, Command::CloseChild { child: old });
        pair.run_for(secs(60));
        assert_pairs(&pair, &["story"]);
        assert_eq!(pair.client().installs().len(), 2);
        assert_calm(&pair);
    }
}

// Child rekey: the responder deletes the new SA early; sends a Delete of the old one before its answer is seen.
#[test]
fn a_delete_that_overtakes_the_answer_is_taken_for_what_it_says() {
    for new_one in [false, true] {
        let mut pair = Pair::new(400).established();
        let old = pair.gateway().child("story");
        pair.net.plan(Which::of(GATEWAY).answer(CREATE), Fate::Late(ms(700)));
        rekey(&mut pair, CLIENT);
        pair.run_for(ms(15));
        let child = if new_one { *pair.gateway().live_children().last().unwrap() } else { old };
        pair.order(GATEWAY, Command::CloseChild { child });
        // Less than it takes until the client tries again.
        pair.run_for(secs(20));
        assert_calm(&pair);
        let live = (pair.client().live_children().len(), pair.gateway().live_children().len());
        assert_eq!(live, (1, 1));
        // The old one lives if the new one goes, and the other way round.
        assert_pairs(&pair, &["story"]);
        assert_eq!(pair.gateway().live_children().contains(&old), new_one);
    }
}

// Child rekey: collision; delete timeout; dropped delete, rekey, answer, in any combination. No gap: at every moment after the
// first pair came up each end has one that sends.
#[test]
fn both_at_once_whatever_is_lost_and_there_is_always_a_pair_that_sends() {
    for seed in 0..64_u64 {
        let mut pair = Pair::new(500 + seed).established();
        let of = |who| [Which::of(who).request(CREATE), Which::of(who).answer(CREATE), Which::of(who).answer(INFORM)];
        pair.net.lose_those(seed, [CLIENT, GATEWAY].into_iter().flat_map(of));
        rekey(&mut pair, CLIENT);
        rekey(&mut pair, GATEWAY);
        for _ in 0..600 {
            pair.run_for(ms(100));
            for host in [pair.client(), pair.gateway()] {
                let live = host.live_children();
                let never = |id: &ChildId| {
                    host.installs().iter().any(|(child, i)| child == id && matches!(i.sends, Sends::Never { .. }))
                };
                assert!(live.iter().any(|child| !never(child)), "{} {seed}: nothing sends", host.name);
            }
        }
        assert_pairs(&pair, &["story"]);
        let up =
            |host: &stage::Host| host.installs().iter().filter(|(_, i)| matches!(i.sends, Sends::Never { .. })).count();
        assert!(up(pair.client()) + up(pair.gateway()) <= 1, "one of them lost, at most");
        assert_calm(&pair);
    }
}

// Child rekey: against delete, with every order of events.
#[test]
fn a_delete_wins_over_a_rekey_of_the_same_pair() {
    for (rekeys, closes) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT)] {
        let mut pair = Pair::new(600).established();
        rekey(&mut pair, rekeys);
        close(&mut pair, closes);
        pair.run_for(secs(60));
        assert_eq!(pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE)).count(), 1);
        assert_pairs(&pair, &[]);
        assert_calm(&pair);
        let asker = pair.host(rekeys);
        assert_eq!(asker.child_downs().iter().map(|(_, why)| why).collect::<Vec<_>>(), [&DownReason::PeerDeleted]);
        assert_eq!(asker.installs().len(), 1, "no new pair is told of");
    }
}

// Child rekey: against IKE rekey, and against IKE delete.
#[test]
fn replacing_a_pair_while_the_ike_sa_is_replaced_or_deleted() {
    for (child, ike) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT)] {
        let mut pair = Pair::new(700).established();
        let sa = pair.host(ike).sa();
        pair.order(ike, Command::Rekey { sa });
        rekey(&mut pair, child);
        pair.run_for(secs(120));
        assert_eq!(pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE)).count(), 2, "each refuses the other");
        assert_pairs(&pair, &["story"]);
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.rekeys().len(), host.installs().len()), (1, 2), "{}", host.name);
        }
        assert_calm(&pair);

        let mut pair = Pair::new(701).established();
        rekey(&mut pair, child);
        pair.close(ike);
        pair.settle();
        assert!(pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE)).count() >= 1);
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.engine.population().child_sas, host.downs().len()), (0, 1), "{}", host.name);
            assert_eq!(host.installs().len(), 1, "{}", host.name);
        }
    }
}

// Child delete: regular; both ends at once; one dropped.
#[test]
fn deleting_a_pair_from_one_end_or_both_with_losses() {
    for case in 0..4 {
        let mut pair = Pair::new(800 + case).established();
        if case >= 2 {
            pair.net.lose(Which::of(CLIENT).request(INFORM));
        }
        close(&mut pair, CLIENT);
        if case % 2 == 1 {
            close(&mut pair, GATEWAY);
        }
        pair.settle();
        assert_pairs(&pair, &[]);
        assert_calm(&pair);
        for host in [pair.client(), pair.gateway()] {
            assert_eq!(host.child_downs().len(), 1, "{}", host.name);
        }
        let asked = if case % 2 == 1 { 2 } else { 1 };
        let requests = pair.said(|told| told.asks(INFORM) && deletes(told) && told.copies_before == 0);
        assert_eq!(requests.count(), asked);
    }
}

// Child delete: against IKE rekey (TEMP_FAIL), and against IKE delete.
#[test]
fn deleting_a_pair_while_the_ike_sa_is_replaced_or_deleted() {
    for (child, ike) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT)] {
        let mut pair = Pair::new(900).established();
        let sa = pair.host(ike).sa();
        close(&mut pair, child);
        pair.order(ike, Command::Rekey { sa });
        pair.run_for(secs(120));
        assert_eq!(pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE)).count(), 1);
        assert_pairs(&pair, &[]);
        assert_eq!((pair.client().rekeys().len(), pair.gateway().rekeys().len()), (1, 1));
        assert_calm(&pair);

        let mut pair = Pair::new(901).established();
        close(&mut pair, child);
        pair.close(ike);
        pair.settle();
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.engine.population().child_sas, host.downs().len()), (0, 1), "{}", host.name);
            assert_eq!(host.child_downs().len(), 1, "{}", host.name);
        }
    }
}
