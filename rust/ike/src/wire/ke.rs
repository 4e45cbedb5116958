//! Key Exchange (RFC 7296 section 3.4).
//!
//! ```text
//! |   Key exchange method (group)  |           RESERVED           |
//! | key exchange data ...
//! ```

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};
use super::numbers::KeMethod;

/// A KE payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyExchange<'a> {
    /// The method, a Diffie-Hellman group for instance.
    pub method: KeMethod,
    /// The sender's public value; its length is judged by whoever knows the method.
    pub data: &'a [u8],
}

impl<'a> KeyExchange<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let method = KeMethod(reader.u16(Part::KeyExchange)?);
        reader.u16(Part::KeyExchange)?;
        let offset = reader.offset();
        match reader.rest() {
            [] => Err(WireError::new(WireErrorKind::Length { part: Part::KeyExchange, length: 0 }, offset)),
            data => Ok(KeyExchange { method, data }),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u16(self.method.0);
        writer.u16(0);
        writer.bytes(self.data);
    }
}
