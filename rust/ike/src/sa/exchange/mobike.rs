//! Moving (RFC 4555 sections 3.5 to 3.8).
//!
//! ```text
//! initiator   Move: re-aim, then   HDR, SK { N(UPDATE_SA_ADDRESSES), N(NATD).., [N(ADDITIONAL_*)] }   -->
//!                                                        <--   HDR, SK { N(NATD).., [N(COOKIE2)] }
//! responder   then, by policy                            <--   HDR, SK { N(COOKIE2), N(NATD).. }
//!                                  HDR, SK { N(COOKIE2), N(NATD).. }   -->
//! ```
//!
//! A datagram's source never moves anything by itself (M3.8-3): only an UPDATE does, and its answer only if the request
//! went over one path and no newer decision came meanwhile.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::crypto::{Random, Role};
use crate::event::{DownReason, Event, NoticeKind};
use crate::id::Generation;
use crate::profile::ReturnRoutability;
use crate::sa::context::{About, Context};
use crate::sa::established::{Established, Mobility};
use crate::sa::exchange::informational::{Request, detected};
use crate::sa::exchange::{addresses, away, retrial};
use crate::sa::pace::{self, Turn};
use crate::sa::path::{self, detect};
use crate::sa::window::{Ask, Outstanding};
use crate::wire::{Cookie2, MobikeNotify, NoNatsAllowed, NotifyType, Payloads, WireError};
use crate::{Nanos, Path};

/// MOBIKE notifications of a request, all of the right form.
#[derive(Debug, Default)]
pub struct Notes<'a> {
    /// COOKIE2, to be copied into the answer.
    pub cookie2: Option<Cookie2<'a>>,
    /// NO_NATS_ALLOWED: the addresses as the sender meant them.
    pub no_nats: Option<NoNatsAllowed>,
    /// UPDATE_SA_ADDRESSES.
    pub update: bool,
}

impl<'a> Notes<'a> {
    /// Read them; one of the wrong form is a syntax error of the whole request (M4-1).
    pub fn read(payloads: &Payloads<'a>) -> Result<Notes<'a>, WireError> {
        let mut notes = Notes::default();
        for notify in payloads.mobike() {
            match notify? {
                MobikeNotify::Cookie2(cookie) => notes.cookie2 = Some(cookie),
                MobikeNotify::UpdateSaAddresses => notes.update = true,
                MobikeNotify::NoNatsAllowed(meant) => notes.no_nats = Some(meant),
                MobikeNotify::MobikeSupported
                | MobikeNotify::AdditionalAddress(_)
                | MobikeNotify::NoAdditionalAddresses
                | MobikeNotify::UnexpectedNatDetected
                | MobikeNotify::UnacceptableAddresses => {}
            }
        }
        Ok(notes)
    }
}

/// A request of the peer was answered; do what it asks for.
pub fn on_request(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    notes: &Notes<'_>,
    refused: Option<NotifyType>,
    payloads: &Payloads<'_>,
) {
    if refused == Some(NotifyType::UNEXPECTED_NAT_DETECTED) {
        return;
    }
    if sa.is_closing() {
        // The peer moved before our Delete reached it: the Delete follows.
        if notes.update && matches!(sa.mobility, Mobility::Responder { .. }) {
            sa.re_aim(ctx, now, request.path);
        }
        return;
    }
    if sa.speaks_mobike()
        && let Some(list) = addresses::read(ctx, now, About { path: Some(request.path), sa: Some(sa.id) }, payloads)
    {
        replace_list(sa, ctx, request, list);
    }
    if notes.update && refused.is_none() {
        on_update(sa, ctx, now, request, payloads);
    }
}

/// The newest list wins, whatever order they arrive in (M3.6-1, M3.6-2).
fn replace_list(sa: &mut Established, ctx: &mut Context, request: &Request, list: Vec<IpAddr>) {
    if sa.last_list.is_some_and(|last| last >= request.id) {
        return;
    }
    sa.last_list = Some(request.id);
    let before = core::mem::replace(&mut sa.peer_addresses, list.clone().into_boxed_slice());
    let was = sa.path.remote.ip();
    let is = request.path.remote.ip();
    sa.disprove(|ip| (ip == was || before.contains(&ip)) && ip != is && !list.contains(&ip));
    ctx.events.push_back(Event::PeerAddresses { sa: sa.id, addresses: list, source: request.path.remote.ip() });
}

/// UPDATE_SA_ADDRESSES: the addresses and ports are those of the datagram (M3.5-7).
fn on_update(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, payloads: &Payloads<'_>) {
    let proven_before = sa.is_proven(request.path, now);
    let proof_wanted = sa.wants_proof_on(request.path);
    let outer = sa.outer();
    let Mobility::Responder { last_update, checking, pace, stays } = &mut sa.mobility else {
        ctx.counters.updates_unexpected += 1;
        return;
    };
    if last_update.is_some_and(|last| last >= request.id) {
        ctx.counters.updates_stale += 1;
        return;
    }
    let unproven = *checking;
    *last_update = Some(request.id);
    *stays = Some(Box::new(outer));
    let turn = pace.ask(now);
    ctx.counters.updates_taken += 1;
    let returned = away::come_back(sa, now);
    let moved = sa.path != request.path;
    if moved {
        sa.strays.left(now, sa.path.remote);
    }
    // The same path again, and proven before: nothing new to prove.
    let proven = !unproven && !moved || proven_before;
    let check = proof_wanted && (returned || !proven);
    if let Mobility::Responder { checking, .. } = &mut sa.mobility {
        *checking = check;
    }
    ctx.counters.moves_proven_before += u64::from(proof_wanted && moved && !check);
    if !is_of_another_pair(sa, request, payloads)
        && let Some(detected) = detect(payloads, request.spis, request.path)
    {
        sa.set_nat(now, detected.nat);
    }
    if moved || returned {
        sa.re_aim_at(ctx, now, request.path, turn.at());
    }
    match turn {
        Turn::Now => follow(sa, ctx, now),
        Turn::Later { first, .. } => {
            ctx.counters.updates_paced += 1;
            if first {
                ctx.notice(now, sa.about(), NoticeKind::Limit, || pace::WHY.into());
            }
        }
    }
}

/// The peer began this update elsewhere, and repeats it from here. Another one follows, which tells of NATs here (M3.5-4):
/// until then they are where they were, or encapsulation would change twice, and each time cost what is on its way.
fn is_of_another_pair(sa: &Established, request: &Request, payloads: &Payloads<'_>) -> bool {
    if sa.nat.any() {
        return false;
    }
    let port = request.path.remote.port();
    let listed = sa.peer_addresses.iter().map(|ip| SocketAddr::new(*ip, port));
    let remotes: Vec<SocketAddr> = listed.chain(sa.probed_ends_of_peer()).chain([sa.path.remote]).collect();
    path::is_of_another_pair(payloads, request.spis, request.path, &[sa.path.local, request.path.local], &remotes)
}

/// Too many moves came; the time to follow the latest of them may be here.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if let Mobility::Responder { pace, .. } = &mut sa.mobility
        && pace.is_due(now)
        && !sa.is_closing()
    {
        follow(sa, ctx, now);
    }
}

/// Check the new path, or let the data plane follow there, by policy.
fn follow(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if !matches!(sa.mobility, Mobility::Responder { checking: true, .. }) {
        report_move(sa, ctx, true);
        return;
    }
    if sa.profile.return_routability == ReturnRoutability::After {
        report_move(sa, ctx, false);
    }
    begin_check(sa, ctx, now);
}

/// Traffic may follow the peer.
pub fn report_move(sa: &mut Established, ctx: &mut Context, verified: bool) {
    if let Mobility::Responder { stays, .. } = &mut sa.mobility {
        *stays = None;
    }
    ctx.events.push_back(Event::PeerMoved { sa: sa.id, path: sa.path, nat: sa.nat, verified });
}

/// Sixteen octets nobody can guess, to the new path (M3.7-1).
fn begin_check(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    let mut cookie = [0; 16];
    ctx.random.fill(&mut cookie);
    let is_check = |ask: &Ask| matches!(ask, Ask::Check { .. });
    if sa.requests.outstanding().iter().any(|request| is_check(&request.ask) && request.many_paths) {
        // The older check is still on its way, now to the new path; a fresh one follows when it is answered (D5.5-2).
        return;
    }
    sa.ask_first(ctx, now, Ask::Check { cookie }, is_check);
}

/// Our check was answered; `same` says whether the cookie is ours.
pub fn on_check_answer(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Outstanding,
    same: bool,
) -> Option<DownReason> {
    if !same {
        // Whichever path it went to, the peer did not copy what it was sent (RFC 4555 section 3.7).
        ctx.counters.cookie2_failed += 1;
        return Some(DownReason::WrongCookie2);
    }
    let away = sa.is_away();
    let Mobility::Responder { checking, pace, .. } = &mut sa.mobility else { return None };
    if !*checking || away {
        return None;
    }
    if request.many_paths || request.path != sa.path {
        // It proves none of the paths it went to (M3.7-4).
        if matches!(pace.ask(now), Turn::Now) {
            begin_check(sa, ctx, now);
        }
        return None;
    }
    *checking = false;
    pace.settle();
    ctx.counters.cookie2_passed += 1;
    report_move(sa, ctx, true);
    None
}

/// The control plane wants another path.
pub fn order_move(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    generation: Generation,
    addresses: Option<Arc<[IpAddr]>>,
) {
    if !matches!(sa.mobility, Mobility::Initiator) {
        let why = match sa.part {
            Role::Initiator => "the peer does not speak MOBIKE",
            Role::Responder => "only the initiator of an IKE SA moves it",
        };
        ctx.notice(now, sa.about(), NoticeKind::NotServed, || format!("cannot move: {why}"));
        ctx.events.push_back(Event::MoveRefused { sa: sa.id, path, generation });
        return;
    }
    away::end_by_move(sa, ctx, now);
    // A list that never left travels with the newer update.
    let unsent = sa.requests.waiting().find_map(|ask| match ask {
        Ask::Update { addresses: Some(list), .. } => Some(Arc::clone(list)),
        _ => None,
    });
    let in_flight = sa.requests.outstanding().iter().rev().find_map(|request| match &request.ask {
        Ask::Update { addresses: Some(list), .. } => Some(Arc::clone(list)),
        _ => None,
    });
    sa.note_search();
    sa.generation = generation;
    sa.settled = false;
    sa.retrial = None;
    sa.re_aim(ctx, now, path);
    let addresses = addresses.or(unsent).or(in_flight);
    sa.ask_first(ctx, now, Ask::update(generation, addresses), |ask| matches!(ask, Ask::Update { .. }));
}

/// Our UPDATE was answered.
pub fn on_update_answer(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    request: &Outstanding,
    payloads: &Payloads<'_>,
) {
    let Ask::Update { generation, addresses, .. } = &request.ask else { return };
    if request.many_paths || request.path != sa.path || *generation != sa.generation {
        // Overtaken: no MOBIKE processing (M3.5-4), and an answer that proves no path asks for another request (M3.7-4).
        ctx.counters.moves_overtaken += 1;
        let newer = |ask: &Ask| matches!(ask, Ask::Update { .. });
        // With a wider window the newer one may have been answered before.
        if !sa.settled
            && !sa.requests.waiting().any(newer)
            && !sa.requests.outstanding().iter().any(|other| newer(&other.ask))
        {
            let (generation, addresses) = (sa.generation, addresses.clone());
            sa.ask_first(ctx, now, Ask::update(generation, addresses), newer);
        }
        return;
    }
    let generation = *generation;
    sa.settled = true;
    sa.end_search();
    if let Some(error) = payloads.notifies().find(|notify| notify.kind.is_error()) {
        if error.kind == NotifyType::UNEXPECTED_NAT_DETECTED && retrial::begin(sa, ctx, now, request) {
            sa.settled = false;
            return;
        }
        let kind = error.kind;
        if kind != NotifyType::UNACCEPTABLE_ADDRESSES {
            ctx.notice(now, sa.about(), NoticeKind::PeerError, || format!("UPDATE_SA_ADDRESSES answered with {kind}"));
        }
        ctx.events.push_back(Event::MoveRefused { sa: sa.id, path: request.path, generation });
        return;
    }
    if let Some(detected) = detected(sa, payloads, path) {
        sa.set_nat(now, detected.nat);
        sa.seen_as = detected.seen_as;
    }
    sa.retrial = None;
    sa.strays.agreed(now);
    let rtt = now.since(request.retry.sent);
    ctx.events.push_back(Event::Moved { sa: sa.id, path: request.path, generation, nat: sa.nat, rtt });
}

/// Our list was answered. One that went out from several addresses is sent afresh (M3.6-3).
pub fn on_announce_answer(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    request: Outstanding,
    payloads: &Payloads<'_>,
) {
    let newer = |ask: &Ask| match ask {
        Ask::Announce { .. } => true,
        Ask::Update { addresses, .. } => addresses.is_some(),
        _ => false,
    };
    if request.id < sa.newest_list || sa.requests.waiting().any(newer) {
        return;
    }
    if !addresses::proves_nothing(&request) {
        if payloads.has(NotifyType::UNEXPECTED_NAT_DETECTED) {
            retrial::begin(sa, ctx, now, &request);
        }
        return;
    }
    if let Ask::Announce { addresses, generation, .. } = request.ask {
        // A responder over the pair that answered, which need not be the one in use. An initiator knows where it is: this
        // may be the answer to a copy from a pair that it has left.
        let path = (path != sa.path && sa.part == Role::Responder).then_some(path);
        sa.ask(ctx, now, Ask::Announce { addresses, path, generation });
    }
}

/// The control plane wants the peer to know our list.
pub fn order_announce(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    addresses: Arc<[IpAddr]>,
    path: Option<Path>,
    generation: Generation,
) {
    if !sa.speaks_mobike() {
        ctx.notice(now, sa.about(), NoticeKind::NotServed, || "cannot announce addresses: no MOBIKE".into());
        return;
    }
    // The answer to an update must still name the decision behind it.
    let is_update = |ask: &Ask| matches!(ask, Ask::Update { .. });
    if !sa.requests.asks(is_update) {
        sa.generation = generation;
    }
    if let Some(path) = path {
        tell_older_list_here(sa, ctx, now, path);
    }
    let announce = Ask::Announce { addresses, path, generation };
    sa.ask_first(ctx, now, announce, |ask| matches!(ask, Ask::Announce { .. }));
}

/// A list that is told over a dead pair, in vain so far, may name no address from which the peer can be reached: it goes on
/// from the one that is known now.
fn tell_older_list_here(sa: &mut Established, ctx: &mut Context, now: Nanos, path: Path) {
    sa.ask_here_too(ctx, path);
    let policy = sa.profile.retransmit;
    for request in sa.requests.outstanding_mut() {
        if let Ask::Announce { path: Some(first), .. } = &mut request.ask {
            *first = path;
            request.path = path;
            request.retry = request.retry.elsewhere(now, &policy, &mut ctx.random);
        }
    }
}

/// A liveness answer told how the peer sees us; another NAT, or another mapping, is news (M3.8-2).
pub fn note_nat(sa: &mut Established, ctx: &mut Context, path: Path, request: &Outstanding, payloads: &Payloads<'_>) {
    if request.many_paths || request.path != sa.path || sa.path.is_stream() {
        return;
    }
    let Some(detected) = detected(sa, payloads, path) else { return };
    let remapped = sa.seen_as != 0 && sa.seen_as != detected.seen_as;
    sa.seen_as = detected.seen_as;
    if remapped || detected.nat.we_are_behind != sa.nat.we_are_behind {
        ctx.events.push_back(Event::NatChanged { sa: sa.id, path: sa.path, nat: detected.nat });
    }
}
