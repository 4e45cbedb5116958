//! Small things the crypto tests share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mobike_ike::crypto::{Random, SeededRandom};

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of hex digits in {text:?}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub fn unhex32(text: &str) -> [u8; 32] {
    unhex(text).try_into().unwrap()
}

pub fn spi(text: &str) -> u64 {
    u64::from_be_bytes(unhex(text).try_into().unwrap())
}

pub fn seeded(seed: u8) -> SeededRandom {
    SeededRandom::new([seed; 32])
}

/// Chance that has been written down beforehand.
pub struct Script(pub Vec<Vec<u8>>);

impl Random for Script {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.remove(0));
    }
}
