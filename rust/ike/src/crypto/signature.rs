//! Signatures in AUTH (RFC 7427): which there are, how AUTH names them, how a peer's is checked.
//!
//! ```text
//! AUTH data   | length | AlgorithmIdentifier (DER) | signature |
//! ```
//!
//! What we make is in [`super::signing`].

use core::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};

use super::der;

/// A hash function of SIGNATURE_HASH_ALGORITHMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA2-256.
    Sha256,
    /// SHA2-384.
    Sha384,
    /// SHA2-512.
    Sha512,
    /// None outside the signature algorithm itself (RFC 8420): Ed25519.
    Identity,
}

impl Hash {
    /// All of them.
    pub const ALL: [Hash; 4] = [Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Identity];
    const SHA2: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

    /// The registered number.
    #[must_use]
    pub const fn id(self) -> u16 {
        match self {
            Hash::Sha256 => 2,
            Hash::Sha384 => 3,
            Hash::Sha512 => 4,
            Hash::Identity => 5,
        }
    }
}

/// What SIGNATURE_HASH_ALGORITHMS lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hashes(u8);

impl Hashes {
    /// What we say: all that we know.
    pub const OURS: [u8; 8] = [0, 2, 0, 3, 0, 4, 0, 5];

    /// What a peer says; numbers that we do not know are passed over.
    #[must_use]
    pub fn read(data: &[u8]) -> Hashes {
        let (numbers, _) = data.as_chunks();
        Hashes(numbers.iter().fold(0, |bits, number| match u16::from_be_bytes(*number) {
            number @ 0..=7 => bits | 1 << number,
            _ => bits,
        }))
    }

    /// Is it in the list?
    #[must_use]
    pub const fn contains(self, hash: Hash) -> bool {
        self.0 & (1 << hash.id()) != 0
    }
}

/// What kind of key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 to 8192 bits.
    Rsa,
}

impl KeyKind {
    /// Which kind an AlgorithmIdentifier of a key names.
    #[must_use]
    pub fn of_algorithm(identifier: &[u8]) -> Option<KeyKind> {
        /// id-ecPublicKey with secp256r1 (RFC 5480).
        const P256: &[u8] = b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        /// id-ecPublicKey with secp384r1.
        const P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
        /// id-ecPublicKey with secp521r1.
        const P521: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";
        /// rsaEncryption (RFC 3279).
        const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        match identifier {
            P256 => Some(KeyKind::P256),
            P384 => Some(KeyKind::P384),
            P521 => Some(KeyKind::P521),
            RSA => Some(KeyKind::Rsa),
            ED25519_IDENTIFIER => Some(KeyKind::Ed25519),
            _ => None,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyKind::P256 => "ECDSA P-256",
            KeyKind::P384 => "ECDSA P-384",
            KeyKind::P521 => "ECDSA P-521",
            KeyKind::Ed25519 => "Ed25519",
            KeyKind::Rsa => "RSA",
        })
    }
}

/// id-Ed25519 names the key and the signature alike (RFC 8410).
pub(super) const ED25519_IDENTIFIER: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

/// A signature algorithm, as AUTH names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// ECDSA; the curve is the key's.
    Ecdsa(Hash),
    /// RSASSA-PSS, its salt as long as its hash.
    RsaPss(Hash),
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(Hash),
    /// Ed25519.
    Ed25519,
}

impl Scheme {
    /// The scheme that an AlgorithmIdentifier names. Only the forms of RFC 7427 appendix A are known, and RSASSA-PSS without
    /// the NULL of its hash (RFC 4055 section 2.1 has both).
    #[must_use]
    pub fn of_identifier(identifier: &[u8]) -> Option<Scheme> {
        if identifier == ED25519_IDENTIFIER {
            return Some(Scheme::Ed25519);
        }
        Hash::SHA2.into_iter().find_map(|hash| {
            let is = |scheme: Scheme| (scheme.identifier() == identifier).then_some(scheme);
            let bare = || (pss_identifier(hash, &[]) == identifier).then_some(Scheme::RsaPss(hash));
            is(Scheme::Ecdsa(hash))
                .or_else(|| is(Scheme::RsaPss(hash)))
                .or_else(|| is(Scheme::RsaPkcs1(hash)))
                .or_else(bare)
        })
    }

    /// The AlgorithmIdentifier that AUTH carries (RFC 7427 appendix A, RFC 8420 appendix A).
    #[must_use]
    pub fn identifier(self) -> Vec<u8> {
        match self {
            Scheme::Ecdsa(hash) => {
                let last = hash.id() as u8;
                [&b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03"[..], &[last]].concat()
            }
            Scheme::RsaPkcs1(hash) => {
                let last = 9 + hash.id() as u8;
                [&b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01"[..], &[last, 5, 0]].concat()
            }
            Scheme::RsaPss(hash) => pss_identifier(hash, &[5, 0]),
            Scheme::Ed25519 => ED25519_IDENTIFIER.to_vec(),
        }
    }

    fn verifier(self, kind: KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (kind, self) {
            (KeyKind::P256, Scheme::Ecdsa(Hash::Sha256)) => &ECDSA_P256_SHA256_ASN1,
            (KeyKind::P256, Scheme::Ecdsa(Hash::Sha384)) => &ECDSA_P256_SHA384_ASN1,
            (KeyKind::P256, Scheme::Ecdsa(Hash::Sha512)) => &ECDSA_P256_SHA512_ASN1,
            (KeyKind::P384, Scheme::Ecdsa(Hash::Sha256)) => &ECDSA_P384_SHA256_ASN1,
            (KeyKind::P384, Scheme::Ecdsa(Hash::Sha384)) => &ECDSA_P384_SHA384_ASN1,
            (KeyKind::P384, Scheme::Ecdsa(Hash::Sha512)) => &ECDSA_P384_SHA512_ASN1,
            (KeyKind::P521, Scheme::Ecdsa(Hash::Sha256)) => &ECDSA_P521_SHA256_ASN1,
            (KeyKind::P521, Scheme::Ecdsa(Hash::Sha384)) => &ECDSA_P521_SHA384_ASN1,
            (KeyKind::P521, Scheme::Ecdsa(Hash::Sha512)) => &ECDSA_P521_SHA512_ASN1,
            (KeyKind::Rsa, Scheme::RsaPss(Hash::Sha256)) => &RSA_PSS_2048_8192_SHA256,
            (KeyKind::Rsa, Scheme::RsaPss(Hash::Sha384)) => &RSA_PSS_2048_8192_SHA384,
            (KeyKind::Rsa, Scheme::RsaPss(Hash::Sha512)) => &RSA_PSS_2048_8192_SHA512,
            (KeyKind::Rsa, Scheme::RsaPkcs1(Hash::Sha256)) => &RSA_PKCS1_2048_8192_SHA256,
            (KeyKind::Rsa, Scheme::RsaPkcs1(Hash::Sha384)) => &RSA_PKCS1_2048_8192_SHA384,
            (KeyKind::Rsa, Scheme::RsaPkcs1(Hash::Sha512)) => &RSA_PKCS1_2048_8192_SHA512,
            (KeyKind::Ed25519, Scheme::Ed25519) => &ED25519,
            _ => return None,
        })
    }
}

/// id-RSASSA-PSS with a hash, MGF1 with the same hash, and the hash's length of salt; `null` is the hash's parameter.
fn pss_identifier(hash: Hash, null: &[u8]) -> Vec<u8> {
    const PSS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
    const MGF1: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
    const SHA2: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02";
    let (last, salt) = match hash {
        Hash::Sha256 => (1, 32),
        Hash::Sha384 => (2, 48),
        Hash::Sha512 | Hash::Identity => (3, 64),
    };
    let function = wrapped(0x30, &[SHA2, &[last], null]);
    let mask = wrapped(0x30, &[MGF1, &function]);
    let parameters = [wrapped(0xa0, &[&function]), wrapped(0xa1, &[&mask]), wrapped(0xa2, &[&[2, 1, salt]])].concat();
    wrapped(0x30, &[PSS, &wrapped(0x30, &[&parameters])])
}

/// A DER element of fewer than 128 octets.
fn wrapped(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&[tag, content.len() as u8], &content[..]].concat()
}

/// A key that a peer signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    info: Box<[u8]>,
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo.
    pub fn from_info(info: &[u8]) -> Result<PublicKey, SignatureError> {
        let algorithm = der::algorithm_of_public(info).ok_or(SignatureError::UnreadableKey)?;
        let kind = KeyKind::of_algorithm(algorithm).ok_or(SignatureError::UnknownKey)?;
        Ok(PublicKey { kind, info: info.into() })
    }

    /// From an X.509 certificate, which nothing else is believed of.
    pub fn of_certificate(certificate: &[u8]) -> Result<PublicKey, SignatureError> {
        PublicKey::from_info(der::public_key_of(certificate).ok_or(SignatureError::UnreadableKey)?)
    }

    /// The SubjectPublicKeyInfo.
    #[must_use]
    pub fn info(&self) -> &[u8] {
        &self.info
    }

    /// What it signs with.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Did the owner of the key make this AUTH data over these octets?
    pub fn verify(&self, auth: &[u8], octets: &[&[u8]]) -> Result<(), SignatureError> {
        let (&length, rest) = auth.split_first().ok_or(SignatureError::Malformed)?;
        let (identifier, signature) = rest.split_at_checked(length.into()).ok_or(SignatureError::Malformed)?;
        let scheme = Scheme::of_identifier(identifier).ok_or(SignatureError::UnknownAlgorithm)?;
        let verifier = scheme.verifier(self.kind).ok_or(SignatureError::WrongAlgorithm(self.kind))?;
        let key = UnparsedPublicKey::new(verifier, &self.info);
        key.verify(&octets.concat(), signature).map_err(|_| SignatureError::Invalid)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.kind)
    }
}

/// Why there is no good signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureError {
    /// AUTH does not hold an algorithm and a signature.
    Malformed,
    /// A certificate or key that cannot be read.
    UnreadableKey,
    /// A key of a kind that we do not know.
    UnknownKey,
    /// A signature of a kind that we do not know.
    UnknownAlgorithm,
    /// A kind of signature that the key does not make.
    WrongAlgorithm(KeyKind),
    /// The signature was made by another key, or of something else.
    Invalid,
    /// The peer knows no hash that our key can sign with.
    NoCommonHash,
    /// The peer does not know RFC 7427, and a key of this kind signs in no older way.
    NoOldWay(KeyKind),
    /// The provider refused our own key.
    Provider,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignatureError::Malformed => f.write_str("AUTH holds no signature"),
            SignatureError::UnreadableKey => f.write_str("the public key cannot be read"),
            SignatureError::UnknownKey => {
                f.write_str("the public key is none of RSA, ECDSA on P-256, P-384 or P-521, Ed25519")
            }
            SignatureError::UnknownAlgorithm => f.write_str("the signature is of a kind that is not known here"),
            SignatureError::WrongAlgorithm(kind) => {
                write!(f, "the signature is of a kind that an {kind} key does not make")
            }
            SignatureError::Invalid => f.write_str("the signature was not made by the key of the certificate"),
            SignatureError::NoCommonHash => f.write_str("peer knows no hash that our key can sign with"),
            SignatureError::NoOldWay(kind) => write!(
                f,
                "the peer does not know RFC 7427 (it sends no SIGNATURE_HASH_ALGORITHMS), and our {kind} key makes no older \
                 AUTH; give this connection an ECDSA key or a shared key"
            ),
            SignatureError::Provider => f.write_str("our own key cannot be used"),
        }
    }
}

impl core::error::Error for SignatureError {}

#[cfg(test)]
mod tests {
    use super::{Hash, Hashes, Scheme};

    /// RFC 7427 appendix A.4.3.
    #[test]
    fn the_identifier_of_pss_with_sha2_256_is_that_of_the_rfc() {
        let text = "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d\
                    06096086480165030402010500a203020120";
        let wanted: Vec<u8> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
        assert_eq!(Scheme::RsaPss(Hash::Sha256).identifier(), wanted);
    }

    #[test]
    fn every_scheme_is_known_by_its_identifier_and_nothing_else_is() {
        let sha2 = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
        let schemes = sha2.map(|hash| [Scheme::Ecdsa(hash), Scheme::RsaPss(hash), Scheme::RsaPkcs1(hash)]);
        for scheme in schemes.into_iter().flatten().chain([Scheme::Ed25519]) {
            let identifier = scheme.identifier();
            assert_eq!(Scheme::of_identifier(&identifier), Some(scheme));
            assert_eq!(Scheme::of_identifier(&identifier[..identifier.len() - 1]), None);
            for at in 0..identifier.len() {
                let mut other = identifier.clone();
                other[at] ^= 0x40;
                assert_eq!(Scheme::of_identifier(&other), None, "{scheme:?} {at}");
            }
        }
        // sha1WithRSAEncryption and ecdsa-with-SHA1: RFC 8247 section 3.2 forbids the first, and time both.
        for sha1 in [
            &b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00"[..],
            b"\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01",
        ] {
            assert_eq!(Scheme::of_identifier(sha1), None);
        }
    }

    #[test]
    fn a_list_of_hashes_is_read_whatever_else_is_in_it() {
        let ours = Hashes::read(&Hashes::OURS);
        assert!(Hash::ALL.into_iter().all(|hash| ours.contains(hash)));
        let odd = Hashes::read(&[0, 1, 0xff, 0xff, 0, 3, 0]);
        assert_eq!(Hash::ALL.map(|hash| odd.contains(hash)), [false, true, false, false]);
        assert_eq!(Hashes::read(&[]), Hashes::default());
    }
}
