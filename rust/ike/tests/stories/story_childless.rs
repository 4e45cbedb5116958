//! IKE SAs that are set up without a Child SA (RFC 6023): strongSwan's four cases, and what no peer tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::Childless;
use mobike_ike::engine::Population;
use mobike_ike::event::DownReason;
use mobike_ike::profile::{Pool, RequestVip};
use stage::children::{assert_pairs, live, more, selector, suites};
use stage::{CLIENT, Command, ExchangeType, Fate, GATEWAY, NotifyType, Pair, Profile, WAN, WIFI, Which, ip, secs};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const AUTH: ExchangeType = ExchangeType::IKE_AUTH;
const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const NOTHING: Population = Population { ike_sas: 0, half_open: 0, child_sas: 0 };

/// Both ends give the first Child SA a key exchange of its own.
fn pair(seed: u64, client: Childless, gateway: Childless) -> Pair {
    Pair::new(seed)
        .client_profile(|profile| (profile.childless, profile.esp_suites) = (client, suites(&["aes256gcm16-x25519"])))
        .gateway_profile(|profile| (profile.childless, profile.esp_suites) = (gateway, suites(&["aes256gcm16-x25519"])))
}

/// The lines of what was said in this exchange.
fn said(pair: &Pair, exchange: ExchangeType) -> Vec<String> {
    let lines = pair.arrows();
    let lines = lines.lines().filter(|line| line.contains(&format!("  {exchange} ")));
    lines.map(|line| line.split_once("  { ").map_or(String::new(), |(_, rest)| rest.into())).collect()
}

fn is_childless(line: &str) -> bool {
    line.contains("AUTH") && !["SA,", "TS_INITIATOR", "TS_RESPONDER"].iter().any(|payload| line.contains(payload))
}

fn closes(host: &stage::Host) -> Vec<DownReason> {
    host.downs().into_iter().map(|(_, why)| why).collect()
}

#[test]
fn the_first_child_sa_follows_in_an_exchange_of_its_own_with_keys_of_its_own() {
    for wish in [Childless::Prefer, Childless::Require] {
        // IKE_SA_INIT --> <-- { .., N(CHILDLESS_IKEV2_SUPPORTED) }; IKE_AUTH { IDi, AUTH } --> <-- { IDr, AUTH }
        let pair = pair(1, wish, Childless::Allow).established();
        assert!(pair.told[1].carries(NotifyType::CHILDLESS_IKEV2_SUPPORTED));
        assert!(!pair.told[0].carries(NotifyType::CHILDLESS_IKEV2_SUPPORTED), "the initiator says nothing");
        let auths = said(&pair, AUTH);
        assert!(auths.len() == 2 && auths.iter().all(|line| is_childless(line)), "{auths:?}");
        // CREATE_CHILD_SA { SA, Ni, KEi, TSi, TSr } --> <-- { SA, Nr, KEr, TSi, TSr }
        let creates = said(&pair, CREATE);
        assert!(creates.len() == 2 && creates.iter().all(|line| line.contains("KE,")), "{creates:?}");
        assert_eq!(pair.told.len(), 6);
        assert_pairs(&pair, &["story"]);
    }
}

#[test]
fn a_peer_that_knows_nothing_of_it_gets_what_it_knows_unless_that_is_not_wanted() {
    let both = |profile: &mut Profile| profile.esp_suites = suites(&["aes256gcm16"]);
    let preferred =
        pair(2, Childless::Prefer, Childless::Never).client_profile(both).gateway_profile(both).established();
    assert_eq!(preferred.told.len(), 4);
    assert_pairs(&preferred, &["story"]);
    // IKE_SA_INIT --> <-- IKE_SA_INIT without CHILDLESS_IKEV2_SUPPORTED
    let mut required = pair(2, Childless::Require, Childless::Never);
    required.connect();
    required.run_for(secs(60));
    assert!(required.said(|told| told.asks(AUTH)).next().is_none());
    assert!(required.client().failures()[0].0.to_string().contains("without CHILDLESS_IKEV2_SUPPORTED"));
    assert!(required.hosts.iter().all(|host| host.engine.population() == NOTHING && host.ups().is_empty()));
}

#[test]
fn a_gateway_that_wants_it_so_refuses_a_child_sa_in_ike_auth() {
    // IKE_AUTH { .., SA, TSi, TSr } --> <-- { N(INVALID_SYNTAX) }
    let mut pair = pair(3, Childless::Never, Childless::Require);
    pair.connect();
    assert!(pair.told[1].carries(NotifyType::CHILDLESS_IKEV2_SUPPORTED));
    assert_eq!(pair.client().failures()[0].0.to_string(), "peer answered INVALID_SYNTAX");
    assert_eq!(
        pair.gateway().notices(),
        ["IKE_AUTH refused: it asks for a Child SA, and the profile wants none there"]
    );
    pair.run_for(secs(60));
    assert!(pair.hosts.iter().all(|host| host.engine.population() == NOTHING && host.ups().is_empty()));
}

/// An IKE_SA_INIT answer says one thing in place of another.
fn swap(from: NotifyType, to: NotifyType) -> Fate {
    Fate::Rewrite(Box::new(move |bytes| {
        let says = |octets: &[u8]| octets[..4] == [0, 8, 0, 0] && octets[4..] == from.0.to_be_bytes();
        let at = bytes.windows(6).position(says).expect("an empty notification of this kind") + 4;
        bytes[at..at + 2].copy_from_slice(&to.0.to_be_bytes());
    }))
}

const FRAGMENTS: NotifyType = NotifyType::IKEV2_FRAGMENTATION_SUPPORTED;
const SUPPORTED: NotifyType = NotifyType::CHILDLESS_IKEV2_SUPPORTED;

#[test]
fn a_gateway_that_wants_none_of_it_refuses_an_ike_auth_without_child_sa() {
    let mut pair = pair(4, Childless::Require, Childless::Never);
    // Somebody on the way makes the client believe that it may.
    pair.net.plan(Which::of(GATEWAY).answer(INIT), swap(FRAGMENTS, SUPPORTED));
    pair.connect();
    assert_eq!(pair.client().failures()[0].0.to_string(), "peer answered INVALID_SYNTAX");
    assert_eq!(pair.gateway().notices(), ["IKE_AUTH refused: it asks for no Child SA, and the profile wants one"]);
    pair.run_for(secs(60));
    assert!(pair.hosts.iter().all(|host| host.engine.population() == NOTHING && host.ups().is_empty()));
}

#[test]
fn who_takes_the_announcement_away_on_the_way_is_found_out() {
    let mut pair = pair(5, Childless::Prefer, Childless::Allow);
    pair.net.plan(Which::of(GATEWAY).answer(INIT), swap(SUPPORTED, NotifyType(40_000)));
    pair.connect();
    assert_eq!(pair.client().failures()[0].0.to_string(), "peer's AUTH does not match the shared secret");
    assert!(pair.client().ups().is_empty());
}

#[test]
fn each_lost_message_is_made_good() {
    for (who, exchange) in [(CLIENT, AUTH), (GATEWAY, AUTH), (CLIENT, CREATE), (GATEWAY, CREATE)] {
        let mut pair = pair(7, Childless::Prefer, Childless::Allow);
        let which = Which::of(who);
        pair.net.lose(if who == CLIENT { which.request(exchange) } else { which.answer(exchange) });
        let pair = pair.established();
        assert_eq!(pair.client().count("retransmissions"), 1);
        assert_pairs(&pair, &["story"]);
    }
}

#[test]
fn no_child_sa_comes_up_by_itself_where_the_profile_says_so() {
    let mut pair = pair(8, Childless::Prefer, Childless::Allow).client_profile(|profile| profile.plan.start = false);
    pair.connect();
    pair.run_for(secs(100));
    assert_eq!(pair.told.len(), 4);
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    assert_pairs(&pair, &[]);
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::OpenChild { sa, name: "story".into() });
    pair.settle();
    assert_pairs(&pair, &["story"]);
}

#[test]
fn the_others_follow_the_first() {
    let start = |near: &'static str, far: &'static str| {
        move |profile: &mut Profile| {
            more(profile, "voice", near, far);
            profile.plan.others[0].start = true;
        }
    };
    let mut pair = pair(9, Childless::Require, Childless::Require)
        .client_profile(start("10.6.0.0/16", "10.7.0.0/16"))
        .gateway_profile(start("10.7.0.0/16", "10.6.0.0/16"));
    pair.connect();
    assert_pairs(&pair, &["story", "voice"]);
    let names: Vec<&str> = pair.client().named_installs().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["story", "voice"]);
}

#[test]
fn an_ike_sa_that_gets_no_first_child_sa_is_of_no_use_to_its_initiator() {
    let other = |profile: &mut Profile| profile.local_ts = vec![selector("10.77.0.0/16")];
    let mut alone = pair(10, Childless::Prefer, Childless::Allow).gateway_profile(other);
    alone.connect();
    assert_eq!(closes(alone.client()), [DownReason::NoChildSa("TS_UNACCEPTABLE".into())]);
    assert_eq!(closes(alone.gateway()), [DownReason::PeerDeleted]);
    assert_eq!(alone.client().child_failures(), [("story", "TS_UNACCEPTABLE")]);
    assert!(alone.hosts.iter().all(|host| host.engine.population() == NOTHING));
    // Where it has others it lives on.
    let voice = |profile: &mut Profile| more(profile, "voice", "10.6.0.0/16", "10.7.0.0/16");
    let mut others = pair(10, Childless::Prefer, Childless::Allow).gateway_profile(other).client_profile(voice);
    others.connect();
    assert_eq!((others.client().alive().len(), others.gateway().alive().len()), (1, 1));
}

#[test]
fn a_gateway_that_is_busy_is_asked_again() {
    let mut pair = pair(11, Childless::Require, Childless::Allow);
    pair.net.lose(Which::of(CLIENT).request(CREATE));
    pair.connect_over(&[(WIFI, WAN)]);
    assert!(pair.run_until(secs(5), |world| world.host(GATEWAY).alive().len() == 1));
    // The gateway replaces the IKE SA just then, and its peer's request finds it at that.
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::Rekey { sa });
    pair.run_for(secs(60));
    assert_eq!((closes(pair.client()), closes(pair.gateway())), (vec![], vec![]));
    assert_pairs(&pair, &["story"]);
}

/// Clients that ask for an inner address, and a gateway that has so many.
fn road_warriors(seed: u64, last: u8) -> Pair {
    pair(seed, Childless::Prefer, Childless::Allow)
        .client_profile(|profile| {
            profile.request_virtual_ip = RequestVip { v4: true, v6: false };
            profile.local_ts.clear();
        })
        .gateway_profile(|profile| {
            profile.remote_ts.clear();
            profile.pool = Some(Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, last].into())), ..Pool::default() });
        })
}

#[test]
fn an_inner_address_comes_with_ike_auth_and_the_child_sa_is_for_it() {
    let pair = road_warriors(12, 9).established();
    assert!(said(&pair, AUTH).iter().all(|line| line.contains("CP")));
    let leased = ip("10.9.0.1");
    assert_eq!((&pair.client().up().virtual_ips, &pair.gateway().up().virtual_ips), (&vec![leased], &vec![leased]));
    assert_eq!(pair.gateway().installs()[0].1.remote_ts, [selector("10.9.0.1/32")]);
    assert_pairs(&pair, &["story"]);
}

#[test]
fn without_an_inner_address_there_is_no_use_in_the_ike_sa() {
    let mut pair = road_warriors(13, 1).established();
    let first = pair.client().sa();
    // IKE_AUTH { .., CP } --> <-- { .., N(INTERNAL_ADDRESS_FAILURE) }   { D } -->
    pair.connect();
    assert!(pair.client().failures()[0].0.to_string().contains("INTERNAL_ADDRESS_FAILURE"));
    assert_eq!(pair.client().alive(), [first]);
    assert_eq!((pair.gateway().alive().len(), pair.gateway().live_children().len()), (1, 1));
}

#[test]
fn who_did_not_ask_for_an_inner_address_gets_no_child_sa_by_coming_childless() {
    let mut pair = road_warriors(14, 9).client_profile(|profile| profile.request_virtual_ip = RequestVip::default());
    pair.connect();
    // CREATE_CHILD_SA { .., TSi(its outer address), TSr } --> <-- { N(FAILED_CP_REQUIRED) }
    assert!(said(&pair, CREATE)[1].contains("FAILED_CP_REQUIRED"));
    assert_eq!(closes(pair.client()), [DownReason::NoChildSa("FAILED_CP_REQUIRED".into())]);
    assert!(pair.gateway().installs().is_empty());
}

#[test]
fn reauthentication_waits_for_the_first_child_sa_of_the_new_one() {
    let mut pair = pair(15, Childless::Require, Childless::Require).established();
    let old = pair.client().sa();
    pair.net.lose(Which::of(GATEWAY).answer(CREATE).always());
    pair.order(CLIENT, Command::Reauth { sa: old });
    pair.run_for(secs(7));
    assert_eq!(pair.client().alive().len(), 2, "the new one carries nothing yet");
    assert_eq!(pair.client().count("ike_sas_reauthenticated"), 0);
    pair.net.no_more_plans();
    pair.run_for(secs(20));
    assert_eq!(pair.client().downs(), [(old, DownReason::Reauthenticated)]);
    assert_pairs(&pair, &["story"]);
}

#[test]
fn reauthentication_that_gets_no_child_sa_leaves_what_there_was() {
    let mut pair = pair(16, Childless::Require, Childless::Require).established();
    let old = pair.client().sa();
    let pair_of = |profile: &mut Profile| profile.local_ts = vec![selector("10.77.0.0/16")];
    pair = pair.gateway_profile(pair_of);
    pair.order(CLIENT, Command::Reauth { sa: old });
    pair.run_for(secs(10));
    assert_eq!(pair.client().alive(), [old]);
    assert_pairs(&pair, &["story"]);
    assert!(pair.client().notices().iter().any(|text| text.contains("it is not reauthenticated")));
}

#[test]
fn child_sas_that_were_opened_by_order_come_along_at_reauthentication() {
    let mut pair = pair(17, Childless::Prefer, Childless::Allow).client_profile(|profile| profile.plan.start = false);
    pair.connect();
    let old = pair.client().sa();
    pair.order(CLIENT, Command::OpenChild { sa: old, name: "story".into() });
    pair.settle();
    pair.order(CLIENT, Command::Reauth { sa: old });
    pair.run_for(secs(20));
    assert_eq!(pair.client().downs(), [(old, DownReason::Reauthenticated)]);
    assert_pairs(&pair, &["story"]);
}

#[test]
fn a_restart_before_the_first_child_sa_is_there_asks_for_it_again() {
    let mut pair = pair(18, Childless::Prefer, Childless::Allow);
    pair.net.lose(Which::of(CLIENT).request(CREATE).always());
    pair.connect_over(&[(WIFI, WAN)]);
    assert!(pair.run_until(secs(5), |world| world.host(GATEWAY).alive().len() == 1));
    pair.run_for(secs(2));
    pair.net.no_more_plans();
    pair.restart(CLIENT);
    pair.run_for(secs(60));
    // The secrets of what it had asked for went with the process: the gateway may keep that until it is old.
    let ours = live(pair.client());
    assert_eq!(ours.len(), 1);
    assert!(live(pair.gateway()).iter().any(|(_, theirs)| theirs.key_in == ours[0].1.key_out));
}
