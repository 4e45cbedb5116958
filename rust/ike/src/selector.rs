//! Traffic selectors (RFC 7296 section 3.13.1) and their narrowing (section 2.9).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses, ports and one protocol (0 means any). `start` and `end` are of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Selector {
    /// IP protocol number; 0 for any.
    pub protocol: u8,
    /// First port; 0 for any.
    pub start_port: u16,
    /// Last port; 65535 for any.
    pub end_port: u16,
    /// First address.
    pub start: IpAddr,
    /// Last address.
    pub end: IpAddr,
}

impl Selector {
    /// Every IPv4 packet.
    pub const ANY_V4: Selector =
        Selector::addresses(IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST));
    /// Every IPv6 packet.
    pub const ANY_V6: Selector =
        Selector::addresses(IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));

    /// All protocols and ports of an address range. Both ends must be of one family.
    #[must_use]
    pub const fn addresses(start: IpAddr, end: IpAddr) -> Selector {
        Selector { protocol: 0, start_port: 0, end_port: u16::MAX, start, end }
    }

    /// All protocols and ports of one address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Selector {
        Selector::addresses(address, address)
    }

    /// All protocols and ports of `address/prefix_length`; host bits are cleared, too long a prefix is a host.
    #[must_use]
    pub fn subnet(address: IpAddr, prefix_length: u8) -> Selector {
        match address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(u32::from(prefix_length)).unwrap_or(0);
                let first = address.to_bits() & !host;
                Selector::addresses(Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | host).into())
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(u32::from(prefix_length)).unwrap_or(0);
                let first = address.to_bits() & !host;
                Selector::addresses(Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | host).into())
            }
        }
    }

    /// Is it of one family, in order, and with ports in order (or the OPAQUE pair 65535..0)?
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let ports = self.start_port <= self.end_port || (self.start_port == u16::MAX && self.end_port == 0);
        self.start.is_ipv4() == self.end.is_ipv4() && self.start <= self.end && ports
    }

    /// What both allow, or nothing.
    #[must_use]
    pub fn intersection(&self, other: &Selector) -> Option<Selector> {
        if self.start.is_ipv4() != other.start.is_ipv4() {
            return None;
        }
        let protocol = match (self.protocol, other.protocol) {
            (0, any) | (any, 0) => any,
            (one, two) if one == two => one,
            _ => return None,
        };
        let both = Selector {
            protocol,
            start_port: self.start_port.max(other.start_port),
            end_port: self.end_port.min(other.end_port),
            start: self.start.max(other.start),
            end: self.end.min(other.end),
        };
        (both.start <= both.end && both.start_port <= both.end_port).then_some(both)
    }

    /// Does it hold this address (ports and protocol aside)?
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.start.is_ipv4() == address.is_ipv4() && self.start <= address && address <= self.end
    }
}

/// Selectors one side may put in one payload that we keep: more are dropped from the end of the narrowed list.
pub const MAX_SELECTORS: usize = 16;

/// The overlap of what was asked with what is allowed, without repeats, in the order asked.
#[must_use]
pub fn narrow(asked: &[Selector], allowed: &[Selector]) -> Vec<Selector> {
    let mut narrowed: Vec<Selector> = Vec::new();
    for one in asked {
        for other in allowed {
            if let Some(both) = one.intersection(other)
                && narrowed.len() < MAX_SELECTORS
                && !narrowed.contains(&both)
            {
                narrowed.push(both);
            }
        }
    }
    narrowed
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match prefix_length(self.start, self.end) {
            Some(length) => write!(f, "{}/{length}", self.start)?,
            None => write!(f, "{}-{}", self.start, self.end)?,
        }
        let upper = Upper { protocol: self.protocol, start_port: self.start_port, end_port: self.end_port };
        if upper == Upper::ANY { Ok(()) } else { write!(f, "[{upper}]") }
    }
}

/// The protocol and the ports of a selector: `tcp`, `udp/5060`, `tcp/80-443`, `132`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upper {
    protocol: u8,
    start_port: u16,
    end_port: u16,
}

/// Protocols that people call by a name.
const PROTOCOLS: [(&str, u8); 6] = [("icmp", 1), ("tcp", 6), ("udp", 17), ("gre", 47), ("icmpv6", 58), ("sctp", 132)];

impl Upper {
    /// All protocols and ports.
    pub const ANY: Upper = Upper { protocol: 0, start_port: 0, end_port: u16::MAX };
}

impl Selector {
    /// The same addresses, and only this.
    #[must_use]
    pub fn only(self, upper: Upper) -> Selector {
        let Upper { protocol, start_port, end_port } = upper;
        Selector { protocol, start_port, end_port, ..self }
    }
}

impl core::str::FromStr for Upper {
    type Err = String;

    fn from_str(text: &str) -> Result<Upper, String> {
        let wrong = || format!("{text:?} is not PROTOCOL, PROTOCOL/PORT or PROTOCOL/FIRST-LAST");
        let (protocol, ports) = match text.split_once('/') {
            Some((protocol, ports)) => (protocol, Some(ports)),
            None => (text, None),
        };
        let named = PROTOCOLS.iter().find(|(name, _)| *name == protocol).map(|(_, number)| *number);
        let protocol = match named {
            Some(number) => number,
            None => protocol.parse().ok().filter(|number| *number != 0).ok_or_else(wrong)?,
        };
        let Some(ports) = ports else { return Ok(Upper { protocol, ..Upper::ANY }) };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (start_port, end_port) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        if start_port > end_port {
            return Err(format!("{text:?}: ports must rise"));
        }
        Ok(Upper { protocol, start_port, end_port })
    }
}

impl fmt::Display for Upper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match PROTOCOLS.iter().find(|(_, number)| *number == self.protocol) {
            Some((name, _)) => f.write_str(name)?,
            None => write!(f, "{}", self.protocol)?,
        }
        match (self.start_port, self.end_port) {
            (0, u16::MAX) => Ok(()),
            (first, last) if first == last => write!(f, "/{first}"),
            (first, last) => write!(f, "/{first}-{last}"),
        }
    }
}

/// The prefix length, if the range is one prefix.
fn prefix_length(start: IpAddr, end: IpAddr) -> Option<u32> {
    let (start, end, width) = match (start, end) {
        (IpAddr::V4(start), IpAddr::V4(end)) => (u128::from(start.to_bits()), u128::from(end.to_bits()), 32),
        (IpAddr::V6(start), IpAddr::V6(end)) => (start.to_bits(), end.to_bits(), 128),
        _ => return None,
    };
    let host = start ^ end;
    let bits = u128::BITS - host.leading_zeros();
    (host.wrapping_add(1) & host == 0 && start & host == 0).then_some(width - bits)
}
