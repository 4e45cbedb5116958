//! Suites, the key schedule as types, and the provider behind them.
