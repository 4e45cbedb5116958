//! PUZZLE: which puzzle a busy responder wants solved (RFC 8019 section 8.1).
//!
//! ```text
//! |              PRF              |  Difficulty   |
//! ```

use super::notify::Notify;
use super::numbers::{NotifyType, PrfId};

/// Octets of the notification data.
pub const PUZZLE_LEN: usize = 3;

/// A puzzle: the string it is about is the COOKIE beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Puzzle {
    /// The function to solve it with.
    pub prf: PrfId,
    /// Bits at the end of its output that must be zero. None: the initiator chooses.
    pub difficulty: u8,
}

impl Puzzle {
    /// The puzzle of a PUZZLE notification.
    #[must_use]
    pub fn read(notify: &Notify<'_>) -> Option<Puzzle> {
        match notify.kind {
            NotifyType::PUZZLE => <[u8; PUZZLE_LEN]>::try_from(notify.data).ok().map(Puzzle::from_octets),
            _ => None,
        }
    }

    /// From the notification data.
    #[must_use]
    pub const fn from_octets([high, low, difficulty]: [u8; PUZZLE_LEN]) -> Puzzle {
        Puzzle { prf: PrfId(u16::from_be_bytes([high, low])), difficulty }
    }

    /// The notification data.
    #[must_use]
    pub const fn octets(self) -> [u8; PUZZLE_LEN] {
        let [high, low] = self.prf.0.to_be_bytes();
        [high, low, self.difficulty]
    }
}
