//! The answer to IKE_SA_INIT: what it may say, and what follows.

use super::{Connecting, Order, resuming};
use crate::crypto::auth::Intermediate;
use crate::crypto::puzzle::{self, SOLUTION_LEN};
use crate::crypto::{Hashes, Nonces, Role, SkeySeed, Spis};
use crate::event::ConnectError;
use crate::sa::Sa;
use crate::sa::channel::Channel;
use crate::sa::context::Context;
use crate::sa::exchange::{auth_initiator, first_child, intermediate_initiator, offers, proof, redirect};
use crate::sa::path::{Detected, detect};
use crate::wire::puzzle::Puzzle;
use crate::wire::{Gateway, KeMethod as KeNumber, Message, NotifyType, Payloads};
use crate::{Nanos, Path};

/// An answer came.
pub fn on_answer(sa: &mut Sa, ctx: &mut Context, now: Nanos, path: Path, bytes: &[u8]) {
    let Sa::AwaitInitAnswer(connecting) = sa else { return };
    let Some(index) = connecting.order.paths.iter().position(|tried| *tried == path) else {
        // A NAT or a peer that answers from elsewhere; there was no request over that path that we could prove.
        ctx.counters.dropped_bad_init_answer += 1;
        return;
    };
    let Ok(message) = Message::parse(bytes) else {
        ctx.counters.dropped_malformed += 1;
        return;
    };
    if message.header.exchange != connecting.exchange() {
        ctx.counters.dropped_unasked_answer += 1;
        return;
    }
    if connecting.works_for_auth() {
        ctx.counters.unproven_answers += 1;
        return;
    }
    connecting.path = index;
    let payloads = &message.payloads;
    let sent_on = redirect::in_init(ctx, &connecting.order, &connecting.nonce, payloads);
    let outcome = match sent_on.map_or_else(|| what_came(payloads), Came::Redirect) {
        Came::Cookie(cookie, puzzle) => connecting.on_cookie(ctx, now, cookie, puzzle),
        Came::Redirect(to) => Err(ConnectError::Redirected(to)),
        _ if connecting.ticket.is_some() => {
            if resuming::proceed(sa, ctx, now, path, bytes, &message) {
                return;
            }
            let Sa::AwaitInitAnswer(connecting) = sa else { return };
            let refused = payloads.notifies().find(|notify| notify.kind.is_error()).map(|notify| notify.kind);
            connecting.answered(now, Some(refused.unwrap_or(NotifyType::TICKET_NACK)));
            connecting.without_ticket(ctx, now)
        }
        Came::OtherMethod(wanted) => connecting.on_other_method(ctx, now, wanted),
        Came::Error(kind) => {
            connecting.doubt(ctx, now, kind.to_string());
            Ok(())
        }
        Came::Offer => match accept(connecting, &message) {
            Ok(accepted) => {
                connecting.answered(now, None);
                let nonce = &accepted.nonce;
                if connecting.must_work(ctx, now, bytes, payloads, &puzzle::string_of_auth(nonce, accepted.spi_r)) {
                    return;
                }
                return proceed(sa, ctx, now, path, bytes, payloads, (accepted, None));
            }
            Err(heard) => {
                ctx.counters.dropped_bad_init_answer += 1;
                connecting.doubt(ctx, now, heard);
                Ok(())
            }
        },
    };
    if let Err(why) = outcome
        && let Sa::AwaitInitAnswer(connecting) = core::mem::replace(sa, Sa::Ended)
    {
        connecting.fail(ctx, why);
    }
}

enum Came<'a> {
    Offer,
    Cookie(&'a [u8], Option<Puzzle>),
    OtherMethod(Option<KeNumber>),
    Redirect(Gateway),
    Error(NotifyType),
}

fn what_came<'a>(payloads: &Payloads<'a>) -> Came<'a> {
    if payloads.sa().is_some() {
        return Came::Offer;
    }
    if let Some(cookie) = payloads.notify(NotifyType::COOKIE).and_then(|notify| notify.cookie()) {
        return Came::Cookie(cookie, payloads.notify(NotifyType::PUZZLE).and_then(Puzzle::read));
    }
    match payloads.notifies().find(|notify| notify.kind.is_error()) {
        Some(notify) if notify.kind == NotifyType::INVALID_KE_PAYLOAD => Came::OtherMethod(notify.wanted_group()),
        Some(notify) => Came::Error(notify.kind),
        None => Came::Offer,
    }
}

/// What an answer that fits agreed on.
struct Accepted {
    suite: crate::crypto::IkeSuite,
    spi_r: u64,
    public: Box<[u8]>,
    nonce: Box<[u8]>,
    hashes: Option<Hashes>,
    stapled: bool,
    childless: bool,
}

fn accept(connecting: &Connecting, message: &Message<'_>) -> Result<Accepted, String> {
    let payloads = &message.payloads;
    let (Some(sa), Some(ke), Some(nonce)) = (payloads.sa(), payloads.key_exchange(), payloads.nonce()) else {
        return Err("an answer without SA, KE or nonce".into());
    };
    let spi_r = message.header.responder_spi;
    if spi_r == 0 {
        return Err("an answer without SPI".into());
    }
    let suite = offers::check_answer(&connecting.order.profile.ike_suites, sa)?.suite;
    if !suite.additional().is_empty() && !payloads.has(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED) {
        return Err("an answer with additional key exchanges but without IKE_INTERMEDIATE".into());
    }
    let method = connecting.ephemeral.method();
    if suite.ke() != method || ke.method.0 != method.id() || ke.data.len() != method.public_len(Role::Responder) {
        return Err(format!("a key exchange value that is not {method}"));
    }
    let hashes = proof::hashes_in(payloads);
    if hashes.is_none() && !connecting.order.profile.proofs.knows_old_ways() {
        return Err("an answer without SIGNATURE_HASH_ALGORITHMS: the peer does not sign as RFC 7427 says".into());
    }
    let needs_ppk = connecting.order.ppk().is_some_and(|ppk| ppk.required);
    if needs_ppk && !payloads.has(NotifyType::USE_PPK) {
        return Err("an answer without USE_PPK: the peer has no PPK as RFC 8784 says".into());
    }
    let stapled = proof::asks_for_staple(payloads);
    let childless = first_child::comes_later(&connecting.order.profile, payloads)?;
    Ok(Accepted { suite, spi_r, public: ke.data.into(), nonce: nonce.octets().into(), hashes, stapled, childless })
}

/// The puzzle of this answer was solved, or left: what follows.
pub(super) fn go_on(sa: &mut Sa, ctx: &mut Context, now: Nanos, answer: &[u8], solution: Option<[u8; SOLUTION_LEN]>) {
    let Sa::AwaitInitAnswer(connecting) = sa else { return };
    let path = connecting.order.paths[connecting.path];
    // It was good before.
    let Ok(message) = Message::parse(answer) else { return };
    if let Ok(accepted) = accept(connecting, &message) {
        proceed(sa, ctx, now, path, answer, &message.payloads, (accepted, solution));
    }
}

fn proceed(
    sa: &mut Sa,
    ctx: &mut Context,
    now: Nanos,
    path: Path,
    answer: &[u8],
    payloads: &Payloads<'_>,
    (accepted, solution): (Accepted, Option<[u8; SOLUTION_LEN]>),
) {
    let Sa::AwaitInitAnswer(connecting) = sa else { return };
    let spis = Spis { initiator: connecting.spi_i, responder: accepted.spi_r };
    let made = connecting.ephemeral.agree(&accepted.public).and_then(|shared| {
        let nonces = Nonces::new(&connecting.nonce, &accepted.nonce)?;
        SkeySeed::initial(accepted.suite.prf(), &nonces, shared).expand(&accepted.suite, &nonces, spis)
    });
    let Ok((keys, auth)) = made else {
        ctx.counters.dropped_bad_ke += 1;
        return connecting.doubt(ctx, now, "an unusable key exchange value".into());
    };
    let mut channel = Channel::new(spis, Role::Initiator, keys);
    if payloads.has(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED) {
        channel.use_fragments();
    }
    channel.take(path);
    let detected = detect(payloads, spis, path).filter(|_| connecting.order.profile.paths.nat_traversal);
    let Sa::AwaitInitAnswer(connecting) = core::mem::replace(sa, Sa::Ended) else { return };
    let Connecting { order, id, nonce, request, .. } = *connecting;
    let path = floated(ctx, &order, path, detected);
    let agreed = auth_initiator::Agreed {
        order,
        id,
        suite: accepted.suite,
        channel,
        auth,
        said: Intermediate::default(),
        done: 0,
        nonce_i: nonce,
        nonce_r: accepted.nonce,
        request,
        answer: answer.into(),
        path,
        detected,
        hashes: accepted.hashes,
        stapled: accepted.stapled,
        ppk: payloads.has(NotifyType::USE_PPK),
        childless: accepted.childless,
        resumed: None,
        solution,
    };
    *sa = intermediate_initiator::go_on(ctx, now, agreed);
}

/// Port 4500 from here on if both ends know NAT traversal and there is a NAT or may be one after a move (M3.3-2).
pub(super) fn floated(ctx: &Context, order: &Order, path: Path, detected: Option<Detected>) -> Path {
    let wanted = order.profile.agrees_on_mobike() || order.profile.always_encap;
    let floats = detected.is_some_and(|detected| detected.nat.any() || wanted);
    let mut path = path;
    if floats && path.local.port() != ctx.settings.natt_port {
        path.local.set_port(order.natt.local);
        path.remote.set_port(order.natt.remote);
    }
    path
}
