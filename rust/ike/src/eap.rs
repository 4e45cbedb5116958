//! What engine and control plane say to each other of an EAP conversation (RFC 7296 section 2.16): the packets as they are.

use core::fmt;
use std::sync::Arc;

use crate::crypto::SecretBytes;
use crate::id::Identity;
use crate::terms::Terms;
use crate::wire::{Eap, EapCode};

/// Octets of the longest EAP packet that is taken from a peer. Methods with more to say send pieces (RFC 5216 section 2.1.5);
/// a RADIUS server takes no more either (RFC 2865 section 3).
pub const LONGEST_PACKET: usize = 4096;

/// One EAP packet. `Debug` does not show it: some methods send a password.
#[derive(Clone, PartialEq, Eq)]
pub struct EapPacket(Box<[u8]>);

impl EapPacket {
    /// From octets whose header tells the truth; `None` if it does not.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Option<EapPacket> {
        Eap::parse(&octets).is_ok().then(|| EapPacket(octets.into_boxed_slice()))
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// As the peer sent it; `None` if it is too long.
    pub fn of(eap: &Eap<'_>) -> Option<EapPacket> {
        let octets = eap.to_octets()?;
        (octets.len() <= LONGEST_PACKET).then(|| EapPacket(octets.into_boxed_slice()))
    }

    /// Read it, if it is of this kind.
    pub fn read(&self, code: EapCode) -> Option<Eap<'_>> {
        Eap::parse(&self.0).ok().filter(|eap| eap.code == code)
    }
}

impl fmt::Debug for EapPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EapPacket({} octets)", self.0.len())
    }
}

/// What the control plane says to a packet.
#[derive(Debug, Clone)]
pub enum EapReply {
    /// Send this one.
    Send {
        /// The next packet.
        packet: EapPacket,
        /// Responder: the peer has failed already, for this reason; the packet tells it, and it may say nothing more.
        refused: Option<Arc<str>>,
    },
    /// The method has ended well.
    Agreed {
        /// The MSK, if the method makes one.
        key: Option<SecretBytes>,
        /// Responder: who the peer proved to be.
        peer: Option<Identity>,
        /// Responder: what it may have.
        terms: Terms,
    },
    /// It has failed.
    Failed {
        /// One line for people.
        why: Arc<str>,
    },
}
