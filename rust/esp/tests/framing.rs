//! Port 4500 is shared.
#![allow(missing_docs)]

use mobike_esp::framing::{Framing, KEEPALIVE, MARKER_LEN, classify};
use mobike_esp::spi;

#[test]
fn datagrams_on_port_4500_are_told_apart_by_their_first_bytes() {
    assert_eq!(classify(&KEEPALIVE), Framing::Keepalive);
    assert_eq!(classify(&[0xff; 5]), Framing::Esp { spi: u32::MAX });
    assert_eq!(classify(&[0; MARKER_LEN]), Framing::Ike);
    assert_eq!(classify(&[0, 0, 0, 0, 0xff]), Framing::Ike);
    assert_eq!(classify(&[0, 0, 1, 0]), Framing::Esp { spi: 256 });
    for runt in [&[][..], &[0], &[0, 0, 0], &[0xff, 0xff]] {
        assert_eq!(classify(runt), Framing::Runt);
    }
}

#[test]
fn the_low_bits_of_an_spi_name_the_shard() {
    assert_eq!(spi::shard(0xabcd_1235), 5);
    assert_eq!(spi::shard(0xabcd_123f), 15);
}
