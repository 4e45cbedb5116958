//! The few system calls that more than one file here needs.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The result of a system call that answers -1 on failure.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The last error's number; 0 never occurs after a failure.
pub(crate) fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Take a descriptor that a system call just made.
///
/// # Safety
/// `fd` must be open and owned by nobody else.
pub(crate) unsafe fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: promised by the caller.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Something that wakes a poll: readable from `ring` until `hush`.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        // SAFETY: no pointers; the descriptor is ours when the call succeeds.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: just made.
        Ok(Bell(unsafe { own(fd) }))
    }

    /// An eventfd counter cannot overflow in practice, and if it did it would still be readable.
    pub(crate) fn ring(&self) {
        let one: u64 = 1;
        // SAFETY: eight bytes of `one`, as eventfd wants.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    pub(crate) fn hush(&self) {
        let mut count: u64 = 0;
        // SAFETY: eight bytes of `count`, as eventfd wants. Nothing to read is fine.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Wait until one of `polls` is ready or the time is over. A signal counts as "ready": the caller looks and comes back.
pub(crate) fn wait(polls: &mut [libc::pollfd], at_most: Option<Duration>) {
    let timeout = at_most.map(|span| libc::timespec {
        tv_sec: libc::time_t::try_from(span.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(span.subsec_nanos() as i32),
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `polls` is a valid slice of pollfd, `timeout` is null or points to a timespec that lives until the end.
    let ready = unsafe { libc::ppoll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, timeout, std::ptr::null()) };
    if ready < 0 {
        polls.iter_mut().filter(|poll| poll.fd >= 0).for_each(|poll| poll.revents = poll.events);
    }
}

pub(crate) fn readable(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

/// How many descriptors this process may have, after asking for as many as it is allowed.
pub(crate) fn descriptors() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for both numbers.
    if check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }).is_err() {
        return 0;
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        // SAFETY: `raised` lives until the call returns.
        if check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) }).is_ok() {
            limit = raised;
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// Signals are for the thread that runs Python.
pub(crate) fn leave_signals_to_others() {
    // SAFETY: sigset_t is a bit mask; sigfillset makes it a valid one, and both calls get valid pointers or null.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// Let this thread run on one processor alone.
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: cpu_set_t is a bit mask; all zeros is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` is below CPU_SETSIZE, so the bit is within `set`.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: 0 names this thread; pointer and size describe `set`.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) }).map(drop)
}
