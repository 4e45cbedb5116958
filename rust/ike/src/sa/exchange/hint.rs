//! News that nobody vouches for: an error in the clear, an ICMP message. Anybody can make one up, so that all it does is to
//! bring a liveness test forward (RFC 4555 section 3.5, RFC 7296 section 2.4).
//!
//! ```text
//! INVALID_SPI in the clear              a liveness test now, unless something is asked already
//! ICMP: what we sent over the path      the same; and who can move hurries: what is unanswered there is repeated quickly,
//!   in use cannot be delivered            so that silence, if it is that, shows in a fraction of a second
//! ICMP, about another path              what is unanswered there is repeated quickly; nothing else
//! ICMP, and we are still connecting     the next path that was not tried yet has its turn now
//! our own kernel: no way there          nobody made that up: it is sent again soon, and does not count as sent
//! ```
//!
//! An ICMP message quotes what it is about. One that quotes no message and no ESP packet of an SA says nothing to us.

use core::time::Duration;

use crate::crypto::Role;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::probe;
use crate::sa::window::Ask;
use crate::wire::{Header, Message, NotifyType, PayloadType};
use crate::{Nanos, Path};

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

/// Somebody says that what we sent over `path` cannot be delivered.
pub fn on_unreachable(sa: &mut Established, ctx: &mut Context, now: Nanos, path: Path) {
    if sa.is_closing() || sa.is_away() {
        return;
    }
    let in_use = path == sa.path;
    let asked_there = sa.requests.outstanding().iter().any(|request| request.path == path);
    if !(in_use || asked_there) || !sa.strays.may_doubt(now) {
        return;
    }
    ctx.counters.hints_followed += 1;
    if in_use && probe::hurry(sa, now) {
        return;
    }
    if in_use && sa.requests.is_idle() {
        sa.ask(ctx, now, Ask::Liveness);
    }
    if sa.part == Role::Initiator && sa.speaks_mobike() {
        sa.hurry_on(now, path);
    }
}

/// What we sent over `path` did not leave this host, for which it had no way there just then.
pub fn on_unsent(sa: &mut Established, now: Nanos, path: Path) {
    for request in sa.requests.outstanding_mut().iter_mut().filter(|request| request.path == path) {
        request.retry.stuck(now);
    }
}
