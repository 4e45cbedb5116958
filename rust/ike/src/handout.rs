//! What a gateway tells a client beside its inner addresses: resolvers, the names that they know, the networks behind it
//! (RFC 7296 section 3.15.1, RFC 8598). A peer sends it, so every list has a limit and every name is checked.

mod park;

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use std::sync::Arc;

/// Resolvers of one handout; a host uses three.
pub const MOST_RESOLVERS: usize = 8;
/// Networks of one handout.
pub const MOST_NETWORKS: usize = 64;
/// Domains of one handout.
pub const MOST_DOMAINS: usize = 32;
/// Trust anchors of one handout: two keys for each domain.
pub const MOST_ANCHORS: usize = 2 * MOST_DOMAINS;
/// Octets of a digest of a DNSSEC key: SHA-512 has 64.
pub const LONGEST_DIGEST: usize = 64;

/// What goes with inner addresses: what a responder gives, or what an initiator was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handout {
    /// Resolvers, most preferred first.
    pub dns: Vec<IpAddr>,
    /// Networks behind the gateway.
    pub networks: Vec<Network>,
    /// Names below these are for the resolvers, and no others (split DNS); none: all are.
    pub domains: Vec<Domain>,
    /// Keys that sign those domains.
    pub anchors: Vec<Anchor>,
}

impl Handout {
    /// Is there nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Handout { dns, networks, domains, anchors } = self;
        dns.is_empty() && networks.is_empty() && domains.is_empty() && anchors.is_empty()
    }
}

/// What an initiator asks for beside inner addresses, and takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Resolvers, of both families.
    pub dns: bool,
    /// Networks behind the gateway.
    pub networks: bool,
    /// Domains of those resolvers.
    pub domains: bool,
    /// Trust anchors of these domains and of what is below them, and of no others: who has the anchor of a domain decides
    /// what is true of it (RFC 8598 section 6).
    pub anchors_for: Vec<Domain>,
}

impl Wanted {
    /// Is a trust anchor of this domain taken?
    #[must_use]
    pub fn takes_anchor_of(&self, domain: &Domain) -> bool {
        self.anchors_for.iter().any(|wanted| domain.is_within(wanted))
    }
}

/// A network by its first address and the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// `address/length`, if no bits are behind the length.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Network> {
        let host_bits = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let clear = host_bits.checked_shl(length.into()).unwrap_or(0) == 0;
        (length <= width && clear).then_some(Network { address, length })
    }

    /// Its first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of its prefix in bits.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let read = || {
            let (address, length) = text.split_once('/')?;
            Network::new(address.parse().ok()?, length.parse().ok()?)
        };
        read().ok_or_else(|| format!("{text:?} is no network"))
    }
}

/// A domain, in small letters and without the dot at its end. There is nothing in it but letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Is it `other`, or below it?
    #[must_use]
    pub fn is_within(&self, other: &Domain) -> bool {
        self.0.strip_suffix(&*other.0).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Domain, String> {
        /// Octets of a name and of a label of it (RFC 1035 section 2.3.4), without the root.
        const LONGEST: (usize, usize) = (253, 63);
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            let plain = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
            (1..=LONGEST.1).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
        };
        match name.len() <= LONGEST.0 && name.split('.').all(is_label) {
            true => Ok(Domain(name.to_ascii_lowercase().into())),
            false => Err(format!("{text:?} is no domain name")),
        }
    }
}

/// The digest of a key that signs a domain: what a DS record says (RFC 8598 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Of which domain.
    pub domain: Domain,
    /// The key's tag.
    pub tag: u16,
    /// The key's algorithm.
    pub algorithm: u8,
    /// How the digest was made.
    pub digest_kind: u8,
    /// The digest.
    pub digest: Box<[u8]>,
}

impl Anchor {
    /// From the value of an attribute.
    #[must_use]
    pub fn read(domain: &Domain, value: &[u8]) -> Option<Anchor> {
        let (&[high, low, algorithm, digest_kind], digest) = value.split_first_chunk()?;
        let fits = (1..=LONGEST_DIGEST).contains(&digest.len());
        fits.then(|| Anchor {
            domain: domain.clone(),
            tag: u16::from_be_bytes([high, low]),
            algorithm,
            digest_kind,
            digest: digest.into(),
        })
    }

    /// The value of an attribute.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        let head = [&self.tag.to_be_bytes()[..], &[self.algorithm, self.digest_kind]].concat();
        [&head, &*self.digest].concat()
    }
}

/// `corp.example 43547 8 2 B622..`, the last four as in a DS record.
impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Anchor { domain, tag, algorithm, digest_kind, digest } = self;
        write!(f, "{domain} {tag} {algorithm} {digest_kind} ")?;
        digest.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Anchor, String> {
        let read = || {
            let [domain, tag, algorithm, digest_kind, digest] = <[&str; 5]>::try_from(words(text)).ok()?;
            let digest: Box<[u8]> = octets(digest)?;
            let fits = (1..=LONGEST_DIGEST).contains(&digest.len());
            fits.then_some(Anchor {
                domain: domain.parse().ok()?,
                tag: tag.parse().ok()?,
                algorithm: algorithm.parse().ok()?,
                digest_kind: digest_kind.parse().ok()?,
                digest,
            })
        };
        read().ok_or_else(|| format!("{text:?} is no trust anchor like 'corp.example 43547 8 2 B622..'"))
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_ascii_whitespace().collect()
}

fn octets(hex: &str) -> Option<Box<[u8]>> {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Domain, Network};

    #[test]
    fn a_domain_is_letters_digits_and_dots_and_no_longer_than_dns_allows() {
        let label = "a".repeat(63);
        let long = [&*label; 4].join(".");
        for (text, name) in [("Corp.Example.", "corp.example"), ("_x.a-b", "_x.a-b"), (&long[2..], &long[2..])] {
            assert_eq!(text.parse::<Domain>().map(|domain| domain.to_string()).as_deref(), Ok(name));
        }
        let wrong =
            ["", ".", "a..b", "a b", "a\0", "-a.b", "a-.b", "a;b", "$(id).x", "ü.example", &long, &"b".repeat(64)];
        for text in wrong {
            assert!(text.parse::<Domain>().is_err(), "{text}");
        }
        let domain = |text: &str| text.parse::<Domain>().unwrap();
        assert!(domain("a.corp.example").is_within(&domain("corp.example")));
        assert!(domain("corp.example").is_within(&domain("corp.example")));
        assert!(!domain("xcorp.example").is_within(&domain("corp.example")));
    }

    #[test]
    fn a_network_has_no_bits_behind_its_length() {
        for text in ["10.1.0.0/16", "0.0.0.0/0", "10.0.0.1/32", "2001:db8::/32", "::/0", "::1/128"] {
            assert_eq!(text.parse::<Network>().map(|network| network.to_string()).as_deref(), Ok(text));
        }
        for text in ["10.1.0.1/16", "10.0.0.0/33", "2001:db8::1/64", "::/129", "10.0.0.0", "a/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_trust_anchor_reads_back_as_it_was_written() {
        let text = "corp.example 43547 8 2 B6225AB2";
        let anchor: Anchor = text.parse().unwrap();
        assert_eq!(anchor.to_string(), text);
        assert_eq!(Anchor::read(&anchor.domain, &anchor.value()), Some(anchor.clone()));
        for value in [&[][..], &[1, 2, 3, 4], &[7; 4 + 65]] {
            assert_eq!(Anchor::read(&anchor.domain, value), None);
        }
        for text in ["corp.example 1 2 3", "corp.example 65536 8 2 AA", "corp.example 1 8 2 A", "a;b 1 8 2 AA"] {
            assert!(text.parse::<Anchor>().is_err(), "{text}");
        }
    }
}
