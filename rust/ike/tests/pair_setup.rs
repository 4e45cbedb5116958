//! Stories of setting up: IKE_SA_INIT and IKE_AUTH between two of our engines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use std::time::Duration;

use harness::{
    AUTH, CELLULAR, GATEWAY, Gateway, INIT, Phone, WIFI, World, at, gateway_profile, init_path, ip, is, natt_path,
    path, phone_profile, suite, twice,
};
use mobike_ike::crypto::SecretBytes;
use mobike_ike::engine::HalfOpenLimits;
use mobike_ike::event::{ConnectError, Event, NoticeKind};
use mobike_ike::profile::RequestVip;
use mobike_ike::{Identity, IdentityPattern, Selector, Settings};

fn connected(world: &mut World) {
    world.connect(vec![init_path(WIFI)]);
    world.settle();
}

fn why_failed(world: &World) -> &ConnectError {
    let failed = world.events(Phone).iter().find_map(|event| match event {
        Event::ConnectFailed { why, .. } => Some(why),
        _ => None,
    });
    failed.unwrap_or_else(|| panic!("no ConnectFailed in {:?}", world.events(Phone)))
}

fn noticed(world: &World, who: harness::Who, wanted: NoticeKind) -> bool {
    world.count(who, |event| matches!(event, Event::Notice { kind, .. } if *kind == wanted)) > 0
}

#[test]
fn four_messages_make_an_ike_sa_and_a_child_sa_with_the_same_keys_at_both_ends() {
    // Phone: IKE_SA_INIT -->  <-- answer  IKE_AUTH -->  <-- answer
    let world = World::established();
    assert_eq!(world.sent.len(), 4, "{:#?}", world.arrows());
    let children: Vec<_> = [Phone, Gateway]
        .iter()
        .map(|who| {
            let event = world.events(*who).iter().find_map(|event| match event {
                Event::ChildUp { install, .. } => Some(install),
                _ => None,
            });
            event.expect("a Child SA")
        })
        .collect();
    let (phone, gateway) = (children[0], children[1]);
    assert!(phone.key_in == gateway.key_out && phone.key_out == gateway.key_in && phone.key_in != phone.key_out);
    assert_eq!((phone.spi_in, phone.spi_out), (gateway.spi_out, gateway.spi_in));
    assert_eq!((&phone.local_ts, &phone.remote_ts), (&gateway.remote_ts, &gateway.local_ts));
    assert!(!phone.encap && !gateway.encap);
    let (up_phone, up_gateway) = (world.up(Phone).unwrap(), world.up(Gateway).unwrap());
    assert_eq!((up_phone.spi_i, up_phone.spi_r), (up_gateway.spi_i, up_gateway.spi_r));
    assert_eq!(up_gateway.peer_id, Identity::Fqdn("phone.example.net".into()));
    assert!(up_phone.mobike && up_gateway.mobike);
    let keys = [world.phone.export_keys(up_phone.sa), world.gateway.export_keys(up_gateway.sa)];
    assert!(keys[0].is_some() && keys[0] == keys[1]);
}

// req: M3.3-1, M3.3-2
#[test]
fn ike_auth_moves_to_port_4500_even_without_a_nat() {
    let world = World::established();
    assert_eq!(world.up(Phone).unwrap().path, natt_path(WIFI));
    assert_eq!(world.up(Gateway).unwrap().path, natt_path(WIFI).reversed());
    assert!(!world.up(Phone).unwrap().nat.any());
}

// req: M3.1-1
#[test]
fn the_initiator_tries_its_paths_in_turn_with_the_same_bytes() {
    let mut world = World::new();
    world.dead.insert(ip(WIFI));
    world.connect(vec![init_path(WIFI), init_path(CELLULAR)]);
    world.settle();
    assert_eq!(world.up(Phone).unwrap().path, natt_path(CELLULAR));
    let requests: Vec<_> = world.sent.iter().filter(|datagram| is(Phone, INIT, false)(datagram)).collect();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].bytes, requests[1].bytes);
    assert!(!world.up(Phone).unwrap().nat.any(), "hashes of both addresses went along");
    assert!(!world.up(Gateway).unwrap().nat.any());
}

#[test]
fn each_lost_message_is_made_good() {
    for which in [(Phone, INIT, false), (Gateway, INIT, true), (Phone, AUTH, false), (Gateway, AUTH, true)] {
        let mut world = World::new();
        world.lose(is(which.0, which.1, which.2), 0);
        connected(&mut world);
        assert!(world.up(Phone).is_some() && world.up(Gateway).is_some(), "{which:?}");
        assert_eq!(world.phone.counters().retransmissions, 1, "{which:?}");
        assert_eq!(world.gateway.population().ike_sas, 1, "{which:?}");
        assert_eq!(world.gateway.counters().ike_sas_up, 1, "{which:?}");
    }
}

#[test]
fn duplicates_of_every_message_change_nothing() {
    let mut world = World::new();
    world.meddle(|datagram| Some(twice(datagram, Duration::from_millis(11))));
    connected(&mut world);
    world.run(Duration::from_secs(60));
    for who in [Phone, Gateway] {
        let population = world.engine(who).population();
        assert_eq!((population.ike_sas, population.child_sas, population.half_open), (1, 1, 0), "{who:?}");
        assert_eq!(world.engine(who).counters().ike_sas_up, 1);
    }
    assert_eq!(world.gateway.counters().init_answered, 1);
}

#[test]
fn a_gateway_under_load_asks_for_a_cookie_first() {
    let limits = HalfOpenLimits { cookie_threshold: 0, ..HalfOpenLimits::default() };
    let settings = Settings { half_open: limits, ..Settings::default() };
    let mut world = World::with(phone_profile(), gateway_profile(), settings);
    connected(&mut world);
    assert!(world.up(Phone).is_some());
    assert_eq!(world.sent.len(), 6, "{:#?}", world.arrows());
    let counters = world.gateway.counters();
    assert_eq!((counters.cookies_sent, counters.cookies_wrong, counters.init_answered), (1, 0, 1));
}

#[test]
fn a_key_exchange_the_gateway_dislikes_is_replaced_by_one_of_our_list() {
    let both = vec![suite("aes128gcm16-prfsha256-ecp256"), suite("aes128gcm16-prfsha256-x25519")];
    let phone = mobike_ike::Profile { ike_suites: both, ..phone_profile() };
    let mut world = World::with(phone, gateway_profile(), Settings::default());
    connected(&mut world);
    assert_eq!(world.up(Phone).unwrap().suite, suite("aes128gcm16-prfsha256-x25519"));
    assert_eq!(world.gateway.counters().invalid_ke_sent, 1);
}

#[test]
fn p256_works_as_well() {
    let p256 = vec![suite("aes256gcm16-prfsha384-ecp256")];
    let phone = mobike_ike::Profile { ike_suites: p256.clone(), ..phone_profile() };
    let gateway = mobike_ike::Profile { ike_suites: p256, ..gateway_profile() };
    let mut world = World::with(phone, gateway, Settings::default());
    connected(&mut world);
    assert!(world.up(Phone).is_some() && world.up(Gateway).is_some());
}

#[test]
fn an_invalid_ke_that_names_a_method_we_do_not_offer_moves_us_nowhere() {
    // <-- HDR, N(INVALID_KE_PAYLOAD) naming group 19, which anybody could have sent
    let mut world = World::new();
    world.connect(vec![init_path(WIFI)]);
    let request = world.sent[0].bytes.clone();
    let mut answer = request[..28].to_vec();
    answer[16] = 41;
    answer[19] = 0x20;
    answer[24..28].copy_from_slice(&38u32.to_be_bytes());
    answer.extend_from_slice(&[0, 0, 0, 10, 0, 0, 0, 17, 0, 19]);
    world.hand(Phone, init_path(WIFI), &answer);
    assert_eq!(world.phone.counters().unproven_answers, 1);
    world.settle();
    assert!(world.up(Phone).is_some(), "the real answer still counts");
}

#[test]
fn a_forged_no_proposal_chosen_does_not_end_the_attempt() {
    let mut world = World::new();
    world.connect(vec![init_path(WIFI)]);
    let mut answer = world.sent[0].bytes[..28].to_vec();
    answer[16] = 41;
    answer[19] = 0x20;
    answer[24..28].copy_from_slice(&36u32.to_be_bytes());
    answer.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 14]);
    world.hand(Phone, init_path(WIFI), &answer);
    world.settle();
    assert!(world.up(Phone).is_some());
}

#[test]
fn without_a_common_suite_both_ends_say_so() {
    let phone = mobike_ike::Profile { ike_suites: vec![suite("aes256gcm16-prfsha512-x25519")], ..phone_profile() };
    let mut world = World::with(phone, gateway_profile(), Settings::default());
    world.connect(vec![init_path(WIFI)]);
    world.run(Duration::from_secs(30));
    assert!(noticed(&world, Gateway, NoticeKind::NoProposal));
    let why = why_failed(&world).to_string();
    assert!(why.contains("NO_PROPOSAL_CHOSEN"), "{why}");
    assert_eq!(world.gateway.population().ike_sas, 0);
}

#[test]
fn a_wrong_secret_is_refused_and_leaves_nothing() {
    let phone = mobike_ike::Profile { psk: SecretBytes::from_slice(b"guess"), ..phone_profile() };
    let mut world = World::with(phone, gateway_profile(), Settings::default());
    connected(&mut world);
    assert_eq!(*why_failed(&world), ConnectError::PeerRefusedAuth);
    assert!(noticed(&world, Gateway, NoticeKind::AuthFailed));
    assert_eq!(world.phone.population(), mobike_ike::engine::Population::default());
    world.run(Duration::from_secs(60));
    assert_eq!(world.gateway.population(), mobike_ike::engine::Population::default());
}

#[test]
fn a_gateway_with_the_wrong_secret_or_name_is_not_believed() {
    let wrong_name = Identity::Fqdn("other.example.net".into());
    let by_name = mobike_ike::Profile { local_id: wrong_name, ..gateway_profile() };
    let anybody = mobike_ike::Profile { remote_id: IdentityPattern::Suffix(".example.org".into()), ..phone_profile() };
    let mut world = World::with(anybody, by_name, Settings::default());
    connected(&mut world);
    let why = why_failed(&world).to_string();
    assert!(why.contains("identity"), "{why}");
}

#[test]
fn an_unknown_identity_is_refused() {
    let phone = mobike_ike::Profile { local_id: Identity::Email("a@example.org".into()), ..phone_profile() };
    let mut world = World::with(phone, gateway_profile(), Settings::default());
    connected(&mut world);
    assert_eq!(*why_failed(&world), ConnectError::PeerRefusedAuth);
}

#[test]
fn the_gateway_leases_an_address_and_narrows_the_selectors_to_it() {
    let world = World::established();
    let leased = ip("10.9.0.1");
    assert_eq!(world.up(Phone).unwrap().virtual_ips, [leased]);
    assert_eq!(world.up(Gateway).unwrap().virtual_ips, [leased]);
    let narrowed = world.count(
        Phone,
        |event| matches!(event, Event::ChildUp { install, .. } if install.local_ts == [Selector::host(leased)]),
    );
    assert_eq!(narrowed, 1);
}

#[test]
fn selectors_are_narrowed_to_what_both_sides_allow() {
    let subnet = |text: &str, bits| Selector::subnet(ip(text), bits);
    let phone = mobike_ike::Profile {
        request_virtual_ip: RequestVip::default(),
        local_ts: vec![subnet("10.1.0.0", 16)],
        remote_ts: vec![subnet("10.2.0.0", 15)],
        ..phone_profile()
    };
    let gateway = mobike_ike::Profile {
        pool: None,
        local_ts: vec![subnet("10.2.1.0", 24), subnet("10.3.0.0", 16)],
        remote_ts: vec![subnet("10.1.4.0", 24)],
        ..gateway_profile()
    };
    let mut world = World::with(phone, gateway, Settings::default());
    connected(&mut world);
    let expected = (vec![subnet("10.1.4.0", 24)], vec![subnet("10.2.1.0", 24), subnet("10.3.0.0", 16)]);
    let agreed = world.count(Phone, |event| {
        matches!(event, Event::ChildUp { install, .. } if (&install.local_ts, &install.remote_ts) == (&expected.0, &expected.1))
    });
    assert_eq!(agreed, 1, "{:?}", world.events(Phone));
}

fn childless(phone: mobike_ike::Profile, gateway: mobike_ike::Profile, said: &str) {
    let mut world = World::with(phone, gateway, Settings::default());
    connected(&mut world);
    for who in [Phone, Gateway] {
        assert!(world.up(who).is_some(), "{said}: the IKE SA lives");
        assert_eq!(world.engine(who).population().child_sas, 0, "{said}");
    }
    let told = world.count(Phone, |event| matches!(event, Event::Notice { text, .. } if text.contains(said)));
    assert_eq!(told, 1, "{said}: {:?}", world.events(Phone));
}

#[test]
fn a_refused_child_sa_leaves_the_ike_sa_up_and_both_ends_say_why() {
    let no_vip = || mobike_ike::Profile { request_virtual_ip: RequestVip::default(), ..phone_profile() };
    let subnet = |text: &str| vec![Selector::subnet(ip(text), 24)];
    let strict = mobike_ike::Profile { pool: None, local_ts: subnet("10.7.0.0"), ..gateway_profile() };
    let elsewhere = mobike_ike::Profile { remote_ts: subnet("10.8.0.0"), ..no_vip() };
    childless(elsewhere, strict, "TS_UNACCEPTABLE");
    childless(no_vip(), gateway_profile(), "FAILED_CP_REQUIRED");
    let poor = mobike_ike::Profile { pool: None, ..gateway_profile() };
    childless(phone_profile(), poor, "INTERNAL_ADDRESS_FAILURE");
    let other = mobike_ike::Profile { esp_suites: vec![harness::esp("aes256gcm16")], ..phone_profile() };
    childless(other, gateway_profile(), "NO_PROPOSAL_CHOSEN");
}

#[test]
fn initial_contact_closes_what_the_same_peer_left_behind() {
    let phone = mobike_ike::Profile { initial_contact: true, ..phone_profile() };
    let mut world = World::with(phone, gateway_profile(), Settings::default());
    connected(&mut world);
    let old = world.sa(Gateway);
    connected(&mut world);
    assert_ne!(world.sa(Gateway), old);
    let closed = world.count(Gateway, |event| matches!(event, Event::IkeSaDown { sa, .. } if *sa == old));
    assert_eq!(closed, 1);
    let population = world.gateway.population();
    assert_eq!((population.ike_sas, population.child_sas), (1, 1));
}

#[test]
fn without_initial_contact_both_connections_live() {
    let mut world = World::new();
    connected(&mut world);
    connected(&mut world);
    assert_eq!(world.gateway.population().ike_sas, 2);
    assert_eq!(world.up(Gateway).unwrap().virtual_ips, [ip("10.9.0.2")]);
}

#[test]
fn a_nat_on_the_way_is_seen_by_both_ends_and_esp_goes_into_udp() {
    let mut world = World::new();
    let inside = "10.0.0.2";
    for port in [500, 4500] {
        world.nat.insert(at(&format!("{inside}:{port}")), at(&format!("192.0.2.77:{}", 20_000 + port)));
    }
    world.connect(vec![init_path(inside)]);
    world.settle();
    let (phone, gateway) = (world.up(Phone).unwrap(), world.up(Gateway).unwrap());
    assert!(phone.nat.we_are_behind && !phone.nat.peer_is_behind);
    assert!(gateway.nat.peer_is_behind && !gateway.nat.we_are_behind);
    assert_eq!(gateway.path, path(&format!("{GATEWAY}:4500"), "192.0.2.77:24500"));
    let wrapped = |who| world.count(who, |event| matches!(event, Event::ChildUp { install, .. } if install.encap));
    assert_eq!((wrapped(Phone), wrapped(Gateway)), (1, 1));
    world.run(Duration::from_secs(61));
    assert_eq!(world.phone.counters().keepalives_sent, 3, "every 20 s");
    assert_eq!(world.gateway.counters().keepalives_sent, 0);
}

#[test]
fn nobody_there_is_reported_with_the_paths_tried() {
    let mut world = World::new();
    world.dead.insert(ip(GATEWAY));
    world.connect(vec![init_path(WIFI), init_path(CELLULAR)]);
    world.run(Duration::from_secs(130));
    let failed = world.events(Phone).iter().find_map(|event| match event {
        Event::ConnectFailed { why: ConnectError::NoAnswer { .. }, tried, .. } => Some(tried.clone()),
        _ => None,
    });
    assert_eq!(failed.unwrap(), [init_path(WIFI), init_path(CELLULAR)]);
    assert_eq!(world.phone.population().ike_sas, 0);
    assert!(world.phone.poll_timeout().is_none());
}

#[test]
fn a_flood_of_ike_sa_init_costs_bounded_memory_and_ends_in_cookies() {
    let limits = HalfOpenLimits { cookie_threshold: 50, max: 80, ..HalfOpenLimits::default() };
    let settings = Settings { half_open: limits, ..Settings::default() };
    let mut world = World::with(phone_profile(), gateway_profile(), settings);
    world.connect(vec![init_path(WIFI)]);
    let template = world.sent[0].bytes.clone();
    for n in 0..2_000u32 {
        let mut request = template.clone();
        request[..4].copy_from_slice(&(n + 1).to_be_bytes());
        let from = path(&format!("{GATEWAY}:500"), &format!("100.64.{}.{}:500", n / 256, n % 256));
        world.hand(Gateway, from, &request);
    }
    let (population, counters) = (world.gateway.population(), *world.gateway.counters());
    assert_eq!(population.half_open, 50);
    assert_eq!(counters.cookies_sent, 1_950);
    world.settle();
    assert!(world.up(Phone).is_some(), "who returns its cookie gets through");
    world.run(Duration::from_secs(31));
    assert_eq!(world.gateway.population().half_open, 0);
    assert_eq!(world.gateway.population().ike_sas, 1);
}
