//! What path probes need, parked: keys and numbers. What was known of pairs is learned anew.

use core::time::Duration;

use super::budget::Budget;
use super::keys::ProbeKeys;
use super::replay::Replay;
use super::{ECHOES_PER_SA, Probing};
use crate::crypto::{IkeSuite, Random};
use crate::park::{Damage, Reader, Standing, Writer};
use crate::sa::channel::Channel;

/// More probes than an SA sends between two times that it is written down: a peer takes no number twice.
const MOST_FORGOTTEN: u32 = 1 << 16;

impl Probing {
    /// Write it.
    pub fn park(&self, to: &mut Writer) {
        let Probing { keys, interval: _, least: _, peer_interval: _, places: _, echoes: _ } = self;
        let ProbeKeys { channel, number, replay } = &keys.newest;
        channel.park(to);
        to.put(number);
        let (top, seen) = replay.parts();
        to.put(&top);
        to.put(&seen);
    }

    /// Read it. After a crash, what came since it was written down may come again, but moves nothing.
    pub fn unpark(
        from: &mut Reader<'_>,
        suite: &IkeSuite,
        random: &mut impl Random,
        standing: Standing,
    ) -> Result<Probing, Damage> {
        let channel = Channel::unpark(from, suite, random)?;
        let number: u32 = from.get()?;
        let jump = if standing == Standing::Doubtful { MOST_FORGOTTEN } else { 0 };
        let number = number.saturating_add(jump);
        let replay = Replay::of_parts(from.get()?, from.get()?);
        Ok(Probing {
            keys: ProbeKeys { channel, number, replay }.into(),
            interval: Duration::ZERO,
            least: Duration::ZERO,
            peer_interval: Duration::ZERO,
            places: Vec::new(),
            echoes: Budget::new(ECHOES_PER_SA),
        })
    }
}
