//! Names of things: SAs, profiles, decisions, and who a peer says it is.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub use crate::crypto::Role;

const SHARD_BITS: u32 = 8;
const SLOT_BITS: u32 = 24;

/// Slot numbers an id can carry: 24 bits, so at most 16,777,216 SAs live in one shard.
pub const MAX_SLOTS: u32 = 1 << SLOT_BITS;

macro_rules! slab_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u64);

        impl $name {
            /// Put the three parts together; `slot` keeps its low 24 bits.
            #[must_use]
            pub const fn new(shard: u8, slot: u32, generation: u32) -> Self {
                Self(shard as u64 | (((slot & (MAX_SLOTS - 1)) as u64) << SHARD_BITS) | ((generation as u64) << 32))
            }

            /// The shard that owns it.
            #[must_use]
            pub const fn shard(self) -> u8 {
                self.0 as u8
            }

            /// Its place in the shard's table.
            #[must_use]
            pub const fn slot(self) -> u32 {
                (self.0 >> SHARD_BITS) as u32 & (MAX_SLOTS - 1)
            }

            /// How often the place was given out before; tells a newcomer from who sat there earlier.
            #[must_use]
            pub const fn generation(self) -> u32 {
                (self.0 >> 32) as u32
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0)
            }
        }
    };
}

slab_id! {
    /// One IKE SA as the control plane knows it; it survives a rekey. Bits: shard (8 low), slot (24), generation (32 high).
    SaId
}
slab_id! {
    /// One Child SA pair (inbound and outbound together); same layout as [`SaId`].
    ChildId
}

/// One profile: the standing orders of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileId(pub u32);

/// The version of a decision about one SA. It comes back in the events the decision caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Generation(pub u32);

/// One question to the control plane. An engine gives no number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question(pub u64);

/// Names an ordered connection before it has an [`SaId`]; chosen by who ordered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Who a peer says it is (RFC 7296 section 3.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// ID_IPV4_ADDR.
    Ipv4(Ipv4Addr),
    /// ID_IPV6_ADDR.
    Ipv6(Ipv6Addr),
    /// ID_FQDN: a host name.
    Fqdn(Arc<str>),
    /// ID_RFC822_ADDR: user@host.
    Email(Arc<str>),
    /// ID_KEY_ID: opaque octets.
    KeyId(Arc<[u8]>),
    /// Any other type, kept as it came.
    Other {
        /// The type number.
        kind: u8,
        /// The octets.
        data: Arc<[u8]>,
    },
}

impl Identity {
    const IPV4_ADDR: u8 = 1;
    const FQDN: u8 = 2;
    const RFC822_ADDR: u8 = 3;
    const IPV6_ADDR: u8 = 5;
    const KEY_ID: u8 = 11;

    /// Read it from an ID payload. An address of the wrong length or a name that is not UTF-8 is kept as [`Identity::Other`].
    #[must_use]
    pub fn from_wire(kind: u8, data: &[u8]) -> Identity {
        let other = || Identity::Other { kind, data: Arc::from(data) };
        match kind {
            Self::IPV4_ADDR => {
                <[u8; 4]>::try_from(data).map_or_else(|_| other(), |a| Identity::Ipv4(Ipv4Addr::from(a)))
            }
            Self::IPV6_ADDR => {
                <[u8; 16]>::try_from(data).map_or_else(|_| other(), |a| Identity::Ipv6(Ipv6Addr::from(a)))
            }
            Self::FQDN => core::str::from_utf8(data).map_or_else(|_| other(), |s| Identity::Fqdn(Arc::from(s))),
            Self::RFC822_ADDR => core::str::from_utf8(data).map_or_else(|_| other(), |s| Identity::Email(Arc::from(s))),
            Self::KEY_ID => Identity::KeyId(Arc::from(data)),
            _ => other(),
        }
    }

    /// The type number of the ID payload.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Identity::Ipv4(_) => Self::IPV4_ADDR,
            Identity::Ipv6(_) => Self::IPV6_ADDR,
            Identity::Fqdn(_) => Self::FQDN,
            Identity::Email(_) => Self::RFC822_ADDR,
            Identity::KeyId(_) => Self::KEY_ID,
            Identity::Other { kind, .. } => *kind,
        }
    }

    /// Hand the octets of the ID payload to `with`.
    pub fn with_data<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Identity::Ipv4(address) => with(&address.octets()),
            Identity::Ipv6(address) => with(&address.octets()),
            Identity::Fqdn(name) | Identity::Email(name) => with(name.as_bytes()),
            Identity::KeyId(data) | Identity::Other { data, .. } => with(data),
        }
    }

    /// Does an ID payload of this type and data say the same? Compares without making an [`Identity`].
    #[must_use]
    pub fn is_wire(&self, kind: u8, data: &[u8]) -> bool {
        self.kind() == kind && self.with_data(|own| own == data)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Ipv4(address) => address.fmt(f),
            Identity::Ipv6(address) => address.fmt(f),
            Identity::Fqdn(name) | Identity::Email(name) => write!(f, "{}", name.escape_debug()),
            Identity::KeyId(data) => hex(f, "keyid:", data),
            Identity::Other { kind, data } => hex(f, &format!("id{kind}:"), data),
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, prefix: &str, data: &[u8]) -> fmt::Result {
    f.write_str(prefix)?;
    data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

/// Which peers a profile is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityPattern {
    /// Anybody who proves the secret.
    Any,
    /// This one.
    Exact(Identity),
    /// Host names and mail addresses that end so: `.example.net` or `@example.net`. ASCII case does not count.
    Suffix(Arc<str>),
}

impl IdentityPattern {
    /// Does this identity fall under the pattern?
    #[must_use]
    pub fn matches(&self, id: &Identity) -> bool {
        match self {
            IdentityPattern::Any => true,
            IdentityPattern::Exact(wanted) => wanted == id,
            IdentityPattern::Suffix(suffix) => match id {
                Identity::Fqdn(name) | Identity::Email(name) => ends_with_ignoring_case(name, suffix),
                Identity::Ipv4(_) | Identity::Ipv6(_) | Identity::KeyId(_) | Identity::Other { .. } => false,
            },
        }
    }

    /// How narrow the pattern is: the narrowest profile that fits is the one used.
    #[must_use]
    pub fn rank(&self) -> usize {
        match self {
            IdentityPattern::Any => 0,
            IdentityPattern::Suffix(suffix) => 1 + suffix.len(),
            IdentityPattern::Exact(_) => usize::MAX,
        }
    }
}

impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityPattern::Any => f.write_str("anybody"),
            IdentityPattern::Exact(id) => id.fmt(f),
            IdentityPattern::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}

fn ends_with_ignoring_case(name: &str, suffix: &str) -> bool {
    let (name, suffix) = (name.as_bytes(), suffix.as_bytes());
    name.len() > suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}
