//! Sockets alone: where datagrams were sent to, where they leave from, many at once, and what happens when some fail.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::time::{Duration, Instant};

use mobike_ike::Path;
use mobike_io::IoCounters;
use mobike_io::batch::{BATCH, DATAGRAM, ReceiveBatch, SendBatch, send_parts};
use mobike_io::socket::UdpSocket;

const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

struct Bench {
    sockets: Vec<UdpSocket>,
    receive: ReceiveBatch,
    send: SendBatch,
    counters: IoCounters,
}

impl Bench {
    fn listening_on(ip: IpAddr) -> Bench {
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0), false).unwrap();
        Bench {
            sockets: vec![socket],
            receive: ReceiveBatch::new(),
            send: SendBatch::new(),
            counters: IoCounters::default(),
        }
    }

    fn port(&self) -> u16 {
        self.sockets[0].listens().port()
    }

    /// Receive `count` datagrams; their paths and bytes.
    fn take(&mut self, count: usize) -> Vec<(Path, Vec<u8>)> {
        let (mut taken, port, begin) = (Vec::new(), self.port(), Instant::now());
        while taken.len() < count && begin.elapsed() < Duration::from_secs(5) {
            for index in 0..self.receive.receive(&self.sockets[0], &mut self.counters) {
                let (path, bytes) = self.receive.datagram(index, port).unwrap();
                taken.push((path, bytes.to_vec()));
            }
        }
        assert_eq!(taken.len(), count);
        taken
    }

    fn put(&mut self, source: &str, to: &StdSocket, bytes: &[u8]) {
        let local = SocketAddr::new(source.parse().unwrap(), self.port());
        let path = Path::udp(local, to.local_addr().unwrap());
        send_parts(&mut self.send, &self.sockets, path, &[bytes], &mut self.counters);
    }

    fn flush(&mut self) {
        self.send.flush(&self.sockets, &mut self.counters);
    }
}

fn peer(ip: &str) -> StdSocket {
    let socket = StdSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn hear(peer: &StdSocket) -> (SocketAddr, Vec<u8>) {
    let mut bytes = vec![0; DATAGRAM];
    let (length, from) = peer.recv_from(&mut bytes).unwrap();
    bytes.truncate(length);
    (from, bytes)
}

#[test]
fn a_wildcard_socket_knows_where_each_datagram_was_sent_to() {
    let mut bench = Bench::listening_on(ANY_V4);
    let peer = peer("127.0.0.1");
    for ip in ["127.0.6.7", "127.0.0.1", "127.9.9.9"] {
        peer.send_to(b"x", (ip, bench.port())).unwrap();
        let (path, bytes) = bench.take(1).remove(0);
        assert_eq!(path.local, SocketAddr::new(ip.parse().unwrap(), bench.port()));
        assert_eq!((path.remote, bytes.as_slice()), (peer.local_addr().unwrap(), &b"x"[..]));
    }
}

#[test]
fn a_wildcard_socket_of_ipv6_does_too_and_answers_from_there() {
    let mut bench = Bench::listening_on(ANY_V6);
    let peer = peer("::1");
    peer.send_to(b"ping", ("::1", bench.port())).unwrap();
    let (path, _) = bench.take(1).remove(0);
    assert_eq!(path.local, SocketAddr::new("::1".parse().unwrap(), bench.port()));
    bench.put("::1", &peer, b"pong");
    bench.flush();
    assert_eq!(hear(&peer), (path.local, b"pong".to_vec()));
}

#[test]
fn each_datagram_leaves_from_the_address_that_its_path_names() {
    let mut bench = Bench::listening_on(ANY_V4);
    let peer = peer("127.0.0.1");
    let sources = ["127.0.5.1", "127.0.5.2", "127.200.0.9"];
    for source in sources {
        bench.put(source, &peer, source.as_bytes());
    }
    bench.flush();
    for source in sources {
        let expected = SocketAddr::new(source.parse().unwrap(), bench.port());
        assert_eq!(hear(&peer), (expected, source.as_bytes().to_vec()));
    }
    assert_eq!(bench.counters.datagrams_out, 3);
}

#[test]
fn more_than_a_batch_goes_out_and_comes_in_whole_and_in_order() {
    let mut from = Bench::listening_on("127.0.7.1".parse().unwrap());
    let mut to = Bench::listening_on("127.0.7.2".parse().unwrap());
    let path = Path::udp(from.sockets[0].listens(), to.sockets[0].listens());
    let count = 3 * BATCH + 5;
    for number in 0..count {
        let body = vec![number as u8; 1 + number];
        send_parts(&mut from.send, &from.sockets, path, &[&body[..1], &body[1..]], &mut from.counters);
    }
    from.flush();
    for (number, (seen, bytes)) in to.take(count).into_iter().enumerate() {
        assert_eq!((seen.reversed(), bytes), (path, vec![number as u8; 1 + number]));
    }
    assert_eq!(from.counters.datagrams_out, count as u64);
    assert_eq!(from.counters.bytes_out, (1..=count as u64).sum::<u64>());
}

#[test]
fn a_datagram_that_cannot_leave_is_counted_by_its_reason_and_stops_no_other() {
    let mut bench = Bench::listening_on(ANY_V4);
    let peer = peer("127.0.0.1");
    bench.put("127.0.5.1", &peer, b"first");
    bench.put("192.0.2.77", &peer, b"from an address that is not ours");
    bench.put("127.0.5.1", &peer, &vec![0; DATAGRAM]);
    bench.put("::1", &peer, b"no socket of this family");
    bench.put("127.0.5.1", &peer, b"last");
    bench.flush();
    assert_eq!(hear(&peer).1, b"first");
    assert_eq!(hear(&peer).1, b"last");
    let counters = bench.counters;
    // Kernels differ in what they say of a foreign source.
    assert_eq!(counters.send_no_source + counters.send_unreachable, 1);
    assert_eq!((counters.send_too_long, counters.send_no_socket), (1, 1));
    assert_eq!((counters.datagrams_out, counters.bytes_out), (2, 9));
}

// req: M3.5-1
#[test]
fn a_closed_port_at_the_peer_changes_nothing() {
    let mut bench = Bench::listening_on(ANY_V4);
    let gone = peer("127.0.0.1");
    let here = peer("127.0.0.1");
    let path = Path::udp((Ipv4Addr::new(127, 0, 5, 1), bench.port()).into(), gone.local_addr().unwrap());
    drop(gone);
    for _ in 0..3 {
        send_parts(&mut bench.send, &bench.sockets, path, &[b"anybody?"], &mut bench.counters);
        bench.flush();
    }
    bench.put("127.0.5.1", &here, b"still here");
    bench.flush();
    assert_eq!(hear(&here).1, b"still here");
    assert_eq!(bench.receive.receive(&bench.sockets[0], &mut bench.counters), 0);
    assert_eq!((bench.counters.datagrams_out, bench.counters.send_refused), (4, 0));
}

// req: M3.5-1
#[test]
fn errors_of_older_datagrams_cost_no_newer_one_on_either_way() {
    const ROUNDS: usize = 200;
    for (any, own) in [(ANY_V4, "127.0.0.1"), (ANY_V6, "::1")] {
        let mut bench = Bench::listening_on(any);
        let (gone, here) = (peer(own), peer(own));
        let port = bench.port();
        let to_gone = Path::udp(SocketAddr::new(own.parse().unwrap(), port), gone.local_addr().unwrap());
        drop(gone);
        for number in 0..ROUNDS {
            send_parts(&mut bench.send, &bench.sockets, to_gone, &[b"anybody?"], &mut bench.counters);
            // The answer to it is there before the next leaves, and before the next comes.
            bench.flush();
            if number % 2 == 0 {
                bench.put(own, &here, &number.to_be_bytes());
                bench.flush();
                assert_eq!(hear(&here).1, number.to_be_bytes());
            } else {
                here.send_to(&number.to_be_bytes(), (own, port)).unwrap();
                assert_eq!(bench.receive.receive(&bench.sockets[0], &mut bench.counters), 1);
                assert_eq!(bench.receive.datagram(0, port).unwrap().1, number.to_be_bytes());
            }
        }
        let counters = bench.counters;
        assert_eq!((counters.datagrams_out, counters.send_refused), ((ROUNDS + ROUNDS / 2) as u64, 0), "{own}");
        assert!(counters.sent_again >= (ROUNDS / 2) as u64 && counters.receive_errors > 0, "{counters:?}");
    }
}

#[test]
fn the_largest_datagram_arrives_whole() {
    const LARGEST: usize = 65_507;
    let mut bench = Bench::listening_on(ANY_V4);
    let peer = peer("127.0.0.1");
    peer.send_to(&vec![7; LARGEST], ("127.0.0.1", bench.port())).unwrap();
    assert_eq!(bench.take(1).remove(0).1, vec![7; LARGEST]);
}

#[test]
fn a_socket_of_one_address_is_chosen_before_one_of_all() {
    let all = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0).into(), true).unwrap();
    let port = all.listens().port();
    let one = UdpSocket::bind((Ipv4Addr::new(127, 0, 8, 1), port).into(), true).unwrap();
    assert!(all.serves(one.listens()) && one.serves(one.listens()));
    assert!(!one.serves((Ipv4Addr::new(127, 0, 8, 2), port).into()));
    assert!(!all.serves((Ipv6Addr::LOCALHOST, port).into()));
    assert!(!all.serves((Ipv4Addr::new(127, 0, 8, 1), port + 1).into()));
}

/// In a network of its own, whose only link is down; `false`: only root may have one.
fn alone() -> bool {
    // SAFETY: it takes a number and touches no memory of ours; only this thread is elsewhere afterwards.
    unsafe { libc::unshare(libc::CLONE_NEWNET) == 0 }
}

#[test]
fn of_what_has_no_way_off_the_host_the_head_is_kept() {
    if !alone() {
        return;
    }
    let mut bench = Bench::listening_on(ANY_V4);
    let to = |last: u8| Path::udp(SocketAddr::new(ANY_V4, bench.port()), SocketAddr::from(([192, 0, 2, last], 500)));
    let (first, second) = (to(1), to(2));
    for (path, length) in [(first, 100), (second, 20)] {
        send_parts(&mut bench.send, &bench.sockets, path, &[&vec![length; length.into()]], &mut bench.counters);
    }
    bench.flush();
    let kept = bench.send.take_unsent();
    let heads: Vec<(Path, &[u8])> = kept.iter().map(|unsent| (unsent.path, &*unsent.head)).collect();
    assert_eq!(heads, [(first, &[100; 32][..]), (second, &[20; 20][..])]);
    assert!(bench.send.take_unsent().is_empty(), "once");
    assert_eq!((bench.counters.send_unreachable, bench.counters.datagrams_out), (2, 0));
    for _ in 0..3 * BATCH {
        send_parts(&mut bench.send, &bench.sockets, first, &[b"x"], &mut bench.counters);
    }
    bench.flush();
    assert_eq!(bench.send.take_unsent().len(), BATCH, "and no more than a batch of them");
}
