//! What goes with inner addresses: from a `Profile` of Python, and to an event.

use std::net::IpAddr;
use std::str::FromStr;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use mobike_ike::handout::{Handout, MOST_ANCHORS, MOST_DOMAINS, MOST_NETWORKS, MOST_RESOLVERS, Wanted};

use crate::classes::Handouts;
use crate::read::{each, wrong};

/// What a responder gives.
pub(crate) fn given(from: &Bound<'_, PyAny>) -> PyResult<Handout> {
    let py = from.py();
    let from = from.getattr(intern!(py, "handout"))?;
    let address = |item: &Bound<'_, PyAny>| item.extract::<IpAddr>().map_err(|error| error.value(py).to_string());
    Ok(Handout {
        dns: limited(each(&from, intern!(py, "dns"), address)?, "dns", MOST_RESOLVERS)?,
        networks: limited(each(&from, intern!(py, "networks"), parsed)?, "networks", MOST_NETWORKS)?,
        domains: limited(each(&from, intern!(py, "domains"), parsed)?, "domains", MOST_DOMAINS)?,
        anchors: limited(each(&from, intern!(py, "anchors"), parsed)?, "anchors", MOST_ANCHORS)?,
    })
}

/// What an initiator asks for.
pub(crate) fn wanted(from: &Bound<'_, PyAny>) -> PyResult<Wanted> {
    let py = from.py();
    let anchors_for = limited(each(from, intern!(py, "anchors_for"), parsed)?, "anchors_for", MOST_DOMAINS)?;
    let mut wanted = Wanted { anchors_for, ..Wanted::default() };
    for name in each(from, intern!(py, "ask"), |item| text(item))? {
        match name.as_str() {
            "dns" => wanted.dns = true,
            "networks" => wanted.networks = true,
            "domains" => wanted.domains = true,
            _ => return Err(wrong("ask", format_args!("{name:?} is none of dns, networks, domains"))),
        }
    }
    Ok(wanted)
}

/// `mobike.handout.Handout`.
pub(crate) fn object<'py>(py: Python<'py>, handout: Option<&Handout>) -> PyResult<Bound<'py, PyAny>> {
    let classes = Handouts::get(py)?;
    let Some(Handout { dns, networks, domains, anchors }) = handout else {
        return classes.handout.bind(py).call0();
    };
    let args = (PyTuple::new(py, dns)?, texts(py, networks)?, texts(py, domains)?, texts(py, anchors)?);
    classes.handout.bind(py).call1(args)
}

fn texts<'py>(py: Python<'py>, all: &[impl ToString]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, all.iter().map(ToString::to_string))
}

fn limited<T>(all: Vec<T>, name: &str, most: usize) -> PyResult<Vec<T>> {
    if all.len() > most { Err(wrong(name, format_args!("at most {most}"))) } else { Ok(all) }
}

fn parsed<T: FromStr<Err = String>>(item: &Bound<'_, PyAny>) -> Result<T, String> {
    text(item)?.parse()
}

fn text(item: &Bound<'_, PyAny>) -> Result<String, String> {
    item.cast::<PyString>().map(ToString::to_string).map_err(|_| "not a string".into())
}
