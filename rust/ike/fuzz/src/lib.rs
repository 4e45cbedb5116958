//! What the fuzz targets do with their input. `cargo test` runs the same functions over mutated messages
//! (`tests/wire_mutations.rs`), so that they cannot rot.

use mobike_ike::wire::mobike::SCRATCH_LEN;
use mobike_ike::wire::sk::{self, SkSizes};
use mobike_ike::wire::{
    HEADER_LEN, MAX_MESSAGE, Message, MessageWriter, MobikeNotify, PayloadType, Payloads, WireError, natt, parse_chain,
    peek_spis,
};

/// A datagram from anyone, as it comes in on port 4500.
pub fn datagram(input: &[u8]) {
    match natt::classify(input) {
        natt::Datagram::Ike(message_octets) => message(message_octets),
        natt::Datagram::Esp(packet) => assert_eq!(packet, input),
        natt::Datagram::Keepalive => assert_eq!(input, natt::KEEPALIVE),
        natt::Datagram::Garbage => assert!(input.len() < 8),
    }
}

/// A whole message: what is understood can be written, and means the same.
pub fn message(input: &[u8]) {
    assert_eq!(peek_spis(input).is_some(), input.len() >= HEADER_LEN);
    let message = match Message::parse(input) {
        Ok(message) => message,
        Err(error) => return explained(error, 0, input.len()),
    };
    let mut writer = MessageWriter::new(&message.header);
    for payload in message.payloads.iter() {
        writer.push(payload);
    }
    let written = match writer.finish() {
        Ok(written) => written,
        Err(_) => return assert!(input.len() > MAX_MESSAGE),
    };
    assert_eq!(Message::parse(&written).as_ref(), Ok(&message));
    mobike(&message.payloads);
    sealed(input);
}

/// A chain as it comes out of an encrypted payload; the first octet stands for the type that SK names.
pub fn chain(input: &[u8]) {
    let Some((&first, chain)) = input.split_first() else { return };
    match parse_chain(PayloadType(first), chain, 1) {
        Ok(payloads) => mobike(&payloads),
        Err(error) => explained(error, 1, input.len()),
    }
    if let Err(error) = sk::strip_padding(input, 0) {
        explained(error, 0, input.len());
    }
}

/// Every size of IV, ICV and block that our suites have, and the smallest.
fn sealed(input: &[u8]) {
    for (iv, icv, block) in [(0, 0, 1), (8, 16, 1), (16, 16, 16), (16, 32, 16)] {
        match sk::open(&mut input.to_vec(), SkSizes { iv, icv, block }) {
            Ok(sealed) => {
                let parts = &sealed.parts;
                let octets = parts.aad.len() + parts.iv.len() + parts.body.len() + parts.icv.len();
                assert_eq!((parts.iv.len(), parts.icv.len(), octets), (iv, icv, input.len()));
                assert_eq!(parts.body.len() % block, 0);
            }
            Err(error) => explained(error, 0, input.len()),
        }
    }
}

fn mobike(payloads: &Payloads<'_>) {
    for notify in payloads.mobike().flatten() {
        let mut scratch = [0; SCRATCH_LEN];
        let written = notify.notify(&mut scratch);
        assert_eq!(MobikeNotify::read(&written, 0), Ok(Some(notify)));
    }
}

/// An error points into the input and fits on a line.
fn explained(error: WireError, first: usize, end: usize) {
    let line = error.to_string();
    assert!((first..=end).contains(&error.offset), "{line}");
    assert!(line.contains("RFC") && !line.contains('\n'), "{line}");
}
