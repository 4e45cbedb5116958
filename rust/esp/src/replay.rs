//! The anti-replay window (RFC 4303 section 3.4.3).
//!
//! A ring of bits, one per sequence number modulo the width. When the top moves up, the bits of the numbers that enter
//! are cleared; nothing is ever shifted. Exactly `width` numbers are remembered.

/// Which of the last sequence numbers were seen.
#[derive(Debug, Clone)]
pub struct ReplayWindow {
    /// Highest number seen; 0 before the first packet, as 0 is never sent.
    top: u64,
    bits: Bits,
}

#[derive(Debug, Clone)]
enum Bits {
    /// Width 64: no allocation in the common case.
    Inline(u64),
    Boxed(Box<[u64]>),
}

impl ReplayWindow {
    /// A window of `width` packets, a multiple of 64 and at least 64 (anything else is rounded up).
    #[must_use]
    pub fn new(width: u16) -> ReplayWindow {
        let words = usize::from(width).div_ceil(64).max(1);
        let bits = if words == 1 { Bits::Inline(0) } else { Bits::Boxed(vec![0; words].into()) };
        ReplayWindow { top: 0, bits }
    }

    /// Highest number accepted; 0 if none.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.top
    }

    /// The whole of an extended number whose low half travelled (RFC 4303 appendix A2): the one nearest to the window.
    /// `None` if it would be below zero.
    #[must_use]
    pub fn extend(&self, low: u32) -> Option<u64> {
        let width = self.words().len() as u64 * 64;
        let (top_high, top_low) = (self.top >> 32, self.top & u64::from(u32::MAX));
        let low = u64::from(low);
        let high = if top_low >= width - 1 {
            // The window lies within one turn of the low half: what is below it belongs to the next.
            if low + width > top_low { top_high } else { top_high.checked_add(1)? }
        } else {
            // The window reaches back into the turn before.
            let bottom = (1 << 32) + top_low + 1 - width;
            if low >= bottom { top_high.checked_sub(1)? } else { top_high }
        };
        Some(high.checked_mul(1 << 32)? + low)
    }

    /// Whether a packet with this number may be new. Changes nothing, as it is asked before the ICV is known.
    #[must_use]
    pub fn admits(&self, sequence: u64) -> bool {
        if sequence > self.top {
            return true;
        }
        let words = self.words();
        let width = words.len() as u64 * 64;
        let (word, bit) = place(sequence, words.len());
        sequence != 0 && self.top - sequence < width && words[word] & bit == 0
    }

    /// Remember an authentic packet that [`ReplayWindow::admits`] let in.
    pub fn accept(&mut self, sequence: u64) {
        let top = self.top;
        let words = match &mut self.bits {
            Bits::Inline(word) => core::slice::from_mut(word),
            Bits::Boxed(words) => words,
        };
        if sequence > top {
            forget(words, top, sequence);
            self.top = sequence;
        }
        let (word, bit) = place(sequence, words.len());
        words[word] |= bit;
    }

    /// The bits: of number n, bit n modulo 64 of word n / 64 modulo their number.
    pub(crate) fn words(&self) -> &[u64] {
        match &self.bits {
            Bits::Inline(word) => core::slice::from_ref(word),
            Bits::Boxed(words) => words,
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match &mut self.bits {
            Bits::Inline(word) => core::slice::from_mut(word),
            Bits::Boxed(words) => words,
        }
    }

    /// As another window of the same width was.
    pub(crate) fn restore(&mut self, top: u64, words: &[u64]) {
        self.top = top;
        for (to, from) in self.words_mut().iter_mut().zip(words) {
            *to = *from;
        }
    }

    /// Nothing up to the highest number seen is taken any more.
    pub(crate) fn fill(&mut self) {
        self.words_mut().fill(u64::MAX);
    }
}

/// Clear the places of the numbers behind `top` up to `new_top`.
fn forget(words: &mut [u64], top: u64, new_top: u64) {
    let width = words.len() as u64 * 64;
    if new_top - top >= width {
        words.fill(0);
        return;
    }
    // At most 1023 steps, one in the usual case; whole words would only help after a burst of loss.
    for sequence in top + 1..=new_top {
        let (word, bit) = place(sequence, words.len());
        words[word] &= !bit;
    }
}

fn place(sequence: u64, words: usize) -> (usize, u64) {
    ((sequence / 64 % words as u64) as usize, 1 << (sequence % 64))
}
