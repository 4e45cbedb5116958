//! The clock: CLOCK_MONOTONIC, the same that Python's `time.monotonic_ns()` reads, so that both sides may compare moments.

use mobike_ike::Nanos;

/// Now.
#[must_use]
pub fn now() -> Nanos {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `at` is a valid timespec that the call fills. CLOCK_MONOTONIC exists on every Linux, so it cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut at) };
    Nanos((at.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(at.tv_nsec as u64))
}
