//! Userspace ESP (RFC 4303), sans-IO: seal, open, replay window, UDP framing (RFC 3948).
#![forbid(unsafe_code)]
