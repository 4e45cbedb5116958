//! Orders from the control plane.

use crate::Nanos;
use crate::command::{Command, Verdict};
use crate::engine::Engine;
use crate::engine::orders::give_up;
use crate::event::{ConnectError, DownReason, Event};
use crate::id::{ChildId, Generation, Question, SaId};
use crate::sa::Sa;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::init_initiator::{self, MAX_PATHS, Order};
use crate::sa::exchange::{
    auth_initiator, auth_responder, away, close_child, eap, expire, mobike, open_child, reauth, redirect, rekey_child,
    rekey_ike,
};
use crate::sa::probe;
use crate::sa::trace::Trace;
use crate::sa::window::Ask;
use crate::table::pools::Lessee;
use crate::table::spi;

impl Engine {
    /// An order from the control plane.
    pub fn handle_command(&mut self, now: Nanos, command: Command) {
        match command {
            Command::SetProfile { id, profile } => self.set_profile(now, id, profile),
            Command::RemoveProfile { id } => self.remove_profile(now, id),
            Command::Remember { profile, who, address, ago } => {
                let orders = self.ctx.profiles.get(&profile).cloned();
                let mut pools = orders.iter().flat_map(|orders| orders.pool.iter().chain(orders.named_pools.iter()));
                if let Some(pool) = pools.find(|pool| pool.holds(address)) {
                    self.ctx.pools.remember(now, Lessee { profile, pool, who: &who }, address, ago);
                }
            }
            Command::SetLocalAddresses { addresses } => self.ctx.local_addresses = addresses,
            Command::Connect { token, profile, paths, natt, redirected_from } => {
                let order = self.ctx.profiles.get(&profile).ok_or(ConnectError::UnknownProfile).cloned();
                let order = order.map(|orders| Order {
                    token,
                    profile_id: profile,
                    profile: orders,
                    paths,
                    natt,
                    since: now,
                    anew: None,
                    old: None,
                    redirected_from,
                    compared: None,
                    trace: Trace::default(),
                });
                if let Err(why) = order.and_then(|order| self.connect(now, order)) {
                    self.ctx.counters.connects_failed += 1;
                    self.ctx.events.push_back(Event::ConnectFailed { token, why, tried: Vec::new(), compared: None });
                }
            }
            Command::GiveUp { tokens, why } => self.give_up_unanswered(now, &tokens, &why),
            Command::Move { sa, path, generation, addresses } => {
                self.with_news(now, sa, generation, |sa, ctx| {
                    mobike::order_move(sa, ctx, now, path, generation, addresses);
                });
            }
            Command::Announce { sa, addresses, path, generation } => {
                self.with_news(now, sa, generation, |sa, ctx| {
                    mobike::order_announce(sa, ctx, now, addresses, path, generation);
                });
            }
            Command::Away { sa, span } => self.with(now, sa, |sa, ctx| away::order(sa, ctx, now, span)),
            Command::Probe { sa, path, generation } => self.with_news(now, sa, generation, |sa, ctx| {
                sa.ask(ctx, now, Ask::Probe { path, generation });
            }),
            Command::Watch { sa, paths, interval } => {
                self.with(now, sa, |sa, ctx| probe::order_watch(sa, ctx, now, &paths, interval));
            }
            Command::Rekey { sa } => self.with(now, sa, |sa, ctx| rekey_ike::order(sa, ctx, now)),
            Command::Reauth { sa } => self.with(now, sa, |sa, ctx| reauth::order(sa, ctx, now)),
            Command::SetTicketKeys { keys, clock } => {
                let Context { mint, random, counters, .. } = &mut self.ctx;
                counters.commands_refused += u64::from(mint.set(now, clock, &keys, random).is_err());
            }
            Command::TurnAway { orders } => self.ctx.turn_away = orders,
            Command::Redirect { sa, to } => self.with(now, sa, |sa, ctx| redirect::order(sa, ctx, now, &to)),
            Command::RekeyChild { child } => self.rekey_child(now, child),
            Command::Close { sa, why } => self.close(now, sa, why),
            Command::Verdict { sa, question, verdict } => {
                self.judged(now, sa, question, |sa, ctx| on_verdict(sa, ctx, now, verdict));
            }
            Command::Eap { sa, question, reply } => {
                self.judged(now, sa, question, |sa, ctx| eap::on_reply(sa, ctx, now, reply))
            }
            Command::OpenChild { sa, name } => self.with(now, sa, |sa, ctx| open_child::order(sa, ctx, now, &name)),
            Command::CloseChild { child } => self.close_child(now, child),
        }
    }

    pub(super) fn connect(&mut self, now: Nanos, mut order: Order) -> Result<(), ConnectError> {
        order.paths.truncate(MAX_PATHS);
        if order.paths.is_empty() {
            return Err(ConnectError::BadOrder("no path given"));
        }
        if order.paths.iter().any(|path| path.local.is_ipv4() != path.remote.is_ipv4()) {
            return Err(ConnectError::BadOrder("a path between address families"));
        }
        let place = self.table.insert_with(|_, _| Sa::Ended).ok_or(ConnectError::TableFull)?;
        let id = SaId::new(self.ctx.settings.shard, place, self.table.generation(place).unwrap_or_default());
        let spi_i = spi::mint_ike(self.ctx.settings.shard, place, &mut self.ctx.random);
        let connecting = init_initiator::connect(&mut self.ctx, now, id, spi_i, order);
        let outcome = connecting.map(|connecting| {
            if let Some(sa) = self.table.get_mut(place) {
                *sa = Sa::AwaitInitAnswer(Box::new(connecting));
            }
        });
        self.settle(now, place);
        outcome
    }

    /// Do something to an established SA that was not closed meanwhile.
    fn with(&mut self, now: Nanos, id: SaId, act: impl FnOnce(&mut Established, &mut Context)) {
        let place = self.place_of(id);
        match place.and_then(|place| self.table.get_mut(place)) {
            Some(Sa::Established(sa)) if !sa.is_closing() => act(sa, &mut self.ctx),
            _ => self.ctx.counters.stale_commands += 1,
        }
        if let Some(place) = place {
            self.settle(now, place);
        }
    }

    /// The same, unless a newer decision was obeyed already: a stale order is refused by its number.
    fn with_news(
        &mut self,
        now: Nanos,
        id: SaId,
        generation: Generation,
        act: impl FnOnce(&mut Established, &mut Context),
    ) {
        self.with(now, id, |sa, ctx| {
            if generation < sa.generation {
                ctx.counters.stale_commands += 1;
            } else {
                act(sa, ctx);
            }
        });
    }

    fn close(&mut self, now: Nanos, id: SaId, why: std::sync::Arc<str>) {
        let Some(place) = self.place_of(id) else {
            self.ctx.counters.stale_commands += 1;
            return;
        };
        let Some(sa) = self.table.get_mut(place) else { return };
        let ctx = &mut self.ctx;
        match sa {
            Sa::Established(sa) => sa.close(ctx, now, DownReason::Ordered(why)),
            Sa::AwaitAuth(half) => {
                ctx.half_open.remove(&half.asker);
                *sa = Sa::Ended;
            }
            Sa::AwaitInitAnswer(_) | Sa::AwaitIntermediateAnswer(_) | Sa::AwaitAuthAnswer(_) | Sa::Ended => {
                give_up(core::mem::replace(sa, Sa::Ended), ctx, why);
            }
        }
        self.settle(now, place);
    }

    /// Somebody waits for this, or did.
    fn judged(&mut self, now: Nanos, id: SaId, question: Question, act: impl FnOnce(&mut Sa, &mut Context)) {
        let place = self.place_of(id);
        if let Some(place) = place {
            self.look_for_heritage(place);
        }
        let ctx = &mut self.ctx;
        match place.and_then(|place| self.table.get_mut(place)) {
            Some(sa) if sa.awaits() == Some(question) => {
                ctx.events.come_of(sa.sets_up_by());
                act(sa, ctx);
            }
            _ => ctx.counters.stale_commands += 1,
        }
        if let Some(place) = place {
            self.settle(now, place);
        }
    }

    fn rekey_child(&mut self, now: Nanos, child: ChildId) {
        match self.ctx.children.get(child).filter(|child| !child.leaving).map(|child| child.sa) {
            Some(sa) => self.with(now, sa, |sa, ctx| rekey_child::order(sa, ctx, now, child)),
            None => self.ctx.counters.stale_commands += 1,
        }
    }

    /// What the data plane saw of a pair: it has carried what it may (`spent`: so it ends), or nearly that (so it is replaced).
    pub fn note_worn(&mut self, now: Nanos, child: ChildId, spent: bool) {
        if let Some(sa) = self.ctx.children.get(child).map(|child| child.sa) {
            self.with(now, sa, |sa, ctx| expire::on_wear(sa, ctx, now, child, spent));
        }
    }

    /// The data plane does not carry a pair that was agreed: it ends, and another is asked for after a while.
    pub fn note_refused(&mut self, now: Nanos, child: ChildId, why: &str) {
        if let Some(sa) = self.ctx.children.get(child).map(|child| child.sa) {
            self.with(now, sa, |sa, ctx| expire::on_refusal(sa, ctx, now, child, why));
        }
    }

    fn close_child(&mut self, now: Nanos, child: ChildId) {
        match self.ctx.children.get(child).map(|child| child.sa) {
            Some(sa) => self.with(now, sa, |sa, ctx| close_child::order(sa, ctx, now, child)),
            None => self.ctx.counters.stale_commands += 1,
        }
    }
}

/// The control plane has judged the peer.
fn on_verdict(sa: &mut Sa, ctx: &mut Context, now: Nanos, verdict: Verdict) {
    match sa {
        Sa::AwaitAuth(_) => auth_responder::on_verdict(sa, ctx, now, verdict),
        Sa::AwaitAuthAnswer(_) => auth_initiator::on_verdict(sa, ctx, now, verdict),
        Sa::AwaitInitAnswer(_) | Sa::AwaitIntermediateAnswer(_) | Sa::Established(_) | Sa::Ended => {}
    }
}
