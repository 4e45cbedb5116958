//! Identities as people write them (RFC 7296 section 3.5): an address, a host name, user@host, or `keyid:HEX`; and
//! `id9:HEX`, a distinguished name in DER, which the control plane reads and writes for people.

use std::net::IpAddr;
use std::sync::Arc;

use mobike_ike::{Identity, IdentityPattern};

/// Octets of a name; RFC 1035 allows 255 for a host.
const LONGEST: usize = 255;
const KEY_ID: &str = "keyid:";
/// ID_DER_ASN1_DN.
const NAME: &str = "id9:";
const NAME_KIND: u8 = 9;
/// Octets of a distinguished name in DER.
const LONGEST_NAME: usize = 2048;

pub(crate) fn parse(text: &str) -> Result<Identity, String> {
    if let Ok(address) = text.parse() {
        return Ok(match address {
            IpAddr::V4(address) => Identity::Ipv4(address),
            IpAddr::V6(address) => Identity::Ipv6(address),
        });
    }
    if let Some(hex) = text.strip_prefix(KEY_ID) {
        return octets(hex, LONGEST).map(|octets| Identity::KeyId(octets.into())).ok_or_else(|| {
            format!("{text:?}: behind {KEY_ID:?} comes an even number of hexadecimal digits, at most {}", 2 * LONGEST)
        });
    }
    if let Some(hex) = text.strip_prefix(NAME) {
        let name = octets(hex, LONGEST_NAME).ok_or_else(|| format!("{text:?}: behind {NAME:?} comes a name in DER"))?;
        return Ok(Identity::Other { kind: NAME_KIND, data: name.into() });
    }
    match text.split_once('@') {
        Some((user, host)) if is_user(user) && is_host(host) && text.len() <= LONGEST => {
            Ok(Identity::Email(Arc::from(text)))
        }
        None if is_host(text) => Ok(Identity::Fqdn(Arc::from(text))),
        Some(_) | None => Err(format!("{text:?} is no address, host name, user@host or {KEY_ID}HEX")),
    }
}

pub(crate) fn parse_pattern(text: &str) -> Result<IdentityPattern, String> {
    match text.strip_prefix('*') {
        None => parse(text).map(IdentityPattern::Exact),
        Some("") => Ok(IdentityPattern::Any),
        Some(suffix) => match suffix.strip_prefix(['@', '.']) {
            Some(host) if is_host(host) => Ok(IdentityPattern::Suffix(Arc::from(suffix))),
            Some(_) | None => Err(format!("{text:?}: a pattern is \"*\", \"*@example.net\" or \"*.example.net\"")),
        },
    }
}

pub(crate) fn pattern_text(pattern: &IdentityPattern) -> String {
    match pattern {
        IdentityPattern::Any => "*".to_owned(),
        IdentityPattern::Exact(id) => id.to_string(),
        IdentityPattern::Suffix(suffix) => format!("*{suffix}"),
    }
}

/// What EAP proved, or an event told, of a peer. A name that is none of RFC 7296 is kept as it is.
pub(crate) fn proven(name: &str) -> Identity {
    parse(name).unwrap_or_else(|_| Identity::Email(name.into()))
}

fn is_host(text: &str) -> bool {
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    !text.is_empty() && text.len() <= LONGEST && text.split('.').all(label)
}

fn is_user(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'*')
}

fn octets(hex: &str, longest: usize) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let fits = !pairs.is_empty() && pairs.len() <= longest && rest.is_empty();
    fits.then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_pattern, pattern_text};

    #[test]
    fn an_identity_reads_back_as_it_was_written() {
        for text in
            ["192.0.2.1", "2001:db8::1", "gw.example.net", "phone", "ann@example.net", "keyid:00ff10", "id9:3000"]
        {
            assert_eq!(parse(text).map(|id| id.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_identity_is_refused_and_named() {
        for text in
            ["", "a b", "*.example.net", "keyid:", "keyid:abc", "keyid:zz", "@host", "user@", "a..b", "ü.example"]
        {
            assert!(parse(text).unwrap_err().contains(text), "{text}");
        }
    }

    #[test]
    fn patterns_are_a_star_at_the_front() {
        for text in ["*", "*@example.net", "*.example.net", "gw.example.net"] {
            assert_eq!(parse_pattern(text).map(|pattern| pattern_text(&pattern)).as_deref(), Ok(text));
        }
        for text in ["**", "*x", "a*", "*.", "*@", "*@*"] {
            assert!(parse_pattern(text).is_err(), "{text}");
        }
    }
}
