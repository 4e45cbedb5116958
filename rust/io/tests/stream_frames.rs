//! Messages in a stream: whatever the pieces it is read in, and whatever a stranger writes.

#![allow(clippy::unwrap_used)]

use mobike_io::streams::frames::{Corrupt, Frames, LONGEST, PREFIX, write_message};
use proptest::prelude::*;

fn messages(frames: &mut Frames) -> Result<Vec<Vec<u8>>, Corrupt> {
    let mut all = Vec::new();
    while let Some(message) = frames.next_message()? {
        all.push(message.to_vec());
    }
    Ok(all)
}

proptest! {
    #[test]
    fn what_is_written_is_read_in_pieces_of_any_size(
        sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
        cuts in prop::collection::vec(1usize..400, 1..30),
    ) {
        let mut octets = PREFIX.to_vec();
        for message in &sent {
            prop_assert!(write_message(&mut octets, &[&message[..message.len() / 2], &message[message.len() / 2..]]));
        }
        let (mut frames, mut got, mut rest) = (Frames::behind_prefix(), Vec::new(), &octets[..]);
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            frames.put(piece);
            got.extend(messages(&mut frames).unwrap());
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(got, sent);
        prop_assert!(!frames.is_midway());
    }

    #[test]
    fn rubbish_ends_the_stream_or_is_messages_and_never_more(octets in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut frames = Frames::default();
        frames.put(&octets);
        if let Ok(all) = messages(&mut frames) {
            prop_assert!(all.iter().map(|message| message.len() + 2).sum::<usize>() <= octets.len());
        }
    }
}

#[test]
fn a_stream_that_begins_otherwise_is_found_out_at_its_first_wrong_octet() {
    let mut frames = Frames::behind_prefix();
    frames.put(b"IK");
    assert_eq!(frames.next_message(), Ok(None));
    assert!(frames.is_midway());
    frames.put(b"X");
    assert_eq!(frames.next_message(), Err(Corrupt::Prefix));
    let mut frames = Frames::behind_prefix();
    frames.put(b"G");
    assert_eq!(frames.next_message(), Err(Corrupt::Prefix));
}

#[test]
fn lengths_that_do_not_count_themselves_are_errors_and_an_empty_message_is_none() {
    for length in [0u16, 1] {
        let mut frames = Frames::default();
        frames.put(&length.to_be_bytes());
        assert_eq!(frames.next_message(), Err(Corrupt::Length(length)));
    }
    let mut frames = Frames::default();
    frames.put(&[0, 2]);
    assert_eq!(frames.next_message().unwrap().unwrap().len(), 0);
}

#[test]
fn the_longest_message_passes_and_a_longer_one_is_not_written() {
    let (mut out, mut frames) = (Vec::new(), Frames::default());
    assert!(!write_message(&mut out, &[&vec![7; LONGEST + 1]]));
    assert!(out.is_empty());
    assert!(write_message(&mut out, &[&vec![7; LONGEST]]));
    frames.put(&out);
    assert_eq!(frames.next_message().unwrap().unwrap().len(), LONGEST);
}

#[test]
fn a_message_that_was_put_back_comes_again() {
    let (mut out, mut frames) = (Vec::new(), Frames::default());
    assert!(write_message(&mut out, &[b"one"]) && write_message(&mut out, &[b"two"]));
    frames.put(&out);
    let length = frames.next_message().unwrap().unwrap().len();
    frames.put_back(length);
    assert_eq!(messages(&mut frames).unwrap(), [b"one".to_vec(), b"two".to_vec()]);
}
