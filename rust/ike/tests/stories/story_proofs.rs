//! Stories of what goes beside a proof: a word of the control plane on every peer, and what an authority says of a certificate
//! today (RFC 4806).

#![allow(clippy::expect_used, reason = "a story that cannot go on fails")]

use crate::stage;

use std::sync::Arc;

use mobike_ike::command::Verdict;
use mobike_ike::crypto::KeyKind;
use mobike_ike::event::{AuthRefusal, Authorise, ConnectError, DownReason};
use mobike_ike::profile::{Pool, RequestVip};
use mobike_ike::{Credential, LocalProof, RemoteProof, Terms};
use stage::keys::Key;
use stage::{CLIENT, Command, Event, GATEWAY, HostId, Pair, Profile, Selector, WAN, WIFI, ip, ms, secs};

fn questions(pair: &Pair, who: HostId) -> Vec<Authorise> {
    let asked =
        |(_, event): &(_, Event)| if let Event::Authorise(asked) = event { Some((**asked).clone()) } else { None };
    pair.host(who).events.iter().filter_map(asked).collect()
}

fn answer(pair: &mut Pair, who: HostId, verdict: Verdict) {
    let asked = questions(pair, who).pop().expect("a question");
    pair.order(who, Command::Verdict { sa: asked.sa, question: asked.question, verdict });
    pair.run_for(secs(1));
}

fn judged(profile: &mut Profile) {
    profile.proofs.judged = true;
}

fn allow() -> Verdict {
    Verdict::Allow { key: Box::default(), proven: Vec::new(), terms: Terms::default() }
}

/// By a shared key, or by a public one that the other knows; one end asks.
fn waiting(by_key: bool, who: HostId) -> Pair {
    let key = Key::of(KeyKind::Ed25519, 1);
    let mut pair = Pair::new(1);
    if by_key {
        let both = |profile: &mut Profile| {
            profile.proofs.local = LocalProof::Signature(key.credential());
            profile.proofs.remote = RemoteProof::Keys([key.public()].into());
        };
        pair = pair.client_profile(both).gateway_profile(both);
    }
    let mut pair = if who == CLIENT { pair.client_profile(judged) } else { pair.gateway_profile(judged) };
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(100));
    pair
}

#[test]
fn a_peer_that_has_proved_itself_by_a_key_waits_for_the_control_plane_too() {
    for by_key in [false, true] {
        for who in [CLIENT, GATEWAY] {
            let mut pair = waiting(by_key, who);
            let asked = questions(&pair, who);
            assert_eq!(asked.len(), 1);
            assert!(asked[0].certificates.is_empty(), "whatever it sent: nobody is to judge that");
            assert!(pair.host(who).ups().is_empty());
            answer(&mut pair, who, allow());
            assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
            assert_eq!((pair.client().live_children().len(), pair.gateway().live_children().len()), (1, 1));
        }
    }
}

#[test]
fn a_no_or_no_word_keeps_it_outside_and_nothing_is_left() {
    for who in [CLIENT, GATEWAY] {
        for refused in [true, false] {
            let mut pair = waiting(false, who);
            if refused {
                answer(&mut pair, who, Verdict::Deny { why: "on leave".into() });
            }
            pair.run_for(secs(100));
            assert!(pair.client().alive().is_empty() && pair.gateway().alive().is_empty());
            assert_eq!(pair.client().failures().len(), 1);
            assert_eq!(pair.gateway().engine.population().half_open, 0);
            let why = if refused { AuthRefusal::Denied("on leave".into()) } else { AuthRefusal::Undecided };
            match who {
                CLIENT => {
                    assert_eq!(pair.client().failures()[0].0, &ConnectError::Refused(why));
                    // AUTHENTICATION_FAILED
                    assert_eq!(pair.gateway().downs()[0].1, DownReason::PeerRefusedAuth);
                }
                _ => {
                    assert!(pair.gateway().notices().iter().any(|text| text.contains(&why.to_string())));
                    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
                }
            }
        }
    }
}

#[test]
fn a_peer_that_proves_nothing_is_not_asked_about() {
    let mut pair = Pair::new(2)
        .client_profile(|profile| profile.psk = mobike_ike::crypto::SecretBytes::from_slice(b"another secret"))
        .gateway_profile(judged);
    pair.connect();
    assert!(questions(&pair, GATEWAY).is_empty());
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
}

/// A client that asks for an IPv4 address, and an authoriser that names this one for it.
fn granted(addresses: &[&str], pool: Option<Pool>) -> Pair {
    let mut pair = Pair::new(4)
        .client_profile(|profile| {
            profile.request_virtual_ip = RequestVip { v4: true, v6: false };
            profile.local_ts.clear();
        })
        .gateway_profile(|profile| {
            judged(profile);
            profile.remote_ts.clear();
            profile.pool = pool;
        });
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(100));
    let terms = Terms { addresses: addresses.iter().map(|address| ip(address)).collect(), ..Terms::default() };
    answer(&mut pair, GATEWAY, Verdict::Allow { key: Box::default(), proven: Vec::new(), terms });
    pair
}

#[test]
fn the_control_plane_may_name_the_inner_address_of_a_peer_that_it_lets_in() {
    let pool = Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, 9].into())), ..Pool::default() };
    for (pool, named, given) in [
        (None, &["10.7.0.7"][..], "10.7.0.7"),
        (Some(pool.clone()), &["10.7.0.7"], "10.7.0.7"),
        (Some(pool.clone()), &["10.9.0.5", "fd00::7"], "10.9.0.5"),
        (Some(pool), &[], "10.9.0.1"),
    ] {
        let pair = granted(named, pool);
        assert_eq!(pair.client().up().virtual_ips, [ip(given)], "{named:?}");
        assert_eq!(pair.gateway().installs()[0].1.remote_ts, [Selector::host(ip(given))]);
    }
}

fn stapling(key: &Key, staple: &[u8]) -> Arc<Credential> {
    Arc::new(Credential {
        key: key.signing(),
        certificates: vec![key.certificate().into()],
        raw: None,
        staple: Some(staple.into()),
    })
}

/// One end shows a certificate and has a response about it; the other asks the control plane.
fn shown(who: HostId, staple: &[u8], authorities: &[[u8; 20]]) -> Pair {
    let key = Key::of(KeyKind::P256, 1);
    let credential = stapling(&key, staple);
    let shows = |profile: &mut Profile| profile.proofs.local = LocalProof::Signature(credential);
    let authorities = authorities.into();
    let asks = |profile: &mut Profile| profile.proofs.remote = RemoteProof::Certificate { authorities };
    let mut pair = match who {
        CLIENT => Pair::new(3).client_profile(shows).gateway_profile(asks),
        _ => Pair::new(3).client_profile(asks).gateway_profile(shows),
    };
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(200));
    pair
}

#[test]
fn what_an_authority_says_of_a_certificate_goes_with_it_to_a_peer_that_asks() {
    for (who, other) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT)] {
        let pair = shown(who, b"a response", &[[7; 20]]);
        let asked = questions(&pair, other);
        assert_eq!(asked[0].certificates.len(), 1);
        assert_eq!(asked[0].staples, [Box::from(&b"a response"[..])]);
        // Who names no authorities has not asked for it.
        let pair = shown(who, b"a response", &[]);
        assert!(questions(&pair, other)[0].staples.is_empty());
    }
}

#[test]
fn a_response_of_absurd_length_is_not_carried_on() {
    let pair = shown(CLIENT, &[0x30; 40_000], &[[7; 20]]);
    assert!(questions(&pair, GATEWAY).iter().all(|asked| asked.staples.is_empty()));
    assert!(pair.gateway().engine.fragments_held() < 100_000);
}
