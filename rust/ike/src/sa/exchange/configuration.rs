//! CP payloads: inner addresses and what goes with them (RFC 7296 sections 2.19 and 3.15, RFC 8598).
//!
//! ```text
//! CP(CFG_REQUEST) { IP4_ADDRESS, [IP4_DNS], [IP4_SUBNET], [DNS_DOMAIN], .. }   -->
//!                          <--   CP(CFG_REPLY) { IP4_ADDRESS, [IP4_DNS].., [IP4_SUBNET].., [DNS_DOMAIN, [DNSSEC_TA]..].. }
//! ```
//!
//! A reply says what was asked for and nothing else; of a reply nothing else is read. We do not tell our version
//! (APPLICATION_VERSION), nor ask for the peer's.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::Nanos;
use crate::event::NoticeKind;
use crate::handout::{Anchor, Domain, Handout, MOST_ANCHORS, MOST_DOMAINS, MOST_NETWORKS, MOST_RESOLVERS, Network};
use crate::id::{Identity, ProfileId};
use crate::profile::{Profile, RequestVip};
use crate::sa::context::{About, Context};
use crate::table::pools::Lessee;
use crate::wire::cp::Attribute;
use crate::wire::{CfgAttribute, CfgType, Configuration, Payloads};

/// Who holds inner addresses of ours, and under which standing orders.
#[derive(Debug, Clone, Copy)]
pub struct Tenant<'a> {
    /// The standing orders.
    pub profile_id: ProfileId,
    /// The same.
    pub profile: &'a Profile,
    /// Who the peer proved to be.
    pub who: &'a Identity,
}

impl<'a> Tenant<'a> {
    /// The same, for its pool; `None` if it has none.
    #[must_use]
    pub fn lessee(&self) -> Option<Lessee<'a>> {
        let pool = self.profile.pool.as_ref()?;
        Some(Lessee { profile: self.profile_id, pool, who: self.who })
    }
}

/// What a peer may have of inner addresses.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// Its other IKE SAs end: it may go on with what they have.
    pub succeeds: bool,
    /// The control plane named these for it: then it gets no others of their families.
    pub granted: &'a [IpAddr],
    /// It goes on with these.
    pub had: Had<'a>,
}

/// Inner addresses of an IKE SA that is taken up again by a ticket.
#[derive(Debug, Clone, Default)]
pub struct Had<'a> {
    /// They are still leased to it, and it is about to end.
    pub held: Leases,
    /// It had them when the ticket was given.
    pub before: &'a [IpAddr],
}

/// Inner addresses of one IKE SA, leased to us or by us, and what we were told with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// As the initiator: what came with them.
    pub handout: Option<Arc<Handout>>,
}

impl Leases {
    /// Every address there is.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// Is there no address?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// Take what a peer's CFG_REQUEST asks for: what was granted to it, else of the pool of the profile.
    pub fn take(
        ctx: &mut Context,
        now: Nanos,
        tenant: &Tenant<'_>,
        request: &Configuration<'_>,
        claim: &Claim<'_>,
    ) -> Leases {
        let mut leases = Leases::default();
        for attribute in &request.attributes {
            let (v6, wanted) = match attribute {
                Attribute::Ip4Address(wanted) if leases.v4.is_none() => (false, wanted.map(IpAddr::V4)),
                Attribute::Ip6Address(wanted) if leases.v6.is_none() => (true, wanted.map(|(it, _)| IpAddr::V6(it))),
                _ => continue,
            };
            let granted = claim.granted.iter().copied().find(|address| address.is_ipv6() == v6);
            let of_family = |address: &IpAddr| address.is_ipv6() == v6;
            let held = claim.had.held.iter().find(|held| of_family(held) && granted.is_none_or(|it| it == *held));
            let wanted = wanted.or_else(|| claim.had.before.iter().copied().find(of_family));
            leases.hold(match (granted, tenant.lessee()) {
                (_, Some(lessee)) if held.is_some_and(|held| ctx.pools.share(lessee, held)) => held,
                (Some(granted), Some(lessee)) => ctx.pools.claim(lessee, granted).then_some(granted),
                (Some(granted), None) => Some(granted),
                (None, Some(lessee)) => ctx.pools.lease(now, lessee, v6, wanted, claim.succeeds),
                (None, None) => None,
            });
        }
        leases
    }

    fn hold(&mut self, leased: Option<IpAddr>) {
        match leased {
            Some(IpAddr::V4(address)) => self.v4 = Some(address),
            Some(IpAddr::V6(address)) => self.v6 = Some(address),
            None => {}
        }
    }

    /// Give all of it back to the pool of the profile.
    pub fn give_back(self, ctx: &mut Context, tenant: &Tenant<'_>) {
        if let Some(lessee) = tenant.lessee() {
            self.iter().for_each(|address| ctx.pools.give_back(lessee, address));
        }
    }

    /// What we asked for and the peer's CFG_REPLY gives, and how many attributes were more than we take, or made no sense.
    #[must_use]
    pub fn read(profile: &Profile, reply: &Configuration<'_>) -> (Leases, usize) {
        let RequestVip { v4, v6 } = profile.request_virtual_ip;
        let mut told = Told { profile, handout: Handout::default(), domain: None, ignored: 0 };
        let mut leases = Leases::default();
        for attribute in &reply.attributes {
            match attribute {
                Attribute::Ip4Address(Some(address)) if v4 && is_host(address.into()) => {
                    leases.v4 = leases.v4.or(Some(address));
                }
                Attribute::Ip6Address(Some((address, _))) if v6 && is_host(address.into()) => {
                    leases.v6 = leases.v6.or(Some(address));
                }
                other => told.hear(other),
            }
        }
        let Told { handout, ignored, .. } = told;
        leases.handout = (!handout.is_empty()).then(|| Arc::new(handout));
        (leases, ignored)
    }

    /// The CFG_REPLY that grants them, with what else was asked for, handed to `with`.
    pub fn write<T>(
        &self,
        profile: &Profile,
        request: &Configuration<'_>,
        with: impl FnOnce(Configuration<'_>) -> T,
    ) -> T {
        let asks = |kind| request.attributes.iter().any(|attribute| attribute.kind() == kind);
        let v4 = self.v4.map(|address| Attribute::Ip4Address(Some(address)));
        let v6 = self.v6.map(|address| Attribute::Ip6Address(Some((address, 128))));
        let mut attributes: Vec<Attribute<'_>> = v4.into_iter().chain(v6).collect();
        let handout = &profile.handout;
        let anchors: Vec<Vec<u8>> = handout.anchors.iter().map(Anchor::value).collect();
        attributes.extend(handout.dns.iter().map(resolver).filter(|attribute| asks(attribute.kind())));
        attributes.extend(handout.networks.iter().map(subnet).filter(|attribute| asks(attribute.kind())));
        // Domains are nothing without resolvers (RFC 8598 section 3.2).
        let resolvers = attributes.iter().any(|one| matches!(one, Attribute::Ip4Dns(_) | Attribute::Ip6Dns(_)));
        if resolvers && asks(CfgAttribute::INTERNAL_DNS_DOMAIN) {
            for domain in &handout.domains {
                attributes.push(other(CfgAttribute::INTERNAL_DNS_DOMAIN, domain.name().as_bytes()));
                let of_it = handout.anchors.iter().zip(&anchors).filter(|(anchor, _)| anchor.domain == *domain);
                let of_it = of_it.filter(|_| asks(CfgAttribute::INTERNAL_DNSSEC_TA));
                attributes.extend(of_it.map(|(_, value)| other(CfgAttribute::INTERNAL_DNSSEC_TA, value)));
            }
        }
        with(Configuration::of(CfgType::REPLY, &attributes))
    }
}

/// Why there is no address for a peer, in one line.
#[must_use]
pub fn why_none(tenant: &Tenant<'_>, granted: &[IpAddr]) -> String {
    let (who, name) = (tenant.who, &tenant.profile.name);
    if let Some(taken) =
        granted.iter().find(|granted| tenant.lessee().is_some_and(|lessee| lessee.pool.holds(**granted)))
    {
        return format!("{who} is to have the inner address {taken}, and {taken} is leased to another peer");
    }
    match tenant.profile.pool.as_ref().map(|pool| pool.shared.as_ref()) {
        None => format!("{who} asked for an inner address, and connection {name:?} has no pool"),
        Some(Some(shared)) => format!("no inner address is free for {who} in pool {shared:?}"),
        Some(None) => format!("no inner address is free for {who} in the pool of connection {name:?}"),
    }
}

/// What a CFG_REPLY has told so far.
struct Told<'p> {
    profile: &'p Profile,
    handout: Handout,
    /// The domain that a trust anchor here would be of: it follows its domain (RFC 8598 section 4.2).
    domain: Option<Domain>,
    ignored: usize,
}

impl Told<'_> {
    fn hear(&mut self, attribute: Attribute<'_>) {
        let wanted = &self.profile.wanted;
        let Handout { dns, networks, domains, anchors } = &mut self.handout;
        let domain = self.domain.take();
        let kept = match attribute {
            Attribute::Ip4Dns(Some(address)) if wanted.dns => keep(dns, MOST_RESOLVERS, host(address.into())),
            Attribute::Ip6Dns(Some(address)) if wanted.dns => keep(dns, MOST_RESOLVERS, host(address.into())),
            Attribute::Ip4Subnet(Some((address, mask))) if wanted.networks => {
                keep(networks, MOST_NETWORKS, length_of(mask).and_then(|bits| Network::new(address.into(), bits)))
            }
            Attribute::Ip6Subnet(Some((address, bits))) if wanted.networks => {
                keep(networks, MOST_NETWORKS, Network::new(address.into(), bits))
            }
            Attribute::Other { kind: CfgAttribute::INTERNAL_DNS_DOMAIN, value } if wanted.domains => {
                let name = core::str::from_utf8(value).ok().and_then(|text| text.parse::<Domain>().ok());
                self.domain.clone_from(&name);
                keep(domains, MOST_DOMAINS, name)
            }
            Attribute::Other { kind: CfgAttribute::INTERNAL_DNSSEC_TA, value } => {
                let of = domain.filter(|domain| wanted.takes_anchor_of(domain));
                let anchor = of.as_ref().and_then(|domain| Anchor::read(domain, value));
                // Another one of the same domain may follow.
                self.domain = of;
                keep(anchors, MOST_ANCHORS, anchor)
            }
            _ => true,
        };
        self.ignored += usize::from(!kept);
    }
}

/// `false` if it makes no sense, or there are too many.
fn keep<T: PartialEq>(all: &mut Vec<T>, most: usize, one: Option<T>) -> bool {
    let Some(one) = one else { return false };
    let known = all.contains(&one);
    let room = all.len() < most;
    if !known && room {
        all.push(one);
    }
    known || room
}

fn host(address: IpAddr) -> Option<IpAddr> {
    is_host(address).then_some(address)
}

/// Could it be the address of a host inside?
fn is_host(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    };
    !special && !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
}

/// The length of the prefix that a mask says, if it does.
fn length_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    (bits.leading_ones() == bits.count_ones()).then(|| bits.count_ones().try_into().ok()).flatten()
}

fn resolver<'a>(address: &IpAddr) -> Attribute<'a> {
    match *address {
        IpAddr::V4(address) => Attribute::Ip4Dns(Some(address)),
        IpAddr::V6(address) => Attribute::Ip6Dns(Some(address)),
    }
}

fn subnet<'a>(network: &Network) -> Attribute<'a> {
    match network.address() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(u32::from(32 - network.length())).unwrap_or(0);
            Attribute::Ip4Subnet(Some((address, Ipv4Addr::from_bits(mask))))
        }
        IpAddr::V6(address) => Attribute::Ip6Subnet(Some((address, network.length()))),
    }
}

const fn other(kind: CfgAttribute, value: &[u8]) -> Attribute<'_> {
    Attribute::Other { kind, value }
}

/// What the peer's answer gives us. Nothing of it that makes no sense is taken, and the rest is used.
pub fn heed(ctx: &mut Context, now: Nanos, about: About, profile: &Profile, payloads: &Payloads<'_>) -> Leases {
    let reply = payloads.configuration().filter(|cp| cp.kind == CfgType::REPLY);
    let (leases, ignored) = reply.map(|reply| Leases::read(profile, reply)).unwrap_or_default();
    if ignored > 0 {
        ctx.notice(now, about, NoticeKind::Limit, || {
            format!("{ignored} configuration attributes of the peer were ignored: too many, or without sense")
        });
    }
    let RequestVip { v4, v6 } = profile.request_virtual_ip;
    if (v4 || v6) && leases.is_empty() {
        ctx.notice(now, about, NoticeKind::NoAddress, || "the peer gave us no inner address".into());
    }
    leases
}

/// Does a peer's CP payload ask for an inner address?
#[must_use]
pub fn asks_for_address(configuration: &Configuration<'_>) -> bool {
    let is_address = |attribute| matches!(attribute, Attribute::Ip4Address(_) | Attribute::Ip6Address(_));
    configuration.kind == CfgType::REQUEST && configuration.attributes.iter().any(is_address)
}

/// The CFG_REQUEST for what the profile wants, handed to `with`; `None` if it wants no address.
pub fn request<T>(profile: &Profile, had: Option<&Leases>, with: impl FnOnce(Configuration<'_>) -> T) -> Option<T> {
    let (RequestVip { v4, v6 }, wanted) = (profile.request_virtual_ip, &profile.wanted);
    let asked = [
        (v4, Attribute::Ip4Address(had.and_then(|had| had.v4))),
        (v6, Attribute::Ip6Address(had.and_then(|had| had.v6).map(|address| (address, 128)))),
        (wanted.dns && v4, Attribute::Ip4Dns(None)),
        (wanted.dns && v6, Attribute::Ip6Dns(None)),
        (wanted.networks && v4, Attribute::Ip4Subnet(None)),
        (wanted.networks && v6, Attribute::Ip6Subnet(None)),
        (wanted.domains, other(CfgAttribute::INTERNAL_DNS_DOMAIN, &[])),
        (!wanted.anchors_for.is_empty(), other(CfgAttribute::INTERNAL_DNSSEC_TA, &[])),
    ];
    let attributes: Vec<Attribute<'_>> = asked.into_iter().filter(|(wanted, _)| *wanted).map(|(_, it)| it).collect();
    (v4 || v6).then(|| with(Configuration::of(CfgType::REQUEST, &attributes)))
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::{Leases, asks_for_address, length_of, other, request};
    use crate::handout::{Handout, MOST_ANCHORS, MOST_DOMAINS, MOST_NETWORKS, MOST_RESOLVERS, Wanted};
    use crate::id::{Identity, IdentityPattern};
    use crate::profile::{Profile, RequestVip};
    use crate::wire::cp::Attribute;
    use crate::wire::{CfgAttribute, CfgType, Configuration};

    const DOMAIN: CfgAttribute = CfgAttribute::INTERNAL_DNS_DOMAIN;
    const ANCHOR: CfgAttribute = CfgAttribute::INTERNAL_DNSSEC_TA;

    fn client() -> Profile {
        let nobody = Identity::Fqdn("nobody".into());
        Profile {
            request_virtual_ip: RequestVip { v4: true, v6: true },
            wanted: Wanted {
                dns: true,
                networks: true,
                domains: true,
                anchors_for: vec!["corp.example".parse().unwrap()],
            },
            ..Profile::bare("story", nobody, IdentityPattern::Any, crate::profile::PskSecret::from_slice(b""))
        }
    }

    fn read(attributes: &[Attribute<'_>]) -> (Handout, usize) {
        let (leases, ignored) = Leases::read(&client(), &Configuration::of(CfgType::REPLY, attributes));
        (leases.handout.as_deref().cloned().unwrap_or_default(), ignored)
    }

    #[test]
    fn a_reply_without_end_is_taken_up_to_the_limits() {
        let number = |n: u32| Ipv4Addr::from_bits(0x0a00_0000 + n);
        let names: Vec<String> = (0..100).map(|n| format!("n{n}.corp.example")).collect();
        let mut attributes: Vec<Attribute<'_>> = Vec::new();
        for (n, name) in (0..100).zip(&names) {
            attributes.push(Attribute::Ip4Dns(Some(number(n))));
            attributes.push(Attribute::Ip4Subnet(Some((number(n), Ipv4Addr::BROADCAST))));
            attributes.push(other(DOMAIN, name.as_bytes()));
            attributes.push(other(ANCHOR, &[0, 1, 8, 2, 0xaa]));
            attributes.push(other(ANCHOR, &[0, 2, 8, 2, 0xaa]));
        }
        let (told, ignored) = read(&attributes);
        let lengths = [told.dns.len(), told.networks.len(), told.domains.len(), told.anchors.len()];
        assert_eq!(lengths, [MOST_RESOLVERS, MOST_NETWORKS, MOST_DOMAINS, MOST_ANCHORS]);
        assert_eq!(ignored, 500 - lengths.iter().sum::<usize>());
    }

    #[test]
    fn what_makes_no_sense_is_left_out_and_the_rest_is_taken() {
        let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        let nonsense = [
            Attribute::Ip4Dns(Some(Ipv4Addr::UNSPECIFIED)),
            Attribute::Ip4Dns(Some(Ipv4Addr::LOCALHOST)),
            Attribute::Ip4Dns(None),
            Attribute::Ip6Dns(Some(Ipv6Addr::LOCALHOST)),
            Attribute::Ip6Dns(Some("ff02::1".parse().unwrap())),
            Attribute::Ip4Subnet(Some((ip("10.0.0.0"), ip("255.0.255.0")))),
            Attribute::Ip4Subnet(Some((ip("10.0.0.1"), ip("255.0.0.0")))),
            Attribute::Ip6Subnet(Some(("fd00::1".parse().unwrap(), 64))),
            other(DOMAIN, b"a b"),
            other(DOMAIN, b"\xff"),
            other(DOMAIN, b""),
            // Of which domain?
            other(ANCHOR, &[0, 1, 8, 2, 0xaa]),
            other(DOMAIN, b"other.example"),
            other(ANCHOR, &[0, 1, 8, 2, 0xaa]),
            other(DOMAIN, b"Corp.Example."),
            other(ANCHOR, &[0, 1, 8, 2]),
            other(ANCHOR, &[0, 1, 8, 2, 0xaa]),
            other(ANCHOR, &[0, 3, 8, 2, 0xbb]),
            Attribute::Ip4Dns(Some(ip("10.2.0.53"))),
            other(ANCHOR, &[0, 4, 8, 2, 0xcc]),
        ];
        let (told, ignored) = read(&nonsense);
        assert_eq!(told.dns, [IpAddr::from(ip("10.2.0.53"))]);
        assert!(told.networks.is_empty());
        let texts = |all: &[String]| all.join(", ");
        let domains: Vec<String> = told.domains.iter().map(ToString::to_string).collect();
        assert_eq!(texts(&domains), "other.example, corp.example");
        let anchors: Vec<String> = told.anchors.iter().map(ToString::to_string).collect();
        assert_eq!(texts(&anchors), "corp.example 1 8 2 AA, corp.example 3 8 2 BB");
        assert_eq!(ignored, nonsense.len() - 1 - 2 - 2 - 1, "an empty value is none, and not counted");
    }

    #[test]
    fn addresses_that_are_nobodys_or_were_not_asked_for_are_not_taken() {
        let reply = [
            Attribute::Ip4Address(Some(Ipv4Addr::BROADCAST)),
            Attribute::Ip4Address(Some(Ipv4Addr::LOCALHOST)),
            Attribute::Ip4Address(Some(Ipv4Addr::new(10, 9, 0, 1))),
            Attribute::Ip6Address(Some(("fd00:9::1".parse().unwrap(), 64))),
        ];
        let reply = Configuration::of(CfgType::REPLY, &reply);
        let mut profile = client();
        profile.request_virtual_ip.v6 = false;
        let (leases, _) = Leases::read(&profile, &reply);
        assert_eq!((leases.v4, leases.v6), (Some(Ipv4Addr::new(10, 9, 0, 1)), None));
    }

    #[test]
    fn masks_are_prefixes_or_nothing() {
        for (mask, length) in
            [(0, Some(0)), (0xffff_0000, Some(16)), (u32::MAX, Some(32)), (0xff00_ff00, None), (1, None)]
        {
            assert_eq!(length_of(Ipv4Addr::from_bits(mask)), length);
        }
    }

    #[test]
    fn versions_are_neither_told_nor_asked_for() {
        let asked = [Attribute::Ip4Address(None), other(CfgAttribute::APPLICATION_VERSION, &[])];
        let asked = Configuration::of(CfgType::REQUEST, &asked);
        assert!(asks_for_address(&asked));
        let leases = Leases { v4: Some(Ipv4Addr::new(10, 9, 0, 1)), ..Leases::default() };
        let told = leases.write(&client(), &asked, |cp| cp.attributes.iter().map(|one| one.kind()).collect::<Vec<_>>());
        assert_eq!(told, [CfgAttribute::INTERNAL_IP4_ADDRESS]);
        let asks = request(&client(), None, |cp| cp.attributes.iter().map(|one| one.kind()).collect::<Vec<_>>());
        assert!(!asks.unwrap().contains(&CfgAttribute::APPLICATION_VERSION));
    }
}
