//! The peer saw a NAT where those are prohibited. One forged packet is enough to make it say so, hence what it refused is
//! asked anew, in a new request, as often as it would be repeated without an answer (RFC 4555 section 3.9).

mod park;

use crate::Nanos;
use crate::event::{Event, NoticeKind};
use crate::id::Generation;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::timers::{Retry, patience};
use crate::sa::window::{Ask, Outstanding};

/// A request to be asked anew.
#[derive(Debug)]
pub struct Retrial {
    /// Taken out while it is unanswered.
    ask: Option<Ask>,
    generation: Generation,
    clock: Retry,
}

impl Retrial {
    /// When it is due.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        if self.ask.is_some() { self.clock.next } else { Nanos::NEVER }
    }
}

/// `request` was refused. `false` if it was asked often enough.
pub fn begin(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Outstanding) -> bool {
    let policy = sa.profile.retransmit;
    let clock = match sa.retrial.take().filter(|before| before.generation == request.generation) {
        Some(mut before) => {
            before.clock.again(now, &policy, &mut ctx.random);
            before.clock
        }
        None => Retry::begin(now, &policy, &mut ctx.random),
    };
    let tried_for = now.since(clock.started);
    if tried_for >= patience(&policy, sa.part) {
        return false;
    }
    if clock.tries == 2 {
        let path = request.path;
        ctx.notice(now, sa.about(), NoticeKind::UnexpectedNat, || format!("the peer sees a NAT on {path}"));
    }
    if clock.tries > 2 {
        let (path, generation, tries) = (request.path, request.generation, clock.tries);
        ctx.events.push_back(Event::PathSilent { sa: sa.id, path, generation, unanswered_for: tried_for, tries });
    }
    sa.retrial = Some(Box::new(Retrial { ask: Some(request.ask.clone()), generation: request.generation, clock }));
    true
}

/// Time has passed: ask anew.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    let due = sa.retrial.as_mut().filter(|retrial| retrial.clock.next <= now).and_then(|retrial| retrial.ask.take());
    if let Some(ask) = due {
        ctx.counters.nat_retrials += 1;
        let same = core::mem::discriminant(&ask);
        sa.ask_first(ctx, now, ask, |waiting| core::mem::discriminant(waiting) == same);
    }
}
