//! Byte containers that wipe themselves, do not print, and compare in constant time.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Up to `N` secret octets stored inline: no heap, `N + 1` bytes, `N` at most 255.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

/// The largest PRF output, and so the largest SK_d, SK_a or SK_p (SHA2-512).
pub const MAX_PRF_LEN: usize = 64;

/// Largest ENCR key with its salt (AES-256-GCM, RFC 5282 section 7.1: 32 + 4 octets).
pub const MAX_ENCR_KEY_LEN: usize = 36;

/// A PRF key or PRF output.
pub type PrfKey = Secret<MAX_PRF_LEN>;

/// An encryption key, salt included.
pub type EncrKey = Secret<MAX_ENCR_KEY_LEN>;

impl<const N: usize> Secret<N> {
    const FITS: () = assert!(N <= u8::MAX as usize);

    /// `len` octets written by `fill`; `None` if they do not fit.
    pub fn from_fn<E>(len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Option<Result<Self, E>> {
        let mut secret = Self::zeros(len)?;
        Some(fill(&mut secret.bytes[..len]).map(|()| secret))
    }

    /// A copy of `bytes`; `None` if they do not fit.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::zeros(bytes.len())?;
        secret.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(secret)
    }

    fn zeros(len: usize) -> Option<Self> {
        let () = Self::FITS;
        (len <= N).then(|| Secret { len: len as u8, bytes: [0; N] })
    }

    /// The octets. Every use of this is a place where a secret may leak.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Number of octets.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Secret octets of any length on the heap, never grown (growing leaves copies): pre-shared keys, shared secrets.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Box<[u8]>);

impl SecretBytes {
    /// A copy of `bytes`.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> SecretBytes {
        SecretBytes(bytes.into())
    }

    /// The octets. Every use of this is a place where a secret may leak.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PrfKey {
    /// A provider tag, which is never longer than [`MAX_PRF_LEN`].
    pub(super) fn of_tag(tag: &[u8]) -> PrfKey {
        let len = tag.len().min(MAX_PRF_LEN);
        let mut secret = Secret { len: len as u8, bytes: [0; MAX_PRF_LEN] };
        secret.bytes[..len].copy_from_slice(&tag[..len]);
        secret
    }

    /// The first `len` octets.
    pub(super) fn truncated(mut self, len: usize) -> PrfKey {
        let keep = len.min(self.len());
        self.bytes[keep..].zeroize();
        self.len = keep as u8;
        self
    }
}
