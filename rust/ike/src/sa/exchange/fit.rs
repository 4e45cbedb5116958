//! Which of a profile's Child SAs a peer means, by the traffic that it asks for (RFC 7296 section 2.9).

use crate::children::ChildNumber;
use crate::profile::Profile;
use crate::selector::{Selector, narrow};

/// A Child SA of ours that shares traffic with what a peer asks for.
#[derive(Debug)]
pub struct Fit {
    /// Which.
    pub number: ChildNumber,
    /// What both allow on our side.
    pub local_ts: Vec<Selector>,
    /// What both allow on the peer's side.
    pub remote_ts: Vec<Selector>,
}

/// Both sides of one of our Child SAs, ours first.
pub type Sides = (Vec<Selector>, Vec<Selector>);

/// What both ends allow of one Child SA; `None` if that is nothing.
#[must_use]
pub fn one(number: ChildNumber, (local, remote): &Sides, (asked_local, asked_remote): &Sides) -> Option<Fit> {
    let (local_ts, remote_ts) = (narrow(asked_local, local), narrow(asked_remote, remote));
    (!local_ts.is_empty() && !remote_ts.is_empty()).then_some(Fit { number, local_ts, remote_ts })
}

/// Those of the profile that fit, best first: ahead stand those that need not cut anything from what the peer asks for, and
/// among equals those that are not wider than it.
#[must_use]
pub fn all(profile: &Profile, sides: impl Fn(ChildNumber) -> Sides, asked: &Sides) -> Vec<Fit> {
    let ranked = profile.children().filter_map(|(number, _)| {
        let ours = sides(number);
        let fit = one(number, &ours, asked)?;
        let missed = |wanted: &[Selector], got: &[Selector]| wanted.iter().any(|one| !got.contains(one));
        let cut = missed(&asked.0, &fit.local_ts) || missed(&asked.1, &fit.remote_ts);
        let wider = u8::from(missed(&ours.0, &fit.local_ts)) + u8::from(missed(&ours.1, &fit.remote_ts));
        Some(((cut, wider), fit))
    });
    let mut ranked: Vec<((bool, u8), Fit)> = ranked.collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, fit)| fit).collect()
}
