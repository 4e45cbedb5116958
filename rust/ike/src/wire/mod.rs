//! Bytes to meaning and back: IKEv2 messages (RFC 7296), fragments (RFC 7383) and MOBIKE notifications (RFC 4555).
//!
//! What is promised: reading never panics, allocates one list per message and nothing per payload, and an error says
//! what was wrong at which octet. What was read can be written again and is the same. No state, no keys, no policy.
//!
//! A datagram's way in, and where to read on:
//!
//! ```text
//! natt      on port 4500: IKE, ESP or keepalive?
//! header    the 28 octets, and the SPIs alone for who only routes
//! message   Message::parse: header and payloads in the clear; the way out is MessageWriter
//! sk        open: where IV, sealed octets and ICV lie; the way out is SkWriter, then crypto in place
//! message   parse_chain: the payloads that were sealed
//! mobike    Payloads::mobike: the notifications of RFC 4555, typed
//! ```
//!
//! Beneath: `payload` walks the chain, one file per payload family knows its drawing, `sequence` is the list inside a
//! payload, `cursor` alone counts octets, `numbers` has the registries and `error` what can be wrong.

mod auth;
mod cert;
pub mod cp;
pub mod cursor;
mod delete;
mod eap;
mod error;
mod extensions;
mod header;
mod id;
mod ke;
mod message;
pub mod mobike;
pub mod natt;
mod nonce;
mod notify;
mod numbers;
pub mod payload;
pub mod probe;
pub mod puzzle;
mod redirect;
pub mod sa;
mod sequence;
pub mod sk;
mod ts;

pub use auth::Authentication;
pub use cert::{Certificate, CertificateRequest};
pub use cp::Configuration;
pub use cursor::MAX_MESSAGE;
pub use delete::Delete;
pub use eap::Eap;
pub use error::{Part, WireError, WireErrorKind};
pub use extensions::{AWAY, EXTENSIONS, Extensions};
pub use header::{Flags, HEADER_LEN, Header, Version, length_of, peek_spis};
pub use id::Identification;
pub use ke::KeyExchange;
pub use message::{Entry, Message, MessageWriter, Payload, Payloads, parse_chain};
pub use mobike::{Cookie2, MobikeNotify, NoNatsAllowed};
pub use nonce::{MAX_NONCE, MIN_NONCE, Nonce};
pub use notify::Notify;
pub use numbers::{
    AuthMethod, CertEncoding, CfgAttribute, CfgType, EapCode, EncryptionId, ExchangeType, IdType, IntegrityId,
    KeMethod, NotifyType, PayloadType, PrfId, ProtocolId, SequenceNumbers, TransformType, TsType,
};
pub use payload::MAX_PAYLOADS;
pub use redirect::Gateway;
pub use sa::{Proposal, SaPayload, Transform};
pub use sequence::Sequence;
pub use sk::{Clear, Encrypted, EncryptedFragment, Fragment, SkLayout, SkParts, SkSizes, SkWriter};
pub use ts::{AddressRange, Selector, TrafficSelector, TsPayload};
