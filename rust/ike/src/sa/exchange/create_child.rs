//! CREATE_CHILD_SA (RFC 7296 section 1.3) as the one who answers: the peer replaces one of its Child SAs.
//!
//! A peer that cannot change the addresses of a Child SA rekeys it after every move (strongSwan with its userspace ESP
//! does), so without this a tunnel to it would not survive one. Further Child SAs and new IKE SAs are refused with
//! NO_ADDITIONAL_SAS, as RFC 7296 section 1.3 allows.

use std::sync::Arc;

use crate::Nanos;
use crate::crypto::kex::fresh_nonce;
use crate::crypto::negotiate::{Chosen, Outcome};
use crate::crypto::{ChildKeys, EspSuite, Nonces, Role};
use crate::event::{ChildInstall, Event, NoticeKind};
use crate::sa::channel::Outgoing;
use crate::sa::child::Reserved;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::auth_initiator::esp_suites;
use crate::sa::exchange::informational::Request;
use crate::sa::exchange::{offers, traffic};
use crate::selector::narrow;
use crate::wire::{Nonce, Notify, NotifyType, Payload, Payloads, ProtocolId, SkWriter};

/// Pairs of one IKE SA: one in use, one that replaces it, and as many again for a peer that is slow to delete. Without a
/// limit a peer could fill the table by rekeying and never deleting.
const MOST_CHILDREN: usize = 4;

/// The peer asks for it.
pub fn on_request(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, payloads: &Payloads<'_>) {
    match replacement(sa, ctx, payloads) {
        Ok(replacement) => {
            let Some(bytes) = seal(sa, ctx, request, |writer| replacement.write(writer)) else {
                return ctx.children.release(replacement.reserved);
            };
            sa.family.adopt(&mut ctx.children, replacement.reserved, replacement.install.spi_out);
            ctx.counters.children_up += 1;
            ctx.counters.children_rekeyed += 1;
            let Replacement { reserved, install, .. } = replacement;
            ctx.events.push_back(Event::ChildUp { sa: sa.id, child: reserved.id, install });
            finish(sa, ctx, now, request, bytes);
        }
        Err(refusal) => {
            ctx.counters.create_child_refused += 1;
            ctx.notice(now, sa.about(), refusal.kind(), || format!("CREATE_CHILD_SA refused: {}", refusal.text()));
            if let Some(bytes) = seal(sa, ctx, request, |writer| refusal.write(writer)) {
                finish(sa, ctx, now, request, bytes);
            }
        }
    }
}

fn seal(
    sa: &mut Established,
    ctx: &mut Context,
    request: &Request,
    fill: impl FnOnce(&mut SkWriter),
) -> Option<Arc<[u8]>> {
    let message = Outgoing { exchange: request.exchange, id: request.id, response: true };
    let sealed = sa.channel.seal(&mut ctx.buffer, message, fill).ok();
    ctx.counters.dropped_crypto += u64::from(sealed.is_none());
    sealed
}

fn finish(sa: &mut Established, ctx: &mut Context, now: Nanos, request: &Request, bytes: Arc<[u8]>) {
    ctx.send(request.path, Arc::clone(&bytes));
    sa.answered(now, request.id, bytes);
}

/// A pair that takes the place of another. The peer deletes that one when it uses this one (RFC 7296 section 2.8).
struct Replacement {
    reserved: Reserved,
    chosen: Chosen<EspSuite>,
    nonce: [u8; Nonces::FRESH_LEN],
    install: Box<ChildInstall>,
}

impl Replacement {
    fn write(&self, writer: &mut SkWriter) {
        let spi = self.reserved.spi_in.to_be_bytes();
        offers::accept(&self.chosen, &spi, |sa| writer.push(&Payload::Sa(sa)));
        if let Some(nonce) = Nonce::new(&self.nonce) {
            writer.push(&Payload::Nonce(nonce));
        }
        traffic::write(&self.install.remote_ts, |ts| writer.push(&Payload::TsInitiator(ts)));
        traffic::write(&self.install.local_ts, |ts| writer.push(&Payload::TsResponder(ts)));
    }
}

/// Why the peer gets none.
enum Refusal {
    /// It wants another Child SA, or a new IKE SA.
    NotServed,
    /// What it wants to replace is not there (RFC 7296 section 2.25.1).
    NotFound([u8; 4]),
    /// The IKE SA is about to end (RFC 7296 section 2.25.2).
    Closing,
    Incomplete,
    NoProposal(String),
    Selectors,
    NoRoom,
}

impl Refusal {
    fn notify(&self) -> NotifyType {
        match self {
            Refusal::NotServed | Refusal::NoRoom => NotifyType::NO_ADDITIONAL_SAS,
            Refusal::NotFound(_) => NotifyType::CHILD_SA_NOT_FOUND,
            Refusal::Closing => NotifyType::TEMPORARY_FAILURE,
            Refusal::Incomplete => NotifyType::INVALID_SYNTAX,
            Refusal::NoProposal(_) => NotifyType::NO_PROPOSAL_CHOSEN,
            Refusal::Selectors => NotifyType::TS_UNACCEPTABLE,
        }
    }

    fn kind(&self) -> NoticeKind {
        match self {
            Refusal::NotServed | Refusal::Closing => NoticeKind::NotServed,
            Refusal::NotFound(_) | Refusal::NoProposal(_) | Refusal::Selectors => NoticeKind::ChildRefused,
            Refusal::Incomplete => NoticeKind::Malformed,
            Refusal::NoRoom => NoticeKind::Limit,
        }
    }

    fn text(&self) -> String {
        match self {
            Refusal::NotServed => "only replacing a Child SA is served, not another one or a new IKE SA".into(),
            Refusal::NotFound(spi) => format!("there is no Child SA {:08x} to replace", u32::from_be_bytes(*spi)),
            Refusal::Closing => "the IKE SA is being closed".into(),
            Refusal::Incomplete => "a payload is missing".into(),
            Refusal::NoProposal(why) => why.clone(),
            Refusal::Selectors => "no traffic selector is acceptable".into(),
            Refusal::NoRoom => "no room for another Child SA".into(),
        }
    }

    fn write(&self, writer: &mut SkWriter) {
        let notify = match self {
            Refusal::NotFound(spi) => Notify::child(ProtocolId::ESP, spi, self.notify(), &[]),
            Refusal::NotServed
            | Refusal::Closing
            | Refusal::Incomplete
            | Refusal::NoProposal(_)
            | Refusal::Selectors
            | Refusal::NoRoom => Notify::new(self.notify(), &[]),
        };
        writer.push(&Payload::Notify(notify));
    }
}

fn replacement(sa: &Established, ctx: &mut Context, payloads: &Payloads<'_>) -> Result<Replacement, Refusal> {
    if sa.is_closing() {
        return Err(Refusal::Closing);
    }
    let rekey = payloads.notify(NotifyType::REKEY_SA).ok_or(Refusal::NotServed)?;
    let replaced = <[u8; 4]>::try_from(rekey.spi).map_err(|_| Refusal::Incomplete)?;
    sa.family.by_spi_out(ctx, u32::from_be_bytes(replaced)).ok_or(Refusal::NotFound(replaced))?;
    if sa.family.len(ctx) >= MOST_CHILDREN {
        return Err(Refusal::NoRoom);
    }
    let (Some(offered), Some(nonce_i)) = (payloads.sa(), payloads.nonce()) else { return Err(Refusal::Incomplete) };
    let (Some(tsi), Some(tsr)) = (payloads.ts_initiator(), payloads.ts_responder()) else {
        return Err(Refusal::Incomplete);
    };
    let ke_sent = payloads.key_exchange().map(|ke| ke.method.0);
    let chosen = match offers::choose(&esp_suites(&sa.profile), offered, ke_sent) {
        Outcome::Chosen(chosen) => chosen,
        Outcome::WrongKe { .. } => return Err(Refusal::NoProposal("a key exchange that we do not do".into())),
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
    let nonce = fresh_nonce(&mut ctx.random);
    let keys = Nonces::new(nonce_i.octets(), &nonce)
        .and_then(|nonces| ChildKeys::derive(sa.channel.keys().sk_d(), &chosen.suite, &nonces, None))
        .map_err(|_| Refusal::NoRoom)?;
    let reserved = ctx.children.reserve(ctx.settings.shard, sa.id, &mut ctx.random).ok_or(Refusal::NoRoom)?;
    let install = Box::new(ChildInstall {
        suite: chosen.suite,
        spi_in: reserved.spi_in,
        spi_out,
        // Whoever asked is the initiator of this exchange, whatever its part in the IKE SA (RFC 7296 section 2.17).
        key_in: keys.sent_by(Role::Initiator).clone(),
        key_out: keys.sent_by(Role::Responder).clone(),
        local_ts,
        remote_ts,
        path: sa.path,
        encap: sa.nat.any() || sa.profile.always_encap,
    });
    Ok(Replacement { reserved, chosen, nonce, install })
}
