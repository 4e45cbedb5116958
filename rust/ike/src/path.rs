//! A path (RFC 4555 calls it a pair of addresses): where a datagram leaves from and where it goes to.

use core::fmt;
use core::net::SocketAddr;

/// The local and remote transport address of a datagram, seen from this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Our address and UDP port.
    pub local: SocketAddr,
    /// The peer's address and UDP port, as seen from here.
    pub remote: SocketAddr,
}

impl Path {
    /// The path seen from the other end.
    #[must_use]
    pub fn reversed(self) -> Path {
        Path { local: self.remote, remote: self.local }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.local, self.remote)
    }
}
