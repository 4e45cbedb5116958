//! A data plane outside of the core: what is agreed goes out as an order, and waits for its word.

use std::sync::Arc;

use mobike_esp::GroupId;
use mobike_ike::engine::park::Resumed;
use mobike_ike::{ChildId, ChildInstall, Command, Nanos, SaId, Traffic};

use crate::card::{Card, Cards};
use crate::counters::IoCounters;
use crate::hold::Hold;
use crate::join::Join;
use crate::words::{Event, Word};

/// What it carries, and what waits until it does.
pub(crate) struct Outside {
    pub(crate) hold: Hold,
    pub(crate) cards: Cards,
    /// The ESP of this shard stands for it.
    imitated: bool,
}

impl Outside {
    pub(crate) fn new(imitated: bool) -> Outside {
        Outside { hold: Hold::default(), cards: Cards::default(), imitated }
    }
}

impl Join {
    /// A Child SA is agreed: carry it, or have it carried.
    pub(super) fn agreed(&mut self, now: Nanos, sa: SaId, child: ChildId, name: Arc<str>, install: Box<ChildInstall>) {
        let Some(outside) = &mut self.outside else { return self.install(now, sa, child, name, *install) };
        let order = self.plane.order(sa, child, name, &install);
        outside.cards.put(sa, Card::of(child, &install));
        outside.hold.begin(now, self.held.by, order.up.clone(), false, outside.imitated.then_some(install));
        self.held.push_back(Event::InstallChild(Box::new(order)));
    }

    fn install(&mut self, now: Nanos, sa: SaId, child: ChildId, name: Arc<str>, install: ChildInstall) {
        let spi_in = install.spi_in;
        let (up, refusal) = self.plane.install(sa, child, name, install);
        self.early.admit(spi_in);
        self.held.push_back(Event::ChildUp(Box::new(up)));
        if let Some(refusal) = refusal {
            self.engine.handle_command(now, Command::CloseChild { child });
            let why = format!("Child SA {child} is not installed: {refusal}");
            self.held.push_back(Event::PlaneRefused { sa, why });
        }
    }

    /// What the plane says. About what is gone it may say anything.
    pub(crate) fn hear(&mut self, now: Nanos, word: Word) {
        match word {
            Word::Installed(child) => self.carried(now, child),
            Word::Refused { child, why } => self.refused(now, child, &why),
            Word::Removed(child) => {
                let _ = self.outside.as_mut().map(|outside| outside.hold.end_removal(child));
            }
            Word::Worn(child) => self.engine.note_worn(now, child, false),
            Word::Spent(child) => self.engine.note_worn(now, child, true),
            Word::Traffic { sa, heard, sent } => {
                self.engine.note_traffic(now, sa, Traffic { heard, sent, elsewhere: None });
            }
            Word::Mapped { sa, path } => {
                self.engine.note_traffic(now, sa, Traffic { elsewhere: Some(path), ..Traffic::default() });
            }
        }
    }

    fn carried(&mut self, now: Nanos, child: ChildId) {
        let Some(waiting) = self.outside.as_mut().and_then(|outside| outside.hold.end(child)) else { return };
        let up = waiting.up;
        self.held.by = waiting.by;
        match waiting.install {
            Some(install) => self.install(now, up.sa, child, up.name, *install),
            None => self.held.push_back(Event::ChildUp(Box::new(up))),
        }
        self.held.by = None;
    }

    /// The answer leaves, if it waited: the peer believes in this Child SA. A Delete follows it.
    fn refused(&mut self, now: Nanos, child: ChildId, why: &str) {
        let Some(waiting) = self.outside.as_mut().and_then(|outside| outside.hold.refuse(child)) else { return };
        let kept = if waiting.adopted { "not there any more" } else { "not installed" };
        let why = format!("Child SA {child} is {kept}: {why}");
        self.engine.note_refused(now, child, &why);
        self.held.by = waiting.by;
        self.held.push_back(Event::PlaneRefused { sa: waiting.up.sa, why });
        self.held.by = None;
    }

    pub(super) fn give_up_waiting(&mut self, now: Nanos) {
        while let Some(outside) = &mut self.outside
            && let Some(child) = outside.hold.late(now)
        {
            outside.hold.count_late();
            if outside.hold.end_removal(child) {
                continue;
            }
            self.refused(now, child, "the data plane gave no answer in time");
        }
    }

    /// Of an IKE SA, for its record.
    pub(crate) fn cards_of(&self, sa: SaId) -> &[Card] {
        self.outside.as_ref().map(|outside| outside.cards.of(sa)).unwrap_or_default()
    }

    /// The plane may have carried these since before a restart. What it cannot have is made anew.
    pub(crate) fn ask_for_again(&mut self, now: Nanos, resumed: &Resumed, cards: Vec<Card>) {
        let Some(outside) = &mut self.outside else { return };
        let sa = resumed.up.sa;
        let carried = |child: ChildId| {
            let esp = self.plane.esp.as_ref();
            esp.is_none_or(|esp| esp.group(GroupId(sa.0)).any(|pair| pair.0 == child.0))
        };
        let mut lost = Vec::new();
        for (child, name) in &resumed.children {
            match cards.iter().find(|card| card.child == *child && carried(*child)) {
                Some(card) => {
                    let order = self.plane.order_again(resumed, Arc::clone(name), card);
                    outside.hold.begin(now, None, order.up.clone(), true, None);
                    outside.cards.put(sa, card.clone());
                    self.held.push_back(Event::InstallChild(Box::new(order)));
                }
                None => lost.push(*child),
            }
        }
        for child in lost {
            outside.hold.never(child);
            self.engine.note_refused(now, child, "it was not carried before the restart");
        }
    }

    /// An IKE SA lives on elsewhere, or never came to life.
    pub(crate) fn forget(&mut self, sa: SaId) {
        self.plane.remove_sa(sa);
        if let Some(outside) = &mut self.outside {
            outside.hold.forget(sa);
            outside.cards.forget_all(sa);
        }
        self.engine.forget(sa);
    }

    /// These counters, with those of what waits.
    pub(crate) fn with_held(&self, io: IoCounters) -> IoCounters {
        self.outside.as_ref().map_or(io, |outside| outside.hold.count_in(io))
    }
}
