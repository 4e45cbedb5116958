//! CREATE_CHILD_SA that makes one more Child SA (RFC 7296 section 1.3.1), in both roles.
//!
//! Which one a peer means is seen from the traffic that it asks for: see [`crate::sa::exchange::fit`]. What we open, we open
//! one after the other, when no other pair of this IKE SA is being asked for.

use crate::Nanos;
use crate::children::{ChildNumber, FIRST};
use crate::crypto::negotiate::Suite;
use crate::crypto::{EspSuite, KeMethod, Role};
use crate::event::{DownReason, Event, NoticeKind, Sends};
use crate::id::ChildId;
use crate::sa::child::Reserved;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::create_child::{Refusal, finish, seal_answer};
use crate::sa::exchange::informational::Request;
use crate::sa::exchange::make_child::{self, Failed};
use crate::sa::exchange::rekey_child::{self, Purpose};
use crate::sa::exchange::rekey_ike::{BUSY_PAUSE, MAX_RENEWALS, pause, wanted_method};
use crate::sa::exchange::{first_child, fit, follow_up};
use crate::sa::rekeying::ChildAsked;
use crate::sa::rekeying::series::{ChildHalf, Half};
use crate::sa::window::Ask;
use crate::wire::{NotifyType, Payloads};

/// The peer asks for it.
pub fn on_request(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
) -> Result<(), Refusal> {
    make_child::admit(sa)?;
    if sa.part == Role::Responder && sa.profile.pool.is_some() && sa.leases().is_empty() {
        return Err(Refusal::CpRequired);
    }
    if !has_room(sa, ctx) && !sa.is_forgetful(now) {
        return Err(Refusal::NoRoom);
    }
    let asked = make_child::asked_sides(payloads)?;
    let fits = fit::all(&sa.profile, |number| sa.sides(number), &asked);
    let made = make_child::agree(sa, ctx, payloads, fits)?;
    let Some(bytes) = seal_answer(sa, ctx, request, |writer| made.write(writer)) else {
        ctx.children.release(made.reserved);
        return Ok(());
    };
    let make_child::Made { reserved, half, link, .. } = made;
    note_rival(sa, ctx, reserved, &half);
    match link {
        Some(link) => follow_up::await_next(sa, ctx, now, link, Half::Child { half, reserved, replaces: None }),
        None => made_by_peer(sa, ctx, now, (reserved, half)).inspect_err(|_| ctx.children.release(reserved))?,
    }
    finish(sa, ctx, now, request, bytes);
    Ok(())
}

/// We ask for the same, and the requests have crossed: of both pairs one goes, by the rule for rekeys (RFC 7296 section 2.8.1).
fn note_rival(sa: &mut Established, ctx: &Context, theirs: Reserved, half: &ChildHalf) {
    let number = make_child::number_of(ctx, theirs.id);
    if let Some(asked) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.as_mut())
        && asked.replaces.is_none()
        && asked.number == number
        && (&asked.proposed.0, &asked.proposed.1) == (&half.agreed.local_ts, &half.agreed.remote_ts)
        && sa.requests.outstanding().iter().any(|request| matches!(request.ask, Ask::MakeChild))
    {
        asked.rival = Some((theirs.id, half.series.lowest().into()));
    }
}

fn has_room(sa: &Established, ctx: &Context) -> bool {
    sa.family.in_use(&ctx.children) < usize::from(sa.profile.plan.at_most)
}

/// Ours stays. The peer closes its own if it knows that the requests have crossed: where its answer came before our request,
/// it does not.
pub fn close_rival(sa: &mut Established, ctx: &mut Context, now: Nanos, rival: ChildId) {
    let under_way = sa.rekeying.as_ref().is_some_and(|rekeying| rekeying.child.is_some());
    if !under_way && let Some((spi_in, spi_out)) = ctx.children.leave(rival) {
        sa.ask(ctx, now, Ask::DeleteChild { spi_in, spi_out });
    }
}

/// All of its key exchanges are done.
pub fn made_by_peer(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    (reserved, half): (Reserved, ChildHalf),
) -> Result<(), Refusal> {
    let stale = stale(sa, ctx, now, reserved);
    if stale.is_empty() && !has_room(sa, ctx) {
        return Err(Refusal::NoRoom);
    }
    let install =
        make_child::install(sa, ctx, (reserved, half), Role::Responder, Sends::AtOnce).ok_or(Refusal::NoRoom)?;
    rekey_child::come_up(sa, ctx, reserved, install);
    // Not before: the new one sends where these do, whatever the peer has yet to prove.
    for old in stale {
        sa.family.end(ctx, old, DownReason::PeerDeleted);
    }
    rekey_child::schedule(sa, ctx, now);
    Ok(())
}

/// A peer that asks for a Child SA which we still have after a crash had replaced it before that.
fn stale(sa: &Established, ctx: &Context, now: Nanos, made: Reserved) -> Vec<ChildId> {
    let number = make_child::number_of(ctx, made.id);
    let same = |id: &ChildId| ctx.children.get(*id).is_some_and(|child| child.number == number);
    if sa.is_forgetful(now) { sa.family.ids(ctx).filter(same).collect() } else { Vec::new() }
}

/// The peer deleted all that it had replaced before we crashed, and we know nothing of what took their place.
#[must_use]
pub fn must_begin_anew(sa: &Established, ctx: &Context, now: Nanos) -> bool {
    let waits = sa.rekeying.as_ref().is_some_and(|rekeying| !rekeying.to_open.is_empty());
    lost_all(sa, ctx, now) && !waits && !sa.owes_proof() && !sa.is_in_doubt() && !sa.is_closing()
}

fn lost_all(sa: &Established, ctx: &Context, now: Nanos) -> bool {
    sa.is_forgetful(now) && sa.family.len(ctx) == 0
}

/// Of the first Child SA.
#[must_use]
pub fn first_method(sa: &Established) -> Option<KeMethod> {
    sa.profile.child(FIRST).esp_suites.first().and_then(EspSuite::ke)
}

/// Open one of those that the profile names. One that is there already, or that is being opened, is enough.
pub fn order(sa: &mut Established, ctx: &mut Context, now: Nanos, name: &str) {
    let Some(number) = sa.profile.child_named(name) else {
        return refuse(sa, ctx, name, "the profile knows no Child SA of this name".into());
    };
    if sa.family.has(&ctx.children, number) {
        return refuse(sa, ctx, name, "the IKE SA has it already".into());
    }
    if sa.rekeying.as_ref().is_some_and(|rekeying| rekeying.opens(number)) {
        return;
    }
    sa.rekeying().to_open.push_back(number);
    go_on(sa, ctx, now);
}

/// The IKE SA is there: open all that belong to it from the beginning, beside the first.
pub fn open_all(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.part != Role::Initiator {
        return;
    }
    let wanted = sa.profile.children().filter(|(number, view)| *number != FIRST && view.start);
    let wanted: Vec<ChildNumber> = wanted.map(|(number, _)| number).collect();
    if !wanted.is_empty() {
        sa.rekeying().to_open.extend(wanted);
        go_on(sa, ctx, now);
    }
}

/// Ask for the next one, if none is asked for.
pub fn go_on(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    while !sa.is_closing()
        && let Some(rekeying) = sa.rekeying.as_mut()
        && rekeying.child.is_none()
        && rekeying.open_at <= now
        && let Some(number) = rekeying.to_open.pop_front()
    {
        if let Some(until) = follow_up::ike_until(sa) {
            // The peer is replacing the IKE SA, and would refuse it.
            let rekeying = sa.rekeying();
            rekeying.open_at = until;
            rekeying.to_open.push_front(number);
        } else if !sa.family.has(&ctx.children, number) {
            let method = sa.profile.child(number).esp_suites.first().and_then(EspSuite::ke);
            rekey_child::ask(sa, ctx, now, Purpose::new(number), method);
        }
    }
    sa.tidy_rekeying();
}

/// It was refused.
pub fn on_refusal(sa: &mut Established, ctx: &mut Context, now: Nanos, asked: &ChildAsked, why: Failed) {
    if sa.is_closing() || asked.unwanted || asked.rival.is_some() {
        // Nobody wants it any more; or the peer has made it.
        return;
    }
    let (kind, wanted, text) = match why {
        Failed::Error(kind, wanted) => (kind, wanted, kind.to_string()),
        Failed::Unusable(what) => (NotifyType::INVALID_SYNTAX, None, what),
        Failed::OtherMode(what, _) => (NotifyType::INVALID_SYNTAX, None, what.into()),
    };
    let view = sa.profile.child(asked.number);
    if kind == NotifyType::INVALID_KE_PAYLOAD
        && asked.renewals < MAX_RENEWALS
        && let Some(method) = wanted_method(wanted, view.esp_suites.iter().filter_map(Suite::ke))
    {
        let purpose = Purpose { renewals: asked.renewals + 1, ..Purpose::new(asked.number) };
        return rekey_child::ask(sa, ctx, now, purpose, Some(method));
    }
    if matches!(kind, NotifyType::TEMPORARY_FAILURE | NotifyType::STATE_NOT_FOUND) {
        return try_later(sa, ctx, now, asked.number);
    }
    let name = view.name.clone();
    ctx.counters.child_refused += 1;
    ctx.notice(now, sa.about(), NoticeKind::ChildRefused, || format!("Child SA {name} is refused: {text}"));
    refuse(sa, ctx, &name, text.clone());
    first_child::note_refused(sa, ctx, now, asked.number, &text);
    if lost_all(sa, ctx, now) {
        // It carries nothing any more, and never will: better a new one (RFC 7296 section 1.3).
        sa.close(ctx, now, DownReason::Ordered("no Child SA is left, and the peer makes no other".into()));
    }
}

/// Never at once, and not in step with the peer (RFC 7296 section 2.25).
pub fn try_later(sa: &mut Established, ctx: &mut Context, now: Nanos, number: ChildNumber) {
    let rekeying = sa.rekeying();
    let refused = rekeying.open_refused;
    rekeying.open_refused = refused.saturating_add(1);
    rekeying.open_at = now + pause(BUSY_PAUSE, refused, &mut ctx.random);
    rekeying.to_open.push_front(number);
}

/// It is not there, and will not be.
pub fn fail(sa: &mut Established, ctx: &mut Context, now: Nanos, number: ChildNumber, why: &str) {
    refuse(sa, ctx, &sa.profile.child(number).name.clone(), why.into());
    first_child::note_refused(sa, ctx, now, number, why);
}

fn refuse(sa: &Established, ctx: &mut Context, name: &str, why: String) {
    ctx.events.push_back(Event::ChildFailed { sa: sa.id, name: name.into(), why });
}
