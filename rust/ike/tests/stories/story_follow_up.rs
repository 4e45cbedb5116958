//! Several key exchanges in CREATE_CHILD_SA (RFC 9370 section 2.2.4): IKE_FOLLOWUP_KE when the IKE SA is replaced, when a
//! Child SA is, and when one more is opened. Peers that break the rules are in `story_follow_up_refused.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::crypto::IkeSuite;
use mobike_ike::{ChildId, Sends};
use stage::children::{assert_pairs, deletes, more, suites};
use stage::{
    CLIENT, Command, ExchangeType, Fate, GATEWAY, HostId, LTE, NotifyType, Pair, Profile, WAN, Which, ms, secs,
};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const FOLLOW: ExchangeType = ExchangeType::IKE_FOLLOWUP_KE;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

const HYBRID: &str = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";
/// Its additional key exchange fits in one message, which the stage can read.
const SMALL: &str = "aes256gcm16-prfsha384-x25519-ke1_ecp384";
const ESP: &str = "aes256gcm16-x25519-ke1_ecp384";

fn ike(names: &[&str]) -> Vec<IkeSuite> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn with_ike(seed: u64, names: &[&str]) -> Pair {
    let ours = ike(names);
    let set = |profile: &mut Profile| profile.ike_suites = ours.clone();
    Pair::new(seed).client_profile(set).gateway_profile(set).established()
}

fn with_esp(seed: u64, client: &[&str], gateway: &[&str]) -> Pair {
    Pair::new(seed)
        .client_profile(|profile| profile.esp_suites = suites(client))
        .gateway_profile(|profile| profile.esp_suites = suites(gateway))
        .established()
}

fn rekey(pair: &mut Pair, who: HostId) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::Rekey { sa });
}

fn rekey_child(pair: &mut Pair, who: HostId) -> ChildId {
    let child = pair.host(who).child("story");
    pair.order(who, Command::RekeyChild { child });
    child
}

/// One IKE SA at each end, the same one, replaced so often; the Child SA of the beginning is untouched.
#[track_caller]
fn assert_one_ike_sa(pair: &Pair, times: usize) {
    assert_pairs(pair, &["story"]);
    assert_eq!(pair.client().rekeys().last(), pair.gateway().rekeys().last());
    for host in [pair.client(), pair.gateway()] {
        assert_eq!((host.rekeys().len(), host.ups().len(), host.downs()), (times, 1, vec![]), "{}", host.name);
        assert_eq!((host.installs().len(), host.child_downs().len()), (1, 0), "{}: children move once", host.name);
        assert_eq!(host.engine.population().ike_sas, 1, "{}", host.name);
    }
}

/// It can be asked on, from both ends.
#[track_caller]
fn assert_it_works(pair: &mut Pair) {
    for who in [CLIENT, GATEWAY] {
        let before = pair.host(who).checked().len();
        pair.probe(who, None);
        pair.settle();
        assert_eq!(pair.host(who).checked().len(), before + 1);
    }
}

/// Exchanges and message ids of what one end asked, without repetitions and further pieces.
fn asked(pair: &Pair, who: HostId) -> Vec<(ExchangeType, u32)> {
    let mut asked: Vec<(ExchangeType, u32)> = pair
        .said(move |told| told.from == who && !told.keepalive && told.copies_before == 0)
        .filter_map(|told| told.header())
        .filter(|header| !header.flags.response && header.exchange != ExchangeType::IKE_SA_INIT)
        .map(|header| (header.exchange, header.message_id))
        .collect();
    asked.dedup();
    asked
}

#[test]
fn a_hybrid_ike_sa_is_replaced_by_a_hybrid_one_whoever_asks() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = with_ike(1, &[HYBRID]);
        let before = asked(&pair, who).len();
        rekey(&mut pair, who);
        pair.settle();
        assert_one_ike_sa(&pair, 1);
        assert_eq!(pair.client().rekeys()[0].1, HYBRID.parse().unwrap());
        // CREATE_CHILD_SA { SA, Ni, KEi(x25519) } -->  <-- { SA, Nr, KEr, N(ADDITIONAL_KEY_EXCHANGE) }
        // IKE_FOLLOWUP_KE { KEi(mlkem768), N(ADDITIONAL_KEY_EXCHANGE) } -->  <-- { KEr(mlkem768) };  D -->
        let exchanges: Vec<ExchangeType> = asked(&pair, who)[before..].iter().map(|(exchange, _)| *exchange).collect();
        assert_eq!(exchanges, [CREATE, FOLLOW, INFORM]);
        let linked = pair.said(|told| told.answers(CREATE) && told.carries(NotifyType::ADDITIONAL_KEY_EXCHANGE));
        assert_eq!(linked.count(), 1);
        assert_it_works(&mut pair);
        // And again.
        rekey(&mut pair, GATEWAY);
        pair.settle();
        assert_one_ike_sa(&pair, 2);
        assert_it_works(&mut pair);
    }
}

#[test]
fn several_are_done_one_after_the_other_and_the_last_answer_names_no_other() {
    let all = "aes256gcm16-prfsha256-x25519-ke1_ecp256-ke3_ecp384-ke7_ecp521";
    let mut pair = with_ike(2, &[all]);
    rekey(&mut pair, CLIENT);
    pair.settle();
    assert_one_ike_sa(&pair, 1);
    let names = |told: &stage::Told| told.carries(NotifyType::ADDITIONAL_KEY_EXCHANGE);
    let asks: Vec<bool> = pair.said(|told| told.asks(FOLLOW)).map(names).collect();
    let answers: Vec<bool> = pair.said(|told| told.answers(FOLLOW)).map(names).collect();
    assert_eq!((asks, answers), (vec![true, true, true], vec![true, true, false]));
    assert_it_works(&mut pair);
}

#[test]
fn what_is_hybrid_stays_hybrid_even_where_the_profile_knows_less() {
    let plain = "aes256gcm16-prfsha384-x25519";
    for who in [CLIENT, GATEWAY] {
        let mut pair = with_ike(3, &[SMALL, plain]);
        // The other end would now take the plain one, and be content with it.
        let orders = ike(&[plain]);
        let other = if who == CLIENT { GATEWAY } else { CLIENT };
        let mut profile = pair.profile_of(other);
        profile.ike_suites = orders;
        pair.order(other, Command::SetProfile { id: stage::PROFILE, profile: profile.into() });
        rekey(&mut pair, who);
        pair.settle();
        assert_one_ike_sa(&pair, 1);
        assert_eq!(pair.client().rekeys()[0].1, SMALL.parse().unwrap());
    }
}

#[test]
fn an_ike_sa_that_began_without_may_not_be_forced_to_have_one() {
    let plain = "aes256gcm16-prfsha384-x25519";
    let mut pair = with_ike(4, &[plain, SMALL]);
    rekey(&mut pair, CLIENT);
    pair.settle();
    assert_one_ike_sa(&pair, 1);
    assert_eq!(pair.client().rekeys()[0].1, plain.parse().unwrap(), "what is in use is offered first");
    assert_eq!(pair.said(|told| told.asks(FOLLOW)).count(), 0);
}

#[test]
fn whatever_is_lost_on_the_way_there_is_one_new_ike_sa() {
    for bits in 0..32_u64 {
        let mut pair = with_ike(100 + bits, &[SMALL]);
        let messages = [
            Which::of(CLIENT).request(CREATE),
            Which::of(GATEWAY).answer(CREATE),
            Which::of(CLIENT).request(FOLLOW),
            Which::of(GATEWAY).answer(FOLLOW),
            Which::of(CLIENT).request(INFORM),
        ];
        pair.net.lose_those(bits, messages.into_iter());
        rekey(&mut pair, CLIENT);
        pair.run_for(secs(60));
        assert_one_ike_sa(&pair, 1);
        assert_it_works(&mut pair);
    }
}

#[test]
fn pieces_of_a_large_key_exchange_may_be_lost() {
    for (who, piece) in [(CLIENT, 1), (CLIENT, 2), (GATEWAY, 0)] {
        let mut pair = with_ike(200, &[HYBRID]);
        let which = if who == CLIENT { Which::of(who).request(FOLLOW) } else { Which::of(who).answer(FOLLOW) };
        pair.net.lose(which.that(move |told| told.fragment() == piece));
        rekey(&mut pair, CLIENT);
        pair.run_for(secs(60));
        assert_one_ike_sa(&pair, 1);
        assert_it_works(&mut pair);
    }
}

// IKE rekey: collision with several key exchanges, and whatever is lost in it.
#[test]
fn both_replace_the_ike_sa_at_once_whatever_is_lost() {
    for bits in 0..256_u64 {
        let mut pair = with_ike(300 + bits, &[SMALL]);
        let of = |who| {
            [
                Which::of(who).request(CREATE),
                Which::of(who).answer(CREATE),
                Which::of(who).request(FOLLOW),
                Which::of(who).answer(FOLLOW),
            ]
        };
        pair.net.lose_those(bits, [CLIENT, GATEWAY].into_iter().flat_map(of));
        rekey(&mut pair, CLIENT);
        rekey(&mut pair, GATEWAY);
        pair.run_for(secs(60));
        let times = pair.client().rekeys().len();
        assert!((1..=2).contains(&times), "{bits}: no endless retry: {times}");
        assert_one_ike_sa(&pair, times);
        assert_it_works(&mut pair);
    }
}

#[test]
fn the_loser_of_a_collision_does_not_go_on() {
    for seed in 600..616 {
        let mut pair = with_ike(seed, &[SMALL]);
        rekey(&mut pair, CLIENT);
        rekey(&mut pair, GATEWAY);
        pair.settle();
        assert_one_ike_sa(&pair, 1);
        assert_eq!(pair.said(|told| told.asks(FOLLOW)).count(), 1);
        assert_eq!(
            pair.said(|told| told.asks(INFORM) && deletes(told)).count(),
            1,
            "nothing but the old one is deleted"
        );
        assert_eq!((pair.client().count("rekey_collisions"), pair.gateway().count("rekey_collisions")), (1, 1));
    }
}

// IKE rekey: the peer's request comes while ours is agreed on (RFC 9370: TEMPORARY_FAILURE).
#[test]
fn a_request_that_comes_between_our_key_exchanges_is_put_off() {
    for (late, who) in [(25, CLIENT), (35, CLIENT), (25, GATEWAY), (35, GATEWAY)] {
        let other = if who == CLIENT { GATEWAY } else { CLIENT };
        let mut pair = with_ike(700, &[SMALL]);
        pair.net.plan(Which::of(other).request(CREATE), Fate::Late(ms(late - 10)));
        rekey(&mut pair, who);
        rekey(&mut pair, other);
        pair.run_for(secs(120));
        let times = pair.client().rekeys().len();
        assert_one_ike_sa(&pair, times);
        assert!(pair.said(|told| told.from == who && told.carries(NotifyType::TEMPORARY_FAILURE)).count() >= 1);
        assert_it_works(&mut pair);
    }
}

#[test]
fn a_peer_that_has_forgotten_says_so_and_it_is_begun_anew() {
    let mut pair = with_ike(800, &[SMALL]);
    pair.net.lose(Which::of(CLIENT).request(FOLLOW).always());
    rekey(&mut pair, CLIENT);
    pair.run_for(secs(25));
    assert_eq!(pair.gateway().count("follow_ups_forgotten"), 1);
    pair.net.no_more_plans();
    pair.run_for(secs(90));
    assert!(pair.said(|told| told.from == GATEWAY && told.carries(NotifyType::STATE_NOT_FOUND)).count() >= 1);
    assert!(pair.client().notices().iter().any(|text| text.contains("STATE_NOT_FOUND")));
    assert_one_ike_sa(&pair, 1);
    assert_it_works(&mut pair);
}

#[test]
fn it_goes_on_over_another_path() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = with_ike(900, &[SMALL]);
        pair.net.lose(Which::of(who).request(FOLLOW));
        rekey(&mut pair, who);
        pair.run_for(ms(25));
        let lte = Pair::path(LTE, WAN);
        pair.order_move(lte);
        pair.run_for(secs(60));
        assert_one_ike_sa(&pair, 1);
        assert_eq!((pair.client().path(), pair.gateway().path()), (lte, lte.reversed()));
        assert_it_works(&mut pair);
    }
}

#[test]
fn closing_in_the_middle_leaves_nothing() {
    for (rekeys, closes) in [(CLIENT, CLIENT), (CLIENT, GATEWAY), (GATEWAY, CLIENT), (GATEWAY, GATEWAY)] {
        for wait in [12, 22, 32, 42] {
            let mut pair = with_ike(1_000, &[SMALL]);
            rekey(&mut pair, rekeys);
            pair.run_for(ms(wait));
            pair.close(closes);
            pair.run_for(secs(60));
            for host in [pair.client(), pair.gateway()] {
                assert_eq!((host.downs().len(), host.live_children().len()), (1, 0), "{} {wait}", host.name);
                assert_eq!((host.engine.population().ike_sas, host.engine.population().child_sas), (0, 0));
            }
        }
    }
}

/// The process of who asks ends between two key exchanges: its request goes on with the same octets. If that of the other end
/// does, what was begun is forgotten there, and begun anew.
#[test]
fn a_restart_between_two_key_exchanges_costs_at_most_a_second_attempt() {
    for (who, lost) in [
        (CLIENT, Which::of(CLIENT).request(FOLLOW)),
        (CLIENT, Which::of(GATEWAY).answer(FOLLOW)),
        (GATEWAY, Which::of(CLIENT).request(FOLLOW)),
    ] {
        let mut pair = with_ike(1_100, &[SMALL]);
        pair.net.lose(lost);
        rekey(&mut pair, CLIENT);
        pair.run_for(ms(35));
        pair.restart(who);
        pair.run_for(secs(120));
        assert_eq!(pair.client().rekeys().len(), 1);
        assert_eq!(pair.client().rekeys().last(), pair.gateway().rekeys().last());
        let refused = pair.said(|told| told.carries(NotifyType::STATE_NOT_FOUND)).count();
        assert_eq!(refused, usize::from(who == GATEWAY));
        assert_it_works(&mut pair);
    }
}

#[test]
fn a_child_sa_is_replaced_with_secrets_of_every_kind() {
    for who in [CLIENT, GATEWAY] {
        for esp in [ESP, "aes256gcm16-x25519-ke1_mlkem768", "aes128-sha256-ecp256-ke2_x25519-ke4_mlkem512-esn"] {
            let mut pair = with_esp(1_200, &[esp], &[esp]);
            let old = rekey_child(&mut pair, who);
            pair.settle();
            assert_pairs(&pair, &["story"]);
            assert!(!pair.host(who).live_children().contains(&old));
            let sends = pair.host(if who == CLIENT { GATEWAY } else { CLIENT }).installs()[1].1.sends;
            assert!(matches!(sends, Sends::WhenUsed { .. }), "make before break");
            assert_it_works(&mut pair);
        }
    }
}

#[test]
fn one_more_child_sa_is_opened_with_secrets_of_every_kind() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(1_300)
            .client_profile(|profile| {
                profile.esp_suites = suites(&[ESP]);
                profile.plan.at_most = 2;
                more(profile, "more", "10.3.0.0/24", "10.4.0.0/24");
            })
            .gateway_profile(|profile| {
                profile.esp_suites = suites(&[ESP]);
                profile.plan.at_most = 2;
                more(profile, "more", "10.4.0.0/24", "10.3.0.0/24");
            })
            .established();
        let sa = pair.host(who).sa();
        pair.net.lose(Which::of(GATEWAY).answer(FOLLOW));
        pair.net.lose(Which::of(CLIENT).answer(FOLLOW));
        pair.order(who, Command::OpenChild { sa, name: "more".into() });
        pair.settle();
        assert_eq!(pair.said(|told| told.asks(FOLLOW) && told.copies_before == 0).count(), 1);
        assert_pairs(&pair, &["more", "story"]);
    }
}

// Child rekey: collision with several key exchanges, and whatever is lost in it. There is always a pair that sends.
#[test]
fn both_replace_a_child_sa_at_once_whatever_is_lost() {
    for bits in 0..256_u64 {
        let mut pair = with_esp(1_400 + bits, &[ESP], &[ESP]);
        let of = |who| {
            [
                Which::of(who).request(CREATE),
                Which::of(who).answer(CREATE),
                Which::of(who).request(FOLLOW),
                Which::of(who).answer(FOLLOW),
            ]
        };
        pair.net.lose_those(bits, [CLIENT, GATEWAY].into_iter().flat_map(of));
        rekey_child(&mut pair, CLIENT);
        rekey_child(&mut pair, GATEWAY);
        for _ in 0..60 {
            pair.run_for(secs(1));
            for host in [pair.client(), pair.gateway()] {
                let live = host.live_children();
                let sends = |id: &ChildId| {
                    host.installs().iter().any(|(child, i)| child == id && !matches!(i.sends, Sends::Never { .. }))
                };
                assert!(live.iter().any(sends), "{} {bits}: nothing sends", host.name);
            }
        }
        assert_pairs(&pair, &["story"]);
        assert_it_works(&mut pair);
    }
}

// Child rekey: collision of one that needs several key exchanges with one that does not.
#[test]
fn both_at_once_where_only_one_of_them_needs_more_than_one_key_exchange() {
    let plain = "aes256gcm16-x25519";
    for bits in 0..64_u64 {
        // Who answers decides: what the client asks for gets one key exchange, what the gateway asks for two.
        let mut pair = with_esp(1_700 + bits, &[ESP, plain], &[plain, ESP]);
        let messages = [
            Which::of(CLIENT).request(CREATE),
            Which::of(CLIENT).answer(CREATE),
            Which::of(GATEWAY).request(CREATE),
            Which::of(GATEWAY).answer(CREATE),
            Which::of(GATEWAY).request(FOLLOW),
            Which::of(CLIENT).answer(FOLLOW),
        ];
        pair.net.lose_those(bits, messages.into_iter());
        rekey_child(&mut pair, CLIENT);
        rekey_child(&mut pair, GATEWAY);
        pair.run_for(secs(60));
        assert_pairs(&pair, &["story"]);
        assert_it_works(&mut pair);
    }
}

#[test]
fn a_child_sa_that_is_closed_while_it_is_replaced_is_gone() {
    for (rekeys, closes) in [(CLIENT, CLIENT), (CLIENT, GATEWAY), (GATEWAY, CLIENT), (GATEWAY, GATEWAY)] {
        for wait in [5, 15, 25, 35] {
            let mut pair = with_esp(1_800, &[ESP], &[ESP]);
            rekey_child(&mut pair, rekeys);
            pair.run_for(ms(wait));
            let child = pair.host(closes).child("story");
            pair.order(closes, Command::CloseChild { child });
            pair.run_for(secs(60));
            let live = (pair.client().live_children().len(), pair.gateway().live_children().len());
            assert_eq!(live.0, live.1, "{wait}: {}", pair.arrows());
            assert!(live.0 == 0 || wait > 20, "{wait}: closed before it was replaced");
            for host in [pair.client(), pair.gateway()] {
                assert_eq!(host.engine.population().child_sas as usize, live.0, "{}", host.name);
                assert_eq!(host.downs(), []);
            }
        }
    }
}

// Child rekey against IKE rekey, both with several key exchanges.
#[test]
fn replacing_the_ike_sa_and_a_child_sa_at_once_ends_with_both_replaced() {
    for (child, ike_sa) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT), (CLIENT, CLIENT), (GATEWAY, GATEWAY)] {
        for wait in [0, 5, 15, 25, 35] {
            let ours = ike(&[SMALL]);
            let set = |profile: &mut Profile| {
                profile.ike_suites = ours.clone();
                profile.esp_suites = suites(&[ESP]);
                profile.esp_lifetime = secs(100_000);
                profile.ike_lifetime = secs(100_000);
            };
            let mut pair = Pair::new(1_900 + wait).client_profile(set).gateway_profile(set).established();
            rekey(&mut pair, ike_sa);
            pair.run_for(ms(wait));
            rekey_child(&mut pair, child);
            pair.run_for(secs(120));
            assert_pairs(&pair, &["story"]);
            for host in [pair.client(), pair.gateway()] {
                assert_eq!((host.rekeys().len(), host.installs().len()), (1, 2), "{} {wait}", host.name);
                assert_eq!(host.downs(), []);
            }
            assert_it_works(&mut pair);
        }
    }
}
