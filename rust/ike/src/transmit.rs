//! Datagrams on their way out.

use core::fmt;
use std::sync::Arc;

use crate::Path;

/// A datagram to send. The shell puts the non-ESP marker in front iff `path.local.port()` is `Settings::natt_port` and it
/// is no keepalive.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From where to where.
    pub path: Path,
    /// The octets; cloning shares them.
    pub bytes: Arc<[u8]>,
    /// A NAT keepalive: the one octet goes out as it is.
    pub keepalive: bool,
    /// It went out over this path before. A stream that is open needs it no more: it repeats by itself (RFC 9329 section
    /// 6.2); where none is open this is a reason to open one.
    pub again: bool,
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transmit({}, {} octets)", self.path, self.bytes.len())
    }
}
