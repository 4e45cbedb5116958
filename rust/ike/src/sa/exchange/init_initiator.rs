//! IKE_SA_INIT as the one who asks (RFC 7296 section 1.2).
//!
//! ```text
//! HDR(A,0), [N(COOKIE)], SAi1, KEi, Ni, N(NATD)..   -->
//!                                                   <--   HDR(A,B), SAr1, KEr, Nr, N(NATD)..
//! or                                                <--   HDR(A,0), N(COOKIE) | N(INVALID_KE_PAYLOAD) | error
//! ```
//!
//! The request goes over each path in turn, with the same bytes (M3.1-1), so it carries a NAT detection hash for every
//! address it may leave from or go to. Nobody vouches for the answer: what proves nothing is noted, and we keep trying.

mod answer;
pub mod resuming;
mod solving;

pub use answer::on_answer;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use crate::command::NattPorts;
use crate::crypto::natd::nat_detection;
use crate::crypto::negotiate::Suite;
use crate::crypto::puzzle::SOLUTION_LEN;
use crate::crypto::{Ephemeral, KeMethod, Role, Spis, kex};
use crate::event::{Comparison, ConnectError, Event, NoticeKind};
use crate::id::{ProfileId, SaId, Token};
use crate::profile::Profile;
use crate::proofs::Ppk;
use crate::sa::Sa;
use crate::sa::context::{About, Context};
use crate::sa::exchange::init_initiator::solving::Solving;
use crate::sa::exchange::reauth::{self, Old};
use crate::sa::exchange::{auth_initiator, offers, proof, redirect};
use crate::sa::timers::{Retry, patience};
use crate::sa::trace::{Step, Topic, Trace};
use crate::table::spi;
use crate::table::tickets::Held;
use crate::wire::{Flags, Header, KeMethod as KeNumber, KeyExchange, MessageWriter, Nonce, NotifyType, Payload};
use crate::{Nanos, Path};

/// An ordered connection.
#[derive(Debug)]
pub struct Order {
    /// Its name.
    pub token: Token,
    /// Its standing orders.
    pub profile_id: ProfileId,
    /// The same.
    pub profile: Arc<Profile>,
    /// Paths to try, most wanted first.
    pub paths: Vec<Path>,
    /// Ports for IKE_AUTH and after.
    pub natt: NattPorts,
    /// When it was ordered.
    pub since: Nanos,
    /// IKE_AUTH was refused because of a NAT; the clock of beginning anew.
    pub anew: Option<Retry>,
    /// What it takes the place of; then nobody ordered it.
    pub old: Option<Old>,
    /// The gateway that sent us on.
    pub redirected_from: Option<IpAddr>,
    /// What the peer said that we refuse, beside what we take.
    pub compared: Option<Box<Comparison>>,
    /// What was asked so far.
    pub trace: Trace,
}

impl Order {
    /// Its name, if it has one.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.old.is_none().then_some(self.token)
    }

    /// It came to nothing.
    pub fn fail(&self, ctx: &mut Context, why: ConnectError, tried: Vec<Path>) {
        match &self.old {
            Some(old) => reauth::fail(ctx, old, &why),
            None => {
                ctx.counters.connects_failed += 1;
                let compared = self.compared.clone();
                ctx.events.push_back(Event::ConnectFailed { token: self.token, why, tried, compared });
            }
        }
    }

    /// May its IKE SA be one that is taken up again by this ticket?
    fn can_use(&self, held: &Held) -> bool {
        let profile = &self.profile;
        let fits = profile.ike_suites.contains(&held.suite) && profile.remote_id.matches(&held.peer_id);
        fits && profile.resumption.ask && self.old.is_none()
    }

    /// The PPK to use.
    #[must_use]
    pub fn ppk(&self) -> Option<&Ppk> {
        self.profile.ppk.as_ref()
    }
}

/// Our IKE_SA_INIT is unanswered.
#[derive(Debug)]
pub struct Connecting {
    /// The order.
    pub order: Order,
    /// Our name for it.
    pub id: SaId,
    /// Our SPI.
    pub spi_i: u64,
    nonce: [u8; 32],
    ephemeral: Ephemeral,
    /// In place of a key exchange.
    ticket: Option<Held>,
    cookie: Option<Box<[u8]>>,
    /// Of the puzzle that came with the cookie.
    solution: Option<[u8; SOLUTION_LEN]>,
    solving: Option<Box<Solving>>,
    request: Arc<[u8]>,
    retry: Retry,
    /// Index of the path the request last went over.
    path: usize,
    /// How many paths the request went over at least once.
    tried: usize,
    /// Requests made anew because of COOKIE or INVALID_KE_PAYLOAD.
    renewals: u8,
    ke_renewed: bool,
    /// The last answer that proves nothing.
    heard: Option<String>,
    give_up: Nanos,
}

/// Paths of one order; each costs octets in the request.
pub const MAX_PATHS: usize = 16;

/// COOKIE and INVALID_KE_PAYLOAD answers obeyed for one order.
const MAX_RENEWALS: u8 = 6;

/// After an error that anybody could have sent, a better answer is awaited for so long (RFC 7296 section 2.21.1).
const DOUBT: Duration = Duration::from_secs(8);

/// Begin. The place and SPI are the engine's choice.
pub fn connect(ctx: &mut Context, now: Nanos, id: SaId, spi_i: u64, order: Order) -> Result<Connecting, ConnectError> {
    connect_or_return(ctx, now, id, spi_i, order).map_err(|failed| failed.1)
}

/// The same; an order that cannot be begun comes back.
pub fn connect_or_return(
    ctx: &mut Context,
    now: Nanos,
    id: SaId,
    spi_i: u64,
    order: Order,
) -> Result<Connecting, Box<(Order, ConnectError)>> {
    let connecting = prepare(ctx, now, id, spi_i, order)?;
    ctx.send(connecting.order.paths[0], Arc::clone(&connecting.request));
    Ok(connecting)
}

/// The peer saw a NAT where those are prohibited: begin anew over the same path, with new secrets, after as long as a
/// repetition would wait and no longer than repetitions go on (M3.9-3).
pub fn restart(ctx: &mut Context, now: Nanos, id: SaId, mut order: Order, path: Path) -> Sa {
    let policy = order.profile.retransmit;
    let mut clock = order.anew.take().unwrap_or_else(|| Retry::begin(order.since, &policy, &mut ctx.random));
    clock.again(now, &policy, &mut ctx.random);
    let paths = order.paths.len();
    let same = order
        .paths
        .iter()
        .position(|tried| tried.remote.ip() == path.remote.ip() && tried.local.ip() == path.local.ip());
    order.anew = Some(clock);
    let spi_i = spi::mint_ike(ctx.settings.shard, id.slot(), &mut ctx.random);
    let refused = NotifyType::UNEXPECTED_NAT_DETECTED.to_string();
    match prepare(ctx, now, id, spi_i, order) {
        Ok(mut connecting) => {
            ctx.counters.nat_retrials += 1;
            connecting.path = (same.unwrap_or(0) + paths - 1) % paths;
            connecting.retry.next = clock.next;
            connecting.retry.tries = 0;
            connecting.heard = Some(refused);
            Sa::AwaitInitAnswer(Box::new(connecting))
        }
        Err(failed) => {
            let (order, why) = *failed;
            auth_initiator::fail(ctx, &order, path, why);
            Sa::Ended
        }
    }
}

fn prepare(
    ctx: &mut Context,
    now: Nanos,
    id: SaId,
    spi_i: u64,
    order: Order,
) -> Result<Connecting, Box<(Order, ConnectError)>> {
    let Some(suite) = order.profile.ike_suites.first() else {
        return Err(Box::new((order, ConnectError::BadOrder("profile has no IKE suite"))));
    };
    let ephemeral = match generate(ctx, suite.ke()) {
        Ok(ephemeral) => ephemeral,
        Err(why) => return Err(Box::new((order, why))),
    };
    let nonce = kex::fresh_nonce(&mut ctx.random);
    let retry = Retry::begin(now, &order.profile.retransmit, &mut ctx.random);
    let give_up = order.since + patience(&order.profile.retransmit, Role::Initiator);
    let ticket = ctx.purse.take(now, order.profile_id).filter(|held| order.can_use(held));
    let mut connecting = Connecting {
        order,
        id,
        spi_i,
        nonce,
        ephemeral,
        ticket,
        cookie: None,
        solution: None,
        solving: None,
        request: Arc::from([]),
        retry,
        path: 0,
        tried: 1,
        renewals: 0,
        ke_renewed: false,
        heard: None,
        give_up,
    };
    match connecting.write_request(ctx) {
        Ok(()) => Ok(connecting),
        Err(why) => Err(Box::new((connecting.order, why))),
    }
}

fn generate(ctx: &mut Context, method: KeMethod) -> Result<Ephemeral, ConnectError> {
    Ephemeral::generate(method, &mut ctx.random).map_err(|_| ConnectError::BadOrder("no key pair could be made"))
}

impl Connecting {
    /// When to be woken.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        self.solving.as_ref().map_or(self.retry.next, |solving| solving.next()).min(self.give_up)
    }

    /// Over: report it.
    pub fn fail(self, ctx: &mut Context, why: ConnectError) {
        let tried = self.order.paths[..self.tried].to_vec();
        self.order.fail(ctx, why, tried);
    }

    fn why_given_up(&mut self, now: Nanos) -> ConnectError {
        ConnectError::NoAnswer { tried_for: now.since(self.order.since), heard: self.heard.take() }
    }

    fn write_request(&mut self, ctx: &mut Context) -> Result<(), ConnectError> {
        let flags = Flags { initiator: true, version: false, response: false };
        let header = Header::new(self.spi_i, 0, self.exchange(), flags, 0);
        let mut writer = MessageWriter::reuse(&header, core::mem::take(&mut ctx.buffer));
        if let Some(cookie) = &self.cookie {
            writer.push(&Payload::notify(NotifyType::COOKIE, cookie));
        }
        if let Some(solution) = &self.solution {
            writer.push(&Payload::PuzzleSolution(solution));
        }
        if !self.write_resumption(&mut writer) {
            self.write_offer(&mut writer);
        }
        ctx.buffer = writer.finish().map_err(|_| ConnectError::BadOrder("IKE_SA_INIT does not fit a datagram"))?;
        self.request = Arc::from(ctx.buffer.as_slice());
        Ok(())
    }

    fn write_offer(&self, writer: &mut MessageWriter) {
        offers::propose(&self.order.profile.ike_suites, &[], |sa| writer.push(&Payload::Sa(sa)));
        let method = KeNumber(self.ephemeral.method().id());
        writer.push(&Payload::KeyExchange(KeyExchange { method, data: self.ephemeral.public() }));
        if let Some(nonce) = Nonce::new(&self.nonce) {
            writer.push(&Payload::Nonce(nonce));
        }
        let spis = Spis { initiator: self.spi_i, responder: 0 };
        let ends = if self.order.profile.paths.nat_traversal { self.ends() } else { Vec::new() };
        for (kind, end) in ends {
            writer.push(&Payload::notify(kind, &nat_detection(spis, end)));
        }
        writer.push(&Payload::notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]));
        if self.order.profile.ike_suites.iter().any(|suite| !suite.additional().is_empty()) {
            writer.push(&Payload::notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED, &[]));
        }
        if self.order.profile.proofs.sign() {
            writer.push(&proof::hashes_notify());
        }
        if self.order.ppk().is_some() {
            writer.push(&Payload::notify(NotifyType::USE_PPK, &[]));
        }
        redirect::offer(&self.order, |payload| writer.push(payload));
    }

    /// Every address the request may leave from, and every one it may go to, each once.
    fn ends(&self) -> Vec<(NotifyType, SocketAddr)> {
        let mut ends = Vec::new();
        let locals = self.order.paths.iter().map(|path| (NotifyType::NAT_DETECTION_SOURCE_IP, path.local));
        let remotes = self.order.paths.iter().map(|path| (NotifyType::NAT_DETECTION_DESTINATION_IP, path.remote));
        for end in locals.chain(remotes) {
            if !ends.contains(&end) {
                ends.push(end);
            }
        }
        ends
    }

    /// What is under way.
    fn step(&self) -> (Topic, Step) {
        let topic = match (&self.ticket, &self.cookie) {
            (Some(_), _) => Topic::Resume,
            (None, Some(_)) => Topic::InitAgain,
            (None, None) => Topic::Init,
        };
        (topic, Step::of(0, &self.retry).over(self.order.paths.len()))
    }

    /// It was answered.
    fn answered(&mut self, now: Nanos, error: Option<NotifyType>) {
        let (topic, step) = self.step();
        self.order.trace.set_up(now, topic, step, error);
    }

    /// The request was changed at the responder's wish: send it at once over the path the wish came from.
    fn renew(&mut self, ctx: &mut Context, now: Nanos) -> Result<(), ConnectError> {
        self.renewals += 1;
        self.write_request(ctx)?;
        self.retry = Retry::begin(now, &self.order.profile.retransmit, &mut ctx.random);
        ctx.send(self.order.paths[self.path], Arc::clone(&self.request));
        Ok(())
    }

    /// INVALID_KE_PAYLOAD: once, and only to a method of our own list (RFC 7296 section 1.2).
    fn on_other_method(&mut self, ctx: &mut Context, now: Nanos, wanted: Option<KeNumber>) -> Result<(), ConnectError> {
        let ours = |id: KeNumber| self.order.profile.ike_suites.iter().filter_map(Suite::ke).find(|ke| ke.id() == id.0);
        match wanted.and_then(ours) {
            Some(method) if !self.ke_renewed && method != self.ephemeral.method() => {
                self.ke_renewed = true;
                self.answered(now, Some(NotifyType::INVALID_KE_PAYLOAD));
                self.ephemeral = generate(ctx, method)?;
                self.renew(ctx, now)
            }
            _ => {
                let name = wanted.map_or("nothing".into(), |method| method.to_string());
                self.doubt(ctx, now, format!("INVALID_KE_PAYLOAD asking for {name}"));
                Ok(())
            }
        }
    }

    /// A stream is open that this path stands for.
    pub fn go_out(&self, ctx: &mut Context, path: Path) {
        if self.order.paths.contains(&path) {
            ctx.send(path, Arc::clone(&self.request));
        }
    }

    /// Somebody says that the request cannot be delivered over this path: a path that was not tried yet has its turn now.
    /// Nothing else changes, so that news made up by a stranger cost no more than one early round.
    pub fn hasten(&mut self, ctx: &mut Context, now: Nanos, path: Path) {
        if self.tried < self.order.paths.len() && self.order.paths.get(self.path) == Some(&path) {
            ctx.counters.hints_followed += 1;
            self.retry.next = self.retry.next.min(now);
        }
    }

    /// Nobody has answered; or somebody did, and not since the request was changed at its wish.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.solving.is_none() && (self.renewals == 0 || self.retry.is_in_vain())
    }

    /// The request did not leave this host, which has no way over this path just now: the next path that was not tried yet has
    /// its turn at once; where all were, it is sent again soon.
    pub fn on_unsent(&mut self, now: Nanos, path: Path) {
        if self.order.paths.get(self.path) != Some(&path) {
            return;
        }
        if self.tried < self.order.paths.len() {
            self.retry.next = self.retry.next.min(now);
        } else {
            self.retry.stuck(now);
        }
    }

    /// Anybody could have sent this. Note it, and wait a little for something better.
    fn doubt(&mut self, ctx: &mut Context, now: Nanos, heard: String) {
        ctx.counters.unproven_answers += 1;
        let about = About { path: Some(self.order.paths[self.path]), sa: Some(self.id) };
        ctx.notice(now, about, NoticeKind::Unproven, || format!("unauthenticated answer to IKE_SA_INIT: {heard}"));
        self.heard = Some(heard);
        self.give_up = self.give_up.min(now + DOUBT);
    }
}

/// Time has passed: over the next path, or give up.
pub fn on_timeout(sa: &mut Sa, ctx: &mut Context, now: Nanos) {
    let Sa::AwaitInitAnswer(connecting) = sa else { return };
    if now >= connecting.give_up {
        let why = connecting.why_given_up(now);
        if let Sa::AwaitInitAnswer(connecting) = core::mem::replace(sa, Sa::Ended) {
            connecting.fail(ctx, why);
        }
        return;
    }
    if connecting.solving.is_some() {
        match connecting.go_on_solving(ctx, now) {
            Ok(Some((answer, solution))) => answer::go_on(sa, ctx, now, &answer, solution),
            Ok(None) => {}
            Err(why) => {
                if let Sa::AwaitInitAnswer(connecting) = core::mem::replace(sa, Sa::Ended) {
                    connecting.fail(ctx, why);
                }
            }
        }
        return;
    }
    if now < connecting.retry.next {
        return;
    }
    if connecting.is_in_vain() {
        let (topic, step) = connecting.step();
        connecting.order.trace.in_vain(topic, step);
        let _renewed = connecting.without_ticket(ctx, now);
        return;
    }
    let paths = connecting.order.paths.len();
    connecting.path = (connecting.path + 1) % paths;
    let again = connecting.tried == paths;
    connecting.tried = (connecting.tried + 1).min(paths);
    // A path tried for the first time gets the short first wait; later rounds get longer and longer ones.
    if connecting.retry.tries as usize >= paths || connecting.retry.is_stuck() {
        connecting.retry.again(now, &connecting.order.profile.retransmit, &mut ctx.random);
    } else {
        let (before, policy) = (connecting.retry, &connecting.order.profile.retransmit);
        // None of an order that begins anew has left yet.
        connecting.retry = match before.tries {
            0 => Retry::begin(now, policy, &mut ctx.random),
            _ => before.elsewhere(now, policy, &mut ctx.random),
        };
        connecting.retry.tries = before.tries + 1;
    }
    let (path, request) = (connecting.order.paths[connecting.path], Arc::clone(&connecting.request));
    if again {
        ctx.send_again(path, request);
    } else {
        ctx.counters.retransmissions += 1;
        ctx.send(path, request);
    }
}
