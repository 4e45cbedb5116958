//! Stories of long messages in pieces: RFC 7383.

use crate::stage;

use std::sync::Arc;

use mobike_ike::crypto::KeyKind;
use mobike_ike::sa::channel::LONGEST_PIECE;
use mobike_ike::{Credential, LocalProof, RemoteProof};
use stage::keys::Key;
use stage::{CLIENT, ExchangeType, Fate, GATEWAY, HostId, LTE, NotifyType, Pair, Told, WAN, WIFI, Which, ms, secs};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const AUTH: ExchangeType = ExchangeType::IKE_AUTH;

/// A certificate, and so many octets above it that nobody here reads.
fn bulky(key: &Key, octets: usize) -> LocalProof {
    let above = (0..octets).step_by(1_000).map(|_| vec![0x5a; 1_000].into_boxed_slice());
    let certificates = core::iter::once(key.certificate().into()).chain(above).collect();
    LocalProof::Signature(Arc::new(Credential { key: key.signing(), certificates, raw: None, staple: None }))
}

/// Both ends send certificates that fill several datagrams.
fn long_winded(seed: u64) -> Pair {
    let (client, gateway) = (Key::of(KeyKind::P256, 1), Key::of(KeyKind::P256, 2));
    Pair::new(seed)
        .client_profile(|profile| {
            profile.proofs.local = bulky(&client, 5_000);
            profile.proofs.remote = RemoteProof::Keys([gateway.public()].into());
        })
        .gateway_profile(|profile| {
            profile.proofs.local = bulky(&gateway, 3_000);
            profile.proofs.remote = RemoteProof::Keys([client.public()].into());
        })
}

fn pieces(pair: &Pair, who: HostId) -> Vec<&Told> {
    pair.said(move |told| told.from == who && told.fragment() > 0).collect()
}

/// The numbers of the pieces, in the order they were sent.
fn numbers(pair: &Pair, who: HostId) -> Vec<u16> {
    pieces(pair, who).iter().map(|told| told.fragment()).collect()
}

#[test]
fn long_messages_go_in_pieces_that_every_link_carries() {
    let pair = long_winded(1).established();
    assert_eq!((numbers(&pair, CLIENT), numbers(&pair, GATEWAY)), ((1..=5).collect(), (1..=3).collect()));
    assert!(pair.told.iter().all(|told| told.bytes.len() <= LONGEST_PIECE));
    assert!(pieces(&pair, CLIENT).iter().filter(|told| told.fragment() < 5).all(|told| told.bytes.len() > 1_200));
    assert_eq!(pair.gateway().count("fragments_kept"), 4, "and the fifth made the whole");
    let said = |told: &&Told| told.carries(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED);
    assert_eq!(pair.told.iter().filter(said).count(), 2);
}

#[test]
fn short_messages_go_as_they_are() {
    let mut pair = Pair::new(1).established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert!(pair.told.iter().all(|told| told.fragment() == 0));
}

#[test]
fn pieces_may_come_in_any_order_and_twice() {
    for delay in [ms(1), ms(30), ms(300)] {
        for number in 1..=5 {
            let mut pair = long_winded(1);
            pair.net.plan(Which::of(CLIENT).that(move |told| told.fragment() == number).always(), Fate::Late(delay));
            pair.net.plan(Which::of(GATEWAY).that(|told| told.fragment() == 1).always(), Fate::Twice(delay));
            let pair = pair.established();
            assert_eq!(pair.gateway().count("ike_sas_up"), 1, "piece {number} so much later: {delay:?}");
        }
    }
}

#[test]
fn a_lost_piece_is_made_good_by_repeating_all_of_them() {
    for number in 1..=5 {
        let mut pair = long_winded(1);
        pair.net.lose(Which::of(CLIENT).that(move |told| told.fragment() == number));
        let pair = pair.established();
        assert_eq!(numbers(&pair, CLIENT).len(), 10);
        assert_eq!(pair.client().count("retransmissions"), 1);
    }
    for number in 1..=3 {
        let mut pair = long_winded(1);
        pair.net.lose(Which::of(GATEWAY).that(move |told| told.fragment() == number));
        let pair = pair.established();
        let answers = numbers(&pair, GATEWAY);
        assert_eq!(answers, [1, 2, 3, 1, 2, 3], "one answer to five pieces of a request that was answered before");
        assert_eq!(pair.gateway().count("repeats_answered"), 1);
    }
}

#[test]
fn the_same_pieces_are_repeated_with_the_same_octets() {
    let mut pair = long_winded(1);
    pair.net.lose(Which::of(GATEWAY).answer(AUTH).times(3));
    let pair = pair.established();
    let all = pieces(&pair, CLIENT);
    assert_eq!(all.len(), 10);
    assert!((0..5).all(|index| all[index].bytes == all[index + 5].bytes));
}

#[test]
fn who_does_not_say_that_it_puts_pieces_together_gets_none() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = long_winded(1);
        let forget = Fate::Rewrite(Box::new(|bytes| {
            let name = NotifyType::IKEV2_FRAGMENTATION_SUPPORTED.0.to_be_bytes();
            let at = bytes.windows(2).position(|window| window == name).expect("the notification");
            bytes[at..at + 2].copy_from_slice(&[0xff, 0xf0]);
        }));
        let which = Which::of(who);
        let which = if who == CLIENT { which.request(INIT) } else { which.answer(INIT) };
        pair.net.plan(which.always(), forget);
        pair.connect_over(&[(WIFI, WAN)]);
        pair.run_for(secs(1));
        // What was said was tampered with, so nobody is let in; but nobody sends what the other could not read either.
        let (reads, writes) = if who == CLIENT { (GATEWAY, CLIENT) } else { (CLIENT, GATEWAY) };
        assert!(pieces(&pair, reads).is_empty(), "{}", pair.arrows());
        drop(pieces(&pair, writes));
        assert!(pair.client().ups().is_empty());
    }
}

#[test]
fn pieces_of_a_message_that_nobody_finishes_are_forgotten_with_the_half_open_sa() {
    let mut pair = long_winded(1);
    pair.net.lose(Which::of(CLIENT).that(|told| told.fragment() == 5).always());
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(5));
    assert!(pair.gateway().engine.fragments_held() > 4_000);
    pair.run_for(secs(60));
    assert_eq!(pair.gateway().engine.fragments_held(), 0);
    assert!(pair.gateway().ups().is_empty());
}

#[test]
fn a_message_longer_than_anybody_needs_is_not_put_together() {
    let key = Key::of(KeyKind::P256, 1);
    let mut pair = Pair::new(1)
        .client_profile(|profile| profile.proofs.local = bulky(&key, 45_000))
        .gateway_profile(|profile| profile.proofs.remote = RemoteProof::Keys([key.public()].into()));
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(5));
    assert!(pair.gateway().ups().is_empty());
    assert!(pair.gateway().count("dropped_fragment") > 0);
    assert!(pair.gateway().engine.fragments_held() <= mobike_ike::sa::fragments::MAX_OCTETS as u64);
}
