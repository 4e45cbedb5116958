//! Fields one behind the other, numbers with the high octet first.
//!
//! Written by hand, because what is written are keys: a general serializer grows its buffer and leaves copies behind. Here
//! outgrown buffers are wiped, and what is read is bounded by what is there.

use core::fmt;

use zeroize::Zeroizing;

/// Something that can be written and read again.
pub trait Parked: Sized {
    /// Write it.
    fn park(&self, to: &mut Writer);

    /// Read it.
    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage>;
}

/// What was written cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// What was expected.
    pub what: &'static str,
    /// Octets left from there on.
    pub left: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged: no {} where one must be, {} octets before the end", self.what, self.left)
    }
}

/// Collects octets; they are wiped when it is dropped.
pub struct Writer {
    octets: Zeroizing<Vec<u8>>,
}

/// Most SAs fit; a larger one moves to a larger buffer.
const ROOM: usize = 2048;

impl Default for Writer {
    fn default() -> Self {
        Writer { octets: Zeroizing::new(Vec::with_capacity(ROOM)) }
    }
}

impl Writer {
    /// These octets as they are.
    pub fn octets(&mut self, octets: &[u8]) {
        if self.octets.capacity() - self.octets.len() < octets.len() {
            let mut larger = Vec::with_capacity(2 * (self.octets.len() + octets.len()));
            larger.extend_from_slice(&self.octets);
            self.octets = Zeroizing::new(larger);
        }
        self.octets.extend_from_slice(octets);
    }

    /// These octets, their number before them.
    pub fn counted(&mut self, octets: &[u8]) {
        count(octets.len()).park(self);
        self.octets(octets);
    }

    /// A value.
    pub fn put(&mut self, value: &impl Parked) {
        value.park(self);
    }

    /// As many as there are, their number before them.
    pub fn each<'v, T: Parked + 'v>(&mut self, values: impl ExactSizeIterator<Item = &'v T>) {
        count(values.len()).park(self);
        values.for_each(|value| value.park(self));
    }

    /// What was written.
    #[must_use]
    pub fn into_octets(self) -> Zeroizing<Vec<u8>> {
        self.octets
    }
}

/// Nothing of ours comes near four thousand million; what did would not be read back.
fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Reads what a [`Writer`] wrote.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From the beginning.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Reader<'a> {
        Reader { rest: octets }
    }

    /// This many octets as they are.
    pub fn octets(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Damage> {
        let (octets, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.damage(what))?;
        self.rest = rest;
        Ok(octets)
    }

    /// Octets that were written with their number.
    pub fn counted(&mut self, what: &'static str) -> Result<&'a [u8], Damage> {
        let count: u32 = self.get()?;
        self.octets(count as usize, what)
    }

    /// A value.
    pub fn get<T: Parked>(&mut self) -> Result<T, Damage> {
        T::unpark(self)
    }

    /// Values that were written with their number.
    pub fn each<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, Damage>) -> Result<Vec<T>, Damage> {
        let count: u32 = self.get()?;
        // No room is made for what may not be there.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(read(self)?);
        }
        Ok(values)
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), Damage> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damage("end")) }
    }

    /// What must be here is not.
    #[must_use]
    pub fn damage(&self, what: &'static str) -> Damage {
        Damage { what, left: self.rest.len() }
    }
}
