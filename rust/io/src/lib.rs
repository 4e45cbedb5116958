//! The only crate with sockets, threads, clock, entropy and TUN. It runs the engine and userspace ESP, and parses no
//! further than the SPI.
//!
//! ```text
//! core        start, submit, take_events, counters, stop           config, words   what goes in and out
//! shard       one thread's loop: wait, mail, sockets, inner packets, deadlines, settle
//! join        engine and data plane together, without sockets         solo      one such shard alone: for simulations
//! hold        what waits until a data plane outside of the core carries a Child SA      card    what stays here of it
//! early       ESP that is here before its Child SA                 wants           packets that want a tunnel to come up
//! classify    IKE, ESP or keepalive, and whose                      plane           Child SAs into mobike_esp
//! socket      UDP sockets     batch   recvmmsg, sendmmsg            sockaddr        what the kernel writes
//! streams     TCP streams (RFC 9329)
//! inner       where inner packets go: port, TUN, nowhere            tun, packets
//! width       how long a packet each path takes                    too_big         who sent a longer one is told so
//! grumbles    ICMP errors about our datagrams                     recent          whose ESP such an error is about
//! mailbox     between threads: orders in, events out                plug            addresses treated as gone
//! park        an IKE SA with its Child SAs as one sealed record, and back
//! pool        each shard's part of an address pool                  clock, entropy, sys
//! ```
//!
//! What is promised:
//! - A Child SA is installed before the answer that announces it leaves; its keys go from the engine into the ESP table and
//!   nowhere else.
//! - No event is lost. Whoever reads them too slowly makes IKE wait, not memory grow (see [`mailbox`](self)).
//! - Nothing the kernel says about one datagram stops the others; ICMP is unreliable news: all it can do is to bring a
//!   test forward, if it quotes what we sent, and to make the kernel think a path narrower than it is, and then packets of
//!   552 bytes still pass.
//! - No allocation per packet on the way of ESP, except where a packet changes shards.

pub mod batch;
mod card;
mod classify;
pub mod clock;
mod config;
mod core;
mod counters;
mod early;
pub mod entropy;
mod grumbles;
mod hold;
mod inner;
mod join;
mod mailbox;
mod packets;
mod park;
mod plane;
mod plug;
mod pool;
mod recent;
mod seen;
mod shard;
mod sockaddr;
pub mod socket;
mod solo;
pub mod streams;
mod sys;
mod tape;
mod too_big;
pub mod tun;
mod wants;
mod width;
mod words;

pub use self::core::Core;
pub use config::{CoreConfig, InnerConfig, PlaneConfig, StartError};
pub use counters::IoCounters;
pub use join::Told;
pub use mailbox::RING_EVENTS;
pub use mobike_esp::Counters as ChildCounters;
pub use packets::Packets;
pub use park::{Record, Unusable, Verdict};
pub use plane::{esp_suite, sequence_numbers, userspace_knows};
pub use solo::{Carries, InStream, Outgoing, Solo};
pub use tape::{Frame, Taped};
pub use words::{ChildUp, Event, InstallChild, Operation, Order, PairKeys, Word};
