//! Streams between the hosts (RFC 9329), as the shell has them: opened by path and place of the IKE SA, in order, whole.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use mobike_ike::table::spi::ike_place;
use mobike_ike::wire::Header;
use mobike_ike::{Nanos, Path, Transmit};

use super::host::HostId;
use super::net::LATENCY;
use super::world::World;

/// One stream.
#[derive(Debug, Clone, Copy)]
struct Wire {
    opener: HostId,
    place: u32,
    /// As its opener calls it.
    path: Path,
    far: HostId,
    /// As the other end calls it: with the port that the opener's system chose.
    far_path: Path,
    open: bool,
    cut: bool,
}

/// What arrives over a wire.
#[derive(Debug)]
enum News {
    Open,
    Message(HostId, Path, Vec<u8>),
}

/// All streams.
#[derive(Debug, Default)]
pub struct Wires {
    all: Vec<Wire>,
    air: VecDeque<(Nanos, usize, News)>,
    /// What is written arrives nowhere, and nobody is told.
    pub stalled: bool,
    /// No stream can be opened.
    pub refused: bool,
    /// A NAT lets those that are opened from now on come from this address.
    pub outside: Option<IpAddr>,
}

/// What a host does with a message for a stream.
pub enum Written {
    /// It is on its way.
    Yes,
    /// It went this way before: the stream has it.
    Spared,
    /// No stream is open.
    No(&'static str),
}

impl Wires {
    /// How many were opened.
    pub fn opened(&self) -> usize {
        self.all.iter().filter(|wire| wire.open).count()
    }

    /// When something arrives.
    pub fn next_due(&self) -> Option<Nanos> {
        self.air.iter().map(|(due, ..)| *due).min()
    }

    fn of(&self, from: HostId, path: Path, place: u32) -> Option<usize> {
        let fits = |wire: &Wire| {
            let ours = wire.opener == from && wire.path == path && wire.place == place;
            !wire.cut && (ours || (wire.far == from && wire.far_path == path))
        };
        self.all.iter().rposition(fits)
    }
}

/// Of the IKE SA that sends this.
fn place_of(bytes: &[u8]) -> u32 {
    let header = Header::peek(bytes).expect("an IKE message");
    ike_place(if header.flags.initiator { header.initiator_spi } else { header.responder_spi })
}

impl World {
    /// A host writes; whoever may, opens a stream where there is none.
    pub(super) fn write(&mut self, from: HostId, transmit: &Transmit) -> Written {
        let place = place_of(&transmit.bytes);
        let Some(index) = self.wires.of(from, transmit.path, place) else {
            if self.host(from).engine.may_open_stream(place) && !self.wires.refused {
                self.open_wire(from, transmit.path, place);
            }
            return Written::No("no stream yet");
        };
        let wire = self.wires.all[index];
        if !wire.open {
            return Written::No("the stream is not open yet");
        }
        if transmit.again {
            return Written::Spared;
        }
        if self.wires.stalled {
            return Written::No("the stream stands still");
        }
        let (to, path) = if wire.opener == from { (wire.far, wire.far_path) } else { (wire.opener, wire.path) };
        let message = News::Message(to, path, transmit.bytes.to_vec());
        self.wires.air.push_back((self.now + LATENCY, index, message));
        Written::Yes
    }

    fn open_wire(&mut self, opener: HostId, path: Path, place: u32) {
        let at_home = |host: &&super::host::Host| host.addresses.iter().any(|(_, ip)| *ip == path.remote.ip());
        let Some(far) = self.hosts.iter().find(at_home).map(|host| host.id) else { return };
        let port = 40_000 + self.wires.all.len() as u16;
        let far_path = Path::tcp(path.remote, SocketAddr::new(self.wires.outside.unwrap_or(path.local.ip()), port));
        self.wires.all.push(Wire { opener, place, path, far, far_path, open: false, cut: false });
        let index = self.wires.all.len() - 1;
        self.wires.air.push_back((self.now + 2 * LATENCY, index, News::Open));
    }

    /// Whatever is due.
    pub(super) fn arrive_by_wire(&mut self) {
        while let Some(at) = self.wires.air.iter().position(|(due, ..)| *due <= self.now) {
            let Some((_, index, news)) = self.wires.air.remove(at) else { return };
            let wire = self.wires.all[index];
            match news {
                _ if wire.cut => {}
                News::Open => {
                    self.wires.all[index].open = true;
                    let now = self.now;
                    self.hosts[wire.opener.0].engine.handle_stream_opened(now, wire.place, wire.path);
                    self.drain_now(wire.opener);
                }
                News::Message(to, path, bytes) => self.hand_over(to, path, bytes),
            }
        }
    }

    /// All streams end with a host that is not there to hear of it.
    pub fn forget_wires(&mut self) {
        self.wires.all.iter_mut().for_each(|wire| wire.cut = true);
    }

    /// All streams end. Who opened them is told at once.
    #[track_caller]
    pub fn cut_wires(&mut self) {
        for index in 0..self.wires.all.len() {
            let wire = self.wires.all[index];
            if !wire.cut {
                self.wires.all[index].cut = true;
                let now = self.now;
                self.hosts[wire.opener.0].engine.handle_stream_lost(now, wire.place, wire.path);
                self.drain_now(wire.opener);
            }
        }
        self.check();
    }
}
