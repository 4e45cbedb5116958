//! Standing orders about addresses and paths: what an operator allows, what needs no proof.

use core::net::IpAddr;
use core::time::Duration;

use crate::selector::Selector;
use crate::{Path, Transport};

/// Standing orders about addresses and paths of one connection.
#[derive(Debug, Clone)]
pub struct PathOrders {
    /// Our own address must lie in one of these; empty: any.
    pub local: Vec<Prefix>,
    /// The peer's address, as the packet shows it, must lie in one of these; empty: any.
    pub remote: Vec<Prefix>,
    /// IPv4 may be used.
    pub v4: bool,
    /// IPv6 may be used.
    pub v6: bool,
    /// A peer that moves into one of these need not prove that it receives there
    /// ([`ReturnRoutability::Untrusted`](crate::profile::ReturnRoutability::Untrusted)).
    pub trusted: Vec<Prefix>,
    /// Paths may be datagrams.
    pub udp: bool,
    /// Paths may be streams (RFC 9329).
    pub tcp: bool,
    /// Go through NATs (RFC 7296 section 2.23). If not, a packet whose addresses were rewritten is refused (RFC 4555
    /// section 3.9).
    pub nat_traversal: bool,
    /// Data that gets no echo for this long and three round trips makes the initiator test the path; zero: never.
    pub detection_floor: Duration,
}

impl Default for PathOrders {
    fn default() -> Self {
        PathOrders {
            local: Vec::new(),
            remote: Vec::new(),
            v4: true,
            v6: true,
            trusted: Vec::new(),
            udp: true,
            tcp: false,
            nat_traversal: true,
            detection_floor: Duration::from_millis(250),
        }
    }
}

impl PathOrders {
    /// May the IKE SA use this path? Says what is against it.
    pub fn judge(&self, path: Path) -> Result<(), Objection> {
        let family_allowed = if path.remote.is_ipv4() { self.v4 } else { self.v6 };
        let lies_in = |prefixes: &[Prefix], ip| prefixes.is_empty() || prefixes.iter().any(|prefix| prefix.holds(ip));
        let transport_allowed = match path.transport {
            Transport::Udp => self.udp,
            Transport::Tcp => self.tcp,
        };
        if !transport_allowed {
            Err(Objection::Transport)
        } else if !family_allowed {
            Err(Objection::Family)
        } else if !lies_in(&self.remote, path.remote.ip()) {
            Err(Objection::Remote(path.remote.ip()))
        } else if !lies_in(&self.local, path.local.ip()) {
            Err(Objection::Local(path.local.ip()))
        } else {
            Ok(())
        }
    }

    /// Does a peer at this address need no proof?
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|prefix| prefix.holds(ip))
    }
}

/// Why a path is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// Not in UDP, or not in TCP.
    Transport,
    /// Not this address family.
    Family,
    /// Not this address of the peer.
    Remote(IpAddr),
    /// Not this address of ours.
    Local(IpAddr),
}

impl core::fmt::Display for Objection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Objection::Transport => f.write_str("what carries it is not allowed"),
            Objection::Family => f.write_str("the address family is not allowed"),
            Objection::Remote(ip) => write!(f, "{ip} is no address the peer may use"),
            Objection::Local(ip) => write!(f, "{ip} is no address of ours for this connection"),
        }
    }
}

/// All addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    first: IpAddr,
    last: IpAddr,
}

impl Prefix {
    /// `address/length`; bits behind the length are cleared, too long a length is one host.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Prefix {
        Prefix::from(Selector::subnet(address, length))
    }

    /// Is it one of them?
    #[must_use]
    pub fn holds(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.is_ipv4() && self.first <= ip && ip <= self.last
    }
}

impl From<Selector> for Prefix {
    /// Its addresses, whatever their protocol and ports.
    fn from(selector: Selector) -> Prefix {
        Prefix { first: selector.start, last: selector.end }
    }
}
