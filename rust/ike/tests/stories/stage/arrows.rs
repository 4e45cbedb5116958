//! Every message as a line: `  1.020s  client --> gateway  IKE_AUTH request 1   wifi 4500 -> wan 4500`.

use core::fmt;

use mobike_ike::wire::{ExchangeType, Header, NotifyType};
use mobike_ike::{Nanos, Path};

use super::forger::Contents;
use super::host::HostId;

/// A message as it was put out, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When it left.
    pub at: Nanos,
    /// Who sent it.
    pub from: HostId,
    /// The sender's name.
    pub name: String,
    /// The sender's view of the path.
    pub path: Path,
    /// The addresses by their names.
    pub over: String,
    /// Its octets as sent.
    pub bytes: Vec<u8>,
    /// The same octets left before, so many times.
    pub copies_before: u32,
    /// A NAT keepalive, not IKE.
    pub keepalive: bool,
    /// What it says, if it could be opened: the keys are known once an end reported its IKE SA.
    pub contents: Option<Contents>,
    /// Where it ended.
    pub outcome: Outcome,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Still on its way.
    InTheAir,
    /// An engine got it.
    Delivered,
    /// It never arrived; why.
    Lost(&'static str),
}

impl Told {
    /// Which fragment it is, from 1; 0 if it is none.
    pub fn fragment(&self) -> u16 {
        match (self.bytes.get(16), self.bytes.get(32..).and_then(|rest| rest.first_chunk())) {
            (Some(53), Some(number)) => u16::from_be_bytes(*number),
            _ => 0,
        }
    }

    /// Its header, if it has one.
    pub fn header(&self) -> Option<Header> {
        if self.keepalive { None } else { Header::peek(&self.bytes).ok() }
    }

    /// Is it a request of this exchange?
    pub fn asks(&self, exchange: ExchangeType) -> bool {
        self.header().is_some_and(|header| header.exchange == exchange && !header.flags.response)
    }

    /// Is it an answer of this exchange?
    pub fn answers(&self, exchange: ExchangeType) -> bool {
        self.header().is_some_and(|header| header.exchange == exchange && header.flags.response)
    }

    /// Does it carry this notification?
    pub fn carries(&self, kind: NotifyType) -> bool {
        self.contents.as_ref().is_some_and(|contents| contents.has(kind))
    }

    /// Did it arrive?
    pub fn arrived(&self) -> bool {
        self.outcome == Outcome::Delivered
    }

    /// `IKE_AUTH request 1`, or `keepalive`.
    pub fn title(&self) -> String {
        match self.header() {
            None => "keepalive".into(),
            Some(header) => {
                let kind = if header.flags.response { "answer" } else { "request" };
                format!("{} {kind} {}", header.exchange, header.message_id)
            }
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.0 as f64 / 1e9;
        write!(f, "{seconds:9.3}s  {:>8} -->  {:<26} {}", self.name, self.title(), self.over)?;
        if let Some(contents) = &self.contents {
            write!(f, "  {{ {} }}", contents.payloads.join(", "))?;
        }
        if self.copies_before > 0 {
            write!(f, "  [copy {}]", self.copies_before + 1)?;
        }
        match &self.outcome {
            Outcome::Delivered => Ok(()),
            Outcome::InTheAir => f.write_str("  [in the air]"),
            Outcome::Lost(why) => write!(f, "  [lost: {why}]"),
        }
    }
}
