//! What goes in at one end comes out at the other, and nothing else does.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use mobike_esp::{
    Encap, Install, Keys, Limits, Malformed, Nanos, OpenError, OuterPath, SaPairId, SealError, Selector,
    SequenceNumbers, Suite, max_inner, sealed_len,
};
use proptest::prelude::*;

fn payload() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..1500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_sealed_packet_opens_to_the_same_bytes(suite in 0..3usize, payload in payload(), v6 in any::<bool>()) {
        let mut tunnel = tunnel(SUITES[suite], 64);
        let inner = if v6 {
            ipv6("2001:db8:9::1", "2001:db8::5", 17, &udp(5000, 53, &payload))
        } else {
            ipv4("10.9.0.1", "10.0.0.5", 17, &udp(5000, 53, &payload))
        };
        let datagram = tunnel.up(&inner);
        prop_assert_eq!(datagram.len(), sealed_len(SUITES[suite], inner.len()));
        prop_assert_eq!(datagram.len() % 4, 0);
        prop_assert_eq!(tunnel.arrive(&datagram), Ok(inner));
    }

    #[test]
    fn no_flipped_bit_gets_through_or_moves_the_window(at in 0..112usize, bit in 0..8u8) {
        let mut tunnel = tunnel(SUITES[2], 64);
        let datagram = tunnel.up(&ipv4("10.9.0.1", "10.0.0.5", 17, &udp(1, 2, &[0; 48])));
        prop_assert_eq!(datagram.len(), 112);
        let mut tampered = datagram.clone();
        tampered[at] ^= 1 << bit;
        let refused = tunnel.arrive(&tampered).unwrap_err();
        match at {
            0..4 => prop_assert!(matches!(refused, OpenError::UnknownSpi(_))),
            // A number from 0 would be refused before the ICV is looked at.
            4..8 => prop_assert!(matches!(refused, OpenError::Icv | OpenError::Replay)),
            _ => prop_assert_eq!(refused, OpenError::Icv),
        }
        let seen = tunnel.gateway.counters(ID).unwrap();
        prop_assert_eq!((seen.top_in, seen.packets_in, seen.last_in), (0, 0, None));
        prop_assert_eq!(tunnel.gateway.warm(), 0, "a stranger made us hold a cipher context");
        prop_assert!(tunnel.arrive(&datagram).is_ok());
    }

    #[test]
    fn no_datagram_makes_open_panic(mut datagram in proptest::collection::vec(any::<u8>(), 0..200), ours in any::<bool>()) {
        let mut tunnel = tunnel(SUITES[0], 64);
        if let (true, Some(spi)) = (ours, datagram.first_chunk_mut::<4>()) {
            *spi = GATEWAY_SPI.to_be_bytes();
        }
        prop_assert!(tunnel.arrive(&datagram).is_err());
    }

    #[test]
    fn no_authentic_body_makes_open_panic(quads in 1..40usize, seed in any::<[u8; 32]>(), v6 in any::<bool>()) {
        let tunnel_ = tunnel(SUITES[0], 64);
        let mut body: Vec<u8> = seed.iter().copied().cycle().take(quads * 4).collect();
        body[0] = if v6 { 0x60 } else { 0x45 };
        let last = body.len() - 1;
        (body[last], body[last - 1]) = (if v6 { 41 } else { 4 }, 0);
        let datagram = tunnel_.forge(1, &body);
        let mut tunnel = tunnel_;
        _ = tunnel.arrive(&datagram);
        prop_assert_eq!(tunnel.gateway.counters(ID).unwrap().top_in, 1);
    }
}

#[test]
fn sequence_numbers_count_from_one_and_ivs_never_repeat() {
    let mut tunnel = tunnel(SUITES[1], 64);
    let sealed: Vec<Vec<u8>> = (0..1000).map(|_| tunnel.up(&ping())).collect();
    for (datagram, sequence) in sealed.iter().zip(1u32..) {
        assert_eq!(datagram[..4], GATEWAY_SPI.to_be_bytes());
        assert_eq!(datagram[4..8], sequence.to_be_bytes());
    }
    let ivs: std::collections::HashSet<&[u8]> = sealed.iter().map(|datagram| &datagram[8..16]).collect();
    assert_eq!(ivs.len(), sealed.len());
}

#[test]
fn a_packet_opens_once_and_a_late_one_within_the_window_still_does() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let sealed: Vec<Vec<u8>> = (0..70).map(|_| tunnel.up(&ping())).collect();
    assert!(tunnel.arrive(&sealed[69]).is_ok());
    assert_eq!(tunnel.arrive(&sealed[69]), Err(OpenError::Replay));
    assert!(tunnel.arrive(&sealed[6]).is_ok(), "63 behind the top");
    assert_eq!(tunnel.arrive(&sealed[5]), Err(OpenError::Replay), "64 behind the top");
    let seen = tunnel.gateway.counters(ID).unwrap();
    assert_eq!((seen.packets_in, seen.replay_drops, seen.icv_failures, seen.top_in), (2, 2, 0, 70));
}

#[test]
fn a_replayed_packet_with_a_new_number_is_caught_by_its_icv() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let mut datagram = tunnel.up(&ping());
    assert!(tunnel.arrive(&datagram).is_ok());
    datagram[7] = 200;
    assert_eq!(tunnel.arrive(&datagram), Err(OpenError::Icv));
    assert_eq!(tunnel.gateway.counters(ID).unwrap().top_in, 1);
}

// req: M3.12-1
#[test]
fn a_move_changes_the_outer_path_and_nothing_else() {
    let mut tunnel = tunnel(SUITES[2], 64);
    let (cellular, mut out) = (path("198.51.100.7:40001", "203.0.113.1:4500"), [0; 200]);
    // ESP seq 1 from home -->
    let before = tunnel.client.seal_routed(NOW, &ping(), &mut out).unwrap();
    assert_eq!(before.outer, home());
    assert!(open(&mut tunnel.gateway, reversed(home()), &out[..before.len]).path_matches);
    // the client moves; ESP seq 2 from cellular -->
    tunnel.client.set_outer(ID, cellular).unwrap();
    let after = tunnel.client.seal_routed(NOW, &ping(), &mut out).unwrap();
    assert_eq!(after.outer, cellular);
    assert_eq!(out[4..8], 2u32.to_be_bytes());
    // which the gateway has not agreed to yet: traffic, but no sign of life
    assert!(!open(&mut tunnel.gateway, reversed(cellular), &out[..after.len]).path_matches);
    let seen = tunnel.gateway.counters(ID).unwrap();
    assert_eq!((seen.packets_in, seen.elsewhere, seen.last_in), (2, 1, Some(NOW)));
    assert_eq!(tunnel.gateway.outer(ID), Some(reversed(home())), "ESP moved a path");
    // the gateway agrees; the window has gone on
    assert_eq!(tunnel.gateway.set_group_outer(GROUP, reversed(cellular)), 1);
    assert_eq!(tunnel.gateway.open(NOW, &reversed(cellular), &mut out[..after.len]), Err(OpenError::Replay));
    let third = tunnel.up(&ping());
    assert!(open(&mut tunnel.gateway, reversed(cellular), &third).path_matches);
}

// req: M3.12-1
#[test]
fn packets_from_elsewhere_do_not_renew_the_sign_of_life() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let (first, second) = (tunnel.up(&ping()), tunnel.up(&ping()));
    open(&mut tunnel.gateway, reversed(home()), &first);
    let (later, elsewhere) = (Nanos(NOW.0 * 9), path("203.0.113.1:4500", "192.0.2.10:9"));
    assert!(tunnel.gateway.open(later, &elsewhere, &mut second.clone()).is_ok());
    assert_eq!(tunnel.gateway.counters(ID).unwrap().last_in, Some(NOW));
}

// req: M3.12-1
#[test]
fn ports_say_nothing_about_the_path_without_encapsulation() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let plain = mobike_esp::OuterPath { encap: Encap::None, ..reversed(home()) };
    tunnel.gateway.set_outer(ID, plain).unwrap();
    let (mut other_ports, first, second) = (plain, tunnel.up(&ping()), tunnel.up(&ping()));
    other_ports.remote.set_port(0);
    other_ports.local.set_port(0);
    assert!(open(&mut tunnel.gateway, other_ports, &first).path_matches);
    assert!(!open(&mut tunnel.gateway, reversed(home()), &second).path_matches, "UDP where ESP was agreed");
}

#[test]
fn dummy_packets_vanish_but_count_as_life() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let dummy = tunnel.forge(1, &with_trailer(&[0xaa; 10], 0, 59));
    assert_eq!(tunnel.arrive(&dummy), Err(OpenError::Dummy));
    let seen = tunnel.gateway.counters(ID).unwrap();
    assert_eq!((seen.dummies, seen.malformed, seen.packets_in, seen.last_in), (1, 0, 0, Some(NOW)));
}

#[test]
fn traffic_flow_padding_is_cut_off_by_the_inner_length() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let padded = [ping(), vec![0; 100]].concat();
    let datagram = tunnel.forge(1, &with_trailer(&padded, pad_for(padded.len()), 4));
    assert_eq!(tunnel.arrive(&datagram), Ok(ping()));
}

#[test]
fn long_regular_padding_is_accepted_and_irregular_padding_is_not() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let long = 248 + pad_for(ping().len());
    let regular = tunnel.forge(1, &with_trailer(&ping(), long, 4));
    assert_eq!(tunnel.arrive(&regular), Ok(ping()));
    let mut body = with_trailer(&ping(), 4 + pad_for(ping().len()), 4);
    body[ping().len()] = 9;
    let irregular = tunnel.forge(2, &body);
    assert_eq!(tunnel.arrive(&irregular), Err(OpenError::Trailer));
    let longer_than_all = tunnel.forge(3, &[0, 0, 200, 4]);
    assert_eq!(tunnel.arrive(&longer_than_all), Err(OpenError::Trailer));
    assert_eq!(tunnel.gateway.counters(ID).unwrap().malformed, 2);
}

#[test]
fn next_headers_that_are_not_ip_or_lie_about_the_version_are_dropped() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let transport = tunnel.forge(1, &with_trailer(&ping(), pad_for(ping().len()), 17));
    assert_eq!(tunnel.arrive(&transport), Err(OpenError::Trailer));
    let lie = tunnel.forge(2, &with_trailer(&ping(), pad_for(ping().len()), 41));
    assert_eq!(tunnel.arrive(&lie), Err(OpenError::Malformed(Malformed::Version)));
    let cut = &ping()[..26];
    let cut = tunnel.forge(3, &with_trailer(cut, pad_for(cut.len()), 4));
    assert_eq!(tunnel.arrive(&cut), Err(OpenError::Malformed(Malformed::Length)));
}

#[test]
fn lengths_that_no_esp_packet_has_are_counted_and_dropped() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let datagram = tunnel.up(&ping());
    for len in 0..36 {
        assert_eq!(tunnel.arrive(&datagram[..len]), Err(OpenError::Length), "{len}");
    }
    assert_eq!(tunnel.arrive(&datagram[..datagram.len() - 1]), Err(OpenError::Length));
    assert_eq!(tunnel.arrive(&datagram[..datagram.len() - 4]), Err(OpenError::Icv));
    let totals = tunnel.gateway.totals();
    assert_eq!((totals.bad_length, totals.icv_failures), (37, 1));
}

#[test]
fn a_packet_that_cannot_be_sent_spends_no_sequence_number() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let mut out = [0; 200];
    let client = &mut tunnel.client;
    assert_eq!(client.seal(NOW, ID, &[], &mut out), Err(SealError::Malformed(Malformed::Truncated)));
    assert_eq!(client.seal(NOW, SaPairId(1), &ping(), &mut out), Err(SealError::UnknownPair));
    let need = sealed_len(SUITES[0], ping().len());
    assert_eq!(client.seal(NOW, ID, &ping(), &mut out[..need - 1]), Err(SealError::NoRoom(need)));
    let foreign = ipv4("10.9.0.2", "10.0.0.5", 1, &[8, 0, 0, 0]);
    assert_eq!(client.seal(NOW, ID, &foreign, &mut out), Err(SealError::Selector));
    assert_eq!(client.seal_routed(NOW, &foreign, &mut out), Err(SealError::NoRoute));
    assert_eq!(client.counters(ID).unwrap().last_sequence_out, 0);
    let totals = client.totals();
    assert_eq!((totals.no_route, totals.malformed_out, totals.not_sealed), (1, 1, 3));
    assert_eq!(client.counters(ID).unwrap().selector_drops, 1);
}

#[test]
fn sealing_leaves_out_what_follows_the_inner_packet() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let long = [ping(), vec![0xee; 30]].concat();
    let datagram = tunnel.up(&long);
    assert_eq!(datagram.len(), sealed_len(SUITES[0], ping().len()));
    assert_eq!(tunnel.arrive(&datagram), Ok(ping()));
}

#[test]
fn the_longest_inner_packet_fills_the_mtu() {
    let v6 = path("[2001:db8::1]:4500", "[2001:db8::2]:4500");
    for (outer, around) in [(home(), 20 + 8), (v6, 40 + 8), (mobike_esp::OuterPath { encap: Encap::None, ..v6 }, 40)] {
        for suite in all_suites() {
            for mtu in 1280..1310 {
                let longest = max_inner(mtu, &outer, suite);
                assert!(around + sealed_len(suite, longest) <= mtu);
                assert!(around + sealed_len(suite, longest + 1) > mtu);
            }
            assert_eq!(max_inner(50, &outer, suite), 0);
        }
    }
}

// req: D5.4-1
#[test]
fn nothing_is_sealed_for_a_peer_that_is_away_until_the_group_moves() {
    let mut tunnel = tunnel(Suite::AES_128_GCM_16, 64);
    let mut out = vec![0; 200];
    let answer = ipv4("10.0.0.5", "10.9.0.1", 1, &[0, 0, 0, 0, 0, 1, 0, 1]);
    assert_eq!(tunnel.gateway.park_group(GROUP), 1);
    assert!(tunnel.gateway.is_parked(GROUP));
    assert_eq!(tunnel.gateway.seal_routed(NOW, &answer, &mut out), Err(SealError::Away));
    assert_eq!(tunnel.gateway.seal(NOW, ID, &answer, &mut out), Err(SealError::Away));
    assert_eq!(tunnel.gateway.totals().away, 2);
    // What was on its way is still opened.
    let sealed = tunnel.up(&ping());
    assert_eq!(tunnel.arrive(&sealed).unwrap(), ping());
    // A Child SA that joins the group is parked with it.
    let (up, down) = (keymat(3), keymat(103));
    let any = [Selector::any_v4()];
    let more = Install {
        id: SaPairId(8),
        group: GROUP,
        inbound: Keys { spi: 0x5000, keymat: &up[..20] },
        outbound: Keys { spi: 0x6000, keymat: &down[..20] },
        suite: Suite::AES_128_GCM_16,
        sequence: SequenceNumbers::Short,
        limits: Limits::default(),
        replay_window: 64,
        outer: reversed(home()),
        local: &any,
        remote: &any,
    };
    tunnel.gateway.install(&more).unwrap();
    let elsewhere = ipv4("10.0.0.5", "10.8.0.1", 1, &[0, 0, 0, 0, 0, 1, 0, 1]);
    assert_eq!(tunnel.gateway.seal_routed(NOW, &elsewhere, &mut out), Err(SealError::Away));
    assert_eq!(tunnel.gateway.set_group_outer(GROUP, reversed(home())), 2);
    assert!(!tunnel.gateway.is_parked(GROUP));
    for packet in [answer, elsewhere] {
        assert!(tunnel.gateway.seal_routed(NOW, &packet, &mut out).is_ok());
    }
}

// req: A4-1
#[test]
fn a_packet_longer_than_its_path_takes_is_refused_and_spends_no_sequence_number() {
    let mut tunnel = tunnel(Suite::AES_128_GCM_16, 64);
    let (mut out, long) = (vec![0; 2000], ipv4("10.9.0.1", "10.0.0.5", 17, &udp(1, 2, &[7; 1300])));
    let most = |outer: &OuterPath, suite| max_inner(1280, outer, suite);
    let refused = SealError::TooLong { most: 1218, outer: home() };
    assert_eq!(tunnel.client.seal_routed_within(NOW, &long, &mut out, most), Err(refused));
    assert_eq!(tunnel.client.counters(ID).unwrap().last_sequence_out, 0);
    assert_eq!(tunnel.client.totals().too_long, 1);
    let fitting = ipv4("10.9.0.1", "10.0.0.5", 17, &udp(1, 2, &[7; 1218 - 28]));
    let sealed = tunnel.client.seal_routed_within(NOW, &fitting, &mut out, most).unwrap();
    assert!(sealed.len + 28 <= 1280);
}
