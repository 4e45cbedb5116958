//! The class `SealedKeys`: keys that Python puts into a buffer for the kernel and never looks at.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use mobike_io::PairKeys;

/// Keys of one Child SA in both directions. They wipe themselves when the last reference goes.
#[pyclass(frozen, module = "mobike._core")]
pub(crate) struct SealedKeys(Mutex<Option<PairKeys>>);

impl SealedKeys {
    pub(crate) fn new(keys: PairKeys) -> SealedKeys {
        SealedKeys(Mutex::new(Some(keys)))
    }

    fn inside(&self) -> MutexGuard<'_, Option<PairKeys>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl SealedKeys {
    /// Octets of a direction: of encryption with the salt behind it, and of integrity.
    fn lengths(&self) -> PyResult<(usize, usize)> {
        let inside = self.inside();
        let keys = inside.as_ref().ok_or_else(wiped)?;
        Ok((keys.inbound.encr().len(), keys.inbound.integ().map_or(0, <[u8]>::len)))
    }

    /// Put the keys of a direction into `buffer`, at these offsets.
    #[pyo3(signature = (buffer, /, *, inbound, encryption_at, integrity_at = None))]
    fn write(
        &self,
        buffer: &Bound<'_, PyByteArray>,
        inbound: bool,
        encryption_at: usize,
        integrity_at: Option<usize>,
    ) -> PyResult<()> {
        let inside = self.inside();
        let keys = inside.as_ref().ok_or_else(wiped)?;
        let keys = if inbound { &keys.inbound } else { &keys.outbound };
        let places = match (integrity_at, keys.integ()) {
            (Some(at), Some(integ)) => [Some((encryption_at, keys.encr())), Some((at, integ))],
            (None, None) => [Some((encryption_at, keys.encr())), None],
            (Some(_), None) => return Err(PyValueError::new_err("the cipher has no integrity key of its own")),
            (None, Some(_)) => return Err(PyValueError::new_err("an integrity key, and no place for it")),
        };
        // SAFETY: we hold the interpreter's lock and run no Python until the slice is gone, so nobody resizes the buffer.
        let octets = unsafe { buffer.as_bytes_mut() };
        let fits = |(at, key): &(usize, &[u8])| at.checked_add(key.len()).is_some_and(|end| end <= octets.len());
        if !places.iter().flatten().all(fits) {
            return Err(PyValueError::new_err("the buffer is too short"));
        }
        for (at, key) in places.into_iter().flatten() {
            octets[at..at + key.len()].copy_from_slice(key);
        }
        Ok(())
    }

    /// Forget them now.
    fn wipe(&self) {
        *self.inside() = None;
    }
}

fn wiped() -> PyErr {
    PyValueError::new_err("the keys are wiped")
}
