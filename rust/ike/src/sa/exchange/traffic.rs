//! TS payloads, and what each side of a tunnel may be.

use core::net::IpAddr;

use crate::profile::{Profile, RequestVip};
use crate::sa::exchange::configuration::Leases;
use crate::selector::Selector;
use crate::wire::Selector as WireSelector;
use crate::wire::{AddressRange, TrafficSelector, TsPayload};

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
