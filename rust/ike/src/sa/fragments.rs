//! Fragments of a message of the peer (RFC 7383), collected until all are there.
//!
//! Each was opened before it comes here, so only the peer can fill this. It may be a stranger still, with a certificate
//! that nobody believes: hence one message at a time per SA, no longer than [`MAX_OCTETS`], and a limit for all SAs
//! together. Whatever is wrong is dropped without a word; the peer repeats what it wants an answer to.

use crate::sa::channel::Plain;
use crate::table::room::{Room, Share};
use crate::wire::{Clear, Fragment, Header, PayloadType};

/// Octets of a message that is put together: the certificates that we take, and what else is in IKE_AUTH.
pub const MAX_OCTETS: usize = 40 * 1024;

/// Octets that all SAs of an engine hold together.
pub const MAX_HELD: u64 = 64 << 20;

/// Part of a message.
#[derive(Debug)]
pub struct Collector {
    of: (u32, bool),
    total: u16,
    /// The type of the first payload, which the first fragment tells.
    first: PayloadType,
    /// What is ahead of that.
    clear: Clear,
    pieces: Vec<Option<Box<[u8]>>>,
    missing: u16,
    octets: usize,
    share: Share,
}

/// What a fragment led to.
#[derive(Debug)]
pub enum Collected {
    /// It was the last one missing.
    Whole(Plain<'static>),
    /// Others are missing.
    Waiting,
    /// It was dropped: of no use, or too much.
    Dropped,
}

/// Add a fragment to what `slot` holds. A fragment of another message takes its place: a peer that goes on to the next
/// message has given up the one before.
pub fn collect(
    slot: &mut Option<Box<Collector>>,
    room: &Room,
    header: &Header,
    fragment: Fragment,
    (clear, first, piece): (Clear, PayloadType, &[u8]),
) -> Collected {
    let of = (header.message_id, header.flags.response);
    let holds = |held: &Collector| held.of == of && held.total >= fragment.total();
    if !slot.as_deref().is_some_and(holds) {
        *slot = None;
    }
    let held = slot.get_or_insert_with(|| Box::new(Collector::new(of, fragment.total(), room)));
    // Fragments of a smaller size are a new attempt, of a larger size an old one (RFC 7383 section 2.6).
    if held.total != fragment.total() {
        return Collected::Dropped;
    }
    if !held.add(fragment, (clear, first), piece) {
        return Collected::Dropped;
    }
    if held.missing > 0 {
        return Collected::Waiting;
    }
    slot.take().map_or(Collected::Dropped, |whole| Collected::Whole(whole.joined()))
}

impl Collector {
    fn new(of: (u32, bool), total: u16, room: &Room) -> Collector {
        let pieces = (0..total).map(|_| None).collect();
        Collector {
            of,
            total,
            first: PayloadType::NONE,
            clear: Clear::default(),
            pieces,
            missing: total,
            octets: 0,
            share: room.share(),
        }
    }

    fn add(&mut self, fragment: Fragment, (clear, first): (Clear, PayloadType), piece: &[u8]) -> bool {
        let index = usize::from(fragment.number() - 1);
        let Some(place) = self.pieces.get_mut(index).filter(|place| place.is_none()) else { return false };
        let octets = piece.len() + clear.len();
        if self.octets + octets > MAX_OCTETS || !self.share.grow(octets, MAX_HELD) {
            return false;
        }
        *place = Some(piece.into());
        self.octets += octets;
        self.missing -= 1;
        if fragment.number() == 1 {
            (self.clear, self.first) = (clear, first);
        }
        true
    }

    fn joined(self) -> Plain<'static> {
        let octets = self.pieces.into_iter().flatten().collect::<Vec<_>>().concat();
        Plain::whole(self.first, octets, self.clear)
    }
}

#[cfg(test)]
mod tests {
    use super::{Collected, Collector, MAX_HELD, MAX_OCTETS, collect};
    use crate::table::room::Room;
    use crate::wire::{Clear, ExchangeType, Flags, Fragment, Header, PayloadType};

    type Slot = Option<Box<Collector>>;

    fn add(slot: &mut Slot, room: &Room, id: u32, (number, total): (u16, u16), piece: &[u8]) -> Collected {
        let header = Header::new(1, 2, ExchangeType::IKE_AUTH, Flags::default(), id);
        let first = if number == 1 { PayloadType::ID_INITIATOR } else { PayloadType::NONE };
        collect(slot, room, &header, Fragment::new(number, total).unwrap(), (Clear::default(), first, piece))
    }

    #[test]
    fn fragments_make_a_message_in_any_order_and_copies_count_once() {
        let (mut slot, room) = (None, Room::default());
        assert!(matches!(add(&mut slot, &room, 1, (3, 3), b"c"), Collected::Waiting));
        assert!(matches!(add(&mut slot, &room, 1, (3, 3), b"C"), Collected::Dropped));
        assert!(matches!(add(&mut slot, &room, 1, (1, 3), b"a"), Collected::Waiting));
        assert_eq!(room.held(), 2);
        let Collected::Whole(whole) = add(&mut slot, &room, 1, (2, 3), b"b") else { panic!("all are there") };
        assert_eq!(whole.parts(), (PayloadType::ID_INITIATOR, &b"abc"[..]));
        assert!(slot.is_none());
        drop(whole);
        assert_eq!(room.held(), 0);
    }

    #[test]
    fn a_new_attempt_in_smaller_pieces_takes_the_place_of_the_old_one_and_not_the_other_way_round() {
        let (mut slot, room) = (None, Room::default());
        add(&mut slot, &room, 1, (1, 2), b"old");
        assert!(matches!(add(&mut slot, &room, 1, (1, 3), b"x"), Collected::Waiting));
        assert_eq!(room.held(), 1);
        assert!(matches!(add(&mut slot, &room, 1, (2, 2), b"old"), Collected::Dropped));
        assert!(matches!(add(&mut slot, &room, 1, (2, 3), b"y"), Collected::Waiting));
        assert!(matches!(add(&mut slot, &room, 1, (3, 3), b"z"), Collected::Whole(_)));
    }

    #[test]
    fn another_message_takes_the_place_of_one_that_was_never_finished() {
        let (mut slot, room) = (None, Room::default());
        add(&mut slot, &room, 1, (1, 64), &[0; 1000]);
        add(&mut slot, &room, 2, (1, 2), b"new");
        assert_eq!(room.held(), 3);
        assert!(matches!(add(&mut slot, &room, 2, (2, 2), b"er"), Collected::Whole(_)));
    }

    #[test]
    fn one_message_and_all_of_them_together_are_limited() {
        let (mut slot, room) = (None, Room::default());
        let half = vec![0; MAX_OCTETS / 2];
        assert!(matches!(add(&mut slot, &room, 1, (1, 3), &half), Collected::Waiting));
        assert!(matches!(add(&mut slot, &room, 1, (2, 3), &half), Collected::Waiting));
        assert!(matches!(add(&mut slot, &room, 1, (3, 3), b"!"), Collected::Dropped), "longer than any message");
        let peers = MAX_HELD as usize / MAX_OCTETS;
        let mut slots: Vec<Slot> = (0..peers + 5).map(|_| None).collect();
        for slot in &mut slots {
            for number in 1..=2 {
                add(slot, &room, 1, (number, 3), &half);
            }
        }
        assert!(room.held() <= MAX_HELD);
        assert!(matches!(add(slots.last_mut().unwrap(), &room, 9, (1, 2), &half), Collected::Dropped), "no room");
        slots.clear();
        slot.take();
        assert_eq!(room.held(), 0);
    }
}
