//! What probes may cost: so many in a second, for one SA or for all of an engine.

use core::time::Duration;

use crate::Nanos;

/// A bucket that fills at a steady rate and holds what a second brings.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    per_second: u32,
    /// Full again at this moment if nothing is spent.
    full_at: Nanos,
}

impl Budget {
    /// A full bucket.
    #[must_use]
    pub const fn new(per_second: u32) -> Budget {
        Budget { per_second, full_at: Nanos(0) }
    }

    /// Pay for one. `false`: there is nothing left.
    pub fn spend(&mut self, now: Nanos) -> bool {
        let full_at = self.full_at.max(now) + Duration::from_secs(1) / self.per_second;
        let paid = full_at <= now + Duration::from_secs(1);
        if paid {
            self.full_at = full_at;
        }
        paid
    }

    /// How empty it is, from 0 to 100.
    #[must_use]
    pub fn percent_spent(&self, now: Nanos) -> u32 {
        u32::try_from(self.full_at.since(now).as_millis() / 10).unwrap_or(100).min(100)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::Budget;
    use crate::Nanos;

    #[test]
    fn a_second_brings_what_a_second_brings() {
        let mut budget = Budget::new(10);
        let start = Nanos(5_000_000_000);
        let spent = |budget: &mut Budget, now| (0..100).filter(|_| budget.spend(now)).count();
        assert_eq!(spent(&mut budget, start), 10);
        assert_eq!(budget.percent_spent(start), 100);
        assert_eq!(spent(&mut budget, start + Duration::from_millis(250)), 2);
        assert_eq!(spent(&mut budget, start + Duration::from_secs(60)), 10);
        assert_eq!(budget.percent_spent(start + Duration::from_secs(120)), 0);
    }
}
