//! A process is killed while something is under way. When it was written down, when it died, what was lost around that, and
//! whether it is restarted in good order soon after: every combination is a case, and some of them are played here.

use std::collections::BTreeMap;

use crate::stage::{
    CLIENT, Command, ExchangeType, GATEWAY, HostId, LTE, PROFILE, Pair, Settings, WAN, WAN2, Which, ms, secs,
};
use mobike_ike::ChildInstall;
use mobike_ike::park::Standing;

const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

/// One in so many is played: a prime, so that all that varies does. Who works on what is parked may set it to 1 for a while.
const EVERY: usize = 149;

/// What is under way.
#[derive(Debug, Clone, Copy)]
enum Deed {
    RekeyIke(HostId),
    RekeyChild(HostId),
    Move,
    Announce,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    deed: Deed,
    killed: HostId,
    /// Of the first and the second request, and of the first and the second answer.
    lost: u8,
    /// After the deed began.
    written: u64,
    /// After it was written down.
    lived: u64,
    window: u8,
    /// Half a second after it died.
    restarted: bool,
}

const DEEDS: [Deed; 6] = [
    Deed::RekeyIke(CLIENT),
    Deed::RekeyIke(GATEWAY),
    Deed::RekeyChild(CLIENT),
    Deed::RekeyChild(GATEWAY),
    Deed::Move,
    Deed::Announce,
];

fn cases() -> impl Iterator<Item = Case> {
    let times = [5, 15, 25, 35, 45, 120]
        .into_iter()
        .flat_map(|written| [0, 10, 20, 30, 50, 700].into_iter().map(move |lived| (written, lived)));
    let ends = times.flat_map(|times| [CLIENT, GATEWAY].into_iter().map(move |killed| (times, killed)));
    let lost = ends.flat_map(|(times, killed)| (0..16).map(move |lost| (times, killed, lost)));
    let windows = lost.flat_map(|case| [1, 4].into_iter().map(move |window| (case, window)));
    windows.flat_map(|(((written, lived), killed, lost), window)| {
        let deeds =
            DEEDS.into_iter().flat_map(|deed| [false, true].into_iter().map(move |restarted| (deed, restarted)));
        deeds.map(move |(deed, restarted)| Case { deed, killed, lost, written, lived, window, restarted })
    })
}

fn begin(pair: &mut Pair, deed: Deed) {
    match deed {
        Deed::RekeyIke(who) => {
            let sa = pair.host(who).sa();
            pair.order(who, Command::Rekey { sa });
        }
        Deed::RekeyChild(who) => {
            let child = pair.host(who).live_children()[0];
            pair.order(who, Command::RekeyChild { child });
        }
        Deed::Move => {
            pair.order_move(Pair::path(LTE, WAN));
        }
        Deed::Announce => {
            pair.announce(GATEWAY, &[WAN, WAN2], None);
        }
    }
}

fn lose(pair: &mut Pair, deed: Deed, lost: u8) {
    let (asks, first) = match deed {
        Deed::RekeyIke(who) | Deed::RekeyChild(who) => (who, ExchangeType::CREATE_CHILD_SA),
        Deed::Move => (CLIENT, INFORM),
        Deed::Announce => (GATEWAY, INFORM),
    };
    let other = if asks == CLIENT { GATEWAY } else { CLIENT };
    for (bit, which) in [
        (1, Which::of(asks).request(first)),
        (2, Which::of(other).answer(first)),
        (4, Which::of(asks).request(INFORM)),
        (8, Which::of(other).answer(INFORM)),
    ] {
        if lost & bit != 0 {
            pair.net.lose(which);
        }
    }
}

/// It begins again with what was written down; `false` if that is refused.
fn kill(pair: &mut Pair, who: HostId, parked: &[Vec<u8>]) -> bool {
    pair.rules_for_a_crash();
    pair.reboot(who, Settings::default());
    let profile = pair.profile_of(who).into();
    pair.order(who, Command::SetProfile { id: PROFILE, profile });
    pair.resume(who, parked, Standing::Doubtful).is_ok()
}

fn works(pair: &mut Pair) -> Result<(), String> {
    let alive = [CLIENT, GATEWAY].map(|who| pair.host(who).engine.population().ike_sas);
    if alive == [0, 0] {
        return Ok(());
    }
    if alive != [1, 1] {
        return Err(format!("IKE SAs: {alive:?}"));
    }
    for who in [CLIENT, GATEWAY] {
        let before = pair.host(who).checked().len();
        pair.probe(who, None);
        pair.run_for(secs(2));
        if pair.host(who).checked().len() != before + 1 {
            return Err(format!("{} hears nothing", pair.host(who).name));
        }
    }
    let children = [CLIENT, GATEWAY].map(|who| pair.host(who).engine.population().child_sas);
    if children.contains(&0) {
        return Err(format!("Child SAs: {children:?}"));
    }
    let (client, gateway) = (pair.client().installs(), pair.gateway().installs());
    let fits = |ours: &ChildInstall, theirs: &ChildInstall| {
        (ours.spi_in, ours.spi_out) == (theirs.spi_out, theirs.spi_in) && ours.key_in == theirs.key_out
    };
    let newest = client.iter().rev().take(2).any(|(_, ours)| gateway.iter().any(|(_, theirs)| fits(ours, theirs)));
    if newest { Ok(()) } else { Err("none of the newest Child SAs is known to both".into()) }
}

fn play(case: Case) -> Result<&'static str, String> {
    let mut pair = Pair::new(u64::from(case.lost) + 1)
        .client_profile(|profile| (profile.window, profile.liveness) = (case.window, secs(20)))
        .gateway_profile(|profile| (profile.window, profile.liveness) = (case.window, secs(20)))
        .established();
    pair.allow_window(case.window.max(33 + 16));
    lose(&mut pair, case.deed, case.lost);
    begin(&mut pair, case.deed);
    pair.run_for(ms(case.written));
    let parked = pair.parked(case.killed);
    pair.run_for(ms(case.lived));
    let resumed = kill(&mut pair, case.killed, &parked);
    if case.restarted && resumed {
        pair.run_for(ms(500));
        pair.restart(case.killed);
    }
    pair.run_for(secs(420));
    works(&mut pair)?;
    let alive = pair.client().engine.population().ike_sas > 0;
    Ok(match (resumed, alive) {
        (true, true) => "goes on",
        (true, false) => "ended",
        (false, _) => "not resumed",
    })
}

#[test]
fn whenever_a_process_is_killed_both_ends_agree_in_the_end() {
    let mut counts = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in cases().step_by(EVERY) {
        match std::panic::catch_unwind(|| play(case)) {
            Ok(Ok(how)) => *counts.entry(how).or_insert(0) += 1,
            Ok(Err(why)) => wrong.push(format!("{case:?}: {why}")),
            Err(_) => wrong.push(format!("{case:?}: panic")),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts["goes on"] > counts.values().sum::<usize>() / 2, "most live through it: {counts:?}");
}
