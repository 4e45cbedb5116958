//! Where inner packets go: a TUN device, an in-process port, or nowhere.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use crate::counters::IoCounters;
use crate::packets::{PacketQueue, Packets, Pushed};
use crate::sys::Bell;
use crate::tun::Tun;

/// The in-process port: everything works without root. Both queues are bounded; what does not fit is dropped and counted,
/// as a network card would.
#[derive(Debug)]
pub(crate) struct InnerPort {
    into_tunnel: PacketQueue,
    /// Wakes the shard that reads `into_tunnel`.
    into_bell: Bell,
    out_of_tunnel: PacketQueue,
    /// Wakes whoever reads `out_of_tunnel`.
    out_bell: Bell,
}

impl InnerPort {
    pub(crate) fn new() -> io::Result<InnerPort> {
        Ok(InnerPort {
            into_tunnel: PacketQueue::default(),
            into_bell: Bell::new()?,
            out_of_tunnel: PacketQueue::default(),
            out_bell: Bell::new()?,
        })
    }

    /// Packets for the tunnel; how many fitted.
    pub(crate) fn send<'a>(&self, packets: impl IntoIterator<Item = &'a [u8]>) -> usize {
        let fitted = packets.into_iter().take_while(|packet| self.into_tunnel.push(packet) != Pushed::Full).count();
        if fitted > 0 {
            self.into_bell.ring();
        }
        fitted
    }

    /// Packets out of the tunnel. The descriptor stays readable while some are left.
    pub(crate) fn take(&self, limit: usize) -> Packets {
        self.out_bell.hush();
        let mut packets = Packets::default();
        if self.out_of_tunnel.take(limit, &mut packets) {
            self.out_bell.ring();
        }
        packets
    }

    pub(crate) fn out_fd(&self) -> RawFd {
        self.out_bell.fd()
    }
}

/// One shard's hold of it.
#[derive(Debug, Clone)]
pub(crate) enum Inner {
    Nowhere,
    Port(Arc<InnerPort>),
    Tun(Arc<Tun>),
}

impl Inner {
    /// Readable when packets wait to go into the tunnel.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        match self {
            Inner::Nowhere => None,
            Inner::Port(port) => Some(port.into_bell.fd()),
            Inner::Tun(tun) => Some(tun.fd()),
        }
    }

    /// A packet that came out of the tunnel.
    pub(crate) fn deliver(&self, packet: &[u8], counters: &mut IoCounters) {
        let counter = match self {
            Inner::Nowhere => &mut counters.inner_nowhere,
            Inner::Port(port) => match port.out_of_tunnel.push(packet) {
                Pushed::First => {
                    port.out_bell.ring();
                    &mut counters.inner_in
                }
                Pushed::Behind => &mut counters.inner_in,
                Pushed::Full => &mut counters.inner_full,
            },
            Inner::Tun(tun) if tun.write(packet) => &mut counters.inner_in,
            Inner::Tun(_) => &mut counters.inner_refused,
        };
        *counter += 1;
    }

    /// Fill `to` with at most `limit` packets for the tunnel.
    pub(crate) fn collect(&self, limit: usize, scratch: &mut [u8], to: &mut Packets) {
        match self {
            Inner::Nowhere => {}
            Inner::Port(port) => {
                port.into_bell.hush();
                if port.into_tunnel.take(limit, to) {
                    port.into_bell.ring();
                }
            }
            Inner::Tun(tun) => {
                while to.len() < limit
                    && let Some(length) = tun.read(scratch)
                {
                    to.push(&scratch[..length]);
                }
            }
        }
    }
}
