//! IKE_SESSION_RESUME as the one who answers (RFC 5723 section 4.3), and IKE_AUTH after it.
//!
//! ```text
//! HDR(A,0), [N(COOKIE)], Ni, N(TICKET_OPAQUE), N(NATD)..   -->
//!                                                          <--   HDR(A,B), Nr, N(NATD)..
//! or                                                       <--   HDR(A,0), N(COOKIE) | N(TICKET_NACK)
//! HDR(A,B), SK { IDi, AUTH, .. }                           -->
//! ```
//!
//! A stranger costs what it costs in IKE_SA_INIT, without the key pair: behind the cookie gate a ticket is opened, and a
//! half-open SA waits for IKE_AUTH. A ticket is used up by an IKE_AUTH that proves the keys, not by whoever shows it.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::crypto::auth::SignedOctets;
use crate::crypto::{Nonces, Role, SkeySeed, Spis};
use crate::event::AuthRefusal;
use crate::id::{Identity, ProfileId};
use crate::profile::{Pool, Profile};
use crate::sa::Sa;
use crate::sa::channel::Channel;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::auth_initiator::received_id_body;
use crate::sa::exchange::auth_responder::Peer;
use crate::sa::exchange::configuration::{Had, Leases};
use crate::sa::exchange::init_responder::{self, HalfOpen, Placed, Secret};
use crate::sa::exchange::intermediate_responder::Steps;
use crate::sa::exchange::proof::Ours;
use crate::sa::exchange::redirect;
use crate::sa::exchange::tickets::Contents;
use crate::sa::path::{NatHashes, detect};
use crate::sa::trace::{Opening, Trace};
use crate::wire::{
    AuthMethod, ExchangeType, Flags, Header, Message, MessageWriter, Nonce, NotifyType, Payload, Payloads,
};
use crate::{Nanos, Path};

/// A ticket that is good, and the standing orders it is for.
pub struct Resumed {
    contents: Contents,
    profile_id: ProfileId,
    profile: Arc<Profile>,
    tag: [u8; 16],
    /// Inner addresses that the IKE SA before holds still, and of which pool.
    heritage: (Leases, Option<Pool>),
}

impl core::fmt::Debug for Resumed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Resumed {{ peer_id: {}, .. }}", self.contents.peer_id)
    }
}

/// Look at the ticket. `None`: answered without leaving a trace, or dropped.
pub fn judge(ctx: &mut Context, now: Nanos, path: Path, message: &Message<'_>) -> Option<Resumed> {
    let payloads = &message.payloads;
    let (Some(ticket), Some(_)) = (payloads.notify(NotifyType::TICKET_OPAQUE), payloads.nonce()) else {
        ctx.counters.dropped_malformed += 1;
        return None;
    };
    let resumed = accept(ctx, now, path, ticket.data);
    if resumed.is_none() {
        ctx.counters.tickets_refused += 1;
        init_responder::refuse(ctx, path, &message.header, NotifyType::TICKET_NACK, &[]);
    }
    resumed
}

fn accept(ctx: &Context, now: Nanos, path: Path, ticket: &[u8]) -> Option<Resumed> {
    let contents = Contents::read(&ctx.mint.open(ticket)?).ok()?;
    let (id, profile) = ctx.profiles.iter().find(|(_, profile)| profile.name == contents.profile)?;
    let time = ctx.mint.time(now);
    // The operator may have changed his mind since.
    let holds = profile.accepts
        && !profile.resumption.lifetime.is_zero()
        && profile.resumption.rests_on == contents.rests_on
        && profile.remote_id.matches(&contents.said_id)
        && profile.ike_suites.contains(&contents.suite)
        && profile.paths.judge(path).is_ok();
    let young = time < contents.until && (contents.proof_until == 0 || time < contents.proof_until);
    let (profile_id, profile, tag) = (*id, Arc::clone(profile), *ticket.last_chunk()?);
    (holds && young).then_some(Resumed { contents, profile_id, profile, tag, heritage: Default::default() })
}

/// Answer the request with a half-open SA.
pub fn answer(
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    bytes: &[u8],
    message: &Message<'_>,
    resumed: Resumed,
    placed: Placed,
) -> Option<HalfOpen> {
    let payloads = &message.payloads;
    let nonce_i = payloads.nonce()?.octets();
    let nonce_r = crate::crypto::kex::fresh_nonce(&mut ctx.random);
    let spi_i = message.header.initiator_spi;
    let spis = Spis { initiator: spi_i, responder: placed.spi_r };
    let suite = resumed.contents.suite;
    let nonces = Nonces::new(nonce_i, &nonce_r).ok()?;
    let keys = SkeySeed::resumed(&resumed.contents.sk_d, &nonces).expand(&suite, &nonces, spis).ok()?;
    let mut channel = Channel::new(spis, Role::Responder, keys.0);
    let fragments = payloads.has(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED);
    if fragments {
        channel.use_fragments();
    }
    channel.take_stream(path.is_stream());
    let detected = detect(payloads, Spis { initiator: spi_i, responder: 0 }, path);
    let detected = detected.filter(|_| resumed.profile.paths.nat_traversal);
    let answer = write_answer(ctx, path, spis, &nonce_r, detected.is_some(), fragments)?;
    ctx.counters.init_answered += 1;
    ctx.send(path, Arc::clone(&answer));
    Some(HalfOpen {
        id: placed.id,
        asker: placed.asker,
        spis,
        suite,
        opening: Opening::by(now, message),
        trace: Trace::default(),
        nonce_i: init_responder::range_in(bytes, nonce_i)?,
        public_i: 0..0,
        request: bytes.into(),
        answer,
        nonce_r,
        nat: detected.map(|detected| detected.nat).unwrap_or_default(),
        natt: detected.is_some(),
        puzzle: None,
        hashes: None,
        ppk: false,
        mixed: false,
        fragments,
        redirects: redirect::is_known(payloads),
        stream: path.is_stream(),
        secret: Secret::Keys(Box::new((channel, keys.1))),
        steps: Steps::default(),
        refusal: None,
        sent_on: false,
        parked: None,
        eap: None,
        resumed: Some(Box::new(resumed)),
        auth_id: 1,
        last_answer: None,
        expires: now + ctx.settings.half_open.lifetime,
    })
}

fn write_answer(
    ctx: &mut Context,
    path: Path,
    spis: Spis,
    nonce_r: &[u8; 32],
    natt: bool,
    fragments: bool,
) -> Option<Arc<[u8]>> {
    let flags = Flags { initiator: false, version: false, response: true };
    let header = Header::new(spis.initiator, spis.responder, ExchangeType::IKE_SESSION_RESUME, flags, 0);
    let mut writer = MessageWriter::reuse(&header, core::mem::take(&mut ctx.buffer));
    writer.push(&Payload::Nonce(Nonce::new(nonce_r)?));
    if natt {
        NatHashes::of(spis, path).payloads().iter().for_each(|payload| writer.push(payload));
    }
    if fragments {
        writer.push(&Payload::notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]));
    }
    if ctx.accepts_childless {
        writer.push(&Payload::notify(NotifyType::CHILDLESS_IKEV2_SUPPORTED, &[]));
    }
    ctx.buffer = writer.finish().ok()?;
    Some(Arc::from(ctx.buffer.as_slice()))
}

impl Resumed {
    /// Is the IKE_AUTH from whom the ticket was given to?
    pub fn authenticate(&self, half: &HalfOpen, path: Path, payloads: &Payloads<'_>) -> Result<Peer, AuthRefusal> {
        let (Some(id), Some(auth)) = (payloads.id_initiator(), payloads.authentication()) else {
            return Err(AuthRefusal::Incomplete);
        };
        let body = received_id_body(id);
        let keys = half.auth_keys()?;
        let octets = SignedOctets::new(keys, Role::Initiator, &half.request, &half.nonce_r, &body);
        if auth.method != AuthMethod::SHARED_KEY {
            return Err(AuthRefusal::WrongMethod);
        }
        octets.verify_resumed(keys, Role::Initiator, auth.data).map_err(|_| AuthRefusal::BadAuth)?;
        let known = Identity::from_wire(id.kind.0, id.data) == self.contents.said_id;
        let wanted = payloads.id_responder();
        if !known || wanted.is_some_and(|id| !self.profile.local_id.is_wire(id.kind.0, id.data)) {
            return Err(AuthRefusal::WrongIdentity);
        }
        self.profile.paths.judge(path).map_err(|_| AuthRefusal::WrongAddress)?;
        let mut peer = Peer::new(self.contents.peer_id.clone(), self.profile_id, Arc::clone(&self.profile), path);
        peer.granted.clone_from(&self.contents.granted);
        Ok(peer)
    }

    /// Our AUTH, by the keys that the ticket led to.
    pub fn prove(&self, half: &HalfOpen, id_body: &[u8]) -> Result<Ours, AuthRefusal> {
        let keys = half.auth_keys()?;
        let octets = SignedOctets::new(keys, Role::Responder, &half.answer, half.nonce_i(), id_body);
        Ok(Ours::shared_key(&octets.resumed_auth(keys, Role::Responder)))
    }

    /// When the proof that its peer gave once is too old, in seconds since 1970; 0: never.
    #[must_use]
    pub fn proof_until(&self) -> u64 {
        self.contents.proof_until
    }

    /// It is up: the ticket is used up, the IKE SA before is over, and the proof is as old as it was.
    pub fn come_up(&self, sa: &mut Established, ctx: &mut Context, now: Nanos) {
        ctx.counters.sessions_resumed += 1;
        ctx.mint.spend(self.tag);
        ctx.taken_up.push(self.contents.spis);
        if self.contents.proof_until > 0 {
            sa.due.proof_over = sa.due.proof_over.min(now + self.proof_left(ctx, now));
        }
    }

    /// How long that proof is taken for good; zero: for ever.
    #[must_use]
    pub fn proof_left(&self, ctx: &Context, now: Nanos) -> Duration {
        Duration::from_secs(self.contents.proof_until.saturating_sub(ctx.mint.time(now)))
    }

    /// Inner addresses that were named for its peer.
    #[must_use]
    pub fn granted(&self) -> &[IpAddr] {
        &self.contents.granted
    }

    /// Inner addresses that its peer goes on with, where it leases from the same pool as before.
    #[must_use]
    pub fn had(&self, pool: Option<&Pool>) -> Had<'_> {
        let (leases, of) = &self.heritage;
        let held = if of.as_ref() == pool { leases.clone() } else { Leases::default() };
        Had { held, before: &self.contents.leased }
    }

    /// The SPIs of the IKE SA that the ticket was given with, and whose pool it leased from.
    #[must_use]
    pub fn before(&self) -> (Spis, ProfileId) {
        (self.contents.spis, self.profile_id)
    }

    /// What that one holds now, if it is still there.
    pub fn inherit(&mut self, leases: Leases, of: Option<Pool>) {
        self.heritage = (leases, of);
    }
}

/// The IKE SA that a ticket was given with, if this is it. One that has other keys by now is another one: it ends as any
/// that a peer left behind.
#[must_use]
pub fn as_before(sa: &Sa, spis: Spis) -> Option<&Established> {
    match sa {
        Sa::Established(sa) if sa.channel.role == Role::Responder && sa.channel.spis == spis => Some(sa),
        _ => None,
    }
}
