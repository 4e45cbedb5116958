//! Stories of EAP inside IKE_AUTH (RFC 7296 section 2.16, RFC 5998), told with a toy method: the gateway asks `rounds` times,
//! the client answers each time, and both hold the same key in the end.
#![allow(clippy::expect_used, clippy::panic, reason = "a story that cannot go on fails")]

use crate::stage;

use std::sync::Arc;

use mobike_ike::command::Verdict;
use mobike_ike::crypto::{KeyKind, SecretBytes};
use mobike_ike::event::{Authorise, ConnectError, EapAsked};
use mobike_ike::profile::{Pool, RequestVip, Unique};
use mobike_ike::{
    Asked, Credential, EapPacket, EapReply, Gateway, IdentityPattern, LocalProof, Ppk, Question, QuestionLimits,
    RemoteProof, Settings, Terms, Topic,
};
use stage::keys::Key;
use stage::{
    CLIENT, Command, Event, ExchangeType, Fate, GATEWAY, HostId, Identity, LTE, NotifyType, Pair, Profile, Role,
    Selector, WAN, WIFI, Which, ms, secs,
};

const AUTH: ExchangeType = ExchangeType::IKE_AUTH;
const INFO: ExchangeType = ExchangeType::INFORMATIONAL;
const KEY: &[u8] = &[0x5e; 64];

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;
const TOY: u8 = 254;

fn packet(code: u8, identifier: u8, text: &[u8]) -> EapPacket {
    let length = (5 + text.len()) as u16;
    let [high, low] = length.to_be_bytes();
    EapPacket::new([&[code, identifier, high, low, TOY][..], text].concat()).expect("a packet")
}

fn send(packet: EapPacket) -> EapReply {
    EapReply::Send { packet, refused: None }
}

fn agreed() -> EapReply {
    EapReply::Agreed { key: Some(SecretBytes::from_slice(KEY)), peer: None, terms: Terms::default() }
}

/// What both ends of the toy method do.
#[derive(Clone)]
struct Toy {
    rounds: u8,
    size: usize,
    gateway_key: Option<&'static [u8]>,
    client_key: Option<&'static [u8]>,
    refuse_at: Option<u8>,
    user: Option<&'static str>,
    addresses: &'static [&'static str],
}

impl Default for Toy {
    fn default() -> Toy {
        Toy {
            rounds: 3,
            size: 20,
            gateway_key: Some(KEY),
            client_key: Some(KEY),
            refuse_at: None,
            user: None,
            addresses: &[],
        }
    }
}

impl Toy {
    fn reply(&self, asked: &EapAsked) -> EapReply {
        let heard = asked.packet.as_ref().map(|packet| packet.octets().to_vec());
        match (asked.role, heard.as_deref()) {
            (Role::Responder, None) => send(packet(REQUEST, 1, &vec![b'?'; self.size])),
            (Role::Responder, Some(&[RESPONSE, identifier, ..])) if self.refuse_at == Some(identifier) => {
                EapReply::Failed { why: "wrong answer of ann".into() }
            }
            (Role::Responder, Some(&[RESPONSE, identifier, ..])) if identifier >= self.rounds => EapReply::Agreed {
                key: self.gateway_key.map(SecretBytes::from_slice),
                peer: self.user.map(|user| Identity::Email(user.into())),
                terms: Terms {
                    addresses: self.addresses.iter().map(|text| stage::ip(text)).collect(),
                    ..Terms::default()
                },
            },
            (Role::Responder, Some(&[RESPONSE, identifier, ..])) => {
                send(packet(REQUEST, identifier + 1, &vec![b'?'; self.size]))
            }
            (Role::Initiator, Some(&[REQUEST, identifier, ..])) => {
                send(packet(RESPONSE, identifier, &vec![b'!'; self.size]))
            }
            (Role::Initiator, Some(&[SUCCESS, ..])) => EapReply::Agreed {
                key: self.client_key.map(SecretBytes::from_slice),
                peer: None,
                terms: Terms::default(),
            },
            (Role::Initiator, Some(&[FAILURE, ..])) => EapReply::Failed { why: "the gateway says no".into() },
            (role, heard) => panic!("{role:?} heard {heard:?}"),
        }
    }
}

fn questions(pair: &Pair, who: HostId) -> Vec<EapAsked> {
    let asked = |(_, event): &(_, Event)| if let Event::Eap(asked) = event { Some((**asked).clone()) } else { None };
    pair.host(who).events.iter().filter_map(asked).collect()
}

fn certificate_questions(pair: &Pair, who: HostId) -> Vec<Authorise> {
    let asked =
        |(_, event): &(_, Event)| if let Event::Authorise(asked) = event { Some((**asked).clone()) } else { None };
    pair.host(who).events.iter().filter_map(asked).collect()
}

#[track_caller]
fn reply(pair: &mut Pair, who: HostId, asked: &EapAsked, reply: EapReply) {
    pair.order(who, Command::Eap { sa: asked.sa, question: asked.question, reply });
}

/// Both ends answer what they are asked until nothing happens any more.
#[track_caller]
fn play(pair: &mut Pair, toy: &Toy) {
    let ended = |pair: &Pair| pair.client().ups().len() + pair.client().failures().len();
    let (before, mut answered) = (ended(pair), [CLIENT, GATEWAY].map(|who| questions(pair, who).len()));
    for _ in 0..1_000 {
        pair.run_for(ms(100));
        for who in [CLIENT, GATEWAY] {
            let all = questions(pair, who);
            for asked in &all[answered[who.0]..] {
                reply(pair, who, asked, toy.reply(asked));
            }
            answered[who.0] = all.len();
        }
        if ended(pair) > before {
            pair.run_for(ms(500));
            return;
        }
    }
}

fn signs(profile: &mut Profile, credential: Arc<Credential>) {
    profile.proofs.local = LocalProof::Signature(credential);
}

/// The client proves itself by EAP; the gateway by a signature whose key the client knows.
fn talking(seed: u64) -> Pair {
    let key = Key::of(KeyKind::P256, 1);
    Pair::new(seed)
        .client_profile(|profile| {
            profile.proofs.local = LocalProof::Eap;
            profile.proofs.remote = RemoteProof::Keys([key.public()].into());
        })
        .gateway_profile(|profile| {
            signs(profile, key.credential());
            profile.proofs.remote = RemoteProof::Eap;
            profile.remote_id = IdentityPattern::Any;
        })
}

/// Neither end signs.
fn alone(seed: u64) -> Pair {
    let both = |profile: &mut Profile| {
        profile.proofs.local = LocalProof::Eap;
        profile.proofs.remote = RemoteProof::Eap;
    };
    Pair::new(seed).client_profile(both).gateway_profile(both)
}

fn begun(mut pair: Pair) -> Pair {
    pair.connect_over(&[(WIFI, WAN)]);
    pair
}

#[track_caller]
fn is_up(pair: &Pair) {
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1), "an IKE SA at each end");
    assert_eq!((pair.client().live_children().len(), pair.gateway().live_children().len()), (1, 1), "a Child SA");
    assert_eq!(pair.gateway().engine.population().half_open, 0);
}

#[track_caller]
fn is_nowhere(pair: &mut Pair) {
    pair.run_for(secs(100));
    assert!(pair.client().ups().is_empty() && pair.gateway().ups().is_empty());
    assert_eq!((pair.client().engine.population().ike_sas, pair.gateway().engine.population().ike_sas), (0, 0));
}

#[test]
fn the_rounds_are_one_rung_and_what_waits_for_a_reply_comes_of_its_round() {
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy::default());
    is_up(&pair);
    // IDi -->, three rounds, and AUTH: the one after success.
    for host in [pair.client(), pair.gateway()] {
        let all = host.engine.exchanges(host.sa()).expect("it is up");
        let set_up: Vec<_> = all.iter().map(|each| (each.topic, each.id, each.times)).take(2).collect();
        assert_eq!(set_up, [(Topic::Init, 0, 1), (Topic::Auth, 5, 5)], "{}", host.name);
    }
    let mut pair = begun(talking(2));
    play(&mut pair, &Toy { refuse_at: Some(2), ..Toy::default() });
    let refused = pair.gateway().came_of(|event| matches!(event, Event::Notice { .. }));
    assert_eq!(refused, Some(Asked { ours: false, message_id: 3 }), "IDi is 1, the first packet 2");
}

#[test]
fn the_client_proves_itself_by_eap_and_the_gateway_by_its_signature() {
    // { IDi, SA, TS }            -->
    //                            <-- { IDr, CERT, AUTH, EAP }
    // { EAP }                    -->       three times
    //                            <-- { EAP }               the last one is a success
    // { AUTH }                   -->
    //                            <-- { AUTH, SA, TS, N(MOBIKE_SUPPORTED) }
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy::default());
    is_up(&pair);
    assert_eq!(pair.said(|told| told.asks(AUTH)).count(), 5);
    assert_eq!(pair.said(|told| told.from == CLIENT && told.copies_before > 0).count(), 0);
    assert_eq!((questions(&pair, GATEWAY).len(), questions(&pair, CLIENT).len()), (4, 4));
    assert!(questions(&pair, GATEWAY)[0].packet.is_none(), "the gateway begins");
    assert!(pair.client().up().mobike && pair.gateway().up().mobike);
    // Requests of both go on where IKE_AUTH ended.
    pair.probe(CLIENT, None);
    pair.settle();
    pair.probe(GATEWAY, None);
    pair.settle();
    assert_eq!((pair.client().checked().len(), pair.gateway().checked().len()), (1, 1));
    assert!(
        pair.said(|told| told.from == CLIENT && told.asks(INFO)).any(|told| told.header().unwrap().message_id == 6)
    );
}

#[test]
fn who_the_peer_proved_to_be_is_who_eap_says() {
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy { user: Some("ann@example.net"), ..Toy::default() });
    is_up(&pair);
    assert_eq!(pair.gateway().up().peer_id.to_string(), "ann@example.net");
    assert_eq!(questions(&pair, GATEWAY)[0].peer_id.to_string(), "client.example.net", "what its ID payload said");
}

#[test]
fn a_method_without_a_key_is_bound_to_the_ike_sa_by_sk_p() {
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy { gateway_key: None, client_key: None, ..Toy::default() });
    is_up(&pair);
}

/// RFC 5685 section 6: with the first answer, which has our proof, so that nobody types a password that is of no use here.
#[test]
fn who_is_sent_on_hears_so_before_eap_begins_and_nobody_is_asked_anything() {
    // { IDi, SA, TS }  -->   <-- { IDr, CERT, AUTH, N(REDIRECT) }    { D } -->
    let other: Gateway = "198.51.100.77".parse().expect("a gateway");
    let orders = Arc::from([other.clone()]);
    let pair = talking(1).client_profile(|profile| profile.redirect.follow = true);
    let mut pair = begun(pair.gateway_profile(|profile| profile.redirect.to = orders));
    pair.run_for(secs(2));
    assert_eq!(*pair.client().failures()[0].0, ConnectError::Redirected(other));
    assert_eq!((questions(&pair, GATEWAY).len(), questions(&pair, CLIENT).len()), (0, 0));
    assert_eq!((pair.gateway().count("redirects_sent"), pair.client().count("redirects_heard")), (1, 1));
    // Its Delete was answered, and nothing waits for the end of a half-open SA.
    let answered = pair.said(|told| told.from == GATEWAY && told.answers(INFO)).count();
    assert_eq!((answered, pair.gateway().count("dropped_wrong_state")), (1, 0));
    assert_eq!(pair.gateway().engine.population().ike_sas, 0);
    is_nowhere(&mut pair);
    assert_eq!(pair.gateway().engine.population().half_open, 0);
}

#[test]
fn a_peer_that_was_sent_on_is_forgotten_by_its_delete_and_by_nothing_like_it() {
    let to: Arc<[Gateway]> = Arc::from(["198.51.100.77".parse::<Gateway>().expect("a gateway")]);
    let pair = talking(1).client_profile(|profile| profile.redirect.follow = true);
    let mut pair = pair.gateway_profile(|profile| profile.redirect.to = to);
    pair.net.lose(Which::of(CLIENT).request(INFO));
    let mut pair = begun(pair);
    pair.run_for(secs(2));
    assert_eq!(pair.gateway().engine.population().half_open, 1, "until its time is over");
    let lost = pair.said(|told| told.from == CLIENT && told.asks(INFO)).next().expect("a Delete").bytes.to_vec();
    // Another message id, a bit of the contents, the flag of an answer.
    for place in [23, lost.len() - 1, 19] {
        let mut other = lost.clone();
        other[place] ^= 0x20;
        pair.inject(GATEWAY, Pair::path(WAN, WIFI), &other);
        assert_eq!(pair.gateway().engine.population().half_open, 1, "{place}");
    }
    pair.inject(GATEWAY, Pair::path(WAN, WIFI), &lost);
    assert_eq!(pair.gateway().engine.population().half_open, 0);
    is_nowhere(&mut pair);
}

#[test]
fn who_follows_no_redirect_talks_eap() {
    let orders = Arc::from(["198.51.100.77".parse::<Gateway>().expect("a gateway")]);
    let mut pair = begun(talking(1).gateway_profile(|profile| profile.redirect.to = orders));
    play(&mut pair, &Toy::default());
    is_up(&pair);
}

/// A gateway that proves itself by EAP has proved nothing in its first answer: it sends on in the last one, and its client
/// believes nothing earlier.
#[test]
fn a_gateway_without_a_proof_of_its_own_sends_on_when_eap_is_over() {
    let other: Gateway = "198.51.100.77".parse().expect("a gateway");
    let orders = Arc::from([other.clone()]);
    let pair = alone(1).client_profile(|profile| profile.redirect.follow = true);
    let mut pair = begun(pair.gateway_profile(|profile| profile.redirect.to = orders));
    play(&mut pair, &Toy::default());
    assert_eq!(*pair.client().failures()[0].0, ConnectError::Redirected(other));
    assert_eq!(questions(&pair, GATEWAY).len(), 4, "all of it");
}

/// RFC 8784 section 3: with EAP the last IKE_AUTH names the key, and its AUTHs are made with it.
#[test]
fn a_ppk_goes_with_eap_and_whoever_insists_on_it_gets_it() {
    let ppk = |key: u8, required| Ppk { id: b"one"[..].into(), key: SecretBytes::from_slice(&[key; 32]), required };
    let cases = [
        (Some(ppk(7, true)), Some(ppk(7, true)), true, true),
        (Some(ppk(7, false)), Some(ppk(7, false)), true, true),
        (Some(ppk(7, false)), None, true, false),
        (None, Some(ppk(7, false)), true, false),
        (Some(ppk(7, true)), None, false, false),
        (None, Some(ppk(7, true)), false, false),
        (Some(ppk(8, true)), Some(ppk(7, true)), false, false),
    ];
    for keyless in [false, true] {
        for (nth, (client, gateway, works, used)) in cases.clone().into_iter().enumerate() {
            let pair = if keyless { talking(1) } else { alone(1) };
            let pair =
                pair.client_profile(|profile| profile.ppk = client).gateway_profile(|profile| profile.ppk = gateway);
            let mut pair = begun(pair);
            let key = if keyless { None } else { Some(KEY) };
            play(&mut pair, &Toy { gateway_key: key, client_key: key, ..Toy::default() });
            if !works {
                is_nowhere(&mut pair);
                assert_eq!(pair.gateway().engine.population().half_open, 0, "{nth}");
                continue;
            }
            is_up(&pair);
            let named = pair.said(|told| told.from == GATEWAY && told.carries(NotifyType::PPK_IDENTITY)).count();
            assert_eq!(named, usize::from(used), "{nth}");
            let keys = |who| pair.host(who).installs()[0].1.clone();
            assert_eq!(keys(CLIENT).key_in, keys(GATEWAY).key_out);
            pair.probe(CLIENT, None);
            pair.settle();
            assert_eq!(pair.client().checked().len(), 1, "{nth}");
        }
    }
}

#[test]
fn both_ends_prove_themselves_by_eap_alone() {
    // { IDi, SA, TS, N(EAP_ONLY_AUTHENTICATION) } -->   <-- { IDr, EAP }
    let mut pair = begun(alone(1));
    play(&mut pair, &Toy::default());
    is_up(&pair);
}

#[test]
fn a_gateway_that_only_knows_eap_refuses_who_wants_more() {
    let mut pair = begun(alone(1).client_profile(|profile| profile.proofs.remote = RemoteProof::SharedKey));
    play(&mut pair, &Toy::default());
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    assert!(questions(&pair, GATEWAY).is_empty());
    is_nowhere(&mut pair);
}

#[test]
fn a_gateway_that_must_sign_cannot_do_so_for_a_client_that_checks_no_signature() {
    // ECDSA has an old way, which goes without asking.
    let key = Key::of(KeyKind::Ed25519, 1);
    let mut pair = alone(1).gateway_profile(|profile| signs(profile, key.credential()));
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(100));
    let asked = questions(&pair, GATEWAY).remove(0);
    reply(&mut pair, GATEWAY, &asked, Toy::default().reply(&asked));
    pair.settle();
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    is_nowhere(&mut pair);
}

#[test]
fn the_gateways_certificate_is_judged_before_the_method_hears_anything() {
    let key = Key::of(KeyKind::P256, 1);
    for good in [true, false] {
        let mut pair = begun(talking(1).client_profile(|profile| {
            profile.proofs.remote = RemoteProof::Certificate { authorities: [].into() };
        }));
        pair.run_for(ms(100));
        let asked = questions(&pair, GATEWAY).remove(0);
        reply(&mut pair, GATEWAY, &asked, Toy::default().reply(&asked));
        pair.run_for(ms(100));
        assert!(questions(&pair, CLIENT).is_empty(), "not before the certificate was judged");
        let asked = certificate_questions(&pair, CLIENT).remove(0);
        let verdict = match good {
            true => Verdict::Allow { key: key.info.clone().into(), proven: Vec::new(), terms: Terms::default() },
            false => Verdict::Deny { why: "not that one".into() },
        };
        pair.order(CLIENT, Command::Verdict { sa: asked.sa, question: asked.question, verdict });
        pair.run_for(ms(1));
        assert_eq!(questions(&pair, CLIENT).len(), usize::from(good));
        if good {
            for asked in questions(&pair, CLIENT) {
                reply(&mut pair, CLIENT, &asked, Toy::default().reply(&asked));
            }
            pair.run_for(ms(100));
            let asked = questions(&pair, GATEWAY).remove(1);
            reply(&mut pair, GATEWAY, &asked, EapReply::Failed { why: "enough".into() });
            pair.run_for(ms(100));
            let asked = questions(&pair, CLIENT).remove(1);
            reply(&mut pair, CLIENT, &asked, Toy::default().reply(&asked));
        }
        is_nowhere(&mut pair);
    }
}

#[test]
fn a_gateway_with_the_wrong_key_hears_nothing_of_the_method() {
    let other = Key::of(KeyKind::P256, 3);
    let mut pair = begun(talking(1).client_profile(|profile| {
        profile.proofs.remote = RemoteProof::Keys([other.public()].into());
    }));
    play(&mut pair, &Toy::default());
    assert!(questions(&pair, CLIENT).is_empty());
    assert!(matches!(pair.client().failures()[0].0, ConnectError::Refused(_)));
    is_nowhere(&mut pair);
}

#[test]
fn a_shared_secret_does_not_do_for_a_peer_that_must_use_eap_nor_the_other_way_round() {
    let mut pair = begun(Pair::new(1).gateway_profile(|profile| profile.proofs.remote = RemoteProof::Eap));
    play(&mut pair, &Toy::default());
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    let mut pair = begun(Pair::new(1).client_profile(|profile| profile.proofs.local = LocalProof::Eap));
    play(&mut pair, &Toy::default());
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    assert!(questions(&pair, GATEWAY).is_empty());
    // What makes no sense lets nobody in either.
    let mut pair = begun(Pair::new(1).client_profile(|profile| profile.proofs.remote = RemoteProof::Eap));
    play(&mut pair, &Toy::default());
    assert!(matches!(pair.client().failures()[0].0, ConnectError::Refused(_)));
}

#[test]
fn who_fails_hears_eap_failure_and_people_hear_why_on_both_sides() {
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy { refuse_at: Some(2), ..Toy::default() });
    assert_eq!(pair.client().failures()[0].0.to_string(), "the gateway says no");
    let notices = pair.gateway().notices();
    assert!(notices.iter().any(|text| text.contains("wrong answer of ann")), "{notices:?}");
    assert!(pair.client().notices().is_empty());
    is_nowhere(&mut pair);
}

#[test]
fn people_hear_at_once_and_once_why_a_peer_fails_that_may_say_nothing_more() {
    for polite in [true, false] {
        let mut pair = begun(talking(1));
        pair.run_for(ms(100));
        let asked = questions(&pair, GATEWAY).remove(0);
        let refused = Some("wrong password of ann".into());
        reply(&mut pair, GATEWAY, &asked, EapReply::Send { packet: packet(REQUEST, 1, b"E=691"), refused });
        let told = |pair: &Pair| pair.gateway().notices().iter().filter(|text| text.contains("of ann")).count();
        assert_eq!(told(&pair), 1);
        pair.run_for(ms(100));
        let asked = questions(&pair, CLIENT).remove(0);
        if polite {
            reply(&mut pair, CLIENT, &asked, Toy::default().reply(&asked));
            pair.run_for(ms(100));
            let asked = questions(&pair, GATEWAY).remove(1);
            reply(&mut pair, GATEWAY, &asked, EapReply::Failed { why: "wrong password of ann".into() });
            pair.run_for(ms(100));
            let asked = questions(&pair, CLIENT).remove(1);
            reply(&mut pair, CLIENT, &asked, Toy::default().reply(&asked));
        } else {
            reply(&mut pair, CLIENT, &asked, EapReply::Failed { why: "no".into() });
        }
        is_nowhere(&mut pair);
        assert_eq!(told(&pair), 1);
        assert_eq!(pair.gateway().count("auth_failed"), 1);
    }
}

#[test]
fn a_key_that_differs_lets_nobody_in_however_well_the_method_ended() {
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy { client_key: Some(&[1; 64]), ..Toy::default() });
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    let notices = pair.gateway().notices();
    assert!(notices.iter().any(|text| text.contains("its AUTH does not match the key of the method")), "{notices:?}");
    is_nowhere(&mut pair);
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy { client_key: None, ..Toy::default() });
    assert_eq!(pair.client().failures()[0].0, &ConnectError::PeerRefusedAuth);
    is_nowhere(&mut pair);
}

#[test]
fn every_message_may_be_lost_or_come_twice() {
    for which in 1..=5 {
        for request in [true, false] {
            for twice in [true, false] {
                let mut pair = talking(1);
                let named = Which::of(if request { CLIENT } else { GATEWAY }).id(which);
                let named = if request { named.request(AUTH) } else { named.answer(AUTH) };
                pair.net.plan(named, if twice { Fate::Twice(ms(30)) } else { Fate::Lose });
                let mut pair = begun(pair);
                play(&mut pair, &Toy::default());
                is_up(&pair);
                assert_eq!(questions(&pair, GATEWAY).len(), 4, "nobody is asked twice: {which} {request} {twice}");
                assert_eq!(questions(&pair, CLIENT).len(), 4);
            }
        }
    }
}

#[test]
fn a_repeated_request_gets_the_same_answer_and_an_older_or_later_one_none() {
    let mut pair = begun(talking(1));
    for (who, number) in [(GATEWAY, 0), (CLIENT, 0), (GATEWAY, 1), (CLIENT, 1), (GATEWAY, 2)] {
        pair.run_for(ms(100));
        let asked = questions(&pair, who).remove(number);
        reply(&mut pair, who, &asked, Toy::default().reply(&asked));
    }
    pair.run_for(ms(100));
    let said = |pair: &Pair, from: HostId, id: u32| -> Vec<Vec<u8>> {
        let fits = |told: &stage::Told| {
            told.from == from && told.header().is_some_and(|it| it.exchange == AUTH && it.message_id == id)
        };
        pair.said(fits).map(|told| told.bytes.clone()).collect()
    };
    let requests = [1, 2, 3].map(|id| said(&pair, CLIENT, id).remove(0));
    let answers = [1, 2, 3].map(|id| said(&pair, GATEWAY, id).remove(0));
    let asked = questions(&pair, GATEWAY).len();
    for request in &requests {
        pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), request);
    }
    pair.run_for(ms(10));
    assert_eq!([1, 2, 3].map(|id| said(&pair, GATEWAY, id).len()), [1, 1, 2], "the others are too old");
    assert_eq!(said(&pair, GATEWAY, 3)[1], answers[2], "the cached answer");
    assert_eq!(questions(&pair, GATEWAY).len(), asked);
}

#[test]
fn an_answer_goes_to_where_its_request_came_from_and_the_ike_sa_stays_where_the_first_one_did() {
    let mut pair = talking(1);
    let elsewhere = std::net::SocketAddr::new(LTE, 4500);
    pair.net.plan(Which::of(CLIENT).request(AUTH).id(3), Fate::From(elsewhere));
    let mut pair = begun(pair);
    play(&mut pair, &Toy::default());
    is_up(&pair);
    assert!(pair.said(|told| told.from == GATEWAY && told.path.remote == elsewhere).count() > 0);
    assert_eq!(pair.gateway().up().path, Pair::path(WIFI, WAN).reversed());
}

#[test]
fn a_long_conversation_in_large_pieces_passes_and_an_endless_one_does_not() {
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy { rounds: 40, size: 4000, ..Toy::default() });
    is_up(&pair);
    let mut pair = begun(talking(1));
    play(&mut pair, &Toy { rounds: 250, ..Toy::default() });
    let notices = pair.gateway().notices();
    assert!(notices.iter().any(|text| text.contains("did not come to an end")), "{notices:?}");
    is_nowhere(&mut pair);
}

#[test]
fn a_packet_that_is_too_long_is_refused() {
    let mut pair = begun(talking(1));
    pair.run_for(ms(100));
    let asked = questions(&pair, GATEWAY).remove(0);
    reply(&mut pair, GATEWAY, &asked, Toy::default().reply(&asked));
    pair.run_for(ms(100));
    let asked = questions(&pair, CLIENT).remove(0);
    reply(&mut pair, CLIENT, &asked, send(packet(RESPONSE, 1, &[0; 5000])));
    pair.run_for(ms(100));
    assert_eq!(questions(&pair, GATEWAY).len(), 1);
    let notices = pair.gateway().notices();
    assert!(notices.iter().any(|text| text.contains("too long")), "{notices:?}");
    let asked = questions(&pair, CLIENT).remove(1);
    reply(&mut pair, CLIENT, &asked, Toy::default().reply(&asked));
    is_nowhere(&mut pair);
}

#[test]
fn nobody_asks_and_nobody_answers_the_wrong_way_round() {
    for (who, code) in [(GATEWAY, RESPONSE), (GATEWAY, SUCCESS), (CLIENT, REQUEST)] {
        let mut pair = begun(talking(1));
        pair.run_for(ms(100));
        let asked = questions(&pair, GATEWAY).remove(0);
        let wrong = match code {
            SUCCESS => agreed(),
            _ => send(packet(code, 1, b"odd")),
        };
        if who == GATEWAY {
            reply(&mut pair, GATEWAY, &asked, wrong);
        } else {
            reply(&mut pair, GATEWAY, &asked, Toy::default().reply(&asked));
            pair.run_for(ms(100));
            let asked = questions(&pair, CLIENT).remove(0);
            reply(&mut pair, CLIENT, &asked, wrong);
        }
        is_nowhere(&mut pair);
    }
}

#[test]
fn a_question_that_nobody_answers_is_a_refusal_when_its_time_is_over() {
    for silent in [GATEWAY, CLIENT] {
        let mut pair = begun(talking(1));
        pair.run_for(ms(100));
        if silent == CLIENT {
            let asked = questions(&pair, GATEWAY).remove(0);
            reply(&mut pair, GATEWAY, &asked, Toy::default().reply(&asked));
        }
        pair.run_for(secs(9));
        assert!(pair.client().failures().is_empty());
        pair.run_for(secs(2));
        assert_eq!(pair.host(silent).count("questions_expired"), 1);
        assert_eq!(pair.client().failures().len(), 1);
        is_nowhere(&mut pair);
    }
}

#[test]
fn a_reply_that_comes_late_or_twice_or_to_another_question_changes_nothing() {
    let mut pair = begun(talking(1));
    pair.run_for(ms(100));
    let asked = questions(&pair, GATEWAY).remove(0);
    let done = agreed;
    let other = EapAsked { question: Question(asked.question.0 + 1), ..asked.clone() };
    reply(&mut pair, GATEWAY, &other, done());
    reply(&mut pair, GATEWAY, &asked, Toy::default().reply(&asked));
    reply(&mut pair, GATEWAY, &asked, done());
    pair.run_for(ms(100));
    assert_eq!(pair.gateway().count("stale_commands"), 2);
    // A verdict about a certificate is no answer to it.
    let asked = questions(&pair, CLIENT).remove(0);
    let verdict = Verdict::Allow { key: [].into(), proven: Vec::new(), terms: Terms::default() };
    pair.order(CLIENT, Command::Verdict { sa: asked.sa, question: asked.question, verdict });
    assert!(pair.client().ups().is_empty());
    pair.run_for(secs(30));
    let late = questions(&pair, CLIENT).remove(0);
    reply(&mut pair, CLIENT, &late, done());
    is_nowhere(&mut pair);
}

#[test]
fn a_peer_that_falls_silent_is_forgotten() {
    let mut pair = begun(talking(1));
    pair.run_for(ms(100));
    let asked = questions(&pair, GATEWAY).remove(0);
    reply(&mut pair, GATEWAY, &asked, Toy::default().reply(&asked));
    pair.run_for(ms(1));
    pair.net.plan(Which::of(CLIENT).request(AUTH).always(), Fate::Lose);
    pair.run_for(secs(50));
    assert_eq!(pair.gateway().engine.population().half_open, 1, "still a stranger, and counted as one");
    pair.run_for(secs(30));
    assert_eq!(pair.gateway().engine.population().ike_sas, 0);
}

#[test]
fn conversations_are_limited_in_number_and_room_comes_back() {
    let limit = |settings: &mut Settings| settings.questions = QuestionLimits { max: 1, ..QuestionLimits::default() };
    let mut pair = talking(1).settings(limit);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.connect_over(&[(LTE, WAN)]);
    pair.run_for(ms(300));
    assert_eq!(questions(&pair, GATEWAY).len(), 1);
    assert!(pair.gateway().count("dropped_questions_limit") > 0);
    let asked = questions(&pair, GATEWAY).remove(0);
    reply(&mut pair, GATEWAY, &asked, EapReply::Failed { why: "no".into() });
    pair.run_for(secs(5));
    assert_eq!(questions(&pair, GATEWAY).len(), 2, "the other one's turn");
}

#[test]
fn a_client_that_says_something_else_than_eap_is_refused() {
    let mut pair = begun(talking(1));
    pair.run_for(ms(100));
    let asked = questions(&pair, GATEWAY).remove(0);
    reply(&mut pair, GATEWAY, &asked, Toy::default().reply(&asked));
    pair.run_for(ms(100));
    let asked = questions(&pair, CLIENT).remove(0);
    // It believes to be done when it is not.
    reply(&mut pair, CLIENT, &asked, agreed());
    pair.run_for(ms(100));
    assert!(pair.gateway().notices().iter().any(|text| text.contains("lacks a payload")));
    assert_eq!(questions(&pair, GATEWAY).len(), 1);
    assert!(!pair.client().failures().is_empty() || !questions(&pair, CLIENT).is_empty());
    is_nowhere(&mut pair);
}

#[test]
fn neither_packets_nor_keys_are_printed() {
    let shown = format!(
        "{:?} {:?}",
        packet(RESPONSE, 1, b"hunter2"),
        Toy::default().reply(&EapAsked {
            question: Question(1),
            sa: stage::SaId(1),
            profile: stage::PROFILE,
            role: Role::Initiator,
            peer_id: Identity::Fqdn("gw".into()),
            path: Pair::path(WIFI, WAN),
            packet: EapPacket::new(vec![SUCCESS, 1, 0, 4]),
        })
    );
    assert!(!shown.contains("hunter2") && !shown.contains("94") && shown.contains("[secret]"), "{shown}");
}

/// Ann connects, and then this user: which of both IKE SAs the gateway has in the end.
fn second_user(unique: Unique, says_so: bool, user: &'static str) -> [bool; 2] {
    let pair = talking(1).client_profile(|profile| profile.initial_contact = says_so);
    let mut pair = begun(pair.gateway_profile(|profile| profile.unique = unique));
    play(&mut pair, &Toy { user: Some("ann@example.net"), ..Toy::default() });
    let first = pair.gateway().sa();
    pair.connect_over(&[(WIFI, WAN)]);
    play(&mut pair, &Toy { user: Some(user), ..Toy::default() });
    pair.run_for(secs(20));
    let (alive, refused) = (pair.gateway().alive(), pair.client().failures().len());
    assert_eq!(alive.iter().any(|sa| *sa != first), refused == 0);
    [alive.contains(&first), refused == 0]
}

#[test]
fn who_may_have_two_is_asked_of_who_eap_proved_and_not_of_who_somebody_says_to_be() {
    // The ID payload is the same each time: the name that EAP proves counts.
    for (unique, says_so, of_ann) in [
        (Unique::AsPeerSays, false, [true, true]),
        (Unique::AsPeerSays, true, [false, true]),
        (Unique::Replace, false, [false, true]),
        (Unique::Keep, false, [true, false]),
        (Unique::Keep, true, [false, true]),
        (Unique::Never, true, [true, true]),
    ] {
        assert_eq!(second_user(unique, says_so, "ann@example.net"), of_ann, "{unique:?} {says_so}");
        assert_eq!(second_user(unique, says_so, "bob@example.net"), [true, true], "{unique:?} {says_so}, another");
    }
}

/// The client asks for an IPv4 address; what it gets where `addresses` were named for it.
fn granted(pool: Option<Pool>, addresses: &'static [&'static str]) -> (Pair, Vec<std::net::IpAddr>) {
    let pair = talking(1).client_profile(|profile| {
        profile.request_virtual_ip = RequestVip { v4: true, v6: false };
        profile.local_ts.clear();
    });
    let mut pair = begun(pair.gateway_profile(|profile| {
        profile.remote_ts.clear();
        profile.pool = pool;
    }));
    play(&mut pair, &Toy { addresses, ..Toy::default() });
    let given = pair.client().ups().first().map_or(Vec::new(), |up| up.virtual_ips.clone());
    (pair, given)
}

#[test]
fn a_peer_gets_the_inner_address_that_the_control_plane_named_for_it() {
    let pool = Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, 9].into())), ..Pool::default() };
    let (pair, given) = granted(None, &["10.7.0.7"]);
    assert_eq!(given, [stage::ip("10.7.0.7")]);
    assert_eq!(pair.gateway().installs()[0].1.remote_ts, [Selector::host(stage::ip("10.7.0.7"))]);
    assert_eq!(granted(Some(pool.clone()), &["10.7.0.7", "10.7.0.8"]).1, [stage::ip("10.7.0.7")]);
    assert_eq!(granted(Some(pool.clone()), &["10.9.0.5"]).1, [stage::ip("10.9.0.5")]);
    assert_eq!(
        granted(Some(pool), &["fd00::7"]).1,
        [stage::ip("10.9.0.1")],
        "of the other family, which was not asked for"
    );
    let (pair, given) = granted(None, &[]);
    assert!(given.is_empty() && pair.client().ups().is_empty());
    assert!(pair.client().failures()[0].0.to_string().contains("INTERNAL_ADDRESS_FAILURE"));
    assert!(pair.gateway().notices().iter().any(|text| text.contains("has no pool")));
}

#[test]
fn an_address_of_the_pool_that_is_named_for_two_is_given_to_one() {
    let pool = Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, 9].into())), ..Pool::default() };
    let (mut pair, _) = granted(Some(pool), &["10.9.0.5"]);
    pair.connect_over(&[(WIFI, WAN)]);
    play(&mut pair, &Toy { addresses: &["10.9.0.5"], user: Some("bob@example.net"), ..Toy::default() });
    assert_eq!(pair.gateway().live_children().len(), 1);
    let text = "10.9.0.5 is leased to another peer";
    assert!(pair.gateway().notices().iter().any(|notice| notice.contains(text)), "{:?}", pair.gateway().notices());
}
