//! prf and prf+ (RFC 7296 section 2.13), and the integrity HMACs, without allocation.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use super::CryptoError;
use super::algorithm::{Integ, Prf};
use super::secret::{PrfKey, Secret};

impl Prf {
    fn provider(self) -> hmac::Algorithm {
        match self {
            Prf::HmacSha256 => hmac::HMAC_SHA256,
            Prf::HmacSha384 => hmac::HMAC_SHA384,
            Prf::HmacSha512 => hmac::HMAC_SHA512,
            Prf::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }

    /// prf(key, parts joined).
    #[must_use]
    pub fn mac(self, key: &[u8], parts: &[&[u8]]) -> PrfKey {
        mac(&hmac::Key::new(self.provider(), key), parts)
    }

    /// The endless (well: 255 blocks) stream prf+(key, parts joined).
    #[must_use]
    pub fn plus<'a>(self, key: &[u8], seed: &'a [&'a [u8]]) -> PrfPlus<'a> {
        PrfPlus { key: hmac::Key::new(self.provider(), key), seed, block: None, taken: 0, blocks: 0 }
    }
}

impl Integ {
    /// The truncated HMAC over the parts joined.
    #[must_use]
    pub fn icv(self, key: &[u8], parts: &[&[u8]]) -> Secret<{ super::secret::MAX_PRF_LEN }> {
        let provider = match self {
            Integ::HmacSha256 => hmac::HMAC_SHA256,
            Integ::HmacSha384 => hmac::HMAC_SHA384,
            Integ::HmacSha512 => hmac::HMAC_SHA512,
            Integ::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        mac(&hmac::Key::new(provider, key), parts).truncated(self.icv_len())
    }

    /// Whether `icv` is the right one, in constant time.
    #[must_use]
    pub fn verify(self, key: &[u8], parts: &[&[u8]], icv: &[u8]) -> bool {
        self.icv(key, parts).expose().ct_eq(icv).into()
    }
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> PrfKey {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    Secret::of_tag(context.sign().as_ref())
}

/// prf+(K, S) = T1 | T2 | ..., T1 = prf(K, S | 1), Tn = prf(K, Tn-1 | S | n), read piece by piece.
pub struct PrfPlus<'a> {
    key: hmac::Key,
    seed: &'a [&'a [u8]],
    block: Option<PrfKey>,
    taken: usize,
    /// Blocks made so far; the counter is one octet.
    blocks: u8,
}

impl PrfPlus<'_> {
    /// Fill `out` with what comes next in the stream.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<(), CryptoError> {
        let mut done = 0;
        while done < out.len() {
            let rest = self.rest_of_block()?;
            let step = rest.len().min(out.len() - done);
            out[done..done + step].copy_from_slice(&rest[..step]);
            self.taken += step;
            done += step;
        }
        Ok(())
    }

    /// The next `len` octets as a secret of their own.
    pub fn take<const N: usize>(&mut self, len: usize) -> Result<Secret<N>, CryptoError> {
        Secret::from_fn(len, |out| self.fill(out)).ok_or(CryptoError::BufferLength)?
    }

    fn rest_of_block(&mut self) -> Result<&[u8], CryptoError> {
        if self.block.as_ref().is_none_or(|block| block.len() == self.taken) {
            self.next_block()?;
        }
        Ok(self.block.as_ref().map_or(&[][..], |block| &block.expose()[self.taken..]))
    }

    fn next_block(&mut self) -> Result<(), CryptoError> {
        self.blocks = self.blocks.checked_add(1).ok_or(CryptoError::KeymatTooLong)?;
        let mut context = hmac::Context::with_key(&self.key);
        if let Some(previous) = &self.block {
            context.update(previous.expose());
        }
        for part in self.seed {
            context.update(part);
        }
        context.update(&[self.blocks]);
        self.block = Some(Secret::of_tag(context.sign().as_ref()));
        self.taken = 0;
        Ok(())
    }
}
