//! What a core is started with, and why it may not start.

use core::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mobike_ike::crypto::SecretBytes;
use mobike_ike::crypto::vault::STORE_KEY_LEN;
use mobike_ike::{HalfOpenLimits, QuestionLimits, Settings};

/// Everything a [`Core`](crate::Core) needs to know once.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// Local addresses to listen on; `0.0.0.0` and `::` stand for all of a family.
    pub listen: Vec<IpAddr>,
    /// UDP port of IKE (500).
    pub ike_port: u16,
    /// UDP port of IKE and ESP with NAT traversal (4500).
    pub natt_port: u16,
    /// Listen for streams on that port, too (RFC 9329). Those that we open need no such thing.
    pub tcp: bool,
    /// Threads, each with its own SAs: 1 to [`Settings::MAX_SHARDS`].
    pub shards: u8,
    /// Where inner packets go.
    pub inner: InnerConfig,
    /// Who does ESP.
    pub plane: PlaneConfig,
    /// Send ESP in UDP always, whatever a move says: the userspace plane has no raw sockets.
    pub always_encap: bool,
    /// What strangers may cost; limits are per shard.
    pub half_open: HalfOpenLimits,
    /// IKE SAs of all shards together, half-open ones included.
    pub max_sas: u32,
    /// As initiator: the hardest puzzle that is solved, in zero bits.
    pub hardest_solved: u8,
    /// Pin shard i to the i-th of these processors; at least as many as shards.
    pub pin_cpus: Option<Vec<usize>>,
    /// Makes every random choice repeatable: for tests alone.
    pub seed: Option<[u8; 32]>,
    /// 32 octets that seal IKE SAs which are written down; none: nothing can be.
    pub store_key: Option<SecretBytes>,
}

impl Default for CoreConfig {
    fn default() -> Self {
        CoreConfig {
            listen: vec![IpAddr::from([0; 4]), IpAddr::from([0; 16])],
            ike_port: 500,
            natt_port: 4500,
            tcp: false,
            shards: 1,
            inner: InnerConfig::None,
            plane: PlaneConfig::Userspace,
            always_encap: true,
            half_open: HalfOpenLimits::default(),
            max_sas: 1 << 20,
            hardest_solved: 20,
            pin_cpus: None,
            seed: None,
            store_key: None,
        }
    }
}

/// Where inner packets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InnerConfig {
    /// Nowhere: they are counted.
    None,
    /// To [`Core::inner_take`](crate::Core::inner_take) and from [`Core::inner_send`](crate::Core::inner_send).
    Port,
    /// To and from a TUN device.
    Tun {
        /// Its name.
        name: String,
        /// Its MTU in bytes.
        mtu: u32,
    },
}

/// Who does ESP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaneConfig {
    /// `mobike_esp`, in the shard.
    Userspace,
    /// The kernel, which somebody outside of the core programs: see [`Event::InstallChild`](crate::Event::InstallChild).
    Kernel,
    /// `mobike_esp`, from the moment on in which somebody outside says so, as if it were a kernel: for simulations.
    Imitated,
    /// Nobody here.
    Null,
}

impl PlaneConfig {
    /// ESP is done in the shard.
    pub(crate) fn is_here(self) -> bool {
        matches!(self, PlaneConfig::Userspace | PlaneConfig::Imitated)
    }

    /// Somebody outside of the core says when a Child SA is carried.
    pub(crate) fn has_word(self) -> bool {
        matches!(self, PlaneConfig::Kernel | PlaneConfig::Imitated)
    }
}

impl CoreConfig {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let wrong = |why: String| Err(StartError::Config(why));
        if self.listen.is_empty() {
            return wrong("no address to listen on".into());
        }
        if !(1..=Settings::MAX_SHARDS).contains(&self.shards) {
            return wrong(format!("{} shards; 1 to {} are possible", self.shards, Settings::MAX_SHARDS));
        }
        if self.ike_port == 0 || self.natt_port == 0 {
            return wrong("port 0 is no port to listen on".into());
        }
        if self.store_key.as_ref().is_some_and(|key| key.expose().len() != STORE_KEY_LEN) {
            return wrong(format!("the store key must have {STORE_KEY_LEN} octets"));
        }
        if self.tcp && self.plane == PlaneConfig::Kernel {
            return wrong("the kernel plane carries no streams (RFC 9329): use the userspace plane, or no TCP".into());
        }
        match &self.pin_cpus {
            Some(cpus) if cpus.len() < usize::from(self.shards) => {
                wrong(format!("{} processors to pin {} shards to", cpus.len(), self.shards))
            }
            _ => Ok(()),
        }
    }

    /// Every address and port to listen on, once.
    pub(crate) fn sockets(&self) -> Vec<SocketAddr> {
        let mut all = Vec::new();
        for ip in &self.listen {
            for port in [self.ike_port, self.natt_port] {
                let socket = SocketAddr::new(*ip, port);
                if !all.contains(&socket) {
                    all.push(socket);
                }
            }
        }
        all
    }

    pub(crate) fn settings(&self, shard: u8) -> Settings {
        Settings {
            shard,
            shards: self.shards,
            ike_port: self.ike_port,
            natt_port: self.natt_port,
            half_open: self.half_open,
            questions: QuestionLimits::default(),
            hardest_solved: self.hardest_solved,
            max_sas: self.max_sas.div_ceil(u32::from(self.shards)),
        }
    }
}

const NOT_PERMITTED: &str = "it needs CAP_NET_ADMIN: run as root, or give the capability";

/// Why a core did not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration contradicts itself.
    Config(String),
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The TUN device cannot be had.
    Tun(String, io::Error),
    /// A shard cannot be pinned to this processor.
    Pin(usize, io::Error),
    /// The kernel does not do ESP for the socket on this address.
    Kernel(SocketAddr, io::Error),
    /// The system has no more descriptors, threads or randomness.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(why) => f.write_str(why),
            StartError::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            StartError::Tun(name, error) => {
                write!(f, "cannot open TUN device {name:?}: {error}")?;
                match error.raw_os_error() {
                    Some(libc::EPERM | libc::EACCES) => write!(f, "; {NOT_PERMITTED}"),
                    Some(libc::ENOENT | libc::ENODEV) => f.write_str("; load the module tun"),
                    Some(libc::EBUSY) => f.write_str("; another process has it: give another name as tun"),
                    _ => Ok(()),
                }
            }
            StartError::Pin(cpu, error) => write!(f, "cannot pin a shard to processor {cpu}: {error}"),
            StartError::Kernel(address, error) => {
                let fix = match error.raw_os_error() {
                    Some(libc::EPERM | libc::EACCES) => NOT_PERMITTED,
                    Some(libc::ENOPROTOOPT) => "it is built without IPsec (CONFIG_XFRM): use the userspace plane",
                    _ => "use the userspace plane",
                };
                write!(f, "the kernel does not do ESP for {address}: {error}; {fix}")
            }
            StartError::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Config(_) => None,
            StartError::Listen(_, error)
            | StartError::Tun(_, error)
            | StartError::Pin(_, error)
            | StartError::Kernel(_, error)
            | StartError::System(error) => Some(error),
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::System(error)
    }
}
