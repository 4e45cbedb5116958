//! Packets that want a tunnel which is not there: told, so that somebody may set it up; seldom, because many may come.

use std::net::IpAddr;
use std::time::Duration;

use mobike_esp::Flow;
use mobike_ike::Nanos;

use crate::words::Event;

/// How long one pair of addresses counts as told, and how many are told of meanwhile. Whoever must wait asks again: no
/// host gives up at its first lost packet.
const PERIOD: Duration = Duration::from_millis(500);
const MOST: usize = 64;

/// What was told of late.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    until: Nanos,
    told: Vec<(IpAddr, IpAddr)>,
}

impl Wants {
    /// No Child SA carries `packet`. What to tell of it; `None` if that was told a moment ago, or too much was, or if it goes
    /// no further than its link: the kernel looks for routers at every new device, hosts look for printers, and neither
    /// wants a tunnel.
    pub(crate) fn tell(&mut self, now: Nanos, packet: &[u8]) -> Option<Event> {
        let Flow { source, destination, protocol, ports, .. } = Flow::parse(packet).ok()?;
        if stays_on_link(source) || stays_on_link(destination) {
            return None;
        }
        if now >= self.until {
            self.until = now + PERIOD;
            self.told.clear();
        }
        let ends = (source, destination);
        if self.told.len() >= MOST || self.told.contains(&ends) {
            return None;
        }
        self.told.push(ends);
        Some(Event::TrafficWaits { source, destination, protocol, ports })
    }
}

/// Of the link alone (RFC 3927, RFC 4291 sections 2.5.6 and 2.7, RFC 5771 section 4)?
fn stays_on_link(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_multicast() && ip.octets()[1] & 0x0f <= 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_no_further_than_its_link_wants_no_tunnel() {
        for ip in ["169.254.3.4", "255.255.255.255", "224.0.0.251", "fe80::1", "ff01::1", "ff02::2", "ff12::fb"] {
            assert!(stays_on_link(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["10.1.2.3", "239.1.2.3", "224.0.1.1", "2001:db8::1", "fd00::1", "ff05::2", "ff0e::1"] {
            assert!(!stays_on_link(ip.parse().unwrap()), "{ip}");
        }
        let solicitation = [&[0x60, 0, 0, 0, 0, 8, 58, 255, 0xfe, 0x80], &[0; 13][..], &[1, 0xff, 2], &[0; 13], &[2]];
        let packet = [&solicitation.concat()[..], &[133, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert!(Flow::parse(&packet).is_ok());
        assert!(Wants::default().tell(Nanos::default(), &packet).is_none());
    }

    /// UDP from 10.0.0.1, port 7, to port 9 of 10.1.`net`.`host`.
    fn packet(net: u8, host: u8) -> Vec<u8> {
        let ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 1, net, host];
        [&ip[..], &[0, 7, 0, 9, 0, 8, 0, 0]].concat()
    }

    #[test]
    fn one_pair_of_addresses_is_told_once_in_a_while_with_all_that_selectors_look_at() {
        let mut wants = Wants::default();
        let now = Nanos::default() + Duration::from_secs(5);
        let Some(Event::TrafficWaits { source, destination, protocol, ports }) = wants.tell(now, &packet(0, 1)) else {
            panic!("the first one is told");
        };
        assert_eq!((source.to_string(), destination.to_string()), ("10.0.0.1".to_owned(), "10.1.0.1".to_owned()));
        assert_eq!((protocol, ports), (17, Some((7, 9))));
        assert!(wants.tell(now, &packet(0, 1)).is_none());
        assert!(wants.tell(now, &packet(0, 2)).is_some(), "another one wants something else");
        assert!(wants.tell(now + PERIOD, &packet(0, 1)).is_some());
    }

    #[test]
    fn a_scan_of_many_addresses_is_told_of_in_part_and_what_is_no_packet_not_at_all() {
        let mut wants = Wants::default();
        let now = Nanos::default();
        let told = (0..4).flat_map(|net| (0..=255).map(move |host| packet(net, host)));
        assert_eq!(told.filter(|packet| wants.tell(now, packet).is_some()).count(), MOST);
        assert!(wants.tell(now + PERIOD, &[0x45, 0]).is_none());
        assert!(wants.tell(now + PERIOD, &packet(9, 9)).is_some());
    }
}
