//! Streams (RFC 9329) of a shard without sockets: who calls has them, as [`crate::streams`] does for one that has sockets.

use mobike_ike::table::spi::ike_place;
use mobike_ike::{Nanos, Path, SaId, StreamUse, Transmit};

use super::{Carries, Solo};
use crate::classify::{Kind, MARKER, classify, classify_own};

/// What wants to leave in a stream.
#[derive(Debug, Clone)]
pub struct InStream {
    /// From where to where.
    pub path: Path,
    /// Of the IKE SA whose stream it takes.
    pub place: u32,
    /// The message, without its length.
    pub bytes: Vec<u8>,
    /// What it is.
    pub carries: Carries,
    /// It went this way before: an open stream needs it no more.
    pub again: bool,
}

impl Solo {
    /// A message came in over a stream. The place of the IKE SA that is on the stream now, if it is one's.
    pub fn handle_message(&mut self, now: Nanos, path: Path, bytes: &mut [u8]) -> Option<u32> {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += bytes.len() as u64;
        let (kind, bytes) = classify(bytes, true);
        match kind {
            Kind::Keepalive => self.counters.keepalives_in += 1,
            Kind::Runt => self.counters.runts += 1,
            Kind::Ike { .. } => self.join.hear_ike(now, path, bytes),
            Kind::Esp { .. } => self.open(now, path, bytes),
        }
        let owner = kind.ike_place().filter(|place| self.stream_use(*place, path).is_there());
        self.settle(now);
        owner
    }

    /// A stream for the SA in this place is open.
    pub fn handle_stream_opened(&mut self, now: Nanos, place: u32, path: Path) {
        self.counters.streams_opened += 1;
        self.join.engine.handle_stream_opened(now, place, path);
        self.settle(now);
    }

    /// A stream that was opened for the SA in this place ended.
    pub fn handle_stream_lost(&mut self, now: Nanos, place: u32, path: Path) {
        self.counters.streams_ended += 1;
        self.join.engine.handle_stream_lost(now, place, path);
        self.settle(now);
    }

    /// What the SA in this place does with a stream on this path.
    #[must_use]
    pub fn stream_use(&self, place: u32, path: Path) -> StreamUse {
        self.join.engine.stream_use(place, path)
    }

    /// May a stream be opened for the SA in this place?
    #[must_use]
    pub fn may_open_stream(&self, place: u32) -> bool {
        self.join.engine.may_open_stream(place)
    }

    /// All that wants to leave in streams, oldest first.
    pub fn take_in_streams(&mut self) -> impl ExactSizeIterator<Item = InStream> {
        std::mem::take(&mut self.in_streams).into_iter()
    }

    pub(super) fn put_in_stream(&mut self, transmit: &Transmit) {
        let Transmit { path, bytes, again, .. } = transmit;
        let (Kind::Ike { ours: Some(spi) }, _) = classify_own(bytes, false) else {
            self.counters.send_no_stream += 1;
            return;
        };
        let bytes = [&MARKER, &bytes[..]].concat();
        let (path, place, again) = (*path, ike_place(spi), *again);
        self.in_streams.push_back(InStream { path, place, bytes, carries: Carries::Ike, again });
    }

    pub(super) fn put_esp_in_stream(&mut self, path: Path, sa: SaId, bytes: Vec<u8>) {
        self.in_streams.push_back(InStream { path, place: sa.slot(), bytes, carries: Carries::Esp, again: false });
    }
}
