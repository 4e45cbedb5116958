//! EAP as the one who is authenticated (RFC 7296 section 2.16); the messages are drawn in `eap_responder`.
//!
//! The gateway proves who it is first, in its first answer, and only then it hears anything of the method; where it proves
//! itself by the method alone (RFC 5998), that is the profile's word that the method can.

use crate::Nanos;
use crate::crypto::auth::SignedOctets;
use crate::crypto::{AuthKeys, Role};
use crate::eap::EapReply;
use crate::event::{AuthRefusal, ConnectError};
use crate::id::Identity;
use crate::proofs::{LocalProof, RemoteProof};
use crate::sa::Sa;
use crate::sa::context::Context;
use crate::sa::exchange::auth_initiator::{self, Authenticating, Peer, error_of, id_body, received_id_body};
use crate::sa::exchange::eap::Talk;
use crate::sa::exchange::ppk;
use crate::sa::exchange::proof::{Asked, Ours};
use crate::wire::{EapCode, Payload, Payloads};

/// We prove ourselves by EAP, and the gateway has shown who it is.
#[derive(Debug)]
pub struct Conversation {
    pub(super) talk: Talk,
    /// Who it is.
    pub(super) peer: Peer,
    /// The body of its IDr, which its AUTH covers.
    id_body: Box<[u8]>,
}

/// Do we prove ourselves by EAP?
#[must_use]
pub fn is_wanted(asking: &Authenticating) -> bool {
    asking.resumed.is_none() && matches!(asking.order().profile.proofs.local, LocalProof::Eap)
}

/// Does the gateway prove itself by EAP alone? Only by a conversation of which we are the other end.
#[must_use]
pub fn is_alone(asking: &Authenticating) -> bool {
    is_wanted(asking) && matches!(asking.order().profile.proofs.remote, RemoteProof::Eap)
}

/// Who the gateway says it is, where its proof comes at the end.
pub fn claimed(asking: &Authenticating, payloads: &Payloads<'_>) -> Result<Identity, ConnectError> {
    let id = payloads.id_responder().ok_or_else(|| error_of(payloads))?;
    let identity = Identity::from_wire(id.kind.0, id.data);
    match asking.order().profile.remote_id.matches(&identity) {
        true => Ok(identity),
        false => Err(ConnectError::Refused(AuthRefusal::WrongIdentity)),
    }
}

/// The gateway's first answer is good: hear what it wants to know.
pub fn begin(sa: &mut Sa, ctx: &mut Context, now: Nanos, peer: Peer, payloads: &Payloads<'_>) {
    let Sa::AwaitAuthAnswer(mut asking) = core::mem::replace(sa, Sa::Ended) else { return };
    let Some(id_body) = payloads.id_responder().map(received_id_body) else {
        return asking.refuse(ctx, AuthRefusal::Incomplete);
    };
    let Some(talk) = Talk::begin(ctx, now, &asked(&asking), 0) else {
        return asking.refuse(ctx, AuthRefusal::Undecided);
    };
    let conversation = Conversation { talk, peer, id_body: id_body.into() };
    asking.eap = Some(Box::new(conversation));
    *sa = Sa::AwaitAuthAnswer(asking);
    on_answer(sa, ctx, now, payloads);
}

/// An answer of the gateway in the conversation; the holder of the keys made it.
pub fn on_answer(sa: &mut Sa, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    let Sa::AwaitAuthAnswer(mut asking) = core::mem::replace(sa, Sa::Ended) else { return };
    let Some(mut conversation) = asking.eap.take() else { return };
    if conversation.talk.is_agreed() {
        if let Err(why) = asking.heed_ppk(payloads) {
            return asking.refuse(ctx, why);
        }
        return match verify(&asking, &conversation, payloads) {
            Ok(()) => *sa = auth_initiator::settle(ctx, now, *asking, conversation.peer, payloads),
            Err(ConnectError::Refused(why)) => asking.refuse(ctx, why),
            Err(why) => asking.fail(ctx, why),
        };
    }
    let outcome = match payloads.eap() {
        Some(packet) if packet.code == EapCode::RESPONSE => {
            Err(ConnectError::Refused(AuthRefusal::Eap("is an answer to nothing")))
        }
        Some(packet) => {
            let asked = asked(&asking);
            let said = conversation.talk.ask(ctx, now, asked, &conversation.peer.id, Some(packet));
            said.map_err(ConnectError::Refused)
        }
        None => Err(error_of(payloads)),
    };
    asking.eap = Some(conversation);
    match outcome {
        Ok(()) => *sa = Sa::AwaitAuthAnswer(asking),
        Err(ConnectError::Refused(why)) => asking.refuse(ctx, why),
        Err(why) => asking.fail(ctx, why),
    }
}

/// The control plane says what comes next.
pub fn on_reply(sa: &mut Sa, ctx: &mut Context, now: Nanos, reply: EapReply) {
    let Sa::AwaitAuthAnswer(mut asking) = core::mem::replace(sa, Sa::Ended) else { return };
    let Some(mut conversation) = asking.eap.take() else { return };
    conversation.talk.close_question();
    let outcome = match reply {
        EapReply::Send { packet, .. } => match packet.read(EapCode::RESPONSE) {
            Some(packet) => asking.ask_again(ctx, now, |writer| writer.push(&Payload::Eap(packet))),
            None => Err(AuthRefusal::Denied("the EAP method here made no answer".into())),
        },
        EapReply::Agreed { key, .. } => {
            conversation.talk.agree(key);
            prove(&mut asking, ctx, now, &conversation)
        }
        EapReply::Failed { why } => Err(AuthRefusal::Denied(why)),
    };
    asking.eap = Some(conversation);
    match outcome {
        Ok(()) => *sa = Sa::AwaitAuthAnswer(asking),
        Err(why) => asking.refuse(ctx, why),
    }
}

/// AUTH: we hold the key of the method.
fn prove(
    asking: &mut Authenticating,
    ctx: &mut Context,
    now: Nanos,
    conversation: &Conversation,
) -> Result<(), AuthRefusal> {
    let body = id_body(&asking.order().profile.local_id);
    let by = |keys: &AuthKeys| {
        let octets =
            SignedOctets::new(keys, Role::Initiator, &asking.init_request, &asking.nonce_r, &body).after(&asking.said);
        conversation.talk.ours(keys, Role::Initiator, &octets).ok_or(AuthRefusal::Incomplete)
    };
    let ours = by(asking.mixed.as_ref().unwrap_or(&asking.auth))?;
    let ppk = asking.order().ppk().filter(|_| asking.mixed.is_some()).cloned();
    let without = ppk.as_ref().filter(|ppk| !ppk.required).map(|_| by(&asking.auth)).transpose()?;
    asking.ask_again(ctx, now, |writer| {
        writer.push(&ours.payload());
        if let Some(ppk) = &ppk {
            ppk::write(writer, ppk, without.as_ref().map(Ours::data));
        }
    })
}

/// Does the gateway hold it too?
fn verify(asking: &Authenticating, conversation: &Conversation, payloads: &Payloads<'_>) -> Result<(), ConnectError> {
    let auth = payloads.authentication().ok_or_else(|| error_of(payloads))?;
    let id_body = &conversation.id_body;
    let octets = SignedOctets::new(&asking.auth, Role::Responder, &asking.init_answer, &asking.nonce_i, id_body)
        .after(&asking.said);
    let checked = conversation.talk.check(&asking.auth, Role::Responder, &octets, auth);
    checked.map_err(|why| {
        ConnectError::Refused(match why {
            AuthRefusal::BadAuth => AuthRefusal::Eap("ended well, and its AUTH does not match the key of the method"),
            other => other,
        })
    })
}

fn asked(asking: &Authenticating) -> Asked {
    Asked { sa: asking.id, profile: asking.order().profile_id, role: Role::Initiator, path: asking.path }
}
