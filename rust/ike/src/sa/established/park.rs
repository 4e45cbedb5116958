//! An established IKE SA, parked. Its Child SAs and its place in the table are the engine's to write.
//!
//! What is a moment or a timer is not written: the clock may be another one, and a thousand SAs that come back at once must
//! not all speak at once. Whoever reads says when this one may speak first.

use core::time::Duration;
use std::sync::Arc;

use super::{Established, Mobility, Outer, REMEMBER};
use crate::crypto::{IkeSuite, Random, Role, SeededRandom};
use crate::event::{IkeSaUp, NatView};
use crate::id::ProfileId;
use crate::park::{Damage, Parked, Reader, ResumeError, Standing, Writer};
use crate::profile::Profile;
use crate::sa::channel::Channel;
use crate::sa::child::Family;
use crate::sa::context::Context;
use crate::sa::exchange::away::Presence;
use crate::sa::exchange::configuration::{Leases, Tenant};
use crate::sa::exchange::repair::Strays;
use crate::sa::exchange::retrial::Retrial;
use crate::sa::exchange::{expire, reauth, rekey_child, rekey_ike};
use crate::sa::pace::Pace;
use crate::sa::probe::Probing;
use crate::sa::rekeying::park::Clock;
use crate::sa::rekeying::{Lifetimes, Rekeying};
use crate::sa::timers::{Retry, patience};
use crate::sa::trace::Trace;
use crate::sa::watch::Watch;
use crate::sa::window::{Answers, Requests};
use crate::table::tickets::Held;
use crate::terms::Terms;
use crate::wire::Extensions;
use crate::{Nanos, SaId};

/// What reading takes.
pub struct Around<'a> {
    /// Now.
    pub now: Nanos,
    /// The earliest it may speak.
    pub turn: Nanos,
    /// Does the peer know what we know?
    pub standing: Standing,
    /// All chance comes from here.
    pub random: &'a mut SeededRandom,
}

impl Established {
    /// Write it; `None` while it ends.
    pub fn park(&self, to: &mut Writer) -> Option<()> {
        let Established {
            id,
            channel,
            part,
            profile_id: _,
            profile,
            token: _,
            suite,
            peer_id,
            listed: _,
            path,
            generation,
            settled,
            nat,
            natt,
            retrial,
            seen_as,
            requests,
            answers,
            mobility,
            newest_list,
            last_list,
            peer_addresses,
            proven,
            leases,
            extensions,
            redirects,
            syncs,
            synced: _,
            family: _,
            rekeying,
            due: _,
            ticket,
            proof_lasts,
            window_untold: _,
            heard: _,
            watch: _,
            strays: _,
            probing,
            presence,
            keepalive_at: _,
            forget_at: _,
            test_at: _,
            in_doubt,
            doubted,
            forgetful_until,
            trace: _,
            changed: _,
            closing_until,
        } = self;
        if *closing_until != Nanos::NEVER {
            return None;
        }
        to.put(id);
        to.put(in_doubt);
        to.put(doubted);
        to.put(&(*forgetful_until != Nanos(0)));
        to.put(&profile.name);
        to.put(&profile.terms);
        to.put(suite);
        channel.park(to);
        to.put(&(*part == Role::Initiator));
        to.put(peer_id);
        to.put(path);
        to.put(generation);
        to.put(settled);
        to.put(nat);
        to.put(natt);
        to.put(&retrial.is_some());
        if let Some(retrial) = retrial {
            retrial.park(to);
        }
        to.put(seen_as);
        requests.park(to);
        answers.park(to);
        to.put(mobility);
        to.put(newest_list);
        to.put(last_list);
        to.each(peer_addresses.iter());
        to.each(proven.iter());
        to.put(leases);
        to.put(extensions);
        to.put(redirects);
        to.put(syncs);
        // An SA that has not probed yet with these keys may do so before it is read again: its numbers must not begin anew.
        let used = probing.as_deref().filter(|probing| probing.is_of(self));
        let unused = if used.is_none() { Probing::unused(self) } else { None };
        let probing = used.or(unused.as_ref());
        to.put(&probing.is_some());
        if let Some(probing) = probing {
            probing.park(to);
        }
        to.put(presence);
        to.put(&u32::try_from(proof_lasts.as_secs()).unwrap_or(u32::MAX));
        to.put(&ticket.is_some());
        if let Some(held) = ticket {
            held.park(to);
        }
        Rekeying::park(rekeying.as_deref(), profile, to);
        Some(())
    }

    /// Read it. `known` finds standing orders by their name.
    pub fn unpark(
        from: &mut Reader<'_>,
        around: Around<'_>,
        known: impl FnOnce(&str) -> Option<(ProfileId, Arc<Profile>)>,
    ) -> Result<Established, ResumeError> {
        let Around { now, turn, standing, random } = around;
        let id: SaId = from.get()?;
        let killed = standing == Standing::Doubtful;
        // Nobody has answered since the crash before.
        let standing = if from.get()? { Standing::Doubtful } else { standing };
        let doubted = from.get()?;
        let forgetful = from.get()? || standing == Standing::Doubtful;
        let name: Arc<str> = from.get()?;
        let (profile_id, profile) = known(&name).ok_or_else(|| ResumeError::UnknownProfile(name.to_string()))?;
        let profile = from.get::<Terms>()?.applied(&profile).ok_or(ResumeError::NothingWithinReach)?;
        let suite: IkeSuite = from.get()?;
        let mut channel = Channel::unpark(from, &suite, random)?;
        let part = if from.get()? { Role::Initiator } else { Role::Responder };
        let (peer_id, path) = (from.get()?, from.get()?);
        let (generation, settled, nat, natt) = (from.get()?, from.get()?, from.get()?, from.get()?);
        let retry = Retry::resumed(now, turn, &profile.retransmit, random);
        let retrial = from.get::<bool>()?.then(|| Retrial::unpark(from, retry).map(Box::new)).transpose()?;
        let seen_as = from.get()?;
        let requests = Requests::unpark(from, || retry)?;
        let answers = Answers::unpark(from, standing)?;
        let (mobility, newest_list, last_list) = (from.get()?, from.get()?, from.get()?);
        let peer_addresses = from.each(Reader::get)?.into_boxed_slice();
        let proven = from.each(Reader::get)?.into_boxed_slice();
        let (leases, extensions, redirects, syncs) = (from.get()?, from.get()?, from.get()?, from.get()?);
        let probing = from.get::<bool>()?.then(|| Probing::unpark(from, &suite, random, standing)).transpose()?;
        let presence = Presence::resumed(from.get()?, now, &profile);
        let proof_lasts = Duration::from_secs(from.get::<u32>()?.into());
        let ticket = from.get::<bool>()?.then(|| Held::unpark(from, now).map(Box::new)).transpose()?;
        let clock = Clock { now, retry, patience: patience(&profile.retransmit, part) };
        let rekeying = Rekeying::unpark(from, &profile, random, standing, clock)?;
        let in_doubt = standing == Standing::Doubtful;
        if killed && rekeying.as_ref().is_some_and(|rekeying| rekeying.ike.is_some()) {
            // The answer may have come before the crash. It would make the same keys once more, and nobody knows which message
            // ids, probe numbers and IVs were used with them.
            return Err(ResumeError::KeysInDoubt);
        }
        // How much of its peer's time is left, nobody remembers.
        let proof_due = reauth::due_again(turn, part, &profile, proof_lasts / 4, random);
        let proof_over = reauth::over(turn, part, &profile);
        let (lifetime, ike_end) = (profile.ike_lifetime, expire::hard(turn, profile.limits.ike_hard));
        channel.take(path);
        let mut established = Established {
            id,
            channel,
            part,
            profile_id,
            profile,
            token: None,
            suite,
            peer_id,
            listed: None,
            path,
            generation,
            settled,
            nat,
            natt,
            retrial,
            seen_as,
            requests,
            answers,
            mobility,
            newest_list,
            last_list,
            peer_addresses,
            proven,
            leases,
            extensions,
            redirects,
            syncs,
            synced: None,
            family: Family::default(),
            rekeying,
            // Its Child SAs are not back yet; they get their time then.
            due: Lifetimes {
                ike: rekey_ike::due(turn, lifetime, random),
                children: turn,
                ike_end,
                reauth: proof_due,
                proof_over,
                ..Lifetimes::UNLIMITED
            },
            ticket,
            proof_lasts,
            window_untold: false,
            heard: now,
            watch: Watch::new(None),
            strays: Strays::default(),
            probing: probing.map(Box::new),
            presence,
            keepalive_at: Nanos::NEVER,
            forget_at: now + REMEMBER,
            test_at: if in_doubt { turn } else { Nanos::NEVER },
            in_doubt,
            doubted,
            forgetful_until: if forgetful { now + REMEMBER } else { Nanos(0) },
            trace: Trace::default(),
            changed: false,
            closing_until: Nanos::NEVER,
        };
        established.set_nat(now, nat);
        if established.keepalive_at != Nanos::NEVER {
            // The NAT may be about to forget us.
            established.keepalive_at = turn;
        }
        let liveness = established.profile.liveness;
        if !in_doubt && !liveness.is_zero() {
            // Those that came back together do not ask together.
            let part = 0.5 + 0.5 * (random.next_u64() >> 32) as f64 / f64::from(u32::MAX);
            established.test_at = now + liveness.mul_f64(part);
        }
        if established.is_away() {
            established.rest();
        }
        Ok(established)
    }

    /// What is told of it, as it is now.
    #[must_use]
    pub fn as_up(&self) -> IkeSaUp {
        IkeSaUp {
            sa: self.id,
            token: self.token,
            profile: self.profile_id,
            orders: self.profile.generation,
            role: self.part,
            path: self.path,
            nat: self.nat,
            peer_id: self.peer_id.clone(),
            mobike: self.speaks_mobike(),
            peer_addresses: self.peer_addresses.to_vec(),
            virtual_ips: self.leases.iter().collect(),
            handout: self.leases.handout.clone(),
            spi_i: self.channel.spis.initiator,
            spi_r: self.channel.spis.responder,
            suite: self.suite,
            extensions: self.extensions,
        }
    }

    /// Take it out of all indexes and pools, without a word.
    pub fn forget(&mut self, ctx: &mut Context) {
        self.leave(ctx);
        rekey_child::forget_all(self, ctx);
        self.family.forget_all(&mut ctx.children);
        self.let_go(ctx);
    }

    /// What it leases to its peer, and under which standing orders; nothing as the initiator.
    #[must_use]
    pub fn leased(&self) -> Option<(Tenant<'_>, &Leases)> {
        (self.part == Role::Responder).then(|| (self.tenant(), &self.leases))
    }

    /// Who its peer is to our pools.
    #[must_use]
    pub fn tenant(&self) -> Tenant<'_> {
        Tenant { profile_id: self.profile_id, profile: &self.profile, who: &self.peer_id }
    }
}

impl Parked for Mobility {
    fn park(&self, to: &mut Writer) {
        match self {
            Mobility::Off => to.put(&0u8),
            Mobility::Initiator => to.put(&1u8),
            Mobility::Responder { last_update, checking, pace, stays } => {
                to.put(&2u8);
                to.put(last_update);
                to.put(checking);
                to.put(&pace.waits());
                to.put(&stays.is_some());
                if let Some(stays) = stays {
                    let Outer { path, encap } = &**stays;
                    to.put(path);
                    to.put(encap);
                }
            }
        }
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(match from.get::<u8>()? {
            0 => Mobility::Off,
            1 => Mobility::Initiator,
            2 => {
                let (last_update, checking) = (from.get()?, from.get()?);
                let pace = if from.get()? { Pace::waiting() } else { Pace::default() };
                let stays = from.get::<bool>()?.then(|| Ok(Outer { path: from.get()?, encap: from.get()? }));
                Mobility::Responder { last_update, checking, pace, stays: stays.transpose()?.map(Box::new) }
            }
            _ => return Err(from.damage("role in moving")),
        })
    }
}

impl Parked for Leases {
    fn park(&self, to: &mut Writer) {
        let Leases { v4, v6, handout } = self;
        to.put(&v4.map(|address| address.to_bits()));
        to.put(&v6.map(|address| address.to_bits()));
        to.put(&handout.is_some());
        handout.iter().for_each(|handout| handout.park(to));
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (v4, v6) = (from.get::<Option<u32>>()?, from.get::<Option<u128>>()?);
        Ok(Leases {
            v4: v4.map(core::net::Ipv4Addr::from_bits),
            v6: v6.map(core::net::Ipv6Addr::from_bits),
            handout: from.get::<Option<_>>()?.map(Arc::new),
        })
    }
}

impl Parked for NatView {
    fn park(&self, to: &mut Writer) {
        let NatView { we_are_behind, peer_is_behind } = self;
        to.put(we_are_behind);
        to.put(peer_is_behind);
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(NatView { we_are_behind: from.get()?, peer_is_behind: from.get()? })
    }
}

/// By their names.
impl Parked for Extensions {
    fn park(&self, to: &mut Writer) {
        let names: Vec<Arc<str>> = self.names().map(Arc::from).collect();
        to.each(names.iter());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let names: Vec<Arc<str>> = from.each(Reader::get)?;
        names.iter().try_fold(Extensions::NONE, |all, name| {
            Extensions::named(name).map(|one| all.with(one)).ok_or_else(|| from.damage("known extension"))
        })
    }
}

/// Not until when: see [`Presence::resumed`].
impl Parked for Presence {
    fn park(&self, to: &mut Writer) {
        to.put(match self {
            Presence::Here => &0u8,
            Presence::Leaving => &1u8,
            Presence::Away { .. } => &2u8,
        });
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(match from.get::<u8>()? {
            0 => Presence::Here,
            1 => Presence::Leaving,
            2 => Presence::Away { until: Nanos::NEVER },
            _ => return Err(from.damage("presence")),
        })
    }
}
