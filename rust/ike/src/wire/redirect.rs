//! REDIRECT and REDIRECTED_FROM: another gateway, by address or by name (RFC 5685 section 7).
//!
//! ```text
//! | GW Ident Type | GW Ident Len  |   New Responder GW Identity ..
//! |   Nonce Data: the initiator's, in IKE_SA_INIT alone ..
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

const IPV4: u8 = 1;
const IPV6: u8 = 2;
const FQDN: u8 = 3;

/// Octets of the longest host name (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

/// A gateway, as another one names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Gateway {
    /// By its address.
    At(IpAddr),
    /// By its host name, in lower case.
    Named(Arc<str>),
}

impl Gateway {
    /// From notification data, and what is behind it. `None` for what names no gateway.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<(Gateway, &[u8])> {
        let (&[kind, length], rest) = data.split_first_chunk()?;
        let (id, behind) = rest.split_at_checked(length.into())?;
        let gateway = match kind {
            IPV4 => Gateway::At(Ipv4Addr::from(<[u8; 4]>::try_from(id).ok()?).into()),
            IPV6 => Gateway::At(Ipv6Addr::from(<[u8; 16]>::try_from(id).ok()?).into()),
            FQDN => Gateway::named(core::str::from_utf8(id).ok()?)?,
            _ => return None,
        };
        Some((gateway, behind))
    }

    /// A host name: letters, digits, hyphens, and dots between them.
    #[must_use]
    pub fn named(name: &str) -> Option<Gateway> {
        let is_label = |label: &str| !label.is_empty() && label.len() <= 63;
        let fits = name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.'));
        let fits = fits && name.len() <= MAX_NAME && name.split('.').all(is_label);
        fits.then(|| Gateway::Named(name.to_ascii_lowercase().into()))
    }

    /// The notification data, with `nonce` behind it.
    #[must_use]
    pub fn octets(&self, nonce: &[u8]) -> Vec<u8> {
        let (kind, id) = match self {
            Gateway::At(IpAddr::V4(address)) => (IPV4, address.octets().to_vec()),
            Gateway::At(IpAddr::V6(address)) => (IPV6, address.octets().to_vec()),
            Gateway::Named(name) => (FQDN, name.as_bytes().to_vec()),
        };
        let mut octets = vec![kind, u8::try_from(id.len()).unwrap_or(u8::MAX)];
        octets.extend_from_slice(&id);
        octets.extend_from_slice(nonce);
        octets
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gateway::At(address) => address.fmt(f),
            Gateway::Named(name) => f.write_str(name),
        }
    }
}

/// An address, or a host name.
impl core::str::FromStr for Gateway {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Gateway, Self::Err> {
        let address = text.parse().map(Gateway::At).ok();
        address.or_else(|| Gateway::named(text)).ok_or("neither an address nor a host name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_gateway_is_read_as_it_was_written_and_the_nonce_stays_behind() {
        for text in ["192.0.2.7", "2001:db8::7", "gw2.example.net"] {
            let gateway: Gateway = text.parse().unwrap();
            assert_eq!(gateway.to_string(), text);
            assert_eq!(Gateway::read(&gateway.octets(b"nonce")), Some((gateway, &b"nonce"[..])));
        }
        let shouted = Gateway::read(b"\x03\x03GW2").unwrap().0;
        assert_eq!(shouted, "gw2".parse().unwrap());
    }

    #[test]
    fn what_names_no_gateway_is_none() {
        let long = [&[3u8, 64][..], &[b'a'; 64]].concat();
        let wrong: [&[u8]; 10] = [
            b"",
            b"\x01",
            b"\x01\x04\xc0\x00\x02",
            b"\x01\x05\xc0\x00\x02\x07\x00",
            b"\x02\x04\xc0\x00\x02\x07",
            b"\x03\x00",
            b"\x03\x05gw\x1b[m",
            b"\x03\x04gw..",
            b"\x0b\x02gw",
            &long,
        ];
        for data in wrong {
            assert_eq!(Gateway::read(data), None, "{data:?}");
        }
    }
}
