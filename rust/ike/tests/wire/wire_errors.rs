//! Every way to be wrong, told in one line with its offset. The octets are written by hand.
#![allow(clippy::unwrap_used, reason = "a test stops at what cannot be")]

use mobike_ike::wire::{
    HEADER_LEN, Header, MAX_PAYLOADS, Message, NotifyType, Payload, PayloadType, WireError, WireErrorKind, parse_chain,
};

/// A message of one payload of type `first`; the header says the truth about its length.
fn message(first: u8, chain: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
    message.extend([first, 0x20, 34, 0x08, 0, 0, 0, 0]);
    message.extend(u32::try_from(HEADER_LEN + chain.len()).unwrap().to_be_bytes());
    message.extend(chain);
    message
}

/// A payload of type `kind` with this body, alone in its message.
fn alone(kind: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(body.len() + 4).unwrap().to_be_bytes();
    message(kind, &[&[0, 0, high, low], body].concat())
}

fn refused(message: &[u8]) -> WireError {
    Message::parse(message).unwrap_err()
}

fn told(message: &[u8]) -> String {
    refused(message).to_string()
}

const SA: u8 = 33;
const TS: u8 = 44;
const CP: u8 = 47;

#[test]
fn a_header_that_is_cut_off_is_refused() {
    assert_eq!(told(&[0; 27]), "IKE header at offset 0 needs 28 octets, 27 are left (RFC 7296 section 3.1)");
}

#[test]
fn the_header_must_say_the_length_of_the_datagram() {
    let mut longer = message(0, &[]);
    longer.push(0);
    assert_eq!(told(&longer), "message length 28 at offset 24 is not the datagram's 29 octets (RFC 7296 section 3.1)");
    let mut below = message(0, &[]);
    below[27] = 27;
    assert_eq!(told(&below), "IKE header length 27 at offset 24 is shorter than its own header (RFC 7296 section 3.1)");
}

#[test]
fn a_newer_major_version_is_answered_and_an_older_one_is_not() {
    let mut newer = message(0, &[]);
    newer[17] = 0x30;
    let error = refused(&newer);
    assert_eq!(error.to_string(), "major version 3 at offset 17 is newer than IKEv2 (RFC 7296 section 2.5)");
    assert_eq!(error.answer(), Some(NotifyType::INVALID_MAJOR_VERSION));
    // The answer needs the SPIs, which are where they always were.
    assert_eq!(Header::peek(&newer).unwrap().initiator_spi, 1);

    let mut older = message(0, &[]);
    older[17] = 0x10;
    let error = refused(&older);
    assert_eq!(error.to_string(), "major version 1 at offset 17 is older than IKEv2 (RFC 7296 section 2.5)");
    assert_eq!(error.answer(), None);
}

#[test]
fn a_newer_minor_version_and_unknown_flags_are_ignored() {
    let mut message = message(0, &[]);
    message[17] = 0x2f;
    message[19] = 0xff;
    let header = Message::parse(&message).unwrap().header;
    assert_eq!((header.version.minor, header.flags.response), (15, true));
}

#[test]
fn an_initiator_has_an_spi() {
    let mut nobody = message(0, &[]);
    nobody[7] = 0;
    assert_eq!(told(&nobody), "initiator's SPI at offset 0 is zero (RFC 7296 section 3.1)");
}

#[test]
fn a_payload_shorter_than_its_own_header_is_refused() {
    // A vendor payload of 4 octets, and one that says 3.
    let wrong = message(43, &[43, 0, 0, 4, 0, 0, 0, 3]);
    assert_eq!(told(&wrong), "payload length 3 at offset 32 is shorter than its own header (RFC 7296 section 3.2)");
    assert_eq!(refused(&wrong).answer(), Some(NotifyType::INVALID_SYNTAX));
}

#[test]
fn a_payload_does_not_reach_past_the_message() {
    let wrong = message(43, &[0, 0, 0, 9, 1, 2, 3, 4]);
    assert_eq!(told(&wrong), "payload length 9 at offset 28 exceeds the 8 octets left (RFC 7296 section 3.2)");
}

#[test]
fn a_promised_payload_must_come() {
    let wrong = message(43, &[41, 0, 0, 4]);
    assert_eq!(told(&wrong), "payload at offset 32 needs 4 octets, 0 are left (RFC 7296 section 3.2)");
}

#[test]
fn nothing_follows_the_last_payload() {
    let wrong = message(43, &[0, 0, 0, 4, 7]);
    assert_eq!(told(&wrong), "1 octet at offset 32 behind the last payload (RFC 7296 section 3.2)");
    let after_sk = message(46, &[33, 0, 0, 5, 7, 0, 0, 0, 4]);
    assert_eq!(told(&after_sk), "4 octets at offset 33 behind the last payload (RFC 7296 section 3.2)");
}

#[test]
fn more_payloads_than_anyone_needs_are_refused() {
    let chain = [43, 0, 0, 4].repeat(MAX_PAYLOADS + 1);
    let offset = HEADER_LEN + 4 * MAX_PAYLOADS;
    let expected = format!("payload at offset {offset} is one more than the limit of 128 (RFC 7296 section 3.2)");
    assert_eq!(told(&message(43, &chain)), expected);
}

#[test]
fn an_unknown_payload_is_skipped_unless_it_is_critical() {
    let skipped = message(200, &[43, 0, 0, 6, 1, 2, 0, 0, 0, 4]);
    let read = Message::parse(&skipped).unwrap();
    let unknown = Payload::Unknown { kind: PayloadType(200), body: &[1, 2] };
    assert_eq!(read.payloads.iter().collect::<Vec<_>>(), [&unknown, &Payload::Vendor(&[])]);

    let critical = message(43, &[200, 0, 0, 4, 0, 0x80, 0, 4]);
    let error = refused(&critical);
    assert_eq!(error.kind, WireErrorKind::UnsupportedCritical(PayloadType(200)));
    assert_eq!(error.to_string(), "payload type 200 at offset 32 is critical and unknown (RFC 7296 section 2.5)");
    assert_eq!(error.answer(), Some(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD));
}

#[test]
fn the_critical_bit_of_a_known_payload_is_ignored() {
    assert!(Message::parse(&message(43, &[0, 0x80, 0, 4])).is_ok());
}

#[test]
fn the_offset_in_an_opened_payload_counts_from_the_start_of_the_message() {
    let error = parse_chain(PayloadType::VENDOR, &[0, 0, 0, 2], 40).unwrap_err();
    assert_eq!(error.offset, 40);
}

#[test]
fn an_sa_payload_has_a_proposal() {
    assert_eq!(told(&alone(SA, &[])), "proposal at offset 32 needs 8 octets, 0 are left (RFC 7296 section 3.3.1)");
}

#[test]
fn a_proposal_is_as_long_as_it_says() {
    let short = alone(SA, &[0, 0, 0, 7, 1, 1, 0]);
    assert_eq!(told(&short), "proposal length 7 at offset 32 is shorter than its own header (RFC 7296 section 3.3.1)");
    let long = alone(SA, &[0, 0, 0, 9, 1, 1, 0, 0]);
    assert_eq!(told(&long), "proposal length 9 at offset 32 exceeds the 8 octets left (RFC 7296 section 3.3.1)");
}

#[test]
fn a_proposal_knows_whether_it_is_the_last() {
    let promises = alone(SA, &[2, 0, 0, 8, 1, 1, 0, 0]);
    assert_eq!(told(&promises), "proposal at offset 40 needs 8 octets, 0 are left (RFC 7296 section 3.3.1)");
    let denies = alone(SA, &[0, 0, 0, 8, 1, 1, 0, 0, 0, 0, 0, 8, 2, 1, 0, 0]);
    assert_eq!(told(&denies), "8 octets at offset 40 behind the last proposal (RFC 7296 section 3.3.1)");
    let odd = alone(SA, &[3, 0, 0, 8, 1, 1, 0, 0, 0, 0, 0, 8, 2, 1, 0, 0]);
    assert_eq!(told(&odd), "last-substructure octet at offset 32 cannot be 3 (RFC 7296 section 3.3.1)");
}

#[test]
fn the_spi_of_a_proposal_has_its_protocols_length() {
    let esp_without = alone(SA, &[0, 0, 0, 8, 1, 3, 0, 0]);
    assert_eq!(told(&esp_without), "SPI at offset 40 cannot be 0 octets long (RFC 7296 section 3.3.1)");
    let ike_of_four = alone(SA, &[0, 0, 0, 12, 1, 1, 4, 0, 1, 2, 3, 4]);
    assert_eq!(told(&ike_of_four), "SPI at offset 40 cannot be 4 octets long (RFC 7296 section 3.3.1)");
    let cut_off = alone(SA, &[0, 0, 0, 10, 1, 3, 4, 0, 1, 2]);
    assert_eq!(told(&cut_off), "SPI at offset 40 needs 4 octets, 2 are left (RFC 7296 section 3.3.1)");
}

#[test]
fn a_proposal_has_as_many_transforms_as_it_says() {
    let one_less = alone(SA, &[0, 0, 0, 16, 1, 1, 0, 2, 0, 0, 0, 8, 2, 0, 0, 5]);
    assert_eq!(told(&one_less), "transform count at offset 39 cannot be 2 (RFC 7296 section 3.3.1)");
}

#[test]
fn a_transform_and_its_attributes_are_as_long_as_they_say() {
    let short = alone(SA, &[0, 0, 0, 16, 1, 1, 0, 1, 0, 0, 0, 7, 2, 0, 0, 5]);
    assert_eq!(told(&short), "transform length 7 at offset 40 is shorter than its own header (RFC 7296 section 3.3.2)");
    // A long-form attribute of 5 octets with one there.
    let attribute = alone(SA, &[0, 0, 0, 21, 1, 1, 0, 1, 0, 0, 0, 13, 1, 0, 0, 12, 0, 99, 0, 5, 1]);
    assert_eq!(
        told(&attribute),
        "transform attribute length 9 at offset 48 exceeds the 5 octets left (RFC 7296 section 3.3.5)"
    );
    // Half of a short-form one.
    let half = alone(SA, &[0, 0, 0, 18, 1, 1, 0, 1, 0, 0, 0, 10, 1, 0, 0, 12, 0x80, 14]);
    assert_eq!(told(&half), "transform attribute at offset 50 needs 2 octets, 0 are left (RFC 7296 section 3.3.5)");
}

#[test]
fn a_key_exchange_has_data() {
    assert_eq!(
        told(&alone(34, &[0, 31, 0, 0])),
        "KE payload at offset 36 cannot be 0 octets long (RFC 7296 section 3.4)"
    );
}

#[test]
fn an_address_as_identity_has_the_length_of_an_address() {
    let wrong = alone(35, &[1, 0, 0, 0, 10, 0, 0]);
    assert_eq!(told(&wrong), "ID payload at offset 36 cannot be 3 octets long (RFC 7296 section 3.5)");
    assert_eq!(told(&alone(36, &[2, 0])), "ID payload at offset 32 needs 4 octets, 2 are left (RFC 7296 section 3.5)");
}

#[test]
fn a_nonce_has_16_to_256_octets() {
    for length in [0, 15, 257] {
        let expected = format!("nonce at offset 32 cannot be {length} octets long (RFC 7296 section 3.9)");
        assert_eq!(told(&alone(40, &vec![0; length])), expected);
    }
    for length in [16, 256] {
        assert!(Message::parse(&alone(40, &vec![0; length])).is_ok());
    }
}

#[test]
fn the_spi_of_a_notification_ends_inside_it() {
    let wrong = alone(41, &[3, 4, 0x40, 9, 1, 2]);
    assert_eq!(told(&wrong), "SPI at offset 36 needs 4 octets, 2 are left (RFC 7296 section 3.3.1)");
}

#[test]
fn a_deletion_names_what_it_counts() {
    let few = alone(42, &[3, 4, 0, 2, 1, 2, 3, 4]);
    assert_eq!(told(&few), "Delete payload at offset 36 needs 8 octets, 4 are left (RFC 7296 section 3.11)");
    let many = alone(42, &[3, 4, 0, 1, 1, 2, 3, 4, 5]);
    assert_eq!(told(&many), "1 octet at offset 40 behind the last payload (RFC 7296 section 3.2)");
    let odd = alone(42, &[3, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(told(&odd), "SPI at offset 33 cannot be 8 octets long (RFC 7296 section 3.3.1)");
    let nothing = alone(42, &[1, 0, 0xff, 0xff]);
    assert_eq!(told(&nothing), "Delete payload at offset 34 cannot be 65535 (RFC 7296 section 3.11)");
}

#[test]
fn a_ts_payload_has_as_many_selectors_as_it_says_and_at_least_one() {
    assert_eq!(told(&alone(TS, &[0; 4])), "selector count at offset 32 cannot be 0 (RFC 7296 section 3.13)");
    let wrong = alone(TS, &[2, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 1, 0, 0, 0, 1, 0, 0, 9]);
    assert_eq!(told(&wrong), "selector count at offset 32 cannot be 2 (RFC 7296 section 3.13)");
}

#[test]
fn a_selector_has_the_length_of_its_type() {
    let wrong = alone(TS, &[1, 0, 0, 0, 7, 0, 0, 12, 0, 0, 255, 255, 1, 0, 0, 0]);
    assert_eq!(told(&wrong), "traffic selector at offset 36 cannot be 12 octets long (RFC 7296 section 3.13.1)");
    let short = alone(TS, &[1, 0, 0, 0, 7, 0, 0, 3]);
    assert_eq!(
        told(&short),
        "traffic selector length 3 at offset 36 is shorter than its own header (RFC 7296 section 3.13.1)"
    );
}

#[test]
fn a_selector_does_not_end_before_it_begins() {
    let addresses = alone(TS, &[1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 10, 0, 0, 2, 10, 0, 0, 1]);
    assert_eq!(
        told(&addresses),
        "traffic selector has a range at offset 44 that begins after its end (RFC 7296 section 3.13.1)"
    );
    let ports = alone(TS, &[1, 0, 0, 0, 7, 6, 0, 16, 0, 9, 0, 8, 10, 0, 0, 1, 10, 0, 0, 1]);
    assert_eq!(
        told(&ports),
        "traffic selector has a range at offset 40 that begins after its end (RFC 7296 section 3.13.1)"
    );
    let opaque = alone(TS, &[1, 0, 0, 0, 7, 6, 0, 16, 255, 255, 0, 0, 10, 0, 0, 1, 10, 0, 0, 1]);
    let read = Message::parse(&opaque).unwrap();
    assert!(read.payloads.ts_initiator().unwrap().ranges().next().unwrap().is_opaque());
}

#[test]
fn a_configuration_attribute_has_the_length_of_its_type() {
    let mask = alone(CP, &[1, 0, 0, 0, 0, 2, 0, 3, 255, 255, 255]);
    assert_eq!(told(&mask), "configuration attribute at offset 40 cannot be 3 octets long (RFC 7296 section 3.15.1)");
    let long = alone(CP, &[1, 0, 0, 0, 0, 1, 0, 8, 10, 0, 0, 1]);
    assert_eq!(
        told(&long),
        "configuration attribute length 12 at offset 36 exceeds the 8 octets left (RFC 7296 section 3.15.1)"
    );
    let mut prefix = vec![1, 0, 0, 0, 0, 8, 0, 17];
    prefix.extend([0; 16]);
    prefix.push(129);
    assert_eq!(
        told(&alone(CP, &prefix)),
        "configuration attribute at offset 56 cannot be 129 (RFC 7296 section 3.15.1)"
    );
}

#[test]
fn an_eap_packet_is_as_long_as_its_payload() {
    let long = alone(48, &[1, 7, 0, 6, 1]);
    assert_eq!(told(&long), "EAP packet length 6 at offset 32 exceeds the 5 octets left (RFC 7296 section 3.16)");
    let short = alone(48, &[1, 7, 0, 5, 1, 9]);
    assert_eq!(told(&short), "1 octet at offset 37 behind the last payload (RFC 7296 section 3.2)");
    let success = alone(48, &[3, 7, 0, 5, 1]);
    assert_eq!(told(&success), "1 octet at offset 36 behind the last EAP packet (RFC 7296 section 3.16)");
}

#[test]
fn a_fragment_has_a_place_among_its_fellows() {
    let beyond = alone(53, &[0, 3, 0, 2]);
    assert_eq!(told(&beyond), "fragment number at offset 32 cannot be 3 (RFC 7383 section 2.5)");
    let many = alone(53, &[0, 1, 0, 65]);
    assert_eq!(told(&many), "SKF payload at offset 32 is one more than the limit of 64 (RFC 7383 section 2.5)");
}
