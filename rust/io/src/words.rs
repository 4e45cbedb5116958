//! What goes in and out of a core: orders, and events without keys.

use std::net::IpAddr;
use std::sync::Arc;

use mobike_esp::Counters as ChildCounters;
use mobike_ike::crypto::{DirectionKeys, EspSuite};
use mobike_ike::event::DownReason;
use mobike_ike::{ChildId, ChildLimits, ChildMode, Command, Path, Role, SaId, Selector, Sends};

/// One order.
#[derive(Debug, Clone)]
pub enum Order {
    /// To the engine.
    Engine(Command),
    /// To the data plane.
    Plane(Operation),
    /// From a data plane outside of the core.
    Word(Word),
    /// Pull the cable of a local address, or plug it in again: for demonstrations and tests without root.
    Plug {
        /// The local address.
        address: IpAddr,
        /// Plugged in?
        up: bool,
    },
}

/// One order to the data plane. A move is answered with [`Event::SaMoved`] or [`Event::PlaneRefused`].
#[derive(Debug, Clone)]
pub enum Operation {
    /// Send all Child SAs of this IKE SA over `path` from now on.
    MoveSa {
        /// The IKE SA.
        sa: SaId,
        /// The new path.
        path: Path,
        /// ESP in UDP.
        encap: bool,
    },
    /// An end of this IKE SA is away: drop what would go to it, until it is moved.
    Park {
        /// The IKE SA.
        sa: SaId,
    },
}

/// What a data plane outside of the core says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It carries this Child SA: the peer may know.
    Installed(ChildId),
    /// It does not.
    Refused {
        /// The Child SA.
        child: ChildId,
        /// One line for people.
        why: String,
    },
    /// It carries this one no longer, and what takes its place sends.
    Removed(ChildId),
    /// This one has carried nearly what it may.
    Worn(ChildId),
    /// This one carries nothing more.
    Spent(ChildId),
    /// What it saw of an IKE SA's ESP since it last said so.
    Traffic {
        /// The IKE SA.
        sa: SaId,
        /// Something came in over the path in use.
        heard: bool,
        /// Something went out.
        sent: bool,
    },
    /// Authenticated ESP came in over another path than the one in use.
    Mapped {
        /// The IKE SA.
        sa: SaId,
        /// That path.
        path: Path,
    },
}

/// One fact.
#[derive(Debug)]
pub enum Event {
    /// From the engine; never a `ChildUp`, which carries keys, nor a `ChildDown`.
    Ike(mobike_ike::Event),
    /// A Child SA is agreed and carried.
    ChildUp(Box<ChildUp>),
    /// A data plane outside of the core is to carry this Child SA; a [`Word`] answers.
    InstallChild(Box<InstallChild>),
    /// It is to carry this one no longer, if it does.
    RemoveChild {
        /// Under which IKE SA.
        sa: SaId,
        /// Which.
        child: ChildId,
    },
    /// A Child SA is gone.
    ChildDown {
        /// Under which IKE SA.
        sa: SaId,
        /// Which.
        child: ChildId,
        /// Why.
        why: DownReason,
        /// What it carried, with the userspace plane.
        carried: Option<Box<ChildCounters>>,
    },
    /// An IKE SA of an earlier process goes on here; its Child SAs are told next.
    Resumed {
        /// What was told when it came up, as it is now.
        up: Box<mobike_ike::IkeSaUp>,
        /// Both ends agreed on its path.
        agreed: bool,
        /// It was parked in order, and not long ago: the peer knows what we know.
        sure: bool,
        /// What the control plane wrote down with it.
        notes: Box<[u8]>,
    },
    /// An inner packet, and others like it, found no Child SA that carries it.
    TrafficWaits {
        /// Whose it is.
        source: std::net::IpAddr,
        /// Who it is for.
        destination: std::net::IpAddr,
        /// Its upper protocol.
        protocol: u8,
        /// Source and destination port, where the packet shows them.
        ports: Option<(u16, u16)>,
    },
    /// The data plane sends the Child SAs of `sa` over `path`.
    SaMoved {
        /// The IKE SA.
        sa: SaId,
        /// Its new path.
        path: Path,
    },
    /// The data plane could not do what it was told.
    PlaneRefused {
        /// The IKE SA.
        sa: SaId,
        /// One line for people.
        why: String,
    },
    /// Something odd in the shell itself.
    Notice {
        /// What kind of thing: `child_worn`, `path_mtu` or `tun`.
        kind: &'static str,
        /// One line for people.
        text: String,
    },
}

/// What a data plane outside of the core needs to carry a Child SA.
#[derive(Debug)]
pub struct InstallChild {
    /// What the control plane will see of it.
    pub up: ChildUp,
    /// Our part in its IKE SA.
    pub part: Role,
    /// Outer addresses, and the ports of the encapsulation if there is one.
    pub path: Path,
    /// When packets leave through it.
    pub sends: Sends,
    /// How much it may carry.
    pub volumes: ChildLimits,
    /// None: the plane has carried it since before a restart.
    pub keys: Option<PairKeys>,
}

/// The keys of a Child SA. They wipe themselves.
#[derive(Debug, Clone)]
pub struct PairKeys {
    /// Of packets to us.
    pub inbound: DirectionKeys,
    /// Of packets to the peer.
    pub outbound: DirectionKeys,
}

/// A Child SA as the control plane sees it: no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildUp {
    /// Its IKE SA.
    pub sa: SaId,
    /// The pair.
    pub child: ChildId,
    /// Which of its connection's Child SAs it is.
    pub name: Arc<str>,
    /// SPI of packets to us.
    pub spi_in: u32,
    /// SPI of packets to the peer.
    pub spi_out: u32,
    /// The algorithms.
    pub suite: EspSuite,
    /// Traffic on our side.
    pub local_ts: Vec<Selector>,
    /// Traffic on the peer's side.
    pub remote_ts: Vec<Selector>,
    /// ESP in UDP.
    pub encap: bool,
    /// Tunnel or transport.
    pub mode: ChildMode,
}
