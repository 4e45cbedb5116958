//! One stream: a socket, what was read of it, and what waits to be written.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use mobike_ike::{Nanos, Path, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::frames::{Frames, PREFIX, write_message};
use super::limits;
use crate::sys;

/// Whose it is, who opened it, how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// We open it for the SA in this place.
    Connecting(u32),
    /// We opened it for the SA in this place.
    Opened(u32),
    /// The other end opened it; the place of the SA that uses it, once one does.
    Accepted(Option<u32>),
}

/// What became of something to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It waits to be written.
    Taken,
    /// So much waits that it was dropped.
    Full,
    /// So much waits that the stream is of no use.
    Stuck,
}

#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    pub(crate) path: Path,
    pub(crate) stage: Stage,
    pub(crate) frames: Frames,
    out: Vec<u8>,
    written: usize,
    /// When it began, or was in use last.
    pub(crate) used: Nanos,
    /// An IKE SA was there on it.
    pub(crate) proven: bool,
    /// Since when it owes the rest of a message.
    pub(crate) midway: Option<Nanos>,
    /// The kernel is asked to say when it takes more.
    pub(crate) waits_to_write: bool,
    /// Its cable is pulled.
    pub(crate) unplugged: bool,
}

/// What the kernel holds of a stream that the peer does not read.
const SEND_BUFFER: usize = 256 << 10;

impl Stream {
    /// Begin to open one.
    pub(crate) fn connect(now: Nanos, path: Path, place: u32) -> io::Result<Stream> {
        let socket = Socket::new(Domain::for_address(path.remote), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // The kernel chooses the port when it knows the destination: many streams may leave from one address.
        let no_port: libc::c_int = 1;
        // SAFETY: the option value is the four bytes of `no_port`; the descriptor is open.
        sys::check(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_IP,
                libc::IP_BIND_ADDRESS_NO_PORT,
                (&raw const no_port).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        })?;
        socket.bind(&SocketAddr::new(path.local.ip(), 0).into())?;
        match socket.connect(&path.remote.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        Ok(Stream::new(now, socket, path, Stage::Connecting(place), Frames::default()))
    }

    /// One that was accepted. `None` if it ended already.
    pub(crate) fn accepted(now: Nanos, socket: Socket, remote: SocketAddr) -> Option<Stream> {
        socket.set_nonblocking(true).ok()?;
        let local = socket.local_addr().ok()?.as_socket()?;
        let path = Path { local, remote, transport: Transport::Tcp };
        Some(Stream::new(now, socket, path, Stage::Accepted(None), Frames::behind_prefix()))
    }

    fn new(now: Nanos, socket: Socket, path: Path, stage: Stage, frames: Frames) -> Stream {
        tune(&socket);
        let owes = matches!(stage, Stage::Accepted(_)).then_some(now);
        Stream {
            socket,
            path,
            stage,
            frames,
            out: Vec::new(),
            written: 0,
            used: now,
            proven: false,
            midway: owes,
            waits_to_write: matches!(stage, Stage::Connecting(_)),
            unplugged: false,
        }
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// It should be open now. Is it? The prefix goes first.
    pub(crate) fn finish_connecting(&mut self) -> bool {
        let Stage::Connecting(place) = self.stage else { return true };
        if !matches!(self.socket.take_error(), Ok(None)) || self.socket.peer_addr().is_err() {
            return false;
        }
        self.stage = Stage::Opened(place);
        self.out.extend_from_slice(&PREFIX);
        true
    }

    /// Read what is there, as much as `scratch` takes. `false`: it ended.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> bool {
        match (&self.socket).read(scratch) {
            Ok(0) => false,
            Ok(read) => {
                self.frames.put(scratch.get(..read).unwrap_or_default());
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Messages were taken, `any` at all: what is left has begun, before or just now.
    pub(crate) fn note_taken(&mut self, now: Nanos, any: bool) {
        self.midway = match self.frames.is_midway() {
            false => None,
            true if any => Some(now),
            true => self.midway.or(Some(now)),
        };
    }

    /// Let this wait to be written.
    pub(crate) fn put(&mut self, esp: bool, parts: &[&[u8]]) -> Put {
        let waiting = self.out.len() - self.written;
        if waiting >= limits::MOST_WAITING {
            return Put::Stuck;
        }
        if esp && waiting >= limits::MOST_ESP {
            return Put::Full;
        }
        if write_message(&mut self.out, parts) { Put::Taken } else { Put::Full }
    }

    /// Write what the kernel takes. `Some(all)`; `None`: it ended.
    pub(crate) fn write(&mut self) -> Option<bool> {
        while self.written < self.out.len() {
            match (&self.socket).write(self.out.get(self.written..).unwrap_or_default()) {
                Ok(0) => return None,
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.out.drain(..self.written);
                    self.written = 0;
                    return Some(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        self.out.clear();
        self.out.shrink_to(limits::MOST_ESP);
        self.written = 0;
        Some(true)
    }
}

/// Best effort: a stream that is not tuned works.
fn tune(socket: &Socket) {
    let tuned = SockRef::from(socket);
    let _ = tuned.set_tcp_nodelay(true);
    let _ = tuned.set_send_buffer_size(SEND_BUFFER);
    // Peers that vanish without a word; IKE notices sooner where it tests at all.
    let alive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10));
    let _ = tuned.set_tcp_keepalive(&alive);
}
