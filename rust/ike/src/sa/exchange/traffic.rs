//! TS payloads and inner addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::id::ProfileId;
use crate::profile::{Profile, RequestVip};
use crate::sa::context::Context;
use crate::selector::Selector;
use crate::wire::Selector as WireSelector;
use crate::wire::cp::Attribute;
use crate::wire::{AddressRange, CfgType, Configuration, TrafficSelector, TsPayload};

/// The selectors of a TS payload that we understand, at most [`crate::selector::MAX_SELECTORS`].
#[must_use]
pub fn read(payload: &TsPayload<'_>) -> Vec<Selector> {
    let understood = payload.ranges().filter(|range| !range.is_opaque());
    let selector = |range: TrafficSelector| Selector {
        protocol: range.protocol,
        start_port: range.start_port,
        end_port: range.end_port,
        start: range.start(),
        end: range.end(),
    };
    understood.map(selector).take(crate::selector::MAX_SELECTORS).collect()
}

/// Our selectors as a TS payload, handed to `with`.
pub fn write<T>(selectors: &[Selector], with: impl FnOnce(TsPayload<'_>) -> T) -> T {
    let wire = |selector: &Selector| {
        let addresses = AddressRange::between(selector.start, selector.end)?;
        Some(WireSelector::Range(TrafficSelector {
            protocol: selector.protocol,
            start_port: selector.start_port,
            end_port: selector.end_port,
            addresses,
        }))
    };
    let selectors: Vec<WireSelector<'_>> = selectors.iter().filter_map(wire).collect();
    with(TsPayload::of(&selectors))
}

/// Inner addresses of one IKE SA: leased to us or by us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leases {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl Leases {
    /// Every address there is.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// Take what a peer's CFG_REQUEST asks for from the pool of the profile.
    pub fn take(ctx: &mut Context, id: ProfileId, profile: &Profile, request: &Configuration<'_>) -> Leases {
        let mut leases = Leases::default();
        let Some(pool) = &profile.pool else { return leases };
        for attribute in &request.attributes {
            match attribute {
                Attribute::Ip4Address(wanted) if leases.v4.is_none() => {
                    leases.v4 = ctx.pools.lease_v4(id, pool, wanted);
                }
                Attribute::Ip6Address(wanted) if leases.v6.is_none() => {
                    leases.v6 = ctx.pools.lease_v6(id, pool, wanted.map(|(address, _)| address));
                }
                _ => {}
            }
        }
        leases
    }

    /// Give all of it back to the pool of the profile.
    pub fn give_back(self, ctx: &mut Context, id: ProfileId, profile: &Profile) {
        if let Some(pool) = &profile.pool {
            self.iter().for_each(|address| ctx.pools.give_back(id, pool, address));
        }
    }

    /// The addresses in a peer's CFG_REPLY.
    #[must_use]
    pub fn read(reply: &Configuration<'_>) -> Leases {
        let mut leases = Leases::default();
        for attribute in &reply.attributes {
            match attribute {
                Attribute::Ip4Address(Some(address)) => leases.v4 = leases.v4.or(Some(address)),
                Attribute::Ip6Address(Some((address, _))) => leases.v6 = leases.v6.or(Some(address)),
                _ => {}
            }
        }
        leases
    }

    /// The CFG_REPLY that grants them, handed to `with`.
    pub fn write<T>(&self, with: impl FnOnce(Configuration<'_>) -> T) -> T {
        let v4 = self.v4.map(|address| Attribute::Ip4Address(Some(address)));
        let v6 = self.v6.map(|address| Attribute::Ip6Address(Some((address, 128))));
        let attributes: Vec<Attribute<'_>> = v4.into_iter().chain(v6).collect();
        with(Configuration::of(CfgType::REPLY, &attributes))
    }
}

/// Does a peer's CP payload ask for an inner address?
#[must_use]
pub fn asks_for_address(configuration: &Configuration<'_>) -> bool {
    let is_address = |attribute| matches!(attribute, Attribute::Ip4Address(_) | Attribute::Ip6Address(_));
    configuration.kind == CfgType::REQUEST && configuration.attributes.iter().any(is_address)
}

/// The CFG_REQUEST for what the profile wants, handed to `with`; `None` if it wants nothing.
pub fn request<T>(wanted: RequestVip, with: impl FnOnce(Configuration<'_>) -> T) -> Option<T> {
    let v4 = wanted.v4.then_some(Attribute::Ip4Address(None));
    let v6 = wanted.v6.then_some(Attribute::Ip6Address(None));
    let attributes: Vec<Attribute<'_>> = v4.into_iter().chain(v6).collect();
    (!attributes.is_empty()).then(|| with(Configuration::of(CfgType::REQUEST, &attributes)))
}

/// What an initiator proposes for its own side: the profile's selectors; else everything that an inner address could be;
/// else its outer address.
#[must_use]
pub fn proposed_local(profile: &Profile, outer: IpAddr) -> Vec<Selector> {
    let RequestVip { v4, v6 } = profile.request_virtual_ip;
    match (profile.local_ts.is_empty(), v4, v6) {
        (false, _, _) => profile.local_ts.clone(),
        (true, false, false) => vec![Selector::host(outer)],
        (true, v4, v6) => v4.then_some(Selector::ANY_V4).into_iter().chain(v6.then_some(Selector::ANY_V6)).collect(),
    }
}

/// What one side of a tunnel may be: the profile's selectors, else its inner addresses, else its outer address.
#[must_use]
pub fn side(selectors: &[Selector], leases: &Leases, outer: IpAddr) -> Vec<Selector> {
    if !selectors.is_empty() {
        return selectors.to_vec();
    }
    match leases.is_empty() {
        false => leases.iter().map(Selector::host).collect(),
        true => vec![Selector::host(outer)],
    }
}

/// Is every selector of `answer` inside one that we proposed?
#[must_use]
pub fn is_within(answer: &[Selector], proposed: &[Selector]) -> bool {
    let inside = |one: &Selector| proposed.iter().any(|outer| one.intersection(outer).as_ref() == Some(one));
    !answer.is_empty() && answer.iter().all(inside)
}
