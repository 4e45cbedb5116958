//! `mobike._core`: a thin translation between the Rust shards and Python. It decides nothing.
