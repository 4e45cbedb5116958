//! Requests of strangers that cannot be read: what they hear, in the clear.
//!
//! ```text
//! IKE_SA_INIT with an unknown critical payload   <--   N(UNSUPPORTED_CRITICAL_PAYLOAD, its type)   RFC 7296 section 2.5
//! IKE_SA_INIT of a newer major version           <--   N(INVALID_MAJOR_VERSION), version 2         section 2.5
//! anything else                                        nothing: INVALID_SYNTAX is for messages that somebody vouches for,
//!                                                      or a forged one would end an exchange        section 3.10.1
//! ```
//!
//! Answers are hardly longer than what they answer, leave nothing behind, and there are so many a second at most.

use crate::sa::context::Context;
use crate::sa::exchange::init_responder;
use crate::wire::{ExchangeType, Header, NotifyType, WireError, WireErrorKind};
use crate::{Nanos, Path};

/// An IKE_SA_INIT request whose payloads cannot be read.
pub fn on_unreadable(ctx: &mut Context, now: Nanos, path: Path, header: &Header, error: &WireError) {
    if let WireErrorKind::UnsupportedCritical(kind) = error.kind {
        tell(ctx, now, path, header, NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, &[kind.0]);
    }
}

/// A message whose header cannot be read.
pub fn on_unreadable_header(ctx: &mut Context, now: Nanos, path: Path, bytes: &[u8], error: &WireError) {
    if let WireErrorKind::HigherMajorVersion(_) = error.kind
        && let Ok(header) = Header::peek(bytes)
        && header.exchange == ExchangeType::IKE_SA_INIT
        && header.flags.initiator
        && !header.flags.response
    {
        tell(ctx, now, path, &header, NotifyType::INVALID_MAJOR_VERSION, &[]);
    }
}

fn tell(ctx: &mut Context, now: Nanos, path: Path, header: &Header, kind: NotifyType, data: &[u8]) {
    let accepts = !ctx.accepted_suites.is_empty();
    if accepts && ctx.may_tell_strangers(now) {
        ctx.counters.errors_in_the_clear += 1;
        init_responder::refuse(ctx, path, header, kind, data);
    }
}
