//! EAP as the one who authenticates the peer (RFC 7296 section 2.16).
//!
//! ```text
//! HDR, SK { IDi, [CERTREQ], [IDr], SAi2, TSi, TSr }   -->        no AUTH: it wants EAP
//!                                          <--   HDR, SK { IDr, [CERT..], [AUTH], EAP }    no AUTH of ours: RFC 5998
//! HDR, SK { EAP }                                     -->
//!                                          <--   HDR, SK { EAP }                           ... and so on
//! HDR, SK { AUTH }                                    -->        by the MSK of the method
//!                                          <--   HDR, SK { AUTH, [CP], SAr2, TSi, TSr, .. }
//! ```
//!
//! The peer is a stranger to the end: it counts as half-open, and the first request, which the last answer belongs to, is
//! weighed among the parked messages.

use std::sync::Arc;

use crate::crypto::auth::SignedOctets;
use crate::crypto::{AuthKeys, Role};
use crate::eap::EapReply;
use crate::event::AuthRefusal;
use crate::id::{Identity, ProfileId, Question};
use crate::profile::Profile;
use crate::proofs::LocalProof;
use crate::sa::Sa;
use crate::sa::channel::{Opened, Plain};
use crate::sa::context::Context;
use crate::sa::exchange::auth_initiator::{id_body, received_id_body, with_id};
use crate::sa::exchange::auth_responder::{self, LINGER, Peer, deny, prove};
use crate::sa::exchange::eap::Talk;
use crate::sa::exchange::init_responder::HalfOpen;
use crate::sa::exchange::ppk::{self, Said};
use crate::sa::exchange::proof::{self, Asked, Ours};
use crate::sa::exchange::redirect;
use crate::terms::Terms;
use crate::wire::{Authentication, Eap, EapCode, NotifyType, Payload, Payloads};
use crate::{Nanos, Path};

/// A peer that proves itself by EAP.
#[derive(Debug)]
pub struct Conversation {
    talk: Talk,
    /// The first request.
    message: Plain<'static>,
    /// The body of its IDi, which the peer's AUTH covers.
    id_body: Box<[u8]>,
    profile_id: ProfileId,
    profile: Arc<Profile>,
    /// Who it said it is; in the end, who it proved to be.
    peer_id: Identity,
    /// What the control plane said of it.
    terms: Terms,
    /// Where the first request came from: the addresses of the IKE SA (RFC 4555 section 3.3).
    path: Path,
    /// Where the latest one did.
    answer_to: Path,
    /// Identifier of the peer's latest packet.
    identifier: u8,
    introduced: bool,
    /// People know that it fails.
    told: bool,
}

impl Conversation {
    /// The open question.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        self.talk.question()
    }

    /// When something must have happened.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        self.talk.deadline()
    }

    /// Tell people why it fails, once.
    fn tell(&mut self, half: &HalfOpen, ctx: &mut Context, now: Nanos, why: &AuthRefusal) {
        if !core::mem::replace(&mut self.told, true) {
            auth_responder::tell(half, ctx, now, self.answer_to, || self.peer_id.to_string(), why);
        }
    }

    fn asked(&self, half: &HalfOpen) -> Asked {
        Asked { sa: half.id, profile: self.profile_id, role: Role::Responder, path: self.path }
    }
}

/// The first request, from a peer that wants EAP. If too many wait already it is dropped, as if it had been lost.
pub fn begin(half: &mut HalfOpen, ctx: &mut Context, now: Nanos, path: Path, peer: Peer, opened: &Opened<'_>) {
    let (Some(message), Ok(payloads)) = (opened.keep(), opened.payloads()) else { return };
    let Some(id_body) = payloads.id_initiator().map(received_id_body) else { return };
    let Peer { id: peer_id, profile_id, profile, .. } = peer;
    if redirect::ahead_of_eap(half, ctx, &profile, path, proof::asks_for_staple(&payloads)) {
        return;
    }
    let asked = Asked { sa: half.id, profile: profile_id, role: Role::Responder, path };
    let Some(mut talk) = Talk::begin(ctx, now, &asked, message.len()) else { return };
    let begun = talk.ask(ctx, now, asked, &peer_id, None);
    half.linger(now + ctx.settings.questions.conversation + LINGER);
    half.eap = Some(Box::new(Conversation {
        talk,
        message,
        id_body: id_body.into(),
        profile_id,
        profile,
        peer_id,
        terms: Terms::default(),
        path,
        answer_to: path,
        identifier: 0,
        introduced: false,
        told: false,
    }));
    if let Err(why) = begun {
        fail(half, ctx, now, &why);
    }
}

/// One more request of the conversation; the holder of the keys made it.
pub fn on_request(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path, payloads: &Payloads<'_>) {
    let Sa::AwaitAuth(half) = sa else { return };
    let Some(mut conversation) = half.eap.take() else { return };
    conversation.answer_to = path;
    if conversation.talk.is_agreed() {
        return conclude(sa, ctx, now, *conversation, payloads);
    }
    let asked = conversation.asked(half);
    let outcome = match payloads.eap() {
        Some(packet) if packet.code == EapCode::RESPONSE => {
            conversation.identifier = packet.identifier;
            conversation.talk.ask(ctx, now, asked, &conversation.peer_id, Some(packet))
        }
        Some(_) => Err(AuthRefusal::Eap("is not an answer to what we asked")),
        None => Err(AuthRefusal::Incomplete),
    };
    half.eap = Some(conversation);
    if let Err(why) = outcome {
        fail(half, ctx, now, &why);
    }
}

/// The control plane says what comes next.
pub fn on_reply(half: &mut HalfOpen, ctx: &mut Context, now: Nanos, reply: EapReply) {
    let Some(mut conversation) = half.eap.take() else { return };
    conversation.talk.close_question();
    let outcome = match reply {
        EapReply::Send { packet, refused } => match packet.read(EapCode::REQUEST) {
            Some(packet) => {
                if let Some(why) = refused {
                    conversation.tell(half, ctx, now, &AuthRefusal::Denied(why));
                }
                say(half, ctx, now, &mut conversation, &packet)
            }
            None => Err(AuthRefusal::Denied("the EAP method here made no request".into())),
        },
        EapReply::Agreed { key, peer, terms } => {
            conversation.talk.agree(key);
            conversation.terms = terms;
            conversation.peer_id = peer.unwrap_or(conversation.peer_id);
            let success = ending(EapCode::SUCCESS, conversation.identifier);
            match conversation.introduced {
                true => say(half, ctx, now, &mut conversation, &success),
                false => Err(AuthRefusal::Denied("the EAP method here ended before it began".into())),
            }
        }
        EapReply::Failed { why } => Err(AuthRefusal::Denied(why)),
    };
    half.eap = Some(conversation);
    if let Err(why) = outcome {
        fail(half, ctx, now, &why);
    }
}

/// Time has passed: was it too much?
pub fn on_timeout(half: &mut HalfOpen, ctx: &mut Context, now: Nanos) -> bool {
    let Some(conversation) = half.eap.as_mut().filter(|conversation| conversation.deadline() <= now) else {
        return false;
    };
    match conversation.question() {
        Some(_) => {
            ctx.counters.questions_expired += 1;
            fail(half, ctx, now, &AuthRefusal::Undecided);
            true
        }
        // Nobody waits for an answer of ours: the half-open SA ends.
        None => false,
    }
}

/// An answer with this packet, the first one with our own proof.
fn say(
    half: &mut HalfOpen,
    ctx: &mut Context,
    now: Nanos,
    conversation: &mut Conversation,
    packet: &Eap<'_>,
) -> Result<(), AuthRefusal> {
    let profile = &conversation.profile;
    let by_eap_alone = matches!(profile.proofs.local, LocalProof::Eap);
    let introduce = !conversation.introduced;
    let ours = match introduce && !by_eap_alone {
        true => Some(prove(half, profile)?),
        false => None,
    };
    let stapled = conversation.message.payloads().is_ok_and(|first| proof::asks_for_staple(&first));
    let message = half.answer_header();
    let (channel, _) = half.keys().ok_or(AuthRefusal::Incomplete)?;
    let sealed = channel.seal(&mut ctx.buffer, message, |writer| {
        if introduce {
            with_id(&profile.local_id, |id| writer.push(&Payload::IdResponder(id)));
        }
        if let Some(ours) = &ours {
            proof::write_certificates(writer, profile, stapled);
            writer.push(&ours.payload());
        }
        writer.push(&Payload::Eap(*packet));
    });
    let bytes = sealed.map_err(|_| AuthRefusal::Denied("our EAP packet does not fit a message".into()))?;
    conversation.introduced = true;
    half.answered(now, Arc::clone(&bytes));
    ctx.send(conversation.answer_to, bytes);
    Ok(())
}

/// The peer's AUTH, which shows that it holds the key of the method.
fn conclude(sa: &mut Sa, ctx: &mut Context, now: Nanos, conversation: Conversation, payloads: &Payloads<'_>) {
    let Sa::AwaitAuth(half) = sa else { return };
    let checked = verify(half, &conversation, payloads);
    let Conversation { message, profile_id, profile, peer_id, terms, path, answer_to, .. } = conversation;
    match (checked, message.payloads()) {
        (Ok(ours), Ok(first)) => {
            let Some(profile) = terms.applied(&profile) else {
                let why = auth_responder::nothing_within_reach();
                return deny(half, ctx, now, answer_to, || peer_id.to_string(), &why);
            };
            let (id, proven, granted) = (peer_id, Box::default(), terms.addresses);
            let peer = Peer { id, profile_id, profile, proven, granted, answer_to, introduced: true };
            if auth_responder::is_kept_out(ctx, &peer, &first) {
                return deny(half, ctx, now, answer_to, || peer.id.to_string(), &AuthRefusal::Connected);
            }
            auth_responder::let_in(sa, ctx, now, path, peer, &ours, &first);
        }
        (Err(why), _) => deny(half, ctx, now, answer_to, || peer_id.to_string(), &why),
        (_, Err(_)) => deny(half, ctx, now, answer_to, || peer_id.to_string(), &AuthRefusal::Incomplete),
    }
}

/// Is the peer's AUTH right? Then ours.
fn verify(half: &mut HalfOpen, conversation: &Conversation, payloads: &Payloads<'_>) -> Result<Ours, AuthRefusal> {
    let auth = payloads.authentication().ok_or(AuthRefusal::Incomplete)?;
    match ppk::said(conversation.profile.ppk.as_ref(), half.ppk, auth, payloads) {
        Said::Wrong => Err(AuthRefusal::NoPpk),
        Said::None(auth) => verify_by(half, half.auth_keys()?, conversation, &auth),
        Said::Ours(ppk) => {
            let mixed = half.auth_keys()?.mixed(ppk.key.expose()).map_err(|_| AuthRefusal::Incomplete)?;
            let ours = verify_by(half, &mixed, conversation, auth)?;
            half.mix(ppk, mixed)?;
            Ok(ours)
        }
    }
}

fn verify_by(
    half: &HalfOpen,
    keys: &AuthKeys,
    conversation: &Conversation,
    auth: &Authentication<'_>,
) -> Result<Ours, AuthRefusal> {
    let talk = &conversation.talk;
    let octets = SignedOctets::new(keys, Role::Initiator, &half.request, &half.nonce_r, &conversation.id_body)
        .after(&half.steps.said);
    talk.check(keys, Role::Initiator, &octets, auth).map_err(|why| match why {
        AuthRefusal::BadAuth => AuthRefusal::Eap("ended well, and its AUTH does not match the key of the method"),
        other => other,
    })?;
    let body = id_body(&conversation.profile.local_id);
    let octets = SignedOctets::new(keys, Role::Responder, &half.answer, half.nonce_i(), &body).after(&half.steps.said);
    talk.ours(keys, Role::Responder, &octets).ok_or(AuthRefusal::Incomplete)
}

/// Over. Who has heard our name gets EAP's own word for it; the reason is for people here.
fn fail(half: &mut HalfOpen, ctx: &mut Context, now: Nanos, why: &AuthRefusal) {
    let Some(mut conversation) = half.eap.take() else { return };
    conversation.tell(half, ctx, now, why);
    let answer = match conversation.introduced {
        true => Payload::Eap(ending(EapCode::FAILURE, conversation.identifier)),
        false => Payload::notify(NotifyType::AUTHENTICATION_FAILED, &[]),
    };
    auth_responder::refuse(half, ctx, conversation.answer_to, &answer);
}

/// EAP's last word bears the identifier of the answer it is given to (RFC 3748 section 4.2).
fn ending(code: EapCode, identifier: u8) -> Eap<'static> {
    Eap { code, identifier, method: None, data: &[] }
}
