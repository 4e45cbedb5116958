//! The answer to an inner packet that is too long for its path: ICMP, back to where it came from (RFC 1191 section 4,
//! RFC 4443 section 3.2, RFC 4301 section 8.2.1).
//!
//! It seems to come from the address the packet was for: that is routed into the tunnel, so no reverse path filter
//! objects, and it tells nothing about us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mobike_ike::Nanos;

/// Every IPv6 path takes so much (RFC 8200 section 5): one that does not must cut and join packets below IPv6.
const IPV6_LEAST: usize = 1280;

/// Answers of one shard in a second: plenty for those who listen, nothing to flood anybody with (RFC 4443 section 2.4).
const ANSWERS: u32 = 256;
const PERIOD: Duration = Duration::from_secs(1);

const V4: usize = 20;
const V6: usize = 40;
const ICMP: usize = 8;

/// May the path cut this packet? Then its length is no reason to keep it: the kernel makes fragments of the outside.
#[must_use]
pub(crate) fn may_be_cut(packet: &[u8]) -> bool {
    const DONT_FRAGMENT: u8 = 0x40;
    match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(6).is_some_and(|flags| flags & DONT_FRAGMENT == 0),
        _ => packet.len() <= IPV6_LEAST,
    }
}

/// Who tells senders, and how often.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    until: Nanos,
    left: u32,
}

impl Teller {
    /// The answer to `packet`: the path takes `most` bytes. `None` if it must not be answered, or too many were.
    pub(crate) fn tell(&mut self, now: Nanos, packet: &[u8], most: usize) -> Option<Vec<u8>> {
        if now >= self.until {
            *self = Teller { until: now + PERIOD, left: ANSWERS };
        }
        let answer = answer(packet, most).filter(|_| self.left > 0)?;
        self.left -= 1;
        Some(answer)
    }
}

fn answer(packet: &[u8], most: usize) -> Option<Vec<u8>> {
    match packet.first()? >> 4 {
        4 => fragmentation_needed(packet, most),
        6 => packet_too_big(packet, most.max(IPV6_LEAST)),
        _ => None,
    }
}

/// ```text
/// |  Type 3   |  Code 4   |       Checksum        |
/// |        unused         |     Next-Hop MTU      |
/// | IP header and what follows it: 576 bytes at most, as RFC 1812 section 4.3.2.3 says |
/// ```
fn fragmentation_needed(packet: &[u8], most: usize) -> Option<Vec<u8>> {
    const LONGEST: usize = 576;
    let head: &[u8; V4] = packet.first_chunk()?;
    let [source, destination] = [12, 16].map(|at| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]));
    let later_fragment = u16::from_be_bytes([head[6], head[7]]) & 0x1fff != 0;
    let about_error = head[9] == 1 && packet.get(usize::from(head[0] & 0xf) * 4).is_none_or(|kind| is_error_v4(*kind));
    if !is_host(source.into()) || !is_host(destination.into()) || later_fragment || about_error {
        return None;
    }
    let quoted = packet.get(..packet.len().min(LONGEST - V4 - ICMP))?;
    let length = V4 + ICMP + quoted.len();
    let mut answer = Vec::with_capacity(length);
    answer.extend([0x45, 0xc0]);
    answer.extend((length as u16).to_be_bytes());
    answer.extend([0, 0, 0, 0, 64, 1, 0, 0]);
    answer.extend(destination.octets());
    answer.extend(source.octets());
    let sum = checksum(&answer, 0);
    answer[10..12].copy_from_slice(&sum.to_be_bytes());
    answer.extend([3, 4, 0, 0, 0, 0]);
    answer.extend(u16::try_from(most).unwrap_or(u16::MAX).to_be_bytes());
    answer.extend(quoted);
    let sum = checksum(&answer[V4..], 0);
    answer[V4 + 2..V4 + 4].copy_from_slice(&sum.to_be_bytes());
    Some(answer)
}

/// ```text
/// |  Type 2   |  Code 0   |       Checksum        |
/// |                      MTU                      |
/// | as much of the packet as fits into 1280 bytes |
/// ```
fn packet_too_big(packet: &[u8], most: usize) -> Option<Vec<u8>> {
    const ICMPV6: u8 = 58;
    let head: &[u8; V6] = packet.first_chunk()?;
    let (addresses, _) = head[8..].as_chunks::<16>();
    let [source, destination] = [addresses[0], addresses[1]];
    // Types below 128 are errors. One behind extension headers is answered: rate and quotation are limited anyway.
    let about_error = head[6] == ICMPV6 && packet.get(V6).is_none_or(|kind| *kind < 128);
    // Unlike others, this answer may be about a packet to a group, but then nobody's address would fit as its source.
    if !is_host(Ipv6Addr::from(source).into()) || !is_host(Ipv6Addr::from(destination).into()) || about_error {
        return None;
    }
    let quoted = packet.get(..packet.len().min(IPV6_LEAST - V6 - ICMP))?;
    let length = (ICMP + quoted.len()) as u16;
    let mut answer = Vec::with_capacity(V6 + ICMP + quoted.len());
    answer.extend([0x60, 0, 0, 0]);
    answer.extend(length.to_be_bytes());
    answer.extend([ICMPV6, 64]);
    answer.extend(destination);
    answer.extend(source);
    answer.extend([2, 0, 0, 0]);
    answer.extend((most as u32).to_be_bytes());
    answer.extend(quoted);
    // Of the pseudo header (RFC 8200 section 8.1) the addresses stand right before the message.
    let sum = checksum(&answer[8..], u32::from(ICMPV6) + u32::from(length));
    answer[V6 + 2..V6 + 4].copy_from_slice(&sum.to_be_bytes());
    Some(answer)
}

/// Unreachable, source quench, redirect, time exceeded, parameter problem.
fn is_error_v4(kind: u8) -> bool {
    matches!(kind, 3 | 4 | 5 | 11 | 12)
}

/// The address of one host somewhere.
fn is_host(ip: IpAddr) -> bool {
    let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(broadcast || ip.is_multicast() || ip.is_unspecified() || ip.is_loopback())
}

/// RFC 1071, begun with `start`.
fn checksum(bytes: &[u8], start: u32) -> u16 {
    let (words, rest) = bytes.as_chunks::<2>();
    let last = rest.first().map_or(0, |byte| u32::from(*byte) << 8);
    let mut sum = words.iter().fold(start + last, |sum, word| sum + u32::from(u16::from_be_bytes(*word)));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(length: usize, flags: u8, protocol: u8) -> Vec<u8> {
        let mut packet = vec![0; length];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        packet[6] = flags;
        packet[9] = protocol;
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet[16..20].copy_from_slice(&[10, 7, 0, 9]);
        packet
    }

    fn v6(length: usize, next: u8) -> Vec<u8> {
        let mut packet = vec![0; length];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&((length - V6) as u16).to_be_bytes());
        packet[6] = next;
        packet[8..24].copy_from_slice(&"fd00::1".parse::<Ipv6Addr>().unwrap().octets());
        packet[24..40].copy_from_slice(&"fd00:7::9".parse::<Ipv6Addr>().unwrap().octets());
        packet
    }

    fn tell(packet: &[u8], most: usize) -> Option<Vec<u8>> {
        Teller::default().tell(Nanos(0), packet, most)
    }

    // req: A4-1
    #[test]
    fn who_sent_a_packet_that_must_not_be_cut_hears_what_fits() {
        let packet = v4(1400, 0x40, 17);
        let answer = tell(&packet, 1222).unwrap();
        assert_eq!(answer.len(), 576);
        assert_eq!(answer[12..20], [10, 7, 0, 9, 10, 0, 0, 1], "from where it was going, to where it came from");
        assert_eq!(answer[20..22], [3, 4]);
        assert_eq!(answer[26..28], 1222u16.to_be_bytes());
        assert_eq!(answer[28..], packet[..576 - 28]);
        assert_eq!([checksum(&answer[..20], 0), checksum(&answer[20..], 0)], [0, 0]);
    }

    // req: A4-1
    #[test]
    fn ipv6_is_never_told_less_than_what_it_needs() {
        let packet = v6(1400, 17);
        let answer = tell(&packet, 1300).unwrap();
        assert_eq!((answer.len(), answer[6], &answer[40..42]), (1280, 58, &[2, 0][..]));
        assert_eq!(answer[44..48], 1300u32.to_be_bytes());
        assert_eq!(answer[8..24], packet[24..40]);
        let length = u32::from(u16::from_be_bytes([answer[4], answer[5]]));
        assert_eq!(checksum(&answer[8..], 58 + length), 0);
        assert_eq!(tell(&packet, 1000).unwrap()[44..48], 1280u32.to_be_bytes());
        assert!(may_be_cut(&v6(1280, 17)) && !may_be_cut(&v6(1281, 17)));
    }

    #[test]
    fn errors_groups_and_later_fragments_get_no_answer() {
        let mut error = v4(1400, 0x40, 1);
        error[20] = 3;
        let mut group = v4(1400, 0x40, 17);
        group[16] = 224;
        let mut later = v4(1400, 0x40, 17);
        later[7] = 9;
        let mut error6 = v6(1400, 58);
        error6[40] = 1;
        let mut group6 = v6(1400, 17);
        group6[24] = 0xff;
        for packet in [error, group, later, error6, group6] {
            assert_eq!(tell(&packet, 1300), None);
        }
        let mut echo = v4(1400, 0x40, 1);
        echo[20] = 8;
        assert!(tell(&echo, 1300).is_some());
        for length in 0..60 {
            // Whatever the inside sends: no panic.
            let _ = (tell(&v4(1400, 0x40, 1)[..length], 1300), tell(&v6(1400, 58)[..length], 1300));
        }
    }

    #[test]
    fn a_packet_that_may_be_cut_is_no_trouble() {
        assert!(may_be_cut(&v4(1400, 0, 17)));
        assert!(!may_be_cut(&v4(1400, 0x40, 17)));
    }

    #[test]
    fn a_flood_is_answered_so_often_and_no_more() {
        let (mut teller, packet) = (Teller::default(), v4(1400, 0x40, 17));
        let count = |teller: &mut Teller, now| (0..1000).filter_map(|_| teller.tell(now, &packet, 1300)).count();
        assert_eq!(count(&mut teller, Nanos(5)), 256);
        assert_eq!(count(&mut teller, Nanos(6)), 0);
        assert_eq!(count(&mut teller, Nanos(5) + PERIOD), 256);
    }
}
