//! Lifetimes: what is old or worn is replaced, and what was not replaced ends (RFC 7296 section 2.8, RFC 4301 section
//! 4.4.2.1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::event::DownReason;
use mobike_ike::{Profile, Volume};
use stage::children::assert_pairs;
use stage::{CLIENT, Event, ExchangeType, GATEWAY, Host, HostId, NotifyType, Pair, Which, secs};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const FIRST: &str = "story";

fn other(who: HostId) -> HostId {
    if who == CLIENT { GATEWAY } else { CLIENT }
}

fn ordered(seed: u64, who: HostId, orders: impl Fn(&mut Profile)) -> Pair {
    let pair = Pair::new(seed);
    if who == CLIENT { pair.client_profile(orders) } else { pair.gateway_profile(orders) }
}

/// The ends do not agree on a key exchange of Child SAs: IKE_AUTH needs none, and every rekey is refused.
fn without_common_pfs(pair: Pair) -> Pair {
    let suites = |name: &str| vec![name.parse().unwrap()];
    pair.client_profile(|profile| profile.esp_suites = suites("aes256gcm16-x25519"))
        .gateway_profile(|profile| profile.esp_suites = suites("aes256gcm16-ecp256"))
}

fn whys(host: &Host) -> Vec<DownReason> {
    host.downs().into_iter().map(|(_, why)| why).collect()
}

fn child_whys(host: &Host) -> Vec<DownReason> {
    host.child_downs().into_iter().map(|(_, why)| why).collect()
}

#[test]
fn an_ike_sa_that_was_not_replaced_ends_at_its_hard_lifetime_on_both_ends() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = ordered(1, who, |profile| {
            profile.ike_lifetime = secs(100);
            profile.limits.ike_hard = secs(103);
        })
        .established();
        // { SA, Ni, KEi } -->  lost until it is too late; then { D } -->, which overtakes nothing: it waits its turn
        pair.net.lose(Which::of(who).request(CREATE).times(5));
        pair.run_for(secs(102));
        assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
        pair.run_for(secs(2));
        assert_eq!(whys(pair.host(who)), [DownReason::LifetimeOver]);
        assert_eq!(child_whys(pair.host(who)), [DownReason::WithIkeSa]);
        assert_eq!(pair.host(who).count("lifetimes_over"), 1);
        assert_eq!(DownReason::LifetimeOver.to_string(), "its hard lifetime was over before it was replaced");
        pair.run_for(secs(15));
        assert_eq!(whys(pair.host(other(who))), [DownReason::PeerDeleted]);
        assert_eq!(pair.client().engine.population().ike_sas + pair.gateway().engine.population().ike_sas, 0);
    }
}

#[test]
fn an_ike_sa_that_took_the_place_of_another_has_a_hard_lifetime_of_its_own() {
    for who in [CLIENT, GATEWAY] {
        let orders = |profile: &mut Profile| {
            profile.ike_lifetime = secs(100);
            profile.limits.ike_hard = secs(150);
        };
        let mut pair = ordered(2, who, orders).established();
        pair.run_for(secs(1_000));
        assert!(pair.host(who).rekeys().len() >= 9);
        assert_eq!((whys(pair.client()), whys(pair.gateway())), (vec![], vec![]));
        assert_pairs(&pair, &[FIRST]);
    }
}

#[test]
fn an_ike_sa_without_soft_lifetime_still_ends_at_its_hard_one() {
    let mut pair = ordered(3, GATEWAY, |profile| profile.limits.ike_hard = secs(50)).established();
    pair.run_for(secs(51));
    assert_eq!(
        (whys(pair.gateway()), whys(pair.client())),
        (vec![DownReason::LifetimeOver], vec![DownReason::PeerDeleted])
    );
}

#[test]
fn hard_lifetimes_begin_anew_with_another_process() {
    let mut pair = ordered(4, CLIENT, |profile| profile.limits.ike_hard = secs(50)).established();
    pair.run_for(secs(40));
    pair.restart(CLIENT);
    pair.run_for(secs(40));
    assert_eq!(whys(pair.client()), []);
    pair.run_for(secs(11));
    assert_eq!(whys(pair.client()), [DownReason::LifetimeOver]);
}

#[test]
fn a_child_sa_whose_rekey_is_refused_ends_at_its_hard_lifetime() {
    for who in [CLIENT, GATEWAY] {
        let pair = ordered(5, who, |profile| {
            profile.esp_lifetime = secs(100);
            profile.limits.esp_hard = secs(130);
        });
        let mut pair = without_common_pfs(pair).established();
        // { N(REKEY_SA), .. } -->; <-- { N(INVALID_KE_PAYLOAD) }
        pair.run_for(secs(129));
        assert_pairs(&pair, &[FIRST]);
        assert!(pair.host(who).count("rekeys_refused") > 0);
        // { D } -->; <-- { D }; { SA, Ni, KEi, .. } -->; <-- { N(INVALID_KE_PAYLOAD) }
        pair.run_for(secs(2));
        assert_eq!(child_whys(pair.host(who)), [DownReason::LifetimeOver]);
        assert_eq!(child_whys(pair.host(other(who))), [DownReason::PeerDeleted]);
        assert_eq!(pair.host(who).count("lifetimes_over"), 1);
        // Another one was asked for, and the control plane knows that there is none.
        let failed = pair.host(who).child_failures();
        assert_eq!(failed.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [FIRST]);
        assert_eq!((whys(pair.client()), whys(pair.gateway())), (vec![], vec![]), "the IKE SA goes on");
        for host in [pair.client(), pair.gateway()] {
            assert_eq!(host.engine.population().child_sas, 0, "{}: nothing reserved is left", host.name);
        }
    }
}

#[test]
fn what_was_to_replace_a_child_sa_comes_after_its_end_too() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = ordered(6, who, |profile| {
            profile.esp_lifetime = secs(100);
            profile.limits.esp_hard = secs(110);
        })
        .established();
        // { N(REKEY_SA), .. } -->  lost until the old one is over; { D } waits behind it
        pair.net.lose(Which::of(who).request(CREATE).times(6));
        pair.run_for(secs(111));
        assert_eq!(child_whys(pair.host(who)), [DownReason::LifetimeOver]);
        pair.run_for(secs(30));
        assert_pairs(&pair, &[FIRST]);
        assert_eq!(pair.host(who).child_failures(), []);
        assert_eq!(child_whys(pair.host(other(who))), [DownReason::PeerDeleted]);
    }
}

#[test]
fn a_peer_that_was_away_is_not_met_with_the_end() {
    use core::time::Duration;
    use mobike_ike::{Command, Extensions};
    use stage::{LTE, WAN};
    let orders = |profile: &mut Profile| {
        profile.extensions = Extensions::AWAY;
        profile.ike_lifetime = secs(100);
        profile.esp_lifetime = secs(100);
        (profile.limits.ike_hard, profile.limits.esp_hard) = (secs(150), secs(150));
    };
    let mut pair = Pair::new(7).client_profile(orders).gateway_profile(orders).established();
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::Away { sa, span: Duration::from_secs(1_000) });
    pair.run_for(secs(500));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(secs(60));
    assert_eq!((whys(pair.client()), whys(pair.gateway())), (vec![], vec![]));
    assert!(!pair.client().rekeys().is_empty(), "it is replaced as soon as that can be");
    assert_pairs(&pair, &[FIRST]);
    assert_eq!(pair.client().count("lifetimes_over") + pair.gateway().count("lifetimes_over"), 0);
}

#[test]
fn a_worn_child_sa_is_replaced_and_no_hard_limit_is_met() {
    for who in [CLIENT, GATEWAY] {
        let limits = |profile: &mut Profile| {
            profile.limits.soft = Volume { bytes: 1_000_000, packets: 1_000 };
            profile.limits.hard = Volume { bytes: 2_000_000, packets: 0 };
        };
        let mut pair = ordered(8, who, limits).established();
        let limits = pair.host(who).installs()[0].1.limits;
        assert!((900_000..=1_000_000).contains(&limits.soft.bytes) && (900..=1_000).contains(&limits.soft.packets));
        assert_eq!(limits.hard, Volume { bytes: 2_000_000, packets: 0 });
        // { N(REKEY_SA), .. } -->; <-- { SA, Nr, .. }; { D } -->; <-- { D }
        let old = pair.wear_out(who, false);
        pair.settle();
        assert_pairs(&pair, &[FIRST]);
        assert_eq!(pair.host(who).child_downs(), [(old, DownReason::Rekeyed)]);
        let installs = pair.host(who).installs();
        assert_ne!(installs[1].1.limits, limits, "other limits, by chance");
        assert_eq!(installs[1].1.limits.hard, limits.hard);
    }
}

#[test]
fn a_worn_child_sa_is_asked_for_again_after_a_refusal_even_without_lifetime_by_time() {
    let mut pair = without_common_pfs(Pair::new(9)).established();
    pair.wear_out(CLIENT, false);
    pair.run_for(secs(300));
    let asked = pair.said(|told| told.asks(CREATE)).count();
    assert!(asked >= 3, "{asked}");
    assert_pairs(&pair, &[FIRST]);
}

#[test]
fn a_child_sa_worn_at_both_ends_at_once_is_replaced_once() {
    let mut pair = Pair::new(10).established();
    pair.wear_out(CLIENT, false);
    pair.wear_out(GATEWAY, false);
    pair.settle();
    assert_pairs(&pair, &[FIRST]);
    assert_eq!(pair.client().engine.population().child_sas, 1);
}

#[test]
fn a_spent_child_sa_ends_at_once_and_another_takes_its_place() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(11).established();
        let old = pair.wear_out(who, true);
        assert_eq!(pair.host(who).child_downs(), [(old, DownReason::LifetimeOver)]);
        pair.settle();
        assert_pairs(&pair, &[FIRST]);
        assert_eq!(child_whys(pair.host(other(who))), [DownReason::PeerDeleted]);
        assert_eq!(pair.client().count("children_rekeyed"), 0);
    }
}

#[test]
fn a_child_sa_that_is_spent_while_it_is_replaced_ends_and_its_successor_comes() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(12).established();
        pair.wear_out(who, false);
        pair.wear_out(who, true);
        pair.settle();
        assert_pairs(&pair, &[FIRST]);
        assert_eq!(child_whys(pair.host(who)), [DownReason::LifetimeOver]);
        // Nothing is left that another wear would stumble over.
        pair.wear_out(who, false);
        pair.settle();
        assert_pairs(&pair, &[FIRST]);
    }
}

#[test]
fn a_pair_that_the_peer_replaces_already_is_not_replaced_once_more() {
    let mut pair = Pair::new(13).established();
    pair.wear_out(CLIENT, false);
    // The gateway has made the new one; the old one wears out there meanwhile.
    pair.run_until(secs(5), |world| world.host(GATEWAY).installs().len() == 2);
    let old = pair.gateway().installs()[0].0;
    let before = pair.said(|told| told.asks(CREATE)).count();
    pair.wear_out_this(GATEWAY, old, false);
    pair.settle();
    assert_eq!(pair.said(|told| told.asks(CREATE)).count(), before);
    assert_pairs(&pair, &[FIRST]);
}

#[test]
fn a_child_sa_that_is_gone_wears_out_nothing() {
    let mut pair = Pair::new(14).established();
    let gone = pair.wear_out(CLIENT, true);
    pair.settle();
    let before = pair.told.len();
    pair.wear_out_this(CLIENT, gone, false);
    pair.settle();
    assert_eq!(pair.told.len(), before);
    let refused = pair.said(|told| told.carries(NotifyType::TEMPORARY_FAILURE)).count();
    assert_eq!(refused, 0);
    let ups = pair.client().events.iter().filter(|(_, event)| matches!(event, Event::ChildUp { .. })).count();
    assert_eq!(ups, 2);
}
