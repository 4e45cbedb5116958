//! The key of one direction: raw bytes always, a cipher context only while packets flow.

use core::ops::Range;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use crate::Suite;
use crate::packet::{self, Covered};
use crate::separate::Separate;
use crate::suite::Shape;

/// Key and salt of any cipher.
const CIPHER_MAX: usize = 32 + SALT_MAX;
const SALT_MAX: usize = 4;
/// Bytes of a whole AEAD tag; a shorter ICV is its beginning.
const FULL_TAG: usize = 16;

/// One direction's key.
pub(crate) struct Key {
    suite: Suite,
    cipher: [u8; CIPHER_MAX],
    /// Boxed, for AEADs have none.
    integ: Option<Box<[u8]>>,
    /// Key schedule and GHASH tables, some 700 bytes behind a pointer. AWS-LC wipes them when freed.
    context: Option<Context>,
}

enum Context {
    Aead(LessSafeKey),
    Separate(Box<Separate>),
}

/// The cipher refused: on opening, the ICV is wrong.
pub(crate) struct Refused;

/// Which way packets of a key go.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Out,
    In,
}

impl Key {
    /// A key still without bytes. [`Key::load`] fills it where it lies, so that no moved-from copy is left behind.
    pub(crate) fn empty(suite: Suite) -> Key {
        Key { suite, cipher: [0; CIPHER_MAX], integ: None, context: None }
    }

    /// Take the bytes; `keymat` has been checked to be [`Suite::keymat_len`] long.
    pub(crate) fn load(&mut self, keymat: &[u8]) {
        let (cipher, integ) = keymat.split_at(self.cipher_len().min(keymat.len()));
        for (to, from) in self.cipher.iter_mut().zip(cipher) {
            *to = *from;
        }
        self.integ = (!integ.is_empty()).then(|| integ.into());
    }

    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    pub(crate) fn shape(&self) -> Shape {
        self.suite.shape()
    }

    /// Key and salt, and the key of the integrity algorithm. Every use of this is a place where a secret may leak.
    pub(crate) fn keymat(&self) -> impl Iterator<Item = u8> + '_ {
        self.cipher[..self.cipher_len()].iter().chain(self.integ.iter().flatten()).copied()
    }

    pub(crate) fn is_warm(&self) -> bool {
        self.context.is_some()
    }

    /// Give the cipher context back.
    pub(crate) fn cool(&mut self) {
        self.context = None;
    }

    /// Encrypt `plain` then the trailer into `packet`, which is exactly long enough; `covered` is written to its head.
    pub(crate) fn seal(&mut self, with: Sealing<'_>, plain: &[u8], packet: &mut [u8]) -> Result<(), Refused> {
        if self.context.is_none() {
            self.context = Some(self.build(Way::Out)?);
        }
        let Sealing { iv, covered, trailer } = with;
        let shape = self.shape();
        match self.context.as_ref().ok_or(Refused)? {
            Context::Aead(key) => {
                let body = packet::write_head(packet, &covered, &iv.to_be_bytes()).ok_or(Refused)?;
                let (body, rest) = body.split_at_mut_checked(plain.len()).ok_or(Refused)?;
                let (nonce, aad) = (self.nonce(&iv.to_be_bytes())?, Aad::from(covered.as_bytes()));
                if shape.icv == FULL_TAG {
                    return key.seal_out_of_place_scatter(nonce, aad, plain, body, trailer, rest).map_err(|_| Refused);
                }
                let mut tail = [0; packet::TRAILER_MAX + FULL_TAG];
                let tail = tail.get_mut(..trailer.len() + FULL_TAG).ok_or(Refused)?;
                key.seal_out_of_place_scatter(nonce, aad, plain, body, trailer, tail).map_err(|_| Refused)?;
                let kept = tail.get(..rest.len()).ok_or(Refused)?;
                rest.copy_from_slice(kept);
                Ok(())
            }
            Context::Separate(separate) => {
                let start = packet::BODY_AT + shape.iv;
                let end = packet.len().checked_sub(shape.icv).ok_or(Refused)?;
                let body = packet.get_mut(start..end).ok_or(Refused)?;
                let (inner, tail) = body.split_at_mut_checked(plain.len()).ok_or(Refused)?;
                inner.copy_from_slice(plain);
                tail.copy_from_slice(trailer);
                let iv = separate.encrypt(self.salt(), iv, body)?;
                packet::write_head(packet, &covered, &iv[..shape.iv]).ok_or(Refused)?;
                let (sealed, icv) = packet.split_at_mut(end);
                icv.copy_from_slice(separate.icv(sealed, &covered).as_ref().get(..shape.icv).ok_or(Refused)?);
                Ok(())
            }
        }
    }

    /// Check the ICV and decrypt in place; where the body lies. A context is kept only after an authentic packet:
    /// strangers who hit an SPI must not make us hold memory.
    pub(crate) fn open(&mut self, covered: &Covered, packet: &mut [u8]) -> Result<Range<usize>, Refused> {
        let cold = if self.context.is_none() { Some(self.build(Way::In)?) } else { None };
        let context = cold.as_ref().or(self.context.as_ref()).ok_or(Refused)?;
        let body = self.open_with(context, covered, packet)?;
        if cold.is_some() {
            self.context = cold;
        }
        Ok(body)
    }

    fn open_with(&self, context: &Context, covered: &Covered, packet: &mut [u8]) -> Result<Range<usize>, Refused> {
        let shape = self.shape();
        let start = packet::BODY_AT + shape.iv;
        let end = packet.len().checked_sub(shape.icv).filter(|end| *end >= start).ok_or(Refused)?;
        let (sealed, icv) = packet.split_at_mut(end);
        match context {
            Context::Aead(key) => {
                let (head, body) = sealed.split_at_mut(start);
                let iv = &head[packet::BODY_AT..];
                let aad = Aad::from(covered.as_bytes());
                if shape.icv == FULL_TAG {
                    key.open_in_place_separate_tag(self.nonce(iv)?, aad, icv, body).map_err(|_| Refused)?;
                } else {
                    self.open_short_tag(key, iv, covered, body, icv)?;
                }
            }
            Context::Separate(separate) => {
                separate.check(sealed, covered, icv)?;
                let (head, body) = sealed.split_at_mut(start);
                separate.decrypt(self.salt(), &head[packet::BODY_AT..], body)?;
            }
        }
        Ok(start..end)
    }

    /// The provider opens with whole tags alone. In counter mode, sealing twice gives back what there was, and with it
    /// the whole tag to compare the short one with.
    fn open_short_tag(
        &self,
        key: &LessSafeKey,
        iv: &[u8],
        covered: &Covered,
        body: &mut [u8],
        icv: &[u8],
    ) -> Result<(), Refused> {
        let mut again = vec![0; body.len()];
        let mut tag = [0; FULL_TAG];
        let aad = || Aad::from(covered.as_bytes());
        let _tag_of_nothing = key.seal_in_place_separate_tag(self.nonce(iv)?, aad(), body).map_err(|_| Refused)?;
        key.seal_out_of_place_scatter(self.nonce(iv)?, aad(), body, &mut again, &[], &mut tag).map_err(|_| Refused)?;
        let right = aws_lc_rs::constant_time::verify_slices_are_equal(&tag[..icv.len()], icv);
        right.map_err(|_| {
            body.fill(0);
            Refused
        })
    }

    fn build(&self, way: Way) -> Result<Context, Refused> {
        let key = &self.cipher[..self.suite.key_len()];
        match self.suite.aead() {
            Some(algorithm) => {
                UnboundKey::new(algorithm, key).map(LessSafeKey::new).map(Context::Aead).map_err(|_| Refused)
            }
            None => Separate::new(self.suite, way, key, self.integ.as_deref().unwrap_or_default())
                .map(Box::new)
                .map(Context::Separate),
        }
    }

    fn cipher_len(&self) -> usize {
        self.suite.key_len() + self.suite.salt_len()
    }

    /// Salt at the end of the cipher key, the fixed part of the nonce (RFC 4106 section 4).
    fn salt(&self) -> &[u8] {
        &self.cipher[self.suite.key_len()..self.cipher_len()]
    }

    /// Salt, then IV (RFC 4106 section 4).
    fn nonce(&self, iv: &[u8]) -> Result<Nonce, Refused> {
        let mut nonce = [0; SALT_MAX + 8];
        let (salt, rest) = nonce.split_at_mut(SALT_MAX);
        if (salt.len(), rest.len()) != (self.salt().len(), iv.len()) {
            return Err(Refused);
        }
        salt.copy_from_slice(self.salt());
        rest.copy_from_slice(iv);
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.cipher.zeroize();
        self.integ.zeroize();
    }
}

/// What sealing needs beside the plaintext.
pub(crate) struct Sealing<'a> {
    /// Never twice under a key.
    pub(crate) iv: u64,
    pub(crate) covered: Covered,
    pub(crate) trailer: &'a [u8],
}
