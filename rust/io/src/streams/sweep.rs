//! Streams that are of no use any more, looked for once a second.

use std::os::fd::AsRawFd;
use std::time::Duration;

use mobike_ike::{Nanos, Path, StreamUse};

use super::epoll::Interest;
use super::one::Stage;
use super::{LISTENERS, News, Streams, limits};
use crate::counters::IoCounters;

const EVERY: Duration = Duration::from_secs(1);

impl Streams {
    /// When [`Streams::sweep`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Nanos> {
        (self.len() > 0 || self.resting || !self.tried.is_empty()).then(|| self.swept + EVERY)
    }

    /// A second has passed. `use_of` says what the SA in a place does with a stream on a path.
    pub(crate) fn sweep(
        &mut self,
        now: Nanos,
        use_of: impl Fn(u32, Path) -> StreamUse,
        counters: &mut IoCounters,
    ) -> Vec<News> {
        if now.since(self.swept) < EVERY {
            return Vec::new();
        }
        self.swept = now;
        self.tried.retain(|_, last| now.since(*last) < limits::PAUSE);
        if std::mem::take(&mut self.resting) {
            for (key, socket) in (LISTENERS..).zip(&self.listeners) {
                let _ = self.epoll.add(socket.as_raw_fd(), key, Interest::Read);
            }
        }
        let keys: Vec<u64> = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.stream.is_some())
            .map(|(index, place)| u64::from(place.generation) << 32 | index as u64)
            .collect();
        let over: Vec<u64> = keys.into_iter().filter(|key| self.is_over(now, *key, &use_of)).collect();
        counters.streams_swept += over.len() as u64;
        let news = over.into_iter().filter_map(|key| self.end(key, counters)).collect();
        let mut strangers = std::mem::take(&mut self.strangers);
        strangers.tidy(|key| self.is_strange(key));
        self.strangers = strangers;
        news
    }

    fn is_over(&mut self, now: Nanos, key: u64, use_of: impl Fn(u32, Path) -> StreamUse) -> bool {
        let Some(stream) = self.get(key) else { return false };
        if stream.midway.is_some_and(|since| now.since(since) >= limits::MIDWAY) {
            return true;
        }
        let idle = now.since(stream.used);
        let owner = match stream.stage {
            Stage::Connecting(_) => return idle >= limits::CONNECTING,
            Stage::Opened(owner) => Some(owner),
            Stage::Accepted(owner) => owner,
        };
        let used = owner.map_or(StreamUse::Gone, |owner| use_of(owner, stream.path));
        let (was_strange, from) = (!stream.proven && owner_is_new(stream.stage), stream.path.remote.ip());
        match used {
            StreamUse::InUse => {
                (stream.used, stream.proven) = (now, true);
                if was_strange {
                    self.strangers.remove(from);
                }
                false
            }
            StreamUse::HalfOpen => {
                stream.used = now;
                false
            }
            StreamUse::Left => idle >= limits::LEFT,
            StreamUse::Gone => stream.proven || idle >= limits::UNUSED,
        }
    }

    /// There is no descriptor for another stream: do not ask again at once.
    pub(super) fn rest(&mut self) {
        self.resting = true;
        self.listeners.iter().for_each(|socket| self.epoll.remove(socket.as_raw_fd()));
    }
}

fn owner_is_new(stage: Stage) -> bool {
    matches!(stage, Stage::Accepted(_))
}
