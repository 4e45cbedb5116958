//! Child SAs that a data plane outside of this process is to carry, from the agreement to the plane's word.
//!
//! ```text
//! agreed      what leaves for its IKE SA is held: the peer hears of it when it is carried
//! carried     what was held leaves
//! refused, or no word in time      what was held leaves, and then a Delete
//! gone        likewise held until it is carried no longer, and its successor sends: the peer takes it out by our answer
//! ```

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use mobike_ike::{Asked, ChildId, ChildInstall, Nanos, SaId, Transmit};

use crate::classify::classify_own;
use crate::counters::IoCounters;
use crate::words::ChildUp;

/// How long a plane may take. Peers repeat what is not answered at once; what they wait for longer, they give up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// And with those that it has carried since before a restart: nobody waits for them, and they come all at once.
pub(crate) const PATIENCE_AFTER_RESTART: Duration = Duration::from_secs(30);

/// Datagrams held for one IKE SA: an answer in a dozen fragments, and what else is asked and repeated meanwhile.
const MOST_HELD: usize = 64;

/// A Child SA that waits for the plane's word.
pub(crate) struct Waiting {
    /// To be told then.
    pub(crate) up: ChildUp,
    /// The exchange that it was agreed in.
    pub(crate) by: Option<Asked>,
    /// It was carried before a restart.
    pub(crate) adopted: bool,
    /// Where a plane is imitated: what it will carry.
    pub(crate) install: Option<Box<ChildInstall>>,
    until: Nanos,
}

/// What one IKE SA waits for, and what waits with it.
#[derive(Default)]
struct Queue {
    words: u32,
    transmits: VecDeque<Transmit>,
}

/// All that waits in a shard.
#[derive(Default)]
pub(crate) struct Hold {
    waiting: HashMap<ChildId, Waiting>,
    /// Those that are to be carried no longer.
    leaving: HashMap<ChildId, (SaId, Nanos)>,
    until: BTreeSet<(Nanos, ChildId)>,
    /// By the place of the IKE SA, which is what its SPIs name.
    queues: HashMap<u32, Queue>,
    /// What leaves now.
    released: VecDeque<Transmit>,
    /// Refused, or late: their end is no news to anybody above.
    unborn: HashSet<ChildId>,
    kept: u64,
    dropped: u64,
    late: u64,
}

impl Hold {
    /// From now on what leaves for its IKE SA waits.
    pub(crate) fn begin(
        &mut self,
        now: Nanos,
        by: Option<Asked>,
        up: ChildUp,
        adopted: bool,
        install: Option<Box<ChildInstall>>,
    ) {
        let until = now + if adopted { PATIENCE_AFTER_RESTART } else { PATIENCE };
        let (sa, child) = (up.sa, up.child);
        if self.waiting.insert(child, Waiting { up, by, adopted, install, until }).is_none() {
            self.until.insert((until, child));
            self.queues.entry(sa.slot()).or_default().words += 1;
        }
    }

    /// The same while one is to be carried no longer.
    pub(crate) fn begin_removal(&mut self, now: Nanos, sa: SaId, child: ChildId) {
        let until = now + PATIENCE;
        if self.leaving.insert(child, (sa, until)).is_none() {
            self.until.insert((until, child));
            self.queues.entry(sa.slot()).or_default().words += 1;
        }
    }

    /// It is carried no longer. `false` if nobody waits for that.
    pub(crate) fn end_removal(&mut self, child: ChildId) -> bool {
        let Some((sa, until)) = self.leaving.remove(&child) else { return false };
        self.until.remove(&(until, child));
        self.release(sa);
        true
    }

    /// The plane's word is there, or nobody needs it any more. What waited for nothing else leaves.
    pub(crate) fn end(&mut self, child: ChildId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&child)?;
        self.until.remove(&(waiting.until, child));
        self.release(waiting.up.sa);
        Some(waiting)
    }

    fn release(&mut self, sa: SaId) {
        let Some(queue) = self.queues.get_mut(&sa.slot()) else { return };
        queue.words -= 1;
        if queue.words == 0 {
            let queue = self.queues.remove(&sa.slot());
            self.released.extend(queue.into_iter().flat_map(|queue| queue.transmits));
        }
    }

    /// The plane does not carry it.
    pub(crate) fn refuse(&mut self, child: ChildId) -> Option<Waiting> {
        let waiting = self.end(child)?;
        self.never(child);
        Some(waiting)
    }

    /// Nobody above hears of it.
    pub(crate) fn never(&mut self, child: ChildId) {
        self.unborn.insert(child);
    }

    /// It is gone. `true` if nobody above has heard of it.
    pub(crate) fn gone(&mut self, child: ChildId) -> bool {
        self.unborn.remove(&child) | self.end(child).is_some()
    }

    /// One for which the plane has taken too long.
    pub(crate) fn late(&mut self, now: Nanos) -> Option<ChildId> {
        let (until, child) = *self.until.first()?;
        (until <= now).then_some(child)
    }

    /// One for which it did.
    pub(crate) fn count_late(&mut self) {
        self.late += 1;
    }

    /// These counters, with those of what waits.
    pub(crate) fn count_in(&self, io: IoCounters) -> IoCounters {
        IoCounters { held: self.kept, held_dropped: self.dropped, plane_late: self.late, ..io }
    }

    /// When the plane will have taken too long.
    pub(crate) fn poll_timeout(&self) -> Option<Nanos> {
        self.until.first().map(|(until, _)| *until)
    }

    /// Given back, if it need not wait.
    pub(crate) fn keep(&mut self, transmit: Transmit) -> Option<Transmit> {
        if self.queues.is_empty() || transmit.keepalive {
            return Some(transmit);
        }
        let place = classify_own(&transmit.bytes, false).0.ike_place();
        let Some(queue) = place.and_then(|place| self.queues.get_mut(&place)) else { return Some(transmit) };
        if let Some(held) = queue.transmits.iter_mut().find(|held| held.bytes == transmit.bytes) {
            // The SA may have moved meanwhile: where this was to go before is of no interest any more.
            *held = transmit;
            return None;
        }
        if queue.transmits.len() < MOST_HELD {
            self.kept += 1;
            queue.transmits.push_back(transmit);
        } else {
            self.dropped += 1;
        }
        None
    }

    /// Something that waited, and may leave.
    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.released.pop_front()
    }

    /// An IKE SA is gone without a word; so is what it had to say.
    pub(crate) fn forget(&mut self, sa: SaId) {
        let of_it = |waiting: &&Waiting| waiting.up.sa == sa;
        let gone: Vec<ChildId> = self.waiting.values().filter(of_it).map(|waiting| waiting.up.child).collect();
        self.queues.entry(sa.slot()).or_default().transmits.clear();
        for child in gone {
            self.end(child);
        }
        let leaving = |(child, (of, _)): (&ChildId, &(SaId, Nanos))| (*of == sa).then_some(*child);
        let gone: Vec<ChildId> = self.leaving.iter().filter_map(leaving).collect();
        for child in gone {
            self.end_removal(child);
        }
        self.queues.remove(&sa.slot());
    }
}

#[cfg(test)]
mod tests {
    use mobike_ike::Path;

    use super::*;

    /// An IKE message of the SA in this place, which we initiated.
    fn message(place: u32, from: &str) -> Transmit {
        let mut bytes = vec![0; 28];
        bytes[..8].copy_from_slice(&(u64::from(place) << 8).to_be_bytes());
        bytes[19] = 0x08;
        let path = Path::udp(from.parse().unwrap(), "192.0.2.9:4500".parse().unwrap());
        Transmit { path, bytes: bytes.into(), keepalive: false, again: false }
    }

    #[test]
    fn what_waits_leaves_once_and_over_the_path_that_was_ordered_last() {
        let mut hold = Hold::default();
        let (sa, child) = (SaId::new(0, 7, 0), ChildId::new(0, 3, 0));
        let (old, new) = (message(7, "192.0.2.1:4500"), message(7, "192.0.2.2:4500"));
        hold.begin_removal(Nanos(0), sa, child);
        assert_eq!((hold.keep(old.clone()), hold.keep(new.clone()), hold.keep(new.clone())), (None, None, None));
        let other = message(8, "192.0.2.1:4500");
        assert_eq!(hold.keep(other.clone()), Some(other), "another IKE SA");
        let keepalive = Transmit { keepalive: true, ..old };
        assert_eq!(hold.keep(keepalive.clone()), Some(keepalive));
        assert_eq!(hold.poll_transmit(), None);
        assert!(hold.end_removal(child) && !hold.end_removal(child));
        assert_eq!((hold.poll_transmit(), hold.poll_transmit()), (Some(new.clone()), None));
        assert_eq!(hold.keep(new.clone()), Some(new), "nothing waits any more");
        assert_eq!(hold.poll_timeout(), None);
    }

    #[test]
    fn no_more_is_held_for_one_ike_sa_than_there_is_room_for() {
        let mut hold = Hold::default();
        hold.begin_removal(Nanos(0), SaId::new(0, 7, 0), ChildId::new(0, 3, 0));
        for number in 0..MOST_HELD as u8 + 5 {
            let mut transmit = message(7, "192.0.2.1:4500");
            transmit.bytes = [&transmit.bytes[..], &[number]].concat().into();
            assert_eq!(hold.keep(transmit), None);
        }
        let io = hold.count_in(IoCounters::default());
        assert_eq!((io.held, io.held_dropped), (MOST_HELD as u64, 5));
        assert_eq!(hold.late(Nanos(0) + PATIENCE), Some(ChildId::new(0, 3, 0)));
    }
}
