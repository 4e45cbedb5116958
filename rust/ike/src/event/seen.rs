//! What is seen of a path.

use core::time::Duration;

/// What NAT_DETECTION told about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NatView {
    /// Our source address is rewritten on the way.
    pub we_are_behind: bool,
    /// The peer's is.
    pub peer_is_behind: bool,
}

impl NatView {
    /// Is there any NAT on the path?
    #[must_use]
    pub fn any(self) -> bool {
        self.we_are_behind || self.peer_is_behind
    }
}

/// What is told of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairSeen {
    /// What we send there arrives.
    pub forward: bool,
    /// What the peer sends from there arrives.
    pub backward: bool,
    /// Smoothed; `None` while no echo came back.
    pub rtt: Option<Duration>,
    /// Of a thousand polls of late, so many had no echo.
    pub loss_permille: u16,
}
