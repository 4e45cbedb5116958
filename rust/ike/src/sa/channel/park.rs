//! Keys and SPIs of one IKE SA, parked.

use super::Channel;
use crate::crypto::{IkeKeys, IkeSuite, IvCounter, Random};
use crate::park::{Damage, Reader, Writer};

/// The least by which IVs jump: more messages than an SA sends between two times that it is written down.
const LEAST_JUMP: u64 = 1 << 32;
/// Bits of chance in the jump, so that two that were resumed from the same octets, against all rules, do not repeat each
/// other's IVs (RFC 5282 section 3). There is room for 60,000 restarts.
const CHANCE: u32 = 48;

impl Channel {
    /// Write it.
    pub fn park(&self, to: &mut Writer) {
        let Channel { spis, role, keys, iv, fragments, whole: _, collected: _ } = self;
        to.put(spis);
        to.put(role);
        keys.park(to);
        to.put(&iv.peek());
        to.put(fragments);
    }

    /// Read it.
    pub fn unpark(from: &mut Reader<'_>, suite: &IkeSuite, random: &mut impl Random) -> Result<Channel, Damage> {
        let (spis, role) = (from.get()?, from.get()?);
        let keys = IkeKeys::unpark(from, suite)?;
        let jump = LEAST_JUMP + (random.next_u64() >> (u64::BITS - CHANCE));
        let next = from.get::<u64>()?.checked_add(jump).ok_or_else(|| from.damage("IV that is left"))?;
        let fragments = from.get()?;
        Ok(Channel { spis, role, keys, iv: IvCounter::starting_at(next), fragments, whole: false, collected: None })
    }
}
