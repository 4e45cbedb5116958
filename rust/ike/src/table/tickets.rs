//! Tickets of IKE SAs (RFC 5723): what seals those that we give out, and those that gateways gave us for SAs that are gone.
//!
//! A ticket is the state itself, sealed: `version | key id | salt | count | sealed`, by a [`Vault`] of its own for each engine,
//! so that no two tickets share a key and a nonce though shards and gateways share the ticket key.

use core::time::Duration;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::Nanos;
use crate::crypto::vault::{KEY_ID_LEN, SALT_LEN, STORE_KEY_LEN, Vault};
use crate::crypto::{CryptoError, IkeSuite, Random, SecretBytes, SkD};
use crate::id::{Identity, ProfileId};
use crate::profile::Profile;

const VERSION: u8 = 1;
const HEAD_LEN: usize = 1 + KEY_ID_LEN;

/// Octets of the longest ticket that is looked at, ours or a gateway's: it must fit into one datagram with the rest.
pub const LONGEST: usize = 1_024;

/// Ticket keys that open: the one that seals, and those before it.
pub const MOST_KEYS: usize = 4;

/// Tickets that have been used, remembered by their last 16 octets: 2 MiB. Behind that the oldest may be used once more.
const MOST_SPENT: usize = 32_768;

/// Tickets of gone SAs that wait to be used: a MiB or two.
const MOST_HELD: usize = 4_096;

/// Gives out tickets, and takes them back.
#[derive(Default)]
pub struct Mint {
    /// The first seals, all open.
    vaults: Vec<([u8; KEY_ID_LEN], Vault)>,
    /// The time of day, at a moment of ours.
    clock: (Duration, Nanos),
    spent: HashSet<[u8; 16]>,
    in_order: VecDeque<[u8; 16]>,
}

impl Mint {
    /// Other keys from now on; `clock` is the time since 1970, for tickets outlive a process.
    pub fn set(
        &mut self,
        now: Nanos,
        clock: Duration,
        keys: &[SecretBytes],
        random: &mut impl Random,
    ) -> Result<(), CryptoError> {
        let mut vaults = Vec::new();
        for key in keys.iter().take(MOST_KEYS) {
            let key: &[u8; STORE_KEY_LEN] = key.expose().try_into().map_err(|_| CryptoError::BufferLength)?;
            let mut salt = [0; SALT_LEN];
            random.fill(&mut salt);
            let vault = Vault::for_tickets(key, salt)?;
            vaults.push((vault.key_id()?, vault));
        }
        (self.vaults, self.clock) = (vaults, (clock, now));
        Ok(())
    }

    /// Can tickets be given out?
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.vaults.is_empty()
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn time(&self, now: Nanos) -> u64 {
        let (clock, at) = self.clock;
        (clock + now.since(at)).as_secs()
    }

    /// A ticket with this in it.
    #[must_use]
    pub fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (id, vault) = self.vaults.first()?;
        let head: Vec<u8> = [VERSION].iter().chain(id).copied().collect();
        vault.seal(&head, plain).ok().filter(|ticket| ticket.len() <= LONGEST)
    }

    /// What is in a ticket of ours that was not used before.
    #[must_use]
    pub fn open(&self, ticket: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&[VERSION], rest) = ticket.split_first_chunk()? else { return None };
        let id = rest.first_chunk::<KEY_ID_LEN>().filter(|_| ticket.len() <= LONGEST)?;
        let (_, vault) = self.vaults.iter().find(|(known, _)| known == id)?;
        let is_new = ticket.last_chunk().is_some_and(|tag| !self.spent.contains(tag));
        is_new.then(|| vault.open(ticket, HEAD_LEN).ok()).flatten()
    }

    /// It was used.
    pub fn spend(&mut self, tag: [u8; 16]) {
        if self.in_order.len() >= MOST_SPENT
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.spent.remove(&oldest);
        }
        if self.spent.insert(tag) {
            self.in_order.push_back(tag);
        }
    }
}

/// A ticket that a gateway gave us, and what belongs to it.
pub struct Held {
    /// The ticket, as it came.
    pub ticket: Box<[u8]>,
    /// How long it was good when it came.
    pub lifetime: Duration,
    /// Not to be used after that.
    pub until: Nanos,
    /// The root of new keys.
    pub sk_d: SkD,
    /// The algorithms.
    pub suite: IkeSuite,
    /// Who the gateway proved to be.
    pub peer_id: Identity,
    /// Who we proved to be.
    pub local_id: Identity,
    /// What both were believed by ([`Resumption::rests_on`](crate::Resumption)).
    pub rests_on: Arc<[u8]>,
}

impl Held {
    /// May an IKE SA under these standing orders be taken up again by it? It came under older ones, of this process or of one
    /// before. Not where either end is believed by something else by now, or we go by another name.
    #[must_use]
    pub fn serves(&self, orders: &Profile) -> bool {
        let now = &orders.resumption;
        now.ask && now.rests_on == self.rests_on && orders.local_id == self.local_id
    }
}

impl core::fmt::Debug for Held {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Held {{ peer_id: {}, .. }}", self.peer_id)
    }
}

/// Tickets for SAs that are gone, by connection.
#[derive(Default)]
pub struct Purse {
    held: BTreeMap<ProfileId, VecDeque<Held>>,
    count: usize,
}

impl Purse {
    /// The SA it was given with is gone. Where there are too many, the one that ends first makes room.
    pub fn put(&mut self, profile: ProfileId, held: Held) {
        if self.count >= MOST_HELD
            && let Some(first) = self.held.values_mut().min_by_key(|held| held.front().map(|held| held.until))
        {
            self.count -= usize::from(first.pop_front().is_some());
            self.held.retain(|_, held| !held.is_empty());
        }
        self.count += 1;
        self.held.entry(profile).or_default().push_back(held);
    }

    /// One that can be used now; nobody else gets it.
    pub fn take(&mut self, now: Nanos, profile: ProfileId) -> Option<Held> {
        let held = self.held.get_mut(&profile)?;
        let before = held.len();
        held.retain(|held| held.until > now);
        let newest = held.pop_back();
        self.count -= before - held.len();
        if held.is_empty() {
            self.held.remove(&profile);
        }
        newest
    }

    /// Of its tickets none other is to be used any more.
    pub fn retain(&mut self, profile: ProfileId, wanted: impl FnMut(&Held) -> bool) {
        let Some(held) = self.held.get_mut(&profile) else { return };
        let before = held.len();
        held.retain(wanted);
        self.count -= before - held.len();
        if held.is_empty() {
            self.held.remove(&profile);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    fn mint(keys: &[u8], seed: u8) -> Mint {
        let mut mint = Mint::default();
        let keys: Vec<SecretBytes> = keys.iter().map(|key| SecretBytes::from_slice(&[*key; 32])).collect();
        mint.set(Nanos(5_000_000_000), Duration::from_secs(1_000), &keys, &mut SeededRandom::new([seed; 32])).unwrap();
        mint
    }

    #[test]
    fn another_engine_with_the_same_key_opens_a_ticket_and_one_with_other_keys_does_not() {
        let ticket = mint(&[1], 1).seal(b"state").unwrap();
        assert!(!ticket.windows(5).any(|five| five == b"state"));
        assert_eq!(&**mint(&[1], 2).open(&ticket).unwrap(), b"state");
        assert_eq!(&**mint(&[2, 1], 3).open(&ticket).unwrap(), b"state", "the key before");
        assert!(mint(&[2], 4).open(&ticket).is_none());
        assert!(Mint::default().seal(b"state").is_none() && Mint::default().open(&ticket).is_none());
    }

    #[test]
    fn no_octet_of_a_ticket_can_be_changed_or_left_out() {
        let mint = mint(&[1], 1);
        let ticket = mint.seal(b"state").unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert!(mint.open(&changed).is_none(), "octet {at}");
            assert!(mint.open(&ticket[..at]).is_none(), "cut before octet {at}");
        }
        assert!(mint.seal(&[0; LONGEST]).is_none(), "too long to be sent");
    }

    #[test]
    fn a_ticket_that_was_used_opens_nothing_any_more_and_memory_is_bounded() {
        let mut mint = mint(&[1], 1);
        let ticket = mint.seal(b"state").unwrap();
        mint.spend(*ticket.last_chunk().unwrap());
        assert!(mint.open(&ticket).is_none());
        for number in 0..2 * MOST_SPENT as u128 {
            mint.spend(number.to_be_bytes());
        }
        assert_eq!((mint.spent.len(), mint.in_order.len()), (MOST_SPENT, MOST_SPENT));
    }

    #[test]
    fn the_time_of_day_goes_on_with_ours() {
        assert_eq!(mint(&[1], 1).time(Nanos(8_500_000_000)), 1_003);
    }
}
