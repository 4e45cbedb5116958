//! The packet inside the tunnel: just enough of IP to judge it by selectors.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::MAX_EXTENSION_HEADERS;

/// What selectors look at (RFC 4301 section 4.4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Inner source address.
    pub source: IpAddr,
    /// Inner destination address.
    pub destination: IpAddr,
    /// Upper protocol, behind any IPv6 extension headers.
    pub protocol: u8,
    /// Source and destination port, or for ICMP twice type and code; `None` when the packet does not show them: other
    /// protocols, later fragments, fragments cut inside the ports.
    pub ports: Option<(u16, u16)>,
    /// Length by the IP header, in bytes; what follows it is traffic flow padding (RFC 4303 section 2.7).
    pub len: usize,
}

/// What is wrong with an inner packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than its headers.
    Truncated,
    /// Neither IPv4 nor IPv6, or not the version that the ESP next header announced.
    Version,
    /// The header lengths contradict each other or the packet.
    Length,
    /// More than [`MAX_EXTENSION_HEADERS`] IPv6 extension headers.
    TooManyHeaders,
}

impl Flow {
    /// Read an IP packet. `packet` may be longer than the IP header says, not shorter.
    ///
    /// # Errors
    /// When it is not sound IP.
    pub fn parse(packet: &[u8]) -> Result<Flow, Malformed> {
        match packet.first().map(|first| first >> 4) {
            Some(4) => parse_v4(packet),
            Some(6) => parse_v6(packet),
            Some(_) => Err(Malformed::Version),
            None => Err(Malformed::Truncated),
        }
    }
}

/// ```text
/// |Version|  IHL  |Type of Service|          Total Length         |
/// |         Identification        |Flags|      Fragment Offset    |
/// |  Time to Live |    Protocol   |         Header Checksum       |
/// |                       Source Address                          |
/// |                    Destination Address                        |
/// ```
fn parse_v4(packet: &[u8]) -> Result<Flow, Malformed> {
    let head: &[u8; 20] = packet.first_chunk().ok_or(Malformed::Truncated)?;
    let header_len = usize::from(head[0] & 0x0f) * 4;
    let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if header_len < head.len() || len < header_len || packet.len() < len {
        return Err(Malformed::Length);
    }
    let fragment_offset = u16::from_be_bytes([head[6], head[7]]) & 0x1fff;
    let protocol = head[9];
    let ports = if fragment_offset == 0 { ports(protocol, &packet[header_len..len]) } else { None };
    Ok(Flow {
        source: Ipv4Addr::new(head[12], head[13], head[14], head[15]).into(),
        destination: Ipv4Addr::new(head[16], head[17], head[18], head[19]).into(),
        protocol,
        ports,
        len,
    })
}

/// ```text
/// |Version| Traffic Class |           Flow Label                  |
/// |         Payload Length        |  Next Header  |   Hop Limit   |
/// |                    Source Address (16)                        |
/// |                  Destination Address (16)                     |
/// ```
fn parse_v6(packet: &[u8]) -> Result<Flow, Malformed> {
    let (head, _) = packet.split_first_chunk::<40>().ok_or(Malformed::Truncated)?;
    let len = head.len() + usize::from(u16::from_be_bytes([head[4], head[5]]));
    let payload = packet.get(head.len()..len).ok_or(Malformed::Length)?;
    let (addresses, _) = head[8..].as_chunks::<16>();
    let upper = upper_of(head[6], payload)?;
    Ok(Flow {
        source: Ipv6Addr::from(addresses[0]).into(),
        destination: Ipv6Addr::from(addresses[1]).into(),
        protocol: upper.protocol,
        ports: upper.bytes.and_then(|bytes| ports(upper.protocol, bytes)),
        len,
    })
}

struct Upper<'a> {
    protocol: u8,
    /// `None` in fragments after the first.
    bytes: Option<&'a [u8]>,
}

/// Walk the extension headers (RFC 8200 section 4).
fn upper_of(mut next: u8, mut rest: &[u8]) -> Result<Upper<'_>, Malformed> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let header_len = match next {
            HOP_BY_HOP | ROUTING | DESTINATION => (usize::from(*rest.get(1).ok_or(Malformed::Truncated)?) + 1) * 8,
            AUTHENTICATION => (usize::from(*rest.get(1).ok_or(Malformed::Truncated)?) + 2) * 4,
            FRAGMENT => 8,
            protocol => return Ok(Upper { protocol, bytes: Some(rest) }),
        };
        let (header, behind) = rest.split_at_checked(header_len).ok_or(Malformed::Truncated)?;
        let later_fragment = next == FRAGMENT && u16::from_be_bytes([header[2], header[3]]) >> 3 != 0;
        next = header[0];
        if later_fragment {
            return Ok(Upper { protocol: next, bytes: None });
        }
        rest = behind;
    }
    Err(Malformed::TooManyHeaders)
}

fn ports(protocol: u8, upper: &[u8]) -> Option<(u16, u16)> {
    const ICMP: u8 = 1;
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const DCCP: u8 = 33;
    const ICMPV6: u8 = 58;
    const SCTP: u8 = 132;
    const UDP_LITE: u8 = 136;
    match protocol {
        TCP | UDP | DCCP | SCTP | UDP_LITE => {
            let &[a, b, c, d] = upper.first_chunk()?;
            Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
        }
        // Type in the high byte, code in the low one (RFC 7296 section 3.13.1).
        ICMP | ICMPV6 => {
            let type_code = u16::from_be_bytes(*upper.first_chunk()?);
            Some((type_code, type_code))
        }
        _ => None,
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "truncated",
            Self::Version => "wrong IP version",
            Self::Length => "lengths do not agree",
            Self::TooManyHeaders => "too many extension headers",
        })
    }
}
