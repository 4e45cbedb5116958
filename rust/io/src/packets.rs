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

    fn forget_first(&mut self, count: usize) {
        let Some(start) = count.checked_sub(1).and_then(|last| self.ends.get(last).copied()) else { return };
        self.bytes.drain(..start);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= start);
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
        // Moving the rest down when it is the smaller half costs each packet one more copy at most.
        if 2 * *taken >= packets.len() {
            packets.forget_first(std::mem::take(taken));
        }
        !packets.is_empty()
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

#[cfg(test)]
mod tests {
    use super::{PacketQueue, Packets, Pushed, QUEUE_PACKETS};

    #[test]
    fn packets_come_out_in_order_however_they_are_taken() {
        let queue = PacketQueue::default();
        let (mut pushed, mut taken) = (0u32, Vec::new());
        for round in 0..100usize {
            for _ in 0..round % 7 + 3 {
                assert_ne!(queue.push(&pushed.to_be_bytes()[..1 + pushed as usize % 4]), Pushed::Full);
                pushed += 1;
            }
            let mut some = Packets::default();
            queue.take(round % 6 + 1, &mut some);
            taken.extend(some.iter().map(<[u8]>::to_vec));
        }
        let mut rest = Packets::default();
        while queue.take(5, &mut rest) {}
        taken.extend(rest.iter().map(<[u8]>::to_vec));
        assert!(taken.into_iter().eq((0..pushed).map(|n| n.to_be_bytes()[..1 + n as usize % 4].to_vec())));
    }

    #[test]
    fn what_was_taken_makes_room_though_the_queue_is_never_empty() {
        let queue = PacketQueue::default();
        let mut some = Packets::default();
        queue.push(b"first");
        for _ in 0..3 * QUEUE_PACKETS {
            assert_eq!(queue.push(b"next"), Pushed::Behind);
            assert!(queue.take(1, &mut some));
            some.clear();
        }
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_what_it_has() {
        let queue = PacketQueue::default();
        assert_eq!(queue.push(b"a"), Pushed::First);
        (1..QUEUE_PACKETS).for_each(|_| assert_eq!(queue.push(b"a"), Pushed::Behind));
        assert_eq!(queue.push(b"a"), Pushed::Full);
        let mut all = Packets::default();
        assert!(!queue.take(usize::MAX, &mut all));
        assert_eq!(all.len(), QUEUE_PACKETS);
        assert_eq!(queue.push(b"a"), Pushed::First);
    }
}
