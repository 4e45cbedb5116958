//! Attributes of Python objects, with errors that say which one is wrong.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use mobike_ike::{Gateway, Path};

/// A ValueError that names the field.
pub(crate) fn wrong(field: &str, why: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("{field}: {why}"))
}

/// One attribute, as what it must be.
pub(crate) fn field<'py, T>(object: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> PyResult<T>
where
    T: FromPyObjectOwned<'py>,
{
    let value = object.getattr(name)?;
    value.extract().map_err(|error| {
        let error: PyErr = Into::<PyErr>::into(error);
        wrong(&name.to_string(), error.value(object.py()))
    })
}

/// Nanoseconds.
pub(crate) fn span<'py>(object: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> PyResult<Duration> {
    field(object, name).map(Duration::from_nanos)
}

pub(crate) fn path(object: &Bound<'_, PyAny>) -> PyResult<Path> {
    let py = object.py();
    let endpoint = |name| -> PyResult<SocketAddr> {
        let endpoint = object.getattr(name)?;
        let ip: IpAddr = field(&endpoint, pyo3::intern!(py, "ip"))?;
        Ok(SocketAddr::new(ip, field(&endpoint, pyo3::intern!(py, "port"))?))
    };
    let (local, remote) = (endpoint(pyo3::intern!(py, "local"))?, endpoint(pyo3::intern!(py, "remote"))?);
    if local.is_ipv4() != remote.is_ipv4() {
        return Err(wrong("path", format_args!("{local} and {remote} are of different families")));
    }
    let transport: String = field(object, pyo3::intern!(py, "transport"))?;
    match transport.as_str() {
        "udp" => Ok(Path::udp(local, remote)),
        "tcp" => Ok(Path::tcp(local, remote)),
        other => Err(wrong("transport", format_args!("{other:?} is neither udp nor tcp"))),
    }
}

pub(crate) fn path_field<'py>(object: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> PyResult<Path> {
    path(&object.getattr(name)?)
}

/// `None`, or what `read` makes of it.
pub(crate) fn optional<'py, T>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    read: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Option<T>> {
    let value = object.getattr(name)?;
    if value.is_none() { Ok(None) } else { read(&value).map(Some) }
}

pub(crate) fn addresses(object: &Bound<'_, PyAny>) -> PyResult<Arc<[IpAddr]>> {
    let all: Vec<IpAddr> = object.extract().map_err(|error| wrong("addresses", error))?;
    Ok(all.into())
}

/// Gateways to go on to, by address or name.
pub(crate) fn gateways<'py>(object: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> PyResult<Arc<[Gateway]>> {
    let read = |item: &Bound<'_, PyAny>| {
        let text: String = item.extract().map_err(|error: PyErr| error.to_string())?;
        text.parse().map_err(str::to_owned)
    };
    each(object, name, read).map(Arc::from)
}

/// Each element of a tuple, its place part of the field's name in errors.
pub(crate) fn each<'py, T>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    read: impl Fn(&Bound<'py, PyAny>) -> Result<T, String>,
) -> PyResult<Vec<T>> {
    let all = object.getattr(name)?;
    let place = |index| format!("{name}[{index}]");
    all.try_iter()?.enumerate().map(|(index, item)| read(&item?).map_err(|why| wrong(&place(index), why))).collect()
}
