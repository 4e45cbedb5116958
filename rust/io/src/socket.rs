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

    /// What IKE says passes in the clear, whatever policies the kernel has: it would wait for itself.
    ///
    /// # Errors
    /// The kernel's: it has no IPsec, or we may not.
    pub(crate) fn pass_policies(&self) -> io::Result<()> {
        for direction in [xfrm::IN, xfrm::OUT] {
            let (level, option, family) = match self.listens {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, xfrm::IP_XFRM_POLICY, libc::AF_INET),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, xfrm::IPV6_XFRM_POLICY, libc::AF_INET6),
            };
            set_octets(&self.socket, level, option, &xfrm::pass(family as u16, direction))?;
        }
        Ok(())
    }

    /// ESP in UDP that comes in here is the kernel's (RFC 3948); IKE is still ours, its marker in front.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn leave_esp_to_kernel(&self) -> io::Result<()> {
        set(&self.socket, libc::IPPROTO_UDP, xfrm::UDP_ENCAP, xfrm::UDP_ENCAP_ESPINUDP)
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
    set_octets(socket, level, option, &value.to_ne_bytes())
}

fn set_octets(socket: &Socket, level: libc::c_int, option: libc::c_int, value: &[u8]) -> io::Result<()> {
    let length = value.len() as libc::socklen_t;
    // SAFETY: the option value is the octets of `value`; the descriptor is open.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.as_ptr().cast(), length) };
    sys::check(result).map(drop)
}

/// What of the kernel's IPsec concerns sockets: names of linux/udp.h, linux/in.h and linux/xfrm.h.
mod xfrm {
    pub(super) const UDP_ENCAP: libc::c_int = 100;
    pub(super) const UDP_ENCAP_ESPINUDP: libc::c_int = 2;
    pub(super) const IP_XFRM_POLICY: libc::c_int = 17;
    pub(super) const IPV6_XFRM_POLICY: libc::c_int = 35;
    /// XFRM_POLICY_IN.
    pub(super) const IN: u8 = 0;
    /// XFRM_POLICY_OUT.
    pub(super) const OUT: u8 = 1;

    /// `struct xfrm_userpolicy_info`: a selector of 56 octets, lifetimes of 96, priority, index, and then the direction.
    const LENGTH: usize = 168;
    const FAMILY: usize = 40;
    const DIRECTION: usize = 160;

    /// A policy of a socket that lets everything pass as it is: all zeros is "allow", without templates.
    pub(super) fn pass(family: u16, direction: u8) -> [u8; LENGTH] {
        let mut policy = [0; LENGTH];
        policy[FAMILY..FAMILY + 2].copy_from_slice(&family.to_ne_bytes());
        policy[DIRECTION] = direction;
        policy
    }
}
