//! The last exchanges of an IKE SA, as `mobike.exchange` says it.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use mobike_ike::Exchange;

use crate::classes::Exchanges;

pub(crate) fn object(py: Python<'_>, all: Vec<Exchange>) -> PyResult<Bound<'_, PyTuple>> {
    let class = Exchanges::get(py)?.exchange.bind(py);
    let each = |exchange: Exchange| {
        let Exchange { since, at, id, ours, topic, times, sent, many_paths, answered, took, error } = exchange;
        let kind = topic.exchange().map(|kind| kind.to_string());
        let took = took.map(|took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let error = error.map(|error| error.to_string());
        let whose = (ours, kind, topic.word(), id);
        class.call1((since.0, at.0, whose.0, whose.1, whose.2, whose.3, times, sent, many_paths, answered, took, error))
    };
    PyTuple::new(py, all.into_iter().map(each).collect::<PyResult<Vec<_>>>()?)
}
