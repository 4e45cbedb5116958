//! INFORMATIONAL with a Delete of a Child SA pair, by order (RFC 7296 section 1.4.1).

use std::sync::Arc;

use crate::Nanos;
use crate::event::DownReason;
use crate::id::ChildId;
use crate::sa::context::Context;
use crate::sa::established::Established;
use crate::sa::exchange::{follow_up, rekey_child};
use crate::sa::window::Ask;

/// Close one pair, and whatever is being made in its place.
pub fn order(sa: &mut Established, ctx: &mut Context, now: Nanos, child: ChildId) {
    follow_up::forget(sa, ctx, |half| half.replaces(child));
    let asked = sa.rekeying.as_mut().and_then(|rekeying| rekeying.child.as_mut());
    let rival = asked.filter(|asked| asked.replaces == Some(child)).and_then(|asked| {
        asked.unwanted = true;
        asked.rival.take()
    });
    for child in [Some(child), rival.map(|(rival, _)| rival)].into_iter().flatten() {
        let spi_out = ctx.children.get(child).map(|child| child.spi_out);
        let why = DownReason::Ordered(Arc::from("child closed"));
        if let (Some(spi_out), Some(spi_in)) = (spi_out, sa.family.end(ctx, child, why)) {
            sa.ask(ctx, now, Ask::DeleteChild { spi_in, spi_out });
        }
    }
    rekey_child::schedule(sa, ctx, now);
}
