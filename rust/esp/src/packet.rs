//! The ESP packet (RFC 4303 section 2).
//!
//! ```text
//!  0                   1                   2                   3
//! +---------------------------------------------------------------+
//! |               Security Parameters Index (SPI)                 | ^ AAD
//! |                      Sequence Number                          | v
//! |                  Initialization Vector (8, 16)                |
//! |                                                               |
//! | inner packet (variable)                                       | ^
//! ~               +-----------------------------------------------+ | encrypted
//! |               | padding 1, 2, 3 .. |  Pad Length | Next Header| v
//! |             Integrity Check Value (8 to 32)                   |
//! +---------------------------------------------------------------+
//! ```

use crate::suite::Shape;
use crate::{Encap, OuterPath, Suite};

const SEQ: usize = 4;
/// Where the IV starts.
pub(crate) const BODY_AT: usize = 8;
/// Pad Length and Next Header.
const TRAILER_LEN: usize = 2;
/// The most that padding has: a block less one.
const PADDING_MAX: usize = 15;
/// The longest trailer.
pub(crate) const TRAILER_MAX: usize = PADDING_MAX + TRAILER_LEN;

/// IP in IP as next header.
pub(crate) const NEXT_IPV4: u8 = 4;
/// IPv6 in IP as next header.
pub(crate) const NEXT_IPV6: u8 = 41;
/// "No next header": a dummy packet (RFC 4303 section 2.6).
pub(crate) const NEXT_NONE: u8 = 59;

/// SPI and sequence number as the ICV covers them (RFC 4106 section 5): an extended number has its high half between, or
/// behind the packet where an HMAC makes the ICV (RFC 4303 section 2.8).
#[derive(Clone, Copy)]
pub(crate) struct Covered {
    bytes: [u8; 12],
    extended: bool,
}

impl Covered {
    pub(crate) fn new(spi: u32, sequence: u64, extended: bool) -> Covered {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&spi.to_be_bytes());
        if extended {
            bytes[4..].copy_from_slice(&sequence.to_be_bytes());
        } else {
            bytes[4..8].copy_from_slice(&(sequence as u32).to_be_bytes());
        }
        Covered { bytes, extended }
    }

    /// For an AEAD.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..if self.extended { 12 } else { 8 }]
    }

    /// The high half, if it is covered.
    pub(crate) fn high(&self) -> &[u8] {
        if self.extended { &self.bytes[4..8] } else { &[] }
    }

    fn on_wire(&self) -> [u8; BODY_AT] {
        let mut head = [0; BODY_AT];
        let low = if self.extended { 8..12 } else { 4..8 };
        head[..SEQ].copy_from_slice(&self.bytes[..4]);
        head[SEQ..].copy_from_slice(&self.bytes[low]);
        head
    }
}

/// Padding, Pad Length and Next Header for `inner_len` bytes.
pub(crate) struct Trailer {
    bytes: [u8; TRAILER_MAX],
    len: usize,
}

impl Trailer {
    pub(crate) fn new(shape: Shape, inner_len: usize, next_header: u8) -> Trailer {
        let padding = padding(shape, inner_len);
        let mut bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0];
        bytes[padding] = padding as u8;
        bytes[padding + 1] = next_header;
        Trailer { bytes, len: padding + TRAILER_LEN }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

const fn padding(shape: Shape, inner_len: usize) -> usize {
    (shape.align - (inner_len + TRAILER_LEN) % shape.align) % shape.align
}

/// Bytes of the ESP packet around `inner_len` bytes, from SPI to ICV.
#[must_use]
pub const fn sealed_len(suite: Suite, inner_len: usize) -> usize {
    let shape = suite.shape();
    BODY_AT + shape.iv + inner_len + padding(shape, inner_len) + TRAILER_LEN + shape.icv
}

/// The longest inner packet that fits in outer packets of `mtu` bytes on this path; 0 if none does.
#[must_use]
pub fn max_inner(mtu: usize, outer: &OuterPath, suite: Suite) -> usize {
    const UDP: usize = 8;
    /// A header with time stamps, and the length of the message (RFC 9329 section 3).
    const TCP: usize = 32 + 2;
    let shape = suite.shape();
    let ip = if outer.remote.is_ipv4() { 20 } else { 40 };
    let carrier = match outer.encap {
        Encap::None => 0,
        Encap::Udp => UDP,
        Encap::Tcp => TCP,
    };
    let around = ip + carrier + BODY_AT + shape.iv + shape.icv;
    let body = mtu.saturating_sub(around) / shape.align * shape.align;
    body.saturating_sub(TRAILER_LEN)
}

/// Write what precedes the ciphertext; the rest of `out` is returned.
pub(crate) fn write_head<'a>(out: &'a mut [u8], covered: &Covered, iv: &[u8]) -> Option<&'a mut [u8]> {
    let (head, rest) = out.split_at_mut_checked(BODY_AT + iv.len())?;
    head[..BODY_AT].copy_from_slice(&covered.on_wire());
    head[BODY_AT..].copy_from_slice(iv);
    Some(rest)
}

/// SPI and sequence number of a received packet, as they are on the wire. `None` if it is too short for any suite.
pub(crate) fn read_head(datagram: &[u8]) -> Option<(u32, u32)> {
    let (spi, rest) = datagram.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    // Nothing is shorter than an IV, a trailer and the shortest ICV together.
    (rest.len() >= 8 + SEQ + 8).then(|| (u32::from_be_bytes(*spi), u32::from_be_bytes(*sequence)))
}

/// Has a packet a length that this suite makes?
pub(crate) const fn fits(shape: Shape, len: usize) -> bool {
    match len.checked_sub(BODY_AT + shape.iv + shape.icv) {
        Some(body) => body >= shape.align && body.is_multiple_of(shape.align),
        None => false,
    }
}

/// Next header and length of what precedes the padding of a decrypted body. `None` if the padding is not 1, 2, 3 ..
/// (RFC 4303 section 2.4 asks receivers to look).
pub(crate) fn read_trailer(body: &[u8]) -> Option<(u8, usize)> {
    let (rest, &[pad_len, next_header]) = body.split_last_chunk::<TRAILER_LEN>()?;
    let payload = rest.len().checked_sub(usize::from(pad_len))?;
    let counted = rest[payload..].iter().zip(1u8..).all(|(byte, count)| *byte == count);
    counted.then_some((next_header, payload))
}
