//! What a datagram on port 4500 is (RFC 3948 section 2): IKE behind a marker of four zeros, ESP, or a keepalive.

/// Goes ahead of every IKE message on port 4500; no ESP packet begins so, since an SPI is never zero.
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// The one octet that keeps a NAT's mapping alive; never answered.
pub const KEEPALIVE: [u8; 1] = [0xff];

/// SPI and sequence number; less than this cannot be ESP.
const MIN_ESP: usize = 8;

/// A datagram on port 4500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// An IKE message, its marker taken off.
    Ike(&'a [u8]),
    /// An ESP packet.
    Esp(&'a [u8]),
    /// Keeps a NAT's mapping alive.
    Keepalive,
    /// None of them.
    Garbage,
}

/// Tells what a datagram on port 4500 is.
#[must_use]
pub fn classify(datagram: &[u8]) -> Datagram<'_> {
    match datagram.split_first_chunk::<4>() {
        Some((&NON_ESP_MARKER, message)) => Datagram::Ike(message),
        Some(_) if datagram.len() >= MIN_ESP => Datagram::Esp(datagram),
        None if datagram == KEEPALIVE => Datagram::Keepalive,
        _ => Datagram::Garbage,
    }
}
