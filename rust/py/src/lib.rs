//! `mobike._core`: a thin translation between the Rust shards and Python. It decides nothing.
//!
//! ```text
//! handle       class Core                    classes     the Python classes it speaks in, looked up once
//! sim          class SimCore: one shard, to which the caller brings datagrams, time and chance
//! park        sealed IKE SAs, in and out
//! orders       commands and operations in    profile     standing orders in, identity: names of peers
//! handout      what goes with inner addresses, both ways
//! exchanges    the last exchanges of an IKE SA, out
//! events       events out                    names       connection names and the engine's numbers for them
//! plane        which data plane; orders to one outside of the core          keys        class SealedKeys
//! ```
//!
//! Rust locks are held for a push or a swap and never while Python code runs. Keys come in with a profile, and
//! those of Child SAs go out sealed: Python can put them into a buffer for the kernel, and into nothing else.

mod classes;
mod events;
mod exchanges;
mod handle;
mod handout;
mod identity;
mod keys;
mod limits;
mod names;
mod orders;
mod park;
mod plane;
mod profile;
mod read;
mod sim;
mod tape;

/// The module.
#[pyo3::pymodule]
mod _core {
    use pyo3::exceptions::PyValueError;
    use pyo3::{PyResult, pyfunction};

    use mobike_ike::crypto::{EspSuite, IkeSuite};

    use crate::identity;

    #[pymodule_export]
    use crate::handle::Core;

    #[pymodule_export]
    use crate::keys::SealedKeys;

    #[pymodule_export]
    use crate::sim::SimCore;

    /// The proposal as it is written in full; ValueError names the part that is wrong.
    #[pyfunction]
    #[pyo3(signature = (text, /))]
    fn check_ike_proposal(text: &str) -> PyResult<String> {
        text.parse().map(|suite: IkeSuite| suite.to_string()).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The proposal as it is written in full; ValueError names the part that is wrong.
    #[pyfunction]
    #[pyo3(signature = (text, /))]
    fn check_esp_proposal(text: &str) -> PyResult<String> {
        text.parse().map(|suite: EspSuite| suite.to_string()).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The identity as it is written in full; ValueError says why it is none.
    #[pyfunction]
    #[pyo3(signature = (text, /))]
    fn check_identity(text: &str) -> PyResult<String> {
        identity::parse(text).map(|id| id.to_string()).map_err(PyValueError::new_err)
    }

    /// As `check_identity`, but `*`, `*@example.net` and `*.example.net` are allowed too.
    #[pyfunction]
    #[pyo3(signature = (text, /))]
    fn check_identity_pattern(text: &str) -> PyResult<String> {
        identity::parse_pattern(text).map(|pattern| identity::pattern_text(&pattern)).map_err(PyValueError::new_err)
    }
}
