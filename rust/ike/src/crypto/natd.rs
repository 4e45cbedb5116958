//! NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP (RFC 7296 section 2.23).

use core::net::{IpAddr, SocketAddr};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::schedule::Spis;

/// Octets of the hash.
pub const NAT_DETECTION_LEN: usize = 20;

/// SHA-1(SPIi | SPIr | address | port), SPIs as in the header of the message that carries the notify.
///
/// It hides addresses from nobody and authenticates nothing by itself; SHA-1 is what the RFC says.
#[must_use]
pub fn nat_detection(spis: Spis, endpoint: SocketAddr) -> [u8; NAT_DETECTION_LEN] {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(&spis.initiator.to_be_bytes());
    hash.update(&spis.responder.to_be_bytes());
    match endpoint.ip().to_canonical() {
        IpAddr::V4(ip) => hash.update(&ip.octets()),
        IpAddr::V6(ip) => hash.update(&ip.octets()),
    }
    hash.update(&endpoint.port().to_be_bytes());
    let mut out = [0; NAT_DETECTION_LEN];
    out.copy_from_slice(hash.finish().as_ref());
    out
}
