//! Ephemeral key exchange: X25519 (RFC 8031), P-256, P-384 and P-521 (RFC 5903), MODP groups (`modp`) and ML-KEM
//! (`mlkem`).
//!
//! Both ends call [`Ephemeral::generate`]; the initiator keeps the result for one round trip, the responder calls
//! [`respond`] and keeps nothing. `respond` is its own verb because a KEM answers a public value instead of having one.

mod mlkem;
mod modp;

use core::fmt;

use aws_lc_rs::agreement::{Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroizing;

use super::algorithm::KeMethod;
use super::random::Random;
use super::secret::SecretBytes;
use super::{CryptoError, Nonces, Role};

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

/// A public value as the KE payload carries it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicValue {
    method: KeMethod,
    octets: Box<[u8]>,
}

impl PublicValue {
    /// The method it belongs to.
    #[must_use]
    pub fn method(&self) -> KeMethod {
        self.method
    }

    /// The octets for the KE payload: an X25519 u-coordinate, x | y of a point, a number as long as the prime, an
    /// encapsulation key or a ciphertext.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets
    }
}

impl fmt::Debug for PublicValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicValue({})", self.method)
    }
}

/// A fresh private key and its public value.
///
/// It keeps the provider's key object, wiped when dropped: it lives for one round trip, and rebuilding it would cost the
/// making of the key a second time.
pub struct Ephemeral {
    private: Private,
    public: PublicValue,
}

enum Private {
    Curve(PrivateKey),
    Modp(modp::Exponent),
    Kem(mlkem::Opener),
}

/// Which provider has a method.
enum Family {
    Curve(&'static Algorithm, Option<&'static Order>),
    Modp,
    Kem,
}

fn family(method: KeMethod) -> Family {
    match method {
        KeMethod::X25519 => Family::Curve(&X25519, None),
        KeMethod::P256 => Family::Curve(&ECDH_P256, Some(&P256_ORDER)),
        KeMethod::P384 => Family::Curve(&ECDH_P384, Some(&P384_ORDER)),
        KeMethod::P521 => Family::Curve(&ECDH_P521, Some(&P521_ORDER)),
        KeMethod::Modp1024 | KeMethod::Modp2048 | KeMethod::Modp3072 | KeMethod::Modp4096 => Family::Modp,
        KeMethod::MlKem512 | KeMethod::MlKem768 | KeMethod::MlKem1024 => Family::Kem,
    }
}

impl Ephemeral {
    /// A fresh key whose every bit comes from `random`.
    pub fn generate(method: KeMethod, random: &mut dyn Random) -> Result<Ephemeral, CryptoError> {
        match family(method) {
            Family::Curve(algorithm, order) => {
                let scalar = match order {
                    Some(order) => order.scalar(random),
                    None => any_octets(random, 32),
                };
                Ephemeral::on_curve(method, algorithm, &scalar)
            }
            Family::Modp => Ephemeral::in_field(method, modp::Exponent::generate(method, random)?),
            Family::Kem => {
                let opener = mlkem::Opener::generate(method, random).ok_or(CryptoError::Provider)?;
                let public = PublicValue { method, octets: opener.public() };
                Ok(Ephemeral { private: Private::Kem(opener), public })
            }
        }
    }

    /// The key with this scalar or exponent, big-endian; for curves in 1..n and as long as n. For known-answer tests.
    pub fn from_scalar(method: KeMethod, scalar: &[u8]) -> Result<Ephemeral, CryptoError> {
        match family(method) {
            Family::Curve(algorithm, _) => Ephemeral::on_curve(method, algorithm, scalar),
            Family::Modp => Ephemeral::in_field(method, modp::Exponent::from_slice(method, scalar)?),
            Family::Kem => Err(CryptoError::Provider),
        }
    }

    fn on_curve(method: KeMethod, algorithm: &'static Algorithm, scalar: &[u8]) -> Result<Ephemeral, CryptoError> {
        let private = PrivateKey::from_private_key(algorithm, scalar).map_err(|_| CryptoError::Provider)?;
        let computed = private.compute_public_key().map_err(|_| CryptoError::Provider)?;
        let tag_len = usize::from(is_point(method));
        let octets = computed.as_ref().get(tag_len..).ok_or(CryptoError::Provider)?.into();
        Ok(Ephemeral { private: Private::Curve(private), public: PublicValue { method, octets } })
    }

    fn in_field(method: KeMethod, exponent: modp::Exponent) -> Result<Ephemeral, CryptoError> {
        let public = PublicValue { method, octets: exponent.public()? };
        Ok(Ephemeral { private: Private::Modp(exponent), public })
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

    /// The secret shared with the owner of `peer_public`, a KE payload's data; of a KEM, with who made this ciphertext.
    ///
    /// Refused: a wrong length, a point off the curve and a number that gives the secret away (RFC 6989 sections 2.1 and
    /// 2.3), an X25519 value that gives zero (RFC 8031 section 2.3).
    pub fn agree(&self, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        let method = self.method();
        check_length(method, Role::Responder, peer_public)?;
        let invalid = CryptoError::PeerPublicInvalid(method);
        match &self.private {
            Private::Curve(private) => agree_on_curve(method, private, peer_public),
            Private::Modp(exponent) => exponent.agree(peer_public)?.map(SharedSecret).ok_or(invalid),
            Private::Kem(opener) => opener.open(peer_public).map(SharedSecret).ok_or(invalid),
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
    check_length(method, Role::Initiator, peer_public)?;
    if method.is_kem() {
        let (octets, secret) =
            mlkem::encapsulate(method, peer_public, random).ok_or(CryptoError::PeerPublicInvalid(method))?;
        return Ok((PublicValue { method, octets }, SharedSecret(secret)));
    }
    let ours = Ephemeral::generate(method, random)?;
    let shared = ours.agree(peer_public)?;
    Ok((ours.public, shared))
}

fn check_length(method: KeMethod, sender: Role, public: &[u8]) -> Result<(), CryptoError> {
    let (wanted, got) = (method.public_len(sender), public.len());
    if got == wanted { Ok(()) } else { Err(CryptoError::PeerPublicLength { method, wanted, got }) }
}

/// Points have a tag in SEC 1 that IKE leaves out (RFC 5903 section 7).
fn is_point(method: KeMethod) -> bool {
    method != KeMethod::X25519
}

fn agree_on_curve(method: KeMethod, private: &PrivateKey, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
    /// The largest point, of P-521, with its tag.
    const LONGEST: usize = 1 + 132;
    /// SEC 1: not compressed.
    const TAG: u8 = 4;
    let invalid = CryptoError::PeerPublicInvalid(method);
    let Family::Curve(algorithm, _) = family(method) else { return Err(CryptoError::Provider) };
    let mut tagged = [TAG; LONGEST];
    let tag_len = usize::from(is_point(method));
    let octets = tagged.get_mut(..tag_len + peer_public.len()).ok_or(CryptoError::BufferLength)?;
    octets[tag_len..].copy_from_slice(peer_public);
    agree(private, UnparsedPublicKey::new(algorithm, octets), invalid, |secret| Ok(SharedSecret::from_slice(secret)))
}

/// X25519 takes any 32 octets and clamps them itself (RFC 7748 section 5).
fn any_octets(random: &mut dyn Random, len: usize) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new(vec![0; len]);
    random.fill(&mut octets);
    octets
}

/// The order of a curve's base point, n.
struct Order {
    octets: &'static [u8],
    /// Bits of the first octet that n uses.
    top: u8,
}

impl Order {
    /// Uniform in 1..n: draw again when outside, which happens once in 2^32 or less. What the comparison's time betrays
    /// is about a value that is thrown away.
    fn scalar(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        loop {
            let mut scalar = any_octets(random, self.octets.len());
            if let Some(first) = scalar.first_mut() {
                *first &= self.top;
            }
            if scalar[..] < *self.octets && scalar.iter().any(|octet| *octet != 0) {
                return scalar;
            }
        }
    }
}

/// RFC 5903 section 3.1.
const P256_ORDER: Order = Order {
    octets: &[
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
        0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ],
    top: 0xff,
};

/// RFC 5903 section 3.2.
const P384_ORDER: Order = Order {
    octets: &[
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, //
        0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
    ],
    top: 0xff,
};

/// RFC 5903 section 3.3.
const P521_ORDER: Order = Order {
    octets: &[
        0x01, 0xff, //
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, //
        0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, //
        0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09,
    ],
    top: 0x01,
};

/// Nonces of RFC 7296 section 2.10 from the engine's randomness, 32 octets: half of the largest PRF key we have.
#[must_use]
pub fn fresh_nonce(random: &mut dyn Random) -> [u8; Nonces::FRESH_LEN] {
    let mut nonce = [0; Nonces::FRESH_LEN];
    random.fill(&mut nonce);
    nonce
}
