//! Encrypted payloads: everything lies where crypto looks for it.
#![allow(clippy::unwrap_used, reason = "a test stops at what cannot be")]

use crate::arbitrary;

use mobike_ike::wire::sk::{self, Fragment, MAX_FRAGMENTS, SkSizes, SkWriter};
use mobike_ike::wire::{
    Clear, Eap, EapCode, ExchangeType, Flags, HEADER_LEN, Header, Message, Payload, PayloadType, Payloads,
    WireErrorKind, parse_chain,
};
use proptest::collection::vec;
use proptest::prelude::*;

const GCM: SkSizes = SkSizes { iv: 8, icv: 16, block: 1 };
const CBC: SkSizes = SkSizes { iv: 16, icv: 16, block: 16 };

fn header() -> Header {
    Header::new(1, 2, ExchangeType::IKE_AUTH, Flags { initiator: true, ..Flags::default() }, 1)
}

fn write<'a>(header: &Header, sizes: SkSizes, payloads: impl IntoIterator<Item = &'a Payload<'a>>) -> SkWriter {
    payloads.into_iter().fold(SkWriter::new(header, sizes), SkWriter::payload)
}

/// The inner payloads of `message`, read as if its body had just been opened.
fn inner(message: &mut [u8], sizes: SkSizes) -> (PayloadType, Vec<u8>, usize) {
    let sealed = sk::open(message, sizes).unwrap();
    let offset = sealed.layout.body().start;
    (sealed.first, sk::strip_padding(sealed.parts.body, offset).unwrap().to_vec(), offset)
}

fn sizes() -> impl Strategy<Value = SkSizes> {
    let block = prop_oneof![Just(1usize), Just(4), Just(8), Just(16)];
    (0usize..=16, 0usize..=32, block).prop_map(|(iv, icv, block)| SkSizes { iv, icv, block })
}

proptest! {
    #[test]
    fn what_is_put_inside_is_found_inside(
        header in arbitrary::header(), sizes in sizes(), payloads in vec(arbitrary::payload(), 0..6)
    ) {
        let writer = write(&header, sizes, &payloads);
        let expected_len = writer.message_len();
        let unsealed = writer.finish().unwrap();
        let layout = unsealed.layout();
        let mut message = unsealed.into_message();
        prop_assert_eq!(message.len(), expected_len);

        let sealed = sk::open(&mut message, sizes).unwrap();
        prop_assert_eq!(sealed.layout, layout);
        prop_assert_eq!(sealed.fragment, None);
        prop_assert_eq!(sealed.header.message_id, header.message_id);
        prop_assert_eq!(sealed.parts.aad.len(), HEADER_LEN + 4);
        prop_assert_eq!(sealed.parts.iv.len(), sizes.iv);
        prop_assert_eq!(sealed.parts.icv.len(), sizes.icv);
        prop_assert_eq!(sealed.parts.body.len() % sizes.block, 0);

        let (first, chain, offset) = inner(&mut message, sizes);
        let read = parse_chain(first, &chain, offset).unwrap();
        prop_assert_eq!(read.iter().copied().collect::<Vec<_>>(), payloads);
        prop_assert!(Message::parse(&message).is_ok());
    }

    /// RFC 7383 section 2.5.3: what is in the clear is in the first fragment. RFC 9242 section 3.3.2: AUTH covers the whole, the
    /// same for who wrote it in one piece and who got it in several.
    #[test]
    fn what_is_in_the_clear_is_ahead_of_the_rest_in_one_piece_and_in_several(
        header in arbitrary::header(), sizes in sizes(), payloads in vec(arbitrary::payload(), 1..6),
        solution in vec(any::<u8>(), 0..40), limit in 250usize..400
    ) {
        let wanted = Payload::PuzzleSolution(&solution);
        let write = || {
            let writer = SkWriter::behind(&header, Clear::of(&wanted), sizes, Vec::new());
            payloads.iter().fold(writer, |writer, payload| writer.payload(payload))
        };
        let intact = write().intact();
        let mut whole = write().finish().unwrap().into_message();
        let read = Message::parse(&whole).unwrap();
        prop_assert_eq!(read.payloads.iter().next(), Some(&wanted));
        let sealed = sk::open(&mut whole, sizes).unwrap();
        prop_assert_eq!(sealed.parts.aad.len(), HEADER_LEN + 4 + solution.len() + 4);
        let (clear, header_read) = (sealed.clear.clone(), sealed.header);
        let (first, chain, _) = inner(&mut whole, sizes);
        prop_assert_eq!(sk::intact(&header_read, &clear, first, &chain), &intact[..]);

        let fragments = write().finish_fragments(limit).unwrap();
        let (mut ahead, mut first, mut chain) = (Clear::default(), PayloadType::NONE, Vec::new());
        for (number, fragment) in (1u16..).zip(fragments) {
            let mut message = fragment.into_message();
            prop_assert!(message.len() <= limit);
            let sealed = sk::open(&mut message, sizes).unwrap();
            prop_assert_eq!(sealed.clear.is_empty(), number > 1);
            if number == 1 {
                ahead = sealed.clear.clone();
            }
            let (named, piece, _) = inner(&mut message, sizes);
            first = if number == 1 { named } else { first };
            chain.extend(piece);
        }
        prop_assert_eq!(sk::intact(&header_read, &ahead, first, &chain), intact);
    }

    #[test]
    fn fragments_fit_their_limit_and_make_the_message_again(
        header in arbitrary::header(), sizes in sizes(), payloads in vec(arbitrary::payload(), 1..6), limit in 200usize..400
    ) {
        let fragments = write(&header, sizes, &payloads).finish_fragments(limit).unwrap();
        let total = fragments.len();
        let mut first = PayloadType::NONE;
        let mut chain = Vec::new();
        for (number, fragment) in (1u16..).zip(fragments) {
            let mut message = fragment.into_message();
            prop_assert!(message.len() <= limit);
            let sealed = sk::open(&mut message, sizes).unwrap();
            let place = (total > 1).then(|| Fragment::new(number, total.try_into().unwrap()).unwrap());
            prop_assert_eq!(sealed.fragment, place);
            // RFC 7383 section 2.5: the first fragment names the first inner payload, the others name none.
            prop_assert_eq!(sealed.first == PayloadType::NONE, number > 1);
            let (named, piece, _) = inner(&mut message, sizes);
            first = if number == 1 { named } else { first };
            chain.extend(piece);
        }
        let read = parse_chain(first, &chain, 0).unwrap();
        prop_assert_eq!(read.iter().copied().collect::<Vec<_>>(), payloads);
    }
}

#[test]
fn the_layout_of_an_aead_message_is_the_one_of_rfc_5282() {
    let mut unsealed = write(&header(), GCM, [&Payload::Vendor(b"abcd")]).finish().unwrap();
    let layout = unsealed.layout();
    // Header 28, SK header 4, IV 8, vendor payload 8 and pad length 1, ICV 16.
    assert_eq!((layout.aad(), layout.iv(), layout.body(), layout.icv()), (0..32, 32..40, 40..49, 49..65));
    assert_eq!(layout.covered(), 0..49);

    let parts = unsealed.parts();
    assert_eq!(parts.body, [0, 0, 0, 8, b'a', b'b', b'c', b'd', 0]);
    parts.iv.fill(0x11);
    parts.icv.fill(0x22);
    let message = unsealed.into_message();
    assert_eq!(message[16], 46);
    assert_eq!(message[24..34], [0, 0, 0, 65, 43, 0, 0, 37, 0x11, 0x11]);
    assert_eq!(message[48..50], [0, 0x22]);
}

#[test]
fn padding_fills_blocks_and_never_wastes_one() {
    for length in 0..40 {
        let body = vec![7; length];
        let unsealed = write(&header(), CBC, [&Payload::Vendor(&body)]).finish().unwrap();
        let body_len = unsealed.layout().body().len();
        assert_eq!(body_len % 16, 0);
        assert!(body_len < 4 + length + 1 + 16);
        assert_eq!(inner(&mut unsealed.into_message(), CBC).1.len(), 4 + length);
    }
}

#[test]
fn an_empty_message_still_has_an_encrypted_payload() {
    // A liveness check: INFORMATIONAL { SK {} } (RFC 7296 section 1.4).
    let mut message = SkWriter::new(&header(), GCM).finish().unwrap().into_message();
    let (first, chain, offset) = inner(&mut message, GCM);
    assert_eq!(first, PayloadType::NONE);
    assert_eq!(parse_chain(first, &chain, offset), Ok(Payloads::default()));
}

#[test]
fn a_message_that_fits_is_not_fragmented() {
    let writer = || write(&header(), GCM, [&Payload::Vendor(&[0; 100])]);
    let length = writer().message_len();
    assert_eq!(writer().finish_fragments(length).unwrap(), [writer().finish().unwrap()]);
    assert_eq!(writer().finish_fragments(length - 1).unwrap().len(), 2);
}

#[test]
fn more_fragments_than_a_peer_would_take_are_not_made() {
    let octets = vec![0; 60_000];
    let writer = || write(&header(), GCM, [&Payload::Vendor(&octets)]);
    let error = writer().finish_fragments(576).unwrap_err();
    assert!(matches!(error.kind, WireErrorKind::TooMany { .. }), "{error}");
    assert!(writer().finish_fragments(1280).unwrap().len() <= usize::from(MAX_FRAGMENTS));
    let error = writer().finish_fragments(61).unwrap_err();
    assert!(matches!(error.kind, WireErrorKind::TooLong { .. }), "{error}");
}

#[test]
fn an_encrypted_payload_without_room_for_iv_icv_and_pad_length_is_refused() {
    let mut message = SkWriter::new(&header(), GCM).finish().unwrap().into_message();
    assert!(sk::open(&mut message, GCM).is_ok());
    let error = sk::open(&mut message, SkSizes { icv: 17, ..GCM }).unwrap_err();
    assert_eq!(error.to_string(), "SK payload at offset 32 needs 26 octets, 25 are left (RFC 7296 section 3.14)");
    let error = sk::open(&mut message, SkSizes { block: 16, ..GCM }).unwrap_err();
    assert_eq!(error.to_string(), "SK payload at offset 40 cannot be 1 octet long (RFC 7296 section 3.14)");
}

#[test]
fn a_message_without_an_encrypted_payload_cannot_be_opened() {
    let mut message = arbitrary::write(&header(), &[Payload::Vendor(&[])]);
    let error = sk::open(&mut message, GCM).unwrap_err();
    assert_eq!(error.to_string(), "no SK payload before the message's end at offset 32 (RFC 7296 section 3.14)");
}

#[test]
fn padding_longer_than_the_body_is_refused() {
    let told = |body| sk::strip_padding(body, 40).unwrap_err().to_string();
    assert_eq!(told(&[]), "SK padding at offset 40 needs 1 octet, 0 are left (RFC 7296 section 3.14)");
    assert_eq!(told(&[0, 0, 3]), "SK padding length 3 at offset 42 exceeds the 2 octets left (RFC 7296 section 3.14)");
    assert_eq!(sk::strip_padding(&[9, 0, 0, 2], 40), Ok(&[9][..]));
}

#[test]
fn a_payload_ahead_of_the_encrypted_one_is_authenticated_and_stepped_over() {
    let sealed = SkWriter::new(&header(), GCM).finish().unwrap().into_message();
    let mut message = [&sealed[..28], &[46, 0, 0, 6, 1, 2], &sealed[28..]].concat();
    message[16] = 43;
    message[27] += 6;
    let sealed = sk::open(&mut message, GCM).unwrap();
    assert_eq!(sealed.layout.aad(), 0..38);
}

#[test]
fn what_may_be_secret_is_not_in_debug_output() {
    let password = Payload::Eap(Eap { code: EapCode::RESPONSE, identifier: 1, method: Some(6), data: b"hunter2" });
    let octets = format!("{:?}", b"hunter2");
    let secret = octets.trim_matches(['[', ']']);
    let writer = write(&header(), GCM, [&password]);
    let told = format!("{password:?} {writer:?}");
    let mut unsealed = writer.finish().unwrap();
    let told = format!("{told} {unsealed:?}");
    let told = format!("{told} {:?}", unsealed.parts());
    let told = format!("{told} {:?}", sk::open(&mut unsealed.into_message(), GCM).unwrap());
    assert!(!told.contains(secret) && !told.contains("hunter2"), "{told}");
}
