//! The layout our engine gives to the SPIs that it gives out: `number:28 | shard:4`.
//!
//! The receiving socket finds the shard without a lock. The table itself does not rely on the layout: it compares all
//! 32 bits and takes any SPI that RFC 4303 allows.

/// Lowest SPI for use on the wire; 1 to 255 are reserved by IANA and 0 must not be sent (RFC 4303 section 2.1).
pub const FIRST: u32 = 256;

/// Width of the shard field.
pub const SHARD_BITS: u32 = 4;

/// The shard that owns an SPI minted by our engine.
#[must_use]
pub fn shard(spi: u32) -> u8 {
    (spi & ((1 << SHARD_BITS) - 1)) as u8
}
