//! Places for things that come and go. A place keeps a generation, so that an old id never finds a newcomer.

/// Entries per chunk. The table grows by whole chunks and never moves what it holds.
const CHUNK: usize = 256;

const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Entry<T> {
    Used(T),
    /// The next free place, or `NONE`.
    Free(u32),
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
        let slot = slot_mut(&mut self.chunks, place)?;
        let Entry::Free(next) = slot.entry else { return None };
        slot.entry = Entry::Used(make(place, slot.generation));
        self.free = next;
        self.len += 1;
        Some(place)
    }

    /// What sits there now.
    #[must_use]
    pub fn get(&self, place: u32) -> Option<&T> {
        match &self.chunks.get(place as usize / CHUNK)?[place as usize % CHUNK].entry {
            Entry::Used(value) => Some(value),
            Entry::Free(_) => None,
        }
    }

    /// What sits there now, to be changed.
    pub fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        match &mut slot_mut(&mut self.chunks, place)?.entry {
            Entry::Used(value) => Some(value),
            Entry::Free(_) => None,
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
        if matches!(slot.entry, Entry::Free(_)) {
            return None;
        }
        let Entry::Used(value) = core::mem::replace(&mut slot.entry, Entry::Free(free)) else { return None };
        slot.generation = slot.generation.wrapping_add(1);
        self.free = place;
        self.len -= 1;
        Some(value)
    }

    /// Everything with its place.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).zip(0..).filter_map(|(slot, place)| match &slot.entry {
            Entry::Used(value) => Some((place, value)),
            Entry::Free(_) => None,
        })
    }

    fn grow(&mut self) {
        let base = (self.chunks.len() * CHUNK) as u32;
        let end = base + CHUNK as u32;
        let next = |place| if place + 1 == end { NONE } else { place + 1 };
        self.chunks.push((base..end).map(|place| Slot { generation: 0, entry: Entry::Free(next(place)) }).collect());
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
