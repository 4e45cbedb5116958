//! How the two ends of a connection prove who they are: each in its own way.

use std::sync::Arc;

use crate::crypto::{PublicKey, SigningKey};

/// Both ends' ways.
#[derive(Debug, Clone, Default)]
pub struct Proofs {
    /// Ours.
    pub local: LocalProof,
    /// The peer's.
    pub remote: RemoteProof,
}

impl Proofs {
    /// Does either end sign (RFC 7427)?
    #[must_use]
    pub fn sign(&self) -> bool {
        matches!(self.local, LocalProof::Signature(_)) || !matches!(self.remote, RemoteProof::SharedKey)
    }

    /// The authorities whose certificates we ask the peer for.
    #[must_use]
    pub fn authorities(&self) -> &[Authority] {
        match &self.remote {
            RemoteProof::Certificate { authorities } => authorities,
            RemoteProof::SharedKey | RemoteProof::Keys(_) => &[],
        }
    }
}

/// How we prove who we are.
#[derive(Debug, Clone, Default)]
pub enum LocalProof {
    /// By the profile's shared secret.
    #[default]
    SharedKey,
    /// By a signature.
    Signature(Arc<Credential>),
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
}
