//! One shard: a thread with its own engine, its own ESP table and its own sockets.
//!
//! ```text
//! wait        poll: mailbox, ring, inner packets, sockets, or the nearest deadline
//! mail        orders; datagrams and packets that belong here but came in elsewhere
//! sockets     a batch each: to the engine, to ESP, or to the shard that the SPI names; streams likewise
//! inner       a batch: sealed straight into the send buffers
//! deadlines
//! settle      events first, so that Child SAs are installed before the answers that announce them leave; then transmits
//! ```

mod hearsay;
mod streams;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use mobike_esp::{Counters as ChildCounters, OuterPath, SaPairId, SealError, TableCounters};
use mobike_ike::{ChildId, Counters, Engine, Nanos, Path, SaId};

use crate::batch::{BATCH, DATAGRAM, ReceiveBatch, SendBatch, send_parts};
use crate::classify::{Kind, MARKER, classify};
use crate::clock;
use crate::counters::IoCounters;
use crate::inner::Inner;
use crate::join::{Join, Leaving, Stays};
use crate::mailbox::{Mailbox, Ring};
use crate::packets::Packets;
use crate::park::{Keeper, Record, Verdict};
use crate::plane::Plane;
use crate::plug::Plugs;
use crate::socket::UdpSocket;
use crate::streams::Streams;
use crate::streams::one::Stream;
use crate::sys;
use crate::too_big::{Teller, may_be_cut};
use crate::width::{SHORT, Widths};
use crate::words::{Event, Operation, Order};

/// Datagrams and packets that other shards may leave waiting here; beyond that they are dropped and counted.
const HANDED_OVER: usize = 4096;

/// Letters read in one turn: a fleet that connects all at once must not keep a shard from its sockets.
const LETTERS: usize = 64;

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
    Stop,
}

/// What a shard has counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) ike: Counters,
    pub(crate) io: IoCounters,
    pub(crate) esp: Option<TableCounters>,
    pub(crate) children: u64,
}

impl Totals {
    pub(crate) fn of(join: &Join, io: IoCounters) -> Totals {
        let esp = join.plane.esp.as_ref();
        Totals {
            ike: *join.engine.counters(),
            io,
            esp: esp.map(|esp| esp.totals()),
            children: esp.map_or(0, |esp| esp.len() as u64),
        }
    }
}

/// Who else there is.
pub(crate) struct Links {
    pub(crate) index: u8,
    /// Mailboxes of all shards, this one included.
    pub(crate) mailboxes: Arc<[Mailbox<Letter>]>,
    pub(crate) ring: Arc<Ring<Event>>,
    /// Seals what is written down.
    pub(crate) keeper: Option<Arc<Keeper>>,
}

impl Links {
    fn own(&self) -> &Mailbox<Letter> {
        &self.mailboxes[usize::from(self.index)]
    }

    /// Is this somebody else's? A shard number that does not exist is ours, to be counted by whoever knows no such SPI.
    fn is_elsewhere(&self, shard: u8) -> bool {
        shard != self.index && usize::from(shard) < self.mailboxes.len()
    }

    fn hand_over(&self, shard: u8, letter: Letter, counters: &mut IoCounters) {
        match self.mailboxes[usize::from(shard)].put_bounded(letter, HANDED_OVER) {
            Ok(()) => counters.handed_over += 1,
            Err(_) => counters.hand_over_full += 1,
        }
    }
}

/// The shard. Everything it needs per packet is allocated once.
pub(crate) struct Shard {
    links: Links,
    inside: Inside,
    outside: Outside,
    receive: ReceiveBatch,
    /// The ring was full when we last looked: the join holds events that it has no room for.
    behind: bool,
    /// Letters taken out of the mailbox and not read yet.
    mail: VecDeque<Letter>,
    polls: Vec<libc::pollfd>,
    /// Inner packets are read here and not by another shard.
    reads_inner: bool,
    packets: Packets,
    scratch: Box<[u8]>,
}

/// The tunnel's inside: SAs, and where their packets go.
struct Inside {
    join: Join,
    inner: Inner,
}

/// The tunnel's outside: sockets and what is about to leave by them.
struct Outside {
    sockets: Vec<UdpSocket>,
    streams: Streams,
    send: SendBatch,
    plugs: Plugs,
    widths: Widths,
    teller: Teller,
    natt_port: u16,
    counters: IoCounters,
}

/// What goes on after a letter.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    Stop,
}

impl Shard {
    pub(crate) fn new(
        links: Links,
        engine: Engine,
        plane: Plane,
        inner: Inner,
        (sockets, streams): (Vec<UdpSocket>, Streams),
        natt_port: u16,
    ) -> Shard {
        let mut engine = engine;
        if links.keeper.is_some() {
            engine.keep_track();
        }
        let reads_inner = links.index == 0;
        let outside = Outside {
            sockets,
            streams,
            send: SendBatch::new(),
            plugs: Plugs::default(),
            widths: Widths::default(),
            teller: Teller::default(),
            natt_port,
            counters: IoCounters::default(),
        };
        Shard {
            links,
            inside: Inside { join: Join::new(engine, plane), inner },
            outside,
            receive: ReceiveBatch::new(),
            behind: false,
            mail: VecDeque::new(),
            polls: Vec::new(),
            reads_inner,
            packets: Packets::default(),
            scratch: vec![0; DATAGRAM].into_boxed_slice(),
        }
    }

    /// Work until told to stop; what was counted.
    pub(crate) fn run(mut self) -> Totals {
        self.lay_out_polls();
        loop {
            self.wait();
            let now = clock::now();
            let next = self.read_mail(now);
            self.read_sockets(now);
            if self.is_ready(STREAMS_AT) {
                self.read_streams(now);
            }
            self.read_inner(now);
            self.meet_deadlines(now);
            self.settle(now);
            if next == Next::Stop {
                return self.totals();
            }
        }
    }

    fn lay_out_polls(&mut self) {
        self.polls.push(sys::readable(self.links.own().fd()));
        // A negative descriptor is one that poll passes over.
        let room = self.links.ring.room(self.links.index.into()).map_or(-1, sys::Bell::fd);
        self.polls.push(sys::readable(room));
        let inner = if self.reads_inner { self.inside.inner.fd() } else { None };
        self.polls.push(sys::readable(inner.unwrap_or(-1)));
        self.polls.push(sys::readable(self.outside.streams.fd()));
        self.polls.extend(self.outside.sockets.iter().map(|socket| sys::readable(socket.fd())));
    }

    fn wait(&mut self) {
        let deadline = self.inside.join.poll_timeout().into_iter().chain(self.outside.streams.poll_timeout()).min();
        // Who may not listen reads no stream: a peer repeats nothing there.
        self.polls[STREAMS_AT].fd = if self.behind { -1 } else { self.outside.streams.fd() };
        let at_most =
            if self.mail.is_empty() { deadline.map(|at| at.since(clock::now())) } else { Some(Duration::ZERO) };
        sys::wait(&mut self.polls, at_most);
    }

    fn is_ready(&self, place: usize) -> bool {
        self.polls.get(place).is_some_and(|poll| poll.revents != 0)
    }

    fn read_mail(&mut self, now: Nanos) -> Next {
        if self.is_ready(ROOM_AT)
            && let Some(room) = self.links.ring.room(self.links.index.into())
        {
            room.hush();
        }
        if self.mail.is_empty() && self.is_ready(MAIL_AT) {
            self.links.own().take(&mut self.mail);
        }
        for _ in 0..LETTERS {
            let Some(letter) = self.mail.pop_front() else { break };
            if self.read_letter(now, letter) == Next::Stop {
                return Next::Stop;
            }
        }
        Next::Go
    }

    fn read_letter(&mut self, now: Nanos, letter: Letter) -> Next {
        match letter {
            Letter::Order(order) => self.obey(now, order),
            Letter::Datagram { path, kind, mut bytes } => {
                self.inside.take(now, path, kind, &mut bytes, self.behind, &mut self.outside.counters);
            }
            Letter::Stream(stream) => self.take_stream(now, *stream),
            Letter::Inner { tried, packet } => self.outside.seal(now, &mut self.inside, &self.links, &packet, tried),
            Letter::Unreachable { tried, path, quoted } => {
                self.outside.unreachable(now, &mut self.inside, &self.links, path, &quoted, tried);
            }
            // Who asked and does not wait any more needs no answer.
            Letter::AskTotals(sender) => {
                let _ = sender.send(self.totals());
            }
            Letter::AskChanged(limit, sender) => {
                let _ = sender.send(self.inside.join.engine.take_changed(limit));
            }
            Letter::AskRecords(asked, sender) => {
                let _ = sender.send(self.records(&asked));
            }
            Letter::Resume(records, sender) => {
                let _ = sender.send(self.resume(now, &records));
            }
            Letter::Park(notes, sender) => {
                let _ = sender.send(self.park(now, &notes));
                return Next::Stop;
            }
            Letter::AskChild(child, sender) => {
                let esp = self.inside.join.plane.esp.as_ref();
                let _ = sender.send(esp.and_then(|esp| esp.counters(SaPairId(child.0))));
            }
            Letter::Stop => return Next::Stop,
        }
        Next::Go
    }

    fn records(&self, asked: &[(SaId, Box<[u8]>)]) -> Vec<(SaId, Record)> {
        let Some(keeper) = &self.links.keeper else { return Vec::new() };
        let join = &self.inside.join;
        asked.iter().filter_map(|(sa, notes)| Some((*sa, join.park(keeper, *sa, notes, false)?))).collect()
    }

    fn resume(&mut self, now: Nanos, records: &[(Record, bool)]) -> Vec<Verdict> {
        let Some(keeper) = self.links.keeper.clone() else { return Vec::new() };
        let join = &mut self.inside.join;
        let one = |(record, stale): &(Record, bool)| {
            let sa = keeper.examine(record).ok()?;
            Some((sa, join.resume(now, &keeper, record, *stale).err()))
        };
        records.iter().filter_map(one).collect()
    }

    fn park(&mut self, now: Nanos, notes: &HashMap<SaId, Box<[u8]>>) -> Vec<(SaId, Record)> {
        // What was decided before leaves before; nothing leaves after.
        self.settle(now);
        let Some(keeper) = &self.links.keeper else { return Vec::new() };
        let join = &mut self.inside.join;
        let records = join.park_all(keeper, |sa| notes.get(&sa).map_or(&[][..], |notes| notes));
        for (sa, _) in &records {
            join.plane.remove_sa(*sa);
            join.engine.forget(*sa);
        }
        records
    }

    fn obey(&mut self, now: Nanos, order: Order) {
        self.outside.counters.orders += 1;
        match order {
            Order::Engine(command) => self.inside.join.command(now, command),
            Order::Plane(operation) => {
                if let Operation::MoveSa { path, .. } = &operation {
                    self.outside.widths.forget(path.local.ip(), path.remote.ip());
                }
                self.inside.join.operate(&operation);
            }
            Order::Plug { address, up } => {
                // What was ordered before leaves before the cable is pulled.
                self.settle(now);
                self.outside.plugs.set(address, up);
                self.outside.streams.plug(address, up);
            }
        }
    }

    fn read_sockets(&mut self, now: Nanos) {
        for socket in 0..self.outside.sockets.len() {
            if self.is_ready(SOCKETS_AT + socket) {
                if self.polls[SOCKETS_AT + socket].revents & libc::POLLERR != 0 {
                    self.read_errors(now, socket);
                }
                self.read_socket(now, socket);
            }
        }
    }

    fn read_socket(&mut self, now: Nanos, socket: usize) {
        let Outside { sockets, plugs, natt_port, counters, .. } = &mut self.outside;
        let port = sockets[socket].listens().port();
        let got = self.receive.receive(&sockets[socket], counters);
        for index in 0..got {
            let Some((path, bytes)) = self.receive.datagram(index, port) else {
                counters.unreadable += 1;
                continue;
            };
            counters.datagrams_in += 1;
            counters.bytes_in += bytes.len() as u64;
            if plugs.is_out(path.local.ip()) {
                counters.unplugged += 1;
                continue;
            }
            let (kind, bytes) = classify(bytes, port == *natt_port);
            match kind.shard() {
                Some(shard) if self.links.is_elsewhere(shard) => {
                    self.links.hand_over(shard, Letter::Datagram { path, kind, bytes: Box::from(&*bytes) }, counters);
                }
                Some(_) | None => {
                    self.inside.take(now, path, kind, bytes, self.behind, counters);
                }
            }
        }
    }

    fn read_inner(&mut self, now: Nanos) {
        if !self.is_ready(INNER_AT) {
            return;
        }
        if self.polls[INNER_AT].revents & libc::POLLIN == 0 {
            // Somebody deleted the device. Looking again would find the same, for ever.
            self.polls[INNER_AT].fd = -1;
            self.inside.join.held.push_back(Event::Notice { kind: "tun", text: "the TUN device is gone".to_owned() });
            return;
        }
        self.inside.inner.collect(BATCH, &mut self.scratch, &mut self.packets);
        for packet in self.packets.iter() {
            self.outside.seal(now, &mut self.inside, &self.links, packet, 0);
        }
        self.packets.clear();
    }

    fn meet_deadlines(&mut self, now: Nanos) {
        self.inside.join.handle_timeout(now);
        self.sweep_streams(now);
    }

    /// Events, then transmits.
    fn settle(&mut self, now: Nanos) {
        let join = &mut self.inside.join;
        join.settle(now);
        self.links.ring.put(&mut join.held);
        self.behind = !join.held.is_empty();
        while let Some(transmit) = join.poll_transmit() {
            self.outside.transmit(now, join, &transmit);
        }
        let Outside { sockets, send, counters, .. } = &mut self.outside;
        send.flush(sockets, counters);
        self.flush_streams(now);
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals::of(&self.inside.join, self.outside.counters)
    }
}

/// Places in the poll list.
const MAIL_AT: usize = 0;
const ROOM_AT: usize = 1;
const INNER_AT: usize = 2;
const STREAMS_AT: usize = 3;
const SOCKETS_AT: usize = 4;

impl Inside {
    fn take(&mut self, now: Nanos, path: Path, kind: Kind, bytes: &mut [u8], behind: bool, counters: &mut IoCounters) {
        match kind {
            Kind::Keepalive => counters.keepalives_in += 1,
            Kind::Runt => counters.runts += 1,
            Kind::Ike { .. } if behind => counters.ike_held_off += 1,
            Kind::Ike { .. } => self.join.engine.handle_datagram(now, path, bytes),
            Kind::Esp { .. } => self.open(now, path, bytes, counters),
        }
    }

    fn open(&mut self, now: Nanos, path: Path, bytes: &mut [u8], counters: &mut IoCounters) {
        match self.join.open(now, path, bytes) {
            Ok(inner) => {
                if let Some(packet) = inner.and_then(|inner| bytes.get(inner)) {
                    self.inner.deliver(packet, counters);
                }
            }
            Err(_) => counters.esp_without_plane += 1,
        }
    }
}

impl Outside {
    fn transmit(&mut self, now: Nanos, join: &mut Join, transmit: &mobike_ike::Transmit) {
        let path = transmit.path;
        if self.plugs.is_out(path.local.ip()) {
            self.counters.unplugged += 1;
            return;
        }
        if path.is_stream() {
            return self.transmit_in_stream(now, join, transmit);
        }
        let marked = path.local.port() == self.natt_port && !transmit.keepalive;
        let marker: &[u8] = if marked { &MARKER } else { &[] };
        send_parts(&mut self.send, &self.sockets, path, &[marker, &transmit.bytes], &mut self.counters);
    }

    /// An inner packet on its way out: sealed into the send buffer, or given to the next shard if no Child SA here has
    /// a route for it and not all have been asked.
    fn seal(&mut self, now: Nanos, inside: &mut Inside, links: &Links, packet: &[u8], tried: u8) {
        if self.send.is_full() {
            self.send.flush(&self.sockets, &mut self.counters);
        }
        let Outside { send, widths, counters, .. } = self;
        let most = |outer: &OuterPath, suite| {
            let fits = packet.len() <= SHORT || may_be_cut(packet);
            if fits { usize::MAX } else { widths.most_inner(now, outer, suite, counters) }
        };
        let Leaving { path, length, sa } = match inside.join.seal(now, packet, send.buffer(), most) {
            Ok(sealed) => sealed,
            Err(Stays::Refused(SealError::TooLong { most, outer })) => {
                return self.refuse_long(now, inside, packet, most, &outer);
            }
            Err(Stays::Refused(SealError::NoRoute)) if usize::from(tried) + 1 < links.mailboxes.len() => {
                let next = (usize::from(links.index) + 1) % links.mailboxes.len();
                let letter = Letter::Inner { tried: tried + 1, packet: packet.into() };
                links.hand_over(next as u8, letter, &mut self.counters);
                return;
            }
            // Counted by the table.
            Err(Stays::Refused(_)) => return,
            Err(Stays::NoPlane) => {
                self.counters.esp_without_plane += 1;
                return;
            }
            Err(Stays::Plain) => {
                self.counters.esp_plain += 1;
                return;
            }
        };
        if self.plugs.is_out(path.local.ip()) {
            self.counters.unplugged += 1;
            return;
        }
        self.counters.inner_out += 1;
        if path.is_stream() {
            return self.push_in_stream(now, inside, (path, sa.slot()), length);
        }
        self.send.push(&self.sockets, path, length, &mut self.counters);
    }

    /// An inner packet is longer than its path takes: its sender learns it as from any router (RFC 4301 section 8.2).
    fn refuse_long(&mut self, now: Nanos, inside: &mut Inside, packet: &[u8], most: usize, outer: &OuterPath) {
        match self.teller.tell(now, packet, most) {
            Some(answer) => {
                self.counters.inner_too_big += 1;
                inside.inner.deliver(&answer, &mut self.counters);
            }
            None => self.counters.inner_too_big_untold += 1,
        }
        if let Some(mtu) = self.widths.news(outer) {
            let text = format!("{outer} takes packets of {mtu} bytes: inner packets of up to {most} pass");
            inside.join.held.push_back(Event::Notice { kind: "path_mtu", text });
        }
    }
}
