//! The IKEv2 and MOBIKE engine, sans-IO: no sockets, no threads, no clock, no OS randomness.
#![forbid(unsafe_code)]

pub mod crypto;
pub mod path;
pub mod time;
pub mod wire;

pub use path::Path;
pub use time::Nanos;
