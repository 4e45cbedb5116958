//! What the engine signs, derives, seals and agrees on, against vectors and against other implementations.

mod crypto_negotiate;
mod crypto_schedule;
mod crypto_secrets;
mod crypto_signatures;
mod crypto_suites;
mod crypto_vectors;
mod crypto_vectors_ciphers;
mod crypto_vectors_kex;
mod support;
