//! What an engine is made with, and what strangers may cost it.

use crate::table::debts::{MOST_PERCENT, Standing, Width};

/// What an engine is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our number among the shards; written into every SPI we choose.
    pub shard: u8,
    /// How many shards there are, at most [`Settings::MAX_SHARDS`].
    pub shards: u8,
    /// UDP port of IKE without NAT traversal (500).
    pub ike_port: u16,
    /// UDP port of IKE with NAT traversal (4500).
    pub natt_port: u16,
    /// What strangers may cost.
    pub half_open: HalfOpenLimits,
    /// What questions about peers may cost.
    pub questions: QuestionLimits,
    /// IKE SAs this shard may hold, half-open ones included.
    pub max_sas: u32,
    /// As initiator: the hardest puzzle that is solved, in zero bits.
    pub hardest_solved: u8,
}

impl Settings {
    /// An ESP SPI has four bits for the shard.
    pub const MAX_SHARDS: u8 = 16;
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            shard: 0,
            shards: 1,
            ike_port: 500,
            natt_port: 4500,
            half_open: HalfOpenLimits::default(),
            questions: QuestionLimits::default(),
            max_sas: 1 << 20,
            hardest_solved: 20,
        }
    }
}

/// What strangers may cost before they prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfOpenLimits {
    /// With so many half-open SAs, a stranger must first return a COOKIE (RFC 7296 section 2.6).
    pub cookie_threshold: u32,
    /// With so many, new IKE_SA_INIT requests are dropped.
    pub max: u32,
    /// What those from one prefix may cost.
    pub prefixes: PrefixLimits,
    /// When those who ask must work for it.
    pub puzzles: PuzzleLimits,
    /// A half-open SA lives for so long.
    pub lifetime: core::time::Duration,
}

impl Default for HalfOpenLimits {
    fn default() -> Self {
        HalfOpenLimits {
            cookie_threshold: 1_000,
            max: 50_000,
            prefixes: PrefixLimits::default(),
            puzzles: PuzzleLimits::default(),
            lifetime: core::time::Duration::from_secs(30),
        }
    }
}

/// What strangers from one prefix may cost: a unit for each IKE_SA_INIT served, given back by who authenticates
/// ([`debts`](crate::table::debts)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixLimits {
    /// Bits of IPv4 and IPv6 addresses that name one site.
    pub site: (u8, u8),
    /// The same for the network around it.
    pub network: (u8, u8),
    /// A site that owes so much must return a COOKIE first.
    pub cookie_threshold: u32,
    /// A site that owes so much is not served.
    pub max: u32,
    /// A network may owe so many times what a site may.
    pub network_times: u32,
    /// So much of a site's debt is forgiven every second, and so many times as much of a network's.
    pub forgiven_per_second: u32,
    /// A failed authentication costs so much more.
    pub failure_costs: u32,
    /// Sites, and networks, that are remembered; the one that owes least makes room for another.
    pub tracked: u32,
}

impl PrefixLimits {
    /// The limits of a site, and those of a network.
    #[must_use]
    pub fn widths(&self) -> [Width; 2] {
        let site = Width {
            lengths: self.site,
            cookie_threshold: self.cookie_threshold,
            max: self.max,
            per_second: self.forgiven_per_second,
        };
        let network = Width {
            lengths: self.network,
            cookie_threshold: self.cookie_threshold.saturating_mul(self.network_times),
            max: self.max.saturating_mul(self.network_times),
            per_second: self.forgiven_per_second.saturating_mul(self.network_times),
        };
        [site, network]
    }
}

impl Default for PrefixLimits {
    fn default() -> Self {
        PrefixLimits {
            site: (32, 64),
            network: (24, 48),
            cookie_threshold: 16,
            max: 256,
            network_times: 8,
            forgiven_per_second: 4,
            failure_costs: 7,
            tracked: 4_096,
        }
    }
}

/// What peers may cost that have signed IKE_AUTH and wait for the control plane to judge their certificates. Anybody can
/// make a certificate, so they are strangers still: they count as half-open too, and the cookie gate sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionLimits {
    /// So many questions wait at a time. Beyond, IKE_AUTH is dropped, and the peer repeats it.
    pub max: u32,
    /// So many octets of messages wait with them.
    pub max_octets: u64,
    /// After so long without a verdict the peer is refused.
    pub patience: core::time::Duration,
    /// An EAP conversation, which is many questions, must be over after so long. Somebody may have to type a password.
    pub conversation: core::time::Duration,
}

impl Default for QuestionLimits {
    fn default() -> Self {
        QuestionLimits {
            max: 4_096,
            max_octets: 32 << 20,
            patience: core::time::Duration::from_secs(10),
            conversation: core::time::Duration::from_secs(60),
        }
    }
}

/// When those who ask must solve a puzzle first (RFC 8019): with so many half-open SAs, or from a prefix that owes more than
/// it may. The difficulty grows with the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PuzzleLimits {
    /// With so many half-open SAs, everybody.
    pub threshold: u32,
    /// Zero bits where a puzzle is first asked for.
    pub easiest: u8,
    /// Zero bits at the limit; 0: no puzzles.
    pub hardest: u8,
    /// So many that return the cookie and do not solve the puzzle are served each second: older clients do not know it.
    pub unsolved_per_second: u32,
    /// With so many half-open SAs, whoever solved one for IKE_SA_INIT must solve another for what follows.
    pub auth_threshold: u32,
}

impl Default for PuzzleLimits {
    fn default() -> Self {
        PuzzleLimits { threshold: 10_000, easiest: 12, hardest: 18, unsolved_per_second: 20, auth_threshold: 20_000 }
    }
}

impl PuzzleLimits {
    /// How hard a puzzle whoever stands so must solve. None: no puzzle.
    #[must_use]
    pub fn difficulty(&self, half_open: u32, most: u32, standing: Standing) -> Option<u8> {
        if self.hardest == 0 {
            return None;
        }
        let load = half_open.checked_sub(self.threshold);
        let of_load = load.map(|above| self.scaled(above, most.saturating_sub(self.threshold)));
        let of_prefix = match standing {
            Standing::Barred { percent, .. } => Some(self.scaled(percent.saturating_sub(100), MOST_PERCENT - 100)),
            Standing::Good | Standing::Suspect => None,
        };
        of_load.max(of_prefix)
    }

    fn scaled(&self, part: u32, whole: u32) -> u8 {
        let room = u64::from(self.hardest.saturating_sub(self.easiest));
        let bits = (room * u64::from(part) / u64::from(whole.max(1))).min(room);
        self.easiest.saturating_add(u8::try_from(bits).unwrap_or(u8::MAX))
    }
}
