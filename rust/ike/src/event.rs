//! Facts the engine reports to the control plane.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::Path;
use crate::crypto::SignatureError;
use crate::crypto::{DirectionKeys, EspSuite, IkeSuite};
use crate::handout::Handout;
use crate::id::{ChildId, Generation, Identity, ProfileId, Question, Role, SaId, Token};
use crate::limits::ChildLimits;
use crate::sa::exchange::eap::EapPacket;
use crate::sa::probe::place::Seen as PairSeen;
use crate::selector::Selector;
use crate::wire::Extensions;

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

/// What NAT_DETECTION told about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NatView {
    /// Our source address is rewritten on the way.
    pub we_are_behind: bool,
    /// The peer's is.
    pub peer_is_behind: bool,
}

impl NatView {
    /// Is there any NAT on the path?
    #[must_use]
    pub fn any(self) -> bool {
        self.we_are_behind || self.peer_is_behind
    }
}

/// What a data plane needs to carry a Child SA pair. The keys wipe themselves.
#[derive(Debug, Clone)]
pub struct ChildInstall {
    /// The algorithms.
    pub suite: EspSuite,
    /// SPI of packets to us; ours. Low 4 bits: shard; next 20: slot; high 8: chance.
    pub spi_in: u32,
    /// SPI of packets to the peer; the peer's.
    pub spi_out: u32,
    /// Keys of packets to us.
    pub key_in: DirectionKeys,
    /// Keys of packets to the peer.
    pub key_out: DirectionKeys,
    /// Traffic on our side.
    pub local_ts: Vec<Selector>,
    /// Traffic on the peer's side.
    pub remote_ts: Vec<Selector>,
    /// Outer addresses and ports.
    pub path: Path,
    /// ESP in UDP.
    pub encap: bool,
    /// When packets leave through it.
    pub sends: Sends,
    /// How much it may carry.
    pub limits: ChildLimits,
}

/// When packets leave through a Child SA pair; what comes in on it is taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// From now on, before all others of its IKE SA.
    AtOnce,
    /// When the peer has used it, or when this other pair is gone: the peer asked for it and may not know yet that it has
    /// it (RFC 7296 section 2.8).
    WhenUsed {
        /// What it replaces.
        instead_of: ChildId,
    },
    /// Never: both ends replaced the same pair, and this is the one that goes (RFC 7296 section 2.8.1).
    Never {
        /// What both replaced.
        instead_of: ChildId,
    },
}

/// Why an SA ended, with whose fault it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownReason {
    /// We were told to close it.
    Ordered(Arc<str>),
    /// The peer deleted it.
    PeerDeleted,
    /// The peer answered nothing for so long.
    PeerSilent(Duration),
    /// The same peer came back: it says that this is its only IKE SA (INITIAL_CONTACT), or may have no other.
    Replaced,
    /// The peer sent the wrong COOKIE2: it does not receive where it says it is (RFC 4555 section 3.7).
    WrongCookie2,
    /// The peer says that our authentication failed (RFC 7296 section 2.21.2).
    PeerRefusedAuth,
    /// We refused what the peer sent in IKE_AUTH or in its answer.
    Refused(AuthRefusal),
    /// The peer has replaced it, and what we knew of that was lost in a crash.
    KeysLost,
    /// An end was away for longer than agreed.
    AwayTooLong,
    /// Another IKE SA took its place, by which its ends proved anew who they are.
    Reauthenticated,
    /// The peer did not prove in time anew who it is (RFC 4478).
    ProofTooOld,
    /// Its hard lifetime was over, and nothing had taken its place.
    LifetimeOver,
    /// Its IKE SA went down.
    WithIkeSa,
    /// A Child SA that another one replaced.
    Rekeyed,
    /// The peer broke the protocol.
    PeerMisbehaved(&'static str),
}

/// What was wrong with a peer's authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthRefusal {
    /// Its AUTH does not fit the secret.
    BadAuth,
    /// It proves itself in another way than the profile wants.
    WrongMethod,
    /// It signs, and sends no certificate to know its key by.
    NoCertificate,
    /// It sends more certificates than anybody needs.
    TooManyCertificates,
    /// Its signature is not good.
    Signature(SignatureError),
    /// The control plane does not let it in.
    Denied(Arc<str>),
    /// The control plane did not say in time whether to let it in.
    Undecided,
    /// We cannot sign in a way that it understands.
    CannotSign(SignatureError),
    /// It is somebody else than the profile wants.
    WrongIdentity,
    /// The message lacks a payload that must be there.
    Incomplete,
    /// It comes from, or to, an address that the profile does not allow.
    WrongAddress,
    /// It does not use the additional key (RFC 8784) that the profile asks for, or one that we do not have.
    NoPpk,
    /// It breaks the rules of EAP in this way.
    Eap(&'static str),
    /// It has an IKE SA, and the profile keeps that.
    Connected,
}

impl fmt::Display for AuthRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthRefusal::Signature(why) => return write!(f, "peer's signature is refused: {why}"),
            AuthRefusal::CannotSign(why) => return write!(f, "we cannot sign: {why}"),
            AuthRefusal::Denied(why) => why,
            AuthRefusal::Eap(how) => return write!(f, "peer's EAP {how}"),
            AuthRefusal::Undecided => "nobody here decided in time whether to let the peer in",
            AuthRefusal::WrongMethod => "peer proves who it is in another way than the profile wants",
            AuthRefusal::NoCertificate => "peer signs, but sends no X.509 certificate",
            AuthRefusal::TooManyCertificates => "peer sends too many certificates",
            AuthRefusal::BadAuth => "peer's AUTH does not match the shared secret",
            AuthRefusal::WrongIdentity => "peer's identity is not the one the profile wants",
            AuthRefusal::Incomplete => "peer's IKE_AUTH lacks a payload",
            AuthRefusal::NoPpk => "peer does not use the PPK that the profile wants",
            AuthRefusal::Connected => "peer has an IKE SA already, and the profile keeps that one",
            AuthRefusal::WrongAddress => "the profile does not allow the addresses in use",
        })
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownReason::Ordered(why) => write!(f, "closed by us: {why}"),
            DownReason::PeerDeleted => f.write_str("deleted by the peer"),
            DownReason::PeerSilent(span) => write!(f, "peer gave no answer for {:.1} s", span.as_secs_f64()),
            DownReason::Replaced => f.write_str("replaced: the same peer came back"),
            DownReason::WrongCookie2 => f.write_str("peer failed the return routability check (wrong COOKIE2)"),
            DownReason::PeerRefusedAuth => f.write_str("peer refused our authentication"),
            DownReason::Refused(refusal) => refusal.fmt(f),
            DownReason::KeysLost => f.write_str("the peer has replaced it, and a crash made us forget by what"),
            DownReason::AwayTooLong => f.write_str("away for longer than agreed"),
            DownReason::Reauthenticated => f.write_str("reauthenticated: another one took its place"),
            DownReason::ProofTooOld => f.write_str("peer did not reauthenticate in time"),
            DownReason::LifetimeOver => f.write_str("its hard lifetime was over before it was replaced"),
            DownReason::Rekeyed => f.write_str("replaced by a new one"),
            DownReason::WithIkeSa => f.write_str("its IKE SA went down"),
            DownReason::PeerMisbehaved(how) => write!(f, "peer broke the protocol: {how}"),
        }
    }
}

/// Why we cannot be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwayRefusal {
    /// Not both ends offered the extension.
    NotAgreed,
    /// The responder of an IKE SA must be there for its peer.
    NotInitiator,
    /// The peer's policy.
    ByPeer,
    /// A move came between.
    Overtaken,
    /// We are, or have just asked.
    Already,
}

impl fmt::Display for AwayRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AwayRefusal::NotAgreed => "not both ends offer this extension, so the peer would take us for dead",
            AwayRefusal::NotInitiator => "only the initiator of an IKE SA can be away",
            AwayRefusal::ByPeer => "the peer's policy allows no absence",
            AwayRefusal::Overtaken => "a move came between; ask again",
            AwayRefusal::Already => "it is away already, or about to be",
        })
    }
}

/// Why an ordered connection did not come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectError {
    /// No such standing orders.
    UnknownProfile,
    /// The order or its profile cannot be carried out.
    BadOrder(&'static str),
    /// No room for another SA.
    TableFull,
    /// Nobody answered.
    NoAnswer {
        /// Tried for so long.
        tried_for: Duration,
        /// The last answer that came but proved nothing (anybody could have sent it), if one did.
        heard: Option<String>,
    },
    /// The peer says that our authentication failed.
    PeerRefusedAuth,
    /// We do not believe the peer.
    Refused(AuthRefusal),
    /// The peer's IKE_AUTH answer carried this error.
    PeerError(String),
    /// We were told to stop.
    Ordered(Arc<str>),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::UnknownProfile => f.write_str("unknown profile"),
            ConnectError::BadOrder(what) => write!(f, "cannot be carried out: {what}"),
            ConnectError::TableFull => f.write_str("no room for another SA"),
            ConnectError::NoAnswer { tried_for, heard: None } => {
                write!(f, "no answer for {:.1} s", tried_for.as_secs_f64())
            }
            ConnectError::NoAnswer { tried_for, heard: Some(heard) } => {
                write!(f, "no usable answer for {:.1} s; last heard: {heard}", tried_for.as_secs_f64())
            }
            ConnectError::PeerRefusedAuth => f.write_str("peer refused our authentication"),
            ConnectError::Refused(refusal) => refusal.fmt(f),
            ConnectError::PeerError(what) => write!(f, "peer answered {what}"),
            ConnectError::Ordered(why) => write!(f, "stopped by us: {why}"),
        }
    }
}

/// Kinds of notices, for filters and counters; the text says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoticeKind {
    /// No common algorithms, in either role.
    NoProposal,
    /// A peer did not authenticate.
    AuthFailed,
    /// A Child SA was refused, by either side.
    ChildRefused,
    /// No address could be leased, or none was given to us.
    NoAddress,
    /// The peer asked for something that is not served.
    NotServed,
    /// A message that authenticates but breaks the protocol.
    Malformed,
    /// Policy forbids the addresses that the peer uses.
    AddressRefused,
    /// Addresses were rewritten on the way, where NATs are prohibited.
    UnexpectedNat,
    /// A limit was reached: half-open SAs, SAs, queues.
    Limit,
    /// An answer that proves nothing (not authenticated) and was not acted upon.
    Unproven,
    /// The peer reported an error.
    PeerError,
    /// The peer did not let us replace an SA.
    RekeyRefused,
}

impl NoticeKind {
    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NoticeKind::NoProposal => "no_proposal",
            NoticeKind::AuthFailed => "auth_failed",
            NoticeKind::ChildRefused => "child_refused",
            NoticeKind::NoAddress => "no_address",
            NoticeKind::NotServed => "not_served",
            NoticeKind::Malformed => "malformed",
            NoticeKind::AddressRefused => "address_refused",
            NoticeKind::UnexpectedNat => "unexpected_nat",
            NoticeKind::Limit => "limit",
            NoticeKind::Unproven => "unproven",
            NoticeKind::PeerError => "peer_error",
            NoticeKind::RekeyRefused => "rekey_refused",
        }
    }
}
