//! Stories of the door of a busy gateway: who is asked for a cookie, who is turned away, and that honest clients come in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::crowd;

use core::time::Duration;

use crowd::{Crowd, Heard, ip};
use mobike_ike::{HalfOpenLimits, PrefixLimits, PuzzleLimits};

const WRONG: &[u8] = b"a guess";

fn limits() -> HalfOpenLimits {
    let prefixes = PrefixLimits { cookie_threshold: 4, max: 20, network_times: 3, ..PrefixLimits::default() };
    // Without puzzles, which are stories of their own.
    let puzzles = PuzzleLimits { hardest: 0, ..PuzzleLimits::default() };
    HalfOpenLimits { prefixes, puzzles, ..HalfOpenLimits::default() }
}

#[test]
fn who_asks_much_is_asked_for_a_cookie_and_its_neighbours_are_not() {
    let mut crowd = Crowd::new(limits());
    let (greedy, neighbour) = (ip("198.51.100.7"), ip("198.51.100.8"));
    for spi in 1..=4 {
        assert_eq!(crowd.knock(greedy, spi, None), Heard::Served);
    }
    assert!(matches!(crowd.knock(greedy, 5, None), Heard::Cookie(_)));
    assert_eq!(crowd.knock(neighbour, 6, None), Heard::Served);
    assert!(crowd.honest(greedy), "who returns the cookie comes in");
    assert_eq!(crowd.count("dropped_prefix_limit"), 0);
}

#[test]
fn spoofed_requests_cost_the_one_they_blame_a_cookie_and_no_more() {
    let mut crowd = Crowd::new(limits());
    let blamed = ip("198.51.100.7");
    for spi in 1..=10_000 {
        crowd.knock(blamed, spi, None);
    }
    assert_eq!(crowd.gateway.population().half_open, 4);
    assert_eq!((crowd.count("init_answered"), crowd.count("cookies_sent")), (4, 9_996));
    assert!(crowd.honest(blamed));
}

#[test]
fn who_returns_cookies_and_goes_no_further_is_turned_away_and_people_are_told_of_the_prefix() {
    let mut crowd = Crowd::new(limits());
    let greedy = ip("2001:db8:9:1::66");
    let heard: Vec<Heard> = (1..=30).map(|spi| crowd.insist(greedy, spi)).collect();
    assert!(heard[..20].iter().all(|heard| *heard == Heard::Served));
    assert!(heard[20..].iter().all(|heard| *heard == Heard::Nothing));
    assert_eq!(crowd.count("dropped_prefix_limit"), 10);
    let told: Vec<&String> = crowd.notices.iter().filter(|text| text.contains("dropped")).collect();
    assert_eq!(told.len(), 1, "not a line for each: {told:?}");
    assert!(told[0].contains("2001:db8:9:1::/64"), "{told:?}");
    assert!(!crowd.honest(ip("2001:db8:9:1::1")), "the site is judged as one");
    assert!(crowd.honest(ip("2001:db8:9:2::1")), "and no other");
    crowd.wait(Duration::from_secs(5));
    assert_eq!(crowd.insist(greedy, 99), Heard::Served, "some of the debt is forgiven");
    crowd.wait(Duration::from_secs(5));
    assert!(crowd.honest(greedy));
}

#[test]
fn who_has_a_whole_network_of_addresses_is_turned_away_as_a_network() {
    let mut crowd = Crowd::new(limits());
    let served = (0..200u8)
        .filter(|host| crowd.insist(ip(&format!("198.51.100.{host}")), u64::from(*host) + 1) == Heard::Served);
    assert_eq!(served.count(), 60);
    assert!(crowd.notices.iter().any(|text| text.contains("198.51.100.0/24")), "{:?}", crowd.notices);
    assert!(crowd.honest(ip("198.51.101.1")));
}

#[test]
fn who_guesses_secrets_is_slowed_down() {
    let mut crowd = Crowd::new(limits());
    let guesser = ip("198.51.100.7");
    let guesses = |crowd: &mut Crowd, times: u32| {
        (0..times).for_each(|_| assert!(!crowd.come(guesser, WRONG)));
        crowd.count("auth_failed")
    };
    // Each costs one unit, and seven more.
    assert_eq!(guesses(&mut crowd, 50), 3);
    for _ in 0..60 {
        crowd.wait(Duration::from_secs(1));
        guesses(&mut crowd, 10);
    }
    let failed = crowd.count("auth_failed");
    assert!((20..=40).contains(&failed), "four units a second are forgiven, that is a guess in two: {failed}");
    assert_eq!(failed + crowd.count("dropped_prefix_limit"), 650);
    assert!(crowd.honest(ip("198.51.100.8")));
}

#[test]
fn a_nat_with_many_honest_clients_and_a_guesser_lets_the_honest_ones_in() {
    let mut crowd = Crowd::new(limits());
    let nat = ip("198.51.100.7");
    for round in 0..300 {
        assert!(!crowd.come(nat, WRONG));
        assert!(crowd.honest(nat), "{round}");
    }
    assert_eq!(crowd.count("dropped_prefix_limit"), 0);
    assert_eq!((crowd.count("ike_sas_up"), crowd.count("auth_failed")), (300, 300));
}

#[test]
fn thousands_behind_one_address_come_in_one_after_the_other_without_a_cookie() {
    let mut crowd = Crowd::new(limits());
    let nat = ip("198.51.100.7");
    assert!((0..2_000).all(|_| crowd.honest(nat)));
    assert_eq!((crowd.count("ike_sas_up"), crowd.count("cookies_sent")), (2_000, 0));
}

#[test]
fn hundreds_of_thousands_of_addresses_leave_no_trace_once_cookies_are_asked_for() {
    let mut crowd = Crowd::new(HalfOpenLimits { cookie_threshold: 50, ..limits() });
    for n in 0..200_000u32 {
        let from = ip(&format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255));
        crowd.knock(from, u64::from(n) + 1, None);
    }
    assert_eq!(crowd.gateway.population().half_open, 50);
    assert_eq!(crowd.count("cookies_sent"), 200_000 - 50);
    assert!(crowd.honest(ip("192.0.2.9")));
}
