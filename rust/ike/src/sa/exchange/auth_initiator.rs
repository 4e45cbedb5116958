//! IKE_AUTH as the one who asks (RFC 7296 section 1.2).
//!
//! ```text
//! HDR, SK { IDi, [CERT..], [N(INITIAL_CONTACT)], [CERTREQ], [IDr], AUTH, [CP], SAi2, TSi, TSr,
//!           [N(MOBIKE_SUPPORTED)], [N(ADDITIONAL_*)] }   -->
//!                 <--   HDR, SK { IDr, [CERT..], AUTH, [CP], SAr2, TSi, TSr, [N(MOBIKE_SUPPORTED)], [N(ADDITIONAL_*)] }
//! ```

mod asking;
mod settling;

pub use settling::{Peer, settle};

use std::sync::Arc;

use crate::crypto::auth::{Intermediate, SignedOctets};
use crate::crypto::puzzle::SOLUTION_LEN;
use crate::crypto::{AuthKeys, Hashes, IkeSuite, PublicKey, Role};
use crate::event::{AuthRefusal, ConnectError, NatView};
use crate::id::{Identity, Question, SaId};
use crate::sa::Sa;
use crate::sa::channel::{Channel, Opened, Outgoing};
use crate::sa::context::Context;
use crate::sa::exchange::eap::Talk;
use crate::sa::exchange::eap_initiator::Conversation;
use crate::sa::exchange::first_child;
use crate::sa::exchange::init_initiator::{Order, resuming};
use crate::sa::exchange::proof::{self, Asked, Parked, Proof};
use crate::sa::exchange::{addresses, compare, eap_initiator, fallback, init_initiator, redirect};
use crate::sa::path::Detected;
use crate::sa::timers::{Retry, patience};
use crate::sa::trace::{Step, Topic};
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
    match asking::prepare(ctx, now, agreed) {
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

    /// Nobody has answered, and the order begins anew.
    pub fn note_in_vain(&mut self) {
        self.order.trace.in_vain(Topic::Auth, Step::of(self.auth_id, &self.retry));
    }

    /// The order behind it.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Repeated more than once, and no answer: the peer is not slow to decide, but not there.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.parked.is_none() && self.retry.is_in_vain()
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
    let refused = payloads.notifies().find(|notify| notify.kind.is_error()).map(|notify| notify.kind);
    asking.order.trace.set_up(now, Topic::Auth, Step::of(asking.auth_id, &asking.retry), refused);
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
            let round_trip = Some(asking.retry.took(now));
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
