//! Userspace ESP (RFC 4303), sans-IO: no sockets, no threads, no clock, no OS randomness.
//!
//! # What lives here
//!
//! One [`EspTable`] holds the Child SAs of one shard. Plain packets go in at [`EspTable::seal_routed`] and come out as
//! ESP; ESP goes in at [`EspTable::open`] and is decrypted in place. Tunnel mode with the algorithms of [`Suite`]. The
//! caller sends what comes out: over UDP as it is (RFC 3948), or as IP protocol 50 when
//! [`OuterPath::encap`] is [`Encap::None`].
//!
//! | file | holds |
//! |---|---|
//! | `table` | the door: install, move, remove, counters, events, time |
//! | `seal`, `open` | one packet, straight through |
//! | `packet` | offsets of the ESP packet, beside the drawing |
//! | `suite` | algorithms and their sizes |
//! | `keys` | raw keys, and the cipher contexts built from them while traffic flows; AEADs |
//! | `separate` | ciphers with an HMAC beside them |
//! | `replay` | the anti-replay window |
//! | `park` | a pair as plain values, and back: what survives a restart |
//! | `selector`, `inner` | what may travel inside, and what does |
//! | `route` | inner destination to Child SA |
//! | `framing` | what a datagram on port 4500 is |
//! | `limits` | every limit, with its reason |
//!
//! # What is promised
//!
//! - The outer addresses are read from the Child SA for each packet, so a MOBIKE move is one write
//!   ([`EspTable::set_outer`]); keys, sequence numbers and window stay as they are. `open` never changes the path.
//! - A sequence number, and with it an IV, is never used twice under a key. At the end of the space sealing stops.
//! - Nothing that is not authentic moves a window, warms a cipher context or counts as a sign of life.
//! - An idle pair of SAs costs some 600 bytes, indexes included: the cipher contexts (1200 more) exist only while
//!   traffic flows. Keys are wiped when an SA is removed or dropped.
//! - Only selectors that were agreed pass, in both directions (RFC 4301 section 5).
//!
//! # Extended sequence numbers
//!
//! Counters and windows are 64 bits wide inside. The high half is guessed from the top of the window in
//! [`ReplayWindow::extend`], and covered by the ICV in `packet::Covered`; nothing else knows the width on the wire.
#![forbid(unsafe_code)]

mod error;
mod event;
pub mod framing;
mod inner;
mod install;
mod keys;
pub mod limits;
mod open;
mod outer;
mod packet;
mod pair;
mod park;
mod replay;
mod route;
mod seal;
mod selector;
mod separate;
pub mod spi;
mod suite;
mod table;
mod time;
mod totals;
mod wear;

pub use error::{InstallError, OpenError, SealError, UnknownPair};
pub use event::EspEvent;
pub use inner::{Flow, Malformed};
pub use install::{Install, Keys, SequenceNumbers};
pub use open::Opened;
pub use outer::{Encap, OuterPath};
pub use packet::{max_inner, sealed_len};
pub use pair::{Counters, GroupId, SaPairId};
pub use park::{Life, ParkedPair, Since};
pub use replay::ReplayWindow;
pub use seal::Sealed;
pub use selector::{PortRange, Selector};
pub use suite::{GcmIcv, Integ, KeyBits, Suite};
pub use table::EspTable;
pub use time::Nanos;
pub use totals::TableCounters;
pub use wear::{Limits, Volume};
