//! Message ids in both directions, parked: what is unanswered goes on with the same octets under the same id.

use std::sync::Arc;

use super::{Answers, Ask, Busy, MAX_WINDOW, Outstanding, Requests};
use crate::park::{Damage, Parked, Reader, Standing, Writer};
use crate::sa::timers::Retry;

impl Parked for Ask {
    fn park(&self, to: &mut Writer) {
        match self {
            // A Child SA that is asked for goes with the secrets that were to make it: an answer only shows life.
            // What ids come next is asked again.
            Ask::Liveness | Ask::MakeChild | Ask::FollowChild | Ask::Sync { .. } => to.put(&0u8),
            Ask::RekeyIke => to.put(&9u8),
            Ask::FollowIke => to.put(&10u8),
            Ask::Probe { path, generation } => {
                to.put(&1u8);
                to.put(path);
                to.put(generation);
            }
            Ask::Update { generation, addresses, cookie } => {
                to.put(&2u8);
                to.put(generation);
                to.put(addresses);
                to.put(&cookie.map(u128::from_be_bytes));
            }
            Ask::Announce { addresses, path, generation } => {
                to.put(&3u8);
                to.put(addresses);
                to.put(path);
                to.put(generation);
            }
            Ask::Check { cookie } => {
                to.put(&4u8);
                to.octets(cookie);
            }
            Ask::Repair { path, cookie } => {
                to.put(&7u8);
                to.put(path);
                to.octets(cookie);
            }
            Ask::Away { seconds } => {
                to.put(&8u8);
                to.put(seconds);
            }
            Ask::Redirect { octets } => {
                to.put(&11u8);
                to.counted(octets);
            }
            Ask::DeleteIke => to.put(&5u8),
            Ask::DeleteChild { spi_in, spi_out } => {
                to.put(&6u8);
                to.put(spi_in);
                to.put(spi_out);
            }
        }
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(match from.get::<u8>()? {
            0 => Ask::Liveness,
            1 => Ask::Probe { path: from.get()?, generation: from.get()? },
            2 => Ask::Update {
                generation: from.get()?,
                addresses: from.get()?,
                cookie: from.get::<Option<u128>>()?.map(u128::to_be_bytes),
            },
            3 => Ask::Announce { addresses: from.get()?, path: from.get()?, generation: from.get()? },
            4 => Ask::Check { cookie: from.get::<u128>()?.to_be_bytes() },
            5 => Ask::DeleteIke,
            6 => Ask::DeleteChild { spi_in: from.get()?, spi_out: from.get()? },
            7 => Ask::Repair { path: from.get()?, cookie: from.get::<u128>()?.to_be_bytes() },
            8 => Ask::Away { seconds: from.get()? },
            9 => Ask::RekeyIke,
            10 => Ask::FollowIke,
            11 => Ask::Redirect { octets: Arc::from(from.counted("gateway")?) },
            _ => return Err(from.damage("request")),
        })
    }
}

impl Outstanding {
    /// Write it, but for its clock.
    pub fn park(&self, to: &mut Writer) {
        let Outstanding { id, ask, bytes, path, generation, retry: _, many_paths, sent: _ } = self;
        to.put(id);
        to.put(ask);
        to.counted(bytes);
        to.put(path);
        to.put(generation);
        to.put(many_paths);
    }

    /// Read it.
    pub fn unpark(from: &mut Reader<'_>, retry: Retry) -> Result<Outstanding, Damage> {
        Ok(Outstanding {
            id: from.get()?,
            ask: from.get()?,
            bytes: Arc::from(from.counted("message")?),
            path: from.get()?,
            generation: from.get()?,
            many_paths: from.get()?,
            sent: 1,
            retry,
        })
    }
}

impl Requests {
    /// Write them. Clocks are not written: who reads them may have another one.
    pub fn park(&self, to: &mut Writer) {
        let Requests { next_id, window, widest, busy } = self;
        to.put(next_id);
        to.put(window);
        to.put(widest);
        to.put(&busy.is_some());
        let Some(busy) = busy else { return };
        let Busy { outstanding, queue } = &**busy;
        let outstanding = || outstanding.iter().filter(|request| !matches!(request.ask, Ask::Sync { .. }));
        to.put(&(outstanding().count() as u32));
        outstanding().for_each(|request| request.park(to));
        let lasting = |ask: &&Ask| !matches!(ask, Ask::MakeChild | Ask::FollowChild);
        let lasting: Vec<&Ask> = queue.iter().filter(lasting).collect();
        to.each(lasting.into_iter());
    }

    /// Read them; each unanswered one gets a clock from `begin`.
    pub fn unpark(from: &mut Reader<'_>, mut begin: impl FnMut() -> Retry) -> Result<Requests, Damage> {
        let (next_id, window) = (from.get()?, from.get::<u32>()?.max(1));
        let widest = from.get::<u32>()?.max(window).min(i32::MAX as u32);
        let busy = if from.get()? {
            let outstanding = from.each(|from| Outstanding::unpark(from, begin()))?;
            Some(Box::new(Busy { outstanding, queue: from.each(Reader::get)?.into() }))
        } else {
            None
        };
        Ok(Requests { next_id, window, widest, busy })
    }
}

impl Answers {
    /// Write them, answers included: a peer may ask for the last ones again.
    pub fn park(&self, to: &mut Writer) {
        let Answers { next, ahead, window, cached, gap } = self;
        to.put(next);
        to.put(ahead);
        to.put(window);
        to.put(gap);
        to.put(&(cached.len() as u32));
        for (id, bytes) in cached {
            to.put(id);
            to.counted(bytes);
        }
    }

    /// Read them.
    pub fn unpark(from: &mut Reader<'_>, standing: Standing) -> Result<Answers, Damage> {
        let (next, ahead, window) = (from.get()?, from.get()?, from.get::<u32>()?.clamp(1, MAX_WINDOW));
        // A crash not long ago made us forget some, whoever held it since.
        let gap = from.get()? || standing == Standing::Doubtful;
        let cached = from.each(|from| Ok((from.get()?, Arc::from(from.counted("answer")?))))?;
        Ok(Answers { next, ahead, window, cached, gap })
    }
}
