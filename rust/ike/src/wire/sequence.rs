//! A list inside a payload (proposals, transforms, selectors, attributes), from a datagram or from a builder's slice.
//!
//! Neither form allocates. One that came from a datagram was read once from end to end when its payload was parsed, so
//! walking it again cannot fail.

use core::fmt;

use super::cursor::{Reader, Result, Writer};

/// An element of a list: how to read one and how to write one.
pub trait Element<'a>: Copy + PartialEq + fmt::Debug {
    /// Reads one element; whatever follows it in the list is left in `reader`.
    fn read(reader: &mut Reader<'a>) -> Result<Self>;
    /// Writes one element; `last` says that none follows.
    fn write(&self, writer: &mut Writer, last: bool);
}

/// A list of `T`.
#[derive(Clone, Copy)]
pub struct Sequence<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Datagram { bytes: &'a [u8], count: usize },
    Slice(&'a [T]),
}

impl<'a, T: Element<'a>> Sequence<'a, T> {
    /// The list of these elements, to be written.
    #[must_use]
    pub const fn of(elements: &'a [T]) -> Self {
        Sequence(Source::Slice(elements))
    }

    /// Reads all elements that are left in `reader`; `check` sees each with its offset and how many came before it.
    pub(super) fn read(reader: &mut Reader<'a>, mut check: impl FnMut(&T, usize, usize) -> Result<()>) -> Result<Self> {
        let bytes = reader.peek();
        let mut count = 0;
        while !reader.is_empty() {
            let offset = reader.offset();
            let element = T::read(reader)?;
            check(&element, offset, count)?;
            count += 1;
        }
        Ok(Sequence(Source::Datagram { bytes, count }))
    }

    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Source::Datagram { count, .. } => count,
            Source::Slice(elements) => elements.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'a, T> {
        Iter(match self.0 {
            Source::Datagram { bytes, .. } => Walk::Datagram(Reader::new(bytes, 0)),
            Source::Slice(elements) => Walk::Slice(elements.iter()),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let count = self.len();
        for (index, element) in self.iter().enumerate() {
            element.write(writer, index + 1 == count);
        }
    }
}

impl<'a, T: Element<'a>> IntoIterator for &Sequence<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Element<'a>> PartialEq for Sequence<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: Element<'a>> fmt::Debug for Sequence<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Walks a [`Sequence`].
#[derive(Debug, Clone)]
pub struct Iter<'a, T>(Walk<'a, T>);

#[derive(Debug, Clone)]
enum Walk<'a, T> {
    Datagram(Reader<'a>),
    Slice(core::slice::Iter<'a, T>),
}

impl<'a, T: Element<'a>> Iterator for Iter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Walk::Datagram(reader) if reader.is_empty() => None,
            Walk::Datagram(reader) => T::read(reader).ok(),
            Walk::Slice(elements) => elements.next().copied(),
        }
    }
}
