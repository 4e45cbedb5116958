//! Who is connected, for INITIAL_CONTACT. The index knows hashes and places; whoever looks compares the identity itself.

use core::hash::{BuildHasher, Hash, Hasher};

use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use crate::id::{Identity, ProfileId};

/// The index of established IKE SAs by profile and peer identity.
#[derive(Debug, Default)]
pub struct Identities {
    holders: HashMap<u32, Holders>,
    hasher: DefaultHashBuilder,
}

/// Nearly always one; a shared identity may have any number.
#[derive(Debug)]
enum Holders {
    One(u32),
    Many(Box<HashSet<u32>>),
}

impl Identities {
    /// The short name of an identity under a profile.
    #[must_use]
    pub fn digest(&self, profile: ProfileId, id: &Identity) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        profile.hash(&mut hasher);
        id.hash(&mut hasher);
        hasher.finish() as u32
    }

    /// Remember that `place` is connected to whoever `digest` stands for.
    pub fn add(&mut self, digest: u32, place: u32) {
        match self.holders.entry(digest) {
            Entry::Vacant(entry) => {
                entry.insert(Holders::One(place));
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Holders::One(first) => {
                    let both = HashSet::from_iter([*first, place]);
                    entry.insert(Holders::Many(Box::new(both)));
                }
                Holders::Many(places) => {
                    places.insert(place);
                }
            },
        }
    }

    /// Forget it.
    pub fn remove(&mut self, digest: u32, place: u32) {
        let Entry::Occupied(mut entry) = self.holders.entry(digest) else { return };
        let empty = match entry.get_mut() {
            Holders::One(only) => *only == place,
            Holders::Many(places) => {
                places.remove(&place);
                places.is_empty()
            }
        };
        if empty {
            entry.remove();
        }
    }

    /// Places that may be connected to whoever `digest` stands for.
    #[must_use]
    pub fn find(&self, digest: u32) -> Vec<u32> {
        match self.holders.get(&digest) {
            None => Vec::new(),
            Some(Holders::One(place)) => vec![*place],
            Some(Holders::Many(places)) => places.iter().copied().collect(),
        }
    }
}
