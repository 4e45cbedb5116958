//! A `Profile` of Python as one of the engine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use mobike_ike::children::MOST_OTHERS;
use mobike_ike::crypto::{PublicKey, SigningKey};
use mobike_ike::profile::{
    Childless, Install, Pool, Profile, PskSecret, RequestVip, Retransmit, ReturnRoutability, Unique,
};
use mobike_ike::{
    ChildMode, ChildOrders, ChildPlan, Credential, Extensions, Generation, Limits, LocalProof, PathOrders, Ppk, Prefix,
    Proofs, Redirect, RemoteProof, Resumption, Selector, Terms, Volume,
};

use crate::read::{each, field, gateways, optional, span, wrong};
use crate::{handout, identity};

/// What the core's settings add to every profile.
#[derive(Clone, Copy)]
pub(crate) struct Plane {
    pub(crate) userspace: bool,
    pub(crate) always_encap: bool,
}

/// ValueError names the connection and the field.
pub(crate) fn profile(from: &Bound<'_, PyAny>, plane: Plane) -> PyResult<Profile> {
    let name: String = field(from, intern!(from.py(), "name"))?;
    read(from, &name, plane).map_err(|error| {
        let py = from.py();
        wrong(&format!("profile {name:?}"), error.value(py))
    })
}

fn read(from: &Bound<'_, PyAny>, name: &str, plane: Plane) -> PyResult<Profile> {
    let py = from.py();
    let text = |name: &Bound<'_, PyString>| field::<String>(from, name);
    let flag = |name: &Bound<'_, PyString>| field::<bool>(from, name);
    let proofs = proofs(from)?;
    Ok(Profile {
        name: Arc::from(name),
        generation: Generation(field(from, intern!(py, "generation"))?),
        local_id: identity::parse(&text(intern!(py, "local_id"))?).map_err(|why| wrong("local_id", why))?,
        remote_id: identity::parse_pattern(&text(intern!(py, "remote_id"))?).map_err(|why| wrong("remote_id", why))?,
        psk: psk(from, &proofs)?,
        proofs,
        ppk: optional(from, intern!(py, "ppk"), ppk)?,
        ike_suites: each(from, intern!(py, "ike_proposals"), parsed)?,
        esp_suites: each(from, intern!(py, "esp_proposals"), |item| esp_suite(item, plane))?,
        local_ts: each(from, intern!(py, "local_ts"), selector)?,
        remote_ts: each(from, intern!(py, "remote_ts"), selector)?,
        plan: plan(from, plane)?,
        childless: childless(&text(intern!(py, "childless"))?)?,
        pool: pool(from)?,
        named_pools: each(from, intern!(py, "named_pools"), named_pool)?.into(),
        handout: handout::given(from).map_err(|error| wrong("handout", error.value(py)))?,
        request_virtual_ip: RequestVip { v4: flag(intern!(py, "request_ip4"))?, v6: flag(intern!(py, "request_ip6"))? },
        wanted: handout::wanted(from)?,
        accepts: flag(intern!(py, "accepts"))?,
        initial_contact: flag(intern!(py, "initial_contact"))?,
        unique: unique(&text(intern!(py, "unique"))?)?,
        mobike: flag(intern!(py, "mobike"))?,
        liveness: span(from, intern!(py, "liveness"))?,
        retransmit: retransmit(&from.getattr(intern!(py, "retransmit"))?)
            .map_err(|error| wrong("retransmit", error.value(py)))?,
        ike_lifetime: span(from, intern!(py, "ike_lifetime"))?,
        esp_lifetime: span(from, intern!(py, "esp_lifetime"))?,
        limits: limits(from)?,
        nat_keepalive: span(from, intern!(py, "nat_keepalive"))?,
        return_routability: return_routability(&text(intern!(py, "return_routability"))?)?,
        install: Install::Inline,
        always_encap: plane.always_encap,
        window: window(from)?,
        message_id_sync: flag(intern!(py, "message_id_sync"))?,
        away_at_most: span(from, intern!(from.py(), "away_at_most"))?,
        extensions: extensions(from)?,
        paths: paths(from)?,
        resumption: Resumption {
            ask: flag(intern!(py, "resume"))?,
            lifetime: span(from, intern!(py, "ticket_lifetime"))?,
            rests_on: field::<Vec<u8>>(from, intern!(py, "tickets_rest_on"))?.into(),
        },
        terms: Terms::default(),
        redirect: Redirect {
            follow: flag(intern!(py, "follow_redirects"))?,
            to: gateways(from, intern!(py, "redirect"))?,
        },
    })
}

/// Limits on the life of SAs beside the soft lifetimes by time.
fn limits(from: &Bound<'_, PyAny>) -> PyResult<Limits> {
    let py = from.py();
    let from = from.getattr(intern!(py, "limits"))?;
    let volume = |bytes, packets| PyResult::Ok(Volume { bytes: field(&from, bytes)?, packets: field(&from, packets)? });
    Ok(Limits {
        ike_hard: span(&from, intern!(py, "ike_hard"))?,
        esp_hard: span(&from, intern!(py, "esp_hard"))?,
        reauth: span(&from, intern!(py, "reauth"))?,
        soft: volume(intern!(py, "soft_bytes"), intern!(py, "soft_packets"))?,
        hard: volume(intern!(py, "hard_bytes"), intern!(py, "hard_packets"))?,
    })
}

/// The Child SAs beside the first.
fn plan(from: &Bound<'_, PyAny>, plane: Plane) -> PyResult<ChildPlan> {
    let py = from.py();
    let text = |error: PyErr| error.value(py).to_string();
    let others = each(from, intern!(py, "children"), |item| {
        Ok::<_, String>(ChildOrders {
            name: Arc::from(field::<String>(item, intern!(py, "name")).map_err(text)?),
            esp_suites: each(item, intern!(py, "esp_proposals"), |item| esp_suite(item, plane)).map_err(text)?,
            local_ts: each(item, intern!(py, "local_ts"), selector).map_err(text)?,
            remote_ts: each(item, intern!(py, "remote_ts"), selector).map_err(text)?,
            mode: mode(item, plane).map_err(text)?,
            start: field(item, intern!(py, "start")).map_err(text)?,
        })
    })?;
    if others.len() > MOST_OTHERS {
        return Err(wrong("children", format_args!("at most {MOST_OTHERS}")));
    }
    let start = field(from, intern!(py, "start_child"))?;
    Ok(ChildPlan { mode: mode(from, plane)?, others, start, at_most: field(from, intern!(py, "most_children"))? })
}

/// Tunnel, or transport where the plane can.
fn mode(from: &Bound<'_, PyAny>, plane: Plane) -> PyResult<ChildMode> {
    match field(from, intern!(from.py(), "transport_mode"))? {
        true if plane.userspace => Err(wrong("transport_mode", "the userspace plane carries tunnels only")),
        true => Ok(ChildMode::Transport),
        false => Ok(ChildMode::Tunnel),
    }
}

/// Names of private extensions.
fn extensions(from: &Bound<'_, PyAny>) -> PyResult<Extensions> {
    let named = |item: &Bound<'_, PyAny>| {
        let name = string(item)?;
        Extensions::named(&name).ok_or_else(|| format!("there is no extension {name:?}"))
    };
    let all: Vec<Extensions> = each(from, intern!(from.py(), "extensions"), named)?;
    Ok(all.into_iter().fold(Extensions::NONE, Extensions::with))
}

/// As many as the engine can remember answers for.
fn window(from: &Bound<'_, PyAny>) -> PyResult<u8> {
    let window: u8 = field(from, intern!(from.py(), "window"))?;
    if !(1..=32).contains(&window) {
        return Err(wrong("window", "from 1 to 32"));
    }
    Ok(window)
}

/// Which addresses may be used, and how.
fn paths(from: &Bound<'_, PyAny>) -> PyResult<PathOrders> {
    let py = from.py();
    let prefixes = |name| each(from, name, |item| prefix(&string(item)?).map(Prefix::from));
    let families: Vec<u8> = field(from, intern!(py, "families"))?;
    if let Some(odd) = families.iter().find(|family| !matches!(family, 4 | 6)) {
        return Err(wrong("families", format_args!("{odd} is neither 4 nor 6")));
    }
    Ok(PathOrders {
        local: prefixes(intern!(py, "allow_local"))?,
        remote: prefixes(intern!(py, "allow_remote"))?,
        v4: families.contains(&4),
        v6: families.contains(&6),
        trusted: prefixes(intern!(py, "trusted"))?,
        udp: field(from, intern!(py, "udp"))?,
        tcp: field(from, intern!(py, "tcp"))?,
        nat_traversal: field(from, intern!(py, "nat_traversal"))?,
        detection_floor: span(from, intern!(py, "detection_floor"))?,
    })
}

/// How both ends prove who they are.
fn proofs(from: &Bound<'_, PyAny>) -> PyResult<Proofs> {
    let py = from.py();
    let credential = optional(from, intern!(py, "credential"), credential)?;
    let (local_eap, remote_eap) = (field(from, intern!(py, "local_eap"))?, field(from, intern!(py, "remote_eap"))?);
    let local = match (local_eap, credential) {
        (true, _) => LocalProof::Eap,
        (false, Some(credential)) => LocalProof::Signature(Arc::new(credential)),
        (false, None) => LocalProof::SharedKey,
    };
    let authorities = each(from, intern!(py, "authorities"), |item| {
        item.extract().map_err(|_| "not 20 octets: SHA-1 of a public key".to_owned())
    })?;
    let keys = remote_keys(from)?;
    let remote = match (remote_eap, field(from, intern!(py, "remote_certificate"))?) {
        (true, _) => RemoteProof::Eap,
        (false, _) if !keys.is_empty() => RemoteProof::Keys(keys.into()),
        (false, true) => RemoteProof::Certificate { authorities: authorities.into() },
        (false, false) => RemoteProof::SharedKey,
    };
    let (judged, rsa_sha1) = (field(from, intern!(py, "judged"))?, field(from, intern!(py, "rsa_sha1"))?);
    Ok(Proofs { local, remote, judged, rsa_sha1 })
}

fn ppk(from: &Bound<'_, PyAny>) -> PyResult<Ppk> {
    let py = from.py();
    let (id, key) = (from.getattr(intern!(py, "id"))?, from.getattr(intern!(py, "key"))?);
    // The values stay out of the messages.
    let id: Vec<u8> = id.extract().map_err(|_| wrong("ppk.id", "not bytes"))?;
    let key: &[u8] = key.extract().map_err(|_| wrong("ppk.key", "not bytes"))?;
    Ok(Ppk { id: id.into(), key: PskSecret::from_slice(key), required: field(from, intern!(py, "required"))? })
}

/// Public keys that the peer may sign with.
fn remote_keys(from: &Bound<'_, PyAny>) -> PyResult<Vec<PublicKey>> {
    each(from, intern!(from.py(), "remote_keys"), |item| {
        let info: Vec<u8> = item.extract().map_err(|_| "not bytes".to_owned())?;
        PublicKey::from_info(&info).map_err(|why| why.to_string())
    })
}

fn credential(from: &Bound<'_, PyAny>) -> PyResult<Credential> {
    let py = from.py();
    let key = from.getattr(intern!(py, "key"))?;
    // The value stays out of the message.
    let octets: &[u8] = key.extract().map_err(|_| wrong("credential.key", "not bytes"))?;
    let key = SigningKey::from_pkcs8(octets).map_err(|why| wrong("credential.key", why))?;
    let certificates = each(from, intern!(py, "certificates"), |item| {
        item.extract::<Vec<u8>>().map(Vec::into_boxed_slice).map_err(|_| "not bytes".to_owned())
    })?;
    let staple: Option<Vec<u8>> =
        from.getattr(intern!(py, "staple"))?.extract().map_err(|_| wrong("staple", "not bytes"))?;
    let raw: Option<Vec<u8>> = from.getattr(intern!(py, "raw"))?.extract().map_err(|_| wrong("raw", "not bytes"))?;
    Ok(Credential { key, certificates, raw: raw.map(Vec::into_boxed_slice), staple: staple.map(Vec::into_boxed_slice) })
}

fn psk(from: &Bound<'_, PyAny>, proofs: &Proofs) -> PyResult<PskSecret> {
    let psk = from.getattr(intern!(from.py(), "psk"))?;
    // The value stays out of the message.
    let octets: &[u8] = psk.extract().map_err(|_| wrong("psk", "not bytes"))?;
    let needed = matches!(proofs.local, LocalProof::SharedKey) || matches!(proofs.remote, RemoteProof::SharedKey);
    if octets.is_empty() && needed {
        return Err(wrong("psk", "empty"));
    }
    Ok(PskSecret::from_slice(octets))
}

fn string(item: &Bound<'_, PyAny>) -> Result<String, String> {
    item.extract().map_err(|error: PyErr| error.to_string())
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(item: &Bound<'_, PyAny>) -> Result<T, String> {
    string(item)?.parse().map_err(|error: T::Err| error.to_string())
}

fn esp_suite(item: &Bound<'_, PyAny>, plane: Plane) -> Result<mobike_ike::crypto::EspSuite, String> {
    let suite = parsed(item)?;
    if plane.userspace && !mobike_io::userspace_knows(suite) {
        return Err(format!("the userspace plane does not know {suite}"));
    }
    Ok(suite)
}

/// A list of them.
pub(crate) fn selectors(from: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<Vec<Selector>> {
    each(from, name, selector)
}

/// A prefix, and behind it perhaps a protocol with its ports: `10.0.0.0/8[udp/5060]`.
fn selector(item: &Bound<'_, PyAny>) -> Result<Selector, String> {
    let text = string(item)?;
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((network, upper)) => Ok(prefix(network)?.only(upper.parse()?)),
        None => prefix(&text),
    }
}

/// `10.0.0.0/8`, `2001:db8::/32`, or an address alone.
fn prefix(text: &str) -> Result<Selector, String> {
    let wrong = || format!("{text:?} is neither ADDRESS/PREFIX nor an address");
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Ok(width), |length| length.parse::<u8>().map_err(|_| wrong()))?;
    if length > width {
        return Err(format!("{text:?}: a prefix of this family has at most {width} bits"));
    }
    let selector = Selector::subnet(address, length);
    if selector.start != address {
        return Err(format!("{text:?} has bits behind its prefix; {}/{length} is meant?", selector.start));
    }
    Ok(selector)
}

/// At most one range of each family.
fn pool(from: &Bound<'_, PyAny>) -> PyResult<Option<Pool>> {
    let name = intern!(from.py(), "pools");
    let mut pool = Pool::default();
    let ranges = each(from, name, range)?;
    for (first, last) in &ranges {
        let taken = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => pool.v4.replace((*first, *last)).is_some(),
            (IpAddr::V6(first), IpAddr::V6(last)) => pool.v6.replace((*first, *last)).is_some(),
            _ => return Err(wrong("pools", "a range of two families")),
        };
        if taken {
            return Err(wrong("pools", "one range of each family is possible"));
        }
    }
    let shared: Option<String> = field(from, intern!(from.py(), "pool_name"))?;
    pool.shared = shared.map(Arc::from);
    pool.sticky = span(from, intern!(from.py(), "sticky"))?;
    Ok((!ranges.is_empty()).then_some(pool))
}

/// One that an authoriser may name.
fn named_pool(item: &Bound<'_, PyAny>) -> Result<Pool, String> {
    let read = pool(item).map_err(|error| error.value(item.py()).to_string())?;
    read.filter(|pool| pool.shared.is_some()).ok_or_else(|| "no ranges, or no name".to_owned())
}

fn range(item: &Bound<'_, PyAny>) -> Result<(IpAddr, IpAddr), String> {
    let py = item.py();
    let text = |error: PyErr| error.value(py).to_string();
    let first: IpAddr = field(item, intern!(py, "first")).map_err(text)?;
    let count: u128 = field(item, intern!(py, "count")).map_err(text)?;
    let more = count.checked_sub(1).ok_or("count: 0 addresses")?;
    let last = match first {
        IpAddr::V4(first) => u32::try_from(more).ok().and_then(|more| first.to_bits().checked_add(more)).map(v4),
        IpAddr::V6(first) => first.to_bits().checked_add(more).map(v6),
    };
    Ok((first, last.ok_or("count: the range leaves the address space")?))
}

fn v4(bits: u32) -> IpAddr {
    Ipv4Addr::from_bits(bits).into()
}

fn v6(bits: u128) -> IpAddr {
    Ipv6Addr::from_bits(bits).into()
}

fn retransmit(from: &Bound<'_, PyAny>) -> PyResult<Retransmit> {
    let py = from.py();
    Ok(Retransmit {
        initial: span(from, intern!(py, "initial"))?,
        factor_percent: field(from, intern!(py, "factor_percent"))?,
        max_interval: span(from, intern!(py, "max_interval"))?,
        give_up_initiator: span(from, intern!(py, "give_up_initiator"))?,
        give_up_responder: span(from, intern!(py, "give_up_responder"))?,
        jitter_percent: field(from, intern!(py, "jitter_percent"))?,
    })
}

fn childless(text: &str) -> PyResult<Childless> {
    Ok(match text {
        "never" => Childless::Never,
        "allow" => Childless::Allow,
        "prefer" => Childless::Prefer,
        "require" => Childless::Require,
        _ => return Err(wrong("childless", format_args!("{text:?} is none of never, allow, prefer, require"))),
    })
}

fn unique(text: &str) -> PyResult<Unique> {
    Ok(match text {
        "as-peer-says" => Unique::AsPeerSays,
        "replace" => Unique::Replace,
        "keep" => Unique::Keep,
        "never" => Unique::Never,
        _ => {
            let why = format_args!("{text:?} is none of as-peer-says, replace, keep, never");
            return Err(wrong("unique", why));
        }
    })
}

fn return_routability(text: &str) -> PyResult<ReturnRoutability> {
    Ok(match text {
        "before" => ReturnRoutability::Before,
        "after" => ReturnRoutability::After,
        "never" => ReturnRoutability::Never,
        "untrusted" => ReturnRoutability::Untrusted,
        _ => {
            let why = format_args!("{text:?} is none of before, after, never, untrusted");
            return Err(wrong("return_routability", why));
        }
    })
}
