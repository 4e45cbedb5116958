//! Profiles: the standing orders of one connection. The control plane writes them, the engine only reads them.

mod live;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::sync::Arc;

use crate::children::ChildPlan;
use crate::crypto::{EspSuite, IkeSuite};
use crate::handout::{Handout, Wanted};
use crate::id::{Generation, Identity, IdentityPattern};
use crate::limits::Limits;
use crate::paths::PathOrders;
use crate::proofs::{Ppk, Proofs};
use crate::redirect::Redirect;
use crate::resumption::Resumption;
use crate::selector::Selector;
use crate::terms::Terms;
use crate::wire::Extensions;

pub use live::Successors;

/// Standing orders of one connection.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What the operator calls it.
    pub name: Arc<str>,
    /// Their version: older ones never take the place of newer ones, and an IKE SA tells which it came up under.
    pub generation: Generation,
    /// Who we are.
    pub local_id: Identity,
    /// Who the peer may be.
    pub remote_id: IdentityPattern,
    /// The secret both sides know, for those that prove themselves by it.
    pub psk: PskSecret,
    /// How both ends prove who they are.
    pub proofs: Proofs,
    /// A key that both ends share besides (RFC 8784). Where an end proves itself by EAP it is not used.
    pub ppk: Option<Ppk>,
    /// IKE algorithms, most wanted first.
    pub ike_suites: Vec<IkeSuite>,
    /// ESP algorithms, most wanted first.
    pub esp_suites: Vec<EspSuite>,
    /// Traffic on our side of the tunnel; this and what follows is about the first Child SA.
    pub local_ts: Vec<Selector>,
    /// Traffic on the peer's side. As responder with a pool, left empty: the leased address alone.
    pub remote_ts: Vec<Selector>,
    /// Its other Child SAs.
    pub plan: ChildPlan,
    /// Does the first one come with IKE_AUTH?
    pub childless: Childless,
    /// Responder: addresses to lease to peers.
    pub pool: Option<Pool>,
    /// Responder: pools with names that the control plane may have a peer lease from instead.
    pub named_pools: Arc<[Pool]>,
    /// Responder: what goes with those addresses.
    pub handout: Handout,
    /// Initiator: inner addresses to ask for.
    pub request_virtual_ip: RequestVip,
    /// Initiator: what else to ask for.
    pub wanted: Wanted,
    /// May a stranger's IKE_AUTH be answered under this profile?
    pub accepts: bool,
    /// Initiator: tell the peer that this is our only IKE SA with it.
    pub initial_contact: bool,
    /// Responder: may one peer have several IKE SAs?
    pub unique: Unique,
    /// Offer and accept MOBIKE.
    pub mobike: bool,
    /// Test the peer after this long without word from it; zero means never.
    pub liveness: Duration,
    /// How requests are repeated.
    pub retransmit: Retransmit,
    /// Replace the IKE SA after this long, a little earlier by chance; zero means never.
    pub ike_lifetime: Duration,
    /// The same of its Child SAs.
    pub esp_lifetime: Duration,
    /// Other limits on the life of both.
    pub limits: Limits,
    /// How often the NAT in front of us is reminded; zero means never.
    pub nat_keepalive: Duration,
    /// Responder: prove a new address before or after it is used.
    pub return_routability: ReturnRoutability,
    /// When a Child SA counts as usable.
    pub install: Install,
    /// Wrap ESP in UDP even where no NAT was seen (a userspace plane without raw sockets needs it).
    pub always_encap: bool,
    /// Requests of the peer served at a time (SET_WINDOW_SIZE, RFC 7296 section 2.3), 1 to 32.
    pub window: u8,
    /// Agree upon message ids with peers that know how, after a crash of either end (RFC 6311).
    pub message_id_sync: bool,
    /// Responder: the longest a peer may be away; zero means that none may.
    pub away_at_most: Duration,
    /// Private extensions offered to peers that know them.
    pub extensions: Extensions,
    /// Which addresses may be used, and how.
    pub paths: PathOrders,
    /// Going on to another gateway.
    pub redirect: Redirect,
    /// Taking an IKE SA up again by a ticket.
    pub resumption: Resumption,
    /// On what terms the peer was let in, whose own orders these are.
    pub terms: Terms,
}

impl Profile {
    /// Orders that ask for nothing: the shipped suites, any traffic the peer names, no timers, no test of the peer, MOBIKE.
    #[must_use]
    pub fn bare(name: impl Into<Arc<str>>, local_id: Identity, remote_id: IdentityPattern, psk: PskSecret) -> Profile {
        Profile {
            name: name.into(),
            generation: Generation::default(),
            local_id,
            remote_id,
            psk,
            proofs: Proofs::default(),
            ppk: None,
            ike_suites: IkeSuite::DEFAULTS.to_vec(),
            esp_suites: EspSuite::DEFAULTS.to_vec(),
            local_ts: Vec::new(),
            remote_ts: Vec::new(),
            plan: ChildPlan::default(),
            childless: Childless::default(),
            pool: None,
            named_pools: Arc::default(),
            handout: Handout::default(),
            request_virtual_ip: RequestVip::default(),
            wanted: Wanted::default(),
            accepts: false,
            initial_contact: false,
            unique: Unique::default(),
            mobike: true,
            liveness: Duration::ZERO,
            retransmit: Retransmit::default(),
            ike_lifetime: Duration::ZERO,
            esp_lifetime: Duration::ZERO,
            limits: Limits::default(),
            nat_keepalive: Duration::ZERO,
            return_routability: ReturnRoutability::Before,
            install: Install::Inline,
            always_encap: false,
            window: 1,
            message_id_sync: false,
            away_at_most: Duration::from_secs(86_400),
            extensions: Extensions::NONE,
            paths: PathOrders::default(),
            redirect: Redirect::default(),
            resumption: Resumption::default(),
            terms: Terms::default(),
        }
    }
}

/// Whether and when a new peer address must be proven (RFC 4555 section 3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnRoutability {
    /// First prove, then move.
    Before,
    /// Move at once, prove afterwards; a failed proof closes the IKE SA.
    After,
    /// Trust the peer.
    Never,
    /// As [`ReturnRoutability::Before`], but for addresses in a trusted prefix, which need no proof.
    Untrusted,
}

/// What becomes of the IKE SAs that a peer has when it sets up another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unique {
    /// They go if the peer says that they are dead (INITIAL_CONTACT, RFC 7296 section 2.4).
    #[default]
    AsPeerSays,
    /// They go.
    Replace,
    /// They stay, and the new one is refused, unless the peer says that they are dead.
    Keep,
    /// They stay, whatever the peer says.
    Never,
}

/// IKE SAs that are set up without a Child SA (RFC 6023). The first one, made by CREATE_CHILD_SA, can then have a key exchange
/// of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Childless {
    /// None.
    Never,
    /// Responder: if the peer likes; initiator: none.
    #[default]
    Allow,
    /// Responder: if the peer likes; initiator: wherever the peer knows how.
    Prefer,
    /// All.
    Require,
}

/// When a Child SA counts as usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// The shell installs it from the event, before it sends what `poll_transmit` yields.
    Inline,
    /// Answers wait until the control plane says that it is installed. Not served yet: treated as [`Install::Inline`].
    AskFirst,
}

/// The inner addresses an initiator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestVip {
    /// Ask for an IPv4 address.
    pub v4: bool,
    /// Ask for an IPv6 address.
    pub v6: bool,
}

/// How a request without answer is repeated (RFC 7296 section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retransmit {
    /// Wait before the first repetition.
    pub initial: Duration,
    /// Each wait as a percentage of the one before: 200 doubles.
    pub factor_percent: u16,
    /// No wait is longer than this.
    pub max_interval: Duration,
    /// The initiator of the IKE SA gives up after this long.
    pub give_up_initiator: Duration,
    /// The responder of the IKE SA gives up after this long; never less than five minutes (RFC 4555 section 3.11).
    pub give_up_responder: Duration,
    /// Each wait is moved at random by up to so many percent, so that many SAs do not repeat in step.
    pub jitter_percent: u8,
}

impl Retransmit {
    /// The least that a responder keeps trying (RFC 4555 section 3.11).
    pub const RESPONDER_FLOOR: Duration = Duration::from_secs(300);
}

impl Default for Retransmit {
    fn default() -> Self {
        Retransmit {
            initial: Duration::from_millis(500),
            factor_percent: 180,
            max_interval: Duration::from_secs(20),
            give_up_initiator: Duration::from_secs(120),
            give_up_responder: Self::RESPONDER_FLOOR,
            jitter_percent: 10,
        }
    }
}

/// Addresses a responder may lease: inclusive ranges. The first free one is given, and taken back when the IKE SA ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pool {
    /// Its name, if several connections may lease from it; they say the same of it.
    pub shared: Option<Arc<str>>,
    /// A peer gets the address that it had before, for so long after it left; zero: whichever is free.
    pub sticky: Duration,
    /// First and last IPv4 address.
    pub v4: Option<(Ipv4Addr, Ipv4Addr)>,
    /// First and last IPv6 address.
    pub v6: Option<(Ipv6Addr, Ipv6Addr)>,
}

impl Pool {
    /// Is the address one of ours to lease?
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.is_some_and(|(first, last)| first <= address && address <= last),
            IpAddr::V6(address) => self.v6.is_some_and(|(first, last)| first <= address && address <= last),
        }
    }
}

/// A pre-shared key. Wiped when dropped, never printed, compared in constant time.
pub type PskSecret = crate::crypto::SecretBytes;
