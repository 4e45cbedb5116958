//! Ephemeral key exchange: X25519 (RFC 8031) and P-256 (RFC 5903).
//!
//! Both ends call [`Ephemeral::generate`]; the initiator keeps the result for one round trip, the responder calls
//! [`respond`] and keeps nothing. `respond` is its own verb because a KEM (ML-KEM, RFC 9370) answers a public value
//! instead of having one.

use core::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroizing;

use super::algorithm::KeMethod;
use super::random::Random;
use super::secret::SecretBytes;
use super::{CryptoError, Nonces};

/// What both ends know after a key exchange: g^ir of RFC 7296, in the form that enters the key schedule.
#[derive(Debug, PartialEq, Eq)]
pub struct SharedSecret(SecretBytes);

impl SharedSecret {
    /// For known-answer tests and for secrets made elsewhere.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> SharedSecret {
        SharedSecret(SecretBytes::from_slice(bytes))
    }

    /// The octets.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// Largest public value of the methods we have, in octets.
pub const MAX_PUBLIC_LEN: usize = 64;

/// A public value as the KE payload carries it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicValue {
    method: KeMethod,
    bytes: [u8; MAX_PUBLIC_LEN],
}

impl PublicValue {
    /// The octets for the KE payload: X25519 u-coordinate, or x | y for P-256.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.method.public_len()]
    }
}

impl fmt::Debug for PublicValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicValue({})", self.method)
    }
}

/// A fresh private key and its public value.
///
/// It keeps the provider's key object, wiped when dropped: it lives for one round trip, and rebuilding it from the
/// scalar would cost a second base point multiplication.
pub struct Ephemeral {
    private: PrivateKey,
    public: PublicValue,
}

impl Ephemeral {
    /// A fresh key whose every bit comes from `random`.
    pub fn generate(method: KeMethod, random: &mut dyn Random) -> Result<Ephemeral, CryptoError> {
        let scalar = match method {
            KeMethod::X25519 => any_scalar(random),
            KeMethod::P256 => p256_scalar(random),
        };
        Ephemeral::from_scalar(method, &scalar)
    }

    /// The key with this scalar; for P-256 big-endian, in 1..n. For known-answer tests.
    pub fn from_scalar(method: KeMethod, scalar: &[u8; 32]) -> Result<Ephemeral, CryptoError> {
        let algorithm = match method {
            KeMethod::X25519 => &X25519,
            KeMethod::P256 => &ECDH_P256,
        };
        let private = PrivateKey::from_private_key(algorithm, scalar).map_err(|_| CryptoError::Provider)?;
        let computed = private.compute_public_key().map_err(|_| CryptoError::Provider)?;
        let on_wire = match method {
            KeMethod::X25519 => computed.as_ref(),
            KeMethod::P256 => computed.as_ref().get(1..).unwrap_or_default(), // SEC1 tag 0x04
        };
        let mut bytes = [0; MAX_PUBLIC_LEN];
        bytes.get_mut(..on_wire.len()).ok_or(CryptoError::Provider)?.copy_from_slice(on_wire);
        Ok(Ephemeral { private, public: PublicValue { method, bytes } })
    }

    /// The method this key belongs to.
    #[must_use]
    pub fn method(&self) -> KeMethod {
        self.public.method
    }

    /// Our public value as the KE payload carries it.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.public.as_bytes()
    }

    /// The secret shared with the owner of `peer_public`, a KE payload's data.
    ///
    /// Refused: a wrong length, a point off the curve (RFC 6989 section 2.3), an X25519 value that gives zero (RFC 8031
    /// section 2.3).
    pub fn agree(&self, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        let method = self.method();
        if peer_public.len() != method.public_len() {
            return Err(CryptoError::PeerPublicLength { method, got: peer_public.len() });
        }
        let invalid = CryptoError::PeerPublicInvalid(method);
        let take = |secret: &[u8]| Ok(SharedSecret::from_slice(secret));
        match method {
            KeMethod::X25519 => agree(&self.private, UnparsedPublicKey::new(&X25519, peer_public), invalid, take),
            KeMethod::P256 => {
                let mut sec1 = [4; 1 + 64];
                sec1[1..].copy_from_slice(peer_public);
                agree(&self.private, UnparsedPublicKey::new(&ECDH_P256, &sec1), invalid, take)
            }
        }
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ephemeral({})", self.method())
    }
}

/// The responder's half in one step: the public value to answer with, and the shared secret.
pub fn respond(
    method: KeMethod,
    peer_public: &[u8],
    random: &mut dyn Random,
) -> Result<(PublicValue, SharedSecret), CryptoError> {
    let ours = Ephemeral::generate(method, random)?;
    let shared = ours.agree(peer_public)?;
    Ok((ours.public, shared))
}

/// X25519 takes any 32 octets and clamps them itself (RFC 7748 section 5).
fn any_scalar(random: &mut dyn Random) -> Zeroizing<[u8; 32]> {
    let mut scalar = Zeroizing::new([0; 32]);
    random.fill(&mut *scalar);
    scalar
}

/// Order of the P-256 base point (RFC 5903 section 3.1).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Uniform in 1..n: draw again when outside, which happens once in 2^32. What the comparison's time betrays is about
/// a value that is thrown away.
fn p256_scalar(random: &mut dyn Random) -> Zeroizing<[u8; 32]> {
    loop {
        let scalar = any_scalar(random);
        if *scalar < P256_ORDER && *scalar != [0; 32] {
            return scalar;
        }
    }
}

/// Nonces of RFC 7296 section 2.10 from the engine's randomness, 32 octets: half of the largest PRF key we have.
#[must_use]
pub fn fresh_nonce(random: &mut dyn Random) -> [u8; Nonces::FRESH_LEN] {
    let mut nonce = [0; Nonces::FRESH_LEN];
    random.fill(&mut nonce);
    nonce
}
