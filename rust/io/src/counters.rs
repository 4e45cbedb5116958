//! What the shell counts: every datagram and packet that it drops has a reason.

macro_rules! counters {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: u64,)+
        }

        impl $name {
            /// Name and value of each.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($field), self.$field)),+].into_iter()
            }

            /// Add another shard's.
            pub fn add(&mut self, other: &$name) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

counters! {
    /// Counters of one shard's sockets, mailboxes and inner port.
    IoCounters {
        /// Datagrams received.
        datagrams_in,
        /// Their bytes.
        bytes_in,
        /// Datagrams sent.
        datagrams_out,
        /// Their bytes.
        bytes_out,
        /// NAT keepalives received and forgotten.
        keepalives_in,
        /// Dropped: too short to be IKE or ESP.
        runts,
        /// Dropped: longer than a datagram may be, or without a usable address.
        unreadable,
        /// Dropped: received on or to be sent from an address that is unplugged.
        unplugged,
        /// Dropped: ESP, but there is no userspace plane.
        esp_without_plane,
        /// Dropped: IKE, because whoever reads our events is behind; peers send again.
        ike_held_off,
        /// Given to the shard that owns the SPI.
        handed_over,
        /// Dropped: that shard's mailbox was full.
        hand_over_full,
        /// The kernel reported an error on receiving: unreliable news, ignored.
        receive_errors,
        /// Not sent: the socket's buffer stayed full.
        send_would_block,
        /// Not sent: no memory in the kernel's queues.
        send_no_buffer,
        /// Not sent: forbidden by a packet filter.
        send_forbidden,
        /// Not sent: no route.
        send_unreachable,
        /// Not sent: the source address is not ours (any more).
        send_no_source,
        /// Not sent: longer than the path takes.
        send_too_long,
        /// Not sent: an older datagram met a closed port.
        send_refused,
        /// Not sent: another reason.
        send_other,
        /// Not sent: no socket listens on the local address and port of the path.
        send_no_socket,
        /// Not sent: no stream is open for it. The engine sends it when one is.
        send_no_stream,
        /// Not sent: ESP, because too much waits in its stream already.
        send_stream_full,
        /// Not sent again: an open stream repeats by itself.
        stream_repeats_spared,
        /// Streams that others opened.
        streams_accepted,
        /// Closed at once: too many, or too many of one site.
        streams_refused,
        /// Streams that we opened.
        streams_opened,
        /// Streams that we could not open.
        streams_not_opened,
        /// Streams that ended, by either end.
        streams_ended,
        /// Those of them that carried something else than messages.
        streams_corrupt,
        /// Those of them that were of no use any more, or never were.
        streams_swept,
        /// Given to the shard that owns the SPI of its first message.
        streams_handed_over,
        /// Sent after all: the first time the kernel had told of an error of an older datagram instead.
        sent_again,
        /// ICMP errors: what we sent cannot be delivered, somebody says. Unreliable news: a reason to test, at most.
        icmp_unreachable,
        /// Those of them that are about ESP which nobody here has sent of late.
        icmp_stray,
        /// ICMP errors: what we sent is too long for its path, somebody says. The kernel is asked anew.
        icmp_too_big,
        /// ICMP errors of other kinds, and those that cannot be read: ignored.
        icmp_ignored,
        /// Inner packets out of the tunnel.
        inner_in,
        /// Inner packets into the tunnel.
        inner_out,
        /// Dropped: nobody takes inner packets.
        inner_nowhere,
        /// Dropped: the inner port's queue was full.
        inner_full,
        /// Dropped: the TUN device refused it.
        inner_refused,
        /// Dropped: longer than the path takes, and the sender was told so (ICMP).
        inner_too_big,
        /// Dropped for the same reason, and the sender not told: too many were, or it is one that must not be answered.
        inner_too_big_untold,
        /// The kernel was asked how long a packet a path takes.
        widths_asked,
        /// Dropped: not encapsulated, and this plane has no raw socket.
        esp_plain,
        /// IKE datagrams that waited until a data plane outside of the core carried a Child SA.
        held,
        /// Dropped: too many waited so for one IKE SA.
        held_dropped,
        /// Child SAs for which no word of that data plane came in time.
        plane_late,
        /// Orders taken from the mailbox.
        orders,
    }
}

impl IoCounters {
    /// Count one datagram that was not sent, by the kernel's reason.
    pub(crate) fn not_sent(&mut self, errno: i32) {
        let counter = match errno {
            libc::EAGAIN => &mut self.send_would_block,
            libc::ENOBUFS | libc::ENOMEM => &mut self.send_no_buffer,
            libc::EPERM | libc::EACCES => &mut self.send_forbidden,
            libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN => &mut self.send_unreachable,
            libc::EADDRNOTAVAIL | libc::EINVAL | libc::ENODEV => &mut self.send_no_source,
            libc::EMSGSIZE => &mut self.send_too_long,
            libc::ECONNREFUSED => &mut self.send_refused,
            _ => &mut self.send_other,
        };
        *counter += 1;
    }
}
