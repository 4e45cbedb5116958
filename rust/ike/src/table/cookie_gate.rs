//! Who must return a COOKIE before we spend a key exchange or a byte of memory on it (RFC 7296 section 2.6).

use core::net::IpAddr;

use crate::Nanos;
use crate::crypto::SeededRandom;
use crate::crypto::cookie::{COOKIE_LEN, CookieSecrets};
use crate::settings::HalfOpenLimits;
use crate::table::debts::{Debts, Prefix, Standing};
use crate::table::half_open::HalfOpenTable;

/// What to do with an IKE_SA_INIT request from a stranger.
#[derive(Debug, PartialEq, Eq)]
pub enum Gate {
    /// Serve it.
    Open,
    /// Answer with this cookie and forget it.
    Demand([u8; COOKIE_LEN]),
    /// The same, and the cookie that came was wrong or stale.
    WrongCookie([u8; COOKIE_LEN]),
    /// Too many half-open SAs.
    Full,
    /// This prefix owes too much, and a cookie has proven that the request is from there.
    Barred(Prefix),
}

/// What a stranger's request says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Stranger<'a> {
    /// The initiator's SPI.
    pub spi_i: u64,
    /// Where it came from.
    pub from: IpAddr,
    /// Its nonce.
    pub nonce: &'a [u8],
    /// The cookie it returned.
    pub cookie: Option<&'a [u8]>,
}

/// The gate.
#[derive(Debug, Default)]
pub struct CookieGate {
    /// Made when the first cookie is needed.
    secrets: Option<CookieSecrets>,
}

impl CookieGate {
    /// Decide. Costs a hash at most.
    pub fn judge(
        &mut self,
        now: Nanos,
        random: &mut SeededRandom,
        limits: &HalfOpenLimits,
        (table, debts): (&HalfOpenTable, &Debts),
        stranger: &Stranger<'_>,
    ) -> Gate {
        let Stranger { spi_i, from, nonce, cookie } = *stranger;
        let standing = debts.standing(now, &limits.prefixes, from);
        if table.len() >= limits.cookie_threshold || standing != Standing::Good {
            let secrets = self.secrets.get_or_insert_with(|| CookieSecrets::new(now, random));
            match cookie {
                None => return Gate::Demand(secrets.make(now, random, nonce, from, spi_i)),
                Some(cookie) if !secrets.check(now, random, cookie, nonce, from, spi_i) => {
                    return Gate::WrongCookie(secrets.make(now, random, nonce, from, spi_i));
                }
                Some(_) => {}
            }
        }
        match standing {
            Standing::Barred { prefix, .. } => Gate::Barred(prefix),
            Standing::Good | Standing::Suspect if table.len() >= limits.max => Gate::Full,
            Standing::Good | Standing::Suspect => Gate::Open,
        }
    }
}
