//! Messages on an IKE SA that is not in use: one that was replaced, or one that a collision of rekeys made.
//!
//! The peer may have asked something before it knew of the new one, so requests are answered and acted upon as far as
//! nothing newer came: whatever came on the SA in use is newer than anything here. Nothing is created here any more.
//!
//! A peer that crashed in the moment of a rekey may go on with the old one, of which it remembers more. It must not find
//! it alive: each end would keep another IKE SA. So what nobody can ask who knows of the new one is not answered, and the
//! one in use is tested.

use crate::Nanos;
use crate::crypto::Spis;
use crate::event::DownReason;
use crate::sa::context::Context;
use crate::sa::established::{Established, Mobility};
use crate::sa::exchange::create_child::{self, Refusal};
use crate::sa::exchange::hint;
use crate::sa::exchange::informational::{self, Request};
use crate::sa::exchange::rekey_ike;
use crate::sa::rekeying::Retired;
use crate::sa::repeat::copy_over;
use crate::wire::{Delete, ExchangeType, Header, Payload, Payloads};

/// May a request that was answered before be answered again? Once the peer has deleted the IKE SA, its Delete alone.
pub fn is_echoed(sa: &mut Established, ctx: &Context, spis: Spis, bytes: &[u8]) -> bool {
    let mut retired = sa.rekeying.iter_mut().flat_map(|rekeying| &mut rekeying.retired);
    let Some(buried) = retired.find(|retired| retired.channel.spis == spis && retired.buried) else { return true };
    let mut copy = bytes.to_vec();
    buried.channel.open(&ctx.room, &mut copy).is_ok_and(|opened| opened.payloads().is_ok_and(|all| deletes(&all)))
}

fn deletes(payloads: &Payloads<'_>) -> bool {
    payloads.iter().any(|payload| matches!(payload, Payload::Delete(Delete::IkeSa)))
}

/// Is it asked by one who knows nothing of the IKE SA that came after?
fn is_forgetful(sa: &Established, request: &Request) -> bool {
    let retired = sa.rekeying.iter().flat_map(|rekeying| &rekeying.retired);
    let late = |retired: &Retired| retired.buried || retired.newest.is_some_and(|newest| request.id > newest);
    retired.into_iter().any(|retired| retired.channel.spis == request.spis && late(retired))
}

/// A request that is new.
pub fn serve(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
) -> Option<DownReason> {
    let deletes = deletes(payloads);
    if !deletes && is_forgetful(sa, request) {
        ctx.counters.dropped_outside_window += 1;
        // It may also have been on its way for long: so see whether the peer knows the one in use.
        hint::doubt(sa, ctx, now);
        return None;
    }
    if is_rival(sa, request.spis) && !deletes {
        // The peer uses what it made, so our own attempt comes to nothing.
        rekey_ike::adopt_rival(sa, ctx, now);
        return informational::serve(sa, ctx, now, request, payloads);
    }
    say_farewell_there(sa, ctx, request);
    match request.exchange {
        ExchangeType::INFORMATIONAL => inform(sa, ctx, now, request, payloads),
        ExchangeType::CREATE_CHILD_SA => {
            create_child::refuse(sa, ctx, now, request, &Refusal::Busy);
            None
        }
        ExchangeType::IKE_FOLLOWUP_KE => {
            create_child::refuse(sa, ctx, now, request, &Refusal::NoState);
            None
        }
        _ => informational::serve(sa, ctx, now, request, payloads),
    }
}

/// Whoever still asks on what we have deleted may know of nothing newer after a crash, and be elsewhere: our Delete must
/// find it there, too.
fn say_farewell_there(sa: &mut Established, ctx: &mut Context, request: &Request) {
    let retired = sa.rekeying.iter_mut().flat_map(|rekeying| &mut rekeying.retired);
    let asked = retired.filter(|retired| retired.channel.spis == request.spis);
    for delete in asked.filter_map(|retired| retired.farewell.as_mut()).filter(|delete| delete.path != request.path) {
        copy_over(delete, ctx, request.path);
    }
}

fn is_rival(sa: &Established, spis: Spis) -> bool {
    let rival = sa.rekeying.as_ref().and_then(|rekeying| rekeying.rival.as_ref());
    rival.is_some_and(|rival| rival.fresh.channel.spis == spis)
}

fn inform(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
) -> Option<DownReason> {
    let in_use = swap_marks(sa, stand_in(marks(sa), old_marks(sa, request.spis)));
    let ended = informational::serve(sa, ctx, now, request, payloads);
    let newest = swap_marks(sa, in_use);
    note_old_marks(sa, request.spis, in_use, newest);
    match ended {
        Some(DownReason::PeerDeleted) => {
            rekey_ike::drop_rival(sa, now, request.spis);
            sa.bury(now, request.spis);
            None
        }
        other => other,
    }
}

/// Message ids of the newest update and the newest list.
type Marks = (Option<u32>, Option<u32>);

fn marks(sa: &Established) -> Marks {
    let update = match sa.mobility {
        Mobility::Responder { last_update, .. } => last_update,
        Mobility::Off | Mobility::Initiator => None,
    };
    (update, sa.last_list)
}

fn swap_marks(sa: &mut Established, (update, list): Marks) -> Marks {
    let before = marks(sa);
    if let Mobility::Responder { last_update, .. } = &mut sa.mobility {
        *last_update = update;
    }
    sa.last_list = list;
    before
}

/// What an id on the old one must be above: nothing is, once the SA in use has a mark.
fn stand_in(in_use: Marks, old: Marks) -> Marks {
    let above = |in_use: Option<u32>, old: Option<u32>| if in_use.is_some() { Some(u32::MAX) } else { old };
    (above(in_use.0, old.0), above(in_use.1, old.1))
}

fn old_marks(sa: &Established, spis: Spis) -> Marks {
    let retired = sa.rekeying.iter().flat_map(|rekeying| &rekeying.retired);
    let mut found = retired.filter(|retired| retired.channel.spis == spis);
    found.next().map_or((None, None), |retired| (retired.last_update, retired.last_list))
}

fn note_old_marks(sa: &mut Established, spis: Spis, in_use: Marks, newest: Marks) {
    let retired = sa.rekeying.iter_mut().flat_map(|rekeying| &mut rekeying.retired);
    for retired in retired.filter(|retired| retired.channel.spis == spis) {
        if in_use.0.is_none() {
            retired.last_update = newest.0;
        }
        if in_use.1.is_none() {
            retired.last_list = newest.1;
        }
    }
}

/// An answer: to our Delete, or to something that was asked anew since.
pub fn on_answer(sa: &mut Established, ctx: &mut Context, now: Nanos, header: &Header, spis: Spis, bytes: &mut [u8]) {
    let retired = sa.rekeying.iter_mut().flat_map(|rekeying| &mut rekeying.retired);
    let asked = retired.into_iter().find(|retired| {
        let ours = retired.farewell.as_ref().is_some_and(|delete| delete.id == header.message_id);
        retired.channel.spis == spis && ours
    });
    let Some(retired) = asked else {
        ctx.counters.dropped_unasked_answer += 1;
        return;
    };
    if let Err(why) = retired.channel.open(&ctx.room, bytes) {
        return ctx.count_unopened(why);
    }
    let delete = retired.farewell.take();
    if let Some(rekeying) = sa.rekeying.as_mut() {
        rekeying.retired.retain(|retired| retired.channel.spis != spis);
    }
    if let Some(delete) = delete {
        sa.note_answer(ctx, now, &delete);
        sa.trace.settled(now, &delete, None);
    }
    sa.tidy_rekeying();
}
