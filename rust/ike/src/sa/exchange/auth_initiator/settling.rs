//! The peer is who it should be: what its last answer gives us.

use core::net::IpAddr;
use core::time::Duration;

use super::{Authenticating, fail};
use crate::Nanos;
use crate::event::{ConnectError, Event};
use crate::id::Identity;
use crate::sa::Sa;
use crate::sa::asked::agreed_extensions;
use crate::sa::child::Family;
use crate::sa::context::{About, Context};
use crate::sa::established::{Established, Mobility, Setup};
use crate::sa::exchange::configuration;
use crate::sa::exchange::first_child;
use crate::sa::exchange::informational::window_of;
use crate::sa::exchange::reauth;
use crate::sa::exchange::{addresses, redirect, sync, tickets};
use crate::sa::window::Ask;
use crate::wire::{NotifyType, Payloads};

/// Both have shown who they are. `payloads` are of the last answer.
pub fn settle(ctx: &mut Context, now: Nanos, asking: Authenticating, peer: Peer, payloads: &Payloads<'_>) -> Sa {
    if let Some(to) = redirect::in_auth(&asking.order, payloads) {
        return redirect::leave(ctx, asking, to);
    }
    Sa::Established(Box::new(establish(ctx, now, asking, peer, payloads)))
}

/// A peer that proved who it is.
#[derive(Debug)]
pub struct Peer {
    /// Who.
    pub id: Identity,
    /// Addresses that need no further proof.
    pub proven: Box<[IpAddr]>,
    /// Round-trip time of the request, at least and at most; none where its answer waited for a verdict.
    pub round_trip: Option<(Duration, Duration)>,
}

fn establish(
    ctx: &mut Context,
    now: Nanos,
    asking: Authenticating,
    peer: Peer,
    payloads: &Payloads<'_>,
) -> Established {
    let Peer { id: peer_id, proven, round_trip } = peer;
    let child = first_child::read(&asking, payloads);
    let Authenticating { order, id, suite, channel, path, nat, natt, auth_id, child: asked, resumed, .. } = asking;
    ctx.counters.sessions_resumed += u64::from(resumed.is_some());
    let useless = child.is_err() && !first_child::outlives_refusal(&order.profile, asked);
    if let (true, Err(why)) = (useless, &child) {
        fail(ctx, &order, path, ConnectError::NoChildSa(why.clone()));
    }
    let mobike = order.profile.agrees_on_mobike() && payloads.has(NotifyType::MOBIKE_SUPPORTED);
    let about = About { path: Some(path), sa: Some(id) };
    let leases = configuration::heed(ctx, now, about, &order.profile, payloads);
    let peer_addresses = addresses::read(ctx, now, about, payloads).unwrap_or_default();
    let old = order.old.as_ref().map(|old| old.sa);
    let mut established = Established::new(Setup {
        id,
        channel,
        profile_id: order.profile_id,
        token: order.token(),
        suite,
        auth_id,
        peer_id,
        path,
        nat,
        natt,
        proven,
        round_trip,
        mobility: if mobike { Mobility::Initiator } else { Mobility::Off },
        extensions: agreed_extensions(mobike, &order.profile, payloads),
        redirects: false,
        syncs: sync::is_agreed(&order.profile, payloads),
        profile: order.profile,
        peer_addresses,
        leases,
        family: Family::default(),
        trace: order.trace,
        now,
    });
    established.requests.widen(window_of(payloads));
    established.proof_lasts = reauth::read(payloads);
    tickets::keep(&mut established, now, payloads);
    if useless {
        // The peer has an IKE SA now, and must be told that it is over.
        asked.release(ctx);
        ctx.counters.child_refused += 1;
        established.discard(ctx, now);
        return established;
    }
    ctx.counters.ike_sas_up += 1;
    ctx.events.push_back(Event::IkeSaUp(Box::new(established.as_up())));
    let unmade = first_child::report_own(&mut established, ctx, now, asked, child);
    if let first_child::Asked::Later = asked {
        first_child::open_now(&mut established, ctx, now, old);
    }
    established.begin_lifetimes(ctx, now);
    match (asked, old) {
        (first_child::Asked::Later, _) | (_, None) => {}
        (first_child::Asked::One(_), Some(old)) if established.family.len(ctx) == 0 => {
            ctx.reauth.failed.push((old, "no Child SA".into()));
        }
        (first_child::Asked::One(_), Some(old)) => ctx.reauth.done.push((old, id)),
    }
    if let Some(spi_in) = unmade.filter(|_| payloads.sa().is_some()) {
        // The peer may have made it; tell it that we did not.
        established.ask(ctx, now, Ask::DeleteChild { spi_in, spi_out: 0 });
    }
    if mobike && nat.we_are_behind {
        // Learn at once how the peer sees us on the NAT traversal port, so that a later answer has something to differ
        // from (RFC 4555 section 3.8); IKE_SA_INIT went through another mapping.
        established.ask(ctx, now, Ask::Liveness);
    }
    established
}
