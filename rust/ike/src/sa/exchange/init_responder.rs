//! IKE_SA_INIT as the one who answers (RFC 7296 section 1.2).
//!
//! What a stranger can cost, in order: parsing; a hash when cookies are demanded; then one key pair and about a kilobyte
//! until the half-open SA expires. The shared secret is computed only when IKE_AUTH comes, so a spoofed request never
//! costs a key agreement. A repeated request gets the same bytes again.

use core::ops::Range;
use std::sync::Arc;

use crate::crypto::negotiate::{Chosen, Outcome};
use crate::crypto::{AuthKeys, Ephemeral, Hashes, IkeSuite, KeMethod, Nonces, Random, Role, SkeySeed, Spis};
use crate::event::{AuthRefusal, NatView, NoticeKind};
use crate::id::{Question, SaId};
use crate::proofs::Ppk;
use crate::sa::channel::{Channel, Outgoing};
use crate::sa::context::{About, Context};
use crate::sa::exchange::auth_responder::Waiting;
use crate::sa::exchange::eap_responder::Conversation;
use crate::sa::exchange::intermediate_responder::Steps;
use crate::sa::exchange::resume_responder::Resumed;
use crate::sa::exchange::{compare, offers, proof, redirect};
use crate::sa::path::{NatHashes, detect};
use crate::sa::trace::{Opening, Topic, Trace};
use crate::table::half_open::Asker;
use crate::wire::puzzle::Puzzle;
use crate::wire::{
    ExchangeType, Flags, Header, KeMethod as KeNumber, KeyExchange, Message, MessageWriter, Nonce, NotifyType, Payload,
    PrfId,
};
use crate::{Nanos, Path};

/// We answered an IKE_SA_INIT and await IKE_AUTH.
#[derive(Debug)]
pub struct HalfOpen {
    /// Our name for it.
    pub id: SaId,
    /// Who asked.
    pub asker: Asker,
    /// Both SPIs.
    pub spis: Spis,
    /// The algorithms.
    pub suite: IkeSuite,
    /// The request as it came: the initiator's AUTH covers it.
    pub request: Box<[u8]>,
    /// When it came, and as what.
    pub opening: Opening,
    /// What was asked since.
    pub trace: Trace,
    /// Where the initiator's nonce is in it.
    pub nonce_i: Range<usize>,
    pub(super) public_i: Range<usize>,
    /// The answer as it went: our AUTH covers it.
    pub answer: Arc<[u8]>,
    /// Our nonce.
    pub nonce_r: [u8; 32],
    /// NATs seen on the way.
    pub nat: NatView,
    /// The peer sent NAT detection.
    pub natt: bool,
    /// Hashes that the peer can check a signature with.
    pub hashes: Option<Hashes>,
    /// Both ends know PPKs.
    pub ppk: bool,
    /// The PPK is part of the keys.
    pub mixed: bool,
    /// The peer puts fragments together.
    pub(super) fragments: bool,
    /// The peer follows when it is sent on to another gateway.
    pub redirects: bool,
    /// It came over a stream.
    pub stream: bool,
    /// How far the key exchange is.
    pub secret: Secret,
    /// How far the additional ones are.
    pub steps: Steps,
    /// IKE_AUTH was refused; what to say when it is repeated.
    pub refusal: Option<Arc<[u8]>>,
    /// That sends the peer on: its Delete is to come.
    pub sent_on: bool,
    /// IKE_AUTH came, and the control plane is asked about the peer.
    pub parked: Option<Box<Waiting>>,
    /// The peer proves itself by EAP.
    pub eap: Option<Box<Conversation>>,
    /// Message id of the IKE_AUTH request that comes next, or waits.
    pub auth_id: u32,
    /// Our answer to the one before.
    pub last_answer: Option<Arc<[u8]>>,
    pub(super) expires: Nanos,
    /// It is taken up again by a ticket.
    pub resumed: Option<Box<Resumed>>,
    /// The peer must solve this before we make keys.
    pub puzzle: Option<Puzzle>,
}

/// How far the key exchange is.
#[derive(Debug)]
pub enum Secret {
    /// Our key pair; nobody has shown interest in the result.
    Pair(Ephemeral),
    /// An IKE_AUTH came, so the keys were made.
    Keys(Box<(Channel, AuthKeys)>),
    /// The peer's value is unusable.
    Unusable,
}

impl HalfOpen {
    /// When it ends.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        let asked = self.parked.as_ref().map_or(Nanos::NEVER, |waiting| waiting.until());
        let talk = self.eap.as_ref().map_or(Nanos::NEVER, |conversation| conversation.deadline());
        asked.min(talk).min(self.expires)
    }

    /// Keep it at least until then.
    pub fn linger(&mut self, until: Nanos) {
        self.expires = self.expires.max(until);
    }

    /// The control plane is asked about it.
    #[must_use]
    pub fn awaits(&self) -> Option<Question> {
        let of_certificate = self.parked.as_ref().map(|waiting| waiting.question());
        of_certificate.or_else(|| self.eap.as_ref().and_then(|conversation| conversation.question()))
    }

    /// What the header of our next answer says.
    #[must_use]
    pub fn answer_header(&self) -> Outgoing {
        Outgoing { exchange: ExchangeType::IKE_AUTH, id: self.auth_id, response: true }
    }

    /// An IKE_AUTH request was answered so, and another one is to come.
    pub fn answered(&mut self, now: Nanos, bytes: Arc<[u8]>) {
        self.trace.answered(now, self.auth_id, Topic::Auth, None);
        self.auth_id += 1;
        self.last_answer = Some(bytes);
    }

    /// The initiator's nonce.
    #[must_use]
    pub fn nonce_i(&self) -> &[u8] {
        &self.request[self.nonce_i.clone()]
    }

    /// Is this the request we answered?
    #[must_use]
    pub fn is_repeated(&self, request: &[u8]) -> bool {
        *self.request == *request
    }

    /// The keys, made now if this is the first time they are needed. `None` if the peer's value is unusable.
    pub fn keys(&mut self) -> Option<&mut (Channel, AuthKeys)> {
        if let Secret::Pair(pair) = &self.secret {
            let made = self.derive(pair);
            self.secret = made.map_or(Secret::Unusable, |keys| Secret::Keys(Box::new(keys)));
        }
        match &mut self.secret {
            Secret::Keys(keys) => Some(keys),
            Secret::Pair(_) | Secret::Unusable => None,
        }
    }

    /// What AUTH is made with.
    pub fn auth_keys(&self) -> Result<&AuthKeys, AuthRefusal> {
        match &self.secret {
            Secret::Keys(keys) => Ok(&keys.1),
            _ => Err(AuthRefusal::Incomplete),
        }
    }

    /// The PPK becomes part of the keys: the peer has proved that it holds it.
    pub fn mix(&mut self, ppk: &Ppk, auth: AuthKeys) -> Result<(), AuthRefusal> {
        let Secret::Keys(keys) = &mut self.secret else { return Err(AuthRefusal::Incomplete) };
        keys.0.mix(ppk.key.expose()).map_err(|_| AuthRefusal::Incomplete)?;
        keys.1 = auth;
        self.mixed = true;
        Ok(())
    }

    fn derive(&self, pair: &Ephemeral) -> Option<(Channel, AuthKeys)> {
        let shared = pair.agree(&self.request[self.public_i.clone()]).ok()?;
        let nonces = Nonces::new(self.nonce_i(), &self.nonce_r).ok()?;
        let seed = SkeySeed::initial(self.suite.prf(), &nonces, shared);
        let (keys, auth) = seed.expand(&self.suite, &nonces, self.spis).ok()?;
        let mut channel = Channel::new(self.spis, Role::Responder, keys);
        if self.fragments {
            channel.use_fragments();
        }
        channel.take_stream(self.stream);
        Some((channel, auth))
    }
}

/// What to do about a request that passed the cookie gate.
#[derive(Debug)]
pub enum Verdict {
    /// Answer it with a new SA.
    Serve(Chosen<IkeSuite>, KeMethod),
    /// Answered without leaving a trace, or dropped.
    Done,
}

/// Look at the offer. Costs no memory and no key exchange.
pub fn judge(ctx: &mut Context, now: Nanos, path: Path, message: &Message<'_>) -> Verdict {
    let payloads = &message.payloads;
    let (Some(sa), Some(ke), Some(_)) = (payloads.sa(), payloads.key_exchange(), payloads.nonce()) else {
        ctx.counters.dropped_malformed += 1;
        return Verdict::Done;
    };
    if ctx.accepted_suites.is_empty() {
        ctx.counters.dropped_not_accepting += 1;
        return Verdict::Done;
    }
    let about = About { path: Some(path), sa: None };
    // Additional key exchanges need an exchange of their own (RFC 9370 section 2.2.1).
    let plain: Vec<IkeSuite>;
    let suites = if payloads.has(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED) {
        &ctx.accepted_suites
    } else {
        plain = ctx.accepted_suites.iter().copied().filter(|suite| suite.additional().is_empty()).collect();
        &plain
    };
    match offers::choose(suites, sa, Some(ke.method.0)) {
        Outcome::Chosen(chosen) if ke.data.len() == chosen.suite.ke().public_len(Role::Initiator) => {
            Verdict::Serve(chosen, chosen.suite.ke())
        }
        Outcome::Chosen(_) => {
            ctx.counters.dropped_bad_ke += 1;
            Verdict::Done
        }
        Outcome::WrongKe { wanted } => {
            ctx.counters.invalid_ke_sent += 1;
            refuse(ctx, path, &message.header, NotifyType::INVALID_KE_PAYLOAD, &wanted.id().to_be_bytes());
            Verdict::Done
        }
        Outcome::None(why) => {
            let suites = suites.to_vec();
            ctx.counters.init_no_proposal += 1;
            ctx.refusal(now, about, NoticeKind::NoProposal, || {
                (format!("IKE_SA_INIT refused: {why}"), Some(compare::of_suites(&suites, sa)))
            });
            refuse(ctx, path, &message.header, NotifyType::NO_PROPOSAL_CHOSEN, &[]);
            Verdict::Done
        }
    }
}

/// Answer with one notification and no SA.
pub fn refuse(ctx: &mut Context, path: Path, asked: &Header, kind: NotifyType, data: &[u8]) {
    refuse_with(ctx, path, asked, &[Payload::notify(kind, data)]);
}

/// Answer with these payloads and no SA.
pub fn refuse_with(ctx: &mut Context, path: Path, asked: &Header, payloads: &[Payload<'_>]) {
    let flags = Flags { initiator: false, version: false, response: true };
    let header = Header::new(asked.initiator_spi, 0, asked.exchange, flags, asked.message_id);
    let mut writer = MessageWriter::reuse(&header, core::mem::take(&mut ctx.buffer));
    payloads.iter().for_each(|payload| writer.push(payload));
    if let Ok(message) = writer.finish() {
        let bytes = Arc::from(message.as_slice());
        ctx.buffer = message;
        ctx.send(path, bytes);
    }
}

/// What the engine chose for a new responder SA.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// Its name.
    pub id: SaId,
    /// Our SPI.
    pub spi_r: u64,
    /// Who asked.
    pub asker: Asker,
    /// How hard a puzzle it must solve next.
    pub puzzle: Option<u8>,
}

/// Answer the request with a new SA.
pub fn answer(
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    bytes: &[u8],
    message: &Message<'_>,
    (chosen, method): (Chosen<IkeSuite>, KeMethod),
    placed: Placed,
) -> Option<HalfOpen> {
    let payloads = &message.payloads;
    let (ke, nonce) = (payloads.key_exchange()?, payloads.nonce()?);
    let pair = Ephemeral::generate(method, &mut ctx.random).ok()?;
    let mut nonce_r = [0; 32];
    ctx.random.fill(&mut nonce_r);
    let spi_i = message.header.initiator_spi;
    let spis = Spis { initiator: spi_i, responder: placed.spi_r };
    let detected = detect(payloads, Spis { initiator: spi_i, responder: 0 }, path);
    let natt =
        detected.is_some() && ctx.profiles.values().any(|profile| profile.accepts && profile.paths.nat_traversal);
    let hashes = proof::hashes_in(payloads).filter(|_| ctx.accepts_signatures);
    let fragments = payloads.has(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED);
    let ppk = ctx.accepts_ppk && payloads.has(NotifyType::USE_PPK);
    let prf = PrfId(chosen.suite.prf().transform().id);
    let puzzle = placed.puzzle.map(|difficulty| Puzzle { prf, difficulty });
    ctx.counters.puzzles_sent += u64::from(puzzle.is_some());
    let says = Says { natt, fragments, signs: hashes.is_some(), ppk, puzzle };
    let answer = write_answer(ctx, path, spis, &chosen, &pair, &nonce_r, says)?;
    ctx.counters.init_answered += 1;
    ctx.send(path, Arc::clone(&answer));
    Some(HalfOpen {
        id: placed.id,
        asker: placed.asker,
        spis,
        suite: chosen.suite,
        opening: Opening::by(now, message),
        trace: Trace::default(),
        nonce_i: range_in(bytes, nonce.octets())?,
        public_i: range_in(bytes, ke.data)?,
        request: bytes.into(),
        answer,
        nonce_r,
        nat: detected.filter(|_| natt).map(|detected| detected.nat).unwrap_or_default(),
        natt,
        hashes,
        ppk,
        mixed: false,
        fragments,
        redirects: redirect::is_known(payloads),
        stream: path.is_stream(),
        secret: Secret::Pair(pair),
        steps: Steps::default(),
        refusal: None,
        sent_on: false,
        parked: None,
        eap: None,
        resumed: None,
        puzzle,
        auth_id: 1,
        last_answer: None,
        expires: now + ctx.settings.half_open.lifetime,
    })
}

/// What the answer says besides what it must.
#[derive(Clone, Copy)]
struct Says {
    natt: bool,
    fragments: bool,
    /// Which signatures we can check.
    signs: bool,
    /// We have a PPK.
    ppk: bool,
    /// What is to be solved ahead of the next message.
    puzzle: Option<Puzzle>,
}

fn write_answer(
    ctx: &mut Context,
    path: Path,
    spis: Spis,
    chosen: &Chosen<IkeSuite>,
    pair: &Ephemeral,
    nonce_r: &[u8; 32],
    says: Says,
) -> Option<Arc<[u8]>> {
    let flags = Flags { initiator: false, version: false, response: true };
    let header = Header::new(spis.initiator, spis.responder, ExchangeType::IKE_SA_INIT, flags, 0);
    let mut writer = MessageWriter::reuse(&header, core::mem::take(&mut ctx.buffer));
    offers::accept(chosen, &[], |sa| writer.push(&Payload::Sa(sa)));
    writer.push(&Payload::KeyExchange(KeyExchange { method: KeNumber(pair.method().id()), data: pair.public() }));
    writer.push(&Payload::Nonce(Nonce::new(nonce_r)?));
    if let Some(puzzle) = says.puzzle {
        writer.push(&Payload::notify(NotifyType::PUZZLE, &puzzle.octets()));
    }
    if says.natt {
        NatHashes::of(spis, path).payloads().iter().for_each(|payload| writer.push(payload));
    }
    if says.fragments {
        writer.push(&Payload::notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]));
    }
    if says.ppk {
        writer.push(&Payload::notify(NotifyType::USE_PPK, &[]));
    }
    if !chosen.suite.additional().is_empty() {
        writer.push(&Payload::notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED, &[]));
    }
    if says.signs {
        writer.push(&proof::hashes_notify());
    }
    if ctx.accepts_childless {
        writer.push(&Payload::notify(NotifyType::CHILDLESS_IKEV2_SUPPORTED, &[]));
    }
    proof::request_certificates(&ctx.accepted_authorities, |payload| writer.push(payload));
    ctx.buffer = writer.finish().ok()?;
    Some(Arc::from(ctx.buffer.as_slice()))
}

/// Where `part`, which was read from `whole`, lies in it.
pub(super) fn range_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let range = start..start.checked_add(part.len())?;
    (whole.get(range.clone())? == part).then_some(range)
}

/// Nobody completed it in time.
pub fn expire(half: &HalfOpen, ctx: &mut Context) {
    ctx.counters.half_open_expired += 1;
    ctx.half_open.remove(&half.asker);
}

/// The nonce of a request, for the cookie gate.
#[must_use]
pub fn nonce_of<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    message.payloads.nonce().map(|nonce| nonce.octets())
}
