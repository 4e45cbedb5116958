//! A pair as plain values, for who writes it down, and a pair made of them again.
//!
//! What makes this safe is in two places. The peer takes no sequence number twice, so ours go on where they were, or far
//! ahead of it where nobody knows how far they got. And no IV is used twice under a key (RFC 4106 section 3.1): its low
//! half is the sequence number, its high half is another one in every life of the pair.

use core::fmt;

use zeroize::Zeroizing;

use crate::keys::Key;
use crate::limits::{FORGOTTEN, LAST_EXTENDED_SEQUENCE, LAST_SEQUENCE};
use crate::pair::{Inbound, Outbound, Pair};
use crate::{
    EspEvent, EspTable, GroupId, Install, InstallError, Keys, Limits, OuterPath, SaPairId, Selector, SequenceNumbers,
    Suite, Volume,
};

/// One pair, keys included. They are wiped when it is dropped.
pub struct ParkedPair {
    /// The caller's name for it.
    pub id: SaPairId,
    /// The caller's name for its group.
    pub group: GroupId,
    /// The algorithms.
    pub suite: Suite,
    /// How sequence numbers travel.
    pub sequence: SequenceNumbers,
    /// SPI of packets to us.
    pub spi_in: u32,
    /// SPI of packets to the peer.
    pub spi_out: u32,
    /// Key and salt of packets to us.
    pub keymat_in: Zeroizing<Vec<u8>>,
    /// Key and salt of packets to the peer.
    pub keymat_out: Zeroizing<Vec<u8>>,
    /// Last sequence number given out.
    pub sequence_out: u64,
    /// How often it was resumed, and chance: the high half of our IVs.
    pub life: Life,
    /// Highest sequence number received.
    pub window_top: u64,
    /// Which ones below it were, as [`ReplayWindow`](crate::ReplayWindow) keeps them.
    pub window: Vec<u64>,
    /// How much it may carry.
    pub limits: Limits,
    /// Octets and packets that came in, and that went out.
    pub carried: [Volume; 2],
    /// Where packets go.
    pub outer: OuterPath,
    /// The peer is away: nothing goes there.
    pub parked: bool,
    /// Inner traffic on our side.
    pub local: Vec<Selector>,
    /// Inner traffic on the peer's side.
    pub remote: Vec<Selector>,
}

impl fmt::Debug for ParkedPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkedPair").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The high half of the IVs that a pair uses: other than in each of its lives before. Resumes are counted, so lives that
/// follow each other differ for certain; chance is beside the count, so two that were resumed from the same values, against
/// all rules, differ as well but for one time in 65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// How often it was resumed.
    pub count: u16,
    /// Drawn at each resume.
    pub chance: u16,
}

impl Life {
    /// Extended sequence numbers leave half as many bits for chance.
    pub(crate) fn iv(self, numbers: SequenceNumbers, sequence: u64) -> u64 {
        let chance = match numbers {
            SequenceNumbers::Short => u64::from(self.chance) << 32,
            SequenceNumbers::Extended => u64::from(self.chance & 0xff) << 40,
        };
        u64::from(self.count) << 48 | chance | sequence
    }
}

/// A sequence number is 32 or 40 bits of the IV.
const _: () = assert!(LAST_SEQUENCE <= u32::MAX as u64 && LAST_EXTENDED_SEQUENCE < 1 << 40);

/// What is known of the pair since it was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// It carried nothing more.
    Nothing,
    /// It may have carried up to [`FORGOTTEN`] packets each way.
    Unknown,
}

impl EspTable {
    /// The pair as values; it goes on as before.
    #[must_use]
    pub fn park(&self, id: SaPairId) -> Option<ParkedPair> {
        let Pair {
            id,
            group,
            outer,
            parked,
            numbers,
            selectors,
            inbound,
            outbound,
            tally,
            wear,
            warm_at: _,
            group_prev: _,
            group_next: _,
        } = self.pair(self.slot(id)?)?;
        let Inbound { spi: spi_in, key: key_in, window, last: _, last_elsewhere: _ } = inbound;
        let Outbound { spi: spi_out, key: key_out, sequence, life, last: _ } = outbound;
        Some(ParkedPair {
            id: *id,
            group: *group,
            suite: key_in.suite(),
            sequence: *numbers,
            spi_in: *spi_in,
            spi_out: *spi_out,
            keymat_in: copy(key_in),
            keymat_out: copy(key_out),
            sequence_out: *sequence,
            life: *life,
            window_top: window.top(),
            window: window.words().to_vec(),
            limits: wear.limits(),
            carried: [
                Volume { bytes: tally.bytes_in, packets: tally.packets_in },
                Volume { bytes: tally.bytes_out, packets: tally.packets_out },
            ],
            outer: *outer,
            parked: *parked,
            local: selectors.local().to_vec(),
            remote: selectors.remote().to_vec(),
        })
    }

    /// Take a pair back. `chance` is drawn anew for each. The same values are taken back once.
    ///
    /// # Errors
    /// As for [`EspTable::install`], and where its sequence numbers would be used up; nothing changed then.
    pub fn resume(&mut self, parked: &ParkedPair, since: Since, chance: u16) -> Result<(), InstallError> {
        let count = parked.life.count.checked_add(1).ok_or(InstallError::Exhausted)?;
        let forgotten = match since {
            Since::Nothing => 0,
            Since::Unknown => FORGOTTEN,
        };
        let sequence = parked.sequence_out.saturating_add(forgotten);
        if sequence >= parked.sequence.last() {
            return Err(InstallError::Exhausted);
        }
        self.install(&Install {
            id: parked.id,
            group: parked.group,
            inbound: Keys { spi: parked.spi_in, keymat: &parked.keymat_in },
            outbound: Keys { spi: parked.spi_out, keymat: &parked.keymat_out },
            suite: parked.suite,
            sequence: parked.sequence,
            limits: parked.limits,
            replay_window: u16::try_from(64 * parked.window.len()).unwrap_or(u16::MAX),
            outer: parked.outer,
            local: &parked.local,
            remote: &parked.remote,
        })?;
        if let Some(pair) = self.slot(parked.id).and_then(|slot| self.pair_mut(slot)) {
            pair.parked = parked.parked;
            pair.outbound.sequence = sequence;
            pair.outbound.life = Life { count, chance };
            let [carried_in, carried_out] = parked.carried;
            (pair.tally.bytes_in, pair.tally.packets_in) = (carried_in.bytes, carried_in.packets);
            (pair.tally.bytes_out, pair.tally.packets_out) = (carried_out.bytes, carried_out.packets);
            pair.inbound.window.restore(parked.window_top, &parked.window);
            if since == Since::Unknown {
                // What was not seen up to then may have been seen since.
                pair.inbound.window.fill();
            }
        }
        let worn = self.slot(parked.id).and_then(|slot| self.pair_mut(slot)).and_then(Pair::wear);
        self.events.extend(worn);
        if sequence > parked.sequence.late() {
            let left = parked.sequence.last() - sequence;
            self.events.push_back(EspEvent::SequenceRunningOut { id: parked.id, left });
        }
        Ok(())
    }
}

fn copy(key: &Key) -> Zeroizing<Vec<u8>> {
    let mut keymat = Zeroizing::new(Vec::with_capacity(key.suite().keymat_len()));
    keymat.extend(key.keymat());
    keymat
}
