//! We replace a Child SA pair (RFC 7296 sections 1.3.3, 2.8, 2.8.1): the new one first, then the end of the old one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::event::DownReason;
use mobike_ike::wire::{Delete, Payload, ProtocolId};
use mobike_ike::{ChildId, Sends};
use stage::{
    CLIENT, Command, Event, ExchangeType, Fate, Forged, GATEWAY, Host, HostId, LTE, NotifyType, Pair, Told, WAN, Which,
    ms, secs,
};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

fn order_rekey(pair: &mut Pair, who: HostId) -> ChildId {
    let child = *pair.host(who).live_children().last().unwrap();
    pair.order(who, Command::RekeyChild { child });
    child
}

/// One pair at each end, and each end sends with the keys and SPI that the other receives with.
#[track_caller]
fn assert_one_pair(pair: &Pair) {
    let live = |host: &Host| {
        let live = host.live_children();
        assert_eq!(live.len(), 1, "{}", host.name);
        let installs = host.installs();
        let (_, install) = *installs.iter().find(|(child, _)| *child == live[0]).unwrap();
        (install.spi_in, install.key_in.clone(), install.spi_out, install.key_out.clone(), host.downs())
    };
    let (client, gateway) = (live(pair.client()), live(pair.gateway()));
    assert_eq!((client.0, &client.1), (gateway.2, &gateway.3));
    assert_eq!((client.2, &client.3), (gateway.0, &gateway.1));
    assert_eq!((&client.4[..], &gateway.4[..]), (&[][..], &[][..]));
    for host in [pair.client(), pair.gateway()] {
        assert_eq!(host.engine.population().child_sas, 1, "{}: nothing reserved is left", host.name);
    }
}

fn deletes(told: &Told) -> bool {
    told.contents.as_ref().is_some_and(|contents| contents.payloads.iter().any(|payload| payload == "DELETE"))
}

#[test]
fn the_new_pair_is_there_before_the_old_one_goes() {
    for who in [CLIENT, GATEWAY] {
        let mut pair = Pair::new(1).established();
        // CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr } -->; <-- { SA, Nr, TSi, TSr }; { D } -->; <-- { D }
        let old = order_rekey(&mut pair, who);
        pair.settle();
        assert_one_pair(&pair);
        let (asker, other) = match who == CLIENT {
            true => (pair.client(), pair.gateway()),
            false => (pair.gateway(), pair.client()),
        };
        assert_eq!(asker.child_downs(), [(old, DownReason::Rekeyed)]);
        assert_eq!(other.child_downs().iter().map(|(_, why)| why).collect::<Vec<_>>(), [&DownReason::PeerDeleted]);
        for host in [asker, other] {
            let at = |up: bool| {
                let kind = |event: &Event| match up {
                    true => matches!(event, Event::ChildUp { .. }),
                    false => matches!(event, Event::ChildDown { .. }),
                };
                host.events.iter().rposition(|(_, event)| kind(event)).unwrap()
            };
            assert!(at(true) < at(false), "{}: make before break", host.name);
        }
        // Who answered goes on sending on the old pair until it knows that the other has the new one.
        assert_eq!(asker.installs()[1].1.sends, Sends::AtOnce);
        assert!(matches!(other.installs()[1].1.sends, Sends::WhenUsed { .. }));
        assert_eq!((asker.count("children_rekeyed"), other.count("children_rekeyed")), (1, 1));
    }
}

#[test]
fn a_key_exchange_of_its_own_is_made_if_the_profile_says_so() {
    let pfs = || vec!["aes256gcm16-x25519".parse().unwrap()];
    let mut pair = Pair::new(2)
        .client_profile(|profile| profile.esp_suites = pfs())
        .gateway_profile(|profile| profile.esp_suites = pfs())
        .established();
    order_rekey(&mut pair, CLIENT);
    pair.settle();
    assert_one_pair(&pair);
    let said = pair.said(|told| told.asks(CREATE) || told.answers(CREATE));
    let carries_ke = |told: &Told| told.contents.as_ref().unwrap().payloads.contains(&"KE".to_owned());
    assert_eq!(said.filter(|told| carries_ke(told)).count(), 2);
}

#[test]
fn another_group_is_tried_if_the_peer_asks_for_it() {
    let mut pair = Pair::new(3)
        .client_profile(|profile| {
            profile.esp_suites =
                ["aes256gcm16-x25519", "aes256gcm16-ecp256"].map(|suite| suite.parse().unwrap()).into();
        })
        .gateway_profile(|profile| profile.esp_suites = vec!["aes256gcm16-ecp256".parse().unwrap()])
        .established();
    // { .., KEi(x25519) } -->; <-- N(INVALID_KE_PAYLOAD, p256); { .., KEi(p256) } -->; <-- { .., KEr }
    order_rekey(&mut pair, CLIENT);
    pair.settle();
    assert_one_pair(&pair);
    assert_eq!(pair.said(|told| told.carries(NotifyType::INVALID_KE_PAYLOAD)).count(), 1);
    assert_eq!(pair.client().count("rekeys_refused"), 0);
}

#[test]
fn lost_and_late_messages_change_nothing() {
    for seed in 0..6 {
        let mut pair = Pair::new(10 + seed).established();
        match seed {
            0 => pair.net.lose(Which::of(CLIENT).request(CREATE).times(2)),
            1 => pair.net.lose(Which::of(GATEWAY).answer(CREATE).times(2)),
            2 => pair.net.lose(Which::of(CLIENT).request(INFORM).times(2)),
            3 => pair.net.lose(Which::of(GATEWAY).answer(INFORM).times(2)),
            4 => pair.net.plan(Which::of(GATEWAY).answer(CREATE), Fate::Late(secs(3))),
            _ => pair.net.plan(Which::of(CLIENT).request(CREATE), Fate::Twice(ms(400))),
        }
        order_rekey(&mut pair, CLIENT);
        pair.settle();
        assert_one_pair(&pair);
        assert_eq!(pair.client().installs().len(), 2, "{seed}");
        assert_eq!(pair.gateway().installs().len(), 2, "{seed}");
    }
}

#[test]
fn both_ends_at_once_keep_one_new_pair_by_the_lowest_nonce() {
    let mut kept = [0, 0];
    for seed in 20..40 {
        let mut pair = Pair::new(seed).established();
        order_rekey(&mut pair, CLIENT);
        order_rekey(&mut pair, GATEWAY);
        pair.settle();
        assert_one_pair(&pair);
        for host in [pair.client(), pair.gateway()] {
            assert_eq!(host.installs().len(), 3, "the old one and two new ones");
            assert_eq!(host.count("rekey_collisions"), 1);
        }
        // Each end deletes one: the old pair by who made the one that stays, the redundant one by who made that.
        for who in [CLIENT, GATEWAY] {
            assert_eq!(pair.said(|told| told.from == who && told.asks(INFORM) && deletes(told)).count(), 1);
        }
        let never =
            |host: &Host| host.installs().iter().any(|(_, install)| matches!(install.sends, Sends::Never { .. }));
        assert_ne!(never(pair.client()), never(pair.gateway()), "who loses never sends on its own");
        kept[usize::from(never(pair.client()))] += 1;
    }
    assert!(kept[0] > 0 && kept[1] > 0, "chance decides: {kept:?}");
}

#[test]
fn a_collision_with_losses_ends_with_one_pair_whatever_is_lost() {
    for seed in 0..64_u64 {
        let mut pair = Pair::new(100 + seed).established();
        for (index, who) in [CLIENT, GATEWAY].into_iter().enumerate() {
            for (bit, which) in
                [Which::of(who).request(CREATE), Which::of(who).answer(CREATE), Which::of(who).request(INFORM)]
                    .into_iter()
                    .enumerate()
            {
                if seed >> (3 * index + bit) & 1 == 1 {
                    pair.net.lose(which);
                }
            }
        }
        order_rekey(&mut pair, CLIENT);
        order_rekey(&mut pair, GATEWAY);
        pair.settle();
        assert_one_pair(&pair);
    }
}

// RFC 7296 section 2.25.
#[test]
fn the_ike_sa_and_its_child_replaced_at_once_wait_for_each_other() {
    for seed in 200..216_u64 {
        let mut pair = Pair::new(seed).established();
        // The gateway replaces the IKE SA, the client the Child SA: each answers the other TEMPORARY_FAILURE.
        let sa = pair.gateway().sa();
        pair.order(GATEWAY, Command::Rekey { sa });
        pair.run_for(ms(3 * (seed - 200)));
        order_rekey(&mut pair, CLIENT);
        pair.run_for(secs(120));
        assert_one_pair(&pair);
        for host in [pair.client(), pair.gateway()] {
            assert_eq!((host.rekeys().len(), host.installs().len()), (1, 2), "{} {seed}", host.name);
        }
    }
}

#[test]
fn deleting_and_replacing_the_same_pair_at_once_leaves_what_the_later_one_says() {
    for wait in [0, 5, 15, 25, 35] {
        let mut pair = Pair::new(300).established();
        let gone = pair.gateway().live_children()[0];
        order_rekey(&mut pair, CLIENT);
        pair.run_for(ms(wait));
        pair.order(GATEWAY, Command::CloseChild { child: gone });
        pair.settle();
        let left = pair.client().live_children().len();
        assert_eq!(pair.gateway().live_children().len(), left, "{wait}");
        for host in [pair.client(), pair.gateway()] {
            assert_eq!(host.downs(), []);
            assert_eq!(host.engine.population().child_sas as usize, left, "{} {wait}: nothing reserved", host.name);
        }
    }
}

/// To the gateway there is no pair any more, and the client does not know.
fn lose_the_pair_at_the_gateway(pair: &mut Pair) {
    let spi = pair.client().installs()[0].1.spi_in.to_be_bytes();
    // In the window, and not the next id that the client takes.
    let delete = Forged { sender: stage::Role::Initiator, exchange: INFORM, id: 5, response: false };
    let spis = [spi];
    let bytes = pair.forge(delete, &[Payload::Delete(Delete::ChildSas { protocol: ProtocolId::ESP, spis: &spis })]);
    pair.inject(GATEWAY, Pair::path(stage::WIFI, WAN).reversed(), &bytes);
    pair.settle();
    assert_eq!((pair.client().live_children().len(), pair.gateway().live_children().len()), (1, 0));
}

// strongSwan's suite: Child rekey, the responder has lost the SA.
#[test]
fn a_pair_that_the_peer_has_lost_is_made_anew() {
    let mut pair = Pair::new(310).gateway_profile(|profile| profile.window = 4);
    pair.allow_window(4);
    let mut pair = pair.established();
    lose_the_pair_at_the_gateway(&mut pair);
    // { N(REKEY_SA), .. } -->; <-- N(CHILD_SA_NOT_FOUND); { SA, Ni, TSi, TSr } -->; <-- { SA, Nr, TSi, TSr }
    let old = order_rekey(&mut pair, CLIENT);
    pair.settle();
    assert_eq!(pair.said(|told| told.carries(NotifyType::CHILD_SA_NOT_FOUND)).count(), 1);
    assert_one_pair(&pair);
    assert_eq!(pair.client().child_downs(), [(old, DownReason::PeerDeleted)]);
    assert_eq!((pair.client().installs().len(), pair.gateway().installs().len()), (2, 2));
    let asked: Vec<bool> = pair.said(|told| told.asks(CREATE)).map(|told| told.carries(NotifyType::REKEY_SA)).collect();
    assert_eq!(asked, [true, false]);
    assert_eq!(pair.client().count("children_rekeyed"), 0);
}

#[test]
fn a_move_in_the_middle_takes_the_request_along() {
    let mut pair = Pair::new(320).established();
    pair.net.unplug(stage::WIFI);
    order_rekey(&mut pair, CLIENT);
    pair.run_for(secs(1));
    let lte = Pair::path(LTE, WAN);
    let generation = pair.order_move(lte);
    pair.settle();
    assert_eq!(pair.client().moved(), [(lte, generation)]);
    assert_one_pair(&pair);
    assert_eq!(pair.client().installs()[1].1.path, lte);
}

#[test]
fn pairs_are_replaced_by_themselves_when_they_are_old() {
    let mut pair = Pair::new(330)
        .client_profile(|profile| profile.esp_lifetime = secs(300))
        .gateway_profile(|profile| profile.esp_lifetime = secs(300))
        .established();
    pair.run_for(secs(269));
    assert_eq!(pair.client().installs().len(), 1);
    pair.run_for(secs(3_031));
    assert_one_pair(&pair);
    assert!((12..=14).contains(&pair.client().installs().len()), "{}", pair.client().installs().len());
}

#[test]
fn closing_the_ike_sa_in_the_middle_leaves_nothing() {
    for who in [CLIENT, GATEWAY] {
        for wait in [0, 5, 15, 25, 35] {
            let mut pair = Pair::new(340).established();
            order_rekey(&mut pair, CLIENT);
            pair.run_for(ms(wait));
            pair.close(who);
            pair.settle();
            for host in [pair.client(), pair.gateway()] {
                assert_eq!(host.engine.population().child_sas, 0, "{} {wait}", host.name);
                assert_eq!(host.live_children(), [], "{} {wait}", host.name);
                assert_eq!(host.downs().len(), 1, "{} {wait}", host.name);
            }
        }
    }
}

#[test]
fn a_rekeyed_ike_sa_replaces_its_children_with_its_new_keys() {
    for (first, second) in [(CLIENT, GATEWAY), (GATEWAY, CLIENT), (GATEWAY, GATEWAY)] {
        let mut pair = Pair::new(350).established();
        let sa = pair.host(first).sa();
        pair.order(first, Command::Rekey { sa });
        pair.settle();
        order_rekey(&mut pair, second);
        pair.settle();
        assert_one_pair(&pair);
        assert_eq!(pair.client().installs().len(), 2);
    }
}
