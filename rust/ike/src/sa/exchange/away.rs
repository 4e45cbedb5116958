//! Away until a time (docs/extensions/away.md), where both ends offered it: the initiator says so before it vanishes, and
//! nobody takes it for dead.
//!
//! ```text
//! initiator   HDR, SK { N(AWAY, seconds asked) }   -->
//!                                             <--   HDR, SK { N(AWAY, seconds granted; 0: refused) }
//!             ... silence on both sides: no liveness, no keepalives, no repetitions, no ESP to the initiator ...
//! initiator   HDR, SK { N(UPDATE_SA_ADDRESSES), N(NATD).., [N(ADDITIONAL_*)] }   -->   from wherever it is by then
//! ```
//!
//! Only an UPDATE ends it, and whoever comes back proves its address as after any other move (RFC 4555 section 3.7), even
//! where that is the old one: meanwhile it may have become somebody else's.

use core::time::Duration;

use crate::Nanos;
use crate::event::{AwayRefusal, DownReason, Event};
use crate::profile::Profile;
use crate::sa::context::Context;
use crate::sa::established::{Established, Mobility};
use crate::sa::exchange::expire;
use crate::sa::exchange::informational::Request;
use crate::sa::window::Ask;
use crate::wire::{AWAY, Extensions, Payload, Payloads, SkWriter};

/// Is the initiator of the IKE SA there?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// Yes.
    #[default]
    Here,
    /// We are it, and asked to leave; the answer settles it.
    Leaving,
    /// No, but it will be.
    Away {
        /// If it does not come back by then, the IKE SA is over.
        until: Nanos,
    },
}

impl Presence {
    /// Of an SA that was parked: the clock may be another one, so an absence may last as long as policy allows from now on.
    #[must_use]
    pub fn resumed(was: Presence, now: Nanos, profile: &Profile) -> Presence {
        match was {
            Presence::Here | Presence::Leaving => was,
            Presence::Away { .. } => Presence::Away { until: now + profile.away_at_most },
        }
    }
}

/// The control plane wants to be away.
pub fn order(sa: &mut Established, ctx: &mut Context, now: Nanos, span: Duration) {
    let objection = match (&sa.mobility, sa.presence) {
        (Mobility::Responder { .. }, _) => Some(AwayRefusal::NotInitiator),
        (Mobility::Off | Mobility::Initiator, _) if !sa.extensions.has(Extensions::AWAY) => {
            Some(AwayRefusal::NotAgreed)
        }
        (Mobility::Off | Mobility::Initiator, Presence::Here) => None,
        (Mobility::Off | Mobility::Initiator, Presence::Leaving | Presence::Away { .. }) => Some(AwayRefusal::Already),
    };
    if let Some(why) = objection {
        ctx.events.push_back(Event::AwayRefused { sa: sa.id, why });
        return;
    }
    sa.presence = Presence::Leaving;
    let seconds = u32::try_from(span.as_secs()).unwrap_or(u32::MAX).max(1);
    sa.ask_first(ctx, now, Ask::Away { seconds }, |ask| matches!(ask, Ask::Away { .. }));
}

/// How long we ask for, or what was granted.
pub fn write(writer: &mut SkWriter, seconds: u32) {
    writer.push(&Payload::notify(AWAY, &seconds.to_be_bytes()));
}

/// The seconds in a message; nothing readable counts as none.
fn read(payloads: &Payloads<'_>) -> Option<u32> {
    payloads.notify(AWAY).map(|notify| notify.data.try_into().map_or(0, u32::from_be_bytes))
}

/// Our request was answered.
pub fn on_answer(sa: &mut Established, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    if sa.presence != Presence::Leaving {
        return;
    }
    let span = Duration::from_secs(read(payloads).unwrap_or(0).into());
    if span.is_zero() {
        sa.presence = Presence::Here;
        ctx.events.push_back(Event::AwayRefused { sa: sa.id, why: AwayRefusal::ByPeer });
        return;
    }
    fall_silent(sa, now + span);
    ctx.events.push_back(Event::Away { sa: sa.id, span });
}

/// A request of the peer asks for it: the seconds granted.
pub fn on_request(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    update: bool,
    payloads: &Payloads<'_>,
) -> Option<u32> {
    let asked = read(payloads).filter(|_| sa.extensions.has(Extensions::AWAY))?;
    let most = sa.profile.away_at_most;
    let closing = sa.is_closing();
    // Updates and absences overtake each other by message id (M3.5-5): one that a newer update has ended is no more.
    let Mobility::Responder { last_update, .. } = &mut sa.mobility else { return Some(0) };
    let stale = last_update.is_some_and(|last| last >= request.id);
    let span = Duration::from_secs(asked.into()).min(most);
    let granted = if stale || update || closing { 0 } else { span.as_secs() as u32 };
    if granted == 0 {
        ctx.counters.away_refused += 1;
        return Some(0);
    }
    *last_update = Some(request.id);
    ctx.counters.away_granted += 1;
    fall_silent(sa, now + span);
    ctx.events.push_back(Event::PeerAway { sa: sa.id, span: Duration::from_secs(granted.into()) });
    Some(granted)
}

fn fall_silent(sa: &mut Established, until: Nanos) {
    sa.presence = Presence::Away { until };
    sa.retrial = None;
    sa.rest();
    sa.forget_path();
}

/// An UPDATE puts the initiator somewhere again. Was it away?
pub fn come_back(sa: &mut Established, now: Nanos) -> bool {
    let was = core::mem::take(&mut sa.presence);
    let away = matches!(was, Presence::Away { .. });
    if away {
        sa.wake(now);
        expire::spare(sa, now);
    }
    away
}

/// We move, which ends being away, or overtakes leaving.
pub fn end_by_move(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.presence == Presence::Leaving {
        // Asked behind the update, it would send us away again, without our knowing.
        sa.requests.withdraw(|ask| matches!(ask, Ask::Away { .. }));
        ctx.events.push_back(Event::AwayRefused { sa: sa.id, why: AwayRefusal::Overtaken });
    }
    come_back(sa, now);
}

impl Established {
    /// Is its initiator away?
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self.presence, Presence::Away { .. })
    }

    /// When an absence ends the IKE SA.
    #[must_use]
    pub fn away_until(&self) -> Nanos {
        match self.presence {
            Presence::Away { until } => until,
            Presence::Here | Presence::Leaving => Nanos::NEVER,
        }
    }

    /// Why it is over, if an absence has lasted too long.
    #[must_use]
    pub fn away_too_long(&self, now: Nanos) -> Option<DownReason> {
        (self.away_until() <= now).then_some(DownReason::AwayTooLong)
    }
}
