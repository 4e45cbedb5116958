//! Which of many descriptors are ready, asked at once.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::sys;

/// Answers in one turn; the others have theirs in the next.
const ANSWERS: usize = 64;

/// The kernel's list of descriptors. Readable itself while one of them is ready.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

/// What a descriptor is ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) key: u64,
    /// There is something to read, or it ended.
    pub(crate) read: bool,
    /// It takes more.
    pub(crate) write: bool,
}

/// What to tell of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Interest {
    Nothing,
    Read,
    Both,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers; the descriptor is ours when the call succeeds.
        let fd = sys::check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just made.
        Ok(Epoll(unsafe { sys::own(fd) }))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(crate) fn add(&self, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, key, interest)
    }

    pub(crate) fn change(&self, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, key, interest)
    }

    pub(crate) fn remove(&self, fd: RawFd) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest::Nothing);
    }

    fn control(&self, what: libc::c_int, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        let events = match interest {
            Interest::Nothing => 0,
            Interest::Read => libc::EPOLLIN | libc::EPOLLRDHUP,
            Interest::Both => libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLOUT,
        };
        let mut event = libc::epoll_event { events: events as u32, u64: key };
        // SAFETY: both descriptors are open; `event` lives until the call returns.
        sys::check(unsafe { libc::epoll_ctl(self.fd(), what, fd, &raw mut event) }).map(drop)
    }

    /// Those that are ready now.
    pub(crate) fn ready(&self, into: &mut Vec<Ready>) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; ANSWERS];
        // SAFETY: room for `ANSWERS` events; zero waits not at all.
        let got = unsafe { libc::epoll_wait(self.fd(), events.as_mut_ptr(), ANSWERS as libc::c_int, 0) };
        let ended = libc::EPOLLERR | libc::EPOLLHUP | libc::EPOLLRDHUP;
        for event in events.iter().take(usize::try_from(got).unwrap_or(0)) {
            let (bits, key) = (event.events as libc::c_int, event.u64);
            let (read, write) = (bits & (libc::EPOLLIN | ended) != 0, bits & (libc::EPOLLOUT | ended) != 0);
            into.push(Ready { key, read, write });
        }
    }
}
