//! The end of what was not replaced in time: hard lifetimes, by time and by what was carried (RFC 4301 section 4.4.2.1).
//!
//! ```text
//! HDR, SK { D }                   -->   the IKE SA has passed its hard lifetime
//! HDR, SK { D(child) }            -->   a Child SA has; another one is asked for
//! HDR, SK { SA, Ni, TSi, TSr }    -->
//! ```

use core::time::Duration;
use std::sync::Arc;

use crate::Nanos;
use crate::children::{ChildNumber, FIRST};
use crate::crypto::Role;
use crate::event::{ChildInstall, DownReason, Event};
use crate::id::{ChildId, SaId};
use crate::limits::Limits;
use crate::sa::child::{Family, Reserved};
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::{follow_up, open_child, rekey_child, rekey_ike};
use crate::sa::window::Ask;

/// Who was away could replace nothing: so long it has for that before anything ends.
const SPARED: Duration = Duration::from_secs(300);

/// How long an IKE SA that another one has superseded goes on: its initiator ends it, and its responder only if that does
/// not.
const OVERLAP: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(10)];

/// A pair is agreed: it gets its limits, and the shell is told.
pub fn come_up(
    ctx: &mut Context,
    family: &mut Family,
    limits: &Limits,
    (sa, reserved, name): (SaId, Reserved, Arc<str>),
    mut install: Box<ChildInstall>,
) {
    install.limits = limits.of_child(&mut ctx.random);
    family.adopt(&mut ctx.children, reserved, install.spi_out);
    ctx.counters.children_up += 1;
    ctx.events.push_back(Event::ChildUp { sa, child: reserved.id, name, install });
}

/// The IKE SA has new keys: when they are to be replaced, and when they are over.
pub fn begin_ike(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    sa.due.ike = rekey_ike::due(now, sa.profile.ike_lifetime, &mut ctx.random);
    if !sa.due.superseded {
        sa.due.ike_end = hard(now, sa.profile.limits.ike_hard);
    }
}

/// Another IKE SA of the same peer has taken its place. What is still on the way over this one arrives, and a peer that
/// deletes it by itself may do so.
pub fn supersede(sa: &mut Established, now: Nanos) {
    sa.due.superseded = true;
    sa.due.reauth = Nanos::NEVER;
    sa.due.spared_until = Nanos(0);
    let overlap = OVERLAP[usize::from(sa.part == Role::Responder)];
    sa.due.ike_end = sa.due.ike_end.min(now + overlap);
}

/// When something with this hard lifetime is over.
#[must_use]
pub fn hard(now: Nanos, lifetime: Duration) -> Nanos {
    if lifetime.is_zero() { Nanos::NEVER } else { now + lifetime }
}

/// It was away until now.
pub fn spare(sa: &mut Established, now: Nanos) {
    sa.due.spared_until = now + SPARED;
}

/// Time has passed.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.is_closing() || now < sa.due.end() {
        return;
    }
    if sa.due.ike_end <= now {
        if sa.due.superseded {
            let ours = sa.part == Role::Initiator;
            let why = if ours { DownReason::Reauthenticated } else { DownReason::Replaced };
            return sa.close(ctx, now, why);
        }
        ctx.counters.lifetimes_over += 1;
        return sa.close(ctx, now, DownReason::LifetimeOver);
    }
    let over = |ctx: &Context, id: &ChildId| ctx.children.get(*id).is_some_and(|child| child.end <= now);
    let all_over: Vec<ChildId> = sa.family.ids(ctx).filter(|id| over(ctx, id)).collect();
    for old in all_over {
        end_child(sa, ctx, now, old);
    }
    rekey_child::schedule(sa, ctx, now);
}

/// A pair has carried what it may (`spent`), or nearly that.
pub fn on_wear(sa: &mut Established, ctx: &mut Context, now: Nanos, child: ChildId, spent: bool) {
    if spent {
        end_child(sa, ctx, now, child);
    } else if ctx.children.wear_out(child) {
        rekey_child::order(sa, ctx, now, child);
    }
}

/// No data plane carries it. One that refuses may refuse the next one too, so that is not asked for at once.
pub fn on_refusal(sa: &mut Established, ctx: &mut Context, now: Nanos, child: ChildId, why: &str) {
    if let Some(number) = delete(sa, ctx, now, child, DownReason::Ordered(why.into()))
        && is_missed(sa, ctx, number)
    {
        open_child::try_later(sa, ctx, now, number);
    }
    rekey_child::schedule(sa, ctx, now);
}

/// One pair is over. Whoever ends it asks for another, unless there is one.
fn end_child(sa: &mut Established, ctx: &mut Context, now: Nanos, child: ChildId) {
    let Some(number) = delete(sa, ctx, now, child, DownReason::LifetimeOver) else { return };
    ctx.counters.lifetimes_over += 1;
    if is_missed(sa, ctx, number) {
        sa.rekeying().to_open.push_back(number);
    }
    rekey_child::schedule(sa, ctx, now);
    open_child::go_on(sa, ctx, now);
}

/// Which Child SA of the profile it was.
fn delete(sa: &mut Established, ctx: &mut Context, now: Nanos, child: ChildId, why: DownReason) -> Option<ChildNumber> {
    let (number, spi_out) = ctx.children.get(child).map(|child| (child.number, child.spi_out))?;
    follow_up::forget(sa, ctx, |half| half.replaces(child));
    let asked = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.as_mut());
    if let Some(asked) = asked.filter(|asked| asked.replaces == Some(child)) {
        // What was to take its place comes as a new one.
        asked.replaces = None;
    }
    let spi_in = sa.family.end(ctx, child, why)?;
    sa.ask(ctx, now, Ask::DeleteChild { spi_in, spi_out });
    Some(number)
}

/// It belongs to the IKE SA, and neither is there nor comes.
fn is_missed(sa: &Established, ctx: &Context, number: ChildNumber) -> bool {
    let wanted = number == FIRST || sa.profile.child(number).start;
    let comes = sa.rekeying.as_ref().is_some_and(|rekeying| rekeying.opens(number));
    wanted && !comes && !sa.family.has(&ctx.children, number)
}
