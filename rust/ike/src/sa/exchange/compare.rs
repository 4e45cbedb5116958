//! What was refused, beside what we take: for people who ask why. The first row that does not fit is the reason.
//!
//! Nothing here decides. It looks once more at what was decided, in parts, and only where somebody is told.

use crate::children::{ChildMode, ChildNumber};
use crate::crypto::negotiate::Suite;
use crate::event::{AuthRefusal, Comparison, Row};
use crate::id::{Identity, ProfileId};
use crate::profile::Profile;
use crate::proofs::RemoteProof;
use crate::sa::context::Context;
use crate::sa::exchange::fit::{self, Fit, Sides};
use crate::sa::exchange::init_responder::HalfOpen;
use crate::sa::exchange::{mode, offers, proof, traffic};
use crate::selector::{Selector, narrow};
use crate::wire::{AuthMethod, Payloads, SaPayload};

/// Profiles that one row names.
const MOST_PROFILES: usize = 64;

/// Algorithms.
#[must_use]
pub fn of_suites<S: Suite>(ours: &[S], offered: &SaPayload<'_>) -> Comparison {
    let lines = offers::compare(ours, offered).into_iter();
    let rows = lines.map(|line| Row::new(line.kind, line.offered, line.accepted, line.fits)).collect();
    Comparison { reason: "no-proposal", rows, ..Comparison::default() }
}

/// Who a peer says it is and how it proves that, in its IKE_AUTH request.
#[must_use]
pub fn of_auth(ctx: &Context, half: &HalfOpen, payloads: &Payloads<'_>, why: &AuthRefusal) -> Comparison {
    let reason = why.name();
    let Some(id) = payloads.id_initiator() else { return Comparison { reason, ..Comparison::default() } };
    let identity = Identity::from_wire(id.kind.0, id.data);
    let accepting = || {
        let fits = |profile: &Profile| profile.accepts && profile.ike_suites.contains(&half.suite);
        ctx.profiles.iter().filter(move |(_, profile)| fits(profile)).take(MOST_PROFILES)
    };
    let knows = |profile: &Profile| profile.remote_id.matches(&identity);
    let wanted = payloads.id_responder();
    let is_meant = |profile: &Profile| wanted.is_none_or(|id| profile.local_id.is_wire(id.kind.0, id.data));
    let method = payloads.authentication().map(|auth| auth.method);
    let takes = |profile: &Profile| proof::takes(&profile.proofs.remote, method);
    // Those that still fit are compared further; if none does, all are.
    let known = accepting().any(|(_, profile)| knows(profile));
    let met = || accepting().filter(|(_, profile)| !known || knows(profile));
    let meant = met().any(|(_, profile)| is_meant(profile));
    let asked = || met().filter(|(_, profile)| !meant || is_meant(profile));
    let taken = asked().any(|(_, profile)| takes(profile));
    let ours = wanted.map(ToString::to_string);
    let mut rows = vec![
        Row::new("peer identity", [id.to_string()], accepting().map(|(_, p)| p.remote_id.to_string()), known),
        Row::new("our identity", ours, met().map(|(_, p)| p.local_id.to_string()), meant),
        Row::new("authentication", [said(method).into()], asked().map(|(_, p)| way(p).into()), taken),
    ];
    if rows.iter().all(|row| row.fits) {
        rows.push(Row::new("proof", [why.to_string()], [], false));
    }
    let closest = asked().max_by_key(|(_, profile)| (takes(profile), profile.remote_id.rank()));
    let profile: Option<ProfileId> = closest.filter(|_| known).map(|(id, _)| *id);
    Comparison { reason, profile, peer_id: Some(id.to_string()), rows }
}

/// Who a peer says it is, and how it proves that, in its answer to our IKE_AUTH.
#[must_use]
pub fn of_answer(profile: &Profile, payloads: &Payloads<'_>, why: &AuthRefusal) -> Comparison {
    let id = payloads.id_responder();
    let known = id.is_some_and(|id| profile.remote_id.matches(&Identity::from_wire(id.kind.0, id.data)));
    let method = payloads.authentication().map(|auth| auth.method);
    let shown = || id.map(ToString::to_string);
    let taken = proof::takes(&profile.proofs.remote, method);
    let mut rows = vec![
        Row::new("peer identity", shown(), [profile.remote_id.to_string()], known),
        Row::new("authentication", [said(method).into()], [way(profile).into()], taken),
    ];
    if rows.iter().all(|row| row.fits) {
        rows.push(Row::new("proof", [why.to_string()], [], false));
    }
    Comparison { reason: why.name(), profile: None, peer_id: shown(), rows }
}

/// Traffic and algorithms of a Child SA that a peer asks for. `esp` says which algorithms each of our Child SAs takes now.
#[must_use]
pub fn of_child<S: Suite>(
    reason: &'static str,
    profile: &Profile,
    sides: impl Fn(ChildNumber) -> Sides,
    esp: impl Fn(ChildNumber) -> Vec<S>,
    payloads: &Payloads<'_>,
) -> Comparison {
    let (Some(sa), Some(tsi), Some(tsr)) = (payloads.sa(), payloads.ts_initiator(), payloads.ts_responder()) else {
        return Comparison { reason, ..Comparison::default() };
    };
    let asked = (traffic::read(tsr), traffic::read(tsi));
    let ours: Vec<(ChildNumber, Sides)> = profile.children().map(|(number, _)| (number, sides(number))).collect();
    let fits = fit::all(profile, &sides, &asked);
    let here = ours.iter().any(|(_, side)| !narrow(&asked.0, &side.0).is_empty());
    let mut rows = vec![
        Row::new("traffic here", words(&asked.0), ours.iter().flat_map(|(_, side)| words(&side.0)), here),
        Row::new(
            "traffic there",
            words(&asked.1),
            ours.iter().flat_map(|(_, side)| words(&side.1)),
            // Where one side fits one Child SA and the other another, this is where they part.
            !fits.is_empty() || (!here && ours.iter().any(|(_, side)| !narrow(&asked.1, &side.1).is_empty())),
        ),
    ];
    rows.extend(of_mode(profile, &fits, payloads));
    let closest = fits.first().map(|fit| fit.number).or_else(|| ours.first().map(|(number, _)| *number));
    let suites = closest.map(esp).unwrap_or_default();
    rows.extend(of_suites(&suites, sa).rows);
    Comparison { reason, rows, ..Comparison::default() }
}

/// Tunnel or transport; nothing where nobody thinks of transport mode.
fn of_mode(profile: &Profile, fits: &[Fit], payloads: &Payloads<'_>) -> Option<Row> {
    let name = |transport| String::from(if transport { "transport" } else { "tunnel" });
    let asked = mode::is_said(payloads);
    let modes = || fits.iter().map(|fit| profile.child(fit.number).mode == ChildMode::Transport);
    // A peer that asks for transport mode takes a tunnel, too.
    let agreed = modes().any(|transport| asked || !transport);
    (asked || modes().any(|transport| transport)).then(|| Row::new("mode", [name(asked)], modes().map(name), agreed))
}

fn words(selectors: &[Selector]) -> Vec<String> {
    selectors.iter().map(ToString::to_string).collect()
}

/// How a peer proves itself.
fn said(method: Option<AuthMethod>) -> &'static str {
    match method {
        None => "EAP",
        Some(AuthMethod::SHARED_KEY) => "pre-shared key",
        Some(method) if proof::takes(&RemoteProof::Keys([].into()), Some(method)) => "signature",
        Some(_) => "an unknown method",
    }
}

/// How a profile wants it to.
fn way(profile: &Profile) -> &'static str {
    match &profile.proofs.remote {
        RemoteProof::SharedKey => "pre-shared key",
        RemoteProof::Keys(_) => "signature with a known public key",
        RemoteProof::Certificate { .. } => "signature with a certificate",
        RemoteProof::Eap => "EAP",
    }
}

/// Nobody has looked at more of it than that.
#[must_use]
pub fn of_claim(peer_id: String, profile: Option<ProfileId>, why: &AuthRefusal) -> Comparison {
    let rows = vec![Row::new("proof", [why.to_string()], [], false)];
    Comparison { reason: why.name(), profile, peer_id: Some(peer_id), rows }
}
