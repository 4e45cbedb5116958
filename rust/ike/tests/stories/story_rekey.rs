//! The peer replaces a Child SA (RFC 7296 sections 1.3.3 and 2.8).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::scripted;

use mobike_ike::crypto::Role;
use mobike_ike::event::DownReason;
use mobike_ike::wire::{
    AddressRange, Delete, EncryptionId, ExchangeType, KeMethod, Nonce, Notify, NotifyType, Payload, Proposal,
    ProtocolId, SaPayload, Selector, Sequence, SequenceNumbers, SkWriter, TrafficSelector, Transform, TsPayload,
};
use mobike_ike::{ChildInstall, Command, Event};
use scripted::{SCRIPTED_SPI, Script};

const NONCE: [u8; 32] = [0x77; 32];
const NEW_SPI: u32 = 0x5566_7788;

/// What a request to replace a Child SA says. The stories spoil one thing each.
struct Rekey {
    replaces: Vec<u8>,
    spi: u32,
    pfs: bool,
    nonce: bool,
    range: AddressRange,
}

impl Default for Rekey {
    fn default() -> Self {
        let replaces = SCRIPTED_SPI.to_be_bytes().to_vec();
        Rekey { replaces, spi: NEW_SPI, pfs: false, nonce: true, range: AddressRange::ALL_V4 }
    }
}

impl Rekey {
    /// REKEY_SA, SA, Ni, TSi, TSr
    fn ask(&self, script: &mut Script) {
        script.request(ExchangeType::CREATE_CHILD_SA, |writer| self.write(writer));
    }

    fn write(&self, writer: &mut SkWriter) {
        let rekey = Notify { protocol: ProtocolId::ESP, spi: &self.replaces, kind: NotifyType::REKEY_SA, data: &[] };
        writer.push(&Payload::Notify(rekey));
        let mut transforms = vec![
            Transform::encryption(EncryptionId::ENCR_AES_GCM_16, Some(128)),
            Transform::sequence_numbers(SequenceNumbers::SEQUENCE_32_BIT),
        ];
        if self.pfs {
            transforms.push(Transform::key_exchange(KeMethod::CURVE25519));
        }
        let spi = self.spi.to_be_bytes();
        let proposal =
            Proposal { number: 1, protocol: ProtocolId::ESP, spi: &spi, transforms: Sequence::of(&transforms) };
        writer.push(&Payload::Sa(SaPayload::of(&[proposal])));
        if self.nonce {
            writer.push(&Payload::Nonce(Nonce::new(&NONCE).unwrap()));
        }
        let range = [Selector::Range(TrafficSelector::addresses(self.range))];
        writer.push(&Payload::TsInitiator(TsPayload::of(&range)));
        writer.push(&Payload::TsResponder(TsPayload::of(&range)));
    }
}

fn children(script: &Script) -> u32 {
    script.engine.population().child_sas
}

fn newest_install(script: &Script) -> &ChildInstall {
    let install = script.events.iter().rev().find_map(|event| match event {
        Event::ChildUp { install, .. } => Some(&**install),
        _ => None,
    });
    install.expect("a Child SA")
}

#[test]
fn a_peer_that_cannot_move_its_child_replaces_it_and_both_ends_have_the_same_keys() {
    for mut script in [Script::as_initiator(|_| ()), Script::as_responder(|_| ())] {
        // CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr } -->
        Rekey::default().ask(&mut script);
        // <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }
        let (spi, nonce) = script.newest(|_, header, payloads| {
            assert!(header.flags.response);
            assert!(payloads.ts_initiator().is_some() && payloads.ts_responder().is_some());
            let proposal = payloads.sa().unwrap().proposals.iter().next().unwrap();
            (proposal.spi.to_vec(), payloads.nonce().unwrap().octets().to_vec())
        });
        let keys = script.child_keys(&NONCE, &nonce);
        let install = newest_install(&script);
        assert_eq!(spi, install.spi_in.to_be_bytes());
        assert_eq!(install.spi_out, NEW_SPI);
        assert_eq!(&install.key_in, keys.sent_by(Role::Initiator), "who asks is the initiator of this exchange");
        assert_eq!(&install.key_out, keys.sent_by(Role::Responder));
        assert_eq!(children(&script), 2, "the old one lives until the peer deletes it");

        // INFORMATIONAL { D } -->
        script.request(ExchangeType::INFORMATIONAL, |writer| {
            let spis = [SCRIPTED_SPI.to_be_bytes()];
            writer.push(&Payload::Delete(Delete::ChildSas { protocol: ProtocolId::ESP, spis: &spis }));
        });
        assert_eq!(children(&script), 1);
        let down = |event: &Event| matches!(event, Event::ChildDown { why: DownReason::PeerDeleted, .. });
        assert_eq!(script.events.iter().filter(|event| down(event)).count(), 1);
        // The new one can be replaced in its turn.
        Rekey { replaces: NEW_SPI.to_be_bytes().to_vec(), spi: NEW_SPI + 1, ..Rekey::default() }.ask(&mut script);
        assert_eq!(newest_install(&script).spi_out, NEW_SPI + 1);
    }
}

#[test]
fn a_repeated_request_gets_the_same_answer_and_no_second_child() {
    let mut script = Script::as_initiator(|_| ());
    Rekey::default().ask(&mut script);
    let first = script.newest(|_, _, payloads| payloads.nonce().unwrap().octets().to_vec());
    script.repeat();
    let second = script.newest(|_, _, payloads| payloads.nonce().unwrap().octets().to_vec());
    assert_eq!(first, second);
    assert_eq!(children(&script), 2);
}

#[test]
fn a_child_that_is_not_there_cannot_be_replaced() {
    let mut script = Script::as_initiator(|_| ());
    Rekey { replaces: vec![9, 9, 9, 9], ..Rekey::default() }.ask(&mut script);
    script.newest(|_, _, payloads| {
        let notify = payloads.notify(NotifyType::CHILD_SA_NOT_FOUND).expect("RFC 7296 section 2.25.1");
        assert_eq!((notify.protocol, notify.spi), (ProtocolId::ESP, &[9, 9, 9, 9][..]));
    });
    assert_eq!(children(&script), 1);
}

#[test]
fn a_rekey_that_cannot_be_served_is_refused_with_the_reason_and_changes_nothing() {
    let spoilt = [
        (Rekey { replaces: vec![], ..Rekey::default() }, NotifyType::INVALID_SYNTAX),
        (Rekey { nonce: false, ..Rekey::default() }, NotifyType::INVALID_SYNTAX),
        (Rekey { pfs: true, ..Rekey::default() }, NotifyType::NO_PROPOSAL_CHOSEN),
        (Rekey { spi: 255, ..Rekey::default() }, NotifyType::NO_PROPOSAL_CHOSEN),
        (Rekey { range: AddressRange::ALL_V6, ..Rekey::default() }, NotifyType::TS_UNACCEPTABLE),
    ];
    for (rekey, refusal) in spoilt {
        let mut script = Script::as_initiator(|_| ());
        rekey.ask(&mut script);
        assert_eq!(script.notified(), [(refusal, vec![])]);
        assert_eq!((children(&script), script.engine.population().ike_sas), (1, 1), "{refusal}");
        assert_eq!(script.engine.counters().create_child_refused, 1);
        Rekey::default().ask(&mut script);
        assert_eq!(children(&script), 2, "the next one is none the worse for it");
    }
}

#[test]
fn a_peer_that_rekeys_and_never_deletes_comes_to_an_end() {
    let mut script = Script::as_initiator(|_| ());
    for spi in 1_000..1_003 {
        Rekey { spi, ..Rekey::default() }.ask(&mut script);
    }
    assert_eq!(children(&script), 4);
    Rekey { spi: 1_003, ..Rekey::default() }.ask(&mut script);
    assert_eq!(script.notified(), [(NotifyType::NO_ADDITIONAL_SAS, vec![])]);
    assert_eq!(children(&script), 4);
}

#[test]
fn an_ike_sa_that_is_being_closed_replaces_no_child() {
    let mut script = Script::as_initiator(|_| ());
    let sa = script.sa();
    script.order(Command::Close { sa, why: "the story ends".into() });
    Rekey::default().ask(&mut script);
    assert_eq!(script.notified(), [(NotifyType::TEMPORARY_FAILURE, vec![])], "RFC 7296 section 2.25.2");
    assert_eq!(children(&script), 0);
}

// req: M3.3-1
#[test]
fn the_outer_addresses_of_a_new_child_are_those_of_the_ike_sa_and_not_of_the_request() {
    let mut script = Script::as_initiator(|_| ());
    let agreed = script.path;
    script.request_over(scripted::path("192.0.2.77"), ExchangeType::CREATE_CHILD_SA, |writer| {
        Rekey::default().write(writer);
    });
    assert_eq!(children(&script), 2);
    assert_eq!(newest_install(&script).path, agreed);
}
