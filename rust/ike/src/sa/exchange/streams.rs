//! An IKE SA on a stream (RFC 9329): what happens when the stream is opened, is lost, or another takes its place.
//!
//! ```text
//! opened                        all that is unanswered over it goes out: what was sent before that was dropped
//! lost        who set it up     what is unanswered, as it was, and then something new   -->   opens another
//!                               HDR, SK { N(UPDATE_SA_ADDRESSES), .. } with MOBIKE, else HDR, SK { }
//!             the other end     waits: it cannot open one (section 6.1)
//! another     the other end     a new request that authenticates came over it: there the peer is now
//! ```

use std::sync::Arc;

use crate::crypto::Role;
use crate::sa::Sa;
use crate::sa::context::Context;
use crate::sa::established::{Established, Mobility};
use crate::sa::exchange::mobike;
use crate::sa::window::Ask;
use crate::{Nanos, Path};

/// What an IKE SA does with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamUse {
    /// There is no such SA.
    Gone,
    /// It is elsewhere now.
    Left,
    /// The peer is not authenticated yet.
    HalfOpen,
    /// The SA is there.
    InUse,
}

impl StreamUse {
    /// Is the SA, or one that may become it, on the stream?
    #[must_use]
    pub fn is_there(self) -> bool {
        matches!(self, StreamUse::HalfOpen | StreamUse::InUse)
    }
}

/// What the SA does with a stream on this path.
#[must_use]
pub fn use_of(sa: &Sa, path: Path) -> StreamUse {
    let half_open = match sa {
        Sa::AwaitInitAnswer(sa) => sa.order.paths.contains(&path),
        Sa::AwaitAuth(sa) => sa.stream && path.is_stream(),
        Sa::AwaitIntermediateAnswer(sa) => sa.agreed.path == path,
        Sa::AwaitAuthAnswer(sa) => sa.path == path,
        Sa::Established(sa) => return use_of_established(sa, path),
        Sa::Ended => false,
    };
    if half_open { StreamUse::HalfOpen } else { StreamUse::Gone }
}

fn use_of_established(sa: &Established, path: Path) -> StreamUse {
    let is_asked = || sa.requests.outstanding().iter().any(|request| request.path == path);
    if sa.path == path || is_asked() { StreamUse::InUse } else { StreamUse::Left }
}

/// Is it ours to open streams for this SA?
#[must_use]
pub fn may_open(sa: &Sa) -> bool {
    match sa {
        Sa::AwaitInitAnswer(_) | Sa::AwaitIntermediateAnswer(_) | Sa::AwaitAuthAnswer(_) => true,
        Sa::Established(sa) => sa.part == Role::Initiator,
        Sa::AwaitAuth(_) | Sa::Ended => false,
    }
}

/// The stream is open: what was sent until now was dropped.
pub fn on_opened(sa: &mut Sa, ctx: &mut Context, path: Path) {
    ctx.counters.streams_opened += 1;
    match sa {
        Sa::AwaitInitAnswer(sa) => sa.go_out(ctx, path),
        Sa::AwaitIntermediateAnswer(sa) if sa.agreed.path == path => ctx.send(path, Arc::clone(&sa.request)),
        Sa::AwaitAuthAnswer(sa) if sa.path == path => ctx.send(path, Arc::clone(&sa.request)),
        Sa::Established(sa) => sa.go_out(ctx, path),
        Sa::AwaitIntermediateAnswer(_) | Sa::AwaitAuthAnswer(_) | Sa::AwaitAuth(_) | Sa::Ended => {}
    }
}

/// A stream that was open ended. What is not answered is repeated over the next one. That alone need not bring the peer
/// there: it may have served it before, or see us come from another address (a NAT). So something new follows.
pub fn on_lost(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path) {
    ctx.counters.streams_lost += 1;
    let Sa::Established(sa) = sa else { return };
    if sa.path != path || sa.part == Role::Responder || sa.is_closing() || sa.is_away() {
        return;
    }
    sa.go_out(ctx, path);
    let is_update = |ask: &Ask| matches!(ask, Ask::Update { .. });
    match sa.mobility {
        // It goes where we are when its turn comes.
        Mobility::Initiator if sa.requests.waiting().any(is_update) => {}
        Mobility::Initiator => {
            sa.settled = false;
            sa.ask_first(ctx, now, Ask::update(sa.generation, None), is_update);
        }
        Mobility::Off | Mobility::Responder { .. } if sa.requests.waiting().next().is_some() => {}
        Mobility::Off | Mobility::Responder { .. } => {
            sa.ask(ctx, now, Ask::Liveness);
        }
    }
}

/// A request that is new, and authenticated, came over `path` and was answered there.
pub fn on_request(sa: &mut Established, ctx: &mut Context, now: Nanos, path: Path) {
    let both_streams = path.is_stream() && sa.path.is_stream() && path != sa.path;
    if !both_streams || sa.part == Role::Initiator || sa.is_closing() || sa.is_away() {
        return;
    }
    let near = path.remote.ip() == sa.path.remote.ip() && path.local == sa.path.local;
    if (sa.speaks_mobike() && !near) || sa.profile.paths.judge(path).is_err() {
        return;
    }
    ctx.counters.streams_adopted += 1;
    sa.re_aim(ctx, now, path);
    mobike::report_move(sa, ctx, true);
}

impl Established {
    fn go_out(&mut self, ctx: &mut Context, path: Path) {
        let retired = self.rekeying.iter_mut().flat_map(|rekeying| &mut rekeying.retired);
        let farewells = retired.filter_map(|retired| retired.farewell.as_mut());
        let unanswered = self.requests.outstanding_mut().iter_mut().chain(farewells);
        for request in unanswered.filter(|request| request.path == path) {
            request.sent_again();
            ctx.send(path, Arc::clone(&request.bytes));
        }
    }
}
