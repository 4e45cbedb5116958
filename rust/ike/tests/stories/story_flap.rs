//! Stories of a peer that moves far too often: answered every time, followed four times a second.

use crate::stage;

use mobike_ike::crypto::Role;
use mobike_ike::profile::ReturnRoutability;
use mobike_ike::wire::{MobikeNotify, Payload};
use stage::{CLIENT, ExchangeType, Forged, GATEWAY, LTE, NotifyType, Pair, WAN, WIFI, ms, secs};

const FLAPS: u32 = 100;

/// A client that says so a hundred times a second: now here, now there.
fn flaps(pair: &mut Pair) {
    let mut scratch = [0; mobike_ike::wire::mobike::SCRATCH_LEN];
    let update = [Payload::Notify(MobikeNotify::UpdateSaAddresses.notify(&mut scratch))];
    for number in 0..FLAPS {
        let forged =
            Forged { sender: Role::Initiator, exchange: ExchangeType::INFORMATIONAL, id: 2 + number, response: false };
        let bytes = pair.forge(forged, &update);
        let from = if number % 2 == 0 { LTE } else { WIFI };
        pair.inject(GATEWAY, Pair::path(from, WAN).reversed(), &bytes);
        pair.run_for(ms(10));
    }
}

fn questions(pair: &Pair) -> usize {
    pair.requests_of(GATEWAY).into_iter().filter(|told| told.carries(NotifyType::COOKIE2)).count()
}

#[test]
fn a_hundred_updates_a_second_are_answered_and_cause_a_few_checks() {
    // The client's engine knows nothing of these updates, so that nobody answers the checks.
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WIFI);
    pair.net.unplug(LTE);
    flaps(&mut pair);
    let answers = pair.said(|told| told.from == GATEWAY && told.answers(ExchangeType::INFORMATIONAL)).count();
    assert_eq!(answers, FLAPS as usize, "the peer's requests are served");
    assert_eq!(pair.gateway().count("updates_taken"), u64::from(FLAPS));
    assert!(pair.gateway().count("updates_paced") > 80);
    let asked = questions(&pair);
    assert!((8..=16).contains(&asked), "eight at once, then four a second: {asked}");
    assert!(pair.gateway().peer_moves().is_empty(), "nothing is proven");
    let said: Vec<_> = pair.gateway().notices().into_iter().filter(|text| text.contains("moves too often")).collect();
    assert_eq!(said.len(), 1, "said once, not a hundred times: {said:?}");
}

#[test]
fn where_no_proof_is_asked_for_the_data_plane_follows_in_steps_and_ends_at_the_last_place() {
    let mut pair =
        Pair::new(1).gateway_profile(|profile| profile.return_routability = ReturnRoutability::Never).established();
    flaps(&mut pair);
    let moves = pair.gateway().peer_moves().len();
    assert!((8..=13).contains(&moves), "{moves}");
    pair.run_for(secs(1));
    let last = Pair::path(WIFI, WAN).reversed();
    assert_eq!(pair.gateway().peer_moves().last(), Some(&(last, true)));
    assert_eq!(pair.gateway().peer_moves().len(), moves + 1);
    let before = pair.gateway().peer_moves().len();
    pair.run_for(secs(5));
    assert_eq!(pair.gateway().peer_moves().len(), before, "nothing is left over");
}

#[test]
fn a_peer_that_moves_as_people_do_is_never_slowed_down() {
    let mut pair = Pair::new(1).established();
    for number in 0..30 {
        let to = if number % 2 == 0 { LTE } else { WIFI };
        pair.order_move(Pair::path(to, WAN));
        pair.run_for(ms(500));
        assert_eq!(pair.gateway().peer_moves().last(), Some(&(Pair::path(to, WAN).reversed(), true)));
    }
    assert_eq!(pair.gateway().count("updates_paced"), 0);
    assert_eq!(pair.client().alive().len(), 1);
    assert!(pair.requests_of(CLIENT).len() >= 30);
}
