//! AUTH in both roles: what a peer's proves, and how ours is made (RFC 7296 section 2.15, RFC 7427).
//!
//! A shared secret settles it at once. A signature is checked here against the key of the peer's first certificate, so that
//! nobody is bothered with a peer that does not hold its key; whether that certificate opens the door, the control plane
//! decides ([`Event::Authorise`]), and the message is parked meanwhile.

use core::net::IpAddr;

use crate::Nanos;
use crate::crypto::auth::SignedOctets;
use crate::crypto::{Hashes, OldScheme, PrfKey, PublicKey, Role};
use crate::event::{AuthRefusal, Authorise, Event, NoticeKind};
use crate::id::{Identity, ProfileId, Question, SaId};
use crate::profile::Profile;
use crate::proofs::{LocalProof, RemoteProof};
use crate::sa::channel::Plain;
use crate::sa::context::{About, Context};
use crate::table::parking::Ticket;
use crate::terms::Terms;
use crate::wire::{
    AuthMethod, Authentication, CertEncoding, Certificate, CertificateRequest, NotifyType, Payload, Payloads, SkWriter,
};
use crate::{Path, Verdict};

/// Certificates of one peer: its own and those that lead to an authority we know.
pub const MAX_CERTIFICATES: usize = 8;

/// Octets of all of them together.
pub const MAX_CERTIFICATE_OCTETS: usize = 32 * 1024;

/// What a peer's AUTH leads to.
#[derive(Debug)]
pub enum Proof {
    /// It is who it says.
    Given,
    /// It holds this key; the control plane knows whether the certificates make it who it says.
    Signed(PublicKey),
    /// It has proved nothing yet, and wants to do so by EAP.
    ByEap,
}

/// Does AUTH prove what this end of the profile asks for?
pub fn check(
    wanted: &RemoteProof,
    rsa_sha1: bool,
    secret: &[u8],
    octets: &SignedOctets<'_>,
    auth: &Authentication<'_>,
    payloads: &Payloads<'_>,
) -> Result<Proof, AuthRefusal> {
    match wanted {
        RemoteProof::SharedKey => {
            let proven = octets.verify_shared_key(secret, auth.data);
            if auth.method != AuthMethod::SHARED_KEY {
                return Err(AuthRefusal::WrongMethod);
            }
            proven.map(|()| Proof::Given).map_err(|_| AuthRefusal::BadAuth)
        }
        // Its AUTH comes at the end of the conversation.
        RemoteProof::Eap => Err(AuthRefusal::WrongMethod),
        RemoteProof::Keys(keys) => {
            let shown = raw_key(payloads);
            let mut outcome = Err(AuthRefusal::WrongMethod);
            if shown.is_some_and(|shown| keys.iter().all(|key| key.info() != shown)) {
                return Err(AuthRefusal::UnknownKey);
            }
            for key in keys.iter().filter(|key| shown.is_none_or(|shown| key.info() == shown)) {
                outcome = outcome.or_else(|_| verify(key, rsa_sha1, octets, auth));
            }
            outcome.map(|()| Proof::Given)
        }
        RemoteProof::Certificate { .. } => {
            let first = certificates(payloads)?.first().map(|certificate| PublicKey::of_certificate(certificate));
            let key = first.ok_or(AuthRefusal::NoCertificate)?.map_err(AuthRefusal::Signature)?;
            verify(&key, rsa_sha1, octets, auth).map(|()| Proof::Signed(key))
        }
    }
}

fn verify(
    key: &PublicKey,
    rsa_sha1: bool,
    octets: &SignedOctets<'_>,
    auth: &Authentication<'_>,
) -> Result<(), AuthRefusal> {
    let verified = match auth.method {
        AuthMethod::DIGITAL_SIGNATURE => key.verify(auth.data, &octets.parts()),
        AuthMethod::ECDSA_SHA256_P256 => key.verify_old(OldScheme::P256, auth.data, &octets.parts()),
        AuthMethod::ECDSA_SHA384_P384 => key.verify_old(OldScheme::P384, auth.data, &octets.parts()),
        AuthMethod::ECDSA_SHA512_P521 => key.verify_old(OldScheme::P521, auth.data, &octets.parts()),
        AuthMethod::RSA_SIGNATURE if rsa_sha1 => key.verify_old(OldScheme::RsaSha1, auth.data, &octets.parts()),
        _ => return Err(AuthRefusal::WrongMethod),
    };
    verified.map_err(AuthRefusal::Signature)
}

/// Is it a signature, of whatever kind?
fn is_signature(method: AuthMethod) -> bool {
    matches!(
        method,
        AuthMethod::DIGITAL_SIGNATURE
            | AuthMethod::RSA_SIGNATURE
            | AuthMethod::DSS_SIGNATURE
            | AuthMethod::ECDSA_SHA256_P256
            | AuthMethod::ECDSA_SHA384_P384
            | AuthMethod::ECDSA_SHA512_P521
    )
}

/// The X.509 certificates of a message, in order.
fn certificates<'a>(payloads: &Payloads<'a>) -> Result<Vec<&'a [u8]>, AuthRefusal> {
    let found: Vec<&[u8]> = payloads
        .iter()
        .filter_map(|payload| match payload {
            Payload::Certificate(certificate) if certificate.encoding == CertEncoding::X509_SIGNATURE => {
                Some(certificate.data)
            }
            _ => None,
        })
        .collect();
    let octets: usize = found.iter().map(|certificate| certificate.len()).sum();
    let bounded = found.len() <= MAX_CERTIFICATES && octets <= MAX_CERTIFICATE_OCTETS;
    if bounded { Ok(found) } else { Err(AuthRefusal::TooManyCertificates) }
}

/// The public key that a peer shows in place of certificates (RFC 7670): nothing is believed of it but that we know it.
fn raw_key<'a>(payloads: &Payloads<'a>) -> Option<&'a [u8]> {
    payloads.iter().find_map(|payload| match payload {
        Payload::Certificate(shown) if shown.encoding == CertEncoding::RAW_PUBLIC_KEY => Some(shown.data),
        _ => None,
    })
}

/// The OCSP responses of a message; no more of them than of certificates.
fn staples(payloads: &Payloads<'_>) -> Vec<Box<[u8]>> {
    let mut room = MAX_CERTIFICATE_OCTETS;
    let found = payloads.iter().filter_map(|payload| match payload {
        Payload::Certificate(staple) if staple.encoding == CertEncoding::OCSP_CONTENT => Some(staple.data),
        _ => None,
    });
    let fits = |staple: &&[u8]| {
        let left = room.checked_sub(staple.len());
        room = left.unwrap_or_default();
        left.is_some()
    };
    found.take(MAX_CERTIFICATES).take_while(fits).map(Into::into).collect()
}

/// Does this end of a profile take a first IKE_AUTH with an AUTH of this kind, or without one, which asks for EAP?
#[must_use]
pub fn takes(wanted: &RemoteProof, method: Option<AuthMethod>) -> bool {
    match wanted {
        RemoteProof::Eap => method.is_none(),
        RemoteProof::SharedKey => method.is_some_and(|method| !is_signature(method)),
        RemoteProof::Keys(_) | RemoteProof::Certificate { .. } => method.is_some_and(is_signature),
    }
}

/// Our AUTH.
pub struct Ours {
    method: AuthMethod,
    data: Vec<u8>,
}

/// Make it. `hashes` is what the peer said it knows; one that says nothing does not know RFC 7427.
pub fn make(profile: &Profile, octets: &SignedOctets<'_>, hashes: Option<Hashes>) -> Result<Ours, AuthRefusal> {
    match &profile.proofs.local {
        LocalProof::SharedKey => {
            let data = octets.shared_key_auth(profile.psk.expose()).expose().to_vec();
            Ok(Ours { method: AuthMethod::SHARED_KEY, data })
        }
        LocalProof::Signature(credential) => {
            let (key, parts) = (&credential.key, octets.parts());
            let made = match hashes {
                Some(hashes) => key.sign(hashes, &parts).map(|data| (AuthMethod::DIGITAL_SIGNATURE, data)),
                None => key.sign_old(&parts).map(|(scheme, data)| (method_of(scheme), data)),
            };
            let (method, data) = made.map_err(AuthRefusal::CannotSign)?;
            Ok(Ours { method, data })
        }
        // Made from the key of the conversation, when there is one.
        LocalProof::Eap => Err(AuthRefusal::Incomplete),
    }
}

fn method_of(scheme: OldScheme) -> AuthMethod {
    match scheme {
        OldScheme::RsaSha1 => AuthMethod::RSA_SIGNATURE,
        OldScheme::P256 => AuthMethod::ECDSA_SHA256_P256,
        OldScheme::P384 => AuthMethod::ECDSA_SHA384_P384,
        OldScheme::P521 => AuthMethod::ECDSA_SHA512_P521,
    }
}

impl Ours {
    /// From a shared secret of whatever origin.
    #[must_use]
    pub fn shared_key(auth: &PrfKey) -> Ours {
        Ours { method: AuthMethod::SHARED_KEY, data: auth.expose().to_vec() }
    }

    /// Its data alone.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The AUTH payload.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        Payload::Authentication(Authentication { method: self.method, data: &self.data })
    }
}

/// Our certificates, the signing one first. They are sent asked or not: some peers forget to ask. An OCSP response goes
/// with them if the peer asked for it (RFC 4806 section 3.2).
pub fn write_certificates(writer: &mut SkWriter, profile: &Profile, stapled: bool) {
    if let LocalProof::Signature(credential) = &profile.proofs.local {
        if let Some(data) = &credential.raw {
            writer.push(&Payload::Certificate(Certificate { encoding: CertEncoding::RAW_PUBLIC_KEY, data }));
        }
        for data in &credential.certificates {
            writer.push(&Payload::Certificate(Certificate { encoding: CertEncoding::X509_SIGNATURE, data }));
        }
        if let Some(data) = credential.staple.as_ref().filter(|_| stapled) {
            writer.push(&Payload::Certificate(Certificate { encoding: CertEncoding::OCSP_CONTENT, data }));
        }
    }
}

/// Does the peer want to see OCSP responses?
#[must_use]
pub fn asks_for_staple(payloads: &Payloads<'_>) -> bool {
    let asks = |payload: &Payload<'_>| matches!(payload, Payload::CertificateRequest(request) if request.encoding == CertEncoding::OCSP_CONTENT);
    payloads.iter().any(asks)
}

/// CERTREQ for these authorities, if there are any, and for what they say of certificates today, each handed to `with`.
pub fn request_certificates(authorities: &[crate::proofs::Authority], mut with: impl FnMut(&Payload<'_>)) {
    if !authorities.is_empty() {
        let request = CertificateRequest { encoding: CertEncoding::X509_SIGNATURE, data: authorities.as_flattened() };
        with(&Payload::CertificateRequest(request));
        // Of any responder (RFC 4806 section 3.1).
        let request = CertificateRequest { encoding: CertEncoding::OCSP_CONTENT, data: &[] };
        with(&Payload::CertificateRequest(request));
    }
}

/// SIGNATURE_HASH_ALGORITHMS: what we can check.
#[must_use]
pub fn hashes_notify() -> Payload<'static> {
    Payload::notify(NotifyType::SIGNATURE_HASH_ALGORITHMS, &Hashes::OURS)
}

/// What the peer says it can check, if it says so.
#[must_use]
pub fn hashes_in(payloads: &Payloads<'_>) -> Option<Hashes> {
    payloads.notify(NotifyType::SIGNATURE_HASH_ALGORITHMS).map(|notify| Hashes::read(notify.data))
}

/// A message that waits for a verdict on its sender.
#[derive(Debug)]
pub struct Parked {
    ticket: Ticket,
    /// The message.
    pub message: Plain<'static>,
    /// Who sent it, if the verdict is good.
    pub peer_id: Identity,
    /// Of its certificate; none if it has proved itself by something else.
    key: Option<PublicKey>,
    /// Without a verdict the peer is refused then.
    pub until: Nanos,
}

/// Who is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The SA that waits.
    pub sa: SaId,
    /// Its profile.
    pub profile: ProfileId,
    /// Our role.
    pub role: Role,
    /// Where the peer is.
    pub path: Path,
}

/// Ask the control plane about a peer. `None` if too many wait already: the message is dropped, as if it had been lost.
pub fn park(
    ctx: &mut Context,
    now: Nanos,
    asked: Asked,
    (peer_id, key): (Identity, Option<PublicKey>),
    message: Plain<'static>,
) -> Option<Parked> {
    let limits = ctx.settings.questions;
    let Some(ticket) = ctx.parking.ticket(&limits, message.len()) else {
        ctx.counters.dropped_questions_limit += 1;
        let about = About { path: Some(asked.path), sa: Some(asked.sa) };
        ctx.notice(now, about, NoticeKind::Limit, || "IKE_AUTH dropped: too many peers wait to be judged".into());
        return None;
    };
    let (certificates, staples) = match &key {
        Some(_) => message.payloads().ok().and_then(|payloads| {
            let found = certificates(&payloads).ok()?;
            Some((found.into_iter().map(Into::into).collect(), staples(&payloads)))
        })?,
        None => (Vec::new(), Vec::new()),
    };
    ctx.counters.questions_asked += 1;
    let Asked { sa, profile, role, path } = asked;
    let (question, asked_of) = (ticket.question, peer_id.clone());
    let question = Authorise { question, sa, profile, role, peer_id: asked_of, certificates, staples, path };
    ctx.events.push_back(Event::Authorise(Box::new(question)));
    Some(Parked { ticket, message, peer_id, key, until: now + limits.patience })
}

impl Parked {
    /// The question that was asked.
    #[must_use]
    pub fn question(&self) -> Question {
        self.ticket.question
    }

    /// What a verdict means: the addresses proven and the terms, or why the peer stays outside.
    pub fn judge(&self, verdict: Verdict) -> Result<(Box<[IpAddr]>, Terms), AuthRefusal> {
        match verdict {
            Verdict::Allow { key, .. } if self.key.as_ref().is_some_and(|own| *key != *own.info()) => {
                Err(AuthRefusal::Denied("another key was judged than the one that signed".into()))
            }
            Verdict::Allow { proven, terms, .. } => Ok((proven.into_boxed_slice(), terms)),
            Verdict::Deny { why } => Err(AuthRefusal::Denied(why)),
        }
    }
}
