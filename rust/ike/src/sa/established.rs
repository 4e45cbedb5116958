//! An IKE SA whose ends proved who they are: its requests, its clock, its end.

mod asking;
mod catch_up;
mod clock;
mod closing;
pub mod park;

pub use clock::{end, on_timeout};

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::children::ChildNumber;
use crate::crypto::{IkeSuite, Role, Spis};
use crate::event::NatView;
use crate::id::{Generation, Identity, ProfileId, SaId, Token};
use crate::profile::Profile;
use crate::sa::channel::Channel;
use crate::sa::child::Family;
use crate::sa::context::{About, Context};
use crate::sa::exchange::away::Presence;
use crate::sa::exchange::configuration::Leases;
use crate::sa::exchange::repair::Strays;
use crate::sa::exchange::retrial::Retrial;
use crate::sa::exchange::{expire, mode, open_child, reauth, rekey_child, sync, traffic};
use crate::sa::pace::Pace;
use crate::sa::probe::Probing;
use crate::sa::rekeying::{Lifetimes, Rekeying};
use crate::sa::timers::patience;
use crate::sa::trace::Trace;
use crate::sa::watch::Watch;
use crate::sa::window::{Answers, Requests};
use crate::selector::Selector;
use crate::table::tickets::Held;
use crate::wire::Extensions;
use crate::{Nanos, Path};

/// An established IKE SA.
#[derive(Debug)]
pub struct Established {
    /// Its name.
    pub id: SaId,
    /// Its keys.
    pub channel: Channel,
    /// Our part in the first IKE SA of this series. A rekey changes who is the initiator of the IKE SA, and not who is
    /// the initiator of RFC 4555 (its section 1.3).
    pub part: Role,
    profile_id: ProfileId,
    /// Its standing orders.
    pub profile: Arc<Profile>,
    token: Option<Token>,
    /// Its algorithms.
    pub suite: IkeSuite,
    /// Who the peer proved to be.
    pub peer_id: Identity,
    /// Its entry in the index of identities.
    listed: Option<u32>,
    /// Where our requests go.
    pub path: Path,
    /// The decision that put it there.
    pub generation: Generation,
    /// The peer has answered the UPDATE that carries out this decision.
    pub settled: bool,
    /// NATs on the path.
    pub nat: NatView,
    /// NAT traversal is on: both ends said so in IKE_SA_INIT.
    pub natt: bool,
    /// A request to be asked anew.
    pub retrial: Option<Box<Retrial>>,
    /// What the peer last said it sees as our address, shortened; 0 if it never did.
    pub seen_as: u64,
    /// Our requests.
    pub requests: Requests,
    /// The peer's requests.
    pub answers: Answers,
    /// Moving.
    pub mobility: Mobility,
    /// Private extensions that both ends offered.
    pub extensions: Extensions,
    /// The peer follows when it is sent on to another gateway.
    pub redirects: bool,
    /// Both ends agree upon message ids after a crash (RFC 6311).
    pub syncs: bool,
    /// Our newest answer to that.
    pub synced: Option<Box<sync::Answered>>,
    /// Message id of the newest list of ours that was sent.
    pub newest_list: u32,
    /// Message id of the newest list of addresses the peer sent.
    pub last_list: Option<u32>,
    /// The peer's other addresses.
    pub peer_addresses: Box<[IpAddr]>,
    /// Addresses of the peer that its certificate proves.
    pub proven: Box<[IpAddr]>,
    leases: Leases,
    /// Its Child SAs.
    pub family: Family,
    /// Being replaced, and what that left.
    pub rekeying: Option<Box<Rekeying>>,
    /// When something is to be replaced.
    pub due: Lifetimes,
    /// By which it can be taken up again, if it ends without a word.
    pub ticket: Option<Box<Held>>,
    /// So long our peer takes our proof for good; zero: for ever.
    pub proof_lasts: Duration,
    /// The peer has yet to hear how wide our window is.
    pub window_untold: bool,
    /// When the peer last proved to be alive.
    pub heard: Nanos,
    /// Whether the path is alive.
    pub watch: Watch,
    /// ESP on other paths.
    pub strays: Strays,
    /// What path probes know, and need.
    pub probing: Option<Box<Probing>>,
    /// Is its initiator there?
    pub presence: Presence,
    keepalive_at: Nanos,
    forget_at: Nanos,
    /// Resumed: the first test of the peer, at a time of its own.
    test_at: Nanos,
    /// Resumed after a crash, and the peer has not answered since: it may be ahead of us.
    in_doubt: bool,
    /// Of our message ids, those below this were asked while it was in doubt.
    doubted: u32,
    /// Until then, we may lack Child SAs that the peer has made with whoever crashed.
    forgetful_until: Nanos,
    /// What its ends said of late.
    pub trace: Trace,
    /// Something happened to it since it was last written down.
    pub changed: bool,
    /// Reported as down already; only the Delete is still on its way, and only until then.
    closing_until: Nanos,
}

/// How this IKE SA moves.
#[derive(Debug)]
pub enum Mobility {
    /// Not both ends said MOBIKE_SUPPORTED.
    Off,
    /// We decide which addresses are used.
    Initiator,
    /// The peer decides.
    Responder {
        /// Message id of the newest UPDATE_SA_ADDRESSES acted upon (M3.5-5).
        last_update: Option<u32>,
        /// The peer has yet to prove that it receives on the path.
        checking: bool,
        /// How often its moves are followed.
        pace: Pace,
        /// Where traffic stays while it may not follow to the path.
        stays: Option<Box<Outer>>,
    },
}

/// Where our ESP goes.
#[derive(Debug, Clone, Copy)]
pub struct Outer {
    /// The outer addresses.
    pub path: Path,
    /// In UDP.
    pub encap: bool,
}

impl Mobility {
    /// The responder's, before any move.
    #[must_use]
    pub fn responder() -> Mobility {
        Mobility::Responder { last_update: None, checking: false, pace: Pace::default(), stays: None }
    }
}

/// What it is made from.
pub struct Setup {
    /// Its name.
    pub id: SaId,
    /// Its keys.
    pub channel: Channel,
    /// Its standing orders.
    pub profile_id: ProfileId,
    /// The same.
    pub profile: Arc<Profile>,
    /// The order behind it.
    pub token: Option<Token>,
    /// Its algorithms.
    pub suite: IkeSuite,
    /// Message id of the IKE_AUTH that it came up with.
    pub auth_id: u32,
    /// The peer.
    pub peer_id: Identity,
    /// Its path.
    pub path: Path,
    /// NATs on it.
    pub nat: NatView,
    /// NAT traversal is on.
    pub natt: bool,
    /// Addresses of the peer that its certificate proves.
    pub proven: Box<[IpAddr]>,
    /// Round-trip time while it was set up, at least and at most, if one was measured.
    pub round_trip: Option<(Duration, Duration)>,
    /// Moving.
    pub mobility: Mobility,
    /// Private extensions that both ends offered.
    pub extensions: Extensions,
    /// The peer follows when it is sent on to another gateway.
    pub redirects: bool,
    /// Both ends agree upon message ids after a crash.
    pub syncs: bool,
    /// The peer's other addresses.
    pub peer_addresses: Vec<IpAddr>,
    /// Inner addresses.
    pub leases: Leases,
    /// Its Child SAs.
    pub family: Family,
    /// What its ends said until now.
    pub trace: Trace,
    /// Now.
    pub now: Nanos,
}

/// Answers are kept for repetitions this long (RFC 7296 section 2.1 asks for several minutes of nothing).
const REMEMBER: Duration = Duration::from_secs(180);

/// An initiator that may be out of step with its peer after a crash asks for so long; then it connects anew.
const DOUBTING: Duration = Duration::from_secs(10);

impl Established {
    /// Begin.
    #[must_use]
    pub fn new(setup: Setup) -> Established {
        // The initiator used the ids up to this one in IKE_SA_INIT, IKE_INTERMEDIATE and IKE_AUTH.
        let (ours, theirs) = match setup.channel.role {
            Role::Initiator => (setup.auth_id.wrapping_add(1), 0),
            Role::Responder => (0, setup.auth_id),
        };
        let window = setup.profile.window.into();
        let mut established = Established {
            id: setup.id,
            part: setup.channel.role,
            channel: setup.channel,
            profile_id: setup.profile_id,
            profile: setup.profile,
            token: setup.token,
            suite: setup.suite,
            peer_id: setup.peer_id,
            listed: None,
            path: setup.path,
            generation: Generation::default(),
            nat: NatView::default(),
            settled: true,
            natt: setup.natt,
            retrial: None,
            seen_as: 0,
            requests: Requests::new(ours),
            answers: Answers::new(theirs, window),
            mobility: setup.mobility,
            extensions: setup.extensions,
            redirects: setup.redirects,
            syncs: setup.syncs,
            synced: None,
            newest_list: 0,
            last_list: None,
            peer_addresses: setup.peer_addresses.into_boxed_slice(),
            proven: setup.proven,
            leases: setup.leases,
            family: setup.family,
            rekeying: None,
            due: Lifetimes::UNLIMITED,
            ticket: None,
            proof_lasts: Duration::ZERO,
            window_untold: false,
            heard: setup.now,
            watch: Watch::new(setup.round_trip),
            strays: Strays::default(),
            probing: None,
            presence: Presence::Here,
            keepalive_at: Nanos::NEVER,
            forget_at: Nanos::NEVER,
            test_at: Nanos::NEVER,
            in_doubt: false,
            doubted: 0,
            forgetful_until: Nanos(0),
            trace: setup.trace,
            changed: false,
            closing_until: Nanos::NEVER,
        };
        established.set_nat(setup.now, setup.nat);
        established.channel.take(established.path);
        established
    }

    /// From now on it grows old, and its Child SAs with it.
    pub fn begin_lifetimes(&mut self, ctx: &mut Context, now: Nanos) {
        expire::begin_ike(self, ctx, now);
        reauth::begin(self, ctx, now);
        rekey_child::schedule(self, ctx, now);
        open_child::open_all(self, ctx, now);
    }

    /// Enter it into the index of identities, and say whether others of the same peer are over.
    pub fn enter(&mut self, ctx: &mut Context, replaces: bool) {
        let digest = ctx.identities.digest(self.profile_id, &self.peer_id);
        if replaces {
            ctx.replaced = ctx.identities.find(digest);
        }
        ctx.identities.add(digest, self.id.slot());
        self.listed = Some(digest);
    }

    /// Our SPI: it says where the SA sits.
    #[must_use]
    pub fn own_spi(&self) -> u64 {
        match self.channel.role {
            Role::Initiator => self.channel.spis.initiator,
            Role::Responder => self.channel.spis.responder,
        }
    }

    /// What each side of a Child SA may be, ours first: as at set-up, but for outer addresses that changed since.
    #[must_use]
    pub fn sides(&self, child: ChildNumber) -> (Vec<Selector>, Vec<Selector>) {
        let none = Leases::default();
        let (ours, theirs) = match self.part {
            Role::Initiator => (&self.leases, &none),
            Role::Responder => (&none, &self.leases),
        };
        let child = self.profile.child(child);
        mode::hosts(&child, self.path).unwrap_or_else(|| {
            let local = traffic::side(child.local_ts, ours, self.path.local.ip());
            (local, traffic::side(child.remote_ts, theirs, self.path.remote.ip()))
        })
    }

    /// The inner addresses that come with it.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// What INITIAL_CONTACT compares: who the peer is, under which profile.
    #[must_use]
    pub fn identity(&self) -> (ProfileId, Identity) {
        (self.profile_id, self.peer_id.clone())
    }

    /// Was it set up under these standing orders?
    #[must_use]
    pub fn is_under(&self, profile: ProfileId) -> bool {
        self.profile_id == profile
    }

    /// NATs were detected anew.
    pub fn set_nat(&mut self, now: Nanos, nat: NatView) {
        self.nat = nat;
        let wanted = nat.we_are_behind && !self.profile.nat_keepalive.is_zero();
        self.keepalive_at = if wanted { now + self.profile.nat_keepalive } else { Nanos::NEVER };
    }

    /// Nothing is due until `wake`: no reminder to a NAT; and no answer is forgotten, since its request may be repeated then.
    pub fn rest(&mut self) {
        self.keepalive_at = Nanos::NEVER;
        self.forget_at = Nanos::NEVER;
    }

    /// After `rest`.
    pub fn wake(&mut self, now: Nanos) {
        self.heard = now;
        self.set_nat(now, self.nat);
        if self.answers.remembers() {
            self.forget_at = now + REMEMBER;
        }
    }

    /// Is only its Delete still on the way?
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing_until != Nanos::NEVER
    }

    /// Do both ends speak MOBIKE?
    #[must_use]
    pub fn speaks_mobike(&self) -> bool {
        !matches!(self.mobility, Mobility::Off)
    }

    /// What notices of it are about.
    #[must_use]
    pub fn about(&self) -> About {
        About { path: Some(self.path), sa: Some(self.id) }
    }

    /// The peer answered: it knows what we know, but perhaps other Child SAs.
    pub fn agreed(&mut self, ctx: &mut Context, now: Nanos) {
        if core::mem::take(&mut self.in_doubt) {
            self.doubted = self.requests.next_id();
            rekey_child::schedule(self, ctx, now);
        }
    }

    /// Where what its Child SAs carry goes now: to nowhere that the peer has yet to prove, if policy asks for that.
    #[must_use]
    pub fn outer(&self) -> Outer {
        match &self.mobility {
            Mobility::Responder { stays: Some(stays), .. } => **stays,
            _ => Outer { path: self.path, encap: self.nat.any() || self.profile.always_encap },
        }
    }

    /// Message ids begin anew.
    pub fn begin_ids_anew(&mut self) {
        self.doubted = 0;
        self.newest_list = 0;
    }

    /// The peer has yet to prove that it receives on the path.
    #[must_use]
    pub fn owes_proof(&self) -> bool {
        matches!(self.mobility, Mobility::Responder { checking: true, .. })
    }

    /// Resumed after a crash, and the peer has not answered since.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Resumed after a crash not long ago: the peer may have Child SAs that we know nothing of.
    #[must_use]
    pub fn is_forgetful(&self, now: Nanos) -> bool {
        now < self.forgetful_until
    }

    /// How long the peer is asked in vain before the SA is given up.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let patience = patience(&self.profile.retransmit, self.part);
        match self.part {
            // It can make another SA, and that works in any case.
            Role::Initiator if self.in_doubt => patience.min(DOUBTING),
            Role::Initiator | Role::Responder => patience,
        }
    }

    /// A request of the peer on the IKE SA with these SPIs was answered so.
    pub fn answered(&mut self, now: Nanos, spis: Spis, id: u32, bytes: Arc<[u8]>) {
        if let Some((_, answers)) = self.line(spis) {
            answers.answered(id, bytes);
        }
        if !self.is_away() {
            self.forget_at = now + REMEMBER;
        }
    }
}
