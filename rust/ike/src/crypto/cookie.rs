//! Stateless IKE_SA_INIT cookies (RFC 7296 section 2.6): a peer shows that it receives where it sends from before we
//! spend a key exchange or a byte of state on it.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::random::Random;
use crate::time::Nanos;

/// Octets of a cookie: 4 of secret version, 32 of HMAC; the notify may carry 1 to 64.
pub const COOKIE_LEN: usize = VERSION_LEN + 32;
const VERSION_LEN: usize = 4;

/// A secret makes cookies for this long, and is believed for as long again: enough for several retransmissions of a
/// slow peer, short enough that collected cookies go stale.
pub const SECRET_LIFETIME: Duration = Duration::from_secs(60);

/// The secrets that cookies are made with; one of these per engine, so expanded keys are affordable here.
pub struct CookieSecrets {
    current: Secret,
    previous: Option<Secret>,
    rotate_at: Nanos,
}

struct Secret {
    version: u32,
    key: hmac::Key,
}

impl Secret {
    fn fresh(version: u32, random: &mut dyn Random) -> Secret {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes);
        Secret { version, key: hmac::Key::new(hmac::HMAC_SHA256, &*bytes) }
    }

    fn cookie(&self, terms: Option<Terms>, nonce: &[u8], from: IpAddr, spi_i: u64) -> Cookie {
        let mut mac = hmac::Context::with_key(&self.key);
        // The nonce is last and the first octet says what follows it, so that no two inputs run into the same octets.
        let kind = if terms.is_some() { 0x10 } else { 0 };
        match from.to_canonical() {
            IpAddr::V4(ip) => [&[4 | kind][..], &ip.octets()].iter().for_each(|part| mac.update(part)),
            IpAddr::V6(ip) => [&[6 | kind][..], &ip.octets()].iter().for_each(|part| mac.update(part)),
        }
        let mut cookie = Cookie { octets: [0; MAX_COOKIE_LEN], len: COOKIE_LEN as u8 };
        let (head, tail) = cookie.octets.split_at_mut(COOKIE_LEN);
        if let Some(terms) = terms {
            mac.update(&terms);
            tail.copy_from_slice(&terms);
            cookie.len = MAX_COOKIE_LEN as u8;
        }
        mac.update(&spi_i.to_be_bytes());
        mac.update(nonce);
        head[..VERSION_LEN].copy_from_slice(&self.version.to_be_bytes());
        head[VERSION_LEN..].copy_from_slice(mac.sign().as_ref());
        cookie
    }
}

/// What a cookie remembers for us: the puzzle that came with it.
pub type Terms = [u8; 3];

/// Octets of a cookie with terms.
const MAX_COOKIE_LEN: usize = COOKIE_LEN + 3;

/// A cookie, with or without terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    octets: [u8; MAX_COOKIE_LEN],
    len: u8,
}

impl Cookie {
    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

impl CookieSecrets {
    /// Ready to make cookies at `now`.
    #[must_use]
    pub fn new(now: Nanos, random: &mut dyn Random) -> CookieSecrets {
        let mut first = [0; 4];
        random.fill(&mut first);
        let current = Secret::fresh(u32::from_ne_bytes(first), random);
        CookieSecrets { current, previous: None, rotate_at: now + SECRET_LIFETIME }
    }

    /// The cookie for an initiator at `from` that sent this SPI and nonce.
    #[must_use]
    pub fn make(
        &mut self,
        now: Nanos,
        random: &mut dyn Random,
        terms: Option<Terms>,
        nonce: &[u8],
        from: IpAddr,
        spi_i: u64,
    ) -> Cookie {
        self.rotate_if_due(now, random);
        self.current.cookie(terms, nonce, from, spi_i)
    }

    /// If we made this cookie, for this initiator, recently: its terms. Constant time in the cookie's secret part.
    #[must_use]
    pub fn check(
        &mut self,
        now: Nanos,
        random: &mut dyn Random,
        cookie: &[u8],
        nonce: &[u8],
        from: IpAddr,
        spi_i: u64,
    ) -> Option<Option<Terms>> {
        self.rotate_if_due(now, random);
        let version = u32::from_be_bytes(*cookie.first_chunk()?);
        let terms = match cookie.len() {
            COOKIE_LEN => None,
            MAX_COOKIE_LEN => cookie.last_chunk().copied(),
            _ => return None,
        };
        let secrets = [Some(&self.current), self.previous.as_ref()];
        let secret = secrets.into_iter().flatten().find(|secret| secret.version == version)?;
        bool::from(secret.cookie(terms, nonce, from, spi_i).octets().ct_eq(cookie)).then_some(terms)
    }

    /// After an idle time of more than a lifetime the current secret is too old to be believed as the previous one.
    fn rotate_if_due(&mut self, now: Nanos, random: &mut dyn Random) {
        if now < self.rotate_at {
            return;
        }
        let stale = now.since(self.rotate_at) >= SECRET_LIFETIME;
        let next = Secret::fresh(self.current.version.wrapping_add(1), random);
        let retired = core::mem::replace(&mut self.current, next);
        self.previous = (!stale).then_some(retired);
        self.rotate_at = now + SECRET_LIFETIME;
    }
}

impl fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieSecrets {{ version: {}, rotate_at: {:?} }}", self.current.version, self.rotate_at)
    }
}
