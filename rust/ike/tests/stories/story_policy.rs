//! Stories of what the operator allows: refused paths (RFC 4555 section 3.5), trusted ones (section 3.7).

use crate::stage;

use mobike_ike::Prefix;
use mobike_ike::crypto::Role;
use mobike_ike::event::{AuthRefusal, ConnectError};
use mobike_ike::profile::ReturnRoutability;
use mobike_ike::wire::Payload;
use stage::{ExchangeType, Forged, GATEWAY, LTE, NotifyType, Pair, WAN, WAN2, WIFI, ip};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;

/// The gateway takes peers from wifi's network alone, on its first address alone.
fn strict() -> Pair {
    Pair::new(1).gateway_profile(|profile| {
        profile.paths.remote = vec![Prefix::new(WIFI, 24)];
        profile.paths.local = vec![Prefix::new(WAN, 32)];
    })
}

// req: M3.5-6, M3.5-8
#[test]
fn a_move_that_policy_forbids_is_refused_and_changes_nothing() {
    // N(UPDATE_SA_ADDRESSES) from lte -->   <-- N(UNACCEPTABLE_ADDRESSES)
    for path in [Pair::path(LTE, WAN), Pair::path(WIFI, WAN2)] {
        let mut pair = strict().established();
        let before = pair.gateway().trace();
        let children = (pair.client().live_children(), pair.gateway().live_children());
        let generation = pair.order_move(path);
        pair.settle();
        // Whoever holds the IPsec SAs moves them by what is told here, and nothing is.
        assert_eq!(pair.gateway().trace(), before, "the gateway's control plane has nothing to do");
        assert_eq!((pair.client().live_children(), pair.gateway().live_children()), children);
        let answer = pair.said(|told| told.from == GATEWAY && told.answers(INFO)).next();
        assert!(answer.is_some_and(|told| told.carries(NotifyType::UNACCEPTABLE_ADDRESSES)));
        assert!(answer.is_some_and(|told| !told.carries(NotifyType::NAT_DETECTION_SOURCE_IP)));
        assert_eq!(pair.client().refused(), [(path, generation)]);
        assert!(pair.client().moved().is_empty(), "a refusal is never success");
        assert!(pair.gateway().peer_moves().is_empty());
        assert_eq!((pair.gateway().count("updates_refused"), pair.gateway().count("cookie2_sent")), (1, 0));
        assert!(pair.gateway().notices().iter().any(|text| text.starts_with("move refused: ")));
        // The gateway still asks where the client was.
        pair.probe(GATEWAY, None);
        assert_eq!(pair.requests_of(GATEWAY)[0].path, Pair::path(WIFI, WAN).reversed());
    }
}

// req: M3.5-8
#[test]
fn after_a_refusal_the_client_may_go_back_or_on() {
    let mut pair = strict().established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN));
    assert_eq!(pair.client().moved().len(), 1);
}

// req: M3.5-6, M3.7-2
#[test]
fn a_refusal_copies_cookie2() {
    let mut pair = strict().established();
    let cookie = [9; 20];
    let request = Forged { sender: Role::Initiator, exchange: INFO, id: 2, response: false };
    let update = Payload::notify(NotifyType::UPDATE_SA_ADDRESSES, &[]);
    let bytes = pair.forge(request, &[update, Payload::notify(NotifyType::COOKIE2, &cookie)]);
    let before = pair.gateway().trace();
    pair.inject(GATEWAY, Pair::path(LTE, WAN).reversed(), &bytes);
    assert_eq!(pair.gateway().trace(), before, "IKE SA and IPsec SAs stay where they are");
    let answer = pair.said(|told| told.answers(INFO)).next().and_then(|told| told.contents.clone()).unwrap_or_default();
    assert!(answer.has(NotifyType::UNACCEPTABLE_ADDRESSES));
    assert_eq!(answer.notify(NotifyType::COOKIE2), Some(&cookie[..]));
}

// req: M3.5-6
#[test]
fn a_family_that_policy_forbids_is_refused() {
    let mut pair = Pair::new(1).gateway_profile(|profile| profile.paths.v6 = false).established();
    let request = Forged { sender: Role::Initiator, exchange: INFO, id: 2, response: false };
    let bytes = pair.forge(request, &[Payload::notify(NotifyType::UPDATE_SA_ADDRESSES, &[])]);
    let six = Pair::path(ip("2001:db8::1"), ip("2001:db8::2")).reversed();
    pair.hosts[1].addresses.push(("wan6", six.local.ip()));
    pair.inject(GATEWAY, six, &bytes);
    assert!(pair.said(|told| told.answers(INFO)).all(|told| told.carries(NotifyType::UNACCEPTABLE_ADDRESSES)));
    assert_eq!(pair.gateway().count("updates_refused"), 1);
}

// req: M3.5-6
#[test]
fn nobody_connects_from_where_policy_forbids_either() {
    let mut pair = strict();
    pair.connect_over(&[(LTE, WAN)]);
    pair.settle();
    assert!(pair.gateway().ups().is_empty());
    assert!(pair.client().failures().iter().any(|(why, _)| **why == ConnectError::PeerRefusedAuth));
    let reason = AuthRefusal::WrongAddress.to_string();
    assert!(pair.gateway().notices().iter().any(|text| text.ends_with(&reason)), "{:?}", pair.gateway().notices());
}

// req: M3.7-1
#[test]
fn only_addresses_outside_trusted_prefixes_are_checked() {
    let mut pair = Pair::new(1)
        .gateway_profile(|profile| {
            profile.return_routability = ReturnRoutability::Untrusted;
            profile.paths.trusted = vec![Prefix::new(WIFI, 24)];
        })
        .established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert_eq!((pair.gateway().count("cookie2_sent"), pair.gateway().count("cookie2_passed")), (1, 1));
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    assert_eq!(pair.gateway().count("cookie2_sent"), 1, "wifi is trusted");
    let moves = [(Pair::path(LTE, WAN).reversed(), true), (Pair::path(WIFI, WAN).reversed(), true)];
    assert_eq!(pair.gateway().peer_moves(), moves);
}
