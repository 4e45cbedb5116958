//! Lists of addresses (RFC 4555 sections 3.4 and 3.6): whole lists only, and the newest message id wins.

use core::net::{IpAddr, SocketAddr};

use crate::event::NoticeKind;
use crate::sa::context::{About, Context};
use crate::sa::window::{Ask, Outstanding};
use crate::wire::mobike::SCRATCH_LEN;
use crate::wire::{MobikeNotify, Payload, Payloads, SkWriter};
use crate::{Nanos, Path};

/// Addresses of a peer that we keep; the rest of a longer list is dropped.
pub const MAX_ADDRESSES: usize = 32;

/// The list in a message, if it carries one. NO_ADDITIONAL_ADDRESSES is the empty list. What nobody could be reached at
/// is left out, and so is what is beyond the limit; `about` is whose list it is, for the notice that says so.
pub fn read(ctx: &mut Context, now: Nanos, about: About, payloads: &Payloads<'_>) -> Option<Vec<IpAddr>> {
    let mut list: Option<Vec<IpAddr>> = None;
    let (mut unusable, mut beyond) = (0u32, 0u32);
    let here = about.path.is_some_and(|path| path.remote.ip().is_loopback());
    for notify in payloads.mobike().flatten() {
        match notify {
            MobikeNotify::AdditionalAddress(address) => {
                let list = list.get_or_insert_default();
                if !is_usable(address, here) {
                    unusable += 1;
                } else if list.contains(&address) {
                } else if list.len() < MAX_ADDRESSES {
                    list.push(address);
                } else {
                    beyond += 1;
                }
            }
            MobikeNotify::NoAdditionalAddresses => {
                list.get_or_insert_default();
            }
            _ => {}
        }
    }
    if unusable > 0 || beyond > 0 {
        ctx.counters.listed_addresses_ignored += u64::from(unusable + beyond);
        let text = || {
            format!(
                "of the peer's list, {unusable} addresses that cannot be used and {beyond} beyond {MAX_ADDRESSES} ignored"
            )
        };
        ctx.notice(now, about, NoticeKind::AddressRefused, text);
    }
    list
}

/// Could an address that a peer lists lead to it? (RFC 4555 section 3.6 leaves this to us.) Loopback addresses could,
/// if the peer is on this very host.
fn is_usable(address: IpAddr, same_host: bool) -> bool {
    let unicast = match address {
        IpAddr::V4(v4) => !v4.is_broadcast() && !v4.is_link_local(),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_none() && !v6.is_unicast_link_local(),
    };
    unicast && !address.is_unspecified() && !address.is_multicast() && (same_host || !address.is_loopback())
}

/// Write our list, without the address that the message itself comes from.
pub fn write(writer: &mut SkWriter, addresses: &[IpAddr], source: IpAddr) {
    let mut scratch = [0; SCRATCH_LEN];
    let mut others = addresses.iter().filter(|address| **address != source).take(MAX_ADDRESSES).peekable();
    if others.peek().is_none() {
        writer.push(&Payload::Notify(MobikeNotify::NoAdditionalAddresses.notify(&mut scratch)));
    }
    for address in others {
        writer.push(&Payload::Notify(MobikeNotify::AdditionalAddress(*address).notify(&mut scratch)));
    }
}

/// Pairs tried for one list.
const MAX_PAIRS: usize = 16;

/// Over which pair a list that was ordered onto a path of its own goes next: each of our addresses in it with each of the
/// peer's, in turn (RFC 4555 section 3.6). `None` for everything else.
#[must_use]
pub fn next_pair(request: &Outstanding, peers: &[SocketAddr]) -> Option<Path> {
    let Ask::Announce { addresses, path: Some(first), .. } = &request.ask else { return None };
    let locals =
        core::iter::once(first.local.ip()).chain(addresses.iter().copied().filter(|ip| *ip != first.local.ip()));
    let pairs = locals.flat_map(|local| {
        let fits = move |remote: &&SocketAddr| remote.is_ipv4() == local.is_ipv4();
        let local = SocketAddr::new(local, first.local.port());
        peers.iter().filter(fits).map(move |remote| Path::udp(local, *remote))
    });
    let mut turns = vec![*first];
    turns.extend(pairs.filter(|pair| pair != first).take(MAX_PAIRS - 1));
    let turn = (request.retry.tries as usize).saturating_sub(1) % turns.len();
    turns.get(turn).copied().filter(|_| !peers.is_empty())
}

/// Where a list that was ordered onto a pair of its own goes next while the SA is in a stream: there may be no stream on that
/// pair, and a responder opens none. So every other copy goes over the pair in use.
#[must_use]
pub fn beside_stream(request: &Outstanding, here: Path) -> Option<Path> {
    let Ask::Announce { path: Some(own), .. } = request.ask else { return None };
    (here.is_stream() && own != here).then(|| if request.path == here { own } else { here })
}

/// A list request that went out from several addresses must be followed by a fresh one (M3.6-3).
#[must_use]
pub fn proves_nothing(request: &Outstanding) -> bool {
    request.many_paths
}
