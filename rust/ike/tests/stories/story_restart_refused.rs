//! Stories of Child SAs that no data plane carries any more after a restart, while what they replaced is still on its way out.
#![allow(clippy::expect_used, reason = "a story that cannot go on fails")]

use crate::stage;

use stage::children::assert_pairs;
use stage::{CLIENT, Command, ExchangeType, GATEWAY, Pair, Which, ms, secs};

#[test]
fn a_pair_that_is_lost_in_a_restart_is_made_anew_although_what_it_replaced_is_still_there() {
    // CREATE_CHILD_SA { N(REKEY_SA) } --> <--    Delete of the old pair -->, lost    a restart, and the new pair is refused
    for asks in [CLIENT, GATEWAY] {
        for restarts in [CLIENT, GATEWAY] {
            let mut pair = Pair::new(1).established();
            let old = pair.host(asks).live_children()[0];
            pair.net.lose(Which::of(asks).request(ExchangeType::INFORMATIONAL).always());
            pair.order(asks, Command::RekeyChild { child: old });
            pair.run_for(ms(100));
            let lost = *pair.host(restarts).live_children().iter().max().expect("a pair");
            pair.restart(restarts);
            pair.refuse(restarts, lost);
            pair.net.no_more_plans();
            pair.run_for(secs(30));
            assert_pairs(&pair, &["story"]);
            for who in [CLIENT, GATEWAY] {
                let host = pair.host(who);
                assert_eq!(host.engine.population().child_sas, 1, "{asks:?} asked, {restarts:?} began again");
                assert_eq!(host.downs(), vec![]);
            }
        }
    }
}
