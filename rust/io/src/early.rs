//! ESP that is here before the Child SA it belongs to.
//!
//! Who answers CREATE_CHILD_SA or IKE_AUTH may send on the new Child SA at once (RFC 7296 section 2.8), and datagrams overtake each
//! other; or whoever says who may in takes his time. What comes for an SPI that we have given out, and that is agreed a
//! moment later, is opened then.

use std::collections::VecDeque;
use std::time::Duration;

use mobike_ike::{Nanos, Path};

/// How long it may be early.
const PATIENCE: Duration = Duration::from_secs(1);

/// Packets kept at the most. Our SPIs of the moment are known to the peer, and to who listens on its way: neither may fill
/// more than this.
const MOST: usize = 64;

/// Octets kept at the most.
const MOST_OCTETS: usize = 1 << 17;

#[derive(Debug)]
struct Kept {
    spi: u32,
    until: Nanos,
    path: Path,
    bytes: Box<[u8]>,
}

/// What waits for its Child SA.
#[derive(Debug, Default)]
pub(crate) struct Early {
    kept: VecDeque<Kept>,
    octets: usize,
    /// Theirs is there now.
    ready: VecDeque<(Path, Box<[u8]>)>,
}

impl Early {
    /// `false` if there is no room.
    pub(crate) fn keep(&mut self, now: Nanos, spi: u32, path: Path, bytes: &[u8]) -> bool {
        if self.kept.len() == MOST || self.octets + bytes.len() > MOST_OCTETS {
            return false;
        }
        self.octets += bytes.len();
        self.kept.push_back(Kept { spi, until: now + PATIENCE, path, bytes: Box::from(bytes) });
        true
    }

    /// The oldest that has waited too long: its SPI. It is gone.
    pub(crate) fn expire(&mut self, now: Nanos) -> Option<u32> {
        self.kept.front().filter(|kept| kept.until <= now)?;
        let kept = self.kept.pop_front()?;
        self.octets -= kept.bytes.len();
        Some(kept.spi)
    }

    /// What came for this SPI may be opened, in the order in which it came.
    pub(crate) fn admit(&mut self, spi: u32) {
        if self.kept.is_empty() {
            return;
        }
        let (due, rest): (VecDeque<Kept>, VecDeque<Kept>) =
            std::mem::take(&mut self.kept).into_iter().partition(|kept| kept.spi == spi);
        self.octets = rest.iter().map(|kept| kept.bytes.len()).sum();
        self.kept = rest;
        self.ready.extend(due.into_iter().map(|kept| (kept.path, kept.bytes)));
    }

    /// The next that is to be opened.
    pub(crate) fn poll(&mut self) -> Option<(Path, Box<[u8]>)> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Early, MOST, MOST_OCTETS, Nanos, PATIENCE, Path};

    const NOW: Nanos = Nanos(1_000_000_000);

    fn path() -> Path {
        Path::udp("192.0.2.1:4500".parse().unwrap(), "192.0.2.2:4500".parse().unwrap())
    }

    #[test]
    fn what_came_for_an_spi_comes_out_in_its_order_and_the_rest_stays() {
        let mut early = Early::default();
        for (spi, octet) in [(7, 1), (8, 2), (7, 3)] {
            assert!(early.keep(NOW, spi, path(), &[octet; 40]));
        }
        early.admit(7);
        let out: Vec<u8> = std::iter::from_fn(|| early.poll()).map(|(_, bytes)| bytes[0]).collect();
        assert_eq!(out, [1, 3]);
        early.admit(7);
        assert!(early.poll().is_none());
        assert_eq!((early.expire(NOW + PATIENCE), early.expire(NOW + PATIENCE)), (Some(8), None));
        assert_eq!(early.octets, 0);
    }

    #[test]
    fn nobody_fills_more_than_its_room_and_nothing_stays_long() {
        let mut early = Early::default();
        let kept = (0..1000).filter(|spi| early.keep(NOW, *spi, path(), &[0; 40])).count();
        assert_eq!(kept, MOST);
        assert!(early.expire(NOW).is_none(), "its time is not over");
        assert_eq!(std::iter::from_fn(|| early.expire(NOW + PATIENCE)).count(), MOST);
        let kept = (0..1000).filter(|spi| early.keep(NOW, *spi, path(), &[0; 9000])).count();
        assert_eq!(kept, MOST_OCTETS / 9000);
    }
}
