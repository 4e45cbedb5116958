//! Which probes of the peer came already: a window over their numbers, as ESP has one (RFC 4303 section 3.4.3).

/// The last 64 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replay {
    /// The highest one seen; 0 before the first, for none has this number.
    top: u32,
    /// Bit n: `top - n` was seen.
    seen: u64,
}

impl Replay {
    /// May a probe with this number be new? Asked before it is opened, so it changes nothing.
    #[must_use]
    pub fn admits(&self, number: u32) -> bool {
        match self.top.checked_sub(number) {
            None => true,
            Some(behind) => number != 0 && behind < u64::BITS && self.seen & (1 << behind) == 0,
        }
    }

    /// For who writes it down.
    #[must_use]
    pub fn parts(self) -> (u32, u64) {
        let Replay { top, seen } = self;
        (top, seen)
    }

    /// For who reads it again.
    #[must_use]
    pub fn of_parts(top: u32, seen: u64) -> Replay {
        Replay { top, seen }
    }

    /// It was authentic.
    pub fn accept(&mut self, number: u32) {
        match self.top.checked_sub(number) {
            None => {
                let ahead = number - self.top;
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.top = number;
            }
            Some(behind) => self.seen |= 1_u64.checked_shl(behind).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Replay;

    proptest! {
        #[test]
        fn nothing_is_taken_twice_and_nothing_recent_is_lost(numbers in prop::collection::vec(0u32..300, 1..400)) {
            let (mut replay, mut taken, mut top) = (Replay::default(), BTreeSet::new(), 0);
            for number in numbers {
                let fresh = number != 0 && number + 64 > top && !taken.contains(&number);
                prop_assert_eq!(replay.admits(number), fresh, "{} with {} on top", number, top);
                if fresh {
                    replay.accept(number);
                    taken.insert(number);
                    top = top.max(number);
                }
            }
        }
    }

    #[test]
    fn the_end_of_the_numbers_is_an_end() {
        let mut replay = Replay::default();
        replay.accept(u32::MAX);
        assert!(!replay.admits(u32::MAX) && replay.admits(u32::MAX - 1) && !replay.admits(5));
    }
}
