//! Commands and operations of Python as orders to the core.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use mobike_ike::crypto::SecretBytes;
use mobike_ike::{
    ChildId, Command, EapPacket, EapReply, Generation, NattPorts, Question, SaId, Terms, Token, TurnAway, Verdict,
};
use mobike_io::{Operation, Order, Word};

use crate::classes::{Commands, Operations, Words};
use crate::identity;
use crate::names::Names;
use crate::profile::{self, Plane};
use crate::read::{addresses, each, field, gateways, optional, path, path_field, span, wrong};

/// What translating takes.
pub(crate) struct Reader<'a> {
    pub(crate) names: &'a Names,
    pub(crate) plane: Plane,
    /// Of this end; a `Connect` names only the peer's.
    pub(crate) natt_port: u16,
}

impl Reader<'_> {
    pub(crate) fn order(&self, from: &Bound<'_, PyAny>) -> PyResult<Order> {
        let py = from.py();
        let class = from.get_type();
        let commands = Commands::get(py)?;
        let command = if class.is(&commands.move_) {
            Command::Move {
                sa: sa(from)?,
                path: path_field(from, intern!(py, "path"))?,
                generation: generation(from)?,
                addresses: optional(from, intern!(py, "addresses"), addresses)?,
            }
        } else if class.is(&commands.probe) {
            let path = optional(from, intern!(py, "path"), path)?;
            Command::Probe { sa: sa(from)?, path, generation: generation(from)? }
        } else if class.is(&commands.watch) {
            let paths = from.getattr(intern!(py, "paths"))?;
            let paths = paths.try_iter()?.map(|item| path(&item?)).collect::<PyResult<Vec<_>>>()?;
            Command::Watch { sa: sa(from)?, paths: Arc::from(paths), interval: span(from, intern!(py, "interval"))? }
        } else if class.is(&commands.announce) {
            Command::Announce {
                sa: sa(from)?,
                addresses: addresses(&from.getattr(intern!(py, "addresses"))?)?,
                path: optional(from, intern!(py, "path"), path)?,
                generation: generation(from)?,
            }
        } else if class.is(&commands.connect) {
            self.connect(from)?
        } else if class.is(&commands.give_up) {
            let tokens: Vec<u64> = field(from, intern!(py, "tokens"))?;
            let why: String = field(from, intern!(py, "why"))?;
            Command::GiveUp { tokens: tokens.into_iter().map(Token).collect(), why: Arc::from(why) }
        } else if class.is(&commands.away) {
            Command::Away { sa: sa(from)?, span: span(from, intern!(py, "span"))? }
        } else if class.is(&commands.close) {
            let why: String = field(from, intern!(py, "why"))?;
            Command::Close { sa: sa(from)?, why: Arc::from(why) }
        } else if class.is(&commands.allow) {
            let key: Vec<u8> = field(from, intern!(py, "key"))?;
            let proven = addresses(&from.getattr(intern!(py, "proven"))?)?.to_vec();
            Command::Verdict {
                sa: sa(from)?,
                question: question(from)?,
                verdict: Verdict::Allow { key: key.into(), proven, terms: terms(from)? },
            }
        } else if class.is(&commands.deny) {
            let why: String = field(from, intern!(py, "why"))?;
            let verdict = Verdict::Deny { why: Arc::from(why) };
            Command::Verdict { sa: sa(from)?, question: question(from)?, verdict }
        } else if class.is(&commands.open_child) {
            let name: String = field(from, intern!(py, "name"))?;
            Command::OpenChild { sa: sa(from)?, name: Arc::from(name) }
        } else if class.is(&commands.eap_send) {
            eap_reply(from, eap_send(from)?)?
        } else if class.is(&commands.eap_done) {
            eap_reply(from, eap_done(from)?)?
        } else if class.is(&commands.eap_fail) {
            let why: String = field(from, intern!(py, "why"))?;
            eap_reply(from, EapReply::Failed { why: Arc::from(why) })?
        } else if class.is(&commands.close_child) {
            Command::CloseChild { child: ChildId(field(from, intern!(py, "child"))?) }
        } else if class.is(&commands.rekey) {
            Command::Rekey { sa: sa(from)? }
        } else if class.is(&commands.reauth) {
            Command::Reauth { sa: sa(from)? }
        } else if class.is(&commands.redirect) {
            Command::Redirect { sa: sa(from)?, to: gateways(from, intern!(py, "to"))? }
        } else if class.is(&commands.turn_away) {
            let (to, from) = (gateways(from, intern!(py, "to"))?, field(from, intern!(py, "at"))?);
            Command::TurnAway { orders: (!to.is_empty()).then(|| Arc::new(TurnAway { to, from })) }
        } else if class.is(&commands.set_ticket_keys) {
            // The values stay out of the messages.
            let key = |item: &Bound<'_, PyAny>| match item.extract::<[u8; 32]>() {
                Ok(octets) => Ok(SecretBytes::from_slice(&octets)),
                Err(_) => Err("not 32 bytes".to_owned()),
            };
            let keys = each(from, intern!(py, "keys"), key)?;
            Command::SetTicketKeys { keys: keys.into(), clock: span(from, intern!(py, "clock"))? }
        } else if class.is(&commands.rekey_child) {
            Command::RekeyChild { child: ChildId(field(from, intern!(py, "child"))?) }
        } else if class.is(&commands.set_local_addresses) {
            Command::SetLocalAddresses { addresses: addresses(&from.getattr(intern!(py, "addresses"))?)? }
        } else if class.is(&commands.set_profile) {
            let profile = profile::profile(&from.getattr(intern!(py, "profile"))?, self.plane)?;
            Command::SetProfile { id: self.names.id(py, &profile.name), profile: Arc::new(profile) }
        } else if class.is(&commands.remember) {
            let connection: String = field(from, intern!(py, "connection"))?;
            let who: String = field(from, intern!(py, "peer"))?;
            Command::Remember {
                profile: self.names.id(py, &connection),
                who: identity::proven(&who),
                address: field(from, intern!(py, "address"))?,
                ago: span(from, intern!(py, "ago"))?,
            }
        } else if class.is(&commands.remove_profile) {
            let name: String = field(from, intern!(py, "name"))?;
            Command::RemoveProfile { id: self.names.id(py, &name) }
        } else {
            return match word(from)? {
                Some(word) => Ok(Order::Word(word)),
                None => operation(from).map(Order::Plane),
            };
        };
        Ok(Order::Engine(command))
    }

    fn connect(&self, from: &Bound<'_, PyAny>) -> PyResult<Command> {
        let py = from.py();
        let connection: String = field(from, intern!(py, "connection"))?;
        let paths = from.getattr(intern!(py, "paths"))?;
        Ok(Command::Connect {
            token: Token(field(from, intern!(py, "token"))?),
            profile: self.names.id(py, &connection),
            paths: paths.try_iter()?.map(|item| path(&item?)).collect::<PyResult<_>>()?,
            natt: NattPorts { local: self.natt_port, remote: field(from, intern!(py, "remote_natt_port"))? },
            redirected_from: field(from, intern!(py, "redirected_from"))?,
        })
    }
}

fn eap_reply(from: &Bound<'_, PyAny>, reply: EapReply) -> PyResult<Command> {
    Ok(Command::Eap { sa: sa(from)?, question: question(from)?, reply })
}

fn eap_send(from: &Bound<'_, PyAny>) -> PyResult<EapReply> {
    let packet = from.getattr(intern!(from.py(), "packet"))?;
    // The value stays out of the message.
    let octets: Vec<u8> = packet.extract().map_err(|_| wrong("packet", "not bytes"))?;
    let packet = EapPacket::new(octets).ok_or_else(|| wrong("packet", "not an EAP packet"))?;
    let refused: Option<String> = field(from, intern!(from.py(), "refused"))?;
    Ok(EapReply::Send { packet, refused: refused.map(Arc::from) })
}

fn eap_done(from: &Bound<'_, PyAny>) -> PyResult<EapReply> {
    let py = from.py();
    let key = from.getattr(intern!(py, "key"))?;
    let octets: Option<&[u8]> = key.extract().map_err(|_| wrong("key", "not bytes"))?;
    let peer: Option<String> = field(from, intern!(py, "peer"))?;
    let peer = peer.map(|name| identity::proven(&name));
    Ok(EapReply::Agreed { key: octets.map(SecretBytes::from_slice), peer, terms: terms(from)? })
}

/// What a peer that is let in may have.
fn terms(from: &Bound<'_, PyAny>) -> PyResult<Terms> {
    let py = from.py();
    let reach = optional(from, intern!(py, "reach"), |_| profile::selectors(from, intern!(py, "reach")))?;
    Ok(Terms {
        addresses: addresses(&from.getattr(intern!(py, "addresses"))?)?.to_vec(),
        reach,
        pool: field::<Option<String>>(from, intern!(py, "pool"))?.map(Arc::from),
    })
}

/// What a data plane outside of the core says.
fn word(from: &Bound<'_, PyAny>) -> PyResult<Option<Word>> {
    let py = from.py();
    let (class, words) = (from.get_type(), Words::get(py)?);
    let child = || field(from, intern!(py, "child")).map(ChildId);
    Ok(Some(if class.is(&words.installed) {
        Word::Installed(child()?)
    } else if class.is(&words.refused) {
        Word::Refused { child: child()?, why: field(from, intern!(py, "why"))? }
    } else if class.is(&words.traffic) {
        let (heard, sent) = (field(from, intern!(py, "heard"))?, field(from, intern!(py, "sent"))?);
        Word::Traffic { sa: sa(from)?, heard, sent }
    } else if class.is(&words.removed) {
        Word::Removed(child()?)
    } else if class.is(&words.worn) {
        Word::Worn(child()?)
    } else if class.is(&words.spent) {
        Word::Spent(child()?)
    } else if class.is(&words.mapped) {
        Word::Mapped { sa: sa(from)?, path: path_field(from, intern!(py, "path"))? }
    } else {
        return Ok(None);
    }))
}

fn operation(from: &Bound<'_, PyAny>) -> PyResult<Operation> {
    let py = from.py();
    let (class, operations) = (from.get_type(), Operations::get(py)?);
    if class.is(&operations.park) {
        return Ok(Operation::Park { sa: sa(from)? });
    }
    if class.is(&operations.move_sa) {
        return Ok(Operation::MoveSa {
            sa: sa(from)?,
            path: path_field(from, intern!(py, "path"))?,
            encap: field(from, intern!(py, "encap"))?,
        });
    }
    Err(PyTypeError::new_err(format!("{} is neither a Command nor an Operation", from.get_type().name()?)))
}

fn sa(from: &Bound<'_, PyAny>) -> PyResult<SaId> {
    field(from, intern!(from.py(), "sa")).map(SaId)
}

fn question(from: &Bound<'_, PyAny>) -> PyResult<Question> {
    field(from, intern!(from.py(), "question")).map(Question)
}

fn generation(from: &Bound<'_, PyAny>) -> PyResult<Generation> {
    field(from, intern!(from.py(), "generation")).map(Generation)
}
