//! Lists of addresses (RFC 4555 sections 3.4 and 3.6): whole lists only, and the newest message id wins.

use core::net::{IpAddr, SocketAddr};

use crate::Path;
use crate::sa::window::{Ask, Outstanding};
use crate::wire::mobike::SCRATCH_LEN;
use crate::wire::{MobikeNotify, Payload, Payloads, SkWriter};

/// Addresses of a peer that we keep; the rest of a longer list is dropped.
pub const MAX_ADDRESSES: usize = 32;

/// The list in a message, if it carries one. NO_ADDITIONAL_ADDRESSES is the empty list.
#[must_use]
pub fn read(payloads: &Payloads<'_>) -> Option<Vec<IpAddr>> {
    let mut list = None;
    for notify in payloads.mobike().flatten() {
        match notify {
            MobikeNotify::AdditionalAddress(address) => {
                let list: &mut Vec<IpAddr> = list.get_or_insert_default();
                if list.len() < MAX_ADDRESSES && !list.contains(&address) {
                    list.push(address);
                }
            }
            MobikeNotify::NoAdditionalAddresses => {
                list.get_or_insert_default();
            }
            _ => {}
        }
    }
    list
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
        peers.iter().filter(fits).map(move |remote| Path { local, remote: *remote })
    });
    let mut turns = vec![*first];
    turns.extend(pairs.filter(|pair| pair != first).take(MAX_PAIRS - 1));
    let turn = (request.retry.tries as usize).saturating_sub(1) % turns.len();
    turns.get(turn).copied().filter(|_| !peers.is_empty())
}

/// A list request that went out from several addresses must be followed by a fresh one (M3.6-3).
#[must_use]
pub fn proves_nothing(request: &Outstanding) -> bool {
    request.many_paths
}
