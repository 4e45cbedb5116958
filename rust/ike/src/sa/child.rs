//! Child SA pairs: what the engine itself remembers of them. Keys and selectors are with the data plane.

use crate::Nanos;
use crate::children::ChildNumber;
use crate::crypto::SeededRandom;
use crate::event::{DownReason, Event};
use crate::id::{ChildId, SaId};
use crate::sa::context::Context;
use crate::table::esp_spis::{EspSpis, MAX_PAIRS};
use crate::table::slab::Slab;

/// One pair.
#[derive(Debug)]
pub struct Child {
    /// Its IKE SA.
    pub sa: SaId,
    /// SPI of packets to us.
    pub spi_in: u32,
    /// SPI of packets to the peer; zero while it is being agreed.
    pub spi_out: u32,
    /// When it is to be replaced; zero while nobody has said.
    pub due: Nanos,
    /// When it is over, replaced or not.
    pub end: Nanos,
    /// Which Child SA of the profile.
    pub number: ChildNumber,
    /// Our Delete of it is unanswered.
    pub leaving: bool,
    /// The peer has replaced it, and will delete it.
    pub replaced: bool,
    /// It has carried so much that it must be replaced.
    pub worn: bool,
    /// The next pair of the same IKE SA.
    next: Option<u32>,
}

/// All pairs of an engine.
#[derive(Debug)]
pub struct Children {
    places: Slab<Child>,
    spis: EspSpis,
}

impl Child {
    fn new(sa: SaId, number: ChildNumber, spi_in: u32, spi_out: u32) -> Child {
        Child {
            sa,
            spi_in,
            spi_out,
            due: Nanos(0),
            end: Nanos::NEVER,
            number,
            leaving: false,
            replaced: false,
            worn: false,
            next: None,
        }
    }

    /// Is it neither on its way out nor replaced?
    fn is_in_use(&self) -> bool {
        !self.leaving && !self.replaced
    }
}

/// The pairs of one IKE SA: a chain through [`Children`], so that an SA pays eight octets for it.
#[derive(Debug, Default)]
pub struct Family {
    first: Option<u32>,
}

impl Children {
    /// No pairs, and never more than `limit`.
    #[must_use]
    pub fn new(limit: u32) -> Children {
        Children { places: Slab::new(limit.min(MAX_PAIRS)), spis: EspSpis::default() }
    }

    /// A place and an SPI for a pair to be agreed.
    pub fn reserve(&mut self, shard: u8, sa: SaId, number: ChildNumber, random: &mut SeededRandom) -> Option<Reserved> {
        let place = self.places.insert_with(|_, _| Child::new(sa, number, self.spis.take(shard, random), 0))?;
        let child = self.places.get(place)?;
        Some(Reserved { id: ChildId::new(shard, place, self.places.generation(place)?), spi_in: child.spi_in })
    }

    /// Is this SPI given out? What comes for it is expected, agreed or not.
    #[must_use]
    pub fn has_given_out(&self, spi_in: u32) -> bool {
        self.spis.is_used(spi_in)
    }

    /// May a pair come back to where it sat, with its SPI?
    #[must_use]
    pub fn has_room_for(&self, id: ChildId, spi_in: u32) -> bool {
        self.places.has_room_at(id.slot()) && !self.spis.is_used(spi_in)
    }

    /// A pair comes back to where it sat. `false` if another one sits there, or has its SPI.
    pub fn restore(&mut self, id: ChildId, sa: SaId, number: ChildNumber, spi_in: u32, spi_out: u32) -> bool {
        self.has_room_for(id, spi_in)
            && self.spis.retake(spi_in)
            && self.places.insert_at(id.slot(), id.generation(), Child::new(sa, number, spi_in, spi_out))
    }

    /// A pair that came back was on its way out (our Delete of it is unanswered), or the peer had replaced it.
    pub fn expect_end(&mut self, id: ChildId, leaving: bool, replaced: bool) {
        if leaving {
            self.leave(id);
        }
        if let Some(child) = self.get_mut(id) {
            child.replaced = replaced;
        }
    }

    fn remove(&mut self, place: u32) -> Option<Child> {
        let child = self.places.remove(place)?;
        self.spis.give_back(child.spi_in);
        Some(child)
    }

    /// Not agreed after all.
    pub fn release(&mut self, reserved: Reserved) {
        self.remove(reserved.id.slot());
    }

    /// The pair with this id, if it still lives.
    #[must_use]
    pub fn get(&self, id: ChildId) -> Option<&Child> {
        (self.places.generation(id.slot())? == id.generation()).then(|| self.places.get(id.slot())).flatten()
    }

    fn get_mut(&mut self, id: ChildId) -> Option<&mut Child> {
        (self.places.generation(id.slot())? == id.generation()).then(|| self.places.get_mut(id.slot())).flatten()
    }

    /// When the pair is to be replaced.
    pub fn set_due(&mut self, id: ChildId, due: Nanos) {
        if let Some(child) = self.get_mut(id) {
            child.due = if child.leaving { Nanos::NEVER } else { due };
        }
    }

    /// Its time begins: when it is to be replaced, and when it is over.
    pub fn begin(&mut self, id: ChildId, due: Nanos, end: Nanos) {
        self.set_due(id, due);
        if let Some(child) = self.get_mut(id).filter(|child| !child.leaving) {
            child.end = end;
        }
    }

    /// It has carried nearly what it may. `false` if that needs nothing: it is on its way out.
    pub fn wear_out(&mut self, id: ChildId) -> bool {
        let child = self.get_mut(id).filter(|child| child.is_in_use());
        child.map(|child| child.worn = true).is_some()
    }

    /// We delete the pair, and go on receiving on it until the peer has done so too. Returns its SPIs, ours first.
    pub fn leave(&mut self, id: ChildId) -> Option<(u32, u32)> {
        let child = self.get_mut(id)?;
        child.leaving = true;
        (child.due, child.end) = (Nanos::NEVER, Nanos::NEVER);
        Some((child.spi_in, child.spi_out))
    }

    /// The peer has replaced the pair and will delete it; if it does not, it is due then.
    pub fn replaced(&mut self, id: ChildId, due: Nanos) {
        if let Some(child) = self.get_mut(id) {
            child.replaced = true;
        }
        self.set_due(id, due);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.places.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// A place taken for a pair that is being agreed.
#[derive(Debug, Clone, Copy)]
pub struct Reserved {
    /// Its name.
    pub id: ChildId,
    /// Our SPI.
    pub spi_in: u32,
}

impl Family {
    /// The pair is agreed.
    pub fn adopt(&mut self, children: &mut Children, reserved: Reserved, spi_out: u32) {
        if let Some(child) = children.places.get_mut(reserved.id.slot()) {
            child.spi_out = spi_out;
            child.next = self.first.replace(reserved.id.slot());
        }
    }

    /// A pair that came back to its place is its again.
    pub fn readopt(&mut self, children: &mut Children, id: ChildId) {
        if let Some(child) = children.places.get_mut(id.slot()) {
            child.next = self.first.replace(id.slot());
        }
    }

    /// Forget all pairs, without a word.
    pub fn forget_all(&mut self, children: &mut Children) {
        while let Some(child) = self.first.and_then(|place| children.remove(place)) {
            self.first = child.next;
        }
    }

    /// Every pair with the number of its Child SA, its inbound and its outbound SPI, newest first.
    pub fn each(&self, ctx: &Context) -> Vec<(ChildId, ChildNumber, u32, u32)> {
        let shard = ctx.settings.shard;
        let name = |place| Some(ChildId::new(shard, place, ctx.children.places.generation(place)?));
        self.places(&ctx.children)
            .filter_map(|(place, pair)| Some((name(place)?, pair.number, pair.spi_in, pair.spi_out)))
            .collect()
    }

    /// The pair that sends with this SPI.
    #[must_use]
    pub fn by_spi_out(&self, ctx: &Context, spi_out: u32) -> Option<ChildId> {
        let place = self.places(&ctx.children).find(|(_, child)| child.spi_out == spi_out)?.0;
        Some(ChildId::new(ctx.settings.shard, place, ctx.children.places.generation(place)?))
    }

    /// The pairs.
    pub fn ids<'a>(&'a self, ctx: &'a Context) -> impl Iterator<Item = ChildId> + 'a {
        let generation = |place| ctx.children.places.generation(place).unwrap_or_default();
        self.places(&ctx.children).map(move |(place, _)| ChildId::new(ctx.settings.shard, place, generation(place)))
    }

    /// When the first of them is to be replaced.
    #[must_use]
    pub fn next_due(&self, ctx: &Context) -> Nanos {
        self.places(&ctx.children).map(|(_, child)| child.due).min().unwrap_or(Nanos::NEVER)
    }

    /// When the first of them is over.
    #[must_use]
    pub fn next_end(&self, ctx: &Context) -> Nanos {
        self.places(&ctx.children).map(|(_, child)| child.end).min().unwrap_or(Nanos::NEVER)
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self, ctx: &Context) -> usize {
        self.places(&ctx.children).count()
    }

    /// How many there are but for those that are on their way out.
    #[must_use]
    pub fn in_use(&self, children: &Children) -> usize {
        self.places(children).filter(|(_, child)| child.is_in_use()).count()
    }

    /// Is this Child SA of the profile there?
    #[must_use]
    pub fn has(&self, children: &Children, number: ChildNumber) -> bool {
        self.places(children).any(|(_, child)| child.number == number && child.is_in_use())
    }

    fn places<'a>(&self, children: &'a Children) -> impl Iterator<Item = (u32, &'a Child)> {
        let mut next = self.first;
        core::iter::from_fn(move || {
            let place = next?;
            let child = children.places.get(place)?;
            next = child.next;
            Some((place, child))
        })
    }

    /// End one pair and report it. Returns its inbound SPI.
    pub fn end(&mut self, ctx: &mut Context, id: ChildId, why: DownReason) -> Option<u32> {
        ctx.children.get(id)?;
        let place = id.slot();
        let before = self.places(&ctx.children).find(|(_, child)| child.next == Some(place)).map(|(place, _)| place);
        let child = ctx.children.remove(place)?;
        match before.and_then(|before| ctx.children.places.get_mut(before)) {
            Some(before) => before.next = child.next,
            None => self.first = child.next,
        }
        ctx.counters.children_down += 1;
        ctx.events.push_back(Event::ChildDown { sa: child.sa, child: id, spi_in: child.spi_in, why });
        Some(child.spi_in)
    }

    /// End all pairs and report each.
    pub fn end_all(&mut self, ctx: &mut Context, why: &DownReason) {
        while let Some(place) = self.first {
            let Some(generation) = ctx.children.places.generation(place) else { return };
            let id = ChildId::new(ctx.settings.shard, place, generation);
            if self.end(ctx, id, why.clone()).is_none() {
                return;
            }
        }
    }
}
