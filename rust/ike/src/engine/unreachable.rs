//! Somebody says that a datagram of ours cannot be delivered (ICMP). Anybody can say so; whoever has not seen the datagram
//! cannot quote it.

use crate::crypto::Role;
use crate::engine::Engine;
use crate::id::SaId;
use crate::sa::Sa;
use crate::sa::exchange::hint;
use crate::table::spi;
use crate::wire::Header;
use crate::{Nanos, Path};

/// What the message quotes of the datagram.
#[derive(Debug, Clone, Copy)]
pub enum Quoted<'q> {
    /// The beginning of an IKE message, without non-ESP marker.
    Ike(&'q [u8]),
    /// An ESP packet that the data plane sent for this IKE SA.
    Esp(SaId),
}

impl Engine {
    /// A datagram that we sent over `path` cannot be delivered, somebody says. Moves nothing.
    pub fn handle_unreachable(&mut self, now: Nanos, path: Path, quoted: Quoted<'_>) {
        self.ctx.counters.unreachable_heard += 1;
        let place = match quoted {
            Quoted::Ike(message) => self.sender_of(message),
            Quoted::Esp(sa) => self.place_of(sa),
        };
        let Some((place, sa)) = place.and_then(|place| Some((place, self.table.get_mut(place)?))) else {
            self.ctx.counters.unreachable_unknown += 1;
            return;
        };
        match sa {
            Sa::Established(sa) => hint::on_unreachable(sa, &mut self.ctx, now, path),
            Sa::AwaitInitAnswer(connecting) => connecting.hasten(&mut self.ctx, now, path),
            // The one is the peer's to repeat, the others will be repeated soon.
            Sa::AwaitAuth(_) | Sa::AwaitIntermediateAnswer(_) | Sa::AwaitAuthAnswer(_) | Sa::Ended => {}
        }
        self.settle(now, place);
    }

    /// This message of ours, of which the beginning is enough, did not leave the host: it has no way over `path` now. An
    /// address may come a moment before the routes that lead away from it.
    pub fn handle_unsent(&mut self, now: Nanos, path: Path, message: &[u8]) {
        let Some(place) = self.sender_of(message) else { return };
        match self.table.get_mut(place) {
            Some(Sa::Established(sa)) => hint::on_unsent(sa, now, path),
            Some(Sa::AwaitInitAnswer(connecting)) => connecting.on_unsent(now, path),
            // Something of ours left over that path a moment ago: it is repeated as any other.
            Some(Sa::AwaitAuth(_) | Sa::AwaitIntermediateAnswer(_) | Sa::AwaitAuthAnswer(_) | Sa::Ended) | None => {
                return;
            }
        }
        self.ctx.counters.unsent += 1;
        self.settle(now, place);
    }

    /// Where the SA sits that sent this message.
    fn sender_of(&self, message: &[u8]) -> Option<u32> {
        let header = Header::peek(message).ok()?;
        let ours = if header.flags.initiator { header.initiator_spi } else { header.responder_spi };
        let place = spi::ike_place(ours);
        self.table.get(place).filter(|sa| is_from(sa, &header)).map(|_| place)
    }
}

/// Are these the SPIs of an IKE SA that sits there, and is the sender we?
fn is_from(sa: &Sa, header: &Header) -> bool {
    let (spis, role) = match sa {
        Sa::AwaitInitAnswer(sa) => {
            return header.initiator_spi == sa.spi_i && header.responder_spi == 0 && header.flags.initiator;
        }
        Sa::AwaitAuth(sa) => (sa.spis, Role::Responder),
        Sa::AwaitIntermediateAnswer(sa) => (sa.channel().spis, Role::Initiator),
        Sa::AwaitAuthAnswer(sa) => (sa.channel().spis, Role::Initiator),
        Sa::Established(sa) => (sa.channel.spis, sa.channel.role),
        Sa::Ended => return false,
    };
    header.initiator_spi == spis.initiator
        && header.responder_spi == spis.responder
        && header.flags.initiator == (role == Role::Initiator)
}
