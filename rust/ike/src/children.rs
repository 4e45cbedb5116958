//! Standing orders of the Child SAs of a connection: the one that comes with IKE_AUTH, and any others beside it.

use std::sync::Arc;

use crate::crypto::EspSuite;
use crate::profile::Profile;
use crate::selector::Selector;

/// Which Child SA of a profile: 0 is the first, the others follow in the order of [`ChildPlan::others`].
pub type ChildNumber = u8;

/// The first one.
pub const FIRST: ChildNumber = 0;

/// Other Child SAs that a connection may have beside the first.
pub const MOST_OTHERS: usize = 63;

/// What ESP protects (RFC 4301 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChildMode {
    /// Whole packets, of whoever is behind either end.
    #[default]
    Tunnel,
    /// What both ends send to each other. Nothing of it survives another address, so where a connection has such a Child SA
    /// there is no MOBIKE, which is about tunnels (RFC 4555 section 1.2).
    Transport,
}

/// Child SAs of a connection beside what the profile itself says of the first.
#[derive(Debug, Clone)]
pub struct ChildPlan {
    /// Tunnel or transport, of the first.
    pub mode: ChildMode,
    /// The others, in the order in which they are opened.
    pub others: Vec<ChildOrders>,
    /// Initiator of a childless IKE SA: open the first as soon as that is there.
    pub start: bool,
    /// Child SAs that one IKE SA may have at a time, whoever asks for them; those that are being replaced do not count.
    pub at_most: u8,
}

impl Default for ChildPlan {
    fn default() -> Self {
        ChildPlan { mode: ChildMode::default(), others: Vec::new(), start: true, at_most: 16 }
    }
}

/// Standing orders of one Child SA.
#[derive(Debug, Clone)]
pub struct ChildOrders {
    /// What the operator calls it.
    pub name: Arc<str>,
    /// Algorithms, most wanted first.
    pub esp_suites: Vec<EspSuite>,
    /// Traffic on our side.
    pub local_ts: Vec<Selector>,
    /// Traffic on the peer's side.
    pub remote_ts: Vec<Selector>,
    /// Tunnel or transport.
    pub mode: ChildMode,
    /// Initiator: open it as soon as the IKE SA is there.
    pub start: bool,
}

/// What a profile says of one of its Child SAs.
#[derive(Debug, Clone, Copy)]
pub struct ChildView<'a> {
    /// What the operator calls it.
    pub name: &'a Arc<str>,
    /// Algorithms, most wanted first.
    pub esp_suites: &'a [EspSuite],
    /// Traffic on our side.
    pub local_ts: &'a [Selector],
    /// Traffic on the peer's side.
    pub remote_ts: &'a [Selector],
    /// Tunnel or transport.
    pub mode: ChildMode,
    /// Initiator: open it as soon as the IKE SA is there.
    pub start: bool,
}

impl Profile {
    /// All its Child SAs with their numbers.
    pub fn children(&self) -> impl Iterator<Item = (ChildNumber, ChildView<'_>)> {
        let first = ChildView {
            name: &self.name,
            esp_suites: &self.esp_suites,
            local_ts: &self.local_ts,
            remote_ts: &self.remote_ts,
            mode: self.plan.mode,
            start: self.plan.start,
        };
        let others = self.plan.others.iter().take(MOST_OTHERS).map(|orders| ChildView {
            name: &orders.name,
            esp_suites: &orders.esp_suites,
            local_ts: &orders.local_ts,
            remote_ts: &orders.remote_ts,
            mode: orders.mode,
            start: orders.start,
        });
        (FIRST..).zip(core::iter::once(first).chain(others))
    }

    /// One of them; the first, if there is no such number.
    #[must_use]
    pub fn child(&self, number: ChildNumber) -> ChildView<'_> {
        let mut all = self.children();
        let first = all.next();
        let found = all.find(|(known, _)| *known == number).or(first);
        found.map_or(
            ChildView {
                name: &self.name,
                esp_suites: &[],
                local_ts: &[],
                remote_ts: &[],
                mode: ChildMode::Tunnel,
                start: true,
            },
            |(_, view)| view,
        )
    }

    /// Offer and accept MOBIKE: it moves tunnels.
    #[must_use]
    pub fn agrees_on_mobike(&self) -> bool {
        self.mobike && self.children().all(|(_, view)| view.mode == ChildMode::Tunnel)
    }

    /// The one with this name.
    #[must_use]
    pub fn child_named(&self, name: &str) -> Option<ChildNumber> {
        self.children().find(|(_, view)| **view.name == *name).map(|(number, _)| number)
    }
}
