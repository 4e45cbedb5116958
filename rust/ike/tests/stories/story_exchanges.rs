//! Stories of what is remembered of exchanges: each once, how often it was sent and what came of it, and not without end.

#![allow(clippy::unwrap_used, reason = "a story that cannot go on fails")]

use crate::stage;

use core::time::Duration;
use mobike_ike::crypto::IkeSuite;
use mobike_ike::profile::Unique;
use mobike_ike::sa::trace::KEPT;
use mobike_ike::{Asked, Exchange, Topic};
use stage::{
    CLIENT, Command, Event, ExchangeType, GATEWAY, HostId, LTE, NotifyType, Pair, Profile, WAN, WIFI, Which, secs,
};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;
const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;

/// Of the IKE SA that came up last, from its set-up on.
fn all(pair: &Pair, who: HostId) -> Vec<Exchange> {
    let host = pair.host(who);
    host.alive().last().and_then(|sa| host.engine.exchanges(*sa)).unwrap_or_default()
}

/// The same behind the set-up.
fn told(pair: &Pair, who: HostId) -> Vec<Exchange> {
    let in_set_up = |each: &Exchange| matches!(each.topic, Topic::Init | Topic::Auth);
    all(pair, who).into_iter().skip_while(in_set_up).collect()
}

fn rungs(pair: &Pair, who: HostId) -> Vec<(Topic, u32, Option<NotifyType>)> {
    let all = all(pair, who);
    assert!(all.iter().all(|each| each.ours == (who == CLIENT) && each.answered), "{all:?}");
    assert!(all.windows(2).all(|two| two[0].at <= two[1].at), "{all:?}");
    all.iter().map(|each| (each.topic, each.id, each.error)).collect()
}

fn suites(names: &[&str]) -> Vec<IkeSuite> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn a_set_up_is_remembered_as_it_went() {
    let mut pair = Pair::new(1);
    pair.net.lose(Which::of(CLIENT).request(INIT));
    let pair = pair.established();
    for who in [CLIENT, GATEWAY] {
        assert_eq!(rungs(&pair, who), [(Topic::Init, 0, None), (Topic::Auth, 1, None)]);
        let all = all(&pair, who);
        assert_eq!((all[0].sent, all[0].many_paths, all[1].sent), (if who == CLIENT { 2 } else { 1 }, false, 1));
        assert!(all.iter().all(|each| each.took.is_some() == (who == CLIENT)), "{all:?}");
    }
    let ours = all(&pair, CLIENT);
    assert!(ours[0].took > Some(Duration::from_millis(400)) && ours[1].took < ours[0].took, "{ours:?}");
    assert_eq!(ours[0].at, Pair::new(1).now, "asked when it was first sent");
    let told = ours.iter().map(|each| each.topic.exchange()).collect::<Vec<_>>();
    assert_eq!(told, [Some(INIT), Some(ExchangeType::IKE_AUTH)]);
}

#[test]
fn requests_of_a_set_up_that_come_twice_are_counted_at_the_gateway() {
    let mut pair = Pair::new(1);
    pair.net.lose(Which::of(GATEWAY).answer(INIT));
    pair.net.lose(Which::of(GATEWAY).answer(ExchangeType::IKE_AUTH));
    let pair = pair.established();
    for who in [CLIENT, GATEWAY] {
        assert_eq!(all(&pair, who).iter().map(|each| each.sent).collect::<Vec<_>>(), [2, 2], "{who:?}");
    }
}

#[test]
fn a_set_up_that_goes_round_by_another_path_says_so() {
    let mut pair = Pair::new(1);
    pair.net.blackhole_both(WIFI, WAN);
    pair.connect_over(&[(WIFI, WAN), (LTE, WAN)]);
    pair.settle();
    let ours = all(&pair, CLIENT);
    assert_eq!((ours[0].topic, ours[0].sent, ours[0].many_paths), (Topic::Init, 2, true));
    assert_eq!((ours[1].topic, ours[1].sent, ours[1].many_paths), (Topic::Auth, 1, false));
}

#[test]
fn a_cookie_and_another_key_exchange_that_were_asked_for_have_their_rungs() {
    let pair = Pair::new(1)
        .settings(|settings| settings.half_open.cookie_threshold = 0)
        .client_profile(|profile| {
            profile.ike_suites = suites(&["aes256gcm16-prfsha384-ecp256", "aes256gcm16-prfsha384-x25519"]);
        })
        .established();
    // IKE_SA_INIT -->  <-- N(COOKIE)   N(COOKIE), IKE_SA_INIT KE(P-256) -->  <-- N(INVALID_KE_PAYLOAD)   .. KE(X25519) -->
    let ours = [
        (Topic::Init, 0, Some(NotifyType::COOKIE)),
        (Topic::InitAgain, 0, Some(NotifyType::INVALID_KE_PAYLOAD)),
        (Topic::InitAgain, 0, None),
        (Topic::Auth, 1, None),
    ];
    assert_eq!(rungs(&pair, CLIENT), ours);
    // What the gateway has answered without keeping anything it does not know of.
    assert_eq!(rungs(&pair, GATEWAY), ours[2..]);
}

#[test]
fn further_key_exchanges_of_a_set_up_are_one_rung() {
    let hybrid = suites(&["aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_ecp256"]);
    let pair = Pair::new(1)
        .client_profile(|profile| profile.ike_suites = hybrid.clone())
        .gateway_profile(|profile| profile.ike_suites = hybrid)
        .established();
    for who in [CLIENT, GATEWAY] {
        assert_eq!(rungs(&pair, who), [(Topic::Init, 0, None), (Topic::Intermediate, 2, None), (Topic::Auth, 3, None)]);
        let between = all(&pair, who)[1];
        assert_eq!((between.times, between.since < between.at), (2, true), "{who:?}");
    }
}

#[test]
fn a_child_sa_that_is_refused_in_the_set_up_is_told_with_it() {
    let pair = Pair::new(1)
        .client_profile(|profile| profile.esp_suites = stage::children::suites(&["aes256gcm16"]))
        .gateway_profile(|profile| profile.esp_suites = stage::children::suites(&["chacha20poly1305"]))
        .client_profile(|profile| stage::children::more(profile, "other", "10.9.0.0/24", "10.8.0.0/24"));
    let mut pair = pair;
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(1));
    let refused = |who| all(&pair, who).iter().find(|each| each.topic == Topic::Auth).map(|each| each.error);
    for who in [CLIENT, GATEWAY] {
        assert_eq!(refused(who), Some(Some(NotifyType::NO_PROPOSAL_CHOSEN)), "{who:?}");
    }
}

#[test]
fn what_a_timer_gives_up_came_of_the_request_that_nobody_answered() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(30)).established();
    pair.net.unplug(WAN);
    pair.run_for(secs(400));
    let asked = pair.requests_of(CLIENT).last().and_then(|told| told.header()).unwrap();
    let by = Some(Asked { ours: true, message_id: asked.message_id });
    assert_eq!(pair.client().came_of(|event| matches!(event, Event::PathSilent { .. })), by);
    assert_eq!(pair.client().came_of(|event| matches!(event, Event::IkeSaDown { .. })), by);
    assert_eq!(pair.client().came_of(|event| matches!(event, Event::ChildDown { .. })), by);
    pair.connect();
    pair.run_for(secs(400));
    let init = Some(Asked { ours: true, message_id: 0 });
    assert_eq!(pair.client().came_of(|event| matches!(event, Event::ConnectFailed { .. })), init);
}

#[test]
fn what_is_ordered_comes_of_no_exchange_and_what_ends_another_ike_sa_of_none_of_that() {
    let unique = |profile: &mut Profile| profile.unique = Unique::Replace;
    let mut pair = Pair::new(1).gateway_profile(unique).established();
    pair.connect_over(&[(LTE, WAN)]);
    pair.settle();
    assert_eq!(pair.gateway().downs().len(), 1, "the one before");
    assert_eq!(pair.gateway().came_of(|event| matches!(event, Event::IkeSaDown { .. })), None);
    let mut pair = Pair::new(1).established();
    pair.close(CLIENT);
    pair.settle();
    assert_eq!(pair.client().came_of(|event| matches!(event, Event::IkeSaDown { .. })), None);
    let deleted = pair.gateway().came_of(|event| matches!(event, Event::IkeSaDown { .. }));
    assert!(deleted.is_some_and(|asked| !asked.ours && asked.message_id > 1 || asked.message_id == 0), "{deleted:?}");
}

fn topics(all: &[Exchange]) -> Vec<(bool, Topic)> {
    all.iter().map(|each| (each.ours, each.topic)).collect()
}

#[test]
fn both_ends_remember_what_was_asked_and_by_whom() {
    let mut pair = Pair::new(1).established();
    assert_eq!(told(&pair, CLIENT), []);
    // INFORMATIONAL { N(UPDATE_SA_ADDRESSES), .. } from lte -->  <-- answer
    //                                  <-- INFORMATIONAL { N(COOKIE2), .. }   answer -->
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    // CREATE_CHILD_SA { SA(IKE), .. } -->  <-- answer    INFORMATIONAL { D(IKE) } -->  <-- answer
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::Rekey { sa });
    pair.settle();
    let (ours, theirs) = (told(&pair, CLIENT), told(&pair, GATEWAY));
    let what = [(true, Topic::Update), (false, Topic::Check), (true, Topic::RekeyIke), (true, Topic::DeleteIke)];
    assert_eq!(topics(&ours), what);
    assert_eq!(topics(&theirs), what.map(|(ours, topic)| (!ours, topic)));
    let plain = |each: &Exchange| each.answered && each.sent == 1 && each.times == 1 && each.error.is_none();
    assert!(ours.iter().chain(&theirs).all(plain), "{ours:?}");
    assert!(ours.iter().chain(&theirs).all(|each| each.took.is_some() == each.ours), "only ours are measured");
    assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| (ours.at < theirs.at) == ours.ours), "the way takes time");
}

#[test]
fn tests_that_are_answered_at_once_are_one_rung_however_many_they_are() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(30)).established();
    let up = pair.now;
    pair.run_for(secs(95));
    for who in [CLIENT, GATEWAY] {
        let all = told(&pair, who);
        assert_eq!(topics(&all), [(who == CLIENT, Topic::Liveness)]);
        assert_eq!((all[0].times, all[0].sent), (3, 1));
        assert!(all[0].since.since(up) < secs(31) && all[0].at.since(all[0].since) > secs(59), "{all:?}");
    }
    assert_eq!(told(&pair, CLIENT)[0].id, told(&pair, GATEWAY)[0].id);
}

#[test]
fn one_that_had_to_be_repeated_has_a_rung_of_its_own() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.liveness = secs(30)).established();
    pair.run_for(secs(31));
    pair.net.lose(Which::of(CLIENT).request(INFO));
    pair.net.lose(Which::of(GATEWAY).answer(INFO));
    pair.run_for(secs(60));
    let (ours, theirs) = (told(&pair, CLIENT), told(&pair, GATEWAY));
    // The first copy is lost, the answer to the second too.
    assert_eq!(ours.iter().map(|each| (each.times, each.sent)).collect::<Vec<_>>(), [(1, 1), (1, 3)]);
    assert!(ours[1].took > ours[0].took && ours[1].took > Some(Duration::from_millis(500)), "{ours:?}");
    assert_eq!(theirs.iter().map(|each| (each.times, each.sent)).collect::<Vec<_>>(), [(2, 2)], "two came twice");
}

#[test]
fn what_is_not_answered_yet_is_told_as_well_and_with_each_path_it_took() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    pair.probe(CLIENT, None);
    pair.run_for(secs(2));
    pair.order_move(Pair::path(LTE, WAN));
    let sent = pair.requests_of(CLIENT).len();
    let all = told(&pair, CLIENT);
    assert_eq!(topics(&all), [(true, Topic::Probe)], "the update waits for room in the window");
    assert_eq!((all[0].answered, all[0].took, all[0].many_paths), (false, None, true));
    assert_eq!(usize::from(all[0].sent), sent);
    assert_eq!(told(&pair, GATEWAY), []);
}

#[test]
fn a_refusal_is_told_with_its_reason_at_both_ends() {
    let mut pair = Pair::new(1)
        .client_profile(|profile| profile.esp_suites = stage::children::suites(&["aes256gcm16-x25519"]))
        .gateway_profile(|profile| profile.esp_suites = stage::children::suites(&["aes256gcm16-ecp256"]))
        .established();
    let child = pair.client().live_children()[0];
    // CREATE_CHILD_SA { N(REKEY_SA), SA, KE(x25519), .. } -->  <-- N(NO_PROPOSAL_CHOSEN)
    pair.order(CLIENT, Command::RekeyChild { child });
    pair.settle();
    let refused = |each: &Exchange| each.error == Some(NotifyType::NO_PROPOSAL_CHOSEN);
    assert!(told(&pair, CLIENT).iter().any(|each| each.ours && each.topic == Topic::MakeChild && refused(each)));
    assert!(told(&pair, GATEWAY).iter().any(|each| !each.ours && each.topic == Topic::MakeChild && refused(each)));
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let mut pair = Pair::new(1).established();
    for _ in 0..40 {
        pair.probe(CLIENT, None);
        pair.settle();
        pair.announce(CLIENT, &[WIFI], None);
        pair.settle();
    }
    let all = told(&pair, CLIENT);
    assert_eq!(all.len(), KEPT);
    assert!(all.windows(2).all(|two| two[0].at <= two[1].at), "the latest, in their order");
    assert_eq!(told(&pair, GATEWAY).len(), KEPT);
}

#[test]
fn of_what_is_gone_or_was_begun_anew_nothing_is_told() {
    let mut pair = Pair::new(1).established();
    pair.probe(CLIENT, None);
    pair.settle();
    pair.restart(CLIENT);
    assert_eq!(told(&pair, CLIENT), [], "a restart forgets them");
    let sa = pair.client().sa();
    pair.close(CLIENT);
    pair.settle();
    assert_eq!(pair.client().engine.exchanges(sa), None);
}
