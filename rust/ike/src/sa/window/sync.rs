//! What agreeing on message ids changes in both directions: see [`crate::sa::exchange::sync`].

use super::{Answers, Ask, Requests};

/// Message ids are compared as they follow each other.
#[must_use]
pub fn is_before(id: u32, other: u32) -> bool {
    (id.wrapping_sub(other) as i32) < 0
}

impl Requests {
    /// The id of the next new one.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Is the question about ids itself unanswered?
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.outstanding().iter().any(|request| matches!(request.ask, Ask::Sync { .. }))
    }

    /// The id that the peer sees next: of the oldest unanswered one, else of the next. `None` if those that are unanswered are
    /// not all that it will see before the next.
    #[must_use]
    pub fn seen_next(&self) -> Option<u32> {
        let ids =
            || self.outstanding().iter().filter(|request| !matches!(request.ask, Ask::Sync { .. })).map(|it| it.id);
        let first = ids().next().unwrap_or(self.next_id);
        let unbroken = ids().count() as u32 == self.next_id.wrapping_sub(first);
        unbroken.then_some(first)
    }

    /// Whatever is unanswered is taken back, and the next one has this id.
    pub fn begin_at(&mut self, id: u32) -> Vec<Ask> {
        self.next_id = id;
        let Some(busy) = self.busy.as_mut() else { return Vec::new() };
        let syncs = |ask: &Ask| matches!(ask, Ask::Sync { .. });
        let mut taken = Vec::new();
        for request in core::mem::take(&mut busy.outstanding) {
            match syncs(&request.ask) {
                true => busy.outstanding.push(request),
                false => taken.push(request.ask),
            }
        }
        taken
    }

    /// These are asked ahead of all that waits. They were sent before, so that there is room for them.
    pub fn ask_anew(&mut self, asks: Vec<Ask>) {
        if asks.is_empty() {
            return;
        }
        let queue = &mut self.busy.get_or_insert_default().queue;
        asks.into_iter().rev().for_each(|ask| queue.push_front(ask));
    }
}

impl Answers {
    /// The lowest id that was not answered.
    #[must_use]
    pub fn next(&self) -> u32 {
        self.next
    }

    /// The peer's next request has this id: nothing before it is taken any more, nor answered again.
    pub fn begin_at(&mut self, id: u32) {
        *self = Answers { next: id, ahead: 0, window: self.window, cached: Vec::new(), gap: false };
    }
}
