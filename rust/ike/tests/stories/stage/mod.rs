//! Two engines, a clock and a network between them; used by every story.
//!
//! ```text
//! pair     a client and a gateway, ready made: Pair::new(seed), .client_profile(..), .establish()
//! world    the loop: the earliest delivery or timer next, drained as the shell does it, rules checked after each step
//! host     one engine, its addresses, what it reported; getters for stories
//! net      latency, and what may happen to a message: Which it is, and its Fate
//! nat      a translator of source addresses, with ports that change and mappings that end
//! children what stories say of Child SAs
//! arrows   every message as a line, printed when a story fails
//! restart  a host ends and begins again
//! forger   opens what engines sealed, and seals what they would not say
//! keys     keys that sign
//! wires    streams between hosts
//! rules    what must hold after every step, whatever the story
//! ```
//!
//! Everything follows from the seed: the same story told twice sends the same octets. Time is virtual and starts at one
//! second. The shell's discipline is kept: after each `handle_*` first the events are taken, then the datagrams.
//!
//! A story reads: make a [`Pair`], say what shall happen to which message (`pair.net.lose(..)`), give orders, `settle()`
//! (nothing in the air, nothing due soon), then look at events, paths and arrows.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on fails")]

pub mod arrows;
pub mod children;
pub mod forger;
pub mod host;
pub mod keys;
pub mod nat;
pub mod net;
pub mod pair;
pub mod restart;
pub mod rules;
pub mod wires;
pub mod world;

pub use arrows::{Outcome, Told};
pub use forger::Forged;
pub use host::{Host, HostId};
pub use mobike_ike::wire::{ExchangeType, NotifyType};
pub use mobike_ike::{
    Command, Event, Generation, Identity, IdentityPattern, Nanos, NattPorts, Path, Profile, Role, SaId, Selector,
    Settings, Token,
};
pub use nat::Nat;
pub use net::{Fate, Which};
pub use pair::{CLIENT, CLIENT_LAN, GATEWAY, GATEWAY_LAN, LTE, PROFILE, Pair, WAN, WAN2, WIFI, ip, ms, secs};
pub use world::World;
