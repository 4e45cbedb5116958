//! Stories of address lists: RFC 4555 sections 3.4 and 3.6.

use crate::stage;

use core::net::IpAddr;

use mobike_ike::crypto::Role;
use mobike_ike::wire::Payload;
use stage::{
    CLIENT, Command, ExchangeType, Fate, Forged, GATEWAY, HostId, LTE, NotifyType, Pair, WAN, WAN2, WIFI, Which, ip,
    ms, secs,
};

const INFO: ExchangeType = ExchangeType::INFORMATIONAL;

fn have(pair: &mut Pair, who: HostId, addresses: &[IpAddr]) {
    pair.order(who, Command::SetLocalAddresses { addresses: addresses.into() });
}

// req: M3.4-1
#[test]
fn both_ends_tell_their_addresses_in_ike_auth_most_preferred_first() {
    let (lte6, public) = (ip("2001:db8::1"), ip("198.18.0.9"));
    let mut pair = Pair::new(1);
    have(&mut pair, CLIENT, &[lte6, WIFI, LTE]);
    have(&mut pair, GATEWAY, &[WAN, WAN2, public]);
    let pair = pair.established();
    assert_eq!(pair.gateway().up().peer_addresses, [lte6, LTE], "without the one in use");
    assert_eq!(pair.client().up().peer_addresses, [WAN2, public]);
    assert!(pair.gateway().peer_lists().is_empty(), "stored, and no other action");
    assert_eq!(pair.told.len(), 4);
}

// req: M3.6-1
#[test]
fn a_list_replaces_the_whole_list_before_and_may_be_empty() {
    let mut pair = Pair::new(1);
    have(&mut pair, CLIENT, &[WIFI, LTE]);
    let mut pair = pair.established();
    let other = ip("192.0.2.99");
    for list in [&[WIFI, other][..], &[LTE, other, WIFI], &[WIFI], &[]] {
        pair.announce(CLIENT, list, None);
        pair.settle();
    }
    let none: &[IpAddr] = &[];
    assert_eq!(pair.gateway().peer_lists(), [&[other][..], &[LTE, other], none, none]);
    assert!(pair.requests_of(CLIENT)[2].carries(NotifyType::NO_ADDITIONAL_ADDRESSES));
    assert!(pair.gateway().peer_moves().is_empty(), "a list moves nothing");
}

// req: M3.6-1
#[test]
fn the_gateway_may_tell_a_new_list_too() {
    let mut pair = Pair::new(1).established();
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    pair.settle();
    assert_eq!(pair.client().peer_lists(), [[WAN2]]);
}

// req: M3.5-10, M3.6-4
#[test]
fn a_gateway_that_lost_its_address_tells_its_list_from_another_and_the_client_moves_there() {
    // <-- INFORMATIONAL { N(NO_ADDITIONAL_ADDRESSES) } from wan2   N(UPDATE_SA_ADDRESSES) to wan2 -->
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    pair.announce(GATEWAY, &[WAN2], Some(Pair::path(WIFI, WAN2).reversed()));
    pair.settle();
    assert_eq!(pair.client().peer_lists().len(), 1);
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN), "the list alone moves nothing");
    pair.order_move(Pair::path(WIFI, WAN2));
    pair.settle();
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(WIFI, WAN2).reversed(), true)]);
}

// req: M3.6-2, D6.4-1
#[test]
fn an_older_list_that_turns_up_again_is_ignored() {
    let mut pair = Pair::new(1).established();
    pair.net.plan(Which::of(CLIENT).request(INFO), Fate::Twice(secs(2)));
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.run_for(ms(100));
    pair.announce(CLIENT, &[WIFI], None);
    pair.settle();
    let lists = pair.gateway().peer_lists();
    assert_eq!(lists, [&[LTE][..], &[]]);
}

// req: M3.6-2
#[test]
fn a_repeated_list_is_answered_again_and_reported_once() {
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(GATEWAY).answer(INFO));
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.settle();
    assert_eq!(pair.gateway().peer_lists().len(), 1);
    assert_eq!(pair.gateway().count("repeats_answered"), 1);
}

// req: M3.6-5
#[test]
fn a_list_may_travel_with_the_update() {
    let mut pair = Pair::new(1).established();
    pair.order_move_with(Pair::path(LTE, WAN), Some(&[LTE, WIFI]));
    pair.settle();
    assert_eq!(pair.gateway().peer_lists(), [[WIFI]]);
    assert_eq!(pair.gateway().peer_moves().len(), 1);
    assert_eq!(pair.requests_of(CLIENT).len(), 1, "one request for both");
}

// req: M3.6-3
#[test]
fn a_list_that_left_from_two_addresses_is_told_afresh() {
    // N(ADDITIONAL_IP4_ADDRESS: lte) from wifi, lost; the same from lte -->  N(UPDATE..) -->  N(ADDITIONAL..: wifi) -->
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WIFI);
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.run_for(ms(100));
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    let lists = pair.gateway().peer_lists();
    assert_eq!(lists, [[LTE], [WIFI]], "the second is right from where it was sent");
    let requests = pair.requests_of(CLIENT);
    assert_eq!(requests[0].bytes, requests[1].bytes);
    assert_eq!(requests.len(), 4);
}

// req: M3.6-3
#[test]
fn a_client_tells_its_list_afresh_from_where_it_is_not_from_where_it_was() {
    // The answer to the first copy arrives on the pair that the client has left meanwhile.
    let mut pair = Pair::new(1).established();
    pair.net.set_latency(GATEWAY, ms(200));
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.run_for(ms(100));
    pair.order_move(Pair::path(LTE, WAN2));
    pair.settle();
    let from: Vec<_> = pair.requests_of(CLIENT).iter().skip(1).map(|told| told.path).collect();
    assert_eq!(from.len(), 3, "the list once more, the update, the list afresh");
    assert!(from.iter().all(|path| *path == Pair::path(LTE, WAN2)), "{from:?}");
}

// req: M3.6-3, M3.6-5
#[test]
fn a_list_in_an_update_that_was_overtaken_travels_with_the_next() {
    let mut pair = Pair::new(1).established();
    pair.net.lose(Which::of(CLIENT).leaving(LTE).always());
    pair.order_move_with(Pair::path(LTE, WAN), Some(&[LTE, WIFI]));
    pair.run_for(ms(100));
    pair.order_move(Pair::path(WIFI, WAN2));
    pair.settle();
    assert_eq!(pair.gateway().peer_lists().last().map(|list| list.to_vec()), Some(vec![LTE]));
    assert_eq!(pair.client().moved().len(), 1);
}

// req: M4-1
#[test]
fn an_address_of_the_wrong_length_is_a_syntax_error_and_leaves_the_list_alone() {
    for (kind, data) in [
        (NotifyType::ADDITIONAL_IP4_ADDRESS, &[1, 2, 3][..]),
        (NotifyType::ADDITIONAL_IP4_ADDRESS, &[1; 16]),
        (NotifyType::ADDITIONAL_IP6_ADDRESS, &[1; 4]),
        (NotifyType::NO_ADDITIONAL_ADDRESSES, &[1]),
    ] {
        let mut pair = Pair::new(1).established();
        let request = Forged { sender: Role::Initiator, exchange: INFO, id: 2, response: false };
        let good = Payload::notify(NotifyType::ADDITIONAL_IP4_ADDRESS, &[192, 0, 2, 9]);
        let bytes = pair.forge(request, &[good, Payload::notify(kind, data)]);
        pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
        let answer = pair.said(|told| told.answers(INFO)).next();
        assert!(answer.is_some_and(|told| told.carries(NotifyType::INVALID_SYNTAX)), "{kind}");
        assert!(pair.gateway().peer_lists().is_empty(), "{kind}");
        assert_eq!(pair.gateway().count("invalid_requests"), 1);
    }
}

#[test]
fn a_very_long_list_is_cut() {
    let mut pair = Pair::new(1).established();
    let list: Vec<IpAddr> = (1..=200).map(|last| IpAddr::from([10, 0, 0, last])).collect();
    let notifies: Vec<[u8; 4]> = (1..=100).map(|last| [10, 0, 0, last]).collect();
    let payloads: Vec<_> =
        notifies.iter().map(|data| Payload::notify(NotifyType::ADDITIONAL_IP4_ADDRESS, data)).collect();
    let request = Forged { sender: Role::Initiator, exchange: INFO, id: 2, response: false };
    let bytes = pair.forge(request, &payloads);
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    assert_eq!(pair.gateway().peer_lists(), [&list[..32]]);
    pair.announce(GATEWAY, &list, None);
    pair.settle();
    assert_eq!(pair.client().peer_lists(), [&list[..32]], "and we send no longer one");
}

// req: M3.2-1
#[test]
fn without_mobike_no_list_is_told_and_none_is_believed() {
    let mut pair = Pair::new(1).gateway_profile(|profile| profile.mobike = false);
    have(&mut pair, CLIENT, &[WIFI, LTE]);
    let mut pair = pair.established();
    assert!(pair.client().up().peer_addresses.is_empty());
    let said = pair.told.len();
    pair.announce(CLIENT, &[WIFI, LTE], None);
    assert_eq!(pair.told.len(), said);
    let request = Forged { sender: Role::Initiator, exchange: INFO, id: 2, response: false };
    let list = Payload::notify(NotifyType::ADDITIONAL_IP4_ADDRESS, &[192, 0, 2, 9]);
    let bytes = pair.forge(request, &[list, Payload::notify(NotifyType::UPDATE_SA_ADDRESSES, &[])]);
    pair.inject(GATEWAY, Pair::path(LTE, WAN).reversed(), &bytes);
    assert!(pair.gateway().peer_lists().is_empty() && pair.gateway().peer_moves().is_empty());
    assert_eq!(pair.gateway().count("updates_unexpected"), 1);
}

// req: M3.6-4, M3.5-10
#[test]
fn a_gateway_that_lost_its_address_tries_every_place_the_client_may_be() {
    // the client lists lte; wan and wifi die together: wan2 -> wifi, in vain; wan2 -> lte, heard
    let mut pair = Pair::new(1);
    have(&mut pair, CLIENT, &[WIFI, LTE]);
    let mut pair = pair.established();
    pair.net.unplug(WAN);
    pair.net.unplug(WIFI);
    pair.announce(GATEWAY, &[WAN2], Some(Pair::path(WIFI, WAN2).reversed()));
    pair.run_for(secs(3));
    let none: &[IpAddr] = &[];
    assert_eq!(pair.client().peer_lists().first(), Some(&none), "the packet came from wan2, and there is no other");
    let tries: Vec<_> = pair.requests_of(GATEWAY).iter().map(|told| (told.path, told.arrived())).collect();
    assert_eq!(tries[0], (Pair::path(WIFI, WAN2).reversed(), false));
    assert_eq!(tries[1], (Pair::path(LTE, WAN2).reversed(), true));
    let last = pair.requests_of(GATEWAY).last().map(|told| (told.path, told.copies_before));
    assert_eq!(last, Some((Pair::path(LTE, WAN2).reversed(), 0)), "and a fresh one proves the pair");
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN), "the client decides");
}

// req: M3.6-4, M3.5-10
#[test]
fn a_list_told_in_vain_goes_on_from_an_address_that_is_there_again() {
    // wan dies; wan2 cannot reach the client; wan is back while the list without it is unanswered
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    pair.net.unplug(WAN2);
    pair.announce(GATEWAY, &[WAN2], Some(Pair::path(WIFI, WAN2).reversed()));
    pair.run_for(secs(20));
    assert!(pair.client().peer_lists().is_empty());
    pair.net.plug(WAN);
    pair.announce(GATEWAY, &[WAN, WAN2], Some(Pair::path(WIFI, WAN).reversed()));
    pair.run_for(ms(200));
    assert_eq!(pair.client().peer_lists().last(), Some(&&[WAN2][..]), "the newer one, from wan");
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN));
}

// req: M3.6-1
#[test]
fn the_place_a_list_comes_from_is_an_address_of_the_peer_though_not_listed() {
    let mut pair = Pair::new(1).established();
    // From lte, which the list itself leaves out, as RFC 4555 section 3.6 wants it.
    pair.announce(CLIENT, &[WIFI, LTE], Some(Pair::path(LTE, WAN)));
    pair.settle();
    pair.announce(CLIENT, &[LTE], Some(Pair::path(LTE, WAN)));
    pair.settle();
    let lists: Vec<(Vec<IpAddr>, IpAddr)> = pair
        .gateway()
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            stage::Event::PeerAddresses { addresses, source, .. } => Some((addresses.clone(), *source)),
            _ => None,
        })
        .collect();
    assert_eq!(lists, [(vec![WIFI], LTE), (vec![], LTE)], "the second is NO_ADDITIONAL_ADDRESSES");
    assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN).reversed(), "it moves nothing");
}

// req: M3.6-4
#[test]
fn the_clients_list_is_used_for_nothing_but_lists_over_a_dead_pair() {
    let mut pair = Pair::new(1).gateway_profile(|profile| profile.liveness = secs(5));
    have(&mut pair, CLIENT, &[WIFI, LTE]);
    let mut pair = pair.established();
    // A test, a probe, a list over the pair in use: all unanswered, all to the address in use alone.
    pair.net.unplug(WIFI);
    pair.run_for(secs(60));
    pair.probe(GATEWAY, None);
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    pair.run_for(secs(120));
    assert!(pair.requests_of(GATEWAY).len() > 3);
    assert!(pair.said(|told| told.from == GATEWAY).all(|told| told.path.remote.ip() == WIFI));
}

#[test]
fn addresses_that_lead_nowhere_and_those_beyond_the_limit_are_left_out_and_told() {
    let mut pair = Pair::new(1).established();
    let nowhere = ["127.0.0.1", "::1", "224.0.0.1", "ff02::1", "0.0.0.0", "169.254.1.1", "fe80::1", "::ffff:192.0.2.9"];
    let mut list: Vec<IpAddr> =
        nowhere.into_iter().chain(["255.255.255.255", "2001:db8::9", "192.0.2.9"]).map(ip).collect();
    pair.announce(CLIENT, &list, None);
    pair.settle();
    assert_eq!(pair.gateway().peer_lists(), [[ip("2001:db8::9"), ip("192.0.2.9")]]);
    assert_eq!(pair.gateway().count("listed_addresses_ignored"), 9);
    let said = "of the peer's list, 9 addresses that cannot be used and 0 beyond 32 ignored";
    assert!(pair.gateway().notices().contains(&said), "{:?}", pair.gateway().notices());
    list.clear();
    // Our own engine tells no more than 32, so another one has to.
    let mut scratch = [[0; mobike_ike::wire::mobike::SCRATCH_LEN]; 40];
    let payloads: Vec<Payload<'_>> = scratch
        .iter_mut()
        .enumerate()
        .map(|(last, scratch)| {
            let address = IpAddr::from([192, 0, 2, last as u8 + 100]);
            Payload::Notify(mobike_ike::wire::MobikeNotify::AdditionalAddress(address).notify(scratch))
        })
        .collect();
    let forged = Forged { sender: Role::Initiator, exchange: INFO, id: 3, response: false };
    let bytes = pair.forge(forged, &payloads);
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    assert_eq!(pair.gateway().peer_lists()[1].len(), 32);
    assert_eq!(pair.gateway().count("listed_addresses_ignored"), 9 + 8);
    assert!(pair.gateway().notices().iter().any(|text| text.contains("8 beyond 32")));
}
