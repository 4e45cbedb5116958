//! Facts the engine reports to the control plane.

mod child;
mod compared;
mod reasons;
mod seen;

pub use child::{ChildInstall, Sends};
pub(crate) use compared::cut;
pub use compared::{Comparison, Row};
pub use reasons::{AuthRefusal, AwayRefusal, ConnectError, DownReason, NoticeKind};
pub use seen::{NatView, PairSeen};

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::Path;
use crate::crypto::IkeSuite;
use crate::eap::EapPacket;
use crate::handout::Handout;
use crate::id::{ChildId, Generation, Identity, ProfileId, Question, Role, SaId, Token};
use crate::wire::{Extensions, Gateway};

/// One fact.
#[derive(Debug)]
pub enum Event {
    /// An IKE SA is established.
    IkeSaUp(Box<IkeSaUp>),
    /// A peer has signed with the key of a certificate: may it in? Its IKE SA waits for `Command::Verdict`, not for ever:
    /// without one the peer is refused.
    Authorise(Box<Authorise>),
    /// An EAP packet of a peer, or the beginning of a conversation: what comes next? Its IKE SA waits for `Command::Eap`, not
    /// for ever: without one the peer is refused.
    Eap(Box<EapAsked>),
    /// A Child SA pair is agreed; the shell installs it before it sends what `poll_transmit` yields.
    ChildUp {
        /// Its IKE SA.
        sa: SaId,
        /// The pair.
        child: ChildId,
        /// Which of its profile's Child SAs it is.
        name: Arc<str>,
        /// What the data plane needs.
        install: Box<ChildInstall>,
    },
    /// A Child SA that was to be opened is not there, and is not asked for again.
    ChildFailed {
        /// Its IKE SA.
        sa: SaId,
        /// Which of its profile's Child SAs.
        name: Arc<str>,
        /// One line for people.
        why: String,
    },
    /// A Child SA pair is gone; the shell removes it.
    ChildDown {
        /// Its IKE SA.
        sa: SaId,
        /// The pair.
        child: ChildId,
        /// The inbound SPI it was installed under.
        spi_in: u32,
        /// Why.
        why: DownReason,
    },
    /// An IKE SA is gone, and with it all its Child SAs (each reported before).
    IkeSaDown {
        /// Which.
        sa: SaId,
        /// Who ordered it, if we did.
        token: Option<Token>,
        /// Why.
        why: DownReason,
    },
    /// An ordered connection did not come up.
    ConnectFailed {
        /// The order.
        token: Token,
        /// Why.
        why: ConnectError,
        /// The paths that a request was sent over.
        tried: Vec<Path>,
        /// Where it was we who refused: what the peer said, beside what we take.
        compared: Option<Box<Comparison>>,
    },
    /// The peer, a gateway, asks us to go to another one. The IKE SA stays until it is closed.
    Redirected {
        /// Which.
        sa: SaId,
        /// Where to.
        to: Gateway,
    },
    /// The IKE SA has new keys and SPIs; name, path and Child SAs are the same.
    IkeSaRekeyed {
        /// Which.
        sa: SaId,
        /// SPI of the end that asked for it.
        spi_i: u64,
        /// SPI of the other end.
        spi_r: u64,
        /// The algorithms.
        suite: IkeSuite,
        /// We asked.
        by_us: bool,
    },
    /// The peer answered our UPDATE_SA_ADDRESSES.
    Moved {
        /// Which.
        sa: SaId,
        /// The path it uses now.
        path: Path,
        /// The decision it carries out.
        generation: Generation,
        /// NATs on that path.
        nat: NatView,
        /// From the last transmission of the request to the answer.
        rtt: Duration,
    },
    /// The peer does not accept the path (UNACCEPTABLE_ADDRESSES).
    MoveRefused {
        /// Which.
        sa: SaId,
        /// The path refused.
        path: Path,
        /// The decision it was to carry out.
        generation: Generation,
    },
    /// A request goes unanswered: reported with the second repetition and each one after it.
    PathSilent {
        /// Which.
        sa: SaId,
        /// The path it is sent over.
        path: Path,
        /// The decision that put it there.
        generation: Generation,
        /// Since the first transmission over this path.
        unanswered_for: Duration,
        /// Transmissions over this path.
        tries: u32,
    },
    /// A probe was answered.
    PathChecked {
        /// Which.
        sa: SaId,
        /// The path tested.
        path: Path,
        /// The decision behind the probe.
        generation: Generation,
        /// From its last transmission to the answer.
        rtt: Duration,
    },
    /// What path probes tell of a pair: news, or the same again now and then.
    PairSeen {
        /// Which.
        sa: SaId,
        /// The pair.
        path: Path,
        /// What is known of it.
        seen: PairSeen,
    },
    /// A path that was told to be silent lives: data came in over it, or an answer.
    PathHeard {
        /// Which.
        sa: SaId,
        /// The path.
        path: Path,
    },
    /// The peer moved.
    PeerMoved {
        /// Which.
        sa: SaId,
        /// The path it uses now.
        path: Path,
        /// NATs on that path.
        nat: NatView,
        /// The peer proved that it receives there (or policy asks for no proof).
        verified: bool,
    },
    /// The peer replaced its list of addresses.
    PeerAddresses {
        /// Which.
        sa: SaId,
        /// The whole list, in the peer's order.
        addresses: Vec<IpAddr>,
        /// Where the list came from: an address of the peer too, though not listed (RFC 4555 section 3.6).
        source: IpAddr,
    },
    /// The NAT on the path is another one, or gives us another address, than before.
    NatChanged {
        /// Which.
        sa: SaId,
        /// The path.
        path: Path,
        /// The NATs seen now.
        nat: NatView,
    },
    /// The peer gave us leave to be away: nothing is sent until we move, and so long it keeps the IKE SA.
    Away {
        /// Which.
        sa: SaId,
        /// For so long.
        span: Duration,
    },
    /// We cannot be away.
    AwayRefused {
        /// Which.
        sa: SaId,
        /// Why not.
        why: AwayRefusal,
    },
    /// The peer is away from now on. A `PeerMoved` tells that it is back.
    PeerAway {
        /// Which.
        sa: SaId,
        /// For so long at most; then the IKE SA ends.
        span: Duration,
    },
    /// Something refused or odd, in one line. Rate limited.
    Notice {
        /// What kind of thing.
        kind: NoticeKind,
        /// Where it happened.
        path: Option<Path>,
        /// To whom.
        sa: Option<SaId>,
        /// One line for people; what a peer said in it is escaped.
        text: String,
        /// Of a refusal: what the peer asked for, beside what we take.
        compared: Option<Box<Comparison>>,
    },
}

/// An IKE SA that is established.
#[derive(Debug, Clone)]
pub struct IkeSaUp {
    /// Its name.
    pub sa: SaId,
    /// The order behind it, if it was ours.
    pub token: Option<Token>,
    /// Its standing orders.
    pub profile: ProfileId,
    /// Their version.
    pub orders: Generation,
    /// Our part.
    pub role: Role,
    /// The path it uses.
    pub path: Path,
    /// NATs on that path.
    pub nat: NatView,
    /// Who the peer proved to be.
    pub peer_id: Identity,
    /// Both sides said MOBIKE_SUPPORTED.
    pub mobike: bool,
    /// Private extensions that both sides offered.
    pub extensions: Extensions,
    /// The peer's other addresses, in its order.
    pub peer_addresses: Vec<IpAddr>,
    /// Inner addresses leased to us (initiator) or by us (responder).
    pub virtual_ips: Vec<IpAddr>,
    /// What came with those leased to us.
    pub handout: Option<Arc<Handout>>,
    /// SPI of the initiator.
    pub spi_i: u64,
    /// SPI of the responder.
    pub spi_r: u64,
    /// The algorithms.
    pub suite: IkeSuite,
}

/// A peer that signed with the key of its first certificate, which nobody has judged yet.
#[derive(Debug, Clone)]
pub struct Authorise {
    /// The question; the verdict names it.
    pub question: Question,
    /// The IKE SA that waits.
    pub sa: SaId,
    /// Its profile.
    pub profile: ProfileId,
    /// Our role.
    pub role: Role,
    /// Who the peer says it is.
    pub peer_id: Identity,
    /// Its certificates in DER, as they came: its own first; none if it has proved itself by something else.
    pub certificates: Vec<Box<[u8]>>,
    /// OCSP responses in DER that came with them (RFC 4806).
    pub staples: Vec<Box<[u8]>>,
    /// Where it is.
    pub path: Path,
}

/// What to say next in an EAP conversation.
#[derive(Debug, Clone)]
pub struct EapAsked {
    /// The question; the reply names it.
    pub question: Question,
    /// The IKE SA that waits.
    pub sa: SaId,
    /// Its profile.
    pub profile: ProfileId,
    /// Our role: the initiator answers requests, the responder makes them.
    pub role: Role,
    /// Who the peer says it is in its ID payload, which is not who EAP proves it to be.
    pub peer_id: Identity,
    /// Where it is.
    pub path: Path,
    /// What it said; nothing: the responder begins.
    pub packet: Option<EapPacket>,
}
