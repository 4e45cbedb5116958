//! One IKE SA with its Child SAs as one sealed record, and back. The keys go from engine and ESP table into the vault and
//! nowhere else.
//!
//! ```text
//! head, in the clear   "mbk", version, shards, in order or not, name of the store key, id of the SA
//! salt, count          of the vault that sealed it
//! sealed               engine's part | Child SAs | those of them that wait | the control plane's notes
//!                      [| what is known of Child SAs that somebody outside carries]
//! ```

use std::fmt;
use std::sync::Arc;

use mobike_esp::{
    Encap, GroupId, Life, Limits, OuterPath, PortRange, SaPairId, Selector, SequenceNumbers, Since, Suite, Volume,
};
use mobike_ike::crypto::EspSuite;
use mobike_ike::crypto::vault::{KEY_ID_LEN, STORE_KEY_LEN, Vault};
use mobike_ike::crypto::{CryptoError, SecretBytes};
use mobike_ike::engine::park::Resumed;
use mobike_ike::park::{Damage, Parked, Reader, Standing, Writer};
use mobike_ike::{ChildId, Nanos, SaId};
use zeroize::Zeroizing;

use crate::card::Card;
use crate::join::Join;
use crate::plane::{esp_suite, sequence_numbers, suite_back};
use crate::words::Event;

const MAGIC: [u8; 3] = *b"mbk";
const VERSION: u8 = 4;
/// Magic, version, shards, in order, key, SA.
const HEAD_LEN: usize = 3 + 1 + 1 + 1 + KEY_ID_LEN + 8;

/// Seals and opens records for all shards of a core.
pub(crate) struct Keeper {
    vault: Vault,
    key_id: [u8; KEY_ID_LEN],
    shards: u8,
}

/// One sealed IKE SA.
pub type Record = Vec<u8>;

/// What becomes of a record: the SA's id, and why it was not resumed if it was not.
pub type Verdict = (SaId, Option<String>);

/// Why a record cannot be used by this core at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// No store key was given.
    NoKey,
    /// It is no record.
    NoRecord,
    /// Written by another version of this program.
    Version(u8),
    /// Sealed with another key.
    OtherKey,
    /// Written by a core with so many shards: SPIs name the shard.
    Shards {
        /// Then.
        then: u8,
        /// Now.
        now: u8,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::NoKey => f.write_str("no store key was given"),
            Unusable::NoRecord => f.write_str("damaged: it holds something that is no record of an IKE SA"),
            Unusable::Version(version) => {
                write!(f, "it holds records of format {version}, and this version of mobike reads format {VERSION}")
            }
            Unusable::OtherKey => f.write_str("its records were sealed with another key"),
            Unusable::Shards { then, now } => {
                write!(f, "its SAs belong to {then} shards, and SPIs name the shard; now there are {now}")
            }
        }
    }
}

impl std::error::Error for Unusable {}

struct Head {
    sa: SaId,
    in_order: bool,
}

impl Keeper {
    /// `salt` is chance.
    pub(crate) fn new(store_key: &SecretBytes, salt: [u8; 32], shards: u8) -> Result<Keeper, CryptoError> {
        let key: &[u8; STORE_KEY_LEN] = store_key.expose().try_into().map_err(|_| CryptoError::BufferLength)?;
        let vault = Vault::new(key, salt)?;
        let key_id = vault.key_id()?;
        Ok(Keeper { vault, key_id, shards })
    }

    /// Whose it is. Nothing is opened for that.
    pub(crate) fn examine(&self, record: &[u8]) -> Result<SaId, Unusable> {
        self.head(record).map(|head| head.sa)
    }

    fn head(&self, record: &[u8]) -> Result<Head, Unusable> {
        let mut from = Reader::new(record);
        let read = |_: Damage| Unusable::NoRecord;
        if from.octets(MAGIC.len(), "magic").map_err(read)? != MAGIC {
            return Err(Unusable::NoRecord);
        }
        let version = from.get().map_err(read)?;
        if version != VERSION {
            return Err(Unusable::Version(version));
        }
        let then = from.get().map_err(read)?;
        let in_order = from.get().map_err(read)?;
        if from.octets(KEY_ID_LEN, "key id").map_err(read)? != self.key_id {
            return Err(Unusable::OtherKey);
        }
        if then != self.shards {
            return Err(Unusable::Shards { then, now: self.shards });
        }
        Ok(Head { sa: SaId(from.get().map_err(read)?), in_order })
    }

    fn seal(&self, sa: SaId, in_order: bool, plain: &[u8]) -> Result<Record, CryptoError> {
        let mut head = Vec::with_capacity(HEAD_LEN);
        head.extend(MAGIC);
        head.extend([VERSION, self.shards, in_order.into()]);
        head.extend(self.key_id);
        head.extend(sa.0.to_be_bytes());
        self.vault.seal(&head, plain)
    }
}

impl Join {
    /// The SA with its Child SAs and these notes, sealed; it goes on as before. `in_order`: it does not, here.
    pub(crate) fn park(&self, keeper: &Keeper, sa: SaId, notes: &[u8], in_order: bool) -> Option<Record> {
        let mut to = Writer::default();
        to.counted(&self.engine.park(sa)?);
        let pairs: Vec<ParkedPair> = self
            .plane
            .esp
            .iter()
            .flat_map(|esp| {
                // The newest comes first in the group, and shall come last.
                let newest_first: Vec<SaPairId> = esp.group(GroupId(sa.0)).collect();
                newest_first.into_iter().rev().filter_map(|pair| esp.park(pair)).map(ParkedPair).collect::<Vec<_>>()
            })
            .collect();
        to.each(pairs.iter());
        let held = self.plane.held_of(sa);
        to.put(&(held.len() as u32));
        held.iter().flatten().for_each(|id| to.put(id));
        to.counted(notes);
        // At the end, and only where there are any: records of other planes are what they were.
        let cards = self.cards_of(sa);
        if !cards.is_empty() {
            to.each(cards.iter());
        }
        keeper.seal(sa, in_order, &to.into_octets()).ok()
    }

    /// All SAs, each with its notes.
    pub(crate) fn park_all<'n>(&self, keeper: &Keeper, notes: impl Fn(SaId) -> &'n [u8]) -> Vec<(SaId, Record)> {
        let all = self.engine.established();
        all.filter_map(|sa| Some((sa, self.park(keeper, sa, notes(sa), true)?))).collect()
    }

    /// Take an SA back. `stale`: so much time has passed that the peer may have forgotten it.
    pub(crate) fn resume(&mut self, now: Nanos, keeper: &Keeper, record: &[u8], stale: bool) -> Result<SaId, String> {
        let head = keeper.head(record).map_err(|why| why.to_string())?;
        let plain = keeper.vault.open(record, HEAD_LEN).map_err(|_| "it was changed since it was sealed".to_owned())?;
        let Parts { engine, pairs, held, notes, cards } = read(&plain).map_err(|damage| damage.to_string())?;
        let standing = if head.in_order && !stale { Standing::Sure } else { Standing::Doubtful };
        let since = if head.in_order { Since::Nothing } else { Since::Unknown };
        let resumed = self.engine.resume(now, engine, standing).map_err(|why| why.to_string())?;
        if let Err(why) = self.resume_pairs(&resumed, &pairs, since) {
            self.forget(resumed.up.sa);
            return Err(why);
        }
        self.plane.hold_back_again(&held);
        let sa = resumed.up.sa;
        let sure = standing == Standing::Sure;
        let up = Box::new(resumed.up.clone());
        self.held.push_back(Event::Resumed { up, agreed: resumed.agreed, sure, notes: notes.into() });
        if self.outside.is_some() {
            self.ask_for_again(now, &resumed, cards);
            return Ok(sa);
        }
        for ParkedPair(pair) in &pairs {
            let of_pair = |(child, _): &&(ChildId, Arc<str>)| child.0 == pair.id.0;
            let name = resumed.children.iter().find(of_pair).map(|(_, name)| Arc::clone(name));
            let up = name.and_then(|name| self.plane.child_up(pair, name));
            self.held.extend(up.map(|up| Event::ChildUp(Box::new(up))));
        }
        Ok(sa)
    }

    fn resume_pairs(&mut self, resumed: &Resumed, pairs: &[ParkedPair], since: Since) -> Result<(), String> {
        let Some(esp) = &mut self.plane.esp else { return Ok(()) };
        let known = |pair: &ParkedPair| resumed.children.iter().any(|(child, _)| child.0 == pair.0.id.0);
        let all = pairs.len() == resumed.children.len() || self.outside.is_some();
        if !all || !pairs.iter().all(known) {
            return Err("its Child SAs and those of the data plane are not the same".to_owned());
        }
        for ParkedPair(pair) in pairs {
            let chance = self.engine.chance() as u16;
            esp.resume(pair, since, chance).map_err(|why| format!("Child SA {:x}: {why}", pair.id.0))?;
        }
        Ok(())
    }
}

/// What a record is made of.
struct Parts<'p> {
    engine: &'p [u8],
    pairs: Vec<ParkedPair>,
    held: Vec<[u64; 2]>,
    notes: &'p [u8],
    cards: Vec<Card>,
}

fn read(plain: &[u8]) -> Result<Parts<'_>, Damage> {
    let mut from = Reader::new(plain);
    let (engine, pairs) = (from.counted("engine's part")?, from.each(Reader::get)?);
    let held = from.each(|from| Ok([from.get()?, from.get()?]))?;
    let notes = from.counted("notes")?;
    let cards = if from.end().is_ok() { Vec::new() } else { from.each(Reader::get)? };
    let parts = Parts { engine, pairs, held, notes, cards };
    from.end()?;
    Ok(parts)
}

struct ParkedPair(mobike_esp::ParkedPair);

impl Parked for ParkedPair {
    fn park(&self, to: &mut Writer) {
        let mobike_esp::ParkedPair {
            id,
            group,
            suite,
            sequence,
            spi_in,
            spi_out,
            keymat_in,
            keymat_out,
            sequence_out,
            life: Life { count, chance },
            window_top,
            window,
            limits,
            carried,
            outer: OuterPath { local: local_end, remote: remote_end, encap },
            parked,
            local,
            remote,
        } = &self.0;
        to.put(&id.0);
        to.put(&group.0);
        let name = suite_back(*suite, *sequence).map(|suite| suite.to_string()).unwrap_or_default();
        to.counted(name.as_bytes());
        to.put(spi_in);
        to.put(spi_out);
        to.counted(keymat_in);
        to.counted(keymat_out);
        to.put(sequence_out);
        to.put(count);
        to.put(chance);
        to.put(window_top);
        to.each(window.iter());
        for Volume { bytes, packets } in [limits.soft, limits.hard, carried[0], carried[1]] {
            to.put(&bytes);
            to.put(&packets);
        }
        to.put(local_end);
        to.put(remote_end);
        to.put(&number_of(*encap));
        to.put(parked);
        for side in [local, remote] {
            to.put(&(side.len() as u32));
            side.iter().for_each(|selector| park_selector(to, selector));
        }
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (id, group) = (SaPairId(from.get()?), GroupId(from.get()?));
        let (suite, sequence) = unpark_suite(from)?;
        Ok(ParkedPair(mobike_esp::ParkedPair {
            id,
            group,
            suite,
            sequence,
            spi_in: from.get()?,
            spi_out: from.get()?,
            keymat_in: Zeroizing::new(from.counted("key")?.to_vec()),
            keymat_out: Zeroizing::new(from.counted("key")?.to_vec()),
            sequence_out: from.get()?,
            life: Life { count: from.get()?, chance: from.get()? },
            window_top: from.get()?,
            window: from.each(Reader::get)?,
            limits: Limits { soft: volume(from)?, hard: volume(from)? },
            carried: [volume(from)?, volume(from)?],
            outer: OuterPath { local: from.get()?, remote: from.get()?, encap: unpark_encap(from)? },
            parked: from.get()?,
            local: from.each(unpark_selector)?,
            remote: from.each(unpark_selector)?,
        }))
    }
}

fn volume(from: &mut Reader<'_>) -> Result<Volume, Damage> {
    Ok(Volume { bytes: from.get()?, packets: from.get()? })
}

/// Before there were streams, this was "in UDP?".
fn number_of(encap: Encap) -> u8 {
    match encap {
        Encap::None => 0,
        Encap::Udp => 1,
        Encap::Tcp => 2,
    }
}

fn unpark_encap(from: &mut Reader<'_>) -> Result<Encap, Damage> {
    match from.get()? {
        0u8 => Ok(Encap::None),
        1 => Ok(Encap::Udp),
        2 => Ok(Encap::Tcp),
        _ => Err(from.damage("encapsulation")),
    }
}

/// By its name, which outlives the order of any enum.
fn unpark_suite(from: &mut Reader<'_>) -> Result<(Suite, SequenceNumbers), Damage> {
    let name = from.counted("cipher")?;
    let named = core::str::from_utf8(name).ok().and_then(|name| name.parse::<EspSuite>().ok());
    let suite = named.and_then(|named| Some((esp_suite(named)?, sequence_numbers(named))));
    suite.ok_or_else(|| from.damage("cipher"))
}

fn park_selector(to: &mut Writer, selector: &Selector) {
    let (first_port, last_port) = selector.ports().ends();
    to.put(&selector.first());
    to.put(&selector.last());
    to.put(&selector.protocol());
    to.put(&first_port);
    to.put(&last_port);
}

fn unpark_selector(from: &mut Reader<'_>) -> Result<Selector, Damage> {
    let (first, last, protocol) = (from.get()?, from.get()?, from.get()?);
    let ports = PortRange::new(from.get()?, from.get()?).ok_or_else(|| from.damage("ports"))?;
    Selector::new(first, last, protocol, ports).ok_or_else(|| from.damage("selector"))
}
