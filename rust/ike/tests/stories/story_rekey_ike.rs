//! The IKE SA is replaced (RFC 7296 sections 1.3.2, 2.8.2, 2.18), and all that MOBIKE knows outlives it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::event::DownReason;
use mobike_ike::profile::ReturnRoutability;
use stage::{
    CLIENT, Command, ExchangeType, Fate, GATEWAY, HostId, LTE, Nat, NotifyType, Pair, Role, Told, WAN, WAN2, WIFI,
    Which, ip, ms, secs,
};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

fn pair(seed: u64) -> Pair {
    Pair::new(seed).established()
}

fn order_rekey(pair: &mut Pair, who: HostId) {
    let sa = pair.host(who).sa();
    pair.order(who, Command::Rekey { sa });
}

fn move_to_lte(pair: &mut Pair) {
    let lte = Pair::path(LTE, WAN);
    let generation = pair.order_move(lte);
    pair.settle();
    assert_eq!(pair.client().moved().last(), Some(&(lte, generation)));
    assert_eq!(pair.gateway().path(), lte.reversed());
}

/// Both ends are on the same new IKE SA, under the old name, with the old Child SA, and nothing is left of the others.
#[track_caller]
fn assert_rekeyed(pair: &Pair, times: usize) {
    for host in [pair.client(), pair.gateway()] {
        assert_eq!(host.rekeys().len(), times, "{}", host.name);
        assert_eq!(host.downs(), [], "{}", host.name);
        assert_eq!(host.live_children().len(), 1, "{}", host.name);
        assert_eq!(host.child_downs(), [], "{}", host.name);
        assert_eq!(host.engine.population().ike_sas, 1, "{}", host.name);
    }
    assert_eq!(pair.client().rekeys().last(), pair.gateway().rekeys().last(), "the same SPIs and algorithms");
}

fn requests(pair: &Pair, who: HostId, exchange: ExchangeType) -> impl Iterator<Item = &Told> {
    pair.said(move |told| told.from == who && told.asks(exchange) && told.copies_before == 0)
}

fn deletes(told: &Told) -> bool {
    told.contents.as_ref().is_some_and(|contents| contents.payloads.iter().any(|payload| payload == "DELETE"))
}

// req: M3.2-2
#[test]
fn either_end_replaces_the_ike_sa_and_it_moves_on_under_its_old_name() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = pair(1);
        let (client_sa, gateway_sa, before) = (pair.client().sa(), pair.gateway().sa(), pair.client().up().spi_i);
        // CREATE_CHILD_SA { SA, Ni, KEi } -->
        order_rekey(&mut pair, who);
        // <-- CREATE_CHILD_SA { SA, Nr, KEr }; D -->; <-- {}
        pair.settle();
        assert_rekeyed(&pair, 1);
        let (spis, _) = pair.client().rekeys()[0];
        assert_ne!(spis.initiator, before);
        let asked = requests(&pair, who, CREATE).next().unwrap();
        let payloads = &asked.contents.as_ref().unwrap().payloads;
        assert_eq!(payloads, &["SA", "NONCE", "KE"]);
        assert_eq!(pair.said(|told| told.from == who && told.asks(INFORM) && deletes(told)).count(), 1);

        // The client still is the one that moves, whoever is the initiator of the new IKE SA (RFC 4555 section 1.3).
        move_to_lte(&mut pair);
        let update =
            requests(&pair, CLIENT, INFORM).find(|told| told.carries(NotifyType::UPDATE_SA_ADDRESSES)).unwrap();
        let header = update.header().unwrap();
        assert_eq!(header.initiator_spi, spis.initiator, "on the new IKE SA");
        assert_eq!(header.message_id, 0, "its ids begin with 0");
        assert_eq!(header.flags.initiator, who == CLIENT, "in the header the role is that of the rekey");
        assert_eq!((pair.client().sa(), pair.gateway().sa()), (client_sa, gateway_sa));
    }
}

// req: M3.2-2
#[test]
fn the_gateway_does_not_become_the_one_who_moves_by_replacing_the_ike_sa() {
    let mut pair = pair(2);
    order_rekey(&mut pair, GATEWAY);
    pair.settle();
    let sa = pair.gateway().sa();
    let path = Pair::path(WAN2, WIFI);
    pair.order(GATEWAY, Command::Move { sa, path, generation: stage::Generation(9), addresses: None });
    assert_eq!(pair.gateway().refused(), [(path, stage::Generation(9))]);
    assert!(pair.gateway().notices().iter().any(|text| text.contains("only the initiator of an IKE SA moves it")));
    // Its list is what it may tell.
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    pair.settle();
    assert_eq!(pair.client().peer_lists().last(), Some(&&[WAN2][..]));
}

// req: M3.2-2
#[test]
fn marks_of_updates_and_lists_begin_anew_with_the_new_ike_sa() {
    let mut pair = pair(3);
    for _ in 0..3 {
        move_to_lte(&mut pair);
        pair.order_move(Pair::path(WIFI, WAN));
        pair.settle();
    }
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    pair.settle();
    order_rekey(&mut pair, CLIENT);
    pair.settle();
    // Ids 0 and 1 of the new one are newer than all of the old one.
    pair.announce(GATEWAY, &[WAN], None);
    move_to_lte(&mut pair);
    pair.announce(CLIENT, &[LTE], None);
    pair.settle();
    assert_eq!(pair.client().peer_lists().last(), Some(&&[][..]));
    assert_eq!(pair.gateway().peer_lists().last(), Some(&&[][..]));
    assert_eq!(pair.gateway().count("updates_stale"), 0);
}

// req: M3.2-2
#[test]
fn the_list_that_the_peer_told_before_is_used_after() {
    let mut pair = pair(8);
    pair.announce(CLIENT, &[WIFI, LTE], None);
    pair.settle();
    order_rekey(&mut pair, GATEWAY);
    pair.settle();
    // The path in use dies under the gateway: it tells its list to every place of the client that it knows.
    pair.net.blackhole_both(WAN, WIFI);
    pair.net.blackhole_both(WAN2, WIFI);
    pair.announce(GATEWAY, &[WAN2], Some(Pair::path(WAN2, WIFI)));
    pair.run_for(secs(10));
    assert_eq!(pair.client().peer_lists().last(), Some(&&[][..]), "over the client's second uplink");
    let told = pair.said(|told| told.from == GATEWAY && told.arrived() && told.path.remote.ip() == LTE);
    assert!(told.count() > 0);
}

// req: M3.2-2
#[test]
fn what_was_asked_and_not_answered_on_the_old_ike_sa_is_asked_anew_on_the_new_one() {
    let mut pair =
        Pair::new(4).gateway_profile(|profile| profile.return_routability = ReturnRoutability::Never).established();
    // The client asks for a new IKE SA, and decides to move and tells its list before the answer is there.
    order_rekey(&mut pair, CLIENT);
    let lte = Pair::path(LTE, WAN);
    let generation = pair.order_move_with(lte, Some(&[LTE, WIFI]));
    // The gateway, too, has something on its way: its list, over the old IKE SA, which never arrives.
    pair.net.lose(Which::of(GATEWAY).request(INFORM));
    pair.announce(GATEWAY, &[WAN, WAN2], None);
    let probed = pair.probe(GATEWAY, None);
    pair.settle();
    assert_rekeyed(&pair, 1);
    assert_eq!(pair.client().moved(), [(lte, generation)]);
    assert_eq!(pair.gateway().peer_lists(), [&[WIFI][..]]);
    // The gateway's list went over two paths, so it was told once more (M3.6-3).
    assert!(pair.client().peer_lists().iter().all(|list| *list == [WAN2]) && !pair.client().peer_lists().is_empty());
    assert_eq!(pair.gateway().checked().iter().map(|(_, generation)| *generation).collect::<Vec<_>>(), [probed]);
    // The request for a new IKE SA itself went on over the new path, the same octets.
    let copies: Vec<_> = pair.said(|told| told.from == CLIENT && told.asks(CREATE)).collect();
    assert_eq!(copies.iter().map(|told| told.path).collect::<Vec<_>>(), [Pair::path(WIFI, WAN), lte]);
    assert_eq!(copies[0].bytes, copies[1].bytes);
}

// req: M3.2-2
#[test]
fn an_update_on_the_old_ike_sa_does_not_undo_one_on_the_new() {
    let mut pair = Pair::new(5)
        .gateway_profile(|profile| {
            profile.return_routability = ReturnRoutability::Never;
            profile.window = 4;
        })
        .established();
    pair.allow_window(4);
    // UPDATE from LTE is late: the gateway answers the rekey that follows, and the UPDATE on the new IKE SA, before it.
    pair.net.plan(Which::of(CLIENT).carrying(NotifyType::UPDATE_SA_ADDRESSES).times(1), Fate::Late(secs(3)));
    pair.order_move(Pair::path(LTE, WAN));
    pair.run_for(ms(5));
    order_rekey(&mut pair, GATEWAY);
    pair.run_for(ms(200));
    let generation = pair.order_move(Pair::path(WIFI, WAN2));
    pair.settle();
    assert_rekeyed(&pair, 1);
    assert_eq!(pair.client().moved().last(), Some(&(Pair::path(WIFI, WAN2), generation)));
    assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN2).reversed());
}

#[test]
fn nat_detection_has_nothing_to_compare_with_at_first() {
    let mut pair = Pair::new(6).client_profile(|profile| profile.liveness = secs(30)).established();
    pair.run_for(secs(100));
    order_rekey(&mut pair, CLIENT);
    pair.run_for(secs(100));
    assert_eq!(pair.client().nat_changes(), []);

    // Behind a NAT, the client asks at once how it is seen now, so that a later mapping is noticed.
    let mut pair = Pair::new(7).client_profile(|profile| profile.liveness = secs(30));
    pair.net.nats.push(Nat::new(ip("100.64.0.1"), &[WIFI]));
    let mut pair = pair.established();
    order_rekey(&mut pair, GATEWAY);
    pair.settle();
    assert_eq!(pair.client().nat_changes(), []);
    let asked = requests(&pair, CLIENT, INFORM).filter(|told| told.carries(NotifyType::NAT_DETECTION_SOURCE_IP));
    assert_eq!(asked.last().unwrap().header().unwrap().message_id, 0, "the first request of the new IKE SA");
    pair.net.nats[0].flush();
    pair.run_for(secs(70));
    assert_eq!(pair.client().nat_changes().len(), 1);
}

#[test]
fn lost_and_repeated_messages_make_no_second_ike_sa() {
    for seed in 0..4 {
        let mut pair = pair(10 + seed);
        let lost = [
            Which::of(CLIENT).request(CREATE).times(2),
            Which::of(GATEWAY).answer(CREATE).times(2),
            Which::of(CLIENT).request(INFORM).that(deletes).times(2),
            Which::of(GATEWAY).answer(INFORM).times(2),
        ];
        pair.net.lose(lost.into_iter().nth(seed as usize).unwrap());
        order_rekey(&mut pair, CLIENT);
        pair.settle();
        assert_rekeyed(&pair, 1);
        move_to_lte(&mut pair);
    }
}

#[test]
fn the_one_who_answered_may_ask_on_the_new_ike_sa_before_its_answer_arrives() {
    let mut pair = pair(15);
    pair.net.plan(Which::of(GATEWAY).answer(CREATE), Fate::Late(ms(300)));
    order_rekey(&mut pair, CLIENT);
    pair.run_for(ms(15));
    let generation = pair.probe(GATEWAY, None);
    pair.settle();
    assert_rekeyed(&pair, 1);
    assert_eq!(pair.gateway().checked().last().map(|(_, checked)| *checked), Some(generation));
}

#[test]
fn a_move_in_the_middle_takes_the_request_along() {
    // CREATE_CHILD_SA over wifi never arrives; the client moves, and it goes on over lte.
    let mut pair = pair(16);
    pair.net.unplug(WIFI);
    order_rekey(&mut pair, CLIENT);
    pair.run_for(secs(1));
    move_to_lte(&mut pair);
    assert_rekeyed(&pair, 1);
    // Its Delete of the old one too.
    let mut pair = self::pair(17);
    pair.net.lose(Which::of(CLIENT).request(INFORM).that(deletes).leaving(WIFI).always());
    order_rekey(&mut pair, CLIENT);
    pair.run_for(secs(1));
    move_to_lte(&mut pair);
    assert!(pair.said(|told| told.from == CLIENT && deletes(told) && told.arrived()).count() > 0);
    assert_rekeyed(&pair, 1);
}

#[test]
fn both_ends_at_once_agree_on_one_ike_sa_by_the_lowest_nonce() {
    let (mut ours, mut theirs) = (0, 0);
    for seed in 20..40 {
        let mut pair = pair(seed);
        order_rekey(&mut pair, CLIENT);
        order_rekey(&mut pair, GATEWAY);
        pair.settle();
        assert_rekeyed(&pair, 1);
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.count("rekey_collisions"), host.count("ike_sas_rekeyed")), (1, 1));
        }
        // Two Deletes: of the old one by whose rekey stays, of the redundant one by who made it.
        move_to_lte(&mut pair);
        let update = requests(&pair, CLIENT, INFORM).last().unwrap().header().unwrap();
        if update.flags.initiator { ours += 1 } else { theirs += 1 }
    }
    assert!(ours > 0 && theirs > 0, "chance decides: {ours} to {theirs}");
}

#[test]
fn a_collision_that_only_one_end_notices_ends_well_too() {
    for seed in 40..60 {
        // The client's request is late: the gateway has finished its own before it hears of it (RFC 7296 section 2.8.2).
        let mut pair = pair(seed);
        pair.net.plan(Which::of(CLIENT).request(CREATE), Fate::Late(ms(25 + 10 * (seed % 3))));
        order_rekey(&mut pair, CLIENT);
        order_rekey(&mut pair, GATEWAY);
        pair.settle();
        assert_rekeyed(&pair, 1);
        move_to_lte(&mut pair);
    }
}

#[test]
fn a_collision_with_losses_ends_well_whatever_is_lost() {
    for seed in 60..124 {
        let mut pair = pair(seed);
        // Each bit loses the first copy of one of the six messages that matter.
        let bit = |bit: u64| (seed - 60) >> bit & 1 == 1;
        for (index, who) in [CLIENT, GATEWAY].into_iter().enumerate() {
            let base = 3 * index as u64;
            if bit(base) {
                pair.net.lose(Which::of(who).request(CREATE));
            }
            if bit(base + 1) {
                pair.net.lose(Which::of(who).answer(CREATE));
            }
            if bit(base + 2) {
                pair.net.lose(Which::of(who).request(INFORM));
            }
        }
        order_rekey(&mut pair, CLIENT);
        order_rekey(&mut pair, GATEWAY);
        pair.settle();
        let rekeyed = pair.client().rekeys().len();
        assert!((1..=2).contains(&rekeyed), "{rekeyed}");
        assert_rekeyed(&pair, rekeyed);
        move_to_lte(&mut pair);
    }
}

#[test]
fn closing_while_a_rekey_is_on_its_way_closes_both_ends() {
    for who in [CLIENT, GATEWAY] {
        for wait in [0, 5, 15, 25, 35] {
            let mut pair = pair(130);
            order_rekey(&mut pair, CLIENT);
            pair.run_for(ms(wait));
            pair.close(who);
            pair.settle();
            for host in [pair.client(), pair.gateway()] {
                assert_eq!(host.downs().len(), 1, "{} {wait}", host.name);
                assert_eq!(host.engine.population().ike_sas, 0, "{} {wait}", host.name);
                assert_eq!(host.live_children(), [], "{} {wait}", host.name);
            }
        }
    }
}

#[test]
fn an_ike_sa_is_replaced_by_itself_when_it_is_old() {
    let mut pair = Pair::new(140).client_profile(|profile| profile.ike_lifetime = secs(1_000)).established();
    pair.run_for(secs(899));
    assert_rekeyed(&pair, 0);
    pair.run_for(secs(102));
    assert_rekeyed(&pair, 1);
    pair.run_for(secs(2_800));
    assert!((3..=4).contains(&pair.client().rekeys().len()));
    move_to_lte(&mut pair);
}

#[test]
fn two_ends_with_the_same_lifetime_seldom_collide_and_never_end_up_with_two() {
    for seed in 150..158 {
        let mut pair = Pair::new(seed)
            .client_profile(|profile| profile.ike_lifetime = secs(600))
            .gateway_profile(|profile| profile.ike_lifetime = secs(600))
            .established();
        pair.run_for(secs(6_000));
        let rekeyed = pair.client().rekeys().len();
        assert!((10..=11).contains(&rekeyed), "{rekeyed}");
        assert_rekeyed(&pair, rekeyed);
    }
}

#[test]
fn the_old_ike_sa_takes_no_new_exchange_that_makes_something() {
    let mut pair = pair(170);
    // The client may have asked before it knew of the new one.
    pair.net.lose(Which::of(GATEWAY).request(INFORM).that(deletes).times(3));
    order_rekey(&mut pair, GATEWAY);
    pair.run_for(ms(100));
    let old = pair.client().up().spi_i;
    let id = pair.said(|told| told.from == CLIENT && told.asks(ExchangeType::IKE_AUTH)).last().unwrap();
    let id = id.header().unwrap().message_id;
    let forged = stage::Forged { sender: Role::Initiator, exchange: CREATE, id: id + 1, response: false };
    let bytes = pair.keys.get_mut(&old).unwrap().seal(forged, &[]);
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    assert!(pair.gateway().notices().iter().any(|text| text.contains("another exchange comes first")));
}

#[test]
fn an_ike_sa_that_was_replaced_is_forgotten_even_if_nobody_deletes_it() {
    let mut pair = pair(180);
    pair.net.lose(Which::of(CLIENT).request(INFORM).that(deletes).always());
    order_rekey(&mut pair, CLIENT);
    pair.run_for(secs(400));
    assert_rekeyed(&pair, 1);
    let old = pair.client().up().spi_i;
    let forged = stage::Forged { sender: Role::Initiator, exchange: INFORM, id: 9, response: false };
    let bytes = pair.keys.get_mut(&old).unwrap().seal(forged, &[]);
    let before = pair.gateway().count("dropped_unknown_spi");
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &bytes);
    assert_eq!(pair.gateway().count("dropped_unknown_spi"), before + 1);
    move_to_lte(&mut pair);
}

#[test]
fn a_peer_that_goes_silent_in_the_middle_is_given_up_as_ever() {
    let mut pair = pair(190);
    pair.net.unplug(WAN);
    order_rekey(&mut pair, CLIENT);
    pair.run_for(secs(400));
    assert!(matches!(pair.client().downs()[..], [(_, DownReason::PeerSilent(_))]));
    assert_eq!(pair.client().engine.population().child_sas, 0);
}
