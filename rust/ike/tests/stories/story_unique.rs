//! What becomes of the IKE SAs of a peer that sets up another one (RFC 7296 section 2.4), by policy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::stage;

use mobike_ike::event::DownReason;
use mobike_ike::profile::Unique;
use stage::{Pair, secs};

/// The client connects twice under this policy; does it say that its first IKE SA is dead?
fn twice(unique: Unique, says_so: bool) -> Pair {
    let mut pair = Pair::new(1)
        .client_profile(|profile| profile.initial_contact = says_so)
        .gateway_profile(|profile| profile.unique = unique)
        .established();
    pair.connect();
    pair.run_for(secs(20));
    pair
}

#[test]
fn who_may_have_two_and_which_one_goes() {
    for (unique, says_so, left) in [
        (Unique::AsPeerSays, false, [true, true]),
        (Unique::AsPeerSays, true, [false, true]),
        (Unique::Replace, false, [false, true]),
        (Unique::Replace, true, [false, true]),
        (Unique::Keep, false, [true, false]),
        (Unique::Keep, true, [false, true]),
        (Unique::Never, false, [true, true]),
        (Unique::Never, true, [true, true]),
    ] {
        let pair = twice(unique, says_so);
        let gateway = pair.gateway();
        let ups: Vec<_> = gateway.ups().iter().map(|up| up.sa).collect();
        assert_eq!(ups.len(), if left[1] { 2 } else { 1 }, "{unique:?} {says_so}");
        assert_eq!(gateway.alive().contains(&ups[0]), left[0], "{unique:?} {says_so}: the first");
        assert_eq!(gateway.alive().len(), usize::from(left[0]) + usize::from(left[1]), "{unique:?} {says_so}");
        assert_eq!(gateway.live_children().len(), gateway.alive().len(), "{unique:?} {says_so}");
        assert!(gateway.downs().iter().all(|(_, why)| *why == DownReason::Replaced), "{unique:?} {says_so}");
        // The client hears of it: its first is deleted, unless it said itself that it is dead, or its second is refused.
        let knows = !says_so || matches!(unique, Unique::Replace | Unique::Never);
        let expected = if knows { gateway.alive().len() } else { 2 };
        assert_eq!(pair.client().alive().len(), expected, "{unique:?} {says_so}");
        if !left[1] {
            assert!(gateway.notices().iter().any(|text| text.contains("has an IKE SA already")));
            assert_eq!(pair.client().failures().len(), 1);
        }
    }
}

#[test]
fn a_peer_that_was_kept_out_comes_in_when_its_first_is_gone() {
    let mut pair = twice(Unique::Keep, false);
    pair.close(stage::GATEWAY);
    pair.settle();
    assert_eq!(pair.gateway().alive().len(), 0);
    pair.connect();
    assert_eq!((pair.gateway().alive().len(), pair.client().alive().len()), (1, 1));
}
