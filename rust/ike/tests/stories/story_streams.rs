//! Stories of IKE SAs in TCP streams (RFC 9329): set up there, moved there and home, streams that end and that are followed.

use crate::stage;

use std::sync::Arc;

use mobike_ike::crypto::KeyKind;
use mobike_ike::event::DownReason;
use mobike_ike::{Credential, LocalProof, RemoteProof};
use stage::keys::Key;
use stage::{
    CLIENT, Command, ExchangeType, Fate, GATEWAY, LTE, NattPorts, NotifyType, PROFILE, Pair, Path, Token, WAN, WIFI,
    Which, ms, secs,
};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const INFO: ExchangeType = ExchangeType::INFORMATIONAL;
const UPDATE: NotifyType = NotifyType::UPDATE_SA_ADDRESSES;

/// Both ends take streams.
fn ready(seed: u64) -> Pair {
    Pair::new(seed).client_profile(|profile| profile.paths.tcp = true).gateway_profile(|profile| {
        profile.paths.tcp = true;
    })
}

fn in_stream(path: Path) -> Path {
    Path::tcp(path.local, path.remote)
}

fn home() -> Path {
    Pair::path(WIFI, WAN)
}

fn connect(pair: &mut Pair, paths: &[Path]) {
    let natt = NattPorts { local: 4500, remote: 4500 };
    let (token, paths) = (Token(7), paths.to_vec());
    pair.order(CLIENT, Command::Connect { token, profile: PROFILE, paths, natt, redirected_from: None });
    pair.settle();
}

/// Set up in a stream from the beginning.
fn streamed(mut pair: Pair) -> Pair {
    connect(&mut pair, &[in_stream(home())]);
    one_sa(&pair);
    pair
}

#[track_caller]
fn comes_home(pair: &mut Pair) {
    pair.order_move(home());
    pair.settle();
    one_sa(pair);
    assert_eq!(pair.client().path(), home());
}

/// One IKE SA and one Child SA at each end, the same as ever.
#[track_caller]
fn one_sa(pair: &Pair) {
    for host in &pair.hosts {
        assert_eq!((host.alive().len(), host.live_children().len()), (1, 1), "{}", host.name);
        assert!(host.downs().is_empty() && host.child_downs().is_empty(), "{}", host.name);
    }
}

#[test]
fn an_ike_sa_is_set_up_in_a_stream_and_nothing_is_sent_twice() {
    // stream opens    IKE_SA_INIT -->  <--    IKE_AUTH -->  <--
    let pair = streamed(ready(1));
    assert_eq!(pair.client().path(), in_stream(home()));
    assert!(pair.gateway().path().is_stream());
    assert_eq!(pair.gateway().path().remote.port(), 40_000, "as the gateway sees it");
    let arrived: Vec<_> = pair.told.iter().filter(|told| told.arrived()).collect();
    assert_eq!(arrived.len(), 4);
    assert_eq!(pair.wires.opened(), 1);
    assert!(pair.told.iter().all(|told| told.path.is_stream()));
}

#[test]
fn ports_that_differ_are_no_nat_and_a_quiet_stream_needs_no_keepalives() {
    // RFC 9329 sections 6.5 and 6.6
    let mut pair = streamed(ready(1));
    for host in &pair.hosts {
        let nat = host.up().nat;
        assert!(!nat.we_are_behind && !nat.peer_is_behind, "{}", host.name);
    }
    pair.run_for(secs(600));
    assert!(pair.told.iter().all(|told| !told.keepalive));
    assert_eq!(pair.client().count("keepalives_sent"), 0);
}

#[test]
fn where_udp_is_silent_the_stream_has_its_turn_after_one_first_wait() {
    let mut pair = ready(1);
    pair.net.no_udp = true;
    let began = pair.now;
    connect(&mut pair, &[Pair::init_path(WIFI, WAN), in_stream(home())]);
    one_sa(&pair);
    assert_eq!(pair.client().path(), in_stream(home()));
    let answered = pair.said(|told| told.answers(INIT)).next().expect("an answer").at;
    assert!(answered.since(began) < ms(600), "half a second for UDP, and a round trip or two");
}

#[test]
fn where_only_ike_sa_init_passes_in_udp_the_order_begins_anew_in_a_stream() {
    // IKE_SA_INIT -->  <--    IKE_AUTH --> .. --> .. -->    stream opens    IKE_SA_INIT -->  <--    IKE_AUTH -->  <--
    for hybrid in [false, true] {
        let mut pair = ready(1);
        if hybrid {
            let suites = vec!["aes256gcm16-prfsha384-x25519-ke1_ecp256".parse().expect("a suite")];
            let both = suites.clone();
            pair = pair
                .client_profile(|profile| profile.ike_suites = suites)
                .gateway_profile(|profile| profile.ike_suites = both);
        }
        let behind = if hybrid { ExchangeType::IKE_INTERMEDIATE } else { ExchangeType::IKE_AUTH };
        pair.net.plan(Which::of(CLIENT).request(behind).always(), Fate::Lose);
        let began = pair.now;
        connect(&mut pair, &[Pair::init_path(WIFI, WAN), in_stream(home())]);
        one_sa(&pair);
        assert_eq!(pair.client().path(), in_stream(home()));
        assert_eq!(pair.client().count("fallbacks"), 1);
        assert_eq!(pair.client().up().token, Some(Token(7)));
        let last = pair.told.iter().rfind(|told| told.arrived()).expect("an answer").at;
        assert!(last.since(began) < secs(8), "{:?}", last.since(began));
    }
}

#[test]
fn who_knows_no_streams_goes_on_asking_in_udp() {
    let mut pair = ready(1);
    pair.net.plan(Which::of(CLIENT).request(ExchangeType::IKE_AUTH).always(), Fate::Lose);
    connect(&mut pair, &[Pair::init_path(WIFI, WAN)]);
    assert!(pair.client().ups().is_empty());
    assert_eq!(pair.client().count("fallbacks"), 0);
    assert_eq!(pair.client().failures().len(), 1);
}

#[test]
fn where_udp_answers_no_stream_is_opened() {
    let mut pair = ready(1);
    connect(&mut pair, &[Pair::init_path(WIFI, WAN), in_stream(home())]);
    one_sa(&pair);
    assert!(!pair.client().path().is_stream());
    assert_eq!(pair.wires.opened(), 0);
}

#[test]
fn who_allows_no_streams_answers_nothing_in_one() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.paths.tcp = true);
    connect(&mut pair, &[in_stream(home())]);
    assert!(pair.client().ups().is_empty() && pair.gateway().ups().is_empty());
    assert_eq!(pair.client().failures().len(), 1);
}

/// A certificate that fills several datagrams.
fn bulky(key: &Key) -> LocalProof {
    let above = (0..5).map(|_| vec![0x5a; 1_000].into_boxed_slice());
    let certificates = core::iter::once(key.certificate().into()).chain(above).collect();
    LocalProof::Signature(Arc::new(Credential { key: key.signing(), certificates, raw: None, staple: None }))
}

#[test]
fn long_messages_go_whole_in_a_stream_and_in_pieces_elsewhere() {
    // RFC 9329 section 7.5
    for stream in [true, false] {
        let (client, gateway) = (Key::of(KeyKind::P256, 1), Key::of(KeyKind::P256, 2));
        let mut pair = ready(1)
            .client_profile(|profile| {
                profile.proofs.local = bulky(&client);
                profile.proofs.remote = RemoteProof::Keys([gateway.public()].into());
            })
            .gateway_profile(|profile| {
                profile.proofs.local = bulky(&gateway);
                profile.proofs.remote = RemoteProof::Keys([client.public()].into());
            });
        let path = if stream { in_stream(home()) } else { Pair::init_path(WIFI, WAN) };
        connect(&mut pair, &[path]);
        one_sa(&pair);
        let longest = pair.told.iter().map(|told| told.bytes.len()).max();
        assert_eq!(longest > Some(5_000), stream, "{longest:?}");
        assert_eq!(pair.told.iter().any(|told| told.fragment() > 0), !stream);
    }
}

#[test]
fn an_ike_sa_goes_into_a_stream_without_a_cookie_and_comes_home_with_one() {
    // UPDATE in the stream -->  <--                       who opened it has received there
    // UPDATE in UDP -->  <--      <-- COOKIE2   COOKIE2 -->
    let mut pair = ready(1).established();
    pair.net.no_udp = true;
    pair.order_move(in_stream(home()));
    pair.settle();
    one_sa(&pair);
    assert_eq!(pair.client().path(), in_stream(home()));
    assert!(pair.gateway().path().is_stream());
    let asked = |pair: &Pair| pair.requests_of(GATEWAY).iter().filter(|told| told.carries(NotifyType::COOKIE2)).count();
    assert_eq!(asked(&pair), 0);
    pair.net.no_udp = false;
    comes_home(&mut pair);
    assert_eq!(pair.gateway().peer_moves().last(), Some(&(home().reversed(), true)));
    assert_eq!(asked(&pair), 1);
}

#[test]
fn a_move_into_a_stream_that_does_not_open_leaves_the_ike_sa_where_it_was() {
    let mut pair = ready(1).established();
    pair.wires.refused = true;
    pair.order_move(in_stream(home()));
    pair.run_for(secs(5));
    assert_eq!(pair.client().silences().first().map(|(path, _)| *path), Some(in_stream(home())));
    comes_home(&mut pair);
}

#[test]
fn a_stream_that_ends_is_opened_anew_at_once_and_the_gateway_follows() {
    // stream ends    UPDATE: another one opens, UPDATE -->  <--
    let mut pair = streamed(ready(1));
    for round in 1..=3 {
        let cut = pair.now;
        pair.cut_wires();
        pair.run_for(ms(200));
        one_sa(&pair);
        assert_eq!(pair.wires.opened(), 1 + round);
        assert_eq!(pair.gateway().path().remote.port(), 40_000 + round as u16);
        let update = pair.requests_of(CLIENT).into_iter().find(|told| told.at >= cut && told.carries(UPDATE));
        assert_eq!(update.map(|told| told.at), Some(cut), "the loss is known: there is nothing to wait for");
    }
    assert!(pair.client().silences().is_empty());
    assert_eq!(pair.client().count("streams_lost"), 3);
}

#[test]
fn without_mobike_a_liveness_test_opens_the_next_stream_and_the_gateway_follows_that() {
    let off = |profile: &mut mobike_ike::Profile| profile.mobike = false;
    let mut pair = streamed(ready(1).client_profile(off).gateway_profile(off));
    pair.cut_wires();
    pair.run_for(ms(200));
    one_sa(&pair);
    assert_eq!(pair.gateway().path().remote.port(), 40_001);
    assert_eq!(pair.gateway().count("streams_adopted"), 1);
    // A request of its own takes the new stream.
    pair.probe(GATEWAY, None);
    pair.run_for(ms(200));
    assert_eq!(pair.gateway().checked().len(), 1);
}

#[test]
fn what_was_unanswered_when_a_stream_ended_goes_out_in_the_next_with_the_same_octets() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = streamed(ready(1));
        let before = pair.told.len();
        pair.wires.stalled = true;
        pair.probe(who, None);
        pair.wires.stalled = false;
        pair.cut_wires();
        pair.run_for(secs(2));
        one_sa(&pair);
        let host = pair.host(who);
        let probes = pair.told[before..].iter().filter(|told| told.from == who && told.asks(INFO));
        let first = probes.clone().next().expect("a probe");
        let again: Vec<_> = probes.skip(1).filter(|told| told.bytes == first.bytes).collect();
        assert!(!first.arrived() && again.iter().any(|told| told.arrived()), "{}", host.name);
        let id = first.header().map(|header| header.message_id);
        let answers = pair.told[before..].iter().filter(|told| told.from != who && told.answers(INFO));
        let answered = answers.filter(|told| told.header().map(|header| header.message_id) == id && told.arrived());
        assert_eq!(answered.count(), 1, "{}", host.name);
    }
}

#[test]
fn what_was_served_before_a_stream_ended_moves_nobody_when_it_is_repeated_and_something_new_follows() {
    // HDR, SK { } -->  <-- lost with the stream    HDR, SK { } again -->  <-- again    something new -->  <--
    for mobike in [true, false] {
        let off = |profile: &mut mobike_ike::Profile| profile.mobike = mobike;
        let mut pair = streamed(ready(1).client_profile(off).gateway_profile(off));
        pair.probe(CLIENT, None);
        pair.wires.stalled = true;
        pair.run_for(ms(15));
        pair.wires.stalled = false;
        pair.cut_wires();
        pair.run_for(ms(200));
        one_sa(&pair);
        assert_eq!(pair.gateway().count("repeats_answered"), 1);
        assert_eq!(pair.gateway().path().remote.port(), 40_001, "mobike: {mobike}");
        assert_eq!(pair.gateway().peer_moves().len(), 1);
    }
}

#[test]
fn a_stream_that_a_nat_lets_come_from_another_address_is_followed_whatever_was_unanswered() {
    // HDR, SK { } -->  lost with the stream    from elsewhere: HDR, SK { } -->  <--    UPDATE -->  <--
    let mut pair = streamed(ready(1));
    pair.wires.stalled = true;
    pair.probe(CLIENT, None);
    pair.wires.stalled = false;
    pair.wires.outside = Some(LTE);
    pair.cut_wires();
    pair.run_for(ms(200));
    one_sa(&pair);
    assert_eq!(pair.gateway().path().remote, core::net::SocketAddr::new(LTE, 40_001));
    assert_eq!(pair.gateway().count("streams_adopted"), 0);
    assert_eq!(pair.gateway().count("updates_taken"), 1);
}

#[test]
fn new_keys_that_were_asked_for_in_a_stream_that_ended_take_the_gateway_into_the_next() {
    // CREATE_CHILD_SA -->  stream ends    another one opens, CREATE_CHILD_SA -->  <--    UPDATE -->  <--
    let mut pair = streamed(ready(1));
    pair.wires.stalled = true;
    let child = pair.client().live_children()[0];
    pair.order(CLIENT, Command::RekeyChild { child });
    pair.wires.stalled = false;
    pair.cut_wires();
    pair.run_for(ms(200));
    assert_eq!(pair.gateway().count("streams_adopted"), 1);
    let here = pair.gateway().path();
    assert_eq!(here.remote.port(), 40_001);
    let moves = pair.gateway().peer_moves();
    assert!(moves.iter().all(|moved| *moved == (here, true)) && moves.len() == 2, "{moves:?}");
    for host in &pair.hosts {
        assert_eq!((host.alive().len(), host.live_children().len()), (1, 1), "{}", host.name);
        assert_ne!(host.live_children()[0], host.installs()[0].0, "{}", host.name);
    }
}

#[test]
fn a_stream_that_stands_still_is_a_silent_path() {
    let mut pair = streamed(ready(1));
    pair.wires.stalled = true;
    pair.probe(CLIENT, None);
    pair.run_for(secs(4));
    assert_eq!(pair.client().silences().first().map(|(path, _)| *path), Some(in_stream(home())));
    // The network has UDP again: the control plane goes there.
    comes_home(&mut pair);
}

#[test]
fn a_dead_peer_in_a_stream_is_given_up_as_anywhere() {
    let mut pair = streamed(ready(1));
    pair.wires.stalled = true;
    pair.probe(CLIENT, None);
    pair.run_for(secs(400));
    assert!(matches!(pair.client().downs()[..], [(_, DownReason::PeerSilent(_))]));
    let copies = pair.said(|told| told.from == CLIENT && told.asks(INFO)).count();
    assert!(copies <= 2, "TCP repeats, IKE does not: {copies}");
}

#[test]
fn new_keys_for_the_ike_sa_stay_in_its_stream() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = streamed(ready(1));
        let sa = pair.host(who).sa();
        pair.order(who, Command::Rekey { sa });
        pair.settle();
        one_sa(&pair);
        assert_eq!(pair.host(who).rekeys().len(), 1);
        assert_eq!(pair.wires.opened(), 1);
        pair.cut_wires();
        pair.settle();
        one_sa(&pair);
        assert_eq!(pair.wires.opened(), 2);
    }
}

#[test]
fn with_mobike_another_stream_from_elsewhere_moves_nothing_by_itself() {
    // A request that was made for wifi comes over a stream from lte: somebody on the way may have put it there.
    let mut pair = streamed(ready(1));
    pair.wires.stalled = true;
    pair.probe(CLIENT, None);
    pair.wires.stalled = false;
    let probe = pair.requests_of(CLIENT).last().expect("a probe").bytes.clone();
    let elsewhere = Path::tcp(home().remote, core::net::SocketAddr::new(LTE, 41_000));
    pair.inject(GATEWAY, elsewhere, &probe);
    assert_eq!(pair.gateway().path().remote.ip(), WIFI);
    assert_eq!(pair.gateway().count("streams_adopted"), 0);
}

#[test]
fn old_messages_in_a_new_stream_take_the_ike_sa_nowhere() {
    // Somebody recorded a request, and repeats it in a stream of his own.
    let mut pair = streamed(ready(1));
    pair.probe(CLIENT, None);
    pair.run_for(secs(1));
    let here = pair.gateway().path();
    let recorded = pair.requests_of(CLIENT).last().expect("a probe").bytes.clone();
    let his = Path::tcp(home().remote, core::net::SocketAddr::new(WIFI, 41_000));
    pair.inject(GATEWAY, his, &recorded);
    assert_eq!(pair.gateway().path(), here);
    assert_eq!(pair.gateway().count("streams_adopted"), 0);
}

#[test]
fn either_end_may_begin_again_and_the_ike_sa_goes_on_in_another_stream() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = streamed(ready(1));
        // Its system closes its streams; a client that is gone hears nothing of that.
        pair.restart(who);
        if who == GATEWAY {
            pair.cut_wires();
        } else {
            pair.forget_wires();
            pair.order_move(in_stream(home()));
        }
        pair.settle();
        one_sa(&pair);
        assert_eq!(pair.wires.opened(), 2);
        assert_eq!(pair.client().path(), in_stream(home()));
        assert_eq!(pair.gateway().path().remote.port(), 40_001);
        // And home.
        pair.order_move(home());
        pair.settle();
        one_sa(&pair);
        assert_eq!(pair.gateway().path(), home().reversed());
    }
}
