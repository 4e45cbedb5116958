//! Keys that sign, and certificates of which an engine sees nothing but the key.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use mobike_ike::Credential;
use mobike_ike::crypto::{KeyKind, PublicKey, SigningKey};

/// A private key in PKCS #8, and its SubjectPublicKeyInfo.
pub struct Key {
    /// PKCS #8.
    pub private: Vec<u8>,
    /// SubjectPublicKeyInfo.
    pub info: Vec<u8>,
}

/// All kinds.
pub const KINDS: [KeyKind; 5] = [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa];

impl Key {
    /// The same key again for the same kind and seed; but an RSA key is another one each time.
    pub fn of(kind: KeyKind, seed: u8) -> Key {
        let (private, info) = match kind {
            KeyKind::P256 => {
                let head = hex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420");
                let private = [&head[..], &[seed; 32]].concat();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &private).unwrap();
                (private, pair.public_key().as_der().unwrap().as_ref().to_vec())
            }
            KeyKind::P384 => {
                let head = hex("304e020100301006072a8648ce3d020106052b81040022043730350201010430");
                let private = [&head[..], &[seed; 48]].concat();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &private).unwrap();
                (private, pair.public_key().as_der().unwrap().as_ref().to_vec())
            }
            KeyKind::P521 => {
                let head = hex("3060020100301006072a8648ce3d020106052b81040023044930470201010442");
                // Below the order of the curve.
                let private = [&head[..], &[0], &[seed; 65]].concat();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_ASN1_SIGNING, &private).unwrap();
                (private, pair.public_key().as_der().unwrap().as_ref().to_vec())
            }
            KeyKind::Ed25519 => {
                let private = [&hex("302e020100300506032b657004220420")[..], &[seed; 32]].concat();
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&private).unwrap();
                (private, pair.public_key().as_der().unwrap().as_ref().to_vec())
            }
            KeyKind::Rsa => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let private = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec();
                (private, pair.public_key().as_der().unwrap().as_ref().to_vec())
            }
        };
        Key { private, info }
    }

    /// To sign with.
    pub fn signing(&self) -> SigningKey {
        SigningKey::from_pkcs8(&self.private).unwrap()
    }

    /// To check with.
    pub fn public(&self) -> PublicKey {
        PublicKey::from_info(&self.info).unwrap()
    }

    /// Shaped like a certificate, signed by nobody.
    pub fn certificate(&self) -> Vec<u8> {
        let empty = [0x30, 0];
        let fields = [&[2, 1, 7][..], &empty, &empty, &empty, &empty, &self.info].concat();
        sequence(&[&sequence(&[&fields])[..], &empty, &[3, 1, 0]])
    }

    /// What a profile signs with: this key, and the certificate of `shown`.
    pub fn credential_showing(&self, shown: &Key) -> Arc<Credential> {
        Arc::new(Credential {
            key: self.signing(),
            certificates: vec![shown.certificate().into()],
            raw: None,
            staple: None,
        })
    }

    /// The same, and both belong together.
    pub fn credential(&self) -> Arc<Credential> {
        self.credential_showing(self)
    }
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = (content.len() as u16).to_be_bytes();
    let head = match content.len() {
        0..=0x7f => vec![0x30, low],
        0x80..=0xff => vec![0x30, 0x81, low],
        _ => vec![0x30, 0x82, high, low],
    };
    [head, content].concat()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
