//! The key schedule against answers computed by Python (tests/vectors/make_ike_schedule.py), step by step and end to end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use crate::support;

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use mobike_ike::crypto::auth::SignedOctets;
use mobike_ike::crypto::capture::KeysInTheClear;
use mobike_ike::crypto::natd::nat_detection;
use mobike_ike::crypto::{
    AuthKeys, ChildKeys, CryptoError, Ephemeral, EspSuite, IkeKeys, IkeSuite, IvCounter, Nonces, Prf, Role,
    SharedSecret, SkeySeed, Spis,
};
use serde_json::Value;
use support::{spi, unhex, unhex32};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/ike_schedule.json")).unwrap()
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    let list = of[name].as_array().unwrap();
    assert!(!list.is_empty(), "no {name} to check");
    list
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_else(|| panic!("no {name} in {of}"))
}

fn bytes(of: &Value, name: &str) -> Vec<u8> {
    unhex(text(of, name))
}

fn spis(of: &Value) -> Spis {
    Spis { initiator: spi(text(of, "spi_i")), responder: spi(text(of, "spi_r")) }
}

fn suite(of: &Value) -> IkeSuite {
    text(of, "suite").parse().unwrap()
}

fn assert_keys(keys: &IkeKeys, auth: &AuthKeys, expected: &Value, suite: &str) {
    assert_eq!(KeysInTheClear::i_know_this_breaks_confidentiality(keys).sk_d(), bytes(expected, "sk_d"), "{suite}");
    assert_eq!(keys.sent_by(Role::Initiator).encr(), bytes(expected, "sk_ei"), "{suite}");
    assert_eq!(keys.sent_by(Role::Responder).encr(), bytes(expected, "sk_er"), "{suite}");
    assert_eq!(keys.sent_by(Role::Initiator).integ(), None, "an AEAD has no SK_a");
    assert_eq!(auth.of(Role::Initiator).expose(), bytes(expected, "sk_pi"), "{suite}");
    assert_eq!(auth.of(Role::Responder).expose(), bytes(expected, "sk_pr"), "{suite}");
}

/// From the vector's private keys, the way two engines do it.
fn first_keys(case: &Value) -> (IkeKeys, AuthKeys) {
    let (exchange, suite) = (&case["exchange"], suite(case));
    let initiator = Ephemeral::from_scalar(suite.ke(), &unhex32(text(exchange, "private_i"))).unwrap();
    let responder = Ephemeral::from_scalar(suite.ke(), &unhex32(text(exchange, "private_r"))).unwrap();
    assert_eq!(initiator.public(), bytes(exchange, "public_i"));
    assert_eq!(responder.public(), bytes(exchange, "public_r"));
    let shared = initiator.agree(responder.public()).unwrap();
    assert_eq!(shared.expose(), bytes(exchange, "shared"));
    assert_eq!(responder.agree(initiator.public()).unwrap(), shared);
    let (ni, nr) = (bytes(case, "ni"), bytes(case, "nr"));
    let nonces = Nonces::new(&ni, &nr).unwrap();
    SkeySeed::initial(suite.prf(), &nonces, shared).expand(&suite, &nonces, spis(case)).unwrap()
}

#[test]
fn a_first_ike_sa_gets_the_keys_that_python_computed() {
    for case in list(&vectors(), "schedules") {
        let (keys, auth) = first_keys(case);
        assert_keys(&keys, &auth, &case["keys"], text(case, "suite"));
    }
}

#[test]
fn a_rekeyed_ike_sa_takes_its_seed_from_the_old_prf_and_its_keys_from_the_new_one() {
    for case in list(&vectors(), "schedules") {
        let (old, _) = first_keys(case);
        let new = &case["rekeyed"];
        let (ni, nr) = (bytes(new, "ni"), bytes(new, "nr"));
        let nonces = Nonces::new(&ni, &nr).unwrap();
        let shared = SharedSecret::from_slice(&bytes(new, "shared"));
        let seed = SkeySeed::rekeyed(old.sk_d(), &nonces, shared);
        let (keys, auth) = seed.expand(&suite(new), &nonces, spis(new)).unwrap();
        assert_keys(&keys, &auth, &new["keys"], text(case, "suite"));

        // RFC 9370 section 2.2.4: SK(0) | Ni | Nr | SK(1) | SK(2).
        let first = SharedSecret::from_slice(&bytes(new, "shared"));
        let secrets: Vec<SharedSecret> = core::iter::once(first).chain(secrets(new)).collect();
        let seed = SkeySeed::rekeyed_by(old.sk_d(), &nonces, &secrets);
        let (keys, auth) = seed.expand(&suite(new), &nonces, spis(new)).unwrap();
        assert_keys(&keys, &auth, &new["hybrid_keys"], text(case, "suite"));
    }
}

fn secrets(case: &Value) -> Vec<SharedSecret> {
    let hex = case["additional"].as_array().unwrap().iter().map(|hex| unhex(hex.as_str().unwrap()));
    hex.map(|octets| SharedSecret::from_slice(&octets)).collect()
}

#[test]
fn child_sas_get_their_keys_with_and_without_a_key_exchange_of_their_own() {
    for case in list(&vectors(), "schedules") {
        let (keys, _) = first_keys(case);
        for child in list(case, "children") {
            let suite: EspSuite = text(child, "suite").parse().unwrap();
            let (ni, nr) = (bytes(child, "ni"), bytes(child, "nr"));
            let shared = child["shared"].as_str().map(|hex| SharedSecret::from_slice(&unhex(hex)));
            assert_eq!(shared.is_some(), suite.ke().is_some());
            let secrets: Vec<SharedSecret> = shared.into_iter().chain(secrets(child)).collect();
            let nonces = Nonces::new(&ni, &nr).unwrap();
            let derived = ChildKeys::derive(keys.sk_d(), &suite, &nonces, &secrets).unwrap();
            assert_eq!(derived.sent_by(Role::Initiator).encr(), bytes(child, "from_initiator"));
            assert_eq!(derived.sent_by(Role::Responder).encr(), bytes(child, "from_responder"));
        }
    }
}

#[test]
fn both_ends_seal_as_python_does_and_open_what_the_other_sealed() {
    for case in list(&vectors(), "schedules") {
        let (keys, _) = first_keys(case);
        for (sender, name) in [(Role::Initiator, "sealed_by_initiator"), (Role::Responder, "sealed_by_responder")] {
            let message = &case[name];
            let (aad, iv, plain) = (bytes(message, "aad"), bytes(message, "iv"), bytes(message, "body"));
            let mut counter = IvCounter::starting_at(spi(text(message, "iv")));
            let (mut body, mut iv_out, mut icv) = (plain.clone(), [0; 8], [0; 16]);
            keys.seal_in_place(sender, &mut counter, &aad, &mut iv_out, &mut body, &mut icv).unwrap();
            assert_eq!(iv_out[..], iv);
            assert_eq!(body, bytes(message, "sealed"));
            assert_eq!(icv[..], bytes(message, "icv"));

            let reflected = keys.open_in_place(sender, &aad, &iv, &mut body.clone(), &icv);
            assert_eq!(reflected, Err(CryptoError::IcvMismatch), "our own message must not come back as the peer's");
            keys.open_in_place(sender.other(), &aad, &iv, &mut body, &icv).unwrap();
            assert_eq!(body, plain);
        }
    }
}

#[test]
fn a_psk_proves_itself_for_the_same_octets_and_no_others() {
    for case in list(&vectors(), "schedules") {
        let (_, keys) = first_keys(case);
        for (signer, name, nonce) in [(Role::Initiator, "auth_i", "nr"), (Role::Responder, "auth_r", "ni")] {
            let given = &case[name];
            let (psk, message, id) = (bytes(given, "psk"), bytes(given, "message"), bytes(given, "id_body"));
            let (nonce, auth) = (bytes(case, nonce), bytes(given, "auth"));
            let octets = |signer, id| SignedOctets::new(&keys, signer, &message, &nonce, id);
            assert_eq!(octets(signer, &id).shared_key_auth(&psk).expose(), auth);
            assert_eq!(octets(signer, &id).verify_shared_key(&psk, &auth), Ok(()));

            let no = Err(CryptoError::AuthMismatch);
            assert_eq!(octets(signer, &id).verify_shared_key(b"another secret", &auth), no);
            assert_eq!(octets(signer, &id[1..]).verify_shared_key(&psk, &auth), no, "another identity");
            assert_eq!(octets(signer.other(), &id).verify_shared_key(&psk, &auth), no, "the other role");
            assert_eq!(octets(signer, &id).verify_shared_key(&psk, &auth[1..]), no, "cut short");
            assert_eq!(octets(signer, &id).verify_shared_key(&psk, b""), no, "empty");
        }
    }
}

#[test]
fn prf_plus_streams_the_same_octets_in_any_cuts_and_ends_after_255_blocks() {
    for case in list(&vectors(), "prf_plus") {
        let prf = *Prf::ALL.iter().find(|prf| prf.name() == text(case, "prf")).unwrap();
        let (key, seed) = (bytes(case, "key"), bytes(case, "seed"));
        let length = case["length"].as_u64().unwrap() as usize;
        assert_eq!(length, 255 * prf.output_len());

        let parts = [&seed[..10], &seed[10..]];
        let mut stream = prf.plus(&key, &parts);
        let mut whole = vec![0; length];
        let mut rest = &mut whole[..];
        for step in (1..).take_while(|step| step * (step + 1) / 2 <= length) {
            let (now, later) = rest.split_at_mut(step);
            stream.fill(now).unwrap();
            rest = later;
        }
        stream.fill(rest).unwrap();
        assert_eq!(whole[..150], bytes(case, "head"));
        assert_eq!(sha256(&whole), bytes(case, "sha256"));
        assert_eq!(stream.fill(&mut [0]), Err(CryptoError::KeymatTooLong));
    }
}

fn sha256(data: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data).as_ref().to_vec()
}

#[test]
fn nat_detection_hashes_spis_address_and_port() {
    for case in list(&vectors(), "nat_detection") {
        let ip = IpAddr::from_str(text(case, "ip")).unwrap();
        let port = case["port"].as_u64().unwrap() as u16;
        assert_eq!(nat_detection(spis(case), SocketAddr::new(ip, port))[..], bytes(case, "hash"));
        let mapped = match ip {
            IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
            IpAddr::V6(_) => ip,
        };
        let from_dual_stack_socket = nat_detection(spis(case), SocketAddr::new(mapped, port));
        assert_eq!(from_dual_stack_socket[..], bytes(case, "hash"), "a mapped address is the IPv4 address");
        assert_ne!(nat_detection(spis(case), SocketAddr::new(ip, port ^ 1))[..], bytes(case, "hash"));
    }
}

#[test]
fn nonces_outside_16_to_256_octets_are_refused() {
    let good = [1; 32];
    for length in [0, 15, 257, 65_535] {
        let bad = vec![2; length];
        assert_eq!(Nonces::new(&bad, &good).unwrap_err(), CryptoError::NonceLength(length));
        assert_eq!(Nonces::new(&good, &bad).unwrap_err(), CryptoError::NonceLength(length));
    }
    assert!(Nonces::new(&[1; 16], &[2; 256]).is_ok());
}

#[test]
fn wireshark_lines_carry_the_keys_and_the_names_that_wireshark_knows() {
    let vectors = vectors();
    let case = list(&vectors, "schedules")
        .iter()
        .find(|case| text(case, "suite") == "aes256gcm16-prfsha384-x25519")
        .expect("the default suite is among the vectors");
    let (keys, _) = first_keys(case);
    let line = KeysInTheClear::i_know_this_breaks_confidentiality(&keys).wireshark_line(spis(case));
    let expected = format!(
        "{},{},{},{},\"AES-GCM-256 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"",
        text(case, "spi_i"),
        text(case, "spi_r"),
        text(&case["keys"], "sk_ei"),
        text(&case["keys"], "sk_er"),
    );
    assert_eq!(line, expected);

    let (ni, nr) = (bytes(case, "ni"), bytes(case, "nr"));
    let suite: EspSuite = "aes128gcm16".parse().unwrap();
    let child = ChildKeys::derive(keys.sk_d(), &suite, &Nonces::new(&ni, &nr).unwrap(), &[]).unwrap();
    let line = KeysInTheClear::i_know_this_breaks_confidentiality(&child).wireshark_line(
        Role::Responder,
        &suite,
        "IPv4",
        0xc0de,
    );
    let key: String = child.sent_by(Role::Responder).encr().iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = format!(
        "\"IPv4\",\"*\",\"*\",\"0x0000c0de\",\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x{key}\",\"NULL\",\"\""
    );
    assert_eq!(line, expected);
}
