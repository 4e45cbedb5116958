//! After a crash: finding the message id that the peer waits for.
//!
//! What was written down may be a few requests old. The peer has answered those, and ignores their ids for ever; only the
//! newest of them gets its answer again. Where both ends know RFC 6311 they agree upon the ids (`exchange::sync`). Else a
//! resumed SA whose test stays unanswered tries the ids behind it as well,
//! beyond the peer's window if need be: a peer that is not that far ignores them (RFC 7296 section 2.3), and they are
//! repeated until their turn comes.
//!
//! ```text
//! test 7   -->      ignored: the peer has seen 7 to 9
//! test 8, 9, 10 ..  -->
//!          <--      answer 9, a repetition     7 and 8 are settled, and what they asked for is asked anew
//!          <--      answer 10
//! ```
//!
//! With a window of 4 the peer repeats its four newest answers, and what is a little older than all that were tried stays
//! unanswered: it goes on until none of those is left. So it does, and further, with a peer that is heard otherwise: it is
//! there, so what it ignores it has seen.

use std::sync::Arc;

use super::{Established, REMEMBER};
use crate::Nanos;
use crate::sa::context::Context;
use crate::sa::window::Ask;

/// Ids tried at a time.
const STEP: usize = 8;
/// Unanswered at a time: the oldest, and as many behind it as a crash may have made us forget (32 of a peer's are taken).
const MOST: usize = 33;
/// The same where the peer is heard: whoever crashed, tried so many, and crashed again before it was written down.
const MOST_HEARD: usize = 129;
/// Each was sent so often before more are tried; and where so many are out that the way to the peer may be cut.
const TRIES: u32 = 2;
const TRIES_HEARD: u32 = 4;

impl Established {
    /// Nothing is answered: try what comes behind it.
    pub(super) fn catch_up(&mut self, ctx: &mut Context, now: Nanos) {
        if self.syncs || self.is_closing() || self.is_away() {
            return;
        }
        let unanswered = self.requests.outstanding();
        let (Some(oldest), Some(newest)) = (unanswered.first(), unanswered.last()) else { return };
        // Nothing but what was tried in doubt, again and again.
        let is_heard = self.is_heard_since_resumed(now);
        let lost = is_heard && newest.id < self.doubted && oldest.retry.tries >= TRIES_HEARD;
        let (most, tries) = match is_heard && unanswered.len() + STEP > MOST {
            true => (MOST_HEARD, TRIES_HEARD),
            false => (MOST, TRIES),
        };
        if !(self.in_doubt || lost) || newest.retry.tries < tries || unanswered.len() + STEP > most {
            return;
        }
        for _ in 0..STEP {
            let id = self.requests.take_id();
            if !self.send_request(ctx, now, id, Ask::Liveness) {
                break;
            }
        }
        self.doubted = self.requests.next_id();
    }

    /// After a crash that was not long ago.
    fn is_heard_since_resumed(&self, now: Nanos) -> bool {
        self.is_forgetful(now) && self.heard + REMEMBER > self.forgetful_until
    }

    /// This id was answered: what is a window behind it was, too, to an earlier process.
    pub fn overtake(&mut self, id: u32) {
        let asks = self.requests.overtaken(id);
        self.ask_as_far_as_it_lasts(asks);
    }

    /// Of requests that may have been answered to an earlier process, those that matter still are asked anew.
    pub fn ask_as_far_as_it_lasts(&mut self, asks: Vec<Ask>) {
        for ask in asks {
            match ask {
                Ask::Liveness | Ask::Probe { .. } | Ask::DeleteChild { .. } | Ask::Sync { .. } => {}
                Ask::RekeyIke | Ask::MakeChild | Ask::FollowIke | Ask::FollowChild => {}
                Ask::Update { .. }
                | Ask::Announce { .. }
                | Ask::Check { .. }
                | Ask::Repair { .. }
                | Ask::Away { .. }
                | Ask::Redirect { .. }
                | Ask::DeleteIke => {
                    // Full only if so much waits that the newest of it says the same.
                    let _waits = self.requests.enqueue(ask);
                }
            }
        }
    }

    /// What a crash made us forget is over by now, at both ends.
    pub(super) fn be_sure_again(&mut self, now: Nanos) {
        if self.forgetful_until != Nanos(0) && !self.is_forgetful(now) {
            self.forgetful_until = Nanos(0);
            self.answers.close_gap();
        }
    }

    /// The peer answers again, and takes what was tried beyond its window one after the other: the next goes at once, and
    /// the clocks of the others begin anew, for none of them was silent.
    pub fn go_through(&mut self, ctx: &mut Context, now: Nanos) {
        if !self.is_forgetful(now) || self.requests.is_within_window() {
            return;
        }
        let policy = self.profile.retransmit;
        for (nth, request) in self.requests.outstanding_mut().iter_mut().enumerate() {
            request.retry = request.retry.elsewhere(now, &policy, &mut ctx.random);
            if nth == 0 {
                request.sent_again();
                ctx.send_again(request.path, Arc::clone(&request.bytes));
            }
        }
    }
}
