//! AUTH payloads made from a shared secret (RFC 7296 section 2.15): a PSK, or the MSK of an EAP method.

use subtle::ConstantTimeEq;

use super::algorithm::Prf;
use super::schedule::AuthKeys;
use super::secret::PrfKey;
use super::{CryptoError, Role};

/// Pads keys of this method, so that a secret used here is no use to other protocols (RFC 7296 section 2.15).
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// What a peer vouches for: its IKE_SA_INIT message, the other's nonce, and its identity bound to the IKE SA.
///
/// Signature methods (RFC 7427) sign the same octets: see [`SignedOctets::parts`].
#[derive(Debug)]
pub struct SignedOctets<'a> {
    prf: Prf,
    message: &'a [u8],
    nonce: &'a [u8],
    bound_id: PrfKey,
}

impl<'a> SignedOctets<'a> {
    /// `message`: the signer's own IKE_SA_INIT message as sent, from the IKE header on, without non-ESP marker.
    /// `nonce`: the other end's nonce data. `id_body`: the signer's ID payload without its generic header.
    #[must_use]
    pub fn new(keys: &AuthKeys, signer: Role, message: &'a [u8], nonce: &'a [u8], id_body: &[u8]) -> SignedOctets<'a> {
        let prf = keys.prf();
        SignedOctets { prf, message, nonce, bound_id: prf.mac(keys.of(signer).expose(), &[id_body]) }
    }

    /// The octets, to be joined.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 3] {
        [self.message, self.nonce, self.bound_id.expose()]
    }

    /// AUTH = prf(prf(secret, "Key Pad for IKEv2"), octets).
    #[must_use]
    pub fn shared_key_auth(&self, secret: &[u8]) -> PrfKey {
        let padded = self.prf.mac(secret, &[KEY_PAD]);
        self.prf.mac(padded.expose(), &self.parts())
    }

    /// Whether `auth` proves knowledge of `secret`, in constant time.
    pub fn verify_shared_key(&self, secret: &[u8], auth: &[u8]) -> Result<(), CryptoError> {
        let right: bool = self.shared_key_auth(secret).expose().ct_eq(auth).into();
        right.then_some(()).ok_or(CryptoError::AuthMismatch)
    }
}
