//! SA payloads against our suites: crypto decides, this file translates.

use crate::crypto::algorithm::{Prf, Transform as Ours};
use crate::crypto::negotiate::{self, Chosen, Line, Offer, Outcome, Suite};
use crate::wire::sa::{Proposal, SaPayload, Transform};
use crate::wire::{ProtocolId, Sequence, TransformType};

/// Choose among the proposals of a peer. `ke_sent` is the method of the KE payload beside them.
pub fn choose<S: Suite>(ours: &[S], offered: &SaPayload<'_>, ke_sent: Option<u16>) -> Outcome<S> {
    with_offers(offered, |offers| negotiate::choose(ours, offers, ke_sent))
}

/// Why none of them will do.
pub fn compare<S: Suite>(ours: &[S], offered: &SaPayload<'_>) -> Vec<Line> {
    with_offers(offered, |offers| negotiate::compare(ours, offers))
}

/// A PRF that is offered and that we know: the first.
#[must_use]
pub fn prf_of(offered: &SaPayload<'_>) -> Option<Prf> {
    let mut transforms = offered.proposals.iter().flat_map(|proposal| proposal.transforms.iter());
    transforms.find_map(|transform| Prf::from_transform(&from_wire(&transform)))
}

/// Check the answer of a peer to what we proposed, and hand over the SPI in it.
pub fn check_answer<S: Suite>(sent: &[S], answer: &SaPayload<'_>) -> Result<Chosen<S>, String> {
    with_offers(answer, |offers| negotiate::check_answer(sent, offers))
}

/// The SPI of the proposal that was chosen.
#[must_use]
pub fn spi_of<'a, S>(chosen: &Chosen<S>, offered: &SaPayload<'a>) -> &'a [u8] {
    offered.proposals.iter().nth(chosen.offer).map_or(&[], |proposal| proposal.spi)
}

/// Our proposals as an SA payload, handed to `with`.
pub fn propose<S: Suite, T>(suites: &[S], spi: &[u8], with: impl FnOnce(SaPayload<'_>) -> T) -> T {
    let lists: Vec<(u8, Vec<Transform<'_>>)> = negotiate::proposals(suites)
        .map(|(number, transforms)| (number, transforms.iter().map(to_wire).collect()))
        .collect();
    let proposals: Vec<Proposal<'_>> =
        lists.iter().map(|(number, transforms)| proposal::<S>(*number, spi, transforms)).collect();
    with(SaPayload::of(&proposals))
}

/// The one proposal we took as an SA payload, handed to `with`.
pub fn accept<S: Suite, T>(chosen: &Chosen<S>, spi: &[u8], with: impl FnOnce(SaPayload<'_>) -> T) -> T {
    let ours = chosen.transforms();
    let mut transforms = [Transform::new(TransformType::ENCRYPTION, 0); negotiate::Transforms::MAX];
    let count = ours.len();
    transforms.iter_mut().zip(ours.iter()).for_each(|(slot, transform)| *slot = to_wire(transform));
    with(SaPayload::of(&[proposal::<S>(chosen.number, spi, &transforms[..count])]))
}

fn proposal<'a, S: Suite>(number: u8, spi: &'a [u8], transforms: &'a [Transform<'a>]) -> Proposal<'a> {
    Proposal { number, protocol: ProtocolId(S::PROTOCOL), spi, transforms: Sequence::of(transforms) }
}

fn with_offers<T>(payload: &SaPayload<'_>, with: impl FnOnce(&[Offer<'_>]) -> T) -> T {
    let mut transforms = Vec::with_capacity(16);
    let mut ends = Vec::with_capacity(payload.proposals.len());
    for proposal in &payload.proposals {
        transforms.extend(proposal.transforms.iter().map(|transform| from_wire(&transform)));
        ends.push(transforms.len());
    }
    let mut start = 0;
    let offers: Vec<Offer<'_>> = payload
        .proposals
        .iter()
        .zip(ends)
        .map(|(proposal, end)| {
            let transforms = &transforms[core::mem::replace(&mut start, end)..end];
            Offer { number: proposal.number, protocol: proposal.protocol.0, spi: proposal.spi, transforms }
        })
        .collect();
    with(&offers)
}

fn to_wire(ours: &Ours) -> Transform<'static> {
    Transform { key_length: ours.key_bits, ..Transform::new(TransformType(ours.kind), ours.id) }
}

fn from_wire(theirs: &Transform<'_>) -> Ours {
    Ours {
        kind: theirs.kind.0,
        id: theirs.id,
        key_bits: theirs.key_length,
        unknown_attribute: !theirs.unknown.is_empty(),
    }
}
