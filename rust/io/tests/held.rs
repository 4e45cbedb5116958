//! A data plane outside of the core: nothing of a Child SA is said to the peer before that plane carries it.
//!
//! Two shards without sockets. Office has the plane in question, home carries ESP by itself.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use mobike_ike::crypto::SecretBytes;
use mobike_ike::event::DownReason;
use mobike_ike::profile::{Profile, PskSecret};
use mobike_ike::{
    ChildId, Command, Identity, IdentityPattern, Nanos, NattPorts, Path, ProfileId, SaId, Selector, Sends, Token,
};
use mobike_io::{Carries, CoreConfig, Event, InstallChild, Order, Outgoing, PlaneConfig, Solo, Word};

const HOME: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
const MS: Duration = Duration::from_millis(1);

/// Answers to IKE_SA_INIT and IKE_INTERMEDIATE: that to IKE_AUTH is the first that may have to wait.
const SET_UP: usize = 2;

struct World {
    now: Nanos,
    home: Solo,
    office: Solo,
    told_home: Vec<Event>,
    told: Vec<Event>,
    /// What office was ordered to carry, in order.
    orders: Vec<InstallChild>,
    removed: Vec<ChildId>,
    /// It does not say that it has removed anything.
    mute: bool,
    /// Datagrams of office, IKE alone.
    said: Vec<Outgoing>,
}

fn profile(name: &str, peer: &str, [local, remote]: [Ipv4Addr; 2]) -> Profile {
    let fqdn = |name: &str| Identity::Fqdn(Arc::from(name));
    Profile {
        local_ts: vec![Selector::host(local.into())],
        remote_ts: vec![Selector::host(remote.into())],
        accepts: true,
        ..Profile::bare(
            "one",
            fqdn(name),
            IdentityPattern::Exact(fqdn(peer)),
            PskSecret::from_slice(b"a secret of tests"),
        )
    }
}

fn config(plane: PlaneConfig) -> CoreConfig {
    let store_key = Some(SecretBytes::from_slice(&[7; 32]));
    CoreConfig { plane, always_encap: plane != PlaneConfig::Kernel, store_key, ..CoreConfig::default() }
}

fn office_of(plane: PlaneConfig, seed: u8) -> Solo {
    let mut office = Solo::new(&config(plane), [seed; 32]);
    let profile = Arc::new(profile("office", "home", [OFFICE, HOME]));
    office.submit(Nanos(1), [Order::Engine(Command::SetProfile { id: ProfileId(0), profile })]);
    office
}

impl World {
    fn new(plane: PlaneConfig) -> World {
        let mut home = Solo::new(&config(PlaneConfig::Userspace), [1; 32]);
        let profile = Arc::new(profile("home", "office", [HOME, OFFICE]));
        home.submit(Nanos(1), [Order::Engine(Command::SetProfile { id: ProfileId(0), profile })]);
        World {
            now: Nanos(1_000_000_000),
            home,
            office: office_of(plane, 2),
            told_home: Vec::new(),
            told: Vec::new(),
            orders: Vec::new(),
            removed: Vec::new(),
            mute: false,
            said: Vec::new(),
        }
    }

    /// Home connects.
    fn connect(&mut self) {
        let path = Path::udp("192.0.2.1:500".parse().unwrap(), "192.0.2.2:500".parse().unwrap());
        let natt = NattPorts { local: 4500, remote: 4500 };
        let connect =
            Command::Connect { token: Token(1), profile: ProfileId(0), paths: vec![path], natt, redirected_from: None };
        self.home.submit(self.now, [Order::Engine(connect)]);
        self.settle();
    }

    /// What each has to say is heard at once.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for out in self.home.take_transmits() {
                quiet = false;
                let mut bytes = out.bytes;
                self.office.handle_datagram(self.now, out.path.reversed(), &mut bytes);
            }
            for out in self.office.take_transmits() {
                quiet = false;
                let mut bytes = out.bytes.clone();
                if out.carries == Carries::Ike {
                    self.said.push(out.clone());
                }
                self.home.handle_datagram(self.now, out.path.reversed(), &mut bytes);
            }
            self.told_home.extend(self.home.take_events(1000));
            for event in self.office.take_events(1000) {
                match event {
                    Event::InstallChild(order) => self.orders.push(*order),
                    Event::RemoveChild { child, .. } => {
                        self.removed.push(child);
                        if !self.mute {
                            quiet = false;
                            self.office.submit(self.now, [Order::Word(Word::Removed(child))]);
                        }
                    }
                    other => self.told.push(other),
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn say(&mut self, word: Word) {
        self.office.submit(self.now, [Order::Word(word)]);
        self.settle();
    }

    /// The plane does as it is told from now on, until nothing changes.
    fn obey(&mut self) {
        let mut done = 0;
        while done < self.orders.len() {
            let child = self.orders[done].up.child;
            done += 1;
            self.say(Word::Installed(child));
        }
    }

    fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let next = self.home.poll_timeout().into_iter().chain(self.office.poll_timeout()).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.home.handle_timeout(self.now);
            self.office.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
    }

    /// Another Child SA is asked for, after a while.
    fn wait_for_orders(&mut self, count: usize) {
        for _ in 0..200 {
            if self.orders.len() == count {
                return;
            }
            self.wait(100 * MS);
        }
        panic!("{} orders after 20 s", self.orders.len());
    }

    fn sa(&self) -> SaId {
        self.orders[0].up.sa
    }

    fn children(told: &[Event]) -> Vec<ChildId> {
        let mut children = Vec::new();
        for event in told {
            match event {
                Event::ChildUp(up) => children.push(up.child),
                Event::ChildDown { child, .. } => children.retain(|other| other != child),
                _ => {}
            }
        }
        children
    }

    fn is_up_at_home(&self) -> bool {
        !Self::children(&self.told_home).is_empty()
    }

    fn refusals(&self) -> Vec<&str> {
        fn text(event: &Event) -> Option<&str> {
            match event {
                Event::PlaneRefused { why, .. } => Some(why),
                _ => None,
            }
        }
        self.told.iter().filter_map(text).collect()
    }

    fn counter(&self, name: &str) -> u64 {
        self.office.counters().into_iter().find(|(known, _)| known == name).unwrap().1
    }

    /// A packet home --> office; whether it arrived.
    fn send(&mut self) -> bool {
        let mut packet = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 200, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        packet[12..16].copy_from_slice(&HOME.octets());
        packet[16..20].copy_from_slice(&OFFICE.octets());
        self.home.inner_send(self.now, &packet);
        self.settle();
        self.office.inner_take(10).len() == 1
    }
}

#[test]
fn the_answer_that_makes_a_child_sa_usable_leaves_when_the_plane_carries_it() {
    let mut world = World::new(PlaneConfig::Imitated);
    world.connect();
    assert_eq!((world.said.len(), world.orders.len()), (SET_UP, 1));
    assert!(!world.is_up_at_home() && World::children(&world.told).is_empty());
    // Home asks again and again; one answer is enough.
    world.wait(1500 * MS);
    assert_eq!(world.said.len(), SET_UP);
    let child = world.orders[0].up.child;
    world.say(Word::Installed(child));
    assert_eq!(World::children(&world.told), [child]);
    assert!(world.is_up_at_home());
    assert_eq!(world.counter("io_held"), 1);
    assert!(world.send());
}

#[test]
fn an_order_says_all_that_a_plane_must_know() {
    let mut world = World::new(PlaneConfig::Kernel);
    world.connect();
    let order = &world.orders[0];
    assert_eq!(order.up.local_ts, [Selector::host(OFFICE.into())]);
    assert_eq!(order.up.remote_ts, [Selector::host(HOME.into())]);
    assert_eq!((order.sends, order.up.encap), (Sends::AtOnce, false));
    assert_eq!(order.path.to_string(), "192.0.2.2:4500 -> 192.0.2.1:4500");
    let keys = order.keys.as_ref().unwrap();
    assert_eq!(keys.inbound.encr().len(), keys.outbound.encr().len());
    assert_ne!(keys.inbound, keys.outbound);
    assert!(!format!("{order:?}").contains(&format!("{:?}", keys.inbound.encr())));
    // Sequence numbers of 32 bits: it is replaced before they run out.
    assert!(!order.up.suite.esn());
    let (soft, hard) = (order.volumes.soft.packets, order.volumes.hard.packets);
    assert!(soft < hard && hard == u64::from(u32::MAX));
}

#[test]
fn a_child_sa_that_the_plane_refuses_ends_after_the_answer_and_another_is_asked_for_later() {
    let mut world = World::new(PlaneConfig::Imitated);
    world.connect();
    let child = world.orders[0].up.child;
    world.say(Word::Refused { child, why: "no such algorithm".to_owned() });
    // The answer to IKE_AUTH, { D }, and nothing else at once.
    assert_eq!(world.said.len(), SET_UP + 2);
    assert!(!world.is_up_at_home());
    assert_eq!(world.refusals(), [format!("Child SA {child} is not installed: no such algorithm")]);
    assert_eq!(world.removed, [child]);
    let of_child = |event: &&Event| matches!(event, Event::ChildUp(_) | Event::ChildDown { .. });
    assert_eq!(world.told.iter().filter(of_child).count(), 0, "nobody above has heard of it");
    assert_eq!(world.orders.len(), 1);
    world.wait_for_orders(2);
    world.obey();
    assert!(world.is_up_at_home() && world.send());
}

#[test]
fn a_plane_that_says_nothing_for_two_seconds_has_refused() {
    let mut world = World::new(PlaneConfig::Kernel);
    world.connect();
    world.wait(1999 * MS);
    assert_eq!((world.refusals().len(), world.said.len()), (0, SET_UP));
    world.wait(2 * MS);
    assert_eq!(world.refusals().len(), 1);
    assert_eq!(world.counter("io_plane_late"), 1);
    let child = world.orders[0].up.child;
    assert_eq!(world.removed, [child], "should it be installed after all");
    world.say(Word::Installed(child));
    assert_eq!(World::children(&world.told), [], "too late");
}

#[test]
fn no_packet_is_lost_when_a_rekey_waits_for_the_plane() {
    for by_office in [true, false] {
        let mut world = World::new(PlaneConfig::Imitated);
        world.connect();
        world.obey();
        let old = world.orders[0].up.child;
        if by_office {
            world.office.submit(world.now, [Order::Engine(Command::RekeyChild { child: old })]);
        } else {
            let child = World::children(&world.told_home)[0];
            world.home.submit(world.now, [Order::Engine(Command::RekeyChild { child })]);
        }
        world.settle();
        assert_eq!(world.orders.len(), 2);
        let new = world.orders[1].up.child;
        let instead_of = if by_office { Sends::AtOnce } else { Sends::WhenUsed { instead_of: old } };
        assert_eq!(world.orders[1].sends, instead_of);
        if !by_office {
            // Home has no answer, and sends on the old one.
            assert!(world.send());
        }
        // Who asked for it deletes the old one when the new one is carried, not before.
        assert_eq!(World::children(&world.told), [old]);
        world.say(Word::Installed(new));
        assert!(world.send());
        assert_eq!(World::children(&world.told), [new]);
        assert_eq!(world.removed, [old]);
    }
}

#[test]
fn the_answer_to_a_delete_leaves_when_the_plane_carries_the_child_sa_no_longer() {
    let mut world = World::new(PlaneConfig::Imitated);
    world.connect();
    world.obey();
    let (old, of_home) = (world.orders[0].up.child, World::children(&world.told_home)[0]);
    world.mute = true;
    world.home.submit(world.now, [Order::Engine(Command::RekeyChild { child: of_home })]);
    world.settle();
    world.say(Word::Installed(world.orders[1].up.child));
    // Home goes on receiving on the old one: office may still send there.
    assert_eq!((&world.removed[..], World::children(&world.told_home).len()), (&[old][..], 2));
    world.say(Word::Removed(old));
    assert_eq!(World::children(&world.told_home).len(), 1);
    // A plane that forgets to say so keeps nobody waiting for long.
    let (old, of_home) = (world.orders[1].up.child, World::children(&world.told_home)[0]);
    world.home.submit(world.now, [Order::Engine(Command::RekeyChild { child: of_home })]);
    world.settle();
    world.say(Word::Installed(world.orders[2].up.child));
    world.wait(1900 * MS);
    assert_eq!((world.removed[1], World::children(&world.told_home).len()), (old, 2));
    world.wait(200 * MS);
    assert_eq!((World::children(&world.told_home).len(), world.counter("io_plane_late")), (1, 1));
    assert!(world.send());
}

#[test]
fn a_child_sa_that_ends_while_it_waits_was_never_there() {
    let mut world = World::new(PlaneConfig::Kernel);
    world.connect();
    let sa = world.sa();
    let close = Command::Close { sa, why: "by order".into() };
    world.office.submit(world.now, [Order::Engine(close)]);
    world.settle();
    world.wait(Duration::from_secs(3));
    assert_eq!(world.removed.len(), 1);
    assert!(!world.told.iter().any(|event| matches!(event, Event::ChildUp(_) | Event::ChildDown { .. })));
    assert!(world.told.iter().any(|event| matches!(event, Event::Ike(mobike_ike::Event::IkeSaDown { .. }))));
    assert_eq!(world.refusals().len(), 0);
}

#[test]
fn a_plane_that_wears_out_or_loses_a_child_sa_gets_another() {
    for (word, why) in [
        (Word::Worn as fn(ChildId) -> Word, DownReason::Rekeyed),
        (Word::Spent as fn(ChildId) -> Word, DownReason::LifetimeOver),
    ] {
        let mut world = World::new(PlaneConfig::Imitated);
        world.connect();
        world.obey();
        let old = world.orders[0].up.child;
        world.say(word(old));
        world.obey();
        assert_eq!(world.orders.len(), 2);
        let down =
            |event: &Event| matches!(event, Event::ChildDown { child, why: told, .. } if *child == old && *told == why);
        assert!(world.told.iter().any(down), "{:?}", world.told);
        assert!(world.send());
    }
}

/// Office ends in order, and another process goes on.
fn handed_over(plane: PlaneConfig) -> World {
    let mut world = World::new(plane);
    world.connect();
    world.obey();
    let sa = world.sa();
    let records = world.office.records(&[(sa, Box::default())], true);
    let records: Vec<_> = records.into_iter().map(|(_, record)| (record, false)).collect();
    world.office = office_of(plane, 3);
    (world.told, world.orders, world.removed) = (Vec::new(), Vec::new(), Vec::new());
    assert_eq!(world.office.resume(world.now, &records), [(sa, None)]);
    world.settle();
    world
}

#[test]
fn after_a_restart_the_plane_is_asked_what_it_still_carries() {
    for plane in [PlaneConfig::Kernel, PlaneConfig::Imitated] {
        let mut world = handed_over(plane);
        assert!(matches!(world.told[0], Event::Resumed { .. }));
        let [order] = &world.orders[..] else { panic!("{:?}", world.orders) };
        assert!(order.keys.is_none());
        assert_eq!(order.up.remote_ts, [Selector::host(HOME.into())]);
        let child = order.up.child;
        assert_eq!(World::children(&world.told), []);
        world.say(Word::Installed(child));
        assert_eq!(World::children(&world.told), [child]);
        assert!(plane == PlaneConfig::Kernel || world.send());
    }
}

#[test]
fn what_the_plane_lost_in_a_restart_is_made_anew() {
    let mut world = handed_over(PlaneConfig::Kernel);
    let old = world.orders[0].up.child;
    world.say(Word::Refused { child: old, why: "nothing there".to_owned() });
    assert_eq!(world.refusals(), [format!("Child SA {old} is not there any more: nothing there")]);
    assert_eq!(world.removed, [old]);
    assert!(!world.is_up_at_home(), "home is told, and sends no more into nothing");
    world.wait_for_orders(2);
    world.obey();
    assert!(world.orders[1].keys.is_some() && world.is_up_at_home());
}

#[test]
fn whoever_waits_for_a_plane_keeps_nobody_else_waiting() {
    let mut world = World::new(PlaneConfig::Kernel);
    world.connect();
    let mut stranger = Solo::new(&config(PlaneConfig::Userspace), [9; 32]);
    let profile = Arc::new(profile("home", "office", [HOME, OFFICE]));
    stranger.submit(world.now, [Order::Engine(Command::SetProfile { id: ProfileId(0), profile })]);
    let path = Path::udp("192.0.2.7:500".parse().unwrap(), "192.0.2.2:500".parse().unwrap());
    let natt = NattPorts { local: 4500, remote: 4500 };
    let connect =
        Command::Connect { token: Token(1), profile: ProfileId(0), paths: vec![path], natt, redirected_from: None };
    stranger.submit(world.now, [Order::Engine(connect)]);
    for out in stranger.take_transmits() {
        let mut bytes = out.bytes;
        world.office.handle_datagram(world.now, out.path.reversed(), &mut bytes);
    }
    assert_eq!(world.office.take_transmits().len(), 1, "IKE_SA_INIT is answered at once");
}
