//! Signatures of peers that do not know RFC 7427: an AUTH method for each kind, without a name inside (RFC 4754, RFC 7296
//! section 2.15).
//!
//! RSA is with SHA-1 there, which is checked only where an operator says so, and never made.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey, VerificationAlgorithm,
};

use super::signature::{KeyKind, PublicKey, SignatureError};

/// Which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldScheme {
    /// RSASSA-PKCS1-v1_5 with SHA-1: AUTH method 1.
    RsaSha1,
    /// ECDSA on P-256 with SHA2-256, both numbers one behind the other: AUTH method 9.
    P256,
    /// ECDSA on P-384 with SHA2-384: AUTH method 10.
    P384,
    /// ECDSA on P-521 with SHA2-512: AUTH method 11.
    P521,
}

impl OldScheme {
    fn kind(self) -> KeyKind {
        match self {
            OldScheme::RsaSha1 => KeyKind::Rsa,
            OldScheme::P256 => KeyKind::P256,
            OldScheme::P384 => KeyKind::P384,
            OldScheme::P521 => KeyKind::P521,
        }
    }

    fn verifier(self) -> &'static dyn VerificationAlgorithm {
        match self {
            OldScheme::RsaSha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            OldScheme::P256 => &ECDSA_P256_SHA256_FIXED,
            OldScheme::P384 => &ECDSA_P384_SHA384_FIXED,
            OldScheme::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }
}

impl PublicKey {
    /// Did the owner of the key make this AUTH data over these octets, in an old way?
    pub fn verify_old(&self, scheme: OldScheme, auth: &[u8], octets: &[&[u8]]) -> Result<(), SignatureError> {
        if self.kind() != scheme.kind() {
            return Err(SignatureError::WrongAlgorithm(self.kind()));
        }
        let key = UnparsedPublicKey::new(scheme.verifier(), self.info());
        key.verify(&octets.concat(), auth).map_err(|_| SignatureError::Invalid)
    }
}
