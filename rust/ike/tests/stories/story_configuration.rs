//! Stories of inner addresses and what goes with them: asked for in IKE_AUTH, given with it (RFC 7296 section 2.19, RFC 8598).

use crate::stage;

use std::sync::Arc;

use mobike_ike::handout::{Handout, Wanted};
use mobike_ike::profile::{Pool, RequestVip};
use stage::{
    CLIENT, Command, GATEWAY, Identity, IdentityPattern, NotifyType, PROFILE, Pair, Selector, Settings, ip, secs,
};

const BOTH: RequestVip = RequestVip { v4: true, v6: true };

fn pool() -> Pool {
    Pool {
        v4: Some(([10, 9, 0, 1].into(), [10, 9, 0, 9].into())),
        v6: Some(([0xfd00, 9, 0, 0, 0, 0, 0, 1].into(), [0xfd00, 9, 0, 0, 0, 0, 0, 9].into())),
        ..Pool::default()
    }
}

fn all<T: std::str::FromStr>(texts: &[&str]) -> Vec<T> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn handout() -> Handout {
    Handout {
        dns: all(&["10.2.0.53", "fd00:2::53"]),
        networks: all(&["10.2.0.0/16", "0.0.0.0/0", "10.2.0.7/32", "fd00:2::/48", "::/0"]),
        domains: all(&["corp.example", "lab.example"]),
        anchors: all(&[
            "corp.example 43547 8 2 B6225AB2",
            "corp.example 31406 8 1 F78CF334",
            "lab.example 7 13 2 00FF",
        ]),
    }
}

fn wanted(anchors_for: &[&str]) -> Wanted {
    Wanted { dns: true, networks: true, domains: true, anchors_for: all(anchors_for) }
}

/// The client asks for this; the gateway has everything to give.
fn pair(request: RequestVip, wanted: Wanted) -> Pair {
    Pair::new(1)
        .client_profile(|profile| {
            profile.request_virtual_ip = request;
            profile.wanted = wanted;
            profile.local_ts.clear();
            profile.remote_ts = vec![Selector::ANY_V4, Selector::ANY_V6];
        })
        .gateway_profile(|profile| {
            profile.remote_ts.clear();
            profile.local_ts = vec![Selector::ANY_V4, Selector::ANY_V6];
            profile.pool = Some(pool());
            profile.handout = handout();
        })
}

fn given(pair: &Pair) -> Option<Handout> {
    assert_eq!(pair.gateway().up().handout, None, "who gives it knows it");
    pair.client().up().handout.as_deref().cloned()
}

#[test]
fn a_client_that_asks_gets_an_address_of_each_family_and_all_that_goes_with_them() {
    // CP(CFG_REQUEST) { IP4_ADDRESS, IP6_ADDRESS, IP4_DNS, .. } -->  <-- CP(CFG_REPLY) { all of it }
    assert_eq!(handout().anchors.len(), 3, "all of it was read");
    let pair = pair(BOTH, wanted(&["corp.example", "lab.example"])).established();
    let leased = [ip("10.9.0.1"), ip("fd00:9::1")];
    assert_eq!((&*pair.client().up().virtual_ips, &*pair.gateway().up().virtual_ips), (&leased[..], &leased[..]));
    assert_eq!(pair.client().installs()[0].1.local_ts, leased.map(Selector::host));
    assert_eq!(pair.gateway().installs()[0].1.remote_ts, leased.map(Selector::host));
    assert_eq!(given(&pair), Some(handout()));
}

#[test]
fn nothing_is_told_that_was_not_asked_for() {
    let nothing = pair(BOTH, Wanted::default()).established();
    assert_eq!(given(&nothing), None);
    let v4 = RequestVip { v4: true, v6: false };
    let of_v4 = pair(v4, Wanted { domains: false, ..wanted(&[]) }).established();
    let only = Handout { dns: all(&["10.2.0.53"]), networks: handout().networks[..3].to_vec(), ..Handout::default() };
    assert_eq!((given(&of_v4), &*of_v4.client().up().virtual_ips), (Some(only), &[ip("10.9.0.1")][..]));
    // Domains without resolvers would mean nothing.
    let wanted = Wanted { domains: true, ..Wanted::default() };
    assert_eq!(given(&pair(BOTH, wanted).established()), None);
}

#[test]
fn only_trust_anchors_of_domains_that_the_operator_named_are_taken() {
    let pair = pair(BOTH, wanted(&["lab.example"])).established();
    let given = given(&pair).expect("a handout");
    assert_eq!(given.domains, handout().domains);
    assert_eq!(given.anchors, handout().anchors[2..]);
}

#[test]
fn a_pool_without_the_other_family_gives_what_it_has() {
    let pair = pair(BOTH, Wanted::default()).gateway_profile(|profile| {
        profile.pool = Some(Pool { v4: None, ..pool() });
    });
    let pair = pair.established();
    assert_eq!(pair.client().up().virtual_ips, [ip("fd00:9::1")]);
    assert_eq!(pair.client().installs()[0].1.local_ts, [Selector::host(ip("fd00:9::1"))]);
}

#[test]
fn what_a_client_was_told_outlives_its_process() {
    let mut pair = pair(BOTH, wanted(&["corp.example"])).established();
    let told = given(&pair);
    let parked = pair.parked(CLIENT);
    pair.reboot(CLIENT, Settings::default());
    let profile = pair.profile_of(CLIENT);
    pair.order(CLIENT, Command::SetProfile { id: PROFILE, profile: Arc::new(profile) });
    let (now, engine) = (pair.now, &mut pair.hosts[CLIENT.0].engine);
    let resumed = engine.resume(now, &parked[0], mobike_ike::park::Standing::Sure).expect("it can be resumed");
    assert_eq!(resumed.up.handout.as_deref().cloned(), told);
    assert_eq!(resumed.up.virtual_ips, [ip("10.9.0.1"), ip("fd00:9::1")]);
}

/// A pool that remembers, with two addresses, for anybody.
fn sticky() -> Pair {
    let pair = pair(RequestVip { v4: true, v6: false }, Wanted::default());
    pair.gateway_profile(|profile| {
        let v4 = Some(([10, 9, 0, 1].into(), [10, 9, 0, 2].into()));
        profile.pool = Some(Pool { v4, sticky: secs(3600), shared: Some("warriors".into()), ..Pool::default() });
        profile.remote_id = IdentityPattern::Any;
    })
}

/// The client calls itself so from now on.
fn named(pair: Pair, name: &str) -> Pair {
    pair.client_profile(|profile| profile.local_id = Identity::Fqdn(name.into()))
}

/// It comes, and this is what it gets.
fn comes(pair: &mut Pair) -> Vec<std::net::IpAddr> {
    pair.connect();
    pair.gateway().ups().last().map(|up| up.virtual_ips.clone()).unwrap_or_default()
}

/// The same, and it leaves.
fn visits(pair: &mut Pair) -> Vec<std::net::IpAddr> {
    let got = comes(pair);
    pair.close(CLIENT);
    pair.settle();
    got
}

#[test]
fn a_sticky_pool_gives_a_peer_the_address_that_it_had() {
    let mut pair = named(sticky(), "ann");
    assert_eq!(visits(&mut pair), [ip("10.9.0.1")]);
    pair = named(pair, "bob");
    assert_eq!(visits(&mut pair), [ip("10.9.0.2")]);
    pair = named(pair, "ann");
    assert_eq!(visits(&mut pair), [ip("10.9.0.1")]);
    // Nothing was never had; who is gone longest gives way.
    pair = named(pair, "carol");
    assert_eq!(visits(&mut pair), [ip("10.9.0.2")]);
    pair = named(pair, "ann");
    assert_eq!(visits(&mut pair), [ip("10.9.0.1")]);
}

#[test]
fn a_sticky_pool_forgets_in_time() {
    let mut pair = named(sticky(), "ann");
    assert_eq!(visits(&mut pair), [ip("10.9.0.1")]);
    pair = named(pair, "bob");
    assert_eq!(visits(&mut pair), [ip("10.9.0.2")]);
    pair.run_for(secs(3600));
    pair = named(pair, "carol");
    assert_eq!(visits(&mut pair), [ip("10.9.0.1")]);
}

#[test]
fn a_gateway_that_begins_again_is_reminded_of_who_had_what() {
    let mut pair = named(sticky(), "ann");
    let profile = Arc::new(pair.profile_of(GATEWAY));
    pair.order(GATEWAY, Command::SetProfile { id: PROFILE, profile });
    let remember = |who: &str, address, ago| Command::Remember {
        profile: PROFILE,
        who: Identity::Fqdn(who.into()),
        address: ip(address),
        ago: secs(ago),
    };
    for order in [remember("ann", "10.9.0.2", 3599), remember("bob", "10.9.0.1", 3600), remember("x", "10.7.0.1", 0)] {
        pair.order(GATEWAY, order);
    }
    assert_eq!(visits(&mut pair), [ip("10.9.0.2")]);
    // Bob's time was over.
    pair = named(pair, "carol");
    assert_eq!(visits(&mut pair), [ip("10.9.0.1")]);
}

#[test]
fn a_client_that_begins_again_goes_on_with_its_address_and_nobody_else_gets_it() {
    let mut pair = named(sticky(), "ann").client_profile(|profile| profile.initial_contact = true);
    assert_eq!(comes(&mut pair), [ip("10.9.0.1")]);
    // IKE_AUTH { .., N(INITIAL_CONTACT) } -->   the old SA ends, and gives nothing back that the new one has
    assert_eq!(comes(&mut pair), [ip("10.9.0.1")]);
    assert_eq!(pair.gateway().downs().len(), 1);
    pair = named(pair, "bob");
    assert_eq!(comes(&mut pair), [ip("10.9.0.2")]);
    pair = named(pair, "carol");
    pair.connect();
    assert_eq!(pair.gateway().ups().last().map(|up| up.virtual_ips.len()), Some(0), "there is none left");
}

#[test]
fn an_exhausted_pool_is_named_with_who_was_refused() {
    let mut pair = sticky();
    for name in ["ann", "bob", "carol"] {
        pair = named(pair, name);
        pair.connect();
    }
    assert!(pair.told.iter().any(|told| told.carries(NotifyType::INTERNAL_ADDRESS_FAILURE)));
    let notices = pair.gateway().notices();
    assert_eq!(notices, ["Child SA refused: no inner address is free for carol in pool \"warriors\""]);
    assert_eq!(pair.gateway().live_children().len(), 2);
}
