//! Stories of ICMP errors: a router says that what we sent cannot be delivered. It brings a test forward and moves nothing,
//! and whoever cannot quote what we sent is not heard at all.

#![allow(clippy::panic)]

use crate::stage;

use core::net::SocketAddr;

use mobike_ike::Quoted;
use stage::{
    CLIENT, ExchangeType, GATEWAY, HostId, LTE, Nanos, NotifyType, Pair, Path, WAN, WAN2, WIFI, World, ms, secs,
};

/// Octets of the beginning of our datagram that a sparing router quotes: the header, and no more.
const SPARING: usize = 28;

/// The client tests its peer every ten minutes, and nothing was said for a while.
fn idle() -> Pair {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(600)).established();
    pair.run_for(secs(30));
    pair
}

/// What this host last sent, as a router quotes it.
fn last_of(pair: &Pair, who: HostId) -> (Path, Vec<u8>) {
    let told = pair.told.iter().rfind(|told| told.from == who && !told.keepalive);
    told.map(|told| (told.path, told.bytes[..SPARING].to_vec())).unwrap_or_else(|| panic!("it said nothing"))
}

/// The router tells a host of the last message that it sent.
fn returned(pair: &mut Pair, who: HostId) {
    let (path, quoted) = last_of(pair, who);
    pair.unreachable(who, path, Quoted::Ike(&quoted));
}

fn silent_after(pair: &mut Pair, since: Nanos) -> core::time::Duration {
    assert!(pair.run_until(secs(60), |world: &World| !world.host(CLIENT).silences().is_empty()));
    pair.now.since(since)
}

// req: M3.5-1
#[test]
fn an_esp_packet_that_comes_back_is_a_reason_to_test_and_no_more() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = idle();
        let (sa, path) = (pair.host(who).sa(), pair.host(who).path());
        pair.unreachable(who, path, Quoted::Esp(sa));
        assert_eq!(pair.requests_of(who).len(), 1, "a test at once, ten minutes early");
        pair.run_for(secs(9));
        assert_eq!(pair.requests_of(who).len(), 1, "it was answered, and that is that");
        assert!(pair.client().silences().is_empty() && pair.gateway().silences().is_empty());
        assert!(pair.client().moved().is_empty() && pair.gateway().peer_moves().is_empty());
        assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
        assert_eq!(pair.host(who).path(), path);
        assert_eq!((pair.host(who).count("hints_followed"), pair.host(who).count("unreachable_heard")), (1, 1));
    }
}

// req: M3.5-1
#[test]
fn a_test_that_comes_back_is_repeated_quickly_so_that_a_dead_path_shows_in_a_fraction_of_a_second() {
    let after = |told: bool| {
        let mut pair = idle();
        pair.net.unplug(WAN);
        pair.probe(CLIENT, None);
        let asked = pair.now;
        if told {
            pair.run_for(ms(10));
            returned(&mut pair, CLIENT);
        }
        let after = silent_after(&mut pair, asked);
        assert_eq!(pair.client().path(), Pair::path(WIFI, WAN), "silence moves nothing either");
        assert_eq!(pair.client().alive().len(), 1);
        after
    };
    let (told, untold) = (after(true), after(false));
    assert!(told < ms(300), "{told:?}");
    assert!(untold > 4 * told, "{untold:?}");
}

// req: M3.5-1
#[test]
fn a_path_that_works_after_all_is_not_called_silent_however_often_it_is_said_to_be_dead() {
    let mut pair = idle();
    for _ in 0..3_000 {
        returned(&mut pair, CLIENT);
        pair.run_for(ms(10));
    }
    let asked = pair.requests_of(CLIENT).len();
    assert!((3..=4).contains(&asked), "a flood costs a test in ten seconds: {asked}");
    assert_eq!(pair.client().count("hints_followed") as usize, asked);
    assert!(pair.client().silences().is_empty() && pair.client().moved().is_empty());
}

// req: M3.5-1
#[test]
fn who_has_not_seen_what_we_sent_is_not_heard() {
    let mut pair = idle();
    let (path, quoted) = last_of(&pair, CLIENT);
    let before = pair.client().trace();
    let mut forged: Vec<Vec<u8>> = [0, 3, 7, 8, 15, 19].map(|at| changed(&quoted, at)).into();
    forged.push(quoted[..SPARING - 1].to_vec());
    forged.push(Vec::new());
    forged.push(vec![0xff]);
    for quoted in &forged {
        pair.unreachable(CLIENT, path, Quoted::Ike(quoted));
    }
    // What the peer has sent is not ours.
    let (_, theirs) = last_of(&pair, GATEWAY);
    pair.unreachable(CLIENT, path, Quoted::Ike(&theirs));
    assert_eq!(pair.client().count("unreachable_unknown"), forged.len() as u64 + 1);
    // The right message, and a path that it did not take.
    for elsewhere in [Pair::path(LTE, WAN), Pair::path(WIFI, WAN2), Pair::init_path(WIFI, WAN)] {
        pair.unreachable(CLIENT, elsewhere, Quoted::Ike(&quoted));
    }
    pair.run_for(secs(5));
    assert!(pair.requests_of(CLIENT).is_empty());
    assert_eq!((pair.client().trace(), pair.client().count("hints_followed")), (before, 0));
}

/// With another octet there. The 19th holds the flags: who is the sender?
fn changed(quoted: &[u8], at: usize) -> Vec<u8> {
    let mut octets = quoted.to_vec();
    octets[at] ^= 0x08;
    octets
}

// req: M3.5-1
#[test]
fn a_responder_tests_and_does_not_hurry_since_it_cannot_move() {
    let mut pair = idle();
    pair.net.unplug(WIFI);
    let (sa, path) = (pair.gateway().sa(), pair.gateway().path());
    pair.unreachable(GATEWAY, path, Quoted::Esp(sa));
    pair.run_for(ms(450));
    assert_eq!(pair.requests_of(GATEWAY).len(), 1);
    pair.run_for(secs(60));
    assert_eq!((pair.gateway().alive(), pair.gateway().path()), (vec![sa], path));
}

// req: M3.5-1
#[test]
fn news_about_another_path_hurry_what_is_asked_there_and_leave_the_path_in_use_alone() {
    let mut pair = idle();
    pair.net.unplug(WAN2);
    pair.probe(CLIENT, Some(Pair::path(WIFI, WAN2)));
    let asked = pair.now;
    pair.run_for(ms(10));
    returned(&mut pair, CLIENT);
    assert!(silent_after(&mut pair, asked) < ms(300));
    assert!(pair.client().silences().iter().all(|(path, _)| *path == Pair::path(WIFI, WAN2)));
    pair.settle();
    assert_eq!(pair.requests_of(CLIENT).iter().filter(|told| told.copies_before == 0).count(), 1, "no other test");
}

// req: M3.5-1
#[test]
fn who_connects_goes_on_to_the_next_path_at_once_and_never_gives_up_for_that() {
    let mut pair = Pair::new(1);
    pair.net.unplug(WAN);
    pair.connect_over(&[(WIFI, WAN), (LTE, WAN), (WIFI, WAN2)]);
    let began = pair.now;
    for _ in 0..2 {
        pair.run_for(ms(5));
        returned(&mut pair, CLIENT);
    }
    pair.run_for(ms(5));
    let tried: Vec<SocketAddr> = pair.said(|told| told.from == CLIENT).map(|told| told.path.remote).collect();
    assert_eq!(tried.len(), 3);
    assert_eq!(pair.now.since(began), ms(15), "a wait for each would be half a second");
    // All paths had their turn: from now on nobody can hurry us.
    for _ in 0..1_000 {
        returned(&mut pair, CLIENT);
    }
    assert_eq!((pair.said(|told| told.from == CLIENT).count(), pair.client().count("hints_followed")), (3, 2));
    pair.settle();
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN2));
    assert!(pair.client().failures().is_empty());
}

// req: M3.5-1
#[test]
fn an_sa_that_ends_or_is_gone_does_not_listen() {
    let mut pair = idle();
    let (path, quoted) = last_of(&pair, CLIENT);
    let sa = pair.close(CLIENT);
    pair.unreachable(CLIENT, path, Quoted::Ike(&quoted));
    pair.settle();
    pair.unreachable(CLIENT, path, Quoted::Ike(&quoted));
    pair.unreachable(CLIENT, path, Quoted::Esp(sa));
    let deletes = pair.said(|told| told.from == CLIENT && told.asks(ExchangeType::INFORMATIONAL)).count();
    assert_eq!((deletes, pair.client().count("hints_followed")), (1, 0));
    assert_eq!(pair.client().count("unreachable_unknown"), 2);
    assert!(!pair.said(|told| told.carries(NotifyType::UPDATE_SA_ADDRESSES)).any(|_| true));
}

/// The kernel of a host had no way for what it has just sent.
fn kept_back(pair: &mut Pair, who: HostId) {
    let (path, message) = last_of(pair, who);
    pair.unsent(who, path, &message);
}

// req: M3.5-1
#[test]
fn what_did_not_leave_the_host_is_sent_again_within_milliseconds_and_no_silence_is_counted_for_it() {
    let mut pair = idle();
    pair.net.unplug(LTE);
    pair.order_move(Pair::path(LTE, WAN));
    let asked = pair.now;
    for _ in 0..5 {
        kept_back(&mut pair, CLIENT);
        let before = pair.told.len();
        assert!(pair.run_until(ms(30), |world: &World| world.told.len() > before), "soon");
    }
    assert!(pair.client().silences().is_empty(), "nobody was asked in vain");
    pair.net.plug(LTE);
    kept_back(&mut pair, CLIENT);
    assert!(pair.run_until(ms(60), |world: &World| !world.host(CLIENT).moved().is_empty()));
    assert!(pair.now.since(asked) < ms(250), "the first repetition is due after half a second");
    assert_eq!(pair.client().count("unsent"), 6);
}

// req: M3.5-1
#[test]
fn where_no_way_comes_it_is_repeated_as_any_other() {
    let mut pair = idle();
    pair.net.unplug(WAN);
    pair.probe(CLIENT, None);
    for _ in 0..200 {
        kept_back(&mut pair, CLIENT);
        pair.run_for(ms(25));
    }
    let sent = pair.requests_of(CLIENT).len();
    assert!((20..40).contains(&sent), "{sent} in five seconds: quickly at first, then no more");
}

/// The client sets out, and its kernel has no way to the gateway.
fn setting_out(paths: &[(core::net::IpAddr, core::net::IpAddr)]) -> Pair {
    let mut pair = Pair::new(1);
    pair.net.unplug(WIFI);
    pair.connect_over(paths);
    pair.run_for(ms(0));
    pair
}

// req: M3.1-1
#[test]
fn a_first_message_that_did_not_leave_the_host_is_sent_again_within_milliseconds() {
    let mut pair = setting_out(&[(WIFI, WAN)]);
    let began = pair.now;
    for _ in 0..5 {
        kept_back(&mut pair, CLIENT);
        let before = pair.told.len();
        assert!(pair.run_until(ms(30), |world: &World| world.told.len() > before), "soon");
    }
    pair.net.plug(WIFI);
    kept_back(&mut pair, CLIENT);
    assert!(pair.run_until(ms(100), |world: &World| !world.host(CLIENT).alive().is_empty()));
    assert!(pair.now.since(began) < ms(300), "the first repetition is due after half a second");
    assert_eq!(pair.client().count("unsent"), 6);
}

// req: M3.1-1
#[test]
fn a_first_message_that_did_not_leave_gives_the_next_path_its_turn_at_once() {
    let mut pair = setting_out(&[(WIFI, WAN), (LTE, WAN)]);
    let began = pair.now;
    kept_back(&mut pair, CLIENT);
    assert!(pair.run_until(ms(60), |world: &World| !world.host(CLIENT).alive().is_empty()));
    assert!(pair.now.since(began) < ms(60), "two round trips");
    assert_eq!(pair.client().path().local.ip(), LTE);
}

// req: M3.1-1
#[test]
fn a_first_message_that_no_way_comes_for_is_repeated_as_any_other() {
    for paths in [&[(WIFI, WAN)][..], &[(WIFI, WAN), (WIFI, WAN2)]] {
        let mut pair = setting_out(paths);
        for _ in 0..200 {
            kept_back(&mut pair, CLIENT);
            pair.run_for(ms(25));
        }
        let sent = pair.said(|told| told.from == CLIENT).count();
        assert!((20..40).contains(&sent), "{sent} in five seconds: quickly at first, then no more");
    }
}
