//! Puzzles (RFC 8019 section 3): four keys with which a PRF of a string of the responder ends in enough zero bits. Twice the work for each
//! bit; to check it costs four PRFs.

use super::algorithm::Prf;

/// Keys in a solution.
const KEYS: usize = 4;

/// Octets of a key of ours: no PRF wants longer ones.
const KEY_LEN: usize = 8;

/// Octets of a solution of ours.
pub const SOLUTION_LEN: usize = KEYS * KEY_LEN;

/// Octets of the longest key that is taken: no PRF of ours has a longer one.
const LONGEST_KEY: usize = 64;

/// What a puzzle for IKE_AUTH is about: the responder's nonce and SPI (RFC 8019 section 7.2.2).
#[must_use]
pub fn string_of_auth(nonce_r: &[u8], spi_r: u64) -> Vec<u8> {
    [nonce_r, &spi_r.to_be_bytes()].concat()
}

/// Is this a solution?
#[must_use]
pub fn is_solved(prf: Prf, difficulty: u8, string: &[u8], solution: &[u8]) -> bool {
    let len = solution.len() / KEYS;
    if solution.len() != len * KEYS || !(1..=LONGEST_KEY).contains(&len) {
        return false;
    }
    let keys: [&[u8]; KEYS] = core::array::from_fn(|at| &solution[at * len..(at + 1) * len]);
    let distinct = keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key));
    distinct && keys.iter().all(|key| zeros(prf, key, string) >= u32::from(difficulty))
}

/// Zero bits at the end of the PRF.
fn zeros(prf: Prf, key: &[u8], string: &[u8]) -> u32 {
    let output = prf.mac(key, &[string]);
    let mut zeros = 0;
    for octet in output.expose().iter().rev() {
        zeros += octet.trailing_zeros();
        if *octet != 0 {
            break;
        }
    }
    zeros
}

/// Looks for a solution, slice by slice.
#[derive(Debug)]
pub struct Solver {
    prf: Prf,
    difficulty: u8,
    string: Box<[u8]>,
    /// The next key to try.
    next: u64,
    found: usize,
    solution: [u8; SOLUTION_LEN],
    /// Keys that may still be tried.
    left: u64,
}

/// How far a solver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to try.
    Going,
    /// Solved.
    Solved([u8; SOLUTION_LEN]),
    /// Not found, though most would have found it.
    GivenUp,
}

/// A solver gives up after so many times the work that is expected. One in a million is so unlucky.
const PATIENCE: u64 = 8;

impl Solver {
    /// A solver that begins with this key; so two solvers of the same puzzle do not find the same.
    #[must_use]
    pub fn new(prf: Prf, difficulty: u8, string: &[u8], first: u64) -> Solver {
        let expected = (KEYS as u64).checked_shl(difficulty.into()).unwrap_or(u64::MAX);
        let left = expected.saturating_mul(PATIENCE);
        let string = string.into();
        Solver { prf, difficulty, string, next: first, found: 0, solution: [0; SOLUTION_LEN], left }
    }

    /// Try so many keys.
    pub fn work(&mut self, keys: u32) -> Progress {
        for _ in 0..keys {
            if self.left == 0 {
                return Progress::GivenUp;
            }
            self.left -= 1;
            let key = self.next.to_be_bytes();
            self.next = self.next.wrapping_add(1);
            if zeros(self.prf, &key, &self.string) < u32::from(self.difficulty) {
                continue;
            }
            self.solution[self.found * KEY_LEN..(self.found + 1) * KEY_LEN].copy_from_slice(&key);
            self.found += 1;
            if self.found == KEYS {
                return Progress::Solved(self.solution);
            }
        }
        Progress::Going
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, Solver, is_solved};
    use crate::crypto::algorithm::Prf;

    fn solve(prf: Prf, difficulty: u8, string: &[u8]) -> [u8; 32] {
        let mut solver = Solver::new(prf, difficulty, string, 7);
        loop {
            match solver.work(64) {
                Progress::Going => {}
                Progress::Solved(solution) => return solution,
                Progress::GivenUp => panic!("given up"),
            }
        }
    }

    #[test]
    fn what_is_found_is_a_solution_of_this_puzzle_and_of_no_harder_one() {
        for prf in Prf::ALL.iter().copied() {
            let solution = solve(prf, 8, b"a cookie");
            assert!(is_solved(prf, 8, b"a cookie", &solution));
            assert!(is_solved(prf, 0, b"another cookie", &solution), "no bits: any four keys");
            assert!(!is_solved(prf, 8, b"another cookie", &solution));
            assert!(!is_solved(prf, 24, b"a cookie", &solution));
        }
    }

    #[test]
    fn four_keys_are_wanted_of_one_length_and_each_another() {
        let prf = Prf::HmacSha256;
        let solution = solve(prf, 4, b"a cookie");
        let first = &solution[..8];
        assert!(!is_solved(prf, 4, b"a cookie", &[first; 4].concat()), "the same four times");
        for wrong in [&[][..], &solution[..31], &solution[..24], &[0; 3], &[0; 4 * 65]] {
            assert!(!is_solved(prf, 4, b"a cookie", wrong), "{} octets", wrong.len());
        }
    }

    #[test]
    fn who_is_too_unlucky_gives_up() {
        let mut solver = Solver::new(Prf::HmacSha256, 0, b"a cookie", 1);
        assert!(matches!(solver.work(4), Progress::Solved(_)));
        let mut solver = Solver::new(Prf::HmacSha256, 255, b"a cookie", 1);
        assert_eq!(solver.work(1_000), Progress::Going);
        solver.left = 10;
        assert_eq!(solver.work(1_000), Progress::GivenUp);
    }
}
