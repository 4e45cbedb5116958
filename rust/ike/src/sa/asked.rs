//! What our requests of an established IKE SA carry.

use crate::Path;
use crate::profile::Profile;
use crate::sa::exchange::{addresses, away};
use crate::sa::path::NatHashes;
use crate::sa::window::{Ask, MAX_WINDOW};
use crate::wire::mobike::SCRATCH_LEN;
use crate::wire::{
    Cookie2, Delete, Extensions, MobikeNotify, NoNatsAllowed, NotifyType, Payload, Payloads, ProtocolId, SkWriter,
};

/// The payloads of `ask` over `path`. `hashes` are there while NAT traversal is on.
pub fn write(writer: &mut SkWriter, ask: &Ask, path: Path, behind_nat: bool, hashes: Option<&NatHashes>) {
    let mut scratch = [0; SCRATCH_LEN];
    let nat = |writer: &mut SkWriter| {
        hashes.iter().flat_map(|hashes| hashes.payloads()).for_each(|payload| writer.push(&payload));
    };
    // Where NATs are prohibited, everything that can change addresses says which it was sent with (M3.9-1).
    let no_nats = |writer: &mut SkWriter| {
        if hashes.is_none() {
            push_no_nats(writer, path);
        }
    };
    match ask {
        Ask::Liveness => {
            if behind_nat {
                nat(writer);
            }
        }
        Ask::Probe { .. } => {}
        Ask::Update { addresses: list, cookie, .. } => {
            writer.push(&Payload::Notify(MobikeNotify::UpdateSaAddresses.notify(&mut scratch)));
            nat(writer);
            no_nats(writer);
            if let Some(cookie) = cookie.as_ref().and_then(|octets| Cookie2::new(octets)) {
                writer.push(&Payload::Notify(MobikeNotify::Cookie2(cookie).notify(&mut scratch)));
            }
            if let Some(list) = list {
                addresses::write(writer, list, path.local.ip());
            }
        }
        Ask::Announce { addresses: list, .. } => {
            addresses::write(writer, list, path.local.ip());
            no_nats(writer);
        }
        Ask::Check { cookie } | Ask::Repair { cookie, .. } => {
            if let Some(cookie) = Cookie2::new(cookie) {
                writer.push(&Payload::Notify(MobikeNotify::Cookie2(cookie).notify(&mut scratch)));
            }
            nat(writer);
        }
        Ask::Away { seconds } => away::write(writer, *seconds),
        Ask::Redirect { octets } => writer.push(&Payload::notify(NotifyType::REDIRECT, octets)),
        Ask::Sync { said } => said.write(writer),
        // Written where their secrets are.
        Ask::RekeyIke | Ask::MakeChild | Ask::FollowIke | Ask::FollowChild => {}
        Ask::DeleteIke => writer.push(&Payload::Delete(Delete::IkeSa)),
        Ask::DeleteChild { spi_in, .. } => {
            let spis = [spi_in.to_be_bytes()];
            writer.push(&Payload::Delete(Delete::ChildSas { protocol: ProtocolId::ESP, spis: &spis }));
        }
    }
}

/// SET_WINDOW_SIZE, if it is not what goes without saying.
pub fn push_window(writer: &mut SkWriter, profile: &Profile) {
    let window = u32::from(profile.window).clamp(1, MAX_WINDOW);
    if window > 1 {
        writer.push(&Payload::notify(NotifyType::SET_WINDOW_SIZE, &window.to_be_bytes()));
    }
}

/// The private extensions that both ends offer. They build on MOBIKE, so there are none without it.
#[must_use]
pub fn agreed_extensions(mobike: bool, profile: &Profile, payloads: &Payloads<'_>) -> Extensions {
    if mobike { profile.extensions & Extensions::read(payloads) } else { Extensions::NONE }
}

/// NO_NATS_ALLOWED for a message that takes this path.
pub fn push_no_nats(writer: &mut SkWriter, path: Path) {
    // Of a stream that we opened we do not know the port.
    if let Some(ends) = NoNatsAllowed::new(path.local, path.remote).filter(|_| !path.is_stream()) {
        let mut scratch = [0; SCRATCH_LEN];
        writer.push(&Payload::Notify(MobikeNotify::NoNatsAllowed(ends).notify(&mut scratch)));
    }
}
