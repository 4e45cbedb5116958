//! Encrypted payloads: where everything lies. Sealing and opening is the crypto room's work, in place (RFC 7296
//! section 3.14, RFC 5282 section 5 for AEAD, RFC 7383 section 2.5 for fragments).
//!
//! ```text
//!  0           28                                                                    end
//!  | IKE header [clear] | SK header (4) [number (2), total (2): SKF] | IV | inner, pad, pad length | ICV |
//!  |--------------------- aad --------------------------------| iv |--------- body ---------| icv |
//! ```
//!
//! An AEAD authenticates `aad` beside the body; a separate integrity algorithm covers `aad`, `iv` and the sealed `body`.
//! Writing: [`SkWriter`] to [`Unsealed`]. Reading: [`open`] to [`Sealed`], then [`strip_padding`], then
//! [`super::parse_chain`].

use core::fmt;
use core::ops::Range;

use super::cursor::{Reader, Result, Writer};
use super::error::{Part, WireError, WireErrorKind};
use super::header::{HEADER_LEN, Header, NEXT_PAYLOAD_AT};
use super::message::{ChainWriter, Payload, patch_message_length};
use super::numbers::PayloadType;
use super::payload::{Chain, PAYLOAD_HEADER_LEN, RawPayload};

/// Fragments of one message: enough for the largest message we write on links of 1280 octets.
pub const MAX_FRAGMENTS: u16 = 64;

const FRAGMENT_HEADER_LEN: usize = 4;
/// Most encrypted messages fit without growing.
const USUAL_MESSAGE: usize = 512;

/// The lengths that the negotiated algorithms give an encrypted payload, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkSizes {
    /// The explicit initialization vector.
    pub iv: usize,
    /// The integrity check value, or the tag of an AEAD.
    pub icv: usize,
    /// What the body's length is a multiple of; 1 for AEADs.
    pub block: usize,
}

/// An SK payload, not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted<'a> {
    /// The type of the first payload inside.
    pub first: PayloadType,
    /// IV, sealed octets, ICV.
    pub body: &'a [u8],
}

/// An SKF payload, not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedFragment<'a> {
    /// The type of the first payload inside in fragment 1, `NONE` in the others.
    pub first: PayloadType,
    /// Which fragment of how many.
    pub fragment: Fragment,
    /// IV, sealed octets, ICV.
    pub body: &'a [u8],
}

/// The place of a fragment: `1 <= number <= total <= MAX_FRAGMENTS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    number: u16,
    total: u16,
}

impl Fragment {
    /// A place, if there is one such.
    #[must_use]
    pub const fn new(number: u16, total: u16) -> Option<Fragment> {
        if 1 <= number && number <= total && total <= MAX_FRAGMENTS { Some(Fragment { number, total }) } else { None }
    }

    /// Which fragment it is, from 1.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.number
    }

    /// How many there are.
    #[must_use]
    pub const fn total(self) -> u16 {
        self.total
    }

    fn read(reader: &mut Reader<'_>) -> Result<Fragment> {
        let offset = reader.offset();
        let number = reader.u16(Part::Fragment)?;
        let total = reader.u16(Part::Fragment)?;
        if total > MAX_FRAGMENTS {
            let kind = WireErrorKind::TooMany { part: Part::Fragment, limit: MAX_FRAGMENTS.into() };
            return Err(WireError::new(kind, offset));
        }
        let kind = WireErrorKind::Value { part: Part::FragmentNumber, value: number.into() };
        Fragment::new(number, total).ok_or(WireError::new(kind, offset))
    }
}

impl<'a> Encrypted<'a> {
    pub(super) fn read(first: PayloadType, reader: &mut Reader<'a>) -> Self {
        Encrypted { first, body: reader.rest() }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.bytes(self.body);
    }
}

impl<'a> EncryptedFragment<'a> {
    pub(super) fn read(first: PayloadType, reader: &mut Reader<'a>) -> Result<Self> {
        Ok(EncryptedFragment { first, fragment: Fragment::read(reader)?, body: reader.rest() })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u16(self.fragment.number);
        writer.u16(self.fragment.total);
        writer.bytes(self.body);
    }
}

/// Where the pieces of an encrypted message lie, in octets from the start of the IKE header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkLayout {
    iv: usize,
    body: usize,
    icv: usize,
    end: usize,
}

impl SkLayout {
    /// What an AEAD authenticates but does not seal: all ahead of the IV.
    #[must_use]
    pub const fn aad(&self) -> Range<usize> {
        0..self.iv
    }

    /// The initialization vector.
    #[must_use]
    pub const fn iv(&self) -> Range<usize> {
        self.iv..self.body
    }

    /// Inner payloads, padding and pad length; sealed in place.
    #[must_use]
    pub const fn body(&self) -> Range<usize> {
        self.body..self.icv
    }

    /// The integrity check value.
    #[must_use]
    pub const fn icv(&self) -> Range<usize> {
        self.icv..self.end
    }

    /// What a separate integrity algorithm covers: all ahead of the ICV.
    #[must_use]
    pub const fn covered(&self) -> Range<usize> {
        0..self.icv
    }
}

/// An encrypted message taken apart for in-place crypto. `Debug` tells lengths only: the body may be in the clear.
pub struct SkParts<'a> {
    /// Authenticated, never sealed.
    pub aad: &'a [u8],
    /// The initialization vector.
    pub iv: &'a mut [u8],
    /// What is sealed or opened.
    pub body: &'a mut [u8],
    /// The integrity check value.
    pub icv: &'a mut [u8],
}

impl fmt::Debug for SkParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [aad, iv, body, icv] = [self.aad.len(), self.iv.len(), self.body.len(), self.icv.len()];
        write!(f, "SkParts(aad {aad}, iv {iv}, body {body}, icv {icv} octets)")
    }
}

impl<'a> SkParts<'a> {
    /// `layout` was made from `message`, and the pieces lie in order.
    fn split(message: &'a mut [u8], layout: SkLayout) -> SkParts<'a> {
        let (message, _) = message.split_at_mut(layout.end);
        let (message, icv) = message.split_at_mut(layout.icv);
        let (message, body) = message.split_at_mut(layout.body);
        let (aad, iv) = message.split_at_mut(layout.iv);
        SkParts { aad, iv, body, icv }
    }
}

/// Payloads ahead of the encrypted one: authenticated with it, and readable without keys. Of a message in pieces they are in
/// the first (RFC 7383 section 2.5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clear {
    /// The type of the first of them.
    first: PayloadType,
    octets: Vec<u8>,
    /// Where the last of them begins.
    last: usize,
}

impl Default for Clear {
    fn default() -> Self {
        Clear { first: PayloadType::SK, octets: Vec::new(), last: 0 }
    }
}

impl Clear {
    /// One payload.
    #[must_use]
    pub fn of(payload: &Payload<'_>) -> Clear {
        let mut writer = Writer::new(Vec::new());
        writer.zeros(PAYLOAD_HEADER_LEN);
        payload.write(&mut writer);
        writer.patch_length(2, 0, Part::Payload);
        match writer.finish() {
            Ok(octets) => Clear { first: payload.kind(), octets, last: 0 },
            Err(_) => Clear::default(),
        }
    }

    /// Those of a message whose encrypted payload begins at `sk_at`.
    fn read(message: &[u8], first: PayloadType, last: Option<usize>, sk_at: usize) -> Clear {
        let Some(last) = last.and_then(|last| last.checked_sub(HEADER_LEN)) else { return Clear::default() };
        Clear { first, octets: message.get(HEADER_LEN..sk_at).unwrap_or_default().to_vec(), last }
    }

    /// Octets of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Behind the header, ahead of the payload of this type.
    fn write(&self, writer: &mut Writer, before: PayloadType) {
        let at = writer.len();
        writer.bytes(&self.octets);
        let (next, behind) = if self.is_empty() { (before, NEXT_PAYLOAD_AT) } else { (self.first, at + self.last) };
        writer.patch(NEXT_PAYLOAD_AT, &[next.0]);
        writer.patch(behind, &[before.0]);
    }
}

/// Writes a message whose payloads are all inside SK, or in fragments of one, but for those that are in the clear.
#[derive(Debug)]
pub struct SkWriter {
    header: Header,
    clear: Clear,
    /// Where the SK payload begins.
    sk_at: usize,
    sizes: SkSizes,
    inner: ChainWriter,
    inner_at: usize,
}

impl SkWriter {
    /// Begins a message; next payload and length of the header are filled in.
    #[must_use]
    pub fn new(header: &Header, sizes: SkSizes) -> Self {
        SkWriter::reuse(header, sizes, Vec::with_capacity(USUAL_MESSAGE))
    }

    /// Begins a message in a buffer whose allocation is used again.
    #[must_use]
    pub fn reuse(header: &Header, sizes: SkSizes, buffer: Vec<u8>) -> Self {
        SkWriter::behind(header, Clear::default(), sizes, buffer)
    }

    /// The same, with payloads in the clear ahead.
    #[must_use]
    pub fn behind(header: &Header, clear: Clear, sizes: SkSizes, buffer: Vec<u8>) -> Self {
        let mut writer = Writer::new(buffer);
        let sk_at = begin(&mut writer, header, &clear, PayloadType::SK, PayloadType::NONE);
        writer.zeros(sizes.iv);
        let inner_at = writer.len();
        let inner = ChainWriter { writer, next_at: sk_at, count: 0, ended: false };
        SkWriter { header: *header, clear, sk_at, sizes, inner, inner_at }
    }

    /// Appends an inner payload, as a link of a chain of calls.
    #[must_use]
    pub fn payload(mut self, payload: &Payload<'_>) -> Self {
        self.push(payload);
        self
    }

    /// Appends an inner payload.
    pub fn push(&mut self, payload: &Payload<'_>) {
        self.inner.push(payload);
    }

    /// What AUTH covers of this message in an IKE_INTERMEDIATE exchange.
    #[must_use]
    pub fn intact(&self) -> Vec<u8> {
        let message = self.inner.writer.written();
        let first = PayloadType(message.get(self.sk_at).copied().unwrap_or_default());
        intact(&self.header, &self.clear, first, message.get(self.inner_at..).unwrap_or_default())
    }

    /// Octets of the whole message if it is not fragmented.
    #[must_use]
    pub fn message_len(&self) -> usize {
        let inner = self.inner.writer.len() - self.inner_at;
        self.inner.writer.len() + padding(inner, self.sizes.block) + 1 + self.sizes.icv
    }

    /// The message with its inner payloads still readable, or the first thing that did not fit.
    pub fn finish(self) -> Result<Unsealed> {
        close(self.inner.writer, self.sk_at, self.inner_at, self.sizes)
    }

    /// The message in pieces of at most `limit` octets each, IKE header included; one SK message if it fits.
    ///
    /// Every fragment is sealed by itself and has an IV of its own (RFC 7383 section 2.5).
    pub fn finish_fragments(self, limit: usize) -> Result<Vec<Unsealed>> {
        if self.message_len() <= limit {
            return self.finish().map(|whole| vec![whole]);
        }
        let SkWriter { header, clear, sk_at, sizes, inner, inner_at } = self;
        let message = inner.writer.finish()?;
        let first = PayloadType(message.get(sk_at).copied().unwrap_or_default());
        let plain = message.get(inner_at..).unwrap_or_default();
        let pieces = plain.chunks(fragment_room(sizes, limit.saturating_sub(clear.len()))?);
        let total = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
        let too_many = WireErrorKind::TooMany { part: Part::Fragment, limit: MAX_FRAGMENTS.into() };
        let mut fragments = Vec::with_capacity(usize::from(total.min(MAX_FRAGMENTS)));
        for (number, piece) in (1..).zip(pieces) {
            let place = Fragment::new(number, total).ok_or(WireError::new(too_many, HEADER_LEN))?;
            fragments.push(fragment(&header, (&clear, first), place, piece, sizes)?);
        }
        Ok(fragments)
    }
}

/// A message as AUTH covers it in an IKE_INTERMEDIATE exchange (RFC 9242 section 3.3.2): whole, whether or not it went in
/// pieces, with neither IV nor padding nor ICV, and with lengths as if there had never been any. `inner` are the payloads
/// inside, the first of which is a `first`.
#[must_use]
pub fn intact(header: &Header, clear: &Clear, first: PayloadType, inner: &[u8]) -> Vec<u8> {
    let sealed = PAYLOAD_HEADER_LEN + inner.len();
    let length = u32::try_from(HEADER_LEN + clear.len() + sealed).unwrap_or(u32::MAX);
    let [high, low] = u16::try_from(sealed).unwrap_or(u16::MAX).to_be_bytes();
    let mut octets = Vec::with_capacity(HEADER_LEN + clear.len() + sealed);
    octets.extend(Header { next_payload: clear.first, length, ..*header }.to_bytes());
    octets.extend(&clear.octets);
    if let Some(behind) = octets.get_mut(HEADER_LEN + clear.last).filter(|_| !clear.is_empty()) {
        *behind = PayloadType::SK.0;
    }
    octets.extend([first.0, 0, high, low]);
    octets.extend(inner);
    octets
}

/// A message that is complete but for IV, encryption and ICV. `Debug` keeps what it says to itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Unsealed {
    message: Vec<u8>,
    layout: SkLayout,
}

impl fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unsealed({:?})", self.layout)
    }
}

impl Unsealed {
    /// Where the pieces lie.
    #[must_use]
    pub const fn layout(&self) -> SkLayout {
        self.layout
    }

    /// The pieces, to be sealed in place.
    #[must_use]
    pub fn parts(&mut self) -> SkParts<'_> {
        SkParts::split(&mut self.message, self.layout)
    }

    /// The message, ready to send once it is sealed.
    #[must_use]
    pub fn into_message(self) -> Vec<u8> {
        self.message
    }
}

/// A message that ends in an encrypted payload, taken apart so that it can be opened in place.
#[derive(Debug)]
pub struct Sealed<'a> {
    /// The header.
    pub header: Header,
    /// The type of the first payload inside.
    pub first: PayloadType,
    /// Which fragment it is, if it is one.
    pub fragment: Option<Fragment>,
    /// Payloads ahead of it.
    pub clear: Clear,
    /// Where the pieces lie; the body's start is the offset for [`strip_padding`] and [`super::parse_chain`].
    pub layout: SkLayout,
    /// The pieces.
    pub parts: SkParts<'a>,
}

/// Finds the encrypted payload of `message`; nothing in it is to be believed before the ICV was checked.
///
/// Payloads ahead of it are kept as they are: a solution of a puzzle may be there, which was looked at before.
pub fn open(message: &mut [u8], sizes: SkSizes) -> Result<Sealed<'_>> {
    let header = Header::parse(message)?;
    let (mut found, mut last) = (None, None);
    for raw in Chain::new(header.next_payload, &message[HEADER_LEN..], HEADER_LEN) {
        let raw = raw?;
        if matches!(raw.kind, PayloadType::SK | PayloadType::SKF) {
            found = Some((raw.offset, locate(raw, sizes)?));
        } else {
            last = Some(raw.offset);
        }
    }
    let Some((sk_at, (first, fragment, layout))) = found else {
        let kind = WireErrorKind::Missing { part: Part::Encrypted };
        return Err(WireError::new(kind, message.len()));
    };
    let clear = Clear::read(message, header.next_payload, last, sk_at);
    let parts = SkParts::split(message, layout);
    Ok(Sealed { header, first, fragment, clear, layout, parts })
}

/// The inner payloads of an opened body that began `offset` octets into the message.
///
/// What the padding holds does not matter; its length has been authenticated.
pub fn strip_padding(body: &[u8], offset: usize) -> Result<&[u8]> {
    let fail = |kind, at| Err(WireError::new(kind, at));
    let Some((&pad, rest)) = body.split_last() else {
        return fail(WireErrorKind::Truncated { part: Part::Padding, need: 1, have: 0 }, offset);
    };
    let length = usize::from(pad);
    match rest.len().checked_sub(length).and_then(|inner| rest.get(..inner)) {
        Some(inner) => Ok(inner),
        None => fail(WireErrorKind::Overrun { part: Part::Padding, length, have: rest.len() }, offset + rest.len()),
    }
}

fn locate(raw: RawPayload<'_>, sizes: SkSizes) -> Result<(PayloadType, Option<Fragment>, SkLayout)> {
    let mut body = raw.body;
    let fragment = if raw.kind == PayloadType::SKF { Some(Fragment::read(&mut body)?) } else { None };
    let iv = body.offset();
    let length = body.remaining();
    let sealed = length.checked_sub(sizes.iv + sizes.icv).filter(|&sealed| sealed > 0);
    let Some(sealed) = sealed else {
        let need = sizes.iv + 1 + sizes.icv;
        return Err(WireError::new(WireErrorKind::Truncated { part: Part::Encrypted, need, have: length }, iv));
    };
    if !sealed.is_multiple_of(sizes.block.max(1)) {
        let kind = WireErrorKind::Length { part: Part::Encrypted, length: sealed };
        return Err(WireError::new(kind, iv + sizes.iv));
    }
    let body = iv + sizes.iv;
    Ok((raw.next, fragment, SkLayout { iv, body, icv: body + sealed, end: iv + length }))
}

/// Where the encrypted payload begins.
fn begin(writer: &mut Writer, header: &Header, clear: &Clear, kind: PayloadType, first: PayloadType) -> usize {
    header.write(writer);
    clear.write(writer, kind);
    let sk_at = writer.len();
    writer.bytes(&[first.0, 0, 0, 0]);
    sk_at
}

fn fragment(
    header: &Header,
    (clear, first): (&Clear, PayloadType),
    place: Fragment,
    piece: &[u8],
    sizes: SkSizes,
) -> Result<Unsealed> {
    let room = HEADER_LEN + PAYLOAD_HEADER_LEN + FRAGMENT_HEADER_LEN + sizes.iv + sizes.icv + sizes.block;
    let mut writer = Writer::new(Vec::with_capacity(room + piece.len()));
    let none = Clear::default();
    let (clear, first) = if place.number == 1 { (clear, first) } else { (&none, PayloadType::NONE) };
    let sk_at = begin(&mut writer, header, clear, PayloadType::SKF, first);
    writer.u16(place.number);
    writer.u16(place.total);
    writer.zeros(sizes.iv);
    let inner_at = writer.len();
    writer.bytes(piece);
    close(writer, sk_at, inner_at, sizes)
}

fn close(mut writer: Writer, sk_at: usize, inner_at: usize, sizes: SkSizes) -> Result<Unsealed> {
    let pad = padding(writer.len() - inner_at, sizes.block);
    writer.zeros(pad);
    writer.count_u8(pad, Part::Padding);
    let icv = writer.len();
    writer.zeros(sizes.icv);
    writer.patch_length(sk_at + 2, sk_at, Part::Encrypted);
    patch_message_length(&mut writer);
    let message = writer.finish()?;
    let layout = SkLayout { iv: inner_at - sizes.iv, body: inner_at, icv, end: message.len() };
    Ok(Unsealed { message, layout })
}

/// Octets of padding that make `inner`, the padding and its length octet fill whole blocks.
const fn padding(inner: usize, block: usize) -> usize {
    match block {
        0 | 1 => 0,
        block => (block - (inner + 1) % block) % block,
    }
}

/// Octets of inner payloads that a fragment of `limit` octets has room for.
fn fragment_room(sizes: SkSizes, limit: usize) -> Result<usize> {
    let around = HEADER_LEN + PAYLOAD_HEADER_LEN + FRAGMENT_HEADER_LEN + sizes.iv + sizes.icv;
    let block = sizes.block.max(1);
    match limit.checked_sub(around).map(|body| body / block * block) {
        Some(body @ 2..) => Ok(body - 1),
        _ => Err(WireError::new(WireErrorKind::TooLong { part: Part::Fragment, length: around + 2 }, HEADER_LEN)),
    }
}
