//! IKE_SESSION_RESUME as the one who asks (RFC 5723 section 4.3): with a ticket, in place of IKE_SA_INIT.
//!
//! Nobody vouches for a refusal, and none is needed: whatever is no good answer leads to IKE_SA_INIT, and the ticket is gone.

use std::sync::Arc;

use crate::crypto::auth::Intermediate;
use crate::crypto::natd::nat_detection;
use crate::crypto::{Nonces, Role, SkeySeed, Spis, kex};
use crate::event::ConnectError;
use crate::id::SaId;
use crate::sa::Sa;
use crate::sa::channel::Channel;
use crate::sa::context::Context;
use crate::sa::exchange::init_initiator::answer::floated;
use crate::sa::exchange::init_initiator::{Connecting, Order, prepare};
use crate::sa::exchange::{auth_initiator, first_child, redirect};
use crate::sa::path::detect;
use crate::sa::timers::Retry;
use crate::table::spi;
use crate::wire::{ExchangeType, Message, MessageWriter, Nonce, NotifyType, Payload};
use crate::{Nanos, Path};

/// Requests without any answer until IKE_SA_INIT is tried: an older gateway drops what it does not know.
const TRIES: u8 = 2;

impl Connecting {
    /// The exchange that is under way.
    pub(super) fn exchange(&self) -> ExchangeType {
        if self.ticket.is_some() { ExchangeType::IKE_SESSION_RESUME } else { ExchangeType::IKE_SA_INIT }
    }

    /// Ni, the ticket, and what both exchanges carry. `false`: there is no ticket.
    pub(super) fn write_resumption(&self, writer: &mut MessageWriter) -> bool {
        let Some(held) = &self.ticket else { return false };
        if let Some(nonce) = Nonce::new(&self.nonce) {
            writer.push(&Payload::Nonce(nonce));
        }
        writer.push(&Payload::notify(NotifyType::TICKET_OPAQUE, &held.ticket));
        let spis = Spis { initiator: self.spi_i, responder: 0 };
        let ends = if self.order.profile.paths.nat_traversal { self.ends() } else { Vec::new() };
        for (kind, end) in ends {
            writer.push(&Payload::notify(kind, &nat_detection(spis, end)));
        }
        writer.push(&Payload::notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]));
        redirect::offer(&self.order, |payload| writer.push(payload));
        true
    }

    /// Nobody answers a ticket.
    pub(super) fn is_in_vain(&self) -> bool {
        self.ticket.is_some() && self.retry.tries as usize >= TRIES as usize * self.order.paths.len()
    }

    /// The ticket leads nowhere: ask for a new IKE SA, over the same path.
    pub(super) fn without_ticket(&mut self, ctx: &mut Context, now: Nanos) -> Result<(), ConnectError> {
        ctx.counters.tickets_in_vain += 1;
        self.ticket = None;
        (self.cookie, self.solution, self.solving) = (None, None, None);
        self.nonce = kex::fresh_nonce(&mut ctx.random);
        self.write_request(ctx)?;
        self.retry = Retry::begin(now, &self.order.profile.retransmit, &mut ctx.random);
        ctx.send(self.order.paths[self.path], Arc::clone(&self.request));
        Ok(())
    }
}

/// Nr came: IKE_AUTH follows. `false`: it is no good answer, and nothing changed.
pub(super) fn proceed(
    sa: &mut Sa,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    bytes: &[u8],
    message: &Message<'_>,
) -> bool {
    let Sa::AwaitInitAnswer(connecting) = sa else { return false };
    let payloads = &message.payloads;
    let (Some(held), Some(nonce)) = (&connecting.ticket, payloads.nonce()) else { return false };
    let spis = Spis { initiator: connecting.spi_i, responder: message.header.responder_spi };
    let suite = held.suite;
    let made = Nonces::new(&connecting.nonce, nonce.octets())
        .and_then(|nonces| SkeySeed::resumed(&held.sk_d, &nonces).expand(&suite, &nonces, spis));
    let Ok(childless) = first_child::comes_later(&connecting.order.profile, payloads) else { return false };
    let Some((keys, auth)) = made.ok().filter(|_| spis.responder != 0) else { return false };
    let mut channel = Channel::new(spis, Role::Initiator, keys);
    if payloads.has(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED) {
        channel.use_fragments();
    }
    channel.take(path);
    let detected = detect(payloads, spis, path).filter(|_| connecting.order.profile.paths.nat_traversal);
    let nonce_r = nonce.octets().into();
    connecting.answered(now, None);
    let Sa::AwaitInitAnswer(connecting) = core::mem::replace(sa, Sa::Ended) else { return false };
    let Connecting { order, id, nonce, request, ticket, .. } = *connecting;
    let path = floated(ctx, &order, path, detected);
    let agreed = auth_initiator::Agreed {
        order,
        id,
        suite,
        channel,
        auth,
        said: Intermediate::default(),
        done: 0,
        nonce_i: nonce,
        nonce_r,
        request,
        answer: bytes.into(),
        path,
        detected,
        hashes: None,
        stapled: false,
        ppk: false,
        childless,
        resumed: ticket.map(|held| held.peer_id),
        solution: None,
    };
    *sa = auth_initiator::ask(ctx, now, agreed);
    true
}

/// The gateway does not take the ticket's owner for who it is: all from the beginning, over the same path.
pub fn begin_anew(ctx: &mut Context, now: Nanos, id: SaId, order: Order, path: Path) -> Sa {
    let same = |tried: &Path| tried.remote.ip() == path.remote.ip() && tried.local.ip() == path.local.ip();
    let at = order.paths.iter().position(same).unwrap_or(0);
    let spi_i = spi::mint_ike(ctx.settings.shard, id.slot(), &mut ctx.random);
    ctx.counters.tickets_in_vain += 1;
    match prepare(ctx, now, id, spi_i, order) {
        Ok(mut connecting) => {
            connecting.path = at;
            ctx.send(connecting.order.paths[at], Arc::clone(&connecting.request));
            Sa::AwaitInitAnswer(Box::new(connecting))
        }
        Err(failed) => {
            let (order, why) = *failed;
            auth_initiator::fail(ctx, &order, path, why);
            Sa::Ended
        }
    }
}
