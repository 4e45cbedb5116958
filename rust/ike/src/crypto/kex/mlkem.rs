//! ML-KEM (FIPS 203), as draft-ietf-ipsecme-ikev2-mlkem uses it: the initiator sends an encapsulation key, the responder
//! a ciphertext, and the secret is the shared key as it is.
//!
//! `ml-kem` and not the provider, for that one takes its chance from the operating system and no test could be replayed.

use ml_kem::kem::{Decapsulate, KeyExport, TryKeyInit};
use ml_kem::{B32, DecapsulationKey, EncapsulationKey, MlKem512, MlKem768, MlKem1024, Seed, SharedKey};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::algorithm::KeMethod;
use crate::crypto::random::Random;
use crate::crypto::secret::SecretBytes;

/// A key to open ciphertexts with. Boxed, for it has kilobytes; it wipes itself.
pub(super) enum Opener {
    MlKem512(Box<DecapsulationKey<MlKem512>>),
    MlKem768(Box<DecapsulationKey<MlKem768>>),
    MlKem1024(Box<DecapsulationKey<MlKem1024>>),
}

impl Opener {
    /// A fresh one.
    pub(super) fn generate(method: KeMethod, random: &mut dyn Random) -> Option<Opener> {
        let mut seed = Seed::default();
        random.fill(&mut seed);
        let opener = Opener::from_seed(method, &seed);
        seed.zeroize();
        opener
    }

    /// The key of this seed, d and z of FIPS 203 algorithm 19.
    pub(super) fn from_seed(method: KeMethod, seed: &Seed) -> Option<Opener> {
        match method {
            KeMethod::MlKem512 => Some(Opener::MlKem512(Box::new(DecapsulationKey::from_seed(*seed)))),
            KeMethod::MlKem768 => Some(Opener::MlKem768(Box::new(DecapsulationKey::from_seed(*seed)))),
            KeMethod::MlKem1024 => Some(Opener::MlKem1024(Box::new(DecapsulationKey::from_seed(*seed)))),
            KeMethod::X25519
            | KeMethod::P256
            | KeMethod::P384
            | KeMethod::P521
            | KeMethod::Modp2048
            | KeMethod::Modp3072
            | KeMethod::Modp4096
            | KeMethod::Modp1024 => None,
        }
    }

    /// The encapsulation key.
    pub(super) fn public(&self) -> Box<[u8]> {
        match self {
            Opener::MlKem512(key) => key.encapsulation_key().to_bytes().as_slice().into(),
            Opener::MlKem768(key) => key.encapsulation_key().to_bytes().as_slice().into(),
            Opener::MlKem1024(key) => key.encapsulation_key().to_bytes().as_slice().into(),
        }
    }

    /// The secret in a ciphertext. `None` for one of another length; a forged one gives a secret that nobody knows, and
    /// so keys that open nothing (FIPS 203 section 6.3).
    pub(super) fn open(&self, ciphertext: &[u8]) -> Option<SecretBytes> {
        match self {
            Opener::MlKem512(key) => key.decapsulate_slice(ciphertext).ok().map(keep),
            Opener::MlKem768(key) => key.decapsulate_slice(ciphertext).ok().map(keep),
            Opener::MlKem1024(key) => key.decapsulate_slice(ciphertext).ok().map(keep),
        }
    }
}

/// A ciphertext for the owner of this key, and the secret in it. `None` for a key that is none (FIPS 203 section 7.2).
pub(super) fn encapsulate(method: KeMethod, key: &[u8], random: &mut dyn Random) -> Option<(Box<[u8]>, SecretBytes)> {
    let mut message = Zeroizing::new(B32::default());
    random.fill(&mut message);
    match method {
        KeMethod::MlKem512 => EncapsulationKey::<MlKem512>::new_from_slice(key)
            .ok()
            .map(|key| parts(key.encapsulate_deterministic(&message))),
        KeMethod::MlKem768 => EncapsulationKey::<MlKem768>::new_from_slice(key)
            .ok()
            .map(|key| parts(key.encapsulate_deterministic(&message))),
        KeMethod::MlKem1024 => EncapsulationKey::<MlKem1024>::new_from_slice(key)
            .ok()
            .map(|key| parts(key.encapsulate_deterministic(&message))),
        KeMethod::X25519
        | KeMethod::P256
        | KeMethod::P384
        | KeMethod::P521
        | KeMethod::Modp2048
        | KeMethod::Modp3072
        | KeMethod::Modp4096
        | KeMethod::Modp1024 => None,
    }
}

fn parts((ciphertext, shared): (impl AsRef<[u8]>, SharedKey)) -> (Box<[u8]>, SecretBytes) {
    (ciphertext.as_ref().into(), keep(shared))
}

fn keep(mut shared: SharedKey) -> SecretBytes {
    let kept = SecretBytes::from_slice(&shared);
    shared.zeroize();
    kept
}
