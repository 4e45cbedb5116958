//! What a flood costs a gateway: a datagram of each kind, dropped or answered without leaving a trace:
//! `cargo bench -p mobike-ike --bench door`. Packets a second and core are one second by the time told.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use mobike_ike::crypto::SecretBytes;
use mobike_ike::wire::{Message, MessageWriter, NotifyType, Payload};
use mobike_ike::{
    Command, Engine, HalfOpenLimits, Identity, IdentityPattern, Nanos, NattPorts, Path, PrefixLimits, Profile,
    ProfileId, PuzzleLimits, Settings, Token,
};

const PROFILE: ProfileId = ProfileId(1);

fn profile(local: &str, remote: &str) -> Profile {
    Profile {
        accepts: true,
        ..Profile::bare(
            "bench",
            Identity::Fqdn(local.into()),
            IdentityPattern::Exact(Identity::Fqdn(remote.into())),
            SecretBytes::from_slice(b"correct horse battery staple"),
        )
    }
}

/// A gateway, a client's request, and the time.
struct Siege {
    gateway: Engine,
    request: Vec<u8>,
    now: Nanos,
    spi: u64,
}

fn path(n: u64) -> Path {
    let [.., a, b, c] = n.to_be_bytes();
    Path::udp("203.0.113.1:500".parse().unwrap(), SocketAddr::from(([10, a, b, c], 500)))
}

impl Siege {
    fn new(half_open: HalfOpenLimits) -> Siege {
        let now = Nanos(1_000_000_000);
        let mut client = Engine::new(Settings::default(), [1; 32]);
        let orders = Arc::new(profile("client.example.net", "gateway.example.net"));
        client.handle_command(now, Command::SetProfile { id: PROFILE, profile: orders });
        let (natt, paths) = (NattPorts { local: 4500, remote: 4500 }, vec![path(1).reversed()]);
        client.handle_command(
            now,
            Command::Connect { token: Token(1), profile: PROFILE, paths, natt, redirected_from: None },
        );
        let request = client.poll_transmit().unwrap().bytes.to_vec();
        let mut gateway = Engine::new(Settings { half_open, ..Settings::default() }, [2; 32]);
        let orders = Arc::new(profile("gateway.example.net", "client.example.net"));
        gateway.handle_command(now, Command::SetProfile { id: PROFILE, profile: orders });
        Siege { gateway, request, now, spi: 1 }
    }

    /// The request with these payloads in front.
    fn with(&self, before: &[Payload<'_>]) -> Vec<u8> {
        let message = Message::parse(&self.request).unwrap();
        let mut writer = MessageWriter::new(&message.header);
        before.iter().for_each(|payload| writer.push(payload));
        message.payloads.iter().for_each(|payload| writer.push(payload));
        writer.finish().unwrap()
    }

    /// One datagram, from anywhere.
    fn take(&mut self, template: &[u8], bytes: &mut Vec<u8>, from: u64) {
        self.spi += 1;
        bytes.clear();
        bytes.extend_from_slice(template);
        bytes[..8].copy_from_slice(&self.spi.to_be_bytes());
        self.gateway.handle_datagram(self.now, path(from), bytes);
        while self.gateway.poll_event().is_some() {}
        while let Some(sent) = self.gateway.poll_transmit() {
            black_box(sent);
        }
    }
}

/// Nobody is served without a cookie.
fn cookies() -> HalfOpenLimits {
    HalfOpenLimits { cookie_threshold: 0, ..HalfOpenLimits::default() }
}

fn puzzles() -> HalfOpenLimits {
    let puzzles = PuzzleLimits { threshold: 0, unsolved_per_second: 0, ..PuzzleLimits::default() };
    HalfOpenLimits { puzzles, ..cookies() }
}

fn flood(c: &mut Criterion) {
    let mut group = c.benchmark_group("flood");
    let mut run = |name: &str, limits: HalfOpenLimits, before: &[Payload<'_>]| {
        let mut siege = Siege::new(limits);
        let (template, mut bytes) = (siege.with(before), Vec::new());
        group.bench_function(name, |b| b.iter(|| siege.take(&template, &mut bytes, siege.spi)));
        assert_eq!(siege.gateway.population().half_open, 0);
    };
    let cookie = Payload::notify(NotifyType::COOKIE, &[7; 36]);
    run("no cookie: asked for", cookies(), &[]);
    run("a wrong cookie: asked for", cookies(), &[cookie]);
    run("no cookie: puzzle", puzzles(), &[]);
    group.finish();
}

/// What asks with a true cookie, from an address of its own.
fn proven(c: &mut Criterion) {
    let mut group = c.benchmark_group("flood, receiving");
    for (name, limits, solution) in
        [("puzzle not solved", puzzles(), None), ("puzzle solved wrongly", puzzles(), Some([9u8; 32]))]
    {
        let mut siege = Siege::new(limits);
        let first = siege.request.clone();
        let mut bytes = first.clone();
        siege.gateway.handle_datagram(siege.now, path(1), &mut bytes);
        let answer = siege.gateway.poll_transmit().unwrap();
        let message = Message::parse(&answer.bytes).unwrap();
        let cookie = message.payloads.notify(NotifyType::COOKIE).unwrap().data;
        let mut before = vec![Payload::notify(NotifyType::COOKIE, cookie)];
        before.extend(solution.as_ref().map(|solution| Payload::PuzzleSolution(solution)));
        let template = siege.with(&before);
        group.bench_function(name, |b| {
            b.iter(|| {
                bytes.clear();
                bytes.extend_from_slice(&template);
                siege.gateway.handle_datagram(siege.now, path(1), &mut bytes);
                assert!(siege.gateway.poll_transmit().is_none());
            });
        });
    }
    // Debts are forgiven as time passes, which it does not here.
    let barred = PrefixLimits { cookie_threshold: 0, max: 1, ..PrefixLimits::default() };
    let none = PuzzleLimits { hardest: 0, ..PuzzleLimits::default() };
    let mut siege = Siege::new(HalfOpenLimits {
        prefixes: barred,
        puzzles: none,
        lifetime: Duration::from_secs(3_600),
        ..cookies()
    });
    let insist = |siege: &mut Siege, spi: u8| {
        siege.request[7] = spi;
        let mut bytes = siege.request.clone();
        siege.gateway.handle_datagram(siege.now, path(1), &mut bytes);
        let answer = siege.gateway.poll_transmit().unwrap();
        let message = Message::parse(&answer.bytes).unwrap();
        let cookie = message.payloads.notify(NotifyType::COOKIE).unwrap().data;
        siege.with(&[Payload::notify(NotifyType::COOKIE, cookie)])
    };
    let mut first = insist(&mut siege, 1);
    siege.gateway.handle_datagram(siege.now, path(1), &mut first);
    while siege.gateway.poll_transmit().is_some() {}
    let template = insist(&mut siege, 2);
    let mut bytes = Vec::new();
    group.bench_function("prefix barred", |b| {
        b.iter(|| {
            bytes.clear();
            bytes.extend_from_slice(&template);
            siege.gateway.handle_datagram(siege.now, path(1), &mut bytes);
            assert!(siege.gateway.poll_transmit().is_none());
            while siege.gateway.poll_event().is_some() {}
        });
    });
    group.finish();
}

criterion_group!(benches, flood, proven);
criterion_main!(benches);
