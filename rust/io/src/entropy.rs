//! Where the engines' randomness comes from.

use std::io;

/// Bytes of one seed.
pub const SEED_LEN: usize = 32;

/// A fresh seed from the kernel's generator; waits until that is ready, which matters only in early boot.
///
/// # Errors
/// When the kernel refuses, which it does not on any Linux of the last ten years.
pub fn fresh_seed() -> io::Result<[u8; SEED_LEN]> {
    let mut seed = [0; SEED_LEN];
    // SAFETY: the pointer and the length describe `seed`.
    let got = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    if usize::try_from(got).is_ok_and(|got| got == seed.len()) { Ok(seed) } else { Err(io::Error::last_os_error()) }
}

/// The seed of one shard: distinct keys of one stream cipher, so the shards' streams are unrelated.
#[must_use]
pub(crate) fn of_shard(seed: [u8; SEED_LEN], shard: u8) -> [u8; SEED_LEN] {
    let mut own = seed;
    own[0] ^= shard;
    own
}
