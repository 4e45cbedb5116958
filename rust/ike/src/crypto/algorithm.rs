//! What exists: one row per algorithm, with its IANA number, its name in the field and its sizes.

use core::fmt;

/// Transform types of RFC 7296 section 3.3.2.
pub mod transform_type {
    /// Encryption algorithm.
    pub const ENCR: u8 = 1;
    /// Pseudorandom function.
    pub const PRF: u8 = 2;
    /// Integrity algorithm.
    pub const INTEG: u8 = 3;
    /// Key exchange method.
    pub const KE: u8 = 4;
    /// Extended sequence numbers.
    pub const ESN: u8 = 5;
}

/// One transform of a proposal, ours or a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transform {
    /// Transform type, see [`transform_type`].
    pub kind: u8,
    /// Transform ID within its type.
    pub id: u16,
    /// The Key Length attribute, in bits.
    pub key_bits: Option<u16>,
    /// The transform carries an attribute that we do not know; it cannot be chosen (RFC 7296 section 3.3.6).
    pub unknown_attribute: bool,
}

impl Transform {
    /// A transform without attributes.
    #[must_use]
    pub const fn new(kind: u8, id: u16) -> Transform {
        Transform { kind, id, key_bits: None, unknown_attribute: false }
    }

    /// The same with a Key Length attribute.
    #[must_use]
    pub const fn with_key_bits(self, bits: u16) -> Transform {
        Transform { key_bits: Some(bits), ..self }
    }
}

/// Encryption algorithms; the key length is part of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encr {
    /// AES-GCM, 128 bit key, 16 octet ICV (RFC 5282, RFC 4106).
    Aes128Gcm16,
    /// AES-GCM, 192 bit key, 16 octet ICV.
    Aes192Gcm16,
    /// AES-GCM, 256 bit key, 16 octet ICV.
    Aes256Gcm16,
}

struct EncrRow {
    name: &'static str,
    id: u16,
    key_bits: u16,
    salt_len: usize,
    iv_len: usize,
    /// Zero for ciphers that need an INTEG algorithm beside them.
    icv_len: usize,
    block_len: usize,
}

/// RFC 5282: 4 octets of salt from the key material, 8 octets of IV on the wire, no block structure.
const fn gcm16(name: &'static str, key_bits: u16) -> EncrRow {
    EncrRow { name, id: 20, key_bits, salt_len: 4, iv_len: 8, icv_len: 16, block_len: 1 }
}

impl Encr {
    /// Every row.
    pub const ALL: &'static [Encr] = &[Encr::Aes128Gcm16, Encr::Aes192Gcm16, Encr::Aes256Gcm16];

    const fn row(self) -> &'static EncrRow {
        match self {
            Encr::Aes128Gcm16 => const { &gcm16("aes128gcm16", 128) },
            Encr::Aes192Gcm16 => const { &gcm16("aes192gcm16", 192) },
            Encr::Aes256Gcm16 => const { &gcm16("aes256gcm16", 256) },
        }
    }

    /// The row that a transform names, if we have it.
    #[must_use]
    pub fn from_transform(transform: &Transform) -> Option<Encr> {
        Encr::ALL.iter().copied().find(|encr| encr.transform() == *transform)
    }

    /// How it is written in a proposal payload.
    #[must_use]
    pub const fn transform(self) -> Transform {
        Transform::new(transform_type::ENCR, self.row().id).with_key_bits(self.row().key_bits)
    }

    /// How it is written in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Key size in bits, without salt.
    #[must_use]
    pub const fn key_bits(self) -> u16 {
        self.row().key_bits
    }

    /// Octets of key material, salt included.
    #[must_use]
    pub const fn key_len(self) -> usize {
        self.cipher_key_len() + self.salt_len()
    }

    /// Octets of the cipher key alone.
    #[must_use]
    pub const fn cipher_key_len(self) -> usize {
        self.row().key_bits as usize / 8
    }

    /// Octets of salt behind the cipher key.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        self.row().salt_len
    }

    /// Octets of IV in each message.
    #[must_use]
    pub const fn iv_len(self) -> usize {
        self.row().iv_len
    }

    /// Octets of ICV that the cipher makes itself; zero if it needs an INTEG algorithm.
    #[must_use]
    pub const fn icv_len(self) -> usize {
        self.row().icv_len
    }

    /// Plaintext must be a multiple of this many octets.
    #[must_use]
    pub const fn block_len(self) -> usize {
        self.row().block_len
    }

    /// Whether the cipher authenticates by itself.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        self.row().icv_len > 0
    }
}

/// Pseudorandom functions (RFC 4868).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prf {
    /// PRF_HMAC_SHA2_256.
    HmacSha256,
    /// PRF_HMAC_SHA2_384.
    HmacSha384,
    /// PRF_HMAC_SHA2_512.
    HmacSha512,
}

struct PrfRow {
    name: &'static str,
    id: u16,
    output_len: usize,
}

impl Prf {
    /// Every row.
    pub const ALL: &'static [Prf] = &[Prf::HmacSha256, Prf::HmacSha384, Prf::HmacSha512];

    const fn row(self) -> &'static PrfRow {
        match self {
            Prf::HmacSha256 => &PrfRow { name: "prfsha256", id: 5, output_len: 32 },
            Prf::HmacSha384 => &PrfRow { name: "prfsha384", id: 6, output_len: 48 },
            Prf::HmacSha512 => &PrfRow { name: "prfsha512", id: 7, output_len: 64 },
        }
    }

    /// The row that a transform names, if we have it.
    #[must_use]
    pub fn from_transform(transform: &Transform) -> Option<Prf> {
        Prf::ALL.iter().copied().find(|prf| prf.transform() == *transform)
    }

    /// How it is written in a proposal payload.
    #[must_use]
    pub const fn transform(self) -> Transform {
        Transform::new(transform_type::PRF, self.row().id)
    }

    /// How it is written in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Octets of output, which is also the preferred key length (RFC 7296 section 2.13).
    #[must_use]
    pub const fn output_len(self) -> usize {
        self.row().output_len
    }
}

/// Integrity algorithms, for ciphers that are not AEAD (RFC 4868).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integ {
    /// AUTH_HMAC_SHA2_256_128.
    HmacSha256,
    /// AUTH_HMAC_SHA2_384_192.
    HmacSha384,
    /// AUTH_HMAC_SHA2_512_256.
    HmacSha512,
}

struct IntegRow {
    name: &'static str,
    id: u16,
    key_len: usize,
}

impl Integ {
    /// Every row.
    pub const ALL: &'static [Integ] = &[Integ::HmacSha256, Integ::HmacSha384, Integ::HmacSha512];

    const fn row(self) -> &'static IntegRow {
        match self {
            Integ::HmacSha256 => &IntegRow { name: "sha256", id: 12, key_len: 32 },
            Integ::HmacSha384 => &IntegRow { name: "sha384", id: 13, key_len: 48 },
            Integ::HmacSha512 => &IntegRow { name: "sha512", id: 14, key_len: 64 },
        }
    }

    /// The row that a transform names, if we have it.
    #[must_use]
    pub fn from_transform(transform: &Transform) -> Option<Integ> {
        Integ::ALL.iter().copied().find(|integ| integ.transform() == *transform)
    }

    /// How it is written in a proposal payload.
    #[must_use]
    pub const fn transform(self) -> Transform {
        Transform::new(transform_type::INTEG, self.row().id)
    }

    /// How it is written in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Octets of key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        self.row().key_len
    }

    /// Octets of ICV: RFC 4868 keeps the first half of the output.
    #[must_use]
    pub const fn icv_len(self) -> usize {
        self.row().key_len / 2
    }
}

/// Key exchange methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeMethod {
    /// Curve25519 (RFC 8031).
    X25519,
    /// 256-bit random ECP group, NIST P-256 (RFC 5903).
    P256,
}

struct KeRow {
    name: &'static str,
    id: u16,
    public_len: usize,
}

impl KeMethod {
    /// Every row.
    pub const ALL: &'static [KeMethod] = &[KeMethod::X25519, KeMethod::P256];

    const fn row(self) -> &'static KeRow {
        match self {
            KeMethod::X25519 => &KeRow { name: "x25519", id: 31, public_len: 32 },
            KeMethod::P256 => &KeRow { name: "ecp256", id: 19, public_len: 64 },
        }
    }

    /// The row with this number, if we have it.
    #[must_use]
    pub fn from_id(id: u16) -> Option<KeMethod> {
        KeMethod::ALL.iter().copied().find(|ke| ke.id() == id)
    }

    /// The row that a transform names, if we have it.
    #[must_use]
    pub fn from_transform(transform: &Transform) -> Option<KeMethod> {
        KeMethod::ALL.iter().copied().find(|ke| ke.transform() == *transform)
    }

    /// How it is written in a proposal payload.
    #[must_use]
    pub const fn transform(self) -> Transform {
        Transform::new(transform_type::KE, self.row().id)
    }

    /// Its number in KE payloads and in INVALID_KE_PAYLOAD.
    #[must_use]
    pub const fn id(self) -> u16 {
        self.row().id
    }

    /// How it is written in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Octets of a public value in the KE payload.
    #[must_use]
    pub const fn public_len(self) -> usize {
        self.row().public_len
    }
}

macro_rules! prints_its_name {
    ($($algorithm:ty),*) => {$(
        impl fmt::Display for $algorithm {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    )*};
}
prints_its_name!(Encr, Prf, Integ, KeMethod);
