//! One engine, its addresses, and what it reported.

use core::net::IpAddr;

use mobike_ike::crypto::{IkeSuite, Spis};
use mobike_ike::event::{ConnectError, DownReason, IkeSaUp};
use mobike_ike::{Asked, ChildId, ChildInstall, Engine, Event, Generation, Nanos, NatView, PairSeen, Path, SaId};

/// Which host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// A host.
pub struct Host {
    /// Which.
    pub id: HostId,
    /// In arrows.
    pub name: &'static str,
    /// The engine under test.
    pub engine: Engine,
    /// Its addresses and their names.
    pub addresses: Vec<(&'static str, IpAddr)>,
    /// All it reported, with when.
    pub events: Vec<(Nanos, Event)>,
    /// The exchange that each of these came of.
    pub causes: Vec<Option<Asked>>,
}

impl Host {
    /// A host without history.
    pub fn new(id: HostId, name: &'static str, engine: Engine, addresses: &[(&'static str, IpAddr)]) -> Host {
        Host { id, name, engine, addresses: addresses.to_vec(), events: Vec::new(), causes: Vec::new() }
    }

    /// The exchange that the first such event came of.
    #[track_caller]
    pub fn came_of(&self, fits: impl Fn(&Event) -> bool) -> Option<Asked> {
        let at = self.events.iter().position(|(_, event)| fits(event));
        self.causes[at.unwrap_or_else(|| panic!("{}: no such event", self.name))]
    }

    fn pick<'a, T: 'a>(&'a self, pick: impl Fn(&'a Event) -> Option<T> + 'a) -> impl Iterator<Item = T> + 'a {
        self.events.iter().filter_map(move |(_, event)| pick(event))
    }

    /// IKE SAs that came up.
    pub fn ups(&self) -> Vec<&IkeSaUp> {
        self.pick(|event| if let Event::IkeSaUp(up) = event { Some(&**up) } else { None }).collect()
    }

    /// What the IKE SAs of this host were rekeyed to: SPIs and algorithms.
    pub fn rekeys(&self) -> Vec<(Spis, IkeSuite)> {
        self.pick(|event| match event {
            Event::IkeSaRekeyed { spi_i, spi_r, suite, .. } => {
                Some((Spis { initiator: *spi_i, responder: *spi_r }, *suite))
            }
            _ => None,
        })
        .collect()
    }

    /// The one IKE SA that came up.
    #[track_caller]
    pub fn up(&self) -> &IkeSaUp {
        let ups = self.ups();
        assert_eq!(ups.len(), 1, "{}: IKE SAs up", self.name);
        ups[0]
    }

    /// The latest IKE SA that came up.
    #[track_caller]
    pub fn sa(&self) -> SaId {
        self.ups().last().unwrap_or_else(|| panic!("{}: no IKE SA came up", self.name)).sa
    }

    /// IKE SAs that went down, and why.
    pub fn downs(&self) -> Vec<(SaId, DownReason)> {
        self.pick(|event| if let Event::IkeSaDown { sa, why, .. } = event { Some((*sa, why.clone())) } else { None })
            .collect()
    }

    /// IKE SAs that are up now.
    pub fn alive(&self) -> Vec<SaId> {
        let downs = self.downs();
        self.ups().iter().map(|up| up.sa).filter(|sa| !downs.iter().any(|(down, _)| down == sa)).collect()
    }

    /// Child SAs that came up.
    pub fn installs(&self) -> Vec<(ChildId, &ChildInstall)> {
        self.pick(
            |event| {
                if let Event::ChildUp { child, install, .. } = event { Some((*child, &**install)) } else { None }
            },
        )
        .collect()
    }

    /// The same with the names that the profile gives them.
    pub fn named_installs(&self) -> Vec<(ChildId, &str, &ChildInstall)> {
        self.pick(|event| match event {
            Event::ChildUp { child, name, install, .. } => Some((*child, &**name, &**install)),
            _ => None,
        })
        .collect()
    }

    /// The Child SA with this name that is up.
    #[track_caller]
    pub fn child(&self, name: &str) -> ChildId {
        let up = self.live_children();
        let found =
            self.named_installs().into_iter().rev().find(|(child, known, _)| *known == name && up.contains(child));
        found.unwrap_or_else(|| panic!("{}: no Child SA {name} is up", self.name)).0
    }

    /// Child SAs that could not be opened, and why.
    pub fn child_failures(&self) -> Vec<(&str, &str)> {
        self.pick(|event| match event {
            Event::ChildFailed { name, why, .. } => Some((&**name, why.as_str())),
            _ => None,
        })
        .collect()
    }

    /// Child SAs that went down, and why.
    pub fn child_downs(&self) -> Vec<(ChildId, DownReason)> {
        self.pick(
            |event| {
                if let Event::ChildDown { child, why, .. } = event { Some((*child, why.clone())) } else { None }
            },
        )
        .collect()
    }

    /// Child SAs that are up now.
    pub fn live_children(&self) -> Vec<ChildId> {
        let downs = self.child_downs();
        self.installs().iter().map(|(child, _)| *child).filter(|id| !downs.iter().any(|(down, _)| down == id)).collect()
    }

    /// Connections that failed.
    pub fn failures(&self) -> Vec<(&ConnectError, &[Path])> {
        self.pick(|event| {
            if let Event::ConnectFailed { why, tried, .. } = event { Some((why, tried.as_slice())) } else { None }
        })
        .collect()
    }

    /// Moves of ours that were answered.
    pub fn moved(&self) -> Vec<(Path, Generation)> {
        self.pick(
            |event| {
                if let Event::Moved { path, generation, .. } = event { Some((*path, *generation)) } else { None }
            },
        )
        .collect()
    }

    /// NATs seen on the latest move of ours.
    pub fn moved_nat(&self) -> Option<NatView> {
        self.pick(|event| if let Event::Moved { nat, .. } = event { Some(*nat) } else { None }).last()
    }

    /// Moves of ours that were refused.
    pub fn refused(&self) -> Vec<(Path, Generation)> {
        self.pick(|event| {
            if let Event::MoveRefused { path, generation, .. } = event { Some((*path, *generation)) } else { None }
        })
        .collect()
    }

    /// Moves of the peer: where to, and whether it was proven.
    pub fn peer_moves(&self) -> Vec<(Path, bool)> {
        self.pick(
            |event| {
                if let Event::PeerMoved { path, verified, .. } = event { Some((*path, *verified)) } else { None }
            },
        )
        .collect()
    }

    /// Where a Child SA sends: where it came up, or where its IKE SA was told to have moved since.
    pub fn goes_by(&self, install: &ChildInstall) -> Path {
        let since = self.events.iter().skip_while(
            |(_, event)| !matches!(event, Event::ChildUp { install: up, .. } if up.spi_in == install.spi_in),
        );
        let moves = since.filter_map(|(_, event)| match event {
            Event::PeerMoved { path, .. } | Event::Moved { path, .. } => Some(*path),
            _ => None,
        });
        moves.last().unwrap_or(install.path)
    }

    /// NATs seen on the latest move of the peer.
    pub fn peer_move_nat(&self) -> Option<NatView> {
        self.peer_move_nats().pop()
    }

    /// NATs seen on each move of the peer.
    pub fn peer_move_nats(&self) -> Vec<NatView> {
        self.pick(|event| if let Event::PeerMoved { nat, .. } = event { Some(*nat) } else { None }).collect()
    }

    /// Lists of addresses the peer sent.
    pub fn peer_lists(&self) -> Vec<&[IpAddr]> {
        self.pick(
            |event| {
                if let Event::PeerAddresses { addresses, .. } = event { Some(addresses.as_slice()) } else { None }
            },
        )
        .collect()
    }

    /// Paths that answered a probe.
    pub fn checked(&self) -> Vec<(Path, Generation)> {
        self.pick(|event| {
            if let Event::PathChecked { path, generation, .. } = event { Some((*path, *generation)) } else { None }
        })
        .collect()
    }

    /// Paths reported silent.
    pub fn silences(&self) -> Vec<(Path, u32)> {
        self.pick(|event| if let Event::PathSilent { path, tries, .. } = event { Some((*path, *tries)) } else { None })
            .collect()
    }

    /// What path probes told of pairs, with when.
    pub fn seen(&self) -> Vec<(Nanos, Path, PairSeen)> {
        let pick = |(at, event): &(Nanos, Event)| match event {
            Event::PairSeen { path, seen, .. } => Some((*at, *path, *seen)),
            _ => None,
        };
        self.events.iter().filter_map(pick).collect()
    }

    /// What path probes told last of a pair: forward, backward.
    pub fn ways(&self, path: Path) -> Option<(bool, bool)> {
        let last = self.seen().into_iter().rev().find(|(_, told, _)| *told == path);
        last.map(|(_, _, seen)| (seen.forward, seen.backward))
    }

    /// NAT changes seen.
    pub fn nat_changes(&self) -> Vec<NatView> {
        self.pick(|event| if let Event::NatChanged { nat, .. } = event { Some(*nat) } else { None }).collect()
    }

    /// What was said to people.
    pub fn notices(&self) -> Vec<&str> {
        self.pick(|event| if let Event::Notice { text, .. } = event { Some(text.as_str()) } else { None }).collect()
    }

    /// Where this IKE SA is, by all that was reported about it.
    #[track_caller]
    pub fn path(&self) -> Path {
        let sa = self.sa();
        self.pick(|event| match event {
            Event::IkeSaUp(up) if up.sa == sa => Some(up.path),
            Event::Moved { sa: moved, path, .. } | Event::PeerMoved { sa: moved, path, .. } if *moved == sa => {
                Some(*path)
            }
            _ => None,
        })
        .last()
        .expect("an SA that came up has a path")
    }

    /// What was reported, notices aside: unchanged if nothing observable happened.
    pub fn trace(&self) -> Vec<String> {
        let facts = self.events.iter().filter(|(_, event)| !matches!(event, Event::Notice { .. }));
        facts.map(|(at, event)| format!("{:.3} {event:?}", at.0 as f64 / 1e9)).collect()
    }

    /// A counter by its name.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        let mut found = None;
        self.engine.counters().each(|known, value| {
            if known == name {
                found = Some(value);
            }
        });
        found.unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// All counters that are not zero.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let mut counts = Vec::new();
        self.engine.counters().each(|name, value| counts.push((name, value)));
        counts.retain(|(_, value)| *value > 0);
        counts
    }
}
