//! Chance as an argument (docs/architecture.md): the engine owns one [`Random`], seeded at construction.

use core::fmt;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zeroize::{Zeroize, Zeroizing};

/// A source of bytes nobody else can guess.
pub trait Random {
    /// Fill `out` entirely.
    fn fill(&mut self, out: &mut [u8]);

    /// Eight bytes as a number.
    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }
}

/// ChaCha20 keyed by 32 bytes: as good as its seed, and the same again from the same seed.
///
/// The caller takes the seed from the operating system once per engine. The generator state cannot be wiped on drop
/// (its crate offers no way), so engines live as long as their process. The first 32 bytes of the stream replace the
/// seed, so that what the caller may still hold is not the running key.
pub struct SeededRandom {
    stream: ChaCha20Rng,
}

impl SeededRandom {
    /// A generator for this seed; the argument is wiped.
    #[must_use]
    pub fn new(mut seed: [u8; 32]) -> SeededRandom {
        let mut first = ChaCha20Rng::from_seed(seed);
        seed.zeroize();
        let mut running = Zeroizing::new([0; 32]);
        first.fill_bytes(&mut *running);
        SeededRandom { stream: ChaCha20Rng::from_seed(*running) }
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, out: &mut [u8]) {
        self.stream.fill_bytes(out);
    }
}

impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededRandom")
    }
}
