//! Ciphers and hashes against answers of others: RFC 2202, RFC 3602, RFC 3686, RFC 7634, and the GCM specification with
//! its tags cut short.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use crate::support;

use mobike_ike::crypto::{
    CryptoError, DirectionKeys, Encr, IkeSuite, Integ, IvCounter, KeMethod, Mode, PayloadCipher, Prf,
};
use proptest::prelude::*;
use support::unhex;

/// RFC 2202 section 3, cases 1, 2 and 6.
#[test]
fn sha_1_gives_the_answers_of_rfc_2202() {
    let long_key = b"Test Using Larger Than Block-Size Key - Hash Key First";
    let cases: [(Vec<u8>, &[u8], &str); 3] = [
        (vec![0x0b; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (b"Jefe".to_vec(), b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (vec![0xaa; 80], long_key, "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
    ];
    for (key, data, answer) in cases {
        assert_eq!(Prf::HmacSha1.mac(&key, &[data]).expose(), unhex(answer));
        assert_eq!(Integ::HmacSha1.icv(&key, &[data]).expose(), &unhex(answer)[..12], "RFC 2404: 96 bits");
    }
}

fn cipher(encr: Encr) -> PayloadCipher {
    IkeSuite::new(encr, Prf::HmacSha256, integ_for(encr), KeMethod::X25519).unwrap().cipher()
}

fn integ_for(encr: Encr) -> Option<Integ> {
    (!encr.is_aead()).then_some(Integ::HmacSha256)
}

fn keys(encr: Encr, key_and_salt: &[u8]) -> DirectionKeys {
    DirectionKeys::from_slices(key_and_salt, integ_for(encr).map(|integ| vec![7; integ.key_len()]).as_deref()).unwrap()
}

fn plain(len: u8) -> Vec<u8> {
    (0..len).collect()
}

/// Open what a standard says was sealed; its ICV is of our key.
fn opened(encr: Encr, keys: &DirectionKeys, iv: &[u8], sealed: &[u8]) -> Vec<u8> {
    let integ = integ_for(encr).unwrap();
    let icv = integ.icv(keys.integ().unwrap(), &[b"head", iv, sealed]).expose().to_vec();
    let mut body = sealed.to_vec();
    cipher(encr).open_in_place(keys, b"head", iv, &mut body, &icv).unwrap();
    body
}

/// RFC 3686 section 6, cases 1, 2, 6 and 9: key, nonce, IV, plaintext, ciphertext.
#[test]
fn aes_ctr_gives_the_answers_of_rfc_3686() {
    let cases = [
        (
            Encr::Aes128Ctr,
            "ae6852f8121067cc4bf7a5765577f39e 00000030",
            "0000000000000000",
            b"Single block msg".to_vec(),
            "e4095d4fb7a7b3792d6175a3261311b8",
        ),
        (
            Encr::Aes128Ctr,
            "7e24067817fae0d743d6ce1f32539163 006cb6db",
            "c0543b59da48d90b",
            plain(32),
            "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28",
        ),
        (
            Encr::Aes192Ctr,
            "02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe 0007bdfd",
            "5cbd60278dcc0912",
            plain(36),
            "96893fc55e5c722f540b7dd1ddf7e758d288bc95c69165884536c811662f2188abee0935",
        ),
        (
            Encr::Aes256Ctr,
            "ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d 001cc5b7",
            "51a51d70a1c11148",
            plain(36),
            "eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8",
        ),
    ];
    for (encr, key, iv, plain, sealed) in cases {
        let keys = keys(encr, &unhex(key));
        assert_eq!(opened(encr, &keys, &unhex(iv), &unhex(sealed)), plain, "{encr}");
        let mut counter = IvCounter::starting_at(u64::from_be_bytes(unhex(iv).try_into().unwrap()));
        let (mut body, mut iv_out, mut icv) = (plain, [0; 8], [0; 16]);
        cipher(encr).seal_in_place(&keys, &mut counter, b"head", &mut iv_out, &mut body, &mut icv).unwrap();
        assert_eq!((body, iv_out.to_vec()), (unhex(sealed), unhex(iv)), "{encr}");
    }
}

/// RFC 3602 section 4, cases 1 and 2; the longer keys by another implementation (OpenSSL).
#[test]
fn aes_cbc_gives_the_answers_of_rfc_3602() {
    let cases = [
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            b"Single block msg".to_vec(),
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            plain(32),
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
    ];
    for (key, iv, plain, sealed) in cases {
        let keys = keys(Encr::Aes128Cbc, &unhex(key));
        assert_eq!(opened(Encr::Aes128Cbc, &keys, &unhex(iv), &unhex(sealed)), plain);
    }
}

/// RFC 3602 section 3: nobody can tell the next IV from those before. NIST SP 800-38A appendix C: a counter encrypted
/// under the key. FIPS 197 appendix C has AES of one block.
#[test]
fn ivs_of_aes_cbc_are_the_counter_encrypted() {
    let cases = [
        (Encr::Aes128Cbc, "000102030405060708090a0b0c0d0e0f"),
        (Encr::Aes192Cbc, "000102030405060708090a0b0c0d0e0f1011121314151617"),
        (Encr::Aes256Cbc, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ];
    for (encr, key) in cases {
        let keys = keys(encr, &unhex(key));
        let mut seen = Vec::new();
        let mut counter = IvCounter::new();
        for number in 0..20u64 {
            let (mut iv, mut body, mut icv) = ([0; 16], vec![number as u8; 32], [0; 16]);
            cipher(encr).seal_in_place(&keys, &mut counter, b"head", &mut iv, &mut body, &mut icv).unwrap();
            // Opened as a message whose IV is zero, the IV itself gives back the counter.
            let block = opened(encr, &keys, &[0; 16], &iv);
            assert_eq!(block[8..], number.to_be_bytes());
            assert!(!seen.contains(&iv));
            seen.push(iv);
            cipher(encr).open_in_place(&keys, b"head", &iv, &mut body, &icv).unwrap();
            assert_eq!(body, [number as u8; 32]);
        }
    }
}

/// RFC 7634 appendix B: an IKE message.
#[test]
fn chacha20_poly1305_gives_the_answer_of_rfc_7634() {
    let encr = Encr::ChaCha20Poly1305;
    let key = [(0x80..0xa0).collect::<Vec<u8>>(), unhex("a0a1a2a3")].concat();
    let keys = DirectionKeys::from_slices(&key, None).unwrap();
    let aad = unhex("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029");
    let mut counter = IvCounter::starting_at(0x1011_1213_1415_1617);
    let (mut body, mut iv, mut icv) = (unhex("0000000c000040010000000a00"), [0; 8], [0; 16]);
    cipher(encr).seal_in_place(&keys, &mut counter, &aad, &mut iv, &mut body, &mut icv).unwrap();
    assert_eq!(body, unhex("610394701f8d017f7c12924889"));
    assert_eq!(icv.to_vec(), unhex("6b71bfe25236efd7cdc67066906315b2"));
    cipher(encr).open_in_place(&keys, &aad, &iv, &mut body, &icv).unwrap();
    assert_eq!(body, unhex("0000000c000040010000000a00"));
}

/// RFC 4106 section 6: the shorter ICVs are the beginning of the long one. The case is the fourth of the specification.
#[test]
fn short_tags_are_the_beginning_of_the_long_one_and_all_of_them_counts() {
    let key = unhex("feffe9928665731c6d6a8f9467308308 cafebabe");
    let aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plain = unhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let sealed = unhex(
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
         21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
    );
    let tag = unhex("5bc94fbc3221a5db94fae95ae7121a47");
    for (encr, len) in [(Encr::Aes128Gcm12, 12), (Encr::Aes128Gcm8, 8)] {
        let keys = DirectionKeys::from_slices(&key, None).unwrap();
        let mut counter = IvCounter::starting_at(0xface_dbad_deca_f888);
        let (mut body, mut iv, mut icv) = (plain.clone(), [0; 8], vec![0; len]);
        cipher(encr).seal_in_place(&keys, &mut counter, &aad, &mut iv, &mut body, &mut icv).unwrap();
        assert_eq!((&body, &icv[..]), (&sealed, &tag[..len]), "{encr}");
        cipher(encr).open_in_place(&keys, &aad, &iv, &mut body, &icv).unwrap();
        assert_eq!(body, plain, "{encr}");
        for bit in 0..8 * len {
            let (mut body, mut wrong) = (sealed.clone(), icv.clone());
            wrong[bit / 8] ^= 1 << (bit % 8);
            let refused = cipher(encr).open_in_place(&keys, &aad, &iv, &mut body, &wrong);
            assert_eq!(refused, Err(CryptoError::IcvMismatch), "{encr} bit {bit}");
            assert_ne!(body, plain, "no plaintext may be left behind");
        }
    }
}

proptest! {
    /// Whatever the cipher and its hash: what one end seals the other opens, and nothing else is opened.
    #[test]
    fn every_cipher_opens_what_it_sealed_and_nothing_else(
        encr in prop::sample::select(Encr::ALL),
        integ in prop::sample::select(Integ::ALL),
        body in prop::collection::vec(any::<u8>(), 0..300),
        key in any::<[u8; 36]>(),
        counter in any::<u64>().prop_map(|at| at >> 1),
        (part, at, bit) in (0..4usize, any::<prop::sample::Index>(), 0..8u8),
    ) {
        let integ = (!encr.is_aead()).then_some(integ);
        let cipher = IkeSuite::new(encr, Prf::HmacSha256, integ, KeMethod::X25519).unwrap().cipher();
        let integ_key = integ.map(|integ| vec![9; integ.key_len()]);
        let keys = DirectionKeys::from_slices(&key[..encr.key_len()], integ_key.as_deref()).unwrap();
        let whole = body.len() / cipher.block_len() * cipher.block_len();
        let (body, aad) = (&body[..whole], b"head".to_vec());
        let (mut sealed, mut iv, mut icv) = (body.to_vec(), vec![0; cipher.iv_len()], vec![0; cipher.icv_len()]);
        let mut counter = IvCounter::starting_at(counter);
        cipher.seal_in_place(&keys, &mut counter, &aad, &mut iv, &mut sealed, &mut icv).unwrap();
        let mut again = sealed.clone();
        prop_assert_eq!(cipher.open_in_place(&keys, &aad, &iv, &mut again, &icv), Ok(()));
        prop_assert_eq!(&again[..], body);

        let mut parts = [aad, iv, sealed, icv];
        if !parts[part].is_empty() {
            let at = at.index(parts[part].len());
            parts[part][at] ^= 1 << bit;
            let [aad, iv, mut sealed, icv] = parts;
            prop_assert_eq!(
                cipher.open_in_place(&keys, &aad, &iv, &mut sealed, &icv),
                Err(CryptoError::IcvMismatch)
            );
        }
    }
}

#[test]
fn a_suite_has_an_integrity_algorithm_exactly_where_the_cipher_needs_one() {
    for encr in Encr::ALL {
        let aead = matches!(encr.mode(), Mode::Gcm | Mode::ChaChaPoly);
        assert_eq!(encr.is_aead(), aead, "{encr}");
        for integ in [None, Some(Integ::HmacSha256)] {
            let made = IkeSuite::new(*encr, Prf::HmacSha256, integ, KeMethod::X25519);
            assert_eq!(made.is_ok(), integ.is_none() == aead, "{encr} {integ:?}");
        }
    }
}
