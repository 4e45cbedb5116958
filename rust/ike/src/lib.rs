//! The IKEv2 and MOBIKE engine, sans-IO: no sockets, no threads, no clock, no OS randomness.
//!
//! ```text
//! engine    the only door: handle_datagram, handle_command, handle_timeout; poll_event, poll_transmit, poll_timeout
//! command   orders in              event   facts out            counters   every drop has its reason
//! profile   standing orders        paths    which addresses they allow    proofs   how both ends prove who they are
//! children  which Child SAs a profile wants, and allows
//! park      an established SA as octets, and back: what survives a restart
//! handout   what goes with inner addresses    eap   packets of a method, as they are
//! id        names of things        selector traffic selectors
//! table     many SAs: slab, SPIs, timer wheel, half-open defence
//! sa        one IKE SA: window, timers, path; sa/exchange: one exchange per file
//! crypto    suites, key schedule   wire    bytes and meaning
//! ```
#![forbid(unsafe_code)]

pub mod children;
pub mod command;
pub mod counters;
pub mod crypto;
pub mod eap;
pub mod engine;
pub mod event;
pub mod handout;
pub mod id;
pub mod limits;
pub mod park;
pub mod path;
pub mod paths;
pub mod profile;
pub mod proofs;
pub mod redirect;
pub mod resumption;
pub mod sa;
pub mod selector;
pub mod settings;
pub mod table;
pub mod terms;
pub mod time;
pub mod transmit;
pub mod wire;

pub use children::{ChildMode, ChildOrders, ChildPlan};
pub use command::{Command, NattPorts, Verdict};
pub use counters::Counters;
pub use eap::{EapPacket, EapReply};
pub use engine::{Engine, Quoted};
pub use event::{Authorise, ChildInstall, EapAsked, Event, IkeSaUp, NatView, PairSeen, Sends};
pub use handout::{Handout, Wanted};
pub use id::{ChildId, Generation, Identity, IdentityPattern, ProfileId, Question, Role, SaId, Token};
pub use limits::{ChildLimits, Limits, Volume};
pub use path::{Path, Transport};
pub use paths::{PathOrders, Prefix};
pub use profile::{Childless, Profile};
pub use proofs::{Credential, LocalProof, Ppk, Proofs, RemoteProof};
pub use redirect::{Redirect, TurnAway};
pub use resumption::Resumption;
pub use sa::exchange::streams::StreamUse;
pub use sa::trace::{Asked, Exchange, Topic};
pub use sa::watch::Traffic;
pub use selector::Selector;
pub use settings::{HalfOpenLimits, PrefixLimits, PuzzleLimits, QuestionLimits, Settings};
pub use terms::Terms;
pub use time::Nanos;
pub use transmit::Transmit;
pub use wire::{Extensions, Gateway};
