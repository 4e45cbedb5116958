//! Nothing that arrives makes the engine panic, establish anything, or remember without limit. The check is that of the
//! fuzz target.

#[path = "../../fuzz/src/engine.rs"]
mod engine;

use proptest::prelude::*;

fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let octets = prop::collection::vec(any::<u8>(), 0..64);
    (any::<u8>(), octets).prop_map(|(whom, octets)| [&[whom, octets.len() as u8], &octets[..]].concat())
}

proptest! {
    #[test]
    fn anything_that_arrives_is_survived(datagrams in prop::collection::vec(datagram(), 0..40)) {
        engine::engine(&datagrams.concat());
    }

    #[test]
    fn so_is_noise(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
        engine::engine(&octets);
    }
}
