//! Peers that refuse, delay or spoil what replaces an SA: what is in use stays in use (RFC 7296 sections 2.8 and 2.25).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::scripted;

use core::time::Duration;

use mobike_ike::wire::{
    EncryptionId, ExchangeType, KeMethod, KeyExchange, Nonce, NotifyType, Payload, PrfId, Proposal, ProtocolId,
    SaPayload, Sequence, SkWriter, Transform,
};
use mobike_ike::{Command, Event};
use scripted::Script;

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const NONCE: [u8; 32] = [0x66; 32];

/// Tests of the peer would only be in the way.
fn answer_liveness(script: &mut Script) {
    while script.waiting() > 0 && script.newest(|_, header, _| header.exchange == ExchangeType::INFORMATIONAL) {
        script.answer(|_| ());
    }
}

fn asked(script: &mut Script) -> bool {
    answer_liveness(script);
    script.waiting() > 0 && script.newest(|_, header, _| header.exchange == CREATE && !header.flags.response)
}

fn refuse(script: &mut Script, kind: NotifyType, data: &[u8]) {
    script.answer(|writer| writer.push(&Payload::notify(kind, data)));
}

fn rekeyed(script: &Script) -> usize {
    script.events.iter().filter(|event| matches!(event, Event::IkeSaRekeyed { .. })).count()
}

fn orders(script: &Script) -> [Command; 2] {
    let child = script.events.iter().find_map(|event| match event {
        Event::ChildUp { child, .. } => Some(*child),
        _ => None,
    });
    [Command::Rekey { sa: script.sa() }, Command::RekeyChild { child: child.unwrap() }]
}

#[test]
fn a_peer_that_is_busy_is_asked_again_a_little_later_and_more_and_more_seldom() {
    for which in 0..2 {
        let mut script = Script::as_initiator(|_| ());
        let order = orders(&script)[which].clone();
        script.order(order);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert!(asked(&mut script));
            refuse(&mut script, NotifyType::TEMPORARY_FAILURE, &[]);
            let since = script.now;
            assert!(!asked(&mut script), "never at once");
            while !asked(&mut script) {
                script.wait(Duration::from_millis(500));
            }
            pauses.push(script.now.since(since));
        }
        assert!(pauses[0] >= Duration::from_secs(3), "{pauses:?}");
        assert!(pauses[5] > 8 * pauses[0], "{pauses:?}");
        assert_eq!(script.engine.counters().rekeys_refused, 6);
        assert_eq!((script.engine.population().ike_sas, rekeyed(&script)), (1, 0));
    }
}

#[test]
fn a_peer_that_never_replaces_sas_keeps_those_it_has() {
    for kind in [NotifyType::NO_ADDITIONAL_SAS, NotifyType::NO_PROPOSAL_CHOSEN, NotifyType(8_191)] {
        for which in 0..2 {
            let mut script = Script::as_initiator(|_| ());
            let order = orders(&script)[which].clone();
            script.order(order.clone());
            refuse(&mut script, kind, &[]);
            let refused = |event: &Event| matches!(event, Event::Notice { kind, text, .. } if kind.name() == "rekey_refused" && text.contains("keeps its keys"));
            assert!(script.events.iter().any(refused));
            assert!(!asked(&mut script), "it was an order, and no lifetime asks for it again");
            let population = script.engine.population();
            assert_eq!((population.ike_sas, population.child_sas), (1, 1), "nothing is left behind");
            // Asked anew it asks anew.
            script.order(order);
            assert!(asked(&mut script));
        }
    }
}

#[test]
fn another_key_exchange_is_begun_if_the_peer_asks_for_one_that_we_have() {
    let mut script = Script::as_initiator(|_| ());
    let method = |script: &mut Script| script.newest(|_, _, payloads| payloads.key_exchange().unwrap().method);
    let order = orders(&script)[0].clone();
    script.order(order);
    assert_eq!(method(&mut script), KeMethod::CURVE25519);
    refuse(&mut script, NotifyType::INVALID_KE_PAYLOAD, &19_u16.to_be_bytes());
    assert_eq!(method(&mut script), KeMethod(19));
    // A peer that never has enough of it, or wants what we do not have, is refused as others are.
    refuse(&mut script, NotifyType::INVALID_KE_PAYLOAD, &31_u16.to_be_bytes());
    refuse(&mut script, NotifyType::INVALID_KE_PAYLOAD, &19_u16.to_be_bytes());
    assert!(!asked(&mut script));
    let order = orders(&script)[0].clone();
    script.order(order);
    refuse(&mut script, NotifyType::INVALID_KE_PAYLOAD, &14_u16.to_be_bytes());
    assert!(!asked(&mut script));
    assert_eq!(script.engine.counters().rekeys_refused, 2);
}

/// SA, N, KE as a peer would send them; the stories spoil one thing each.
struct Offer {
    spi: Vec<u8>,
    nonce: bool,
    method: KeMethod,
    public: Vec<u8>,
    cipher: EncryptionId,
}

impl Default for Offer {
    fn default() -> Self {
        let mut public = vec![0; 32];
        public[0] = 9;
        let cipher = EncryptionId::ENCR_AES_GCM_16;
        Offer { spi: vec![7; 8], nonce: true, method: KeMethod::CURVE25519, public, cipher }
    }
}

impl Offer {
    fn write(&self, writer: &mut SkWriter) {
        let transforms = [
            Transform::encryption(self.cipher, Some(128)),
            Transform::prf(PrfId::PRF_HMAC_SHA2_256),
            Transform::key_exchange(self.method),
        ];
        let proposal =
            Proposal { number: 1, protocol: ProtocolId::IKE, spi: &self.spi, transforms: Sequence::of(&transforms) };
        writer.push(&Payload::Sa(SaPayload::of(&[proposal])));
        if self.nonce {
            writer.push(&Payload::Nonce(Nonce::new(&NONCE).unwrap()));
        }
        writer.push(&Payload::KeyExchange(KeyExchange { method: self.method, data: &self.public }));
    }

    fn spoilt() -> Vec<(Offer, NotifyType)> {
        vec![
            (Offer { spi: vec![], ..Offer::default() }, NotifyType::INVALID_SYNTAX),
            (Offer { spi: vec![0; 8], ..Offer::default() }, NotifyType::INVALID_SYNTAX),
            (Offer { nonce: false, ..Offer::default() }, NotifyType::INVALID_SYNTAX),
            (Offer { public: vec![0; 32], ..Offer::default() }, NotifyType::INVALID_SYNTAX),
            (Offer { public: vec![9; 31], ..Offer::default() }, NotifyType::INVALID_SYNTAX),
            (Offer { method: KeMethod(14), ..Offer::default() }, NotifyType::NO_PROPOSAL_CHOSEN),
            (Offer { cipher: EncryptionId(3), ..Offer::default() }, NotifyType::NO_PROPOSAL_CHOSEN),
        ]
    }
}

#[test]
fn a_request_for_a_new_ike_sa_that_cannot_be_served_changes_nothing() {
    for (offer, refusal) in Offer::spoilt() {
        let mut script = Script::as_initiator(|_| ());
        script.request(CREATE, |writer| offer.write(writer));
        assert_eq!(script.notified().first().map(|(kind, _)| *kind), Some(refusal));
        assert_eq!((script.engine.population().ike_sas, rekeyed(&script)), (1, 0));
        script.request(CREATE, |writer| Offer::default().write(writer));
        assert_eq!(rekeyed(&script), 1, "the next one is none the worse for it");
    }
}

#[test]
fn an_answer_that_makes_no_ike_sa_is_a_refusal() {
    for (offer, _) in Offer::spoilt() {
        let mut script = Script::as_initiator(|_| ());
        let order = orders(&script)[0].clone();
        script.order(order);
        script.answer(|writer| offer.write(writer));
        assert_eq!((script.engine.population().ike_sas, rekeyed(&script)), (1, 0));
        assert_eq!(script.engine.counters().rekeys_refused, 1);
        script.request(ExchangeType::INFORMATIONAL, |_| ());
        assert!(script.newest(|_, header, _| header.flags.response), "the old one works on");
    }
}

#[test]
fn a_repeated_request_gets_the_same_octets_on_the_old_ike_sa() {
    let mut script = Script::as_initiator(|_| ());
    script.request(CREATE, |writer| Offer::default().write(writer));
    let nonce = |script: &mut Script| script.newest(|_, _, payloads| payloads.nonce().unwrap().octets().to_vec());
    let first = nonce(&mut script);
    script.repeat();
    assert_eq!(nonce(&mut script), first);
    assert_eq!(rekeyed(&script), 1);
    // On the old one nothing is made any more, and who asks has forgotten that: it is not even answered.
    let before = script.engine.counters().dropped_outside_window;
    script.request(CREATE, |writer| Offer::default().write(writer));
    assert_eq!((script.engine.counters().dropped_outside_window, rekeyed(&script)), (before + 1, 1));
    assert_eq!(script.engine.counters().hints_followed, 1, "the one in use is tested instead");
}

#[test]
fn a_peer_that_rekeys_and_never_deletes_grows_nothing() {
    let mut script = Script::as_initiator(|_| ());
    for _ in 0..5 {
        script.request(CREATE, |writer| Offer::default().write(writer));
    }
    assert_eq!((rekeyed(&script), script.engine.population().ike_sas), (1, 1));
}
