//! News that nobody vouches for: an error in the clear, an ICMP message. Anybody can make one up, so that all it does is to
//! bring a liveness test forward (RFC 4555 section 3.5, RFC 7296 section 2.4).

use core::time::Duration;

use crate::Nanos;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::window::Ask;
use crate::wire::{Header, Message, NotifyType, PayloadType};

/// A flood of such news costs one test in so long.
pub const REST: Duration = Duration::from_secs(10);

/// Is the message one that no key protects?
#[must_use]
pub fn is_in_the_clear(header: &Header) -> bool {
    !matches!(header.next_payload, PayloadType::SK | PayloadType::SKF)
}

/// A message in the clear names an established IKE SA. Does it say that the peer lost an SA?
pub fn on_clear_message(sa: &mut Established, ctx: &mut Context, now: Nanos, bytes: &[u8]) {
    ctx.counters.dropped_malformed += 1;
    let Ok(message) = Message::parse(bytes) else { return };
    let lost = [NotifyType::INVALID_IKE_SPI, NotifyType::INVALID_SPI];
    if lost.into_iter().any(|kind| message.payloads.has(kind)) {
        doubt(sa, ctx, now);
    }
}

/// Somebody says that the path or the peer has a problem: see for ourselves, if that is not under way.
pub fn doubt(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.is_closing() || !sa.requests.is_idle() || !sa.strays.may_doubt(now) {
        return;
    }
    ctx.counters.hints_followed += 1;
    sa.ask(ctx, now, Ask::Liveness);
}
