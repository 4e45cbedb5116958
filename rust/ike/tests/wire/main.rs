//! Octets and their meaning, both ways.

mod arbitrary;
mod wire_errors;
mod wire_mobike;
mod wire_mutations;
mod wire_properties;
mod wire_sk;
