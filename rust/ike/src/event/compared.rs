//! What the other end asked for, beside what we take.

use crate::id::ProfileId;

/// A refusal in parts, in the order in which they are looked at: the first row that does not fit is the reason. What a peer
/// says in it is escaped, and everything is bounded: strangers are refused, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The name of the reason, for programs; empty where the kind of the notice says it all.
    pub reason: &'static str,
    /// Whose standing orders come closest.
    pub profile: Option<ProfileId>,
    /// Who the peer says it is.
    pub peer_id: Option<String>,
    /// The parts.
    pub rows: Vec<Row>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Of what.
    pub what: &'static str,
    /// What the peer offers or says; none: nothing.
    pub theirs: Vec<String>,
    /// What we take; none: nothing.
    pub ours: Vec<String>,
    /// They have something in common.
    pub fits: bool,
}

impl Row {
    /// Entries of one list: beyond what people compare by eye.
    pub const MOST: usize = 16;
    /// Octets of one entry.
    const LONGEST: usize = 160;

    /// A row of at most so many different entries.
    pub fn new(
        what: &'static str,
        theirs: impl IntoIterator<Item = String>,
        ours: impl IntoIterator<Item = String>,
        fits: bool,
    ) -> Row {
        Row { what, theirs: different(theirs), ours: different(ours), fits }
    }
}

fn different(entries: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for entry in entries {
        let entry = cut(entry, Row::LONGEST);
        if kept.len() == Row::MOST {
            break;
        }
        if !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    kept
}

/// Of a text that may be as long as a peer likes, so many octets.
#[must_use]
pub(crate) fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push_str("...");
        text.shrink_to_fit();
    }
    text
}
