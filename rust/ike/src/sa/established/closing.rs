//! The end of an IKE SA: what is reported, who is told, what is given back.

use core::time::Duration;

use super::Established;
use crate::Nanos;
use crate::crypto::Role;
use crate::event::{DownReason, Event};
use crate::sa::context::Context;
use crate::sa::exchange::away::Presence;
use crate::sa::exchange::{first_child, rekey_child, tickets};
use crate::sa::window::Ask;

/// After we reported an IKE SA as down, its Delete is repeated for so long.
const CLOSING: Duration = Duration::from_secs(10);

impl Established {
    /// Close it: report at once, tell the peer, and forget it when the peer knows or does not answer.
    pub fn close(&mut self, ctx: &mut Context, now: Nanos, why: DownReason) {
        if self.is_closing() {
            return;
        }
        self.report_down(ctx, why);
        if self.is_away() && self.part == Role::Responder {
            // There is nobody to tell, and where the peer was somebody else may be.
            self.close_until(ctx, now);
            return;
        }
        self.presence = Presence::Here;
        self.discard(ctx, now);
    }

    /// Nobody was told of it and nobody will be: tell the peer, and forget it as [`Established::close`] does.
    pub fn discard(&mut self, ctx: &mut Context, now: Nanos) {
        self.close_until(ctx, now + CLOSING);
        self.keepalive_at = Nanos::NEVER;
        // The Delete may have to wait for these, so that they must not wait themselves.
        self.revive(ctx, now, |_| true);
        self.ask_first(ctx, now, Ask::DeleteIke, |_| true);
    }

    fn close_until(&mut self, ctx: &mut Context, until: Nanos) {
        if !self.is_closing() {
            ctx.closing += 1;
        }
        self.closing_until = until;
    }

    /// It goes out of the table.
    pub(super) fn leave(&self, ctx: &mut Context) {
        if self.is_closing() {
            ctx.closing -= 1;
        }
    }

    /// It is over: report what is not reported yet.
    pub fn end(mut self, ctx: &mut Context, why: DownReason) {
        self.leave(ctx);
        if !self.is_closing() {
            self.report_down(ctx, why);
        }
    }

    fn report_down(&mut self, ctx: &mut Context, why: DownReason) {
        first_child::note_end(self, ctx, &why);
        rekey_child::forget_all(self, ctx);
        self.family.end_all(ctx, &DownReason::WithIkeSa);
        tickets::save(self, ctx, &why);
        self.let_go(ctx);
        ctx.counters.ike_sas_down += 1;
        ctx.events.push_back(Event::IkeSaDown { sa: self.id, token: self.token, why });
    }

    /// It holds no place in any index or pool any more.
    pub(super) fn let_go(&mut self, ctx: &mut Context) {
        if let Some(digest) = self.listed.take() {
            ctx.identities.remove(digest, self.id.slot());
        }
        if self.part == Role::Responder {
            let leases = core::mem::take(&mut self.leases);
            leases.give_back(ctx, &self.tenant());
        }
    }
}
