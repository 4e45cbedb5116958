//! What was taken down of an IKE SA, as `mobike.tape` says it.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use mobike_io::Taped;

use crate::classes::Tapes;
use crate::events::{self, Memory};
use crate::names::Names;

pub(crate) fn object<'py>(
    py: Python<'py>,
    taped: Taped,
    names: &Names,
    memory: &Memory,
) -> PyResult<Bound<'py, PyAny>> {
    let Taped { frames, missed, now, ike_keys, esp_keys } = taped;
    let classes = Tapes::get(py)?;
    let frames = events::write(py, names, memory, |writer| {
        let frame = |frame: mobike_io::Frame| {
            let args = (frame.at.0, writer.path(frame.path)?, frame.sent, PyBytes::new(py, &frame.bytes));
            classes.frame.bind(py).call1(args)
        };
        frames.into_iter().map(frame).collect::<PyResult<Vec<_>>>()
    })?;
    let args = (PyTuple::new(py, frames)?, missed, now.0, PyTuple::new(py, ike_keys)?, PyTuple::new(py, esp_keys)?);
    classes.taped.bind(py).call1(args)
}
