//! Data planes: which one there is, and what one outside of the core is told.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use mobike_ike::{ChildMode, Sends};
use mobike_io::{ChildUp, InstallChild, PlaneConfig};

use crate::classes::Operations;
use crate::events::Writer;
use crate::keys::SealedKeys;
use crate::read::wrong;

/// The plane of a core, by name; `imitated` stands for a kernel where there is none.
pub(crate) fn named(name: &str, kernel: PlaneConfig) -> PyResult<PlaneConfig> {
    match name {
        "userspace" => Ok(PlaneConfig::Userspace),
        "kernel" => Ok(kernel),
        "null" => Ok(PlaneConfig::Null),
        _ => Err(wrong("plane", format_args!("{name:?} is none of userspace, kernel, null"))),
    }
}

/// As `mobike.dataplane.operations` has it.
pub(crate) fn install_child<'py>(writer: &mut Writer<'py, '_>, order: InstallChild) -> PyResult<Bound<'py, PyAny>> {
    let (py, classes) = (writer.py, Operations::get(writer.py)?);
    let InstallChild { up, part, path, sends, volumes, keys } = order;
    let (sends, instead_of) = match sends {
        Sends::AtOnce => ("at-once", None),
        Sends::WhenUsed { instead_of } => ("when-used", Some(instead_of.0)),
        Sends::Never { instead_of } => ("never", Some(instead_of.0)),
    };
    let ChildUp { sa, child, name, spi_in, spi_out, suite, local_ts, remote_ts, encap, mode } = up;
    let volumes = (volumes.soft.bytes, volumes.soft.packets, volumes.hard.bytes, volumes.hard.packets);
    let fields: [Bound<'py, PyAny>; 16] = [
        sa.0.into_pyobject(py)?.into_any(),
        child.0.into_pyobject(py)?.into_any(),
        writer.text(&name).into_any(),
        writer.role(part),
        spi_in.into_pyobject(py)?.into_any(),
        spi_out.into_pyobject(py)?.into_any(),
        writer.text(&suite.to_string()).into_any(),
        writer.selectors(&local_ts)?.into_any(),
        writer.selectors(&remote_ts)?.into_any(),
        writer.path(path)?,
        encap.into_pyobject(py)?.to_owned().into_any(),
        classes.sends.bind(py).call1((sends,))?,
        instead_of.into_pyobject(py)?,
        classes.volumes.bind(py).call1(volumes)?,
        keys.map(|keys| Bound::new(py, SealedKeys::new(keys))).transpose()?.into_pyobject(py)?,
        (mode == ChildMode::Transport).into_pyobject(py)?.to_owned().into_any(),
    ];
    classes.install_child.bind(py).call1(PyTuple::new(py, fields)?)
}
