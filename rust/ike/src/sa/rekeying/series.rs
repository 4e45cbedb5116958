//! Several key exchanges of one CREATE_CHILD_SA (RFC 9370 section 2.2.4): what both ends have so far, and what waits for the
//! rest. Nothing is made of it before the last one is done; with one key exchange, or none, that is at once.

use core::fmt;
use core::time::Duration;

use crate::Nanos;
use crate::crypto::{Additional, CryptoError, IkeSuite, KeMethod, Nonces, SharedSecret, Spis};
use crate::id::ChildId;
use crate::sa::child::Reserved;
use crate::sa::exchange::make_child;

/// Secrets and nonces of the exchanges that are done.
pub struct Series {
    nonce_i: Box<[u8]>,
    nonce_r: Box<[u8]>,
    secrets: Vec<SharedSecret>,
    /// Additional ones that are done.
    done: u8,
}

/// What ADDITIONAL_KEY_EXCHANGE says: which series the next key exchange belongs to. The end that answers chooses it.
pub type Link = Box<[u8]>;

/// A longer one makes no sense, and goes back in every request.
pub const LONGEST_LINK: usize = 256;

impl Series {
    /// After CREATE_CHILD_SA.
    #[must_use]
    pub fn new(nonce_i: &[u8], nonce_r: &[u8], first: Option<SharedSecret>) -> Series {
        Series { nonce_i: nonce_i.into(), nonce_r: nonce_r.into(), secrets: first.into_iter().collect(), done: 0 }
    }

    /// From what was written down.
    #[must_use]
    pub fn resumed(nonces: (&[u8], &[u8]), secrets: Vec<SharedSecret>) -> Series {
        let done = secrets.len().saturating_sub(1) as u8;
        Series { nonce_i: nonces.0.into(), nonce_r: nonces.1.into(), secrets, done }
    }

    /// What is done next of these; `None` once all are.
    #[must_use]
    pub fn next(&self, additional: &Additional) -> Option<KeMethod> {
        additional.methods().nth(self.done.into())
    }

    /// One more is done.
    pub fn add(&mut self, secret: SharedSecret) {
        self.secrets.push(secret);
        self.done += 1;
    }

    /// All secrets, in order.
    #[must_use]
    pub fn secrets(&self) -> &[SharedSecret] {
        &self.secrets
    }

    /// Both nonces.
    pub fn nonces(&self) -> Result<Nonces<'_>, CryptoError> {
        Nonces::new(&self.nonce_i, &self.nonce_r)
    }

    /// The octets of both.
    #[must_use]
    pub fn nonce_octets(&self) -> (&[u8], &[u8]) {
        (&self.nonce_i, &self.nonce_r)
    }

    /// The lowest nonce, which decides collisions (RFC 7296 sections 2.8.1 and 2.8.2).
    #[must_use]
    pub fn lowest(&self) -> &[u8] {
        self.nonce_i.as_ref().min(&self.nonce_r)
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Series({} done)", self.done)
    }
}

/// An IKE SA that both ends agreed on.
#[derive(Debug)]
pub struct IkeHalf {
    /// Its algorithms.
    pub suite: IkeSuite,
    /// Its SPIs.
    pub spis: Spis,
    /// Its key exchanges.
    pub series: Series,
}

impl IkeHalf {
    /// What is done next.
    #[must_use]
    pub fn next(&self) -> Option<KeMethod> {
        self.series.next(self.suite.additional())
    }
}

/// A Child SA that both ends agreed on.
#[derive(Debug)]
pub struct ChildHalf {
    /// Algorithms, selectors, the peer's SPI.
    pub agreed: make_child::Agreed,
    /// Its key exchanges.
    pub series: Series,
}

impl ChildHalf {
    /// What is done next.
    #[must_use]
    pub fn next(&self) -> Option<KeMethod> {
        self.series.next(self.agreed.suite.additional())
    }
}

/// What the peer makes, and we wait for its next key exchange.
#[derive(Debug)]
pub struct Coming {
    /// How it names it.
    pub link: [u8; 8],
    /// Forgotten then.
    pub until: Nanos,
    /// It.
    pub what: Half,
}

/// What the peer makes.
#[derive(Debug)]
pub enum Half {
    /// An IKE SA in the place of the one in use.
    Ike(IkeHalf),
    /// A Child SA.
    Child {
        /// It.
        half: ChildHalf,
        /// Its place and our SPI.
        reserved: Reserved,
        /// The pair it replaces; none if it is a new one.
        replaces: Option<ChildId>,
    },
}

/// A peer that says nothing for so long has given up, or lost what it began; if it has not, it begins anew. Repetitions
/// reach us within that time unless the path is gone.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Of one IKE SA at a time.
pub const MOST_COMING: usize = 8;

impl Half {
    /// What is done next.
    #[must_use]
    pub fn next(&self) -> Option<KeMethod> {
        match self {
            Half::Ike(half) => half.next(),
            Half::Child { half, .. } => half.next(),
        }
    }

    /// One more key exchange is done.
    pub fn add(&mut self, secret: SharedSecret) {
        match self {
            Half::Ike(half) => half.series.add(secret),
            Half::Child { half, .. } => half.series.add(secret),
        }
    }

    /// Is it an IKE SA?
    #[must_use]
    pub fn is_ike(&self) -> bool {
        matches!(self, Half::Ike(_))
    }

    /// Does it replace this pair?
    #[must_use]
    pub fn replaces(&self, child: ChildId) -> bool {
        matches!(self, Half::Child { replaces: Some(old), .. } if *old == child)
    }
}
