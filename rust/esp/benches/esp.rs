//! Seal and open in packets of the sizes that matter, on one core.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mobike_esp::{
    EspTable, GroupId, Install, Keys, Limits, Nanos, OuterPath, ReplayWindow, SaPairId, Selector, SequenceNumbers,
    Suite, sealed_len,
};

const NOW: Nanos = Nanos(1);
/// Packets opened per batch: each can be opened only once.
const BATCH: usize = 512;

fn path() -> OuterPath {
    let (local, remote) = ("192.0.2.1:4500".parse().unwrap(), "198.51.100.1:4500".parse().unwrap());
    OuterPath::udp(local, remote)
}

fn inner(len: usize) -> Vec<u8> {
    let mut packet = vec![0xa5; len];
    packet[..20].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 9, 0, 1]);
    packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    packet
}

/// Both ends in one table: what pair 1 seals, pair 2 opens.
fn table(suite: Suite) -> EspTable {
    let mut table = EspTable::new();
    let (there, back) = ([7; 36], [9; 36]);
    let (here, peer) =
        ([Selector::prefix("10.0.0.0".parse().unwrap(), 24).unwrap()], [Selector::host("10.9.0.1".parse().unwrap())]);
    let len = suite.keymat_len();
    let mut install = Install {
        id: SaPairId(1),
        group: GroupId(1),
        inbound: Keys { spi: 0x1000, keymat: &back[..len] },
        outbound: Keys { spi: 0x2000, keymat: &there[..len] },
        suite,
        sequence: SequenceNumbers::Short,
        limits: Limits::default(),
        replay_window: 1024,
        outer: path(),
        local: &here,
        remote: &peer,
    };
    table.install(&install).unwrap();
    (install.id, install.inbound, install.outbound) = (SaPairId(2), install.outbound, install.inbound);
    (install.local, install.remote) = (install.remote, install.local);
    table.install(&install).unwrap();
    table
}

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    for (suite, len) in cases() {
        let (mut table, inner, mut out) = (table(suite), inner(len), vec![0; 2048]);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new(format!("{suite:?}"), len), |b| {
            b.iter(|| table.seal_routed(NOW, black_box(&inner), &mut out).unwrap());
        });
    }
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    for (suite, len) in cases() {
        let (mut sender, mut receiver, inner) = (table(suite), table(suite), inner(len));
        group.throughput(Throughput::Bytes((len * BATCH) as u64));
        group.bench_function(BenchmarkId::new(format!("{suite:?}"), len), |b| {
            let mut batch = || -> Vec<Vec<u8>> {
                let sealed = |_| {
                    let mut out = vec![0; sealed_len(suite, len)];
                    sender.seal_routed(NOW, &inner, &mut out).unwrap();
                    out
                };
                (0..BATCH).map(sealed).collect()
            };
            b.iter_batched_ref(
                &mut batch,
                |batch| {
                    for datagram in batch {
                        black_box(receiver.open(NOW, &path(), datagram).unwrap());
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
}

fn cases() -> impl Iterator<Item = (Suite, usize)> {
    let suites = [Suite::AES_128_GCM_16, Suite::AES_256_GCM_16];
    suites.into_iter().flat_map(|suite| [64, 576, 1400].map(|len| (suite, len)))
}

/// The window alone: in order, and reordered by a few.
fn replay(c: &mut Criterion) {
    let mut group = c.benchmark_group("replay");
    for width in [64, 1024] {
        let (mut window, mut next) = (ReplayWindow::new(width), 0u64);
        group.bench_function(BenchmarkId::from_parameter(width), |b| {
            b.iter(|| {
                next += 1;
                let sequence = next ^ 3;
                if black_box(window.admits(sequence)) {
                    window.accept(sequence);
                }
            });
        });
    }
}

criterion_group!(benches, seal, open, replay);
criterion_main!(benches);
