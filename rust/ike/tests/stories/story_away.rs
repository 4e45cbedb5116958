//! Stories of an end that is away by agreement (docs/extensions/away.md).

use crate::stage;

use core::time::Duration;

use mobike_ike::event::{AwayRefusal, DownReason};
use mobike_ike::profile::{Pool, RequestVip, ReturnRoutability};
use mobike_ike::wire::AWAY;
use mobike_ike::{Command, Extensions, Path, Traffic};
use stage::{
    CLIENT, Event, ExchangeType, Fate, GATEWAY, HostId, LTE, Nanos, NotifyType, Pair, WAN, WAN2, WIFI, Which, ip, ms,
    secs,
};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;
const HOUR: Duration = secs(3600);
const MOVE: NotifyType = NotifyType::UPDATE_SA_ADDRESSES;

/// Both offer it; both would test a silent peer, and the client leases an inner address.
fn pair() -> Pair {
    Pair::new(1)
        .client_profile(|profile| {
            profile.extensions = Extensions::AWAY;
            profile.liveness = secs(30);
            profile.request_virtual_ip = RequestVip { v4: true, v6: false };
            profile.local_ts.clear();
        })
        .gateway_profile(|profile| {
            profile.extensions = Extensions::AWAY;
            profile.liveness = secs(30);
            profile.remote_ts.clear();
            profile.pool = Some(Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, 1].into())), ..Pool::default() });
        })
}

fn ask_leave(pair: &mut Pair, who: HostId, span: Duration) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::Away { sa, span });
}

fn gone(pair: Pair, span: Duration) -> Pair {
    let mut pair = pair.established();
    ask_leave(&mut pair, CLIENT, span);
    pair.run_for(secs(1));
    pair
}

fn refusals(pair: &Pair, who: HostId) -> Vec<AwayRefusal> {
    let refusal = |event: &Event| if let Event::AwayRefused { why, .. } = event { Some(*why) } else { None };
    pair.host(who).events.iter().filter_map(|(_, event)| refusal(event)).collect()
}

/// What each end said about absences, in seconds: the client's own, and the client's as the gateway has it.
fn leaves(pair: &Pair) -> (Vec<u64>, Vec<u64>) {
    let span = |event: &Event| match event {
        Event::Away { span, .. } | Event::PeerAway { span, .. } => Some(span.as_secs()),
        _ => None,
    };
    let of = |who: HostId| pair.host(who).events.iter().filter_map(|(_, event)| span(event)).collect();
    (of(CLIENT), of(GATEWAY))
}

fn said_since(pair: &Pair, since: Nanos) -> Vec<String> {
    pair.told.iter().filter(|told| told.at >= since).map(stage::Told::title).collect()
}

fn comes_back(pair: &mut Pair, path: Path) {
    let since = pair.now;
    pair.order_move(path);
    pair.run_for(secs(1));
    let asked = pair.told.iter().filter(|told| told.at >= since && told.from == CLIENT && told.asks(INFO)).count();
    assert_eq!(asked, 1, "one exchange is all it takes: {:?}", said_since(pair, since));
}

// req: D5.4-1
#[test]
fn while_the_client_is_away_nobody_says_a_word_and_it_comes_back_from_anywhere_with_one_exchange() {
    // INFORMATIONAL { N(AWAY, 3600) } -->   the same back, and then nothing for half an hour
    let mut pair = gone(pair(), HOUR);
    assert_eq!(leaves(&pair), (vec![3600], vec![3600]));
    let quiet = pair.now;
    pair.net.unplug(WIFI);
    pair.run_for(HOUR / 2);
    assert_eq!(said_since(&pair, quiet), Vec::<String>::new());
    assert!(pair.gateway().silences().is_empty() && pair.client().silences().is_empty());
    let (client, gateway) = (pair.client().sa(), pair.gateway().sa());
    // INFORMATIONAL { N(UPDATE_SA_ADDRESSES), .. } from lte -->   N(COOKIE2) there and back
    comes_back(&mut pair, Pair::path(LTE, WAN2));
    assert_eq!((pair.client().sa(), pair.gateway().sa()), (client, gateway));
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN2).reversed(), true)]);
    assert_eq!(pair.gateway().up().virtual_ips, [ip("10.9.0.1")]);
    assert_eq!((pair.client().live_children().len(), pair.gateway().live_children().len()), (1, 1));
    // Liveness is tested again.
    let back = pair.now;
    pair.run_for(secs(40));
    assert!(!said_since(&pair, back).is_empty());
}

// req: D5.4-1
#[test]
fn policy_says_how_long_and_whether_at_all() {
    let pair_of = |most| pair().gateway_profile(|profile| profile.away_at_most = most);
    let granted = gone(pair_of(secs(600)), HOUR);
    assert_eq!(leaves(&granted), (vec![600], vec![600]));
    let refused = gone(pair_of(Duration::ZERO), HOUR);
    assert_eq!(leaves(&refused), (vec![], vec![]));
    assert_eq!(refusals(&refused, CLIENT), [AwayRefusal::ByPeer]);
    assert_eq!(refused.gateway().count("away_refused"), 1);
}

// req: D5.4-1
#[test]
fn a_peer_without_the_extension_sees_plain_mobike_and_the_operator_hears_why_not() {
    for (client, gateway) in [(Extensions::AWAY, Extensions::PATH_PROBES), (Extensions::NONE, Extensions::AWAY)] {
        let pair = pair()
            .client_profile(|profile| profile.extensions = client)
            .gateway_profile(|profile| profile.extensions = gateway);
        let mut pair = gone(pair, HOUR);
        assert_eq!(refusals(&pair, CLIENT), [AwayRefusal::NotAgreed]);
        assert!(pair.said(|told| told.carries(AWAY)).next().is_none());
        pair.order_move(Pair::path(LTE, WAN));
        pair.run_for(secs(1));
        assert_eq!(pair.gateway().peer_moves().len(), 1);
    }
}

// req: D5.4-1
#[test]
fn one_that_stays_away_too_long_is_over_at_both_ends_and_its_address_is_free_again() {
    let mut pair = gone(pair(), secs(600));
    pair.run_for(secs(598));
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    let quiet = pair.now;
    pair.run_for(secs(5));
    assert_eq!(pair.client().downs()[0].1, DownReason::AwayTooLong);
    assert_eq!(pair.gateway().downs()[0].1, DownReason::AwayTooLong);
    assert_eq!(said_since(&pair, quiet), Vec::<String>::new(), "nobody is there to be told");
    pair.connect();
    assert_eq!(pair.gateway().ups()[1].virtual_ips, [ip("10.9.0.1")]);
}

// req: D5.4-1, M3.7-1
#[test]
fn whoever_comes_back_proves_its_address_even_if_it_is_the_old_one() {
    for (policy, checks) in [(ReturnRoutability::Before, 1), (ReturnRoutability::Never, 0)] {
        let mut pair = gone(pair().gateway_profile(|profile| profile.return_routability = policy), HOUR);
        pair.run_for(secs(60));
        assert!(pair.gateway().peer_moves().is_empty());
        comes_back(&mut pair, Pair::path(WIFI, WAN));
        assert_eq!(pair.gateway().count("cookie2_passed"), checks);
        assert_eq!(pair.gateway().peer_moves(), [(Pair::path(WIFI, WAN).reversed(), true)]);
    }
}

// req: D5.4-1
#[test]
fn a_lost_request_or_answer_is_repeated_and_both_ends_agree() {
    for which in [Which::of(CLIENT).carrying(AWAY), Which::of(GATEWAY).carrying(AWAY)] {
        let mut pair = pair().established();
        pair.net.lose(which.times(2));
        ask_leave(&mut pair, CLIENT, HOUR);
        pair.run_for(secs(5));
        assert_eq!(leaves(&pair), (vec![3600], vec![3600]));
        let quiet = pair.now;
        pair.run_for(secs(600));
        assert_eq!(said_since(&pair, quiet), Vec::<String>::new());
    }
}

// req: D5.4-1
#[test]
fn what_the_gateway_wants_meanwhile_waits_until_the_client_is_back() {
    let mut pair = gone(pair(), HOUR);
    let quiet = pair.now;
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    pair.probe(GATEWAY, None);
    pair.run_for(secs(600));
    assert_eq!(said_since(&pair, quiet), Vec::<String>::new());
    comes_back(&mut pair, Pair::path(LTE, WAN));
    pair.settle();
    assert_eq!(pair.client().peer_lists(), [[WAN2]]);
}

// req: D5.4-1
#[test]
fn a_request_that_was_on_its_way_when_the_client_left_goes_on_when_it_is_back() {
    let mut pair = pair().established();
    // The client's answer is lost, and then it leaves.
    pair.net.lose(Which::of(CLIENT).answer(INFO).always());
    pair.probe(GATEWAY, None);
    pair.run_for(ms(100));
    ask_leave(&mut pair, CLIENT, HOUR);
    pair.run_for(secs(1));
    let quiet = pair.now;
    pair.run_for(secs(1200));
    assert_eq!(said_since(&pair, quiet), Vec::<String>::new());
    pair.net.no_more_plans();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert_eq!(pair.gateway().alive().len(), 1);
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)]);
}

// req: D5.4-1
#[test]
fn only_an_update_ends_an_absence() {
    let mut pair = gone(pair(), HOUR);
    // A test of the peer is answered where it came from; so is ESP opened: neither brings the client back.
    pair.note(GATEWAY, Traffic { heard: true, ..Traffic::default() });
    pair.note(GATEWAY, Traffic { elsewhere: Some(Pair::path(LTE, WAN).reversed()), ..Traffic::default() });
    let bytes = pair.forge(
        stage::Forged { sender: mobike_ike::crypto::Role::Initiator, exchange: INFO, id: 3, response: false },
        &[],
    );
    let before = pair.gateway().count("sent");
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    assert_eq!(pair.gateway().count("sent"), before + 1);
    let quiet = pair.now;
    pair.run_for(secs(600));
    assert_eq!(said_since(&pair, quiet + ms(500)), Vec::<String>::new());
    assert!(pair.gateway().peer_moves().is_empty());
}

// req: D5.4-1
#[test]
fn leave_that_a_move_overtakes_is_none_in_whatever_order_they_arrive() {
    for window in [1, 4] {
        let ends =
            pair().client_profile(|profile| profile.window = window).gateway_profile(|profile| profile.window = window);
        let mut pair = ends.established();
        pair.allow_window(window);
        pair.net.plan(Which::of(CLIENT).carrying(AWAY).times(1), Fate::Late(ms(300)));
        ask_leave(&mut pair, CLIENT, HOUR);
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        assert_eq!(refusals(&pair, CLIENT), [AwayRefusal::Overtaken], "window {window}");
        let (client, gateway) = (pair.client().path(), pair.gateway().path());
        assert_eq!((client, gateway), (Pair::path(LTE, WAN), client.reversed()));
        // Both are there: the gateway tests a silent client.
        let since = pair.now;
        pair.run_for(secs(60));
        assert!(pair.told.iter().any(|told| told.at >= since && told.from == GATEWAY && told.asks(INFO)));
        assert_eq!(pair.gateway().alive().len(), 1);
    }
}

// req: D5.4-1
#[test]
fn only_the_initiator_leaves_and_only_once_at_a_time() {
    let mut pair = pair().established();
    ask_leave(&mut pair, GATEWAY, HOUR);
    assert_eq!(refusals(&pair, GATEWAY), [AwayRefusal::NotInitiator]);
    ask_leave(&mut pair, CLIENT, HOUR);
    ask_leave(&mut pair, CLIENT, HOUR);
    pair.run_for(secs(1));
    ask_leave(&mut pair, CLIENT, HOUR);
    assert_eq!(refusals(&pair, CLIENT), [AwayRefusal::Already; 2]);
    assert_eq!(leaves(&pair), (vec![3600], vec![3600]));
}

// req: D5.4-1
#[test]
fn closing_while_away_ends_it_here_at_once_and_there_if_anybody_hears() {
    // The gateway closes: there is nobody to tell.
    let mut there = gone(pair(), HOUR);
    let quiet = there.now;
    there.close(GATEWAY);
    there.run_for(secs(60));
    assert_eq!(said_since(&there, quiet), Vec::<String>::new());
    assert!(there.gateway().alive().is_empty());
    // The client closes: the gateway hears it.
    let mut here = gone(pair(), HOUR);
    here.close(CLIENT);
    here.settle();
    assert_eq!(here.gateway().downs()[0].1, DownReason::PeerDeleted);
}

// req: D5.4-1
#[test]
fn leave_of_no_sensible_form_is_refused_and_breaks_nothing() {
    for data in [&[][..], &[0], &[0, 0, 0, 0], &[1; 5]] {
        let mut pair = pair().established();
        let forged =
            stage::Forged { sender: mobike_ike::crypto::Role::Initiator, exchange: INFO, id: 2, response: false };
        let bytes = pair.forge(forged, &[mobike_ike::wire::Payload::notify(AWAY, data)]);
        pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
        assert_eq!((pair.gateway().alive().len(), pair.gateway().count("away_refused")), (1, 1));
    }
    // With an UPDATE in one message, the update counts.
    let mut pair = pair().established();
    let forged = stage::Forged { sender: mobike_ike::crypto::Role::Initiator, exchange: INFO, id: 2, response: false };
    let payloads =
        [mobike_ike::wire::Payload::notify(MOVE, &[]), mobike_ike::wire::Payload::notify(AWAY, &[0, 0, 1, 0])];
    let bytes = pair.forge(forged, &payloads);
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    assert_eq!((pair.gateway().count("away_refused"), pair.gateway().count("updates_taken")), (1, 1));
}

// req: D5.4-1
#[test]
fn an_end_that_begins_again_still_knows_who_is_away() {
    for who in [GATEWAY, CLIENT] {
        let mut pair = gone(pair(), HOUR);
        let quiet = pair.now;
        pair.restart(who);
        pair.run_for(secs(600));
        assert_eq!(said_since(&pair, quiet), Vec::<String>::new());
        comes_back(&mut pair, Pair::path(LTE, WAN));
        assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)]);
    }
}

// req: D5.4-1
#[test]
fn path_probes_rest_too() {
    let both = Extensions::AWAY.with(Extensions::PATH_PROBES);
    let ends =
        pair().client_profile(|profile| profile.extensions = both).gateway_profile(|profile| profile.extensions = both);
    let mut pair = ends.established();
    let sa = pair.client().sa();
    let paths = [Pair::path(WIFI, WAN), Pair::path(LTE, WAN)].into();
    pair.order(CLIENT, Command::Watch { sa, paths, interval: secs(1) });
    pair.run_for(secs(5));
    assert!(pair.client().count("probe_polls_sent") > 4);
    ask_leave(&mut pair, CLIENT, HOUR);
    pair.run_for(secs(1));
    let quiet = pair.now;
    pair.run_for(secs(600));
    assert_eq!(said_since(&pair, quiet), Vec::<String>::new());
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(secs(5));
    assert_eq!(pair.gateway().peer_moves().len(), 1);
    assert_eq!(pair.gateway().count("cookie2_passed"), 1, "what probes proved before it left counts no more");
}

#[test]
fn a_leave_that_waits_for_the_window_is_not_asked_for_behind_the_move_that_overtakes_it() {
    // N(ADDITIONAL_..) from wifi, lost; the leave waits; then N(UPDATE..) from lte, and no N(AWAY) after it -->
    let mut pair = pair().established();
    pair.net.unplug(WIFI);
    pair.announce(CLIENT, &[WIFI, LTE], None);
    ask_leave(&mut pair, CLIENT, HOUR);
    pair.run_for(ms(100));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert_eq!(refusals(&pair, CLIENT), [AwayRefusal::Overtaken]);
    assert_eq!(leaves(&pair), (vec![], vec![]), "neither end is away, nor takes the other for it");
    assert!(!pair.requests_of(CLIENT).iter().any(|told| told.carries(AWAY)));
}
