//! The outside of the tunnel.

use core::fmt;
use core::net::SocketAddr;

/// Where sealed packets leave from and go to, or where a received one came from, seen from this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OuterPath {
    /// Our address and UDP port.
    pub local: SocketAddr,
    /// The peer's address and UDP port.
    pub remote: SocketAddr,
    /// UDP encapsulation (RFC 3948). Without it packets are IP protocol 50 and the ports mean nothing.
    pub encap: bool,
}

impl OuterPath {
    /// Whether a packet that took `other` travelled the same way. Flow labels and scopes of `SocketAddr` do not count.
    #[must_use]
    pub fn agrees_with(&self, other: &OuterPath) -> bool {
        let addresses = self.local.ip() == other.local.ip() && self.remote.ip() == other.remote.ip();
        let ports = self.local.port() == other.local.port() && self.remote.port() == other.remote.port();
        self.encap == other.encap && addresses && (ports || !self.encap)
    }
}

impl fmt::Display for OuterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.encap {
            write!(f, "{} -> {}", self.local, self.remote)
        } else {
            write!(f, "{} -> {} (ESP)", self.local.ip(), self.remote.ip())
        }
    }
}
