//! Private extensions, on only where both ends said so in IKE_AUTH (docs/extensions/).
//!
//! One status notification of the private-use range (RFC 7296 section 3.10.1) carries ours: a magic, so that nobody else's
//! notification of the same number is taken for it, then a set of bits. Whoever does not know it ignores it.

use core::ops::BitAnd;

use super::{NotifyType, Payload, Payloads, SkWriter};

/// Notify type of the offer.
pub const EXTENSIONS: NotifyType = NotifyType(47_555);

/// Notify type of a leave asked for, and of the one granted: seconds, in four octets (docs/extensions/away.md).
pub const AWAY: NotifyType = NotifyType(47_557);

const MAGIC: [u8; 8] = *b"mobike\x00\x01";
const LEN: usize = MAGIC.len() + 4;

/// A set of extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions(u32);

impl Extensions {
    /// None at all.
    pub const NONE: Extensions = Extensions(0);
    /// Probes of paths outside the request window (docs/extensions/path-probes.md).
    pub const PATH_PROBES: Extensions = Extensions(1);
    /// Away until a time (docs/extensions/away.md).
    pub const AWAY: Extensions = Extensions(1 << 1);
    /// All that this engine knows.
    pub const ALL: Extensions = Extensions(Self::PATH_PROBES.0 | Self::AWAY.0);

    const NAMES: [(&'static str, Extensions); 2] = [("path-probes", Self::PATH_PROBES), ("away", Self::AWAY)];

    /// The extension that operators call so.
    #[must_use]
    pub fn named(name: &str) -> Option<Extensions> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, extension)| *extension)
    }

    /// What operators call those in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(_, extension)| self.has(*extension)).map(|(name, _)| *name)
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, more: Extensions) -> Extensions {
        Extensions(self.0 | more.0)
    }

    /// Is all of `wanted` among them?
    #[must_use]
    pub const fn has(self, wanted: Extensions) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Offer them, if there are any.
    pub fn write(self, writer: &mut SkWriter) {
        if self == Self::NONE {
            return;
        }
        let mut data = [0; LEN];
        data[..MAGIC.len()].copy_from_slice(&MAGIC);
        data[MAGIC.len()..].copy_from_slice(&self.0.to_be_bytes());
        writer.push(&Payload::notify(EXTENSIONS, &data));
    }

    /// What the peer offers. Bits that nobody knows yet, and whatever follows them, are for later versions.
    #[must_use]
    pub fn read(payloads: &Payloads<'_>) -> Extensions {
        let offer = payloads.notify(EXTENSIONS).and_then(|notify| notify.data.strip_prefix(&MAGIC));
        offer.and_then(|bits| bits.first_chunk()).map_or(Self::NONE, |bits| Extensions(u32::from_be_bytes(*bits)))
    }
}

impl BitAnd for Extensions {
    type Output = Extensions;

    fn bitand(self, other: Extensions) -> Extensions {
        Extensions(self.0 & other.0)
    }
}
