//! The userspace data plane of one shard: Child SAs go in with their keys, events come out without.

use std::sync::Arc;

use mobike_esp::limits::{LAST_SEQUENCE, LATE_SEQUENCE};
use mobike_esp::{
    Encap, EspEvent, EspTable, GcmIcv, GroupId, Install, InstallError, KeyBits, Keys, Limits, OuterPath, ParkedPair,
    PortRange, SaPairId, SequenceNumbers, Suite, Volume,
};
use mobike_ike::crypto::{Encr, EspSuite, Integ, Mode};
use mobike_ike::engine::park::Resumed;
use mobike_ike::{ChildId, ChildInstall, ChildLimits, ChildMode, Path, SaId, Selector, Sends, Transport};

use crate::card::Card;
use crate::config::{CoreConfig, PlaneConfig};
use crate::words::{ChildUp, InstallChild, PairKeys};

/// Packets a receiver may lag behind the newest and still be taken; RFC 4303 section 3.4.3 wants 64 or more, and paths
/// over two links reorder more than one does.
const REPLAY_WINDOW: u16 = 256;

/// ESP in this shard, or nothing.
pub(crate) struct Plane {
    /// `None`: the null plane.
    pub(crate) esp: Option<EspTable>,
    ways: Ways,
    /// Pairs that do not send yet, because the peer may not know them (RFC 7296 section 2.8), and what sends instead. Few,
    /// and for one round trip.
    held: Vec<Held>,
}

/// A pair that waits, and the one that sends in its place.
struct Held {
    pair: SaPairId,
    instead_of: SaPairId,
}

/// A Child SA is used up, or nearly.
pub(crate) struct Warning {
    pub(crate) child: ChildId,
    /// For people, if it is out of the ordinary.
    pub(crate) text: Option<String>,
    /// It ends; if not, it is replaced.
    pub(crate) spent: bool,
}

/// How packets leave.
struct Ways {
    always_encap: bool,
    ike_port: u16,
    natt_port: u16,
}

impl Plane {
    pub(crate) fn new(config: &CoreConfig) -> Plane {
        let CoreConfig { always_encap, ike_port, natt_port, .. } = *config;
        let ways = Ways { always_encap: always_encap && config.plane != PlaneConfig::Null, ike_port, natt_port };
        Plane { esp: config.plane.is_here().then(EspTable::new), ways, held: Vec::new() }
    }

    /// What somebody outside needs to carry a Child SA.
    pub(crate) fn order(&self, sa: SaId, child: ChildId, name: Arc<str>, install: &ChildInstall) -> InstallChild {
        let outer = self.outer_of(sa).unwrap_or_else(|| self.ways.outer(install.path, install.encap));
        InstallChild {
            up: told(sa, child, name, install, &outer),
            part: install.part,
            path: path_of(&outer),
            sends: install.sends,
            volumes: within_numbers(install.suite, install.limits),
            keys: Some(PairKeys { inbound: install.key_in.clone(), outbound: install.key_out.clone() }),
        }
    }

    /// The same of one that was carried in another process.
    pub(crate) fn order_again(&self, resumed: &Resumed, name: Arc<str>, card: &Card) -> InstallChild {
        let Resumed { up, outer, .. } = resumed;
        let outer = self.outer_of(up.sa).unwrap_or_else(|| self.ways.outer(outer.path, outer.encap));
        InstallChild {
            up: ChildUp {
                sa: up.sa,
                child: card.child,
                name,
                spi_in: card.spi_in,
                spi_out: card.spi_out,
                suite: card.suite,
                local_ts: card.local_ts.clone(),
                remote_ts: card.remote_ts.clone(),
                encap: outer.encap != Encap::None,
                mode: card.mode,
            },
            part: up.role,
            path: path_of(&outer),
            sends: card.sends,
            volumes: within_numbers(card.suite, card.volumes),
            keys: None,
        }
    }

    /// Install a Child SA; the keys end here. What is told of it, and why it was refused, if it was.
    ///
    /// One that joins others of its IKE SA takes their path: traffic stays where it was put until it is put elsewhere,
    /// while the engine may be ahead on a path that nobody has proved yet.
    pub(crate) fn install(
        &mut self,
        sa: SaId,
        child: ChildId,
        name: Arc<str>,
        install: ChildInstall,
    ) -> (ChildUp, Option<Refusal>) {
        let outer = self.outer_of(sa).unwrap_or_else(|| self.ways.outer(install.path, install.encap));
        let refusal = match &mut self.esp {
            Some(esp) => install_in(esp, sa, child, &install, outer).err(),
            None => None,
        };
        if refusal.is_none() {
            self.hold_back(child, install.sends);
        }
        (told(sa, child, name, &install, &outer), refusal)
    }

    /// Where its Child SAs send; all go the same way.
    pub(crate) fn outer_of(&self, sa: SaId) -> Option<OuterPath> {
        let esp = self.esp.as_ref()?;
        esp.group(GroupId(sa.0)).next().and_then(|sibling| esp.outer(sibling))
    }

    pub(crate) fn remove(&mut self, child: ChildId) {
        if let Some(esp) = &mut self.esp {
            // One that was refused on installing is not there; nothing to do then.
            let _ = esp.remove(SaPairId(child.0));
            self.held.retain(|held| held.pair.0 != child.0);
        }
    }

    /// Of the pairs of an IKE SA the one preferred last sends.
    fn hold_back(&mut self, child: ChildId, sends: Sends) {
        let Some(esp) = &mut self.esp else { return };
        match sends {
            Sends::AtOnce => {}
            Sends::WhenUsed { instead_of } => {
                if esp.prefer(SaPairId(instead_of.0)).is_ok() {
                    self.held.push(Held { pair: SaPairId(child.0), instead_of: SaPairId(instead_of.0) });
                }
            }
            Sends::Never { instead_of } => {
                let rivals = self.held.iter().filter(|held| held.instead_of.0 == instead_of.0).map(|held| held.pair);
                for pair in rivals.chain([SaPairId(instead_of.0)]) {
                    // One that is gone needs no preference.
                    let _ = esp.prefer(pair);
                }
            }
        }
    }

    /// The pairs of this IKE SA that wait, each with the one that sends in its place.
    pub(crate) fn held_of(&self, sa: SaId) -> Vec<[u64; 2]> {
        let pairs: Vec<SaPairId> = self.esp.iter().flat_map(|esp| esp.group(GroupId(sa.0))).collect();
        let held = self.held.iter().filter(|held| pairs.contains(&held.pair));
        held.map(|held| [held.pair.0, held.instead_of.0]).collect()
    }

    /// They go on waiting.
    pub(crate) fn hold_back_again(&mut self, held: &[[u64; 2]]) {
        for [pair, instead_of] in held {
            self.hold_back(ChildId(*pair), Sends::WhenUsed { instead_of: ChildId(*instead_of) });
        }
    }

    /// The peer has sent on this pair, so it can receive on it too.
    pub(crate) fn heard_on(&mut self, pair: SaPairId) {
        if let Some(at) = self.held.iter().position(|held| held.pair == pair)
            && let Some(esp) = &mut self.esp
        {
            self.held.swap_remove(at);
            // It is there: a packet came in on it.
            let _ = esp.prefer(pair);
        }
    }

    pub(crate) fn remove_sa(&mut self, sa: SaId) {
        if let Some(esp) = &mut self.esp {
            esp.remove_group(GroupId(sa.0));
        }
    }

    /// What the control plane sees of a pair that was resumed.
    pub(crate) fn child_up(&self, pair: &ParkedPair, name: Arc<str>) -> Option<ChildUp> {
        Some(ChildUp {
            sa: SaId(pair.group.0),
            child: ChildId(pair.id.0),
            name,
            spi_in: pair.spi_in,
            spi_out: pair.spi_out,
            suite: suite_back(pair.suite, pair.sequence)?,
            local_ts: pair.local.iter().map(translate_back).collect(),
            remote_ts: pair.remote.iter().map(translate_back).collect(),
            encap: pair.outer.encap != Encap::None,
            mode: ChildMode::Tunnel,
        })
    }

    /// All Child SAs of the IKE SA take this path from now on: one write each.
    pub(crate) fn move_sa(&mut self, sa: SaId, path: Path, encap: bool) {
        if let Some(esp) = &mut self.esp {
            esp.set_group_outer(GroupId(sa.0), self.ways.outer(path, encap));
        }
    }

    /// Nothing goes to the peer of this IKE SA until it is moved.
    pub(crate) fn park(&mut self, sa: SaId) {
        if let Some(esp) = &mut self.esp {
            esp.park_group(GroupId(sa.0));
        }
    }

    /// What the control plane should hear about a Child SA, and what becomes of that.
    pub(crate) fn poll_warning(&mut self) -> Option<Warning> {
        let (id, text, spent) = match self.esp.as_mut()?.poll_event()? {
            EspEvent::SequenceRunningOut { id, left } => {
                (id, Some(format!("{left} sequence numbers are left, so it is replaced")), false)
            }
            EspEvent::SequenceExhausted { id } => {
                (id, Some("no sequence numbers are left, so it ends".to_owned()), true)
            }
            // As ordinary as a soft lifetime.
            EspEvent::Worn { id } => (id, None, false),
            EspEvent::Spent { id } => (id, Some("it has carried all that it may, so it ends".to_owned()), true),
        };
        Some(Warning { child: ChildId(id.0), text, spent })
    }
}

/// Why a Child SA was not installed.
#[derive(Debug)]
pub(crate) enum Refusal {
    Suite(EspSuite),
    Selector(Selector),
    Esp(InstallError),
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refusal::Suite(suite) => write!(f, "the userspace plane does not know {suite}"),
            Refusal::Selector(selector) => write!(f, "{selector} is no range"),
            Refusal::Esp(error) => error.fmt(f),
        }
    }
}

fn told(sa: SaId, child: ChildId, name: Arc<str>, install: &ChildInstall, outer: &OuterPath) -> ChildUp {
    ChildUp {
        sa,
        child,
        name,
        spi_in: install.spi_in,
        spi_out: install.spi_out,
        suite: install.suite,
        local_ts: install.local_ts.clone(),
        remote_ts: install.remote_ts.clone(),
        encap: outer.encap != Encap::None,
        mode: install.mode,
    }
}

/// What may be carried while there are sequence numbers: those of 32 bits must not cycle (RFC 4303 section 3.3.3).
fn within_numbers(suite: EspSuite, limits: ChildLimits) -> ChildLimits {
    if suite.esn() {
        return limits;
    }
    let at_most = |volume: mobike_ike::Volume, numbers: u64| {
        let packets = if volume.packets == 0 { numbers } else { volume.packets.min(numbers) };
        mobike_ike::Volume { packets, ..volume }
    };
    ChildLimits { soft: at_most(limits.soft, LATE_SEQUENCE), hard: at_most(limits.hard, LAST_SEQUENCE) }
}

fn install_in(
    esp: &mut EspTable,
    sa: SaId,
    child: ChildId,
    install: &ChildInstall,
    outer: OuterPath,
) -> Result<(), Refusal> {
    let suite = esp_suite(install.suite).ok_or(Refusal::Suite(install.suite))?;
    let sequence = sequence_numbers(install.suite);
    let (key_in, key_out) = (install.key_in.keymat(), install.key_out.keymat());
    let local = selectors(&install.local_ts)?;
    let remote = selectors(&install.remote_ts)?;
    let install = Install {
        id: SaPairId(child.0),
        group: GroupId(sa.0),
        inbound: Keys { spi: install.spi_in, keymat: &key_in },
        outbound: Keys { spi: install.spi_out, keymat: &key_out },
        suite,
        sequence,
        limits: limits(install.limits),
        replay_window: REPLAY_WINDOW,
        outer,
        local: &local,
        remote: &remote,
    };
    esp.install(&install).map_err(Refusal::Esp)
}

impl Ways {
    /// ESP in UDP always uses the NAT traversal ports, also where IKE stayed on the other one because there is no NAT:
    /// whoever knows NAT traversal takes it there at any time (RFC 7296 section 2.23).
    fn outer(&self, path: Path, encap: bool) -> OuterPath {
        if path.is_stream() {
            return outer_from(path);
        }
        let Path { mut local, mut remote, .. } = path;
        let encap = encap || self.always_encap;
        if encap && local.port() != self.natt_port {
            local.set_port(self.natt_port);
            if remote.port() == self.ike_port {
                remote.set_port(self.natt_port);
            }
        }
        OuterPath { local, remote, encap: if encap { Encap::Udp } else { Encap::None } }
    }
}

fn limits(from: ChildLimits) -> Limits {
    let volume = |from: mobike_ike::Volume| Volume { bytes: from.bytes, packets: from.packets };
    Limits { soft: volume(from.soft), hard: volume(from.hard) }
}

/// Where a packet came from that came over this path.
pub(crate) fn outer_from(path: Path) -> OuterPath {
    let encap = match path.transport {
        Transport::Udp => Encap::Udp,
        Transport::Tcp => Encap::Tcp,
    };
    OuterPath { local: path.local, remote: path.remote, encap }
}

/// The path that encapsulated packets take.
pub(crate) fn path_of(outer: &OuterPath) -> Path {
    let transport = if outer.encap == Encap::Tcp { Transport::Tcp } else { Transport::Udp };
    Path { local: outer.local, remote: outer.remote, transport }
}

/// The algorithms of a Child SA as the userspace plane calls them.
#[must_use]
pub fn esp_suite(suite: EspSuite) -> Option<Suite> {
    let key = match suite.encr().key_bits() {
        128 => KeyBits::B128,
        192 => KeyBits::B192,
        256 => KeyBits::B256,
        _ => return None,
    };
    match (suite.encr().mode(), suite.integ().map(integ_of)) {
        (Mode::Gcm, None) => {
            let icv = match suite.encr().icv_len() {
                8 => GcmIcv::O8,
                12 => GcmIcv::O12,
                16 => GcmIcv::O16,
                _ => return None,
            };
            Some(Suite::AesGcm { key, icv })
        }
        (Mode::ChaChaPoly, None) => Some(Suite::ChaCha20Poly1305),
        (Mode::Ctr, Some(integ)) => Some(Suite::AesCtr { key, integ }),
        (Mode::Cbc, Some(integ)) => Some(Suite::AesCbc { key, integ }),
        (Mode::Gcm | Mode::ChaChaPoly, Some(_)) | (Mode::Ctr | Mode::Cbc, None) => None,
    }
}

/// How its sequence numbers travel.
#[must_use]
pub fn sequence_numbers(suite: EspSuite) -> SequenceNumbers {
    if suite.esn() { SequenceNumbers::Extended } else { SequenceNumbers::Short }
}

fn integ_of(integ: Integ) -> mobike_esp::Integ {
    match integ {
        Integ::HmacSha256 => mobike_esp::Integ::HmacSha256,
        Integ::HmacSha384 => mobike_esp::Integ::HmacSha384,
        Integ::HmacSha512 => mobike_esp::Integ::HmacSha512,
        Integ::HmacSha1 => mobike_esp::Integ::HmacSha1,
    }
}

fn integ_back(integ: mobike_esp::Integ) -> Integ {
    match integ {
        mobike_esp::Integ::HmacSha256 => Integ::HmacSha256,
        mobike_esp::Integ::HmacSha384 => Integ::HmacSha384,
        mobike_esp::Integ::HmacSha512 => Integ::HmacSha512,
        mobike_esp::Integ::HmacSha1 => Integ::HmacSha1,
    }
}

/// The Child SA's algorithms back from what the userspace plane was given.
pub(crate) fn suite_back(suite: Suite, numbers: SequenceNumbers) -> Option<EspSuite> {
    let esn = numbers == SequenceNumbers::Extended;
    let integ = suite.integ().map(integ_back);
    let same = |encr: &&Encr| {
        let candidate = EspSuite::new(**encr, integ, None, esn).ok().and_then(esp_suite);
        candidate == Some(suite)
    };
    Encr::ALL.iter().find(same).and_then(|encr| EspSuite::new(*encr, integ, None, esn).ok())
}

fn translate_back(from: &mobike_esp::Selector) -> Selector {
    let (start_port, end_port) = from.ports().ends();
    Selector { protocol: from.protocol(), start_port, end_port, start: from.first(), end: from.last() }
}

fn selectors(from: &[Selector]) -> Result<Vec<mobike_esp::Selector>, Refusal> {
    from.iter().map(|selector| translate(selector).ok_or(Refusal::Selector(*selector))).collect()
}

fn translate(from: &Selector) -> Option<mobike_esp::Selector> {
    let ports = PortRange::new(from.start_port, from.end_port)?;
    mobike_esp::Selector::new(from.start, from.end, from.protocol, ports)
}

/// Can the userspace plane carry this suite?
#[must_use]
pub fn userspace_knows(suite: EspSuite) -> bool {
    esp_suite(suite).is_some()
}

#[cfg(test)]
mod tests {
    use mobike_esp::{Encap, SaPairId};
    use mobike_ike::crypto::{ChildKeys, Ephemeral, IkeSuite, KeMethod, Nonces, Role, SeededRandom, SkeySeed, Spis};
    use mobike_ike::{ChildId, ChildInstall, ChildLimits, ChildMode, SaId, Selector, Sends};

    use super::{CoreConfig, Path, Plane, Ways};

    fn path(local: &str, remote: &str) -> Path {
        Path::udp(local.parse().unwrap(), remote.parse().unwrap())
    }

    #[test]
    fn encapsulated_esp_takes_the_natt_ports_where_ike_stayed_on_its_own() {
        let ways = Ways { always_encap: true, ike_port: 500, natt_port: 4500 };
        let outer = ways.outer(path("192.0.2.1:500", "192.0.2.2:500"), false);
        assert_eq!(outer.to_string(), "192.0.2.1:4500 -> 192.0.2.2:4500");
        // A NAT's port is not ours to change.
        let outer = ways.outer(path("192.0.2.1:4500", "192.0.2.2:500"), false);
        assert_eq!(outer.to_string(), "192.0.2.1:4500 -> 192.0.2.2:500");
    }

    #[test]
    fn without_force_the_path_decides() {
        let ways = Ways { always_encap: false, ike_port: 500, natt_port: 4500 };
        assert_eq!(ways.outer(path("192.0.2.1:500", "192.0.2.2:500"), false).encap, Encap::None);
        assert_eq!(ways.outer(path("192.0.2.1:4500", "192.0.2.2:4500"), true).encap, Encap::Udp);
    }

    fn child(spi: u32, local: &str) -> ChildInstall {
        let mut random = SeededRandom::new([spi as u8; 32]);
        let ours = Ephemeral::generate(KeMethod::X25519, &mut random).unwrap();
        let theirs = Ephemeral::generate(KeMethod::X25519, &mut random).unwrap();
        let suite: IkeSuite = "aes128gcm16-prfsha256-x25519".parse().unwrap();
        let nonces = Nonces::new(&[1; 32], &[2; 32]).unwrap();
        let seed = SkeySeed::initial(suite.prf(), &nonces, ours.agree(theirs.public()).unwrap());
        let (keys, _) = seed.expand(&suite, &nonces, Spis { initiator: 1, responder: 2 }).unwrap();
        let suite = "aes128gcm16".parse().unwrap();
        let keys = ChildKeys::derive(keys.sk_d(), &suite, &nonces, &[]).unwrap();
        ChildInstall {
            suite,
            spi_in: spi,
            spi_out: spi + 1,
            key_in: keys.sent_by(Role::Initiator).clone(),
            key_out: keys.sent_by(Role::Responder).clone(),
            local_ts: vec![Selector::ANY_V4],
            remote_ts: vec![Selector::ANY_V4],
            path: path(local, "192.0.2.2:4500"),
            encap: true,
            sends: Sends::AtOnce,
            mode: ChildMode::Tunnel,
            part: Role::Initiator,
            limits: ChildLimits::default(),
        }
    }

    fn sends_on(plane: &Plane) -> Option<u64> {
        let packet = [&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..]].concat();
        plane.esp.as_ref().and_then(|esp| esp.route(&packet)).map(|pair| pair.0)
    }

    #[test]
    fn a_child_that_the_peer_asked_for_sends_when_the_peer_has_used_it_or_the_old_one_is_gone() {
        for heard in [true, false] {
            let mut plane = Plane::new(&CoreConfig::default());
            let sa = SaId(7);
            plane.install(sa, ChildId(1), "one".into(), child(1000, "192.0.2.1:4500"));
            let sends = Sends::WhenUsed { instead_of: ChildId(1) };
            plane.install(sa, ChildId(2), "one".into(), ChildInstall { sends, ..child(2000, "192.0.2.1:4500") });
            assert_eq!(sends_on(&plane), Some(1), "the peer may not know the new one yet");
            plane.heard_on(SaPairId(1));
            assert_eq!(sends_on(&plane), Some(1));
            if heard {
                plane.heard_on(SaPairId(2));
            } else {
                plane.remove(ChildId(1));
            }
            assert_eq!(sends_on(&plane), Some(2));
        }
    }

    #[test]
    fn a_child_that_waits_goes_on_waiting_in_another_process() {
        let mut plane = Plane::new(&CoreConfig::default());
        let sa = SaId(7);
        plane.install(sa, ChildId(1), "one".into(), child(1000, "192.0.2.1:4500"));
        plane.install(SaId(8), ChildId(9), "one".into(), child(9000, "192.0.2.1:4500"));
        let sends = Sends::WhenUsed { instead_of: ChildId(1) };
        plane.install(sa, ChildId(2), "one".into(), ChildInstall { sends, ..child(2000, "192.0.2.1:4500") });
        let (held, none) = (plane.held_of(sa), plane.held_of(SaId(8)));
        assert_eq!((&held[..], &none[..]), (&[[2, 1]][..], &[][..]));
        let mut next = Plane::new(&CoreConfig::default());
        next.install(sa, ChildId(1), "one".into(), child(1000, "192.0.2.1:4500"));
        next.install(sa, ChildId(2), "one".into(), child(2000, "192.0.2.1:4500"));
        next.hold_back_again(&held);
        assert_eq!(sends_on(&next), Some(1), "the peer may still not know the new one");
        next.heard_on(SaPairId(2));
        assert_eq!(sends_on(&next), Some(2));
    }

    #[test]
    fn of_two_children_made_at_once_the_one_that_goes_never_sends() {
        let mut plane = Plane::new(&CoreConfig::default());
        let sa = SaId(7);
        plane.install(sa, ChildId(1), "one".into(), child(1000, "192.0.2.1:4500"));
        let sends = Sends::WhenUsed { instead_of: ChildId(1) };
        plane.install(sa, ChildId(2), "one".into(), ChildInstall { sends, ..child(2000, "192.0.2.1:4500") });
        let sends = Sends::Never { instead_of: ChildId(1) };
        plane.install(sa, ChildId(3), "one".into(), ChildInstall { sends, ..child(3000, "192.0.2.1:4500") });
        plane.heard_on(SaPairId(3));
        assert_eq!(sends_on(&plane), Some(1));
        plane.remove(ChildId(1));
        assert_eq!(sends_on(&plane), Some(2));
        plane.remove(ChildId(3));
        assert_eq!(sends_on(&plane), Some(2));
    }

    // req: M3.5-7, D5.3-1
    #[test]
    fn a_child_that_joins_others_stays_where_the_traffic_is_until_that_moves() {
        let mut plane = Plane::new(&CoreConfig::default());
        let sa = SaId(7);
        plane.install(sa, ChildId(1), "one".into(), child(1000, "192.0.2.1:4500"));
        // The engine is on a path by now that the peer has not proved yet.
        plane.install(sa, ChildId(2), "one".into(), child(2000, "198.51.100.1:4500"));
        let outer = |plane: &Plane, id| plane.esp.as_ref().unwrap().outer(SaPairId(id)).unwrap().to_string();
        assert_eq!(outer(&plane, 2), "192.0.2.1:4500 -> 192.0.2.2:4500");
        plane.move_sa(sa, path("198.51.100.1:4500", "192.0.2.2:4500"), true);
        assert_eq!(outer(&plane, 1), outer(&plane, 2));
        assert_eq!(outer(&plane, 2), "198.51.100.1:4500 -> 192.0.2.2:4500");
        // The first of another IKE SA has nobody to follow.
        plane.install(SaId(8), ChildId(3), "one".into(), child(3000, "198.51.100.1:4500"));
        assert_eq!(outer(&plane, 3), "198.51.100.1:4500 -> 192.0.2.2:4500");
    }
}
