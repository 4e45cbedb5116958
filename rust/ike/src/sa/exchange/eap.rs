//! What both roles of an EAP conversation inside IKE_AUTH share (RFC 7296 section 2.16).
//!
//! The engine carries the packets, counts the rounds and watches the clock. What a packet means only the control plane
//! knows: each one is a parked question ([`Event::Eap`]), answered by [`Command::Eap`](crate::Command::Eap) with the next
//! packet, with the key that the method agreed on, or with a refusal. Nobody else's word ends a conversation well.

use crate::Nanos;
use crate::crypto::auth::SignedOctets;
use crate::crypto::{AuthKeys, PrfKey, Role, SecretBytes};
use crate::eap::{EapPacket, EapReply};
use crate::event::{AuthRefusal, EapAsked, Event, NoticeKind};
use crate::id::{Identity, Question};
use crate::sa::Sa;
use crate::sa::context::{About, Context};
use crate::sa::exchange::proof::{Asked, Ours};
use crate::sa::exchange::{eap_initiator, eap_responder};
use crate::table::parking::Ticket;
use crate::wire::{AuthMethod, Authentication, Eap};

/// Packets of the peer in one conversation: a chain of certificates in small pieces both ways is half of it.
pub const MOST_ROUNDS: u8 = 100;

/// Where a conversation is.
#[derive(Debug)]
pub struct Talk {
    /// Its place among the questions; it has one from beginning to end.
    place: Ticket,
    /// The open question, and when it is no longer worth an answer.
    open: Option<(Question, Nanos)>,
    rounds: u8,
    /// When it must be over.
    until: Nanos,
    agreed: Option<Agreed>,
}

/// The method has ended well.
#[derive(Debug)]
struct Agreed {
    /// Its MSK; some methods make none.
    key: Option<SecretBytes>,
}

impl Talk {
    /// Begin, if there is room. `octets` is what is kept meanwhile.
    pub fn begin(ctx: &mut Context, now: Nanos, asked: &Asked, octets: usize) -> Option<Talk> {
        let limits = ctx.settings.questions;
        let place = ctx.parking.ticket(&limits, octets);
        if place.is_none() {
            ctx.counters.dropped_questions_limit += 1;
            let about = About { path: Some(asked.path), sa: Some(asked.sa) };
            ctx.notice(now, about, NoticeKind::Limit, || "IKE_AUTH dropped: too many peers wait to be judged".into());
        }
        Some(Talk { place: place?, open: None, rounds: 0, until: now + limits.conversation, agreed: None })
    }

    /// Ask what to say to this packet; without one, what to begin with.
    pub fn ask(
        &mut self,
        ctx: &mut Context,
        now: Nanos,
        asked: Asked,
        peer_id: &Identity,
        packet: Option<&Eap<'_>>,
    ) -> Result<(), AuthRefusal> {
        let packet = match packet.map(EapPacket::of) {
            Some(None) => return Err(AuthRefusal::Eap("sent a packet that is too long")),
            Some(packet) => packet,
            None => None,
        };
        if self.rounds >= MOST_ROUNDS {
            return Err(AuthRefusal::Eap("did not come to an end"));
        }
        self.rounds += 1;
        let question = match self.rounds {
            1 => self.place.question,
            _ => ctx.parking.number(),
        };
        self.open = Some((question, (now + ctx.settings.questions.patience).min(self.until)));
        ctx.counters.questions_asked += 1;
        let Asked { sa, profile, role, path } = asked;
        let peer_id = peer_id.clone();
        ctx.events.push_back(Event::Eap(Box::new(EapAsked { question, sa, profile, role, peer_id, path, packet })));
        Ok(())
    }

    /// The open question.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        self.open.map(|(question, _)| question)
    }

    /// When the open question is over, or else the conversation.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        self.open.map_or(self.until, |(_, until)| until)
    }

    /// The question was answered, or nobody will.
    pub fn close_question(&mut self) {
        self.open = None;
    }

    /// The method has ended well, with this key.
    pub fn agree(&mut self, key: Option<SecretBytes>) {
        self.agreed = Some(Agreed { key });
    }

    /// Did the method end well?
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// AUTH of one end: by the MSK, or by SK_pi and SK_pr where the method makes no key (RFC 7296 section 2.16).
    fn auth(&self, keys: &AuthKeys, signer: Role, octets: &SignedOctets<'_>) -> Option<PrfKey> {
        let agreed = self.agreed.as_ref()?;
        Some(match &agreed.key {
            Some(key) => octets.shared_key_auth(key.expose()),
            None => octets.shared_key_auth(keys.of(signer).expose()),
        })
    }

    /// Ours.
    #[must_use]
    pub fn ours(&self, keys: &AuthKeys, we_are: Role, octets: &SignedOctets<'_>) -> Option<Ours> {
        self.auth(keys, we_are, octets).map(|auth| Ours::shared_key(&auth))
    }

    /// Is the peer's right?
    pub fn check(
        &self,
        keys: &AuthKeys,
        peer_is: Role,
        octets: &SignedOctets<'_>,
        auth: &Authentication<'_>,
    ) -> Result<(), AuthRefusal> {
        if auth.method != AuthMethod::SHARED_KEY {
            return Err(AuthRefusal::WrongMethod);
        }
        let wanted = self.auth(keys, peer_is, octets).ok_or(AuthRefusal::Incomplete)?;
        let given = PrfKey::from_slice(auth.data).ok_or(AuthRefusal::BadAuth)?;
        if wanted == given { Ok(()) } else { Err(AuthRefusal::BadAuth) }
    }
}

/// The control plane says what comes next.
pub fn on_reply(sa: &mut Sa, ctx: &mut Context, now: Nanos, reply: EapReply) {
    match sa {
        Sa::AwaitAuth(half) => eap_responder::on_reply(half, ctx, now, reply),
        Sa::AwaitAuthAnswer(_) => eap_initiator::on_reply(sa, ctx, now, reply),
        Sa::AwaitInitAnswer(_) | Sa::AwaitIntermediateAnswer(_) | Sa::Established(_) | Sa::Ended => {}
    }
}
