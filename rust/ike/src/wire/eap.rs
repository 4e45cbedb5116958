//! EAP: one packet of another protocol (RFC 7296 section 3.16, RFC 3748 section 4).
//!
//! ```text
//! | Code          | Identifier    |           Length              |
//! | Type          | type data ...       (requests and responses only)
//! ```

use core::fmt;

use super::cursor::{Reader, Result, Writer};
use super::error::Part;
use super::numbers::EapCode;

const EAP_HEADER_LEN: usize = 4;

/// An EAP packet whose length field tells the truth. `Debug` leaves `data` out: some methods send a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Eap<'a> {
    /// What the packet is.
    pub code: EapCode,
    /// Pairs a response with its request.
    pub identifier: u8,
    /// The method; requests and responses have one, success and failure do not.
    pub method: Option<u8>,
    /// The method's data.
    pub data: &'a [u8],
}

impl fmt::Debug for Eap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Eap { code, identifier, method, data } = self;
        write!(f, "Eap({code}, identifier {identifier}, method {method:?}, {} octets)", data.len())
    }
}

impl<'a> Eap<'a> {
    /// Reads a packet that stands alone.
    pub fn parse(octets: &'a [u8]) -> Result<Self> {
        Eap::read(&mut Reader::new(octets, 0))
    }

    /// The packet alone; `None` if it is longer than its length field can say.
    #[must_use]
    pub fn to_octets(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new(Vec::with_capacity(EAP_HEADER_LEN + 1 + self.data.len()));
        self.write(&mut writer);
        writer.finish().ok()
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let start = reader.offset();
        let &[code, identifier, high, low] = reader.array(Part::Eap)?;
        let code = EapCode(code);
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut body = reader.body(start, length, EAP_HEADER_LEN, Part::Eap)?;
        let method = match code {
            EapCode::REQUEST | EapCode::RESPONSE => Some(body.u8(Part::Eap)?),
            EapCode::SUCCESS | EapCode::FAILURE => body.finish(Part::Eap).map(|()| None)?,
            _ => None,
        };
        Ok(Eap { code, identifier, method, data: body.rest() })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let start = writer.len();
        writer.bytes(&[self.code.0, self.identifier, 0, 0]);
        if let Some(method) = self.method {
            writer.u8(method);
        }
        writer.bytes(self.data);
        writer.patch_length(start + 2, start, Part::Eap);
    }
}
