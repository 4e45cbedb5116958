//! What the data plane sees of a Child SA that is used up, or nearly, and what the engine makes of it. Two shards, and the
//! octets of one handed to the other.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::Ipv4Addr;
use std::sync::Arc;

use mobike_esp::Since;
use mobike_esp::limits::{LAST_SEQUENCE, LATE_SEQUENCE};
use mobike_ike::event::DownReason;
use mobike_ike::profile::{Profile, PskSecret};
use mobike_ike::{Command, Identity, IdentityPattern, Limits, NattPorts, ProfileId, Selector, Token, Volume};

use super::*;

const HOME: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);

/// Home, which connected, and office.
struct Tunnel {
    now: Nanos,
    ends: [Solo; 2],
    /// What each has told.
    told: [Vec<Event>; 2],
}

fn profile(name: &str, peer: &str, [local, remote]: [Ipv4Addr; 2], limits: Limits) -> Profile {
    let fqdn = |name: &str| Identity::Fqdn(Arc::from(name));
    let peer = IdentityPattern::Exact(fqdn(peer));
    Profile {
        local_ts: vec![Selector::host(local.into())],
        remote_ts: vec![Selector::host(remote.into())],
        accepts: true,
        limits,
        ..Profile::bare("one", fqdn(name), peer, PskSecret::from_slice(b"a secret of this test"))
    }
}

impl Tunnel {
    fn new(at_home: Limits, in_office: Limits) -> Tunnel {
        let profiles =
            [profile("home", "office", [HOME, OFFICE], at_home), profile("office", "home", [OFFICE, HOME], in_office)];
        let ends = [1, 2].map(|seed| Solo::new(&CoreConfig::default(), [seed; 32]));
        let mut tunnel = Tunnel { now: Nanos(1_000_000_000), ends, told: [Vec::new(), Vec::new()] };
        for (end, profile) in profiles.into_iter().enumerate() {
            tunnel.order(end, Command::SetProfile { id: ProfileId(0), profile: Arc::new(profile) });
        }
        let path = Path::udp("192.0.2.1:500".parse().unwrap(), "192.0.2.2:500".parse().unwrap());
        let natt = NattPorts { local: 4500, remote: 4500 };
        tunnel.order(
            0,
            Command::Connect { token: Token(1), profile: ProfileId(0), paths: vec![path], natt, redirected_from: None },
        );
        assert_eq!(tunnel.children(0).len(), 1);
        tunnel
    }

    fn order(&mut self, end: usize, command: Command) {
        let now = self.now;
        self.ends[end].submit(now, [Order::Engine(command)]);
        self.settle();
    }

    /// What each has to say is heard at once.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for from in [0, 1] {
                for out in self.ends[from].take_transmits() {
                    quiet = false;
                    let mut bytes = out.bytes;
                    self.ends[1 - from].handle_datagram(self.now, out.path.reversed(), &mut bytes);
                }
                self.told[from].extend(self.ends[from].take_events(100));
            }
            if quiet {
                return;
            }
        }
    }

    /// A packet home --> office, and how many arrived.
    fn send(&mut self) -> usize {
        let mut packet = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 200, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        packet[12..16].copy_from_slice(&HOME.octets());
        self.ends[0].inner_send(self.now, &packet);
        self.settle();
        self.ends[1].inner_take(100).len()
    }

    /// The pairs that an end has now.
    fn children(&self, end: usize) -> Vec<ChildId> {
        let mut children = Vec::new();
        for event in &self.told[end] {
            match event {
                Event::ChildUp(up) => children.push(up.child),
                Event::ChildDown { child, .. } => children.retain(|other| other != child),
                _ => {}
            }
        }
        children
    }

    fn downs(&self, end: usize) -> Vec<DownReason> {
        let down = |event: &Event| match event {
            Event::ChildDown { why, .. } => Some(why.clone()),
            _ => None,
        };
        self.told[end].iter().filter_map(down).collect()
    }

    fn notices(&self, end: usize) -> Vec<&str> {
        fn text(event: &Event) -> Option<&str> {
            match event {
                Event::Notice { kind: "child_worn", text } => text.split(": ").nth(1),
                Event::Ike(mobike_ike::Event::Notice { .. }) => panic!("{event:?}"),
                _ => None,
            }
        }
        self.told[end].iter().filter_map(text).collect()
    }

    /// Home has sent so many packets already.
    fn go_on_from(&mut self, sequence: u64) {
        let pair = SaPairId(self.children(0)[0].0);
        let esp = self.ends[0].join.plane.esp.as_mut().unwrap();
        let mut parked = esp.park(pair).unwrap();
        parked.sequence_out = sequence;
        esp.remove(pair).unwrap();
        esp.resume(&parked, Since::Nothing, 7).unwrap();
    }
}

fn packets(soft: u64, hard: u64) -> Limits {
    let volume = |packets| Volume { bytes: 0, packets };
    Limits { soft: volume(soft), hard: volume(hard), ..Limits::default() }
}

#[test]
fn a_child_sa_is_replaced_before_its_sequence_numbers_run_out() {
    let mut tunnel = Tunnel::new(Limits::default(), Limits::default());
    tunnel.go_on_from(LATE_SEQUENCE - 2);
    assert_eq!(tunnel.send(), 1);
    assert_eq!((tunnel.notices(0), tunnel.downs(0)), (vec![], vec![]));
    // { N(REKEY_SA), .. } -->, in the turn in which the packet leaves
    assert_eq!(tunnel.send(), 1);
    assert_eq!(
        tunnel.notices(0),
        [format!("{} sequence numbers are left, so it is replaced", LAST_SEQUENCE - LATE_SEQUENCE)]
    );
    assert_eq!((tunnel.downs(0), tunnel.downs(1)), (vec![DownReason::Rekeyed], vec![DownReason::PeerDeleted]));
    let new = tunnel.children(0);
    assert_eq!(new.len(), 1);
    assert_eq!(tunnel.send(), 1);
    assert_eq!(tunnel.ends[0].child_counters(new[0]).unwrap().last_sequence_out, 1);
}

#[test]
fn a_child_sa_without_sequence_numbers_ends_and_another_takes_its_place() {
    let mut tunnel = Tunnel::new(Limits::default(), Limits::default());
    // So far ahead that the warning was lost with another life.
    tunnel.go_on_from(LAST_SEQUENCE - 1);
    assert_eq!(tunnel.send(), 1);
    assert_eq!(tunnel.notices(0).len(), 2);
    assert_eq!(tunnel.send(), 1, "nothing is lost");
    assert_eq!((tunnel.children(0).len(), tunnel.children(1).len()), (1, 1));
}

#[test]
fn a_child_sa_that_carried_much_is_replaced_and_no_packet_is_lost() {
    for (at_home, in_office) in [(packets(20, 40), Limits::default()), (Limits::default(), packets(20, 40))] {
        let mut tunnel = Tunnel::new(at_home, in_office);
        let arrived: usize = (0..100).map(|_| tunnel.send()).sum();
        assert_eq!(arrived, 100);
        let limited = usize::from(at_home == Limits::default());
        let downs = tunnel.downs(limited);
        assert!((5..=6).contains(&downs.len()) && downs.iter().all(|why| *why == DownReason::Rekeyed), "{downs:?}");
        assert_eq!((tunnel.notices(0), tunnel.notices(1)), (vec![], vec![]), "it is nothing out of the ordinary");
    }
}

#[test]
fn a_child_sa_with_a_hard_limit_alone_ends_there_and_another_takes_its_place() {
    let mut tunnel = Tunnel::new(packets(0, 10), Limits::default());
    let arrived: usize = (0..25).map(|_| tunnel.send()).sum();
    assert_eq!(arrived, 25);
    assert_eq!(tunnel.downs(0), [DownReason::LifetimeOver, DownReason::LifetimeOver]);
    assert_eq!(tunnel.notices(0), ["it has carried all that it may, so it ends"; 2]);
}
