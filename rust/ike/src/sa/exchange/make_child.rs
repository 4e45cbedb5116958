//! CREATE_CHILD_SA that makes a Child SA pair, new or in the place of another (RFC 7296 sections 1.3.1, 1.3.3, 2.17): what
//! both kinds have in common, in both roles.
//!
//! ```text
//! HDR, SK { [N(REKEY_SA)], SA, Ni, [KEi], TSi, TSr }   -->
//!                                                      <--   HDR, SK { SA, Nr, [KEr], TSi, TSr }
//! ```
//!
//! We ask for one at a time; the peer may ask for as many as our window lets it.

use crate::children::{ChildMode, ChildNumber};
use crate::crypto::kex::{self, PublicValue, fresh_nonce};
use crate::crypto::negotiate::{Chosen, Outcome};
use crate::crypto::{ChildKeys, EspSuite, KeMethod, Nonces, Role};
use crate::event::{ChildInstall, Sends};
use crate::limits::ChildLimits;
use crate::profile::Profile;
use crate::sa::child::{Children, Reserved};
use crate::sa::context::Context;
use crate::sa::established::{Established, Outer};
use crate::sa::exchange::create_child::Refusal;
use crate::sa::exchange::fit::{Fit, Sides};
use crate::sa::exchange::rekey_ike::push_secrets;
use crate::sa::exchange::{follow_up, mode, offers, traffic};
use crate::sa::rekeying::series::{ChildHalf, Link, Series};
use crate::sa::rekeying::{ChildAsked, Rekeying};
use crate::sa::window::Ask;
use crate::selector::Selector;
use crate::wire::{KeMethod as KeNumber, Notify, NotifyType, Payload, Payloads, ProtocolId, SkWriter};

/// A pair that the peer asked for.
pub struct Made {
    /// Its place.
    pub reserved: Reserved,
    /// What is agreed.
    pub half: ChildHalf,
    /// How the series is called, if more key exchanges are to be done.
    pub link: Option<[u8; 8]>,
    mode: ChildMode,
    chosen: Chosen<EspSuite>,
    nonce: [u8; Nonces::FRESH_LEN],
    ke: Option<(KeMethod, PublicValue)>,
}

impl Made {
    /// SA, Nr, KEr, TSi, TSr.
    pub fn write(&self, writer: &mut SkWriter) {
        let spi = self.reserved.spi_in.to_be_bytes();
        mode::write(writer, self.mode);
        offers::accept(&self.chosen, &spi, |sa| writer.push(&Payload::Sa(sa)));
        push_secrets(writer, &self.nonce, self.ke.as_ref().map(|(method, public)| (*method, public.as_bytes())));
        traffic::write(&self.half.agreed.remote_ts, |ts| writer.push(&Payload::TsInitiator(ts)));
        traffic::write(&self.half.agreed.local_ts, |ts| writer.push(&Payload::TsResponder(ts)));
        follow_up::push_link(writer, self.link.as_ref().map(<[u8; 8]>::as_slice));
    }
}

/// May the peer ask for a pair now, whatever it is for?
pub fn admit(sa: &Established) -> Result<(), Refusal> {
    if sa.is_closing() {
        return Err(Refusal::Closing);
    }
    let replaces_ike_sa = |ask: &Ask| matches!(ask, Ask::RekeyIke | Ask::FollowIke);
    match sa.requests.outstanding().iter().any(|request| replaces_ike_sa(&request.ask)) {
        true => Err(Refusal::Busy),
        false => Ok(()),
    }
}

/// The traffic that a request asks for: on our side, and on the peer's.
pub fn asked_sides(payloads: &Payloads<'_>) -> Result<Sides, Refusal> {
    match (payloads.ts_initiator(), payloads.ts_responder()) {
        (Some(tsi), Some(tsr)) => Ok((traffic::read(tsr), traffic::read(tsi))),
        _ => Err(Refusal::Incomplete),
    }
}

/// Make the pair that a request asks for, by the first of `fits` whose algorithms fit too.
pub fn agree(sa: &Established, ctx: &mut Context, payloads: &Payloads<'_>, fits: Vec<Fit>) -> Result<Made, Refusal> {
    let (Some(offered), Some(nonce_i)) = (payloads.sa(), payloads.nonce()) else { return Err(Refusal::Incomplete) };
    let ke_sent = payloads.key_exchange().map(|ke| ke.method.0);
    let mut refusal = Refusal::Selectors;
    let mut found = None;
    for fit in mode::among(fits, &sa.profile, payloads, sa.nat).map_err(Refusal::NoProposal)? {
        match offers::choose(sa.profile.child(fit.number).esp_suites, offered, ke_sent) {
            Outcome::Chosen(chosen) => {
                found = Some((fit, chosen));
                break;
            }
            _ if !matches!(refusal, Refusal::Selectors) => {}
            Outcome::WrongKe { wanted } => refusal = Refusal::WrongKe(wanted),
            Outcome::None(why) => refusal = Refusal::NoProposal(why),
        }
    }
    let (Fit { number, local_ts, remote_ts }, chosen) = found.ok_or(refusal)?;
    let spi = <[u8; 4]>::try_from(offers::spi_of(&chosen, offered)).ok().map(u32::from_be_bytes);
    let spi_out = spi.filter(|spi| *spi > 255).ok_or_else(|| Refusal::NoProposal("an SPI that is none".into()))?;
    let (ke, shared) = match (chosen.suite.ke(), payloads.key_exchange()) {
        (Some(method), Some(theirs)) => {
            let made = kex::respond(method, theirs.data, &mut ctx.random).map_err(|_| Refusal::Incomplete)?;
            (Some((method, made.0)), Some(made.1))
        }
        _ => (None, None),
    };
    let nonce = fresh_nonce(&mut ctx.random);
    Nonces::new(nonce_i.octets(), &nonce).map_err(|_| Refusal::Incomplete)?;
    let reserved = ctx.children.reserve(ctx.settings.shard, sa.id, number, &mut ctx.random);
    let reserved = reserved.ok_or(Refusal::NoRoom)?;
    let agreed = Agreed { suite: chosen.suite, spi_out, local_ts, remote_ts };
    let half = ChildHalf { agreed, series: Series::new(nonce_i.octets(), &nonce, shared) };
    let link = half.next().map(|_| follow_up::fresh_link(ctx));
    Ok(Made { reserved, half, link, mode: sa.profile.child(number).mode, chosen, nonce, ke })
}

/// What both ends agreed on.
#[derive(Debug)]
pub struct Agreed {
    /// Algorithms.
    pub suite: EspSuite,
    /// The peer's SPI.
    pub spi_out: u32,
    /// Our side.
    pub local_ts: Vec<Selector>,
    /// The peer's.
    pub remote_ts: Vec<Selector>,
}

/// For the data plane, once all key exchanges are done. Whoever asked is the initiator of them, whatever its part in the IKE
/// SA (RFC 7296 section 2.17).
pub fn install(
    sa: &Established,
    ctx: &Context,
    (reserved, half): (Reserved, ChildHalf),
    we_are: Role,
    sends: Sends,
) -> Option<Box<ChildInstall>> {
    let ChildHalf { agreed, series } = half;
    let nonces = series.nonces().ok()?;
    let Outer { path, encap } = sa.outer();
    let keys = ChildKeys::derive(sa.channel.keys().sk_d(), &agreed.suite, &nonces, series.secrets()).ok()?;
    Some(Box::new(ChildInstall {
        suite: agreed.suite,
        spi_in: reserved.spi_in,
        spi_out: agreed.spi_out,
        key_in: keys.sent_by(we_are.other()).clone(),
        key_out: keys.sent_by(we_are).clone(),
        local_ts: agreed.local_ts,
        remote_ts: agreed.remote_ts,
        path,
        mode: sa.profile.child(number_of(ctx, reserved.id)).mode,
        encap,
        sends,
        part: sa.part,
        limits: ChildLimits::default(),
    }))
}

/// [N(REKEY_SA)], SA, Ni, [KEi], TSi, TSr.
pub fn write(writer: &mut SkWriter, profile: &Profile, children: &Children, rekeying: Option<&Rekeying>) {
    let Some(asked) = rekeying.and_then(|rekeying| rekeying.child.as_ref()) else { return };
    if let Some(old) = asked.replaces.and_then(|old| children.get(old)) {
        let spi = old.spi_in.to_be_bytes();
        writer.push(&Payload::Notify(Notify::child(ProtocolId::ESP, &spi, NotifyType::REKEY_SA, &[])));
    }
    let spi = asked.reserved.spi_in.to_be_bytes();
    mode::write(writer, profile.child(asked.number).mode);
    offers::propose(profile.child(asked.number).esp_suites, &spi, |sa| writer.push(&Payload::Sa(sa)));
    let ke = asked.ephemeral.as_ref().map(|ephemeral| (ephemeral.method(), ephemeral.public()));
    push_secrets(writer, &asked.nonce, ke);
    traffic::write(&asked.proposed.0, |ts| writer.push(&Payload::TsInitiator(ts)));
    traffic::write(&asked.proposed.1, |ts| writer.push(&Payload::TsResponder(ts)));
}

/// KEi(n), and which series it belongs to.
pub fn write_follow_up(writer: &mut SkWriter, rekeying: Option<&Rekeying>) {
    let Some(asked) = rekeying.and_then(|rekeying| rekeying.child.as_ref()) else { return };
    let link = asked.half.as_ref().map(|half| &half.1[..]);
    if let Some(ephemeral) = &asked.ephemeral {
        follow_up::write(writer, (ephemeral.method(), ephemeral.public()), link);
    }
}

/// Why there is no new SA.
pub enum Failed {
    /// The peer says so.
    Error(NotifyType, Option<KeNumber>),
    /// Its answer is of no use.
    Unusable(String),
    /// What it has made, with this SPI, is in another mode: it is to be deleted (RFC 7296 section 1.3.1).
    OtherMode(&'static str, u32),
}

/// What the answer to our request agrees on, and how the peer names what follows.
pub fn accept(
    sa: &Established,
    asked: &ChildAsked,
    payloads: &Payloads<'_>,
) -> Result<(ChildHalf, Option<Link>), Failed> {
    let (Some(answer), Some(nonce_r)) = (payloads.sa(), payloads.nonce()) else {
        return Err(match payloads.notifies().find(|notify| notify.kind.is_error()) {
            Some(notify) => Failed::Error(notify.kind, notify.wanted_group()),
            None => Failed::Unusable("an answer without SA or nonce".into()),
        });
    };
    let unusable = |what: &str| Failed::Unusable(what.into());
    let (Some(tsi), Some(tsr)) = (payloads.ts_initiator(), payloads.ts_responder()) else {
        return Err(unusable("an answer without traffic selectors"));
    };
    let suites = sa.profile.child(asked.number).esp_suites;
    let chosen = offers::check_answer(suites, answer).map_err(Failed::Unusable)?;
    let spi: [u8; 4] = offers::spi_of(&chosen, answer).try_into().map_err(|_| unusable("an answer without SPI"))?;
    let mode = sa.profile.child(asked.number).mode;
    mode::check_answer(mode, payloads).map_err(|what| Failed::OtherMode(what, u32::from_be_bytes(spi)))?;
    let (local_ts, remote_ts) = (traffic::read(tsi), traffic::read(tsr));
    if !traffic::is_within(&local_ts, &asked.proposed.0) || !traffic::is_within(&remote_ts, &asked.proposed.1) {
        return Err(unusable("traffic selectors that we did not propose"));
    }
    let shared = match (chosen.suite.ke(), &asked.ephemeral, payloads.key_exchange()) {
        (None, _, _) => None,
        (Some(method), Some(ours), Some(theirs)) if ours.method() == method && theirs.method.0 == method.id() => {
            Some(ours.agree(theirs.data).map_err(|error| Failed::Unusable(error.to_string()))?)
        }
        _ => return Err(unusable("a key exchange that we did not begin")),
    };
    let series = Series::new(&asked.nonce, nonce_r.octets(), shared);
    series.nonces().map_err(|error| Failed::Unusable(error.to_string()))?;
    let agreed = Agreed { suite: chosen.suite, spi_out: u32::from_be_bytes(spi), local_ts, remote_ts };
    Ok((ChildHalf { agreed, series }, follow_up::link_of(payloads)))
}

/// The number of the Child SA that a pair was made by, for those who look at pairs by their id.
#[must_use]
pub fn number_of(ctx: &Context, child: crate::id::ChildId) -> ChildNumber {
    ctx.children.get(child).map_or(crate::children::FIRST, |child| child.number)
}
