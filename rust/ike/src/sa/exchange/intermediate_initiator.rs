//! IKE_INTERMEDIATE as the one who asks: additional key exchanges before IKE_AUTH (RFC 9242, RFC 9370 section 2.2.2).
//!
//! ```text
//! HDR, SK { KEi(1) }   -->                       sealed with the keys of IKE_SA_INIT
//!                      <--   HDR, SK { KEr(1) }
//! HDR, SK { KEi(2) }   -->                       sealed with keys in which the first one has a part; and so on
//! ```
//!
//! A key pair is made when its turn comes and not before. What both ends said enters AUTH, so nobody can take an
//! exchange away or put one in.

use std::sync::Arc;

use crate::Nanos;
use crate::crypto::{Ephemeral, Nonces, Role, SkeySeed};
use crate::event::ConnectError;
use crate::sa::Sa;
use crate::sa::channel::{Channel, Opened, Outgoing};
use crate::sa::context::Context;
use crate::sa::exchange::auth_initiator::{self, Agreed};
use crate::sa::exchange::fallback;
use crate::sa::exchange::init_initiator::Order;
use crate::sa::timers::{Retry, patience};
use crate::sa::trace::{Step, Topic};
use crate::wire::{Clear, ExchangeType, KeMethod as KeNumber, KeyExchange, NotifyType, Payload, Payloads};

/// Our IKE_INTERMEDIATE is unanswered.
#[derive(Debug)]
pub struct Advancing {
    pub(super) agreed: Agreed,
    ephemeral: Ephemeral,
    pub(super) request: Arc<[u8]>,
    /// The request as AUTH covers it.
    intact: Vec<u8>,
    retry: Retry,
}

/// The next additional key exchange, or IKE_AUTH where none is left.
pub fn go_on(ctx: &mut Context, now: Nanos, agreed: Agreed) -> Sa {
    let Some(method) = agreed.suite.additional().methods().nth(agreed.done as usize) else {
        return auth_initiator::ask(ctx, now, agreed);
    };
    let mut agreed = agreed;
    let message = Outgoing { exchange: ExchangeType::IKE_INTERMEDIATE, id: agreed.next_id(), response: false };
    let mut intact = Vec::new();
    let clear = if agreed.done == 0 { agreed.clear() } else { Clear::default() };
    let made = Ephemeral::generate(method, &mut ctx.random).and_then(|ephemeral| {
        let ke = KeyExchange { method: KeNumber(method.id()), data: ephemeral.public() };
        let request = agreed.channel.seal_behind(&mut ctx.buffer, message, clear, |writer| {
            writer.push(&Payload::KeyExchange(ke));
            intact = writer.intact();
        })?;
        Ok((ephemeral, request))
    });
    match made {
        Ok((ephemeral, request)) => {
            ctx.send(agreed.path, Arc::clone(&request));
            let retry = Retry::begin(now, &agreed.order.profile.retransmit, &mut ctx.random);
            Sa::AwaitIntermediateAnswer(Box::new(Advancing { agreed, ephemeral, request, intact, retry }))
        }
        Err(_) => {
            let why = ConnectError::BadOrder("no key pair could be made");
            auth_initiator::fail(ctx, &agreed.order, agreed.path, why);
            Sa::Ended
        }
    }
}

impl Advancing {
    /// When to be woken.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        self.retry.next.min(self.give_up())
    }

    fn give_up(&self) -> Nanos {
        self.retry.started + patience(&self.agreed.order.profile.retransmit, Role::Initiator)
    }

    /// Our SPI and keys.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.agreed.channel
    }

    /// The same, to open with.
    pub fn channel_mut(&mut self) -> &mut Channel {
        &mut self.agreed.channel
    }

    /// The message id of what is unanswered.
    #[must_use]
    pub fn asked_id(&self) -> u32 {
        self.agreed.next_id()
    }

    /// The order behind it.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.agreed.order
    }

    /// Nobody has answered, and the order begins anew.
    pub fn note_in_vain(&mut self) {
        let step = Step::of(self.asked_id(), &self.retry);
        self.agreed.order.trace.in_vain(Topic::Intermediate, step);
    }

    /// Repeated more than once, and no answer.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.retry.is_in_vain()
    }

    /// Over: report it.
    pub fn fail(self, ctx: &mut Context, why: ConnectError) {
        auth_initiator::fail(ctx, &self.agreed.order, self.agreed.path, why);
    }

    /// The answer to our value, and with it the keys of what follows.
    fn advance(&mut self, opened: &Opened<'_>) -> Result<(), String> {
        let payloads = opened.payloads().unwrap_or_default();
        let method = self.ephemeral.method();
        let Some(theirs) = payloads.key_exchange() else {
            return Err(error_in(&payloads).map_or("an answer without KE".into(), |kind| kind.to_string()));
        };
        if theirs.method.0 != method.id() {
            return Err(format!("a key exchange value that is not {method}"));
        }
        let Agreed { suite, channel, auth, nonce_i, nonce_r, said, done, .. } = &mut self.agreed;
        let made = self.ephemeral.agree(theirs.data).and_then(|shared| {
            let nonces = Nonces::new(nonce_i, nonce_r)?;
            SkeySeed::rekeyed(channel.keys().sk_d(), &nonces, shared).expand(suite, &nonces, channel.spis)
        });
        let (keys, next_auth) = made.map_err(|error| error.to_string())?;
        said.add(auth, &self.intact, &opened.intact());
        *channel = channel.advanced(keys);
        *auth = next_auth;
        *done += 1;
        Ok(())
    }
}

fn error_in(payloads: &Payloads<'_>) -> Option<NotifyType> {
    payloads.notifies().find(|notify| notify.kind.is_error()).map(|notify| notify.kind)
}

/// The answer came; the holder of the keys made it, so there will be no other.
pub fn on_answer(sa: &mut Sa, ctx: &mut Context, now: Nanos, opened: &Opened<'_>) {
    let Sa::AwaitIntermediateAnswer(mut asking) = core::mem::replace(sa, Sa::Ended) else { return };
    let step = Step::of(asking.asked_id(), &asking.retry);
    match asking.advance(opened) {
        Ok(()) => {
            asking.agreed.order.trace.set_up(now, Topic::Intermediate, step, None);
            *sa = go_on(ctx, now, asking.agreed);
        }
        Err(why) => {
            ctx.counters.dropped_bad_ke += 1;
            asking.fail(ctx, ConnectError::PeerError(format!("IKE_INTERMEDIATE: {why}")));
        }
    }
}

/// Time has passed: again, or give up.
pub fn on_timeout(sa: &mut Sa, ctx: &mut Context, now: Nanos) {
    let Sa::AwaitIntermediateAnswer(asking) = sa else { return };
    if now >= asking.give_up() {
        if let Sa::AwaitIntermediateAnswer(asking) = core::mem::replace(sa, Sa::Ended) {
            let tried_for = now.since(asking.agreed.order.since);
            asking.fail(ctx, ConnectError::NoAnswer { tried_for, heard: None });
        }
    } else if now >= asking.retry.next {
        if fallback::is_due(asking.agreed.path, &asking.agreed.order.paths, asking.retry.tries) {
            return fallback::begin_anew(sa, ctx, now);
        }
        asking.retry.again(now, &asking.agreed.order.profile.retransmit, &mut ctx.random);
        ctx.send_again(asking.agreed.path, Arc::clone(&asking.request));
    }
}
