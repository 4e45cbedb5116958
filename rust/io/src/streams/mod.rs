//! TCP streams that carry IKE and ESP (RFC 9329), of one shard. Whose they are is told by the engine.
//!
//! ```text
//! frames    messages in octets       one      a socket and its buffers
//! limits    what streams may cost    epoll    which are ready          sweep    which are of no use any more
//! ```
//!
//! What is promised: nothing waits for a peer that does not read, or does not go on writing; what a stranger can make grow
//! has a limit; whoever opened a stream is the only one to open another in its place.

pub(crate) mod epoll;
pub mod frames;
pub mod limits;
pub(crate) mod one;
mod sweep;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use mobike_ike::{Nanos, Path};
use socket2::{Domain, Protocol, Socket, Type};

use self::epoll::{Epoll, Interest, Ready};
use self::limits::Strangers;
use self::one::{Put, Stage, Stream};
use crate::counters::IoCounters;
use crate::sys;

/// Streams of one shard.
#[derive(Debug)]
pub(crate) struct Streams {
    epoll: Epoll,
    listeners: Vec<Socket>,
    /// No descriptor was left: listeners rest until the next sweep.
    resting: bool,
    places: Vec<Place>,
    free: Vec<u32>,
    /// A part of 1/`shards` of this process's descriptors is for streams here.
    shards: usize,
    /// So many, once it was asked for: whoever opens none needs no more descriptors than it has.
    most: Option<usize>,
    /// Those that others opened, by their four-tuple.
    accepted: HashMap<Path, u64>,
    /// Those that we opened, by path and the place of their IKE SA.
    opened: HashMap<(Path, u32), u64>,
    /// When one was opened last, so that none is opened at the speed of a network that refuses.
    tried: HashMap<(Path, u32), Nanos>,
    strangers: Strangers,
    /// Something waits to be written there.
    dirty: Vec<u64>,
    swept: Nanos,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    stream: Option<Stream>,
}

/// What happened to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// One of ours is open.
    Opened(u32, Path),
    /// One that we opened ended.
    Lost(u32, Path),
    /// Something was read.
    Read(u64),
}

/// What is to be sent over a stream.
pub(crate) struct Letter<'a> {
    pub(crate) path: Path,
    /// Where the IKE SA sits that sends it.
    pub(crate) place: u32,
    pub(crate) parts: &'a [&'a [u8]],
    pub(crate) esp: bool,
    /// It went this way before.
    pub(crate) again: bool,
}

const LISTENERS: u64 = u64::MAX - 1024;

impl Streams {
    /// Those that come in at `listen`, and those that we open.
    pub(crate) fn new(listen: &[SocketAddr], shards: u8) -> io::Result<Streams> {
        let epoll = Epoll::new()?;
        let listeners = listen.iter().map(|at| listener(*at, shards > 1)).collect::<io::Result<Vec<_>>>()?;
        for (key, socket) in (LISTENERS..).zip(&listeners) {
            epoll.add(socket.as_raw_fd(), key, Interest::Read)?;
        }
        Ok(Streams {
            epoll,
            listeners,
            resting: false,
            places: Vec::new(),
            free: Vec::new(),
            shards: shards.into(),
            most: None,
            accepted: HashMap::new(),
            opened: HashMap::new(),
            tried: HashMap::new(),
            strangers: Strangers::default(),
            dirty: Vec::new(),
            swept: Nanos(0),
        })
    }

    /// Readable while there is something to do.
    pub(crate) fn fd(&self) -> RawFd {
        self.epoll.fd()
    }

    fn get(&mut self, key: u64) -> Option<&mut Stream> {
        let place = self.places.get_mut(key as u32 as usize)?;
        if u64::from(place.generation) == key >> 32 { place.stream.as_mut() } else { None }
    }

    fn is_strange(&self, key: u64) -> bool {
        let place = self.places.get(key as u32 as usize).filter(|place| u64::from(place.generation) == key >> 32);
        let stream = place.and_then(|place| place.stream.as_ref());
        stream.is_some_and(|stream| !stream.proven && matches!(stream.stage, Stage::Accepted(_)))
    }

    fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn most(&mut self) -> usize {
        let shards = self.shards;
        *self.most.get_or_insert_with(|| (sys::descriptors() / shards * 3 / 4).min(limits::MOST))
    }

    fn add(&mut self, stream: Stream, interest: Interest) -> Option<u64> {
        if self.len() >= self.most() {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() as u32 - 1
        });
        let place = self.places.get_mut(index as usize)?;
        let key = u64::from(place.generation) << 32 | u64::from(index);
        if self.epoll.add(stream.fd(), key, interest).is_err() {
            self.free.push(index);
            return None;
        }
        match stream.stage {
            Stage::Connecting(owner) | Stage::Opened(owner) => self.opened.insert((stream.path, owner), key),
            Stage::Accepted(_) => self.accepted.insert(stream.path, key),
        };
        if matches!(stream.stage, Stage::Accepted(_)) && !stream.proven {
            self.strangers.add(key, stream.path.remote.ip());
        }
        place.stream = Some(stream);
        Some(key)
    }

    /// Take it out; the socket is closed when what comes back is dropped.
    fn remove(&mut self, key: u64) -> Option<Stream> {
        let strange = self.is_strange(key);
        self.get(key)?;
        let place = self.places.get_mut(key as u32 as usize)?;
        let stream = place.stream.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key as u32);
        self.epoll.remove(stream.fd());
        match stream.stage {
            Stage::Connecting(owner) | Stage::Opened(owner) => self.opened.remove(&(stream.path, owner)),
            Stage::Accepted(_) => self.accepted.remove(&stream.path),
        };
        if strange {
            self.strangers.remove(stream.path.remote.ip());
        }
        Some(stream)
    }

    /// It ended, or is of no use.
    fn end(&mut self, key: u64, counters: &mut IoCounters) -> Option<News> {
        let stream = self.remove(key)?;
        counters.streams_ended += 1;
        match stream.stage {
            Stage::Opened(owner) => Some(News::Lost(owner, stream.path)),
            Stage::Connecting(_) => {
                counters.streams_not_opened += 1;
                None
            }
            Stage::Accepted(_) => None,
        }
    }

    /// Look at those that are ready.
    pub(crate) fn look(&mut self, now: Nanos, scratch: &mut [u8], counters: &mut IoCounters) -> Vec<News> {
        let (mut ready, mut news) = (Vec::new(), Vec::new());
        self.epoll.ready(&mut ready);
        for one in ready {
            if one.key >= LISTENERS {
                self.accept(now, (one.key - LISTENERS) as usize, counters);
            } else if let Some(what) = self.look_at(one, scratch, counters) {
                news.push(what);
            }
        }
        news
    }

    fn look_at(&mut self, ready: Ready, scratch: &mut [u8], counters: &mut IoCounters) -> Option<News> {
        let key = ready.key;
        let stream = self.get(key)?;
        if stream.unplugged {
            return None;
        }
        if let Stage::Connecting(owner) = stream.stage {
            let path = stream.path;
            if !ready.write {
                return None;
            }
            if !stream.finish_connecting() {
                return self.end(key, counters);
            }
            counters.streams_opened += 1;
            return match self.write(key, counters) {
                Ok(()) => Some(News::Opened(owner, path)),
                Err(lost) => lost,
            };
        }
        if ready.write
            && let Err(lost) = self.write(key, counters)
        {
            return lost;
        }
        let stream = self.get(key)?;
        if ready.read && !stream.read(scratch) {
            return self.end(key, counters);
        }
        Some(News::Read(key))
    }

    fn accept(&mut self, now: Nanos, listener: usize, counters: &mut IoCounters) {
        for _ in 0..limits::ACCEPTS {
            let Some(listening) = self.listeners.get(listener) else { return };
            match listening.accept() {
                Ok((socket, remote)) => match remote.as_socket() {
                    Some(remote) => self.admit(now, socket, remote, counters),
                    None => counters.streams_refused += 1,
                },
                Err(error) => {
                    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
                    {
                        counters.streams_refused += 1;
                        self.rest();
                    }
                    return;
                }
            }
        }
    }

    fn admit(&mut self, now: Nanos, socket: Socket, remote: SocketAddr, counters: &mut IoCounters) {
        if !self.strangers.may_come(remote.ip()) {
            counters.streams_refused += 1;
            return;
        }
        let mut strangers = std::mem::take(&mut self.strangers);
        let oldest = strangers.oldest(|key| self.is_strange(key));
        self.strangers = strangers;
        if let Some(oldest) = oldest {
            counters.streams_refused += 1;
            self.end(oldest, counters);
        }
        match Stream::accepted(now, socket, remote).and_then(|stream| self.add(stream, Interest::Read)) {
            Some(_) => counters.streams_accepted += 1,
            None => counters.streams_refused += 1,
        }
    }

    /// The next message of this stream, and where it came from. `Err`: the stream is over.
    pub(crate) fn message(
        &mut self,
        key: u64,
        counters: &mut IoCounters,
    ) -> Result<Option<(Path, &mut [u8])>, Option<News>> {
        let Some(stream) = self.get(key) else { return Ok(None) };
        if stream.frames.check().is_err() {
            counters.streams_corrupt += 1;
            return Err(self.end(key, counters));
        }
        let Some(stream) = self.get(key) else { return Ok(None) };
        let path = stream.path;
        Ok(stream.frames.next_message().ok().flatten().map(|message| (path, message)))
    }

    /// All its messages were taken, `any` at all.
    pub(crate) fn note_taken(&mut self, now: Nanos, key: u64, any: bool) {
        if let Some(stream) = self.get(key) {
            stream.note_taken(now, any);
        }
    }

    /// A stream that is nobody's yet, with its latest message of so many octets: for another shard.
    pub(crate) fn give_away(&mut self, key: u64, latest: usize) -> Option<Stream> {
        let stream = self.get(key)?;
        if stream.stage != Stage::Accepted(None) {
            return None;
        }
        stream.frames.put_back(latest);
        self.remove(key)
    }

    /// One that another shard gave away.
    pub(crate) fn take_over(&mut self, stream: Stream, counters: &mut IoCounters) -> Option<u64> {
        let key = self.add(stream, Interest::Read);
        counters.streams_refused += u64::from(key.is_none());
        key
    }

    /// The SA in this place may be on it.
    pub(crate) fn note_owner(&mut self, key: u64, place: u32) {
        if let Some(Stream { stage: stage @ Stage::Accepted(_), .. }) = self.get(key) {
            *stage = Stage::Accepted(Some(place));
        }
    }

    /// Send it over the stream of its path, if that is open. `may_open`: else open one. What is sent meanwhile is dropped:
    /// the engine sends it when it hears that the stream is open.
    pub(crate) fn send(
        &mut self,
        now: Nanos,
        letter: &Letter<'_>,
        may_open: impl FnOnce() -> bool,
        counters: &mut IoCounters,
    ) -> Option<News> {
        let owned = (letter.path, letter.place);
        let Some(key) = self.accepted.get(&letter.path).or_else(|| self.opened.get(&owned)).copied() else {
            counters.send_no_stream += 1;
            if !letter.esp && may_open() {
                self.open(now, letter.path, letter.place, counters);
            }
            return None;
        };
        let stream = self.get(key)?;
        if matches!(stream.stage, Stage::Connecting(_)) {
            counters.send_no_stream += 1;
            return None;
        }
        if letter.again {
            counters.stream_repeats_spared += 1;
            return None;
        }
        match stream.put(letter.esp, letter.parts) {
            Put::Taken => {
                counters.datagrams_out += 1;
                counters.bytes_out += letter.parts.iter().map(|part| part.len() as u64).sum::<u64>();
                if self.dirty.last() != Some(&key) {
                    self.dirty.push(key);
                }
                None
            }
            Put::Full => {
                counters.send_stream_full += 1;
                None
            }
            Put::Stuck => self.end(key, counters),
        }
    }

    fn open(&mut self, now: Nanos, path: Path, place: u32, counters: &mut IoCounters) {
        if self.tried.get(&(path, place)).is_some_and(|last| now.since(*last) < limits::PAUSE) {
            return;
        }
        self.tried.insert((path, place), now);
        let opening = Stream::connect(now, path, place).ok().and_then(|stream| self.add(stream, Interest::Both));
        counters.streams_not_opened += u64::from(opening.is_none());
    }

    /// Write what waits; what is not taken now is written when the kernel says so.
    pub(crate) fn flush(&mut self, counters: &mut IoCounters) -> Vec<News> {
        let mut news = Vec::new();
        for key in std::mem::take(&mut self.dirty) {
            if let Err(lost) = self.write(key, counters) {
                news.extend(lost);
            }
        }
        news
    }

    fn write(&mut self, key: u64, counters: &mut IoCounters) -> Result<(), Option<News>> {
        let Some(stream) = self.get(key).filter(|stream| !stream.unplugged) else { return Ok(()) };
        let Some(all) = stream.write() else { return Err(self.end(key, counters)) };
        if stream.waits_to_write == all {
            stream.waits_to_write = !all;
            let (fd, interest) = (stream.fd(), if all { Interest::Read } else { Interest::Both });
            let _ = self.epoll.change(fd, key, interest);
        }
        Ok(())
    }

    /// The cable of this address is pulled, or plugged in again: as with a real one, streams stand still.
    pub(crate) fn plug(&mut self, address: IpAddr, up: bool) {
        for (index, place) in self.places.iter_mut().enumerate() {
            let Some(stream) = place.stream.as_mut().filter(|stream| stream.path.local.ip() == address) else {
                continue;
            };
            stream.unplugged = !up;
            let key = u64::from(place.generation) << 32 | index as u64;
            let _ = self.epoll.change(stream.fd(), key, if up { Interest::Both } else { Interest::Nothing });
            stream.waits_to_write = up;
        }
    }
}

fn listener(at: SocketAddr, shared: bool) -> io::Result<Socket> {
    const WAITING: i32 = 1024;
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    socket.listen(WAITING)?;
    Ok(socket)
}
