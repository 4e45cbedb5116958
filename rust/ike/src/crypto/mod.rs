//! Suites, the key schedule as types, and the provider (aws-lc) behind them.
//!
//! ```text
//! algorithm   what exists: one table row per ENCR, PRF, INTEG and KE algorithm
//! suite       what goes together: `aes256gcm16-prfsha384-x25519`, read and written as in the field
//! negotiate   our suites against a peer's SA payload, both ways
//! random      chance as an argument: everything random comes from one seed
//! kex         ephemeral key exchange -> SharedSecret
//! prf         prf and prf+
//! schedule    SharedSecret + Nonces -> SkeySeed -> IkeKeys + AuthKeys -> ChildKeys
//! cipher      the SK payload: seal and open in place
//! auth        the AUTH payload for shared secrets
//! signature   the AUTH payload for signatures (RFC 7427): kinds, names, checking    signing   making
//! der         as much DER as finds a public key
//! natd cookie the two hashes of IKE_SA_INIT that need no SA
//! capture     keys in the clear, for dissectors; nothing else may print a key
//! vault       what must survive the process, sealed under a key that the operator keeps
//! secret      byte containers that wipe themselves and do not print
//! ```
//!
//! Promises:
//! - No OS randomness: the same seed and the same input give the same bytes (but for RSA, see [`signing`]).
//! - An SA keeps raw key bytes only. Provider objects (an expanded AES key is a 600 byte heap block, an HMAC state about
//!   as much) are built per call and dropped; `benches/crypto.rs` measures what that costs.
//! - Secrets are wiped when dropped and compared in constant time. The provider's HMAC results pass through one stack
//!   slot that its API does not let us wipe.
//! - A new algorithm is a row in [`algorithm`] and an arm where the provider is called ([`kex`], [`prf`], [`cipher`]).

pub mod algorithm;
pub mod auth;
pub mod capture;
pub mod cipher;
pub mod cookie;
pub mod der;
pub mod kex;
pub mod natd;
pub mod negotiate;
pub mod old_signature;
pub mod prf;
pub mod puzzle;
pub mod random;
pub mod schedule;
pub mod secret;
mod signature;
pub mod signing;
pub mod suite;
pub mod vault;

use core::fmt;

pub use algorithm::{Encr, Integ, KeMethod, Mode, Prf};
pub use cipher::{IvCounter, PayloadCipher};
pub use kex::{Ephemeral, SharedSecret};
pub use old_signature::OldScheme;
pub use random::{Random, SeededRandom};
pub use schedule::{AuthKeys, ChildKeys, DirectionKeys, IkeKeys, Nonces, SkD, SkeySeed, Spis};
pub use secret::{PrfKey, Secret, SecretBytes};
pub use signature::{Hashes, KeyKind, PublicKey, SignatureError};
pub use signing::SigningKey;
pub use suite::{Additional, EspSuite, IkeSuite, SuiteError};

/// Who sent the first message: of the IKE SA for IKE keys, of the exchange that made it for Child SA keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that asked.
    Initiator,
    /// The end that answered.
    Responder,
}

impl Role {
    /// The other end's role.
    #[must_use]
    pub const fn other(self) -> Role {
        match self {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        }
    }
}

/// Why a cryptographic step gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CryptoError {
    /// The peer's public value has the wrong length for its method (RFC 7296 section 3.4).
    PeerPublicLength {
        /// The key exchange method.
        method: KeMethod,
        /// Octets that it has.
        wanted: usize,
        /// Octets received.
        got: usize,
    },
    /// The peer's public value is not on the curve or out of range, or leads to a secret that anybody knows (RFC 8031
    /// section 2.3, RFC 6989).
    PeerPublicInvalid(KeMethod),
    /// A nonce is shorter than 16 or longer than 256 octets (RFC 7296 section 3.9).
    NonceLength(usize),
    /// The integrity check value does not match: the message was not made by the holder of the key.
    IcvMismatch,
    /// The AUTH payload does not match: another shared secret, or another IKE_SA_INIT than the one we saw.
    AuthMismatch,
    /// This key has sealed 2^64 - 1 messages; rekey.
    IvSpent,
    /// prf+ ends after 255 blocks (RFC 7296 section 2.13).
    KeymatTooLong,
    /// A buffer given by the caller has another length than the algorithm says.
    BufferLength,
    /// The provider refused input that we believe to be sound.
    Provider,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CryptoError::PeerPublicLength { method, wanted, got } => {
                write!(f, "peer's {method} public value has {got} octets instead of {wanted}")
            }
            CryptoError::PeerPublicInvalid(method) => write!(f, "peer's {method} public value is not usable"),
            CryptoError::NonceLength(got) => write!(f, "nonce of {got} octets; 16 to 256 are allowed"),
            CryptoError::IcvMismatch => f.write_str("integrity check failed"),
            CryptoError::AuthMismatch => f.write_str("AUTH does not match the shared secret"),
            CryptoError::IvSpent => f.write_str("every IV of this key has been used"),
            CryptoError::KeymatTooLong => f.write_str("more key material asked for than prf+ can give"),
            CryptoError::BufferLength => f.write_str("buffer length does not fit the algorithm"),
            CryptoError::Provider => f.write_str("the cryptographic provider refused"),
        }
    }
}

impl core::error::Error for CryptoError {}
