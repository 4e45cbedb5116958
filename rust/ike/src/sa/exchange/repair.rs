//! ESP that authenticates but comes over another path than the agreed one. It is no sign of life there (RFC 4555 section
//! 3.12), and nothing follows it unasked; but it is a reason to ask.
//!
//! ```text
//! responder   the peer sits behind a NAT, which may have forgotten it: is the peer where its ESP comes from?
//!             over that path             <--   HDR, SK { N(COOKIE2), N(NATD).. }
//!             HDR, SK { N(COOKIE2), N(NATD).. }   -->      the right answer, from that path alone: follow
//! initiator   does the peer know which path is agreed?
//!             HDR, SK { [N(NATD)..] }   -->      answered, and still such ESP:   HDR, SK { N(UPDATE_SA_ADDRESSES), .. }   -->
//! ```
//!
//! IKE requests start none of this: one without UPDATE_SA_ADDRESSES is a test, whose sender wants nothing moved (section 3.8).

use core::net::SocketAddr;
use core::time::Duration;

use crate::crypto::Random;
use crate::event::DownReason;
use crate::sa::context::Context;
use crate::sa::established::{Established, Mobility};
use crate::sa::exchange::hint;
use crate::sa::exchange::informational::detected;
use crate::sa::exchange::mobike;
use crate::sa::window::{Ask, Outstanding};
use crate::wire::Payloads;
use crate::{Nanos, Path};

/// After both ends agreed on a path, ESP of the one before may still be on its way for so long. An initiator takes all of it
/// for late; a responder only what comes from where its peer was, for a NAT may forget the peer at any time.
const LATE: Duration = Duration::from_secs(3);

/// Between two reactions, at first; doubled each time.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause is this many doublings long: about a minute. Whoever repeats ESP from many places (an attacker who
/// can read it, a NAT gone mad) gets no more than that out of us.
const MOST_DOUBLINGS: u8 = 6;

/// How often ESP on other paths was reacted to, and when it may be next.
#[derive(Debug, Default)]
pub struct Strays {
    not_before: Nanos,
    /// Initiator: when the peer was asked because of it.
    asked: Nanos,
    /// Hints that nobody vouches for are not followed before.
    no_doubt_before: Nanos,
    doublings: u8,
    /// Responder: where the peer was until a moment ago.
    left: Option<Box<Left>>,
}

#[derive(Debug)]
struct Left {
    until: Nanos,
    remotes: Vec<SocketAddr>,
}

/// So many places that a peer left one after the other are told from those where it may be now.
const MOST_LEFT: usize = 4;

impl Strays {
    /// Both ends agree on a path from now on.
    pub fn agreed(&mut self, now: Nanos) {
        self.not_before = self.not_before.max(now + LATE);
        self.asked = Nanos::default();
    }

    /// The peer is elsewhere from now on: what it sent from here before that may still come.
    pub fn left(&mut self, now: Nanos, remote: SocketAddr) {
        let before = self.left.take().filter(|left| now < left.until);
        let mut remotes = before.map(|left| left.remotes).unwrap_or_default();
        remotes.retain(|known| *known != remote);
        remotes.truncate(MOST_LEFT - 1);
        remotes.insert(0, remote);
        self.left = Some(Box::new(Left { until: now + LATE, remotes }));
    }

    fn is_late(&mut self, now: Nanos, path: Path) -> bool {
        self.left.take_if(|left| left.until <= now);
        self.left.as_ref().is_some_and(|left| left.remotes.contains(&path.remote))
    }

    /// May a hint be followed?
    pub fn may_doubt(&mut self, now: Nanos) -> bool {
        let may = now >= self.no_doubt_before;
        if may {
            self.no_doubt_before = now + hint::REST;
        }
        may
    }

    fn is_due(&mut self, now: Nanos) -> bool {
        if now < self.not_before {
            return false;
        }
        let longest = PAUSE * (1 << MOST_DOUBLINGS);
        if now.since(self.not_before) > longest {
            self.doublings = 0;
        }
        self.not_before = now + PAUSE * (1 << self.doublings);
        self.doublings = (self.doublings + 1).min(MOST_DOUBLINGS);
        true
    }
}

/// ESP came over `path`, which is not where the data plane sends. `true` if something was done.
pub fn on_stray_esp(sa: &mut Established, ctx: &mut Context, now: Nanos, path: Path) -> bool {
    // The engine is ahead of the data plane, or the IKE SA is about to be elsewhere anyway.
    if path == sa.path || sa.is_closing() || sa.is_moving() || sa.is_away() {
        return false;
    }
    match sa.mobility {
        Mobility::Off => false,
        Mobility::Initiator => ask_whether_agreed(sa, ctx, now),
        Mobility::Responder { checking, .. } => !checking && look_for_peer(sa, ctx, now, path),
    }
}

/// A NAT changes what the peer's address looks like, and nothing else; and policy holds for that address too.
fn may_be_rebound(sa: &Established, path: Path) -> bool {
    sa.natt && sa.nat.peer_is_behind && path.local == sa.path.local && sa.profile.paths.judge(path).is_ok()
}

fn look_for_peer(sa: &mut Established, ctx: &mut Context, now: Nanos, path: Path) -> bool {
    let goes_there = |request: &Outstanding| {
        matches!(&request.ask, Ask::Repair { path: asked, .. } if *asked == path) && !request.many_paths
    };
    if !may_be_rebound(sa, path)
        || sa.requests.outstanding().iter().any(goes_there)
        || sa.strays.is_late(now, path)
        || !sa.strays.is_due(now)
    {
        return false;
    }
    ctx.counters.repairs_begun += 1;
    sa.ask_here_too(ctx, path);
    let mut cookie = [0; 16];
    ctx.random.fill(&mut cookie);
    sa.ask_first(ctx, now, Ask::Repair { path, cookie }, |ask| matches!(ask, Ask::Repair { .. }));
    true
}

/// The peer was looked for, and this came over `path`; `same` says whether the cookie is ours.
pub fn on_answer(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    request: &Outstanding,
    same: bool,
    payloads: &Payloads<'_>,
) -> Option<DownReason> {
    if !same {
        ctx.counters.cookie2_failed += 1;
        return Some(DownReason::WrongCookie2);
    }
    let away = sa.is_away();
    let Mobility::Responder { checking, .. } = &mut sa.mobility else { return None };
    if away || request.many_paths || path != request.path || path == sa.path {
        // It proves no path (M3.7-4), or an update was faster. If the peer is there, more of its ESP will say so.
        return None;
    }
    *checking = false;
    ctx.counters.repairs_made += 1;
    if let Some(detected) = detected(sa, payloads, path) {
        sa.set_nat(now, detected.nat);
    }
    sa.strays.left(now, sa.path.remote);
    sa.re_aim(ctx, now, path);
    mobike::report_move(sa, ctx, true);
    None
}

/// The peer may not have processed our latest update, or it lost the address that we send to.
fn ask_whether_agreed(sa: &mut Established, ctx: &mut Context, now: Nanos) -> bool {
    if !sa.strays.is_due(now) {
        return false;
    }
    ctx.counters.strays_asked_about += 1;
    if sa.strays.asked == Nanos::default() || sa.heard < sa.strays.asked {
        sa.strays.asked = now;
        if sa.requests.is_idle() {
            sa.ask(ctx, now, Ask::Liveness);
        }
    } else {
        // The agreed path works, and yet the peer sends elsewhere: tell it again.
        sa.strays.asked = Nanos::default();
        let again = Ask::update(sa.generation, None);
        sa.settled = false;
        sa.ask_first(ctx, now, again, |ask| matches!(ask, Ask::Update { .. }));
    }
    true
}
