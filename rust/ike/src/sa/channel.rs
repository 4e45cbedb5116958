//! Keys and SPIs of one IKE SA: opens what came in, seals what goes out.

mod park;

use core::fmt;
use std::sync::Arc;

use crate::crypto::{CryptoError, IkeKeys, IvCounter, Role, Spis};
use crate::wire::sk::{self, SkSizes, SkWriter};
use crate::wire::{self, ExchangeType, Flags, Header, PayloadType, Payloads, WireError};

/// Protects the messages of one IKE SA.
#[derive(Debug)]
pub struct Channel {
    /// Both SPIs.
    pub spis: Spis,
    /// Our part in the IKE SA.
    pub role: Role,
    keys: IkeKeys,
    iv: IvCounter,
}

/// Why a message could not be opened. Nobody vouches for it, so it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// It has no readable encrypted payload.
    Malformed,
    /// It is a fragment.
    Fragment,
    /// The integrity check failed.
    BadIcv,
}

/// A message that the holder of the keys made.
#[derive(Debug)]
pub struct Opened<'m> {
    /// The header.
    pub header: Header,
    /// What was sealed in it.
    pub plain: Plain<'m>,
    /// The same, if it can be read.
    pub payloads: Result<Payloads<'m>, WireError>,
}

/// The inside of a message that was opened.
#[derive(Debug, Clone, Copy)]
pub struct Plain<'m> {
    first: PayloadType,
    octets: &'m [u8],
    /// Of `octets`, from the start of the message.
    offset: usize,
}

impl<'m> Plain<'m> {
    /// Read it.
    pub fn payloads(&self) -> Result<Payloads<'m>, WireError> {
        wire::parse_chain(self.first, self.octets, self.offset)
    }

    /// Keep it, to be read once more later.
    #[must_use]
    pub fn keep(&self) -> Kept {
        Kept { first: self.first, octets: self.octets.into(), offset: self.offset }
    }
}

/// The inside of a message, kept while somebody thinks about it. `Debug` keeps what it says to itself.
pub struct Kept {
    first: PayloadType,
    octets: Box<[u8]>,
    offset: usize,
}

impl Kept {
    /// As it was.
    #[must_use]
    pub fn plain(&self) -> Plain<'_> {
        Plain { first: self.first, octets: &self.octets, offset: self.offset }
    }

    /// What it weighs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// Is there nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} octets)", self.len())
    }
}

impl Channel {
    /// A channel with fresh keys.
    #[must_use]
    pub fn new(spis: Spis, role: Role, keys: IkeKeys) -> Channel {
        Channel { spis, role, keys, iv: IvCounter::new() }
    }

    /// The keys, for Child SAs.
    #[must_use]
    pub fn keys(&self) -> &IkeKeys {
        &self.keys
    }

    /// Check and decrypt `message` in place.
    pub fn open<'m>(&self, message: &'m mut [u8]) -> Result<Opened<'m>, Unopened> {
        let sealed = sk::open(message, self.sizes()).map_err(|_| Unopened::Malformed)?;
        if sealed.fragment.is_some() {
            return Err(Unopened::Fragment);
        }
        let sk::SkParts { aad, iv, body, icv } = sealed.parts;
        self.keys.open_in_place(self.role, aad, iv, body, icv).map_err(|_| Unopened::BadIcv)?;
        let offset = sealed.layout.body().start;
        let inner = sk::strip_padding(body, offset);
        let plain = Plain { first: sealed.first, octets: inner.as_ref().map_or(&[], |inner| *inner), offset };
        Ok(Opened { header: sealed.header, plain, payloads: inner.and_then(|_| plain.payloads()) })
    }

    /// Seal a message whose payloads `fill` writes. `buffer` is scratch that keeps its allocation; it holds nothing
    /// secret afterwards.
    pub fn seal(
        &mut self,
        buffer: &mut Vec<u8>,
        message: Outgoing,
        fill: impl FnOnce(&mut SkWriter),
    ) -> Result<Arc<[u8]>, CryptoError> {
        let flags = Flags { initiator: self.role == Role::Initiator, version: false, response: message.response };
        let header = Header::new(self.spis.initiator, self.spis.responder, message.exchange, flags, message.id);
        let mut writer = SkWriter::reuse(&header, self.sizes(), core::mem::take(buffer));
        fill(&mut writer);
        let mut unsealed = writer.finish().map_err(|_| CryptoError::BufferLength)?;
        let parts = unsealed.parts();
        self.keys.seal_in_place(self.role, &mut self.iv, parts.aad, parts.iv, parts.body, parts.icv)?;
        *buffer = unsealed.into_message();
        Ok(Arc::from(buffer.as_slice()))
    }

    fn sizes(&self) -> SkSizes {
        let cipher = self.keys.cipher();
        SkSizes { iv: cipher.iv_len(), icv: cipher.icv_len(), block: cipher.block_len() }
    }
}

/// What the header of a message to be sealed says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// The exchange.
    pub exchange: ExchangeType,
    /// The message id.
    pub id: u32,
    /// An answer, not a request.
    pub response: bool,
}
