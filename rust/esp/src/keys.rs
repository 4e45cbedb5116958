//! The key of one direction: raw bytes always, a cipher context only while packets flow.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use crate::Suite;
use crate::packet::{self, IV_LEN};

/// Salt at the end of the keying material, the fixed part of the nonce (RFC 4106 section 4).
pub(crate) const SALT_LEN: usize = 4;
const KEYMAT_MAX: usize = 32 + SALT_LEN;

/// One direction's key.
pub(crate) struct Key {
    suite: Suite,
    keymat: [u8; KEYMAT_MAX],
    /// Key schedule and GHASH tables, some 700 bytes behind a pointer. AWS-LC wipes them when freed.
    context: Option<LessSafeKey>,
}

/// The cipher refused: on opening, the ICV is wrong.
pub(crate) struct Refused;

impl Key {
    /// A key still without bytes. [`Key::load`] fills it where it lies, so that no moved-from copy is left behind.
    pub(crate) fn empty(suite: Suite) -> Key {
        Key { suite, keymat: [0; KEYMAT_MAX], context: None }
    }

    /// Take the bytes; `keymat` has been checked to be [`Suite::keymat_len`] long.
    pub(crate) fn load(&mut self, keymat: &[u8]) {
        for (to, from) in self.keymat.iter_mut().zip(keymat) {
            *to = *from;
        }
    }

    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt. Every use of this is a place where a secret may leak.
    pub(crate) fn keymat(&self) -> &[u8] {
        &self.keymat[..self.suite.keymat_len()]
    }

    pub(crate) fn is_warm(&self) -> bool {
        self.context.is_some()
    }

    /// Give the cipher context back.
    pub(crate) fn cool(&mut self) {
        self.context = None;
    }

    /// Encrypt `plain` then the trailer into `out` (just behind the IV, with room for the ICV).
    pub(crate) fn seal(&mut self, with: Sealing<'_>, plain: &[u8], out: &mut [u8]) -> Result<(), Refused> {
        if self.context.is_none() {
            self.context = Some(self.build()?);
        }
        let context = self.context.as_ref().ok_or(Refused)?;
        let (body, rest) = out.split_at_mut_checked(plain.len()).ok_or(Refused)?;
        context
            .seal_out_of_place_scatter(self.nonce(with.iv), Aad::from(with.aad), plain, body, with.trailer, rest)
            .map_err(|_| Refused)
    }

    /// Check the ICV and decrypt `body` in place. A context is kept only after an authentic packet: strangers who hit
    /// an SPI must not make us hold memory.
    pub(crate) fn open(&mut self, with: Opening<'_>, body: &mut [u8]) -> Result<(), Refused> {
        let cold = if self.context.is_none() { Some(self.build()?) } else { None };
        let context = cold.as_ref().or(self.context.as_ref()).ok_or(Refused)?;
        context
            .open_in_place_separate_tag(self.nonce(with.iv), Aad::from(with.aad), with.icv, body)
            .map_err(|_| Refused)?;
        if cold.is_some() {
            self.context = cold;
        }
        Ok(())
    }

    fn build(&self) -> Result<LessSafeKey, Refused> {
        let key = &self.keymat[..self.suite.key_len()];
        Ok(LessSafeKey::new(UnboundKey::new(self.suite.algorithm(), key).map_err(|_| Refused)?))
    }

    /// Salt, then IV (RFC 4106 section 4).
    fn nonce(&self, iv: [u8; IV_LEN]) -> Nonce {
        let key_len = self.suite.key_len();
        let mut nonce = [0; SALT_LEN + IV_LEN];
        nonce[..SALT_LEN].copy_from_slice(&self.keymat[key_len..key_len + SALT_LEN]);
        nonce[SALT_LEN..].copy_from_slice(&iv);
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.keymat.zeroize();
    }
}

/// What sealing needs beside the plaintext.
pub(crate) struct Sealing<'a> {
    pub(crate) iv: [u8; IV_LEN],
    pub(crate) aad: packet::AadBytes,
    pub(crate) trailer: &'a [u8],
}

/// What opening needs beside the ciphertext.
pub(crate) struct Opening<'a> {
    pub(crate) iv: [u8; IV_LEN],
    pub(crate) aad: packet::AadBytes,
    pub(crate) icv: &'a [u8],
}
