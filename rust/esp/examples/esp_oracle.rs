//! Seals and opens for a stranger's tests: one question per line in, one answer per line out, bytes in hex.
//!
//! ```text
//! install ID SUITE IN_SPI IN_KEYMAT OUT_SPI OUT_KEYMAT LOCAL/LEN REMOTE/LEN  ->  installed
//! seal ID INNER                                                             ->  sealed DATAGRAM
//! open DATAGRAM                                                             ->  opened ID NEXT_HEADER INNER
//! remove ID                                                                 ->  removed
//! anything refused                                                          ->  refused WHY
//! ```
//!
//! `tests/vectors/test_scapy_esp.py` holds it against scapy's ESP layer.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

use mobike_esp::{
    EspTable, GcmIcv, GroupId, Install, Integ, KeyBits, Keys, Limits, Nanos, OuterPath, SaPairId, Selector,
    SequenceNumbers, Suite,
};

type Answer = Result<String, Box<dyn Error>>;

const NOW: Nanos = Nanos(1);
/// More than any suite puts around a packet.
const ROOM: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut table = EspTable::new();
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = answer(&mut table, &words).unwrap_or_else(|why| format!("refused {why}"));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(table: &mut EspTable, words: &[&str]) -> Answer {
    match *words {
        ["install", id, bits, in_spi, in_keymat, out_spi, out_keymat, local, remote] => {
            let (in_keymat, out_keymat) = (bytes(in_keymat)?, bytes(out_keymat)?);
            table.install(&Install {
                id: SaPairId(id.parse()?),
                group: GroupId(0),
                inbound: Keys { spi: spi(in_spi)?, keymat: &in_keymat },
                outbound: Keys { spi: spi(out_spi)?, keymat: &out_keymat },
                suite: suite(bits)?,
                sequence: numbers(bits),
                limits: Limits::default(),
                replay_window: 64,
                outer: outer()?,
                local: &[prefix(local)?],
                remote: &[prefix(remote)?],
            })?;
            Ok("installed".into())
        }
        ["seal", id, inner] => {
            let inner = bytes(inner)?;
            let mut sealed = vec![0; inner.len() + ROOM];
            let len = table.seal(NOW, SaPairId(id.parse()?), &inner, &mut sealed)?.len;
            Ok(format!("sealed {}", hex(&sealed[..len])))
        }
        ["open", datagram] => {
            let mut datagram = bytes(datagram)?;
            let opened = table.open(NOW, &outer()?, &mut datagram)?;
            Ok(format!("opened {} {} {}", opened.id.0, opened.next_header, hex(&datagram[opened.inner])))
        }
        ["remove", id] => {
            table.remove(SaPairId(id.parse()?))?;
            Ok("removed".into())
        }
        _ => Err("what?".into()),
    }
}

fn outer() -> Result<OuterPath, Box<dyn Error>> {
    Ok(OuterPath::udp("192.0.2.1:4500".parse()?, "198.51.100.1:4500".parse()?))
}

/// `128`, `cbc-256-sha1`, `gcm8-128`, `chacha`, each with `-esn` behind it or not.
fn suite(text: &str) -> Result<Suite, Box<dyn Error>> {
    let words: Vec<&str> = text.split('-').filter(|word| *word != "esn").collect();
    Ok(match *words {
        ["chacha"] => Suite::ChaCha20Poly1305,
        [bits] => Suite::AesGcm { key: key(bits)?, icv: GcmIcv::O16 },
        ["gcm8", bits] => Suite::AesGcm { key: key(bits)?, icv: GcmIcv::O8 },
        ["gcm12", bits] => Suite::AesGcm { key: key(bits)?, icv: GcmIcv::O12 },
        ["ctr", bits, hash] => Suite::AesCtr { key: key(bits)?, integ: integ(hash)? },
        ["cbc", bits, hash] => Suite::AesCbc { key: key(bits)?, integ: integ(hash)? },
        _ => return Err("no such suite".into()),
    })
}

fn numbers(text: &str) -> SequenceNumbers {
    if text.ends_with("-esn") { SequenceNumbers::Extended } else { SequenceNumbers::Short }
}

fn key(bits: &str) -> Result<KeyBits, Box<dyn Error>> {
    match bits {
        "128" => Ok(KeyBits::B128),
        "192" => Ok(KeyBits::B192),
        "256" => Ok(KeyBits::B256),
        _ => Err("keys have 128, 192 or 256 bits".into()),
    }
}

fn integ(hash: &str) -> Result<Integ, Box<dyn Error>> {
    match hash {
        "sha1" => Ok(Integ::HmacSha1),
        "sha256" => Ok(Integ::HmacSha256),
        "sha384" => Ok(Integ::HmacSha384),
        "sha512" => Ok(Integ::HmacSha512),
        _ => Err("no such hash".into()),
    }
}

fn prefix(text: &str) -> Result<Selector, Box<dyn Error>> {
    let (address, len) = text.split_once('/').ok_or("a prefix is ADDRESS/LEN")?;
    Ok(Selector::prefix(address.parse()?, len.parse()?).ok_or("longer than the address")?)
}

fn spi(text: &str) -> Result<u32, Box<dyn Error>> {
    Ok(u32::from_str_radix(text, 16)?)
}

fn bytes(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err("half a byte".into());
    }
    digits.chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
