//! SPIs that say where their SA sits.
//!
//! ```text
//! IKE   63        32 31      8 7      0        ESP   31     24 23      4 3      0
//!      +------------+---------+--------+            +---------+---------+--------+
//!      |   chance   |  place  | shard  |            | chance  |  place  | shard  |
//!      +------------+---------+--------+            +---------+---------+--------+
//! ```
//!
//! The place and shard are no secret; 32 bits of chance keep a stranger from hitting an IKE SA, and what hits must still
//! pass the integrity check. The chance in an ESP SPI is never zero, so it is never one of the reserved first 256.

use crate::crypto::Random;

/// Places an ESP SPI can name, and so the most Child SA pairs of one shard.
pub const MAX_ESP_SLOTS: u32 = 1 << 20;

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

/// An ESP SPI for this place.
#[must_use]
pub fn mint_esp(shard: u8, place: u32, random: &mut impl Random) -> u32 {
    let chance = (random.next_u64() as u8).max(1);
    u32::from(chance) << 24 | (place & (MAX_ESP_SLOTS - 1)) << 4 | u32::from(shard & 0x0f)
}

/// The place an ESP SPI of ours names.
#[must_use]
pub const fn esp_place(spi: u32) -> u32 {
    (spi >> 4) & (MAX_ESP_SLOTS - 1)
}

/// The shard an ESP SPI of ours names.
#[must_use]
pub const fn esp_shard(spi: u32) -> u8 {
    (spi & 0x0f) as u8
}

#[cfg(test)]
mod tests {
    use super::{MAX_ESP_SLOTS, esp_place, esp_shard, ike_place, ike_shard, mint_esp, mint_ike};
    use crate::crypto::SeededRandom;

    #[test]
    fn an_spi_names_its_place_and_shard_and_is_no_reserved_number() {
        let mut random = SeededRandom::new([7; 32]);
        for place in [0, 1, 0xfffff, 0x12345] {
            let spi = mint_ike(9, place, &mut random);
            assert_eq!((ike_place(spi), ike_shard(spi)), (place, 9));
            assert!(spi >> 32 != 0);
            let spi = mint_esp(9, place, &mut random);
            assert_eq!((esp_place(spi), esp_shard(spi)), (place % MAX_ESP_SLOTS, 9));
            assert!(spi > 255);
        }
    }
}
