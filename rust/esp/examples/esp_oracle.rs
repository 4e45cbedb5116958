//! Seals and opens for a stranger's tests: one question per line in, one answer per line out, bytes in hex.
//!
//! ```text
//! install ID BITS IN_SPI IN_KEYMAT OUT_SPI OUT_KEYMAT LOCAL/LEN REMOTE/LEN  ->  installed
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
    EspTable, GroupId, Install, Keys, Nanos, OuterPath, SaPairId, Selector, SequenceNumbers, Suite, sealed_len,
};

type Answer = Result<String, Box<dyn Error>>;

const NOW: Nanos = Nanos(1);

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
                sequence: SequenceNumbers::Short,
                replay_window: 64,
                outer: outer()?,
                local: &[prefix(local)?],
                remote: &[prefix(remote)?],
            })?;
            Ok("installed".into())
        }
        ["seal", id, inner] => {
            let inner = bytes(inner)?;
            let mut sealed = vec![0; sealed_len(inner.len())];
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
    Ok(OuterPath { local: "192.0.2.1:4500".parse()?, remote: "198.51.100.1:4500".parse()?, encap: true })
}

fn suite(bits: &str) -> Result<Suite, Box<dyn Error>> {
    match bits {
        "128" => Ok(Suite::Aes128Gcm16),
        "192" => Ok(Suite::Aes192Gcm16),
        "256" => Ok(Suite::Aes256Gcm16),
        _ => Err("keys have 128, 192 or 256 bits".into()),
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
