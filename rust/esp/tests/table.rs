//! Many Child SAs: who carries what, groups that move together, and what idle ones give back.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::*;
use mobike_esp::limits::{CONTEXT_IDLE, MAX_PAIRS_PER_PREFIX, MAX_SELECTORS, TRIM_EVERY};
use mobike_esp::{
    EspTable, GroupId, Install, InstallError, Keys, Limits, Nanos, OpenError, PortRange, SaPairId, Selector,
    SequenceNumbers, Suite, UnknownPair,
};
use proptest::prelude::*;

/// A pair on the gateway: SPIs from its id, everything local to `remote`.
fn add(table: &mut EspTable, id: u64, group: u64, remote: &[Selector]) -> Result<(), InstallError> {
    add_with(table, id, group, &[Selector::any_v4(), Selector::any_v6()], remote)
}

fn add_with(
    table: &mut EspTable,
    id: u64,
    group: u64,
    local: &[Selector],
    remote: &[Selector],
) -> Result<(), InstallError> {
    let (inbound, outbound) = (keymat(id as u8), keymat(id as u8 ^ 0x80));
    table.install(&Install {
        id: SaPairId(id),
        group: GroupId(group),
        inbound: Keys { spi: 0x1000 + id as u32, keymat: &inbound[..20] },
        outbound: Keys { spi: 0x9000_0000 + id as u32, keymat: &outbound[..20] },
        suite: Suite::AES_128_GCM_16,
        sequence: SequenceNumbers::Short,
        limits: Limits::default(),
        replay_window: 64,
        outer: home(),
        local,
        remote,
    })
}

fn prefix(text: &str) -> Selector {
    let (address, len) = text.split_once('/').unwrap();
    Selector::prefix(ip(address), len.parse().unwrap()).unwrap()
}

fn to(destination: &str) -> Vec<u8> {
    match ip(destination) {
        IpAddr::V4(_) => ipv4("192.168.1.1", destination, 17, &udp(1000, 53, b"x")),
        IpAddr::V6(_) => ipv6("2001:db8::1", destination, 17, &udp(1000, 53, b"x")),
    }
}

fn carrier(table: &EspTable, destination: &str) -> Option<u64> {
    table.route(&to(destination)).map(|id| id.0)
}

#[test]
fn the_most_specific_prefix_carries_the_packet() {
    let mut table = EspTable::new();
    add(&mut table, 1, 1, &[prefix("10.0.0.0/8"), prefix("2001:db8:9::/48")]).unwrap();
    add(&mut table, 2, 2, &[Selector::host(ip("10.1.1.1"))]).unwrap();
    add(&mut table, 3, 3, &[prefix("10.1.0.0/16")]).unwrap();
    assert_eq!(carrier(&table, "10.1.1.1"), Some(2));
    assert_eq!(carrier(&table, "10.1.1.2"), Some(3));
    assert_eq!(carrier(&table, "10.2.0.0"), Some(1));
    assert_eq!(carrier(&table, "2001:db8:9::7"), Some(1));
    assert_eq!(carrier(&table, "2001:db8:a::7"), None);
    assert_eq!(carrier(&table, "11.0.0.0"), None);
    table.remove(SaPairId(2)).unwrap();
    table.remove(SaPairId(3)).unwrap();
    assert_eq!(carrier(&table, "10.1.1.1"), Some(1));
    table.remove(SaPairId(1)).unwrap();
    assert_eq!(carrier(&table, "10.1.1.1"), None);
}

#[test]
fn a_pair_that_does_not_carry_the_protocol_is_passed_over_for_a_wider_one() {
    let mut table = EspTable::new();
    let host = ip("10.9.0.1");
    let dns = Selector::new(host, host, 17, PortRange::new(53, 53).unwrap()).unwrap();
    let web = Selector::new(host, host, 6, PortRange::new(80, 443).unwrap()).unwrap();
    add(&mut table, 1, 1, &[prefix("10.9.0.0/24")]).unwrap();
    add(&mut table, 2, 1, &[dns]).unwrap();
    add(&mut table, 3, 1, &[web]).unwrap();
    let send = |protocol, port| {
        let inner = ipv4("192.168.1.1", "10.9.0.1", protocol, &udp(9, port, b""));
        table.route(&inner).map(|id| id.0)
    };
    assert_eq!(send(17, 53), Some(2));
    assert_eq!(send(17, 54), Some(1));
    assert_eq!(send(6, 79), Some(1));
    assert_eq!(send(6, 80), Some(3));
    assert_eq!(send(6, 443), Some(3));
    assert_eq!(send(1, 80), Some(1));
}

#[test]
fn the_source_must_be_agreed_too() {
    let mut table = EspTable::new();
    add_with(&mut table, 1, 1, &[prefix("192.168.2.0/24")], &[Selector::host(ip("10.9.0.1"))]).unwrap();
    assert_eq!(carrier(&table, "10.9.0.1"), None);
    let inner = ipv4("192.168.2.9", "10.9.0.1", 17, &udp(1, 2, b""));
    assert_eq!(table.route(&inner), Some(SaPairId(1)));
}

#[test]
fn a_peer_cannot_send_what_was_not_agreed() {
    let dns = Selector::new(ip("10.0.0.5"), ip("10.0.0.5"), 17, PortRange::new(53, 53).unwrap()).unwrap();
    let mut tunnel = tunnel_with(Suite::AES_128_GCM_16, 64, &[Selector::host(ip("10.9.0.1"))], &[dns]);
    let stories = [
        (ipv4("10.9.0.1", "10.0.0.5", 17, &udp(1000, 53, b"?")), true),
        (ipv4("10.9.0.2", "10.0.0.5", 17, &udp(1000, 53, b"?")), false),
        (ipv4("10.9.0.1", "10.0.0.6", 17, &udp(1000, 53, b"?")), false),
        (ipv4("10.9.0.1", "10.0.0.5", 17, &udp(53, 1000, b"?")), false),
        (ipv4("10.9.0.1", "10.0.0.5", 6, &udp(1000, 53, b"?")), false),
        (ipv6("2001:db8::1", "2001:db8::2", 17, &udp(1000, 53, b"?")), false),
    ];
    let mut refused = 0;
    for ((inner, agreed), sequence) in stories.into_iter().zip(1..) {
        let next_header = if inner[0] >> 4 == 4 { 4 } else { 41 };
        let datagram = tunnel.forge(sequence, &with_trailer(&inner, pad_for(inner.len()), next_header));
        let expected = if agreed { Ok(inner) } else { Err(OpenError::Selector) };
        assert_eq!(tunnel.arrive(&datagram), expected);
        refused += u64::from(!agreed);
    }
    let seen = tunnel.gateway.counters(ID).unwrap();
    assert_eq!((seen.selector_drops, seen.packets_in, seen.top_in), (refused, 1, 6));
    tunnel.gateway.remove(ID).unwrap();
    assert_eq!(tunnel.gateway.totals().selector_drops, refused, "the table remembers what its pairs dropped");
}

#[test]
fn later_fragments_show_no_ports_so_only_any_and_opaque_carry_them() {
    let mut fragment = to("10.9.0.1");
    fragment[7] = 185;
    let host = ip("10.9.0.1");
    for (ports, carried) in [
        (PortRange::ANY, true),
        (PortRange::OPAQUE, true),
        (PortRange::new(0, 65534).unwrap(), false),
        (PortRange::new(53, 53).unwrap(), false),
    ] {
        let mut table = EspTable::new();
        add(&mut table, 1, 1, &[Selector::new(host, host, 17, ports).unwrap()]).unwrap();
        assert_eq!(table.route(&fragment).is_some(), carried, "{ports:?}");
    }
}

#[test]
fn extension_headers_are_looked_through_up_to_a_limit() {
    let host = ip("2001:db8:9::1");
    let dns = Selector::new(host, host, 17, PortRange::new(53, 53).unwrap()).unwrap();
    let mut table = EspTable::new();
    add(&mut table, 1, 1, &[dns]).unwrap();
    let chain = |headers: usize, destination_port| {
        let options = [60, 0, 1, 4, 0, 0, 0, 0].repeat(headers.saturating_sub(1));
        let last: &[u8] = if headers > 0 { &[17, 0, 1, 4, 0, 0, 0, 0] } else { &[] };
        let payload = [&options, last, &udp(1, destination_port, b"")].concat();
        ipv6("2001:db8::1", "2001:db8:9::1", if headers > 0 { 60 } else { 17 }, &payload)
    };
    for headers in 0..=8 {
        assert!(table.route(&chain(headers, 53)).is_some(), "{headers}");
        assert!(table.route(&chain(headers, 54)).is_none());
    }
    assert!(table.route(&chain(9, 53)).is_none());
    let fragmented = |offset: u8| {
        let payload = [&[17, 0, 0, offset << 3, 0, 0, 0, 1], udp(1, 53, b"").as_slice()].concat();
        ipv6("2001:db8::1", "2001:db8:9::1", 44, &payload)
    };
    assert!(table.route(&fragmented(0)).is_some());
    assert!(table.route(&fragmented(1)).is_none());
}

#[test]
fn after_a_rekey_the_new_pair_sends_unless_the_old_one_is_preferred() {
    let (mut table, client) = (EspTable::new(), [Selector::host(ip("10.9.0.1"))]);
    add(&mut table, 1, 1, &client).unwrap();
    add(&mut table, 2, 1, &client).unwrap();
    assert_eq!(carrier(&table, "10.9.0.1"), Some(2));
    table.prefer(SaPairId(1)).unwrap();
    assert_eq!(carrier(&table, "10.9.0.1"), Some(1));
    table.prefer(SaPairId(2)).unwrap();
    assert_eq!(carrier(&table, "10.9.0.1"), Some(2));
    table.remove(SaPairId(2)).unwrap();
    assert_eq!(carrier(&table, "10.9.0.1"), Some(1));
    assert_eq!(table.prefer(SaPairId(2)), Err(UnknownPair(SaPairId(2))));
}

// req: M3.5-7, D5.3-1
#[test]
fn a_group_moves_and_leaves_as_one() {
    let mut table = EspTable::new();
    for id in 1..=9 {
        add(&mut table, id, id % 3, &[Selector::host(Ipv4Addr::new(10, 9, 0, id as u8).into())]).unwrap();
    }
    let cellular = path("198.51.100.7:4500", "203.0.113.1:4500");
    // Take the newest, one from the middle and the oldest of group 1 and 2 out, so that every link is tried.
    for id in [7, 5, 2] {
        table.remove(SaPairId(id)).unwrap();
    }
    assert_eq!(table.group(GroupId(1)).collect::<Vec<_>>(), [SaPairId(4), SaPairId(1)]);
    assert_eq!(table.group(GroupId(2)).collect::<Vec<_>>(), [SaPairId(8)]);
    assert_eq!(table.set_group_outer(GroupId(1), cellular), 2);
    for id in [1, 3, 4, 6, 8, 9] {
        let expected = if id % 3 == 1 { cellular } else { home() };
        assert_eq!(table.outer(SaPairId(id)), Some(expected), "{id}");
    }
    assert_eq!(table.remove_group(GroupId(0)), 3);
    assert_eq!(table.remove_group(GroupId(0)), 0);
    assert_eq!(table.set_group_outer(GroupId(0), cellular), 0);
    assert_eq!(table.len(), 3);
}

#[test]
fn a_removed_pair_is_gone_from_every_index_and_its_slot_is_used_again() {
    let mut tunnel = tunnel(Suite::AES_256_GCM_16, 64);
    let datagram = tunnel.up(&ping());
    let table = &mut tunnel.gateway;
    assert_eq!(table.by_inbound_spi(GATEWAY_SPI), Some(ID));
    table.remove(ID).unwrap();
    assert_eq!(table.remove(ID), Err(UnknownPair(ID)));
    assert_eq!(table.by_inbound_spi(GATEWAY_SPI), None);
    assert_eq!((table.counters(ID), table.outer(ID)), (None, None));
    assert_eq!(table.set_outer(ID, home()), Err(UnknownPair(ID)));
    assert!(table.is_empty());
    assert_eq!(tunnel.arrive(&datagram), Err(OpenError::UnknownSpi(GATEWAY_SPI)));
    assert_eq!(tunnel.gateway.totals().unknown_spi, 1);
    add(&mut tunnel.gateway, 8, 1, &[Selector::host(ip("10.9.0.1"))]).unwrap();
    assert_eq!(carrier(&tunnel.gateway, "10.9.0.1"), Some(8));
}

#[test]
fn a_bad_install_is_refused_by_name_and_changes_nothing() {
    let mut table = EspTable::new();
    let (up, down, hosts) = (keymat(1), keymat(2), [Selector::host(ip("10.9.0.1"))]);
    let good = Install {
        id: ID,
        group: GROUP,
        inbound: Keys { spi: 256, keymat: &down[..20] },
        outbound: Keys { spi: u32::MAX, keymat: &up[..20] },
        suite: Suite::AES_128_GCM_16,
        sequence: SequenceNumbers::Short,
        limits: Limits::default(),
        replay_window: 64,
        outer: home(),
        local: &hosts,
        remote: &hosts,
    };
    let many = vec![hosts[0]; MAX_SELECTORS + 1];
    let odd = |i: u16| {
        let first = Ipv6Addr::new(0x2001, i, 0, 0, 0, 0, 0, 1);
        let last = Ipv6Addr::new(0x2001, i, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xfffe);
        Selector::new(first.into(), last.into(), 0, PortRange::ANY).unwrap()
    };
    let odd: Vec<Selector> = (0..3).map(odd).collect();
    let cases = [
        (Install { inbound: Keys { spi: 255, ..good.inbound }, ..good }, InstallError::SpiReserved(255)),
        (Install { outbound: Keys { spi: 0, ..good.outbound }, ..good }, InstallError::SpiReserved(0)),
        (Install { suite: Suite::AES_256_GCM_16, ..good }, InstallError::KeyLength { want: 36, got: 20 }),
        (Install { outbound: Keys { spi: 256, ..good.inbound }, ..good }, InstallError::SameKeys),
        (Install { replay_window: 32, ..good }, InstallError::ReplayWindow(32)),
        (Install { replay_window: 100, ..good }, InstallError::ReplayWindow(100)),
        (Install { replay_window: 1088, ..good }, InstallError::ReplayWindow(1088)),
        (Install { local: &[], ..good }, InstallError::NoSelectors),
        (Install { remote: &many, ..good }, InstallError::TooManySelectors(MAX_SELECTORS + 1)),
        (Install { remote: &odd, ..good }, InstallError::TooManyRoutes),
    ];
    for (install, refused) in cases {
        assert_eq!(table.install(&install), Err(refused));
    }
    assert!(table.is_empty());
    table.install(&good).unwrap();
    assert_eq!(table.install(&good), Err(InstallError::IdInUse));
    assert_eq!(table.install(&Install { id: SaPairId(8), ..good }), Err(InstallError::SpiInUse(256)));
    assert_eq!((table.len(), table.remove_group(GROUP)), (1, 1));
    assert!(!format!("{good:?}").contains("keymat"), "keys in a log");
}

#[test]
fn one_prefix_is_shared_by_so_many_pairs_and_no_more() {
    let (mut table, client) = (EspTable::new(), [Selector::host(ip("10.9.0.1"))]);
    let full = MAX_PAIRS_PER_PREFIX as u64;
    for id in 0..full {
        add(&mut table, id, 1, &client).unwrap();
    }
    assert_eq!(add(&mut table, full, 1, &client), Err(InstallError::PrefixCrowded));
    table.prefer(SaPairId(0)).unwrap();
    table.remove(SaPairId(5)).unwrap();
    add(&mut table, full, 1, &client).unwrap();
    assert_eq!(carrier(&table, "10.9.0.1"), Some(full));
}

#[test]
fn idle_pairs_give_their_cipher_contexts_back_and_work_on_when_traffic_returns() {
    /// More than one turn's share.
    const PAIRS: u64 = 3000;
    let mut table = EspTable::new();
    for id in 0..PAIRS {
        add(&mut table, id, 1, &[Selector::host(Ipv4Addr::from(0x0a09_0000 + id as u32).into())]).unwrap();
    }
    assert_eq!((table.warm(), table.poll_timeout()), (0, None));
    let mut out = [0; 200];
    let mut send = |table: &mut EspTable, now, id: u64| {
        let address = Ipv4Addr::from(0x0a09_0000 + id as u32).to_string();
        table.seal_routed(now, &to(&address), &mut out).unwrap();
    };
    for id in 0..PAIRS {
        send(&mut table, NOW, id);
    }
    assert_eq!(table.warm() as u64, PAIRS);
    assert_eq!(table.poll_timeout(), Some(Nanos(NOW.0 + TRIM_EVERY.as_nanos() as u64)));
    // Pair 3 stays busy, pair 4 is removed while warm; the clock runs for twice the idle time.
    table.remove(SaPairId(4)).unwrap();
    let mut now = NOW;
    while now.0 < NOW.0 + 2 * CONTEXT_IDLE.as_nanos() as u64 + 2 * TRIM_EVERY.as_nanos() as u64 {
        now = table.poll_timeout().unwrap();
        send(&mut table, now, 3);
        table.handle_timeout(now);
        let early = now.0 - NOW.0 < CONTEXT_IDLE.as_nanos() as u64;
        assert!(!early || table.warm() as u64 == PAIRS - 1, "a context went early");
    }
    assert_eq!(table.warm(), 1);
    send(&mut table, now, 9);
    assert_eq!((table.warm(), table.counters(SaPairId(9)).unwrap().last_sequence_out), (2, 2));
    table.remove_group(GroupId(1));
    assert_eq!(table.warm(), 0);
}

proptest! {
    /// Cutting a range into prefixes must change nothing about who is inside.
    #[test]
    fn a_range_carries_exactly_its_addresses(a in any::<u32>(), b in any::<u32>(), near in -2i64..3, other in any::<u32>()) {
        let (first, last) = (a.min(b), a.max(b));
        let range = Selector::new(Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into(), 0, PortRange::ANY).unwrap();
        let mut table = EspTable::new();
        add(&mut table, 1, 1, &[range]).unwrap();
        for edge in [first, last, other] {
            let probe = (i64::from(edge) + near).clamp(0, u32::MAX.into()) as u32;
            let inside = (first..=last).contains(&probe);
            prop_assert_eq!(carrier(&table, &Ipv4Addr::from(probe).to_string()).is_some(), inside);
        }
        table.remove(SaPairId(1)).unwrap();
        prop_assert_eq!(carrier(&table, &Ipv4Addr::from(first).to_string()), None);
    }

    #[test]
    fn a_range_of_ipv6_carries_exactly_its_addresses(a in any::<u128>(), b in any::<u128>(), near in -2i128..3) {
        let (first, last) = (a.min(b), a.max(b));
        let range = Selector::new(Ipv6Addr::from(first).into(), Ipv6Addr::from(last).into(), 0, PortRange::ANY).unwrap();
        let mut table = EspTable::new();
        add(&mut table, 1, 1, &[range]).unwrap();
        for edge in [first, last] {
            let probe = edge.saturating_add_signed(near);
            let inside = (first..=last).contains(&probe);
            prop_assert_eq!(carrier(&table, &Ipv6Addr::from(probe).to_string()).is_some(), inside);
        }
    }

    #[test]
    fn a_prefix_spans_what_its_length_says(address in any::<u32>(), len in 0..=32u8, other in any::<u32>()) {
        let selector = Selector::prefix(Ipv4Addr::from(address).into(), len).unwrap();
        let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        prop_assert_eq!(selector.first(), IpAddr::from(Ipv4Addr::from(address & mask)));
        prop_assert_eq!(selector.last(), IpAddr::from(Ipv4Addr::from(address | !mask)));
        let mut table = EspTable::new();
        add(&mut table, 1, 1, &[selector]).unwrap();
        let inside = other & mask == address & mask;
        prop_assert_eq!(carrier(&table, &Ipv4Addr::from(other).to_string()).is_some(), inside);
    }
}

#[test]
fn everything_is_one_prefix_of_either_family() {
    let mut table = EspTable::new();
    add(&mut table, 1, 1, &[Selector::any_v4(), Selector::any_v6()]).unwrap();
    for address in ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
        assert_eq!(carrier(&table, address), Some(1));
    }
    assert!(Selector::prefix(ip("1.2.3.4"), 33).is_none());
    assert!(Selector::prefix(ip("::"), 129).is_none());
    assert!(Selector::new(ip("1.2.3.4"), ip("::1"), 0, PortRange::ANY).is_none());
    assert!(Selector::new(ip("1.2.3.4"), ip("1.2.3.3"), 0, PortRange::ANY).is_none());
    assert!(PortRange::new(2, 1).is_none());
}
