//! Limits on the life of SAs beside the soft lifetimes by time: hard ones, and those of what a Child SA carries.
//!
//! At a soft limit an SA is replaced; at a hard one it ends (RFC 4301 section 4.4.2.1). What is carried is counted by the
//! data plane, in each direction for itself, as octets of inner packets.

use core::time::Duration;

use crate::crypto::Random;

/// So much may be carried in a direction; zero means any amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    /// Octets of inner packets.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

impl Volume {
    /// Any amount.
    pub const ANY: Volume = Volume { bytes: 0, packets: 0 };
}

/// Limits of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// An IKE SA that was not replaced ends after this long; zero means never.
    pub ike_hard: Duration,
    /// The same of its Child SAs.
    pub esp_hard: Duration,
    /// Both ends prove who they are anew after this long; zero means never. The initiator does it, the responder insists.
    pub reauth: Duration,
    /// A Child SA is replaced after this much, or a little less by chance.
    pub soft: Volume,
    /// And ends after this much.
    pub hard: Volume,
}

/// What one Child SA pair may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildLimits {
    /// Then it is to be replaced.
    pub soft: Volume,
    /// Then it ends.
    pub hard: Volume,
}

impl Limits {
    /// Of a new pair: up to a tenth less than the soft limit, as by time, for two ends count the same packets.
    #[must_use]
    pub fn of_child(&self, random: &mut impl Random) -> ChildLimits {
        if self.soft == Volume::ANY {
            return ChildLimits { soft: self.soft, hard: self.hard };
        }
        let early = u128::from(random.next_u64() % 1_000);
        let less = |limit: u64| limit - (u128::from(limit) * early / 10_000) as u64;
        ChildLimits { soft: Volume { bytes: less(self.soft.bytes), packets: less(self.soft.packets) }, hard: self.hard }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    #[test]
    fn soft_limits_of_pairs_are_up_to_a_tenth_less_than_ordered_and_hard_ones_are_not() {
        let soft = Volume { bytes: u64::MAX, packets: 1_000_000 };
        let hard = Volume { bytes: 0, packets: 1_100_000 };
        let limits = Limits { soft, hard, ..Limits::default() };
        let mut random = SeededRandom::new([3; 32]);
        let drawn: Vec<ChildLimits> = (0..200).map(|_| limits.of_child(&mut random)).collect();
        assert!(drawn.iter().all(|one| one.hard == hard));
        assert!(drawn.iter().all(|one| (900_000..=1_000_000).contains(&one.soft.packets)));
        assert!(drawn.iter().all(|one| one.soft.bytes >= u64::MAX / 10 * 9));
        assert!(
            drawn.iter().any(|one| one.soft.packets < 920_000) && drawn.iter().any(|one| one.soft.packets > 980_000)
        );
        assert_eq!(Limits::default().of_child(&mut random), ChildLimits::default());
    }
}
