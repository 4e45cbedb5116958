//! The Child SA that comes with IKE_AUTH, or does not, in both roles (RFC 7296 section 1.2, RFC 6023).
//!
//! ```text
//! IKE_AUTH { .., SA, TSi, TSr }   -->
//!                                 <--   { .., SA, TSi, TSr }       one
//!                                 <--   { .., N(why not) }         none, and the IKE SA is up all the same
//! IKE_AUTH { .. }                 -->                              childless: none is wanted; those that are come by
//!                                 <--   { .. }                     CREATE_CHILD_SA, with key exchanges of their own
//! ```
//!
//! A responder announces CHILDLESS_IKEV2_SUPPORTED in IKE_SA_INIT, before it knows who asks: if any of its profiles takes
//! such peers. To an initiator an IKE SA without Child SAs is of no use, so where its first one is refused, it ends the IKE SA,
//! unless its profile names others, or it wanted none.

use core::net::IpAddr;
use std::sync::Arc;

use crate::Nanos;
use crate::Path;
use crate::children::{ChildNumber, FIRST};
use crate::crypto::negotiate::{Chosen, Outcome};
use crate::crypto::{ChildKeys, EspSuite, Nonces, Role};
use crate::event::{ChildInstall, Comparison, DownReason, Event, NatView, NoticeKind, Sends};
use crate::id::SaId;
use crate::limits::{ChildLimits, Limits};
use crate::profile::{Childless, Profile};
use crate::sa::child::{Family, Reserved};
use crate::sa::context::{About, Context};
use crate::sa::established::Established;
use crate::sa::exchange::auth_initiator::Authenticating;
use crate::sa::exchange::configuration::{self, Leases, Tenant};
use crate::sa::exchange::fit::{self, Fit, Sides};
use crate::sa::exchange::init_responder::{HalfOpen, Secret};
use crate::sa::exchange::{compare, expire, mode, offers, open_child, traffic};
use crate::wire::{NotifyType, Payload, Payloads, SaPayload, SkWriter, TsPayload};

/// As the initiator: does it come with IKE_AUTH? The peer says in IKE_SA_INIT whether it must; AUTH covers that.
pub fn comes_later(profile: &Profile, init_answer: &Payloads<'_>) -> Result<bool, String> {
    match (profile.childless, init_answer.has(NotifyType::CHILDLESS_IKEV2_SUPPORTED)) {
        (Childless::Never | Childless::Allow, _) => Ok(false),
        (Childless::Prefer, supported) => Ok(supported),
        (Childless::Require, true) => Ok(true),
        (Childless::Require, false) => {
            Err("an answer without CHILDLESS_IKEV2_SUPPORTED: the peer makes no IKE SA without a Child SA".into())
        }
    }
}

/// As the responder: does the profile take an IKE_AUTH like this? If not, it is answered INVALID_SYNTAX (RFC 6023 section 3).
pub fn judge(profile: &Profile, payloads: &Payloads<'_>) -> Result<(), &'static str> {
    let there = [payloads.sa().is_some(), payloads.ts_initiator().is_some(), payloads.ts_responder().is_some()];
    match (there, profile.childless) {
        ([true, true, true], Childless::Require) => Err("it asks for a Child SA, and the profile wants none there"),
        ([false, false, false], Childless::Never) => Err("it asks for no Child SA, and the profile wants one"),
        ([true, true, true] | [false, false, false], _) => Ok(()),
        _ => Err("it asks for half a Child SA"),
    }
}

/// A Child SA to answer with.
pub struct Offered {
    reserved: Reserved,
    chosen: Chosen<EspSuite>,
    name: Arc<str>,
    install: Box<ChildInstall>,
}

impl Offered {
    /// SA, TSi, TSr.
    pub fn write(&self, writer: &mut SkWriter) {
        let spi = self.reserved.spi_in.to_be_bytes();
        mode::write(writer, self.install.mode);
        offers::accept(&self.chosen, &spi, |sa| writer.push(&Payload::Sa(sa)));
        traffic::write(&self.install.remote_ts, |ts| writer.push(&Payload::TsInitiator(ts)));
        traffic::write(&self.install.local_ts, |ts| writer.push(&Payload::TsResponder(ts)));
    }

    /// It comes to nothing.
    pub fn release(self, ctx: &mut Context) {
        ctx.children.release(self.reserved);
    }
}

/// Why the first Child SA is refused; the IKE SA lives on without one (RFC 7296 section 1.2).
#[derive(Debug)]
pub enum Refusal {
    /// No common algorithms; why.
    NoProposal(String),
    /// No traffic in common.
    Selectors,
    /// No inner address; why.
    AddressFailure(String),
    /// It must ask for an inner address.
    CpRequired,
    /// A limit of ours.
    NoRoom,
}

impl Refusal {
    /// What the peer hears.
    #[must_use]
    pub fn kind(&self) -> NotifyType {
        match self {
            Refusal::NoProposal(_) => NotifyType::NO_PROPOSAL_CHOSEN,
            Refusal::Selectors => NotifyType::TS_UNACCEPTABLE,
            Refusal::AddressFailure(_) => NotifyType::INTERNAL_ADDRESS_FAILURE,
            Refusal::CpRequired => NotifyType::FAILED_CP_REQUIRED,
            Refusal::NoRoom => NotifyType::NO_ADDITIONAL_SAS,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Refusal::NoProposal(_) => "no-proposal",
            Refusal::Selectors => "traffic",
            Refusal::AddressFailure(_) => "no-address",
            Refusal::CpRequired => "address-not-asked-for",
            Refusal::NoRoom => "no-room",
        }
    }

    fn text(&self) -> String {
        match self {
            Refusal::NoProposal(why) => format!("Child SA refused: {why}"),
            Refusal::Selectors => "Child SA refused: no traffic selector is acceptable".into(),
            Refusal::AddressFailure(why) => format!("Child SA refused: {why}"),
            Refusal::CpRequired => "Child SA refused: peer did not ask for an inner address".into(),
            Refusal::NoRoom => "Child SA refused: no room for another".into(),
        }
    }
}

/// What to answer with. `Ok(None)`: the peer wants none (RFC 6023).
pub fn offer(
    ctx: &mut Context,
    half: &HalfOpen,
    path: Path,
    tenant: &Tenant<'_>,
    (leases, granted): (Option<&Leases>, &[IpAddr]),
    payloads: &Payloads<'_>,
) -> Result<Option<Offered>, Refusal> {
    let profile = tenant.profile;
    if leases.is_some_and(Leases::is_empty) {
        return Err(Refusal::AddressFailure(configuration::why_none(tenant, granted)));
    }
    let (Some(sa), Some(tsi), Some(tsr)) = (payloads.sa(), payloads.ts_initiator(), payloads.ts_responder()) else {
        return Ok(None);
    };
    let leases = match leases {
        None if profile.pool.is_some() => return Err(Refusal::CpRequired),
        Some(leases) => leases,
        None => &Leases::default(),
    };
    let (Fit { number, local_ts, remote_ts }, chosen) =
        choose(profile, half.nat, leases, path, payloads, (sa, tsi, tsr))?;
    let spi = <[u8; 4]>::try_from(offers::spi_of(&chosen, sa)).ok().map(u32::from_be_bytes).filter(|spi| *spi > 255);
    let spi_out = spi.ok_or_else(|| Refusal::NoProposal("an SPI that is none".into()))?;
    let keys = keys(half, &chosen.suite).ok_or(Refusal::NoRoom)?;
    let reserved = ctx.children.reserve(ctx.settings.shard, half.id, number, &mut ctx.random);
    let reserved = reserved.ok_or(Refusal::NoRoom)?;
    let install = Box::new(ChildInstall {
        suite: chosen.suite,
        spi_in: reserved.spi_in,
        spi_out,
        key_in: keys.sent_by(Role::Initiator).clone(),
        key_out: keys.sent_by(Role::Responder).clone(),
        local_ts,
        remote_ts,
        path,
        mode: profile.child(number).mode,
        encap: half.nat.any() || profile.always_encap,
        sends: Sends::AtOnce,
        part: Role::Responder,
        limits: ChildLimits::default(),
    });
    Ok(Some(Offered { reserved, chosen, name: Arc::clone(profile.child(number).name), install }))
}

/// The Child SA of the profile that the peer means, and the algorithms for it.
fn choose(
    profile: &Profile,
    nat: NatView,
    leases: &Leases,
    path: Path,
    payloads: &Payloads<'_>,
    (offered, tsi, tsr): (&SaPayload<'_>, &TsPayload<'_>, &TsPayload<'_>),
) -> Result<(Fit, Chosen<EspSuite>), Refusal> {
    let mut refusal = None;
    let fits =
        fit::all(profile, |number| sides(profile, leases, path, number), &(traffic::read(tsr), traffic::read(tsi)));
    for fit in mode::among(fits, profile, payloads, nat).map_err(Refusal::NoProposal)? {
        match offers::choose(&esp_suites(profile.child(fit.number).esp_suites), offered, None) {
            Outcome::Chosen(chosen) => return Ok((fit, chosen)),
            Outcome::WrongKe { .. } => refusal = refusal.or(Some("a key exchange in IKE_AUTH".into())),
            Outcome::None(why) => refusal = refusal.or(Some(why)),
        }
    }
    Err(refusal.map_or(Refusal::Selectors, Refusal::NoProposal))
}

fn sides(profile: &Profile, leases: &Leases, path: Path, number: ChildNumber) -> Sides {
    let child = profile.child(number);
    mode::hosts(&child, path).unwrap_or_else(|| {
        let local = traffic::side(child.local_ts, &Leases::default(), path.local.ip());
        (local, traffic::side(child.remote_ts, leases, path.remote.ip()))
    })
}

/// What a peer asked for that was refused so, beside what it may have.
pub fn compare(why: &Refusal, profile: &Profile, leases: &Leases, path: Path, payloads: &Payloads<'_>) -> Comparison {
    let ours = |number| sides(profile, leases, path, number);
    let suites = |number| esp_suites(profile.child(number).esp_suites);
    compare::of_child(why.name(), profile, ours, suites, payloads)
}

fn keys(half: &HalfOpen, suite: &EspSuite) -> Option<ChildKeys> {
    let Secret::Keys(keys) = &half.secret else { return None };
    let nonces = Nonces::new(half.nonce_i(), &half.nonce_r).ok()?;
    ChildKeys::derive(keys.0.keys().sk_d(), suite, &nonces, &[]).ok()
}

/// The IKE SA is up, and with it what was offered.
pub fn report(
    ctx: &mut Context,
    now: Nanos,
    id: SaId,
    path: Path,
    limits: &Limits,
    child: Result<Option<Offered>, Refusal>,
    compared: Option<Comparison>,
) -> Family {
    let mut family = Family::default();
    match child {
        Ok(Some(Offered { reserved, name, install, .. })) => {
            expire::come_up(ctx, &mut family, limits, (id, reserved, name), install);
        }
        Ok(None) => {}
        Err(refusal) => {
            ctx.counters.child_refused += 1;
            let about = About { path: Some(path), sa: Some(id) };
            let kind = match refusal {
                Refusal::AddressFailure(_) => NoticeKind::NoAddress,
                Refusal::NoProposal(_) | Refusal::Selectors | Refusal::CpRequired | Refusal::NoRoom => {
                    NoticeKind::ChildRefused
                }
            };
            ctx.refusal(now, about, kind, || (refusal.text(), compared));
        }
    }
    family
}

/// What we asked for with IKE_AUTH.
#[derive(Debug, Clone, Copy)]
pub enum Asked {
    /// A Child SA, at this place.
    One(Reserved),
    /// None: those that are wanted come later.
    Later,
}

impl Asked {
    /// It comes to nothing.
    pub fn release(self, ctx: &mut Context) {
        match self {
            Asked::One(reserved) => ctx.children.release(reserved),
            Asked::Later => {}
        }
    }
}

/// As the initiator: what the answer to IKE_AUTH makes of it. `Ok(None)`: none was asked for. The error says whose fault it
/// is that there is none.
pub fn read(asking: &Authenticating, payloads: &Payloads<'_>) -> Result<Option<(Reserved, Box<ChildInstall>)>, String> {
    let error = payloads.notifies().find(|notify| notify.kind.is_error());
    let reserved = match (asking.child, error) {
        (Asked::One(reserved), _) => reserved,
        // It would refuse those that come later, too.
        (Asked::Later, Some(error)) => return Err(format!("peer refuses it: {}", error.kind)),
        (Asked::Later, None) => return Ok(None),
    };
    let (Some(sa), Some(tsi), Some(tsr)) = (payloads.sa(), payloads.ts_initiator(), payloads.ts_responder()) else {
        return Err(match error {
            Some(error) => format!("peer refuses it: {}", error.kind),
            None => "peer neither makes nor refuses it".into(),
        });
    };
    let install = mode::check_answer(asking.order().profile.child(FIRST).mode, payloads)
        .map_err(str::to_owned)
        .and_then(|()| accept(asking, reserved, sa, tsi, tsr));
    install.map(|install| Some((reserved, install))).map_err(|why| format!("peer answers what we cannot use: {why}"))
}

fn accept(
    asking: &Authenticating,
    reserved: Reserved,
    sa: &SaPayload<'_>,
    tsi: &TsPayload<'_>,
    tsr: &TsPayload<'_>,
) -> Result<Box<ChildInstall>, String> {
    let profile = &asking.order().profile;
    let chosen = offers::check_answer(&esp_suites(&profile.esp_suites), sa)?;
    let spi: [u8; 4] = offers::spi_of(&chosen, sa).try_into().map_err(|_| "an SPI that is not 4 octets")?;
    let (local_ts, remote_ts) = (traffic::read(tsi), traffic::read(tsr));
    if !traffic::is_within(&local_ts, &asking.proposed.0) || !traffic::is_within(&remote_ts, &asking.proposed.1) {
        return Err("traffic selectors that we did not propose".into());
    }
    let keys = Nonces::new(&asking.nonce_i, &asking.nonce_r)
        .and_then(|nonces| ChildKeys::derive(asking.channel().keys().sk_d(), &chosen.suite, &nonces, &[]))
        .map_err(|error| error.to_string())?;
    Ok(Box::new(ChildInstall {
        suite: chosen.suite,
        spi_in: reserved.spi_in,
        spi_out: u32::from_be_bytes(spi),
        key_in: keys.sent_by(Role::Responder).clone(),
        key_out: keys.sent_by(Role::Initiator).clone(),
        local_ts,
        remote_ts,
        path: asking.path,
        mode: profile.child(FIRST).mode,
        encap: asking.nat.any() || profile.always_encap,
        sends: Sends::AtOnce,
        part: Role::Initiator,
        limits: ChildLimits::default(),
    }))
}

/// As the initiator: is an IKE SA of use whose first Child SA was refused?
#[must_use]
pub fn outlives_refusal(profile: &Profile, asked: Asked) -> bool {
    matches!(asked, Asked::One(_)) && !profile.plan.others.is_empty()
}

/// As the initiator: the IKE SA is up, with what was asked for or without. `Some`: our SPI of what came to nothing.
pub fn report_own(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    asked: Asked,
    child: Result<Option<(Reserved, Box<ChildInstall>)>, String>,
) -> Option<u32> {
    let name = Arc::clone(&sa.profile.name);
    match child {
        Ok(Some((reserved, install))) => {
            expire::come_up(ctx, &mut sa.family, &sa.profile.limits, (sa.id, reserved, name), install);
            None
        }
        Ok(None) => None,
        Err(why) => {
            asked.release(ctx);
            ctx.counters.child_refused += 1;
            ctx.notice(now, sa.about(), NoticeKind::ChildRefused, || format!("no Child SA: {why}"));
            ctx.events.push_back(Event::ChildFailed { sa: sa.id, name, why });
            match asked {
                Asked::One(reserved) => Some(reserved.spi_in),
                Asked::Later => None,
            }
        }
    }
}

/// An IKE SA that came up without its first Child SA, and asks for it now.
#[derive(Debug, Clone, Copy)]
pub struct Founding {
    /// The IKE SA that it takes the place of once it has it.
    pub succeeds: Option<SaId>,
}

/// The IKE SA is up without it: open it now, ahead of the others, if it is to be opened at all.
pub fn open_now(sa: &mut Established, ctx: &mut Context, now: Nanos, succeeds: Option<SaId>) {
    if sa.profile.child(FIRST).start {
        sa.rekeying().founding = Some(Founding { succeeds });
        sa.rekeying().to_open.push_front(FIRST);
        open_child::go_on(sa, ctx, now);
    } else if let Some(old) = succeeds {
        ctx.reauth.done.push((old, sa.id));
    }
}

/// This one is there, by whoever asked for it.
pub fn note_up(sa: &mut Established, ctx: &mut Context, number: ChildNumber) {
    let founding = sa.rekeying.as_mut().filter(|_| number == FIRST).and_then(|rekeying| rekeying.founding.take());
    if let Some(old) = founding.and_then(|founding| founding.succeeds) {
        ctx.reauth.done.push((old, sa.id));
    }
}

/// This one is refused for good: to us the IKE SA is of no use without its first.
pub fn note_refused(sa: &mut Established, ctx: &mut Context, now: Nanos, number: ChildNumber, why: &str) {
    let founding = sa.rekeying.as_mut().filter(|_| number == FIRST).and_then(|rekeying| rekeying.founding);
    if let Some(Founding { succeeds }) = founding
        && (succeeds.is_some() || sa.profile.plan.others.is_empty())
    {
        sa.close(ctx, now, DownReason::NoChildSa(why.into()));
    }
}

/// The IKE SA is over.
pub fn note_end(sa: &mut Established, ctx: &mut Context, why: &DownReason) {
    let founding = sa.rekeying.as_mut().and_then(|rekeying| rekeying.founding.take());
    if let Some(old) = founding.and_then(|founding| founding.succeeds) {
        ctx.reauth.failed.push((old, why.to_string()));
    }
}

/// The first Child SA never has a key exchange of its own (RFC 7296 section 1.2).
#[must_use]
pub fn esp_suites(wanted: &[EspSuite]) -> Vec<EspSuite> {
    let mut suites: Vec<EspSuite> = Vec::with_capacity(wanted.len());
    for suite in wanted.iter().map(|suite| suite.without_ke()) {
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}
