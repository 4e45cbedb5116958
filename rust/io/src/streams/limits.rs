//! What streams may cost, and who holds those that no IKE SA uses yet.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Streams of one shard.
pub const MOST: usize = 16_384;
/// Those of them that strangers opened and no IKE SA uses yet.
pub const MOST_STRANGE: usize = 1_024;
/// And of one /24 or /56, which is often one site.
pub const MOST_OF_PREFIX: u32 = 64;
/// A stream that no IKE SA uses is closed after so long.
pub const UNUSED: Duration = Duration::from_secs(10);
/// One whose IKE SA went elsewhere stays for what is on its way.
pub const LEFT: Duration = Duration::from_secs(30);
/// The rest of a message that has begun must be there after so long.
pub const MIDWAY: Duration = Duration::from_secs(30);
/// And a stream that we open must be open.
pub const CONNECTING: Duration = Duration::from_secs(10);
/// No stream for the same SA and path is opened sooner after the one before.
pub const PAUSE: Duration = Duration::from_millis(400);
/// Octets that wait in a stream; then ESP is dropped: packets that come late are of less use than those that come.
pub const MOST_ESP: usize = 64 << 10;
/// And then the stream is closed: the peer has taken nothing for long.
pub const MOST_WAITING: usize = 256 << 10;
/// Connections accepted in one turn.
pub const ACCEPTS: usize = 32;

/// Streams that no IKE SA uses yet, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    queue: VecDeque<u64>,
    of_prefix: HashMap<IpAddr, u32>,
    count: usize,
}

impl Strangers {
    /// May another one come from there?
    pub(crate) fn may_come(&self, from: IpAddr) -> bool {
        self.of_prefix.get(&prefix(from)).is_none_or(|count| *count < MOST_OF_PREFIX)
    }

    /// It came.
    pub(crate) fn add(&mut self, key: u64, from: IpAddr) {
        self.queue.push_back(key);
        *self.of_prefix.entry(prefix(from)).or_default() += 1;
        self.count += 1;
    }

    /// It is no stranger any more, or is gone.
    pub(crate) fn remove(&mut self, from: IpAddr) {
        self.count = self.count.saturating_sub(1);
        let prefix = prefix(from);
        if let Some(count) = self.of_prefix.get_mut(&prefix) {
            *count -= 1;
            if *count == 0 {
                self.of_prefix.remove(&prefix);
            }
        }
    }

    /// The oldest, where there are too many. `is_one`: some in the queue are none any more.
    pub(crate) fn oldest(&mut self, is_one: impl Fn(u64) -> bool) -> Option<u64> {
        if self.count >= MOST_STRANGE {
            while let Some(key) = self.queue.pop_front() {
                if is_one(key) {
                    return Some(key);
                }
            }
        }
        None
    }

    /// Forget those that are none any more.
    pub(crate) fn tidy(&mut self, is_one: impl Fn(u64) -> bool) {
        self.queue.retain(|key| is_one(*key));
    }
}

fn prefix(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !0xff).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 72 << 72).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_OF_PREFIX, MOST_STRANGE, Strangers};

    #[test]
    fn strangers_of_one_prefix_are_few_and_the_oldest_of_all_goes_first() {
        let mut strangers = Strangers::default();
        let near = "192.0.2.7".parse().unwrap();
        for key in 0..u64::from(MOST_OF_PREFIX) {
            assert!(strangers.may_come(near));
            strangers.add(key, near);
        }
        assert!(!strangers.may_come("192.0.2.200".parse().unwrap()));
        assert!(strangers.may_come("192.0.3.7".parse().unwrap()));
        strangers.remove(near);
        assert!(strangers.may_come(near));
        assert_eq!(strangers.oldest(|_| true), None);
        for key in 100..100 + MOST_STRANGE as u64 {
            strangers.add(key, std::net::Ipv6Addr::from_bits(u128::from(key) << 72).into());
        }
        assert_eq!(strangers.oldest(|key| key != 0), Some(1), "the first is none any more");
    }
}
