//! IKE_INTERMEDIATE as the one who answers: additional key exchanges before IKE_AUTH (RFC 9242, RFC 9370 section 2.2.2).
//!
//! The SA stays half-open, with the lifetime and the limits of those. Whoever gets here holds the keys of IKE_SA_INIT, so
//! it receives where it sends from. A key pair of ours is made when the peer's value has come.
//!
//! Keys change with every answer: a repeated request was sealed with those before, which are kept for that.

use std::sync::Arc;

use crate::crypto::auth::Intermediate;
use crate::crypto::{CryptoError, IkeSuite, KeMethod, Nonces, SkeySeed, kex};
use crate::event::NoticeKind;
use crate::sa::Sa;
use crate::sa::channel::{Channel, Opened, Outgoing};
use crate::sa::context::{About, Context};
use crate::sa::exchange::auth_responder::{refuse_in, refuse_unreadable};
use crate::sa::exchange::door;
use crate::sa::exchange::init_responder::{HalfOpen, Secret};
use crate::sa::trace::Topic;
use crate::wire::{ExchangeType, KeMethod as KeNumber, KeyExchange, NotifyType, Payload};
use crate::{Nanos, Path};

/// How far the additional key exchanges are.
#[derive(Debug, Default)]
pub struct Steps {
    done: u32,
    /// What was said, for AUTH.
    pub said: Intermediate,
    /// The keys before the last one, and what was answered with them.
    last: Option<Box<(Channel, Arc<[u8]>)>>,
}

impl Steps {
    /// The message id of the next request.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        1 + self.done
    }

    /// The additional key exchange whose turn it is.
    #[must_use]
    pub fn next(&self, suite: &IkeSuite) -> Option<KeMethod> {
        suite.additional().methods().nth(self.done as usize)
    }

    /// A request that was answered came once more.
    fn repeated(&self, id: u32, bytes: &mut [u8]) -> Option<&Arc<[u8]>> {
        let (channel, answer) = self.last.as_deref().filter(|_| id == self.done)?;
        channel.open_repeated(bytes).is_ok_and(|again| again).then_some(answer)
    }
}

/// An IKE_INTERMEDIATE request came, from whomever.
pub fn on_message(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path, id: u32, bytes: &mut [u8]) {
    let Sa::AwaitAuth(half) = sa else { return };
    if id != half.steps.next_id() || half.steps.next(&half.suite).is_none() || half.parked.is_some() {
        match half.steps.repeated(id, bytes) {
            Some(answer) => {
                ctx.counters.repeats_answered += 1;
                ctx.send(path, Arc::clone(answer));
                half.trace.repeated(id);
            }
            None => ctx.counters.dropped_wrong_state += 1,
        }
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
        Ok(opened) => on_request(half, ctx, now, path, &opened),
        Err(why) => ctx.count_unopened(why),
    }
}

fn on_request(half: &mut HalfOpen, ctx: &mut Context, now: Nanos, path: Path, opened: &Opened<'_>) {
    if let Some(refusal) = &half.refusal {
        ctx.counters.repeats_answered += 1;
        return ctx.send(path, Arc::clone(refusal));
    }
    let payloads = match opened.payloads() {
        Ok(payloads) => payloads,
        Err(error) => return refuse_unreadable(half, ctx, now, path, ExchangeType::IKE_INTERMEDIATE, &error),
    };
    let Some(method) = half.steps.next(&half.suite) else { return };
    let theirs = payloads.key_exchange().filter(|ke| ke.method.0 == method.id());
    let outcome = theirs.ok_or_else(|| format!("no {method} value")).and_then(|theirs| {
        advance(half, ctx, now, method, theirs.data, &opened.intact()).map_err(|error| error.to_string())
    });
    match outcome {
        Ok(answer) => ctx.send(path, answer),
        Err(why) => {
            ctx.counters.dropped_bad_ke += 1;
            let about = About { path: Some(path), sa: Some(half.id) };
            ctx.notice(now, about, NoticeKind::Malformed, || format!("IKE_INTERMEDIATE refused: {why}"));
            let error = Payload::notify(NotifyType::INVALID_SYNTAX, &[]);
            refuse_in(half, ctx, path, ExchangeType::IKE_INTERMEDIATE, &error);
        }
    }
}

/// Answer with our value, and go over to keys in which both have a part.
fn advance(
    half: &mut HalfOpen,
    ctx: &mut Context,
    now: Nanos,
    method: KeMethod,
    theirs: &[u8],
    request: &[u8],
) -> Result<Arc<[u8]>, CryptoError> {
    let (public, shared) = kex::respond(method, theirs, &mut ctx.random)?;
    let message = Outgoing { exchange: ExchangeType::IKE_INTERMEDIATE, id: half.steps.next_id(), response: true };
    let nonces = Nonces::new(&half.request[half.nonce_i.clone()], &half.nonce_r)?;
    let Secret::Keys(keys) = &mut half.secret else { return Err(CryptoError::Provider) };
    let (channel, auth) = &mut **keys;
    let seed = SkeySeed::rekeyed(channel.keys().sk_d(), &nonces, shared);
    let (next_keys, next_auth) = seed.expand(&half.suite, &nonces, channel.spis)?;
    let mut intact = Vec::new();
    let ke = KeyExchange { method: KeNumber(method.id()), data: public.as_bytes() };
    let answer = channel.seal(&mut ctx.buffer, message, |writer| {
        writer.push(&Payload::KeyExchange(ke));
        intact = writer.intact();
    })?;
    half.steps.said.add(auth, request, &intact);
    let next = channel.advanced(next_keys);
    let before = core::mem::replace(channel, next);
    *auth = next_auth;
    half.steps.last = Some(Box::new((before, Arc::clone(&answer))));
    half.trace.answered(now, half.steps.next_id(), Topic::Intermediate, None);
    half.steps.done += 1;
    half.auth_id = half.steps.next_id();
    Ok(answer)
}
