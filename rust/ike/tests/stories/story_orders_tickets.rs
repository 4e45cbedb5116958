//! Tickets (RFC 5723) of connections whose standing orders change: which are used still, and by whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use core::time::Duration;
use std::sync::Arc;

use mobike_ike::crypto::SecretBytes;
use mobike_ike::event::DownReason;
use mobike_ike::{Command, Generation, Identity, Profile, Terms, Verdict};
use stage::{CLIENT, Event, ExchangeType, GATEWAY, HostId, PROFILE, Pair, WAN, WIFI, secs};

const RESUME: ExchangeType = ExchangeType::IKE_SESSION_RESUME;

type Change = fn(&mut Profile);

fn pair(seed: u64) -> Pair {
    let mut pair = Pair::new(seed)
        .client_profile(|profile| {
            profile.resumption.ask = true;
            profile.resumption.rests_on = b"of yesterday"[..].into();
            profile.liveness = secs(5);
            profile.retransmit.give_up_initiator = secs(10);
        })
        .gateway_profile(|profile| profile.resumption.lifetime = secs(3_600));
    let keys: Arc<[SecretBytes]> = Arc::from([SecretBytes::from_slice(&[1; 32])]);
    let clock = secs(1_000_000) + Duration::from_nanos(pair.now.0);
    pair.order(GATEWAY, Command::SetTicketKeys { keys, clock });
    pair
}

fn change(pair: &mut Pair, who: HostId, change: impl FnOnce(&mut Profile)) {
    let mut profile = pair.profile_of(who);
    profile.generation = Generation(1);
    change(&mut profile);
    pair.order(who, Command::SetProfile { id: PROFILE, profile: Arc::new(profile) });
}

fn lose_touch(pair: &mut Pair) {
    pair.net.blackhole_both(WIFI, WAN);
    assert!(pair.run_until(secs(60), |world| !world.host(CLIENT).downs().is_empty()));
    assert!(matches!(pair.client().downs()[0].1, DownReason::PeerSilent(_)));
    pair.net.heal();
}

fn shown(pair: &Pair) -> usize {
    pair.said(|told| told.from == CLIENT && told.asks(RESUME)).count()
}

#[test]
fn a_ticket_is_used_for_as_long_as_it_rests_on_the_same() {
    let changes: [(Change, bool); 4] = [
        (|profile| profile.liveness = secs(7), true),
        (|profile| profile.resumption.rests_on = b"of today"[..].into(), false),
        (|profile| profile.resumption.ask = false, false),
        (|profile| profile.local_id = Identity::Fqdn("another.example.net".into()), false),
    ];
    for (number, (orders, used)) in changes.into_iter().enumerate() {
        for when in ["while its IKE SA lives", "over a restart", "when its IKE SA is gone"] {
            let mut pair = pair(1 + number as u64).established();
            match when {
                "while its IKE SA lives" => change(&mut pair, CLIENT, orders),
                "over a restart" => {
                    pair = pair.client_profile(orders);
                    pair.restart(CLIENT);
                }
                _ => {}
            }
            lose_touch(&mut pair);
            if when == "when its IKE SA is gone" {
                change(&mut pair, CLIENT, orders);
            }
            pair.connect_over(&[(WIFI, WAN)]);
            pair.run_for(secs(3));
            assert_eq!(shown(&pair) > 0, used, "change {number}, {when}");
            assert_eq!(pair.gateway().count("sessions_resumed"), u64::from(used), "change {number}, {when}");
        }
    }
}

#[test]
fn a_ticket_of_orders_that_were_gone_meanwhile_is_not_used() {
    let mut pair = pair(11).established();
    lose_touch(&mut pair);
    pair.order(CLIENT, Command::RemoveProfile { id: PROFILE });
    change(&mut pair, CLIENT, |_| {});
    pair.connect();
    assert_eq!((shown(&pair), pair.client().alive().len()), (0, 1));
}

#[test]
fn who_comes_back_by_a_ticket_while_its_orders_change_proves_anew_who_it_is() {
    let mut pair = pair(12).established();
    lose_touch(&mut pair);
    pair = pair.gateway_profile(|profile| profile.proofs.judged = true);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(1));
    let (sa, question) = last_question(&pair);
    assert!(shown(&pair) > 0);
    change(&mut pair, GATEWAY, |_| {});
    pair.order(GATEWAY, Command::Verdict { sa, question, verdict: allowed() });
    // <-- N(AUTHENTICATION_FAILED)   HDR(A,0), SA, KE, Ni -->   and so on, under the orders in force
    pair.run_for(secs(3));
    assert_eq!(pair.gateway().count("sessions_resumed"), 0);
    let (sa, question) = last_question(&pair);
    pair.order(GATEWAY, Command::Verdict { sa, question, verdict: allowed() });
    pair.run_for(secs(3));
    assert_eq!((pair.client().alive().len(), pair.gateway().count("sessions_resumed")), (1, 0));
    assert_eq!(pair.gateway().ups().last().unwrap().orders, Generation(1));
}

fn allowed() -> Verdict {
    Verdict::Allow { key: Box::default(), proven: Vec::new(), terms: Terms::default() }
}

fn last_question(pair: &Pair) -> (mobike_ike::SaId, mobike_ike::Question) {
    let asked = pair.gateway().events.iter().rev().find_map(|event| match event {
        (_, Event::Authorise(asked)) => Some((asked.sa, asked.question)),
        _ => None,
    });
    asked.unwrap()
}
