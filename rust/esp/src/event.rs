//! What the control plane must hear.

use crate::SaPairId;

/// A fact about one Child SA. Each is told at most once per pair, so the queue is bounded by the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspEvent {
    /// Outbound sequence numbers passed [`LATE_SEQUENCE`](crate::limits::LATE_SEQUENCE): rekey now.
    SequenceRunningOut {
        /// The pair.
        id: SaPairId,
        /// Packets that can still be sealed.
        left: u64,
    },
    /// It has carried what it may until it should be replaced: rekey now.
    Worn {
        /// The pair.
        id: SaPairId,
    },
    /// It has carried all that it may: nothing more is sealed or opened on it.
    Spent {
        /// The pair.
        id: SaPairId,
    },
    /// The last outbound sequence number is used; nothing more is sealed on this pair (RFC 4303 section 3.3.3).
    SequenceExhausted {
        /// The pair.
        id: SaPairId,
    },
}
