//! Stories of setting up: IKE_SA_INIT and IKE_AUTH between two of our engines.

use crate::stage;

use mobike_ike::HalfOpenLimits;
use mobike_ike::engine::Population;
use mobike_ike::event::{ConnectError, DownReason};
use mobike_ike::profile::{Pool, PskSecret, RequestVip};
use stage::children::more;
use stage::{
    CLIENT, CLIENT_LAN, ExchangeType, Fate, GATEWAY, GATEWAY_LAN, Identity, IdentityPattern, LTE, Nat, NotifyType,
    Pair, Profile, Selector, WAN, WAN2, WIFI, Which, ip, ms, secs,
};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const AUTH: ExchangeType = ExchangeType::IKE_AUTH;
const NOTHING: Population = Population { ike_sas: 0, half_open: 0, child_sas: 0 };

fn suites(names: &[&str]) -> Vec<mobike_ike::crypto::IkeSuite> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

fn subnet(text: &str, bits: u8) -> Selector {
    Selector::subnet(ip(text), bits)
}

// req: M3.3-1, M3.2-1
#[test]
fn four_messages_make_an_ike_sa_and_a_child_sa_with_the_same_keys_at_both_ends() {
    // IKE_SA_INIT -->  <-- answer   IKE_AUTH -->  <-- answer
    let pair = Pair::new(1).established();
    assert_eq!(pair.told.len(), 4);
    let (client, gateway) = (pair.client(), pair.gateway());
    let (c, g) = (client.installs()[0].1, gateway.installs()[0].1);
    assert!(c.key_in == g.key_out && c.key_out == g.key_in && c.key_in != c.key_out);
    assert_eq!((c.spi_in, c.spi_out), (g.spi_out, g.spi_in));
    assert_eq!((&c.local_ts, &c.remote_ts), (&vec![CLIENT_LAN], &vec![GATEWAY_LAN]));
    assert_eq!((&c.local_ts, &c.remote_ts), (&g.remote_ts, &g.local_ts));
    assert_eq!(c.path, g.path.reversed());
    assert!(!c.encap && !g.encap);
    let (up, other) = (client.up(), gateway.up());
    assert_eq!((up.spi_i, up.spi_r), (other.spi_i, other.spi_r));
    assert_eq!(other.peer_id, Identity::Fqdn("client.example.net".into()));
    assert_eq!(up.peer_id, Identity::Fqdn("gateway.example.net".into()));
    assert!(up.mobike && other.mobike);
    let keys = [client.engine.export_keys(up.sa), gateway.engine.export_keys(other.sa)];
    assert!(keys[0].is_some() && keys[0] == keys[1]);
}

// req: M3.3-2, M3.3-1
#[test]
fn ike_auth_moves_to_port_4500_even_without_a_nat() {
    let pair = Pair::new(1).established();
    assert_eq!(pair.told[1].path, Pair::init_path(WIFI, WAN).reversed());
    assert_eq!(pair.told[2].path, Pair::path(WIFI, WAN));
    assert_eq!(pair.client().path(), Pair::path(WIFI, WAN));
    assert_eq!(pair.gateway().path(), Pair::path(WIFI, WAN).reversed());
    assert!(!pair.client().up().nat.any() && !pair.gateway().up().nat.any());
}

// req: M3.3-1
#[test]
fn the_addresses_of_the_ike_sa_are_those_of_the_first_ike_auth_request() {
    let mut pair = Pair::new(1);
    pair.net.plan(Which::of(CLIENT).request(AUTH), Fate::Lose);
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(50));
    // The request was lost, and comes by another way than IKE_SA_INIT took.
    let asked = pair.said(|told| told.asks(AUTH)).next().expect("IKE_AUTH").bytes.clone();
    pair.inject(GATEWAY, Pair::path(LTE, WAN2).reversed(), &asked);
    let there = Pair::path(LTE, WAN2).reversed();
    assert_eq!(pair.gateway().path(), there);
    assert_eq!(pair.gateway().installs()[0].1.path, there, "and the Child SA made with it has no others");
    // The same request once more, from where IKE_SA_INIT came: answered, and nothing changes.
    pair.inject(GATEWAY, Pair::path(WIFI, WAN).reversed(), &asked);
    assert_eq!(pair.gateway().path(), there);
    assert_eq!(pair.gateway().installs().len(), 1);
}

// req: M3.2-1
#[test]
fn mobike_is_on_only_if_both_ends_say_so() {
    let changes: [fn(Pair) -> Pair; 2] = [
        |pair| pair.client_profile(|profile| profile.mobike = false),
        |pair| pair.gateway_profile(|profile| profile.mobike = false),
    ];
    for change in changes {
        let mut pair = change(Pair::new(1)).established();
        assert!(!pair.client().up().mobike && !pair.gateway().up().mobike);
        let before = pair.told.len();
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        assert_eq!(pair.client().refused().len(), 1, "a move needs MOBIKE");
        assert_eq!(pair.told.len(), before, "and nothing was said about it");
    }
}

// req: M3.1-1
#[test]
fn the_initiator_tries_its_paths_in_turn_with_the_same_octets() {
    let mut pair = Pair::new(1);
    pair.net.unplug(WIFI);
    pair.net.blackhole(LTE, WAN);
    pair.connect_over(&[(WIFI, WAN), (LTE, WAN), (LTE, WAN2)]);
    pair.settle();
    assert_eq!(pair.client().path(), Pair::path(LTE, WAN2));
    let requests: Vec<_> = pair.said(|told| told.asks(INIT)).collect();
    let paths: Vec<_> = requests.iter().map(|told| told.path).collect();
    let wanted = [(WIFI, WAN), (LTE, WAN), (LTE, WAN2)].map(|(local, remote)| Pair::init_path(local, remote));
    assert_eq!(paths, wanted);
    assert!(requests.iter().all(|told| told.bytes == requests[0].bytes));
    assert!(!pair.client().up().nat.any() && !pair.gateway().up().nat.any(), "the hashes of all addresses went along");
}

// req: M-W
#[test]
fn each_lost_message_is_made_good() {
    let every = [
        Which::of(CLIENT).request(INIT),
        Which::of(GATEWAY).answer(INIT),
        Which::of(CLIENT).request(AUTH),
        Which::of(GATEWAY).answer(AUTH),
    ];
    for (index, which) in every.into_iter().enumerate() {
        let mut pair = Pair::new(1);
        pair.net.lose(which);
        let pair = pair.established();
        assert_eq!(pair.client().count("retransmissions"), 1, "message {index}");
        assert_eq!(pair.gateway().count("ike_sas_up"), 1, "message {index}");
        assert_eq!(pair.gateway().count("init_answered"), 1, "message {index}: a repetition makes no second SA");
    }
}

// req: M-W
#[test]
fn duplicates_of_every_message_change_nothing() {
    for later in [ms(1), ms(11), ms(25), secs(3)] {
        let mut pair = Pair::new(1);
        pair.net.plan(Which::of(CLIENT).always(), Fate::Twice(later));
        pair.net.plan(Which::of(GATEWAY).always(), Fate::Twice(later));
        let mut pair = pair.established();
        pair.run_for(secs(60));
        for host in &pair.hosts {
            assert_eq!(host.engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 1 });
            assert_eq!(host.count("ike_sas_up"), 1);
        }
    }
}

#[test]
fn a_gateway_under_load_asks_for_a_cookie_first() {
    // IKE_SA_INIT -->  <-- N(COOKIE)   N(COOKIE), IKE_SA_INIT -->  ...
    let pair = Pair::new(1).settings(|settings| settings.half_open.cookie_threshold = 0).established();
    assert_eq!(pair.told.len(), 6);
    assert!(pair.told[1].carries(NotifyType::COOKIE) && pair.told[2].carries(NotifyType::COOKIE));
    let gateway = pair.gateway();
    assert_eq!((gateway.count("cookies_sent"), gateway.count("cookies_wrong")), (1, 0));
}

#[test]
fn a_wrong_cookie_is_asked_for_again_and_costs_the_gateway_nothing() {
    let mut pair = Pair::new(1).settings(|settings| settings.half_open.cookie_threshold = 0);
    // The cookie begins 36 octets into the message: header, generic header, notify header.
    let spoil = |bytes: &mut Vec<u8>| bytes[40] ^= 1;
    pair.net.plan(Which::of(CLIENT).request(INIT).after(1), Fate::Rewrite(Box::new(spoil)));
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(ms(35));
    assert_eq!((pair.gateway().count("cookies_wrong"), pair.gateway().engine.population()), (1, NOTHING));
    pair.settle();
    assert_eq!(pair.client().alive().len(), 1, "the repetition was not spoiled");
}

#[test]
fn a_key_exchange_the_gateway_dislikes_is_replaced_by_one_of_our_list() {
    // IKE_SA_INIT KE(P-256) -->  <-- N(INVALID_KE_PAYLOAD)   IKE_SA_INIT KE(X25519) -->  ...
    let both = suites(&["aes256gcm16-prfsha384-ecp256", "aes256gcm16-prfsha384-x25519"]);
    let pair = Pair::new(1).client_profile(|profile| profile.ike_suites = both.clone()).established();
    assert_eq!(pair.client().up().suite, both[1]);
    assert_eq!(pair.gateway().count("invalid_ke_sent"), 1);
    assert!(pair.told[1].carries(NotifyType::INVALID_KE_PAYLOAD));
}

#[test]
fn cookie_and_another_key_exchange_one_after_the_other_still_lead_to_an_ike_sa() {
    let both = suites(&["aes256gcm16-prfsha384-ecp256", "aes256gcm16-prfsha384-x25519"]);
    let pair = Pair::new(1)
        .settings(|settings| settings.half_open.cookie_threshold = 0)
        .client_profile(|profile| profile.ike_suites = both.clone())
        .established();
    assert_eq!(pair.client().up().suite, both[1]);
}

#[test]
fn p256_works_as_well() {
    let p256 = suites(&["aes256gcm16-prfsha384-ecp256"]);
    let pair = Pair::new(1)
        .client_profile(|profile| profile.ike_suites = p256.clone())
        .gateway_profile(|profile| profile.ike_suites = p256.clone())
        .established();
    assert_eq!(pair.client().up().suite, p256[0]);
}

/// An answer in the clear that anybody on the path could send: one error notification.
fn forged_error(request: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut answer = request[..28].to_vec();
    answer[16] = 41;
    answer[19] = 0x20;
    let payload = 8 + data.len() as u16;
    answer[24..28].copy_from_slice(&(28 + u32::from(payload)).to_be_bytes());
    answer.extend_from_slice(&[0, 0]);
    answer.extend_from_slice(&payload.to_be_bytes());
    answer.extend_from_slice(&[0, 0]);
    answer.extend_from_slice(&kind.to_be_bytes());
    answer.extend_from_slice(data);
    answer
}

#[test]
fn forged_errors_in_the_clear_do_not_end_an_attempt() {
    // <-- N(NO_PROPOSAL_CHOSEN), N(INVALID_SYNTAX), N(INVALID_KE_PAYLOAD, a group never offered) by a stranger
    for (kind, data) in [(14, &[][..]), (7, &[]), (17, &[0, 19]), (17, &[0]), (17, &[])] {
        let mut pair = Pair::new(1);
        pair.connect_over(&[(WIFI, WAN)]);
        let answer = forged_error(&pair.told[0].bytes, kind, data);
        pair.inject(CLIENT, Pair::init_path(WIFI, WAN), &answer);
        assert_eq!(pair.client().count("unproven_answers"), 1, "{kind}");
        pair.settle();
        assert_eq!(pair.client().alive().len(), 1, "{kind}: the real answer still counts");
    }
}

#[test]
fn without_a_common_suite_both_ends_say_so_and_keep_nothing() {
    let other = suites(&["aes256gcm16-prfsha512-x25519"]);
    let mut pair = Pair::new(1).client_profile(|profile| profile.ike_suites = other);
    pair.connect();
    let (why, tried) = pair.client().failures()[0];
    assert!(why.to_string().contains("NO_PROPOSAL_CHOSEN"), "{why}");
    assert_eq!(tried, [Pair::init_path(WIFI, WAN)]);
    assert!(!pair.gateway().notices().is_empty());
    assert!(pair.gateway().count("init_no_proposal") > 0);
    assert!(pair.hosts.iter().all(|host| host.engine.population() == NOTHING && host.ups().is_empty()));
}

#[test]
fn a_wrong_secret_is_refused_and_leaves_nothing() {
    // IKE_AUTH -->  <-- N(AUTHENTICATION_FAILED)
    let mut pair = Pair::new(1).client_profile(|profile| profile.psk = PskSecret::from_slice(b"guess"));
    pair.connect();
    assert_eq!(*pair.client().failures()[0].0, ConnectError::PeerRefusedAuth);
    assert_eq!(pair.gateway().count("auth_failed"), 1);
    assert!(pair.gateway().notices().iter().any(|text| text.contains("client.example.net")));
    pair.run_for(secs(60));
    assert!(pair.hosts.iter().all(|host| host.engine.population() == NOTHING && host.ups().is_empty()));
}

#[test]
fn an_unknown_client_is_refused_like_one_with_a_wrong_secret() {
    let stranger = Identity::Email("a@example.org".into());
    let mut pair = Pair::new(1).client_profile(|profile| profile.local_id = stranger);
    pair.connect();
    assert_eq!(*pair.client().failures()[0].0, ConnectError::PeerRefusedAuth);
    assert!(pair.gateway().ups().is_empty());
}

#[test]
fn a_gateway_that_is_somebody_else_is_not_believed() {
    let mut pair = Pair::new(1)
        .gateway_profile(|profile| profile.local_id = Identity::Fqdn("other.example.net".into()))
        .client_profile(|profile| profile.remote_id = IdentityPattern::Suffix(".example.org".into()));
    pair.connect();
    let why = pair.client().failures()[0].0.to_string();
    assert!(why.contains("identity"), "{why}");
    assert!(pair.client().ups().is_empty());
    pair.run_for(secs(400));
    assert!(pair.gateway().alive().is_empty(), "the gateway does not keep what the client refused");
}

#[test]
fn selectors_are_narrowed_to_what_both_ends_allow() {
    let pair = Pair::new(1)
        .client_profile(|profile| {
            profile.local_ts = vec![subnet("10.1.0.0", 16)];
            profile.remote_ts = vec![subnet("10.2.0.0", 15)];
        })
        .gateway_profile(|profile| {
            profile.local_ts = vec![subnet("10.2.1.0", 24), subnet("10.3.0.0", 16)];
            profile.remote_ts = vec![subnet("10.1.4.0", 24)];
        })
        .established();
    for (host, mirrored) in pair.hosts.iter().zip([false, true]) {
        let install = host.installs()[0].1;
        let (near, far) = (&install.local_ts, &install.remote_ts);
        let (near, far) = if mirrored { (far, near) } else { (near, far) };
        assert_eq!(*near, [subnet("10.1.4.0", 24)]);
        assert_eq!(*far, [subnet("10.2.1.0", 24), subnet("10.3.0.0", 16)]);
    }
}

/// Ways to ask for a first Child SA that the gateway refuses, and what it says.
type Refused = (fn(&mut Profile), fn(&mut Profile), NotifyType);

const REFUSED: [Refused; 4] = [
    (|profile| profile.remote_ts = vec![subnet("10.8.0.0", 24)], |_| {}, NotifyType::TS_UNACCEPTABLE),
    (|_| {}, |profile| profile.pool = Some(pool(4)), NotifyType::FAILED_CP_REQUIRED),
    (
        |profile| profile.request_virtual_ip = RequestVip { v4: true, v6: false },
        |_| {},
        NotifyType::INTERNAL_ADDRESS_FAILURE,
    ),
    (
        |profile| profile.esp_suites = "aes128gcm16".parse().into_iter().collect(),
        |_| {},
        NotifyType::NO_PROPOSAL_CHOSEN,
    ),
];

#[test]
fn without_its_only_child_sa_an_ike_sa_is_of_no_use_to_its_initiator() {
    // IKE_AUTH { .., SA, TSi, TSr } -->  <-- { .., AUTH, N(TS_UNACCEPTABLE) }   { D } -->  <-- {}
    for (client, gateway, said) in REFUSED {
        let mut pair = Pair::new(1).client_profile(client).gateway_profile(gateway);
        pair.connect();
        let why = format!("no Child SA: peer refuses it: {said}");
        assert_eq!(pair.client().failures()[0].0.to_string(), why);
        assert!(pair.client().ups().is_empty() && pair.client().child_failures().is_empty(), "{said}");
        // To the gateway it was one (RFC 7296 section 1.2), until its peer did not want it.
        assert_eq!(pair.gateway().downs(), [(pair.gateway().up().sa, DownReason::PeerDeleted)], "{said}");
        assert!(pair.gateway().notices().iter().any(|text| text.contains("Child SA refused")), "{said}");
        assert!(pair.hosts.iter().all(|host| host.engine.population() == NOTHING), "{said}");
        assert!(pair.hosts.iter().all(|host| host.count("child_refused") == 1), "{said}");
    }
}

#[test]
fn what_the_initiator_does_not_want_is_gone_even_if_the_gateway_never_says_so() {
    let (client, gateway, _) = REFUSED[0];
    let mut pair = Pair::new(1).client_profile(client).gateway_profile(gateway);
    pair.net.lose(Which::of(CLIENT).request(ExchangeType::INFORMATIONAL).always());
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(12));
    assert_eq!((pair.client().failures().len(), pair.client().engine.population()), (1, NOTHING));
}

#[test]
fn an_ike_sa_whose_profile_names_other_child_sas_outlives_a_refusal_of_the_first() {
    for (client, gateway, said) in REFUSED {
        let mut pair = Pair::new(1)
            .client_profile(client)
            .client_profile(|profile| more(profile, "voice", "10.6.0.0/16", "10.7.0.0/16"))
            .gateway_profile(gateway);
        pair.connect();
        for host in &pair.hosts {
            assert_eq!((host.alive().len(), host.engine.population().child_sas), (1, 0), "{said}");
            assert!(!host.notices().is_empty(), "{said}: {} says why", host.name);
        }
        assert_eq!(pair.client().child_failures(), [("story", format!("peer refuses it: {said}").as_str())]);
    }
}

fn pool(last: u8) -> Pool {
    Pool { v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, last].into())), ..Pool::default() }
}

/// Clients that ask for an inner address, and a gateway that has so many.
fn road_warriors(last: u8) -> Pair {
    Pair::new(1)
        .client_profile(|profile| {
            profile.request_virtual_ip = RequestVip { v4: true, v6: false };
            profile.local_ts.clear();
        })
        .gateway_profile(|profile| {
            profile.remote_ts.clear();
            profile.pool = Some(pool(last));
        })
}

#[test]
fn the_gateway_leases_an_address_and_narrows_the_selectors_to_it() {
    let pair = road_warriors(9).established();
    let leased = ip("10.9.0.1");
    assert_eq!(pair.client().up().virtual_ips, [leased]);
    assert_eq!(pair.gateway().up().virtual_ips, [leased]);
    assert_eq!(pair.client().installs()[0].1.local_ts, [Selector::host(leased)]);
    assert_eq!(pair.gateway().installs()[0].1.remote_ts, [Selector::host(leased)]);
}

#[test]
fn an_exhausted_pool_refuses_the_child_and_a_returned_address_serves_the_next() {
    let mut pair = road_warriors(1).established();
    let first = pair.client().sa();
    pair.connect();
    assert_eq!(pair.client().alive(), [first], "no address, no Child SA, no IKE SA");
    assert!(pair.client().failures()[0].0.to_string().contains("INTERNAL_ADDRESS_FAILURE"));
    assert_eq!(pair.gateway().alive().len(), 1);
    assert!(pair.told.iter().any(|told| told.carries(NotifyType::INTERNAL_ADDRESS_FAILURE)));
    pair.order(CLIENT, mobike_ike::Command::Close { sa: first, why: "to make room".into() });
    pair.settle();
    assert!(pair.gateway().live_children().is_empty());
    pair.connect();
    assert_eq!(pair.gateway().ups()[2].virtual_ips, [ip("10.9.0.1")]);
    assert_eq!(pair.gateway().live_children().len(), 1);
}

#[test]
fn initial_contact_closes_what_the_same_peer_left_behind() {
    let mut pair = Pair::new(1).client_profile(|profile| profile.initial_contact = true).established();
    let old = pair.gateway().sa();
    pair.connect();
    let downs = pair.gateway().downs();
    assert_eq!(downs.len(), 1);
    assert_eq!((downs[0].0, downs[0].1.to_string().contains("the same peer came back")), (old, true));
    assert_eq!(pair.gateway().engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 1 });
}

#[test]
fn without_initial_contact_both_connections_live() {
    let mut pair = Pair::new(1).established();
    pair.connect();
    assert_eq!((pair.client().alive().len(), pair.gateway().alive().len()), (2, 2));
}

// req: M3.3-1
#[test]
fn a_nat_on_the_way_is_seen_by_both_ends_and_esp_goes_into_udp() {
    let outside = ip("198.18.0.1");
    let mut pair = Pair::new(1);
    pair.net.nats.push(Nat::new(outside, &[WIFI]));
    let mut pair = pair.established();
    let (client, gateway) = (pair.client().up().nat, pair.gateway().up().nat);
    assert!(client.we_are_behind && !client.peer_is_behind);
    assert!(gateway.peer_is_behind && !gateway.we_are_behind);
    assert_eq!(pair.gateway().path().remote.ip(), outside);
    assert!(pair.hosts.iter().all(|host| host.installs()[0].1.encap));
    let before = pair.client().count("keepalives_sent");
    pair.run_for(secs(181));
    assert_eq!(pair.client().count("keepalives_sent") - before, 3, "one a minute");
    assert_eq!(pair.gateway().count("keepalives_sent"), 0, "who is not behind a NAT sends none");
}

// req: M3.1-1
#[test]
fn nobody_there_is_reported_with_the_paths_tried() {
    let mut pair = Pair::new(1);
    pair.net.unplug(WAN);
    pair.connect_over(&[(WIFI, WAN), (LTE, WAN)]);
    pair.run_for(secs(150));
    let (why, tried) = pair.client().failures()[0];
    assert!(matches!(why, ConnectError::NoAnswer { heard: None, .. }), "{why}");
    assert_eq!(tried, [Pair::init_path(WIFI, WAN), Pair::init_path(LTE, WAN)]);
    assert_eq!(pair.client().engine.population(), NOTHING);
    assert!(pair.client().engine.poll_timeout().is_none());
}

#[test]
fn a_gateway_that_dies_after_ike_sa_init_is_given_up() {
    let mut pair = Pair::new(1);
    pair.net.lose(Which::of(GATEWAY).answer(AUTH).always());
    pair.connect_over(&[(WIFI, WAN)]);
    pair.run_for(secs(150));
    assert!(matches!(pair.client().failures()[0].0, ConnectError::NoAnswer { .. }));
    assert_eq!(pair.client().engine.population(), NOTHING);
}

#[test]
fn a_flood_of_ike_sa_init_costs_bounded_memory_and_ends_in_cookies() {
    let limits = HalfOpenLimits { cookie_threshold: 50, max: 80, ..HalfOpenLimits::default() };
    let mut pair = Pair::new(1).settings(|settings| settings.half_open = limits);
    pair.connect_over(&[(WIFI, WAN)]);
    let template = pair.told[0].bytes.clone();
    for n in 0..2_000u32 {
        let mut request = template.clone();
        request[..4].copy_from_slice(&(n + 1).to_be_bytes());
        let mut from = Pair::init_path(WIFI, WAN).reversed();
        from.remote.set_ip(ip(&format!("100.64.{}.{}", n / 256, n % 256)));
        pair.inject(GATEWAY, from, &request);
    }
    assert_eq!(pair.gateway().engine.population().half_open, 50);
    assert_eq!(pair.gateway().count("cookies_sent"), 1_950);
    pair.settle();
    assert_eq!(pair.client().alive().len(), 1, "who returns its cookie gets through");
    pair.run_for(secs(31));
    assert_eq!(pair.gateway().engine.population(), Population { ike_sas: 1, half_open: 0, child_sas: 1 });
    assert_eq!(pair.gateway().count("half_open_expired"), 50);
}

#[test]
fn the_same_seed_tells_the_same_story_octet_by_octet() {
    let tell = |seed| {
        let mut pair = Pair::new(seed).established();
        pair.order_move(Pair::path(LTE, WAN));
        pair.settle();
        pair.close(CLIENT);
        pair.settle();
        pair.told.iter().map(|told| (told.at, told.path, told.bytes.clone())).collect::<Vec<_>>()
    };
    assert_eq!(tell(7), tell(7));
    assert_ne!(tell(7), tell(8));
}
