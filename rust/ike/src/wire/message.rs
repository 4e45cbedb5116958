//! Whole messages: a header and typed payloads, read from and written to one buffer.

use super::auth::Authentication;
use super::cert::{Certificate, CertificateRequest};
use super::cp::Configuration;
use super::cursor::{Reader, Result, Writer};
use super::delete::Delete;
use super::eap::Eap;
use super::error::{Part, WireError, WireErrorKind};
use super::header::{HEADER_LEN, Header, LENGTH_AT, NEXT_PAYLOAD_AT};
use super::id::Identification;
use super::ke::KeyExchange;
use super::nonce::Nonce;
use super::notify::Notify;
use super::numbers::{NotifyType, PayloadType};
use super::payload::{Chain, MAX_PAYLOADS, PAYLOAD_HEADER_LEN};
use super::sa::SaPayload;
use super::sk::{Encrypted, EncryptedFragment};
use super::ts::TsPayload;

/// Room for the usual handful of payloads without a second allocation.
const USUAL_PAYLOADS: usize = 12;
/// Octets of most messages: an IKE_SA_INIT of ours has about 300.
const USUAL_MESSAGE: usize = 512;

/// One payload, understood. What it borrows stays in the datagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Payload<'a> {
    /// Security Association.
    Sa(SaPayload<'a>),
    /// Key Exchange.
    KeyExchange(KeyExchange<'a>),
    /// Who the initiator says it is.
    IdInitiator(Identification<'a>),
    /// Who the responder says it is, or who the initiator wants it to be.
    IdResponder(Identification<'a>),
    /// A certificate.
    Certificate(Certificate<'a>),
    /// A request for certificates.
    CertificateRequest(CertificateRequest<'a>),
    /// The proof of an identity.
    Authentication(Authentication<'a>),
    /// A nonce.
    Nonce(Nonce<'a>),
    /// A notification.
    Notify(Notify<'a>),
    /// SAs that were deleted.
    Delete(Delete<'a>),
    /// A vendor's mark (RFC 7296 section 3.12); nothing but the mark.
    Vendor(&'a [u8]),
    /// What the initiator of the exchange sends from.
    TsInitiator(TsPayload<'a>),
    /// What the responder of the exchange sends from.
    TsResponder(TsPayload<'a>),
    /// Payloads that only the peer can read; see [`super::sk`].
    Encrypted(Encrypted<'a>),
    /// A piece of such payloads (RFC 7383).
    EncryptedFragment(EncryptedFragment<'a>),
    /// Configuration.
    Configuration(Configuration<'a>),
    /// An EAP packet.
    Eap(Eap<'a>),
    /// The solution of a puzzle (RFC 8019 section 8.2).
    PuzzleSolution(&'a [u8]),
    /// A payload of a type that we do not know and may skip.
    Unknown {
        /// Its type.
        kind: PayloadType,
        /// What follows its generic header.
        body: &'a [u8],
    },
}

impl<'a> Payload<'a> {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> PayloadType {
        match self {
            Payload::Sa(_) => PayloadType::SA,
            Payload::KeyExchange(_) => PayloadType::KE,
            Payload::IdInitiator(_) => PayloadType::ID_INITIATOR,
            Payload::IdResponder(_) => PayloadType::ID_RESPONDER,
            Payload::Certificate(_) => PayloadType::CERT,
            Payload::CertificateRequest(_) => PayloadType::CERTREQ,
            Payload::Authentication(_) => PayloadType::AUTH,
            Payload::Nonce(_) => PayloadType::NONCE,
            Payload::Notify(_) => PayloadType::NOTIFY,
            Payload::Delete(_) => PayloadType::DELETE,
            Payload::Vendor(_) => PayloadType::VENDOR,
            Payload::TsInitiator(_) => PayloadType::TS_INITIATOR,
            Payload::TsResponder(_) => PayloadType::TS_RESPONDER,
            Payload::Encrypted(_) => PayloadType::SK,
            Payload::EncryptedFragment(_) => PayloadType::SKF,
            Payload::Configuration(_) => PayloadType::CP,
            Payload::Eap(_) => PayloadType::EAP,
            Payload::PuzzleSolution(_) => PayloadType::PUZZLE_SOLUTION,
            Payload::Unknown { kind, .. } => *kind,
        }
    }

    /// A notification about no Child SA.
    #[must_use]
    pub const fn notify(kind: NotifyType, data: &'a [u8]) -> Self {
        Payload::Notify(Notify::new(kind, data))
    }

    fn read(kind: PayloadType, next: PayloadType, body: &mut Reader<'a>) -> Result<Self> {
        Ok(match kind {
            PayloadType::SA => Payload::Sa(SaPayload::read(body)?),
            PayloadType::KE => Payload::KeyExchange(KeyExchange::read(body)?),
            PayloadType::ID_INITIATOR => Payload::IdInitiator(Identification::read(body)?),
            PayloadType::ID_RESPONDER => Payload::IdResponder(Identification::read(body)?),
            PayloadType::CERT => Payload::Certificate(Certificate::read(body)?),
            PayloadType::CERTREQ => Payload::CertificateRequest(CertificateRequest::read(body)?),
            PayloadType::AUTH => Payload::Authentication(Authentication::read(body)?),
            PayloadType::NONCE => Payload::Nonce(Nonce::read(body)?),
            PayloadType::NOTIFY => Payload::Notify(Notify::read(body)?),
            PayloadType::DELETE => Payload::Delete(Delete::read(body)?),
            PayloadType::VENDOR => Payload::Vendor(body.rest()),
            PayloadType::TS_INITIATOR => Payload::TsInitiator(TsPayload::read(body)?),
            PayloadType::TS_RESPONDER => Payload::TsResponder(TsPayload::read(body)?),
            PayloadType::SK => Payload::Encrypted(Encrypted::read(next, body)),
            PayloadType::SKF => Payload::EncryptedFragment(EncryptedFragment::read(next, body)?),
            PayloadType::CP => Payload::Configuration(Configuration::read(body)?),
            PayloadType::EAP => Payload::Eap(Eap::read(body)?),
            PayloadType::PUZZLE_SOLUTION => Payload::PuzzleSolution(body.rest()),
            kind => Payload::Unknown { kind, body: body.rest() },
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Payload::Sa(sa) => sa.write(writer),
            Payload::KeyExchange(ke) => ke.write(writer),
            Payload::IdInitiator(id) | Payload::IdResponder(id) => id.write(writer),
            Payload::Certificate(certificate) => certificate.write(writer),
            Payload::CertificateRequest(request) => request.write(writer),
            Payload::Authentication(auth) => auth.write(writer),
            Payload::Nonce(nonce) => nonce.write(writer),
            Payload::Notify(notify) => notify.write(writer),
            Payload::Delete(delete) => delete.write(writer),
            Payload::TsInitiator(ts) | Payload::TsResponder(ts) => ts.write(writer),
            Payload::Encrypted(sk) => sk.write(writer),
            Payload::EncryptedFragment(skf) => skf.write(writer),
            Payload::Configuration(cp) => cp.write(writer),
            Payload::Eap(eap) => eap.write(writer),
            Payload::Vendor(body) | Payload::PuzzleSolution(body) | Payload::Unknown { body, .. } => writer.bytes(body),
        }
    }

    /// What its own next-payload field says if nothing follows it.
    const fn first_inside(&self) -> Option<PayloadType> {
        match self {
            Payload::Encrypted(sk) => Some(sk.first),
            Payload::EncryptedFragment(skf) => Some(skf.first),
            _ => None,
        }
    }
}

/// A whole message, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'a> {
    /// The header.
    pub header: Header,
    /// The payloads in the clear; what SK hides is read with [`parse_chain`] once it is opened.
    pub payloads: Payloads<'a>,
}

impl<'a> Message<'a> {
    /// Reads a datagram that begins with an IKE header.
    pub fn parse(message: &'a [u8]) -> Result<Message<'a>> {
        let header = Header::parse(message)?;
        let chain = message.get(HEADER_LEN..).unwrap_or_default();
        let payloads = parse_chain(header.next_payload, chain, HEADER_LEN)?;
        Ok(Message { header, payloads })
    }
}

/// Reads a chain of payloads whose first is a `first` and lies `offset` octets into the message.
pub fn parse_chain(first: PayloadType, chain: &[u8], offset: usize) -> Result<Payloads<'_>> {
    let mut entries = Vec::with_capacity(USUAL_PAYLOADS.min(chain.len() / PAYLOAD_HEADER_LEN));
    for raw in Chain::new(first, chain, offset) {
        let mut raw = raw?;
        let payload = Payload::read(raw.kind, raw.next, &mut raw.body)?;
        if raw.critical && matches!(payload, Payload::Unknown { .. }) {
            return Err(WireError::new(WireErrorKind::UnsupportedCritical(raw.kind), raw.offset));
        }
        raw.body.finish(Part::Payload)?;
        entries.push(Entry { offset: raw.offset, payload });
    }
    Ok(Payloads { entries })
}

/// The payloads of a message in the order they came, at most [`MAX_PAYLOADS`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Payloads<'a> {
    entries: Vec<Entry<'a>>,
}

/// A payload and where it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<'a> {
    /// Octets from the start of the message to the payload's generic header.
    pub offset: usize,
    /// The payload.
    pub payload: Payload<'a>,
}

impl<'a> Payloads<'a> {
    /// The payloads with their offsets.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The payloads.
    pub fn iter(&self) -> impl Iterator<Item = &Payload<'a>> {
        self.entries.iter().map(|entry| &entry.payload)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The notifications.
    pub fn notifies(&self) -> impl Iterator<Item = &Notify<'a>> {
        self.iter().filter_map(|payload| match payload {
            Payload::Notify(notify) => Some(notify),
            _ => None,
        })
    }

    /// The first notification of this type.
    #[must_use]
    pub fn notify(&self, kind: NotifyType) -> Option<&Notify<'a>> {
        self.notifies().find(|notify| notify.kind == kind)
    }

    /// Whether there is a notification of this type.
    #[must_use]
    pub fn has(&self, kind: NotifyType) -> bool {
        self.notify(kind).is_some()
    }
}

macro_rules! first_of {
    ($($(#[$meta:meta])* $method:ident: $variant:ident -> $type:ty;)*) => {
        impl<'a> Payloads<'a> {
            $(
                $(#[$meta])*
                #[must_use]
                pub fn $method(&self) -> Option<&$type> {
                    self.iter().find_map(|payload| match payload {
                        Payload::$variant(found) => Some(found),
                        _ => None,
                    })
                }
            )*
        }
    };
}

first_of! {
    /// The first SA payload.
    sa: Sa -> SaPayload<'a>;
    /// The first KE payload.
    key_exchange: KeyExchange -> KeyExchange<'a>;
    /// The first nonce.
    nonce: Nonce -> Nonce<'a>;
    /// The first IDi payload.
    id_initiator: IdInitiator -> Identification<'a>;
    /// The first IDr payload.
    id_responder: IdResponder -> Identification<'a>;
    /// The first AUTH payload.
    authentication: Authentication -> Authentication<'a>;
    /// The first CERT payload.
    certificate: Certificate -> Certificate<'a>;
    /// The first TSi payload.
    ts_initiator: TsInitiator -> TsPayload<'a>;
    /// The first TSr payload.
    ts_responder: TsResponder -> TsPayload<'a>;
    /// The first CP payload.
    configuration: Configuration -> Configuration<'a>;
    /// The first EAP payload.
    eap: Eap -> Eap<'a>;
}

/// Writes a message whose payloads are in the clear.
#[derive(Debug)]
pub struct MessageWriter(ChainWriter);

impl MessageWriter {
    /// Begins a message; the header's next payload and length are filled in.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        MessageWriter::reuse(header, Vec::with_capacity(USUAL_MESSAGE))
    }

    /// Begins a message in a buffer whose allocation is used again.
    #[must_use]
    pub fn reuse(header: &Header, buffer: Vec<u8>) -> Self {
        let mut writer = Writer::new(buffer);
        Header { next_payload: PayloadType::NONE, ..*header }.write(&mut writer);
        MessageWriter(ChainWriter { writer, next_at: NEXT_PAYLOAD_AT, count: 0, ended: false })
    }

    /// Appends a payload, as a link of a chain of calls.
    #[must_use]
    pub fn payload(mut self, payload: &Payload<'_>) -> Self {
        self.push(payload);
        self
    }

    /// Appends a payload.
    pub fn push(&mut self, payload: &Payload<'_>) {
        self.0.push(payload);
    }

    /// The message, or the first thing that did not fit.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        patch_message_length(&mut self.0.writer);
        self.0.writer.finish()
    }
}

/// Links payloads: each one's type goes into the field that the one before it left open.
#[derive(Debug)]
pub(super) struct ChainWriter {
    pub(super) writer: Writer,
    /// Where the next payload's type goes.
    pub(super) next_at: usize,
    pub(super) count: usize,
    /// An SK or SKF payload was written; it is the last.
    pub(super) ended: bool,
}

impl ChainWriter {
    pub(super) fn push(&mut self, payload: &Payload<'_>) {
        let start = self.writer.len();
        if self.ended {
            self.writer.fail(WireErrorKind::Trailing { part: Part::Encrypted, octets: PAYLOAD_HEADER_LEN }, start);
            return;
        }
        if self.count == MAX_PAYLOADS {
            self.writer.fail(WireErrorKind::TooMany { part: Part::Payload, limit: MAX_PAYLOADS }, start);
            return;
        }
        self.count += 1;
        self.writer.patch(self.next_at, &[payload.kind().0]);
        self.next_at = start;
        self.ended = payload.first_inside().is_some();
        self.writer.bytes(&[payload.first_inside().unwrap_or(PayloadType::NONE).0, 0, 0, 0]);
        payload.write(&mut self.writer);
        self.writer.patch_length(start + 2, start, Part::Payload);
    }
}

pub(super) fn patch_message_length(writer: &mut Writer) {
    // Never above MAX_MESSAGE, so the conversion cannot lose anything.
    let length = u32::try_from(writer.len()).unwrap_or(u32::MAX);
    writer.patch(LENGTH_AT, &length.to_be_bytes());
}
