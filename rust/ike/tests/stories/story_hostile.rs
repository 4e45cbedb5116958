//! Stories of bad input: whatever comes, nothing panics, nothing moves, everything is counted.

use crate::stage;

use mobike_ike::crypto::Role;
use mobike_ike::wire::{Payload, PayloadType};
use proptest::prelude::*;
use stage::{CLIENT, Event, ExchangeType, Forged, GATEWAY, HostId, LTE, Pair, Path, Told, WAN, WIFI, ms, secs};

/// A whole life, so that there is one message of each kind to spoil.
fn captured() -> Vec<Told> {
    let mut pair = Pair::new(1).established();
    pair.order_move_with(Pair::path(LTE, WAN), Some(&[LTE, WIFI]));
    pair.settle();
    pair.probe(GATEWAY, None);
    pair.settle();
    pair.close(CLIENT);
    pair.settle();
    pair.told.clone()
}

/// What an engine that was given one bad datagram must have done: counted it, and nothing that anybody can see.
fn unmoved(pair: &mut Pair, to: HostId, path: Path, bytes: &[u8]) -> Result<(), TestCaseError> {
    let reasons = |pair: &Pair| {
        let counts = pair.host(to).counts();
        counts.iter().filter(|(name, _)| *name != "received").map(|(_, count)| count).sum::<u64>()
    };
    let (trace, counted) = (pair.host(to).trace(), reasons(pair));
    pair.inject(to, path, bytes);
    prop_assert_eq!(pair.host(to).trace(), trace);
    prop_assert!(reasons(pair) > counted, "not counted");
    Ok(())
}

/// The path over which `to` gets what the other end sends.
fn inward(to: HostId) -> Path {
    let path = Pair::path(WIFI, WAN);
    if to == CLIENT { path } else { path.reversed() }
}

/// One way to spoil a message.
#[derive(Debug, Clone)]
enum Spoil {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Add(Vec<u8>),
    /// The same, with a header that says the new length.
    CutAndSaySo(prop::sample::Index),
    Overwrite(prop::sample::Index, Vec<u8>),
}

impl Spoil {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Spoil::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Spoil::Cut(at) => bytes.truncate(at.index(length)),
            Spoil::Add(more) => bytes.extend_from_slice(more),
            Spoil::CutAndSaySo(at) => {
                bytes.truncate(at.index(length).max(28));
                let length = bytes.len() as u32;
                bytes[24..28].copy_from_slice(&length.to_be_bytes());
            }
            Spoil::Overwrite(at, with) => {
                let at = at.index(length);
                bytes.iter_mut().skip(at).zip(with).for_each(|(octet, new)| *octet = *new);
            }
        }
    }
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 0..8u8).prop_map(|(at, bit)| Spoil::Flip(at, bit)),
        index().prop_map(Spoil::Cut),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Spoil::Add),
        index().prop_map(Spoil::CutAndSaySo),
        (index(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, with)| Spoil::Overwrite(at, with)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn random_octets_are_counted_and_change_nothing(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..20),
    ) {
        let mut pair = Pair::new(1).established();
        for bytes in &datagrams {
            for to in [CLIENT, GATEWAY] {
                unmoved(&mut pair, to, inward(to), bytes)?;
            }
        }
    }

    #[test]
    fn random_octets_behind_a_true_header_are_counted_and_change_nothing(
        inner in prop::collection::vec(any::<u8>(), 0..400),
        (exchange, id, next) in (34..40u8, 0..4u32, 33..55u8),
        (flags, version) in (any::<u8>(), prop_oneof![4 => Just(0x20u8), 1 => any::<u8>()]),
    ) {
        let mut pair = Pair::new(1).established();
        let up = pair.client().up();
        let (spi_i, spi_r) = (up.spi_i, up.spi_r);
        for (spi_i, spi_r) in [(spi_i, spi_r), (spi_i, 0), (spi_r, spi_i), (spi_i ^ (1 << 40), spi_r), (9, 0)] {
            let mut bytes = [spi_i.to_be_bytes(), spi_r.to_be_bytes()].concat();
            bytes.extend_from_slice(&[next, version, exchange, flags]);
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(&(28 + inner.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&inner);
            for to in [CLIENT, GATEWAY] {
                unmoved(&mut pair, to, inward(to), &bytes)?;
            }
        }
    }

    #[test]
    fn spoiled_messages_are_counted_and_change_nothing(spoils in prop::collection::vec(spoil(), 24)) {
        let mut pair = Pair::new(1).established();
        for (told, spoil) in captured().iter().zip(spoils.iter().cycle()) {
            let mut bytes = told.bytes.clone();
            spoil.apply(&mut bytes);
            if bytes != told.bytes {
                for to in [CLIENT, GATEWAY] {
                    unmoved(&mut pair, to, inward(to), &bytes)?;
                }
            }
        }
        // and both ends still talk
        pair.probe(CLIENT, None);
        pair.probe(GATEWAY, None);
        pair.settle();
        prop_assert_eq!((pair.client().checked().len(), pair.gateway().checked().len()), (1, 1));
    }

    #[test]
    fn spoiled_ike_auth_does_not_keep_the_true_one_out(spoils in prop::collection::vec(spoil(), 6)) {
        let captured = captured();
        let mut pair = Pair::new(1);
        pair.connect_over(&[(WIFI, WAN)]);
        pair.run_for(ms(15));
        for (index, at, to) in [(2, ms(10), GATEWAY), (3, ms(10), CLIENT)] {
            for spoil in &spoils {
                let mut bytes = captured[index].bytes.clone();
                spoil.apply(&mut bytes);
                if bytes != captured[index].bytes {
                    unmoved(&mut pair, to, inward(to), &bytes)?;
                }
            }
            pair.run_for(at);
        }
        pair.settle();
        prop_assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    }

    #[test]
    fn nonsense_sealed_by_a_peer_that_authenticated_is_answered_and_moves_nothing(
        messages in prop::collection::vec(
            prop::collection::vec((prop_oneof![33..50u8, any::<u8>()], prop::collection::vec(any::<u8>(), 0..80)), 0..6),
            1..12,
        ),
    ) {
        let mut pair = Pair::new(1).established();
        let path = pair.gateway().path();
        for (id, message) in (2..).zip(&messages) {
            let payloads: Vec<_> = message
                .iter()
                .filter(|(kind, _)| ![46, 53].contains(kind))
                .map(|(kind, body)| Payload::Unknown { kind: PayloadType(*kind), body })
                .collect();
            let request =
                Forged { sender: Role::Initiator, exchange: ExchangeType::INFORMATIONAL, id, response: false };
            let bytes = pair.forge(request, &payloads);
            let said = pair.told.len();
            pair.inject(GATEWAY, path, &bytes);
            if pair.gateway().downs().is_empty() {
                let answers = pair.told[said..].iter().filter(|told| told.answers(ExchangeType::INFORMATIONAL)).count();
                prop_assert_eq!(answers, 1);
                prop_assert_eq!(pair.gateway().path(), path);
            }
        }
    }
}

#[test]
fn every_octet_of_every_message_flipped_or_cut_there_changes_nothing() {
    let captured = captured();
    let mut pair = Pair::new(1).established();
    for told in &captured {
        for at in 0..told.bytes.len() {
            let mut flipped = told.bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            for to in [CLIENT, GATEWAY] {
                let events = pair.host(to).events.len();
                pair.inject(to, inward(to), &flipped);
                pair.inject(to, inward(to), &told.bytes[..at]);
                let news = &pair.host(to).events[events..];
                assert!(news.iter().all(|(_, event)| matches!(event, Event::Notice { .. })), "octet {at} of {told}");
            }
        }
    }
    pair.run_for(secs(60));
    assert_eq!(pair.gateway().engine.population().ike_sas, 1, "half-open leftovers expire");
}

#[test]
fn a_datagram_of_the_greatest_size_is_dropped() {
    let mut pair = Pair::new(1).established();
    let template = pair.told[2].bytes.clone();
    for length in [0, 1, 27, 28, 29, 1_500, 65_507, 65_535] {
        let mut bytes = template[..28].to_vec();
        bytes.resize(length, 0x2e);
        if length >= 28 {
            bytes[24..28].copy_from_slice(&(length as u32).to_be_bytes());
        }
        let trace = pair.gateway().trace();
        pair.inject(GATEWAY, inward(GATEWAY), &bytes);
        assert_eq!(pair.gateway().trace(), trace, "{length} octets");
    }
    assert_eq!(pair.gateway().count("received"), 2 + 8);
}

#[test]
fn a_message_for_nobody_is_dropped_without_an_answer() {
    let mut pair = Pair::new(1).established();
    let mut bytes = pair.told[2].bytes.clone();
    bytes[12] ^= 0x55;
    let said = pair.told.len();
    pair.inject(GATEWAY, inward(GATEWAY), &bytes);
    assert_eq!((pair.gateway().count("dropped_unknown_spi"), pair.told.len()), (1, said));
}

#[test]
fn what_a_peer_sent_is_not_taken_when_it_comes_back_to_it() {
    let mut pair = Pair::new(1).established();
    pair.probe(CLIENT, None);
    pair.settle();
    let told: Vec<_> = pair.told.iter().map(|told| (told.from, told.bytes.clone())).collect();
    for (from, bytes) in told {
        let trace = pair.host(from).trace();
        pair.inject(from, inward(from), &bytes);
        assert_eq!(pair.host(from).trace(), trace);
    }
}

#[test]
fn a_conversation_of_yesterday_opens_nothing_today() {
    let old = captured();
    let mut pair = Pair::new(2).established();
    for told in &old {
        for to in [CLIENT, GATEWAY] {
            let trace = pair.host(to).trace();
            pair.inject(to, inward(to), &told.bytes);
            assert_eq!(pair.host(to).trace(), trace);
        }
    }
    pair.run_for(secs(60));
    assert_eq!(pair.gateway().engine.population().ike_sas, 1, "half-open leftovers expire");
}
