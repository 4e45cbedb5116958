//! Responder SAs that no IKE_AUTH completed yet: how many, from whom, and who asked twice.

use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};

use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap};

/// What names a repeated IKE_SA_INIT request: the initiator's SPI and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asker {
    /// The initiator's SPI.
    pub spi_i: u64,
    /// Where the request came from.
    pub from: SocketAddr,
    /// Stands for the octets of the request, so that nobody can take another's place by guessing its SPI.
    pub digest: u64,
}

impl Asker {
    fn caller(&self) -> (u64, IpAddr) {
        (self.spi_i, self.from.ip())
    }
}

/// The half-open SAs of an engine. Never larger than the limits allow.
#[derive(Debug, Default)]
pub struct HalfOpenTable {
    places: HashMap<Asker, u32>,
    /// How many there are of an SPI and an address.
    callers: HashMap<(u64, IpAddr), u32>,
    hasher: DefaultHashBuilder,
}

impl HalfOpenTable {
    /// Who sent this request.
    #[must_use]
    pub fn asker(&self, spi_i: u64, from: SocketAddr, request: &[u8]) -> Asker {
        Asker { spi_i, from, digest: self.hasher.hash_one(request) }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.places.len() as u32
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where the SA sits that answered this asker before.
    #[must_use]
    pub fn find(&self, asker: &Asker) -> Option<u32> {
        self.places.get(asker).copied()
    }

    /// One more.
    pub fn add(&mut self, asker: Asker, place: u32) {
        if self.places.insert(asker, place).is_none() {
            *self.callers.entry(asker.caller()).or_insert(0) += 1;
        }
    }

    /// One less: established or expired.
    pub fn remove(&mut self, asker: &Asker) {
        if self.places.remove(asker).is_none() {
            return;
        }
        if let Entry::Occupied(mut entry) = self.callers.entry(asker.caller()) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    /// Is one of them of this SPI and address? A cookie or a solved puzzle is good for one.
    #[must_use]
    pub fn has_caller(&self, spi_i: u64, from: IpAddr) -> bool {
        self.callers.contains_key(&(spi_i, from))
    }
}
