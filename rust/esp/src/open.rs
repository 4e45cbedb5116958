//! One ESP packet in: SPI, window, ICV, window again, trailer, selectors (RFC 4303 section 3.4).

use core::ops::Range;

use crate::packet::{self, Covered, NEXT_IPV4, NEXT_IPV6, NEXT_NONE};
use crate::pair::{GroupId, Pair};
use crate::{EspTable, Flow, Malformed, Nanos, OpenError, OuterPath, SaPairId, SequenceNumbers};

/// An opened packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The pair it came in on.
    pub id: SaPairId,
    /// The group of that pair.
    pub group: GroupId,
    /// Where the inner packet lies in the datagram.
    pub inner: Range<usize>,
    /// 4 for IPv4, 41 for IPv6.
    pub next_header: u8,
    /// Whether it came the agreed way. If not, it is good traffic, but says nothing about the agreed path
    /// (RFC 4555 section 3.12), and a move must not be made of it.
    pub path_matches: bool,
}

impl EspTable {
    /// Check a datagram (from SPI to ICV) that took `from`, decrypt it in place and say where the inner packet lies.
    ///
    /// # Errors
    /// When the packet is to be dropped, with the reason; it is counted. After [`OpenError::Icv`] the datagram's bytes
    /// are undefined.
    pub fn open(&mut self, now: Nanos, from: &OuterPath, datagram: &mut [u8]) -> Result<Opened, OpenError> {
        self.open_uncounted(now, from, datagram).inspect_err(|why| self.count_refusal(*why))
    }

    /// A packet was dropped for this reason.
    pub fn count_refusal(&mut self, why: OpenError) {
        self.totals.not_opened(why);
    }

    /// As [`EspTable::open`], for who may keep what nothing here knows: nothing is counted. What is dropped after all goes
    /// to [`EspTable::count_refusal`].
    ///
    /// # Errors
    /// As there.
    pub fn open_uncounted(&mut self, now: Nanos, from: &OuterPath, datagram: &mut [u8]) -> Result<Opened, OpenError> {
        let (spi, sequence) = packet::read_head(datagram).ok_or(OpenError::Length)?;
        let slot = self.spi_slot(spi).ok_or(OpenError::UnknownSpi(spi))?;
        let pair = self.pair_mut(slot).ok_or(OpenError::UnknownSpi(spi))?;
        let opened = pair.open(now, from, sequence, datagram);
        let worn = pair.wear();
        if pair.warm_at.is_none() {
            self.note_warm(now, slot);
        }
        self.events.extend(worn);
        opened
    }
}

impl Pair {
    fn open(&mut self, now: Nanos, from: &OuterPath, on_wire: u32, datagram: &mut [u8]) -> Result<Opened, OpenError> {
        let shape = self.inbound.key.shape();
        if !packet::fits(shape, datagram.len()) {
            return Err(OpenError::Length);
        }
        let extended = self.numbers == SequenceNumbers::Extended;
        let sequence = if extended { self.inbound.window.extend(on_wire) } else { Some(u64::from(on_wire)) };
        let Some(sequence) = sequence.filter(|sequence| self.inbound.window.admits(*sequence)) else {
            self.tally.replay_drops += 1;
            return Err(OpenError::Replay);
        };
        if self.wear.is_spent() {
            return Err(OpenError::Spent);
        }
        let covered = Covered::new(self.inbound.spi, sequence, extended);
        let Ok(body) = self.inbound.key.open(&covered, datagram) else {
            self.tally.icv_failures += 1;
            return Err(OpenError::Icv);
        };
        // From here on the packet is the peer's.
        self.inbound.window.accept(sequence);
        let path_matches = self.note_heard(now, from);
        let start = body.start;
        let (next_header, inner_len) = self.judge(datagram.get(body).unwrap_or_default())?;
        self.tally.packets_in += 1;
        self.tally.bytes_in += inner_len as u64;
        let inner = start..start + inner_len;
        Ok(Opened { id: self.id, group: self.group, inner, next_header, path_matches })
    }

    fn note_heard(&mut self, now: Nanos, from: &OuterPath) -> bool {
        let path_matches = self.outer.agrees_with(from);
        if path_matches {
            self.inbound.last = now;
        } else {
            self.inbound.last_elsewhere = now;
            self.tally.elsewhere += 1;
        }
        path_matches
    }

    fn judge(&mut self, body: &[u8]) -> Result<(u8, usize), OpenError> {
        let judged = self.judge_body(body);
        match judged {
            Ok(_)
            | Err(
                OpenError::Length | OpenError::UnknownSpi(_) | OpenError::Replay | OpenError::Spent | OpenError::Icv,
            ) => {}
            Err(OpenError::Trailer | OpenError::Malformed(_)) => self.tally.malformed += 1,
            Err(OpenError::Selector) => self.tally.selector_drops += 1,
            Err(OpenError::Dummy) => self.tally.dummies += 1,
        }
        judged
    }

    /// Next header and length of the inner packet, without padding of either kind.
    fn judge_body(&self, body: &[u8]) -> Result<(u8, usize), OpenError> {
        let (next_header, payload_len) = packet::read_trailer(body).ok_or(OpenError::Trailer)?;
        match next_header {
            NEXT_IPV4 | NEXT_IPV6 => {}
            NEXT_NONE => return Err(OpenError::Dummy),
            _ => return Err(OpenError::Trailer),
        }
        let flow = Flow::parse(&body[..payload_len]).map_err(OpenError::Malformed)?;
        if flow.source.is_ipv4() != (next_header == NEXT_IPV4) {
            return Err(OpenError::Malformed(Malformed::Version));
        }
        if !self.selectors.admit_inbound(&flow) {
            return Err(OpenError::Selector);
        }
        Ok((next_header, flow.len))
    }
}
