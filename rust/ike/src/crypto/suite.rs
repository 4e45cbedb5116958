//! What goes together, read and written as in the field: `aes256gcm16-prfsha384-x25519`, for ESP `aes256gcm16`.
//!
//! Parts are joined by `-` in any order, one of each kind. `ke1_` to `ke7_` before a key exchange method make it one of
//! the additional ones of RFC 9370. Beside an integrity algorithm the PRF may be left out: it is that of the same hash.
//! In an ESP suite `esn` asks for extended sequence numbers, and a key exchange method for forward secrecy at rekeying.

mod additional;

use core::fmt;
use core::str::FromStr;

pub use additional::Additional;

use super::algorithm::{Encr, Integ, KeMethod, Prf};
use super::cipher::PayloadCipher;

/// The algorithms of an IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IkeSuite {
    encr: Encr,
    prf: Prf,
    integ: Option<Integ>,
    ke: KeMethod,
    additional: Additional,
}

impl IkeSuite {
    /// Offered and accepted unless the profile says otherwise, best first: ML-KEM beside X25519 with peers that know how,
    /// and without it with others.
    pub const DEFAULTS: &'static [IkeSuite] = &[
        IkeSuite {
            additional: Additional::first(KeMethod::MlKem768),
            ..IkeSuite::aead(Encr::Aes256Gcm16, Prf::HmacSha384, KeMethod::X25519)
        },
        IkeSuite::aead(Encr::Aes256Gcm16, Prf::HmacSha384, KeMethod::X25519),
        IkeSuite::aead(Encr::Aes256Gcm16, Prf::HmacSha256, KeMethod::X25519),
        IkeSuite::aead(Encr::Aes128Gcm16, Prf::HmacSha256, KeMethod::X25519),
        IkeSuite::aead(Encr::ChaCha20Poly1305, Prf::HmacSha256, KeMethod::X25519),
        IkeSuite::aead(Encr::Aes256Gcm16, Prf::HmacSha384, KeMethod::P384),
        IkeSuite::aead(Encr::Aes256Gcm16, Prf::HmacSha384, KeMethod::P256),
        IkeSuite::aead(Encr::Aes256Gcm16, Prf::HmacSha256, KeMethod::P256),
        IkeSuite::aead(Encr::Aes128Gcm16, Prf::HmacSha256, KeMethod::P256),
    ];

    const fn aead(encr: Encr, prf: Prf, ke: KeMethod) -> IkeSuite {
        IkeSuite { encr, prf, integ: None, ke, additional: Additional::NONE }
    }

    /// A suite without additional key exchanges, if `integ` is there exactly when the cipher needs it.
    pub fn new(encr: Encr, prf: Prf, integ: Option<Integ>, ke: KeMethod) -> Result<IkeSuite, SuiteError> {
        check_integ(encr, integ)?;
        check_ke(ke)?;
        Ok(IkeSuite { encr, prf, integ, ke, additional: Additional::NONE })
    }

    /// The same with these additional key exchanges, if none of them repeats another.
    pub fn with_additional(self, additional: Additional) -> Result<IkeSuite, SuiteError> {
        check_additional(Some(self.ke), additional)?;
        Ok(IkeSuite { additional, ..self })
    }

    /// Has it every additional key exchange of this one? Then it is no weaker where those matter.
    #[must_use]
    pub fn covers(&self, other: &IkeSuite) -> bool {
        let ours = |method: KeMethod| method == self.ke || self.additional.methods().any(|one| one == method);
        other.additional.methods().all(ours)
    }

    /// The key exchanges after the first one (RFC 9370).
    #[must_use]
    pub const fn additional(&self) -> &Additional {
        &self.additional
    }

    /// The encryption algorithm, key length included.
    #[must_use]
    pub const fn encr(&self) -> Encr {
        self.encr
    }

    /// The pseudorandom function.
    #[must_use]
    pub const fn prf(&self) -> Prf {
        self.prf
    }

    /// The integrity algorithm; none beside an AEAD.
    #[must_use]
    pub const fn integ(&self) -> Option<Integ> {
        self.integ
    }

    /// The key exchange method.
    #[must_use]
    pub const fn ke(&self) -> KeMethod {
        self.ke
    }

    /// How its messages are protected.
    #[must_use]
    pub const fn cipher(&self) -> PayloadCipher {
        PayloadCipher::new(self.encr, self.integ)
    }
}

/// The algorithms of a pair of ESP Child SAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EspSuite {
    encr: Encr,
    integ: Option<Integ>,
    ke: Option<KeMethod>,
    additional: Additional,
    esn: bool,
}

impl EspSuite {
    /// Offered and accepted unless the profile says otherwise, best first.
    pub const DEFAULTS: &'static [EspSuite] =
        &[EspSuite::aead(Encr::Aes256Gcm16), EspSuite::aead(Encr::Aes128Gcm16), EspSuite::aead(Encr::ChaCha20Poly1305)];

    const fn aead(encr: Encr) -> EspSuite {
        EspSuite { encr, integ: None, ke: None, additional: Additional::NONE, esn: false }
    }

    /// A suite, if `integ` is there exactly when the cipher needs it.
    pub fn new(encr: Encr, integ: Option<Integ>, ke: Option<KeMethod>, esn: bool) -> Result<EspSuite, SuiteError> {
        check_integ(encr, integ)?;
        ke.map_or(Ok(()), check_ke)?;
        Ok(EspSuite { encr, integ, ke, additional: Additional::NONE, esn })
    }

    /// The same with these additional key exchanges, if there is a first one and none repeats another.
    pub fn with_additional(self, additional: Additional) -> Result<EspSuite, SuiteError> {
        if self.ke.is_none() && !additional.is_empty() {
            return Err(MISSING_KE);
        }
        check_additional(self.ke, additional)?;
        Ok(EspSuite { additional, ..self })
    }

    /// The key exchanges after the first one (RFC 9370).
    #[must_use]
    pub const fn additional(&self) -> &Additional {
        &self.additional
    }

    /// The encryption algorithm, key length included.
    #[must_use]
    pub const fn encr(&self) -> Encr {
        self.encr
    }

    /// The integrity algorithm; none beside an AEAD.
    #[must_use]
    pub const fn integ(&self) -> Option<Integ> {
        self.integ
    }

    /// The key exchange method that gives new Child SAs keys of their own (forward secrecy), if wanted.
    #[must_use]
    pub const fn ke(&self) -> Option<KeMethod> {
        self.ke
    }

    /// Whether sequence numbers have 64 bits.
    #[must_use]
    pub const fn esn(&self) -> bool {
        self.esn
    }

    /// The same for IKE_AUTH, whose Child SA never has a key exchange of its own (RFC 7296 section 1.2).
    #[must_use]
    pub const fn without_ke(self) -> EspSuite {
        EspSuite { ke: None, additional: Additional::NONE, ..self }
    }

    /// How its packets are protected.
    #[must_use]
    pub const fn cipher(&self) -> PayloadCipher {
        PayloadCipher::new(self.encr, self.integ)
    }
}

impl fmt::Display for IkeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encr.name())?;
        self.integ.map_or(Ok(()), |integ| write!(f, "-{integ}"))?;
        write!(f, "-{}-{}{}", self.prf, self.ke, self.additional)
    }
}

impl fmt::Display for EspSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encr.name())?;
        self.integ.map_or(Ok(()), |integ| write!(f, "-{integ}"))?;
        self.ke.map_or(Ok(()), |ke| write!(f, "-{ke}{}", self.additional))?;
        f.write_str(if self.esn { "-esn" } else { "" })
    }
}

/// What is wrong with a suite's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuiteError {
    /// No algorithm has this name.
    Unknown {
        /// The part as written, shortened if very long.
        part: String,
        /// The nearest name that would be understood here.
        nearest: &'static str,
    },
    /// Two algorithms of one kind; alternatives are written as suites of their own.
    Twice {
        /// The second one.
        part: &'static str,
        /// The kind.
        kind: &'static str,
    },
    /// An algorithm that this kind of suite has no use for.
    Misplaced {
        /// The part.
        part: &'static str,
        /// Why it does not belong.
        why: &'static str,
    },
    /// A kind that must be there is not.
    Missing {
        /// The kind.
        kind: &'static str,
        /// A name that would do.
        example: &'static str,
    },
}

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SuiteError::Unknown { part, nearest } => write!(f, "unknown algorithm {part:?}; nearest is {nearest:?}"),
            SuiteError::Twice { part, kind } => {
                write!(f, "{part:?} is a second {kind}; write alternatives as suites of their own")
            }
            SuiteError::Misplaced { part, why } => write!(f, "{part:?} does not belong here: {why}"),
            SuiteError::Missing { kind, example } => write!(f, "no {kind}; add for example {example:?}"),
        }
    }
}

impl core::error::Error for SuiteError {}

fn check_integ(encr: Encr, integ: Option<Integ>) -> Result<(), SuiteError> {
    match integ {
        Some(integ) if encr.is_aead() => Err(SuiteError::Misplaced {
            part: integ.name(),
            why: "the cipher authenticates by itself (a PRF is written \"prfsha256\")",
        }),
        None if !encr.is_aead() => Err(SuiteError::Missing { kind: "integrity algorithm", example: "sha256" }),
        Some(_) | None => Ok(()),
    }
}

/// The first message goes out before anybody knows that it may be cut in pieces.
fn check_ke(ke: KeMethod) -> Result<(), SuiteError> {
    let why = "it follows a first key exchange; write for example \"x25519-ke1_mlkem768\"";
    if ke.is_kem() { Err(SuiteError::Misplaced { part: ke.name(), why }) } else { Ok(()) }
}

fn check_additional(first: Option<KeMethod>, additional: Additional) -> Result<(), SuiteError> {
    let why = "a key exchange is done once";
    additional.repeats(first).map_or(Ok(()), |again| Err(SuiteError::Misplaced { part: again.name(), why }))
}

impl FromStr for IkeSuite {
    type Err = SuiteError;

    fn from_str(text: &str) -> Result<IkeSuite, SuiteError> {
        let parts = Parts::read(text, IKE_NAMES)?;
        if parts.esn.is_some() {
            let why = "extended sequence numbers are a matter of ESP suites";
            return Err(SuiteError::Misplaced { part: "esn", why });
        }
        let encr = parts.encr.ok_or(MISSING_ENCR)?;
        let prf = parts.prf.or(parts.integ.map(Integ::prf));
        let prf = prf.ok_or(SuiteError::Missing { kind: "PRF", example: "prfsha256" });
        check_integ(encr, parts.integ)?;
        IkeSuite::new(encr, prf?, parts.integ, parts.ke.ok_or(MISSING_KE)?)?.with_additional(parts.additional)
    }
}

impl FromStr for EspSuite {
    type Err = SuiteError;

    fn from_str(text: &str) -> Result<EspSuite, SuiteError> {
        let parts = Parts::read(text, ESP_NAMES)?;
        if let Some(prf) = parts.prf {
            return Err(SuiteError::Misplaced { part: prf.name(), why: "ESP keys come from the IKE SA's PRF" });
        }
        let suite = EspSuite::new(parts.encr.ok_or(MISSING_ENCR)?, parts.integ, parts.ke, parts.esn.is_some())?;
        suite.with_additional(parts.additional)
    }
}

const MISSING_ENCR: SuiteError = SuiteError::Missing { kind: "encryption algorithm", example: "aes256gcm16" };
const MISSING_KE: SuiteError = SuiteError::Missing { kind: "key exchange method", example: "x25519" };

/// A part of a suite's name.
#[derive(Clone, Copy)]
enum Part {
    Encr(Encr),
    Prf(Prf),
    Integ(Integ),
    Ke(KeMethod),
    /// One of the additional ones, and its place from 0.
    Additional(usize, KeMethod),
    Esn,
}

/// Which kinds of names a suggestion may come from.
type Names = fn(&Part) -> bool;
const IKE_NAMES: Names = |part| !matches!(part, Part::Esn);
const ESP_NAMES: Names = |part| !matches!(part, Part::Prf(_));

impl Part {
    fn all() -> impl Iterator<Item = Part> {
        let encr = Encr::ALL.iter().copied().map(Part::Encr);
        let prf = Prf::ALL.iter().copied().map(Part::Prf);
        let integ = Integ::ALL.iter().copied().map(Part::Integ);
        let ke = KeMethod::ALL.iter().copied().map(Part::Ke);
        encr.chain(prf).chain(integ).chain(ke).chain([Part::Esn])
    }

    fn name(self) -> &'static str {
        match self {
            Part::Encr(encr) => encr.name(),
            Part::Prf(prf) => prf.name(),
            Part::Integ(integ) => integ.name(),
            Part::Ke(ke) | Part::Additional(_, ke) => ke.name(),
            Part::Esn => "esn",
        }
    }

    /// `ke1_mlkem768`.
    fn additional(text: &str) -> Option<Part> {
        let (place, name) = text.strip_prefix("ke")?.split_once('_')?;
        let place = place.parse::<usize>().ok().filter(|place| (1..=Additional::PLACES).contains(place))?;
        let method = KeMethod::ALL.iter().find(|method| method.name() == name)?;
        Some(Part::Additional(place - 1, *method))
    }

    /// Nobody is led to what is there for old peers alone.
    fn is_advisable(&self) -> bool {
        match self {
            Part::Encr(encr) => !encr.is_aead() || encr.icv_len() == 16,
            Part::Prf(prf) => *prf != Prf::HmacSha1,
            Part::Integ(integ) => *integ != Integ::HmacSha1,
            Part::Ke(ke) | Part::Additional(_, ke) => *ke != KeMethod::Modp1024,
            Part::Esn => true,
        }
    }

    /// What others write.
    fn alias(text: &str) -> Option<Part> {
        match text {
            "aes128cbc" => Some(Part::Encr(Encr::Aes128Cbc)),
            "aes192cbc" => Some(Part::Encr(Encr::Aes192Cbc)),
            "aes256cbc" => Some(Part::Encr(Encr::Aes256Cbc)),
            _ => None,
        }
    }

    fn read(text: &str, names: Names) -> Result<Part, SuiteError> {
        let known = Part::all().find(|part| part.name() == text);
        if let Some(part) = known.or_else(|| Part::alias(text)).or_else(|| Part::additional(text)) {
            return Ok(part);
        }
        /// Longer than any name; also bounds the work of finding the nearest one.
        const LONGEST: usize = 24;
        let part: String = text.chars().take(LONGEST).collect();
        if part.starts_with("ke") && part.contains('_') {
            return Err(SuiteError::Unknown { part, nearest: "ke1_mlkem768" });
        }
        let advisable = Part::all().filter(names).filter(|part| part.is_advisable());
        let nearest = advisable.map(Part::name).min_by_key(|name| edits(&part, name)).unwrap_or_default();
        Err(SuiteError::Unknown { part, nearest })
    }
}

#[derive(Default)]
struct Parts {
    encr: Option<Encr>,
    prf: Option<Prf>,
    integ: Option<Integ>,
    ke: Option<KeMethod>,
    additional: Additional,
    esn: Option<()>,
}

impl Parts {
    fn read(text: &str, names: Names) -> Result<Parts, SuiteError> {
        let mut parts = Parts::default();
        for text in text.split('-') {
            let part = Part::read(text, names)?;
            let (taken, kind) = match part {
                Part::Encr(encr) => (parts.encr.replace(encr).is_some(), "encryption algorithm"),
                Part::Prf(prf) => (parts.prf.replace(prf).is_some(), "PRF"),
                Part::Integ(integ) => (parts.integ.replace(integ).is_some(), "integrity algorithm"),
                Part::Ke(ke) => (parts.ke.replace(ke).is_some(), "key exchange method"),
                Part::Additional(place, ke) => {
                    (parts.additional.put(place, ke).is_some(), "key exchange method of its number")
                }
                Part::Esn => (parts.esn.replace(()).is_some(), "esn"),
            };
            if taken {
                return Err(SuiteError::Twice { part: part.name(), kind });
            }
        }
        Ok(parts)
    }
}

/// Insertions, deletions and substitutions between two short words (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
