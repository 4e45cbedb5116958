//! What a pair may carry: told at the soft limit, ended at the hard one, kept over a restart.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{ID, NOW, home, reversed};
use mobike_esp::{EspEvent, EspTable, Limits, OpenError, SealError, Since, Suite, Volume};

const WORN: EspEvent = EspEvent::Worn { id: ID };
const SPENT: EspEvent = EspEvent::Spent { id: ID };

fn packets(soft: u64, hard: u64) -> Limits {
    Limits { soft: Volume { packets: soft, bytes: 0 }, hard: Volume { packets: hard, bytes: 0 } }
}

fn bytes(soft: u64, hard: u64) -> Limits {
    Limits { soft: Volume { bytes: soft, packets: 0 }, hard: Volume { bytes: hard, packets: 0 } }
}

/// Client and gateway; `client` and `gateway` say what their ends of the pair may carry.
fn limited(client: Limits, gateway: Limits) -> common::Tunnel {
    let mut tunnel = common::tunnel(Suite::AES_128_GCM_16, 64);
    for (table, limits) in [(&mut tunnel.client, client), (&mut tunnel.gateway, gateway)] {
        let mut parked = table.park(ID).unwrap();
        parked.limits = limits;
        *table = EspTable::new();
        table.resume(&parked, Since::Nothing, 1).unwrap();
    }
    tunnel
}

/// From 10.9.0.1, this long.
fn inner(len: u16) -> Vec<u8> {
    let mut packet = vec![0; usize::from(len)];
    packet[..20].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 1, 198, 51, 100, 9]);
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet
}

fn try_seal(table: &mut EspTable, len: u16) -> Result<Vec<u8>, SealError> {
    let mut out = vec![0; 2_000];
    let sealed = table.seal(NOW, ID, &inner(len), &mut out)?;
    out.truncate(sealed.len);
    Ok(out)
}

fn events(table: &mut EspTable) -> Vec<EspEvent> {
    core::iter::from_fn(|| table.poll_event()).collect()
}

#[test]
fn a_sender_is_told_at_the_soft_limit_and_stopped_at_the_hard_one() {
    for limits in [packets(3, 5), bytes(300, 500)] {
        let mut tunnel = limited(limits, Limits::default());
        let told: Vec<Vec<EspEvent>> = (0..5)
            .map(|_| {
                try_seal(&mut tunnel.client, 100).unwrap();
                events(&mut tunnel.client)
            })
            .collect();
        assert_eq!(told, [vec![], vec![], vec![WORN], vec![], vec![SPENT]], "{limits:?}");
        let before = tunnel.client.counters(ID).unwrap();
        assert_eq!(try_seal(&mut tunnel.client, 100), Err(SealError::Spent));
        assert_eq!(tunnel.client.counters(ID).unwrap(), before, "no sequence number is spent");
        assert_eq!(tunnel.client.totals().spent, 1);
        assert_eq!(events(&mut tunnel.client), [], "nothing is told twice");
    }
}

#[test]
fn a_receiver_is_told_and_stopped_by_what_comes_in() {
    let mut tunnel = limited(Limits::default(), packets(2, 3));
    let sealed: Vec<Vec<u8>> = (0..4).map(|_| try_seal(&mut tunnel.client, 64).unwrap()).collect();
    let from = reversed(home());
    let mut open = |datagram: &[u8]| {
        let opened = tunnel.gateway.open(NOW, &from, &mut datagram.to_vec()).map(|_| ());
        (opened, events(&mut tunnel.gateway))
    };
    assert_eq!(open(&sealed[0]), (Ok(()), vec![]));
    assert_eq!(open(&sealed[0]), (Err(OpenError::Replay), vec![]), "what is dropped does not count");
    assert_eq!(open(&sealed[1]), (Ok(()), vec![WORN]));
    assert_eq!(open(&sealed[2]), (Ok(()), vec![SPENT]));
    assert_eq!(open(&sealed[3]), (Err(OpenError::Spent), vec![]));
    assert_eq!(tunnel.gateway.totals().spent, 1);
}

#[test]
fn each_direction_counts_for_itself() {
    let mut tunnel = limited(packets(3, 4), Limits::default());
    let back = {
        let mut packet = inner(64);
        let (source, destination): (Vec<u8>, Vec<u8>) = (packet[12..16].to_vec(), packet[16..20].to_vec());
        packet[12..16].copy_from_slice(&destination);
        packet[16..20].copy_from_slice(&source);
        packet
    };
    for _ in 0..2 {
        try_seal(&mut tunnel.client, 64).unwrap();
        let mut out = vec![0; 200];
        let sealed = tunnel.gateway.seal(NOW, ID, &back, &mut out).unwrap();
        tunnel.client.open(NOW, &home(), &mut out[..sealed.len]).unwrap();
    }
    assert_eq!(events(&mut tunnel.client), [], "two each way are not four");
}

#[test]
fn both_limits_at_once_end_it() {
    let mut tunnel = limited(bytes(100, 200), Limits::default());
    try_seal(&mut tunnel.client, 400).unwrap();
    assert_eq!(events(&mut tunnel.client), [SPENT]);
}

#[test]
fn what_was_carried_counts_on_after_a_restart() {
    let mut tunnel = limited(packets(3, 5), Limits::default());
    for _ in 0..2 {
        try_seal(&mut tunnel.client, 100).unwrap();
    }
    let restart = |table: &EspTable| {
        let parked = table.park(ID).unwrap();
        let mut next = EspTable::new();
        next.resume(&parked, Since::Nothing, 2).unwrap();
        next
    };
    let mut next = restart(&tunnel.client);
    try_seal(&mut next, 100).unwrap();
    assert_eq!(events(&mut next), [WORN]);
    // Told again, for whoever was told is gone.
    let mut last = restart(&next);
    assert_eq!(events(&mut last), [WORN]);
    assert_eq!(last.counters(ID).unwrap().bytes_out, 300);
}
