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
    between: Vec<u8>,
}

impl<'a> SignedOctets<'a> {
    /// `message`: the signer's own IKE_SA_INIT message as sent, from the IKE header on, without non-ESP marker.
    /// `nonce`: the other end's nonce data. `id_body`: the signer's ID payload without its generic header.
    #[must_use]
    pub fn new(keys: &AuthKeys, signer: Role, message: &'a [u8], nonce: &'a [u8], id_body: &[u8]) -> SignedOctets<'a> {
        let prf = keys.prf();
        let bound_id = prf.mac(keys.of(signer).expose(), &[id_body]);
        SignedOctets { prf, message, nonce, bound_id, between: Vec::new() }
    }

    /// The same, with what was said in IKE_INTERMEDIATE exchanges before this IKE_AUTH.
    #[must_use]
    pub fn after(self, said: &Intermediate) -> SignedOctets<'a> {
        SignedOctets { between: said.octets(), ..self }
    }

    /// The octets, to be joined.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 4] {
        [self.message, self.nonce, self.bound_id.expose(), &self.between]
    }

    /// AUTH = prf(prf(secret, "Key Pad for IKEv2"), octets).
    #[must_use]
    pub fn shared_key_auth(&self, secret: &[u8]) -> PrfKey {
        let padded = self.prf.mac(secret, &[KEY_PAD]);
        self.prf.mac(padded.expose(), &self.parts())
    }

    /// AUTH of an IKE SA that is taken up again by a ticket: prf(SK_p, octets) (RFC 5723 section 5.1).
    #[must_use]
    pub fn resumed_auth(&self, keys: &AuthKeys, signer: Role) -> PrfKey {
        self.prf.mac(keys.of(signer).expose(), &self.parts())
    }

    /// Whether `auth` is that, in constant time.
    pub fn verify_resumed(&self, keys: &AuthKeys, signer: Role, auth: &[u8]) -> Result<(), CryptoError> {
        let right: bool = self.resumed_auth(keys, signer).expose().ct_eq(auth).into();
        right.then_some(()).ok_or(CryptoError::AuthMismatch)
    }

    /// Whether `auth` proves knowledge of `secret`, in constant time.
    pub fn verify_shared_key(&self, secret: &[u8], auth: &[u8]) -> Result<(), CryptoError> {
        let right: bool = self.shared_key_auth(secret).expose().ct_eq(auth).into();
        right.then_some(()).ok_or(CryptoError::AuthMismatch)
    }
}

/// What both ends said in IKE_INTERMEDIATE exchanges, for their AUTH (RFC 9242 section 3.3.2).
#[derive(Debug, Default)]
pub struct Intermediate {
    exchanges: u32,
    both: Option<Box<[PrfKey; 2]>>,
}

impl Intermediate {
    /// One exchange more: both messages as [`crate::wire::sk::intact`] has them. `keys` are those in use during it.
    ///
    /// IntAuth_i(n) = prf(SK_pi(n), IntAuth_i(n-1) | message), and the same for the responder with SK_pr.
    pub fn add(&mut self, keys: &AuthKeys, request: &[u8], answer: &[u8]) {
        let [before_i, before_r] = match &self.both {
            Some(before) => [before[0].expose(), before[1].expose()],
            None => [&[][..], &[][..]],
        };
        let prf = keys.prf();
        let initiator = prf.mac(keys.of(Role::Initiator).expose(), &[before_i, request]);
        let responder = prf.mac(keys.of(Role::Responder).expose(), &[before_r, answer]);
        self.both = Some(Box::new([initiator, responder]));
        self.exchanges += 1;
    }

    /// IntAuth = IntAuth_iN | IntAuth_rN | message id of the first IKE_AUTH; nothing if there was no such exchange.
    fn octets(&self) -> Vec<u8> {
        // IKE_SA_INIT was number 0.
        let auth_id = 1 + self.exchanges;
        self.both.as_deref().map_or_else(Vec::new, |[initiator, responder]| {
            [initiator.expose(), responder.expose(), &auth_id.to_be_bytes()].concat()
        })
    }
}
