//! Repeating unanswered requests: the same octets until an answer comes, over the path in use then.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::crypto::Role;
use crate::event::{DownReason, Event};
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::addresses;
use crate::sa::timers::Retry;
use crate::sa::trace::Asked;
use crate::sa::watch::QUICK_ELSEWHERE;
use crate::sa::window::{Ask, Outstanding};
use crate::{Nanos, Path};

/// A probe of another path holds up other requests no longer than so many transmissions (D6.2-1).
const PROBE_TRIES: u32 = 3;

/// Silence is reported from the second repetition on.
pub const SILENT_TRIES: u32 = 3;

/// Quick repetitions over a path that nobody knows yet say little before this time: it may be a long way.
const UNSURE: Duration = Duration::from_millis(500);

/// The same octets over this path, too; an answer does not tell which way it came by.
pub fn copy_over(request: &mut Outstanding, ctx: &mut Context, path: Path) {
    request.many_paths = true;
    request.sent_again();
    ctx.counters.retransmissions += 1;
    ctx.send(path, Arc::clone(&request.bytes));
}

impl Established {
    /// Put the SA on another path: unanswered requests go on from there with the same bytes, at once (M3.5-3).
    pub fn re_aim(&mut self, ctx: &mut Context, now: Nanos, path: Path) {
        self.re_aim_at(ctx, now, path, now);
    }

    /// The same, but what is unanswered goes on from there only at `when`.
    pub fn re_aim_at(&mut self, ctx: &mut Context, now: Nanos, path: Path, when: Nanos) {
        if self.path != path {
            self.forget_path();
        }
        self.path = path;
        self.channel.take(path);
        self.requests.tell_lists_here();
        let (policy, pace) = (self.profile.retransmit, self.search_pace());
        for request in self.requests.outstanding_mut() {
            request.many_paths |= request.path != path;
            request.path = path;
            request.generation = self.generation;
            request.retry = match self.part {
                // Trying other paths is no sign of life, or a client with two links would ask a dead peer for ever.
                Role::Initiator => request.retry.elsewhere(now, &policy, &mut ctx.random),
                // The peer moved us, so it lives.
                Role::Responder => Retry::begin(now, &policy, &mut ctx.random),
            };
            if let Some(pace) = pace {
                request.retry.hurry(now, pace, QUICK_ELSEWHERE);
            }
            if when > now {
                request.retry.next = when;
                continue;
            }
            request.sent_again();
            ctx.counters.retransmissions += 1;
            ctx.send(path, Arc::clone(&request.bytes));
        }
        self.re_aim_retired(ctx, now, path);
    }

    /// The peer said something new over this path: so it lives, and what it has not answered there does not wait until its turn
    /// comes, which may be long after a silence. Each goes once.
    pub fn repeat_over(&mut self, ctx: &mut Context, now: Nanos, path: Path) {
        if !self.is_away() {
            self.revive(ctx, now, |request| request.path == path);
        }
    }

    /// Repeat those that fit at once, unless they were sent a moment ago.
    pub fn revive(&mut self, ctx: &mut Context, now: Nanos, fits: impl Fn(&Outstanding) -> bool) {
        let policy = self.profile.retransmit;
        for request in self.requests.outstanding_mut().iter_mut().filter(|request| fits(request)) {
            if request.retry.revive(now, &policy, &mut ctx.random) {
                request.sent_again();
                ctx.counters.revived += 1;
                ctx.send_again(request.path, Arc::clone(&request.bytes));
            }
        }
    }

    /// What is unanswered over other paths goes over this one, too: there it may never be answered, and it would keep the
    /// window closed.
    pub fn ask_here_too(&mut self, ctx: &mut Context, path: Path) {
        for request in self.requests.outstanding_mut().iter_mut().filter(|request| request.path != path) {
            copy_over(request, ctx, path);
        }
    }

    /// Where a list is told to while the path in use is dead (RFC 4555 section 3.6): only the responder must look, since
    /// the initiator moves.
    fn places_of_peer(&self) -> Vec<SocketAddr> {
        let telling = |request: &Outstanding| matches!(request.ask, Ask::Announce { path: Some(_), .. });
        // A responder opens no streams.
        let looks = self.part == Role::Responder && !self.path.is_stream();
        if !looks || !self.requests.outstanding().iter().any(telling) {
            return Vec::new();
        }
        let port = self.path.remote.port();
        let listed = self.peer_addresses.iter().map(|ip| SocketAddr::new(*ip, port));
        core::iter::once(self.path.remote).chain(listed).collect()
    }

    /// Send again what is due to be. `Some` when the peer has used up its patience.
    pub fn repeat_due(&mut self, ctx: &mut Context, now: Nanos) -> Option<DownReason> {
        let (patience, policy) = (self.patience(), self.profile.retransmit);
        let (here, closing) = (self.path, self.is_closing());
        let unsure = match self.search_pace().is_some() && self.watch.is_guessing() {
            true => UNSURE,
            false => self.watch.answer_within(),
        };
        let (peers, follows) = (self.places_of_peer(), self.part == Role::Responder);
        let mut silent_here = false;
        // Of those that a crash made us try beside each other, one speaks for all.
        let speaks = self.requests.outstanding().first().filter(|_| self.is_forgetful(now)).map(|first| first.id);
        for request in self.requests.outstanding_mut().iter_mut().filter(|request| request.retry.next <= now) {
            let silent_for = now.since(request.retry.asked);
            let asked = Some(Asked::by_us(request.id));
            if silent_for >= patience {
                ctx.events.come_of(asked);
                return Some(DownReason::PeerSilent(silent_for));
            }
            let unanswered_for = now.since(request.retry.started);
            let before = request.path;
            if matches!(request.ask, Ask::Probe { .. } | Ask::Repair { .. })
                && request.path != here
                && request.retry.tries >= PROBE_TRIES
            {
                request.path = here;
                request.many_paths = true;
                request.retry = request.retry.elsewhere(now, &policy, &mut ctx.random);
            } else {
                request.retry.again(now, &policy, &mut ctx.random);
                let next = addresses::next_pair(request, &peers);
                let beside = || addresses::beside_stream(request, here).filter(|_| follows);
                if let Some(next) = next.or_else(beside) {
                    request.many_paths |= next != request.path;
                    request.path = next;
                }
            }
            request.sent_again();
            if request.path == before {
                ctx.send_again(request.path, Arc::clone(&request.bytes));
            } else {
                ctx.counters.retransmissions += 1;
                ctx.send(request.path, Arc::clone(&request.bytes));
            }
            let speaks = speaks.is_none_or(|first| first == request.id);
            if request.retry.tries >= SILENT_TRIES && unanswered_for >= unsure && !closing && speaks {
                let (path, generation, tries) = (request.path, request.generation, request.retry.tries);
                ctx.events.come_of(asked);
                ctx.events.push_back(Event::PathSilent { sa: self.id, path, generation, unanswered_for, tries });
                ctx.events.come_of(None);
                silent_here |= path == here;
            }
        }
        self.watch.told_silent |= silent_here;
        None
    }
}
