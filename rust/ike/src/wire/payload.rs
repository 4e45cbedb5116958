//! The chain of payloads: each says what the next one is (RFC 7296 section 3.2).
//!
//! ```text
//! | Next payload  |C|  RESERVED   |        Payload length        |
//! ```

use super::cursor::{Reader, Result};
use super::error::{Part, WireError, WireErrorKind};
use super::numbers::PayloadType;

/// Octets of the generic payload header.
pub const PAYLOAD_HEADER_LEN: usize = 4;

/// Payloads in one message. A handshake with a certificate chain, its requests and an address list has a few dozen; a
/// datagram could hold sixteen thousand empty ones.
pub const MAX_PAYLOADS: usize = 128;

pub(super) const CRITICAL: u8 = 0x80;

/// One payload of the chain, not yet looked into.
#[derive(Debug, Clone, Copy)]
pub struct RawPayload<'a> {
    /// What it is.
    pub kind: PayloadType,
    /// Whether its sender wants the message refused by whoever does not know `kind`.
    pub critical: bool,
    /// Its next-payload field: the following payload's type, and for SK and SKF the first one inside.
    pub next: PayloadType,
    /// What follows the generic header.
    pub body: Reader<'a>,
    /// Octets from the start of the message to the generic header.
    pub offset: usize,
}

/// Walks the chain and ends at the first error.
#[derive(Debug, Clone)]
pub struct Chain<'a> {
    next: PayloadType,
    reader: Reader<'a>,
    count: usize,
}

impl<'a> Chain<'a> {
    /// A chain in `bytes` that begins with a payload of type `first`, `offset` octets into the message.
    #[must_use]
    pub const fn new(first: PayloadType, bytes: &'a [u8], offset: usize) -> Self {
        Chain { next: first, reader: Reader::new(bytes, offset), count: 0 }
    }

    fn read(&mut self) -> Result<RawPayload<'a>> {
        let kind = self.next;
        let offset = self.reader.offset();
        if self.count == MAX_PAYLOADS {
            return Err(WireError::new(WireErrorKind::TooMany { part: Part::Payload, limit: MAX_PAYLOADS }, offset));
        }
        let &[next, flags, high, low] = self.reader.array(Part::Payload)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = self.reader.body(offset, length, PAYLOAD_HEADER_LEN, Part::Payload)?;
        self.count += 1;
        let next = PayloadType(next);
        // What an encrypted payload calls next is inside it: nothing may follow (RFC 7296 section 3.14).
        self.next = if matches!(kind, PayloadType::SK | PayloadType::SKF) { PayloadType::NONE } else { next };
        Ok(RawPayload { kind, critical: flags & CRITICAL != 0, next, body, offset })
    }
}

impl<'a> Iterator for Chain<'a> {
    type Item = Result<RawPayload<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = if self.next == PayloadType::NONE {
            match self.reader.finish(Part::Payload) {
                Ok(()) => return None,
                Err(error) => Err(error),
            }
        } else {
            self.read()
        };
        if item.is_err() {
            // An empty chain: after an error there is nothing more to say.
            *self = Chain::new(PayloadType::NONE, &[], 0);
        }
        Some(item)
    }
}
