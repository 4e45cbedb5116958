//! Taking an IKE SA up again by a ticket (RFC 5723).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use core::time::Duration;
use std::sync::Arc;

use mobike_ike::crypto::SecretBytes;
use mobike_ike::event::DownReason;
use mobike_ike::profile::{Pool, RequestVip};
use mobike_ike::{Command, Identity, IdentityPattern, Resumption, Settings, Terms, Topic, Verdict};
use stage::children::assert_pairs;
use stage::{CLIENT, Event, ExchangeType, GATEWAY, NotifyType, PROFILE, Pair, WAN, WIFI, Which, ip, secs};

const RESUME: ExchangeType = ExchangeType::IKE_SESSION_RESUME;
const HOUR: Duration = secs(3_600);

fn pair(seed: u64) -> Pair {
    with_keys(Pair::new(seed))
}

fn with_keys(pair: Pair) -> Pair {
    let mut pair = pair
        .client_profile(|profile| {
            profile.resumption.ask = true;
            profile.liveness = secs(5);
            profile.retransmit.give_up_initiator = secs(10);
        })
        .gateway_profile(|profile| profile.resumption.lifetime = HOUR);
    give_keys(&mut pair, &[1]);
    pair
}

/// The time of day goes on with ours.
fn give_keys(pair: &mut Pair, keys: &[u8]) {
    let keys: Vec<SecretBytes> = keys.iter().map(|key| SecretBytes::from_slice(&[*key; 32])).collect();
    let clock = secs(1_000_000) + Duration::from_nanos(pair.now.0);
    pair.order(GATEWAY, Command::SetTicketKeys { keys: Arc::from(keys), clock });
}

/// The way between both is dead until the client has given up; then it is there again.
fn lose_touch(pair: &mut Pair) {
    pair.net.blackhole_both(WIFI, WAN);
    let before = pair.client().downs().len();
    assert!(pair.run_until(secs(60), |world| world.host(CLIENT).downs().len() > before));
    assert!(matches!(pair.client().downs().last().unwrap().1, DownReason::PeerSilent(_)));
    pair.net.heal();
}

fn asked(pair: &Pair, exchange: ExchangeType) -> usize {
    pair.said(|told| told.from == CLIENT && told.asks(exchange) && told.copies_before == 0).count()
}

#[track_caller]
fn assert_one(pair: &Pair) {
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    assert_pairs(pair, &["story"]);
    for host in [pair.client(), pair.gateway()] {
        assert_eq!(host.engine.population().ike_sas, 1, "{}", host.name);
    }
}

fn resumed(pair: &Pair) -> (u64, u64) {
    (pair.client().count("sessions_resumed"), pair.gateway().count("sessions_resumed"))
}

#[test]
fn a_ticket_is_given_to_who_asks_where_the_operator_says_so() {
    let told = |pair: &Pair, notify: &str| pair.arrows().matches(notify).count();
    let pair = pair(1).established();
    assert_eq!((told(&pair, "N(TICKET_REQUEST)"), told(&pair, "N(TICKET_LT_OPAQUE)")), (1, 1));
    assert_eq!(pair.gateway().count("tickets_given"), 1);
    let silent = Pair::new(2).established();
    assert_eq!((told(&silent, "N(TICKET_REQUEST)"), told(&silent, "N(TICKET_LT_OPAQUE)")), (0, 0));
    let refused = Pair::new(3).client_profile(|profile| profile.resumption.ask = true).established();
    assert_eq!(told(&refused, "N(TICKET_NACK)"), 1);
}

#[test]
fn an_ike_sa_whose_peer_fell_silent_is_taken_up_again_without_a_key_exchange() {
    let mut pair = pair(4).established();
    lose_touch(&mut pair);
    let inits = asked(&pair, ExchangeType::IKE_SA_INIT);
    // HDR(A,0), Ni, N(TICKET_OPAQUE) -->   <-- HDR(A,B), Nr   { IDi, AUTH, SA, TSi, TSr } -->   <-- { IDr, AUTH, SA, TSi, TSr }
    pair.connect();
    assert_one(&pair);
    assert_eq!(resumed(&pair), (1, 1));
    assert_eq!((asked(&pair, RESUME), asked(&pair, ExchangeType::IKE_SA_INIT)), (1, inits));
    assert_eq!(pair.gateway().downs()[0].1, DownReason::Replaced, "what was left of the one before");
    let (before, after) = (pair.client().ups()[0], pair.client().ups()[1]);
    assert_eq!((before.suite, &before.peer_id, before.mobike), (after.suite, &after.peer_id, after.mobike));
    assert_ne!((before.spi_i, before.spi_r), (after.spi_i, after.spi_r));
    // And so on: each gives another ticket.
    lose_touch(&mut pair);
    pair.connect();
    assert_one(&pair);
    assert_eq!((resumed(&pair), pair.gateway().count("tickets_given")), ((2, 2), 3));
}

#[test]
fn how_it_was_taken_up_again_or_was_not_is_remembered() {
    let rungs = |pair: &Pair| {
        let (host, sa) = (pair.client(), *pair.client().alive().last().unwrap());
        let all = host.engine.exchanges(sa).unwrap();
        let set_up = all.iter().filter(|each| each.topic != Topic::Liveness);
        set_up.map(|each| (each.topic, each.error, each.answered)).collect::<Vec<_>>()
    };
    let mut taken = pair(4).established();
    lose_touch(&mut taken);
    taken.connect();
    assert_eq!(rungs(&taken), [(Topic::Resume, None, true), (Topic::Auth, None, true)]);
    let gateway = taken.gateway();
    let there = gateway.engine.exchanges(*gateway.alive().last().unwrap()).unwrap();
    assert_eq!(there.iter().map(|each| each.topic).take(2).collect::<Vec<_>>(), [Topic::Resume, Topic::Auth]);
    let after = [(Topic::Init, None, true), (Topic::Auth, None, true)];
    let mut refused = pair(6).established();
    give_keys(&mut refused, &[9]);
    lose_touch(&mut refused);
    refused.connect();
    assert_eq!(rungs(&refused)[0], (Topic::Resume, Some(NotifyType::TICKET_NACK), true));
    assert_eq!(rungs(&refused)[1..], after);
    let mut silent = pair(7).established();
    lose_touch(&mut silent);
    silent.net.lose(Which::of(CLIENT).request(RESUME).always());
    silent.connect();
    silent.run_for(secs(20));
    assert_eq!(rungs(&silent)[0], (Topic::Resume, None, false), "an older gateway drops what it does not know");
    assert_eq!(rungs(&silent)[1..], after);
}

#[test]
fn a_gateway_that_knows_nothing_any_more_takes_it_up_from_the_ticket_alone() {
    for keys in [&[1u8][..], &[2, 1]] {
        let mut pair = pair(5).established();
        pair.reboot_empty(GATEWAY, Settings::default());
        let profile = Arc::new(pair.profile_of(GATEWAY));
        pair.order(GATEWAY, Command::SetProfile { id: PROFILE, profile });
        give_keys(&mut pair, keys);
        lose_touch(&mut pair);
        pair.connect();
        assert_eq!((pair.client().alive().len(), pair.gateway().count("sessions_resumed")), (1, 1));
        assert_eq!(pair.gateway().engine.population().ike_sas, 1);
    }
}

#[test]
fn a_ticket_that_is_refused_leads_to_a_new_ike_sa_at_once() {
    let mut other_key = pair(6).established();
    give_keys(&mut other_key, &[9]);
    let mut no_key = pair(7).established();
    give_keys(&mut no_key, &[]);
    let mut changed = pair(8).established();
    changed = changed.gateway_profile(|profile| profile.resumption = Resumption::default());
    for mut pair in [other_key, no_key, changed] {
        lose_touch(&mut pair);
        // <-- HDR(A,0), N(TICKET_NACK)   HDR(A',0), SA, KE, Ni -->
        pair.connect();
        assert_eq!(pair.said(|told| told.carries(NotifyType::TICKET_NACK)).count().min(1), 1);
        assert_eq!((pair.client().count("tickets_in_vain"), pair.gateway().count("tickets_refused")), (1, 1));
        assert_eq!((pair.client().alive().len(), resumed(&pair)), (1, (0, 0)));
        assert_eq!(pair.client().failures().len(), 0);
    }
}

#[test]
fn a_gateway_that_does_not_answer_a_ticket_is_asked_for_a_new_ike_sa() {
    let mut pair = pair(9).established();
    lose_touch(&mut pair);
    pair.net.lose(Which::of(CLIENT).request(RESUME).always());
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(5));
    assert_eq!((pair.client().alive().len(), resumed(&pair)), (1, (0, 0)));
}

#[test]
fn a_ticket_is_good_for_its_time() {
    let mut pair = pair(10).established();
    lose_touch(&mut pair);
    pair.run_for(HOUR);
    pair.connect();
    assert_eq!((pair.client().alive().len(), asked(&pair, RESUME)), (1, 0));
}

#[test]
fn an_ike_sa_that_was_deleted_in_order_is_not_taken_up_again() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(11).established();
        pair.close(who);
        pair.settle();
        pair.connect();
        assert_eq!((pair.client().alive().len(), asked(&pair, RESUME)), (1, 0));
    }
}

#[test]
fn a_ticket_is_used_once() {
    let mut pair = pair(12).established();
    lose_touch(&mut pair);
    pair.connect();
    let request = pair.said(|told| told.asks(RESUME)).next().unwrap().bytes.clone();
    // Somebody has recorded it. With another SPI, it is no repetition.
    let mut again = request;
    again[0] ^= 1;
    let path = Pair::init_path(WAN, WIFI);
    pair.inject(GATEWAY, path, &again);
    pair.settle();
    assert_eq!(pair.gateway().count("tickets_refused"), 1);
    assert_one(&pair);
}

#[test]
fn who_shows_a_ticket_without_its_keys_gets_no_further_and_uses_nothing_up() {
    let mut pair = pair(13).established();
    lose_touch(&mut pair);
    pair.net.lose(Which::of(CLIENT).request(RESUME));
    pair.connect_over(&[(WIFI, WAN)]);
    let mut shown = pair.said(|told| told.asks(RESUME)).next().unwrap().bytes.clone();
    shown[0] ^= 1;
    pair.inject(GATEWAY, Pair::init_path(WAN, WIFI), &shown);
    assert_eq!(pair.gateway().engine.population().half_open, 1);
    pair.run_for(secs(40));
    assert_one(&pair);
    assert_eq!(resumed(&pair), (1, 1), "the owner used it");
}

#[test]
fn no_octet_of_a_ticket_can_be_changed() {
    let mut pair = pair(14).established();
    lose_touch(&mut pair);
    pair.net.lose(Which::of(CLIENT).request(RESUME));
    pair.connect_over(&[(WIFI, WAN)]);
    let shown = pair.said(|told| told.asks(RESUME)).next().unwrap().bytes.clone();
    for at in (28..shown.len()).step_by(7) {
        let mut changed = shown.clone();
        changed[0] ^= 1;
        changed[at] ^= 0x80;
        pair.inject(GATEWAY, Pair::init_path(WAN, WIFI), &changed);
    }
    assert!(pair.gateway().count("tickets_refused") > 0);
    pair.run_for(secs(40));
    assert_eq!(pair.client().alive().len(), 1);
}

#[test]
fn cookies_stand_in_front_of_tickets_too() {
    let busy = Pair::new(15).settings(|settings| settings.half_open.cookie_threshold = 0);
    let mut pair = with_keys(busy).established();
    lose_touch(&mut pair);
    let before = pair.gateway().count("cookies_sent");
    // <-- HDR(A,0), N(COOKIE)   HDR(A,0), N(COOKIE), Ni, N(TICKET_OPAQUE) -->
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(3));
    assert_eq!(pair.gateway().count("cookies_sent"), before + 1);
    assert_eq!((pair.client().alive().len(), pair.client().count("sessions_resumed")), (1, 1));
}

#[test]
fn each_message_may_be_lost_once() {
    for bits in 0..16u32 {
        let mut pair = with_keys(Pair::new(16).client_profile(|profile| profile.initial_contact = true)).established();
        lose_touch(&mut pair);
        let messages = [
            Which::of(CLIENT).request(RESUME),
            Which::of(GATEWAY).answer(RESUME),
            Which::of(CLIENT).request(ExchangeType::IKE_AUTH),
            Which::of(GATEWAY).answer(ExchangeType::IKE_AUTH),
        ];
        pair.net.lose_those(bits.into(), messages.into_iter());
        pair.connect_over(&[(WIFI, WAN)]);
        // A half-open one may be left, for half a minute.
        pair.run_for(secs(45));
        assert_one(&pair);
    }
}

#[test]
fn the_control_plane_is_asked_again_where_the_profile_says_so() {
    for allowed in [true, false] {
        let mut pair = pair(17).established();
        lose_touch(&mut pair);
        pair = pair.gateway_profile(|profile| profile.proofs.judged = true);
        pair.connect_over(&[(WIFI, WAN)]);
        pair.run_for(secs(1));
        let asked = pair.gateway().events.iter().rev().find_map(|(_, event)| match event {
            Event::Authorise(asked) => Some((asked.sa, asked.question, asked.certificates.len())),
            _ => None,
        });
        let (sa, question, certificates) = asked.expect("a question");
        assert_eq!(certificates, 0);
        let verdict = if allowed {
            Verdict::Allow { terms: Terms::default(), key: Box::default(), proven: Vec::new() }
        } else {
            Verdict::Deny { why: "on leave".into() }
        };
        pair.order(GATEWAY, Command::Verdict { sa, question, verdict });
        pair.run_for(secs(1));
        assert_eq!(pair.gateway().count("sessions_resumed"), u64::from(allowed));
        assert_eq!(pair.client().count("tickets_in_vain"), u64::from(!allowed), "it proves anew who it is");
    }
}

#[test]
fn a_client_that_restarted_has_its_ticket() {
    let mut pair = pair(18).established();
    pair.restart(CLIENT);
    lose_touch(&mut pair);
    pair.connect();
    assert_eq!((pair.client().alive().len(), pair.gateway().count("sessions_resumed")), (1, 1));
}

#[test]
fn what_is_taken_up_again_moves_and_gets_new_keys_as_any_other() {
    let mut pair = pair(19).established();
    lose_touch(&mut pair);
    pair.connect();
    let sa = pair.client().sa();
    pair.order(CLIENT, Command::Rekey { sa });
    pair.settle();
    pair.order_move(Pair::path(stage::LTE, WAN));
    pair.settle();
    assert_eq!((pair.client().rekeys().len(), pair.client().moved().len()), (1, 1));
    assert_pairs(&pair, &["story"]);
}

#[test]
fn an_old_proof_does_not_grow_younger_by_a_ticket() {
    let mut pair = pair(20).gateway_profile(|profile| profile.limits.reauth = secs(100));
    pair = pair.client_profile(|profile| profile.resumption.ask = true).established();
    // It says "100 s" and would be asked to reauthenticate; but it falls silent.
    pair.run_for(secs(20));
    lose_touch(&mut pair);
    pair.connect();
    assert_eq!(resumed(&pair), (1, 1));
    pair.net.lose(Which::of(CLIENT).request(ExchangeType::IKE_SA_INIT).always());
    pair.run_for(secs(90));
    assert!(pair.gateway().downs().iter().any(|(_, why)| *why == DownReason::ProofTooOld));
}

#[test]
fn a_ticket_is_no_good_any_more_when_peers_are_believed_by_something_else() {
    // A user was removed, a certificate revoked, a key changed: whoever it was, all prove anew who they are.
    for (rests_on, taken) in [(&b"of yesterday"[..], true), (b"of today", false), (b"", false)] {
        let rests =
            |on: &'static [u8]| move |profile: &mut mobike_ike::Profile| profile.resumption.rests_on = on.into();
        let mut pair = pair(21).gateway_profile(rests(b"of yesterday")).established();
        pair = pair.gateway_profile(rests(rests_on));
        lose_touch(&mut pair);
        pair.connect();
        assert_eq!((pair.client().alive().len(), resumed(&pair)), (1, (u64::from(taken), u64::from(taken))));
        assert_eq!(pair.gateway().count("tickets_refused"), u64::from(!taken));
    }
}

#[test]
fn an_identity_that_is_not_let_in_any_more_is_not_taken_up_either() {
    let mut pair = pair(22).established();
    pair = pair.gateway_profile(|profile| {
        profile.remote_id = IdentityPattern::Exact(Identity::Fqdn("someone-else.example.net".into()));
    });
    lose_touch(&mut pair);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(3));
    assert_eq!((pair.client().alive().len(), pair.gateway().count("sessions_resumed")), (0, 0));
    assert_eq!(pair.gateway().count("tickets_refused"), 1);
}

fn with_pool(pair: Pair, sticky: Duration) -> Pair {
    let v4 = Some(([10, 9, 0, 1].into(), [10, 9, 0, 9].into()));
    pair.client_profile(|profile| {
        profile.request_virtual_ip = RequestVip { v4: true, v6: false };
        profile.local_ts.clear();
        profile.initial_contact = false;
    })
    .gateway_profile(|profile| {
        profile.remote_ts.clear();
        profile.pool = Some(Pool { v4, sticky, ..Pool::default() });
    })
}

#[test]
fn the_inner_address_goes_on_with_whoever_takes_its_ike_sa_up_again() {
    for sticky in [Duration::ZERO, HOUR] {
        let mut pair = with_pool(pair(23), sticky).established();
        let address = pair.client().up().virtual_ips.clone();
        assert_eq!(address[..], [ip("10.9.0.1")]);
        for times in 1..=2 {
            lose_touch(&mut pair);
            pair.connect();
            assert_one(&pair);
            assert_eq!((resumed(&pair), &pair.client().ups().last().unwrap().virtual_ips), ((times, times), &address));
            assert_eq!(pair.gateway().ups().last().unwrap().virtual_ips, address);
        }
        // It is leased once, and free when the last of them is gone.
        pair.close(CLIENT);
        pair.settle();
        pair.connect();
        assert_eq!(pair.client().ups().last().unwrap().virtual_ips, address);
    }
}

#[test]
fn a_gateway_that_knows_nothing_any_more_gives_the_address_that_the_ticket_names_if_it_is_free() {
    let mut pair = with_pool(pair(24), Duration::ZERO).established();
    let other = pair.client().up().virtual_ips.clone();
    // A second one beside it, which stays: it has the next address.
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(1));
    let address = pair.client().ups()[1].virtual_ips.clone();
    assert_eq!((&other[..], &address[..]), (&[ip("10.9.0.1")][..], &[ip("10.9.0.2")][..]));
    pair.reboot_empty(GATEWAY, Settings::default());
    let profile = Arc::new(pair.profile_of(GATEWAY));
    pair.order(GATEWAY, Command::SetProfile { id: PROFILE, profile });
    give_keys(&mut pair, &[1]);
    lose_touch(&mut pair);
    pair.run_for(secs(20));
    let before = pair.client().ups().len();
    // The newest ticket is used first: that of the second.
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(1));
    assert_eq!((pair.client().ups()[before].virtual_ips.clone(), resumed(&pair).1), (address, 1));
}

#[test]
fn tickets_of_strangers_make_no_more_half_open_ike_sas_than_anything_else() {
    let mut pair = with_keys(Pair::new(25).settings(|settings| settings.half_open.max = 8)).established();
    lose_touch(&mut pair);
    pair.net.lose(Which::of(CLIENT).request(RESUME).always());
    pair.connect_over(&[(WIFI, WAN)]);
    let shown = pair.said(|told| told.asks(RESUME)).next().unwrap().bytes.clone();
    for mark in 1..=100u8 {
        let mut again = shown.clone();
        again[7] ^= mark;
        pair.inject(GATEWAY, Pair::init_path(WAN, WIFI), &again);
    }
    let population = pair.gateway().engine.population();
    assert_eq!((population.half_open, pair.gateway().count("tickets_in_vain")), (8, 0));
    pair.run_for(secs(45));
    assert_eq!(pair.gateway().engine.population().half_open, 0);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(1));
    assert_eq!(pair.client().alive().len(), 1);
}
