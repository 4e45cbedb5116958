//! On the way out: IKE messages, and inner packets as ESP.

use mobike_esp::{OuterPath, SealError};
use mobike_ike::Nanos;

use super::{Inside, Letter, Links, Outside};
use crate::batch::send_parts;
use crate::classify::MARKER;
use crate::join::{Join, Leaving, Stays};
use crate::too_big::may_be_cut;
use crate::width::SHORT;
use crate::words::Event;

impl Outside {
    pub(super) fn transmit(&mut self, now: Nanos, join: &mut Join, transmit: &mobike_ike::Transmit) {
        let path = transmit.path;
        if self.plugs.is_out(path.local.ip()) {
            self.counters.unplugged += 1;
            return;
        }
        if !transmit.keepalive {
            join.tape_sent(now, path, &transmit.bytes);
        }
        if path.is_stream() {
            return self.transmit_in_stream(now, join, transmit);
        }
        let marked = path.local.port() == self.natt_port && !transmit.keepalive;
        let marker: &[u8] = if marked { &MARKER } else { &[] };
        send_parts(&mut self.send, &self.sockets, path, &[marker, &transmit.bytes], &mut self.counters);
    }

    /// An inner packet on its way out: sealed into the send buffer, or given to the next shard if no Child SA here has
    /// a route for it and not all have been asked.
    pub(super) fn seal(&mut self, now: Nanos, inside: &mut Inside, links: &Links, packet: &[u8], tried: u8) {
        if self.send.is_full() {
            self.send.flush(&self.sockets, &mut self.counters);
        }
        let Outside { send, widths, counters, .. } = self;
        let most = |outer: &OuterPath, suite| {
            let fits = packet.len() <= SHORT || may_be_cut(packet);
            if fits { usize::MAX } else { widths.most_inner(now, outer, suite, counters) }
        };
        let Leaving { path, length, sa } = match inside.join.seal(now, packet, send.buffer(), most) {
            Ok(sealed) => sealed,
            Err(Stays::Refused(SealError::TooLong { most, outer })) => {
                return self.refuse_long(now, inside, packet, most, &outer);
            }
            Err(Stays::Refused(SealError::NoRoute)) if usize::from(tried) + 1 < links.mailboxes.len() => {
                let next = (usize::from(links.index) + 1) % links.mailboxes.len();
                let letter = Letter::Inner { tried: tried + 1, packet: packet.into() };
                links.hand_over(next as u8, letter, &mut self.counters);
                return;
            }
            // Counted by the table.
            Err(Stays::Refused(why)) => {
                let told = matches!(why, SealError::NoRoute).then(|| self.wants.tell(now, packet)).flatten();
                inside.join.held.extend(told);
                return;
            }
            Err(Stays::NoPlane) => {
                self.counters.esp_without_plane += 1;
                return;
            }
            Err(Stays::Plain) => {
                self.counters.esp_plain += 1;
                return;
            }
        };
        if self.plugs.is_out(path.local.ip()) {
            self.counters.unplugged += 1;
            return;
        }
        self.counters.inner_out += 1;
        if inside.join.tape.is_some() {
            inside.join.tape_sealed(now, path, sa, self.send.buffer().get(..length).unwrap_or_default());
        }
        if path.is_stream() {
            return self.push_in_stream(now, inside, (path, sa.slot()), length);
        }
        self.send.push(&self.sockets, path, length, &mut self.counters);
    }

    /// An inner packet is longer than its path takes: its sender learns it as from any router (RFC 4301 section 8.2).
    fn refuse_long(&mut self, now: Nanos, inside: &mut Inside, packet: &[u8], most: usize, outer: &OuterPath) {
        match self.teller.tell(now, packet, most) {
            Some(answer) => {
                self.counters.inner_too_big += 1;
                inside.inner.deliver(&answer, &mut self.counters);
            }
            None => self.counters.inner_too_big_untold += 1,
        }
        if let Some(mtu) = self.widths.news(outer) {
            let text = format!("{outer} takes packets of {mtu} bytes: inner packets of up to {most} pass");
            inside.join.held.push_back(Event::Notice { kind: "path_mtu", text });
        }
    }
}
