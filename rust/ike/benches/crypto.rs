//! What cryptography costs per handshake and per message: `cargo bench -p mobike-ike --bench crypto`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use aws_lc_rs::aead;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mobike_ike::Nanos;
use mobike_ike::crypto::auth::SignedOctets;
use mobike_ike::crypto::cookie::CookieSecrets;
use mobike_ike::crypto::natd::nat_detection;
use mobike_ike::crypto::negotiate::{Offer, PROTOCOL_IKE, choose, proposals};
use mobike_ike::crypto::{
    AuthKeys, ChildKeys, Ephemeral, EspSuite, IkeKeys, IkeSuite, IvCounter, KeMethod, Nonces, Role, SeededRandom,
    SharedSecret, SkeySeed, Spis, kex,
};

const NONCE: [u8; 32] = [7; 32];
const SPIS: Spis = Spis { initiator: 0x1122, responder: 0x3344 };

fn schedule(suite: &IkeSuite) -> (IkeKeys, AuthKeys) {
    let nonces = Nonces::new(&NONCE, &NONCE).unwrap();
    let seed = SkeySeed::initial(suite.prf(), &nonces, SharedSecret::from_slice(&[9; 32]));
    seed.expand(suite, &nonces, SPIS).unwrap()
}

fn key_exchange(c: &mut Criterion) {
    let mut random = SeededRandom::new([1; 32]);
    for method in KeMethod::ALL.iter().copied() {
        let peer = Ephemeral::generate(method, &mut random).unwrap();
        c.bench_function(&format!("{method} generate"), |b| {
            b.iter(|| Ephemeral::generate(method, &mut random).unwrap());
        });
        c.bench_function(&format!("{method} agree"), |b| {
            let ours = Ephemeral::generate(method, &mut random).unwrap();
            b.iter(|| ours.agree(black_box(peer.public())).unwrap());
        });
        c.bench_function(&format!("{method} respond (generate + agree)"), |b| {
            b.iter(|| kex::respond(method, black_box(peer.public()), &mut random).unwrap());
        });
    }
}

fn keys(c: &mut Criterion) {
    for name in ["aes128gcm16-prfsha256-x25519", "aes256gcm16-prfsha384-x25519"] {
        let suite: IkeSuite = name.parse().unwrap();
        c.bench_function(&format!("IKE key schedule {}", suite.prf()), |b| b.iter(|| schedule(black_box(&suite))));
        let (keys, auth) = schedule(&suite);
        let nonces = Nonces::new(&NONCE, &NONCE).unwrap();
        c.bench_function(&format!("Child SA keys {}", suite.prf()), |b| {
            b.iter(|| ChildKeys::derive(keys.sk_d(), &EspSuite::DEFAULTS[0], black_box(&nonces), &[]).unwrap());
        });
        let message = [3; 400];
        c.bench_function(&format!("AUTH from PSK {}", suite.prf()), |b| {
            b.iter(|| {
                let octets = SignedOctets::new(&auth, Role::Initiator, black_box(&message), &NONCE, b"\x02\0\0\0peer");
                octets.shared_key_auth(b"a pre-shared key")
            });
        });
    }
}

fn messages(c: &mut Criterion) {
    for name in ["aes128gcm16-prfsha256-x25519", "aes256gcm16-prfsha384-x25519"] {
        let suite: IkeSuite = name.parse().unwrap();
        let (keys, _) = schedule(&suite);
        let (mut counter, aad, mut iv, mut icv) = (IvCounter::new(), [5; 32], [0; 8], [0; 16]);
        for len in [16, 256] {
            let mut body = vec![6; len];
            c.bench_function(&format!("seal {len} octets {}", suite.encr()), |b| {
                b.iter(|| {
                    keys.seal_in_place(Role::Initiator, &mut counter, &aad, &mut iv, black_box(&mut body), &mut icv)
                });
            });
            body.fill(6);
            keys.seal_in_place(Role::Initiator, &mut counter, &aad, &mut iv, &mut body, &mut icv).unwrap();
            c.bench_function(&format!("open {len} octets {}", suite.encr()), |b| {
                b.iter_batched_ref(
                    || body.clone(),
                    |body| keys.open_in_place(Role::Responder, &aad, &iv, body, &icv).unwrap(),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

/// The part of each seal and open that keeping provider objects in the SA would save.
fn key_objects(c: &mut Criterion) {
    for (name, algorithm, len) in [("aes128gcm16", &aead::AES_128_GCM, 16), ("aes256gcm16", &aead::AES_256_GCM, 32)] {
        let key = vec![4; len];
        c.bench_function(&format!("build and drop the key object {name}"), |b| {
            b.iter(|| aead::UnboundKey::new(algorithm, black_box(&key)).unwrap());
        });
    }
}

fn first_contact(c: &mut Criterion) {
    let mut random = SeededRandom::new([1; 32]);
    let (now, from) = (Nanos(1), "192.0.2.1:500".parse::<std::net::SocketAddr>().unwrap());
    let mut cookies = CookieSecrets::new(now, &mut random);
    c.bench_function("cookie make", |b| {
        b.iter(|| cookies.make(now, &mut random, None, black_box(&NONCE), from.ip(), 1));
    });
    c.bench_function("NAT detection hash", |b| b.iter(|| nat_detection(SPIS, black_box(from))));
    c.bench_function("negotiate the default proposals", |b| {
        let lists: Vec<_> = proposals(IkeSuite::DEFAULTS).collect();
        let offers: Vec<_> = lists
            .iter()
            .map(|(number, list)| Offer { number: *number, protocol: PROTOCOL_IKE, spi: &[], transforms: list })
            .collect();
        b.iter(|| choose(IkeSuite::DEFAULTS, black_box(&offers), Some(KeMethod::X25519.id())));
    });
}

criterion_group!(benches, key_exchange, keys, messages, key_objects, first_contact);
criterion_main!(benches);
