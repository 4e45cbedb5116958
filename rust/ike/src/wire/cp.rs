//! Configuration: virtual addresses and what goes with them (RFC 7296 section 3.15).
//!
//! ```text
//! | CFG type      |                   RESERVED                    |
//!
//! |R|        Attribute type        |           Length             |
//! | value ...
//! ```

use core::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};
use super::numbers::{CfgAttribute, CfgType};
use super::sequence::{Element, Sequence};

/// Attributes in one CP payload; a reply with many split-tunnel subnets has some dozens.
pub const MAX_ATTRIBUTES: usize = 256;

const ATTRIBUTE_HEADER_LEN: usize = 4;
const RESERVED: u16 = 0x8000;

/// A CP payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Configuration<'a> {
    /// Whether this asks or answers.
    pub kind: CfgType,
    /// What is asked for or given.
    pub attributes: Sequence<'a, Attribute<'a>>,
}

/// One configuration attribute; in a request a value may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute<'a> {
    /// An address on the internal network.
    Ip4Address(Option<Ipv4Addr>),
    /// The internal network's mask.
    Ip4Netmask(Option<Ipv4Addr>),
    /// A DNS server.
    Ip4Dns(Option<Ipv4Addr>),
    /// A subnet behind the gateway, as address and mask.
    Ip4Subnet(Option<(Ipv4Addr, Ipv4Addr)>),
    /// An address on the internal network and its prefix length in bits.
    Ip6Address(Option<(Ipv6Addr, u8)>),
    /// A DNS server.
    Ip6Dns(Option<Ipv6Addr>),
    /// A subnet behind the gateway and its prefix length in bits.
    Ip6Subnet(Option<(Ipv6Addr, u8)>),
    /// Any other.
    Other {
        /// Which one.
        kind: CfgAttribute,
        /// Its value as it came.
        value: &'a [u8],
    },
}

impl<'a> Configuration<'a> {
    /// A payload of these attributes, to be written.
    #[must_use]
    pub const fn of(kind: CfgType, attributes: &'a [Attribute<'a>]) -> Self {
        Configuration { kind, attributes: Sequence::of(attributes) }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let &[kind, _, _, _] = reader.array(Part::Configuration)?;
        let attributes = Sequence::read(reader, |_, at, before| match before {
            MAX_ATTRIBUTES => Err(WireError::new(
                WireErrorKind::TooMany { part: Part::ConfigurationAttribute, limit: MAX_ATTRIBUTES },
                at,
            )),
            _ => Ok(()),
        })?;
        Ok(Configuration { kind: CfgType(kind), attributes })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.bytes(&[self.kind.0, 0, 0, 0]);
        self.attributes.write(writer);
    }
}

impl Attribute<'_> {
    /// Which attribute it is.
    #[must_use]
    pub const fn kind(&self) -> CfgAttribute {
        match self {
            Attribute::Ip4Address(_) => CfgAttribute::INTERNAL_IP4_ADDRESS,
            Attribute::Ip4Netmask(_) => CfgAttribute::INTERNAL_IP4_NETMASK,
            Attribute::Ip4Dns(_) => CfgAttribute::INTERNAL_IP4_DNS,
            Attribute::Ip4Subnet(_) => CfgAttribute::INTERNAL_IP4_SUBNET,
            Attribute::Ip6Address(_) => CfgAttribute::INTERNAL_IP6_ADDRESS,
            Attribute::Ip6Dns(_) => CfgAttribute::INTERNAL_IP6_DNS,
            Attribute::Ip6Subnet(_) => CfgAttribute::INTERNAL_IP6_SUBNET,
            Attribute::Other { kind, .. } => *kind,
        }
    }
}

impl<'a> Element<'a> for Attribute<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let start = reader.offset();
        let kind = CfgAttribute(reader.u16(Part::ConfigurationAttribute)? & !RESERVED);
        let length = usize::from(reader.u16(Part::ConfigurationAttribute)?);
        let value =
            reader.body(start, length + ATTRIBUTE_HEADER_LEN, ATTRIBUTE_HEADER_LEN, Part::ConfigurationAttribute)?;
        Ok(match kind {
            CfgAttribute::INTERNAL_IP4_ADDRESS => Attribute::Ip4Address(optional(value, ip4)?),
            CfgAttribute::INTERNAL_IP4_NETMASK => Attribute::Ip4Netmask(optional(value, ip4)?),
            CfgAttribute::INTERNAL_IP4_DNS => Attribute::Ip4Dns(optional(value, ip4)?),
            CfgAttribute::INTERNAL_IP4_SUBNET => Attribute::Ip4Subnet(optional(value, ip4_pair)?),
            CfgAttribute::INTERNAL_IP6_ADDRESS => Attribute::Ip6Address(optional(value, ip6_prefix)?),
            CfgAttribute::INTERNAL_IP6_DNS => Attribute::Ip6Dns(optional(value, ip6)?),
            CfgAttribute::INTERNAL_IP6_SUBNET => Attribute::Ip6Subnet(optional(value, ip6_prefix)?),
            kind => Attribute::Other { kind, value: value.peek() },
        })
    }

    fn write(&self, writer: &mut Writer, _last: bool) {
        writer.u16(self.kind().0 & !RESERVED);
        let field = writer.len();
        writer.u16(0);
        match *self {
            Attribute::Ip4Address(address) | Attribute::Ip4Netmask(address) | Attribute::Ip4Dns(address) => {
                address.iter().for_each(|address| writer.bytes(&address.octets()));
            }
            Attribute::Ip4Subnet(subnet) => subnet.iter().for_each(|(address, mask)| {
                writer.bytes(&address.octets());
                writer.bytes(&mask.octets());
            }),
            Attribute::Ip6Address(subnet) | Attribute::Ip6Subnet(subnet) => {
                subnet.iter().for_each(|(address, bits)| {
                    writer.bytes(&address.octets());
                    writer.u8(*bits);
                })
            }
            Attribute::Ip6Dns(address) => address.iter().for_each(|address| writer.bytes(&address.octets())),
            Attribute::Other { value, .. } => writer.bytes(value),
        }
        writer.patch_length(field, field + 2, Part::ConfigurationAttribute);
    }
}

fn optional<'a, T>(mut value: Reader<'a>, read: fn(&mut Reader<'a>) -> Result<T>) -> Result<Option<T>> {
    if value.is_empty() {
        return Ok(None);
    }
    let (offset, length) = (value.offset(), value.remaining());
    match read(&mut value) {
        Ok(read) if value.is_empty() => Ok(Some(read)),
        Err(error) if !matches!(error.kind, WireErrorKind::Truncated { .. }) => Err(error),
        _ => Err(WireError::new(WireErrorKind::Length { part: Part::ConfigurationAttribute, length }, offset)),
    }
}

fn ip4(reader: &mut Reader<'_>) -> Result<Ipv4Addr> {
    reader.array::<4>(Part::ConfigurationAttribute).map(|octets| Ipv4Addr::from(*octets))
}

fn ip4_pair(reader: &mut Reader<'_>) -> Result<(Ipv4Addr, Ipv4Addr)> {
    Ok((ip4(reader)?, ip4(reader)?))
}

fn ip6(reader: &mut Reader<'_>) -> Result<Ipv6Addr> {
    reader.array::<16>(Part::ConfigurationAttribute).map(|octets| Ipv6Addr::from(*octets))
}

fn ip6_prefix(reader: &mut Reader<'_>) -> Result<(Ipv6Addr, u8)> {
    let address = ip6(reader)?;
    let offset = reader.offset();
    match reader.u8(Part::ConfigurationAttribute)? {
        bits @ 0..=128 => Ok((address, bits)),
        bits => {
            let kind = WireErrorKind::Value { part: Part::ConfigurationAttribute, value: bits.into() };
            Err(WireError::new(kind, offset))
        }
    }
}
