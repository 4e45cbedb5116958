//! UDP sockets that know where each datagram was sent to and that can choose where each one leaves from.
//!
//! One socket per listening address and port. On a wildcard address the kernel tells the destination of each datagram
//! (IP_PKTINFO, IPV6_RECVPKTINFO), and takes the source from us; so addresses may come and go without new sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::sys;

/// Kernel buffer of each socket, each way, in bytes: some 10,000 IKE requests, as a fleet sends after an outage. Without
/// CAP_NET_ADMIN the kernel gives what `net.core.rmem_max` and `wmem_max` allow.
pub const SOCKET_BUFFER: usize = 16 << 20;

/// One listening socket.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    listens: SocketAddr,
}

impl UdpSocket {
    /// Listen on `listens`; port 0 takes a free one. `shared`: several shards listen here and the kernel spreads peers.
    ///
    /// # Errors
    /// The kernel's, when the address cannot be had.
    pub fn bind(listens: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(listens), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        let (level, option) = match listens {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
            SocketAddr::V6(_) => {
                socket.set_only_v6(true)?;
                (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
            }
        };
        set(&socket, level, option, 1)?;
        hear_errors(&socket, listens)?;
        learn_widths(&socket, listens)?;
        enlarge(&socket);
        socket.bind(&listens.into())?;
        let listens = socket.local_addr()?.as_socket().unwrap_or(listens);
        Ok(UdpSocket { socket, listens })
    }

    /// Where it listens.
    #[must_use]
    pub fn listens(&self) -> SocketAddr {
        self.listens
    }

    /// Can a datagram with this source leave here?
    #[must_use]
    pub fn serves(&self, source: SocketAddr) -> bool {
        let own = self.listens;
        own.port() == source.port()
            && own.is_ipv4() == source.is_ipv4()
            && (own.ip().is_unspecified() || same_address(own.ip(), source.ip()))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// The socket for a source: one bound to the very address before one bound to all.
pub(crate) fn find(sockets: &[UdpSocket], source: SocketAddr) -> Option<usize> {
    let serving = |wildcard: bool| {
        sockets.iter().position(|socket| socket.listens.ip().is_unspecified() == wildcard && socket.serves(source))
    };
    serving(false).or_else(|| serving(true))
}

fn same_address(one: IpAddr, other: IpAddr) -> bool {
    other.is_unspecified() || one == other
}

/// What routers and hosts say of our datagrams is queued for `grumbles`.
fn hear_errors(socket: &Socket, listens: SocketAddr) -> io::Result<()> {
    match listens {
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        SocketAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
    }
}

/// Datagrams leave with DF set, and what is too long for a path the kernel has learned about is cut, whatever the system's
/// default is: IKE messages must get through at any length.
fn learn_widths(socket: &Socket, listens: SocketAddr) -> io::Result<()> {
    match listens {
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_WANT),
        SocketAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_WANT),
    }
}

/// Best effort: a small buffer loses datagrams that peers repeat, which is no reason not to start.
fn enlarge(socket: &Socket) {
    let size = SOCKET_BUFFER as libc::c_int;
    if set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, size).is_err() {
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    }
    if set(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, size).is_err() {
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    }
}

fn set(socket: &Socket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option value is the four bytes of `value`; the descriptor is open.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    sys::check(result).map(drop)
}
