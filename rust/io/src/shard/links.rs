//! What shards and the core say to each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use mobike_esp::{Counters as ChildCounters, TableCounters};
use mobike_ike::{ChildId, Counters, Exchange, Path, SaId};

use crate::classify::Kind;
use crate::counters::IoCounters;
use crate::join::{Join, Told};
use crate::mailbox::{Mailbox, Ring};
use crate::park::{Keeper, Record, Verdict};
use crate::streams::one::Stream;
use crate::tape::Taped;
use crate::words::Order;

/// Datagrams and packets that other shards may leave waiting here; beyond that they are dropped and counted.
const HANDED_OVER: usize = 4096;

/// What comes through a shard's mailbox.
pub(crate) enum Letter {
    Order(Order),
    /// A datagram that another shard received, and what that shard found it to be.
    Datagram {
        path: Path,
        kind: Kind,
        bytes: Box<[u8]>,
    },
    /// An inner packet that `tried` shards have no route for.
    Inner {
        tried: u8,
        packet: Box<[u8]>,
    },
    /// A datagram of ours cannot be delivered, somebody says; so many shards have not sent it.
    Unreachable {
        tried: u8,
        path: Path,
        quoted: Box<[u8]>,
    },
    /// A stream whose first message is for an SA here.
    Stream(Box<Stream>),
    AskTotals(Sender<Totals>),
    /// IKE SAs that changed since they were last told, at most so many.
    AskChanged(usize, Sender<Vec<SaId>>),
    /// These with their notes, as records; they go on.
    AskRecords(Vec<(SaId, Box<[u8]>)>, Sender<Vec<(SaId, Record)>>),
    /// Take these back; whether each is stale.
    Resume(Vec<(Record, bool)>, Sender<Vec<Verdict>>),
    /// All IKE SAs as records, with those of these notes that are theirs; then stop, without a word to peers.
    Park(Arc<HashMap<SaId, Box<[u8]>>>, Sender<Vec<(SaId, Record)>>),
    AskChild(ChildId, Sender<Option<ChildCounters>>),
    /// Take this IKE SA down, with room for so many octets; or no more.
    Tape(SaId, Option<usize>),
    AskTape(SaId, Sender<Option<Taped>>),
    AskExchanges(SaId, Sender<Option<Vec<Exchange>>>),
    Stop,
}

/// What a shard has counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) ike: Counters,
    pub(crate) io: IoCounters,
    pub(crate) esp: Option<TableCounters>,
    pub(crate) children: u64,
    pub(crate) closing: u64,
}

impl Totals {
    pub(crate) fn of(join: &Join, io: IoCounters) -> Totals {
        let esp = join.plane.esp.as_ref();
        Totals {
            ike: *join.engine.counters(),
            io: join.with_held(io),
            esp: esp.map(|esp| esp.totals()),
            children: esp.map_or(0, |esp| esp.len() as u64),
            closing: join.engine.closing().into(),
        }
    }
}

/// Who else there is.
pub(crate) struct Links {
    pub(crate) index: u8,
    /// Mailboxes of all shards, this one included.
    pub(crate) mailboxes: Arc<[Mailbox<Letter>]>,
    pub(crate) ring: Arc<Ring<Told>>,
    /// Seals what is written down.
    pub(crate) keeper: Option<Arc<Keeper>>,
}

impl Links {
    pub(super) fn own(&self) -> &Mailbox<Letter> {
        &self.mailboxes[usize::from(self.index)]
    }

    /// Is this somebody else's? A shard number that does not exist is ours, to be counted by whoever knows no such SPI.
    pub(super) fn is_elsewhere(&self, shard: u8) -> bool {
        shard != self.index && usize::from(shard) < self.mailboxes.len()
    }

    pub(super) fn hand_over(&self, shard: u8, letter: Letter, counters: &mut IoCounters) {
        match self.mailboxes[usize::from(shard)].put_bounded(letter, HANDED_OVER) {
            Ok(()) => counters.handed_over += 1,
            Err(_) => counters.hand_over_full += 1,
        }
    }
}
