//! Message ids in both directions (RFC 7296 sections 2.1 to 2.3): which request may be sent, which answer settles what,
//! which request is new and which is a repetition.

mod lists;
mod park;
pub mod sync;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::Generation;
use crate::sa::exchange::sync::Said;
use crate::sa::timers::Retry;
use crate::{Nanos, Path};

/// Requests that wait for room in the peer's window. More are refused.
pub const QUEUE_LIMIT: usize = 16;

/// What one of our requests is for.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Is the peer alive?
    Liveness,
    /// Does this path work?
    Probe {
        /// `None`: the current one.
        path: Option<Path>,
        /// The decision behind it.
        generation: Generation,
    },
    /// UPDATE_SA_ADDRESSES over the current path.
    Update {
        /// The decision behind it.
        generation: Generation,
        /// Our whole list, if it goes along.
        addresses: Option<Arc<[core::net::IpAddr]>>,
        /// What must come back, if the peer's address is to be proven; made when it is sent.
        cookie: Option<[u8; 16]>,
    },
    /// Our whole list of addresses.
    Announce {
        /// The list.
        addresses: Arc<[core::net::IpAddr]>,
        /// `None`: over the current path.
        path: Option<Path>,
        /// The decision behind it.
        generation: Generation,
    },
    /// Return routability of the current path.
    Check {
        /// What must come back.
        cookie: [u8; 16],
    },
    /// Is the peer where its ESP comes from?
    Repair {
        /// From where it comes.
        path: Path,
        /// What must come back.
        cookie: [u8; 16],
    },
    /// Leave to be away.
    Away {
        /// For so long.
        seconds: u32,
    },
    /// Which message ids come next (RFC 6311).
    Sync {
        /// What we say of that.
        said: Said,
    },
    /// The end of the IKE SA.
    DeleteIke,
    /// Another IKE SA in its place; the rest is in [`crate::sa::rekeying`].
    RekeyIke,
    /// Another Child SA, new or in the place of one; the rest is there too.
    MakeChild,
    /// The next key exchange of that IKE SA.
    FollowIke,
    /// The next key exchange of that Child SA.
    FollowChild,
    /// REDIRECT to another gateway: what the notification says.
    Redirect {
        /// Its data.
        octets: Arc<[u8]>,
    },
    /// The end of a Child SA.
    DeleteChild {
        /// Our inbound SPI.
        spi_in: u32,
        /// The peer's.
        spi_out: u32,
    },
}

impl Outstanding {
    /// It was sent once more.
    pub fn sent_again(&mut self) {
        self.sent = self.sent.saturating_add(1);
    }
}

impl Ask {
    /// Must nothing else be unanswered beside it? What replaces the IKE SA comes alone, so that every other request was
    /// answered on the old one or is asked on the new one.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        matches!(self, Ask::RekeyIke | Ask::FollowIke)
    }

    /// An update that is to be sent.
    #[must_use]
    pub fn update(generation: Generation, addresses: Option<Arc<[core::net::IpAddr]>>) -> Ask {
        Ask::Update { generation, addresses, cookie: None }
    }
}

/// A request of ours that is not answered yet.
#[derive(Debug)]
pub struct Outstanding {
    /// Its message id.
    pub id: u32,
    /// What it is for.
    pub ask: Ask,
    /// The message; every repetition has the same bytes.
    pub bytes: Arc<[u8]>,
    /// Where it is sent.
    pub path: Path,
    /// The decision that put it there.
    pub generation: Generation,
    /// Its clock.
    pub retry: Retry,
    /// It went out over more than one path, so its answer proves none of them (M3.7-4).
    pub many_paths: bool,
    /// So often, over whatever paths; 255: that often or more.
    pub sent: u8,
}

/// Our requests.
#[derive(Debug)]
pub struct Requests {
    next_id: u32,
    /// The peer's window: how many requests may be unanswered.
    window: u32,
    /// The widest window that it ever had, on IKE SAs before this one too: it may serve that before it says so.
    widest: u32,
    /// Only there while there is something in it: an idle SA pays eight octets.
    busy: Option<Box<Busy>>,
}

#[derive(Debug, Default)]
struct Busy {
    /// In order of message id.
    outstanding: Vec<Outstanding>,
    queue: VecDeque<Ask>,
}

impl Requests {
    /// The first request will have this id.
    #[must_use]
    pub fn new(next_id: u32) -> Requests {
        Requests { next_id, window: 1, widest: 1, busy: None }
    }

    /// The peer's SET_WINDOW_SIZE. It never shrinks (RFC 7296 section 2.3).
    pub fn widen(&mut self, window: u32) {
        /// More would only be a way to make us remember more.
        const MOST_USED: u32 = 16;
        self.window = self.window.max(window.min(MOST_USED));
        self.widest = self.widest.max(window.min(i32::MAX as u32));
    }

    /// Is there nothing unanswered and nothing waiting?
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.busy.is_none()
    }

    /// What is unanswered.
    #[must_use]
    pub fn outstanding(&self) -> &[Outstanding] {
        self.busy.as_ref().map_or(&[], |busy| &busy.outstanding)
    }

    /// The same, to be sent again or elsewhere.
    pub fn outstanding_mut(&mut self) -> &mut [Outstanding] {
        self.busy.as_mut().map_or(&mut [], |busy| &mut busy.outstanding)
    }

    /// What waits for room.
    pub fn waiting(&self) -> impl Iterator<Item = &Ask> {
        self.busy.iter().flat_map(|busy| busy.queue.iter())
    }

    /// Is one of these unanswered, or still to be sent?
    pub fn asks(&self, fits: impl Fn(&Ask) -> bool) -> bool {
        self.outstanding().iter().map(|request| &request.ask).chain(self.waiting()).any(fits)
    }

    /// Let this wait behind the others. `false` if too many wait already.
    pub fn enqueue(&mut self, ask: Ask) -> bool {
        let queue = &mut self.busy.get_or_insert_default().queue;
        let room = queue.len() < QUEUE_LIMIT;
        if room {
            queue.push_back(ask);
        }
        room
    }

    /// Let this wait ahead of all others, instead of those that it makes pointless.
    pub fn enqueue_first(&mut self, ask: Ask, replaces: impl Fn(&Ask) -> bool) {
        let queue = &mut self.busy.get_or_insert_default().queue;
        queue.retain(|waiting| !replaces(waiting));
        queue.truncate(QUEUE_LIMIT);
        queue.push_front(ask);
    }

    /// Let none of those that still wait and fit be asked. Was there one?
    pub fn withdraw(&mut self, fits: impl Fn(&Ask) -> bool) -> bool {
        let Some(busy) = self.busy.as_mut() else { return false };
        let before = busy.queue.len();
        busy.queue.retain(|waiting| !fits(waiting));
        before > busy.queue.len()
    }

    /// The next one to send and its message id, if the window has room.
    pub fn next_to_send(&mut self) -> Option<(u32, Ask)> {
        let busy = self.busy.as_mut()?;
        let lowest = busy.outstanding.first().map_or(self.next_id, |first| first.id);
        if self.next_id.wrapping_sub(lowest) >= self.window {
            return None;
        }
        let alone = busy.queue.front()?.is_alone();
        let mut unanswered = busy.outstanding.iter();
        if (alone && unanswered.len() > 0) || unanswered.any(|request| request.ask.is_alone()) {
            return None;
        }
        let ask = busy.queue.pop_front()?;
        Some((self.take_id(), ask))
    }

    /// Is no more unanswered than the peer serves at a time?
    #[must_use]
    pub fn is_within_window(&self) -> bool {
        self.outstanding().len() <= self.window as usize
    }

    /// The id of a request that does not wait for room in the window.
    pub fn take_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// What is unanswered and a whole window older than this id, which was answered: so the peer has seen it, and will
    /// not answer it any more. That happens only to those that did not wait for room.
    pub fn overtaken(&mut self, id: u32) -> Vec<Ask> {
        let window = self.widest as i32;
        let Some(busy) = self.busy.as_mut() else { return Vec::new() };
        let older = busy.outstanding.iter().take_while(|request| id.wrapping_sub(request.id) as i32 >= window).count();
        busy.outstanding.drain(..older).map(|request| request.ask).collect()
    }

    /// The requests of an IKE SA that goes out of use: the id that comes next on it, and all that nobody answered, oldest first.
    pub fn retire(&mut self) -> (u32, Vec<Ask>) {
        let busy = self.busy.take().unwrap_or_default();
        let asks = busy.outstanding.into_iter().map(|request| request.ask).chain(busy.queue);
        (self.next_id, asks.collect())
    }

    /// The widest window that the peer ever had.
    #[must_use]
    pub fn widest(&self) -> u32 {
        self.widest
    }

    /// Those of the one that comes into use, with what is asked anew on it.
    #[must_use]
    pub fn resume(asks: Vec<Ask>, widest: u32) -> Requests {
        let busy = Busy { outstanding: Vec::new(), queue: asks.into() };
        Requests { next_id: 0, window: 1, widest, busy: (!busy.queue.is_empty()).then(|| Box::new(busy)) }
    }

    /// It was sent.
    pub fn sent(&mut self, request: Outstanding) {
        self.busy.get_or_insert_default().outstanding.push(request);
    }

    /// The answer to this id came; what it settles.
    pub fn settle(&mut self, id: u32) -> Option<Outstanding> {
        let busy = self.busy.as_mut()?;
        let index = busy.outstanding.iter().position(|request| request.id == id)?;
        Some(busy.outstanding.remove(index))
    }

    /// Give memory back if nothing is unanswered and nothing waits.
    pub fn tidy(&mut self) {
        if self.busy.as_ref().is_some_and(|busy| busy.outstanding.is_empty() && busy.queue.is_empty()) {
            self.busy = None;
        }
    }

    /// When the next one is due again.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        self.outstanding().iter().map(|request| request.retry.next).min().unwrap_or(Nanos::NEVER)
    }
}

/// What a request of the peer is, by its message id.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not seen before.
    New,
    /// Answered before, with this.
    Repeated(Arc<[u8]>),
    /// Answered before, and the answer is forgotten.
    Forgotten,
    /// Outside the window.
    Outside,
}

/// As many answers as [`Answers`] can tell apart.
pub const MAX_WINDOW: u32 = 32;

/// The peer's requests and our answers.
#[derive(Debug)]
pub struct Answers {
    /// Every id below this one was answered.
    next: u32,
    /// Bit n: `next + 1 + n` was answered.
    ahead: u32,
    /// Our window: how many ids from `next` on are served.
    window: u32,
    /// Answers that may be asked for again, at most a window of them.
    cached: Vec<(u32, Arc<[u8]>)>,
    /// We may have answered some more before a crash, of which we know nothing: an id a little ahead is taken for the next.
    gap: bool,
}

/// Requests of a peer that may have been answered since an SA was last written down. They come seldom: liveness tests,
/// moves, lists.
const MOST_FORGOTTEN: u32 = 32;

impl Answers {
    /// The peer's first request will have this id; `window` is what we told it (1 if nothing), at most 32.
    #[must_use]
    pub fn new(next: u32, window: u32) -> Answers {
        Answers { next, ahead: 0, window: window.clamp(1, MAX_WINDOW), cached: Vec::new(), gap: false }
    }

    /// What a request with this id is.
    #[must_use]
    pub fn standing(&self, id: u32) -> Standing {
        let above = id.wrapping_sub(self.next);
        let answered = match above {
            0 => return Standing::New,
            above if above < self.window => self.ahead & (1 << (above - 1)) != 0,
            above if self.gap && above < self.window + MOST_FORGOTTEN => return Standing::New,
            _ if self.next.wrapping_sub(id) <= self.window => true,
            _ => return Standing::Outside,
        };
        if !answered {
            return Standing::New;
        }
        match self.cached.iter().find(|(cached, _)| *cached == id) {
            Some((_, bytes)) => Standing::Repeated(Arc::clone(bytes)),
            None => Standing::Forgotten,
        }
    }

    /// A new request was answered so.
    pub fn answered(&mut self, id: u32, bytes: Arc<[u8]>) {
        match id.wrapping_sub(self.next) {
            0 => self.advance(),
            above if above < self.window => self.ahead |= 1 << (above - 1),
            above if self.gap && above < self.window + MOST_FORGOTTEN => {
                self.next = id.wrapping_add(1);
                self.ahead = 0;
            }
            _ => return,
        }
        let oldest = self.next.wrapping_sub(self.window);
        self.cached.retain(|(cached, _)| cached.wrapping_sub(oldest) < 2 * self.window);
        self.cached.reserve_exact(1);
        self.cached.push((id, bytes));
    }

    /// The highest id that was answered; none if nothing was.
    #[must_use]
    pub fn newest(&self) -> Option<u32> {
        let ahead = u32::BITS - self.ahead.leading_zeros();
        let above = if ahead == 0 { self.next } else { self.next.wrapping_add(ahead + 1) };
        above.checked_sub(1)
    }

    fn advance(&mut self) {
        loop {
            self.next = self.next.wrapping_add(1);
            let next_too = self.ahead & 1 != 0;
            self.ahead >>= 1;
            if !next_too {
                return;
            }
        }
    }

    /// Does it keep anything?
    #[must_use]
    pub fn remembers(&self) -> bool {
        !self.cached.is_empty()
    }

    /// Forget the answers: some minutes are enough (RFC 7296 section 2.1).
    pub fn forget(&mut self) {
        self.cached = Vec::new();
        self.close_gap();
    }

    /// There is nothing any more that we may have forgotten.
    pub fn close_gap(&mut self) {
        self.gap = false;
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, Ask, Outstanding, Requests, Standing};
    use crate::crypto::SeededRandom;
    use crate::id::Generation;
    use crate::profile::Retransmit;
    use crate::sa::timers::Retry;
    use crate::{Nanos, Path};

    fn answer(text: &str) -> std::sync::Arc<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn a_window_of_one_serves_one_id_and_repeats_the_one_before() {
        let mut answers = Answers::new(0, 1);
        assert_eq!(answers.standing(0), Standing::New);
        assert_eq!(answers.standing(1), Standing::Outside);
        answers.answered(0, answer("zero"));
        assert_eq!(answers.standing(0), Standing::Repeated(answer("zero")));
        answers.answered(1, answer("one"));
        assert_eq!(answers.standing(0), Standing::Outside);
        answers.forget();
        assert_eq!(answers.standing(1), Standing::Forgotten);
        assert_eq!(answers.standing(2), Standing::New);
    }

    // req: M-W
    #[test]
    fn a_wider_window_takes_requests_out_of_order_and_none_twice() {
        let mut answers = Answers::new(10, 4);
        answers.answered(12, answer("c"));
        answers.answered(13, answer("d"));
        assert_eq!(answers.standing(12), Standing::Repeated(answer("c")));
        assert_eq!(answers.standing(10), Standing::New);
        assert_eq!(answers.standing(14), Standing::Outside);
        answers.answered(10, answer("a"));
        assert_eq!(answers.standing(14), Standing::New);
        answers.answered(11, answer("b"));
        for id in 10..14 {
            assert!(matches!(answers.standing(id), Standing::Repeated(_)), "{id}");
        }
        assert_eq!(answers.standing(14), Standing::New);
        assert_eq!(answers.standing(9), Standing::Outside);
        assert_eq!(answers.standing(18), Standing::Outside);
    }

    fn send(requests: &mut Requests) -> Option<u32> {
        let (id, ask) = requests.next_to_send()?;
        let end = core::net::SocketAddr::from(([127, 0, 0, 1], 500));
        let retry = Retry::begin(Nanos(0), &Retransmit::default(), &mut SeededRandom::new([0; 32]));
        requests.sent(Outstanding {
            id,
            ask,
            bytes: answer("request"),
            path: Path::udp(end, end),
            generation: Generation(0),
            retry,
            many_paths: false,
            sent: 1,
        });
        Some(id)
    }

    // req: M-W
    #[test]
    fn our_requests_wait_for_room_in_the_peers_window() {
        let mut requests = Requests::new(2);
        requests.widen(2);
        (0..4).for_each(|_| assert!(requests.enqueue(Ask::Liveness)));
        assert_eq!([send(&mut requests), send(&mut requests), send(&mut requests)], [Some(2), Some(3), None]);
        assert!(requests.settle(3).is_some());
        assert_eq!(send(&mut requests), None, "2 is still unanswered, and 4 is two above it");
        assert!(requests.settle(2).is_some());
        assert!(requests.settle(2).is_none());
        assert_eq!([send(&mut requests), send(&mut requests)], [Some(4), Some(5)]);
        (4..6).for_each(|id| assert!(requests.settle(id).is_some()));
        requests.tidy();
        assert!(requests.is_idle());
    }
}
