//! What exists: one row per algorithm, with its IANA number, its name in the field and its sizes.

use core::fmt;

use super::Role;

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
    /// The first additional key exchange (RFC 9370 section 2.2.1).
    pub const FIRST_ADDITIONAL_KE: u8 = 6;
    /// The last one.
    pub const LAST_ADDITIONAL_KE: u8 = 12;
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

/// Encryption algorithms; key and ICV length are part of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encr {
    /// AES-GCM, 128 bit key, 16 octet ICV (RFC 5282, RFC 4106).
    Aes128Gcm16,
    /// AES-GCM, 192 bit key, 16 octet ICV.
    Aes192Gcm16,
    /// AES-GCM, 256 bit key, 16 octet ICV.
    Aes256Gcm16,
    /// AES-GCM, 128 bit key, 12 octet ICV.
    Aes128Gcm12,
    /// AES-GCM, 192 bit key, 12 octet ICV.
    Aes192Gcm12,
    /// AES-GCM, 256 bit key, 12 octet ICV.
    Aes256Gcm12,
    /// AES-GCM, 128 bit key, 8 octet ICV.
    Aes128Gcm8,
    /// AES-GCM, 192 bit key, 8 octet ICV.
    Aes192Gcm8,
    /// AES-GCM, 256 bit key, 8 octet ICV.
    Aes256Gcm8,
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
    /// AES-CTR, 128 bit key (RFC 5930, RFC 3686).
    Aes128Ctr,
    /// AES-CTR, 192 bit key.
    Aes192Ctr,
    /// AES-CTR, 256 bit key.
    Aes256Ctr,
    /// AES-CBC, 128 bit key (RFC 3602).
    Aes128Cbc,
    /// AES-CBC, 192 bit key.
    Aes192Cbc,
    /// AES-CBC, 256 bit key.
    Aes256Cbc,
}

/// How a cipher works, for who calls the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// AES in Galois/Counter Mode.
    Gcm,
    /// ChaCha20 with Poly1305.
    ChaChaPoly,
    /// AES in Counter Mode.
    Ctr,
    /// AES in Cipher Block Chaining Mode.
    Cbc,
}

struct EncrRow {
    name: &'static str,
    mode: Mode,
    id: u16,
    key_bits: u16,
    salt_len: usize,
    iv_len: usize,
    /// Zero for ciphers that need an INTEG algorithm beside them.
    icv_len: usize,
    block_len: usize,
}

/// RFC 5282: 4 octets of salt from the key material, 8 octets of IV on the wire, no block structure.
const fn gcm(name: &'static str, id: u16, key_bits: u16, icv_len: usize) -> EncrRow {
    EncrRow { name, mode: Mode::Gcm, id, key_bits, salt_len: 4, iv_len: 8, icv_len, block_len: 1 }
}

/// RFC 7634 section 2: as AES-GCM; the transform has no Key Length, for there is only one.
const CHACHA: EncrRow = EncrRow {
    name: "chacha20poly1305",
    mode: Mode::ChaChaPoly,
    id: 28,
    key_bits: 256,
    salt_len: 4,
    iv_len: 8,
    icv_len: 16,
    block_len: 1,
};

/// RFC 5930 section 2: 4 octets of nonce behind the key, 8 octets of IV on the wire.
const fn ctr(name: &'static str, key_bits: u16) -> EncrRow {
    EncrRow { name, mode: Mode::Ctr, id: 13, key_bits, salt_len: 4, iv_len: 8, icv_len: 0, block_len: 1 }
}

/// RFC 3602: an IV of one block.
const fn cbc(name: &'static str, key_bits: u16) -> EncrRow {
    EncrRow { name, mode: Mode::Cbc, id: 12, key_bits, salt_len: 0, iv_len: 16, icv_len: 0, block_len: 16 }
}

impl Encr {
    /// Every row.
    pub const ALL: &'static [Encr] = &[
        Encr::Aes128Gcm16,
        Encr::Aes192Gcm16,
        Encr::Aes256Gcm16,
        Encr::Aes128Gcm12,
        Encr::Aes192Gcm12,
        Encr::Aes256Gcm12,
        Encr::Aes128Gcm8,
        Encr::Aes192Gcm8,
        Encr::Aes256Gcm8,
        Encr::ChaCha20Poly1305,
        Encr::Aes128Ctr,
        Encr::Aes192Ctr,
        Encr::Aes256Ctr,
        Encr::Aes128Cbc,
        Encr::Aes192Cbc,
        Encr::Aes256Cbc,
    ];

    const fn row(self) -> &'static EncrRow {
        match self {
            Encr::Aes128Gcm16 => const { &gcm("aes128gcm16", 20, 128, 16) },
            Encr::Aes192Gcm16 => const { &gcm("aes192gcm16", 20, 192, 16) },
            Encr::Aes256Gcm16 => const { &gcm("aes256gcm16", 20, 256, 16) },
            Encr::Aes128Gcm12 => const { &gcm("aes128gcm12", 19, 128, 12) },
            Encr::Aes192Gcm12 => const { &gcm("aes192gcm12", 19, 192, 12) },
            Encr::Aes256Gcm12 => const { &gcm("aes256gcm12", 19, 256, 12) },
            Encr::Aes128Gcm8 => const { &gcm("aes128gcm8", 18, 128, 8) },
            Encr::Aes192Gcm8 => const { &gcm("aes192gcm8", 18, 192, 8) },
            Encr::Aes256Gcm8 => const { &gcm("aes256gcm8", 18, 256, 8) },
            Encr::ChaCha20Poly1305 => &CHACHA,
            Encr::Aes128Ctr => const { &ctr("aes128ctr", 128) },
            Encr::Aes192Ctr => const { &ctr("aes192ctr", 192) },
            Encr::Aes256Ctr => const { &ctr("aes256ctr", 256) },
            Encr::Aes128Cbc => const { &cbc("aes128", 128) },
            Encr::Aes192Cbc => const { &cbc("aes192", 192) },
            Encr::Aes256Cbc => const { &cbc("aes256", 256) },
        }
    }

    /// How it works.
    #[must_use]
    pub const fn mode(self) -> Mode {
        self.row().mode
    }

    /// The row that a transform names, if we have it.
    #[must_use]
    pub fn from_transform(transform: &Transform) -> Option<Encr> {
        Encr::ALL.iter().copied().find(|encr| encr.transform() == *transform)
    }

    /// How it is written in a proposal payload.
    #[must_use]
    pub const fn transform(self) -> Transform {
        let transform = Transform::new(transform_type::ENCR, self.row().id);
        match self.mode() {
            Mode::ChaChaPoly => transform,
            Mode::Gcm | Mode::Ctr | Mode::Cbc => transform.with_key_bits(self.row().key_bits),
        }
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

/// Pseudorandom functions (RFC 4868, RFC 7296 section 2.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prf {
    /// PRF_HMAC_SHA2_256.
    HmacSha256,
    /// PRF_HMAC_SHA2_384.
    HmacSha384,
    /// PRF_HMAC_SHA2_512.
    HmacSha512,
    /// PRF_HMAC_SHA1 (RFC 2104), for old peers.
    HmacSha1,
}

struct PrfRow {
    name: &'static str,
    id: u16,
    output_len: usize,
}

impl Prf {
    /// Every row.
    pub const ALL: &'static [Prf] = &[Prf::HmacSha256, Prf::HmacSha384, Prf::HmacSha512, Prf::HmacSha1];

    const fn row(self) -> &'static PrfRow {
        match self {
            Prf::HmacSha256 => &PrfRow { name: "prfsha256", id: 5, output_len: 32 },
            Prf::HmacSha384 => &PrfRow { name: "prfsha384", id: 6, output_len: 48 },
            Prf::HmacSha512 => &PrfRow { name: "prfsha512", id: 7, output_len: 64 },
            Prf::HmacSha1 => &PrfRow { name: "prfsha1", id: 2, output_len: 20 },
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
    /// AUTH_HMAC_SHA1_96 (RFC 2404), for old peers.
    HmacSha1,
}

struct IntegRow {
    name: &'static str,
    id: u16,
    key_len: usize,
    icv_len: usize,
}

impl Integ {
    /// Every row.
    pub const ALL: &'static [Integ] = &[Integ::HmacSha256, Integ::HmacSha384, Integ::HmacSha512, Integ::HmacSha1];

    const fn row(self) -> &'static IntegRow {
        match self {
            Integ::HmacSha256 => &IntegRow { name: "sha256", id: 12, key_len: 32, icv_len: 16 },
            Integ::HmacSha384 => &IntegRow { name: "sha384", id: 13, key_len: 48, icv_len: 24 },
            Integ::HmacSha512 => &IntegRow { name: "sha512", id: 14, key_len: 64, icv_len: 32 },
            Integ::HmacSha1 => &IntegRow { name: "sha1", id: 2, key_len: 20, icv_len: 12 },
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

    /// Octets of ICV, the first ones of the output: half of it (RFC 4868), of SHA-1 96 bits (RFC 2404).
    #[must_use]
    pub const fn icv_len(self) -> usize {
        self.row().icv_len
    }

    /// The PRF of the same hash: what a suite without an AEAD means when it names none.
    #[must_use]
    pub const fn prf(self) -> Prf {
        match self {
            Integ::HmacSha256 => Prf::HmacSha256,
            Integ::HmacSha384 => Prf::HmacSha384,
            Integ::HmacSha512 => Prf::HmacSha512,
            Integ::HmacSha1 => Prf::HmacSha1,
        }
    }
}

/// Key exchange methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeMethod {
    /// Curve25519 (RFC 8031).
    X25519,
    /// 256-bit random ECP group, NIST P-256 (RFC 5903).
    P256,
    /// 384-bit random ECP group, NIST P-384 (RFC 5903).
    P384,
    /// 521-bit random ECP group, NIST P-521 (RFC 5903).
    P521,
    /// 2048-bit MODP group (RFC 3526).
    Modp2048,
    /// 3072-bit MODP group (RFC 3526).
    Modp3072,
    /// 4096-bit MODP group (RFC 3526).
    Modp4096,
    /// 1024-bit MODP group (RFC 2409), for old peers: within reach of those who can afford it.
    Modp1024,
    /// ML-KEM-512 (FIPS 203, draft-ietf-ipsecme-ikev2-mlkem).
    MlKem512,
    /// ML-KEM-768.
    MlKem768,
    /// ML-KEM-1024.
    MlKem1024,
}

struct KeRow {
    name: &'static str,
    id: u16,
    /// Octets of the initiator's value, and of the responder's: a KEM answers a key with a ciphertext.
    initiator_len: usize,
    responder_len: usize,
}

/// Both values are of one kind.
const fn dh(name: &'static str, id: u16, len: usize) -> KeRow {
    KeRow { name, id, initiator_len: len, responder_len: len }
}

/// FIPS 203 table 3: encapsulation key and ciphertext.
const fn kem(name: &'static str, id: u16, key_len: usize, ciphertext_len: usize) -> KeRow {
    KeRow { name, id, initiator_len: key_len, responder_len: ciphertext_len }
}

impl KeMethod {
    /// Every row.
    pub const ALL: &'static [KeMethod] = &[
        KeMethod::X25519,
        KeMethod::P256,
        KeMethod::P384,
        KeMethod::P521,
        KeMethod::Modp2048,
        KeMethod::Modp3072,
        KeMethod::Modp4096,
        KeMethod::Modp1024,
        KeMethod::MlKem512,
        KeMethod::MlKem768,
        KeMethod::MlKem1024,
    ];

    const fn row(self) -> &'static KeRow {
        match self {
            KeMethod::X25519 => const { &dh("x25519", 31, 32) },
            KeMethod::P256 => const { &dh("ecp256", 19, 64) },
            KeMethod::P384 => const { &dh("ecp384", 20, 96) },
            KeMethod::P521 => const { &dh("ecp521", 21, 132) },
            KeMethod::Modp2048 => const { &dh("modp2048", 14, 256) },
            KeMethod::Modp3072 => const { &dh("modp3072", 15, 384) },
            KeMethod::Modp4096 => const { &dh("modp4096", 16, 512) },
            KeMethod::Modp1024 => const { &dh("modp1024", 2, 128) },
            KeMethod::MlKem512 => const { &kem("mlkem512", 35, 800, 768) },
            KeMethod::MlKem768 => const { &kem("mlkem768", 36, 1184, 1088) },
            KeMethod::MlKem1024 => const { &kem("mlkem1024", 37, 1568, 1568) },
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

    /// How it is written in a proposal payload as the additional key exchange at `place`, from 0 (RFC 9370 section
    /// 2.2.1).
    #[must_use]
    pub const fn additional_transform(self, place: usize) -> Transform {
        Transform::new(transform_type::FIRST_ADDITIONAL_KE + place as u8, self.row().id)
    }

    /// Octets of what an end sends in its KE payload.
    #[must_use]
    pub const fn public_len(self, sender: Role) -> usize {
        match sender {
            Role::Initiator => self.row().initiator_len,
            Role::Responder => self.row().responder_len,
        }
    }

    /// A key encapsulation: the responder answers with a ciphertext, and its first message does not fit a datagram of
    /// 1280 octets beside everything else. It is an additional key exchange, or none.
    #[must_use]
    pub const fn is_kem(self) -> bool {
        match self {
            KeMethod::MlKem512 | KeMethod::MlKem768 | KeMethod::MlKem1024 => true,
            KeMethod::X25519
            | KeMethod::P256
            | KeMethod::P384
            | KeMethod::P521
            | KeMethod::Modp2048
            | KeMethod::Modp3072
            | KeMethod::Modp4096
            | KeMethod::Modp1024 => false,
        }
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
