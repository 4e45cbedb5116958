//! What a datagram on UDP port 4500 is (RFC 3948 section 2).
//!
//! ```text
//!  0                   1                   2                   3
//! +---------------------------------------------------------------+
//! |  0 0 0 0: non-ESP marker, IKE follows;  otherwise: ESP SPI    |
//! +---------------------------------------------------------------+
//! ```

/// The one byte that keeps a NAT mapping alive (RFC 3948 section 2.3).
pub const KEEPALIVE: [u8; 1] = [0xff];

/// Length of the non-ESP marker in bytes.
pub const MARKER_LEN: usize = 4;

/// The kinds of datagrams that share port 4500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// An IKE message; it starts behind the marker, at [`MARKER_LEN`].
    Ike,
    /// An ESP packet; it starts at the SPI, at 0.
    Esp {
        /// The inbound SPI.
        spi: u32,
    },
    /// A NAT keepalive: to be forgotten.
    Keepalive,
    /// Too short to be anything.
    Runt,
}

/// Tell the kinds apart by their first bytes.
#[must_use]
pub fn classify(datagram: &[u8]) -> Framing {
    if datagram == KEEPALIVE {
        return Framing::Keepalive;
    }
    match datagram.first_chunk().map(|first| u32::from_be_bytes(*first)) {
        Some(0) => Framing::Ike,
        Some(spi) => Framing::Esp { spi },
        None => Framing::Runt,
    }
}
