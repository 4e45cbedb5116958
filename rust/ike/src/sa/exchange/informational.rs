//! INFORMATIONAL (RFC 7296 section 1.4), and whatever else an established peer asks: every request that authenticates is
//! answered, every answer goes to where its copy of the request came from.

use std::sync::Arc;

use subtle::ConstantTimeEq;

use crate::crypto::Spis;
use crate::event::{DownReason, Event, NoticeKind};
use crate::sa::Sa;
use crate::sa::channel::{Opened, Outgoing};
use crate::sa::context::Context;
use crate::sa::established::{self, Established};
use crate::sa::exchange::{
    admission, away, create_child, follow_up, hint, mobike, reauth, redirect, rekey_child, rekey_ike, repair, retired,
    streams, sync,
};
use crate::sa::path::{NatHashes, detect};
use crate::sa::trace::Topic;
use crate::sa::window::{Ask, Outstanding, Standing};
use crate::wire::mobike::{MAX_COOKIE2, SCRATCH_LEN};
use crate::wire::{
    Cookie2, Delete, ExchangeType, Header, MobikeNotify, NotifyType, Payload, Payloads, ProtocolId, SkWriter,
    WireError, WireErrorKind,
};
use crate::{Nanos, Path};

/// A message for an established SA came in.
pub fn on_message(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path, header: &Header, bytes: &mut [u8]) {
    let Sa::Established(established) = sa else { return };
    if hint::is_in_the_clear(header) {
        return hint::on_clear_message(established, ctx, now, bytes);
    }
    let ended = if header.flags.response {
        on_answer(established, ctx, now, path, header, bytes)
    } else {
        on_request(established, ctx, now, path, header, bytes)
    };
    match ended {
        Some(why) => established::end(sa, ctx, why),
        None => established.pump(ctx, now),
    }
}

/// What an answer will carry.
#[derive(Default)]
struct Answer {
    error: Option<(NotifyType, Option<u8>)>,
    nat: bool,
    cookie2: Option<([u8; MAX_COOKIE2], usize)>,
    away: Option<u32>,
    deleted: Vec<[u8; 4]>,
}

fn on_request(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    header: &Header,
    bytes: &mut [u8],
) -> Option<DownReason> {
    if sync::on_request(sa, ctx, now, path, header, bytes) {
        return None;
    }
    let spis = spis_of(header);
    let (_, answers) = sa.line(spis)?;
    let standing = answers.standing(header.message_id);
    if standing == Standing::Outside {
        ctx.counters.dropped_outside_window += 1;
        return None;
    }
    if !matches!(standing, Standing::New) {
        answer_again(sa, ctx, path, (spis, header.message_id), standing, bytes);
        return None;
    }
    let opened = open(sa, ctx, spis, bytes)?;
    if sa.is_in_use(spis) {
        sa.keys_are_common();
    }
    // From elsewhere it shows that the peer lives, but not that the path does (D5.5-3).
    if path == sa.path {
        sa.heard = now;
    }
    let (id, exchange, payloads) = (header.message_id, header.exchange, opened.payloads());
    let topic = payloads.as_ref().map_or(Topic::Other, |payloads| Topic::of_request(exchange, payloads));
    let request = Request { id, exchange, topic, path, spis };
    let ended = match payloads {
        Ok(payloads) if !sa.is_in_use(spis) => retired::serve(sa, ctx, now, &request, &payloads),
        Ok(payloads) => match serve(sa, ctx, now, &request, &payloads) {
            Some(DownReason::PeerDeleted) if rekey_ike::outlives_delete(sa, ctx, now) => None,
            None => {
                streams::on_request(sa, ctx, now, path);
                None
            }
            ended => ended,
        },
        Err(error) => {
            refuse_unreadable(sa, ctx, now, &request, &error);
            None
        }
    };
    if ended.is_none() {
        sa.repeat_over(ctx, now, path);
    }
    ended
}

/// A request that was answered before.
fn answer_again(
    sa: &mut Established,
    ctx: &mut Context,
    path: Path,
    (spis, id): (Spis, u32),
    standing: Standing,
    bytes: &mut [u8],
) {
    if !retired::is_echoed(sa, ctx, spis, bytes) {
        ctx.counters.dropped_forgotten_repeat += 1;
        return;
    }
    let Some((channel, _)) = sa.line(spis) else { return };
    match (channel.open_repeated(bytes), standing) {
        (Ok(true), Standing::Repeated(answer)) => {
            ctx.counters.repeats_answered += 1;
            ctx.send(path, answer);
            sa.trace.repeated(id);
        }
        (Ok(true), _) => ctx.counters.dropped_forgotten_repeat += 1,
        // Its first piece is answered, or was.
        (Ok(false), _) => ctx.counters.dropped_fragment += 1,
        (Err(why), _) => ctx.count_unopened(why),
    }
}

/// A request of the peer.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Its message id.
    pub id: u32,
    /// Its exchange.
    pub exchange: ExchangeType,
    /// What it is about.
    pub topic: Topic,
    /// Where this copy came from.
    pub path: Path,
    /// The IKE SA it came on: the one in use, or one that a rekey left.
    pub spis: Spis,
}

fn spis_of(header: &Header) -> Spis {
    Spis { initiator: header.initiator_spi, responder: header.responder_spi }
}

fn open<'m>(sa: &mut Established, ctx: &mut Context, spis: Spis, bytes: &'m mut [u8]) -> Option<Opened<'m>> {
    let (channel, _) = sa.line(spis)?;
    channel.open(&ctx.room, bytes).map_err(|why| ctx.count_unopened(why)).ok()
}

/// It authenticates, but cannot be read: the peer errs. RFC 7296 section 2.21.3 lets both ends drop the IKE SA after
/// INVALID_SYNTAX; we keep it and test at once whether the peer did.
fn refuse_unreadable(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, error: &WireError) {
    ctx.counters.invalid_requests += 1;
    ctx.notice(now, sa.about(), NoticeKind::Malformed, || format!("request of an established peer: {error}"));
    let critical = match error.kind {
        WireErrorKind::UnsupportedCritical(kind) => Some(kind.0),
        _ => None,
    };
    let kind = error.answer().unwrap_or(NotifyType::INVALID_SYNTAX);
    answer(sa, ctx, now, request, &Answer { error: Some((kind, critical)), ..Answer::default() });
    if critical.is_none() && sa.requests.is_idle() {
        sa.ask(ctx, now, Ask::Liveness);
    }
}

/// A request that is new and can be read.
pub fn serve(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
) -> Option<DownReason> {
    match request.exchange {
        ExchangeType::INFORMATIONAL => inform(sa, ctx, now, request, payloads),
        ExchangeType::CREATE_CHILD_SA => {
            create_child::on_request(sa, ctx, now, request, payloads);
            None
        }
        ExchangeType::IKE_FOLLOWUP_KE => {
            follow_up::on_request(sa, ctx, now, request, payloads);
            None
        }
        _ => {
            ctx.counters.unknown_requests += 1;
            answer(sa, ctx, now, request, &Answer::default());
            None
        }
    }
}

fn inform(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
) -> Option<DownReason> {
    let mut reply = Answer { nat: asks_for_nat(payloads), ..Answer::default() };
    let notes = match mobike::Notes::read(payloads) {
        Ok(notes) => notes,
        Err(error) => {
            refuse_unreadable(sa, ctx, now, request, &error);
            return None;
        }
    };
    reply.cookie2 = notes.cookie2.map(copy_cookie);
    let refused = admission::refusal(sa, ctx, now, request, &notes);
    if let Some(kind) = refused {
        reply.error = Some((kind, None));
        reply.nat = false;
    }
    if refused.is_none() && sa.is_in_use(request.spis) {
        reply.away = away::on_request(sa, ctx, now, request, notes.update, payloads);
    }
    if sa.is_in_use(request.spis) {
        sa.requests.widen(window_of(payloads));
        reauth::on_notify(sa, ctx, now, payloads);
        redirect::on_notify(sa, ctx, now, payloads);
    }
    let mut ended = payloads.has(NotifyType::AUTHENTICATION_FAILED).then_some(DownReason::PeerRefusedAuth);
    for payload in payloads.iter() {
        match payload {
            Payload::Delete(Delete::IkeSa) => ended = Some(DownReason::PeerDeleted),
            Payload::Delete(Delete::ChildSas { protocol: ProtocolId::ESP, spis }) => {
                delete_children(sa, ctx, now, spis, &mut reply.deleted);
            }
            _ => {}
        }
    }
    answer(sa, ctx, now, request, &reply);
    if ended.is_none() {
        mobike::on_request(sa, ctx, now, request, &notes, refused, payloads);
    }
    ended
}

/// The answer deletes the other direction of each pair (RFC 7296 section 1.4.1); of unknown ones, and of those that our
/// own Delete names, there is nothing to say.
fn delete_children(sa: &mut Established, ctx: &mut Context, now: Nanos, spis: &[[u8; 4]], deleted: &mut Vec<[u8; 4]>) {
    for spi in spis {
        let spi_out = u32::from_be_bytes(*spi);
        let Some(child) = sa.family.by_spi_out(ctx, spi_out) else {
            rekey_child::note_deleted(sa, spi_out);
            continue;
        };
        let leaving = ctx.children.get(child).is_some_and(|child| child.leaving);
        if let Some(spi_in) = sa.family.end(ctx, child, DownReason::PeerDeleted)
            && !leaving
        {
            deleted.push(spi_in.to_be_bytes());
        }
    }
    rekey_child::schedule(sa, ctx, now);
}

/// The window the peer says it has (RFC 7296 section 2.3); 1 if it says nothing readable.
#[must_use]
pub fn window_of(payloads: &Payloads<'_>) -> u32 {
    let octets = payloads.notify(NotifyType::SET_WINDOW_SIZE).and_then(|notify| notify.data.first_chunk());
    octets.map_or(1, |octets| u32::from_be_bytes(*octets))
}

fn asks_for_nat(payloads: &Payloads<'_>) -> bool {
    payloads.has(NotifyType::NAT_DETECTION_SOURCE_IP) || payloads.has(NotifyType::NAT_DETECTION_DESTINATION_IP)
}

fn copy_cookie(cookie: Cookie2<'_>) -> ([u8; MAX_COOKIE2], usize) {
    let mut copy = [0; MAX_COOKIE2];
    let octets = cookie.octets();
    copy[..octets.len()].copy_from_slice(octets);
    (copy, octets.len())
}

fn answer(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, reply: &Answer) {
    let message = Outgoing { exchange: request.exchange, id: request.id, response: true };
    let hashes = reply.nat.then(|| NatHashes::of(request.spis, request.path));
    let Some((channel, _)) = sa.line(request.spis) else { return };
    match channel.seal(&mut ctx.buffer, message, |writer| write(writer, reply, hashes.as_ref())) {
        Ok(bytes) => {
            ctx.send(request.path, Arc::clone(&bytes));
            sa.answered(now, request.spis, request.id, bytes);
            sa.trace.answered(now, request.id, request.topic, reply.error.map(|(kind, _)| kind));
        }
        Err(_) => ctx.counters.dropped_crypto += 1,
    }
}

fn write(writer: &mut SkWriter, reply: &Answer, hashes: Option<&NatHashes>) {
    if let Some((kind, data)) = reply.error {
        writer.push(&Payload::notify(kind, data.as_slice()));
    }
    if let Some(hashes) = hashes {
        hashes.payloads().iter().for_each(|payload| writer.push(payload));
    }
    if let Some(cookie) = reply.cookie2.as_ref().and_then(|(copy, len)| Cookie2::new(&copy[..*len])) {
        writer.push(&Payload::Notify(MobikeNotify::Cookie2(cookie).notify(&mut [0; SCRATCH_LEN])));
    }
    if let Some(seconds) = reply.away {
        away::write(writer, seconds);
    }
    if !reply.deleted.is_empty() {
        let delete = Delete::ChildSas { protocol: ProtocolId::ESP, spis: &reply.deleted };
        writer.push(&Payload::Delete(delete));
    }
}

fn on_answer(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    header: &Header,
    bytes: &mut [u8],
) -> Option<DownReason> {
    let spis = spis_of(header);
    if !sa.is_in_use(spis) {
        retired::on_answer(sa, ctx, now, header, spis, bytes);
        return None;
    }
    if !sa.requests.outstanding().iter().any(|request| request.id == header.message_id) {
        ctx.counters.dropped_unasked_answer += 1;
        return None;
    }
    let opened = open(sa, ctx, spis, bytes)?;
    if header.message_id == 0 && sa.requests.is_syncing() {
        return sync::on_answer(sa, ctx, now, &opened);
    }
    let request = sa.requests.settle(header.message_id)?;
    sa.note_answer(ctx, now, &request);
    sa.overtake(header.message_id);
    sa.go_through(ctx, now);
    sa.agreed(ctx, now);
    let payloads = opened.payloads().unwrap_or_else(|error| {
        ctx.notice(now, sa.about(), NoticeKind::Malformed, || format!("answer of an established peer: {error}"));
        Payloads::default()
    });
    let error = payloads.notifies().map(|notify| notify.kind).find(|kind| kind.is_error());
    sa.trace.settled(now, &request, error);
    if sa.is_closing() {
        match request.ask {
            Ask::DeleteIke => return Some(DownReason::PeerDeleted),
            // The peer has a new IKE SA now, and must be told that it is over.
            Ask::RekeyIke => rekey_ike::on_answer(sa, ctx, now, &payloads),
            Ask::FollowIke => rekey_ike::on_follow_up(sa, ctx, now, &payloads),
            _ => {}
        }
        return None;
    }
    if payloads.has(NotifyType::INVALID_SYNTAX) {
        // Fatal for both ends (RFC 7296 section 2.21.3): the peer has dropped the IKE SA.
        return Some(DownReason::PeerMisbehaved("it answered INVALID_SYNTAX"));
    }
    if header.exchange == ExchangeType::CREATE_CHILD_SA && replaces_ike(&request.ask, &payloads) {
        return Some(DownReason::KeysLost);
    }
    let ended = settle(sa, ctx, now, path, request, &payloads);
    if ended.is_none() {
        // Of a wider window: whoever answers this one has perhaps not heard the others.
        sa.repeat_over(ctx, now, path);
    }
    ended
}

/// The answer to a request that a crash made us forget: the peer has another IKE SA with us, of which we know nothing.
fn replaces_ike(ask: &Ask, payloads: &Payloads<'_>) -> bool {
    let is_rekey = matches!(ask, Ask::RekeyIke | Ask::MakeChild);
    !is_rekey && payloads.sa().is_some_and(|sa| sa.proposals.iter().any(|it| it.protocol == ProtocolId::IKE))
}

fn settle(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    request: Outstanding,
    payloads: &Payloads<'_>,
) -> Option<DownReason> {
    match &request.ask {
        Ask::Liveness => mobike::note_nat(sa, ctx, path, &request, payloads),
        Ask::Probe { generation, .. } => {
            if !request.many_paths {
                let rtt = now.since(request.retry.sent);
                let (path, generation) = (request.path, *generation);
                ctx.events.push_back(Event::PathChecked { sa: sa.id, path, generation, rtt });
            }
        }
        Ask::Update { cookie, .. } => {
            let refused = payloads.notifies().any(|notify| notify.kind.is_error());
            if let Some(cookie) = cookie.filter(|_| !refused) {
                let came = payloads.notify(NotifyType::COOKIE2).map_or(&[][..], |notify| notify.data);
                if !bool::from(cookie.ct_eq(came)) {
                    ctx.counters.cookie2_failed += 1;
                    return Some(DownReason::WrongCookie2);
                }
            }
            mobike::on_update_answer(sa, ctx, now, path, &request, payloads);
        }
        Ask::Announce { .. } => mobike::on_announce_answer(sa, ctx, now, path, request, payloads),
        Ask::Check { cookie } => {
            let came = payloads.notify(NotifyType::COOKIE2).map_or(&[][..], |notify| notify.data);
            return mobike::on_check_answer(sa, ctx, now, &request, cookie.ct_eq(came).into());
        }
        Ask::Repair { cookie, .. } => {
            let came = payloads.notify(NotifyType::COOKIE2).map_or(&[][..], |notify| notify.data);
            let same = cookie.ct_eq(came).into();
            return repair::on_answer(sa, ctx, now, path, &request, same, payloads);
        }
        Ask::Away { .. } => away::on_answer(sa, ctx, now, payloads),
        Ask::Redirect { .. } => {}
        // Answered under the id 0 alone.
        Ask::Sync { .. } => {}
        Ask::DeleteIke => return Some(DownReason::PeerDeleted),
        Ask::DeleteChild { spi_in, .. } => rekey_child::on_delete_answer(sa, ctx, now, *spi_in),
        Ask::RekeyIke => rekey_ike::on_answer(sa, ctx, now, payloads),
        Ask::MakeChild => rekey_child::on_answer(sa, ctx, now, payloads),
        Ask::FollowIke => rekey_ike::on_follow_up(sa, ctx, now, payloads),
        Ask::FollowChild => rekey_child::on_follow_up(sa, ctx, now, payloads),
    }
    None
}

/// NAT detection of an answer over `path`.
#[must_use]
pub fn detected(sa: &Established, payloads: &Payloads<'_>, path: Path) -> Option<crate::sa::path::Detected> {
    detect(payloads, sa.channel.spis, path)
}
