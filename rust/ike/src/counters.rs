//! What happened, counted. Every datagram that leads to nothing has its reason here.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since the engine was made.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Every counter with its name, in the order written here.
            pub fn each(&self, mut see: impl FnMut(&'static str, u64)) {
                $(see(stringify!($name), self.$name);)*
            }

            /// Add another engine's totals.
            pub fn add(&mut self, other: &Counters) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Datagrams given to the engine.
    received,
    /// Messages put out, repetitions included.
    sent,
    /// Octets put out.
    sent_octets,
    /// NAT keepalives put out.
    keepalives_sent,
    /// Requests of ours sent again; those for which an open stream stood in, too.
    retransmissions,
    /// Those of them that did not wait for their turn: the peer had said something new, or it is the last thing we say.
    revived,
    /// Streams for IKE SAs of ours that opened.
    streams_opened,
    /// Set-ups that began anew in a stream, because UDP fell silent behind IKE_SA_INIT.
    fallbacks,
    /// Streams of IKE SAs that ended while they were in use.
    streams_lost,
    /// A peer went on over a newer stream.
    streams_adopted,
    /// Repeated requests of peers answered from the cache.
    repeats_answered,
    /// Message ids agreed upon after a crash of ours (RFC 6311).
    ids_synced,
    /// The same after a crash of the peer.
    syncs_answered,
    /// Requests for that ignored: a repetition of old, or nonsense.
    syncs_ignored,

    /// Dropped: the header is no IKEv2 header, or its length is not the datagram's.
    dropped_malformed_header,
    /// Dropped: another major version.
    dropped_version,
    /// Dropped: no SA has this SPI.
    dropped_unknown_spi,
    /// Dropped: an exchange type or flag that does not fit where it came.
    dropped_unexpected,
    /// Dropped: the integrity check failed.
    dropped_bad_icv,
    /// Dropped: a message id outside the window.
    dropped_outside_window,
    /// Dropped: an answer to nothing we asked.
    dropped_unasked_answer,
    /// Dropped: a repeated request whose answer is forgotten.
    dropped_forgotten_repeat,
    /// Dropped: payloads that cannot be read in a message nobody vouches for.
    dropped_malformed,
    /// Strangers told what is wrong with their requests.
    errors_in_the_clear,
    /// Dropped: IKE_SA_INIT longer than any sane offer.
    dropped_init_too_long,
    /// Dropped: IKE_SA_INIT beyond the limit of half-open SAs.
    dropped_half_open_limit,
    /// Dropped: IKE_SA_INIT from a prefix that owes too much: too many that nobody authenticated, or that failed.
    dropped_prefix_limit,
    /// Dropped: IKE_SA_INIT while the table is full.
    dropped_table_full,
    /// Dropped: IKE_SA_INIT when no profile accepts peers.
    dropped_not_accepting,
    /// Dropped: the SA_INIT answer does not fit what we asked.
    dropped_bad_init_answer,
    /// Dropped: a message for an SA that is closing or not ready for it.
    dropped_wrong_state,
    /// Fragments put out (RFC 7383).
    fragments_sent,
    /// Fragments of peers kept until the others come.
    fragments_kept,
    /// Dropped: a fragment (RFC 7383) of no use: a copy, of another size than the others, or more than we hold.
    dropped_fragment,
    /// Dropped: the peer's key exchange value is unusable.
    dropped_bad_ke,
    /// Dropped: key material could not be made; never seen with a sane provider.
    dropped_crypto,

    /// COOKIE demanded of a stranger.
    cookies_sent,
    /// IKE_SA_INIT with a wrong or stale cookie.
    cookies_wrong,
    /// Puzzles put to strangers.
    puzzles_sent,
    /// IKE_SA_INIT with the solution of one.
    puzzles_solved,
    /// Dropped: IKE_SA_INIT with a solution that is none.
    puzzles_wrong,
    /// IKE_SA_INIT without solution, served nevertheless.
    puzzles_left_out,
    /// Dropped: IKE_SA_INIT without solution, beyond the share of those.
    dropped_unsolved,
    /// Dropped: IKE_SA_INIT with a cookie that was good for another half-open SA.
    dropped_cookie_again,
    /// Puzzles of responders that we solved.
    puzzles_done,
    /// Puzzles of responders that we did not solve: too hard, or with a PRF that we do not offer.
    puzzles_refused,
    /// INVALID_KE_PAYLOAD sent.
    invalid_ke_sent,
    /// IKE_SA_INIT refused with NO_PROPOSAL_CHOSEN.
    init_no_proposal,
    /// IKE_SA_INIT answered.
    init_answered,
    /// Half-open SAs that no IKE_AUTH completed in time.
    half_open_expired,
    /// Unauthenticated answers to our IKE_SA_INIT that were noted and not believed.
    unproven_answers,

    /// IKE SAs established.
    ike_sas_up,
    /// IKE SAs taken over from an earlier process.
    ike_sas_resumed,
    /// IKE SAs ended.
    ike_sas_down,
    /// Child SA pairs agreed.
    children_up,
    /// Child SA pairs ended.
    children_down,
    /// Peers sent on to another gateway: in IKE_SA_INIT, in IKE_AUTH, or established.
    redirects_sent,
    /// Gateways that sent us on, believed or not.
    redirects_heard,
    /// Tickets given out.
    tickets_given,
    /// Tickets of peers that are not ours, too old, used before, or of a connection that changed.
    tickets_refused,
    /// Tickets of ours that a gateway did not take, or did not answer to.
    tickets_in_vain,
    /// IKE SAs taken up again by a ticket, in either role.
    sessions_resumed,
    /// Ordered connections that failed.
    connects_failed,
    /// Peers refused with AUTHENTICATION_FAILED.
    auth_failed,
    /// Questions to the control plane whether to let a peer in.
    questions_asked,
    /// Those of them that nobody answered in time.
    questions_expired,
    /// Dropped: IKE_AUTH of a peer while too many questions wait.
    dropped_questions_limit,
    /// Dropped: IKE_AUTH repeated while the question about it waits.
    repeats_parked,
    /// Child SAs refused in IKE_AUTH.
    child_refused,
    /// IKE SAs that replaced another, whoever asked.
    ike_sas_rekeyed,
    /// IKE SAs that others took the place of, with new proofs; as initiator.
    ike_sas_reauthenticated,
    /// Child SA pairs that replaced another, whoever asked.
    children_rekeyed,
    /// SAs that ended because their hard lifetime was over.
    lifetimes_over,
    /// Both ends asked to replace the same SA.
    rekey_collisions,
    /// The peer did not let us replace an SA.
    rekeys_refused,
    /// SAs that a peer began to make by several key exchanges, and did not go on with.
    follow_ups_forgotten,
    /// CREATE_CHILD_SA refused, served or not.
    create_child_refused,
    /// Requests of a type we do not know.
    unknown_requests,
    /// Requests answered with an error because they could not be read.
    invalid_requests,

    /// UPDATE_SA_ADDRESSES sent.
    updates_sent,
    /// UPDATE_SA_ADDRESSES acted upon.
    updates_taken,
    /// UPDATE_SA_ADDRESSES to a path that policy forbids.
    updates_refused,
    /// UPDATE_SA_ADDRESSES older than one acted upon.
    updates_stale,
    /// UPDATE_SA_ADDRESSES without MOBIKE agreed, or from the responder.
    updates_unexpected,
    /// UPDATE_SA_ADDRESSES that came too fast to be followed one by one.
    updates_paced,
    /// Addresses in lists of peers that cannot be used, or are too many.
    listed_addresses_ignored,
    /// Answers to an UPDATE overtaken by a newer decision.
    moves_overtaken,
    /// Messages whose addresses were rewritten on the way, where NATs are prohibited.
    unexpected_nats,
    /// Requests of ours asked anew, because the peer saw a NAT where those are prohibited.
    nat_retrials,
    /// Return routability checks sent.
    cookie2_sent,
    /// Return routability checks passed.
    cookie2_passed,
    /// Return routability checks failed.
    cookie2_failed,
    /// ESP of a peer behind a NAT came from elsewhere, and the peer was looked for there.
    repairs_begun,
    /// The peer was there, and was followed.
    repairs_made,
    /// News that nobody vouches for (INVALID_SPI in the clear, ICMP) brought a liveness test forward.
    hints_followed,
    /// ICMP errors about datagrams to peers.
    unreachable_heard,
    /// Those of them that quote no message and no ESP packet of an SA: forged, late, or quoted too short.
    unreachable_unknown,
    /// Messages that did not leave this host for want of a route, and were sent again soon.
    unsent,
    /// ESP came over another path than agreed, and the peer was asked about it.
    strays_asked_about,
    /// Peers granted leave to be away.
    away_granted,
    /// Peers refused leave to be away.
    away_refused,
    /// Commands for SAs that are gone, or older than one obeyed.
    stale_commands,
    /// Commands refused because too many wait already.
    commands_refused,
    /// Notices not reported because there were too many.
    notices_suppressed,
    /// Data went out and nothing came back, so that the path was tested at once.
    paths_suspected,
    /// Path probes sent of our own accord.
    probe_polls_sent,
    /// Path probes sent because a peer polled.
    probe_echoes_sent,
    /// Path probes of peers taken.
    probes_heard,
    /// Dropped: a path probe that came before, or too long ago to tell.
    probes_replayed,
    /// Dropped: a path probe over a path that policy forbids.
    probes_refused,
    /// Path probes not sent, not answered or not taken because there are too many.
    probes_over_budget,
    /// Moves of a peer to an address that path probes had proven before.
    moves_proven_before,
    /// Timers that woke for nothing.
    idle_wakeups,
}
