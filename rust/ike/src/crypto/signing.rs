//! Signatures that we make (RFC 7427).
//!
//! ECDSA takes its nonces from key and message (RFC 6979) and Ed25519 does so anyway: no chance, and the same octets again
//! from the same input. The exception is RSA: aws-lc draws the salt of RSASSA-PSS and the blinding from a generator of its
//! own and lets nobody give them, which we prefer to an RSA that is not constant in time.

use core::fmt;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::DecodePrivateKey;

use super::der;
use super::old_signature::OldScheme;
use super::signature::{Hash, Hashes, KeyKind, Scheme, SignatureError};

/// A private key. Wiped when dropped, never printed.
pub struct SigningKey(Inner);

enum Inner {
    P256(Box<p256::ecdsa::SigningKey>),
    P384(Box<p384::ecdsa::SigningKey>),
    P521(Box<p521::ecdsa::SigningKey>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

/// Octets of the smallest RSA modulus that we sign with, as of the smallest that we believe.
const SMALLEST_RSA: usize = 2048 / 8;

impl SigningKey {
    /// From PKCS #8, in DER, not encrypted.
    pub fn from_pkcs8(key: &[u8]) -> Result<SigningKey, SignatureError> {
        let algorithm = der::algorithm_of_private(key).ok_or(SignatureError::UnreadableKey)?;
        let unreadable = SignatureError::UnreadableKey;
        let inner = match KeyKind::of_algorithm(algorithm).ok_or(SignatureError::UnknownKey)? {
            KeyKind::P256 => DecodePrivateKey::from_pkcs8_der(key).map(|key| Inner::P256(Box::new(key))).ok(),
            KeyKind::P384 => DecodePrivateKey::from_pkcs8_der(key).map(|key| Inner::P384(Box::new(key))).ok(),
            KeyKind::P521 => DecodePrivateKey::from_pkcs8_der(key).map(|key| Inner::P521(Box::new(key))).ok(),
            KeyKind::Ed25519 => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(key).map(|key| Inner::Ed25519(Box::new(key))).ok()
            }
            KeyKind::Rsa => {
                let key = RsaKeyPair::from_pkcs8(key).ok().filter(|key| key.public_modulus_len() >= SMALLEST_RSA);
                key.map(|key| Inner::Rsa(Box::new(key)))
            }
        };
        inner.map(SigningKey).ok_or(unreadable)
    }

    /// What it signs with.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match &self.0 {
            Inner::P256(_) => KeyKind::P256,
            Inner::P384(_) => KeyKind::P384,
            Inner::P521(_) => KeyKind::P521,
            Inner::Ed25519(_) => KeyKind::Ed25519,
            Inner::Rsa(_) => KeyKind::Rsa,
        }
    }

    /// AUTH data over these octets, with a hash that the peer knows. RSA pads by PSS, which RFC 8247 section 3.2 asks for.
    pub fn sign(&self, peer: Hashes, octets: &[&[u8]]) -> Result<Vec<u8>, SignatureError> {
        let scheme = self.scheme(peer).ok_or(SignatureError::NoCommonHash)?;
        let signature = self.signature(scheme, &octets.concat()).ok_or(SignatureError::Provider)?;
        let identifier = scheme.identifier();
        Ok([&[identifier.len() as u8], &identifier[..], &signature].concat())
    }

    /// Can it sign for peers that do not know RFC 7427?
    #[must_use]
    pub fn old_scheme(&self) -> Option<OldScheme> {
        match self.0 {
            Inner::P256(_) => Some(OldScheme::P256),
            Inner::P384(_) => Some(OldScheme::P384),
            Inner::P521(_) => Some(OldScheme::P521),
            Inner::Ed25519(_) | Inner::Rsa(_) => None,
        }
    }

    /// AUTH data over these octets for such peers, and how it is made.
    pub fn sign_old(&self, octets: &[&[u8]]) -> Result<(OldScheme, Vec<u8>), SignatureError> {
        let scheme = self.old_scheme().ok_or(SignatureError::NoOldWay(self.kind()))?;
        let octets = octets.concat();
        let signature = match &self.0 {
            Inner::P256(key) => digest(Hash::Sha256, &octets).and_then(|digest| {
                let signature: p256::ecdsa::Signature = key.sign_prehash(digest.as_ref()).ok()?;
                Some(signature.to_bytes().to_vec())
            }),
            Inner::P384(key) => digest(Hash::Sha384, &octets).and_then(|digest| {
                let signature: p384::ecdsa::Signature = key.sign_prehash(digest.as_ref()).ok()?;
                Some(signature.to_bytes().to_vec())
            }),
            Inner::P521(key) => digest(Hash::Sha512, &octets).and_then(|digest| {
                let signature: p521::ecdsa::Signature = key.sign_prehash(digest.as_ref()).ok()?;
                Some(signature.to_bytes().to_vec())
            }),
            Inner::Ed25519(_) | Inner::Rsa(_) => None,
        };
        signature.map(|signature| (scheme, signature)).ok_or(SignatureError::Provider)
    }

    /// The hash as strong as the key first, then stronger ones, then weaker ones.
    fn scheme(&self, peer: Hashes) -> Option<Scheme> {
        use Hash::{Sha256, Sha384, Sha512};
        let order: &[Hash] = match self.0 {
            Inner::Ed25519(_) => return peer.contains(Hash::Identity).then_some(Scheme::Ed25519),
            Inner::P256(_) | Inner::Rsa(_) => &[Sha256, Sha384, Sha512],
            Inner::P384(_) => &[Sha384, Sha512, Sha256],
            // No hash shorter than half of the curve.
            Inner::P521(_) => &[Sha512, Sha384],
        };
        let hash = order.iter().copied().find(|hash| peer.contains(*hash))?;
        Some(if matches!(self.0, Inner::Rsa(_)) { Scheme::RsaPss(hash) } else { Scheme::Ecdsa(hash) })
    }

    fn signature(&self, scheme: Scheme, octets: &[u8]) -> Option<Vec<u8>> {
        match (&self.0, scheme) {
            (Inner::P256(key), Scheme::Ecdsa(hash)) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(digest(hash, octets)?.as_ref()).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            (Inner::P384(key), Scheme::Ecdsa(hash)) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(digest(hash, octets)?.as_ref()).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            (Inner::P521(key), Scheme::Ecdsa(hash)) => {
                let signature: p521::ecdsa::Signature = key.sign_prehash(digest(hash, octets)?.as_ref()).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            (Inner::Rsa(key), Scheme::RsaPss(hash)) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign_digest(pss(hash)?, &digest(hash, octets)?, &mut signature).ok()?;
                Some(signature)
            }
            (Inner::Ed25519(key), Scheme::Ed25519) => Some(key.try_sign(octets).ok()?.as_ref().to_vec()),
            _ => None,
        }
    }
}

fn digest(hash: Hash, octets: &[u8]) -> Option<Digest> {
    let algorithm = match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
        Hash::Identity => return None,
    };
    Some(digest::digest(algorithm, octets))
}

fn pss(hash: Hash) -> Option<&'static dyn RsaEncoding> {
    match hash {
        Hash::Sha256 => Some(&RSA_PSS_SHA256),
        Hash::Sha384 => Some(&RSA_PSS_SHA384),
        Hash::Sha512 => Some(&RSA_PSS_SHA512),
        Hash::Identity => None,
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kind())
    }
}
