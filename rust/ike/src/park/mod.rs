//! Parking: an established IKE SA as octets, and an SA made of them again, in this process or in the next.
//!
//! ```text
//! codec    Writer and Reader: fields one behind the other, in a buffer that wipes itself
//! values   addresses, paths, names: what many fields are made of
//! ```
//!
//! Each type writes and reads itself in a `park.rs` of its own, below the file that knows its private parts. Writing takes
//! the value apart completely, so a new field does not compile before somebody said what becomes of it. Whoever adds one
//! writes it, reads it (what an older [`VERSION`] lacks gets its default) and raises the version.
//!
//! What is parked holds every key of the SA. It is never to be stored as it is: [`crate::crypto::vault`] seals it.

pub mod codec;
mod values;

use core::fmt;

pub use codec::{Damage, Parked, Reader, Writer};

/// Of what is written. Readers know this one and none other yet.
pub const VERSION: u8 = 12;

/// How sure we are that the peer knows what we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was parked as the last thing that was done, and not long ago.
    Sure,
    /// Whoever held it may have gone on after it was written (a crash), or the peer may have forgotten it.
    Doubtful,
}

/// Why an IKE SA was not resumed. Nothing changed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeError {
    /// Written by another version of this program.
    Version(u8),
    /// Cannot be read.
    Damaged(Damage),
    /// No connection has this name any more.
    UnknownProfile(String),
    /// Its SPIs name another shard.
    OtherShard(u8),
    /// Its SPIs do not name the place that its id names.
    WrongPlace,
    /// Another SA sits where its SPIs lead.
    PlaceTaken,
    /// An inner address that it holds was leased to somebody else.
    LeaseTaken(core::net::IpAddr),
    /// A crash came while its keys were being replaced.
    KeysInDoubt,
    /// Its connection carries nothing any more of what its peer may reach.
    NothingWithinReach,
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResumeError::Version(version) => {
                write!(f, "it has format {version}, and this version of mobike reads format {VERSION}")
            }
            ResumeError::Damaged(damage) => damage.fmt(f),
            ResumeError::UnknownProfile(name) => write!(f, "its connection {name:?} is not configured any more"),
            ResumeError::OtherShard(shard) => write!(f, "its SPIs name shard {shard}"),
            ResumeError::WrongPlace => f.write_str("its SPIs and its id contradict each other"),
            ResumeError::PlaceTaken => f.write_str("another SA sits where its SPIs lead, or there is no such place"),
            ResumeError::LeaseTaken(address) => write!(f, "its inner address {address} is leased to another peer"),
            ResumeError::NothingWithinReach => {
                f.write_str("its connection carries nothing any more that its peer may reach")
            }
            ResumeError::KeysInDoubt => f.write_str("its keys were being replaced when the process was killed"),
        }
    }
}

impl core::error::Error for ResumeError {}

impl From<Damage> for ResumeError {
    fn from(damage: Damage) -> Self {
        ResumeError::Damaged(damage)
    }
}
