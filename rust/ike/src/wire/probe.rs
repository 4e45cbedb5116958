//! What a path probe says (docs/extensions/path-probes.md): a private extension, so that numbers and layout are ours.
//!
//! ```text
//! |  what (1): 0 poll, 1 echo  |  reserved (1)  |  interval (2)  |     0
//! |         least interval (2)         |       reserved (2)      |     4
//! |                      identifier (8)                          |     8
//! |    eight identifiers heard (8 each), 0 where there is none   |    16 to 80
//! ```
//!
//! It travels as the data of one notification. Every probe has the same length, so that an echo is as long as its poll.

use core::time::Duration;

use super::{ExchangeType, NotifyType};

/// Exchange type of a probe, of the private-use range (RFC 7296 section 3.1).
pub const PATH_PROBE: ExchangeType = ExchangeType(240);

/// Notify type inside it, of the private-use range of statuses (RFC 7296 section 3.10.1).
pub const PROBE: NotifyType = NotifyType(47_556);

/// Identifiers of the peer that one probe tells as heard.
pub const MOST_HEARD: usize = 8;

/// Octets of what a probe says.
pub const PROBE_LEN: usize = HEARD_AT + 8 * MOST_HEARD;

const HEARD_AT: usize = 16;
const ECHO: u8 = 1;

/// One probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// It answers a poll, at once and over the same pair; the poll's identifier is the first one heard. Only polls are
    /// answered.
    pub echo: bool,
    /// The sender polls a pair so often; zero: not by itself.
    pub interval: Duration,
    /// The sender asks not to be polled more often than this.
    pub least: Duration,
    /// Nobody can guess it; never zero.
    pub id: u64,
    /// The latest identifier of the peer that came over each pair; zeros mean nothing.
    pub heard: [u64; MOST_HEARD],
}

impl Probe {
    /// Read it; `None` if it is none of ours. What follows is for later versions.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Probe> {
        let data: &[u8; PROBE_LEN] = data.first_chunk()?;
        let &[what @ 0..=ECHO, _, i0, i1, l0, l1, _, _] = data.first_chunk::<8>()? else { return None };
        let (ids, _) = data[8..].as_chunks::<8>();
        let mut heard = [0; MOST_HEARD];
        let (first, others) = ids.split_first()?;
        for (place, id) in heard.iter_mut().zip(others) {
            *place = u64::from_be_bytes(*id);
        }
        let millis = |octets| Duration::from_millis(u16::from_be_bytes(octets).into());
        let id = u64::from_be_bytes(*first);
        (id != 0).then_some(Probe {
            echo: what == ECHO,
            interval: millis([i0, i1]),
            least: millis([l0, l1]),
            id,
            heard,
        })
    }

    /// Its octets.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PROBE_LEN] {
        let millis = |span: Duration| u16::try_from(span.as_millis()).unwrap_or(u16::MAX).to_be_bytes();
        let mut out = [0; PROBE_LEN];
        out[0] = if self.echo { ECHO } else { 0 };
        out[2..4].copy_from_slice(&millis(self.interval));
        out[4..6].copy_from_slice(&millis(self.least));
        out[8..HEARD_AT].copy_from_slice(&self.id.to_be_bytes());
        let (places, _) = out[HEARD_AT..].as_chunks_mut::<8>();
        for (place, id) in places.iter_mut().zip(self.heard) {
            *place = id.to_be_bytes();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use proptest::prelude::*;

    use super::{MOST_HEARD, PROBE_LEN, Probe};

    proptest! {
        #[test]
        fn what_is_written_is_read(
            echo: bool, interval: u16, least: u16, id in 1u64.., heard: [u64; MOST_HEARD], more in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let millis = |count: u16| Duration::from_millis(count.into());
            let probe = Probe { echo, interval: millis(interval), least: millis(least), id, heard };
            let mut octets = probe.to_bytes().to_vec();
            octets.extend(more);
            prop_assert_eq!(Probe::read(&octets), Some(probe));
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let read = Probe::read(&octets);
            prop_assert!(read.is_none() || (octets.len() >= PROBE_LEN && octets[0] < 2));
        }
    }

    #[test]
    fn the_layout_is_that_of_the_page() {
        let probe = Probe {
            echo: true,
            interval: Duration::from_millis(0x0102),
            least: Duration::from_secs(1),
            id: 7,
            heard: [0; 8],
        };
        let octets = probe.to_bytes();
        assert_eq!(octets[..16], [1, 0, 1, 2, 3, 0xe8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(octets.len(), 80);
    }
}
