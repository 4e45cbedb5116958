//! News of streams (RFC 9329). The shell owns them; here is only what their IKE SA does about it.

use crate::engine::Engine;
use crate::sa::exchange::streams::{self, StreamUse};
use crate::{Nanos, Path};

impl Engine {
    /// What does the SA in this place, which an SPI of ours names, do with a stream on this path?
    #[must_use]
    pub fn stream_use(&self, place: u32, path: Path) -> StreamUse {
        self.table.get(place).map_or(StreamUse::Gone, |sa| streams::use_of(sa, path))
    }

    /// May a stream be opened for the SA in this place? Only its initiator may (RFC 9329 section 6.1).
    #[must_use]
    pub fn may_open_stream(&self, place: u32) -> bool {
        self.table.get(place).is_some_and(streams::may_open)
    }

    /// A stream for the SA in this place is open. Until then all that it sent there was dropped.
    pub fn handle_stream_opened(&mut self, now: Nanos, place: u32, path: Path) {
        if let Some(sa) = self.table.get_mut(place) {
            streams::on_opened(sa, &mut self.ctx, path);
            self.settle(now, place);
        }
    }

    /// A stream of the SA in this place ended.
    pub fn handle_stream_lost(&mut self, now: Nanos, place: u32, path: Path) {
        if let Some(sa) = self.table.get_mut(place) {
            streams::on_lost(sa, &mut self.ctx, now, path);
            self.settle(now, place);
        }
    }
}
