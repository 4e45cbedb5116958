//! CREATE_CHILD_SA that replaces a Child SA pair (RFC 7296 sections 1.3.3, 2.8, 2.8.1, 2.17), in both roles.
//!
//! ```text
//! HDR, SK { N(REKEY_SA), SA, Ni, [KEi], TSi, TSr }   -->
//!                                                    <--   HDR, SK { SA, Nr, [KEr], TSi, TSr }
//! HDR, SK { D(old) }                                 -->   from whoever asked
//!                                                    <--   HDR, SK { D(old) }
//! ```
//!
//! Make before break: who answers is ready to receive on the new pair before the answer leaves, and goes on sending on
//! the old one until the peer has used the new one or deletes the old one. Who asked sends on the new pair at once, and
//! receives on the old one until the peer has deleted its half. A peer that cannot change the addresses of a Child SA
//! rekeys it after every move (strongSwan with its userspace ESP does).

use crate::Nanos;
use crate::crypto::kex::{self, PublicValue, fresh_nonce};
use crate::crypto::negotiate::{Chosen, Outcome, Suite};
use crate::crypto::{ChildKeys, Ephemeral, EspSuite, KeMethod, Nonces, Role, SharedSecret};
use crate::event::{ChildInstall, DownReason, Event, NoticeKind, Sends};
use crate::id::ChildId;
use crate::sa::child::{Children, Reserved};
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::create_child::{Refusal, finish, seal_answer};
use crate::sa::exchange::informational::Request;
use crate::sa::exchange::rekey_ike::{
    BUSY_PAUSE, MAX_RENEWALS, REFUSED_PAUSE, due, pause, push_secrets, wanted_method,
};
use crate::sa::exchange::{offers, traffic};
use crate::sa::rekeying::{ChildAsked, Rekeying};
use crate::sa::window::Ask;
use crate::selector::{Selector, narrow};
use crate::wire::{KeMethod as KeNumber, Notify, NotifyType, Payload, Payloads, ProtocolId, SkWriter};

/// Pairs of one IKE SA: one in use, one that replaces it, and as many again for collisions and a peer that is slow to
/// delete. Without a limit a peer could fill the table by rekeying and never deleting.
const MOST_CHILDREN: usize = 4;

/// The peer asks for it.
pub fn on_request(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
) -> Result<(), Refusal> {
    let replacement = replacement(sa, ctx, payloads)?;
    let Replacement { old, reserved, install, .. } = &replacement;
    let (old, reserved, spi_out) = (*old, *reserved, install.spi_out);
    let Some(bytes) = seal_answer(sa, ctx, request, |writer| replacement.write(writer)) else {
        ctx.children.release(reserved);
        return Ok(());
    };
    sa.family.adopt(&mut ctx.children, reserved, spi_out);
    ctx.counters.children_up += 1;
    ctx.counters.children_rekeyed += 1;
    let Replacement { install, lowest, .. } = replacement;
    if let Some(asked) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.as_mut())
        && asked.replaces == Some(old)
        && sa.requests.outstanding().iter().any(|request| matches!(request.ask, Ask::RekeyChild))
    {
        ctx.counters.rekey_collisions += 1;
        asked.rival = Some((reserved.id, lowest));
    }
    ctx.events.push_back(Event::ChildUp { sa: sa.id, child: reserved.id, install });
    // The peer will delete the old one; if it does not, that is replaced again.
    ctx.children.set_due(old, due(now, sa.profile.esp_lifetime, &mut ctx.random));
    schedule(sa, ctx, now);
    finish(sa, ctx, now, request, bytes);
    Ok(())
}

/// A pair that takes the place of another. The peer deletes that one when it uses this one (RFC 7296 section 2.8).
struct Replacement {
    old: ChildId,
    reserved: Reserved,
    chosen: Chosen<EspSuite>,
    nonce: [u8; Nonces::FRESH_LEN],
    ke: Option<(KeMethod, PublicValue)>,
    lowest: Box<[u8]>,
    install: Box<ChildInstall>,
}

impl Replacement {
    fn write(&self, writer: &mut SkWriter) {
        let spi = self.reserved.spi_in.to_be_bytes();
        offers::accept(&self.chosen, &spi, |sa| writer.push(&Payload::Sa(sa)));
        push_secrets(writer, &self.nonce, self.ke.as_ref().map(|(method, public)| (*method, public.as_bytes())));
        traffic::write(&self.install.remote_ts, |ts| writer.push(&Payload::TsInitiator(ts)));
        traffic::write(&self.install.local_ts, |ts| writer.push(&Payload::TsResponder(ts)));
    }
}

fn replacement(sa: &Established, ctx: &mut Context, payloads: &Payloads<'_>) -> Result<Replacement, Refusal> {
    if sa.is_closing() {
        return Err(Refusal::Closing);
    }
    if sa.requests.outstanding().iter().any(|request| matches!(request.ask, Ask::RekeyIke)) {
        return Err(Refusal::Busy);
    }
    let rekey = payloads.notify(NotifyType::REKEY_SA).ok_or(Refusal::NotServed)?;
    let replaced = <[u8; 4]>::try_from(rekey.spi).map_err(|_| Refusal::Incomplete)?;
    let old = sa.family.by_spi_out(ctx, u32::from_be_bytes(replaced)).ok_or(Refusal::NotFound(replaced))?;
    if ctx.children.get(old).is_some_and(|child| child.leaving) {
        return Err(Refusal::Busy);
    }
    if sa.family.len(ctx) >= MOST_CHILDREN {
        return Err(Refusal::NoRoom);
    }
    let (Some(offered), Some(nonce_i)) = (payloads.sa(), payloads.nonce()) else { return Err(Refusal::Incomplete) };
    let (Some(tsi), Some(tsr)) = (payloads.ts_initiator(), payloads.ts_responder()) else {
        return Err(Refusal::Incomplete);
    };
    let ke_sent = payloads.key_exchange().map(|ke| ke.method.0);
    let chosen = match offers::choose(&sa.profile.esp_suites, offered, ke_sent) {
        Outcome::Chosen(chosen) => chosen,
        Outcome::WrongKe { wanted } => return Err(Refusal::WrongKe(wanted)),
        Outcome::None(why) => return Err(Refusal::NoProposal(why)),
    };
    let spi = <[u8; 4]>::try_from(offers::spi_of(&chosen, offered)).ok().map(u32::from_be_bytes);
    let spi_out = spi.filter(|spi| *spi > 255).ok_or_else(|| Refusal::NoProposal("an SPI that is none".into()))?;
    let (local, remote) = sa.sides();
    let local_ts = narrow(&traffic::read(tsr), &local);
    let remote_ts = narrow(&traffic::read(tsi), &remote);
    if local_ts.is_empty() || remote_ts.is_empty() {
        return Err(Refusal::Selectors);
    }
    let (ke, shared) = match (chosen.suite.ke(), payloads.key_exchange()) {
        (Some(method), Some(theirs)) => {
            let made = kex::respond(method, theirs.data, &mut ctx.random).map_err(|_| Refusal::Incomplete)?;
            (Some((method, made.0)), Some(made.1))
        }
        _ => (None, None),
    };
    let nonce = fresh_nonce(&mut ctx.random);
    let nonces = Nonces::new(nonce_i.octets(), &nonce).map_err(|_| Refusal::Incomplete)?;
    let reserved = ctx.children.reserve(ctx.settings.shard, sa.id, &mut ctx.random).ok_or(Refusal::NoRoom)?;
    let agreed = Agreed { suite: chosen.suite, spi_out, local_ts, remote_ts };
    let sends = Sends::WhenUsed { instead_of: old };
    // Whoever asked is the initiator of this exchange, whatever its part in the IKE SA (RFC 7296 section 2.17).
    let Some(install) = install(sa, agreed, reserved, Role::Responder, &nonces, shared.as_ref(), sends) else {
        ctx.children.release(reserved);
        return Err(Refusal::NoRoom);
    };
    let lowest = nonce_i.octets().min(&nonce[..]).into();
    Ok(Replacement { old, reserved, chosen, nonce, ke, lowest, install })
}

/// What both ends agreed on.
struct Agreed {
    suite: EspSuite,
    spi_out: u32,
    local_ts: Vec<Selector>,
    remote_ts: Vec<Selector>,
}

fn install(
    sa: &Established,
    agreed: Agreed,
    reserved: Reserved,
    we_are: Role,
    nonces: &Nonces<'_>,
    shared: Option<&SharedSecret>,
    sends: Sends,
) -> Option<Box<ChildInstall>> {
    let keys = ChildKeys::derive(sa.channel.keys().sk_d(), &agreed.suite, nonces, shared).ok()?;
    Some(Box::new(ChildInstall {
        suite: agreed.suite,
        spi_in: reserved.spi_in,
        spi_out: agreed.spi_out,
        key_in: keys.sent_by(we_are.other()).clone(),
        key_out: keys.sent_by(we_are).clone(),
        local_ts: agreed.local_ts,
        remote_ts: agreed.remote_ts,
        path: sa.path,
        encap: sa.nat.any() || sa.profile.always_encap,
        sends,
    }))
}

/// Replace a pair, by order or because it is old. One at a time; an order that comes too early is kept.
pub fn order(sa: &mut Established, ctx: &mut Context, now: Nanos, child: ChildId) {
    if sa.rekeying.as_ref().is_some_and(|rekeying| rekeying.child.is_some()) {
        ctx.children.set_due(child, now);
        return;
    }
    let method = sa.profile.esp_suites.first().and_then(EspSuite::ke);
    ask(sa, ctx, now, Some(child), method, 0);
}

fn ask(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    replaces: Option<ChildId>,
    method: Option<KeMethod>,
    renewals: u8,
) {
    let reserved = ctx.children.reserve(ctx.settings.shard, sa.id, &mut ctx.random);
    let ephemeral = method.map(|method| Ephemeral::generate(method, &mut ctx.random)).transpose();
    let (Some(reserved), Ok(ephemeral)) = (reserved, ephemeral) else {
        reserved.into_iter().for_each(|reserved| ctx.children.release(reserved));
        ctx.counters.commands_refused += 1;
        return retry(sa, ctx, now, replaces, REFUSED_PAUSE);
    };
    if let Some(child) = replaces {
        ctx.children.set_due(child, Nanos::NEVER);
    }
    let nonce = fresh_nonce(&mut ctx.random);
    let asked = ChildAsked { replaces, reserved, nonce, ephemeral, proposed: sa.sides(), rival: None, renewals };
    sa.rekeying().child = Some(asked);
    schedule(sa, ctx, now);
    if !sa.ask(ctx, now, Ask::RekeyChild) {
        forget(sa, ctx);
        retry(sa, ctx, now, replaces, BUSY_PAUSE);
    }
}

/// Ours comes to nothing; a pair that a collision made stays.
pub fn forget(sa: &mut Established, ctx: &mut Context) {
    if let Some(asked) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.take()) {
        ctx.children.release(asked.reserved);
    }
}

/// Pairs came or went: when is the next one due? Those without a lifetime get one.
pub fn schedule(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    let asked = sa.rekeying.as_ref().and_then(|rekeying| rekeying.child.as_ref()).and_then(|asked| asked.replaces);
    if asked.is_some_and(|old| ctx.children.get(old).is_none())
        && sa.requests.withdraw(|ask| matches!(ask, Ask::RekeyChild))
    {
        // It went before we could ask for its successor.
        forget(sa, ctx);
    }
    let lifetime = sa.profile.esp_lifetime;
    let unscheduled =
        |ctx: &Context| sa.family.ids(ctx).find(|id| ctx.children.get(*id).is_some_and(|child| child.due == Nanos(0)));
    while let Some(id) = unscheduled(ctx) {
        let at = due(now, lifetime, &mut ctx.random);
        ctx.children.set_due(id, at);
    }
    let under_way = sa.rekeying.as_ref().is_some_and(|rekeying| rekeying.child.is_some());
    sa.due.children = if under_way { Nanos::NEVER } else { sa.family.next_due(ctx) };
}

/// Time has passed.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.due.children > now || sa.is_closing() {
        return;
    }
    // Pairs that came back with their IKE SA have no time yet.
    schedule(sa, ctx, now);
    if sa.due.children > now {
        return;
    }
    let due = sa.family.ids(ctx).find(|id| ctx.children.get(*id).is_some_and(|child| child.due <= now));
    match due {
        Some(child) => order(sa, ctx, now, child),
        None => schedule(sa, ctx, now),
    }
}

/// N(REKEY_SA), SA, Ni, KEi, TSi, TSr.
pub fn write(writer: &mut SkWriter, suites: &[EspSuite], children: &Children, rekeying: Option<&Rekeying>) {
    let Some(asked) = rekeying.and_then(|rekeying| rekeying.child.as_ref()) else { return };
    if let Some(old) = asked.replaces.and_then(|old| children.get(old)) {
        let spi = old.spi_in.to_be_bytes();
        writer.push(&Payload::Notify(Notify::child(ProtocolId::ESP, &spi, NotifyType::REKEY_SA, &[])));
    }
    let spi = asked.reserved.spi_in.to_be_bytes();
    offers::propose(suites, &spi, |sa| writer.push(&Payload::Sa(sa)));
    let ke = asked.ephemeral.as_ref().map(|ephemeral| (ephemeral.method(), ephemeral.public()));
    push_secrets(writer, &asked.nonce, ke);
    traffic::write(&asked.proposed.0, |ts| writer.push(&Payload::TsInitiator(ts)));
    traffic::write(&asked.proposed.1, |ts| writer.push(&Payload::TsResponder(ts)));
}

/// Ours was answered.
pub fn on_answer(sa: &mut Established, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    let Some(asked) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.take()) else { return };
    match accept(sa, &asked, payloads) {
        Ok((install, lowest)) => on_acceptance(sa, ctx, now, asked, install, &lowest),
        Err(why) => {
            ctx.children.release(asked.reserved);
            on_refusal(sa, ctx, now, &asked, why);
        }
    }
    schedule(sa, ctx, now);
    sa.tidy_rekeying();
}

fn on_acceptance(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    asked: ChildAsked,
    mut install: Box<ChildInstall>,
    lowest: &[u8],
) {
    let ChildAsked { replaces, reserved, rival, .. } = asked;
    if sa.is_closing() {
        // Reported as down with its IKE SA before it came up.
        return ctx.children.release(reserved);
    }
    // Of two pairs made for the same purpose, the one with the lowest nonce is closed by who made it.
    let rival = rival.filter(|(child, _)| ctx.children.get(*child).is_some());
    let redundant = rival.filter(|(_, theirs)| lowest < &theirs[..]);
    let leaving = match &redundant {
        Some((winner, _)) => {
            install.sends = Sends::Never { instead_of: replaces.unwrap_or(*winner) };
            Some(reserved.id)
        }
        None => replaces.filter(|old| ctx.children.get(*old).is_some()),
    };
    sa.rekeying().child_refused = 0;
    ctx.counters.children_up += 1;
    ctx.counters.children_rekeyed += u64::from(redundant.is_none());
    sa.family.adopt(&mut ctx.children, reserved, install.spi_out);
    ctx.events.push_back(Event::ChildUp { sa: sa.id, child: reserved.id, install });
    if let Some(spi_in) = leaving.and_then(|leaving| ctx.children.leave(leaving)) {
        sa.ask(ctx, now, Ask::DeleteChild { spi_in });
    }
}

/// Why there is no new pair.
enum Failed {
    Error(NotifyType, Option<KeNumber>),
    Unusable(String),
}

fn accept(
    sa: &Established,
    asked: &ChildAsked,
    payloads: &Payloads<'_>,
) -> Result<(Box<ChildInstall>, Box<[u8]>), Failed> {
    let (Some(answer), Some(nonce_r)) = (payloads.sa(), payloads.nonce()) else {
        return Err(match payloads.notifies().find(|notify| notify.kind.is_error()) {
            Some(notify) => Failed::Error(notify.kind, notify.wanted_group()),
            None => Failed::Unusable("an answer without SA or nonce".into()),
        });
    };
    let unusable = |what: &str| Failed::Unusable(what.into());
    let (Some(tsi), Some(tsr)) = (payloads.ts_initiator(), payloads.ts_responder()) else {
        return Err(unusable("an answer without traffic selectors"));
    };
    let chosen = offers::check_answer(&sa.profile.esp_suites, answer).map_err(Failed::Unusable)?;
    let spi: [u8; 4] = offers::spi_of(&chosen, answer).try_into().map_err(|_| unusable("an answer without SPI"))?;
    let (local_ts, remote_ts) = (traffic::read(tsi), traffic::read(tsr));
    if !traffic::is_within(&local_ts, &asked.proposed.0) || !traffic::is_within(&remote_ts, &asked.proposed.1) {
        return Err(unusable("traffic selectors that we did not propose"));
    }
    let shared = match (chosen.suite.ke(), &asked.ephemeral, payloads.key_exchange()) {
        (None, _, _) => None,
        (Some(method), Some(ours), Some(theirs)) if ours.method() == method && theirs.method.0 == method.id() => {
            Some(ours.agree(theirs.data).map_err(|error| Failed::Unusable(error.to_string()))?)
        }
        _ => return Err(unusable("a key exchange that we did not begin")),
    };
    let nonces = Nonces::new(&asked.nonce, nonce_r.octets()).map_err(|error| Failed::Unusable(error.to_string()))?;
    let agreed = Agreed { suite: chosen.suite, spi_out: u32::from_be_bytes(spi), local_ts, remote_ts };
    let install = install(sa, agreed, asked.reserved, Role::Initiator, &nonces, shared.as_ref(), Sends::AtOnce);
    let install = install.ok_or_else(|| unusable("keys that cannot be made"))?;
    Ok((install, asked.nonce.as_slice().min(nonce_r.octets()).into()))
}

fn on_refusal(sa: &mut Established, ctx: &mut Context, now: Nanos, asked: &ChildAsked, why: Failed) {
    let replaced_by_peer = asked.rival.is_some();
    let gone = asked.replaces.is_some_and(|old| ctx.children.get(old).is_none());
    if sa.is_closing() || replaced_by_peer || gone {
        // It was replaced, or deleted, while we asked (RFC 7296 section 2.8.1).
        return;
    }
    let (kind, wanted, text) = match why {
        Failed::Error(kind, wanted) => (kind, wanted, kind.to_string()),
        Failed::Unusable(what) => (NotifyType::INVALID_SYNTAX, None, what),
    };
    let ours = sa.profile.esp_suites.iter().filter_map(Suite::ke);
    if kind == NotifyType::INVALID_KE_PAYLOAD
        && asked.renewals < MAX_RENEWALS
        && let Some(method) = wanted_method(wanted, ours)
    {
        return ask(sa, ctx, now, asked.replaces, Some(method), asked.renewals + 1);
    }
    ctx.counters.rekeys_refused += 1;
    ctx.notice(now, sa.about(), NoticeKind::RekeyRefused, || format!("a Child SA keeps its keys: {text}"));
    if kind == NotifyType::CHILD_SA_NOT_FOUND
        && let Some(old) = asked.replaces
    {
        // The peer has lost it: so do we, and make another (RFC 7296 section 2.25).
        sa.family.end(ctx, old, DownReason::PeerDeleted);
        return ask(sa, ctx, now, None, asked.ephemeral.as_ref().map(Ephemeral::method), 0);
    }
    let first = if kind == NotifyType::TEMPORARY_FAILURE { BUSY_PAUSE } else { REFUSED_PAUSE };
    if kind == NotifyType::TEMPORARY_FAILURE || !sa.profile.esp_lifetime.is_zero() {
        retry(sa, ctx, now, asked.replaces, first);
    }
}

fn retry(sa: &mut Established, ctx: &mut Context, now: Nanos, child: Option<ChildId>, first: core::time::Duration) {
    let Some(child) = child else { return };
    let refused = sa.rekeying().child_refused;
    sa.rekeying().child_refused = refused.saturating_add(1);
    let at = now + pause(first, refused, &mut ctx.random);
    ctx.children.set_due(child, at);
    schedule(sa, ctx, now);
}

/// The peer has deleted its half of a pair that we wanted gone.
pub fn on_delete_answer(sa: &mut Established, ctx: &mut Context, now: Nanos, spi_in: u32) {
    let left = sa.family.ids(ctx).find(|id| ctx.children.get(*id).is_some_and(|child| child.spi_in == spi_in));
    if let Some(child) = left {
        sa.family.end(ctx, child, DownReason::Rekeyed);
        schedule(sa, ctx, now);
    }
}
