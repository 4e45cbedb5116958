//! The TUN device, in a network namespace of its own. Needs root.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use mobike_io::tun::Tun;

/// Move this thread to a namespace that vanishes with it; false without the right to.
fn alone() -> bool {
    // SAFETY: no pointers; a thread may leave its network namespace.
    unsafe { libc::unshare(libc::CLONE_NEWNET) == 0 }
}

#[test]
fn a_device_gets_its_name_and_mtu_and_is_up_and_vanishes_when_dropped() {
    if !alone() || !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: making a TUN device needs root and /dev/net/tun");
        return;
    }
    let tun = Tun::open("mob%d", 1380).unwrap();
    assert_eq!(tun.name(), "mob0");
    // The namespace's own view: one line per device, "name: ...".
    let devices = || fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    assert!(devices().contains("mob0:"));
    assert_eq!(mtu_and_flags("mob0"), (1380, true));
    assert!(Tun::open("mob0", 1380).is_err());
    drop(tun);
    assert!(!devices().contains("mob0:"));
}

#[test]
fn names_that_no_link_can_have_are_refused() {
    for name in ["", "a/b", "a b", "sixteen-letters-"] {
        assert!(Tun::open(name, 1400).unwrap_err().to_string().contains("no name"), "{name}");
    }
}

fn mtu_and_flags(name: &str) -> (i32, bool) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: ifreq is integers and a union of them; all zeros is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: both requests read and write one ifreq; each union member is read after the request that fills it.
    unsafe {
        assert_eq!(libc::ioctl(fd, libc::SIOCGIFMTU, &raw mut request), 0);
        let mtu = request.ifr_ifru.ifru_mtu;
        assert_eq!(libc::ioctl(fd, libc::SIOCGIFFLAGS, &raw mut request), 0);
        (mtu, i32::from(request.ifr_ifru.ifru_flags) & libc::IFF_UP != 0)
    }
}
