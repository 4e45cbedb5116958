//! The only door: `handle_*` in, `poll_*` out. One mutation, then drain events before transmits.

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::command::Command;
use crate::counters::Counters;
use crate::crypto::{Random, SeededRandom};
use crate::event::Event;
use crate::{Nanos, Path};

/// What an engine is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our number among the shards; written into every SPI we choose.
    pub shard: u8,
    /// How many shards there are, at most [`Settings::MAX_SHARDS`].
    pub shards: u8,
    /// UDP port of IKE without NAT traversal (500).
    pub ike_port: u16,
    /// UDP port of IKE with NAT traversal (4500).
    pub natt_port: u16,
    /// What strangers may cost.
    pub half_open: HalfOpenLimits,
    /// IKE SAs this shard may hold, half-open ones included.
    pub max_sas: u32,
}

impl Settings {
    /// An ESP SPI has four bits for the shard.
    pub const MAX_SHARDS: u8 = 16;
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            shard: 0,
            shards: 1,
            ike_port: 500,
            natt_port: 4500,
            half_open: HalfOpenLimits::default(),
            max_sas: 1 << 20,
        }
    }
}

/// What strangers may cost before they prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfOpenLimits {
    /// With so many half-open SAs, a stranger must first return a COOKIE (RFC 7296 section 2.6).
    pub cookie_threshold: u32,
    /// With so many, new IKE_SA_INIT requests are dropped.
    pub max: u32,
    /// So many from one source address, once cookies are demanded.
    pub max_per_source: u32,
    /// A half-open SA lives for so long.
    pub lifetime: core::time::Duration,
}

impl Default for HalfOpenLimits {
    fn default() -> Self {
        HalfOpenLimits {
            cookie_threshold: 1_000,
            max: 50_000,
            max_per_source: 100,
            lifetime: core::time::Duration::from_secs(30),
        }
    }
}

/// A datagram to send. The shell puts the non-ESP marker in front iff `path.local.port()` is `Settings::natt_port` and it
/// is no keepalive.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From where to where.
    pub path: Path,
    /// The octets; cloning shares them.
    pub bytes: Arc<[u8]>,
    /// A NAT keepalive: the one octet goes out as it is.
    pub keepalive: bool,
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transmit({}, {} octets)", self.path, self.bytes.len())
    }
}

/// Many IKE SAs, without sockets, threads, clock or OS randomness.
pub struct Engine {
    settings: Settings,
    random: SeededRandom,
    events: VecDeque<Event>,
    transmits: VecDeque<Transmit>,
    counters: Counters,
}

impl Engine {
    /// An engine whose every random choice follows from `seed`; take it from the operating system.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32]) -> Engine {
        Engine {
            settings,
            random: SeededRandom::new(seed),
            events: VecDeque::new(),
            transmits: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// A datagram came in over `path` (local is where it arrived), without non-ESP marker. `bytes` is overwritten.
    pub fn handle_datagram(&mut self, now: Nanos, path: Path, bytes: &mut [u8]) {
        let _ = (now, path, bytes, &self.settings, self.random.next_u64());
        self.counters.received += 1;
    }

    /// An order from the control plane.
    pub fn handle_command(&mut self, now: Nanos, command: Command) {
        let _ = (now, command);
    }

    /// `poll_timeout` has passed.
    pub fn handle_timeout(&mut self, now: Nanos) {
        let _ = now;
    }

    /// The next fact. Drain these before transmits: a Child SA is installed before its answer leaves.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// When `handle_timeout` wants to be called; `None` if nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Nanos> {
        None
    }

    /// Totals since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
