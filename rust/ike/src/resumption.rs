//! Taking an IKE SA up again by a ticket (RFC 5723): the word for it.

use core::time::Duration;
use std::sync::Arc;

/// What a profile says of tickets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resumption {
    /// Initiator: ask for a ticket, and use it when the IKE SA ended without a word.
    pub ask: bool,
    /// Responder: give tickets that can be used for so long; zero: none.
    pub lifetime: Duration,
    /// Names what peers are believed by today (keys, authorities, lists of the revoked, users). A ticket that was given when it
    /// was another is good no more, and one that came then is not used.
    pub rests_on: Arc<[u8]>,
}
