//! SPIs of IKE, which say where their SA sits.
//!
//! ```text
//! 63        32 31      8 7      0
//! +------------+---------+--------+
//! |   chance   |  place  | shard  |
//! +------------+---------+--------+
//! ```
//!
//! The place and shard are no secret; 32 bits of chance keep a stranger from hitting an IKE SA, and what hits must still
//! pass the integrity check. They also keep two SAs that sit in one place after each other apart, once in four thousand
//! million: of an SPI that repeats, all that would follow is a message that no key opens.

use crate::crypto::Random;

/// An IKE SPI for this place.
#[must_use]
pub fn mint_ike(shard: u8, place: u32, random: &mut impl Random) -> u64 {
    let chance = (random.next_u64() as u32).max(1);
    u64::from(chance) << 32 | u64::from(place & 0x00ff_ffff) << 8 | u64::from(shard)
}

/// The place an IKE SPI of ours names.
#[must_use]
pub const fn ike_place(spi: u64) -> u32 {
    (spi >> 8) as u32 & 0x00ff_ffff
}

/// The shard an IKE SPI of ours names.
#[must_use]
pub const fn ike_shard(spi: u64) -> u8 {
    spi as u8
}

#[cfg(test)]
mod tests {
    use super::{ike_place, ike_shard, mint_ike};
    use crate::crypto::SeededRandom;

    #[test]
    fn an_spi_names_its_place_and_shard() {
        let mut random = SeededRandom::new([7; 32]);
        for place in [0, 1, 0xfffff, 0x12345] {
            let spi = mint_ike(9, place, &mut random);
            assert_eq!((ike_place(spi), ike_shard(spi)), (place, 9));
            assert!(spi >> 32 != 0);
        }
    }
}
