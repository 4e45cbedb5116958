//! CREATE_CHILD_SA (RFC 7296 section 1.3) as the one who answers: what the peer wants, and why it does not get it.

use std::sync::Arc;

use crate::Nanos;
use crate::crypto::KeMethod;
use crate::event::{Comparison, NoticeKind};
use crate::sa::channel::Outgoing;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::informational::Request;
use crate::sa::exchange::{compare, open_child, rekey_child, rekey_ike};
use crate::wire::{ExchangeType, Notify, NotifyType, Payload, Payloads, ProtocolId, SkWriter};

/// The peer asks for it.
pub fn on_request(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, payloads: &Payloads<'_>) {
    let outcome = match replaces_ike_sa(payloads) {
        true => rekey_ike::on_request(sa, ctx, now, request, payloads),
        false if payloads.has(NotifyType::REKEY_SA) => rekey_child::on_request(sa, ctx, now, request, payloads),
        false => open_child::on_request(sa, ctx, now, request, payloads),
    };
    if let Err(refusal) = outcome {
        let compared = |sa: &Established| compared(sa, &refusal, payloads);
        refuse_as(sa, ctx, now, request, &refusal, compared);
    }
}

/// Of algorithms and traffic: what was asked for, beside what is taken.
fn compared(sa: &Established, refusal: &Refusal, payloads: &Payloads<'_>) -> Option<Comparison> {
    let of_child = |reason| {
        let suites = |number| sa.profile.child(number).esp_suites.to_vec();
        compare::of_child(reason, &sa.profile, |number| sa.sides(number), suites, payloads)
    };
    match refusal {
        Refusal::NoProposal(_) if replaces_ike_sa(payloads) => {
            payloads.sa().map(|offered| compare::of_suites(&sa.profile.ike_suites, offered))
        }
        Refusal::NoProposal(_) => Some(of_child("no-proposal")),
        Refusal::Selectors => Some(of_child("traffic")),
        Refusal::NotFound(_)
        | Refusal::Closing
        | Refusal::Busy
        | Refusal::Incomplete
        | Refusal::WrongKe(_)
        | Refusal::CpRequired
        | Refusal::NoRoom
        | Refusal::NoState => None,
    }
}

fn replaces_ike_sa(payloads: &Payloads<'_>) -> bool {
    let offered = payloads.sa().and_then(|sa| sa.proposals.iter().next());
    offered.is_some_and(|proposal| proposal.protocol == ProtocolId::IKE)
}

/// Answer with the reason.
pub fn refuse(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, refusal: &Refusal) {
    refuse_as(sa, ctx, now, request, refusal, |_| None);
}

fn refuse_as(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    refusal: &Refusal,
    compared: impl FnOnce(&Established) -> Option<Comparison>,
) {
    ctx.counters.create_child_refused += 1;
    let what = if request.exchange == ExchangeType::CREATE_CHILD_SA { "CREATE_CHILD_SA" } else { "IKE_FOLLOWUP_KE" };
    let about = sa.about();
    ctx.refusal(now, about, refusal.kind(), || (format!("{what} refused: {}", refusal.text()), compared(sa)));
    if let Some(bytes) = seal_answer(sa, ctx, request, |writer| refusal.write(writer)) {
        finish_with(sa, ctx, now, request, bytes, Some(refusal.notify()));
    }
}

/// Seal an answer on the IKE SA that the request came on.
pub fn seal_answer(
    sa: &mut Established,
    ctx: &mut Context,
    request: &Request,
    fill: impl FnOnce(&mut SkWriter),
) -> Option<Arc<[u8]>> {
    let message = Outgoing { exchange: request.exchange, id: request.id, response: true };
    let (channel, _) = sa.line(request.spis)?;
    let sealed = channel.seal(&mut ctx.buffer, message, fill).ok();
    ctx.counters.dropped_crypto += u64::from(sealed.is_none());
    sealed
}

/// Send it, and remember it for repetitions.
pub fn finish(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, bytes: Arc<[u8]>) {
    finish_with(sa, ctx, now, request, bytes, None);
}

fn finish_with(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    bytes: Arc<[u8]>,
    error: Option<NotifyType>,
) {
    ctx.send(request.path, Arc::clone(&bytes));
    sa.answered(now, request.spis, request.id, bytes);
    sa.trace.answered(now, request.id, request.topic, error);
}

/// Why the peer gets none.
pub enum Refusal {
    /// What it wants to replace is not there (RFC 7296 section 2.25.1).
    NotFound([u8; 4]),
    /// The IKE SA is about to end (RFC 7296 section 2.25.2).
    Closing,
    /// Something that is under way must be finished first (RFC 7296 section 2.25).
    Busy,
    /// A payload is missing or makes no sense.
    Incomplete,
    /// No common algorithms; why.
    NoProposal(String),
    /// Another key exchange than the one it began.
    WrongKe(KeMethod),
    /// No traffic in common.
    Selectors,
    /// It must have asked for an inner address in IKE_AUTH.
    CpRequired,
    /// A limit of ours.
    NoRoom,
    /// It goes on with something that we know nothing of (RFC 9370 section 2.2.4).
    NoState,
}

impl Refusal {
    fn notify(&self) -> NotifyType {
        match self {
            Refusal::NoRoom => NotifyType::NO_ADDITIONAL_SAS,
            Refusal::NotFound(_) => NotifyType::CHILD_SA_NOT_FOUND,
            Refusal::Closing | Refusal::Busy => NotifyType::TEMPORARY_FAILURE,
            Refusal::Incomplete => NotifyType::INVALID_SYNTAX,
            Refusal::NoProposal(_) => NotifyType::NO_PROPOSAL_CHOSEN,
            Refusal::WrongKe(_) => NotifyType::INVALID_KE_PAYLOAD,
            Refusal::Selectors => NotifyType::TS_UNACCEPTABLE,
            Refusal::CpRequired => NotifyType::FAILED_CP_REQUIRED,
            Refusal::NoState => NotifyType::STATE_NOT_FOUND,
        }
    }

    fn kind(&self) -> NoticeKind {
        match self {
            Refusal::Closing | Refusal::Busy | Refusal::NoState => NoticeKind::NotServed,
            Refusal::NotFound(_)
            | Refusal::NoProposal(_)
            | Refusal::WrongKe(_)
            | Refusal::Selectors
            | Refusal::CpRequired => NoticeKind::ChildRefused,
            Refusal::Incomplete => NoticeKind::Malformed,
            Refusal::NoRoom => NoticeKind::Limit,
        }
    }

    fn text(&self) -> String {
        match self {
            Refusal::NotFound(spi) => format!("there is no Child SA {:08x} to replace", u32::from_be_bytes(*spi)),
            Refusal::Closing => "the IKE SA is being closed".into(),
            Refusal::Busy => "another exchange comes first".into(),
            Refusal::Incomplete => "a payload is missing".into(),
            Refusal::NoProposal(why) => why.clone(),
            Refusal::WrongKe(wanted) => format!("the key exchange must be {wanted}"),
            Refusal::Selectors => "no traffic selector is acceptable".into(),
            Refusal::CpRequired => "peer has no inner address".into(),
            Refusal::NoRoom => "no room for another SA".into(),
            Refusal::NoState => "it goes on with key exchanges that are over, or never began".into(),
        }
    }

    fn write(&self, writer: &mut SkWriter) {
        let group;
        let notify = match self {
            Refusal::NotFound(spi) => Notify::child(ProtocolId::ESP, spi, self.notify(), &[]),
            Refusal::WrongKe(wanted) => {
                group = wanted.id().to_be_bytes();
                Notify::new(self.notify(), &group)
            }
            Refusal::Closing
            | Refusal::Busy
            | Refusal::Incomplete
            | Refusal::NoProposal(_)
            | Refusal::Selectors
            | Refusal::CpRequired
            | Refusal::NoRoom
            | Refusal::NoState => Notify::new(self.notify(), &[]),
        };
        writer.push(&Payload::Notify(notify));
    }
}
