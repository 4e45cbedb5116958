//! Several Child SAs in one IKE SA (RFC 7296 sections 1.3.1 and 2.9): opened by either end, narrowed, limited, closed one by
//! one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::Sends;
use mobike_ike::event::DownReason;
use stage::children::{assert_pairs, deletes, live, more, selector, suites};
use stage::{CLIENT, Command, ExchangeType, Fate, GATEWAY, HostId, LTE, NotifyType, Pair, Told, WAN, Which, ms, secs};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

/// Both ends know `voice` and `video` beside the first, which is called `story`.
fn pair(seed: u64) -> Pair {
    let children = |near: &str, far: &str| {
        let (near, far) = (near.to_owned(), far.to_owned());
        move |profile: &mut stage::Profile| {
            more(profile, "voice", &format!("{near}1.0/24[udp/5060]"), &format!("{far}1.0/24[udp/5060]"));
            more(profile, "video", &format!("{near}2.0/24"), &format!("{far}2.0/24"));
        }
    };
    Pair::new(seed).client_profile(children("10.1.", "10.2.")).gateway_profile(children("10.2.", "10.1."))
}

fn open(pair: &mut Pair, who: HostId, name: &str) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::OpenChild { sa, name: name.into() });
}

fn close(pair: &mut Pair, who: HostId, name: &str) {
    let child = pair.host(who).child(name);
    pair.order(who, Command::CloseChild { child });
}

fn payloads(told: &Told) -> Vec<&str> {
    told.contents.as_ref().unwrap().payloads.iter().map(String::as_str).collect()
}

#[test]
fn either_end_opens_one_more_and_it_has_its_own_traffic() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(1).established();
        // CREATE_CHILD_SA { SA, Ni, TSi, TSr } -->; <-- { SA, Nr, TSi, TSr }
        open(&mut pair, who, "voice");
        pair.settle();
        assert_pairs(&pair, &["story", "voice"]);
        let said: Vec<_> = pair.said(|told| told.asks(CREATE) || told.answers(CREATE)).map(payloads).collect();
        assert_eq!(said, [["SA", "NONCE", "TS_INITIATOR", "TS_RESPONDER"]; 2]);
        let voice = live(pair.client())[1].1;
        assert_eq!(voice.local_ts, [selector("10.1.1.0/24[udp/5060]")]);
        assert_eq!(voice.remote_ts, [selector("10.2.1.0/24[udp/5060]")]);
        assert_eq!(voice.sends, Sends::AtOnce);
        assert_eq!(voice.local_ts[0].to_string(), "10.1.1.0/24[udp/5060]");
        assert_eq!(live(pair.gateway())[1].0, "voice", "both ends call it the same, by its traffic");
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.count("children_up"), host.count("children_rekeyed")), (2, 0));
        }
    }
}

#[test]
fn those_that_belong_to_the_connection_come_up_with_it_one_after_the_other() {
    let start = |profile: &mut stage::Profile| profile.plan.others.iter_mut().for_each(|child| child.start = true);
    // Only an initiator opens by itself, whatever the gateway's profile says.
    let mut pair = pair(2).client_profile(start).gateway_profile(start);
    pair.connect();
    assert_pairs(&pair, &["story", "video", "voice"]);
    assert_eq!(pair.said(|told| told.asks(CREATE)).count(), 2);
    assert!(pair.said(|told| told.asks(CREATE)).all(|told| told.from == CLIENT));
}

#[test]
fn keys_of_their_own_are_agreed_where_the_profile_says_so() {
    let pfs = |profile: &mut stage::Profile| {
        profile.plan.others.iter_mut().for_each(|child| child.esp_suites = suites(&["aes256gcm16-x25519"]));
    };
    let mut pair = pair(3).client_profile(pfs).gateway_profile(pfs).established();
    open(&mut pair, CLIENT, "video");
    pair.settle();
    assert_pairs(&pair, &["story", "video"]);
    assert!(pair.said(|told| told.asks(CREATE) || told.answers(CREATE)).all(|told| payloads(told).contains(&"KE")));
}

#[test]
fn another_group_is_tried_if_the_peer_asks_for_it() {
    let mut pair = pair(4)
        .client_profile(|profile| {
            profile.plan.others[1].esp_suites = suites(&["aes256gcm16-x25519", "aes256gcm16-ecp256"]);
        })
        .gateway_profile(|profile| profile.plan.others[1].esp_suites = suites(&["aes256gcm16-ecp256"]))
        .established();
    // { .., KEi(x25519) } -->; <-- N(INVALID_KE_PAYLOAD, p256); { .., KEi(p256) } -->; <-- { .., KEr }
    open(&mut pair, CLIENT, "video");
    pair.settle();
    assert_pairs(&pair, &["story", "video"]);
    assert_eq!(pair.said(|told| told.carries(NotifyType::INVALID_KE_PAYLOAD)).count(), 1);
    assert_eq!(pair.client().child_failures(), []);
}

#[test]
fn what_cannot_be_had_is_refused_with_its_reason_and_leaves_nothing() {
    type Spoil = (fn(&mut stage::Profile), NotifyType);
    let spoil: [Spoil; 3] = [
        (|profile| profile.plan.others[1].remote_ts = vec![selector("10.77.0.0/16")], NotifyType::TS_UNACCEPTABLE),
        (|profile| profile.plan.others[1].esp_suites = suites(&["aes128gcm16"]), NotifyType::NO_PROPOSAL_CHOSEN),
        (|profile| profile.plan.at_most = 1, NotifyType::NO_ADDITIONAL_SAS),
    ];
    for (spoil, refusal) in spoil {
        let mut pair = pair(5).gateway_profile(spoil).established();
        open(&mut pair, CLIENT, "video");
        pair.settle();
        let answer = pair.said(|told| told.answers(CREATE)).next().unwrap();
        assert_eq!(payloads(answer), [format!("N({refusal})")]);
        assert_eq!(pair.client().child_failures(), [("video", refusal.to_string().as_str())]);
        assert_pairs(&pair, &["story"]);
        assert_eq!(pair.gateway().count("create_child_refused"), 1);
        assert_eq!(pair.said(|told| told.asks(CREATE)).count(), 1, "it is not asked for again");
        // The IKE SA is none the worse for it.
        pair.probe(CLIENT, None);
        pair.settle();
        assert_eq!(pair.client().checked().len(), 1);
    }
}

#[test]
fn a_peer_has_as_many_as_the_profile_allows_and_those_on_their_way_out_do_not_count() {
    let mut pair = pair(6).gateway_profile(|profile| profile.plan.at_most = 2).established();
    open(&mut pair, CLIENT, "video");
    pair.settle();
    open(&mut pair, CLIENT, "voice");
    pair.settle();
    assert_eq!(pair.client().child_failures(), [("voice", "NO_ADDITIONAL_SAS")]);
    // Replacing is possible at the limit, and closing one makes room.
    let child = pair.client().child("video");
    pair.order(CLIENT, Command::RekeyChild { child });
    pair.settle();
    close(&mut pair, CLIENT, "video");
    pair.settle();
    open(&mut pair, CLIENT, "voice");
    pair.settle();
    assert_pairs(&pair, &["story", "voice"]);
}

#[test]
fn a_wide_gateway_narrows_nothing_that_the_client_names_and_takes_the_best_fit() {
    // The gateway's first Child SA allows everything: what is asked for whole comes before what must be cut.
    let mut pair = pair(7)
        .gateway_profile(|profile| {
            profile.local_ts = vec![selector("10.2.0.0/16")];
            profile.remote_ts = vec![selector("10.1.0.0/16")];
            profile.plan.others[1].local_ts = vec![selector("10.2.2.0/25"), selector("10.2.3.0/24")];
        })
        .established();
    open(&mut pair, CLIENT, "video");
    pair.settle();
    let names: Vec<String> = live(pair.gateway()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["story", "story"], "the first holds it whole, `video` would cut it");
    // Where several hold it whole, the one that is not wider is meant.
    let mut pair = self::pair(7)
        .gateway_profile(|profile| {
            profile.local_ts = vec![selector("10.2.0.0/16")];
            profile.remote_ts = vec![selector("10.1.0.0/16")];
        })
        .established();
    open(&mut pair, CLIENT, "voice");
    pair.settle();
    let names: Vec<String> = live(pair.gateway()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["story", "voice"]);
    // Without a wide one it is cut.
    let mut pair = self::pair(8)
        .client_profile(|profile| {
            profile.plan.others[1].remote_ts =
                vec![selector("10.2.2.0/24"), selector("10.2.3.0/24"), selector("10.9.0.0/16")];
        })
        .gateway_profile(|profile| {
            profile.plan.others[1].local_ts = vec![selector("10.2.2.0/25"), selector("10.2.3.0/24")];
        })
        .established();
    open(&mut pair, CLIENT, "video");
    pair.settle();
    assert_pairs(&pair, &["story", "video"]);
    assert_eq!(live(pair.client())[1].1.remote_ts, [selector("10.2.2.0/25"), selector("10.2.3.0/24")]);
}

// strongSwan's suite: Child create, 1 of 3.
#[test]
fn one_that_is_there_or_on_its_way_is_not_asked_for_again() {
    let mut pair = pair(9).established();
    open(&mut pair, CLIENT, "voice");
    open(&mut pair, CLIENT, "voice");
    pair.settle();
    open(&mut pair, CLIENT, "voice");
    open(&mut pair, CLIENT, "story");
    open(&mut pair, CLIENT, "nobody");
    pair.settle();
    assert_eq!(pair.said(|told| told.asks(CREATE)).count(), 1);
    assert_pairs(&pair, &["story", "voice"]);
    let told: Vec<&str> = pair.client().child_failures().into_iter().map(|(name, _)| name).collect();
    assert_eq!(told, ["voice", "story", "nobody"]);
}

// strongSwan's suite: Child create, 2 of 3.
#[test]
fn opening_one_while_the_ike_sa_is_replaced_waits_for_it_whoever_does_what() {
    for (opens, rekeys) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT), (CLIENT, CLIENT)] {
        for wait in [0, 5, 15, 25] {
            let mut pair = pair(10 + wait).established();
            let sa = pair.host(rekeys).sa();
            pair.order(rekeys, Command::Rekey { sa });
            pair.run_for(ms(wait));
            open(&mut pair, opens, "video");
            pair.run_for(secs(120));
            assert_pairs(&pair, &["story", "video"]);
            for host in [pair.client(), pair.gateway()] {
                assert_eq!((host.rekeys().len(), host.downs()), (1, vec![]), "{} {wait}", host.name);
                assert_eq!(host.child_failures(), []);
            }
            if opens != rekeys && wait < 10 {
                let refused = pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE));
                assert_eq!(refused.count(), 2, "each end refuses the other: {wait}");
            }
        }
    }
}

#[test]
fn lost_and_repeated_messages_make_no_second_one() {
    for seed in 0..4 {
        let mut pair = pair(20 + seed).established();
        match seed {
            0 => pair.net.lose(Which::of(CLIENT).request(CREATE).times(2)),
            1 => pair.net.lose(Which::of(GATEWAY).answer(CREATE).times(2)),
            2 => pair.net.plan(Which::of(CLIENT).request(CREATE), Fate::Twice(ms(400))),
            _ => pair.net.plan(Which::of(GATEWAY).answer(CREATE), Fate::Late(secs(3))),
        }
        open(&mut pair, CLIENT, "video");
        pair.settle();
        assert_pairs(&pair, &["story", "video"]);
        assert_eq!((pair.client().installs().len(), pair.gateway().installs().len()), (2, 2));
    }
}

#[test]
fn closing_one_leaves_the_others_and_the_ike_sa() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(30).established();
        open(&mut pair, CLIENT, "voice");
        open(&mut pair, CLIENT, "video");
        pair.settle();
        for (name, left) in [("story", &["video", "voice"][..]), ("voice", &["video"]), ("video", &[])] {
            close(&mut pair, who, name);
            pair.settle();
            assert_pairs(&pair, left);
        }
        let other = if who == CLIENT { pair.gateway() } else { pair.client() };
        assert!(other.child_downs().iter().all(|(_, why)| *why == DownReason::PeerDeleted));
        assert_eq!(pair.said(|told| told.asks(INFORM) && deletes(told)).count(), 3);
        assert_eq!((pair.client().downs(), pair.gateway().downs()), (vec![], vec![]));
        // And it comes back.
        open(&mut pair, who, "story");
        pair.settle();
        assert_pairs(&pair, &["story"]);
    }
}

#[test]
fn replacing_one_keeps_its_name_and_traffic_and_touches_no_other() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(40).established();
        open(&mut pair, CLIENT, "voice");
        open(&mut pair, CLIENT, "video");
        pair.settle();
        let before: Vec<u32> = live(pair.client()).iter().map(|(_, install)| install.spi_in).collect();
        let child = pair.host(who).child("voice");
        pair.order(who, Command::RekeyChild { child });
        pair.settle();
        assert_pairs(&pair, &["story", "video", "voice"]);
        let after = live(pair.client());
        assert_eq!((after[0].1.spi_in, after[1].1.spi_in), (before[0], before[1]));
        assert_ne!(after[2].1.spi_in, before[2]);
        assert_eq!(after[2].1.local_ts, [selector("10.1.1.0/24[udp/5060]")]);
        // All of them, one after the other.
        for child in pair.host(who).live_children() {
            pair.order(who, Command::RekeyChild { child });
        }
        pair.settle();
        assert_pairs(&pair, &["story", "video", "voice"]);
        assert_eq!(pair.client().count("children_rekeyed"), 4);
    }
}

#[test]
fn one_that_is_closed_while_it_is_being_replaced_is_gone_with_its_successor() {
    for wait in [0, 5, 15, 25, 35] {
        for closes in [CLIENT, GATEWAY] {
            let mut pair = pair(50 + wait).established();
            open(&mut pair, CLIENT, "video");
            pair.settle();
            let child = pair.client().child("video");
            pair.order(CLIENT, Command::RekeyChild { child });
            if closes == CLIENT {
                pair.run_for(ms(wait));
                close(&mut pair, CLIENT, "video");
                pair.run_for(secs(60));
                assert_pairs(&pair, &["story"]);
                if wait < 20 {
                    let ups = pair.client().named_installs().into_iter().filter(|(_, name, _)| *name == "video");
                    assert_eq!(ups.count(), 1, "{wait}: its successor is never told of");
                }
            } else {
                let old = pair.gateway().child("video");
                pair.run_for(ms(wait));
                pair.order(GATEWAY, Command::CloseChild { child: old });
                pair.run_for(secs(60));
                let left = pair.client().live_children().len();
                assert_eq!(pair.gateway().live_children().len(), left);
                assert_eq!(pair.client().engine.population().child_sas as usize, left, "{wait}");
            }
        }
    }
}

#[test]
fn a_delete_that_crosses_a_rekey_is_answered_with_temporary_failure() {
    // RFC 7296 section 2.25.1: who tries to close it says so.
    let mut pair = pair(60).established();
    let child = pair.client().child("story");
    pair.order(CLIENT, Command::RekeyChild { child });
    close(&mut pair, GATEWAY, "story");
    pair.settle();
    assert_eq!(pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE)).count(), 1);
    assert_pairs(&pair, &[]);
    assert_eq!(pair.client().child_downs().len(), 1);
}

#[test]
fn all_of_them_are_where_the_ike_sa_is_after_a_move() {
    let mut pair = pair(70).established();
    open(&mut pair, CLIENT, "voice");
    pair.settle();
    let lte = Pair::path(LTE, WAN);
    pair.order_move(lte);
    pair.settle();
    open(&mut pair, GATEWAY, "video");
    for name in ["story", "voice"] {
        let child = pair.client().child(name);
        pair.order(CLIENT, Command::RekeyChild { child });
    }
    pair.settle();
    assert_pairs(&pair, &["story", "video", "voice"]);
    assert!(live(pair.client()).iter().all(|(_, install)| install.path == lte));
}

#[test]
fn closing_the_ike_sa_while_one_is_being_opened_leaves_nothing() {
    for who in [CLIENT, GATEWAY] {
        for wait in [0, 5, 15, 25] {
            let mut pair = pair(80).established();
            open(&mut pair, CLIENT, "voice");
            open(&mut pair, CLIENT, "video");
            pair.run_for(ms(wait));
            pair.close(who);
            pair.settle();
            for host in [pair.client(), pair.gateway()] {
                assert_eq!(host.engine.population().child_sas, 0, "{} {wait}", host.name);
                assert_eq!(host.downs().len(), 1, "{} {wait}", host.name);
            }
        }
    }
}

/// Both ends open `voice` before either hears of the other.
fn both_open(seed: u64, plan: impl Fn(&mut Pair)) -> (Pair, usize) {
    let mut pair = pair(seed).established();
    plan(&mut pair);
    open(&mut pair, CLIENT, "voice");
    open(&mut pair, GATEWAY, "voice");
    pair.run_for(secs(30));
    assert_pairs(&pair, &["story", "voice"]);
    for host in [pair.client(), pair.gateway()] {
        assert_eq!(host.child_failures(), [], "{}: what it wanted is there", host.name);
    }
    let deleted = pair.said(|told| told.asks(INFORM) && deletes(told)).count();
    // The pair carries on, and may be replaced.
    for who in [CLIENT, GATEWAY] {
        let child = pair.host(who).child("voice");
        pair.order(who, Command::RekeyChild { child });
        pair.settle();
        assert_pairs(&pair, &["story", "voice"]);
    }
    (pair, deleted)
}

#[test]
fn of_two_pairs_that_both_ends_open_at_once_one_stays() {
    // CREATE_CHILD_SA { .., Ni1 } -->   <-- { .., Ni2 }   the one with the lowest of four nonces goes
    let mut kept = [0, 0];
    for seed in 1..=12 {
        let (pair, deleted) = both_open(seed, |_| {});
        assert!((1..=2).contains(&deleted), "seed {seed}: {deleted} Deletes");
        let first = pair.client().child_downs()[0].0;
        let clients = pair.client().installs().iter().position(|(child, _)| *child == first);
        kept[usize::from(clients == Some(1))] += 1;
    }
    assert!(kept[0] > 0 && kept[1] > 0, "now this one, now that one: {kept:?}");
}

#[test]
fn of_two_pairs_one_stays_whichever_message_is_lost() {
    let messages: [fn() -> Which; 4] = [
        || Which::of(CLIENT).request(CREATE),
        || Which::of(GATEWAY).request(CREATE),
        || Which::of(CLIENT).answer(CREATE),
        || Which::of(GATEWAY).answer(CREATE),
    ];
    for which in messages {
        for seed in 1..=8 {
            both_open(seed, |pair| pair.net.lose(which()));
        }
    }
}
