//! Keys of an IKE SA and what they are for, parked.

use super::{DirectionKeys, IkeKeys, SkD};
use crate::crypto::secret::{PrfKey, Secret};
use crate::crypto::{IkeSuite, Prf, Role, Spis};
use crate::park::{Damage, Parked, Reader, Writer};

impl<const N: usize> Parked for Secret<N> {
    fn park(&self, to: &mut Writer) {
        to.counted(self.expose());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let octets = from.counted("key")?;
        Secret::from_slice(octets).ok_or_else(|| from.damage("key"))
    }
}

impl Parked for DirectionKeys {
    fn park(&self, to: &mut Writer) {
        let DirectionKeys { encr, integ } = self;
        to.put(encr);
        to.put(&integ.is_some());
        if let Some(integ) = integ {
            to.put(&**integ);
        }
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let encr = from.get()?;
        let integ = from.get::<bool>()?.then(|| from.get().map(Box::new)).transpose()?;
        Ok(DirectionKeys { encr, integ })
    }
}

impl SkD {
    /// Write it; the suite, which names its PRF, is written elsewhere.
    pub fn park(&self, to: &mut Writer) {
        to.put(&self.key);
    }

    /// Read it.
    pub fn unpark(from: &mut Reader<'_>, prf: Prf) -> Result<SkD, Damage> {
        let key: PrfKey = from.get()?;
        if key.len() != prf.output_len() {
            return Err(from.damage("root of keys"));
        }
        Ok(SkD { prf, key })
    }
}

impl IkeKeys {
    /// Write them; the suite, which says what they are for, is written elsewhere.
    pub fn park(&self, to: &mut Writer) {
        let IkeKeys { cipher: _, sk_d: SkD { prf: _, key }, from_initiator, from_responder } = self;
        to.put(key);
        to.put(from_initiator);
        to.put(from_responder);
    }

    /// Read them; they must be as long as those of this suite.
    pub fn unpark(from: &mut Reader<'_>, suite: &IkeSuite) -> Result<IkeKeys, Damage> {
        let (prf, cipher) = (suite.prf(), suite.cipher());
        let keys = IkeKeys {
            cipher,
            sk_d: SkD { prf, key: from.get()? },
            from_initiator: from.get()?,
            from_responder: from.get()?,
        };
        let integ_len = cipher.integ().map(|integ| integ.key_len());
        let fits = |direction: &DirectionKeys| {
            direction.encr.len() == cipher.encr().key_len()
                && direction.integ.as_ref().map(|key| key.len()) == integ_len
        };
        let all_fit =
            keys.sk_d.key.len() == prf.output_len() && fits(&keys.from_initiator) && fits(&keys.from_responder);
        if all_fit { Ok(keys) } else { Err(from.damage("key of the right length")) }
    }
}

impl Parked for Spis {
    fn park(&self, to: &mut Writer) {
        let Spis { initiator, responder } = self;
        to.put(initiator);
        to.put(responder);
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Spis { initiator: from.get()?, responder: from.get()? })
    }
}

impl Parked for Role {
    fn park(&self, to: &mut Writer) {
        to.put(&(*self == Role::Initiator));
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(if from.get()? { Role::Initiator } else { Role::Responder })
    }
}

/// By its name, which outlives the order of any enum.
impl Parked for IkeSuite {
    fn park(&self, to: &mut Writer) {
        to.counted(self.to_string().as_bytes());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let octets = from.counted("suite")?;
        core::str::from_utf8(octets).ok().and_then(|name| name.parse().ok()).ok_or_else(|| from.damage("suite"))
    }
}
