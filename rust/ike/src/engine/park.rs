//! Established IKE SAs as octets, and back: see [`crate::park`].

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::Nanos;
use crate::children::FIRST;
use crate::crypto::Random;
use crate::engine::Engine;
use crate::event::IkeSaUp;
use crate::id::{ChildId, SaId};
use crate::park::{Damage, Reader, ResumeError, Standing, VERSION, Writer};
use crate::sa::Sa;
use crate::sa::established::park::Around;
use crate::sa::established::{Established, Mobility, Outer};
use crate::sa::window::Ask;
use crate::table::esp_spis::esp_shard;
use crate::table::spi;

/// IKE SAs that come back at once speak one after the other, so long apart: 2,000 a second, a fraction of what an engine
/// and its peers can answer.
const BETWEEN_TURNS: Duration = Duration::from_micros(500);

/// What was resumed.
#[derive(Debug, Clone)]
pub struct Resumed {
    /// The same that was told when it came up, as it is now. Nobody's order is behind it any more.
    pub up: IkeSaUp,
    /// Its Child SAs with their names, oldest first.
    pub children: Vec<(ChildId, Arc<str>)>,
    /// Both ends agreed on the path; if not, the peer has yet to answer, or to prove that it is there.
    pub agreed: bool,
    /// Where its Child SAs send.
    pub outer: Outer,
    /// Its initiator is away, for so long at most (docs/extensions/away.md).
    pub away: Option<Duration>,
}

/// Which SAs changed since they were last written down, and whose turn it is after a restart.
#[derive(Debug, Default)]
pub struct Keeping {
    on: bool,
    changed: VecDeque<u32>,
    next_turn: Nanos,
}

impl Keeping {
    /// Something happened to it.
    pub fn note(&mut self, place: u32, sa: &mut Established) {
        if self.on && !core::mem::replace(&mut sa.changed, true) {
            self.changed.push_back(place);
        }
    }
}

impl Engine {
    /// From now on note which SAs change; see [`Engine::take_changed`].
    pub fn keep_track(&mut self) {
        self.keeping.on = true;
    }

    /// At most `limit` SAs that changed and were not told since, those that wait longest first.
    pub fn take_changed(&mut self, limit: usize) -> Vec<SaId> {
        let mut changed = Vec::new();
        while changed.len() < limit
            && let Some(place) = self.keeping.changed.pop_front()
        {
            if let Some(Sa::Established(sa)) = self.table.get_mut(place)
                && core::mem::take(&mut sa.changed)
            {
                changed.push(sa.id);
            }
        }
        changed
    }

    /// Every established IKE SA that does not end.
    pub fn established(&self) -> impl Iterator<Item = SaId> {
        self.table.iter().filter_map(|(_, sa)| match sa {
            Sa::Established(sa) if !sa.is_closing() => Some(sa.id),
            Sa::Established(_)
            | Sa::AwaitInitAnswer(_)
            | Sa::AwaitAuth(_)
            | Sa::AwaitIntermediateAnswer(_)
            | Sa::AwaitAuthAnswer(_)
            | Sa::Ended => None,
        })
    }

    /// The IKE SA as octets, all its keys among them; it goes on as before. `None` if it is not established, or ends.
    #[must_use]
    pub fn park(&self, sa: SaId) -> Option<Zeroizing<Vec<u8>>> {
        let Sa::Established(sa) = self.table.get(self.place_of(sa)?)? else { return None };
        let mut to = Writer::default();
        to.put(&VERSION);
        sa.park(&mut to)?;
        let children = sa.family.each(&self.ctx);
        to.put(&(children.len() as u32));
        // Oldest first: each that is adopted goes before the others.
        for (id, number, spi_in, spi_out) in children.iter().rev() {
            to.put(&id.0);
            to.put(sa.profile.child(*number).name);
            to.put(spi_in);
            to.put(spi_out);
            to.put(&self.ctx.children.get(*id).is_some_and(|child| child.replaced));
        }
        Some(to.into_octets())
    }

    /// Take an IKE SA back: same id, same SPIs, same message ids. Its standing orders are those that have its profile's
    /// name now. No event tells of it, for its Child SAs are still to be installed.
    ///
    /// Octets are taken back once. IVs jump, by chance among others, so that even a second time would not repeat one.
    ///
    /// # Errors
    /// Says why not; then nothing changed.
    pub fn resume(&mut self, now: Nanos, octets: &[u8], standing: Standing) -> Result<Resumed, ResumeError> {
        let turn = self.keeping.next_turn.max(now);
        let (mut sa, children) = self.read_parked(now, turn, octets, standing)?;
        self.check_place(&sa, &children)?;
        self.retake_leases(&sa)?;
        self.keeping.next_turn = turn + BETWEEN_TURNS;
        for child in &children {
            // One that is not configured any more goes on, and is replaced by the first.
            let number = sa.profile.child_named(&child.name).unwrap_or(FIRST);
            if self.ctx.children.restore(child.id, sa.id, number, child.spi_in, child.spi_out) {
                sa.family.readopt(&mut self.ctx.children, child.id);
                let ours = |ask: &Ask| matches!(ask, Ask::DeleteChild { spi_in, .. } if *spi_in == child.spi_in);
                self.ctx.children.expect_end(child.id, sa.requests.asks(ours), child.replaced);
            }
            if sa.is_in_doubt() {
                // The peer may have replaced it meanwhile, and what was recorded meanwhile would be taken once more.
                self.ctx.children.set_due(child.id, turn);
            }
        }
        sa.enter(&mut self.ctx, false);
        self.ctx.counters.ike_sas_resumed += 1;
        let agreed = match sa.mobility {
            Mobility::Off => true,
            Mobility::Initiator => sa.settled,
            Mobility::Responder { checking, .. } => !checking,
        };
        let children = children.into_iter().map(|child| (child.id, child.name)).collect();
        let away = sa.is_away().then(|| sa.away_until().since(now));
        let resumed = Resumed { up: sa.as_up(), children, agreed, outer: sa.outer(), away };
        let id = sa.id;
        self.table.insert_at(id.slot(), id.generation(), Sa::Established(Box::new(sa)));
        self.settle(now, id.slot());
        Ok(resumed)
    }

    /// Chance, for what belongs to its SAs and lives elsewhere.
    pub fn chance(&mut self) -> u64 {
        self.ctx.random.next_u64()
    }

    /// Forget an IKE SA without a word to anybody: it lives on elsewhere, or never came to life.
    pub fn forget(&mut self, sa: SaId) {
        let Some(place) = self.place_of(sa) else { return };
        if let Some(Sa::Established(sa)) = self.table.get_mut(place) {
            sa.forget(&mut self.ctx);
        }
        self.table.remove(place);
        self.wheel.disarm(place);
    }

    fn read_parked(
        &mut self,
        now: Nanos,
        turn: Nanos,
        octets: &[u8],
        standing: Standing,
    ) -> Result<(Established, Vec<ParkedChild>), ResumeError> {
        let from = &mut Reader::new(octets);
        let version = from.get()?;
        if version != VERSION {
            return Err(ResumeError::Version(version));
        }
        let profiles = &self.ctx.profiles;
        let around = Around { now, turn, standing, random: &mut self.ctx.random };
        let sa = Established::unpark(from, around, |name| {
            let (id, profile) = profiles.iter().find(|(_, profile)| *profile.name == *name)?;
            Some((*id, profile.clone()))
        })?;
        let children = from.each(ParkedChild::unpark)?;
        from.end()?;
        Ok((sa, children))
    }

    fn check_place(&self, sa: &Established, children: &[ParkedChild]) -> Result<(), ResumeError> {
        let (ours, shard) = (sa.own_spi(), self.ctx.settings.shard);
        if sa.id.shard() != shard {
            return Err(ResumeError::OtherShard(sa.id.shard()));
        }
        let of_child = |child: &ParkedChild| (child.id.shard(), esp_shard(child.spi_in)) == (shard, shard & 0x0f);
        if (spi::ike_shard(ours), spi::ike_place(ours)) != (shard, sa.id.slot()) || !children.iter().all(of_child) {
            return Err(ResumeError::WrongPlace);
        }
        let room = self.table.has_room_at(sa.id.slot());
        if !room || !children.iter().all(|child| self.ctx.children.has_room_for(child.id, child.spi_in)) {
            return Err(ResumeError::PlaceTaken);
        }
        Ok(())
    }

    /// Nobody else may get the addresses that its peer has.
    fn retake_leases(&mut self, sa: &Established) -> Result<(), ResumeError> {
        let Some((tenant, leases)) = sa.leased() else { return Ok(()) };
        let Some(lessee) = tenant.lessee() else { return Ok(()) };
        let mut taken = Vec::new();
        for address in leases.iter() {
            if !self.ctx.pools.retake(lessee, address) {
                taken.into_iter().for_each(|address| self.ctx.pools.give_back(lessee, address));
                return Err(ResumeError::LeaseTaken(address));
            }
            taken.push(address);
        }
        Ok(())
    }
}

struct ParkedChild {
    id: ChildId,
    name: Arc<str>,
    spi_in: u32,
    spi_out: u32,
    replaced: bool,
}

impl ParkedChild {
    fn unpark(from: &mut Reader<'_>) -> Result<ParkedChild, Damage> {
        Ok(ParkedChild {
            id: ChildId(from.get()?),
            name: from.get()?,
            spi_in: from.get()?,
            spi_out: from.get()?,
            replaced: from.get()?,
        })
    }
}
