//! Why something was refused.

use core::fmt;

use crate::{Malformed, OuterPath, SaPairId};

/// Why a pair of SAs was not installed. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallError {
    /// A pair with this id exists.
    IdInUse,
    /// Another pair receives on this SPI.
    SpiInUse(u32),
    /// SPIs below 256 are reserved (RFC 4303 section 2.1).
    SpiReserved(u32),
    /// Keying material of the wrong length for the suite, in bytes, salt included (RFC 4106 section 8.1).
    KeyLength {
        /// What the suite needs.
        want: usize,
        /// What was given.
        got: usize,
    },
    /// Both directions were given the same keying material; their IVs would collide under one key.
    SameKeys,
    /// Not a multiple of 64 within 64..=1024.
    ReplayWindow(u16),
    /// A side without selectors could carry nothing.
    NoSelectors,
    /// More than [`MAX_SELECTORS`](crate::limits::MAX_SELECTORS) on one side.
    TooManySelectors(usize),
    /// The remote selectors need more than [`MAX_ROUTES_PER_PAIR`](crate::limits::MAX_ROUTES_PER_PAIR) routes.
    TooManyRoutes,
    /// [`MAX_PAIRS_PER_PREFIX`](crate::limits::MAX_PAIRS_PER_PREFIX) pairs share one of the inner prefixes.
    PrefixCrowded,
    /// The table holds [`MAX_PAIRS`](crate::limits::MAX_PAIRS).
    TableFull,
    /// Its sequence numbers or its lives are used up.
    Exhausted,
}

/// No pair has this id (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPair(pub SaPairId);

/// Why a packet was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// No pair has this id.
    UnknownPair,
    /// No Child SA carries this packet.
    NoRoute,
    /// The inner packet is not sound IP.
    Malformed(Malformed),
    /// The pair has not agreed to carry this packet.
    Selector,
    /// The peer is away; nothing is sent to it.
    Away,
    /// Longer than its path takes.
    TooLong {
        /// The longest inner packet that it takes, in bytes.
        most: usize,
        /// The path.
        outer: OuterPath,
    },
    /// The output is too short; this many bytes are needed.
    NoRoom(usize),
    /// All sequence numbers are used (RFC 4303 section 3.3.3).
    SequenceExhausted,
    /// The pair has carried all that it may.
    Spent,
    /// The cipher refused; the sequence number is spent.
    Cipher,
}

/// Why a packet was not opened. Each is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// Too short for ESP, or not a multiple of four bytes long.
    Length,
    /// No inbound SA has this SPI.
    UnknownSpi(u32),
    /// Seen before, or too old to tell (RFC 4303 section 3.4.3).
    Replay,
    /// The pair has carried all that it may.
    Spent,
    /// The ICV is wrong.
    Icv,
    /// Authentic, but padding or next header are not what RFC 4303 sections 2.4 and 2.6 allow in tunnel mode.
    Trailer,
    /// Authentic, but what is inside is not sound IP.
    Malformed(Malformed),
    /// Authentic, but what is inside was not agreed (RFC 4301 section 5.2); the peer is misconfigured or lying.
    Selector,
    /// A dummy packet (RFC 4303 section 2.6): authentic, and made to be dropped without a word.
    Dummy,
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdInUse => write!(f, "the id is in use"),
            Self::SpiInUse(spi) => write!(f, "inbound SPI {spi:#010x} is in use"),
            Self::SpiReserved(spi) => write!(f, "SPI {spi} is reserved"),
            Self::KeyLength { want, got } => write!(f, "keying material is {got} bytes, the suite needs {want}"),
            Self::SameKeys => write!(f, "both directions have the same keys"),
            Self::ReplayWindow(width) => write!(f, "replay window {width} is not a multiple of 64 in 64..=1024"),
            Self::NoSelectors => write!(f, "no traffic selectors"),
            Self::TooManySelectors(count) => write!(f, "{count} traffic selectors on one side"),
            Self::TooManyRoutes => write!(f, "the remote selectors need too many routes"),
            Self::PrefixCrowded => write!(f, "too many Child SAs share one inner prefix"),
            Self::TableFull => write!(f, "the table is full"),
            Self::Exhausted => write!(f, "its sequence numbers are used up"),
        }
    }
}

impl fmt::Display for UnknownPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no pair of SAs has the id {}", self.0.0)
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPair => write!(f, "no such pair of SAs"),
            Self::NoRoute => write!(f, "no Child SA carries this packet"),
            Self::Malformed(what) => write!(f, "inner packet: {what}"),
            Self::Selector => write!(f, "outside the agreed selectors"),
            Self::Away => write!(f, "the peer is away"),
            Self::TooLong { most, outer } => write!(f, "{outer} takes inner packets of {most} bytes at most"),
            Self::NoRoom(need) => write!(f, "{need} bytes of room needed"),
            Self::SequenceExhausted => write!(f, "sequence numbers exhausted"),
            Self::Spent => write!(f, "the pair has carried all that it may"),
            Self::Cipher => write!(f, "the cipher refused"),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "not the length of an ESP packet"),
            Self::UnknownSpi(spi) => write!(f, "no inbound SA has SPI {spi:#010x}"),
            Self::Replay => write!(f, "replayed or too old"),
            Self::Spent => write!(f, "the pair has carried all that it may"),
            Self::Icv => write!(f, "wrong ICV"),
            Self::Trailer => write!(f, "bad padding or next header"),
            Self::Malformed(what) => write!(f, "inner packet: {what}"),
            Self::Selector => write!(f, "outside the agreed selectors"),
            Self::Dummy => write!(f, "dummy packet"),
        }
    }
}

impl core::error::Error for InstallError {}
impl core::error::Error for UnknownPair {}
impl core::error::Error for SealError {}
impl core::error::Error for OpenError {}
