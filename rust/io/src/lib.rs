//! The only crate with sockets, threads, clock, entropy and TUN.
