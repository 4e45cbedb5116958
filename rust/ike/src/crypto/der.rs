//! As much DER (X.690) as it takes to find a public key: in a certificate, and which algorithm it is for.
//!
//! Nothing here judges a certificate; the control plane does.

/// SEQUENCE.
const SEQUENCE: u8 = 0x30;
/// INTEGER.
const INTEGER: u8 = 0x02;
/// The explicit tag of a certificate's version.
const VERSION: u8 = 0xa0;

/// One element, and as it was written.
#[derive(Debug, Clone, Copy)]
struct Element<'a> {
    content: &'a [u8],
    whole: &'a [u8],
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next element, if it has this tag. Lengths are definite, minimal, and below 2^24.
    fn take(&mut self, tag: u8) -> Option<Element<'a>> {
        let &[found, first, ..] = self.0 else { return None };
        if found != tag {
            return None;
        }
        let (head, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81..=0x83 => {
                let octets = self.0.get(2..2 + usize::from(first & 0x7f))?;
                let length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
                let minimal = octets[0] != 0 && length > 0x7f;
                minimal.then_some((2 + octets.len(), length))?
            }
            _ => return None,
        };
        let whole = self.0.get(..head.checked_add(length)?)?;
        self.0 = &self.0[whole.len()..];
        Some(Element { content: &whole[head..], whole })
    }
}

/// The SubjectPublicKeyInfo of an X.509 certificate (RFC 5280 section 4.1), as it stands there.
#[must_use]
pub fn public_key_of(certificate: &[u8]) -> Option<&[u8]> {
    let mut outer = Reader(certificate);
    let certificate = outer.take(SEQUENCE)?;
    if !outer.0.is_empty() {
        return None;
    }
    let mut to_be_signed = Reader(Reader(certificate.content).take(SEQUENCE)?.content);
    // Absent in certificates of version 1.
    let _version = to_be_signed.take(VERSION);
    let _serial = to_be_signed.take(INTEGER)?;
    let [_signature, _issuer, _validity, _subject, key] = [(); 5].map(|()| to_be_signed.take(SEQUENCE));
    key.map(|key| key.whole)
}

/// The AlgorithmIdentifier of a SubjectPublicKeyInfo.
#[must_use]
pub fn algorithm_of_public(key: &[u8]) -> Option<&[u8]> {
    let mut outer = Reader(key);
    let info = outer.take(SEQUENCE)?;
    let algorithm = Reader(info.content).take(SEQUENCE)?;
    outer.0.is_empty().then_some(algorithm.whole)
}

/// The AlgorithmIdentifier of a private key in PKCS #8 (RFC 5958).
#[must_use]
pub fn algorithm_of_private(key: &[u8]) -> Option<&[u8]> {
    let mut info = Reader(Reader(key).take(SEQUENCE)?.content);
    let _version = info.take(INTEGER)?;
    info.take(SEQUENCE).map(|algorithm| algorithm.whole)
}

#[cfg(test)]
mod tests {
    use super::{algorithm_of_public, public_key_of};

    /// SEQUENCE { SEQUENCE { INTEGER 1, 4 x SEQUENCE {}, SEQUENCE { SEQUENCE { NULL } } } }.
    const SMALL: [u8; 21] = [0x30, 19, 0x30, 17, 2, 1, 1, 0x30, 0, 0x30, 0, 0x30, 0, 0x30, 0, 0x30, 4, 0x30, 2, 5, 0];

    #[test]
    fn the_key_is_found_with_or_without_a_version() {
        assert_eq!(public_key_of(&SMALL), Some(&SMALL[15..]));
        assert_eq!(algorithm_of_public(&SMALL[15..]), Some(&SMALL[17..]));
        let mut with_version = vec![0x30, 24, 0x30, 22, 0xa0, 3, 2, 1, 2];
        with_version.extend_from_slice(&SMALL[4..]);
        assert_eq!(public_key_of(&with_version), Some(&SMALL[15..]));
    }

    #[test]
    fn whatever_is_cut_off_or_appended_is_no_certificate() {
        for end in 0..SMALL.len() {
            assert_eq!(public_key_of(&SMALL[..end]), None, "{end}");
        }
        assert_eq!(public_key_of(&[&SMALL[..], &[0]].concat()), None);
    }

    #[test]
    fn lengths_that_are_not_minimal_or_not_there_are_refused() {
        for odd in [&[0x30, 0x81, 0x01, 0x00][..], &[0x30, 0x82, 0x00, 0x80], &[0x30, 0x80, 0, 0], &[0x30, 0x84, 0, 0]]
        {
            assert_eq!(algorithm_of_public(odd), None, "{odd:?}");
        }
    }
}
