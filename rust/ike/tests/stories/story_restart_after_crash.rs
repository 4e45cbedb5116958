//! Stories of hosts that are killed, and begin once more in good order soon after: what the crash made them forget is not
//! remembered by that.

use crate::stage::{CLIENT, GATEWAY, HostId, Pair, ms, secs};

const BOTH: [HostId; 2] = [CLIENT, GATEWAY];

fn other(who: HostId) -> HostId {
    if who == CLIENT { GATEWAY } else { CLIENT }
}

#[track_caller]
fn asks_and_hears(pair: &mut Pair, who: HostId) {
    let before = pair.host(who).checked().len();
    pair.probe(who, None);
    pair.run_for(secs(3));
    assert_eq!(pair.host(who).checked().len(), before + 1, "{}", pair.arrows());
}

/// Three requests of the peer were answered since it was written down.
fn crashed(who: HostId) -> Pair {
    let mut pair = Pair::new(1).established();
    let parked = pair.parked(who);
    for _ in 0..3 {
        asks_and_hears(&mut pair, other(who));
    }
    pair.rules_for_a_crash();
    pair.crash(who, &parked);
    pair
}

#[test]
fn who_was_killed_takes_the_next_request_of_a_peer_that_is_ahead() {
    for who in BOTH {
        let mut pair = crashed(who);
        pair.run_for(secs(5));
        asks_and_hears(&mut pair, other(who));
    }
}

#[test]
fn and_so_does_who_is_restarted_after_that_once_or_twice() {
    // Written down, requests 0 to 2 answered, killed, tested and agreed, restarted; request 3 -->  <--
    for who in BOTH {
        for restarts in 1..=2 {
            for wait in [0, 5, 100] {
                let mut pair = crashed(who);
                for _ in 0..restarts {
                    pair.run_for(secs(wait));
                    pair.restart(who);
                }
                pair.run_for(ms(500));
                asks_and_hears(&mut pair, other(who));
                assert!(pair.hosts.iter().all(|host| host.downs().is_empty()));
            }
        }
    }
}
