//! Traffic selectors: what may travel inside (RFC 4301 section 4.4.1.1, RFC 7296 section 3.13.1).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Flow;

/// One traffic selector of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selector {
    first: IpAddr,
    last: IpAddr,
    protocol: u8,
    ports: PortRange,
}

impl Selector {
    /// Any protocol.
    pub const ANY_PROTOCOL: u8 = 0;

    /// All addresses from `first` to `last`; `None` if they are of different families or in the wrong order.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr, protocol: u8, ports: PortRange) -> Option<Selector> {
        let sound = first.is_ipv4() == last.is_ipv4() && first <= last;
        sound.then_some(Selector { first, last, protocol, ports })
    }

    /// All traffic of one address.
    #[must_use]
    pub fn host(address: IpAddr) -> Selector {
        Selector { first: address, last: address, protocol: Self::ANY_PROTOCOL, ports: PortRange::ANY }
    }

    /// All traffic of a prefix; bits of `address` behind it do not count. `None` if it is longer than the address.
    #[must_use]
    pub fn prefix(address: IpAddr, len: u8) -> Option<Selector> {
        let (first, last) = match address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(len.into()).unwrap_or(0);
                let low = u32::from(v4) & !host;
                (len <= 32).then(|| (Ipv4Addr::from(low).into(), Ipv4Addr::from(low | host).into()))?
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(len.into()).unwrap_or(0);
                let low = u128::from(v6) & !host;
                (len <= 128).then(|| (Ipv6Addr::from(low).into(), Ipv6Addr::from(low | host).into()))?
            }
        };
        Some(Selector { first, last, protocol: Self::ANY_PROTOCOL, ports: PortRange::ANY })
    }

    /// All IPv4 traffic.
    #[must_use]
    pub fn any_v4() -> Selector {
        let (first, last) = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
        Selector { first, last, protocol: Self::ANY_PROTOCOL, ports: PortRange::ANY }
    }

    /// All IPv6 traffic.
    #[must_use]
    pub fn any_v6() -> Selector {
        let (first, last) = (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from(u128::MAX).into());
        Selector { first, last, protocol: Self::ANY_PROTOCOL, ports: PortRange::ANY }
    }

    /// First address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// IP protocol, or [`Selector::ANY_PROTOCOL`].
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Ports.
    #[must_use]
    pub fn ports(&self) -> PortRange {
        self.ports
    }

    fn admits(&self, address: IpAddr, protocol: u8, port: Option<u16>) -> bool {
        // `IpAddr` orders all of IPv4 before all of IPv6, so the range also checks the family.
        self.first <= address
            && address <= self.last
            && (self.protocol == Self::ANY_PROTOCOL || self.protocol == protocol)
            && self.ports.admits(port)
    }
}

/// Ports of a selector; for ICMP type and code as one number, type first (RFC 7296 section 3.13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Any port, also none.
    pub const ANY: PortRange = PortRange { first: 0, last: u16::MAX };
    /// Only packets that show no port, such as later fragments (RFC 4301 section 4.4.1.1, OPAQUE).
    pub const OPAQUE: PortRange = PortRange { first: u16::MAX, last: 0 };

    /// From `first` to `last`; `None` in the wrong order, unless it is the pair that stands for [`PortRange::OPAQUE`].
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<PortRange> {
        let range = PortRange { first, last };
        (first <= last || range == Self::OPAQUE).then_some(range)
    }

    /// First and last.
    #[must_use]
    pub fn ends(self) -> (u16, u16) {
        (self.first, self.last)
    }

    fn admits(self, port: Option<u16>) -> bool {
        match port {
            _ if self == Self::ANY => true,
            Some(port) => (self.first..=self.last).contains(&port),
            None => self == Self::OPAQUE,
        }
    }
}

/// Both sides of one Child SA, in one allocation.
pub(crate) struct Selectors {
    both: Box<[Selector]>,
    local: usize,
}

impl Selectors {
    pub(crate) fn new(local: &[Selector], remote: &[Selector]) -> Selectors {
        Selectors { both: [local, remote].concat().into(), local: local.len() }
    }

    pub(crate) fn local(&self) -> &[Selector] {
        &self.both[..self.local]
    }

    pub(crate) fn remote(&self) -> &[Selector] {
        &self.both[self.local..]
    }

    /// May we send this to the peer?
    pub(crate) fn admit_outbound(&self, flow: &Flow) -> bool {
        any(self.local(), flow.source, flow.protocol, flow.ports.map(|ports| ports.0))
            && any(self.remote(), flow.destination, flow.protocol, flow.ports.map(|ports| ports.1))
    }

    /// May the peer send this to us?
    pub(crate) fn admit_inbound(&self, flow: &Flow) -> bool {
        any(self.remote(), flow.source, flow.protocol, flow.ports.map(|ports| ports.0))
            && any(self.local(), flow.destination, flow.protocol, flow.ports.map(|ports| ports.1))
    }
}

fn any(side: &[Selector], address: IpAddr, protocol: u8, port: Option<u16>) -> bool {
    side.iter().any(|selector| selector.admits(address, protocol, port))
}
