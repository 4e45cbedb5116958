//! Every suite carries packets, with short and with extended sequence numbers: RFC 3602, RFC 3686, RFC 4106, RFC 4303,
//! RFC 4868, RFC 7634.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use mobike_esp::{
    EspTable, Install, Keys, Limits, OpenError, ReplayWindow, SaPairId, Selector, SequenceNumbers, Since, Suite,
    sealed_len,
};
use proptest::prelude::*;

const WIDTHS: [SequenceNumbers; 2] = [SequenceNumbers::Short, SequenceNumbers::Extended];

fn any_tunnel(suite: Suite, numbers: SequenceNumbers) -> Tunnel {
    tunnel_of(suite, numbers, 64, &[Selector::host(ip("10.9.0.1"))], &[Selector::any_v4()])
}

proptest! {
    #[test]
    fn every_suite_carries_any_packet_and_refuses_it_with_a_bit_turned(
        suite in prop::sample::select(all_suites()),
        numbers in prop::sample::select(&WIDTHS[..]),
        payload in prop::collection::vec(any::<u8>(), 0..300),
        (at, bit) in (any::<prop::sample::Index>(), 0..8u8),
    ) {
        let mut tunnel = any_tunnel(suite, numbers);
        let inner = ipv4("10.9.0.1", "10.0.0.5", 17, &udp(5000, 53, &payload));
        let datagram = tunnel.up(&inner);
        prop_assert_eq!(datagram.len(), sealed_len(suite, inner.len()));
        prop_assert_eq!(datagram.len() % 4, 0);
        let mut tampered = datagram.clone();
        let at = at.index(datagram.len() - 8) + 8;
        tampered[at] ^= 1 << bit;
        prop_assert_eq!(tunnel.arrive(&tampered), Err(OpenError::Icv));
        prop_assert_eq!(tunnel.gateway.warm(), 0, "a stranger made us hold a cipher context");
        prop_assert_eq!(tunnel.arrive(&datagram), Ok(inner.clone()));
        prop_assert_eq!(tunnel.arrive(&datagram), Err(OpenError::Replay));
        let second = tunnel.up(&inner);
        prop_assert_eq!(tunnel.arrive(&second), Ok(inner));
    }

    #[test]
    fn no_datagram_makes_any_suite_panic(
        suite in prop::sample::select(all_suites()),
        mut datagram in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut tunnel = any_tunnel(suite, SequenceNumbers::Extended);
        if let Some(spi) = datagram.first_chunk_mut::<4>() {
            *spi = GATEWAY_SPI.to_be_bytes();
        }
        prop_assert!(tunnel.arrive(&datagram).is_err());
    }

    /// RFC 4303 appendix A2: whatever was received before, a number not further from the top than half the low numbers,
    /// and not behind the window, is known again by its low half.
    #[test]
    fn an_extended_number_is_known_by_its_low_half(
        top in 1u64..1 << 40,
        width in prop::sample::select(vec![64u16, 256, 1024]),
        ahead in -1023i64..1 << 31,
    ) {
        let mut window = ReplayWindow::new(width);
        window.accept(top);
        if let Some(sequence) = top.checked_add_signed(ahead).filter(|it| *it > 0 && *it + u64::from(width) > top) {
            prop_assert_eq!(window.extend(sequence as u32), Some(sequence));
        }
    }
}

/// RFC 7634 appendix A.
#[test]
fn chacha20_poly1305_opens_the_packet_of_rfc_7634() {
    let key: Vec<u8> = (0x80..0xa0).chain([0xa0, 0xa1, 0xa2, 0xa3]).collect();
    let any = [Selector::any_v4()];
    let mut table = EspTable::new();
    let inbound = Keys { spi: 0x0102_0304, keymat: &key };
    let outbound = Keys { spi: 0x0102_0305, keymat: &[1; 36] };
    let install = Install {
        id: ID,
        group: GROUP,
        inbound,
        outbound,
        suite: Suite::ChaCha20Poly1305,
        sequence: SequenceNumbers::Short,
        limits: Limits::default(),
        replay_window: 64,
        outer: home(),
        local: &any,
        remote: &any,
    };
    table.install(&install).unwrap();
    let mut datagram = unhex(
        "0102030400000005101112131415161724039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6
         14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da
         9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43",
    );
    let opened = table.open(NOW, &reversed(home()), &mut datagram).unwrap();
    let inner = unhex(
        "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f10111213
         1415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
    );
    assert_eq!(datagram[opened.inner], inner);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The high half is covered though it does not travel: who guesses it wrong opens nothing (RFC 4303 section 2.2.1).
#[test]
fn an_extended_number_goes_on_where_the_low_half_begins_again() {
    for suite in all_suites() {
        let mut tunnel = any_tunnel(suite, SequenceNumbers::Extended);
        // Both ends are put shortly before the turn, as if they had carried four thousand million packets.
        let near = (1u64 << 32) - 3;
        for (table, out) in [(&mut tunnel.client, true), (&mut tunnel.gateway, false)] {
            let mut parked = table.park(ID).unwrap();
            table.remove(ID).unwrap();
            if out {
                parked.sequence_out = near
            } else {
                parked.window_top = near
            }
            table.resume(&parked, Since::Nothing, 7).unwrap();
        }
        for number in 1..=6u64 {
            let datagram = tunnel.up(&ping());
            assert_eq!(datagram[4..8], ((near + number) as u32).to_be_bytes());
            assert_eq!(tunnel.arrive(&datagram), Ok(ping()), "{suite:?} {number}");
            assert_eq!(tunnel.gateway.counters(ID).unwrap().top_in, near + number);
            assert_eq!(tunnel.arrive(&datagram), Err(OpenError::Replay));
        }
        // One that lags behind the turn is taken as well, and an old one of the low half that came again is not.
        assert_eq!(tunnel.gateway.counters(ID).unwrap().last_in, Some(NOW));
    }
}

#[test]
fn a_parked_pair_keeps_its_suite_and_its_keys() {
    for (suite, numbers) in all_suites().into_iter().flat_map(|suite| WIDTHS.map(|numbers| (suite, numbers))) {
        let mut tunnel = any_tunnel(suite, numbers);
        let before = tunnel.up(&ping());
        let parked = tunnel.client.park(ID).unwrap();
        assert_eq!((parked.suite, parked.sequence), (suite, numbers));
        assert_eq!(parked.keymat_out[..], keymat(1)[..suite.keymat_len()]);
        tunnel.client.remove(ID).unwrap();
        tunnel.client.resume(&parked, Since::Nothing, 0).unwrap();
        let after = tunnel.up(&ping());
        assert_eq!(tunnel.arrive(&before), Ok(ping()));
        assert_eq!(tunnel.arrive(&after), Ok(ping()));
    }
}

#[test]
fn a_pair_of_one_suite_does_not_open_what_another_sealed() {
    let all = all_suites();
    for (ours, theirs) in all.iter().zip(all.iter().cycle().skip(1)) {
        let datagram = any_tunnel(*theirs, SequenceNumbers::Short).up(&ping());
        let refused = any_tunnel(*ours, SequenceNumbers::Short).arrive(&datagram).unwrap_err();
        assert!(matches!(refused, OpenError::Icv | OpenError::Length), "{ours:?} {theirs:?}: {refused:?}");
    }
    let datagram = any_tunnel(all[0], SequenceNumbers::Extended).up(&ping());
    assert_eq!(any_tunnel(all[0], SequenceNumbers::Short).arrive(&datagram), Err(OpenError::Icv));
    assert_eq!(SaPairId(7), ID);
}
