//! Questions about peers that wait for the control plane: how many, how much they weigh, and their numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::id::Question;
use crate::settings::QuestionLimits;

/// All questions of an engine.
#[derive(Debug, Default)]
pub struct Parking {
    /// The next number.
    next: u64,
    load: Arc<Load>,
}

#[derive(Debug, Default)]
struct Load {
    questions: AtomicU32,
    octets: AtomicU64,
}

impl Parking {
    /// A place for a question of so many octets; `None` if there is none.
    pub fn ticket(&mut self, limits: &QuestionLimits, octets: usize) -> Option<Ticket> {
        let octets = octets as u64;
        let full = self.load.questions.load(Ordering::Relaxed) >= limits.max
            || self.load.octets.load(Ordering::Relaxed) + octets > limits.max_octets;
        if full {
            return None;
        }
        self.next += 1;
        self.load.questions.fetch_add(1, Ordering::Relaxed);
        self.load.octets.fetch_add(octets, Ordering::Relaxed);
        Some(Ticket { question: Question(self.next), octets, load: Arc::clone(&self.load) })
    }

    /// A number for one more question in the same place.
    pub fn number(&mut self) -> Question {
        self.next += 1;
        Question(self.next)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.load.questions.load(Ordering::Relaxed)
    }

    /// Does none wait?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The place of one question. Dropped with whatever waited, however that ends, it makes room for another.
#[derive(Debug)]
pub struct Ticket {
    /// The question's number.
    pub question: Question,
    octets: u64,
    load: Arc<Load>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.load.questions.fetch_sub(1, Ordering::Relaxed);
        self.load.octets.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Parking;
    use crate::settings::QuestionLimits;

    #[test]
    fn places_are_limited_in_number_and_weight_and_come_back_when_a_ticket_is_dropped() {
        let limits = QuestionLimits { max: 2, max_octets: 100, ..QuestionLimits::default() };
        let mut parking = Parking::default();
        let first = parking.ticket(&limits, 60).unwrap();
        assert!(parking.ticket(&limits, 41).is_none(), "too heavy");
        let second = parking.ticket(&limits, 40).unwrap();
        assert_ne!(first.question, second.question);
        assert!(parking.ticket(&limits, 0).is_none(), "too many");
        drop(first);
        let third = parking.ticket(&limits, 60).unwrap();
        assert!(third.question > second.question, "no number is given twice");
        drop((second, third));
        assert!(parking.is_empty());
    }
}
