//! Stories of keys that both ends share besides (RFC 8784).

use crate::stage;

use mobike_ike::crypto::{KeyKind, SecretBytes};
use mobike_ike::event::{AuthRefusal, ConnectError};
use mobike_ike::{LocalProof, Ppk, RemoteProof};
use stage::keys::Key;
use stage::{CLIENT, ExchangeType, Fate, GATEWAY, NotifyType, Pair, Profile, Which};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;

fn ppk(id: &str, key: &[u8], required: bool) -> Ppk {
    Ppk { id: id.as_bytes().into(), key: SecretBytes::from_slice(key), required }
}

fn has(profile: &mut Profile, ppk: Ppk) {
    profile.ppk = Some(ppk);
}

fn pair(client: Option<Ppk>, gateway: Option<Ppk>) -> Pair {
    Pair::new(1).client_profile(|profile| profile.ppk = client).gateway_profile(|profile| profile.ppk = gateway)
}

fn used(pair: &Pair) -> bool {
    pair.said(|told| told.from == GATEWAY && told.carries(NotifyType::PPK_IDENTITY)).count() > 0
}

#[test]
fn both_ends_use_the_key_that_both_have() {
    // IKE_SA_INIT { N(USE_PPK) }           -->   <-- { N(USE_PPK) }
    // IKE_AUTH { AUTH, N(PPK_IDENTITY) }   -->   <-- { AUTH, N(PPK_IDENTITY) }
    for required in [true, false] {
        let mut pair = pair(Some(ppk("one", &[7; 32], required)), Some(ppk("one", &[7; 32], true))).established();
        assert!(used(&pair));
        let keys = |who| pair.host(who).installs()[0].1.clone();
        assert_eq!(keys(CLIENT).key_in, keys(GATEWAY).key_out);
        pair.probe(CLIENT, None);
        pair.settle();
        assert_eq!(pair.client().checked().len(), 1);
    }
}

#[test]
fn the_keys_of_child_sas_depend_on_it() {
    let with = pair(Some(ppk("one", &[7; 32], true)), Some(ppk("one", &[7; 32], true))).established();
    let other = pair(Some(ppk("one", &[8; 32], true)), Some(ppk("one", &[8; 32], true))).established();
    let without = pair(None, None).established();
    let key = |pair: &Pair| pair.client().installs()[0].1.key_in.clone();
    assert_ne!(key(&with), key(&other));
    assert_ne!(key(&with), key(&without));
}

#[test]
fn both_ends_do_without_where_neither_insists() {
    let cases = [
        (Some(ppk("one", &[7; 32], false)), None),
        (None, Some(ppk("one", &[7; 32], false))),
        (Some(ppk("one", &[7; 32], false)), Some(ppk("two", &[7; 32], false))),
    ];
    for (client, gateway) in cases {
        let pair = pair(client, gateway).established();
        assert!(!used(&pair));
    }
}

#[test]
fn who_insists_gets_it_or_nothing() {
    let mut lonely = pair(Some(ppk("one", &[7; 32], true)), None);
    lonely.connect();
    let why = lonely.client().failures()[0].0.to_string();
    assert!(why.contains("USE_PPK"), "{why}");
    let cases = [
        (None, Some(ppk("one", &[7; 32], true))),
        (Some(ppk("two", &[7; 32], false)), Some(ppk("one", &[7; 32], true))),
        (Some(ppk("two", &[7; 32], true)), Some(ppk("one", &[7; 32], false))),
    ];
    for (client, gateway) in cases {
        let mut pair = pair(client, gateway);
        pair.connect();
        assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
        let why = AuthRefusal::NoPpk.to_string();
        assert!(pair.gateway().notices().iter().any(|text| text.contains(&why)), "{:?}", pair.gateway().notices());
        assert!(pair.gateway().ups().is_empty());
    }
}

#[test]
fn another_key_of_the_same_name_is_a_wrong_auth() {
    let mut pair = pair(Some(ppk("one", &[8; 32], false)), Some(ppk("one", &[7; 32], false)));
    pair.connect();
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    assert!(pair.gateway().ups().is_empty());
}

#[test]
fn signatures_go_with_it_and_a_verdict_that_takes_time() {
    let (client, gateway) = (Key::of(KeyKind::P256, 1), Key::of(KeyKind::Ed25519, 2));
    let pair = Pair::new(1)
        .client_profile(|profile| {
            has(profile, ppk("one", &[7; 32], true));
            profile.proofs.local = LocalProof::Signature(client.credential());
            profile.proofs.remote = RemoteProof::Keys([gateway.public()].into());
        })
        .gateway_profile(|profile| {
            has(profile, ppk("one", &[7; 32], true));
            profile.proofs.local = LocalProof::Signature(gateway.credential());
            profile.proofs.remote = RemoteProof::Keys([client.public()].into());
        })
        .established();
    assert!(used(&pair));
}

#[test]
fn who_takes_the_offer_out_of_the_answer_gains_nothing_where_a_key_is_required() {
    let mut pair = pair(Some(ppk("one", &[7; 32], true)), Some(ppk("one", &[7; 32], true)));
    let forget = Fate::Rewrite(Box::new(|bytes| {
        let name = NotifyType::USE_PPK.0.to_be_bytes();
        let at = bytes.windows(2).position(|window| window == name).expect("the notification");
        bytes[at..at + 2].copy_from_slice(&[0xff, 0xf0]);
    }));
    pair.net.plan(Which::of(GATEWAY).answer(INIT).always(), forget);
    pair.connect();
    assert!(pair.client().ups().is_empty() && pair.gateway().ups().is_empty());
}

#[test]
fn the_key_is_not_printed() {
    let shown = format!("{:?}", ppk("one", b"hunter2", true));
    assert!(shown.contains("[secret]") && !shown.contains("104, 117"), "{shown}");
}
