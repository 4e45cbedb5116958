//! On to another gateway (RFC 5685): the words for it.

use std::sync::Arc;

use crate::wire::Gateway;

/// What a profile says of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redirect {
    /// Initiator: let the gateway send us on.
    pub follow: bool,
    /// Responder: send every peer that has proved who it is on to one of these; none: it is served here.
    pub to: Arc<[Gateway]>,
}

/// Those who ask for an IKE SA are sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnAway {
    /// To one of these, of the family that they come by; a name serves both.
    pub to: Arc<[Gateway]>,
    /// While there are so many IKE SAs on this shard, or more.
    pub from: u32,
}
