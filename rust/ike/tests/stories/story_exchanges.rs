//! Stories of what is remembered of exchanges: each once, how often it was sent and what came of it, and not without end.

use crate::stage;

use core::time::Duration;
use mobike_ike::sa::trace::KEPT;
use mobike_ike::{Exchange, Topic};
use stage::{CLIENT, Command, ExchangeType, GATEWAY, HostId, LTE, NotifyType, Pair, WAN, WIFI, Which, secs};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;

fn told(pair: &Pair, who: HostId) -> Vec<Exchange> {
    let host = pair.host(who);
    host.engine.exchanges(host.sa()).unwrap_or_default()
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
