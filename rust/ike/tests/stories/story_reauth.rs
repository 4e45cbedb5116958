//! Reauthentication: another IKE SA takes the place of the one in use, made before that one is broken (RFC 7296 section
//! 2.8.3, RFC 4478).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::event::DownReason;
use mobike_ike::profile::{Pool, RequestVip, Unique};
use mobike_ike::wire::ExchangeType;
use mobike_ike::{Command, Profile, SaId};
use stage::children::{assert_pairs, more};
use stage::{CLIENT, Event, GATEWAY, Host, LTE, NotifyType, Pair, WAN, Which, secs};

fn order(pair: &mut Pair) -> SaId {
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::Reauth { sa });
    sa
}

fn whys(host: &Host) -> Vec<DownReason> {
    host.downs().into_iter().map(|(_, why)| why).collect()
}

/// One IKE SA at each end, with its Child SA, and no half of another.
#[track_caller]
fn assert_one(pair: &Pair) {
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    assert_pairs(pair, &["story"]);
    for host in [pair.client(), pair.gateway()] {
        assert_eq!(host.engine.population().ike_sas, 1, "{}", host.name);
    }
}

#[test]
fn the_new_ike_sa_carries_before_the_old_one_goes() {
    for unique in [Unique::AsPeerSays, Unique::Replace, Unique::Never] {
        let mut pair = Pair::new(1)
            .client_profile(|profile| profile.initial_contact = true)
            .gateway_profile(|profile| profile.unique = unique)
            .established();
        let contacts = |pair: &Pair| pair.said(|told| told.carries(NotifyType::INITIAL_CONTACT)).count();
        let before = contacts(&pair);
        let old = order(&mut pair);
        pair.run_for(secs(2));
        // IKE_SA_INIT, IKE_AUTH; both are there
        assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (2, 2), "{unique:?}");
        assert_eq!((pair.client().live_children().len(), pair.gateway().live_children().len()), (2, 2));
        assert_eq!(contacts(&pair), before, "the old one is not dead");
        pair.run_for(secs(10));
        assert_one(&pair);
        assert_eq!(pair.client().downs(), [(old, DownReason::Reauthenticated)]);
        assert_eq!(whys(pair.gateway()), [DownReason::PeerDeleted], "{unique:?}: who began it ends it");
        assert_eq!(pair.client().count("ike_sas_reauthenticated"), 1);
        let up = pair.client().ups()[1];
        assert_eq!(
            (up.token, up.path),
            (None, pair.client().ups()[0].path),
            "nobody ordered it, and it is where the old was"
        );
    }
}

#[test]
fn it_is_done_again_and_again_by_lifetime() {
    let mut pair = Pair::new(2).client_profile(|profile| profile.limits.reauth = secs(100)).established();
    pair.run_for(secs(1_000));
    assert!(pair.client().count("ike_sas_reauthenticated") >= 9);
    assert!(whys(pair.client()).iter().all(|why| *why == DownReason::Reauthenticated));
    pair.run_for(secs(10));
    assert_pairs(&pair, &["story"]);
}

#[test]
fn new_keys_are_no_new_proof() {
    let mut pair = Pair::new(3)
        .client_profile(|profile| (profile.limits.reauth, profile.ike_lifetime) = (secs(100), secs(30)))
        .established();
    pair.run_for(secs(110));
    assert!(pair.client().rekeys().len() >= 3);
    assert_eq!(pair.client().count("ike_sas_reauthenticated"), 1);
}

#[test]
fn a_gateway_says_how_long_it_takes_a_proof_and_its_client_is_in_time() {
    let mut pair = Pair::new(4).gateway_profile(|profile| profile.limits.reauth = secs(100)).established();
    // <-- { IDr, AUTH, SA, TSi, TSr, N(AUTH_LIFETIME) }
    assert_eq!(pair.said(|told| told.carries(NotifyType::AUTH_LIFETIME)).count(), 1);
    pair.run_for(secs(1_000));
    assert!(pair.client().count("ike_sas_reauthenticated") >= 10);
    assert!(!whys(pair.gateway()).contains(&DownReason::ProofTooOld));
}

#[test]
fn a_client_that_does_not_prove_itself_anew_is_let_go() {
    let mut pair = Pair::new(5).gateway_profile(|profile| profile.limits.reauth = secs(100)).established();
    pair.net.lose(Which::of(CLIENT).request(ExchangeType::IKE_SA_INIT).always());
    pair.run_for(secs(129));
    assert_eq!(whys(pair.gateway()), []);
    pair.run_for(secs(2));
    assert_eq!(whys(pair.gateway()), [DownReason::ProofTooOld]);
    assert_eq!(DownReason::ProofTooOld.to_string(), "peer did not reauthenticate in time");
}

#[test]
fn a_client_that_was_told_a_lifetime_remembers_it_in_another_process() {
    let mut pair = Pair::new(6).gateway_profile(|profile| profile.limits.reauth = secs(1_000)).established();
    pair.run_for(secs(10));
    pair.restart(CLIENT);
    // How much is left it does not know: it is early.
    pair.run_for(secs(260));
    assert_eq!(pair.client().count("ike_sas_reauthenticated"), 1);
}

#[test]
fn the_inner_address_stays() {
    let pool = Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, 9].into())), sticky: secs(600), ..Pool::default() };
    let mut pair = Pair::new(7)
        .client_profile(|profile| {
            profile.request_virtual_ip = RequestVip { v4: true, v6: false };
            profile.local_ts = Vec::new();
        })
        .gateway_profile(move |profile| {
            profile.pool = Some(pool);
            profile.remote_ts = Vec::new();
        })
        .established();
    order(&mut pair);
    pair.run_for(secs(10));
    assert_one(&pair);
    let given = |host: &Host| host.ups().iter().map(|up| up.virtual_ips.clone()).collect::<Vec<_>>();
    assert_eq!(given(pair.client())[0], given(pair.client())[1]);
    assert_eq!(given(pair.client()), given(pair.gateway()));
}

#[test]
fn the_other_child_sas_come_along() {
    let both = |profile: &mut Profile, turned: bool| {
        let (near, far) = if turned { ("10.7.0.0/16", "10.6.0.0/16") } else { ("10.6.0.0/16", "10.7.0.0/16") };
        more(profile, "voice", near, far);
    };
    let mut pair = Pair::new(8)
        .client_profile(|profile| both(profile, false))
        .gateway_profile(|profile| both(profile, true))
        .established();
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::OpenChild { sa, name: "voice".into() });
    pair.settle();
    assert_pairs(&pair, &["story", "voice"]);
    order(&mut pair);
    pair.run_for(secs(20));
    assert_pairs(&pair, &["story", "voice"]);
    assert_eq!(pair.client().alive().len(), 1);
}

#[test]
fn a_peer_that_refuses_keeps_what_it_has_and_is_asked_again() {
    let mut pair = Pair::new(9).established();
    pair.net.lose(Which::of(CLIENT).request(ExchangeType::IKE_SA_INIT).always());
    order(&mut pair);
    pair.run_for(secs(130));
    assert_eq!((whys(pair.client()), pair.client().failures().len()), (vec![], 0));
    assert!(pair.client().notices().iter().any(|text| text.contains("it is not reauthenticated")));
    assert_pairs(&pair, &["story"]);
    pair.net.no_more_plans();
    pair.run_for(secs(60));
    assert_one(&pair);
    assert_eq!(pair.client().count("ike_sas_reauthenticated"), 1);
}

#[test]
fn it_starts_on_the_path_in_use() {
    let mut pair = Pair::new(10).established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    order(&mut pair);
    pair.run_for(secs(10));
    assert_one(&pair);
    assert_eq!(pair.client().ups()[1].path, Pair::path(LTE, WAN));
}

#[test]
fn a_responder_cannot() {
    let mut pair = Pair::new(11).established();
    let sa = pair.gateway().sa();
    pair.order(GATEWAY, Command::Reauth { sa });
    pair.run_for(secs(5));
    assert!(pair.gateway().notices().iter().any(|text| text.contains("only the initiator")));
    assert_one(&pair);
    let ups = pair.gateway().events.iter().filter(|(_, event)| matches!(event, Event::IkeSaUp(_))).count();
    assert_eq!(ups, 1);
}
