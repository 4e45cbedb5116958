//! The stage itself: it must notice what it is there to notice.

use crate::stage;

use core::net::SocketAddr;
use core::time::Duration;

use mobike_ike::wire::{Flags, Header};
use stage::host::HostId;
use stage::net::Net;
use stage::{
    CLIENT, ExchangeType, Fate, GATEWAY, LTE, Nanos, Nat, Outcome, Pair, Path, Told, WAN, WIFI, Which, ip, ms, secs,
};

fn told(from: HostId, id: u32, path: Path) -> Told {
    let flags = Flags { initiator: true, ..Flags::default() };
    let header = Header::new(1, 2, ExchangeType::INFORMATIONAL, flags, id);
    Told {
        at: Nanos(0),
        from,
        name: "client".into(),
        path,
        over: "wifi:4500 -> wan:4500".into(),
        bytes: header.to_bytes().to_vec(),
        copies_before: 0,
        keepalive: false,
        contents: None,
        outcome: Outcome::InTheAir,
    }
}

#[test]
fn a_plan_takes_the_messages_it_names_and_no_others() {
    let path = Pair::path(WIFI, WAN);
    let mut net = Net::default();
    net.lose(Which::of(CLIENT).request(ExchangeType::INFORMATIONAL).id(3).after(1).times(2));
    let fates: Vec<bool> = [2, 3, 3, 3, 3].iter().map(|id| net.carry(&told(CLIENT, *id, path)).is_ok()).collect();
    assert_eq!(fates, [true, true, false, false, true]);
    net.lose(Which::of(CLIENT).answer(ExchangeType::INFORMATIONAL));
    net.lose(Which::of(GATEWAY).request(ExchangeType::INFORMATIONAL));
    net.lose(Which::of(CLIENT).leaving(LTE));
    assert!(net.carry(&told(CLIENT, 2, path)).is_ok());
}

#[test]
fn a_message_may_come_twice_late_changed_or_from_elsewhere() {
    let path = Pair::path(WIFI, WAN);
    let mut net = Net::default();
    let elsewhere: SocketAddr = "192.0.2.66:4500".parse().unwrap();
    net.plan(Which::of(CLIENT), Fate::Twice(ms(5)));
    net.plan(Which::of(CLIENT), Fate::Late(ms(7)));
    net.plan(Which::of(CLIENT), Fate::Rewrite(Box::new(|bytes| bytes.clear())));
    net.plan(Which::of(CLIENT), Fate::From(elsewhere));
    let mut carry = || net.carry(&told(CLIENT, 2, path)).unwrap();
    assert_eq!(carry().iter().map(|copy| copy.due).collect::<Vec<_>>(), [Nanos(10_000_000), Nanos(15_000_000)]);
    assert_eq!(carry()[0].due, Nanos(17_000_000));
    assert!(carry()[0].bytes.is_empty());
    assert_eq!(carry()[0].source, elsewhere);
    assert_eq!(carry().len(), 1);
}

#[test]
fn a_nat_maps_ports_lets_answers_back_and_forgets() {
    let inside = SocketAddr::new(WIFI, 4500);
    let mut nat = Nat::new(ip("198.18.0.1"), &[WIFI]);
    let outside = nat.translate(Nanos(0), inside).unwrap();
    assert_eq!((outside.ip(), outside.port()), (ip("198.18.0.1"), 10_000));
    assert_eq!(nat.translate(Nanos(0), inside), Some(outside));
    assert_eq!(nat.inward(Nanos(0), outside), Some(inside));
    let later = Nanos(0) + Duration::from_secs(121);
    assert_eq!(nat.inward(later, outside), None);
    assert_ne!(nat.translate(later, inside), Some(outside));
    nat.flush();
    assert_eq!(nat.translate(later, inside).unwrap().port(), 11_002);
    assert_eq!(nat.translate(later, SocketAddr::new(LTE, 4500)), None);
}

#[test]
fn an_arrow_says_who_what_where_and_what_became_of_it() {
    let mut told = told(CLIENT, 2, Pair::path(WIFI, WAN));
    told.copies_before = 1;
    told.outcome = Outcome::Lost("story");
    let line = told.to_string();
    assert_eq!(
        line,
        "    0.000s    client -->  INFORMATIONAL request 2    wifi:4500 -> wan:4500  [copy 2]  [lost: story]"
    );
}

#[test]
fn time_passes_even_when_nothing_happens() {
    let mut pair = Pair::new(1);
    let begun = pair.now;
    pair.run_for(secs(3));
    assert_eq!(pair.now.since(begun), secs(3));
    assert!(!pair.run_until(secs(1), |_| false));
}
