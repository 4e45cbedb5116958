//! Time as an argument.

use core::time::Duration;

/// A moment on the caller's monotonic clock, in nanoseconds since an origin only the caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// A moment that never comes; inside this crate also "has not happened".
    pub const NEVER: Nanos = Nanos(u64::MAX);

    pub(crate) fn plus(self, span: Duration) -> Nanos {
        Nanos(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn known(self) -> Option<Nanos> {
        (self != Nanos::NEVER).then_some(self)
    }
}
