//! What it takes to install a Child SA.

use core::fmt;

use crate::limits::{
    LAST_EXTENDED_SEQUENCE, LAST_SEQUENCE, LATE_EXTENDED_SEQUENCE, LATE_SEQUENCE, MAX_SELECTORS, REPLAY_WINDOW_MAX,
    REPLAY_WINDOW_MIN,
};
use crate::{GroupId, InstallError, Limits, OuterPath, SaPairId, Selector, Suite, spi};

/// Both directions of one Child SA, as IKE agreed them.
///
/// Sequence numbers start at 1, and IVs with them: keys that have been installed once must never be installed again.
/// A move is [`EspTable::set_outer`](crate::EspTable::set_outer), not remove and install.
#[derive(Debug, Clone, Copy)]
pub struct Install<'a> {
    /// The caller's name for the pair.
    pub id: SaPairId,
    /// The caller's name for all pairs that move together: the IKE SA.
    pub group: GroupId,
    /// From the peer to us; the SPI is ours.
    pub inbound: Keys<'a>,
    /// From us to the peer; the SPI is the peer's.
    pub outbound: Keys<'a>,
    /// The cipher of both directions.
    pub suite: Suite,
    /// How sequence numbers travel.
    pub sequence: SequenceNumbers,
    /// How much it may carry.
    pub limits: Limits,
    /// Width in packets: a multiple of 64 within 64..=1024.
    pub replay_window: u16,
    /// Where packets go.
    pub outer: OuterPath,
    /// Inner traffic on our side (TSi if we initiated, else TSr).
    pub local: &'a [Selector],
    /// Inner traffic on the peer's side.
    pub remote: &'a [Selector],
}

impl Install<'_> {
    /// Everything that can be judged without the table.
    pub(crate) fn check(&self) -> Result<(), InstallError> {
        for keys in [&self.inbound, &self.outbound] {
            keys.check(self.suite)?;
        }
        if self.inbound.keymat == self.outbound.keymat {
            return Err(InstallError::SameKeys);
        }
        let width = self.replay_window;
        if !(REPLAY_WINDOW_MIN..=REPLAY_WINDOW_MAX).contains(&width) || !width.is_multiple_of(64) {
            return Err(InstallError::ReplayWindow(width));
        }
        for side in [self.local, self.remote] {
            match side.len() {
                0 => return Err(InstallError::NoSelectors),
                1..=MAX_SELECTORS => {}
                more => return Err(InstallError::TooManySelectors(more)),
            }
        }
        Ok(())
    }
}

/// SPI and keying material of one direction. The bytes stay the caller's, who wipes them.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Security Parameters Index, 256 or higher.
    pub spi: u32,
    /// The cipher's key, its salt (RFC 4106 section 8.1), and the key of the integrity algorithm:
    /// [`Suite::keymat_len`] bytes.
    pub keymat: &'a [u8],
}

impl Keys<'_> {
    fn check(&self, suite: Suite) -> Result<(), InstallError> {
        if self.spi < spi::FIRST {
            return Err(InstallError::SpiReserved(self.spi));
        }
        let (want, got) = (suite.keymat_len(), self.keymat.len());
        if want != got {
            return Err(InstallError::KeyLength { want, got });
        }
        Ok(())
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("spi", &self.spi).finish_non_exhaustive()
    }
}

/// How sequence numbers travel (IKEv2 transform type 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SequenceNumbers {
    /// 32 bits, all on the wire.
    #[default]
    Short,
    /// 64 bits, of which the low half travels (RFC 4303 section 2.2.1).
    Extended,
}

impl SequenceNumbers {
    /// The last one that is sent under a key.
    pub(crate) const fn last(self) -> u64 {
        match self {
            SequenceNumbers::Short => LAST_SEQUENCE,
            SequenceNumbers::Extended => LAST_EXTENDED_SEQUENCE,
        }
    }

    /// From here on a rekey is overdue.
    pub(crate) const fn late(self) -> u64 {
        match self {
            SequenceNumbers::Short => LATE_SEQUENCE,
            SequenceNumbers::Extended => LATE_EXTENDED_SEQUENCE,
        }
    }
}
