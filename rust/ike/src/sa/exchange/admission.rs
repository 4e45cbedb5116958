//! What is refused before anything changes: paths that policy forbids (RFC 4555 section 3.5) and packets whose addresses
//! were rewritten on the way where that is prohibited (section 3.9).

use crate::Nanos;
use crate::event::NoticeKind;
use crate::sa::context::{About, Context};
use crate::sa::established::{Established, Mobility};
use crate::sa::exchange::informational::Request;
use crate::sa::exchange::mobike::Notes;
use crate::wire::mobike::NoNatsAllowed;
use crate::wire::{MobikeNotify, NotifyType, Payloads};
use crate::{Path, SaId};

/// May the request be acted upon? If not, what to answer it with; a newer one than this counts as newer still (M3.5-5).
pub fn refusal(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    notes: &Notes<'_>,
) -> Option<NotifyType> {
    if sa.is_closing() || !sa.speaks_mobike() {
        return None;
    }
    let newest = |last: Option<u32>| last.is_none_or(|last| last < request.id);
    let update = notes.update && matches!(sa.mobility, Mobility::Responder { last_update, .. } if newest(last_update));
    if let Some(meant) = notes.no_nats.filter(|_| update || !notes.update)
        && is_rewritten(ctx, now, sa.id, request.path, meant)
    {
        note_newest(sa, request.id, update);
        return Some(NotifyType::UNEXPECTED_NAT_DETECTED);
    }
    if update && let Err(objection) = sa.profile.paths.judge(request.path) {
        ctx.counters.updates_refused += 1;
        let about = About { path: Some(request.path), sa: Some(sa.id) };
        ctx.notice(now, about, NoticeKind::AddressRefused, || format!("move refused: {objection}"));
        note_newest(sa, request.id, true);
        return Some(NotifyType::UNACCEPTABLE_ADDRESSES);
    }
    None
}

fn note_newest(sa: &mut Established, id: u32, update: bool) {
    if let (true, Mobility::Responder { last_update, .. }) = (update, &mut sa.mobility) {
        *last_update = Some(id);
    }
}

/// Do the addresses of the packet differ from those that its sender gave it? They are only logged (M3.9-2).
pub fn is_rewritten(ctx: &mut Context, now: Nanos, sa: SaId, path: Path, meant: NoNatsAllowed) -> bool {
    if (meant.source(), meant.destination()) == (path.remote, path.local) {
        return false;
    }
    ctx.counters.unexpected_nats += 1;
    let about = About { path: Some(path), sa: Some(sa) };
    ctx.notice(now, about, NoticeKind::UnexpectedNat, || {
        format!("unexpected NAT: sent as {} -> {}", meant.source(), meant.destination())
    });
    true
}

/// NO_NATS_ALLOWED of a message.
#[must_use]
pub fn no_nats_in(payloads: &Payloads<'_>) -> Option<NoNatsAllowed> {
    payloads.mobike().flatten().find_map(|notify| match notify {
        MobikeNotify::NoNatsAllowed(meant) => Some(meant),
        _ => None,
    })
}
