//! On to another gateway (RFC 5685), in both roles.
//!
//! ```text
//! IKE_SA_INIT        N(REDIRECT_SUPPORTED) | N(REDIRECTED_FROM)  -->
//!                                                                <--   HDR(A,0), N(REDIRECT, to, Ni)
//! IKE_AUTH                                                       <--   SK { IDr, [CERT], AUTH, N(REDIRECT, to) }
//!                    SK { D }                                    -->
//!
//! which with EAP is the answer to the first request: nobody is asked for a password that is of no use here.
//!
//! INFORMATIONAL                                                  <--   SK { N(REDIRECT, to) }
//!                    SK { }                                      -->
//!                    SK { D }                                    -->   when the new one is up
//! ```
//!
//! The one in IKE_SA_INIT is from somebody who has read our nonce, and no more is known of it. So whether, where and how often
//! a redirect is followed the control plane decides; and who is found there must prove to be whom the profile wants.

use core::time::Duration;
use std::sync::Arc;

use crate::crypto::Role;
use crate::event::{ConnectError, DownReason, Event, NoticeKind};
use crate::profile::Profile;
use crate::proofs::LocalProof;
use crate::sa::Sa;
use crate::sa::channel::Outgoing;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::auth_initiator::{Authenticating, with_id};
use crate::sa::exchange::auth_responder::prove;
use crate::sa::exchange::init_initiator::Order;
use crate::sa::exchange::init_responder::{self, HalfOpen};
use crate::sa::exchange::{eap_initiator, proof};
use crate::sa::window::Ask;
use crate::wire::{Delete, ExchangeType, Gateway, Header, Message, NotifyType, Payload, Payloads, SkWriter};
use crate::{Nanos, Path};

/// A peer that was sent on has so long to set up the other IKE SA and to end this one.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The gateway that a peer on this path can reach.
fn choose(to: &[Gateway], path: Path) -> Option<&Gateway> {
    let same = |gateway: &&Gateway| matches!(gateway, Gateway::At(ip) if ip.is_ipv4() == path.remote.is_ipv4());
    let named = || to.iter().find(|gateway| matches!(gateway, Gateway::Named(_)));
    to.iter().find(same).or_else(named)
}

/// Does who asks follow?
#[must_use]
pub fn is_known(payloads: &Payloads<'_>) -> bool {
    payloads.has(NotifyType::REDIRECT_SUPPORTED) || payloads.has(NotifyType::REDIRECTED_FROM)
}

/// A stranger asks for an IKE SA: is it sent on, in place of all else? That keeps no state, and the answer is shorter than
/// the request. Who was sent here is not sent back, and not sent on for the sake of load alone (RFC 5685 section 4).
pub fn turn_away(ctx: &mut Context, path: Path, message: &Message<'_>, taken: u32) -> bool {
    let Some(orders) = ctx.turn_away.as_ref().filter(|orders| taken >= orders.from) else { return false };
    let payloads = &message.payloads;
    let (Some(to), Some(nonce), true) = (choose(&orders.to, path), payloads.nonce(), is_known(payloads)) else {
        return false;
    };
    if let Some(origin) = payloads.notify(NotifyType::REDIRECTED_FROM) {
        let is_back = Gateway::read(origin.data).is_none_or(|(origin, _)| orders.to.contains(&origin));
        if is_back || orders.from > 0 {
            return false;
        }
    }
    let octets = to.octets(nonce.octets());
    ctx.counters.redirects_sent += 1;
    init_responder::refuse(ctx, path, &message.header, NotifyType::REDIRECT, &octets);
    true
}

/// The peer has proved who it is: the gateway that its profile sends it on to.
#[must_use]
pub fn of_peer(half: &HalfOpen, profile: &Profile, path: Path) -> Option<Gateway> {
    choose(&profile.redirect.to, path).filter(|_| half.redirects).cloned()
}

/// A peer wants EAP, and its profile sends it on: tell it so in our first answer, with our proof (RFC 5685 section 6), and
/// nothing else begins. Where ours would be EAP too it comes in the last answer. `stapled`: it wants to see OCSP responses.
pub fn ahead_of_eap(half: &mut HalfOpen, ctx: &mut Context, profile: &Profile, path: Path, stapled: bool) -> bool {
    if matches!(profile.proofs.local, LocalProof::Eap) {
        return false;
    }
    let Some(to) = of_peer(half, profile, path) else { return false };
    let Ok(ours) = prove(half, profile) else { return false };
    let message = half.answer_header();
    let Some((channel, _)) = half.keys() else { return false };
    let sealed = channel.seal(&mut ctx.buffer, message, |writer| {
        with_id(&profile.local_id, |id| writer.push(&Payload::IdResponder(id)));
        proof::write_certificates(writer, profile, stapled);
        writer.push(&ours.payload());
        write(writer, Some(&to));
    });
    let Ok(bytes) = sealed else { return false };
    ctx.counters.redirects_sent += 1;
    // Kept until it expires, so that a repetition gets the same.
    half.refusal = Some(Arc::clone(&bytes));
    half.sent_on = true;
    ctx.send(path, bytes);
    true
}

/// Is this the request in which a peer that was sent on ahead of EAP says that it goes?
#[must_use]
pub fn awaits_delete(half: &HalfOpen, header: &Header) -> bool {
    let next = half.auth_id.wrapping_add(1);
    half.sent_on
        && !header.flags.response
        && header.exchange == ExchangeType::INFORMATIONAL
        && header.message_id == next
}

/// It is: answer it, and forget the peer.
pub fn on_delete(sa: &mut Sa, ctx: &mut Context, path: Path, id: u32, bytes: &mut [u8]) {
    let Sa::AwaitAuth(half) = sa else { return };
    let Some((channel, _)) = half.keys() else { return };
    let opened = match channel.open(&ctx.room, bytes) {
        Ok(opened) => opened,
        Err(why) => return ctx.count_unopened(why),
    };
    if !opened.payloads().is_ok_and(|all| all.iter().any(|each| matches!(each, Payload::Delete(Delete::IkeSa)))) {
        ctx.counters.dropped_wrong_state += 1;
        return;
    }
    let message = Outgoing { exchange: ExchangeType::INFORMATIONAL, id, response: true };
    if let Ok(bytes) = channel.seal(&mut ctx.buffer, message, |_| {}) {
        ctx.send(path, bytes);
    }
    ctx.half_open.remove(&half.asker);
    *sa = Sa::Ended;
}

/// The same, told in IKE_AUTH.
pub fn write(writer: &mut SkWriter, to: Option<&Gateway>) {
    if let Some(to) = to {
        writer.push(&Payload::notify(NotifyType::REDIRECT, &to.octets(&[])));
    }
}

/// It was told.
pub fn begin(sa: &mut Established, ctx: &mut Context, now: Nanos, to: Option<&Gateway>) {
    if to.is_some() {
        ctx.counters.redirects_sent += 1;
        sa.due.sent_on = now + PATIENCE;
    }
}

/// Send an established peer on.
pub fn order(sa: &mut Established, ctx: &mut Context, now: Nanos, to: &[Gateway]) {
    let chosen = choose(to, sa.path);
    let why = match chosen {
        _ if sa.part == Role::Initiator => "only a gateway sends its peers on",
        _ if !sa.redirects => "the peer follows no redirect",
        None => "no gateway of the family of its path is given",
        Some(_) => "",
    };
    let Some(to) = chosen.filter(|_| why.is_empty()) else {
        ctx.counters.commands_refused += 1;
        return ctx.notice(now, sa.about(), NoticeKind::NotServed, || format!("not sent on: {why}"));
    };
    if sa.ask(ctx, now, Ask::Redirect { octets: Arc::from(to.octets(&[])) }) {
        begin(sa, ctx, now, Some(to));
    }
}

/// Time has passed: the peer has not ended it.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.due.sent_on <= now && !sa.is_closing() {
        sa.close(ctx, now, DownReason::SentOn);
    }
}

/// What our request says of it. A reauthentication stays where it is.
pub fn offer(order: &Order, mut with: impl FnMut(&Payload<'_>)) {
    match order.redirected_from {
        Some(origin) => {
            let octets = Gateway::At(origin).octets(&[]);
            with(&Payload::notify(NotifyType::REDIRECTED_FROM, &octets));
        }
        None if follows(order) => with(&Payload::notify(NotifyType::REDIRECT_SUPPORTED, &[])),
        None => {}
    }
}

fn follows(order: &Order) -> bool {
    order.profile.redirect.follow && order.old.is_none()
}

/// Where an answer to IKE_SA_INIT sends us. One without our nonce is from somebody who has not seen our request.
pub fn in_init(ctx: &mut Context, order: &Order, nonce: &[u8], payloads: &Payloads<'_>) -> Option<Gateway> {
    let notify = payloads.notify(NotifyType::REDIRECT).filter(|_| follows(order))?;
    ctx.counters.redirects_heard += 1;
    Gateway::read(notify.data).filter(|(_, echo)| *echo == nonce).map(|(to, _)| to)
}

/// Where the answer to our first IKE_AUTH sends us, though we are to prove ourselves by EAP yet. Its sender has proved who it
/// is; one that proves it by EAP has not.
#[must_use]
pub fn in_first_answer(asking: &Authenticating, payloads: &Payloads<'_>) -> Option<Gateway> {
    let proven = !eap_initiator::is_alone(asking);
    in_auth(asking.order(), payloads).filter(|_| proven)
}

/// Where the last answer to IKE_AUTH sends us; its sender has proved who it is.
#[must_use]
pub fn in_auth(order: &Order, payloads: &Payloads<'_>) -> Option<Gateway> {
    let notify = payloads.notify(NotifyType::REDIRECT).filter(|_| follows(order))?;
    Gateway::read(notify.data).map(|(to, _)| to)
}

/// We are sent on: tell the gateway that the IKE SA is over, once and without waiting. It will end it by itself.
pub fn leave(ctx: &mut Context, mut asking: Authenticating, to: Gateway) -> Sa {
    ctx.counters.redirects_heard += 1;
    let message = Outgoing { exchange: ExchangeType::INFORMATIONAL, id: asking.auth_id() + 1, response: false };
    let path = asking.path;
    let delete = Payload::Delete(Delete::IkeSa);
    if let Ok(bytes) = asking.channel_mut().seal(&mut ctx.buffer, message, |writer| writer.push(&delete)) {
        ctx.send(path, bytes);
    }
    asking.fail(ctx, ConnectError::Redirected(to));
    Sa::Ended
}

/// The gateway of an established IKE SA sends us on. It hears that we know, and the control plane decides.
pub fn on_notify(sa: &mut Established, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    let Some(notify) = payloads.notify(NotifyType::REDIRECT) else { return };
    ctx.counters.redirects_heard += 1;
    let to = Gateway::read(notify.data).filter(|_| sa.part == Role::Initiator && sa.profile.redirect.follow);
    match to {
        Some((to, _)) if !sa.is_closing() => ctx.events.push_back(Event::Redirected { sa: sa.id, to }),
        Some(_) => {}
        None => ctx.notice(now, sa.about(), NoticeKind::NotServed, || "the peer sends us on; not followed".into()),
    }
}
