//! Stories of hosts that end and begin again, with the IKE SAs they had: ids, octets, marks, leases and chance.

use crate::stage;

use std::collections::BTreeSet;
use std::sync::Arc;

use mobike_ike::engine::Population;
use mobike_ike::event::DownReason;
use mobike_ike::park::{ResumeError, Standing, VERSION};
use mobike_ike::profile::{Pool, RequestVip};
use stage::{
    CLIENT, Command, ExchangeType, Fate, Forged, GATEWAY, Generation, HostId, LTE, NotifyType, PROFILE, Pair, Role,
    Settings, WAN, WAN2, WIFI, Which, ms, secs,
};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;
const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const UPDATE: NotifyType = NotifyType::UPDATE_SA_ADDRESSES;

/// Both ends still have the one SA they had, and nobody made another.
#[track_caller]
fn the_same_sa(pair: &Pair) {
    assert_eq!(pair.said(|told| told.asks(INIT)).count(), 1, "one IKE_SA_INIT, at the beginning");
    for host in &pair.hosts {
        assert!(host.downs().is_empty() && host.child_downs().is_empty(), "{}", host.name);
        let up = host.up();
        assert_eq!(host.engine.established().collect::<Vec<_>>(), [up.sa], "{}: its id too", host.name);
        assert_eq!(host.engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 1 });
    }
}

/// The same after a crash: the Child SA was replaced, once.
#[track_caller]
fn the_same_sa_with_other_keys(pair: &Pair) {
    assert_eq!(pair.said(|told| told.asks(INIT)).count(), 1, "one IKE_SA_INIT, at the beginning");
    for host in &pair.hosts {
        assert!(host.downs().is_empty(), "{}", host.name);
        assert_eq!(host.child_downs().len(), 1, "{}", host.name);
        assert_eq!(host.engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 1 });
    }
}

// req: M3.2-3
#[test]
fn either_end_may_begin_again_and_the_ike_sa_goes_on() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(1).established();
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        pair.restart(who);
        pair.order_move(Pair::path(WIFI, WAN2));
        pair.settle();
        the_same_sa(&pair);
        assert_eq!(pair.client().path(), Pair::path(WIFI, WAN2));
        assert_eq!(pair.gateway().peer_moves().last(), Some(&(Pair::path(WIFI, WAN2).reversed(), true)));
        // Message ids went on where they were: 0 and 1 at set-up, then two moves.
        let ids: Vec<u32> =
            pair.requests_of(CLIENT).iter().filter_map(|told| Some(told.header()?.message_id)).collect();
        assert_eq!(ids, [2, 3]);
    }
}

// req: M3.2-3
#[test]
fn begun_again_ten_times_each_it_still_closes_as_it_should() {
    let mut pair = Pair::new(1).established();
    for round in 0..10 {
        pair.restart(if round % 2 == 0 { CLIENT } else { GATEWAY });
        let probe = pair.probe(CLIENT, None);
        pair.settle();
        assert_eq!(pair.client().checked().last().map(|(_, generation)| *generation), Some(probe));
    }
    the_same_sa(&pair);
    pair.close(CLIENT);
    pair.settle();
    assert!(pair.hosts.iter().all(|host| host.engine.population() == Population::default()));
    assert_eq!(pair.gateway().downs()[0].1, DownReason::PeerDeleted);
}

// req: M3.2-3
#[test]
fn an_unanswered_update_goes_on_with_the_same_octets() {
    // UPDATE -->  lost; the client ends and begins again; the same octets -->  <-- answer
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(CLIENT).request(INFO));
    let generation = pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    pair.restart(CLIENT);
    pair.settle();
    the_same_sa(&pair);
    assert_eq!(pair.client().moved(), [(Pair::path(LTE, WAN), generation)]);
    let updates = pair.requests_of(CLIENT);
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[0].bytes, updates[1].bytes);
}

// req: M3.2-3
#[test]
fn what_waited_for_the_window_is_asked_after_the_restart() {
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(CLIENT).request(INFO));
    pair.order_move(Pair::path(LTE, WAN));
    let generation = pair.order_move_with(Pair::path(LTE, WAN2), Some(&[LTE, WIFI]));
    pair.run_for(ms(100));
    pair.restart(CLIENT);
    pair.settle();
    the_same_sa(&pair);
    assert_eq!(pair.client().moved(), [(Pair::path(LTE, WAN2), generation)]);
    assert_eq!(pair.gateway().peer_lists().last(), Some(&&[WIFI][..]));
}

// req: M3.2-3
#[test]
fn a_repeated_request_gets_the_answer_that_was_given_before_the_restart() {
    // UPDATE -->  <-- answer, lost; the gateway ends and begins again; UPDATE again -->  <-- the same octets
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(GATEWAY).answer(INFO));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    pair.restart(GATEWAY);
    pair.settle();
    the_same_sa(&pair);
    let answers: Vec<_> = pair.said(|told| told.from == GATEWAY && told.answers(INFO)).collect();
    assert_eq!(answers[0].bytes, answers[1].bytes);
    assert_eq!(pair.gateway().count("repeats_answered"), 1);
    assert_eq!(pair.gateway().count("updates_taken"), 0, "it was taken before");
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)], "proven by COOKIE2 in the end");
}

// req: M3.2-3
#[test]
fn a_return_routability_check_under_way_goes_on_with_the_same_cookie() {
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(GATEWAY).request(INFO));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(200));
    assert!(pair.gateway().peer_moves().is_empty(), "not proven yet");
    pair.restart(GATEWAY);
    pair.settle();
    the_same_sa(&pair);
    let checks = pair.requests_of(GATEWAY);
    assert!(checks.iter().all(|check| check.bytes == checks[0].bytes) && checks.len() == 2);
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)]);
}

// req: M3.2-3
#[test]
fn what_was_recorded_before_a_restart_moves_nothing_after_it() {
    let mut pair = Pair::new(1).established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    pair.restart(GATEWAY);
    let recorded: Vec<Vec<u8>> = pair.requests_of(CLIENT).iter().map(|told| told.bytes.clone()).collect();
    let thief = Pair::path(LTE, WAN2);
    for bytes in &recorded {
        pair.replay(thief.local, thief.remote, bytes);
    }
    pair.settle();
    the_same_sa(&pair);
    assert_eq!(pair.gateway().count("updates_taken"), 0);
    assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN).reversed());
    assert_eq!(pair.gateway().count("dropped_outside_window"), 1, "the older one; the last one is answered again");
}

// req: M3.2-3
#[test]
fn the_newest_list_and_the_window_of_the_peer_are_remembered() {
    let mut pair = Pair::new(1).windows(4);
    pair.allow_window(4);
    let mut pair = pair.established();
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.settle();
    pair.restart(GATEWAY);
    pair.restart(CLIENT);
    // Four requests may be out at once, as before.
    for _ in 0..4 {
        pair.probe(CLIENT, None);
    }
    assert_eq!(pair.requests_of(CLIENT).len(), 1 + 4);
    pair.settle();
    pair.announce(CLIENT, &[WIFI], None);
    pair.settle();
    the_same_sa(&pair);
    assert_eq!(pair.gateway().peer_lists(), [&[LTE][..], &[]]);
}

// req: M3.2-3
#[test]
fn no_newcomer_gets_the_address_that_a_resumed_peer_holds() {
    let pool = Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, 9].into())), ..Pool::default() };
    let mut pair = Pair::new(1)
        .client_profile(|profile| {
            profile.request_virtual_ip = RequestVip { v4: true, v6: false };
            profile.local_ts = Vec::new();
        })
        .gateway_profile(|profile| {
            profile.pool = Some(pool);
            profile.remote_ts = Vec::new();
        })
        .established();
    let first = pair.gateway().up().virtual_ips.clone();
    pair.restart(GATEWAY);
    pair.connect();
    let leased: Vec<_> = pair.gateway().ups().iter().flat_map(|up| up.virtual_ips.clone()).collect();
    assert_eq!(leased.len(), 2);
    assert_eq!(leased[0], first[0]);
    assert_ne!(leased[0], leased[1]);
    // It comes free with the resumed SA.
    let resumed = pair.gateway().ups()[0].sa;
    pair.order(GATEWAY, Command::Close { sa: resumed, why: "end".into() });
    pair.settle();
    pair.connect();
    assert_eq!(pair.gateway().ups()[2].virtual_ips, first);
}

// req: M3.2-3
#[test]
fn a_crash_that_lost_requests_of_the_peer_does_not_lose_the_sa() {
    for lost in [1, 2, 20] {
        let mut pair = Pair::new(1).established();
        let parked = pair.parked(GATEWAY);
        for _ in 0..lost {
            pair.probe(CLIENT, None);
            pair.settle();
        }
        pair.crash(GATEWAY, &parked);
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        the_same_sa_with_other_keys(&pair);
        assert_eq!(pair.gateway().path(), Pair::path(LTE, WAN).reversed());
        // And from then on ids are as strict as ever.
        pair.run_for(secs(200));
        let ahead = Forged { sender: Role::Initiator, exchange: INFO, id: 90, response: false };
        let ahead = pair.forge(ahead, &[]);
        pair.inject(GATEWAY, Pair::path(LTE, WAN).reversed(), &ahead);
        assert_eq!(pair.gateway().count("dropped_outside_window"), 1);
    }
}

// req: M3.2-3
#[test]
fn a_crash_that_lost_one_request_of_ours_is_mended_by_the_peers_repeated_answer() {
    let mut pair = Pair::new(1).established();
    let parked = pair.parked(CLIENT);
    pair.probe(CLIENT, None);
    pair.settle();
    // The rule against other octets under one id is what a crash costs.
    pair.rules_for_a_crash();
    pair.crash(CLIENT, &parked);
    pair.run_for(secs(5));
    assert_eq!(pair.gateway().count("repeats_answered"), 1, "the first test after a crash");
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    the_same_sa_with_other_keys(&pair);
    assert_eq!(pair.gateway().path(), Pair::path(LTE, WAN).reversed());
}

// req: M3.2-3
#[test]
fn out_of_step_after_a_crash_either_end_finds_the_id_that_its_peer_waits_for() {
    for (who, other) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT)] {
        for lost in [2, 3, 7, 20, 30] {
            let mut pair = Pair::new(1).established();
            let parked = pair.parked(who);
            (0..lost).for_each(|_| {
                pair.probe(who, None);
                pair.settle();
            });
            pair.rules_for_a_crash();
            pair.crash(who, &parked);
            pair.run_for(secs(8));
            let probe = pair.probe(who, None);
            pair.settle();
            let answered = pair.host(who).checked().last().map(|(_, generation)| *generation);
            assert_eq!(answered, Some(probe), "{who:?} lost {lost}");
            assert!(pair.host(who).downs().is_empty() && pair.host(other).downs().is_empty(), "{who:?} lost {lost}");
        }
    }
}

// req: M3.2-3
#[test]
fn what_was_asked_before_a_crash_and_answered_unheard_is_asked_anew() {
    // UPDATE, lost; written down; UPDATE again -->  <-- answer; three tests -->  <-- answers; a crash
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(CLIENT).request(INFO));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    let parked = pair.parked(CLIENT);
    (0..3).for_each(|_| {
        pair.settle();
        pair.probe(CLIENT, None);
    });
    pair.settle();
    pair.rules_for_a_crash();
    pair.crash(CLIENT, &parked);
    pair.run_for(secs(8));
    assert!(pair.client().downs().is_empty());
    assert_eq!(pair.client().moved().len(), 2, "the move that was answered before, and once more");
    assert_eq!(pair.gateway().path(), Pair::path(LTE, WAN).reversed());
}

// req: M3.2-3
#[test]
fn an_initiator_that_hears_its_peer_after_a_crash_is_as_patient_as_ever() {
    let mut pair = Pair::new(1).established();
    let parked = pair.parked(CLIENT);
    pair.crash(CLIENT, &parked);
    pair.run_for(secs(1));
    assert_eq!(pair.requests_of(CLIENT).len(), 2, "one test, though nothing was due; the end of old keys");
    pair.net.unplug(WAN);
    pair.probe(CLIENT, None);
    pair.run_for(secs(60));
    assert!(pair.client().downs().is_empty());
}

// req: M3.2-3
#[test]
fn resumed_twice_from_the_same_octets_no_iv_is_used_twice() {
    // Against all rules: whoever stores them makes sure that it does not happen. The rules of the stage look at each IV.
    let mut pair = Pair::new(1).established();
    let parked = pair.parked(CLIENT);
    let mut ivs = BTreeSet::new();
    for _ in 0..50 {
        pair.rules_for_a_crash();
        pair.crash(CLIENT, &parked);
        pair.run_for(secs(1));
        let last = pair.requests_of(CLIENT).last().map(|told| told.bytes[32..40].to_vec());
        assert!(ivs.insert(last.expect("a test")));
    }
}

// req: M3.2-3
#[test]
fn a_thousand_that_come_back_speak_one_after_the_other() {
    const MANY: usize = 200;
    let mut pair = Pair::new(1);
    for _ in 0..MANY {
        pair.connect_over(&[(WIFI, WAN)]);
    }
    pair.settle();
    let parked = pair.parked(GATEWAY);
    assert_eq!(parked.len(), MANY);
    let begin = pair.now;
    pair.crash(GATEWAY, &parked);
    pair.run_for(secs(2));
    let first = |told: &&&stage::Told| told.header().is_some_and(|header| header.message_id == 0);
    let tests: Vec<u64> = pair.requests_of(GATEWAY).iter().filter(first).map(|told| told.at.0 - begin.0).collect();
    assert_eq!(tests.len(), MANY, "each is tested once, before it gets new keys");
    for (nth, at) in tests.iter().enumerate() {
        let turn = nth as u64 * 500_000;
        assert!((turn..turn + 3_000_000).contains(at), "test {nth} after {at} ns");
    }
}

// req: M3.2-3
#[test]
fn those_parked_in_order_do_not_test_their_peers_at_once_nor_together() {
    const MANY: usize = 100;
    let mut pair = Pair::new(1).gateway_profile(|profile| profile.liveness = secs(30));
    for _ in 0..MANY {
        pair.connect_over(&[(WIFI, WAN)]);
    }
    pair.settle();
    let begin = pair.now;
    pair.restart(GATEWAY);
    pair.run_for(secs(31));
    let after = |told: &&stage::Told| told.at.0.checked_sub(begin.0);
    let tests: Vec<u64> = pair.requests_of(GATEWAY).iter().filter_map(after).collect();
    let of_second = |second: u64| tests.iter().filter(|at| **at / 1_000_000_000 == second).count();
    assert!((0..15).all(|second| of_second(second) == 0));
    assert!((15..31).all(|second| of_second(second) < MANY / 4) && tests.len() == MANY, "{tests:?}");
}

// req: M3.2-3
#[test]
fn damaged_octets_are_refused_and_change_nothing() {
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(CLIENT).request(INFO));
    pair.order_move_with(Pair::path(LTE, WAN), Some(&[LTE, WIFI]));
    let whole = pair.parked(CLIENT).remove(0);
    let profile = Arc::new(pair.profile_of(CLIENT));
    let fresh = |pair: &mut Pair| {
        pair.reboot(CLIENT, Settings::default());
        pair.order(CLIENT, Command::SetProfile { id: PROFILE, profile: Arc::clone(&profile) });
    };
    fresh(&mut pair);
    for length in 0..whole.len() {
        let refused = pair.resume(CLIENT, &[whole[..length].to_vec()], Standing::Sure);
        assert!(refused.is_err(), "{length} of {} octets", whole.len());
    }
    assert!(matches!(
        pair.resume(CLIENT, &[[&whole[..], &[0]].concat()], Standing::Sure),
        Err(ResumeError::Damaged(_))
    ));
    assert_eq!(pair.client().engine.population(), Population::default());
    assert!(pair.client().engine.poll_timeout().is_none());
    // Whatever an octet is changed to, nothing panics; what is refused leaves the engine as it was.
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            match pair.resume(CLIENT, &[changed], Standing::Doubtful) {
                Err(_) => assert_eq!(pair.client().engine.population(), Population::default()),
                Ok(_) => fresh(&mut pair),
            }
        }
    }
    assert!(pair.resume(CLIENT, &[whole], Standing::Sure).is_ok());
}

// req: M3.2-3
#[test]
fn a_refusal_says_what_is_wrong() {
    let mut pair = Pair::new(1).established();
    let parked = pair.parked(CLIENT);
    let refusal = |pair: &mut Pair, parked: &[Vec<u8>]| {
        pair.resume(CLIENT, parked, Standing::Sure).expect_err("refused").to_string()
    };
    assert!(refusal(&mut pair, &parked).contains("another SA sits"));
    pair.reboot(CLIENT, Settings::default());
    assert_eq!(refusal(&mut pair, &parked), "its connection \"story\" is not configured any more");
    // Format 1 says neither who of both may move, nor whether a move of the peer waits, nor the cookie of an update.
    // Format 2 says nothing of the names of Child SAs, format 3 nothing of doubts that nobody has dispelled,
    // format 4 nothing of what a gateway told besides inner addresses, format 5 nothing of further key exchanges.
    for format in [1, 2, 3, 4, 5, VERSION + 1] {
        let other = vec![[&[format], &parked[0][1..]].concat()];
        let why = format!("it has format {format}, and this version of mobike reads format {VERSION}");
        assert_eq!(refusal(&mut pair, &other), why);
    }
    pair.reboot(CLIENT, Settings { shard: 3, shards: 4, ..Settings::default() });
    let profile = Arc::new(pair.profile_of(CLIENT));
    pair.order(CLIENT, Command::SetProfile { id: PROFILE, profile });
    assert_eq!(refusal(&mut pair, &parked), "its SPIs name shard 0");
}

// req: M3.2-3
#[test]
fn only_what_changed_is_told_as_changed() {
    let mut pair = Pair::new(1);
    pair.hosts.iter_mut().for_each(|host| host.engine.keep_track());
    let mut pair = pair.established();
    let sa = pair.client().sa();
    let changed = |pair: &mut Pair, who: HostId| pair.hosts[who.0].engine.take_changed(10);
    assert_eq!(changed(&mut pair, CLIENT), [sa]);
    assert!(changed(&mut pair, CLIENT).is_empty());
    pair.probe(CLIENT, None);
    pair.probe(CLIENT, None);
    assert_eq!(changed(&mut pair, CLIENT), [sa], "once, however often");
    pair.settle();
    assert_eq!(changed(&mut pair, CLIENT), [sa], "its answers came");
    let traffic = mobike_ike::Traffic { heard: true, ..Default::default() };
    let now = pair.now;
    pair.hosts[CLIENT.0].engine.note_traffic(now, sa, traffic);
    assert_eq!(changed(&mut pair, CLIENT), [sa]);
    pair.close(CLIENT);
    pair.settle();
    assert!(changed(&mut pair, CLIENT).is_empty(), "it is gone");
}

// req: M3.2-3
#[test]
fn one_that_ends_is_not_parked_and_one_that_is_forgotten_leaves_no_trace() {
    let mut pair = Pair::new(1).established();
    let sa = pair.gateway().sa();
    let said = pair.told.len();
    pair.hosts[GATEWAY.0].engine.forget(sa);
    assert_eq!(pair.gateway().engine.population(), Population::default());
    assert!(pair.gateway().engine.poll_timeout().is_none());
    pair.run_for(secs(1));
    assert_eq!(pair.told.len(), said, "nobody was told");
    pair.net.unplug(WAN);
    let sa = pair.close(CLIENT);
    assert!(pair.client().engine.park(sa).is_none());
}

// req: M3.2-3
#[test]
fn delayed_messages_from_before_the_restart_do_no_harm() {
    let mut pair = Pair::new(1).established();
    pair.net.plan(Which::of(CLIENT).request(INFO), Fate::Late(secs(3)));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(50));
    pair.restart(GATEWAY);
    pair.run_for(ms(50));
    pair.restart(CLIENT);
    pair.settle();
    the_same_sa(&pair);
    assert_eq!(pair.client().moved().last(), Some(&(Pair::path(LTE, WAN), Generation(1))));
    assert!(pair.requests_of(CLIENT).iter().all(|told| told.carries(UPDATE)));
}

// A rekey of the IKE SA goes on over a restart: with the same octets, and with the secrets that its answer needs.
#[test]
fn a_restart_while_the_ike_sa_is_being_replaced_goes_on_with_it() {
    for who in [CLIENT, GATEWAY] {
        for both in [false, true] {
            for wait in [0, 5, 12, 15, 25] {
                let mut pair = Pair::new(900 + wait).established();
                for asks in if both { vec![CLIENT, GATEWAY] } else { vec![who] } {
                    let sa = pair.host(asks).sa();
                    pair.order(asks, Command::Rekey { sa });
                }
                pair.run_for(ms(wait));
                pair.restart(who);
                pair.run_for(secs(60));
                assert_eq!(pair.client().rekeys().last(), pair.gateway().rekeys().last(), "{wait} {both}");
                for host in [pair.client(), pair.gateway()] {
                    assert!((1..=2).contains(&host.rekeys().len()), "{} {wait}", host.name);
                    assert_eq!(host.downs(), [], "{} {wait}", host.name);
                }
                let before = pair.client().checked().len();
                pair.probe(CLIENT, None);
                pair.settle();
                assert_eq!(pair.client().checked().len(), before + 1, "{wait} {both}");
            }
        }
    }
}
