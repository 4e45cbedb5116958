//! How the two ends of a connection prove who they are: each in its own way.

use std::sync::Arc;

use crate::crypto::{PublicKey, SecretBytes, SigningKey};

/// Both ends' ways.
#[derive(Debug, Clone, Default)]
pub struct Proofs {
    /// Ours.
    pub local: LocalProof,
    /// The peer's.
    pub remote: RemoteProof,
    /// The control plane is asked (`Event::Authorise`) about every peer that has proved who it is, however it did so.
    pub judged: bool,
    /// Believe RSA with SHA-1 (AUTH method 1), which is all that some old peers know.
    pub rsa_sha1: bool,
}

impl Proofs {
    /// Does either end sign (RFC 7427)?
    #[must_use]
    pub fn sign(&self) -> bool {
        matches!(self.local, LocalProof::Signature(_))
            || matches!(self.remote, RemoteProof::Keys(_) | RemoteProof::Certificate { .. })
    }

    /// May the peer be one that does not know RFC 7427? Not if we must sign with a key that has no other way.
    #[must_use]
    pub fn knows_old_ways(&self) -> bool {
        match &self.local {
            LocalProof::Signature(credential) => credential.key.old_scheme().is_some(),
            LocalProof::SharedKey | LocalProof::Eap => true,
        }
    }

    /// The authorities whose certificates we ask the peer for.
    #[must_use]
    pub fn authorities(&self) -> &[Authority] {
        match &self.remote {
            RemoteProof::Certificate { authorities } => authorities,
            RemoteProof::SharedKey | RemoteProof::Keys(_) | RemoteProof::Eap => &[],
        }
    }
}

/// A key that both ends share besides (RFC 8784), and its name.
#[derive(Debug, Clone)]
pub struct Ppk {
    /// How the peer knows it by.
    pub id: Box<[u8]>,
    /// The key.
    pub key: SecretBytes,
    /// Without it there is no IKE SA.
    pub required: bool,
}

/// How we prove who we are.
#[derive(Debug, Clone, Default)]
pub enum LocalProof {
    /// By the profile's shared secret.
    #[default]
    SharedKey,
    /// By a signature.
    Signature(Arc<Credential>),
    /// By an EAP method (RFC 7296 section 2.16). The initiator runs it as its peer. The responder, only where the peer does
    /// the same, proves no more than that it knows the method's key (RFC 5998): the method must be one that proves both ends.
    Eap,
}

/// How the peer proves who it is.
#[derive(Debug, Clone, Default)]
pub enum RemoteProof {
    /// By the profile's shared secret.
    #[default]
    SharedKey,
    /// By a signature with one of these keys, whatever certificate comes along.
    Keys(Arc<[PublicKey]>),
    /// By a signature with the key of its certificate, which the control plane is asked about (`Event::Authorise`).
    Certificate {
        /// Named in CERTREQ, so that the peer knows which of its certificates to send.
        authorities: Arc<[Authority]>,
    },
    /// By an EAP method, of which the control plane knows the other end (`Event::Eap`). A responder that proves itself so
    /// signs nothing (RFC 5998).
    Eap,
}

/// SHA-1 of an authority's SubjectPublicKeyInfo (RFC 7296 section 3.7): a name, not a proof.
pub type Authority = [u8; 20];

/// What we sign with.
#[derive(Debug)]
pub struct Credential {
    /// The key.
    pub key: SigningKey,
    /// X.509 certificates in DER: the key's own first, then those that lead to an authority the peer knows.
    pub certificates: Vec<Box<[u8]>>,
    /// In place of certificates: our public key itself as SubjectPublicKeyInfo, which the peer knows (RFC 7670).
    pub raw: Option<Box<[u8]>>,
    /// What its authority says of the first of them today, an OCSP response in DER; for peers that ask (RFC 4806).
    pub staple: Option<Box<[u8]>>,
}
