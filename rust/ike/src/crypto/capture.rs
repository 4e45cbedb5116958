//! Keys in the clear, for dissectors. This is the only place that turns key material into text; nothing in a running
//! gateway may use it except an explicit capture that the operator asked for.

use core::fmt;

use super::Role;
use super::algorithm::{Encr, Integ, Mode};
use super::schedule::{ChildKeys, DirectionKeys, IkeKeys, Spis};
use super::suite::EspSuite;

/// Keys about to be written down. Whoever holds one can read and forge the traffic of its SA.
pub struct KeysInTheClear<'a, Keys>(&'a Keys);

impl<'a, Keys> KeysInTheClear<'a, Keys> {
    /// Say it out loud: these keys are going to leave the process.
    #[must_use]
    pub fn i_know_this_breaks_confidentiality(keys: &'a Keys) -> KeysInTheClear<'a, Keys> {
        KeysInTheClear(keys)
    }
}

impl KeysInTheClear<'_, IkeKeys> {
    /// A line of Wireshark's `ikev2_decryption_table`.
    #[must_use]
    pub fn wireshark_line(&self, spis: Spis) -> String {
        let (initiator, responder) = (self.0.sent_by(Role::Initiator), self.0.sent_by(Role::Responder));
        format!(
            "{:016x},{:016x},{},{},\"{}\",{},{},\"{}\"",
            spis.initiator,
            spis.responder,
            Hex(initiator.encr()),
            Hex(responder.encr()),
            ike_cipher_name(self.0.cipher().encr()),
            Hex(initiator.integ().unwrap_or_default()),
            Hex(responder.integ().unwrap_or_default()),
            ike_integ_name(self.0.cipher().integ()),
        )
    }

    /// SK_d, for tests that compare key schedules.
    #[must_use]
    pub fn sk_d(&self) -> &[u8] {
        self.0.sk_d().expose()
    }
}

impl KeysInTheClear<'_, ChildKeys> {
    /// A line of Wireshark's `esp_sa` for the Child SA from `sender`, identified by the SPI its packets carry.
    #[must_use]
    pub fn wireshark_line(&self, sender: Role, suite: &EspSuite, family: &str, spi: u32) -> String {
        KeysInTheClear(self.0.sent_by(sender)).wireshark_line(suite, family, spi)
    }
}

impl KeysInTheClear<'_, DirectionKeys> {
    /// A line of Wireshark's `esp_sa` for the packets that carry this SPI.
    #[must_use]
    pub fn wireshark_line(&self, suite: &EspSuite, family: &str, spi: u32) -> String {
        let (integ, integ_key) = match self.0.integ() {
            Some(key) => (esp_integ_name(suite.cipher().integ()), format!("0x{}", Hex(key))),
            None => (esp_integ_name(None), String::new()),
        };
        format!(
            "\"{family}\",\"*\",\"*\",\"0x{spi:08x}\",\"{}\",\"0x{}\",\"{integ}\",\"{integ_key}\"",
            esp_cipher_name(suite.encr()),
            Hex(self.0.encr()),
        )
    }
}

fn ike_cipher_name(encr: Encr) -> &'static str {
    match encr {
        Encr::Aes128Gcm16 => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        Encr::Aes192Gcm16 => "AES-GCM-192 with 16 octet ICV [RFC5282]",
        Encr::Aes256Gcm16 => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        Encr::Aes128Gcm12 => "AES-GCM-128 with 12 octet ICV [RFC5282]",
        Encr::Aes192Gcm12 => "AES-GCM-192 with 12 octet ICV [RFC5282]",
        Encr::Aes256Gcm12 => "AES-GCM-256 with 12 octet ICV [RFC5282]",
        Encr::Aes128Gcm8 => "AES-GCM-128 with 8 octet ICV [RFC5282]",
        Encr::Aes192Gcm8 => "AES-GCM-192 with 8 octet ICV [RFC5282]",
        Encr::Aes256Gcm8 => "AES-GCM-256 with 8 octet ICV [RFC5282]",
        // Unknown to Wireshark 4.0.
        Encr::ChaCha20Poly1305 => "ChaCha20-Poly1305 [RFC7634]",
        Encr::Aes128Ctr => "AES-CTR-128 [RFC5930]",
        Encr::Aes192Ctr => "AES-CTR-192 [RFC5930]",
        Encr::Aes256Ctr => "AES-CTR-256 [RFC5930]",
        Encr::Aes128Cbc => "AES-CBC-128 [RFC3602]",
        Encr::Aes192Cbc => "AES-CBC-192 [RFC3602]",
        Encr::Aes256Cbc => "AES-CBC-256 [RFC3602]",
    }
}

fn esp_cipher_name(encr: Encr) -> &'static str {
    match (encr.mode(), encr.icv_len()) {
        (Mode::Gcm, 8) => "AES-GCM with 8 octet ICV [RFC4106]",
        (Mode::Gcm, 12) => "AES-GCM with 12 octet ICV [RFC4106]",
        (Mode::Gcm, _) => "AES-GCM with 16 octet ICV [RFC4106]",
        (Mode::ChaChaPoly, _) => "ChaCha20 with Poly1305 [RFC7634]",
        (Mode::Ctr, _) => "AES-CTR [RFC3686]",
        (Mode::Cbc, _) => "AES-CBC [RFC3602]",
    }
}

fn ike_integ_name(integ: Option<Integ>) -> &'static str {
    match integ {
        None => "NONE [RFC4306]",
        Some(Integ::HmacSha256) => "HMAC_SHA2_256_128 [RFC4868]",
        Some(Integ::HmacSha384) => "HMAC_SHA2_384_192 [RFC4868]",
        Some(Integ::HmacSha512) => "HMAC_SHA2_512_256 [RFC4868]",
        Some(Integ::HmacSha1) => "HMAC_SHA1_96 [RFC2404]",
    }
}

fn esp_integ_name(integ: Option<Integ>) -> &'static str {
    match integ {
        None => "NULL",
        Some(Integ::HmacSha256) => "HMAC-SHA-256-128 [RFC4868]",
        Some(Integ::HmacSha384) => "HMAC-SHA-384-192 [RFC4868]",
        Some(Integ::HmacSha512) => "HMAC-SHA-512-256 [RFC4868]",
        Some(Integ::HmacSha1) => "HMAC-SHA-1-96 [RFC2404]",
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
