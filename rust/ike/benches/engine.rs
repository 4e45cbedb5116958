//! What the engine costs: a whole handshake between two engines in memory, the responder's part of it alone, a move, and
//! the octets an established IKE SA with its Child SA occupies: `cargo bench -p mobike-ike --bench engine`.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use mobike_ike::crypto::SecretBytes;
use mobike_ike::profile::{Pool, RequestVip};
use mobike_ike::sa::established::Established;
use mobike_ike::{
    Command, Engine, Event, Generation, Identity, IdentityPattern, Nanos, NattPorts, Path, Profile, ProfileId, SaId,
    Selector, Settings, Token,
};

/// Octets allocated and not given back.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: `memory` came from `alloc` above, so from the system.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PROFILE: ProfileId = ProfileId(1);

fn profile(local: &str, remote: IdentityPattern) -> Profile {
    Profile {
        ike_suites: vec!["aes128gcm16-prfsha256-x25519".parse().unwrap()],
        esp_suites: vec!["aes128gcm16".parse().unwrap()],
        remote_ts: vec![Selector::ANY_V4],
        request_virtual_ip: RequestVip { v4: true, v6: false },
        liveness: Duration::from_secs(600),
        nat_keepalive: Duration::from_secs(20),
        ..Profile::bare(
            "bench",
            Identity::Fqdn(local.into()),
            remote,
            SecretBytes::from_slice(b"correct horse battery staple"),
        )
    }
}

struct Bout {
    client: Engine,
    gateway: Engine,
    now: Nanos,
    /// Time inside the gateway's `handle_*`, `poll_event` and `poll_transmit`.
    gateway_time: Duration,
    client_sa: Option<SaId>,
    count: u32,
}

fn address(n: u32) -> SocketAddr {
    SocketAddr::from(([10, (n >> 16) as u8, (n >> 8) as u8, n as u8], 500))
}

fn path(n: u32) -> Path {
    Path::udp(address(n), "203.0.113.1:500".parse().unwrap())
}

impl Bout {
    fn new() -> Bout {
        let mut bout = Bout {
            client: Engine::new(Settings::default(), [1; 32]),
            gateway: Engine::new(Settings::default(), [2; 32]),
            now: Nanos(1_000_000_000),
            gateway_time: Duration::ZERO,
            client_sa: None,
            count: 0,
        };
        let gateway = Identity::Fqdn("gateway.example.net".into());
        bout.client.handle_command(
            bout.now,
            Command::SetProfile {
                id: PROFILE,
                profile: Arc::new(profile("client-000001.example.net", IdentityPattern::Exact(gateway))),
            },
        );
        let pool =
            Pool { v4: Some(("10.0.0.1".parse().unwrap(), "10.255.255.254".parse().unwrap())), ..Pool::default() };
        let gateway = Profile {
            local_ts: vec![Selector::ANY_V4],
            remote_ts: vec![],
            pool: Some(pool),
            accepts: true,
            ..profile("gateway.example.net", IdentityPattern::Suffix(".example.net".into()))
        };
        bout.gateway.handle_command(bout.now, Command::SetProfile { id: PROFILE, profile: Arc::new(gateway) });
        bout
    }

    /// Carry datagrams to and fro until there are none.
    fn pass(&mut self) {
        loop {
            while let Some(event) = self.client.poll_event() {
                if let Event::IkeSaUp(up) = event {
                    self.client_sa = Some(up.sa);
                }
            }
            let Some(request) = self.client.poll_transmit() else { return };
            let mut bytes = request.bytes.to_vec();
            let start = Instant::now();
            self.gateway.handle_datagram(self.now, request.path.reversed(), &mut bytes);
            while self.gateway.poll_event().is_some() {}
            let answers: [_; 3] = std::array::from_fn(|_| self.gateway.poll_transmit());
            self.gateway_time += start.elapsed();
            for answer in answers.into_iter().flatten() {
                let mut bytes = answer.bytes.to_vec();
                self.client.handle_datagram(self.now, answer.path.reversed(), &mut bytes);
            }
        }
    }

    fn connect(&mut self) {
        self.count += 1;
        self.now = self.now + Duration::from_micros(100);
        let natt = NattPorts { local: 4500, remote: 4500 };
        let paths = vec![path(self.count)];
        self.client.handle_command(
            self.now,
            Command::Connect { token: Token(self.count.into()), profile: PROFILE, paths, natt, redirected_from: None },
        );
        self.pass();
    }
}

fn handshake(c: &mut Criterion) {
    let mut group = c.benchmark_group("handshake");
    group.bench_function("both ends", |b| {
        b.iter_custom(|rounds| {
            let mut bout = Bout::new();
            let start = Instant::now();
            (0..rounds).for_each(|_| bout.connect());
            assert_eq!(u64::from(bout.gateway.population().child_sas), rounds);
            start.elapsed()
        });
    });
    group.bench_function("responder alone", |b| {
        b.iter_custom(|rounds| {
            let mut bout = Bout::new();
            (0..rounds).for_each(|_| bout.connect());
            assert_eq!(u64::from(bout.gateway.population().child_sas), rounds);
            bout.gateway_time
        });
    });
    group.bench_function("initiator alone", |b| {
        b.iter_custom(|rounds| {
            let mut bout = Bout::new();
            let start = Instant::now();
            (0..rounds).for_each(|_| bout.connect());
            start.elapsed() - bout.gateway_time
        });
    });
    group.finish();
}

fn moves(c: &mut Criterion) {
    c.bench_function("move, responder alone", |b| {
        b.iter_custom(|rounds| {
            let mut bout = Bout::new();
            bout.connect();
            bout.gateway_time = Duration::ZERO;
            let sa = bout.client_sa.unwrap();
            for n in 0..rounds as u32 {
                let path = Path::udp(address(n + 2), "203.0.113.1:4500".parse().unwrap());
                let generation = Generation(n);
                bout.client.handle_command(bout.now, Command::Move { sa, path, generation, addresses: None });
                bout.pass();
            }
            assert_eq!(bout.gateway.counters().cookie2_passed, rounds);
            bout.gateway_time
        });
    });
}

/// Not a time, but measured here because here is where a thousand SAs are made.
fn memory(_: &mut Criterion) {
    const SAS: u32 = 20_000;
    let mut bout = Bout::new();
    bout.connect();
    let client_before = LIVE.load(Ordering::Relaxed);
    drop(std::mem::replace(&mut bout.client, Engine::new(Settings::default(), [3; 32])));
    let client = client_before - LIVE.load(Ordering::Relaxed);
    println!("one engine with one SA: {client} octets live");
    let mut bout = Bout::new();
    for _ in 0..SAS {
        bout.connect();
    }
    let resident = resident();
    let both = LIVE.load(Ordering::Relaxed);
    drop(std::mem::replace(&mut bout.client, Engine::new(Settings::default(), [3; 32])));
    let gateway_before = LIVE.load(Ordering::Relaxed);
    bout.now = bout.now + Duration::from_secs(200);
    bout.gateway.handle_timeout(bout.now);
    while bout.gateway.poll_transmit().is_some() {}
    let forgotten = gateway_before - LIVE.load(Ordering::Relaxed);
    drop(std::mem::replace(&mut bout.gateway, Engine::new(Settings::default(), [3; 32])));
    let after = LIVE.load(Ordering::Relaxed);
    let each = |octets: isize| octets / SAS as isize;
    println!("size_of Established: {} octets", std::mem::size_of::<Established>());
    println!(
        "live octets per SA: responder {} (of them the remembered answer {}), initiator {}; resident for both {}",
        each(gateway_before - after),
        each(forgotten),
        each(both - gateway_before),
        resident.map_or(0, |octets| octets / u64::from(SAS)),
    );
}

fn resident() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages.split(' ').nth(1)?.parse::<u64>().ok().map(|pages| pages * 4096)
}

criterion_group!(benches, memory, handshake, moves);
criterion_main!(benches);
