//! The outside of the tunnel.

use core::fmt;
use core::net::SocketAddr;

/// What ESP packets travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encap {
    /// Nothing: packets are IP protocol 50 and ports mean nothing.
    None,
    /// UDP (RFC 3948).
    Udp,
    /// A TCP stream (RFC 9329).
    Tcp,
}

/// Where sealed packets leave from and go to, or where a received one came from, seen from this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OuterPath {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// What is around the packets.
    pub encap: Encap,
}

impl OuterPath {
    /// In UDP between these.
    #[must_use]
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> OuterPath {
        OuterPath { local, remote, encap: Encap::Udp }
    }

    /// Whether a packet that took `other` travelled the same way. Flow labels and scopes of `SocketAddr` do not count.
    #[must_use]
    pub fn agrees_with(&self, other: &OuterPath) -> bool {
        let addresses = self.local.ip() == other.local.ip() && self.remote.ip() == other.remote.ip();
        let ports = self.local.port() == other.local.port() && self.remote.port() == other.remote.port();
        self.encap == other.encap && addresses && (ports || self.encap == Encap::None)
    }
}

impl fmt::Display for OuterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.encap {
            Encap::None => write!(f, "{} -> {} (ESP)", self.local.ip(), self.remote.ip()),
            Encap::Udp => write!(f, "{} -> {}", self.local, self.remote),
            Encap::Tcp => write!(f, "{} -> {} (TCP)", self.local, self.remote),
        }
    }
}
