//! One IKE SA in the place of another: see [`crate::sa::exchange::reauth`].

use std::sync::Arc;

use crate::Nanos;
use crate::command::NattPorts;
use crate::engine::Engine;
use crate::id::{SaId, Token};
use crate::profile::Profile;
use crate::sa::Sa;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::init_initiator::Order;
use crate::sa::exchange::reauth::{self, Old, Wishes};
use crate::sa::exchange::{expire, open_child};
use crate::sa::trace::Trace;

impl Engine {
    /// Do what IKE SAs want of others.
    pub(super) fn reauthenticate(&mut self, now: Nanos) {
        let Wishes { begin, done, failed } = core::mem::take(&mut self.ctx.reauth);
        for sa in begin {
            self.begin_another(now, sa);
        }
        for (old, new) in done {
            self.supersede(now, old, new);
        }
        for (sa, why) in failed {
            self.alter(now, sa, |sa, ctx| reauth::on_failure(sa, ctx, now, &why));
        }
    }

    fn begin_another(&mut self, now: Nanos, id: SaId) {
        let mut order = None;
        self.alter(now, id, |sa, ctx| {
            let profile = ctx.profiles.get(&sa.identity().0).unwrap_or(&sa.profile);
            order = (!sa.is_away()).then(|| order_for(sa, Arc::clone(profile), now));
        });
        if let Some(order) = order
            && let Err(why) = self.connect(now, order)
        {
            self.ctx.reauth.failed.push((id, why.to_string()));
        }
    }

    /// The new one carries the traffic, and gets the other Child SAs that the old one has.
    fn supersede(&mut self, now: Nanos, old: SaId, new: SaId) {
        let mut names: Vec<Arc<str>> = Vec::new();
        self.alter(now, old, |sa, ctx| {
            expire::supersede(sa, now);
            let children = sa.family.each(ctx).into_iter();
            names = children.map(|(_, number, ..)| Arc::clone(sa.profile.child(number).name)).collect();
            ctx.counters.ike_sas_reauthenticated += 1;
        });
        self.alter(now, new, |sa, ctx| {
            // The standing orders may be others by now.
            let profile = Arc::clone(&sa.profile);
            for number in names.iter().filter_map(|name| profile.child_named(name)) {
                if !sa.family.has(&ctx.children, number) && !sa.rekeying().opens(number) {
                    sa.rekeying().to_open.push_back(number);
                }
            }
            open_child::go_on(sa, ctx, now);
        });
    }

    /// Do something to an IKE SA that may be gone.
    fn alter(&mut self, now: Nanos, id: SaId, act: impl FnOnce(&mut Established, &mut Context)) {
        let Some(place) = self.place_of(id) else { return };
        if let Some(Sa::Established(sa)) = self.table.get_mut(place)
            && !sa.is_closing()
        {
            act(sa, &mut self.ctx);
            self.settle(now, place);
        }
    }
}

/// Over the path in use, from and to the ports in use.
fn order_for(sa: &Established, profile: Arc<Profile>, now: Nanos) -> Order {
    let (profile_id, _) = sa.identity();
    let path = sa.path;
    Order {
        token: Token(0),
        profile_id,
        profile,
        paths: vec![path],
        natt: NattPorts { local: path.local.port(), remote: path.remote.port() },
        since: now,
        anew: None,
        redirected_from: None,
        compared: None,
        trace: Trace::default(),
        old: Some(Old { sa: sa.id, leases: sa.leases().clone() }),
    }
}
