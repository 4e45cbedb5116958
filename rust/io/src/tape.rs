//! What one IKE SA and its Child SAs send and receive, for an operator who asked for it: datagrams as they are on the wire,
//! and the keys to read them by. One at a time in each shard, and bounded.
//!
//! The keys are in the clear. Nothing asks for them but an explicit capture.

use std::net::IpAddr;

use mobike_esp::{GroupId, SaPairId};
use mobike_ike::crypto::DirectionKeys;
use mobike_ike::crypto::capture::KeysInTheClear;
use mobike_ike::{Nanos, Path, SaId};

use crate::classify::{Kind, MARKER, classify_own};
use crate::join::Join;
use crate::plane::suite_back;

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// When, by the clock of this process.
    pub at: Nanos,
    /// Which way.
    pub path: Path,
    /// We sent it.
    pub sent: bool,
    /// What is in UDP, the marker before IKE on the NAT traversal port included.
    pub bytes: Box<[u8]>,
}

/// What was taken down since the last time.
#[derive(Debug, Clone, Default)]
pub struct Taped {
    /// In the order in which they came and went.
    pub frames: Vec<Frame>,
    /// Those that there was no room for.
    pub missed: u64,
    /// The present time by the clock of the frames.
    pub now: Nanos,
    /// Lines of Wireshark's `ikev2_decryption_table`, for the keys of now.
    pub ike_keys: Vec<String>,
    /// The same of `esp_sa`.
    pub esp_keys: Vec<String>,
}

/// It runs.
pub(crate) struct Tape {
    pub(crate) sa: SaId,
    natt_port: u16,
    room: usize,
    left: usize,
    frames: Vec<Frame>,
    missed: u64,
}

/// Beside its octets a frame costs about so much.
const FRAME: usize = 128;

impl Tape {
    pub(crate) fn new(sa: SaId, room: usize, natt_port: u16) -> Tape {
        Tape { sa, natt_port, room, left: room, frames: Vec::new(), missed: 0 }
    }

    fn note(&mut self, at: Nanos, path: Path, sent: bool, parts: [&[u8]; 2]) {
        let cost = FRAME + parts[0].len() + parts[1].len();
        if cost > self.left {
            self.missed += 1;
            return;
        }
        self.left -= cost;
        self.frames.push(Frame { at, path, sent, bytes: parts.concat().into() });
    }

    fn marker(&self, path: Path) -> &'static [u8] {
        if path.local.port() == self.natt_port { &MARKER } else { &[] }
    }
}

impl Join {
    /// A datagram came, and was not opened yet; of IKE without marker.
    pub(crate) fn tape_received(&mut self, now: Nanos, path: Path, kind: Kind, bytes: &[u8]) {
        let Some(tape) = &self.tape else { return };
        let marker = match kind {
            Kind::Ike { .. } if kind.ike_place() == Some(tape.sa.slot()) => tape.marker(path),
            Kind::Esp { spi } if self.is_of(tape.sa, spi) => &[],
            Kind::Ike { .. } | Kind::Esp { .. } | Kind::Keepalive | Kind::Runt => return,
        };
        if let Some(tape) = &mut self.tape {
            tape.note(now, path, false, [marker, bytes]);
        }
    }

    /// An IKE message leaves.
    pub(crate) fn tape_sent(&mut self, now: Nanos, path: Path, message: &[u8]) {
        let Some(tape) = &mut self.tape else { return };
        let (kind, _) = classify_own(message, false);
        if kind.ike_place() == Some(tape.sa.slot()) {
            let marker = tape.marker(path);
            tape.note(now, path, true, [marker, message]);
        }
    }

    /// An ESP packet of this IKE SA leaves.
    pub(crate) fn tape_sealed(&mut self, now: Nanos, path: Path, sa: SaId, packet: &[u8]) {
        if let Some(tape) = self.tape.as_mut().filter(|tape| tape.sa == sa) {
            tape.note(now, path, true, [&[], packet]);
        }
    }

    /// What was taken down since the last time; `None`: nothing of this one is.
    pub(crate) fn take_tape(&mut self, now: Nanos, sa: SaId) -> Option<Taped> {
        let tape = self.tape.as_mut().filter(|tape| tape.sa == sa)?;
        let (frames, missed) = (std::mem::take(&mut tape.frames), std::mem::take(&mut tape.missed));
        tape.left = tape.room;
        let ike_keys = self.engine.export_keys(sa).into_iter().collect();
        Some(Taped { frames, missed, now, ike_keys, esp_keys: self.esp_keys(sa) })
    }

    fn is_of(&self, sa: SaId, spi: u32) -> bool {
        self.plane.esp.as_ref().is_some_and(|esp| {
            esp.by_inbound_spi(spi).is_some_and(|pair| esp.group(GroupId(sa.0)).any(|one| one == pair))
        })
    }

    fn esp_keys(&self, sa: SaId) -> Vec<String> {
        let Some(esp) = &self.plane.esp else { return Vec::new() };
        esp.group(GroupId(sa.0)).filter_map(|pair| self.keys_of(pair)).flatten().collect()
    }

    fn keys_of(&self, pair: SaPairId) -> Option<[String; 2]> {
        let parked = self.plane.esp.as_ref()?.park(pair)?;
        let suite = suite_back(parked.suite, parked.sequence)?;
        let family = if matches!(parked.outer.local.ip(), IpAddr::V4(_)) { "IPv4" } else { "IPv6" };
        let line = |keymat: &[u8], spi: u32| {
            let (encr, integ) = keymat.split_at_checked(suite.encr().key_len())?;
            let keys = DirectionKeys::from_slices(encr, Some(integ).filter(|integ| !integ.is_empty()))?;
            let keys = KeysInTheClear::i_know_this_breaks_confidentiality(&keys);
            Some(keys.wireshark_line(&suite, family, spi))
        };
        Some([line(&parked.keymat_in, parked.spi_in)?, line(&parked.keymat_out, parked.spi_out)?])
    }
}
