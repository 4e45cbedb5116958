//! A request to be asked anew, parked.

use super::Retrial;
use crate::park::{Damage, Reader, Writer};
use crate::sa::timers::Retry;

impl Retrial {
    /// Write it.
    pub fn park(&self, to: &mut Writer) {
        let Retrial { ask, generation, clock: _ } = self;
        to.put(ask);
        to.put(generation);
    }

    /// Read it; its patience begins anew.
    pub fn unpark(from: &mut Reader<'_>, clock: Retry) -> Result<Retrial, Damage> {
        Ok(Retrial { ask: from.get()?, generation: from.get()?, clock })
    }
}
