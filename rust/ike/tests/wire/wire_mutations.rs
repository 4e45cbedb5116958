//! Nothing that arrives makes the reader panic. The checks are those of the fuzz targets.
#![allow(clippy::unwrap_used, reason = "a test stops at what cannot be")]

#[path = "../../fuzz/src/lib.rs"]
mod targets;
use crate::arbitrary;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Copy(prop::sample::Index, prop::sample::Index, usize),
    CutTo(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(index, octet)| Mutation::Set(index, octet)),
        1 => (at(), vec(any::<u8>(), 1..9)).prop_map(|(index, octets)| Mutation::Insert(index, octets)),
        1 => (at(), 1usize..9).prop_map(|(index, count)| Mutation::Remove(index, count)),
        1 => (at(), at(), 1usize..9).prop_map(|(from, to, count)| Mutation::Copy(from, to, count)),
        1 => at().prop_map(Mutation::CutTo),
    ]
}

fn mutate(message: &mut Vec<u8>, mutation: Mutation) {
    if message.is_empty() {
        return;
    }
    match mutation {
        Mutation::Set(at, octet) => *at.get_mut(message) = octet,
        Mutation::Insert(at, octets) => {
            let at = at.index(message.len());
            message.splice(at..at, octets);
        }
        Mutation::Remove(at, count) => {
            let at = at.index(message.len());
            message.drain(at..message.len().min(at + count));
        }
        Mutation::Copy(from, to, count) => {
            let (from, to) = (from.index(message.len()), to.index(message.len()));
            let count = count.min(message.len() - from.max(to));
            message.copy_within(from..from + count, to);
        }
        Mutation::CutTo(at) => message.truncate(at.index(message.len())),
    }
}

/// Without this almost every mutated message would end at its header's length.
fn repair_length(message: &mut [u8]) {
    let length = u32::try_from(message.len()).unwrap();
    if let Some(field) = message.get_mut(24..28) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

fn run_all(input: &[u8]) {
    targets::datagram(input);
    targets::message(input);
    targets::chain(input);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_mutated_message_is_read_or_refused(mut message in arbitrary::message(), mutations in vec(mutation(), 1..6)) {
        for change in mutations {
            mutate(&mut message, change);
        }
        repair_length(&mut message);
        run_all(&message);
        run_all(message.get(28..).unwrap_or_default());
    }

    #[test]
    fn random_octets_are_read_or_refused(input in vec(any::<u8>(), 0..300)) {
        run_all(&input);
    }

    #[test]
    fn random_octets_behind_a_good_header_are_read_or_refused(
        header in arbitrary::header(), first in 33u8..54, chain in vec(any::<u8>(), 0..200)
    ) {
        let mut message = [&header.to_bytes()[..], &chain].concat();
        message[16] = first;
        repair_length(&mut message);
        run_all(&message);
    }
}

#[test]
fn every_truncation_of_a_message_is_refused_with_an_offset() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..50 {
        let message = arbitrary::message().new_tree(&mut runner).unwrap().current();
        for length in 0..message.len() {
            let mut cut = message[..length].to_vec();
            repair_length(&mut cut);
            run_all(&cut);
            let error = mobike_ike::wire::Message::parse(&message[..length]).unwrap_err();
            assert!(error.offset <= length.max(24), "{error}");
        }
    }
}
