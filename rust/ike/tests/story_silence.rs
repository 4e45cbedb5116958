//! Stories of data and silence: what ESP says about the path, and how soon silence is noticed.

mod stage;

use core::time::Duration;

use mobike_ike::Traffic;
use stage::{CLIENT, GATEWAY, LTE, Nanos, Pair, WAN, WIFI, ms, secs};

const SENT: Traffic = Traffic { heard: false, sent: true, elsewhere: None };
const HEARD: Traffic = Traffic { heard: true, sent: false, elsewhere: None };

/// A packet each way every so often, as long as nothing is unplugged; else the client sends in vain.
fn ping(pair: &mut Pair, every: Duration, span: Duration, echo: bool) {
    let end = pair.now + span;
    while pair.now < end {
        pair.note(CLIENT, SENT);
        pair.run_for(ms(10));
        if echo {
            pair.note(CLIENT, HEARD);
        }
        pair.run_for(every - ms(10));
    }
}

fn requests_since(pair: &Pair, since: Nanos) -> usize {
    pair.requests_of(CLIENT).into_iter().filter(|told| told.at >= since).count()
}

// req: A5.2-2, M3.12-1
#[test]
fn nothing_is_sent_while_data_comes_back() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(2)).established();
    let since = pair.now;
    ping(&mut pair, ms(100), secs(20), true);
    assert_eq!(requests_since(&pair, since), 0);
    assert_eq!(pair.client().count("paths_suspected"), 0);
    // Idle, it is the liveness interval that counts.
    pair.run_for(ms(2_100));
    assert_eq!(requests_since(&pair, since), 1);
}

// req: M3.5-1, M3.5-2, D5.1-1
#[test]
fn data_without_echo_is_noticed_within_a_second() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(30)).established();
    ping(&mut pair, ms(20), secs(1), true);
    pair.net.unplug(WAN);
    let cut = pair.now;
    ping(&mut pair, ms(20), secs(1), false);
    let tests: Vec<Duration> =
        pair.requests_of(CLIENT).iter().filter(|told| told.at >= cut).map(|told| told.at.since(cut)).collect();
    assert!(tests[0] >= ms(250) && tests[0] <= ms(400), "three round trips and the floor: {tests:?}");
    assert!((4..=7).contains(&tests.len()), "a few within a second: {tests:?}");
    let silent = pair
        .client()
        .events
        .iter()
        .find(|(at, event)| *at >= cut && matches!(event, stage::Event::PathSilent { tries: 3, .. }));
    let noticed = silent.map(|(at, _)| at.since(cut));
    assert!(noticed.is_some_and(|after| after < ms(700)), "{noticed:?}");
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN), "silence moves nothing by itself");
    // After the hurry the usual waits.
    let before = pair.told.len();
    pair.run_for(secs(5));
    assert!(pair.told.len() - before < 8);
}

// req: M3.5-1
#[test]
fn one_lost_test_is_no_alarm_and_data_that_returns_ends_the_hurry() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    let cut = pair.now;
    ping(&mut pair, ms(20), ms(400), false);
    pair.net.plug(WAN);
    assert!(requests_since(&pair, cut) >= 1);
    pair.note(CLIENT, HEARD);
    let before = pair.told.len();
    ping(&mut pair, ms(20), ms(200), true);
    assert_eq!(pair.told.len(), before, "the test has time now");
    pair.settle();
    assert!(pair.client().silences().is_empty());
    assert_eq!(pair.client().alive().len(), 1);
}

#[test]
fn a_stream_that_goes_one_way_is_tested_rarely() {
    let mut pair = Pair::new(1).established();
    let since = pair.now;
    ping(&mut pair, ms(20), secs(20), false);
    let tests = requests_since(&pair, since);
    assert!((10..=25).contains(&tests), "about one a second: {tests}");
    assert!(pair.client().silences().is_empty());
}

// req: M3.11-1
#[test]
fn the_gateway_never_hurries() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WIFI);
    for _ in 0..100 {
        pair.note(GATEWAY, SENT);
        pair.run_for(ms(20));
    }
    assert!(pair.requests_of(GATEWAY).is_empty());
    assert_eq!(pair.gateway().alive().len(), 1);
}

#[test]
fn the_floor_is_the_operators_and_zero_turns_it_off() {
    for (floor, tested) in [(Duration::ZERO, false), (secs(1), false), (ms(100), true)] {
        let mut pair = Pair::new(1).client_profile(|profile| profile.paths.detection_floor = floor).established();
        let since = pair.now;
        ping(&mut pair, ms(20), ms(500), false);
        assert_eq!(requests_since(&pair, since) > 0, tested, "{floor:?}");
    }
}

// req: D5.5-3
#[test]
fn data_on_the_old_path_says_nothing_while_a_move_is_unanswered() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(2)).established();
    pair.net.unplug(LTE);
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(secs(1));
    let repeated = pair.client().count("retransmissions");
    for _ in 0..100 {
        pair.note(CLIENT, HEARD);
        pair.run_for(ms(20));
    }
    assert!(pair.client().count("retransmissions") > repeated, "the update goes on being repeated");
    assert!(!pair.client().silences().is_empty());
}
