//! Suites as people write them, and what they are told when they mistype.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use mobike_ike::crypto::{Encr, EspSuite, IkeSuite, KeMethod, Prf};
use proptest::prelude::*;

#[test]
fn suites_are_read_and_written_as_in_the_field() {
    let ike: IkeSuite = "aes256gcm16-prfsha384-x25519".parse().unwrap();
    assert_eq!(
        (ike.encr(), ike.prf(), ike.integ(), ike.ke()),
        (Encr::Aes256Gcm16, Prf::HmacSha384, None, KeMethod::X25519)
    );
    assert_eq!(ike.to_string(), "aes256gcm16-prfsha384-x25519");
    let reordered: IkeSuite = "x25519-aes256gcm16-prfsha384".parse().unwrap();
    assert_eq!(reordered, ike);

    let esp: EspSuite = "aes128gcm16".parse().unwrap();
    assert_eq!((esp.encr(), esp.integ(), esp.ke(), esp.esn()), (Encr::Aes128Gcm16, None, None, false));
    let esp: EspSuite = "aes256gcm16-ecp256-esn".parse().unwrap();
    assert_eq!((esp.ke(), esp.esn()), (Some(KeMethod::P256), true));
    assert_eq!(esp.to_string(), "aes256gcm16-ecp256-esn");
    assert_eq!(esp.without_ke().to_string(), "aes256gcm16-esn");
}

#[test]
fn additional_key_exchanges_are_written_with_their_places() {
    let ike: IkeSuite = "ke3_ecp384-aes256gcm16-ke1_mlkem768-prfsha384-x25519".parse().unwrap();
    assert_eq!(ike.to_string(), "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke3_ecp384");
    assert_eq!((ike.additional().at(0), ike.additional().at(1)), (Some(KeMethod::MlKem768), None));
    assert_eq!(ike.additional().methods().collect::<Vec<_>>(), [KeMethod::MlKem768, KeMethod::P384]);
    let esp: EspSuite = "ke2_mlkem512-aes256gcm16-x25519-esn".parse().unwrap();
    assert_eq!(esp.to_string(), "aes256gcm16-x25519-ke2_mlkem512-esn");
    assert_eq!(esp.without_ke().to_string(), "aes256gcm16-esn", "IKE_AUTH makes a Child SA without any");
}

#[test]
fn a_suite_covers_another_if_it_has_every_additional_key_exchange_of_it() {
    let hybrid: IkeSuite = "aes256gcm16-prfsha384-x25519-ke1_mlkem768".parse().unwrap();
    for (name, covers) in [
        ("aes128gcm16-prfsha256-ecp256-ke1_mlkem768", true),
        ("aes128gcm16-prfsha256-ecp256-ke1_ecp384-ke3_mlkem768", true),
        ("aes256gcm16-prfsha384-x25519", false),
        ("aes256gcm16-prfsha384-x25519-ke1_mlkem512", false),
    ] {
        let other: IkeSuite = name.parse().unwrap();
        assert_eq!(other.covers(&hybrid), covers, "{name}");
        assert!(other.covers(&"aes256gcm16-prfsha384-x25519".parse().unwrap()));
    }
}

#[test]
fn the_prf_of_a_suite_without_aead_may_be_left_out() {
    for (short, full) in [
        ("aes256-sha256-modp2048", "aes256-sha256-prfsha256-modp2048"),
        ("aes128ctr-sha512-x25519", "aes128ctr-sha512-prfsha512-x25519"),
        ("aes128cbc-sha1-modp1024", "aes128-sha1-prfsha1-modp1024"),
        ("aes192-sha384-prfsha256-ecp521", "aes192-sha384-prfsha256-ecp521"),
    ] {
        assert_eq!(short.parse::<IkeSuite>().unwrap().to_string(), full);
    }
}

/// What is there for old peers alone is never offered or accepted unasked.
#[test]
fn no_default_is_weak_and_the_first_one_is_hybrid() {
    assert_eq!(IkeSuite::DEFAULTS[0].to_string(), "aes256gcm16-prfsha384-x25519-ke1_mlkem768");
    assert!(IkeSuite::DEFAULTS[1..].iter().all(|suite| suite.additional().is_empty()));
    for suite in IkeSuite::DEFAULTS {
        assert!(suite.prf() != Prf::HmacSha1 && suite.integ().is_none() && suite.ke() != KeMethod::Modp1024, "{suite}");
        assert_eq!(suite.encr().icv_len(), 16, "{suite}");
    }
    for suite in EspSuite::DEFAULTS {
        assert_eq!((suite.integ(), suite.encr().icv_len()), (None, 16), "{suite}");
    }
}

#[test]
fn every_default_is_what_its_name_says() {
    for suite in IkeSuite::DEFAULTS {
        assert_eq!(suite.to_string().parse::<IkeSuite>().as_ref(), Ok(suite));
    }
    for suite in EspSuite::DEFAULTS {
        assert_eq!(suite.to_string().parse::<EspSuite>().as_ref(), Ok(suite));
    }
}

#[test]
fn a_mistake_in_an_ike_suite_is_named_with_the_nearest_right_word() {
    let cases = [
        ("aes256gmc16-prfsha384-x25519", "unknown algorithm \"aes256gmc16\"; nearest is \"aes256gcm16\""),
        ("aes256gcm16-prfsha284-x25519", "unknown algorithm \"prfsha284\"; nearest is \"prfsha384\""),
        ("aes256gcm16-prfsha384-curve25519", "unknown algorithm \"curve25519\"; nearest is \"x25519\""),
        ("aes256gcm16-prfsha384-X25519", "unknown algorithm \"X25519\"; nearest is \"x25519\""),
        ("aes256gcm16-prfsha384-ecp-256", "unknown algorithm \"ecp\"; nearest is \"ecp256\""),
        ("aes256gcm16--prfsha384-x25519", "unknown algorithm \"\"; nearest is \"aes128\""),
        ("aes256gcm16-prfsha384", "no key exchange method; add for example \"x25519\""),
        ("aes256gcm16-x25519", "no PRF; add for example \"prfsha256\""),
        ("prfsha384-x25519", "no encryption algorithm; add for example \"aes256gcm16\""),
        (
            "aes256gcm16-aes128gcm16-prfsha384-x25519",
            "\"aes128gcm16\" is a second encryption algorithm; write alternatives as suites of their own",
        ),
        (
            "aes256gcm16-sha384-x25519",
            "\"sha384\" does not belong here: the cipher authenticates by itself (a PRF is written \"prfsha256\")",
        ),
        (
            "aes256gcm16-prfsha384-x25519-esn",
            "\"esn\" does not belong here: extended sequence numbers are a matter of ESP suites",
        ),
        ("aes256gcm-prfsha384-x25519", "unknown algorithm \"aes256gcm\"; nearest is \"aes256gcm16\""),
        ("aes256-prfsha256-x25519", "no integrity algorithm; add for example \"sha256\""),
        ("aes256-sha2-x25519", "unknown algorithm \"sha2\"; nearest is \"sha256\""),
        ("aes256-sha256-modp1023", "unknown algorithm \"modp1023\"; nearest is \"modp2048\""),
        (
            "aes256gcm16-prfsha384-mlkem768",
            "\"mlkem768\" does not belong here: it follows a first key exchange; write for example \"x25519-ke1_mlkem768\"",
        ),
        (
            "aes256gcm16-prfsha384-x25519-ke8_mlkem768",
            "unknown algorithm \"ke8_mlkem768\"; nearest is \"ke1_mlkem768\"",
        ),
        ("aes256gcm16-prfsha384-x25519-ke1_kyber", "unknown algorithm \"ke1_kyber\"; nearest is \"ke1_mlkem768\""),
        ("aes256gcm16-prfsha384-x25519-ke1_x25519", "\"x25519\" does not belong here: a key exchange is done once"),
        (
            "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_mlkem512",
            "\"mlkem512\" is a second key exchange method of its number; write alternatives as suites of their own",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(text.parse::<IkeSuite>().unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn a_mistake_in_an_esp_suite_is_named_with_the_nearest_right_word() {
    let cases = [
        ("aes256gcm", "unknown algorithm \"aes256gcm\"; nearest is \"aes256gcm16\""),
        ("aes256", "no integrity algorithm; add for example \"sha256\""),
        ("aes256gcm16-ke1_mlkem768", "no key exchange method; add for example \"x25519\""),
        ("aes256gcm16-x25519-ke1_x25519", "\"x25519\" does not belong here: a key exchange is done once"),
        ("aes256gcm16-noesn", "unknown algorithm \"noesn\"; nearest is \"esn\""),
        ("aes256gcm16-prfsha256", "\"prfsha256\" does not belong here: ESP keys come from the IKE SA's PRF"),
        ("x25519", "no encryption algorithm; add for example \"aes256gcm16\""),
    ];
    for (text, message) in cases {
        assert_eq!(text.parse::<EspSuite>().unwrap_err().to_string(), message, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_suite_or_a_short_error(text in "\\PC{0,4000}") {
        if let Err(error) = text.parse::<IkeSuite>() {
            prop_assert!(error.to_string().chars().count() < 400, "{error}");
        }
        if let Err(error) = text.parse::<EspSuite>() {
            prop_assert!(error.to_string().chars().count() < 400, "{error}");
        }
    }
}
