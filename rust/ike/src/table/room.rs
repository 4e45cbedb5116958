//! Octets of fragments that all SAs of an engine hold together, so that no number of peers makes us hold more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is held now.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<AtomicU64>);

impl Room {
    /// Octets held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A share of it, empty yet.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { octets: 0, room: self.clone() }
    }
}

/// What one SA holds. Dropped, it makes room for others.
#[derive(Debug)]
pub struct Share {
    octets: u64,
    room: Room,
}

impl Share {
    /// Hold so many octets more, if all together stay within `limit`.
    pub fn grow(&mut self, octets: usize, limit: u64) -> bool {
        let octets = octets as u64;
        if self.room.held() + octets > limit {
            return false;
        }
        self.octets += octets;
        self.room.0.fetch_add(octets, Ordering::Relaxed);
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.octets, Ordering::Relaxed);
    }
}
