//! IKE_AUTH as the one who answers (RFC 7296 section 1.2). A peer that the control plane must judge waits half-open.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::crypto::auth::SignedOctets;
use crate::crypto::{AuthKeys, IkeSuite, KeMethod, PublicKey, Role};
use crate::event::{AuthRefusal, Comparison, Event, IkeSaUp, NoticeKind};
use crate::id::{Identity, ProfileId, Question};
use crate::profile::{Profile, PskSecret, Unique};
use crate::proofs::{LocalProof, RemoteProof};
use crate::sa::Sa;
use crate::sa::asked::{agreed_extensions, push_window};
use crate::sa::channel::{Opened, Outgoing};
use crate::sa::context::{About, Context};
use crate::sa::established::{Established, Mobility, Setup};
use crate::sa::exchange::auth_initiator::{id_body, received_id_body, with_id, write_mobike};
use crate::sa::exchange::configuration::{self, Claim, Leases, Tenant};
use crate::sa::exchange::informational::window_of;
use crate::sa::exchange::init_responder::{HalfOpen, Secret};
use crate::sa::exchange::ppk::{self, Said};
use crate::sa::exchange::proof::{self, Asked, Ours, Parked, Proof};
use crate::sa::exchange::tickets::{Contents, Given};
use crate::sa::exchange::{
    addresses, admission, compare, door, eap_responder, first_child, init_responder, reauth, redirect, sync, tickets,
};
use crate::sa::trace::Topic;
use crate::wire::{Authentication, ExchangeType, NotifyType, Payload, Payloads, WireError, WireErrorKind};
use crate::{Nanos, Path, Verdict};

const AUTH: ExchangeType = ExchangeType::IKE_AUTH;

/// An IKE_AUTH request came; the holder of the keys made it.
pub fn on_request(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path, opened: &Opened<'_>) {
    let Sa::AwaitAuth(half) = sa else { return };
    let repeated = if opened.header.message_id == half.auth_id { &half.refusal } else { &half.last_answer };
    if let Some(answer) = repeated {
        ctx.counters.repeats_answered += 1;
        half.trace.repeated(opened.header.message_id);
        return ctx.send(path, Arc::clone(answer));
    }
    let payloads = match opened.payloads() {
        Ok(payloads) => payloads,
        Err(error) => return refuse_unreadable(half, ctx, now, path, AUTH, &error),
    };
    let misshapen = payloads.mobike().find_map(Result::err);
    if let Some(error) = misshapen {
        return refuse_unreadable(half, ctx, now, path, AUTH, &error);
    }
    if let Some(method) = half.steps.next(&half.suite).filter(|_| half.resumed.is_none()) {
        return refuse_early(half, ctx, now, path, method);
    }
    if half.eap.is_some() {
        return eap_responder::on_request(sa, ctx, now, path, &payloads);
    }
    match authenticate(ctx, half, path, &payloads) {
        Ok((peer, _)) if let Err(why) = first_child::judge(&peer.profile, &payloads) => {
            refuse_shape(half, ctx, now, path, why);
        }
        Err(why) => {
            let compared = |ctx: &Context, half: &HalfOpen| compare::of_auth(ctx, half, &payloads, &why);
            deny_as(half, ctx, now, path, compared, &why);
        }
        Ok((peer, _)) if peer.profile.agrees_on_mobike() && is_rewritten(ctx, now, half.id, path, &payloads) => {
            refuse(half, ctx, path, &Payload::notify(NotifyType::UNEXPECTED_NAT_DETECTED, &[]));
        }
        Ok((peer, Proof::Given)) if peer.profile.proofs.judged => {
            await_verdict(half, ctx, now, path, peer, None, opened);
        }
        Ok((peer, Proof::Given)) => admit(sa, ctx, now, path, peer, &payloads),
        Ok((peer, Proof::ByEap)) => eap_responder::begin(half, ctx, now, path, peer, opened),
        Ok((peer, Proof::Signed(key))) => await_verdict(half, ctx, now, path, peer, Some(key), opened),
    }
}

/// Ask the control plane about the peer. If too many wait already the request is dropped, as if it had been lost.
fn await_verdict(
    half: &mut HalfOpen,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    peer: Peer,
    key: Option<PublicKey>,
    opened: &Opened<'_>,
) {
    let Peer { id, profile_id, profile, .. } = peer;
    let asked = Asked { sa: half.id, profile: profile_id, role: Role::Responder, path };
    if let Some(parked) = opened.keep().and_then(|kept| proof::park(ctx, now, asked, (id, key), kept)) {
        half.linger(parked.until + LINGER);
        half.parked = Some(Box::new(Waiting { parked, path, profile_id, profile }));
    }
}

/// A half-open SA outlives a question that nobody answered by so much, to repeat the refusal.
pub const LINGER: Duration = Duration::from_secs(5);

/// A peer that the control plane must judge.
#[derive(Debug)]
pub struct Waiting {
    parked: Parked,
    path: Path,
    profile_id: ProfileId,
    profile: Arc<Profile>,
}

impl Waiting {
    /// The question that was asked.
    #[must_use]
    pub fn question(&self) -> Question {
        self.parked.question()
    }

    /// Without a verdict the peer is refused then.
    #[must_use]
    pub fn until(&self) -> Nanos {
        self.parked.until
    }
}

/// The control plane has judged the peer.
pub fn on_verdict(sa: &mut Sa, ctx: &mut Context, now: Nanos, verdict: Verdict) {
    let Sa::AwaitAuth(half) = sa else { return };
    let Some(waiting) = half.parked.take() else { return };
    let Waiting { parked, path, profile_id, profile } = *waiting;
    let claimed = || parked.peer_id.to_string();
    match (parked.judge(verdict), parked.message.payloads()) {
        (Ok((proven, terms)), Ok(payloads)) => {
            let Some(profile) = terms.applied(&profile) else {
                return deny(half, ctx, now, path, claimed, &nothing_within_reach());
            };
            let known = || half.resumed.as_ref().map_or_else(Vec::new, |resumed| resumed.granted().to_vec());
            let granted = if terms.addresses.is_empty() { known() } else { terms.addresses };
            let peer = Peer { proven, granted, ..Peer::new(parked.peer_id.clone(), profile_id, profile, path) };
            admit(sa, ctx, now, path, peer, &payloads);
        }
        (Err(why), _) => deny(half, ctx, now, path, claimed, &why),
        (Ok(_), Err(_)) => deny(half, ctx, now, path, claimed, &AuthRefusal::Incomplete),
    }
}

/// The control plane lets a peer reach what its connection does not carry.
pub(super) fn nothing_within_reach() -> AuthRefusal {
    AuthRefusal::Denied("nothing that its connection carries is within the reach that was named for it".into())
}

/// Time has passed: nobody judged the peer, or nobody sent IKE_AUTH.
pub fn on_timeout(sa: &mut Sa, ctx: &mut Context, now: Nanos) {
    let Sa::AwaitAuth(half) = sa else { return };
    if eap_responder::on_timeout(half, ctx, now) {
        return;
    }
    match half.parked.take_if(|waiting| waiting.until() <= now) {
        Some(waiting) => {
            ctx.counters.questions_expired += 1;
            let claimed = || waiting.parked.peer_id.to_string();
            deny(half, ctx, now, waiting.path, claimed, &AuthRefusal::Undecided);
        }
        None => {
            init_responder::expire(half, ctx);
            *sa = Sa::Ended;
        }
    }
}

/// The peer is who it says: prove the same, and the IKE SA is up.
fn admit(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path, peer: Peer, payloads: &Payloads<'_>) {
    let Sa::AwaitAuth(half) = sa else { return };
    let proven =
        if is_kept_out(ctx, &peer, payloads) { Err(AuthRefusal::Connected) } else { prove(half, &peer.profile) };
    match proven {
        Err(why) => deny(half, ctx, now, path, || peer.id.to_string(), &why),
        Ok(ours) => let_in(sa, ctx, now, path, peer, &ours, payloads),
    }
}

/// Both have proved who they are: answer, and the IKE SA is up. `payloads` are of the first request.
pub fn let_in(
    sa: &mut Sa,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    peer: Peer,
    ours: &Ours,
    payloads: &Payloads<'_>,
) {
    if !ctx.is_in_force(peer.profile_id, &peer.profile) {
        let Sa::AwaitAuth(half) = sa else { return };
        return deny(half, ctx, now, path, || peer.id.to_string(), &AuthRefusal::OrdersChanged);
    }
    if let Sa::AwaitAuth(half) = core::mem::replace(sa, Sa::Ended) {
        ctx.half_open.remove(&half.asker);
        door::repay(ctx, now, half.asker.from.ip());
        *sa = accept(ctx, now, path, *half, peer, ours, payloads)
            .map_or(Sa::Ended, |established| Sa::Established(Box::new(established)));
    }
}

/// It has an IKE SA that the profile keeps. The index holds digests of 32 bits: one in four thousand million strangers would
/// be taken for another.
pub fn is_kept_out(ctx: &Context, peer: &Peer, payloads: &Payloads<'_>) -> bool {
    let has_others = || !ctx.identities.find(ctx.identities.digest(peer.profile_id, &peer.id)).is_empty();
    peer.profile.unique == Unique::Keep && !payloads.has(NotifyType::INITIAL_CONTACT) && has_others()
}

/// AUTHENTICATION_FAILED to the peer, the reason to people.
pub fn deny(
    half: &mut HalfOpen,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    claimed: impl FnOnce() -> String,
    why: &AuthRefusal,
) {
    deny_as(half, ctx, now, path, |_, _| compare::of_claim(claimed(), None, why), why);
}

/// The same of a peer that was looked at more closely.
fn deny_as(
    half: &mut HalfOpen,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    compared: impl FnOnce(&Context, &HalfOpen) -> Comparison,
    why: &AuthRefusal,
) {
    tell_as(half, ctx, now, path, compared, why);
    refuse(half, ctx, path, &Payload::notify(NotifyType::AUTHENTICATION_FAILED, &[]));
}

/// The reason to people.
pub fn tell(
    half: &HalfOpen,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    claimed: impl FnOnce() -> String,
    why: &AuthRefusal,
) {
    tell_as(half, ctx, now, path, |_, _| compare::of_claim(claimed(), None, why), why);
}

fn tell_as(
    half: &HalfOpen,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    compared: impl FnOnce(&Context, &HalfOpen) -> Comparison,
    why: &AuthRefusal,
) {
    ctx.counters.auth_failed += 1;
    door::fail(ctx, now, half.asker.from.ip(), why);
    let about = About { path: Some(path), sa: Some(half.id) };
    ctx.refusal_as(now, about, NoticeKind::AuthFailed, |ctx| {
        let compared = compared(ctx, half);
        let who = compared.peer_id.as_deref().unwrap_or("nobody");
        (format!("IKE_AUTH of {who} refused: {why}"), Some(compared))
    });
}

/// A key exchange that was agreed on was left out (RFC 9370 section 2.2.2): the peer would go without it.
fn refuse_early(half: &mut HalfOpen, ctx: &mut Context, now: Nanos, path: Path, left_out: KeMethod) {
    ctx.counters.invalid_requests += 1;
    let about = About { path: Some(path), sa: Some(half.id) };
    ctx.notice(now, about, NoticeKind::Malformed, || format!("IKE_AUTH refused: it comes before {left_out}"));
    refuse(half, ctx, path, &Payload::notify(NotifyType::INVALID_SYNTAX, &[]));
}

/// It lacks payloads that the profile wants, or has some that it does not (RFC 6023 section 3).
fn refuse_shape(half: &mut HalfOpen, ctx: &mut Context, now: Nanos, path: Path, why: &str) {
    ctx.counters.invalid_requests += 1;
    let about = About { path: Some(path), sa: Some(half.id) };
    ctx.notice(now, about, NoticeKind::ChildRefused, || format!("IKE_AUTH refused: {why}"));
    refuse(half, ctx, path, &Payload::notify(NotifyType::INVALID_SYNTAX, &[]));
}

/// Answer with an error, and keep the half-open SA until it expires so that a repetition gets the same.
pub fn refuse(half: &mut HalfOpen, ctx: &mut Context, path: Path, error: &Payload<'_>) {
    refuse_in(half, ctx, path, AUTH, error);
}

/// The same in another exchange.
pub fn refuse_in(half: &mut HalfOpen, ctx: &mut Context, path: Path, exchange: ExchangeType, error: &Payload<'_>) {
    let message = Outgoing { exchange, ..half.answer_header() };
    let Some((channel, _)) = half.keys() else { return };
    if let Ok(bytes) = channel.seal(&mut ctx.buffer, message, |writer| writer.push(error)) {
        half.refusal = Some(Arc::clone(&bytes));
        ctx.send(path, bytes);
    }
}

/// The same for what cannot be read; the error says which notification it is.
pub fn refuse_unreadable(
    half: &mut HalfOpen,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    exchange: ExchangeType,
    error: &WireError,
) {
    ctx.counters.invalid_requests += 1;
    let about = About { path: Some(path), sa: Some(half.id) };
    ctx.notice(now, about, NoticeKind::Malformed, || format!("{exchange} refused: {error}"));
    let critical = match error.kind {
        WireErrorKind::UnsupportedCritical(kind) => vec![kind.0],
        _ => Vec::new(),
    };
    let kind = error.answer().unwrap_or(NotifyType::INVALID_SYNTAX);
    refuse_in(half, ctx, path, exchange, &Payload::notify(kind, &critical));
}

/// A peer that proved who it is.
pub struct Peer {
    /// Who it is.
    pub id: Identity,
    /// Its standing orders.
    pub profile_id: ProfileId,
    /// The same.
    pub profile: Arc<Profile>,
    /// Addresses that need no further proof.
    pub proven: Box<[IpAddr]>,
    /// Inner addresses for it that the control plane named.
    pub granted: Vec<IpAddr>,
    /// Where its latest request came from.
    pub answer_to: Path,
    /// We have told it who we are.
    pub introduced: bool,
}

impl Peer {
    /// Before anything else is known of it.
    pub(super) fn new(id: Identity, profile_id: ProfileId, profile: Arc<Profile>, answer_to: Path) -> Peer {
        let (proven, granted) = (Box::default(), Vec::new());
        Peer { id, profile_id, profile, proven, granted, answer_to, introduced: false }
    }
}

/// NATs are prohibited, and there is one (M3.9-2).
fn is_rewritten(ctx: &mut Context, now: Nanos, id: crate::SaId, path: Path, payloads: &Payloads<'_>) -> bool {
    admission::no_nats_in(payloads).is_some_and(|meant| admission::is_rewritten(ctx, now, id, path, meant))
}

fn authenticate(
    ctx: &Context,
    half: &mut HalfOpen,
    path: Path,
    payloads: &Payloads<'_>,
) -> Result<(Peer, Proof), AuthRefusal> {
    if let Some(resumed) = &half.resumed {
        return resumed.authenticate(half, path, payloads).map(|peer| (peer, Proof::Given));
    }
    let Some(id) = payloads.id_initiator() else { return Err(AuthRefusal::Incomplete) };
    let identity = Identity::from_wire(id.kind.0, id.data);
    let choose = |fits: &dyn Fn(&Profile) -> bool| choose_profile(ctx, &half.suite, &identity, fits, payloads);
    let refusal = || choose(&|_| true).map_or(AuthRefusal::WrongIdentity, |_| AuthRefusal::WrongMethod);
    let Some(auth) = payloads.authentication() else {
        let (profile_id, profile) = choose(&|profile| fits_eap(profile, payloads)).ok_or_else(refusal)?;
        profile.paths.judge(path).map_err(|_| AuthRefusal::WrongAddress)?;
        return Ok((Peer::new(identity, profile_id, profile, path), Proof::ByEap));
    };
    let body = received_id_body(id);
    let Secret::Keys(keys) = &half.secret else { return Err(AuthRefusal::Incomplete) };
    let (request, nonce) = (&*half.request, &half.nonce_r);
    let octets_by =
        |keys: &AuthKeys| SignedOctets::new(keys, Role::Initiator, request, nonce, &body).after(&half.steps.said);
    let Some((profile_id, profile)) = choose(&|profile| proof::takes(&profile.proofs.remote, Some(auth.method))) else {
        // An unknown identity costs the same work as a wrong secret, so that the time taken does not tell which it was.
        let nobody = PskSecret::from_slice(&half.nonce_r);
        let _never = proof::check(&RemoteProof::SharedKey, false, nobody.expose(), &octets_by(&keys.1), auth, payloads);
        return Err(refusal());
    };
    let check = |octets: &SignedOctets<'_>, auth: &Authentication<'_>| {
        proof::check(&profile.proofs.remote, profile.proofs.rsa_sha1, profile.psk.expose(), octets, auth, payloads)
    };
    let mut mix = None;
    let proof = match ppk::said(profile.ppk.as_ref(), half.ppk, auth, payloads) {
        Said::Wrong => return Err(AuthRefusal::NoPpk),
        Said::None(auth) => check(&octets_by(&keys.1), &auth)?,
        Said::Ours(ppk) => {
            let mixed = keys.1.mixed(ppk.key.expose()).map_err(|_| AuthRefusal::Incomplete)?;
            let proof = check(&octets_by(&mixed), auth)?;
            mix = Some((ppk, mixed));
            proof
        }
    };
    if let Some((ppk, mixed)) = mix {
        half.mix(ppk, mixed)?;
    }
    profile.paths.judge(path).map_err(|_| AuthRefusal::WrongAddress)?;
    Ok((Peer::new(identity, profile_id, profile, path), proof))
}

/// Is the profile for peers that prove themselves by EAP? One of which we prove ourselves so too only for peers that take
/// that for a proof (RFC 5998 section 3).
fn fits_eap(profile: &Profile, payloads: &Payloads<'_>) -> bool {
    let alone = matches!(profile.proofs.local, LocalProof::Eap);
    proof::takes(&profile.proofs.remote, None) && (!alone || payloads.has(NotifyType::EAP_ONLY_AUTHENTICATION))
}

/// The profile with the narrowest pattern that fits both identities, the suite already agreed, and what else is asked for.
fn choose_profile(
    ctx: &Context,
    suite: &IkeSuite,
    peer: &Identity,
    fits_else: &dyn Fn(&Profile) -> bool,
    payloads: &Payloads<'_>,
) -> Option<(ProfileId, Arc<Profile>)> {
    let wanted = payloads.id_responder();
    let fits = |profile: &Profile| {
        profile.accepts
            && profile.remote_id.matches(peer)
            && profile.ike_suites.contains(suite)
            && fits_else(profile)
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

fn accept(
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    half: HalfOpen,
    peer: Peer,
    ours: &Ours,
    payloads: &Payloads<'_>,
) -> Option<Established> {
    let Peer { id: peer_id, profile_id, profile, proven, granted, answer_to, introduced } = peer;
    let sent_on = redirect::of_peer(&half, &profile, path);
    let wants_address = payloads.configuration().filter(|cp| sent_on.is_none() && configuration::asks_for_address(cp));
    let tenant = Tenant { profile_id, profile: &profile, who: &peer_id };
    let replaces = is_successor(&profile, payloads);
    let had = half.resumed.as_ref().map(|resumed| resumed.had(profile.pool.as_ref())).unwrap_or_default();
    let claim = Claim { succeeds: replaces, granted: &granted, had };
    let leases = wants_address.map(|cp| Leases::take(ctx, now, &tenant, cp, &claim));
    let child = match &sent_on {
        Some(_) => Ok(None),
        None => first_child::offer(ctx, &half, path, &tenant, (leases.as_ref(), &granted), payloads),
    };
    let mut leases = leases.unwrap_or_default();
    let mobike = profile.agrees_on_mobike() && payloads.has(NotifyType::MOBIKE_SUPPORTED);
    let extensions = agreed_extensions(mobike, &profile, payloads);
    let syncs = sync::is_agreed(&profile, payloads);
    if child.is_err() {
        core::mem::take(&mut leases).give_back(ctx, &tenant);
    }
    let local_addresses = Arc::clone(&ctx.local_addresses);
    let (message, mixed, redirects) = (half.answer_header(), half.mixed, half.redirects);
    let HalfOpen { id, suite, nat, natt, spis, auth_id, secret: Secret::Keys(keys), resumed, .. } = half else {
        return None;
    };
    let mut trace = half.trace;
    trace.begin(half.opening);
    trace.answered(now, auth_id, Topic::Auth, child.as_ref().err().map(first_child::Refusal::kind));
    let (mut channel, _) = *keys;
    let proof_left = resumed.as_ref().map(|resumed| resumed.proof_left(ctx, now));
    let ticket = Contents::of(ctx, now, &channel, &suite, (&profile, &peer_id, &granted), resumed.as_deref(), payloads);
    let given = ticket.map_or(Given::Nothing, |mut contents| {
        contents.leased = leases.iter().collect();
        tickets::give(ctx, now, &profile, payloads, contents)
    });
    let sealed = channel.seal(&mut ctx.buffer, message, |writer| {
        if !introduced {
            with_id(&profile.local_id, |id| writer.push(&Payload::IdResponder(id)));
            if resumed.is_none() {
                proof::write_certificates(writer, &profile, proof::asks_for_staple(payloads));
            }
        }
        writer.push(&ours.payload());
        if mixed {
            writer.push(&Payload::notify(NotifyType::PPK_IDENTITY, &[]));
        }
        if let Some(request) = wants_address.filter(|_| !leases.is_empty()) {
            leases.write(&profile, request, |cp| writer.push(&Payload::Configuration(cp)));
        }
        match &child {
            Ok(Some(offered)) => offered.write(writer),
            Ok(None) => {}
            Err(refusal) => writer.push(&Payload::notify(refusal.kind(), &[])),
        }
        redirect::write(writer, sent_on.as_ref());
        push_window(writer, &profile);
        if syncs {
            sync::announce(writer, &profile);
        }
        match proof_left {
            Some(left) => reauth::write_left(writer, left),
            None => reauth::write(writer, &profile),
        }
        tickets::write(writer, &given);
        if mobike {
            write_mobike(writer, &local_addresses, path);
            extensions.write(writer);
        }
    });
    let Ok(bytes) = sealed else {
        leases.give_back(ctx, &tenant);
        if let Ok(Some(offered)) = child {
            offered.release(ctx);
        }
        ctx.counters.dropped_crypto += 1;
        return None;
    };
    let about = About { path: Some(path), sa: Some(id) };
    let peer_addresses = addresses::read(ctx, now, about, payloads).unwrap_or_default();
    ctx.counters.ike_sas_up += 1;
    ctx.events.push_back(Event::IkeSaUp(Box::new(IkeSaUp {
        sa: id,
        token: None,
        profile: profile_id,
        orders: profile.generation,
        role: Role::Responder,
        path,
        nat,
        peer_id: peer_id.clone(),
        mobike,
        extensions,
        peer_addresses: peer_addresses.clone(),
        virtual_ips: leases.iter().collect(),
        handout: None,
        spi_i: spis.initiator,
        spi_r: spis.responder,
        suite,
    })));
    let refused = child.as_ref().err().map(|why| first_child::compare(why, &profile, &leases, path, payloads));
    let family = first_child::report(ctx, now, id, path, &profile.limits, child, refused);
    ctx.send(answer_to, Arc::clone(&bytes));
    let mut established = Established::new(Setup {
        id,
        channel,
        profile_id,
        profile,
        token: None,
        suite,
        auth_id,
        peer_id,
        path,
        nat,
        natt,
        proven,
        round_trip: None,
        mobility: if mobike { Mobility::responder() } else { Mobility::Off },
        extensions,
        redirects,
        syncs,
        peer_addresses,
        leases,
        family,
        trace,
        now,
    });
    established.requests.widen(window_of(payloads));
    established.answered(now, spis, auth_id, bytes);
    established.begin_lifetimes(ctx, now);
    redirect::begin(&mut established, ctx, now, sent_on.as_ref());
    established.enter(ctx, replaces);
    if let Some(resumed) = resumed {
        resumed.come_up(&mut established, ctx, now);
    }
    Some(established)
}

/// Do the other IKE SAs of this peer end?
fn is_successor(profile: &Profile, payloads: &Payloads<'_>) -> bool {
    match profile.unique {
        Unique::AsPeerSays | Unique::Keep => payloads.has(NotifyType::INITIAL_CONTACT),
        Unique::Replace => true,
        Unique::Never => false,
    }
}

/// Our AUTH, in the way of the profile.
pub fn prove(half: &HalfOpen, profile: &Profile) -> Result<Ours, AuthRefusal> {
    let Secret::Keys(keys) = &half.secret else { return Err(AuthRefusal::Incomplete) };
    let body = id_body(&profile.local_id);
    if let Some(resumed) = &half.resumed {
        return resumed.prove(half, &body);
    }
    let octets =
        SignedOctets::new(&keys.1, Role::Responder, &half.answer, half.nonce_i(), &body).after(&half.steps.said);
    proof::make(profile, &octets, half.hashes)
}
