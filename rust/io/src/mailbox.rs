//! Between threads: mailboxes into the shards, and the ring of events out of them.
//!
//! A mailbox takes every order: who orders is in this process and paces itself. Datagrams handed over between shards come
//! from strangers, so they are bounded and dropped when there are too many.
//!
//! The ring is bounded too, but no event is ever lost. A shard that finds it full keeps its events and, until there is
//! room, reads no more IKE datagrams: they are dropped and counted, and peers send again. ESP goes on.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys::Bell;

/// Events the ring holds.
pub const RING_EVENTS: usize = 1 << 16;

/// Messages into one thread.
pub(crate) struct Mailbox<T> {
    letters: Mutex<Letters<T>>,
    bell: Bell,
}

struct Letters<T> {
    waiting: VecDeque<T>,
    /// The thread is gone: what comes is dropped.
    closed: bool,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> io::Result<Mailbox<T>> {
        Ok(Mailbox { letters: Mutex::new(Letters { waiting: VecDeque::new(), closed: false }), bell: Bell::new()? })
    }

    pub(crate) fn put_all(&self, letters: impl IntoIterator<Item = T>) {
        let mut inside = lock(&self.letters);
        if inside.closed {
            return;
        }
        let was_empty = inside.waiting.is_empty();
        inside.waiting.extend(letters);
        if was_empty && !inside.waiting.is_empty() {
            self.bell.ring();
        }
    }

    /// Give it back if `limit` letters wait already.
    pub(crate) fn put_bounded(&self, letter: T, limit: usize) -> Result<(), T> {
        let mut inside = lock(&self.letters);
        if inside.closed || inside.waiting.len() >= limit {
            return Err(letter);
        }
        if inside.waiting.is_empty() {
            self.bell.ring();
        }
        inside.waiting.push_back(letter);
        Ok(())
    }

    /// Swap everything that waits into `to`, which must be empty.
    pub(crate) fn take(&self, to: &mut VecDeque<T>) {
        let mut inside = lock(&self.letters);
        self.bell.hush();
        std::mem::swap(&mut inside.waiting, to);
    }

    /// Drop what waits and all that will come.
    pub(crate) fn close(&self) {
        let mut inside = lock(&self.letters);
        inside.closed = true;
        inside.waiting.clear();
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.bell.fd()
    }
}

/// Events out of all shards.
pub(crate) struct Ring<T> {
    events: Mutex<VecDeque<T>>,
    bell: Bell,
    /// A shard found it full and waits for `room`.
    full: AtomicBool,
    room: Vec<Bell>,
}

impl<T> Ring<T> {
    pub(crate) fn new(shards: usize) -> io::Result<Ring<T>> {
        Ok(Ring {
            events: Mutex::default(),
            bell: Bell::new()?,
            full: AtomicBool::new(false),
            room: (0..shards).map(|_| Bell::new()).collect::<io::Result<_>>()?,
        })
    }

    /// Move what fits from the front of `from`.
    pub(crate) fn put(&self, from: &mut VecDeque<T>) {
        if from.is_empty() {
            return;
        }
        let mut events = lock(&self.events);
        let fits = RING_EVENTS.saturating_sub(events.len()).min(from.len());
        if fits < from.len() {
            self.full.store(true, Ordering::Relaxed);
        }
        if events.is_empty() && fits > 0 {
            self.bell.ring();
        }
        events.extend(from.drain(..fits));
    }

    /// At most `limit` events. The descriptor stays readable while some are left.
    pub(crate) fn take(&self, limit: usize) -> VecDeque<T> {
        let mut events = lock(&self.events);
        self.bell.hush();
        let taken = if limit >= events.len() { std::mem::take(&mut *events) } else { events.drain(..limit).collect() };
        if !events.is_empty() {
            self.bell.ring();
        }
        if !taken.is_empty() && self.full.swap(false, Ordering::Relaxed) {
            self.room.iter().for_each(Bell::ring);
        }
        taken
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.bell.fd()
    }

    /// Rings when there is room again.
    pub(crate) fn room(&self, shard: usize) -> Option<&Bell> {
        self.room.get(shard)
    }
}

/// A thread that panicked while it held a queue leaves it whole: every change is one push or one move.
fn lock<T>(queue: &Mutex<T>) -> MutexGuard<'_, T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Mailbox, RING_EVENTS, Ring, VecDeque};

    #[test]
    fn a_full_ring_loses_nothing_and_says_when_there_is_room() {
        let ring = Ring::new(1).unwrap();
        let mut held: VecDeque<usize> = (0..RING_EVENTS + 10).collect();
        ring.put(&mut held);
        assert_eq!(held.len(), 10);
        let room = ring.room(0).unwrap();
        assert!(!is_readable(room.fd()));
        let mut taken = ring.take(100);
        assert!(is_readable(room.fd()));
        ring.put(&mut held);
        assert!(held.is_empty() && is_readable(ring.fd()));
        taken.extend(ring.take(usize::MAX));
        assert!(taken.into_iter().eq(0..RING_EVENTS + 10));
        assert!(!is_readable(ring.fd()));
    }

    #[test]
    fn a_bounded_letter_comes_back_from_a_full_or_closed_mailbox() {
        let mailbox = Mailbox::new().unwrap();
        assert_eq!(mailbox.put_bounded(1, 2), Ok(()));
        mailbox.put_all([2, 3]);
        assert_eq!(mailbox.put_bounded(4, 3), Err(4));
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        assert_eq!(taken, [1, 2, 3]);
        mailbox.close();
        assert_eq!(mailbox.put_bounded(5, 9), Err(5));
    }

    fn is_readable(fd: std::os::fd::RawFd) -> bool {
        let mut polls = [crate::sys::readable(fd)];
        crate::sys::wait(&mut polls, Some(std::time::Duration::ZERO));
        polls[0].revents != 0
    }
}
