//! IKE_SA_INIT was answered in UDP, and what follows is not: something on the way lets small datagrams or port 500 pass, and
//! nothing else. Where streams are allowed, the order begins anew in one of those (RFC 9329 section 5.1).
//!
//! ```text
//! HDR, SAi1, KEi, Ni     -->   <--   HDR, SAr1, KEr, Nr
//! HDR, SK { IDi, .. }    -->                                 again and again, and no answer
//! stream opens    HDR, SAi1, KEi, Ni   -->                   with new secrets, and of the same name to the control plane
//! ```

use crate::sa::Sa;
use crate::sa::context::Context;
use crate::sa::exchange::{auth_initiator, init_initiator};
use crate::table::spi;
use crate::{Nanos, Path};

/// So often a message went out in vain: six seconds with the usual waits.
const TRIES: u32 = 4;

/// Is it time to leave UDP?
#[must_use]
pub fn is_due(path: Path, others: &[Path], tries: u32) -> bool {
    !path.is_stream() && tries >= TRIES && others.iter().any(|path| path.is_stream())
}

/// Leave it. The peer forgets what it began in its own time.
pub fn begin_anew(sa: &mut Sa, ctx: &mut Context, now: Nanos) {
    let (mut order, id) = match core::mem::replace(sa, Sa::Ended) {
        Sa::AwaitAuthAnswer(mut asking) => {
            asking.note_in_vain();
            asking.abandon(ctx)
        }
        Sa::AwaitIntermediateAnswer(mut asking) => {
            asking.note_in_vain();
            (asking.agreed.order, asking.agreed.id)
        }
        other => {
            *sa = other;
            return;
        }
    };
    ctx.counters.fallbacks += 1;
    order.paths.retain(|path| path.is_stream());
    let spi_i = spi::mint_ike(ctx.settings.shard, id.slot(), &mut ctx.random);
    let streams = order.paths.clone();
    match init_initiator::connect_or_return(ctx, now, id, spi_i, order) {
        Ok(connecting) => *sa = Sa::AwaitInitAnswer(Box::new(connecting)),
        Err(failed) => {
            let (order, why) = *failed;
            if let Some(path) = streams.first() {
                auth_initiator::fail(ctx, &order, *path, why);
            }
        }
    }
}
