//! What strangers from one prefix owe: the memory of a gateway that many knock at (RFC 8019 section 6).
//!
//! An IKE_SA_INIT that is served costs its prefix one unit, a failed authentication more. Who authenticates pays for itself
//! and for one failure of somebody else behind the same address: so a NAT with a thousand honest clients owes nothing, and
//! one bad neighbour does not keep them out. What is left is forgiven with time. Kept for two widths: the prefix of one
//! site (an IPv4 address, an IPv6 /64) and the network around it, which may owe a multiple.
//!
//! Memory is bounded: a fixed number of accounts; the one that owes least makes room. As long as cookies are not asked for,
//! anybody can spoof debts onto others, but no more than lead to being asked for a cookie.

use core::fmt;
use core::hash::Hasher;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::hash::DefaultHasher;

use crate::Nanos;
use crate::crypto::Random;
use crate::settings::PrefixLimits;

/// Addresses that are judged together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Its first address.
    pub first: IpAddr,
    /// Bits that count.
    pub len: u8,
}

impl Prefix {
    /// The prefix of this length around an address. An IPv4 address in IPv6 clothes is one.
    #[must_use]
    pub fn around(address: IpAddr, (v4, v6): (u8, u8)) -> Prefix {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let len = v4.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                Prefix { first: Ipv4Addr::from_bits(address.to_bits() & mask).into(), len }
            }
            IpAddr::V6(address) => {
                let len = v6.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                Prefix { first: Ipv6Addr::from_bits(address.to_bits() & mask).into(), len }
            }
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.len)
    }
}

/// How a prefix stands with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It owes little.
    Good,
    /// Who comes from there shows first that it receives there.
    Suspect,
    /// It owes so much.
    Barred {
        /// The prefix: the site or its network, whichever owes more of what it may.
        prefix: Prefix,
        /// Percent of what it may owe; 100 and more.
        percent: u32,
    },
}

/// All prefixes that owe something.
#[derive(Debug, Default)]
pub struct Debts {
    /// Made with the first debt.
    ledgers: Option<Box<[Ledger; 2]>>,
}

/// A failure is told to people at most once in this long for each prefix.
const TELL_EVERY: Duration = Duration::from_secs(10);

impl Debts {
    /// How does whoever is at this address stand with us?
    #[must_use]
    pub fn standing(&self, now: Nanos, limits: &PrefixLimits, from: IpAddr) -> Standing {
        let Some(ledgers) = &self.ledgers else { return Standing::Good };
        let mut standing = Standing::Good;
        let mut worst = 99;
        for (ledger, width) in ledgers.iter().zip(limits.widths()) {
            let prefix = Prefix::around(from, width.lengths);
            let owes = ledger.find(prefix).map_or(0, |account| account.owes_now(now, width.per_second));
            let percent = percent(owes, width.max);
            if percent > worst {
                worst = percent;
                standing = Standing::Barred { prefix, percent };
            } else if standing == Standing::Good && owes >= width.cookie_threshold {
                standing = Standing::Suspect;
            }
        }
        standing
    }

    /// An IKE_SA_INIT from there was served.
    pub fn lend(&mut self, now: Nanos, random: &mut dyn Random, limits: &PrefixLimits, from: IpAddr) {
        self.charge(now, random, limits, from, 1);
    }

    /// Whoever asked from there did not prove who it is.
    pub fn failed(&mut self, now: Nanos, random: &mut dyn Random, limits: &PrefixLimits, from: IpAddr) {
        self.charge(now, random, limits, from, limits.failure_costs);
    }

    /// Whoever asked from there proved who it is.
    pub fn repaid(&mut self, now: Nanos, limits: &PrefixLimits, from: IpAddr) {
        let Some(ledgers) = &mut self.ledgers else { return };
        for (ledger, width) in ledgers.iter_mut().zip(limits.widths()) {
            if let Some(account) = ledger.find_mut(Prefix::around(from, width.lengths)) {
                account.settle(now, width.per_second);
                account.owes = account.owes.saturating_sub(limits.failure_costs.saturating_add(2).saturating_mul(UNIT));
            }
        }
    }

    /// A request from this prefix was dropped. How many were since people were told last, if they are to be told now.
    pub fn dropped(&mut self, now: Nanos, prefix: Prefix) -> Option<u32> {
        let ledgers = self.ledgers.as_deref_mut()?;
        let account = ledgers.iter_mut().find_map(|ledger| ledger.find_mut(prefix))?;
        account.dropped = account.dropped.saturating_add(1);
        (now >= account.tell_at).then(|| {
            account.tell_at = now + TELL_EVERY;
            core::mem::take(&mut account.dropped)
        })
    }

    fn charge(&mut self, now: Nanos, random: &mut dyn Random, limits: &PrefixLimits, from: IpAddr, units: u32) {
        let make = || {
            let key = [random.next_u64(), random.next_u64()];
            Box::new([Ledger::new(limits.tracked, key), Ledger::new(limits.tracked, key)])
        };
        let ledgers = self.ledgers.get_or_insert_with(make);
        for (ledger, width) in ledgers.iter_mut().zip(limits.widths()) {
            let account = ledger.open(now, width.per_second, Prefix::around(from, width.lengths));
            account.settle(now, width.per_second);
            account.owes = account.owes.saturating_add(units.saturating_mul(UNIT)).min(width.ceiling());
        }
    }
}

/// Parts of a unit, so that little is forgiven in short times too.
const UNIT: u32 = 1_000;

/// The limits for prefixes of one width.
#[derive(Debug, Clone, Copy)]
pub struct Width {
    /// Of IPv4 and IPv6.
    pub lengths: (u8, u8),
    /// Who owes so much must return a cookie.
    pub cookie_threshold: u32,
    /// Who owes so much is not served.
    pub max: u32,
    /// So much is forgiven.
    pub per_second: u32,
}

impl Width {
    /// No debt grows beyond this, so that the worst is forgiven in a known time.
    fn ceiling(&self) -> u32 {
        self.max.saturating_mul(MOST_PERCENT / 100).saturating_mul(UNIT)
    }
}

/// A debt is never more than so many percent of what may be owed.
pub const MOST_PERCENT: u32 = 400;

fn percent(owes: u32, max: u32) -> u32 {
    u32::try_from(u64::from(owes) * 100 / u64::from(max.max(1))).unwrap_or(u32::MAX)
}

#[derive(Debug, Clone, Copy)]
struct Account {
    prefix: Prefix,
    /// In parts of a unit, at `since`.
    owes: u32,
    since: Nanos,
    /// Requests dropped since people were told.
    dropped: u32,
    tell_at: Nanos,
}

impl Account {
    fn owes_parts(&self, now: Nanos, per_second: u32) -> u32 {
        let millis = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX);
        let forgiven = millis.saturating_mul(u64::from(per_second)).saturating_mul(u64::from(UNIT)) / 1_000;
        self.owes.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    /// Whole units.
    fn owes_now(&self, now: Nanos, per_second: u32) -> u32 {
        self.owes_parts(now, per_second).div_ceil(UNIT)
    }

    fn settle(&mut self, now: Nanos, per_second: u32) {
        self.owes = self.owes_parts(now, per_second);
        self.since = now;
    }
}

/// Accounts that a prefix may have its own among.
const WAYS: usize = 4;

/// The accounts of one width.
#[derive(Debug)]
struct Ledger {
    sets: Vec<[Option<Account>; WAYS]>,
    key: [u64; 2],
}

impl Ledger {
    fn new(tracked: u32, key: [u64; 2]) -> Ledger {
        let sets = (tracked as usize).div_ceil(WAYS).max(1);
        Ledger { sets: vec![[None; WAYS]; sets], key }
    }

    /// Nobody can tell without the key which prefixes share a set.
    fn set_of(&self, prefix: Prefix) -> usize {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.key[0]);
        hasher.write_u64(self.key[1]);
        match prefix.first {
            IpAddr::V4(address) => hasher.write_u32(address.to_bits()),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits()),
        }
        (hasher.finish() % self.sets.len() as u64) as usize
    }

    fn find(&self, prefix: Prefix) -> Option<&Account> {
        self.sets[self.set_of(prefix)].iter().flatten().find(|account| account.prefix == prefix)
    }

    fn find_mut(&mut self, prefix: Prefix) -> Option<&mut Account> {
        let set = self.set_of(prefix);
        self.sets[set].iter_mut().flatten().find(|account| account.prefix == prefix)
    }

    /// Its account; a new one takes the place of the one that owes least.
    fn open(&mut self, now: Nanos, per_second: u32, prefix: Prefix) -> &mut Account {
        let set = self.set_of(prefix);
        let set = &mut self.sets[set];
        let its_own = |account: &Option<Account>| account.is_some_and(|account| account.prefix == prefix);
        let cheapest = |set: &[Option<Account>; WAYS]| {
            let weight = |at: &usize| set[*at].map_or(0, |account| 1 + u64::from(account.owes_parts(now, per_second)));
            (0..WAYS).min_by_key(weight).unwrap_or(0)
        };
        let at = set.iter().position(its_own).unwrap_or_else(|| {
            let at = cheapest(set);
            set[at] = None;
            at
        });
        set[at].get_or_insert(Account { prefix, owes: 0, since: now, dropped: 0, tell_at: now })
    }
}

#[cfg(test)]
mod tests {
    use super::{Debts, Prefix, Standing};
    use crate::Nanos;
    use crate::crypto::SeededRandom;
    use crate::settings::PrefixLimits;

    const LIMITS: PrefixLimits = PrefixLimits {
        site: (32, 64),
        network: (24, 48),
        cookie_threshold: 4,
        max: 10,
        network_times: 3,
        forgiven_per_second: 2,
        failure_costs: 5,
        tracked: 64,
    };

    fn at(seconds: u64) -> Nanos {
        Nanos(seconds * 1_000_000_000)
    }

    struct Play(Debts, SeededRandom);

    impl Play {
        fn new() -> Play {
            Play(Debts::default(), SeededRandom::new([7; 32]))
        }

        fn lend(&mut self, seconds: u64, from: &str, times: u32) {
            (0..times).for_each(|_| self.0.lend(at(seconds), &mut self.1, &LIMITS, from.parse().unwrap()));
        }

        fn failed(&mut self, seconds: u64, from: &str) {
            self.0.failed(at(seconds), &mut self.1, &LIMITS, from.parse().unwrap());
        }

        fn standing(&self, seconds: u64, from: &str) -> Standing {
            self.0.standing(at(seconds), &LIMITS, from.parse().unwrap())
        }
    }

    fn barred(standing: Standing) -> Option<String> {
        match standing {
            Standing::Barred { prefix, .. } => Some(prefix.to_string()),
            Standing::Good | Standing::Suspect => None,
        }
    }

    #[test]
    fn a_prefix_is_the_address_without_the_bits_that_do_not_count() {
        let told = |address: &str, lengths| Prefix::around(address.parse().unwrap(), lengths).to_string();
        assert_eq!(told("192.0.2.77", (24, 64)), "192.0.2.0/24");
        assert_eq!(told("::ffff:192.0.2.77", (32, 64)), "192.0.2.77/32");
        assert_eq!(told("2001:db8:1:2:3::4", (24, 64)), "2001:db8:1:2::/64");
        assert_eq!(told("192.0.2.77", (0, 0)), "0.0.0.0/0");
        assert_eq!(told("2001:db8::1", (200, 200)), "2001:db8::1/128");
    }

    #[test]
    fn debts_lead_to_cookies_then_to_being_barred_and_are_forgiven_with_time() {
        let mut play = Play::new();
        play.lend(1, "192.0.2.1", 3);
        assert_eq!(play.standing(1, "192.0.2.1"), Standing::Good);
        play.lend(1, "192.0.2.1", 1);
        assert_eq!(play.standing(1, "192.0.2.1"), Standing::Suspect);
        play.lend(1, "192.0.2.1", 6);
        assert_eq!(barred(play.standing(1, "192.0.2.1")).as_deref(), Some("192.0.2.1/32"));
        assert_eq!(play.standing(1, "192.0.2.2"), Standing::Good, "a neighbour does not pay for it");
        assert_eq!(play.standing(2, "192.0.2.1"), Standing::Suspect);
        assert_eq!(play.standing(5, "192.0.2.1"), Standing::Good);
    }

    #[test]
    fn a_network_of_many_debtors_is_barred_as_a_whole() {
        let mut play = Play::new();
        for host in 1..=10 {
            play.lend(1, &format!("2001:db8:7:{host}::1"), 3);
        }
        assert_eq!(barred(play.standing(1, "2001:db8:7:99::1")).as_deref(), Some("2001:db8:7::/48"));
        assert_eq!(play.standing(1, "2001:db8:8::1"), Standing::Good);
    }

    #[test]
    fn a_nat_with_honest_clients_owes_nothing_though_one_of_them_guesses_secrets() {
        let mut play = Play::new();
        for _ in 0..1_000 {
            play.lend(1, "198.51.100.1", 2);
            play.failed(1, "198.51.100.1");
            play.0.repaid(at(1), &LIMITS, "198.51.100.1".parse().unwrap());
        }
        assert_eq!(play.standing(1, "198.51.100.1"), Standing::Good);
    }

    #[test]
    fn however_many_come_memory_is_bounded_and_the_worst_debtors_are_remembered() {
        let mut play = Play::new();
        play.lend(1, "203.0.113.1", 1_000);
        for n in 0..100_000u32 {
            play.lend(1, &format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255), 1);
        }
        let ledgers = play.0.ledgers.as_deref().unwrap();
        assert!(ledgers.iter().all(|ledger| ledger.sets.len() == 16));
        assert_eq!(barred(play.standing(1, "203.0.113.1")).as_deref(), Some("203.0.113.1/32"));
        assert_eq!(play.standing(21, "203.0.113.1"), Standing::Good, "no debt is for ever");
    }

    #[test]
    fn people_are_told_once_in_a_while_how_many_were_dropped() {
        let mut play = Play::new();
        play.lend(1, "192.0.2.1", 20);
        let Standing::Barred { prefix, percent } = play.standing(1, "192.0.2.1") else { panic!("barred") };
        assert_eq!(percent, 200);
        assert_eq!(play.0.dropped(at(1), prefix), Some(1));
        assert_eq!(play.0.dropped(at(2), prefix), None);
        assert_eq!(play.0.dropped(at(12), prefix), Some(2));
    }
}
