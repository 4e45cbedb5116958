//! CREATE_CHILD_SA that replaces the IKE SA (RFC 7296 sections 1.3.2, 2.8.2, 2.18), in both roles.
//!
//! ```text
//! HDR(old), SK { SA(new SPI), Ni, KEi }   -->
//!                                         <--   HDR(old), SK { SA(new SPI), Nr, KEr }
//! [ IKE_FOLLOWUP_KE, see follow_up.rs ]   -->   for each additional key exchange
//! HDR(old), SK { D }                      -->   the last request on the old one, from whoever asked
//! ```
//!
//! Name, path, NATs, address lists, decisions and Child SAs stay: they belong to the SA and not to its keys. Message ids
//! begin anew, and with them the marks of the newest update and list. Whatever we asked and nobody answered is asked anew.
//!
//! Where both ends ask at once there are two new IKE SAs for a while; the exchange with the lowest nonce loses.

use core::time::Duration;

use crate::Nanos;
use crate::crypto::kex::{self, fresh_nonce};
use crate::crypto::negotiate::Outcome;
use crate::crypto::{IkeSuite, KeMethod, Nonces, Random, Role, SkeySeed, Spis};
use crate::event::{Event, NoticeKind};
use crate::sa::context::Context;
use crate::sa::established::{Established, Mobility};
use crate::sa::exchange::create_child::{Refusal, finish, seal_answer};
use crate::sa::exchange::informational::Request;
use crate::sa::exchange::make_child::Failed;
use crate::sa::exchange::{expire, follow_up, offers, rekey_child};
use crate::sa::rekeying::series::{Half, IkeHalf, Link, Series};
use crate::sa::rekeying::{Fresh, IkeAsked, LINGER, Rekeying, Retired, Rival, Seed};
use crate::sa::window::{Ask, Requests};
use crate::table::spi;
use crate::wire::{KeMethod as KeNumber, KeyExchange, Nonce, NotifyType, Payload, Payloads, SkWriter};

/// Requests made anew because the peer wants another key exchange; more is a peer that plays.
pub const MAX_RENEWALS: u8 = 2;

/// After TEMPORARY_FAILURE, doubled each time: never at once (RFC 7296 section 2.25), and not in step with the peer.
pub const BUSY_PAUSE: Duration = Duration::from_secs(4);
/// After any other refusal, doubled each time.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// And no longer than this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// When something with this lifetime is replaced: up to a tenth earlier, so that two ends with the same orders seldom
/// begin together and a thousand SAs never do (RFC 7296 section 2.8).
#[must_use]
pub fn due(now: Nanos, lifetime: Duration, random: &mut impl Random) -> Nanos {
    if lifetime.is_zero() {
        return Nanos::NEVER;
    }
    let early = random.next_u64() % 1_000;
    now + (lifetime - lifetime.saturating_mul(early as u32) / 10_000)
}

/// A pause that doubles with each refusal in a row, give or take a quarter.
#[must_use]
pub fn pause(first: Duration, refused: u8, random: &mut impl Random) -> Duration {
    let span = first.saturating_mul(1 << refused.min(12)).min(LONGEST_PAUSE);
    span.saturating_mul(75 + (random.next_u64() % 51) as u32) / 100
}

/// What we offer and accept: what is in use first, then those of the profile that do without none of its additional key
/// exchanges. So what was hybrid stays so: each replacement brings fresh secrets of every kind, beside those of before,
/// which live on in SK_d.
#[must_use]
pub fn suites(sa: &Established) -> Vec<IkeSuite> {
    let mut suites = vec![sa.suite];
    for suite in sa.profile.ike_suites.iter().filter(|suite| suite.covers(&sa.suite)) {
        if !suites.contains(suite) {
            suites.push(*suite);
        }
    }
    suites
}

/// Replace the IKE SA, by order or because it is old.
pub fn order(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    if sa.rekeying.as_ref().is_none_or(|rekeying| rekeying.ike.is_none()) {
        let method = sa.suite.ke();
        ask(sa, ctx, now, method, 0);
    }
}

fn ask(sa: &mut Established, ctx: &mut Context, now: Nanos, method: KeMethod, renewals: u8) {
    sa.due.ike = Nanos::NEVER;
    let seed = Seed::fresh(&mut ctx.random);
    let Ok(ephemeral) = seed.ephemeral(method) else {
        ctx.counters.dropped_crypto += 1;
        return retry(sa, ctx, now, REFUSED_PAUSE);
    };
    let asked = IkeAsked {
        spi: spi::mint_ike(ctx.settings.shard, sa.id.slot(), &mut ctx.random),
        nonce: fresh_nonce(&mut ctx.random),
        seed,
        ephemeral,
        renewals,
        half: None,
    };
    sa.rekeying().ike = Some(asked);
    if !sa.ask(ctx, now, Ask::RekeyIke) {
        sa.rekeying().ike = None;
        retry(sa, ctx, now, BUSY_PAUSE);
    }
}

/// Time has passed.
pub fn on_timeout(sa: &mut Established, ctx: &mut Context, now: Nanos) {
    follow_up::on_timeout(sa, ctx, now);
    if let Some(until) = follow_up::ike_until(sa).filter(|_| sa.due.ike <= now) {
        // The peer is at it.
        sa.due.ike = until;
    }
    if sa.due.ike <= now && !sa.is_closing() {
        order(sa, ctx, now);
        // One that is under way is enough.
        sa.due.ike = if sa.due.ike <= now { Nanos::NEVER } else { sa.due.ike };
    }
}

/// SA, Ni, KEi.
pub fn write(writer: &mut SkWriter, suites: &[IkeSuite], rekeying: Option<&Rekeying>) {
    let Some(asked) = rekeying.and_then(|rekeying| rekeying.ike.as_ref()) else { return };
    offers::propose(suites, &asked.spi.to_be_bytes(), |sa| writer.push(&Payload::Sa(sa)));
    push_secrets(writer, &asked.nonce, Some((asked.ephemeral.method(), asked.ephemeral.public())));
}

/// A nonce, and a key exchange if there is one.
pub fn push_secrets(writer: &mut SkWriter, nonce: &[u8], ke: Option<(KeMethod, &[u8])>) {
    if let Some(nonce) = Nonce::new(nonce) {
        writer.push(&Payload::Nonce(nonce));
    }
    if let Some((method, data)) = ke {
        writer.push(&Payload::KeyExchange(KeyExchange { method: KeNumber(method.id()), data }));
    }
}

/// The peer replaces the IKE SA in use.
pub fn on_request(
    sa: &mut Established,
    ctx: &mut Context,
    now: Nanos,
    request: &Request,
    payloads: &Payloads<'_>,
) -> Result<(), Refusal> {
    if sa.is_closing() {
        return Err(Refusal::Closing);
    }
    let busy = |ask: &Ask| matches!(ask, Ask::MakeChild | Ask::FollowChild | Ask::DeleteChild { .. });
    let has_rival = sa.rekeying.as_ref().is_some_and(|rekeying| rekeying.rival.is_some());
    // Ours is agreed on, and only its further key exchanges are missing (RFC 9370 section 2.2.4).
    let goes_on = sa.rekeying.as_ref().and_then(|rekeying| rekeying.ike.as_ref()).is_some_and(|ike| ike.half.is_some());
    if has_rival || goes_on || sa.requests.outstanding().iter().any(|request| busy(&request.ask)) {
        return Err(Refusal::Busy);
    }
    let (Some(offered), Some(nonce_i), Some(ke)) = (payloads.sa(), payloads.nonce(), payloads.key_exchange()) else {
        return Err(Refusal::Incomplete);
    };
    let chosen = match offers::choose(&suites(sa), offered, Some(ke.method.0)) {
        Outcome::Chosen(chosen) => chosen,
        Outcome::WrongKe { wanted } => return Err(Refusal::WrongKe(wanted)),
        Outcome::None(why) => return Err(Refusal::NoProposal(why)),
    };
    let spi_i = read_spi(offers::spi_of(&chosen, offered)).ok_or(Refusal::Incomplete)?;
    let (public, shared) =
        kex::respond(chosen.suite.ke(), ke.data, &mut ctx.random).map_err(|_| Refusal::Incomplete)?;
    let nonce_r = fresh_nonce(&mut ctx.random);
    Nonces::new(nonce_i.octets(), &nonce_r).map_err(|_| Refusal::Incomplete)?;
    let spi_r = spi::mint_ike(ctx.settings.shard, sa.id.slot(), &mut ctx.random);
    let series = Series::new(nonce_i.octets(), &nonce_r, Some(shared));
    let half = IkeHalf { suite: chosen.suite, spis: Spis { initiator: spi_i, responder: spi_r }, series };
    let link = half.next().map(|_| follow_up::fresh_link(ctx));
    let fresh = if link.is_none() { Some(derive(sa, &half, Role::Responder).ok_or(Refusal::NoRoom)?) } else { None };
    let bytes = seal_answer(sa, ctx, request, |writer| {
        offers::accept(&chosen, &spi_r.to_be_bytes(), |sa| writer.push(&Payload::Sa(sa)));
        push_secrets(writer, &nonce_r, Some((chosen.suite.ke(), public.as_bytes())));
        follow_up::push_link(writer, link.as_ref().map(<[u8; 8]>::as_slice));
    });
    let bytes = bytes.ok_or(Refusal::NoRoom)?;
    finish(sa, ctx, now, request, bytes);
    ctx.counters.rekey_collisions += u64::from(is_asked(sa));
    // A peer that asks once more has forgotten what it began.
    follow_up::forget(sa, ctx, Half::is_ike);
    match (link, fresh) {
        (Some(link), _) => follow_up::await_next(sa, ctx, now, link, Half::Ike(half)),
        (None, Some(fresh)) => made_by_peer(sa, ctx, now, fresh, half.series.lowest().into()),
        (None, None) => {}
    }
    Ok(())
}

/// All of its key exchanges are done.
pub fn made_by_peer(sa: &mut Established, ctx: &mut Context, now: Nanos, fresh: Fresh, lowest: Box<[u8]>) {
    if is_asked(sa) {
        sa.rekeying().rival = Some(Rival { fresh, lowest });
    } else {
        adopt(sa, ctx, now, fresh, By::Peer);
    }
}

fn read_spi(octets: &[u8]) -> Option<u64> {
    <[u8; 8]>::try_from(octets).ok().map(u64::from_be_bytes).filter(|spi| *spi != 0)
}

/// The IKE SA that the key exchanges so far make.
pub fn derive(sa: &Established, half: &IkeHalf, role: Role) -> Option<Fresh> {
    let IkeHalf { suite, spis, series } = half;
    let nonces = series.nonces().ok()?;
    let seed = SkeySeed::rekeyed_by(sa.channel.keys().sk_d(), &nonces, series.secrets());
    let (keys, _) = seed.expand(suite, &nonces, *spis).ok()?;
    Some(Fresh::new(sa.channel.renewed(*spis, role, keys), *suite, sa.profile.window))
}

/// Is our own rekey of it on its way?
fn is_asked(sa: &Established) -> bool {
    sa.requests.outstanding().iter().any(|request| matches!(request.ask, Ask::RekeyIke))
}

/// Ours was answered.
pub fn on_answer(sa: &mut Established, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    let Some(rekeying) = sa.rekeying.as_mut() else { return };
    let (Some(asked), rival) = (rekeying.ike.take(), rekeying.rival.take()) else { return };
    let coming = rekeying.coming.iter().find_map(|coming| match &coming.what {
        Half::Ike(half) => Some((half.series.lowest().into(), coming.until)),
        Half::Child { .. } => None,
    });
    let (half, link) = match (accept(sa, &asked, payloads), rival, coming) {
        (Ok(agreed), rival, coming) => {
            let theirs = rival.as_ref().map(|rival| &rival.lowest).or(coming.as_ref().map(|(lowest, _)| lowest));
            if theirs.is_some_and(|theirs| agreed.0.series.lowest() <= &theirs[..]) {
                return yield_to_peer(sa, ctx, now, agreed.0, rival.map(|rival| rival.fresh));
            }
            if let Some(rival) = rival {
                // The peer deletes it.
                sa.retire(rival.fresh.retire(now + LINGER));
            }
            follow_up::forget(sa, ctx, Half::is_ike);
            agreed
        }
        // The peer had finished before it heard of ours (RFC 7296 section 2.8.2), or will.
        (Err(_), Some(rival), _) => return adopt(sa, ctx, now, rival.fresh, By::Peer),
        (Err(_), None, Some((_, until))) => return sa.due.ike = until,
        (Err(why), None, None) => return on_refusal(sa, ctx, now, &asked, why),
    };
    go_on(sa, ctx, now, asked, half, link);
}

/// The exchange with the lowest nonce is ours.
fn yield_to_peer(sa: &mut Established, ctx: &mut Context, now: Nanos, ours: IkeHalf, theirs: Option<Fresh>) {
    // With a key exchange outstanding there is nothing of ours to delete (RFC 9370 section 2.2.4).
    let redundant = if ours.next().is_none() { derive(sa, &ours, Role::Initiator) } else { None };
    match theirs {
        Some(theirs) => adopt(sa, ctx, now, theirs, By::Peer),
        None => sa.due.ike = follow_up::ike_until(sa).unwrap_or(now),
    }
    if let Some(redundant) = redundant {
        sa.retire_and_delete(ctx, now, redundant.retire(now + LINGER), 0);
    }
}

/// The next key exchange, or the new IKE SA where none is left.
fn go_on(sa: &mut Established, ctx: &mut Context, now: Nanos, asked: IkeAsked, half: IkeHalf, link: Option<Link>) {
    let Some(method) = half.next() else {
        return match derive(sa, &half, Role::Initiator) {
            Some(fresh) => adopt(sa, ctx, now, fresh, By::Us),
            None => on_refusal(sa, ctx, now, &asked, Failed::Unusable("keys that cannot be made".into())),
        };
    };
    if sa.is_closing() {
        // The peer has made nothing yet, and hears of the end on the IKE SA in use.
        return;
    }
    let Some(link) = link else {
        let why = Failed::Unusable("an answer without ADDITIONAL_KEY_EXCHANGE".into());
        return on_refusal(sa, ctx, now, &asked, why);
    };
    let seed = Seed::fresh(&mut ctx.random);
    let Ok(ephemeral) = seed.ephemeral(method) else {
        return on_refusal(sa, ctx, now, &asked, Failed::Unusable("no key pair could be made".into()));
    };
    sa.rekeying().ike = Some(IkeAsked { seed, ephemeral, half: Some(Box::new((half, link))), ..asked });
    sa.ask_first(ctx, now, Ask::FollowIke, |_| false);
}

/// KEi(n), and which series it belongs to.
pub fn write_follow_up(writer: &mut SkWriter, rekeying: Option<&Rekeying>) {
    let Some(asked) = rekeying.and_then(|rekeying| rekeying.ike.as_ref()) else { return };
    let link = asked.half.as_ref().map(|half| &half.1[..]);
    follow_up::write(writer, (asked.ephemeral.method(), asked.ephemeral.public()), link);
}

/// An additional key exchange of ours was answered.
pub fn on_follow_up(sa: &mut Established, ctx: &mut Context, now: Nanos, payloads: &Payloads<'_>) {
    let asked = sa.rekeying.as_mut().and_then(|rekeying| rekeying.ike.take_if(|asked| asked.half.is_some()));
    let Some(mut asked) = asked else { return };
    let Some((mut half, _)) = asked.half.take().map(|half| *half) else { return };
    match follow_up::shared(&asked.ephemeral, payloads) {
        Ok(shared) => {
            half.series.add(shared);
            go_on(sa, ctx, now, asked, half, follow_up::link_of(payloads));
        }
        Err(why) => on_refusal(sa, ctx, now, &asked, why),
    }
}

/// What both ends agreed on, and how the peer names what follows.
fn accept(sa: &Established, asked: &IkeAsked, payloads: &Payloads<'_>) -> Result<(IkeHalf, Option<Link>), Failed> {
    let (Some(answer), Some(nonce_r), Some(ke)) = (payloads.sa(), payloads.nonce(), payloads.key_exchange()) else {
        return Err(match payloads.notifies().find(|notify| notify.kind.is_error()) {
            Some(notify) => Failed::Error(notify.kind, notify.wanted_group()),
            None => Failed::Unusable("an answer without SA, KE or nonce".into()),
        });
    };
    let unusable = |what: &str| Failed::Unusable(what.into());
    let chosen = offers::check_answer(&suites(sa), answer).map_err(Failed::Unusable)?;
    let spi_r = read_spi(offers::spi_of(&chosen, answer)).ok_or_else(|| unusable("an answer without SPI"))?;
    let method = asked.ephemeral.method();
    if chosen.suite.ke() != method || ke.method.0 != method.id() {
        return Err(unusable("a key exchange that we did not begin"));
    }
    let shared = asked.ephemeral.agree(ke.data).map_err(|error| Failed::Unusable(error.to_string()))?;
    let series = Series::new(&asked.nonce, nonce_r.octets(), Some(shared));
    series.nonces().map_err(|error| Failed::Unusable(error.to_string()))?;
    let spis = Spis { initiator: asked.spi, responder: spi_r };
    Ok((IkeHalf { suite: chosen.suite, spis, series }, follow_up::link_of(payloads)))
}

fn on_refusal(sa: &mut Established, ctx: &mut Context, now: Nanos, asked: &IkeAsked, why: Failed) {
    if sa.is_closing() {
        return;
    }
    if let Failed::Error(NotifyType::INVALID_KE_PAYLOAD, wanted) = why
        && let Some(method) = wanted_method(wanted, suites(sa).iter().map(|suite| suite.ke()))
        && asked.renewals < MAX_RENEWALS
    {
        return ask(sa, ctx, now, method, asked.renewals + 1);
    }
    ctx.counters.rekeys_refused += 1;
    let (busy, text) = match why {
        Failed::Error(kind, _) => {
            (matches!(kind, NotifyType::TEMPORARY_FAILURE | NotifyType::STATE_NOT_FOUND), kind.to_string())
        }
        Failed::Unusable(what) => (false, what),
        Failed::OtherMode(what, _) => (false, what.into()),
    };
    ctx.notice(now, sa.about(), NoticeKind::RekeyRefused, || format!("the IKE SA keeps its keys: {text}"));
    if busy {
        retry(sa, ctx, now, BUSY_PAUSE);
    } else if !sa.profile.ike_lifetime.is_zero() {
        retry(sa, ctx, now, REFUSED_PAUSE);
    }
}

/// The method a peer wants instead, if we have offered it.
pub fn wanted_method(wanted: Option<KeNumber>, mut ours: impl Iterator<Item = KeMethod>) -> Option<KeMethod> {
    ours.find(|method| Some(method.id()) == wanted.map(|number| number.0))
}

fn retry(sa: &mut Established, ctx: &mut Context, now: Nanos, first: Duration) {
    let rekeying = sa.rekeying();
    let refused = rekeying.refused;
    rekeying.refused = refused.saturating_add(1);
    sa.due.ike = now + pause(first, refused, &mut ctx.random);
}

/// The peer has deleted the IKE SA in use. If it had made another one in its place, that one goes on: the peer never
/// heard of our asking for the same (RFC 7296 section 2.8.2).
pub fn outlives_delete(sa: &mut Established, ctx: &mut Context, now: Nanos) -> bool {
    let spis = sa.channel.spis;
    let went_on = adopt_rival(sa, ctx, now);
    sa.bury(now, spis);
    went_on
}

/// The peer uses the IKE SA that it made: ours comes too late, or has lost. `false` if it made none.
pub fn adopt_rival(sa: &mut Established, ctx: &mut Context, now: Nanos) -> bool {
    let Some(rival) = sa.rekeying.as_mut().and_then(|rekeying| rekeying.rival.take()) else { return false };
    sa.rekeying().ike = None;
    adopt(sa, ctx, now, rival.fresh, By::Peer);
    true
}

/// The peer has deleted the one it made, because ours wins.
pub fn drop_rival(sa: &mut Established, now: Nanos, spis: Spis) {
    let Some(rekeying) = sa.rekeying.as_mut() else { return };
    if let Some(rival) = rekeying.rival.take_if(|rival| rival.fresh.channel.spis == spis) {
        sa.retire(rival.fresh.retire(now + LINGER));
        sa.bury(now, spis);
    }
}

/// Who asked for the IKE SA that comes into use, and so deletes the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Us,
    Peer,
}

/// Use this one from now on.
fn adopt(sa: &mut Established, ctx: &mut Context, now: Nanos, fresh: Fresh, by: By) {
    let Fresh { channel, answers, suite } = fresh;
    let widest = sa.requests.widest();
    let (next_id, unanswered) = sa.requests.retire();
    let newest = (by == By::Peer).then(|| sa.answers.newest()).flatten();
    let old = Retired {
        channel: core::mem::replace(&mut sa.channel, channel),
        suite: sa.suite,
        answers: core::mem::replace(&mut sa.answers, answers),
        last_update: take_last_update(sa),
        last_list: sa.last_list.take(),
        newest,
        buried: false,
        farewell: None,
        until: now + LINGER,
    };
    sa.requests = Requests::resume(anew(ctx, unanswered), widest);
    sa.renew_probes();
    sa.suite = suite;
    // The hashes of NAT detection contain the SPIs: nothing said about the old ones can be compared.
    sa.seen_as = 0;
    sa.window_untold = sa.profile.window > 1;
    expire::begin_ike(sa, ctx, now);
    let rekeying = sa.rekeying();
    (rekeying.ike, rekeying.refused) = (None, 0);
    // What was begun with the old keys.
    follow_up::forget(sa, ctx, |_| true);
    rekey_child::abandon_series(sa, ctx, now);
    match by {
        By::Us => sa.retire_and_delete(ctx, now, old, next_id),
        By::Peer => sa.retire(old),
    }
    ctx.counters.ike_sas_rekeyed += 1;
    // Whatever a crash made us forget: the ids of this one begin with it.
    sa.agreed(ctx, now);
    sa.begin_ids_anew();
    if sa.is_closing() {
        // It was reported as down; the peer knows only the new one.
        if !sa.requests.waiting().any(|ask| matches!(ask, Ask::DeleteIke)) {
            sa.requests.enqueue_first(Ask::DeleteIke, |_| true);
        }
        return;
    }
    let Spis { initiator: spi_i, responder: spi_r } = sa.channel.spis;
    ctx.events.push_back(Event::IkeSaRekeyed { sa: sa.id, spi_i, spi_r, suite, by_us: by == By::Us });
    let learns_nat = sa.nat.we_are_behind && matches!(sa.mobility, Mobility::Initiator);
    if (learns_nat || sa.window_untold) && sa.requests.is_idle() {
        sa.requests.enqueue(Ask::Liveness);
    }
}

fn take_last_update(sa: &mut Established) -> Option<u32> {
    match &mut sa.mobility {
        Mobility::Responder { last_update, .. } => last_update.take(),
        Mobility::Off | Mobility::Initiator => None,
    }
}

/// What is asked again on the new one: of requests that replace each other only the newest, and nothing that a copy on
/// the old one could give away.
fn anew(ctx: &mut Context, unanswered: Vec<Ask>) -> Vec<Ask> {
    let mut asks: Vec<Ask> = Vec::with_capacity(unanswered.len());
    for mut ask in unanswered {
        match &mut ask {
            Ask::RekeyIke | Ask::FollowIke | Ask::FollowChild | Ask::Sync { .. } => continue,
            Ask::Check { cookie } | Ask::Repair { cookie, .. } => ctx.random.fill(cookie),
            Ask::Liveness
            | Ask::Probe { .. }
            | Ask::Update { .. }
            | Ask::Announce { .. }
            | Ask::Away { .. }
            | Ask::Redirect { .. }
            | Ask::DeleteIke
            | Ask::DeleteChild { .. }
            | Ask::MakeChild => {}
        }
        if matches!(
            ask,
            Ask::Liveness | Ask::Update { .. } | Ask::Announce { .. } | Ask::Check { .. } | Ask::Repair { .. }
        ) {
            let kind = core::mem::discriminant(&ask);
            asks.retain(|older| core::mem::discriminant(older) != kind);
        }
        asks.push(ask);
    }
    asks
}
