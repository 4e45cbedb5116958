//! Our first IKE_AUTH request: what it says, and what is kept of it.

use std::sync::Arc;

use super::{Agreed, Authenticating, id_body, with_id, write_mobike};
use crate::Nanos;
use crate::children::FIRST;
use crate::crypto::auth::SignedOctets;
use crate::crypto::{AuthKeys, Role};
use crate::event::ConnectError;
use crate::id::IdentityPattern;
use crate::profile::Profile;
use crate::proofs::{LocalProof, RemoteProof};
use crate::sa::asked::{push_no_nats, push_window};
use crate::sa::channel::Outgoing;
use crate::sa::context::Context;
use crate::sa::exchange::configuration::{self, Leases};
use crate::sa::exchange::first_child::{self, esp_suites};
use crate::sa::exchange::init_initiator::Order;
use crate::sa::exchange::proof::{self, Ours};
use crate::sa::exchange::reauth::Old;
use crate::sa::exchange::{mode, offers, ppk, sync, tickets, traffic};
use crate::sa::timers::Retry;
use crate::selector::Selector;
use crate::wire::{ExchangeType, NotifyType, Payload, SkWriter};

/// Write it, and remember what it asks for.
pub(super) fn prepare(
    ctx: &mut Context,
    now: Nanos,
    agreed: Agreed,
) -> Result<Authenticating, Box<(Order, ConnectError)>> {
    let (auth_id, clear) = (agreed.next_id(), agreed.clear());
    let Agreed {
        order,
        id,
        suite,
        mut channel,
        auth,
        said,
        nonce_i,
        nonce_r,
        request,
        answer,
        path,
        detected,
        hashes,
        stapled,
        ppk,
        childless,
        resumed,
        ..
    } = agreed;
    let body = id_body(&order.profile.local_id);
    let ppk = order.ppk().filter(|_| ppk).cloned();
    let mixed = match ppk.as_ref().map(|ppk| auth.mixed(ppk.key.expose())).transpose() {
        Ok(mixed) => mixed,
        Err(_) => return Err(Box::new((order, ConnectError::BadOrder("no keys could be made")))),
    };
    let make = |keys: &AuthKeys| {
        let octets = SignedOctets::new(keys, Role::Initiator, &request, &nonce_r, &body).after(&said);
        match &order.profile.proofs.local {
            _ if resumed.is_some() => Ok(Some(Ours::shared_key(&octets.resumed_auth(keys, Role::Initiator)))),
            LocalProof::Eap => Ok(None),
            LocalProof::SharedKey | LocalProof::Signature(_) => proof::make(&order.profile, &octets, hashes).map(Some),
        }
    };
    let proof = make(mixed.as_ref().unwrap_or(&auth));
    let without = match ppk.as_ref().filter(|ppk| !ppk.required).map(|_| make(&auth)) {
        Some(Ok(without)) => without,
        Some(Err(_)) | None => None,
    };
    let proof = match proof {
        Ok(proof) => proof,
        Err(why) => return Err(Box::new((order, ConnectError::Refused(why)))),
    };
    let child = match childless {
        true => first_child::Asked::Later,
        false => match ctx.children.reserve(ctx.settings.shard, id, FIRST, &mut ctx.random) {
            Some(reserved) => first_child::Asked::One(reserved),
            None => return Err(Box::new((order, ConnectError::TableFull))),
        },
    };
    let first = order.profile.child(FIRST);
    let proposed = mode::hosts(&first, path).unwrap_or_else(|| {
        let local = traffic::proposed_local(&order.profile, path.local.ip());
        (local, traffic::side(&order.profile.remote_ts, &Leases::default(), path.remote.ip()))
    });
    let nat = detected.map(|detected| detected.nat).unwrap_or_default();
    if let (first_child::Asked::One(_), Err(why)) = (child, mode::judge(first.mode, nat, &proposed)) {
        child.release(ctx);
        return Err(Box::new((order, ConnectError::BadOrder(why))));
    }
    let (profile, old) = (&*order.profile, order.old.as_ref());
    let asking = Asking { profile, proof: proof.as_ref(), stapled, old, resumed: resumed.is_some() };
    let message = Outgoing { exchange: ExchangeType::IKE_AUTH, id: auth_id, response: false };
    let local_addresses = Arc::clone(&ctx.local_addresses);
    let natt = detected.is_some();
    let sealed = channel.seal_behind(&mut ctx.buffer, message, clear, |writer| {
        asking.write(writer, child, &proposed);
        if let Some(ppk) = ppk.as_ref().filter(|_| asking.proof.is_some()) {
            ppk::write(writer, ppk, without.as_ref().map(Ours::data));
        }
        push_window(writer, asking.profile);
        sync::announce(writer, asking.profile);
        if asking.profile.agrees_on_mobike() {
            write_mobike(writer, &local_addresses, path);
            asking.profile.extensions.write(writer);
            if !natt {
                push_no_nats(writer, path);
            }
        }
    });
    let init_request = request;
    let Ok(request) = sealed else {
        child.release(ctx);
        return Err(Box::new((order, ConnectError::BadOrder("IKE_AUTH does not fit a datagram"))));
    };
    let retry = Retry::begin(now, &order.profile.retransmit, &mut ctx.random);
    let init_answer = answer;
    Ok(Authenticating {
        order,
        id,
        suite,
        channel,
        auth,
        mixed,
        said,
        nonce_i,
        nonce_r,
        init_request,
        init_answer,
        path,
        nat,
        natt,
        child,
        proposed,
        auth_id,
        request,
        retry,
        parked: None,
        eap: None,
        resumed,
    })
}

struct Asking<'a> {
    profile: &'a Profile,
    /// None: it comes at the end of an EAP conversation.
    proof: Option<&'a Ours>,
    stapled: bool,
    /// What it takes the place of.
    old: Option<&'a Old>,
    /// Who it is was proved once.
    resumed: bool,
}

impl Asking<'_> {
    fn write(
        &self,
        writer: &mut SkWriter,
        child: first_child::Asked,
        (local, remote): &(Vec<Selector>, Vec<Selector>),
    ) {
        let Asking { profile, proof, stapled, old, resumed } = self;
        with_id(&profile.local_id, |id| writer.push(&Payload::IdInitiator(id)));
        if !resumed {
            proof::write_certificates(writer, profile, *stapled);
        }
        if profile.initial_contact && self.old.is_none() {
            writer.push(&Payload::notify(NotifyType::INITIAL_CONTACT, &[]));
        }
        if !resumed {
            proof::request_certificates(profile.proofs.authorities(), |payload| writer.push(payload));
        }
        tickets::ask(writer, profile);
        if let IdentityPattern::Exact(wanted) = &profile.remote_id {
            with_id(wanted, |id| writer.push(&Payload::IdResponder(id)));
        }
        if let Some(proof) = proof {
            writer.push(&proof.payload());
        } else if matches!(profile.proofs.remote, RemoteProof::Eap) {
            writer.push(&Payload::notify(NotifyType::EAP_ONLY_AUTHENTICATION, &[]));
        }
        configuration::request(profile, old.map(|old| &old.leases), |cp| writer.push(&Payload::Configuration(cp)));
        let first_child::Asked::One(child) = child else { return };
        mode::write(writer, profile.child(FIRST).mode);
        offers::propose(&esp_suites(&profile.esp_suites), &child.spi_in.to_be_bytes(), |sa| {
            writer.push(&Payload::Sa(sa))
        });
        traffic::write(local, |ts| writer.push(&Payload::TsInitiator(ts)));
        traffic::write(remote, |ts| writer.push(&Payload::TsResponder(ts)));
    }
}
