//! Writes down, for a dissector, all that two ends say to each other: set-up, traffic, a move with its return
//! routability check, traffic again, goodbye. Engines and ESP are those of the daemon, without sockets and without root.
//!
//! ```text
//! capture_handshake FOLDER IKE_PROPOSAL ESP_PROPOSAL
//! ```
//!
//! makes `capture.pcap` and, with keys in the clear, `ikev2_decryption_table` and `esp_sa` in the form in which
//! Wireshark keeps them. `tests/vectors/test_tshark_ike.py` asks tshark what it reads there.

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mobike_esp::{EspTable, GroupId, Install, Keys, Limits, OuterPath, PortRange, SaPairId, Selector};
use mobike_ike::crypto::SecretBytes;
use mobike_ike::crypto::capture::KeysInTheClear;
use mobike_ike::profile::{Pool, RequestVip};
use mobike_ike::{
    ChildInstall, Command, Engine, Event, Generation, Identity, IdentityPattern, Nanos, NattPorts, Path, Profile,
    ProfileId, SaId, Settings, Token, Transmit,
};

type Failable<T = ()> = Result<T, Box<dyn Error>>;

const PHONE: &str = "192.0.2.7";
const PHONE_LATER: &str = "198.51.100.7";
const GATEWAY: &str = "203.0.113.1";
const PHONE_INSIDE: &str = "10.99.0.1";
const SERVER_INSIDE: &str = "10.1.0.1";
const PROFILE: ProfileId = ProfileId(1);
const NATT: u16 = 4500;
/// More octets than any suite puts around a packet.
const ROOM: usize = 100;
/// Nanoseconds between one datagram and the next.
const STEP: Duration = Duration::from_millis(10);

fn main() -> Failable {
    let mut words = std::env::args().skip(1);
    let (Some(folder), Some(ike), Some(esp)) = (words.next(), words.next(), words.next()) else {
        return Err("usage: capture_handshake FOLDER IKE_PROPOSAL ESP_PROPOSAL".into());
    };
    let mut wire = Wire::new(&ike, &esp)?;
    wire.connect()?;
    wire.ping()?;
    wire.roam()?;
    wire.ping()?;
    wire.part()?;
    wire.save(&PathBuf::from(folder))
}

/// One end: its engine, its ESP, and what it was told of its one IKE SA.
struct End {
    engine: Engine,
    esp: EspTable,
    inside: IpAddr,
    sa: Option<SaId>,
    outbox: VecDeque<Transmit>,
}

/// Both ends and what passed between them.
struct Wire {
    now: Nanos,
    ends: [End; 2],
    packets: Vec<(Nanos, Vec<u8>)>,
    ike_keys: Vec<String>,
    esp_keys: Vec<String>,
}

const A: usize = 0;
const B: usize = 1;

impl Wire {
    fn new(ike: &str, esp: &str) -> Failable<Wire> {
        let (phone, gateway) = profiles(ike, esp)?;
        let mut ends = [End::new(1, PHONE_INSIDE)?, End::new(2, SERVER_INSIDE)?];
        let now = Nanos(1_000_000_000);
        for (end, profile) in ends.iter_mut().zip([phone, gateway]) {
            end.engine.handle_command(now, Command::SetProfile { id: PROFILE, profile: Arc::new(profile) });
        }
        Ok(Wire { now, ends, packets: Vec::new(), ike_keys: Vec::new(), esp_keys: Vec::new() })
    }

    fn connect(&mut self) -> Failable {
        let paths = vec![Path::udp(at(PHONE, 500)?, at(GATEWAY, 500)?)];
        let natt = NattPorts { local: NATT, remote: NATT };
        self.order(A, Command::Connect { token: Token(1), profile: PROFILE, paths, natt, redirected_from: None })?;
        for end in [A, B] {
            let sa = self.ends[end].sa.ok_or("no IKE SA came up")?;
            let line = self.ends[end].engine.export_keys(sa).ok_or("no keys")?;
            if !self.ike_keys.contains(&line) {
                self.ike_keys.push(line);
            }
        }
        if self.ike_keys.len() == 1 { Ok(()) } else { Err("the ends do not agree on the keys".into()) }
    }

    fn roam(&mut self) -> Failable {
        let sa = self.ends[A].sa.ok_or("no IKE SA to move")?;
        let path = Path::udp(at(PHONE_LATER, NATT)?, at(GATEWAY, NATT)?);
        let addresses = Some(Arc::from([PHONE_LATER.parse()?, PHONE.parse()?]));
        self.order(A, Command::Move { sa, path, generation: Generation(1), addresses })
    }

    fn part(&mut self) -> Failable {
        let sa = self.ends[A].sa.ok_or("no IKE SA to close")?;
        self.order(A, Command::Close { sa, why: Arc::from("the story ends") })
    }

    fn order(&mut self, end: usize, command: Command) -> Failable {
        self.ends[end].engine.handle_command(self.now, command);
        self.drain(end)?;
        self.settle()
    }

    /// Carry datagrams until nobody says anything more.
    fn settle(&mut self) -> Failable {
        while let Some(end) = [A, B].into_iter().find(|end| !self.ends[*end].outbox.is_empty()) {
            let Some(sent) = self.ends[end].outbox.pop_front() else { break };
            let marker: &[u8] = if sent.path.local.port() == NATT { &[0; 4] } else { &[] };
            self.record(sent.path, &[marker, &sent.bytes].concat())?;
            let other = 1 - end;
            let mut bytes = sent.bytes.to_vec();
            self.ends[other].engine.handle_datagram(self.now, sent.path.reversed(), &mut bytes);
            self.drain(other)?;
        }
        Ok(())
    }

    fn drain(&mut self, number: usize) -> Failable {
        let end = &mut self.ends[number];
        while let Some(event) = end.engine.poll_event() {
            match event {
                Event::IkeSaUp(up) => end.sa = Some(up.sa),
                Event::ChildUp { sa, child, install, .. } => {
                    end.install(sa, SaPairId(child.0), &install)?;
                    let keys = KeysInTheClear::i_know_this_breaks_confidentiality(&install.key_out);
                    self.esp_keys.push(keys.wireshark_line(&install.suite, "IPv4", install.spi_out));
                }
                Event::Moved { sa, path, .. } | Event::PeerMoved { sa, path, .. } => {
                    end.esp.set_group_outer(GroupId(sa.0), in_udp(path));
                }
                Event::ConnectFailed { why, .. } => return Err(why.to_string().into()),
                _ => {}
            }
        }
        end.outbox.extend(std::iter::from_fn(|| end.engine.poll_transmit()));
        Ok(())
    }

    /// An echo request through the tunnel, and its answer.
    fn ping(&mut self) -> Failable {
        self.carry(A, 8)?;
        self.carry(B, 0)
    }

    fn carry(&mut self, from: usize, icmp_type: u8) -> Failable {
        let now = mobike_esp::Nanos(self.now.0);
        let inner = ip_packet(self.ends[from].inside, self.ends[1 - from].inside, ICMP, &icmp(icmp_type))?;
        let mut sealed = vec![0; inner.len() + ROOM];
        let out = self.ends[from].esp.seal_routed(now, &inner, &mut sealed)?;
        sealed.truncate(out.len);
        self.record(Path::udp(out.outer.local, out.outer.remote), &sealed)?;
        let arrived = OuterPath::udp(out.outer.remote, out.outer.local);
        let opened = self.ends[1 - from].esp.open(now, &arrived, &mut sealed)?;
        if sealed[opened.inner] == inner { Ok(()) } else { Err("the packet changed on its way".into()) }
    }

    fn record(&mut self, path: Path, payload: &[u8]) -> Failable {
        self.now = self.now + STEP;
        let length = u16::try_from(payload.len() + 8)?;
        let ports = [path.local.port().to_be_bytes(), path.remote.port().to_be_bytes()].concat();
        let udp = [&ports[..], &length.to_be_bytes(), &[0, 0], payload].concat();
        self.packets.push((self.now, ip_packet(path.local.ip(), path.remote.ip(), UDP, &udp)?));
        Ok(())
    }

    fn save(&self, folder: &std::path::Path) -> Failable {
        fs::write(folder.join("capture.pcap"), pcap(&self.packets)?)?;
        fs::write(folder.join("ikev2_decryption_table"), self.ike_keys.join("\n") + "\n")?;
        fs::write(folder.join("esp_sa"), self.esp_keys.join("\n") + "\n")?;
        Ok(())
    }
}

impl End {
    fn new(seed: u8, inside: &str) -> Failable<End> {
        let engine = Engine::new(Settings::default(), [seed; 32]);
        Ok(End { engine, esp: EspTable::new(), inside: inside.parse()?, sa: None, outbox: VecDeque::new() })
    }

    fn install(&mut self, sa: SaId, id: SaPairId, install: &ChildInstall) -> Failable {
        let selectors = |from: &[mobike_ike::Selector]| {
            from.iter().map(|one| Selector::new(one.start, one.end, 0, PortRange::ANY)).collect::<Option<Vec<_>>>()
        };
        self.esp.install(&Install {
            id,
            group: GroupId(sa.0),
            inbound: Keys { spi: install.spi_in, keymat: &install.key_in.keymat() },
            outbound: Keys { spi: install.spi_out, keymat: &install.key_out.keymat() },
            suite: mobike_io::esp_suite(install.suite).ok_or("a suite that is none")?,
            sequence: mobike_io::sequence_numbers(install.suite),
            limits: Limits::default(),
            replay_window: 64,
            outer: in_udp(install.path),
            local: &selectors(&install.local_ts).ok_or("a selector that is none")?,
            remote: &selectors(&install.remote_ts).ok_or("a selector that is none")?,
        })?;
        Ok(())
    }
}

fn profiles(ike: &str, esp: &str) -> Failable<(Profile, Profile)> {
    let inside = |text: &str| Ok::<_, Box<dyn Error>>(mobike_ike::Selector::host(text.parse()?));
    let phone = Profile {
        ike_suites: vec![ike.parse()?],
        esp_suites: vec![esp.parse()?],
        remote_ts: vec![inside(SERVER_INSIDE)?],
        request_virtual_ip: RequestVip { v4: true, v6: false },
        initial_contact: true,
        always_encap: true,
        ..Profile::bare(
            "home",
            Identity::Fqdn("phone.example.net".into()),
            IdentityPattern::Any,
            SecretBytes::from_slice(b"a secret of examples only"),
        )
    };
    let leased = PHONE_INSIDE.parse()?;
    let gateway = Profile {
        name: "phones".into(),
        local_id: Identity::Fqdn("gateway.example.net".into()),
        local_ts: vec![inside(SERVER_INSIDE)?],
        remote_ts: vec![],
        plan: Default::default(),
        unique: Default::default(),
        pool: Some(Pool { v4: Some((leased, leased)), ..Pool::default() }),
        request_virtual_ip: RequestVip::default(),
        accepts: true,
        ..phone.clone()
    };
    Ok((phone, gateway))
}

fn at(ip: &str, port: u16) -> Failable<SocketAddr> {
    Ok(SocketAddr::new(ip.parse()?, port))
}

/// ESP always takes the NAT traversal ports here.
fn in_udp(path: Path) -> OuterPath {
    let Path { mut local, mut remote, .. } = path;
    local.set_port(NATT);
    remote.set_port(NATT);
    OuterPath::udp(local, remote)
}

// --- packets and files -----------------------------------------------------------------------------------------------

const UDP: u8 = 17;
const ICMP: u8 = 1;

fn ip_packet(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Failable<Vec<u8>> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) else { return Err("IPv4 only".into()) };
    let length = u16::try_from(20 + payload.len())?.to_be_bytes();
    let mut head = [0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    head[12..16].copy_from_slice(&source.octets());
    head[16..20].copy_from_slice(&destination.octets());
    let sum = checksum(&head).to_be_bytes();
    head[10..12].copy_from_slice(&sum);
    Ok([&head[..], payload].concat())
}

fn icmp(kind: u8) -> Vec<u8> {
    let mut echo = [&[kind, 0, 0, 0, 0, 1, 0, 1][..], b"does anybody hear me?"].concat();
    let sum = checksum(&echo).to_be_bytes();
    echo[2..4].copy_from_slice(&sum);
    echo
}

/// RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Raw IP packets (link type 101).
fn pcap(packets: &[(Nanos, Vec<u8>)]) -> Failable<Vec<u8>> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 65_535, 101] {
        file.extend(word.to_le_bytes());
    }
    for (at, packet) in packets {
        let length = u32::try_from(packet.len())?;
        let (seconds, micros) = (at.0 / 1_000_000_000, at.0 / 1_000 % 1_000_000);
        for word in [u32::try_from(seconds)?, u32::try_from(micros)?, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    Ok(file)
}
