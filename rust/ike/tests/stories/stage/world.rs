//! The loop: the earliest delivery or timer next, drained as the shell does it, rules checked after each step.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use mobike_ike::wire::{ExchangeType, Header};
use mobike_ike::{ChildId, Command, Engine, Event, Nanos, Path, Quoted, Settings, Traffic};

use super::arrows::{Outcome, Told};
use super::forger::{Forger, read_clear};
use super::host::{Host, HostId};
use super::net::{Copy, Net};
use super::rules::Rules;
use super::wires::{Wires, Written};

/// A story never takes more steps: an exchange that does not end is a bug.
const MAX_STEPS: usize = 2_000_000;

/// Nothing due for so long counts as settled. Longer than the longest wait between repetitions.
pub const QUIET: Duration = Duration::from_secs(25);

/// What does not settle within this is left as it is.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// Hosts, a clock and a network.
pub struct World {
    /// The clock.
    pub now: Nanos,
    /// Everybody.
    pub hosts: Vec<Host>,
    /// What lies between.
    pub net: Net,
    /// And the streams.
    pub wires: Wires,
    /// Every message that was put out.
    pub told: Vec<Told>,
    /// The keys of every IKE SA that came up, by the initiator's SPI.
    pub keys: BTreeMap<u64, Forger>,
    pub(super) rules: Rules,
    air: BTreeMap<(Nanos, u64), (Option<usize>, Copy)>,
    flights: u64,
    steps: usize,
    seed: u64,
    /// Engines that were replaced.
    pub reboots: u64,
}

impl World {
    /// Nobody there yet.
    pub fn new(seed: u64) -> World {
        World {
            now: Nanos(1_000_000_000),
            hosts: Vec::new(),
            net: Net::default(),
            wires: Wires::default(),
            told: Vec::new(),
            keys: BTreeMap::new(),
            rules: Rules::default(),
            air: BTreeMap::new(),
            flights: 0,
            steps: 0,
            seed,
            reboots: 0,
        }
    }

    /// A host moves in.
    pub fn add_host(&mut self, name: &'static str, addresses: &[(&'static str, IpAddr)], settings: Settings) -> HostId {
        let id = HostId(self.hosts.len());
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8] = id.0 as u8 + 1;
        self.hosts.push(Host::new(id, name, Engine::new(settings, seed), addresses));
        id
    }

    /// A host.
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0]
    }

    /// Give an order.
    #[track_caller]
    pub fn order(&mut self, id: HostId, command: Command) {
        let now = self.now;
        self.hosts[id.0].engine.handle_command(now, command);
        self.drain(id, None);
        self.check();
    }

    /// The data plane tells the engine what the ESP of its latest IKE SA did.
    #[track_caller]
    pub fn note(&mut self, id: HostId, traffic: Traffic) {
        let (now, sa) = (self.now, self.host(id).sa());
        self.hosts[id.0].engine.note_traffic(now, sa, traffic);
        self.drain(id, None);
        self.check();
    }

    /// The data plane tells that the newest Child SA has carried what it may (`spent`), or nearly that. Which one that is.
    #[track_caller]
    pub fn wear_out(&mut self, id: HostId, spent: bool) -> ChildId {
        let child = *self.host(id).live_children().last().expect("a Child SA");
        self.wear_out_this(id, child, spent);
        child
    }

    /// The same of this one.
    #[track_caller]
    pub fn wear_out_this(&mut self, id: HostId, child: ChildId, spent: bool) {
        let now = self.now;
        self.hosts[id.0].engine.note_worn(now, child, spent);
        self.drain(id, None);
        self.check();
    }

    /// It does not carry this one.
    #[track_caller]
    pub fn refuse(&mut self, id: HostId, child: ChildId) {
        let now = self.now;
        self.hosts[id.0].engine.note_refused(now, child, "it is not carried in this story");
        self.drain(id, None);
        self.check();
    }

    /// A datagram out of nowhere reaches a host.
    #[track_caller]
    pub fn inject(&mut self, id: HostId, path: Path, bytes: &[u8]) {
        self.hand_over(id, path, bytes.to_vec());
        self.check();
    }

    /// Somebody tells a host that a datagram which it sent over this path cannot be delivered.
    #[track_caller]
    pub fn unreachable(&mut self, id: HostId, path: Path, quoted: Quoted<'_>) {
        let now = self.now;
        self.hosts[id.0].engine.handle_unreachable(now, path, quoted);
        self.drain(id, None);
        self.check();
    }

    /// This message of a host did not leave it.
    #[track_caller]
    pub fn unsent(&mut self, id: HostId, path: Path, message: &[u8]) {
        let now = self.now;
        self.hosts[id.0].engine.handle_unsent(now, path, message);
        self.drain(id, None);
        self.check();
    }

    /// When something happens next.
    pub fn next_due(&self) -> Option<Nanos> {
        let timers = self.hosts.iter().filter_map(|host| host.engine.poll_timeout());
        let flight = self.air.first_key_value().map(|((due, _), _)| *due);
        timers.chain(flight).chain(self.wires.next_due()).min().map(|due| due.max(self.now))
    }

    /// Let the next thing happen. `false` if nothing waits.
    #[track_caller]
    pub fn step(&mut self) -> bool {
        let Some(due) = self.next_due() else { return false };
        self.steps += 1;
        assert!(self.steps < MAX_STEPS, "the story does not end");
        self.now = due;
        if self.wires.next_due().is_some_and(|at| at <= due) {
            self.arrive_by_wire();
        } else if let Some(flight) = self.air.first_entry()
            && flight.key().0 <= due
        {
            let (index, copy) = flight.remove();
            self.land(index, copy);
        } else {
            let asleep = |host: &&Host| host.engine.poll_timeout().is_some_and(|timer| timer <= due);
            let id = self.hosts.iter().find(asleep).map(|host| host.id).expect("somebody set the timer");
            self.hosts[id.0].engine.handle_timeout(due);
            self.drain(id, Some(due));
        }
        self.check();
        true
    }

    /// Let time pass, with all that happens in it.
    #[track_caller]
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.next_due().is_some_and(|due| due <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Go on until this holds. `false` if it did not within `limit`.
    #[track_caller]
    pub fn run_until(&mut self, limit: Duration, holds: impl Fn(&World) -> bool) -> bool {
        let end = self.now + limit;
        while !holds(self) {
            if self.next_due().is_none_or(|due| due > end) {
                return false;
            }
            self.step();
        }
        true
    }

    /// Go on until nothing is in the air and nothing due soon.
    #[track_caller]
    pub fn settle(&mut self) {
        let end = self.now + PATIENCE;
        while let Some(due) = self.next_due() {
            if (self.air.is_empty() && self.wires.next_due().is_none() && due > self.now + QUIET) || due > end {
                return;
            }
            self.step();
        }
    }

    /// A profile of this story has a wider window.
    pub fn allow_window(&mut self, window: u8) {
        self.rules.window = Some(window.into());
    }

    /// A host will forget what it said last.
    pub fn rules_for_a_crash(&mut self) {
        self.rules.forget_octets();
    }

    /// A host has another engine, which counts from the beginning.
    pub fn forget_counters(&mut self, who: HostId) {
        self.rules.forget_counters(who);
    }

    /// Messages put out so far that fit.
    pub fn said<'a>(&'a self, fits: impl Fn(&Told) -> bool + 'a) -> impl Iterator<Item = &'a Told> + 'a {
        self.told.iter().filter(move |told| fits(told))
    }

    /// What a message says, in the clear or sealed with known keys.
    fn open(&self, bytes: &[u8]) -> Option<super::forger::Contents> {
        let header = Header::peek(bytes).ok()?;
        match header.exchange {
            ExchangeType::IKE_SA_INIT | ExchangeType::IKE_SESSION_RESUME => read_clear(bytes),
            _ => self.keys.get(&header.initiator_spi)?.open(bytes),
        }
    }

    /// The arrows, one line each.
    pub fn arrows(&self) -> String {
        // The keys may be known only now.
        let opened = |told: &Told| {
            let contents = told.contents.clone().or_else(|| self.open(&told.bytes));
            Told { contents, ..told.clone() }
        };
        self.told.iter().map(|told| format!("{}\n", opened(told))).collect()
    }

    pub(super) fn drain_now(&mut self, id: HostId) {
        self.drain(id, None);
    }

    pub(super) fn hand_over(&mut self, id: HostId, path: Path, mut bytes: Vec<u8>) {
        self.rules.received(&self.hosts[id.0], &bytes);
        let now = self.now;
        self.hosts[id.0].engine.handle_datagram(now, path, &mut bytes);
        self.drain(id, None);
    }

    fn land(&mut self, index: Option<usize>, copy: Copy) {
        let keepalive = index.is_some_and(|index| self.told[index].keepalive);
        let landed = self.net.arrive(self.now, &copy).and_then(|destination| {
            let at_home = |host: &&Host| host.addresses.iter().any(|(_, address)| *address == destination.ip());
            let host = self.hosts.iter().find(at_home).ok_or("nobody lives there")?;
            Ok((host.id, destination))
        });
        if let Some(told) = index.map(|index| &mut self.told[index])
            && told.outcome != Outcome::Delivered
        {
            told.outcome = landed.map_or_else(Outcome::Lost, |_| Outcome::Delivered);
        }
        // The shell swallows keepalives.
        if let (Ok((id, destination)), false) = (landed, keepalive) {
            self.hand_over(id, Path::udp(destination, copy.source), copy.bytes);
        }
    }

    /// Events first, then datagrams: the discipline of the shell.
    fn drain(&mut self, id: HostId, timer_at: Option<Nanos>) {
        let now = self.now;
        while let Some((event, by)) = self.hosts[id.0].engine.poll_told() {
            self.rules.reported(&self.hosts[id.0], &event);
            let up = match &event {
                Event::IkeSaUp(up) => Some((up.sa, up.spi_i)),
                Event::IkeSaRekeyed { sa, spi_i, .. } => Some((*sa, *spi_i)),
                _ => None,
            };
            self.hosts[id.0].events.push((now, event));
            self.hosts[id.0].causes.push(by);
            if let Some((sa, spi)) = up
                && let Some(forger) = Forger::new(&self.hosts[id.0], sa)
            {
                self.keys.entry(spi).or_insert(forger);
            }
        }
        while let Some(transmit) = self.hosts[id.0].engine.poll_transmit() {
            let mut told = Told {
                at: now,
                from: id,
                name: self.hosts[id.0].name.into(),
                path: transmit.path,
                over: self.over(transmit.path),
                copies_before: 0,
                keepalive: transmit.keepalive,
                contents: None,
                bytes: transmit.bytes.to_vec(),
                outcome: Outcome::InTheAir,
            };
            if !told.keepalive {
                told.contents = self.open(&told.bytes);
                let same = self.told.iter().filter(|before| before.from == id && before.bytes == told.bytes).count();
                told.copies_before = same as u32;
            }
            let written = transmit.path.is_stream().then(|| self.write(id, &transmit));
            if matches!(written, Some(Written::Spared)) {
                continue;
            }
            self.rules.sent(&self.hosts[id.0], &told);
            match written {
                None => self.take_off(told),
                Some(Written::No(why)) => self.told.push(Told { outcome: Outcome::Lost(why), ..told }),
                Some(Written::Yes | Written::Spared) => {
                    self.told.push(Told { outcome: Outcome::Delivered, ..told });
                }
            }
        }
        self.rules.after(&self.hosts[id.0], timer_at);
    }

    fn take_off(&mut self, mut told: Told) {
        let index = self.told.len();
        match self.net.carry(&told) {
            Err(why) => told.outcome = Outcome::Lost(why),
            Ok(copies) => {
                for copy in copies {
                    self.flights += 1;
                    self.air.insert((copy.due, self.flights), (Some(index), copy));
                }
            }
        }
        self.told.push(told);
    }

    /// Something that was seen earlier is sent once more by somebody: octets and addresses as the receiver will see them.
    pub fn replay(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        self.flights += 1;
        let copy = Copy { due: self.now, source, destination, bytes: bytes.to_vec() };
        self.air.insert((copy.due, self.flights), (None, copy));
    }

    fn over(&self, path: Path) -> String {
        let name = |end: SocketAddr| {
            let homes = self.hosts.iter().flat_map(|host| &host.addresses);
            let known = homes.into_iter().find(|(_, address)| *address == end.ip());
            known.map_or_else(|| end.to_string(), |(name, _)| format!("{name}:{}", end.port()))
        };
        format!("{} -> {}", name(path.local), name(path.remote))
    }

    #[track_caller]
    pub(super) fn check(&self) {
        assert!(self.rules.violations.is_empty(), "rules broken:\n  {}", self.rules.violations.join("\n  "));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what was said (seed {}) ---\n{}", self.seed, self.arrows());
            for host in &self.hosts {
                eprintln!("--- {} reported ---", host.name);
                host.events.iter().for_each(|(at, event)| eprintln!("{:9.3}s  {event:?}", at.0 as f64 / 1e9));
                eprintln!("counters: {:?}", host.counts());
            }
        }
    }
}
