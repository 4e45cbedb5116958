//! Tickets by which an IKE SA that ended can be taken up again (RFC 5723 section 4): asked for, given and kept.
//!
//! ```text
//! IKE_AUTH   .., N(TICKET_REQUEST)  -->
//!                                   <--   .., N(TICKET_LT_OPAQUE, seconds, ticket) | N(TICKET_NACK)
//! ```

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::Nanos;
use crate::crypto::{IkeSuite, SkD, Spis};
use crate::event::DownReason;
use crate::id::Identity;
use crate::park::{Damage, Reader, Writer};
use crate::profile::Profile;
use crate::proofs::RemoteProof;
use crate::sa::channel::Channel;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::resume_responder::Resumed;
use crate::table::tickets::{Held, LONGEST};
use crate::wire::{NotifyType, Payload, Payloads, SkWriter};

/// What is in a ticket of ours.
pub struct Contents {
    /// Seconds since 1970 at which it ends.
    pub until: u64,
    /// The name of its standing orders.
    pub profile: Arc<str>,
    /// The algorithms.
    pub suite: IkeSuite,
    /// The root of new keys.
    pub sk_d: SkD,
    /// What the peer calls itself in IKE_AUTH.
    pub said_id: Identity,
    /// Who it proved to be.
    pub peer_id: Identity,
    /// What it was believed by ([`Resumption::rests_on`](crate::Resumption)).
    pub rests_on: Arc<[u8]>,
    /// Inner addresses for it that the control plane named.
    pub granted: Vec<IpAddr>,
    /// Inner addresses that it had.
    pub leased: Vec<IpAddr>,
    /// The IKE SA that it was given with.
    pub spis: Spis,
    /// Seconds since 1970 at which its proof is too old (RFC 4478); 0: never.
    pub proof_until: u64,
}

impl Contents {
    /// What a ticket for this peer would have in it; none if it asks for none. The three: standing orders, who it is, and
    /// inner addresses that were named for it.
    pub fn of(
        ctx: &Context,
        now: Nanos,
        channel: &Channel,
        suite: &IkeSuite,
        (profile, peer_id, granted): (&Profile, &Identity, &[IpAddr]),
        before: Option<&Resumed>,
        payloads: &Payloads<'_>,
    ) -> Option<Contents> {
        let id = payloads.id_initiator().filter(|_| payloads.has(NotifyType::TICKET_REQUEST))?;
        Some(Contents {
            until: 0,
            profile: Arc::clone(&profile.name),
            suite: *suite,
            sk_d: channel.keys().sk_d().clone(),
            said_id: Identity::from_wire(id.kind.0, id.data),
            peer_id: peer_id.clone(),
            rests_on: Arc::clone(&profile.resumption.rests_on),
            granted: granted.to_vec(),
            leased: Vec::new(),
            spis: channel.spis,
            // Taking up again proves nothing anew.
            proof_until: before.map_or_else(|| proof_until(ctx, now, profile), Resumed::proof_until),
        })
    }

    fn write(&self, to: &mut Writer) {
        let Contents { until, profile, suite, sk_d, said_id, peer_id, rests_on, granted, leased, spis, proof_until } =
            self;
        to.put(until);
        to.put(profile);
        to.put(suite);
        sk_d.park(to);
        to.put(said_id);
        to.put(peer_id);
        to.counted(rests_on);
        to.each(granted.iter());
        to.each(leased.iter());
        to.put(spis);
        to.put(proof_until);
    }

    /// From an opened ticket.
    pub fn read(octets: &[u8]) -> Result<Contents, Damage> {
        let mut from = Reader::new(octets);
        let (until, profile) = (from.get()?, from.get()?);
        let suite: IkeSuite = from.get()?;
        let contents = Contents {
            until,
            profile,
            suite,
            sk_d: SkD::unpark(&mut from, suite.prf())?,
            said_id: from.get()?,
            peer_id: from.get()?,
            rests_on: from.counted("basis of a ticket")?.into(),
            granted: from.each(Reader::get)?,
            leased: from.each(Reader::get)?,
            spis: from.get()?,
            proof_until: from.get()?,
        };
        from.end()?;
        Ok(contents)
    }
}

impl Held {
    /// Write it.
    pub fn park(&self, to: &mut Writer) {
        let Held { ticket, lifetime, until: _, sk_d, suite, peer_id, local_id, rests_on } = self;
        to.put(suite);
        sk_d.park(to);
        to.put(peer_id);
        to.put(local_id);
        to.counted(rests_on);
        to.put(&u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX));
        to.counted(ticket);
    }

    /// Read it. How much of its time is left nobody remembers; one that is too old is refused, and costs a round trip.
    pub fn unpark(from: &mut Reader<'_>, now: Nanos) -> Result<Held, Damage> {
        let suite: IkeSuite = from.get()?;
        let sk_d = SkD::unpark(from, suite.prf())?;
        let (peer_id, local_id) = (from.get()?, from.get()?);
        let rests_on = from.counted("basis of a ticket")?.into();
        let lifetime = Duration::from_secs(from.get::<u32>()?.into());
        let ticket = from.counted("ticket")?.into();
        Ok(Held { ticket, lifetime, until: now + lifetime, sk_d, suite, peer_id, local_id, rests_on })
    }
}

/// What a responder says to a wish for a ticket.
pub enum Given {
    /// It was not asked.
    Nothing,
    /// There is none.
    Refused,
    /// Here it is: what the notification says.
    Ticket(Vec<u8>),
}

/// A peer that came up: does it get a ticket?
#[must_use]
pub fn give(
    ctx: &mut Context,
    now: Nanos,
    profile: &Profile,
    payloads: &Payloads<'_>,
    mut contents: Contents,
) -> Given {
    if !payloads.has(NotifyType::TICKET_REQUEST) {
        return Given::Nothing;
    }
    let time = ctx.mint.time(now);
    let left = match contents.proof_until {
        0 => u64::MAX,
        until => until.saturating_sub(time),
    };
    let seconds = profile.resumption.lifetime.as_secs().min(left).min(u32::MAX.into());
    // Whoever judges peers by their certificates wants to see them.
    let shown = profile.proofs.judged && matches!(profile.proofs.remote, RemoteProof::Certificate { .. });
    if seconds == 0 || shown || !ctx.mint.is_open() {
        return Given::Refused;
    }
    contents.until = time + seconds;
    let mut plain = Writer::default();
    contents.write(&mut plain);
    let Some(ticket) = ctx.mint.seal(&plain.into_octets()) else { return Given::Refused };
    ctx.counters.tickets_given += 1;
    let mut data = (seconds as u32).to_be_bytes().to_vec();
    data.extend_from_slice(&ticket);
    Given::Ticket(data)
}

/// When a proof that is given now is too old, in seconds since 1970; 0: never.
fn proof_until(ctx: &Context, now: Nanos, profile: &Profile) -> u64 {
    let limit = profile.limits.reauth.as_secs();
    if limit == 0 { 0 } else { ctx.mint.time(now) + limit }
}

/// The answer.
pub fn write(writer: &mut SkWriter, given: &Given) {
    match given {
        Given::Nothing => {}
        Given::Refused => writer.push(&Payload::notify(NotifyType::TICKET_NACK, &[])),
        Given::Ticket(data) => writer.push(&Payload::notify(NotifyType::TICKET_LT_OPAQUE, data)),
    }
}

/// As initiator: ask for one.
pub fn ask(writer: &mut SkWriter, profile: &Profile) {
    if profile.resumption.ask {
        writer.push(&Payload::notify(NotifyType::TICKET_REQUEST, &[]));
    }
}

/// It came: keep it with the IKE SA, and the root of its keys as it is now.
pub fn keep(sa: &mut Established, now: Nanos, payloads: &Payloads<'_>) {
    let notify = payloads.notify(NotifyType::TICKET_LT_OPAQUE).filter(|_| sa.profile.resumption.ask);
    let Some((seconds, ticket)) = notify.and_then(|notify| notify.data.split_first_chunk()) else { return };
    let seconds = u64::from(u32::from_be_bytes(*seconds));
    if seconds == 0 || ticket.is_empty() || ticket.len() > LONGEST {
        return;
    }
    sa.ticket = Some(Box::new(Held {
        ticket: ticket.into(),
        lifetime: Duration::from_secs(seconds),
        until: now + Duration::from_secs(seconds),
        sk_d: sa.channel.keys().sk_d().clone(),
        suite: sa.suite,
        peer_id: sa.peer_id.clone(),
        local_id: sa.profile.local_id.clone(),
        rests_on: Arc::clone(&sa.profile.resumption.rests_on),
    }));
}

/// The IKE SA is over: was it without a word of the peer, which may know nothing of it, and do we want the same as then?
pub fn save(sa: &mut Established, ctx: &mut Context, why: &DownReason) {
    let Some(held) = sa.ticket.take() else { return };
    let (id, _) = sa.identity();
    let wanted = ctx.profiles.get(&id).is_some_and(|now| held.serves(now));
    if wanted && matches!(why, DownReason::PeerSilent(_) | DownReason::KeysLost) {
        ctx.purse.put(id, *held);
    }
}
