//! One inbound datagram: header, place, state.

use std::sync::Arc;

use crate::crypto::negotiate::Chosen;
use crate::crypto::{IkeSuite, KeMethod};
use crate::engine::Engine;
use crate::id::SaId;
use crate::sa::Sa;
use crate::sa::context::Context;
use crate::sa::exchange::auth_initiator::Authenticating;
use crate::sa::exchange::init_responder::{HalfOpen, Placed, Verdict};
use crate::sa::exchange::resume_responder::Resumed;
use crate::sa::exchange::{
    auth_initiator, auth_responder, clear, door, informational, init_initiator, init_responder, intermediate_initiator,
    intermediate_responder, offers, redirect, resume_responder,
};
use crate::sa::probe;
use crate::sa::trace::Asked;
use crate::table::cookie_gate::{Gate, Stranger};
use crate::table::spi;
use crate::wire::probe::PATH_PROBE;
use crate::wire::{ExchangeType, Header, Message, NotifyType, WireErrorKind};
use crate::{Nanos, Path};

/// Octets of the longest IKE_SA_INIT request we take. It is kept until IKE_AUTH, because that signs it, so a stranger
/// chooses what a half-open SA weighs. RFC 7296 section 2 asks for 1280 and advises 3000.
const LONGEST_INIT: usize = 4096;

impl Engine {
    /// A datagram came in over `path` (local is where it arrived), without non-ESP marker. `bytes` is overwritten.
    pub fn handle_datagram(&mut self, now: Nanos, path: Path, bytes: &mut [u8]) {
        self.ctx.counters.received += 1;
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(error) => {
                clear::on_unreadable_header(&mut self.ctx, now, path, bytes, &error);
                return count_bad_header(&mut self.ctx, &error.kind);
            }
        };
        self.ctx.events.come_of(Some(Asked::in_header(&header)));
        let begins = matches!(header.exchange, ExchangeType::IKE_SA_INIT | ExchangeType::IKE_SESSION_RESUME);
        match (begins, header.flags.initiator, header.flags.response) {
            (true, true, false) if header.responder_spi == 0 && header.message_id == 0 => {
                self.on_init_request(now, path, &header, bytes);
            }
            (true, false, true) if header.message_id == 0 => {
                self.on_init_answer(now, path, &header, bytes);
            }
            (true, _, _) => self.ctx.counters.dropped_unexpected += 1,
            _ => self.on_protected(now, path, &header, bytes),
        }
        self.ctx.events.come_of(None);
    }

    fn on_init_request(&mut self, now: Nanos, path: Path, header: &Header, bytes: &[u8]) {
        if bytes.len() > LONGEST_INIT {
            self.ctx.counters.dropped_init_too_long += 1;
            return;
        }
        let asker = self.ctx.half_open.asker(header.initiator_spi, path.remote, bytes);
        let found = self.ctx.half_open.find(&asker);
        if let Some(Sa::AwaitAuth(half)) = found.and_then(|place| self.table.get_mut(place))
            && half.is_repeated(bytes)
        {
            half.opening.repeated();
            self.ctx.counters.repeats_answered += 1;
            return self.ctx.send(path, Arc::clone(&half.answer));
        }
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.ctx.counters.dropped_malformed += 1;
                return clear::on_unreadable(&mut self.ctx, now, path, header, &error);
            }
        };
        let taken = self.table.len();
        if redirect::turn_away(&mut self.ctx, path, &message, taken) {
            return;
        }
        let Some(passed) = self.passes_gate(now, path, &message) else { return };
        let Some(wish) = judge(&mut self.ctx, now, path, &message) else { return };
        let Some(place) = self.table.insert_with(|_, _| Sa::Ended) else {
            self.ctx.counters.dropped_table_full += 1;
            return;
        };
        let id = SaId::new(self.ctx.settings.shard, place, self.table.generation(place).unwrap_or_default());
        let spi_r = spi::mint_ike(self.ctx.settings.shard, place, &mut self.ctx.random);
        let puzzle = door::second_puzzle(&self.ctx, now, path.remote.ip(), &passed);
        let placed = Placed { id, spi_r, asker, puzzle };
        let ctx = &mut self.ctx;
        let half = match wish {
            Wish::New(chosen, method) => {
                init_responder::answer(ctx, now, path, bytes, &message, (chosen, method), placed)
            }
            Wish::Resumed(resumed) => resume_responder::answer(ctx, now, path, bytes, &message, *resumed, placed),
        };
        match half {
            Some(half) => {
                self.ctx.half_open.add(asker, place);
                door::serve(&mut self.ctx, now, path.remote.ip());
                if let Some(sa) = self.table.get_mut(place) {
                    *sa = Sa::AwaitAuth(Box::new(half));
                }
            }
            None => self.ctx.counters.dropped_crypto += 1,
        }
        self.settle(now, place);
    }

    /// How it passed, if it did.
    fn passes_gate(&mut self, now: Nanos, path: Path, message: &Message<'_>) -> Option<Gate> {
        let ctx = &mut self.ctx;
        let Some(nonce) = init_responder::nonce_of(message) else {
            ctx.counters.dropped_malformed += 1;
            return None;
        };
        let payloads = &message.payloads;
        let cookie = payloads.notify(NotifyType::COOKIE).map(|notify| notify.data);
        let solution = door::solution_in(payloads);
        let spi_i = message.header.initiator_spi;
        let stranger = Stranger { spi_i, from: path.remote.ip(), nonce, cookie, solution };
        let limits = ctx.settings.half_open;
        let known = (&ctx.half_open, &ctx.debts);
        let asked = (&stranger, || payloads.sa().and_then(offers::prf_of));
        match self.gate.judge(now, &mut ctx.random, &limits, known, asked) {
            Gate::Demand { cookie, puzzle, wrong } => {
                door::demand(ctx, now, path, message, (&cookie, puzzle, wrong));
                None
            }
            judged => door::let_pass(ctx, now, path, &judged).then_some(judged),
        }
    }

    fn on_init_answer(&mut self, now: Nanos, path: Path, header: &Header, bytes: &[u8]) {
        let place = spi::ike_place(header.initiator_spi);
        match self.table.get_mut(place) {
            Some(sa @ Sa::AwaitInitAnswer(_)) if is_ours(sa, header) => {
                init_initiator::on_answer(sa, &mut self.ctx, now, path, bytes);
                self.settle(now, place);
            }
            Some(_) => self.ctx.counters.dropped_unasked_answer += 1,
            None => self.ctx.counters.dropped_unknown_spi += 1,
        }
    }

    /// Everything after IKE_SA_INIT.
    fn on_protected(&mut self, now: Nanos, path: Path, header: &Header, bytes: &mut [u8]) {
        let ours = if header.flags.initiator { header.responder_spi } else { header.initiator_spi };
        let place = spi::ike_place(ours);
        self.look_for_heritage(place);
        let ctx = &mut self.ctx;
        let Some(sa) = self.table.get_mut(place).filter(|sa| is_ours(sa, header)) else {
            ctx.counters.dropped_unknown_spi += 1;
            return;
        };
        match sa {
            Sa::Established(sa) if header.exchange == PATH_PROBE && sa.probes() => {
                probe::on_message(sa, ctx, now, path, header, bytes);
            }
            Sa::Established(_) => informational::on_message(sa, ctx, now, path, header, bytes),
            Sa::AwaitAuth(half) if is_auth_request(half, header) => {
                on_auth_request(sa, ctx, now, path, bytes);
            }
            Sa::AwaitAuth(half) if redirect::awaits_delete(half, header) => {
                redirect::on_delete(sa, ctx, path, header.message_id, bytes);
            }
            Sa::AwaitAuth(_) if is_intermediate(header, header.message_id, false) => {
                intermediate_responder::on_message(sa, ctx, now, path, header.message_id, bytes);
            }
            Sa::AwaitIntermediateAnswer(asking) if is_intermediate(header, asking.asked_id(), true) => {
                on_intermediate_answer(sa, ctx, now, bytes);
            }
            Sa::AwaitAuthAnswer(asking) if is_auth_answer(asking, header) => {
                on_auth_answer(sa, ctx, now, bytes);
            }
            Sa::AwaitInitAnswer(_)
            | Sa::AwaitAuth(_)
            | Sa::AwaitIntermediateAnswer(_)
            | Sa::AwaitAuthAnswer(_)
            | Sa::Ended => ctx.counters.dropped_wrong_state += 1,
        }
        self.settle(now, place);
    }
}

/// What a stranger asks for, and gets.
enum Wish {
    New(Chosen<IkeSuite>, KeMethod),
    Resumed(Box<Resumed>),
}

fn judge(ctx: &mut Context, now: Nanos, path: Path, message: &Message<'_>) -> Option<Wish> {
    if message.header.exchange == ExchangeType::IKE_SESSION_RESUME {
        return resume_responder::judge(ctx, now, path, message).map(|resumed| Wish::Resumed(Box::new(resumed)));
    }
    match init_responder::judge(ctx, now, path, message) {
        Verdict::Serve(chosen, method) => Some(Wish::New(chosen, method)),
        Verdict::Done => None,
    }
}

/// Do the SPIs and the sender's role fit what sits in the place?
fn is_ours(sa: &Sa, header: &Header) -> bool {
    let spis = match sa {
        Sa::AwaitInitAnswer(sa) => return header.initiator_spi == sa.spi_i && !header.flags.initiator,
        Sa::AwaitAuth(sa) => (sa.spis, true),
        Sa::AwaitIntermediateAnswer(sa) => (sa.channel().spis, false),
        Sa::AwaitAuthAnswer(sa) => (sa.channel().spis, false),
        Sa::Established(sa) => return sa.is_addressed_by(header),
        Sa::Ended => return false,
    };
    let (spis, sender_is_initiator) = spis;
    header.initiator_spi == spis.initiator
        && header.responder_spi == spis.responder
        && header.flags.initiator == sender_is_initiator
}

/// The next IKE_AUTH, or the one before, again.
fn is_auth_request(half: &HalfOpen, header: &Header) -> bool {
    let again = half.last_answer.is_some() && header.message_id == half.auth_id.wrapping_sub(1);
    let fits = header.message_id == half.auth_id || again;
    header.exchange == ExchangeType::IKE_AUTH && fits && !header.flags.response
}

fn is_auth_answer(asking: &Authenticating, header: &Header) -> bool {
    let fits = header.message_id == asking.auth_id();
    header.exchange == ExchangeType::IKE_AUTH && fits && header.flags.response
}

fn is_intermediate(header: &Header, id: u32, response: bool) -> bool {
    header.exchange == ExchangeType::IKE_INTERMEDIATE && header.message_id == id && header.flags.response == response
}

fn on_intermediate_answer(sa: &mut Sa, ctx: &mut Context, now: Nanos, bytes: &mut [u8]) {
    let Sa::AwaitIntermediateAnswer(asking) = sa else { return };
    match asking.channel_mut().open(&ctx.room, bytes) {
        Ok(opened) => intermediate_initiator::on_answer(sa, ctx, now, &opened),
        Err(why) => ctx.count_unopened(why),
    }
}

fn on_auth_request(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path, bytes: &mut [u8]) {
    let Sa::AwaitAuth(half) = sa else { return };
    if half.awaits().is_some() {
        ctx.counters.repeats_parked += 1;
        return;
    }
    if !door::has_worked(half, ctx, bytes) {
        return;
    }
    let Some((channel, _)) = half.keys() else {
        ctx.counters.dropped_bad_ke += 1;
        return;
    };
    match channel.open(&ctx.room, bytes) {
        Ok(opened) => auth_responder::on_request(sa, ctx, now, path, &opened),
        Err(why) => ctx.count_unopened(why),
    }
}

fn on_auth_answer(sa: &mut Sa, ctx: &mut Context, now: Nanos, bytes: &mut [u8]) {
    let Sa::AwaitAuthAnswer(asking) = sa else { return };
    if asking.awaits().is_some() {
        ctx.counters.repeats_parked += 1;
        return;
    }
    match asking.channel_mut().open(&ctx.room, bytes) {
        Ok(opened) => auth_initiator::on_answer(sa, ctx, now, &opened),
        Err(why) => ctx.count_unopened(why),
    }
}

fn count_bad_header(ctx: &mut Context, kind: &WireErrorKind) {
    match kind {
        WireErrorKind::HigherMajorVersion(_) | WireErrorKind::LowerMajorVersion(_) => ctx.counters.dropped_version += 1,
        _ => ctx.counters.dropped_malformed_header += 1,
    }
}
