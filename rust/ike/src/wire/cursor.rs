//! The only code of this room that counts octets: a reader that checks and remembers where it is, and a bounded writer.

use core::fmt;

use super::error::{Part, WireError, WireErrorKind};

/// A result of reading.
pub type Result<T> = core::result::Result<T, WireError>;

/// Reads forward through a slice; every miss is an error that names the absolute offset.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    left: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`, which is `offset` octets into the message.
    #[must_use]
    pub const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Reader { left: bytes, offset }
    }

    /// Octets from the start of the message to the next octet.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Octets that are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.left.len()
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// All that is left, unread.
    #[must_use]
    pub const fn peek(&self) -> &'a [u8] {
        self.left
    }

    /// Takes the next `count` octets of `part`.
    pub fn take(&mut self, count: usize, part: Part) -> Result<&'a [u8]> {
        let Some((taken, left)) = self.left.split_at_checked(count) else {
            return Err(self.truncated(count, part));
        };
        self.left = left;
        self.offset += count;
        Ok(taken)
    }

    /// Takes an array of `N` octets.
    pub fn array<const N: usize>(&mut self, part: Part) -> Result<&'a [u8; N]> {
        let Some((taken, left)) = self.left.split_first_chunk::<N>() else {
            return Err(self.truncated(N, part));
        };
        self.left = left;
        self.offset += N;
        Ok(taken)
    }

    /// Takes all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let taken = self.left;
        self.offset += taken.len();
        self.left = &[];
        taken
    }

    /// Takes one octet.
    pub fn u8(&mut self, part: Part) -> Result<u8> {
        self.array::<1>(part).map(|&[octet]| octet)
    }

    /// Takes two octets, big-endian as everywhere in IKE.
    pub fn u16(&mut self, part: Part) -> Result<u16> {
        self.array(part).map(|octets| u16::from_be_bytes(*octets))
    }

    /// Takes four octets.
    pub fn u32(&mut self, part: Part) -> Result<u32> {
        self.array(part).map(|octets| u32::from_be_bytes(*octets))
    }

    /// Takes eight octets.
    pub fn u64(&mut self, part: Part) -> Result<u64> {
        self.array(part).map(|octets| u64::from_be_bytes(*octets))
    }

    /// Takes a part whose length field said `length`, counted from a header of `header` octets that began at `start`.
    ///
    /// The header is read already; what comes back is the body alone.
    pub fn body(&mut self, start: usize, length: usize, header: usize, part: Part) -> Result<Reader<'a>> {
        let Some(body) = length.checked_sub(header) else {
            return Err(WireError::new(WireErrorKind::ShorterThanHeader { part, length }, start));
        };
        if body > self.remaining() {
            let have = self.remaining() + header;
            return Err(WireError::new(WireErrorKind::Overrun { part, length, have }, start));
        }
        let offset = self.offset;
        self.take(body, part).map(|bytes| Reader::new(bytes, offset))
    }

    /// Fails if anything is left after the last `part`.
    pub fn finish(&self, part: Part) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            octets => Err(WireError::new(WireErrorKind::Trailing { part, octets }, self.offset)),
        }
    }

    fn truncated(&self, need: usize, part: Part) -> WireError {
        WireError::new(WireErrorKind::Truncated { part, need, have: self.remaining() }, self.offset)
    }
}

/// Appends to one buffer and keeps its first error, so that builders chain without a check per field.
pub struct Writer {
    out: Vec<u8>,
    error: Option<WireError>,
}

/// The largest message that is written: what fits one UDP datagram over IPv4 with the non-ESP marker (65535 - 20 - 8 - 4).
pub const MAX_MESSAGE: usize = 65_503;

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({} octets, {:?})", self.out.len(), self.error)
    }
}

impl Writer {
    /// Writes into `out`, which is emptied first so that its allocation can be used again.
    #[must_use]
    pub fn new(mut out: Vec<u8>) -> Self {
        out.clear();
        Writer { out, error: None }
    }

    /// Octets written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What was written so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.out
    }

    /// Appends octets.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() > MAX_MESSAGE {
            self.too_long(Part::Header, self.out.len() + bytes.len(), 0);
        } else {
            self.out.extend_from_slice(bytes);
        }
    }

    /// Appends `count` zero octets.
    pub fn zeros(&mut self, count: usize) {
        if self.out.len() + count > MAX_MESSAGE {
            self.too_long(Part::Header, self.out.len() + count, 0);
        } else {
            self.out.resize(self.out.len() + count, 0);
        }
    }

    /// Appends one octet.
    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    /// Appends two octets.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends a count that its field holds in one octet.
    pub fn count_u8(&mut self, count: usize, part: Part) {
        match u8::try_from(count) {
            Ok(count) => self.u8(count),
            Err(_) => self.too_long(part, count, self.out.len()),
        }
    }

    /// Appends a length that its field holds in two octets.
    pub fn count_u16(&mut self, count: usize, part: Part) {
        match u16::try_from(count) {
            Ok(count) => self.u16(count),
            Err(_) => self.too_long(part, count, self.out.len()),
        }
    }

    /// Replaces octets that were written before; nothing happens if the writer failed before it got there.
    pub fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.out.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Writes into the field at `field` how many octets there are from `start` to here.
    pub fn patch_length(&mut self, field: usize, start: usize, part: Part) {
        let length = self.out.len().saturating_sub(start);
        match u16::try_from(length) {
            Ok(length) => self.patch(field, &length.to_be_bytes()),
            Err(_) => self.too_long(part, length, start),
        }
    }

    /// What was written, or the first error.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self.error {
            None => Ok(self.out),
            Some(error) => Err(error),
        }
    }

    pub(super) fn fail(&mut self, kind: WireErrorKind, offset: usize) {
        self.error.get_or_insert(WireError::new(kind, offset));
    }

    fn too_long(&mut self, part: Part, length: usize, offset: usize) {
        self.fail(WireErrorKind::TooLong { part, length }, offset);
    }
}
