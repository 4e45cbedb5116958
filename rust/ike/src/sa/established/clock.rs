//! The clock of an IKE SA: when it is woken, what is due then, and its end.

use std::sync::Arc;

use super::{Established, Mobility};
use crate::Nanos;
use crate::event::DownReason;
use crate::sa::Sa;
use crate::sa::context::Context;
use crate::sa::exchange::retrial;
use crate::sa::exchange::{expire, mobike, reauth, redirect, rekey_child, rekey_ike, sync};
use crate::sa::probe;
use crate::sa::window::Ask;
use crate::transmit::Transmit;
use crate::wire::natt::KEEPALIVE;

impl Established {
    /// When to be woken.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        if self.is_away() {
            return self.away_until().min(self.closing_until);
        }
        self.requests
            .deadline()
            .min(self.liveness_at())
            .min(self.suspect_at())
            .min(self.probes_at())
            .min(self.keepalive_at)
            .min(self.retrial.as_ref().map_or(Nanos::NEVER, |retrial| retrial.deadline()))
            .min(self.rekeying_at())
            .min(self.forget_at)
            .min(self.test_at)
            .min(self.closing_until)
            .min(match &self.mobility {
                Mobility::Responder { pace, .. } => pace.due(),
                Mobility::Off | Mobility::Initiator => Nanos::NEVER,
            })
    }

    fn liveness_at(&self) -> Nanos {
        let watched = self.requests.is_idle() && !self.profile.liveness.is_zero() && !self.is_closing();
        if watched { self.heard + self.profile.liveness } else { Nanos::NEVER }
    }

    /// Repeat, test, remind. `Some` when the peer has used up our patience.
    fn do_what_is_due(&mut self, ctx: &mut Context, now: Nanos) -> Option<DownReason> {
        if let Some(why) = self.repeat_due(ctx, now) {
            return Some(why);
        }
        self.catch_up(ctx, now);
        if self.test_at <= now {
            self.test_at = Nanos::NEVER;
            // What is unanswered is a test as well, and data is a sign of life.
            let unheard = now.since(self.heard) >= self.profile.liveness / 2;
            if self.in_doubt && self.syncs {
                sync::begin(self, ctx, now);
            } else if self.requests.is_idle() && (self.in_doubt || unheard) {
                self.ask(ctx, now, Ask::Liveness);
            }
        }
        if self.liveness_at() <= now {
            self.ask(ctx, now, Ask::Liveness);
        }
        if self.suspect_at() <= now
            && (probe::tell_at_last(self, ctx, now) || probe::hurry(self, now))
            // They tell of the pair, and not whether the peer still sends to where a NAT expects it.
            && !self.nat.we_are_behind
        {
            ctx.counters.paths_suspected += 1;
            self.leave_to_probes(now);
        }
        self.suspect(ctx, now);
        probe::on_timeout(self, ctx, now);
        self.tend_retired(ctx, now);
        rekey_ike::on_timeout(self, ctx, now);
        rekey_child::on_timeout(self, ctx, now);
        expire::on_timeout(self, ctx, now);
        reauth::on_timeout(self, ctx, now);
        redirect::on_timeout(self, ctx, now);
        retrial::on_timeout(self, ctx, now);
        mobike::on_timeout(self, ctx, now);
        self.keep_nat_awake(ctx, now);
        None
    }

    fn keep_nat_awake(&mut self, ctx: &mut Context, now: Nanos) {
        if self.keepalive_at <= now {
            self.keepalive_at = now + self.profile.nat_keepalive;
            if self.path.is_stream() {
                return; // what keeps a stream open is the stream's business (RFC 9329 section 6.6)
            }
            ctx.counters.keepalives_sent += 1;
            let bytes = Arc::from(KEEPALIVE);
            ctx.transmits.push_back(Transmit { path: self.path, bytes, keepalive: true, again: false });
        }
    }
}

/// Time has passed.
pub fn on_timeout(sa: &mut Sa, ctx: &mut Context, now: Nanos) {
    let Sa::Established(established) = sa else { return };
    if established.closing_until <= now {
        established.leave(ctx);
        *sa = Sa::Ended;
        return;
    }
    if let Some(why) = established.away_too_long(now) {
        return end(sa, ctx, why);
    }
    if !established.is_away()
        && let Some(why) = established.do_what_is_due(ctx, now)
    {
        return end(sa, ctx, why);
    }
    established.be_sure_again(now);
    if established.forget_at <= now {
        established.answers.forget();
        established.forget_at = Nanos::NEVER;
    }
}

/// The SA is over.
pub fn end(sa: &mut Sa, ctx: &mut Context, why: DownReason) {
    if let Sa::Established(established) = core::mem::replace(sa, Sa::Ended) {
        established.end(ctx, why);
    }
}
