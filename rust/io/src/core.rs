//! The core: starts the shards, takes orders to them and events from them, stops them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use mobike_esp::Counters as ChildCounters;
use mobike_ike::crypto::{CryptoError, SecretBytes};
use mobike_ike::{ChildId, Command, Counters, Engine, Exchange, SaId, TurnAway};

use crate::config::{CoreConfig, InnerConfig, PlaneConfig, StartError};
use crate::counters::IoCounters;
use crate::entropy;
use crate::inner::{Inner, InnerPort};
use crate::join::Told;
use crate::mailbox::{Mailbox, Ring};
use crate::packets::Packets;
use crate::park::{Keeper, Record, Unusable, Verdict};
use crate::pool::profile_of_shard;
use crate::shard::{Letter, Links, Shard, Totals};
use crate::socket::UdpSocket;
use crate::streams::Streams;
use crate::sys;
use crate::tape::Taped;
use crate::tun::Tun;
use crate::words::{Event, Operation, Order, Word};

/// Shards at work. All methods may be called from any thread; those that ask a shard wait for it, and so does `stop`.
pub struct Core {
    mailboxes: Arc<[Mailbox<Letter>]>,
    ring: Arc<Ring<Told>>,
    port: Option<Arc<InnerPort>>,
    tun_name: Option<String>,
    keeper: Option<Arc<Keeper>>,
    /// Inner packets that did not fit into the port's queue.
    port_full: AtomicU64,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    running: Vec<JoinHandle<Totals>>,
    /// What the shards had counted when they were stopped.
    stopped: Vec<Totals>,
}

impl Core {
    /// Listen, open the TUN device if there is one, and start the shards. When this returns they work.
    ///
    /// # Errors
    /// When one of these fails; nothing is left running then.
    pub fn start(config: &CoreConfig) -> Result<Core, StartError> {
        config.check()?;
        let mailboxes: Arc<[_]> = (0..config.shards).map(|_| Mailbox::new()).collect::<Result<Vec<_>, _>>()?.into();
        let ring = Arc::new(Ring::new(config.shards.into())?);
        let inner = open_inner(&config.inner)?;
        let seed = config.seed.map_or_else(entropy::fresh_seed, Ok)?;
        let keeper = match &config.store_key {
            Some(key) => Some(Arc::new(keeper(key, config)?)),
            None => None,
        };
        let core = Core {
            keeper: keeper.clone(),
            port: match &inner {
                Inner::Port(port) => Some(Arc::clone(port)),
                Inner::Nowhere | Inner::Tun(_) => None,
            },
            tun_name: match &inner {
                Inner::Tun(tun) => Some(tun.name().to_owned()),
                Inner::Nowhere | Inner::Port(_) => None,
            },
            mailboxes: Arc::clone(&mailboxes),
            ring: Arc::clone(&ring),
            port_full: AtomicU64::new(0),
            threads: Mutex::default(),
        };
        // All sockets before the first thread: a port that is taken must not leave half a core running.
        let sockets: Vec<_> = (0..config.shards).map(|_| listen(config)).collect::<Result<_, _>>()?;
        let streams: Vec<_> = (0..config.shards).map(|_| streams(config)).collect::<Result<_, _>>()?;
        for (index, sockets) in (0..).zip(sockets.into_iter().zip(streams)) {
            let links =
                Links { index, mailboxes: Arc::clone(&mailboxes), ring: Arc::clone(&ring), keeper: keeper.clone() };
            let starting = Starting { links, sockets, inner: inner.clone(), seed: entropy::of_shard(seed, index) };
            // On failure `core` is dropped, which stops the shards before this one.
            let thread = starting.spawn(config.clone())?;
            core.threads().running.push(thread);
        }
        Ok(core)
    }

    /// Give orders. Each reaches the shard it concerns, or all; in this order as far as one shard is concerned.
    pub fn submit(&self, orders: Vec<Order>) {
        if let [mailbox] = &*self.mailboxes {
            mailbox.put_all(orders.into_iter().map(Letter::Order));
            return;
        }
        let mut sorted: Vec<Vec<Letter>> = self.mailboxes.iter().map(|_| Vec::new()).collect();
        for order in orders {
            match self.shard_of(&order) {
                Some(shard) => sorted[shard].push(Letter::Order(order)),
                None => {
                    for (shard, letters) in sorted.iter_mut().enumerate() {
                        letters.push(Letter::Order(for_shard(&order, shard, self.mailboxes.len())));
                    }
                }
            }
        }
        for (mailbox, letters) in self.mailboxes.iter().zip(sorted) {
            mailbox.put_all(letters);
        }
    }

    /// The shard an order is for; `None`: all. One for a shard that does not exist goes to the first, which knows no
    /// such SA and says so.
    fn shard_of(&self, order: &Order) -> Option<usize> {
        let owner = match order {
            Order::Engine(command) => match command {
                Command::SetProfile { .. }
                | Command::RemoveProfile { .. }
                | Command::Remember { .. }
                | Command::TurnAway { .. }
                | Command::SetTicketKeys { .. }
                | Command::GiveUp { .. }
                | Command::SetLocalAddresses { .. } => {
                    return None;
                }
                Command::Connect { token, .. } => (token.0 % self.mailboxes.len() as u64) as usize,
                Command::Move { sa, .. }
                | Command::Announce { sa, .. }
                | Command::Probe { sa, .. }
                | Command::Watch { sa, .. }
                | Command::Verdict { sa, .. }
                | Command::Eap { sa, .. }
                | Command::Away { sa, .. }
                | Command::Rekey { sa }
                | Command::Reauth { sa }
                | Command::Redirect { sa, .. }
                | Command::OpenChild { sa, .. }
                | Command::Close { sa, .. } => sa.shard().into(),
                Command::CloseChild { child } | Command::RekeyChild { child } => child.shard().into(),
            },
            Order::Plane(Operation::MoveSa { sa, .. } | Operation::Park { sa }) => sa.shard().into(),
            Order::Word(word) => match word {
                Word::Installed(child)
                | Word::Refused { child, .. }
                | Word::Removed(child)
                | Word::Worn(child)
                | Word::Spent(child) => child.shard().into(),
                Word::Traffic { sa, .. } | Word::Mapped { sa, .. } => sa.shard().into(),
            },
            Order::Plug { .. } => return None,
        };
        Some(if owner < self.mailboxes.len() { owner } else { 0 })
    }

    /// At most `limit` events, oldest first.
    #[must_use]
    pub fn take_events(&self, limit: usize) -> VecDeque<Event> {
        self.take_told(limit).into_iter().map(|(event, _)| event).collect()
    }

    /// The same, each with the exchange that it came of.
    #[must_use]
    pub fn take_told(&self, limit: usize) -> VecDeque<Told> {
        self.ring.take(limit)
    }

    /// Readable while events wait.
    #[must_use]
    pub fn event_fd(&self) -> RawFd {
        self.ring.fd()
    }

    /// Inner packets for the tunnel; how many were taken. The rest is dropped and counted. Without a port, none.
    pub fn inner_send<'a>(&self, packets: impl ExactSizeIterator<Item = &'a [u8]>) -> usize {
        let offered = packets.len();
        let taken = self.port.as_ref().map_or(0, |port| port.send(packets));
        self.port_full.fetch_add((offered - taken) as u64, Ordering::Relaxed);
        taken
    }

    /// At most `limit` inner packets out of the tunnel.
    #[must_use]
    pub fn inner_take(&self, limit: usize) -> Packets {
        self.port.as_ref().map(|port| port.take(limit)).unwrap_or_default()
    }

    /// Readable while packets out of the tunnel wait; `None` without a port.
    #[must_use]
    pub fn inner_fd(&self) -> Option<RawFd> {
        self.port.as_ref().map(|port| port.out_fd())
    }

    /// What the kernel called the TUN device.
    #[must_use]
    pub fn tun_name(&self) -> Option<&str> {
        self.tun_name.as_deref()
    }

    /// Pull the cable of a local address, or plug it in again.
    pub fn plug(&self, address: IpAddr, up: bool) {
        self.submit(vec![Order::Plug { address, up }]);
    }

    /// Everything counted, summed over the shards, by name: `ike_`, `esp_` and `io_`.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        let (totals, running) = self.totals();
        let mut sums = Sums::default();
        totals.iter().for_each(|totals| sums.add(totals));
        sums.io.inner_full += self.port_full.load(Ordering::Relaxed);
        sums.named(self.mailboxes.len() as u64, running)
    }

    /// What a Child SA has carried; `None` if there is none, or no userspace plane.
    #[must_use]
    pub fn child_counters(&self, child: ChildId) -> Option<ChildCounters> {
        let mailbox = self.mailboxes.get(usize::from(child.shard()))?;
        ask(mailbox, |sender| Letter::AskChild(child, sender)).recv().ok().flatten()
    }

    /// Take down what this IKE SA and its Child SAs send and receive, with room for so many octets between two looks; or no
    /// more. Of each shard one at a time: another one takes its place.
    pub fn tape(&self, sa: SaId, room: Option<usize>) {
        if let Some(mailbox) = self.mailboxes.get(usize::from(sa.shard())) {
            mailbox.put_all([Letter::Tape(sa, room)]);
        }
    }

    /// What was taken down since the last look, and the keys of now, in the clear; `None` if this one is not taken down.
    #[must_use]
    pub fn taped(&self, sa: SaId) -> Option<Taped> {
        let mailbox = self.mailboxes.get(usize::from(sa.shard()))?;
        ask(mailbox, |sender| Letter::AskTape(sa, sender)).recv().ok().flatten()
    }

    /// The last exchanges of an IKE SA, by the clock of events; `None` if it is not there.
    #[must_use]
    pub fn exchanges(&self, sa: SaId) -> Option<Vec<Exchange>> {
        let mailbox = self.mailboxes.get(usize::from(sa.shard()))?;
        ask(mailbox, |sender| Letter::AskExchanges(sa, sender)).recv().ok().flatten()
    }

    /// Could these be taken back? Whose they are. Nothing is done.
    ///
    /// # Errors
    /// When one of them can never be used by this core.
    pub fn examine<'r>(&self, records: impl IntoIterator<Item = &'r [u8]>) -> Result<Vec<SaId>, Unusable> {
        let keeper = self.keeper.as_ref().ok_or(Unusable::NoKey)?;
        records.into_iter().map(|record| keeper.examine(record)).collect()
    }

    /// Take IKE SAs back; whether each is stale. Whoever gives the same record twice, or one that is in use elsewhere,
    /// breaks what protects the traffic. What became of each; one that cannot be read at all is left out.
    #[must_use]
    pub fn resume(&self, records: Vec<(Record, bool)>) -> Vec<Verdict> {
        let Some(keeper) = &self.keeper else { return Vec::new() };
        let of_shard = |(record, _): &(Record, bool)| keeper.examine(record).ok().map(SaId::shard);
        self.collect(self.sort(records, of_shard), Letter::Resume)
    }

    /// At most about `limit` IKE SAs that changed since they were last told.
    #[must_use]
    pub fn changed(&self, limit: usize) -> Vec<SaId> {
        let each = limit.div_ceil(self.mailboxes.len());
        self.collect(self.mailboxes.iter().map(|_| each).collect(), Letter::AskChanged)
    }

    /// These IKE SAs with their notes as records; those that are gone, or end, are left out.
    #[must_use]
    pub fn records(&self, asked: Vec<(SaId, Box<[u8]>)>) -> Vec<(SaId, Record)> {
        self.collect(self.sort(asked, |(sa, _)| Some(sa.shard())), Letter::AskRecords)
    }

    /// Stop, and all IKE SAs as records with their notes. Peers hear nothing: the SAs go on elsewhere.
    #[must_use]
    pub fn park(&self, notes: HashMap<SaId, Box<[u8]>>) -> Vec<(SaId, Record)> {
        let notes = Arc::new(notes);
        let parked = self.collect(self.mailboxes.iter().map(|_| Arc::clone(&notes)).collect(), Letter::Park);
        self.stop();
        parked
    }

    /// Each to its shard; those of none are left out.
    fn sort<T>(&self, all: Vec<T>, shard_of: impl Fn(&T) -> Option<u8>) -> Vec<Vec<T>> {
        let mut sorted: Vec<Vec<T>> = self.mailboxes.iter().map(|_| Vec::new()).collect();
        for one in all {
            if let Some(shard) = shard_of(&one).and_then(|shard| sorted.get_mut(usize::from(shard))) {
                shard.push(one);
            }
        }
        sorted
    }

    /// Ask every shard its part before the first answer is waited for.
    fn collect<Q, T>(&self, questions: Vec<Q>, letter: impl Fn(Q, Sender<Vec<T>>) -> Letter) -> Vec<T> {
        let asked: Vec<_> = self
            .mailboxes
            .iter()
            .zip(questions)
            .map(|(mailbox, question)| ask(mailbox, |sender| letter(question, sender)))
            .collect();
        asked.into_iter().filter_map(|answer| answer.recv().ok()).flatten().collect()
    }

    /// Stop the shards and wait for them. The second time nothing happens.
    pub fn stop(&self) {
        let mut threads = self.threads();
        self.mailboxes.iter().for_each(|mailbox| mailbox.put_all([Letter::Stop]));
        let running = std::mem::take(&mut threads.running);
        threads.stopped.extend(running.into_iter().filter_map(|thread| thread.join().ok()));
    }

    /// Of all shards, and how many of them run. All are asked before the first answer is waited for.
    fn totals(&self) -> (Vec<Totals>, u64) {
        let asked: Vec<_> = self.mailboxes.iter().map(|mailbox| ask(mailbox, Letter::AskTotals)).collect();
        let mut totals: Vec<_> = asked.into_iter().filter_map(|answer| answer.recv().ok()).collect();
        let running = totals.len() as u64;
        totals.extend_from_slice(&self.threads().stopped);
        (totals, running)
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("shards", &self.mailboxes.len()).finish_non_exhaustive()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A shard that is gone has closed its mailbox: the letter is dropped with its sender, and the receiver knows at once.
fn ask<T>(mailbox: &Mailbox<Letter>, letter: impl FnOnce(Sender<T>) -> Letter) -> Receiver<T> {
    let (sender, receiver) = channel();
    mailbox.put_all([letter(sender)]);
    receiver
}

fn keeper(key: &SecretBytes, config: &CoreConfig) -> Result<Keeper, StartError> {
    let refused = |why: CryptoError| StartError::Config(format!("the store key: {why}"));
    Keeper::new(key, entropy::fresh_seed()?, config.shards).map_err(refused)
}

fn open_inner(config: &InnerConfig) -> Result<Inner, StartError> {
    Ok(match config {
        InnerConfig::None => Inner::Nowhere,
        InnerConfig::Port => Inner::Port(Arc::new(InnerPort::new()?)),
        InnerConfig::Tun { name, mtu } => {
            let tun = Tun::open(name, *mtu).map_err(|error| StartError::Tun(name.clone(), error))?;
            Inner::Tun(Arc::new(tun))
        }
    })
}

fn listen(config: &CoreConfig) -> Result<Vec<UdpSocket>, StartError> {
    let shared = config.shards > 1;
    let bind = |address| {
        let socket = UdpSocket::bind(address, shared).map_err(|error| StartError::Listen(address, error))?;
        if config.plane == PlaneConfig::Kernel {
            let natt = address.port() == config.natt_port;
            let esp = if natt { socket.leave_esp_to_kernel() } else { Ok(()) };
            esp.and_then(|()| socket.pass_policies()).map_err(|error| StartError::Kernel(address, error))?;
        }
        Ok(socket)
    };
    config.sockets().into_iter().map(bind).collect()
}

fn streams(config: &CoreConfig) -> Result<Streams, StartError> {
    let natt = |ip: &IpAddr| SocketAddr::new(*ip, config.natt_port);
    let listen: Vec<_> = if config.tcp { config.listen.iter().map(natt).collect() } else { Vec::new() };
    let refused = |error| StartError::Listen(listen.first().copied().unwrap_or_else(|| natt(&config.listen[0])), error);
    Streams::new(&listen, config.shards).map_err(refused)
}

/// An order that all shards get, as this one shall have it.
fn for_shard(order: &Order, shard: usize, shards: usize) -> Order {
    match order {
        Order::Engine(Command::SetProfile { id, profile }) => {
            let profile = profile_of_shard(profile, shard as u8, shards as u8);
            Order::Engine(Command::SetProfile { id: *id, profile })
        }
        Order::Engine(Command::TurnAway { orders: Some(orders) }) => {
            // Peers come to all shards alike.
            let (to, from) = (Arc::clone(&orders.to), orders.from.div_ceil(shards as u32));
            Order::Engine(Command::TurnAway { orders: Some(Arc::new(TurnAway { to, from })) })
        }
        other => other.clone(),
    }
}

/// A shard that is about to run.
struct Starting {
    links: Links,
    sockets: (Vec<UdpSocket>, Streams),
    inner: Inner,
    seed: [u8; entropy::SEED_LEN],
}

impl Starting {
    /// Returns once the thread runs where it should.
    fn spawn(self, config: CoreConfig) -> Result<JoinHandle<Totals>, StartError> {
        let (ready, is_ready) = channel();
        let name = format!("mobike-shard-{}", self.links.index);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            sys::leave_signals_to_others();
            let mailboxes = Arc::clone(&self.links.mailboxes);
            let _closed_at_the_end = Closing(&mailboxes[usize::from(self.links.index)]);
            let pinned = pin(&config, self.links.index);
            let works = pinned.is_ok();
            // `spawn` waits for this.
            drop(ready.send(pinned));
            let shard = self.build(&config);
            if works { shard.run() } else { shard.totals() }
        })?;
        match is_ready.recv() {
            Ok(Ok(())) => Ok(thread),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::System(std::io::Error::other("a shard died at once"))),
        }
    }

    fn build(self, config: &CoreConfig) -> Shard {
        let engine = Engine::new(config.settings(self.links.index), self.seed);
        Shard::new(self.links, engine, config, self.inner, self.sockets)
    }
}

/// However a shard ends, nobody may wait for its answers.
struct Closing<'a>(&'a Mailbox<Letter>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn pin(config: &CoreConfig, shard: u8) -> Result<(), StartError> {
    let Some(&cpu) = config.pin_cpus.as_ref().and_then(|cpus| cpus.get(usize::from(shard))) else { return Ok(()) };
    sys::pin_to(cpu).map_err(|error| StartError::Pin(cpu, error))
}

#[derive(Default)]
pub(crate) struct Sums {
    ike: Counters,
    io: IoCounters,
    esp: mobike_esp::TableCounters,
    children: u64,
    closing: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, totals: &Totals) {
        self.ike.add(&totals.ike);
        self.io.add(&totals.io);
        self.children += totals.children;
        self.closing += totals.closing;
        if let Some(esp) = &totals.esp {
            self.esp.add(esp);
        }
    }

    pub(crate) fn named(&self, shards: u64, running: u64) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        self.ike.each(|name, value| all.push((format!("ike_{}", name.trim_start_matches("ike_")), value)));
        all.push(("ike_sas_closing".to_owned(), self.closing));
        all.push(("esp_children".to_owned(), self.children));
        all.extend(self.esp.named().map(|(name, value)| (format!("esp_{name}"), value)));
        all.extend(self.io.named().map(|(name, value)| (format!("io_{name}"), value)));
        all.push(("io_shards".to_owned(), shards));
        all.push(("io_shards_running".to_owned(), running));
        all
    }
}
