//! Messages in a stream (RFC 9329 section 3). Pure: octets in, messages out.
//!
//! ```text
//! "IKETCP"                                     once, from whoever opened the stream
//! | length (2) | 0 (4) | IKE message |         the length counts itself
//! | length (2) | ESP packet |
//! ```

/// The first octets of a stream (RFC 9329 section 4).
pub const PREFIX: [u8; 6] = *b"IKETCP";

const LENGTH: usize = 2;

/// Octets of the longest message.
pub const LONGEST: usize = u16::MAX as usize - LENGTH;

/// An emptied buffer that is larger than this is given back: most streams are idle most of the time.
const KEPT: usize = 4096;

/// Takes messages out of what is read.
#[derive(Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
    /// So much of it was taken.
    at: usize,
    awaits_prefix: bool,
}

/// These octets are no stream of messages: nothing that follows can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corrupt {
    /// It does not begin as such a stream does.
    Prefix,
    /// A length that does not even count itself (RFC 9329 section 3).
    Length(u16),
}

impl Frames {
    /// Of a stream that the other end opened.
    #[must_use]
    pub fn behind_prefix() -> Frames {
        Frames { awaits_prefix: true, ..Frames::default() }
    }

    /// These octets were read.
    pub fn put(&mut self, octets: &[u8]) {
        self.held.drain(..self.at);
        self.at = 0;
        self.held.extend_from_slice(octets);
    }

    /// The next message that is there as a whole.
    ///
    /// # Errors
    /// From then on always.
    pub fn next_message(&mut self) -> Result<Option<&mut [u8]>, Corrupt> {
        self.check()?;
        if self.awaits_prefix {
            return Ok(None);
        }
        let rest = self.held.get(self.at..).unwrap_or_default();
        let Some((length, _)) = rest.split_first_chunk::<LENGTH>() else {
            self.tidy();
            return Ok(None);
        };
        let end = self.at + usize::from(u16::from_be_bytes(*length));
        if end > self.held.len() {
            return Ok(None);
        }
        let begin = self.at + LENGTH;
        self.at = end;
        Ok(self.held.get_mut(begin..end))
    }

    /// Can messages still be told apart?
    ///
    /// # Errors
    /// As [`Frames::next_message`].
    pub fn check(&mut self) -> Result<(), Corrupt> {
        if self.awaits_prefix && !self.take_prefix()? {
            return Ok(());
        }
        match self.held.get(self.at..).and_then(|rest| rest.split_first_chunk::<LENGTH>()) {
            Some((length, _)) if usize::from(u16::from_be_bytes(*length)) < LENGTH => {
                Err(Corrupt::Length(u16::from_be_bytes(*length)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Put the latest message, of so many octets, back to the others.
    pub fn put_back(&mut self, length: usize) {
        self.at = self.at.saturating_sub(LENGTH + length);
    }

    /// Has something begun that is not there as a whole?
    #[must_use]
    pub fn is_midway(&self) -> bool {
        self.awaits_prefix || self.at < self.held.len()
    }

    fn take_prefix(&mut self) -> Result<bool, Corrupt> {
        let length = self.held.len().min(PREFIX.len());
        if self.held.get(..length) != PREFIX.get(..length) {
            return Err(Corrupt::Prefix);
        }
        let whole = length == PREFIX.len();
        if whole {
            self.awaits_prefix = false;
            self.at = length;
        }
        Ok(whole)
    }

    fn tidy(&mut self) {
        if self.at == self.held.len() {
            self.at = 0;
            self.held.clear();
            self.held.shrink_to(KEPT);
        }
    }
}

/// Write one message, made of `parts`. `false` where it is too long, and nothing is written.
#[must_use]
pub fn write_message(out: &mut Vec<u8>, parts: &[&[u8]]) -> bool {
    let length = LENGTH + parts.iter().map(|part| part.len()).sum::<usize>();
    let Ok(length) = u16::try_from(length) else { return false };
    out.extend_from_slice(&length.to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    true
}
