//! Negative paths: each says the notification that the RFC names, or nothing where that is what it says, and leaves nothing
//! half open. Others are told where they belong: certificates in story_certificates and tests/boundary, pools in
//! story_configuration, proposals and selectors in story_setup and story_children, fragments in story_fragments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::scripted;
use crate::stage;

use core::time::Duration;

use mobike_ike::engine::Population;
use mobike_ike::wire::{
    CertEncoding, Certificate, Header, IdType, Identification, Payload, PayloadType, SkWriter, parse_chain,
};
use scripted::Script;
use stage::{CLIENT, ExchangeType, Fate, GATEWAY, NotifyType, Pair, WAN, WIFI, Which, ip, secs};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const AUTH: ExchangeType = ExchangeType::IKE_AUTH;
const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const NOTHING: Population = Population { ike_sas: 0, half_open: 0, child_sas: 0 };

/// An IKE_SA_INIT request of a stranger, changed like this. What it hears.
fn stranger(change: impl FnOnce(&mut Vec<u8>)) -> (Pair, Option<Vec<u8>>) {
    let mut pair = Pair::new(1);
    pair.connect_over(&[(WIFI, WAN)]);
    let mut request = pair.told[0].bytes.clone();
    change(&mut request);
    let length = request.len() as u32;
    request[24..28].copy_from_slice(&length.to_be_bytes());
    let begin = pair.told.len();
    pair.inject(GATEWAY, Pair::init_path(WIFI, WAN).reversed(), &request);
    let answer = pair.told.get(begin).map(|told| told.bytes.clone());
    assert_eq!(pair.gateway().engine.population(), NOTHING, "nothing is left of it");
    (pair, answer)
}

/// One notification in the clear: its kind and data.
fn notification(answer: &[u8]) -> (NotifyType, Vec<u8>) {
    let header = Header::parse(answer).unwrap();
    assert!(header.flags.response && !header.flags.initiator && header.responder_spi == 0);
    let payloads = parse_chain(header.next_payload, &answer[28..], 28).unwrap();
    let notify = payloads.notifies().next().unwrap();
    (notify.kind, notify.data.to_vec())
}

/// A payload of this type in front of all others.
fn prepend(request: &mut Vec<u8>, kind: u8, flags: u8, body: &[u8]) {
    let mut payload = vec![request[16], flags, 0, 4 + body.len() as u8];
    payload.extend_from_slice(body);
    request[16] = kind;
    request.splice(28..28, payload);
}

#[test]
fn an_unknown_critical_payload_in_the_clear_is_named() {
    let (pair, answer) = stranger(|request| prepend(request, 200, 0x80, b"?"));
    assert_eq!(notification(&answer.unwrap()), (NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, vec![200]));
    assert_eq!((pair.gateway().count("dropped_malformed"), pair.gateway().count("errors_in_the_clear")), (1, 1));
}

#[test]
fn one_that_is_not_critical_is_stepped_over() {
    let mut pair = Pair::new(1);
    pair.connect_over(&[(WIFI, WAN)]);
    let mut request = pair.told[0].bytes.clone();
    prepend(&mut request, 200, 0, b"?");
    let length = request.len() as u32;
    request[24..28].copy_from_slice(&length.to_be_bytes());
    pair.inject(GATEWAY, Pair::init_path(WIFI, WAN).reversed(), &request);
    assert_eq!(pair.gateway().engine.population().half_open, 1);
}

#[test]
fn invalid_syntax_in_the_clear_is_met_with_silence() {
    let spoils: [fn(&mut Vec<u8>); 4] = [
        |request| request.truncate(60),
        |request| prepend(request, 41, 0, &[9]),
        |request| prepend(request, 40, 0, b"short nonce"),
        |request| request[31] = 1,
    ];
    for spoil in spoils {
        let (pair, answer) = stranger(spoil);
        assert_eq!(answer, None);
        assert_eq!((pair.gateway().count("dropped_malformed"), pair.gateway().count("errors_in_the_clear")), (1, 0));
    }
}

#[test]
fn a_newer_major_version_is_told_ours_and_an_older_one_nothing() {
    let (pair, answer) = stranger(|request| request[17] = 0x30);
    let answer = answer.unwrap();
    assert_eq!((notification(&answer).0, answer[17]), (NotifyType::INVALID_MAJOR_VERSION, 0x20));
    assert_eq!(pair.gateway().count("dropped_version"), 1);
    let (_, answer) = stranger(|request| request[17] = 0x10);
    assert_eq!(answer, None);
    // Nor is an answer ever answered.
    let (_, answer) = stranger(|request| (request[17], request[19]) = (0x30, 0x28));
    assert_eq!(answer, None);
}

#[test]
fn strangers_are_told_so_much_and_no_more() {
    let mut pair = Pair::new(1);
    pair.connect_over(&[(WIFI, WAN)]);
    for n in 0..1_000u32 {
        let mut request = pair.told[0].bytes.clone();
        prepend(&mut request, 200, 0x80, &[]);
        request[..4].copy_from_slice(&n.to_be_bytes());
        let length = request.len() as u32;
        request[24..28].copy_from_slice(&length.to_be_bytes());
        let mut from = Pair::init_path(WIFI, WAN).reversed();
        from.remote.set_ip(ip(&format!("100.64.{}.{}", n / 256, n % 256)));
        pair.inject(GATEWAY, from, &request);
    }
    assert!((1..=64).contains(&pair.gateway().count("errors_in_the_clear")));
    assert_eq!(pair.gateway().engine.population(), NOTHING);
}

/// A half-open SA hears this, and is gone soon after, whatever it repeats.
#[track_caller]
fn refused(mut script: Script, said: (NotifyType, Vec<u8>)) {
    assert_eq!(script.notified(), [said]);
    script.repeat();
    script.wait(Duration::from_secs(31));
    assert_eq!(script.engine.population(), NOTHING);
}

#[test]
fn an_unknown_critical_payload_under_protection_is_named() {
    let mut script = Script::half_open();
    script.request_critical(AUTH, PayloadType(200));
    refused(script, (NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, vec![200]));
}

#[test]
fn invalid_syntax_under_protection_is_named() {
    let mut bodies: Vec<(u8, Vec<u8>)> = vec![
        (33, vec![]),
        (35, vec![1, 0, 0, 0, 10, 0, 0]),
        (41, vec![9]),
        (47, vec![1, 0, 0, 0, 0, 2, 0, 3, 255, 255, 255]),
    ];
    // Selectors that end before they begin: addresses, and ports.
    bodies.push((44, vec![1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 10, 0, 0, 2, 10, 0, 0, 1]));
    bodies.push((44, vec![1, 0, 0, 0, 7, 6, 0, 16, 0, 9, 0, 8, 10, 0, 0, 1, 10, 0, 0, 1]));
    for (kind, body) in &bodies {
        let write = |writer: &mut SkWriter| writer.push(&Payload::Unknown { kind: PayloadType(*kind), body });
        refused(Script::with_auth(write), (NotifyType::INVALID_SYNTAX, vec![]));
        // Of a peer that proved who it is, the IKE SA lives on without anything new.
        let mut script = Script::as_initiator(|_| ());
        let before = script.engine.population();
        script.request(CREATE, write);
        assert!(script.waiting() >= 1, "{kind}: answered");
        assert_eq!(script.engine.population(), before, "{kind}");
        assert_eq!(script.engine.counters().invalid_requests, 1, "{kind}");
    }
}

#[test]
fn a_chain_longer_than_anybody_needs_is_refused_before_anybody_looks_at_it() {
    for (count, octets) in [(9, 100), (8, 5_000)] {
        let script = Script::with_auth(|writer| {
            writer.push(&Payload::IdInitiator(Identification::new(IdType::FQDN, b"long.example.net")));
            let body = vec![0x30; octets];
            for _ in 0..count {
                let certificate = Certificate { encoding: CertEncoding::X509_SIGNATURE, data: &body };
                writer.push(&Payload::Certificate(certificate));
            }
        });
        refused(script, (NotifyType::AUTHENTICATION_FAILED, vec![]));
    }
}

#[test]
fn whatever_is_changed_on_the_way_in_ike_sa_init_no_ike_sa_comes_of_it() {
    // AUTH of both ends covers every octet of what they sent; so no offer, no notification and no address can be taken out
    // or made weaker.
    let length = |exchange: usize| {
        let pair = Pair::new(2).established();
        pair.told[exchange].bytes.len()
    };
    for (who, told) in [(CLIENT, 0), (GATEWAY, 1)] {
        for at in 0..length(told) {
            let mut pair = Pair::new(2);
            let which = if who == CLIENT { Which::of(CLIENT).request(INIT) } else { Which::of(GATEWAY).answer(INIT) };
            pair.net.plan(which.always(), Fate::Rewrite(Box::new(move |bytes| bytes[at] ^= 1)));
            pair.connect_over(&[(WIFI, WAN)]);
            pair.run_for(secs(150));
            assert!(pair.client().ups().is_empty(), "{who:?} {at}");
            assert!(pair.gateway().alive().is_empty(), "{who:?} {at}");
            pair.run_for(secs(60));
            for host in &pair.hosts {
                assert_eq!(host.engine.population(), NOTHING, "{who:?} {at}: {}", host.name);
            }
        }
    }
}
