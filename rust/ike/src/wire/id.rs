//! Identification: who the sender says it is (RFC 7296 section 3.5).
//!
//! ```text
//! |   ID type     |                   RESERVED                    |
//! | identification data ...
//! ```

use core::fmt;
use core::net::IpAddr;

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};
use super::numbers::IdType;

/// The body of an IDi or IDr payload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Identification<'a> {
    /// What kind of name it is.
    pub kind: IdType,
    /// The name; an address has the length of its family.
    pub data: &'a [u8],
    /// As it came: the peer's AUTH covers these octets whatever they hold (RFC 7296 section 2.15).
    reserved: [u8; 3],
}

impl<'a> Identification<'a> {
    /// An identity to be written.
    #[must_use]
    pub const fn new(kind: IdType, data: &'a [u8]) -> Self {
        Identification { kind, data, reserved: [0; 3] }
    }

    /// The octets ahead of `data`; both together are what RFC 7296 section 2.15 calls `RestOfInitIDPayload`.
    #[must_use]
    pub const fn head(&self) -> [u8; 4] {
        let [a, b, c] = self.reserved;
        [self.kind.0, a, b, c]
    }

    /// The address, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.kind {
            IdType::IPV4_ADDR => <[u8; 4]>::try_from(self.data).ok().map(IpAddr::from),
            IdType::IPV6_ADDR => <[u8; 16]>::try_from(self.data).ok().map(IpAddr::from),
            _ => None,
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let &[kind, a, b, c] = reader.array(Part::Identification)?;
        let kind = IdType(kind);
        let offset = reader.offset();
        let data = reader.rest();
        let allowed = match kind {
            IdType::IPV4_ADDR => data.len() == 4,
            IdType::IPV6_ADDR => data.len() == 16,
            _ => true,
        };
        if !allowed {
            let length = data.len();
            return Err(WireError::new(WireErrorKind::Length { part: Part::Identification, length }, offset));
        }
        Ok(Identification { kind, data, reserved: [a, b, c] })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.head());
        writer.bytes(self.data);
    }
}

/// For one line of log: nobody has proven that the name is theirs, and it may be as long as a datagram.
impl fmt::Display for Identification<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Octets.
        const SHOWN: usize = 128;
        if let Some(address) = self.address() {
            return address.fmt(f);
        }
        let shown = self.data.get(..SHOWN).unwrap_or(self.data);
        match self.kind {
            IdType::FQDN | IdType::RFC822_ADDR => write!(f, "{}", shown.escape_ascii())?,
            kind => {
                write!(f, "{kind}:")?;
                shown.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
            }
        }
        if shown.len() < self.data.len() { write!(f, "... ({} octets)", self.data.len()) } else { Ok(()) }
    }
}

impl fmt::Debug for Identification<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identification({:?}, {self})", self.kind)
    }
}
