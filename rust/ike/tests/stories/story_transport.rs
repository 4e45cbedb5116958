//! Stories of transport mode (RFC 7296 section 1.3.1): asked for and granted, declined, refused; kept by rekeys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::event::{ConnectError, DownReason};
use mobike_ike::{ChildMode, Selector};
use stage::children::{assert_pairs, live, more};
use stage::{CLIENT, Command, GATEWAY, HostId, Nat, NotifyType, Pair, Profile, WAN, WIFI, ip};

const SAID: NotifyType = NotifyType::USE_TRANSPORT_MODE;

/// The first Child SA is between the two hosts.
fn hosts(profile: &mut Profile) {
    profile.plan.mode = ChildMode::Transport;
    profile.local_ts.clear();
    profile.remote_ts.clear();
}

/// One more is, beside a first one that is a tunnel.
fn one_more(profile: &mut Profile) {
    more(profile, "hosts", "0.0.0.0/0[udp/5060]", "0.0.0.0/0[udp/5060]");
    profile.plan.others[0].mode = ChildMode::Transport;
}

fn open(pair: &mut Pair, who: HostId) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::OpenChild { sa, name: "hosts".into() });
    pair.settle();
}

fn rekey(pair: &mut Pair, who: HostId, name: &str) {
    let child = pair.host(who).child(name);
    pair.order(who, Command::RekeyChild { child });
    pair.settle();
}

#[track_caller]
fn assert_mode(pair: &Pair, name: &str, mode: ChildMode) {
    for host in [pair.client(), pair.gateway()] {
        let modes: Vec<_> = live(host).iter().filter(|(known, _)| known == name).map(|(_, child)| child.mode).collect();
        assert_eq!(modes, [mode], "{}", host.name);
    }
}

#[test]
fn hosts_that_both_want_it_have_it_for_what_they_send_to_each_other_and_no_mobike() {
    let mut pair = Pair::new(1).client_profile(hosts).gateway_profile(hosts).established();
    assert_pairs(&pair, &["story"]);
    assert_mode(&pair, "story", ChildMode::Transport);
    let child = live(pair.client())[0].1;
    assert_eq!((&child.local_ts[..], &child.remote_ts[..]), (&[Selector::host(WIFI)][..], &[Selector::host(WAN)][..]));
    assert_eq!(pair.said(|told| told.carries(SAID)).count(), 1, "granted; the stage reads no IKE_AUTH requests");
    // MOBIKE moves tunnels (RFC 4555 section 1.2).
    assert!(!pair.client().up().mobike && !pair.gateway().up().mobike);
    assert_eq!(pair.said(|told| told.carries(NotifyType::MOBIKE_SUPPORTED)).count(), 0);
    // New keys, by either end, of either kind of SA.
    for who in [CLIENT, GATEWAY] {
        rekey(&mut pair, who, "story");
        let sa = pair.host(who).sa();
        pair.order(who, Command::Rekey { sa });
        pair.settle();
        rekey(&mut pair, who, "story");
        assert_pairs(&pair, &["story"]);
        assert_mode(&pair, "story", ChildMode::Transport);
    }
    assert_eq!(pair.said(|told| told.carries(SAID)).count(), 1 + 2 * 4);
}

#[test]
fn one_more_child_sa_is_between_the_hosts_whatever_the_first_is_and_whoever_asks() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(2).client_profile(one_more).gateway_profile(one_more).established();
        assert_eq!(pair.said(|told| told.carries(SAID)).count(), 0);
        open(&mut pair, who);
        assert_pairs(&pair, &["hosts", "story"]);
        assert_mode(&pair, "hosts", ChildMode::Transport);
        assert_mode(&pair, "story", ChildMode::Tunnel);
        let only = Selector { protocol: 17, start_port: 5060, end_port: 5060, ..Selector::host(WIFI) };
        assert_eq!(live(pair.client())[0].1.local_ts, [only]);
        assert!(!pair.client().up().mobike);
    }
}

#[test]
fn an_initiator_that_gets_a_tunnel_instead_deletes_it() {
    let tunnel = |profile: &mut Profile| {
        profile.local_ts = vec![Selector::ANY_V4];
        profile.remote_ts = vec![Selector::ANY_V4];
    };
    let mut pair = Pair::new(3).client_profile(hosts).gateway_profile(tunnel);
    pair.connect();
    pair.settle();
    let (why, _) = pair.client().failures()[0];
    assert!(matches!(why, ConnectError::NoChildSa(why) if why.contains("a tunnel, where we asked for")), "{why}");
    assert_eq!(pair.said(|told| told.carries(SAID)).count(), 0, "it is not granted");
    assert_eq!(pair.gateway().live_children(), []);
    // The same of one more.
    let also_tunnel = |profile: &mut Profile| {
        one_more(profile);
        profile.plan.others[0].mode = ChildMode::Tunnel;
    };
    let mut pair = Pair::new(4).client_profile(one_more).gateway_profile(also_tunnel).established();
    open(&mut pair, CLIENT);
    let (name, why) = pair.client().child_failures()[0];
    assert_eq!((name, why), ("hosts", "a tunnel, where we asked for transport mode"));
    assert_pairs(&pair, &["story"]);
    assert!(matches!(pair.gateway().child_downs()[..], [(_, DownReason::PeerDeleted)]));
}

#[test]
fn a_responder_that_wants_it_makes_no_tunnel() {
    let tunnel = |profile: &mut Profile| {
        profile.local_ts = vec![Selector::host(WIFI)];
        profile.remote_ts = vec![Selector::host(WAN)];
    };
    let mut pair = Pair::new(5).client_profile(tunnel).gateway_profile(hosts);
    pair.connect();
    pair.settle();
    let (why, _) = pair.client().failures()[0];
    assert!(matches!(why, ConnectError::NoChildSa(why) if why.contains("NO_PROPOSAL_CHOSEN")), "{why}");
    assert_eq!(pair.gateway().live_children(), []);
    let said = "story is in transport mode here, and the peer asks for a tunnel";
    assert!(pair.gateway().notices().iter().any(|text| text.contains(said)), "{:?}", pair.gateway().notices());
}

#[test]
fn where_a_nat_is_nothing_of_it_is_asked_for() {
    let behind = |seed| {
        let mut pair = Pair::new(seed);
        pair.net.nats.push(Nat::new(ip("198.18.0.1"), &[WIFI]));
        pair
    };
    let mut pair = behind(6).client_profile(hosts).gateway_profile(hosts);
    pair.connect();
    pair.settle();
    let (why, _) = pair.client().failures()[0];
    assert!(matches!(why, ConnectError::BadOrder(why) if why.contains("does not go through a NAT")), "{why}");
    let mut pair = behind(7).client_profile(one_more).gateway_profile(one_more).established();
    for who in [CLIENT, GATEWAY] {
        open(&mut pair, who);
        let (name, why) = pair.host(who).child_failures()[0];
        assert!(name == "hosts" && why.contains("does not go through a NAT"), "{why}");
    }
    for host in [pair.client(), pair.gateway()] {
        assert_eq!(live(host).len(), 1, "{}", host.name);
    }
    assert_eq!(pair.said(|told| told.carries(SAID)).count(), 0);
}

#[test]
fn selectors_about_others_than_the_hosts_are_a_bad_order() {
    let others = |profile: &mut Profile| profile.plan.mode = ChildMode::Transport;
    let mut pair = Pair::new(8).client_profile(others).gateway_profile(hosts);
    pair.connect();
    pair.settle();
    let (why, _) = pair.client().failures()[0];
    assert!(matches!(why, ConnectError::BadOrder(why) if why.contains("not that of the two hosts")), "{why}");
}

#[test]
fn a_restart_knows_the_mode_by_the_profile() {
    let mut pair = Pair::new(9).client_profile(hosts).gateway_profile(hosts).established();
    pair.restart(GATEWAY);
    pair.settle();
    for who in [GATEWAY, CLIENT] {
        rekey(&mut pair, who, "story");
        assert_pairs(&pair, &["story"]);
        assert_mode(&pair, "story", ChildMode::Transport);
    }
}
