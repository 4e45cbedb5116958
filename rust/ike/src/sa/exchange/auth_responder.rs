//! IKE_AUTH as the one who answers (RFC 7296 section 1.2), with a pre-shared key.

use std::sync::Arc;

use crate::crypto::auth::SignedOctets;
use crate::crypto::negotiate::{Chosen, Outcome};
use crate::crypto::{AuthKeys, ChildKeys, EspSuite, IkeSuite, Nonces, Role};
use crate::event::{AuthRefusal, ChildInstall, Event, IkeSaUp, NoticeKind};
use crate::id::{Identity, ProfileId};
use crate::profile::{Profile, PskSecret};
use crate::sa::Sa;
use crate::sa::asked::{agreed_extensions, push_window};
use crate::sa::channel::Outgoing;
use crate::sa::child::{Family, Reserved};
use crate::sa::context::{About, Context};
use crate::sa::established::{Established, Mobility, Setup};
use crate::sa::exchange::auth_initiator::{esp_suites, id_body, received_id_body, with_id, write_mobike};
use crate::sa::exchange::informational::window_of;
use crate::sa::exchange::init_responder::{HalfOpen, Secret};
use crate::sa::exchange::traffic::{self, Leases};
use crate::sa::exchange::{addresses, admission, offers};
use crate::selector::{Selector, narrow};
use crate::wire::{
    AuthMethod, Authentication, ExchangeType, NotifyType, Payload, Payloads, SkWriter, WireError, WireErrorKind,
};
use crate::{Nanos, Path};

const ANSWER: Outgoing = Outgoing { exchange: ExchangeType::IKE_AUTH, id: 1, response: true };

/// An IKE_AUTH request came; the holder of the keys made it.
pub fn on_request(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path, payloads: Result<Payloads<'_>, WireError>) {
    let Sa::AwaitAuth(half) = sa else { return };
    if let Some(refusal) = &half.refusal {
        ctx.counters.repeats_answered += 1;
        return ctx.send(path, Arc::clone(refusal));
    }
    let payloads = match payloads {
        Ok(payloads) => payloads,
        Err(error) => return refuse_unreadable(half, ctx, now, path, &error),
    };
    let misshapen = payloads.mobike().find_map(Result::err);
    if let Some(error) = misshapen {
        return refuse_unreadable(half, ctx, now, path, &error);
    }
    match authenticate(ctx, half, path, &payloads) {
        Err(why) => {
            ctx.counters.auth_failed += 1;
            let about = About { path: Some(path), sa: Some(half.id) };
            ctx.notice(now, about, NoticeKind::AuthFailed, || {
                let claimed = payloads.id_initiator().map_or("nobody".into(), ToString::to_string);
                format!("IKE_AUTH of {claimed} refused: {why}")
            });
            refuse(half, ctx, path, &Payload::notify(NotifyType::AUTHENTICATION_FAILED, &[]));
        }
        Ok(peer) if peer.profile.mobike && is_rewritten(ctx, now, half.id, path, &payloads) => {
            refuse(half, ctx, path, &Payload::notify(NotifyType::UNEXPECTED_NAT_DETECTED, &[]));
        }
        Ok(peer) => {
            if let Sa::AwaitAuth(half) = core::mem::replace(sa, Sa::Ended) {
                ctx.half_open.remove(&half.asker);
                *sa = accept(ctx, now, path, *half, peer, &payloads)
                    .map_or(Sa::Ended, |established| Sa::Established(Box::new(established)));
            }
        }
    }
}

/// Answer with an error, and keep the half-open SA until it expires so that a repetition gets the same.
fn refuse(half: &mut HalfOpen, ctx: &mut Context, path: Path, error: &Payload<'_>) {
    let Some((channel, _)) = half.keys() else { return };
    if let Ok(bytes) = channel.seal(&mut ctx.buffer, ANSWER, |writer| writer.push(error)) {
        half.refusal = Some(Arc::clone(&bytes));
        ctx.send(path, bytes);
    }
}

fn refuse_unreadable(half: &mut HalfOpen, ctx: &mut Context, now: Nanos, path: Path, error: &WireError) {
    ctx.counters.invalid_requests += 1;
    let about = About { path: Some(path), sa: Some(half.id) };
    ctx.notice(now, about, NoticeKind::Malformed, || format!("IKE_AUTH refused: {error}"));
    let critical = match error.kind {
        WireErrorKind::UnsupportedCritical(kind) => vec![kind.0],
        _ => Vec::new(),
    };
    let kind = error.answer().unwrap_or(NotifyType::INVALID_SYNTAX);
    refuse(half, ctx, path, &Payload::notify(kind, &critical));
}

/// A peer that proved who it is.
struct Peer {
    id: Identity,
    profile_id: ProfileId,
    profile: Arc<Profile>,
}

/// NATs are prohibited, and there is one (M3.9-2).
fn is_rewritten(ctx: &mut Context, now: Nanos, id: crate::SaId, path: Path, payloads: &Payloads<'_>) -> bool {
    admission::no_nats_in(payloads).is_some_and(|meant| admission::is_rewritten(ctx, now, id, path, meant))
}

fn authenticate(ctx: &Context, half: &mut HalfOpen, path: Path, payloads: &Payloads<'_>) -> Result<Peer, AuthRefusal> {
    let (Some(id), Some(auth)) = (payloads.id_initiator(), payloads.authentication()) else {
        return Err(AuthRefusal::Incomplete);
    };
    let identity = Identity::from_wire(id.kind.0, id.data);
    let profile = choose_profile(ctx, &half.suite, &identity, payloads);
    // An unknown identity costs the same work as a wrong secret, so that the time taken does not tell which it was.
    let nobody = PskSecret::from_slice(&half.nonce_r);
    let secret = profile.as_ref().map_or(&nobody, |(_, profile)| &profile.psk);
    let body = received_id_body(id);
    let Secret::Keys(keys) = &half.secret else { return Err(AuthRefusal::Incomplete) };
    let octets = SignedOctets::new(&keys.1, Role::Initiator, &half.request, &half.nonce_r, &body);
    let proven = octets.verify_shared_key(secret.expose(), auth.data).is_ok();
    let Some((profile_id, profile)) = profile else { return Err(AuthRefusal::WrongIdentity) };
    if auth.method != AuthMethod::SHARED_KEY || !proven {
        return Err(AuthRefusal::BadAuth);
    }
    profile.paths.judge(path).map_err(|_| AuthRefusal::WrongAddress)?;
    Ok(Peer { id: identity, profile_id, profile })
}

/// The profile with the narrowest pattern that fits both identities and the suite already agreed.
fn choose_profile(
    ctx: &Context,
    suite: &IkeSuite,
    peer: &Identity,
    payloads: &Payloads<'_>,
) -> Option<(ProfileId, Arc<Profile>)> {
    let wanted = payloads.id_responder();
    let fits = |profile: &Profile| {
        profile.accepts
            && profile.remote_id.matches(peer)
            && profile.ike_suites.contains(suite)
            && wanted.is_none_or(|id| profile.local_id.is_wire(id.kind.0, id.data))
    };
    let mut best: Option<(ProfileId, &Arc<Profile>)> = None;
    for (id, profile) in ctx.profiles.iter().filter(|(_, profile)| fits(profile)) {
        if best.is_none_or(|(_, before)| profile.remote_id.rank() > before.remote_id.rank()) {
            best = Some((*id, profile));
        }
    }
    best.map(|(id, profile)| (id, Arc::clone(profile)))
}

/// A Child SA to answer with.
struct Offered {
    reserved: Reserved,
    chosen: Chosen<EspSuite>,
    install: Box<ChildInstall>,
}

fn accept(
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    half: HalfOpen,
    peer: Peer,
    payloads: &Payloads<'_>,
) -> Option<Established> {
    let Peer { id: peer_id, profile_id, profile } = peer;
    let Secret::Keys(keys) = &half.secret else { return None };
    let wants_address = payloads.configuration().filter(|cp| traffic::asks_for_address(cp));
    let mut leases = wants_address.map(|cp| Leases::take(ctx, profile_id, &profile, cp)).unwrap_or_default();
    let child = offer_child(ctx, &half, path, &profile, &leases, wants_address.is_some(), payloads);
    let mobike = profile.mobike && payloads.has(NotifyType::MOBIKE_SUPPORTED);
    let extensions = agreed_extensions(mobike, &profile, payloads);
    if child.is_err() {
        core::mem::take(&mut leases).give_back(ctx, profile_id, &profile);
    }
    let proof = prove(&keys.1, &profile, &half.answer, half.nonce_i());
    let local_addresses = Arc::clone(&ctx.local_addresses);
    let HalfOpen { id, suite, nat, natt, spis, secret: Secret::Keys(keys), .. } = half else { return None };
    let (mut channel, _) = *keys;
    let sealed = channel.seal(&mut ctx.buffer, ANSWER, |writer| {
        with_id(&profile.local_id, |id| writer.push(&Payload::IdResponder(id)));
        writer.push(&Payload::Authentication(Authentication { method: AuthMethod::SHARED_KEY, data: &proof }));
        if !leases.is_empty() {
            leases.write(|cp| writer.push(&Payload::Configuration(cp)));
        }
        match &child {
            Ok(Some(offered)) => write_child(writer, offered),
            Ok(None) => {}
            Err(refusal) => writer.push(&Payload::notify(refusal.kind(), &[])),
        }
        push_window(writer, &profile);
        if mobike {
            write_mobike(writer, &local_addresses, path);
            extensions.write(writer);
        }
    });
    let Ok(bytes) = sealed else {
        leases.give_back(ctx, profile_id, &profile);
        if let Ok(Some(offered)) = child {
            ctx.children.release(offered.reserved);
        }
        ctx.counters.dropped_crypto += 1;
        return None;
    };
    let peer_addresses = addresses::read(payloads).unwrap_or_default();
    ctx.counters.ike_sas_up += 1;
    ctx.events.push_back(Event::IkeSaUp(Box::new(IkeSaUp {
        sa: id,
        token: None,
        profile: profile_id,
        role: Role::Responder,
        path,
        nat,
        peer_id: peer_id.clone(),
        mobike,
        extensions,
        peer_addresses: peer_addresses.clone(),
        virtual_ips: leases.iter().collect(),
        spi_i: spis.initiator,
        spi_r: spis.responder,
        suite,
    })));
    let family = report_child(ctx, now, id, path, child);
    ctx.send(path, Arc::clone(&bytes));
    let mut established = Established::new(Setup {
        id,
        channel,
        profile_id,
        profile,
        token: None,
        suite,
        peer_id,
        path,
        nat,
        natt,
        round_trip: None,
        mobility: if mobike { Mobility::responder() } else { Mobility::Off },
        extensions,
        peer_addresses,
        leases,
        family,
        now,
    });
    established.requests.widen(window_of(payloads));
    established.answered(now, 1, bytes);
    established.enter(ctx, payloads.has(NotifyType::INITIAL_CONTACT));
    Some(established)
}

fn prove(auth: &AuthKeys, profile: &Profile, init_answer: &[u8], nonce_i: &[u8]) -> Vec<u8> {
    let body = id_body(&profile.local_id);
    let octets = SignedOctets::new(auth, Role::Responder, init_answer, nonce_i, &body);
    octets.shared_key_auth(profile.psk.expose()).expose().to_vec()
}

fn write_child(writer: &mut SkWriter, offered: &Offered) {
    let spi = offered.reserved.spi_in.to_be_bytes();
    offers::accept(&offered.chosen, &spi, |sa| writer.push(&Payload::Sa(sa)));
    traffic::write(&offered.install.remote_ts, |ts| writer.push(&Payload::TsInitiator(ts)));
    traffic::write(&offered.install.local_ts, |ts| writer.push(&Payload::TsResponder(ts)));
}

/// Why the first Child SA is refused; the IKE SA lives on without one (RFC 7296 section 1.2).
#[derive(Debug)]
enum ChildRefusal {
    NoProposal(String),
    Selectors,
    AddressFailure,
    CpRequired,
    NoRoom,
}

impl ChildRefusal {
    fn kind(&self) -> NotifyType {
        match self {
            ChildRefusal::NoProposal(_) => NotifyType::NO_PROPOSAL_CHOSEN,
            ChildRefusal::Selectors => NotifyType::TS_UNACCEPTABLE,
            ChildRefusal::AddressFailure => NotifyType::INTERNAL_ADDRESS_FAILURE,
            ChildRefusal::CpRequired => NotifyType::FAILED_CP_REQUIRED,
            ChildRefusal::NoRoom => NotifyType::NO_ADDITIONAL_SAS,
        }
    }

    fn text(&self) -> String {
        match self {
            ChildRefusal::NoProposal(why) => format!("Child SA refused: {why}"),
            ChildRefusal::Selectors => "Child SA refused: no traffic selector is acceptable".into(),
            ChildRefusal::AddressFailure => "Child SA refused: no inner address is free".into(),
            ChildRefusal::CpRequired => "Child SA refused: peer did not ask for an inner address".into(),
            ChildRefusal::NoRoom => "Child SA refused: no room for another".into(),
        }
    }
}

/// `Ok(None)`: the peer wants none (RFC 6023).
fn offer_child(
    ctx: &mut Context,
    half: &HalfOpen,
    path: Path,
    profile: &Profile,
    leases: &Leases,
    asked_for_address: bool,
    payloads: &Payloads<'_>,
) -> Result<Option<Offered>, ChildRefusal> {
    let (Some(sa), Some(tsi), Some(tsr)) = (payloads.sa(), payloads.ts_initiator(), payloads.ts_responder()) else {
        return Ok(None);
    };
    if asked_for_address && leases.is_empty() {
        return Err(ChildRefusal::AddressFailure);
    }
    if profile.pool.is_some() && !asked_for_address {
        return Err(ChildRefusal::CpRequired);
    }
    let chosen = match offers::choose(&esp_suites(profile), sa, None) {
        Outcome::Chosen(chosen) => chosen,
        Outcome::WrongKe { .. } => return Err(ChildRefusal::NoProposal("a key exchange in IKE_AUTH".into())),
        Outcome::None(why) => return Err(ChildRefusal::NoProposal(why)),
    };
    let spi = <[u8; 4]>::try_from(offers::spi_of(&chosen, sa)).ok().map(u32::from_be_bytes).filter(|spi| *spi > 255);
    let spi_out = spi.ok_or_else(|| ChildRefusal::NoProposal("an SPI that is none".into()))?;
    let (local_ts, remote_ts) = narrowed(profile, leases, path, &traffic::read(tsi), &traffic::read(tsr))?;
    let keys = child_keys(half, &chosen.suite).ok_or(ChildRefusal::NoRoom)?;
    let reserved = ctx.children.reserve(ctx.settings.shard, half.id, &mut ctx.random).ok_or(ChildRefusal::NoRoom)?;
    let install = Box::new(ChildInstall {
        suite: chosen.suite,
        spi_in: reserved.spi_in,
        spi_out,
        key_in: keys.sent_by(Role::Initiator).clone(),
        key_out: keys.sent_by(Role::Responder).clone(),
        local_ts,
        remote_ts,
        path,
        encap: half.nat.any() || profile.always_encap,
    });
    Ok(Some(Offered { reserved, chosen, install }))
}

/// Our side, then the peer's.
fn narrowed(
    profile: &Profile,
    leases: &Leases,
    path: Path,
    tsi: &[Selector],
    tsr: &[Selector],
) -> Result<(Vec<Selector>, Vec<Selector>), ChildRefusal> {
    let local = narrow(tsr, &traffic::side(&profile.local_ts, &Leases::default(), path.local.ip()));
    let remote = narrow(tsi, &traffic::side(&profile.remote_ts, leases, path.remote.ip()));
    if local.is_empty() || remote.is_empty() { Err(ChildRefusal::Selectors) } else { Ok((local, remote)) }
}

fn child_keys(half: &HalfOpen, suite: &EspSuite) -> Option<ChildKeys> {
    let Secret::Keys(keys) = &half.secret else { return None };
    let nonces = Nonces::new(half.nonce_i(), &half.nonce_r).ok()?;
    ChildKeys::derive(keys.0.keys().sk_d(), suite, &nonces, None).ok()
}

fn report_child(
    ctx: &mut Context,
    now: Nanos,
    id: crate::id::SaId,
    path: Path,
    child: Result<Option<Offered>, ChildRefusal>,
) -> Family {
    let mut family = Family::default();
    match child {
        Ok(Some(Offered { reserved, install, .. })) => {
            family.adopt(&mut ctx.children, reserved, install.spi_out);
            ctx.counters.children_up += 1;
            ctx.events.push_back(Event::ChildUp { sa: id, child: reserved.id, install });
        }
        Ok(None) => {}
        Err(refusal) => {
            ctx.counters.child_refused += 1;
            let about = About { path: Some(path), sa: Some(id) };
            let kind = match refusal {
                ChildRefusal::AddressFailure => NoticeKind::NoAddress,
                _ => NoticeKind::ChildRefused,
            };
            ctx.notice(now, about, kind, || refusal.text());
        }
    }
    family
}
