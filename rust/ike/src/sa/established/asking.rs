//! What an IKE SA asks its peer: in which order, over which path, and how it is written.

use std::sync::Arc;

use super::Established;
use crate::crypto::Random;
use crate::event::NoticeKind;
use crate::profile::ReturnRoutability;
use crate::sa::asked;
use crate::sa::channel::Outgoing;
use crate::sa::context::Context;
use crate::sa::exchange::{make_child, rekey_ike, sync};
use crate::sa::path::NatHashes;
use crate::sa::timers::Retry;
use crate::sa::window::{Ask, Outstanding};
use crate::wire::ExchangeType;
use crate::{Nanos, Path};

impl Established {
    /// Ask the peer something as soon as its window allows. `false` if too much waits already.
    pub fn ask(&mut self, ctx: &mut Context, now: Nanos, ask: Ask) -> bool {
        let queued = self.requests.enqueue(ask);
        if !queued {
            ctx.counters.commands_refused += 1;
            ctx.notice(now, self.about(), NoticeKind::Limit, || "too many requests wait for the peer".into());
        }
        self.pump(ctx, now);
        queued
    }

    /// The same ahead of everything that waits, instead of what it makes pointless.
    pub fn ask_first(&mut self, ctx: &mut Context, now: Nanos, ask: Ask, replaces: impl Fn(&Ask) -> bool) {
        self.requests.enqueue_first(ask, replaces);
        self.pump(ctx, now);
    }

    /// Send what waits, as far as the window allows.
    pub fn pump(&mut self, ctx: &mut Context, now: Nanos) {
        if self.is_away() {
            return;
        }
        sync::begin(self, ctx, now);
        while let Some((id, ask)) = self.requests.next_to_send() {
            if !self.send_request(ctx, now, id, ask) {
                break;
            }
        }
        self.requests.tidy();
    }

    /// Must the peer prove that it receives there? Whoever has opened a stream has done so.
    #[must_use]
    pub fn wants_proof_on(&self, path: Path) -> bool {
        let address = path.remote.ip();
        match self.profile.return_routability {
            _ if path.is_stream() => false,
            // The certificate is proof enough (D5.5-1).
            _ if self.proven.contains(&address) => false,
            ReturnRoutability::Before | ReturnRoutability::After => true,
            ReturnRoutability::Untrusted => !self.profile.paths.trusts(address),
            ReturnRoutability::Never => false,
        }
    }

    /// Send it under this id.
    pub fn send_request(&mut self, ctx: &mut Context, now: Nanos, id: u32, mut ask: Ask) -> bool {
        if let Ask::Update { cookie, .. } = &mut ask {
            // The answer comes from where it will send us traffic, so let it prove that (M3.7-1).
            *cookie = self.wants_proof_on(self.path).then(|| {
                let mut octets = [0; 16];
                ctx.random.fill(&mut octets);
                octets
            });
        }
        if let Ask::Announce { .. } | Ask::Update { addresses: Some(_), .. } = &ask {
            self.newest_list = id;
        }
        let (path, generation) = match &ask {
            Ask::Probe { path, generation } | Ask::Announce { path, generation, .. } => {
                (path.unwrap_or(self.path), *generation)
            }
            Ask::Repair { path, .. } => (*path, self.generation),
            Ask::Update { generation, .. } => (self.path, *generation),
            Ask::Liveness
            | Ask::Check { .. }
            | Ask::Away { .. }
            | Ask::Redirect { .. }
            | Ask::Sync { .. }
            | Ask::DeleteIke
            | Ask::DeleteChild { .. }
            | Ask::RekeyIke
            | Ask::MakeChild
            | Ask::FollowIke
            | Ask::FollowChild => (self.path, self.generation),
        };
        let natted = self.nat.we_are_behind && self.speaks_mobike() && !path.is_stream();
        let nat_hashes = self.natt.then(|| NatHashes::of(self.channel.spis, path));
        let exchange = match ask {
            Ask::RekeyIke | Ask::MakeChild => ExchangeType::CREATE_CHILD_SA,
            Ask::FollowIke | Ask::FollowChild => ExchangeType::IKE_FOLLOWUP_KE,
            _ => ExchangeType::INFORMATIONAL,
        };
        let message = Outgoing { exchange, id, response: false };
        let ike_suites = if matches!(ask, Ask::RekeyIke) { rekey_ike::suites(self) } else { Vec::new() };
        let tell_window = exchange == ExchangeType::INFORMATIONAL && core::mem::take(&mut self.window_untold);
        let (rekeying, profile, children) = (self.rekeying.as_deref(), &self.profile, &ctx.children);
        let sealed = self.channel.seal(&mut ctx.buffer, message, |writer| match ask {
            Ask::RekeyIke => rekey_ike::write(writer, &ike_suites, rekeying),
            Ask::MakeChild => make_child::write(writer, profile, children, rekeying),
            Ask::FollowIke => rekey_ike::write_follow_up(writer, rekeying),
            Ask::FollowChild => make_child::write_follow_up(writer, rekeying),
            _ => {
                asked::write(writer, &ask, path, natted, nat_hashes.as_ref());
                if tell_window {
                    asked::push_window(writer, profile);
                }
            }
        });
        let Ok(bytes) = sealed else {
            ctx.counters.dropped_crypto += 1;
            return false;
        };
        match &ask {
            Ask::Update { .. } => ctx.counters.updates_sent += 1,
            Ask::Check { .. } | Ask::Repair { .. } => ctx.counters.cookie2_sent += 1,
            Ask::Liveness
            | Ask::Probe { .. }
            | Ask::Announce { .. }
            | Ask::Away { .. }
            | Ask::Redirect { .. }
            | Ask::Sync { .. }
            | Ask::DeleteIke
            | Ask::DeleteChild { .. }
            | Ask::RekeyIke
            | Ask::MakeChild
            | Ask::FollowIke
            | Ask::FollowChild => {}
        }
        ctx.send(path, Arc::clone(&bytes));
        let mut retry = Retry::begin(now, &self.profile.retransmit, &mut ctx.random);
        if let Some((pace, times)) = self.haste(&ask) {
            retry.hurry(now, pace, times);
        }
        self.requests.sent(Outstanding { id, ask, bytes, path, generation, retry, many_paths: false, sent: 1 });
        true
    }
}
