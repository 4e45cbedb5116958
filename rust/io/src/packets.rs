//! A bounded queue of packets in one piece of memory: no allocation per packet.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes one queue may hold.
pub const QUEUE_BYTES: usize = 8 << 20;
/// Packets one queue may hold.
pub const QUEUE_PACKETS: usize = 1 << 14;

/// Packets, one behind the other.
#[derive(Debug, Default)]
pub struct Packets {
    bytes: Vec<u8>,
    /// Where each packet ends.
    ends: Vec<usize>,
}

impl Packets {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Add one.
    pub fn push(&mut self, packet: &[u8]) {
        self.bytes.extend_from_slice(packet);
        self.ends.push(self.bytes.len());
    }

    /// Each in turn.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// Forget them, keep the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// The queue: producers push, one consumer takes all or some.
#[derive(Debug, Default)]
pub(crate) struct PacketQueue(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    packets: Packets,
    /// Packets at the front that are already taken.
    taken: usize,
}

impl PacketQueue {
    /// False if it is full; the packet is then not taken. Tells also whether the queue was empty before.
    pub(crate) fn push(&self, packet: &[u8]) -> Pushed {
        let mut inside = self.lock();
        if inside.packets.bytes.len() + packet.len() > QUEUE_BYTES || inside.packets.len() >= QUEUE_PACKETS {
            return Pushed::Full;
        }
        let first = inside.packets.is_empty();
        inside.packets.push(packet);
        if first { Pushed::First } else { Pushed::Behind }
    }

    /// Move at most `limit` packets to the end of `to`; true if some are left.
    pub(crate) fn take(&self, limit: usize, to: &mut Packets) -> bool {
        let mut inside = self.lock();
        if inside.taken == 0 && limit >= inside.packets.len() && to.is_empty() {
            std::mem::swap(&mut inside.packets, to);
            return false;
        }
        let Inside { packets, taken } = &mut *inside;
        let before = *taken;
        for packet in packets.iter().skip(before).take(limit) {
            to.push(packet);
            *taken += 1;
        }
        if *taken == packets.len() {
            packets.clear();
            *taken = 0;
        }
        *taken > 0 || !packets.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The queue was empty: whoever takes must be woken.
    First,
    Behind,
    Full,
}
