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

#[test]
fn esp_right_behind_the_answer_that_makes_its_child_sa_is_not_lost() {
    // The peer may send on a Child SA as soon as it has answered (RFC 7296 section 2.8).
    let config = CoreConfig::default();
    let port = Arc::new(InnerPort::new().unwrap());
    let engine = Engine::new(config.settings(0), [1; 32]);
    let mut home = Inside { join: Join::new(engine, &config), inner: Inner::Port(port) };
    let mut office = Solo::new(&config, [2; 32]);
    let (ours, theirs) = ("10.1.0.1", "10.2.0.1");
    let id = ProfileId(0);
    home.join.command(NOW, Command::SetProfile { id, profile: profile("home", "office", [ours, theirs]) });
    let orders = Command::SetProfile { id, profile: profile("office", "home", [theirs, ours]) };
    office.submit(NOW, [Order::Engine(orders)]);
    let paths = vec![Path::udp("192.0.2.1:500".parse().unwrap(), "192.0.2.2:500".parse().unwrap())];
    let natt = NattPorts { local: NATT, remote: NATT };
    home.join.command(NOW, Command::Connect { token: Token(1), profile: id, paths, natt, redirected_from: None });

    let packet = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 200, 0, 0, 10, 2, 0, 1, 10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut counters = IoCounters::default();
    for _ in 0..10 {
        for (path, mut bytes) in said(&mut home) {
            office.handle_datagram(NOW, path.reversed(), &mut bytes);
        }
        // Where it can, it sends at once.
        office.inner_send(NOW, &packet);
        for mut out in office.take_transmits() {
            let path = out.path.reversed();
            let (kind, bytes) = classify(&mut out.bytes, path.local.port() == NATT);
            home.take(NOW, path, kind, bytes, false, &mut counters);
        }
        if counters.inner_in > 0 {
            break;
        }
        let came = home.join.plane.esp.as_ref().unwrap().totals();
        assert_eq!(came.named().map(|(_, count)| count).sum::<u64>(), 0, "nothing was dropped");
    }
    assert_eq!(counters.inner_in, 1);
}
