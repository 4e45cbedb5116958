//! NAT detection on a path (RFC 7296 section 2.23): what we say, and what we conclude.

use core::net::SocketAddr;

use crate::Path;
use crate::crypto::Spis;
use crate::crypto::natd::{NAT_DETECTION_LEN, nat_detection};
use crate::event::NatView;
use crate::wire::{NotifyType, Payload, Payloads};

/// Source and destination hash of a message we send over `path`.
#[derive(Debug, Clone, Copy)]
pub struct NatHashes {
    source: [u8; NAT_DETECTION_LEN],
    destination: [u8; NAT_DETECTION_LEN],
}

impl NatHashes {
    /// For a message with these SPIs in its header.
    #[must_use]
    pub fn of(spis: Spis, path: Path) -> NatHashes {
        NatHashes { source: nat_detection(spis, path.local), destination: nat_detection(spis, path.remote) }
    }

    /// The two notifications.
    #[must_use]
    pub fn payloads(&self) -> [Payload<'_>; 2] {
        [
            Payload::notify(NotifyType::NAT_DETECTION_SOURCE_IP, &self.source),
            Payload::notify(NotifyType::NAT_DETECTION_DESTINATION_IP, &self.destination),
        ]
    }
}

/// What the NAT detection payloads of a received message tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detected {
    /// NATs on the path.
    pub nat: NatView,
    /// What the peer sees as our address, shortened: another one means another NAT mapping.
    pub seen_as: u64,
}

/// Read them. `None` if the peer sent none: it does not know NAT traversal.
#[must_use]
pub fn detect(payloads: &Payloads<'_>, spis: Spis, path: Path) -> Option<Detected> {
    let hashes = |kind| payloads.notifies().filter(move |notify| notify.kind == kind);
    let matches = |kind, end: SocketAddr| {
        let own = nat_detection(spis, end);
        hashes(kind).any(|notify| notify.data == own)
    };
    let first = hashes(NotifyType::NAT_DETECTION_DESTINATION_IP).next()?;
    hashes(NotifyType::NAT_DETECTION_SOURCE_IP).next()?;
    // A stream passes NATs, whatever its ports look like on the other side (RFC 9329 section 6.5).
    let nat = if path.is_stream() {
        NatView::default()
    } else {
        NatView {
            we_are_behind: !matches(NotifyType::NAT_DETECTION_DESTINATION_IP, path.local),
            peer_is_behind: !matches(NotifyType::NAT_DETECTION_SOURCE_IP, path.remote),
        }
    };
    let seen_as = first.data.first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets));
    Some(Detected { nat, seen_as })
}

/// Was this message written for another pair of these ends, and repeated over `path` octet for octet? Nothing is known of
/// NATs here then. The ends that are seen must be among them: a NAT shows others, whatever the message was written for.
#[must_use]
pub fn is_of_another_pair(
    payloads: &Payloads<'_>,
    spis: Spis,
    path: Path,
    locals: &[SocketAddr],
    remotes: &[SocketAddr],
) -> bool {
    if !locals.contains(&path.local) || !remotes.contains(&path.remote) {
        return false;
    }
    let written_for = |kind, end: SocketAddr| {
        let hash = nat_detection(spis, end);
        payloads.notifies().any(|notify| notify.kind == kind && notify.data == hash)
    };
    let local = locals.iter().find(|end| written_for(NotifyType::NAT_DETECTION_DESTINATION_IP, **end));
    let remote = remotes.iter().find(|end| written_for(NotifyType::NAT_DETECTION_SOURCE_IP, **end));
    matches!((local, remote), (Some(local), Some(remote)) if (*local, *remote) != (path.local, path.remote))
}
