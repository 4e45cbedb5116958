//! Standing orders that change under IKE SAs that live: what those obey at once, and what they keep.

use std::sync::Arc;

use super::Profile;
use crate::children::ChildOrders;
use crate::paths::PathOrders;

impl Profile {
    /// These orders for an IKE SA that came up under them, now that `new` is in force: how silence is noticed and for how long it
    /// is borne, which addresses may be used, and which algorithms its Child SAs get when they are replaced. What was agreed
    /// with the peer, or would need another proof of who it is, stays.
    #[must_use]
    pub fn followed_by(&self, new: &Profile) -> Profile {
        let suites_of = |child: &ChildOrders| {
            let named = new.plan.others.iter().find(|other| other.name == child.name);
            named.map_or_else(|| child.esp_suites.clone(), |other| other.esp_suites.clone())
        };
        let mut next = self.clone();
        next.esp_suites.clone_from(&new.esp_suites);
        for child in &mut next.plan.others {
            child.esp_suites = suites_of(child);
        }
        next.plan.at_most = new.plan.at_most;
        next.liveness = new.liveness;
        next.retransmit = new.retransmit;
        next.nat_keepalive = new.nat_keepalive;
        next.return_routability = new.return_routability;
        next.away_at_most = new.away_at_most;
        next.paths = PathOrders { nat_traversal: self.paths.nat_traversal, ..new.paths.clone() };
        next
    }
}

/// The same for many IKE SAs: those that share their orders go on sharing them.
#[derive(Debug)]
pub struct Successors<'a> {
    new: &'a Profile,
    made: Vec<(Arc<Profile>, Arc<Profile>)>,
}

impl<'a> Successors<'a> {
    /// `new` is in force from now on.
    #[must_use]
    pub fn new(new: &'a Profile) -> Successors<'a> {
        Successors { new, made: Vec::new() }
    }

    /// What follows on these orders.
    pub fn of(&mut self, old: &Arc<Profile>) -> Arc<Profile> {
        // There are as many as there were changes while the oldest IKE SA lived.
        if let Some((_, made)) = self.made.iter().find(|(known, _)| Arc::ptr_eq(known, old)) {
            return Arc::clone(made);
        }
        let made = Arc::new(old.followed_by(self.new));
        self.made.push((Arc::clone(old), Arc::clone(&made)));
        made
    }
}
