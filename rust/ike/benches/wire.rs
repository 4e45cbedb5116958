//! What a message costs before crypto: IKE_SA_INIT both ways, the inner chain of IKE_AUTH, and the look at the SPIs.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench stops at what cannot be")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mobike_ike::wire::sk::{self, SkSizes, SkWriter};
use mobike_ike::wire::{
    AddressRange, AuthMethod, Authentication, CfgType, Configuration, EncryptionId, ExchangeType, Flags, Header,
    IdType, Identification, KeMethod, KeyExchange, Message, MessageWriter, Nonce, NotifyType, Payload, PrfId, Proposal,
    ProtocolId, SaPayload, Selector, Sequence, SequenceNumbers, TrafficSelector, Transform, TsPayload, cp, parse_chain,
    peek_spis,
};

const IKE: [Transform<'static>; 3] = [
    Transform::encryption(EncryptionId::ENCR_AES_GCM_16, Some(256)),
    Transform::prf(PrfId::PRF_HMAC_SHA2_256),
    Transform::key_exchange(KeMethod::CURVE25519),
];
const ESP: [Transform<'static>; 2] = [
    Transform::encryption(EncryptionId::ENCR_AES_GCM_16, Some(256)),
    Transform::sequence_numbers(SequenceNumbers::SEQUENCE_32_BIT),
];
const GCM: SkSizes = SkSizes { iv: 8, icv: 16, block: 1 };

const fn header(exchange: ExchangeType, message_id: u32) -> Header {
    let flags = Flags { initiator: true, version: false, response: false };
    Header::new(0x0102_0304_0506_0708, 0x1112_1314_1516_1718, exchange, flags, message_id)
}

fn init() -> Vec<u8> {
    let proposals = [Proposal { number: 1, protocol: ProtocolId::IKE, spi: &[], transforms: Sequence::of(&IKE) }];
    MessageWriter::new(&header(ExchangeType::IKE_SA_INIT, 0))
        .payload(&Payload::Sa(SaPayload::of(&proposals)))
        .payload(&Payload::KeyExchange(KeyExchange { method: KeMethod::CURVE25519, data: &[7; 32] }))
        .payload(&Payload::Nonce(Nonce::new(&[9; 32]).unwrap()))
        .payload(&Payload::notify(NotifyType::NAT_DETECTION_SOURCE_IP, &[1; 20]))
        .payload(&Payload::notify(NotifyType::NAT_DETECTION_DESTINATION_IP, &[2; 20]))
        .payload(&Payload::notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]))
        .finish()
        .unwrap()
}

fn auth() -> Vec<u8> {
    let proposals =
        [Proposal { number: 1, protocol: ProtocolId::ESP, spi: &[1, 2, 3, 4], transforms: Sequence::of(&ESP) }];
    let selectors =
        [AddressRange::ALL_V4, AddressRange::ALL_V6].map(|range| Selector::Range(TrafficSelector::addresses(range)));
    let wanted = [cp::Attribute::Ip4Address(None), cp::Attribute::Ip4Dns(None), cp::Attribute::Ip6Address(None)];
    SkWriter::new(&header(ExchangeType::IKE_AUTH, 1), GCM)
        .payload(&Payload::IdInitiator(Identification::new(IdType::FQDN, b"phone.example")))
        .payload(&Payload::notify(NotifyType::INITIAL_CONTACT, &[]))
        .payload(&Payload::IdResponder(Identification::new(IdType::FQDN, b"gateway.example")))
        .payload(&Payload::Authentication(Authentication { method: AuthMethod::SHARED_KEY, data: &[3; 32] }))
        .payload(&Payload::Configuration(Configuration::of(CfgType::REQUEST, &wanted)))
        .payload(&Payload::Sa(SaPayload::of(&proposals)))
        .payload(&Payload::TsInitiator(TsPayload::of(&selectors)))
        .payload(&Payload::TsResponder(TsPayload::of(&selectors)))
        .payload(&Payload::notify(NotifyType::MOBIKE_SUPPORTED, &[]))
        .payload(&Payload::notify(NotifyType::ADDITIONAL_IP4_ADDRESS, &[192, 0, 2, 1]))
        .finish()
        .unwrap()
        .into_message()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    let message = init();
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("parse IKE_SA_INIT", |bencher| bencher.iter(|| Message::parse(black_box(&message)).unwrap()));
    group.bench_function("emit IKE_SA_INIT", |bencher| bencher.iter(init));
    group.bench_function("peek SPIs", |bencher| bencher.iter(|| peek_spis(black_box(&message))));

    let mut message = auth();
    group.throughput(Throughput::Bytes(message.len() as u64));
    let sealed = sk::open(&mut message, GCM).unwrap();
    let (first, offset) = (sealed.first, sealed.layout.body().start);
    let inner = sk::strip_padding(sealed.parts.body, offset).unwrap().to_vec();
    group.bench_function("parse the inside of IKE_AUTH", |bencher| {
        bencher.iter(|| parse_chain(first, black_box(&inner), offset).unwrap());
    });
    group.bench_function("emit IKE_AUTH, not sealed", |bencher| bencher.iter(auth));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
