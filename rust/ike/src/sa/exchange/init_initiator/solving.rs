//! COOKIE, and the puzzles of a busy responder (RFC 8019 sections 7.1 and 7.2), as the one who is asked. Nobody vouches for either, so
//! the work is bounded: by difficulty, by how often an order obeys, and by how much is done at a time.

use core::time::Duration;

use crate::Nanos;
use crate::crypto::algorithm::Prf;
use crate::crypto::puzzle::{Progress, SOLUTION_LEN, Solver};
use crate::crypto::{Random, SeededRandom};
use crate::event::{ConnectError, NoticeKind};
use crate::sa::context::{About, Context};
use crate::sa::exchange::init_initiator::{Connecting, MAX_RENEWALS};
use crate::wire::puzzle::Puzzle;
use crate::wire::{NotifyType, Payloads};

/// A puzzle is being solved.
#[derive(Debug)]
pub struct Solving {
    solver: Solver,
    next: Nanos,
    /// The answer to IKE_SA_INIT that it came with; none if it came in place of one.
    answer: Option<Box<[u8]>>,
}

/// An answer to IKE_SA_INIT to go on with, and the solution of its puzzle if there is one.
pub(super) type Answered = (Box<[u8]>, Option<[u8; SOLUTION_LEN]>);

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
        self.answered(now, Some(NotifyType::COOKIE));
        self.cookie = Some(cookie.into());
        self.solution = None;
        let Some(puzzle) = puzzle else { return self.renew(ctx, now) };
        match self.solver(&mut ctx.random, ctx.settings.hardest_solved, cookie, puzzle) {
            Ok(solver) => {
                self.solving = Some(Box::new(Solving { solver, next: now, answer: None }));
                Ok(())
            }
            Err(why) => self.leave_unsolved(ctx, now, || {
                format!("a puzzle of {} zero bits is not solved: {why}", puzzle.difficulty)
            }),
        }
    }

    /// An answer came: does it want another puzzle solved before we go on (RFC 8019 section 7.2)?
    pub(super) fn must_work(
        &mut self,
        ctx: &mut Context,
        now: Nanos,
        answer: &[u8],
        payloads: &Payloads<'_>,
        string: &[u8],
    ) -> bool {
        let Some(puzzle) = payloads.notify(NotifyType::PUZZLE).and_then(Puzzle::read) else { return false };
        match self.solver(&mut ctx.random, ctx.settings.hardest_solved, string, puzzle) {
            Ok(solver) => {
                self.solving = Some(Box::new(Solving { solver, next: now, answer: Some(answer.into()) }));
                true
            }
            Err(why) => {
                self.tell(ctx, now, || format!("a puzzle of {} zero bits is not solved: {why}", puzzle.difficulty));
                false
            }
        }
    }

    /// Is such a puzzle being solved? Then other answers are ignored.
    pub(super) fn works_for_auth(&self) -> bool {
        self.solving.as_ref().is_some_and(|solving| solving.answer.is_some())
    }

    /// Time for another slice.
    pub(super) fn go_on_solving(&mut self, ctx: &mut Context, now: Nanos) -> Result<Option<Answered>, ConnectError> {
        let Some(solving) = self.solving.as_mut().filter(|solving| solving.next <= now) else { return Ok(None) };
        let keys = ctx.keys_left.min(SLICE);
        ctx.keys_left -= keys;
        solving.next = now + PAUSE;
        match solving.solver.work(keys) {
            Progress::Going => Ok(None),
            Progress::Solved(solution) => {
                ctx.counters.puzzles_done += 1;
                if let Some(answer) = self.solving.take().and_then(|solving| solving.answer) {
                    return Ok(Some((answer, Some(solution))));
                }
                self.solution = Some(solution);
                self.renew(ctx, now).map(|()| None)
            }
            Progress::GivenUp => {
                let why = || "a puzzle has taken too long".into();
                if let Some(answer) = self.solving.take().and_then(|solving| solving.answer) {
                    self.tell(ctx, now, why);
                    return Ok(Some((answer, None)));
                }
                self.leave_unsolved(ctx, now, why).map(|()| None)
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
        self.tell(ctx, now, why);
        self.renew(ctx, now)
    }

    fn tell(&self, ctx: &mut Context, now: Nanos, why: impl FnOnce() -> String) {
        ctx.counters.puzzles_refused += 1;
        let about = About { path: Some(self.order.paths[self.path]), sa: Some(self.id) };
        ctx.notice(now, about, NoticeKind::Limit, why);
    }
}
