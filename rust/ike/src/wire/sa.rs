//! Security Association: what the initiator offers, or what the responder took (RFC 7296 section 3.3).
//!
//! ```text
//! | Last or more 0/2 |  RESERVED  |       Proposal length        |
//! | Proposal number  | Protocol   |  SPI size   | Transform count|
//! | SPI, then transforms ...
//!
//! | Last or more 0/3 |  RESERVED  |       Transform length       |
//! | Transform type   |  RESERVED  |         Transform id         |
//! | attributes ...
//!
//! |F|    Attribute type            |  F=1: value, F=0: length and then value
//! ```

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};
use super::numbers::{EncryptionId, IntegrityId, KeMethod, PrfId, ProtocolId, SequenceNumbers, TransformType};
use super::sequence::{Element, Sequence};

/// Proposals in one SA payload: choosing costs proposals times transforms times our own list.
pub const MAX_PROPOSALS: usize = 32;
/// Transforms in one proposal; a peer that offers all it knows sends about forty.
pub const MAX_TRANSFORMS: usize = 96;
/// Attributes in one transform; one is defined.
pub const MAX_ATTRIBUTES: usize = 8;

const PROPOSAL_HEADER_LEN: usize = 8;
const TRANSFORM_HEADER_LEN: usize = 8;
const MORE_PROPOSALS: u8 = 2;
const MORE_TRANSFORMS: u8 = 3;
const ATTRIBUTE_HEADER_LEN: usize = 4;
const KEY_LENGTH: u16 = 14;
const KEY_LENGTH_LOW: u8 = 14;
/// The AF bit: the value is in the length's place.
const SHORT_FORM: u16 = 0x8000;

/// An SA payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SaPayload<'a> {
    /// The proposals, best first.
    pub proposals: Sequence<'a, Proposal<'a>>,
}

/// One complete offer for one protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal<'a> {
    /// 1 for the first; an answer repeats the number it took.
    pub number: u8,
    /// What the SA will protect with.
    pub protocol: ProtocolId,
    /// The sender's SPI for the new SA; empty in IKE_SA_INIT, 8 octets when an IKE SA is rekeyed, 4 for ESP and AH.
    pub spi: &'a [u8],
    /// The choices, several per type.
    pub transforms: Sequence<'a, Transform<'a>>,
}

/// One algorithm on offer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform<'a> {
    /// What the algorithm is for.
    pub kind: TransformType,
    /// Which algorithm, in the registry of `kind`.
    pub id: u16,
    /// Bits of key, for algorithms with a choice of them.
    pub key_length: Option<u16>,
    /// Attributes other than the key length. None is defined, so a transform with one cannot be accepted (RFC 7296
    /// section 3.3.6).
    pub unknown: Sequence<'a, Attribute<'a>>,
}

/// An attribute of a transform that is not a key length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The attribute type, without the format bit.
    pub kind: u16,
    /// The value.
    pub value: AttributeValue<'a>,
}

/// The value of an attribute, in the format it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeValue<'a> {
    /// The short format (TV).
    Short(u16),
    /// The long format (TLV).
    Long(&'a [u8]),
}

impl<'a> SaPayload<'a> {
    /// An SA payload of these proposals, to be written.
    #[must_use]
    pub const fn of(proposals: &'a [Proposal<'a>]) -> Self {
        SaPayload { proposals: Sequence::of(proposals) }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let offset = reader.offset();
        let proposals = Sequence::read(reader, |_, at, before| limit(before, MAX_PROPOSALS, Part::Proposal, at))?;
        if proposals.is_empty() {
            return Err(WireError::new(WireErrorKind::Truncated { part: Part::Proposal, need: 8, have: 0 }, offset));
        }
        Ok(SaPayload { proposals })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.proposals.write(writer);
    }
}

impl<'a> Transform<'a> {
    /// A transform without attributes.
    #[must_use]
    pub const fn new(kind: TransformType, id: u16) -> Self {
        Transform { kind, id, key_length: None, unknown: Sequence::of(&[]) }
    }

    /// An encryption transform; `key_length` is in bits.
    #[must_use]
    pub const fn encryption(id: EncryptionId, key_length: Option<u16>) -> Self {
        Transform { key_length, ..Transform::new(TransformType::ENCRYPTION, id.0) }
    }

    /// A PRF transform.
    #[must_use]
    pub const fn prf(id: PrfId) -> Self {
        Transform::new(TransformType::PRF, id.0)
    }

    /// An integrity transform.
    #[must_use]
    pub const fn integrity(id: IntegrityId) -> Self {
        Transform::new(TransformType::INTEGRITY, id.0)
    }

    /// A key exchange transform.
    #[must_use]
    pub const fn key_exchange(id: KeMethod) -> Self {
        Transform::new(TransformType::KEY_EXCHANGE, id.0)
    }

    /// A sequence number transform.
    #[must_use]
    pub const fn sequence_numbers(id: SequenceNumbers) -> Self {
        Transform::new(TransformType::SEQUENCE_NUMBERS, id.0)
    }
}

impl<'a> Element<'a> for Proposal<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let offset = reader.offset();
        let mut body = substructure(reader, PROPOSAL_HEADER_LEN, MORE_PROPOSALS, Part::Proposal)?;
        let &[number, protocol, spi_size, count] = body.array(Part::Proposal)?;
        let protocol = ProtocolId(protocol);
        let spi_at = body.offset();
        let spi = body.take(usize::from(spi_size), Part::Spi)?;
        let allowed = match protocol {
            ProtocolId::IKE => spi.is_empty() || spi.len() == 8,
            ProtocolId::AH | ProtocolId::ESP => spi.len() == 4,
            _ => true,
        };
        if !allowed {
            return Err(WireError::new(WireErrorKind::Length { part: Part::Spi, length: spi.len() }, spi_at));
        }
        let transforms = Sequence::read(&mut body, |_, at, before| limit(before, MAX_TRANSFORMS, Part::Transform, at))?;
        if transforms.len() != usize::from(count) {
            let value = u32::from(count);
            return Err(WireError::new(WireErrorKind::Value { part: Part::TransformCount, value }, offset + 7));
        }
        Ok(Proposal { number, protocol, spi, transforms })
    }

    fn write(&self, writer: &mut Writer, last: bool) {
        let start = writer.len();
        writer.bytes(&[if last { 0 } else { MORE_PROPOSALS }, 0, 0, 0, self.number, self.protocol.0]);
        writer.count_u8(self.spi.len(), Part::Spi);
        writer.count_u8(self.transforms.len(), Part::TransformCount);
        writer.bytes(self.spi);
        self.transforms.write(writer);
        writer.patch_length(start + 2, start, Part::Proposal);
    }
}

impl<'a> Element<'a> for Transform<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let mut body = substructure(reader, TRANSFORM_HEADER_LEN, MORE_TRANSFORMS, Part::Transform)?;
        let &[kind, _, high, low] = body.array(Part::Transform)?;
        // A key length that does not come first follows an attribute that nobody has defined: such a transform cannot
        // be accepted, and its key length stays among the unknown.
        let key_length = match *body.peek() {
            [0x80, KEY_LENGTH_LOW, high, low, ..] => {
                body.u32(Part::Attribute)?;
                Some(u16::from_be_bytes([high, low]))
            }
            _ => None,
        };
        let unknown = Sequence::read(&mut body, |_, at, before| limit(before, MAX_ATTRIBUTES, Part::Attribute, at))?;
        Ok(Transform { kind: TransformType(kind), id: u16::from_be_bytes([high, low]), key_length, unknown })
    }

    fn write(&self, writer: &mut Writer, last: bool) {
        let start = writer.len();
        let [high, low] = self.id.to_be_bytes();
        writer.bytes(&[if last { 0 } else { MORE_TRANSFORMS }, 0, 0, 0, self.kind.0, 0, high, low]);
        if let Some(bits) = self.key_length {
            Attribute { kind: KEY_LENGTH, value: AttributeValue::Short(bits) }.write(writer, true);
        }
        self.unknown.write(writer);
        writer.patch_length(start + 2, start, Part::Transform);
    }
}

impl<'a> Element<'a> for Attribute<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let start = reader.offset();
        let word = reader.u16(Part::Attribute)?;
        let second = reader.u16(Part::Attribute)?;
        let value = if word & SHORT_FORM == 0 {
            let length = usize::from(second) + ATTRIBUTE_HEADER_LEN;
            AttributeValue::Long(reader.body(start, length, ATTRIBUTE_HEADER_LEN, Part::Attribute)?.rest())
        } else {
            AttributeValue::Short(second)
        };
        Ok(Attribute { kind: word & !SHORT_FORM, value })
    }

    fn write(&self, writer: &mut Writer, _last: bool) {
        match self.value {
            AttributeValue::Short(value) => {
                writer.u16(self.kind | SHORT_FORM);
                writer.u16(value);
            }
            AttributeValue::Long(value) => {
                writer.u16(self.kind & !SHORT_FORM);
                writer.count_u16(value.len(), Part::Attribute);
                writer.bytes(value);
            }
        }
    }
}

/// Reads the four octets that begin both substructures, and checks that the first tells the truth about a follower.
fn substructure<'a>(reader: &mut Reader<'a>, header: usize, more: u8, part: Part) -> Result<Reader<'a>> {
    let start = reader.offset();
    let &[follower, _, high, low] = reader.array(part)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < header {
        return Err(WireError::new(WireErrorKind::ShorterThanHeader { part, length }, start));
    }
    let body = reader.body(start, length, 4, part)?;
    match (follower, reader.is_empty()) {
        (0, true) => Ok(body),
        (0, false) => reader.finish(part).map(|()| body),
        (_, false) if follower == more => Ok(body),
        (_, true) if follower == more => {
            Err(WireError::new(WireErrorKind::Truncated { part, need: header, have: 0 }, reader.offset()))
        }
        _ => Err(WireError::new(WireErrorKind::Value { part: Part::LastSubstructure, value: follower.into() }, start)),
    }
}

fn limit(before: usize, limit: usize, part: Part, offset: usize) -> Result<()> {
    if before < limit { Ok(()) } else { Err(WireError::new(WireErrorKind::TooMany { part, limit }, offset)) }
}
