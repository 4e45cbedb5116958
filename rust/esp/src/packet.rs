//! The ESP packet with AES-GCM (RFC 4303 section 2, RFC 4106 section 3).
//!
//! ```text
//!  0                   1                   2                   3
//! +---------------------------------------------------------------+
//! |               Security Parameters Index (SPI)                 | ^ AAD
//! |                      Sequence Number                          | v
//! |                  Initialization Vector (8)                    |
//! |                                                               |
//! | inner packet (variable)                                       | ^
//! ~               +-----------------------------------------------+ | encrypted
//! |               | padding 1, 2, 3 .. |  Pad Length | Next Header| v
//! |             Integrity Check Value (16)                        |
//! +---------------------------------------------------------------+
//! ```

use crate::OuterPath;

const SEQ: usize = 4;
const IV: usize = 8;
/// Where the ciphertext starts.
pub(crate) const BODY: usize = IV + IV_LEN;
/// Bytes of explicit IV (RFC 4106 section 3.1).
pub(crate) const IV_LEN: usize = 8;
/// Bytes of ICV.
pub(crate) const ICV_LEN: usize = 16;
/// Pad Length and Next Header.
const TRAILER_LEN: usize = 2;
/// Pad Length and Next Header end on a multiple of this (RFC 4303 section 2.4).
const ALIGN: usize = 4;
/// The shortest packet: four bytes of body.
const SHORTEST: usize = BODY + ALIGN + ICV_LEN;

/// IP in IP as next header.
pub(crate) const NEXT_IPV4: u8 = 4;
/// IPv6 in IP as next header.
pub(crate) const NEXT_IPV6: u8 = 41;
/// "No next header": a dummy packet (RFC 4303 section 2.6).
pub(crate) const NEXT_NONE: u8 = 59;

/// Additional authenticated data with 32 bit sequence numbers (RFC 4106 section 5): SPI and sequence number. With
/// extended numbers their high half would come between.
pub(crate) type AadBytes = [u8; 8];

pub(crate) fn aad(spi: u32, sequence: u32) -> AadBytes {
    let mut aad = [0; 8];
    aad[..SEQ].copy_from_slice(&spi.to_be_bytes());
    aad[SEQ..].copy_from_slice(&sequence.to_be_bytes());
    aad
}

/// Padding, Pad Length and Next Header for `inner_len` bytes.
pub(crate) struct Trailer {
    bytes: [u8; ALIGN - 1 + TRAILER_LEN],
    len: usize,
}

impl Trailer {
    pub(crate) fn new(inner_len: usize, next_header: u8) -> Trailer {
        let padding = padding(inner_len);
        let mut bytes = [1, 2, 3, 0, 0];
        bytes[padding] = padding as u8;
        bytes[padding + 1] = next_header;
        Trailer { bytes, len: padding + TRAILER_LEN }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

const fn padding(inner_len: usize) -> usize {
    (ALIGN - (inner_len + TRAILER_LEN) % ALIGN) % ALIGN
}

/// Bytes of the ESP packet around `inner_len` bytes, from SPI to ICV.
#[must_use]
pub const fn sealed_len(inner_len: usize) -> usize {
    BODY + inner_len + padding(inner_len) + TRAILER_LEN + ICV_LEN
}

/// The longest inner packet that fits in outer packets of `mtu` bytes on this path; 0 if none does.
#[must_use]
pub fn max_inner(mtu: usize, outer: &OuterPath) -> usize {
    const UDP: usize = 8;
    let ip = if outer.remote.is_ipv4() { 20 } else { 40 };
    let around = ip + if outer.encap { UDP } else { 0 } + BODY + ICV_LEN;
    let body = mtu.saturating_sub(around) / ALIGN * ALIGN;
    body.saturating_sub(TRAILER_LEN)
}

/// Write what precedes the ciphertext; the rest of `out` is returned.
pub(crate) fn write_head(out: &mut [u8], aad: AadBytes, iv: [u8; IV_LEN]) -> Option<&mut [u8]> {
    let (head, rest) = out.split_at_mut_checked(BODY)?;
    head[..IV].copy_from_slice(&aad);
    head[IV..].copy_from_slice(&iv);
    Some(rest)
}

/// A received packet, cut at its fixed offsets.
pub(crate) struct View<'a> {
    pub(crate) spi: u32,
    pub(crate) sequence: u32,
    pub(crate) iv: [u8; IV_LEN],
    pub(crate) body: &'a mut [u8],
    pub(crate) icv: &'a [u8],
}

impl<'a> View<'a> {
    /// `None` if the length is not one an ESP packet can have.
    pub(crate) fn new(datagram: &'a mut [u8]) -> Option<View<'a>> {
        if datagram.len() < SHORTEST || !datagram.len().is_multiple_of(ALIGN) {
            return None;
        }
        let (head, rest) = datagram.split_at_mut_checked(BODY)?;
        let (body, icv) = rest.split_at_mut_checked(rest.len().checked_sub(ICV_LEN)?)?;
        let (spi, rest) = head.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        Some(View {
            spi: u32::from_be_bytes(*spi),
            sequence: u32::from_be_bytes(*sequence),
            iv: *rest.first_chunk()?,
            body,
            icv,
        })
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
