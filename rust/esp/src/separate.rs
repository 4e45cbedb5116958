//! Ciphers that encrypt and nothing else, and the HMAC over what they made: AES-CTR (RFC 3686), AES-CBC (RFC 3602),
//! RFC 4868.

use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;

use crate::Suite;
use crate::keys::{Refused, Way};
use crate::packet::Covered;

const BLOCK: usize = 16;

/// The contexts of one direction.
pub(crate) struct Separate {
    crypt: Crypt,
    integ: hmac::Key,
}

enum Crypt {
    Counter(EncryptingKey),
    ChainOut(EncryptingKey),
    ChainIn(DecryptingKey),
}

impl Separate {
    pub(crate) fn new(suite: Suite, way: Way, key: &[u8], integ_key: &[u8]) -> Result<Separate, Refused> {
        let integ = suite.integ().ok_or(Refused)?;
        let algorithm = suite.block_cipher().ok_or(Refused)?;
        let key = UnboundCipherKey::new(algorithm, key).map_err(|_| Refused)?;
        let crypt = match (suite, way) {
            (Suite::AesCtr { .. }, _) => EncryptingKey::ctr(key).map(Crypt::Counter),
            (_, Way::Out) => EncryptingKey::cbc(key).map(Crypt::ChainOut),
            (_, Way::In) => DecryptingKey::cbc(key).map(Crypt::ChainIn),
        };
        Ok(Separate { crypt: crypt.map_err(|_| Refused)?, integ: hmac::Key::new(integ.provider(), integ_key) })
    }

    /// Encrypt in place; the IV as it travels, longer than that with zeros behind it.
    pub(crate) fn encrypt(&self, salt: &[u8], iv: u64, body: &mut [u8]) -> Result<[u8; BLOCK], Refused> {
        let mut on_wire = [0; BLOCK];
        match &self.crypt {
            Crypt::Counter(key) => {
                on_wire[..8].copy_from_slice(&iv.to_be_bytes());
                run(key, counter_block(salt, &on_wire[..8])?, body)?;
            }
            Crypt::ChainOut(key) => {
                // Nobody can tell it before (RFC 3602 section 3): a number never used before, encrypted under the key
                // itself (NIST SP 800-38A appendix C).
                on_wire[8..].copy_from_slice(&iv.to_be_bytes());
                run(key, [0; BLOCK], &mut on_wire)?;
                run(key, on_wire, body)?;
            }
            Crypt::ChainIn(_) => return Err(Refused),
        }
        Ok(on_wire)
    }

    /// Decrypt in place.
    pub(crate) fn decrypt(&self, salt: &[u8], iv: &[u8], body: &mut [u8]) -> Result<(), Refused> {
        match &self.crypt {
            Crypt::Counter(key) => run(key, counter_block(salt, iv)?, body),
            Crypt::ChainIn(key) => {
                let iv: [u8; BLOCK] = iv.try_into().map_err(|_| Refused)?;
                key.decrypt(body, DecryptionContext::Iv128(iv.into())).map(|_| ()).map_err(|_| Refused)
            }
            Crypt::ChainOut(_) => Err(Refused),
        }
    }

    /// The whole tag over a packet without its ICV; with extended sequence numbers their high half behind it (RFC 4303
    /// section 2.8).
    pub(crate) fn icv(&self, sealed: &[u8], covered: &Covered) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.integ);
        context.update(sealed);
        context.update(covered.high());
        context.sign()
    }

    /// Compare in constant time.
    pub(crate) fn check(&self, sealed: &[u8], covered: &Covered, icv: &[u8]) -> Result<(), Refused> {
        let tag = self.icv(sealed, covered);
        let right = tag.as_ref().get(..icv.len()).ok_or(Refused)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(right, icv).map_err(|_| Refused)
    }
}

/// Nonce, IV, and a count that begins with one (RFC 3686 section 4).
fn counter_block(salt: &[u8], iv: &[u8]) -> Result<[u8; BLOCK], Refused> {
    let mut block = [0; BLOCK];
    let (nonce, rest) = block.split_at_mut_checked(salt.len()).ok_or(Refused)?;
    nonce.copy_from_slice(salt);
    rest.get_mut(..iv.len()).ok_or(Refused)?.copy_from_slice(iv);
    block[BLOCK - 1] = 1;
    Ok(block)
}

fn run(key: &EncryptingKey, iv: [u8; BLOCK], body: &mut [u8]) -> Result<(), Refused> {
    key.less_safe_encrypt(body, EncryptionContext::Iv128(iv.into())).map(|_| ()).map_err(|_| Refused)
}
