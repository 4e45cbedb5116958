//! One plain packet out: selectors, sequence number, cipher.

use crate::keys::Sealing;
use crate::packet::{self, Covered, NEXT_IPV4, NEXT_IPV6, Trailer};
use crate::pair::Pair;
use crate::route::Slot;
use crate::{EspEvent, EspTable, Flow, GroupId, Nanos, OuterPath, SaPairId, SealError, SequenceNumbers, Suite};

/// A sealed packet, at the start of the buffer that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The pair that carries it.
    pub id: SaPairId,
    /// The group of that pair.
    pub group: GroupId,
    /// Its length from SPI to ICV.
    pub len: usize,
    /// Where to send it.
    pub outer: OuterPath,
}

impl EspTable {
    /// Seal a plain packet for the pair that [`EspTable::route`] names.
    ///
    /// # Errors
    /// When no pair carries it, and as for [`EspTable::seal`].
    pub fn seal_routed(&mut self, now: Nanos, inner: &[u8], out: &mut [u8]) -> Result<Sealed, SealError> {
        self.seal_routed_within(now, inner, out, |_, _| usize::MAX)
    }

    /// The same, unless the packet is longer than `most` says for the path it would take and the suite of the pair.
    ///
    /// # Errors
    /// As for [`EspTable::seal_routed`], and [`SealError::TooLong`]; no sequence number is spent then.
    pub fn seal_routed_within(
        &mut self,
        now: Nanos,
        inner: &[u8],
        out: &mut [u8],
        most: impl FnOnce(&OuterPath, Suite) -> usize,
    ) -> Result<Sealed, SealError> {
        self.seal_on_route(now, inner, out, most).inspect_err(|why| self.totals.not_sealed(*why))
    }

    fn seal_on_route(
        &mut self,
        now: Nanos,
        inner: &[u8],
        out: &mut [u8],
        most: impl FnOnce(&OuterPath, Suite) -> usize,
    ) -> Result<Sealed, SealError> {
        let flow = Flow::parse(inner).map_err(SealError::Malformed)?;
        let slot = self.route_flow(&flow).ok_or(SealError::NoRoute)?;
        let pair = self.pair_mut(slot).ok_or(SealError::UnknownPair)?;
        let outer = pair.outer_if_there()?;
        let most = most(&outer, pair.outbound.key.suite());
        if flow.len > most {
            return Err(SealError::TooLong { most, outer });
        }
        self.seal_flow(now, slot, &inner[..flow.len], &flow, out)
    }

    /// Seal a plain packet for `id` into `out`, which must hold [`sealed_len`](crate::sealed_len) bytes. Bytes behind
    /// the length that the IP header tells are left out.
    ///
    /// # Errors
    /// When the packet cannot be sent on this pair; no sequence number is spent then.
    pub fn seal(&mut self, now: Nanos, id: SaPairId, inner: &[u8], out: &mut [u8]) -> Result<Sealed, SealError> {
        self.seal_on(now, id, inner, out).inspect_err(|why| self.totals.not_sealed(*why))
    }

    fn seal_on(&mut self, now: Nanos, id: SaPairId, inner: &[u8], out: &mut [u8]) -> Result<Sealed, SealError> {
        let slot = self.slot(id).ok_or(SealError::UnknownPair)?;
        let flow = Flow::parse(inner).map_err(SealError::Malformed)?;
        let pair = self.pair_mut(slot).ok_or(SealError::UnknownPair)?;
        pair.outer_if_there()?;
        if !pair.selectors.admit_outbound(&flow) {
            pair.tally.selector_drops += 1;
            return Err(SealError::Selector);
        }
        self.seal_flow(now, slot, &inner[..flow.len], &flow, out)
    }

    fn seal_flow(
        &mut self,
        now: Nanos,
        slot: Slot,
        inner: &[u8],
        flow: &Flow,
        out: &mut [u8],
    ) -> Result<Sealed, SealError> {
        let pair = self.pair_mut(slot).ok_or(SealError::UnknownPair)?;
        let len = packet::sealed_len(pair.outbound.key.suite(), inner.len());
        let out = out.get_mut(..len).ok_or(SealError::NoRoom(len))?;
        if pair.wear.is_spent() {
            return Err(SealError::Spent);
        }
        let (sequence, event) = pair.next_sequence()?;
        let sealed = pair.write(now, sequence, inner, flow, out);
        let worn = pair.wear();
        let newly_warm = pair.warm_at.is_none();
        let (id, group, outer) = (pair.id, pair.group, pair.outer);
        if newly_warm {
            self.note_warm(now, slot);
        }
        self.events.extend(event.into_iter().chain(worn));
        sealed.map(|()| Sealed { id, group, len, outer })
    }
}

impl Pair {
    fn outer_if_there(&self) -> Result<OuterPath, SealError> {
        if self.parked { Err(SealError::Away) } else { Ok(self.outer) }
    }

    /// The next sequence number: counted up before it is used and never down, so none is used twice
    /// (RFC 4303 section 3.3.3).
    fn next_sequence(&mut self) -> Result<(u64, Option<EspEvent>), SealError> {
        let (late, last) = (self.numbers.late(), self.numbers.last());
        if self.outbound.sequence >= last {
            return Err(SealError::SequenceExhausted);
        }
        self.outbound.sequence += 1;
        let event = match self.outbound.sequence {
            sequence if sequence == late => Some(EspEvent::SequenceRunningOut { id: self.id, left: last - late }),
            sequence if sequence == last => Some(EspEvent::SequenceExhausted { id: self.id }),
            _ => None,
        };
        Ok((self.outbound.sequence, event))
    }

    /// The IV is the sequence number behind the number of this life: unique under the key, which is all that RFC 4106
    /// section 3.1 asks.
    fn write(&mut self, now: Nanos, sequence: u64, inner: &[u8], flow: &Flow, out: &mut [u8]) -> Result<(), SealError> {
        let next_header = if flow.destination.is_ipv4() { NEXT_IPV4 } else { NEXT_IPV6 };
        let trailer = Trailer::new(self.outbound.key.shape(), inner.len(), next_header);
        let iv = self.outbound.life.iv(self.numbers, sequence);
        let covered = Covered::new(self.outbound.spi, sequence, self.numbers == SequenceNumbers::Extended);
        let with = Sealing { iv, covered, trailer: trailer.as_bytes() };
        self.outbound.key.seal(with, inner, out).map_err(|_| SealError::Cipher)?;
        self.outbound.last = now;
        self.tally.packets_out += 1;
        self.tally.bytes_out += inner.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{LAST_SEQUENCE, LATE_SEQUENCE};
    use crate::{Install, Keys, Limits, Selector};

    #[test]
    fn sealing_warns_late_and_stops_at_the_last_sequence_number() {
        let (mut table, id) = (EspTable::new(), SaPairId(1));
        let (path, any) = ("192.0.2.1:4500".parse().unwrap(), [Selector::any_v4()]);
        table
            .install(&Install {
                id,
                group: GroupId(1),
                inbound: Keys { spi: 300, keymat: &[1; 20] },
                outbound: Keys { spi: 301, keymat: &[2; 20] },
                suite: Suite::AES_128_GCM_16,
                sequence: SequenceNumbers::Short,
                limits: Limits::default(),
                replay_window: 64,
                outer: OuterPath::udp(path, path),
                local: &any,
                remote: &any,
            })
            .unwrap();
        let inner = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let mut out = [0; 64];
        let mut go_on_from = |table: &mut EspTable, sequence: u64| {
            table.pair_mut(0).unwrap().outbound.sequence = sequence;
            let seal = |_| {
                table.seal(Nanos(1), id, &inner, &mut out).map(|_| u32::from_be_bytes([out[4], out[5], out[6], out[7]]))
            };
            let sealed: Vec<Result<u32, SealError>> = (0..2).map(seal).collect();
            (sealed, core::iter::from_fn(|| table.poll_event()).collect::<Vec<_>>())
        };
        let late = LATE_SEQUENCE as u32;
        let left = u64::from(u32::MAX - late);
        assert_eq!(
            go_on_from(&mut table, LATE_SEQUENCE - 2),
            (vec![Ok(late - 1), Ok(late)], vec![EspEvent::SequenceRunningOut { id, left }])
        );
        assert_eq!(
            go_on_from(&mut table, LAST_SEQUENCE - 1),
            (vec![Ok(u32::MAX), Err(SealError::SequenceExhausted)], vec![EspEvent::SequenceExhausted { id }])
        );
        assert_eq!(table.counters(id).unwrap().last_sequence_out, LAST_SEQUENCE);
    }
}
