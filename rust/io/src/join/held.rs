//! Events that nobody took yet, each with the exchange that it came of, where there is one.

use std::collections::VecDeque;

use mobike_ike::Asked;

use crate::words::Event;

/// An event, and the exchange that it came of.
pub type Told = (Event, Option<Asked>);

/// Oldest first.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) queue: VecDeque<Told>,
    /// What is put in now comes of this.
    pub(crate) by: Option<Asked>,
}

impl Held {
    pub(crate) fn push_back(&mut self, event: Event) {
        self.queue.push_back((event, self.by));
    }

    pub(crate) fn extend(&mut self, events: impl IntoIterator<Item = Event>) {
        let by = self.by;
        self.queue.extend(events.into_iter().map(|event| (event, by)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// At most `limit`.
    pub(crate) fn take(&mut self, limit: usize) -> VecDeque<Told> {
        let rest = self.queue.split_off(limit.min(self.queue.len()));
        std::mem::replace(&mut self.queue, rest)
    }
}
