//! Stories of lists that a gateway is told to send over a pair that the peer has left meanwhile.

use core::net::IpAddr;

use crate::stage::{
    CLIENT, Command, ExchangeType, Fate, GATEWAY, HostId, LTE, NattPorts, PROFILE, Pair, Path, Token, Told, WAN, WAN2,
    WIFI, Which, ms, secs,
};

const NONE: &[IpAddr] = &[];

fn lists(pair: &Pair) -> Vec<Told> {
    let tells = |told: &&Told| {
        let told = *told;
        told.carries(crate::stage::NotifyType::NO_ADDITIONAL_ADDRESSES)
            || told.carries(crate::stage::NotifyType::ADDITIONAL_IP4_ADDRESS)
    };
    pair.requests_of(GATEWAY).into_iter().filter(tells).cloned().collect()
}

#[test]
fn a_list_that_waited_while_the_peer_moved_goes_to_where_the_peer_is() {
    // wan and wifi die together; a test is unanswered, and the list waits behind it; the client comes from lte
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    pair.net.unplug(WIFI);
    pair.probe(GATEWAY, None);
    pair.announce(GATEWAY, &[WAN2], Some(Pair::path(WIFI, WAN2).reversed()));
    assert!(lists(&pair).is_empty(), "the window is one");
    pair.order_move(Pair::path(LTE, WAN2));
    pair.settle();
    let there = Pair::path(LTE, WAN2).reversed();
    assert_eq!(pair.gateway().path(), there);
    assert!(lists(&pair).iter().all(|told| told.path == there && told.arrived()), "{}", pair.arrows());
    assert_eq!(pair.client().peer_lists(), [NONE]);
}

#[test]
fn a_list_that_is_unanswered_when_the_peer_moves_goes_on_there_and_nowhere_else() {
    let mut pair = Pair::new(1).established();
    pair.net.unplug(WAN);
    pair.net.unplug(WIFI);
    pair.announce(GATEWAY, &[WAN2], Some(Pair::path(WIFI, WAN2).reversed()));
    pair.run_for(secs(1));
    let there = Pair::path(LTE, WAN2).reversed();
    pair.net.plan(Which::of(GATEWAY).to(LTE).that(|told| told.asks(ExchangeType::INFORMATIONAL)).times(6), Fate::Lose);
    let before = lists(&pair).len();
    pair.order_move(Pair::path(LTE, WAN2));
    pair.run_for(secs(30));
    assert_eq!(pair.gateway().path(), there);
    assert!(lists(&pair)[before..].iter().all(|told| told.path == there), "{}", pair.arrows());
    assert_eq!(pair.client().peer_lists().last(), Some(&NONE));
}

#[test]
fn of_two_lists_on_their_way_only_the_newer_is_told_anew() {
    // Windows of 4: N(NO_ADDITIONAL_ADDRESSES) and N(ADDITIONAL_IP4_ADDRESS) are unanswered; the client moves, and hears of
    // both from two of the gateway's addresses.
    let mut pair = Pair::new(1).windows(4).established();
    pair.allow_window(4);
    pair.net.lose(Which::of(CLIENT).answer(ExchangeType::INFORMATIONAL).to(WAN).always());
    pair.announce(GATEWAY, &[WAN], None);
    pair.run_for(ms(50));
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    pair.run_for(ms(50));
    pair.order_move(Pair::path(LTE, WAN2));
    pair.run_for(secs(5));
    let told = lists(&pair).len();
    assert_eq!(pair.client().peer_lists().last(), Some(&[WAN].as_slice()), "the other one, seen from wan2");
    pair.run_for(secs(60));
    assert_eq!(lists(&pair).len(), told, "and nothing more is said");
    let older = pair.client().peer_lists().iter().filter(|list| list.is_empty()).count();
    assert_eq!(older, 1, "{:?}", pair.client().peer_lists());
}

/// Set up in a stream from wifi.
fn streamed() -> Pair {
    let mut pair = Pair::new(1)
        .client_profile(|profile| profile.paths.tcp = true)
        .gateway_profile(|profile| profile.paths.tcp = true);
    let natt = NattPorts { local: 4500, remote: 4500 };
    let paths = vec![stream(WIFI, WAN)];
    pair.order(CLIENT, Command::Connect { token: Token(7), profile: PROFILE, paths, natt, redirected_from: None });
    pair.settle();
    pair
}

fn stream(local: IpAddr, remote: IpAddr) -> Path {
    let path = Pair::path(local, remote);
    Path::tcp(path.local, path.remote)
}

fn in_touch(pair: &mut Pair, who: HostId) {
    let before = pair.host(who).checked().len();
    pair.probe(who, None);
    pair.run_for(secs(2));
    assert_eq!(pair.host(who).checked().len(), before + 1, "{}", pair.arrows());
}

#[test]
fn a_list_for_a_stream_that_is_not_there_does_not_keep_the_window_closed() {
    // The client opens another stream in the moment in which the gateway is told to speak over the one before.
    let mut pair = streamed();
    let ended = pair.gateway().path();
    pair.cut_wires();
    pair.run_for(ms(500));
    assert_ne!(pair.gateway().path(), ended);
    pair.announce(GATEWAY, &[WAN, WAN2], Some(ended));
    pair.run_for(secs(10));
    assert_eq!(pair.client().peer_lists(), [[WAN2], [WAN2]], "told afresh, since the first proves no pair");
    in_touch(&mut pair, GATEWAY);
    assert!(pair.gateway().downs().is_empty());
}

#[test]
fn a_list_that_waited_for_a_stream_that_has_ended_leaves_in_the_next() {
    let mut pair = streamed();
    let ended = pair.gateway().path();
    pair.wires.stalled = true;
    pair.probe(GATEWAY, None);
    pair.announce(GATEWAY, &[WAN, WAN2], Some(ended));
    pair.wires.stalled = false;
    pair.cut_wires();
    pair.run_for(secs(1));
    assert_eq!(pair.client().peer_lists(), [[WAN2]], "{}", pair.arrows());
    assert!(lists(&pair).iter().all(|told| told.path == pair.gateway().path()), "{}", pair.arrows());
}
