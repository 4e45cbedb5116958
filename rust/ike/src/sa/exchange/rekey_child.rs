//! CREATE_CHILD_SA that replaces a Child SA pair (RFC 7296 sections 1.3.3, 2.8, 2.8.1), in both roles.
//!
//! ```text
//! HDR, SK { N(REKEY_SA), SA, Ni, [KEi], TSi, TSr }   -->
//!                                                    <--   HDR, SK { SA, Nr, [KEr], TSi, TSr }
//! [ IKE_FOLLOWUP_KE, see follow_up.rs ]              -->   for each additional key exchange
//! HDR, SK { D(old) }                                 -->   from whoever asked
//!                                                    <--   HDR, SK { D(old) }
//! ```
//!
//! Make before break: who answers is ready to receive on the new pair before the answer leaves, and goes on sending on
//! the old one until the peer has used the new one or deletes the old one. Who asked sends on the new pair at once, and
//! receives on the old one until the peer has deleted its half. A peer that cannot change the addresses of a Child SA
//! rekeys it after every move (strongSwan with its userspace ESP does).

use crate::Nanos;
use crate::children::{ChildNumber, FIRST};
use crate::crypto::kex::fresh_nonce;
use crate::crypto::negotiate::Suite;
use crate::crypto::{Ephemeral, EspSuite, KeMethod, Role};
use crate::event::{ChildInstall, DownReason, NoticeKind, Sends};
use crate::id::ChildId;
use crate::sa::child::Reserved;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::create_child::{Refusal, finish, seal_answer};
use crate::sa::exchange::informational::Request;
use crate::sa::exchange::make_child::{self, Failed};
use crate::sa::exchange::rekey_ike::{BUSY_PAUSE, MAX_RENEWALS, REFUSED_PAUSE, due, pause, wanted_method};
use crate::sa::exchange::{expire, first_child, fit, follow_up, mode, open_child};
use crate::sa::rekeying::ChildAsked;
use crate::sa::rekeying::series::{ChildHalf, Half, Link};
use crate::sa::window::Ask;
use crate::wire::{NotifyType, Payloads};

/// Pairs of one IKE SA: for each that it may have one that replaces it, and two more for collisions and a peer that is slow
/// to delete. Without a limit a peer could fill the table by rekeying and never deleting.
fn most_pairs(sa: &Established) -> usize {
    2 * usize::from(sa.profile.plan.at_most) + 2
}

/// The peer asks for it.
pub fn on_request(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
) -> Result<(), Refusal> {
    make_child::admit(sa)?;
    let old = replaced_by(sa, ctx, payloads)?;
    let asked = make_child::asked_sides(payloads)?;
    let number = make_child::number_of(ctx, old);
    let fits = fit::one(number, &sa.sides(number), &asked).into_iter().collect();
    let made = make_child::agree(sa, ctx, payloads, fits)?;
    let Some(bytes) = seal_answer(sa, ctx, request, |writer| made.write(writer)) else {
        ctx.children.release(made.reserved);
        return Ok(());
    };
    let make_child::Made { reserved, half, link, .. } = made;
    // A peer that asks once more has forgotten what it began.
    follow_up::forget(sa, ctx, |half| half.replaces(old));
    if let Some(asked) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.as_mut())
        && asked.replaces == Some(old)
        && sa.requests.outstanding().iter().any(|request| matches!(request.ask, Ask::MakeChild))
    {
        ctx.counters.rekey_collisions += 1;
        asked.rival = Some((reserved.id, half.series.lowest().into()));
    }
    match link {
        Some(link) => {
            follow_up::await_next(sa, ctx, now, link, Half::Child { half, reserved, replaces: Some(old) });
        }
        None => made_by_peer(sa, ctx, now, old, (reserved, half)).inspect_err(|_| ctx.children.release(reserved))?,
    }
    finish(sa, ctx, now, request, bytes);
    Ok(())
}

/// All of its key exchanges are done.
pub fn made_by_peer(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    old: ChildId,
    (reserved, half): (Reserved, ChildHalf),
) -> Result<(), Refusal> {
    let leaves = ctx.children.get(old).map(|child| child.leaving);
    let sends = match leaves {
        // We have deleted it meanwhile (RFC 7296 section 2.25.1).
        Some(true) => return Err(Refusal::Busy),
        Some(false) => Sends::WhenUsed { instead_of: old },
        None => Sends::AtOnce,
    };
    let install = make_child::install(sa, ctx, (reserved, half), Role::Responder, sends).ok_or(Refusal::NoRoom)?;
    ctx.counters.children_rekeyed += 1;
    come_up(sa, ctx, reserved, install);
    // The peer will delete the old one; if it does not, that is replaced again.
    ctx.children.replaced(old, due(now, sa.profile.esp_lifetime, &mut ctx.random));
    schedule(sa, ctx, now);
    Ok(())
}

/// It did not go on with replacing a pair; ours may have yielded to that.
pub fn peer_gave_up(sa: &mut Established, ctx: &mut Context, now: Nanos, old: ChildId) {
    let waits = ctx.children.get(old).is_some_and(|child| child.due == Nanos::NEVER);
    let asked = sa.rekeying.as_ref().and_then(|rekeying| rekeying.child.as_ref());
    let ours = asked.is_some_and(|asked| asked.replaces == Some(old));
    if waits && !ours && !sa.profile.esp_lifetime.is_zero() {
        ctx.children.set_due(old, now);
        schedule(sa, ctx, now);
    }
}

/// The pair that the peer replaces.
fn replaced_by(sa: &Established, ctx: &Context, payloads: &Payloads<'_>) -> Result<ChildId, Refusal> {
    let rekey = payloads.notify(NotifyType::REKEY_SA).ok_or(Refusal::Incomplete)?;
    let spi = <[u8; 4]>::try_from(rekey.spi).map_err(|_| Refusal::Incomplete)?;
    let spi_out = u32::from_be_bytes(spi);
    let Some(old) = sa.family.by_spi_out(ctx, spi_out) else {
        // Our Delete of it is on its way (RFC 7296 section 2.25.1), or there never was one.
        let deletes = |ask: &Ask| matches!(ask, Ask::DeleteChild { spi_out: deleted, .. } if *deleted == spi_out);
        return Err(if sa.requests.asks(deletes) { Refusal::Busy } else { Refusal::NotFound(spi) });
    };
    // Ours is agreed on, and only its further key exchanges are missing (RFC 9370 section 2.2.4).
    let asked = sa.rekeying.as_ref().and_then(|rekeying| rekeying.child.as_ref());
    let goes_on = asked.is_some_and(|asked| asked.half.is_some() && asked.replaces == Some(old));
    if goes_on || ctx.children.get(old).is_some_and(|child| child.leaving) {
        return Err(Refusal::Busy);
    }
    if sa.family.len(ctx) >= most_pairs(sa) {
        return Err(Refusal::NoRoom);
    }
    Ok(old)
}

/// A pair is agreed.
pub fn come_up(sa: &mut Established, ctx: &mut Context, reserved: Reserved, install: Box<ChildInstall>) {
    let number = make_child::number_of(ctx, reserved.id);
    let name = sa.profile.child(number).name.clone();
    expire::come_up(ctx, &mut sa.family, &sa.profile.limits, (sa.id, reserved, name), install);
    first_child::note_up(sa, ctx, number);
}

/// Replace a pair, by order or because it is old. One at a time; an order that comes too early is kept.
pub fn order(sa: &mut Established, ctx: &mut Context, now: Nanos, child: ChildId) {
    if sa.rekeying.as_ref().is_some_and(|rekeying| rekeying.child.is_some()) {
        ctx.children.set_due(child, now);
        return;
    }
    if let Some(until) = follow_up::child_until(sa, child).or(follow_up::ike_until(sa)) {
        // The peer is at it, or at replacing the IKE SA.
        ctx.children.set_due(child, until);
        return schedule(sa, ctx, now);
    }
    let number = make_child::number_of(ctx, child);
    let method = sa.profile.child(number).esp_suites.first().and_then(EspSuite::ke);
    ask(sa, ctx, now, Purpose { replaces: Some(child), ..Purpose::new(number) }, method);
}

/// What a pair is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose {
    /// Which Child SA of the profile.
    pub number: ChildNumber,
    /// The pair it replaces.
    pub replaces: Option<ChildId>,
    /// Requests made anew because the peer wants another key exchange.
    pub renewals: u8,
}

impl Purpose {
    /// A new one.
    #[must_use]
    pub fn new(number: ChildNumber) -> Purpose {
        Purpose { number, replaces: None, renewals: 0 }
    }
}

/// Ask for a pair.
pub fn ask(sa: &mut Established, ctx: &mut Context, now: Nanos, purpose: Purpose, method: Option<KeMethod>) {
    let Purpose { number, replaces, renewals } = purpose;
    let proposed = sa.sides(number);
    if let Err(why) = mode::judge(sa.profile.child(number).mode, sa.nat, &proposed) {
        return match replaces {
            Some(child) => retry(sa, ctx, now, child, REFUSED_PAUSE),
            None => open_child::fail(sa, ctx, now, number, why),
        };
    }
    let reserved = ctx.children.reserve(ctx.settings.shard, sa.id, number, &mut ctx.random);
    let ephemeral = method.map(|method| Ephemeral::generate(method, &mut ctx.random)).transpose();
    let (Some(reserved), Ok(ephemeral)) = (reserved, ephemeral) else {
        reserved.into_iter().for_each(|reserved| ctx.children.release(reserved));
        ctx.counters.commands_refused += 1;
        return again(sa, ctx, now, purpose, REFUSED_PAUSE);
    };
    if let Some(child) = replaces {
        ctx.children.set_due(child, Nanos::NEVER);
    }
    let nonce = fresh_nonce(&mut ctx.random);
    let asked = ChildAsked {
        number,
        replaces,
        reserved,
        nonce,
        ephemeral,
        proposed,
        rival: None,
        renewals,
        unwanted: false,
        deleted: Vec::new(),
        half: None,
    };
    sa.rekeying().child = Some(asked);
    schedule(sa, ctx, now);
    if !sa.ask(ctx, now, Ask::MakeChild) {
        forget(sa, ctx);
        again(sa, ctx, now, purpose, BUSY_PAUSE);
    }
}

fn again(sa: &mut Established, ctx: &mut Context, now: Nanos, purpose: Purpose, first: core::time::Duration) {
    match purpose.replaces {
        Some(child) => retry(sa, ctx, now, child, first),
        None => open_child::try_later(sa, ctx, now, purpose.number),
    }
}

/// Ours comes to nothing; a pair that a collision made stays.
pub fn forget(sa: &mut Established, ctx: &mut Context) {
    if let Some(asked) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.take()) {
        ctx.children.release(asked.reserved);
    }
}

/// The same of all that is being made, by us or by the peer.
pub fn forget_all(sa: &mut Established, ctx: &mut Context) {
    forget(sa, ctx);
    follow_up::forget(sa, ctx, |_| true);
    sa.rekeying.iter_mut().for_each(|rekeying| rekeying.to_open.clear());
}

/// The IKE SA has new keys, and ours was begun with the old ones.
pub fn abandon_series(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    let asked = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.take_if(|asked| asked.half.is_some()));
    if let Some(asked) = asked {
        ctx.children.release(asked.reserved);
        again(sa, ctx, now, Purpose { replaces: asked.replaces, ..Purpose::new(asked.number) }, BUSY_PAUSE);
    }
}

/// Pairs came or went: when is the next one due? Those without a lifetime get one.
pub fn schedule(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    let asked = sa.rekeying.as_ref().and_then(|rekeying| rekeying.child.as_ref()).and_then(|asked| asked.replaces);
    if asked.is_some_and(|old| ctx.children.get(old).is_none())
        && sa.requests.withdraw(|ask| matches!(ask, Ask::MakeChild))
    {
        // It went before we could ask for its successor.
        forget(sa, ctx);
    }
    let lifetime = sa.profile.esp_lifetime;
    let unscheduled =
        |ctx: &Context| sa.family.ids(ctx).find(|id| ctx.children.get(*id).is_some_and(|child| child.due == Nanos(0)));
    while let Some(id) = unscheduled(ctx) {
        let at = due(now, lifetime, &mut ctx.random);
        ctx.children.begin(id, at, expire::hard(now, sa.profile.limits.esp_hard));
    }
    let under_way = sa.rekeying.as_ref().is_some_and(|rekeying| rekeying.child.is_some());
    if !under_way && open_child::must_begin_anew(sa, ctx, now) {
        return ask(sa, ctx, now, Purpose::new(FIRST), open_child::first_method(sa));
    }
    // A peer that may not know this IKE SA is tested first.
    sa.due.children = if under_way || sa.is_in_doubt() { Nanos::NEVER } else { sa.family.next_due(ctx) };
    sa.due.children_end = sa.family.next_end(ctx);
}

/// Time has passed.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.due.children <= now && !sa.is_closing() {
        replace_oldest(sa, ctx, now);
    }
    open_child::go_on(sa, ctx, now);
}

fn replace_oldest(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    // Pairs that came back with their IKE SA have no time yet.
    schedule(sa, ctx, now);
    if sa.due.children > now {
        return;
    }
    let due = sa.family.ids(ctx).find(|id| ctx.children.get(*id).is_some_and(|child| child.due <= now));
    match due {
        Some(child) => order(sa, ctx, now, child),
        None => schedule(sa, ctx, now),
    }
}

/// What we asked for, new or in the place of another, was answered.
pub fn on_answer(sa: &mut Established, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    let Some(asked) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.take()) else { return };
    match make_child::accept(sa, &asked, payloads) {
        Ok((half, link)) => on_agreement(sa, ctx, now, asked, half, link),
        Err(why) => fail(sa, ctx, now, &asked, why),
    }
    schedule(sa, ctx, now);
    open_child::go_on(sa, ctx, now);
}

/// An additional key exchange of it was answered.
pub fn on_follow_up(sa: &mut Established, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    let asked = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.take_if(|asked| asked.half.is_some()));
    let Some(mut asked) = asked else { return };
    let (Some((mut half, _)), Some(ours)) = (asked.half.take().map(|half| *half), asked.ephemeral.as_ref()) else {
        return;
    };
    match follow_up::shared(ours, payloads) {
        Ok(shared) => {
            half.series.add(shared);
            go_on(sa, ctx, now, asked, half, follow_up::link_of(payloads));
        }
        Err(why) => fail(sa, ctx, now, &asked, why),
    }
    schedule(sa, ctx, now);
    open_child::go_on(sa, ctx, now);
}

fn fail(sa: &mut Established, ctx: &mut Context, now: Nanos, asked: &ChildAsked, why: Failed) {
    ctx.children.release(asked.reserved);
    let why = match why {
        Failed::OtherMode(what, spi_out) => {
            sa.ask(ctx, now, Ask::DeleteChild { spi_in: asked.reserved.spi_in, spi_out });
            Failed::Unusable(what.into())
        }
        Failed::Error(..) | Failed::Unusable(_) => why,
    };
    match asked.replaces {
        Some(old) => on_refusal(sa, ctx, now, asked, old, why),
        None => open_child::on_refusal(sa, ctx, now, asked, why),
    }
}

/// Of two pairs made for the same purpose, the one with the lowest nonce is closed by who made it; and if key exchanges of it
/// are outstanding, it is not made (RFC 9370 section 2.2.4).
fn on_agreement(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    mut asked: ChildAsked,
    half: ChildHalf,
    link: Option<Link>,
) {
    let rival = asked.rival.take().filter(|(child, _)| ctx.children.get(*child).is_some());
    match rival {
        Some((winner, theirs)) if half.series.lowest() < &theirs[..] => {
            if half.next().is_none() {
                on_acceptance(sa, ctx, now, asked, half, Some(winner));
            } else {
                ctx.children.release(asked.reserved);
            }
        }
        Some((loser, _)) => {
            // If it is there already, the peer deletes it.
            follow_up::forget(sa, ctx, |half| matches!(half, Half::Child { reserved, .. } if reserved.id == loser));
            let opened = asked.replaces.is_none();
            go_on(sa, ctx, now, asked, half, link);
            if opened {
                open_child::close_rival(sa, ctx, now, loser);
            }
        }
        None => go_on(sa, ctx, now, asked, half, link),
    }
}

/// The next key exchange, or the new pair where none is left.
fn go_on(sa: &mut Established, ctx: &mut Context, now: Nanos, asked: ChildAsked, half: ChildHalf, link: Option<Link>) {
    let Some(method) = half.next() else { return on_acceptance(sa, ctx, now, asked, half, None) };
    if sa.is_closing() || asked.unwanted || asked.deleted.contains(&half.agreed.spi_out) {
        // The peer has made nothing yet.
        return ctx.children.release(asked.reserved);
    }
    let made = Ephemeral::generate(method, &mut ctx.random);
    let (Some(link), Ok(ephemeral)) = (link, made) else {
        let why = Failed::Unusable("an answer without ADDITIONAL_KEY_EXCHANGE".into());
        return fail(sa, ctx, now, &asked, why);
    };
    let half = Some(Box::new((half, link)));
    sa.rekeying().child = Some(ChildAsked { ephemeral: Some(ephemeral), half, ..asked });
    sa.ask_first(ctx, now, Ask::FollowChild, |_| false);
}

/// All of it is agreed. `winner`: the pair that the peer made for the same purpose, if that is the one that stays.
fn on_acceptance(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    asked: ChildAsked,
    half: ChildHalf,
    winner: Option<ChildId>,
) {
    let ChildAsked { number, replaces, reserved, unwanted, deleted, .. } = asked;
    let spi_out = half.agreed.spi_out;
    if sa.is_closing() {
        // Reported as down with its IKE SA before it came up.
        return ctx.children.release(reserved);
    }
    if unwanted {
        // What it replaces was closed meanwhile: the peer has made it, and we never use it.
        ctx.children.release(reserved);
        sa.ask(ctx, now, Ask::DeleteChild { spi_in: reserved.spi_in, spi_out });
        return;
    }
    if deleted.contains(&spi_out) {
        // The peer has made it and thought better of it before its answer arrived.
        ctx.children.release(reserved);
        match replaces {
            Some(old) => retry(sa, ctx, now, old, REFUSED_PAUSE),
            // Both ends opened it at once, and the other pair stays.
            None if sa.family.has(&ctx.children, number) => {}
            None => open_child::fail(sa, ctx, now, number, "the peer deleted it at once"),
        }
        return;
    }
    let (sends, leaving) = match winner {
        Some(winner) => (Sends::Never { instead_of: replaces.unwrap_or(winner) }, Some(reserved.id)),
        None => (Sends::AtOnce, replaces.filter(|old| ctx.children.get(*old).is_some())),
    };
    let Some(install) = make_child::install(sa, ctx, (reserved, half), Role::Initiator, sends) else {
        ctx.counters.dropped_crypto += 1;
        return ctx.children.release(reserved);
    };
    match replaces {
        Some(_) => {
            sa.rekeying().child_refused = 0;
            ctx.counters.children_rekeyed += u64::from(winner.is_none());
        }
        None => sa.rekeying().open_refused = 0,
    }
    come_up(sa, ctx, reserved, install);
    if let Some((spi_in, spi_out)) = leaving.and_then(|leaving| ctx.children.leave(leaving)) {
        sa.ask(ctx, now, Ask::DeleteChild { spi_in, spi_out });
    }
}

fn on_refusal(sa: &mut Established, ctx: &mut Context, now: Nanos, asked: &ChildAsked, old: ChildId, why: Failed) {
    let gone = ctx.children.get(old).is_none();
    if sa.is_closing() || asked.rival.is_some() || gone {
        // It was replaced, or deleted, while we asked (RFC 7296 section 2.8.1).
        return;
    }
    let (kind, wanted, text) = match why {
        Failed::Error(kind, wanted) => (kind, wanted, kind.to_string()),
        Failed::Unusable(what) => (NotifyType::INVALID_SYNTAX, None, what),
        Failed::OtherMode(what, _) => (NotifyType::INVALID_SYNTAX, None, what.into()),
    };
    let purpose = Purpose { replaces: Some(old), ..Purpose::new(asked.number) };
    let ours = sa.profile.child(asked.number).esp_suites.iter().filter_map(Suite::ke);
    if kind == NotifyType::INVALID_KE_PAYLOAD
        && asked.renewals < MAX_RENEWALS
        && let Some(method) = wanted_method(wanted, ours)
    {
        return ask(sa, ctx, now, Purpose { renewals: asked.renewals + 1, ..purpose }, Some(method));
    }
    ctx.counters.rekeys_refused += 1;
    ctx.notice(now, sa.about(), NoticeKind::RekeyRefused, || format!("a Child SA keeps its keys: {text}"));
    if kind == NotifyType::CHILD_SA_NOT_FOUND {
        // The peer has lost it: so do we, and make another (RFC 7296 section 2.25).
        sa.family.end(ctx, old, DownReason::PeerDeleted);
        if sa.family.has(&ctx.children, asked.number) {
            return;
        }
        let method = asked.ephemeral.as_ref().map(Ephemeral::method);
        return ask(sa, ctx, now, Purpose::new(asked.number), method);
    }
    // After a crash that may have been the peer's answer to a request that we do not remember.
    let busy = matches!(kind, NotifyType::TEMPORARY_FAILURE | NotifyType::STATE_NOT_FOUND);
    let for_now = busy || sa.is_forgetful(now);
    let first = if for_now { BUSY_PAUSE } else { REFUSED_PAUSE };
    let worn = ctx.children.get(old).is_some_and(|child| child.worn);
    if for_now || worn || !sa.profile.esp_lifetime.is_zero() {
        retry(sa, ctx, now, old, first);
    }
}

fn retry(sa: &mut Established, ctx: &mut Context, now: Nanos, child: ChildId, first: core::time::Duration) {
    let refused = sa.rekeying().child_refused;
    sa.rekeying().child_refused = refused.saturating_add(1);
    let at = now + pause(first, refused, &mut ctx.random);
    ctx.children.set_due(child, at);
    schedule(sa, ctx, now);
}

/// The peer deletes a pair that we do not know (yet).
pub fn note_deleted(sa: &mut Established, spi_out: u32) {
    /// A peer that deletes more, of which we know nothing, plays.
    const MOST: usize = 4;
    if let Some(asked) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.as_mut())
        && asked.deleted.len() < MOST
    {
        asked.deleted.push(spi_out);
    }
}

/// The peer has deleted its half of a pair that we wanted gone.
pub fn on_delete_answer(sa: &mut Established, ctx: &mut Context, now: Nanos, spi_in: u32) {
    let left = sa.family.ids(ctx).find(|id| ctx.children.get(*id).is_some_and(|child| child.spi_in == spi_in));
    if let Some(child) = left {
        sa.family.end(ctx, child, DownReason::Rekeyed);
        schedule(sa, ctx, now);
    }
}
