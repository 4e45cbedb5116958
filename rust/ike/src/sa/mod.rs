//! One IKE SA.
//!
//! ```text
//! Connecting       we sent IKE_SA_INIT                       exchange::init_initiator
//! HalfOpen         we answered it                            exchange::init_responder
//! Advancing        we sent IKE_INTERMEDIATE                  exchange::intermediate_initiator
//! Authenticating   we sent IKE_AUTH                          exchange::auth_initiator
//! Established      both sides proved who they are            exchange::informational, mobike
//! ```
//!
//! Beside them: `channel` opens and seals, `asked` writes our requests, `window` knows message ids, `repeat` and `timers` when
//! a request is sent again, `path` NAT detection, `watch` whether the path is alive, `trace` the last exchanges, `told` what
//! people are to know, `probe` what is known of all pairs, `child` the Child SA pairs, `context` what all SAs of an engine
//! share.

pub mod asked;
pub mod channel;
pub mod child;
pub mod context;
pub mod established;
pub mod exchange;
pub mod fragments;
pub mod pace;
pub mod path;
pub mod probe;
pub mod rekeying;
pub mod repeat;
pub mod timers;
pub mod told;
pub mod trace;
pub mod watch;
pub mod window;

use crate::Nanos;
use crate::id::Question;
use crate::sa::established::Established;
use crate::sa::exchange::auth_initiator::Authenticating;
use crate::sa::exchange::init_initiator::Connecting;
use crate::sa::exchange::init_responder::HalfOpen;
use crate::sa::exchange::intermediate_initiator::Advancing;
use crate::sa::trace::Asked;

/// One place in the table of an engine. Boxed, so that each state pays for what it needs.
#[derive(Debug)]
pub enum Sa {
    /// We sent IKE_SA_INIT and await its answer.
    AwaitInitAnswer(Box<Connecting>),
    /// We answered IKE_SA_INIT and await IKE_AUTH.
    AwaitAuth(Box<HalfOpen>),
    /// We sent IKE_INTERMEDIATE and await its answer.
    AwaitIntermediateAnswer(Box<Advancing>),
    /// We sent IKE_AUTH and await its answer.
    AwaitAuthAnswer(Box<Authenticating>),
    /// Both sides proved who they are.
    Established(Box<Established>),
    /// Over; the engine clears the place.
    Ended,
}

impl Sa {
    /// The question to the control plane that it waits for.
    #[must_use]
    pub fn awaits(&self) -> Option<Question> {
        match self {
            Sa::AwaitAuth(sa) => sa.awaits(),
            Sa::AwaitAuthAnswer(sa) => sa.awaits(),
            Sa::AwaitInitAnswer(_) | Sa::AwaitIntermediateAnswer(_) | Sa::Established(_) | Sa::Ended => None,
        }
    }

    /// The exchange of its set-up that is under way; of one that the peer began, while it waits for us.
    #[must_use]
    pub fn sets_up_by(&self) -> Option<Asked> {
        match self {
            Sa::AwaitInitAnswer(_) => Some(Asked::by_us(0)),
            Sa::AwaitAuth(sa) => sa.awaits().map(|_| Asked::by_peer(sa.auth_id)),
            Sa::AwaitIntermediateAnswer(sa) => Some(Asked::by_us(sa.asked_id())),
            Sa::AwaitAuthAnswer(sa) => Some(Asked::by_us(sa.auth_id())),
            Sa::Established(_) | Sa::Ended => None,
        }
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        match self {
            Sa::AwaitInitAnswer(sa) => sa.deadline(),
            Sa::AwaitAuth(sa) => sa.deadline(),
            Sa::AwaitIntermediateAnswer(sa) => sa.deadline(),
            Sa::AwaitAuthAnswer(sa) => sa.deadline(),
            Sa::Established(sa) => sa.deadline(),
            Sa::Ended => Nanos::NEVER,
        }
    }
}
