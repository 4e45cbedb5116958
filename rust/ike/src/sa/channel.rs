//! Keys and SPIs of one IKE SA: opens what came in, seals what goes out.

mod park;

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use crate::Path;
use crate::crypto::{CryptoError, IkeKeys, IvCounter, Role, Spis};
use crate::sa::fragments::{self, Collected, Collector};
use crate::table::room::Room;
use crate::wire::sk::{self, Clear, SkSizes, SkWriter};
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
    /// Both ends put fragments together (RFC 7383).
    fragments: bool,
    /// And yet nothing leaves in pieces: the path is a stream.
    whole: bool,
    /// Pieces of a message of the peer.
    collected: Option<Box<Collector>>,
}

/// Why a message could not be opened. Nobody vouches for it, so it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// It has no readable encrypted payload.
    Malformed,
    /// It is a fragment that is of no use, or more than we hold.
    Fragment,
    /// It is a fragment, and others are missing.
    Waiting,
    /// The integrity check failed.
    BadIcv,
}

/// A message that the holder of the keys made.
#[derive(Debug)]
pub struct Opened<'m> {
    /// The header; of the last fragment, if it came in pieces.
    pub header: Header,
    plain: Result<Plain<'m>, WireError>,
}

impl Opened<'_> {
    /// What is in it, if it can be read.
    pub fn payloads(&self) -> Result<Payloads<'_>, WireError> {
        self.plain.as_ref().map_err(|error| *error).and_then(Plain::payloads)
    }

    /// What AUTH covers of it in an IKE_INTERMEDIATE exchange.
    #[must_use]
    pub fn intact(&self) -> Vec<u8> {
        let none = Clear::default();
        let clear = self.plain.as_ref().map_or(&none, |plain| &plain.clear);
        let (first, octets) = self.plain.as_ref().map_or((PayloadType::NONE, &[][..]), Plain::parts);
        sk::intact(&self.header, clear, first, octets)
    }

    /// Keep what is in it.
    #[must_use]
    pub fn keep(&self) -> Option<Plain<'static>> {
        self.plain.as_ref().ok().map(Plain::keep)
    }
}

/// The inside of a message that was opened. `Debug` keeps what it says to itself.
pub struct Plain<'m> {
    first: PayloadType,
    octets: Cow<'m, [u8]>,
    /// Of `octets`, from the start of the message.
    offset: usize,
    /// What was ahead of it.
    clear: Clear,
}

impl Plain<'_> {
    /// A message that came in pieces.
    #[must_use]
    pub fn whole(first: PayloadType, octets: Vec<u8>, clear: Clear) -> Plain<'static> {
        Plain { first, octets: Cow::Owned(octets), offset: 0, clear }
    }

    /// Read it.
    pub fn payloads(&self) -> Result<Payloads<'_>, WireError> {
        wire::parse_chain(self.first, &self.octets, self.offset)
    }

    /// Keep it, to be read once more later.
    #[must_use]
    pub fn keep(&self) -> Plain<'static> {
        let clear = Clear::default();
        Plain { first: self.first, octets: Cow::Owned(self.octets.to_vec()), offset: self.offset, clear }
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

    /// The type of the first payload, and all of them.
    #[must_use]
    pub fn parts(&self) -> (PayloadType, &[u8]) {
        (self.first, &self.octets)
    }
}

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain({} octets)", self.len())
    }
}

/// Octets of the longest message that is sent in one piece, if the peer puts pieces together. With IPv6, UDP and the marker
/// of port 4500 around it a datagram has 1280 octets, which every link carries (RFC 7383 section 2.5.1).
pub const LONGEST_PIECE: usize = 1280 - 40 - 8 - 4;

impl Channel {
    /// A channel with fresh keys.
    #[must_use]
    pub fn new(spis: Spis, role: Role, keys: IkeKeys) -> Channel {
        Channel { spis, role, keys, iv: IvCounter::new(), fragments: false, whole: false, collected: None }
    }

    /// One that takes its place, with what both ends agreed on.
    #[must_use]
    pub fn renewed(&self, spis: Spis, role: Role, keys: IkeKeys) -> Channel {
        Channel { fragments: self.fragments, whole: self.whole, ..Channel::new(spis, role, keys) }
    }

    /// A key that the ends share otherwise becomes part of the root of further keys (RFC 8784).
    pub fn mix(&mut self, ppk: &[u8]) -> Result<(), CryptoError> {
        self.keys.mix(ppk)
    }

    /// The same IKE SA after an additional key exchange. IVs go on counting: it costs nothing, and whoever looks on sees one
    /// sender that never repeats itself.
    #[must_use]
    pub fn advanced(&self, keys: IkeKeys) -> Channel {
        let iv = IvCounter::starting_at(self.iv.peek());
        Channel { iv, ..self.renewed(self.spis, self.role, keys) }
    }

    /// The keys, for Child SAs.
    #[must_use]
    pub fn keys(&self) -> &IkeKeys {
        &self.keys
    }

    /// From now on long messages go in pieces, and those of the peer are put together: both ends said that they can.
    pub fn use_fragments(&mut self) {
        self.fragments = true;
    }

    /// Messages leave over this path from now on: those over a stream in one piece (RFC 9329 section 7.5).
    pub fn take(&mut self, path: Path) {
        self.take_stream(path.is_stream());
    }

    /// The same; whether it is a stream.
    pub fn take_stream(&mut self, stream: bool) {
        self.whole = stream;
    }

    /// Check and decrypt `message` in place. A fragment is kept, within what `room` has, until the others are there; the last
    /// one gives the whole.
    pub fn open<'m>(&mut self, room: &Room, message: &'m mut [u8]) -> Result<Opened<'m>, Unopened> {
        let sealed = sk::open(message, self.sizes()).map_err(|_| Unopened::Malformed)?;
        if sealed.fragment.is_some() && !self.fragments {
            return Err(Unopened::Fragment);
        }
        let sk::SkParts { aad, iv, body, icv } = sealed.parts;
        self.keys.open_in_place(self.role, aad, iv, body, icv).map_err(|_| Unopened::BadIcv)?;
        let (first, offset) = (sealed.first, sealed.layout.body().start);
        let inner = sk::strip_padding(body, offset);
        let Some(fragment) = sealed.fragment else {
            let clear = sealed.clear;
            let plain = inner.map(|inner| Plain { first, octets: Cow::Borrowed(inner), offset, clear });
            return Ok(Opened { header: sealed.header, plain });
        };
        let piece = inner.map_err(|_| Unopened::Malformed)?;
        match fragments::collect(&mut self.collected, room, &sealed.header, fragment, (sealed.clear, first, piece)) {
            Collected::Whole(plain) => Ok(Opened { header: sealed.header, plain: Ok(plain) }),
            Collected::Waiting => Err(Unopened::Waiting),
            Collected::Dropped => Err(Unopened::Fragment),
        }
    }

    /// Of a message that was answered before: is this copy one to answer again? Of fragments only the first is (RFC 7383
    /// section 2.6.1).
    pub fn open_repeated(&self, message: &mut [u8]) -> Result<bool, Unopened> {
        let sealed = sk::open(message, self.sizes()).map_err(|_| Unopened::Malformed)?;
        let sk::SkParts { aad, iv, body, icv } = sealed.parts;
        self.keys.open_in_place(self.role, aad, iv, body, icv).map_err(|_| Unopened::BadIcv)?;
        Ok(sealed.fragment.is_none_or(|fragment| self.fragments && fragment.number() == 1))
    }

    /// Seal a message whose payloads `fill` writes. `buffer` is scratch that keeps its allocation; it holds nothing
    /// secret afterwards.
    pub fn seal(
        &mut self,
        buffer: &mut Vec<u8>,
        message: Outgoing,
        fill: impl FnOnce(&mut SkWriter),
    ) -> Result<Arc<[u8]>, CryptoError> {
        self.seal_behind(buffer, message, Clear::default(), fill)
    }

    /// The same, with payloads in the clear ahead of the encrypted one.
    pub fn seal_behind(
        &mut self,
        buffer: &mut Vec<u8>,
        message: Outgoing,
        clear: Clear,
        fill: impl FnOnce(&mut SkWriter),
    ) -> Result<Arc<[u8]>, CryptoError> {
        let flags = Flags { initiator: self.role == Role::Initiator, version: false, response: message.response };
        let header = Header::new(self.spis.initiator, self.spis.responder, message.exchange, flags, message.id);
        let mut writer = SkWriter::behind(&header, clear, self.sizes(), core::mem::take(buffer));
        fill(&mut writer);
        if self.fragments && !self.whole && writer.message_len() > LONGEST_PIECE {
            return self.seal_in_pieces(buffer, writer);
        }
        let mut unsealed = writer.finish().map_err(|_| CryptoError::BufferLength)?;
        let parts = unsealed.parts();
        self.keys.seal_in_place(self.role, &mut self.iv, parts.aad, parts.iv, parts.body, parts.icv)?;
        *buffer = unsealed.into_message();
        Ok(Arc::from(buffer.as_slice()))
    }

    /// One fragment behind the other; [`Context::send`](super::context::Context::send) takes them apart.
    fn seal_in_pieces(&mut self, buffer: &mut Vec<u8>, writer: SkWriter) -> Result<Arc<[u8]>, CryptoError> {
        buffer.clear();
        for mut unsealed in writer.finish_fragments(LONGEST_PIECE).map_err(|_| CryptoError::BufferLength)? {
            let parts = unsealed.parts();
            self.keys.seal_in_place(self.role, &mut self.iv, parts.aad, parts.iv, parts.body, parts.icv)?;
            buffer.extend_from_slice(&unsealed.into_message());
        }
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
