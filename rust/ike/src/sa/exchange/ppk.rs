//! A key that both ends share besides, so that who records today and breaks the key exchange tomorrow still reads nothing
//! (RFC 8784).
//!
//! ```text
//! IKE_SA_INIT { .., N(USE_PPK) }                             -->   <-- IKE_SA_INIT { .., N(USE_PPK) }
//! IKE_AUTH { .., AUTH, N(PPK_IDENTITY), [N(NO_PPK_AUTH)] }   -->   <-- IKE_AUTH { .., AUTH, [N(PPK_IDENTITY)] }
//! ```
//!
//! With EAP it is the last IKE_AUTH, after the conversation, that names the key; what the gateway proves itself by before
//! that is made without it.

use crate::proofs::Ppk;
use crate::wire::{Authentication, NotifyType, Payload, Payloads, SkWriter};

/// PPK_ID_FIXED: a name that both ends were given.
const FIXED: u8 = 2;

/// Which key we used, and, if the peer may do without, what proves us then.
pub fn write(writer: &mut SkWriter, ppk: &Ppk, without: Option<&[u8]>) {
    let name = [&[FIXED], &ppk.id[..]].concat();
    writer.push(&Payload::notify(NotifyType::PPK_IDENTITY, &name));
    if let Some(without) = without {
        writer.push(&Payload::notify(NotifyType::NO_PPK_AUTH, without));
    }
}

/// What a peer's IKE_AUTH says of keys.
#[derive(Debug, Clone, Copy)]
pub enum Said<'a> {
    /// It used this one of ours.
    Ours(&'a Ppk),
    /// None, or one that we do not have, and this proves the peer without it.
    None(Authentication<'a>),
    /// One that we do not have, or none where there must be one.
    Wrong,
}

/// What it says.
#[must_use]
pub fn said<'a>(ours: Option<&'a Ppk>, agreed: bool, auth: &Authentication<'a>, payloads: &Payloads<'a>) -> Said<'a> {
    let required = ours.is_some_and(|ppk| ppk.required);
    let named = payloads.notify(NotifyType::PPK_IDENTITY).filter(|_| agreed);
    match (named, ours) {
        (Some(name), Some(ppk)) if name.data.split_first() == Some((&FIXED, &ppk.id[..])) => Said::Ours(ppk),
        _ if required => Said::Wrong,
        (None, _) => Said::None(*auth),
        (Some(_), _) => payloads
            .notify(NotifyType::NO_PPK_AUTH)
            .map_or(Said::Wrong, |without| Said::None(Authentication { method: auth.method, data: without.data })),
    }
}
