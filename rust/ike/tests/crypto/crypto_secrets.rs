//! Chance, ephemeral keys, IV counters, cookies and secrets: what must replay, and what must be refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use crate::support;

use std::net::IpAddr;
use std::time::Duration;

use mobike_ike::Nanos;
use mobike_ike::crypto::cookie::{COOKIE_LEN, CookieSecrets, SECRET_LIFETIME};
use mobike_ike::crypto::{
    AuthKeys, CryptoError, DirectionKeys, Encr, Ephemeral, IkeKeys, IkeSuite, IvCounter, KeMethod, Nonces, Prf, Random,
    Role, Secret, SecretBytes, SharedSecret, SkeySeed, Spis, kex,
};
use support::{Script, seeded, unhex, unhex32};

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let draw = |seed| {
        let mut out = [0; 100];
        seeded(seed).fill(&mut out);
        out
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_ne!(draw(1)[..50], draw(1)[50..]);
}

#[test]
fn two_ends_agree_and_a_replay_makes_the_same_key() {
    for method in KeMethod::ALL.iter().copied() {
        let initiator = Ephemeral::generate(method, &mut seeded(1)).unwrap();
        let (public, shared) = kex::respond(method, initiator.public(), &mut seeded(2)).unwrap();
        assert_eq!(initiator.public().len(), method.public_len(Role::Initiator));
        assert_eq!(public.as_bytes().len(), method.public_len(Role::Responder));
        assert_eq!(initiator.agree(public.as_bytes()).unwrap(), shared);
        assert_eq!(Ephemeral::generate(method, &mut seeded(1)).unwrap().public(), initiator.public());
        assert_ne!(Ephemeral::generate(method, &mut seeded(3)).unwrap().public(), initiator.public());
    }
}

#[test]
fn a_public_value_of_the_wrong_length_is_refused() {
    for method in KeMethod::ALL.iter().copied() {
        let ours = Ephemeral::generate(method, &mut seeded(1)).unwrap();
        let [wanted, wanted_of_us] = [Role::Responder, Role::Initiator].map(|sender| method.public_len(sender));
        for got in [0, 1, 31, 33, 63, 65, 1000].into_iter().filter(|got| *got != wanted) {
            let refused = ours.agree(&vec![9; got]).unwrap_err();
            assert_eq!(refused, CryptoError::PeerPublicLength { method, wanted, got });
            let refused = kex::respond(method, &vec![9; got], &mut seeded(2)).unwrap_err();
            assert_eq!(refused, CryptoError::PeerPublicLength { method, wanted: wanted_of_us, got });
        }
    }
}

/// RFC 7748 section 6.1 and RFC 8031 section 2.3: points of small order make the secret zero whatever our key is.
#[test]
fn x25519_points_of_small_order_are_refused() {
    let small_order = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let ours = Ephemeral::generate(KeMethod::X25519, &mut seeded(1)).unwrap();
    for point in small_order {
        let refused = ours.agree(&unhex(point)).unwrap_err();
        assert_eq!(refused, CryptoError::PeerPublicInvalid(KeMethod::X25519), "{point}");
    }
}

/// RFC 6989 section 2.3.
#[test]
fn p256_points_off_the_curve_are_refused() {
    let ours = Ephemeral::generate(KeMethod::P256, &mut seeded(1)).unwrap();
    let good = Ephemeral::generate(KeMethod::P256, &mut seeded(2)).unwrap().public().to_vec();
    assert!(ours.agree(&good).is_ok());
    let mut off_by_a_bit = good.clone();
    off_by_a_bit[63] ^= 1;
    let mut not_reduced = good.clone();
    not_reduced[..32].fill(0xff);
    for bad in [off_by_a_bit, not_reduced, vec![0; 64], vec![0xff; 64]] {
        assert_eq!(ours.agree(&bad).unwrap_err(), CryptoError::PeerPublicInvalid(KeMethod::P256));
    }
}

#[test]
fn p256_scalars_outside_the_group_are_drawn_again() {
    let order = unhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let good = unhex("00000000000000000000000000000000000000000000000000000000000000aa");
    let mut chance = Script(vec![vec![0xff; 32], order, vec![0; 32], good.clone()]);
    let drawn = Ephemeral::generate(KeMethod::P256, &mut chance).unwrap();
    assert!(chance.0.is_empty());
    let mut scalar = [0; 32];
    scalar.copy_from_slice(&good);
    assert_eq!(drawn.public(), Ephemeral::from_scalar(KeMethod::P256, &scalar).unwrap().public());
}

#[test]
fn an_iv_counter_goes_up_by_one_and_stops_at_the_end() {
    let cipher = IkeSuite::DEFAULTS[0].cipher();
    let keys = DirectionKeys::from_slices(&[5; 36], None).unwrap();
    let seal = |counter: &mut IvCounter| {
        let (mut iv, mut body, mut icv) = ([0; 8], *b"body", [0; 16]);
        cipher.seal_in_place(&keys, counter, b"", &mut iv, &mut body, &mut icv).map(|()| u64::from_be_bytes(iv))
    };
    let mut counter = IvCounter::new();
    assert_eq!([(); 3].map(|()| seal(&mut counter).unwrap()), [0, 1, 2]);

    let mut last = IvCounter::starting_at(u64::MAX - 1);
    assert_eq!(seal(&mut last), Ok(u64::MAX - 1));
    assert_eq!(seal(&mut last), Err(CryptoError::IvSpent));
    assert_eq!(seal(&mut last), Err(CryptoError::IvSpent), "and it does not wrap");
}

const NONCE: [u8; 32] = [7; 32];
const START: Nanos = Nanos(1_000_000_000);
const SPI: u64 = 0x1122_3344_5566_7788;

fn home() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

#[test]
fn a_cookie_comes_back_only_from_where_it_was_sent() {
    let chance = &mut seeded(1);
    let mut secrets = CookieSecrets::new(START, chance);
    let cookie = secrets.make(START, chance, None, &NONCE, home(), SPI);
    assert_eq!(secrets.check(START, chance, cookie.octets(), &NONCE, home(), SPI), Some(None));
    assert_eq!(
        secrets.check(START, chance, cookie.octets(), &NONCE, "::ffff:192.0.2.1".parse().unwrap(), SPI),
        Some(None)
    );

    assert!(secrets.check(START, chance, cookie.octets(), &NONCE, "192.0.2.2".parse().unwrap(), SPI).is_none());
    assert!(secrets.check(START, chance, cookie.octets(), &NONCE, "::192.0.2.1".parse().unwrap(), SPI).is_none());
    assert!(secrets.check(START, chance, cookie.octets(), &[8; 32], home(), SPI).is_none());
    assert!(secrets.check(START, chance, cookie.octets(), &NONCE, home(), SPI + 1).is_none());
    for bit in 0..8 * COOKIE_LEN {
        let mut forged = cookie.octets().to_vec();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(secrets.check(START, chance, &forged, &NONCE, home(), SPI).is_none(), "bit {bit}");
    }
    for length in (0..COOKIE_LEN).chain([COOKIE_LEN + 1, 64, 70]) {
        let mut other = cookie.octets().to_vec();
        other.resize(length, 0);
        assert!(secrets.check(START, chance, &other, &NONCE, home(), SPI).is_none(), "{length} octets");
    }
    let mut strangers = CookieSecrets::new(START, &mut seeded(2));
    assert!(strangers.check(START, chance, cookie.octets(), &NONCE, home(), SPI).is_none(), "another engine's secret");
}

#[test]
fn a_cookie_remembers_its_terms_and_no_others() {
    let chance = &mut seeded(1);
    let mut secrets = CookieSecrets::new(START, chance);
    let terms = [0, 5, 18];
    let cookie = secrets.make(START, chance, Some(terms), &NONCE, home(), SPI);
    assert_eq!(secrets.check(START, chance, cookie.octets(), &NONCE, home(), SPI), Some(Some(terms)));
    for bit in 0..8 * cookie.octets().len() {
        let mut forged = cookie.octets().to_vec();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(secrets.check(START, chance, &forged, &NONCE, home(), SPI).is_none(), "bit {bit}");
    }
    assert!(secrets.check(START, chance, &cookie.octets()[..COOKIE_LEN], &NONCE, home(), SPI).is_none(), "cut off");
    let nonce = [&terms[..], &NONCE].concat();
    let plain = secrets.make(START, chance, None, &nonce, home(), SPI);
    let clothed = [plain.octets(), &terms].concat();
    assert!(secrets.check(START, chance, &clothed, &NONCE, home(), SPI).is_none(), "put on");
}

#[test]
fn a_cookie_outlives_one_change_of_secret_and_no_second() {
    let chance = &mut seeded(1);
    let mut secrets = CookieSecrets::new(START, chance);
    let cookie = secrets.make(START, chance, None, &NONCE, home(), SPI);
    let later = START + SECRET_LIFETIME;
    assert_eq!(secrets.check(later, chance, cookie.octets(), &NONCE, home(), SPI), Some(None));
    let newer = secrets.make(later, chance, None, &NONCE, home(), SPI);
    assert_ne!(newer, cookie);
    let much_later = later + SECRET_LIFETIME;
    assert!(secrets.check(much_later, chance, cookie.octets(), &NONCE, home(), SPI).is_none());
    assert_eq!(secrets.check(much_later, chance, newer.octets(), &NONCE, home(), SPI), Some(None));
}

#[test]
fn a_cookie_is_stale_after_a_long_silence() {
    let chance = &mut seeded(1);
    let mut secrets = CookieSecrets::new(START, chance);
    let cookie = secrets.make(START, chance, None, &NONCE, home(), SPI);
    let next_day = START + Duration::from_secs(86_400);
    assert!(secrets.check(next_day, chance, cookie.octets(), &NONCE, home(), SPI).is_none());
}

fn keys() -> (IkeKeys, AuthKeys) {
    let nonces = Nonces::new(&NONCE, &NONCE).unwrap();
    let seed = SkeySeed::initial(Prf::HmacSha384, &nonces, SharedSecret::from_slice(&[0x5c; 32]));
    assert_eq!(format!("{seed:?}"), "SkeySeed([secret])");
    seed.expand(&IkeSuite::DEFAULTS[0], &nonces, Spis { initiator: 1, responder: 2 }).unwrap()
}

#[test]
fn nothing_secret_is_printed() {
    let (keys, auth) = keys();
    let ephemeral = Ephemeral::from_scalar(KeMethod::X25519, &unhex32(&"5c".repeat(32))).unwrap();
    let shared = SharedSecret::from_slice(&[0x5c; 32]);
    let psk = SecretBytes::from_slice(&[0x5c; 32]);
    let printed = format!("{keys:?} {auth:?} {ephemeral:?} {shared:?} {psk:?} {:?}", seeded(0x5c));
    assert_eq!(
        printed,
        "IkeKeys { cipher: PayloadCipher { encr: Aes256Gcm16, integ: None }, \
         sk_d: SkD { prf: HmacSha384, key: [secret] }, \
         from_initiator: DirectionKeys { encr: [secret], integ: None }, \
         from_responder: DirectionKeys { encr: [secret], integ: None } } \
         AuthKeys([secret]) Ephemeral(x25519) SharedSecret([secret]) [secret] SeededRandom"
    );
}

#[test]
fn secrets_hold_what_fits_and_compare_by_content() {
    let secret: Secret<8> = Secret::from_slice(b"12345678").unwrap();
    assert_eq!(secret.expose(), b"12345678");
    assert!(Secret::<8>::from_slice(b"123456789").is_none());
    assert_eq!(secret, Secret::from_slice(b"12345678").unwrap());
    assert_ne!(secret, Secret::from_slice(b"12345679").unwrap());
    assert_ne!(secret, Secret::from_slice(b"1234567").unwrap());
    assert_eq!(SecretBytes::from_slice(b"abc"), SecretBytes::from_slice(b"abc"));
    assert_ne!(SecretBytes::from_slice(b"abc"), SecretBytes::from_slice(b"abcd"));
    assert!(DirectionKeys::from_slices(&[0; 37], None).is_none());
    assert!(DirectionKeys::from_slices(&[0; 36], Some(&[0; 65])).is_none());
}

/// The budget of an SA with everything is 3 KB; keys may take a tenth of it, and none of it on the heap.
#[test]
fn the_keys_of_an_established_ike_sa_are_small() {
    assert!(size_of::<IkeKeys>() <= 176, "{} octets", size_of::<IkeKeys>());
    assert!(size_of::<DirectionKeys>() <= 48, "{} octets", size_of::<DirectionKeys>());
    assert_eq!(Encr::ALL.iter().map(|encr| encr.key_len()).max(), Some(36), "Secret<36> fits the longest key exactly");
}
