//! Stories of data and silence: what ESP says about the path, and how soon silence is noticed.

use crate::stage;

use core::time::Duration;

use mobike_ike::Traffic;
use stage::{CLIENT, ExchangeType, GATEWAY, LTE, Nanos, NotifyType, Pair, WAN, WIFI, Which, ms, secs};

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
    ping(&mut pair, ms(20), ms(360), false);
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

/// The client's first path dies under its data, and the control plane chooses the other when it is told.
fn searching() -> Pair {
    let mut pair = Pair::new(1).established();
    ping(&mut pair, ms(20), secs(1), true);
    pair.net.unplug(WIFI);
    while pair.client().silences().is_empty() {
        ping(&mut pair, ms(20), ms(20), false);
    }
    pair
}

// req: M3.5-2, D5.1-1
#[test]
fn an_update_that_is_lost_during_a_search_is_repeated_soon() {
    let mut pair = searching();
    let update = || Which::of(CLIENT).request(ExchangeType::INFORMATIONAL).carrying(NotifyType::UPDATE_SA_ADDRESSES);
    pair.net.lose(update().times(2));
    let began = pair.now;
    pair.order_move(Pair::path(LTE, WAN));
    assert!(pair.run_until(secs(1), |world| !world.host(CLIENT).moved().is_empty()));
    // A test and its answer, two updates in vain 125 ms apart, one that arrives, its answer.
    assert!(pair.now.since(began) < ms(350), "{:?}", pair.now.since(began));
    pair.settle();
    assert_eq!(pair.client().moved().len(), 1);
}

// req: D5.1-2
#[test]
fn a_path_tried_in_a_search_gets_a_few_quick_repetitions_and_then_the_usual_waits() {
    let mut pair = searching();
    pair.net.unplug(LTE);
    let (began, before) = (pair.now, pair.told.len());
    pair.order_move(Pair::path(LTE, WAN));
    let silences = pair.client().silences().len();
    pair.run_for(ms(480));
    assert_eq!(pair.client().silences().len(), silences, "it may be a long way");
    pair.run_for(secs(10));
    let sent = pair.told.len() - before;
    assert!((6..=9).contains(&sent), "{sent} in {:?}", pair.now.since(began));
}

#[test]
fn a_move_that_no_silence_led_to_is_repeated_in_its_own_time() {
    let mut pair = Pair::new(1).established();
    ping(&mut pair, ms(20), secs(1), true);
    pair.net.unplug(LTE);
    let began = pair.now;
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(490));
    assert_eq!(requests_since(&pair, began), 1);
}

#[test]
fn a_long_way_is_measured_although_its_first_request_was_repeated() {
    let mut pair = searching();
    pair.net.set_latency(CLIENT, ms(300));
    pair.net.set_latency(GATEWAY, ms(300));
    pair.order_move(Pair::path(LTE, WAN));
    assert!(pair.run_until(secs(3), |world| !world.host(CLIENT).moved().is_empty()));
    pair.settle();
    // Data whose echo takes as long as the way is no alarm.
    let silences = pair.client().silences().len();
    for _ in 0..10 {
        pair.note(CLIENT, SENT);
        pair.run_for(ms(600));
        pair.note(CLIENT, HEARD);
        pair.run_for(secs(2));
    }
    assert_eq!(pair.client().silences().len(), silences);
}

// req: A5.2-2
#[test]
fn a_way_by_satellite_is_no_silent_way_for_long() {
    // Data that nobody echoes; a test of it, repeated before its answer can be there, as all that was asked before it.
    for one_way in [250, 350, 600] {
        let mut pair = Pair::new(1).established();
        pair.net.set_latency(CLIENT, ms(one_way));
        pair.net.set_latency(GATEWAY, ms(one_way));
        ping(&mut pair, ms(100), secs(10), false);
        let told = pair.client().silences().len();
        ping(&mut pair, ms(100), secs(90), false);
        assert_eq!(pair.client().silences().len(), told, "{one_way} ms");
    }
}

#[test]
fn what_was_only_likely_is_forgotten_as_soon_as_an_answer_is_measured() {
    let mut pair = Pair::new(1).established();
    ping(&mut pair, ms(20), secs(1), true);
    // Three copies are lost: it may be a long way.
    pair.net.lose(Which::of(CLIENT).request(ExchangeType::INFORMATIONAL).times(3));
    pair.probe(CLIENT, None);
    pair.run_for(secs(10));
    pair.probe(CLIENT, None);
    pair.settle();
    ping(&mut pair, ms(20), secs(1), true);
    pair.net.unplug(WAN);
    let cut = pair.now;
    while pair.client().silences().is_empty() {
        ping(&mut pair, ms(20), ms(20), false);
    }
    assert!(pair.now.since(cut) < ms(900), "{:?}", pair.now.since(cut));
}

// req: M3.5-3
#[test]
fn the_only_path_is_asked_every_few_seconds_while_data_wants_out_and_given_up_in_time() {
    for (with_data, longest) in [(true, ms(4_100)), (false, ms(20_100))] {
        let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(2)).established();
        ping(&mut pair, ms(100), secs(1), true);
        pair.net.unplug(WAN);
        let cut = pair.now;
        while pair.now.since(cut) < secs(115) {
            if with_data {
                pair.note(CLIENT, SENT);
            }
            pair.run_for(ms(100));
        }
        let tests: Vec<Nanos> =
            pair.requests_of(CLIENT).iter().filter(|told| told.at > cut).map(|told| told.at).collect();
        let widest = tests.windows(2).map(|two| two[1].since(two[0])).max().unwrap_or_default();
        assert!(widest <= longest && widest > longest / 2, "{widest:?}");
        let first = &pair.requests_of(CLIENT).into_iter().find(|told| told.at > cut).map(|told| told.bytes.clone());
        let same = |told: &&stage::Told| told.at > cut && Some(&told.bytes) == first.as_ref();
        assert_eq!(pair.requests_of(CLIENT).into_iter().filter(same).count(), tests.len(), "one request, same octets");
        assert_eq!(pair.client().alive().len(), 1, "not before its time");
        pair.run_for(secs(30));
        assert!(pair.client().alive().is_empty(), "nor long after it");
    }
}

// req: M3.5-3
#[test]
fn after_an_outage_the_only_path_carries_data_again_within_seconds() {
    for length in [secs(23), secs(40), secs(100)] {
        let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(2)).established();
        ping(&mut pair, ms(100), secs(1), true);
        pair.net.unplug(WAN);
        ping(&mut pair, ms(100), length, false);
        pair.net.plug(WAN);
        let healed = pair.now;
        let answered = pair.client().count("received");
        while pair.client().count("received") == answered {
            ping(&mut pair, ms(100), ms(100), false);
        }
        assert!(pair.now.since(healed) < ms(4_200), "{:?}", pair.now.since(healed));
    }
}

// req: A5.2-2
#[test]
fn data_or_an_answer_after_silence_was_told_is_told_too() {
    for data in [true, false] {
        let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(1)).established();
        pair.net.unplug(WAN);
        ping(&mut pair, ms(20), secs(2), false);
        assert!(!pair.client().silences().is_empty());
        let heard = |pair: &Pair| {
            let told = pair.client().events.iter().filter_map(|(_, event)| match event {
                stage::Event::PathHeard { path, .. } => Some(*path),
                _ => None,
            });
            told.collect::<Vec<_>>()
        };
        assert_eq!(heard(&pair), []);
        if data {
            pair.note(CLIENT, HEARD);
            pair.note(CLIENT, HEARD);
            pair.run_for(secs(5));
            assert_eq!(heard(&pair), [Pair::path(WIFI, WAN)], "data says so, once");
        }
        pair.net.plug(WAN);
        pair.run_for(secs(20));
        assert!(pair.client().silences().len() >= heard(&pair).len());
        assert_eq!(heard(&pair).last(), Some(&Pair::path(WIFI, WAN)));
        assert!(heard(&pair).len() <= 2, "and the answer, if silence was told again before it came");
        assert_eq!(pair.client().alive().len(), 1);
    }
}

// req: M3.2-2, M3.5-3
#[test]
fn the_client_goes_on_asking_every_few_seconds_after_the_gateway_replaced_the_ike_sa() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(2)).established();
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, stage::Command::Rekey { sa });
    pair.run_for(secs(1));
    pair.net.unplug(WAN);
    let cut = pair.now;
    ping(&mut pair, ms(100), secs(60), false);
    let asked: Vec<Nanos> = pair.requests_of(CLIENT).iter().filter(|told| told.at > cut).map(|told| told.at).collect();
    let widest = asked.windows(2).map(|two| two[1].since(two[0])).max().unwrap_or_default();
    assert!(widest > secs(2) && widest <= ms(4_100), "{widest:?}");
}
