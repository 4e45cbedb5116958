//! COOKIE, and the puzzle of a busy responder (RFC 8019 section 7.1), as the one who is asked. Nobody vouches for either, so
//! the work is bounded: by difficulty, by how often an order obeys, and by how much is done at a time.

use core::time::Duration;

use crate::Nanos;
use crate::crypto::algorithm::Prf;
use crate::crypto::puzzle::{Progress, Solver};
use crate::crypto::{Random, SeededRandom};
use crate::event::{ConnectError, NoticeKind};
use crate::sa::context::{About, Context};
use crate::sa::exchange::init_initiator::{Connecting, MAX_RENEWALS};
use crate::wire::puzzle::Puzzle;

/// A puzzle is being solved.
#[derive(Debug)]
pub struct Solving {
    solver: Solver,
    next: Nanos,
}

/// Keys tried at a time: about a millisecond.
const SLICE: u32 = 1_024;

/// Between two slices others have their turn.
const PAUSE: Duration = Duration::from_millis(1);

/// Zero bits that we look for where the choice is ours.
const OF_OUR_CHOICE: u8 = 12;

impl Solving {
    /// When to be woken.
    pub fn next(&self) -> Nanos {
        self.next
    }
}

impl Connecting {
    /// The responder wants its cookie back, and a puzzle solved. While one is being solved, others are ignored.
    pub(super) fn on_cookie(
        &mut self,
        ctx: &mut Context,
        now: Nanos,
        cookie: &[u8],
        puzzle: Option<Puzzle>,
    ) -> Result<(), ConnectError> {
        let known = self.cookie.as_deref() == Some(cookie);
        if self.renewals >= MAX_RENEWALS || self.solving.is_some() || known {
            ctx.counters.unproven_answers += 1;
            return Ok(());
        }
        self.cookie = Some(cookie.into());
        self.solution = None;
        let Some(puzzle) = puzzle else { return self.renew(ctx, now) };
        match self.solver(&mut ctx.random, ctx.settings.hardest_solved, cookie, puzzle) {
            Ok(solver) => {
                self.solving = Some(Box::new(Solving { solver, next: now }));
                Ok(())
            }
            Err(why) => self.leave_unsolved(ctx, now, || {
                format!("a puzzle of {} zero bits is not solved: {why}", puzzle.difficulty)
            }),
        }
    }

    /// Time for another slice.
    pub(super) fn go_on_solving(&mut self, ctx: &mut Context, now: Nanos) -> Result<(), ConnectError> {
        let Some(solving) = self.solving.as_mut().filter(|solving| solving.next <= now) else { return Ok(()) };
        let keys = ctx.keys_left.min(SLICE);
        ctx.keys_left -= keys;
        solving.next = now + PAUSE;
        match solving.solver.work(keys) {
            Progress::Going => Ok(()),
            Progress::Solved(solution) => {
                ctx.counters.puzzles_done += 1;
                self.solving = None;
                self.solution = Some(solution);
                self.renew(ctx, now)
            }
            Progress::GivenUp => {
                self.solving = None;
                self.leave_unsolved(ctx, now, || "a puzzle has taken too long".into())
            }
        }
    }

    fn solver(
        &self,
        random: &mut SeededRandom,
        hardest: u8,
        cookie: &[u8],
        puzzle: Puzzle,
    ) -> Result<Solver, &'static str> {
        if puzzle.difficulty > hardest {
            return Err("that is too hard");
        }
        let offered = self.order.profile.ike_suites.iter().map(|suite| suite.prf());
        let prf: Prf =
            offered.into_iter().find(|prf| prf.transform().id == puzzle.prf.0).ok_or("we do not offer its PRF")?;
        let difficulty = if puzzle.difficulty == 0 { OF_OUR_CHOICE } else { puzzle.difficulty };
        Ok(Solver::new(prf, difficulty, cookie, random.next_u64()))
    }

    /// With the cookie alone: the responder serves some of those who cannot solve puzzles.
    fn leave_unsolved(
        &mut self,
        ctx: &mut Context,
        now: Nanos,
        why: impl FnOnce() -> String,
    ) -> Result<(), ConnectError> {
        ctx.counters.puzzles_refused += 1;
        let about = About { path: Some(self.order.paths[self.path]), sa: Some(self.id) };
        ctx.notice(now, about, NoticeKind::Limit, why);
        self.renew(ctx, now)
    }
}
