//! IKE_AUTH as the one who asks (RFC 7296 section 1.2).
//!
//! ```text
//! HDR, SK { IDi, [CERT..], [N(INITIAL_CONTACT)], [CERTREQ], [IDr], AUTH, [CP], SAi2, TSi, TSr,
//!           [N(MOBIKE_SUPPORTED)], [N(ADDITIONAL_*)] }   -->
//!                 <--   HDR, SK { IDr, [CERT..], AUTH, [CP], SAr2, TSi, TSr, [N(MOBIKE_SUPPORTED)], [N(ADDITIONAL_*)] }
//! ```

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::children::FIRST;
use crate::crypto::auth::{Intermediate, SignedOctets};
use crate::crypto::puzzle::SOLUTION_LEN;
use crate::crypto::{AuthKeys, Hashes, IkeSuite, PublicKey, Role};
use crate::event::{AuthRefusal, ConnectError, Event, NatView};
use crate::id::{Identity, IdentityPattern, Question, SaId};
use crate::profile::Profile;
use crate::proofs::{LocalProof, RemoteProof};
use crate::sa::Sa;
use crate::sa::asked::{agreed_extensions, push_no_nats, push_window};
use crate::sa::channel::{Channel, Opened, Outgoing};
use crate::sa::child::Family;
use crate::sa::context::{About, Context};
use crate::sa::established::{Established, Mobility, Setup};
use crate::sa::exchange::configuration::{self, Leases};
use crate::sa::exchange::eap::Talk;
use crate::sa::exchange::eap_initiator::Conversation;
use crate::sa::exchange::first_child::{self, esp_suites};
use crate::sa::exchange::informational::window_of;
use crate::sa::exchange::init_initiator::{Order, resuming};
use crate::sa::exchange::proof::{self, Asked, Ours, Parked, Proof};
use crate::sa::exchange::reauth::{self, Old};
use crate::sa::exchange::traffic;
use crate::sa::exchange::{
    addresses, compare, eap_initiator, fallback, init_initiator, mode, offers, ppk, redirect, sync, tickets,
};
use crate::sa::path::Detected;
use crate::sa::timers::{Retry, patience};
use crate::sa::window::Ask;
use crate::selector::Selector;
use crate::wire::mobike::SCRATCH_LEN;
use crate::wire::{Clear, ExchangeType, IdType, Identification, MobikeNotify, NotifyType, Payload, Payloads, SkWriter};
use crate::{Nanos, Path, Verdict};

/// What IKE_SA_INIT agreed on, and the additional key exchanges so far.
#[derive(Debug)]
pub struct Agreed {
    /// The order behind it.
    pub order: Order,
    /// Our name for it.
    pub id: SaId,
    /// The algorithms.
    pub suite: IkeSuite,
    /// The keys so far.
    pub channel: Channel,
    /// The same, for AUTH.
    pub auth: AuthKeys,
    /// What was said since IKE_SA_INIT.
    pub said: Intermediate,
    /// Additional key exchanges that are done.
    pub done: u32,
    /// Our nonce.
    pub nonce_i: [u8; 32],
    /// The peer's nonce.
    pub nonce_r: Box<[u8]>,
    /// Our IKE_SA_INIT request as it went.
    pub request: Arc<[u8]>,
    /// Its answer as it came.
    pub answer: Box<[u8]>,
    /// The path that worked, with the ports that follow.
    pub path: Path,
    /// NAT detection, if the peer knows it.
    pub detected: Option<Detected>,
    /// Hashes that the peer can check a signature with; none if it does not know RFC 7427.
    pub hashes: Option<Hashes>,
    /// It wants to see OCSP responses.
    pub stapled: bool,
    /// The peer knows PPKs.
    pub ppk: bool,
    /// No Child SA comes with IKE_AUTH (RFC 6023).
    pub childless: bool,
    /// It is taken up again by a ticket of this gateway.
    pub resumed: Option<Identity>,
    /// Of the puzzle that came with the answer to IKE_SA_INIT.
    pub solution: Option<[u8; SOLUTION_LEN]>,
}

impl Agreed {
    /// The solution, in the clear: where there is one, the peer reads it before it makes keys (RFC 8019 section 7.2).
    #[must_use]
    pub fn clear(&self) -> Clear {
        self.solution.map_or_else(Clear::default, |solution| Clear::of(&Payload::PuzzleSolution(&solution)))
    }

    /// The message id of the next request.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        1 + self.done
    }
}

/// Our IKE_AUTH is unanswered.
#[derive(Debug)]
pub struct Authenticating {
    order: Order,
    pub(super) id: SaId,
    suite: IkeSuite,
    channel: Channel,
    pub(super) auth: AuthKeys,
    /// The same with the PPK, until the peer says whether it uses it.
    pub(super) mixed: Option<AuthKeys>,
    pub(super) said: Intermediate,
    pub(super) nonce_i: [u8; 32],
    pub(super) nonce_r: Box<[u8]>,
    pub(super) init_request: Arc<[u8]>,
    pub(super) init_answer: Box<[u8]>,
    pub(super) path: Path,
    pub(super) nat: NatView,
    /// Both ends know NAT traversal.
    natt: bool,
    pub(super) child: first_child::Asked,
    pub(super) proposed: (Vec<Selector>, Vec<Selector>),
    /// Message id of the request.
    auth_id: u32,
    pub(super) request: Arc<[u8]>,
    retry: Retry,
    /// The answer came, and the control plane is asked about the peer.
    parked: Option<Box<Parked>>,
    /// We prove ourselves by EAP, and the peer has begun to ask.
    pub(super) eap: Option<Box<Conversation>>,
    /// It is taken up again by a ticket of this gateway.
    pub(super) resumed: Option<Identity>,
}

/// Send IKE_AUTH.
pub fn ask(ctx: &mut Context, now: Nanos, agreed: Agreed) -> Sa {
    let path = agreed.path;
    match prepare(ctx, now, agreed) {
        Ok(asking) => {
            ctx.send(path, Arc::clone(&asking.request));
            Sa::AwaitAuthAnswer(Box::new(asking))
        }
        Err(failed) => {
            let (order, why) = *failed;
            fail(ctx, &order, path, why);
            Sa::Ended
        }
    }
}

fn prepare(ctx: &mut Context, now: Nanos, agreed: Agreed) -> Result<Authenticating, Box<(Order, ConnectError)>> {
    let (auth_id, clear) = (agreed.next_id(), agreed.clear());
    let Agreed {
        order,
        id,
        suite,
        mut channel,
        auth,
        said,
        nonce_i,
        nonce_r,
        request,
        answer,
        path,
        detected,
        hashes,
        stapled,
        ppk,
        childless,
        resumed,
        ..
    } = agreed;
    let body = id_body(&order.profile.local_id);
    let ppk = order.ppk().filter(|_| ppk).cloned();
    let mixed = match ppk.as_ref().map(|ppk| auth.mixed(ppk.key.expose())).transpose() {
        Ok(mixed) => mixed,
        Err(_) => return Err(Box::new((order, ConnectError::BadOrder("no keys could be made")))),
    };
    let make = |keys: &AuthKeys| {
        let octets = SignedOctets::new(keys, Role::Initiator, &request, &nonce_r, &body).after(&said);
        match &order.profile.proofs.local {
            _ if resumed.is_some() => Ok(Some(Ours::shared_key(&octets.resumed_auth(keys, Role::Initiator)))),
            LocalProof::Eap => Ok(None),
            LocalProof::SharedKey | LocalProof::Signature(_) => proof::make(&order.profile, &octets, hashes).map(Some),
        }
    };
    let proof = make(mixed.as_ref().unwrap_or(&auth));
    let without = match ppk.as_ref().filter(|ppk| !ppk.required).map(|_| make(&auth)) {
        Some(Ok(without)) => without,
        Some(Err(_)) | None => None,
    };
    let proof = match proof {
        Ok(proof) => proof,
        Err(why) => return Err(Box::new((order, ConnectError::Refused(why)))),
    };
    let child = match childless {
        true => first_child::Asked::Later,
        false => match ctx.children.reserve(ctx.settings.shard, id, FIRST, &mut ctx.random) {
            Some(reserved) => first_child::Asked::One(reserved),
            None => return Err(Box::new((order, ConnectError::TableFull))),
        },
    };
    let first = order.profile.child(FIRST);
    let proposed = mode::hosts(&first, path).unwrap_or_else(|| {
        let local = traffic::proposed_local(&order.profile, path.local.ip());
        (local, traffic::side(&order.profile.remote_ts, &Leases::default(), path.remote.ip()))
    });
    let nat = detected.map(|detected| detected.nat).unwrap_or_default();
    if let (first_child::Asked::One(_), Err(why)) = (child, mode::judge(first.mode, nat, &proposed)) {
        child.release(ctx);
        return Err(Box::new((order, ConnectError::BadOrder(why))));
    }
    let (profile, old) = (&*order.profile, order.old.as_ref());
    let asking = Asking { profile, proof: proof.as_ref(), stapled, old, resumed: resumed.is_some() };
    let message = Outgoing { exchange: ExchangeType::IKE_AUTH, id: auth_id, response: false };
    let local_addresses = Arc::clone(&ctx.local_addresses);
    let natt = detected.is_some();
    let sealed = channel.seal_behind(&mut ctx.buffer, message, clear, |writer| {
        asking.write(writer, child, &proposed);
        if let Some(ppk) = ppk.as_ref().filter(|_| asking.proof.is_some()) {
            ppk::write(writer, ppk, without.as_ref().map(Ours::data));
        }
        push_window(writer, asking.profile);
        sync::announce(writer, asking.profile);
        if asking.profile.agrees_on_mobike() {
            write_mobike(writer, &local_addresses, path);
            asking.profile.extensions.write(writer);
            if !natt {
                push_no_nats(writer, path);
            }
        }
    });
    let init_request = request;
    let Ok(request) = sealed else {
        child.release(ctx);
        return Err(Box::new((order, ConnectError::BadOrder("IKE_AUTH does not fit a datagram"))));
    };
    let retry = Retry::begin(now, &order.profile.retransmit, &mut ctx.random);
    let init_answer = answer;
    Ok(Authenticating {
        order,
        id,
        suite,
        channel,
        auth,
        mixed,
        said,
        nonce_i,
        nonce_r,
        init_request,
        init_answer,
        path,
        nat,
        natt,
        child,
        proposed,
        auth_id,
        request,
        retry,
        parked: None,
        eap: None,
        resumed,
    })
}

struct Asking<'a> {
    profile: &'a Profile,
    /// None: it comes at the end of an EAP conversation.
    proof: Option<&'a Ours>,
    stapled: bool,
    /// What it takes the place of.
    old: Option<&'a Old>,
    /// Who it is was proved once.
    resumed: bool,
}

impl Asking<'_> {
    fn write(
        &self,
        writer: &mut SkWriter,
        child: first_child::Asked,
        (local, remote): &(Vec<Selector>, Vec<Selector>),
    ) {
        let Asking { profile, proof, stapled, old, resumed } = self;
        with_id(&profile.local_id, |id| writer.push(&Payload::IdInitiator(id)));
        if !resumed {
            proof::write_certificates(writer, profile, *stapled);
        }
        if profile.initial_contact && self.old.is_none() {
            writer.push(&Payload::notify(NotifyType::INITIAL_CONTACT, &[]));
        }
        if !resumed {
            proof::request_certificates(profile.proofs.authorities(), |payload| writer.push(payload));
        }
        tickets::ask(writer, profile);
        if let IdentityPattern::Exact(wanted) = &profile.remote_id {
            with_id(wanted, |id| writer.push(&Payload::IdResponder(id)));
        }
        if let Some(proof) = proof {
            writer.push(&proof.payload());
        } else if matches!(profile.proofs.remote, RemoteProof::Eap) {
            writer.push(&Payload::notify(NotifyType::EAP_ONLY_AUTHENTICATION, &[]));
        }
        configuration::request(profile, old.map(|old| &old.leases), |cp| writer.push(&Payload::Configuration(cp)));
        let first_child::Asked::One(child) = child else { return };
        mode::write(writer, profile.child(FIRST).mode);
        offers::propose(&esp_suites(&profile.esp_suites), &child.spi_in.to_be_bytes(), |sa| {
            writer.push(&Payload::Sa(sa))
        });
        traffic::write(local, |ts| writer.push(&Payload::TsInitiator(ts)));
        traffic::write(remote, |ts| writer.push(&Payload::TsResponder(ts)));
    }
}

/// MOBIKE_SUPPORTED and our other addresses (RFC 4555 sections 3.2 and 3.4).
pub fn write_mobike(writer: &mut SkWriter, addresses: &[core::net::IpAddr], path: Path) {
    let mut scratch = [0; SCRATCH_LEN];
    writer.push(&Payload::Notify(MobikeNotify::MobikeSupported.notify(&mut scratch)));
    addresses::write(writer, addresses, path.local.ip());
}

/// An identity as an ID payload, handed to `with`.
pub fn with_id<T>(id: &Identity, with: impl FnOnce(Identification<'_>) -> T) -> T {
    id.with_data(|data| with(Identification::new(IdType(id.kind()), data)))
}

/// The body of the ID payload we send, which AUTH covers.
#[must_use]
pub fn id_body(id: &Identity) -> Vec<u8> {
    with_id(id, |id| received_id_body(&id))
}

/// The body of an ID payload that came, which the peer's AUTH covers.
#[must_use]
pub fn received_id_body(id: &Identification<'_>) -> Vec<u8> {
    [&id.head(), id.data].concat()
}

/// Report an order that came to nothing.
pub fn fail(ctx: &mut Context, order: &Order, path: Path, why: ConnectError) {
    order.fail(ctx, why, vec![path]);
}

impl Authenticating {
    /// When to be woken.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        match (&self.parked, self.talking()) {
            (Some(parked), _) => parked.until,
            (None, Some(talk)) => talk.deadline(),
            (None, None) => self.retry.next.min(self.give_up()),
        }
    }

    /// The question to the control plane that it waits for.
    #[must_use]
    pub fn awaits(&self) -> Option<Question> {
        let of_certificate = self.parked.as_ref().map(|parked| parked.question());
        of_certificate.or_else(|| self.talking().and_then(Talk::question))
    }

    /// Message id of our request.
    #[must_use]
    pub fn auth_id(&self) -> u32 {
        self.auth_id
    }

    /// The EAP conversation, while the control plane is asked about it.
    fn talking(&self) -> Option<&Talk> {
        self.eap.as_ref().map(|conversation| &conversation.talk).filter(|talk| talk.question().is_some())
    }

    /// The next IKE_AUTH request, of which `fill` writes the payloads.
    pub fn ask_again(
        &mut self,
        ctx: &mut Context,
        now: Nanos,
        fill: impl FnOnce(&mut SkWriter),
    ) -> Result<(), AuthRefusal> {
        let message = Outgoing { exchange: ExchangeType::IKE_AUTH, id: self.auth_id + 1, response: false };
        let sealed = self.channel.seal(&mut ctx.buffer, message, fill);
        let request = sealed.map_err(|_| AuthRefusal::Denied("our EAP packet does not fit a message".into()))?;
        self.auth_id += 1;
        self.request = Arc::clone(&request);
        self.retry = Retry::begin(now, &self.order.profile.retransmit, &mut ctx.random);
        ctx.send(self.path, request);
        Ok(())
    }

    /// The order behind it.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Over: report it.
    pub fn fail(self, ctx: &mut Context, why: ConnectError) {
        self.child.release(ctx);
        fail(ctx, &self.order, self.path, why);
    }

    /// Over, but the order stands.
    pub fn abandon(self, ctx: &mut Context) -> (Order, SaId) {
        self.child.release(ctx);
        (self.order, self.id)
    }

    /// Our SPI and keys.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The same, to open with.
    pub fn channel_mut(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn give_up(&self) -> Nanos {
        self.retry.started + patience(&self.order.profile.retransmit, Role::Initiator)
    }

    /// Over, for we do not believe the peer.
    pub fn refuse(mut self, ctx: &mut Context, why: AuthRefusal) {
        self.tell_refusal(ctx);
        self.fail(ctx, ConnectError::Refused(why));
    }

    /// Tell the peer that we do not believe it (RFC 7296 section 2.21.2), once and without waiting.
    fn tell_refusal(&mut self, ctx: &mut Context) {
        let message = Outgoing { exchange: ExchangeType::INFORMATIONAL, id: self.auth_id + 1, response: false };
        let refusal = Payload::notify(NotifyType::AUTHENTICATION_FAILED, &[]);
        if let Ok(bytes) = self.channel.seal(&mut ctx.buffer, message, |writer| writer.push(&refusal)) {
            ctx.send(self.path, bytes);
        }
    }

    fn check(&self, payloads: &Payloads<'_>) -> Result<(Identity, Proof), ConnectError> {
        let (Some(id), Some(auth)) = (payloads.id_responder(), payloads.authentication()) else {
            return Err(error_of(payloads));
        };
        let body = received_id_body(id);
        let octets =
            SignedOctets::new(&self.auth, Role::Responder, &self.init_answer, &self.nonce_i, &body).after(&self.said);
        let profile = &self.order.profile;
        if let Some(known) = &self.resumed {
            let proven = octets.verify_resumed(&self.auth, Role::Responder, auth.data);
            let right = proven.is_ok() && Identity::from_wire(id.kind.0, id.data) == *known;
            return right.then(|| (known.clone(), Proof::Given)).ok_or(ConnectError::Refused(AuthRefusal::BadAuth));
        }
        let (proofs, secret) = (&profile.proofs, profile.psk.expose());
        let proof = proof::check(&proofs.remote, proofs.rsa_sha1, secret, &octets, auth, payloads)
            .map_err(ConnectError::Refused)?;
        let identity = Identity::from_wire(id.kind.0, id.data);
        match profile.remote_id.matches(&identity) {
            true => Ok((identity, proof)),
            false => Err(ConnectError::Refused(AuthRefusal::WrongIdentity)),
        }
    }

    /// Does the peer use the PPK? Then it is part of the keys from now on.
    pub fn heed_ppk(&mut self, payloads: &Payloads<'_>) -> Result<(), AuthRefusal> {
        let used = payloads.has(NotifyType::PPK_IDENTITY);
        match (self.mixed.take(), self.order.ppk()) {
            (Some(mixed), Some(ppk)) if used => {
                self.channel.mix(ppk.key.expose()).map_err(|_| AuthRefusal::Incomplete)?;
                self.auth = mixed;
                Ok(())
            }
            (_, Some(ppk)) if ppk.required && payloads.authentication().is_some() => Err(AuthRefusal::NoPpk),
            _ => Ok(()),
        }
    }
}

/// Why an answer lacks what it should have.
#[must_use]
pub fn error_of(payloads: &Payloads<'_>) -> ConnectError {
    match payloads.notifies().find(|notify| notify.kind.is_error()) {
        Some(notify) if notify.kind == NotifyType::AUTHENTICATION_FAILED => ConnectError::PeerRefusedAuth,
        Some(notify) => ConnectError::PeerError(notify.kind.to_string()),
        None => ConnectError::Refused(AuthRefusal::Incomplete),
    }
}

/// Time has passed: again, or give up.
pub fn on_timeout(sa: &mut Sa, ctx: &mut Context, now: Nanos) {
    let Sa::AwaitAuthAnswer(asking) = sa else { return };
    if asking.awaits().is_some() {
        if now >= asking.deadline()
            && let Sa::AwaitAuthAnswer(asking) = core::mem::replace(sa, Sa::Ended)
        {
            ctx.counters.questions_expired += 1;
            asking.refuse(ctx, AuthRefusal::Undecided);
        }
    } else if now >= asking.give_up() {
        if let Sa::AwaitAuthAnswer(asking) = core::mem::replace(sa, Sa::Ended) {
            let tried_for = now.since(asking.order.since);
            asking.fail(ctx, ConnectError::NoAnswer { tried_for, heard: None });
        }
    } else if now >= asking.retry.next {
        if fallback::is_due(asking.path, &asking.order.paths, asking.retry.tries) {
            return fallback::begin_anew(sa, ctx, now);
        }
        asking.retry.again(now, &asking.order.profile.retransmit, &mut ctx.random);
        ctx.send_again(asking.path, Arc::clone(&asking.request));
    }
}

/// The answer came; the holder of the keys made it.
pub fn on_answer(sa: &mut Sa, ctx: &mut Context, now: Nanos, opened: &Opened<'_>) {
    let payloads = &opened.payloads().unwrap_or_default();
    let Sa::AwaitAuthAnswer(mut asking) = core::mem::replace(sa, Sa::Ended) else { return };
    if payloads.has(NotifyType::UNEXPECTED_NAT_DETECTED) {
        asking.child.release(ctx);
        let Authenticating { order, id, path, .. } = *asking;
        *sa = init_initiator::restart(ctx, now, id, order, path);
        return;
    }
    if asking.resumed.is_some() && payloads.authentication().is_none() {
        asking.child.release(ctx);
        let Authenticating { order, id, path, .. } = *asking;
        *sa = resuming::begin_anew(ctx, now, id, order, path);
        return;
    }
    if asking.eap.is_some() {
        *sa = Sa::AwaitAuthAnswer(asking);
        return eap_initiator::on_answer(sa, ctx, now, payloads);
    }
    // With EAP it comes at the end (RFC 8784 section 3).
    let heeded = if eap_initiator::is_wanted(&asking) { Ok(()) } else { asking.heed_ppk(payloads) };
    if let Err(why) = heeded {
        return asking.refuse(ctx, why);
    }
    let checked = match eap_initiator::is_alone(&asking) {
        true => eap_initiator::claimed(&asking, payloads).map(|id| (id, Proof::ByEap)),
        false => asking.check(payloads),
    };
    match checked {
        Ok((id, Proof::Given)) if asking.order.profile.proofs.judged => {
            *sa = await_verdict(ctx, now, asking, opened, (id, None));
        }
        Ok((id, Proof::Given | Proof::ByEap)) => {
            let round_trip = (asking.retry.tries == 1).then(|| now.since(asking.retry.sent));
            believe(sa, ctx, now, asking, Peer { id, proven: Box::default(), round_trip }, payloads);
        }
        Ok((id, Proof::Signed(key))) => *sa = await_verdict(ctx, now, asking, opened, (id, Some(key))),
        Err(ConnectError::Refused(why)) => {
            asking.order.compared = Some(Box::new(compare::of_answer(&asking.order.profile, payloads, &why)));
            asking.refuse(ctx, why);
        }
        Err(why) => asking.fail(ctx, why),
    }
}

/// Ask the control plane about the peer.
fn await_verdict(
    ctx: &mut Context,
    now: Nanos,
    mut asking: Box<Authenticating>,
    opened: &Opened<'_>,
    peer: (Identity, Option<PublicKey>),
) -> Sa {
    let Order { profile_id, .. } = asking.order;
    let asked = Asked { sa: asking.id, profile: profile_id, role: Role::Initiator, path: asking.path };
    let parked = opened.keep().and_then(|kept| proof::park(ctx, now, asked, peer, kept));
    asking.parked = parked.map(Box::new);
    Sa::AwaitAuthAnswer(asking)
}

/// The control plane has judged the peer.
pub fn on_verdict(sa: &mut Sa, ctx: &mut Context, now: Nanos, verdict: Verdict) {
    let Sa::AwaitAuthAnswer(asking) = sa else { return };
    let Some(parked) = asking.parked.take() else { return };
    let Sa::AwaitAuthAnswer(asking) = core::mem::replace(sa, Sa::Ended) else { return };
    match (parked.judge(verdict), parked.message.payloads()) {
        (Ok((proven, _)), Ok(payloads)) => {
            // The time that the verdict took says nothing about the path.
            let peer = Peer { id: parked.peer_id.clone(), proven, round_trip: None };
            believe(sa, ctx, now, asking, peer, &payloads);
        }
        (Err(why), _) => asking.refuse(ctx, why),
        (Ok(_), Err(_)) => asking.refuse(ctx, AuthRefusal::Incomplete),
    }
}

/// The peer's first answer shows who it is. Have we shown who we are?
fn believe(
    sa: &mut Sa,
    ctx: &mut Context,
    now: Nanos,
    asking: Box<Authenticating>,
    peer: Peer,
    payloads: &Payloads<'_>,
) {
    if eap_initiator::is_wanted(&asking) {
        if let Some(to) = redirect::in_first_answer(&asking, payloads) {
            *sa = redirect::leave(ctx, *asking, to);
            return;
        }
        *sa = Sa::AwaitAuthAnswer(asking);
        eap_initiator::begin(sa, ctx, now, peer, payloads);
    } else {
        *sa = settle(ctx, now, *asking, peer, payloads);
    }
}

/// Both have shown who they are. `payloads` are of the last answer.
pub fn settle(ctx: &mut Context, now: Nanos, asking: Authenticating, peer: Peer, payloads: &Payloads<'_>) -> Sa {
    if let Some(to) = redirect::in_auth(&asking.order, payloads) {
        return redirect::leave(ctx, asking, to);
    }
    Sa::Established(Box::new(establish(ctx, now, asking, peer, payloads)))
}

/// A peer that proved who it is.
#[derive(Debug)]
pub struct Peer {
    /// Who.
    pub id: Identity,
    /// Addresses that need no further proof.
    pub proven: Box<[IpAddr]>,
    /// Of the first request, if it went once.
    pub round_trip: Option<Duration>,
}

fn establish(
    ctx: &mut Context,
    now: Nanos,
    asking: Authenticating,
    peer: Peer,
    payloads: &Payloads<'_>,
) -> Established {
    let Peer { id: peer_id, proven, round_trip } = peer;
    let child = first_child::read(&asking, payloads);
    let Authenticating { order, id, suite, channel, path, nat, natt, auth_id, child: asked, resumed, .. } = asking;
    ctx.counters.sessions_resumed += u64::from(resumed.is_some());
    let useless = child.is_err() && !first_child::outlives_refusal(&order.profile, asked);
    if let (true, Err(why)) = (useless, &child) {
        fail(ctx, &order, path, ConnectError::NoChildSa(why.clone()));
    }
    let mobike = order.profile.agrees_on_mobike() && payloads.has(NotifyType::MOBIKE_SUPPORTED);
    let about = About { path: Some(path), sa: Some(id) };
    let leases = configuration::heed(ctx, now, about, &order.profile, payloads);
    let peer_addresses = addresses::read(ctx, now, about, payloads).unwrap_or_default();
    let old = order.old.as_ref().map(|old| old.sa);
    let mut established = Established::new(Setup {
        id,
        channel,
        profile_id: order.profile_id,
        token: order.token(),
        suite,
        auth_id,
        peer_id,
        path,
        nat,
        natt,
        proven,
        round_trip,
        mobility: if mobike { Mobility::Initiator } else { Mobility::Off },
        extensions: agreed_extensions(mobike, &order.profile, payloads),
        redirects: false,
        syncs: sync::is_agreed(&order.profile, payloads),
        profile: order.profile,
        peer_addresses,
        leases,
        family: Family::default(),
        now,
    });
    established.requests.widen(window_of(payloads));
    established.proof_lasts = reauth::read(payloads);
    tickets::keep(&mut established, now, payloads);
    if useless {
        // The peer has an IKE SA now, and must be told that it is over.
        asked.release(ctx);
        ctx.counters.child_refused += 1;
        established.discard(ctx, now);
        return established;
    }
    ctx.counters.ike_sas_up += 1;
    ctx.events.push_back(Event::IkeSaUp(Box::new(established.as_up())));
    let unmade = first_child::report_own(&mut established, ctx, now, asked, child);
    if let first_child::Asked::Later = asked {
        first_child::open_now(&mut established, ctx, now, old);
    }
    established.begin_lifetimes(ctx, now);
    match (asked, old) {
        (first_child::Asked::Later, _) | (_, None) => {}
        (first_child::Asked::One(_), Some(old)) if established.family.len(ctx) == 0 => {
            ctx.reauth.failed.push((old, "no Child SA".into()));
        }
        (first_child::Asked::One(_), Some(old)) => ctx.reauth.done.push((old, id)),
    }
    if let Some(spi_in) = unmade.filter(|_| payloads.sa().is_some()) {
        // The peer may have made it; tell it that we did not.
        established.ask(ctx, now, Ask::DeleteChild { spi_in, spi_out: 0 });
    }
    if mobike && nat.we_are_behind {
        // Learn at once how the peer sees us on the NAT traversal port, so that a later answer has something to differ
        // from (RFC 4555 section 3.8); IKE_SA_INIT went through another mapping.
        established.ask(ctx, now, Ask::Liveness);
    }
    established
}
