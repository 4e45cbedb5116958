//! Stories of bad weather: messages lost, doubled, late and out of order while the client moves about; and then the sky clears.

use crate::stage;

use core::net::IpAddr;
use core::time::Duration;

use proptest::prelude::*;
use stage::{CLIENT, Fate, GATEWAY, Generation, LTE, Pair, WAN, WAN2, WIFI, ms, secs};

/// What happens to one message; data, so that a failing case can be shown.
#[derive(Debug, Clone, Copy)]
enum Sky {
    Clear,
    Lost,
    Late(u64),
    Twice(u64),
}

fn sky() -> impl Strategy<Value = Sky> {
    prop_oneof![4 => Just(Sky::Clear), 2 => Just(Sky::Lost), 1 => (0..900u64).prop_map(Sky::Late), 1 => (0..900u64).prop_map(Sky::Twice)]
}

fn fate(sky: Sky) -> Option<Fate> {
    match sky {
        Sky::Clear => None,
        Sky::Lost => Some(Fate::Lose),
        Sky::Late(late) => Some(Fate::Late(ms(late))),
        Sky::Twice(later) => Some(Fate::Twice(ms(later))),
    }
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Move(usize),
    MoveWithList(usize),
    Probe(usize),
    ProbeElsewhere(usize),
    Announce(usize),
    Wait(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..4usize).prop_map(Deed::Move),
        1 => (0..4usize).prop_map(Deed::MoveWithList),
        1 => (0..2usize).prop_map(Deed::Probe),
        1 => (0..4usize).prop_map(Deed::ProbeElsewhere),
        1 => (0..2usize).prop_map(Deed::Announce),
        3 => (0..2_500u64).prop_map(Deed::Wait),
    ]
}

const PLACES: [(IpAddr, IpAddr); 4] = [(WIFI, WAN), (LTE, WAN), (WIFI, WAN2), (LTE, WAN2)];

fn place(index: usize) -> stage::Path {
    Pair::path(PLACES[index].0, PLACES[index].1)
}

fn act(pair: &mut Pair, deed: Deed) {
    let end = |index: usize| [CLIENT, GATEWAY][index];
    match deed {
        Deed::Move(index) => {
            pair.order_move(place(index));
        }
        Deed::MoveWithList(index) => {
            pair.order_move_with(place(index), Some(&[WIFI, LTE]));
        }
        Deed::Probe(index) => {
            pair.probe(end(index), None);
        }
        Deed::ProbeElsewhere(index) => {
            pair.probe(CLIENT, Some(place(index)));
        }
        Deed::Announce(index) => pair.announce(end(index), [&[WIFI, LTE][..], &[WAN, WAN2]][index], None),
        Deed::Wait(span) => pair.run_for(Duration::from_millis(span)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    // req: M-W, M3.5-4, M3.5-5, M3.7-4
    #[test]
    fn after_any_weather_both_ends_agree_on_the_last_place(
        seed in any::<u64>(),
        skies in prop::collection::vec(sky(), 0..60),
        deeds in prop::collection::vec(deed(), 1..25),
        last in 0..4usize,
        window in 1..9u8,
    ) {
        let wide = |profile: &mut stage::Profile| profile.window = window;
        let mut pair = Pair::new(seed).client_profile(wide).gateway_profile(wide);
        pair.allow_window(window);
        let mut pair = pair.established();
        pair.net.script(skies.into_iter().map(fate));
        for deed in deeds {
            act(&mut pair, deed);
        }
        let generation = pair.order_move(place(last));
        pair.net.no_more_plans();
        pair.settle();
        pair.run_for(secs(30));
        prop_assert_eq!(pair.client().path(), place(last));
        prop_assert_eq!(pair.gateway().path(), place(last).reversed());
        prop_assert_eq!(pair.client().moved().last().map(|moved| moved.1), Some(generation));
        for host in &pair.hosts {
            prop_assert!(host.downs().is_empty() && host.child_downs().is_empty());
        }
        // each decision is reported at most once, in order
        let moved: Vec<Generation> = pair.client().moved().into_iter().map(|(_, generation)| generation).collect();
        prop_assert!(moved.windows(2).all(|two| two[0] < two[1]));
        // and what the gateway asks now arrives
        let before = pair.gateway().checked().len();
        pair.probe(GATEWAY, None);
        pair.settle();
        prop_assert_eq!(pair.gateway().checked().len(), before + 1);
    }

    // req: M-W
    #[test]
    fn setting_up_survives_any_weather_that_clears(
        seed in any::<u64>(),
        skies in prop::collection::vec(sky(), 0..25),
    ) {
        // Longer than any of these storms: a gateway that forgot the IKE_SA_INIT cannot answer the IKE_AUTH.
        let mut pair = Pair::new(seed).settings(|settings| settings.half_open.lifetime = secs(120));
        pair.net.script(skies.into_iter().map(fate));
        pair.connect_over(&[(WIFI, WAN), (LTE, WAN), (LTE, WAN2)]);
        pair.settle();
        prop_assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (1, 1));
        pair.run_for(secs(121));
        for host in &pair.hosts {
            let population = host.engine.population();
            prop_assert_eq!((population.ike_sas, population.half_open, population.child_sas), (1, 0, 1));
        }
    }
}
