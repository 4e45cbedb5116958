//! A TUN device: the kernel's door for inner packets. Its addresses and routes are set by the control plane.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use socket2::{Domain, Socket, Type};

use crate::sys;

/// An open device. It vanishes when dropped.
#[derive(Debug)]
pub struct Tun {
    file: File,
    name: String,
}

impl Tun {
    /// Make the device `name` (a name with `%d` lets the kernel number it), give it an MTU in bytes, and set it up.
    ///
    /// # Errors
    /// Without CAP_NET_ADMIN, without /dev/net/tun, or when the name is taken or too long.
    pub fn open(name: &str, mtu: u32) -> io::Result<Tun> {
        let mut request = request(name)?;
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        ioctl(file.as_raw_fd(), libc::TUNSETIFF, &mut request)?;
        let tun = Tun { file, name: name_of(&request) };
        tun.configure(mtu)?;
        Ok(tun)
    }

    /// The name the kernel gave it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// One packet for the tunnel; `None` when there is none now.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        (&self.file).read(buffer).ok().filter(|length| *length > 0)
    }

    /// One packet out of the tunnel; false if the kernel refuses it.
    pub(crate) fn write(&self, packet: &[u8]) -> bool {
        (&self.file).write(packet).is_ok()
    }

    fn configure(&self, mtu: u32) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        let mut request = request(&self.name)?;
        request.ifr_ifru.ifru_mtu = libc::c_int::try_from(mtu).map_err(|_| io::ErrorKind::InvalidInput)?;
        ioctl(socket.as_raw_fd(), libc::SIOCSIFMTU, &mut request)?;
        ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: SIOCGIFFLAGS has just filled this member.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        request.ifr_ifru.ifru_flags = flags | (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &mut request)
    }
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    if name.is_empty()
        || name.len() >= libc::IFNAMSIZ
        || name.contains(['/', '\0'])
        || name.contains(char::is_whitespace)
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no name for a link")));
    }
    // SAFETY: ifreq is integers and a union of them; all zeros is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn name_of(request: &libc::ifreq) -> String {
    let bytes: Vec<u8> = request.ifr_name.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ioctl(fd: RawFd, number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: each request used here reads and writes one ifreq, which `request` is.
    sys::check(unsafe { libc::ioctl(fd, number as _, std::ptr::from_mut(request)) }).map(drop)
}
