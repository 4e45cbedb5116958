//! Pulling a cable without root: addresses that are treated as if they were gone.

use std::collections::HashSet;
use std::net::IpAddr;

/// The local addresses that are unplugged.
#[derive(Debug, Default)]
pub(crate) struct Plugs(HashSet<IpAddr>);

impl Plugs {
    pub(crate) fn set(&mut self, address: IpAddr, up: bool) {
        if up {
            self.0.remove(&address);
        } else {
            self.0.insert(address);
        }
    }

    /// Almost always there are none, and then nothing is hashed.
    pub(crate) fn is_out(&self, address: IpAddr) -> bool {
        !self.0.is_empty() && self.0.contains(&address)
    }
}
