//! Strangers that open streams: what they may cost is limited, and everybody else is served.

#![allow(clippy::unwrap_used, clippy::panic)]

mod counting;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use counting::{counter, settles};
use mobike_io::streams::limits::{MOST_OF_PREFIX, UNUSED};
use mobike_io::{Core, CoreConfig, InnerConfig};

fn core(ip: &str) -> (Core, SocketAddr) {
    let ip: IpAddr = ip.parse().unwrap();
    // Ports of this process's own, so that two runs do not meet.
    let base = 20_000 + (std::process::id() % 20_000) as u16;
    let config = CoreConfig {
        listen: vec![ip],
        ike_port: base,
        natt_port: base + 1,
        tcp: true,
        inner: InnerConfig::Port,
        ..CoreConfig::default()
    };
    (Core::start(&config).unwrap(), SocketAddr::new(ip, base + 1))
}

fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    !matches!(stream.read(&mut [0; 16]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_stream_of_anything_else_is_closed_at_once() {
    let (core, at) = core("127.0.51.1");
    for begins in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02", b"IKETCP\x00\x00", b"IKETCP\x00\x01"] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(begins).unwrap();
        assert!(is_closed(&mut stream, Duration::from_secs(5)), "{begins:?}");
    }
    settles(&core, "io_streams_corrupt", 4);
}

#[test]
fn rubbish_in_messages_has_the_same_counters_as_in_datagrams() {
    let (core, at) = core("127.0.51.2");
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(b"IKETCP\x00\x02\x00\x03\xff\x00\x05abc\x00\x66").unwrap();
    stream.write_all(&[1; 100]).unwrap();
    settles(&core, "io_keepalives_in", 1);
    settles(&core, "io_runts", 2);
    settles(&core, "esp_unknown_spi", 1);
    assert_eq!(counter(&core, "io_streams_corrupt"), 0);
}

#[test]
fn one_site_gets_so_many_streams_and_those_that_say_nothing_are_closed() {
    let (core, at) = core("127.0.51.3");
    let mut silent: Vec<_> = (0..MOST_OF_PREFIX).map(|_| TcpStream::connect(at).unwrap()).collect();
    settles(&core, "io_streams_accepted", MOST_OF_PREFIX.into());
    let mut refused = TcpStream::connect(at).unwrap();
    assert!(is_closed(&mut refused, Duration::from_secs(5)));
    settles(&core, "io_streams_refused", 1);
    // One of them goes on, an octet at a time.
    let begin = Instant::now();
    while begin.elapsed() < UNUSED + Duration::from_secs(2) {
        let _closed = silent[0].write_all(b"I").is_err();
        std::thread::sleep(Duration::from_secs(1));
        if begin.elapsed() < Duration::from_secs(1) {
            assert_eq!(counter(&core, "io_streams_ended"), 0);
        }
    }
    settles(&core, "io_streams_ended", MOST_OF_PREFIX.into());
    assert!(silent.iter_mut().all(|stream| is_closed(stream, Duration::from_secs(1))));
    assert!(TcpStream::connect(at).is_ok());
    settles(&core, "io_streams_accepted", u64::from(MOST_OF_PREFIX) + 1);
}
