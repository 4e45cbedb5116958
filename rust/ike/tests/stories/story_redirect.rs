//! On to another gateway (RFC 5685): in IKE_SA_INIT, in IKE_AUTH, and from an established IKE SA.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use core::net::IpAddr;
use std::sync::Arc;

use mobike_ike::event::{ConnectError, DownReason};
use mobike_ike::wire::{Flags, Header, MessageWriter, Payload};
use mobike_ike::{Command, Gateway, NattPorts, Redirect, Token, TurnAway};
use stage::{CLIENT, Event, ExchangeType, GATEWAY, NotifyType, PROFILE, Pair, WAN, WAN2, WIFI, Which, secs};

const OTHER: &str = "198.51.100.77";

fn to(gateways: &[&str]) -> Arc<[Gateway]> {
    gateways.iter().map(|text| text.parse().unwrap()).collect()
}

fn pair(seed: u64) -> Pair {
    Pair::new(seed).client_profile(|profile| profile.redirect.follow = true)
}

fn turn_away(pair: &mut Pair, gateways: &[&str], from: u32) {
    let orders = TurnAway { to: to(gateways), from };
    pair.order(GATEWAY, Command::TurnAway { orders: Some(Arc::new(orders)) });
}

fn connect_from(pair: &mut Pair, origin: Option<IpAddr>) {
    let paths = vec![Pair::init_path(WIFI, WAN)];
    let natt = NattPorts { local: 4500, remote: 4500 };
    let order = Command::Connect { token: Token(7), profile: PROFILE, paths, natt, redirected_from: origin };
    pair.order(CLIENT, order);
    pair.settle();
}

#[track_caller]
fn assert_sent_on(pair: &Pair, gateway: &str) {
    let failures = pair.client().failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(*failures[0].0, ConnectError::Redirected(gateway.parse().unwrap()));
    assert!(pair.client().alive().is_empty());
    assert_eq!(pair.client().engine.population().ike_sas, 0);
}

fn asked_to_go(pair: &Pair) -> Vec<String> {
    let events = pair.client().events.iter();
    let gateways = events.filter_map(|(_, event)| match event {
        Event::Redirected { to, .. } => Some(to.to_string()),
        _ => None,
    });
    gateways.collect()
}

#[test]
fn a_gateway_sends_strangers_on_and_keeps_nothing_of_them() {
    let mut pair = pair(1);
    turn_away(&mut pair, &["2001:db8::77", OTHER], 0);
    // HDR(A,0), SA, KE, Ni, N(REDIRECT_SUPPORTED) -->   <-- HDR(A,0), N(REDIRECT, 198.51.100.77, Ni)
    pair.connect();
    assert_sent_on(&pair, OTHER);
    assert_eq!(pair.gateway().engine.population().ike_sas, 0);
    assert_eq!((pair.gateway().count("redirects_sent"), pair.gateway().count("init_answered")), (1, 0));
    assert_eq!(pair.said(|told| told.carries(NotifyType::REDIRECT)).count(), 1);
    // Nobody is turned away any more.
    pair.order(GATEWAY, Command::TurnAway { orders: None });
    pair.connect();
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
}

#[test]
fn who_does_not_follow_is_served() {
    let mut pair = Pair::new(2);
    turn_away(&mut pair, &[OTHER], 0);
    pair.connect();
    assert_eq!(pair.said(|told| told.carries(NotifyType::REDIRECT_SUPPORTED)).count(), 0);
    assert_eq!((pair.client().alive().len(), pair.gateway().count("redirects_sent")), (1, 0));
}

#[test]
fn only_a_gateway_of_the_family_in_use_is_named_and_a_host_name_serves_both() {
    let mut one = pair(3);
    turn_away(&mut one, &["2001:db8::77"], 0);
    one.connect();
    assert_eq!(one.client().alive().len(), 1);
    let mut one = pair(4);
    turn_away(&mut one, &["2001:db8::77", "gw2.example.net"], 0);
    one.connect();
    assert_sent_on(&one, "gw2.example.net");
}

#[test]
fn a_full_gateway_sends_on_whom_nobody_sent_to_it() {
    let mut pair = pair(5);
    turn_away(&mut pair, &[OTHER], 1);
    pair.connect();
    assert_eq!(pair.client().alive().len(), 1, "it had room for one");
    connect_from(&mut pair, None);
    assert_eq!(*pair.client().failures()[0].0, ConnectError::Redirected(OTHER.parse().unwrap()));
    // N(REDIRECTED_FROM) -->   it would go round in circles between two full gateways
    connect_from(&mut pair, Some(WAN2));
    assert_eq!((pair.client().alive().len(), pair.gateway().count("redirects_sent")), (2, 1));
    assert_eq!(pair.said(|told| told.carries(NotifyType::REDIRECTED_FROM)).count(), 1);
}

#[test]
fn a_gateway_that_is_drained_sends_everybody_on_but_not_back() {
    let mut one = pair(6);
    turn_away(&mut one, &[OTHER], 0);
    connect_from(&mut one, Some(WAN2));
    assert_sent_on(&one, OTHER);
    let mut one = pair(7);
    turn_away(&mut one, &[OTHER], 0);
    connect_from(&mut one, Some(OTHER.parse().unwrap()));
    assert_eq!(one.client().alive().len(), 1, "it comes from there");
}

#[test]
fn a_redirect_without_our_nonce_is_from_somebody_who_guesses() {
    for nonce in [&[0u8; 32][..], &[], &[7; 33]] {
        let mut pair = pair(8);
        pair.connect_over(&[(WIFI, WAN)]);
        let spi =
            pair.said(|told| told.asks(ExchangeType::IKE_SA_INIT)).next().unwrap().header().unwrap().initiator_spi;
        let flags = Flags { initiator: false, version: false, response: true };
        let header = Header::new(spi, 0, ExchangeType::IKE_SA_INIT, flags, 0);
        let mut writer = MessageWriter::new(&header);
        let octets = OTHER.parse::<Gateway>().unwrap().octets(nonce);
        writer.push(&Payload::notify(NotifyType::REDIRECT, &octets));
        let forged = writer.finish().unwrap();
        pair.inject(CLIENT, Pair::init_path(WIFI, WAN), &forged);
        pair.settle();
        assert_eq!((pair.client().alive().len(), pair.client().failures().len()), (1, 0), "the gateway answered");
        assert_eq!(pair.client().count("redirects_heard"), 1);
    }
}

#[test]
fn a_peer_that_has_proved_who_it_is_is_sent_on_in_ike_auth_without_a_child_sa() {
    let mut pair = pair(9).gateway_profile(|profile| profile.redirect.to = to(&[OTHER]));
    // { IDi, AUTH, SA, TSi, TSr } -->   <-- { IDr, AUTH, N(REDIRECT) }   { D } -->   <-- { }
    pair.connect();
    assert_sent_on(&pair, OTHER);
    assert!(pair.gateway().installs().is_empty());
    let whys: Vec<DownReason> = pair.gateway().downs().into_iter().map(|(_, why)| why).collect();
    assert_eq!(whys, [DownReason::PeerDeleted]);
    assert_eq!(pair.gateway().engine.population().ike_sas, 0);
}

#[test]
fn a_gateway_that_does_not_prove_who_it_is_sends_nobody_on_in_ike_auth() {
    use mobike_ike::profile::PskSecret;
    let mut pair = pair(10)
        .gateway_profile(|profile| profile.redirect.to = to(&[OTHER]))
        .client_profile(|profile| profile.psk = PskSecret::from_slice(b"another secret"));
    pair.connect();
    assert!(!matches!(pair.client().failures()[0].0, ConnectError::Redirected(_)));
}

#[test]
fn an_ike_sa_that_its_peer_leaves_to_the_gateway_in_ike_auth_ends_by_itself() {
    let mut pair = pair(11).gateway_profile(|profile| profile.redirect.to = to(&[OTHER]));
    pair.net.lose(Which::of(CLIENT).request(ExchangeType::INFORMATIONAL));
    pair.connect();
    assert_eq!(pair.gateway().alive().len(), 1);
    pair.run_for(secs(61));
    assert_eq!(pair.gateway().downs()[0].1, DownReason::SentOn);
}

#[test]
fn a_drained_peer_keeps_its_tunnel_until_it_has_another() {
    let mut pair = pair(12).established();
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::Redirect { sa, to: to(&[OTHER]) });
    pair.settle();
    // <-- { N(REDIRECT) }   { } -->
    assert_eq!(asked_to_go(&pair), [OTHER]);
    assert_eq!((pair.client().alive().len(), pair.gateway().live_children().len()), (1, 1), "make before break");
    pair.close(CLIENT);
    pair.settle();
    assert_eq!(pair.gateway().downs()[0].1, DownReason::PeerDeleted);
}

#[test]
fn a_drained_peer_that_does_not_go_is_let_go() {
    let mut pair = pair(13).established();
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::Redirect { sa, to: to(&[OTHER]) });
    pair.run_for(secs(59));
    assert_eq!(pair.gateway().alive().len(), 1);
    pair.run_for(secs(5));
    assert_eq!(pair.gateway().downs()[0].1, DownReason::SentOn);
    assert_eq!(pair.client().downs()[0].1, DownReason::PeerDeleted);
}

#[test]
fn who_did_not_say_that_it_follows_is_not_sent_on() {
    let mut pair = Pair::new(14).established();
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::Redirect { sa, to: to(&[OTHER]) });
    pair.run_for(secs(120));
    assert_eq!((asked_to_go(&pair).len(), pair.gateway().alive().len()), (0, 1));
    assert!(pair.gateway().notices().iter().any(|text| text.contains("follows no redirect")));
}

#[test]
fn a_gateway_that_restarted_knows_who_follows() {
    let mut pair = pair(16).established();
    let sa = pair.gateway().sa();
    pair.restart(GATEWAY);
    pair.order(GATEWAY, Command::Redirect { sa, to: to(&[OTHER]) });
    pair.settle();
    assert_eq!(asked_to_go(&pair), [OTHER]);
}

#[test]
fn a_client_sends_no_gateway_on() {
    let mut pair = pair(15).gateway_profile(|profile| profile.redirect = Redirect::default()).established();
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::Redirect { sa, to: to(&[OTHER]) });
    pair.run_for(secs(120));
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    assert_eq!(pair.client().count("commands_refused"), 1);
}
