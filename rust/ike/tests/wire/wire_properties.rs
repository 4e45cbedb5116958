//! What is written is read as the same, and what was read is written as the same octets.
#![allow(clippy::unwrap_used, reason = "a test stops at what cannot be")]

use crate::arbitrary;

use std::net::SocketAddr;

use mobike_ike::wire::mobike::SCRATCH_LEN;
use mobike_ike::wire::{
    Cookie2, HEADER_LEN, Header, MAX_MESSAGE, MAX_PAYLOADS, Message, MessageWriter, MobikeNotify, NoNatsAllowed,
    Notify, NotifyType, Payload, PayloadType, WireErrorKind, parse_chain, peek_spis,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_message_that_is_written_and_read_is_the_same(header in arbitrary::header(), payloads in arbitrary::payloads()) {
        let written = arbitrary::write(&header, &payloads);
        let read = Message::parse(&written).unwrap();

        let first = payloads.first().map_or(PayloadType::NONE, Payload::kind);
        let length = u32::try_from(written.len()).unwrap();
        prop_assert_eq!(read.header, Header { next_payload: first, length, ..header });
        prop_assert_eq!(read.payloads.iter().copied().collect::<Vec<_>>(), payloads);
        prop_assert_eq!(peek_spis(&written), Some((header.initiator_spi, header.responder_spi)));
    }

    #[test]
    fn a_message_that_is_read_and_written_has_the_same_octets(message in arbitrary::message()) {
        let read = Message::parse(&message).unwrap();
        let payloads: Vec<_> = read.payloads.iter().copied().collect();
        prop_assert_eq!(arbitrary::write(&read.header, &payloads), message);
    }

    #[test]
    fn every_payload_says_where_it_began(header in arbitrary::header(), payloads in arbitrary::payloads()) {
        let message = arbitrary::write(&header, &payloads);
        let read = Message::parse(&message).unwrap();
        let mut offset = HEADER_LEN;
        for entry in read.payloads.entries() {
            prop_assert_eq!(entry.offset, offset);
            offset += usize::from(u16::from_be_bytes([message[offset + 2], message[offset + 3]]));
        }
        prop_assert_eq!(offset, message.len());
    }

    #[test]
    fn a_chain_is_read_alike_inside_and_outside_of_a_message(header in arbitrary::header(), payloads in arbitrary::payloads()) {
        let message = arbitrary::write(&header, &payloads);
        let first = PayloadType(message[16]);
        let chain = parse_chain(first, &message[HEADER_LEN..], HEADER_LEN).unwrap();
        prop_assert_eq!(chain, Message::parse(&message).unwrap().payloads);
    }

    #[test]
    fn a_used_buffer_makes_the_same_message(header in arbitrary::header(), payload in arbitrary::payload(), old in any::<Vec<u8>>()) {
        let fresh = MessageWriter::new(&header).payload(&payload).finish();
        prop_assert_eq!(MessageWriter::reuse(&header, old).payload(&payload).finish(), fresh);
    }

    #[test]
    fn a_mobike_notification_survives_the_wire(notify in mobike_notify(), header in arbitrary::header()) {
        let mut scratch = [0; SCRATCH_LEN];
        let message = arbitrary::write(&header, &[Payload::Notify(notify.notify(&mut scratch))]);
        let read = Message::parse(&message).unwrap();
        prop_assert_eq!(read.payloads.mobike().collect::<Vec<_>>(), vec![Ok(notify)]);
    }
}

fn mobike_notify() -> impl Strategy<Value = MobikeNotify<'static>> {
    let end = || (arbitrary::address(), any::<u16>()).prop_map(|(address, port)| SocketAddr::new(address, port));
    let ends = (end(), end()).prop_filter_map("two families", |(source, destination)| {
        NoNatsAllowed::new(source, destination).map(MobikeNotify::NoNatsAllowed)
    });
    prop_oneof![
        Just(MobikeNotify::MobikeSupported),
        Just(MobikeNotify::NoAdditionalAddresses),
        Just(MobikeNotify::UpdateSaAddresses),
        Just(MobikeNotify::UnexpectedNatDetected),
        Just(MobikeNotify::UnacceptableAddresses),
        arbitrary::address().prop_map(MobikeNotify::AdditionalAddress),
        arbitrary::octets(8..=64).prop_map(|octets| MobikeNotify::Cookie2(Cookie2::new(octets).unwrap())),
        ends,
    ]
}

#[test]
fn what_does_not_fit_is_refused_by_the_writer_and_not_cut_short() {
    let header = Header::new(1, 0, mobike_ike::wire::ExchangeType::IKE_SA_INIT, Default::default(), 0);
    let long = vec![0; 65_532];
    let error = MessageWriter::new(&header).payload(&Payload::Vendor(&long)).finish().unwrap_err();
    assert!(matches!(error.kind, WireErrorKind::TooLong { .. }), "{error}");

    let half = vec![0; MAX_MESSAGE / 2];
    let payload = Payload::Vendor(&half);
    let error = MessageWriter::new(&header).payload(&payload).payload(&payload).finish().unwrap_err();
    assert!(matches!(error.kind, WireErrorKind::TooLong { .. }), "{error}");

    let spi = [0; 256];
    let notify = Notify { spi: &spi, ..Notify::new(NotifyType::REKEY_SA, &[]) };
    let error = MessageWriter::new(&header).payload(&Payload::Notify(notify)).finish().unwrap_err();
    assert!(matches!(error.kind, WireErrorKind::TooLong { length: 256, .. }), "{error}");
}

#[test]
fn the_writer_stops_at_as_many_payloads_as_the_reader_takes() {
    let header = Header::new(1, 0, mobike_ike::wire::ExchangeType::INFORMATIONAL, Default::default(), 0);
    let most = (0..MAX_PAYLOADS).fold(MessageWriter::new(&header), |writer, _| writer.payload(&Payload::Vendor(&[])));
    let message = most.finish().unwrap();
    assert_eq!(Message::parse(&message).unwrap().payloads.len(), MAX_PAYLOADS);

    let more = (0..=MAX_PAYLOADS).fold(MessageWriter::new(&header), |writer, _| writer.payload(&Payload::Vendor(&[])));
    assert!(matches!(more.finish().unwrap_err().kind, WireErrorKind::TooMany { .. }));
}
