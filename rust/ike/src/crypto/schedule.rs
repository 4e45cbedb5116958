//! The key schedule of RFC 7296 as types: what a step needs is its argument, what it used up is gone.
//!
//! ```text
//! Nonces + SharedSecret            -> SkeySeed::initial    (section 2.14)
//! Nonces + SharedSecret + old SkD  -> SkeySeed::rekeyed    (section 2.18; RFC 9370 section 2.2.2)
//! SkeySeed + Nonces + Spis + suite -> IkeKeys + AuthKeys   (section 2.14)
//! Nonces + SharedSecrets + old SkD -> SkeySeed::rekeyed_by (RFC 9370 section 2.2.4)
//! Nonces + old SkD                 -> SkeySeed::resumed    (RFC 5723 section 5.1)
//! SkD + Nonces [+ SharedSecrets]   -> ChildKeys            (section 2.17; RFC 9370 section 2.2.4)
//! SkD + Spis                       -> IkeKeys::for_probes  (docs/extensions/path-probes.md)
//! ```
//!
//! [`AuthKeys`] (SK_pi, SK_pr) are apart because they can be dropped once IKE_AUTH is done.

use core::fmt;

use zeroize::Zeroizing;

mod park;

use super::algorithm::Prf;
use super::cipher::{IvCounter, PayloadCipher};
use super::kex::SharedSecret;
use super::prf::PrfPlus;
use super::secret::{EncrKey, PrfKey, Secret};
use super::suite::{EspSuite, IkeSuite};
use super::{CryptoError, Role};

/// Ni and Nr of one exchange: the data of the nonce payloads, without headers.
#[derive(Debug, Clone, Copy)]
pub struct Nonces<'a> {
    initiator: &'a [u8],
    responder: &'a [u8],
}

impl<'a> Nonces<'a> {
    /// Octets of the nonces we make: at least half the key size of any PRF we have (RFC 7296 section 2.10).
    pub const FRESH_LEN: usize = 32;
    /// Shortest nonce a peer may send (RFC 7296 section 3.9).
    pub const MIN_LEN: usize = 16;
    /// Longest nonce a peer may send (RFC 7296 section 3.9).
    pub const MAX_LEN: usize = 256;

    /// Both nonces, lengths checked.
    pub fn new(initiator: &'a [u8], responder: &'a [u8]) -> Result<Nonces<'a>, CryptoError> {
        for nonce in [initiator, responder] {
            if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&nonce.len()) {
                return Err(CryptoError::NonceLength(nonce.len()));
            }
        }
        Ok(Nonces { initiator, responder })
    }
}

/// SPIi and SPIr of an IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spis {
    /// The original initiator's SPI.
    pub initiator: u64,
    /// The original responder's SPI.
    pub responder: u64,
}

/// SKEYSEED: made from a key exchange, good for one expansion.
#[derive(Debug)]
pub struct SkeySeed(PrfKey);

impl SkeySeed {
    /// For the first IKE SA with a peer: SKEYSEED = prf(Ni | Nr, g^ir).
    #[must_use]
    pub fn initial(prf: Prf, nonces: &Nonces<'_>, shared: SharedSecret) -> SkeySeed {
        let (ni, nr) = (nonces.initiator, nonces.responder);
        let mut key = Zeroizing::new([0; 2 * Nonces::MAX_LEN]);
        key[..ni.len()].copy_from_slice(ni);
        key[ni.len()..ni.len() + nr.len()].copy_from_slice(nr);
        SkeySeed(prf.mac(&key[..ni.len() + nr.len()], &[shared.expose()]))
    }

    /// For an IKE SA that replaces another: SKEYSEED = prf(old SK_d, g^ir | Ni | Nr), with the old SA's PRF. And for one
    /// after an additional key exchange: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr) (RFC 9370 section 2.2.2).
    #[must_use]
    pub fn rekeyed(old: &SkD, nonces: &Nonces<'_>, shared: SharedSecret) -> SkeySeed {
        SkeySeed::rekeyed_by(old, nonces, &[shared])
    }

    /// For an IKE SA that is taken up again by a ticket: SKEYSEED = prf(SK_d of the old one, "Resumption" | Ni | Nr) (RFC 5723
    /// section 5.1).
    #[must_use]
    pub fn resumed(old: &SkD, nonces: &Nonces<'_>) -> SkeySeed {
        SkeySeed(old.prf.mac(old.key.expose(), &[b"Resumption", nonces.initiator, nonces.responder]))
    }

    /// For an IKE SA that replaces another with additional key exchanges, SK(0) to SK(n): SKEYSEED = prf(SK_d, SK(0) | Ni |
    /// Nr | SK(1) | ... | SK(n)) (RFC 9370 section 2.2.4).
    #[must_use]
    pub fn rekeyed_by(old: &SkD, nonces: &Nonces<'_>, secrets: &[SharedSecret]) -> SkeySeed {
        SkeySeed(old.prf.mac(old.key.expose(), &in_order(nonces, secrets)))
    }

    /// {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr), with the new
    /// SA's PRF and SPIs.
    pub fn expand(self, suite: &IkeSuite, nonces: &Nonces<'_>, spis: Spis) -> Result<(IkeKeys, AuthKeys), CryptoError> {
        let (spi_i, spi_r) = (spis.initiator.to_be_bytes(), spis.responder.to_be_bytes());
        let seed: [&[u8]; 4] = [nonces.initiator, nonces.responder, &spi_i, &spi_r];
        let (prf, cipher) = (suite.prf(), suite.cipher());
        let mut stream = prf.plus(self.0.expose(), &seed);
        let keys = IkeKeys::take(prf, cipher, &mut stream)?;
        let auth = AuthKeys { prf, pi: stream.take(prf.output_len())?, pr: stream.take(prf.output_len())? };
        Ok((keys, auth))
    }
}

/// SK(0) | Ni | Nr | SK(1) | ... | SK(n); without a key exchange Ni | Nr.
fn in_order<'a>(nonces: &Nonces<'a>, secrets: &'a [SharedSecret]) -> Vec<&'a [u8]> {
    let mut all: Vec<&[u8]> = secrets.iter().map(SharedSecret::expose).collect();
    let behind_first = all.len().min(1);
    all.splice(behind_first..behind_first, [nonces.initiator, nonces.responder]);
    all
}

/// Boxed, for it is absent from every AEAD suite and would be the largest part of the keys.
fn integ_key(stream: &mut PrfPlus<'_>, cipher: PayloadCipher) -> Result<Option<Box<PrfKey>>, CryptoError> {
    cipher.integ().map(|integ| stream.take(integ.key_len()).map(Box::new)).transpose()
}

/// SK_d with the PRF it belongs to: the root of Child SA keys and of the next IKE SA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkD {
    prf: Prf,
    key: PrfKey,
}

impl SkD {
    pub(super) fn expose(&self) -> &[u8] {
        self.key.expose()
    }
}

/// What protects one direction: SK_e and SK_a of RFC 7296 section 2.14, or one direction's part of KEYMAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectionKeys {
    encr: EncrKey,
    integ: Option<Box<PrfKey>>,
}

impl DirectionKeys {
    /// Keys made elsewhere; `None` if one is longer than any algorithm's.
    #[must_use]
    pub fn from_slices(encr: &[u8], integ: Option<&[u8]>) -> Option<DirectionKeys> {
        let integ = match integ {
            Some(bytes) => Some(Box::new(Secret::from_slice(bytes)?)),
            None => None,
        };
        Some(DirectionKeys { encr: Secret::from_slice(encr)?, integ })
    }

    /// The encryption key, its salt behind it.
    #[must_use]
    pub fn encr(&self) -> &[u8] {
        self.encr.expose()
    }

    /// Both keys one behind the other, as a data plane takes them (RFC 7296 section 2.17).
    #[must_use]
    pub fn keymat(&self) -> Zeroizing<Vec<u8>> {
        let integ = self.integ().unwrap_or_default();
        let mut keymat = Zeroizing::new(Vec::with_capacity(self.encr().len() + integ.len()));
        keymat.extend_from_slice(self.encr());
        keymat.extend_from_slice(integ);
        keymat
    }

    /// The integrity key, if the suite has one.
    #[must_use]
    pub fn integ(&self) -> Option<&[u8]> {
        self.integ.as_deref().map(Secret::expose)
    }
}

/// The keys of an IKE SA for as long as it lives: SK_d, and SK_e and SK_a of both directions.
#[derive(Debug)]
pub struct IkeKeys {
    cipher: PayloadCipher,
    sk_d: SkD,
    from_initiator: DirectionKeys,
    from_responder: DirectionKeys,
}

impl IkeKeys {
    /// Keys that protect nothing but path probes (docs/extensions/path-probes.md), so that neither nonces nor message ids
    /// of one kind can meet those of the other: {SK_d' | SK_ai' | SK_ar' | SK_ei' | SK_er'} = prf+(SK_d, label | SPIi |
    /// SPIr). Shorter than any Ni | Nr, the seed is that of no Child SA (section 2.17). SK_d' is the root of nothing.
    pub fn for_probes(&self, spis: Spis) -> Result<IkeKeys, CryptoError> {
        const LABEL: &[u8; 15] = b"mobike probes 1";
        let (spi_i, spi_r) = (spis.initiator.to_be_bytes(), spis.responder.to_be_bytes());
        let seed: [&[u8]; 3] = [LABEL, &spi_i, &spi_r];
        let mut stream = self.sk_d.prf.plus(self.sk_d.key.expose(), &seed);
        IkeKeys::take(self.sk_d.prf, self.cipher, &mut stream)
    }

    /// From now on a key that the ends share otherwise is part of the root (RFC 8784 section 3): SK_d = prf+(PPK, SK_d').
    pub fn mix(&mut self, ppk: &[u8]) -> Result<(), CryptoError> {
        self.sk_d.key = mixed(self.sk_d.prf, ppk, &self.sk_d.key)?;
        Ok(())
    }

    /// In the order of section 2.14.
    fn take(prf: Prf, cipher: PayloadCipher, stream: &mut PrfPlus<'_>) -> Result<IkeKeys, CryptoError> {
        let sk_d = SkD { prf, key: stream.take(prf.output_len())? };
        let [sk_ai, sk_ar] = [integ_key(stream, cipher)?, integ_key(stream, cipher)?];
        let [sk_ei, sk_er] = [stream.take(cipher.encr().key_len())?, stream.take(cipher.encr().key_len())?];
        let from_initiator = DirectionKeys { encr: sk_ei, integ: sk_ai };
        let from_responder = DirectionKeys { encr: sk_er, integ: sk_ar };
        Ok(IkeKeys { cipher, sk_d, from_initiator, from_responder })
    }

    /// How messages are protected; for the sizes of IV, ICV and padding.
    #[must_use]
    pub fn cipher(&self) -> PayloadCipher {
        self.cipher
    }

    /// The root of further keys.
    #[must_use]
    pub fn sk_d(&self) -> &SkD {
        &self.sk_d
    }

    /// The keys of what `sender` sends; roles are those of the IKE SA's original initiator and responder.
    #[must_use]
    pub fn sent_by(&self, sender: Role) -> &DirectionKeys {
        match sender {
            Role::Initiator => &self.from_initiator,
            Role::Responder => &self.from_responder,
        }
    }

    /// Seal a message that we send; see [`PayloadCipher::seal_in_place`].
    pub fn seal_in_place(
        &self,
        we_are: Role,
        counter: &mut IvCounter,
        aad: &[u8],
        iv_out: &mut [u8],
        body: &mut [u8],
        icv_out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.cipher.seal_in_place(self.sent_by(we_are), counter, aad, iv_out, body, icv_out)
    }

    /// Open a message from the peer; see [`PayloadCipher::open_in_place`].
    pub fn open_in_place(
        &self,
        we_are: Role,
        aad: &[u8],
        iv: &[u8],
        body: &mut [u8],
        icv: &[u8],
    ) -> Result<(), CryptoError> {
        self.cipher.open_in_place(self.sent_by(we_are.other()), aad, iv, body, icv)
    }
}

/// SK_pi and SK_pr: needed for the AUTH payloads, then to be dropped.
pub struct AuthKeys {
    prf: Prf,
    pi: PrfKey,
    pr: PrfKey,
}

impl AuthKeys {
    /// The PRF that AUTH is computed with.
    #[must_use]
    pub fn prf(&self) -> Prf {
        self.prf
    }

    /// The same with a key that the ends share otherwise (RFC 8784 section 3): SK_p = prf+(PPK, SK_p').
    pub fn mixed(&self, ppk: &[u8]) -> Result<AuthKeys, CryptoError> {
        let AuthKeys { prf, pi, pr } = self;
        Ok(AuthKeys { prf: *prf, pi: mixed(*prf, ppk, pi)?, pr: mixed(*prf, ppk, pr)? })
    }

    /// SK_pi or SK_pr, by whose identity is bound.
    #[must_use]
    pub fn of(&self, signer: Role) -> &PrfKey {
        match signer {
            Role::Initiator => &self.pi,
            Role::Responder => &self.pr,
        }
    }
}

fn mixed(prf: Prf, ppk: &[u8], key: &PrfKey) -> Result<PrfKey, CryptoError> {
    prf.plus(ppk, &[key.expose()]).take(prf.output_len())
}

impl fmt::Debug for AuthKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKeys([secret])")
    }
}

/// The keys of a pair of Child SAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildKeys {
    from_initiator: DirectionKeys,
    from_responder: DirectionKeys,
}

impl ChildKeys {
    /// KEYMAT = prf+(SK_d, \[g^ir |\] Ni | Nr \[| SK(1) | ...\]), taken for the SA from initiator to responder first, in each
    /// the encryption key before the integrity key (RFC 7296 section 2.17, RFC 9370 section 2.2.4). `secrets` has one for
    /// each key exchange, in their order.
    pub fn derive(
        sk_d: &SkD,
        suite: &EspSuite,
        nonces: &Nonces<'_>,
        secrets: &[SharedSecret],
    ) -> Result<ChildKeys, CryptoError> {
        let seed = in_order(nonces, secrets);
        let mut stream = sk_d.prf.plus(sk_d.key.expose(), &seed);
        let mut direction = || {
            let encr = stream.take(suite.encr().key_len())?;
            Ok(DirectionKeys { encr, integ: integ_key(&mut stream, suite.cipher())? })
        };
        Ok(ChildKeys { from_initiator: direction()?, from_responder: direction()? })
    }

    /// The keys of what `sender` sends; roles are those of the exchange that made the Child SA.
    #[must_use]
    pub fn sent_by(&self, sender: Role) -> &DirectionKeys {
        match sender {
            Role::Initiator => &self.from_initiator,
            Role::Responder => &self.from_responder,
        }
    }
}
