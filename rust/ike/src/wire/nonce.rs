//! Nonce: the sender's share of chance (RFC 7296 section 3.9). The payload is the nonce and nothing else.

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};

/// The shortest nonce.
pub const MIN_NONCE: usize = 16;
/// The longest nonce.
pub const MAX_NONCE: usize = 256;

/// A nonce, 16 to 256 octets long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce<'a>(&'a [u8]);

impl<'a> Nonce<'a> {
    /// A nonce of these octets, unless there are too few or too many.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Option<Self> {
        if octets.len() < MIN_NONCE || octets.len() > MAX_NONCE { None } else { Some(Nonce(octets)) }
    }

    /// The octets.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let offset = reader.offset();
        let octets = reader.rest();
        let error = WireError::new(WireErrorKind::Length { part: Part::Nonce, length: octets.len() }, offset);
        Nonce::new(octets).ok_or(error)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.bytes(self.0);
    }
}
