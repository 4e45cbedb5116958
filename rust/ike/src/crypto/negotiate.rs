//! Our suites against a peer's SA payload (RFC 7296 sections 2.7 and 3.3), both ways.
//!
//! Proposals are seen here as plain data so that this room needs no wire format; the engine converts.
//!
//! **Order of preference.** Ours, among what the peer offers; except that a suite whose key exchange the peer already sent
//! comes before one that would cost INVALID_KE_PAYLOAD and a round trip. Every suite in our list is good enough by the
//! operator's word, so this gives away time and not safety.
//!
//! **Cost.** A peer's transforms are read once into bit sets, whatever their number; comparing a suite then takes a few
//! operations, so that a stranger's 64 KiB of proposals buys no quadratic work.

mod compare;

use core::fmt;

pub use compare::{Line, compare};

use super::algorithm::{Encr, Integ, KeMethod, Prf, Transform, transform_type};
use super::suite::{Additional, EspSuite, IkeSuite};

/// Protocol ID of IKE in proposals (RFC 7296 section 3.3.1).
pub const PROTOCOL_IKE: u8 = 1;
/// Protocol ID of ESP in proposals.
pub const PROTOCOL_ESP: u8 = 3;

/// One proposal of a peer's SA payload.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Proposal number.
    pub number: u8,
    /// Protocol ID.
    pub protocol: u8,
    /// The sender's SPI: empty, 4 or 8 octets; checked by whoever uses it.
    pub spi: &'a [u8],
    /// Its transforms, in any order.
    pub transforms: &'a [Transform],
}

/// What came of a peer's offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<S> {
    /// Answer with this.
    Chosen(Chosen<S>),
    /// We agree but for the key exchange that was sent: answer INVALID_KE_PAYLOAD naming this method.
    WrongKe {
        /// The method of our most preferred suite among the offered ones.
        wanted: KeMethod,
    },
    /// NO_PROPOSAL_CHOSEN, and one line of why for the log.
    None(String),
}

/// A suite both ends can live with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen<S> {
    /// The suite.
    pub suite: S,
    /// The peer's number of the proposal, to be repeated in the answer.
    pub number: u8,
    /// Which of the offers it was, for its SPI.
    pub offer: usize,
    /// Transform types offered with NONE, which the answer repeats: it has one transform of each offered type.
    explicit_none: BitSet,
}

impl<S: Suite> Chosen<S> {
    /// The transforms of the answer.
    #[must_use]
    pub fn transforms(&self) -> Transforms {
        let mut answer = self.suite.transforms();
        for kind in (transform_type::INTEG..=transform_type::LAST_ADDITIONAL_KE).filter(|kind| may_be_none(*kind)) {
            if self.explicit_none & bit(kind) != 0 {
                answer.push(Transform::new(kind, NONE));
            }
        }
        answer
    }
}

/// The transform ID that means "nothing of this type".
const NONE: u16 = 0;

/// Has the type a NONE? Integrity, and every key exchange (RFC 7296 section 3.3.2, RFC 9370 section 2.2.1).
const fn may_be_none(kind: u8) -> bool {
    kind == transform_type::INTEG || kind == transform_type::KE || kind >= transform_type::FIRST_ADDITIONAL_KE
}

/// Transform IDs of extended sequence numbers (RFC 7296 section 3.3.2).
const NO_ESN: u16 = 0;
const ESN: u16 = 1;

/// Choose among a peer's offers. `ke_sent` is the method of the KE payload that came along, if any.
pub fn choose<S: Suite>(ours: &[S], offers: &[Offer<'_>], ke_sent: Option<u16>) -> Outcome<S> {
    let ready = |suite: &S| suite.ke().is_none_or(|ke| Some(ke.id()) == ke_sent);
    let read: Vec<Offered> = offers.iter().map(Offered::read).collect();
    let find = |suite: &S| {
        let offer = read.iter().position(|offered| suite.is_in(offered))?;
        let explicit_none = read[offer].explicit_none(suite);
        Some(Chosen { suite: *suite, number: offers[offer].number, offer, explicit_none })
    };
    if let Some(chosen) = ours.iter().filter(|suite| ready(suite)).find_map(find) {
        return Outcome::Chosen(chosen);
    }
    match ours.iter().find_map(find).and_then(|chosen| chosen.suite.ke()) {
        Some(wanted) => Outcome::WrongKe { wanted },
        None => Outcome::None(difference(ours, offers)),
    }
}

/// Check a peer's answer to proposals made from `sent` (see [`proposals`]): exactly one of them, unchanged.
pub fn check_answer<S: Suite>(sent: &[S], answer: &[Offer<'_>]) -> Result<Chosen<S>, String> {
    let refused = |what: &str| Err(format!("peer's answer {what}: {}", difference(sent, answer)));
    let [offer] = answer else { return refused("must be one proposal") };
    let Some(suite) = usize::from(offer.number).checked_sub(1).and_then(|index| sent.get(index)) else {
        return refused("has a number that we did not send");
    };
    if offer.transforms.len() != suite.transforms().len() || !suite.is_in(&Offered::read(offer)) {
        return refused("differs from what we proposed under its number");
    }
    Ok(Chosen { suite: *suite, number: offer.number, offer: 0, explicit_none: 0 })
}

/// Our proposals with their numbers, one for each suite. Numbers have one octet, so a list ends after 255.
pub fn proposals<S: Suite>(ours: &[S]) -> impl Iterator<Item = (u8, Transforms)> + '_ {
    (1..=u8::MAX).zip(ours.iter().map(Suite::transforms))
}

/// What negotiation needs to know of a suite.
pub trait Suite: Copy + fmt::Display {
    /// Protocol ID of its proposals.
    const PROTOCOL: u8;

    /// Its transforms, one of each type.
    fn transforms(&self) -> Transforms;

    /// The key exchange method it needs.
    fn ke(&self) -> Option<KeMethod>;

    /// Whether an offer contains it: protocol, one transform of each type the offer has, no type left out.
    fn is_in(&self, offered: &Offered) -> bool;
}

impl Suite for IkeSuite {
    const PROTOCOL: u8 = PROTOCOL_IKE;

    fn transforms(&self) -> Transforms {
        let integ = self.integ().map(Integ::transform);
        let all = [Some(self.encr().transform()), integ, Some(self.prf().transform()), Some(self.ke().transform())];
        all.into_iter().flatten().chain(additional_transforms(self.additional())).collect()
    }

    fn ke(&self) -> Option<KeMethod> {
        Some(self.ke())
    }

    fn is_in(&self, offered: &Offered) -> bool {
        offered.is_for(Self::PROTOCOL, &[transform_type::ESN])
            && offered.encr & bit(self.encr() as u8) != 0
            && offered.prf & bit(self.prf() as u8) != 0
            && offered.has_integ(self.integ())
            && offered.has_ke(Some(self.ke()))
            && offered.has_additional(self.additional())
    }
}

impl Suite for EspSuite {
    const PROTOCOL: u8 = PROTOCOL_ESP;

    fn transforms(&self) -> Transforms {
        let integ = self.integ().map(Integ::transform);
        let ke = self.ke().map(KeMethod::transform);
        let esn = Transform::new(transform_type::ESN, if self.esn() { ESN } else { NO_ESN });
        let all = [Some(self.encr().transform()), integ, ke, Some(esn)];
        all.into_iter().flatten().chain(additional_transforms(self.additional())).collect()
    }

    fn ke(&self) -> Option<KeMethod> {
        self.ke()
    }

    fn is_in(&self, offered: &Offered) -> bool {
        offered.is_for(Self::PROTOCOL, &[transform_type::PRF])
            && offered.encr & bit(self.encr() as u8) != 0
            && offered.has_integ(self.integ())
            && offered.has_ke(self.ke())
            && offered.has_additional(self.additional())
            && offered.esn & bit(u8::from(self.esn())) != 0
    }
}

fn additional_transforms(additional: &Additional) -> impl Iterator<Item = Transform> + '_ {
    additional.placed().map(|(place, method)| method.additional_transform(place))
}

/// A few transforms, inline.
#[derive(Debug, Clone, Copy)]
pub struct Transforms {
    list: [Transform; Transforms::MAX],
    len: usize,
}

impl Transforms {
    /// One of each type we know.
    pub const MAX: usize = 5 + Additional::PLACES;

    fn push(&mut self, transform: Transform) {
        if let Some(slot) = self.list.get_mut(self.len) {
            *slot = transform;
            self.len += 1;
        }
    }
}

impl FromIterator<Transform> for Transforms {
    fn from_iter<I: IntoIterator<Item = Transform>>(transforms: I) -> Transforms {
        let mut list = Transforms { list: [Transform::new(0, 0); Transforms::MAX], len: 0 };
        transforms.into_iter().for_each(|transform| list.push(transform));
        list
    }
}

impl core::ops::Deref for Transforms {
    type Target = [Transform];

    fn deref(&self) -> &[Transform] {
        &self.list[..self.len]
    }
}

/// Row numbers of our tables, or transform types.
type BitSet = u32;

const fn bit(index: u8) -> BitSet {
    1 << index
}

/// An offer as bit sets over our table rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offered {
    protocol: u8,
    /// Transform types present, as bits.
    kinds: BitSet,
    /// Transform types present with ID NONE.
    nones: BitSet,
    /// A type that we do not know; the whole proposal is void (RFC 7296 section 3.3.6).
    strange: bool,
    encr: BitSet,
    prf: BitSet,
    integ: BitSet,
    ke: BitSet,
    esn: BitSet,
    additional: [BitSet; Additional::PLACES],
}

const _: () = {
    assert!(Encr::ALL.len() <= BitSet::BITS as usize && Prf::ALL.len() <= BitSet::BITS as usize);
    assert!(Integ::ALL.len() <= BitSet::BITS as usize && KeMethod::ALL.len() <= BitSet::BITS as usize);
};

impl Offered {
    fn read(offer: &Offer<'_>) -> Offered {
        let mut offered = Offered { protocol: offer.protocol, ..Offered::default() };
        offer.transforms.iter().for_each(|transform| offered.add(transform));
        offered
    }

    fn add(&mut self, transform: &Transform) {
        let kind = transform.kind;
        if !(transform_type::ENCR..=transform_type::LAST_ADDITIONAL_KE).contains(&kind) {
            self.strange = true;
            return;
        }
        self.kinds |= bit(kind);
        match kind {
            transform_type::ENCR => self.encr |= Encr::from_transform(transform).map_or(0, |row| bit(row as u8)),
            transform_type::PRF => self.prf |= Prf::from_transform(transform).map_or(0, |row| bit(row as u8)),
            transform_type::INTEG => self.integ |= Integ::from_transform(transform).map_or(0, |row| bit(row as u8)),
            transform_type::KE => self.ke |= KeMethod::from_transform(transform).map_or(0, |row| bit(row as u8)),
            transform_type::ESN if *transform == Transform::new(kind, NO_ESN) => self.esn |= bit(0),
            transform_type::ESN if *transform == Transform::new(kind, ESN) => self.esn |= bit(1),
            _ => self.add_additional(transform),
        }
        if may_be_none(kind) && *transform == Transform::new(kind, NONE) {
            self.nones |= bit(kind);
        }
    }

    fn add_additional(&mut self, transform: &Transform) {
        let place = transform.kind.checked_sub(transform_type::FIRST_ADDITIONAL_KE).map(usize::from);
        let method = KeMethod::from_transform(&Transform { kind: transform_type::KE, ..*transform });
        if let (Some(slot), Some(row)) = (place.and_then(|place| self.additional.get_mut(place)), method) {
            *slot |= bit(row as u8);
        }
    }

    fn has_additional(&self, wanted: &Additional) -> bool {
        (transform_type::FIRST_ADDITIONAL_KE..).zip(0..Additional::PLACES).all(|(kind, place)| match wanted.at(place) {
            Some(row) => self.additional[place] & bit(row as u8) != 0,
            None => self.can_do_without(kind),
        })
    }

    fn is_for(&self, protocol: u8, alien_kinds: &[u8]) -> bool {
        self.protocol == protocol && !self.strange && alien_kinds.iter().all(|kind| self.kinds & bit(*kind) == 0)
    }

    fn has_integ(&self, integ: Option<Integ>) -> bool {
        integ.map_or_else(|| self.can_do_without(transform_type::INTEG), |row| self.integ & bit(row as u8) != 0)
    }

    fn has_ke(&self, ke: Option<KeMethod>) -> bool {
        ke.map_or_else(|| self.can_do_without(transform_type::KE), |row| self.ke & bit(row as u8) != 0)
    }

    /// A type is optional if it is absent, or present with NONE among its alternatives.
    fn can_do_without(&self, kind: u8) -> bool {
        self.kinds & bit(kind) == 0 || self.nones & bit(kind) != 0
    }

    fn explicit_none<S: Suite>(&self, suite: &S) -> BitSet {
        suite.transforms().iter().fold(self.nones, |nones, transform| nones & !bit(transform.kind))
    }
}

/// How much of a stranger's offer, and of our list, one line of log shows.
const SHOWN: usize = 3;

/// "offered aes128cbc/..., we accept ...": one line, of bounded length whatever the peer sent.
fn difference<S: Suite>(ours: &[S], offers: &[Offer<'_>]) -> String {
    let offered = list(offers.iter().map(|offer| describe::<S>(offer)), offers.len());
    let accepted = list(ours.iter().map(ToString::to_string), ours.len());
    format!("offered {offered}; we accept {accepted}")
}

fn list(items: impl Iterator<Item = String>, len: usize) -> String {
    match len {
        0 => "nothing".into(),
        _ => {
            let shown: Vec<String> = items.take(SHOWN).collect();
            let more = if len > SHOWN { format!(" and {} more", len - SHOWN) } else { String::new() };
            format!("{}{more}", shown.join(", "))
        }
    }
}

fn describe<S: Suite>(offer: &Offer<'_>) -> String {
    /// Alternatives in one proposal that a line of log shows.
    const TRANSFORMS_SHOWN: usize = 8;
    let mut text = match offer.protocol {
        same if same == S::PROTOCOL => String::new(),
        other => format!("protocol {other} "),
    };
    let names: Vec<String> = offer.transforms.iter().take(TRANSFORMS_SHOWN).map(name_of).collect();
    text.push_str(&names.join("-"));
    if offer.transforms.len() > TRANSFORMS_SHOWN {
        text.push_str("-...");
    }
    text
}

/// Names of what we have no row for but peers often offer, so that the log reads well (IANA IKEv2 registry).
const WELL_KNOWN: &[(u8, u16, &str)] = &[
    (transform_type::ENCR, 3, "3des"),
    (transform_type::ENCR, 11, "null"),
    (transform_type::ENCR, 20, "aes{}gcm16"),
    (transform_type::PRF, 1, "prfmd5"),
    (transform_type::PRF, 4, "prfaesxcbc"),
    (transform_type::PRF, 8, "prfaescmac"),
    (transform_type::INTEG, 0, "nointeg"),
    (transform_type::INTEG, 1, "md5"),
    (transform_type::INTEG, 5, "aesxcbc"),
    (transform_type::KE, 0, "noke"),
    (transform_type::KE, 5, "modp1536"),
    (transform_type::KE, 32, "x448"),
    (transform_type::ESN, 0, "noesn"),
    (transform_type::ESN, 1, "esn"),
];

fn name_of(transform: &Transform) -> String {
    let bits = transform.key_bits.map(|bits| bits.to_string()).unwrap_or_default();
    let known = match transform.kind {
        transform_type::PRF => Prf::from_transform(transform).map(Prf::name),
        transform_type::INTEG => Integ::from_transform(transform).map(Integ::name),
        transform_type::KE => KeMethod::from_transform(transform).map(KeMethod::name),
        transform_type::FIRST_ADDITIONAL_KE..=transform_type::LAST_ADDITIONAL_KE => {
            return name_of_additional(transform);
        }
        _ => Encr::from_transform(transform).map(Encr::name),
    };
    let well_known = || WELL_KNOWN.iter().find(|(kind, id, _)| (*kind, *id) == (transform.kind, transform.id));
    match known.or_else(|| well_known().map(|(_, _, name)| *name)) {
        Some(name) if transform.unknown_attribute => format!("{}(unknown attribute)", name.replace("{}", &bits)),
        Some(name) => name.replace("{}", &bits),
        None => format!("type{}:{}", transform.kind, transform.id),
    }
}

/// `ke1_mlkem768`.
fn name_of_additional(transform: &Transform) -> String {
    let place = transform.kind - transform_type::ESN;
    format!("ke{place}_{}", name_of(&Transform { kind: transform_type::KE, ..*transform }))
}
