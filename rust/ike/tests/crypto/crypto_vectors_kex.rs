//! Key exchanges against answers of others: RFC 5903, Python's `pow`, and the provider's own ML-KEM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use crate::support;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::kem;
use mobike_ike::crypto::kex::respond;
use mobike_ike::crypto::{CryptoError, Ephemeral, KeMethod, Role};
use proptest::prelude::*;
use support::{seeded, unhex};

struct Curve {
    method: KeMethod,
    private_i: &'static str,
    public_i: &'static str,
    private_r: &'static str,
    public_r: &'static str,
    shared: &'static str,
}

/// RFC 5903 sections 8.2 and 8.3.
const CURVES: [Curve; 2] = [
    Curve {
        method: KeMethod::P384,
        private_i: "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655
                    e35b538041e649ee3faef896783ab194",
        public_i: "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6
                   de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f
                   65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
        private_r: "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942
                    e0308312916b8ed2960e4bd55a7448fc",
        public_r: "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d
                   0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e838430367f
                   66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
        shared: "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4
                 d603135569b9e9d09cf5d4a270f59746",
    },
    Curve {
        method: KeMethod::P521,
        private_i: "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0
                    95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a52",
        public_i: "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe
                   e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176c
                   ed3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4
                   a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
        private_r: "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e
                    9c677d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb9",
        public_r: "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21
                   9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9
                   460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d985207
                   7b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
        shared: "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04
                 d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea",
    },
];

#[test]
fn large_curves_give_the_answers_of_rfc_5903() {
    for case in CURVES {
        let initiator = Ephemeral::from_scalar(case.method, &unhex(case.private_i)).unwrap();
        let responder = Ephemeral::from_scalar(case.method, &unhex(case.private_r)).unwrap();
        assert_eq!(initiator.public(), unhex(case.public_i), "{}", case.method);
        assert_eq!(responder.public(), unhex(case.public_r), "{}", case.method);
        assert_eq!(initiator.agree(responder.public()).unwrap().expose(), unhex(case.shared));
        assert_eq!(responder.agree(initiator.public()).unwrap().expose(), unhex(case.shared));
    }
}

struct Field {
    method: KeMethod,
    private_i: &'static str,
    private_r: &'static str,
    /// SHA-256 of g^i, g^r and g^ir, each as long as the prime.
    hashes: [&'static str; 3],
}

/// By Python's `pow`, over primes made anew from the formulas in RFC 2409 and RFC 3526 and found to be safe primes.
const FIELDS: [Field; 4] = [
    Field {
        method: KeMethod::Modp1024,
        private_i: "953c891b43a9f0080c97e135515ef89bc08a199094a76e14619c8d4c629ebf22",
        private_r: "39c9ee0f678c40fe060f465a55e94af2557453d2d25b69aa7b0063b93fcc6985",
        hashes: [
            "9d99b8b876283a016bbffb5ee9de0ad7232bffe9465bae65a1f2a0522448ea70",
            "24527b69179971bf8336dc38ce02ac9f1f8627463277ddba18b921d30ea65e0d",
            "f9fbb4e7f0dc46820d2a60115860c79aa6c8815df9eb915b03644f653e030d15",
        ],
    },
    Field {
        method: KeMethod::Modp2048,
        private_i: "9c02c07ae669563fe71ecdc8ab97f59d0272787ac2883bb8fed95c0e2290ed4400088e755bef7ec7",
        private_r: "42a339aa56f298300a6525da6f11682b043a7c2c53e4f16888e52d66f9239dc2ec171bf1ebffd7e5",
        hashes: [
            "6e2988ec85608665aedc8947b7a7201bd3be1125d00d0985bf8952d412c709a4",
            "0db0a552acca14c0fb2c0ac1804ab4addfdd4fce92ee62ea3d50e26ae12d29a1",
            "7acb74aaf2138914386431d0c5643f85a2e9ed20e6e215b51c175c8afc399b2a",
        ],
    },
    Field {
        method: KeMethod::Modp3072,
        private_i: "5079254bf3b8c3fd0ce6ab5a2b82d8621a0d80784134b6cf1dfd2acdc62bb4951c313f857e2c66c5b9d1921cc75d19db6978e37bdb567bdf",
        private_r: "01cf88d0455562e08fb08eddae35c475e2e08b70a343687e49a4f2d6884396d0268f3902835302e572d1c6a2363212e0f67a839789d95e7a",
        hashes: [
            "b1c8858d6de30fe876314c9fa4b9f870bcb229b0889f22a5a3c22b98d4fac14f",
            "ca0f75aca93518978f8be291d71fd8fc77f072087f31751311ed0d4e22eecf94",
            "7be97d7e458beec213e8dcd717672922bb69eb06cedaa357aa8b03fa1d123c04",
        ],
    },
    Field {
        method: KeMethod::Modp4096,
        private_i: "86cc4da861f5f0f1136485de603072cdf5663621e63ede3505bedb7601d782fc2ccdd078d4001b6eb944cd9c483653f26d17a2eba31363fa71cfd10eb61669a5",
        private_r: "a230d01763902f1aca8a1def8628681a68af1aa0670e499bf182aef8740c70de009a098bcd948e65abb07ab2500ab4d4b84e7455680c232acf637f3a84aa4d84",
        hashes: [
            "9f452460d2aca123cd068decb857dd8680b97f03462bbd0d7af00530e9a6a2bf",
            "04aaa2fa7467e0c1d6135b813c7f06c579c3b2846e9f04f738e7ae57116e6390",
            "5ccc39680aa7d43f423fe40e4e96f9566861502563ec1507c8bc79190b0a4da1",
        ],
    },
];

#[test]
fn fields_give_the_answers_of_another_arithmetic() {
    let hash = |octets: &[u8]| digest(&SHA256, octets).as_ref().to_vec();
    for case in FIELDS {
        let initiator = Ephemeral::from_scalar(case.method, &unhex(case.private_i)).unwrap();
        let responder = Ephemeral::from_scalar(case.method, &unhex(case.private_r)).unwrap();
        let shared = initiator.agree(responder.public()).unwrap();
        assert_eq!(shared, responder.agree(initiator.public()).unwrap());
        let ours = [initiator.public(), responder.public(), shared.expose()].map(hash);
        assert_eq!(ours, case.hashes.map(unhex), "{}", case.method);
    }
}

/// RFC 6989 section 2.1: 1 and p - 1 and what is not between them tells the secret, or part of it.
#[test]
fn numbers_that_give_the_secret_away_are_refused() {
    for method in [KeMethod::Modp1024, KeMethod::Modp2048, KeMethod::Modp3072, KeMethod::Modp4096] {
        let ours = Ephemeral::generate(method, &mut seeded(1)).unwrap();
        let len = method.public_len(Role::Initiator);
        // g^0 = 1 and g^1 = 2; the prime is found as 2^bits - 1 taken modulo itself, from g^bits.
        let small = |value: u8| [vec![0; len - 1], vec![value]].concat();
        assert!(ours.agree(&small(2)).is_ok(), "{method}: the least that is allowed");
        for bad in [small(0), small(1), vec![0xff; len]] {
            assert_eq!(ours.agree(&bad).unwrap_err(), CryptoError::PeerPublicInvalid(method), "{method}");
        }
        // g^bits = 2^bits, which is 2^bits - p: so p = 2^bits - that.
        let mut exponent = vec![0; 4];
        exponent[2..].copy_from_slice(&(8 * len as u16).to_be_bytes());
        let above = Ephemeral::from_scalar(method, &exponent).unwrap().public().to_vec();
        let prime = negative(&above);
        let less = |by: u8| [&prime[..len - 1], &[prime[len - 1] - by]].concat();
        assert!(ours.agree(&less(2)).is_ok(), "{method}: the most that is allowed");
        for bad in [less(0), less(1)] {
            assert_eq!(ours.agree(&bad).unwrap_err(), CryptoError::PeerPublicInvalid(method), "{method}");
        }
    }
}

/// 2^bits - number.
fn negative(number: &[u8]) -> Vec<u8> {
    let mut carry = 1;
    let mut octets: Vec<u8> = number
        .iter()
        .rev()
        .map(|octet| {
            let sum = u16::from(!octet) + carry;
            carry = sum >> 8;
            sum as u8
        })
        .collect();
    octets.reverse();
    octets
}

/// RFC 6989 section 2.3.
#[test]
fn points_off_a_large_curve_are_refused() {
    for method in [KeMethod::P384, KeMethod::P521] {
        let ours = Ephemeral::generate(method, &mut seeded(1)).unwrap();
        let good = Ephemeral::generate(method, &mut seeded(2)).unwrap().public().to_vec();
        assert!(ours.agree(&good).is_ok());
        let mut off_by_a_bit = good.clone();
        *off_by_a_bit.last_mut().unwrap() ^= 1;
        for bad in [off_by_a_bit, vec![0; good.len()], vec![0xff; good.len()]] {
            assert_eq!(ours.agree(&bad).unwrap_err(), CryptoError::PeerPublicInvalid(method));
        }
    }
}

const KEMS: [(KeMethod, &kem::Algorithm); 3] = [
    (KeMethod::MlKem512, &kem::ML_KEM_512),
    (KeMethod::MlKem768, &kem::ML_KEM_768),
    (KeMethod::MlKem1024, &kem::ML_KEM_1024),
];

/// Another implementation, which has been validated against FIPS 203, plays each part.
#[test]
fn ml_kem_agrees_with_the_provider_in_both_parts() {
    for (method, provider) in KEMS {
        for seed in 0..20 {
            let ours = Ephemeral::generate(method, &mut seeded(seed)).unwrap();
            let key = kem::EncapsulationKey::new(provider, ours.public()).unwrap();
            let (ciphertext, theirs) = key.encapsulate().unwrap();
            assert_eq!(ours.agree(ciphertext.as_ref()).unwrap().expose(), theirs.as_ref(), "{method} as initiator");

            let theirs = kem::DecapsulationKey::generate(provider).unwrap();
            let key = theirs.encapsulation_key().unwrap().key_bytes().unwrap();
            let (ciphertext, ours) = respond(method, key.as_ref(), &mut seeded(seed)).unwrap();
            let opened = theirs.decapsulate(ciphertext.as_bytes().into()).unwrap();
            assert_eq!(ours.expose(), opened.as_ref(), "{method} as responder");
        }
    }
}

/// FIPS 203 section 7.2: a coefficient of 3329 or more is no coefficient.
#[test]
fn an_encapsulation_key_out_of_range_is_refused() {
    for (method, _) in KEMS {
        let mut key = Ephemeral::generate(method, &mut seeded(1)).unwrap().public().to_vec();
        key[..3].fill(0xff);
        let refused = respond(method, &key, &mut seeded(2)).unwrap_err();
        assert_eq!(refused, CryptoError::PeerPublicInvalid(method));
    }
}

/// FIPS 203 section 6.3: nobody can tell from the answer that a ciphertext was refused.
#[test]
fn a_forged_ciphertext_gives_a_secret_that_nobody_else_has() {
    for (method, _) in KEMS {
        let ours = Ephemeral::generate(method, &mut seeded(1)).unwrap();
        let (ciphertext, theirs) = respond(method, ours.public(), &mut seeded(2)).unwrap();
        let mut forged = ciphertext.as_bytes().to_vec();
        forged[7] ^= 1;
        let secret = ours.agree(&forged).unwrap();
        assert_ne!(secret, theirs);
        assert_eq!(secret, ours.agree(&forged).unwrap(), "the same again, as if it were a good one");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn any_octets_of_the_right_length_are_taken_or_refused(
        which in 0..KeMethod::ALL.len(),
        seed in any::<u8>(),
        octets in prop::collection::vec(any::<u8>(), 1_568),
    ) {
        let method = KeMethod::ALL[which];
        let ours = Ephemeral::generate(method, &mut seeded(seed)).unwrap();
        let _ = ours.agree(&octets[..method.public_len(Role::Responder)]);
        let _ = respond(method, &octets[..method.public_len(Role::Initiator)], &mut seeded(1));
    }
}
