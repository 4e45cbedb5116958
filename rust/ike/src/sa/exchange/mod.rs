//! The exchanges, one per file: (state, message) becomes state and outputs.
//!
//! ```text
//! init_initiator   IKE_SA_INIT as the one who asks        init_responder   as the one who answers
//! clear            what strangers hear of requests that cannot be read
//! door             what strangers at a busy gateway are charged, and who is turned away
//! resume_responder                                         IKE_SESSION_RESUME as the one who answers; init_initiator asks
//! tickets          what IKE SAs that ended are taken up by again
//! intermediate_initiator, intermediate_responder           additional key exchanges between those two
//! auth_initiator   IKE_AUTH as the one who asks           auth_responder   as the one who answers
//! first_child      the Child SA that comes with IKE_AUTH, or by itself (childless)
//! eap              a conversation inside IKE_AUTH         eap_initiator, eap_responder   who is asked, who asks
//! informational    liveness, delete, probes; what comes in and what it settles
//! create_child     what the peer may have              make_child   a Child SA pair, whatever for
//! open_child, close_child   one more, one less         rekey_ike, rekey_child   replacing, by either end
//! expire           the end of what was not replaced in time
//! reauth           another IKE SA in the place of one whose proof is old
//! redirect         on to another gateway: who is sent, who follows
//! compare          what was refused, beside what we take
//! fit              which Child SA of a profile a peer means         mode             tunnel or transport
//! retired          what still comes on an IKE SA that was replaced
//! mobike           UPDATE_SA_ADDRESSES, return routability, address lists
//! hint             what nobody vouches for: it brings a test forward, and no more
//! admission        what of it policy refuses           retrial          what is asked anew after a NAT was seen
//! away             the initiator vanishes for a while, by agreement
//! repair           ESP over another path than agreed: asked about first, followed after
//! fallback         from UDP that lets only IKE_SA_INIT pass, into a stream
//! streams          an IKE SA on a TCP stream that opens, ends, is followed by another
//! sync             message ids, agreed upon after a crash
//! ppk              a key that both ends share besides
//! proof            AUTH: what it proves, how ours is made; peers that wait to be judged
//! offers           SA payloads against our suites         traffic          TS payloads
//! configuration    CP payloads: inner addresses and what goes with them
//! ```

pub mod addresses;
pub mod admission;
pub mod auth_initiator;
pub mod auth_responder;
pub mod away;
pub mod clear;
pub mod close_child;
pub mod compare;
pub mod configuration;
pub mod create_child;
pub mod door;
pub mod eap;
pub mod eap_initiator;
pub mod eap_responder;
pub mod expire;
pub mod fallback;
pub mod first_child;
pub mod fit;
pub mod follow_up;
pub mod hint;
pub mod informational;
pub mod init_initiator;
pub mod init_responder;
pub mod intermediate_initiator;
pub mod intermediate_responder;
pub mod make_child;
pub mod mobike;
pub mod mode;
pub mod offers;
pub mod open_child;
pub mod ppk;
pub mod proof;
pub mod reauth;
pub mod redirect;
pub mod rekey_child;
pub mod rekey_ike;
pub mod repair;
pub mod resume_responder;
pub mod retired;
pub mod retrial;
pub mod streams;
pub mod sync;
pub mod tickets;
pub mod traffic;
