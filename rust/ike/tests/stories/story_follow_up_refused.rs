//! IKE_FOLLOWUP_KE of a peer that breaks the rules, or lost its mind (RFC 9370 section 2.2.4): what is in use stays in use, and
//! nothing of what was begun is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::crypto::{IkeSuite, KeMethod};
use mobike_ike::event::DownReason;
use mobike_ike::wire::{KeMethod as KeNumber, KeyExchange, Payload};
use stage::children::{assert_pairs, suites};
use stage::{
    CLIENT, Command, ExchangeType, Fate, Forged, GATEWAY, NotifyType, Pair, Profile, Role, WAN, WIFI, Which, ms, secs,
};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const FOLLOW: ExchangeType = ExchangeType::IKE_FOLLOWUP_KE;
const SMALL: &str = "aes256gcm16-prfsha384-x25519-ke1_ecp384-ke2_ecp256";
const ESP: &str = "aes256gcm16-x25519-ke1_ecp384-ke2_ecp256";

fn pair(seed: u64) -> Pair {
    let ike: IkeSuite = SMALL.parse().unwrap();
    let set = |profile: &mut Profile| {
        profile.ike_suites = vec![ike];
        profile.esp_suites = suites(&[ESP]);
    };
    Pair::new(seed).client_profile(set).gateway_profile(set).established()
}

fn order(pair: &mut Pair, child: bool) {
    let (sa, pairs) = (pair.client().sa(), pair.client().live_children());
    pair.order(CLIENT, if child { Command::RekeyChild { child: pairs[0] } } else { Command::Rekey { sa } });
}

/// What the gateway called the series.
fn link(pair: &Pair) -> Vec<u8> {
    let mut answers = pair.said(|told| told.answers(CREATE));
    let contents = answers.next().unwrap().contents.clone().unwrap();
    contents.notify(NotifyType::ADDITIONAL_KEY_EXCHANGE).expect("a link").to_vec()
}

fn next_id(pair: &Pair) -> u32 {
    let ids = pair.said(|told| told.from == CLIENT && told.asks(CREATE)).map(|told| told.header().unwrap().message_id);
    ids.max().unwrap() + 1
}

/// The gateway gets this instead of the client's next key exchange.
fn say(pair: &mut Pair, payloads: &[Payload<'_>]) {
    let id = next_id(pair);
    let forged = Forged { sender: Role::Initiator, exchange: FOLLOW, id, response: false };
    let bytes = pair.forge(forged, payloads);
    pair.net.no_more_plans();
    pair.inject(GATEWAY, Pair::path(WAN, WIFI), &bytes);
    pair.run_for(ms(15));
}

/// The client asked, the gateway agreed, and the client says no more of its own.
fn agreed(seed: u64, child: bool) -> Pair {
    let mut pair = pair(seed);
    pair.net.lose(Which::of(CLIENT).request(FOLLOW).always());
    order(&mut pair, child);
    pair.run_for(ms(25));
    pair
}

fn refusals(pair: &Pair, kind: NotifyType) -> usize {
    pair.said(|told| told.from == GATEWAY && told.answers(FOLLOW) && told.carries(kind)).count()
}

#[test]
fn one_that_names_no_series_or_another_is_told_that_there_is_none() {
    let key = mobike_ike::crypto::Ephemeral::from_scalar(KeMethod::P384, &[7; 48]).unwrap();
    let ke = Payload::KeyExchange(KeyExchange { method: KeNumber(20), data: key.public() });
    for named in [None, Some(&b"another"[..]), Some(&[][..])] {
        for child in [false, true] {
            let mut pair = agreed(1, child);
            let notify = named.map(|name| Payload::notify(NotifyType::ADDITIONAL_KEY_EXCHANGE, name));
            let payloads: Vec<Payload<'_>> = core::iter::once(ke).chain(notify).collect();
            say(&mut pair, &payloads);
            assert_eq!(refusals(&pair, NotifyType::STATE_NOT_FOUND), 1, "{named:?}");
            assert!(pair.gateway().notices().iter().any(|text| text.contains("IKE_FOLLOWUP_KE refused")));
            assert_pairs_after(&mut pair);
        }
    }
}

#[test]
fn one_without_a_value_or_with_a_wrong_one_ends_what_was_begun() {
    type Value<'a> = Option<(u16, &'a [u8])>;
    let good = mobike_ike::crypto::Ephemeral::from_scalar(KeMethod::P256, &[7; 32]).unwrap();
    let cases: [(&str, Value<'_>); 4] = [
        ("nothing", None),
        ("out of turn", Some((19, good.public()))),
        ("too short", Some((20, &[1; 95]))),
        ("not on the curve", Some((20, &[1; 96]))),
    ];
    for (what, value) in cases {
        for child in [false, true] {
            let mut pair = agreed(2, child);
            let name = link(&pair);
            let ke = value.map(|(method, data)| Payload::KeyExchange(KeyExchange { method: KeNumber(method), data }));
            let notify = Payload::notify(NotifyType::ADDITIONAL_KEY_EXCHANGE, &name);
            let payloads: Vec<Payload<'_>> = ke.into_iter().chain([notify]).collect();
            say(&mut pair, &payloads);
            assert_eq!(refusals(&pair, NotifyType::INVALID_SYNTAX), 1, "{what}");
            assert_eq!(pair.gateway().engine.population().child_sas, 1, "{what}: nothing is reserved");
            assert_eq!(pair.gateway().live_children().len(), 1);
            assert_eq!(pair.gateway().downs(), [], "{what}");
        }
    }
}

/// The gateway forgets in the end whatever was begun, and both go on with what they have.
#[track_caller]
fn assert_pairs_after(pair: &mut Pair) {
    pair.run_for(secs(21));
    assert_eq!(pair.gateway().engine.population().child_sas, 1);
    assert_eq!(pair.gateway().downs(), []);
}

#[test]
fn a_peer_that_never_goes_on_leaves_nothing_behind() {
    for child in [false, true] {
        let mut pair = agreed(3, child);
        assert_eq!(pair.gateway().engine.population().child_sas, 1 + u32::from(child));
        pair.run_for(secs(21));
        assert_eq!(pair.gateway().engine.population().child_sas, 1);
        assert_eq!(pair.gateway().count("follow_ups_forgotten"), 1);
        assert_eq!(pair.gateway().live_children().len(), 1);
        // What comes too late is told so, and begun anew.
        pair.net.no_more_plans();
        pair.run_for(secs(120));
        assert!(refusals(&pair, NotifyType::STATE_NOT_FOUND) >= 1);
        assert_pairs(&pair, &["story"]);
        assert_eq!(pair.client().rekeys().len(), usize::from(!child));
        assert_eq!(pair.client().installs().len(), 1 + usize::from(child));
    }
}

/// However often it begins, it holds a few places.
#[test]
fn a_peer_that_begins_many_and_finishes_none_is_limited() {
    let mut pair = pair(4);
    pair.net.lose(Which::of(CLIENT).request(FOLLOW).always());
    for _ in 0..12 {
        order(&mut pair, true);
        pair.run_for(ms(25));
        let id = next_id(&pair);
        let forged = Forged { sender: Role::Responder, exchange: FOLLOW, id, response: true };
        let bytes = pair.forge(forged, &[Payload::notify(NotifyType::TEMPORARY_FAILURE, &[])]);
        pair.inject(CLIENT, Pair::path(WIFI, WAN), &bytes);
        pair.run_for(secs(1));
        // The gateway waits for that id, and may as well have it.
        let forged = Forged { sender: Role::Initiator, exchange: ExchangeType::INFORMATIONAL, id, response: false };
        let bytes = pair.forge(forged, &[]);
        pair.inject(GATEWAY, Pair::path(WAN, WIFI), &bytes);
        pair.run_for(ms(15));
        assert!(pair.gateway().engine.population().child_sas <= 2, "one that replaces the same pair replaces it");
    }
    assert_eq!(pair.gateway().downs(), []);
}

/// Our half of it: answers that are of no use.
#[test]
fn an_answer_of_no_use_keeps_what_is_in_use() {
    let point = mobike_ike::crypto::Ephemeral::from_scalar(KeMethod::P384, &[7; 48]).unwrap();
    let good = Payload::KeyExchange(KeyExchange { method: KeNumber(20), data: point.public() });
    let cases: [(&str, Vec<Payload<'_>>); 5] = [
        ("nothing", vec![]),
        ("another method", vec![Payload::KeyExchange(KeyExchange { method: KeNumber(31), data: &[9; 32] })]),
        ("not on the curve", vec![Payload::KeyExchange(KeyExchange { method: KeNumber(20), data: &[1; 96] })]),
        ("no name of what follows", vec![good]),
        ("an error", vec![Payload::notify(NotifyType::STATE_NOT_FOUND, &[])]),
    ];
    for (what, payloads) in cases {
        for child in [false, true] {
            let mut pair = agreed(5, child);
            let id = next_id(&pair);
            let forged = Forged { sender: Role::Responder, exchange: FOLLOW, id, response: true };
            let bytes = pair.forge(forged, &payloads);
            pair.inject(CLIENT, Pair::path(WIFI, WAN), &bytes);
            pair.run_for(ms(15));
            assert_eq!(pair.client().count("rekeys_refused"), 1, "{what}");
            assert!(pair.client().notices().iter().any(|text| text.contains("keeps its keys")), "{what}");
            assert_eq!((pair.client().rekeys().len(), pair.client().installs().len()), (0, 1), "{what}");
            assert_eq!(pair.client().engine.population().child_sas, 1, "{what}: nothing is reserved");
        }
    }
}

/// RFC 7296 section 2.21.3: who says INVALID_SYNTAX has dropped the IKE SA.
#[test]
fn invalid_syntax_in_an_answer_is_the_end_of_the_ike_sa() {
    let mut pair = agreed(6, false);
    let forged = Forged { sender: Role::Responder, exchange: FOLLOW, id: next_id(&pair), response: true };
    let bytes = pair.forge(forged, &[Payload::notify(NotifyType::INVALID_SYNTAX, &[])]);
    pair.inject(CLIENT, Pair::path(WIFI, WAN), &bytes);
    pair.run_for(ms(15));
    assert!(matches!(pair.client().downs()[0].1, DownReason::PeerMisbehaved(_)));
}

/// Garbled on the way it is as good as lost.
#[test]
fn a_value_changed_by_somebody_between_is_dropped() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(7);
        let turn = Fate::Rewrite(Box::new(|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }));
        let which = if who == CLIENT { Which::of(who).request(FOLLOW) } else { Which::of(who).answer(FOLLOW) };
        pair.net.plan(which, turn);
        order(&mut pair, false);
        pair.run_for(secs(20));
        let host = if who == CLIENT { pair.gateway() } else { pair.client() };
        assert_eq!(host.count("dropped_bad_icv"), 1);
        assert_eq!((pair.client().rekeys().len(), pair.gateway().rekeys().len()), (1, 1));
    }
}
