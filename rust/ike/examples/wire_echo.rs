//! Reads messages, one in hex per line, and answers each with a line: the same message written anew, or what is wrong.
//!
//! The door through which an independent implementation checks ours (`tests/vectors/test_scapy_ike.py`).

use std::io::{self, BufRead, Write};

use mobike_ike::wire::{Message, MessageWriter};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = match octets(line?.trim()) {
            Some(message) => echo(&message),
            None => "error: not hex".to_owned(),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

fn echo(message: &[u8]) -> String {
    let written = Message::parse(message).and_then(|read| {
        let mut writer = MessageWriter::new(&read.header);
        read.payloads.iter().for_each(|payload| writer.push(payload));
        writer.finish()
    });
    match written {
        Ok(written) => written.iter().map(|octet| format!("{octet:02x}")).collect(),
        Err(error) => format!("error: {error}"),
    }
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}
