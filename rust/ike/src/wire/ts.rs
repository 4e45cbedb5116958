//! Traffic Selectors: what may go through a Child SA (RFC 7296 section 3.13).
//!
//! ```text
//! | Number of TSs |                   RESERVED                    |
//!
//! | TS type       | IP protocol   |       Selector length         |
//! |         Start port            |           End port            |
//! | starting address, then ending address ...
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};
use super::numbers::TsType;
use super::sequence::{Element, Sequence};

const SELECTOR_HEADER_LEN: usize = 4;

/// The body of a TSi or TSr payload. One octet counts the selectors, so there are at most 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TsPayload<'a> {
    /// The selectors; the first of a request may be the packet that asked for the Child SA (RFC 7296 section 2.9).
    pub selectors: Sequence<'a, Selector<'a>>,
}

/// One entry of a TS payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector<'a> {
    /// A range of addresses and ports.
    Range(TrafficSelector),
    /// A kind that we do not know.
    Unknown {
        /// What kind.
        kind: TsType,
        /// The octet that is the IP protocol in the kinds we know.
        protocol: u8,
        /// What follows the length.
        body: &'a [u8],
    },
}

/// A range of addresses, a range of ports, and one protocol or any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrafficSelector {
    /// The IP protocol; zero is any.
    pub protocol: u8,
    /// The first port, or ICMP type and code.
    pub start_port: u16,
    /// The last port. Below `start_port` in one case: 65535 to 0 is OPAQUE, ports that cannot be seen.
    pub end_port: u16,
    /// The addresses, never an empty range when read from a message.
    pub addresses: AddressRange,
}

/// From an address to an address of the same family, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressRange {
    /// IPv4.
    V4 {
        /// The smallest address.
        start: Ipv4Addr,
        /// The largest address.
        end: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// The smallest address.
        start: Ipv6Addr,
        /// The largest address.
        end: Ipv6Addr,
    },
}

impl<'a> TsPayload<'a> {
    /// A payload of these selectors, to be written.
    #[must_use]
    pub const fn of(selectors: &'a [Selector<'a>]) -> Self {
        TsPayload { selectors: Sequence::of(selectors) }
    }

    /// The selectors that we understand.
    pub fn ranges(&self) -> impl Iterator<Item = TrafficSelector> + use<'a> {
        self.selectors.iter().filter_map(|selector| match selector {
            Selector::Range(range) => Some(range),
            Selector::Unknown { .. } => None,
        })
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let start = reader.offset();
        let &[count, _, _, _] = reader.array(Part::TsPayload)?;
        let selectors = Sequence::read(reader, |_, _, _| Ok(()))?;
        if count == 0 || selectors.len() != usize::from(count) {
            let value = u32::from(count);
            return Err(WireError::new(WireErrorKind::Value { part: Part::SelectorCount, value }, start));
        }
        Ok(TsPayload { selectors })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.count_u8(self.selectors.len(), Part::SelectorCount);
        writer.bytes(&[0; 3]);
        self.selectors.write(writer);
    }
}

impl TrafficSelector {
    /// Any protocol and any port of these addresses.
    #[must_use]
    pub const fn addresses(addresses: AddressRange) -> Self {
        TrafficSelector { protocol: 0, start_port: 0, end_port: u16::MAX, addresses }
    }

    /// The smallest address.
    #[must_use]
    pub const fn start(&self) -> IpAddr {
        match self.addresses {
            AddressRange::V4 { start, .. } => IpAddr::V4(start),
            AddressRange::V6 { start, .. } => IpAddr::V6(start),
        }
    }

    /// The largest address.
    #[must_use]
    pub const fn end(&self) -> IpAddr {
        match self.addresses {
            AddressRange::V4 { end, .. } => IpAddr::V4(end),
            AddressRange::V6 { end, .. } => IpAddr::V6(end),
        }
    }

    /// Whether it selects packets whose ports cannot be seen (RFC 7296 section 3.13.1).
    #[must_use]
    pub const fn is_opaque(&self) -> bool {
        self.start_port == u16::MAX && self.end_port == 0
    }
}

impl AddressRange {
    /// Every IPv4 address.
    pub const ALL_V4: AddressRange = AddressRange::V4 { start: Ipv4Addr::UNSPECIFIED, end: Ipv4Addr::BROADCAST };
    /// Every IPv6 address.
    pub const ALL_V6: AddressRange =
        AddressRange::V6 { start: Ipv6Addr::UNSPECIFIED, end: Ipv6Addr::from_bits(u128::MAX) };

    /// One address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => AddressRange::V4 { start: address, end: address },
            IpAddr::V6(address) => AddressRange::V6 { start: address, end: address },
        }
    }

    /// The range between two addresses, if they are of one family and in order.
    #[must_use]
    pub fn between(start: IpAddr, end: IpAddr) -> Option<Self> {
        match (start, end) {
            (IpAddr::V4(start), IpAddr::V4(end)) if start <= end => Some(AddressRange::V4 { start, end }),
            (IpAddr::V6(start), IpAddr::V6(end)) if start <= end => Some(AddressRange::V6 { start, end }),
            _ => None,
        }
    }
}

impl<'a> Element<'a> for Selector<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let offset = reader.offset();
        let &[kind, protocol, high, low] = reader.array(Part::TrafficSelector)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut body = reader.body(offset, length, SELECTOR_HEADER_LEN, Part::TrafficSelector)?;
        let wrong = WireErrorKind::Length { part: Part::TrafficSelector, length };
        match TsType(kind) {
            TsType::IPV4_ADDR_RANGE if length == 16 => range::<4>(protocol, &mut body).map(Selector::Range),
            TsType::IPV6_ADDR_RANGE if length == 40 => range::<16>(protocol, &mut body).map(Selector::Range),
            TsType::IPV4_ADDR_RANGE | TsType::IPV6_ADDR_RANGE => Err(WireError::new(wrong, offset)),
            kind => Ok(Selector::Unknown { kind, protocol, body: body.rest() }),
        }
    }

    fn write(&self, writer: &mut Writer, _last: bool) {
        let start = writer.len();
        match *self {
            Selector::Range(range) => range.write(writer),
            Selector::Unknown { kind, protocol, body } => {
                writer.bytes(&[kind.0, protocol, 0, 0]);
                writer.bytes(body);
            }
        }
        writer.patch_length(start + 2, start, Part::TrafficSelector);
    }
}

impl TrafficSelector {
    fn write(&self, writer: &mut Writer) {
        let kind = match self.addresses {
            AddressRange::V4 { .. } => TsType::IPV4_ADDR_RANGE,
            AddressRange::V6 { .. } => TsType::IPV6_ADDR_RANGE,
        };
        writer.bytes(&[kind.0, self.protocol, 0, 0]);
        writer.u16(self.start_port);
        writer.u16(self.end_port);
        match self.addresses {
            AddressRange::V4 { start, end } => {
                writer.bytes(&start.octets());
                writer.bytes(&end.octets());
            }
            AddressRange::V6 { start, end } => {
                writer.bytes(&start.octets());
                writer.bytes(&end.octets());
            }
        }
    }
}

fn range<const N: usize>(protocol: u8, body: &mut Reader<'_>) -> Result<TrafficSelector>
where
    IpAddr: From<[u8; N]>,
{
    let ports_at = body.offset();
    let start_port = body.u16(Part::TrafficSelector)?;
    let end_port = body.u16(Part::TrafficSelector)?;
    let addresses_at = body.offset();
    let start = IpAddr::from(*body.array::<N>(Part::TrafficSelector)?);
    let end = IpAddr::from(*body.array::<N>(Part::TrafficSelector)?);
    let inverted = |part, offset| WireError::new(WireErrorKind::Inverted { part }, offset);
    let addresses = AddressRange::between(start, end).ok_or(inverted(Part::TrafficSelector, addresses_at))?;
    let selector = TrafficSelector { protocol, start_port, end_port, addresses };
    if start_port > end_port && !selector.is_opaque() {
        return Err(inverted(Part::TrafficSelector, ports_at));
    }
    Ok(selector)
}
