//! The last exchanges of one IKE SA: what its ends asked each other, how often, and what came of it.
//!
//! Written down when an exchange is over; what is not answered yet is read from the window itself. Bounded: [`KEPT`] rungs of
//! 32 octets, and room for two while there is little to tell. Tests of the peer that are answered at once are told as one
//! rung, or an SA that does nothing else would soon remember nothing else. A restart forgets them.

use core::time::Duration;

use crate::Nanos;
use crate::sa::window::{Ask, Outstanding};
use crate::wire::{AWAY, Delete, ExchangeType, Header, NotifyType, Payload, Payloads, ProtocolId};

/// As many are remembered of each IKE SA.
pub const KEPT: usize = 16;

/// What an exchange is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Topic {
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

/// Which exchange a message is part of: nothing is believed of it yet but what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// We asked: it is an answer to us.
    pub ours: bool,
    /// Pairs request and answer.
    pub message_id: u32,
}

impl Asked {
    /// As a message from the peer says it.
    #[must_use]
    pub fn in_message(bytes: &[u8]) -> Option<Asked> {
        let header = Header::parse(bytes).ok()?;
        Some(Asked { ours: header.flags.response, message_id: header.message_id })
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
    /// Microseconds; [`Kept::UNKNOWN`] where nothing was measured.
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

impl Trace {
    /// The peer answered a request of ours.
    pub fn settled(&mut self, now: Nanos, request: &Outstanding, error: Option<NotifyType>) {
        let asked = request.retry.asked;
        let took = u32::try_from(now.since(asked).as_micros()).unwrap_or(Kept::UNKNOWN);
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
            && let Some(same) = quiet.find(|kept| kept.ours == new.ours)
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

    /// Nobody wants to read about one more of these.
    fn is_quiet(&self) -> bool {
        self.topic == Topic::Liveness && self.error == 0 && self.sent == 1 && !self.many_paths
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
            answered: true,
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
