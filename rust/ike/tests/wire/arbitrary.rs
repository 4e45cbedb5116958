//! Any payload and any message, for property tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mobike_ike::wire::sa::{Attribute, AttributeValue};
use mobike_ike::wire::{
    AddressRange, AuthMethod, Authentication, CertEncoding, Certificate, CertificateRequest, CfgAttribute, CfgType,
    Configuration, Delete, Eap, EapCode, Encrypted, EncryptedFragment, ExchangeType, Flags, Fragment, Header, IdType,
    Identification, KeMethod, KeyExchange, MessageWriter, Nonce, Notify, NotifyType, Payload, PayloadType, Proposal,
    ProtocolId, SaPayload, Selector, Sequence, TrafficSelector, Transform, TransformType, TsPayload, TsType, cp, sk,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Lends what a payload borrows for as long as the test process lives, which is short.
pub fn lend<T>(items: Vec<T>) -> &'static [T] {
    items.leak()
}

pub fn octets(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), length).prop_map(lend)
}

pub fn header() -> impl Strategy<Value = Header> {
    let flags = any::<(bool, bool, bool)>();
    (1u64.., any::<u64>(), any::<u8>(), flags, any::<u32>()).prop_map(
        |(initiator_spi, responder_spi, exchange, (initiator, version, response), message_id)| {
            let flags = Flags { initiator, version, response };
            Header::new(initiator_spi, responder_spi, ExchangeType(exchange), flags, message_id)
        },
    )
}

/// Any payload that others may follow.
pub fn payload() -> BoxedStrategy<Payload<'static>> {
    prop_oneof![
        vec(proposal(), 1..4).prop_map(|proposals| Payload::Sa(SaPayload::of(lend(proposals)))),
        (any::<u16>(), octets(1..64))
            .prop_map(|(method, data)| Payload::KeyExchange(KeyExchange { method: KeMethod(method), data })),
        identification().prop_map(Payload::IdInitiator),
        identification().prop_map(Payload::IdResponder),
        (any::<u8>(), octets(0..64))
            .prop_map(|(encoding, data)| Payload::Certificate(Certificate { encoding: CertEncoding(encoding), data })),
        (any::<u8>(), octets(0..64)).prop_map(|(encoding, data)| {
            Payload::CertificateRequest(CertificateRequest { encoding: CertEncoding(encoding), data })
        }),
        (any::<u8>(), octets(0..64))
            .prop_map(|(method, data)| Payload::Authentication(Authentication { method: AuthMethod(method), data })),
        octets(16..=256).prop_map(|nonce| Payload::Nonce(Nonce::new(nonce).unwrap())),
        notify().prop_map(Payload::Notify),
        delete().prop_map(Payload::Delete),
        octets(0..64).prop_map(Payload::Vendor),
        octets(0..64).prop_map(Payload::PuzzleSolution),
        vec(selector(), 1..6).prop_map(|selectors| Payload::TsInitiator(TsPayload::of(lend(selectors)))),
        vec(selector(), 1..6).prop_map(|selectors| Payload::TsResponder(TsPayload::of(lend(selectors)))),
        (any::<u8>(), vec(attribute(), 0..8)).prop_map(|(kind, attributes)| {
            Payload::Configuration(Configuration::of(CfgType(kind), lend(attributes)))
        }),
        eap().prop_map(Payload::Eap),
        (unknown_payload_type(), octets(0..64)).prop_map(|(kind, body)| Payload::Unknown { kind, body }),
    ]
    .boxed()
}

/// An encrypted payload, which ends its message.
pub fn last_payload() -> impl Strategy<Value = Payload<'static>> {
    let place = (1..=sk::MAX_FRAGMENTS).prop_flat_map(|total| (1..=total, Just(total)));
    prop_oneof![
        (any::<u8>(), octets(0..64))
            .prop_map(|(first, body)| Payload::Encrypted(Encrypted { first: PayloadType(first), body })),
        (any::<u8>(), place, octets(0..64)).prop_map(|(first, (number, total), body)| {
            let fragment = Fragment::new(number, total).unwrap();
            Payload::EncryptedFragment(EncryptedFragment { first: PayloadType(first), fragment, body })
        }),
    ]
}

pub fn payloads() -> impl Strategy<Value = Vec<Payload<'static>>> {
    (vec(payload(), 0..8), option::of(last_payload())).prop_map(|(mut payloads, last)| {
        payloads.extend(last);
        payloads
    })
}

pub fn message() -> impl Strategy<Value = Vec<u8>> {
    (header(), payloads()).prop_map(|(header, payloads)| write(&header, &payloads))
}

pub fn write(header: &Header, payloads: &[Payload<'_>]) -> Vec<u8> {
    payloads.iter().fold(MessageWriter::new(header), MessageWriter::payload).finish().unwrap()
}

fn proposal() -> impl Strategy<Value = Proposal<'static>> {
    let owner = prop_oneof![
        Just((ProtocolId::IKE, 0)),
        Just((ProtocolId::IKE, 8)),
        Just((ProtocolId::AH, 4)),
        Just((ProtocolId::ESP, 4)),
        (4u8.., 0usize..=255).prop_map(|(protocol, size)| (ProtocolId(protocol), size)),
    ];
    let spi = owner.prop_flat_map(|(protocol, size)| (Just(protocol), octets(size)));
    (any::<u8>(), spi, vec(transform(), 0..10)).prop_map(|(number, (protocol, spi), transforms)| Proposal {
        number,
        protocol,
        spi,
        transforms: Sequence::of(lend(transforms)),
    })
}

fn transform() -> impl Strategy<Value = Transform<'static>> {
    // Attribute 14 is the key length and has its own field.
    let value = prop_oneof![any::<u16>().prop_map(AttributeValue::Short), octets(0..9).prop_map(AttributeValue::Long)];
    let attribute = (15u16..0x8000, value).prop_map(|(kind, value)| Attribute { kind, value });
    (any::<u8>(), any::<u16>(), option::of(any::<u16>()), vec(attribute, 0..3)).prop_map(
        |(kind, id, key_length, unknown)| Transform {
            kind: TransformType(kind),
            id,
            key_length,
            unknown: Sequence::of(lend(unknown)),
        },
    )
}

fn identification() -> impl Strategy<Value = Identification<'static>> {
    prop_oneof![
        octets(4).prop_map(|data| Identification::new(IdType::IPV4_ADDR, data)),
        octets(16).prop_map(|data| Identification::new(IdType::IPV6_ADDR, data)),
        (6u8.., octets(0..64)).prop_map(|(kind, data)| Identification::new(IdType(kind), data)),
    ]
}

fn notify() -> impl Strategy<Value = Notify<'static>> {
    (any::<u8>(), octets(0..=255), any::<u16>(), octets(0..64)).prop_map(|(protocol, spi, kind, data)| Notify {
        protocol: ProtocolId(protocol),
        spi,
        kind: NotifyType(kind),
        data,
    })
}

fn delete() -> impl Strategy<Value = Delete<'static>> {
    let unknown = (0u8..=255, 0usize..5).prop_flat_map(|(size, count)| (Just(size), octets(usize::from(size) * count)));
    prop_oneof![
        Just(Delete::IkeSa),
        (2u8..=3, vec(any::<[u8; 4]>(), 0..9))
            .prop_map(|(protocol, spis)| Delete::ChildSas { protocol: ProtocolId(protocol), spis: lend(spis) }),
        (4u8.., unknown).prop_map(|(protocol, (spi_size, spis))| Delete::Unknown {
            protocol: ProtocolId(protocol),
            spi_size,
            spis
        }),
    ]
}

fn selector() -> impl Strategy<Value = Selector<'static>> {
    let ports = prop_oneof![any::<(u16, u16)>().prop_map(|(a, b)| (a.min(b), a.max(b))), Just((65535, 0))];
    let v4 = any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(a, b)| AddressRange::V4 { start: a.min(b), end: a.max(b) });
    let v6 = any::<(Ipv6Addr, Ipv6Addr)>().prop_map(|(a, b)| AddressRange::V6 { start: a.min(b), end: a.max(b) });
    prop_oneof![
        (any::<u8>(), ports, prop_oneof![v4, v6]).prop_map(|(protocol, (start_port, end_port), addresses)| {
            Selector::Range(TrafficSelector { protocol, start_port, end_port, addresses })
        }),
        (9u8.., any::<u8>(), octets(0..32)).prop_map(|(kind, protocol, body)| Selector::Unknown {
            kind: TsType(kind),
            protocol,
            body
        }),
    ]
}

fn attribute() -> impl Strategy<Value = cp::Attribute<'static>> {
    let prefix = || option::of((any::<Ipv6Addr>(), 0u8..=128));
    let other = prop_oneof![Just(7u16), 16u16..0x8000];
    prop_oneof![
        any::<Option<Ipv4Addr>>().prop_map(cp::Attribute::Ip4Address),
        any::<Option<Ipv4Addr>>().prop_map(cp::Attribute::Ip4Netmask),
        any::<Option<Ipv4Addr>>().prop_map(cp::Attribute::Ip4Dns),
        any::<Option<(Ipv4Addr, Ipv4Addr)>>().prop_map(cp::Attribute::Ip4Subnet),
        prefix().prop_map(cp::Attribute::Ip6Address),
        any::<Option<Ipv6Addr>>().prop_map(cp::Attribute::Ip6Dns),
        prefix().prop_map(cp::Attribute::Ip6Subnet),
        (other, octets(0..32)).prop_map(|(kind, value)| cp::Attribute::Other { kind: CfgAttribute(kind), value }),
    ]
}

fn eap() -> impl Strategy<Value = Eap<'static>> {
    let request = (1u8..=2, any::<u8>().prop_map(Some), octets(0..64));
    let outcome = (3u8..=4, Just(None), octets(0));
    let unknown = (5u8.., Just(None), octets(0..64));
    (any::<u8>(), prop_oneof![request, outcome, unknown]).prop_map(|(identifier, (code, method, data))| Eap {
        code: EapCode(code),
        identifier,
        method,
        data,
    })
}

fn unknown_payload_type() -> impl Strategy<Value = PayloadType> {
    prop_oneof![1u8..33, 49u8..53, 55u8..].prop_map(PayloadType)
}

/// Any address, for MOBIKE's notifications.
pub fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>()
}
