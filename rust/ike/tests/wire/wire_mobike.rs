//! RFC 4555's notifications keep to their lengths, and port 4500 tells its three kinds of datagrams apart.
#![allow(clippy::unwrap_used, reason = "a test stops at what cannot be")]

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use mobike_ike::wire::mobike::SCRATCH_LEN;
use mobike_ike::wire::natt::{self, Datagram};
use mobike_ike::wire::{MobikeNotify, NoNatsAllowed, Notify, NotifyType, ProtocolId};

fn read(kind: NotifyType, data: &[u8]) -> Result<Option<MobikeNotify<'_>>, String> {
    MobikeNotify::read(&Notify::new(kind, data), 28).map_err(|error| error.to_string())
}

// req: M4-1
#[test]
fn each_notification_has_the_numbers_of_rfc_4555_section_8() {
    let numbers = [
        (NotifyType::UNACCEPTABLE_ADDRESSES, 40),
        (NotifyType::UNEXPECTED_NAT_DETECTED, 41),
        (NotifyType::MOBIKE_SUPPORTED, 16396),
        (NotifyType::ADDITIONAL_IP4_ADDRESS, 16397),
        (NotifyType::ADDITIONAL_IP6_ADDRESS, 16398),
        (NotifyType::NO_ADDITIONAL_ADDRESSES, 16399),
        (NotifyType::UPDATE_SA_ADDRESSES, 16400),
        (NotifyType::COOKIE2, 16401),
        (NotifyType::NO_NATS_ALLOWED, 16402),
    ];
    for (kind, number) in numbers {
        assert_eq!(kind.0, number, "{kind}");
        assert_eq!(kind.is_error(), number < 16384);
    }
}

// req: M3.2-1, M4-1
#[test]
fn the_data_of_mobike_supported_is_ignored() {
    // RFC 4555 section 4.2.1: empty when sent, ignored when received.
    assert_eq!(read(NotifyType::MOBIKE_SUPPORTED, b"a later version"), Ok(Some(MobikeNotify::MobikeSupported)));
    let mut scratch = [0; SCRATCH_LEN];
    assert_eq!(MobikeNotify::MobikeSupported.notify(&mut scratch).data, []);
}

// req: M4-1
#[test]
fn an_address_has_the_length_of_its_family() {
    let expected = IpAddr::from([192, 0, 2, 1]);
    assert_eq!(
        read(NotifyType::ADDITIONAL_IP4_ADDRESS, &[192, 0, 2, 1]),
        Ok(Some(MobikeNotify::AdditionalAddress(expected)))
    );
    for length in [0, 3, 5, 16] {
        assert_eq!(
            read(NotifyType::ADDITIONAL_IP4_ADDRESS, &vec![1; length]),
            Err(format!("MOBIKE notification at offset 36 cannot be {length} octets long (RFC 4555 section 4)"))
        );
    }
    for length in [0, 4, 15, 17] {
        assert!(read(NotifyType::ADDITIONAL_IP6_ADDRESS, &vec![1; length]).is_err());
    }
    let v6 = MobikeNotify::AdditionalAddress(Ipv6Addr::from([1; 16]).into());
    assert_eq!(read(NotifyType::ADDITIONAL_IP6_ADDRESS, &[1; 16]), Ok(Some(v6)));
}

// req: M4-1
#[test]
fn what_has_no_data_has_none() {
    for kind in [
        NotifyType::NO_ADDITIONAL_ADDRESSES,
        NotifyType::UPDATE_SA_ADDRESSES,
        NotifyType::UNEXPECTED_NAT_DETECTED,
        NotifyType::UNACCEPTABLE_ADDRESSES,
    ] {
        assert!(matches!(read(kind, &[]), Ok(Some(notify)) if notify.kind() == kind));
        assert!(read(kind, &[0]).is_err(), "{kind}");
    }
}

// req: M3.7-2, M4-1
#[test]
fn a_cookie2_has_8_to_64_octets() {
    for (length, good) in [(0, false), (7, false), (8, true), (64, true), (65, false)] {
        assert_eq!(read(NotifyType::COOKIE2, &vec![7; length]).is_ok(), good, "{length}");
    }
}

// req: M3.9-1, M4-1
#[test]
fn no_nats_allowed_names_both_ends_in_12_or_36_octets() {
    let data = [192, 0, 2, 1, 198, 51, 100, 9, 0x11, 0x94, 0x01, 0xf4];
    let Ok(Some(MobikeNotify::NoNatsAllowed(ends))) = read(NotifyType::NO_NATS_ALLOWED, &data) else { panic!() };
    assert_eq!(ends.source(), SocketAddr::from(([192, 0, 2, 1], 4500)));
    assert_eq!(ends.destination(), SocketAddr::from(([198, 51, 100, 9], 500)));
    let mut scratch = [0xee; SCRATCH_LEN];
    assert_eq!(MobikeNotify::NoNatsAllowed(ends).notify(&mut scratch).data, data);

    for (length, good) in [(0, false), (11, false), (12, true), (13, false), (35, false), (36, true), (37, false)] {
        assert_eq!(read(NotifyType::NO_NATS_ALLOWED, &vec![7; length]).is_ok(), good, "{length}");
    }
    assert_eq!(NoNatsAllowed::new(ends.source(), SocketAddr::from(([0u16; 8], 500))), None);
}

// req: M4-1
#[test]
fn an_spi_has_no_place_in_a_mobike_notification() {
    let notify = Notify::child(ProtocolId::ESP, &[1, 2, 3, 4], NotifyType::UPDATE_SA_ADDRESSES, &[]);
    assert_eq!(
        MobikeNotify::read(&notify, 28).unwrap_err().to_string(),
        "SPI at offset 36 cannot be 4 octets long (RFC 7296 section 3.3.1)"
    );
}

// req: M4-1
#[test]
fn the_protocol_id_of_a_notification_without_spi_is_ignored() {
    // RFC 7296 section 3.10.
    let notify = Notify { protocol: ProtocolId::IKE, ..Notify::new(NotifyType::UPDATE_SA_ADDRESSES, &[]) };
    assert_eq!(MobikeNotify::read(&notify, 28), Ok(Some(MobikeNotify::UpdateSaAddresses)));
}

#[test]
fn other_notifications_are_none_of_mobikes() {
    assert_eq!(read(NotifyType::INITIAL_CONTACT, &[]), Ok(None));
    assert_eq!(read(NotifyType(40000), b"anything"), Ok(None));
}

#[test]
fn port_4500_carries_ike_esp_and_keepalives() {
    // RFC 3948 sections 2.1 to 2.3.
    assert_eq!(natt::classify(&[0, 0, 0, 0, 9, 9]), Datagram::Ike(&[9, 9]));
    assert_eq!(natt::classify(&[0, 0, 0, 0]), Datagram::Ike(&[]));
    assert_eq!(natt::classify(&[0, 0, 0, 1, 0, 0, 0, 1]), Datagram::Esp(&[0, 0, 0, 1, 0, 0, 0, 1]));
    assert_eq!(natt::classify(&[0xff]), Datagram::Keepalive);
    for garbage in [&[][..], &[0xfe], &[0xff, 0xff], &[0, 0, 0], &[0, 0, 0, 1, 0, 0, 0]] {
        assert_eq!(natt::classify(garbage), Datagram::Garbage, "{garbage:?}");
    }
}
