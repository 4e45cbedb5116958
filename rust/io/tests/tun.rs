//! The TUN device, in a network namespace of its own. Needs root.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mobike_io::tun::Tun;
use mobike_io::{Core, CoreConfig, Event, InnerConfig};

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
    // A child that another test is starting holds the descriptor until its exec.
    let gone = (0..100).any(|_| {
        !devices().contains("mob0:") || {
            sleep(Duration::from_millis(10));
            false
        }
    });
    assert!(gone);
}

fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "ip {arguments}");
}

#[test]
fn a_core_whose_device_is_deleted_says_so_once_and_goes_on() {
    if !alone() || !Path::new("/dev/net/tun").exists() || Command::new("ip").arg("-V").output().is_err() {
        eprintln!("skipped: making and deleting a TUN device needs root, /dev/net/tun and iproute2");
        return;
    }
    ip("link set lo up");
    // The core's threads are born in this thread's namespace.
    let inner = InnerConfig::Tun { name: "mob%d".into(), mtu: 1400 };
    let core = Core::start(&CoreConfig { listen: vec!["127.0.0.1".parse().unwrap()], inner, ..CoreConfig::default() });
    let core = core.unwrap();
    ip(&format!("link del {}", core.tun_name().unwrap()));
    let (mut events, begin) = (Vec::new(), Instant::now());
    while events.is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(5));
        events.extend(core.take_events(10));
    }
    std::thread::sleep(Duration::from_millis(20));
    events.extend(core.take_events(10));
    assert!(matches!(events.as_slice(), [Event::Notice { kind: "tun", .. }]), "{events:?}");
    assert!(core.counters().contains(&("io_shards_running".to_owned(), 1)));
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
