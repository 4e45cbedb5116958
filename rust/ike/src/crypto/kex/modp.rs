//! Finite field groups: 2048, 3072 and 4096 bits (RFC 3526), and 1024 (RFC 2409) for who names it.
//!
//! The provider's modular exponentiation is behind `unsafe`; that of `crypto-bigint` is constant time in base and exponent
//! as well, takes 1.3 ms, 4 ms and 6.5 ms for these groups, and is paid only by those who ask for them.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::CryptoError;
use crate::crypto::algorithm::KeMethod;
use crate::crypto::random::Random;
use crate::crypto::secret::SecretBytes;

/// A private exponent.
pub(super) struct Exponent {
    group: &'static Group,
    octets: SecretBytes,
}

struct Group {
    prime: &'static [u8],
    /// Octets of an exponent: twice the larger of the strengths that RFC 3526 section 8 reckons with, and no less than
    /// RFC 7919 asks for.
    exponent_len: usize,
}

fn group(method: KeMethod) -> Option<&'static Group> {
    match method {
        KeMethod::Modp1024 => Some(const { &Group { prime: &PRIME_1024, exponent_len: 32 } }),
        KeMethod::Modp2048 => Some(const { &Group { prime: &PRIME_2048, exponent_len: 40 } }),
        KeMethod::Modp3072 => Some(const { &Group { prime: &PRIME_3072, exponent_len: 56 } }),
        KeMethod::Modp4096 => Some(const { &Group { prime: &PRIME_4096, exponent_len: 64 } }),
        KeMethod::X25519
        | KeMethod::P256
        | KeMethod::P384
        | KeMethod::P521
        | KeMethod::MlKem512
        | KeMethod::MlKem768
        | KeMethod::MlKem1024 => None,
    }
}

const GENERATOR: u8 = 2;

impl Exponent {
    /// A fresh one. Its top bit is set, so that it is as long as it looks.
    pub(super) fn generate(method: KeMethod, random: &mut dyn Random) -> Result<Exponent, CryptoError> {
        let group = group(method).ok_or(CryptoError::Provider)?;
        let mut octets = Zeroizing::new(vec![0; group.exponent_len]);
        random.fill(&mut octets);
        if let Some(top) = octets.first_mut() {
            *top |= 0x80;
        }
        Ok(Exponent { group, octets: SecretBytes::from_slice(&octets) })
    }

    /// This one, big-endian. For known-answer tests.
    pub(super) fn from_slice(method: KeMethod, octets: &[u8]) -> Result<Exponent, CryptoError> {
        let group = group(method).ok_or(CryptoError::Provider)?;
        Ok(Exponent { group, octets: SecretBytes::from_slice(octets) })
    }

    /// g^x, as long as the prime (RFC 7296 section 3.4).
    pub(super) fn public(&self) -> Result<Box<[u8]>, CryptoError> {
        let mut base = vec![0; self.group.prime.len()];
        if let Some(last) = base.last_mut() {
            *last = GENERATOR;
        }
        self.raise(&base).map(|power| power.expose().into())
    }

    /// y^x, as long as the prime. `None` for a `y` outside 2..=p-2, which tells the secret (RFC 6989 section 2.1).
    pub(super) fn agree(&self, peer_public: &[u8]) -> Result<Option<SecretBytes>, CryptoError> {
        if !self.group.holds(peer_public) {
            return Ok(None);
        }
        self.raise(peer_public).map(Some)
    }

    fn raise(&self, base: &[u8]) -> Result<SecretBytes, CryptoError> {
        let bits = 8 * self.group.prime.len() as u32;
        let exponent_bits = 8 * self.octets.expose().len() as u32;
        let params = BoxedMontyParams::new_vartime(self.group.modulus()?);
        let base = BoxedMontyForm::new(read(base, bits)?, &params);
        let exponent = Zeroizing::new(read(self.octets.expose(), exponent_bits)?);
        let mut power = base.pow_bounded_exp(&exponent, exponent_bits);
        let plain = Zeroizing::new(power.retrieve());
        power.as_montgomery_mut().zeroize();
        let octets = Zeroizing::new(plain.to_be_bytes().into_vec());
        let skip = octets.len().saturating_sub(self.group.prime.len());
        Ok(SecretBytes::from_slice(&octets[skip..]))
    }
}

impl Group {
    fn modulus(&self) -> Result<Odd<BoxedUint>, CryptoError> {
        let prime = read(self.prime, 8 * self.prime.len() as u32)?;
        Option::from(Odd::new(prime)).ok_or(CryptoError::Provider)
    }

    /// Is it in 2..=p-2? Both are as long, big-endian, and no secret.
    fn holds(&self, value: &[u8]) -> bool {
        let (Some((last, high)), Some((prime_last, prime_high))) = (value.split_last(), self.prime.split_last()) else {
            return false;
        };
        let above_one = *last > 1 || high.iter().any(|octet| *octet != 0);
        // The prime is odd and ends in 0xff: p - 1 differs from it in the last octet alone.
        let below_last = (high, *last) < (prime_high, prime_last.saturating_sub(1));
        value.len() == self.prime.len() && above_one && below_last
    }
}

fn read(octets: &[u8], bits: u32) -> Result<BoxedUint, CryptoError> {
    BoxedUint::from_be_slice(octets, bits).map_err(|_| CryptoError::Provider)
}

const fn octets<const N: usize>(hex: &str) -> [u8; N] {
    const fn digit(character: u8) -> u8 {
        match character {
            b'0'..=b'9' => character - b'0',
            _ => character - b'a' + 10,
        }
    }
    let (hex, mut octets, mut at) = (hex.as_bytes(), [0; N], 0);
    assert!(hex.len() == 2 * N);
    while at < N {
        octets[at] = digit(hex[2 * at]) << 4 | digit(hex[2 * at + 1]);
        at += 1;
    }
    octets
}

/// RFC 2409 section 6.2.
const PRIME_1024: [u8; 128] = octets(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff",
);

/// RFC 3526 section 3.
const PRIME_2048: [u8; 256] = octets(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f\
     83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b\
     e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
     15728e5a8aacaa68ffffffffffffffff",
);

/// RFC 3526 section 4.
const PRIME_3072: [u8; 384] = octets(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f\
     83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b\
     e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
     15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7\
     abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c\
     bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff",
);

/// RFC 3526 section 5.
const PRIME_4096: [u8; 512] = octets(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f\
     83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b\
     e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
     15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7\
     abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c\
     bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d7\
     88719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8dbbbc2db04de8ef92e8efc141fbecaa6\
     287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9\
     93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff",
);
