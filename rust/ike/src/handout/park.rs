//! What a client was told, parked.

use super::{Anchor, Domain, Handout, Network};
use crate::park::{Damage, Parked, Reader, Writer};

impl Parked for Handout {
    fn park(&self, to: &mut Writer) {
        let Handout { dns, networks, domains, anchors } = self;
        to.each(dns.iter());
        to.each(networks.iter());
        to.each(domains.iter());
        to.each(anchors.iter());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Handout {
            dns: from.each(Reader::get)?,
            networks: from.each(Reader::get)?,
            domains: from.each(Reader::get)?,
            anchors: from.each(Reader::get)?,
        })
    }
}

impl Parked for Network {
    fn park(&self, to: &mut Writer) {
        let Network { address, length } = self;
        to.put(address);
        to.put(length);
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Network::new(from.get()?, from.get()?).ok_or_else(|| from.damage("network"))
    }
}

impl Parked for Domain {
    fn park(&self, to: &mut Writer) {
        to.counted(self.0.as_bytes());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let octets = from.counted("domain")?;
        let text = core::str::from_utf8(octets).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| from.damage("domain"))
    }
}

impl Parked for Anchor {
    fn park(&self, to: &mut Writer) {
        to.put(&self.domain);
        to.counted(&self.value());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let domain = from.get()?;
        Anchor::read(&domain, from.counted("trust anchor")?).ok_or_else(|| from.damage("trust anchor"))
    }
}
