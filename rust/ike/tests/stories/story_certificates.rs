//! Stories of signatures and certificates: RFC 7427, and peers that wait to be judged.

use crate::stage;

use core::net::IpAddr;
use std::sync::Arc;

use mobike_ike::command::Verdict;
use mobike_ike::crypto::{KeyKind, SignatureError};
use mobike_ike::event::{AuthRefusal, Authorise, ConnectError};
use mobike_ike::profile::ReturnRoutability;
use mobike_ike::wire::{Header, PayloadType};
use mobike_ike::{
    Asked, Credential, HalfOpenLimits, LocalProof, PrefixLimits, Question, QuestionLimits, RemoteProof, Terms,
};
use stage::keys::{KINDS, Key};
use stage::{
    CLIENT, Command, Event, ExchangeType, Fate, GATEWAY, HostId, LTE, NattPorts, NotifyType, PROFILE, Pair, Profile,
    Token, WAN, WIFI, Which, ms, secs,
};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const AUTH: ExchangeType = ExchangeType::IKE_AUTH;
const INFO: ExchangeType = ExchangeType::INFORMATIONAL;

fn signs(profile: &mut Profile, credential: Arc<Credential>) {
    profile.proofs.local = LocalProof::Signature(credential);
}

fn trusts(profile: &mut Profile, key: &Key) {
    profile.proofs.remote = RemoteProof::Keys([key.public()].into());
}

fn asks(profile: &mut Profile) {
    profile.proofs.remote = RemoteProof::Certificate { authorities: [[7; 20]].into() };
}

/// Both ends sign, and each knows the other's key.
fn signing(kind: KeyKind) -> Pair {
    let (client, gateway) = (Key::of(kind, 1), Key::of(kind, 2));
    Pair::new(1)
        .client_profile(|profile| {
            signs(profile, client.credential());
            trusts(profile, &gateway);
        })
        .gateway_profile(|profile| {
            signs(profile, gateway.credential());
            trusts(profile, &client);
        })
}

/// The client shows a certificate, and the gateway must ask about it; the gateway has a shared secret.
fn waiting(seed: u64) -> (Pair, Key) {
    let key = Key::of(KeyKind::P256, 1);
    let pair = Pair::new(seed).client_profile(|profile| signs(profile, key.credential())).gateway_profile(asks);
    (pair, key)
}

/// The same, and IKE_AUTH has arrived.
fn asked(seed: u64) -> (Pair, Key) {
    let (mut pair, key) = waiting(seed);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(100));
    (pair, key)
}

/// What was parked came of this.
const IKE_AUTH: Asked = Asked { ours: false, message_id: 1 };

fn questions(pair: &Pair, who: HostId) -> Vec<Authorise> {
    let asked =
        |(_, event): &(_, Event)| if let Event::Authorise(asked) = event { Some((**asked).clone()) } else { None };
    pair.host(who).events.iter().filter_map(asked).collect()
}

#[track_caller]
fn answer(pair: &mut Pair, who: HostId, asked: &Authorise, verdict: Verdict) {
    pair.order(who, Command::Verdict { sa: asked.sa, question: asked.question, verdict });
}

fn allow(key: &Key, proven: &[IpAddr]) -> Verdict {
    Verdict::Allow { key: key.info.clone().into(), proven: proven.to_vec(), terms: Terms::default() }
}

fn deny(why: &str) -> Verdict {
    Verdict::Deny { why: why.into() }
}

#[test]
fn both_ends_sign_with_keys_of_every_kind() {
    for kind in KINDS {
        let pair = signing(kind).established();
        assert_eq!(pair.told.len(), 4, "{kind}: nothing but four messages");
        let spoken = |told: &&stage::Told| told.carries(NotifyType::SIGNATURE_HASH_ALGORITHMS);
        assert_eq!(pair.told.iter().filter(spoken).count(), 2, "{kind}: both say which hashes they know");
        assert!(questions(&pair, GATEWAY).is_empty() && questions(&pair, CLIENT).is_empty(), "nobody is asked");
    }
}

#[test]
fn each_end_proves_itself_in_its_own_way() {
    let key = Key::of(KeyKind::P256, 1);
    let changes: [fn(Pair, &Key) -> Pair; 2] = [
        |pair, key| {
            pair.client_profile(|profile| signs(profile, key.credential()))
                .gateway_profile(|profile| trusts(profile, key))
        },
        |pair, key| {
            pair.client_profile(|profile| trusts(profile, key))
                .gateway_profile(|profile| signs(profile, key.credential()))
        },
    ];
    for change in changes {
        change(Pair::new(1), &key).established();
    }
}

#[test]
fn the_hashes_are_only_spoken_of_where_somebody_signs() {
    let pair = Pair::new(1).established();
    assert!(!pair.told.iter().any(|told| told.carries(NotifyType::SIGNATURE_HASH_ALGORITHMS)));
    assert_eq!(pair.told.iter().filter(|told| has_certreq(&told.bytes)).count(), 0);
}

fn has_certreq(init: &[u8]) -> bool {
    Header::peek(init).is_ok_and(|header| header.exchange == INIT)
        && mobike_ike::wire::Message::parse(init)
            .is_ok_and(|message| message.payloads.iter().any(|payload| payload.kind() == PayloadType::CERTREQ))
}

#[test]
fn a_peer_that_signs_with_another_key_than_its_certificates_is_refused_and_nobody_is_asked() {
    let (signer, shown) = (Key::of(KeyKind::P256, 1), Key::of(KeyKind::P256, 3));
    let mut pair =
        Pair::new(1).client_profile(|profile| signs(profile, signer.credential_showing(&shown))).gateway_profile(asks);
    pair.connect();
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    assert!(questions(&pair, GATEWAY).is_empty());
    let reason = AuthRefusal::Signature(SignatureError::Invalid).to_string();
    assert!(pair.gateway().notices().iter().any(|text| text.contains(&reason)), "{:?}", pair.gateway().notices());
}

#[test]
fn a_gateway_that_signs_with_another_key_is_told_so_and_left() {
    let (signer, known) = (Key::of(KeyKind::Ed25519, 1), Key::of(KeyKind::Ed25519, 3));
    let mut pair = Pair::new(1)
        .client_profile(|profile| trusts(profile, &known))
        .gateway_profile(|profile| signs(profile, signer.credential()));
    pair.connect();
    let refused = ConnectError::Refused(AuthRefusal::Signature(SignatureError::Invalid));
    assert_eq!(pair.client().failures()[0].0, &refused);
    assert!(pair.said(|told| told.from == CLIENT && told.asks(INFO)).next().is_some(), "AUTHENTICATION_FAILED");
    assert!(pair.gateway().alive().is_empty());
}

#[test]
fn another_way_to_prove_oneself_than_the_profile_wants_is_refused_as_such() {
    let key = Key::of(KeyKind::P256, 1);
    for (client_signs, gateway_asks) in [(true, false), (false, true)] {
        let mut pair = Pair::new(1);
        if client_signs {
            pair = pair.client_profile(|profile| signs(profile, key.credential()));
            // So that the gateway says which hashes it knows.
            pair = pair.gateway_profile(|profile| signs(profile, key.credential()));
            pair = pair.client_profile(|profile| trusts(profile, &key));
        }
        if gateway_asks {
            pair = pair.gateway_profile(asks);
        }
        pair.connect();
        assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
        let reason = AuthRefusal::WrongMethod.to_string();
        assert!(pair.gateway().notices().iter().any(|text| text.contains(&reason)), "{:?}", pair.gateway().notices());
    }
}

#[test]
fn a_gateway_that_does_not_speak_of_hashes_is_doubted_and_the_reason_is_told() {
    // SAr1, KEr, Nr, N(NATD).., N(SIGNATURE_HASH_ALGORITHMS) with another number <--
    for kind in [KeyKind::Ed25519, KeyKind::Rsa] {
        let pair = silenced(kind, GATEWAY);
        let why = pair.client().failures()[0].0.to_string();
        assert!(why.contains("SIGNATURE_HASH_ALGORITHMS"), "{why}");
    }
}

/// Somebody between takes away what one end says of hashes.
fn silenced(kind: KeyKind, who: HostId) -> Pair {
    let mut pair = signing(kind);
    let forget = Fate::Rewrite(Box::new(|bytes| {
        let name = NotifyType::SIGNATURE_HASH_ALGORITHMS.0.to_be_bytes();
        if let Some(at) = bytes.windows(2).position(|window| window == name) {
            bytes[at..at + 2].copy_from_slice(&[0xff, 0xf0]);
        }
    }));
    let which = if who == CLIENT { Which::of(who).request(INIT) } else { Which::of(who).answer(INIT) };
    pair.net.plan(which.always(), forget);
    pair.connect();
    pair.run_for(secs(100));
    pair
}

/// RFC 7427 section 5: both ends could sign in an old way then, and AUTH covers what was said of hashes.
#[test]
fn a_downgrade_to_old_signatures_by_somebody_between_is_found_out() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521] {
        for who in [CLIENT, GATEWAY] {
            let pair = silenced(kind, who);
            assert!(pair.client().ups().is_empty() && pair.gateway().alive().is_empty(), "{kind}");
            assert_eq!(pair.client().failures().len(), 1, "{kind}");
            assert_eq!(pair.gateway().engine.population().half_open, 0, "{kind}: no half-open state stays");
            let why = pair.client().failures()[0].0;
            let told = matches!(why, ConnectError::PeerRefusedAuth | ConnectError::Refused(AuthRefusal::Signature(_)));
            assert!(told, "{kind}: who finds it says so: {why}");
        }
    }
}

#[test]
fn a_peer_that_knows_none_of_our_hashes_gets_no_signature() {
    // The peer's list says SHA2-256 alone, and our key is Ed25519.
    let mut pair = signing(KeyKind::Ed25519);
    let poorer = Fate::Rewrite(Box::new(|bytes| {
        let list = [0, 2, 0, 3, 0, 4, 0, 5];
        let at = bytes.windows(8).position(|window| window == list).expect("the list");
        bytes[at..at + 8].copy_from_slice(&[0, 2, 0, 2, 0, 2, 0, 2]);
    }));
    pair.net.plan(Which::of(GATEWAY).answer(INIT).always(), poorer);
    pair.connect();
    let refused = ConnectError::Refused(AuthRefusal::CannotSign(SignatureError::NoCommonHash));
    assert_eq!(pair.client().failures()[0].0, &refused);
}

#[test]
fn the_gateway_asks_about_a_certificate_and_answers_when_it_is_told() {
    // IKE_AUTH { CERT, AUTH } -->   the question; nothing is said until   <-- IKE_AUTH
    let (mut pair, key) = asked(1);
    assert_eq!(pair.told.len(), 3, "IKE_AUTH has no answer yet");
    assert!(has_certreq(&pair.told[1].bytes), "the gateway says which authorities it knows");
    let question = questions(&pair, GATEWAY).remove(0);
    assert_eq!(question.peer_id.to_string(), "client.example.net");
    assert_eq!(question.certificates, [key.certificate().into_boxed_slice()]);
    assert_eq!((question.profile, question.path), (PROFILE, Pair::path(WIFI, WAN).reversed()));
    assert_eq!(pair.gateway().engine.population().half_open, 1, "who waits is half-open");
    answer(&mut pair, GATEWAY, &question, allow(&key, &[]));
    pair.settle();
    assert_eq!((pair.client().alive().len(), pair.gateway().live_children().len()), (1, 1));
    assert_eq!(pair.gateway().engine.population().half_open, 0);
    assert_eq!(pair.gateway().up().sa, question.sa);
    assert_eq!(pair.gateway().came_of(|event| matches!(event, Event::IkeSaUp(_))), Some(IKE_AUTH));
    assert_eq!(pair.gateway().came_of(|event| matches!(event, Event::ChildUp { .. })), Some(IKE_AUTH));
}

#[test]
fn the_client_asks_about_the_gateways_certificate() {
    let key = Key::of(KeyKind::P384, 1);
    for verdict in [allow(&key, &[]), deny("not that one")] {
        let good = matches!(verdict, Verdict::Allow { .. });
        let mut pair = Pair::new(1).client_profile(asks).gateway_profile(|profile| signs(profile, key.credential()));
        pair.connect_over(&[(WIFI, WAN)]);
        pair.run_for(ms(100));
        assert!(pair.client().ups().is_empty());
        let question = questions(&pair, CLIENT).remove(0);
        answer(&mut pair, CLIENT, &question, verdict);
        pair.settle();
        assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), if good { (1, 1) } else { (0, 0) });
        if !good {
            let refused = ConnectError::Refused(AuthRefusal::Denied("not that one".into()));
            assert_eq!(pair.client().failures()[0].0, &refused);
        }
        let over = |event: &Event| matches!(event, Event::IkeSaUp(_) | Event::ConnectFailed { .. });
        assert_eq!(pair.client().came_of(over), Some(Asked { ours: true, message_id: 1 }));
    }
}

#[test]
fn who_is_denied_hears_authentication_failed_and_people_hear_why() {
    let (mut pair, _) = asked(1);
    let question = questions(&pair, GATEWAY).remove(0);
    answer(&mut pair, GATEWAY, &question, deny("the certificate of client.example.net has expired"));
    pair.settle();
    assert_eq!(pair.gateway().came_of(|event| matches!(event, Event::Notice { .. })), Some(IKE_AUTH));
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    assert!(pair.gateway().notices().iter().any(|text| text.contains("has expired")));
    pair.run_for(secs(60));
    assert_eq!(pair.gateway().engine.population().ike_sas, 0);
}

#[test]
fn a_question_that_nobody_answers_is_a_refusal_when_its_time_is_over() {
    let (mut pair, _) = asked(1);
    pair.run_for(secs(9));
    assert!(pair.client().failures().is_empty());
    pair.run_for(secs(2));
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    assert_eq!(pair.gateway().came_of(|event| matches!(event, Event::Notice { .. })), Some(IKE_AUTH));
    assert_eq!(pair.gateway().count("questions_expired"), 1);
    assert!(pair.gateway().count("repeats_parked") > 0, "the client repeated IKE_AUTH meanwhile");
    assert_eq!(pair.gateway().count("questions_asked"), 1, "and nobody was asked twice");
    pair.run_for(secs(60));
    assert_eq!(pair.gateway().engine.population().ike_sas, 0);
}

#[test]
fn the_client_gives_up_a_gateway_that_nobody_judges() {
    let key = Key::of(KeyKind::P256, 1);
    let mut pair = Pair::new(1).client_profile(asks).gateway_profile(|profile| signs(profile, key.credential()));
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(11));
    assert_eq!(pair.client().failures()[0].0, &ConnectError::Refused(AuthRefusal::Undecided));
    assert!(pair.gateway().alive().is_empty(), "and it is told");
    assert_eq!(pair.client().engine.population().ike_sas, 0);
}

#[test]
fn a_verdict_that_comes_late_or_twice_or_for_another_question_changes_nothing() {
    let (mut pair, key) = asked(1);
    let question = questions(&pair, GATEWAY).remove(0);
    let other = Authorise { question: Question(question.question.0 + 1), ..question.clone() };
    answer(&mut pair, GATEWAY, &other, allow(&key, &[]));
    assert!(pair.gateway().ups().is_empty(), "the number is another");
    answer(&mut pair, GATEWAY, &question, allow(&key, &[]));
    assert_eq!(pair.gateway().ups().len(), 1);
    let trace = pair.gateway().trace();
    answer(&mut pair, GATEWAY, &question, deny("too late"));
    assert_eq!(pair.gateway().trace(), trace);
    assert_eq!(pair.gateway().count("stale_commands"), 2);

    let (mut pair, key) = asked(1);
    let question = questions(&pair, GATEWAY).remove(0);
    pair.run_for(secs(11));
    answer(&mut pair, GATEWAY, &question, allow(&key, &[]));
    pair.run_for(secs(60));
    answer(&mut pair, GATEWAY, &question, allow(&key, &[]));
    assert!(pair.gateway().ups().is_empty());
    assert_eq!(pair.gateway().count("stale_commands"), 2);
}

#[test]
fn an_sa_that_was_closed_while_it_waited_hears_no_verdict() {
    let (mut pair, key) = asked(1);
    let question = questions(&pair, GATEWAY).remove(0);
    pair.order(GATEWAY, Command::Close { sa: question.sa, why: "operator".into() });
    answer(&mut pair, GATEWAY, &question, allow(&key, &[]));
    assert!(pair.gateway().ups().is_empty());
    assert_eq!(pair.gateway().engine.population().ike_sas, 0);
}

#[test]
fn a_verdict_about_another_key_than_the_one_that_signed_lets_nobody_in() {
    let (mut pair, _) = asked(1);
    let question = questions(&pair, GATEWAY).remove(0);
    answer(&mut pair, GATEWAY, &question, allow(&Key::of(KeyKind::P256, 9), &[]));
    pair.settle();
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    assert!(pair.gateway().ups().is_empty());
}

#[test]
fn thousands_may_wait_within_the_limits_and_the_cookie_gate_counts_them() {
    const PEERS: u64 = 2_000;
    const LIMIT: u32 = 1_500;
    let (pair, key) = waiting(1);
    let prefixes = PrefixLimits { max: 10_000, ..PrefixLimits::default() };
    let half_open = HalfOpenLimits { cookie_threshold: 100, prefixes, ..HalfOpenLimits::default() };
    let questions_limit = QuestionLimits { max: LIMIT, ..QuestionLimits::default() };
    let mut pair = pair.settings(|settings| {
        settings.half_open = half_open;
        settings.questions = questions_limit;
    });
    for token in 0..PEERS {
        let natt = NattPorts { local: 4500, remote: 4500 };
        let paths = vec![Pair::init_path(WIFI, WAN)];
        pair.order(
            CLIENT,
            Command::Connect { token: Token(token), profile: PROFILE, paths, natt, redirected_from: None },
        );
    }
    pair.run_for(ms(200));
    assert_eq!(pair.gateway().count("questions_asked"), LIMIT.into());
    assert!(pair.gateway().count("dropped_questions_limit") > 0);
    assert!(pair.gateway().count("cookies_sent") > 0, "who waits is a stranger still");
    let mut answered = 0;
    for _ in 0..20 {
        let all = questions(&pair, GATEWAY);
        for question in &all[answered..] {
            answer(&mut pair, GATEWAY, question, allow(&key, &[]));
        }
        answered = all.len();
        pair.run_for(secs(1));
    }
    assert_eq!(answered as u64, PEERS, "those that were dropped came again");
    assert_eq!(pair.gateway().alive().len() as u64, PEERS);
}

// req: D5.5-1
#[test]
fn an_address_that_the_certificate_proves_needs_no_check_of_return_routability() {
    for policy in [ReturnRoutability::Before, ReturnRoutability::After, ReturnRoutability::Untrusted] {
        let (pair, key) = waiting(1);
        let mut pair = pair.gateway_profile(|profile| profile.return_routability = policy);
        pair.connect_over(&[(WIFI, WAN)]);
        pair.run_for(ms(100));
        let question = questions(&pair, GATEWAY).remove(0);
        answer(&mut pair, GATEWAY, &question, allow(&key, &[LTE]));
        pair.settle();
        // N(UPDATE_SA_ADDRESSES) from the proven address -->   moved at once
        pair.net.lose(Which::of(CLIENT).answer(INFO).always());
        pair.order_move(Pair::path(LTE, WAN));
        pair.run_for(ms(100));
        assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)], "{policy:?}");
        assert_eq!(pair.gateway().count("cookie2_sent"), 0, "{policy:?}");
        pair.net.no_more_plans();
        // N(UPDATE_SA_ADDRESSES) from an address that is not in it -->   <-- N(COOKIE2)
        pair.order_move(Pair::path(WIFI, WAN));
        pair.settle();
        assert_eq!(pair.gateway().count("cookie2_sent"), 1, "{policy:?}");
        assert_eq!(pair.gateway().peer_moves().last(), Some(&(Pair::path(WIFI, WAN).reversed(), true)));
    }
}

// req: D5.5-1
#[test]
fn a_move_to_a_proven_address_ends_the_check_of_one_that_was_not() {
    let (mut pair, key) = asked(1);
    let question = questions(&pair, GATEWAY).remove(0);
    answer(&mut pair, GATEWAY, &question, allow(&key, &[WIFI]));
    pair.settle();
    pair.net.lose(Which::of(CLIENT).answer(INFO).always());
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    assert!(pair.gateway().peer_moves().is_empty(), "lte must be proven first");
    pair.order_move(Pair::path(WIFI, WAN));
    pair.run_for(ms(100));
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(WIFI, WAN).reversed(), true)]);
}

// req: D5.5-1
#[test]
fn a_gateway_that_begins_again_still_knows_what_the_certificate_proved() {
    let (mut pair, key) = asked(1);
    let question = questions(&pair, GATEWAY).remove(0);
    answer(&mut pair, GATEWAY, &question, allow(&key, &[LTE]));
    pair.settle();
    pair.restart(GATEWAY);
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)]);
    assert_eq!(pair.gateway().count("cookie2_sent"), 0);
}

#[test]
fn ike_auth_with_certificates_is_repeated_with_the_same_octets() {
    let (mut pair, key) = waiting(1);
    pair.net.lose(Which::of(GATEWAY).answer(AUTH));
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(100));
    let question = questions(&pair, GATEWAY).remove(0);
    answer(&mut pair, GATEWAY, &question, allow(&key, &[]));
    pair.settle();
    assert_eq!(pair.client().alive().len(), 1, "the answer came from the cache");
    assert_eq!(pair.gateway().count("questions_asked"), 1);
}
