//! SA payloads against our suites: RFC 7296 sections 1.2, 2.7, 3.3 and 3.3.6.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use mobike_ike::crypto::algorithm::{Transform, transform_type as t};
use mobike_ike::crypto::negotiate::{
    Chosen, Offer, Outcome, PROTOCOL_ESP, PROTOCOL_IKE, Suite, check_answer, choose, proposals,
};
use mobike_ike::crypto::{EspSuite, IkeSuite, KeMethod};
use proptest::prelude::*;

const X25519: Option<u16> = Some(31);
const P256: Option<u16> = Some(19);
const MODP2048: Option<u16> = Some(14);

fn ike(names: &[&str]) -> Vec<IkeSuite> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn esp(names: &[&str]) -> Vec<EspSuite> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Transforms as `kind.id` or `kind.id/bits`.
fn transforms(text: &str) -> Vec<Transform> {
    let one = |word: &str| {
        let (word, bits) = word.split_once('/').map_or((word, None), |(word, bits)| (word, bits.parse().ok()));
        let (kind, id) = word.split_once('.').unwrap();
        Transform { key_bits: bits, ..Transform::new(kind.parse().unwrap(), id.parse().unwrap()) }
    };
    text.split_whitespace().map(one).collect()
}

fn offers(protocol: u8, proposals: &[Vec<Transform>]) -> Vec<Offer<'_>> {
    (1..).zip(proposals).map(|(number, transforms)| Offer { number, protocol, spi: &[], transforms }).collect()
}

fn choose_ike(ours: &[&str], theirs: &[&str], ke_sent: Option<u16>) -> Outcome<IkeSuite> {
    let proposals: Vec<_> = theirs.iter().map(|text| transforms(text)).collect();
    choose(&ike(ours), &offers(PROTOCOL_IKE, &proposals), ke_sent)
}

fn choose_esp(ours: &[&str], theirs: &[&str], ke_sent: Option<u16>) -> Outcome<EspSuite> {
    let proposals: Vec<_> = theirs.iter().map(|text| transforms(text)).collect();
    choose(&esp(ours), &offers(PROTOCOL_ESP, &proposals), ke_sent)
}

fn chosen<S: Suite + std::fmt::Debug>(outcome: Outcome<S>) -> Chosen<S> {
    match outcome {
        Outcome::Chosen(chosen) => chosen,
        other => panic!("nothing chosen: {other:?}"),
    }
}

fn why<S: Suite + std::fmt::Debug>(outcome: Outcome<S>) -> String {
    match outcome {
        Outcome::None(why) => why,
        other => panic!("unexpected: {other:?}"),
    }
}

#[test]
fn what_we_propose_we_would_choose() {
    for suite in IkeSuite::DEFAULTS {
        let (number, list) = proposals(std::slice::from_ref(suite)).next().unwrap();
        let offer = Offer { number, protocol: PROTOCOL_IKE, spi: &[], transforms: &list };
        let chosen = chosen(choose(IkeSuite::DEFAULTS, &[offer], Some(suite.ke().id())));
        assert_eq!((chosen.suite, chosen.number, chosen.offer), (*suite, 1, 0));
        assert_eq!(chosen.transforms()[..], list[..]);
        assert_eq!(check_answer(std::slice::from_ref(suite), &[offer]).unwrap().suite, *suite);
    }
}

#[test]
fn proposals_are_written_with_iana_numbers() {
    let suites = ike(&["aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256"]);
    let written: Vec<_> = proposals(&suites).map(|(number, list)| (number, list.to_vec())).collect();
    assert_eq!(written, [(1, transforms("1.20/256 2.6 4.31")), (2, transforms("1.20/128 2.5 4.19"))]);
    let suites = esp(&["aes256gcm16", "aes128gcm16-x25519-esn"]);
    let written: Vec<_> = proposals(&suites).map(|(number, list)| (number, list.to_vec())).collect();
    assert_eq!(written, [(1, transforms("1.20/256 5.0")), (2, transforms("1.20/128 4.31 5.1"))]);
}

#[test]
fn alternatives_within_a_proposal_are_all_considered() {
    let theirs = ["1.20/128 1.20/256 2.5 2.6 2.7 4.14 4.19 4.31"];
    let chosen = chosen(choose_ike(&["aes256gcm16-prfsha384-x25519"], &theirs, X25519));
    assert_eq!(chosen.suite.to_string(), "aes256gcm16-prfsha384-x25519");
    assert_eq!(chosen.transforms()[..], transforms("1.20/256 2.6 4.31")[..]);
}

#[test]
fn our_order_decides_among_what_the_peer_offers() {
    let ours = ["aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-x25519"];
    let theirs = ["1.20/128 2.5 4.31", "1.20/256 2.6 4.31"];
    let chosen = chosen(choose_ike(&ours, &theirs, X25519));
    assert_eq!((chosen.suite.to_string().as_str(), chosen.number, chosen.offer), (ours[0], 2, 1));
}

#[test]
fn a_key_exchange_already_sent_saves_the_round_trip() {
    let ours = ["aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp256"];
    let theirs = ["1.20/256 2.6 4.31 4.19"];
    assert_eq!(chosen(choose_ike(&ours, &theirs, P256)).suite.ke(), KeMethod::P256);
    assert_eq!(chosen(choose_ike(&ours, &theirs, X25519)).suite.ke(), KeMethod::X25519);
}

#[test]
fn a_wrong_guess_of_the_key_exchange_is_told_the_right_one() {
    let ours = ["aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp256"];
    let theirs = ["1.20/256 2.6 4.14 4.19 4.31"];
    for ke_sent in [MODP2048, None] {
        assert_eq!(choose_ike(&ours, &theirs, ke_sent), Outcome::WrongKe { wanted: KeMethod::X25519 });
    }
    let second_only = ["1.20/256 2.6 4.14 4.19"];
    assert_eq!(choose_ike(&ours, &second_only, MODP2048), Outcome::WrongKe { wanted: KeMethod::P256 });
}

#[test]
fn a_key_exchange_in_the_ke_payload_alone_is_not_an_offer() {
    assert!(matches!(choose_ike(&["aes256gcm16-prfsha384-x25519"], &["1.20/256 2.6 4.19"], X25519), Outcome::None(_)));
}

#[test]
fn every_transform_type_must_match() {
    let ours = ["aes256gcm16-prfsha384-x25519"];
    let unacceptable = [
        ("1.20/128 2.6 4.31", "another key length"),
        ("1.20 2.6 4.31", "no key length (RFC 7296 section 3.3.5)"),
        ("1.20/256 2.5 4.31", "another PRF"),
        ("1.20/256 4.31", "no PRF"),
        ("1.20/256 2.6", "no key exchange"),
        ("2.6 4.31", "no cipher"),
        ("1.20/256 2.6/128 4.31", "an attribute where none belongs"),
        ("1.20/256 2.6 3.12 4.31", "an integrity algorithm beside an AEAD (RFC 5282 section 8)"),
        ("1.20/256 2.6 4.31 5.0", "ESN in an IKE proposal"),
        ("1.20/256 2.6 4.31 6.35", "an additional key exchange (RFC 9370 section 2.2.1)"),
        ("1.20/256 2.6 4.31 255.1", "likewise"),
        ("1.20/256 2.6 4.31 0.1", "the reserved type"),
        ("", "nothing at all"),
    ];
    for (theirs, what) in unacceptable {
        assert!(matches!(choose_ike(&ours, &[theirs], X25519), Outcome::None(_)), "{what}");
    }
}

#[test]
fn one_bad_proposal_does_not_spoil_the_next() {
    let theirs = ["1.20/256 2.6 4.31 6.35", "1.20/256 2.6 4.31"];
    assert_eq!(chosen(choose_ike(&["aes256gcm16-prfsha384-x25519"], &theirs, X25519)).number, 2);
}

#[test]
fn a_transform_with_an_unknown_attribute_is_passed_over() {
    let mut list = transforms("1.20/256 2.6 4.31");
    list[0].unknown_attribute = true;
    let ours = ike(&["aes256gcm16-prfsha384-x25519"]);
    let strange = [list.clone()];
    assert!(matches!(choose(&ours, &offers(PROTOCOL_IKE, &strange), X25519), Outcome::None(_)));
    list.push(transforms("1.20/256")[0]);
    let with_alternative = [list];
    assert!(matches!(choose(&ours, &offers(PROTOCOL_IKE, &with_alternative), X25519), Outcome::Chosen(_)));
}

#[test]
fn integrity_none_beside_an_aead_is_accepted_and_repeated() {
    let chosen = chosen(choose_ike(&["aes256gcm16-prfsha384-x25519"], &["1.20/256 2.6 3.0 4.31"], X25519));
    assert_eq!(chosen.transforms()[..], transforms("1.20/256 2.6 4.31 3.0")[..]);
    let with_real_one = choose_ike(&["aes256gcm16-prfsha384-x25519"], &["1.20/256 2.6 3.12 3.0 4.31"], X25519);
    assert!(matches!(with_real_one, Outcome::Chosen(_)), "NONE is among the alternatives");
}

#[test]
fn esp_needs_an_esn_transform_and_the_same_choice() {
    assert_eq!(chosen(choose_esp(&["aes256gcm16"], &["1.20/256 5.0"], None)).suite.to_string(), "aes256gcm16");
    assert_eq!(
        chosen(choose_esp(&["aes256gcm16-esn"], &["1.20/256 5.0 5.1"], None)).suite.to_string(),
        "aes256gcm16-esn"
    );
    for theirs in ["1.20/256 5.1", "1.20/256", "1.20/256 5.2", "1.20/256 5.0/1", "1.20/256 2.5 5.0"] {
        assert!(matches!(choose_esp(&["aes256gcm16"], &[theirs], None), Outcome::None(_)), "{theirs}");
    }
}

#[test]
fn child_key_exchange_is_done_when_we_want_it_and_refused_when_we_do_not() {
    let pfs = ["aes256gcm16-x25519"];
    assert!(matches!(choose_esp(&pfs, &["1.20/256 4.31 5.0"], X25519), Outcome::Chosen(_)));
    let wrong = Outcome::WrongKe { wanted: KeMethod::X25519 };
    assert_eq!(choose_esp(&pfs, &["1.20/256 4.19 4.31 5.0"], P256), wrong);
    assert!(matches!(choose_esp(&pfs, &["1.20/256 5.0"], None), Outcome::None(_)), "no forward secrecy, no deal");
    assert!(matches!(choose_esp(&["aes256gcm16"], &["1.20/256 4.31 5.0"], X25519), Outcome::None(_)));

    let optional = chosen(choose_esp(&["aes256gcm16"], &["1.20/256 4.31 4.0 5.0"], None));
    assert_eq!(optional.transforms()[..], transforms("1.20/256 5.0 4.0")[..]);
}

#[test]
fn protocols_do_not_mix() {
    let list = [transforms("1.20/256 5.0")];
    let ah = offers(2, &list);
    let why = why(choose(&esp(&["aes256gcm16"]), &ah, None));
    assert_eq!(why, "offered protocol 2 aes256gcm16-noesn; we accept aes256gcm16");
    let as_ike = offers(PROTOCOL_IKE, &list);
    assert!(matches!(choose(&esp(&["aes256gcm16"]), &as_ike, None), Outcome::None(_)));
}

#[test]
fn the_reason_names_both_sides_in_one_line() {
    let theirs = ["1.12/128 2.2 3.2 4.2", "1.12/256 2.5 3.12 4.14", "1.28 2.5 4.20", "1.99 4.1234"];
    assert_eq!(
        why(choose_ike(&["aes256gcm16-prfsha384-x25519"], &theirs, MODP2048)),
        "offered aes128-prfsha1-sha1-modp1024, aes256-prfsha256-sha256-modp2048, \
         chacha20poly1305-prfsha256-ecp384 and 1 more; we accept aes256gcm16-prfsha384-x25519"
    );
    assert_eq!(
        why(choose_ike(&["aes256gcm16-prfsha384-x25519"], &["1.99/7 4.1234 9.9 99.9"], None)),
        "offered type1:99-type4:1234-ke4_type4:9-type99:9; we accept aes256gcm16-prfsha384-x25519"
    );
    assert_eq!(why(choose_ike(&[], &[], None)), "offered nothing; we accept nothing");
}

#[test]
fn an_answer_must_be_one_of_our_proposals_unchanged() {
    let sent = ike(&["aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256"]);
    let answer = |number: u8, text: &str| {
        let list = transforms(text);
        check_answer(&sent, &[Offer { number, protocol: PROTOCOL_IKE, spi: &[], transforms: &list }])
    };
    assert_eq!(answer(1, "1.20/256 2.6 4.31").unwrap().suite, sent[0]);
    assert_eq!(answer(2, "4.19 2.5 1.20/128").unwrap().suite, sent[1]);
    let wrong = [
        (0, "1.20/256 2.6 4.31"),
        (3, "1.20/256 2.6 4.31"),
        (255, "1.20/256 2.6 4.31"),
        (2, "1.20/256 2.6 4.31"),
        (1, "1.20/256 2.6"),
        (1, "1.20/256 2.6 4.31 4.19"),
        (1, "1.20/256 1.20/256 2.6 4.31"),
        (1, "1.20/256 1.20/256 4.31"),
        (1, "1.20/256 2.6 4.31 3.0"),
        (1, "1.20/128 2.6 4.31"),
        (1, ""),
    ];
    for (number, text) in wrong {
        assert!(answer(number, text).is_err(), "{number}: {text}");
    }
    assert!(check_answer(&sent, &[]).is_err());
    let list = transforms("1.20/256 2.6 4.31");
    let offer = Offer { number: 1, protocol: PROTOCOL_IKE, spi: &[], transforms: &list };
    assert!(check_answer(&sent, &[offer, offer]).is_err(), "two answers");
    let as_esp = Offer { protocol: PROTOCOL_ESP, ..offer };
    assert_eq!(
        check_answer(&sent, &[as_esp]).unwrap_err(),
        "peer's answer differs from what we proposed under its number: offered protocol 3 \
         aes256gcm16-prfsha384-x25519; we accept aes256gcm16-prfsha384-x25519, aes128gcm16-prfsha256-ecp256"
    );
}

fn any_transform() -> impl Strategy<Value = Transform> {
    let sane = transforms("1.20/256 1.20/128 1.20/192 2.5 2.6 2.7 3.0 3.12 4.0 4.14 4.19 4.31 5.0 5.1");
    let strange = (any::<u8>(), any::<u16>(), any::<Option<u16>>(), any::<bool>()).prop_map(
        |(kind, id, key_bits, unknown_attribute)| Transform {
            kind: kind % 8,
            id: id % 40,
            key_bits,
            unknown_attribute,
        },
    );
    prop_oneof![15 => prop::sample::select(sane), 1 => strange]
}

/// Mostly a good proposal with some more transforms in it, so that something is chosen often; sometimes anything.
fn any_proposal() -> impl Strategy<Value = Vec<Transform>> {
    let good = ["1.20/256 2.6 4.31", "1.20/128 2.5 4.19", "1.20/256 5.0", "1.20/256 4.31 5.1", "1.20/128 4.19 5.0", ""];
    let more = prop::collection::vec(any_transform(), 0..3);
    (prop::sample::select(good.map(transforms).to_vec()), more)
        .prop_map(|(good, more)| [good, more].concat())
        .prop_shuffle()
}

proptest! {
    /// Stated a second time without bit sets: a suite is chosen only if each of its transforms is in the offer literally,
    /// and each type of the offer is one of the suite's or can be NONE.
    #[test]
    fn what_is_chosen_was_offered(
        lists in prop::collection::vec(any_proposal(), 0..5),
        ke_sent in prop_oneof![1 => Just(None), 4 => Just(X25519), 4 => Just(P256), 1 => Just(MODP2048)],
        protocol in prop_oneof![8 => Just(PROTOCOL_IKE), 8 => Just(PROTOCOL_ESP), 1 => Just(2)],
    ) {
        let offers = offers(protocol, &lists);
        literally_offered(&choose(IkeSuite::DEFAULTS, &offers, ke_sent), &offers, ke_sent)?;
        let ours = esp(&["aes256gcm16-x25519-esn", "aes256gcm16", "aes192gcm16-esn", "aes128gcm16-ecp256"]);
        literally_offered(&choose(&ours, &offers, ke_sent), &offers, ke_sent)?;
        let _ = check_answer(IkeSuite::DEFAULTS, &offers);
    }

    #[test]
    fn the_reason_stays_short_whatever_is_offered(
        list in prop::collection::vec(any_transform(), 0..600),
        copies in 0usize..60,
    ) {
        let lists = vec![list; copies];
        if let Outcome::None(why) = choose(IkeSuite::DEFAULTS, &offers(PROTOCOL_IKE, &lists), X25519) {
            prop_assert!(why.len() < 1200, "{} octets: {why}", why.len());
            prop_assert!(!why.contains('\n'));
        }
    }
}

fn literally_offered<S: Suite + std::fmt::Debug>(
    outcome: &Outcome<S>,
    offers: &[Offer<'_>],
    ke_sent: Option<u16>,
) -> Result<(), TestCaseError> {
    let Outcome::Chosen(chosen) = outcome else { return Ok(()) };
    let offer = &offers[chosen.offer];
    prop_assert_eq!(offer.number, chosen.number);
    prop_assert_eq!(offer.protocol, S::PROTOCOL);
    let answer = chosen.transforms();
    for transform in answer.iter() {
        prop_assert!(offer.transforms.contains(transform), "{:?} was not offered", transform);
    }
    for offered in offer.transforms {
        let answers = answer.iter().filter(|transform| transform.kind == offered.kind).count();
        prop_assert_eq!(answers, 1, "type {} was offered", offered.kind);
    }
    if let Some(ke) = answer.iter().find(|transform| transform.kind == t::KE && transform.id != 0) {
        prop_assert_eq!(Some(ke.id), ke_sent);
    }
    Ok(())
}

fn any_ike_suite() -> impl Strategy<Value = IkeSuite> {
    use mobike_ike::crypto::{Additional, Encr, Integ, Prf};
    let first: Vec<KeMethod> = KeMethod::ALL.iter().copied().filter(|ke| !ke.is_kem()).collect();
    let parts = (
        prop::sample::select(Encr::ALL),
        prop::sample::select(Prf::ALL),
        prop::sample::select(Integ::ALL),
        prop::sample::select(first),
        prop::collection::vec((0..Additional::PLACES, prop::sample::select(KeMethod::ALL)), 0..3),
    );
    parts.prop_filter_map("a key exchange twice", |(encr, prf, integ, ke, more)| {
        let mut additional = Additional::NONE;
        for (place, method) in more {
            additional.put(place, method);
        }
        let integ = (!encr.is_aead()).then_some(integ);
        IkeSuite::new(encr, prf, integ, ke).ok()?.with_additional(additional).ok()
    })
}

proptest! {
    /// Whatever else each end has in its list: if they have a suite in common they agree, on the first of the responder's
    /// that the initiator has too, after at most one INVALID_KE_PAYLOAD.
    #[test]
    fn any_two_ends_with_a_suite_in_common_agree(
        common in any_ike_suite(),
        initiator in prop::collection::vec(any_ike_suite(), 0..6),
        responder in prop::collection::vec(any_ike_suite(), 0..6),
        (at, there) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let insert = |mut list: Vec<IkeSuite>, at: prop::sample::Index| {
            list.insert(at.index(list.len() + 1), common);
            list
        };
        let (initiator, responder) = (insert(initiator, at), insert(responder, there));
        let lists: Vec<(u8, _)> = proposals(&initiator).collect();
        let offers: Vec<Offer<'_>> = lists
            .iter()
            .map(|(number, list)| Offer { number: *number, protocol: PROTOCOL_IKE, spi: &[], transforms: list })
            .collect();
        let first = choose(&responder, &offers, Some(initiator[0].ke().id()));
        let agreed = match first {
            Outcome::WrongKe { wanted } => {
                prop_assert!(initiator.iter().any(|suite| suite.ke() == wanted), "we can send what is wanted");
                chosen(choose(&responder, &offers, Some(wanted.id())))
            }
            other => chosen(other),
        };
        prop_assert!(initiator.contains(&agreed.suite) && responder.contains(&agreed.suite));
        let list = agreed.transforms();
        let answer = Offer { number: agreed.number, protocol: PROTOCOL_IKE, spi: &[], transforms: &list };
        prop_assert_eq!(check_answer(&initiator, &[answer]).map(|found| found.suite), Ok(agreed.suite));
    }
}

/// RFC 9370 section 2.2.1: type 6 is one more that the answer must have, or say NONE to.
#[test]
fn additional_key_exchanges_are_all_taken_or_declined_one_by_one() {
    let hybrid = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";
    let plain = "aes256gcm16-prfsha384-x25519";
    let suites = ike(&[hybrid]);
    let written: Vec<_> = proposals(&suites).map(|(_, list)| list.to_vec()).collect();
    assert_eq!(written, [transforms("1.20/256 2.6 4.31 6.36")]);
    // The peer insists.
    assert!(matches!(choose_ike(&[plain], &["1.20/256 2.6 4.31 6.36"], X25519), Outcome::None(_)));
    // The peer could do without: the answer says so.
    let without = chosen(choose_ike(&[plain], &["1.20/256 2.6 4.31 6.36 6.0"], X25519));
    assert_eq!(without.transforms()[..], transforms("1.20/256 2.6 4.31 6.0")[..]);
    // Two places, one of which may stay empty.
    let some = chosen(choose_ike(&[hybrid], &["1.20/256 2.6 4.31 6.35 6.36 7.37 7.0"], X25519));
    assert_eq!(some.transforms()[..], transforms("1.20/256 2.6 4.31 6.36 7.0")[..]);
    // Another place is another exchange.
    assert!(matches!(choose_ike(&[hybrid], &["1.20/256 2.6 4.31 7.36"], X25519), Outcome::None(_)));
    // A type that nobody knows voids the proposal, and the next one is looked at (RFC 7296 section 3.3.6).
    let next = chosen(choose_ike(&[plain], &["1.20/256 2.6 4.31 13.1", "1.20/256 2.6 4.31"], X25519));
    assert_eq!(next.number, 2);
    let told = why(choose_ike(&[plain], &["1.20/256 2.6 4.31 6.36"], X25519));
    assert!(told.contains("ke1_mlkem768"), "{told}");
}
