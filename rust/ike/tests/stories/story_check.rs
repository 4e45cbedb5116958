//! Stories of return routability: RFC 4555 section 3.7.

use std::sync::Arc;

use crate::stage;

use mobike_ike::crypto::Role;
use mobike_ike::event::DownReason;
use mobike_ike::profile::ReturnRoutability;
use mobike_ike::wire::Payload;
use mobike_ike::{Command, Path};
use stage::{
    CLIENT, ExchangeType, Fate, Forged, GATEWAY, HostId, LTE, NotifyType, Pair, WAN, WAN2, WIFI, Which, ip, ms, secs,
};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;
const CREATE_CHILD: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const COOKIE2: NotifyType = NotifyType::COOKIE2;

/// The gateway has the UPDATE from lte, asked for proof, and hears nothing.
fn awaiting_proof(pair: Pair) -> Pair {
    let mut pair = pair.established();
    moves_without_proof(&mut pair);
    pair
}

fn moves_without_proof(pair: &mut Pair) {
    pair.net.lose(Which::of(CLIENT).answer(INFO).always());
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
}

/// The client's answer to the gateway's request `id`.
fn answer(id: u32) -> Forged {
    Forged { sender: Role::Initiator, exchange: INFO, id, response: true }
}

fn cookie_in(pair: &Pair, index: usize) -> Vec<u8> {
    let contents = pair.requests_of(GATEWAY)[index].contents.clone().unwrap_or_default();
    contents.notify(COOKIE2).map(<[u8]>::to_vec).unwrap_or_default()
}

// req: M3.7-1
#[test]
fn the_gateway_reports_a_move_only_once_it_is_proven() {
    let mut pair = awaiting_proof(Pair::new(1));
    assert_eq!(pair.client().moved().len(), 1, "the client has its answer");
    assert!(pair.gateway().peer_moves().is_empty());
    pair.net.no_more_plans();
    pair.settle();
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)]);
}

// req: M3.7-1
#[test]
fn by_policy_the_proof_comes_after_the_move_or_never() {
    let path = Pair::path(LTE, WAN).reversed();
    let after = Pair::new(1).gateway_profile(|profile| profile.return_routability = ReturnRoutability::After);
    let mut pair = awaiting_proof(after);
    assert_eq!(pair.gateway().peer_moves(), [(path, false)]);
    pair.net.no_more_plans();
    pair.settle();
    assert_eq!(pair.gateway().peer_moves(), [(path, false), (path, true)]);
    let never = Pair::new(1).gateway_profile(|profile| profile.return_routability = ReturnRoutability::Never);
    let pair = awaiting_proof(never);
    assert_eq!(pair.gateway().peer_moves(), [(path, true)]);
    assert_eq!(pair.gateway().count("cookie2_sent"), 0);
}

// req: M3.7-2, M3.7-5
#[test]
fn each_check_has_a_cookie_of_its_own_and_nat_detection() {
    let mut pair = Pair::new(1).established();
    for local in [LTE, WIFI, LTE] {
        pair.order_move(Pair::path(local, WAN));
        pair.settle();
    }
    let cookies: Vec<_> = (0..3).map(|index| cookie_in(&pair, index)).collect();
    assert!(cookies.iter().all(|cookie| (8..=64).contains(&cookie.len())));
    assert!(cookies[0] != cookies[1] && cookies[1] != cookies[2] && cookies[0] != cookies[2]);
    assert!(pair.requests_of(GATEWAY).iter().all(|told| told.carries(NotifyType::NAT_DETECTION_SOURCE_IP)));
}

// req: M3.7-3
#[test]
fn a_wrong_short_or_missing_cookie2_in_the_answer_closes_the_ike_sa() {
    for wrong in [Some(vec![7; 16]), Some(vec![7; 8]), Some(Vec::new()), None] {
        for policy in [ReturnRoutability::Before, ReturnRoutability::After] {
            let mut pair = awaiting_proof(Pair::new(1).gateway_profile(|profile| profile.return_routability = policy));
            let payloads: Vec<_> = wrong.iter().map(|cookie| Payload::notify(COOKIE2, cookie)).collect();
            let bytes = pair.forge(answer(0), &payloads);
            pair.inject(GATEWAY, Pair::path(LTE, WAN).reversed(), &bytes);
            let downs = pair.gateway().downs();
            assert_eq!(downs.len(), 1, "{wrong:?}");
            assert_eq!(downs[0].1, DownReason::WrongCookie2);
            assert_eq!(pair.gateway().count("cookie2_failed"), 1);
            assert!(pair.gateway().live_children().is_empty());
        }
    }
}

// req: M3.7-3
#[test]
fn a_cookie2_that_was_cut_short_closes_the_ike_sa() {
    let mut pair = awaiting_proof(Pair::new(1));
    let cookie = cookie_in(&pair, 0);
    let bytes = pair.forge(answer(0), &[Payload::notify(COOKIE2, &cookie[..cookie.len() - 1])]);
    pair.inject(GATEWAY, Pair::path(LTE, WAN).reversed(), &bytes);
    assert_eq!(pair.gateway().downs()[0].1, DownReason::WrongCookie2);
}

// req: M3.7-4
#[test]
fn a_check_that_went_to_two_paths_proves_neither_and_a_fresh_one_follows() {
    // N(COOKIE2) to lte, unanswered; the client moves on to wan2; the same to lte from wan2 -->  answered, means nothing
    let mut pair = awaiting_proof(Pair::new(1));
    pair.net.no_more_plans();
    pair.net.lose(Which::of(CLIENT).answer(INFO).leaving(LTE).to(WAN).always());
    pair.order_move(Pair::path(LTE, WAN2));
    pair.settle();
    let requests = pair.requests_of(GATEWAY);
    let last = requests.len() - 1;
    assert_eq!(requests[0].bytes, requests[last - 1].bytes, "re-aimed");
    assert_ne!(cookie_in(&pair, 0), cookie_in(&pair, last), "a fresh cookie");
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN2).reversed(), true)]);
    assert_eq!(pair.gateway().count("cookie2_passed"), 1);
}

// req: M3.7-3
#[test]
fn a_wrong_cookie2_closes_even_when_the_check_went_over_two_paths() {
    let mut pair = awaiting_proof(Pair::new(1));
    pair.order_move(Pair::path(LTE, WAN2));
    pair.run_for(ms(100));
    let bytes = pair.forge(answer(0), &[Payload::notify(COOKIE2, &[7; 16])]);
    pair.inject(GATEWAY, Pair::path(LTE, WAN2).reversed(), &bytes);
    assert_eq!(pair.gateway().downs()[0].1, DownReason::WrongCookie2);
}

// req: D5.5-2
#[test]
fn a_check_overtaken_by_another_move_ends_on_the_newer_path() {
    let mut pair = awaiting_proof(Pair::new(1));
    pair.net.no_more_plans();
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    let moves = pair.gateway().peer_moves();
    assert_eq!(moves, [(Pair::path(WIFI, WAN).reversed(), true)]);
}

// req: D5.5-2
#[test]
fn a_passing_loss_does_not_fail_a_check_and_silence_for_good_does() {
    let mut pair = awaiting_proof(Pair::new(1));
    pair.run_for(secs(250));
    assert!(pair.gateway().downs().is_empty() && pair.gateway().peer_moves().is_empty());
    pair.run_for(secs(100));
    assert!(matches!(pair.gateway().downs()[0].1, DownReason::PeerSilent(_)));
}

// req: M3.7-2
#[test]
fn whoever_gets_a_cookie2_copies_it_as_it_is() {
    for cookie in [&[1; 8][..], &[2; 16], &[3; 64]] {
        for sender in [Role::Initiator, Role::Responder] {
            let mut pair = Pair::new(1).established();
            let (id, to, path) = match sender {
                Role::Initiator => (2, GATEWAY, Pair::path(WIFI, WAN).reversed()),
                Role::Responder => (0, CLIENT, Pair::path(WIFI, WAN)),
            };
            let request = Forged { sender, exchange: INFO, id, response: false };
            let bytes = pair.forge(request, &[Payload::notify(COOKIE2, cookie)]);
            pair.inject(to, path, &bytes);
            let contents = pair.told.last().and_then(|told| told.contents.clone()).unwrap_or_default();
            assert_eq!(contents.notify(COOKIE2), Some(cookie));
            assert_eq!(contents.payloads.len(), 1, "no NAT detection where none was asked for");
        }
    }
}

// req: M3.7-3, M4-1
#[test]
fn a_cookie2_of_a_bad_length_in_a_request_is_a_syntax_error() {
    for cookie in [&[1; 7][..], &[], &[2; 65]] {
        let mut pair = Pair::new(1).established();
        let request = Forged { sender: Role::Initiator, exchange: INFO, id: 2, response: false };
        let update = Payload::notify(NotifyType::UPDATE_SA_ADDRESSES, &[]);
        let bytes = pair.forge(request, &[update, Payload::notify(COOKIE2, cookie)]);
        pair.inject(GATEWAY, Pair::path(LTE, WAN).reversed(), &bytes);
        let answer = pair.said(|told| told.answers(INFO)).next();
        assert!(answer.is_some_and(|told| told.carries(NotifyType::INVALID_SYNTAX)), "{} octets", cookie.len());
        assert_eq!(pair.gateway().count("updates_taken"), 0, "nothing of the request is obeyed");
        assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN).reversed());
    }
}

// req: M3.7-1
#[test]
fn a_client_that_points_at_a_victim_gets_no_traffic_moved_there() {
    // N(UPDATE_SA_ADDRESSES) as if from the victim -->   <-- N(COOKIE2) to the victim, who says nothing
    let victim = core::net::SocketAddr::new(ip("192.0.2.66"), 4500);
    let mut pair = Pair::new(1).established();
    pair.net.plan(Which::of(CLIENT).request(INFO).always(), Fate::From(victim));
    pair.order_move(Pair::path(WIFI, WAN));
    pair.run_for(secs(320));
    assert!(pair.gateway().peer_moves().is_empty());
    let to_victim: Vec<_> = pair.said(|told| told.path.remote == victim).collect();
    assert!(!to_victim.is_empty());
    let octets: usize = to_victim.iter().map(|told| told.bytes.len()).sum();
    assert!(octets < 10_000, "{octets} octets in five minutes");
    assert!(matches!(pair.gateway().downs()[0].1, DownReason::PeerSilent(_)));
}

#[test]
fn the_same_path_again_needs_no_new_proof() {
    let mut pair = Pair::new(1).established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert_eq!(pair.gateway().count("cookie2_sent"), 1);
    assert_eq!(pair.gateway().peer_moves().len(), 2);
}

// req: M3.7-1, M3.7-2
#[test]
fn the_client_has_the_gateways_new_address_proved_by_its_update() {
    for (policy, asked) in [
        (ReturnRoutability::Before, true),
        (ReturnRoutability::After, true),
        (ReturnRoutability::Never, false),
        (ReturnRoutability::Untrusted, true),
    ] {
        let mut pair = Pair::new(1).client_profile(|profile| profile.return_routability = policy).established();
        pair.order_move(Pair::path(LTE, WAN2));
        pair.settle();
        let update = pair.requests_of(CLIENT)[0].clone();
        assert_eq!(update.carries(NotifyType::COOKIE2), asked, "{policy:?}");
        assert_eq!(pair.client().moved().len(), 1);
    }
    let trusted = |profile: &mut stage::Profile| {
        profile.return_routability = ReturnRoutability::Untrusted;
        profile.paths.trusted = vec![mobike_ike::Prefix::new(WAN2, 32)];
    };
    let mut pair = Pair::new(1).client_profile(trusted).established();
    pair.order_move(Pair::path(LTE, WAN2));
    pair.settle();
    assert!(!pair.requests_of(CLIENT)[0].carries(NotifyType::COOKIE2));
}

// req: M3.7-1, M3.7-3
#[test]
fn an_answer_to_an_update_without_the_clients_cookie_closes_the_ike_sa() {
    for wrong in [None, Some([9; 16])] {
        let mut pair = Pair::new(1).established();
        pair.net.lose(Which::of(GATEWAY).answer(ExchangeType::INFORMATIONAL));
        pair.order_move(Pair::path(LTE, WAN2));
        let id = pair.requests_of(CLIENT)[0].header().map(|header| header.message_id).unwrap_or_default();
        let forged = Forged { sender: Role::Responder, exchange: ExchangeType::INFORMATIONAL, id, response: true };
        let payloads: Vec<Payload<'_>> =
            wrong.iter().map(|cookie| Payload::notify(NotifyType::COOKIE2, cookie)).collect();
        let message = pair.forge(forged, &payloads);
        pair.inject(CLIENT, Pair::path(LTE, WAN2), &message);
        assert!(pair.client().alive().is_empty(), "{wrong:?}");
        assert!(pair.client().moved().is_empty());
    }
}

/// The only Child SA is gone.
fn without_child_sa(pair: Pair) -> Pair {
    let mut pair = pair.established();
    let child = pair.client().live_children()[0];
    pair.order(CLIENT, Command::CloseChild { child });
    pair.settle();
    pair
}

fn open_child(pair: &mut Pair, who: HostId) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::OpenChild { sa, name: Arc::from("story") });
    pair.run_for(ms(50));
}

/// Where what the newest Child SA carries goes at first.
fn newest_goes_to(pair: &Pair) -> Option<Path> {
    pair.gateway().installs().last().map(|(_, install)| install.path)
}

// req: M3.7-1
#[test]
fn a_first_child_sa_goes_where_traffic_was_until_the_peer_has_proved_where_it_is() {
    // N(UPDATE..) from lte -->   <-- N(COOKIE2), lost   SA, N, TSi, TSr -->   <-- SA, N, TSi, TSr
    for opens in [CLIENT, GATEWAY] {
        let mut pair = without_child_sa(Pair::new(6).windows(4));
        pair.allow_window(4);
        pair.net.lose(Which::of(GATEWAY).request(INFO).times(2));
        pair.order_move(Pair::path(LTE, WAN));
        pair.run_for(ms(50));
        open_child(&mut pair, opens);
        assert_eq!(pair.gateway().installs().len(), 2, "{opens:?}");
        assert_eq!(newest_goes_to(&pair), Some(Pair::path(WIFI, WAN).reversed()), "{opens:?}");
        assert!(pair.gateway().peer_moves().is_empty());
        pair.run_for(secs(20));
        assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)], "{opens:?}");
    }
}

// req: M3.7-1
#[test]
fn a_child_sa_that_was_asked_for_before_the_move_waits_for_the_proof_too() {
    //     <-- SA, N, TSi, TSr, late   N(UPDATE..) from lte -->   <-- the same again, and N(COOKIE2), lost   SA, N, TSi, TSr -->
    let mut pair = without_child_sa(Pair::new(7));
    pair.net.lose(Which::of(GATEWAY).request(CREATE_CHILD).times(1));
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::OpenChild { sa, name: Arc::from("story") });
    pair.net.lose(Which::of(GATEWAY).request(INFO).times(2));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    assert_eq!(newest_goes_to(&pair), Some(Pair::path(WIFI, WAN).reversed()));
    pair.run_for(secs(20));
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)]);
}

// req: M3.7-1
#[test]
fn of_two_moves_without_proof_traffic_waits_where_it_was_before_both() {
    let mut pair = without_child_sa(Pair::new(8));
    moves_without_proof(&mut pair);
    pair.order_move(Pair::path(LTE, WAN2));
    pair.run_for(ms(50));
    open_child(&mut pair, CLIENT);
    assert_eq!(newest_goes_to(&pair), Some(Pair::path(WIFI, WAN).reversed()));
}

// req: M3.7-1
#[test]
fn where_traffic_waits_is_known_after_a_restart_as_well() {
    let mut pair = without_child_sa(Pair::new(9));
    moves_without_proof(&mut pair);
    pair.restart(GATEWAY);
    open_child(&mut pair, CLIENT);
    assert_eq!(newest_goes_to(&pair), Some(Pair::path(WIFI, WAN).reversed()));
}

// req: M3.7-1
#[test]
fn where_no_proof_is_waited_for_a_first_child_sa_goes_where_the_peer_is() {
    for policy in [ReturnRoutability::After, ReturnRoutability::Never] {
        let mut pair = without_child_sa(Pair::new(6).gateway_profile(|profile| profile.return_routability = policy));
        pair.net.lose(Which::of(GATEWAY).request(INFO).times(2));
        pair.order_move(Pair::path(LTE, WAN));
        pair.run_for(ms(50));
        open_child(&mut pair, CLIENT);
        assert_eq!(newest_goes_to(&pair), Some(Pair::path(LTE, WAN).reversed()), "{policy:?}");
    }
}
