//! An IKE SA that was taken up again by a ticket: what is left of the one before (RFC 5723 section 4.3.3).

use crate::Nanos;
use crate::crypto::Spis;
use crate::engine::Engine;
use crate::event::DownReason;
use crate::sa::exchange::resume_responder;
use crate::sa::{Sa, established};
use crate::table::spi;

impl Engine {
    /// Before whoever shows a ticket may be let in: which inner addresses are still leased to the IKE SA before.
    pub(super) fn look_for_heritage(&mut self, place: u32) {
        let Some(Sa::AwaitAuth(half)) = self.table.get(place) else { return };
        let Some((spis, profile)) = half.resumed.as_ref().map(|resumed| resumed.before()) else { return };
        let before =
            self.table.get(spi::ike_place(spis.responder)).and_then(|sa| resume_responder::as_before(sa, spis));
        let before = before.filter(|sa| sa.identity().0 == profile);
        let (held, of) = before.map(|sa| (sa.leases().clone(), sa.profile.pool.clone())).unwrap_or_default();
        if let Some(Sa::AwaitAuth(half)) = self.table.get_mut(place)
            && let Some(resumed) = &mut half.resumed
        {
            resumed.inherit(held, of);
        }
    }

    /// Its peer knows nothing of it any more, so nobody is told.
    pub(super) fn end_what_was_before(&mut self, now: Nanos, spis: Spis) {
        let place = spi::ike_place(spis.responder);
        if let Some(sa) = self.table.get_mut(place)
            && resume_responder::as_before(sa, spis).is_some()
        {
            established::end(sa, &mut self.ctx, DownReason::Replaced);
            self.settle(now, place);
        }
    }
}
