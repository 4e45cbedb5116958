//! One Child SA: both directions, where it goes, what it may carry, what it has seen.

use crate::keys::Key;
use crate::park::Life;
use crate::route::Slot;
use crate::selector::Selectors;
use crate::wear::Wear;
use crate::{Install, Nanos, OuterPath, ReplayWindow, SequenceNumbers};

/// The caller's name for a pair of SAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaPairId(pub u64);

/// The caller's name for the pairs that move together: those of one IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

/// What a pair has seen. Bytes are those of inner packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets opened and passed on.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Packets sealed.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Dropped: seen before or too old.
    pub replay_drops: u64,
    /// Dropped: wrong ICV.
    pub icv_failures: u64,
    /// Dropped in either direction: not within the selectors.
    pub selector_drops: u64,
    /// Dropped after a good ICV: bad padding, next header or inner packet.
    pub malformed: u64,
    /// Dummy packets.
    pub dummies: u64,
    /// Authentic packets that came another way than agreed. They are opened, but are no sign of life of the path.
    pub elsewhere: u64,
    /// Highest sequence number received; 0 before the first.
    pub top_in: u64,
    /// Last sequence number sent; 0 before the first.
    pub last_sequence_out: u64,
    /// When the last authentic packet came the agreed way.
    pub last_in: Option<Nanos>,
    /// When the last packet was sealed.
    pub last_out: Option<Nanos>,
}

pub(crate) struct Pair {
    pub(crate) id: SaPairId,
    pub(crate) group: GroupId,
    /// The only place that says where packets go.
    pub(crate) outer: OuterPath,
    /// The peer is away: nothing goes there.
    pub(crate) parked: bool,
    pub(crate) numbers: SequenceNumbers,
    pub(crate) selectors: Selectors,
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    pub(crate) tally: Tally,
    pub(crate) wear: Wear,
    /// Place in the table's list of warm pairs.
    pub(crate) warm_at: Option<u32>,
    /// Neighbours in the group.
    pub(crate) group_prev: Option<Slot>,
    pub(crate) group_next: Option<Slot>,
}

/// A hundred thousand idle pairs must fit in some tens of megabytes.
const _: () = assert!(size_of::<Pair>() <= 456);

pub(crate) struct Inbound {
    pub(crate) spi: u32,
    pub(crate) key: Key,
    pub(crate) window: ReplayWindow,
    pub(crate) last: Nanos,
    pub(crate) last_elsewhere: Nanos,
}

pub(crate) struct Outbound {
    pub(crate) spi: u32,
    pub(crate) key: Key,
    /// Last sequence number given out.
    pub(crate) sequence: u64,
    pub(crate) life: Life,
    pub(crate) last: Nanos,
}

/// The counters without what is known elsewhere.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) packets_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) bytes_out: u64,
    pub(crate) replay_drops: u64,
    pub(crate) icv_failures: u64,
    pub(crate) selector_drops: u64,
    pub(crate) malformed: u64,
    pub(crate) dummies: u64,
    pub(crate) elsewhere: u64,
}

impl Pair {
    /// Boxed before the keys go in, so that they are written once, where they stay until they are wiped.
    pub(crate) fn new(install: &Install<'_>) -> Box<Pair> {
        let mut pair = Box::new(Pair {
            id: install.id,
            group: install.group,
            outer: install.outer,
            parked: false,
            numbers: install.sequence,
            selectors: Selectors::new(install.local, install.remote),
            inbound: Inbound {
                spi: install.inbound.spi,
                key: Key::empty(install.suite),
                window: ReplayWindow::new(install.replay_window),
                last: Nanos::NEVER,
                last_elsewhere: Nanos::NEVER,
            },
            outbound: Outbound {
                spi: install.outbound.spi,
                key: Key::empty(install.suite),
                sequence: 0,
                life: Life::default(),
                last: Nanos::NEVER,
            },
            tally: Tally::default(),
            wear: Wear::new(install.limits),
            warm_at: None,
            group_prev: None,
            group_next: None,
        });
        pair.inbound.key.load(install.inbound.keymat);
        pair.outbound.key.load(install.outbound.keymat);
        pair
    }

    pub(crate) fn is_warm(&self) -> bool {
        self.inbound.key.is_warm() || self.outbound.key.is_warm()
    }

    /// Give back the contexts of the directions unused since `before`.
    pub(crate) fn cool(&mut self, before: Nanos) {
        let heard = [self.inbound.last, self.inbound.last_elsewhere].into_iter().filter_map(Nanos::known).max();
        if heard.is_none_or(|heard| heard < before) {
            self.inbound.key.cool();
        }
        if self.outbound.last.known().is_none_or(|sent| sent < before) {
            self.outbound.key.cool();
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let tally = &self.tally;
        Counters {
            packets_in: tally.packets_in,
            bytes_in: tally.bytes_in,
            packets_out: tally.packets_out,
            bytes_out: tally.bytes_out,
            replay_drops: tally.replay_drops,
            icv_failures: tally.icv_failures,
            selector_drops: tally.selector_drops,
            malformed: tally.malformed,
            dummies: tally.dummies,
            elsewhere: tally.elsewhere,
            top_in: self.inbound.window.top(),
            last_sequence_out: self.outbound.sequence,
            last_in: self.inbound.last.known(),
            last_out: self.outbound.last.known(),
        }
    }
}
