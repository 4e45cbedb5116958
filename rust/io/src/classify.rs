//! What a datagram is, and whose. Looks no further than the SPIs: the rest is for the engine.

use mobike_esp::framing::{self, Framing};

/// Stands in front of IKE on the NAT traversal port (RFC 3948 section 2.2).
pub(crate) const MARKER: [u8; framing::MARKER_LEN] = [0; framing::MARKER_LEN];

/// What a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An IKE message; the low bits of our SPI, if it has one, name its shard.
    Ike { ours: Option<u64> },
    /// An ESP packet.
    Esp { spi: u32 },
    /// A NAT keepalive.
    Keepalive,
    /// Too short to be anything.
    Runt,
}

impl Kind {
    /// Where the IKE SA sits that an IKE message names.
    pub(crate) fn ike_place(self) -> Option<u32> {
        match self {
            Kind::Ike { ours } => ours.map(mobike_ike::table::spi::ike_place),
            Kind::Esp { .. } | Kind::Keepalive | Kind::Runt => None,
        }
    }

    /// The shard that minted the SPI.
    pub(crate) fn shard(self) -> Option<u8> {
        match self {
            Kind::Ike { ours } => ours.map(|spi| spi as u8),
            Kind::Esp { spi } => Some(mobike_esp::spi::shard(spi)),
            Kind::Keepalive | Kind::Runt => None,
        }
    }
}

/// Tell it, and take the marker off.
pub(crate) fn classify(bytes: &mut [u8], natt: bool) -> (Kind, &mut [u8]) {
    if !natt {
        return (ike(bytes, Sender::Peer), bytes);
    }
    match framing::classify(bytes) {
        Framing::Ike => {
            let message = bytes.get_mut(framing::MARKER_LEN..).unwrap_or_default();
            (ike(message, Sender::Peer), message)
        }
        Framing::Esp { spi } => (Kind::Esp { spi }, bytes),
        Framing::Keepalive => (Kind::Keepalive, bytes),
        Framing::Runt => (Kind::Runt, bytes),
    }
}

/// The same of the beginning of a datagram that we sent.
pub(crate) fn classify_own(bytes: &[u8], natt: bool) -> (Kind, &[u8]) {
    let framing = if natt { framing::classify(bytes) } else { Framing::Ike };
    match framing {
        Framing::Ike => {
            let message = bytes.get(if natt { framing::MARKER_LEN } else { 0 }..).unwrap_or_default();
            (ike(message, Sender::Us), message)
        }
        Framing::Esp { spi } => (Kind::Esp { spi }, bytes),
        Framing::Keepalive => (Kind::Keepalive, bytes),
        Framing::Runt => (Kind::Runt, bytes),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Us,
    Peer,
}

/// ```text
/// |          IKE SA Initiator's SPI (8)         |
/// |          IKE SA Responder's SPI (8)         |
/// | Next Payload | Version | Exchange |  Flags  |      (RFC 7296 section 3.1)
/// ```
fn ike(message: &[u8], sender: Sender) -> Kind {
    const FLAGS: usize = 19;
    /// The sender is the original initiator, and chose the first SPI.
    const INITIATOR: u8 = 0x08;
    let Some((head, _)) = message.split_first_chunk::<{ FLAGS + 1 }>() else { return Kind::Runt };
    let ([initiator, responder], _) = spis(head);
    let by_initiator = head[FLAGS] & INITIATOR != 0;
    let ours = if by_initiator == (sender == Sender::Us) { initiator } else { responder };
    Kind::Ike { ours: (ours != 0).then_some(ours) }
}

fn spis(head: &[u8; 20]) -> ([u64; 2], &[u8]) {
    let (chunks, rest) = head.as_chunks::<8>();
    (std::array::from_fn(|index| u64::from_be_bytes(chunks[index])), rest)
}

#[cfg(test)]
mod tests {
    use super::{Kind, classify, classify_own};

    fn message(initiator: u64, responder: u64, flags: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(initiator.to_be_bytes());
        bytes.extend(responder.to_be_bytes());
        bytes.extend([33, 0x20, 34, flags]);
        bytes
    }

    #[test]
    fn our_spi_is_the_one_that_the_sender_did_not_choose() {
        let (kind, _) = classify(&mut message(0x0102, 0x0304, 0x08), false);
        assert_eq!((kind, kind.shard()), (Kind::Ike { ours: Some(0x0304) }, Some(4)));
        let (kind, _) = classify(&mut message(0x0102, 0x0304, 0x20), false);
        assert_eq!((kind, kind.shard()), (Kind::Ike { ours: Some(0x0102) }, Some(2)));
        let (kind, _) = classify(&mut message(0x0102, 0, 0x08), false);
        assert_eq!((kind, kind.shard()), (Kind::Ike { ours: None }, None));
    }

    #[test]
    fn the_marker_tells_ike_from_esp_on_the_natt_port() {
        let mut marked = [[0; 4].to_vec(), message(1, 2, 8)].concat();
        let (kind, bytes) = classify(&mut marked, true);
        assert_eq!((kind, bytes.len()), (Kind::Ike { ours: Some(2) }, 20));
        assert_eq!(classify(&mut [0, 0, 1, 0x13, 9], true).0, Kind::Esp { spi: 0x113 });
        assert_eq!(classify(&mut [0xff], true).0, Kind::Keepalive);
        assert_eq!(classify(&mut [0, 0, 0], true).0, Kind::Runt);
        assert_eq!(classify(&mut [0; 4], true).0, Kind::Runt);
        assert_eq!(classify(&mut [0xff], false).0, Kind::Runt);
    }

    // req: M3.5-1
    #[test]
    fn of_what_we_sent_our_spi_is_the_one_of_the_senders_role() {
        let own = |initiator, responder, flags| classify_own(&message(initiator, responder, flags), false).0;
        assert_eq!(own(0x0102, 0x0304, 0x08), Kind::Ike { ours: Some(0x0102) });
        assert_eq!(own(0x0102, 0x0304, 0x20), Kind::Ike { ours: Some(0x0304) });
        let marked = [[0; 4].to_vec(), message(1, 2, 8)].concat();
        let (kind, bytes) = classify_own(&marked, true);
        assert_eq!((kind, bytes.len()), (Kind::Ike { ours: Some(1) }, 20));
        assert_eq!(classify_own(&[0, 0, 1, 0x13, 9], true).0, Kind::Esp { spi: 0x113 });
        assert_eq!(classify_own(&[0xff], true).0, Kind::Keepalive);
        assert_eq!(classify_own(&[], true).0, Kind::Runt);
        assert_eq!(classify_own(&marked[..19], false).0, Kind::Runt);
    }
}
