//! Delete: SAs that the sender has let go (RFC 7296 section 3.11).
//!
//! ```text
//! | Protocol id   |   SPI size    |          SPI count            |
//! | SPIs ...
//! ```

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};
use super::numbers::ProtocolId;

/// A Delete payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delete<'a> {
    /// The IKE SA that carries the message.
    IkeSa,
    /// Child SAs, by the SPIs that the sender receives with.
    ChildSas {
        /// ESP or AH.
        protocol: ProtocolId,
        /// Their SPIs.
        spis: &'a [[u8; 4]],
    },
    /// SAs of a protocol that we do not know.
    Unknown {
        /// The protocol.
        protocol: ProtocolId,
        /// Octets per SPI.
        spi_size: u8,
        /// The SPIs, one after the other.
        spis: &'a [u8],
    },
}

impl<'a> Delete<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let offset = reader.offset();
        let &[protocol, spi_size, high, low] = reader.array(Part::Delete)?;
        let protocol = ProtocolId(protocol);
        let count = usize::from(u16::from_be_bytes([high, low]));
        let wanted = match protocol {
            ProtocolId::IKE => 0,
            ProtocolId::AH | ProtocolId::ESP => 4,
            _ => spi_size,
        };
        if spi_size != wanted {
            let length = usize::from(spi_size);
            return Err(WireError::new(WireErrorKind::Length { part: Part::Spi, length }, offset + 1));
        }
        // A count of SPIs without a size, or the other way round, deletes nothing that can be named.
        if spi_size == 0 && count != 0 {
            let value = u32::from(u16::from_be_bytes([high, low]));
            return Err(WireError::new(WireErrorKind::Value { part: Part::Delete, value }, offset + 2));
        }
        let spis = reader.take(count * usize::from(spi_size), Part::Delete)?;
        Ok(match protocol {
            ProtocolId::IKE => Delete::IkeSa,
            ProtocolId::AH | ProtocolId::ESP => Delete::ChildSas { protocol, spis: spis.as_chunks().0 },
            _ => Delete::Unknown { protocol, spi_size, spis },
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let (protocol, spi_size, spis) = match *self {
            Delete::IkeSa => (ProtocolId::IKE, 0, &[][..]),
            Delete::ChildSas { protocol, spis } => (protocol, 4, spis.as_flattened()),
            Delete::Unknown { protocol, spi_size, spis } => (protocol, spi_size, spis),
        };
        writer.bytes(&[protocol.0, spi_size]);
        writer.count_u16(spis.len().checked_div(usize::from(spi_size)).unwrap_or(0), Part::Delete);
        writer.bytes(spis);
    }
}
