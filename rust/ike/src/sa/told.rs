//! Facts on their way to the control plane, each with the exchange that it came of.

use std::collections::VecDeque;

use crate::event::Event;
use crate::sa::trace::Asked;

/// An event, and the exchange that it came of. An order has none, nor has what is seen of links.
pub type Told = (Event, Option<Asked>);

/// Oldest first.
#[derive(Debug, Default)]
pub struct Events {
    queue: VecDeque<Told>,
    by: Option<Asked>,
}

impl Events {
    /// What is put in now comes of this: a message, the request that a timer gives up, what waited for a verdict.
    pub fn come_of(&mut self, by: Option<Asked>) {
        self.by = by;
    }

    /// One more.
    pub fn push_back(&mut self, event: Event) {
        self.queue.push_back((event, self.by));
    }

    /// The oldest.
    pub fn pop_front(&mut self) -> Option<Told> {
        self.queue.pop_front()
    }
}
