//! SPIs of ESP: each is given out once before any is given out again.
//!
//! ```text
//! 31                                   4 3      0
//! +-------------------------------------+--------+
//! |               number                | shard  |
//! +-------------------------------------+--------+
//! ```
//!
//! A Child SA that is gone may go on receiving for a while in a kernel, or at a peer that has not heard of its end; a
//! packet with its SPI must find no newcomer. And clients behind one NAT are one address to their gateway, which may have
//! no two Child SAs with the same address and SPI: so every engine begins somewhere else, and takes steps of its own.

use std::collections::BTreeSet;

use crate::crypto::Random;

/// Child SA pairs of one shard at the most: far fewer than there are SPIs, so that one is always free.
pub const MAX_PAIRS: u32 = 1 << 20;

const NUMBERS: u32 = 1 << 28;
/// SPIs below 256 are reserved (RFC 4303 section 2.1).
const FIRST: u32 = 16;

/// The ESP SPIs of one shard.
#[derive(Debug, Default)]
pub struct EspSpis {
    walk: Option<Walk>,
    used: BTreeSet<u32>,
}

/// Through all numbers and back to where it began: odd steps meet every number of a power of two.
#[derive(Debug, Clone, Copy)]
struct Walk {
    at: u32,
    step: u32,
}

impl Walk {
    fn begin(random: &mut impl Random) -> Walk {
        let chance = random.next_u64();
        Walk { at: chance as u32 % NUMBERS, step: ((chance >> 32) as u32 % NUMBERS) | 1 }
    }

    fn next(&mut self) -> u32 {
        self.at = (self.at + self.step) % NUMBERS;
        self.at
    }
}

impl EspSpis {
    /// One that nothing uses, and that was not given out for as long as can be.
    pub fn take(&mut self, shard: u8, random: &mut impl Random) -> u32 {
        let walk = self.walk.get_or_insert_with(|| Walk::begin(random));
        loop {
            let number = walk.next();
            let spi = (number << 4) | u32::from(shard & 0x0f);
            if number >= FIRST && self.used.insert(spi) {
                return spi;
            }
        }
    }

    /// This one comes back from before a restart. `false` if it is in use.
    pub fn retake(&mut self, spi: u32) -> bool {
        self.used.insert(spi)
    }

    /// Does something use it?
    #[must_use]
    pub fn is_used(&self, spi: u32) -> bool {
        self.used.contains(&spi)
    }

    /// Nothing uses it any more.
    pub fn give_back(&mut self, spi: u32) {
        self.used.remove(&spi);
    }
}

/// The shard an ESP SPI of ours names.
#[must_use]
pub const fn esp_shard(spi: u32) -> u8 {
    (spi & 0x0f) as u8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{EspSpis, FIRST, NUMBERS, Walk, esp_shard};
    use crate::crypto::SeededRandom;

    #[test]
    fn an_spi_that_was_given_back_is_not_given_out_again_soon() {
        let mut random = SeededRandom::new([7; 32]);
        let mut spis = EspSpis::default();
        let mut given = BTreeSet::new();
        for _ in 0..100_000 {
            let spi = spis.take(9, &mut random);
            assert!(spi > 255 && esp_shard(spi) == 9);
            assert!(given.insert(spi), "{spi:#x} twice");
            spis.give_back(spi);
        }
    }

    #[test]
    fn what_came_back_from_before_a_restart_is_given_to_nobody() {
        let mut random = SeededRandom::new([7; 32]);
        let (mut spis, mut before) = (EspSpis::default(), EspSpis::default());
        // Of the same seed: the very ones that would come next.
        let kept: Vec<u32> = (0..300).map(|_| before.take(0, &mut SeededRandom::new([7; 32]))).collect();
        assert!(kept.iter().all(|spi| spis.retake(*spi)));
        assert!(!spis.retake(kept[0]) && spis.is_used(kept[0]));
        assert!((0..1000).all(|_| !kept.contains(&spis.take(0, &mut random))));
        spis.give_back(kept[0]);
        assert!(spis.retake(kept[0]));
    }

    #[test]
    fn two_engines_do_not_choose_alike() {
        let firsts: BTreeSet<u32> =
            (0..200).map(|seed| EspSpis::default().take(0, &mut SeededRandom::new([seed; 32]))).collect();
        assert_eq!(firsts.len(), 200);
    }

    #[test]
    fn a_walk_meets_every_number_and_skips_those_that_are_reserved() {
        // At the end of the numbers, in steps of one: the next are 0, 1, 2 ..
        let mut spis = EspSpis { walk: Some(Walk { at: NUMBERS - 1, step: 1 }), used: BTreeSet::new() };
        assert_eq!(spis.take(0, &mut SeededRandom::new([1; 32])), FIRST << 4);
        let mut walk = Walk::begin(&mut SeededRandom::new([1; 32]));
        assert_eq!(walk.step % 2, 1);
        let began = walk.at;
        assert!((0..1_000_000).all(|_| walk.next() != began));
    }
}
