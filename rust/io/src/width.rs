//! How long a packet each path takes. The kernel knows: it has the MTU of the link, and learns the rest from ICMP that
//! answers our datagrams, whichever socket they left by (RFC 1191, RFC 8201). We ask it, pair by pair, and only where
//! long packets go.
//!
//! ```text
//! first long packet on a pair        ask
//! later ones                         ask again after 0.25 s, doubling to 8 s while the answer stays the same
//! the data plane moves to a pair     what was known of that pair is forgotten: the next long packet asks
//! ```
//!
//! Datagrams leave with DF set and are cut by the kernel once it knows that they must be: what is lost between are those
//! sent until its first ICMP arrives.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mobike_esp::{OuterPath, Suite, max_inner};
use mobike_ike::Nanos;
use socket2::{Domain, Protocol, Socket, Type};

use crate::counters::IoCounters;
use crate::sys;

/// Bytes of inner packets that fit everywhere: Linux takes no path for narrower than 552 bytes, and IPv6, UDP and ESP
/// with the longest IV, padding and ICV need 121 of them.
pub(crate) const SHORT: usize = 552 - 121;

/// Wait before the first repeated question, and the longest one.
const SOON: Duration = Duration::from_millis(250);
const LATE: Duration = Duration::from_secs(8);

/// Pairs remembered; beyond that all are forgotten, and those in use asked for again.
const MOST_PAIRS: usize = 1 << 16;

/// What is known of the pairs that carried long packets of late.
#[derive(Debug, Default)]
pub(crate) struct Widths(HashMap<(IpAddr, IpAddr), Width>);

#[derive(Debug, Clone, Copy)]
struct Width {
    /// Bytes of the longest packet, IP header included; `None`: the kernel does not say.
    mtu: Option<usize>,
    ask_at: Nanos,
    wait: Duration,
    /// What people were told of it.
    told: Option<usize>,
}

impl Widths {
    /// The longest inner packet that fits, in bytes.
    pub(crate) fn most_inner(
        &mut self,
        now: Nanos,
        outer: &OuterPath,
        suite: Suite,
        counters: &mut IoCounters,
    ) -> usize {
        let pair = (outer.local.ip(), outer.remote.ip());
        let known = self.0.get(&pair).copied();
        let mtu = match known {
            Some(width) if now < width.ask_at => width.mtu,
            _ => {
                counters.widths_asked += 1;
                self.learn(now, pair, known, ask(outer.local, outer.remote))
            }
        };
        mtu.map_or(usize::MAX, |mtu| max_inner(mtu, outer, suite))
    }

    fn learn(
        &mut self,
        now: Nanos,
        pair: (IpAddr, IpAddr),
        before: Option<Width>,
        mtu: Option<usize>,
    ) -> Option<usize> {
        let wait = match before {
            Some(before) if before.mtu == mtu => (2 * before.wait).min(LATE),
            Some(_) | None => SOON,
        };
        if self.0.len() >= MOST_PAIRS {
            self.0.clear();
        }
        let told = before.and_then(|before| before.told);
        self.0.insert(pair, Width { mtu, ask_at: now + wait, wait, told });
        mtu
    }

    /// The data plane moved to this pair, and nothing is known about it.
    pub(crate) fn forget(&mut self, local: IpAddr, remote: IpAddr) {
        self.0.remove(&(local, remote));
    }

    /// Somebody says that this pair is narrower than we think. The kernel has heard it too, and whether it believes it, it
    /// says when it is asked; at most as often as ever.
    pub(crate) fn doubt(&mut self, local: IpAddr, remote: IpAddr) {
        if let Some(width) = self.0.get_mut(&(local, remote)) {
            let asked = Nanos(width.ask_at.0.saturating_sub(width.wait.as_nanos() as u64));
            width.ask_at = asked + SOON;
            width.wait = SOON;
        }
    }

    /// A packet was too long for this path; the MTU, if people do not know it yet.
    pub(crate) fn news(&mut self, outer: &OuterPath) -> Option<usize> {
        let width = self.0.get_mut(&(outer.local.ip(), outer.remote.ip()))?;
        let news = width.mtu.filter(|_| width.told != width.mtu);
        width.told = width.mtu;
        news
    }
}

/// The kernel tells it of connected sockets alone, so one is made for the question: some microseconds.
fn ask(local: SocketAddr, remote: SocketAddr) -> Option<usize> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP)).ok()?;
    let any_port = SocketAddr::new(local.ip(), 0);
    socket.bind(&any_port.into()).ok()?;
    socket.connect(&remote.into()).ok()?;
    let (level, option) = match remote {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mut mtu: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `mtu`; the descriptor is open.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut mtu).cast(), &raw mut length) };
    sys::check(result).ok()?;
    usize::try_from(mtu).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outer(local: &str, remote: &str) -> OuterPath {
        OuterPath::udp(local.parse().unwrap(), remote.parse().unwrap())
    }

    fn at(millis: u64) -> Nanos {
        Nanos(millis * 1_000_000)
    }

    // req: A4-1
    #[test]
    fn the_kernel_is_asked_seldom_while_it_says_the_same_and_at_once_after_a_move() {
        let (mut widths, mut counters) = (Widths::default(), IoCounters::default());
        let path = outer("127.0.0.1:4500", "127.0.0.1:4501");
        let mut asked_at = |widths: &mut Widths, millis: u64| {
            let before = counters.widths_asked;
            assert!(
                widths.most_inner(at(millis), &path, Suite::ChaCha20Poly1305, &mut counters) > 60_000,
                "loopback is wide"
            );
            counters.widths_asked > before
        };
        let asked: Vec<u64> = (0..60_000).step_by(50).filter(|millis| asked_at(&mut widths, *millis)).collect();
        assert_eq!(asked, [0, 250, 750, 1750, 3750, 7750, 15_750, 23_750, 31_750, 39_750, 47_750, 55_750]);
        assert!(!asked_at(&mut widths, 60_000));
        widths.forget(path.local.ip(), path.remote.ip());
        assert!(asked_at(&mut widths, 60_001));
    }

    #[test]
    fn an_answer_that_changed_is_looked_at_again_soon_and_told_once() {
        let (mut widths, path) = (Widths::default(), outer("127.0.0.1:4500", "127.0.0.1:4501"));
        let pair = (path.local.ip(), path.remote.ip());
        for mtu in [Some(1500), Some(1500), Some(1280)] {
            let before = widths.0.get(&pair).copied();
            widths.learn(at(0), pair, before, mtu);
        }
        assert_eq!(widths.0[&pair].ask_at, at(250));
        assert_eq!([widths.news(&path), widths.news(&path)], [Some(1280), None]);
    }

    // req: M3.5-1
    #[test]
    fn news_of_a_narrow_path_bring_the_next_question_forward_and_a_flood_of_them_no_more_than_that() {
        let (mut widths, mut counters) = (Widths::default(), IoCounters::default());
        let path = outer("127.0.0.1:4500", "127.0.0.1:4501");
        for millis in (0..20_000).step_by(50) {
            widths.most_inner(at(millis), &path, Suite::ChaCha20Poly1305, &mut counters);
        }
        let calm = counters.widths_asked;
        for millis in (20_000..30_000).step_by(50) {
            widths.doubt(path.local.ip(), path.remote.ip());
            widths.most_inner(at(millis), &path, Suite::ChaCha20Poly1305, &mut counters);
        }
        assert_eq!(counters.widths_asked - calm, 40, "four a second");
        widths.doubt(path.remote.ip(), path.remote.ip());
        widths.doubt("192.0.2.1".parse().unwrap(), path.remote.ip());
        assert_eq!(widths.0.len(), 1, "strangers add no pairs");
    }

    #[test]
    fn an_address_that_is_not_ours_sets_no_limit() {
        let (mut widths, mut counters) = (Widths::default(), IoCounters::default());
        let path = outer("192.0.2.77:4500", "192.0.2.78:4500");
        assert_eq!(widths.most_inner(at(0), &path, Suite::ChaCha20Poly1305, &mut counters), usize::MAX);
    }
}
