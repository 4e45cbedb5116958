//! Keys and SPIs of one IKE SA: opens what came in, seals what goes out.

mod park;

use std::sync::Arc;

use crate::crypto::{CryptoError, IkeKeys, IvCounter, Role, Spis};
use crate::wire::sk::{self, SkSizes, SkWriter};
use crate::wire::{self, ExchangeType, Flags, Header, Payloads, WireError};

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
    /// What is in it, if it can be read.
    pub payloads: Result<Payloads<'m>, WireError>,
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
        let payloads = sk::strip_padding(body, offset).and_then(|inner| wire::parse_chain(sealed.first, inner, offset));
        Ok(Opened { header: sealed.header, payloads })
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
