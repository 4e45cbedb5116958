//! Between `SocketAddr` and what the kernel writes: socket addresses, and the control messages that carry ours.

use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for one packet-info control message of either family (40 bytes for IPv6), aligned for `cmsghdr`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(crate) struct Control(pub(crate) [u8; 64]);

impl Control {
    pub(crate) const EMPTY: Control = Control([0; 64]);
}

/// A zeroed address; its family, AF_UNSPEC, is one that [`read_addr`] refuses.
pub(crate) fn no_addr() -> libc::sockaddr_storage {
    // SAFETY: sockaddr_storage is plain integers; all zeros is a value of it.
    unsafe { mem::zeroed() }
}

/// Write `addr` for the kernel; returns its length.
pub(crate) fn write_addr(addr: SocketAddr, to: &mut libc::sockaddr_storage) -> libc::socklen_t {
    match addr {
        SocketAddr::V4(addr) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: addr.port().to_be(),
                sin_addr: in_addr(*addr.ip()),
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is made to hold any socket address, with its alignment.
            unsafe { std::ptr::from_mut(to).cast::<libc::sockaddr_in>().write(raw) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(addr) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: addr.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
                sin6_scope_id: addr.scope_id(),
            };
            // SAFETY: as above.
            unsafe { std::ptr::from_mut(to).cast::<libc::sockaddr_in6>().write(raw) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// Read what the kernel wrote.
pub(crate) fn read_addr(from: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(from.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds a sockaddr_in; any bytes are a value of it.
            let raw = unsafe { std::ptr::from_ref(from).cast::<libc::sockaddr_in>().read() };
            Some(SocketAddrV4::new(ip4(raw.sin_addr), u16::from_be(raw.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the storage holds a sockaddr_in6; any bytes are a value of it.
            let raw = unsafe { std::ptr::from_ref(from).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), 0, raw.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Find the destination address among the control messages of a received datagram.
pub(crate) fn destination(message: &libc::msghdr, port: u16) -> Option<SocketAddr> {
    // SAFETY: `message` is as recvmmsg left it: control pointer and length describe memory that is alive and that the
    // kernel filled; the CMSG macros stay within it.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() };
    while let Some(header) = next {
        // SAFETY: a header found by the macros has its data behind it.
        let data = unsafe { libc::CMSG_DATA(header) };
        match (header.cmsg_level, header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: the kernel puts an in_pktinfo into a message of this type; it may be unaligned.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                return unicast(SocketAddrV4::new(ip4(info.ipi_addr), port).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: the kernel puts an in6_pktinfo into a message of this type; it may be unaligned.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let scope = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                return unicast(SocketAddrV6::new(ip, port, 0, scope).into());
            }
            _ => {}
        }
        // SAFETY: as for the first header.
        next = unsafe { libc::CMSG_NXTHDR(message, header).as_ref() };
    }
    None
}

/// Find what went wrong with a datagram of ours among the control messages that come with it.
pub(crate) fn extended_error(message: &libc::msghdr) -> Option<libc::sock_extended_err> {
    // SAFETY: `message` is as recvmsg left it: control pointer and length describe memory that is alive and that the kernel
    // filled; the CMSG macros stay within it.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() };
    while let Some(header) = next {
        if matches!(
            (header.cmsg_level, header.cmsg_type),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        ) {
            // SAFETY: the kernel puts a sock_extended_err into a message of this type; it may be unaligned.
            return Some(unsafe { libc::CMSG_DATA(header).cast::<libc::sock_extended_err>().read_unaligned() });
        }
        // SAFETY: as for the first header.
        next = unsafe { libc::CMSG_NXTHDR(message, header).as_ref() };
    }
    None
}

/// IKE is spoken to one peer at a time.
fn unicast(addr: SocketAddr) -> Option<SocketAddr> {
    let broadcast = addr.ip() == IpAddr::V4(Ipv4Addr::BROADCAST);
    (!broadcast && !addr.ip().is_multicast()).then_some(addr)
}

/// Ask the kernel to send from `source`: writes the control message, returns its length; 0 leaves the choice to it.
pub(crate) fn write_source(source: SocketAddr, control: &mut Control) -> usize {
    if source.ip().is_unspecified() {
        return 0;
    }
    match source {
        SocketAddr::V4(source) => {
            let address = in_addr(*source.ip());
            let info =
                libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED) };
            put(control, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        SocketAddr::V6(source) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: source.ip().octets() },
                ipi6_ifindex: source.scope_id(),
            };
            put(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

fn put<T>(control: &mut Control, level: libc::c_int, kind: libc::c_int, info: T) -> usize {
    const { assert!(size_of::<libc::cmsghdr>() + 2 * size_of::<usize>() + size_of::<T>() <= size_of::<Control>()) };
    let header = control.0.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: `control` is aligned for a cmsghdr and, as asserted, holds the header and the data behind it.
    unsafe {
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<T>() as libc::c_uint) as _;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(info);
        libc::CMSG_SPACE(size_of::<T>() as libc::c_uint) as usize
    }
}

fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

fn ip4(raw: libc::in_addr) -> Ipv4Addr {
    Ipv4Addr::from(raw.s_addr.to_ne_bytes())
}
