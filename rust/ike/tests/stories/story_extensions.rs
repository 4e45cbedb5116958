//! Stories of private extensions: on only where both ends offer them, and never seen by anybody else's peer.

use crate::stage;

use mobike_ike::Extensions;
use mobike_ike::wire::EXTENSIONS;
use stage::{CLIENT, GATEWAY, HostId, Pair};

fn offering(client: Extensions, gateway: Extensions) -> Pair {
    Pair::new(1)
        .client_profile(|profile| profile.extensions = client)
        .gateway_profile(|profile| profile.extensions = gateway)
        .established()
}

fn agreed(pair: &Pair, who: HostId) -> Extensions {
    pair.host(who).ups()[0].extensions
}

#[test]
fn an_extension_is_on_where_both_ends_offer_it() {
    let pair = offering(Extensions::ALL, Extensions::AWAY);
    assert_eq!(agreed(&pair, CLIENT), Extensions::AWAY);
    assert_eq!(agreed(&pair, GATEWAY), Extensions::AWAY);
}

#[test]
fn a_peer_that_offers_nothing_gets_plain_mobike_and_no_octet_of_ours_in_its_answers() {
    let pair = offering(Extensions::NONE, Extensions::ALL);
    assert_eq!(agreed(&pair, GATEWAY), Extensions::NONE);
    assert!(pair.said(|told| told.carries(EXTENSIONS)).next().is_none());
}

#[test]
fn without_mobike_there_are_no_extensions() {
    let pair = Pair::new(1)
        .client_profile(|profile| (profile.extensions, profile.mobike) = (Extensions::ALL, false))
        .gateway_profile(|profile| profile.extensions = Extensions::ALL)
        .established();
    assert_eq!(agreed(&pair, CLIENT), Extensions::NONE);
    assert_eq!(agreed(&pair, GATEWAY), Extensions::NONE);
}
