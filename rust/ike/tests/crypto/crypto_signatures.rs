//! Signatures of AUTH: made by us, checked by us, and refused when anything about them is off.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../stories/stage/keys.rs"]
#[allow(dead_code, reason = "stories use the rest")]
mod keys;

use keys::{KINDS, Key};
use mobike_ike::crypto::{Hashes, KeyKind, OldScheme, PublicKey, SignatureError, SigningKey};

const OCTETS: [&[u8]; 3] = [b"IKE_SA_INIT", b"nonce", b"identity"];

fn ours() -> Hashes {
    Hashes::read(&Hashes::OURS)
}

fn only(number: u8) -> Hashes {
    Hashes::read(&[0, number])
}

#[test]
fn what_each_kind_of_key_signs_its_public_key_checks_and_no_other() {
    for kind in KINDS {
        let (key, other) = (Key::of(kind, 7), Key::of(kind, 8));
        assert_eq!((key.signing().kind(), key.public().kind()), (kind, kind));
        let auth = key.signing().sign(ours(), &OCTETS).unwrap();
        assert_eq!(key.public().verify(&auth, &OCTETS), Ok(()));
        assert_eq!(other.public().verify(&auth, &OCTETS), Err(SignatureError::Invalid), "{kind}");
        assert_eq!(key.public().verify(&auth, &[b"something else"]), Err(SignatureError::Invalid), "{kind}");
    }
}

#[test]
fn every_flipped_octet_of_auth_spoils_it() {
    for kind in KINDS {
        let key = Key::of(kind, 7);
        let auth = key.signing().sign(ours(), &OCTETS).unwrap();
        for at in 0..auth.len() {
            let mut spoiled = auth.clone();
            spoiled[at] ^= 1;
            assert!(key.public().verify(&spoiled, &OCTETS).is_err(), "{kind}: octet {at}");
            assert!(key.public().verify(&auth[..at], &OCTETS).is_err(), "{kind}: cut at {at}");
        }
        assert!(key.public().verify(&[&auth[..], &[0]].concat(), &OCTETS).is_err(), "{kind}: one octet more");
    }
}

/// RFC 4754: both numbers one behind the other, each as long as the order of the curve.
#[test]
fn ecdsa_keys_sign_in_the_old_way_too_and_nothing_else_does() {
    let curves = [
        (KeyKind::P256, OldScheme::P256, 64),
        (KeyKind::P384, OldScheme::P384, 96),
        (KeyKind::P521, OldScheme::P521, 132),
    ];
    for (kind, scheme, length) in curves {
        let (key, other) = (Key::of(kind, 7), Key::of(kind, 8));
        let (made, auth) = key.signing().sign_old(&OCTETS).unwrap();
        assert_eq!((made, auth.len()), (scheme, length));
        assert_eq!(key.public().verify_old(scheme, &auth, &OCTETS), Ok(()));
        assert_eq!(other.public().verify_old(scheme, &auth, &OCTETS), Err(SignatureError::Invalid));
        assert_eq!(key.public().verify_old(scheme, &auth, &[b"something else"]), Err(SignatureError::Invalid));
        for at in 0..auth.len() {
            let mut spoiled = auth.clone();
            spoiled[at] ^= 1;
            assert!(key.public().verify_old(scheme, &spoiled, &OCTETS).is_err(), "{kind}: octet {at}");
            assert!(key.public().verify_old(scheme, &auth[..at], &OCTETS).is_err(), "{kind}: cut at {at}");
        }
        let wrong = OldScheme::RsaSha1;
        assert_eq!(key.public().verify_old(wrong, &auth, &OCTETS), Err(SignatureError::WrongAlgorithm(kind)));
        let modern = key.signing().sign(ours(), &OCTETS).unwrap();
        assert!(key.public().verify_old(scheme, &modern, &OCTETS).is_err(), "the forms are not mixed up");
    }
    for kind in [KeyKind::Ed25519, KeyKind::Rsa] {
        let refused = Key::of(kind, 7).signing().sign_old(&OCTETS).unwrap_err();
        assert_eq!(refused, SignatureError::NoOldWay(kind));
        assert!(
            refused.to_string().contains("give this connection an ECDSA key or a shared key"),
            "what to do about it"
        );
    }
}

#[test]
fn the_hash_is_one_that_the_peer_knows() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa] {
        let key = Key::of(kind, 7);
        for number in if kind == KeyKind::P521 { 3..=4 } else { 2..=4 } {
            let auth = key.signing().sign(only(number), &OCTETS).unwrap();
            assert_eq!(key.public().verify(&auth, &OCTETS), Ok(()), "{kind} with hash {number}");
        }
        for number in [0, 1, 5] {
            assert_eq!(key.signing().sign(only(number), &OCTETS), Err(SignatureError::NoCommonHash));
        }
    }
    let key = Key::of(KeyKind::Ed25519, 7).signing();
    assert!(key.sign(only(5), &OCTETS).is_ok());
    assert_eq!(key.sign(only(2), &OCTETS), Err(SignatureError::NoCommonHash));
}

#[test]
fn the_same_octets_are_signed_with_the_same_signature_but_by_rsa() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519] {
        let key = Key::of(kind, 7);
        assert_eq!(key.signing().sign(ours(), &OCTETS), key.signing().sign(ours(), &OCTETS), "{kind}");
    }
}

#[test]
fn a_signature_of_another_kind_than_the_key_is_refused_as_such() {
    let ed25519 = Key::of(KeyKind::Ed25519, 7).signing().sign(ours(), &OCTETS).unwrap();
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa] {
        let refused = Key::of(kind, 7).public().verify(&ed25519, &OCTETS);
        assert_eq!(refused, Err(SignatureError::WrongAlgorithm(kind)));
    }
    let unknown = [&[4][..], &[0x30, 2, 5, 0], b"signature"].concat();
    let refused = Key::of(KeyKind::P256, 7).public().verify(&unknown, &OCTETS);
    assert_eq!(refused, Err(SignatureError::UnknownAlgorithm));
}

#[test]
fn the_key_of_a_certificate_is_the_one_in_it() {
    for kind in KINDS {
        let key = Key::of(kind, 7);
        assert_eq!(PublicKey::of_certificate(&key.certificate()), Ok(key.public()));
    }
    assert_eq!(PublicKey::of_certificate(b"no certificate"), Err(SignatureError::UnreadableKey));
}

#[test]
fn keys_that_we_cannot_use_are_refused() {
    assert_eq!(SigningKey::from_pkcs8(b"no key").map(|_| ()), Err(SignatureError::UnreadableKey));
    let mut x25519 = Key::of(KeyKind::Ed25519, 7).private;
    x25519[11] = 0x6e;
    assert_eq!(SigningKey::from_pkcs8(&x25519).map(|_| ()), Err(SignatureError::UnknownKey));
    let zero = Key::of(KeyKind::P256, 7).private;
    let zero = [&zero[..zero.len() - 32], &[0; 32]].concat();
    assert_eq!(SigningKey::from_pkcs8(&zero).map(|_| ()), Err(SignatureError::UnreadableKey));
}
