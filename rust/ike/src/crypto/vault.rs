//! Seals what must survive the process, at rest: AES-256-GCM under a key that the operator keeps.
//!
//! ```text
//! store key (32 octets, the operator's)  --HKDF-SHA256, salt-->  key of this vault
//! nonce                                  the count of what this vault sealed before
//! ```
//!
//! Each vault has a salt of its own, so its key seals nothing but what this vault seals, and its nonces are counted:
//! none is used twice, however often a process starts and however much it writes.

use core::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use super::CryptoError;
use super::secret::SecretBytes;

/// Octets of the operator's key.
pub const STORE_KEY_LEN: usize = 32;
/// Octets of a vault's salt.
pub const SALT_LEN: usize = 32;
/// Octets that tell keys apart; they say nothing of the key.
pub const KEY_ID_LEN: usize = 8;
const TAG_LEN: usize = 16;
const COUNT_LEN: usize = 8;

/// Seals pieces, and opens those of other vaults that had the same store key.
pub struct Vault {
    store_key: SecretBytes,
    salt: [u8; SALT_LEN],
    own: LessSafeKey,
    purpose: &'static [u8],
    sealed: AtomicU64,
}

impl Vault {
    /// `salt` must be chance, and fresh for each vault.
    pub fn new(store_key: &[u8; STORE_KEY_LEN], salt: [u8; SALT_LEN]) -> Result<Vault, CryptoError> {
        Vault::with_purpose(store_key, salt, b"mobike store records")
    }

    /// The same for tickets (RFC 5723), under a key of their own.
    pub fn for_tickets(ticket_key: &[u8; STORE_KEY_LEN], salt: [u8; SALT_LEN]) -> Result<Vault, CryptoError> {
        Vault::with_purpose(ticket_key, salt, b"mobike tickets")
    }

    fn with_purpose(
        store_key: &[u8; STORE_KEY_LEN],
        salt: [u8; SALT_LEN],
        purpose: &'static [u8],
    ) -> Result<Vault, CryptoError> {
        let store_key = SecretBytes::from_slice(store_key);
        let own = derived(&store_key, &salt, purpose)?;
        Ok(Vault { store_key, salt, own, purpose, sealed: AtomicU64::new(0) })
    }

    /// The name of the store key: the same for all its vaults.
    pub fn key_id(&self) -> Result<[u8; KEY_ID_LEN], CryptoError> {
        let mut id = [0; KEY_ID_LEN];
        expand(&self.store_key, &[], b"mobike store key id", &mut id)?;
        Ok(id)
    }

    /// `head`, which stays readable and is vouched for, with `plain` sealed behind it.
    pub fn seal(&self, head: &[u8], plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let count = self.sealed.fetch_add(1, Ordering::Relaxed);
        let begin = head.len() + SALT_LEN + COUNT_LEN;
        let mut piece = Vec::with_capacity(begin + plain.len() + TAG_LEN);
        piece.extend_from_slice(head);
        piece.extend_from_slice(&self.salt);
        piece.extend_from_slice(&count.to_be_bytes());
        piece.extend_from_slice(plain);
        let (aad, body) = piece.split_at_mut(begin);
        let tag = self.own.seal_in_place_separate_tag(nonce(count), Aad::from(aad), body);
        piece.extend_from_slice(tag.map_err(|_| CryptoError::Provider)?.as_ref());
        Ok(piece)
    }

    /// What a vault with the same store key sealed behind a head of this length.
    pub fn open(&self, piece: &[u8], head_len: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (aad, sealed) = piece.split_at_checked(head_len + SALT_LEN + COUNT_LEN).ok_or(CryptoError::BufferLength)?;
        let (salt, count) = aad[head_len..].split_first_chunk::<SALT_LEN>().ok_or(CryptoError::BufferLength)?;
        let count = <[u8; COUNT_LEN]>::try_from(count).map_err(|_| CryptoError::BufferLength)?;
        let key = derived(&self.store_key, salt, self.purpose)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let opened = key.open_in_place(nonce(u64::from_be_bytes(count)), Aad::from(aad), &mut plain);
        let length = opened.map_err(|_| CryptoError::IcvMismatch)?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

fn derived(store_key: &SecretBytes, salt: &[u8], purpose: &[u8]) -> Result<LessSafeKey, CryptoError> {
    let mut key = Zeroizing::new([0; STORE_KEY_LEN]);
    expand(store_key, salt, purpose, &mut *key)?;
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| CryptoError::Provider)?))
}

fn expand(store_key: &SecretBytes, salt: &[u8], purpose: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(store_key.expose());
    let stream = root.expand(&[purpose], Length(out.len())).and_then(|stream| stream.fill(out));
    stream.map_err(|_| CryptoError::Provider)
}

fn nonce(count: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&count.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::{CryptoError, Vault};

    #[test]
    fn another_vault_with_the_same_store_key_opens_what_one_sealed_and_nobody_else_does() {
        let (one, other) = (Vault::new(&[1; 32], [2; 32]).unwrap(), Vault::new(&[1; 32], [3; 32]).unwrap());
        let sealed = one.seal(b"head", b"keys").unwrap();
        assert!(sealed.starts_with(b"head") && !sealed.windows(4).any(|four| four == b"keys"));
        assert_eq!(&**other.open(&sealed, 4).unwrap(), b"keys");
        assert_eq!(one.key_id(), other.key_id());
        let stranger = Vault::new(&[9; 32], [2; 32]).unwrap();
        assert_ne!(one.key_id(), stranger.key_id());
        assert_eq!(stranger.open(&sealed, 4).unwrap_err(), CryptoError::IcvMismatch);
    }

    #[test]
    fn no_octet_can_be_changed_or_left_out_and_no_two_pieces_share_a_nonce() {
        let vault = Vault::new(&[1; 32], [2; 32]).unwrap();
        let sealed = vault.seal(b"head", b"keys").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open(&changed, 4).is_err(), "octet {at}");
            assert!(vault.open(&sealed[..at], 4).is_err(), "cut before octet {at}");
        }
        let again = vault.seal(b"head", b"keys").unwrap();
        assert_ne!(sealed[36..44], again[36..44], "the count is the nonce");
    }
}
