//! Connection names and the numbers that the engine knows them by.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pyo3::types::PyString;
use pyo3::{Py, Python};

use mobike_ike::ProfileId;

/// A name keeps its number for good: an SA may outlive its profile, and its events still name the connection.
#[derive(Default)]
pub(crate) struct Names(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_name: HashMap<String, ProfileId>,
    /// Python's strings, so that an event costs a reference and no new string.
    by_id: Vec<Py<PyString>>,
}

impl Names {
    /// The number of this name; a new one if it was never heard. A connection that the engine does not know is for the
    /// engine to refuse.
    pub(crate) fn id(&self, py: Python<'_>, name: &str) -> ProfileId {
        let string = PyString::new(py, name).unbind();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = table.by_name.get(name) {
            return *id;
        }
        let id = ProfileId(table.by_id.len() as u32);
        table.by_name.insert(name.to_owned(), id);
        table.by_id.push(string);
        id
    }

    /// The name of a number that came from here.
    pub(crate) fn name(&self, py: Python<'_>, id: ProfileId) -> Option<Py<PyString>> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.by_id.get(id.0 as usize).map(|name| name.clone_ref(py))
    }
}
