//! The window against the simplest thing that could be right: a set of all numbers seen.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::HashSet;

use mobike_esp::ReplayWindow;
use proptest::prelude::*;

const WIDTHS: [u16; 4] = [64, 128, 576, 1024];

struct Naive {
    seen: HashSet<u64>,
    top: u64,
    width: u64,
}

impl Naive {
    fn new(width: u16) -> Naive {
        Naive { seen: HashSet::new(), top: 0, width: width.into() }
    }

    fn admits(&self, sequence: u64) -> bool {
        sequence != 0 && sequence + self.width > self.top && !self.seen.contains(&sequence)
    }

    fn accept(&mut self, sequence: u64) {
        self.seen.insert(sequence);
        self.top = self.top.max(sequence);
    }
}

/// Offer one number to both; they must agree on it and, if `all`, on everything around the window.
fn offer(window: &mut ReplayWindow, naive: &mut Naive, sequence: u64, all: bool) {
    assert_eq!(window.admits(sequence), naive.admits(sequence), "{sequence} below {}", naive.top);
    if naive.admits(sequence) {
        window.accept(sequence);
        naive.accept(sequence);
    }
    assert_eq!(window.top(), naive.top);
    if all {
        for around in naive.top.saturating_sub(naive.width + 2)..naive.top + 3 {
            assert_eq!(window.admits(around), naive.admits(around), "{around} below {}", naive.top);
        }
    }
}

/// Every walk of four steps over the offsets from the top at which something changes.
#[test]
fn every_short_walk_over_the_edges_agrees_with_the_naive_set() {
    for width in WIDTHS {
        let w = i64::from(width);
        let steps = [-w - 1, -w, 1 - w, -64, -63, -1, 0, 1, 2, 63, 64, 65, w - 1, w, w + 1];
        let count = steps.len();
        for walk in 0..count.pow(4) {
            let (mut window, mut naive) = (ReplayWindow::new(width), Naive::new(width));
            offer(&mut window, &mut naive, 3, false);
            for step in 0..4 {
                let sequence = naive.top.saturating_add_signed(steps[walk / count.pow(step) % count]);
                offer(&mut window, &mut naive, sequence, false);
            }
            // Looking all around is dear: for one walk in a hundred and one.
            if walk % 101 == 0 {
                let top = naive.top;
                offer(&mut window, &mut naive, top, true);
            }
        }
    }
}

#[test]
fn every_pair_of_numbers_leaves_the_same_window_as_the_naive_set() {
    let width = 64;
    for first in 1..200 {
        for second in 1..200 {
            let (mut window, mut naive) = (ReplayWindow::new(width), Naive::new(width));
            offer(&mut window, &mut naive, first, false);
            offer(&mut window, &mut naive, second, true);
        }
    }
}

#[test]
fn the_first_packet_may_have_any_number_but_zero() {
    let window = ReplayWindow::new(64);
    assert!(!window.admits(0));
    assert!(window.admits(1) && window.admits(u32::MAX.into()) && window.admits(u64::MAX));
}

#[test]
fn asking_changes_nothing() {
    let mut window = ReplayWindow::new(128);
    window.accept(500);
    assert!(window.admits(501) && window.admits(501) && window.admits(900) && window.admits(499));
    assert_eq!(window.top(), 500);
}

proptest! {
    #[test]
    fn long_random_traffic_agrees_with_the_naive_set(
        width in 0..WIDTHS.len(),
        steps in proptest::collection::vec((-1200i64..1200, 0..4u8), 1..400),
    ) {
        let width = WIDTHS[width];
        let (mut window, mut naive) = (ReplayWindow::new(width), Naive::new(width));
        for (step, kind) in steps {
            // Mostly small steps, sometimes leaps.
            let step = match kind { 0 => step, 1 => step / 16, _ => step / 300 };
            let sequence = naive.top.saturating_add_signed(step);
            offer(&mut window, &mut naive, sequence, false);
        }
        let top = naive.top;
        offer(&mut window, &mut naive, top, true);
    }
}
