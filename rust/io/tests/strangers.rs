//! What strangers send to a running core: counted, never fatal.

#![allow(clippy::unwrap_used, clippy::panic)]

mod counting;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use counting::{counter, settles};
use mobike_io::{Core, CoreConfig, InnerConfig};

/// Ports of this process's own, so that two runs do not meet.
fn ports() -> (u16, u16) {
    let base = 20_000 + (std::process::id() % 20_000) as u16;
    (base, base + 1)
}

fn core(ip: &str, shards: u8) -> (Core, IpAddr) {
    let ip = ip.parse().unwrap();
    let config = CoreConfig {
        listen: vec![ip],
        ike_port: ports().0,
        natt_port: ports().1,
        shards,
        inner: InnerConfig::Port,
        ..CoreConfig::default()
    };
    (Core::start(&config).unwrap(), ip)
}

fn ike_header(initiator: u64, responder: u64) -> Vec<u8> {
    let mut header = [initiator.to_be_bytes(), responder.to_be_bytes()].concat();
    header.extend([46, 0x20, 37, 0x08, 0, 0, 0, 1, 0, 0, 0, 28]);
    header
}

#[test]
fn every_kind_of_rubbish_has_its_counter() {
    let (core, ip) = core("127.0.9.1", 1);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let natt = SocketAddr::new(ip, ports().1);
    let ike = SocketAddr::new(ip, ports().0);
    stranger.send_to(&[0xff], natt).unwrap();
    stranger.send_to(&[], natt).unwrap();
    stranger.send_to(&[0; 3], natt).unwrap();
    stranger.send_to(&[0; 8], natt).unwrap();
    stranger.send_to(&[1; 100], natt).unwrap();
    stranger.send_to(&[1; 5], natt).unwrap();
    stranger.send_to(&[9; 12], ike).unwrap();
    settles(&core, "io_datagrams_in", 7);
    settles(&core, "io_keepalives_in", 1);
    settles(&core, "io_runts", 4);
    settles(&core, "esp_unknown_spi", 1);
    settles(&core, "esp_bad_length", 1);
    assert_eq!(counter(&core, "io_datagrams_out"), 0);
}

#[test]
fn a_datagram_goes_to_the_shard_that_its_spi_names_wherever_it_came_in() {
    let (core, ip) = core("127.0.9.2", 4);
    let natt = SocketAddr::new(ip, ports().1);
    // 64 source ports spread over the four sockets; only one in four is where the SPI points.
    for number in 0..64u32 {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let spi = (7 << 24) | (number % 4);
        stranger.send_to(&[&spi.to_be_bytes()[..], &[0; 60]].concat(), natt).unwrap();
        let message = ike_header(1, (9 << 32) | u64::from(number % 4));
        stranger.send_to(&[&[0; 4][..], &message].concat(), natt).unwrap();
    }
    settles(&core, "io_datagrams_in", 128);
    settles(&core, "esp_unknown_spi", 64);
    settles(&core, "ike_received", 64);
    assert!(counter(&core, "io_handed_over") > 0);
    assert_eq!(counter(&core, "io_hand_over_full"), 0);
}

#[test]
fn an_unplugged_address_is_deaf_until_it_is_plugged_in_again() {
    let (core, ip) = core("127.0.9.3", 1);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let natt = SocketAddr::new(ip, ports().1);
    core.plug(ip, false);
    settles(&core, "io_orders", 1);
    stranger.send_to(&[1; 64], natt).unwrap();
    settles(&core, "io_unplugged", 1);
    assert_eq!(counter(&core, "esp_unknown_spi"), 0);
    core.plug(ip, true);
    settles(&core, "io_orders", 2);
    stranger.send_to(&[1; 64], natt).unwrap();
    settles(&core, "esp_unknown_spi", 1);
    assert_eq!(counter(&core, "io_unplugged"), 1);
}

#[test]
fn a_stopped_core_answers_with_what_it_had_counted() {
    let (core, ip) = core("127.0.9.4", 2);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(&[0xff], SocketAddr::new(ip, ports().1)).unwrap();
    settles(&core, "io_keepalives_in", 1);
    core.stop();
    core.stop();
    assert_eq!(counter(&core, "io_keepalives_in"), 1);
    assert_eq!((counter(&core, "io_shards"), counter(&core, "io_shards_running")), (2, 0));
}

#[test]
fn packets_that_no_shard_has_a_route_for_do_not_go_around_for_ever() {
    let (core, _) = core("127.0.9.5", 3);
    let packet = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    assert_eq!(core.inner_send([&packet[..]].into_iter()), 1);
    settles(&core, "esp_no_route", 3);
    std::thread::sleep(Duration::from_millis(20));
    settles(&core, "esp_no_route", 3);
}
