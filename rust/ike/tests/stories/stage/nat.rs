//! A translator of source addresses: endpoint independent mapping, ports of its own, mappings that end.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use mobike_ike::Nanos;

/// A NAT in front of some addresses.
#[derive(Debug)]
pub struct Nat {
    /// The address that others see.
    pub outside: IpAddr,
    inside: Vec<IpAddr>,
    mappings: Vec<Mapping>,
    /// A mapping unused for so long ends.
    pub expiry: Duration,
    next_port: u16,
    /// Both directions, every port: what a load balancer or a cloud does in front of one address.
    fixed: Option<IpAddr>,
}

#[derive(Debug)]
struct Mapping {
    inside: SocketAddr,
    port: u16,
    used: Nanos,
}

impl Nat {
    /// In front of `inside`, seen as `outside`; mappings live for two minutes.
    pub fn new(outside: IpAddr, inside: &[IpAddr]) -> Nat {
        let expiry = Duration::from_secs(120);
        Nat { outside, inside: inside.to_vec(), mappings: Vec::new(), expiry, next_port: 10_000, fixed: None }
    }

    /// A fixed one: `inside` is always seen as `outside`, with its own ports, and may be called from outside.
    pub fn one_to_one(outside: IpAddr, inside: IpAddr) -> Nat {
        Nat { fixed: Some(inside), ..Nat::new(outside, &[inside]) }
    }

    /// Forget every mapping; the next packets get other ports.
    pub fn flush(&mut self) {
        self.mappings.clear();
        self.next_port += 1_000;
    }

    /// A packet leaves: its source as others see it, if this NAT stands before the sender.
    pub fn translate(&mut self, now: Nanos, source: SocketAddr) -> Option<SocketAddr> {
        if !self.inside.contains(&source.ip()) {
            return None;
        }
        if self.fixed.is_some() {
            return Some(SocketAddr::new(self.outside, source.port()));
        }
        let expiry = self.expiry;
        self.mappings.retain(|mapping| now.since(mapping.used) < expiry);
        if let Some(mapping) = self.mappings.iter_mut().find(|mapping| mapping.inside == source) {
            mapping.used = now;
            return Some(SocketAddr::new(self.outside, mapping.port));
        }
        let port = self.next_port;
        self.next_port += 1;
        self.mappings.push(Mapping { inside: source, port, used: now });
        Some(SocketAddr::new(self.outside, port))
    }

    /// A packet leaves that must pass here: its source as others see it.
    #[track_caller]
    pub fn seen_as(&mut self, now: Nanos, source: SocketAddr) -> SocketAddr {
        self.translate(now, source).expect("who sends stands behind this NAT")
    }

    /// A packet came to the outside address: to whom it goes inside.
    pub fn inward(&self, now: Nanos, destination: SocketAddr) -> Option<SocketAddr> {
        if let Some(inside) = self.fixed {
            return Some(SocketAddr::new(inside, destination.port()));
        }
        let fits = |mapping: &&Mapping| mapping.port == destination.port() && now.since(mapping.used) < self.expiry;
        self.mappings.iter().find(fits).map(|mapping| mapping.inside)
    }
}
