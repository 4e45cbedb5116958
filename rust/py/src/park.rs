//! Sealed IKE SAs and the control plane's notes about them, to and from Python.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use mobike_ike::SaId;
use mobike_io::{Record, Unusable, Verdict};

/// What the control plane writes down with an SA.
pub(crate) type Notes = Vec<(SaId, Box<[u8]>)>;

pub(crate) fn examined(found: Result<Vec<SaId>, Unusable>) -> PyResult<Vec<u64>> {
    let all = found.map_err(|why| PyValueError::new_err(why.to_string()))?;
    Ok(all.into_iter().map(|sa| sa.0).collect())
}

pub(crate) fn records(from: Vec<(Bound<'_, PyBytes>, bool)>) -> Vec<(Record, bool)> {
    from.into_iter().map(|(record, stale)| (record.as_bytes().to_vec(), stale)).collect()
}

pub(crate) fn verdicts(from: Vec<Verdict>) -> Vec<(u64, Option<String>)> {
    from.into_iter().map(|(sa, why)| (sa.0, why)).collect()
}

pub(crate) fn notes(from: Vec<(u64, Bound<'_, PyBytes>)>) -> Notes {
    from.into_iter().map(|(sa, notes)| (SaId(sa), notes.as_bytes().into())).collect()
}

pub(crate) fn to_python(py: Python<'_>, records: Vec<(SaId, Record)>) -> Vec<(u64, Bound<'_, PyBytes>)> {
    records.into_iter().map(|(sa, record)| (sa.0, PyBytes::new(py, &record))).collect()
}
