//! The class `SimCore`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use mobike_ike::crypto::SecretBytes;
use mobike_ike::{ChildId, HalfOpenLimits, Nanos, SaId, StreamUse};
use mobike_io::{Carries, CoreConfig, Order, PlaneConfig, Solo};

use crate::events::{self, Memory};
use crate::exchanges;
use crate::handle::{child_dict, dict};
use crate::limits;
use crate::names::Names;
use crate::orders::Reader;
use crate::park;
use crate::plane;
use crate::profile::Plane;
use crate::read::{path, wrong};

/// One shard without sockets, threads, clock or entropy.
#[pyclass(frozen, module = "mobike._core")]
pub(crate) struct SimCore {
    solo: Mutex<Solo>,
    names: Names,
    memory: Memory,
    plane: Plane,
    natt_port: u16,
}

#[pymethods]
impl SimCore {
    #[new]
    #[pyo3(signature = (
        *, seed, ike_port = 500, natt_port = 4500, plane = "userspace", always_encap = true, cookie_threshold = 1_000,
        max_half_open = 50_000, prefix_limits = None, puzzle_limits = None, hardest_solved = 20, half_open_lifetime = 30_000_000_000, max_sas = 1 << 20,
        store_key = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        seed: &[u8],
        ike_port: u16,
        natt_port: u16,
        plane: &str,
        always_encap: bool,
        cookie_threshold: u32,
        max_half_open: u32,
        prefix_limits: Option<HashMap<String, u32>>,
        puzzle_limits: Option<HashMap<String, u32>>,
        hardest_solved: u8,
        half_open_lifetime: u64,
        max_sas: u32,
        store_key: Option<&[u8]>,
    ) -> PyResult<SimCore> {
        let plane = plane::named(plane, PlaneConfig::Imitated)?;
        let userspace = plane != PlaneConfig::Null;
        let config = CoreConfig {
            ike_port,
            natt_port,
            plane,
            always_encap: always_encap && userspace,
            half_open: HalfOpenLimits {
                cookie_threshold,
                max: max_half_open,
                prefixes: limits::prefixes(prefix_limits)?,
                puzzles: limits::puzzles(puzzle_limits)?,
                lifetime: Duration::from_nanos(half_open_lifetime),
            },
            max_sas,
            hardest_solved,
            store_key: store_key.map(SecretBytes::from_slice),
            ..CoreConfig::default()
        };
        let seed = seed.try_into().map_err(|_| wrong("seed", "not 32 bytes"))?;
        Ok(SimCore {
            solo: Mutex::new(Solo::new(&config, seed)),
            names: Names::default(),
            memory: Memory::default(),
            plane: Plane { userspace, always_encap: config.always_encap },
            natt_port,
        })
    }

    /// Give orders, all or none: ValueError or TypeError names the one that makes no sense, and then nothing is done.
    #[pyo3(signature = (orders, now, /))]
    fn submit(&self, py: Python<'_>, orders: &Bound<'_, PyAny>, now: u64) -> PyResult<()> {
        let reader = Reader { names: &self.names, plane: self.plane, natt_port: self.natt_port };
        let orders = orders.try_iter()?.map(|order| reader.order(&order?)).collect::<PyResult<Vec<Order>>>()?;
        py.detach(|| self.solo().submit(Nanos(now), orders));
        Ok(())
    }

    /// A datagram came in over this path.
    #[pyo3(signature = (now, over, data, /))]
    fn handle_datagram(&self, py: Python<'_>, now: u64, over: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<()> {
        let over = path(over)?;
        let mut bytes = data.to_vec();
        py.detach(|| self.solo().handle_datagram(Nanos(now), over, &mut bytes));
        Ok(())
    }

    /// Somebody says that a datagram of ours over this path cannot be delivered, and quotes its beginning (ICMP).
    #[pyo3(signature = (now, over, quoted, /))]
    fn handle_unreachable(&self, py: Python<'_>, now: u64, over: &Bound<'_, PyAny>, quoted: &[u8]) -> PyResult<()> {
        let over = path(over)?;
        py.detach(|| self.solo().handle_unreachable(Nanos(now), over, quoted));
        Ok(())
    }

    /// `poll_timeout` has passed.
    #[pyo3(signature = (now, /))]
    fn handle_timeout(&self, py: Python<'_>, now: u64) {
        py.detach(|| self.solo().handle_timeout(Nanos(now)));
    }

    /// When `handle_timeout` wants to be called; None if nothing waits.
    fn poll_timeout(&self) -> Option<u64> {
        self.solo().poll_timeout().map(|at| at.0)
    }

    /// Of the events that were taken last: those that came of an exchange, whether we asked, and its message id.
    fn told_by(&self, py: Python<'_>) -> Vec<(Py<PyAny>, bool, u32)> {
        self.memory.told_by(py)
    }

    /// At most `limit` events, oldest first.
    #[pyo3(signature = (limit, /))]
    fn take_events<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let events = self.solo().take_told(limit);
        events::to_python(py, events, &self.names, &self.memory)
    }

    /// Do events wait?
    fn has_events(&self) -> bool {
        self.solo().has_events()
    }

    /// All datagrams that want to leave, oldest first: path, octets, and what they carry.
    fn take_transmits<'py>(&self, py: Python<'py>) -> PyResult<Vec<Transmit<'py>>> {
        let transmits = self.solo().take_transmits();
        if transmits.is_empty() {
            return Ok(Vec::new());
        }
        events::write(py, &self.names, &self.memory, |writer| {
            let one = |out: mobike_io::Outgoing| {
                Ok((writer.path(out.path)?, PyBytes::new(py, &out.bytes), word(out.carries)))
            };
            transmits.into_iter().map(one).collect()
        })
    }

    /// All that wants to leave in streams (RFC 9329), oldest first: path, octets without their length, what they carry,
    /// the place of the IKE SA whose stream it is, and whether it went this way before.
    fn take_in_streams<'py>(&self, py: Python<'py>) -> PyResult<Vec<InStream<'py>>> {
        let all: Vec<_> = self.solo().take_in_streams().collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        events::write(py, &self.names, &self.memory, |writer| {
            let one = |out: mobike_io::InStream| {
                let bytes = PyBytes::new(py, &out.bytes);
                Ok((writer.path(out.path)?, bytes, word(out.carries), out.place, out.again))
            };
            all.into_iter().map(one).collect()
        })
    }

    /// A message came in over a stream on this path. The place of the IKE SA that is on it now; None if none is.
    #[pyo3(signature = (now, over, data, /))]
    fn handle_message(&self, py: Python<'_>, now: u64, over: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<Option<u32>> {
        let over = path(over)?;
        let mut bytes = data.to_vec();
        Ok(py.detach(|| self.solo().handle_message(Nanos(now), over, &mut bytes)))
    }

    /// A stream for the IKE SA in this place is open.
    #[pyo3(signature = (now, place, over, /))]
    fn stream_opened(&self, py: Python<'_>, now: u64, place: u32, over: &Bound<'_, PyAny>) -> PyResult<()> {
        let over = path(over)?;
        py.detach(|| self.solo().handle_stream_opened(Nanos(now), place, over));
        Ok(())
    }

    /// A stream that was opened for the IKE SA in this place ended.
    #[pyo3(signature = (now, place, over, /))]
    fn stream_lost(&self, py: Python<'_>, now: u64, place: u32, over: &Bound<'_, PyAny>) -> PyResult<()> {
        let over = path(over)?;
        py.detach(|| self.solo().handle_stream_lost(Nanos(now), place, over));
        Ok(())
    }

    /// What the IKE SA in this place does with a stream on this path: gone, left, half-open or in-use.
    #[pyo3(signature = (place, over, /))]
    fn stream_use(&self, place: u32, over: &Bound<'_, PyAny>) -> PyResult<&'static str> {
        let over = path(over)?;
        Ok(match self.solo().stream_use(place, over) {
            StreamUse::Gone => "gone",
            StreamUse::Left => "left",
            StreamUse::HalfOpen => "half-open",
            StreamUse::InUse => "in-use",
        })
    }

    /// May a stream be opened for the IKE SA in this place? Its initiator may.
    #[pyo3(signature = (place, /))]
    fn may_open_stream(&self, place: u32) -> bool {
        self.solo().may_open_stream(place)
    }

    /// Plain packets into the tunnels; how many found a way.
    #[pyo3(signature = (now, packets, /))]
    fn inner_send(&self, now: u64, packets: Vec<Bound<'_, PyBytes>>) -> usize {
        let mut solo = self.solo();
        packets.iter().filter(|packet| solo.inner_send(Nanos(now), packet.as_bytes())).count()
    }

    /// At most `limit` plain packets out of the tunnels.
    #[pyo3(signature = (limit, /))]
    fn inner_take<'py>(&self, py: Python<'py>, limit: usize) -> Vec<Bound<'py, PyBytes>> {
        self.solo().inner_take(limit).map(|packet| PyBytes::new(py, &packet)).collect()
    }

    /// IKE SAs that changed since they were last told; at most `limit`.
    #[pyo3(signature = (limit, /))]
    fn changed(&self, limit: usize) -> Vec<u64> {
        self.solo().changed(limit).into_iter().map(|sa| sa.0).collect()
    }

    /// These IKE SAs with their notes, sealed. `in_order`: this core ends now, and they go on in another.
    #[pyo3(signature = (asked, /, *, in_order))]
    fn records<'py>(
        &self,
        py: Python<'py>,
        asked: Vec<(u64, Bound<'py, PyBytes>)>,
        in_order: bool,
    ) -> Vec<(u64, Bound<'py, PyBytes>)> {
        let records = self.solo().records(&park::notes(asked), in_order);
        park::to_python(py, records)
    }

    /// Take IKE SAs back, each with whether it is stale: their ids, and why one was not taken back. Once in their lives.
    #[pyo3(signature = (now, records, /))]
    fn resume(&self, now: u64, records: Vec<(Bound<'_, PyBytes>, bool)>) -> Vec<(u64, Option<String>)> {
        park::verdicts(self.solo().resume(Nanos(now), &park::records(records)))
    }

    /// Where the data plane sends the Child SAs of this IKE SA; None if it has none.
    #[pyo3(signature = (sa, /))]
    fn plane_path<'py>(&self, py: Python<'py>, sa: u64) -> PyResult<Option<Bound<'py, PyAny>>> {
        let path = self.solo().plane_path(SaId(sa));
        path.map(|path| events::write(py, &self.names, &self.memory, |writer| writer.path(path))).transpose()
    }

    /// The last exchanges of an IKE SA; None: it is not there.
    #[pyo3(signature = (sa, /))]
    fn exchanges<'py>(&self, py: Python<'py>, sa: u64) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let all = self.solo().exchanges(SaId(sa));
        all.map(|all| exchanges::object(py, all)).transpose()
    }

    /// Everything counted so far, by name.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = self.solo().counters();
        dict(py, counters)
    }

    /// What a Child SA has carried; None if there is none, or no userspace plane.
    #[pyo3(signature = (child, /))]
    fn child_counters<'py>(&self, py: Python<'py>, child: u64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let counters = self.solo().child_counters(ChildId(child));
        counters.map(|counters| child_dict(py, counters)).transpose()
    }
}

type Transmit<'py> = (Bound<'py, PyAny>, Bound<'py, PyBytes>, &'static str);
type InStream<'py> = (Bound<'py, PyAny>, Bound<'py, PyBytes>, &'static str, u32, bool);

impl SimCore {
    fn solo(&self) -> MutexGuard<'_, Solo> {
        self.solo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn word(carries: Carries) -> &'static str {
    match carries {
        Carries::Ike => "ike",
        Carries::Esp => "esp",
        Carries::Keepalive => "keepalive",
    }
}
