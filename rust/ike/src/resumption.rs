//! Taking an IKE SA up again by a ticket (RFC 5723): the word for it.

use core::time::Duration;

/// What a profile says of tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resumption {
    /// Initiator: ask for a ticket, and use it when the IKE SA ended without a word.
    pub ask: bool,
    /// Responder: give tickets that can be used for so long; zero: none.
    pub lifetime: Duration,
}
