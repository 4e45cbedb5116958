//! The notifications of MOBIKE, typed (RFC 4555 section 4).
//!
//! ```text
//! NO_NATS_ALLOWED: | source address (4 or 16) | destination address | source port | destination port |
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::cursor::Result;
use super::error::{Part, WireError, WireErrorKind};
use super::message::{Entry, Payload, Payloads};
use super::notify::Notify;
use super::numbers::NotifyType;
use super::payload::PAYLOAD_HEADER_LEN;

/// The shortest COOKIE2.
pub const MIN_COOKIE2: usize = 8;
/// The longest COOKIE2.
pub const MAX_COOKIE2: usize = 64;

/// Octets ahead of the data of a notification without SPI, its generic header included.
const NOTIFY_HEADER_LEN: usize = PAYLOAD_HEADER_LEN + 4;
/// Octets of the longest data that [`MobikeNotify::notify`] has to lay out.
pub const SCRATCH_LEN: usize = 36;

/// A notification of RFC 4555.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MobikeNotify<'a> {
    /// The sender speaks MOBIKE; any data is for later versions.
    MobikeSupported,
    /// An address of the sender besides the one in use.
    AdditionalAddress(IpAddr),
    /// The sender has no address besides the one in use.
    NoAdditionalAddresses,
    /// Use the addresses that this request came with.
    UpdateSaAddresses,
    /// To be sent back, which proves that the receiver is where it says.
    Cookie2(Cookie2<'a>),
    /// The addresses that the packet was sent with; no NAT may have changed them.
    NoNatsAllowed(NoNatsAllowed),
    /// A NAT changed what `NoNatsAllowed` forbids to change.
    UnexpectedNatDetected,
    /// The update was not carried out.
    UnacceptableAddresses,
}

/// The data of COOKIE2, 8 to 64 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie2<'a>(&'a [u8]);

impl<'a> Cookie2<'a> {
    /// A cookie of these octets, unless there are too few or too many.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Option<Self> {
        if octets.len() < MIN_COOKIE2 || octets.len() > MAX_COOKIE2 { None } else { Some(Cookie2(octets)) }
    }

    /// The octets.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.0
    }
}

/// Where a packet was sent from and to; both addresses are of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNatsAllowed {
    source: SocketAddr,
    destination: SocketAddr,
}

impl NoNatsAllowed {
    /// The two ends, unless they are of different families. Flow label and scope do not travel.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Option<Self> {
        (source.is_ipv4() == destination.is_ipv4()).then(|| NoNatsAllowed {
            source: SocketAddr::new(source.ip(), source.port()),
            destination: SocketAddr::new(destination.ip(), destination.port()),
        })
    }

    /// Where the packet was sent from.
    #[must_use]
    pub const fn source(&self) -> SocketAddr {
        self.source
    }

    /// Where the packet was sent to.
    #[must_use]
    pub const fn destination(&self) -> SocketAddr {
        self.destination
    }

    fn read(data: &[u8]) -> Option<Self> {
        if let Ok(data) = <&[u8; 12]>::try_from(data) {
            let (addresses, ports) = data.split_at(8);
            return NoNatsAllowed::from_parts::<4>(addresses, ports);
        }
        let (addresses, ports) = <&[u8; 36]>::try_from(data).ok()?.split_at(32);
        NoNatsAllowed::from_parts::<16>(addresses, ports)
    }

    fn from_parts<const N: usize>(addresses: &[u8], ports: &[u8]) -> Option<Self>
    where
        IpAddr: From<[u8; N]>,
    {
        let (&[source, destination], &[source_port, destination_port]) =
            (addresses.as_chunks::<N>().0, ports.as_chunks::<2>().0)
        else {
            return None;
        };
        let end = |address: [u8; N], port| SocketAddr::new(IpAddr::from(address), u16::from_be_bytes(port));
        NoNatsAllowed::new(end(source, source_port), end(destination, destination_port))
    }

    fn write(self, scratch: &mut [u8; SCRATCH_LEN]) -> usize {
        let source = put_address(scratch, 0, self.source.ip());
        let ports = put_address(scratch, source, self.destination.ip());
        scratch[ports..ports + 2].copy_from_slice(&self.source.port().to_be_bytes());
        scratch[ports + 2..ports + 4].copy_from_slice(&self.destination.port().to_be_bytes());
        ports + 4
    }
}

impl<'a> MobikeNotify<'a> {
    /// Reads `notify`, whose payload began `offset` octets into the message; `None` if it is not of RFC 4555.
    ///
    /// The protocol id is ignored where there is no SPI (RFC 7296 section 3.10); an SPI is a syntax error.
    pub fn read(notify: &Notify<'a>, offset: usize) -> Result<Option<MobikeNotify<'a>>> {
        let data = notify.data;
        let read = match notify.kind {
            NotifyType::MOBIKE_SUPPORTED => Some(MobikeNotify::MobikeSupported),
            NotifyType::ADDITIONAL_IP4_ADDRESS => address::<4>(data),
            NotifyType::ADDITIONAL_IP6_ADDRESS => address::<16>(data),
            NotifyType::NO_ADDITIONAL_ADDRESSES => bare(data, MobikeNotify::NoAdditionalAddresses),
            NotifyType::UPDATE_SA_ADDRESSES => bare(data, MobikeNotify::UpdateSaAddresses),
            NotifyType::COOKIE2 => Cookie2::new(data).map(MobikeNotify::Cookie2),
            NotifyType::NO_NATS_ALLOWED => NoNatsAllowed::read(data).map(MobikeNotify::NoNatsAllowed),
            NotifyType::UNEXPECTED_NAT_DETECTED => bare(data, MobikeNotify::UnexpectedNatDetected),
            NotifyType::UNACCEPTABLE_ADDRESSES => bare(data, MobikeNotify::UnacceptableAddresses),
            _ => return Ok(None),
        };
        if !notify.spi.is_empty() {
            let kind = WireErrorKind::Length { part: Part::Spi, length: notify.spi.len() };
            return Err(WireError::new(kind, offset + NOTIFY_HEADER_LEN));
        }
        let kind = WireErrorKind::Length { part: Part::Mobike, length: data.len() };
        read.map(Some).ok_or(WireError::new(kind, offset + NOTIFY_HEADER_LEN))
    }

    /// Its number.
    #[must_use]
    pub const fn kind(&self) -> NotifyType {
        match self {
            MobikeNotify::MobikeSupported => NotifyType::MOBIKE_SUPPORTED,
            MobikeNotify::AdditionalAddress(IpAddr::V4(_)) => NotifyType::ADDITIONAL_IP4_ADDRESS,
            MobikeNotify::AdditionalAddress(IpAddr::V6(_)) => NotifyType::ADDITIONAL_IP6_ADDRESS,
            MobikeNotify::NoAdditionalAddresses => NotifyType::NO_ADDITIONAL_ADDRESSES,
            MobikeNotify::UpdateSaAddresses => NotifyType::UPDATE_SA_ADDRESSES,
            MobikeNotify::Cookie2(_) => NotifyType::COOKIE2,
            MobikeNotify::NoNatsAllowed(_) => NotifyType::NO_NATS_ALLOWED,
            MobikeNotify::UnexpectedNatDetected => NotifyType::UNEXPECTED_NAT_DETECTED,
            MobikeNotify::UnacceptableAddresses => NotifyType::UNACCEPTABLE_ADDRESSES,
        }
    }

    /// The notification to be written, its data laid out in `scratch`.
    #[must_use]
    pub fn notify<'b>(&self, scratch: &'b mut [u8; SCRATCH_LEN]) -> Notify<'b>
    where
        'a: 'b,
    {
        let data = match *self {
            MobikeNotify::Cookie2(cookie) => cookie.0,
            MobikeNotify::AdditionalAddress(address) => {
                let end = put_address(scratch, 0, address);
                &scratch[..end]
            }
            MobikeNotify::NoNatsAllowed(ends) => {
                let end = ends.write(scratch);
                &scratch[..end]
            }
            MobikeNotify::MobikeSupported
            | MobikeNotify::NoAdditionalAddresses
            | MobikeNotify::UpdateSaAddresses
            | MobikeNotify::UnexpectedNatDetected
            | MobikeNotify::UnacceptableAddresses => &[],
        };
        Notify::new(self.kind(), data)
    }
}

impl<'a> Payloads<'a> {
    /// The notifications of RFC 4555 in order; an error says which one is not what its number promises.
    pub fn mobike(&self) -> impl Iterator<Item = Result<MobikeNotify<'a>>> {
        self.entries().iter().filter_map(|&Entry { offset, payload }| match payload {
            Payload::Notify(notify) => MobikeNotify::read(&notify, offset).transpose(),
            _ => None,
        })
    }
}

fn bare<'a>(data: &[u8], notify: MobikeNotify<'a>) -> Option<MobikeNotify<'a>> {
    data.is_empty().then_some(notify)
}

fn address<'a, const N: usize>(data: &[u8]) -> Option<MobikeNotify<'a>>
where
    IpAddr: From<[u8; N]>,
{
    <[u8; N]>::try_from(data).ok().map(IpAddr::from).map(MobikeNotify::AdditionalAddress)
}

fn put_address(scratch: &mut [u8; SCRATCH_LEN], at: usize, address: IpAddr) -> usize {
    match address {
        IpAddr::V4(address) => {
            let octets: [u8; 4] = Ipv4Addr::octets(&address);
            scratch[at..at + 4].copy_from_slice(&octets);
            at + 4
        }
        IpAddr::V6(address) => {
            let octets: [u8; 16] = Ipv6Addr::octets(&address);
            scratch[at..at + 16].copy_from_slice(&octets);
            at + 16
        }
    }
}
