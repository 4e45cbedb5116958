//! The door of a busy gateway: what those who knock are charged, and who is turned away.

use core::net::IpAddr;

use crate::crypto::cookie::Cookie;
use crate::crypto::puzzle;
use crate::event::{AuthRefusal, NoticeKind};
use crate::sa::context::{About, Context};
use crate::sa::exchange::init_responder::{self, HalfOpen, Verdict};
use crate::table::cookie_gate::{self, Gate};
use crate::table::debts::Prefix;
use crate::wire::puzzle::Puzzle;
use crate::wire::{Message, NotifyType, Payload, Payloads};
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

/// Ask for a cookie, and for the solution of a puzzle. Whoever must change its key exchange, or has nothing to offer, hears
/// that first: it would have to solve another one.
pub fn demand(
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    message: &Message<'_>,
    (cookie, puzzle, wrong): (&Cookie, Option<Puzzle>, bool),
) {
    ctx.counters.cookies_wrong += u64::from(wrong);
    let Some(puzzle) = puzzle else {
        ctx.counters.cookies_sent += 1;
        return init_responder::refuse(ctx, path, &message.header, NotifyType::COOKIE, cookie.octets());
    };
    if let Verdict::Serve(..) = init_responder::judge(ctx, now, path, message) {
        ctx.counters.cookies_sent += 1;
        ctx.counters.puzzles_sent += 1;
        let octets = puzzle.octets();
        let payloads =
            [Payload::notify(NotifyType::COOKIE, cookie.octets()), Payload::notify(NotifyType::PUZZLE, &octets)];
        init_responder::refuse_with(ctx, path, &message.header, &payloads);
    }
}

/// How hard a puzzle whoever passed so must solve once more, before we spend a key exchange on it (RFC 8019 section 7.2).
/// Only who solved one is asked: others may know no puzzles.
pub fn second_puzzle(ctx: &Context, now: Nanos, from: IpAddr, passed: &Gate) -> Option<u8> {
    let limits = &ctx.settings.half_open;
    let due = matches!(passed, Gate::Solved) && ctx.half_open.len() >= limits.puzzles.auth_threshold;
    let standing = ctx.debts.standing(now, &limits.prefixes, from);
    let difficulty = || limits.puzzles.difficulty(ctx.half_open.len(), limits.max, standing);
    if due { difficulty() } else { None }
}

/// A message came after IKE_SA_INIT: has its sender worked for our key exchange? If not, it is dropped. Of a message in pieces
/// the first tells; the others come again.
pub fn has_worked(half: &mut HalfOpen, ctx: &mut Context, bytes: &[u8]) -> bool {
    let Some(puzzle) = half.puzzle else { return true };
    let Ok(message) = Message::parse(bytes) else {
        ctx.counters.dropped_malformed += 1;
        return false;
    };
    let Some(solution) = solution_in(&message.payloads) else {
        ctx.counters.dropped_unsolved += 1;
        return false;
    };
    let string = puzzle::string_of_auth(&half.nonce_r, half.spis.responder);
    let solved = cookie_gate::is_solved(puzzle, &string, solution);
    if solved {
        half.puzzle = None;
        ctx.counters.puzzles_solved += 1;
    } else {
        ctx.counters.puzzles_wrong += 1;
    }
    solved
}

/// The solution of a puzzle in what is in the clear.
#[must_use]
pub fn solution_in<'a>(payloads: &Payloads<'a>) -> Option<&'a [u8]> {
    payloads.iter().find_map(|payload| match payload {
        Payload::PuzzleSolution(solution) => Some(*solution),
        _ => None,
    })
}

/// Is it served? If not, it is dropped.
pub fn let_pass(ctx: &mut Context, now: Nanos, path: Path, judged: &Gate) -> bool {
    match judged {
        Gate::Open => return true,
        Gate::Solved => {
            ctx.counters.puzzles_solved += 1;
            return true;
        }
        Gate::Unsolved => {
            ctx.counters.puzzles_left_out += 1;
            return true;
        }
        Gate::Full => turn_away_all(ctx, now, path),
        Gate::Barred(prefix) => turn_away(ctx, now, path, *prefix),
        Gate::NoShare => ctx.counters.dropped_unsolved += 1,
        Gate::WrongSolution => ctx.counters.puzzles_wrong += 1,
        Gate::Again | Gate::Demand { .. } => ctx.counters.dropped_cookie_again += 1,
    }
    false
}

/// No room for anybody.
fn turn_away_all(ctx: &mut Context, now: Nanos, path: Path) {
    ctx.counters.dropped_half_open_limit += 1;
    let about = About { path: Some(path), sa: None };
    ctx.notice(now, about, NoticeKind::Limit, || "IKE_SA_INIT dropped: too many half-open SAs".into());
}

/// No room for those from this prefix.
fn turn_away(ctx: &mut Context, now: Nanos, path: Path, prefix: Prefix) {
    ctx.counters.dropped_prefix_limit += 1;
    let Some(dropped) = ctx.debts.dropped(now, prefix) else { return };
    let about = About { path: Some(path), sa: None };
    let text = || format!("{dropped} IKE_SA_INIT from {prefix} dropped: too many from there that nobody authenticated");
    ctx.notice(now, about, NoticeKind::Limit, text);
}
