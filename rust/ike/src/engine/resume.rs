//! An IKE SA that was taken up again by a ticket: what is left of the one before (RFC 5723 section 4.3.3).

use crate::Nanos;
use crate::crypto::Spis;
use crate::engine::Engine;
use crate::event::DownReason;
use crate::sa::established;
use crate::sa::exchange::resume_responder;
use crate::table::spi;

impl Engine {
    /// Its peer knows nothing of it any more, so nobody is told.
    pub(super) fn end_what_was_before(&mut self, now: Nanos, spis: Spis) {
        let place = spi::ike_place(spis.responder);
        if let Some(sa) = self.table.get_mut(place)
            && resume_responder::is_before(sa, spis)
        {
            established::end(sa, &mut self.ctx, DownReason::Replaced);
            self.settle(now, place);
        }
    }
}
