//! Why none of a peer's proposals will do: the one that comes closest to a suite of ours, kind by kind.

use super::{NONE, Offer, Suite, Transform, may_be_none, name_of, transform_type};

/// One kind of transform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub kind: &'static str,
    /// Names in the peer's proposal.
    pub offered: Vec<String>,
    /// Names that we take; those of the closest suite only, where others would not help.
    pub accepted: Vec<String>,
    /// They have one in common.
    pub fits: bool,
}

/// Proposals looked at, and transforms of each: a stranger may send thousands.
const MOST_OFFERS: usize = 8;
const MOST_TRANSFORMS: usize = 32;
/// Suites of ours looked at.
const MOST_SUITES: usize = 32;

/// Kinds in the order in which people write them, up to the last additional key exchange.
const KINDS: [(u8, &str); 12] = [
    (transform_type::ENCR, "encryption"),
    (transform_type::INTEG, "integrity"),
    (transform_type::PRF, "PRF"),
    (transform_type::KE, "key exchange"),
    (transform_type::FIRST_ADDITIONAL_KE, "key exchange 1"),
    (transform_type::FIRST_ADDITIONAL_KE + 1, "key exchange 2"),
    (transform_type::FIRST_ADDITIONAL_KE + 2, "key exchange 3"),
    (transform_type::FIRST_ADDITIONAL_KE + 3, "key exchange 4"),
    (transform_type::FIRST_ADDITIONAL_KE + 4, "key exchange 5"),
    (transform_type::FIRST_ADDITIONAL_KE + 5, "key exchange 6"),
    (transform_type::LAST_ADDITIONAL_KE, "key exchange 7"),
    (transform_type::ESN, "sequence numbers"),
];

/// Of the pair that differs in the fewest kinds; the most preferred one of several. Empty where either has nothing.
#[must_use]
pub fn compare<S: Suite>(ours: &[S], offers: &[Offer<'_>]) -> Vec<Line> {
    let suites = || ours.iter().take(MOST_SUITES).map(Suite::transforms);
    let pairs = suites().flat_map(|suite| offers.iter().take(MOST_OFFERS).map(move |offer| (suite, offer)));
    let distance = |suite: &[Transform], offer: &Offer<'_>| {
        let alien = usize::from(offer.protocol != S::PROTOCOL) * KINDS.len();
        alien + KINDS.iter().filter(|(kind, _)| !fits(suite, offer, *kind)).count()
    };
    let Some((suite, offer)) = pairs.min_by_key(|(suite, offer)| distance(suite, offer)) else { return Vec::new() };
    let line = |(kind, name): &(u8, &'static str)| {
        let offered = names(offer.transforms.iter().take(MOST_TRANSFORMS), *kind);
        let wanted = names(suite.iter(), *kind);
        let mut accepted = Vec::new();
        for name in suites().flat_map(|suite| names(suite.iter(), *kind)) {
            if !accepted.contains(&name) {
                accepted.push(name);
            }
        }
        let alone = accepted.iter().any(|name| offered.contains(name));
        let accepted = if alone || wanted.is_empty() { wanted } else { accepted };
        (!offered.is_empty() || !accepted.is_empty()).then(|| Line {
            kind: name,
            offered,
            accepted,
            fits: fits(&suite, offer, *kind),
        })
    };
    let protocol = (offer.protocol != S::PROTOCOL).then(|| Line {
        kind: "protocol",
        offered: vec![offer.protocol.to_string()],
        accepted: vec![S::PROTOCOL.to_string()],
        fits: false,
    });
    protocol.into_iter().chain(KINDS.iter().filter_map(line)).collect()
}

fn fits(suite: &[Transform], offer: &Offer<'_>, kind: u8) -> bool {
    let mut offered = offer.transforms.iter().take(MOST_TRANSFORMS).filter(|transform| transform.kind == kind);
    match suite.iter().find(|transform| transform.kind == kind) {
        Some(wanted) => offered.any(|transform| transform == wanted),
        // A type is optional if it is absent, or present with NONE among its alternatives.
        None => {
            let mut offered = offered.peekable();
            offered.peek().is_none() || (may_be_none(kind) && offered.any(|transform| transform.id == NONE))
        }
    }
}

fn names<'a>(transforms: impl Iterator<Item = &'a Transform>, kind: u8) -> Vec<String> {
    transforms.filter(|transform| transform.kind == kind).map(name_of).collect()
}
