//! Stories of peers that hold the keys and do what they should not, or what only other implementations do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::scripted;

use core::time::Duration;

use mobike_ike::engine::Population;
use mobike_ike::event::{DownReason, NoticeKind};
use mobike_ike::wire::{Delete, ExchangeType, NotifyType, Payload, PayloadType, ProtocolId, SkWriter};
use mobike_ike::{Command, Event, Generation};
use scripted::{LIVENESS, SCRIPTED_SPI, Script, offer, path, select};

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

fn notify(kind: NotifyType, data: &'static [u8]) -> Payload<'static> {
    Payload::notify(kind, data)
}

fn mobike(writer: &mut SkWriter) {
    writer.push(&notify(NotifyType::MOBIKE_SUPPORTED, &[]));
}

/// The scripted peer moved; the engine awaits the answer to its COOKIE2, which is returned.
fn awaiting_cookie() -> (Script, Vec<u8>) {
    let mut script = Script::as_initiator(mobike);
    script.request_over(path("198.51.100.9"), INFORMATIONAL, |writer| {
        writer.push(&notify(NotifyType::UPDATE_SA_ADDRESSES, &[]));
    });
    let cookie = script.notified().into_iter().find(|(kind, _)| *kind == NotifyType::COOKIE2).expect("a check").1;
    assert_eq!(cookie.len(), 16);
    (script, cookie)
}

fn moves(script: &Script) -> Vec<bool> {
    let verified = |event: &Event| match event {
        Event::PeerMoved { verified, .. } => Some(*verified),
        _ => None,
    };
    script.events.iter().filter_map(verified).collect()
}

fn down(script: &Script) -> Option<&DownReason> {
    script.events.iter().find_map(|event| match event {
        Event::IkeSaDown { why, .. } => Some(why),
        _ => None,
    })
}

#[test]
fn what_strongswan_adds_to_its_messages_does_not_disturb() {
    let script = Script::as_initiator(|writer| {
        for kind in [
            NotifyType::INITIAL_CONTACT,
            NotifyType::EAP_ONLY_AUTHENTICATION,
            NotifyType::MULTIPLE_AUTH_SUPPORTED,
            NotifyType::IKEV2_MESSAGE_ID_SYNC_SUPPORTED,
            NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED,
            NotifyType(40_961),
        ] {
            writer.push(&notify(kind, &[]));
        }
        writer.push(&Payload::Unknown { kind: PayloadType(200), body: b"whatever" });
    });
    assert_eq!(script.engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 1 });
}

// req: M3.7-2
#[test]
fn the_right_cookie2_lets_the_traffic_move() {
    let (mut script, cookie) = awaiting_cookie();
    assert!(moves(&script).is_empty(), "proven first");
    script.answer(|writer| writer.push(&Payload::notify(NotifyType::COOKIE2, &cookie)));
    assert_eq!(moves(&script), [true]);
    assert!(down(&script).is_none());
}

// req: M3.7-3
#[test]
fn a_wrong_or_missing_cookie2_closes_the_ike_sa() {
    type Spoil = fn(&[u8]) -> Option<Vec<u8>>;
    let spoilt: [Spoil; 4] = [
        |_| None,
        |cookie| Some(cookie[..15].to_vec()),
        |cookie| Some([cookie, &[0]].concat()),
        |cookie| Some(cookie.iter().map(|octet| octet ^ 1).collect()),
    ];
    for spoil in spoilt {
        let (mut script, cookie) = awaiting_cookie();
        let answer = spoil(&cookie);
        script.answer(|writer| {
            if let Some(cookie) = &answer {
                writer.push(&Payload::notify(NotifyType::COOKIE2, cookie));
            }
        });
        assert_eq!(down(&script), Some(&DownReason::WrongCookie2), "{answer:?}");
        assert_eq!(script.engine.population(), Population::default());
        assert!(moves(&script).is_empty());
    }
}

// req: M3.7-2, M3.7-3, M4-1
#[test]
fn a_cookie2_of_8_to_64_octets_is_copied_and_any_other_is_a_syntax_error() {
    for len in 0..=70 {
        let mut script = Script::as_initiator(mobike);
        let cookie: Vec<u8> = (0..len).collect();
        script.request_over(path("198.51.100.9"), INFORMATIONAL, |writer| {
            writer.push(&notify(NotifyType::UPDATE_SA_ADDRESSES, &[]));
            writer.push(&Payload::notify(NotifyType::COOKIE2, &cookie));
        });
        if (8..=64).contains(&len) {
            assert_eq!(script.engine.counters().updates_taken, 1, "{len}");
            continue;
        }
        assert_eq!(script.engine.counters().updates_taken, 0, "{len}: nothing of it counts");
        assert_eq!(script.engine.counters().invalid_requests, 1, "{len}");
        assert!(down(&script).is_none() && moves(&script).is_empty());
    }
    let mut script = Script::as_initiator(|_| ());
    script.request(INFORMATIONAL, |writer| writer.push(&notify(NotifyType::COOKIE2, b"eight oct")));
    assert_eq!(script.notified(), [(NotifyType::COOKIE2, b"eight oct".to_vec())]);
}

// req: M3.8-1
#[test]
fn nat_detection_in_any_informational_is_answered_in_kind_to_where_it_came_from() {
    let mut script = Script::as_initiator(mobike);
    let elsewhere = path("198.51.100.77");
    script.request_over(elsewhere, INFORMATIONAL, |writer| {
        writer.push(&notify(NotifyType::NAT_DETECTION_SOURCE_IP, &[1; 20]));
        writer.push(&notify(NotifyType::NAT_DETECTION_DESTINATION_IP, &[2; 20]));
    });
    let (went, kinds) =
        script.newest(|path, _, payloads| (path, payloads.notifies().map(|notify| notify.kind).collect::<Vec<_>>()));
    assert_eq!(went, elsewhere);
    assert_eq!(kinds, [NotifyType::NAT_DETECTION_SOURCE_IP, NotifyType::NAT_DETECTION_DESTINATION_IP]);
    assert!(moves(&script).is_empty());
}

// req: M3.2-1
#[test]
fn without_mobike_on_both_sides_an_update_is_answered_and_moves_nothing() {
    let mut script = Script::as_initiator(|_| ());
    script.request_over(path("198.51.100.9"), INFORMATIONAL, |writer| {
        writer.push(&notify(NotifyType::UPDATE_SA_ADDRESSES, &[]));
    });
    assert!(script.newest(|_, header, payloads| header.flags.response && payloads.is_empty()));
    assert_eq!(script.engine.counters().updates_unexpected, 1);
    assert!(moves(&script).is_empty());
}

// req: M3.2-1
#[test]
fn data_in_mobike_supported_is_ignored() {
    let script = Script::as_initiator(|writer| writer.push(&notify(NotifyType::MOBIKE_SUPPORTED, &[1, 2, 3])));
    assert!(script.events.iter().any(|event| matches!(event, Event::IkeSaUp(up) if up.mobike)));
}

// req: M3.6-1
#[test]
fn a_list_is_kept_up_to_a_limit() {
    let mut script = Script::as_initiator(mobike);
    script.request(INFORMATIONAL, |writer| {
        for n in 0..60u8 {
            writer.push(&Payload::notify(NotifyType::ADDITIONAL_IP4_ADDRESS, &[10, 0, 0, n]));
        }
    });
    let kept = script.events.iter().find_map(|event| match event {
        Event::PeerAddresses { addresses, .. } => Some(addresses.len()),
        _ => None,
    });
    assert_eq!(kept, Some(32));
}

#[test]
fn an_unknown_critical_payload_is_refused_by_its_type_and_the_ike_sa_lives() {
    let mut script = Script::as_initiator(|_| ());
    script.request_critical(INFORMATIONAL, PayloadType(200));
    assert_eq!(script.notified(), [(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, vec![200])]);
    script.request(INFORMATIONAL, |writer| {
        writer.push(&Payload::Unknown { kind: PayloadType(200), body: b"may be stepped over" });
    });
    assert!(script.newest(|_, _, payloads| payloads.is_empty()));
    assert!(down(&script).is_none());
}

#[test]
fn one_child_sa_too_many_is_refused_and_the_ike_sa_lives() {
    let mut script = Script::as_initiator(|_| ());
    script.request(ExchangeType::CREATE_CHILD_SA, |_| ());
    assert_eq!(script.notified(), [(NotifyType::NO_ADDITIONAL_SAS, vec![])]);
    assert!(script.events.iter().any(|event| matches!(event, Event::Notice { kind: NoticeKind::Limit, .. })));
    script.request(INFORMATIONAL, |_| ());
    assert!(script.newest(|_, header, _| header.flags.response));
}

#[test]
fn deleting_a_child_names_our_direction_in_the_answer_and_unknown_spis_name_nothing() {
    let mut script = Script::as_initiator(|_| ());
    let delete = |spi: u32| {
        move |writer: &mut SkWriter| {
            let spis = [spi.to_be_bytes()];
            writer.push(&Payload::Delete(Delete::ChildSas { protocol: ProtocolId::ESP, spis: &spis }));
        }
    };
    script.request(INFORMATIONAL, delete(0x9999_9999));
    assert!(script.newest(|_, _, payloads| payloads.is_empty()));
    script.request(INFORMATIONAL, delete(SCRIPTED_SPI));
    let named = script.newest(|_, _, payloads| {
        payloads
            .iter()
            .any(|payload| matches!(payload, Payload::Delete(Delete::ChildSas { spis, .. }) if spis.len() == 1))
    });
    assert!(named);
    assert_eq!(script.engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 0 });
    let downs =
        script.events.iter().filter(|event| matches!(event, Event::ChildDown { why: DownReason::PeerDeleted, .. }));
    assert_eq!(downs.count(), 1);
}

#[test]
fn ike_auth_without_proof_is_refused_and_a_repetition_gets_the_same_answer() {
    let mut script = Script::with_auth(|writer| {
        let id = mobike_ike::wire::Identification::new(mobike_ike::wire::IdType::FQDN, b"eap.example.net");
        writer.push(&Payload::IdInitiator(id));
    });
    assert_eq!(script.notified(), [(NotifyType::AUTHENTICATION_FAILED, vec![])]);
    script.repeat();
    assert_eq!(script.waiting(), 2, "the refusal twice");
    assert_eq!(script.notified(), [(NotifyType::AUTHENTICATION_FAILED, vec![])]);
    assert_eq!(script.engine.counters().auth_failed, 1);
    assert_eq!(script.engine.population().ike_sas, 1, "half-open, until it expires");
    script.wait(Duration::from_secs(31));
    assert_eq!(script.engine.population(), Population::default());
}

// req: M4-1
#[test]
fn whoever_claims_a_name_of_many_pages_gets_one_line_of_log() {
    for name in [vec![b'\n'; 40_000], "\u{e9}".repeat(20_000).into_bytes()] {
        let script = Script::with_auth(|writer| {
            let id = mobike_ike::wire::Identification::new(mobike_ike::wire::IdType::FQDN, &name);
            writer.push(&Payload::IdInitiator(id));
        });
        let mut notices = script.events.iter().filter_map(|event| match event {
            Event::Notice { text, .. } => Some(text),
            _ => None,
        });
        let text = notices.next_back().expect("it is told");
        assert!(text.len() < 700 && !text.contains('\n'), "{} octets", text.len());
        assert!(text.contains("... (40000 octets) refused: peer proves who it is in another way"), "{text}");
    }
}

#[test]
fn a_misshapen_mobike_notification_in_ike_auth_is_a_syntax_error() {
    let mut script = Script::with_auth(|writer| writer.push(&notify(NotifyType::ADDITIONAL_IP4_ADDRESS, &[1, 2, 3])));
    assert_eq!(script.notified(), [(NotifyType::INVALID_SYNTAX, vec![])]);
}

#[test]
fn half_a_child_sa_in_ike_auth_is_a_syntax_error_and_leaves_nothing() {
    for (half, write) in [("an offer alone", offer as fn(&mut SkWriter)), ("selectors alone", select)] {
        let mut script = Script::with_proof(write);
        assert_eq!(script.notified(), [(NotifyType::INVALID_SYNTAX, vec![])], "{half}");
        script.wait(Duration::from_secs(31));
        assert_eq!(script.engine.population(), Population::default(), "{half}");
    }
    let whole = Script::with_proof(|_| ());
    assert_eq!(whole.engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 0 }, "RFC 6023");
}

#[test]
fn the_peer_may_say_later_that_it_does_not_believe_us() {
    let mut script = Script::as_initiator(|_| ());
    script.request(INFORMATIONAL, |writer| writer.push(&notify(NotifyType::AUTHENTICATION_FAILED, &[])));
    assert_eq!(down(&script), Some(&DownReason::PeerRefusedAuth));
}

fn move_to(peer: &str, generation: u32) -> impl Fn(&Script) -> Command {
    let path = path(peer);
    move |script| Command::Move { sa: script.sa(), path, generation: Generation(generation), addresses: None }
}

// req: M3.5-8
#[test]
fn unacceptable_addresses_is_no_success() {
    let mut script = Script::as_responder(mobike);
    let order = move_to("192.0.2.8", 5)(&script);
    script.order(order);
    script.answer(|writer| writer.push(&notify(NotifyType::UNACCEPTABLE_ADDRESSES, &[])));
    let refused = |event: &Event| matches!(event, Event::MoveRefused { generation: Generation(5), .. });
    assert!(script.events.iter().any(refused));
    assert!(!script.events.iter().any(|event| matches!(event, Event::Moved { .. })));
    assert!(down(&script).is_none());
}

// req: M3.2-1
#[test]
fn a_peer_without_mobike_cannot_be_moved() {
    let mut script = Script::as_responder(|_| ());
    let order = move_to("192.0.2.8", 5)(&script);
    script.order(order);
    assert_eq!(script.waiting(), 0, "nothing is sent");
    assert!(script.events.iter().any(|event| matches!(event, Event::MoveRefused { .. })));
}

// req: M3.8-2
#[test]
fn another_nat_mapping_is_news() {
    let mut script = Script::as_responder(mobike);
    let order = move_to("192.0.2.8", 1)(&script);
    script.order(order);
    let seen = |octet: u8| {
        move |writer: &mut SkWriter| {
            writer.push(&Payload::notify(NotifyType::NAT_DETECTION_SOURCE_IP, &[1; 20]));
            writer.push(&Payload::notify(NotifyType::NAT_DETECTION_DESTINATION_IP, &[octet; 20]));
        }
    };
    let cookie = script.notified().into_iter().find(|(kind, _)| *kind == NotifyType::COOKIE2).expect("a cookie").1;
    script.answer(|writer| {
        seen(1)(writer);
        writer.push(&Payload::notify(NotifyType::COOKIE2, &cookie));
    });
    assert!(script.events.iter().any(|event| matches!(event, Event::Moved { nat, .. } if nat.we_are_behind)));
    let news = |script: &Script| script.events.iter().filter(|event| matches!(event, Event::NatChanged { .. })).count();
    for (octet, expected) in [(1, 0), (2, 1), (2, 1), (1, 2)] {
        script.wait(LIVENESS + Duration::from_secs(1));
        script.answer(seen(octet));
        assert_eq!(news(&script), expected, "{octet}");
    }
}

#[test]
fn a_peer_that_answers_invalid_syntax_has_dropped_the_ike_sa() {
    let mut script = Script::as_responder(mobike);
    let sa = script.sa();
    script.order(Command::Probe { sa, path: None, generation: Generation(0) });
    script.answer(|writer| writer.push(&notify(NotifyType::INVALID_SYNTAX, &[])));
    assert!(matches!(down(&script), Some(DownReason::PeerMisbehaved(_))));
}

// req: M-W
#[test]
fn a_peer_with_a_wider_window_is_asked_several_things_at_once() {
    let mut script = Script::as_responder(|writer| {
        mobike(writer);
        writer.push(&notify(NotifyType::SET_WINDOW_SIZE, &[0, 0, 0, 3]));
    });
    let sa = script.sa();
    for n in 0..5 {
        script.order(Command::Probe { sa, path: None, generation: Generation(n) });
    }
    assert_eq!(script.waiting(), 3);
    script.answer(|_| ());
    assert_eq!(script.waiting(), 3, "one answered, one more sent");
}
