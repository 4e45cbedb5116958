//! The door of a busy gateway: what those who knock are charged, and who is turned away.

use core::net::IpAddr;

use crate::event::{AuthRefusal, NoticeKind};
use crate::sa::context::{About, Context};
use crate::table::debts::Prefix;
use crate::{Nanos, Path};

/// An IKE_SA_INIT was answered with a half-open SA.
pub fn serve(ctx: &mut Context, now: Nanos, from: IpAddr) {
    ctx.debts.lend(now, &mut ctx.random, &ctx.settings.half_open.prefixes, from);
}

/// Who asked from there has proved who it is.
pub fn repay(ctx: &mut Context, now: Nanos, from: IpAddr) {
    ctx.debts.repaid(now, &ctx.settings.half_open.prefixes, from);
}

/// Who asked from there has not. What is our own doing costs nobody anything.
pub fn fail(ctx: &mut Context, now: Nanos, from: IpAddr, why: &AuthRefusal) {
    if matches!(why, AuthRefusal::Undecided | AuthRefusal::CannotSign(_) | AuthRefusal::Connected) {
        return;
    }
    ctx.debts.failed(now, &mut ctx.random, &ctx.settings.half_open.prefixes, from);
}

/// No room for anybody.
pub fn turn_away_all(ctx: &mut Context, now: Nanos, path: Path) {
    ctx.counters.dropped_half_open_limit += 1;
    let about = About { path: Some(path), sa: None };
    ctx.notice(now, about, NoticeKind::Limit, || "IKE_SA_INIT dropped: too many half-open SAs".into());
}

/// No room for those from this prefix.
pub fn turn_away(ctx: &mut Context, now: Nanos, path: Path, prefix: Prefix) {
    ctx.counters.dropped_prefix_limit += 1;
    let Some(dropped) = ctx.debts.dropped(now, prefix) else { return };
    let about = About { path: Some(path), sa: None };
    let text = || format!("{dropped} IKE_SA_INIT from {prefix} dropped: too many from there that nobody authenticated");
    ctx.notice(now, about, NoticeKind::Limit, text);
}
