//! The class `Core`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use mobike_ike::crypto::SecretBytes;
use mobike_ike::{ChildId, HalfOpenLimits, SaId};
use mobike_io::{ChildCounters, CoreConfig, InnerConfig, Order, PlaneConfig, StartError};

use crate::events::{self, Memory};
use crate::exchanges;
use crate::limits;
use crate::names::Names;
use crate::orders::Reader;
use crate::park;
use crate::plane;
use crate::profile::Plane;
use crate::read::wrong;
use crate::tape;

/// The shards: sockets, engines and userspace ESP in threads of their own.
#[pyclass(frozen, module = "mobike._core")]
pub(crate) struct Core {
    core: mobike_io::Core,
    names: Names,
    memory: Memory,
    plane: Plane,
    natt_port: u16,
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (
        *, listen, ike_port = 500, natt_port = 4500, tcp = false, shards = 1, inner = "none", tun_name = "mobike%d", tun_mtu = 1400,
        plane = "userspace", always_encap = true, cookie_threshold = 1_000, max_half_open = 50_000, prefix_limits = None, puzzle_limits = None, hardest_solved = 20,
        half_open_lifetime = 30_000_000_000, max_sas = 1 << 20, pin_cpus = None, seed = None, store_key = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        py: Python<'_>,
        listen: Vec<String>,
        ike_port: u16,
        natt_port: u16,
        tcp: bool,
        shards: u8,
        inner: &str,
        tun_name: &str,
        tun_mtu: u32,
        plane: &str,
        always_encap: bool,
        cookie_threshold: u32,
        max_half_open: u32,
        prefix_limits: Option<HashMap<String, u32>>,
        puzzle_limits: Option<HashMap<String, u32>>,
        hardest_solved: u8,
        half_open_lifetime: u64,
        max_sas: u32,
        pin_cpus: Option<Vec<usize>>,
        seed: Option<&[u8]>,
        store_key: Option<&[u8]>,
    ) -> PyResult<Core> {
        let plane = plane::named(plane, PlaneConfig::Kernel)?;
        let inner = match inner {
            "none" => InnerConfig::None,
            "port" => InnerConfig::Port,
            "tun" => InnerConfig::Tun { name: tun_name.to_owned(), mtu: tun_mtu },
            _ => return Err(wrong("inner", format_args!("{inner:?} is none of none, port, tun"))),
        };
        let userspace = plane == PlaneConfig::Userspace;
        let always_encap = always_encap && plane != PlaneConfig::Null;
        let config = CoreConfig {
            listen: listen.iter().map(|text| address(text)).collect::<PyResult<_>>()?,
            ike_port,
            natt_port,
            tcp,
            shards,
            inner,
            plane,
            always_encap,
            half_open: HalfOpenLimits {
                cookie_threshold,
                max: max_half_open,
                prefixes: limits::prefixes(prefix_limits)?,
                puzzles: limits::puzzles(puzzle_limits)?,
                lifetime: Duration::from_nanos(half_open_lifetime),
            },
            max_sas,
            hardest_solved,
            pin_cpus,
            seed: seed.map(|seed| seed.try_into().map_err(|_| wrong("seed", "not 32 bytes"))).transpose()?,
            store_key: store_key.map(SecretBytes::from_slice),
        };
        let core = py.detach(|| mobike_io::Core::start(&config)).map_err(start_error)?;
        let plane = Plane { userspace, always_encap };
        Ok(Core { core, names: Names::default(), memory: Memory::default(), plane, natt_port })
    }

    /// Give orders, all or none: ValueError or TypeError names the one that makes no sense, and then nothing is done.
    #[pyo3(signature = (orders, /))]
    fn submit(&self, py: Python<'_>, orders: &Bound<'_, PyAny>) -> PyResult<()> {
        let reader = Reader { names: &self.names, plane: self.plane, natt_port: self.natt_port };
        let orders = orders.try_iter()?.map(|order| reader.order(&order?)).collect::<PyResult<Vec<Order>>>()?;
        py.detach(|| self.core.submit(orders));
        Ok(())
    }

    /// Of the events that were taken last: those that came of an exchange, whether we asked, and its message id.
    fn told_by(&self, py: Python<'_>) -> Vec<(Py<PyAny>, bool, u32)> {
        self.memory.told_by(py)
    }

    /// At most `limit` events, oldest first; at once.
    #[pyo3(signature = (limit, /))]
    fn take_events<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let events = self.core.take_told(limit);
        events::to_python(py, events, &self.names, &self.memory)
    }

    /// Readable while events wait.
    fn event_fd(&self) -> RawFd {
        self.core.event_fd()
    }

    /// Plain packets into the tunnels; how many were taken. The rest is dropped and counted.
    #[pyo3(signature = (packets, /))]
    fn inner_send(&self, packets: Vec<Bound<'_, PyBytes>>) -> usize {
        self.core.inner_send(packets.iter().map(|packet| packet.as_bytes()))
    }

    /// At most `limit` plain packets out of the tunnels; at once.
    #[pyo3(signature = (limit, /))]
    fn inner_take<'py>(&self, py: Python<'py>, limit: usize) -> Vec<Bound<'py, PyBytes>> {
        self.core.inner_take(limit).iter().map(|packet| PyBytes::new(py, packet)).collect()
    }

    /// Readable while plain packets wait; None unless `inner` is "port".
    fn inner_fd(&self) -> Option<RawFd> {
        self.core.inner_fd()
    }

    /// What the kernel called the TUN device; None unless `inner` is "tun".
    fn tun_name(&self) -> Option<&str> {
        self.core.tun_name()
    }

    /// Everything counted so far, by name.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, py.detach(|| self.core.counters()))
    }

    /// What a Child SA has carried; None if there is none, or no userspace plane.
    #[pyo3(signature = (child, /))]
    fn child_counters<'py>(&self, py: Python<'py>, child: u64) -> PyResult<Option<Bound<'py, PyDict>>> {
        py.detach(|| self.core.child_counters(ChildId(child))).map(|counters| child_dict(py, counters)).transpose()
    }

    /// Take down what this IKE SA sends and receives, with room for so many octets between two looks; None: no more.
    #[pyo3(signature = (sa, room, /))]
    fn tape(&self, sa: u64, room: Option<usize>) {
        self.core.tape(SaId(sa), room);
    }

    /// What was taken down since the last look, and the keys of now; None: it is not taken down. Waits for its shard.
    #[pyo3(signature = (sa, /))]
    fn taped<'py>(&self, py: Python<'py>, sa: u64) -> PyResult<Option<Bound<'py, PyAny>>> {
        py.detach(|| self.core.taped(SaId(sa)))
            .map(|taped| tape::object(py, taped, &self.names, &self.memory))
            .transpose()
    }

    /// The last exchanges of an IKE SA; None: it is not there. Waits for its shard.
    #[pyo3(signature = (sa, /))]
    fn exchanges<'py>(&self, py: Python<'py>, sa: u64) -> PyResult<Option<Bound<'py, PyTuple>>> {
        py.detach(|| self.core.exchanges(SaId(sa))).map(|all| exchanges::object(py, all)).transpose()
    }

    /// Pull the cable of a local address (`up=False`), or plug it in again.
    #[pyo3(signature = (ip, up))]
    fn plug(&self, ip: IpAddr, up: bool) {
        self.core.plug(ip, up);
    }

    /// Whose records these are; ValueError if one of them can never be taken back by this core. Nothing is done.
    #[pyo3(signature = (records, /))]
    fn examine(&self, records: Vec<Bound<'_, PyBytes>>) -> PyResult<Vec<u64>> {
        park::examined(self.core.examine(records.iter().map(|record| record.as_bytes())))
    }

    /// Take IKE SAs back, each with whether it is stale: their ids, and why one was not taken back. Once in their lives.
    #[pyo3(signature = (records, /))]
    fn resume(&self, py: Python<'_>, records: Vec<(Bound<'_, PyBytes>, bool)>) -> Vec<(u64, Option<String>)> {
        let records = park::records(records);
        py.detach(|| park::verdicts(self.core.resume(records)))
    }

    /// IKE SAs that changed since they were last told; about `limit` at most. Waits for the shards.
    #[pyo3(signature = (limit, /))]
    fn changed(&self, py: Python<'_>, limit: usize) -> Vec<u64> {
        py.detach(|| self.core.changed(limit)).into_iter().map(|sa| sa.0).collect()
    }

    /// These IKE SAs with their notes, sealed; they go on. Waits for the shards.
    #[pyo3(signature = (asked, /))]
    fn records<'py>(&self, py: Python<'py>, asked: Vec<(u64, Bound<'py, PyBytes>)>) -> Vec<(u64, Bound<'py, PyBytes>)> {
        let asked = park::notes(asked);
        let records = py.detach(|| self.core.records(asked));
        park::to_python(py, records)
    }

    /// Stop, and all IKE SAs with their notes, sealed. Their peers hear nothing.
    #[pyo3(signature = (notes, /))]
    fn park<'py>(&self, py: Python<'py>, notes: Vec<(u64, Bound<'py, PyBytes>)>) -> Vec<(u64, Bound<'py, PyBytes>)> {
        let notes = park::notes(notes).into_iter().collect();
        let records = py.detach(|| self.core.park(notes));
        park::to_python(py, records)
    }

    /// Stop the threads and wait for them; the second time nothing happens.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.core.stop());
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.core)
    }
}

fn address(text: &str) -> PyResult<IpAddr> {
    text.parse().map_err(|_| wrong("listen", format_args!("{text:?} is no address")))
}

/// OSError where the system refused, with its number; ValueError where the settings make no sense.
fn start_error(error: StartError) -> PyErr {
    let text = error.to_string();
    match error {
        StartError::Config(_) => PyValueError::new_err(text),
        StartError::Listen(_, system)
        | StartError::Tun(_, system)
        | StartError::Pin(_, system)
        | StartError::Kernel(_, system)
        | StartError::System(system) => match system.raw_os_error() {
            Some(number) => PyOSError::new_err((number, text)),
            None => PyValueError::new_err(text),
        },
    }
}

pub(crate) fn child_dict<'py>(py: Python<'py>, counters: ChildCounters) -> PyResult<Bound<'py, PyDict>> {
    let named = [
        ("packets_in", counters.packets_in),
        ("bytes_in", counters.bytes_in),
        ("packets_out", counters.packets_out),
        ("bytes_out", counters.bytes_out),
        ("replay_drops", counters.replay_drops),
        ("icv_failures", counters.icv_failures),
        ("selector_drops", counters.selector_drops),
        ("malformed", counters.malformed),
        ("dummies", counters.dummies),
        ("elsewhere", counters.elsewhere),
        ("top_in", counters.top_in),
        ("last_sequence_out", counters.last_sequence_out),
    ];
    dict(py, named)
}

/// In the order given, which is the order of the lists in Rust.
pub(crate) fn dict<'py>(
    py: Python<'py>,
    named: impl IntoIterator<Item = (impl AsRef<str>, u64)>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in named {
        dict.set_item(name.as_ref(), value)?;
    }
    Ok(dict)
}
