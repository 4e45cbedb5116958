//! A path (RFC 4555 calls it a pair of addresses): where a message leaves from and where it goes to, and in what.

use core::fmt;
use core::net::SocketAddr;

/// What carries IKE and ESP between the two ends of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Transport {
    /// A datagram each.
    #[default]
    Udp,
    /// A stream (RFC 9329).
    Tcp,
}

/// The local and remote transport address of a message, seen from this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Our address and port. Of a stream that we open, the port is the one that was ordered: which one the system takes
    /// for it changes with every stream.
    pub local: SocketAddr,
    /// The peer's address and port, as seen from here.
    pub remote: SocketAddr,
    /// What goes between them.
    pub transport: Transport,
}

impl Path {
    /// Datagrams between these.
    #[must_use]
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Path {
        Path { local, remote, transport: Transport::Udp }
    }

    /// A stream between these.
    #[must_use]
    pub const fn tcp(local: SocketAddr, remote: SocketAddr) -> Path {
        Path { local, remote, transport: Transport::Tcp }
    }

    /// Is it a stream? What is written there arrives, or the stream ends.
    #[must_use]
    pub fn is_stream(self) -> bool {
        self.transport == Transport::Tcp
    }

    /// The path seen from the other end.
    #[must_use]
    pub fn reversed(self) -> Path {
        Path { local: self.remote, remote: self.local, ..self }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.local, self.remote)?;
        if self.is_stream() { f.write_str(" (TCP)") } else { Ok(()) }
    }
}
