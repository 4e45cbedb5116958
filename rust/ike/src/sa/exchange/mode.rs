//! Transport mode (RFC 7296 section 1.3.1): asked for, answered and refused, in both roles.
//!
//! ```text
//! HDR, SK { .., [N(USE_TRANSPORT_MODE)], SA, .., TSi, TSr }   -->
//!                            <--   HDR, SK { .., [N(USE_TRANSPORT_MODE)], SA, .., TSi, TSr }
//! ```
//!
//! A Child SA of a profile has one mode, and so have all pairs that are made for it: a rekey keeps it. One in transport mode is
//! about the two hosts, whatever else its selectors allow. Through a NAT each end would see other hosts than its peer does
//! (section 2.23.1); there it is refused.

use core::net::IpAddr;

use crate::Path;
use crate::children::{ChildMode, ChildView};
use crate::event::NatView;
use crate::profile::Profile;
use crate::sa::exchange::fit::{Fit, Sides};
use crate::selector::{Selector, narrow};
use crate::wire::{NotifyType, Payload, Payloads, SkWriter};

/// Why nothing of it is asked for where a NAT is.
pub const NO_NATS: &str = "transport mode does not go through a NAT (RFC 7296 section 2.23.1)";
/// Why nothing of it is asked for where the selectors leave the hosts out.
pub const NO_HOSTS: &str = "its traffic is not that of the two hosts, and transport mode carries no other";

/// Is transport mode asked for, or granted?
#[must_use]
pub fn is_said(payloads: &Payloads<'_>) -> bool {
    payloads.has(NotifyType::USE_TRANSPORT_MODE)
}

/// Ask for it, or grant it.
pub fn write(writer: &mut SkWriter, mode: ChildMode) {
    if mode == ChildMode::Transport {
        writer.push(&Payload::notify(NotifyType::USE_TRANSPORT_MODE, &[]));
    }
}

/// Both sides of a Child SA between hosts, ours first; nothing where its selectors are about others. `None`: it is a tunnel.
#[must_use]
pub fn hosts(view: &ChildView<'_>, path: Path) -> Option<Sides> {
    let side = |selectors: &[Selector], outer: IpAddr| {
        let host = vec![Selector::host(outer)];
        if selectors.is_empty() { host } else { narrow(selectors, &host) }
    };
    match view.mode {
        ChildMode::Tunnel => None,
        ChildMode::Transport => Some((side(view.local_ts, path.local.ip()), side(view.remote_ts, path.remote.ip()))),
    }
}

/// May we ask for this one? If not, why.
pub fn judge(mode: ChildMode, nat: NatView, (local, remote): &Sides) -> Result<(), &'static str> {
    match mode {
        ChildMode::Tunnel => Ok(()),
        ChildMode::Transport if nat.any() => Err(NO_NATS),
        ChildMode::Transport if local.is_empty() || remote.is_empty() => Err(NO_HOSTS),
        ChildMode::Transport => Ok(()),
    }
}

/// Of what fits a request, that which is of a mode that both ends want: where the peer asks for transport mode, that first,
/// else a tunnel, which it takes or deletes. The error says why nothing is left.
pub fn among(fits: Vec<Fit>, profile: &Profile, payloads: &Payloads<'_>, nat: NatView) -> Result<Vec<Fit>, String> {
    let asked = is_said(payloads);
    let mut refusal = None;
    let mut left: Vec<Fit> = Vec::with_capacity(fits.len());
    for fit in fits {
        let view = profile.child(fit.number);
        match (view.mode, asked) {
            (ChildMode::Tunnel, _) => left.push(fit),
            (ChildMode::Transport, true) if nat.any() => refusal = Some(NO_NATS.into()),
            (ChildMode::Transport, true) => left.push(fit),
            (ChildMode::Transport, false) => {
                refusal = Some(format!("{} is in transport mode here, and the peer asks for a tunnel", view.name));
            }
        }
    }
    left.sort_by_key(|fit| asked && profile.child(fit.number).mode == ChildMode::Tunnel);
    match refusal {
        Some(why) if left.is_empty() => Err(why),
        Some(_) | None => Ok(left),
    }
}

/// Is an answer in the mode that we asked for? If not, its Child SA is to be deleted.
pub fn check_answer(mode: ChildMode, payloads: &Payloads<'_>) -> Result<(), &'static str> {
    match (mode, is_said(payloads)) {
        (ChildMode::Tunnel, false) | (ChildMode::Transport, true) => Ok(()),
        (ChildMode::Tunnel, true) => Err("transport mode, which we did not ask for"),
        (ChildMode::Transport, false) => Err("a tunnel, where we asked for transport mode"),
    }
}
