//! Stories of NAT prohibition: RFC 4555 section 3.9.

use crate::stage;

use core::net::{IpAddr, SocketAddr};

use mobike_ike::event::ConnectError;
use mobike_ike::profile::Retransmit;
use stage::{CLIENT, ExchangeType, Fate, GATEWAY, LTE, Nat, NotifyType, Pair, Told, WAN, WIFI, Which, ip, ms, secs};

const NO_NATS: NotifyType = NotifyType::NO_NATS_ALLOWED;
const UNEXPECTED: NotifyType = NotifyType::UNEXPECTED_NAT_DETECTED;

fn outside() -> IpAddr {
    ip("198.18.0.1")
}

/// The client does not go through NATs, and is not patient.
fn strict() -> Pair {
    Pair::new(1).client_profile(|profile| {
        profile.paths.nat_traversal = false;
        profile.retransmit = Retransmit { give_up_initiator: secs(10), jitter_percent: 0, ..Retransmit::default() };
    })
}

fn ends(told: &Told) -> Option<Vec<u8>> {
    told.contents.as_ref().and_then(|contents| contents.notify(NO_NATS)).map(<[u8]>::to_vec)
}

fn written(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let octets = |ip| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    [octets(source.ip()), octets(destination.ip()), ports].concat()
}

// req: M3.9-1
#[test]
fn whatever_can_change_addresses_says_which_it_was_sent_with() {
    let mut pair = strict().established();
    pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.settle();
    pair.probe(CLIENT, None);
    pair.settle();
    assert!(!pair.said(|told| told.carries(NotifyType::NAT_DETECTION_SOURCE_IP)).any(|_| true), "no NAT traversal");
    let auth = pair.said(|told| told.from == CLIENT && told.asks(ExchangeType::IKE_AUTH)).next().map(|told| told.path);
    assert_eq!(auth.map(|path| path.local.port()), Some(500), "and no other port");
    let requests = pair.requests_of(CLIENT);
    assert_eq!(requests.len(), 3);
    assert_eq!(ends(requests[0]), Some(written(requests[0].path.local, requests[0].path.remote)));
    assert!(requests[1].carries(NO_NATS), "a list");
    assert!(!requests[2].carries(NO_NATS), "a probe changes nothing");
    assert_eq!(pair.client().moved().len(), 1);
    assert_eq!(pair.gateway().peer_moves().len(), 1);
    assert_eq!(pair.gateway().count("unexpected_nats"), 0);
}

// req: M3.9-2, M3.9-3
#[test]
fn a_nat_on_the_way_to_ike_auth_is_told_to_where_the_packet_came_from_and_leads_to_a_new_beginning() {
    let mut pair = strict();
    pair.net.nats.push(Nat::new(outside(), &[WIFI]));
    pair.connect();
    assert!(pair.gateway().ups().is_empty() && pair.client().ups().is_empty());
    let auths: Vec<u64> = pair
        .said(|told| told.from == CLIENT && told.asks(ExchangeType::IKE_AUTH))
        .filter_map(|told| told.header())
        .map(|header| header.initiator_spi)
        .collect();
    // 0.5, 0.9, 1.62, 2.9, 5.2 s between them, within ten seconds.
    assert!((4..=7).contains(&auths.len()), "as often as it would be repeated: {}", auths.len());
    assert!(auths.windows(2).all(|pair| pair[0] != pair[1]), "each from a new IKE_SA_INIT");
    assert_eq!(pair.gateway().count("unexpected_nats") as usize, auths.len());
    let answers = pair.said(|told| told.from == GATEWAY && told.answers(ExchangeType::IKE_AUTH));
    assert!(answers.into_iter().all(|told| told.path.remote.ip() == outside()));
    assert_eq!(pair.client().failures().len(), 1);
    let why = pair.client().failures()[0].0.clone();
    assert!(matches!(&why, ConnectError::NoAnswer { heard: Some(heard), .. } if heard.contains("NAT")), "{why}");
    let logged = pair.gateway().notices();
    assert!(logged.iter().any(|text| text.contains("unexpected NAT: sent as 192.0.2.1:500")), "{logged:?}");
}

// req: M3.9-3
#[test]
fn one_forged_packet_does_not_keep_a_connection_down() {
    let mut pair = strict();
    pair.net.nats.push(Nat::new(outside(), &[WIFI]));
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(300));
    assert_eq!(pair.client().count("nat_retrials"), 1);
    pair.net.nats.clear();
    pair.settle();
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
    assert_eq!(pair.client().live_children().len(), 1);
}

// req: M3.9-2, M3.9-3
#[test]
fn a_move_behind_a_nat_changes_nothing_and_is_tried_again_in_new_requests_and_then_given_up() {
    let mut pair = strict().established();
    pair.net.nats.push(Nat::new(outside(), &[LTE]));
    let generation = pair.order_move(Pair::path(LTE, WAN));
    pair.settle();
    assert!(pair.gateway().peer_moves().is_empty());
    assert_eq!(pair.gateway().count("cookie2_sent"), 0);
    let updates = pair.requests_of(CLIENT);
    assert!((4..=7).contains(&updates.len()), "{}", updates.len());
    assert!(updates.iter().all(|told| told.copies_before == 0), "each is a new request");
    let answers = pair.said(|told| told.from == GATEWAY && told.answers(ExchangeType::INFORMATIONAL));
    assert!(answers.into_iter().all(|told| told.carries(UNEXPECTED) && told.path.remote.ip() == outside()));
    assert_eq!(pair.client().refused(), [(Pair::path(LTE, WAN), generation)]);
    assert!(!pair.client().silences().is_empty(), "told before it is given up");
    assert_eq!(pair.client().alive().len(), 1);
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    assert_eq!(pair.client().moved().len(), 1);
}

// req: M3.9-3
#[test]
fn a_nat_that_goes_away_lets_the_move_succeed() {
    let mut pair = strict().established();
    pair.net.nats.push(Nat::new(outside(), &[LTE]));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(700));
    pair.net.nats.clear();
    pair.settle();
    assert_eq!(pair.client().moved().len(), 1);
    assert!(pair.client().refused().is_empty());
    assert_eq!(pair.gateway().peer_moves(), [(Pair::path(LTE, WAN).reversed(), true)]);
}

// req: M3.9-2
#[test]
fn a_list_through_a_nat_is_not_believed() {
    let mut pair = strict().established();
    pair.net.nats.push(Nat::new(outside(), &[WIFI]));
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.run_for(ms(300));
    assert!(pair.gateway().peer_lists().is_empty());
    pair.net.nats.clear();
    pair.settle();
    assert_eq!(pair.gateway().peer_lists(), [[LTE]]);
}

// req: M3.9-1, M3.9-3
#[test]
fn an_update_that_left_over_two_paths_is_followed_by_one_that_tells_the_truth() {
    let mut pair = strict().established();
    pair.net.unplug(LTE);
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    // The same octets from wifi say that they come from lte.
    pair.order_move(Pair::path(WIFI, WAN));
    pair.settle();
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN));
    assert_eq!(pair.client().moved().len(), 1);
    assert_eq!(pair.gateway().count("unexpected_nats"), 1);
}

// req: M3.9-1
#[test]
fn the_first_ike_auth_request_and_a_list_of_the_gateway_say_it_too_and_in_ipv6() {
    let mut pair = strict().gateway_profile(|profile| profile.paths.nat_traversal = false);
    let (six, wan6) = (ip("2001:db8::1"), ip("2001:db8::2"));
    pair.hosts[0].addresses.push(("wifi6", six));
    pair.hosts[1].addresses.push(("wan6", wan6));
    pair.connect_over(&[(six, wan6)]);
    pair.settle();
    let spi = pair.client().up().spi_i;
    let auth = pair.said(|told| told.from == CLIENT && told.asks(ExchangeType::IKE_AUTH)).next();
    let auth = auth.and_then(|told| pair.keys[&spi].open(&told.bytes)).unwrap_or_default();
    let (here, there) = (SocketAddr::new(six, 500), SocketAddr::new(wan6, 500));
    assert_eq!(auth.notify(NO_NATS).map(<[u8]>::to_vec), Some(written(here, there)));
    assert_eq!(auth.notify(NO_NATS).map(<[u8]>::len), Some(36));
    pair.announce(GATEWAY, &[wan6, WAN], None);
    pair.settle();
    assert_eq!(ends(pair.requests_of(GATEWAY)[0]), Some(written(there, here)));
    pair.order_move_with(Pair::init_path(six, wan6), Some(&[six, LTE]));
    pair.settle();
    let update = pair.requests_of(CLIENT);
    assert_eq!(ends(update[0]), Some(written(here, there)), "an update with a list");
    assert_eq!(pair.client().moved().len(), 1);
}

// req: M3.9-2
#[test]
fn a_translator_of_ports_alone_is_one_too() {
    let mut pair = strict().established();
    let elsewhere = SocketAddr::new(LTE, 40_000);
    pair.net.plan(Which::of(CLIENT).carrying(NotifyType::UPDATE_SA_ADDRESSES), Fate::From(elsewhere));
    let before = pair.gateway().trace();
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(100));
    assert_eq!((pair.gateway().trace(), pair.gateway().count("unexpected_nats")), (before, 1));
    let answer = pair.said(|told| told.from == GATEWAY && told.answers(ExchangeType::INFORMATIONAL)).last();
    assert!(answer.is_some_and(|told| told.carries(UNEXPECTED) && told.path.remote == elsewhere), "where it came from");
    // One packet changes nothing for good.
    pair.settle();
    assert_eq!(pair.client().moved().len(), 1);
}
