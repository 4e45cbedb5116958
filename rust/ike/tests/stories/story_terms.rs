//! Stories of peers that the control plane lets in on terms of their own: what they reach, where they lease from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::command::Verdict;
use mobike_ike::event::{ConnectError, DownReason};
use mobike_ike::profile::{Pool, RequestVip};
use mobike_ike::{Selector, Terms};
use stage::children::{assert_pairs, live, more, selector};
use stage::{CLIENT, Command, Event, GATEWAY, Pair, WAN, WIFI, ip, ms, secs};

/// Both ends know `voice` and `video` beside the first; the gateway asks about everybody.
fn pair(seed: u64) -> Pair {
    let children = |near: &str, far: &str| {
        let (near, far) = (near.to_owned(), far.to_owned());
        move |profile: &mut stage::Profile| {
            more(profile, "voice", &format!("{near}1.0/24[udp/5060]"), &format!("{far}1.0/24[udp/5060]"));
            more(profile, "video", &format!("{near}2.0/24"), &format!("{far}2.0/24"));
        }
    };
    Pair::new(seed)
        .client_profile(children("10.1.", "10.2."))
        .gateway_profile(children("10.2.", "10.1."))
        .gateway_profile(|profile| profile.proofs.judged = true)
}

fn let_in(mut pair: Pair, terms: Terms) -> Pair {
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(100));
    let asked = pair.gateway().events.iter().rev().find_map(|(_, event)| match event {
        Event::Authorise(asked) => Some((asked.sa, asked.question)),
        _ => None,
    });
    let (sa, question) = asked.expect("a question");
    let verdict = Verdict::Allow { key: Box::default(), proven: Vec::new(), terms };
    pair.order(GATEWAY, Command::Verdict { sa, question, verdict });
    pair.run_for(secs(1));
    pair
}

fn reaching(networks: &[&str]) -> Terms {
    Terms { reach: Some(networks.iter().map(|network| selector(network)).collect()), ..Terms::default() }
}

fn open(pair: &mut Pair, name: &str) {
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::OpenChild { sa, name: name.into() });
    pair.settle();
}

#[test]
fn a_peer_reaches_what_was_named_for_it_and_nothing_else_of_what_its_connection_carries() {
    let mut pair = let_in(pair(1), reaching(&["10.2.0.0/25", "10.2.2.0/23", "192.0.2.0/24"]));
    assert_pairs(&pair, &["story"]);
    assert_eq!(live(pair.client())[0].1.remote_ts, [selector("10.2.0.0/25")]);
    open(&mut pair, "voice");
    assert_pairs(&pair, &["story"]);
    open(&mut pair, "video");
    assert_pairs(&pair, &["story", "video"]);
    // New keys change nothing of it.
    for name in ["story", "video"] {
        let child = pair.client().child(name);
        pair.order(CLIENT, Command::RekeyChild { child });
        pair.settle();
    }
    assert_pairs(&pair, &["story", "video"]);
    assert_eq!(live(pair.gateway())[0].1.local_ts, [selector("10.2.0.0/25")]);
}

#[test]
fn what_a_peer_reaches_is_remembered_over_a_restart() {
    let mut pair = let_in(pair(2), reaching(&["10.2.0.0/25"]));
    pair.restart(GATEWAY);
    pair.settle();
    let child = pair.client().child("story");
    pair.order(CLIENT, Command::RekeyChild { child });
    pair.settle();
    assert_eq!(live(pair.client())[0].1.remote_ts, [selector("10.2.0.0/25")]);
    open(&mut pair, "voice");
    assert_pairs(&pair, &["story"]);
}

#[test]
fn a_peer_with_nothing_within_its_reach_stays_outside() {
    for networks in [&["192.0.2.0/24"][..], &[]] {
        let pair = let_in(pair(3), reaching(networks));
        assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
        assert_eq!(pair.gateway().ups().len(), 0);
        assert!(pair.gateway().notices().iter().any(|text| text.contains("within the reach")));
    }
}

fn guests() -> Pool {
    let v4 = Some(([10, 8, 0, 5].into(), [10, 8, 0, 9].into()));
    Pool { shared: Some("guests".into()), sticky: secs(3_600), v4, v6: None }
}

fn leasing(pool: &str) -> Terms {
    Terms { pool: Some(pool.into()), ..Terms::default() }
}

#[test]
fn a_peer_leases_from_the_pool_that_was_named_for_it() {
    let mut pair = pair(4)
        .client_profile(|profile| {
            profile.request_virtual_ip = RequestVip { v4: true, v6: false };
            profile.local_ts.clear();
        })
        .gateway_profile(|profile| {
            profile.remote_ts.clear();
            profile.pool = Some(Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, 9].into())), ..Pool::default() });
            profile.named_pools = [guests()].into();
        });
    pair = let_in(pair, leasing("guests"));
    assert_eq!(pair.client().up().virtual_ips, [ip("10.8.0.5")]);
    assert_eq!(pair.gateway().installs()[0].1.remote_ts, [Selector::host(ip("10.8.0.5"))]);
    // It is leased over a restart, and kept for it when it has left.
    pair.restart(GATEWAY);
    pair.settle();
    pair.close(CLIENT);
    pair.settle();
    assert!(matches!(pair.gateway().downs().last().unwrap().1, DownReason::PeerDeleted));
    let pair = let_in(pair, leasing("guests"));
    assert_eq!(pair.client().ups().last().unwrap().virtual_ips, [ip("10.8.0.5")]);
    // Without a word, it is the connection's pool again; from one that is not there it gets nothing.
    let mut pair = pair;
    for (terms, expected) in [(Terms::default(), &[ip("10.9.0.1")][..]), (leasing("staff"), &[])] {
        pair.close(CLIENT);
        pair.settle();
        pair = let_in(pair, terms);
        assert_eq!(pair.gateway().ups().last().unwrap().virtual_ips[..], *expected);
    }
}
