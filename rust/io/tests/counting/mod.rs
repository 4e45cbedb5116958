//! Waiting for what a core counts.

use std::time::{Duration, Instant};

use mobike_io::Core;

pub fn counter(core: &Core, name: &str) -> u64 {
    core.counters().into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

/// Wait until a counter has this value.
pub fn settles(core: &Core, name: &str, value: u64) {
    let begin = Instant::now();
    while counter(core, name) != value {
        assert!(begin.elapsed() < Duration::from_secs(5), "{name} is {} and not {value}", counter(core, name));
        std::thread::sleep(Duration::from_millis(1));
    }
}
