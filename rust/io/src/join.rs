//! Where engine and data plane meet: what one shard decides, whoever carries its packets. No sockets, no clock.

mod held;
mod outside;

use std::ops::Range;

use mobike_esp::{Encap, OpenError, OuterPath, SaPairId, SealError, Suite};
use mobike_ike::event::DownReason;
use mobike_ike::{Command, Engine, Nanos, Path, Quoted, SaId, Transmit};

use crate::classify::Kind;
use crate::config::{CoreConfig, PlaneConfig};
use crate::early::Early;
use crate::plane::{self, Plane, Warning};
use crate::recent::Recent;
use crate::seen::Seen;
use crate::tape::Tape;
use crate::words::{Event, Operation};
use held::Held;
pub use held::Told;
use outside::Outside;

/// One engine with its Child SAs.
pub(crate) struct Join {
    pub(crate) engine: Engine,
    pub(crate) plane: Plane,
    /// What waits for a data plane outside; none: there is no such plane.
    pub(crate) outside: Option<Outside>,
    /// Events that nobody took yet.
    pub(crate) held: Held,
    /// What ESP did since the engine was last told.
    seen: Seen,
    recent: Recent,
    early: Early,
    /// An operator has one IKE SA taken down.
    pub(crate) tape: Option<Tape>,
}

/// Why an inner packet stays.
pub(crate) enum Stays {
    /// There is no userspace plane.
    NoPlane,
    /// The table refused it, and counted that.
    Refused(SealError),
    /// The Child SA sends ESP without UDP, which nobody here can.
    Plain,
}

/// A sealed packet: which way it goes, how long it is, whose it is.
pub(crate) struct Leaving {
    pub(crate) path: Path,
    pub(crate) length: usize,
    pub(crate) sa: SaId,
}

impl Join {
    pub(crate) fn new(engine: Engine, config: &CoreConfig) -> Join {
        let imitated = config.plane == PlaneConfig::Imitated;
        Join {
            engine,
            plane: Plane::new(config),
            outside: config.plane.has_word().then(|| Outside::new(imitated)),
            held: Held::default(),
            seen: Seen::default(),
            recent: Recent::default(),
            early: Early::default(),
            tape: None,
        }
    }

    pub(crate) fn command(&mut self, now: Nanos, command: Command) {
        self.engine.handle_command(now, command);
    }

    /// A message of IKE came. A Child SA that it makes is there at once: the peer may send on it as soon as it has answered (RFC
    /// 7296 section 2.8), so the next datagram of the same batch may be its first packet.
    pub(crate) fn hear_ike(&mut self, now: Nanos, path: Path, bytes: &mut [u8]) {
        self.engine.handle_datagram(now, path, bytes);
        self.take_in(now);
    }

    fn take_in(&mut self, now: Nanos) {
        while let Some((event, by)) = self.engine.poll_told() {
            self.held.by = by;
            self.act_on(now, event);
        }
        self.held.by = None;
    }

    pub(crate) fn operate(&mut self, operation: &Operation) {
        match *operation {
            Operation::MoveSa { sa, path, encap } => {
                self.plane.move_sa(sa, path, encap);
                self.held.push_back(Event::SaMoved { sa, path });
            }
            Operation::Park { sa } => self.plane.park(sa),
        }
    }

    /// When `handle_timeout` wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Nanos> {
        let esp = self.plane.esp.as_ref().and_then(|esp| esp.poll_timeout()).map(|at| Nanos(at.0));
        let word = self.outside.as_ref().and_then(|outside| outside.hold.poll_timeout());
        self.engine.poll_timeout().into_iter().chain(esp).chain(word).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Nanos) {
        // Before the timers: an answer that is in already must not count as missing.
        self.tell(now);
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        if let Some(esp) = &mut self.plane.esp {
            esp.handle_timeout(mobike_esp::Nanos(now.0));
            while let Some(spi) = self.early.expire(now) {
                esp.count_refusal(OpenError::UnknownSpi(spi));
            }
        }
        self.give_up_waiting(now);
    }

    /// The engine hears what ESP did. Costs next to nothing if that was nothing.
    pub(crate) fn tell(&mut self, now: Nanos) {
        self.seen.tell(now, &mut self.engine);
    }

    /// Events become news, the data plane first. A Child SA that cannot be installed is closed, which makes more of both.
    /// To be called before `poll_transmit`.
    pub(crate) fn settle(&mut self, now: Nanos) {
        self.tell(now);
        self.take_in(now);
        while let Some(Warning { child, text, spent }) = self.plane.poll_warning() {
            let text = text.map(|text| format!("Child SA {child}: {text}"));
            self.held.extend(text.map(|text| Event::Notice { kind: "child_worn", text }));
            self.engine.note_worn(now, child, spent);
            self.take_in(now);
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        let Some(outside) = &mut self.outside else { return self.engine.poll_transmit() };
        if let Some(released) = outside.hold.poll_transmit() {
            return Some(released);
        }
        while let Some(transmit) = self.engine.poll_transmit() {
            if let Some(leaves) = outside.hold.keep(transmit) {
                return Some(leaves);
            }
        }
        None
    }

    fn act_on(&mut self, now: Nanos, event: mobike_ike::Event) {
        let event = match event {
            mobike_ike::Event::ChildUp { sa, child, name, install } => {
                return self.agreed(now, sa, child, name, install);
            }
            mobike_ike::Event::ChildDown { sa, child, why, .. } => {
                let carried = self.plane.esp.as_ref().and_then(|esp| esp.counters(SaPairId(child.0)));
                self.plane.remove(child);
                if let Some(outside) = &mut self.outside {
                    self.held.push_back(Event::RemoveChild { sa, child });
                    outside.cards.forget(sa, child);
                    if outside.hold.gone(child) {
                        return;
                    }
                    // With the IKE SA goes all of it, and nothing takes its place.
                    if why != DownReason::WithIkeSa {
                        outside.hold.begin_removal(now, sa, child);
                    }
                }
                Event::ChildDown { sa, child, why, carried: carried.map(Box::new) }
            }
            other => Event::Ike(other),
        };
        self.held.push_back(event);
    }

    /// An ESP packet: where in `bytes` the inner one is, if it is good. What is refused is counted by the table, with its
    /// reason; what is ahead of its Child SA is kept, and comes out of `poll_early`. `Err`: there is no userspace plane.
    pub(crate) fn open(&mut self, now: Nanos, path: Path, bytes: &mut [u8]) -> Result<Option<Range<usize>>, Stays> {
        let Some(esp) = &mut self.plane.esp else { return Err(Stays::NoPlane) };
        let from = plane::outer_from(path);
        let opened = match esp.open_uncounted(mobike_esp::Nanos(now.0), &from, bytes) {
            Ok(opened) => opened,
            Err(OpenError::UnknownSpi(spi))
                if self.engine.expects_esp(spi) && self.early.keep(now, spi, path, bytes) =>
            {
                return Ok(None);
            }
            Err(why) => {
                esp.count_refusal(why);
                return Ok(None);
            }
        };
        if opened.path_matches {
            self.seen.heard(opened.group);
        } else {
            self.seen.heard_elsewhere(opened.group, path);
        }
        self.plane.heard_on(opened.id);
        Ok(Some(opened.inner))
    }

    /// An ESP packet whose Child SA has come: to be opened now. To be asked for after whatever may bring one.
    pub(crate) fn poll_early(&mut self) -> Option<(Path, Box<[u8]>)> {
        self.early.poll()
    }

    /// Somebody says that a datagram of ours cannot be delivered, and quotes its beginning. `false`: ESP of somebody else.
    pub(crate) fn unreachable(&mut self, now: Nanos, path: Path, kind: Kind, quoted: &[u8]) -> bool {
        let quoted = match kind {
            Kind::Ike { .. } => Quoted::Ike(quoted),
            Kind::Esp { spi } => match self.recent.sender(spi) {
                Some(sa) => Quoted::Esp(sa),
                None => return false,
            },
            // Whose it was cannot be seen.
            Kind::Keepalive | Kind::Runt => return true,
        };
        self.engine.handle_unreachable(now, path, quoted);
        true
    }

    /// A message of ours did not leave this host.
    pub(crate) fn unsent(&mut self, now: Nanos, path: Path, message: &[u8]) {
        self.engine.handle_unsent(now, path, message);
    }

    /// An inner packet sealed into `out`.
    /// `most` says how long an inner packet may be on a path, with a suite.
    pub(crate) fn seal(
        &mut self,
        now: Nanos,
        packet: &[u8],
        out: &mut [u8],
        most: impl FnOnce(&OuterPath, Suite) -> usize,
    ) -> Result<Leaving, Stays> {
        let Some(esp) = &mut self.plane.esp else { return Err(Stays::NoPlane) };
        let sealed = esp.seal_routed_within(mobike_esp::Nanos(now.0), packet, out, most).map_err(Stays::Refused)?;
        if sealed.outer.encap == Encap::None {
            return Err(Stays::Plain);
        }
        self.seen.sent(sealed.group);
        self.recent.note(out, sealed.group);
        Ok(Leaving { path: plane::path_of(&sealed.outer), length: sealed.len, sa: SaId(sealed.group.0) })
    }
}
