//! Why something did not come up: what the peer offered, beside what we take, part by part.

#![allow(clippy::expect_used, reason = "a story that cannot go on fails")]

use std::sync::Arc;

use mobike_ike::event::{Comparison, NoticeKind, Row};
use mobike_ike::profile::PskSecret;

use crate::stage::*;

/// What the gateway compared.
fn compared(pair: &Pair) -> (NoticeKind, Comparison) {
    let told = |event: &Event| match event {
        Event::Notice { kind, compared: Some(compared), .. } => Some((*kind, (**compared).clone())),
        _ => None,
    };
    let mut all: Vec<_> = pair.gateway().events.iter().filter_map(|(_, event)| told(event)).collect();
    all.pop().expect("nothing was compared")
}

/// What the client compared.
fn by_client(pair: &Pair) -> Comparison {
    let told = |event: &Event| match event {
        Event::ConnectFailed { compared: Some(compared), .. } => Some((**compared).clone()),
        _ => None,
    };
    pair.client().events.iter().find_map(|(_, event)| told(event)).expect("nothing was compared")
}

fn row(what: &'static str, theirs: &[&str], ours: &[&str], fits: bool) -> Row {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    Row { what, theirs: owned(theirs), ours: owned(ours), fits }
}

fn suites<T: core::str::FromStr<Err: core::fmt::Debug>>(names: &[&str]) -> Vec<T> {
    names.iter().map(|name| name.parse().expect("a suite")).collect()
}

/// A client with other orders than the gateway's tries once.
fn tried(client: impl FnOnce(&mut Profile), gateway: impl FnOnce(&mut Profile)) -> Pair {
    let mut pair = Pair::new(7).client_profile(client).gateway_profile(gateway);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.settle();
    pair
}

#[test]
fn algorithms_are_compared_with_the_closest_suite_kind_by_kind() {
    // SA(aes256-sha1-prfsha1-modp2048), KEi, Ni -->    <-- N(NO_PROPOSAL_CHOSEN)
    let pair = tried(
        |client| client.ike_suites = suites(&["aes256-sha1-modp2048"]),
        |gateway| {
            gateway.ike_suites =
                suites(&["aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048", "aes256gcm16-prfsha384-ecp384"]);
        },
    );
    let (kind, compared) = compared(&pair);
    assert_eq!((kind, compared.reason), (NoticeKind::NoProposal, "no-proposal"));
    assert_eq!(
        compared.rows,
        [
            row("encryption", &["aes256"], &["aes256"], true),
            row("integrity", &["sha1"], &["sha256"], false),
            row("PRF", &["prfsha1"], &["prfsha256", "prfsha384"], false),
            row("key exchange", &["modp2048"], &["modp2048"], true),
        ]
    );
}

#[test]
fn a_suite_without_integrity_says_so() {
    let pair = tried(
        |client| client.ike_suites = suites(&["aes128-sha256-x25519"]),
        |gateway| gateway.ike_suites = suites(&["aes128gcm16-prfsha256-x25519"]),
    );
    let rows = compared(&pair).1.rows;
    assert_eq!(rows[0], row("encryption", &["aes128"], &["aes128gcm16"], false));
    assert_eq!(rows[1], row("integrity", &["sha256"], &[], false));
    assert!(rows[2..].iter().all(|row| row.fits), "{rows:?}");
}

#[test]
fn an_identity_that_nobody_knows_stands_beside_those_that_are_known() {
    let pair = tried(|client| client.local_id = Identity::Fqdn("other.example.net".into()), |_| ());
    let (kind, compared) = compared(&pair);
    assert_eq!((kind, compared.reason), (NoticeKind::AuthFailed, "wrong-identity"));
    assert_eq!((compared.peer_id.as_deref(), compared.profile), (Some("other.example.net"), None));
    assert_eq!(compared.rows[0], row("peer identity", &["other.example.net"], &["client.example.net"], false));
    assert!(compared.rows[1..].iter().all(|row| row.fits));
}

#[test]
fn a_wrong_secret_is_told_when_all_else_fits() {
    let pair = tried(|client| client.psk = PskSecret::from_slice(b"another"), |_| ());
    let (_, compared) = compared(&pair);
    assert_eq!((compared.reason, compared.profile), ("bad-auth", Some(PROFILE)));
    assert_eq!(compared.rows.len(), 4);
    assert!(compared.rows[..3].iter().all(|row| row.fits));
    assert_eq!((compared.rows[3].what, compared.rows[3].fits), ("proof", false));
    let told = format!("{compared:?}");
    assert!(!told.contains("another"), "{told}");
}

#[test]
fn a_gateway_that_is_somebody_else_is_compared_by_the_client() {
    // A name of the gateway's that the client does not ask for: it asks for nobody.
    let pair = tried(|client| client.remote_id = IdentityPattern::Suffix(".example.org".into()), |_| ());
    let compared = by_client(&pair);
    assert_eq!((compared.reason, compared.peer_id.as_deref()), ("wrong-identity", Some("gateway.example.net")));
    assert_eq!(compared.rows[0], row("peer identity", &["gateway.example.net"], &["*.example.org"], false));
}

#[test]
fn traffic_and_algorithms_of_a_child_sa_are_compared() {
    let elsewhere = Selector::addresses(ip("10.9.0.0"), ip("10.9.0.255"));
    let pair = tried(|client| client.remote_ts = vec![elsewhere], |_| ());
    let (kind, compared) = compared(&pair);
    assert_eq!((kind, compared.reason), (NoticeKind::ChildRefused, "traffic"));
    assert_eq!(compared.rows[0], row("traffic here", &["10.9.0.0/24"], &["10.2.0.0/24"], false));
    assert_eq!(compared.rows[1], row("traffic there", &["10.1.0.0/24"], &["10.1.0.0/24"], true));

    let pair = tried(
        |client| client.esp_suites = suites(&["aes256-sha1"]),
        |gateway| gateway.esp_suites = suites(&["aes256gcm16"]),
    );
    let (_, compared) = self::compared(&pair);
    assert_eq!(compared.reason, "no-proposal");
    assert!(compared.rows[..2].iter().all(|row| row.fits));
    assert_eq!(compared.rows[2], row("encryption", &["aes256"], &["aes256gcm16"], false));
}

#[test]
fn what_a_stranger_says_stays_short_and_is_told_to_a_limit() {
    let long: Arc<str> = "x".repeat(4000).into();
    let pair = tried(|client| client.local_id = Identity::Fqdn(long), |_| ());
    let (_, compared) = compared(&pair);
    let longest = compared.rows.iter().flat_map(|row| row.theirs.iter().chain(&row.ours)).map(String::len).max();
    assert!(longest.is_some_and(|longest| longest < 200), "{longest:?}");
}
