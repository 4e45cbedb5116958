//! A pair that was written down goes on where it was: no number twice, no IV twice, no packet twice.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::*;
use mobike_esp::{EspTable, InstallError, OpenError, ParkedPair, Since};

fn packet() -> Vec<u8> {
    ipv4("10.9.0.1", "10.0.0.5", 17, &udp(1, 2, b"payload"))
}

fn iv(datagram: &[u8]) -> Vec<u8> {
    datagram[8..16].to_vec()
}

fn sequence(datagram: &[u8]) -> u32 {
    u32::from_be_bytes(datagram[4..8].try_into().unwrap())
}

fn begin_again(parked: &ParkedPair, since: Since, chance: u16) -> EspTable {
    let mut table = EspTable::new();
    table.resume(parked, since, chance).unwrap();
    table
}

// req: M3.2-3
#[test]
fn traffic_goes_on_both_ways_and_what_came_before_is_refused_as_a_replay() {
    let mut tunnel = tunnel(SUITES[0], 128);
    let early: Vec<Vec<u8>> = (0..5).map(|_| tunnel.up(&packet())).collect();
    early.iter().for_each(|datagram| drop(tunnel.arrive(datagram).unwrap()));
    let (client, gateway) = (tunnel.client.park(ID).unwrap(), tunnel.gateway.park(ID).unwrap());
    tunnel.client = begin_again(&client, Since::Nothing, 1);
    tunnel.gateway = begin_again(&gateway, Since::Nothing, 2);
    for datagram in &early {
        assert_eq!(tunnel.arrive(datagram), Err(OpenError::Replay));
    }
    let next = tunnel.up(&packet());
    assert_eq!(sequence(&next), 6, "no number is left out, none comes again");
    assert_eq!(tunnel.arrive(&next), Ok(packet()));
    assert_eq!(tunnel.gateway.counters(ID).unwrap().top_in, 6);
}

// req: M3.2-3
#[test]
fn one_that_was_late_is_still_taken_once_after_a_restart_in_order() {
    let mut tunnel = tunnel(SUITES[2], 64);
    let (late, last) = (tunnel.up(&packet()), tunnel.up(&packet()));
    tunnel.arrive(&last).unwrap();
    let parked = tunnel.gateway.park(ID).unwrap();
    tunnel.gateway = begin_again(&parked, Since::Nothing, 0);
    assert_eq!(tunnel.arrive(&late), Ok(packet()));
    assert_eq!(tunnel.arrive(&late), Err(OpenError::Replay));
}

// req: M3.2-3
#[test]
fn after_a_crash_numbers_jump_beyond_all_that_may_have_been_sent() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let parked = tunnel.client.park(ID).unwrap();
    let lost: Vec<Vec<u8>> = (0..1000).map(|_| tunnel.up(&packet())).collect();
    lost.iter().for_each(|datagram| drop(tunnel.arrive(datagram).unwrap()));
    tunnel.client = begin_again(&parked, Since::Unknown, 0);
    let next = tunnel.up(&packet());
    assert!(sequence(&next) > sequence(lost.last().unwrap()));
    assert_eq!(tunnel.arrive(&next), Ok(packet()), "the peer takes it");
    assert!(lost.iter().all(|datagram| iv(datagram) != iv(&next)));
}

// req: M3.2-3
#[test]
fn after_a_crash_nothing_up_to_what_was_written_down_is_taken() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let (late, last) = (tunnel.up(&packet()), tunnel.up(&packet()));
    tunnel.arrive(&last).unwrap();
    let parked = tunnel.gateway.park(ID).unwrap();
    // It comes, and then the gateway dies.
    tunnel.arrive(&late).unwrap();
    tunnel.gateway = begin_again(&parked, Since::Unknown, 0);
    assert_eq!(tunnel.arrive(&late), Err(OpenError::Replay));
    assert_eq!(tunnel.arrive(&last), Err(OpenError::Replay));
    let next = tunnel.up(&packet());
    assert_eq!(tunnel.arrive(&next), Ok(packet()));
}

// req: M3.2-3
#[test]
fn no_iv_comes_twice_in_any_life_even_where_numbers_do() {
    let mut tunnel = tunnel(SUITES[0], 64);
    let mut ivs = BTreeSet::new();
    for life in 0..100 {
        for _ in 0..10 {
            assert!(ivs.insert(iv(&tunnel.up(&packet()))), "life {life}");
        }
        let parked = tunnel.client.park(ID).unwrap();
        // Against all rules once more from the same values: the numbers repeat, chance keeps the IVs apart.
        let mut twin = begin_again(&parked, Since::Nothing, 7);
        let mut out = [0; 256];
        let sealed = twin.seal(NOW, ID, &packet(), &mut out).unwrap();
        assert!(ivs.insert(iv(&out[..sealed.len])));
        tunnel.client = begin_again(&parked, Since::Nothing, 8);
    }
}

// req: M3.2-3
#[test]
fn a_pair_that_cannot_jump_any_further_is_not_resumed() {
    let mut tunnel = tunnel(SUITES[0], 64);
    tunnel.up(&packet());
    let mut parked = tunnel.client.park(ID).unwrap();
    parked.sequence_out = u64::from(u32::MAX) - 5;
    let mut table = EspTable::new();
    assert_eq!(table.resume(&parked, Since::Unknown, 0), Err(InstallError::Exhausted));
    assert!(table.is_empty());
    table.resume(&parked, Since::Nothing, 0).unwrap();
    assert!(table.poll_event().is_some(), "a rekey is overdue");
    assert_eq!(table.resume(&parked, Since::Nothing, 0), Err(InstallError::IdInUse));
}
