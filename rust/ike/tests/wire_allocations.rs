//! One allocation to read a message and one to write it; a stranger's datagram cannot make that more.
#![allow(clippy::unwrap_used, reason = "a test stops at what cannot be")]

#[path = "wire/arbitrary.rs"]
mod arbitrary;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mobike_ike::wire::sk::{SkSizes, SkWriter};
use mobike_ike::wire::{
    EncryptionId, ExchangeType, Flags, Header, KeMethod, KeyExchange, MAX_PAYLOADS, Message, MessageWriter, Nonce,
    NotifyType, Payload, Proposal, ProtocolId, SaPayload, Sequence, Transform,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static OCTETS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; counting neither allocates nor touches the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        OCTETS.set(OCTETS.get() + layout.size());
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `alloc` above, so from the system.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `run` allocated, and how many octets in all.
fn count<T>(run: impl FnOnce() -> T) -> (T, usize, usize) {
    let (allocations, octets) = (ALLOCATIONS.get(), OCTETS.get());
    let value = run();
    (value, ALLOCATIONS.get() - allocations, OCTETS.get() - octets)
}

fn header() -> Header {
    Header::new(1, 0, ExchangeType::IKE_SA_INIT, Flags { initiator: true, ..Flags::default() }, 0)
}

#[test]
fn a_handshake_message_is_one_allocation_each_way() {
    let transforms = [
        Transform::encryption(EncryptionId::ENCR_AES_GCM_16, Some(256)),
        Transform::key_exchange(KeMethod::CURVE25519),
    ];
    let proposals =
        [Proposal { number: 1, protocol: ProtocolId::IKE, spi: &[], transforms: Sequence::of(&transforms) }; 2];
    let payloads = [
        Payload::Sa(SaPayload::of(&proposals)),
        Payload::KeyExchange(KeyExchange { method: KeMethod::CURVE25519, data: &[7; 32] }),
        Payload::Nonce(Nonce::new(&[9; 32]).unwrap()),
        Payload::notify(NotifyType::NAT_DETECTION_SOURCE_IP, &[1; 20]),
        Payload::notify(NotifyType::NAT_DETECTION_DESTINATION_IP, &[2; 20]),
    ];
    let (message, allocations, _) =
        count(|| payloads.iter().fold(MessageWriter::new(&header()), MessageWriter::payload).finish().unwrap());
    assert_eq!(allocations, 1);

    let (read, allocations, _) = count(|| Message::parse(&message).unwrap());
    assert_eq!(allocations, 1);
    let (found, allocations, _) =
        count(|| read.payloads.sa().unwrap().proposals.iter().map(|proposal| proposal.transforms.iter().count()).sum());
    assert_eq!((found, allocations), (4usize, 0));

    let sizes = SkSizes { iv: 8, icv: 16, block: 1 };
    let (_, allocations, _) =
        count(|| payloads.iter().fold(SkWriter::new(&header(), sizes), SkWriter::payload).finish().unwrap());
    assert_eq!(allocations, 1);
}

#[test]
fn the_most_that_a_datagram_can_make_the_reader_allocate_is_small() {
    let chain = vec![Payload::Vendor(&[]); MAX_PAYLOADS];
    let message = arbitrary::write(&header(), &chain);
    let (read, _, octets) = count(|| Message::parse(&message).is_ok());
    assert!(read && octets < 32 * 1024, "{octets} octets for {} in the datagram", message.len());

    let junk = vec![43; 65_000];
    let (read, allocations, octets) = count(|| Message::parse(&junk).is_ok());
    assert_eq!((read, allocations, octets), (false, 0, 0));
}
