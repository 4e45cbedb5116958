//! Every limit of this crate, with its unit and its reason.

use core::time::Duration;

/// Pairs of SAs in one table: the slot field of the SPIs our engine mints is 20 bits wide.
pub const MAX_PAIRS: usize = 1 << 20;

/// Selectors on each side of one Child SA. A TS payload could carry 255; every packet may walk them all, and no
/// deployment we know of comes near this.
pub const MAX_SELECTORS: usize = 64;

/// Routes one Child SA may add. An address range that is not a prefix takes up to 254 of them (IPv6), so this allows
/// two of the worst kind and 512 plain ones, and keeps a peer from growing the table with odd ranges.
pub const MAX_ROUTES_PER_PAIR: usize = 512;

/// Child SAs that may share one inner prefix: rekeying needs two, port selectors a few more. A packet to that prefix
/// may ask all of them.
pub const MAX_PAIRS_PER_PREFIX: usize = 64;

/// IPv6 extension headers looked through for the upper protocol. RFC 8200 names six worth having once each; longer
/// chains are only seen in attacks.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// Replay window widths: RFC 4303 section 3.4.3 wants 64 as default; 1024 covers reordering on a few Gbit/s.
pub const REPLAY_WINDOW_MIN: u16 = 64;
/// See [`REPLAY_WINDOW_MIN`].
pub const REPLAY_WINDOW_MAX: u16 = 1024;

/// Last sequence number sent under a key: they are 32 bits wide and must not cycle (RFC 4303 section 3.3.3).
pub const LAST_SEQUENCE: u64 = u32::MAX as u64;

/// From here on a rekey is overdue: a sixteenth of the space is left, three minutes at a million packets per second.
pub const LATE_SEQUENCE: u64 = LAST_SEQUENCE - (LAST_SEQUENCE >> 4);

/// Last extended sequence number sent under a key: 2^40, a hundred days at 100,000 packets per second. The rest of the 64
/// bits of an IV tells lives of the pair apart.
pub const LAST_EXTENDED_SEQUENCE: u64 = (1 << 40) - 1;

/// From here on a rekey of a pair with extended numbers is overdue.
pub const LATE_EXTENDED_SEQUENCE: u64 = LAST_EXTENDED_SEQUENCE - (LAST_EXTENDED_SEQUENCE >> 4);

/// Packets that a pair may have carried since it was written down, and died: a second at sixteen million of them. A pair
/// can die two hundred times so.
pub const FORGOTTEN: u64 = 1 << 24;

/// A cipher context unused for this long is given back; building it again costs well under a microsecond.
pub const CONTEXT_IDLE: Duration = Duration::from_secs(30);

/// How often idle contexts are looked for.
pub const TRIM_EVERY: Duration = Duration::from_secs(1);

/// Turns that one round through the warm pairs takes, so that the work is spread over [`CONTEXT_IDLE`] and no turn is
/// long.
pub const TRIM_TURNS: usize = 30;

/// Pairs looked at in one turn even when there are few; some ten microseconds.
pub const TRIM_AT_LEAST: usize = 64;
