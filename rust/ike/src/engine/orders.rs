//! Standing orders that come, change and go while IKE SAs live.
//!
//! An IKE SA that is up obeys at once what it can ([`Profile::followed_by`]) and keeps the rest. One that we are setting up is
//! given up: it was begun for what is not wanted any more. A peer that is proving itself is refused in the end
//! (`auth_responder::let_in`). Tickets that gateways gave us are dropped where they rest on something else
//! ([`Held::serves`](crate::table::tickets::Held::serves)). Whether IKE SAs are to be replaced or closed the control plane decides.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Nanos;
use crate::engine::Engine;
use crate::event::ConnectError;
use crate::id::{ProfileId, Token};
use crate::profile::{Profile, Successors};
use crate::sa::Sa;
use crate::sa::context::Context;
use crate::sa::exchange::init_initiator::Order;

impl Engine {
    /// New standing orders, or others in their place; older ones than those in force are refused by their number.
    pub(super) fn set_profile(&mut self, now: Nanos, id: ProfileId, profile: Arc<Profile>) {
        if self.ctx.profiles.get(&id).is_some_and(|known| profile.generation < known.generation) {
            self.ctx.counters.stale_commands += 1;
            return;
        }
        let is_known = self.ctx.profiles.insert(id, Arc::clone(&profile)).is_some();
        self.ctx.refresh_accepted();
        if is_known {
            self.ctx.purse.retain(id, |held| held.serves(&profile));
            let mut successors = Successors::new(&profile);
            self.pass_on(now, id, "its standing orders were changed", Some(&mut successors));
        }
    }

    /// Nobody comes up under them any more.
    pub(super) fn remove_profile(&mut self, now: Nanos, id: ProfileId) {
        if self.ctx.profiles.remove(&id).is_some() {
            self.ctx.refresh_accepted();
            self.ctx.purse.retain(id, |_| false);
            self.pass_on(now, id, "its standing orders are gone", None);
        }
    }

    /// Other paths are there than those that these were ordered over, or nobody wants them. Once for each change of what the
    /// host has: no index is kept for it.
    pub(super) fn give_up_unanswered(&mut self, now: Nanos, tokens: &[Token], why: &Arc<str>) {
        let tokens: BTreeSet<Token> = tokens.iter().copied().collect();
        let is_meant = |sa: &Sa| unanswered(sa).and_then(Order::token).is_some_and(|token| tokens.contains(&token));
        let concerned: Vec<u32> = self.table.iter().filter(|(_, sa)| is_meant(sa)).map(|(place, _)| place).collect();
        for place in concerned {
            if let Some(sa) = self.table.get_mut(place) {
                give_up(core::mem::replace(sa, Sa::Ended), &mut self.ctx, Arc::clone(why));
            }
            self.settle(now, place);
        }
    }

    /// To all IKE SAs under these orders. Once for each edit of a configuration: no index is kept for it.
    fn pass_on(&mut self, now: Nanos, id: ProfileId, why: &str, mut successors: Option<&mut Successors<'_>>) {
        let concerned: Vec<u32> =
            self.table.iter().filter(|(_, sa)| is_under(sa, id)).map(|(place, _)| place).collect();
        for place in concerned {
            match (self.table.get_mut(place), &mut successors) {
                (Some(Sa::Established(sa)), Some(successors)) => {
                    sa.profile = successors.of(&sa.profile);
                    sa.set_nat(now, sa.nat);
                }
                (Some(Sa::Established(_)) | None, _) => {}
                (Some(sa), _) => give_up(core::mem::replace(sa, Sa::Ended), &mut self.ctx, why.into()),
            }
            self.settle(now, place);
        }
    }
}

/// Peers that are coming in are looked at when they are in.
fn is_under(sa: &Sa, id: ProfileId) -> bool {
    match sa {
        Sa::AwaitInitAnswer(connecting) => connecting.order.profile_id == id,
        Sa::AwaitIntermediateAnswer(asking) => asking.order().profile_id == id,
        Sa::AwaitAuthAnswer(asking) => asking.order().profile_id == id,
        Sa::Established(sa) => sa.is_under(id),
        Sa::AwaitAuth(_) | Sa::Ended => false,
    }
}

/// The order of an IKE SA that we are setting up and that nobody answers.
fn unanswered(sa: &Sa) -> Option<&Order> {
    match sa {
        Sa::AwaitInitAnswer(connecting) => connecting.is_unanswered().then_some(&connecting.order),
        Sa::AwaitIntermediateAnswer(asking) => asking.is_unanswered().then(|| asking.order()),
        Sa::AwaitAuthAnswer(asking) => asking.is_unanswered().then(|| asking.order()),
        Sa::AwaitAuth(_) | Sa::Established(_) | Sa::Ended => None,
    }
}

/// Of an IKE SA that we are setting up: say that it comes to nothing.
pub(super) fn give_up(sa: Sa, ctx: &mut Context, why: Arc<str>) {
    match sa {
        Sa::AwaitInitAnswer(connecting) => connecting.fail(ctx, ConnectError::Ordered(why)),
        Sa::AwaitIntermediateAnswer(asking) => asking.fail(ctx, ConnectError::Ordered(why)),
        Sa::AwaitAuthAnswer(asking) => asking.fail(ctx, ConnectError::Ordered(why)),
        Sa::AwaitAuth(_) | Sa::Established(_) | Sa::Ended => {}
    }
}
