//! Datagrams that are read together: each finds what those before it have brought about.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use mobike_ike::profile::{Profile, PskSecret};
use mobike_ike::{Command, Identity, IdentityPattern, NattPorts, ProfileId, Selector, Token};

use super::*;
use crate::inner::InnerPort;
use crate::solo::Solo;

const NATT: u16 = 4500;
const NOW: Nanos = Nanos(1_000_000_000);

fn profile(name: &str, peer: &str, sides: [&str; 2]) -> Arc<Profile> {
    let fqdn = |name: &str| Identity::Fqdn(Arc::from(name));
    let [local, remote] = sides.map(|ip| vec![Selector::host(ip.parse().unwrap())]);
    let peer = IdentityPattern::Exact(fqdn(peer));
    let secret = PskSecret::from_slice(b"a secret of this test");
    Arc::new(Profile {
        local_ts: local,
        remote_ts: remote,
        accepts: true,
        ..Profile::bare("one", fqdn(name), peer, secret)
    })
}

/// What leaves this end, with the marker where one belongs.
fn said(inside: &mut Inside) -> Vec<(Path, Vec<u8>)> {
    inside.join.settle(NOW);
    let mut said = Vec::new();
    while let Some(transmit) = inside.join.poll_transmit() {
        let marker: &[u8] = if transmit.path.local.port() == NATT { &[0; 4] } else { &[] };
        said.push((transmit.path, [marker, &transmit.bytes].concat()));
    }
    said
}

/// A client in a shard as it runs, and the gateway that it connects to; their first messages wait.
fn both(config: &CoreConfig) -> (Inside, Solo) {
    let port = Arc::new(InnerPort::new().unwrap());
    let engine = Engine::new(config.settings(0), [1; 32]);
    let mut home = Inside { join: Join::new(engine, config), inner: Inner::Port(port) };
    let mut office = Solo::new(config, [2; 32]);
    let (ours, theirs) = ("10.1.0.1", "10.2.0.1");
    let id = ProfileId(0);
    home.join.command(NOW, Command::SetProfile { id, profile: profile("home", "office", [ours, theirs]) });
    let orders = Command::SetProfile { id, profile: profile("office", "home", [theirs, ours]) };
    office.submit(NOW, [Order::Engine(orders)]);
    let paths = vec![Path::udp("192.0.2.1:500".parse().unwrap(), "192.0.2.2:500".parse().unwrap())];
    let natt = NattPorts { local: NATT, remote: NATT };
    home.join.command(NOW, Command::Connect { token: Token(1), profile: id, paths, natt, redirected_from: None });
    (home, office)
}

/// From the office to home.
const PACKET: [u8; 28] = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 200, 0, 0, 10, 2, 0, 1, 10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

fn dropped(home: &Inside) -> u64 {
    home.join.plane.esp.as_ref().unwrap().totals().named().map(|(_, count)| count).sum()
}

/// Both go on until the office has sent on the Child SA; what it says in one go arrives in this order.
fn meet(home: &mut Inside, office: &mut Solo, order: impl Fn(&mut Vec<(Path, Vec<u8>)>)) -> IoCounters {
    let mut counters = IoCounters::default();
    for _ in 0..10 {
        for (path, mut bytes) in said(home) {
            office.handle_datagram(NOW, path.reversed(), &mut bytes);
        }
        // Where it can, it sends at once.
        office.inner_send(NOW, &PACKET);
        let mut came = office.take_transmits().into_iter().map(|out| (out.path.reversed(), out.bytes)).collect();
        order(&mut came);
        for (path, mut bytes) in came {
            let (kind, bytes) = classify(&mut bytes, path.local.port() == NATT);
            home.take(NOW, path, kind, bytes, false, &mut counters);
        }
        if counters.inner_in > 0 {
            break;
        }
    }
    counters
}

#[test]
fn esp_right_behind_the_answer_that_makes_its_child_sa_is_not_lost() {
    // The peer may send on a Child SA as soon as it has answered (RFC 7296 section 2.8).
    let (mut home, mut office) = both(&CoreConfig::default());
    let counters = meet(&mut home, &mut office, |_| {});
    assert_eq!((counters.inner_in, dropped(&home)), (1, 0));
}

#[test]
fn esp_that_overtakes_the_answer_waits_for_it() {
    let (mut home, mut office) = both(&CoreConfig::default());
    let counters = meet(&mut home, &mut office, |came| came.reverse());
    assert_eq!((counters.inner_in, dropped(&home)), (1, 0));
}

#[test]
fn esp_that_no_answer_follows_is_dropped_in_the_end_and_counted() {
    let is_esp = |(path, bytes): &(Path, Vec<u8>)| path.local.port() == NATT && bytes[..4] != [0; 4];
    let (mut home, mut office) = both(&CoreConfig::default());
    let counters = meet(&mut home, &mut office, |came| {
        if came.iter().any(is_esp) {
            came.retain(is_esp);
        }
    });
    assert_eq!((counters.inner_in, dropped(&home)), (0, 0));
    home.join.handle_timeout(NOW + std::time::Duration::from_secs(1));
    let unknown = home.join.plane.esp.as_ref().unwrap().totals().unknown_spi;
    assert!(unknown > 0 && unknown == dropped(&home));
}
