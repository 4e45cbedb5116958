//! The last exchanges of one IKE SA, from its first IKE_SA_INIT on: what its ends asked each other, how often, and what came
//! of it.
//!
//! Written down when an exchange is over; what is not answered yet is read from the window itself. Bounded: [`KEPT`] rungs of
//! 32 octets, and room for two while there is little to tell: the two of a plain set-up. Tests of the peer that are answered
//! at once are told as one rung, or an SA that does nothing else would soon remember nothing else, and so are the rounds of
//! IKE_INTERMEDIATE and of EAP. A restart forgets them.

use core::time::Duration;

use crate::Nanos;
use crate::sa::timers::Retry;
use crate::sa::window::{Ask, Outstanding};
use crate::wire::{AWAY, Delete, ExchangeType, Header, Message, NotifyType, Payload, Payloads, ProtocolId};

/// As many are remembered of each IKE SA.
pub const KEPT: usize = 16;

/// What an exchange is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Topic {
    /// An IKE SA.
    Init,
    /// The same with the cookie that was asked for.
    InitAgain,
    /// The same by a ticket.
    Resume,
    /// A further key exchange of the set-up.
    Intermediate,
    /// Who each other is.
    Auth,
    /// Is the peer alive?
    Liveness,
    /// Does this path work?
    Probe,
    /// UPDATE_SA_ADDRESSES.
    Update,
    /// A list of addresses.
    Addresses,
    /// Return routability.
    Check,
    /// Is the peer where its ESP comes from?
    Repair,
    /// Leave to be away.
    Away,
    /// Which message ids come next.
    MessageIds,
    /// The end of the IKE SA.
    DeleteIke,
    /// The end of Child SAs.
    DeleteChild,
    /// Another gateway.
    Redirect,
    /// New keys of the IKE SA.
    RekeyIke,
    /// A Child SA, new or in the place of another.
    MakeChild,
    /// A further key exchange of either.
    FollowUp,
    /// Something else.
    Other,
}

impl Topic {
    /// What we ask.
    #[must_use]
    pub fn of(ask: &Ask) -> Topic {
        match ask {
            Ask::Liveness => Topic::Liveness,
            Ask::Probe { .. } => Topic::Probe,
            Ask::Update { .. } => Topic::Update,
            Ask::Announce { .. } => Topic::Addresses,
            Ask::Check { .. } => Topic::Check,
            Ask::Repair { .. } => Topic::Repair,
            Ask::Away { .. } => Topic::Away,
            Ask::Sync { .. } => Topic::MessageIds,
            Ask::DeleteIke => Topic::DeleteIke,
            Ask::DeleteChild { .. } => Topic::DeleteChild,
            Ask::Redirect { .. } => Topic::Redirect,
            Ask::RekeyIke => Topic::RekeyIke,
            Ask::MakeChild => Topic::MakeChild,
            Ask::FollowIke | Ask::FollowChild => Topic::FollowUp,
        }
    }

    /// What the peer asks.
    #[must_use]
    pub fn of_request(exchange: ExchangeType, payloads: &Payloads<'_>) -> Topic {
        match exchange {
            ExchangeType::CREATE_CHILD_SA => {
                let first = payloads.sa().and_then(|sa| sa.proposals.iter().next());
                let ike = first.is_some_and(|proposal| proposal.protocol == ProtocolId::IKE);
                if ike { Topic::RekeyIke } else { Topic::MakeChild }
            }
            ExchangeType::IKE_FOLLOWUP_KE => Topic::FollowUp,
            ExchangeType::INFORMATIONAL => Topic::of_informational(payloads),
            _ => Topic::Other,
        }
    }

    fn of_informational(payloads: &Payloads<'_>) -> Topic {
        const NOTIFIES: [(NotifyType, Topic); 9] = [
            (NotifyType::UPDATE_SA_ADDRESSES, Topic::Update),
            (NotifyType::ADDITIONAL_IP4_ADDRESS, Topic::Addresses),
            (NotifyType::ADDITIONAL_IP6_ADDRESS, Topic::Addresses),
            (NotifyType::NO_ADDITIONAL_ADDRESSES, Topic::Addresses),
            (NotifyType::REDIRECT, Topic::Redirect),
            (NotifyType::IKEV2_MESSAGE_ID_SYNC, Topic::MessageIds),
            (NotifyType::COOKIE2, Topic::Check),
            (AWAY, Topic::Away),
            // Whoever tests a peer may look for NATs as well.
            (NotifyType::NAT_DETECTION_SOURCE_IP, Topic::Liveness),
        ];
        let deleted = payloads.iter().find_map(|payload| match payload {
            Payload::Delete(Delete::IkeSa) => Some(Topic::DeleteIke),
            Payload::Delete(_) => Some(Topic::DeleteChild),
            _ => None,
        });
        let noted = || NOTIFIES.iter().find(|(kind, _)| payloads.has(*kind)).map(|(_, topic)| *topic);
        let empty = payloads.iter().next().is_none();
        deleted.or_else(noted).unwrap_or(if empty { Topic::Liveness } else { Topic::Other })
    }

    /// The exchange that it is part of.
    #[must_use]
    pub fn exchange(self) -> Option<ExchangeType> {
        match self {
            Topic::Init | Topic::InitAgain => Some(ExchangeType::IKE_SA_INIT),
            Topic::Resume => Some(ExchangeType::IKE_SESSION_RESUME),
            Topic::Intermediate => Some(ExchangeType::IKE_INTERMEDIATE),
            Topic::Auth => Some(ExchangeType::IKE_AUTH),
            Topic::RekeyIke | Topic::MakeChild => Some(ExchangeType::CREATE_CHILD_SA),
            Topic::FollowUp => Some(ExchangeType::IKE_FOLLOWUP_KE),
            Topic::Other => None,
            _ => Some(ExchangeType::INFORMATIONAL),
        }
    }

    /// One word for it, as the API says it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Topic::Init => "init",
            Topic::InitAgain => "init-with-cookie",
            Topic::Resume => "resume",
            Topic::Intermediate => "intermediate",
            Topic::Auth => "auth",
            Topic::Liveness => "liveness",
            Topic::Probe => "probe",
            Topic::Update => "update-addresses",
            Topic::Addresses => "addresses",
            Topic::Check => "return-routability",
            Topic::Repair => "repair",
            Topic::Away => "away",
            Topic::MessageIds => "message-ids",
            Topic::DeleteIke => "delete-ike-sa",
            Topic::DeleteChild => "delete-child-sa",
            Topic::Redirect => "redirect",
            Topic::RekeyIke => "rekey-ike-sa",
            Topic::MakeChild => "child-sa",
            Topic::FollowUp => "follow-up",
            Topic::Other => "other",
        }
    }
}

/// Which exchange: of a message nothing is believed yet but what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// We asked: what came is an answer to us.
    pub ours: bool,
    /// Pairs request and answer.
    pub message_id: u32,
}

impl Asked {
    /// As a message from the peer says it.
    #[must_use]
    pub fn in_header(header: &Header) -> Asked {
        Asked { ours: header.flags.response, message_id: header.message_id }
    }

    /// By us.
    #[must_use]
    pub fn by_us(message_id: u32) -> Asked {
        Asked { ours: true, message_id }
    }

    /// By the peer.
    #[must_use]
    pub fn by_peer(message_id: u32) -> Asked {
        Asked { ours: false, message_id }
    }
}

/// One exchange, or some quiet ones in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// When the first of them was asked.
    pub since: Nanos,
    /// When the last of them was asked.
    pub at: Nanos,
    /// Message id of the last.
    pub id: u32,
    /// We asked.
    pub ours: bool,
    /// What.
    pub topic: Topic,
    /// So many in a row.
    pub times: u16,
    /// The request of the last was sent so often; of the peer's, it came so often.
    pub sent: u8,
    /// It was sent over more than one path.
    pub many_paths: bool,
    /// It is answered.
    pub answered: bool,
    /// How long the answer to the last of ours took.
    pub took: Option<Duration>,
    /// The error that was answered.
    pub error: Option<NotifyType>,
}

/// A request of ours in a set-up.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    at: Nanos,
    id: u32,
    sent: u8,
    many_paths: bool,
}

impl Step {
    /// With this message id, sent as the clock of its repetitions says.
    #[must_use]
    pub fn of(id: u32, retry: &Retry) -> Step {
        Step { at: retry.asked, id, sent: retry.tries.try_into().unwrap_or(u8::MAX), many_paths: false }
    }

    /// Each time over the next of so many paths.
    #[must_use]
    pub fn over(self, paths: usize) -> Step {
        Step { many_paths: paths > 1 && self.sent > 1, ..self }
    }

    fn kept(self, topic: Topic) -> Kept {
        let Step { at, id, sent, many_paths } = self;
        Kept { ours: true, topic, sent, many_paths, ..Kept::new(at, id) }
    }
}

/// The last exchanges of an IKE SA.
#[derive(Debug, Default)]
pub struct Trace {
    /// In the order in which they ended.
    kept: Vec<Kept>,
}

/// [`Exchange`], in 32 octets.
#[derive(Debug, Clone, Copy)]
struct Kept {
    since: Nanos,
    at: Nanos,
    id: u32,
    /// Microseconds; [`Kept::UNKNOWN`] where nothing was measured: the peer asked, or nobody answered us.
    took: u32,
    /// 0: none.
    error: u16,
    times: u16,
    sent: u8,
    topic: Topic,
    ours: bool,
    many_paths: bool,
}

const _: () = assert!(size_of::<Kept>() == 32, "it is there for each of 100,000 SAs, sixteen times");

/// How a responder's IKE SA began, while its peer is a stranger and may cost little.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    at: Nanos,
    topic: Topic,
    came: u8,
}

impl Opening {
    /// This message was answered.
    #[must_use]
    pub fn by(now: Nanos, message: &Message<'_>) -> Opening {
        let topic = match message.header.exchange {
            ExchangeType::IKE_SESSION_RESUME => Topic::Resume,
            _ if message.payloads.has(NotifyType::COOKIE) => Topic::InitAgain,
            _ => Topic::Init,
        };
        Opening { at: now, topic, came: 1 }
    }

    /// It came once more.
    pub fn repeated(&mut self) {
        self.came = self.came.saturating_add(1);
    }
}

impl Trace {
    /// The peer answered a request of the set-up.
    pub fn set_up(&mut self, now: Nanos, topic: Topic, asked: Step, error: Option<NotifyType>) {
        let took = Kept::measured(now, asked.at);
        self.note(Kept { took, error: error.map_or(0, |kind| kind.0), ..asked.kept(topic) });
    }

    /// Nobody answered a request of the set-up, and it is sent no more.
    pub fn in_vain(&mut self, topic: Topic, asked: Step) {
        self.note(asked.kept(topic));
    }

    /// How it began, known before all else that it did.
    pub fn begin(&mut self, opening: Opening) {
        let kept = Kept { topic: opening.topic, sent: opening.came, ..Kept::new(opening.at, 0) };
        self.kept.reserve_exact(2_usize.saturating_sub(self.kept.len()).max(1));
        self.kept.insert(0, kept);
        self.kept.truncate(KEPT);
    }

    /// The peer answered a request of ours.
    pub fn settled(&mut self, now: Nanos, request: &Outstanding, error: Option<NotifyType>) {
        let asked = request.retry.asked;
        let took = Kept::measured(now, asked);
        let kept = Kept { took, many_paths: request.many_paths, sent: request.sent, ..Kept::new(asked, request.id) };
        self.note(Kept { ours: true, topic: Topic::of(&request.ask), error: error.map_or(0, |kind| kind.0), ..kept });
    }

    /// We answered a request of the peer.
    pub fn answered(&mut self, now: Nanos, id: u32, topic: Topic, error: Option<NotifyType>) {
        self.note(Kept { topic, error: error.map_or(0, |kind| kind.0), ..Kept::new(now, id) });
    }

    /// A request of the peer came once more.
    pub fn repeated(&mut self, id: u32) {
        if let Some(kept) = self.kept.iter_mut().rev().find(|kept| !kept.ours && kept.id == id) {
            kept.sent = kept.sent.saturating_add(1);
        }
    }

    /// All of them, and what is unanswered behind them.
    pub fn all<'a>(&'a self, unanswered: &'a [Outstanding]) -> impl Iterator<Item = Exchange> + 'a {
        self.kept.iter().map(Kept::told).chain(unanswered.iter().map(waiting))
    }

    fn note(&mut self, new: Kept) {
        let mut quiet = self.kept.iter_mut().rev().take_while(|kept| kept.is_quiet());
        if new.is_quiet()
            && let Some(same) = quiet.find(|kept| (kept.ours, kept.topic) == (new.ours, new.topic))
        {
            *same = Kept { since: same.since, times: same.times.saturating_add(1), ..new };
            return;
        }
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        if self.kept.len() == self.kept.capacity() {
            self.kept.reserve_exact(2);
        }
        self.kept.push(new);
    }
}

impl Kept {
    const UNKNOWN: u32 = u32::MAX;

    fn new(at: Nanos, id: u32) -> Kept {
        let (took, topic) = (Kept::UNKNOWN, Topic::Other);
        Kept { since: at, at, id, took, error: 0, times: 1, sent: 1, topic, ours: false, many_paths: false }
    }

    /// From the first request to the answer; what took more than an hour took that.
    fn measured(now: Nanos, asked: Nanos) -> u32 {
        u32::try_from(now.since(asked).as_micros()).unwrap_or(u32::MAX).min(Kept::UNKNOWN - 1)
    }

    fn is_answered(&self) -> bool {
        !self.ours || self.took != Kept::UNKNOWN
    }

    /// Nobody wants to read about one more of these.
    fn is_quiet(&self) -> bool {
        let one_of_many = matches!(self.topic, Topic::Liveness | Topic::Intermediate | Topic::Auth);
        one_of_many && self.is_answered() && self.error == 0 && self.sent == 1 && !self.many_paths
    }

    fn told(&self) -> Exchange {
        Exchange {
            since: self.since,
            at: self.at,
            id: self.id,
            ours: self.ours,
            topic: self.topic,
            times: self.times,
            sent: self.sent,
            many_paths: self.many_paths,
            answered: self.is_answered(),
            took: (self.took != Kept::UNKNOWN).then(|| Duration::from_micros(self.took.into())),
            error: (self.error != 0).then_some(NotifyType(self.error)),
        }
    }
}

fn waiting(request: &Outstanding) -> Exchange {
    Exchange {
        since: request.retry.asked,
        at: request.retry.asked,
        id: request.id,
        ours: true,
        topic: Topic::of(&request.ask),
        times: 1,
        sent: request.sent,
        many_paths: request.many_paths,
        answered: false,
        took: None,
        error: None,
    }
}
