//! Whose ESP left of late. An ICMP error quotes the SPI that the peer chose, by which nothing else here is found; it comes
//! back within a round trip of the packet that it is about. So a small memory will do, in which newer packets take the
//! place of older ones: what is forgotten too early is news that nobody could rely on anyway.

use mobike_esp::GroupId;
use mobike_ike::SaId;

/// Places: 16 KiB per shard.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 10;

pub(crate) struct Recent(Box<[(u32, GroupId)]>);

impl Default for Recent {
    fn default() -> Self {
        // No ESP packet has an SPI of zero.
        Recent(vec![(0, GroupId(0)); PLACES].into_boxed_slice())
    }
}

impl Recent {
    /// This ESP packet leaves for this IKE SA.
    pub(crate) fn note(&mut self, packet: &[u8], group: GroupId) {
        if let Some(spi) = packet.first_chunk().map(|spi| u32::from_be_bytes(*spi)) {
            self.0[place(spi)] = (spi, group);
        }
    }

    /// Who sent a packet with this SPI last.
    pub(crate) fn sender(&self, spi: u32) -> Option<SaId> {
        let (noted, group) = self.0[place(spi)];
        (noted == spi && spi != 0).then_some(SaId(group.0))
    }
}

/// Peers choose SPIs as they like: some count, some put a meaning into a few bits.
fn place(spi: u32) -> usize {
    (spi.wrapping_mul(0x9e37_79b1) >> (u32::BITS - PLACE_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: M3.5-1
    #[test]
    fn the_newest_sender_is_known_by_its_spi_and_strangers_are_not() {
        let mut recent = Recent::default();
        let packet = |spi: u32| [&spi.to_be_bytes()[..], &[7; 40]].concat();
        for spi in 0x1000..0x1000 + 200 {
            recent.note(&packet(spi), GroupId(spi.into()));
        }
        let known = (0x1000..0x1000 + 200).filter(|spi| recent.sender(*spi) == Some(SaId((*spi).into()))).count();
        assert!(known > 150, "{known} of 200 that a peer counted");
        recent.note(&packet(0x1000), GroupId(9));
        assert_eq!(recent.sender(0x1000), Some(SaId(9)));
        recent.note(&[1, 2, 3], GroupId(8));
        assert_eq!((recent.sender(0xdead_beef), recent.sender(0)), (None, None));
    }
}
