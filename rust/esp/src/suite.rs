//! What protects packets: ciphers, integrity algorithms, and the sizes that follow from them.

use aws_lc_rs::{aead, cipher, hmac};

/// The algorithms of a pair of SAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-GCM (RFC 4106).
    AesGcm {
        /// The key.
        key: KeyBits,
        /// The ICV.
        icv: GcmIcv,
    },
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
    /// AES-CTR (RFC 3686) with an HMAC.
    AesCtr {
        /// The key.
        key: KeyBits,
        /// The HMAC.
        integ: Integ,
    },
    /// AES-CBC (RFC 3602) with an HMAC.
    AesCbc {
        /// The key.
        key: KeyBits,
        /// The HMAC.
        integ: Integ,
    },
}

/// How long an AES key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyBits {
    /// 128 bits.
    B128,
    /// 192 bits.
    B192,
    /// 256 bits.
    B256,
}

/// How long the ICV of AES-GCM is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GcmIcv {
    /// 8 octets.
    O8,
    /// 12 octets.
    O12,
    /// 16 octets.
    O16,
}

/// Integrity algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integ {
    /// HMAC-SHA2-256-128 (RFC 4868).
    HmacSha256,
    /// HMAC-SHA2-384-192 (RFC 4868).
    HmacSha384,
    /// HMAC-SHA2-512-256 (RFC 4868).
    HmacSha512,
    /// HMAC-SHA1-96 (RFC 2404), for old peers.
    HmacSha1,
}

/// Where things lie in a packet, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Explicit IV.
    pub(crate) iv: usize,
    /// ICV.
    pub(crate) icv: usize,
    /// Pad Length and Next Header end on a multiple of this.
    pub(crate) align: usize,
}

impl Suite {
    /// AES-GCM, 128 bit key, 16 octet ICV.
    pub const AES_128_GCM_16: Suite = Suite::AesGcm { key: KeyBits::B128, icv: GcmIcv::O16 };
    /// AES-GCM, 192 bit key, 16 octet ICV.
    pub const AES_192_GCM_16: Suite = Suite::AesGcm { key: KeyBits::B192, icv: GcmIcv::O16 };
    /// AES-GCM, 256 bit key, 16 octet ICV.
    pub const AES_256_GCM_16: Suite = Suite::AesGcm { key: KeyBits::B256, icv: GcmIcv::O16 };

    /// Bytes of cipher key, without salt.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Suite::AesGcm { key, .. } | Suite::AesCtr { key, .. } | Suite::AesCbc { key, .. } => key.len(),
            Suite::ChaCha20Poly1305 => 32,
        }
    }

    /// Bytes of salt behind the cipher key.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Suite::AesGcm { .. } | Suite::ChaCha20Poly1305 | Suite::AesCtr { .. } => 4,
            Suite::AesCbc { .. } => 0,
        }
    }

    /// The integrity algorithm beside the cipher; an AEAD has none.
    #[must_use]
    pub const fn integ(self) -> Option<Integ> {
        match self {
            Suite::AesGcm { .. } | Suite::ChaCha20Poly1305 => None,
            Suite::AesCtr { integ, .. } | Suite::AesCbc { integ, .. } => Some(integ),
        }
    }

    /// Bytes of keying material to take from KEYMAT for one direction: key and salt, then the key of the integrity
    /// algorithm (RFC 7296 section 2.17).
    #[must_use]
    pub const fn keymat_len(self) -> usize {
        let integ = match self.integ() {
            Some(integ) => integ.key_len(),
            None => 0,
        };
        self.key_len() + self.salt_len() + integ
    }

    pub(crate) const fn shape(self) -> Shape {
        match self {
            Suite::AesGcm { icv, .. } => Shape { iv: 8, icv: icv.len(), align: 4 },
            Suite::ChaCha20Poly1305 => Shape { iv: 8, icv: 16, align: 4 },
            Suite::AesCtr { integ, .. } => Shape { iv: 8, icv: integ.icv_len(), align: 4 },
            Suite::AesCbc { integ, .. } => Shape { iv: 16, icv: integ.icv_len(), align: 16 },
        }
    }

    /// The provider's AEAD; `None` for ciphers that are none.
    pub(crate) fn aead(self) -> Option<&'static aead::Algorithm> {
        match self {
            Suite::AesGcm { key: KeyBits::B128, .. } => Some(&aead::AES_128_GCM),
            Suite::AesGcm { key: KeyBits::B192, .. } => Some(&aead::AES_192_GCM),
            Suite::AesGcm { key: KeyBits::B256, .. } => Some(&aead::AES_256_GCM),
            Suite::ChaCha20Poly1305 => Some(&aead::CHACHA20_POLY1305),
            Suite::AesCtr { .. } | Suite::AesCbc { .. } => None,
        }
    }

    /// The provider's block cipher for ciphers that are no AEAD.
    pub(crate) fn block_cipher(self) -> Option<&'static cipher::Algorithm> {
        let (Suite::AesCtr { key, .. } | Suite::AesCbc { key, .. }) = self else { return None };
        Some(match key {
            KeyBits::B128 => &cipher::AES_128,
            KeyBits::B192 => &cipher::AES_192,
            KeyBits::B256 => &cipher::AES_256,
        })
    }
}

impl KeyBits {
    const fn len(self) -> usize {
        match self {
            KeyBits::B128 => 16,
            KeyBits::B192 => 24,
            KeyBits::B256 => 32,
        }
    }
}

impl GcmIcv {
    const fn len(self) -> usize {
        match self {
            GcmIcv::O8 => 8,
            GcmIcv::O12 => 12,
            GcmIcv::O16 => 16,
        }
    }
}

impl Integ {
    /// Bytes of key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Integ::HmacSha256 => 32,
            Integ::HmacSha384 => 48,
            Integ::HmacSha512 => 64,
            Integ::HmacSha1 => 20,
        }
    }

    const fn icv_len(self) -> usize {
        match self {
            Integ::HmacSha256 => 16,
            Integ::HmacSha384 => 24,
            Integ::HmacSha512 => 32,
            Integ::HmacSha1 => 12,
        }
    }

    pub(crate) fn provider(self) -> hmac::Algorithm {
        match self {
            Integ::HmacSha256 => hmac::HMAC_SHA256,
            Integ::HmacSha384 => hmac::HMAC_SHA384,
            Integ::HmacSha512 => hmac::HMAC_SHA512,
            Integ::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }
}
