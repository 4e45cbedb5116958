//! Who must return a COOKIE (RFC 7296 section 2.6), and who must solve a puzzle (RFC 8019), before we spend a key exchange
//! or a byte of memory on it. What we asked of whom is in the cookie, so nothing is remembered.

use core::net::IpAddr;
use core::time::Duration;

use crate::Nanos;
use crate::crypto::algorithm::Prf;
use crate::crypto::cookie::{Cookie, CookieSecrets};
use crate::crypto::{SeededRandom, puzzle};
use crate::settings::HalfOpenLimits;
use crate::table::debts::{Debts, MOST_PERCENT, Prefix, Standing};
use crate::table::half_open::HalfOpenTable;
use crate::wire::PrfId;
use crate::wire::puzzle::Puzzle;

/// What to do with an IKE_SA_INIT request from a stranger.
#[derive(Debug, PartialEq, Eq)]
pub enum Gate {
    /// Serve it.
    Open,
    /// The same; it has solved a puzzle.
    Solved,
    /// The same, though it has not.
    Unsolved,
    /// Answer with this cookie, and with this puzzle if there is one, and forget it.
    Demand {
        /// The cookie.
        cookie: Cookie,
        /// The puzzle.
        puzzle: Option<Puzzle>,
        /// The cookie that came was wrong or stale.
        wrong: bool,
    },
    /// Too many half-open SAs.
    Full,
    /// This prefix owes too much, and a cookie has proven that the request is from there.
    Barred(Prefix),
    /// The puzzle is not solved, and enough were served nevertheless.
    NoShare,
    /// The solution is none.
    WrongSolution,
    /// Its cookie has been good for another half-open SA.
    Again,
}

/// What a stranger's request says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Stranger<'a> {
    /// The initiator's SPI.
    pub spi_i: u64,
    /// Where it came from.
    pub from: IpAddr,
    /// Its nonce.
    pub nonce: &'a [u8],
    /// The cookie it returned.
    pub cookie: Option<&'a [u8]>,
    /// The solution of the puzzle that came with that.
    pub solution: Option<&'a [u8]>,
}

/// The gate.
#[derive(Debug, Default)]
pub struct CookieGate {
    /// Made when the first cookie is needed.
    secrets: Option<CookieSecrets>,
    share: Share,
}

impl CookieGate {
    /// Decide. Costs a few hashes at most. `prf` finds a PRF that the stranger offers, and we know.
    pub fn judge(
        &mut self,
        now: Nanos,
        random: &mut SeededRandom,
        limits: &HalfOpenLimits,
        (table, debts): (&HalfOpenTable, &Debts),
        (stranger, prf): (&Stranger<'_>, impl Fn() -> Option<Prf>),
    ) -> Gate {
        let Stranger { spi_i, from, nonce, cookie, .. } = *stranger;
        let standing = debts.standing(now, &limits.prefixes, from);
        let difficulty = limits.puzzles.difficulty(table.len(), limits.max, standing);
        let quiet = table.len() < limits.cookie_threshold && standing == Standing::Good && difficulty.is_none();
        if quiet {
            return if table.len() >= limits.max { Gate::Full } else { Gate::Open };
        }
        // Whoever offers no PRF of ours is refused for that, and costs nothing.
        let puzzle =
            difficulty.zip(prf()).map(|(difficulty, prf)| Puzzle { prf: PrfId(prf.transform().id), difficulty });
        let secrets = self.secrets.get_or_insert_with(|| CookieSecrets::new(now, random));
        let terms = cookie.and_then(|cookie| secrets.check(now, random, cookie, nonce, from, spi_i));
        let asked = match (terms, puzzle) {
            (None, _) | (Some(None), Some(_)) => {
                let wrong = cookie.is_some() && terms.is_none();
                let cookie = secrets.make(now, random, puzzle.map(Puzzle::octets), nonce, from, spi_i);
                return Gate::Demand { cookie, puzzle, wrong };
            }
            (Some(terms), _) => terms.map(Puzzle::from_octets),
        };
        let barred = match standing {
            Standing::Barred { prefix, percent } if puzzle.is_none() || percent >= MOST_PERCENT => {
                return Gate::Barred(prefix);
            }
            Standing::Barred { prefix, .. } => Some(prefix),
            Standing::Good | Standing::Suspect => None,
        };
        if table.has_caller(spi_i, from) {
            return Gate::Again;
        }
        if table.len() >= limits.max {
            return Gate::Full;
        }
        match (asked.filter(|_| puzzle.is_some()), stranger.solution) {
            (None, _) => Gate::Open,
            (Some(asked), Some(solution)) if is_solved(asked, cookie.unwrap_or_default(), solution) => Gate::Solved,
            (Some(_), Some(_)) => Gate::WrongSolution,
            (Some(_), None) => match barred {
                Some(prefix) => Gate::Barred(prefix),
                None if self.share.take(now, limits.puzzles.unsolved_per_second) => Gate::Unsolved,
                None => Gate::NoShare,
            },
        }
    }
}

/// Is this the solution? `string` is the cookie, or what takes its place later on.
#[must_use]
pub fn is_solved(asked: Puzzle, string: &[u8], solution: &[u8]) -> bool {
    let prf = Prf::ALL.iter().find(|prf| prf.transform().id == asked.prf.0);
    prf.is_some_and(|prf| puzzle::is_solved(*prf, asked.difficulty, string, solution))
}

/// How many may be served each second that do not solve puzzles.
#[derive(Debug, Default)]
struct Share {
    until: Nanos,
    left: u32,
}

impl Share {
    fn take(&mut self, now: Nanos, per_second: u32) -> bool {
        if now >= self.until {
            *self = Share { until: now + Duration::from_secs(1), left: per_second };
        }
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }
}
