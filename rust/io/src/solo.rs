//! One shard without sockets, threads, clock or entropy: who calls brings datagrams, time and chance. For simulations, in
//! which the same engine and the same userspace ESP must do the same thing again for the same seed.

mod streams;
#[cfg(test)]
mod worn;

use std::collections::VecDeque;

use mobike_esp::SaPairId;
use mobike_ike::{ChildId, Engine, Exchange, Nanos, Path, SaId};

use crate::batch::DATAGRAM;
use crate::classify::{Kind, MARKER, classify, classify_own};
use crate::config::CoreConfig;
use crate::core::Sums;
use crate::counters::IoCounters;
use crate::join::{Join, Leaving, Stays, Told};
use crate::park::{Keeper, Record, Verdict};
use crate::plane;
use crate::shard::Totals;
use crate::words::{Event, Order};
use crate::{ChildCounters, packets};

pub use self::streams::InStream;

/// What a datagram on its way out carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// An IKE message, behind the non-ESP marker on the NAT traversal port.
    Ike,
    /// An ESP packet.
    Esp,
    /// A NAT keepalive.
    Keepalive,
}

/// A datagram that wants to leave.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// From where to where.
    pub path: Path,
    /// As it is on the wire.
    pub bytes: Vec<u8>,
    /// What it is.
    pub carries: Carries,
}

/// The shard. After each `handle_*`, `submit` and `inner_send`, take transmits and events.
pub struct Solo {
    join: Join,
    keeper: Option<Keeper>,
    natt_port: u16,
    out: VecDeque<Outgoing>,
    in_streams: VecDeque<InStream>,
    inner: VecDeque<Vec<u8>>,
    counters: IoCounters,
    scratch: Box<[u8]>,
}

impl Solo {
    /// As the only shard of a core with this configuration. Its addresses, threads and inner side are of no meaning here.
    #[must_use]
    pub fn new(config: &CoreConfig, seed: [u8; 32]) -> Solo {
        let config = CoreConfig { shards: 1, ..config.clone() };
        // As chance as all the rest: the same again from the same seed.
        let salt = seed.map(|octet| octet ^ 0xa5);
        let keeper = config.store_key.as_ref().and_then(|key| Keeper::new(key, salt, 1).ok());
        let mut engine = Engine::new(config.settings(0), seed);
        if keeper.is_some() {
            engine.keep_track();
        }
        Solo {
            join: Join::new(engine, &config),
            keeper,
            natt_port: config.natt_port,
            out: VecDeque::new(),
            in_streams: VecDeque::new(),
            inner: VecDeque::new(),
            counters: IoCounters::default(),
            scratch: vec![0; DATAGRAM].into_boxed_slice(),
        }
    }

    /// A datagram came in over `path`.
    pub fn handle_datagram(&mut self, now: Nanos, path: Path, bytes: &mut [u8]) {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += bytes.len() as u64;
        let (kind, bytes) = classify(bytes, path.local.port() == self.natt_port);
        match kind {
            Kind::Keepalive => self.counters.keepalives_in += 1,
            Kind::Runt => self.counters.runts += 1,
            Kind::Ike { .. } => self.join.hear_ike(now, path, bytes),
            Kind::Esp { .. } => self.open(now, path, bytes),
        }
        self.settle(now);
    }

    /// Somebody says that a datagram of ours over `path` cannot be delivered, and quotes its beginning.
    pub fn handle_unreachable(&mut self, now: Nanos, path: Path, quoted: &[u8]) {
        self.counters.icmp_unreachable += 1;
        let (kind, quoted) = classify_own(quoted, path.local.port() == self.natt_port);
        self.counters.icmp_stray += u64::from(!self.join.unreachable(now, path, kind, quoted));
        self.settle(now);
    }

    fn open(&mut self, now: Nanos, path: Path, bytes: &mut [u8]) {
        match self.join.open(now, path, bytes) {
            Err(_) => self.counters.esp_without_plane += 1,
            Ok(None) => {}
            Ok(Some(inner)) if self.inner.len() < packets::QUEUE_PACKETS => {
                self.inner.extend(bytes.get(inner).map(<[u8]>::to_vec));
                self.counters.inner_in += 1;
            }
            Ok(Some(_)) => self.counters.inner_full += 1,
        }
    }

    /// Orders, one after the other. A plug is of no meaning here: whoever carries the datagrams drops them.
    pub fn submit(&mut self, now: Nanos, orders: impl IntoIterator<Item = Order>) {
        for order in orders {
            self.counters.orders += 1;
            match order {
                Order::Engine(command) => self.join.command(now, command),
                Order::Plane(operation) => self.join.operate(&operation),
                Order::Word(word) => self.join.hear(now, word),
                Order::Plug { .. } => {}
            }
        }
        self.settle(now);
    }

    /// When `handle_timeout` wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Nanos> {
        self.join.poll_timeout()
    }

    /// `poll_timeout` has passed.
    pub fn handle_timeout(&mut self, now: Nanos) {
        self.join.handle_timeout(now);
        self.settle(now);
    }

    fn settle(&mut self, now: Nanos) {
        self.join.settle(now);
        while let Some((path, mut bytes)) = self.join.poll_early() {
            self.open(now, path, &mut bytes);
        }
        while let Some(transmit) = self.join.poll_transmit() {
            let path = transmit.path;
            if path.is_stream() {
                self.put_in_stream(&transmit);
                continue;
            }
            let marked = path.local.port() == self.natt_port && !transmit.keepalive;
            let marker: &[u8] = if marked { &MARKER } else { &[] };
            let carries = if transmit.keepalive { Carries::Keepalive } else { Carries::Ike };
            self.send(Outgoing { path, bytes: [marker, &transmit.bytes].concat(), carries });
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        self.counters.datagrams_out += 1;
        self.counters.bytes_out += outgoing.bytes.len() as u64;
        self.out.push_back(outgoing);
    }

    /// IKE SAs that changed since they were last told.
    pub fn changed(&mut self, limit: usize) -> Vec<SaId> {
        self.join.engine.take_changed(limit)
    }

    /// These IKE SAs with their notes as records; they go on. `in_order`: they do not, here.
    #[must_use]
    pub fn records(&self, asked: &[(SaId, Box<[u8]>)], in_order: bool) -> Vec<(SaId, Record)> {
        let Some(keeper) = &self.keeper else { return Vec::new() };
        asked.iter().filter_map(|(sa, notes)| Some((*sa, self.join.park(keeper, *sa, notes, in_order)?))).collect()
    }

    /// Take these back; whether each is stale.
    pub fn resume(&mut self, now: Nanos, records: &[(Record, bool)]) -> Vec<Verdict> {
        let Some(keeper) = &self.keeper else { return Vec::new() };
        let one = |(record, stale): &(Record, bool)| {
            let sa = keeper.examine(record).ok()?;
            Some((sa, self.join.resume(now, keeper, record, *stale).err()))
        };
        let verdicts = records.iter().filter_map(one).collect();
        self.settle(now);
        verdicts
    }

    /// Everything that wants to leave, oldest first.
    pub fn take_transmits(&mut self) -> VecDeque<Outgoing> {
        std::mem::take(&mut self.out)
    }

    /// At most `limit` events, oldest first.
    pub fn take_events(&mut self, limit: usize) -> VecDeque<Event> {
        self.take_told(limit).into_iter().map(|(event, _)| event).collect()
    }

    /// The same, each with the exchange that it came of.
    pub fn take_told(&mut self, limit: usize) -> VecDeque<Told> {
        self.join.held.take(limit)
    }

    /// Do events wait?
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.join.held.is_empty()
    }

    /// A plain packet into the tunnels; false where it found no way, which is counted.
    pub fn inner_send(&mut self, now: Nanos, packet: &[u8]) -> bool {
        match self.join.seal(now, packet, &mut self.scratch, |_, _| usize::MAX) {
            Ok(Leaving { path, length, sa }) => {
                self.counters.inner_out += 1;
                self.join.tell(now);
                let bytes = self.scratch.get(..length).unwrap_or_default().to_vec();
                match path.is_stream() {
                    true => self.put_esp_in_stream(path, sa, bytes),
                    false => self.send(Outgoing { path, bytes, carries: Carries::Esp }),
                }
                if self.join.plane.esp.as_ref().is_some_and(|esp| esp.has_events()) {
                    self.settle(now);
                }
                return true;
            }
            Err(Stays::NoPlane) => self.counters.esp_without_plane += 1,
            Err(Stays::Plain) => self.counters.esp_plain += 1,
            Err(Stays::Refused(_)) => {}
        }
        false
    }

    /// At most `limit` plain packets out of the tunnels.
    pub fn inner_take(&mut self, limit: usize) -> impl ExactSizeIterator<Item = Vec<u8>> {
        self.inner.drain(..limit.min(self.inner.len()))
    }

    /// Where the data plane sends the Child SAs of this IKE SA; `None` if it has none.
    #[must_use]
    pub fn plane_path(&self, sa: SaId) -> Option<Path> {
        self.join.plane.outer_of(sa).map(|outer| plane::path_of(&outer))
    }

    /// What a Child SA has carried; `None` if there is none, or no userspace plane.
    #[must_use]
    pub fn child_counters(&self, child: ChildId) -> Option<ChildCounters> {
        self.join.plane.esp.as_ref().and_then(|esp| esp.counters(SaPairId(child.0)))
    }

    /// The last exchanges of an IKE SA; `None` if it is not there.
    #[must_use]
    pub fn exchanges(&self, sa: SaId) -> Option<Vec<Exchange>> {
        self.join.engine.exchanges(sa)
    }

    /// Everything counted, by name: `ike_`, `esp_` and `io_`.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        let mut sums = Sums::default();
        sums.add(&Totals::of(&self.join, self.counters));
        sums.named(1, 1)
    }
}
