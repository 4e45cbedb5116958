//! IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4): the additional key exchanges of a CREATE_CHILD_SA, in both roles.
//!
//! ```text
//! HDR, SK { SA, Ni, KEi, .. }                          -->       CREATE_CHILD_SA
//!                                                      <--   HDR, SK { SA, Nr, KEr, .., N(ADDITIONAL_KEY_EXCHANGE)(link) }
//! HDR, SK { KEi(1), N(ADDITIONAL_KEY_EXCHANGE)(link) } -->       IKE_FOLLOWUP_KE
//!                                                      <--   HDR, SK { KEr(1), [N(ADDITIONAL_KEY_EXCHANGE)(link)] }
//! ```
//!
//! The new SA is there once the last one is answered. Until then nothing of it is in use, and each end may forget it: the
//! other one hears STATE_NOT_FOUND then, or nothing more, and begins anew. Who asks makes its key pair when its turn comes.
//!
//! Collisions are decided by the nonces of CREATE_CHILD_SA, as ever: whose exchange has the lowest one does not go on.

use crate::Nanos;
use crate::crypto::kex::{self, PublicValue};
use crate::crypto::{Ephemeral, KeMethod, Random, Role, SharedSecret};
use crate::id::ChildId;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::create_child::{Refusal, finish, refuse, seal_answer};
use crate::sa::exchange::informational::Request;
use crate::sa::exchange::make_child::Failed;
use crate::sa::exchange::{open_child, rekey_child, rekey_ike};
use crate::sa::rekeying::series::{Coming, Half, LONGEST_LINK, Link, MOST_COMING, PATIENCE};
use crate::wire::{KeMethod as KeNumber, KeyExchange, Notify, NotifyType, Payload, Payloads, SkWriter};

/// KE, N(ADDITIONAL_KEY_EXCHANGE).
pub fn write(writer: &mut SkWriter, ke: (KeMethod, &[u8]), link: Option<&[u8]>) {
    writer.push(&Payload::KeyExchange(KeyExchange { method: KeNumber(ke.0.id()), data: ke.1 }));
    push_link(writer, link);
}

/// N(ADDITIONAL_KEY_EXCHANGE), if another one follows.
pub fn push_link(writer: &mut SkWriter, link: Option<&[u8]>) {
    if let Some(link) = link {
        writer.push(&Payload::Notify(Notify::new(NotifyType::ADDITIONAL_KEY_EXCHANGE, link)));
    }
}

/// What the peer calls the series that it waits for.
pub fn link_of(payloads: &Payloads<'_>) -> Option<Link> {
    let notify = payloads.notify(NotifyType::ADDITIONAL_KEY_EXCHANGE)?;
    (notify.data.len() <= LONGEST_LINK).then(|| notify.data.into())
}

/// The secret that an answer gives, or the error or the oddity in it.
pub fn shared(ours: &Ephemeral, payloads: &Payloads<'_>) -> Result<SharedSecret, Failed> {
    let unusable = |what: &str| Failed::Unusable(what.into());
    let Some(theirs) = payloads.key_exchange() else {
        let error = payloads.notifies().find(|notify| notify.kind.is_error());
        return Err(error.map_or(unusable("an answer without KE"), |error| Failed::Error(error.kind, None)));
    };
    if theirs.method.0 != ours.method().id() {
        return Err(unusable("a key exchange that we did not begin"));
    }
    ours.agree(theirs.data).map_err(|error| Failed::Unusable(error.to_string()))
}

/// The name of another series.
pub fn fresh_link(ctx: &mut Context) -> [u8; 8] {
    ctx.random.next_u64().to_be_bytes()
}

/// The peer will go on with it.
pub fn await_next(sa: &mut Established, ctx: &mut Context, now: Nanos, link: [u8; 8], what: Half) {
    let coming = Coming { link, until: now + PATIENCE, what };
    let all = &mut sa.rekeying().coming;
    all.push(coming);
    if all.len() > MOST_COMING {
        let oldest = all.remove(0);
        release(ctx, oldest);
    }
}

fn release(ctx: &mut Context, coming: Coming) {
    if let Half::Child { reserved, .. } = coming.what {
        ctx.children.release(reserved);
    }
}

/// Until when the peer may be at replacing the IKE SA by several key exchanges.
#[must_use]
pub fn ike_until(sa: &Established) -> Option<Nanos> {
    sa.rekeying.as_ref()?.coming.iter().find(|coming| coming.what.is_ike()).map(|coming| coming.until)
}

/// The same of this pair.
#[must_use]
pub fn child_until(sa: &Established, child: ChildId) -> Option<Nanos> {
    sa.rekeying.as_ref()?.coming.iter().find(|coming| coming.what.replaces(child)).map(|coming| coming.until)
}

/// Forget those that fit: nothing will come of them.
pub fn forget(sa: &mut Established, ctx: &mut Context, fits: impl Fn(&Half) -> bool) {
    let Some(rekeying) = sa.rekeying.as_mut() else { return };
    for coming in rekeying.coming.extract_if(.., |coming| fits(&coming.what)) {
        release(ctx, coming);
    }
}

/// Time has passed: a peer that went silent in the middle has made nothing.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    let Some(rekeying) = sa.rekeying.as_mut() else { return };
    let late: Vec<Coming> = rekeying.coming.extract_if(.., |coming| coming.until <= now).collect();
    for coming in late {
        ctx.counters.follow_ups_forgotten += 1;
        if let Half::Child { replaces: Some(old), .. } = &coming.what {
            rekey_child::peer_gave_up(sa, ctx, now, *old);
        }
        release(ctx, coming);
    }
}

/// The peer goes on.
pub fn on_request(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, payloads: &Payloads<'_>) {
    let outcome = match take(sa, payloads) {
        Some(coming) => go_on(sa, ctx, now, request, payloads, coming),
        None => Err(Refusal::NoState),
    };
    if let Err(refusal) = outcome {
        refuse(sa, ctx, now, request, &refusal);
    }
}

fn take(sa: &mut Established, payloads: &Payloads<'_>) -> Option<Coming> {
    let link = payloads.notify(NotifyType::ADDITIONAL_KEY_EXCHANGE)?.data;
    let coming = &mut sa.rekeying.as_mut()?.coming;
    let place = coming.iter().position(|coming| coming.link == link)?;
    Some(coming.remove(place))
}

/// Whatever goes wrong ends the series.
fn go_on(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
    mut coming: Coming,
) -> Result<(), Refusal> {
    let public = match advance(sa, ctx, payloads, &mut coming.what) {
        Ok(public) => public,
        Err(refusal) => {
            release(ctx, coming);
            return Err(refusal);
        }
    };
    let (method, link) = (public.method(), coming.link);
    if coming.what.next().is_some() {
        let bytes = seal_answer(sa, ctx, request, |writer| write(writer, (method, public.as_bytes()), Some(&link)));
        await_next(sa, ctx, now, link, coming.what);
        bytes.into_iter().for_each(|bytes| finish(sa, ctx, now, request, bytes));
        return Ok(());
    }
    // Sealed before the new one comes into use, which is the last thing that is said on the old one.
    let bytes = seal_answer(sa, ctx, request, |writer| write(writer, (method, public.as_bytes()), None));
    let Some(bytes) = bytes else {
        release(ctx, coming);
        return Err(Refusal::NoRoom);
    };
    match coming.what {
        Half::Ike(half) => {
            let fresh = rekey_ike::derive(sa, &half, Role::Responder).ok_or(Refusal::NoRoom)?;
            finish(sa, ctx, now, request, bytes);
            rekey_ike::made_by_peer(sa, ctx, now, fresh, half.series.lowest().into());
        }
        Half::Child { half, reserved, replaces } => {
            let made = match replaces {
                Some(old) => rekey_child::made_by_peer(sa, ctx, now, old, (reserved, half)),
                None => open_child::made_by_peer(sa, ctx, now, (reserved, half)),
            };
            if let Err(refusal) = made {
                ctx.children.release(reserved);
                return Err(refusal);
            }
            finish(sa, ctx, now, request, bytes);
        }
    }
    Ok(())
}

/// Our half of the next key exchange.
fn advance(
    sa: &Established,
    ctx: &mut Context,
    payloads: &Payloads<'_>,
    what: &mut Half,
) -> Result<PublicValue, Refusal> {
    if sa.is_closing() {
        return Err(Refusal::Closing);
    }
    let method = what.next().ok_or(Refusal::NoState)?;
    let theirs = payloads.key_exchange().filter(|ke| ke.method.0 == method.id()).ok_or(Refusal::Incomplete)?;
    let (public, shared) = kex::respond(method, theirs.data, &mut ctx.random).map_err(|_| Refusal::Incomplete)?;
    what.add(shared);
    Ok(public)
}
