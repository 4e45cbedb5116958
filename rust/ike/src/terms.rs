//! On what terms one peer is let in: a word about this one, beside the standing orders of its connection.

use core::net::IpAddr;
use std::sync::Arc;

use crate::park::{Damage, Parked, Reader, Writer};
use crate::profile::Profile;
use crate::selector::{Selector, narrow};

/// What the control plane says of a peer that it lets in. All of it is about responders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Inner addresses for it, if it asks; then it gets no others of their families.
    pub addresses: Vec<IpAddr>,
    /// Of what is behind us it reaches no more than this; `None`: all that the connection says.
    pub reach: Option<Vec<Selector>>,
    /// It leases from the pool of this name ([`Profile::named_pools`]), and not from the connection's.
    pub pool: Option<Arc<str>>,
}

impl Terms {
    /// The standing orders of this peer. Child SAs that carry nothing within its reach are none of its connection; `None`: the
    /// first is one of those, and there is nothing to let it in for.
    #[must_use]
    pub fn applied(&self, to: &Arc<Profile>) -> Option<Arc<Profile>> {
        let Terms { addresses: _, reach, pool } = self;
        if reach.is_none() && pool.is_none() {
            return Some(Arc::clone(to));
        }
        let mut profile = Profile::clone(to);
        if let Some(reach) = reach {
            profile.local_ts = within(&profile.local_ts, reach)?;
            let others = core::mem::take(&mut profile.plan.others).into_iter();
            profile.plan.others = others
                .filter_map(|mut other| {
                    other.local_ts = within(&other.local_ts, reach)?;
                    Some(other)
                })
                .collect();
        }
        if pool.is_some() {
            // One that is not there any more gives nothing.
            profile.pool = profile.named_pools.iter().find(|known| known.shared == *pool).cloned();
        }
        profile.terms = Terms { addresses: Vec::new(), ..self.clone() };
        Some(Arc::new(profile))
    }
}

fn within(ours: &[Selector], reach: &[Selector]) -> Option<Vec<Selector>> {
    let both = narrow(ours, reach);
    (!both.is_empty()).then_some(both)
}

impl Parked for Terms {
    fn park(&self, to: &mut Writer) {
        let Terms { addresses: _, reach, pool } = self;
        to.put(&reach.is_some());
        to.each(reach.as_deref().unwrap_or_default().iter());
        to.put(pool);
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let limited = from.get::<bool>()?;
        let reach = from.each(Reader::get)?;
        Ok(Terms { addresses: Vec::new(), reach: limited.then_some(reach), pool: from.get()? })
    }
}

impl Parked for Selector {
    fn park(&self, to: &mut Writer) {
        let Selector { protocol, start_port, end_port, start, end } = self;
        to.put(protocol);
        to.put(start_port);
        to.put(end_port);
        to.put(start);
        to.put(end);
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (protocol, start_port, end_port) = (from.get()?, from.get()?, from.get()?);
        let selector = Selector { protocol, start_port, end_port, start: from.get()?, end: from.get()? };
        if selector.is_sound() { Ok(selector) } else { Err(from.damage("selector")) }
    }
}
