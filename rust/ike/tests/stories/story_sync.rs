//! Message ids, agreed upon after a crash (RFC 6311): strongSwan's seven cases, and what no peer tests.
//!
//! The rules of the stage hold in all of them: one id never has other octets, and no window is overrun.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::crypto::Role;
use mobike_ike::event::DownReason;
use mobike_ike::wire::Payload;
use stage::{
    CLIENT, Command, ExchangeType, Fate, Forged, GATEWAY, HostId, LTE, NotifyType, Pair, Told, WAN, WIFI, Which, ms,
    secs,
};

const SYNC: NotifyType = NotifyType::IKEV2_MESSAGE_ID_SYNC;
const SUPPORTED: NotifyType = NotifyType::IKEV2_MESSAGE_ID_SYNC_SUPPORTED;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

fn pair(seed: u64) -> Pair {
    Pair::new(seed)
        .client_profile(|profile| profile.message_id_sync = true)
        .gateway_profile(|profile| profile.message_id_sync = true)
        .established()
}

fn other(who: HostId) -> HostId {
    if who == CLIENT { GATEWAY } else { CLIENT }
}

fn ask(pair: &mut Pair, who: HostId, times: u32) {
    for _ in 0..times {
        pair.probe(who, None);
        pair.settle();
    }
}

/// Nonce and both ids of what a message says.
fn said(told: &Told) -> [u32; 3] {
    let data = told.contents.as_ref().unwrap().notify(SYNC).unwrap();
    [0, 4, 8].map(|at| u32::from_be_bytes(*data[at..].first_chunk().unwrap()))
}

fn syncs(pair: &Pair, who: HostId) -> Vec<Told> {
    pair.said(move |told| told.from == who && told.carries(SYNC)).cloned().collect()
}

/// Both ends talk to each other, and nobody is missed.
#[track_caller]
fn assert_talking(pair: &mut Pair) {
    for who in [CLIENT, GATEWAY] {
        let before = pair.host(who).checked().len();
        ask(pair, who, 2);
        assert_eq!(pair.host(who).checked().len(), before + 2, "{who:?}");
        assert_eq!(pair.host(who).downs(), [], "{who:?}");
    }
}

#[test]
fn who_crashed_asks_and_both_go_on_from_there() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(1);
        // IKE_AUTH { .., N(IKEV2_MESSAGE_ID_SYNC_SUPPORTED) } --> <-- the same
        assert_eq!(pair.arrows().matches(&SUPPORTED.to_string()).count(), 2);
        let parked = pair.parked(who);
        ask(&mut pair, who, 5);
        ask(&mut pair, other(who), 3);
        let begin = pair.told.len();
        pair.crash(who, &parked);
        pair.settle();
        // HDR(0) { N(SYNC: nonce, M1, M2) } --> <-- HDR(0) { N(SYNC: nonce, P1, P2) }
        let (asked, answered) = (syncs(&pair, who), syncs(&pair, other(who)));
        assert_eq!((asked.len(), answered.len()), (1, 1), "{who:?}");
        let ([nonce, sends, expects], [again, theirs, ours]) = (said(&asked[0]), said(&answered[0]));
        assert_eq!((nonce, sends), (again, ours));
        assert_eq!(theirs, expects + 3, "what we have forgotten of the peer's");
        let first = pair.told[begin..].iter().find(|told| told.from == who).unwrap();
        assert!(first.carries(SYNC) && first.header().unwrap().message_id == 0, "before anything else");
        let next = pair.told[begin..]
            .iter()
            .filter(|told| told.from == who && told.asks(stage::ExchangeType::CREATE_CHILD_SA));
        assert_eq!(next.map(|told| told.header().unwrap().message_id).next(), Some(sends), "new keys, as ever");
        assert_eq!((pair.host(who).count("ids_synced"), pair.host(other(who)).count("syncs_answered")), (1, 1));
        assert_talking(&mut pair);
    }
}

#[test]
fn a_lost_request_is_repeated_and_a_lost_answer_too_with_the_same_octets() {
    for who in [CLIENT, GATEWAY] {
        for lost in 0..8u32 {
            let mut pair = pair(2);
            let parked = pair.parked(who);
            ask(&mut pair, who, 2);
            pair.crash(who, &parked);
            for (bit, which) in [(1, Which::of(who)), (2, Which::of(other(who))), (4, Which::of(other(who)).after(1))] {
                if lost & bit != 0 {
                    pair.net.lose(which.carrying(SYNC));
                }
            }
            pair.settle();
            let answers = syncs(&pair, other(who));
            assert!(answers.iter().all(|told| told.bytes == answers[0].bytes), "{lost}");
            assert_eq!(pair.host(other(who)).count("syncs_answered"), 1, "{lost}");
            assert_eq!(pair.host(who).count("ids_synced"), 1, "{lost}");
            assert_talking(&mut pair);
        }
    }
}

#[test]
fn a_request_that_is_used_once_more_changes_nothing() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(3);
        let parked = pair.parked(who);
        pair.crash(who, &parked);
        pair.net.lose(Which::of(who).request(stage::ExchangeType::CREATE_CHILD_SA).always());
        pair.run_for(ms(100));
        let recorded = syncs(&pair, who)[0].clone();
        let path = recorded.path.reversed();
        // Nothing came since: it is answered as before.
        pair.inject(other(who), path, &recorded.bytes);
        assert_eq!(
            (pair.host(other(who)).count("syncs_answered"), pair.host(other(who)).count("syncs_ignored")),
            (1, 0)
        );
        pair.net.no_more_plans();
        pair.settle();
        // Something did.
        let begin = pair.told.len();
        pair.inject(other(who), path, &recorded.bytes);
        assert_eq!((pair.host(other(who)).count("syncs_ignored"), pair.told.len()), (1, begin), "{who:?}");
        assert_talking(&mut pair);
    }
}

#[test]
fn an_answer_that_is_used_once_more_is_not_believed() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(4);
        let parked = pair.parked(who);
        pair.crash(who, &parked);
        pair.settle();
        let old = syncs(&pair, other(who))[0].clone();
        let parked = pair.parked(who);
        ask(&mut pair, other(who), 3);
        pair.crash(who, &parked);
        pair.net.lose(Which::of(other(who)).carrying(SYNC));
        pair.run_for(ms(100));
        pair.inject(who, old.path.reversed(), &old.bytes);
        assert_eq!((pair.host(who).count("ids_synced"), pair.host(who).count("dropped_unasked_answer")), (0, 1));
        pair.settle();
        assert_eq!(pair.host(who).count("ids_synced"), 1);
        assert_talking(&mut pair);
    }
}

#[test]
fn without_a_word_of_both_in_ike_auth_there_is_no_such_thing() {
    for (client, gateway) in [(true, false), (false, true), (false, false)] {
        let mut pair = Pair::new(5)
            .client_profile(|profile| profile.message_id_sync = client)
            .gateway_profile(|profile| profile.message_id_sync = gateway)
            .established();
        assert_eq!(pair.arrows().matches(&SUPPORTED.to_string()).count(), usize::from(client));
        forged(&mut pair, [7, 4_000, 0]);
        assert_eq!(pair.gateway().count("syncs_answered"), 0);
        let parked = pair.parked(CLIENT);
        ask(&mut pair, CLIENT, 3);
        pair.rules_for_a_crash();
        pair.crash(CLIENT, &parked);
        pair.settle();
        assert_eq!(syncs(&pair, CLIENT).len(), 0);
        assert_talking(&mut pair);
    }
}

/// The client's request with these numbers, at the gateway. What it answers.
fn forged(pair: &mut Pair, numbers: [u32; 3]) -> Option<[u32; 3]> {
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    forged_with(pair, &data)
}

fn forged_with(pair: &mut Pair, data: &[u8]) -> Option<[u32; 3]> {
    let request = Forged { sender: Role::Initiator, exchange: INFORM, id: 0, response: false };
    let bytes = pair.forge(request, &[Payload::notify(SYNC, data)]);
    let (begin, path) = (pair.told.len(), pair.gateway().path());
    pair.inject(GATEWAY, path, &bytes);
    let answer = pair.told[begin..].iter().find(|told| told.carries(SYNC)).cloned();
    pair.told.truncate(begin);
    answer.map(|told| said(&told))
}

#[test]
fn an_id_below_what_was_answered_and_one_far_beyond_are_ignored() {
    let mut pair = pair(6);
    ask(&mut pair, CLIENT, 3);
    // IKE_SA_INIT 0, IKE_AUTH 1, three requests: 5 is next, and 0 of the gateway's
    for nonsense in [[7, 4, 0], [7, 0, 0], [7, 5 + (1 << 21), 0], [7, 5, 1 << 21], [7, u32::MAX, 0], [7, 5, 1 << 31]] {
        assert_eq!(forged(&mut pair, nonsense), None, "{nonsense:?}");
    }
    assert_eq!(pair.gateway().count("syncs_ignored"), 6);
    for misshapen in [&[][..], &[0; 11], &[0; 13]] {
        assert_eq!(forged_with(&mut pair, misshapen), None);
    }
    assert_eq!(forged(&mut pair, [7, 5, 0]), Some([7, 0, 5]));
    assert_talking(&mut pair);
}

#[test]
fn an_id_that_the_other_end_remembers_better_is_taken() {
    let mut pair = pair(7);
    // The client expects 9 of a gateway that has asked nothing yet: so 9 comes next.
    assert_eq!(forged(&mut pair, [7, 2, 9]), Some([7, 9, 2]));
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::Probe { sa, path: None, generation: stage::Generation(1) });
    let asked = pair.told.last().unwrap().header().unwrap();
    assert_eq!((asked.message_id, asked.flags.response), (9, false));
}

#[test]
fn what_is_unanswered_when_the_other_end_crashes_is_asked_again() {
    for who in [CLIENT, GATEWAY] {
        // The request is lost; the answer is; and the answer of one that was written down.
        for (late, answer) in [(false, false), (false, true), (true, true)] {
            let mut pair = pair(8);
            let asks = other(who);
            let parked = pair.parked(who);
            let which = Which::of(if answer { who } else { asks });
            let which = if answer { which.answer(INFORM) } else { which.request(INFORM) };
            pair.net.lose(which.times(2));
            pair.probe(asks, None);
            pair.run_for(ms(100));
            let parked = if late { pair.parked(who) } else { parked };
            pair.rules_for_a_crash();
            pair.allow_window(1);
            pair.crash(who, &parked);
            pair.settle();
            assert_eq!(pair.host(asks).checked().len(), 1, "{who:?} {late} {answer}");
            assert_eq!(pair.host(who).count("ids_synced"), 1);
            assert_talking(&mut pair);
        }
    }
}

#[test]
fn what_we_had_asked_when_we_crashed_is_asked_again_under_another_id() {
    let mut pair = pair(9);
    pair.net.unplug(WAN);
    pair.announce(GATEWAY, &[WAN, stage::WAN2], None);
    pair.run_for(ms(10));
    let parked = pair.parked(GATEWAY);
    pair.crash(GATEWAY, &parked);
    pair.net.plug(WAN);
    pair.settle();
    let lists = pair.client().peer_lists();
    assert!(!lists.is_empty() && lists.iter().all(|list| *list == [stage::WAN2]), "{lists:?}");
    assert_talking(&mut pair);
}

#[test]
fn both_ends_crash_at_once() {
    for lost in 0..16u32 {
        let mut pair = pair(10);
        let (client, gateway) = (pair.parked(CLIENT), pair.parked(GATEWAY));
        ask(&mut pair, CLIENT, 2);
        ask(&mut pair, GATEWAY, 3);
        for (bit, which) in [
            (1, Which::of(CLIENT).request(INFORM)),
            (2, Which::of(GATEWAY).request(INFORM)),
            (4, Which::of(CLIENT).answer(INFORM)),
            (8, Which::of(GATEWAY).answer(INFORM)),
        ] {
            if lost & bit != 0 {
                pair.net.lose(which.carrying(SYNC));
            }
        }
        pair.crash(CLIENT, &client);
        pair.crash(GATEWAY, &gateway);
        pair.settle();
        for who in [CLIENT, GATEWAY] {
            assert_eq!(pair.host(who).count("ids_synced"), 1, "{who:?}, {lost}");
        }
        assert_talking(&mut pair);
    }
}

#[test]
fn a_crash_in_a_wide_window_with_answers_missing_in_the_middle() {
    for who in [CLIENT, GATEWAY] {
        let wide = |profile: &mut stage::Profile| (profile.window, profile.message_id_sync) = (8, true);
        let mut pair = Pair::new(11).client_profile(wide).gateway_profile(wide).established();
        pair.allow_window(8);
        let parked = pair.parked(who);
        let asks = other(who);
        pair.net.lose(Which::of(asks).request(INFORM).times(1));
        pair.net.lose(Which::of(asks).request(INFORM).after(2).times(1));
        for _ in 0..5 {
            pair.probe(asks, None);
        }
        pair.run_for(ms(100));
        pair.crash(who, &parked);
        pair.settle();
        assert_eq!(pair.host(asks).checked().len(), 5, "{who:?}");
        assert_talking(&mut pair);
    }
}

#[test]
fn a_client_that_moves_while_one_end_comes_back_is_followed() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(12);
        let parked = pair.parked(who);
        ask(&mut pair, who, 2);
        pair.net.unplug(WIFI);
        pair.crash(who, &parked);
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        assert_eq!(pair.client().path(), Pair::path(LTE, WAN), "{who:?}");
        assert_eq!(pair.gateway().path(), Pair::path(LTE, WAN).reversed(), "{who:?}");
        assert_eq!(pair.host(who).count("ids_synced"), 1);
        assert_talking(&mut pair);
    }
}

#[test]
fn it_works_after_a_rekey_of_the_ike_sa_where_0_is_an_id_as_any_other() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(13);
        let sa = pair.client().sa();
        pair.order(CLIENT, Command::Rekey { sa });
        pair.settle();
        let parked = pair.parked(who);
        // Both ends have asked something under the id 0 before.
        ask(&mut pair, CLIENT, 2);
        ask(&mut pair, GATEWAY, 2);
        pair.crash(who, &parked);
        pair.settle();
        assert_eq!(pair.host(who).count("ids_synced"), 1, "{who:?}");
        assert_talking(&mut pair);
    }
}

#[test]
fn a_peer_that_has_replaced_the_ike_sa_meanwhile_does_not_sync_the_old_one() {
    let mut pair = pair(14);
    let parked = pair.parked(GATEWAY);
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::Rekey { sa });
    pair.settle();
    pair.rules_for_a_crash();
    pair.crash(GATEWAY, &parked);
    pair.run_for(secs(400));
    assert_eq!(pair.client().count("syncs_answered"), 0);
    assert!(matches!(pair.client().downs()[..], [(_, DownReason::PeerSilent(_))]), "it knows the new one alone");
}

#[test]
fn a_restart_in_good_order_needs_none_and_a_crash_after_it_does() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(15);
        pair.restart(who);
        pair.settle();
        assert_eq!(syncs(&pair, who).len(), 0);
        let parked = pair.parked(who);
        ask(&mut pair, who, 2);
        pair.crash(who, &parked);
        pair.settle();
        assert_eq!(pair.host(who).count("ids_synced"), 1, "{who:?}");
        // And what was written down while it was in doubt is in doubt.
        let mut pair = pair_in_doubt(who);
        pair.restart(who);
        pair.settle();
        assert_eq!(pair.host(who).count("ids_synced"), 1, "{who:?}");
        assert_talking(&mut pair);
    }
}

fn pair_in_doubt(who: HostId) -> Pair {
    let mut pair = pair(16);
    let parked = pair.parked(who);
    ask(&mut pair, who, 2);
    pair.net.plan(Which::of(who).carrying(SYNC), Fate::Lose);
    pair.crash(who, &parked);
    pair.run_for(ms(20));
    pair
}

#[test]
fn an_order_to_close_is_heard_after_a_crash() {
    let mut pair = pair(17);
    let parked = pair.parked(CLIENT);
    ask(&mut pair, CLIENT, 4);
    pair.crash(CLIENT, &parked);
    pair.close(CLIENT);
    pair.settle();
    assert_eq!(pair.gateway().downs().len(), 1);
}
