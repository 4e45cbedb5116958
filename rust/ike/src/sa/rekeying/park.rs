//! A rekey of the IKE SA that is under way, parked: its request goes on with the same octets, and its answer finds the secrets
//! that it needs. What waits for its end is parked, too: a peer that has not heard our last answer repeats its request there,
//! and our Delete may not have arrived. A Child SA that is asked for must be asked for again. So must what the peer makes by
//! several key exchanges: it hears STATE_NOT_FOUND (RFC 9370 section 2.2.4).

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use super::{ECHO, Fresh, IkeAsked, LINGER, Rekeying, Retired, Rival, Seed};
use crate::Nanos;
use crate::crypto::{IkeSuite, KeMethod, Nonces, Random, SharedSecret, Spis};
use crate::park::{Damage, Reader, Standing, Writer};
use crate::profile::Profile;
use crate::sa::channel::Channel;
use crate::sa::rekeying::series::{IkeHalf, Link, Series};
use crate::sa::timers::Retry;
use crate::sa::window::{Answers, Outstanding};

impl Rekeying {
    /// Write what there is.
    pub fn park(rekeying: Option<&Rekeying>, profile: &Profile, to: &mut Writer) {
        let asked = rekeying.and_then(|rekeying| rekeying.ike.as_ref());
        to.put(&asked.is_some());
        if let Some(IkeAsked { spi, nonce, seed, ephemeral, renewals, half }) = asked {
            to.put(spi);
            to.octets(nonce);
            to.octets(seed.expose());
            to.put(&ephemeral.method().id());
            to.put(renewals);
            to.put(&half.is_some());
            if let Some((IkeHalf { suite, spis, series }, link)) = half.as_deref() {
                to.put(suite);
                to.put(&spis.initiator);
                to.put(&spis.responder);
                let (nonce_i, nonce_r) = series.nonce_octets();
                to.counted(nonce_i);
                to.counted(nonce_r);
                to.put(&(series.secrets().len() as u32));
                series.secrets().iter().for_each(|secret| to.counted(secret.expose()));
                to.counted(link);
            }
        }
        let rival = rekeying.and_then(|rekeying| rekeying.rival.as_ref());
        to.put(&rival.is_some());
        if let Some(Rival { fresh: Fresh { channel, answers, suite }, lowest }) = rival {
            to.put(suite);
            channel.park(to);
            answers.park(to);
            to.counted(lowest);
        }
        let asked = rekeying.and_then(|rekeying| rekeying.child.as_ref()).filter(|asked| asked.replaces.is_none());
        let later = rekeying.iter().flat_map(|rekeying| &rekeying.to_open).copied();
        let to_open = asked.map(|asked| asked.number).into_iter().chain(later);
        let names: Vec<Arc<str>> = to_open.map(|number| Arc::clone(profile.child(number).name)).collect();
        to.each(names.iter());
        let retired = rekeying.map_or(&[][..], |rekeying| &rekeying.retired);
        to.put(&(retired.len() as u32));
        retired.iter().for_each(|retired| retired.park(to));
    }

    /// Read it.
    pub fn unpark(
        from: &mut Reader<'_>,
        profile: &Profile,
        random: &mut impl Random,
        standing: Standing,
        clock: Clock,
    ) -> Result<Option<Box<Rekeying>>, Damage> {
        let mut rekeying = Rekeying::default();
        if from.get()? {
            rekeying.ike = Some(asked(from)?);
        }
        if from.get()? {
            let suite: IkeSuite = from.get()?;
            let channel = Channel::unpark(from, &suite, random)?;
            let answers = Answers::unpark(from, standing)?;
            let lowest = from.counted("nonce")?.into();
            rekeying.rival = Some(Rival { fresh: Fresh { channel, answers, suite }, lowest });
        }
        let names: Vec<Arc<str>> = from.each(Reader::get)?;
        rekeying.to_open = names.iter().filter_map(|name| profile.child_named(name)).collect::<VecDeque<_>>();
        rekeying.retired = from.each(|from| Retired::unpark(from, random, standing, clock))?;
        Ok((!rekeying.is_over()).then(|| Box::new(rekeying)))
    }
}

/// When those that wait for their end are forgotten, and how their Deletes are repeated.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Now.
    pub now: Nanos,
    /// Of a Delete.
    pub retry: Retry,
    /// It is given up after so long.
    pub patience: Duration,
}

impl Retired {
    fn park(&self, to: &mut Writer) {
        let Retired { channel, suite, answers, last_update, last_list, newest, buried, farewell, until: _ } = self;
        to.put(suite);
        channel.park(to);
        answers.park(to);
        to.put(last_update);
        to.put(last_list);
        to.put(newest);
        to.put(buried);
        to.put(&farewell.is_some());
        if let Some(farewell) = farewell {
            farewell.park(to);
        }
    }

    fn unpark(
        from: &mut Reader<'_>,
        random: &mut impl Random,
        standing: Standing,
        clock: Clock,
    ) -> Result<Retired, Damage> {
        let suite: IkeSuite = from.get()?;
        let channel = Channel::unpark(from, &suite, random)?;
        let answers = Answers::unpark(from, standing)?;
        let (last_update, last_list, newest, buried) = (from.get()?, from.get()?, from.get()?, from.get()?);
        let farewell = from.get::<bool>()?.then(|| Outstanding::unpark(from, clock.retry)).transpose()?;
        let waits = match (buried, &farewell) {
            (true, _) => ECHO,
            (false, Some(_)) => clock.patience,
            (false, None) => LINGER,
        };
        let until = clock.now + waits;
        Ok(Retired { channel, suite, answers, last_update, last_list, newest, buried, farewell, until })
    }
}

fn asked(from: &mut Reader<'_>) -> Result<IkeAsked, Damage> {
    let spi = from.get()?;
    let octets = |from: &mut Reader<'_>| -> Result<[u8; 32], Damage> {
        from.octets(32, "secret")?.try_into().map_err(|_| from.damage("secret"))
    };
    let nonce: [u8; Nonces::FRESH_LEN] = octets(from)?;
    let seed = Seed::new(octets(from)?);
    let method = from.get::<u16>()?;
    let method = KeMethod::ALL.iter().find(|known| known.id() == method).ok_or_else(|| from.damage("key exchange"))?;
    let ephemeral = seed.ephemeral(*method).map_err(|_| from.damage("key exchange"))?;
    let renewals = from.get()?;
    let half = from.get::<bool>()?.then(|| half(from).map(Box::new)).transpose()?;
    Ok(IkeAsked { spi, nonce, seed, ephemeral, renewals, half })
}

/// Key exchanges that are done.
fn half(from: &mut Reader<'_>) -> Result<(IkeHalf, Link), Damage> {
    let suite: IkeSuite = from.get()?;
    let spis = Spis { initiator: from.get()?, responder: from.get()? };
    let (nonce_i, nonce_r) = (from.counted("nonce")?, from.counted("nonce")?);
    let secrets = from.each(|from| from.counted("secret").map(SharedSecret::from_slice))?;
    let series = Series::resumed((nonce_i, nonce_r), secrets);
    Ok((IkeHalf { suite, spis, series }, from.counted("link")?.into()))
}
