//! What routers and hosts say of our datagrams: ICMP errors, which the kernel keeps in the error queue of the socket that
//! the datagram left by.
//!
//! ```text
//! cannot be delivered     to the engine, with what is quoted: it brings a test forward, at most (RFC 4555 section 3.5)
//! too long for its path   the kernel has noted the new width; we ask it for that sooner
//! all else                counted
//! ```
//!
//! A neighbour that does not answer is told of in the same way: the kernel sends the error to itself.

use std::io;
use std::mem;

use mobike_ike::Path;

use crate::counters::IoCounters;
use crate::sockaddr;
use crate::socket::UdpSocket;

/// Errors read from one socket in one turn; the queue is as long as the receive buffer, and poll tells of the rest.
pub(crate) const ERRORS: usize = 64;

/// Octets of a quoted datagram that anybody here looks at: marker and IKE header.
const QUOTED: usize = 32;

/// What one error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Unreachable,
    TooBig,
}

/// Somebody complains.
pub(crate) struct Grumble {
    pub(crate) says: Says,
    /// The way of the datagram.
    pub(crate) path: Path,
    quoted: [u8; QUOTED],
    length: usize,
}

impl Grumble {
    /// The beginning of the datagram, behind its UDP header; routers quote more or less of it.
    pub(crate) fn quoted(&self) -> &[u8] {
        self.quoted.get(..self.length).unwrap_or_default()
    }
}

/// The next error of this socket that means something to us; `None` if there is no more, or we have read enough.
pub(crate) fn next(socket: &UdpSocket, left: &mut usize, counters: &mut IoCounters) -> Option<Grumble> {
    while *left > 0 {
        *left -= 1;
        match receive(socket) {
            Ok(Some(grumble)) => {
                *match grumble.says {
                    Says::Unreachable => &mut counters.icmp_unreachable,
                    Says::TooBig => &mut counters.icmp_too_big,
                } += 1;
                return Some(grumble);
            }
            Ok(None) => counters.icmp_ignored += 1,
            // Read to its end.
            Err(_) => return None,
        }
    }
    None
}

/// Room for the error with its reporter, and for the address that it came to.
#[repr(C, align(8))]
struct Control([u8; 192]);

fn receive(socket: &UdpSocket) -> io::Result<Option<Grumble>> {
    let mut quoted = [0; QUOTED];
    let mut name = sockaddr::no_addr();
    let mut control = Control([0; 192]);
    let mut vector = libc::iovec { iov_base: quoted.as_mut_ptr().cast(), iov_len: QUOTED };
    // SAFETY: integers and pointers only; zero and null are values of them.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: name, vector, buffer and control are alive until the call returns, and their lengths are the true ones.
    let got = unsafe { libc::recvmsg(socket.fd(), &raw mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    let length = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    let read = || {
        let says = meaning(&sockaddr::extended_error(&message)?)?;
        let local = sockaddr::destination(&message, socket.listens().port())?;
        let remote = sockaddr::read_addr(&name)?;
        Some(Grumble { says, path: Path::udp(local, remote), quoted, length: length.min(QUOTED) })
    };
    Ok(read())
}

/// By type and code (RFC 792, RFC 1191, RFC 4443). What the kernel finds wrong by itself is told when the datagram is sent.
fn meaning(error: &libc::sock_extended_err) -> Option<Says> {
    match (error.ee_origin, error.ee_type, error.ee_code) {
        (libc::SO_EE_ORIGIN_ICMP, 3, 4) | (libc::SO_EE_ORIGIN_ICMP6, 2, _) => Some(Says::TooBig),
        // Destination unreachable, or the packets go round in circles.
        (libc::SO_EE_ORIGIN_ICMP, 3, _) | (libc::SO_EE_ORIGIN_ICMP, 11, 0) => Some(Says::Unreachable),
        (libc::SO_EE_ORIGIN_ICMP6, 1, _) | (libc::SO_EE_ORIGIN_ICMP6, 3, 0) => Some(Says::Unreachable),
        _ => None,
    }
}
