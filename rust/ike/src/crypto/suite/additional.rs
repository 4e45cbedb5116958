//! The key exchanges after the first one (RFC 9370), up to seven.

use core::fmt;

use crate::crypto::algorithm::KeMethod;

/// Additional key exchanges, each at its place: transform types 6 to 12. A place may stay empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Additional([Option<KeMethod>; Additional::PLACES]);

impl Additional {
    /// How many there may be (RFC 9370 section 2.2.1).
    pub const PLACES: usize = 7;

    /// None.
    pub const NONE: Additional = Additional([None; Additional::PLACES]);

    /// One, at the first place.
    #[must_use]
    pub const fn first(method: KeMethod) -> Additional {
        let mut all = Additional::NONE;
        all.0[0] = Some(method);
        all
    }

    /// What is at a place, from 0.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<KeMethod> {
        self.0.get(place).copied().flatten()
    }

    /// Put one at a place, and hear what was there.
    pub fn put(&mut self, place: usize, method: KeMethod) -> Option<KeMethod> {
        self.0.get_mut(place).and_then(|slot| slot.replace(method))
    }

    /// Those that are there, in the order in which they are done.
    pub fn methods(&self) -> impl Iterator<Item = KeMethod> + '_ {
        self.0.iter().flatten().copied()
    }

    /// The same with their places, from 0.
    pub fn placed(&self) -> impl Iterator<Item = (usize, KeMethod)> + '_ {
        self.0.iter().enumerate().filter_map(|(place, method)| Some((place, (*method)?)))
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Is there one that comes twice? Their secrets would add nothing to each other (RFC 9370 section 2.2.1).
    #[must_use]
    pub fn repeats(&self, first: Option<KeMethod>) -> Option<KeMethod> {
        let mut seen: Vec<KeMethod> = first.into_iter().collect();
        self.methods().find(|method| {
            let again = seen.contains(method);
            seen.push(*method);
            again
        })
    }
}

/// `-ke1_mlkem768-ke2_ecp384`.
impl fmt::Display for Additional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.placed().try_for_each(|(place, method)| write!(f, "-ke{}_{method}", place + 1))
    }
}
