//! Message ids, agreed upon after a crash (RFC 6311). Whoever was resumed from what was written down does not know how far it
//! and its peer had come since; where both ends announced it in IKE_AUTH, it asks.
//!
//! ```text
//! HDR(0), SK { N(IKEV2_MESSAGE_ID_SYNC: nonce, M1, M2) }   -->   M1: our next request; M2: what we expect of the peer
//!                                <--   HDR(0), SK { N(IKEV2_MESSAGE_ID_SYNC: nonce, P1, P2) }        the same of the peer
//! ```
//!
//! Both messages have the id 0, whatever was said under that id before, so they stand outside the windows. What keeps them
//! from being used twice: a request whose M1 is below what was answered since is ignored; one that changes nothing is answered
//! and changes nothing; and an answer has the nonce of the request that waits for it. No id ever goes back.
//!
//! P1 is the oldest request that the peer has not answered: it is repeated with the same octets. Only where the other end has
//! seen it, or one behind it was answered, all that is unanswered is asked anew.

use std::sync::Arc;

use crate::crypto::Random;
use crate::event::DownReason;
use crate::profile::Profile;
use crate::sa::channel::{Opened, Outgoing};
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::hint;
use crate::sa::window::Ask;
use crate::sa::window::sync::is_before;
use crate::wire::{ExchangeType, Header, NotifyType, Payload, PayloadType, Payloads, SkWriter};
use crate::{Nanos, Path};

/// An id further away is no loss of memory.
const FURTHEST: u32 = 1 << 20;

/// Requests that a crash may have made us forget, and many more. Ids cost nothing.
pub const SKIPPED: u32 = 1 << 10;

/// Octets of the notification.
const LEN: usize = 12;

/// What the notification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Binds the answer to the request.
    pub nonce: u32,
    /// The sender's next request.
    pub sends: u32,
    /// The next request that the sender expects.
    pub expects: u32,
}

impl Said {
    fn read(payloads: &Payloads<'_>) -> Option<Said> {
        let data: &[u8; LEN] = payloads.notify(NotifyType::IKEV2_MESSAGE_ID_SYNC)?.data.try_into().ok()?;
        let word = |at: usize| data[at..].first_chunk().map(|octets| u32::from_be_bytes(*octets));
        Some(Said { nonce: word(0)?, sends: word(4)?, expects: word(8)? })
    }

    /// As a notification.
    pub fn write(&self, writer: &mut SkWriter) {
        let data = [self.nonce.to_be_bytes(), self.sends.to_be_bytes(), self.expects.to_be_bytes()].concat();
        writer.push(&Payload::notify(NotifyType::IKEV2_MESSAGE_ID_SYNC, &data));
    }
}

/// Our answer to the newest request, for repetitions.
#[derive(Debug)]
pub struct Answered {
    said: Said,
    bytes: Arc<[u8]>,
}

/// As the initiator, in IKE_AUTH: we know this.
pub fn announce(writer: &mut SkWriter, profile: &Profile) {
    if profile.message_id_sync {
        writer.push(&Payload::notify(NotifyType::IKEV2_MESSAGE_ID_SYNC_SUPPORTED, &[]));
    }
}

/// Do both ends?
#[must_use]
pub fn is_agreed(profile: &Profile, payloads: &Payloads<'_>) -> bool {
    profile.message_id_sync && payloads.has(NotifyType::IKEV2_MESSAGE_ID_SYNC_SUPPORTED)
}

/// We were resumed after a crash: ask, before anything else. What was unanswered is asked anew once that is answered.
pub fn begin(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if !sa.syncs || !sa.is_in_doubt() || sa.is_away() || sa.requests.is_syncing() {
        return;
    }
    let asks = sa.requests.begin_at(sa.requests.next_id().wrapping_add(SKIPPED));
    sa.ask_as_far_as_it_lasts(asks);
    let mut nonce = [0; 4];
    ctx.random.fill(&mut nonce);
    let said = Said { nonce: u32::from_be_bytes(nonce), sends: sa.requests.next_id(), expects: sa.answers.next() };
    sa.send_request(ctx, now, 0, Ask::Sync { said });
}

/// The peer answered under the id 0 while we ask that. Anything else that it said under this id is old.
pub fn on_answer(sa: &mut Established, ctx: &mut Context, now: Nanos, opened: &Opened<'_>) -> Option<DownReason> {
    let came = opened.payloads().ok().and_then(|payloads| Said::read(&payloads));
    let asked = sa.requests.outstanding().iter().find_map(|request| match request.ask {
        Ask::Sync { said } => Some(said),
        _ => None,
    });
    let fits = |came: &Said| {
        asked.is_some_and(|asked| asked.nonce == came.nonce)
            && !is_too_far(came.sends, sa.answers.next())
            && !is_too_far(came.expects, sa.requests.next_id())
    };
    let Some(came) = came.filter(fits) else {
        ctx.counters.dropped_unasked_answer += 1;
        return None;
    };
    let request = sa.requests.settle(0)?;
    sa.note_answer(ctx, now, &request);
    sa.trace.settled(now, &request, None);
    ctx.counters.ids_synced += 1;
    if is_before(sa.requests.next_id(), came.expects) {
        let asks = sa.requests.begin_at(came.expects);
        sa.requests.ask_anew(asks);
    }
    if is_before(came.sends, sa.answers.next()) {
        // It has not seen our answer to these, and will ask again; we took them, and do not take them twice.
        sa.answers.close_gap();
    } else {
        sa.answers.begin_at(came.sends);
    }
    sa.agreed(ctx, now);
    None
}

/// A request under the id 0: is it this one? Then it is served here.
pub fn on_request(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    header: &Header,
    bytes: &[u8],
) -> bool {
    let fits = header.message_id == 0 && header.exchange == ExchangeType::INFORMATIONAL;
    if !sa.syncs || !fits || header.next_payload != PayloadType::SK {
        return false;
    }
    let spis = crate::crypto::Spis { initiator: header.initiator_spi, responder: header.responder_spi };
    let Some((channel, _)) = sa.line(spis) else { return false };
    let mut copy = bytes.to_vec();
    let opened = channel.open(&ctx.room, &mut copy).ok();
    let said = opened.and_then(|opened| opened.payloads().ok().and_then(|payloads| Said::read(&payloads)));
    let Some(said) = said else { return false };
    if sa.is_in_use(spis) {
        serve(sa, ctx, now, path, said);
    } else {
        // It knows nothing of the IKE SA that came after: as with any other request on this one.
        ctx.counters.dropped_outside_window += 1;
        hint::doubt(sa, ctx, now);
    }
    true
}

fn serve(sa: &mut Established, ctx: &mut Context, now: Nanos, path: Path, said: Said) {
    let (expected, next) = (sa.answers.next(), sa.requests.next_id());
    if is_before(said.sends, expected) || is_too_far(said.sends, expected) || is_too_far(said.expects, next) {
        // Seen before, and something came since; or nonsense.
        ctx.counters.syncs_ignored += 1;
        return;
    }
    if let Some(answered) = sa.synced.as_ref().filter(|answered| answered.said == said && said.sends == expected) {
        ctx.counters.repeats_answered += 1;
        return ctx.send(path, Arc::clone(&answered.bytes));
    }
    if said.sends != expected {
        sa.answers.begin_at(said.sends);
    }
    let seen_next = sa.requests.seen_next().filter(|first| !is_before(*first, said.expects));
    let sends = seen_next.unwrap_or_else(|| {
        let from = if is_before(next, said.expects) { said.expects } else { next };
        let asks = sa.requests.begin_at(from);
        sa.requests.ask_anew(asks);
        from
    });
    let reply = Said { nonce: said.nonce, sends, expects: said.sends };
    let message = Outgoing { exchange: ExchangeType::INFORMATIONAL, id: 0, response: true };
    match sa.channel.seal(&mut ctx.buffer, message, |writer| reply.write(writer)) {
        Ok(bytes) => {
            ctx.counters.syncs_answered += 1;
            ctx.send(path, Arc::clone(&bytes));
            sa.synced = Some(Box::new(Answered { said, bytes }));
            sa.repeat_over(ctx, now, path);
        }
        Err(_) => ctx.counters.dropped_crypto += 1,
    }
}

fn is_too_far(id: u32, from: u32) -> bool {
    id.wrapping_sub(from).min(from.wrapping_sub(id)) > FURTHEST
}
