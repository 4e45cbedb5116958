//! Two cores in one process, over loopback: a tunnel, traffic both ways, a move, a pulled cable.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mobike_ike::profile::{Pool, Profile, PskSecret, RequestVip, Retransmit};
use mobike_ike::{
    ChildId, Command, Generation, Identity, IdentityPattern, IkeSaUp, NattPorts, Path, Prefix, ProfileId, SaId,
    Selector, Token,
};
use mobike_io::{ChildUp, Core, CoreConfig, Event, InnerConfig, Operation, Order, PlaneConfig};

const PATIENCE: Duration = Duration::from_secs(10);
const BEHIND_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

/// One core and what it said that nobody asked for yet.
struct End {
    core: Core,
    addresses: Vec<IpAddr>,
    ports: (u16, u16),
    events: Vec<Event>,
}

impl End {
    fn start(addresses: &[&str], config: CoreConfig) -> End {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        // Ports of this process's own, so that two runs do not meet.
        let base = 20_000 + (std::process::id() % 20_000) as u16;
        let config = CoreConfig { listen: addresses.clone(), ike_port: base, natt_port: base + 1, ..config };
        let core = Core::start(&config).unwrap();
        core.submit(vec![Order::Engine(Command::SetLocalAddresses { addresses: addresses.clone().into() })]);
        End { core, addresses, ports: (base, base + 1), events: Vec::new() }
    }

    fn order(&self, command: Command) {
        self.core.submit(vec![Order::Engine(command)]);
    }

    /// The first event that `pick` takes; others are kept for later.
    fn wait_for<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some((at, found)) = self.events.iter().enumerate().find_map(|(at, event)| Some((at, pick(event)?))) {
                self.events.remove(at);
                return found;
            }
            assert!(begin.elapsed() < PATIENCE, "no {what} in {:?}; {:?}", self.events, self.nonzero());
            self.events.extend(self.core.take_events(100));
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn up(&mut self) -> (IkeSaUp, ChildUp) {
        let sa = self.wait_for("IkeSaUp", |event| match event {
            Event::Ike(mobike_ike::Event::IkeSaUp(up)) => Some(IkeSaUp::clone(up)),
            _ => None,
        });
        let child = self.wait_for("ChildUp", |event| match event {
            Event::ChildUp(up) => Some(ChildUp::clone(up)),
            _ => None,
        });
        assert_eq!(child.sa, sa.sa);
        (sa, child)
    }

    fn take_packets(&self, count: usize) -> Vec<Vec<u8>> {
        let (mut taken, begin) = (Vec::new(), Instant::now());
        while taken.len() < count {
            assert!(begin.elapsed() < PATIENCE, "{} of {count} packets; {:?}", taken.len(), self.nonzero());
            taken.extend(self.core.inner_take(100).iter().map(<[u8]>::to_vec));
            std::thread::sleep(Duration::from_micros(200));
        }
        taken
    }

    fn nonzero(&self) -> Vec<(String, u64)> {
        self.core.counters().into_iter().filter(|(_, value)| *value != 0).collect()
    }

    fn counter(&self, name: &str) -> u64 {
        self.core.counters().into_iter().find(|(known, _)| known == name).unwrap().1
    }

    fn packets_in(&self, child: ChildId) -> u64 {
        self.core.child_counters(child).unwrap().packets_in
    }
}

fn path(from: &End, local: usize, to: &End, remote: usize) -> Path {
    let end = |end: &End, address: usize| SocketAddr::new(end.addresses[address], end.ports.1);
    Path::udp(end(from, local), end(to, remote))
}

fn profile(name: &str, local: &str, remote: &str) -> Profile {
    Profile {
        liveness: Duration::from_secs(30),
        retransmit: Retransmit { initial: Duration::from_millis(100), ..Retransmit::default() },
        always_encap: true,
        ..Profile::bare(
            Arc::from(name),
            Identity::Fqdn(Arc::from(local)),
            IdentityPattern::Exact(Identity::Fqdn(Arc::from(remote))),
            PskSecret::from_slice(b"a secret of this test"),
        )
    }
}

fn net() -> Vec<Selector> {
    vec![Selector::subnet(BEHIND_GATEWAY.into(), 16)]
}

/// A tunnel between two new ends: phone and gateway, and what each was told of it.
struct Tunnel {
    phone: End,
    gateway: End,
    at_phone: (IkeSaUp, ChildUp),
    at_gateway: (IkeSaUp, ChildUp),
}

impl Tunnel {
    /// The phone has two addresses, 127.0.`net`.1 and .2; the gateway has .129.
    fn between(net_number: u8, config: &CoreConfig) -> Tunnel {
        Tunnel::served(net_number, config, |_| {})
    }

    /// The same, and the gateway has other standing orders.
    fn served(net_number: u8, config: &CoreConfig, change: impl FnOnce(&mut Profile)) -> Tunnel {
        let ip = |last: u8| format!("127.0.{net_number}.{last}");
        let mut phone = End::start(&[&ip(1), &ip(2)], config.clone());
        let mut gateway = End::start(&[&ip(129)], config.clone());
        let pool = Pool { v4: Some((Ipv4Addr::new(10, 7, 0, 1), Ipv4Addr::new(10, 7, 0, 200))), ..Pool::default() };
        let mut served =
            Profile { accepts: true, pool: Some(pool), local_ts: net(), ..profile("phones", "gw", "phone") };
        change(&mut served);
        gateway.order(Command::SetProfile { id: ProfileId(0), profile: Arc::new(served) });
        let request_virtual_ip = RequestVip { v4: true, v6: false };
        let wanted = Profile { request_virtual_ip, remote_ts: net(), ..profile("home", "phone", "gw") };
        phone.order(Command::SetProfile { id: ProfileId(0), profile: Arc::new(wanted) });
        let end = |end: &End| SocketAddr::new(end.addresses[0], end.ports.0);
        let natt = |end: &End| SocketAddr::new(end.addresses[0], end.ports.1);
        let first = match config.tcp {
            false => Path::udp(end(&phone), end(&gateway)),
            true => Path::tcp(natt(&phone), natt(&gateway)),
        };
        let natt = NattPorts { local: phone.ports.1, remote: gateway.ports.1 };
        phone.order(Command::Connect {
            token: Token(5),
            profile: ProfileId(0),
            paths: vec![first],
            natt,
            redirected_from: None,
        });
        let (at_phone, at_gateway) = (phone.up(), gateway.up());
        Tunnel { phone, gateway, at_phone, at_gateway }
    }

    fn virtual_ip(&self) -> Ipv4Addr {
        match self.at_phone.0.virtual_ips.as_slice() {
            [IpAddr::V4(ip)] => *ip,
            other => panic!("leased {other:?}"),
        }
    }

    /// `count` packets each way arrive whole and in order.
    fn carries(&self, count: usize) {
        let inner = self.virtual_ip();
        let out: Vec<_> = (0..count).map(|number| packet(inner, BEHIND_GATEWAY, number)).collect();
        assert_eq!(self.phone.core.inner_send(out.iter().map(Vec::as_slice)), count);
        assert_eq!(self.gateway.take_packets(count), out);
        let back: Vec<_> = (0..count).map(|number| packet(BEHIND_GATEWAY, inner, number)).collect();
        assert_eq!(self.gateway.core.inner_send(back.iter().map(Vec::as_slice)), count);
        assert_eq!(self.phone.take_packets(count), back);
    }

    /// What the control planes order when the phone goes to its second address; answers come before it returns.
    fn roam(&mut self) -> Path {
        let new = path(&self.phone, 1, &self.gateway, 0);
        let (sa, peer_sa) = (self.at_phone.0.sa, self.at_gateway.0.sa);
        let move_sa = |sa, path| Order::Plane(Operation::MoveSa { sa, path, encap: true });
        let command = Command::Move { sa, path: new, generation: Generation(1), addresses: None };
        self.phone.core.submit(vec![Order::Engine(command), move_sa(sa, new)]);
        let moved_to = self.gateway.wait_for("PeerMoved", |event| match event {
            Event::Ike(mobike_ike::Event::PeerMoved { path, verified: true, .. }) => Some(*path),
            _ => None,
        });
        assert_eq!(moved_to, new.reversed());
        self.gateway.core.submit(vec![move_sa(peer_sa, moved_to)]);
        assert_eq!(sa_moved(&mut self.gateway), (peer_sa, moved_to));
        assert_eq!(sa_moved(&mut self.phone), (sa, new));
        new
    }
}

fn sa_moved(end: &mut End) -> (SaId, Path) {
    end.wait_for("SaMoved", |event| match event {
        Event::SaMoved { sa, path } => Some((*sa, *path)),
        _ => None,
    })
}

/// An IPv4 packet of an unassigned protocol that carries its number.
fn packet(source: Ipv4Addr, destination: Ipv4Addr, number: usize) -> Vec<u8> {
    let body = vec![number as u8; 8 + number % 1200];
    let total = (20 + body.len()) as u16;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 253, 0, 0];
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(body);
    packet
}

fn with_port() -> CoreConfig {
    CoreConfig { inner: InnerConfig::Port, ..CoreConfig::default() }
}

#[test]
fn two_cores_agree_a_tunnel_and_traffic_flows_both_ways() {
    let tunnel = Tunnel::between(41, &with_port());
    let ((phone_sa, phone_child), (gateway_sa, gateway_child)) = (&tunnel.at_phone, &tunnel.at_gateway);
    assert_eq!((phone_sa.token, gateway_sa.token), (Some(Token(5)), None));
    assert_eq!((phone_sa.spi_i, phone_sa.spi_r), (gateway_sa.spi_i, gateway_sa.spi_r));
    assert_eq!(phone_sa.path, gateway_sa.path.reversed());
    assert_eq!(phone_sa.virtual_ips, gateway_sa.virtual_ips);
    assert_eq!((phone_child.spi_in, phone_child.spi_out), (gateway_child.spi_out, gateway_child.spi_in));
    assert_eq!(phone_child.local_ts, gateway_child.remote_ts);
    assert!(phone_child.encap && gateway_child.encap);
    tunnel.carries(300);
    assert_eq!(tunnel.phone.packets_in(phone_child.child), 300);
    assert_eq!(tunnel.gateway.packets_in(gateway_child.child), 300);
}

#[test]
fn the_first_packet_of_a_new_tunnel_is_not_lost() {
    let tunnel = Tunnel::between(42, &with_port());
    tunnel.carries(1);
    assert_eq!(tunnel.gateway.counter("esp_unknown_spi") + tunnel.phone.counter("esp_unknown_spi"), 0);
}

// req: D3-1
#[test]
fn a_tunnel_survives_a_move_with_the_cable_pulled() {
    let mut tunnel = Tunnel::between(43, &with_port());
    tunnel.carries(10);
    let old = tunnel.phone.addresses[0];
    tunnel.phone.core.plug(old, false);
    let new = tunnel.roam();
    let (at, rtt) = tunnel.phone.wait_for("Moved", |event| match event {
        Event::Ike(mobike_ike::Event::Moved { path, generation: Generation(1), rtt, .. }) => Some((*path, *rtt)),
        _ => None,
    });
    assert_eq!(at, new);
    assert!(rtt < Duration::from_secs(1));
    tunnel.carries(10);
    assert_eq!(tunnel.phone.packets_in(tunnel.at_phone.1.child), 20);
}

#[test]
fn what_leaves_by_a_pulled_cable_is_lost_and_counted() {
    let tunnel = Tunnel::between(44, &with_port());
    tunnel.phone.core.plug(tunnel.phone.addresses[0], false);
    let out = packet(tunnel.virtual_ip(), BEHIND_GATEWAY, 1);
    assert_eq!(tunnel.phone.core.inner_send([&out[..]].into_iter()), 1);
    let begin = Instant::now();
    while tunnel.phone.counter("io_unplugged") == 0 {
        assert!(begin.elapsed() < PATIENCE);
    }
    tunnel.phone.core.plug(tunnel.phone.addresses[0], true);
    tunnel.carries(5);
    assert_eq!(tunnel.gateway.packets_in(tunnel.at_gateway.1.child), 5);
}

// req: M3.5-6
#[test]
fn a_refused_move_leaves_the_traffic_of_both_ends_where_it_was() {
    let first = Prefix::new("127.0.50.1".parse().unwrap(), 32);
    let mut tunnel = Tunnel::served(50, &with_port(), |profile| profile.paths.remote = vec![first]);
    tunnel.carries(10);
    let command = Command::Move {
        sa: tunnel.at_phone.0.sa,
        path: path(&tunnel.phone, 1, &tunnel.gateway, 0),
        generation: Generation(1),
        addresses: None,
    };
    tunnel.phone.order(command);
    tunnel.phone.wait_for("MoveRefused", |event| {
        matches!(event, Event::Ike(mobike_ike::Event::MoveRefused { generation: Generation(1), .. })).then_some(())
    });
    // Both ends still send to where packets are heard on the agreed path, and the Child SAs are the same.
    tunnel.carries(10);
    assert_eq!(tunnel.phone.packets_in(tunnel.at_phone.1.child), 20);
    assert_eq!(tunnel.gateway.packets_in(tunnel.at_gateway.1.child), 20);
    let gateway = &mut tunnel.gateway;
    gateway.events.extend(gateway.core.take_events(100));
    let told: Vec<_> =
        gateway.events.iter().filter(|event| !matches!(event, Event::Ike(mobike_ike::Event::Notice { .. }))).collect();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!((gateway.counter("ike_updates_refused"), gateway.counter("ike_updates_taken")), (1, 0));
    assert_eq!((gateway.counter("ike_cookie2_sent"), gateway.counter("ike_children_down")), (0, 0));
}

// req: M3.5-1
#[test]
fn an_esp_packet_that_comes_back_from_a_closed_port_makes_its_sender_ask_and_no_more() {
    for (net, shards) in [(48, 1), (49, 4)] {
        let mut tunnel = Tunnel::between(net, &CoreConfig { shards, ..with_port() });
        tunnel.carries(1);
        // Its host answers for it with ICMP.
        tunnel.gateway.core.stop();
        let out = packet(tunnel.virtual_ip(), BEHIND_GATEWAY, 1);
        assert_eq!(tunnel.phone.core.inner_send([&out[..]].into_iter()), 1);
        let begin = Instant::now();
        while tunnel.phone.counter("ike_hints_followed") == 0 {
            assert!(begin.elapsed() < PATIENCE, "{:?}", tunnel.phone.nonzero());
        }
        assert!(begin.elapsed() < Duration::from_millis(200), "before the data could be suspicious");
        // The test comes back too, again and again, until it counts as unanswered: the control plane is told, that is all.
        let silent_on = tunnel.phone.wait_for("PathSilent", |event| match event {
            Event::Ike(mobike_ike::Event::PathSilent { path, .. }) => Some(*path),
            _ => None,
        });
        assert_eq!(silent_on, tunnel.at_phone.0.path);
        let count = |name: &str| tunnel.phone.counter(name);
        assert!(count("io_icmp_unreachable") >= 3, "{:?}", tunnel.phone.nonzero());
        assert_eq!((count("ike_hints_followed"), count("ike_sas_down"), count("io_send_refused")), (1, 0, 0));
        assert_eq!(count("ike_unreachable_unknown"), 0);
        // News that nobody reads makes no thread spin.
        let heard = count("io_icmp_unreachable");
        std::thread::sleep(Duration::from_millis(50));
        assert!(count("io_icmp_unreachable") - heard < 10);
    }
}

#[test]
fn closing_one_end_takes_the_child_sas_out_of_both_planes() {
    let mut tunnel = Tunnel::between(45, &with_port());
    tunnel.phone.order(Command::Close { sa: tunnel.at_phone.0.sa, why: Arc::from("test") });
    for end in [&mut tunnel.phone, &mut tunnel.gateway] {
        end.wait_for("ChildDown", |event| matches!(event, Event::ChildDown { .. }).then_some(()));
        end.wait_for("IkeSaDown", |event| {
            matches!(event, Event::Ike(mobike_ike::Event::IkeSaDown { .. })).then_some(())
        });
        assert_eq!(end.counter("esp_children"), 0);
    }
}

#[test]
fn four_shards_work_as_one() {
    let config = CoreConfig { shards: 4, ..with_port() };
    let mut tunnel = Tunnel::between(46, &config);
    tunnel.carries(100);
    tunnel.roam();
    tunnel.carries(100);
    assert_eq!(tunnel.phone.counter("io_shards_running"), 4);
}

#[test]
fn without_a_data_plane_the_control_plane_still_works() {
    let config = CoreConfig { plane: PlaneConfig::Null, always_encap: false, ..CoreConfig::default() };
    let tunnel = Tunnel::between(47, &config);
    assert!(tunnel.phone.core.child_counters(tunnel.at_phone.1.child).is_none());
    assert_eq!(tunnel.phone.counter("esp_children"), 0);
}

fn in_streams() -> CoreConfig {
    CoreConfig { tcp: true, ..with_port() }
}

fn allow_tcp(profile: &mut Profile) {
    profile.paths.tcp = true;
}

#[test]
fn a_tunnel_is_set_up_over_a_stream_and_carries_traffic_both_ways() {
    let tunnel = Tunnel::served(61, &in_streams(), allow_tcp);
    assert!(tunnel.at_phone.0.path.is_stream() && tunnel.at_gateway.0.path.is_stream());
    tunnel.carries(300);
    for end in [&tunnel.phone, &tunnel.gateway] {
        assert_eq!(end.counter("ike_keepalives_sent"), 0);
        assert_eq!(end.counter("ike_retransmissions"), end.counter("io_stream_repeats_spared"));
    }
    assert_eq!(tunnel.gateway.counter("io_streams_accepted"), 1);
    assert_eq!(tunnel.phone.counter("io_streams_opened"), 1);
}
