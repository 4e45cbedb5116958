//! What a table drops, by reason, over all its pairs and beyond their lives.

use crate::{OpenError, SealError};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Every packet that was given to a table and led to nothing, under its reason. A pair's own [`Counters`](crate::Counters)
        /// end with it; these stay.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct TableCounters {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl TableCounters {
            /// Name and value of each.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name)),+].into_iter()
            }

            /// Add another table's.
            pub fn add(&mut self, other: &TableCounters) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

counters! {
    /// Inbound, not the length of an ESP packet.
    bad_length,
    /// Inbound, for an SPI we do not receive on.
    unknown_spi,
    /// Inbound, seen before or too old to tell.
    replay_drops,
    /// Inbound, wrong ICV.
    icv_failures,
    /// Inbound, authentic: bad padding, next header or inner packet.
    malformed,
    /// Inbound, authentic: not within the selectors.
    selector_drops,
    /// Inbound, authentic: made to be dropped.
    dummies,
    /// In either direction, on a pair that has carried all that it may.
    spent,
    /// Outbound, carried by no Child SA.
    no_route,
    /// Outbound, not sound IP.
    malformed_out,
    /// Outbound, to a peer that is away.
    away,
    /// Outbound, longer than the path takes.
    too_long,
    /// Outbound, on a pair whose sequence numbers are used up.
    exhausted,
    /// Outbound, for another reason: a pair that is gone, selectors, room, cipher.
    not_sealed,
}

impl TableCounters {
    pub(crate) fn not_opened(&mut self, why: OpenError) {
        let counter = match why {
            OpenError::Length => &mut self.bad_length,
            OpenError::UnknownSpi(_) => &mut self.unknown_spi,
            OpenError::Replay => &mut self.replay_drops,
            OpenError::Spent => &mut self.spent,
            OpenError::Icv => &mut self.icv_failures,
            OpenError::Trailer | OpenError::Malformed(_) => &mut self.malformed,
            OpenError::Selector => &mut self.selector_drops,
            OpenError::Dummy => &mut self.dummies,
        };
        *counter += 1;
    }

    pub(crate) fn not_sealed(&mut self, why: SealError) {
        let counter = match why {
            SealError::NoRoute => &mut self.no_route,
            SealError::Malformed(_) => &mut self.malformed_out,
            SealError::Away => &mut self.away,
            SealError::TooLong { .. } => &mut self.too_long,
            SealError::SequenceExhausted => &mut self.exhausted,
            SealError::Spent => &mut self.spent,
            SealError::UnknownPair | SealError::Selector | SealError::NoRoom(_) | SealError::Cipher => {
                &mut self.not_sealed
            }
        };
        *counter += 1;
    }
}
