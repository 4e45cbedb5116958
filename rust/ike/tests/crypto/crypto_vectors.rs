//! Answers published by others: RFC 4231, RFC 4868, RFC 5903, RFC 7748, and the GCM specification's test cases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use crate::support;

use mobike_ike::crypto::{
    CryptoError, DirectionKeys, Encr, Ephemeral, IkeSuite, Integ, IvCounter, KeMethod, PayloadCipher, Prf,
};
use support::{unhex, unhex32};

/// RFC 4231 sections 4.2, 4.3 and 4.7: key, data, and the three results.
fn hmac_cases() -> [(Vec<u8>, &'static [u8], [&'static str; 3]); 3] {
    [
        (
            vec![0x0b; 20],
            b"Hi There",
            [
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c
                 faea9ea9076ede7f4af152e8b2fa9cb6",
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde
                 daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ],
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?",
            [
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e
                 8e2240ca5e69e2c78b3239ecfab21649",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ],
        ),
        (
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            [
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6
                 0c2ef6ab4030fe8296248df163f44952",
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352
                 6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ],
        ),
    ]
}

#[test]
fn prf_gives_the_answers_of_rfc_4231_however_the_data_is_cut() {
    for (key, data, answers) in hmac_cases() {
        for (prf, answer) in Prf::ALL.iter().zip(answers) {
            assert_eq!(prf.mac(&key, &[data]).expose(), unhex(answer), "{prf}");
            let (head, tail) = data.split_at(3);
            assert_eq!(prf.mac(&key, &[head, &[], tail]).expose(), unhex(answer), "{prf} in parts");
        }
    }
}

/// RFC 4868 section 2.7.2.1 to 2.7.2.3, first case of each.
#[test]
fn integrity_keeps_the_first_half_as_rfc_4868_says() {
    let cases = [
        (Integ::HmacSha256, "198a607eb44bfbc69903a0f1cf2bbdc5"),
        (Integ::HmacSha384, "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"),
        (Integ::HmacSha512, "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"),
    ];
    for (integ, answer) in cases {
        let key = vec![0x0b; integ.key_len()];
        let icv = integ.icv(&key, &[b"Hi ", b"There"]);
        assert_eq!(icv.expose(), unhex(answer), "{integ}");
        assert_eq!(icv.len(), integ.icv_len());
        assert!(integ.verify(&key, &[b"Hi There"], icv.expose()));
        assert!(!integ.verify(&key, &[b"Hi there"], icv.expose()));
        assert!(!integ.verify(&key, &[b"Hi There"], &icv.expose()[1..]), "a short ICV is no ICV");
    }
}

struct Agreement {
    method: KeMethod,
    private_i: &'static str,
    public_i: &'static str,
    private_r: &'static str,
    public_r: &'static str,
    shared: &'static str,
}

/// RFC 7748 section 6.1.
const CURVE25519: Agreement = Agreement {
    method: KeMethod::X25519,
    private_i: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    public_i: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    private_r: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    public_r: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    shared: "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
};

/// RFC 5903 section 8.1; the KE payload has x | y, the secret is x.
const P256: Agreement = Agreement {
    method: KeMethod::P256,
    private_i: "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
    public_i: "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180
               5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
    private_r: "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
    public_r: "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63
               56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
    shared: "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
};

#[test]
fn key_exchange_gives_the_answers_of_rfc_7748_and_rfc_5903() {
    for case in [CURVE25519, P256] {
        let initiator = Ephemeral::from_scalar(case.method, &unhex32(case.private_i)).unwrap();
        let responder = Ephemeral::from_scalar(case.method, &unhex32(case.private_r)).unwrap();
        assert_eq!(initiator.public(), unhex(case.public_i));
        assert_eq!(responder.public(), unhex(case.public_r));
        assert_eq!(initiator.agree(responder.public()).unwrap().expose(), unhex(case.shared));
        assert_eq!(responder.agree(initiator.public()).unwrap().expose(), unhex(case.shared));
    }
}

/// Cases 4, 10 and 16 of McGrew and Viega's specification, which NIST SP 800-38D took over. Read for RFC 5282: the first
/// four octets of their IV are our salt, the rest is our IV.
const GCM_IV: &str = "cafebabefacedbaddecaf888";
const GCM_AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const GCM_PLAIN: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
const GCM_CASES: [(Encr, &str, &str, &str); 3] = [
    (
        Encr::Aes128Gcm16,
        "feffe9928665731c6d6a8f9467308308",
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
         21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        "5bc94fbc3221a5db94fae95ae7121a47",
    ),
    (
        Encr::Aes192Gcm16,
        "feffe9928665731c6d6a8f9467308308feffe9928665731c",
        "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c
         7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
        "2519498e80f1478f37ba55bd6d27618c",
    ),
    (
        Encr::Aes256Gcm16,
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
         8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
];

fn cipher(encr: Encr) -> PayloadCipher {
    IkeSuite::new(encr, Prf::HmacSha256, None, KeMethod::X25519).unwrap().cipher()
}

fn gcm_keys(key: &str) -> (DirectionKeys, u64) {
    let nonce = unhex(GCM_IV);
    let keys = DirectionKeys::from_slices(&[unhex(key), nonce[..4].to_vec()].concat(), None).unwrap();
    (keys, u64::from_be_bytes(nonce[4..].try_into().unwrap()))
}

#[test]
fn gcm_seals_and_opens_the_cases_of_its_specification() {
    for (encr, key, sealed, tag) in GCM_CASES {
        let (keys, iv) = gcm_keys(key);
        let (mut body, mut iv_out, mut icv) = (unhex(GCM_PLAIN), [0; 8], [0; 16]);
        let mut counter = IvCounter::starting_at(iv);
        cipher(encr).seal_in_place(&keys, &mut counter, &unhex(GCM_AAD), &mut iv_out, &mut body, &mut icv).unwrap();
        assert_eq!((&body, &icv[..]), (&unhex(sealed), &unhex(tag)[..]), "{encr}");
        assert_eq!(iv_out, iv.to_be_bytes());

        cipher(encr).open_in_place(&keys, &unhex(GCM_AAD), &iv_out, &mut body, &icv).unwrap();
        assert_eq!(body, unhex(GCM_PLAIN), "{encr}");
    }
}

#[test]
fn gcm_refuses_a_message_with_any_bit_turned() {
    let (encr, key, sealed, tag) = GCM_CASES[2];
    let (keys, iv) = gcm_keys(key);
    let (aad, iv, sealed, tag) = (unhex(GCM_AAD), iv.to_be_bytes().to_vec(), unhex(sealed), unhex(tag));
    let lengths = [aad.len(), iv.len(), sealed.len(), tag.len()];
    for (part, length) in lengths.into_iter().enumerate() {
        for bit in 0..8 * length {
            let mut parts = [aad.clone(), iv.clone(), sealed.clone(), tag.clone()];
            parts[part][bit / 8] ^= 1 << (bit % 8);
            let [aad, iv, mut body, tag] = parts;
            let opened = cipher(encr).open_in_place(&keys, &aad, &iv, &mut body, &tag);
            assert_eq!(opened, Err(CryptoError::IcvMismatch), "part {part} bit {bit}");
            assert_ne!(body, unhex(GCM_PLAIN), "no plaintext may be left behind");
        }
    }
}

#[test]
fn ciphers_refuse_buffers_of_the_wrong_length_instead_of_panicking() {
    let (encr, key, sealed, tag) = GCM_CASES[0];
    let (keys, _) = gcm_keys(key);
    let (tag, iv, mut body) = (unhex(tag), [0; 8], unhex(sealed));
    for cut in 0..16 {
        let short = cipher(encr).open_in_place(&keys, b"", &iv, &mut body, &tag[..cut]);
        assert_eq!(short, Err(CryptoError::BufferLength), "ICV of {cut}");
    }
    for iv_len in [0, 4, 7, 9, 12, 16] {
        let other = cipher(encr).open_in_place(&keys, b"", &vec![0; iv_len], &mut body, &tag);
        assert_eq!(other, Err(CryptoError::BufferLength), "IV of {iv_len}");
        let mut counter = IvCounter::new();
        let (mut iv, mut icv) = (vec![0; iv_len], [0; 16]);
        let sealed = cipher(encr).seal_in_place(&keys, &mut counter, b"", &mut iv, &mut body, &mut icv);
        assert_eq!((sealed, counter.peek()), (Err(CryptoError::BufferLength), 0), "IV of {iv_len}");
    }
    let wrong_key = DirectionKeys::from_slices(&[7; 24], None).unwrap();
    assert_eq!(cipher(encr).open_in_place(&wrong_key, b"", &iv, &mut body, &tag), Err(CryptoError::BufferLength));
}
