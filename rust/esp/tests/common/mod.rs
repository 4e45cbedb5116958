//! Two ends of a tunnel, inner packets, and a hand-made ESP packet for what our own sealing would never say.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, missing_docs)]

use std::net::IpAddr;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use mobike_esp::{
    EspTable, GcmIcv, GroupId, Install, Integ, KeyBits, Keys, Limits, Nanos, Opened, OuterPath, SaPairId, Selector,
    SequenceNumbers, Suite,
};

pub const NOW: Nanos = Nanos(1_000_000_000);
pub const ID: SaPairId = SaPairId(7);
pub const GROUP: GroupId = GroupId(3);
pub const CLIENT_SPI: u32 = 0xc0de_0001;
pub const GATEWAY_SPI: u32 = 0xa000_0012;
pub const SUITES: [Suite; 3] = [Suite::AES_128_GCM_16, Suite::AES_192_GCM_16, Suite::AES_256_GCM_16];

/// Every suite there is.
pub fn all_suites() -> Vec<Suite> {
    let keys = [KeyBits::B128, KeyBits::B192, KeyBits::B256];
    let icvs = [GcmIcv::O8, GcmIcv::O12, GcmIcv::O16];
    let integs = [Integ::HmacSha256, Integ::HmacSha384, Integ::HmacSha512, Integ::HmacSha1];
    let gcm = keys.iter().flat_map(|key| icvs.map(|icv| Suite::AesGcm { key: *key, icv }));
    let ctr = keys.iter().flat_map(|key| integs.map(|integ| Suite::AesCtr { key: *key, integ }));
    let cbc = keys.iter().flat_map(|key| integs.map(|integ| Suite::AesCbc { key: *key, integ }));
    gcm.chain(ctr).chain(cbc).chain([Suite::ChaCha20Poly1305]).collect()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn path(local: &str, remote: &str) -> OuterPath {
    OuterPath::udp(local.parse().unwrap(), remote.parse().unwrap())
}

/// As the client sees it.
pub fn home() -> OuterPath {
    path("192.0.2.10:4500", "203.0.113.1:4500")
}

pub fn reversed(path: OuterPath) -> OuterPath {
    OuterPath { local: path.remote, remote: path.local, encap: path.encap }
}

/// Keying material of the two directions, longer than any suite needs.
pub fn keymat(byte: u8) -> [u8; 100] {
    core::array::from_fn(|i| byte.wrapping_add(i as u8))
}

/// A client with virtual addresses 10.9.0.1 and 2001:db8:9::1 and a gateway to everything.
pub struct Tunnel {
    pub client: EspTable,
    pub gateway: EspTable,
    pub suite: Suite,
}

pub fn tunnel(suite: Suite, replay_window: u16) -> Tunnel {
    let virtual_ips = [Selector::host(ip("10.9.0.1")), Selector::host(ip("2001:db8:9::1"))];
    tunnel_with(suite, replay_window, &virtual_ips, &[Selector::any_v4(), Selector::any_v6()])
}

pub fn tunnel_with(suite: Suite, replay_window: u16, client_ts: &[Selector], gateway_ts: &[Selector]) -> Tunnel {
    tunnel_of(suite, SequenceNumbers::Short, replay_window, client_ts, gateway_ts)
}

pub fn tunnel_of(
    suite: Suite,
    sequence: SequenceNumbers,
    replay_window: u16,
    client_ts: &[Selector],
    gateway_ts: &[Selector],
) -> Tunnel {
    let len = suite.keymat_len();
    let (up, down) = (keymat(1), keymat(101));
    let client = Install {
        id: ID,
        group: GROUP,
        inbound: Keys { spi: CLIENT_SPI, keymat: &down[..len] },
        outbound: Keys { spi: GATEWAY_SPI, keymat: &up[..len] },
        suite,
        sequence,
        limits: Limits::default(),
        replay_window,
        outer: home(),
        local: client_ts,
        remote: gateway_ts,
    };
    let gateway = Install {
        inbound: client.outbound,
        outbound: client.inbound,
        outer: reversed(client.outer),
        local: gateway_ts,
        remote: client_ts,
        ..client
    };
    let mut tunnel = Tunnel { client: EspTable::new(), gateway: EspTable::new(), suite };
    tunnel.client.install(&client).unwrap();
    tunnel.gateway.install(&gateway).unwrap();
    tunnel
}

impl Tunnel {
    /// Client --> network: the sealed packet.
    pub fn up(&mut self, inner: &[u8]) -> Vec<u8> {
        seal(&mut self.client, inner)
    }

    /// network --> gateway, the way the client uses now.
    pub fn arrive(&mut self, datagram: &[u8]) -> Result<Vec<u8>, mobike_esp::OpenError> {
        let mut datagram = datagram.to_vec();
        let opened = self.gateway.open(NOW, &reversed(home()), &mut datagram)?;
        Ok(datagram[opened.inner].to_vec())
    }

    /// An authentic packet to the gateway whose decrypted body is exactly `body`.
    pub fn forge(&self, sequence: u32, body: &[u8]) -> Vec<u8> {
        let keymat = &keymat(1)[..self.suite.keymat_len()];
        let (key, salt) = keymat.split_at(self.suite.key_len());
        let algorithm = match self.suite {
            Suite::AES_128_GCM_16 => &aws_lc_rs::aead::AES_128_GCM,
            Suite::AES_192_GCM_16 => &aws_lc_rs::aead::AES_192_GCM,
            Suite::AES_256_GCM_16 => &aws_lc_rs::aead::AES_256_GCM,
            other => panic!("nobody forges {other:?}"),
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
        let iv = 0xfeed_0000_0000_0000u64 | u64::from(sequence);
        let nonce: Vec<u8> = [salt, &iv.to_be_bytes()].concat();
        let head = [GATEWAY_SPI.to_be_bytes(), sequence.to_be_bytes()].concat();
        let mut sealed = body.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
        key.seal_in_place_append_tag(nonce, Aad::from(&head), &mut sealed).unwrap();
        [head.as_slice(), &iv.to_be_bytes(), &sealed].concat()
    }
}

pub fn seal(table: &mut EspTable, inner: &[u8]) -> Vec<u8> {
    let mut out = vec![0; inner.len() + 100];
    let sealed = table.seal_routed(NOW, inner, &mut out).unwrap();
    out.truncate(sealed.len);
    out
}

pub fn open(table: &mut EspTable, from: OuterPath, datagram: &[u8]) -> Opened {
    table.open(NOW, &from, &mut datagram.to_vec()).unwrap()
}

/// IPv4 with an upper part of any protocol.
pub fn ipv4(source: &str, destination: &str, protocol: u8, upper: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    for address in [source, destination] {
        packet.extend(address.parse::<std::net::Ipv4Addr>().unwrap().octets());
    }
    packet.extend(upper);
    let len = packet.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet
}

/// IPv6 with everything behind the fixed header.
pub fn ipv6(source: &str, destination: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    packet[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    for address in [source, destination] {
        packet.extend(address.parse::<std::net::Ipv6Addr>().unwrap().octets());
    }
    packet.extend(payload);
    packet
}

pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16 + 8;
    let head = [source, destination, len, 0].map(u16::to_be_bytes).concat();
    [&head, payload].concat()
}

/// Client to a host behind the gateway.
pub fn ping() -> Vec<u8> {
    ipv4("10.9.0.1", "10.0.0.5", 1, &[8, 0, 0, 0, 0, 1, 0, 1, b'h', b'i'])
}

/// `body` with `pad` bytes of regular padding and a trailer.
pub fn with_trailer(body: &[u8], pad: u8, next_header: u8) -> Vec<u8> {
    let padding: Vec<u8> = (1..=pad).collect();
    [body, &padding, &[pad, next_header]].concat()
}

/// Padding that makes the body a multiple of four.
pub fn pad_for(len: usize) -> u8 {
    ((4 - (len + 2) % 4) % 4) as u8
}
