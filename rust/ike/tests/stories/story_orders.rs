//! Standing orders that come, change and go while IKE SAs live: what obeys at once, what waits, who is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use std::sync::Arc;

use mobike_ike::crypto::EspSuite;
use mobike_ike::event::ConnectError;
use mobike_ike::profile::PskSecret;
use mobike_ike::{Command, Generation, Profile, ProfileId, Terms, Token, Verdict};
use stage::children::{assert_pairs, more};
use stage::{CLIENT, Event, ExchangeType, Fate, GATEWAY, HostId, PROFILE, Pair, WAN, WIFI, Which, ms, secs};

fn change(pair: &mut Pair, who: HostId, change: impl FnOnce(&mut Profile)) {
    let mut profile = pair.profile_of(who);
    profile.generation = Generation(1);
    change(&mut profile);
    pair.order(who, Command::SetProfile { id: PROFILE, profile: Arc::new(profile) });
}

#[test]
fn an_ike_sa_obeys_a_new_liveness_at_once_and_is_not_disturbed() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(3_600)).established();
    let before = (pair.client().sa(), pair.said(|_| true).count());
    change(&mut pair, CLIENT, |profile| profile.liveness = secs(5));
    assert_eq!(pair.said(|_| true).count(), before.1, "a change is no reason to speak");
    pair.run_for(secs(30));
    assert!(pair.said(|_| true).count() >= before.1 + 8, "a test and its answer every five seconds");
    assert_eq!((pair.client().sa(), pair.client().rekeys().len()), (before.0, 0));
    assert_pairs(&pair, &["story"]);
}

#[test]
fn child_sas_get_the_new_algorithms_when_they_are_replaced() {
    let mut pair = Pair::new(2).established();
    let suite: EspSuite = "chacha20poly1305".parse().unwrap();
    for who in [CLIENT, GATEWAY] {
        change(&mut pair, who, |profile| profile.esp_suites = vec![suite]);
    }
    let child = pair.client().live_children()[0];
    pair.order(CLIENT, Command::RekeyChild { child });
    pair.run_for(secs(5));
    assert_pairs(&pair, &["story"]);
    let installed = pair.client().installs().last().unwrap().1.suite;
    assert_eq!(installed, suite);
}

#[test]
fn reauthentication_is_under_the_orders_in_force() {
    let mut pair = Pair::new(3).established();
    let secret = || PskSecret::from_slice(b"another secret altogether");
    for who in [CLIENT, GATEWAY] {
        change(&mut pair, who, |profile| profile.psk = secret());
    }
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::Reauth { sa });
    pair.run_for(secs(15));
    assert_eq!(pair.client().alive().len(), 1);
    assert_ne!(pair.client().sa(), sa);
    assert_eq!(pair.client().ups().last().unwrap().orders, Generation(1));
    assert_eq!(pair.gateway().ups().last().unwrap().orders, Generation(1));
}

#[test]
fn child_sas_go_over_by_their_names_to_orders_that_count_them_otherwise() {
    let named = |profile: &mut Profile, who: HostId, names: &[&str]| {
        profile.plan.others.clear();
        for name in names {
            let (ours, theirs) =
                if who == CLIENT { ("10.8.0.0/16", "10.9.0.0/16") } else { ("10.9.0.0/16", "10.8.0.0/16") };
            more(profile, name, ours, theirs);
        }
    };
    let mut pair = Pair::new(4)
        .client_profile(|profile| named(profile, CLIENT, &["voice"]))
        .gateway_profile(|profile| named(profile, GATEWAY, &["voice"]))
        .established();
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::OpenChild { sa, name: "voice".into() });
    pair.run_for(secs(3));
    assert_pairs(&pair, &["story", "voice"]);
    for who in [CLIENT, GATEWAY] {
        change(&mut pair, who, |profile| named(profile, who, &["video", "voice"]));
    }
    pair.order(CLIENT, Command::Reauth { sa });
    pair.run_for(secs(20));
    assert_ne!(pair.client().sa(), sa);
    assert_pairs(&pair, &["story", "voice"]);
}

#[test]
fn who_is_connecting_under_orders_that_change_is_told_to_begin_anew() {
    let mut pair = Pair::new(5);
    pair.net.unplug(WIFI);
    pair.connect_over(&[(WIFI, WAN)]);
    change(&mut pair, CLIENT, |profile| profile.initial_contact = !profile.initial_contact);
    let told = pair.client().failures();
    assert!(matches!(told[..], [(ConnectError::Ordered(_), _)]), "{told:?}");
    assert_eq!(pair.client().engine.population().ike_sas, 0);
}

fn give_up(pair: &mut Pair, token: u64) {
    pair.order(CLIENT, Command::GiveUp { tokens: [Token(token)].into(), why: "there is a better way".into() });
}

#[test]
fn who_hears_nothing_while_it_connects_is_given_up_and_nobody_else() {
    let mut pair = Pair::new(5);
    pair.net.unplug(WIFI);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(3));
    give_up(&mut pair, 8);
    assert_eq!((pair.client().failures().len(), pair.client().engine.population().ike_sas), (0, 1));
    give_up(&mut pair, 7);
    let told = pair.client().failures();
    assert!(matches!(told[..], [(ConnectError::Ordered(_), _)]), "{told:?}");
    assert_eq!(pair.client().engine.population().ike_sas, 0);
}

#[test]
fn who_was_answered_while_it_connects_goes_on() {
    // IKE_SA_INIT -->   <-- answer   IKE_AUTH -->   here   <-- answer, late because an authoriser thinks
    let mut pair = Pair::new(5);
    pair.net.plan(Which::of(GATEWAY).answer(ExchangeType::IKE_AUTH).always(), Fate::Late(ms(900)));
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(700));
    assert!(pair.said(|told| told.from == CLIENT && told.asks(ExchangeType::IKE_AUTH)).count() > 1, "it was repeated");
    give_up(&mut pair, 7);
    pair.run_for(secs(2));
    give_up(&mut pair, 7);
    assert_eq!((pair.client().alive().len(), pair.client().failures().len()), (1, 0));
}

#[test]
fn who_was_answered_and_then_no_more_is_given_up() {
    let mut pair = Pair::new(5);
    pair.net.lose(Which::of(GATEWAY).answer(ExchangeType::IKE_AUTH).always());
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(5));
    give_up(&mut pair, 7);
    assert_eq!((pair.client().failures().len(), pair.client().engine.population().ike_sas), (1, 0));
}

#[test]
fn nobody_comes_up_under_orders_that_are_gone_and_who_is_up_stays() {
    let mut pair = Pair::new(6).established();
    pair.order(GATEWAY, Command::RemoveProfile { id: PROFILE });
    pair.run_for(secs(5));
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::Reauth { sa });
    pair.run_for(secs(5));
    assert_eq!(pair.client().alive(), [sa], "it is refused, and the old one stays");
}

#[test]
fn a_peer_that_is_judged_while_its_orders_change_is_refused() {
    for gone in [false, true] {
        let mut pair = Pair::new(9).gateway_profile(|profile| profile.proofs.judged = true);
        pair.connect_over(&[(WIFI, WAN)]);
        pair.run_for(ms(100));
        let mut asked = pair.gateway().events.iter().filter_map(|event| match event {
            (_, Event::Authorise(asked)) => Some((asked.sa, asked.question)),
            _ => None,
        });
        let (sa, question) = asked.next().unwrap();
        match gone {
            true => pair.order(GATEWAY, Command::RemoveProfile { id: PROFILE }),
            false => change(&mut pair, GATEWAY, |profile| profile.psk = PskSecret::from_slice(b"another secret")),
        }
        let verdict = Verdict::Allow { key: Box::default(), proven: Vec::new(), terms: Terms::default() };
        pair.order(GATEWAY, Command::Verdict { sa, question, verdict });
        pair.run_for(secs(3));
        assert!(pair.gateway().ups().is_empty());
        assert!(matches!(pair.client().failures()[..], [(ConnectError::PeerRefusedAuth, _)]));
    }
}

#[test]
fn older_orders_do_not_come_after_newer_ones() {
    let mut pair = Pair::new(7).established();
    change(&mut pair, CLIENT, |profile| profile.liveness = secs(5));
    let mut older = pair.profile_of(CLIENT);
    older.liveness = secs(0);
    pair.order(CLIENT, Command::SetProfile { id: PROFILE, profile: Arc::new(older) });
    assert_eq!(pair.client().count("stale_commands"), 1);
    let before = pair.said(|_| true).count();
    pair.run_for(secs(30));
    assert!(pair.said(|_| true).count() >= before + 8, "the newer ones hold");
}

#[test]
fn orders_of_others_touch_nobody() {
    let mut pair = Pair::new(8).established();
    let before = (pair.client().events.len(), pair.said(|_| true).count());
    let other = Profile { name: "other".into(), ..pair.profile_of(CLIENT) };
    for who in [CLIENT, GATEWAY] {
        for _ in 0..2 {
            pair.order(who, Command::SetProfile { id: ProfileId(77), profile: Arc::new(other.clone()) });
        }
        pair.order(who, Command::RemoveProfile { id: ProfileId(77) });
    }
    assert_eq!((pair.client().events.len(), pair.said(|_| true).count()), before);
    assert_pairs(&pair, &["story"]);
}
