//! What a pair of SAs costs in resident memory: idle, while half of them send, and while the other half sends after the
//! first has fallen silent, which must cost no more. Linux only.
//!
//! `cargo run --release -p mobike-esp --example esp_memory [PAIRS]`

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};

use mobike_esp::{
    EspTable, GroupId, Install, Keys, Limits, Nanos, OuterPath, SaPairId, Selector, SequenceNumbers, Suite, sealed_len,
};

const FIRST_CLIENT: u32 = 0x0a00_0000;
const INNER_LEN: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let pairs: u32 = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let mut table = EspTable::new();
    let empty = resident()?;
    for n in 0..pairs {
        install(&mut table, n)?;
    }
    let report = |what: &str, now: usize| {
        println!("{what:<12} {:>6} bytes per pair", now.saturating_sub(empty) / pairs as usize);
    };
    report("idle", resident()?);
    for (half, clients) in [("first half", 0..pairs / 2), ("second half", pairs / 2..pairs)] {
        let mut out = [0; sealed_len(Suite::AES_128_GCM_16, INNER_LEN)];
        for n in clients {
            table.seal_routed(Nanos(1), &inner(n), &mut out)?;
        }
        report(half, resident()?);
        while let Some(due) = table.poll_timeout() {
            table.handle_timeout(due);
        }
    }
    Ok(())
}

/// A road warrior with one virtual address.
fn install(table: &mut EspTable, n: u32) -> Result<(), Box<dyn Error>> {
    let keymat: [u8; 72] = std::array::from_fn(|i| (n as usize + i) as u8);
    let client = IpAddr::from(Ipv4Addr::from(FIRST_CLIENT + n));
    table.install(&Install {
        id: SaPairId(n.into()),
        group: GroupId(n.into()),
        inbound: Keys { spi: (n << 4) + 4096, keymat: &keymat[..36] },
        outbound: Keys { spi: n + 4096, keymat: &keymat[36..] },
        suite: Suite::AES_256_GCM_16,
        sequence: SequenceNumbers::Short,
        limits: Limits::default(),
        replay_window: 64,
        outer: OuterPath::udp("192.0.2.1:4500".parse()?, "198.51.100.1:4500".parse()?),
        local: &[Selector::any_v4()],
        remote: &[Selector::host(client)],
    })?;
    Ok(())
}

fn inner(n: u32) -> [u8; INNER_LEN] {
    let mut packet = [0x45, 0, 0, INNER_LEN as u8, 0, 0, 0, 0, 64, 59, 0, 0, 192, 168, 0, 1, 0, 0, 0, 0];
    packet[16..].copy_from_slice(&(FIRST_CLIENT + n).to_be_bytes());
    packet
}

fn resident() -> Result<usize, Box<dyn Error>> {
    const PAGE: usize = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    Ok(pages.split_whitespace().nth(1).ok_or("statm has no second field")?.parse::<usize>()? * PAGE)
}
