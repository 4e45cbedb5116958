//! Stories of path probes: what both ends learn of every pair, and what strangers and foreign peers get: nothing.

use crate::stage;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use mobike_ike::wire::Payload;
use mobike_ike::wire::probe::{PATH_PROBE, PROBE};
use mobike_ike::{Extensions, Role, Traffic};
use stage::{
    CLIENT, Command, ExchangeType, Fate, Forged, GATEWAY, HostId, LTE, Nanos, Nat, Pair, Path, Told, WAN, WAN2, WIFI,
    Which, ip, ms, secs,
};

const SECOND: Duration = secs(1);
const ALL: [(IpAddr, IpAddr); 4] = [(WIFI, WAN), (LTE, WAN), (WIFI, WAN2), (LTE, WAN2)];

fn probing(seed: u64) -> Pair {
    offered(seed, Extensions::PATH_PROBES).established()
}

fn offered(seed: u64, by_gateway: Extensions) -> Pair {
    Pair::new(seed)
        .client_profile(|profile| profile.extensions = Extensions::ALL)
        .gateway_profile(|profile| profile.extensions = by_gateway)
}

#[track_caller]
fn watch(pair: &mut Pair, who: HostId, pairs: &[(IpAddr, IpAddr)], interval: Duration) {
    let sa = pair.host(who).sa();
    let paths: Vec<Path> = pairs.iter().map(|(local, remote)| Pair::path(*local, *remote)).collect();
    pair.order(who, Command::Watch { sa, paths: Arc::from(paths), interval });
}

/// All four pairs, and time to learn about them.
#[track_caller]
fn watching(seed: u64) -> Pair {
    let mut pair = probing(seed);
    watch(&mut pair, CLIENT, &ALL, SECOND);
    pair.run_for(secs(20));
    pair
}

fn probes(pair: &Pair, who: HostId) -> Vec<&Told> {
    pair.said(move |told| told.from == who && told.asks(PATH_PROBE)).collect()
}

fn probes_since(pair: &Pair, who: HostId, since: Nanos) -> usize {
    probes(pair, who).iter().filter(|told| told.at >= since).count()
}

fn of_client(local: IpAddr, remote: IpAddr) -> Path {
    Pair::path(local, remote)
}

fn of_gateway(local: IpAddr, remote: IpAddr) -> Path {
    Pair::path(local, remote)
}

// req: A5.4-1
#[test]
fn a_foreign_peer_never_sees_a_probe() {
    let mut pair = offered(1, Extensions::NONE).established();
    watch(&mut pair, CLIENT, &ALL, SECOND);
    pair.run_for(secs(30));
    assert!(probes(&pair, CLIENT).is_empty() && probes(&pair, GATEWAY).is_empty());
    assert!(pair.client().notices().iter().any(|text| text.contains("no path probes with this peer")));
    // And one that comes nevertheless is nothing that it answers as a probe.
    let forged = Forged { sender: Role::Initiator, exchange: PATH_PROBE, id: 2, response: false };
    let bytes = pair.forge(forged, &[Payload::notify(PROBE, &[0; 80])]);
    pair.inject(GATEWAY, of_gateway(WAN, WIFI), &bytes);
    assert_eq!(pair.gateway().count("probes_heard"), 0);
}

#[test]
fn nobody_probes_before_it_is_told_to() {
    let mut pair = probing(1);
    pair.run_for(secs(60));
    assert!(probes(&pair, CLIENT).is_empty() && probes(&pair, GATEWAY).is_empty());
}

// req: A5.4-1
#[test]
fn every_watched_pair_is_known_after_one_round_trip_and_at_a_bounded_cost() {
    let mut pair = probing(1);
    let began = pair.now;
    watch(&mut pair, CLIENT, &ALL, SECOND);
    pair.run_for(ms(50));
    for (local, remote) in ALL {
        assert_eq!(pair.client().ways(of_client(local, remote)), Some((true, true)));
    }
    pair.run_for(secs(60));
    let seen = pair.client().seen();
    assert!(seen.iter().all(|(_, _, seen)| seen.rtt == Some(ms(20)) && seen.loss_permille == 0));
    assert!(seen.len() <= 4 * 4, "news at once, then the same again each half minute: {}", seen.len());
    let (polls, echoes) = (probes_since(&pair, CLIENT, began), probes_since(&pair, GATEWAY, began));
    assert!((220..=280).contains(&polls) && echoes.abs_diff(polls) < 5, "{polls} polls, {echoes} echoes");
    assert!(pair.gateway().seen().is_empty(), "where all is well, a gateway of very many need not be told");
    // An echo is never longer than its poll.
    let lengths: Vec<usize> = pair.said(|told| told.asks(PATH_PROBE)).map(|told| told.bytes.len()).collect();
    assert!(lengths.iter().all(|length| *length == lengths[0]) && lengths[0] < 160, "{}", lengths[0]);
    // Nothing of the request window is used, and the numbers of requests go on as if nothing was.
    assert!(pair.requests_of(CLIENT).is_empty());
    watch(&mut pair, CLIENT, &[], Duration::ZERO);
    let stopped = pair.now;
    pair.run_for(secs(100));
    assert!(probes_since(&pair, CLIENT, stopped) < 12, "the gateway asks for a while, and is answered");
    assert_eq!(probes_since(&pair, GATEWAY, stopped + secs(60)), 0);
}

// req: A5.4-1, D5.1-1
#[test]
fn a_pair_that_dies_is_told_after_three_polls_in_quick_succession() {
    for seed in 1..6 {
        let mut pair = watching(seed);
        pair.run_for(ms(137 * seed));
        pair.net.blackhole_both(WIFI, WAN);
        let cut = pair.now;
        pair.run_for(secs(20));
        let dead = of_client(WIFI, WAN);
        let told = pair.client().seen().into_iter().find(|(at, path, _)| *at >= cut && *path == dead);
        let after = told.map(|(at, _, seen)| (at.since(cut), seen.forward));
        assert!(after.is_some_and(|(after, forward)| after < ms(1_300) && !forward), "{after:?}");
        assert_eq!(pair.client().ways(dead), Some((false, false)), "neither direction, once that is certain");
        for (local, remote) in &ALL[1..] {
            assert_eq!(pair.client().ways(of_client(*local, *remote)), Some((true, true)));
        }
        // And when it is back: not with the first sign.
        pair.net.heal();
        pair.run_for(secs(20));
        assert_eq!(pair.client().ways(dead), Some((true, true)));
    }
}

// req: A5.4-1
#[test]
fn a_pair_that_works_from_here_to_there_only_is_known_as_that_at_both_ends() {
    let mut pair = watching(1);
    pair.net.blackhole(WAN, WIFI);
    pair.run_for(secs(20));
    assert_eq!(pair.client().ways(of_client(WIFI, WAN)), Some((true, false)));
    assert_eq!(pair.gateway().ways(of_gateway(WAN, WIFI)), Some((false, true)));
    pair.net.heal();
    pair.run_for(secs(30));
    assert_eq!(pair.client().ways(of_client(WIFI, WAN)), Some((true, true)));
    assert_eq!(pair.gateway().ways(of_gateway(WAN, WIFI)), Some((true, true)));
}

// req: A5.4-1
#[test]
fn a_pair_that_works_from_there_to_here_only_is_known_as_that_at_both_ends() {
    let mut pair = watching(1);
    pair.net.blackhole(WIFI, WAN);
    pair.run_for(secs(30));
    assert_eq!(pair.client().ways(of_client(WIFI, WAN)), Some((false, true)));
    assert_eq!(pair.gateway().ways(of_gateway(WAN, WIFI)), Some((true, false)));
    pair.net.heal();
    pair.run_for(secs(30));
    assert_eq!(pair.client().ways(of_client(WIFI, WAN)), Some((true, true)));
    assert_eq!(pair.gateway().ways(of_gateway(WAN, WIFI)), Some((true, true)));
}

// req: A5.4-1
#[test]
fn where_no_pair_works_both_ways_each_end_still_learns_one_for_each_direction() {
    // The picture of section 5.4: A1 to B1 works, and B2 to A1; nothing else does.
    let mut pair = probing(1);
    for (from, to) in [(WAN, WIFI), (WIFI, WAN2)] {
        pair.net.blackhole(from, to);
    }
    pair.net.unplug(LTE);
    watch(&mut pair, CLIENT, &[(WIFI, WAN), (WIFI, WAN2)], SECOND);
    watch(&mut pair, GATEWAY, &[(WAN, WIFI), (WAN2, WIFI)], SECOND);
    pair.run_for(secs(20));
    assert_eq!(pair.client().ways(of_client(WIFI, WAN)), Some((true, false)));
    assert_eq!(pair.client().ways(of_client(WIFI, WAN2)), Some((false, true)));
    assert_eq!(pair.gateway().ways(of_gateway(WAN, WIFI)), Some((false, true)));
    assert_eq!(pair.gateway().ways(of_gateway(WAN2, WIFI)), Some((true, false)));
}

// req: A5.4-1
#[test]
fn a_probe_that_comes_again_is_nothing() {
    let mut pair = watching(1);
    let seen: Vec<(SocketAddr, SocketAddr, Vec<u8>)> =
        probes(&pair, CLIENT).iter().map(|told| (told.path.local, told.path.remote, told.bytes.clone())).collect();
    let (heard, replayed) = (pair.gateway().count("probes_heard"), pair.gateway().count("probes_replayed"));
    let (answers, before) = (pair.gateway().count("probe_echoes_sent"), pair.gateway().trace());
    let elsewhere = SocketAddr::new(ip("198.18.0.9"), 4500);
    for (source, destination, bytes) in &seen {
        pair.replay(*source, *destination, bytes);
        pair.replay(elsewhere, *destination, bytes);
    }
    pair.run_for(ms(1));
    assert_eq!(pair.gateway().count("probes_replayed"), replayed + 2 * seen.len() as u64);
    assert_eq!(pair.gateway().count("probes_heard"), heard);
    assert_eq!(pair.gateway().count("probe_echoes_sent"), answers);
    assert_eq!(pair.gateway().trace(), before);
}

#[test]
fn probes_that_overtake_each_other_are_each_taken_once() {
    let mut pair = probing(1);
    pair.net.plan(Which::of(CLIENT).request(PATH_PROBE).leaving(LTE).always(), Fate::Late(ms(150)));
    pair.net.plan(Which::of(CLIENT).request(PATH_PROBE).leaving(WIFI).always(), Fate::Twice(ms(400)));
    watch(&mut pair, CLIENT, &ALL, ms(200));
    pair.run_for(secs(20));
    let (sent, heard) = (probes(&pair, CLIENT).len() as u64, pair.gateway().count("probes_heard"));
    assert!(sent.abs_diff(heard) < 10, "{sent} sent, {heard} taken");
    assert!(pair.gateway().count("probes_replayed") > 80);
    assert!(pair.client().seen().iter().all(|(_, _, seen)| seen.forward && seen.backward));
}

#[test]
fn a_forged_probe_is_nothing() {
    let mut pair = watching(1);
    let before = pair.gateway().trace();
    let heard = pair.gateway().count("probes_heard");
    let genuine = probes(&pair, CLIENT).last().expect("a probe").bytes.clone();
    for at in 0..genuine.len() {
        let mut bytes = genuine.clone();
        bytes[at] ^= 1;
        // A number that was never used, so that the window lets it in.
        bytes[22] = bytes[22].wrapping_add(1);
        pair.inject(GATEWAY, of_gateway(WAN, WIFI), &bytes);
    }
    // Sealed with the keys of requests: those of probes are others.
    let forged = Forged { sender: Role::Initiator, exchange: PATH_PROBE, id: 70_000, response: false };
    let sealed = pair.forge(forged, &[Payload::notify(PROBE, &[1; 80])]);
    pair.inject(GATEWAY, of_gateway(WAN, WIFI), &sealed);
    // And a probe is no request.
    let mut request = genuine;
    request[18] = 37;
    pair.inject(GATEWAY, of_gateway(WAN, WIFI), &request);
    assert_eq!(pair.gateway().count("probes_heard"), heard);
    assert_eq!(pair.gateway().trace(), before);
}

// req: A5.4-1
#[test]
fn a_probe_that_seems_to_come_from_a_victim_brings_it_a_handful_of_small_packets() {
    let mut pair = watching(1);
    let victim = ip("198.18.0.9");
    let target = SocketAddr::new(victim, 4500);
    let since = pair.now;
    pair.net.plan(Which::of(CLIENT).request(PATH_PROBE).leaving(WIFI).to(WAN), Fate::From(target));
    pair.run_for(secs(120));
    let to_victim = pair.said(|told| told.from == GATEWAY && told.path.remote == target && told.at >= since).count();
    assert!((1..=4).contains(&to_victim), "{to_victim}");
    assert!(pair.gateway().peer_moves().is_empty());
}

// req: A5.4-1, M3.7-1
#[test]
fn a_peer_that_proved_by_probes_where_it_receives_is_followed_at_once() {
    let mut pair = watching(1);
    pair.order_move(Pair::path(LTE, WAN));
    let ordered = pair.now;
    pair.run_for(ms(200));
    assert_eq!(pair.gateway().peer_moves(), [(of_gateway(WAN, LTE), true)]);
    assert_eq!(pair.gateway().count("cookie2_sent"), 0);
    assert_eq!(pair.gateway().count("moves_proven_before"), 1);
    let moved = pair.gateway().events.iter().find(|(_, event)| matches!(event, stage::Event::PeerMoved { .. }));
    assert!(moved.is_some_and(|(at, _)| at.since(ordered) <= ms(10)), "half a round trip");
}

// req: A5.4-1, M3.7-1
#[test]
fn a_pair_that_was_probed_but_not_proven_or_long_ago_needs_the_cookie() {
    // The gateway's echoes never arrive there, so that no identifier of theirs can be told.
    let mut pair = probing(1);
    pair.net.blackhole(WAN, LTE);
    watch(&mut pair, CLIENT, &ALL, SECOND);
    pair.run_for(secs(20));
    pair.net.heal();
    watch(&mut pair, CLIENT, &[(WIFI, WAN)], SECOND);
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(secs(1));
    assert_eq!(pair.gateway().count("cookie2_sent"), 1);

    let mut pair = watching(1);
    watch(&mut pair, CLIENT, &[(WIFI, WAN)], SECOND);
    pair.net.unplug(LTE);
    pair.run_for(secs(30));
    pair.net.plug(LTE);
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(secs(1));
    assert_eq!(pair.gateway().count("cookie2_sent"), 1);
}

// req: A5.4-1, M3.7-1
#[test]
fn who_left_an_address_by_its_list_proves_anew_that_it_receives_there() {
    // Whenever that is: what it last heard there may be told by a probe that is on its way still.
    for at in (0..1_000).step_by(90) {
        let mut pair = probing(1);
        pair.announce(CLIENT, &[WIFI, LTE], None);
        pair.net.plan(Which::of(CLIENT).request(PATH_PROBE).leaving(WIFI).always(), Fate::Late(ms(300)));
        watch(&mut pair, CLIENT, &[(WIFI, WAN), (LTE, WAN)], SECOND);
        pair.run_for(secs(20) + ms(at));
        // INFORMATIONAL { N(NO_ADDITIONAL_ADDRESSES) } -->
        pair.announce(CLIENT, &[WIFI], None);
        watch(&mut pair, CLIENT, &[(WIFI, WAN)], SECOND);
        pair.net.unplug(LTE);
        pair.run_for(secs(2));
        pair.net.plug(LTE);
        pair.order_move_with(Pair::path(LTE, WAN), Some(&[LTE, WIFI]));
        pair.run_for(secs(1));
        let gateway = pair.gateway();
        assert_eq!((gateway.count("moves_proven_before"), gateway.count("cookie2_sent")), (0, 1), "{at} ms");
    }
}

// req: A5.4-1, M3.7-1
#[test]
fn who_left_an_address_as_it_moved_proves_it_anew_and_other_addresses_not() {
    let mut pair = watching(1);
    pair.order_move_with(Pair::path(LTE, WAN), Some(&[LTE]));
    watch(&mut pair, CLIENT, &[(LTE, WAN)], SECOND);
    pair.run_for(secs(1));
    assert_eq!(pair.gateway().count("moves_proven_before"), 1, "where it goes it has not left");
    pair.order_move_with(Pair::path(WIFI, WAN), Some(&[WIFI, LTE]));
    pair.run_for(secs(1));
    assert_eq!(pair.gateway().count("cookie2_sent"), 1, "wifi is where it was, and not in its list");
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(secs(1));
    assert_eq!(pair.gateway().count("cookie2_sent"), 1, "this one was in the list all the time");
}

// req: A5.2-2
#[test]
fn an_sa_whose_pair_is_heard_needs_no_other_sign_of_life() {
    let mut pair = offered(1, Extensions::ALL).client_profile(|profile| profile.liveness = secs(2)).established();
    let tested = pair.requests_of(CLIENT).len();
    watch(&mut pair, CLIENT, &ALL, SECOND);
    pair.run_for(secs(60));
    assert_eq!(pair.requests_of(CLIENT).len(), tested);
    // On other pairs the peer lives, but the path in use does not.
    pair.net.blackhole_both(WIFI, WAN);
    pair.run_for(secs(5));
    assert!(pair.requests_of(CLIENT).len() > tested);
}

#[test]
fn where_the_peer_was_once_is_not_polled_for_ever() {
    let mut pair = watching(1);
    watch(&mut pair, CLIENT, &[(WIFI, WAN)], SECOND);
    pair.net.unplug(LTE);
    let gone = pair.now;
    pair.run_for(secs(300));
    let in_vain = pair.said(|told| told.from == GATEWAY && told.path.remote.ip() == LTE && told.at >= gone).count();
    assert!((4..=30).contains(&in_vain), "{in_vain} to two pairs");
}

// req: A5.4-1, D5.1-1
#[test]
fn data_without_echo_makes_probes_ask_and_keeps_the_window_free() {
    let mut pair = watching(1);
    watch(&mut pair, CLIENT, &ALL, secs(30));
    pair.run_for(secs(1));
    pair.net.blackhole_both(WIFI, WAN);
    let (cut, sa) = (pair.now, pair.client().sa());
    pair.hosts[CLIENT.0].engine.note_traffic(cut, sa, Traffic { sent: true, ..Traffic::default() });
    pair.run_for(ms(600));
    let told = pair.client().seen().into_iter().find(|(at, path, _)| *at > cut && *path == of_client(WIFI, WAN));
    assert!(told.is_some_and(|(at, _, seen)| at.since(cut) < ms(520) && !seen.forward), "{told:?}");
    assert!(pair.requests_of(CLIENT).is_empty(), "an update would leave at once");
}

// req: M3.8-2
#[test]
fn behind_a_nat_data_without_echo_is_a_reason_for_a_request_too() {
    // The NAT has forgotten: probes come and go by the new mapping, and the peer's data goes to the old one.
    let mut pair = offered(11, Extensions::PATH_PROBES);
    pair.net.nats.push(Nat::new(ip("198.18.0.1"), &[WIFI, LTE]));
    let mut pair = pair.established();
    watch(&mut pair, CLIENT, &[(WIFI, WAN), (LTE, WAN)], SECOND);
    pair.run_for(secs(20));
    pair.net.nats[0].flush();
    for _ in 0..40 {
        pair.note(CLIENT, Traffic { sent: true, ..Traffic::default() });
        pair.run_for(ms(10));
    }
    assert_eq!(pair.client().nat_changes().len(), 1, "N(NAT_DETECTION_DESTINATION_IP) tells");
    assert!(pair.client().silences().is_empty());
}

// req: A5.4-1, M3.12-1
#[test]
fn data_that_comes_back_outweighs_probes_that_nobody_answers() {
    // The gateway's daemon begins again, and its kernel carries on meanwhile.
    let mut pair = watching(1);
    let (cut, asked) = (pair.now, pair.requests_of(CLIENT).len());
    for (local, remote) in ALL {
        pair.net.blackhole_both(local, remote);
    }
    let both = Traffic { sent: true, heard: true, elsewhere: None };
    for _ in 0..200 {
        pair.note(CLIENT, both);
        pair.run_for(ms(100));
    }
    let failed = |pair: &Pair, local, since| {
        let seen = pair.client().seen().into_iter();
        seen.filter(|(at, path, seen)| *at > since && *path == of_client(local, WAN) && !seen.forward)
            .map(|(at, ..)| at)
            .next()
    };
    assert!(failed(&pair, LTE, cut).is_some(), "nothing else speaks for the others");
    assert_eq!(failed(&pair, WIFI, cut), None);
    assert_eq!(pair.requests_of(CLIENT).len(), asked);
    // Once no data comes back either, the pair is silent.
    let silent = pair.now;
    pair.note(CLIENT, Traffic { sent: true, ..Traffic::default() });
    pair.run_for(ms(600));
    let told = failed(&pair, WIFI, silent);
    assert!(told.is_some_and(|at| at.since(silent) < ms(350)), "at once, when data should have come back: {told:?}");
}

#[test]
fn a_path_that_policy_forbids_is_not_answered() {
    let mut pair = offered(1, Extensions::ALL)
        .gateway_profile(|profile| profile.paths.remote = vec![mobike_ike::Prefix::new(WIFI, 24)])
        .established();
    watch(&mut pair, CLIENT, &ALL, SECOND);
    pair.run_for(secs(20));
    assert!(probes(&pair, GATEWAY).iter().all(|told| told.path.remote.ip() == WIFI));
    assert!(pair.gateway().count("probes_refused") > 0);
}

#[test]
fn a_pair_that_loses_one_in_five_is_not_given_up_for_it() {
    let mut pair = probing(1);
    // Chance that is the same in every replay: the last octet of the tag.
    pair.net.plan(
        Which::of(CLIENT).request(PATH_PROBE).that(|told| told.bytes.last().is_some_and(|octet| *octet < 51)).always(),
        Fate::Lose,
    );
    watch(&mut pair, CLIENT, &ALL, ms(250));
    pair.run_for(secs(120));
    let failed = pair.client().seen().iter().filter(|(_, _, seen)| !seen.forward || !seen.backward).count();
    assert!(failed <= 3, "{failed} of some 2400");
    let loss = pair.client().seen().last().map(|(_, _, seen)| seen.loss_permille);
    assert!(loss.is_some_and(|loss| (30..450).contains(&loss)), "{loss:?}");
}

#[test]
fn a_closed_sa_is_probed_no_more() {
    let mut pair = watching(1);
    pair.close(CLIENT);
    let closed = pair.now;
    pair.run_for(secs(60));
    assert_eq!(probes_since(&pair, CLIENT, closed), 0);
    assert!(probes_since(&pair, GATEWAY, closed) <= 4, "what was on its way");
}

#[test]
fn a_rewritten_probe_does_not_harm_the_next_one() {
    let mut pair = probing(1);
    let flip = |bytes: &mut Vec<u8>| bytes[60] ^= 0x55;
    pair.net.plan(Which::of(CLIENT).request(PATH_PROBE).times(2), Fate::Rewrite(Box::new(flip)));
    watch(&mut pair, CLIENT, &[(WIFI, WAN)], SECOND);
    pair.run_for(secs(10));
    assert_eq!(pair.client().ways(of_client(WIFI, WAN)), Some((true, true)));
    assert_eq!(pair.gateway().count("dropped_bad_icv"), 2);
}

#[test]
fn a_rekey_whose_answer_is_lost_for_a_while_makes_no_pair_look_silent() {
    // CREATE_CHILD_SA -->  <-- answer, lost five times: one end has new keys, the other has not; probes go on
    for who in [CLIENT, GATEWAY] {
        for lost in 1..=5 {
            let mut pair = watching(40);
            let other = if who == CLIENT { GATEWAY } else { CLIENT };
            let before = [CLIENT, GATEWAY].map(|host| pair.host(host).seen().len());
            pair.net.lose(Which::of(other).answer(ExchangeType::CREATE_CHILD_SA).times(lost));
            let sa = pair.host(who).sa();
            pair.order(who, Command::Rekey { sa });
            pair.run_for(secs(30));
            assert_eq!(pair.host(who).count("ike_sas_rekeyed"), 1);
            for (host, before) in [CLIENT, GATEWAY].into_iter().zip(before) {
                let seen = pair.host(host).seen().split_off(before);
                let broken = seen.iter().filter(|(_, _, seen)| !(seen.forward && seen.backward));
                assert_eq!(broken.count(), 0, "{who:?} rekeys, {lost} lost, seen by {host:?}");
            }
        }
    }
}
