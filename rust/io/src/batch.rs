//! Many datagrams per system call: recvmmsg and sendmmsg over buffers that are used again and again.

use std::mem;
use std::time::Duration;

use mobike_ike::Path;

use crate::counters::IoCounters;
use crate::sockaddr::{self, Control};
use crate::socket::{self, UdpSocket};
use crate::sys;

/// Datagrams per system call.
pub const BATCH: usize = 64;
/// Bytes of the largest datagram.
pub const DATAGRAM: usize = 65_535;
/// Distance of buffers. Whole pages apart all would fight for the same lines of the cache. Pages that no datagram
/// reached are never touched, so the 4 MiB are mostly not there.
const STRIDE: usize = 65_536 + 192;
/// Datagrams asked for when few come.
const FEW: usize = 4;
/// An error of an older datagram (ICMP) makes a call fail in its place. So what fails for such a reason is tried again; so
/// often, since more of them may come meanwhile.
const AGAIN: u32 = 3;
/// How long a full send buffer is waited for, once per flush, before the rest is dropped; peers and inner traffic
/// repeat what matters, and a shard that waits longer is deaf.
const PATIENCE: Duration = Duration::from_millis(1);

/// Buffers and headers for receiving.
pub struct ReceiveBatch {
    bytes: Box<[u8]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    /// How many to ask for next: laying out headers for a full batch costs more than receiving one datagram.
    ask: usize,
}

impl ReceiveBatch {
    /// Room for [`BATCH`] datagrams.
    #[must_use]
    pub fn new() -> ReceiveBatch {
        ReceiveBatch {
            bytes: vec![0; BATCH * STRIDE].into_boxed_slice(),
            names: vec![sockaddr::no_addr(); BATCH].into_boxed_slice(),
            controls: vec![Control::EMPTY; BATCH].into_boxed_slice(),
            headers: vec![no_header(); BATCH].into_boxed_slice(),
            vectors: vec![no_vector(); BATCH].into_boxed_slice(),
            ask: BATCH,
        }
    }

    /// Receive what is there, at most [`BATCH`]; the number received. Never waits.
    pub fn receive(&mut self, socket: &UdpSocket, counters: &mut IoCounters) -> usize {
        for (index, buffer) in self.bytes.chunks_mut(STRIDE).take(self.ask).enumerate() {
            self.vectors[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: DATAGRAM };
            let mut header = no_header();
            header.msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut self.vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = (&raw mut self.controls[index]).cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
            self.headers[index] = header;
        }
        let mut again = AGAIN;
        let got = loop {
            // SAFETY: each header points to a name, a vector, a buffer and a control of its own, with their true lengths;
            // all are alive and not moved until the call returns.
            let got = unsafe {
                libc::recvmmsg(
                    socket.fd(),
                    self.headers.as_mut_ptr(),
                    self.ask as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            };
            if got >= 0 || matches!(sys::errno(), libc::EAGAIN | libc::EINTR) {
                break usize::try_from(got).unwrap_or(0);
            }
            counters.receive_errors += 1;
            again -= 1;
            if again == 0 {
                break 0;
            }
        };
        self.ask = if got == self.ask { BATCH } else { (2 * got).clamp(FEW, BATCH) };
        got
    }

    /// The datagram at `index` of the last receive: the path it took seen from here, and its bytes. `None` if it was cut off
    /// or came without usable addresses.
    pub fn datagram(&mut self, index: usize, port: u16) -> Option<(Path, &mut [u8])> {
        let header = self.headers.get(index)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let local = sockaddr::destination(&header.msg_hdr, port)?;
        let path = Path::udp(local, sockaddr::read_addr(self.names.get(index)?)?);
        let length = header.msg_len as usize;
        Some((path, self.bytes.get_mut(index * STRIDE..index * STRIDE + length)?))
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Datagrams on their way out: written straight into their buffers, sent together.
pub struct SendBatch {
    bytes: Box<[u8]>,
    queued: Vec<Queued>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    headers: Vec<libc::mmsghdr>,
    /// Which datagram each header is about.
    order: Vec<usize>,
    vectors: Box<[libc::iovec]>,
    unsent: Vec<Unsent>,
}

/// How a datagram began that this host has no way for.
#[derive(Debug)]
pub struct Unsent {
    /// Where it should have gone.
    pub path: Path,
    /// As much of it as names an IKE SA.
    pub head: Box<[u8]>,
}

/// Octets kept of a datagram that did not leave: a marker and the header of an IKE message.
const HEAD: usize = 32;

#[derive(Clone, Copy)]
struct Queued {
    socket: usize,
    path: Path,
    length: usize,
}

impl SendBatch {
    /// Room for [`BATCH`] datagrams.
    #[must_use]
    pub fn new() -> SendBatch {
        SendBatch {
            bytes: vec![0; BATCH * STRIDE].into_boxed_slice(),
            queued: Vec::with_capacity(BATCH),
            names: vec![sockaddr::no_addr(); BATCH].into_boxed_slice(),
            controls: vec![Control::EMPTY; BATCH].into_boxed_slice(),
            headers: Vec::with_capacity(BATCH),
            order: Vec::with_capacity(BATCH),
            vectors: vec![no_vector(); BATCH].into_boxed_slice(),
            unsent: Vec::new(),
        }
    }

    /// What this host had no way for, in flushes since this was asked last; no more than a batch of them.
    pub fn take_unsent(&mut self) -> Vec<Unsent> {
        mem::take(&mut self.unsent)
    }

    /// No datagram fits until [`SendBatch::flush`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queued.len() == BATCH
    }

    /// The buffer of the next datagram, [`DATAGRAM`] bytes; empty when full. It counts once it is pushed.
    pub fn buffer(&mut self) -> &mut [u8] {
        let at = self.queued.len() * STRIDE;
        self.bytes.get_mut(at..at + DATAGRAM).unwrap_or_default()
    }

    /// The first `length` bytes of [`SendBatch::buffer`] go over `path`. Flush before it is full.
    pub fn push(&mut self, sockets: &[UdpSocket], path: Path, length: usize, counters: &mut IoCounters) {
        let Some(socket) = socket::find(sockets, path.local) else {
            counters.send_no_socket += 1;
            return;
        };
        if self.is_full() || length > DATAGRAM {
            counters.send_other += 1;
            return;
        }
        self.queued.push(Queued { socket, path, length });
    }

    /// Send everything. What the kernel refuses is counted with its reason and forgotten; the others still go.
    pub fn flush(&mut self, sockets: &[UdpSocket], counters: &mut IoCounters) {
        if self.queued.is_empty() {
            return;
        }
        let mut patient = true;
        for (index, socket) in sockets.iter().enumerate() {
            self.lay_out(index);
            self.send(socket, &mut patient, counters);
        }
        self.queued.clear();
    }

    /// Headers for what leaves by this socket, in order.
    fn lay_out(&mut self, socket: usize) {
        self.headers.clear();
        self.order.clear();
        for (index, queued) in self.queued.iter().enumerate().filter(|(_, queued)| queued.socket == socket) {
            let buffer = &mut self.bytes[index * STRIDE..index * STRIDE + queued.length];
            self.vectors[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let mut header = no_header();
            header.msg_hdr.msg_namelen = sockaddr::write_addr(queued.path.remote, &mut self.names[index]);
            header.msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            header.msg_hdr.msg_iov = &raw mut self.vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_controllen = sockaddr::write_source(queued.path.local, &mut self.controls[index]) as _;
            header.msg_hdr.msg_control = (&raw mut self.controls[index]).cast();
            self.headers.push(header);
            self.order.push(index);
        }
    }

    /// The header at this place could not be sent.
    fn keep_unsent(&mut self, place: usize) {
        let found = self.order.get(place).and_then(|index| Some((*index, *self.queued.get(*index)?)));
        let Some((index, Queued { path, length, .. })) = found else { return };
        if self.unsent.len() < BATCH {
            let head = self.bytes.get(index * STRIDE..index * STRIDE + length.min(HEAD)).unwrap_or_default();
            self.unsent.push(Unsent { path, head: Box::from(head) });
        }
    }

    /// sendmmsg stops at the first message that fails; that one is counted and the next call begins behind it. Whether it
    /// is that message which cannot leave, or news of an older one, shows when it is tried again.
    fn send(&mut self, socket: &UdpSocket, patient: &mut bool, counters: &mut IoCounters) {
        let mut place = 0;
        let mut again = AGAIN;
        while let Some(rest @ [_, ..]) = self.headers.get_mut(place..) {
            // SAFETY: `lay_out` has just filled the headers; what they point to is part of `self` and has not moved since.
            let sent = unsafe {
                libc::sendmmsg(socket.fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, libc::MSG_DONTWAIT as _)
            };
            let errno = sys::errno();
            let done = match usize::try_from(sent) {
                Ok(sent) => {
                    counters.datagrams_out += sent as u64;
                    counters.bytes_out += rest.iter().take(sent).map(|header| u64::from(header.msg_len)).sum::<u64>();
                    counters.sent_again += u64::from(again < AGAIN);
                    again = AGAIN;
                    sent
                }
                Err(_) if errno == libc::EINTR => 0,
                Err(_) if errno == libc::EAGAIN && mem::take(patient) => {
                    let mut poll = [libc::pollfd { fd: socket.fd(), events: libc::POLLOUT, revents: 0 }];
                    sys::wait(&mut poll, Some(PATIENCE));
                    0
                }
                Err(_) if again > 0 && may_be_news(errno) => {
                    again -= 1;
                    0
                }
                Err(_) => {
                    counters.not_sent(errno);
                    if has_no_way(errno) {
                        self.keep_unsent(place);
                    }
                    again = AGAIN;
                    1
                }
            };
            place += done;
        }
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Queue one datagram made of `parts`, flushing first when there is no room.
pub fn send_parts(
    batch: &mut SendBatch,
    sockets: &[UdpSocket],
    path: Path,
    parts: &[&[u8]],
    counters: &mut IoCounters,
) {
    if batch.is_full() {
        batch.flush(sockets, counters);
    }
    let buffer = batch.buffer();
    let mut length = 0;
    for part in parts {
        if let Some(room) = buffer.get_mut(length..length + part.len()) {
            room.copy_from_slice(part);
        }
        length += part.len();
    }
    batch.push(sockets, path, length, counters);
}

/// What ICMP errors are turned into.
fn may_be_news(errno: i32) -> bool {
    let unreachable = [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EHOSTDOWN, libc::ENONET];
    let other = [libc::EMSGSIZE, libc::EACCES, libc::EPROTO, libc::ENOPROTOOPT, libc::EOPNOTSUPP];
    unreachable.contains(&errno) || other.contains(&errno)
}

/// There is no route just now, or the link is down.
fn has_no_way(errno: i32) -> bool {
    [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::ENETDOWN].contains(&errno)
}

fn no_header() -> libc::mmsghdr {
    // SAFETY: integers and pointers only; zero and null are values of them.
    unsafe { mem::zeroed() }
}

fn no_vector() -> libc::iovec {
    libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }
}
