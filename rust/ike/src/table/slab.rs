//! Places for things that come and go. A place keeps a generation, so that an old id never finds a newcomer.

/// Entries per chunk. The table grows by whole chunks and never moves what it holds.
const CHUNK: usize = 256;

const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Entry<T> {
    Used(T),
    /// Neighbours in the chain of free places, or `NONE`.
    Free {
        prev: u32,
        next: u32,
    },
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    entry: Entry<T>,
}

/// A growing table with stable places.
#[derive(Debug)]
pub struct Slab<T> {
    chunks: Vec<Box<[Slot<T>]>>,
    free: u32,
    len: u32,
    limit: u32,
}

impl<T> Slab<T> {
    /// An empty table that never holds more than `limit` things.
    #[must_use]
    pub fn new(limit: u32) -> Slab<T> {
        Slab { chunks: Vec::new(), free: NONE, len: 0, limit }
    }

    /// How many things it holds.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Does it hold nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Can it take no more?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len >= self.limit
    }

    /// Put in what `make` makes of its place and generation. `None` if the table is full.
    pub fn insert_with(&mut self, make: impl FnOnce(u32, u32) -> T) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        if self.free == NONE {
            self.grow();
        }
        let place = self.free;
        let generation = self.generation(place)?;
        self.occupy(place, || make(place, generation)).then_some(place)
    }

    /// Put it where it sat in another table, under the same generation. `false` if that place is taken or beyond the limit.
    pub fn insert_at(&mut self, place: u32, generation: u32, value: T) -> bool {
        if !self.has_room_at(place) {
            return false;
        }
        while place as usize >= self.chunks.len() * CHUNK {
            self.grow();
        }
        let inserted = self.occupy(place, || value);
        if inserted && let Some(slot) = slot_mut(&mut self.chunks, place) {
            slot.generation = generation;
        }
        inserted
    }

    /// Would [`Slab::insert_at`] put something there?
    #[must_use]
    pub fn has_room_at(&self, place: u32) -> bool {
        !self.is_full() && place < self.limit && self.get(place).is_none()
    }

    fn occupy(&mut self, place: u32, make: impl FnOnce() -> T) -> bool {
        let Some(Slot { entry, .. }) = slot_mut(&mut self.chunks, place) else { return false };
        let Entry::Free { prev, next } = *entry else { return false };
        *entry = Entry::Used(make());
        self.chain(prev, next);
        self.len += 1;
        true
    }

    /// Make two free places neighbours; either may be `NONE`.
    fn chain(&mut self, before: u32, after: u32) {
        match slot_mut(&mut self.chunks, before).map(|slot| &mut slot.entry) {
            Some(Entry::Free { next, .. }) => *next = after,
            _ => self.free = after,
        }
        if let Some(Slot { entry: Entry::Free { prev, .. }, .. }) = slot_mut(&mut self.chunks, after) {
            *prev = before;
        }
    }

    /// What sits there now.
    #[must_use]
    pub fn get(&self, place: u32) -> Option<&T> {
        match &self.chunks.get(place as usize / CHUNK)?[place as usize % CHUNK].entry {
            Entry::Used(value) => Some(value),
            Entry::Free { .. } => None,
        }
    }

    /// What sits there now, to be changed.
    pub fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        match &mut slot_mut(&mut self.chunks, place)?.entry {
            Entry::Used(value) => Some(value),
            Entry::Free { .. } => None,
        }
    }

    /// How often the place was given out before.
    #[must_use]
    pub fn generation(&self, place: u32) -> Option<u32> {
        Some(self.chunks.get(place as usize / CHUNK)?[place as usize % CHUNK].generation)
    }

    /// Take out what sits there.
    pub fn remove(&mut self, place: u32) -> Option<T> {
        let free = self.free;
        let slot = slot_mut(&mut self.chunks, place)?;
        if matches!(slot.entry, Entry::Free { .. }) {
            return None;
        }
        let freed = Entry::Free { prev: NONE, next: free };
        let Entry::Used(value) = core::mem::replace(&mut slot.entry, freed) else { return None };
        slot.generation = slot.generation.wrapping_add(1);
        self.chain(place, free);
        self.free = place;
        self.len -= 1;
        Some(value)
    }

    /// Everything with its place.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).zip(0..).filter_map(|(slot, place)| match &slot.entry {
            Entry::Used(value) => Some((place, value)),
            Entry::Free { .. } => None,
        })
    }

    fn grow(&mut self) {
        let base = (self.chunks.len() * CHUNK) as u32;
        let end = base + CHUNK as u32;
        let free = |place| Entry::Free {
            prev: if place == base { NONE } else { place - 1 },
            next: if place + 1 == end { NONE } else { place + 1 },
        };
        self.chunks.push((base..end).map(|place| Slot { generation: 0, entry: free(place) }).collect());
        self.chain(end - 1, self.free);
        self.free = base;
    }
}

fn slot_mut<T>(chunks: &mut [Box<[Slot<T>]>], place: u32) -> Option<&mut Slot<T>> {
    chunks.get_mut(place as usize / CHUNK).map(|chunk| &mut chunk[place as usize % CHUNK])
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_place_given_out_again_has_another_generation() {
        let mut slab = Slab::new(1000);
        let place = slab.insert_with(|_, _| 'a').unwrap();
        let before = slab.generation(place).unwrap();
        assert_eq!(slab.remove(place), Some('a'));
        assert_eq!(slab.remove(place), None);
        let again = slab.insert_with(|_, _| 'b').unwrap();
        assert_eq!(again, place);
        assert_ne!(slab.generation(again).unwrap(), before);
        assert_eq!(slab.get(place), Some(&'b'));
    }

    #[test]
    fn what_comes_back_sits_where_it_sat_and_newcomers_sit_elsewhere() {
        let mut slab = Slab::new(1000);
        for place in [700, 3, 0, 255, 256, 511] {
            assert!(slab.insert_at(place, 7, place));
            assert!(!slab.insert_at(place, 8, 0), "{place} is taken");
            assert_eq!((slab.get(place), slab.generation(place)), (Some(&place), Some(7)));
        }
        assert!(!slab.insert_at(1000, 0, 0), "beyond the limit");
        let mut newcomers: Vec<u32> = core::iter::from_fn(|| slab.insert_with(|place, _| place)).collect();
        newcomers.extend([700, 3, 0, 255, 256, 511]);
        newcomers.sort_unstable();
        assert!(newcomers.windows(2).all(|two| two[0] < two[1]), "every place once");
        assert_eq!((newcomers.len(), slab.len()), (1000, 1000));
        for place in [255, 3, 700] {
            assert_eq!(slab.remove(place), Some(place));
        }
        assert!(slab.insert_at(3, 1, 33));
        assert_eq!([slab.insert_with(|place, _| place), slab.insert_with(|place, _| place)], [Some(700), Some(255)]);
        assert!(slab.is_full());
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut slab = Slab::new(300);
        let places: Vec<u32> = (0..300).map(|n| slab.insert_with(|_, _| n).unwrap()).collect();
        assert_eq!(slab.insert_with(|_, _| 300), None);
        assert!(places.iter().all(|place| slab.get(*place) == Some(place)));
        slab.remove(7);
        assert_eq!(slab.insert_with(|place, _| place), Some(7));
        assert_eq!(slab.iter().count(), 300);
    }
}
