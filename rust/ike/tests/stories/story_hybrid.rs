//! Stories of additional key exchanges: RFC 9242 (IKE_INTERMEDIATE) and RFC 9370, with ML-KEM beside X25519.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on fails")]

use crate::stage;

use mobike_ike::crypto::IkeSuite;
use mobike_ike::event::ConnectError;
use stage::{CLIENT, ExchangeType, Fate, GATEWAY, HostId, LTE, NotifyType, Pair, Told, WAN, WIFI, Which, ms, secs};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const BETWEEN: ExchangeType = ExchangeType::IKE_INTERMEDIATE;
const AUTH: ExchangeType = ExchangeType::IKE_AUTH;

const HYBRID: &str = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";
const PLAIN: &str = "aes256gcm16-prfsha384-x25519";

fn suites(names: &[&str]) -> Vec<IkeSuite> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn pair(client: &[&str], gateway: &[&str]) -> Pair {
    let (client, gateway) = (suites(client), suites(gateway));
    Pair::new(1)
        .client_profile(|profile| profile.ike_suites = client)
        .gateway_profile(|profile| profile.ike_suites = gateway)
}

fn hybrid() -> Pair {
    pair(&[HYBRID, PLAIN], &[HYBRID, PLAIN])
}

fn agreed(pair: &Pair) -> String {
    assert_eq!(pair.client().up().suite, pair.gateway().up().suite);
    pair.client().up().suite.to_string()
}

/// Exchange, message id, and which piece it is, of everything one end said.
fn said(pair: &Pair, who: HostId) -> Vec<(ExchangeType, u32, u16)> {
    let line = |told: &Told| {
        let header = told.header().expect("a header");
        (header.exchange, header.message_id, told.fragment())
    };
    pair.said(move |told| told.from == who && !told.keepalive).map(line).collect()
}

#[test]
fn ml_kem_goes_between_init_and_auth_in_pieces() {
    let mut pair = hybrid().established();
    assert_eq!(agreed(&pair), HYBRID);
    // HDR(A,0), SA, KEi(x25519), Ni, N(INTERMEDIATE_EXCHANGE_SUPPORTED) -->
    // HDR(A,B), SK { KEi(mlkem768) }, two pieces  -->
    // HDR(A,B), SK { IDi, AUTH, .. }              -->
    assert_eq!(said(&pair, CLIENT), [(INIT, 0, 0), (BETWEEN, 1, 1), (BETWEEN, 1, 2), (AUTH, 2, 0)]);
    assert_eq!(said(&pair, GATEWAY), [(INIT, 0, 0), (BETWEEN, 1, 0), (AUTH, 2, 0)]);
    let promises = pair.said(|told| told.carries(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED)).count();
    assert_eq!(promises, 2);
    // Message ids go on behind those of the set-up, at both ends.
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert_eq!(pair.client().path(), Pair::path(LTE, WAN));
    assert_eq!(pair.requests_of(CLIENT)[0].header().unwrap().message_id, 3);
    assert_eq!(pair.requests_of(GATEWAY)[0].header().unwrap().message_id, 0);
}

#[test]
fn who_does_not_know_additional_key_exchanges_gets_none() {
    for (client, gateway) in [(&[PLAIN][..], &[HYBRID, PLAIN][..]), (&[HYBRID, PLAIN], &[PLAIN])] {
        let pair = pair(client, gateway).established();
        assert_eq!(agreed(&pair), PLAIN);
        assert_eq!(said(&pair, CLIENT), [(INIT, 0, 0), (AUTH, 1, 0)]);
        let promised =
            pair.said(|told| told.from == GATEWAY && told.carries(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED));
        assert_eq!(promised.count(), 0);
    }
}

#[test]
fn who_insists_on_it_refuses_a_peer_that_does_not_know_it() {
    for (client, gateway) in [(HYBRID, PLAIN), (PLAIN, HYBRID)] {
        let mut pair = pair(&[client], &[gateway]);
        pair.connect_over(&[(WIFI, WAN)]);
        pair.run_for(secs(30));
        assert!(pair.client().ups().is_empty() && pair.gateway().ups().is_empty());
        assert_eq!(pair.client().failures().len(), 1);
        assert!(pair.gateway().count("init_no_proposal") > 0);
        assert_eq!(pair.gateway().engine.population().half_open, 0);
    }
}

#[test]
fn several_are_done_one_after_the_other_and_places_may_stay_empty() {
    let all = "aes256gcm16-prfsha256-x25519-ke1_mlkem512-ke3_ecp384-ke7_mlkem1024";
    let pair = pair(&[all], &[all]).established();
    assert_eq!(agreed(&pair), all);
    let ids: Vec<(ExchangeType, u32)> = said(&pair, GATEWAY).iter().map(|said| (said.0, said.1)).collect();
    assert_eq!(ids, [(INIT, 0), (BETWEEN, 1), (BETWEEN, 2), (BETWEEN, 3), (BETWEEN, 3), (AUTH, 4)]);
    let sizes = pair.said(|told| told.from == GATEWAY && told.answers(BETWEEN)).map(|told| told.bytes.len());
    let sizes: Vec<usize> = sizes.collect();
    assert!(sizes[1] < 200 && sizes[0] > 768, "{sizes:?}: the second one is a point");
}

#[test]
fn every_cipher_protects_it() {
    for head in [
        "aes128gcm16-prfsha256",
        "aes256-sha256",
        "aes128ctr-sha384",
        "chacha20poly1305-prfsha512",
        "aes128gcm8-prfsha1",
    ] {
        let name = format!("{head}-x25519-ke1_mlkem768");
        let pair = pair(&[&name], &[&name]).established();
        assert_eq!(pair.client().up().suite, name.parse().unwrap());
    }
}

#[test]
fn what_is_lost_is_repeated_with_the_keys_it_was_sealed_with() {
    type Losing = fn() -> Which;
    let losses: [(&str, Losing); 4] = [
        ("the first piece of the request", || Which::of(CLIENT).request(BETWEEN).that(|told| told.fragment() == 1)),
        ("the second piece", || Which::of(CLIENT).request(BETWEEN).that(|told| told.fragment() == 2)),
        ("the answer", || Which::of(GATEWAY).answer(BETWEEN)),
        ("three answers", || Which::of(GATEWAY).answer(BETWEEN).times(3)),
    ];
    for (what, which) in losses {
        let mut pair = hybrid();
        pair.net.lose(which());
        let pair = pair.established();
        assert_eq!(agreed(&pair), HYBRID, "{what}");
        let repeated = if what.contains("answer") { pair.client().count("retransmissions") } else { 0 };
        assert_eq!(pair.gateway().count("repeats_answered"), repeated, "{what}");
        let answers: Vec<&Told> = pair.said(|told| told.from == GATEWAY && told.answers(BETWEEN)).collect();
        assert!(answers.iter().all(|answer| answer.bytes == answers[0].bytes), "{what}: the same octets");
    }
}

#[test]
fn copies_and_stragglers_change_nothing() {
    for delay in [ms(1), ms(30), ms(300)] {
        let mut pair = hybrid();
        pair.net.plan(Which::of(CLIENT).request(BETWEEN).always(), Fate::Twice(delay));
        pair.net.plan(Which::of(GATEWAY).answer(BETWEEN).always(), Fate::Twice(delay));
        pair.net.plan(Which::of(CLIENT).request(AUTH), Fate::Twice(delay));
        let mut pair = pair.established();
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        assert_eq!(pair.client().path(), Pair::path(LTE, WAN));
        assert_eq!((pair.client().ups().len(), pair.gateway().ups().len()), (1, 1));
    }
}

/// Overwrite the number of a notification in IKE_SA_INIT.
fn without(kind: NotifyType) -> Fate {
    Fate::Rewrite(Box::new(move |bytes| {
        let name = kind.0.to_be_bytes();
        if let Some(at) = bytes.windows(2).position(|window| window == name) {
            bytes[at..at + 2].copy_from_slice(&[0xff, 0xf0]);
        }
    }))
}

/// RFC 9370 section 4: who takes the additional key exchange out of the offer is found out by AUTH.
#[test]
fn a_downgrade_by_somebody_between_is_found_out() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = hybrid();
        let which = if who == CLIENT { Which::of(who).request(INIT) } else { Which::of(who).answer(INIT) };
        pair.net.plan(which.always(), without(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED));
        pair.connect_over(&[(WIFI, WAN)]);
        pair.run_for(secs(150));
        assert!(pair.client().ups().is_empty() && pair.gateway().ups().is_empty(), "{}", pair.arrows());
        assert_eq!(pair.client().failures().len(), 1);
        assert_eq!(pair.gateway().engine.population().half_open, 0);
    }
}

#[test]
fn the_proposal_rewritten_to_one_without_ml_kem_is_found_out() {
    let mut pair = hybrid();
    // The transform of type 6 becomes one of type 13, which nobody knows: the first proposal is void.
    let fate = Fate::Rewrite(Box::new(|bytes| {
        let at = bytes.windows(4).position(|window| window == [6, 0, 0, 36]).expect("the transform");
        bytes[at] = 13;
    }));
    pair.net.plan(Which::of(CLIENT).request(INIT).always(), fate);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(150));
    assert!(pair.client().ups().is_empty() && pair.gateway().ups().is_empty());
    assert!(pair.gateway().count("auth_failed") > 0 || pair.client().failures().len() == 1);
}

#[test]
fn tampering_with_a_sealed_value_is_as_good_as_losing_it() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = hybrid();
        let turn = Fate::Rewrite(Box::new(|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }));
        let which = if who == CLIENT { Which::of(who).request(BETWEEN) } else { Which::of(who).answer(BETWEEN) };
        pair.net.plan(which, turn);
        let pair = pair.established();
        assert_eq!(agreed(&pair), HYBRID);
        let host = if who == CLIENT { pair.gateway() } else { pair.client() };
        assert_eq!(host.count("dropped_bad_icv"), 1);
    }
}

#[test]
fn a_half_open_sa_in_the_middle_of_it_ends_like_any_other() {
    let mut pair = hybrid();
    pair.net.lose(Which::of(CLIENT).request(BETWEEN).that(|told| told.fragment() == 2).always());
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(5));
    assert_eq!(pair.gateway().engine.population().half_open, 1);
    assert!(pair.gateway().engine.fragments_held() > 1_000);
    pair.run_for(secs(200));
    assert_eq!(pair.gateway().engine.population().half_open, 0);
    assert_eq!(pair.gateway().engine.fragments_held(), 0);
    assert!(matches!(pair.client().failures()[0].0, ConnectError::NoAnswer { .. }));
}

#[test]
fn an_order_can_be_withdrawn_in_the_middle_of_it() {
    let mut pair = hybrid();
    pair.net.lose(Which::of(GATEWAY).answer(BETWEEN).always());
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(2));
    assert_eq!(pair.client().engine.population().ike_sas, 1);
    let repeated = pair.said(|told| told.from == CLIENT && told.asks(BETWEEN)).count();
    assert!(repeated >= 4, "two pieces, twice or more");
}

/// Over the NAT traversal port from the first message after IKE_SA_INIT on (RFC 7296 section 2.23).
#[test]
fn it_goes_where_ike_auth_goes() {
    let pair = hybrid().established();
    for told in pair.said(|told| told.header().is_some_and(|header| header.exchange == BETWEEN)) {
        assert_eq!((told.path.local.port(), told.path.remote.port()), (4500, 4500));
    }
}

#[test]
fn new_keys_of_the_ike_sa_stand_on_those_it_had() {
    let mut pair = hybrid().established();
    let sa = pair.client().sa();
    pair.order(CLIENT, stage::Command::Rekey { sa });
    pair.settle();
    assert_eq!((pair.client().rekeys().len(), pair.gateway().rekeys().len()), (1, 1));
    pair.probe(CLIENT, None);
    pair.settle();
    assert_eq!(pair.client().checked().len(), 1);
}
