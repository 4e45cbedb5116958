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
        Nat {
            outside,
            inside: inside.to_vec(),
            mappings: Vec::new(),
            expiry: Duration::from_secs(120),
            next_port: 10_000,
        }
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

    /// A packet came to the outside address: to whom it goes inside.
    pub fn inward(&self, now: Nanos, destination: SocketAddr) -> Option<SocketAddr> {
        let fits = |mapping: &&Mapping| mapping.port == destination.port() && now.since(mapping.used) < self.expiry;
        self.mappings.iter().find(fits).map(|mapping| mapping.inside)
    }
}
