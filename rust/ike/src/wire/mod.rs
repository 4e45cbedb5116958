//! Bytes and meaning: a checked view first, then a `Repr` in which nonsense cannot be said.
