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
mod links;
mod outside;
mod streams;
#[cfg(test)]
mod together;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use mobike_esp::SaPairId;
use mobike_ike::{Engine, Nanos, Path, SaId};

pub(crate) use self::links::{Letter, Links, Totals};
use crate::batch::{BATCH, DATAGRAM, ReceiveBatch, SendBatch};
use crate::classify::{Kind, classify};
use crate::clock;
use crate::config::CoreConfig;
use crate::counters::IoCounters;
use crate::inner::Inner;
use crate::join::Join;
use crate::packets::Packets;
use crate::park::{Record, Verdict};
use crate::plug::Plugs;
use crate::socket::UdpSocket;
use crate::streams::Streams;
use crate::sys;
use crate::tape::Tape;
use crate::too_big::Teller;
use crate::wants::Wants;
use crate::width::Widths;
use crate::words::{Event, Operation, Order};

/// Letters read in one turn: a fleet that connects all at once must not keep a shard from its sockets.
const LETTERS: usize = 64;

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
    wants: Wants,
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
        config: &CoreConfig,
        inner: Inner,
        (sockets, streams): (Vec<UdpSocket>, Streams),
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
            wants: Wants::default(),
            natt_port: config.natt_port,
            counters: IoCounters::default(),
        };
        Shard {
            links,
            inside: Inside { join: Join::new(engine, config), inner },
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
            Letter::Tape(sa, room) => {
                self.inside.join.tape = room.map(|room| Tape::new(sa, room, self.outside.natt_port));
            }
            Letter::AskTape(sa, sender) => {
                let _ = sender.send(self.inside.join.take_tape(now, sa));
            }
            Letter::AskExchanges(sa, sender) => {
                let _ = sender.send(self.inside.join.engine.exchanges(sa));
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
        records.iter().for_each(|(sa, _)| join.forget(*sa));
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
            Order::Word(word) => self.inside.join.hear(now, word),
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
        self.inside.join.settle(now);
        self.inside.open_early(now, &mut self.outside.counters);
        let join = &mut self.inside.join;
        self.links.ring.put(&mut join.held.queue);
        self.behind = !join.held.is_empty();
        while let Some(transmit) = join.poll_transmit() {
            self.outside.transmit(now, join, &transmit);
        }
        let Outside { sockets, send, counters, .. } = &mut self.outside;
        send.flush(sockets, counters);
        self.note_unsent(now);
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
        if self.join.tape.is_some() {
            self.join.tape_received(now, path, kind, bytes);
        }
        match kind {
            Kind::Keepalive => counters.keepalives_in += 1,
            Kind::Runt => counters.runts += 1,
            Kind::Ike { .. } if behind => counters.ike_held_off += 1,
            Kind::Ike { .. } => {
                self.join.hear_ike(now, path, bytes);
                self.open_early(now, counters);
            }
            Kind::Esp { .. } => self.open(now, path, bytes, counters),
        }
    }

    fn open_early(&mut self, now: Nanos, counters: &mut IoCounters) {
        while let Some((path, mut bytes)) = self.join.poll_early() {
            self.open(now, path, &mut bytes, counters);
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
