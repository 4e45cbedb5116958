//! Lists of addresses that were ordered onto a pair of their own, since the one in use was dead.

use super::{Ask, Requests};

impl Requests {
    /// The SA is on another pair: they go over that.
    pub fn tell_lists_here(&mut self) {
        let Some(busy) = self.busy.as_mut() else { return };
        let unanswered = busy.outstanding.iter_mut().map(|request| &mut request.ask);
        for ask in unanswered.chain(&mut busy.queue) {
            if let Ask::Announce { path, .. } = ask {
                *path = None;
            }
        }
    }
}
