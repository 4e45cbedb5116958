//! Authentication: the proof of who the sender is (RFC 7296 section 3.8).
//!
//! ```text
//! | Auth method   |                   RESERVED                    |
//! | authentication data ...
//! ```

use super::cursor::{Reader, Result, Writer};
use super::error::Part;
use super::numbers::AuthMethod;

/// An AUTH payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication<'a> {
    /// How it was made.
    pub method: AuthMethod,
    /// The signature or message authentication code.
    pub data: &'a [u8],
}

impl<'a> Authentication<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let &[method, _, _, _] = reader.array(Part::Authentication)?;
        Ok(Authentication { method: AuthMethod(method), data: reader.rest() })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.bytes(&[self.method.0, 0, 0, 0]);
        writer.bytes(self.data);
    }
}
