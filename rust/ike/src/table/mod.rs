//! Many SAs: where they sit, how an SPI finds them, when they wake, and what strangers may cost.
//!
//! ```text
//! slab         places with generations; nothing moves when the table grows
//! spi          an SPI of IKE names shard and place, so a look-up is an index and one comparison
//! esp_spis     SPIs of ESP name the shard, and are not given out again soon
//! wheel        one deadline per place; re-arming is unlinking and linking
//! half_open    responder SAs before IKE_AUTH: limits, and who asked twice
//! debts        what strangers from one prefix owe, failed authentications included
//! cookie_gate  who must return a COOKIE before anything is spent on it
//! parking      questions about peers that wait for the control plane: limits and numbers
//! room         octets of fragments that all SAs hold together
//! pools        inner addresses on lease
//! tickets      those that IKE SAs are taken up by again, ours and those of gateways
//! identities   who is connected, for INITIAL_CONTACT
//! ```

pub mod cookie_gate;
pub mod debts;
pub mod esp_spis;
pub mod half_open;
pub mod identities;
pub mod parking;
pub mod pools;
pub mod room;
pub mod slab;
pub mod spi;
pub mod tickets;
pub mod wheel;
