//! Events of the core as those of `mobike.events`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use mobike_ike::event::{Comparison, ConnectError, Row};
use mobike_ike::{Asked, Authorise, ChildMode, EapAsked, IkeSaUp, NatView, Path, Role, Selector, Transport};
use mobike_io::{ChildUp, Event, Told};

use crate::classes::{Addresses, Events, Members, Operations};
use crate::handout;
use crate::names::Names;
use crate::plane;

/// Python addresses kept for the next event that names the same one. Building one costs more than the rest of an event.
const REMEMBERED: usize = 4096;

/// Python's immutable objects for what comes again and again. They are taken out for a batch and put back after it, so that
/// no lock is held while Python runs.
#[derive(Default)]
pub(crate) struct Memory {
    remembered: Mutex<Remembered>,
    /// Events of the last batch, each with the exchange that it came of.
    told: Mutex<Vec<(Py<PyAny>, Asked)>>,
}

impl Memory {
    /// Of the last batch: events that came of an exchange, whether we asked, and its message id.
    pub(crate) fn told_by(&self, py: Python<'_>) -> Vec<(Py<PyAny>, bool, u32)> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().map(|(event, by)| (event.clone_ref(py), by.ours, by.message_id)).collect()
    }
}

#[derive(Default)]
struct Remembered {
    addresses: HashMap<IpAddr, Py<PyAny>>,
    endpoints: HashMap<SocketAddr, Py<PyAny>>,
    texts: HashMap<String, Py<PyString>>,
}

/// One batch.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    events: impl IntoIterator<Item = Told>,
    names: &Names,
    memory: &Memory,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut told = Vec::new();
    let written = write(py, names, memory, |writer| {
        let one = |(event, by): Told| {
            let event = writer.event(event)?;
            told.extend(by.map(|by| (event.clone().unbind(), by)));
            Ok(event)
        };
        events.into_iter().map(one).collect()
    });
    // Those of the batch before are dropped after the lock is released.
    let _before = std::mem::replace(&mut *memory.told.lock().unwrap_or_else(PoisonError::into_inner), told);
    written
}

/// With all that is remembered.
pub(crate) fn write<'py, T>(
    py: Python<'py>,
    names: &Names,
    memory: &Memory,
    build: impl FnOnce(&mut Writer<'py, '_>) -> PyResult<T>,
) -> PyResult<T> {
    let remembered = std::mem::take(&mut *memory.remembered.lock().unwrap_or_else(PoisonError::into_inner));
    let mut writer = Writer { py, names, events: Events::get(py)?, members: Members::get(py)?, remembered };
    let built = build(&mut writer);
    let Writer { remembered, .. } = writer;
    // What another thread remembered meanwhile is dropped after the lock is released.
    let _meanwhile =
        std::mem::replace(&mut *memory.remembered.lock().unwrap_or_else(PoisonError::into_inner), remembered);
    built
}

pub(crate) struct Writer<'py, 'a> {
    pub(crate) py: Python<'py>,
    names: &'a Names,
    events: &'static Events,
    members: &'static Members,
    remembered: Remembered,
}

type Object<'py> = Bound<'py, PyAny>;

impl<'py> Writer<'py, '_> {
    fn event(&mut self, event: Event) -> PyResult<Object<'py>> {
        let (py, classes) = (self.py, self.events);
        match event {
            Event::Ike(event) => self.ike_event(event),
            Event::ChildUp(up) => self.child_up(&up),
            Event::InstallChild(order) => plane::install_child(self, *order),
            Event::RemoveChild { sa, child } => Operations::get(py)?.remove_child.bind(py).call1((sa.0, child.0)),
            Event::ChildDown { sa, child, why, carried } => {
                let carried = carried.map(|all| (all.packets_in, all.packets_out, all.bytes_in, all.bytes_out));
                let (packets_in, packets_out, bytes_in, bytes_out) = carried.unwrap_or_default();
                let why = why.to_string();
                let args = (sa.0, child.0, why, packets_in, packets_out, bytes_in, bytes_out);
                classes.child_down.bind(py).call1(args)
            }
            Event::Resumed { up, agreed, sure, notes } => {
                let up = self.ike_sa_up(*up)?;
                classes.ike_sa_resumed.bind(py).call1((up, agreed, sure, PyBytes::new(py, &notes)))
            }
            Event::TrafficWaits { source, destination, protocol, ports } => {
                let ends = (self.address(source)?, self.address(destination)?);
                let (from, to) = ports.unwrap_or_default();
                classes.traffic_waits.bind(py).call1((ends.0, ends.1, protocol, from, to))
            }
            Event::SaMoved { sa, path } => classes.sa_moved.bind(py).call1((sa.0, self.path(path)?)),
            Event::PlaneRefused { sa, why } => classes.plane_refused.bind(py).call1((sa.0, why)),
            Event::Notice { kind, text } => {
                classes.notice.bind(py).call1((self.text(kind), text, py.None(), py.None()))
            }
        }
    }

    fn ike_event(&mut self, event: mobike_ike::Event) -> PyResult<Object<'py>> {
        use mobike_ike::Event as Ike;
        let (py, classes) = (self.py, self.events);
        match event {
            Ike::IkeSaUp(up) => self.ike_sa_up(*up),
            Ike::Authorise(asked) => self.authorise(&asked),
            Ike::Eap(asked) => self.eap(&asked),
            // The shell replaces this one before it gets here.
            Ike::ChildUp { sa, .. } => classes.plane_refused.bind(py).call1((sa.0, "a Child SA without a data plane")),
            Ike::ChildFailed { sa, name, why } => classes.child_failed.bind(py).call1((sa.0, self.text(&name), why)),
            // So it does with this one.
            Ike::ChildDown { sa, child, spi_in: _, why } => {
                classes.child_down.bind(py).call1((sa.0, child.0, why.to_string()))
            }
            Ike::IkeSaDown { sa, token: _, why } => classes.ike_sa_down.bind(py).call1((sa.0, why.to_string())),
            Ike::IkeSaRekeyed { sa, spi_i, spi_r, suite, by_us } => {
                let suite = self.text(&suite.to_string());
                classes.ike_sa_rekeyed.bind(py).call1((sa.0, spi_i, spi_r, suite, by_us))
            }
            Ike::ConnectFailed { token, why, tried, compared } => {
                let tried = tried.into_iter().map(|path| self.path(path)).collect::<PyResult<Vec<_>>>()?;
                let to = match &why {
                    ConnectError::Redirected(to) => Some(to.to_string()),
                    _ => None,
                };
                let compared = self.comparison(compared)?;
                let args = (token.0, why.to_string(), PyTuple::new(py, tried)?, to, compared, why.name());
                classes.connect_failed.bind(py).call1(args)
            }
            Ike::Redirected { sa, to } => classes.redirected.bind(py).call1((sa.0, to.to_string())),
            Ike::Moved { sa, path, generation, nat, rtt } => {
                let args = (sa.0, self.path(path)?, generation.0, self.nat(nat), nanos(rtt));
                classes.moved.bind(py).call1(args)
            }
            Ike::MoveRefused { sa, path, generation } => {
                classes.move_refused.bind(py).call1((sa.0, self.path(path)?, generation.0))
            }
            Ike::PathSilent { sa, path, generation, unanswered_for, tries } => {
                let args = (sa.0, self.path(path)?, generation.0, tries, nanos(unanswered_for));
                classes.path_silent.bind(py).call1(args)
            }
            Ike::PathChecked { sa, path, generation, rtt } => {
                classes.path_checked.bind(py).call1((sa.0, self.path(path)?, generation.0, nanos(rtt)))
            }
            Ike::PairSeen { sa, path, seen } => {
                let args =
                    (sa.0, self.path(path)?, seen.forward, seen.backward, seen.rtt.map(nanos), seen.loss_permille);
                classes.pair_seen.bind(py).call1(args)
            }
            Ike::PathHeard { sa, path } => classes.path_heard.bind(py).call1((sa.0, self.path(path)?)),
            Ike::PeerMoved { sa, path, nat, verified } => {
                classes.peer_moved.bind(py).call1((sa.0, self.path(path)?, self.nat(nat), verified))
            }
            Ike::PeerAddresses { sa, addresses, source } => {
                classes.peer_addresses.bind(py).call1((sa.0, self.addresses(&addresses)?, self.address(source)?))
            }
            Ike::NatChanged { sa, path, nat } => {
                classes.nat_changed.bind(py).call1((sa.0, self.path(path)?, self.nat(nat)))
            }
            Ike::Away { sa, span } => classes.went_away.bind(py).call1((sa.0, nanos(span))),
            Ike::AwayRefused { sa, why } => classes.away_refused.bind(py).call1((sa.0, why.to_string())),
            Ike::PeerAway { sa, span } => classes.peer_away.bind(py).call1((sa.0, nanos(span))),
            Ike::Notice { kind, path, sa, text, compared } => {
                let path = path.map(|path| self.path(path)).transpose()?;
                let compared = self.comparison(compared)?;
                classes.notice.bind(py).call1((self.text(kind.name()), text, sa.map(|sa| sa.0), path, compared))
            }
        }
    }

    fn comparison(&mut self, compared: Option<Box<Comparison>>) -> PyResult<Option<Object<'py>>> {
        let Some(compared) = compared else { return Ok(None) };
        let Comparison { reason, profile, peer_id, rows } = *compared;
        let (py, classes) = (self.py, self.events);
        let row = |row: Row| {
            let (theirs, ours) = (PyTuple::new(py, row.theirs)?, PyTuple::new(py, row.ours)?);
            classes.row.bind(py).call1((row.what, theirs, ours, row.fits))
        };
        let rows = PyTuple::new(py, rows.into_iter().map(row).collect::<PyResult<Vec<_>>>()?)?;
        let connection = profile.and_then(|profile| self.names.name(py, profile));
        classes.comparison.bind(py).call1((reason, connection, peer_id, rows)).map(Some)
    }

    fn ike_sa_up(&mut self, up: IkeSaUp) -> PyResult<Object<'py>> {
        let (py, classes) = (self.py, self.events);
        // Twelve elements are what a Rust tuple can be.
        let fields: [Object<'py>; 16] = [
            up.sa.0.into_pyobject(py)?.into_any(),
            up.token.map(|token| token.0).into_pyobject(py)?,
            self.names.name(py, up.profile).into_pyobject(py)?,
            self.role(up.role),
            self.path(up.path)?,
            self.nat(up.nat),
            up.peer_id.to_string().into_pyobject(py)?.into_any(),
            up.mobike.into_pyobject(py)?.to_owned().into_any(),
            self.addresses(&up.peer_addresses)?.into_any(),
            self.addresses(&up.virtual_ips)?.into_any(),
            up.spi_i.into_pyobject(py)?.into_any(),
            up.spi_r.into_pyobject(py)?.into_any(),
            self.text(&up.suite.to_string()).into_any(),
            PyTuple::new(py, up.extensions.names().map(|name| self.text(name)).collect::<Vec<_>>())?.into_any(),
            handout::object(py, up.handout.as_deref())?,
            up.orders.0.into_pyobject(py)?.into_any(),
        ];
        classes.ike_sa_up.bind(py).call1(PyTuple::new(py, fields)?)
    }

    fn authorise(&mut self, asked: &Authorise) -> PyResult<Object<'py>> {
        let (py, classes) = (self.py, self.events);
        let certificates = asked.certificates.iter().map(|certificate| PyBytes::new(py, certificate));
        let staples = asked.staples.iter().map(|staple| PyBytes::new(py, staple));
        let args = (
            asked.sa.0,
            asked.question.0,
            self.names.name(py, asked.profile),
            self.role(asked.role),
            asked.peer_id.to_string(),
            asked.peer_id.kind(),
            asked.peer_id.with_data(|data| PyBytes::new(py, data)),
            PyTuple::new(py, certificates)?,
            self.path(asked.path)?,
            PyTuple::new(py, staples)?,
        );
        classes.authorise.bind(py).call1(args)
    }

    fn eap(&mut self, asked: &EapAsked) -> PyResult<Object<'py>> {
        let (py, classes) = (self.py, self.events);
        let args = (
            asked.sa.0,
            asked.question.0,
            self.names.name(py, asked.profile),
            self.role(asked.role),
            asked.peer_id.to_string(),
            asked.packet.as_ref().map(|packet| PyBytes::new(py, packet.octets())),
            self.path(asked.path)?,
        );
        classes.eap_asked.bind(py).call1(args)
    }

    fn child_up(&mut self, up: &ChildUp) -> PyResult<Object<'py>> {
        let (py, classes) = (self.py, self.events);
        let (local, remote) = (self.selectors(&up.local_ts)?, self.selectors(&up.remote_ts)?);
        let suite = self.text(&up.suite.to_string());
        let name = self.text(&up.name);
        let transport = up.mode == ChildMode::Transport;
        let args = (up.sa.0, up.child.0, name, up.spi_in, up.spi_out, suite, local, remote, up.encap, transport);
        classes.child_up.bind(py).call1(args)
    }

    pub(crate) fn role(&self, role: Role) -> Object<'py> {
        match role {
            Role::Initiator => &self.members.initiator,
            Role::Responder => &self.members.responder,
        }
        .bind(self.py)
        .clone()
    }

    fn nat(&self, nat: NatView) -> Object<'py> {
        match (nat.we_are_behind, nat.peer_is_behind) {
            (false, false) => &self.members.nat_none,
            (true, false) => &self.members.nat_we,
            (false, true) => &self.members.nat_peer,
            (true, true) => &self.members.nat_both,
        }
        .bind(self.py)
        .clone()
    }

    pub(crate) fn path(&mut self, path: Path) -> PyResult<Object<'py>> {
        let (local, remote) = (self.endpoint(path.local)?, self.endpoint(path.remote)?);
        let classes = Addresses::get(self.py)?;
        let new = classes.path.bind(self.py);
        match path.transport {
            Transport::Udp => new.call1((local, remote)),
            Transport::Tcp => new.call1((local, remote, classes.transport.bind(self.py).call1(("tcp",))?)),
        }
    }

    fn endpoint(&mut self, endpoint: SocketAddr) -> PyResult<Object<'py>> {
        if let Some(known) = self.remembered.endpoints.get(&endpoint) {
            return Ok(known.bind(self.py).clone());
        }
        let ip = self.address(endpoint.ip())?;
        let new = Addresses::get(self.py)?.endpoint.bind(self.py).call1((ip, endpoint.port()))?;
        make_room(&mut self.remembered.endpoints);
        self.remembered.endpoints.insert(endpoint, new.clone().unbind());
        Ok(new)
    }

    fn address(&mut self, address: IpAddr) -> PyResult<Object<'py>> {
        make_room(&mut self.remembered.addresses);
        Ok(match self.remembered.addresses.entry(address) {
            Entry::Occupied(known) => known.get().bind(self.py).clone(),
            Entry::Vacant(place) => {
                let new = address.into_pyobject(self.py)?;
                place.insert(new.clone().unbind());
                new
            }
        })
    }

    fn addresses(&mut self, all: &[IpAddr]) -> PyResult<Bound<'py, PyTuple>> {
        let all = all.iter().map(|address| self.address(*address)).collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(self.py, all)
    }

    pub(crate) fn selectors(&mut self, all: &[Selector]) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(self.py, all.iter().map(Selector::to_string))
    }

    /// A text of which there are few: suites, kinds.
    pub(crate) fn text(&mut self, text: &str) -> Bound<'py, PyString> {
        if let Some(known) = self.remembered.texts.get(text) {
            return known.bind(self.py).clone();
        }
        let new = PyString::new(self.py, text);
        make_room(&mut self.remembered.texts);
        self.remembered.texts.insert(text.to_owned(), new.clone().unbind());
        new
    }
}

fn make_room<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= REMEMBERED {
        map.clear();
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
