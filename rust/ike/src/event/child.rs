//! What a data plane is told of a Child SA pair.

use crate::Path;
use crate::children::ChildMode;
use crate::crypto::{DirectionKeys, EspSuite};
use crate::id::{ChildId, Role};
use crate::limits::ChildLimits;
use crate::selector::Selector;

/// What a data plane needs to carry a Child SA pair. The keys wipe themselves.
#[derive(Debug, Clone)]
pub struct ChildInstall {
    /// The algorithms.
    pub suite: EspSuite,
    /// SPI of packets to us; ours. Low 4 bits: shard; next 20: slot; high 8: chance.
    pub spi_in: u32,
    /// SPI of packets to the peer; the peer's.
    pub spi_out: u32,
    /// Keys of packets to us.
    pub key_in: DirectionKeys,
    /// Keys of packets to the peer.
    pub key_out: DirectionKeys,
    /// Traffic on our side.
    pub local_ts: Vec<Selector>,
    /// Traffic on the peer's side.
    pub remote_ts: Vec<Selector>,
    /// Outer addresses and ports.
    pub path: Path,
    /// Tunnel or transport.
    pub mode: ChildMode,
    /// ESP in UDP.
    pub encap: bool,
    /// When packets leave through it.
    pub sends: Sends,
    /// Our part in its IKE SA.
    pub part: Role,
    /// How much it may carry.
    pub limits: ChildLimits,
}

/// When packets leave through a Child SA pair; what comes in on it is taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// From now on, before all others of its IKE SA.
    AtOnce,
    /// When the peer has used it, or when this other pair is gone: the peer asked for it and may not know yet that it has
    /// it (RFC 7296 section 2.8).
    WhenUsed {
        /// What it replaces.
        instead_of: ChildId,
    },
    /// Never: both ends replaced the same pair, and this is the one that goes (RFC 7296 section 2.8.1).
    Never {
        /// What both replaced.
        instead_of: ChildId,
    },
}
