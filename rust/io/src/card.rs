//! What stays here of a Child SA that a data plane outside of the core carries: enough to tell another process what it
//! finds there. No keys.

use std::collections::HashMap;

use mobike_ike::crypto::EspSuite;
use mobike_ike::park::{Damage, Parked, Reader, Writer};
use mobike_ike::{ChildId, ChildInstall, ChildLimits, ChildMode, SaId, Selector, Sends, Volume};

/// One pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) child: ChildId,
    pub(crate) spi_in: u32,
    pub(crate) spi_out: u32,
    pub(crate) suite: EspSuite,
    pub(crate) local_ts: Vec<Selector>,
    pub(crate) remote_ts: Vec<Selector>,
    pub(crate) sends: Sends,
    pub(crate) volumes: ChildLimits,
    pub(crate) mode: ChildMode,
}

/// Those of a shard.
#[derive(Default)]
pub(crate) struct Cards(HashMap<SaId, Vec<Card>>);

impl Card {
    pub(crate) fn of(child: ChildId, install: &ChildInstall) -> Card {
        let &ChildInstall { suite, spi_in, spi_out, sends, mode, .. } = install;
        let (local_ts, remote_ts) = (install.local_ts.clone(), install.remote_ts.clone());
        Card { child, spi_in, spi_out, suite, local_ts, remote_ts, sends, volumes: install.limits, mode }
    }
}

impl Cards {
    pub(crate) fn put(&mut self, sa: SaId, card: Card) {
        self.0.entry(sa).or_default().push(card);
    }

    pub(crate) fn forget(&mut self, sa: SaId, child: ChildId) {
        if let Some(cards) = self.0.get_mut(&sa) {
            cards.retain(|card| card.child != child);
            if cards.is_empty() {
                self.0.remove(&sa);
            }
        }
    }

    pub(crate) fn forget_all(&mut self, sa: SaId) {
        self.0.remove(&sa);
    }

    /// Those of an IKE SA.
    pub(crate) fn of(&self, sa: SaId) -> &[Card] {
        self.0.get(&sa).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Parked for Card {
    fn park(&self, to: &mut Writer) {
        to.put(&self.child.0);
        to.put(&self.spi_in);
        to.put(&self.spi_out);
        to.counted(self.suite.to_string().as_bytes());
        for side in [&self.local_ts, &self.remote_ts] {
            to.put(&(side.len() as u32));
            side.iter().for_each(|selector| park_selector(to, selector));
        }
        let (kind, instead_of) = match self.sends {
            Sends::AtOnce => (0u8, 0),
            Sends::WhenUsed { instead_of } => (1, instead_of.0),
            Sends::Never { instead_of } => (2, instead_of.0),
        };
        to.put(&kind);
        to.put(&instead_of);
        for Volume { bytes, packets } in [self.volumes.soft, self.volumes.hard] {
            to.put(&bytes);
            to.put(&packets);
        }
        to.put(&(self.mode == ChildMode::Transport));
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Card {
            child: ChildId(from.get()?),
            spi_in: from.get()?,
            spi_out: from.get()?,
            suite: unpark_suite(from)?,
            local_ts: from.each(unpark_selector)?,
            remote_ts: from.each(unpark_selector)?,
            sends: unpark_sends(from)?,
            volumes: ChildLimits { soft: unpark_volume(from)?, hard: unpark_volume(from)? },
            mode: if from.get()? { ChildMode::Transport } else { ChildMode::Tunnel },
        })
    }
}

fn park_selector(to: &mut Writer, selector: &Selector) {
    to.put(&selector.protocol);
    to.put(&selector.start_port);
    to.put(&selector.end_port);
    to.put(&selector.start);
    to.put(&selector.end);
}

fn unpark_selector(from: &mut Reader<'_>) -> Result<Selector, Damage> {
    let (protocol, start_port, end_port) = (from.get()?, from.get()?, from.get()?);
    Ok(Selector { protocol, start_port, end_port, start: from.get()?, end: from.get()? })
}

/// By its name, which outlives the order of any enum.
fn unpark_suite(from: &mut Reader<'_>) -> Result<EspSuite, Damage> {
    let name = core::str::from_utf8(from.counted("cipher")?).unwrap_or_default();
    name.parse().map_err(|_| from.damage("cipher"))
}

fn unpark_sends(from: &mut Reader<'_>) -> Result<Sends, Damage> {
    let (kind, instead_of) = (from.get::<u8>()?, ChildId(from.get()?));
    match kind {
        0 => Ok(Sends::AtOnce),
        1 => Ok(Sends::WhenUsed { instead_of }),
        2 => Ok(Sends::Never { instead_of }),
        _ => Err(from.damage("when it sends")),
    }
}

fn unpark_volume(from: &mut Reader<'_>) -> Result<Volume, Damage> {
    Ok(Volume { bytes: from.get()?, packets: from.get()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_read_as_it_was_written() {
        let volume = |bytes| Volume { bytes, packets: bytes + 1 };
        for (sends, suite) in [
            (Sends::AtOnce, "aes128gcm16"),
            (Sends::WhenUsed { instead_of: ChildId(7) }, "aes256-sha256-esn"),
            (Sends::Never { instead_of: ChildId(8) }, "chacha20poly1305"),
        ] {
            let card = Card {
                child: ChildId(9),
                spi_in: 0x1234,
                spi_out: 0x5678,
                suite: suite.parse().unwrap(),
                local_ts: vec![Selector::ANY_V4, Selector::host([10, 0, 0, 1].into())],
                remote_ts: vec![Selector { protocol: 17, start_port: 53, end_port: 54, ..Selector::ANY_V4 }],
                sends,
                volumes: ChildLimits { soft: volume(1), hard: volume(3) },
                mode: ChildMode::Transport,
            };
            let mut to = Writer::default();
            to.put(&card);
            let octets = to.into_octets();
            assert_eq!(Reader::new(&octets).get::<Card>().unwrap(), card);
            for short in 0..octets.len() {
                Reader::new(&octets[..short]).get::<Card>().unwrap_err();
            }
        }
    }
}
