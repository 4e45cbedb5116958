//! Notify: errors, statuses and small talk (RFC 7296 section 3.10).
//!
//! ```text
//! | Protocol id   |   SPI size    |         Notify type           |
//! | SPI, then notification data ...
//! ```

use super::cursor::{Reader, Result, Writer};
use super::error::Part;
use super::numbers::{KeMethod, NotifyType, ProtocolId};

/// A notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify<'a> {
    /// What `spi` belongs to; `NONE` unless the notification concerns one Child SA.
    pub protocol: ProtocolId,
    /// The SA it concerns; empty for the IKE SA that carries it.
    pub spi: &'a [u8],
    /// What it says.
    pub kind: NotifyType,
    /// What belongs to that.
    pub data: &'a [u8],
}

impl<'a> Notify<'a> {
    /// A notification about the IKE SA, or about none.
    #[must_use]
    pub const fn new(kind: NotifyType, data: &'a [u8]) -> Self {
        Notify { protocol: ProtocolId::NONE, spi: &[], kind, data }
    }

    /// A notification about a Child SA, `REKEY_SA` for instance.
    #[must_use]
    pub const fn child(protocol: ProtocolId, spi: &'a [u8; 4], kind: NotifyType, data: &'a [u8]) -> Self {
        Notify { protocol, spi, kind, data }
    }

    /// The group that `INVALID_KE_PAYLOAD` asks for (RFC 7296 section 1.2).
    #[must_use]
    pub fn wanted_group(&self) -> Option<KeMethod> {
        match self.kind {
            NotifyType::INVALID_KE_PAYLOAD => <[u8; 2]>::try_from(self.data).ok().map(u16::from_be_bytes).map(KeMethod),
            _ => None,
        }
    }

    /// The cookie of `COOKIE`, 1 to 64 octets (RFC 7296 section 2.6).
    #[must_use]
    pub fn cookie(&self) -> Option<&'a [u8]> {
        (self.kind == NotifyType::COOKIE && (1..=64).contains(&self.data.len())).then_some(self.data)
    }

    /// The SHA-1 hash of a NAT detection notification (RFC 7296 section 2.23).
    #[must_use]
    pub fn nat_detection_hash(&self) -> Option<&'a [u8; 20]> {
        match self.kind {
            NotifyType::NAT_DETECTION_SOURCE_IP | NotifyType::NAT_DETECTION_DESTINATION_IP => self.data.try_into().ok(),
            _ => None,
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let &[protocol, spi_size, high, low] = reader.array(Part::Notification)?;
        let spi = reader.take(usize::from(spi_size), Part::Spi)?;
        let kind = NotifyType(u16::from_be_bytes([high, low]));
        Ok(Notify { protocol: ProtocolId(protocol), spi, kind, data: reader.rest() })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u8(self.protocol.0);
        writer.count_u8(self.spi.len(), Part::Spi);
        writer.u16(self.kind.0);
        writer.bytes(self.spi);
        writer.bytes(self.data);
    }
}
