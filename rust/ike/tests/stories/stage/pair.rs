//! A client with two uplinks and a gateway with two addresses, ready made.

use core::net::{IpAddr, SocketAddr};
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::sync::Arc;

use mobike_ike::profile::{PskSecret, Retransmit};
use mobike_ike::wire::{ExchangeType, Payload};
use mobike_ike::{
    Command, Generation, Identity, IdentityPattern, NattPorts, Path, Profile, ProfileId, SaId, Selector, Settings,
    Token,
};

use super::arrows::Told;
use super::forger::Forged;
use super::host::{Host, HostId};
use super::world::World;

/// Who connects.
pub const CLIENT: HostId = HostId(0);
/// Who is connected to.
pub const GATEWAY: HostId = HostId(1);
/// Both sides call their standing orders so.
pub const PROFILE: ProfileId = ProfileId(1);
/// The client's first uplink.
pub const WIFI: IpAddr = v4(192, 0, 2, 1);
/// The client's second uplink.
pub const LTE: IpAddr = v4(203, 0, 113, 1);
/// The gateway's first address.
pub const WAN: IpAddr = v4(198, 51, 100, 1);
/// The gateway's second address.
pub const WAN2: IpAddr = v4(198, 51, 100, 2);
/// Traffic behind the client.
pub const CLIENT_LAN: Selector = Selector::addresses(v4(10, 1, 0, 0), v4(10, 1, 0, 255));
/// Traffic behind the gateway.
pub const GATEWAY_LAN: Selector = Selector::addresses(v4(10, 2, 0, 0), v4(10, 2, 0, 255));

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(core::net::Ipv4Addr::new(a, b, c, d))
}

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Milliseconds.
pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Seconds.
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Two hosts and their standing orders.
pub struct Pair {
    world: World,
    client: Profile,
    gateway: Profile,
    settings: [Settings; 2],
    generation: u32,
}

impl Deref for Pair {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Pair {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Pair {
    /// PSK on both sides, X25519 and AES-GCM, MOBIKE on, no jitter, no liveness tests, no address lists.
    pub fn new(seed: u64) -> Pair {
        Pair {
            world: World::new(seed),
            client: profile("client.example.net", "gateway.example.net", CLIENT_LAN, GATEWAY_LAN),
            gateway: Profile {
                accepts: true,
                ..profile("gateway.example.net", "client.example.net", GATEWAY_LAN, CLIENT_LAN)
            },
            settings: [Settings::default(), Settings::default()],
            generation: 0,
        }
        .moved_in()
    }

    fn moved_in(mut self) -> Pair {
        self.world.add_host("client", &[("wifi", WIFI), ("lte", LTE)], self.settings[0].clone());
        self.world.add_host("gateway", &[("wan", WAN), ("wan2", WAN2)], self.settings[1].clone());
        self.write_profiles();
        self
    }

    fn write_profiles(&mut self) {
        for (id, profile) in [(CLIENT, self.client.clone()), (GATEWAY, self.gateway.clone())] {
            self.world.order(id, Command::SetProfile { id: PROFILE, profile: Arc::new(profile) });
        }
    }

    /// Change the client's standing orders.
    pub fn client_profile(mut self, change: impl FnOnce(&mut Profile)) -> Pair {
        change(&mut self.client);
        self.write_profiles();
        self
    }

    /// Change the gateway's standing orders.
    pub fn gateway_profile(mut self, change: impl FnOnce(&mut Profile)) -> Pair {
        change(&mut self.gateway);
        self.write_profiles();
        self
    }

    /// The windows of both ends are so wide.
    pub fn windows(self, window: u8) -> Pair {
        self.client_profile(|profile| profile.window = window).gateway_profile(|profile| profile.window = window)
    }

    /// Change what both engines are made with. Only before anything happened.
    pub fn settings(mut self, change: impl Fn(&mut Settings)) -> Pair {
        assert!(self.told.is_empty(), "engines are made before the story begins");
        self.settings.iter_mut().for_each(&change);
        self.world.hosts.clear();
        self.moved_in()
    }

    /// The client.
    pub fn client(&self) -> &Host {
        self.host(CLIENT)
    }

    /// The gateway.
    pub fn gateway(&self) -> &Host {
        self.host(GATEWAY)
    }

    /// The standing orders of a host.
    pub fn profile_of(&self, who: HostId) -> Profile {
        if who == CLIENT { self.client.clone() } else { self.gateway.clone() }
    }

    /// A path of the client before NAT traversal: port 500 on both ends.
    pub fn init_path(local: IpAddr, remote: IpAddr) -> Path {
        Path::udp(SocketAddr::new(local, 500), SocketAddr::new(remote, 500))
    }

    /// A path of the client once IKE has floated to port 4500.
    pub fn path(local: IpAddr, remote: IpAddr) -> Path {
        Path::udp(SocketAddr::new(local, 4500), SocketAddr::new(remote, 4500))
    }

    /// The client sets out to connect over these pairs of addresses.
    #[track_caller]
    pub fn connect_over(&mut self, pairs: &[(IpAddr, IpAddr)]) {
        let paths = pairs.iter().map(|(local, remote)| Pair::init_path(*local, *remote)).collect();
        let natt = NattPorts { local: 4500, remote: 4500 };
        self.order(CLIENT, Command::Connect { token: Token(7), profile: PROFILE, paths, natt, redirected_from: None });
    }

    /// The client connects from wifi to wan, and everything settles, whatever comes of it.
    #[track_caller]
    pub fn connect(&mut self) {
        self.connect_over(&[(WIFI, WAN)]);
        self.settle();
    }

    /// The same, and it must work.
    #[track_caller]
    pub fn established(mut self) -> Pair {
        self.connect();
        let (client, gateway) = (self.client(), self.gateway());
        assert_eq!((client.alive().len(), gateway.alive().len()), (1, 1), "an IKE SA at each end");
        assert_eq!((client.live_children().len(), gateway.live_children().len()), (1, 1), "a Child SA at each end");
        self
    }

    /// The client decides for another path. Nothing is delivered yet.
    #[track_caller]
    pub fn order_move(&mut self, path: Path) -> Generation {
        self.order_move_with(path, None)
    }

    /// The same, with a new list of addresses.
    #[track_caller]
    pub fn order_move_with(&mut self, path: Path, addresses: Option<&[IpAddr]>) -> Generation {
        self.generation += 1;
        let generation = Generation(self.generation);
        let sa = self.client().sa();
        self.order(CLIENT, Command::Move { sa, path, generation, addresses: addresses.map(Arc::from) });
        generation
    }

    /// A host tells its whole list of addresses.
    #[track_caller]
    pub fn announce(&mut self, who: HostId, addresses: &[IpAddr], path: Option<Path>) {
        self.generation += 1;
        let generation = Generation(self.generation);
        let sa = self.host(who).sa();
        self.order(who, Command::Announce { sa, addresses: addresses.into(), path, generation });
    }

    /// A host tests the peer.
    #[track_caller]
    pub fn probe(&mut self, who: HostId, path: Option<Path>) -> Generation {
        self.generation += 1;
        let generation = Generation(self.generation);
        let sa = self.host(who).sa();
        self.order(who, Command::Probe { sa, path, generation });
        generation
    }

    /// A message that pretends to be from one end of the IKE SA.
    #[track_caller]
    pub fn forge(&mut self, forged: Forged, payloads: &[Payload<'_>]) -> Vec<u8> {
        let spi = self.client().ups().last().expect("an IKE SA").spi_i;
        self.world.keys.get_mut(&spi).expect("keys").seal(forged, payloads)
    }

    /// What one end has said, told by kind: `request 2 { N(UPDATE_SA_ADDRESSES), .. }`.
    pub fn requests_of(&self, who: HostId) -> Vec<&Told> {
        self.said(move |told| told.from == who && told.asks(ExchangeType::INFORMATIONAL)).collect()
    }

    /// A host closes its IKE SA.
    #[track_caller]
    pub fn close(&mut self, who: HostId) -> SaId {
        let sa = self.host(who).sa();
        self.order(who, Command::Close { sa, why: "end of story".into() });
        sa
    }
}

/// The standing orders of stories.
fn profile(local: &str, remote: &str, local_ts: Selector, remote_ts: Selector) -> Profile {
    Profile {
        ike_suites: vec!["aes256gcm16-prfsha384-x25519".parse().expect("a suite")],
        esp_suites: vec!["aes256gcm16".parse().expect("a suite")],
        local_ts: vec![local_ts],
        remote_ts: vec![remote_ts],
        retransmit: Retransmit { jitter_percent: 0, ..Retransmit::default() },
        nat_keepalive: Duration::from_secs(60),
        ..Profile::bare(
            "story",
            Identity::Fqdn(local.into()),
            IdentityPattern::Exact(Identity::Fqdn(remote.into())),
            PskSecret::from_slice(b"correct horse battery staple"),
        )
    }
}
