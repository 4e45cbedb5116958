//! A probe came in.

use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::probe::place::Place;
use crate::sa::probe::{CONFIRM, MISSED_PERCENT, Probing, jitter};
use crate::wire::Header;
use crate::wire::probe::{PROBE, Probe};
use crate::{Nanos, Path};

/// Of an SA whose ends both offered the extension. Nothing changes before it is known to be authentic and new.
pub fn on_message(sa: &mut Established, ctx: &mut Context, now: Nanos, path: Path, header: &Header, bytes: &mut [u8]) {
    let Some(mut probing) = sa.take_probing() else {
        ctx.counters.dropped_wrong_state += 1;
        return;
    };
    if let Some(probe) = read(&mut probing, ctx, header, bytes) {
        take(sa, &mut probing, ctx, now, path, &probe);
    }
    sa.probing = Some(probing);
}

fn read(probing: &mut Probing, ctx: &mut Context, header: &Header, bytes: &mut [u8]) -> Option<Probe> {
    if header.flags.response {
        ctx.counters.dropped_unexpected += 1;
        return None;
    }
    let Some(keys) = probing.keys.opening(header) else {
        ctx.counters.dropped_wrong_state += 1;
        return None;
    };
    if !keys.replay.admits(header.message_id) {
        ctx.counters.probes_replayed += 1;
        return None;
    }
    let opened = keys.channel.open(&ctx.room, bytes).map_err(|why| ctx.count_unopened(why)).ok()?;
    keys.replay.accept(header.message_id);
    probing.keys.heard(header);
    let payloads = opened.payloads().ok();
    let probe = payloads.and_then(|payloads| Probe::read(payloads.notify(PROBE)?.data));
    if probe.is_none() {
        ctx.counters.dropped_malformed += 1;
    }
    probe
}

fn take(sa: &mut Established, probing: &mut Probing, ctx: &mut Context, now: Nanos, path: Path, probe: &Probe) {
    if sa.profile.paths.judge(path).is_err() {
        ctx.counters.probes_refused += 1;
        return;
    }
    let known = probing.places.iter().position(|place| place.path == path);
    let Some(index) = known.or_else(|| probing.make_room(now, path)) else {
        ctx.counters.probes_over_budget += 1;
        return;
    };
    ctx.counters.probes_heard += 1;
    (probing.least, probing.peer_interval) = (probe.least, probe.interval);
    let place = &mut probing.places[index];
    place.on_heard(now, probe.id);
    if !place.ordered {
        // The peer polls it. If it stops, or does not get through any more, we ask.
        let pause = probe.interval * MISSED_PERCENT / 100;
        place.next = if pause.is_zero() { Nanos::NEVER } else { now + jitter(pause, &mut ctx.random) };
    }
    if probe.echo && probe.heard.first().is_some_and(|id| place.on_echo(now, *id)) && path == sa.path {
        note_life(sa, now);
    }
    for id in probe.heard.into_iter().filter(|id| *id != 0) {
        let _one_of_ours = probing.places.iter_mut().any(|place| place.on_listed(now, id));
    }
    if !probe.echo {
        probing.places[index].on_poll(now);
        answer(probing, ctx, now, index);
    }
    probing.places.iter_mut().filter(|place| place.ordered).for_each(|place| look_again_soon(place, now));
    sa.tell(ctx, now, probing);
}

/// The path in use works both ways. Behind a NAT only a request finds out whether its mapping is still the same.
fn note_life(sa: &mut Established, now: Nanos) {
    if !sa.nat.we_are_behind {
        sa.heard = now;
    }
}

/// At once, over the same pair, as long as the poll, and never more than the budget allows.
fn answer(probing: &mut Probing, ctx: &mut Context, now: Nanos, index: usize) {
    if probing.echoes.spend(now) && ctx.probes.echoes.spend(now) {
        probing.send(ctx, now, index, true);
    } else {
        ctx.counters.probes_over_budget += 1;
    }
}

/// A failed pair on which something came may work again.
fn look_again_soon(place: &mut Place, now: Nanos) {
    if place.is_broken() && place.heard.1 == now {
        place.next = place.next.min(now + CONFIRM);
    }
}
