//! What stories say of Child SAs: both ends have the same pairs, with the same keys, and nothing is left over.

use mobike_ike::crypto::EspSuite;
use mobike_ike::{ChildInstall, ChildMode, ChildOrders, Profile, Selector};

use super::arrows::Told;
use super::host::Host;
use super::pair::Pair;

/// One more Child SA of a profile, opened by order.
pub fn more(profile: &mut Profile, name: &str, local: &str, remote: &str) {
    let esp_suites = profile.esp_suites.clone();
    let (local_ts, remote_ts) = (vec![selector(local)], vec![selector(remote)]);
    let mode = ChildMode::Tunnel;
    profile.plan.others.push(ChildOrders { name: name.into(), esp_suites, local_ts, remote_ts, mode, start: false });
}

/// `10.1.0.0/16`, with `[udp/5060]` behind it or not.
pub fn selector(text: &str) -> Selector {
    let (network, upper) = text.split_once('[').unwrap_or((text, ""));
    let (address, length) = network.split_once('/').expect("a network");
    let selector = Selector::subnet(address.parse().expect("an address"), length.parse().expect("a length"));
    match upper.strip_suffix(']') {
        Some(upper) => selector.only(upper.parse().expect("a protocol")),
        None => selector,
    }
}

/// Algorithms by their names.
pub fn suites(names: &[&str]) -> Vec<EspSuite> {
    names.iter().map(|name| name.parse().expect("a suite")).collect()
}

/// The installs of pairs that are up, with their names, in the order of these.
pub fn live(host: &Host) -> Vec<(String, &ChildInstall)> {
    let up = host.live_children();
    let mut live: Vec<_> = host
        .named_installs()
        .into_iter()
        .filter(|(child, ..)| up.contains(child))
        .map(|(_, n, i)| (n.into(), i))
        .collect();
    live.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
    live
}

/// Each end has a pair of each of these names, and no other; each sends with what the other receives with; no place is
/// reserved for any more.
#[track_caller]
pub fn assert_pairs(pair: &Pair, names: &[&str]) {
    let (client, gateway) = (live(pair.client()), live(pair.gateway()));
    let named = |live: &[(String, &ChildInstall)]| live.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(named(&client), names, "client");
    assert_eq!(client.len(), gateway.len(), "gateway has {:?}", named(&gateway));
    for (name, ours) in &client {
        let theirs = gateway.iter().find(|(_, theirs)| theirs.spi_in == ours.spi_out);
        let (_, theirs) = theirs.unwrap_or_else(|| panic!("the gateway does not receive what {name} sends"));
        assert_eq!((ours.spi_in, &ours.key_in), (theirs.spi_out, &theirs.key_out), "{name}");
        assert_eq!(ours.key_out, theirs.key_in, "{name}");
        assert_eq!((&ours.local_ts, &ours.remote_ts), (&theirs.remote_ts, &theirs.local_ts), "{name}");
        let (to, from) = (pair.client().goes_by(ours), pair.gateway().goes_by(theirs));
        assert_eq!(to, from.reversed(), "{name}");
    }
    for host in [pair.client(), pair.gateway()] {
        let reserved = host.engine.population().child_sas as usize;
        assert_eq!(reserved, names.len(), "{}: nothing reserved is left", host.name);
    }
}

/// Does it carry a Delete?
pub fn deletes(told: &Told) -> bool {
    told.contents.as_ref().is_some_and(|contents| contents.payloads.iter().any(|payload| payload == "DELETE"))
}
