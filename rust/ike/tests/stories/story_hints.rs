//! Stories of news that nobody vouches for: it brings a test forward, moves nothing, and a flood of it costs little.

use crate::stage;

use core::time::Duration;

use stage::{CLIENT, ExchangeType, GATEWAY, HostId, NotifyType, Pair, Path, WAN, WIFI, ms, secs};

/// An error in the clear that names the IKE SA, as anybody on the way can send it.
fn error_in_the_clear(pair: &mut Pair, to: HostId, kind: NotifyType) {
    let up = pair.client().up();
    let (spi_i, spi_r) = (up.spi_i, up.spi_r);
    let mut message = Vec::new();
    message.extend(spi_i.to_be_bytes());
    message.extend(spi_r.to_be_bytes());
    let from_initiator = if to == CLIENT { 0 } else { 0x08 };
    // Next payload: notify; version 2.0; INFORMATIONAL; flags; message id; length.
    message.extend([41, 0x20, ExchangeType::INFORMATIONAL.0, from_initiator, 0, 0, 0, 0, 0, 0, 0, 36]);
    message.extend([0, 0, 0, 8, 0, 0]);
    message.extend(kind.0.to_be_bytes());
    let path = if to == CLIENT { Pair::path(WIFI, WAN) } else { Pair::path(WIFI, WAN).reversed() };
    pair.inject(to, path, &message);
}

fn idle() -> Pair {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(600)).established();
    pair.run_for(secs(30));
    pair
}

// req: M3.5-1
#[test]
fn an_error_that_anybody_can_send_brings_a_test_forward_and_changes_nothing() {
    for kind in [NotifyType::INVALID_SPI, NotifyType::INVALID_IKE_SPI] {
        for who in [CLIENT, GATEWAY] {
            let mut pair = idle();
            error_in_the_clear(&mut pair, who, kind);
            assert_eq!(pair.requests_of(who).len(), 1, "a test at once");
            pair.run_for(secs(5));
            assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
            assert_eq!(pair.requests_of(who).len(), 1, "it was answered, and that is that");
            assert!(pair.client().moved().is_empty() && pair.gateway().peer_moves().is_empty());
            assert!(pair.client().silences().is_empty());
        }
    }
}

// req: M3.5-1
#[test]
fn a_flood_of_such_errors_costs_one_test_in_ten_seconds() {
    let mut pair = idle();
    for _ in 0..3_000 {
        error_in_the_clear(&mut pair, CLIENT, NotifyType::INVALID_SPI);
        pair.run_for(ms(10));
    }
    assert!((3..=4).contains(&pair.requests_of(CLIENT).len()), "{}", pair.requests_of(CLIENT).len());
    assert_eq!(pair.client().count("hints_followed") as usize, pair.requests_of(CLIENT).len());
}

// req: M3.5-1
#[test]
fn other_words_in_the_clear_are_dropped() {
    for kind in [NotifyType::UPDATE_SA_ADDRESSES, NotifyType::UNACCEPTABLE_ADDRESSES, NotifyType::INVALID_SYNTAX] {
        let mut pair = idle();
        let before = pair.client().trace();
        error_in_the_clear(&mut pair, CLIENT, kind);
        pair.run_for(Duration::from_secs(5));
        assert!(pair.requests_of(CLIENT).is_empty());
        assert_eq!(pair.client().trace(), before);
        assert_eq!(pair.client().count("dropped_malformed"), 1);
    }
}

// req: M3.5-1
#[test]
fn where_the_peer_is_really_gone_the_hint_shortens_the_wait() {
    let mut pair = idle();
    pair.net.unplug(WAN);
    error_in_the_clear(&mut pair, CLIENT, NotifyType::INVALID_IKE_SPI);
    assert!(pair.run_until(secs(3), |world| !world.host(CLIENT).silences().is_empty()), "ten minutes early");
    let path: Path = pair.client().path();
    assert_eq!(path, Pair::path(WIFI, WAN), "silence moves nothing either");
}
