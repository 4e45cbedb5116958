//! Orders from the control plane to the engine.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::Path;
use crate::crypto::SecretBytes;
use crate::eap::EapReply;
use crate::id::{ChildId, Generation, Identity, ProfileId, Question, SaId, Token};
use crate::profile::Profile;
use crate::redirect::TurnAway;
use crate::terms::Terms;
use crate::wire::Gateway;

/// UDP ports used once IKE floats to NAT traversal (RFC 7296 section 2.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NattPorts {
    /// Ours.
    pub local: u16,
    /// The peer's; 4500 with everybody but test beds.
    pub remote: u16,
}

/// One order. A command for an SA that is gone does nothing and is counted.
#[derive(Debug, Clone)]
pub enum Command {
    /// Add or replace standing orders. An IKE SA that lives obeys at once what it can, and keeps the rest
    /// ([`Profile::followed_by`]); one that we are setting up is given up.
    SetProfile {
        /// Its name in later commands.
        id: ProfileId,
        /// The orders.
        profile: Arc<Profile>,
    },
    /// Forget standing orders. SAs that live keep them; those that we are setting up are given up.
    RemoveProfile {
        /// Which.
        id: ProfileId,
    },
    /// A peer had this inner address under the standing orders of a sticky pool so long ago: it is to get it again. Told at
    /// start; what an SA holds by then, or a pool does not hold, is not touched.
    Remember {
        /// The standing orders.
        profile: ProfileId,
        /// Who the peer proved to be.
        who: Identity,
        /// What it had.
        address: IpAddr,
        /// Since it left.
        ago: Duration,
    },
    /// The addresses we tell peers about in IKE_AUTH, most preferred first.
    SetLocalAddresses {
        /// All of them; the one in use is left out of what is sent.
        addresses: Arc<[IpAddr]>,
    },
    /// Set up an IKE SA with its first Child SA. The paths are tried in turn while the first request is repeated (M3.1-1).
    Connect {
        /// Comes back in `IkeSaUp` or `ConnectFailed`.
        token: Token,
        /// The standing orders.
        profile: ProfileId,
        /// Most wanted first; at least one.
        paths: Vec<Path>,
        /// Ports for IKE_AUTH and after.
        natt: NattPorts,
        /// The gateway that sent us on (RFC 5685 section 3).
        redirected_from: Option<IpAddr>,
    },
    /// These `Connect`s were ordered over paths that are not the best any more, or are wanted no more. Whoever of them hears
    /// nothing from its peer ends, as `ConnectFailed`; the others go on.
    GiveUp {
        /// Which.
        tokens: Arc<[Token]>,
        /// One line for people.
        why: Arc<str>,
    },
    /// Initiator: put the IKE SA on another path and tell the peer (RFC 4555 section 3.5).
    Move {
        /// Which.
        sa: SaId,
        /// The new path.
        path: Path,
        /// The decision; comes back in `Moved`, `MoveRefused` and `PathSilent`.
        generation: Generation,
        /// Our whole list of addresses, if it changed too.
        addresses: Option<Arc<[IpAddr]>>,
    },
    /// Tell the peer our whole list of addresses, without moving (RFC 4555 section 3.6).
    Announce {
        /// Which.
        sa: SaId,
        /// The list, most preferred first.
        addresses: Arc<[IpAddr]>,
        /// Send over this path; the current one if absent.
        path: Option<Path>,
        /// The decision.
        generation: Generation,
    },
    /// Test now whether the peer answers (RFC 4555 section 3.10).
    Probe {
        /// Which.
        sa: SaId,
        /// Test this path; the current one if absent.
        path: Option<Path>,
        /// The decision.
        generation: Generation,
    },
    /// Poll these pairs by path probes, and no others (docs/extensions/path-probes.md); told as `PairSeen`. Only where both
    /// ends offered the extension.
    Watch {
        /// Which.
        sa: SaId,
        /// The pairs; those behind [`MOST_PLACES`](crate::sa::probe::MOST_PLACES) are left out.
        paths: Arc<[Path]>,
        /// How often each is polled; zero: not at all.
        interval: Duration,
    },
    /// Initiator: ask the peer for leave to be away (docs/extensions/away.md). A move ends it.
    Away {
        /// Which.
        sa: SaId,
        /// For so long.
        span: Duration,
    },
    /// Give the IKE SA new keys now (RFC 7296 section 2.8).
    Rekey {
        /// Which.
        sa: SaId,
    },
    /// Initiator: set up another IKE SA in its place now, with new proofs of both ends (RFC 7296 section 2.8.3).
    Reauth {
        /// Which.
        sa: SaId,
    },
    /// Responder: send those who ask for an IKE SA on to another gateway (RFC 5685 section 4), from now on; `None`: nobody.
    TurnAway {
        /// Where to, and how many are served before.
        orders: Option<Arc<TurnAway>>,
    },
    /// Responder: give tickets from now on (RFC 5723), sealed with the first of these keys; all open. None: no tickets.
    SetTicketKeys {
        /// 32 octets each; at most four are used.
        keys: Arc<[SecretBytes]>,
        /// The time of day: since 1970.
        clock: Duration,
    },
    /// Responder: send an established peer on to another gateway (RFC 5685 section 5). The peer ends the IKE SA; if it does
    /// not within a minute, we do.
    Redirect {
        /// Which.
        sa: SaId,
        /// Where to: one of them, of the family of the path in use.
        to: Arc<[Gateway]>,
    },
    /// Replace a Child SA pair by a new one now.
    RekeyChild {
        /// Which.
        child: ChildId,
    },
    /// Delete the IKE SA and all its Child SAs.
    Close {
        /// Which.
        sa: SaId,
        /// One line for people.
        why: Arc<str>,
    },
    /// The answer to `Event::Authorise`. One that comes late, or twice, does nothing and is counted.
    Verdict {
        /// The SA in question.
        sa: SaId,
        /// The question.
        question: Question,
        /// The answer.
        verdict: Verdict,
    },
    /// Open a Child SA that the profile names, unless the IKE SA has it. Answered by `Event::ChildUp` or `Event::ChildFailed`.
    OpenChild {
        /// Under which IKE SA.
        sa: SaId,
        /// Its name.
        name: Arc<str>,
    },
    /// The answer to `Event::Eap`. One that comes late, or twice, does nothing and is counted.
    Eap {
        /// The SA in question.
        sa: SaId,
        /// The question.
        question: Question,
        /// The answer.
        reply: EapReply,
    },
    /// Delete one Child SA pair.
    CloseChild {
        /// Which.
        child: ChildId,
    },
}

/// May the peer in?
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It may.
    Allow {
        /// The SubjectPublicKeyInfo that was judged; it must be the one that the peer signed with.
        key: Box<[u8]>,
        /// Addresses that the peer's certificate proves: a move to them needs no check (RFC 4621 section 5.5).
        proven: Vec<IpAddr>,
        /// As the responder: what it may have.
        terms: Terms,
    },
    /// It may not.
    Deny {
        /// One line for people.
        why: Arc<str>,
    },
}
