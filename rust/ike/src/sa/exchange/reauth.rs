//! Reauthentication (RFC 7296 section 2.8.3): the initiator sets up another IKE SA, with Child SAs of its own, while the old
//! one carries the traffic; then the old one goes. Its responder may say how long it takes one proof for good (RFC 4478).
//!
//! ```text
//! IKE_SA_INIT, IKE_AUTH on the path of the old one   -->   without INITIAL_CONTACT, asking for the inner addresses it has
//!                                                    <--   N(AUTH_LIFETIME)
//! HDR(old), SK { D }                                 -->   a little later, when nothing is on the way over it any more
//! ```
//!
//! Two IKE SAs are concerned and neither knows the other: what one wants of the other goes through the engine.

use core::time::Duration;

use crate::Nanos;
use crate::crypto::{Random, Role};
use crate::event::{ConnectError, DownReason, NoticeKind};
use crate::id::SaId;
use crate::profile::Profile;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::configuration::Leases;
use crate::sa::exchange::rekey_ike::{REFUSED_PAUSE, due, pause};
use crate::wire::{NotifyType, Payload, Payloads, SkWriter};

/// As responder: so much later than we say the IKE SA ends. The peer's attempt may be on its way.
const SLACK: Duration = Duration::from_secs(30);

/// The IKE SA that another one is to take the place of.
#[derive(Debug, Clone)]
pub struct Old {
    /// Which.
    pub sa: SaId,
    /// The inner addresses that it was given.
    pub leases: Leases,
}

/// What the engine is to do, for it concerns two IKE SAs.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Set up another one in the place of each of these.
    pub begin: Vec<SaId>,
    /// Of these the first is superseded by the second.
    pub done: Vec<(SaId, SaId)>,
    /// In the place of these nothing came.
    pub failed: Vec<(SaId, String)>,
}

impl Wishes {
    /// Is there nothing to do?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begin.is_empty() && self.done.is_empty() && self.failed.is_empty()
    }
}

/// When an initiator proves itself anew; `told` is the time that its peer gives it.
#[must_use]
pub fn due_again(now: Nanos, part: Role, profile: &Profile, told: Duration, random: &mut impl Random) -> Nanos {
    if part == Role::Responder {
        return Nanos::NEVER;
    }
    // A tenth earlier than told, and then up to a tenth by chance.
    let times = [profile.limits.reauth, told / 10 * 9].into_iter().filter(|time| !time.is_zero());
    due(now, times.min().unwrap_or_default(), random)
}

/// When a responder ends an IKE SA whose peer did not prove itself anew.
#[must_use]
pub fn over(now: Nanos, part: Role, profile: &Profile) -> Nanos {
    let limit = profile.limits.reauth;
    if part == Role::Initiator || limit.is_zero() { Nanos::NEVER } else { now + limit + SLACK }
}

/// Its peer has just proved who it is.
pub fn begin(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    sa.due.reauth = due_again(now, sa.part, &sa.profile, sa.proof_lasts, &mut ctx.random);
    sa.due.proof_over = over(now, sa.part, &sa.profile);
}

/// As responder: how long we take its proof for good.
pub fn write(writer: &mut SkWriter, profile: &Profile) {
    write_left(writer, profile.limits.reauth);
}

/// The same of a proof that is not new.
pub fn write_left(writer: &mut SkWriter, left: Duration) {
    let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
    if seconds > 0 {
        writer.push(&Payload::notify(NotifyType::AUTH_LIFETIME, &seconds.to_be_bytes()));
    }
}

/// What the peer says of that; zero if it says nothing.
#[must_use]
pub fn read(payloads: &Payloads<'_>) -> Duration {
    let said = payloads.notify(NotifyType::AUTH_LIFETIME).and_then(|notify| notify.data.try_into().ok());
    Duration::from_secs(said.map_or(0, u32::from_be_bytes).into())
}

/// The peer gives us another time (RFC 4478 section 3: also in INFORMATIONAL).
pub fn on_notify(sa: &mut Established, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    if payloads.has(NotifyType::AUTH_LIFETIME) && sa.part == Role::Initiator && !sa.is_closing() {
        sa.proof_lasts = read(payloads);
        sa.due.reauth = due_again(now, sa.part, &sa.profile, sa.proof_lasts, &mut ctx.random);
    }
}

/// Prove ourselves anew now.
pub fn order(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.part == Role::Responder {
        ctx.counters.commands_refused += 1;
        ctx.notice(now, sa.about(), NoticeKind::NotServed, || {
            "only the initiator of an IKE SA can reauthenticate".into()
        });
        return;
    }
    sa.due.reauth = Nanos::NEVER;
    if !sa.due.superseded {
        ctx.reauth.begin.push(sa.id);
    }
}

/// Time has passed.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.is_closing() {
        return;
    }
    if sa.due.proof_over <= now {
        ctx.counters.lifetimes_over += 1;
        return sa.close(ctx, now, DownReason::ProofTooOld);
    }
    if sa.due.reauth <= now {
        order(sa, ctx, now);
    }
}

/// Nothing came in its place: once more, later.
pub fn on_failure(sa: &mut Established, ctx: &mut Context, now: Nanos, why: &str) {
    ctx.notice(now, sa.about(), NoticeKind::RekeyRefused, || format!("it is not reauthenticated: {why}"));
    let tried = sa.rekeying().reauth_failed;
    sa.rekeying().reauth_failed = tried.saturating_add(1);
    sa.due.reauth = now + pause(REFUSED_PAUSE / 4, tried, &mut ctx.random);
}

/// What a failure of the new one means to the old one.
pub fn fail(ctx: &mut Context, old: &Old, why: &ConnectError) {
    ctx.reauth.failed.push((old.sa, why.to_string()));
}
