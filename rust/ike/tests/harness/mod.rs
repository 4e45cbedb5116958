//! Two engines, a clock and a network between them: stories are told in terms of these.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mobike_ike::crypto::{EspSuite, IkeSuite, SecretBytes};
use mobike_ike::event::Event;
use mobike_ike::profile::{Install, Pool, Profile, RequestVip, Retransmit, ReturnRoutability};
use mobike_ike::{
    Command, Engine, Generation, Identity, IdentityPattern, IkeSaUp, Nanos, NattPorts, Path, ProfileId, SaId, Selector,
    Settings, Token, Transmit,
};

pub const LATENCY: Duration = Duration::from_millis(10);
pub const PROFILE: ProfileId = ProfileId(1);

/// The two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    Phone,
    Gateway,
}
pub use Who::{Gateway, Phone};

impl Who {
    pub fn other(self) -> Who {
        match self {
            Phone => Gateway,
            Gateway => Phone,
        }
    }
}

/// A datagram on its way. `path` is the sender's view.
#[derive(Debug, Clone)]
pub struct Datagram {
    pub from: Who,
    pub path: Path,
    pub bytes: Vec<u8>,
    pub keepalive: bool,
}

impl Datagram {
    pub fn exchange(&self) -> u8 {
        self.bytes.get(18).copied().unwrap_or(0)
    }

    pub fn is_response(&self) -> bool {
        self.bytes.get(19).is_some_and(|flags| flags & 0x20 != 0)
    }

    pub fn message_id(&self) -> u32 {
        u32::from_be_bytes(self.bytes[20..24].try_into().unwrap())
    }

    /// `IKE_AUTH 1 -->`
    pub fn arrow(&self) -> String {
        if self.keepalive {
            return format!("{:?}: keepalive", self.from);
        }
        let name = match self.exchange() {
            34 => "IKE_SA_INIT",
            35 => "IKE_AUTH",
            36 => "CREATE_CHILD_SA",
            37 => "INFORMATIONAL",
            _ => "?",
        };
        let kind = if self.is_response() { "answer" } else { "request" };
        format!("{:?}: {name} {} {kind} over {}", self.from, self.message_id(), self.path)
    }
}

/// What the network does to a datagram: the copies that arrive, each after a delay.
pub type Fate = Vec<(Duration, Datagram)>;

type Hook = Box<dyn FnMut(&Datagram) -> Option<Fate>>;

/// A gateway, a phone, a network.
pub struct World {
    pub now: Nanos,
    pub phone: Engine,
    pub gateway: Engine,
    pub events: BTreeMap<Who, Vec<Event>>,
    /// Every datagram that was sent, in order.
    pub sent: Vec<Datagram>,
    in_flight: BTreeMap<(Nanos, u64), Datagram>,
    sequence: u64,
    /// Local addresses that do not work: nothing leaves from or arrives at them.
    pub dead: HashSet<IpAddr>,
    hooks: Vec<Hook>,
    /// Source rewriting: the phone's (private) socket address to the public one.
    pub nat: BTreeMap<SocketAddr, SocketAddr>,
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn path(local: &str, remote: &str) -> Path {
    Path { local: at(local), remote: at(remote) }
}

pub const WIFI: &str = "192.0.2.1";
pub const CELLULAR: &str = "198.51.100.1";
pub const GATEWAY: &str = "203.0.113.1";

pub fn init_path(local: &str) -> Path {
    path(&format!("{local}:500"), &format!("{GATEWAY}:500"))
}

pub fn natt_path(local: &str) -> Path {
    path(&format!("{local}:4500"), &format!("{GATEWAY}:4500"))
}

pub fn suite(name: &str) -> IkeSuite {
    name.parse().unwrap()
}

pub fn esp(name: &str) -> EspSuite {
    name.parse().unwrap()
}

pub fn phone_profile() -> Profile {
    Profile {
        name: "home".into(),
        local_id: Identity::Fqdn("phone.example.net".into()),
        remote_id: IdentityPattern::Exact(Identity::Fqdn("gateway.example.net".into())),
        psk: SecretBytes::from_slice(b"correct horse battery staple"),
        ike_suites: vec![suite("aes128gcm16-prfsha256-x25519")],
        esp_suites: vec![esp("aes128gcm16")],
        local_ts: vec![],
        remote_ts: vec![Selector::ANY_V4],
        pool: None,
        request_virtual_ip: RequestVip { v4: true, v6: false },
        accepts: false,
        initial_contact: false,
        mobike: true,
        liveness: Duration::ZERO,
        retransmit: Retransmit { jitter_percent: 0, ..Retransmit::default() },
        nat_keepalive: Duration::from_secs(20),
        return_routability: ReturnRoutability::Before,
        install: Install::Inline,
        always_encap: false,
    }
}

pub fn gateway_profile() -> Profile {
    let pool = Pool { v4: Some(("10.9.0.1".parse().unwrap(), "10.9.0.250".parse().unwrap())), v6: None };
    Profile {
        name: "roadwarriors".into(),
        local_id: Identity::Fqdn("gateway.example.net".into()),
        remote_id: IdentityPattern::Suffix(".example.net".into()),
        local_ts: vec![Selector::ANY_V4],
        remote_ts: vec![],
        pool: Some(pool),
        request_virtual_ip: RequestVip::default(),
        accepts: true,
        ..phone_profile()
    }
}

pub const NATT: NattPorts = NattPorts { local: 4500, remote: 4500 };

impl World {
    pub fn new() -> World {
        World::with(phone_profile(), gateway_profile(), Settings::default())
    }

    pub fn with(phone: Profile, gateway: Profile, settings: Settings) -> World {
        let mut world = World {
            now: Nanos(1_000_000_000_000),
            phone: Engine::new(Settings::default(), [1; 32]),
            gateway: Engine::new(settings, [2; 32]),
            events: BTreeMap::new(),
            sent: Vec::new(),
            in_flight: BTreeMap::new(),
            sequence: 0,
            dead: HashSet::new(),
            hooks: Vec::new(),
            nat: BTreeMap::new(),
        };
        world.order(Phone, Command::SetProfile { id: PROFILE, profile: Arc::new(phone) });
        world.order(Gateway, Command::SetProfile { id: PROFILE, profile: Arc::new(gateway) });
        world
    }

    pub fn engine(&mut self, who: Who) -> &mut Engine {
        match who {
            Phone => &mut self.phone,
            Gateway => &mut self.gateway,
        }
    }

    pub fn order(&mut self, who: Who, command: Command) {
        let now = self.now;
        self.engine(who).handle_command(now, command);
        self.drain(who);
    }

    /// The phone connects over these paths.
    pub fn connect(&mut self, paths: Vec<Path>) {
        self.order(Phone, Command::Connect { token: Token(7), profile: PROFILE, paths, natt: NATT });
    }

    /// Both ends up, quiet, over wifi.
    pub fn established() -> World {
        let mut world = World::new();
        world.connect(vec![init_path(WIFI)]);
        world.settle();
        assert!(world.up(Phone).is_some() && world.up(Gateway).is_some(), "{:?}", world.events);
        world
    }

    /// The last IkeSaUp of an end.
    pub fn up(&self, who: Who) -> Option<&IkeSaUp> {
        self.events.get(&who)?.iter().rev().find_map(|event| match event {
            Event::IkeSaUp(up) => Some(&**up),
            _ => None,
        })
    }

    pub fn sa(&self, who: Who) -> SaId {
        self.up(who).expect("an IKE SA").sa
    }

    pub fn events(&self, who: Who) -> &[Event] {
        self.events.get(&who).map_or(&[], Vec::as_slice)
    }

    pub fn count(&self, who: Who, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events(who).iter().filter(|event| wanted(event)).count()
    }

    pub fn forget_events(&mut self) {
        self.events.clear();
        self.sent.clear();
    }

    /// For each datagram in turn: `None` leaves it to the next hook or to the network.
    pub fn meddle(&mut self, hook: impl FnMut(&Datagram) -> Option<Fate> + 'static) {
        self.hooks.push(Box::new(hook));
    }

    /// The `nth` (from 0) datagram for which `which` says yes is lost.
    pub fn lose(&mut self, which: impl Fn(&Datagram) -> bool + 'static, nth: usize) {
        let mut seen = 0;
        self.meddle(move |datagram| {
            if !which(datagram) {
                return None;
            }
            seen += 1;
            (seen == nth + 1).then(Vec::new)
        });
    }

    pub fn stop_meddling(&mut self) {
        self.hooks.clear();
    }

    /// A datagram leaves `who`.
    fn transmit(&mut self, who: Who, transmit: &Transmit) {
        let datagram =
            Datagram { from: who, path: transmit.path, bytes: transmit.bytes.to_vec(), keepalive: transmit.keepalive };
        self.sent.push(datagram.clone());
        if self.dead.contains(&transmit.path.local.ip()) || self.dead.contains(&transmit.path.remote.ip()) {
            return;
        }
        let fate = self.hooks.iter_mut().find_map(|hook| hook(&datagram));
        for (delay, copy) in fate.unwrap_or_else(|| vec![(LATENCY, datagram)]) {
            self.sequence += 1;
            self.in_flight.insert((self.now + delay, self.sequence), copy);
        }
    }

    pub fn drain(&mut self, who: Who) {
        while let Some(event) = self.engine(who).poll_event() {
            self.events.entry(who).or_default().push(event);
        }
        while let Some(transmit) = self.engine(who).poll_transmit() {
            self.transmit(who, &transmit);
        }
    }

    /// Hand a datagram to the other end of its path, through the NAT if there is one.
    pub fn deliver(&mut self, datagram: &Datagram) {
        if datagram.keepalive {
            return;
        }
        let mut path = datagram.path.reversed();
        let to = datagram.from.other();
        match datagram.from {
            Phone => path.remote = self.nat.get(&path.remote).copied().unwrap_or(path.remote),
            Gateway => {
                let inside = self.nat.iter().find(|(_, public)| **public == path.local).map(|(inside, _)| *inside);
                path.local = inside.unwrap_or(path.local);
            }
        }
        self.hand(to, path, &datagram.bytes);
    }

    /// Give these octets to an engine as if they had arrived over `path`.
    pub fn hand(&mut self, to: Who, path: Path, bytes: &[u8]) {
        let now = self.now;
        let mut bytes = bytes.to_vec();
        self.engine(to).handle_datagram(now, path, &mut bytes);
        self.drain(to);
    }

    /// The next thing that happens, if it happens by `until`.
    fn step(&mut self, until: Nanos) -> bool {
        let arrival = self.in_flight.keys().next().map(|(when, _)| *when);
        let timeout = [self.phone.poll_timeout(), self.gateway.poll_timeout()].into_iter().flatten().min();
        let Some(next) = arrival.into_iter().chain(timeout).min().filter(|next| *next <= until) else { return false };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            if let Some((_, datagram)) = self.in_flight.pop_first() {
                self.deliver(&datagram);
            }
        } else {
            for who in [Phone, Gateway] {
                if self.engine(who).poll_timeout().is_some_and(|when| when <= next) {
                    let now = self.now;
                    self.engine(who).handle_timeout(now);
                    self.drain(who);
                }
            }
        }
        true
    }

    pub fn run(&mut self, span: Duration) {
        let until = self.now + span;
        for _ in 0..100_000 {
            if !self.step(until) {
                self.now = until;
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Let everything that is on its way arrive.
    pub fn settle(&mut self) {
        self.run(Duration::from_secs(4));
    }

    /// The phone moves; `generation` names the decision.
    pub fn roam(&mut self, local: &str, generation: u32) {
        self.order_move(natt_path(local), generation);
    }

    pub fn order_move(&mut self, path: Path, generation: u32) {
        let sa = self.sa(Phone);
        self.order(Phone, Command::Move { sa, path, generation: Generation(generation), addresses: None });
    }

    /// What was sent, as arrows.
    pub fn arrows(&self) -> Vec<String> {
        self.sent.iter().map(Datagram::arrow).collect()
    }

    pub fn sent_by(&self, who: Who) -> usize {
        self.sent.iter().filter(|datagram| datagram.from == who).count()
    }
}

pub fn is(from: Who, exchange: u8, response: bool) -> impl Fn(&Datagram) -> bool {
    move |datagram| {
        !datagram.keepalive
            && datagram.from == from
            && datagram.exchange() == exchange
            && datagram.is_response() == response
    }
}

pub const INIT: u8 = 34;
pub const AUTH: u8 = 35;
pub const INFORMATIONAL: u8 = 37;

/// Delivered once more after `delay`.
pub fn twice(datagram: &Datagram, delay: Duration) -> Fate {
    vec![(LATENCY, datagram.clone()), (delay, datagram.clone())]
}

pub fn late(datagram: &Datagram, delay: Duration) -> Fate {
    vec![(delay, datagram.clone())]
}
