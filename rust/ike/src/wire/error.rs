//! What was wrong with a message, and at which octet of the datagram.

use core::fmt;

use super::numbers::{NotifyType, PayloadType};

/// A message that cannot be read or written: what is wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireError {
    /// What was wrong.
    pub kind: WireErrorKind,
    /// Octets from the start of the IKE header (inside SK too) to where the wrong thing begins.
    pub offset: usize,
}

/// What was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireErrorKind {
    /// A field needs more octets than its container has left.
    Truncated {
        /// What was being read.
        part: Part,
        /// Octets the field needs.
        need: usize,
        /// Octets that are left.
        have: usize,
    },
    /// The header's length field is not the length of the datagram.
    MessageLength {
        /// What the header says.
        claimed: usize,
        /// Octets in the datagram.
        have: usize,
    },
    /// A major version above 2; the answer is `INVALID_MAJOR_VERSION` (RFC 7296 section 2.5).
    HigherMajorVersion(u8),
    /// A major version below 2, IKEv1 for instance; dropped in silence.
    LowerMajorVersion(u8),
    /// The initiator's SPI is zero.
    ZeroInitiatorSpi,
    /// A length field counts fewer octets than the header that carries it.
    ShorterThanHeader {
        /// Whose length it is.
        part: Part,
        /// What the length field says.
        length: usize,
    },
    /// A length field reaches past the end of its container.
    Overrun {
        /// Whose length it is.
        part: Part,
        /// What the length field says.
        length: usize,
        /// Octets that are there.
        have: usize,
    },
    /// More elements than a message may have here.
    TooMany {
        /// Of what.
        part: Part,
        /// How many are allowed.
        limit: usize,
    },
    /// A payload of a type we do not know has its critical bit set (RFC 7296 section 2.5).
    UnsupportedCritical(PayloadType),
    /// A value has a length that its type does not allow.
    Length {
        /// Of what.
        part: Part,
        /// The length found.
        length: usize,
    },
    /// A field holds a value that this place does not allow.
    Value {
        /// Of what.
        part: Part,
        /// The value found.
        value: u32,
    },
    /// What has to be there is not.
    Missing {
        /// What.
        part: Part,
    },
    /// A range begins after its end.
    Inverted {
        /// Of what.
        part: Part,
    },
    /// Octets are left over after the last element.
    Trailing {
        /// After what.
        part: Part,
        /// Octets left over.
        octets: usize,
    },
    /// What was to be written does not fit its length field or the message.
    TooLong {
        /// What was being written.
        part: Part,
        /// Octets it would have taken.
        length: usize,
    },
}

impl WireError {
    pub(super) const fn new(kind: WireErrorKind, offset: usize) -> WireError {
        WireError { kind, offset }
    }

    /// The error notification that an answer to such a request carries (RFC 7296 section 2.21), if there is one.
    ///
    /// `UNSUPPORTED_CRITICAL_PAYLOAD` carries the payload type as its one octet of data.
    #[must_use]
    pub const fn answer(&self) -> Option<NotifyType> {
        match self.kind {
            WireErrorKind::HigherMajorVersion(_) => Some(NotifyType::INVALID_MAJOR_VERSION),
            WireErrorKind::LowerMajorVersion(_) | WireErrorKind::TooLong { .. } => None,
            WireErrorKind::UnsupportedCritical(_) => Some(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD),
            WireErrorKind::Truncated { .. }
            | WireErrorKind::MessageLength { .. }
            | WireErrorKind::ZeroInitiatorSpi
            | WireErrorKind::ShorterThanHeader { .. }
            | WireErrorKind::Overrun { .. }
            | WireErrorKind::TooMany { .. }
            | WireErrorKind::Length { .. }
            | WireErrorKind::Value { .. }
            | WireErrorKind::Missing { .. }
            | WireErrorKind::Inverted { .. }
            | WireErrorKind::Trailing { .. } => Some(NotifyType::INVALID_SYNTAX),
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match self.kind {
            WireErrorKind::Truncated { part, need, have } => {
                write!(f, "{part} at offset {at} needs {}, {have} are left ({})", Octets(need), part.source())
            }
            WireErrorKind::MessageLength { claimed, have } => {
                let source = Part::Header.source();
                write!(f, "message length {claimed} at offset {at} is not the datagram's {} ({source})", Octets(have))
            }
            WireErrorKind::HigherMajorVersion(major) => {
                write!(f, "major version {major} at offset {at} is newer than IKEv2 (RFC 7296 section 2.5)")
            }
            WireErrorKind::LowerMajorVersion(major) => {
                write!(f, "major version {major} at offset {at} is older than IKEv2 (RFC 7296 section 2.5)")
            }
            WireErrorKind::ZeroInitiatorSpi => {
                write!(f, "initiator's SPI at offset {at} is zero ({})", Part::Header.source())
            }
            WireErrorKind::ShorterThanHeader { part, length } => {
                write!(f, "{part} length {length} at offset {at} is shorter than its own header ({})", part.source())
            }
            WireErrorKind::Overrun { part, length, have } => {
                write!(f, "{part} length {length} at offset {at} exceeds the {} left ({})", Octets(have), part.source())
            }
            WireErrorKind::TooMany { part, limit } => {
                write!(f, "{part} at offset {at} is one more than the limit of {limit} ({})", part.source())
            }
            WireErrorKind::UnsupportedCritical(payload) => {
                write!(f, "payload type {payload} at offset {at} is critical and unknown (RFC 7296 section 2.5)")
            }
            WireErrorKind::Length { part, length } => {
                write!(f, "{part} at offset {at} cannot be {} long ({})", Octets(length), part.source())
            }
            WireErrorKind::Value { part, value } => {
                write!(f, "{part} at offset {at} cannot be {value} ({})", part.source())
            }
            WireErrorKind::Missing { part } => {
                write!(f, "no {part} before the message's end at offset {at} ({})", part.source())
            }
            WireErrorKind::Inverted { part } => {
                write!(f, "{part} has a range at offset {at} that begins after its end ({})", part.source())
            }
            WireErrorKind::Trailing { part, octets } => {
                write!(f, "{} at offset {at} behind the last {part} ({})", Octets(octets), part.source())
            }
            WireErrorKind::TooLong { part, length } => {
                write!(
                    f,
                    "{part} at offset {at} would be {} long, too long to write ({})",
                    Octets(length),
                    part.source()
                )
            }
        }
    }
}

impl core::error::Error for WireError {}

struct Octets(usize);

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 octet"),
            count => write!(f, "{count} octets"),
        }
    }
}

/// A part of a message, named as in the RFC that draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The IKE header.
    Header,
    /// A payload, by its generic header.
    Payload,
    /// A proposal of an SA payload.
    Proposal,
    /// The octet that says whether another proposal or transform follows.
    LastSubstructure,
    /// The number of transforms that a proposal says it has.
    TransformCount,
    /// The SPI of a proposal, notification or deletion.
    Spi,
    /// A transform of a proposal.
    Transform,
    /// An attribute of a transform.
    Attribute,
    /// A KE payload.
    KeyExchange,
    /// An ID payload.
    Identification,
    /// A CERT payload.
    Certificate,
    /// A CERTREQ payload.
    CertificateRequest,
    /// An AUTH payload.
    Authentication,
    /// A nonce.
    Nonce,
    /// A notification.
    Notification,
    /// A Delete payload.
    Delete,
    /// A TS payload.
    TsPayload,
    /// The number of selectors that a TS payload says it has.
    SelectorCount,
    /// A traffic selector.
    TrafficSelector,
    /// An SK payload.
    Encrypted,
    /// The padding inside an SK or SKF payload.
    Padding,
    /// An SKF payload.
    Fragment,
    /// The number of a fragment.
    FragmentNumber,
    /// A CP payload.
    Configuration,
    /// A configuration attribute.
    ConfigurationAttribute,
    /// An EAP packet.
    Eap,
    /// A MOBIKE notification.
    Mobike,
}

impl Part {
    /// Where the part is drawn.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Part::Header => "RFC 7296 section 3.1",
            Part::Payload => "RFC 7296 section 3.2",
            Part::Proposal | Part::Spi | Part::LastSubstructure | Part::TransformCount => "RFC 7296 section 3.3.1",
            Part::Transform => "RFC 7296 section 3.3.2",
            Part::Attribute => "RFC 7296 section 3.3.5",
            Part::KeyExchange => "RFC 7296 section 3.4",
            Part::Identification => "RFC 7296 section 3.5",
            Part::Certificate => "RFC 7296 section 3.6",
            Part::CertificateRequest => "RFC 7296 section 3.7",
            Part::Authentication => "RFC 7296 section 3.8",
            Part::Nonce => "RFC 7296 section 3.9",
            Part::Notification => "RFC 7296 section 3.10",
            Part::Delete => "RFC 7296 section 3.11",
            Part::TsPayload | Part::SelectorCount => "RFC 7296 section 3.13",
            Part::TrafficSelector => "RFC 7296 section 3.13.1",
            Part::Encrypted | Part::Padding => "RFC 7296 section 3.14",
            Part::Fragment | Part::FragmentNumber => "RFC 7383 section 2.5",
            Part::Configuration => "RFC 7296 section 3.15",
            Part::ConfigurationAttribute => "RFC 7296 section 3.15.1",
            Part::Eap => "RFC 7296 section 3.16",
            Part::Mobike => "RFC 4555 section 4",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Part::Header => "IKE header",
            Part::Payload => "payload",
            Part::Proposal => "proposal",
            Part::LastSubstructure => "last-substructure octet",
            Part::TransformCount => "transform count",
            Part::Spi => "SPI",
            Part::Transform => "transform",
            Part::Attribute => "transform attribute",
            Part::KeyExchange => "KE payload",
            Part::Identification => "ID payload",
            Part::Certificate => "CERT payload",
            Part::CertificateRequest => "CERTREQ payload",
            Part::Authentication => "AUTH payload",
            Part::Nonce => "nonce",
            Part::Notification => "notification",
            Part::Delete => "Delete payload",
            Part::TsPayload => "TS payload",
            Part::SelectorCount => "selector count",
            Part::TrafficSelector => "traffic selector",
            Part::Encrypted => "SK payload",
            Part::Padding => "SK padding",
            Part::Fragment => "SKF payload",
            Part::FragmentNumber => "fragment number",
            Part::Configuration => "CP payload",
            Part::ConfigurationAttribute => "configuration attribute",
            Part::Eap => "EAP packet",
            Part::Mobike => "MOBIKE notification",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
