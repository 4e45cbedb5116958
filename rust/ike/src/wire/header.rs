//! The 28 octets that begin every IKE message (RFC 7296 section 3.1).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------------------------------------+
//! |                    IKE SA initiator's SPI                    |   0
//! |                                                              |
//! |                    IKE SA responder's SPI                    |   8
//! |                                                              |
//! | Next payload  | MjVer | MnVer | Exchange type |    Flags     |  16
//! |                          Message ID                          |  20
//! |                            Length                            |  24
//! ```

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};
use super::numbers::{ExchangeType, PayloadType};

/// Octets of the IKE header.
pub const HEADER_LEN: usize = 28;

pub(super) const NEXT_PAYLOAD_AT: usize = 16;
const VERSION_AT: usize = 17;
pub(super) const LENGTH_AT: usize = 24;

/// The IKE header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Chosen by the IKE SA's original initiator; never zero.
    pub initiator_spi: u64,
    /// Chosen by the responder; zero until it has.
    pub responder_spi: u64,
    /// The type of the first payload.
    pub next_payload: PayloadType,
    /// The protocol version.
    pub version: Version,
    /// What the message is part of.
    pub exchange: ExchangeType,
    /// Who sent it, and whether it is an answer.
    pub flags: Flags,
    /// Pairs a request with its response, and orders requests.
    pub message_id: u32,
    /// Octets of the whole message, this header included.
    pub length: u32,
}

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// 2 in every message we understand.
    pub major: u8,
    /// Ignored on receipt (RFC 7296 section 2.5).
    pub minor: u8,
}

impl Version {
    /// IKEv2.
    pub const IKEV2: Version = Version { major: 2, minor: 0 };
}

/// The flags of a message; the bits we do not know are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Sent by the original initiator of the IKE SA.
    pub initiator: bool,
    /// The sender can speak a higher major version.
    pub version: bool,
    /// An answer to the request with the same message id.
    pub response: bool,
}

impl Flags {
    const INITIATOR: u8 = 0x08;
    const VERSION: u8 = 0x10;
    const RESPONSE: u8 = 0x20;

    const fn from_octet(octet: u8) -> Flags {
        Flags {
            initiator: octet & Self::INITIATOR != 0,
            version: octet & Self::VERSION != 0,
            response: octet & Self::RESPONSE != 0,
        }
    }

    const fn octet(self) -> u8 {
        (if self.initiator { Self::INITIATOR } else { 0 })
            | (if self.version { Self::VERSION } else { 0 })
            | (if self.response { Self::RESPONSE } else { 0 })
    }
}

impl Header {
    /// A header to be written: version 2.0, and next payload and length still unknown.
    #[must_use]
    pub const fn new(
        initiator_spi: u64,
        responder_spi: u64,
        exchange: ExchangeType,
        flags: Flags,
        message_id: u32,
    ) -> Header {
        Header {
            initiator_spi,
            responder_spi,
            next_payload: PayloadType::NONE,
            version: Version::IKEV2,
            exchange,
            flags,
            message_id,
            length: 0,
        }
    }

    /// Reads the header of a whole IKEv2 message: the version is 2, the length is that of `message`, and the
    /// initiator's SPI is not zero.
    pub fn parse(message: &[u8]) -> Result<Header> {
        let header = Header::peek(message)?;
        let fail = |kind, offset| Err(WireError::new(kind, offset));
        match header.version.major {
            2 => {}
            major if major > 2 => return fail(WireErrorKind::HigherMajorVersion(major), VERSION_AT),
            major => return fail(WireErrorKind::LowerMajorVersion(major), VERSION_AT),
        }
        let claimed = header.length as usize;
        if claimed < HEADER_LEN {
            return fail(WireErrorKind::ShorterThanHeader { part: Part::Header, length: claimed }, LENGTH_AT);
        }
        if claimed != message.len() {
            return fail(WireErrorKind::MessageLength { claimed, have: message.len() }, LENGTH_AT);
        }
        if header.initiator_spi == 0 {
            return fail(WireErrorKind::ZeroInitiatorSpi, 0);
        }
        Ok(header)
    }

    /// Reads the fields without judging them, for instance to answer `INVALID_MAJOR_VERSION`.
    pub fn peek(message: &[u8]) -> Result<Header> {
        let mut reader = Reader::new(message, 0);
        let mut fields = Reader::new(reader.array::<HEADER_LEN>(Part::Header)?, 0);
        let initiator_spi = fields.u64(Part::Header)?;
        let responder_spi = fields.u64(Part::Header)?;
        let &[next_payload, version, exchange, flags] = fields.array(Part::Header)?;
        Ok(Header {
            initiator_spi,
            responder_spi,
            next_payload: PayloadType(next_payload),
            version: Version { major: version >> 4, minor: version & 0x0f },
            exchange: ExchangeType(exchange),
            flags: Flags::from_octet(flags),
            message_id: fields.u32(Part::Header)?,
            length: fields.u32(Part::Header)?,
        })
    }

    /// The octets, with the fields as they are.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..8].copy_from_slice(&self.initiator_spi.to_be_bytes());
        out[8..16].copy_from_slice(&self.responder_spi.to_be_bytes());
        out[NEXT_PAYLOAD_AT] = self.next_payload.0;
        out[VERSION_AT] = (self.version.major << 4) | (self.version.minor & 0x0f);
        out[18] = self.exchange.0;
        out[19] = self.flags.octet();
        out[20..LENGTH_AT].copy_from_slice(&self.message_id.to_be_bytes());
        out[LENGTH_AT..].copy_from_slice(&self.length.to_be_bytes());
        out
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.to_bytes());
    }
}

/// How long the message that begins here says that it is; `None` if that is no length of a message.
#[must_use]
pub fn length_of(message: &[u8]) -> Option<usize> {
    let field = message.get(LENGTH_AT..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*field)).ok().filter(|length| *length >= HEADER_LEN)
}

/// The initiator's and the responder's SPI, to find an SA before anything else is looked at.
#[must_use]
pub fn peek_spis(message: &[u8]) -> Option<(u64, u64)> {
    let spis = message.first_chunk::<HEADER_LEN>()?;
    let (initiator, rest) = spis.split_first_chunk::<8>()?;
    let responder = rest.first_chunk::<8>()?;
    Some((u64::from_be_bytes(*initiator), u64::from_be_bytes(*responder)))
}
