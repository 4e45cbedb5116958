//! ICMP errors on their way to whom they concern, and what our own kernel would not send.

use mobike_ike::{Nanos, Path};

use super::{Inside, Letter, Links, Outside, Shard};
use crate::classify::{Kind, classify_own};
use crate::grumbles::{self, Grumble, Says};

impl Shard {
    pub(super) fn read_errors(&mut self, now: Nanos, socket: usize) {
        let mut left = grumbles::ERRORS;
        loop {
            let Outside { sockets, counters, .. } = &mut self.outside;
            let Some(grumble) = grumbles::next(&sockets[socket], &mut left, counters) else { return };
            self.outside.hear(now, &mut self.inside, &self.links, &grumble);
        }
    }

    /// What has just been found to have no way off this host. All of it was sent by this shard.
    pub(super) fn note_unsent(&mut self, now: Nanos) {
        for unsent in self.outside.send.take_unsent() {
            let natt = unsent.path.local.port() == self.outside.natt_port;
            if let (Kind::Ike { .. }, message) = classify_own(&unsent.head, natt) {
                self.inside.join.unsent(now, unsent.path, message);
            }
        }
    }
}

impl Outside {
    fn hear(&mut self, now: Nanos, inside: &mut Inside, links: &Links, grumble: &Grumble) {
        let path = grumble.path;
        match grumble.says {
            Says::TooBig => self.widths.doubt(path.local.ip(), path.remote.ip()),
            Says::Unreachable => self.unreachable(now, inside, links, path, grumble.quoted(), 0),
        }
    }

    /// The kernel gives an error to any of the shards that listen there. Our SPI in an IKE message names the right one; of
    /// ESP we know the sender by the peer's SPI, which one shard after the other is asked about.
    pub(super) fn unreachable(
        &mut self,
        now: Nanos,
        inside: &mut Inside,
        links: &Links,
        path: Path,
        quoted: &[u8],
        tried: u8,
    ) {
        let (kind, message) = classify_own(quoted, path.local.port() == self.natt_port);
        let shards = links.mailboxes.len();
        let next = match kind {
            Kind::Ike { ours: Some(spi) } if links.is_elsewhere(spi as u8) => spi as u8,
            Kind::Ike { .. } | Kind::Esp { .. } | Kind::Keepalive | Kind::Runt => {
                if inside.join.unreachable(now, path, kind, message) {
                    return;
                }
                if usize::from(tried) + 1 >= shards {
                    self.counters.icmp_stray += 1;
                    return;
                }
                ((usize::from(links.index) + 1) % shards) as u8
            }
        };
        let letter = Letter::Unreachable { tried: tried + 1, path, quoted: Box::from(quoted) };
        links.hand_over(next, letter, &mut self.counters);
    }
}
