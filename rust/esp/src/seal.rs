//! One plain packet out: selectors, sequence number, cipher.

use crate::keys::Sealing;
use crate::limits::{LAST_SEQUENCE, LATE_SEQUENCE};
use crate::packet::{self, NEXT_IPV4, NEXT_IPV6, Trailer};
use crate::pair::Pair;
use crate::route::Slot;
use crate::{EspEvent, EspTable, Flow, Nanos, OuterPath, SaPairId, SealError};

/// A sealed packet, at the start of the buffer that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The pair that carries it.
    pub id: SaPairId,
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
        let flow = self.read_outbound(inner)?;
        let Some(slot) = self.route_flow(&flow) else {
            self.totals.no_route += 1;
            return Err(SealError::NoRoute);
        };
        self.seal_flow(now, slot, &inner[..flow.len], &flow, out)
    }

    /// Seal a plain packet for `id` into `out`, which must hold [`sealed_len`](crate::sealed_len) bytes. Bytes behind
    /// the length that the IP header tells are left out.
    ///
    /// # Errors
    /// When the packet cannot be sent on this pair; no sequence number is spent then.
    pub fn seal(&mut self, now: Nanos, id: SaPairId, inner: &[u8], out: &mut [u8]) -> Result<Sealed, SealError> {
        let slot = self.slot(id).ok_or(SealError::UnknownPair)?;
        let flow = self.read_outbound(inner)?;
        let pair = self.pair_mut(slot).ok_or(SealError::UnknownPair)?;
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
        let len = packet::sealed_len(inner.len());
        let out = out.get_mut(..len).ok_or(SealError::NoRoom(len))?;
        let (sequence, event) = pair.next_sequence()?;
        let sealed = pair.write(now, sequence, inner, flow, out);
        let newly_warm = pair.warm_at.is_none();
        let (id, outer) = (pair.id, pair.outer);
        if newly_warm {
            self.note_warm(now, slot);
        }
        self.events.extend(event);
        sealed.map(|()| Sealed { id, len, outer })
    }
}

impl Pair {
    /// The next sequence number: counted up before it is used and never down, so none is used twice
    /// (RFC 4303 section 3.3.3).
    fn next_sequence(&mut self) -> Result<(u64, Option<EspEvent>), SealError> {
        if self.outbound.sequence >= LAST_SEQUENCE {
            return Err(SealError::SequenceExhausted);
        }
        self.outbound.sequence += 1;
        let event = match self.outbound.sequence {
            LATE_SEQUENCE => Some(EspEvent::SequenceRunningOut { id: self.id, left: LAST_SEQUENCE - LATE_SEQUENCE }),
            LAST_SEQUENCE => Some(EspEvent::SequenceExhausted { id: self.id }),
            _ => None,
        };
        Ok((self.outbound.sequence, event))
    }

    /// The IV is the sequence number: unique under the key, which is all that RFC 4106 section 3.1 asks.
    fn write(&mut self, now: Nanos, sequence: u64, inner: &[u8], flow: &Flow, out: &mut [u8]) -> Result<(), SealError> {
        let next_header = if flow.destination.is_ipv4() { NEXT_IPV4 } else { NEXT_IPV6 };
        let trailer = Trailer::new(inner.len(), next_header);
        let (iv, aad) = (sequence.to_be_bytes(), packet::aad(self.outbound.spi, sequence as u32));
        let body = packet::write_head(out, aad, iv).ok_or(SealError::Cipher)?;
        let with = Sealing { iv, aad, trailer: trailer.as_bytes() };
        self.outbound.key.seal(with, inner, body).map_err(|_| SealError::Cipher)?;
        self.outbound.last = now;
        self.tally.packets_out += 1;
        self.tally.bytes_out += inner.len() as u64;
        Ok(())
    }
}
