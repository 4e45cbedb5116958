//! Why things ended, were refused or did not come up, with whose fault it was, and in words.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use crate::crypto::SignatureError;
use crate::wire::Gateway;

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
    /// It was set up without a Child SA, and the one that was to follow did not come up.
    NoChildSa(String),
    /// Its IKE SA went down.
    WithIkeSa,
    /// A Child SA that another one replaced.
    Rekeyed,
    /// Its peer was sent on to another gateway, and did not end it in time.
    SentOn,
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
    /// It shows a public key that is none of those that the profile knows.
    UnknownKey,
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
    /// The profile was changed, or removed, while it proved itself.
    OrdersChanged,
}

impl AuthRefusal {
    /// The name for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            AuthRefusal::BadAuth => "bad-auth",
            AuthRefusal::WrongMethod => "wrong-method",
            AuthRefusal::NoCertificate => "no-certificate",
            AuthRefusal::UnknownKey => "unknown-key",
            AuthRefusal::TooManyCertificates => "too-many-certificates",
            AuthRefusal::Signature(_) => "signature",
            AuthRefusal::Denied(_) => "denied",
            AuthRefusal::Undecided => "undecided",
            AuthRefusal::CannotSign(_) => "cannot-sign",
            AuthRefusal::WrongIdentity => "wrong-identity",
            AuthRefusal::Incomplete => "incomplete",
            AuthRefusal::WrongAddress => "wrong-address",
            AuthRefusal::NoPpk => "no-ppk",
            AuthRefusal::Eap(_) => "eap",
            AuthRefusal::Connected => "connected",
            AuthRefusal::OrdersChanged => "orders-changed",
        }
    }
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
            AuthRefusal::UnknownKey => "peer shows a public key that the profile does not know",
            AuthRefusal::NoCertificate => "peer signs, but sends no X.509 certificate",
            AuthRefusal::TooManyCertificates => "peer sends too many certificates",
            AuthRefusal::BadAuth => "peer's AUTH does not match the shared secret",
            AuthRefusal::WrongIdentity => "peer's identity is not the one the profile wants",
            AuthRefusal::Incomplete => "peer's IKE_AUTH lacks a payload",
            AuthRefusal::NoPpk => "peer does not use the PPK that the profile wants",
            AuthRefusal::Connected => "peer has an IKE SA already, and the profile keeps that one",
            AuthRefusal::OrdersChanged => "the profile was changed while the peer proved itself",
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
            DownReason::SentOn => f.write_str("sent on to another gateway, and the peer did not end it"),
            DownReason::NoChildSa(why) => write!(f, "of no use without a Child SA: {why}"),
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
    /// Both ends proved who they are, and there is no Child SA; whose fault that is.
    NoChildSa(String),
    /// We were told to stop.
    Ordered(Arc<str>),
    /// The gateway sends us on to another one.
    Redirected(Gateway),
}

impl ConnectError {
    /// The name for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            ConnectError::UnknownProfile => "unknown-profile",
            ConnectError::BadOrder(_) => "bad-order",
            ConnectError::TableFull => "no-room",
            ConnectError::NoAnswer { heard: None, .. } => "no-answer",
            ConnectError::NoAnswer { heard: Some(_), .. } => "no-usable-answer",
            ConnectError::PeerRefusedAuth => "peer-refused-auth",
            ConnectError::Refused(refusal) => refusal.name(),
            ConnectError::PeerError(_) => "peer-error",
            ConnectError::NoChildSa(_) => "no-child-sa",
            ConnectError::Ordered(_) => "ordered",
            ConnectError::Redirected(_) => "redirected",
        }
    }
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
            ConnectError::NoChildSa(why) => write!(f, "no Child SA: {why}"),
            ConnectError::Ordered(why) => write!(f, "stopped by us: {why}"),
            ConnectError::Redirected(to) => write!(f, "the gateway sends us on to {to}"),
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
